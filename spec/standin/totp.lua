-- One-time passwords from a shared secret and the clock: RFC 4226 (HOTP) and RFC 6238 (TOTP).
-- Depends on luaossl's openssl.hmac alone.

local hmac = require("openssl.hmac")

local totp = {}

local BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
local DIGESTS = { SHA1 = "sha1", SHA256 = "sha256", SHA512 = "sha512" }

--- Decodes base32 (RFC 4648). Case, blanks and padding do not matter, as people type such secrets by hand.
-- Returns the bytes, or nil and what is wrong.
function totp.base32_decode(text)
  local bytes, bits, held = {}, 0, 0
  for letter in text:upper():gsub("[%s=]", ""):gmatch(".") do
    local value = BASE32:find(letter, 1, true)
    if not value then
      return nil, "not a base32 letter: " .. letter
    end
    held, bits = (held << 5 | value - 1) & 0xFFFF, bits + 5
    if bits >= 8 then
      bits = bits - 8
      bytes[#bytes + 1] = string.char(held >> bits & 0xFF)
    end
  end
  return table.concat(bytes)
end

--- The code of a counter. `secret` is bytes; `digits` defaults to 6, `algorithm` to SHA1.
function totp.hotp(secret, counter, digits, algorithm)
  local digest = assert(DIGESTS[algorithm or "SHA1"], "algorithm must be SHA1, SHA256 or SHA512")
  local mac = hmac.new(secret, digest):final(string.pack(">I8", counter))
  local offset = mac:byte(-1) & 0xF
  local value = string.unpack(">I4", mac, offset + 1) & 0x7FFFFFFF
  digits = digits or 6
  return ("%0" .. digits .. "d"):format(value % math.tointeger(10 ^ digits))
end

--- The counter of a moment (seconds since 1970), for steps of `step` seconds (default 30).
function totp.counter(time, step)
  return math.floor(time) // (step or 30)
end

return totp
