-- A worker does not grow: memory, descriptors and threads are flat.
-- Depends on nginx, the stand-in and cqueues.
--
-- FILESCOM_PAIRS says how many logins and logouts are made (3000); FILESCOM_REPORT=1 prints the figures.

local cqueues = require("cqueues")
local nginx = require("spec.support.nginx")
local support = require("spec.support.standin")

local PAIRS = tonumber(os.getenv("FILESCOM_PAIRS")) or 3000
local PAIRS_OF_A_VISIT = 10
local AT_ONCE = 24
local WARM_UP = 1500
local GROWTH = 2048 -- KiB that memory may grow by
local VISITORS = 3 -- descriptors of visitors that are about to go

describe("nginx: a worker", function()
  local standin, server

  setup(function()
    standin = support.start({ "http" })
    server = nginx.start({
      base_url = standin.http.base_url,
      server = "lua_check_client_abort on;",
      locations = {
        ["= /pairs"] = ([[
          for _ = 1, %d do
            local told = logged_in()
            if told ~= "in and out" then return ngx.say(told) end
          end
          ngx.say("done")
        ]]):format(PAIRS_OF_A_VISIT),
      },
    })
    standin:call("configure", { log_limit = 10 })
  end)

  teardown(function()
    server:stop()
    standin:stop()
  end)

  -- Logs in and out so many times by visitors, of whom every tenth goes away in the middle.
  local function exercise(pairs_)
    local left, failures = pairs_ / PAIRS_OF_A_VISIT, {}
    local functions = {}
    for i = 1, AT_ONCE do
      functions[i] = function()
        while left > 0 do
          left = left - 1
          local leaves = left % 10 == 0
          local answer = server:get("/pairs", { leave_after = leaves and 0.004 or nil })
          if not leaves and answer.body ~= "done" then
            failures[#failures + 1] = answer.body or answer.failed
          end
        end
      end
    end
    nginx.together(functions)
    assert.are.same({}, failures)
  end

  -- What the worker holds once nothing is in flight and the dispatcher has gone.
  local function at_rest()
    server:settle()
    standin:close_connections(standin.http)
    assert.are.equal("in and out", server:get("/login").body)
    nginx.eventually("the dispatcher is gone", 4, function()
      return server:counts().timers == 0
    end)
    return nginx.usage(server:workers()[1])
  end

  it("is as large after thousands of logins and logouts with visitors that go away as before", function()
    exercise(WARM_UP)
    local before = at_rest()
    exercise(PAIRS)
    local after = at_rest()
    if os.getenv("FILESCOM_REPORT") then
      for _, name in ipairs({ "memory", "descriptors", "threads" }) do
        print(("%s: %d before, %d after %d pairs"):format(name, before[name], after[name], PAIRS))
      end
    end
    assert.is_true(math.abs(after.descriptors - before.descriptors) <= VISITORS,
      ("from %d to %d descriptors"):format(before.descriptors, after.descriptors))
    assert.are.equal(before.threads, after.threads)
    assert.is_true(after.memory - before.memory < GROWTH,
      ("from %d to %d KiB"):format(before.memory, after.memory))
  end)

  it("after a while without work has no timer, uses no processor, and serves again", function()
    assert.are.equal("in and out", server:get("/login").body)
    nginx.eventually("the dispatcher is gone", 4, function()
      return server:counts().timers == 0
    end)
    local worker = server:workers()[1]
    local used = nginx.cpu(worker)
    cqueues.sleep(1)
    assert.is_true(nginx.cpu(worker) - used < 0.05)
    assert.are.equal("in and out", server:get("/login").body)
    assert.are.equal(1, server:counts().timers)
  end)
end)
