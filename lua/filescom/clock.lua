--- The time of day, and waiting: as plain Lua has them, and as nginx has them.
--
-- Whoever depends on time takes it from a clock, a table of two functions, so that tests bring
-- their own. Depends on filescom.core; inside nginx on filescom.nginx.
--
-- @module filescom.clock

local core = require "filescom.core"

local ngx = rawget(_G, "ngx")

local clock = {}

--- Seconds since 1970.
clock.now = ngx and ngx.now or os.time

--- Waits. Inside nginx the worker goes on meanwhile, where the phase lets it.
-- @tparam number seconds fractions are allowed
function clock.sleep(seconds)
  if ngx and require("filescom.nginx").place() then return ngx.sleep(seconds) end
  core.sleep(seconds)
end

return clock
