--- A store whose texts another store holds encrypted. See filescom.store for what a store is.
--
-- AES-256-GCM by luaossl, with a fresh random nonce each time. The cipher's key is derived from the
-- user's for each name (HMAC-SHA-256), so that a text is good under its own name only. Depends on
-- luaossl (openssl.cipher, openssl.hmac, openssl.rand).
--
-- @module filescom.store.encrypted

local core = require "filescom.core"
local stores = require "filescom.store"

local encrypted = {}

local Encrypted = {}
Encrypted.__index = Encrypted

local CIPHER = "aes-256-gcm"
local HEAD = "filescom-aes-256-gcm-1\n"
local KEY_SIZE, NONCE_SIZE, TAG_SIZE = 32, 12, 16

-- ---- the cipher -----------------------------------------------------------------------------

-- luaossl, or nil where it is not installed.
local function find_library()
  local found, cipher = pcall(require, "openssl.cipher")
  if not found then return nil end
  return { cipher = cipher, hmac = require "openssl.hmac", rand = require "openssl.rand" }
end

local function key_of(self, name)
  return self._library.hmac.new(self._key, "sha256"):final("filescom session\n" .. name)
end

local function encrypt(self, name, text)
  local nonce = self._library.rand.bytes(NONCE_SIZE)
  local cipher = self._library.cipher.new(CIPHER):encrypt(key_of(self, name), nonce)
  local secret = cipher:final(text)
  return HEAD .. nonce .. cipher:getTag(TAG_SIZE) .. secret
end

-- The text, or false and why it cannot be had.
local function decrypt(self, name, sealed)
  if sealed:sub(1, #HEAD) ~= HEAD or #sealed < #HEAD + NONCE_SIZE + TAG_SIZE then
    return false, "it is not encrypted as this library does"
  end
  local nonce = sealed:sub(#HEAD + 1, #HEAD + NONCE_SIZE)
  local tag = sealed:sub(#HEAD + NONCE_SIZE + 1, #HEAD + NONCE_SIZE + TAG_SIZE)
  local cipher = self._library.cipher.new(CIPHER):decrypt(key_of(self, name), nonce)
  cipher:setTag(tag)
  local text = cipher:final(sealed:sub(#HEAD + NONCE_SIZE + TAG_SIZE + 1))
  if text then return text end
  return false, "it was encrypted with another key or under another name, or it was changed"
end

-- ---- the store ------------------------------------------------------------------------------

function Encrypted:get(name)
  local sealed, why = self._store:get(name)
  if not sealed then return sealed, why end
  local last = self._last[name]
  if last and last.sealed == sealed then return last.text end
  local text
  text, why = decrypt(self, name, sealed)
  if text then self._last[name] = { sealed = sealed, text = text } end
  return text, why
end

function Encrypted:set(name, text, ttl)
  return self._store:set(name, encrypt(self, name, text), ttl)
end

function Encrypted:delete(name)
  self._last[name] = nil
  return self._store:delete(name)
end

function Encrypted:lock(name, token, ttl)
  return self._store:lock(name, token, ttl)
end

function Encrypted:unlock(name, token)
  return self._store:unlock(name, token)
end

--- See `filescom.store.encrypted`.
function encrypted.new(store, key)
  stores._check(store)
  if type(key) ~= "string" or #key ~= KEY_SIZE then
    core.usage_error("the key of an encrypted store must be a string of %d bytes", KEY_SIZE)
  end
  local library = find_library()
  if not library then core.usage_error("an encrypted store needs luaossl (the module openssl.cipher)") end
  return setmetatable({
    _store = store, _key = key, _library = library, _last = {}, recheck = store.recheck,
  }, Encrypted)
end

return encrypted
