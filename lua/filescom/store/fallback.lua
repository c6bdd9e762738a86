--- A store that goes on in this process's memory while another cannot be asked. See filescom.store for
-- what a store is.
--
-- What is written and what is read goes into memory as well, so that the last session is there when
-- the other fails. Having failed, that one is left alone for a while. Depends on filescom.store.
--
-- @module filescom.store.fallback

local stores = require "filescom.store"

local fallback = {}

local Fallback = {}
Fallback.__index = Fallback

local PAUSE = 5 -- seconds in which a store that failed is not asked again
local KEPT = 86400 -- seconds for which memory keeps what was read; what it is good for it tells itself

local function note_failure(self, why)
  self._rests_until = self._clock.now() + PAUSE
  self._report(why)
end

-- Whether the other store is to be asked. A clock that was set back makes it rest no longer.
local function may_ask(self)
  local left = self._rests_until - self._clock.now()
  return left <= 0 or left > PAUSE
end

-- Asks the other store by a method, or memory where that fails.
local function ask(self, method, ...)
  if may_ask(self) then
    local result, why = self._store[method](self._store, ...)
    if result ~= nil or why == nil then return result, why end
    note_failure(self, why)
  end
  return self._memory[method](self._memory, ...)
end

function Fallback:get(name)
  local text, why = ask(self, "get", name)
  if text ~= self._texts[name] then
    self._texts[name] = text
    if text then self._memory:set(name, text, KEPT) else self._memory:delete(name) end
  end
  return text, why
end

function Fallback:set(name, text, ttl)
  self._memory:set(name, text, ttl)
  return ask(self, "set", name, text, ttl)
end

function Fallback:delete(name)
  self._memory:delete(name)
  return ask(self, "delete", name)
end

function Fallback:lock(name, token, ttl)
  return ask(self, "lock", name, token, ttl)
end

function Fallback:unlock(name, token)
  self._memory:unlock(name, token)
  return ask(self, "unlock", name, token)
end

--- Makes a store of two.
-- @tparam table store the one that may fail
-- @tparam table clock see filescom.clock
-- @tparam function report given why the store could not be asked
-- @treturn table a store
function fallback.new(store, clock, report)
  return setmetatable({
    _store = store, _memory = stores.memory { now = clock.now }, _clock = clock, _report = report,
    _texts = {}, _rests_until = 0, recheck = store.recheck,
  }, Fallback)
end

return fallback
