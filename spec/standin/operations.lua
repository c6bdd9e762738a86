-- What a control connection can order: every operation with its arguments and its meaning.
-- Depends on json.lua, server.lua, script.lua, codes.lua, totp.lua, certificates.lua, http.lua, accounts.lua, state.lua
-- and storage.lua.
--
-- An operation gets the context of its connection (`state`, `server`, `certificates`) and its arguments, and returns
-- its result or raises what is wrong. It may set `owner` and `stopping` in the context.

local accounts = require("spec.standin.accounts")
local certificates = require("spec.standin.certificates")
local codes = require("spec.standin.codes")
local http = require("spec.standin.http")
local json = require("spec.standin.json")
local script = require("spec.standin.script")
local server = require("spec.standin.server")
local states = require("spec.standin.state")
local storage = require("spec.standin.storage")
local totp = require("spec.standin.totp")

local operations = {}

local function fail(message, ...)
  error(message:format(...), 0)
end

local function find_listener(context, id)
  return context.server.listeners[id] or fail("no listener %s", tostring(id))
end

local function find_account(context, username)
  return context.state.accounts[username] or fail("no account %s", tostring(username))
end

local function check_kind(kind)
  if kind and not certificates.is_kind(kind) then
    fail("no kind of certificate %s", kind)
  end
end

-- name -> { arguments = {name = type}, needs = {names}, run = function(context, arguments) }
local OPERATIONS = {}

local function operation(name, arguments, needs, run)
  OPERATIONS[name] = { arguments = arguments, needs = needs, run = run }
end

-- Says that the stand-in may answer.
operation("ping", {}, {}, function()
  return "pong"
end)

-- Makes this connection the owner: when it closes, the stand-in ends.
operation("own", {}, {}, function(context)
  context.owner = true
  return true
end)

-- Ends the stand-in.
operation("stop", {}, {}, function(context)
  context.stopping = true
  return true
end)

local LISTENER = {
  scheme = "string",
  cert = "string",
  address = "string",
  port = "number",
  prefix = "string",
  region = "string",
  storage = "boolean",
}

-- Opens a listener and tells about it.
operation("listen", LISTENER, { "scheme" }, function(context, arguments)
  if arguments.scheme ~= "http" and arguments.scheme ~= "https" then
    fail("scheme must be http or https")
  end
  check_kind(arguments.cert)
  return server.describe(context.server:listen(arguments))
end)

-- Closes a listener: connections to it are refused from then on.
operation("unlisten", { listener = "number" }, { "listener" }, function(context, arguments)
  context.server:unlisten(find_listener(context, arguments.listener))
  return true
end)

-- Gives a listener a new certificate of a kind, for handshakes to come.
operation("certificate", { listener = "number", cert = "string" }, { "listener", "cert" }, function(context, arguments)
  check_kind(arguments.cert)
  local listener = find_listener(context, arguments.listener)
  listener.cert, listener.context = arguments.cert, context.certificates:renew(arguments.cert)
  return true
end)

local SCRIPT = { listener = "number", connections = "table" }

-- Serves the next connections of a listener by steps (see script.lua), a list for each.
operation("script", SCRIPT, { "listener", "connections" }, function(context, arguments)
  local listener = find_listener(context, arguments.listener)
  for _, steps in ipairs(arguments.connections) do
    script.check(steps)
  end
  for _, steps in ipairs(arguments.connections) do
    table.insert(listener.scripts, steps)
  end
  return #listener.scripts
end)

-- Every request as received, oldest first: `listener`, `connection`, `tls`, `time` (seconds since the start), `method`,
-- `target`, `headers` (a list of pairs), `header` (by lower-case name), `body`, `fields` (the form's), `answered` (the
-- status), `scripted`, `note`; of what could not be read, why (`refused`) and its bytes (`raw`).
operation("log", {}, {}, function(context)
  return context.state.journal:list()
end)

-- Empties the log.
operation("clear_log", {}, {}, function(context)
  context.state:clear_log()
  return true
end)

-- Connections of each listener: open now, accepted ever, failed handshakes; and the scripts that wait.
operation("connections", {}, {}, function(context)
  local list = {}
  for id, listener in pairs(context.server.listeners) do
    list[#list + 1] = {
      listener = id,
      open = listener.open,
      accepted = listener.accepted,
      failed = listener.failed,
      scripts = #listener.scripts,
    }
  end
  table.sort(list, function(a, b)
    return a.listener < b.listener
  end)
  return list
end)

-- Ends the connections that wait for a request. Tells how many.
operation("close_idle", { listener = "number" }, {}, function(context, arguments)
  local listener = arguments.listener and find_listener(context, arguments.listener)
  return context.server:close_idle(listener)
end)

local ACCOUNT = { remove = "boolean" }
for field, kind in pairs(accounts.FIELDS) do
  ACCOUNT[field] = kind .. " null"
end
ACCOUNT.username = "string"

-- Creates or changes an account; a null takes a field away, `remove` the whole account.
operation("account", ACCOUNT, { "username" }, function(context, arguments)
  local all, name = context.state.accounts, arguments.username
  if arguments.remove then
    all[name] = nil
    return true
  end
  if not all[name] then
    all[name] = { id = context.state.next_account, failures = 0 }
    context.state.next_account = context.state.next_account + 1
  end
  for field in pairs(accounts.FIELDS) do
    local value = arguments[field]
    if value == json.null then
      all[name][field] = nil
    elseif value ~= nil then
      all[name][field] = value
    end
  end
  return true
end)

-- Forgets the failures of an account.
operation("unlock", { username = "string" }, { "username" }, function(context, arguments)
  local account = find_account(context, arguments.username)
  account.failures, account.locked_until = 0, nil
  return true
end)

local CONFIGURATION = {}
for name, value in pairs(states.DEFAULTS) do
  CONFIGURATION[name] = type(value)
end

-- Changes settings (see state.lua) and tells all of them.
operation("configure", CONFIGURATION, {}, function(context, arguments)
  local config = context.state.config
  for name, value in pairs(arguments) do
    config[name] = value
  end
  context.state.journal.limit = config.log_limit
  return config
end)

local RATE = {
  count = "number",
  scope = "string",
  status = "number",
  type = "string",
  retry_after = "number string",
  retry_after_date = "number",
}

-- Refuses the next `count` logins (scope "login", the usual) or calls of any kind ("all"). Retry-After is as given, or
-- the date `retry_after_date` seconds from now.
operation("rate_limit", RATE, { "count" }, function(context, arguments)
  local scope = arguments.scope or "login"
  if scope ~= "login" and scope ~= "all" then
    fail("scope must be login or all")
  end
  if arguments.retry_after_date then
    arguments.retry_after = http.date(os.time() + math.floor(arguments.retry_after_date))
  end
  context.state.limits[scope] = arguments
  return true
end)

local CANNED = { count = "number", status = "number", reason = "string", headers = "table", body = "string" }

-- Headers given as a list of pairs or as an object, as a list of pairs.
local function header_list(headers)
  if not headers or headers[1] then
    return headers
  end
  local list = {}
  for name, value in pairs(headers) do
    list[#list + 1] = { name, tostring(value) }
  end
  return list
end

-- Answers the next `count` requests (1) with a status, headers and a body, whatever they ask.
operation("next_answers", CANNED, { "status" }, function(context, arguments)
  table.insert(context.state.canned, {
    count = arguments.count or 1,
    status = math.floor(arguments.status),
    reason = arguments.reason,
    headers = header_list(arguments.headers),
    body = arguments.body,
  })
  return #context.state.canned
end)

local CODE = { username = "string", method = "string", at = "number" }

-- A code that is good for an account now; of `method`, or the first one that has codes. For totp `at` is how many
-- seconds from now the code is taken from.
operation("code", CODE, { "username" }, function(context, arguments)
  local account = find_account(context, arguments.username)
  local method = arguments.method
  for _, offered in ipairs(account.methods or {}) do
    if not method and offered ~= "webauthn" and offered ~= "u2f" then
      method = offered
    end
  end
  return codes.reveal(account, method, context.state:now(), arguments.at)
end)

local TOTP = { secret = "string", time = "number", digits = "number", step = "number", algorithm = "string" }

-- The TOTP of a base32 secret at a moment (now).
operation("totp", TOTP, { "secret" }, function(context, arguments)
  local secret, why = totp.base32_decode(arguments.secret)
  local counter = totp.counter(arguments.time or context.state:now(), arguments.step)
  return secret and totp.hotp(secret, counter, arguments.digits, arguments.algorithm) or fail("%s", why)
end)

-- The sessions that are open: a list of {id, username}.
operation("sessions", {}, {}, function(context)
  local list = {}
  for id in pairs(context.state.sessions) do
    local account = context.state:session_account(id)
    if account then
      list[#list + 1] = { id = id, username = account.username }
    end
  end
  return list
end)

-- Ends sessions from the service's side: one by `id`, those of a `username`, or all. Tells how many.
operation("revoke", { id = "string", username = "string" }, {}, function(context, arguments)
  local count = 0
  for id, session in pairs(context.state.sessions) do
    local wanted = (not arguments.id or arguments.id == id)
      and (not arguments.username or arguments.username == session.account.username)
    if wanted then
      context.state.sessions[id] = nil
      count = count + 1
    end
  end
  return count
end)

-- Puts a file into the service: its `content`, or so much of `fill`, over and over, as makes `size` bytes.
local FILE = { path = "string", content = "string", fill = "string", size = "number" }
operation("file", FILE, { "path" }, function(context, arguments)
  local content = arguments.content
  if not content then
    local size, fill = math.floor(arguments.size), arguments.fill or "x"
    content = fill:rep(size // #fill + 1):sub(1, size)
  end
  context.state.files[arguments.path] = storage.file(content)
  return true
end)

-- The files of the service by their paths: `size`, `md5`, `provided_mtime`, and the `content` of small ones.
operation("files", {}, {}, function(context)
  local list = {}
  for path, file in pairs(context.state.files) do
    list[path] = {
      size = #file.content,
      md5 = file.md5,
      provided_mtime = file.provided_mtime,
      content = #file.content <= 1000 and file.content or nil,
    }
  end
  return list
end)

-- Everything as it was at the start: accounts, settings, sessions, limits, canned answers, log, scripts. The listeners
-- stay, and so do the connections.
operation("reset", {}, {}, function(context)
  context.state:reset()
  for _, listener in pairs(context.server.listeners) do
    listener.scripts = {}
  end
  return true
end)

local function type_of(value)
  return value == json.null and "null" or type(value)
end

local function check_arguments(name, operation_, arguments)
  for argument, value in pairs(arguments) do
    local wanted = operation_.arguments[argument]
    if not wanted then
      fail("%s: unknown argument %s", name, tostring(argument))
    elseif not wanted:find(type_of(value), 1, true) then
      fail("%s: %s must be a %s", name, argument, (wanted:gsub(" ", " or ")))
    end
  end
  for _, argument in ipairs(operation_.needs) do
    if arguments[argument] == nil then
      fail("%s: %s is missing", name, argument)
    end
  end
end

--- Performs the operation that `arguments.op` names, with the other arguments.
function operations.perform(context, arguments)
  local name = arguments.op
  local found = OPERATIONS[name] or fail("no operation %s", tostring(name))
  arguments.op = nil
  check_arguments(name, found, arguments)
  return found.run(context, arguments)
end

return operations
