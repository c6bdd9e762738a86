--- What a keeper writes into a store: a session and when it is to be renewed, or why a login was
-- refused and when the next may be tried; as JSON with a version.
--
-- A record has `obtained_at`, `renew_at` and `ends_at` (seconds since 1970, by the clock of whoever
-- logged in) along with its `session`; and `refusal` (the fields of an error), `failures` and
-- `next_try` where the last login was refused. It may have both.
--
-- Several versions of this library may share a store. What a later one adds are further fields, and
-- those that are not known are passed over here. Should one change what a field means, it has to write
-- another version and under another name: a version that is not known is somebody else's, and a
-- login replaces it. Depends on lua-cjson, filescom.core and filescom.errors.
--
-- @module filescom.store.record

local cjson = require "cjson"
local core = require "filescom.core"
local errors = require "filescom.errors"

local record = {}

local VERSION = 1
local USUAL_LIFETIME = 6 * 3600 -- seconds, where the service names no end

local json = cjson.new()
json.encode_sparse_array(true)
json.encode_invalid_numbers("null") -- what the service sent beyond a number's range must not lose the session
json.decode_invalid_numbers(false)

-- ---- times ----------------------------------------------------------------------------------

-- Days from 1970-01-01 to a date.
local function days_to(year, month, day)
  if month <= 2 then year, month = year - 1, month + 12 end
  local leap_days = math.floor(year / 4) - math.floor(year / 100) + math.floor(year / 400)
  return 365 * year + leap_days + math.floor((153 * (month - 3) + 2) / 5) + day - 719469
end

local function zone_of(text)
  if text == "Z" or text == "z" then return 0 end
  local sign, hours, minutes = text:match("^([+-])(%d%d):?(%d%d)$")
  if not sign then return nil end
  return (hours * 3600 + minutes * 60) * (sign == "-" and -1 or 1)
end

--- Reads a time as the service writes it.
-- @param text such as "2031-05-01T12:30:00Z" or "2031-05-01T08:30:00-04:00"
-- @treturn number|nil seconds since 1970
function record.parse_time(text)
  if type(text) ~= "string" then return nil end
  local year, month, day, hour, minute, second, rest =
    text:match("^(%d%d%d%d)-(%d%d)-(%d%d)[Tt ](%d%d):(%d%d):(%d%d)%.?%d*(.*)$")
  local offset = rest and zone_of(rest)
  if not offset then return nil end
  local days = days_to(tonumber(year), tonumber(month), tonumber(day))
  return days * 86400 + hour * 3600 + minute * 60 + second - offset
end

-- ---- making ---------------------------------------------------------------------------------

--- The record of a session that was obtained just now.
--
-- Where the service's clock or this machine's is off by so much that the session would be over
-- already, it is taken to last as long as they usually do. A session that lasts no longer than the
-- margin is renewed in the last half of its time.
--
-- @tparam table session
-- @tparam number now
-- @tparam number margin seconds before its end at which it is due
-- @treturn table
-- @treturn boolean whether the clocks disagree
function record.of_session(session, now, margin)
  local lifetime = (record.parse_time(session.timeout_at) or now + USUAL_LIFETIME) - now
  local clocks_disagree = lifetime <= 0
  if clocks_disagree then lifetime = USUAL_LIFETIME end
  return {
    session = session, obtained_at = now, ends_at = now + lifetime,
    renew_at = now + lifetime - math.min(margin, lifetime / 2),
  }, clocks_disagree
end

local ERROR_FIELDS = {
  type = "string", message = "string", title = "string", status = "number", request_id = "string",
  reason = "string",
}

-- The fields of an error that are worth keeping.
local function fields_of(err)
  local fields = {}
  for name, kind in pairs(ERROR_FIELDS) do
    if type(err[name]) == kind then fields[name] = err[name] end
  end
  return fields
end

--- Adds to a record that a login was refused.
-- @tparam table entry the record, changed in place
-- @tparam table err the error
-- @tparam number failures how many there have been in a row
-- @tparam number next_try when the next login is due
-- @tparam number now
function record.add_refusal(entry, err, failures, next_try, now)
  entry.refusal, entry.failures = fields_of(err), failures
  entry.refused_at, entry.next_try = now, next_try
end

--- The error that a record remembers.
-- @treturn table a new error: `remembered` is true, `next_try` tells when the next login is due
function record.error_of(entry)
  local err = errors.new(entry.refusal.type, entry.refusal.message)
  for name in pairs(ERROR_FIELDS) do err[name] = entry.refusal[name] or err[name] end
  err.remembered = true
  return err
end

-- ---- reading and writing --------------------------------------------------------------------

--- A record as a text.
function record.encode(entry)
  local fields = { filescom_keeper = VERSION }
  for name, value in pairs(entry) do fields[name] = value end
  return json.encode(fields)
end

local to_integer = rawget(math, "tointeger")

-- Whole numbers are integers where Lua has them, null is nil.
local function make_plain(value)
  if value == cjson.null then return nil end
  if type(value) == "number" then return to_integer and to_integer(value) or value end
  if type(value) ~= "table" then return value end
  for key, item in pairs(value) do value[key] = make_plain(item) end
  return value
end

local function is_error(refusal)
  if type(refusal) ~= "table" or type(refusal.type) ~= "string" or type(refusal.message) ~= "string" then
    return false
  end
  for name, kind in pairs(ERROR_FIELDS) do
    if refusal[name] ~= nil and type(refusal[name]) ~= kind then return false end
  end
  return true
end

local function are_numbers(entry, ...)
  for _, name in ipairs { ... } do
    if type(entry[name]) ~= "number" or entry[name] ~= entry[name] then return false end
  end
  return true
end

-- A session goes only where a login at this base URL could have led.
local function is_at_home(session, base_url)
  if session.base_url == base_url then return true end
  local host = type(session.base_url) == "string" and session.base_url:match("^%a+://([^/]+)")
  return host and core.region_base_url(base_url, host) == session.base_url or false
end

local function find_fault(entry, base_url)
  if type(entry) ~= "table" or entry.filescom_keeper == nil then return "it is not a keeper's record" end
  if entry.filescom_keeper ~= VERSION then
    return ("it is of version %s, and this is version %d"):format(tostring(entry.filescom_keeper), VERSION)
  end
  local session = entry.session
  if session ~= nil then
    if type(session) ~= "table" or not core.is_session_id(session.id)
      or not are_numbers(entry, "obtained_at", "renew_at", "ends_at") then
      return "its session cannot be used"
    end
    if base_url and not is_at_home(session, base_url) then return "its session belongs to another site" end
  end
  if entry.refusal ~= nil
    and not (is_error(entry.refusal) and are_numbers(entry, "failures", "next_try", "refused_at")) then
    return "its refusal cannot be read"
  end
end

--- Reads a text.
-- @tparam string text
-- @tparam[opt] string base_url where the reader's client logs in; nil: a session of any site is taken
-- @treturn[1] table the record
-- @treturn[2] nil
-- @treturn[2] string why it is none
function record.decode(text, base_url)
  local decoded, entry = pcall(json.decode, text)
  if not decoded then return nil, "it is not JSON" end
  entry = make_plain(entry)
  local fault = find_fault(entry, base_url)
  if fault then return nil, fault end
  return entry
end

return record
