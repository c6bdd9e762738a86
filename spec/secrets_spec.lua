-- What is left of secrets in the memory of a process that logged in and out and idles.
-- Depends on spec/support/holder.lua, the process; on /proc to look into it, as its parent may.

local socket = require "socket"
local standin_support = require "spec.support.standin"

local interpreter = require("spec.support.api").interpreter()
local shares_strings = _VERSION == "Lua 5.1"

local function unshifted(text)
  return (text:gsub(".", function (c) return string.char(c:byte() - 1) end))
end

-- The writable memory of a process, one string a mapping.
local function writable_memory(pid)
  local memory, parts = assert(io.open("/proc/" .. pid .. "/mem", "rb")), {}
  for line in io.lines("/proc/" .. pid .. "/maps") do
    local from, to = line:match("^(%x+)%-(%x+) rw")
    if from and not line:find("[v", 1, true) then
      from, to = tonumber(from, 16), tonumber(to, 16)
      if memory:seek("set", from) then parts[#parts + 1] = memory:read(to - from) end
    end
  end
  memory:close()
  return parts
end

local function occurrences(parts, text)
  local count = 0
  for _, part in ipairs(parts) do
    local at = part:find(text, 1, true)
    while at do
      count, at = count + 1, part:find(text, at + 1, true)
    end
  end
  return count
end

-- Runs the process up to where it idles; returns what to look for and its memory then.
local function hold(standin, listener)
  local server = assert(socket.bind("127.0.0.1", 0))
  local _, port = server:getsockname()
  server:settimeout(10)
  local process = io.popen(("exec %s spec/support/holder.lua %d %s %s %d"):format(interpreter, port,
    listener.base_url, standin.ca_file, standin.control))
  local report = assert(server:accept())
  report:settimeout(10)
  local pid, id = assert(report:receive("*l")):match("^(%d+) (%S+)$")
  local parts = writable_memory(pid)
  report:close()
  server:close()
  process:close()
  return unshifted(id), parts
end

for _, scheme in ipairs { "http", "https" } do
  describe("the memory after a login and a logout over " .. scheme, function ()
    local standin, id, parts

    setup(function ()
      standin = standin_support.start { scheme }
      id, parts = hold(standin, standin[scheme])
    end)

    teardown(function ()
      standin:stop()
    end)

    it("was looked into: what the program holds is found", function ()
      assert.is_true(occurrences(parts, "ujdl.updl") > 0)
    end)

    it("holds no copy of the password but the caller's own", function ()
      assert.is_true(occurrences(parts, "tick-tock") <= 1)
    end)

    it("holds no request body", function ()
      assert.are.equal(0, occurrences(parts, "name=\"password\"\r\n\r\ntick-tock"))
    end)

    it("holds no header with a session id", function ()
      assert.are.equal(0, occurrences(parts, "X-FilesAPI-Auth: " .. id))
    end)

    it("holds no copy of the session id but the one that was handed out", function ()
      -- Where Lua shares equal strings the answer's text is Lua's to free.
      assert.is_true(occurrences(parts, id) <= (shares_strings and 2 or 1))
    end)
  end)
end
