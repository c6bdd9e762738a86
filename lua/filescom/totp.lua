--- Codes computed from a shared secret and the clock: RFC 6238 (TOTP), with SHA-1 and 30 seconds.
--
-- The HMAC is a library's: nginx's own inside nginx, elsewhere luaossl's. Depends on filescom.core
-- and one of these.
--
-- @module filescom.totp

local core = require "filescom.core"

local totp = {}

local STEP = 30 -- seconds
local DIGITS = 6
local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

-- The last step whose code was given away, by what tells secrets apart without telling them.
local last_given = {}

-- ---- libraries ------------------------------------------------------------------------------

local function find_hmac()
  local ngx = rawget(_G, "ngx")
  if ngx and ngx.hmac_sha1 then return ngx.hmac_sha1 end
  local found, hmac = pcall(require, "openssl.hmac")
  if not found then return nil end
  return function (key, text) return hmac.new(key, "sha1"):final(text) end
end

local hmac_sha1

local function need_hmac()
  hmac_sha1 = hmac_sha1 or find_hmac()
  if not hmac_sha1 then
    core.usage_error("otp_secret needs HMAC-SHA1: install luaossl (the module openssl.hmac)")
  end
end

-- ---- base32 ---------------------------------------------------------------------------------

-- The bytes of a base32 text (RFC 4648), or nil. People type and services show such secrets in
-- groups, in lower case, with and without padding.
local function decode_base32(text)
  local letters = text:gsub("[%s-]", ""):gsub("=+$", ""):upper()
  local bytes, held, bits = {}, 0, 0
  for letter in letters:gmatch(".") do
    local value = ALPHABET:find(letter, 1, true)
    if not value then return nil end
    held, bits = held * 32 + value - 1, bits + 5
    if bits >= 8 then
      bits = bits - 8
      local byte = math.floor(held / 2 ^ bits)
      bytes[#bytes + 1] = string.char(byte)
      held = held - byte * 2 ^ bits
    end
  end
  return #bytes > 0 and table.concat(bytes) or nil
end

-- Errors about a secret never repeat it.
local function bytes_of(secret)
  if type(secret) == "function" then secret = secret() end
  if type(secret) ~= "string" then
    core.usage_error("otp_secret must be a string or a function that returns one, got %s", type(secret))
  end
  return decode_base32(secret) or core.usage_error("otp_secret is not base32 (A-Z and 2-7)")
end

-- ---- codes ----------------------------------------------------------------------------------

-- A counter as eight bytes, the highest first.
local function eight_bytes(counter)
  local bytes = {}
  for place = 8, 1, -1 do
    bytes[place] = string.char(counter % 256)
    counter = math.floor(counter / 256)
  end
  return table.concat(bytes)
end

local function code_at(key, counter, digits)
  local mac = hmac_sha1(key, eight_bytes(counter))
  local offset = mac:byte(-1) % 16
  local a, b, c, d = mac:byte(offset + 1, offset + 4)
  local number = ((a % 128 * 256 + b) * 256 + c) * 256 + d
  return (("%%0%d.0f"):format(digits)):format(number % 10 ^ digits)
end

--- The code of a moment.
-- @tparam string|function secret base32, or what returns it
-- @tparam number time seconds since 1970
-- @tparam[opt=6] number digits how long the code is
-- @treturn string
function totp.code(secret, time, digits)
  need_hmac()
  return code_at(bytes_of(secret), math.floor(time / STEP), digits or DIGITS)
end

--- Raises an error where codes cannot be computed: no library, or no base32. A function is not asked.
-- @tparam string|function secret
function totp.check(secret)
  need_hmac()
  if type(secret) ~= "function" then bytes_of(secret) end
end

-- Steps that are over are nobody's any more.
local function forget_steps_before(counter)
  for fingerprint, given in pairs(last_given) do
    if given < counter then last_given[fingerprint] = nil end
  end
end

--- The code of now, or of the next step where this process has given away the current one's
-- already: a service takes each code once. Waits for that step.
-- @tparam string|function secret base32, or what returns it; not kept while this waits
-- @tparam table clock `now` and `sleep` (see filescom.clock)
-- @treturn string
function totp.next_code(secret, clock)
  need_hmac()
  local fingerprint = hmac_sha1(bytes_of(secret), "filescom")
  local current = math.floor(clock.now() / STEP)
  forget_steps_before(current)
  -- A clock that was set back does not make anyone wait for more than a step or two.
  local given = last_given[fingerprint]
  local counter = given and given >= current and math.min(given, current + 1) + 1 or current
  last_given[fingerprint] = counter
  local pause = counter * STEP - clock.now()
  if pause > 0 then clock.sleep(pause) end
  return code_at(bytes_of(secret), counter, DIGITS)
end

return totp
