-- Logs many users in at once in a controller of cqueues (Debian: lua-cqueues). See crowd.lua for the users.
--
--   lua5.4 examples/loops/cqueues.lua

local crowd = require "examples.loops.crowd"
local cqueues = require "cqueues"

crowd.run(require "filescom.loop.cqueues", function (functions)
  local controller = cqueues.new()
  for _, f in ipairs(functions) do controller:wrap(f) end
  assert(controller:loop()) -- returns when nothing is left to wait for
end)
