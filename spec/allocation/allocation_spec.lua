-- Allocations that fail, one after another: the C programs beside this file, each of whose sentences is a test.
-- Depends on make, a C compiler, the headers of Lua and libcurl, and the stand-in. `FULL=1` tries every allocation
-- of the long scenarios instead of every 53rd; VERBOSE=1 shows what the programs print.

local support = require("spec.support.standin")

local STEP = os.getenv("FULL") and 1 or 53

local function output_of(command)
  local pipe = assert(io.popen(command .. " 2>&1"))
  local output = pipe:read("*a")
  pipe:close()
  if os.getenv("VERBOSE") then io.write("\n", output) end
  return output
end

-- What each sentence came to: a list of { sentence, passed, what was said before it }, what was said last, and how
-- many sentences were announced, if they were.
local function results_of(output)
  local results, said = {}, {}
  for line in output:gmatch("[^\n]+") do
    local verdict, sentence = line:match("^(n?o?t? ?ok) %- (.*)$")
    if sentence then
      results[#results + 1] = { (sentence:gsub("%d+ lives", "lives")), verdict == "ok", table.concat(said, "\n") }
      said = {}
    else
      said[#said + 1] = line
    end
  end
  return results, table.concat(said, "\n"), tonumber(output:match("^1%.%.(%d+)\n"))
end

describe("where memory runs out,", function()
  local standin = support.start({ "http", "https" }, { lifetime = 3600 })
  standin:call("configure", { lockout_after = 1000000, log_limit = 10 })
  standin:call("account", { username = "tess", reuse = true, step = 1000000 })

  teardown(function()
    standin:stop()
  end)

  -- Builds a program, runs it, and makes a test of each of its sentences: as many as it announces, else `expected`.
  local function add(name, target, command, expected)
    describe(name, function()
      local built = output_of("make -s -f spec/allocation/Makefile " .. target)
      local results, rest, announced = results_of(output_of(
        'export LUA_PATH="lua/?.lua;;"; timeout 900 build/spec/allocation/' .. command .. "; echo \"status $?\""))

      for _, result in ipairs(results) do
        it("holds: " .. result[1], function()
          assert.is_true(result[2], result[3])
        end)
      end

      it("is tested to the end", function()
        assert.are.equal(expected or announced, #results, built .. rest)
        assert.is_truthy(rest:find("status [01]$"), rest)
      end)
    end)
  end

  local function lua(version)
    return ("lua_allocator-%s '%s' %s %d"):format(version, standin.http.base_url, standin:code("tess"), STEP)
  end

  local function core(mode, listener)
    return ("core_malloc %s '%s' '%s'"):format(mode, listener.base_url, standin.ca_file)
  end

  add("the core", "core", core("own", standin.http), 2)
  add("the core over TLS", "core", core("own", standin.https), 2)
  add("libcurl", "core", core("libcurl", standin.http), 2)
  add("libcurl over TLS", "core", core("libcurl", standin.https), 2)
  add("libcurl at its start", "core", "core_malloc start", 1)
  add("Lua 5.4", "lua-5.4", lua("5.4"))
  add("Lua 5.1", "lua-5.1", lua("5.1"))
  add("LuaJIT", "lua-jit", lua("jit"))
end)
