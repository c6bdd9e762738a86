-- What `make install` and LuaRocks install is whole and works by itself, and leaves the checkout as
-- it was: everything is done in a copy, below a directory that goes with it.
-- Depends on make, a C compiler, luarocks and spec/support.

local standin_support = require "spec.support.standin"

local function output_of(command)
  local pipe = assert(io.popen(command .. " 2>&1; echo status=$?"))
  local text = pipe:read("*a")
  pipe:close()
  return text:gsub("status=%d+%s*$", ""), tonumber(text:match("status=(%d+)%s*$"))
end

local function run(command)
  local text, status = output_of(command)
  assert(status == 0, command .. "\n" .. text)
  return text
end

-- Logs in and out with what is installed below a prefix, and nothing else of this library.
local PROGRAM = [[
local filescom = require "filescom"
local client = filescom.new { base_url = arg[1], ca_file = arg[2] }
local session = assert(client:login_with_otp({ username = "sam", password = "dot-dash" }, function ()
  local pipe = io.popen(arg[3])
  local code = pipe:read("*l")
  pipe:close()
  return code
end))
assert(session:request("GET", "/user"))
assert(session:logout())
print("in and out on " .. _VERSION)
]]

describe("installing", function ()
  local directory, copy, standin

  setup(function ()
    directory = run('mktemp -d "${TMPDIR:-/tmp}/filescom-packaging.XXXXXX"'):match("%S+")
    copy = directory .. "/checkout"
    run("mkdir " .. copy .. " && cp -r src lua bin doc rockspec Makefile LICENSE README.md " .. copy)
    local file = assert(io.open(directory .. "/program.lua", "w"))
    file:write(PROGRAM)
    file:close()
    local config = assert(io.open(directory .. "/config.lua", "w"))
    config:write('rocks_provided = { ["lua-cjson"] = "2.1.0-1", argparse = "0.7.1-1" }\n')
    config:close()
    standin = standin_support.start { "https" }
  end)

  teardown(function ()
    standin:stop()
    run("rm -rf " .. directory)
  end)

  local function log_in(interpreter, prefix, version)
    local paths = ("LUA_PATH='%s/share/lua/%s/?.lua;;' LUA_CPATH='%s/lib/lua/%s/?.so;;'"):format(prefix,
      version, prefix, version)
    local code = ("lua5.4 '%s/spec/support/code.lua' %d sam"):format(run("pwd"):match("[^\n]+"),
      standin.control)
    return run(('cd %s && %s %s program.lua %s %s "%s"'):format(directory, paths, interpreter,
      standin.https.base_url, standin.ca_file, code))
  end

  local made = {}

  -- Makes the rock for a version, once.
  local function make_rock(version)
    if made[version] then return end
    made[version] = true
    run(("cd %s && LUAROCKS_CONFIG=%s/config.lua luarocks --lua-version %s --tree %s/tree%s make %s"):format(
      copy, directory, version, directory, version, "rockspec/filescom-scm-1.rockspec"))
  end

  for _, version in ipairs { "5.4", "5.3", "5.1" } do
    it("by make works for Lua " .. version .. ", below DESTDIR and PREFIX", function ()
      run(("make -C %s install LUA_VERSION=%s PREFIX=/opt/lua DESTDIR=%s/root"):format(copy, version,
        directory))
      assert.is_truthy(log_in("lua" .. version, directory .. "/root/opt/lua", version):find("in and out", 1, true))
    end)
  end

  it("by make for Lua 5.1 serves LuaJIT as well", function ()
    run(("make -C %s install LUA_VERSION=5.1 PREFIX=%s/jit"):format(copy, directory))
    assert.is_truthy(log_in("luajit", directory .. "/jit", "5.1"):find("in and out", 1, true))
  end)

  it("by make is undone without a trace", function ()
    local arguments = ("-C %s LUA_VERSION=5.4 PREFIX=%s/undone"):format(copy, directory)
    run("make " .. arguments .. " install")
    run("make " .. arguments .. " uninstall")
    assert.are.equal("", run(("find %s/undone -type f"):format(directory)))
  end)

  for _, case in ipairs { { "5.4", { "lua5.4" } }, { "5.1", { "lua5.1", "luajit" } } } do
    local version, interpreters = case[1], case[2]
    it("by luarocks make works for Lua " .. version, function ()
      make_rock(version)
      for _, interpreter in ipairs(interpreters) do
        local said = log_in(interpreter, ("%s/tree%s"):format(directory, version), version)
        assert.is_truthy(said:find("in and out", 1, true))
      end
    end)
  end

  it("exports nothing but the module's entry, by luarocks as by make", function ()
    make_rock("5.4")
    local symbols = run(("nm -D --defined-only %s/tree5.4/lib/lua/5.4/filescom/core.so"):format(directory))
    assert.are.equal("luaopen_filescom_core", symbols:match("^%x+ T (%S+)%s*$"))
  end)

  it("has a rockspec that luarocks finds nothing wrong with", function ()
    run("luarocks lint rockspec/filescom-scm-1.rockspec")
  end)

  it("has a rockspec that names every source and every module", function ()
    local text = assert(io.open("rockspec/filescom-scm-1.rockspec")):read("*a")
    for file in run("find src lua -name '*.c' -o -name '*.lua'"):gmatch("%S+") do
      assert.is_truthy(text:find('"' .. file .. '"', 1, true), file .. " is missing")
    end
  end)
end)
