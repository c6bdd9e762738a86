--- Taking the caller's secrets out of what somebody else wrote.
--
-- A service, or whoever stands between, may repeat a password in an error's text or in a header, as
-- it is or escaped for a URL, for HTML or for JSON. Depends on nothing.
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

-- ---- escaped secrets ------------------------------------------------------------------------

local function utf8_char(code)
  if code < 0x80 then return string.char(code) end
  local tail, lead = "", 0xC0
  local limit = 0x20
  while true do
    tail = string.char(0x80 + code % 0x40) .. tail
    code = math.floor(code / 0x40)
    if code < limit then return string.char(lead + code) .. tail end
    lead, limit = lead + limit, limit / 2
  end
end

local NAMED = { amp = "&", lt = "<", gt = ">", quot = '"', apos = "'", nbsp = " " }
local CONTROLS = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }

-- What a number written in an escape stands for, nil where it is no character.
local function character(digits, base)
  local code = #digits <= 8 and tonumber(digits, base)
  return code and code <= 0x10FFFF and utf8_char(code) or nil
end

-- The ways to escape: a mark that each escape begins with, and a function that undoes the escape at
-- a position: what it stands for and its length, or nil where there is none.
local ESCAPES = {
  { mark = "[%%+]", undo = function (text, position)
    if text:sub(position, position) == "+" then return " ", 1 end
    local digits = text:match("^%%(%x%x)", position)
    if digits then return string.char(tonumber(digits, 16)), 3 end
  end },
  { mark = "&", undo = function (text, position)
    local name = text:match("^&(#?%w+);", position)
    if not name then return nil end
    local hex, decimal = name:match("^#[xX](%x+)$"), name:match("^#(%d+)$")
    local value = hex and character(hex, 16) or decimal and character(decimal, 10) or NAMED[name]
    return value, #name + 2
  end },
  { mark = "\\", undo = function (text, position)
    local digits = text:match("^\\u(%x%x%x%x)", position)
    if digits then return character(digits, 16), 6 end
    local letter = text:match("^\\(.)", position)
    if letter then return CONTROLS[letter] or letter, 2 end
  end },
}

-- The text with its escapes undone, and for each escape: where what it stands for begins and ends in
-- that, and where the escape itself did in the text.
local function unescape(text, escape)
  local parts, escapes, position, size = {}, {}, 1, 0
  local at = text:find(escape.mark)
  while at do
    local value, length = escape.undo(text, at)
    if value then
      parts[#parts + 1] = text:sub(position, at - 1)
      parts[#parts + 1] = value
      size = size + at - position + #value
      position = at + length
      escapes[#escapes + 1] = { first = size - #value + 1, last = size, from = at, to = position - 1 }
    end
    at = text:find(escape.mark, value and position or at + 1)
  end
  parts[#parts + 1] = text:sub(position)
  return table.concat(parts), escapes
end

-- Where the byte at index of the unescaped text comes from, the last escape before it being known
-- to be the number-th or a later one; and that escape's number.
local function source_of(index, escapes, number)
  while escapes[number + 1] and escapes[number + 1].first <= index do number = number + 1 end
  local escape = escapes[number]
  if not escape then return index, index, number end
  if index <= escape.last then return escape.from, escape.to, number end
  local from = index - escape.last + escape.to
  return from, from, number
end

local function replace_escaped(text, secret, escape)
  if not text:find(escape.mark) then return text end
  local plain, escapes = unescape(text, escape)
  local first, last = plain:find(secret, 1, true)
  local parts, position, number = {}, 1, 0
  while first do
    local from, to, _
    from, _, number = source_of(first, escapes, number)
    _, to, number = source_of(last, escapes, number)
    parts[#parts + 1] = text:sub(position, from - 1)
    parts[#parts + 1] = REDACTED
    position = to + 1
    first, last = plain:find(secret, last + 1, true)
  end
  return table.concat(parts) .. text:sub(position)
end

local function replace(text, secret)
  text = replace_plain(text, secret)
  for _, escape in ipairs(ESCAPES) do text = replace_escaped(text, secret, escape) end
  return text
end

-- ---- values ---------------------------------------------------------------------------------

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
  for _, secret in ipairs(secrets) do value = replace(value, secret) end
  return value
end

--- Replaces every occurrence of a secret in a string, or in the strings of a table and its tables,
-- escaped or not.
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
