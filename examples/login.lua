-- Logs in to Files.com, answers a second factor if there is one, lists a folder, logs out.
--
--   FILES_USERNAME=me lua examples/login.lua [FOLDER]
--
-- The password is asked for at the terminal, and so is the code of a second factor. For a run
-- without a person, the environment can hold:
--   FILES_PASSWORD     the password
--   FILES_OTP_COMMAND  a command that prints a code, such as "oathtool --totp --base32 ..."
-- and, where the service is not at app.files.com:
--   FILES_SUBDOMAIN    the site's name, for https://SITE.files.com
--   FILES_BASE_URL     a whole base URL
--   FILES_CA_FILE      trusted authorities, a PEM file
--   FILES_DEBUG        any value: trace lines to standard error

local filescom = require "filescom"
local terminal = require "filescom.terminal"

local function setting(name)
  local value = os.getenv(name)
  return value ~= "" and value or nil
end

local function fail(err)
  io.stderr:write(tostring(err), "\n")
  os.exit(1)
end

local function code_from_command(command)
  return function (challenge)
    io.stdout:write(("Second factor: %s, attempt %d of %d\n"):format(challenge.method,
      challenge.attempt, challenge.attempts))
    local pipe = assert(io.popen(command))
    local code = pipe:read("*l")
    pipe:close()
    return code, not code and "the command printed no code" or nil
  end
end

local function trace(line)
  io.stderr:write(line, "\n")
end

local client = filescom.new {
  base_url = setting "FILES_BASE_URL",
  subdomain = setting "FILES_SUBDOMAIN",
  ca_file = setting "FILES_CA_FILE",
  debug = setting "FILES_DEBUG" and trace or nil,
}

local function ask(read, what)
  local answer, why = read(what .. ": ")
  return answer or fail(("no %s: %s"):format(what:lower(), why))
end

local username = setting "FILES_USERNAME" or ask(terminal.read_line, "User name")
local password = setting "FILES_PASSWORD" or ask(terminal.read_secret, "Password")

local command = setting "FILES_OTP_COMMAND"
local session, err = client:login_with_otp({ username = username, password = password },
  command and code_from_command(command) or terminal.get_code)
if not session then return fail(err) end
print("Logged in: " .. tostring(session))
print("The session ends by itself at " .. tostring(session.timeout_at))

local answer, request_err = session:request("GET", "/folders/" .. (arg[1] or ""))
if answer then
  print(("%d entries in %s:"):format(#answer.data, arg[1] or "the root folder"))
  for _, entry in ipairs(answer.data) do
    print(("  %-10s %12s  %s"):format(entry.type or "", entry.size or "", entry.path))
  end
end

local ended, logout_err = session:logout()
if not ended then return fail(logout_err) end
print("Logged out: HTTP " .. ended.status)
if not answer then fail(request_err) end
