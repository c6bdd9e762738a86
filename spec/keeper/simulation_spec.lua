-- A day of traffic in seconds: four processes on one store, faults, revocations, limits, lock-outs, clocks that jump.
-- Depends on filescom and the stand-in; time is the spec's own and takes the service's along.
--
-- Whenever a request fails, a client of the spec's own logs in at that moment and sends the same: where that succeeds,
-- the request should not have failed. Apart from that is a call whose connection broke after it was sent: its outcome
-- is not known, so nothing repeats it. The figures are printed when KEEPER_FIGURES is set.

local filescom = require("filescom")
local support = require("spec.support.standin")

local DAY, STEP = 86400, 10 -- seconds; one request at each step
local LIFETIME, MARGIN = 21600, 60

-- What happens when, in seconds since the day began. Outages end where `ends` says.
local EVENTS = {
  { at = 3000, what = "revoke" },
  { at = 7000, what = "outage", ends = 7300 }, -- while a session is good: logins fail, calls too
  { at = 7150, what = "revoke" }, -- during an outage
  { at = 12000, what = "limit", ends = 12120 }, -- logins only, with Retry-After
  { at = 12010, what = "revoke" }, -- so that a login is due meanwhile
  { at = 20000, what = "store_down", ends = 20200 },
  { at = 30000, what = "revoke" },
  { at = 30010, what = "revoke" },
  { at = 40000, what = "reset_connections" },
  { at = 52000, what = "limit", ends = 53000 },
  { at = 60000, what = "revoke" },
  { at = 70000, what = "corrupt" },
}

describe("a day of traffic", function()
  local standin, start, time, store, store_is_down, keepers, figures

  setup(function()
    standin = support.start({ "http" })
    standin:call("configure", { log_limit = 100000, session_lifetime = LIFETIME })
  end)

  teardown(function()
    standin:stop()
  end)

  local function pass(seconds)
    time = time + seconds
    standin:call("configure", { clock_offset = time })
  end

  local function now()
    return start + time
  end

  local function new_store()
    local memory, guarded = filescom.store.memory({ now = now }), {}
    for _, method in ipairs({ "get", "set", "delete", "lock", "unlock" }) do
      guarded[method] = function(_, ...)
        if store_is_down then
          return nil, "down"
        end
        return memory[method](memory, ...)
      end
    end
    return guarded
  end

  local function new_keeper()
    return filescom.keeper({
      credentials = function()
        figures.asked = figures.asked + 1
        return { username = "motor", password = "vroom" }
      end,
      client = { base_url = standin.http.base_url, retries = 0 },
      store = store,
      name = "reports",
      margin = MARGIN,
      fallback = true,
      clock = { now = now, sleep = pass },
      on_event = function(event)
        figures[event.type] = (figures[event.type] or 0) + 1
      end,
    })
  end

  local begin, finish = {}, {}

  function begin.revoke()
    standin:call("revoke", {})
  end

  function begin.outage()
    standin:call("rate_limit", { count = 1e6, scope = "all", status = 503, type = "service-unavailable" })
    standin:call("rate_limit", { count = 1e6, scope = "login", status = 503, type = "service-unavailable" })
  end

  function finish.outage()
    standin:call("rate_limit", { count = 0, scope = "all" })
    standin:call("rate_limit", { count = 0, scope = "login" })
  end

  function begin.limit(event)
    local type_ = "rate-limited/too-many-concurrent-logins"
    standin:call("rate_limit", { count = 1e6, retry_after = event.ends - event.at - 20, type = type_ })
  end

  function finish.limit()
    standin:call("rate_limit", { count = 0 })
  end

  function begin.store_down()
    store_is_down = true
  end

  function finish.store_down()
    store_is_down = false
  end

  function begin.reset_connections()
    standin:call("close_idle")
  end

  function begin.corrupt()
    store:set("reports", "rubbish", 1000)
  end

  -- Whether a login at this moment could have served the request.
  local function could_be_served()
    local client = filescom.new({ base_url = standin.http.base_url, retries = 0 })
    local session = client:login({ username = "motor", password = "vroom" })
    local answer = session and session:request("GET", "/user")
    if session then
      session:logout()
    end
    client:close()
    return answer ~= nil
  end

  local function happen(from, to)
    for _, event in ipairs(EVENTS) do
      if event.at >= from and event.at < to then
        begin[event.what](event)
      end
      if event.ends and event.ends >= from and event.ends < to then
        finish[event.what](event)
      end
    end
  end

  it("fails no request that a fresh login could have served, and logs in no more than it has to", function()
    start, time, store_is_down = os.time(), 0, false
    figures = { asked = 0, requests = 0, failed = 0, avoidable = 0, interrupted = 0 }
    store = new_store()
    keepers = { new_keeper(), new_keeper(), new_keeper(), new_keeper() }
    local last = 0
    while time < DAY do
      local seen = time
      happen(last, seen + 1)
      last = seen + 1
      local keeper = keepers[figures.requests % #keepers + 1]
      local answer, err = keeper:request("GET", "/user")
      figures.requests = figures.requests + 1
      if not answer and err.type == "network/interrupted" then
        figures.interrupted = figures.interrupted + 1
      elseif not answer then
        figures.failed = figures.failed + 1
        figures.avoidable = figures.avoidable + (could_be_served() and 1 or 0)
      end
      pass(STEP)
    end

    if os.getenv("KEEPER_FIGURES") then
      for name, value in pairs(figures) do
        print(name, value)
      end
    end
    assert.are.equal(0, figures.avoidable)
    assert.is_true(figures.interrupted <= 1) -- where connections were reset, once
    -- The first; one for each of six revocations; the renewal of what was obtained at 30010; one for what was lost with
    -- the store's contents. An outage of the store costs none, nor do four processes more than one.
    assert.are.equal(1 + 6 + 1 + 1, figures.login)
    assert.is_true(figures.failed < 100, figures.failed)
  end)
end)
