--- Random texts, from the system: who owns a lock, and how long a pause is.
--
-- Depends on nothing.
--
-- @module filescom.store.token

local token = {}

local function random_bytes(count)
  local source = assert(io.open("/dev/urandom", "rb"))
  source:setvbuf("no")
  local bytes = source:read(count)
  source:close()
  return bytes
end

--- A text that nobody else has.
-- @treturn string 32 hexadecimal digits
function token.new()
  return (random_bytes(16):gsub(".", function (byte) return ("%02x"):format(byte:byte()) end))
end

--- A number from 0 up to 1.
function token.fraction()
  local a, b = random_bytes(2):byte(1, 2)
  return (a * 256 + b) / 65536
end

return token
