-- Logs many users in at once in Copas (Debian: lua-copas, for Lua 5.1 and LuaJIT). See crowd.lua for the users.
--
--   luajit examples/loops/copas.lua

local copas = require "copas" -- before anything that requires socket.http
local crowd = require "examples.loops.crowd"

crowd.run(require "filescom.loop.copas", function (functions)
  local left = #functions
  for _, f in ipairs(functions) do
    copas.addthread(function ()
      f()
      left = left - 1
    end)
  end
  -- copas.loop() of Copas 1 never returns; that of later ones does when nothing is left.
  while left > 0 do copas.step() end
end)
