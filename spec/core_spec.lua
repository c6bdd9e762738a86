-- filescom.core: the binding under the module, for callers that wait in their own way.
-- Depends on filescom.core, LuaSocket (to wait for a descriptor) and the stand-in.

local api = require("spec.support.api")
local core = require("filescom.core")
local socket = require("socket")
local support = require("spec.support.standin")

local MOTOR = api.MOTOR

describe("filescom.core", function()
  local standin, client

  setup(function()
    standin = support.start({ "http" })
  end)

  teardown(function()
    standin:stop()
  end)

  before_each(function()
    standin:reset()
    client = core.client({ base_url = standin.http.base_url, timeout = 10 })
    while core.next_news() do end -- luacheck: ignore 542
  end)

  -- Steps the engine, waiting on its descriptor alone, until `done` says so.
  local function drive(done)
    local watched = { getfd = core.descriptor }
    local deadline = socket.gettime() + 5
    while not done() do
      assert.is_true(socket.gettime() < deadline, "not done in time")
      socket.select({ watched }, nil, 0.5)
      core.step()
    end
  end

  describe("an exchange", function()
    it("is begun, waited for and finished", function()
      local exchange = client:begin_login(MOTOR)
      assert.is_true(exchange:wait())
      assert.is_true(exchange:done())
      local id = exchange:finish().id
      assert.is_true(core.is_session_id(id))
    end)

    it("comes to what the blocking call comes to", function()
      local id = client:login(MOTOR).id
      local exchange = client:begin_logout(id)
      exchange:wait()
      assert.are.equal(204, exchange:finish().status)
    end)

    it("of any other call is begun likewise", function()
      local exchange = client:begin_request({ method = "GET", path = "/user", session_id = client:login(MOTOR).id })
      exchange:wait()
      assert.are.equal("motor", exchange:finish().data.username)
    end)

    it("that fails comes to nil and a table that tells", function()
      local exchange = client:begin_login({ username = "motor", password = "no" })
      exchange:wait()
      local answer, failure = exchange:finish()
      assert.is_nil(answer)
      assert.are.equal(401, failure.status)
      assert.are.equal("not-authenticated/invalid-username-or-password", failure.body.type)
    end)

    it("goes to another base URL where one is given", function()
      local elsewhere = core.client({ base_url = "http://127.0.0.1:" .. api.closed_port() })
      assert.is_string(elsewhere:login(MOTOR, standin.http.base_url).id)
    end)

    it("is not done before its answer came, and wait tells so at the end of its time", function()
      standin:call("configure", { answer_delay = 0.3 })
      local exchange = client:begin_login(MOTOR)
      assert.is_false(exchange:done())
      assert.is_false(exchange:wait(0.01))
      assert.is_false(exchange:wait(0))
      assert.is_true(exchange:wait(5))
    end)

    it("cannot be finished before it is done, and goes on", function()
      standin:call("configure", { answer_delay = 0.1 })
      local exchange = client:begin_login(MOTOR)
      assert.are.equal("the exchange is not done yet", api.raised_here(function()
        exchange:finish()
      end))
      assert.is_true(exchange:wait())
      assert.is_string(exchange:finish().id)
    end)

    it("may be waited for again when it is done", function()
      local exchange = client:begin_login(MOTOR)
      assert.is_true(exchange:wait())
      assert.is_true(exchange:wait())
      assert.is_true(exchange:wait(0))
    end)

    it("has a number that no other has", function()
      local first, second = client:begin_login(MOTOR), client:begin_login(MOTOR)
      assert.are_not.equal(first:id(), second:id())
      first:wait()
      second:wait()
    end)

    it("tells how it went on the wire", function()
      local exchange = client:begin_login(MOTOR)
      exchange:wait()
      local info = exchange:info()
      assert.are.equal(1, info.attempts)
      assert.are.equal(201, info.status)
      assert.are.equal("127.0.0.1", info.remote_ip)
      assert.are.equal(standin.http.port, info.remote_port)
      assert.is_true(info.seconds >= 0)
      assert.is_truthy(info.request_id:find("%x"))
    end)

    it("that was finished says so, whatever is asked of it", function()
      local exchange = client:begin_login(MOTOR)
      exchange:wait()
      exchange:finish()
      for _, name in ipairs({ "wait", "done", "finish", "id", "info" }) do
        assert.are.equal("the exchange is closed", api.raised_here(function()
          exchange[name](exchange)
        end), name)
      end
    end)

    it("says in tostring how it stands", function()
      standin:call("configure", { answer_delay = 0.05 })
      local exchange = client:begin_login(MOTOR)
      assert.is_truthy(tostring(exchange):find("in flight", 1, true))
      exchange:wait()
      assert.is_truthy(tostring(exchange):find("done", 1, true))
      exchange:finish()
      assert.is_truthy(tostring(exchange):find("closed", 1, true))
    end)

    it("goes on where its client is closed", function()
      local exchange = client:begin_login(MOTOR)
      client:close()
      assert.is_true(exchange:wait())
      assert.is_string(exchange:finish().id)
    end)

    it("refuses to wait for what is no time", function()
      local exchange = client:begin_login(MOTOR)
      for _, seconds in ipairs({ 0 / 0, math.huge, "soon", {} }) do
        assert.is_false((pcall(exchange.wait, exchange, seconds)))
      end
      exchange:wait()
    end)
  end)

  describe("an exchange that is cancelled", function()
    it("says that it is closed", function()
      local exchange = client:begin_login(MOTOR)
      exchange:cancel()
      assert.is_truthy(api.raised(exchange.wait, exchange):find("the exchange is closed", 1, true))
    end)

    it("may be cancelled again", function()
      local exchange = client:begin_login(MOTOR)
      exchange:cancel()
      exchange:cancel()
      assert.are.equal(0, core.in_flight())
    end)

    it("closes its connection", function()
      standin:call("configure", { hang = true })
      local exchange = client:begin_login(MOTOR)
      assert.is_false(exchange:wait(0.05))
      local before = standin:connections(standin.http)
      exchange:cancel()
      local deadline = socket.gettime() + 2
      repeat
        local open = standin:connections(standin.http)
      until open < before or socket.gettime() > deadline
      assert.is_true(standin:connections(standin.http) < before)
    end)

    it("leaves the client of use", function()
      client:begin_login(MOTOR):cancel()
      assert.is_string(client:login(MOTOR).id)
    end)

    it("is so by the collector as well", function()
      standin:call("configure", { hang = true })
      client:begin_login(MOTOR)
      assert.are.equal(1, core.in_flight())
      collectgarbage()
      collectgarbage()
      assert.are.equal(0, core.in_flight())
    end)

    it("is so where the coroutine that waits for it dies", function()
      standin:call("configure", { hang = true })
      for _ = 1, 20 do
        coroutine.resume(coroutine.create(function()
          local exchange = client:begin_login(MOTOR)
          while not exchange:done() do
            coroutine.yield()
          end
        end))
      end
      assert.are.equal(20, core.in_flight())
      collectgarbage()
      collectgarbage()
      assert.are.equal(0, core.in_flight())
      standin:call("configure", { hang = false })
      assert.is_string(client:login(MOTOR).id)
    end)
  end)

  describe("the engine", function()
    it("has a descriptor, always the same", function()
      local descriptor = core.descriptor()
      assert.is_true(descriptor >= 0)
      client:login(MOTOR)
      assert.are.equal(descriptor, core.descriptor())
    end)

    it("brings an exchange to its end by steps whenever the descriptor is readable", function()
      standin:call("configure", { answer_delay = 0.05 })
      local exchange = client:begin_login(MOTOR)
      drive(function()
        return exchange:done()
      end)
      assert.is_string(exchange:finish().id)
    end)

    it("tries again by steps alone, where nothing was sent", function()
      local nowhere = core.client({ base_url = "http://127.0.0.1:" .. api.closed_port(), retries = 1 })
      local exchange = nowhere:begin_login(MOTOR)
      drive(function()
        return exchange:done()
      end)
      assert.are.equal(2, exchange:info().attempts)
    end)

    it("keeps time limits by steps alone", function()
      standin:call("configure", { hang = true })
      local exchange = core.client({ base_url = standin.http.base_url, timeout = 0.1 }):begin_login(MOTOR)
      drive(function()
        return exchange:done()
      end)
      local _, failure = exchange:finish()
      assert.are.equal("network/timeout", failure.type)
    end)

    it("names each exchange that ended once", function()
      local first, second = client:begin_login(MOTOR), client:begin_login(MOTOR)
      local ended, count = {}, 0
      drive(function()
        local id = core.next_news()
        if id then
          ended[id], count = true, count + 1
        end
        return count == 2
      end)
      assert.is_true(ended[first:id()] and ended[second:id()])
      assert.is_nil(core.next_news())
    end)

    it("does not name one that was waited for", function()
      local exchange = client:begin_login(MOTOR)
      exchange:wait()
      assert.is_nil(core.next_news())
    end)

    it("counts what is in flight", function()
      standin:call("configure", { answer_delay = 0.05 })
      assert.are.equal(0, core.in_flight())
      local first, second = client:begin_login(MOTOR), client:begin_login(MOTOR)
      assert.are.equal(2, core.in_flight())
      first:wait()
      second:wait()
      assert.are.equal(0, core.in_flight())
    end)

    it("carries on with other exchanges while one is waited for", function()
      standin:call("configure", { answer_delay = 0.05 })
      local first, second = client:begin_login(MOTOR), client:begin_login(MOTOR)
      second:wait()
      local seconds = api.timed(function()
        return first:wait()
      end)
      assert.is_true(seconds < 0.04, tostring(seconds))
    end)

    it("carries 50 exchanges at a time", function()
      local exchanges = {}
      for i = 1, 50 do
        exchanges[i] = client:begin_login(MOTOR)
      end
      local ids, count = {}, 0
      for _, exchange in ipairs(exchanges) do
        exchange:wait()
        local id = assert(exchange:finish()).id
        count, ids[id] = count + (ids[id] and 0 or 1), true
      end
      assert.are.equal(50, count)
    end)

    it("may be stepped where there is nothing to do", function()
      core.step()
      core.step()
      assert.are.equal(0, core.in_flight())
    end)
  end)

  describe("refuses", function()
    it("methods called on something else", function()
      local exchange = client:begin_login(MOTOR)
      for _, wrong in ipairs({ 5, "x", {}, io.stdout, exchange }) do
        assert.is_false((pcall(client.login, wrong, MOTOR)))
        assert.is_false((pcall(client.close, wrong)))
      end
      for _, wrong in ipairs({ 5, "x", {}, io.stdout, client }) do
        for _, name in ipairs({ "wait", "done", "finish", "cancel", "id", "info" }) do
          assert.is_false((pcall(exchange[name], wrong)))
        end
      end
      assert.is_true(exchange:wait())
    end)

    it("to let a script change its metatables", function()
      assert.are_not.equal("table", type(getmetatable(client)))
      assert.is_false((pcall(setmetatable, client, {})))
    end)

    it("a closed client, whatever is begun on it", function()
      client:close()
      client:close()
      for name, argument in pairs({ begin_login = MOTOR, login = MOTOR, begin_logout = "abc", logout = "abc",
        begin_request = { method = "GET", path = "/" }, request = { method = "GET", path = "/" } }) do
        assert.are.equal("the client is closed", api.raised_here(function()
          client[name](client, argument)
        end), name)
      end
    end)

    it("a logout whose id is no string", function()
      assert.are.equal("a session id must be a non-empty string of visible ASCII", api.raised_here(function()
        client:begin_logout(5)
      end))
    end)

    it("a request without method or path", function()
      assert.are.equal("a request needs 'method' and 'path'", api.raised_here(function()
        client:begin_request({ method = "GET" })
      end))
    end)

    it("a request with an unknown field", function()
      assert.are.equal("unknown option 'url'", api.raised_here(function()
        client:begin_request({ url = "x" })
      end))
    end)

    it("paths that cannot stand in a request's line", function()
      for _, path in ipairs({ "", "x", "/a b", "/a\r\nX: 1", "/a#b", "/\195\169", "/\0", "/a\127" }) do
        assert.is_false((pcall(client.begin_request, client, { method = "GET", path = path })), path)
      end
      assert.are.equal(0, core.in_flight())
    end)

    it("ids that are none", function()
      for _, id in ipairs({ "", "a b", "a\n", "\0", "\195\169", "a\127" }) do
        assert.is_false(core.is_session_id(id))
      end
      assert.is_false(core.is_session_id(5))
      assert.is_false(core.is_session_id())
      assert.is_true(core.is_session_id("!~0aZ"))
    end)

    it("a base URL that may not be used, and says why", function()
      local url, why = core.base_url("http://example.com")
      assert.is_nil(url)
      assert.is_truthy(why:find("https", 1, true))
    end)
  end)

  describe("with a collector that runs", function()
    -- LuaJIT would walk its whole memory at every allocation, which takes minutes where a loop is compiled.
    local modes = {
      ["all the time"] = { 0, rawget(_G, "jit") and 1000 or 1000000 }, ["hardly ever"] = { 1000, 40 },
    }
    for name, mode in pairs(modes) do
      it(name .. ", logs in and out", function()
        local pause = collectgarbage("setpause", mode[1])
        local stepmul = collectgarbage("setstepmul", mode[2])
        local filescom = require("filescom")
        local ok, why = pcall(function()
          local own = filescom.new({ base_url = standin.http.base_url })
          for _ = 1, 20 do
            local session = assert(own:login(MOTOR))
            assert(session:request("GET", "/user", { query = { a = { 1, 2 } } }))
            assert(own:logout())
            own:login({ username = "motor", password = "no" })
            client:begin_login(MOTOR)
            standin:call("unlock", { username = "motor" })
          end
        end)
        collectgarbage("setpause", pause)
        collectgarbage("setstepmul", stepmul)
        assert.is_true(ok, tostring(why))
        collectgarbage()
        collectgarbage()
        assert.are.equal(0, core.in_flight())
      end)
    end
  end)

  it("ends cleanly where a script ends with exchanges in flight", function()
    standin:call("configure", { hang = true })
    local told = api.run_lua(([[
      local core = require "filescom.core"
      kept = core.client({ base_url = %q })
      exchange = kept:begin_login({ username = "motor", password = "vroom" })
      io.write(core.in_flight())
    ]]):format(standin.http.base_url))
    assert.are.equal("1", told)
  end)
end)
