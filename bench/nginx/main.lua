-- The measurements of bench/nginx/run: what is run in which turns, and what is told of it.
-- Depends on spec/support/nginx.lua, on the modules beside this one, on wrk and on Linux's /proc.
--
-- In every round each of those compared gets an nginx of its own, with one worker, which is warmed up before
-- anything is taken: luck with addresses or with what LuaJIT compiles falls on all alike. Then they take
-- turns. Ratios are between figures of the same turn.

local cqueues = require "cqueues"
local nginx = require "spec.support.nginx"
local figures = require "bench.figures"
local load = require "bench.nginx.load"
local servers = require "bench.nginx.servers"

local function setting(name, default) return (math.tointeger(tonumber(os.getenv(name) or default))) end

local ROUNDS = setting("ROUNDS", 5)
local TURNS = setting("TURNS", 5)
local SECONDS = setting("SECONDS", 1)
local PAIRS = setting("PAIRS", 100000)

local PARTS = { "many", "one", "slow", "tls", "hang", "memory" }

local subjects = servers.subjects(os.getenv "RESTY_HTTP")
local service -- as servers.service returns it

-- ---- turns ----------------------------------------------------------------------------------

-- Calls a function with a worker of each subject, all of them new and warmed up by so many clients, and ends
-- them whatever comes of it.
local function with_workers(of, kind, clients, run)
  local workers = {}
  local ok, why = xpcall(function ()
    for i, subject in ipairs(of) do
      workers[i] = servers.worker(subject, service.base_url[kind], service.ca_file)
      if clients then load.run(workers[i].port, "/pair", clients, 1) end
    end
    run(workers)
  end, debug.traceback)
  for _, worker in ipairs(workers) do
    if not ok then why = why .. "\n" .. (worker:complaints()[1] or "") end
    worker:stop()
  end
  if not ok then error(why, 0) end
end

-- Measures each subject by turns, beginning with another one each time. `run` returns figures by name; here they
-- are returned as lists, one for each subject: result[number][name][turn].
local function in_turns(kind, clients, run)
  local results, turn = {}, 0
  for i in ipairs(subjects) do results[i] = {} end
  local function take(number, worker)
    for name, value in pairs(run(worker)) do
      results[number][name] = results[number][name] or {}
      results[number][name][turn] = value
    end
  end
  for _ = 1, ROUNDS do
    with_workers(subjects, kind, clients, function (workers)
      for _ = 1, TURNS do
        turn = turn + 1
        for i = 1, #subjects do
          local number = (turn + i) % #subjects + 1
          take(number, workers[number])
        end
      end
    end)
  end
  return results
end

-- A visitor of something else in the same worker, who asks every millisecond: it must not be the load itself.
local function start_pings(server, seconds)
  return load.start(server.port, "/ping", 1, seconds, 1)
end

-- ---- tables ---------------------------------------------------------------------------------

-- A row: what it is about, the name of its figures, their unit as a format and a factor, and what is aimed at.
local function row(results, what, name, unit, aim)
  local ours, theirs = results[1][name], results[2][name]
  local ratios = figures.ratios(ours, theirs)
  local function told(values) return unit[1]:format(figures.median(values) * unit[2]) end
  return { what, told(ours), told(theirs), ("%.2f"):format(figures.median(ratios)), figures.spread(ratios), aim or "" }
end

local PER_SECOND, MICROSECONDS, MILLISECONDS, SHARE = { "%.0f", 1 }, { "%.0f", 1 }, { "%.2f", 0.001 }, { "%.3f", 1 }

local function print_rows(title, rows)
  table.insert(rows, 1, { "", subjects[1].name, subjects[2].name, "ratio", "its middle half", "aim" })
  print(("%s (medians of %d rounds of %d turns)\n"):format(title, ROUNDS, TURNS))
  figures.print_table(rows)
end

-- ---- the parts ------------------------------------------------------------------------------

local part = {}

-- Pairs a second and what they cost the worker, all its threads together.
local function rate_and_cpu(server, clients)
  local worker = server:workers()[1]
  local used = nginx.cpu(worker)
  local run = load.run(server.port, "/pair", clients, SECONDS)
  return {
    rate = run.rate, mean = run.mean, p50 = run.p50, p99 = run.p99,
    cpu = (nginx.cpu(worker) - used) / run.answers * 1e6,
  }
end

function part.many()
  local results = in_turns("fast", 64, function (server) return rate_and_cpu(server, 64) end)
  print_rows("64 clients, no delay", {
    row(results, "logins and logouts a second", "rate", PER_SECOND, "ratio >= 1.10"),
    row(results, "CPU us of the worker for each", "cpu", MICROSECONDS, "ratio <= 0.95"),
    row(results, "p50, ms", "p50", MILLISECONDS),
    row(results, "p99, ms", "p99", MILLISECONDS),
  })
end

function part.one()
  local results = in_turns("fast", 1, function (server) return rate_and_cpu(server, 1) end)
  print_rows("1 client, no delay", {
    row(results, "p50, ms", "p50", MILLISECONDS, "ratio <= 1.25"),
    row(results, "CPU us of the worker for each", "cpu", MICROSECONDS),
  })
end

-- With each kind of key: an RSA one costs the service more, and so whoever has no session to resume. With each
-- version: TLS 1.3 makes new keys also where a session is resumed.
local TLS_KINDS = {
  { "rsa_1_2", "TLS 1.2, RSA, 2048 bits" }, { "rsa_1_3", "TLS 1.3, RSA, 2048 bits" },
  { "ec_1_2", "TLS 1.2, ECDSA, P-256" }, { "ec_1_3", "TLS 1.3, ECDSA, P-256" },
}

function part.tls()
  for _, kind in ipairs(TLS_KINDS) do
    local results = in_turns(kind[1], 1, function (server) return rate_and_cpu(server, 1) end)
    print_rows("1 client, a new TLS connection for each request, " .. kind[2], {
      row(results, "p50, ms", "p50", MILLISECONDS, "ratio <= 0.60"),
      row(results, "CPU us of the worker for each", "cpu", MICROSECONDS),
    })
  end
end

-- What a login and a logout one after the other take at least where each is answered after 0.2 s, in microseconds.
local SLOW_CLIENTS, SLOW_PAIR = 256, 2 * 0.2e6

function part.slow()
  local results = in_turns("slow", SLOW_CLIENTS, function (server)
    local ping = start_pings(server, SECONDS)
    local figures_of_load = rate_and_cpu(server, SLOW_CLIENTS)
    local pinged = ping:finish()
    -- Clients that ask again at once make clients / mean pairs a second; a count would depend on how many of
    -- their waves end within the time.
    figures_of_load.share = SLOW_PAIR / figures_of_load.mean
    figures_of_load.rate = SLOW_CLIENTS / figures_of_load.mean * 1e6
    figures_of_load.ping_p50, figures_of_load.ping_p99 = pinged.p50, pinged.p99
    figures_of_load.ping_longest = pinged.longest
    return figures_of_load
  end)
  print_rows("256 clients, a service that takes 0.2 s for each answer", {
    row(results, "logins and logouts a second", "rate", PER_SECOND),
    row(results, "share of the ideal, 640", "share", SHARE, "filescom >= 0.95"),
    row(results, "GET /ping p50, ms", "ping_p50", MILLISECONDS),
    row(results, "GET /ping p99, ms", "ping_p99", MILLISECONDS, "ratio <= 1.00"),
    row(results, "GET /ping longest, ms", "ping_longest", MILLISECONDS),
  })
end

local HANGING = 200

-- Pings while logins begin to hang, hang, and are given up together.
local function ping_while_hanging(server)
  local alone, before = start_pings(server, 1):finish(), service.hanging()
  local ping = start_pings(server, 4)
  cqueues.sleep(0.5)
  local hanging = load.start(server.port, "/pair", HANGING, 2)
  local pinged = ping:finish()
  hanging:finish()
  return {
    alone_p50 = alone.p50, alone_p99 = alone.p99, alone_longest = alone.longest,
    p50 = pinged.p50, p99 = pinged.p99, longest = pinged.longest, hung = service.hanging() - before,
  }
end

function part.hang()
  local results = in_turns("hang", nil, ping_while_hanging)
  print_rows("A service that never answers, and GET /ping of the same worker", {
    row(results, "logins in flight", "hung", PER_SECOND, tostring(HANGING)),
    row(results, "ping alone, p50, ms", "alone_p50", MILLISECONDS),
    row(results, "ping alone, p99, ms", "alone_p99", MILLISECONDS),
    row(results, "ping alone, longest, ms", "alone_longest", MILLISECONDS),
    row(results, "ping meanwhile, p50, ms", "p50", MILLISECONDS, "milliseconds"),
    row(results, "ping meanwhile, p99, ms", "p99", MILLISECONDS, "milliseconds"),
    row(results, "ping meanwhile, longest, ms", "longest", MILLISECONDS, "milliseconds"),
  })
end

-- ---- memory ---------------------------------------------------------------------------------

local VISITORS, PAIRS_OF_A_VISIT, LEAVES_EVERY, LEAVES_AFTER = 24, 10, 10, 0.004
local CHECKS = 4

-- Visits by which at least so many pairs are begun; every tenth visitor goes away in the middle. Returns how many did.
local function visit(server, pairs_)
  local visits, left, visitors = math.ceil(pairs_ / PAIRS_OF_A_VISIT / (1 - 1 / LEAVES_EVERY)), 0, {}
  for i = 1, VISITORS do
    visitors[i] = function ()
      while visits > 0 do
        visits = visits - 1
        local leaves = visits % LEAVES_EVERY == 0
        left = left + (leaves and 1 or 0)
        local answer = server:get("/pairs", { leave_after = leaves and LEAVES_AFTER or nil })
        assert(leaves or answer.body == "done", answer.body or answer.failed)
      end
    end
  end
  nginx.together(visitors)
  return left
end

-- What the worker holds when nothing is in flight and the service has closed its idle connections, which is
-- noticed while a dispatcher runs.
local function at_rest(server)
  server:settle()
  cqueues.sleep(1.5)
  assert(server:get("/pair").body == "done")
  nginx.eventually("the dispatcher is gone", 6, function () return server:counts().timers == 0 end)
  return nginx.usage(server:workers()[1])
end

-- Begun and done, as the worker counts them.
local function counted(server)
  local begun, done = server:get("/counted").body:match "^(%d+) (%d+)$"
  return tonumber(begun), tonumber(done)
end

local function memory_row(server, left)
  local usage = at_rest(server)
  local begun, done = counted(server)
  local row_ = { begun, begun - done, left, usage.memory, usage.descriptors, usage.threads }
  for i, value in ipairs(row_) do row_[i] = ("%d"):format(value) end
  return row_
end

function part.memory()
  local rows = { { "pairs begun", "of them cut off", "visitors that left", "RSS KiB", "descriptors", "threads" } }
  with_workers({ subjects[1] }, "brief", nil, function (workers)
    local server = workers[1]
    local left = visit(server, PAIRS / 20)
    rows[2] = memory_row(server, left)
    for _ = 1, CHECKS do
      left = left + visit(server, PAIRS / CHECKS)
      rows[#rows + 1] = memory_row(server, left)
    end
  end)
  print(("One worker through %d logins and logouts; the first row is after a warm-up\n"):format(PAIRS))
  figures.print_table(rows)
end

-- ---- running --------------------------------------------------------------------------------

local chosen = #arg > 0 and arg or PARTS
for _, name in ipairs(chosen) do
  if not part[name] then
    io.stderr:write("bench/nginx/run: no such part: ", name, "\n")
    os.exit(2)
  end
end

service = servers.service()
local ok, why = xpcall(function ()
  for _, name in ipairs(chosen) do part[name]() end
end, debug.traceback)
service.stop()
if not ok then io.stderr:write("bench/nginx/run: ", tostring(why), "\n") end
os.exit(ok)
