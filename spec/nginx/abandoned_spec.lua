-- Work that nginx kills, or that nobody wants any more: its exchange is cancelled, and others go on.
-- Depends on nginx, the stand-in and cqueues.

local cqueues = require("cqueues")
local nginx = require("spec.support.nginx")
local support = require("spec.support.standin")

local LOCATIONS = {
  -- Kills a light thread that logs in, and stays for a while.
  ["= /kill"] = [[
    local thread = ngx.thread.spawn(logged_in)
    ngx.sleep(0.3)
    ngx.thread.kill(thread)
    ngx.say("killed")
    ngx.flush(true)
    ngx.sleep(1.5)
  ]],
  -- Ends the request in a light thread while another logs in.
  ["= /exit"] = [[
    ngx.thread.spawn(logged_in)
    ngx.thread.spawn(function() ngx.sleep(0.3) ngx.exit(204) end)
  ]],
  ["= /both"] = [[
    local doomed, other = ngx.thread.spawn(logged_in), ngx.thread.spawn(logged_in)
    ngx.sleep(0.3)
    ngx.thread.kill(doomed)
    local _, told = ngx.thread.wait(other)
    ngx.say(told)
  ]],
  ["= /first"] = [[
    local function soon() ngx.sleep(0.2) return "soon" end
    local _, told = ngx.thread.wait(ngx.thread.spawn(logged_in), ngx.thread.spawn(soon))
    ngx.say(told)
    ngx.exit(200)
  ]],
  ["= /pausing"] = [[
    local client = filescom.new { base_url = "http://127.0.0.1:1", retries = 50, timeout = 60 }
    client:login(MOTOR)
  ]],
  ["= /hung_timer"] = 'ngx.timer.at(0, function() timer_told = logged_in() end) ngx.say("begun")',
}

describe("nginx: abandoned work,", function()
  local standin, server

  setup(function()
    standin = support.start({ "http" })
    server = nginx.start({
      base_url = standin.http.base_url,
      options = "timeout = 20, max_in_flight = 2000",
      server = "lua_check_client_abort on;",
      locations = LOCATIONS,
    })
  end)

  teardown(function()
    server:stop()
    standin:stop()
  end)

  before_each(function()
    standin:reset()
    standin:close_connections(standin.http)
  end)

  -- Waits until so many connections to the service are open, and nothing more is in flight than those.
  local function only_left(count)
    return select(2, nginx.eventually(count .. " connections are left", 1.5, function()
      local counts = server:counts()
      return (standin:connections(standin.http)) == count and counts.in_flight == count and counts.waiting == count
    end))
  end

  it("where the client goes away, is cancelled within about a second, and its connection is closed", function()
    standin:call("configure", { hang = true })
    server:crowd(20, "/login", { leave_after = 0.3 })
    only_left(0)
  end)

  it("lets others go on, which wait for the same service", function()
    standin:call("configure", { answer_delay = 0.8 })
    local stayed = {}
    local functions = {}
    for i = 1, 10 do
      functions[#functions + 1] = function()
        stayed[i] = server:get("/login")
      end
      functions[#functions + 1] = function()
        server:get("/login", { leave_after = 0.2 })
      end
    end
    nginx.together(functions)
    assert.are.equal(10, nginx.count(stayed, "in and out"))
    server:settle()
  end)

  it("is cancelled within about two seconds while others keep the worker busy", function()
    standin:script(standin.http, { { read = "request" }, { hang = true } })
    local over, took = false, nil
    local functions = {
      function()
        server:get("/login", { leave_after = 0.2 })
        local _, seconds = nginx.eventually("the script's connection is closed", 5, function()
          local counts = server:counts()
          took = counts.waiting
          for _, entry in ipairs(standin:call("connections")) do
            if entry.listener == standin.http.id then
              return entry.open < 25 and counts.in_flight < 25
            end
          end
        end)
        took, over = seconds, true
      end,
    }
    for _ = 1, 24 do
      functions[#functions + 1] = function()
        cqueues.sleep(0.3)
        repeat
          assert.are.equal("in and out", server:get("/login").body)
        until over
      end
    end
    nginx.together(functions)
    assert.is_true(took < 2, took .. " s")
    server:settle()
  end)

  it("killed by ngx.thread.kill, is cancelled while its request lives on", function()
    standin:call("configure", { hang = true })
    local alive = true
    nginx.together({
      function()
        assert.are.equal("killed", server:get("/kill").body)
        alive = false
      end,
      function()
        cqueues.sleep(0.15)
        assert.are.equal(1, server:counts().in_flight)
        cqueues.sleep(0.2)
        only_left(0)
        assert.is_true(alive)
      end,
    })
  end)

  it("killed by ngx.thread.kill, leaves the other light thread's login alone", function()
    standin:call("configure", { answer_delay = 0.6 })
    assert.are.equal("in and out", server:get("/both").body)
    server:settle()
  end)

  it("ended by ngx.exit in another light thread, is cancelled", function()
    standin:call("configure", { hang = true })
    assert.are.equal(204, server:get("/exit").status)
    only_left(0)
  end)

  it("of which the request no longer waits for the thread, is cancelled", function()
    standin:call("configure", { hang = true })
    assert.are.equal("soon", server:get("/first").body)
    only_left(0)
  end)

  it("of hundreds, is cancelled within about a second", function()
    standin:call("configure", { hang = true })
    local functions = {}
    for i = 1, 300 do
      functions[i] = function()
        server:get("/login", { leave_after = 0.8 })
      end
    end
    nginx.together(functions)
    only_left(0)
  end)

  it("leaves no error in the log", function()
    for _, line in ipairs(server:complaints()) do
      assert.is_nil(line:find("filescom", 1, true), line)
      assert.is_nil(line:find("alert", 1, true), line)
    end
  end)

  describe("that pauses between two attempts,", function()
    local own

    before_each(function()
      own = nginx.start({
        base_url = standin.http.base_url,
        server = "lua_check_client_abort on;",
        locations = LOCATIONS,
      })
      own:get("/pausing", { leave_after = 0.5 })
    end)

    after_each(function()
      own:stop()
    end)

    it("is cancelled", function()
      assert.is_true(own:settle(2) < 1.5)
    end)

    it("leaves the worker idle, and answering", function()
      cqueues.sleep(1)
      local worker = own:workers()[1]
      local before = nginx.cpu(worker)
      assert.are.equal("pong", own:get("/ping", { timeout = 2 }).body)
      cqueues.sleep(1)
      assert.is_true(nginx.cpu(worker) - before < 0.2, nginx.cpu(worker) - before .. " s in 1 s")
    end)
  end)

  describe("in a timer, where the worker", function()
    local other

    before_each(function()
      other = nginx.start({
        base_url = standin.http.base_url,
        options = "timeout = 1.5",
        locations = LOCATIONS,
        http = [[init_worker_by_lua_block {
          ngx.timer.at(3600, function(premature)
            if premature then ngx.log(ngx.WARN, "at the end: ", logged_in()) end
          end)
        }]],
      })
    end)

    after_each(function()
      other:stop()
    end)

    it("is stopped, goes with it at once, and its connection is closed", function()
      standin:call("configure", { hang = true })
      assert.are.equal("begun", other:get("/hung_timer").body)
      nginx.eventually("the login is in flight", 1, function()
        return (standin:connections(standin.http)) == 1
      end)
      other:signal("TERM")
      assert.is_true(other:wait_for_end() < 1)
      nginx.eventually("the connection is closed", 1, function()
        return (standin:connections(standin.http)) == 0
      end)
    end)

    it("quits, keeps it no longer than its time limit", function()
      standin:call("configure", { hang = true })
      assert.are.equal("begun", other:get("/hung_timer").body)
      other:signal("QUIT")
      assert.is_true(other:wait_for_end() < 4)
    end)

    it("quits, can log in and out where the timer is told that it comes early", function()
      other:signal("QUIT")
      assert.is_true(other:wait_for_end() < 1)
      assert.is_truthy(other:errors():find("at the end: in and out", 1, true))
    end)
  end)
end)
