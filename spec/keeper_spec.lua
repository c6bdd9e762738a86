-- Keepers: one session for everyone, obtained once, renewed, replaced; refusals remembered; stores that fail.
-- Depends on filescom, lua-cjson, luaossl and the stand-in. Time is the spec's own: it moves when somebody waits, and
-- takes the service's along.

local cjson = require("cjson")
local filescom = require("filescom")
local record = require("filescom.store.record")
local support = require("spec.support.standin")

local HOUR = 3600

describe("a keeper", function()
  local standin, offset, slept, events, asked, store

  setup(function()
    standin = support.start({ "http" })
  end)

  teardown(function()
    standin:stop()
  end)

  local function now()
    return os.time() + offset
  end

  local function pass(seconds)
    offset = offset + seconds
    standin:call("configure", { clock_offset = offset })
  end

  local clock = {
    now = now,
    sleep = function(seconds)
      slept = slept + seconds
      pass(seconds)
    end,
  }

  before_each(function()
    standin:reset()
    offset, slept, events, asked = 0, 0, {}, 0
    store = filescom.store.memory({ now = now })
  end)

  local function motor()
    asked = asked + 1
    return { username = "motor", password = "vroom" }
  end

  -- A keeper with the spec's clock and store, and options besides.
  local function new(options)
    local all = {
      credentials = motor,
      client = { base_url = standin.http.base_url, retries = 0 },
      store = store,
      name = "reports",
      clock = clock,
      on_event = function(event)
        events[#events + 1] = event
      end,
    }
    for name, value in pairs(options or {}) do
      all[name] = value
    end
    return filescom.keeper(all)
  end

  local function count(method, target)
    local found = 0
    for _, entry in ipairs(standin:log()) do
      if entry.method == method and (not target or entry.target:find(target, 1, true)) then
        found = found + 1
      end
    end
    return found
  end

  local function logins()
    return count("POST", "/sessions")
  end

  local function told(kind)
    local found = {}
    for _, event in ipairs(events) do
      if event.type == kind then
        found[#found + 1] = event
      end
    end
    return found
  end

  -- ---- what it is for ---------------------------------------------------------------------------------------------

  it("is not loaded by who logs in and out", function()
    local code = ([[local filescom = require "filescom"
      local client = filescom.new { base_url = %q }
      client:login { username = "motor", password = "vroom" }
      assert(client:logout())
      for name in pairs(package.loaded) do
        if name:find("keeper", 1, true) or name:find("store", 1, true) or name == "filescom.clock" then print(name) end
      end]]):format(standin.http.base_url)
    local path = os.tmpname()
    local file = io.open(path, "w")
    file:write(code)
    file:close()
    local pipe = io.popen((arg and arg[-1] or "lua5.4"):match("lua[%w.]*$") .. " " .. path .. " 2>&1")
    assert.are.equal("", pipe:read("*a"))
    pipe:close()
    os.remove(path)
    assert.are.equal(1, count("DELETE"))
  end)

  it("sends nothing before it is asked", function()
    new()
    assert.are.equal(0, #standin:log())
    assert.are.equal(0, asked)
  end)

  it("logs in once for all who ask, and asks for credentials that once", function()
    local keeper = new()
    local session = assert(keeper:session())
    for _ = 1, 20 do
      assert.are.equal(session, keeper:session())
    end
    assert.are.equal(1, logins())
    assert.are.equal(1, asked)
    assert.is_string(session.id)
    assert.are.equal(1, #told("login"))
  end)

  it("keeps the session whatever numbers came with it", function()
    standin:call("next_answers", { status = 201,
      body = '{"id":"0123456789abcdef0123456789abcdef","huge":1e999,"large":12345678901234}' })
    assert(new():session())
    local other = assert(new():session())
    assert.are.equal(12345678901234, other.large)
    assert.is_nil(other.huge)
    assert.are.equal(1, logins())
  end)

  it("shares the session with whoever has the same store and name, whole", function()
    local one, other = assert(new():session()), assert(new():session())
    assert.are.equal(1, logins())
    assert.are.same(cjson.decode(cjson.encode(one)), cjson.decode(cjson.encode(other)))
    assert.are.equal("25000", tostring(other.max_dir_listing_size))
    assert.are.equal(200, assert(other:request("GET", "/folders")).status)
    assert.are_not.equal(one.id, assert(new({ name = "another" }):session()).id)
    assert.are.equal(2, logins())
  end)

  it("has the options of the default client where it is given none", function()
    filescom.configure({ base_url = standin.http.base_url, user_agent = "reports/1.0" })
    local keeper = filescom.keeper({ credentials = motor })
    assert(keeper:session())
    filescom.configure({ base_url = "https://app.files.com" })
    assert.are.equal(200, assert(keeper:request("GET", "/folders")).status)
    for _, entry in ipairs(standin:log()) do
      local headers = {}
      for _, header in ipairs(entry.headers) do
        headers[header[1]:lower()] = header[2]
      end
      assert.is_truthy(headers["user-agent"]:find("reports/1.0", 1, true))
    end
  end)

  it("bounds a login in time, whatever its client is given, so that it is over before its lock is", function()
    standin:call("configure", { answer_delay = 3 })
    for _, client in ipairs({
      { base_url = standin.http.base_url },
      filescom.new({ base_url = standin.http.base_url, timeout = 60 }),
    }) do
      local session, err = new({ client = client, lock_ttl = 1, clock = { now = now, sleep = clock.sleep } }):session()
      assert.is_nil(session)
      assert.are.equal("network/timeout", err.type)
      store:delete("reports")
    end
  end)

  it("is not what a logout of the client ends by itself", function()
    local client = filescom.new({ base_url = standin.http.base_url })
    local keeper = new({ client = client })
    assert(keeper:session())
    local ended, err = client:logout()
    assert.is_nil(ended)
    assert.are.equal("session/none", err.type)
    assert.are.equal(200, assert(keeper:request("GET", "/folders")).status)
  end)

  it("holds no credentials", function()
    local keeper = new({
      credentials = function()
        return { username = "motor", password = table.concat({ "vr", "oom" }) }
      end,
    })
    assert(keeper:session())
    local seen = {}
    local function search(value, path)
      assert(value ~= "vroom", path)
      if type(value) == "table" and not seen[value] then
        seen[value] = true
        for key, item in pairs(value) do
          search(item, path .. "." .. tostring(key))
        end
      end
    end
    search(keeper, "keeper")
    assert.is_nil(store:get("reports"):find("vroom", 1, true))
  end)

  -- ---- renewal ----------------------------------------------------------------------------------------------------

  it("renews the session a margin before it ends", function()
    local keeper = new({ margin = 300 })
    local first = assert(keeper:session())
    pass(6 * HOUR - 310)
    assert.are.equal(first, keeper:session())
    pass(20)
    local second = assert(keeper:session())
    assert.are_not.equal(first.id, second.id)
    assert.are.equal(2, logins())
  end)

  it("takes six hours where the service names no end", function()
    standin:call("account", { username = "motor", session = { timeout_at = support.null } })
    local keeper = new()
    assert(keeper:session())
    pass(6 * HOUR - 70)
    assert(keeper:session())
    assert.are.equal(1, logins())
    pass(20)
    assert(keeper:session())
    assert.are.equal(2, logins())
  end)

  it("renews a session that lasts no longer than the margin in the last half of its time", function()
    standin:call("configure", { session_lifetime = 40 })
    local keeper = new()
    assert(keeper:session())
    pass(15)
    assert(keeper:session())
    assert.are.equal(1, logins())
    pass(10)
    assert(keeper:session())
    assert.are.equal(2, logins())
  end)

  it("goes on with a session that is due while another renews it", function()
    local keeper = new()
    local session = assert(keeper:session())
    pass(6 * HOUR - 30)
    store:lock("reports", "another's", 20)
    assert.are.equal(session, keeper:session())
    assert.are.equal(0, slept)
    assert.are.equal(1, logins())
  end)

  it("goes on with a session that is due while its renewal is refused", function()
    local keeper = new()
    local session = assert(keeper:session())
    pass(6 * HOUR - 30)
    standin:call("rate_limit", { count = 1000, retry_after = 10 })
    assert.are.equal(session, keeper:session())
    assert.are.equal(session, keeper:session())
    assert.are.equal(2, logins())
    pass(40)
    standin:call("rate_limit", { count = 0 })
    assert.are_not.equal(session, assert(keeper:session()))
  end)

  it("goes on at once with a session that is due while its renewal fails", function()
    local keeper = new()
    local session = assert(keeper:session())
    pass(6 * HOUR - 30)
    standin:call("rate_limit", { count = 1000, scope = "login", status = 503, type = "service-unavailable" })
    for _ = 1, 5 do
      assert.are.equal(session, keeper:session())
    end
    assert.are.equal(0, slept)
    assert.are.equal(2, logins())
    standin:call("rate_limit", { count = 0, scope = "login" })
  end)

  -- ---- a session that is no more ----------------------------------------------------------------------------------

  it("replaces a session that the service ended, and repeats the call once", function()
    local keeper = new()
    assert(keeper:request("GET", "/folders"))
    standin:call("revoke", {})
    local answer = assert(keeper:request("POST", "/echo", { json = { a = 1 } }))
    assert.are.equal(200, answer.status)
    assert.are.equal(2, logins())
    assert.are.equal(2, count("POST", "/echo"))
    assert.are.equal(1, #told("session-ended"))
  end)

  it("takes the session by which another has replaced it already", function()
    local one, other = new(), new()
    assert(one:session())
    assert(other:session())
    standin:call("revoke", {})
    assert(one:request("GET", "/folders"))
    assert(other:request("GET", "/folders"))
    assert.are.equal(2, logins())
  end)

  it("repeats nothing whose outcome is not known", function()
    local listener = standin:listen({ scheme = "http" })
    standin:script(listener, { { service = 1 }, { read = "request" }, { close = true } })
    local keeper = new({ client = { base_url = listener.base_url, retries = 0 } })
    assert(keeper:session())
    local answer, err = keeper:request("POST", "/echo", { body = "once" })
    assert.is_nil(answer)
    assert.are.equal("network", err.group)
    assert.are.equal(1, logins())
  end)

  it("does not take every refusal for the end of the session", function()
    local keeper = new()
    assert(keeper:session())
    for _, body in ipairs({
      { status = 401, type = "not-authenticated/inbox-registration-code-failed" },
      { status = 403, type = "not-authorized/insufficient-permission-for-site" },
      { status = 401, type = "not-authorized/session-is-fine" },
    }) do
      standin:call("next_answers", { status = body.status, body = cjson.encode({ type = body.type, error = "no" }) })
      local answer, err = keeper:request("GET", "/folders")
      assert.is_nil(answer)
      assert.are.equal(body.type, err.type)
    end
    assert.are.equal(1, logins())
  end)

  it("doubts a service that refuses a session just obtained", function()
    local answers = 0
    local keeper = new()
    local session = assert(keeper:session())
    local class = getmetatable(session).__index
    local request = class.request
    class.request = function(...) -- luacheck: ignore
      answers = answers + 1
      standin:call("next_answers", {
        status = 401,
        body = cjson.encode({ type = "not-authenticated/invalid-session", error = "no" }),
      })
      return request(...)
    end
    for _ = 1, 10 do
      local answer, err = keeper:request("GET", "/folders")
      assert.is_nil(answer)
      assert.are.equal("not-authenticated/invalid-session", err.type)
    end
    class.request = request
    assert.are.equal(2, logins())
    assert.are.equal(11, answers)
    pass(10)
    standin:call("revoke", {})
    assert(keeper:request("GET", "/folders"))
    assert.are.equal(3, logins())
  end)

  it("is told by discard what another HTTP client was told", function()
    local keeper = new()
    local session = assert(keeper:session())
    keeper:discard("no such session")
    assert.are.equal(session, keeper:session())
    keeper:discard(session)
    local second = assert(keeper:session())
    assert.are_not.equal(session.id, second.id)
    keeper:discard(session) -- late: it was replaced already
    assert.are.equal(second, keeper:session())
    assert.are.equal(2, logins())
  end)

  it("replaces a session that was logged out by its own method", function()
    local keeper = new()
    local session = assert(keeper:session())
    assert(session:logout())
    assert.are_not.equal(session.id, assert(keeper:session()).id)
  end)

  -- ---- logout and close -------------------------------------------------------------------------------------------

  it("logs out for all who share the session", function()
    local one, other = new(), new()
    local session = assert(one:session())
    assert(other:session())
    assert.are.equal(204, assert(one:logout()).status)
    assert.are.equal(0, #standin:call("sessions"))
    assert.is_nil((store:get("reports")))
    assert.are_not.equal(session.id, assert(other:session()).id)
  end)

  it("says where there is nothing to log out", function()
    local keeper = new()
    local ended, err = keeper:logout()
    assert.is_nil(ended)
    assert.are.equal("session/none", err.type)
    assert(keeper:session())
    assert(keeper:logout())
    ended, err = keeper:logout()
    assert.is_nil(ended)
    assert.are.equal("session/none", err.type)
  end)

  it("keeps the session where a logout failed", function()
    local keeper = new()
    local session = assert(keeper:session())
    standin:call("next_answers", { status = 503 })
    assert.is_nil((keeper:logout()))
    assert.are.equal(session, keeper:session())
    assert(keeper:logout())
  end)

  it("forgets by a logout that logins were refused", function()
    local password = "wrong"
    local keeper = new({
      credentials = function()
        return { username = "motor", password = password }
      end,
    })
    assert.is_nil((keeper:session()))
    password = "vroom"
    assert.is_nil((keeper:session()))
    keeper:logout()
    assert(keeper:session())
  end)

  it("closes without logging out, and says so afterwards", function()
    local keeper = new()
    assert(keeper:session())
    keeper:close()
    keeper:close()
    assert.are.equal(1, #standin:call("sessions"))
    local ok, why = pcall(keeper.session, keeper)
    assert.is_false(ok)
    assert.is_truthy(why:find("this keeper is closed", 1, true))
    assert(new():session())
    assert.are.equal(1, logins())
  end)

  -- ---- refusals ---------------------------------------------------------------------------------------------------

  local function wrong()
    asked = asked + 1
    return { username = "motor", password = "wrong" }
  end

  it("remembers a refusal, for others as well, and tells when the next login is due", function()
    local keeper = new({ credentials = wrong })
    local session, err = keeper:session()
    assert.is_nil(session)
    assert.are.equal("not-authenticated/invalid-username-or-password", err.type)
    assert.is_nil(err.remembered)
    for _, each in ipairs({ keeper, new({ credentials = wrong }) }) do
      local again
      session, again = each:session()
      assert.is_nil(session)
      assert.are.equal(err.type, again.type)
      assert.are.equal(err.message, again.message)
      assert.are.equal(401, again.status)
      assert.is_true(again.remembered)
      assert.are.equal(err.next_try, again.next_try)
      assert.is_true(again.retry_after >= 4 and again.retry_after <= 8)
      assert.is_truthy(tostring(again):find("retry after", 1, true))
    end
    assert.are.equal(1, logins())
    assert.are.equal(1, asked)
    assert.are.equal(0, slept)
  end)

  it("waits longer from refusal to refusal, with jitter, up to a limit", function()
    standin:call("configure", { lockout_after = 1000 })
    local keeper, pauses = new({ credentials = wrong, backoff = { first = 10, longest = 100 } }), {}
    for i = 1, 6 do
      local _, err = keeper:session()
      pauses[i] = err.next_try - now()
      pass(pauses[i] - 4)
      keeper:session()
      assert.are.equal(i, logins())
      pass(5)
    end
    for i, expected in ipairs({ 10, 20, 40, 80, 100, 100 }) do
      assert.is_true(pauses[i] >= expected and pauses[i] <= expected * 1.25 + 1)
    end
  end)

  it("begins anew after a login that succeeded", function()
    local password = "wrong"
    local keeper = new({
      credentials = function()
        return { username = "motor", password = password }
      end,
    })
    for _ = 1, 3 do
      local _, err = keeper:session()
      pass(err.next_try - now() + 1)
    end
    password = "vroom"
    assert(keeper:session())
    keeper:logout()
    password = "wrong"
    local _, err = keeper:session()
    assert.is_true(err.retry_after <= 8)
  end)

  it("honours the time that the service asks for", function()
    standin:call("rate_limit", { count = 1, retry_after = 120, type = "rate-limited/too-many-concurrent-logins" })
    local keeper = new()
    local _, err = keeper:session()
    assert.are.equal("rate-limited/too-many-concurrent-logins", err.type)
    pass(115)
    _, err = keeper:session()
    assert.is_true(err.remembered)
    assert.are.equal(1, logins())
    pass(40)
    assert(keeper:session())
  end)

  it("never tries during a lock-out before the longest pause is over", function()
    standin:call("configure", { lockout_after = 1, lockout_seconds = 900 })
    local password = "wrong"
    local keeper = new({
      credentials = function()
        return { username = "motor", password = password }
      end,
    })
    keeper:session()
    pass(10)
    password = "vroom"
    local _, err = keeper:session()
    assert.are.equal("not-authenticated/locked-out", err.type)
    local before = logins()
    for _ = 1, 17 do
      pass(50)
      keeper:session()
    end
    assert.are.equal(before, logins())
    pass(300)
    assert(keeper:session())
  end)

  it("waits out a failure that may be over at any moment", function()
    standin:call("next_answers", { status = 503 })
    local keeper = new()
    local session, err = keeper:session()
    assert.is_nil(session)
    assert.are.equal(503, err.status)
    assert(keeper:session())
    assert.is_true(slept > 0 and slept <= 3)
  end)

  it("returns what comes of the next try while the service cannot be reached", function()
    local keeper = new({ client = { base_url = "http://127.0.0.1:1", retries = 0 } })
    for _ = 1, 8 do
      local session, err = keeper:session()
      assert.is_nil(session)
      assert.are.equal("network/connect", err.type)
    end
    assert.is_true(slept > 5 and slept < 8 * 2.5)
  end)

  it("tells what credentials says where it has none", function()
    local keeper = new({
      credentials = function()
        return nil, "the vault is sealed"
      end,
    })
    local session, err = keeper:session()
    assert.is_nil(session)
    assert.are.equal("keeper/no-credentials", err.type)
    assert.are.equal("the vault is sealed", err.message)
  end)

  it("frees the lock where credentials or get_code raise", function()
    local keeper = new({
      credentials = function()
        error("no vault")
      end,
    })
    local ok, why = pcall(keeper.session, keeper)
    assert.is_false(ok)
    assert.is_truthy(why:find("no vault", 1, true))
    assert(new():session())
    assert.are.equal(0, slept)
    keeper = new({
      name = "another",
      credentials = function()
        return { username = "motor", pasword = "vroom" }
      end,
    })
    ok, why = pcall(keeper.session, keeper)
    assert.is_false(ok)
    assert.is_truthy(why:find("pasword", 1, true))
  end)

  -- ---- a second factor --------------------------------------------------------------------------------------------

  it("asks get_code for a code", function()
    local keeper = new({
      credentials = function()
        return { username = "sam", password = "dot-dash" }
      end,
      get_code = function(challenge)
        return standin:code("sam", challenge.method)
      end,
    })
    assert(keeper:request("GET", "/user"))
  end)

  it("answers totp by otp_secret, and waits for the next code with the lock kept", function()
    local secret, extended = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJU", 0
    standin:call("account", { username = "tess", secret = secret })
    local lock = store.lock
    function store.lock(...)
      extended = extended + 1
      return lock(...)
    end
    local keeper = new({
      credentials = function()
        return { username = "tess", password = "tick-tock" }
      end,
      otp_secret = function()
        return secret
      end,
    })
    assert(keeper:session())
    keeper:logout()
    extended = 0
    assert(keeper:session())
    assert.is_true(slept <= 30)
    assert.is_true(extended >= slept / 7)
    assert.are.equal(4, logins())
  end)

  it("reports a challenge that there is nobody to answer", function()
    local keeper = new({
      credentials = function()
        return { username = "sam", password = "dot-dash" }
      end,
    })
    local _, err = keeper:session()
    assert.are.equal("not-authenticated/two-factor-authentication-error", err.type)
  end)

  it("lets get_code yield, and another coroutine wait for its login", function()
    local second, waiting
    local keeper = new({
      credentials = function()
        return { username = "sam", password = "dot-dash" }
      end,
      get_code = function()
        coroutine.yield("asked")
        return standin:code("sam", "sms")
      end,
      clock = {
        now = now,
        sleep = function(seconds)
          pass(seconds)
          coroutine.yield("waiting")
        end,
      },
    })
    local function run()
      return assert(keeper:session())
    end
    local one, two = coroutine.create(run), coroutine.create(run)
    assert.are.equal("asked", select(2, assert(coroutine.resume(one))))
    waiting = select(2, assert(coroutine.resume(two)))
    assert.are.equal("waiting", waiting)
    local _, first = assert(coroutine.resume(one))
    while coroutine.status(two) ~= "dead" do
      _, second = assert(coroutine.resume(two))
    end
    assert.are.equal(first.id, second.id)
    assert.are.equal(2, logins())
  end)

  -- ---- locks ------------------------------------------------------------------------------------------------------

  it("waits for another's login and takes its session", function()
    store:lock("reports", "another's", 20)
    local sleep, other = clock.sleep, new({ clock = nil })
    local keeper = new({
      clock = {
        now = now,
        sleep = function(seconds)
          sleep(seconds)
          if slept > 1 and store:get("reports") == nil then
            store:unlock("reports", "another's")
            assert(other:session())
          end
        end,
      },
    })
    assert(keeper:session())
    assert.are.equal(1, logins())
  end)

  it("takes over from a holder that died, within the bound", function()
    store:lock("reports", "dead", 20)
    assert(new():session())
    assert.is_true(slept >= 19 and slept <= 21)
    assert.are.equal(1, logins())
  end)

  it("gives up waiting after `wait` seconds", function()
    store:lock("reports", "another's", 1000)
    local session, err = new({ wait = 10 }):session()
    assert.is_nil(session)
    assert.are.equal("keeper/timeout", err.type)
    assert.is_true(slept <= 10)
    local ended
    ended, err = new({ wait = 10 }):logout()
    assert.is_nil(ended)
    assert.are.equal("keeper/timeout", err.type)
  end)

  it("sends no login once its lock is another's, and takes the other's session", function()
    for _, slow in ipairs({ "credentials", "get_code" }) do
      standin:reset()
      store:delete("reports")
      local other = new()
      local function be_overtaken()
        pass(100) -- the lock runs out
        assert(store:lock("reports", "another's", 20))
      end
      local keeper = new({
        credentials = function()
          if slow == "credentials" then
            be_overtaken()
          end
          return { username = "sam", password = "dot-dash" }
        end,
        get_code = function()
          be_overtaken()
          return standin:code("sam", "sms")
        end,
        clock = {
          now = now,
          sleep = function(seconds)
            clock.sleep(seconds)
            store:unlock("reports", "another's")
            assert(other:session())
          end,
        },
      })
      assert.are.equal(assert(keeper:session()).id, assert(other:session()).id)
      assert.are.equal(slow == "credentials" and 1 or 2, logins())
      assert.are.equal(1, #standin:call("sessions"))
      assert.are.equal(0, #told("login-failed"))
    end
  end)

  it("keeps the lock through a login of several requests", function()
    standin:call("account", { username = "sam", methods = { "sms" } })
    local held = {}
    local keeper = new({
      credentials = function()
        pass(15)
        return { username = "sam", password = "dot-dash" }
      end,
      get_code = function()
        pass(15)
        held[#held + 1] = store:lock("reports", "another's", 20)
        return #held < 3 and "000000" or standin:code("sam", "sms")
      end,
    })
    assert(keeper:session())
    assert.are.same({ false, false, false }, held)
  end)

  -- Lets something happen while a keeper's login is under way: the lock is got, then held once more before the request.
  local function during_login(happen)
    local lock, taken = store.lock, 0
    function store.lock(...)
      local locked = lock(...)
      taken = taken + 1
      if taken == 2 then
        store.lock = lock
        happen()
      end
      return locked
    end
  end

  it("ends its own session where its login took so long that another's came first", function()
    local other = new()
    during_login(function()
      pass(100)
      assert(other:session())
    end)
    assert.are.equal(assert(new():session()).id, assert(other:session()).id)
    assert.are.equal(2, logins())
    assert.are.equal(1, #standin:call("sessions"))
  end)

  it("does not put its refusal in the place of what another obtained meanwhile", function()
    local other = new()
    during_login(function()
      pass(100)
      assert(other:session())
    end)
    assert.are.equal(assert(new({ credentials = wrong }):session()).id, assert(other:session()).id)
    assert.are.equal(2, logins())
    assert.are.equal(0, #told("login-failed"))
  end)

  -- ---- stores -----------------------------------------------------------------------------------------------------

  local function failing()
    local state = { down = false, asked = 0, store = {} }
    for _, method in ipairs({ "get", "set", "delete", "lock", "unlock" }) do
      state.store[method] = function(_, ...)
        state.asked = state.asked + 1
        if state.down then
          return nil, "connection refused"
        end
        return store[method](store, ...)
      end
    end
    return state
  end

  it("says so where the store is down, and sends nothing", function()
    local state = failing()
    state.down = true
    local session, err = new({ store = state.store }):session()
    assert.is_nil(session)
    assert.are.equal("store/unavailable", err.type)
    assert.are.equal("store", err.group)
    assert.is_truthy(err.message:find("connection refused", 1, true))
    assert.are.equal(0, #standin:log())
    assert.is_true(#told("store-unavailable") > 0)
  end)

  it("goes on in memory where it was told to, and says so", function()
    local state = failing()
    local keeper = new({ store = state.store, fallback = true })
    local session = assert(keeper:session())
    state.down, state.asked = true, 0
    for _ = 1, 50 do
      assert.are.equal(session.id, assert(keeper:session()).id)
    end
    assert.are.equal(1, state.asked)
    assert.is_true(#told("store-unavailable") > 0)
    keeper:discard(keeper:session())
    local second = assert(keeper:session())
    assert.are.equal(2, logins())
    state.down = false
    pass(10)
    assert.are_not.equal(session.id, assert(keeper:session()).id)
    assert.is_string(second.id)
  end)

  it("gives the store what it missed, so that others need not log in", function()
    local state = failing()
    local keeper = new({ store = state.store, fallback = true })
    for _, becomes_empty in ipairs({ false, true }) do
      local before = assert(keeper:session())
      state.down = true
      standin:call("revoke", {})
      assert(keeper:request("GET", "/folders"))
      local session = assert(keeper:session())
      assert.are_not.equal(before.id, session.id)
      if becomes_empty then
        store:delete("reports")
      end
      state.down = false
      pass(10)
      local made = logins()
      assert.are.equal(session.id, assert(keeper:session()).id)
      assert.are.equal(session.id, assert(new({ store = state.store }):session()).id)
      assert.are.equal(made, logins())
    end
  end)

  it("takes what others wrote while it could not ask the store", function()
    local state = failing()
    local keeper = new({ store = state.store, fallback = true })
    assert(keeper:session())
    state.down = true
    standin:call("revoke", {})
    assert(keeper:request("GET", "/folders"))
    local theirs = new()
    assert(theirs:request("GET", "/folders"))
    state.down = false
    pass(10)
    assert.are.equal(assert(theirs:session()).id, assert(keeper:session()).id)
    assert.are.equal(3, logins())
  end)

  it("uses the session at hand where the store fails after a login", function()
    local set = store.set
    function store.set()
      return nil, "full"
    end
    local keeper = new()
    assert(keeper:session())
    assert.are.equal(1, #told("store-unavailable"))
    store.set = set
  end)

  it("logs in once where the store takes nothing, until the session is due", function()
    local set = store.set
    function store.set()
      return nil, "full"
    end
    local keeper = new()
    local session = assert(keeper:session())
    for _ = 1, 5 do
      assert.are.equal(session, keeper:session())
    end
    assert.are.equal(1, logins())
    pass(6 * HOUR)
    assert.are_not.equal(session, assert(keeper:session()))
    store.set = set
    assert.are.equal(2, logins())
    assert(new():session()) -- whose record is there, and good
    assert.are.equal(store:get("reports"):match('"id":"(%x+)"'), keeper:session().id)
    assert.are.equal(3, logins())
  end)

  it("does not log in again and again where others write what it cannot read", function()
    local keepers = {}
    for i, key in ipairs({ "a", "b" }) do
      keepers[i] = new({ store = filescom.store.encrypted(store, key:rep(32)) })
    end
    keepers[3] = new()
    for _ = 1, 10 do
      for _, keeper in ipairs(keepers) do
        assert(keeper:session())
      end
    end
    assert.are.equal(3, logins())
    assert.are.equal(3, #standin:call("sessions"))
    assert.are.equal(204, assert(keepers[1]:logout()).status)
    assert.is_string(store:get("reports")) -- another's, and let be
  end)

  local FOREIGN = {
    "",
    "hello",
    "[]",
    "17",
    '{"id": "0123456789abcdef"}',
    '{"filescom_keeper": 1, "session": {"id": "bad id"}, "obtained_at": 1, "renew_at": 1e12, "ends_at": 1e12}',
    '{"filescom_keeper": 1, "session": {"id": "0123456789abcdef"}, "renew_at": 1e12}',
    '{"filescom_keeper": 1, "session": {"id": "0123456789abcdef", "base_url": "https://evil.example/api/rest/v1"}, '
      .. '"obtained_at": 1, "renew_at": 1e12, "ends_at": 1e12}',
    '{"filescom_keeper": 1, "refusal": {"type": 7}, "failures": 1, "next_try": 1e12, "refused_at": 1}',
    '{"filescom_keeper": 1, "refusal": "no", "next_try": 1e12}',
    '{"filescom_keeper": 2, "session": "new"}',
  }

  it("uses nothing that is foreign, says so once, and replaces it by a login only", function()
    for _, text in ipairs(FOREIGN) do
      standin:reset()
      events = {}
      store:set("reports", text, 1000000)
      local keeper = new()
      local ended, err = keeper:logout()
      assert.is_nil(ended)
      assert.are.equal("session/none", err.type)
      assert.are.equal(text, store:get("reports"))
      local get, reads = store.get, 0
      function store.get(...)
        reads = reads + 1
        return get(...)
      end
      assert(keeper:session(), text)
      store.get = nil
      assert.is_true(reads > 0)
      assert.are.equal(1, #told("store-contents"))
      assert.are.equal(1, logins())
      assert.are_not.equal(text, store:get("reports"))
    end
  end)

  it("shares a store with a version that writes more fields", function()
    assert(new():session())
    local entry = cjson.decode(store:get("reports"))
    entry.colour = "blue"
    store:set("reports", cjson.encode(entry), 10000)
    assert(new():session())
    assert.are.equal(1, logins())
    assert.are.equal(0, #told("store-contents"))
  end)

  it("says that an encrypted session was made with another key", function()
    local sealed = filescom.store.encrypted(store, ("a"):rep(32))
    assert(new({ store = sealed }):session())
    assert.are.equal(0, #told("store-contents"))
    assert(new({ store = filescom.store.encrypted(store, ("b"):rep(32)) }):session())
    assert.is_truthy(told("store-contents")[1].message:find("another key", 1, true))
    assert.are.equal(2, logins())
  end)

  it("does not ask a slow store more often than it was told to", function()
    local state = failing()
    local keeper = new({ store = state.store, recheck = 5 })
    assert(keeper:session())
    state.asked = 0
    for _ = 1, 20 do
      assert(keeper:session())
    end
    assert.is_true(state.asked <= 1)
    pass(6)
    assert(keeper:session())
    assert.is_true(state.asked >= 1)
  end)

  it("takes no lock for a session that is there", function()
    local keeper = new()
    assert(keeper:session())
    function store.lock()
      error("a lock was taken")
    end
    for _ = 1, 10 do
      assert(keeper:session())
    end
    assert(new():session())
  end)

  -- ---- clocks -----------------------------------------------------------------------------------------------------

  it("renews once when the clock is set far back or forward", function()
    local keeper = new()
    assert(keeper:session())
    pass(-12 * HOUR)
    for _ = 1, 5 do
      assert(keeper:session())
    end
    assert.are.equal(2, logins())
    pass(48 * HOUR)
    for _ = 1, 5 do
      assert(keeper:session())
    end
    assert.are.equal(3, logins())
  end)

  it("takes over from a holder that died before the clock was set back", function()
    pass(24 * HOUR)
    store:lock("reports", "dead", 20)
    pass(-24 * HOUR)
    assert(new():session())
    assert.is_true(slept <= 1)
  end)

  it("does not mind clocks that differ by minutes", function()
    local keeper = new()
    assert(keeper:session())
    offset = offset - 200 -- of this machine alone
    assert(new():session())
    assert.are.equal(1, logins())
  end)

  it("lives with a clock that is a day ahead of the service's", function()
    local ahead = { now = function()
      return now() + 24 * HOUR
    end, sleep = clock.sleep }
    local keeper = new({ clock = ahead, store = filescom.store.memory({ now = ahead.now }) })
    for _ = 1, 5 do
      assert(keeper:session())
    end
    assert.are.equal(1, logins())
    assert.are.equal(1, #told("clock"))
  end)

  it("does not wait a year for a refusal by a clock that was wrong", function()
    offset = 365 * 24 * HOUR
    new({ credentials = wrong }):session()
    offset = 0
    store = filescom.store.memory({ now = now })
    local entry = { refusal = { type = "a/b", message = "no" }, failures = 1 }
    entry.refused_at, entry.next_try = now() + 365 * 24 * HOUR, now() + 366 * 24 * HOUR
    store:set("reports", record.encode(entry), 1000)
    assert(new():session())
  end)

  it("reads times as the service writes them", function()
    local times = {
      ["1970-01-01T00:00:00Z"] = 0,
      ["2000-02-29T12:00:00Z"] = 951825600,
      ["2031-05-01T08:30:00-04:00"] = 1935405000,
      ["2031-05-01T12:30:00.250Z"] = 1935405000,
      ["2031-05-01T18:00:00+0530"] = 1935405000,
    }
    for text, time in pairs(times) do
      assert.are.equal(time, record.parse_time(text))
    end
    for _, text in ipairs({ "", "tomorrow", "2031-05-01", "2031-05-01T12:30:00", 17 }) do
      assert.is_nil(record.parse_time(text))
    end
  end)

  -- ---- mistakes ---------------------------------------------------------------------------------------------------

  it("raises what is wrong with its options, where they were given", function()
    local mistakes = {
      ["options must be a table"] = 17,
      ["option 'credentials' is missing"] = {},
      ["unknown option 'pasword'"] = { credentials = motor, pasword = "x" },
      ["option 'credentials' must be a function"] = { credentials = {} },
      ["option 'margin' must not be negative"] = { credentials = motor, margin = -1 },
      ["option 'wait' must be a number"] = { credentials = motor, wait = "long" },
      ["option 'lock_ttl' must be 1 or more"] = { credentials = motor, lock_ttl = 0 },
      ["option 'name' must have 1 to 80 bytes"] = { credentials = motor, name = "" },
      ["a store must have the method 'get'"] = { credentials = motor, store = {} },
      ["unknown option 'frist'"] = { credentials = motor, backoff = { frist = 1 } },
      ["option 'backoff'"] = { credentials = motor, backoff = { first = 0 } },
      ["otp_secret is not base32"] = { credentials = motor, otp_secret = "1!" },
      ["option 'clock': now must be a function"] = { credentials = motor, clock = { now = 1 } },
      ["unknown option 'base_ulr'"] = { credentials = motor, client = { base_ulr = "x" } },
    }
    for text, options in pairs(mistakes) do
      local ok, why = pcall(filescom.keeper, options)
      assert.is_false(ok)
      assert.is_truthy(why:find(text, 1, true), why)
      assert.is_truthy(why:find("keeper_spec.lua", 1, true), why)
    end
  end)

  it("raises where a method is called on something else than a keeper", function()
    local keeper = new()
    for _, method in ipairs({ "session", "request", "discard", "logout", "close" }) do
      for _, other in ipairs({ false, 17, {}, io.stdout, getmetatable(keeper) }) do
        local ok, why = pcall(keeper[method], other)
        assert.is_false(ok)
        assert.is_truthy(why:find("a keeper's method must be called on a keeper", 1, true), why)
      end
    end
  end)

  it("raises where credentials returns something else", function()
    local keeper = new({
      credentials = function()
        return "vroom"
      end,
    })
    local ok, why = pcall(keeper.session, keeper)
    assert.is_false(ok)
    assert.is_truthy(why:find("credentials must return a table, got string", 1, true))
  end)

  it("shows no secret", function()
    local keeper = new()
    local session = assert(keeper:session())
    assert.are.equal("filescom keeper 'reports'", tostring(keeper))
    for _, event in ipairs(events) do
      assert.is_nil(event.message:find(session.id, 1, true))
    end
  end)
end)
