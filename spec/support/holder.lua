-- Logs in with a second factor and out again, then idles until it is let go: what its memory holds
-- meanwhile is looked at by spec/secrets_spec.lua.
-- usage: LUA spec/support/holder.lua PORT BASE_URL CA_FILE CONTROL_PORT
-- PORT is where it reports, as "PID ID"; secrets come and go with every byte shifted by one, so that
-- no copy is made but those of the library and the one that its caller holds.
-- Depends on LuaSocket and filescom.

local socket = require "socket"
local filescom = require "filescom"

local port, base_url, ca_file, control = arg[1], arg[2], arg[3], arg[4]

local function shifted(text, by)
  return (text:gsub(".", function (c) return string.char(c:byte() + by) end))
end

local function get_code()
  local pipe = assert(io.popen(("lua5.4 spec/support/code.lua %d tess"):format(control)))
  local code = pipe:read("*l")
  pipe:close()
  return code
end

local function log_in_and_out()
  local client = filescom.new { base_url = base_url, ca_file = ca_file }
  local credentials = { username = "tess", password = shifted("ujdl.updl", -1) }
  local session = assert(client:login_with_otp(credentials, get_code))
  local id = shifted(session.id, 1)
  assert(session:request("GET", "/user"))
  assert(session:logout())
  return id
end

local report = assert(socket.connect("127.0.0.1", tonumber(port)))
local id = log_in_and_out()
for _ = 1, 4 do collectgarbage() end
local pid = io.open("/proc/self/stat"):read("*a"):match("^%d+")
assert(report:send(pid .. " " .. id .. "\n"))
report:receive("*l")
