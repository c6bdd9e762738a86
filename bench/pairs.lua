-- Logs in and out with filescom, PAIRS times over one connection. With ROWS it prints so many lines on the way:
-- how many are done, the process's resident memory in KiB and its descriptors (of Linux's /proc).
-- usage: lua bench/pairs.lua BASE_URL USERNAME PASSWORD PAIRS [ROWS]

local filescom = require "filescom"

local function resident()
  local file = assert(io.open "/proc/self/status")
  local memory = file:read("*a"):match "VmRSS:%s*(%d+)"
  file:close()
  return memory
end

local function descriptors()
  local pipe = assert(io.popen "ls /proc/$PPID/fd | wc -l")
  local count = pipe:read "*n"
  pipe:close()
  return count
end

local count, every = tonumber(arg[4]), arg[5] and math.floor(arg[4] / arg[5])

filescom.configure { base_url = arg[1] }
for i = 1, count do
  assert(filescom.login { username = arg[2], password = arg[3] })
  assert(filescom.logout())
  if every and i % every == 0 then print(("%d %d %d"):format(i, resident(), descriptors())) end
end
