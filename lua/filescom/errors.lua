--- What went wrong in the world, as the error tables of the public interface.
--
-- The service answers refusals in many shapes, and proxies in others: whatever comes, an error has
-- a type, a group and a readable message, and holds none of the caller's secrets. Depends on
-- filescom.redaction.
--
-- @module filescom.errors

local redaction = require "filescom.redaction"

local errors = {}

local MAX_TEXT = 500

--- An error. `tostring` makes one line of it to show a person.
-- @table Error
-- @field type always a string: the service's, such as "not-authenticated/locked-out", or this library's
-- @field group the part of `type` before the "/"
-- @field message readable text
-- @field title readable text, shorter
-- @field status the HTTP status, where an answer came
-- @field request_id for the service's support
-- @field retry_after seconds, where the service named them
-- @field data as the service sent it
-- @field errors as the service sent them
-- @field model_errors as the service sent them
-- @field reason why `get_code` gave up, or why a region was not followed
-- @field remembered true where a keeper tried no login now
-- @field next_try when a keeper's next login is tried, in seconds since 1970
local Error = {}
Error.__index = Error
Error.__name = "filescom.error"

-- One line to show a person.
function Error:__tostring()
  local notes = {}
  if self.status then notes[#notes + 1] = "HTTP " .. tostring(self.status) end
  if self.request_id then notes[#notes + 1] = "request " .. tostring(self.request_id) end
  if self.retry_after then notes[#notes + 1] = ("retry after %s s"):format(self.retry_after) end
  if self.reason then notes[#notes + 1] = tostring(self.reason) end
  local line = ("%s: %s"):format(tostring(self.type), tostring(self.message))
  if #notes > 0 then line = ("%s (%s)"):format(line, table.concat(notes, ", ")) end
  return (line:gsub("%c+", " "))
end

-- ---- text -----------------------------------------------------------------------------------

-- What may follow some leads: no overlong forms, surrogates, or more than Unicode has.
local SECOND = {
  [0xE0] = "^[\160-\191]", [0xED] = "^[\128-\159]", [0xF0] = "^[\144-\191]",
  [0xF4] = "^[\128-\143]",
}

local function valid_utf8_prefix(text, position)
  local lead = text:byte(position)
  if lead < 0x80 then return 1 end
  local size = lead >= 0xF0 and lead < 0xF5 and 4 or lead >= 0xE0 and lead < 0xF0 and 3
    or lead >= 0xC2 and lead < 0xE0 and 2
  if not size then return nil end
  local tail = text:sub(position + 1, position + size - 1)
  local sound = #tail == size - 1 and not tail:find("[^\128-\191]")
    and (not SECOND[lead] or tail:find(SECOND[lead]))
  return sound and size or nil
end

-- Replaces what is not UTF-8, so that the text can be shown and encoded anywhere.
local function valid_utf8(text)
  if not text:find("[\128-\255]") then return text end
  local parts, position = {}, 1
  while position <= #text do
    local size = valid_utf8_prefix(text, position)
    parts[#parts + 1] = size and text:sub(position, position + size - 1) or "?"
    position = position + (size or 1)
  end
  return table.concat(parts)
end

local function shortened(text)
  if #text <= MAX_TEXT then return text end
  local cut = MAX_TEXT
  while cut > 0 and text:byte(cut + 1) >= 0x80 and text:byte(cut + 1) < 0xC0 do cut = cut - 1 end
  return text:sub(1, cut) .. "..."
end

-- One readable line of a text that somebody else wrote, or nil where nothing of it is readable.
local function readable(text)
  if type(text) ~= "string" then return nil end
  text = valid_utf8(text:sub(1, 4 * MAX_TEXT))
  text = text:gsub("\194[\128-\159]", " ") -- control characters beyond ASCII
  text = text:gsub("[%z\1-\32\127]+", " "):gsub("^ +", ""):gsub(" +$", "")
  return text ~= "" and shortened(text) or nil
end

local TEXT_KEYS = { "error", "message", "detail", "title" }

-- The first readable text in an error body of whatever shape.
local function find_text(body, depth)
  if type(body) ~= "table" then return readable(body) end
  if depth == 0 then return nil end
  for _, key in ipairs(TEXT_KEYS) do
    local text = find_text(body[key], depth - 1)
    if text then return text end
  end
  return find_text(body.errors, depth - 1) or find_text(body[1], depth - 1)
end

-- ---- errors ---------------------------------------------------------------------------------

local function group_of(kind)
  return kind:match("^([^/]*)/") or kind
end

-- "not-authenticated/locked-out" reads "Locked out".
local function title_of(kind)
  local words = (kind:match("/(.*)$") or kind):gsub("[-_/]+", " ")
  return words:find("%w") and (words:gsub("^%l", string.upper)) or kind
end

local function service_type(body)
  local kind = type(body) == "table" and body.type
  local sound = type(kind) == "string" and #kind <= 200 and kind:find("^[%w][%w_./-]*$")
  return sound and kind or nil
end

local function status_message(failure)
  local kind = readable(failure.content_type)
  return ("the service answered HTTP %s%s"):format(tostring(failure.status),
    kind and " with " .. kind or " without a reason")
end

--- Makes an error of this library's own.
-- @tparam string kind its type, such as "session/none"
-- @tparam string message readable text
-- @treturn Error
-- @local
function errors.new(kind, message)
  return setmetatable({
    type = kind, group = group_of(kind), title = title_of(kind), message = message,
  }, Error)
end

local ENDED = { ["authentication-required"] = true, ["invalid-credentials"] = true }

--- Whether an error says that there is no such session (any more): the call was not performed.
-- @tparam table err
-- @treturn boolean
-- @local
function errors.says_ended(err)
  if err.type == "session/none" then return true end
  if err.status ~= 401 or err.group ~= "not-authenticated" then return false end
  local reason = err.type:match("/(.*)$") or ""
  return ENDED[reason] or reason:find("session", 1, true) ~= nil
end

--- Makes the public error of a failure that filescom.core told.
-- @tparam table failure `type` and `message`, or `status` and `body` (see lua_answer.c)
-- @tparam table secrets a list of strings that the error must not repeat
-- @treturn Error
-- @local
function errors.from_failure(failure, secrets)
  failure = redaction.redact(failure, secrets)
  local body = failure.body
  local fields = type(body) == "table" and body or {}
  local kind = failure.type or service_type(body) or "response/status"
  local text = failure.message or find_text(body, 4) or status_message(failure)
  -- Once more: line breaks within a repeated secret have become blanks.
  local err = errors.new(kind, redaction.redact(text, secrets))
  err.title = redaction.redact(readable(fields.title), secrets) or err.title
  err.status = failure.status
  err.request_id = readable(failure.request_id) or readable(fields.instance)
  -- A time that repeats a code, told as a number, has become a text: it is left out.
  err.retry_after = type(failure.retry_after) == "number" and failure.retry_after or nil
  err.data, err.errors, err.model_errors = fields.data, fields.errors, fields.model_errors
  return err
end

return errors
