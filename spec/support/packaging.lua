-- A copy of the checkout to install from, a directory to install below, and a login with what was installed, by the
-- library and by the command.
-- Depends on a shell, git and spec/support/standin.lua; the login with the stand-in's user "sam" needs lua5.4.
--
--   local place = require("spec.support.packaging").new()
--   place:run("make -C checkout install PREFIX=$PWD/there")
--   place:log_in("lua5.4", "there", "5.4")
--   place:use_command("there/bin/filescom")
--   place:remove()

local standin_support = require("spec.support.standin")

local Place = {}
Place.__index = Place

local packaging = {}

-- What is installed from: not what a session of work leaves behind.
local PARTS = "Makefile README.md CHANGELOG.md LICENSE src lua rockspec doc examples spec bin types"

-- What make has built already, which need not be built again.
local BUILT = "build/core build/5.4 build/5.3 build/5.1"

-- Logs in and out with what is found on the paths, and says which libcurl did it.
local PROGRAM = [[
local filescom = require "filescom"
local client = filescom.new { base_url = arg[1], ca_file = arg[2] }
local session = assert(client:login_with_otp({ username = "sam", password = "dot-dash" }, function ()
  local pipe = io.popen(arg[3])
  local code = pipe:read("*l")
  pipe:close()
  return code
end))
assert(session:request("GET", "/user"))
assert(session:logout())
print("in and out")
for line in io.lines("/proc/self/maps") do
  local path = line:match("%S*/libcurl%.so%S*") or line:match("%S*/filescom/core%.so")
  if path then print(path) end
end
]]

--- Runs a command of the shell; returns what it printed, and raises that where it failed.
function packaging.run(command)
  local pipe = assert(io.popen("{ " .. command .. "\n} 2>&1 </dev/null; echo status=$?"))
  local text = pipe:read("*a")
  pipe:close()
  local said, status = text:match("^(.*)status=(%d+)%s*$")
  if status ~= "0" then error(command .. "\n" .. tostring(said), 2) end
  return said
end

--- Writes a file.
function packaging.write(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
end

--- What a file holds.
function packaging.read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

--- Makes a place: `directory`, and in it the copy, `checkout`, with what was built or without.
function packaging.new(with_build)
  local self = setmetatable({}, Place)
  self.root = packaging.run("pwd"):match("[^\n]+")
  self.directory = packaging.run('mktemp -d "${TMPDIR:-/tmp}/filescom-packaging.XXXXXX"'):match("%S+")
  self:run("mkdir -p checkout/build")
  local copy = "for part in %s; do test ! -e $part || cp -a $part '%s'/checkout/$(dirname $part)/; done"
  packaging.run(copy:format(PARTS .. (with_build and " " .. BUILT or ""), self.directory))
  packaging.write(self.directory .. "/program.lua", PROGRAM)
  self.standin = standin_support.start({ "https" })
  return self
end

--- Runs a command of the shell in the place's directory.
function Place:run(command)
  return packaging.run(("cd '%s' && %s"):format(self.directory, command))
end

--- Makes a git repository of the copy, tagged, and returns an environment in which git finds it at `url`.
function Place:publish(url, tag)
  self:run(([[cd checkout && git init -q && git add -A && git -c user.name=spec -c user.email=spec@localhost \
    commit -q -m "As it stands" && git tag '%s']]):format(tag))
  return ("GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0='url.file://%s/checkout.insteadOf' GIT_CONFIG_VALUE_0='%s'"):format(
    self.directory, url)
end

--- Logs in and out with what is installed below a prefix, and nothing else of this library.
-- Returns the files that were loaded: the module and, where it is not inside that, libcurl.
function Place:log_in(interpreter, prefix, version)
  if prefix:sub(1, 1) ~= "/" then prefix = self.directory .. "/" .. prefix end
  local paths = ("LUA_PATH='%s/share/lua/%s/?.lua;;' LUA_CPATH='%s/lib/lua/%s/?.so;;'"):format(prefix, version,
    prefix, version)
  local code = ("lua5.4 '%s/spec/support/code.lua' %d sam"):format(self.root, self.standin.control)
  local said = self:run(('%s %s program.lua %s %s "%s"'):format(paths, interpreter, self.standin.https.base_url,
    self.standin.ca_file, code))
  assert(said:find("in and out", 1, true), said)
  return said
end

--- Logs in, asks who that is, and logs out by the command as it is installed, from elsewhere and with nothing set but
-- where the service is.
function Place:use_command(path)
  if path:sub(1, 1) ~= "/" then path = self.directory .. "/" .. path end
  local home = self:run("mktemp -d \"$PWD/home.XXXXXX\""):match("[^\n]+")
  local start = ("env -i -C / PATH=/usr/local/bin:/usr/bin:/bin HOME='%s' FILES_BASE_URL=%s FILES_CA_FILE='%s' '%s' ")
    :format(home, self.standin.https.base_url, self.standin.ca_file, path)
  packaging.run("echo vroom | " .. start .. "login -u motor --password-stdin")
  local who = packaging.run(start .. "whoami")
  assert(who:find("^User +motor\n"), who)
  packaging.run(start .. "logout")
  assert(#self.standin:call("sessions") == 0, "the session is still open")
end

--- Ends the stand-in and removes the directory.
function Place:remove()
  self.standin:stop()
  packaging.run(("rm -rf '%s'"):format(self.directory))
end

return packaging
