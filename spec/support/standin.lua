-- Starts the stand-in for the service as a process of its own, and talks to its control port.
-- Depends on LuaSocket and lua-cjson; runs on Lua 5.1, LuaJIT, 5.3 and 5.4. The stand-in itself runs on the
-- interpreter that STANDIN_LUA names (lua5.4).
--
--   local standin = require("spec.support.standin").start({ "http", "https" })
--   standin.http.base_url, standin.https.base_url, standin.ca_file
--   standin:call("configure", { answer_delay = 0.5 })
--   standin:stop()

local cjson = require("cjson")
local socket = require("socket")

local Standin = {}
Standin.__index = Standin

local support = {}

--- JSON's null, as arguments and results have it.
support.null = cjson.null

local TIMEOUT = 30 -- seconds for one operation

local tointeger = rawget(math, "tointeger")

-- Makes integers of the whole numbers in a decoded value, where Lua has integers.
local function with_integers(value)
  if type(value) == "number" then
    return tointeger and tointeger(value) or value
  elseif type(value) == "table" then
    for key, item in pairs(value) do
      value[key] = with_integers(item)
    end
  end
  return value
end

-- Text as one word of a shell's command line.
local function quoted(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

-- The stand-in's main file, found from this one.
local function main_path()
  local here = debug.getinfo(1, "S").source:match("^@(.*)/[^/]*$") or "."
  return here .. "/../standin/main.lua"
end

local function command(listeners, options)
  -- Where another Lua is tried, the environment's paths are those of its modules.
  local paths = _VERSION == "Lua 5.4" and "" or "env -u LUA_PATH -u LUA_CPATH"
  local words = { "echo $$; exec", paths, os.getenv("STANDIN_LUA") or "lua5.4", quoted(main_path()) }
  for _, listener in ipairs(listeners) do
    words[#words + 1] = "--listen " .. quoted(listener)
  end
  if options.lifetime then
    words[#words + 1] = "--lifetime " .. options.lifetime
  end
  return table.concat(words, " ") .. " </dev/null"
end

-- Connects to the control port and becomes the owner.
local function own(self)
  self.connection = assert(socket.connect("127.0.0.1", self.control))
  self.connection:settimeout(TIMEOUT)
  self.connection:setoption("tcp-nodelay", true)
  self:call("own")
end

--- Starts a stand-in. `listeners` are as its command line has them: "http", "https", "https:expired", "storage"; each
-- is then a field of that name (the first of several alike) and an item of `listeners`. `pid` is the process's id.
-- Options: `lifetime` in seconds.
function support.start(listeners, options)
  local process = assert(io.popen(command(listeners, options or {}), "r"))
  local pid, line = process:read("*l"), process:read("*l")
  if not line then
    process:close()
    error("the stand-in did not start", 2)
  end
  local self = setmetatable(with_integers(cjson.decode(line)), Standin)
  self.process, self.pid = process, tonumber(pid)
  for i, name in ipairs(listeners) do
    self[name] = self[name] or self.listeners[i]
  end
  local ok, why = pcall(own, self)
  if not ok then
    os.execute("kill " .. pid)
    error(why, 2)
  end
  return self
end

--- Performs an operation of the control port and returns its result. Raises what the stand-in objects.
function Standin:call(op, arguments)
  local request = { op = op }
  for name, value in pairs(arguments or {}) do
    request[name] = value
  end
  assert(self.connection:send(cjson.encode(request) .. "\n"))
  local line, why = self.connection:receive("*l")
  if not line then
    error(("stand-in: %s: %s"):format(op, why), 2)
  end
  local answer = with_integers(cjson.decode(line))
  if not answer.ok then
    error("stand-in: " .. answer.error, 2)
  end
  return answer.result
end

--- Every request received since the start, the last reset or clear_log.
function Standin:log()
  return self:call("log")
end

--- The latest request received, or nil.
function Standin:last()
  local log = self:log()
  return log[#log]
end

--- A code that an account's owner would type now.
function Standin:code(username, method)
  return self:call("code", { username = username, method = method })
end

--- Takes the service back to its first state.
function Standin:reset()
  return self:call("reset")
end

--- Serves the next connections of a listener (as `start` and `listen` give it) by steps, a list for each.
function Standin:script(listener, ...)
  return self:call("script", { listener = listener.id, connections = { ... } })
end

--- Opens another listener: `scheme`, and of `cert`, `address`, `port`, `prefix`, `region` what is wanted.
function Standin:listen(options)
  return self:call("listen", options)
end

--- How many connections a listener has open, and how many it ever accepted.
function Standin:connections(listener)
  for _, counts in ipairs(self:call("connections")) do
    if counts.listener == listener.id then
      return counts.open, counts.accepted
    end
  end
end

--- Ends a listener's idle connections until none is open: one that is closing yet would break under a request.
function Standin:close_connections(listener)
  local deadline = socket.gettime() + 5
  repeat
    self:call("close_idle", { listener = listener.id })
    local open = self:connections(listener)
    if open == 0 then return end
    socket.sleep(0.002)
  until socket.gettime() > deadline
  error("the stand-in has connections that are not idle")
end

--- Ends the process and waits for its end. May be called twice.
function Standin:stop()
  if not self.process then
    return
  end
  pcall(self.call, self, "stop")
  self.connection:close()
  self.process:close()
  self.process = nil
end

return support
