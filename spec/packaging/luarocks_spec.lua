-- The rockspecs name all there is, and a rock made, packed and installed by LuaRocks works by itself, library and
-- command, on Lua 5.4 and on a LuaJIT in a folder of its own, as OpenResty has one.
--
-- No server of rocks is asked. What a rock depends on comes from Debian's packages: `rocks_provided` in LuaRocks'
-- configuration says so, and busted, which LuaRocks wants to run as a rock, is made one (see `configure`). The address
-- of the sources is that of the rockspec; git is told that it means the copy.
-- Depends on luarocks, git, a C compiler, argparse and spec/support/packaging.lua.

local packaging = require("spec.support.packaging")

local SCM = "rockspec/filescom-scm-1.rockspec"
local PROVIDED = {
  ["lua-cjson"] = "2.1.0-1", argparse = "0.7.1-1", cqueues = "20200726-1", luaossl = "20220711-1",
  luasocket = "3.1.0-1",
}

local BUSTED = [[
rockspec_format = "3.0"
package = "busted"
version = "2.1.1-1"
source = { url = "file:///usr/bin/busted" }
build = { type = "builtin", modules = {}, install = { bin = { "busted" } } }
]]

-- A rockspec's fields.
local function read_rockspec(path)
  local fields = {}
  local chunk = assert(load(packaging.read(path), "@" .. path, "t", fields))
  chunk()
  return fields
end

describe("the rockspecs", function ()
  local version = require("filescom")._VERSION
  local scm = read_rockspec(SCM)
  local released = read_rockspec(("rockspec/filescom-%s-1.rockspec"):format(version))

  it("of the checkout and of this version differ in the version and the tag alone", function ()
    assert.are.same({ version .. "-1", "v" .. version }, { released.version, released.source.tag })
    released.version, released.source.tag = scm.version, scm.source.tag
    assert.are.same(scm, released)
  end)

  it("name every source of the core and the binding", function ()
    local found = {}
    for file in packaging.run("ls src/*.c"):gmatch("[^\n]+") do found[#found + 1] = file end
    assert.are.same(found, scm.build.modules["filescom.core"].sources)
  end)

  it("name every module, each where `require` looks for it", function ()
    local found = {}
    for file in packaging.run("find lua -name '*.lua'"):gmatch("[^\n]+") do
      found[file:gsub("^lua/", ""):gsub("%.lua$", ""):gsub("/", ".")] = file
    end
    local named = {}
    for name, file in pairs(scm.build.modules) do
      if name ~= "filescom.core" then named[name] = file end
    end
    assert.are.same(found, named)
  end)

  it("name every program", function ()
    local found, named = {}, {}
    for file in packaging.run("test ! -d bin || ls bin/*"):gmatch("[^\n]+") do found[#found + 1] = file end
    for _, file in pairs(scm.build.install and scm.build.install.bin or {}) do named[#named + 1] = file end
    table.sort(named)
    assert.are.same(found, named)
  end)
end)

describe("LuaRocks", function ()
  local place, published

  -- Writes the configuration of a tree, and returns LuaRocks' command line for it.
  local function configure(tree, options)
    local lines = { "rocks_provided = {" }
    for name, provided in pairs(PROVIDED) do lines[#lines + 1] = ("[%q] = %q,"):format(name, provided) end
    lines[#lines + 1] = ("}\nrocks_trees = { { name = 'own', root = '%s/%s' } }\n"):format(place.directory, tree)
    -- Compiled quickly: how fast it runs is not what is tested.
    lines[#lines + 1] = "variables = { CFLAGS = '-O0 -fPIC' }"
    -- No server is asked; should one be, it is not there.
    lines[#lines + 1] = ("rocks_servers = { '%s/none' }\n"):format(place.directory)
    packaging.write(("%s/%s.config"):format(place.directory, tree), table.concat(lines, "\n"))
    return ("%s LUAROCKS_CONFIG='%s/%s.config' luarocks %s"):format(published, place.directory, tree, options)
  end

  setup(function ()
    place = packaging.new()
    published = place:publish("https://filescom.invalid/filescom.git", "v" .. require("filescom")._VERSION)
    place:run("mkdir busted && cp /usr/bin/busted busted/")
    packaging.write(place.directory .. "/busted/busted-2.1.1-1.rockspec", BUSTED)
    -- A LuaJIT as OpenResty lays it out.
    place:run("mkdir -p openresty/luajit/bin openresty/luajit/include")
    place:run("ln -s $(command -v luajit) openresty/luajit/bin/luajit")
    place:run("ln -s /usr/include/luajit-2.1 openresty/luajit/include/")
    place:run("mkdir -p own/include own/lib && cp -r /usr/include/*/curl own/include/")
    place:run("cp /usr/lib/*/libcurl.so.4 own/lib/ && ln -s libcurl.so.4 own/lib/libcurl.so")
  end)

  teardown(function () place:remove() end)

  it("finds nothing wrong with the rockspecs", function ()
    for file in packaging.run("ls rockspec/*.rockspec"):gmatch("[^\n]+") do
      packaging.run("luarocks lint " .. file)
    end
  end)

  for _, case in ipairs {
    { name = "Lua 5.4", version = "5.4", interpreters = { "lua5.4" }, options = "" },
    { name = "LuaJIT", version = "5.1", interpreters = { "luajit", "lua5.1" },
      options = "--lua-dir='%s/openresty/luajit'" },
  } do
    local version = case.version

    local function luarocks_for(tree)
      return configure(tree, ("--lua-version %s %s"):format(version, case.options:format(place.directory)))
    end

    local function log_in(tree)
      local loaded
      for _, interpreter in ipairs(case.interpreters) do loaded = place:log_in(interpreter, tree, version) end
      return loaded
    end

    it("makes the checkout on " .. case.name .. ", with a libcurl elsewhere", function ()
      local tree = "made" .. version
      local said = place:run(("cd checkout && %s make %s CURL_INCDIR=%s/own/include CURL_LIBDIR=%s/own/lib"):format(
        luarocks_for(tree), SCM, place.directory, place.directory))
      assert.is_truthy(said:find("-I" .. place.directory .. "/own/include", 1, true))
      local loaded = log_in(tree)
      assert.is_truthy(loaded:find(place.directory .. "/own/lib/libcurl.so", 1, true), loaded)
    end)

    it("makes the command on " .. case.name, function ()
      place:use_command("made" .. version .. "/bin/filescom")
    end)

    it("tests what it made with busted on " .. case.name, function ()
      local luarocks = luarocks_for("made" .. version)
      place:run(("cd busted && %s make busted-2.1.1-1.rockspec"):format(luarocks))
      local said = place:run(('cd checkout && eval "$(%s path)" && %s test %s -- %s'):format(luarocks, luarocks, SCM,
        "spec/session_spec.lua spec/errors_spec.lua"))
      local passed = tonumber(said:match("(%d+) successes / 0 failures / 0 errors"))
      assert.is_truthy(passed and passed > 50, said)
    end)

    it("packs what it made, and installs that elsewhere, on " .. case.name, function ()
      local packed, installed = "packed" .. version, "installed" .. version
      place:run(("mkdir %s && cd %s && %s pack filescom"):format(packed, packed, luarocks_for("made" .. version)))
      place:run(("cd %s && %s install filescom-scm-1.*.rock"):format(packed, luarocks_for(installed)))
      log_in(installed)
      place:run(("test -f %s/lib/luarocks/rocks-%s/filescom/*/types/filescom.lua"):format(installed, version))
    end)
  end

  it("packs the sources of this version from its tag, and installs that", function ()
    local release = "filescom-" .. require("filescom")._VERSION .. "-1"
    local luarocks = configure("released", "--lua-version 5.4")
    place:run(("cd busted && %s pack ../checkout/rockspec/%s.rockspec"):format(luarocks, release))
    place:run(("cd busted && %s install %s.src.rock"):format(luarocks, release))
    place:log_in("lua5.4", "released", "5.4")
  end)

  it("makes a module that exports nothing but its entry", function ()
    local symbols = place:run("nm -D --defined-only made5.4/lib/lua/5.4/filescom/core.so")
    assert.are.equal("luaopen_filescom_core", symbols:match("^%x+ T (%S+)%s*$"))
  end)
end)
