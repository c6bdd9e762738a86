--- Taking the caller's secrets out of what somebody else wrote.
--
-- A service, or whoever stands between, may repeat a password in an error's text or in a header.
-- Depends on nothing.
--
-- @module filescom.redaction

local redaction = {}

local SHORTEST_SECRET = 4 -- shorter ones would tear words apart wherever they occur
local REDACTED = "[redacted]"

local function replace_plain(text, secret)
  local from, to = text:find(secret, 1, true)
  if not from then return text end
  local parts, position = {}, 1
  while from do
    parts[#parts + 1] = text:sub(position, from - 1)
    position = to + 1
    from, to = text:find(secret, position, true)
  end
  parts[#parts + 1] = text:sub(position)
  return table.concat(parts, REDACTED)
end

-- A code may come back as a number.
local function redact_number(number, secrets)
  for _, secret in ipairs(secrets) do
    if tonumber(secret) == number then return REDACTED end
  end
  return number
end

local redact

local function redact_table(fields, secrets)
  local copy = {}
  for key, value in pairs(fields) do copy[redact(key, secrets)] = redact(value, secrets) end
  return copy
end

function redact(value, secrets)
  if type(value) == "table" then return redact_table(value, secrets) end
  if type(value) == "number" then return redact_number(value, secrets) end
  if type(value) ~= "string" then return value end
  for _, secret in ipairs(secrets) do value = replace_plain(value, secret) end
  return value
end

--- Replaces every occurrence of a secret in a string, or in the strings of a table and its tables.
-- @param value anything; tables are copied
-- @tparam table secrets a list; what is no string, or shorter than four bytes, is passed over
-- @return the value without them
function redaction.redact(value, secrets)
  local usable = {}
  for _, secret in pairs(secrets) do
    if type(secret) == "string" and #secret >= SHORTEST_SECRET then usable[#usable + 1] = secret end
  end
  -- The longest first: one may be a part of another.
  table.sort(usable, function (one, other) return #one > #other end)
  return redact(value, usable)
end

return redaction
