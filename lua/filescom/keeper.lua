--- A keeper: one session of a service account, there when it is asked for.
--
-- Obtained once, shared by everyone who names it alike in the same store, renewed before it ends,
-- replaced when the service has dropped it, and never obtained twice at the same moment. A refused
-- login is remembered in the store too, so that nobody tries the same in vain.
--
-- The way of `session`: what the store holds is good: no lock, no wait. Otherwise a login is due
-- (filescom.store.renewal): whoever gets the store's lock makes it, the others wait for what comes
-- of it. Inside nginx one timer in each worker does that, and requests wait for the timer.
--
-- Depends on filescom.client, filescom.core, filescom.errors, filescom.session, filescom.store,
-- filescom.store.record, filescom.store.renewal and filescom.clock; inside nginx on
-- filescom.store.flight.
--
-- @module filescom.keeper

local Client = require "filescom.client"
local clocks = require "filescom.clock"
local core = require "filescom.core"
local errors = require "filescom.errors"
local flights = rawget(_G, "ngx") and require "filescom.store.flight"
local record = require "filescom.store.record"
local renewal = require "filescom.store.renewal"
local sessions = require "filescom.session"
local stores = require "filescom.store"

local keeper = {}

--- One session, there when it is asked for: what `filescom.keeper` makes.
-- @type Keeper
local Keeper = {}
Keeper.__index = Keeper
Keeper.__name = "filescom.keeper"

-- Seconds by which the clocks of those who share a store may differ. A record from further ahead
-- tells that a clock was set back: nothing is known of its age.
local CLOCK_TOLERANCE = 300

-- What a store without a usable record is taken to hold.
local NOTHING = {}

-- ---- options --------------------------------------------------------------------------------

local OPTIONS = {
  credentials = { "function" }, get_code = { "function" }, otp_secret = { "string", "function" },
  store = { "table", "userdata" }, name = { "string" }, client = { "table" }, margin = { "number" },
  wait = { "number" }, lock_ttl = { "number" }, recheck = { "number" }, backoff = { "table" },
  clock = { "table" }, fallback = { "boolean" }, on_event = { "function" },
}

local function check_option(name, value)
  local kinds = OPTIONS[name]
  if not kinds then core.usage_error("unknown option '%s'", tostring(name)) end
  for _, kind in ipairs(kinds) do
    if type(value) == kind then return end
  end
  core.usage_error("option '%s' must be a %s, got %s", name, table.concat(kinds, " or "), type(value))
end

local function check_numbers(options)
  for _, name in ipairs { "margin", "wait", "lock_ttl", "recheck" } do
    local value = options[name]
    if value and not (value >= 0 and value < math.huge) then
      core.usage_error("option '%s' must not be negative", name)
    end
  end
  if options.lock_ttl and options.lock_ttl < 1 then core.usage_error "option 'lock_ttl' must be 1 or more" end
end

local function check_options(options)
  if type(options) ~= "table" then core.usage_error("options must be a table, got %s", type(options)) end
  for name, value in pairs(options) do check_option(name, value) end
  check_numbers(options)
  if not options.credentials then core.usage_error "option 'credentials' is missing" end
  if options.name and (options.name == "" or #options.name > 80) then
    core.usage_error "option 'name' must have 1 to 80 bytes"
  end
  if options.otp_secret ~= nil then require("filescom.totp").check(options.otp_secret) end
end

local function backoff_of(options)
  local backoff = stores._check_options(options, { first = "number", longest = "number" })
  backoff.first, backoff.longest = backoff.first or 5, backoff.longest or 900
  if not (backoff.first > 0 and backoff.longest >= backoff.first) then
    core.usage_error "option 'backoff': first must be above 0, and longest no less"
  end
  return backoff
end

-- How a keeper waits by itself: as its client's calls do, or the login that is waited for would not go on.
local function sleep_of(client)
  local loop = not flights and client._loop
  if not loop then return clocks.sleep end
  if not loop:can_sleep() then
    core.usage_error "a keeper in this event loop needs option 'clock' with 'sleep', or the loop's adapter a 'sleep'"
  end
  return function (seconds) loop:sleep(seconds) end
end

local function clock_of(clock, client)
  for _, name in ipairs { "now", "sleep" } do
    if clock[name] ~= nil and type(clock[name]) ~= "function" then
      core.usage_error("option 'clock': %s must be a function", name)
    end
  end
  return { now = clock.now or clocks.now, sleep = clock.sleep or sleep_of(client) }
end

-- Makes the clients for calls and for logins, where the user brought none. A login has to be over
-- before its lock is; two exchanges may be one login (a region).
local function set_clients(self, option)
  self._owns_client = getmetatable(option) ~= Client
  self._client = self._owns_client and Client.new(option) or option
  local timeout = math.min(self._client._options.timeout or math.huge, self._lock_ttl * 0.45)
  self._login_client = self._client:_with { timeout = timeout }
end

-- Another's login may have to wait for the next code.
local function default_wait(options)
  return options.otp_secret == nil and 30 or 60
end

local function store_of(self, options)
  local store = options.store and stores._check(options.store) or stores.memory { now = self._clock.now }
  if not options.fallback then return store end
  return require("filescom.store.fallback").new(store, self._clock, function (why)
    self:_tell("store-unavailable", why)
  end)
end

--- Makes a keeper; `filescom.keeper` is the public name.
-- @tparam table options see doc/keepers.md
-- @tparam[opt] table client_options for its client, where `options` has none
-- @treturn Keeper
-- @local
function keeper.new(options, client_options)
  check_options(options)
  local self = setmetatable({
    _name = options.name or "default",
    _credentials = options.credentials, _get_code = options.get_code, _otp_secret = options.otp_secret,
    _margin = options.margin or 60, _wait = options.wait or default_wait(options),
    _lock_ttl = options.lock_ttl or 20,
    _backoff = backoff_of(options.backoff),
    _on_event = options.on_event, _entry = NOTHING, _read_at = -math.huge,
  }, Keeper)
  set_clients(self, options.client or client_options or {})
  self._clock = clock_of(options.clock or {}, self._client)
  self._store = store_of(self, options)
  self._recheck = options.recheck or self._store.recheck or 0
  return self
end

-- ---- for filescom.store.renewal and filescom.store.flight -----------------------------------------

-- Tells the user of something that no caller is told of. `message` holds no secret.
function Keeper:_tell(kind, message, err)
  if not self._on_event then return end
  self._on_event { type = kind, name = self._name, message = message, error = err }
end

-- Told once for as long as it stays.
function Keeper:_tell_of_contents(why)
  if self._told_of_contents == why then return end
  self._told_of_contents = why
  self:_tell("store-contents", "what the store holds is not used: " .. why)
end

-- What cannot be used stays until a login replaces it; what was known before is good still. So two
-- who cannot read each other (another key, another version) do not make each other log in again.
local function keep_what_is_known(self, text, why)
  self._text, self._is_foreign = text, true
  self:_tell_of_contents(why)
end

local function take(self, text)
  local entry, why = record.decode(text, self._client._base_url)
  if not entry then return keep_what_is_known(self, text, why) end
  if entry.session then entry.session = self._client:session(entry.session) end
  self._text, self._entry, self._is_foreign, self._told_of_contents = text, entry, false, nil
end

local function take_nothing(self)
  self._text, self._entry, self._is_foreign = nil, NOTHING, false
end

-- What the store holds: a record, an empty one where there is nothing to use; nil and why where the
-- store could not be asked. Only a text that has changed is read anew.
function Keeper:_read()
  local text, why = self._store:get(self._name)
  if text == nil and why then return nil, why end
  if text == false then
    keep_what_is_known(self, false, why)
  elseif text ~= self._text then
    if text then take(self, text) else take_nothing(self) end
  end
  self._read_at = self._clock.now()
  return self._entry
end

-- Writes a record. Where the store fails the session at hand is still good, as long as nothing else
-- is there than before.
function Keeper:_write(entry, ttl)
  local text = record.encode(entry)
  local written, why = self._store:set(self._name, text, ttl)
  if written then self._text = text end
  self._entry, self._is_foreign, self._read_at = entry, not written and self._is_foreign, self._clock.now()
  if not written then self:_tell("store-unavailable", tostring(why)) end
end

-- Whether a record's session can be used until a time that the record names.
local function is_good_until(self, entry, limit)
  local session = entry.session
  if not session then return false end
  local now = self._clock.now()
  return now < entry[limit] and entry.obtained_at - now <= CLOCK_TOLERANCE
    and session.id ~= self._dead_id and not sessions.has_ended(session)
end

-- The session of a record, where no login is due.
function Keeper:_fresh(entry)
  return is_good_until(self, entry, "renew_at") and entry.session or nil
end

-- The session of a record, where it has not ended, even if a login is due.
function Keeper:_alive(entry)
  return is_good_until(self, entry, "ends_at") and entry.session or nil
end

-- Whether no login is to be tried yet. A refusal from the future was by another clock.
function Keeper:_is_refused(entry)
  local now = self._clock.now()
  return entry.refusal ~= nil and now < entry.next_try and entry.refused_at - now <= CLOCK_TOLERANCE
end

function Keeper:_store_error(why)
  self:_tell("store-unavailable", tostring(why))
  return errors.new("store/unavailable", "the store of sessions cannot be asked: " .. tostring(why))
end

-- ---- sessions -------------------------------------------------------------------------------

local function check(self)
  if type(self) ~= "table" or getmetatable(self) ~= Keeper then
    core.usage_error("a keeper's method must be called on a keeper (keeper:method()), got %s", type(self))
  end
end

local function check_open(self)
  check(self)
  if self._is_closed then core.usage_error "this keeper is closed" end
end

-- Whether what was read last need not be read again yet.
local function is_recent(self)
  local age = self._clock.now() - self._read_at
  return age >= 0 and age < self._recheck
end

--- The session, obtained or renewed where that is due.
--
-- The table is shared by all who ask: do not change it.
-- @treturn[1] filescom.session.Session
-- @treturn[2] nil
-- @treturn[2] filescom.errors.Error `next_try` (seconds since 1970) and `retry_after` tell when a login
--   is tried again, `remembered` is true where none was tried now
function Keeper:session()
  check_open(self)
  local session = is_recent(self) and self:_fresh(self._entry)
  if session then return session end
  local entry, why = self:_read()
  if not entry then return nil, self:_store_error(why) end
  session = self:_fresh(entry)
  if session then return session end
  if flights then return flights.obtain(self, self:_alive(entry)) end
  return renewal.run(self)
end

--- Says that the service knows a session no more, as another HTTP client was told: the next
-- `session` is another one. Sends nothing and waits for nothing.
-- @tparam filescom.session.Session|string session a session or its id; one that was replaced already is passed over
function Keeper:discard(session)
  check_open(self)
  local id = type(session) == "table" and session.id or session
  local current = self._entry.session
  if not current or current.id ~= id then return end
  self._dead_id = id
  self:_tell("session-ended", "the service ended the session")
end

-- ---- calls ----------------------------------------------------------------------------------

-- A service that says so of a session just obtained means something else: what it says is believed
-- again after a pause, or every call would log in.
local function believe(self)
  local doubt = self._doubt
  return not doubt or self._clock.now() >= doubt.ends
end

local function doubt(self)
  local count = self._doubt and self._doubt.count + 1 or 1
  local pause = math.min(self._backoff.first * 2 ^ (count - 1), self._backoff.longest)
  self._doubt = { count = count, ends = self._clock.now() + pause }
end

-- What a source has given is gone.
local function can_be_repeated(options)
  return type(options) ~= "table" or options.source == nil
end

--- Any call of the API with the session.
--
-- Where the service says that the session has ended, it is replaced and the call repeated, once. A
-- call whose outcome is not known (`network/...`) is never repeated.
-- @tparam string method such as "GET"
-- @tparam string path below the base URL, such as "/folders"
-- @tparam[opt] table options as for `filescom.session.Session:request`
-- @treturn[1] table as there
-- @treturn[2] nil
-- @treturn[2] filescom.errors.Error
function Keeper:request(method, path, options)
  check_open(self)
  local session, err = self:session()
  if not session then return nil, err end
  local answer
  answer, err = session:request(method, path, options)
  if answer or not errors.says_ended(err) or not believe(self) then return answer, err end
  self:discard(session)
  if not can_be_repeated(options) then return nil, err end
  session, err = self:session()
  if not session then return nil, err end
  answer, err = session:request(method, path, options)
  if not answer and errors.says_ended(err) then doubt(self) else self._doubt = nil end
  return answer, err
end

-- ---- the end --------------------------------------------------------------------------------

-- A refusal is forgotten, and so is a session that is no more; foreign contents are let be.
local function forget(self)
  if not self._is_foreign then self._store:delete(self._name) end
  self._text, self._entry = nil, NOTHING
end

local function log_out(self)
  local entry, why = self:_read()
  if not entry then return nil, self:_store_error(why) end
  local session = self:_alive(entry)
  if not session then
    forget(self)
    return nil, errors.new("session/none", "there is no session to log out")
  end
  local answer, err = self._login_client:logout(session)
  if answer or err.status == 401 or err.type == "session/none" then forget(self) end
  return answer, err
end

--- Ends the session, for all who share it, and forgets a refusal: the next `session` logs in.
-- @treturn[1] table `status` and `request_id`
-- @treturn[2] nil
-- @treturn[2] filescom.errors.Error `session/none` where there was none
function Keeper:logout()
  check_open(self)
  return renewal.locked(self, log_out)
end

--- Frees what the keeper holds. The session stays open in the store: closing is not logging out.
-- Using the keeper afterwards raises an error that says so; closing it twice is harmless.
function Keeper:close()
  check(self)
  self._is_closed = true
  self._text, self._entry = nil, NOTHING
  self._login_client:close()
  if self._owns_client then self._client:close() end
end

Keeper.__close = Keeper.close

function Keeper:__tostring()
  return ("filescom keeper '%s'%s"):format(self._name, self._is_closed and " (closed)" or "")
end

return keeper
