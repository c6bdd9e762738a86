--- Waiting inside nginx (ngx_lua, OpenResty) without ever blocking the worker.
--
-- nginx can watch sockets of its own only, and the engine's descriptor is none. A relay thread in
-- the core (src/relay.h) writes a byte to a unix socket when the engine has something to do. One
-- dispatcher for each worker, a timer's coroutine that lives as long as anything is in flight, reads
-- it, steps the engine in the worker's own thread, and wakes the semaphore of each exchange that
-- has ended, or whose streamed body needs its caller. Whoever waits, waits on its semaphore;
-- filescom.loop knows who does.
--
-- A waiter that nginx kills (its client went away, ngx.thread.kill, ngx.exit elsewhere) leaves a
-- semaphore without waiters behind: the dispatcher looks for those and cancels their exchanges.
--
-- Depends on filescom.core, filescom.loop and ngx_lua; loaded only inside nginx.
--
-- @module filescom.nginx

local core = require "filescom.core"
local loop = require "filescom.loop"
local semaphore = require "ngx.semaphore"

local ngx = ngx
local get_phase = ngx.get_phase

local nginx = {}

-- Phases in which ngx_lua lets a coroutine wait.
local CAN_WAIT = {
  rewrite = true, server_rewrite = true, access = true, content = true, timer = true,
  ssl_cert = true, ssl_client_hello = true, ssl_session_fetch = true,
}

-- Phases in which nothing is served that blocking would keep waiting: before the workers are, and
-- when a worker has done its last request.
local MAY_BLOCK = { init = true, exit_worker = true }

-- Seconds. A waiter looks after itself this often, the shorter time where no dispatcher runs (all
-- timers may be taken); a dispatcher looks this often for waiters that were killed, and stays this
-- long when nothing is in flight. At a worker's exit it goes at the relay's next tick (src/relay.h).
local WAITER_PERIOD = 5
local UNATTENDED_PERIOD = 0.01
local SCAN_PERIOD = 0.5
local IDLE_PERIOD = 0.5

-- Seconds after which a dispatcher that was asked for and did not come is asked for again.
local DISPATCHER_DELAY = 0.1

-- Milliseconds without a word from the relay, which ticks, after which it is taken for lost.
local RELAY_TIMEOUT = 30000

-- With so many exchanges in flight the dispatcher steps by the clock as long as there is something to
-- do: one step then serves many of them, and costs less than to be woken for each.
local MANY = 16

-- Seconds between steps by the clock.
local PAUSE = 0.001

-- Seconds for which streamed bodies may keep the worker to themselves, and when they last did not.
local LONGEST_TURN = 0.005
local others_had_turn = 0

-- A timer's memory is only given back when it ends.
local WAKEUPS_OF_ONE_TIMER = 50000

local dispatching = false -- a dispatcher runs
local asked_at -- when one was asked for; nil: none is under way

-- Exchanges whose caller has a piece of a streamed body in hand, and may be killed meanwhile: how many scans
-- have seen that very piece.
local served = setmetatable({}, { __mode = "k" })

-- So many scans of a piece collect garbage, and later ones this seldom: a finalizer may take two collections.
local COLLECTING_SCANS, SCANS_BETWEEN = 4, 20

-- Semaphores that nobody waits on and nobody will post.
local spare, MAX_SPARE = {}, 256

-- ---- the worker as a loop -------------------------------------------------------------------

local adapter = {}

local worker = loop.place(adapter)

-- A semaphore counts its waiters as negative: at 0 whoever waited has been killed.
local function is_abandoned(semaphore_of_waiter)
  return semaphore_of_waiter:count() >= 0
end

-- Of a caller that was killed with a piece in hand nothing tells but the collector, and an idle worker may
-- not run it.
local function collect_held()
  local held_long = false
  for exchange, scans in pairs(served) do
    served[exchange] = scans + 1
    held_long = held_long or (scans >= 1 and (scans <= COLLECTING_SCANS or scans % SCANS_BETWEEN == 0))
  end
  if held_long then collectgarbage() end
end

local function cancel_abandoned()
  collect_held()
  worker:cancel_gone(is_abandoned)
end

-- ---- the dispatcher -------------------------------------------------------------------------

local function connect_relay()
  local path, why = core.relay_path()
  if not path then return nil, why end
  local socket = ngx.socket.tcp()
  socket:settimeout(RELAY_TIMEOUT)
  local connected
  connected, why = socket:connect("unix:" .. path)
  return connected and socket, why
end

-- Waits for the relay's next byte. False where the relay is gone.
local function listen(socket)
  core.rearm_relay()
  return socket:receiveany(64) ~= nil
end

local function step_while_busy()
  local until_ = ngx.now() + SCAN_PERIOD
  while worker:step() and core.in_flight() >= MANY and ngx.now() < until_ do ngx.sleep(PAUSE) end
end

-- Steps by the clock, for as long as anything is in flight.
local function poll()
  while worker:is_waited_in() do
    ngx.sleep(PAUSE)
    worker:step()
    cancel_abandoned()
  end
end

-- Steps whenever the relay says so. Returns "idle" when there is nothing left to do, "again" where a
-- fresh timer should go on, "lost" where the relay cannot be heard any more.
local function follow(socket)
  local last_busy, last_scan = ngx.now(), ngx.now()
  for _ = 1, WAKEUPS_OF_ONE_TIMER do
    step_while_busy()
    local now = ngx.now()
    if worker:is_waited_in() or next(served) then
      last_busy = now
    elseif ngx.worker.exiting() or now - last_busy >= IDLE_PERIOD then
      return "idle"
    end
    if now - last_scan >= SCAN_PERIOD then
      last_scan = now
      cancel_abandoned()
    end
    if not listen(socket) then return "lost" end
  end
  return "again"
end

local ask_for_dispatcher

local function dispatch()
  local socket, why = connect_relay()
  local outcome = "lost"
  if socket then
    outcome = follow(socket)
    socket:close()
  else
    ngx.log(ngx.WARN, "filescom: no relay, polling instead: ", why)
  end
  if outcome == "lost" then poll() end
  return outcome == "again"
end

-- Whatever ends a dispatcher, the next waiter asks for another.
local function run_dispatcher()
  asked_at = nil
  if dispatching then return end
  dispatching = true
  local ok, again = pcall(dispatch)
  dispatching = false
  if not ok then ngx.log(ngx.ERR, "filescom: dispatcher: ", again) end
  if again or worker:is_waited_in() then ask_for_dispatcher() end
end

-- A timer may not be had (ngx.timer.at says so, or raises where connections have run out), or not run
-- when all that may run at once do: waiters then step themselves.
function ask_for_dispatcher()
  local now = ngx.now()
  if dispatching or (asked_at and now - asked_at < DISPATCHER_DELAY) then return end
  local called, made = pcall(ngx.timer.at, 0, run_dispatcher)
  if called and made then asked_at = now end
end

-- ---- waiting --------------------------------------------------------------------------------

function adapter.waiter()
  return table.remove(spare) or assert(semaphore.new(0))
end

function adapter.release(semaphore_of_waiter)
  if #spare < MAX_SPARE and semaphore_of_waiter:count() == 0 then
    spare[#spare + 1] = semaphore_of_waiter
  end
end

function adapter.suspend(semaphore_of_waiter)
  local woken = semaphore_of_waiter:wait(dispatching and WAITER_PERIOD or UNATTENDED_PERIOD)
  if woken then return end
  worker:step()
  ask_for_dispatcher()
end

function adapter.resume(semaphore_of_waiter)
  semaphore_of_waiter:post(1)
end

-- A dispatcher goes by itself, and may have to be asked for by each who waits.
function adapter.watch()
  ask_for_dispatcher()
end

--- Where the running phase waits.
-- @treturn Place|nil nil where blocking is right. In phases that can neither wait nor block an error
--   is raised that says what to do.
function nginx.place()
  local phase = get_phase()
  if CAN_WAIT[phase] then return worker end
  if MAY_BLOCK[phase] then return nil end
  core.usage_error("filescom cannot wait in nginx's phase '%s': use ngx.timer.at(0, ...) there", phase)
end

local function forget(exchange)
  served[exchange] = nil
end

--- How to wait for the next piece of a streamed body. A body may come and go as fast as it is taken and
-- given: whatever else the worker serves has its turn.
-- @tparam function wait waits for an exchange
-- @treturn function waits until it is done or its caller's part is due; it may return before that
-- @treturn function to be called once the exchange is done
function nginx.piece_waiter(wait)
  return function (exchange)
    if not exchange:ready() then worker:step() end
    if not exchange:ready() then
      served[exchange] = nil -- the waiter is looked for by its semaphore
      wait(exchange)
      others_had_turn = core.now()
    elseif core.now() - others_had_turn > LONGEST_TURN then
      ngx.sleep(PAUSE)
      others_had_turn = core.now()
    end
    served[exchange] = 0
  end, forget
end

--- The open logins of a client in the running request or timer, for a logout that names none.
-- One request's logins are never another's. Outside of requests the client's own list is used.
-- @tparam table client
-- @treturn table|nil
function nginx.open_logins(_, client)
  if not CAN_WAIT[get_phase()] then return nil end
  local context = ngx.ctx
  local by_client = context.filescom_open_logins
  if not by_client then
    by_client = {}
    context.filescom_open_logins = by_client
  end
  local list = client._open -- the same for a client that took another's place
  by_client[list] = by_client[list] or {}
  return by_client[list]
end

return nginx
