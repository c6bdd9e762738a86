-- Calls in the coroutines of an event loop: what holds in each of them, and what each has of its own. Whoever writes an
-- adapter for another loop can have it tried here: see spec/support/loops.lua.
-- Depends on filescom, the stand-in, luv, cqueues and copas.

local api = require("spec.support.api")
local core = require("filescom.core")
local filescom = require("filescom")
local loops = require("spec.support.loops")
local socket = require("socket")
local support = require("spec.support.standin")
local waits = require("filescom.loop")

local MOTOR = api.MOTOR
local close = rawget(coroutine, "close")
local NAMES = { "luv", "cqueues", "copas", "own" }

describe("a call in an event loop", function()
  local standin
  local silent, silent_url -- accepts connections and says nothing

  setup(function()
    standin = support.start({ "http" })
    silent = assert(socket.bind("127.0.0.1", 0))
    silent_url = "http://127.0.0.1:" .. select(2, silent:getsockname())
  end)

  teardown(function()
    standin:stop()
    silent:close()
  end)

  before_each(function()
    standin:reset()
  end)

  local function client_in(loop, options)
    options = options or {}
    options.base_url = options.base_url or standin.http.base_url
    options.loop = loop and loop.adapter
    return filescom.new(options)
  end

  -- Runs functions in coroutines of a loop to their end, and returns what each returned.
  local function run(loop, ...)
    local results = {}
    for i, f in ipairs({ ... }) do
      loop.start(function()
        results[i] = { f() }
      end)
    end
    loop.run()
    return results
  end

  -- What is left when all is done: nothing, in flight, noted down or watched.
  local function assert_nothing_left(loop)
    assert.are.equal(0, core.in_flight())
    assert.are.equal(0, waits.waiting())
    assert.is_true(loop.is_idle())
  end

  for _, name in ipairs(NAMES) do
    describe("by " .. name, function()
      local loop

      before_each(function()
        loop = loops[name]()
      end)

      it("waits along with a crowd of others, and each gets its own answer", function()
        standin:call("configure", { answer_delay = 0.1 })
        local client = client_in(loop)
        local ids, count, most = {}, 0, 0
        for _ = 1, 60 do
          loop.start(function()
            local session = assert(client:login(MOTOR))
            assert(session:request("GET", "/user"))
            ids[session.id] = true
            count = count + 1
            assert(session:logout())
          end)
          most = math.max(most, core.in_flight())
        end
        loop.run()
        assert.is_true(most > 15, most)
        assert.are.equal(60, count)
        local distinct = 0
        for _ in pairs(ids) do
          distinct = distinct + 1
        end
        assert.are.equal(60, distinct)
        assert.are.same({}, standin:call("sessions"))
        assert_nothing_left(loop)
      end)

      it("gives all who ask a keeper at once the session of one login", function()
        standin:call("configure", { answer_delay = 0.05 })
        local client = client_in(loop)
        local function credentials()
          return MOTOR
        end
        -- Copas 1 has no clock to wait by.
        local clock = not loop.adapter.sleep and { sleep = loop.sleep } or nil
        local keeper = filescom.keeper({ credentials = credentials, client = client, clock = clock })
        local function ask()
          return assert(keeper:session()).id
        end
        local results = run(loop, ask, ask, ask)
        assert.is_string(results[1][1])
        assert.are.equal(results[1][1], results[2][1])
        assert.are.equal(results[1][1], results[3][1])
        assert.are.equal(1, #standin:call("sessions"))
        assert_nothing_left(loop)
      end)

      it("lets the loop's other coroutines go on", function()
        standin:call("configure", { answer_delay = 0.15 })
        local client, done, turns = client_in(loop), false, 0
        run(loop, function()
          assert(client:login(MOTOR))
          done = true
        end, function()
          while not done do
            loop.sleep(0.01)
            turns = turns + 1
          end
        end)
        assert.is_true(turns >= 3, turns)
      end)

      it("polls nothing while it waits", function()
        standin:call("configure", { answer_delay = 0.25 })
        local client, steps, step = client_in(loop), 0, core.step
        core.step = function() -- luacheck: ignore
          steps = steps + 1
          return step()
        end
        local ok, why = pcall(run, loop, function()
          return client:login(MOTOR)
        end)
        core.step = step -- luacheck: ignore
        assert(ok, why)
        assert.is_true(steps > 0 and steps < 15, steps)
      end)

      it("keeps its time limit", function()
        local client = client_in(loop, { base_url = silent_url, timeout = 0.2 })
        local seconds, results = api.timed(function()
          return run(loop, function()
            return client:login(MOTOR)
          end)
        end)
        assert.are.equal("network/timeout", results[1][2].type)
        assert.is_true(seconds >= 0.19, seconds)
        assert_nothing_left(loop)
      end)

      it("is tried again after its pause where nothing was sent", function()
        local client = client_in(loop, { base_url = "http://127.0.0.1:" .. api.closed_port(), retries = 1 })
        local results = run(loop, function()
          return client:login(MOTOR)
        end)
        assert.are.equal("network/connect", results[1][2].type)
        assert_nothing_left(loop)
      end)

      it("fails as a blocking one does", function()
        local function refused(client)
          local session, err = client:login({ username = "motor", password = "wrong" })
          return session, err.type, err.status, err.message
        end
        local results = run(loop, function()
          return refused(client_in(loop))
        end)
        assert.are.same({ refused(client_in(nil)) }, results[1])
      end)

      it("tells a mistake at the caller's place", function()
        local client = client_in(loop)
        local results = run(loop, function()
          return api.raised_here(function()
            client:login({ username = 1 })
          end)
        end)
        assert.is_truthy(results[1][1]:find("username", 1, true))
      end)

      it("leaves a trace where the client has one", function()
        local lines = {}
        local client = client_in(loop, {
          debug = function(line)
            lines[#lines + 1] = line
          end,
        })
        run(loop, function()
          assert(client:login(MOTOR))
        end)
        assert.are.equal(3, #lines)
      end)

      it("answers a second factor by a get_code that yields", function()
        local client = client_in(loop)
        local function get_code()
          loop.sleep(0.01)
          return standin:code("tess")
        end
        local results = run(loop, function()
          return client:login_with_otp({ username = "tess", password = "tick-tock" }, get_code)
        end)
        assert.is_string(results[1][1].id)
      end)

      it("that logs out without a session ends its own coroutine's login", function()
        local client = client_in(loop)
        local function log_in_and_out(before, after)
          return function()
            loop.sleep(before)
            local session = assert(client:login(MOTOR))
            loop.sleep(after)
            assert(client:logout())
            return session:logout()
          end
        end
        local results = run(loop, log_in_and_out(0.01, 0.1), log_in_and_out(0.04, 0.01), function()
          return client:logout()
        end)
        for i = 1, 3 do
          assert.are.equal("session/none", results[i][2].type)
        end
        assert.are.same({}, standin:call("sessions"))
      end)

      it("leaves the main program's calls to block, whatever is in flight", function()
        standin:call("configure", { answer_delay = 0.1 })
        local client, session = client_in(loop), nil
        loop.start(function()
          session = assert(client:login(MOTOR))
        end)
        local own = assert(client:login(MOTOR))
        assert(client:logout())
        assert.is_nil(session)
        local seconds = api.timed(loop.run) -- what ended meanwhile has nothing to wait for
        assert.are_not.equal(own.id, session.id)
        assert.is_true(seconds < 5, seconds)
        assert_nothing_left(loop)
      end)

      it("blocks where the client has no loop", function()
        local results = run(loop, function()
          local session = assert(client_in(nil):login(MOTOR))
          return core.in_flight(), session:logout()
        end)
        assert.are.equal(204, results[1][2].status)
      end)

      if close then
        it("is cancelled at once where its coroutine is closed", function()
          local client = client_in(loop, { base_url = silent_url })
          local thread = loop.start(function()
            client:login(MOTOR)
          end)
          assert.are.equal(1, core.in_flight())
          assert.is_true(close(thread))
          assert.are.equal(0, core.in_flight())
          assert.are.equal(0, waits.waiting())
          -- A controller waits for ever for a coroutine that was closed behind its back.
          assert.is_true(name == "cqueues" or loop.is_idle())
        end)

        it("logs out where a block with a session <close> is left, and yields meanwhile", function()
          local client = client_in(loop)
          local block = assert(load("local client, credentials = ... " ..
            "local session <close> = assert(client:login(credentials)) return session"))
          local results = run(loop, function()
            local session = block(client, MOTOR)
            return session:logout()
          end)
          assert.are.equal("session/none", results[1][2].type)
          assert.are.same({}, standin:call("sessions"))
        end)

        if name ~= "cqueues" then
          it("logs out, blocking, where a coroutine that holds a session <close> is closed", function()
            local client = client_in(loop)
            local waiting = false
            local block = assert(load("local client, credentials, wait = ... " ..
              "local session <close> = assert(client:login(credentials)) wait()"))
            local thread = loop.start(function()
              block(client, MOTOR, function()
                waiting = true
                client_in(loop, { base_url = silent_url }):login(MOTOR)
              end)
            end)
            run(loop, function()
              while not waiting do
                loop.sleep(0.01)
              end
              assert(close(thread))
            end)
            assert.are.same({}, standin:call("sessions"))
            assert_nothing_left(loop)
          end)
        end
      end
    end)
  end

  -- ---- what one loop has of its own -------------------------------------------------------------------------------

  describe("by cqueues", function()
    local cqueues = require("cqueues")
    local adapter = require("filescom.loop.cqueues")

    it("goes with a controller that is dropped", function()
      local client = client_in({ adapter = adapter }, { base_url = silent_url })
      local controller = cqueues.new()
      controller:wrap(function()
        client:login(MOTOR)
      end)
      assert(controller:step(0))
      assert.are.equal(1, core.in_flight())
      controller = nil -- luacheck: ignore
      for _ = 1, 4 do
        collectgarbage()
      end
      assert.are.equal(0, core.in_flight())
    end)

    it("waits in any number of controllers, run in turn or one inside another", function()
      standin:call("configure", { answer_delay = 0.05 })
      local client, count = client_in({ adapter = adapter }), 0
      local function log_in_and_out()
        local session = assert(client:login(MOTOR))
        assert(session:logout())
        count = count + 1
      end
      local first, second, inner = cqueues.new(), cqueues.new(), cqueues.new()
      for _, controller in ipairs({ first, second, inner }) do
        for _ = 1, 3 do
          controller:wrap(log_in_and_out)
        end
      end
      first:wrap(function()
        assert(inner:loop())
      end)
      while not (first:empty() and second:empty()) do
        assert(first:step(0.01))
        assert(second:step(0.01))
      end
      assert.are.equal(9, count)
      assert.are.equal(0, waits.waiting())
    end)

    it("blocks in a coroutine that the controller does not know, and yields in it nothing", function()
      local client, controller, yielded = client_in({ adapter = adapter }), cqueues.new(), {}
      controller:wrap(function()
        for session in coroutine.wrap(function()
          for _ = 1, 2 do
            coroutine.yield(assert(client:login(MOTOR)))
          end
        end) do
          yielded[#yielded + 1] = session.id
        end
      end)
      assert(controller:loop())
      assert.are.equal(2, #yielded)
    end)
  end)

  it("waits in several loops of different kinds at once", function()
    standin:call("configure", { answer_delay = 0.05 })
    local count = 0
    local all = {}
    for i, name in ipairs(NAMES) do
      all[i] = loops[name]()
      local client = client_in(all[i])
      for _ = 1, 3 do
        all[i].start(function()
          assert(client:login(MOTOR))
          assert(client:logout())
          count = count + 1
        end)
      end
    end
    for _, loop in ipairs(all) do
      loop.run()
    end
    assert.are.equal(3 * #NAMES, count)
    for _, loop in ipairs(all) do
      assert_nothing_left(loop)
    end
  end)

  -- An adapter as bare as can be: whoever runs it calls `turn`.
  local function bare()
    local adapter = { step = false, resumed = 0 }
    function adapter.running()
      return adapter
    end
    adapter.suspend = coroutine.yield
    function adapter.resume(thread)
      adapter.resumed = adapter.resumed + 1
      local ok, why = coroutine.resume(thread)
      if not ok then
        error(why, 0)
      end
    end
    function adapter.watch(_, _, step)
      adapter.step = step
      return function()
        adapter.step = false
      end
    end
    return adapter
  end

  it("goes on waiting where its coroutine is resumed too early", function()
    standin:call("configure", { answer_delay = 0.05 })
    local adapter, session = bare(), nil
    local client = client_in({ adapter = adapter })
    local thread = coroutine.create(function()
      session = assert(client:login(MOTOR))
    end)
    for _ = 1, 5 do
      assert(coroutine.resume(thread))
    end
    assert.is_nil(session)
    while adapter.step do
      adapter.step()
    end
    assert.is_table(session)
    assert.are.equal(1, adapter.resumed)
  end)

  it("is resumed even where another's coroutine raises an error, which comes out of the step", function()
    standin:call("configure", { answer_delay = 0.05 })
    local adapter, ended, raised = bare(), 0, 0
    local client = client_in({ adapter = adapter })
    for i = 1, 4 do
      assert(coroutine.resume(coroutine.create(function()
        client:login(MOTOR)
        ended = ended + 1
        if i % 2 == 1 then
          error("odd")
        end
      end)))
    end
    while adapter.step do
      local ok, why = pcall(adapter.step)
      if not ok then
        raised = raised + 1
        assert.is_truthy(why:find("odd", 1, true))
      end
    end
    assert.are.equal(4, ended)
    assert.is_true(raised > 0)
    assert.are.equal(0, waits.waiting())
  end)

  it("shows an error in a coroutine of luv's with its traceback", function()
    local said = api.run_lua(([[
      local filescom = require "filescom"
      local client = filescom.new { base_url = %q, loop = require "filescom.loop.luv" }
      local function fails() error("this is wrong") end
      coroutine.wrap(function () client:login { username = "motor", password = "vroom" } fails() end)()
      require("luv").run()
    ]]):format(standin.http.base_url))
    assert.is_truthy(said:find("this is wrong", 1, true), said)
    assert.is_truthy(said:find("fails", 1, true), said)
    assert.is_nil(said:find("vroom", 1, true))
  end)

  if _VERSION == "Lua 5.1" and not rawget(_G, "jit") then
    for _, name in ipairs({ "luv", "copas" }) do
      it("yields across coxpcall's pcall, by " .. name, function()
        local loop, coxpcall = loops[name](), require("coxpcall")
        local client = client_in(loop)
        local results = run(loop, function()
          return coxpcall.pcall(function()
            assert(client:login(MOTOR))
            error("after all", 0)
          end)
        end, function()
          local _, session = coxpcall.pcall(client.login, client, MOTOR)
          return client:logout(), session
        end)
        assert.is_truthy(results[1][2]:find("after all", 1, true))
        assert.are.equal(204, results[2][1].status)
      end)
    end
  end

  it("refuses a keeper in a loop that does not tell how to wait, before it blocks the loop", function()
    local adapter = { running = print, suspend = print, resume = print, watch = print }
    local why = api.raised_here(function()
      filescom.keeper({ credentials = print, client = filescom.new({ loop = adapter }) })
    end)
    assert.is_truthy(why:find("needs option 'clock' with 'sleep'", 1, true), why)
  end)

  it("has its turns while a source has nothing yet", function()
    local loop, turns, calls = loops.luv(), 0, 0
    local session = client_in(loop):session(assert(client_in(nil):login(MOTOR)))
    loop.start(function()
      session:request("POST", "/user", {
        size = 1,
        source = function()
          calls = calls + 1
          return turns < 3 and calls < 100000 and "" or "x"
        end,
      })
    end)
    loop.start(function()
      for _ = 1, 3 do
        loop.sleep(0.01)
        turns = turns + 1
      end
    end)
    loop.run()
    assert.is_true(calls < 1000, calls)
    assert_nothing_left(loop)
  end)

  if close then
    it("frees a keeper's lock where the coroutine that logs in is closed", function()
      local loop, store = loops.luv(), filescom.store.memory()
      local keeper = filescom.keeper({
        credentials = function()
          return MOTOR
        end,
        store = store,
        client = client_in(loop, { base_url = silent_url }),
      })
      local thread = loop.start(function()
        keeper:session()
      end)
      assert.is_false(store:lock("default", "another's", 1))
      assert.is_true(close(thread))
      assert.is_true(store:lock("default", "another's", 1))
      assert_nothing_left(loop)
    end)

    it("is cancelled at once where its coroutine is closed in a source that yields", function()
      local loop, is_asked = loops.luv(), false
      local session = assert(client_in(nil):login(MOTOR))
      session = client_in(loop):session(session)
      local thread = loop.start(function()
        session:request("POST", "/user", {
          size = 10,
          source = function()
            is_asked = true
            coroutine.yield()
          end,
        })
      end)
      local deadline = socket.gettime() + 5
      while not is_asked and socket.gettime() < deadline do
        require("luv").run("nowait")
      end
      assert.is_true(is_asked)
      collectgarbage("stop")
      local closed, in_flight = close(thread), core.in_flight()
      collectgarbage("restart")
      assert.is_true(closed)
      assert.are.equal(0, in_flight)
    end)
  end

  -- ---- the option -------------------------------------------------------------------------------------------------

  it("is for the default client by configure", function()
    standin:call("configure", { answer_delay = 0.05 })
    local loop, session = loops.luv(), nil
    filescom.configure({ base_url = standin.http.base_url, loop = loop.adapter })
    loop.start(function()
      session = assert(filescom.login(MOTOR))
      assert(filescom.logout())
    end)
    assert.is_nil(session)
    loop.run()
    assert.is_table(session)
  end)

  for what, case in pairs({
    ["a name"] = { "luv", "option 'loop' must be a table of functions, .*, got string" },
    ["a table without functions"] = { {}, "option 'loop' must have a function 'running', got nil" },
    ["a waiter that is no function"] = {
      { running = print, suspend = print, resume = print, watch = print, waiter = 1 },
      "option 'loop' must have a function as its 'waiter', got number",
    },
  }) do
    it("is not for " .. what .. " as the loop, and says so", function()
      local why = api.raised_here(function()
        filescom.new({ loop = case[1] })
      end)
      assert.is_truthy(why:find(case[2]), why)
    end)
  end

  it("costs a program nothing that has no loop: no part of it is loaded", function()
    local said = api.run_lua([[
      local filescom = require "filescom"
      filescom.new {}
      for name in pairs(package.loaded) do if name:find("loop", 1, true) then print(name) end end
    ]])
    assert.are.equal("", said)
  end)

  for _, name in ipairs({ "luv", "cqueues", "copas" }) do
    it("is what the example of " .. name .. " makes for each user of a file", function()
      local users = api.write(("motor vroom\n"):rep(4) .. "motor wrong\n")
      local path = package.path .. ";/usr/share/lua/5.1/?.lua" -- for Copas; see spec/support/loops.lua
      local settings = ("LUA_PATH='%s' FILES_USERS=%s FILES_BASE_URL=%s"):format(path, users, standin.http.base_url)
      local said = api.output_of(("%s %s examples/loops/%s.lua 2>&1"):format(settings, api.quoted(api.interpreter()),
        name))
      os.remove(users)
      assert.is_truthy(said:find("4 of 5 users logged in", 1, true), said)
      assert.is_truthy(said:find("motor: ", 1, true), said)
      assert.are.same({}, standin:call("sessions"))
    end)
  end

  it("is refused by copas where select cannot watch a descriptor so high", function()
    loops.copas()
    local ok, why = pcall(require("filescom.loop.copas").watch, nil, 100000, print)
    assert.is_false(ok)
    assert.is_truthy(why:find("100000", 1, true))
  end)
end)
