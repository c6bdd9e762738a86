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

-- Seconds in which a timer begins. Where all that may run do, nginx drops it without a word to us.
local START = 1

-- Ends a flight, whether it landed or is given up, unless another has taken its place already.
local function forget(keeper, journey)
  if keeper._flight == journey then keeper._flight = nil end
end

-- Lands a flight: whoever waits gets what came of it.
local function land(keeper, journey)
  journey.has_begun = true
  local ok, session, err = pcall(renewal.run, keeper)
  forget(keeper, journey)
  journey.is_over = true
  if ok then
    journey.session, journey.err = session, err
  else
    journey.raised = session
    if journey.waiting == 0 then ngx.log(ngx.ERR, "filescom: keeper: ", session) end
  end
  if journey.waiting > 0 then journey.semaphore:post(journey.waiting) end
end

local function is_lost(journey)
  return not journey.has_begun and ngx.now() - journey.asked_at >= START
end

-- The flight that is under way, or a new one; nil where nginx has no timer for it: it says so, or
-- raises where connections have run out.
local function join(keeper)
  local journey = keeper._flight
  if journey and not is_lost(journey) then return journey end
  journey = { semaphore = semaphore.new(0), waiting = 0, asked_at = ngx.now() }
  local called, started = pcall(ngx.timer.at, 0, function () land(keeper, journey) end)
  if not (called and started) then return nil end
  keeper._flight = journey
  return journey
end

-- Waits until a flight has landed, or not for longer.
local function await(journey, seconds)
  if journey.is_over then return end
  journey.waiting = journey.waiting + 1
  journey.semaphore:wait(seconds)
  journey.waiting = journey.waiting - 1
end

-- What came of a flight. One that never began is left to the request, as where there is no timer.
local function outcome(keeper, journey)
  await(journey, START)
  if not journey.has_begun then
    forget(keeper, journey)
    return renewal.run(keeper)
  end
  await(journey, keeper._wait + keeper._lock_ttl)
  if journey.raised then error(journey.raised, 0) end
  if journey.is_over then return journey.session, journey.err end
  forget(keeper, journey)
  return nil, errors.new("keeper/timeout", "the login was not over in time")
end

--- Obtains a session; see `filescom.store.renewal.run`.
-- @tparam Keeper keeper
-- @tparam[opt] Session alive one that is good for a while yet: then nobody waits
-- @treturn[1] Session
-- @treturn[2] nil
-- @treturn[2] table the error
function flight.obtain(keeper, alive)
  if not alive and not nginx.place() then return renewal.run(keeper) end
  local journey = join(keeper)
  if alive then return alive end
  -- Without a timer, as in a worker that is about to exit, the request does it itself.
  if not journey then return renewal.run(keeper) end
  return outcome(keeper, journey)
end

return flight
