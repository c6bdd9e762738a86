-- Runs the command of bin/filescom in a process of its own: without a terminal, or at one that util-linux's `script`
-- makes, where what is shown is waited for before something is typed.
-- Depends on spec/support/api.lua, LuaSocket for its clock, `script`, `setsid`, `stty` and POSIX.

local api = require("spec.support.api")
local socket = require("socket")

local command = {}

local quoted = api.quoted

local PATIENCE = 20 -- seconds to wait for something to be shown

local function read_file(path)
  local file = io.open(path, "rb")
  local text = file and file:read("*a")
  if file then
    file:close()
  end
  return text
end

local function write_file(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
end

--- A directory of its own for a user whose HOME it is; `remove` takes it away.
function command.home()
  local path = api.output_of('mktemp -d "${TMPDIR:-/tmp}/filescom-command.XXXXXX"')
  return { path = path, remove = function()
    os.execute("rm -rf " .. quoted(path))
  end }
end

--- The words of a shell that run the command for a user, with nothing else in its environment.
function command.line(home, words, environment)
  local parts = { "env -i", "PATH=" .. quoted(os.getenv("PATH")), "HOME=" .. quoted(home.path) }
  for _, name in ipairs({ "LUA_PATH", "LUA_CPATH", "LUA_INIT" }) do
    if os.getenv(name) then
      parts[#parts + 1] = name .. "=" .. quoted(os.getenv(name))
    end
  end
  for name, value in pairs(environment or {}) do
    parts[#parts + 1] = name .. "=" .. quoted(value)
  end
  parts[#parts + 1] = quoted(api.interpreter()) .. " bin/filescom"
  for _, word in ipairs(words) do
    parts[#parts + 1] = quoted(word)
  end
  return table.concat(parts, " ")
end

--- Runs the command to its end, without a terminal. `input` is its standard input (nothing). Returns `out`, `err` and
-- the `exit` code.
function command.run(home, words, environment, input)
  local base = home.path .. "/run"
  write_file(base .. ".in", input or "")
  os.execute(("setsid -w %s <%s.in >%s.out 2>%s.err; echo $? >%s.exit"):format(command.line(home, words, environment),
    quoted(base), quoted(base), quoted(base), quoted(base)))
  local exit = tonumber(read_file(base .. ".exit"))
  return { out = read_file(base .. ".out"), err = read_file(base .. ".err"), exit = exit }
end

-- ---- at a terminal --------------------------------------------------------------------------

local Terminal = {}
Terminal.__index = Terminal

-- How a shell at the terminal runs the command, and then tells how it ended and what the terminal was left like.
local RUNNER = [[
trap : INT
%s
echo $? >%s.exit
stty -a | tr ' ;' '\n\n' | grep -x -e '-*echo' >%s.echo
]]

--- Starts the command at a terminal of its own. `input` is its standard input, where that is not the terminal;
-- `within` is a command of the shell that is given the command as its arguments.
function command.at_terminal(home, words, environment, input, within)
  local base = home.path .. "/terminal"
  os.execute("rm -f " .. quoted(base) .. ".*")
  local line = (within and within .. " " or "") .. command.line(home, words, environment)
  if input then
    write_file(base .. ".in", input)
    line = line .. " <" .. quoted(base .. ".in")
  end
  write_file(base .. ".sh", RUNNER:format(line, base, base))
  local pipe = assert(io.popen(("SHELL=/bin/sh script -qefc 'sh %s.sh' %s.screen >/dev/null 2>&1"):format(base, base),
    "w"))
  pipe:setvbuf("no")
  return setmetatable({ _base = base, _pipe = pipe, _seen = 0 }, Terminal)
end

--- All that was shown so far.
function Terminal:screen()
  return read_file(self._base .. ".screen") or ""
end

--- Waits until a text has been shown, after what was waited for before.
function Terminal:wait_for(text)
  local deadline = socket.gettime() + PATIENCE
  while socket.gettime() < deadline do
    local _, last = self:screen():find(text, self._seen + 1, true)
    if last then
      self._seen = last
      return
    end
    socket.sleep(0.01)
  end
  error(("'%s' was not shown, but:\n%s"):format(text, self:screen()), 2)
end

--- Types a text.
function Terminal:type(text)
  self._pipe:write(text)
end

--- Waits for the end. Returns the exit code, all that was shown, and "echo" or "-echo" as the terminal was left.
function Terminal:finish()
  local deadline = socket.gettime() + PATIENCE
  while not (read_file(self._base .. ".echo") or ""):find("\n") and socket.gettime() < deadline do
    socket.sleep(0.01)
  end
  self._pipe:close()
  local echo = (read_file(self._base .. ".echo") or ""):match("%S+")
  return tonumber(read_file(self._base .. ".exit") or ""), self:screen(), echo
end

return command
