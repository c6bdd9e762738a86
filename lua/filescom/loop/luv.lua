--- Waiting in libuv's loop, by luv: `filescom.new { loop = require "filescom.loop.luv" }`.
--
-- libuv knows no coroutines: each that can yield is taken for one that waits for its callbacks.
-- An error in a coroutine goes on in the callback that resumed it, with the coroutine's traceback.
-- Depends on luv; filescom.loop tells what these functions are.
--
-- @module filescom.loop.luv

local uv = require "luv"

local luv = {}

function luv.running()
  return uv
end

function luv.suspend()
  coroutine.yield()
end

function luv.resume(waiting)
  local ok, why = coroutine.resume(waiting)
  if not ok then error(debug.traceback(waiting, why), 0) end
end

function luv.sleep(seconds, waiting)
  local timer = assert(uv.new_timer())
  local is_over = false
  assert(timer:start(math.ceil(seconds * 1000), 0, function ()
    timer:close()
    is_over = true
    if coroutine.status(waiting) == "suspended" then luv.resume(waiting) end -- it may have been closed
  end))
  repeat coroutine.yield() until is_over
end

function luv.watch(_, descriptor, step)
  local poll = assert(uv.new_poll(descriptor))
  assert(poll:start("r", step))
  return function ()
    poll:stop()
    poll:close()
  end
end

return luv
