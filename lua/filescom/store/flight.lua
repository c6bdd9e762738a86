--- One renewal at a time in each nginx worker, and requests that wait for it.
--
-- A timer makes it, so that it goes on when the request that wanted it is killed. Depends on
-- filescom.nginx, filescom.errors and ngx_lua; loaded only inside nginx. For filescom.keeper.
--
-- @module filescom.store.flight

local errors = require "filescom.errors"
local nginx = require "filescom.nginx"
local renewal = require "filescom.store.renewal"
local semaphore = require "ngx.semaphore"

local ngx = ngx

local flight = {}

-- Lands a flight: whoever waits gets what came of it.
local function land(keeper, journey)
  local ok, session, err = pcall(renewal.run, keeper)
  keeper._flight = nil
  journey.is_over = true
  if ok then
    journey.session, journey.err = session, err
  else
    journey.raised = session
    if journey.waiting == 0 then ngx.log(ngx.ERR, "filescom: keeper: ", session) end
  end
  if journey.waiting > 0 then journey.semaphore:post(journey.waiting) end
end

-- The flight that is under way, or a new one; nil where nginx has no timer for it: it says so, or
-- raises where connections have run out.
local function join(keeper)
  local journey = keeper._flight
  if journey then return journey end
  journey = { semaphore = semaphore.new(0), waiting = 0 }
  local called, started = pcall(ngx.timer.at, 0, function () land(keeper, journey) end)
  if not (called and started) then return nil end
  keeper._flight = journey
  return journey
end

local function await(keeper, journey)
  if not journey.is_over then
    journey.waiting = journey.waiting + 1
    journey.semaphore:wait(keeper._wait + keeper._lock_ttl)
  end
  if journey.raised then error(journey.raised, 0) end
  if journey.is_over then return journey.session, journey.err end
  return nil, errors.new("keeper/timeout", "the login was not over in time")
end

--- Obtains a session; see `filescom.store.renewal.run`.
-- @tparam Keeper keeper
-- @tparam[opt] Session alive one that is good for a while yet: then nobody waits
-- @treturn[1] Session
-- @treturn[2] nil
-- @treturn[2] table the error
function flight.obtain(keeper, alive)
  if not alive and not nginx.waiter() then return renewal.run(keeper) end
  local journey = join(keeper)
  if alive then return alive end
  -- Without a timer, as in a worker that is about to exit, the request does it itself.
  if not journey then return renewal.run(keeper) end
  return await(keeper, journey)
end

return flight
