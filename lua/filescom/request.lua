--- Any call of the API with a session: `session:request`.
--
-- Checks the options and builds the request; the core sends it. Depends on filescom.core,
-- filescom.encode, filescom.errors and filescom.session.
--
-- @module filescom.request

local core = require "filescom.core"
local encode = require "filescom.encode"
local errors = require "filescom.errors"
local sessions = require "filescom.session"

local request = {}

local fail = core.usage_error

-- ---- options --------------------------------------------------------------------------------

local OPTIONS = {
  query = "table", json = "any", form = "table", body = "string", headers = "table", timeout = "number",
  raw = "boolean", sink = "function", source = "function", size = "number", stall_timeout = "number",
  reauthentication = "string", language = "string", workspace_id = "any",
}

local BODIES = { "json", "form", "body", "source" }

local function check_bodies(options)
  local given
  for _, name in ipairs(BODIES) do
    if options[name] ~= nil then
      if given then fail("give option '%s' or option '%s', not both", given, name) end
      given = name
    end
  end
  if options.source and not options.size then fail("option 'source' needs option 'size', in bytes") end
  if options.size and not options.source then fail("option 'size' is that of option 'source', which is missing") end
  if options.sink and options.raw ~= nil then fail("give option 'sink' or option 'raw', not both") end
  if options.stall_timeout and not (options.sink or options.source) then
    fail("option 'stall_timeout' is for option 'sink' or option 'source'")
  end
end

--- Raises where options are wrong, and names what is.
-- @tparam table options
-- @tparam[opt] table known types by their names, in place of all of a request
function request.check_options(options, known)
  if type(options) ~= "table" then fail("options must be a table, got %s", type(options)) end
  known = known or OPTIONS
  for name, value in pairs(options) do
    local expected = known[name]
    if not expected then fail("unknown option '%s'", tostring(name)) end
    if expected ~= "any" and type(value) ~= expected then
      fail("option '%s' must be a %s, got %s", name, expected, type(value))
    end
  end
end

-- ---- headers --------------------------------------------------------------------------------

local REAUTHENTICATION = "X-Files-Reauthentication"

local function find_header(headers, wanted)
  for name, value in pairs(headers) do
    if type(name) == "string" and name:lower() == wanted:lower() then return value end
  end
end

local function copy_headers(headers)
  local copy = {}
  for name, value in pairs(headers or {}) do
    if type(name) ~= "string" then fail("the names of headers must be strings") end
    copy[name] = type(value) == "number" and tostring(value) or value
  end
  return copy
end

-- A header that an option stands for must not be given twice.
local function add_option(headers, option, value, name)
  if value == nil then return end
  if find_header(headers, name) then fail("give option '%s' or the header %s, not both", option, name) end
  headers[name] = value
end

local function workspace_text(id)
  if id == nil or type(id) == "string" then return id end
  if type(id) == "number" and id % 1 == 0 then return ("%.0f"):format(id) end
  fail("option 'workspace_id' must be a string or a whole number, got %s", type(id))
end

local function build_headers(options)
  local headers = copy_headers(options.headers)
  add_option(headers, "reauthentication", options.reauthentication, REAUTHENTICATION)
  add_option(headers, "language", options.language, "Accept-Language")
  add_option(headers, "workspace_id", workspace_text(options.workspace_id), "X-Files-Workspace-Id")
  if (options.raw or options.sink) and not find_header(headers, "Accept") then headers["Accept"] = "*/*" end
  return headers
end

-- What is shorter opens nothing, and would be found in texts that have nothing to do with it.
local SHORTEST_SECRET = 12

local function add_secret(list, text)
  if text and #text >= SHORTEST_SECRET then list[#list + 1] = text end
end

-- An address at another host opens what lies there to whoever has it, by its path or its query's values.
local function add_address(list, target)
  add_secret(list, target)
  add_secret(list, target:match("%?(.+)$"))
  for value in (target:match("%?(.+)$") or ""):gmatch("=([^&]+)") do
    add_secret(list, value)
    add_secret(list, (value:gsub("%%(%x%x)", function (digits) return string.char(tonumber(digits, 16)) end)))
  end
end

--- What of a request must not be repeated by a trace or an error.
-- @tparam table prepared the request, as the core is given it
-- @treturn table a list of strings
function request.secrets(prepared)
  local given = find_header(prepared.headers or {}, REAUTHENTICATION)
  given = type(given) == "string" and given or nil
  local list = { prepared.session_id or "", given or "", given and given:match("^%w+:(.+)$") or "" }
  if prepared.origin then add_address(list, prepared.path) end
  return list
end

-- ---- the request ----------------------------------------------------------------------------

local function target(path, query)
  path = encode.path(path)
  local text = query and encode.parameters("query", query) or ""
  if text == "" then return path end
  return path .. (path:find("?", 1, true) and "&" or "?") .. text
end

-- The body, where it is given whole, and its type unless the caller names another.
local function build_body(options)
  if options.json ~= nil then return encode.json(options.json), "application/json" end
  if options.form then return encode.parameters("form", options.form), "application/x-www-form-urlencoded" end
  return options.body, (options.body or options.source) and "application/octet-stream" or nil
end

local function build(session, base_url, method, path, options)
  local headers = build_headers(options)
  local body, content_type = build_body(options)
  if content_type and not find_header(headers, "Content-Type") then headers["Content-Type"] = content_type end
  return {
    method = method, path = target(path, options.query), base_url = base_url, session_id = session.id,
    headers = headers, body = body, timeout = options.timeout, raw = options.raw, size = options.size,
    sink = options.sink ~= nil or nil, stall_timeout = options.stall_timeout,
  }
end

local AnyCase = {
  __index = function (headers, name)
    return type(name) == "string" and rawget(headers, name:lower()) or nil
  end,
}

--- Sends a request that is built.
-- @tparam Client client
-- @tparam table prepared as filescom.core takes it
-- @tparam[opt] function sink
-- @tparam[opt] function source
function request.send_prepared(client, prepared, sink, source)
  local answer, failure
  if sink or source then
    answer, failure = client:_stream(prepared, sink, source)
  else
    answer, failure = client:_run("request", prepared)
  end
  if not answer then return nil, errors.from_failure(failure, request.secrets(prepared)) end
  setmetatable(answer.headers, AnyCase)
  return answer
end

--- Sends a call; see `filescom.session.Session:request`.
function request.send(client, session, method, path, options)
  if type(method) ~= "string" then fail("method must be a string, got %s", type(method)) end
  options = options == nil and {} or options
  request.check_options(options)
  check_bodies(options)
  local base_url = sessions.base_url(session, client._base_url)
  local prepared = build(session, base_url, method:upper(), path, options)
  if sessions.has_ended(session) then
    return nil, errors.new("session/none", "this session was logged out")
  end
  return request.send_prepared(client, prepared, options.sink, options.source)
end

return request
