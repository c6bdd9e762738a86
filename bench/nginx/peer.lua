-- What filescom is measured against: the same logins and logouts on cosockets. Runs inside nginx;
-- depends on ngx_lua, lua-cjson and, for the one of the two, on lua-resty-http.
--
-- Both do what filescom does for a pair. A login builds its multipart body from the credentials it is
-- given, with a random boundary, and says what it accepts and who it is; its answer's status is
-- looked at, its JSON decoded by lua-cjson, its id checked, and it returns the session's table. A logout
-- sends the id in its header and returns a table of status and request id. Connections are kept, TLS
-- is verified. What filescom does beyond that (time limits and retries as a whole, bounds for answers,
-- errors in full, redaction) they do not.

local cjson = require "cjson"

local ngx = ngx

local peer = {}

local POOL_SIZE, IDLE_MS, TIMEOUT_MS = 256, 60000, 60000
local USER_AGENT = "peer/1.0"
local TLS_NAME = "localhost" -- ngx_lua verifies names only, not addresses

-- ---- what both need -------------------------------------------------------------------------

local function random_boundary()
  local random = math.random
  return ("--------%08x%08x%08x"):format(random(0, 0x7fffffff), random(0, 0x7fffffff), random(0, 0x7fffffff))
end

local function multipart(fields)
  local boundary = random_boundary()
  local parts = {}
  for name, value in pairs(fields) do
    parts[#parts + 1] = "--" .. boundary .. '\r\nContent-Disposition: form-data; name="' .. name .. '"\r\n\r\n'
      .. value .. "\r\n"
  end
  parts[#parts + 1] = "--" .. boundary .. "--\r\n"
  return table.concat(parts), "multipart/form-data; boundary=" .. boundary
end

-- A client out of `call(method, headers, body)`, which returns status, headers and body, or nil, err.
local function client(call)
  local self = {}

  function self.login(credentials)
    local body, content_type = multipart(credentials)
    local status, headers, answer = call("POST", {
      ["Content-Type"] = content_type, ["Accept"] = "application/json", ["User-Agent"] = USER_AGENT,
    }, body)
    if not status then return nil, headers end
    if status < 200 or status > 299 then return nil, "status " .. status end
    local ok, session = pcall(cjson.decode, answer)
    if not ok or type(session) ~= "table" or type(session.id) ~= "string" or not session.id:find "^[!-~]+$" then
      return nil, "no session"
    end
    return session
  end

  function self.logout(session)
    local status, headers = call("DELETE", {
      ["X-FilesAPI-Auth"] = session.id, ["Accept"] = "application/json", ["User-Agent"] = USER_AGENT,
    })
    if not status then return nil, headers end
    if status < 200 or status > 299 then return nil, "status " .. status end
    return { status = status, request_id = headers["x-request-id"] }
  end

  return self
end

-- ---- lua-resty-http -------------------------------------------------------------------------

--- As its README shows it: an object for each call, `request_uri`, the pool behind it.
function peer.resty(base_url)
  local http = require "resty.http"
  local url = base_url .. "/sessions"
  return client(function (method, headers, body)
    local connection = http.new()
    connection:set_timeout(TIMEOUT_MS)
    local answer, why = connection:request_uri(url, {
      method = method, headers = headers, body = body, ssl_server_name = TLS_NAME,
      keepalive_timeout = IDLE_MS, keepalive_pool = POOL_SIZE,
    })
    if not answer then return nil, why end
    return answer.status, answer.headers, answer.body
  end)
end

-- ---- cosockets alone ------------------------------------------------------------------------

local function split_url(url)
  local scheme, host, port, path = url:match "^(https?)://([^:/]+):(%d+)(/.*)$"
  return { tls = scheme == "https", host = host, port = tonumber(port), path = path }
end

local function open(target)
  local socket = ngx.socket.tcp()
  socket:settimeout(TIMEOUT_MS)
  local ok, why = socket:connect(target.host, target.port, { pool_size = POOL_SIZE })
  if ok and target.tls and socket:getreusedtimes() == 0 then ok, why = socket:sslhandshake(nil, TLS_NAME, true) end
  return ok and socket, why
end

local function request_text(target, method, headers, body)
  local lines = { method .. " " .. target.path .. " HTTP/1.1\r\nHost: " .. target.host .. ":" .. target.port }
  for name, value in pairs(headers) do lines[#lines + 1] = name .. ": " .. value end
  if body then lines[#lines + 1] = "Content-Length: " .. #body end
  return table.concat(lines, "\r\n") .. "\r\n\r\n" .. (body or "")
end

-- One header block, then as many bytes as it says.
local function read_answer(socket)
  local head, why = socket:receiveuntil "\r\n\r\n"()
  if not head then return nil, why end
  local status, headers = tonumber(head:match "^HTTP/1.1 (%d+)"), {}
  for name, value in head:gmatch "\r\n([^:]+):[ \t]*([^\r]*)" do headers[name:lower()] = value end
  local size, body = tonumber(headers["content-length"] or 0), ""
  if size > 0 then
    body, why = socket:receive(size)
    if not body then return nil, why end
  end
  return status, headers, body
end

function peer.cosockets(base_url)
  local target = split_url(base_url .. "/sessions")
  return client(function (method, headers, body)
    local socket, why = open(target)
    if not socket then return nil, why end
    local sent
    sent, why = socket:send(request_text(target, method, headers, body))
    if not sent then return nil, why end
    local status, answer_headers, answer_body = read_answer(socket)
    if not status then return nil, answer_headers end
    if answer_headers.connection == "close" then socket:close() else socket:setkeepalive(IDLE_MS, POOL_SIZE) end
    return status, answer_headers, answer_body
  end)
end

return peer
