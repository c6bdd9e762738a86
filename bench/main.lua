-- The measurements of bench/run: what is run, how it is compared, and the tables.
-- Depends on spec/support, from where the stand-in is started; on what bench/run built; and for the
-- counts of instructions on valgrind.

local shared = require "bench.figures"
local standin = require "spec.support.standin"

local median, print_table = shared.median, shared.print_table

local USERNAME, PASSWORD = "motor", "vroom"
local ROUNDS = math.tointeger(tonumber(os.getenv "ROUNDS" or 21))
local LOOP_ROUNDS = math.max(ROUNDS // 3, 1)
local SHORT_LOOP, LONG_LOOP = 100, 900 -- pairs, where time is taken
local SHORT_COUNT, LONG_COUNT = 50, 150 -- pairs, where instructions are counted

local COUNT_ROUNDS = 3

local GROWTH_PAIRS = math.tointeger(tonumber(os.getenv "PAIRS" or 1000000))
local GROWTH_ROWS = 5

local PARTS = { "process", "loop", "instructions", "allocations", "require", "growth" }

-- ---- commands -------------------------------------------------------------------------------

local function quoted(words)
  local all = {}
  for i, word in ipairs(words) do all[i] = "'" .. tostring(word):gsub("'", "'\\''") .. "'" end
  return table.concat(all, " ")
end

local function lines_of(command)
  local pipe = assert(io.popen(command))
  local lines = {}
  for line in pipe:lines() do lines[#lines + 1] = line end
  assert(pipe:close(), "failed: " .. command)
  return lines
end

local function has(program)
  return (os.execute("command -v " .. program .. " >/dev/null 2>&1"))
end

local function filescom(interpreter, base_url, pairs_)
  return { interpreter, "bench/pairs.lua", base_url, USERNAME, PASSWORD, pairs_ }
end

local function bare(way, base_url, pairs_)
  return { "build/bench/bare", way, base_url, USERNAME, PASSWORD, pairs_ }
end

local function lua_curl(interpreter, base_url, pairs_)
  return { interpreter, "bench/peers/lua_curl.lua", base_url, USERNAME, PASSWORD, pairs_ }
end

local function sdk(base_url)
  return { "node", "bench/peers/sdk.js", base_url, USERNAME, PASSWORD }
end

-- Where bench/run could install it.
local function has_sdk()
  return os.getenv "NODE_PATH" and has "node"
end

local function has_lua_curl(interpreter)
  return has(interpreter) and os.execute(interpreter .. " -e 'require [[curl]]' >/dev/null 2>&1")
end

-- What a shell script would do: the id goes from the first answer into the second command.
local CURL_COMMANDS = [[
answer=$(curl -sSf -F "username=$2" -F "password=$3" "$1/sessions") || exit 1
id=${answer#*\"id\":\"}
exec curl -sSf -X DELETE -H "X-FilesAPI-Auth: ${id%%\"*}" "$1/sessions"
]]

local function curl_commands(base_url)
  return { "sh", "-c", CURL_COMMANDS, "sh", base_url, USERNAME, PASSWORD }
end

-- ---- figures --------------------------------------------------------------------------------

local COLUMNS = { "wall", "user", "sys", "memory" }

-- Runs commands in turns. Returns the medians of each: microseconds, and KiB of memory.
local function measure(commands, rounds)
  local words, runs = { "build/bench/measure", rounds }, {}
  for i, command in ipairs(commands) do
    words[#words + 1] = "--"
    table.move(command, 1, #command, #words + 1, words)
    runs[i] = { wall = {}, user = {}, sys = {}, memory = {} }
  end
  for _, line in ipairs(lines_of(quoted(words))) do
    local values = line:gmatch "%d+"
    local run = runs[tonumber(values())]
    for _, column in ipairs(COLUMNS) do table.insert(run[column], tonumber(values())) end
  end
  for _, run in ipairs(runs) do
    for _, column in ipairs(COLUMNS) do run[column] = median(run[column]) end
    run.cpu = run.user + run.sys
  end
  return runs
end

-- How many blocks a command allocates, by valgrind.
local function count_allocations(command)
  local words = { "valgrind", "--tool=memcheck", "--leak-check=no", "--undef-value-errors=no" }
  table.move(command, 1, #command, #words + 1, words)
  local output = table.concat(lines_of(quoted(words) .. " 2>&1 >/dev/null"), "\n")
  return (tonumber((assert(output:match "total heap usage: ([%d,]+) allocs", output):gsub(",", ""))))
end

-- How many instructions a command executes, by callgrind. Runs differ by a few per cent: Lua seeds its
-- hashes anew each time, and answers come in one piece or in two.
local function count_instructions(command)
  local words = { "valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null" }
  table.move(command, 1, #command, #words + 1, words)
  local output = table.concat(lines_of(quoted(words) .. " 2>&1 >/dev/null"), "\n")
  return (assert(tonumber(output:match "Collected : (%d+)"), output))
end

local function ratio(value, reference)
  return ("%.2f"):format(value / reference)
end

local function milliseconds(us)
  return ("%.2f"):format(us / 1000)
end

local function with_commas(number)
  local text = ("%.0f"):format(number)
  local head, tail = text:match "^(%d?%d?%d)(.*)$"
  local split = #text % 3
  if split > 0 then head, tail = text:sub(1, split), text:sub(split + 1) end
  return (head .. tail:gsub("(%d%d%d)", ",%1"))
end

-- ---- the parts ------------------------------------------------------------------------------

local part = {}

-- A process from its start to its end: one login, one logout.
function part.process(base_url)
  local names = { "filescom, lua5.4", "C on libcurl, curl_mime", "two curl commands" }
  local commands = { filescom("lua5.4", base_url, 1), bare("mime", base_url, 1), curl_commands(base_url) }
  if has_sdk() then names[4], commands[4] = "JavaScript SDK, node", sdk(base_url) end
  local runs = measure(commands, ROUNDS)
  local rows = {
    { "one login and logout", "wall ms", "user ms", "sys ms", "peak KiB", "wall / C", "CPU / C", "wall / curl",
      "filescom's wall / its" },
  }
  for i, run in ipairs(runs) do
    rows[i + 1] = {
      names[i], milliseconds(run.wall), milliseconds(run.user), milliseconds(run.sys),
      ("%d"):format(run.memory // 1), ratio(run.wall, runs[2].wall), ratio(run.cpu, runs[2].cpu),
      ratio(run.wall, runs[3].wall), ratio(runs[1].wall, run.wall),
    }
  end
  print(("Whole process (medians of %d runs in turns)\n"):format(ROUNDS))
  print_table(rows)
  if not has "valgrind" then return end
  local ours = count_instructions(filescom("lua5.4", base_url, 1))
  local theirs = count_instructions(bare("mime", base_url, 1))
  print(("Instructions of the whole process (callgrind): filescom %s, C %s, ratio %s\n"):format(
    with_commas(ours), with_commas(theirs), ratio(ours, theirs)))
end

-- What is run in a loop: a name, and the command for a number of pairs. The two programs in C come last.
local function loops(base_url)
  local all = {}
  local function add(name, make, way) all[#all + 1] = { name, function (n) return make(way, base_url, n) end } end
  add("filescom, lua5.4", filescom, "lua5.4")
  if has "luajit" then add("filescom, luajit", filescom, "luajit") end
  for _, interpreter in ipairs { "lua5.1", "luajit" } do
    if has_lua_curl(interpreter) then add("lua-curl, " .. interpreter, lua_curl, interpreter) end
  end
  add("C on libcurl, curl_mime", bare, "mime")
  add("C on libcurl, by hand", bare, "hand")
  return all
end

-- The rows' ratios are to the two programs in C, which come last.
local function print_loop(title, unit, names, figures, shown)
  local rows = { { "a pair in a loop", unit, "/ curl_mime", "/ by hand" } }
  for i, name in ipairs(names) do
    rows[i + 1] = {
      name, shown(figures[i]), ratio(figures[i], figures[#figures - 1]),
      ratio(figures[i], figures[#figures]),
    }
  end
  print(title .. "\n")
  print_table(rows)
end

-- User time of a pair: the difference of two lengths, so that the start does not count.
function part.loop(base_url)
  local names, commands = {}, {}
  for i, loop in ipairs(loops(base_url)) do
    names[i] = loop[1]
    commands[2 * i - 1], commands[2 * i] = loop[2](SHORT_LOOP), loop[2](LONG_LOOP)
  end
  local runs = measure(commands, LOOP_ROUNDS)
  for _, column in ipairs { "user", "cpu", "wall" } do
    local figures = {}
    for i in ipairs(names) do
      figures[i] = (runs[2 * i][column] - runs[2 * i - 1][column]) / (LONG_LOOP - SHORT_LOOP)
    end
    print_loop(("%s time over one connection (medians of %d runs in turns, %d pairs less %d)"):format(
      column, LOOP_ROUNDS, LONG_LOOP, SHORT_LOOP), "us", names, figures,
      function (us) return ("%.1f"):format(us) end)
  end
end

-- What a pair costs by a count that a tool makes: the median of COUNT_ROUNDS differences of two lengths.
local function count_pairs(base_url, count)
  local names, counts = {}, {}
  for i, loop in ipairs(loops(base_url)) do
    local differences = {}
    for turn = 1, COUNT_ROUNDS do
      differences[turn] = (count(loop[2](LONG_COUNT)) - count(loop[2](SHORT_COUNT))) / (LONG_COUNT - SHORT_COUNT)
    end
    names[i], counts[i] = loop[1], median(differences)
  end
  return names, counts
end

local function print_counts(what, base_url, count)
  if not has "valgrind" then return print(what .. ": no valgrind here\n") end
  local names, counts = count_pairs(base_url, count)
  print_loop(("%s over one connection (valgrind, medians of %d runs, %d pairs less %d)"):format(
    what, COUNT_ROUNDS, LONG_COUNT, SHORT_COUNT), what:lower(), names, counts, with_commas)
end

-- Instructions of a pair.
function part.instructions(base_url)
  print_counts("Instructions", base_url, count_instructions)
end

-- Blocks of memory that a pair takes, libcurl's and Lua's among them.
function part.allocations(base_url)
  print_counts("Allocations", base_url, count_allocations)
end

-- One process that logs in and out again and again, against nginx, which is quicker than the stand-in.
function part.growth()
  local service = require("bench.nginx.servers").service()
  local command = filescom("lua5.4", service.base_url.fast, GROWTH_PAIRS)
  table.insert(command, GROWTH_ROWS)
  local ok, rows = pcall(lines_of, quoted(command))
  service.stop()
  if not ok then error(rows, 0) end
  for i, row in ipairs(rows) do
    local done, memory, descriptors = row:match "(%d+) (%d+) (%d+)"
    rows[i] = { done, memory, descriptors }
  end
  table.insert(rows, 1, { "pairs done", "RSS KiB", "descriptors" })
  print(("One process through %d logins and logouts\n"):format(GROWTH_PAIRS))
  print_table(rows)
end

-- What loading the module costs beyond loading libcurl and its libraries.
part["require"] = function ()
  local command = { "lua5.4", "bench/require.lua", "all" }
  local libcurl, own = {}, {}
  for i = 1, ROUNDS do
    libcurl[i], own[i] = lines_of(quoted(command))[1]:match "(%d+) (%d+)"
    libcurl[i], own[i] = tonumber(libcurl[i]), tonumber(own[i])
  end
  local runs = measure({
    { "lua5.4", "bench/require.lua", "libcurl" }, command, { "lua5.4", "-e", "" },
  }, ROUNDS)
  local rows = {
    { "lua5.4 that loads", "CPU ms", "/ libcurl", "peak KiB" },
    { "nothing", "0.00", "", ("%d"):format(runs[3].memory // 1) },
    { "libcurl", milliseconds(median(libcurl)), "1.00", ("%d"):format(runs[1].memory // 1) },
    { "filescom, after libcurl", milliseconds(median(own)), ratio(median(own), median(libcurl)),
      ("%d"):format(runs[2].memory // 1) },
  }
  print(("require \"filescom\" (medians of %d runs)\n"):format(ROUNDS))
  print_table(rows)
end

-- ---- running --------------------------------------------------------------------------------

local chosen = #arg > 0 and arg or PARTS
for _, name in ipairs(chosen) do
  if not part[name] then
    io.stderr:write("bench/run: no such part: ", name, "\n")
    os.exit(2)
  end
end

local server = standin.start({ "http" }, { lifetime = 3600 })
-- The answer whose size users can count on; and logins as the SDK sends them.
server:call("configure", { unpromised_fields = false, json_logins = true })
local base_url = server.http.base_url .. "/api/rest/v1"
local ok, why = xpcall(function ()
  for _, name in ipairs(chosen) do part[name](base_url) end
end, debug.traceback)
server:stop()
if not ok then io.stderr:write("bench/run: ", tostring(why), "\n") end
os.exit(ok)
