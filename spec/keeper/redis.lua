-- Starts a Redis server of a spec's own, on a free port and in memory alone.
-- Depends on Debian's redis-server and LuaSocket.
--
--   local server = require("spec.keeper.redis").start({ password = "secret" })
--   server.port
--   server:stop()

local socket = require("socket")

local redis = {}

local Server = {}
Server.__index = Server

local READY = 10 -- seconds to become ready
local LIFETIME = 600 -- seconds after which it is ended should nobody have done it

local function free_port()
  local listening = assert(socket.bind("127.0.0.1", 0))
  local _, port = listening:getsockname()
  listening:close()
  return math.floor(tonumber(port))
end

local function is_listening(port)
  local connection = socket.connect("127.0.0.1", port)
  return connection and connection:close() and true
end

local function launch(self)
  local command = "exec timeout -k 5 %d redis-server --bind 127.0.0.1 --port %d --save '' --appendonly no"
    .. " --daemonize no --dir '%s' --unixsocket '%s/socket' %s >'%s/log' 2>&1"
  self.process = assert(io.popen("echo $$; " .. command:format(
    LIFETIME, self.port, self.directory, self.directory, self.more, self.directory), "r"))
  self.pid = self.process:read("*l")
  for _ = 1, READY * 50 do
    if is_listening(self.port) then
      return
    end
    socket.sleep(0.02)
  end
  self:stop()
  error("redis-server did not start", 3)
end

--- Starts a server. Options: `password`; `user` and its `user_password`, beside the default user.
-- Fields: `port`, `path` (of its unix socket).
function redis.start(options)
  local pipe = io.popen('mktemp -d "${TMPDIR:-/tmp}/filescom-redis.XXXXXX"')
  local directory = pipe:read("*l")
  pipe:close()
  options = options or {}
  local more = options.password and ("--requirepass '%s'"):format(options.password) or ""
  if options.user then
    more = more .. (" --user '%s' on '>%s' '~*' '+@all'"):format(options.user, options.user_password)
  end
  local self = setmetatable({
    port = free_port(),
    directory = directory,
    path = directory .. "/socket",
    more = more,
  }, Server)
  launch(self)
  return self
end

--- Ends the server at once; `start_again` brings it back, empty.
function Server:kill()
  os.execute("kill " .. self.pid)
  self.process:close()
  self.process = nil
end

--- Starts a killed server again.
function Server:start_again()
  launch(self)
end

--- Ends the server and removes its directory. May be called twice.
function Server:stop()
  if self.process then
    self:kill()
  end
  os.execute(("rm -rf '%s'"):format(self.directory))
end

return redis
