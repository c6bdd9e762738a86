--- Reading secrets from the terminal, without echo.
--
-- For scripts that a person runs; never for servers. A shell does the work: it turns echo off, and
-- on again whatever ends it, an interrupt included. Depends on a POSIX shell and
-- stty, and on filescom.core for its errors.
--
-- @module filescom.terminal

local core = require "filescom.core"

local terminal = {}

-- A line end that was typed without echo, or not at all, is shown at the end. The prompt comes in
-- through the environment of this one command, quoted; nothing of what is typed is ever an argument
-- of a process.
local SCRIPT = [[
PROMPT=%s; export PROMPT
exec 2>/dev/null </dev/tty || exit 1
saved=$(stty -g) || exit 1
trap 'stty "$saved"; echo >/dev/tty' EXIT
trap 'exit 130' HUP INT QUIT TERM
stty %s
printf %%s "$PROMPT" >/dev/tty
IFS= read -r answer || exit 1
[ %s != echo ] || trap 'stty "$saved"' EXIT
printf %%s "$answer"
]]

local function quoted(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function ask(prompt, mode)
  if type(prompt) ~= "string" or prompt:find("%z") then
    core.usage_error("prompt must be a string without NUL bytes")
  end
  local pipe = io.popen(SCRIPT:format(quoted(prompt), mode, mode))
  local answer = pipe and pipe:read("*a")
  local closed = pipe and pipe:close()
  -- Lua 5.1 does not tell how the shell ended; an empty answer is all that is known then.
  if closed and answer ~= nil and answer ~= "" then return answer end
  return nil, terminal.is_available() and "nothing was typed" or "there is no terminal to ask at"
end

--- Whether there is a terminal to ask at.
-- @treturn boolean
function terminal.is_available()
  local status = os.execute "exec 2>/dev/null; : </dev/tty"
  return status == true or status == 0
end

--- Asks for a secret: what is typed is not shown.
-- @tparam string prompt shown as it is
-- @treturn[1] string what was typed
-- @treturn[2] nil
-- @treturn[2] string why there is nothing
function terminal.read_secret(prompt)
  return ask(prompt, "-echo")
end

--- Asks for something that may be seen.
-- @tparam string prompt shown as it is
-- @treturn[1] string what was typed
-- @treturn[2] nil
-- @treturn[2] string why there is nothing
function terminal.read_line(prompt)
  return ask(prompt, "echo")
end

--- A `get_code` for `login_with_otp` that asks at the terminal.
-- @tparam table challenge what the service asks for
-- @treturn[1] string the code
-- @treturn[2] nil
-- @treturn[2] string why there is none
function terminal.get_code(challenge)
  if type(challenge) ~= "table" or type(challenge.method) ~= "string" then
    core.usage_error("a challenge must be a table with a method, got %s", type(challenge))
  end
  if challenge.error then
    io.stderr:write(("The code was refused: %s\n"):format(tostring(challenge.error.message)))
  end
  return terminal.read_secret(("Code (%s), attempt %s of %s: "):format(challenge.method,
    tostring(challenge.attempt), tostring(challenge.attempts)))
end

return terminal
