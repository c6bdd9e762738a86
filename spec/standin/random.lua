-- Unguessable ids and codes.
-- Depends on luaossl's openssl.rand alone.

local rand = require("openssl.rand")

local random = {}

local ALPHABETS = {
  digits = "0123456789",
  modhex = "cbdefghijklnrtuv",
}

--- Returns `words` times 16 random hexadecimal digits.
function random.hex(words)
  local bytes = rand.bytes(8 * words)
  return (string.rep("%016x", words)):format(string.unpack(string.rep("I8", words), bytes))
end

--- Returns a random id shaped like a UUID.
function random.uuid()
  local a, b, c, d, e, f = string.unpack("I4I2I2I2I4I2", rand.bytes(16))
  return ("%08x-%04x-4%03x-%04x-%08x%04x"):format(a, b, c & 0xFFF, d & 0x3FFF | 0x8000, e, f)
end

--- Returns `count` random characters of an alphabet: "digits" or "modhex" (what a YubiKey types).
function random.text(alphabet, count)
  local letters = ALPHABETS[alphabet]
  local text = {}
  for i = 1, count do
    local pick = rand.uniform(#letters) + 1
    text[i] = letters:sub(pick, pick)
  end
  return table.concat(text)
end

return random
