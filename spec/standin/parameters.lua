-- Parameters of calls, strictly: a JSON body, a query; what is not known or of another type is refused.
-- Depends on json.lua and refusal.lua.

local json = require("spec.standin.json")
local refusal = require("spec.standin.refusal")

local parameters = {}

--- Undoes escapes; nil where one is malformed.
function parameters.unescape(text)
  if text:gsub("%%%x%x", ""):find("%%") then
    return nil
  end
  return (text:gsub("%%(%x%x)", function(digits)
    return string.char(tonumber(digits, 16))
  end))
end

-- Whether a value is of the type wanted; an "integer" is a whole number.
local function is_a(value, wanted)
  return wanted == "integer" and math.type(value) == "integer" or type(value) == wanted
end

local function check(fields, known)
  for name, value in pairs(fields) do
    if not known[name] then
      return nil, refusal.new("bad_parameter", "Unknown parameter: " .. tostring(name))
    elseif not is_a(value, known[name]) then
      return nil, refusal.new("bad_parameter", ("%s must be a %s"):format(name, known[name]))
    end
  end
  return fields
end

--- The fields of a JSON body, `known` by their names and types. Returns them, or nil and a refusal.
function parameters.of_body(request, known)
  local kind = (request.fields["content-type"] or ""):match("^[^;]*")
  if kind ~= "application/json" then
    return nil, refusal.new("media_type", "The body must be JSON")
  end
  local ok, fields = pcall(json.decode, request.body)
  if not ok or type(fields) ~= "table" then
    return nil, refusal.new("invalid_body", "The body is not a JSON object")
  end
  return check(fields, known)
end

--- The parameters of a query, `known` by their names and types. Returns them, or nil and a refusal.
function parameters.of_query(request, known)
  local fields = {}
  for pair in request.query:gmatch("[^&]+") do
    local name, value = pair:match("^([^=]*)=(.*)$")
    name, value = name and parameters.unescape(name), value and parameters.unescape(value)
    if not name or not value or fields[name] ~= nil then
      return nil, refusal.new("bad_parameter", "Malformed query")
    end
    fields[name] = known[name] == "integer" and math.tointeger(tonumber(value)) or value
  end
  return check(fields, known)
end

return parameters
