-- What a long life costs: memory and descriptors stay flat, and what is cancelled leaves nothing behind.
-- Reads /proc/self, so it is for Linux. Depends on filescom, filescom.core, LuaSocket and spec/support/standin.lua.
-- More pairs than the usual 2,000, with the figures printed: PAIRS=10000 busted spec/memory_spec.lua

local core = require("filescom.core")
local filescom = require("filescom")
local gettime = require("socket").gettime
local support = require("spec.support.standin")

local MOTOR = { username = "motor", password = "vroom" }
local PAIRS = tonumber(os.getenv("PAIRS")) or 2000
local WARM_UP = 500
local ROUNDS = 3
local PAGE = 4 -- KiB
local ALLOWED = 256 -- KiB that memory may move without having grown

-- KiB of memory that this process holds now.
local function resident()
  collectgarbage()
  collectgarbage()
  local file = assert(io.open("/proc/self/statm"))
  local pages = file:read("*a"):match("^%d+ (%d+)")
  file:close()
  return tonumber(pages) * PAGE
end

-- How many descriptors this process has open.
local function descriptors()
  local pipe = assert(io.popen("ls /proc/$PPID/fd | wc -l"))
  local count = tonumber(pipe:read("*a"))
  pipe:close()
  return count
end

describe("a long life", function()
  local standin, client

  setup(function()
    standin = support.start({ "http" })
  end)

  teardown(function()
    standin:stop()
  end)

  before_each(function()
    standin:reset()
    standin:call("configure", { log_limit = 10 })
    client = filescom.new({ base_url = standin.http.base_url })
  end)

  local function times(count, run)
    for i = 1, count do
      run(i)
    end
  end

  -- Runs something `count` times and tells by how many KiB memory grew meanwhile.
  local function growth(what, count, run)
    local memory = resident()
    times(count, run)
    local grown = resident() - memory
    if tonumber(os.getenv("PAIRS")) then
      print(("\n%s: %d times, resident %d KiB before, %d KiB after"):format(what, count, memory, memory + grown))
    end
    return grown
  end

  -- Checks that descriptors do not grow, nor memory in every round: a leak does, an allocator that settles does not.
  local function assert_flat(what, count, run)
    times(WARM_UP, run)
    local open, grown = descriptors(), nil
    for _ = 1, ROUNDS do
      grown = growth(what, count, run)
      if grown < ALLOWED then break end
    end
    local left = descriptors() -- fewer, where the collector has come to what others left
    assert.is_true(left <= open, ("%d descriptors were open, and %d are"):format(open, left))
    assert.is_true(grown < ALLOWED, ("%s grew by %d KiB"):format(what, grown))
  end

  it("keeps memory and descriptors flat over logins and logouts", function()
    assert_flat("login and logout", PAIRS, function()
      assert(client:logout(assert(client:login(MOTOR))))
    end)
  end)

  it("keeps memory bounded over logins that nobody logs out", function()
    assert_flat("login without logout", PAIRS, function()
      assert(client:login(MOTOR))
    end)
  end)

  it("keeps memory flat over refused logins and their errors", function()
    standin:call("configure", { lockout_after = 1000000 })
    assert_flat("refused login", PAIRS / 2, function()
      local _, err = client:login({ username = "motor", password = "wrong" })
      assert(err.status == 401)
    end)
  end)

  it("keeps memory and descriptors flat over clients that are made, used and closed", function()
    assert_flat("client", PAIRS / 4, function()
      local other = filescom.new({ base_url = standin.http.base_url })
      assert(other:logout(assert(other:login(MOTOR))))
      other:close()
    end)
  end)

  it("keeps memory and descriptors flat over connections that are refused", function()
    local closed = standin:listen({ scheme = "http" })
    standin:call("unlisten", { listener = closed.id })
    local nowhere = filescom.new({ base_url = closed.base_url, retries = 0 })
    assert_flat("refused connection", PAIRS / 4, function()
      local _, err = nowhere:login(MOTOR)
      assert(err.type == "network/connect")
    end)
  end)

  describe("with what is cancelled", function()
    local listener, hanging

    before_each(function()
      listener = standin:listen({ scheme = "http" })
      hanging = core.client({ base_url = listener.base_url })
      standin:call("configure", { hang = true })
    end)

    -- Begins logins that are never answered, each on a connection of its own, and lets them be sent.
    local function begin_hanging(count)
      local exchanges = {}
      for i = 1, count do
        exchanges[i] = hanging:begin_login(MOTOR)
      end
      local deadline = gettime() + 5
      while #standin:log() < count and gettime() < deadline do
        exchanges[1]:wait(0.01)
      end
      assert.are.equal(count, core.in_flight())
      assert.are.equal(count, (standin:connections(listener)))
      return exchanges
    end

    local function assert_nothing_left()
      assert.are.equal(0, core.in_flight())
      local deadline = gettime() + 5
      while standin:connections(listener) > 0 and gettime() < deadline do
        standin:call("ping")
      end
      assert.are.equal(0, (standin:connections(listener)))
    end

    it("has nothing in flight and no connection open after cancelling", function()
      for _, exchange in ipairs(begin_hanging(5)) do
        exchange:cancel()
      end
      assert_nothing_left()
    end)

    it("has nothing in flight and no connection open after exchanges were forgotten", function()
      begin_hanging(5)
      collectgarbage()
      collectgarbage()
      assert_nothing_left()
    end)

    it("leaves other exchanges alone when one is cancelled", function()
      local exchanges = begin_hanging(2)
      exchanges[1]:cancel()
      assert.is_false(exchanges[2]:done())
      assert.are.equal(1, core.in_flight())
      exchanges[2]:cancel()
      assert_nothing_left()
    end)

    it("cancels an exchange whose client was closed", function()
      local exchanges = begin_hanging(1)
      hanging:close()
      assert.are.equal(1, core.in_flight())
      exchanges[1]:cancel()
      assert_nothing_left()
    end)

    it("keeps memory and descriptors flat over cancelled logins", function()
      assert_flat("cancelled login", PAIRS / 4, function()
        local exchange = hanging:begin_login(MOTOR)
        exchange:wait(0)
        exchange:cancel()
      end)
      assert_nothing_left()
    end)
  end)
end)
