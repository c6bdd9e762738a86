--- Any call of the API with a session: `session:request`.
--
-- Builds the path, the query and the body; the core sends them. Depends on filescom.core,
-- filescom.errors and filescom.session, and on lua-cjson where a body is JSON.
--
-- @module filescom.request

local core = require "filescom.core"
local errors = require "filescom.errors"
local sessions = require "filescom.session"

local request = {}

local OPTIONS = {
  query = "table", json = "any", body = "string", headers = "table", timeout = "number", raw = "boolean",
}

local fail = core.usage_error

local function check_options(options)
  if type(options) ~= "table" then fail("options must be a table, got %s", type(options)) end
  for name, value in pairs(options) do
    local expected = OPTIONS[name]
    if not expected then fail("unknown option '%s'", tostring(name)) end
    if expected ~= "any" and type(value) ~= expected then
      fail("option '%s' must be a %s, got %s", name, expected, type(value))
    end
  end
  if options.json ~= nil and options.body ~= nil then
    fail("give option 'json' or option 'body', not both")
  end
end

-- ---- the path -------------------------------------------------------------------------------

local function percent(byte)
  return ("%%%02X"):format(byte:byte())
end

-- Everything that may not stand in a URL is escaped; what is escaped already stays.
local function encode_path(path)
  if type(path) ~= "string" then fail("path must be a string, got %s", type(path)) end
  if path:sub(1, 1) ~= "/" then fail("path must begin with '/'") end
  if path:find("%c") then fail("path holds a control character") end
  return (path:gsub("[^%w%-%._~!$&'()*+,;=:@/%%?]", percent))
end

local function encode_component(text)
  return (text:gsub("[^%w%-%._~]", percent))
end

local function query_value(name, value)
  local kind = type(value)
  if kind == "string" or kind == "boolean" then return tostring(value) end
  if kind == "number" then return value % 1 == 0 and ("%.0f"):format(value) or tostring(value) end
  fail("query parameter '%s' must be a string, number, boolean or table, got %s", name, kind)
end

local LONGEST_NAME = 1000

local add_parameters

-- A list becomes `name[]=`, a table `name[key]=`, as the service reads them.
local function add_parameter(pairs_, name, value)
  if #name > LONGEST_NAME then fail("option 'query' is nested too deeply, or in itself") end
  if type(value) ~= "table" then
    pairs_[#pairs_ + 1] = encode_component(name) .. "=" .. encode_component(query_value(name, value))
  elseif #value > 0 then
    for _, entry in ipairs(value) do add_parameter(pairs_, name .. "[]", entry) end
  else
    add_parameters(pairs_, value, name)
  end
end

-- In the order of their names, so that one query always makes one URL.
function add_parameters(pairs_, parameters, parent)
  local names = {}
  for name in pairs(parameters) do
    if type(name) ~= "string" then fail("the names of query parameters must be strings") end
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    add_parameter(pairs_, parent and ("%s[%s]"):format(parent, name) or name, parameters[name])
  end
end

local function target(path, query)
  path = encode_path(path)
  if query == nil or next(query) == nil then return path end
  local pairs_ = {}
  add_parameters(pairs_, query)
  return path .. (path:find("?", 1, true) and "&" or "?") .. table.concat(pairs_, "&")
end

-- ---- headers and body -----------------------------------------------------------------------

local function has_content_type(headers)
  for name in pairs(headers) do
    if name:lower() == "content-type" then return true end
  end
  return false
end

local function copy_headers(headers)
  local copy = {}
  for name, value in pairs(headers or {}) do
    if type(name) ~= "string" then fail("the names of headers must be strings") end
    copy[name] = type(value) == "number" and tostring(value) or value
  end
  return copy
end

local function encode_json(value)
  local encoded, text = pcall(require("cjson").new().encode, value)
  if not encoded then fail("option 'json' cannot be encoded: %s", tostring(text)) end
  return text
end

local function build(session, base_url, method, path, options)
  local headers = copy_headers(options.headers)
  local body = options.body
  if options.json ~= nil then
    body = encode_json(options.json)
    if not has_content_type(headers) then headers["Content-Type"] = "application/json" end
  elseif body ~= nil and not has_content_type(headers) then
    headers["Content-Type"] = "application/octet-stream"
  end
  return {
    method = method, path = target(path, options.query), base_url = base_url,
    session_id = session.id, headers = headers, body = body, timeout = options.timeout,
  }
end

local AnyCase = {
  __index = function (headers, name)
    return type(name) == "string" and rawget(headers, name:lower()) or nil
  end,
}

--- Sends a call; see `filescom.session.Session:request`.
function request.send(client, session, method, path, options)
  if type(method) ~= "string" then fail("method must be a string, got %s", type(method)) end
  options = options == nil and {} or options
  check_options(options)
  local base_url = sessions.base_url(session, client._base_url)
  local prepared = build(session, base_url, method:upper(), path, options)
  if sessions.has_ended(session) then
    return nil, errors.new("session/none", "this session was logged out")
  end
  local answer, failure = client:_run("request", prepared, options.raw)
  if not answer then return nil, errors.from_failure(failure, { session.id }) end
  setmetatable(answer.headers, AnyCase)
  return answer
end

return request
