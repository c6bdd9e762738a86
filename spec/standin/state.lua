-- All that the service remembers: settings, accounts, sessions, limits, the log; and its clock.
-- Depends on accounts.lua, journal.lua, random.lua and cqueues' monotonic clock.

local accounts = require("spec.standin.accounts")
local cqueues = require("cqueues")
local journal = require("spec.standin.journal")
local random = require("spec.standin.random")

local State = {}
State.__index = State

local state = {}

--- The settings and their values at the start.
state.DEFAULTS = {
  session_lifetime = 21600, -- seconds
  partial_lifetime = 600, -- seconds that a partly completed login can be completed
  lockout_after = 5, -- failures of one account
  lockout_seconds = 0, -- how long it stays locked; 0: until a reset
  answer_delay = 0, -- seconds before every answer
  hang = false, -- requests are read and never answered
  keep_alive = true, -- false: every answer closes its connection
  json_logins = false, -- a login may be JSON as well as multipart
  old_logout = false, -- a logout is answered 200 {} instead of 204
  unpromised_fields = true, -- a session has fields beyond those that clients are promised
  clock_offset = 0, -- seconds that the service's clock is ahead
  log_limit = 10000, -- entries
  max_header = 65536, -- bytes of a request's head
  max_body = 8388608, -- bytes
  part_size = 5242880, -- bytes of an upload's part
  users = 5, -- how many the list of users has
}

--- A service in its first state.
function state.new()
  local self = setmetatable({ started = cqueues.monotime() }, State)
  self:reset()
  return self
end

--- Takes everything back to the first state.
function State:reset()
  self.config = {}
  for name, value in pairs(state.DEFAULTS) do
    self.config[name] = value
  end
  self.accounts = accounts.fresh()
  self.next_account = 100
  self.sessions = {}
  self.partials = {}
  self.canned = {}
  self.limits = {}
  self.files = {}
  self.uploads = {}
  self.links = {}
  self.cursors = {}
  self:clear_log()
end

--- Empties the log.
function State:clear_log()
  self.journal = journal.new(self.config.log_limit)
end

--- Seconds since the start, for the log.
function State:uptime()
  return cqueues.monotime() - self.started
end

--- The service's time of day, in seconds since 1970.
function State:now()
  return os.time() + math.floor(self.config.clock_offset)
end

-- The clock that decides when something expires: finer than now(), and moved with it.
local function ticks(self)
  return cqueues.monotime() + self.config.clock_offset
end

--- Opens a session for an account. Returns its id and when it ends, in seconds since 1970.
function State:open_session(account)
  local id = random.hex(3)
  local lifetime = self.config.session_lifetime
  self.sessions[id] = { account = account, expires = ticks(self) + lifetime }
  return id, self:now() + math.floor(lifetime)
end

--- The account of a session that is open, or nil.
function State:session_account(id)
  local session = self.sessions[id]
  if session and ticks(self) >= session.expires then
    self.sessions[id] = nil
    return nil
  end
  return session and session.account
end

--- Ends a session. Returns whether it was open.
function State:close_session(id)
  local open = self:session_account(id) ~= nil
  self.sessions[id] = nil
  return open
end

--- Begins a login that its second factor completes. Returns the id of it.
function State:open_partial(account)
  local id = random.hex(2)
  self.partials[id] = { account = account, expires = ticks(self) + self.config.partial_lifetime }
  return id
end

--- The account of a partly completed login, or nil.
function State:partial_account(id)
  local partial = self.partials[id]
  return partial and ticks(self) < partial.expires and partial.account or nil
end

--- Counts a failure of an account.
function State:count_failure(account)
  account.failures = account.failures + 1
  if account.failures >= self.config.lockout_after then
    local seconds = self.config.lockout_seconds
    account.locked_until = seconds > 0 and ticks(self) + seconds or math.huge
  end
end

--- Whether an account is locked now.
function State:is_locked(account)
  if account.locked_until and ticks(self) >= account.locked_until then
    account.locked_until, account.failures = nil, 0
  end
  return account.locked_until ~= nil
end

return state
