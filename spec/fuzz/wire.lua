--- The Lua half of wire.c: calls of the public interface against a server that answers with a fuzz
-- input, held to the promises of promises.lua.

local Client = require "filescom.client"
local promises = require "spec.fuzz.promises"

local wire = {}

local SESSION_ID = "0123456789abcdef-session"

local client

-- What the running call sent and nobody may repeat.
local secrets

local function check_trace(line)
  promises.readable(line, "a trace line", 3000)
  promises.plain(line, "a trace line", secrets)
end

-- A trace drops the errors of whoever writes it: they are kept, and raised after the call.
local broken

local function debug(line)
  local held, why = pcall(check_trace, line)
  if not held then broken = broken or why end
end

--- Takes another server.
function wire.server(port)
  if client then client:close() end
  client = Client.new {
    base_url = ("http://127.0.0.1:%d"):format(port), retries = 0, timeout = 1,
    connect_timeout = 1, max_response_size = 65536, debug = debug,
  }
end

local function credentials()
  return { username = "motor", password = promises.secrets.password, otp = promises.secrets.otp }
end

-- A session may be of the region that the service named.
local function check_login(session, err)
  if not session then return promises.error(err, secrets) end
  promises.session(session, session.base_url)
  assert(session.base_url:find("^http://[%[%]%w.:]+/api/rest/v1$"), session.base_url)
  promises.readable(tostring(session), "a session as a line")
end

local verbs = {}

function verbs.L()
  secrets = promises.secrets
  check_login(client:login(credentials()))
end

function verbs.T()
  secrets = { promises.secrets.password }
  local function get_code(challenge)
    secrets = challenge.method ~= "yubi" and promises.secrets or { promises.secrets.otp }
    promises.readable(challenge.message, "a challenge's message")
    for _, method in ipairs(challenge.methods) do assert(type(method) == "string") end
    return promises.secrets.otp
  end
  local plain = { username = "motor", password = promises.secrets.password }
  local session, err = client:login_with_otp(plain, get_code, { attempts = 2 })
  check_login(session, err)
end

function verbs.O()
  secrets = { SESSION_ID }
  local answer, err = client:logout(client:session(SESSION_ID))
  if answer then promises.logout(answer) else promises.error(err, secrets) end
end

function verbs.R()
  secrets = { SESSION_ID }
  local answer, err = client:session(SESSION_ID):request("GET", "/folders")
  if answer then promises.request(answer) else promises.error(err, secrets) end
end

--- Makes one call, by its letter.
function wire.call(letter)
  broken = nil
  local call = verbs[letter] or verbs.L
  call()
  if broken then error(broken, 0) end
end

return wire
