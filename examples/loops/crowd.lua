-- What the examples of event loops share: whom to log in, what to do with each, and a report.
--
-- The users are the lines of a file, "NAME PASSWORD" each:
--   FILES_USERS=users.txt lua5.4 examples/loops/luv.lua
-- with FILES_SUBDOMAIN, FILES_BASE_URL and FILES_CA_FILE as in examples/login.lua. Without FILES_USERS a stand-in for
-- the service is started (it needs lua5.4, lua-cqueues and lua-luaossl): 300 users, and 0.2 seconds for each answer.

local filescom = require "filescom"
local socket = require "socket"

local crowd = {}

local CROWD, DELAY = 300, 0.2

local function setting(name)
  local value = os.getenv(name)
  return value ~= "" and value or nil
end

local function read_users(path)
  local users = {}
  for line in io.lines(path) do
    local name, password = line:match "^%s*(%S+)%s+(.-)%s*$"
    if name then users[#users + 1] = { username = name, password = password } end
  end
  return users
end

local function start_standin()
  local standin = require("spec.support.standin").start { "http" }
  standin:call("configure", { answer_delay = DELAY })
  local users = {}
  for i = 1, CROWD do users[i] = { username = "motor", password = "vroom" } end
  print(("A stand-in for Files.com takes %g seconds for each answer."):format(DELAY))
  return standin, users
end

--- Runs one user after another's beginning, all at once, and reports.
-- @tparam table adapter the loop, such as require "filescom.loop.luv"
-- @tparam function run given a list of functions, runs each in a coroutine of the loop, to their end
function crowd.run(adapter, run)
  local standin, users
  if setting "FILES_USERS" then users = read_users(setting "FILES_USERS") else standin, users = start_standin() end

  local client = filescom.new {
    base_url = standin and standin.http.base_url or setting "FILES_BASE_URL",
    subdomain = setting "FILES_SUBDOMAIN", ca_file = setting "FILES_CA_FILE",
    loop = adapter,
  }
  local good, waited, from, cpu = 0, 0, socket.gettime(), os.clock()

  local function visit(user)
    local began = socket.gettime()
    local session, err = client:login(user)
    if session then
      local answer = session:request("GET", "/user")
      good = good + (answer and 1 or 0)
      err = select(2, session:logout())
    end
    if err then print(user.username .. ": " .. tostring(err)) end
    waited = waited + socket.gettime() - began
  end

  local functions = {}
  for i, user in ipairs(users) do functions[i] = function () visit(user) end end
  run(functions)

  local took = socket.gettime() - from
  print(("%d of %d users logged in, asked who they are and logged out, in one thread."):format(good, #users))
  print(("%.2f seconds in all, %.2f of them at work; one after the other it takes about %.0f seconds."):format(took,
    os.clock() - cpu, standin and 3 * DELAY * #users or waited))
  if standin then standin:stop() end
  if good < #users then os.exit(1) end
end

return crowd
