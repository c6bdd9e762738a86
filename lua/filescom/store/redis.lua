--- A store in a Redis server, for several machines. See filescom.store for what a store is.
--
-- The client is lua-resty-redis inside nginx, on cosockets, and redis-lua on LuaSocket elsewhere.
-- A lock is a key of its own, set where there is none and with its time in one step; extending and
-- freeing compare its token inside the server. Depends on one of the two clients.
--
-- @module filescom.store.redis

local core = require "filescom.core"
local stores = require "filescom.store"

local redis = {}

local Redis = {}
Redis.__index = Redis

local OPTIONS = {
  host = "string", port = "number", path = "string", username = "string", password = "string",
  database = "number", prefix = "string", timeout = "number", recheck = "number",
}

local EXTEND = [[
if redis.call("get", KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call("pexpire", KEYS[1], ARGV[2])]]

local UNLOCK = [[
if redis.call("get", KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call("del", KEYS[1])]]

local function authenticate(client, options)
  if options.username then return client:auth(options.username, options.password) end
  return client:auth(options.password)
end

-- ---- inside nginx ---------------------------------------------------------------------------

local IDLE_MILLISECONDS, POOL_SIZE = 60000, 32

local cosockets = {}

function cosockets.load()
  for _, name in ipairs { "resty.redis", "nginx.redis" } do -- OpenResty's name, and Debian's
    local found, client = pcall(require, name)
    if found then return client end
  end
end

local function greet(client, options)
  local ok, why = true, nil
  if options.password then ok, why = authenticate(client, options) end
  if ok and options.database then ok, why = client:select(options.database) end
  return ok, why
end

-- A pool is shared by whoever names it alike: who logs in otherwise must not.
local function pool_of(options)
  local md5 = rawget(_G, "ngx").md5
  return table.concat({ "filescom", options.path or options.host, options.port, options.database or 0,
    md5((options.username or "") .. "\n" .. (options.password or "")) }, ":")
end

local function open_cosocket(library, options)
  local client = library:new()
  client:set_timeout(options.timeout * 1000)
  local connected, why
  if options.path then
    connected, why = client:connect("unix:" .. options.path, { pool = pool_of(options) })
  else
    connected, why = client:connect(options.host, options.port, { pool = pool_of(options) })
  end
  if connected and client:get_reused_times() == 0 then connected, why = greet(client, options) end
  if not connected then return nil, why end
  return client
end

function cosockets.run(self, command, ...)
  local client, why = open_cosocket(self._library, self._options)
  if not client then return nil, why end
  local result
  result, why = client[command](client, ...)
  if result == nil or why then
    client:close()
    return nil, why or "no answer"
  end
  client:set_keepalive(IDLE_MILLISECONDS, POOL_SIZE)
  if result == rawget(_G, "ngx").null or result == false then result = nil end
  return result
end

-- ---- elsewhere ------------------------------------------------------------------------------

local unpack = rawget(table, "unpack") or rawget(_G, "unpack")

local luasocket = {}

function luasocket.load()
  local found, client = pcall(require, "redis")
  return found and type(client) == "table" and client.connect and client or nil
end

local function open_luasocket(library, options)
  local place = options.path and { path = options.path, scheme = "unix", timeout = options.timeout }
    or { host = options.host, port = options.port, timeout = options.timeout }
  local client = library.connect(place)
  if options.password then authenticate(client, options) end
  if options.database then client:select(options.database) end
  return client
end

-- redis-lua raises what goes wrong. Its connection stays open from call to call, and one that broke
-- meanwhile is replaced: every command here may be sent twice.
function luasocket.run(self, command, ...)
  local arguments, count = { ... }, select("#", ...)
  local function attempt()
    self._connection = self._connection or open_luasocket(self._library, self._options)
    return self._connection[command](self._connection, unpack(arguments, 1, count))
  end
  local was_open = self._connection ~= nil
  local ok, result = pcall(attempt)
  if not ok then self._connection = nil end
  if not ok and was_open then
    ok, result = pcall(attempt)
    if not ok then self._connection = nil end
  end
  if not ok then return nil, (tostring(result):gsub("^%S+:%d+: ", "")) end
  return result
end

-- ---- the store ------------------------------------------------------------------------------

-- Runs a command: its result, nil where there is none, or nil and why it failed.
local function run(self, command, ...)
  local result, why = self._way.run(self, command, ...)
  if why then return nil, "Redis: " .. tostring(why) end
  return result
end

local function milliseconds(ttl)
  return ("%.0f"):format(math.max(ttl * 1000, 1))
end

local function text_key(self, name)
  return self._prefix .. "session:" .. name
end

local function lock_key(self, name)
  return self._prefix .. "lock:" .. name
end

local function done(result, why)
  if why then return nil, why end
  return result ~= nil
end

function Redis:get(name)
  return run(self, "get", text_key(self, name))
end

function Redis:set(name, text, ttl)
  return done(run(self, "set", text_key(self, name), text, "PX", milliseconds(ttl)))
end

function Redis:delete(name)
  return done(run(self, "del", text_key(self, name)))
end

function Redis:lock(name, token, ttl)
  local key = lock_key(self, name)
  local taken, why = run(self, "set", key, token, "NX", "PX", milliseconds(ttl))
  if taken or why then return done(taken, why) end
  local extended
  extended, why = run(self, "eval", EXTEND, 1, key, token, milliseconds(ttl))
  if why then return nil, why end
  return extended == 1
end

function Redis:unlock(name, token)
  return done(run(self, "eval", UNLOCK, 1, lock_key(self, name), token))
end

--- See `filescom.store.redis`.
function redis.new(options)
  options = stores._check_options(options, OPTIONS)
  options.host = options.host or "127.0.0.1"
  options.port = options.port or 6379
  options.timeout = options.timeout or 2
  local way = rawget(_G, "ngx") and cosockets or luasocket
  local library = way.load()
  if not library then
    core.usage_error("the store redis needs %s", way == cosockets and "lua-resty-redis"
      or "redis-lua (Debian's lua-redis)")
  end
  return setmetatable({
    _way = way, _library = library, _options = options, _prefix = options.prefix or "filescom:",
    recheck = options.recheck or 1,
  }, Redis)
end

return redis
