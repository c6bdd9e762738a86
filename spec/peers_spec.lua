-- Where the official clients fail: for every row of their failures a test that this library does not share it.
-- Each test tells by the stand-in's log what went over the wire. Depends on filescom, LuaSocket (for its clock),
-- lua-cjson and spec/support/standin.lua; runs on every Lua.

local cjson = require("cjson")
local filescom = require("filescom")
local gettime = require("socket").gettime
local support = require("spec.support.standin")

local MOTOR = { username = "motor", password = "vroom" }

-- What a command prints, without its last line end.
local function output_of(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read("*a")
  pipe:close()
  return (text:gsub("\n$", ""))
end

-- The interpreter that runs these tests.
local function interpreter()
  return output_of("readlink /proc/$PPID/exe")
end

local function json_answer(body, headers)
  return ("HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n%s\r\n%s"):format(headers or "", body)
end

describe("what the official clients get wrong", function()
  local standin, client

  setup(function()
    standin = support.start({ "http" })
  end)

  teardown(function()
    standin:stop()
  end)

  before_each(function()
    standin:reset()
    client = filescom.new({ base_url = standin.http.base_url })
  end)

  -- The requests that the stand-in received, oldest first.
  local function requests()
    return standin:log()
  end

  -- A client of a listener of its own, whose connections go through the steps given.
  local function scripted(...)
    local listener = standin:listen({ scheme = "http" })
    standin:script(listener, ...)
    return filescom.new({ base_url = listener.base_url, timeout = 5 }), listener
  end

  local function order(status, body, headers, count)
    standin:call("next_answers", { status = status, body = body, headers = headers, count = count or 1 })
  end

  describe("(a refused login is sent again)", function()
    local function refused_once(type, status)
      local session, err = client:login({ username = "motor", password = "vroom", otp = nil })
      assert.is_nil(session)
      assert.are.equal(type, err.type)
      assert.are.equal(status, err.status)
      assert.are.equal(1, #requests())
    end

    it("sends a login with a wrong password once", function()
      local _, err = client:login({ username = "motor", password = "wrong" })
      assert.are.equal("not-authenticated/invalid-username-or-password", err.type)
      assert.are.equal(1, #requests())
    end)

    it("sends a login with a wrong code once", function()
      local _, err = client:login({ username = "tess", password = "tick-tock", otp = "000" })
      assert.are.equal("not-authenticated/one-time-password-incorrect", err.type)
      assert.are.equal(1, #requests())
    end)

    it("sends a login that is answered with a challenge once", function()
      local _, err = client:login({ username = "sam", password = "dot-dash" })
      assert.are.equal("not-authenticated/two-factor-authentication-error", err.type)
      assert.are.equal(1, #requests())
    end)

    it("sends a login that is answered 429 once", function()
      standin:call("rate_limit", { count = 10 })
      refused_once("rate-limited/too-many-login-attempts", 429)
    end)

    for _, status in ipairs({ 408, 425, 500, 502, 503, 504 }) do
      it(("sends a login that is answered %d once"):format(status), function()
        order(status, '{"error":"come back later"}', { ["Content-Type"] = "application/json" }, 10)
        refused_once("response/status", status)
      end)
    end

    it("sends a logout that is answered 503 once", function()
      local session = assert(client:login(MOTOR))
      order(503, "", nil, 10)
      local _, err = session:logout()
      assert.are.equal(503, err.status)
      assert.are.equal(2, #requests())
    end)

    it("counts one failure of an account for one refused login", function()
      standin:call("configure", { lockout_after = 2 })
      client:login({ username = "motor", password = "wrong" })
      assert.is_truthy(client:login(MOTOR))
    end)
  end)

  describe("(Retry-After is slept, or ignored)", function()
    local function told(expected)
      local began = gettime()
      local _, err = client:login(MOTOR)
      assert.are.equal(expected, err.retry_after)
      assert.is_true(gettime() - began < 5)
      assert.are.equal(1, #requests())
      return err
    end

    it("returns a Retry-After of 600 seconds without sleeping it", function()
      standin:call("rate_limit", { count = 10, retry_after = 600 })
      told(600)
    end)

    it("returns a Retry-After that is a date as seconds, without sleeping them", function()
      order(503, "", {
        ["Date"] = "Sun, 06 Nov 1994 08:49:37 GMT",
        ["Retry-After"] = "Sun, 06 Nov 1994 08:59:37 GMT",
      }, 10)
      told(600)
    end)

    it("shows the Retry-After in the line for a person", function()
      standin:call("rate_limit", { count = 10, retry_after = 600 })
      assert.is_truthy(tostring(told(600)):find("retry after 600 s", 1, true))
    end)
  end)

  describe("(a time limit does not end the request)", function()
    local listener

    before_each(function()
      listener = standin:listen({ scheme = "http" })
      client = filescom.new({ base_url = listener.base_url, timeout = 0.2 })
      standin:call("configure", { hang = true })
    end)

    it("ends a login whose time is up as network/timeout", function()
      local began = gettime()
      local _, err = client:login(MOTOR)
      local took = gettime() - began
      assert.are.equal("network/timeout", err.type)
      assert.is_true(took >= 0.15 and took < 3)
    end)

    it("closes the connection of a login whose time is up", function()
      client:login(MOTOR)
      local deadline = gettime() + 3
      while standin:connections(listener) > 0 and gettime() < deadline do
        standin:call("ping")
      end
      assert.are.equal(0, (standin:connections(listener)))
    end)

    it("sends a login whose time is up once", function()
      client:login(MOTOR)
      local _, accepted = standin:connections(listener)
      assert.are.equal(1, #requests())
      assert.are.equal(1, accepted)
    end)
  end)

  describe("(a truncated answer is a success)", function()
    local WHOLE = '{"id":"0123456789abcdef0123456789abcdef"}'

    local function interrupted(...)
      local session, err = scripted({ { read = "request" }, ... }):login(MOTOR)
      assert.is_nil(session)
      assert.are.equal("network/interrupted", err.type)
      assert.are.equal(1, #requests())
    end

    it("tells network/interrupted where the body is shorter than its Content-Length", function()
      interrupted({ send = json_answer(WHOLE, "Content-Length: 500\r\n") }, { close = true })
    end)

    it("tells network/interrupted where a chunked body ends within a chunk", function()
      interrupted({ send = json_answer("100\r\n" .. WHOLE, "Transfer-Encoding: chunked\r\n") }, { close = true })
    end)

    it("tells network/interrupted where a chunked body ends before its last chunk", function()
      local chunk = ("%x\r\n%s\r\n"):format(#WHOLE, WHOLE)
      interrupted({ send = json_answer(chunk, "Transfer-Encoding: chunked\r\n") }, { close = true })
    end)

    it("tells network/interrupted where a truncated answer of a logout ends", function()
      local other = scripted({ { service = 1 }, { read = "request" }, { send = "HTTP/1.1 2" }, { close = true } })
      local session = assert(other:login(MOTOR))
      local _, err = session:logout()
      assert.are.equal("network/interrupted", err.type)
      assert.are.equal(2, #requests())
    end)

    it("goes on after a truncated answer", function()
      local other = scripted({ { read = "request" }, { send = json_answer("{", "Content-Length: 9\r\n") } })
      assert.is_nil((other:login(MOTOR)))
      assert.is_truthy(other:login(MOTOR))
    end)
  end)

  describe("(redirects are followed)", function()
    local other

    before_each(function()
      other = standin:listen({ scheme = "http" })
    end)

    local function redirect(status, location)
      order(status, "", { Location = location }, 10)
    end

    local function assert_not_followed(err, status, count)
      local _, accepted = standin:connections(other)
      assert.are.equal("response/status", err.type)
      assert.are.equal(status, err.status)
      assert.are.equal(0, accepted)
      assert.are.equal(count, #requests())
    end

    for _, status in ipairs({ 301, 302, 303, 307, 308 }) do
      it(("does not post a password to where a %d points"):format(status), function()
        redirect(status, other.base_url .. "/api/rest/v1/sessions")
        local _, err = client:login(MOTOR)
        assert_not_followed(err, status, 1)
      end)

      it(("does not take a session id to where a %d points at a logout"):format(status), function()
        local session = assert(client:login(MOTOR))
        redirect(status, other.base_url .. "/api/rest/v1/sessions")
        local _, err = session:logout()
        assert_not_followed(err, status, 2)
      end)

      it(("does not take a session id to where a %d points at a call"):format(status), function()
        local session = assert(client:login(MOTOR))
        redirect(status, other.base_url .. "/api/rest/v1/user")
        local _, err = session:request("GET", "/user")
        assert_not_followed(err, status, 2)
      end)
    end

    it("does not follow a redirect to the same host", function()
      redirect(307, "/api/rest/v1/sessions")
      local _, err = client:login(MOTOR)
      assert_not_followed(err, 307, 1)
    end)

    it("does not begin a chain of redirects", function()
      order(302, "", { Location = standin.http.base_url .. "/api/rest/v1/sessions" }, 1000)
      local _, err = client:login(MOTOR)
      assert_not_followed(err, 302, 1)
    end)

    it("does not follow a Refresh header", function()
      order(200, "", { Refresh = "0; url=" .. other.base_url }, 10)
      local _, err = client:login(MOTOR)
      local _, accepted = standin:connections(other)
      assert.are.equal("response/no-session", err.type)
      assert.are.equal(0, accepted)
    end)
  end)

  describe("(a success without a session is a session)", function()
    local JSON = { ["Content-Type"] = "application/json" }
    local NO_SESSION = {
      ["an object without id"] = '{"language":"en"}',
      ["an empty id"] = '{"id":""}',
      ["a null id"] = '{"id":null}',
      ["a number as id"] = '{"id":123456}',
      ["a boolean as id"] = '{"id":true}',
      ["a list as id"] = '{"id":["abcdef"]}',
      ["an id with a blank"] = '{"id":"abc def"}',
      ["an id with a line break"] = [[{"id":"abc\r\nX-Evil: 1"}]],
      ["an id with a NUL byte"] = [[{"id":"abc\u0000def"}]],
      ["an id beyond ASCII"] = [[{"id":"abc\u00e9"}]],
      ["a list"] = '[{"id":"abcdef"}]',
      ["a string"] = '"abcdef"',
      ["null"] = "null",
      ["an empty object"] = "{}",
      ["an empty list"] = "[]",
      ["no body"] = "",
    }

    for what, body in pairs(NO_SESSION) do
      it(("tells response/no-session where a 201 brings %s"):format(what), function()
        order(201, body, JSON)
        local session, err = client:login(MOTOR)
        assert.is_nil(session)
        assert.are.equal("response/no-session", err.type)
        assert.are.equal(201, err.status)
      end)
    end

    it("tells response/no-session where a login is answered 204", function()
      order(204)
      local session, err = client:login(MOTOR)
      assert.is_nil(session)
      assert.are.equal("response/no-session", err.type)
    end)

    it("tells response/not-json where a login is answered 200 with an HTML page", function()
      order(200, "<!DOCTYPE html><html><body>Welcome to the hotel</body></html>", { ["Content-Type"] = "text/html" })
      local session, err = client:login(MOTOR)
      assert.is_nil(session)
      assert.are.equal("response/not-json", err.type)
      assert.are.equal(200, err.status)
    end)

    it("tells response/not-json where a logout is answered 200 with an HTML page, and keeps the session", function()
      local session = assert(client:login(MOTOR))
      order(200, "<html>Welcome to the hotel</html>", { ["Content-Type"] = "text/html" })
      local _, err = session:logout()
      assert.are.equal("response/not-json", err.type)
      assert.are.equal(204, assert(client:logout()).status)
    end)

    it("keeps no session of a login that brought none", function()
      order(201, "{}", JSON)
      client:login(MOTOR)
      local _, err = client:logout()
      assert.are.equal("session/none", err.type)
    end)
  end)

  describe("(error bodies of other shapes)", function()
    -- What a refusal's body may be, and, where one is meant, the message that it holds.
    local SHAPES = {
      { "empty", "" },
      { "blank", " \r\n\t " },
      { "an HTML page", "<html><body><h1>502 Bad Gateway</h1></body></html>" },
      { "plain text", "upstream connect error" },
      { "a NUL byte", "\0" },
      { "binary", "\255\254\0\1\2\3" },
      { "truncated JSON", '{"error":"half' },
      { "two JSON values", '{"error":"one"}{"error":"two"}' },
      { "null", "null" },
      { "true", "true" },
      { "a number", "42" },
      { "an empty string", '""' },
      { "a string", '"nothing doing"', "nothing doing" },
      { "an empty object", "{}" },
      { "an empty list", "[]" },
      { "a list of strings", '["first trouble","second"]', "first trouble" },
      { "a list of objects", '[{"error":"in a list"}]', "in a list" },
      { "a list of nulls", "[null,null]" },
      { "a list of lists", '[[["deep"]]]', "deep" },
      { "error null", '{"error":null}' },
      { "error empty", '{"error":""}' },
      { "error blank", [[{"error":" \n\t "}]] },
      { "error a number", '{"error":17}' },
      { "error false", '{"error":false}' },
      { "error an object", '{"error":{"message":"nested text"}}', "nested text" },
      { "error an object of objects", '{"error":{"error":{"message":"twice nested"}}}', "twice nested" },
      { "error a list", '{"error":["listed"]}', "listed" },
      { "error with NUL bytes", [[{"error":"a\u0000b\u0000"}]], "a b" },
      { "error with line breaks", [[{"error":"one\r\ntwo\nthree"}]], "one two three" },
      { "error with an escape sequence", [[{"error":"\u001b[2Jgone"}]], "[2Jgone" },
      { "error with C1 controls", [[{"error":"a\u009b2Jb\u0085c"}]] },
      { "error with a broken UTF-8", '{"error":"a\255b"}', "a?b" },
      { "error very long", ('{"error":"%s"}'):format(("word "):rep(40000)) },
      { "message alone", '{"message":"said so"}', "said so" },
      { "detail alone", '{"detail":"in detail"}', "in detail" },
      { "title alone", '{"title":"Entitled"}', "Entitled" },
      { "errors alone", '{"errors":["one of them"]}', "one of them" },
      { "errors of objects", '{"errors":[{"message":"first object"}]}', "first object" },
      { "errors an object", '{"errors":{"field":"is bad"}}' },
      { "errors a string", '{"errors":"not a list"}', "not a list" },
      { "errors a number", '{"errors":3}' },
      { "type null", '{"type":null,"error":"typeless"}', "typeless" },
      { "type a number", '{"type":401,"error":"typeless"}', "typeless" },
      { "type a list", '{"type":["a/b"],"error":"typeless"}', "typeless" },
      { "type an object", '{"type":{"a":"b"},"error":"typeless"}', "typeless" },
      { "type empty", '{"type":"","error":"typeless"}', "typeless" },
      { "type with a line break", [[{"type":"a/b\r\nc","error":"typeless"}]], "typeless" },
      { "type with a NUL byte", [[{"type":"a/b\u0000","error":"typeless"}]], "typeless" },
      { "type without a group", '{"type":"not-found","error":"groupless"}', "groupless" },
      { "type of many parts", '{"type":"a/b/c","error":"parts"}', "parts" },
      { "type very long", ('{"type":"%s"}'):format(("a"):rep(100000)) },
      { "title a list", '{"title":["A"],"error":"x"}', "x" },
      { "data a string", '{"data":"text","error":"x"}', "x" },
      { "data null", '{"data":null,"error":"x"}', "x" },
      { "instance a number", '{"instance":7,"error":"x"}', "x" },
      { "instance with a line break", [[{"instance":"a\nb","error":"x"}]], "x" },
      { "an object named by numbers", '{"1":"a","2":"b"}' },
      { "nesting to depth 1,000", ("["):rep(1000) .. ("]"):rep(1000) },
      { "nesting to depth 90", ('{"error":'):rep(90) .. '"x"' .. ("}"):rep(90) },
    }

    -- C0, DEL, and in UTF-8 C1: what a terminal obeys.
    local function has_controls(text)
      return text:find("[%z\1-\31\127]") ~= nil or text:find("\194[\128-\159]") ~= nil
    end

    local function assert_readable(text)
      assert.are.equal("string", type(text))
      assert.is_truthy(text:find("%w"))
      assert.is_false(has_controls(text))
      assert.is_true(#text < 1000)
    end

    for _, shape in ipairs(SHAPES) do
      local what, body, message = shape[1], shape[2], shape[3]

      it(("gives type, group and a readable message where the error body is: %s"):format(what), function()
        order(422, body, { ["Content-Type"] = "application/json" })
        local session, err = client:login(MOTOR)
        assert.is_nil(session)
        assert_readable(err.type)
        assert_readable(err.group)
        assert_readable(err.message)
        assert_readable(err.title)
        assert_readable(tostring(err))
        assert.are.equal(422, err.status)
        assert.are.equal(err.type:match("^[^/]*"), err.group)
        if message then assert.are.equal(message, err.message) end
      end)
    end

    it("gives a readable message where a call is refused with an HTML page", function()
      local session = assert(client:login(MOTOR))
      order(502, "<html>Bad Gateway</html>", { ["Content-Type"] = "text/html" })
      local _, err = session:request("GET", "/user")
      assert.are.equal("response/status", err.type)
      assert_readable(err.message)
    end)
  end)

  describe("(http-code that is no number)", function()
    local CODES = { '"500"', '"500 Internal"', '""', "[500]", "{}", "500.5", "-1", "0", "null", "true", "1e99", "500" }

    for _, code in ipairs(CODES) do
      it(("takes HTTP's status where http-code is %s"):format(code), function()
        order(403, ('{"error":"no","http-code":%s,"type":"not-authorized/no"}'):format(code))
        local _, err = client:login(MOTOR)
        assert.are.equal(403, err.status)
        assert.are.equal("not-authorized/no", err.type)
        assert.are.equal("no", err.message)
      end)
    end
  end)

  describe("(model_errors are lost)", function()
    local BODY = [[{"error":"Validation failed","http-code":422,"type":"processing-failure/model-save-error",
      "errors":["Name is taken"],"model_errors":{"name":["is taken","is short"],"path":["is bad"]}}]]

    local function assert_kept(err)
      assert.are.same({ name = { "is taken", "is short" }, path = { "is bad" } }, err.model_errors)
      assert.are.same({ "Name is taken" }, err.errors)
    end

    it("keeps model_errors of a login", function()
      order(422, BODY)
      local _, err = client:login(MOTOR)
      assert_kept(err)
    end)

    it("keeps model_errors of a call", function()
      local session = assert(client:login(MOTOR))
      order(422, BODY)
      local _, err = session:request("POST", "/folders", { json = { name = "x" } })
      assert_kept(err)
    end)
  end)

  describe("(a logout ends another session, or none)", function()
    local second

    before_each(function()
      second = filescom.new({ base_url = standin.http.base_url })
      standin:call("account", { username = "rotor", password = "whirr" })
    end)

    -- The ids of the sessions that are open at the service.
    local function open_ids()
      local ids = {}
      for _, session in ipairs(standin:call("sessions")) do
        ids[session.id] = true
      end
      return ids
    end

    local function ids_of(...)
      local ids = {}
      for _, session in ipairs({ ... }) do
        ids[session.id] = true
      end
      return ids
    end

    it("ends exactly the session named among several of one client", function()
      local a, b, c = client:login(MOTOR), client:login(MOTOR), client:login(MOTOR)
      assert(client:logout(b))
      assert.are.same(ids_of(a, c), open_ids())
    end)

    it("ends exactly the session named among those of several clients", function()
      local a, b = client:login(MOTOR), second:login({ username = "rotor", password = "whirr" })
      local c = client:login(MOTOR)
      assert(a:logout())
      assert.are.same(ids_of(b, c), open_ids())
    end)

    it("ends a session of one client that another client is told to end", function()
      local a, b = client:login(MOTOR), second:login(MOTOR)
      assert(second:logout(a))
      assert.are.same(ids_of(b), open_ids())
    end)

    it("ends the session whose id is named", function()
      local a, b = client:login(MOTOR), client:login(MOTOR)
      assert(client:logout(a.id))
      assert.are.same(ids_of(b), open_ids())
    end)

    it("ends the last login of this client that is open, not another client's", function()
      local a = client:login(MOTOR)
      local b = second:login(MOTOR)
      assert(client:logout())
      assert.are.same(ids_of(b), open_ids())
      assert.is_not.equal(a.id, b.id)
    end)

    it("sends the id of the session named and no other credential", function()
      local a = client:login(MOTOR)
      client:login(MOTOR)
      assert(client:logout(a))
      local sent = standin:last()
      assert.are.equal("DELETE", sent.method)
      assert.are.equal(a.id, sent.header["x-filesapi-auth"])
      assert.is_nil(sent.header["x-filesapi-key"])
      assert.is_nil(sent.header["authorization"])
      assert.is_nil(sent.header["cookie"])
      assert.are.equal("", sent.body)
    end)

    it("ends a session that was taken up by its id alone", function()
      local a, b = client:login(MOTOR), client:login(MOTOR)
      assert(second:session(a.id):logout())
      assert.are.same(ids_of(b), open_ids())
    end)
  end)

  describe("(a logout without a session logs in)", function()
    it("tells session/none and sends nothing where nobody has logged in", function()
      local result, err = client:logout()
      assert.is_nil(result)
      assert.are.equal("session/none", err.type)
      assert.are.equal(0, #requests())
    end)

    it("tells session/none and sends nothing where the last session was logged out", function()
      assert(client:login(MOTOR))
      assert(client:logout())
      standin:call("clear_log")
      local result, err = client:logout()
      assert.is_nil(result)
      assert.are.equal("session/none", err.type)
      assert.are.equal(0, #requests())
    end)

    it("tells session/none and sends nothing where a session is logged out a second time", function()
      local session = assert(client:login(MOTOR))
      assert(session:logout())
      standin:call("clear_log")
      local result, err = session:logout()
      assert.is_nil(result)
      assert.are.equal("session/none", err.type)
      assert.are.equal(0, #requests())
    end)
  end)

  describe("(a login carries an old session id or an API key)", function()
    local function assert_bare_logins(count)
      local seen = 0
      for _, sent in ipairs(requests()) do
        if sent.method == "POST" then
          seen = seen + 1
          assert.is_nil(sent.header["x-filesapi-auth"])
          assert.is_nil(sent.header["x-filesapi-key"])
          assert.is_nil(sent.header["authorization"])
          assert.is_nil(sent.header["cookie"])
          assert.is_nil(sent.note)
        end
      end
      assert.are.equal(count, seen)
    end

    it("sends no session id with a login while a session is open", function()
      assert(client:login(MOTOR))
      assert(client:login(MOTOR))
      assert_bare_logins(2)
    end)

    it("sends no session id with a login after a call and a logout on the same connection", function()
      local session = assert(client:login(MOTOR))
      assert(session:request("GET", "/user"))
      assert(session:logout())
      assert(client:login(MOTOR))
      assert_bare_logins(2)
      local last = standin:last()
      assert.are.equal(requests()[1].connection, last.connection)
    end)

    it("sends no session id with the second factor's login", function()
      assert(client:login(MOTOR))
      assert(client:login_with_otp({ username = "sam", password = "dot-dash" }, function()
        return standin:code("sam")
      end))
      assert_bare_logins(3)
    end)

    it("sends back no cookie that the service sets", function()
      order(401, "{}", { ["Set-Cookie"] = "session=abcdef; Path=/" })
      client:login(MOTOR)
      assert(client:login(MOTOR))
      assert_bare_logins(2)
    end)

    it("sends no API key that the environment holds", function()
      local script = ([[local c = require("filescom").new({ base_url = "%s" })
        assert(c:login({ username = "motor", password = "vroom" }))]]):format(standin.http.base_url)
      local command = ("FILES_API_KEY=environment FILES_COM_API_KEY=environment FILES_SESSION_ID=environment "
        .. "LUA_PATH='%s' LUA_CPATH='%s' '%s' -e '%s'"):format(package.path, package.cpath, interpreter(), script)
      os.execute(command)
      assert_bare_logins(1)
      assert.is_nil(cjson.encode(standin:last().headers):find("environment", 1, true))
    end)

    it("sends no user name and password of the environment's netrc", function()
      local home = output_of("mktemp -d")
      local netrc = assert(io.open(home .. "/.netrc", "w"))
      netrc:write("machine 127.0.0.1 login netrc-user password netrc-password\ndefault login a password b\n")
      netrc:close()
      local script = ([[local c = require("filescom").new({ base_url = "%s" })
        assert(c:login({ username = "motor", password = "vroom" }))]]):format(standin.http.base_url)
      os.execute(("HOME='%s' LUA_PATH='%s' LUA_CPATH='%s' '%s' -e '%s'; rm -r '%s'"):format(home, package.path,
        package.cpath, interpreter(), script, home))
      assert_bare_logins(1)
    end)
  end)

  describe("(secrets in a debug log)", function()
    local lines

    before_each(function()
      lines = {}
      client = filescom.new({
        base_url = standin.http.base_url,
        debug = function(line)
          lines[#lines + 1] = line
        end,
      })
    end)

    -- Nothing of the secrets is in the trace, and the trace is there.
    local function assert_traced_without(...)
      local text = table.concat(lines, "\n")
      assert.is_truthy(text:find("POST " .. standin.http.base_url, 1, true))
      for _, secret in ipairs({ ... }) do
        assert.is_nil(text:find(secret, 1, true))
      end
    end

    it("traces a login, a call and a logout without the password and the session id", function()
      local session = assert(client:login(MOTOR))
      assert(session:request("GET", "/user"))
      assert(session:logout())
      assert_traced_without("vroom", session.id, session.id:sub(1, 8))
    end)

    it("traces a refused login without the password", function()
      client:login({ username = "motor", password = "open-sesame" })
      assert_traced_without("open-sesame", "open", "sesame")
    end)

    it("traces a second factor without its code", function()
      local code
      local session = assert(client:login_with_otp({ username = "tess", password = "tick-tock" }, function()
        code = standin:code("tess")
        return code
      end))
      assert_traced_without("tick-tock", code, session.id)
    end)

    it("traces a key's second factor without its code and the partial session's id", function()
      local partial, code
      assert(client:login_with_otp({ username = "yuri", password = "press-here" }, function()
        code = standin:code("yuri")
        return code
      end))
      partial = standin:last().fields.partial_session_id
      assert_traced_without("press-here", code, assert(partial))
    end)

    it("traces an answer that repeats the password and a session id without either", function()
      order(401, '{"error":"vroom and c0ffee","type":"not-authenticated/vroom","data":{"id":"c0ffee"}}',
        { ["X-Request-Id"] = "r-1", ["X-FilesAPI-Auth"] = "c0ffee" })
      client:login(MOTOR)
      assert_traced_without("vroom", "c0ffee")
    end)

    it("traces a failure of the network without the password", function()
      local base_url = standin:listen({ scheme = "http" })
      standin:script(base_url, { { read = "request" }, { reset = true } })
      local other = filescom.new({ base_url = base_url.base_url, debug = function(line) lines[#lines + 1] = line end })
      other:login({ username = "motor", password = "open-sesame" })
      local text = table.concat(lines, "\n")
      assert.is_truthy(text:find("network/interrupted", 1, true))
      assert.is_nil(text:find("open-sesame", 1, true))
    end)

    it("traces a call without the query, the headers' values and the body", function()
      local session = assert(client:login(MOTOR))
      assert(session:request("POST", "/echo", {
        query = { token = "query-secret" },
        headers = { ["X-Files-Reauthentication"] = "password:header-secret" },
        body = "body-secret",
      }))
      assert_traced_without("query-secret", "header-secret", "body-secret", session.id)
    end)
  end)

  describe("(a session id with a line break)", function()
    local EVIL = "0123456789abcdef\r\nX-Injected: 1"
    local lines

    before_each(function()
      lines = {}
      client = filescom.new({
        base_url = standin.http.base_url,
        debug = function(line)
          lines[#lines + 1] = line
        end,
      })
    end)

    local function assert_refused(run, ...)
      local ok, why = pcall(run, ...)
      assert.is_false(ok)
      assert.is_truthy(tostring(why):find("session id must be", 1, true))
      assert.is_nil(tostring(why):find("Injected", 1, true))
      assert.are.equal(0, #requests())
      assert.are.same({}, lines)
    end

    it("is refused when a session is taken up by its id", function()
      assert_refused(client.session, client, EVIL)
    end)

    it("is refused when a session is taken up by its table", function()
      assert_refused(client.session, client, { id = EVIL })
    end)

    it("is refused by a logout that names the id", function()
      assert_refused(client.logout, client, EVIL)
    end)

    it("is refused by a logout of a session that was changed", function()
      local session = client:session("0123456789abcdef")
      session.id = EVIL
      assert_refused(session.logout, session)
    end)

    it("is refused by a call of a session that was changed", function()
      local session = client:session("0123456789abcdef")
      session.id = EVIL
      assert_refused(session.request, session, "GET", "/user")
    end)

    it("is refused in a service's answer, and no trace shows it", function()
      order(201, cjson.encode({ id = EVIL }), { ["Content-Type"] = "application/json" })
      local session, err = client:login(MOTOR)
      assert.is_nil(session)
      assert.are.equal("response/no-session", err.type)
      assert.is_nil((tostring(err) .. table.concat(lines)):find("Injected", 1, true))
    end)

    it("leaves lines of a trace whole where the service's request id has odd bytes", function()
      order(401, "{}", { ["X-Request-Id"] = "r-1\27[2J" })
      client:login(MOTOR)
      assert.is_true(#lines > 0)
      for _, line in ipairs(lines) do
        assert.is_nil(line:find("%c"))
      end
    end)
  end)

  describe("(the host's name is sent along)", function()
    -- Everything that a login, a call and a logout sent, as one text.
    local function everything_sent()
      local session = assert(client:login(MOTOR))
      assert(session:request("GET", "/user"))
      assert(session:logout())
      local sent = {}
      for _, request in ipairs(requests()) do
        for _, header in ipairs(request.headers) do
          sent[#sent + 1] = header[1] .. ": " .. header[2]
        end
        sent[#sent + 1] = request.body
      end
      assert.are.equal(3, #requests())
      return table.concat(sent, "\n")
    end

    it("sends neither the host's name nor what uname tells", function()
      -- Less the boundaries, which are random and may hold any short name.
      local sent = everything_sent()
      for boundary in sent:gmatch("boundary=(%S+)") do
        sent = sent:gsub((boundary:gsub("%-", "%%-")), "")
      end
      sent = sent:lower()
      for _, option in ipairs({ "-n", "-r", "-v" }) do
        local told = output_of("uname " .. option):lower()
        assert.is_true(#told > 0)
        assert.is_nil(sent:find(told, 1, true))
      end
      assert.is_nil(sent:find(output_of("uname -s"):lower(), 1, true))
    end)

    it("sends a User-Agent that tells the library and its version alone", function()
      everything_sent()
      for _, request in ipairs(requests()) do
        assert.are.equal("filescom-lua/" .. filescom._VERSION, request.header["user-agent"])
      end
    end)
  end)

  describe("(the second factor is left to the caller, once)", function()
    local SAM = { username = "sam", password = "dot-dash" }

    it("asks for a code again, several times, and then is in", function()
      local seen = {}
      local session = client:login_with_otp(SAM, function(challenge)
        seen[#seen + 1] = challenge.attempt
        return challenge.attempt < 3 and "000000" or standin:code("sam")
      end)
      assert.is_truthy(session)
      assert.are.same({ 1, 2, 3 }, seen)
      assert.are.equal(4, #requests())
    end)

    it("gives up after the attempts that were allowed", function()
      local asked = 0
      local session, err = client:login_with_otp(SAM, function()
        asked = asked + 1
        return "000000"
      end, { attempts = 4 })
      assert.is_nil(session)
      assert.are.equal("not-authenticated/one-time-password-incorrect", err.type)
      assert.are.equal(4, asked)
      assert.are.equal(5, #requests())
    end)
  end)

  describe("(a region hint goes to the same host again)", function()
    local RHEA = { username = "rhea", password = "far-away" }
    local europe

    before_each(function()
      europe = standin:listen({ scheme = "http", region = "eu" })
    end)

    local function name_host(host)
      standin:call("account", { username = "rhea", host = host })
    end

    local function listeners_asked()
      local asked = {}
      for _, request in ipairs(requests()) do
        asked[#asked + 1] = request.listener
      end
      return asked
    end

    it("goes once to the host named", function()
      name_host(europe.host)
      local session = assert(client:login(RHEA))
      assert.are.same({ standin.http.id, europe.id }, listeners_asked())
      assert.are.equal(europe.base_url .. "/api/rest/v1", session.base_url)
    end)

    it("takes calls and the logout of the session to the host named", function()
      name_host(europe.host)
      local session = assert(client:login(RHEA))
      assert(session:request("GET", "/user"))
      assert(client:logout())
      assert.are.same({ standin.http.id, europe.id, europe.id, europe.id }, listeners_asked())
    end)

    it("does not go on where the host named sends it on", function()
      local third = standin:listen({ scheme = "http" })
      standin:call("account", { username = "rhea", region = "us" })
      name_host(europe.host)
      local body = ('{"type":"not-authenticated/lockout-region-mismatch","data":{"host":"%s"}}'):format(third.host)
      standin:script(europe, {
        { read = "request" },
        { send = ("HTTP/1.1 401 Unauthorized\r\nContent-Length: %d\r\n\r\n%s"):format(#body, body) },
      })
      local session, err = client:login(RHEA)
      assert.is_nil(session)
      assert.are.equal("not-authenticated/lockout-region-mismatch", err.type)
      assert.are.same({ standin.http.id, europe.id }, listeners_asked())
    end)

    it("does not ask the same host again where that is the one named", function()
      name_host(standin.http.host)
      local session, err = client:login(RHEA)
      assert.is_nil(session)
      assert.are.equal("not-authenticated/lockout-region-mismatch", err.type)
      assert.are.equal(1, #requests())
    end)

    local ELSEWHERE = { "files.com.evil.com", "evilfiles.com", "user@127.0.0.1", "127.0.0.1/x", "eu.files.com", "" }

    for _, host in ipairs(ELSEWHERE) do
      it(("does not take a password to %q"):format(host), function()
        name_host(host)
        local session, err = client:login(RHEA)
        assert.is_nil(session)
        assert.are.equal("not-authenticated/lockout-region-mismatch", err.type)
        assert.are.equal("string", type(err.reason))
        assert.are.equal(1, #requests())
      end)
    end
  end)

  describe("(timeout_at is in no type)", function()
    it("has timeout_at as a field of the session", function()
      local session = assert(client:login(MOTOR))
      assert.is_truthy(session.timeout_at:find("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%dZ$"))
    end)

    it("keeps timeout_at when a session is written down and taken up again", function()
      local session = assert(client:login(MOTOR))
      local again = client:session(cjson.decode(cjson.encode(session)))
      assert.are.equal(session.timeout_at, again.timeout_at)
    end)
  end)

  describe("(a path in the base URL is dropped)", function()
    local function targets()
      local sent = {}
      for _, request in ipairs(requests()) do
        sent[#sent + 1] = request.target
      end
      return sent
    end

    it("keeps the path of the base URL in every request", function()
      local listener = standin:listen({ scheme = "http", prefix = "/a/b" })
      local session = assert(filescom.new({ base_url = listener.base_url }):login(MOTOR))
      assert(session:request("GET", "/user"))
      assert(session:logout())
      assert.are.same({ "/a/b/sessions", "/a/b/user", "/a/b/sessions" }, targets())
    end)

    it("takes a base URL with a slash at its end", function()
      local listener = standin:listen({ scheme = "http", prefix = "/a/b" })
      assert(filescom.new({ base_url = listener.base_url .. "/" }):login(MOTOR))
      assert.are.same({ "/a/b/sessions" }, targets())
    end)

    it("gives a base URL without a path the service's own", function()
      assert(client:login(MOTOR))
      assert.are.same({ "/api/rest/v1/sessions" }, targets())
    end)
  end)
end)
