--- Waiting in Copas: `filescom.new { loop = require "filescom.loop.copas" }`.
--
-- Copas does not tell which coroutines are its own: each that can yield is taken for one. It watches
-- LuaSocket's objects; the descriptor is shown to it as such, and read by a coroutine that lives as
-- long as calls wait. Works with Copas 1 (Debian's) as with later ones. Depends on copas and LuaSocket;
-- filescom.loop tells what these functions are.
--
-- @module filescom.loop.copas

local queue = require "copas"
local socket = require "socket"

local copas = {}

function copas.running()
  return queue
end

if queue.wakeup then

  copas.suspend = queue.pauseforever or function () queue.sleep(-1) end

  function copas.resume(waiting)
    queue.wakeup(waiting)
  end

else

  -- Copas 1 has no such functions, but puts what is yielded to it into the queue that comes along.
  local parking = {}

  function parking.insert() end

  function parking.push(_, place, waiting)
    place.coroutine = waiting
  end

  function copas.waiter()
    return {}
  end

  function copas.suspend(place)
    coroutine.yield(place, parking)
  end

  function copas.resume(place)
    queue.addthread(place.coroutine)
  end

end

-- Copas 1 has no clock.
copas.sleep = queue.pause or queue.sleep

-- What Copas and LuaSocket's select ask of a socket. A read is over when it has waited once.
local Watched = {}
Watched.__index = Watched

function Watched:getfd()
  return self.descriptor
end

function Watched:dirty()
  return self.has_ended
end

function Watched:receive()
  self.has_waited = not self.has_waited
  if self.has_waited and not self.has_ended then return nil, "timeout" end
  return ""
end

function Watched.settimeout() end

function Watched.close() end

function copas.watch(_, descriptor, step)
  if socket._SETSIZE and descriptor >= socket._SETSIZE then
    error("filescom: LuaSocket's select cannot watch a descriptor as high as " .. descriptor, 0)
  end
  local watched = setmetatable({ descriptor = descriptor, has_ended = false, has_waited = false }, Watched)
  queue.addthread(function ()
    while not watched.has_ended do
      queue.receive(watched)
      if not watched.has_ended then step() end
    end
  end)
  return function () watched.has_ended = true end
end

return copas
