-- Load from wrk: so many clients that ask for a path, each again when it was answered.
-- Depends on wrk and bench/nginx/wrk.lua.

local Load = {}
Load.__index = Load

local load = {}

--- Starts `clients` that go on for whole `seconds`, each with a pause (milliseconds) after an answer, or none.
function load.start(port, path, clients, seconds, pause)
  local command = ("WRK_PAUSE=%d exec wrk -t1 -c%d -d%ds --timeout 30s -s bench/nginx/wrk.lua http://127.0.0.1:%d%s")
    :format(pause or 0, clients, seconds, port, path)
  return setmetatable({ pipe = assert(io.popen(command)) }, Load)
end

--- Waits for the end. Returns `rate` (answers a second), `answers`, and in microseconds `mean`, `p50`, `p99`
-- and `longest`.
-- Raises an error where an answer was no success, so that what is measured was done.
function Load:finish()
  local text = self.pipe:read "a"
  self.pipe:close()
  local values = {}
  for digits in (text:match "report ([%d ]+)" or ""):gmatch "%d+" do values[#values + 1] = tonumber(digits) end
  local answers, duration, mean, p50, p99, longest, failed = table.unpack(values)
  if failed ~= 0 then error("failed under load: " .. text, 0) end
  return {
    rate = answers / duration * 1e6, answers = answers, mean = mean, p50 = p50, p99 = p99, longest = longest,
  }
end

--- As `start` and `finish`.
function load.run(...)
  return load.start(...):finish()
end

return load
