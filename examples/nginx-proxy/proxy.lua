--- Lets visitors read a folder of Files.com with one service session for all workers.
--
-- `authorize` sets the session for proxy_pass; `authorize_anew` does where Files.com did not know the last one any
-- more. Depends on filescom, ngx_lua, the shared dictionary `filescom` and nginx.conf's variable $files_session.

local filescom = require "filescom"

local proxy = {}

local keeper

-- The password is asked for when a login is due, here of a file; a vault would do as well.
local function credentials()
  local file, why = io.open(os.getenv "FILES_PASSWORD_FILE" or "")
  if not file then return nil, why end
  local password = file:read "*l"
  file:close()
  return { username = os.getenv "FILES_USERNAME", password = password }
end

local function log_event(event)
  ngx.log(event.type == "login" and ngx.NOTICE or ngx.WARN, "filescom: ", event.message)
end

--- The store: a Redis for a fleet where FILES_REDIS_PORT names one (examples/fleet), else this nginx's own.
local function new_store()
  local port = tonumber(os.getenv "FILES_REDIS_PORT")
  if not port then return filescom.store.shared_dict "filescom" end
  return filescom.store.redis { host = os.getenv "FILES_REDIS_HOST" or "127.0.0.1", port = port }
end

--- Makes the keeper; for init_by_lua.
function proxy.init()
  keeper = filescom.keeper {
    credentials = credentials, store = new_store(), name = "proxy", fallback = true, on_event = log_event,
    client = { base_url = os.getenv "FILES_BASE_URL", ca_file = os.getenv "FILES_CA_FILE" },
  }
end

local function refuse(err)
  ngx.log(ngx.ERR, "filescom: ", tostring(err))
  ngx.header.retry_after = math.ceil(err.retry_after or 5)
  return ngx.exit(ngx.HTTP_SERVICE_UNAVAILABLE)
end

local function set_session()
  local session, err = keeper:session()
  if not session then return refuse(err) end
  ngx.var.files_session = session.id
end

--- Sets the session, or answers 503; for access_by_lua.
function proxy.authorize()
  if ngx.req.get_method() ~= "GET" then return ngx.exit(ngx.HTTP_NOT_ALLOWED) end
  local arguments = ngx.req.get_uri_args(20)
  ngx.req.set_uri_args { cursor = arguments.cursor, per_page = arguments.per_page }
  set_session()
end

--- The same where Files.com refused the session that was set.
function proxy.authorize_anew()
  keeper:discard(ngx.var.files_session)
  set_session()
end

return proxy
