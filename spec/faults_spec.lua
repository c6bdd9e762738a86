-- Faults of the network and of what answers in the service's place: every case of spec/support/faults.lua, one after
-- another, and what that table has no words for. spec/nginx/faults_spec.lua has the same cases inside nginx.
-- Depends on filescom, filescom.core, LuaSocket and spec/support/; runs on every Lua.

local core = require("filescom.core")
local faults = require("spec.support.faults")
local filescom = require("filescom")
local socket = require("socket")
local support = require("spec.support.standin")

local MOTOR = { username = "motor", password = "vroom" }
local REQUEST = { read = "request" }
local CLOSE = { close = true }
local RESET = { reset = true }

-- What a command prints.
local function output_of(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read("*a")
  pipe:close()
  return text
end

describe("faults", function()
  local standin

  setup(function()
    standin = support.start({ "http", "https" })
  end)

  teardown(function()
    standin:stop()
  end)

  before_each(function()
    standin:reset()
  end)

  -- A listener that nobody has a connection to, whose next connections go through the steps given.
  local function listener_with(...)
    local listener = standin:listen({ scheme = "http" })
    standin:script(listener, ...)
    return listener
  end

  local function client_of(listener, options)
    options = options or {}
    options.base_url = listener.base_url
    options.timeout = options.timeout or 10
    return filescom.new(options)
  end

  -- How many requests a listener received.
  local function received(listener)
    local count = 0
    for _, entry in ipairs(standin:log()) do
      if entry.listener == listener.id and entry.method then count = count + 1 end
    end
    return count
  end

  local function accepted_by(listener)
    return (select(2, standin:connections(listener)))
  end

  -- Ends the idle connections of a listener, as many as there are to be: one whose answer has only just gone out is not
  -- idle yet. Returns when all of them are closed.
  local function close_idle(listener, count)
    local deadline = socket.gettime() + 5
    while count > 0 and socket.gettime() < deadline do
      count = count - standin:call("close_idle", { listener = listener.id })
    end
    while (standin:connections(listener)) > 0 and socket.gettime() < deadline do
      socket.sleep(0.005)
    end
    assert.are.equal(0, count)
  end

  -- Begins so many logins that each needs a connection of its own, and waits for all of them.
  local function log_in_at_once(client, count)
    local exchanges = {}
    standin:call("configure", { answer_delay = 0.1 })
    for i = 1, count do
      exchanges[i] = client:begin_login(MOTOR)
    end
    for i = 1, count do
      exchanges[i]:wait()
      assert.is_truthy(exchanges[i]:finish())
    end
    standin:call("configure", { answer_delay = 0 })
  end

  for _, case in ipairs(faults.cases) do
    it(("give %s for %s"):format(case.gives, case.name), function()
      local held = {}
      local record = faults.run(standin, case, {
        perform = function(ask) return faults.perform(held, ask) end,
        sleep = socket.sleep,
        now = socket.gettime,
      })
      assert.are.same({}, faults.complaints(case, record, standin:log()))
    end)
  end

  describe("of a connection", function()
    local function free_port()
      local bound = assert(socket.bind("127.0.0.1", 0))
      local _, port = bound:getsockname()
      bound:close()
      return tonumber(port)
    end

    it("tries a refused connection again, retries times", function()
      local client = core.client({ base_url = "http://127.0.0.1:" .. free_port(), retries = 2 })
      local exchange = client:begin_login(MOTOR)
      assert.is_true(exchange:wait())
      assert.are.equal(3, exchange:info().attempts)
    end)

    it("logs in where the service begins to listen between two attempts", function()
      local port = free_port()
      local client = core.client({ base_url = "http://127.0.0.1:" .. port })
      local exchange = client:begin_login(MOTOR)
      exchange:wait(0.05)
      standin:listen({ scheme = "http", port = port })
      assert.is_truthy(exchange:finish(exchange:wait()).id)
      assert.are.equal(1, #standin:log())
    end)

    -- Whether a request was on its way by then is a matter of microseconds.
    it("gives an error of the network for a reset at once, however often it is tried", function()
      local listener = listener_with({ RESET }, { RESET }, { RESET })
      local session, err = client_of(listener):login(MOTOR)
      assert.is_nil(session)
      assert.is_true(err.type == "network/interrupted" or err.type == "network/connect")
      assert.are.equal(0, received(listener))
    end)
  end)

  describe("of a kept connection", function()
    it("goes on over a new connection where several kept ones were closed while idle", function()
      local listener = listener_with()
      local client = core.client({ base_url = listener.base_url })
      log_in_at_once(client, 4)
      close_idle(listener, 4)
      assert.is_truthy(client:login(MOTOR))
      assert.are.equal(5, received(listener))
      assert.are.equal(5, accepted_by(listener))
    end)

    it("does not send a login with a large body again where the service read its head and closed", function()
      local listener = listener_with({ { service = 1 }, { read = "head" }, CLOSE })
      local client = client_of(listener)
      assert(client:login(MOTOR))
      local _, err = client:login({ username = "motor", password = ("x"):rep(4000000) })
      assert.are.equal("network/interrupted", err.type)
      assert.are.equal(2, received(listener))
    end)

    it("does not send a login again over another of several idle connections", function()
      local steps = { { service = 1 }, REQUEST, CLOSE }
      local listener = listener_with(steps, steps, steps)
      local client = core.client({ base_url = listener.base_url })
      log_in_at_once(client, 3)
      local session, failure = client:login(MOTOR)
      assert.is_nil(session)
      assert.are.equal("network/interrupted", failure.type)
      assert.are.equal(4, received(listener))
    end)

    it("does not use a connection again that was left with an answer half read", function()
      local large = "HTTP/1.1 201 Created\r\nContent-Length: 5000\r\n\r\n" .. ("x"):rep(5000)
      local listener = listener_with({ REQUEST, { send = large }, { hang = true } })
      local client = client_of(listener, { max_response_size = 1000 })
      local _, err = client:login(MOTOR)
      assert.are.equal("response/too-large", err.type)
      assert.is_truthy(client:login(MOTOR))
      assert.are.equal(2, accepted_by(listener))
    end)
  end)

  it("are none over TLS 1.2 or later where all is well", function()
    local listener = standin:listen({ scheme = "https" })
    assert(client_of(listener, { ca_file = standin.ca_file }):login(MOTOR))
    assert.is_truthy(standin:last().tls:find("^TLSv1%.[23]$"))
  end)

  describe("of the environment", function()
    for _, variable in ipairs({ "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY" }) do
      it(("does not use %s for plain http on a loopback address"):format(variable), function()
        local proxy = standin:listen({ scheme = "http" })
        local lua = output_of("readlink /proc/$PPID/exe"):gsub("\n", "")
        local script = ([[local c = require("filescom").new({ base_url = "%s" })
          print(c:login({ username = "motor", password = "vroom" }))]]):format(standin.http.base_url)
        local told = output_of(("env -u no_proxy -u NO_PROXY %s='%s' LUA_PATH='%s' LUA_CPATH='%s' '%s' -e '%s'"):format(
          variable, proxy.base_url, package.path, package.cpath, lua, script))
        assert.is_truthy(told:find("^filescom session"))
        assert.are.equal(1, received(standin.http))
        assert.are.equal(0, accepted_by(proxy))
      end)
    end
  end)
end)
