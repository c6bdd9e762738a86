--- Waiting in an event loop: a call made in a coroutine that a loop runs yields until its answer is
-- there, and any number of them are in flight behind the engine's one descriptor.
--
-- What a loop can do is told by an ADAPTER, a table of a few functions (`loop.of` documents them);
-- filescom.loop.luv, .cqueues and .copas are such, and so is what filescom.nginx gives. A PLACE is a
-- loop in which calls wait. It knows who waits for which exchange, has the descriptor watched for as
-- long as anybody does, steps the engine when the descriptor is readable, and resumes those whose
-- exchanges have ended, or need their caller for a body that is streamed.
--
-- Depends on filescom.core and filescom.protected; loaded only where a client is given a loop, and in nginx.
--
-- @module filescom.loop

local core = require "filescom.core"
local protected = require "filescom.protected"

local loop = {}

-- An exchange is held by whoever waits for it alone: it is cancelled when that is collected.
local places = {} -- where each exchange is waited for, by its id
local exchanges = setmetatable({}, { __mode = "v" })

-- ---- places ---------------------------------------------------------------------------------

local Place = {}
Place.__index = Place

--- Makes a place.
-- @tparam table adapter see `loop.of`
-- @treturn Place
function loop.place(adapter)
  local self = setmetatable({ adapter = adapter, waiters = {} }, Place)
  self._step = function () self:step() end
  return self
end

-- Has the descriptor watched for a loop of this place.
local function watch(self, running)
  if self._unwatch then return end
  local descriptor = core.descriptor() or core.usage_error("there is no descriptor to watch on this system")
  self._unwatch = self.adapter.watch(running, descriptor, self._step)
end

-- Where nobody waits any more nothing is watched: an idle loop may end.
local function unwatch(self)
  local stop = self._unwatch
  if stop and not self:is_waited_in() then
    self._unwatch = nil
    stop()
  end
end

-- Takes an exchange off the list; returns its waiter, where it was there.
local function take(id)
  local place = places[id]
  if not place then return nil end
  local waiter = place.waiters[id]
  places[id], exchanges[id], place.waiters[id] = nil, nil, nil
  return waiter, place.adapter
end

-- Resumes whoever waits for an exchange of which there is news. All of them, whatever one of them raises.
local function resume_waiters()
  local raised
  local id = core.next_news()
  while id do
    local waiter, adapter = take(id)
    if waiter then
      local ok, why = pcall(adapter.resume, waiter)
      if not ok then raised = raised or { why } end
    end
    id = core.next_news()
  end
  if raised then error(raised[1], 0) end
end

--- Does what there is to do now, without blocking, and resumes whoever has waited long enough.
-- @treturn boolean whether there was anything to do
function Place:step()
  local busy = core.step()
  resume_waiters()
  unwatch(self)
  return busy
end

--- Whether anybody waits here.
function Place:is_waited_in()
  return next(self.waiters) ~= nil
end

--- Cancels what those wait for that an adapter finds gone.
-- @tparam function is_gone is given what the adapter's `waiter` returned
function Place:cancel_gone(is_gone)
  for id, waiter in pairs(self.waiters) do
    if is_gone(waiter) then
      local exchange = exchanges[id]
      take(id)
      if exchange then exchange:cancel() end
    end
  end
end

-- ---- waiting --------------------------------------------------------------------------------

-- One call that waits. From Lua 5.4 on a coroutine may be closed meanwhile: that ends its visit.
local Visit = {}

local function leave(visit)
  take(visit.id)
  unwatch(visit.place)
end

function Visit.__close(visit)
  leave(visit)
  if not visit.is_over then visit.exchange:cancel() end
end

-- Notes a visit down before it waits, each time; false once there is nothing to wait for.
local function goes_on(visit)
  visit.is_over = visit.exchange:ready()
  if visit.is_over then return nil end
  local id, place = visit.id, visit.place
  watch(place, visit.running)
  places[id], exchanges[id], place.waiters[id] = place, visit.exchange, visit.waiter
  return true
end

--- Waits in the running coroutine, which yields, until an exchange is done or needs its caller.
-- @tparam userdata exchange
-- @param running what the adapter's `running` returned
function Place:wait(exchange, running)
  if exchange:ready() then return end
  local adapter = self.adapter
  local suspend = adapter.suspend
  local visit = setmetatable({
    id = exchange:id(), exchange = exchange, place = self, running = running,
    waiter = adapter.waiter(running),
  }, Visit)
  -- A generic `for` closes its fourth value, however it is left; versions before 5.4 ignore it.
  for _ in goes_on, visit, nil, visit do suspend(visit.waiter) end
  leave(visit)
  if adapter.release then adapter.release(visit.waiter) end
end

-- ---- coroutines -----------------------------------------------------------------------------

-- Lua 5.1 has no such function: there the main program is no coroutine, and the rest is not known.
local can_yield = rawget(coroutine, "isyieldable") or coroutine.running

-- The running coroutine. Where coxpcall is in use (Lua 5.1), the one that called its pcall.
local function running_coroutine()
  local coxpcall = package.loaded.coxpcall
  return protected.around(coxpcall and coxpcall.running() or (coroutine.running()))
end

-- ---- adapters -------------------------------------------------------------------------------

local REQUIRED = { "running", "suspend", "resume", "watch" }

local function check(adapter)
  if type(adapter) ~= "table" then
    core.usage_error("option 'loop' must be a table of functions, such as require 'filescom.loop.luv', got %s",
      type(adapter))
  end
  for _, name in ipairs(REQUIRED) do
    if type(adapter[name]) ~= "function" then
      core.usage_error("option 'loop' must have a function '%s', got %s", name, type(adapter[name]))
    end
  end
  for _, name in ipairs { "waiter", "sleep" } do
    if adapter[name] ~= nil and type(adapter[name]) ~= "function" then
      core.usage_error("option 'loop' must have a function as its '%s', got %s", name, type(adapter[name]))
    end
  end
end

-- Loops may be dropped with calls in flight, which are collected with them.
local function forget_collected()
  for id in pairs(places) do
    if not exchanges[id] then take(id) end
  end
end

local Loop = {}
Loop.__index = Loop

--- Where the running code waits.
-- @treturn[1] Place
-- @treturn[1] what the adapter's `running` returned
-- @treturn[2] nil where no loop runs it, and blocking is right
function Loop:place()
  local running = can_yield() and self._adapter.running()
  if not running then return nil end
  local place = self._places[running]
  if not place then
    forget_collected()
    place = loop.place(self._adapter)
    self._places[running] = place
  end
  return place, running
end

--- The open logins of a client in the running coroutine, for a logout that names none.
-- One coroutine's logins are never another's. Outside of the loop the client's own list is used.
-- @tparam Client client
-- @treturn table|nil
function Loop:open_logins(client)
  if not (can_yield() and self._adapter.running()) then return nil end
  local coroutine_ = running_coroutine()
  local by_client = self._open_logins[coroutine_] or {}
  self._open_logins[coroutine_] = by_client
  local list = client._open -- the same for a client that took another's place
  by_client[list] = by_client[list] or {}
  return by_client[list]
end

--- Whether coroutines can wait for a time here: not every adapter tells how.
function Loop:can_sleep()
  return self._adapter.sleep ~= nil
end

--- Waits for a time. The loop goes on meanwhile, where it runs the calling code.
-- @tparam number seconds fractions are allowed
function Loop:sleep(seconds)
  if not (can_yield() and self._adapter.running()) then return core.sleep(seconds) end
  self._adapter.sleep(seconds, running_coroutine())
end

-- Seconds after which a source that has nothing yet is asked again.
local REST = 0.005

--- Has the loop go on for a moment, where its adapter tells how.
-- @treturn ?function
function Loop:rest_function()
  return self:can_sleep() and function () self:sleep(REST) end or nil
end

local of_adapter = setmetatable({}, { __mode = "k" })

--- Waiting by an adapter. An adapter has these functions:
--
-- - `running()`: the loop that runs the calling coroutine, as any value that stands for it, or nil
--   where none does: the call then blocks. It is not asked in the main program, nor where nothing
--   can yield.
-- - `suspend(waiter)`: yields the running coroutine until `resume(waiter)`. It may return earlier.
-- - `resume(waiter)`: has the suspended coroutine go on, now or soon.
-- - `watch(running, descriptor, step)`: has that loop call `step()` whenever the descriptor can be
--   read, until the function that `watch` returns is called; from then on the loop must not stay
--   for it. Neither the loop nor a coroutine of its may be held by that function.
-- - `waiter(running)`, optional: a new value that stands for the calling coroutine while it waits.
--   By default it is the coroutine itself.
-- - `sleep(seconds, coroutine)`, optional, needed for keepers: has the calling coroutine, which it is
--   also given, yield for so long.
--
-- @tparam table adapter
-- @treturn Loop
function loop.of(adapter)
  check(adapter)
  local made = of_adapter[adapter]
  if not made then
    made = setmetatable({
      _adapter = {
        running = adapter.running, suspend = adapter.suspend, resume = adapter.resume,
        watch = adapter.watch, waiter = adapter.waiter or running_coroutine, sleep = adapter.sleep,
      },
      _places = setmetatable({}, { __mode = "k" }),
      _open_logins = setmetatable({}, { __mode = "k" }),
    }, Loop)
    of_adapter[adapter] = made
  end
  return made
end

--- How many calls wait in loops, for tests and status pages.
function loop.waiting()
  local count = 0
  for _ in pairs(places) do count = count + 1 end
  return count
end

return loop
