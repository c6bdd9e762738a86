-- The measurements of bench/keeper/run. Depends on spec/support and nginx.

local nginx = require "spec.support.nginx"
local standin = require("spec.support.standin").start { "http" }

local COUNT = math.tointeger(tonumber(os.getenv "CALLS" or 200000))

local CODE = [[
local filescom = require "filescom"
local calls = require "bench.keeper.calls"
%s calls.measure_keeper(filescom, %q, filescom.store.%s, %d)
]]

local function in_process(interpreter)
  local path = os.tmpname()
  nginx.write(path, CODE:format("print", standin.http.base_url, "memory()", COUNT):gsub("print (.*)\n$", "print(%1)\n"))
  local pipe = assert(io.popen(interpreter .. " " .. path))
  local line = pipe:read "*l"
  pipe:close()
  os.remove(path)
  return line
end

local function in_nginx()
  local code = CODE:format("ngx.say(", standin.http.base_url, 'shared_dict("sessions")', COUNT):gsub("%s*$", ")")
  local server = nginx.start {
    base_url = standin.http.base_url, http = "lua_shared_dict sessions 1m;",
    init = 'package.path = "@root@/?.lua;" .. package.path', locations = { ["= /measure"] = code },
  }
  local line = server:get("/measure", { timeout = 300 }).body
  server:stop()
  return line
end

local function print_row(name, line)
  local median, p99, p999 = (line or ""):match "^(%S+) (%S+) (%S+)$"
  print(("| %-24s | %6s | %6s | %6s |"):format(name, median or tostring(line), p99, p999))
end

print(("keeper:session() on a warm store, microseconds a call, %d calls, no lock taken\n"):format(COUNT))
print_row("store", "p50 p99 p99.9")
print "| ------------------------ | -----: | -----: | -----: |"
print_row("memory, lua5.4", in_process "lua5.4")
print_row("memory, luajit", in_process "luajit")
print_row("shared_dict, nginx", in_nginx())
standin:stop()
