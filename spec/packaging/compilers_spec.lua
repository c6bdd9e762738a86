-- The sources compile without a warning by clang, without epoll as well, and against musl, the C library of Alpine.
-- Where the library does not run here, this is as far as a claim is checked; gcc and every Lua are .ci/lint's part.
-- Depends on clang, musl-gcc (Debian's musl-tools) and the headers of Lua, LuaJIT and libcurl.

local packaging = require("spec.support.packaging")

local FLAGS = "-std=gnu11 -fPIC -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Werror"
local CORE = "$(ls src/*.c | grep -v /lua_)"

local HEADERS = {
  { name = "Lua 5.4", flags = "$(pkg-config --cflags lua5.4)" },
  { name = "LuaJIT", flags = "-I/usr/include/luajit-2.1" },
}

describe("clang compiles", function ()
  local function compile(flags, sources)
    packaging.run(("ls %s | xargs -P2 -n4 clang %s -fsyntax-only $(pkg-config --cflags libcurl) %s"):format(sources,
      FLAGS, flags))
  end

  it("the core", function () compile("", CORE) end)

  it("the core without epoll, as on macOS and the BSDs", function () compile("-DFILESCOM_NO_EPOLL", CORE) end)

  for _, headers in ipairs(HEADERS) do
    it("the binding with the headers of " .. headers.name, function () compile(headers.flags, "src/lua_*.c") end)
  end
end)

describe("against musl", function ()
  local directory

  -- Compiles sources into a folder of objects.
  local function compile(folder, flags, sources)
    packaging.run(("mkdir %s/%s && realpath %s | (cd %s/%s && xargs -P2 -n4 musl-gcc %s -O0 -I%s %s -c)"):format(
      directory, folder, sources, directory, folder, FLAGS, directory, flags))
  end

  setup(function ()
    directory = packaging.run('mktemp -d "${TMPDIR:-/tmp}/filescom-compilers.XXXXXX"'):match("%S+")
    -- Only these headers: the others beside them belong to another C library.
    packaging.run(("ln -s /usr/include/*/curl /usr/include/*/lua5.*-deb-multiarch.h %s/"):format(directory))
    compile("core", "", CORE)
  end)

  teardown(function () packaging.run("rm -rf " .. directory) end)

  for _, headers in ipairs(HEADERS) do
    it("the module for " .. headers.name .. " links, with nothing but libcurl and Lua left open", function ()
      local folder = headers.name:gsub("%W", "")
      compile(folder, headers.flags, "src/lua_*.c")
      local open = packaging.run(("cd %s && musl-gcc -shared -Wl,-z,defs core/*.o %s/*.o -o core.so || true"):format(
        directory, folder))
      local count = 0
      for symbol in open:gmatch("undefined reference to `([^']+)'") do
        assert.is_truthy(symbol:find("^curl_") or symbol:find("^lua"), symbol .. " is not in musl")
        count = count + 1
      end
      assert.is_truthy(count > 20, open)
    end)
  end
end)
