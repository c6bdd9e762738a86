-- What `make install` installs is whole and works by itself: everything is done in a copy, below a directory that goes
-- with it. Depends on make, a C compiler, pkg-config and spec/support/packaging.lua.

local packaging = require("spec.support.packaging")

describe("installing by make", function ()
  local place

  setup(function () place = packaging.new() end)

  teardown(function () place:remove() end)

  for _, version in ipairs { "5.4", "5.3", "5.1" } do
    it("works for Lua " .. version .. ", below DESTDIR and PREFIX", function ()
      place:run(("make -j2 -C checkout install LUA_VERSION=%s PREFIX=/opt/lua DESTDIR=$PWD/root"):format(version))
      place:log_in("lua" .. version, "root/opt/lua", version)
    end)
  end

  it("for Lua 5.1 serves LuaJIT as well", function ()
    place:run("make -j2 -C checkout install LUA_VERSION=5.1 PREFIX=$PWD/jit")
    place:log_in("luajit", "jit", "5.1")
  end)

  it("takes the headers of another Lua, such as OpenResty's LuaJIT, from LUA_CFLAGS", function ()
    place:run("rm -rf checkout/build/5.1")
    local said = place:run("make -j2 -C checkout install LUA_VERSION=5.1 PREFIX=$PWD/openresty/luajit " ..
      "LUA_CFLAGS=-I/usr/include/luajit-2.1")
    assert.is_truthy(said:find("-I/usr/include/luajit-2.1", 1, true))
    assert.is_falsy(said:find("include/lua5.1", 1, true))
    place:log_in("luajit", "openresty/luajit", "5.1")
  end)

  it("is undone without a trace", function ()
    place:run("make -C checkout LUA_VERSION=5.4 PREFIX=$PWD/undone install")
    place:run("make -C checkout LUA_VERSION=5.4 PREFIX=$PWD/undone uninstall")
    assert.are.equal("", place:run("find undone -type f"))
  end)

  it("installs every module, every annotation and every program", function ()
    place:run("make -j2 -C checkout install LUA_VERSION=5.4 PREFIX=$PWD/whole")
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
