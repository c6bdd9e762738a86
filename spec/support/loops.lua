-- The event loops that the specs run calls in, each by the same few functions:
--
--   loop.name                what it is called
--   loop.adapter             what a client is given as its option `loop`
--   loop.start(f)            begins a coroutine in the loop, which runs until it first waits; returns it
--   loop.run()               runs the loop until every coroutine that was started has ended
--   loop.sleep(seconds)      waits in a coroutine of the loop
--   loop.is_idle()           whether the loop would end by itself now
--
-- Depends on luv, cqueues, copas and LuaSocket, as Debian has them, and on filescom.

local socket = require("socket")

local loops = {}

-- Debian has Copas for Lua 5.1 alone; it is written in Lua, and runs on every version.
local function require_copas()
  local path = package.path
  package.path = path .. ";/usr/share/lua/5.1/?.lua"
  local copas = require("copas")
  package.path = path
  return copas
end

-- ---- luv ----------------------------------------------------------------------------------------------------------

function loops.luv()
  local uv = require("luv")
  local loop = { name = "luv", adapter = require("filescom.loop.luv") }

  local function resume(thread)
    local ok, why = coroutine.resume(thread)
    if not ok then
      error(debug.traceback(thread, why), 0)
    end
  end

  function loop.start(f)
    local thread = coroutine.create(f)
    resume(thread)
    return thread
  end

  function loop.run()
    uv.run()
  end

  function loop.sleep(seconds)
    local thread = coroutine.running()
    local timer = uv.new_timer()
    timer:start(math.floor(seconds * 1000), 0, function()
      timer:close()
      resume(thread)
    end)
    coroutine.yield()
  end

  function loop.is_idle()
    uv.run("nowait") -- closed handles go with the next turn
    return not uv.loop_alive()
  end

  return loop
end

-- ---- cqueues ------------------------------------------------------------------------------------------------------

function loops.cqueues()
  local cqueues = require("cqueues")
  local controller = cqueues.new()
  local loop = { name = "cqueues", adapter = require("filescom.loop.cqueues"), controller = controller }

  function loop.start(f)
    local thread
    controller:wrap(function()
      thread = coroutine.running()
      f()
    end)
    assert(controller:step(0))
    return thread
  end

  function loop.run()
    assert(controller:loop())
  end

  loop.sleep = cqueues.sleep

  function loop.is_idle()
    assert(controller:step(0))
    return controller:empty()
  end

  return loop
end

-- ---- copas --------------------------------------------------------------------------------------------------------

-- Copas 1 never ends by itself, and has no clock: whoever runs it knows what is left, and until when to wait.
function loops.copas()
  local copas = require_copas()
  local loop = { name = "copas", adapter = require("filescom.loop.copas") }
  local started, sleeping = {}, {}

  local function is_any_alive()
    for thread in pairs(started) do
      if coroutine.status(thread) ~= "dead" then
        return true
      end
    end
    return false
  end

  function loop.start(f)
    local thread = coroutine.create(f)
    started[thread] = true
    copas.addthread(thread)
    return thread
  end

  -- Copas puts what is yielded to it into the queue that comes along.
  local sleepers = { insert = function() end }

  function sleepers.push(_, at, thread)
    sleeping[thread] = at
  end

  function loop.sleep(seconds)
    coroutine.yield(socket.gettime() + seconds, sleepers)
  end

  local function wake_sleepers()
    local now = socket.gettime()
    local due = {}
    for thread, at in pairs(sleeping) do
      due[#due + 1] = at <= now and thread or nil
    end
    for _, thread in ipairs(due) do
      sleeping[thread] = nil
      copas.addthread(thread)
    end
  end

  local function until_next_wake()
    local seconds
    for _, at in pairs(sleeping) do
      seconds = math.min(seconds or math.huge, math.max(0, at - socket.gettime()))
    end
    return seconds
  end

  if copas.pause then
    loop.sleep = copas.pause
  end

  function loop.run()
    while is_any_alive() do
      copas.step(until_next_wake())
      wake_sleepers()
    end
    started = {}
  end

  -- With nothing to watch there is nothing to do. The first step lets go what has ended.
  function loop.is_idle()
    copas.step(0)
    return copas.step(0) == false
  end

  return loop
end

-- ---- a loop of one's own ------------------------------------------------------------------------------------------

-- What a user would write who has no library: coroutines, a clock and select.
function loops.own()
  local loop = { name = "a loop of one's own", adapter = {} }
  local ready, sleeping, watched = {}, {}, {}
  local threads = setmetatable({}, { __mode = "k" })

  local function resume(thread)
    local ok, why = coroutine.resume(thread)
    if not ok then
      error(debug.traceback(thread, why), 0)
    end
  end

  function loop.start(f)
    local thread = coroutine.create(f)
    threads[thread] = true
    resume(thread)
    return thread
  end

  local function next_wake()
    local soonest
    for thread, at in pairs(sleeping) do
      if not soonest or at < sleeping[soonest] then
        soonest = thread
      end
    end
    return soonest, soonest and sleeping[soonest]
  end

  local function objects()
    local list = {}
    for object in pairs(watched) do
      list[#list + 1] = object
    end
    return list
  end

  local function turn()
    local sleeper, at = next_wake()
    local readable = socket.select(objects(), nil, ready[1] and 0 or at and math.max(0, at - socket.gettime()))
    for _, object in ipairs(readable) do
      if watched[object] then
        watched[object]()
      end
    end
    local now = ready
    ready = {}
    for _, thread in ipairs(now) do
      resume(thread)
    end
    if sleeper and socket.gettime() >= at then
      sleeping[sleeper] = nil
      resume(sleeper)
    end
  end

  function loop.is_idle()
    return not (ready[1] or next(sleeping) or next(watched))
  end

  function loop.run()
    while not loop.is_idle() do
      turn()
    end
  end

  function loop.sleep(seconds)
    sleeping[coroutine.running()] = socket.gettime() + seconds
    coroutine.yield()
  end

  -- The documented interface, and all of it that such a loop needs.

  loop.adapter.sleep = loop.sleep

  function loop.adapter.running()
    return threads[coroutine.running()] and loop
  end

  loop.adapter.suspend = function()
    coroutine.yield()
  end

  function loop.adapter.resume(thread)
    ready[#ready + 1] = thread
  end

  function loop.adapter.watch(_, descriptor, step)
    local object = {
      getfd = function()
        return descriptor
      end,
      dirty = function()
        return false
      end,
    }
    watched[object] = step
    return function()
      watched[object] = nil
    end
  end

  return loop
end

return loops
