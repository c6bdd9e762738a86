-- The service's calls: what is answered to a request that HTTP could read.
-- Depends on files.lua, login.lua, storage.lua, users.lua, refusal.lua, http.lua (its dates), random.lua and json.lua;
-- works on the state.
--
-- A handler gets what there is to know of a call (state, listener, request, entry, session id, account) and returns an
-- answer: `status`, `headers`, and `json`, `body` or `refusal`.

local files = require("spec.standin.files")
local json = require("spec.standin.json")
local http = require("spec.standin.http")
local login = require("spec.standin.login")
local random = require("spec.standin.random")
local refusal = require("spec.standin.refusal")
local storage = require("spec.standin.storage")
local users = require("spec.standin.users")

local service = {}

--- The path under which a listener serves the API unless it is told another.
service.PREFIX = "/api/rest/v1"

-- Folders and files of everyone.
local TREE = {
  [""] = {
    { path = "inbox", type = "directory", size = 0, permissions = "lpw" },
    { path = "reports", type = "directory", size = 0, permissions = "lp" },
    { path = "welcome.txt", type = "file", size = 42, permissions = "rwd", mime_type = "text/plain" },
  },
  inbox = { { path = "inbox/letter.pdf", type = "file", size = 4294967296, permissions = "rwd" } },
  reports = { { path = "reports/zürich.csv", type = "file", size = 1024, permissions = "rd" } },
}

local date_header, date_second

-- The Date header of this second.
local function date()
  local now = os.time()
  if now ~= date_second then
    date_second, date_header = now, { "Date", http.date(now) }
  end
  return date_header
end

-- Fields beyond those that clients are promised, such as the service sends from time to time.
local function add_unpromised(fields, account)
  fields.user_id = account.id
  fields.two_factor_authenticated = account.methods ~= nil
  fields.password_expires_at = json.null
  fields.skip_homepage = json.null
  fields.site = { id = 7, name = "Stand-in", color = json.null, storage = { used = 5368709120, limit = json.null } }
  fields.login_methods = { "password", "sso" }
end

-- The fields of a new session, as the service sends them.
local function session_fields(account, id, ends, with_unpromised)
  local fields = {
    id = id,
    language = "en",
    read_only = false,
    sftp_insecure_ciphers = false,
    timeout_at = os.date("!%Y-%m-%dT%H:%M:%SZ", ends),
    max_dir_listing_size = 25000,
    ssl_required = true,
    tls_disabled = false,
  }
  if with_unpromised then
    add_unpromised(fields, account)
  end
  for name, value in pairs(account.session or {}) do
    fields[name] = value
  end
  return fields
end

-- Takes one from a limit on calls of `scope`. Returns the refusal if there is one.
local function rate_limit(state, scope)
  local limit = state.limits[scope]
  if not limit or limit.count <= 0 then
    return nil
  end
  limit.count = limit.count - 1
  local answer = refusal.new(scope == "login" and "many_logins" or "many_requests", "Too many requests, slow down")
  answer.status = limit.status or answer.status
  answer.refusal["http-code"] = answer.status
  answer.refusal.type = limit.type or answer.refusal.type
  if limit.retry_after then
    answer.headers = { { "Retry-After", tostring(limit.retry_after) } }
  end
  return answer
end

local handlers = {}

function handlers.create_session(call)
  local limited = rate_limit(call.state, "login")
  if limited then
    return limited
  end
  local account, refused = login.decide(call.state, call.listener, call.request, call.entry)
  if not account then
    return refused
  end
  local id, ends = call.state:open_session(account)
  return { status = 201, json = session_fields(account, id, ends, call.state.config.unpromised_fields) }
end

function handlers.delete_session(call)
  call.state:close_session(call.session)
  if call.state.config.old_logout then
    return { status = 200, json = {} }
  end
  return { status = 204 }
end

function handlers.list_folder(call)
  local path = call.rest:gsub("^/", "")
  local list = TREE[path]
  if not list then
    return refusal.new("no_folder", "Folder not found: " .. path)
  end
  return { status = 200, json = list }
end

function handlers.show_user(call)
  local name = call.account.username
  return {
    status = 200,
    json = {
      id = call.account.id,
      username = name,
      email = name .. "@example.com",
      name = json.null,
      disabled = false,
      require_2fa = call.account.methods and "always_require" or "never_require",
    },
  }
end

function handlers.echo(call)
  local request = call.request
  return {
    status = 200,
    json = {
      method = request.method,
      path = request.path,
      query = request.query,
      headers = request.fields,
      body = request.body,
    },
  }
end

local ROUTES = {
  ["/sessions"] = {
    POST = { handler = handlers.create_session, open = true },
    DELETE = { handler = handlers.delete_session },
  },
  ["/folders"] = { below = true, GET = { handler = handlers.list_folder } },
  ["/user"] = { GET = { handler = handlers.show_user } },
  ["/users"] = { GET = { handler = users.list } },
  ["/api_keys"] = { POST = { handler = users.create_key } },
  ["/files"] = { below = true, GET = { handler = files.show }, POST = { handler = files.create } },
  ["/file_actions"] = { below = true, POST = { handler = files.act } },
  ["/echo"] = { any = { handler = handlers.echo } },
}

-- The route of a path below the prefix, and what the path has beyond it.
local function find_route(path)
  local name, rest = path:match("^(/[^/]*)(.*)$")
  local route = ROUTES[name]
  if route and (rest == "" or route.below) then
    return route, rest
  end
end

-- Fills in whose session the call carries; else returns a refusal.
local function authenticate(call)
  local id = call.request.fields["x-filesapi-auth"]
  if not id then
    return refusal.new("no_session", "Authentication is required")
  end
  call.session, call.account = id, call.state:session_account(id)
  if not call.account then
    return refusal.new("bad_session", "The session is unknown or has ended")
  end
end

local function dispatch(call)
  local prefix, path = call.listener.prefix, call.request.path
  local route
  if path:sub(1, #prefix) == prefix then
    route, call.rest = find_route(path:sub(#prefix + 1))
  end
  if not route then
    return refusal.new("no_path", "Not found: " .. path)
  end
  local target = route[call.request.method] or route.any
  if not target then
    return refusal.new("method", "Method not allowed: " .. call.request.method)
  end
  local refused = rate_limit(call.state, "all") or not target.open and authenticate(call)
  return refused or target.handler(call)
end

-- The next answer that was ordered in advance, or nil.
local function take_canned(state)
  local canned = state.canned[1]
  if not canned then
    return nil
  end
  canned.count = canned.count - 1
  if canned.count <= 0 then
    table.remove(state.canned, 1)
  end
  return { status = canned.status, reason = canned.reason, headers = canned.headers, body = canned.body, canned = true }
end

-- Adds what every answer of the service carries.
local function complete(answer)
  local request_id = random.uuid()
  local headers = { date(), { "X-Request-Id", request_id } }
  if answer.refusal then
    answer.body = refusal.body(answer.refusal, request_id)
  elseif answer.json then
    answer.body = json.encode(answer.json)
  end
  if answer.body then
    headers[3] = { "Content-Type", "application/json; charset=utf-8" }
  end
  for _, header in ipairs(answer.headers or {}) do
    headers[#headers + 1] = header
  end
  answer.headers = headers
  return answer
end

--- Answers a request: `status`, `headers`, `body`. Notes in the log's entry what it found.
function service.answer(state, listener, request, entry)
  local canned = take_canned(state)
  if canned then
    return canned
  end
  if listener.storage then
    return storage.answer(state, request, entry)
  end
  return complete(dispatch({ state = state, listener = listener, request = request, entry = entry }))
end

--- The answer to bytes that are no request: `status` and `detail` say why.
function service.refuse(status, detail)
  local answer = refusal.new("malformed_http", detail)
  answer.status, answer.refusal["http-code"] = status, status
  return complete(answer)
end

return service
