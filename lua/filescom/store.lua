--- Where keepers keep sessions: the interface of a store, and the stores of this library.
--
-- A store is a table (or an object) with five methods, those of `Store`, and anybody may write one;
-- spec/keeper/conformance.lua checks it. Each store of this library is loaded when it is used.
-- Depends on filescom.core.
--
-- @module filescom.store
-- @alias stores

local core = require "filescom.core"

local stores = {}

local METHODS = { "get", "set", "delete", "lock", "unlock" }

--- A store in this process's memory.
-- @tparam[opt] table options `now`: the clock (see filescom.clock)
-- @treturn Store
function stores.memory(options)
  return require("filescom.store.memory").new(options)
end

--- A store in a directory of files that only this user can read.
-- @tparam string directory made with mode 0700 where there is none
-- @treturn Store
function stores.file(directory)
  return require("filescom.store.file").new(directory)
end

--- A store for all workers of one nginx.
-- @tparam string|table dict a `lua_shared_dict`, or its name
-- @treturn Store
function stores.shared_dict(dict)
  return require("filescom.store.shared_dict").new(dict)
end

--- A store in a Redis server, for several machines.
-- @tparam[opt] table options `host`, `port`, `path`, `username`, `password`, `database`, `prefix`,
--   `timeout`, `recheck`: see doc/keepers.md
-- @treturn Store
function stores.redis(options)
  return require("filescom.store.redis").new(options)
end

--- A store whose texts another store holds encrypted (AES-256-GCM).
-- @tparam Store store where they are held
-- @tparam string key 32 bytes
-- @treturn Store
function stores.encrypted(store, key)
  return require("filescom.store.encrypted").new(store, key)
end

--- Raises an error where a value is no store.
-- @param value anything
-- @return the value
-- @local
function stores._check(value)
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
-- @local
function stores._check_options(options, known)
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

--- What a store is: these methods, and perhaps a field `recheck`, for how many seconds a process may go
-- on with what it read; that is for stores that are slow to ask.
--
-- A `name` is a string of up to 80 bytes, a `text` a string of any bytes; `ttl` is in seconds, perhaps
-- with a fraction. Locks and texts are apart: a lock keeps nobody from reading or writing. Whoever
-- shares a store has to see at once what another set or locked. A method that cannot do what it is
-- asked returns nil and why.
-- @type Store

--- What is kept by a name. What is there and cannot be used (it was tampered with, its key is another)
-- counts as nothing, is told, and stays until a login replaces it.
-- @function Store:get
-- @tparam string name
-- @treturn[1] string the text
-- @treturn[2] nil where there is none (any more)
-- @treturn[3] boolean false where there is one that cannot be used
-- @treturn[3] string why

--- Keeps a text, in place of what was there.
-- @function Store:set
-- @tparam string name
-- @tparam string text
-- @tparam number ttl seconds after which it may be forgotten
-- @treturn boolean true

--- Keeps nothing by a name, whether there was something or not.
-- @function Store:delete
-- @tparam string name
-- @treturn boolean true

--- Takes a lock, or holds it for longer.
-- @function Store:lock
-- @tparam string name
-- @tparam string token whose lock it is
-- @tparam number ttl seconds for which it is that token's from now on
-- @treturn boolean whether it was free or is that token's already

--- Frees a lock if it is that token's, and only then.
-- @function Store:unlock
-- @tparam string name
-- @tparam string token
-- @treturn boolean true

return stores
