rockspec_format = "3.0"
package = "filescom"
version = "scm-1"

-- `luarocks make` builds the checkout it stands in; the address is for `luarocks install` and is set
-- where the repository is published.
source = {
  url = "git+https://filescom.invalid/filescom.git",
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
}

external_dependencies = {
  CURL = { library = "curl" },
}

build = {
  type = "builtin",
  modules = {
    ["filescom"] = "lua/filescom.lua",
    ["filescom.client"] = "lua/filescom/client.lua",
    ["filescom.encode"] = "lua/filescom/encode.lua",
    ["filescom.errors"] = "lua/filescom/errors.lua",
    ["filescom.files"] = "lua/filescom/files.lua",
    ["filescom.nginx"] = "lua/filescom/nginx.lua",
    ["filescom.otp"] = "lua/filescom/otp.lua",
    ["filescom.pages"] = "lua/filescom/pages.lua",
    ["filescom.redaction"] = "lua/filescom/redaction.lua",
    ["filescom.request"] = "lua/filescom/request.lua",
    ["filescom.session"] = "lua/filescom/session.lua",
    ["filescom.stream"] = "lua/filescom/stream.lua",
    ["filescom.terminal"] = "lua/filescom/terminal.lua",
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
}
