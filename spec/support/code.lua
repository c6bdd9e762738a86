-- Prints the code that an account's owner would type now, as a second-factor device would show it.
-- usage: lua5.4 spec/support/code.lua CONTROL_PORT USERNAME
-- Depends on LuaSocket and lua-cjson, and on a running stand-in.

local cjson = require "cjson"
local connection = assert(require("socket").connect("127.0.0.1", tonumber(arg[1])))
assert(connection:send(cjson.encode { op = "code", username = arg[2] } .. "\n"))
local line = assert(connection:receive("*l"))
local answer = cjson.decode(line)
if not answer.ok then error(answer.error) end
print(answer.result)
