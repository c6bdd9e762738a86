-- Logs many users in at once in libuv's loop, by luv (Debian: lua-luv). See crowd.lua for the users.
--
--   lua5.4 examples/loops/luv.lua

local crowd = require "examples.loops.crowd"
local uv = require "luv"

crowd.run(require "filescom.loop.luv", function (functions)
  for _, f in ipairs(functions) do coroutine.wrap(f)() end
  uv.run() -- returns when nothing is left to wait for
end)
