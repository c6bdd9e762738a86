--- Where keepers keep sessions: the interface of a store, and the stores of this library.
--
-- A store is a table (or an object) with five methods, and anybody may write one. A `name` is a
-- string of up to 80 bytes, a `text` a string of any bytes; `ttl` is in seconds, perhaps with a
-- fraction.
--
--    store:get(name)               the text; nil where there is none (any more)
--    store:set(name, text, ttl)    true; replaces what was there, and may forget it after ttl
--    store:delete(name)            true, also where there was none
--    store:lock(name, token, ttl)  true where the lock is free or is that token's already, and from
--                                  now on it is that token's for ttl; false where it is another's
--    store:unlock(name, token)     true; frees the lock if it is that token's, and only then
--
-- Locks and texts are apart: a lock keeps nobody from reading or writing. Whoever shares a store
-- has to see at once what another set or locked. A store that cannot do what it is asked returns
-- nil and why. `get` may return false and why for something that is there and cannot be used (it
-- was tampered with, its key is another): that counts as nothing, is told, and stays until a login
-- replaces it. A field `recheck` tells for how many seconds a process may go on with what it read;
-- it is for stores that are slow to ask.
--
-- spec/keeper/conformance.lua checks a store. Each store of this library is loaded when it is used.
-- Depends on filescom.core.
--
-- @module filescom.store

local core = require "filescom.core"

local stores = {}

local METHODS = { "get", "set", "delete", "lock", "unlock" }

--- A store in this process's memory.
-- @tparam[opt] table options `now`: the clock (see filescom.clock)
-- @treturn table a store
function stores.memory(options)
  return require("filescom.store.memory").new(options)
end

--- A store in a directory of files that only this user can read.
-- @tparam string directory made with mode 0700 where there is none
-- @treturn table a store
function stores.file(directory)
  return require("filescom.store.file").new(directory)
end

--- A store for all workers of one nginx.
-- @tparam string|table dict a `lua_shared_dict`, or its name
-- @treturn table a store
function stores.shared_dict(dict)
  return require("filescom.store.shared_dict").new(dict)
end

--- A store in a Redis server, for several machines.
-- @tparam[opt] table options `host`, `port`, `path`, `username`, `password`, `database`, `prefix`,
--   `timeout`, `recheck`: see the README's table
-- @treturn table a store
function stores.redis(options)
  return require("filescom.store.redis").new(options)
end

--- A store whose texts another store holds encrypted (AES-256-GCM).
-- @tparam table store where they are held
-- @tparam string key 32 bytes
-- @treturn table a store
function stores.encrypted(store, key)
  return require("filescom.store.encrypted").new(store, key)
end

--- Raises an error where a value is no store.
-- @param value anything
-- @return the value
function stores.check(value)
  if type(value) ~= "table" and type(value) ~= "userdata" then
    core.usage_error("a store must be a table, got %s", type(value))
  end
  for _, method in ipairs(METHODS) do
    if type(value[method]) ~= "function" then core.usage_error("a store must have the method '%s'", method) end
  end
  return value
end

--- Raises an error for an option that is unknown or of a wrong type.
-- @tparam ?table options
-- @tparam table known the type of each, by name
-- @treturn table the options, a new table
function stores.check_options(options, known)
  local copy = {}
  if options ~= nil and type(options) ~= "table" then
    core.usage_error("options must be a table, got %s", type(options))
  end
  for name, value in pairs(options or {}) do
    if not known[name] then core.usage_error("unknown option '%s'", tostring(name)) end
    if type(value) ~= known[name] then
      core.usage_error("option '%s' must be a %s, got %s", name, known[name], type(value))
    end
    copy[name] = value
  end
  return copy
end

return stores
