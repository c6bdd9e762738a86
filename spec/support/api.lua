-- What the specs of the public contract share: who logs in, what was raised and where, processes.
-- Depends on LuaSocket for its clock and on POSIX; runs on every Lua.

local socket = require("socket")

local api = {}

--- Credentials of an account of the stand-in without a second factor.
api.MOTOR = { username = "motor", password = "vroom" }

--- The message that a function raises; no error at all is an error here.
function api.raised(f, ...)
  local ok, why = pcall(f, ...)
  if ok then
    error("no error was raised", 2)
  end
  return tostring(why)
end

--- The message that `f` raises, without the "file:line: " of that very function, which has to be there.
function api.raised_here(f)
  local why = api.raised(f)
  local info = debug.getinfo(f, "S")
  local source, line, rest = why:match("^(.-):(%d+): (.*)$")
  line = tonumber(line)
  if source ~= info.short_src or line < info.linedefined or line > info.lastlinedefined then
    error(("not told at the caller's place (%s:%d): %s"):format(info.short_src, info.linedefined, why), 2)
  end
  return rest
end

--- What a command prints, without its last line end.
function api.output_of(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read("*a")
  pipe:close()
  return (text:gsub("\n$", ""))
end

--- The program that runs the specs.
function api.interpreter()
  return api.output_of("readlink /proc/$PPID/exe")
end

--- Text as one word of a shell's command line.
function api.quoted(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

--- A port of 127.0.0.1 on which nobody listens.
function api.closed_port()
  local server = assert(socket.bind("127.0.0.1", 0))
  local _, port = server:getsockname()
  server:close()
  return tonumber(port)
end

--- Writes a file and returns its name.
function api.write(text)
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
  return path
end

--- Runs a Lua chunk in a process of its own, with the same interpreter and paths; returns what it prints. Before that
-- the shell does what `first` says, such as "ulimit -n 64".
function api.run_lua(code, first)
  local path = api.write(code)
  local text = api.output_of(("%s; %s %s 2>&1"):format(first or ":", api.quoted(api.interpreter()), path))
  os.remove(path)
  return text
end

--- Seconds that a function takes, and what it returns.
function api.timed(f)
  local from = socket.gettime()
  local first, second = f()
  return socket.gettime() - from, first, second
end

--- The names of a table's fields, sorted, in one string.
function api.names(fields)
  local names = {}
  for name in pairs(fields) do
    names[#names + 1] = name
  end
  table.sort(names)
  return table.concat(names, " ")
end

--- "integer" or "float" where Lua tells them apart, else "integer" for what has no fraction.
function api.kind_of(number)
  local kind = rawget(math, "type")
  if kind then
    return kind(number)
  end
  return number % 1 == 0 and "integer" or "float"
end

return api
