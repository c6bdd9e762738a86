-- A stand-in for the service, for the demonstration, the specs and the benchmarks.
-- Depends on Lua 5.4 with cqueues, luaossl, lua-cjson and LuaSocket.
--
--   lua5.4 spec/standin/main.lua [--listen http|https[:CERT]|storage]... [--lifetime SECONDS]
--
-- Prints one JSON line: the control port, the listeners, the authority's certificate. Ends when the control connection
-- that owns it closes, on SIGTERM and SIGINT, and after its lifetime (600 seconds) whatever happens.

local here = arg[0]:match("^(.*)/[^/]*$") or "."
package.path = here .. "/../../?.lua;" .. package.path

local certificates = require("spec.standin.certificates")
local json = require("spec.standin.json")
local control = require("spec.standin.control")
local cqueues = require("cqueues")
local server = require("spec.standin.server")
local signal = require("cqueues.signal")
local states = require("spec.standin.state")

local USAGE = "usage: main.lua [--listen http|https[:CERT]|storage]... [--lifetime SECONDS]\n"

local function usage(message)
  io.stderr:write("stand-in: ", message, "\n", USAGE)
  os.exit(2)
end

-- One --listen: a listener's options. Without a storage no file can be sent or fetched.
local function parse_listener(text)
  if text == "storage" then return { scheme = "http", storage = true } end
  local scheme, cert = text:match("^(%a+):?(.*)$")
  cert = cert ~= "" and cert or nil
  if scheme ~= "http" and scheme ~= "https" or cert and not (scheme == "https" and certificates.is_kind(cert)) then
    usage("cannot listen: " .. text)
  end
  return { scheme = scheme, cert = cert }
end

local function parse_arguments(arguments)
  local options = { listeners = {}, lifetime = 600 }
  for i = 1, #arguments, 2 do
    local name, value = arguments[i], arguments[i + 1]
    if name == "--listen" and value then
      table.insert(options.listeners, parse_listener(value))
    elseif name == "--lifetime" and tonumber(value) then
      options.lifetime = tonumber(value)
    else
      usage("cannot understand " .. name)
    end
  end
  return options
end

-- A directory that nobody else can read.
local function make_directory()
  local pipe = assert(io.popen('exec mktemp -d "${TMPDIR:-/tmp}/filescom-standin.XXXXXX"'))
  local directory = pipe:read("l")
  assert(pipe:close() and directory, "no temporary directory")
  return directory
end

local function write_file(path, text)
  local file = assert(io.open(path, "w"))
  assert(file:write(text))
  assert(file:close())
end

-- Says on stdout where everything is.
local function announce(port, listeners, ca_file, directory)
  local described = {}
  for i, listener in ipairs(listeners) do
    described[i] = server.describe(listener)
  end
  local line = { control = port, listeners = described, ca_file = ca_file, directory = directory }
  print(json.encode(line))
  io.stdout:flush()
end

-- Calls `stop` at the end of the lifetime, and at a signal to end.
local function watch(loop, lifetime, stop)
  server.spawn(loop, function()
    cqueues.sleep(lifetime)
    stop()
  end)
  local signals = signal.listen(signal.SIGTERM, signal.SIGINT)
  server.spawn(loop, function()
    signals:wait()
    stop()
  end)
end

-- Serves until something stops it.
local function serve(options, directory)
  local stopped = false
  local shared = { loop = cqueues.new(), state = states.new(), certificates = certificates.new() }
  shared.server = server.new(shared.loop, shared.state, shared.certificates)
  function shared.stop()
    stopped = true
  end
  local ca_file = directory .. "/ca.pem"
  write_file(ca_file, shared.certificates:authority_pem())
  local listeners = {}
  for i, listener in ipairs(options.listeners) do
    listeners[i] = shared.server:listen(listener)
  end
  local port = control.open(shared)
  watch(shared.loop, options.lifetime, shared.stop)
  announce(port, listeners, ca_file, directory)
  while not stopped do
    assert(shared.loop:step())
  end
end

signal.block(signal.SIGTERM, signal.SIGINT)
signal.ignore(signal.SIGPIPE)
local options = parse_arguments(arg)
local directory = make_directory()
local ok, why = xpcall(serve, debug.traceback, options, directory)
os.remove(directory .. "/ca.pem")
os.remove(directory)
if not ok then
  io.stderr:write("stand-in: ", tostring(why), "\n")
end
os.exit(ok)
