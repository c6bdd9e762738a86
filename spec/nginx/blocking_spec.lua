-- Nothing that filescom waits for blocks the worker, and every wait ends.
-- Depends on nginx, the stand-in, LuaSocket, cqueues and a C compiler (for a name look-up that takes its time).

local cqueues = require("cqueues")
local nginx = require("spec.support.nginx")
local socket = require("socket")
local support = require("spec.support.standin")

-- A look-up of names under "slow.invalid" that sleeps, and fails as a name server that does not answer would.
local SLOW_LOOKUP = [[
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>
#include <unistd.h>
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
    typedef int look_up(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    look_up *original = (look_up *)dlsym(RTLD_NEXT, "getaddrinfo");

    if (node != NULL && strstr(node, "slow.invalid") != NULL) {
        sleep(6);
        return EAI_AGAIN;
    }
    return original(node, service, hints, found);
}
]]

-- Pings until told to stop; returns the seconds that each ping took.
local function pinger(server, state)
  state.times = {}
  return function()
    while not state.stop do
      local answer = server:get("/ping", { timeout = 10 })
      assert(answer.body == "pong", answer.failed)
      table.insert(state.times, answer.seconds)
      cqueues.sleep(0.005)
    end
  end
end

local function percentile(times, share)
  local sorted = {}
  for i, time in ipairs(times) do
    sorted[i] = time
  end
  table.sort(sorted)
  return sorted[math.max(1, math.ceil(#sorted * share))]
end

describe("nginx: a worker", function()
  local standin, server

  setup(function()
    standin = support.start({ "http" })
  end)

  teardown(function()
    standin:stop()
  end)

  before_each(function()
    standin:reset()
  end)

  after_each(function()
    if server then
      server:stop()
      server = nil
    end
  end)

  local function start(options)
    options.base_url = options.base_url or standin.http.base_url
    server = nginx.start(options)
    return server
  end

  it("answers a ping in milliseconds while 200 logins wait for a service that hangs", function()
    start({ options = "timeout = 2" })
    standin:call("configure", { hang = true })
    local state, functions = {}, {}
    local bodies = {}
    local left = 200
    for i = 1, 200 do
      functions[i] = function()
        bodies[i] = server:get("/login").body
        left = left - 1
        state.stop = left == 0
      end
    end
    functions[#functions + 1] = function()
      cqueues.sleep(0.5)
      pinger(server, state)()
    end
    functions[#functions + 1] = function()
      cqueues.sleep(1)
      state.counts = server:counts()
    end
    nginx.together(functions)
    if os.getenv("FILESCOM_REPORT") then
      print(("%d pings: p50 %.2f ms, p99 %.2f ms, longest %.2f ms"):format(#state.times,
        1000 * percentile(state.times, 0.5), 1000 * percentile(state.times, 0.99), 1000 * percentile(state.times, 1)))
    end
    assert.are.equal(200, state.counts.waiting)
    assert.are.equal(200, state.counts.in_flight)
    assert.is_true(#state.times > 50, #state.times .. " pings")
    assert.is_true(percentile(state.times, 0.99) < 0.05, "p99 " .. percentile(state.times, 0.99))
    for _, body in ipairs(bodies) do
      assert.is_truthy(body:find("^network/timeout"), body)
    end
    server:settle()
  end)

  it("answers a ping in milliseconds while answers come in a byte at a time", function()
    start({ options = "timeout = 10" })
    local body = '{"id":"0123456789abcdef"}' .. (" "):rep(1000)
    local answer = ("HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"):format(
      #body, body)
    local drip = { { read = "request" }, { send = answer, each = 1, pause = 0.0002 }, { service = "all" } }
    for _ = 1, 60 do
      standin:script(standin.http, drip)
    end
    local state = {}
    local functions = { pinger(server, state) }
    local left = 60
    for i = 1, 60 do
      functions[i + 1] = function()
        server:get("/login")
        left = left - 1
        state.stop = left == 0
      end
    end
    nginx.together(functions)
    assert.is_true(#state.times > 20, #state.times .. " pings")
    assert.is_true(percentile(state.times, 1) < 0.3, "longest " .. percentile(state.times, 1))
  end)

  it("uses no processor while logins wait for a service that hangs", function()
    start({ options = "timeout = 2" })
    standin:call("configure", { hang = true })
    local used
    local functions = {
      function()
        cqueues.sleep(0.6)
        local worker = server:workers()[1]
        local before = nginx.cpu(worker)
        cqueues.sleep(1.2)
        used = nginx.cpu(worker) - before
      end,
    }
    for i = 1, 50 do
      functions[i + 1] = function()
        server:get("/login")
      end
    end
    nginx.together(functions)
    assert.is_true(used < 0.15, used .. " s in 1.2 s")
  end)

  it("writes nothing about ordinary logins into an error log at level info", function()
    start({ locations = { ["= /many"] = 'for _ = 1, 50 do logged_in() end ngx.say("done")' } })
    assert.are.equal("done", server:get("/many").body)
    local told = server:errors():match("[^\n]*%[warn%][^\n]*")
    assert.is_nil(told)
  end)

  it("holds a client's time limit when the service hangs", function()
    start({ options = "timeout = 0.7" })
    standin:call("configure", { hang = true })
    local answer = server:get("/login")
    assert.is_truthy(answer.body:find("^network/timeout"), answer.body)
    assert.is_true(answer.seconds > 0.6 and answer.seconds < 1.2, answer.seconds .. " s")
  end)

  it("holds the limit of each call of its own, when many differ", function()
    start({
      locations = {
        ["= /limit"] = [[
          local client = filescom.new { base_url = "@base_url@", timeout = tonumber(ngx.var.arg_seconds) }
          local _, err = client:login(MOTOR)
          ngx.say(err.type)
        ]],
      },
    })
    standin:call("configure", { hang = true })
    local answers = server:crowd(12, function(i)
      return "/limit?seconds=" .. i / 10
    end)
    for i, answer in ipairs(answers) do
      assert.are.equal("network/timeout", answer.body)
      assert.is_true(answer.seconds > i / 10 - 0.05 and answer.seconds < i / 10 + 0.4,
        i / 10 .. " became " .. answer.seconds)
    end
  end)

  it("says network/busy at once beyond max_in_flight, and serves again below it", function()
    start({ options = "max_in_flight = 5, timeout = 0.9" })
    standin:call("configure", { hang = true })
    local answers = server:crowd(8, "/login")
    local busy, late = 0, 0
    for _, answer in ipairs(answers) do
      if answer.body:find("^network/busy") then
        busy = busy + 1
        assert.is_true(answer.seconds < 0.5, answer.seconds .. " s")
      elseif answer.body:find("^network/timeout") then
        late = late + 1
      end
    end
    assert.are.equal("3 busy, 5 late", ("%d busy, %d late"):format(busy, late))
    standin:reset()
    assert.are.equal("in and out", server:get("/login").body)
  end)

  it("looks up localhost", function()
    start({ base_url = (standin.http.base_url:gsub("127%.0%.0%.1", "localhost")) })
    assert.are.equal(20, nginx.count(server:crowd(20, "/login"), "in and out"))
  end)

  describe("with a name look-up that takes six seconds", function()
    local directory, environment

    setup(function()
      directory = nginx.directory()
      local source = nginx.write(directory .. "/slow.c", SLOW_LOOKUP)
      assert(os.execute(("cc -shared -fPIC -o '%s/slow.so' '%s' -ldl"):format(directory, source)))
      environment = ("LD_PRELOAD='%s/slow.so'"):format(directory)
    end)

    teardown(function()
      os.execute("rm -rf '" .. directory .. "'")
    end)

    local function start_slow(options)
      start({
        base_url = "https://slow.invalid",
        options = options,
        environment = environment,
        server = "lua_check_client_abort on;",
      })
    end

    it("answers pings meanwhile, and keeps the time limit", function()
      start_slow("timeout = 1.5")
      local state, answers = {}, {}
      local functions = { pinger(server, state) }
      for i = 1, 10 do
        functions[#functions + 1] = function()
          answers[i] = server:get("/login")
          state.stop = true
        end
      end
      nginx.together(functions)
      for _, answer in ipairs(answers) do
        assert.is_truthy(answer.body:find("^network/"), answer.body)
        assert.is_true(answer.seconds < 2.5, answer.seconds .. " s")
      end
      assert.is_true(#state.times > 50)
      assert.is_true(percentile(state.times, 0.99) < 0.1, "p99 " .. percentile(state.times, 0.99))
    end)

    it("lets go of an abandoned one without waiting for it", function()
      start_slow("timeout = 20")
      local state = {}
      nginx.together({
        function()
          server:get("/login", { leave_after = 0.3 })
          server:settle(3)
          state.stop = true
        end,
        pinger(server, state),
      })
      assert.is_true(percentile(state.times, 1) < 0.3, "longest ping " .. percentile(state.times, 1))
    end)

    it("stops at once when told to", function()
      start_slow("timeout = 20")
      nginx.together({
        function()
          server:get("/login")
        end,
        function()
          cqueues.sleep(0.3)
          server:signal("TERM")
        end,
      })
      assert.is_true(server:wait_for_end() < 1)
    end)
  end)

  it("says network/resolve for a name that there is not", function()
    start({
      base_url = "https://nothing.invalid",
      options = "timeout = 5, retries = 0",
      environment = "RES_OPTIONS='timeout:1 attempts:1'",
    })
    local state, answer = {}, nil
    nginx.together({
      function()
        answer = server:get("/login")
        state.stop = true
      end,
      pinger(server, state),
    })
    assert.is_truthy(answer.body:find("^network/resolve") or answer.body:find("^network/timeout"), answer.body)
    assert.is_true(#state.times > 0 and percentile(state.times, 1) < 0.3)
  end)

  it("has 1,500 logins in flight at once", function()
    start({ connections = 8192, descriptors = 16384, options = "max_in_flight = 2000, timeout = 30" })
    standin:call("configure", { answer_delay = 8 })
    local state = {}
    local functions = {}
    for i = 1, 1500 do
      functions[i] = function()
        state[i] = server:get("/login")
      end
    end
    functions[#functions + 1] = function()
      nginx.eventually("1,500 are in flight", 15, function()
        return server:counts().in_flight == 1500
      end)
      standin:call("configure", { answer_delay = 0 })
    end
    nginx.together(functions)
    assert.are.equal(1500, nginx.count(state, "in and out"))
    server:settle()
  end)

  describe("whose timers are all taken by others", function()
    local TAKE = [[
      for _ = 1, 20 do
        ngx.timer.at(0, function() while taken do ngx.sleep(0.05) end end)
      end
    ]]

    local function take(http)
      start({
        http = http,
        init_more = "taken = true",
        options = "timeout = 20",
        locations = {
          ["= /take"] = TAKE .. 'ngx.sleep(0.2) ngx.say("taken")',
          ["= /free"] = 'taken = false ngx.sleep(0.3) ngx.say("free")',
          ["= /fill"] = [[
            local count = 0
            while ngx.timer.at(3600, function() end) do count = count + 1 end
            ngx.say(count)
          ]],
        },
      })
    end

    it("to run, logs in and out, in less than a second", function()
      take("lua_max_running_timers 5;")
      assert.are.equal("taken", server:get("/take").body)
      local answer = server:get("/login", { timeout = 3 })
      assert.are.equal("in and out", answer.body)
      assert.is_true(answer.seconds < 1, answer.seconds .. " s")
    end)

    it("to run for a while, is as quick as ever once there are some", function()
      take("lua_max_running_timers 5;")
      assert.are.equal("taken", server:get("/take").body)
      server:get("/login", { timeout = 3 })
      assert.are.equal("free", server:get("/free").body)
      server:get("/login", { timeout = 3 }) -- finds that there are some
      local answer = server:get("/login", { timeout = 3 })
      assert.are.equal("in and out", answer.body)
      assert.is_true(answer.seconds < 0.2, answer.seconds .. " s")
    end)

    it("that are pending, logs in and out, in less than a second", function()
      take("lua_max_pending_timers 5;")
      assert.is_true(tonumber(server:get("/fill").body) >= 5)
      local answer = server:get("/login", { timeout = 3 })
      assert.are.equal("in and out", answer.body)
      assert.is_true(answer.seconds < 1, answer.seconds .. " s")
    end)

    it("leaves nothing of those that are abandoned meanwhile", function()
      take("lua_max_running_timers 5; lua_check_client_abort on;")
      assert.are.equal("taken", server:get("/take").body)
      standin:call("configure", { hang = true })
      server:get("/login", { leave_after = 0.2 })
      assert.are.equal("free", server:get("/free").body)
      standin:call("configure", { hang = false })
      assert.are.equal("in and out", server:get("/login").body)
      server:settle(3)
      nginx.eventually("the abandoned connection is closed", 2, function()
        return (standin:connections(standin.http)) <= 1
      end)
    end)
  end)

  it("whose worker_connections are all taken ends what waits, and is as quick as ever once there are some", function()
    start({
      connections = 12,
      options = "timeout = 4",
      locations = {
        ["= /later"] = "ngx.sleep(0.5) ngx.say(logged_in())",
      },
    })
    local answer, held = nil, {}
    nginx.together({
      function()
        answer = server:get("/later", { timeout = 6 })
      end,
      function()
        cqueues.sleep(0.1)
        for i = 1, 12 do
          held[i] = socket.connect("127.0.0.1", server.port)
          held[i]:send("GET /ping HTTP/1.1\r\n") -- one that nginx does not close for the sake of another
        end
      end,
    })
    for _, connection in pairs(held) do
      connection:close()
    end
    assert.is_truthy(server:errors():find("worker_connections are not enough", 1, true))
    assert.are.equal("in and out", answer.body)
    assert.is_true(answer.seconds < 2, answer.seconds .. " s")
    server:get("/login")
    answer = server:get("/login")
    assert.are.equal("in and out", answer.body)
    assert.is_true(answer.seconds < 0.2, answer.seconds .. " s")
  end)

  describe("whose relay", function()
    it("cannot be started logs in and out all the same", function()
      start({ init_more = 'require("filescom.core").relay_path = function() return nil, "none to be had" end' })
      assert.are.equal(30, nginx.count(server:crowd(30, "/login"), "in and out"))
      server:settle()
      assert.is_truthy(server:errors():find("none to be had", 1, true))
    end)

    it("falls silent in the middle ends what waits all the same", function()
      local directory = nginx.directory()
      finally(function()
        os.execute("rm -rf '" .. directory .. "'")
      end)
      start({
        init_more = ('require("filescom.core").relay_path = function() return "%s/ends" end'):format(directory),
        http = ("server { listen unix:%s/ends; client_header_timeout 500ms; }"):format(directory),
      })
      standin:call("configure", { answer_delay = 1 })
      local answers = server:crowd(30, "/login")
      assert.are.equal(30, nginx.count(answers, "in and out"))
      for _, answer in ipairs(answers) do
        assert.is_true(answer.seconds < 6, answer.seconds .. " s")
      end
      server:settle()
    end)
  end)
end)
