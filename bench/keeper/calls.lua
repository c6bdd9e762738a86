-- Times single calls of keeper:session(): what bench/keeper/main.lua runs under each interpreter and inside nginx.
-- Depends on nothing but a clock that knows parts of microseconds: LuaJIT's ffi, else cqueues.

local calls = {}

local function ffi_clock(ffi)
  ffi.cdef "typedef struct { long s; long ns; } bench_time; int clock_gettime(int, bench_time *);"
  local time = ffi.new "bench_time"
  return function ()
    ffi.C.clock_gettime(1, time)
    return tonumber(time.s) * 1e6 + tonumber(time.ns) / 1e3
  end
end

local function microseconds()
  local found, ffi = pcall(require, "ffi")
  if found then return ffi_clock(ffi) end
  local monotime = require("cqueues").monotime
  return function () return monotime() * 1e6 end
end

--- Returns a line: the median, the 99th and the 99.9th percentile of a function's calls, in microseconds.
function calls.measure(run, count)
  local now, taken = microseconds(), {}
  for _ = 1, 1000 do run() end
  for i = 1, count do
    local from = now()
    run()
    taken[i] = now() - from
  end
  table.sort(taken)
  local function percentile(part) return taken[math.max(math.floor(count * part), 1)] end
  return ("%.2f %.2f %.2f"):format(percentile(0.5), percentile(0.99), percentile(0.999))
end

--- The same of a keeper with a base URL and a store, which must not be locked meanwhile.
function calls.measure_keeper(filescom, base_url, store, count)
  local keeper = filescom.keeper {
    credentials = function () return { username = "motor", password = "vroom" } end,
    client = { base_url = base_url }, store = store,
  }
  assert(keeper:session())
  local lock = store.lock
  store.lock = function () error "a lock was taken" end
  local line = calls.measure(function () assert(keeper:session()) end, count)
  store.lock = lock
  return line
end

return calls
