-- Signals, processes, threads and descriptors: what a process may go through while it waits for the service.
-- Each case is a process of its own. Depends on filescom, the stand-in, make, a C compiler and POSIX; what Lua
-- cannot do itself is in spec/allocation/signals.c and threads.c.

local api = require("spec.support.api")
local socket = require("socket")
local support = require("spec.support.standin")

local IS_LUAJIT = rawget(_G, "jit") ~= nil
local ABI = IS_LUAJIT and "5.1" or _VERSION:match("%d%.%d")
local unpack = unpack or table.unpack -- luacheck: ignore 113 143

local PROLOGUE = [[
  package.cpath = %q .. ";" .. package.cpath
  local signals = require("signals")
  local filescom, core = require("filescom"), require("filescom.core")
  local gettime = require("socket").gettime
  local BASE, TLS_BASE, CA_FILE = %q, %q, %q
  local MOTOR = { username = "motor", password = "vroom" }
  local function new(options)
    options = options or {}
    options.base_url = options.base_url or BASE
    return filescom.new(options)
  end
]]

local function make(goal)
  local output = api.output_of("make -s -f spec/allocation/Makefile " .. goal .. " 2>&1 || echo failed")
  assert.are.equal("", output)
end

describe("a process", function()
  local standin, listeners

  setup(function()
    standin = support.start({ "http", "https" })
    make("signals-" .. ABI)
  end)

  teardown(function()
    standin:stop()
  end)

  before_each(function()
    standin:reset()
    listeners = {}
  end)

  after_each(function()
    for _, listener in ipairs(listeners) do
      standin:call("unlisten", { listener = listener.id })
    end
  end)

  local function listen(scheme)
    local listener = standin:listen({ scheme = scheme })
    listeners[#listeners + 1] = listener
    return listener
  end

  local function script_of(code)
    return api.write(PROLOGUE:format("build/spec/allocation/" .. ABI .. "/?.so", standin.http.base_url,
      standin.https.base_url, standin.ca_file) .. code)
  end

  -- Runs Lua that must print "well", and end by itself.
  local function assert_runs_well(code, environment)
    local path = script_of(code)
    local text = api.output_of(("%s timeout 60 %s %s 2>&1; echo \" status $?\""):format(environment or "",
      api.quoted(api.interpreter()), path))
    os.remove(path)
    assert.are.equal("well\n status 0", text)
  end

  describe("to which a signal comes every 10 ms", function()
    before_each(function()
      standin:call("configure", { answer_delay = 0.4 })
    end)

    it("waits for a slow answer to the end", function()
      assert_runs_well([[
        signals.timer(10)
        local from = gettime()
        assert(new():login(MOTOR))
        local took = gettime() - from
        assert(took >= 0.35 and took < 5, took)
        assert(signals.count() >= 10, signals.count())
        print("well")
      ]])
    end)

    it("waits for a slow answer over TLS and by a name to the end", function()
      assert_runs_well([[
        signals.timer(10)
        assert(new({ base_url = TLS_BASE:gsub("127.0.0.1", "localhost"), ca_file = CA_FILE }):login(MOTOR))
        print("well")
      ]])
    end)

    it("waits no longer for an exchange than it was told to", function()
      assert_runs_well([[
        signals.timer(10)
        local exchange = core.client({ base_url = BASE }):begin_login(MOTOR)
        local from = gettime()
        local done = exchange:wait(0.1)
        assert(not done, "the wait went on to the exchange's own end: " .. gettime() - from .. " s")
        print("well")
      ]])
    end)

    it("sleeps as long as it was told to", function()
      assert_runs_well([[
        signals.timer(10)
        local from = gettime()
        core.sleep(0.2)
        assert(gettime() - from >= 0.19, gettime() - from)
        assert(signals.count() >= 5, signals.count())
        print("well")
      ]])
    end)

    it("may run a hook that raises while it sleeps", function()
      assert_runs_well([[
        signals.timer(10)
        debug.sethook(function()
          if signals.count() >= 5 then
            debug.sethook()
            error("from the hook", 0)
          end
        end, "", 1)
        local from = gettime()
        local ok, why = pcall(function() while true do core.sleep(20) end end)
        assert(not ok and why == "from the hook" and gettime() - from < 15, why)
        print("well")
      ]])
    end)

    it("obeys the client's timeout", function()
      standin:call("configure", { hang = true })
      assert_runs_well([[
        signals.timer(10)
        local from = gettime()
        local _, err = new({ timeout = 0.3 }):login(MOTOR)
        assert(err.type == "network/timeout" and gettime() - from < 3)
        print("well")
      ]])
    end)

    it("may run a hook meanwhile that raises, and the exchange can be waited for still", function()
      assert_runs_well([[
        signals.timer(10)
        local exchange = core.client({ base_url = BASE }):begin_login(MOTOR)
        local ok, why = pcall(function()
          debug.sethook(function()
            if signals.count() >= 5 then
              debug.sethook()
              error("from the hook", 0)
            end
          end, "", 1)
          while true do exchange:wait() end
        end)
        debug.sethook()
        assert(not ok and why == "from the hook", why)
        assert(exchange:wait() and exchange:finish().id)
        print("well")
      ]])
    end)

    for _, verb in ipairs({ "cancel", "finish" }) do
      it("may run a hook meanwhile that does a " .. verb .. " of the exchange it waits for", function()
        assert_runs_well(([[
          signals.timer(10)
          local exchange = core.client({ base_url = BASE }):begin_login(MOTOR)
          local wait, verb = exchange.wait, exchange[%q]
          local function hook()
            if signals.count() >= 5 then
              debug.sethook()
              pcall(verb, exchange)
            end
          end
          debug.sethook(hook, "", 1)
          local ok, why = pcall(wait, exchange)
          debug.sethook()
          assert(ok or why:find("the exchange is closed", 1, true), why)
          print("well")
        ]]):format(verb))
      end)
    end
  end)

  it("whose children end while it waits is not disturbed", function()
    standin:call("configure", { answer_delay = 0.3 })
    assert_runs_well([[
      signals.children(10, 20)
      assert(new():login(MOTOR))
      assert(signals.count() > 0)
      print("well")
    ]])
  end)

  it("that is stopped and goes on is not disturbed", function()
    standin:call("configure", { answer_delay = 0.4 })
    assert_runs_well([[
      os.execute("(sleep 0.1; kill -STOP $PPID; sleep 0.1; kill -CONT $PPID) &")
      local from = gettime()
      assert(new():login(MOTOR))
      assert(gettime() - from >= 0.15)
      print("well")
    ]])
  end)

  describe("to which SIGPIPE is deadly", function()
    local SENDING = [[
      signals.default_pipe()
      local client = new({ base_url = %q, ca_file = CA_FILE, timeout = 10 })
      local session = client:session("0123456789abcdef")
      for _ = 1, 3 do
        local answer, err = session:request("POST", "/files/x", { body = ("x"):rep(2000000) })
        assert(answer == nil and err.type:find("^network/"), tostring(err))
      end
      print("well")
    ]]

    for _, scheme in ipairs({ "http", "https" }) do
      for _, ending in ipairs({ "close", "reset", "shutdown" }) do
        it(("lives where the service does a %s while it sends over %s"):format(ending, scheme), function()
          local listener = listen(scheme)
          local steps = { { read = "head" }, { read = 1000 }, { [ending] = true } }
          local scripts = {}
          for i = 1, 20 do
            scripts[i] = steps
          end
          standin:script(listener, unpack(scripts))
          assert_runs_well(SENDING:format(listener.base_url))
        end)
      end

      it("lives where a kept connection over " .. scheme .. " was closed or reset while idle", function()
        local listener = listen(scheme)
        standin:script(listener, { { service = 1 }, { reset = true } }, { { service = 1 }, { close = true } })
        assert_runs_well(([[
          signals.default_pipe()
          local client = new({ base_url = %q, ca_file = CA_FILE })
          for _ = 1, 3 do
            assert(client:login(MOTOR))
            require("socket").sleep(0.1)
          end
          client:close()
          print("well")
        ]]):format(listener.base_url))
      end)
    end
  end)

  describe("that has no descriptors left", function()
    -- With 0 to 15 further descriptors: nil and an error or an error that tells of it, and all is well with more.
    local SCARCE = [[
      local before = ...
      for further = 0, 15 do
        local client = new({ base_url = %s, ca_file = CA_FILE, retries = 0, timeout = 5 })
        if before then core.descriptor() end
        signals.limit_files(further)
        local from = gettime()
        local ok, session, err = pcall(client.login, client, MOTOR)
        local took = gettime() - from
        signals.limit_files(-1)
        assert(took < 3, "it took " .. took .. " s with " .. further)
        if ok and not session then
          assert(err.type:find("^network/"), err.type)
        elseif not ok then
          assert(session:find("memory", 1, true) or session:find("descriptor", 1, true), session)
        end
        assert(client:logout(assert(client:login(MOTOR))))
      end
      assert(core.in_flight() == 0)
      print("well")
    ]]

    it("is told so, and goes on when there are some again", function()
      assert_runs_well(SCARCE:format("BASE"))
    end)

    it("is told so over TLS and by a name, and goes on when there are some again", function()
      assert_runs_well(SCARCE:format('(TLS_BASE:gsub("127.0.0.1", "localhost"))'))
    end)

    it("is told so before the engine was made, and goes on when there are some again", function()
      assert_runs_well([[
        local reached, refused = false, false
        for further = 0, 8 do
          signals.limit_files(further)
          local ok, why = pcall(core.client, { base_url = BASE })
          if ok then core.relay_path() end
          signals.limit_files(-1)
          reached, refused = reached or ok, refused or not ok
          assert(ok or why == "no file descriptor is left", why)
        end
        assert(refused)
        assert(reached)
        assert(core.relay_path())
        assert(new():login(MOTOR))
        print("well")
      ]])
    end)
  end)

  describe("of the lua interpreter, at Ctrl-C", function()
    -- Starts a script whose login is never answered, sends SIGINT, and returns what it said and how long it took.
    local function interrupted(code)
      standin:call("configure", { hang = true })
      local path = script_of('io.write(io.open("/proc/self/stat"):read("*l"), "\\n") io.stdout:flush()\n' .. code)
      local pipe = io.popen(("%s %s 2>&1; echo \"status $?\""):format(api.quoted(api.interpreter()), path))
      local pid = pipe:read("*l"):match("^%d+")
      local deadline = socket.gettime() + 10
      while #standin:log() == 0 and socket.gettime() < deadline do
        socket.sleep(0.02)
      end
      socket.sleep(0.1)
      local from = socket.gettime()
      os.execute("kill -INT " .. pid)
      local text = pipe:read("*a")
      pipe:close()
      os.remove(path)
      return text, socket.gettime() - from
    end

    for what, code in pairs({
      ["a login"] = "new():login(MOTOR)",
      ["a login by a name"] = "new({ base_url = BASE:gsub('127.0.0.1', 'localhost') }):login(MOTOR)",
      ["a login that is traced"] = "new({ debug = function() end }):login(MOTOR)",
      ["a wait for an exchange"] = "core.client({ base_url = BASE }):begin_login(MOTOR):wait(30)",
    }) do
      it(what .. " ends at once, by Lua's own error", function()
        local text, took = interrupted(code)
        assert.is_truthy(text:find("interrupted!", 1, true), text)
        assert.is_truthy(text:find("status 1", 1, true), text)
        assert.is_true(took < 10, took .. " s")
      end)
    end
  end)

  describe("for which a hook was left just before it began to wait", function()
    for what, code in pairs({
      ["a login"] = "new():login(MOTOR)",
      ["a wait for an exchange"] = "core.client({ base_url = BASE }):begin_login(MOTOR):wait(30)",
    }) do
      it("runs it within " .. what, function()
        standin:call("configure", { hang = true })
        assert_runs_well(([[
          signals.hook_later(100)
          local from = gettime()
          local ok, why = pcall(function() %s end)
          assert(not ok and why:find("stopped by a hook", 1, true), tostring(why))
          assert(gettime() - from < 5, gettime() - from)
          print("well")
        ]]):format(code))
      end)
    end
  end)

  describe("that forks after use", function()
    it("has a child with a connection of its own, and keeps its own", function()
      assert_runs_well([[
        local client = new()
        assert(client:login(MOTOR))
        local child = signals.fork()
        if child == 0 then
          local ok = pcall(function() assert(client:logout(assert(client:login(MOTOR)))) end)
          os.exit(ok and 7 or 1, true)
        end
        assert(signals.wait(child) == 7)
        assert(client:logout(assert(client:login(MOTOR))))
        print("well")
      ]])
      local connections = {}
      for _, entry in ipairs(standin:log()) do
        connections[#connections + 1] = entry.connection
      end
      assert.are.equal(5, #connections)
      assert.are_not.equal(connections[1], connections[2])
      assert.are.equal(connections[2], connections[3])
      assert.are.equal(connections[1], connections[4])
    end)

    it("over TLS has a child with a connection of its own, and keeps its own", function()
      assert_runs_well([[
        local client = new({ base_url = TLS_BASE, ca_file = CA_FILE })
        assert(client:login(MOTOR))
        for _ = 1, 3 do
          local child = signals.fork()
          if child == 0 then
            local ok = pcall(function() assert(client:logout(assert(client:login(MOTOR)))) end)
            os.exit(ok and 7 or 1, true)
          end
          assert(signals.wait(child) == 7)
          assert(client:logout(assert(client:login(MOTOR))))
        end
        print("well")
      ]])
    end)

    it("while an exchange is in flight ends it in the child, and finishes it itself", function()
      standin:call("configure", { answer_delay = 0.2 })
      assert_runs_well([[
        local exchange = core.client({ base_url = BASE }):begin_login(MOTOR)
        exchange:wait(0.05)
        local child = signals.fork()
        if child == 0 then
          local ok = pcall(function()
            exchange:wait()
            local _, failure = exchange:finish()
            assert(failure.type == "network/interrupted")
            assert(core.in_flight() == 0)
          end)
          os.exit(ok and 7 or 1, true)
        end
        assert(signals.wait(child) == 7)
        exchange:wait()
        assert(exchange:finish().id)
        print("well")
      ]])
    end)

    it("with a relay has a child that may start its own", function()
      assert_runs_well([[
        local path = core.relay_path()
        local child = signals.fork()
        if child == 0 then
          local ok = pcall(function()
            assert(core.relay_path())
            assert(new():login(MOTOR))
          end)
          os.exit(ok and 7 or 1, true)
        end
        assert(signals.wait(child) == 7)
        assert(core.relay_path() == path)
        print("well")
      ]])
    end)

    it("has a child that ends without a word, and goes on", function()
      assert_runs_well([[
        local client = new()
        assert(client:login(MOTOR))
        local child = signals.fork()
        if child == 0 then os.exit(7, true) end
        assert(signals.wait(child) == 7)
        assert(client:logout())
        print("well")
      ]])
      local log = standin:log()
      assert.are.equal(log[1].connection, log[2].connection)
    end)
  end)

  it("is told over its relay that an answer came, by one reader after another", function()
    assert_runs_well([[
      local unix = require("socket.unix")
      local path = core.relay_path()
      for _ = 1, 3 do
        local reader = assert((unix.stream or unix)())
        assert(reader:connect(path))
        reader:settimeout(5)
        local client = core.client({ base_url = BASE })
        local exchange = client:begin_login(MOTOR)
        while not exchange:done() do
          assert(reader:receive(1))
          while core.step() do end
          core.rearm_relay()
        end
        assert(core.next_news() == exchange:id())
        assert(exchange:finish().id)
        reader:close()
      end
      assert(core.relay_path() == path)
      print("well")
    ]])
  end)

  it("lets no other process read from its relay", function()
    assert_runs_well([[
      local unix = require("socket.unix")
      local number = core.relay_path():match("%d+$")
      local own = io.open("/proc/self/stat"):read("*l"):match("^%d+")
      local child = signals.fork()
      if child == 0 then
        local reader = (unix.stream or unix)()
        local connected = reader:connect("/proc/" .. own .. "/fd/" .. number)
        reader:settimeout(2)
        local byte, why = reader:receive(1)
        signals.exit((not connected or byte == nil and why == "closed") and 7 or 1)
      end
      assert(signals.wait(child) == 7)
      print("well")
    ]])
  end)

  if _VERSION == "Lua 5.4" then
    it("with Lua states in eight threads logs in and out in all of them", function()
      make("threads")
      for _, listener in ipairs({ standin.http, standin.https }) do
        assert.are.equal("80 pairs, 0 failures", api.output_of(
          ("LUA_PATH='lua/?.lua;;' timeout 100 build/spec/allocation/threads '%s' '%s' 8 10 2>&1"):format(
            listener.base_url, standin.ca_file)))
      end
    end)
  end
end)
