-- Listeners and connections: accepts, shakes hands, and lets the service or a script talk.
-- Depends on cqueues and on stream.lua, http.lua, script.lua, service.lua; works on the state.

local cqueues = require("cqueues")
local errno = require("cqueues.errno")
local http = require("spec.standin.http")
local script = require("spec.standin.script")
local service = require("spec.standin.service")
local socket = require("cqueues.socket")
local stream = require("spec.standin.stream")

local Server = {}
Server.__index = Server

local server = {}

local RETRY = 0.05 -- seconds before accepting again after a failure, such as no free descriptors

--- A server without listeners, whose coroutines run in `loop`.
function server.new(loop, state, certificates)
  return setmetatable({
    loop = loop,
    state = state,
    certificates = certificates,
    listeners = {},
    connections = {},
    last_listener = 0,
    last_connection = 0,
  }, Server)
end

--- Runs a function in a coroutine of the loop. What it raises is told on stderr and ends nothing else.
function server.spawn(loop, run, ...)
  local arguments = table.pack(...)
  loop:wrap(function()
    local ok, why = xpcall(run, debug.traceback, table.unpack(arguments, 1, arguments.n))
    if not ok then
      io.stderr:write("stand-in: ", tostring(why), "\n")
    end
  end)
end

local function handed_back(_, _, why)
  return why
end

--- Opens a socket that listens. Port 0 takes any free one. Returns the socket and its port; raises what failed.
function server.open(address, port)
  local listening = socket.listen({ host = address, port = port or 0, reuseaddr = true, nodelay = true })
  listening:onerror(handed_back)
  local ok, why = listening:listen()
  if not ok then
    error(("cannot listen on %s: %s"):format(address, tostring(why)), 0)
  end
  local _, _, bound = listening:localname()
  return listening, bound
end

--- Accepts from a listening socket for ever, giving each connection's socket to `serve` in a coroutine of its own.
-- Ends when `is_open` says that the socket was closed.
function server.accept(loop, listening, is_open, serve)
  while is_open() do
    local accepted, why = listening:accept({ nodelay = true }, 0)
    if accepted then
      server.spawn(loop, serve, accepted)
    elseif why == errno.ETIMEDOUT then -- nobody waits
      cqueues.poll(listening)
    else
      cqueues.sleep(RETRY)
    end
  end
end

-- Reads the next request. Returns it; or nil and a refusal; or nil alone where the client has ended the connection.
local function read_request(self, connection)
  local talk = connection.stream
  connection.idle = true
  local request, refusal = http.read_head(talk, self.state.config.max_header)
  connection.idle = false
  if not request then
    return nil, refusal
  end
  local complete
  complete, refusal = http.read_body(talk, request, self.state.config.max_body)
  if complete then
    return request
  elseif not refusal then
    self:log(connection, { request = request, refused = "the request ended within its body" })
    return nil
  end
  refusal.request = request
  return nil, refusal
end

-- Sends an answer, after the delay that is configured. Returns whether the client was still there.
local function send_answer(self, connection, answer, method)
  local delay = self.state.config.answer_delay
  if delay > 0 and not connection.stream:wait(delay) then
    return false
  end
  return connection.stream:send(http.format_answer(answer, method))
end

local function close_after(answer)
  answer.headers[#answer.headers + 1] = { "Connection", "close" }
end

-- Answers what could not be read, and ends the connection.
local function refuse_request(self, connection, refusal)
  local answer = service.refuse(refusal.status, refusal.detail)
  self:log(connection, {
    request = refusal.request,
    refused = refusal.detail,
    raw = refusal.head,
    answered = answer.status,
  })
  close_after(answer)
  send_answer(self, connection, answer)
  return false
end

-- One request and its answer. Returns whether the connection stays open for another.
local function serve_request(self, connection)
  local request, refusal = read_request(self, connection)
  if not request then
    return refusal and refuse_request(self, connection, refusal) or false
  end
  local entry = self:log(connection, { request = request })
  if self.state.config.hang then
    connection.stream:wait()
    return false
  end
  local answer = service.answer(self.state, connection.listener, request, entry)
  local stays = self.state.config.keep_alive and http.keeps_alive(request)
  if not stays and not answer.canned then
    close_after(answer)
  end
  entry.answered = answer.status
  return send_answer(self, connection, answer, request.method) and stays
end

local function run_script(self, connection, steps)
  script.run({
    stream = connection.stream,
    connection = connection,
    certificates = self.certificates,
    limits = self.state.config,
    log = function(entry)
      self:log(connection, entry)
    end,
    serve = function()
      return serve_request(self, connection)
    end,
  }, steps)
  connection.stream:close()
end

local function converse(self, connection)
  local listener = connection.listener
  local steps = table.remove(listener.scripts, 1)
  if listener.scheme == "https" and not (steps and script.is_raw(steps)) then
    connection.tls = connection.stream:starttls(listener.context)
    if not connection.tls then
      listener.failed = listener.failed + 1
      return
    end
  end
  if steps then
    return run_script(self, connection, steps)
  end
  local stays
  repeat
    stays = serve_request(self, connection)
  until not stays
  if not connection.stream.ended then
    connection.stream:finish()
  end
end

-- Serves a connection from its beginning to its end.
local function serve_connection(self, listener, accepted)
  self.last_connection = self.last_connection + 1
  local connection = { id = self.last_connection, listener = listener, stream = stream.new(accepted) }
  self.connections[connection.id] = connection
  listener.accepted, listener.open = listener.accepted + 1, listener.open + 1
  local ok, why = xpcall(converse, debug.traceback, self, connection)
  connection.stream:close()
  self.connections[connection.id] = nil
  listener.open = listener.open - 1
  if not ok then
    error(why, 0)
  end
end

--- Adds an entry to the log, with where it came from.
function Server:log(connection, entry)
  entry.listener, entry.connection = connection.listener.id, connection.id
  entry.tls, entry.time = connection.tls, self.state:uptime()
  return self.state.journal:add(entry)
end

local function authority(address, port)
  return (address:find(":", 1, true) and "[%s]:%d" or "%s:%d"):format(address, port)
end

--- What there is to know of a listener.
function server.describe(listener)
  local base = listener.scheme .. "://" .. authority(listener.address, listener.port)
  return {
    id = listener.id,
    scheme = listener.scheme,
    cert = listener.cert,
    address = listener.address,
    port = listener.port,
    host = authority(listener.address, listener.port),
    base_url = listener.prefix == service.PREFIX and base or base .. listener.prefix,
    prefix = listener.prefix,
    region = listener.region,
    storage = listener.storage,
  }
end

--- Opens a listener: `scheme`, and of `cert`, `address`, `port`, `prefix`, `region` what is not the usual. One that is
-- `storage` serves the contents of files in place of the API, from now on those of all listeners.
function Server:listen(options)
  local address = options.address or "127.0.0.1"
  local listening, port = server.open(address, options.port)
  self.last_listener = self.last_listener + 1
  local cert = options.scheme == "https" and (options.cert or "good") or nil
  local listener = {
    id = self.last_listener,
    scheme = options.scheme,
    cert = cert,
    context = cert and self.certificates:context(cert),
    address = address,
    port = port,
    prefix = (options.prefix or service.PREFIX):gsub("/$", ""),
    region = options.region,
    storage = options.storage,
    socket = listening,
    scripts = {},
    open = 0,
    accepted = 0,
    failed = 0,
  }
  self.listeners[listener.id] = listener
  if listener.storage then
    self.state.storage = listener.scheme .. "://" .. authority(address, port)
  end
  server.spawn(self.loop, server.accept, self.loop, listening, function()
    return listener.socket ~= nil
  end, function(accepted)
    serve_connection(self, listener, accepted)
  end)
  return listener
end

--- Closes a listener: from now on connections to it are refused. Those that are open go on.
function Server:unlisten(listener)
  self.listeners[listener.id] = nil
  local listening = listener.socket
  listener.socket = nil
  listening:close()
end

--- Ends the connections that wait for a request, of one listener or of all. Returns how many.
function Server:close_idle(listener)
  local count = 0
  for _, connection in pairs(self.connections) do
    local idle = connection.idle and connection.stream.buffer == ""
    if idle and (not listener or connection.listener == listener) then
      connection.idle = false
      connection.stream:stop_reading()
      count = count + 1
    end
  end
  return count
end

return server
