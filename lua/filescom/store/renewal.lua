--- A login that is due: made by whoever gets the store's lock, waited for by everybody else.
--
-- The lock is a keeper's for `lock_ttl` and extended before and after everything that takes time;
-- when its holder dies, another gets it by then. For filescom.keeper, whose methods with an
-- underscore this uses. Depends on filescom.client's `_login`, filescom.otp, filescom.errors,
-- filescom.protected and filescom.store.record.
--
-- @module filescom.store.renewal

local core = require "filescom.core"
local errors = require "filescom.errors"
local protected = require "filescom.protected"
local record = require "filescom.store.record"
local tokens = require "filescom.store.token"

local renewal = {}

-- Seconds between looks at the store while another logs in: the first, and the longest.
local FIRST_LOOK, LONGEST_LOOK = 0.02, 0.5

-- Seconds for which a failure that may be over at any moment is remembered: callers wait that long.
local FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2

-- Added to pauses, so that many who were refused together do not come back together: a part of a
-- pause of our own, and up to so many seconds of the service's.
local JITTER, JITTER_SECONDS = 0.25, 1

-- ---- calling what may raise -----------------------------------------------------------------

-- Raised where the lock turns out to be another's by now: whoever holds it goes on, not we.
local LOST = {}

-- A lock that is held. From Lua 5.4 on a coroutine may be closed meanwhile: that frees it as well.
local Held = {}

function Held.__close(held)
  if held.is_free then return end
  held.is_free = true
  held.keeper._store:unlock(held.keeper._name, held.token)
end

local function is_held(held)
  return not held.is_free or nil
end

-- Runs a function as the owner of the lock, and frees it whatever happens. Returns what that does;
-- nothing where the lock was lost meanwhile.
local function as_owner(keeper, token, run)
  local held = setmetatable({ keeper = keeper, token = token }, Held)
  local ok, result, err
  -- A generic `for` closes its fourth value, however it is left; versions before 5.4 ignore it.
  for _ in is_held, held, nil, held do
    ok, result, err = protected.call(run, keeper, token)
    Held.__close(held)
  end
  if ok then return result, err end
  if result ~= LOST then error(result, 0) end
end

-- ---- refusals -------------------------------------------------------------------------------

-- A failure that says nothing of the credentials, nor when to try again.
local function is_transient(err)
  if err.retry_after then return false end
  return err.group == "network" or err.group == "keeper" or (err.status or 500) >= 500
    or err.group == "response" and err.status < 400
end

local function growing(first, longest, failures)
  return math.min(first * 2 ^ math.min(failures - 1, 60), longest)
end

-- Seconds until the next login is tried: never less than the service asks for.
local function pause_after(keeper, err, failures)
  local backoff, fraction = keeper._backoff, tokens.fraction()
  local pause
  if is_transient(err) then
    pause = growing(FIRST_PAUSE, LONGEST_PAUSE, failures)
  elseif err.type:find("/locked-out", 1, true) and not err.retry_after then
    pause = backoff.longest
  else
    pause = growing(backoff.first, backoff.longest, failures)
  end
  return math.max(pause * (1 + JITTER * fraction), (err.retry_after or 0) + JITTER_SECONDS * fraction)
end

-- Adds to an error when the next login is due.
local function with_next_try(keeper, err, next_try)
  err.next_try = next_try
  err.retry_after = math.max(math.ceil(next_try - keeper._clock.now()), 0)
  return err
end

-- Remembers a refusal along with the session that may still be good.
local function refuse(keeper, former, err)
  local transient = is_transient(err)
  local in_a_row = former.refusal and (former.transient == true) == transient
  local failures = in_a_row and former.failures + 1 or 1
  local now = keeper._clock.now()
  local pause = pause_after(keeper, err, failures)
  local next_try = math.ceil((now + pause) * 1000) / 1000 -- as many digits as JSON keeps
  local entry = { transient = transient }
  local ttl = pause + keeper._backoff.longest -- how many there were in a row is known for longer
  if keeper:_alive(former) then
    entry.session, entry.obtained_at = former.session, former.obtained_at
    entry.renew_at, entry.ends_at = former.renew_at, former.ends_at
    ttl = math.max(ttl, entry.ends_at - now)
  end
  record.add_refusal(entry, err, failures, next_try, now)
  keeper:_write(entry, ttl)
  keeper:_tell("login-failed", tostring(err), err)
  return with_next_try(keeper, err, next_try)
end

local function remembered(keeper, entry)
  return with_next_try(keeper, record.error_of(entry), entry.next_try)
end

-- ---- the login ------------------------------------------------------------------------------

-- Makes the lock last for another `lock_ttl`. A store that cannot be asked ends nothing.
local function hold(keeper, token)
  if keeper._store:lock(keeper._name, token, keeper._lock_ttl) == false then error(LOST, 0) end
end

-- A clock by which a long wait keeps the lock.
local function holding_clock(keeper, token)
  local clock, slice = keeper._clock, keeper._lock_ttl / 3
  return {
    now = clock.now,
    sleep = function (seconds)
      while seconds > 0 do
        clock.sleep(math.min(seconds, slice))
        hold(keeper, token)
        seconds = seconds - slice
      end
    end,
  }
end

local function holding_get_code(keeper, token)
  local get_code = keeper._get_code
  return get_code and function (challenge)
    hold(keeper, token)
    return get_code(challenge)
  end
end

-- The client for one login of perhaps several requests: before each of them the lock must be ours,
-- whatever time was taken. The login is not among those that a `logout()` ends by itself.
local function login_client(keeper, token)
  local client = keeper._login_client
  return setmetatable({
    _open = {},
    _login = function (self, ...)
      hold(keeper, token)
      return client._login(self, ...)
    end,
  }, { __index = client })
end

local function log_in(keeper, token)
  local credentials, why = keeper._credentials()
  if credentials == nil then
    return nil, errors.new("keeper/no-credentials", tostring(why or "there are no credentials"))
  end
  if type(credentials) ~= "table" then
    core.usage_error("credentials must return a table, got %s", type(credentials))
  end
  local client = login_client(keeper, token)
  if not keeper._get_code and keeper._otp_secret == nil then return client:_login(credentials) end
  return require("filescom.otp").login(client, credentials, holding_get_code(keeper, token),
    { otp_secret = keeper._otp_secret }, holding_clock(keeper, token))
end

-- The session that another stored, should this login have taken so long that its lock ran out.
local function find_theirs(keeper)
  local entry = keeper:_read()
  return entry and keeper:_fresh(entry)
end

local function accept(keeper, session)
  session = keeper._client:session(session)
  local theirs = find_theirs(keeper)
  if theirs then
    keeper._login_client:logout(session)
    return theirs
  end
  local now = keeper._clock.now()
  local entry, clocks_disagree = record.of_session(session, now, keeper._margin)
  keeper:_write(entry, entry.ends_at - now)
  keeper:_tell("login", "logged in until " .. tostring(session.timeout_at))
  if clocks_disagree then
    keeper:_tell("clock", ("the session ends at %s, which is over by this clock"):format(session.timeout_at))
  end
  return session
end

-- What the store holds may have changed just before the lock was got.
local function log_in_if_due(keeper, token)
  local entry, why = keeper:_read()
  if not entry then return nil, keeper:_store_error(why) end
  local session = keeper:_fresh(entry)
  if session then return session end
  if keeper:_is_refused(entry) then return keeper:_alive(entry), remembered(keeper, entry) end
  local err
  session, err = log_in(keeper, token)
  if session then return accept(keeper, session) end
  local theirs = find_theirs(keeper)
  if theirs then return theirs end
  return keeper:_alive(entry), refuse(keeper, entry, err)
end

-- ---- waiting for another's ------------------------------------------------------------------

local function timeout_error(keeper)
  return errors.new("keeper/timeout",
    ("another's login was not over within %g seconds"):format(keeper._wait))
end

-- Either a session or an error, not both.
local function either(session, err)
  if session then return session end
  return nil, err
end

-- What a refusal that is remembered comes to. A failure that is soon forgotten is waited out, where
-- there is no session meanwhile; one that came while we looked is the answer.
local function look_at_refusal(keeper, entry, first)
  local alive = keeper:_alive(entry)
  if alive then return true, alive end
  if entry.transient and entry.next_try == first.next_try then
    return false, entry.next_try - keeper._clock.now()
  end
  return true, nil, remembered(keeper, entry)
end

-- Logs in where the lock is free.
local function try_login(keeper, entry, token, pause)
  local locked, why = keeper._store:lock(keeper._name, token, keeper._lock_ttl)
  if why then return true, nil, keeper:_store_error(why) end
  if locked then
    local session, err = as_owner(keeper, token, log_in_if_due)
    if session or err then return true, either(session, err) end
  end
  local alive = keeper:_alive(entry)
  if alive then return true, alive end
  return false, pause
end

-- What is to be done about a record: returns true and the result, or false and for how many seconds
-- to wait before the store is looked at again.
local function look(keeper, entry, first, token, pause)
  local session = keeper:_fresh(entry)
  if session then return true, session end
  if keeper:_is_refused(entry) then return look_at_refusal(keeper, entry, first) end
  return try_login(keeper, entry, token, pause)
end

--- Obtains a session: by a login, or from another's.
-- @tparam Keeper keeper
-- @treturn[1] Session
-- @treturn[2] nil
-- @treturn[2] table the error
function renewal.run(keeper)
  local token, waited, pause = tokens.new(), 0, FIRST_LOOK
  local entry, why = keeper:_read()
  local first = entry
  while entry do
    local done, result, err = look(keeper, entry, first, token, pause)
    if done then return result, err end
    -- Counted, not read from the clock: that may be set meanwhile.
    if waited + result > keeper._wait then
      local failure = keeper:_is_refused(entry) and remembered(keeper, entry) or timeout_error(keeper)
      return either(keeper:_alive(entry), failure)
    end
    keeper._clock.sleep(result)
    waited, pause = waited + result, math.min(pause * 1.5, LONGEST_LOOK)
    entry, why = keeper:_read()
  end
  return nil, keeper:_store_error(why)
end

--- Runs a function while nobody logs in.
-- @tparam Keeper keeper
-- @tparam function run given the keeper; returns a result, or nil and an error
-- @return what that returns, or nil and an error where the lock was not to be had
function renewal.locked(keeper, run)
  local token, waited, pause = tokens.new(), 0, FIRST_LOOK
  while true do
    local locked, why = keeper._store:lock(keeper._name, token, keeper._lock_ttl)
    if locked then return as_owner(keeper, token, run) end
    if why then return nil, keeper:_store_error(why) end
    if waited + pause > keeper._wait then return nil, timeout_error(keeper) end
    keeper._clock.sleep(pause)
    waited, pause = waited + pause, math.min(pause * 1.5, LONGEST_LOOK)
  end
end

return renewal
