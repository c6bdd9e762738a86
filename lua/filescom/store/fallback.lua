--- A store that goes on in this process's memory while another cannot be asked. See filescom.store for
-- what a store is.
--
-- What is written and what is read goes into memory as well, so that the last session is there when
-- the other fails. Having failed, that one is left alone for a while. What memory alone was given
-- meanwhile goes there when it can be asked again, unless somebody else wrote something. Depends on
-- filescom.store.
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

-- Asks the other store by a method, or memory where that fails: then the third result is true.
local function ask(self, method, ...)
  local result, why
  if may_ask(self) then
    result, why = self._store[method](self._store, ...)
    if result ~= nil or why == nil then return result, why end
    note_failure(self, why)
  end
  result, why = self._memory[method](self._memory, ...)
  return result, why, true
end

-- Gives the other store what it missed, where it holds what it did before, or nothing (it was started
-- again). Returns what it holds by then.
local function catch_up(self, name, text)
  local missed = self._missed[name]
  self._missed[name] = nil
  if text ~= nil and text ~= missed.over then return text end
  if not missed.text then
    self._store:delete(name)
    return nil
  end
  local left = missed.ends - self._clock.now()
  if left > 0 and self._store:set(name, missed.text, left) then return missed.text end
  return text
end

function Fallback:get(name)
  local text, why, by_memory = ask(self, "get", name)
  if by_memory then return text end
  if self._missed[name] then text = catch_up(self, name, text) end
  if text ~= self._texts[name] then
    self._texts[name] = text
    if text then self._memory:set(name, text, KEPT) else self._memory:delete(name) end
  end
  return text, why
end

-- Notes what was written, nil for a deletion: whether the other store has it, or missed it.
local function note_written(self, name, by_memory, text, ends)
  if by_memory then
    self._missed[name] = { text = text, ends = ends, over = self._texts[name] or nil }
  else
    self._missed[name], self._texts[name] = nil, text
  end
end

function Fallback:set(name, text, ttl)
  self._memory:set(name, text, ttl)
  local result, why, by_memory = ask(self, "set", name, text, ttl)
  note_written(self, name, by_memory, text, self._clock.now() + ttl)
  return result, why
end

function Fallback:delete(name)
  self._memory:delete(name)
  local result, why, by_memory = ask(self, "delete", name)
  note_written(self, name, by_memory, nil)
  return result, why
end

function Fallback:lock(name, token, ttl)
  local result, why = ask(self, "lock", name, token, ttl)
  return result, why
end

function Fallback:unlock(name, token)
  self._memory:unlock(name, token)
  local result, why = ask(self, "unlock", name, token)
  return result, why
end

--- Makes a store of two.
-- @tparam table store the one that may fail
-- @tparam table clock see filescom.clock
-- @tparam function report given why the store could not be asked
-- @treturn table a store
function fallback.new(store, clock, report)
  return setmetatable({
    _store = store, _memory = stores.memory { now = clock.now }, _clock = clock, _report = report,
    _texts = {}, _missed = {}, _rests_until = 0, recheck = store.recheck,
  }, Fallback)
end

return fallback
