-- The nginx servers of the measurements: the service that is logged in to, and the worker that does it.
-- Depends on spec/support/nginx.lua, which starts them on free ports, on luaossl, and on bench/nginx/peer.lua.

local nginx = require "spec.support.nginx"

local servers = {}

local CONNECTIONS = 4096
local SLOW = 0.2 -- seconds before each answer of the slow service
local HANGS = 600 -- likewise of the one that hangs

local SESSION = [[{"id":"820f6c6b5c6d852037a5adc49d4377fc6b5c24aa5e2cb452","language":"en","read_only":false,]]
  .. [["sftp_insecure_ciphers":false,"timeout_at":"2026-11-24T09:26:46Z","max_dir_listing_size":25000,]]
  .. [["ssl_required":true,"tls_disabled":false}]]

-- ---- the service ----------------------------------------------------------------------------

-- A session for a POST, 204 for a DELETE, at once.
local ANSWER = ([[
  if ($request_method = DELETE) { return 204; }
  return 201 '%s';
]]):format(SESSION)

local LATE_ANSWER = ([[
  ngx.sleep(%g)
  if ngx.req.get_method() == "DELETE" then return ngx.exit(204) end
  ngx.status = 201
  ngx.header.content_length = %d
  ngx.print('%s')
]]):format(SLOW, #SESSION, SESSION)

local HANG = ([[
  hanging = hanging + 1
  ngx.sleep(%g)
]]):format(HANGS)

local HEADERS = [[
  default_type application/json;
  add_header X-Request-Id $request_id;
  keepalive_requests 100000000;
  lua_check_client_abort on;
]]

-- A key of another kind for the certificate that spec/support writes, which has an elliptic one.
local function write_rsa_certificate(directory)
  local pkey, x509 = require "openssl.pkey", require "openssl.x509"
  local elliptic = assert(io.open((nginx.write_certificate(directory)), "rb"))
  local certificate, secret = x509.new(elliptic:read "a"), pkey.new { type = "RSA", bits = 2048 }
  elliptic:close()
  certificate:setPublicKey(secret)
  certificate:sign(secret)
  return nginx.write(directory .. "/rsa.pem", certificate:toPEM()),
    nginx.write(directory .. "/rsa.key", secret:toPEM "private")
end

-- Closes each connection with its answer; TLS sessions may be resumed, as everywhere.
local function tls_server(port, certificate, key, protocol)
  return ([[
    server {
      listen 127.0.0.1:%d ssl;
      ssl_certificate %s;
      ssl_certificate_key %s;
      ssl_protocols %s;
      ssl_session_cache shared:tls:1m;
      keepalive_timeout 0;
      location / { %s }
    }
  ]]):format(port, certificate, key, protocol, ANSWER)
end

-- An authority for each of two certificates, in one file.
local function join_files(path, ...)
  local texts = {}
  for i, name in ipairs { ... } do
    local file = assert(io.open(name, "rb"))
    texts[i] = file:read "a"
    file:close()
  end
  return nginx.write(path, table.concat(texts))
end

--- Starts the service. Returns `base_url` by name (`fast`; `slow`, which waits 0.2 s; `hang`, which never answers;
-- `brief`, which keeps idle connections a second; `rsa_1_2`, `rsa_1_3`, `ec_1_2` and `ec_1_3`, such a key and such
-- a version of TLS, which keep none), `ca_file`, `hanging()` (how many requests ever hung) and `stop()`.
function servers.service()
  local directory = nginx.directory()
  local ec, ec_key = nginx.write_certificate(directory)
  local rsa, rsa_key = write_rsa_certificate(nginx.directory())
  local base_url, tls = {}, {}
  local function add_tls_server(name, certificate, key, protocol)
    local port = nginx.free_port()
    tls[#tls + 1] = tls_server(port, certificate, key, protocol)
    base_url[name] = ("https://127.0.0.1:%d/tls"):format(port)
  end
  add_tls_server("rsa_1_2", rsa, rsa_key, "TLSv1.2")
  add_tls_server("rsa_1_3", rsa, rsa_key, "TLSv1.3")
  add_tls_server("ec_1_2", ec, ec_key, "TLSv1.2")
  add_tls_server("ec_1_3", ec, ec_key, "TLSv1.3")
  local server = nginx.start {
    plain = true, connections = CONNECTIONS, init = "hanging = 0",
    http = HEADERS .. table.concat(tls),
    server = ("location / { %s } location /brief/ { keepalive_timeout 1s; %s }"):format(ANSWER, ANSWER),
    locations = { ["/slow/"] = LATE_ANSWER, ["/hang/"] = HANG, ["= /hanging"] = "ngx.say(hanging)" },
  }
  for _, path in ipairs { "fast", "slow", "hang", "brief" } do
    base_url[path] = ("http://127.0.0.1:%d/%s"):format(server.port, path)
  end
  return {
    base_url = base_url,
    ca_file = join_files(directory .. "/authorities.pem", rsa, ec),
    hanging = function () return tonumber(server:get("/hanging").body) end,
    stop = function ()
      server:stop()
      os.execute(("rm -rf '%s' '%s'"):format(directory, rsa:match "^(.*)/"))
    end,
  }
end

-- ---- the worker -----------------------------------------------------------------------------

local INIT = [[
  CREDENTIALS = { username = "motor", password = "vroom" }
  attempted, completed = 0, 0
  function refuse(why)
    ngx.log(ngx.ERR, tostring(why))
    ngx.exit(500)
  end
]]

local INIT_FILESCOM = [[
  filescom = require "filescom"
  filescom.configure { base_url = "@base_url@", ca_file = "%s" }
]]

local PAIR_FILESCOM = [[
  local session, err = filescom.login(CREDENTIALS)
  if not session then return refuse(err) end
  local ended, why = filescom.logout()
  if not ended then return refuse(why) end
]]

local INIT_PEER = [[
  package.path = "@root@/?.lua;%s/?.lua;" .. package.path
  client = require("bench.nginx.peer").%s "@base_url@"
]]

local PAIR_PEER = [[
  local session, err = client.login(CREDENTIALS)
  if not session then return refuse(err) end
  local ended, why = client.logout(session)
  if not ended then return refuse(why) end
]]

--- Those that are measured, by `name`: filescom, and its peer.
-- @tparam string|nil resty_http the folder of lua-resty-http
function servers.subjects(resty_http)
  return {
    { name = "filescom", init = INIT_FILESCOM, pair = PAIR_FILESCOM },
    {
      name = resty_http and "lua-resty-http" or "cosockets", pair = PAIR_PEER,
      init = INIT_PEER:format(resty_http or ".", resty_http and "resty" or "cosockets"):gsub("%%", "%%%%"),
    },
  }
end

--- Starts nginx with one worker: `/pair` logs in and out, `/pairs` ten times, `/ping` only answers, `/counted` says how
-- many pairs of `/pairs` were begun and how many were done.
function servers.worker(subject, base_url, ca_file)
  local locations = {
    ["= /pair"] = subject.pair .. 'ngx.print "done\\n"',
    ["= /pairs"] = ([[
      local function pair() %s return true end
      for _ = 1, 10 do
        attempted = attempted + 1
        if not pair() then return end
        completed = completed + 1
      end
      ngx.print "done\n"
    ]]):format(subject.pair),
    ["= /counted"] = 'ngx.say(attempted, " ", completed)',
    ["= /ping"] = 'ngx.print "pong\\n"',
  }
  return nginx.start {
    base_url = base_url, connections = CONNECTIONS,
    init = INIT .. subject.init:format(ca_file),
    http = ("keepalive_requests 100000000; lua_ssl_protocols TLSv1.2 TLSv1.3; lua_ssl_trusted_certificate %s;")
      :format(ca_file),
    server = "lua_check_client_abort on;",
    locations = locations,
  }
end

return servers
