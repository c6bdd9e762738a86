--- How values are written in paths, queries, forms and JSON.
--
-- Depends on filescom.core for its errors, and on lua-cjson where JSON is written.
--
-- @module filescom.encode

local core = require "filescom.core"

local encode = {}

local fail = core.usage_error

local function percent(byte)
  return ("%%%02X"):format(byte:byte())
end

-- ---- numbers --------------------------------------------------------------------------------

local math_type = rawget(math, "type")

-- Beyond it a whole double stands for its neighbours as well.
local LARGEST_WHOLE = 2 ^ 53

local function is_finite(number)
  return number == number and number ~= math.huge and number ~= -math.huge
end

-- The shortest text that reads as the same number, a whole one without a fraction or an exponent.
local function number_text(number)
  if math_type and math_type(number) == "integer" then return ("%d"):format(number) end
  if number % 1 == 0 and number >= -LARGEST_WHOLE and number <= LARGEST_WHOLE then return ("%.0f"):format(number) end
  for digits = 14, 17 do
    local text = ("%." .. digits .. "g"):format(number)
    if tonumber(text) == number then return (text:gsub(",", ".")) end -- where the locale writes a comma
  end
end

-- ---- paths ----------------------------------------------------------------------------------

--- Writes a path as a URL has it. Everything that may not stand there is escaped; what is escaped
-- already, a question mark and slashes stay. A percent sign without two hexadecimal digits means itself.
-- @tparam string path begins with a slash
function encode.path(path)
  if type(path) ~= "string" then fail("path must be a string, got %s", type(path)) end
  if path:sub(1, 1) ~= "/" then fail("path must begin with '/'") end
  if path:find("%c") then fail("path holds a control character") end
  path = path:gsub("[^%w%-%._~!$&'()*+,;=:@/%%?]", percent)
  return (path:gsub("%%(%x?%x?)", function (digits)
    return #digits < 2 and "%25" .. digits or nil
  end))
end

local function component(text)
  return (text:gsub("[^%w%-%._~]", percent))
end

--- Writes a file's name as a path: every character stands for itself, but slashes. A segment that
-- would lead elsewhere in a URL, "." or "..", escaped or not, names no file.
-- @tparam string name with or without slashes at its ends
function encode.name(name)
  if type(name) ~= "string" then fail("path must be a string, got %s", type(name)) end
  if name:find("%c") then fail("path holds a control character") end
  name = name:gsub("^/+", ""):gsub("/+$", "")
  if name == "" then fail("path must name a file") end
  if ("/" .. name .. "/"):find("/%.%.?/") then fail("path must hold no '.' or '..' between slashes") end
  return (name:gsub("[^/]+", component))
end

-- ---- queries and forms ----------------------------------------------------------------------

local LONGEST_NAME = 1000

local function parameter_value(option, name, value)
  local kind = type(value)
  if kind == "string" or kind == "boolean" then return tostring(value) end
  if kind == "number" and is_finite(value) then return number_text(value) end
  if kind == "number" then fail("%s parameter '%s' must be a finite number", option, name) end
  fail("%s parameter '%s' must be a string, number, boolean or table, got %s", option, name, kind)
end

local add_parameters

-- A list becomes `name[]=`, a table `name[key]=`, as the service reads them; an empty one nothing.
local function add_parameter(option, list, name, value)
  if #name > LONGEST_NAME then fail("option '%s' is nested too deeply, or in itself", option) end
  if type(value) ~= "table" then
    list[#list + 1] = component(name) .. "=" .. component(parameter_value(option, name, value))
  elseif #value > 0 then
    for _, entry in ipairs(value) do add_parameter(option, list, name .. "[]", entry) end
  else
    add_parameters(option, list, value, name)
  end
end

-- In the order of their names, so that one table is always written in one way.
function add_parameters(option, list, parameters, parent)
  local names = {}
  for name in pairs(parameters) do
    if type(name) ~= "string" then fail("the names of %s parameters must be strings", option) end
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    add_parameter(option, list, parent and ("%s[%s]"):format(parent, name) or name, parameters[name])
  end
end

--- Writes parameters as a query has them, and a form.
-- @tparam string option the option that holds them, for errors
-- @tparam table parameters values, or tables of them, by their names
-- @treturn string "" where there are none
function encode.parameters(option, parameters)
  local list = {}
  add_parameters(option, list, parameters)
  return table.concat(list, "&")
end

-- ---- JSON -----------------------------------------------------------------------------------

local SHORT_DIGITS = 14 -- what lua-cjson writes of a number

local DEEPEST = 1000 -- what lua-cjson writes of a table in tables

-- Whether lua-cjson would write another number.
local function loses_digits(number)
  return is_finite(number) and (math.abs(number) >= 10 ^ SHORT_DIGITS
    or tonumber(("%." .. SHORT_DIGITS .. "g"):format(number)) ~= number)
end

local function has_long_numbers(value, depth)
  if type(value) == "number" then return loses_digits(value) end
  if type(value) ~= "table" or depth > DEEPEST then return false end
  for _, item in pairs(value) do
    if has_long_numbers(item, depth + 1) then return true end
  end
  return false
end

-- A copy with the long numbers as strings behind a mark.
local function mark_long_numbers(value, mark)
  if type(value) == "number" and loses_digits(value) then return mark .. number_text(value) end
  if type(value) ~= "table" then return value end
  local class = getmetatable(value) -- by which lua-cjson may know an empty list
  local copy = type(class) == "table" and setmetatable({}, class) or {}
  for key, item in pairs(value) do rawset(copy, key, mark_long_numbers(item, mark)) end
  return copy
end

-- What JSON writes as it is, and a text does not hold.
local function mark_absent_from(text)
  local count = 0
  while text:find("number" .. count .. ":", 1, true) do count = count + 1 end
  return "number" .. count .. ":"
end

--- Writes JSON, as lua-cjson does it; but a number keeps all of its digits.
-- @param value any that JSON has
-- @treturn string; raises an error that says why it cannot be written
function encode.json(value)
  local cjson = require("cjson").new()
  local encoded, text = pcall(cjson.encode, value)
  if not encoded then fail("option 'json' cannot be encoded: %s", tostring(text)) end
  if not has_long_numbers(value, 0) then return text end
  local mark = mark_absent_from(text)
  return (cjson.encode(mark_long_numbers(value, mark)):gsub('"' .. mark .. '([^"]*)"', "%1"))
end

return encode
