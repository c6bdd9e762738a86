--- Waiting in the controllers of cqueues: `filescom.new { loop = require "filescom.loop.cqueues" }`.
--
-- A coroutine that a controller runs yields; inside a coroutine of its own making, which the
-- controller does not know, a call blocks. Each controller watches by a coroutine that lives as
-- long as calls wait in it. Depends on cqueues; filescom.loop tells what these functions are.
--
-- @module filescom.loop.cqueues

local condition = require "cqueues.condition"
local queues = require "cqueues"

local cqueues = {}

function cqueues.running()
  local controller, is_its_own = queues.running()
  return is_its_own and controller
end

-- A condition: the coroutine is the controller's, and is collected with it.
function cqueues.waiter()
  return condition.new()
end

function cqueues.suspend(waiter)
  waiter:wait()
end

function cqueues.resume(waiter)
  waiter:signal()
end

function cqueues.sleep(seconds)
  queues.sleep(seconds)
end

function cqueues.watch(controller, descriptor, step)
  local ended = condition.new()
  local watching = true
  controller:wrap(function ()
    local readable = { pollfd = descriptor, events = "r" }
    while watching do
      queues.poll(readable, ended)
      if watching then step() end
    end
  end)
  return function ()
    watching = false
    ended:signal()
  end
end

return cqueues
