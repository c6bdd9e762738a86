-- Starts nginx with a configuration of its own, on free ports and below a private directory, and asks after it.
-- Depends on LuaSocket, cqueues (visitors, which come many at once), Debian's nginx with ngx_lua, and Linux's /proc.
--
--   local nginx = require("spec.support.nginx")
--   local server = nginx.start({ base_url = ..., locations = { ["/ping"] = 'ngx.say("pong")' } })
--   server:get("/ping").body
--   server:stop()

local cqueues = require("cqueues")
local socket = require("socket")
local visitors = require("cqueues.socket")

local Server = {}
Server.__index = Server

local nginx = {}

local LIFETIME = 900 -- seconds after which nginx is ended should nobody have done it
local READY = 10 -- seconds to become ready, or to end
local MODULES = "/usr/share/nginx/modules"

-- ---- processes ----------------------------------------------------------------------------------------------------

local function output_of(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read("*a")
  pipe:close()
  return (text:gsub("\n$", ""))
end

local function read_all(path)
  local file = io.open(path, "rb")
  local text = file and file:read("*a")
  if file then
    file:close()
  end
  return text
end

local function lines_of(text)
  local lines = {}
  for line in text:gmatch("[^\n]+") do
    lines[#lines + 1] = line
  end
  return lines
end

--- Where the project is.
function nginx.root()
  local here = debug.getinfo(1, "S").source:match("^@(.*)/[^/]*$") or "."
  return output_of("cd '" .. here .. "/../..' && pwd")
end

--- Whether the specs run as root, for whom nginx is told to stay root.
function nginx.is_root()
  return output_of("id -u") == "0"
end

--- Whether a process is there, and is not waiting to be taken note of.
function nginx.is_alive(pid)
  local status = read_all(("/proc/%d/status"):format(pid))
  return status ~= nil and not status:find("State:%s+Z")
end

--- What a worker holds: descriptors, threads, memory (KiB).
function nginx.usage(pid)
  local status = assert(read_all(("/proc/%d/status"):format(pid)), "no such process")
  return {
    descriptors = tonumber(output_of(("ls /proc/%d/fd | wc -l"):format(pid))),
    threads = tonumber(output_of(("ls /proc/%d/task | wc -l"):format(pid))),
    memory = tonumber(status:match("VmRSS:%s+(%d+)")),
  }
end

--- The processor time that a process has used, in seconds.
function nginx.cpu(pid)
  local user, system = assert(read_all(("/proc/%d/stat"):format(pid))):match(
    "^%d+ %b() " .. ("%S+ "):rep(11) .. "(%d+) (%d+)")
  return (user + system) / 100
end

--- Waits until a function returns something true, and returns it and the seconds it took; else raises `what`.
function nginx.eventually(what, seconds, condition)
  local from = socket.gettime()
  repeat
    local result = condition()
    if result then
      return result, socket.gettime() - from
    end
    cqueues.sleep(0.02)
  until socket.gettime() - from > seconds
  error(("not within %g s: %s"):format(seconds, what), 2)
end

--- A port of 127.0.0.1 that is free now.
function nginx.free_port()
  local listening = assert(socket.bind("127.0.0.1", 0))
  local _, port = listening:getsockname()
  listening:close()
  return math.floor(tonumber(port))
end

-- ---- the configuration --------------------------------------------------------------------------------------------

local SKELETON = [[
daemon off;
@user@
worker_processes @workers@;
worker_rlimit_nofile @descriptors@;
pid @directory@/nginx.pid;
error_log @directory@/error.log info;
load_module @modules@/ndk_http_module.so;
load_module @modules@/ngx_http_lua_module.so;
@main@
events { worker_connections @connections@; }
http {
  access_log off;
  keepalive_timeout 60s;
  client_body_temp_path @directory@/body;
  proxy_temp_path @directory@/proxy;
  fastcgi_temp_path @directory@/fastcgi;
  uwsgi_temp_path @directory@/uwsgi;
  scgi_temp_path @directory@/scgi;
  lua_package_path "@root@/lua/?.lua;;";
  lua_package_cpath "@root@/build/5.1/?.so;;";
  init_by_lua_block { @init@ }
  @http@
  server {
    listen 127.0.0.1:@port@ @listen@;
    @server@
    @locations@
  }
}
]]

local DEFAULT_INIT = [[
filescom = require "filescom"
filescom.configure { base_url = "@base_url@", @options@ }
MOTOR = { username = "motor", password = "vroom" }
function logged_in(credentials)
  local session, err = filescom.login(credentials or MOTOR)
  if not session then return tostring(err) end
  local ended, why = filescom.logout(session)
  return ended and "in and out" or tostring(why)
end
]]

-- What every server answers, for specs to look inside the worker that serves them.
local COMMON = {
  ["= /ping"] = 'ngx.say("pong")',
  ["= /counts"] = [[
    local waiting = require("filescom.loop").waiting()
    ngx.say(waiting, " ", require("filescom.core").in_flight(), " ", ngx.timer.running_count())
  ]],
  ["= /pid"] = "ngx.say(ngx.worker.pid())",
  ["= /login"] = "ngx.say(logged_in())",
}

local function fill(text, values)
  return (text:gsub("@(%l[%l_]*)@", function(name)
    local value = values[name]
    return value ~= nil and tostring(value) or nil
  end))
end

local function locations_of(options)
  local parts = {}
  local function add(path, code)
    parts[#parts + 1] = ("location %s { content_by_lua_block { %s } }"):format(path, code)
  end
  for path, code in pairs(options.plain and {} or COMMON) do
    if not (options.locations or {})[path] then
      add(path, code)
    end
  end
  for path, code in pairs(options.locations or {}) do
    add(path, code)
  end
  return table.concat(parts, "\n")
end

local function configuration(self, options)
  local values = {
    user = nginx.is_root() and "user root;" or "",
    workers = options.workers or 1,
    descriptors = options.descriptors or 8192,
    connections = options.connections or 1024,
    directory = self.directory,
    modules = MODULES,
    root = nginx.root(),
    port = self.port,
    listen = options.listen or "",
    main = options.main or "",
    http = options.http or "",
    server = options.server or "",
    base_url = options.base_url or "http://127.0.0.1:1",
    options = options.options or "",
  }
  values.locations = fill(locations_of(options), values)
  values.http, values.server = fill(values.http, values), fill(values.server, values)
  values.init = fill((options.init or DEFAULT_INIT) .. "\n" .. (options.init_more or ""), values)
  return fill(SKELETON, values)
end

--- Writes a self-signed certificate for localhost and its key below a directory; returns the two paths.
function nginx.write_certificate(directory)
  local certificate, key = directory .. "/server.pem", directory .. "/server.key"
  local pkey, x509 = require("openssl.pkey"), require("openssl.x509")
  local name, altname = require("openssl.x509.name"), require("openssl.x509.altname")
  local made, secret = x509.new(), pkey.new({ type = "EC", curve = "prime256v1" })
  made:setVersion(3)
  made:setSerial(1)
  made:setSubject(name.new():add("CN", "localhost"))
  made:setIssuer(made:getSubject())
  made:setSubjectAlt(altname.new():add("DNS", "localhost"):add("IP", "127.0.0.1"))
  made:setLifetime(os.time() - 86400, os.time() + 86400)
  made:setPublicKey(secret)
  made:sign(secret)
  nginx.write(certificate, made:toPEM())
  nginx.write(key, secret:toPEM("private"))
  return certificate, key
end

--- Writes a file.
function nginx.write(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
  return path
end

-- ---- life ---------------------------------------------------------------------------------------------------------

local function is_listening(port)
  local connection = socket.connect("127.0.0.1", port)
  return connection and connection:close()
end

local function launch(self, environment, prefix)
  local command = ("exec env %s timeout -k 5 %d nginx -p '%s' -c '%s' -e '%s/error.log' >>'%s/output' 2>&1"):format(
    environment or "", LIFETIME, prefix or self.directory, self.file, self.directory, self.directory)
  self.process = assert(io.popen(command, "r"))
end

--- A private directory, for a configuration written by the caller.
function nginx.directory()
  return output_of('mktemp -d "${TMPDIR:-/tmp}/filescom-nginx.XXXXXX"')
end

--- Runs a configuration file that has `directory` for its pid and its error log, and listens on `port`.
-- `prefix` is what its relative paths begin with, where that is not `directory`.
function nginx.run(directory, file, port, environment, prefix)
  local self = setmetatable({ directory = directory, file = file, port = port }, Server)
  launch(self, environment, prefix)
  local ok, why = pcall(nginx.eventually, "nginx has a worker and listens", READY, function()
    return #self:workers() > 0 and is_listening(port)
  end)
  if not ok then
    local told = self:errors() .. (read_all(directory .. "/output") or "")
    self:stop()
    error(why .. "\n" .. told, 2)
  end
  return self
end

--- Starts nginx. Options: `base_url` and `options` (Lua text) of the default client, or `init` (Lua) instead;
-- `init_more` (Lua after it), `locations` (path -> Lua of a content handler), `server`, `http`, `main` (configuration
-- text), `workers`, `connections`, `descriptors`, `environment` (NAME=value), `listen` (parameters).
-- In all texts @directory@, @port@, @root@ and @base_url@ are replaced.
function nginx.start(options)
  local directory, port = nginx.directory(), options.port or nginx.free_port()
  local file = directory .. "/nginx.conf"
  nginx.write(file, configuration({ directory = directory, port = port }, options))
  return nginx.run(directory, file, port, options.environment)
end

--- Writes the configuration anew, for a reload to read.
function Server:reconfigure(options)
  nginx.write(self.file, configuration(self, options))
end

--- The master's process id, or nil.
function Server:master()
  return tonumber(read_all(self.directory .. "/nginx.pid") or "")
end

--- The process ids of the workers, those that are shutting down among them.
function Server:workers()
  local master, pids = self:master(), {}
  local children = master and read_all(("/proc/%d/task/%d/children"):format(master, master)) or ""
  for pid in children:gmatch("%d+") do
    if nginx.is_alive(pid) then
      pids[#pids + 1] = tonumber(pid)
    end
  end
  return pids
end

--- What the error log holds.
function Server:errors()
  return read_all(self.directory .. "/error.log") or ""
end

--- The lines of the error log at level alert, emerg, crit or error, without what ordinary visitors cause.
function Server:complaints()
  local found = {}
  for _, line in ipairs(lines_of(self:errors())) do
    if line:find("%[alert%]") or line:find("%[emerg%]") or line:find("%[crit%]") or line:find("%[error%]") then
      found[#found + 1] = line
    end
  end
  return found
end

function Server:signal(name)
  os.execute(("kill -%s %d"):format(name, self:master()))
end

--- Reloads, and returns the pids of the workers that were there before.
function Server:reload()
  local before = self:workers()
  self:signal("HUP")
  return before
end

--- Waits until the process has ended, and returns the seconds that took.
function Server:wait_for_end(seconds)
  local master = self:master()
  local _, took = nginx.eventually("nginx has ended", seconds or READY, function()
    return not master or not nginx.is_alive(master) or not read_all(self.directory .. "/nginx.pid")
  end)
  return took
end

--- Ends nginx at once and removes its directory. May be called twice.
function Server:stop()
  if not self.process then
    return
  end
  local master = self:master()
  if master and nginx.is_alive(master) then
    os.execute(("kill -TERM %d"):format(master))
  end
  self.process:close()
  self.process = nil
  os.execute(("rm -rf '%s'"):format(self.directory))
end

-- ---- visitors -----------------------------------------------------------------------------------------------------

local function silent(_, _, why)
  return why
end

local function request_text(path, options)
  local lines = { (options.method or "GET") .. " " .. path .. " HTTP/1.1", "Host: localhost", "Connection: close" }
  for name, value in pairs(options.headers or {}) do
    lines[#lines + 1] = name .. ": " .. value
  end
  if options.body then
    lines[#lines + 1] = "Content-Length: " .. #options.body
  end
  return table.concat(lines, "\r\n") .. "\r\n\r\n" .. (options.body or "")
end

local function unchunk(body)
  local parts, position = {}, 1
  while true do
    local _, to, digits = body:find("^(%x+)\r\n", position)
    local size = to and tonumber(digits, 16)
    if not size or size == 0 then
      return table.concat(parts)
    end
    parts[#parts + 1] = body:sub(to + 1, to + size)
    position = to + size + 3
  end
end

local function parse(text)
  local head, body = text:match("^(.-)\r\n\r\n(.*)$")
  if not head then
    return { failed = "no answer" }
  end
  local answer = { status = tonumber(head:match("^HTTP/%d%.%d (%d+)")), headers = {} }
  for name, value in head:gmatch("\r\n([^:]+):%s*([^\r]*)") do
    answer.headers[name:lower()] = value
  end
  if answer.headers["transfer-encoding"] == "chunked" then
    body = unchunk(body)
  end
  answer.body = body:gsub("\n$", "")
  return answer
end

local function call(port, path, options)
  local connection = visitors.connect({ host = "127.0.0.1", port = port, nodelay = true })
  connection:onerror(silent)
  connection:setmode("bn", "bn")
  connection:settimeout(options.timeout or 30)
  local ok = connection:connect() and connection:xwrite(request_text(path, options), "bn")
  if ok and options.leave_after then
    cqueues.sleep(options.leave_after)
    connection:close()
    return { left = true }
  end
  local text = ok and connection:read("*a")
  connection:close()
  return text and parse(text) or { failed = "no answer" }
end

--- Visits a path: returns `status`, `headers` (lower case), `body` (without its last line end), `seconds`; or `failed`.
-- Options: `method`, `headers`, `body`, `timeout`, `leave_after` (seconds after which the visitor goes away).
-- Inside of `nginx.together` other visitors go on meanwhile.
function Server:get(path, options)
  local from = socket.gettime()
  local answer = call(self.port, path, options or {})
  answer.seconds = socket.gettime() - from
  return answer
end

--- Runs functions at once, each of which may wait by `Server:get` and `cqueues.sleep`. Raises what one raises.
function nginx.together(functions)
  local loop = cqueues.new()
  for _, run in ipairs(functions) do
    loop:wrap(run)
  end
  local ok, why = loop:loop()
  if not ok then
    error(why, 0)
  end
end

--- Visits a path by `count` visitors at once; returns their answers.
function Server:crowd(count, path, options)
  local answers, functions = {}, {}
  for i = 1, count do
    functions[i] = function()
      local paths = type(path) == "function" and path(i) or path
      answers[i] = self:get(paths, type(options) == "function" and options(i) or options)
    end
  end
  nginx.together(functions)
  return answers
end

--- How many of some answers have this body.
function nginx.count(answers, body)
  local count = 0
  for _, answer in ipairs(answers) do
    count = count + (answer.body == body and 1 or 0)
  end
  return count
end

--- What is in flight in a worker: `waiting` (coroutines), `in_flight` (exchanges), `timers` (running).
function Server:counts()
  local body = self:get("/counts").body or ""
  local waiting, in_flight, timers = body:match("^(%d+) (%d+) (%d+)$")
  return { waiting = tonumber(waiting), in_flight = tonumber(in_flight), timers = tonumber(timers) }
end

--- Waits until nothing is waited for and nothing is in flight; returns the seconds that took.
function Server:settle(seconds)
  local _, took = nginx.eventually("nothing is in flight", seconds or 3, function()
    local counts = self:counts()
    return counts.waiting == 0 and counts.in_flight == 0
  end)
  return took
end

return nginx
