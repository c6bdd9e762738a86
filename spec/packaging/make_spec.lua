-- What `make install` installs, the library and the command, is whole and works by itself, on every Lua: everything is
-- done in a copy, below a directory that goes with it.
-- Depends on make, a C compiler, pkg-config, argparse, mandoc and spec/support/packaging.lua.

local packaging = require("spec.support.packaging")

describe("installing by make", function ()
  local place

  setup(function () place = packaging.new("with build") end)

  teardown(function () place:remove() end)

  for _, interpreter in ipairs { "lua5.4", "lua5.3", "lua5.1", "luajit" } do
    local version = interpreter:match("^lua(%d.*)$") or "5.1"

    it("works on " .. interpreter .. ", the library and the command", function ()
      place:run(("make -j2 -C checkout install LUA_VERSION=%s LUA=%s PREFIX=$PWD/%s"):format(version, interpreter,
        interpreter))
      place:log_in(interpreter, interpreter, version)
      assert.are.equal("#!/usr/bin/env " .. interpreter, place:run(("head -n 1 %s/bin/filescom"):format(interpreter))
        :match("[^\n]+"))
      place:use_command(interpreter .. "/bin/filescom")
    end)
  end

  it("puts everything below DESTDIR, of which nothing that is installed knows", function ()
    place:run("make -j2 -C checkout install LUA_VERSION=5.3 PREFIX=/opt/lua DESTDIR=$PWD/root")
    place:log_in("lua5.3", "root/opt/lua", "5.3")
    assert.are.equal("", place:run("grep -rlF \"$PWD/root\" root || true"))
  end)

  it("has the command run by the Lua that it is installed for where none is named", function ()
    assert.is_truthy(place:run("cat root/opt/lua/bin/filescom"):find("^#!/usr/bin/env lua5.3\n"))
  end)

  it("takes the headers of another Lua, such as OpenResty's LuaJIT, from LUA_CFLAGS", function ()
    place:run("rm -rf checkout/build/5.1")
    local said = place:run("make -j2 -C checkout install LUA_VERSION=5.1 PREFIX=$PWD/openresty/luajit " ..
      "LUA_CFLAGS=-I/usr/include/luajit-2.1 LUA=$(command -v luajit)")
    assert.is_truthy(said:find("-I/usr/include/luajit-2.1", 1, true))
    assert.is_falsy(said:find("include/lua5.1", 1, true))
    place:log_in("luajit", "openresty/luajit", "5.1")
    place:use_command("openresty/luajit/bin/filescom")
  end)

  it("brings the manual of the command, and is undone without a trace", function ()
    place:run("make -C checkout LUA_VERSION=5.4 PREFIX=$PWD/undone install")
    local manual = place:run("mandoc -T ascii undone/share/man/man1/filescom.1")
    assert.is_truthy(manual:find("FILESCOM(1)", 1, true))
    place:run("make -C checkout LUA_VERSION=5.4 PREFIX=$PWD/undone uninstall")
    assert.are.equal("", place:run("find undone -type f"))
  end)

  it("leaves the command to the version of Lua that it was first installed for", function ()
    place:run("make -C checkout install LUA_VERSION=5.4 PREFIX=$PWD/both")
    local said = place:run("make -C checkout install LUA_VERSION=5.1 PREFIX=$PWD/both")
    assert.is_truthy(said:find("both/bin/filescom is of another version of Lua: left as it is", 1, true), said)
    place:run("make -C checkout uninstall LUA_VERSION=5.1 PREFIX=$PWD/both")
    place:run("head -n 1 both/bin/filescom | grep -q 'env lua5.4$'")
    place:use_command("both/bin/filescom")
  end)

  it("says which versions there are where another is wanted", function ()
    local said = place:run("! make -C checkout install LUA_VERSION=5.5 PREFIX=$PWD/none 2>&1")
    assert.is_truthy(said:find("LUA_VERSION is 5.4, 5.3 or 5.1, not 5.5", 1, true), said)
  end)

  it("installs every module, every annotation and every program", function ()
    place:run("make -C checkout install LUA_VERSION=5.4 PREFIX=$PWD/whole")
    for file in packaging.run("cd lua && find . -name '*.lua'"):gmatch("[^\n]+") do
      place:run(("test -f 'whole/share/lua/5.4/%s'"):format(file))
    end
    for file in packaging.run("find types -name '*.lua'"):gmatch("[^\n]+") do
      place:run(("test -f 'whole/share/filescom/%s'"):format(file))
    end
    for file in packaging.run("test ! -d bin || ls bin"):gmatch("[^\n]+") do
      place:run(("test -x 'whole/bin/%s'"):format(file))
    end
  end)

  it("works with a libcurl elsewhere, named by CURL_INCDIR and CURL_LIBDIR", function ()
    place:run([[mkdir -p own/include own/lib && cp -r "$(pkg-config --variable=includedir libcurl)"/curl own/include/ ||
      cp -r /usr/include/*/curl own/include/]])
    place:run("cp /usr/lib/*/libcurl.so.4 own/lib/ && ln -s libcurl.so.4 own/lib/libcurl.so")
    place:run("rm -f checkout/build/5.4/filescom/core.so checkout/build/core/p*.o")
    local said = place:run("make -j2 -C checkout install LUA_VERSION=5.4 PREFIX=$PWD/with-own " ..
      "CURL_INCDIR=$PWD/own/include CURL_LIBDIR=$PWD/own/lib")
    assert.is_truthy(said:find("-I" .. place.directory .. "/own/include", 1, true))
    local loaded = place:log_in("lua5.4", "with-own", "5.4")
    assert.is_truthy(loaded:find(place.directory .. "/own/lib/libcurl.so", 1, true), loaded)
  end)

  -- What Debian's static libcurl needs in its turn is taken from the shared one.
  it("works with a static libcurl, which is then inside the module and nowhere to be seen", function ()
    local needed = place:run("readelf -d /usr/lib/*/libcurl.so.4")
    local libraries = { "-Wl,--no-as-needed", place:run("ls /usr/lib/*/libcurl.a"):match("%S+") }
    for name in needed:gmatch("%(NEEDED%)[^%[]*%[([^%]]+)%]") do libraries[#libraries + 1] = "-l:" .. name end
    place:run("rm -f checkout/build/5.4/filescom/core.so")
    place:run(("make -j2 -C checkout install LUA_VERSION=5.4 PREFIX=$PWD/static CURL_LIBS='%s'"):format(
      table.concat(libraries, " ")))
    local loaded = place:log_in("lua5.4", "static", "5.4")
    assert.is_falsy(loaded:find("libcurl", 1, true), loaded)
    local symbols = place:run("nm -D --defined-only static/lib/lua/5.4/filescom/core.so")
    assert.are.equal("luaopen_filescom_core", symbols:match("^%x+ T (%S+)%s*$"))
  end)
end)
