-- Logs in and out with lua-curl (Debian's package, Lua 5.1), PAIRS times over one connection: a body written by
-- hand, one handle, the id found by a pattern.
-- usage: lua5.1 bench/peers/lua_curl.lua BASE_URL USERNAME PASSWORD PAIRS

local curl = require "curl"

local BOUNDARY = "bench-0123456789abcdef"
local FIELD = "--" .. BOUNDARY .. '\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
local LOGIN_HEADERS = { "Content-Type: multipart/form-data; boundary=" .. BOUNDARY, "Accept: application/json" }

local base_url, username, password, pairs_ = arg[1], arg[2], arg[3], tonumber(arg[4])
local easy = curl.easy_init()
local answer

local function receive(data, size)
  answer[#answer + 1] = data
  return size
end

local function perform(method, headers)
  answer = {}
  easy:setopt(curl.OPT_CUSTOMREQUEST, method)
  easy:setopt(curl.OPT_HTTPHEADER, headers)
  assert(easy:perform())
  return table.concat(answer)
end

easy:setopt(curl.OPT_URL, base_url .. "/sessions")
easy:setopt(curl.OPT_WRITEFUNCTION, receive)
for _ = 1, pairs_ do
  easy:setopt(curl.OPT_POSTFIELDS, FIELD:format("username", username) .. FIELD:format("password", password)
    .. "--" .. BOUNDARY .. "--\r\n")
  local id = assert(perform("POST", LOGIN_HEADERS):match '"id":"([^"]+)"')
  easy:setopt(curl.OPT_HTTPGET, 1)
  assert(perform("DELETE", { "X-FilesAPI-Auth: " .. id }) == "")
end
