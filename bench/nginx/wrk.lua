-- What wrk reports of a run, for bench/nginx/load.lua. Runs inside wrk; depends on it alone.
-- luacheck: globals delay done

-- Milliseconds that a client leaves between an answer and its next request.
local PAUSE = tonumber(os.getenv "WRK_PAUSE" or 0)

if PAUSE > 0 then
  function delay() return PAUSE end
end

-- A line of numbers: answers, and of time in microseconds: the whole, mean, median, 99th percentile,
-- longest; then how many answers were not a success or did not come.
function done(summary, latency)
  local errors = summary.errors
  print(("report %d %d %d %d %d %d %d"):format(summary.requests, summary.duration, latency.mean,
    latency:percentile(50), latency:percentile(99), latency.max,
    errors.connect + errors.read + errors.write + errors.status))
end
