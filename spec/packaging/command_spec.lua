-- The command as `make install` and LuaRocks install it: found with nothing set, on every Lua, and taken away again.
-- Depends on make, luarocks, argparse, a C compiler and spec/support.

local api = require "spec.support.api"
local standin_support = require "spec.support.standin"

local function run(command)
  local text = api.output_of(command .. " 2>&1; echo status=$?")
  local body, status = text:match("^(.*)status=(%d+)$")
  assert(status == "0", command .. "\n" .. text)
  return (body:gsub("\n$", ""))
end

describe("the command", function ()
  local directory, copy, standin

  setup(function ()
    directory = run('mktemp -d "${TMPDIR:-/tmp}/filescom-installed.XXXXXX"')
    copy = directory .. "/checkout"
    -- What was built already comes along, and is not built again.
    run("mkdir " .. copy .. " && cp -a build src lua bin doc rockspec Makefile LICENSE README.md " .. copy)
    local config = assert(io.open(directory .. "/config.lua", "w"))
    config:write('rocks_provided = { ["lua-cjson"] = "2.1.0-1", argparse = "0.7.1-1" }\n')
    config:close()
    standin = standin_support.start { "https" }
  end)

  teardown(function ()
    standin:stop()
    run("rm -rf " .. directory)
  end)

  -- Logs in, asks who that is, and logs out, from elsewhere and with nothing set but where the service is.
  local function use(path)
    local home = run("mktemp -d " .. directory .. "/home.XXXXXX")
    local start = "env -i -C / PATH=/usr/local/bin:/usr/bin:/bin HOME=%s FILES_BASE_URL=%s FILES_CA_FILE=%s %s "
    start = start:format(home, standin.https.base_url, standin.ca_file, path)
    run("echo vroom | " .. start .. "login -u motor --password-stdin")
    assert.is_truthy(run(start .. "whoami"):find("^User +motor\n"))
    run(start .. "logout")
    assert.are.same({}, standin:call("sessions"))
  end

  for interpreter, version in pairs { ["lua5.4"] = "5.4", ["lua5.3"] = "5.3", ["lua5.1"] = "5.1", luajit = "5.1" } do
    it("works on " .. interpreter .. " where make installed it", function ()
      local prefix = directory .. "/" .. interpreter
      run(("make -C %s install LUA_VERSION=%s LUA=%s PREFIX=%s"):format(copy, version, interpreter, prefix))
      assert.are.equal("#!/usr/bin/env " .. interpreter, run("head -n 1 " .. prefix .. "/bin/filescom"))
      use(prefix .. "/bin/filescom")
    end)
  end

  it("runs on the Lua that it was installed for where none is named", function ()
    run(("make -C %s install LUA_VERSION=5.3 PREFIX=/opt/lua DESTDIR=%s/root"):format(copy, directory))
    local script = run(("cat %s/root/opt/lua/bin/filescom"):format(directory))
    assert.is_truthy(script:find("^#!/usr/bin/env lua5.3\n"))
    assert.is_nil(script:find(directory, 1, true))
  end)

  it("brings its manual, and make takes both away again", function ()
    local arguments = ("-C %s LUA_VERSION=5.4 PREFIX=%s/undone"):format(copy, directory)
    run("make " .. arguments .. " install")
    local manual = run(("mandoc -T ascii %s/undone/share/man/man1/filescom.1"):format(directory))
    assert.is_truthy(manual:find("FILESCOM(1)", 1, true))
    run("make " .. arguments .. " uninstall")
    assert.are.equal("", run(("find %s/undone -type f"):format(directory)))
  end)

  it("works where LuaRocks installed it", function ()
    run(("cd %s && LUAROCKS_CONFIG=%s/config.lua luarocks --lua-version 5.4 --tree %s/tree make %s CFLAGS='-O0 -fPIC'")
      :format(copy, directory, directory, "rockspec/filescom-scm-1.rockspec"))
    use(directory .. "/tree/bin/filescom")
  end)
end)
