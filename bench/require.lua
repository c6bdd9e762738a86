-- Loads libcurl, then filescom, and prints the CPU time that each took, in microseconds.
-- usage: lua bench/require.lua [libcurl|all]   libcurl: stops once that is loaded

local started = os.clock()
assert(package.loadlib("libcurl.so.4", "*"))
local loaded = os.clock()
if arg[1] ~= "libcurl" then require "filescom" end
print(("%.0f %.0f"):format((loaded - started) * 1e6, (os.clock() - loaded) * 1e6))
