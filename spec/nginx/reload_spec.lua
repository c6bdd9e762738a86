-- Reload, quit, stop, crash, several workers, and a Lua state for each request.
-- Depends on nginx, the stand-in, LuaSocket and cqueues.

local cqueues = require("cqueues")
local nginx = require("spec.support.nginx")
local socket = require("socket")
local support = require("spec.support.standin")

-- The names that relays bind below, should any have been left.
local function leftovers()
  local pipe = io.popen("ls -d /tmp/filescom-?????? /var/tmp/filescom-?????? /dev/shm/filescom-?????? 2>/dev/null")
  local names = pipe:read("*a")
  pipe:close()
  return names
end

describe("nginx:", function()
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
    options.base_url = standin.http.base_url
    server = nginx.start(options)
    return server
  end

  -- Waits for a worker's end; returns the seconds that it took.
  local function seconds_to_end(pid, limit)
    local _, took = nginx.eventually("worker " .. pid .. " has ended", limit or 10, function()
      return not nginx.is_alive(pid)
    end)
    return took
  end

  it("a reload under load loses no request, and the former workers end within a second", function()
    start({})
    standin:call("configure", { answer_delay = 0.05 })
    local over, answers, slowest = false, {}, 0
    local functions = {
      function()
        for _ = 1, 3 do
          cqueues.sleep(0.4)
          local before = server:reload()
          for _, pid in ipairs(before) do
            slowest = math.max(slowest, seconds_to_end(pid))
          end
        end
        over = true
      end,
    }
    for _ = 1, 32 do
      functions[#functions + 1] = function()
        while not over do
          local answer = server:get("/login")
          answers[#answers + 1] = answer
        end
      end
    end
    nginx.together(functions)
    assert.is_true(#answers > 100, #answers .. " requests")
    assert.are.equal(#answers, nginx.count(answers, "in and out"))
    assert.is_true(slowest < 1.2, slowest .. " s") -- its last request takes 0.1 s of that
  end)

  for name, signal in pairs({ reload = "HUP", quit = "QUIT" }) do
    it(("after a %s a request that is in flight is answered, and the worker ends within a second of it"):format(name),
      function()
        start({})
        standin:call("configure", { answer_delay = 0.7 })
        local worker = server:workers()[1]
        local answer, answered
        nginx.together({
          function()
            answer = server:get("/login")
            answered = socket.gettime()
          end,
          function()
            cqueues.sleep(0.2)
            server:signal(signal)
          end,
        })
        assert.are.equal("in and out", answer.body)
        assert.is_true(nginx.is_alive(worker) or socket.gettime() - answered < 0.1)
        assert.is_true(seconds_to_end(worker) < 1)
      end)
  end

  it("a worker that served a moment ago quits within a second", function()
    start({})
    assert.are.equal("in and out", server:get("/login").body)
    server:signal("QUIT")
    assert.is_true(server:wait_for_end() < 1)
  end)

  it("a worker that has been idle quits within a second", function()
    start({})
    assert.are.equal("in and out", server:get("/login").body)
    cqueues.sleep(2.5)
    server:signal("QUIT")
    assert.is_true(server:wait_for_end() < 1)
  end)

  it("a stop does not wait for what is in flight", function()
    start({ options = "timeout = 30" })
    standin:call("configure", { hang = true })
    nginx.together({
      function()
        server:crowd(20, "/login")
      end,
      function()
        cqueues.sleep(0.3)
        server:signal("TERM")
        assert.is_true(server:wait_for_end() < 1)
      end,
    })
  end)

  it("a quit and a reload leave no complaint in the log", function()
    start({})
    server:crowd(20, "/login")
    local before = server:reload()
    seconds_to_end(before[1])
    server:crowd(20, "/login")
    server:signal("QUIT")
    server:wait_for_end()
    assert.are.same({}, server:complaints())
  end)

  it("a worker that is killed is replaced by one that works, and leaves nothing behind", function()
    local before = leftovers()
    start({})
    standin:call("configure", { hang = true })
    local worker = server:workers()[1]
    nginx.together({
      function()
        server:crowd(10, "/login")
      end,
      function()
        cqueues.sleep(0.3)
        os.execute("kill -9 " .. worker)
      end,
    })
    standin:call("configure", { hang = false })
    nginx.eventually("the new worker serves", 3, function()
      return server:get("/login").body == "in and out"
    end)
    assert.are_not.equal(worker, server:workers()[1])
    nginx.eventually("nothing is left below /tmp", 2, function()
      return leftovers() == before
    end)
  end)

  it("four workers each log in and out, with engines of their own", function()
    start({
      workers = 4,
      listen = "reuseport",
      locations = { ["= /who"] = 'ngx.say(ngx.worker.pid(), " ", logged_in())' },
    })
    local seen, count = {}, 0
    for _, answer in ipairs(server:crowd(200, "/who")) do
      local pid, told = answer.body:match("^(%d+) (.*)$")
      assert.are.equal("in and out", told)
      count = count + (seen[pid] and 0 or 1)
      seen[pid] = true
    end
    assert.are.equal(4, count)
  end)

  it("the master starts no thread where filescom is loaded before the fork", function()
    start({})
    assert.are.equal("in and out", server:get("/login").body)
    assert.are.equal(1, nginx.usage(server:master()).threads)
    assert.are.equal(2, nginx.usage(server:workers()[1]).threads)
  end)

  it("with lua_code_cache off, 200 requests leave no thread and no descriptor", function()
    start({ http = "lua_code_cache off;", connections = 4096, options = "timeout = 10" })
    assert.are.equal("pong", server:get("/ping").body)
    local worker = server:workers()[1]
    local before = nginx.usage(worker)
    for _ = 1, 200 do
      assert.are.equal("in and out", server:get("/login").body)
    end
    nginx.eventually("threads and descriptors are as before", 6, function()
      local now = nginx.usage(worker)
      return now.threads <= before.threads and now.descriptors <= before.descriptors
    end)
  end)
end)
