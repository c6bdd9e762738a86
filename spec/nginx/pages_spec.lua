-- Every example for nginx in the pages is served by nginx as it stands, and every location in it answers: only the
-- paths of the modules, the port and where the service is are others.
-- Depends on spec/support/pages.lua, nginx and the stand-in.

local nginx = require("spec.support.nginx")
local pages = require("spec.support.pages")
local support = require("spec.support.standin")

local SKELETON = [[
daemon off;
%s
pid %s/nginx.pid;
load_module /usr/share/nginx/modules/ndk_http_module.so;
load_module /usr/share/nginx/modules/ngx_http_lua_module.so;
events { worker_connections 256; }
%s
]]

local PATHS = [[
  access_log off;
  client_body_temp_path %s/body; proxy_temp_path %s/proxy; fastcgi_temp_path %s/fastcgi;
  uwsgi_temp_path %s/uwsgi; scgi_temp_path %s/scgi;
]]

-- Replaces a directive, or adds it to the block that it belongs to.
local function directed(text, block, pattern, directive)
  local result, count = text:gsub(pattern, function() return directive end)
  if count > 0 then return result end
  return (text:gsub(block .. "%s*{", function(found) return found .. "\n" .. directive end, 1))
end

-- An example may be a part of a configuration: locations, or what stands in http.
local function whole(text)
  if not text:find("server%s*{") then text = "server {\n" .. text .. "}\n" end
  if not text:find("http%s*{") then text = "http {\n" .. text .. "}\n" end
  return text
end

describe("an example for nginx", function()
  local standin, server

  setup(function() standin = support.start({ "https" }) end)

  teardown(function() standin:stop() end)

  after_each(function()
    if server then server:stop() end
    server = nil
  end)

  local function serve(text)
    local directory, port = nginx.directory(), nginx.free_port()
    local root, place = nginx.root(), pages.redirection(standin)
    text = whole(text)
    text = directed(text, "http", 'lua_package_path[^\n]*', ('lua_package_path "%s/lua/?.lua;;";'):format(root))
    text = directed(text, "http", 'lua_package_cpath[^\n]*', ('lua_package_cpath "%s/build/5.1/?.so;;";'):format(root))
    text = directed(text, "server", "listen%s+[^;]*;", "listen 127.0.0.1:" .. port .. ";")
    if not text:find("init_by_lua_block") then text = directed(text, "http", "^$", "init_by_lua_block { }") end
    text = text:gsub("init_by_lua_block%s*{", function(found) return found .. "\n" .. place end)
    text = text:gsub("http%s*{", function(found) return found .. "\n" .. PATHS:gsub("%%s", directory) end, 1)
    local user = nginx.is_root() and "user root;" or ""
    local file = nginx.write(directory .. "/nginx.conf", SKELETON:format(user, directory, text))
    server = nginx.run(directory, file, port)
  end

  local count = 0
  for _, block in ipairs(pages.all("nginx")) do
    count = count + (block.not_run and 0 or 1)
    if not block.not_run then
      it("is served: " .. block.place, function()
        standin:reset()
        serve(block.text)
        for path in block.text:gmatch("location%s+=?%s*(/%S*)%s*{") do
          local answer = server:get(path)
          assert.are.equal(200, answer.status, path .. ": " .. tostring(answer.body) .. server:errors())
          assert.are_not.equal("", answer.body)
        end
        assert.are.same({}, server:complaints())
      end)
    end
  end

  it("is there", function() assert.is_truthy(count > 0) end)
end)
