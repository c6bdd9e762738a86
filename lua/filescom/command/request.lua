--- `filescom request`: any call of the API, from words of a command line.
--
-- Depends on filescom.command.failure, .output and .session, and on lua-cjson.
--
-- @module filescom.command.request

local failure = require "filescom.command.failure"
local output = require "filescom.command.output"
local sessions = require "filescom.command.session"

local request = {}

-- The bytes of a file, or of standard input for "-".
local function contents(path)
  local file, why = io.stdin, nil
  if path ~= "-" then file, why = io.open(path, "rb") end
  if not file then failure.raise("storage", "%s", why) end
  local bytes
  bytes, why = file:read("*a")
  if path ~= "-" then file:close() end
  return bytes or failure.raise("storage", "%s: %s", path, tostring(why))
end

-- The text of --data, checked, as it is: what is sent is what the user wrote.
local function json_text(data)
  local text = data:sub(1, 1) == "@" and contents(data:sub(2)) or data
  local json = require("cjson").new()
  json.decode_invalid_numbers(false)
  local sound, why = pcall(json.decode, text)
  if not sound then failure.raise("usage", "--data is no JSON: %s", tostring(why)) end
  return text
end

-- Adds a parameter; one whose name ends with [] to its list.
local function add_parameter(query, name, value)
  local list_name = name:match("^(.+)%[%]$")
  local former = query[list_name or name]
  if former ~= nil and not (list_name and type(former) == "table") then
    failure.raise("usage", "--query names '%s' twice; %s[]=value makes a list", name, list_name or name)
  end
  if not list_name then
    query[name] = value
  elseif former then
    former[#former + 1] = value
  else
    query[list_name] = { value }
  end
end

local function query_of(list)
  local query = {}
  for _, parameter in ipairs(list) do
    local name, value = parameter:match("^([^=]+)=(.*)$")
    if not name then failure.raise("usage", "--query '%s' is not name=value", parameter) end
    add_parameter(query, name, value)
  end
  return query
end

-- Whether a header is there, in whatever case.
local function has_header(fields, wanted)
  for name in pairs(fields) do
    if name:lower() == wanted:lower() then return true end
  end
  return false
end

local function headers_of(list)
  local fields = {}
  for _, header in ipairs(list) do
    local name, value = header:match("^([^:%s]+):%s*(.-)%s*$")
    if not name then failure.raise("usage", "--header is not 'name: value'") end
    if has_header(fields, name) then failure.raise("usage", "--header names '%s' twice", name) end
    fields[name] = value
  end
  return fields
end

local function request_options(args)
  local options = { query = query_of(args.query), headers = headers_of(args.header) }
  if args.data then
    options.body = json_text(args.data)
    if not has_header(options.headers, "Content-Type") then options.headers["Content-Type"] = "application/json" end
  elseif args.body then
    options.body = contents(args.body)
  end
  return options
end

-- The names of a table's columns, nil where no table is wanted.
local function columns_of(text)
  if not text then return nil end
  local names = {}
  for name in text:gmatch("[^,%s]+") do names[#names + 1] = name end
  if #names == 0 then failure.raise("usage", "--columns names no field") end
  return names
end

-- Rows of the named fields of a list of objects, or of one, below their names.
local function rows_of(data, columns)
  local rows = { columns }
  if type(data) ~= "table" then data = {} elseif #data == 0 and next(data) ~= nil then data = { data } end
  for _, object in ipairs(data) do
    local row = {}
    for i, name in ipairs(type(object) == "table" and columns or {}) do row[i] = object[name] end
    rows[#rows + 1] = row
  end
  return rows
end

local function head_of(answer)
  local lines = {}
  for name, value in pairs(answer.headers) do lines[#lines + 1] = ("%s: %s\n"):format(name, value) end
  table.sort(lines)
  return ("HTTP %d\n%s\n"):format(answer.status, table.concat(lines))
end

--- Sends the call that the command line describes and writes what came back.
-- @tparam table args the command line
-- @tparam Profile profile
function request.run(args, profile)
  local columns = columns_of(args.columns)
  local options = request_options(args)
  options.raw = not columns
  local session = sessions.kept(args, profile)
  local answer = sessions.call(profile, session, args.method, args.path, options)
  if columns then return output.write(output.table(rows_of(answer.data, columns))) end
  if args.include then output.write(head_of(answer)) end
  output.write(answer.body)
  if output.is_terminal() and answer.body:find("[^\n]$") then output.write "\n" end
end

return request
