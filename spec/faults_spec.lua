-- Faults of the network and of what answers in the service's place, byte for byte, and the result each must give.
-- A row of FAULTS is one login over connections that go through the steps given (spec/standin/script.lua).
-- Depends on filescom, filescom.core, LuaSocket and spec/support/standin.lua; runs on every Lua.

local core = require("filescom.core")
local filescom = require("filescom")
local socket = require("socket")
local support = require("spec.support.standin")

local MOTOR = { username = "motor", password = "vroom" }
local ID = "0123456789abcdef0123456789abcdef"
local SESSION = ('{"id":"%s"}'):format(ID)

local REQUEST = { read = "request" }
local CLOSE = { close = true }
local RESET = { reset = true }

local function send(bytes)
  return { send = bytes }
end

-- Put together without string.format, which in Lua 5.1 ends at a NUL byte.
local function answer(body, headers, status)
  return send("HTTP/1.1 " .. (status or "201 Created") .. "\r\n" .. (headers or "") .. "\r\n" .. body)
end

local function sized(body, status)
  return answer(body, ("Content-Length: %d\r\n"):format(#body), status)
end

local function chunked(bytes)
  return answer(bytes, "Transfer-Encoding: chunked\r\n")
end

local function chunk(data)
  return ("%x\r\n%s\r\n"):format(#data, data)
end

local function depth(open, inner, close)
  return (open):rep(10000) .. inner .. (close):rep(10000)
end

-- What happens; the error's type, or "session"; the steps after the request was read. `size`: max_response_size.
local FAULTS = {
  { "a reset before anything is answered", "network/interrupted", RESET },
  { "a close before anything is answered", "network/interrupted", CLOSE },
  { "a shutdown before anything is answered", "network/interrupted", { shutdown = true } },
  { "a reset inside the status line", "network/interrupted", send("HTTP/1.1 20"), RESET },
  { "a close inside the status line", "network/interrupted", send("HTTP/1.1 20"), CLOSE },
  { "a reset inside the head", "network/interrupted", send("HTTP/1.1 201 Created\r\nContent-Le"), RESET },
  { "a close inside the head", "network/interrupted", send("HTTP/1.1 201 Created\r\nContent-Le"), CLOSE },
  { "a reset after the head", "network/interrupted", answer("", "Content-Length: 43\r\n"), { sleep = 0.05 }, RESET },
  { "a close after the head", "network/interrupted", answer("", "Content-Length: 43\r\n"), CLOSE },
  { "a reset inside the body", "network/interrupted",
    answer(SESSION, "Content-Length: 99\r\n"), { sleep = 0.05 }, RESET },
  { "silence after the head", "network/timeout", answer("", "Content-Length: 43\r\n"), { hang = true }, timeout = 0.3 },
  { "silence inside the body", "network/timeout",
    answer("{", "Content-Length: 43\r\n"), { hang = true }, timeout = 0.3 },
  { "bytes that are slow, the whole beyond the time limit", "network/timeout",
    { send = "HTTP/1.1 201 Created\r\nX-A: " .. ("x"):rep(1000), each = 1, pause = 0.02 }, timeout = 0.3 },
  { "bytes that are slow, the whole within the time limit", "session",
    { send = sized(SESSION).send, each = 20, pause = 0.01 } },

  { "an answer of HTTP/0.9", "network/interrupted", send(SESSION), CLOSE },
  { "an answer of HTTP/1.0 that its end delimits", "session", send("HTTP/1.0 201 Created\r\n\r\n" .. SESSION), CLOSE },
  { "a status line of another protocol", "network/interrupted", send("SSH-2.0-OpenSSH_9.2\r\n"), CLOSE },
  { "a status line without a status", "network/interrupted", send("HTTP/1.1\r\n\r\n"), CLOSE },
  { "a status of two digits", "network/interrupted", sized(SESSION, "20 Short"), CLOSE },
  { "a status of letters", "network/interrupted", sized(SESSION, "abc"), CLOSE },
  { "a status of four digits", "network/interrupted", sized(SESSION, "2010 Long"), CLOSE },
  { "an unknown version of HTTP", "network/interrupted", send("HTTP/9.9 201 Created\r\n\r\n" .. SESSION), CLOSE },
  { "NUL bytes in the head", "network/interrupted", answer(SESSION, "X-A: b\0c\r\nContent-Length: 41\r\n"), CLOSE },

  { "a Content-Length beyond the body", "network/interrupted", answer(SESSION, "Content-Length: 44\r\n"), CLOSE },
  { "a Content-Length short of the body", "response/not-json", answer(SESSION, "Content-Length: 20\r\n"), CLOSE },
  { "a negative Content-Length", "network/interrupted", answer(SESSION, "Content-Length: -1\r\n"), CLOSE },
  { "a Content-Length of letters", "network/interrupted", answer(SESSION, "Content-Length: many\r\n"), CLOSE },
  { "a huge Content-Length", "response/too-large", answer(SESSION, "Content-Length: 9007199254740993\r\n"), CLOSE },
  { "a Content-Length beyond 64 bits", "response/too-large",
    answer(SESSION, "Content-Length: 99999999999999999999\r\n"), CLOSE },
  { "the same Content-Length twice", "session",
    answer(SESSION, ("Content-Length: %d\r\n"):rep(2):format(#SESSION, #SESSION)), CLOSE },
  { "two Content-Lengths, the last beyond the body", "network/interrupted",
    answer(SESSION, ("Content-Length: %d\r\nContent-Length: 99\r\n"):format(#SESSION)), CLOSE },
  { "no Content-Length, and a body that its end delimits", "session", answer(SESSION), CLOSE },
  { "no Content-Length, and a body that its end cuts", "response/not-json", answer(SESSION:sub(1, -2)), CLOSE },

  { "a chunk size that is no number", "network/interrupted", chunked("xyz\r\n" .. SESSION), CLOSE },
  { "a chunk longer than its size", "network/interrupted", chunked("3\r\n" .. SESSION .. "\r\n0\r\n\r\n"), CLOSE },
  { "a chunk size beyond 64 bits", "network/interrupted", chunked(("f"):rep(20) .. "\r\n" .. SESSION), CLOSE },
  { "a chunk cut off", "network/interrupted", chunked("40\r\n" .. SESSION), CLOSE },
  { "no last chunk", "network/interrupted", chunked(chunk(SESSION)), CLOSE },
  { "whole chunks", "session", chunked(chunk(SESSION:sub(1, 9)) .. chunk(SESSION:sub(10)) .. "0\r\n\r\n"), CLOSE },

  { "headers without end", "response/too-large", send("HTTP/1.1 201 Created\r\n"),
    { ["repeat"] = 100000, steps = { send(("X-A: " .. ("a"):rep(90) .. "\r\n"):rep(100)) } } },
  { "a header line of 1 MiB", "response/too-large", answer(SESSION, "X-A: " .. ("a"):rep(1048576) .. "\r\n"), CLOSE },
  { "a header line without end", "response/too-large", send("HTTP/1.1 201 Created\r\nX-A: "),
    { ["repeat"] = 100000, steps = { send(("a"):rep(10000)) } } },
  { "interim answers without end", "network/timeout",
    { ["repeat"] = 100000, steps = { send("HTTP/1.1 102 Processing\r\n\r\n"), { sleep = 0.01 } } }, timeout = 0.3 },
  { "a body over max_response_size by its length", "response/too-large", sized(("x"):rep(2000)), size = 1000 },
  { "a body over max_response_size in chunks", "response/too-large",
    chunked(chunk(("x"):rep(600)):rep(2)), { hang = true }, size = 1000 },
  { "a body over max_response_size without a length", "response/too-large",
    send("HTTP/1.1 201 Created\r\n\r\n" .. ("x"):rep(2000)), { hang = true }, size = 1000 },
  { "a body of exactly max_response_size", "session", sized(SESSION), size = #SESSION },

  { "interim answers before the answer", "session",
    send(("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nContent-Length: 7\r\n\r\n"):rep(3)),
    sized(SESSION) },
  { "a switch of protocols that nobody asked for", "network/interrupted",
    send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"), CLOSE },
  { "a 204 with a body", "response/no-session", sized(SESSION, "204 No Content"), CLOSE },
  { "a 304", "response/status", answer("", "", "304 Not Modified"), CLOSE },

  { "an answer in invalid UTF-8 beyond the id", "session", sized(('{"id":"%s","language":"\255\254"}'):format(ID)) },
  { "an id in invalid UTF-8", "response/no-session", sized('{"id":"abc\255"}') },
  { "NUL bytes in the JSON", "response/not-json", sized('{"id":\0"abc"}') },
  { "NUL bytes after the JSON", "response/not-json", sized(SESSION .. "\0") },
  { "a byte order mark before the JSON", "response/not-json", sized("\239\187\191" .. SESSION) },
  { "lists nested 10,000 deep", "response/not-json", sized(('{"id":"%s","a":%s}'):format(ID, depth("[", "", "]"))) },
  { "objects nested 10,000 deep", "response/not-json", sized(depth('{"a":', "1", "}")) },
  { "NaN in the JSON", "response/not-json", sized(('{"id":"%s","a":NaN}'):format(ID)) },
  { "Infinity in the JSON", "response/not-json", sized(('{"id":"%s","a":-Infinity}'):format(ID)) },
  { "a hexadecimal number in the JSON", "response/not-json", sized(('{"id":"%s","a":0x10}'):format(ID)) },
  { "a lone surrogate in the JSON", "response/not-json", sized(([[{"id":"%s","a":"\ud800"}]]):format(ID)) },
  { "a trailing comma in the JSON", "response/not-json", sized(('{"id":"%s",}'):format(ID)) },
  { "a name given twice in the JSON", "session", sized(('{"id":"other","id":"%s"}'):format(ID)) },
}

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

  describe("of an answer", function()
    local function run(row)
      local steps = { REQUEST }
      for i = 3, #row do
        steps[#steps + 1] = row[i]
      end
      local listener = listener_with(steps)
      local client = client_of(listener, { timeout = row.timeout, max_response_size = row.size })
      local began = socket.gettime()
      local session, err = client:login(MOTOR)
      local took = socket.gettime() - began
      standin:call("unlisten", { listener = listener.id })
      return session, err, took, listener
    end

    for _, row in ipairs(FAULTS) do
      it(("gives %s, with one request, for %s"):format(row[2], row[1]), function()
        local session, err, took, listener = run(row)
        if row[2] == "session" then
          assert.is_nil(err)
          assert.are.equal(ID, session.id)
        else
          assert.is_nil(session)
          assert.are.equal(row[2], err.type)
          assert.is_truthy(err.message:find("%w"))
          assert.is_nil(tostring(err):find("%c"))
        end
        assert.are.equal(1, received(listener))
        assert.is_true(took < 5)
      end)
    end
  end)

  describe("of a connection", function()
    local function free_port()
      local bound = assert(socket.bind("127.0.0.1", 0))
      local _, port = bound:getsockname()
      bound:close()
      return tonumber(port)
    end

    it("gives network/connect where the connection is refused", function()
      local client = filescom.new({ base_url = "http://127.0.0.1:" .. free_port(), retries = 0 })
      local _, err = client:login(MOTOR)
      assert.are.equal("network/connect", err.type)
    end)

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

    it("gives network/resolve for a name that does not exist", function()
      local _, err = filescom.new({ base_url = "https://nowhere.invalid", retries = 0 }):login(MOTOR)
      assert.are.equal("network/resolve", err.type)
    end)

    -- Whether a request was on its way by then is a matter of microseconds.
    it("gives an error of the network for a reset at once, however often it is tried", function()
      local listener = listener_with({ RESET }, { RESET }, { RESET })
      local session, err = client_of(listener):login(MOTOR)
      assert.is_nil(session)
      assert.is_true(err.type == "network/interrupted" or err.type == "network/connect")
      assert.are.equal(0, received(listener))
    end)

    it("gives network/interrupted where the answer of a logout ends inside its head", function()
      local head = send("HTTP/1.1 204 No Content\r\nX-Request-Id: 1\r\nX-Fi")
      local listener = listener_with({ { service = 1 }, REQUEST, head, CLOSE })
      local session = assert(client_of(listener):login(MOTOR))
      local result, err = session:logout()
      assert.is_nil(result)
      assert.are.equal("network/interrupted", err.type)
    end)

    it("gives network/timeout where nobody accepts the TLS handshake", function()
      local listener = standin:listen({ scheme = "https" })
      standin:script(listener, { { raw = true }, { hang = true } })
      local client = client_of(listener, { ca_file = standin.ca_file, timeout = 0.3, retries = 0 })
      local _, err = client:login(MOTOR)
      assert.are.equal("network/timeout", err.type)
      assert.are.equal(0, #standin:log())
    end)
  end)

  describe("of a kept connection", function()
    it("goes on over a new connection where the kept one was closed while idle, and sends once", function()
      local listener = listener_with()
      local client = client_of(listener)
      assert(client:login(MOTOR))
      close_idle(listener, 1)
      assert.is_truthy(client:login(MOTOR))
      assert.are.equal(2, received(listener))
      assert.are.equal(2, accepted_by(listener))
    end)

    it("goes on over a new connection where several kept ones were closed while idle", function()
      local listener = listener_with()
      local client = core.client({ base_url = listener.base_url })
      log_in_at_once(client, 4)
      close_idle(listener, 4)
      assert.is_truthy(client:login(MOTOR))
      assert.are.equal(5, received(listener))
      assert.are.equal(5, accepted_by(listener))
    end)

    -- The second request of a kept connection is read, and then `steps` follow in place of an answer.
    local function second_request(...)
      local listener = listener_with({ { service = 1 }, REQUEST, ... })
      local client = client_of(listener)
      return client, assert(client:login(MOTOR)), listener
    end

    it("does not send a login again where the service read it and closed", function()
      local client, _, listener = second_request(CLOSE)
      local session, err = client:login(MOTOR)
      assert.is_nil(session)
      assert.are.equal("network/interrupted", err.type)
      assert.are.equal(2, received(listener))
    end)

    it("does not send a login again where the service read it and ended the connection in order", function()
      local client, _, listener = second_request({ shutdown = true }, { sleep = 0.2 })
      local _, err = client:login(MOTOR)
      assert.are.equal("network/interrupted", err.type)
      assert.are.equal(2, received(listener))
    end)

    it("does not send a login again where the service read it and reset the connection", function()
      local client, _, listener = second_request(RESET)
      local _, err = client:login(MOTOR)
      assert.are.equal("network/interrupted", err.type)
      assert.are.equal(2, received(listener))
    end)

    it("does not send a logout again where the service read it and closed", function()
      local _, session, listener = second_request(CLOSE)
      local _, err = session:logout()
      assert.are.equal("network/interrupted", err.type)
      assert.are.equal(2, received(listener))
    end)

    it("does not send a call again where the service read it and closed", function()
      local _, session, listener = second_request(CLOSE)
      local _, err = session:request("POST", "/folders", { json = { path = "x" } })
      assert.are.equal("network/interrupted", err.type)
      assert.are.equal(2, received(listener))
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

    it("logs in again after a login whose kept connection broke", function()
      local client, _, listener = second_request(CLOSE)
      client:login(MOTOR)
      assert.is_truthy(client:login(MOTOR))
      assert.are.equal(3, received(listener))
    end)

    it("does not use a connection again that was left with an answer half read", function()
      local listener = listener_with({ REQUEST, sized(("x"):rep(5000)), { hang = true } })
      local client = client_of(listener, { max_response_size = 1000 })
      local _, err = client:login(MOTOR)
      assert.are.equal("response/too-large", err.type)
      assert.is_truthy(client:login(MOTOR))
      assert.are.equal(2, accepted_by(listener))
    end)

    it("does not take bytes that came beyond one answer for the next one's answer", function()
      local two = sized(SESSION).send .. sized('{"id":"poison"}').send
      local listener = listener_with({ REQUEST, send(two), { hang = true } })
      local client = client_of(listener)
      assert.are.equal(ID, assert(client:login(MOTOR)).id)
      local session = client:login(MOTOR)
      assert.is_true(session == nil or session.id ~= "poison")
    end)
  end)

  describe("of TLS", function()
    local function login_at(listener, options)
      options = options or { ca_file = standin.ca_file }
      options.base_url, options.timeout = options.base_url or listener.base_url, 10
      return filescom.new(options):login(MOTOR)
    end

    local function assert_untrusted(session, err)
      assert.is_nil(session)
      assert.are.equal("network/tls", err.type)
      assert.are.equal(0, #standin:log())
    end

    for _, kind in ipairs({ "expired", "self-signed", "wrong-host", "unknown-authority", "tls1.1" }) do
      it(("gives network/tls, and sends nothing, where the service shows: %s"):format(kind), function()
        assert_untrusted(login_at(standin:listen({ scheme = "https", cert = kind })))
      end)
    end

    it("gives network/tls where the authority is not one of those trusted", function()
      assert_untrusted(login_at(standin:listen({ scheme = "https" }), {}))
    end)

    it("gives network/tls where the certificate is for another name of the same host", function()
      local listener = standin:listen({ scheme = "https", address = "127.0.0.3" })
      assert_untrusted(login_at(listener))
    end)

    it("gives network/tls where the certificate becomes untrusted between two calls", function()
      local listener = standin:listen({ scheme = "https" })
      standin:call("configure", { keep_alive = false })
      assert(login_at(listener))
      standin:call("certificate", { listener = listener.id, cert = "unknown-authority" })
      standin:call("clear_log")
      assert_untrusted(login_at(listener))
    end)

    it("gives network/tls where the service speaks plain HTTP", function()
      local listener = standin:listen({ scheme = "http" })
      local session, err = login_at(listener, { base_url = "https://" .. listener.host })
      assert.is_nil(session)
      assert.are.equal("network/tls", err.type)
    end)

    it("gives network/interrupted where TLS breaks inside an answer", function()
      local listener = standin:listen({ scheme = "https" })
      standin:script(listener, { REQUEST, answer(SESSION, "Content-Length: 99\r\n"), CLOSE })
      local _, err = login_at(listener)
      assert.are.equal("network/interrupted", err.type)
    end)

    it("takes no part of an answer for a whole one where TLS ends without a word", function()
      local listener = standin:listen({ scheme = "https" })
      standin:script(listener, { REQUEST, answer(SESSION:sub(1, -2)), CLOSE })
      local session, err = login_at(listener)
      assert.is_nil(session)
      assert.is_true(err.type == "network/interrupted" or err.type == "response/not-json")
    end)

    it("logs in over TLS 1.2 or later where all is well", function()
      assert(login_at(standin:listen({ scheme = "https" })))
      assert.is_truthy(standin:last().tls:find("^TLSv1%.[23]$"))
    end)
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
