-- JSON as the service writes it, with whole numbers as integers.
-- Depends on lua-cjson.

local cjson = require("cjson").new()

local json = { null = cjson.null }

local UNESCAPED = { ["/"] = "/" }

-- Makes integers of the whole numbers in a decoded value, which lua-cjson gives as floats.
local function with_integers(value)
  if type(value) == "number" then
    return math.tointeger(value) or value
  elseif type(value) == "table" then
    for key, item in pairs(value) do
      value[key] = with_integers(item)
    end
  end
  return value
end

--- Decodes a text; raises what is wrong with it.
function json.decode(text)
  return with_integers(cjson.decode(text))
end

--- Encodes a value; slashes stay as they are, which lua-cjson would escape.
function json.encode(value)
  return (cjson.encode(value):gsub("\\(.)", UNESCAPED))
end

return json
