-- Errors: their types, their fields, and how they are shown.
-- Depends on filescom, lua-cjson and the stand-in.

local api = require("spec.support.api")
local cjson = require("cjson")
local filescom = require("filescom")
local support = require("spec.support.standin")

local MOTOR = api.MOTOR

describe("an error", function()
  local standin, client

  setup(function()
    standin = support.start({ "http", "https:self-signed", "https:expired", "https:wrong-host",
      "https:unknown-authority" })
  end)

  teardown(function()
    standin:stop()
  end)

  before_each(function()
    standin:reset()
    client = filescom.new({ base_url = standin.http.base_url })
  end)

  -- The error of a login that is answered so.
  local function answered(status, body, headers)
    standin:call("next_answers", { status = status, body = body, headers = headers or {} })
    local session, err = client:login(MOTOR)
    assert.is_nil(session)
    return err
  end

  local function error_of(options, credentials)
    options.timeout = options.timeout or 5
    local session, err = filescom.new(options):login(credentials or MOTOR)
    assert.is_nil(session)
    return err
  end

  -- What a script prints that is given the stand-in's base URL.
  local function run_script(code, first)
    return api.run_lua((code:gsub("BASE_URL", ("%q"):format(standin.http.base_url))), first)
  end

  it("is made in full where no file can be opened any more", function()
    local said = run_script([[
      local filescom = require "filescom"
      local client = filescom.new { base_url = BASE_URL }
      local session = assert(client:login { username = "motor", password = "vroom" })
      local files, file = {}, nil
      repeat
        file = io.open "/dev/null"
        files[#files + 1] = file
      until not file
      local _, err = client:login { username = "motor", password = "a secret" }
      print(err.type, err.group, err)
    ]], "ulimit -n 64")
    assert.is_truthy(said:find("^not%-authenticated/invalid%-username%-or%-password\tnot%-authenticated\t"), said)
    assert.is_truthy(said:find("HTTP 401", 1, true), said)
  end)

  -- What a failed logout prints where a host takes something away before the client is loaded, or after that.
  local function without(taken, before)
    local lines = { 'filescom.new {}', taken .. " = nil" }
    if before then lines[1], lines[2] = lines[2], lines[1] end
    return api.run_lua(('local filescom = require "filescom"\n%s\nprint(select(2, filescom.logout()))')
      :format(table.concat(lines, "\n")))
  end

  local NOT_NEEDED = { "io", "io.open", "package" }
  if _VERSION ~= "Lua 5.1" then table.insert(NOT_NEEDED, "package.preload") end -- 5.1's require needs it itself

  for _, taken in ipairs(NOT_NEEDED) do
    it("is made where a host takes " .. taken .. " away before the client is loaded", function()
      assert.are.equal("session/none: there is no open session to log out", without(taken, true))
    end)
  end

  for _, taken in ipairs({ "io", "load", "assert", "package" }) do
    it("is made where a host takes " .. taken .. " away once the client is loaded", function()
      assert.are.equal("session/none: there is no open session to log out", without(taken, false))
    end)
  end

  if _VERSION ~= "Lua 5.1" then -- which does not say where a module lies
    it("costs whoever needs none no time: what makes it is not compiled", function()
      local said = run_script([[
        local filescom = require "filescom"
        local client = filescom.new { base_url = BASE_URL }
        client:logout(assert(client:login { username = "motor", password = "vroom" }))
        print(package.loaded["filescom.errors"], package.loaded["filescom.redaction"])
      ]])
      assert.are.equal("nil\tnil", said)
    end)

    it("is loaded at once where a searcher of one's own found the client, whatever path it tells", function()
      local said = api.run_lua([[
        local find = package.searchers[2]
        package.searchers[2] = function (name)
          local loader, path = find(name)
          return loader, type(path) == "string" and "archive/" .. path or nil
        end
        require("filescom").new {}
        print(package.loaded["filescom.errors"] ~= nil)
      ]])
      assert.are.equal("true", said)
    end)

    it("is loaded anew with the client where a host forgets both", function()
      local said = api.run_lua([[
        local function forget() for name in pairs(package.loaded) do
          if name:find "^filescom" and name ~= "filescom.core" then package.loaded[name] = nil end
        end end
        local filescom = require "filescom"
        local first = select(2, filescom.logout())
        forget()
        local second = select(2, require("filescom").logout())
        print(getmetatable(first) ~= getmetatable(second), package.preload["filescom.errors"])
      ]])
      assert.are.equal("true\tnil", said)
    end)
  end

  -- The error where a connection goes through these steps.
  local function scripted(...)
    local listener = standin:listen({ scheme = "http" })
    standin:script(listener, ...)
    local err = error_of({ base_url = listener.base_url, retries = 0 })
    standin:call("unlisten", { listener = listener.id })
    return err
  end

  describe("has", function()
    it("the service's own type", function()
      assert.are.equal("not-authenticated/locked-out", answered(401, '{"type":"not-authenticated/locked-out"}').type)
    end)

    it("the part of its type before the slash as its group", function()
      assert.are.equal("not-authenticated", answered(401, '{"type":"not-authenticated/locked-out"}').group)
    end)

    it("a type without a slash as its group", function()
      local err = answered(404, '{"type":"not-found"}')
      assert.are.equal("not-found not-found", err.type .. " " .. err.group)
    end)

    it("the service's text as its message", function()
      assert.are.equal("Too bad", answered(400, '{"type":"a/b","error":"Too bad"}').message)
    end)

    it("the service's title", function()
      assert.are.equal("Locked Out", answered(401, '{"type":"a/b","title":"Locked Out"}').title)
    end)

    it("a readable title where the service sent none", function()
      assert.are.equal("Locked out", answered(401, '{"type":"not-authenticated/locked-out"}').title)
    end)

    it("the status that HTTP gave, whatever http-code says", function()
      for _, code in ipairs({ "500", '"500"', "[1]", "4.5", "null" }) do
        local err = answered(401, '{"type":"a/b","http-code":' .. code .. "}")
        assert.are.equal(401, err.status)
        assert.are.equal("integer", api.kind_of(err.status))
      end
    end)

    it("X-Request-Id as its request_id", function()
      assert.are.equal("req-1", answered(401, '{"instance":"other"}', { ["X-Request-Id"] = "req-1" }).request_id)
    end)

    it("the body's instance as its request_id where there is no such header", function()
      assert.are.equal("inst-1", answered(401, '{"instance":"inst-1"}').request_id)
    end)

    it("no request_id where neither is there", function()
      assert.is_nil(answered(401, "{}").request_id)
    end)

    it("the seconds of a Retry-After that is a number", function()
      local retry_after = answered(429, "{}", { ["Retry-After"] = "600" }).retry_after
      assert.are.equal(600, retry_after)
      assert.are.equal("integer", api.kind_of(retry_after))
    end)

    it("the seconds until a Retry-After that is a date", function()
      standin:call("rate_limit", { count = 1, retry_after_date = 120 })
      local _, err = client:login(MOTOR)
      assert.is_true(err.retry_after >= 118 and err.retry_after <= 121, tostring(err.retry_after))
    end)

    it("the seconds of a date by the service's own clock", function()
      local err = answered(503, "", { Date = "Sun, 06 Nov 1994 08:49:37 GMT",
        ["Retry-After"] = "Sun, 06 Nov 1994 08:50:37 GMT" })
      assert.are.equal(60, err.retry_after)
    end)

    it("no retry_after where there is none, or none that can be read", function()
      assert.is_nil(answered(429, "{}").retry_after)
      assert.is_nil(answered(429, "{}", { ["Retry-After"] = "soon" }).retry_after)
      assert.is_nil(answered(429, "{}", { ["Retry-After"] = "-5" }).retry_after)
    end)

    it("data, errors and model_errors as the service sent them", function()
      local err = answered(422, '{"type":"a/b","data":{"x":[1,{"y":null}]},"errors":["one",{"two":2}],' ..
        '"model_errors":{"name":["is taken"]}}')
      assert.are.same({ x = { 1, {} } }, err.data)
      assert.are.same({ "one", { two = 2 } }, err.errors)
      assert.are.same({ name = { "is taken" } }, err.model_errors)
    end)

    it("none of these where the service sent none", function()
      local err = answered(422, '{"type":"a/b"}')
      assert.is_nil(err.data)
      assert.is_nil(err.errors)
      assert.is_nil(err.model_errors)
    end)

    it("no status where no answer came", function()
      assert.is_nil(error_of({ base_url = "http://127.0.0.1:" .. api.closed_port(), retries = 0 }).status)
    end)
  end)

  describe("has always a type, a group and a readable message, with an answer that is", function()
    local BODIES = {
      ["empty"] = "", ["a page of HTML"] = "<html><body>Bad Gateway</body></html>", ["a list"] = '["a","b"]',
      ["an empty list"] = "[]", ["an empty object"] = "{}", ["a text"] = '"no"', ["a number"] = "5", ["null"] = "null",
      ["false"] = "false", ["broken JSON"] = '{"error":', ["nested"] = '{"error":{"message":{"detail":"deep"}}}',
      ["full of the wrong types"] = '{"error":5,"type":{},"title":[],"instance":1,"data":"x","errors":{}}',
      ["full of NUL bytes"] = '{"error":"\\u0000\\u0000","type":"a\\u0000b"}',
      ["of errors that are objects"] = '{"errors":[{"message":"from the list"}]}',
      ["binary"] = "\0\255\254\1", ["a type with a line break"] = '{"type":"a/b\\r\\nX: 1"}',
    }
    for name, body in pairs(BODIES) do
      it(name, function()
        local err = answered(502, body)
        assert.are.equal("response/status", err.type)
        assert.are.equal("response", err.group)
        assert.is_truthy(err.message:find("%w"))
        assert.is_nil(err.message:find("%c"))
        assert.are.equal(502, err.status)
      end)
    end

    it("nested: its innermost text", function()
      assert.are.equal("deep", answered(400, BODIES.nested).message)
    end)

    it("a list of objects: their text", function()
      assert.are.equal("from the list", answered(400, BODIES["of errors that are objects"]).message)
    end)
  end)

  describe("of this library's own is", function()
    it("network/resolve for a name that does not exist", function()
      local err = error_of({ base_url = "https://no-such-host.invalid", retries = 0 })
      assert.are.equal("network/resolve network", err.type .. " " .. err.group)
    end)

    it("network/connect where nobody listens", function()
      local err = error_of({ base_url = "http://127.0.0.1:" .. api.closed_port(), retries = 0 })
      assert.are.equal("network/connect", err.type)
    end)

    for _, kind in ipairs({ "self-signed", "expired", "wrong-host", "unknown-authority" }) do
      it("network/tls for a certificate that is " .. kind .. ", and nothing is sent", function()
        local err = error_of({ base_url = standin["https:" .. kind].base_url, ca_file = standin.ca_file })
        assert.are.equal("network/tls", err.type)
        assert.are.equal(0, #standin:log())
      end)
    end

    it("network/tls where the other side does not speak TLS", function()
      local err = error_of({ base_url = standin.http.base_url:gsub("^http:", "https:"), retries = 0 })
      assert.are.equal("network/tls", err.type)
    end)

    it("network/timeout where no answer comes in time", function()
      standin:call("configure", { hang = true })
      assert.are.equal("network/timeout", error_of({ base_url = standin.http.base_url, timeout = 0.2 }).type)
    end)

    it("network/interrupted where the connection ends before the answer", function()
      assert.are.equal("network/interrupted", scripted({ { read = "request" }, { close = true } }).type)
    end)

    it("network/interrupted where the connection is reset", function()
      assert.are.equal("network/interrupted", scripted({ { read = "request" }, { reset = true } }).type)
    end)

    it("network/interrupted where the answer is cut off", function()
      local cut = "HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{\"id\":\"0123456789abcdef\"}"
      assert.are.equal("network/interrupted", scripted({ { read = "request" }, { send = cut } }).type)
    end)

    it("network/interrupted where the answer is not HTTP", function()
      assert.are.equal("network/interrupted", scripted({ { read = "request" }, { send = "SSH-2.0-x\r\n" } }).type)
    end)

    it("response/too-large where the answer exceeds the limit of 1 MiB", function()
      assert.are.equal("response/too-large", answered(201, '{"id":"' .. ("x"):rep(1048576) .. '"}').type)
    end)

    it("response/not-json for a page with success", function()
      local err = answered(200, "<html>", { ["Content-Type"] = "text/html" })
      assert.are.equal("response/not-json", err.type)
      assert.are.equal(200, err.status)
    end)

    it("response/not-json for JSON that is broken, followed by more, or no JSON by the letter", function()
      for _, body in ipairs({ '{"id":"abc"', '{"id":"abc"} x', '{"id":NaN}', '{"id":"abc","n":Infinity}' }) do
        assert.are.equal("response/not-json", answered(201, body).type, body)
      end
    end)

    it("response/not-json for JSON that is nested without end", function()
      assert.are.equal("response/not-json", answered(201, ("["):rep(100000)).type)
    end)

    it("response/no-session for a success without an id", function()
      for _, body in ipairs({ "", "{}", "[]", "null", "5", '"x"', '{"id":null}', '{"id":""}' }) do
        assert.are.equal("response/no-session", answered(201, body).type, body)
      end
    end)

    it("response/status for a refusal without a type", function()
      assert.are.equal("response/status", answered(503, "").type)
    end)

    it("session/none where there is nothing to log out", function()
      local result, err = client:logout()
      assert.is_nil(result)
      assert.are.equal("session/none session", err.type .. " " .. err.group)
      assert.is_truthy(err.message:find("%w"))
    end)
  end)

  describe("shown by tostring", function()
    it("has type, message, status, request and when to try again", function()
      local err = answered(429, '{"type":"rate-limited/too-many","error":"Slow down"}',
        { ["Retry-After"] = "7", ["X-Request-Id"] = "req-9" })
      local text = tostring(err)
      for _, part in ipairs({ "rate-limited/too-many", "Slow down", "429", "req-9", "7 s" }) do
        assert.is_truthy(text:find(part, 1, true), part)
      end
    end)

    it("is one line, whatever the service sent", function()
      local err = answered(400, '{"type":"a/b","error":"one\\r\\ntwo\\nthree\\u0000\\u001b[31m","instance":"x\\ny"}')
      assert.is_nil(tostring(err):find("%c"))
    end)

    it("is of readable length, whatever the service sent", function()
      assert.is_true(#tostring(answered(400, cjson.encode({ error = ("long "):rep(50000) }))) < 1000)
    end)

    it("is valid UTF-8 where the message is cut", function()
      local message = answered(400, cjson.encode({ error = ("é"):rep(5000) })).message
      assert.is_nil(message:gsub("é", ""):gsub("%.%.%.$", ""):find("[\128-\255]"))
    end)

    it("is one line where the network failed", function()
      local text = tostring(error_of({ base_url = "http://127.0.0.1:" .. api.closed_port(), retries = 0 }))
      assert.is_truthy(text:find("^network/connect: .+"))
      assert.is_nil(text:find("%c"))
    end)

    it("can be raised and shown by error(tostring(err))", function()
      local err = answered(401, '{"type":"a/b","error":"no"}')
      assert.is_truthy(api.raised(function()
        error(tostring(err))
      end):find("a/b: no", 1, true))
    end)
  end)

  describe("holds no secret:", function()
    -- Everything that an error says, as text.
    local function all_of(err)
      local fields = {}
      for name, value in pairs(err) do
        fields[name] = value
      end
      return tostring(err) .. cjson.encode(fields)
    end

    local function repeating(secret)
      return cjson.encode({ type = "a/b", error = secret .. " is wrong", title = secret, instance = secret,
        data = { deep = { secret } }, errors = { secret, { message = secret } }, model_errors = { password = secret } })
    end

    it("a password that the service repeats", function()
      standin:call("next_answers", { status = 401, body = repeating("correct horse") })
      local _, err = client:login({ username = "motor", password = "correct horse" })
      assert.is_nil(all_of(err):find("correct horse", 1, true))
    end)

    it("a code that the service repeats", function()
      standin:call("next_answers", { status = 401, body = repeating("918273") })
      local _, err = client:login({ username = "motor", password = "vroom", otp = "918273" })
      assert.is_nil(all_of(err):find("918273", 1, true))
    end)

    it("a code that the service repeats where there was no password", function()
      standin:call("next_answers", { status = 401, body = repeating("918273") })
      local _, err = client:login({ username = "motor", otp = "918273", partial_session_id = "part" })
      assert.is_nil(all_of(err):find("918273", 1, true))
    end)

    it("a code that the service repeats as a number", function()
      standin:call("next_answers", { status = 401, body = '{"type":"a/b","data":{"code":918273}}' })
      local _, err = client:login({ username = "motor", password = "vroom", otp = "918273" })
      assert.is_nil(all_of(err):find("918273", 1, true))
    end)

    it("a password that the service repeats with a line break for its blank", function()
      local body = cjson.encode({ error = "correct\nhorse?", title = "correct\thorse" })
      standin:call("next_answers", { status = 401, body = body })
      local _, err = client:login({ username = "motor", password = "correct horse" })
      assert.is_nil(all_of(err):find("correct horse", 1, true))
    end)

    it("a password that the service repeats as the name of a field", function()
      standin:call("next_answers", { status = 401, body = cjson.encode({ data = { ["correct horse"] = 1 } }) })
      local _, err = client:login({ username = "motor", password = "correct horse" })
      assert.is_nil(all_of(err):find("correct horse", 1, true))
    end)

    it("a password in the X-Request-Id", function()
      standin:call("next_answers", { status = 401, body = "{}", headers = { ["X-Request-Id"] = "correct horse" } })
      local _, err = client:login({ username = "motor", password = "correct horse" })
      assert.is_nil(all_of(err):find("correct horse", 1, true))
    end)

    it("a password in the Content-Type", function()
      standin:call("next_answers", { status = 502, body = "", headers = { ["Content-Type"] = "correct horse" } })
      local _, err = client:login({ username = "motor", password = "correct horse" })
      assert.is_nil(all_of(err):find("correct horse", 1, true))
    end)

    it("a password as the type", function()
      standin:call("next_answers", { status = 401, body = cjson.encode({ type = "correct-horse" }) })
      local _, err = client:login({ username = "motor", password = "correct-horse" })
      assert.is_nil(all_of(err):find("correct-horse", 1, true))
    end)

    -- In what form a service may repeat it, and what is left of the password: nothing but "[redacted]".
    for what, form in pairs({
      ["escaped for a URL"] = "%68%C3%B6ck%20%26%3c%22%27%5C%2F9",
      ["escaped for a URL where it must be, in small letters"] = "h%c3%b6ck%20%26%3c%22'%5c/9",
      ["escaped for a form"] = "h%C3%B6ck+%26%3C%22%27%5C%2F9",
      ["escaped for HTML"] = "h&#246;ck &amp;&lt;&quot;&#39;\\/9",
      ["escaped for HTML by hexadecimal numbers"] = "h&#xF6;ck&#x20;&#x26;&#x3c;&#x22;&apos;\\&#x2F;9",
      ["escaped for JSON"] = "hck &<\\\"'\\\\\\/9",
      ["escaped for JSON by numbers"] = "h\\u00f6ck \\u0026\\u003C\\u0022\\u0027\\u005C/9",
    }) do
      it("a password that the service repeats " .. what, function()
        local password = 'h\195\182ck &<"\'\\/9'
        if what == "escaped for JSON" then password = password:gsub("\195\182", "") end
        local text = ("100% of '%s' & <%s> is a+b"):gsub("%%s", function() return form end)
        standin:call("next_answers", { status = 401, body = cjson.encode({ error = text }) })
        local _, err = client:login({ username = "motor", password = password })
        assert.are.equal("100% of '[redacted]' & <[redacted]> is a+b", err.message)
      end)
    end

    it("a session id that the service repeats to a logout", function()
      standin:call("next_answers", { status = 401, body = repeating("0123456789abcdef") })
      local _, err = client:logout("0123456789abcdef")
      assert.is_nil(all_of(err):find("0123456789abcdef", 1, true))
    end)

    it("a session id that the service repeats to a request", function()
      standin:call("next_answers", { status = 401, body = repeating("0123456789abcdef") })
      local _, err = client:session("0123456789abcdef"):request("GET", "/user")
      assert.is_nil(all_of(err):find("0123456789abcdef", 1, true))
    end)

    it("a password where the network failed", function()
      local err = error_of({ base_url = "http://127.0.0.1:" .. api.closed_port(), retries = 0 },
        { username = "motor", password = "correct horse" })
      assert.is_nil(all_of(err):find("correct horse", 1, true))
    end)

    it("the password of a proxy", function()
      local err = error_of({ base_url = "https://app.files.com", retries = 0,
        proxy = "http://me:hunter2@127.0.0.1:" .. api.closed_port() })
      assert.are.equal("network/connect", err.type)
      assert.is_nil(all_of(err):find("hunter2", 1, true))
    end)
  end)
end)
