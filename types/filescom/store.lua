---@meta filescom.store

---Where keepers keep sessions.
---@class filescom.store
local stores = {}

---@class filescom.MemoryOptions
---@field now? fun(): number the clock: seconds since 1970

---@class filescom.RedisOptions
---@field host? string
---@field port? integer
---@field path? string a unix socket's, in place of host and port
---@field username? string
---@field password? string
---@field database? integer
---@field prefix? string put before the names of keys
---@field timeout? number seconds
---@field recheck? number seconds for which a process goes on with what it read

---What a store is: anybody may write one. A method that cannot do what it is asked returns nil and why.
---@class filescom.Store
---@field recheck? number seconds for which a process may go on with what it read
local Store = {}

---What is kept by a name: nil where nothing is, false and why where there is something that cannot be used.
---@param name string
---@return string|false|nil text
---@return string? why
function Store:get(name) end

---Keeps a text, in place of what was there.
---@param name string
---@param text string
---@param ttl number seconds after which it may be forgotten
---@return boolean? done
---@return string? why
function Store:set(name, text, ttl) end

---Keeps nothing by a name, whether there was something or not.
---@param name string
---@return boolean? done
---@return string? why
function Store:delete(name) end

---Takes a lock, or holds it for longer.
---@param name string
---@param token string whose lock it is
---@param ttl number seconds for which it is that token's from now on
---@return boolean? locked whether it was free or is that token's already
---@return string? why
function Store:lock(name, token, ttl) end

---Frees a lock if it is that token's, and only then.
---@param name string
---@param token string
---@return boolean? done
---@return string? why
function Store:unlock(name, token) end

---A store in this process's memory.
---@param options? filescom.MemoryOptions
---@return filescom.Store store
function stores.memory(options) end

---A store in a directory of files that only this user can read.
---@param directory string made where there is none
---@return filescom.Store store
function stores.file(directory) end

---A store for all workers of one nginx.
---@param dict string|table a `lua_shared_dict`, or its name
---@return filescom.Store store
function stores.shared_dict(dict) end

---A store in a Redis server, for several machines.
---@param options? filescom.RedisOptions
---@return filescom.Store store
function stores.redis(options) end

---A store whose texts another store holds encrypted (AES-256-GCM).
---@param store filescom.Store where they are held
---@param key string 32 bytes
---@return filescom.Store store
function stores.encrypted(store, key) end

return stores
