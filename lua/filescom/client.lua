--- A client: options, and the logins made with them.
--
-- Thin over filescom.core, whose client does the exchanges: here is what reads better in Lua, such
-- as following a region, remembering which logins are open, and turning failures into errors.
-- Depends on filescom.core and filescom.session; errors, the helper for second factors, requests and
-- traces are loaded when they are first used.
--
-- @module filescom.client

local core = require "filescom.core"
local sessions = require "filescom.session"

-- What a host may take away once everything is loaded is kept.
local assert, load, require = assert, load, require
local getmetatable, setmetatable, tostring, type = getmetatable, setmetatable, tostring, type
local io, package = io, package

-- The text of a module and its path, where Lua itself finds it beside this file, whose path it tells from 5.2 on.
local function text_beside(own_path, name)
  if not (package and package.searchpath and io and io.open) then return nil end
  local path = package.searchpath(name, package.path)
  local beside = tostring(own_path):gsub("client%.lua$", name:match "[^.]+$" .. ".lua")
  local file = path == beside and io.open(path, "rb")
  if not file then return nil end
  local text = file:read "*a"
  file:close()
  return text, path
end

-- Reads a module, and has it compiled when it is first required. Where that cannot be, it is loaded at once.
local function read_ahead(name, own_path)
  local preload = package and package.preload
  if preload and (package.loaded[name] or preload[name]) then return end
  local text, path = text_beside(own_path, name)
  if not (preload and text) then return require(name) end
  preload[name] = function ()
    local module = assert(load(text, "@" .. path))(name, path)
    preload[name] = nil
    return module
  end
end

-- Most scripts never need an error. When they do, it may be that no file can be opened any more.
read_ahead("filescom.redaction", (select(2, ...)))
read_ahead("filescom.errors", (select(2, ...)))

local function errors() return require "filescom.errors" end

-- Inside nginx nothing may block the worker; elsewhere the core waits, where a client has no loop.
local nginx = rawget(_G, "ngx") and require "filescom.nginx"

local REGION_MISMATCH = "not-authenticated/lockout-region-mismatch"

-- How many open logins a client remembers for a logout that names none. A program that logs in
-- again and again without ever logging out must not grow for it.
local REMEMBERED_LOGINS = 100

--- A client.
-- @type Client
local Client = { _VERSION = core._VERSION }
Client.__index = Client
Client.__name = "filescom.client"

-- Raises where a method is called on something else than a client.
-- LuaJIT must not compile getmetatable of a file handle: its recorder takes the next table there for one, and crashes.
local function check(self)
  if type(self) ~= "table" or getmetatable(self) ~= Client then
    core.usage_error("a client's method must be called on a client (client:method()), got %s", type(self))
  end
end

local OWN_OPTIONS = { debug = true, loop = true }

-- The options for the core: all but those that are Lua's own.
local function core_options(options)
  local copy = {}
  for name, value in pairs(options or {}) do
    if not OWN_OPTIONS[name] then copy[name] = value end
  end
  return copy
end

-- How a client waits where it cannot block: filescom.nginx, a loop of filescom.loop, or false.
local function loop_of(options)
  local adapter = options and options.loop
  if adapter == nil then return nginx or false end
  if nginx then core.usage_error("option 'loop' is not for nginx, where filescom waits by itself") end
  return require("filescom.loop").of(adapter)
end

local function tracer(options)
  local debug = options and options.debug
  if debug == nil then return nil end
  if type(debug) ~= "function" then
    core.usage_error("option 'debug' must be a function, got %s", type(debug))
  end
  return require("filescom.trace").new(debug)
end

--- Makes a client; `filescom.new` is the public name.
-- @tparam[opt] table options what it does otherwise than by default, see doc/reference.md
-- @tparam[opt] Client former a client whose place this one takes: its open logins are taken over
-- @treturn Client
-- @local
function Client.new(options, former)
  if options ~= nil and type(options) ~= "table" then
    core.usage_error("options must be a table, got %s", type(options))
  end
  local self = setmetatable({
    _options = options or {},
    _trace = tracer(options),
    _loop = loop_of(options),
    _core = core.client(core_options(options)),
    _open = former and former._open or {},
  }, Client)
  self._base_url = self._core:base_url()
  self._session_class = sessions.class(self)
  return self
end

--- Makes another client with the same options but for those that are named.
-- For the modules of this library: a keeper's logins have a time limit of their own.
-- @tparam table changes
-- @treturn Client
-- @local
function Client:_with(changes)
  local options = {}
  for name, value in pairs(self._options) do options[name] = value end
  for name, value in pairs(changes) do options[name] = value end
  return Client.new(options)
end

--- Frees the client's idle connections' handles. Using it afterwards raises an error that says so;
-- closing it twice is harmless. Sessions stay open: closing is not logging out.
function Client:close()
  check(self)
  self._core:close()
end

Client.__close = Client.close

function Client:__tostring()
  check(self)
  return tostring(self._core)
end

-- ---- exchanges ------------------------------------------------------------------------------

local function block(exchange)
  exchange:wait()
end

-- Begins an exchange, waits for it by `wait`, which may return a failure of its own, and finishes it.
local function follow(self, wait, verb, subject, base_url)
  local trace = self._trace
  local exchange, failure = self._core["begin_" .. verb](self._core, subject, base_url)
  if not exchange then return nil, failure end
  if trace then trace:begun(self._base_url, verb, subject, base_url) end
  local answer
  failure = wait(exchange)
  local info = trace and exchange:info()
  if failure then exchange:cancel() else answer, failure = exchange:finish() end
  if trace then trace:ended(info, failure, verb, subject, base_url) end
  return answer, failure
end

-- How to wait where this code runs; nil where it blocks.
local function waiter(self)
  local place, running
  if self._loop then place, running = self._loop:place() end
  return place and function (exchange) place:wait(exchange, running) end
end

-- Runs one exchange of the core and waits for it: "login" with credentials and a base URL, "logout"
-- with an id and a base URL, or "request" with a request.
function Client:_run(verb, subject, base_url)
  local wait = self._loop and waiter(self)
  if not self._trace and not wait then return self._core[verb](self._core, subject, base_url) end
  return follow(self, wait or block, verb, subject, base_url)
end

-- Runs a request of which a body is streamed.
function Client:_stream(request, sink, source)
  local wait, leave = waiter(self)
  local rest = wait and not nginx and self._loop:rest_function() or nil
  if wait and nginx then wait, leave = nginx.piece_waiter(wait) end
  return follow(self, function (exchange)
    local failure = require("filescom.stream").serve(exchange, wait or block, sink, source, rest)
    if leave then leave(exchange) end
    return failure
  end, "request", request)
end

-- ---- open logins ----------------------------------------------------------------------------

-- The list of open logins that belong to the running request, coroutine or script.
local function open_logins(self)
  return self._loop and self._loop:open_logins(self) or self._open
end

local function remember(self, session)
  local open = open_logins(self)
  if #open == REMEMBERED_LOGINS then table.remove(open, 1) end
  open[#open + 1] = session
end

-- The open login of that id, and its place in the list.
local function find_open(open, id)
  for i = #open, 1, -1 do
    if open[i].id == id then return open[i], i end
  end
end

-- The session of that id is no more; `session` is its table, where the caller has one.
local function forget(self, id, session)
  local open = open_logins(self)
  local remembered, place = find_open(open, id)
  if place then
    if place == #open then open[place] = nil else table.remove(open, place) end
  end
  if remembered and remembered ~= session then sessions.mark_ended(remembered) end
  if session then sessions.mark_ended(session) end
end

-- ---- login ----------------------------------------------------------------------------------

local function login_at(self, credentials, base_url, withheld)
  local answer, failure = self:_run("login", credentials, base_url)
  if answer then
    local session = setmetatable(answer, self._session_class)
    remember(self, session)
    return session
  end
  local secrets = { password = credentials.password, otp = credentials.otp, withheld = withheld }
  return nil, errors().from_failure(failure, secrets), failure.base_url
end

-- Where a login in the wrong region is to go, or nil and why it does not go there.
local function region_of(err, base_url)
  local host = type(err.data) == "table" and err.data.host
  if type(host) ~= "string" then return nil, "no host was named" end
  local region, why = core.region_base_url(base_url, host)
  if region == base_url then return nil, "the host named is the one that was asked" end
  return region, why
end

--- Logs in at a base URL, and in another region where the service says so.
-- For the modules of this library: `login` is the public one. `withheld` is a secret that is not
-- sent this time, but must not be in an error either.
-- @treturn[1] filescom.session.Session
-- @treturn[2] nil
-- @treturn[2] filescom.errors.Error
-- @treturn[2] string the base URL that gave it
-- @local
function Client:_login(credentials, base_url, withheld)
  local session, err, asked = login_at(self, credentials, base_url, withheld)
  if session or err.type ~= REGION_MISMATCH then return session, err, asked end
  local region, why = region_of(err, asked)
  if region then return login_at(self, credentials, region, withheld) end
  err.reason = "the region was not followed: " .. why
  return nil, err, asked
end

--- Logs in.
-- @tparam table credentials `username`, `password`, `otp`, `partial_session_id`: strings
-- @treturn[1] filescom.session.Session
-- @treturn[2] nil
-- @treturn[2] filescom.errors.Error
function Client:login(credentials)
  check(self)
  local session, err = self:_login(credentials)
  return session, err
end

--- Logs in, and while the service asks for a code calls `get_code` and tries again.
-- @tparam table credentials as for `login`
-- @tparam ?function get_code given a challenge, returns the code (and perhaps another of the methods
--   to answer with), or nil and why there is none; it may yield. Optional where there is `otp_secret`
-- @tparam[opt] table options `attempts`: how many codes are asked for at most (default 3);
--   `otp_secret`: base32, or a function that returns it; answers `totp` without asking anybody
-- @treturn[1] filescom.session.Session
-- @treturn[2] nil
-- @treturn[2] filescom.errors.Error
function Client:login_with_otp(credentials, get_code, options)
  check(self)
  return require("filescom.otp").login(self, credentials, get_code, options)
end

-- ---- logout ---------------------------------------------------------------------------------

-- The session that a logout names: its id, where it lives, and its table where there is one.
local function identify(self, session)
  if type(session) == "string" then
    local known = find_open(open_logins(self), session)
    return session, known and known.base_url, known
  end
  if type(session) ~= "table" then
    core.usage_error("a session must be a session table or an id, got %s", type(session))
  end
  return session.id, sessions.base_url(session, self._base_url), session
end

local function none(message)
  return nil, errors().new("session/none", message)
end

--- Ends a session.
-- @tparam[opt] filescom.session.Session|string session a session or its id; without it, the last login of this
--   client that is still open
-- @treturn[1] table `status` and `request_id`
-- @treturn[2] nil
-- @treturn[2] filescom.errors.Error `session/none` where there is nothing to log out
function Client:logout(session)
  check(self)
  return self:_logout(session)
end

-- For the modules of this library, which call it on a client.
function Client:_logout(session)
  if session == nil then
    local open = open_logins(self)
    session = open[#open]
  end
  if session == nil then return none("there is no open session to log out") end
  local id, base_url, known = identify(self, session)
  if known and sessions.has_ended(known) then return none("this session was logged out already") end
  local answer, failure = self:_run("logout", id, base_url)
  -- 401: the service does not know the session (any more).
  if answer or failure.status == 401 then forget(self, id, known) end
  if answer then return answer end
  return nil, errors().from_failure(failure, { id })
end

--- Takes up a session that exists already. Sends nothing.
-- @tparam string|table id_or_table an id, or a session's fields as they were written down; the
--   table is copied
-- @treturn filescom.session.Session its table; raises an error where the id or the base_url cannot be used
function Client:session(id_or_table)
  check(self)
  local session = {}
  if type(id_or_table) == "string" then
    session.id = id_or_table
  elseif type(id_or_table) == "table" then
    for name, value in pairs(id_or_table) do session[name] = value end
  else
    core.usage_error("a session must be a table or an id, got %s", type(id_or_table))
  end
  if not core.is_session_id(session.id) then
    core.usage_error("a session id must be a non-empty string of visible ASCII")
  end
  session.base_url = sessions.base_url(session, self._base_url)
  return setmetatable(session, self._session_class)
end

return Client
