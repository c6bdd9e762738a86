--- Who logs in, and the codes of a second factor: from options, the environment, standard input and
-- the terminal, in this order. Nothing is read before it is needed.
--
-- Depends on filescom.terminal, and on filescom.command.failure, .output and .settings.
--
-- @module filescom.command.credentials

local failure = require "filescom.command.failure"
local output = require "filescom.command.output"
local settings = require "filescom.command.settings"
local terminal = require "filescom.terminal"

local credentials = {}

local function line_of_input(what)
  local line = io.stdin:read("*l")
  line = line and line:gsub("\r$", "")
  if not line or line == "" then failure.raise("usage", "standard input holds no %s", what) end
  return line
end

local function at_terminal(read, prompt, what, otherwise)
  if not terminal.is_available() then
    failure.raise("usage", "there is no %s, and no terminal to ask for it: use %s", what, otherwise)
  end
  local answer = read(prompt)
  return answer or failure.raise("usage", "no %s was given", what)
end

--- The user's name and password.
-- @tparam table args the command line
-- @treturn table for `login`
function credentials.read(args)
  local username = args.username or settings.get "FILES_USERNAME"
    or at_terminal(terminal.read_line, "User name: ", "user name", "--username or FILES_USERNAME")
  local password = args.password_stdin and line_of_input "password" or settings.get "FILES_PASSWORD"
    or at_terminal(terminal.read_secret, ("Password of %s: "):format(output.plain(username)), "password",
      "--password-stdin or FILES_PASSWORD")
  return { username = username, password = password }
end

-- ---- codes ----------------------------------------------------------------------------------

local function from_input(challenge)
  if challenge.attempt > 1 then return nil, "the code of standard input was refused" end
  return line_of_input "code"
end

-- A code that was refused is not sent again: each one counts against the account.
local function from_command(command)
  local last
  return function ()
    local pipe = io.popen(command)
    local code = pipe and pipe:read("*l")
    if pipe then pipe:close() end
    if not code then return nil, "FILES_OTP_COMMAND printed no code" end
    if code == last then return nil, "FILES_OTP_COMMAND printed the refused code again" end
    last = code
    return code
  end
end

local function from_terminal(challenge)
  if not terminal.is_available() then return nil, "there is no terminal to ask for a code" end
  return terminal.get_code(challenge)
end

--- What answers a second factor.
-- @tparam table args the command line
-- @treturn table `get_code` and `otp_secret` for `login_with_otp`, and `given`, a function that tells
--   how many codes there have been
function credentials.codes(args)
  local command, secret = settings.get "FILES_OTP_COMMAND", settings.get "FILES_OTP_SECRET"
  local source = args.otp_stdin and from_input or command and from_command(command) or from_terminal
  local given = 0
  local function get_code(challenge)
    local code, why = source(challenge)
    if code and code:find("%S") then given = given + 1 end
    return code, why
  end
  local function otp_secret()
    given = given + 1
    return secret
  end
  return {
    get_code = get_code, otp_secret = secret and not args.otp_stdin and otp_secret or nil,
    given = function () return given end,
  }
end

return credentials
