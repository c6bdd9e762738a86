rockspec_format = "3.0"
package = "filescom"
version = "0.1.0-1"

source = {
  url = "git+https://filescom.invalid/filescom.git",
  tag = "v0.1.0",
}

description = {
  summary = "Files.com sessions: log in, answer a second factor, use the session, log out",
  detailed = [[
    A session client for Files.com for Lua scripts and for nginx with ngx_lua, where it never blocks
    a worker. A C core on libcurl does HTTP and multipart; TLS is always verified, redirects are
    never followed, a login is sent once, and no secret is ever logged.
  ]],
  license = "MIT",
  labels = { "http", "authentication", "openresty" },
}

supported_platforms = { "unix" }

dependencies = {
  "lua >= 5.1, < 5.5",
  "lua-cjson >= 2.1.0",
  "argparse >= 0.7.1", -- the command's alone
}

external_dependencies = {
  CURL = { library = "curl" },
}

test_dependencies = {
  "busted >= 2.0",
  "cqueues",
  "luaossl",
  "luasocket",
}

-- Left out is a test of how make links.
test = {
  type = "busted",
  flags = { "--no-recursive", "--filter-out=relocations" },
}

build = {
  type = "builtin",
  modules = {
    ["filescom"] = "lua/filescom.lua",
    ["filescom.client"] = "lua/filescom/client.lua",
    ["filescom.clock"] = "lua/filescom/clock.lua",
    ["filescom.command"] = "lua/filescom/command.lua",
    ["filescom.command.arguments"] = "lua/filescom/command/arguments.lua",
    ["filescom.command.credentials"] = "lua/filescom/command/credentials.lua",
    ["filescom.command.failure"] = "lua/filescom/command/failure.lua",
    ["filescom.command.login"] = "lua/filescom/command/login.lua",
    ["filescom.command.output"] = "lua/filescom/command/output.lua",
    ["filescom.command.profile"] = "lua/filescom/command/profile.lua",
    ["filescom.command.request"] = "lua/filescom/command/request.lua",
    ["filescom.command.session"] = "lua/filescom/command/session.lua",
    ["filescom.command.settings"] = "lua/filescom/command/settings.lua",
    ["filescom.encode"] = "lua/filescom/encode.lua",
    ["filescom.errors"] = "lua/filescom/errors.lua",
    ["filescom.files"] = "lua/filescom/files.lua",
    ["filescom.keeper"] = "lua/filescom/keeper.lua",
    ["filescom.loop"] = "lua/filescom/loop.lua",
    ["filescom.loop.copas"] = "lua/filescom/loop/copas.lua",
    ["filescom.loop.cqueues"] = "lua/filescom/loop/cqueues.lua",
    ["filescom.loop.luv"] = "lua/filescom/loop/luv.lua",
    ["filescom.nginx"] = "lua/filescom/nginx.lua",
    ["filescom.otp"] = "lua/filescom/otp.lua",
    ["filescom.pages"] = "lua/filescom/pages.lua",
    ["filescom.protected"] = "lua/filescom/protected.lua",
    ["filescom.redaction"] = "lua/filescom/redaction.lua",
    ["filescom.request"] = "lua/filescom/request.lua",
    ["filescom.session"] = "lua/filescom/session.lua",
    ["filescom.store"] = "lua/filescom/store.lua",
    ["filescom.store.encrypted"] = "lua/filescom/store/encrypted.lua",
    ["filescom.store.fallback"] = "lua/filescom/store/fallback.lua",
    ["filescom.store.file"] = "lua/filescom/store/file.lua",
    ["filescom.store.flight"] = "lua/filescom/store/flight.lua",
    ["filescom.store.memory"] = "lua/filescom/store/memory.lua",
    ["filescom.store.record"] = "lua/filescom/store/record.lua",
    ["filescom.store.redis"] = "lua/filescom/store/redis.lua",
    ["filescom.store.renewal"] = "lua/filescom/store/renewal.lua",
    ["filescom.store.shared_dict"] = "lua/filescom/store/shared_dict.lua",
    ["filescom.store.token"] = "lua/filescom/store/token.lua",
    ["filescom.stream"] = "lua/filescom/stream.lua",
    ["filescom.terminal"] = "lua/filescom/terminal.lua",
    ["filescom.totp"] = "lua/filescom/totp.lua",
    ["filescom.trace"] = "lua/filescom/trace.lua",
    ["filescom.core"] = {
      sources = {
        "src/base_url.c",
        "src/buffer.c",
        "src/client.c",
        "src/driver_epoll.c",
        "src/driver_poll.c",
        "src/engine.c",
        "src/exchange.c",
        "src/handle.c",
        "src/headers.c",
        "src/lua_answer.c",
        "src/lua_client.c",
        "src/lua_core.c",
        "src/lua_engine.c",
        "src/lua_exchange.c",
        "src/lua_json.c",
        "src/lua_options.c",
        "src/lua_system.c",
        "src/memory.c",
        "src/message.c",
        "src/multipart.c",
        "src/process.c",
        "src/relay.c",
        "src/sockets.c",
        "src/stream.c",
      },
      libraries = { "curl" },
      incdirs = { "$(CURL_INCDIR)" },
      libdirs = { "$(CURL_LIBDIR)" },
    },
  },
  install = {
    bin = { filescom = "bin/filescom" },
  },
  copy_directories = { "doc", "types" },
}
