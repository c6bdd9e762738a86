--- A store in the memory of this process. See filescom.store for what a store is.
--
-- Depends on filescom.clock.
--
-- @module filescom.store.memory

local clock = require "filescom.clock"
local stores = require "filescom.store"

local memory = {}

local Memory = {}
Memory.__index = Memory

-- What a table holds by that name and is not over yet. What has more than twice its time left was
-- made before the clock was set back: of such a lock's owner nobody could tell when it is dead.
local function held(self, entries, name)
  local entry = entries[name]
  if not entry then return nil end
  local left = entry.ends - self._now()
  if left > 0 and left <= 2 * entry.span then return entry.value end
  entries[name] = nil
end

local function hold(self, entries, name, value, ttl)
  entries[name] = { value = value, ends = self._now() + ttl, span = ttl }
  return true
end

function Memory:get(name)
  return held(self, self._texts, name)
end

function Memory:set(name, text, ttl)
  return hold(self, self._texts, name, text, ttl)
end

function Memory:delete(name)
  self._texts[name] = nil
  return true
end

function Memory:lock(name, token, ttl)
  local owner = held(self, self._locks, name)
  if owner and owner ~= token then return false end
  return hold(self, self._locks, name, token, ttl)
end

function Memory:unlock(name, token)
  if held(self, self._locks, name) == token then self._locks[name] = nil end
  return true
end

--- See `filescom.store.memory`.
function memory.new(options)
  options = stores._check_options(options, { now = "function" })
  return setmetatable({ _texts = {}, _locks = {}, _now = options.now or clock.now }, Memory)
end

return memory
