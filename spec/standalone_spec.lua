-- The layers: the core knows nothing of Lua, the module shows nothing but its door, and C programs use the core alone.
-- Depends on nm, make, a C compiler, spec/core/ and spec/support/standin.lua; what was built lies under build/.

local support = require("spec.support.standin")

-- What a command prints, and whether it ended well (which Lua 5.1 tells only by what is printed last).
local function output_of(command)
  local pipe = assert(io.popen(command .. " && echo done"))
  local text = pipe:read("*a")
  pipe:close()
  local body = text:match("^(.*)done\n$")
  return body or text, body ~= nil
end

local function lines_of(command)
  local text, good = output_of(command)
  assert.is_true(good, text)
  local lines = {}
  for line in text:gmatch("[^\n]+") do
    lines[#lines + 1] = line
  end
  return lines
end

-- The shared object that require finds for filescom.core.
local function module_path()
  for template in package.cpath:gmatch("[^;]+") do
    local path = template:gsub("%?", "filescom/core")
    local file = io.open(path)
    if file then
      file:close()
      return path
    end
  end
end

describe("the core's objects", function()
  local sources

  setup(function()
    sources = lines_of("ls src/*.c | grep -v /lua_")
  end)

  it("are there for every source without Lua", function()
    local objects = lines_of("ls build/core/*.o")
    assert.is_true(#sources > 5)
    assert.are.equal(#sources, #objects)
  end)

  it("need no symbol of Lua's", function()
    local symbols = lines_of("nm -u build/core/*.o")
    assert.is_true(#symbols > 50)
    for _, symbol in ipairs(symbols) do
      assert.is_nil(symbol:find("lua", 1, true))
    end
  end)

  it("define no symbol of Lua's", function()
    for _, symbol in ipairs(lines_of("nm --defined-only build/core/*.o")) do
      assert.is_nil(symbol:find("lua_", 1, true))
      assert.is_nil(symbol:find("luaL", 1, true))
    end
  end)

  it("come of sources and headers that include nothing of Lua's", function()
    local headers = output_of("grep -lE '#include.*(lua|lauxlib)' src/*.c src/*.h | grep -v /lua_ | sort")
    assert.are.equal("", headers)
  end)
end)

describe("the module", function()
  it("exports luaopen_filescom_core and nothing else", function()
    local names = {}
    for _, line in ipairs(lines_of("nm -D --defined-only '" .. assert(module_path()) .. "'")) do
      names[#names + 1] = line:match("%S+$")
    end
    assert.are.same({ "luaopen_filescom_core" }, names)
  end)

  it("is linked with all of its relocations read-only", function()
    local text = output_of("readelf -ld '" .. module_path() .. "'")
    assert.is_truthy(text:find("GNU_RELRO", 1, true))
    assert.is_truthy(text:find("BIND_NOW", 1, true) or text:find("Flags: NOW", 1, true))
  end)

  it("has its stack guarded, and calls of the C library that know the sizes of its buffers", function()
    local text = output_of("nm -D --undefined-only '" .. module_path() .. "'")
    assert.is_truthy(text:find("__stack_chk_fail", 1, true))
    assert.is_truthy(text:find("__%l*printf_chk"))
  end)

  it("has no stack that can be executed", function()
    local text = output_of("readelf -lW '" .. module_path() .. "'")
    assert.is_truthy(text:match("GNU_STACK[^\n]* RW "))
  end)
end)

describe("a C program that uses the core alone", function()
  local standin

  setup(function()
    standin = support.start({ "http", "https" })
    local text, good = output_of("make -s -f spec/core/Makefile standalone 2>&1")
    assert(good, text)
  end)

  teardown(function()
    standin:stop()
  end)

  before_each(function()
    standin:reset()
  end)

  local function run(listener, password)
    local command = "build/spec/standalone '%s' '%s' motor '%s'"
    return output_of(command:format(listener.base_url, standin.ca_file, password))
  end

  it("is linked with no Lua", function()
    local libraries = lines_of("ldd build/spec/standalone")
    assert.is_true(#libraries > 3)
    for _, library in ipairs(libraries) do
      assert.is_nil(library:find("lua", 1, true))
    end
  end)

  it("logs in and out over TLS on one connection", function()
    local text, good = run(standin.https, "vroom")
    assert.is_true(good, text)
    assert.is_truthy(text:find('^201 {.*"id":"%x+".*}\n204 \n$'))
    local log = standin:log()
    assert.are.equal(2, #log)
    assert.are.equal("DELETE", log[2].method)
    assert.are.equal(log[1].connection, log[2].connection)
    assert.are.same({}, standin:call("sessions"))
  end)

  it("is told why a login is refused", function()
    local text, good = run(standin.http, "wrong")
    assert.is_false(good)
    assert.is_truthy(text:find("^401 {"))
    assert.are.equal(1, #standin:log())
  end)
end)
