-- The stand-in for the service behaves: HTTP, forms, second factors, limits, scripts, certificates, its own life.
-- Depends on spec/support/standin.lua, LuaSocket, lua-cjson and the curl command.

local cjson = require("cjson")
local socket = require("socket")
local support = require("spec.support.standin")

local SESSIONS = "/api/rest/v1/sessions"
local BOUNDARY = "xXx"

-- The output of a command, stderr included, without its last line's end.
local function run(command)
  local pipe = assert(io.popen(command .. " 2>&1"))
  local output = pipe:read("*a")
  pipe:close()
  return (output:gsub("\n$", ""))
end

-- Waits until `condition` holds, a second at most. Returns what it gave last.
local function eventually(condition)
  local deadline = socket.gettime() + 1
  local result = condition()
  while not result and socket.gettime() < deadline do
    socket.sleep(0.005)
    result = condition()
  end
  return result
end

local function connect(listener)
  local connection = assert(socket.connect(listener.address, listener.port))
  connection:settimeout(5)
  return connection
end

-- Reads one answer: status, headers by lower-case name, body.
local function read_answer(connection)
  local line = connection:receive("*l")
  local status = line and tonumber(line:match("^HTTP/1%.1 (%d%d%d) "))
  if not status then
    return nil, line
  end
  local headers = {}
  for header in function() return connection:receive("*l") end do
    if header == "" then
      break
    end
    local name, value = header:match("^([^:]+): (.*)$")
    headers[name:lower()] = value
  end
  local length = tonumber(headers["content-length"] or 0)
  return status, headers, length > 0 and connection:receive(length) or ""
end

-- Sends bytes on a connection of their own and reads the answer, the body decoded if it is JSON.
local function exchange(listener, bytes)
  local connection = connect(listener)
  connection:send(bytes)
  local status, headers, body = read_answer(connection)
  connection:close()
  local ok, decoded = pcall(cjson.decode, body or "")
  return status, ok and decoded or body, headers
end

-- A request's bytes; `headers` are whole lines.
local function request(method, path, headers, body)
  local lines = { ("%s %s HTTP/1.1"):format(method, path), "Host: stand-in" }
  for _, header in ipairs(headers or {}) do
    lines[#lines + 1] = header
  end
  if body then
    lines[#lines + 1] = "Content-Length: " .. #body
  end
  return table.concat(lines, "\r\n") .. "\r\n\r\n" .. (body or "")
end

-- A form's body. `fields` are {name, value}.
local function form(fields)
  local parts = {}
  for _, field in ipairs(fields) do
    parts[#parts + 1] = ('--%s\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'):format(
      BOUNDARY, field[1], "%s"):gsub("%%s", function() return field[2] end)
  end
  return table.concat(parts) .. "--" .. BOUNDARY .. "--\r\n"
end

local FORM_TYPE = "Content-Type: multipart/form-data; boundary=" .. BOUNDARY

local function login_bytes(credentials, ...)
  local fields = {}
  for name, value in pairs(credentials) do
    fields[#fields + 1] = { name, value }
  end
  return request("POST", SESSIONS, { FORM_TYPE, ... }, form(fields))
end

describe("the stand-in", function()
  local standin, http

  setup(function()
    standin = support.start({ "http", "https" })
    http = standin.http
  end)

  teardown(function()
    standin:stop()
  end)

  before_each(function()
    standin:reset()
  end)

  local function login(credentials, ...)
    return exchange(http, login_bytes(credentials, ...))
  end

  -- Logs in and returns the type of the refusal.
  local function refusal(credentials)
    local status, answer = login(credentials)
    return answer.type, status, answer
  end

  local function call(method, path, id, ...)
    return exchange(http, request(method, "/api/rest/v1" .. path, { "X-FilesAPI-Auth: " .. id, ... }))
  end

  local function curl(listener, options)
    local command = "curl -sS -m 5 --cacert %s %s %s"
    return run(command:format(standin.ca_file, options or "", listener.base_url .. "/api/rest/v1/user"))
  end

  describe("as a service", function()
    it("opens a session with the fields that the service sends", function()
      local status, session, headers = login({ username = "motor", password = "vroom" })
      assert.equal(201, status)
      assert.is_true(#session.id >= 40)
      assert.equal("en", session.language)
      assert.is_false(session.read_only)
      assert.equal(25000, session.max_dir_listing_size)
      assert.truthy(session.timeout_at:find("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%dZ$"))
      assert.equal(cjson.null, session.password_expires_at)
      assert.equal(36, #headers["x-request-id"])
    end)

    it("ends a session with 204 and an empty body", function()
      local _, session = login({ username = "motor", password = "vroom" })
      local status, body = call("DELETE", "/sessions", session.id)
      assert.equal(204, status)
      assert.equal("", body)
      assert.same({}, standin:call("sessions"))
    end)

    it("answers a logout as older servers do, when told", function()
      standin:call("configure", { old_logout = true })
      local _, session = login({ username = "motor", password = "vroom" })
      local status, body = call("DELETE", "/sessions", session.id)
      assert.equal(200, status)
      assert.same({}, body)
    end)

    it("refuses a session that has ended", function()
      local _, session = login({ username = "motor", password = "vroom" })
      call("DELETE", "/sessions", session.id)
      local status, answer = call("GET", "/user", session.id)
      assert.equal(401, status)
      assert.equal("not-authenticated/invalid-session", answer.type)
    end)

    it("refuses a call without a session", function()
      local status, answer = exchange(http, request("GET", "/api/rest/v1/folders"))
      assert.equal(401, status)
      assert.equal("not-authenticated/authentication-required", answer.type)
    end)

    it("lets sessions expire", function()
      standin:call("configure", { session_lifetime = 60 })
      local _, session = login({ username = "motor", password = "vroom" })
      assert.equal(200, (call("GET", "/user", session.id)))
      standin:call("configure", { clock_offset = 61 })
      assert.equal(401, (call("GET", "/user", session.id)))
    end)

    it("lets sessions be revoked", function()
      local _, session = login({ username = "motor", password = "vroom" })
      assert.equal(1, standin:call("revoke", { username = "motor" }))
      assert.equal(401, (call("GET", "/user", session.id)))
    end)

    it("lists folders and shows the user", function()
      local _, session = login({ username = "motor", password = "vroom" })
      local _, folder = call("GET", "/folders", session.id)
      assert.equal("inbox", folder[1].path)
      _, folder = call("GET", "/folders/reports", session.id)
      assert.equal("reports/zürich.csv", folder[1].path)
      assert.equal(404, (call("GET", "/folders/nowhere", session.id)))
      local _, user = call("GET", "/user", session.id)
      assert.equal("motor", user.username)
    end)

    it("echoes a call as received", function()
      local _, session = login({ username = "motor", password = "vroom" })
      local _, echo = exchange(http, request("PATCH", "/api/rest/v1/echo?a=b%20c",
        { "X-FilesAPI-Auth: " .. session.id, "Accept-Language: de" }, "\0bytes"))
      assert.equal("PATCH", echo.method)
      assert.equal("a=b%20c", echo.query)
      assert.equal("de", echo.headers["accept-language"])
      assert.equal("\0bytes", echo.body)
    end)

    it("refuses a login that carries a session or a key, and notes it", function()
      for _, header in ipairs({ "X-FilesAPI-Auth: abc", "X-FilesAPI-Key: abc" }) do
        assert.equal(400, (login({ username = "motor", password = "vroom" }, header)))
        assert.truthy(standin:last().note:find("a login carried", 1, true))
      end
    end)

    it("refuses a wrong password in the service's own format", function()
      local status, answer, headers = login({ username = "motor", password = "brum" })
      assert.equal(401, status)
      assert.equal(401, answer["http-code"])
      assert.equal("not-authenticated/invalid-username-or-password", answer.type)
      assert.equal(headers["x-request-id"], answer.instance)
      assert.equal(answer.error, answer.errors[1])
      assert.is_string(answer.title)
    end)

    it("locks an account after five failures, until a reset", function()
      for _ = 1, 5 do
        assert.equal("not-authenticated/invalid-username-or-password",
          (refusal({ username = "motor", password = "brum" })))
      end
      assert.equal("not-authenticated/locked-out", (refusal({ username = "motor", password = "vroom" })))
      standin:reset()
      assert.equal(201, (login({ username = "motor", password = "vroom" })))
    end)

    it("unlocks an account after the time configured", function()
      standin:call("configure", { lockout_after = 1, lockout_seconds = 30 })
      login({ username = "motor", password = "brum" })
      assert.equal("not-authenticated/locked-out", (refusal({ username = "motor", password = "vroom" })))
      standin:call("configure", { clock_offset = 31 })
      assert.equal(201, (login({ username = "motor", password = "vroom" })))
    end)

    it("limits logins, with Retry-After as a number or as a date", function()
      standin:call("rate_limit", { count = 1, retry_after = 30 })
      local status, answer, headers = login({ username = "motor", password = "vroom" })
      assert.equal(429, status)
      assert.equal("rate-limited/too-many-login-attempts", answer.type)
      assert.equal("30", headers["retry-after"])
      standin:call("rate_limit", { count = 1, retry_after_date = 60 })
      headers = select(3, login({ username = "motor", password = "vroom" }))
      assert.truthy(headers["retry-after"]:find("^%a%a%a, %d%d %a%a%a %d%d%d%d %d%d:%d%d:%d%d GMT$"))
      assert.equal(201, (login({ username = "motor", password = "vroom" })))
    end)

    it("limits calls of any kind", function()
      local _, session = login({ username = "motor", password = "vroom" })
      standin:call("rate_limit", { count = 1, scope = "all", type = "rate-limited/too-many-concurrent-requests" })
      local status, answer, headers = call("GET", "/user", session.id)
      assert.equal(429, status)
      assert.equal("rate-limited/too-many-concurrent-requests", answer.type)
      assert.is_nil(headers["retry-after"])
      assert.equal(200, (call("GET", "/user", session.id)))
    end)

    it("sends an account of another region to its host, and lets it in there", function()
      local there = standin:listen({ scheme = "http", address = "127.0.0.2", region = "eu" })
      standin:call("account", { username = "rhea", host = there.host })
      local kind, status, answer = refusal({ username = "rhea", password = "far-away" })
      assert.equal("not-authenticated/lockout-region-mismatch", kind)
      assert.equal(401, status)
      assert.equal(there.host, answer.data.host)
      assert.equal(201, (exchange(there, login_bytes({ username = "rhea", password = "far-away" }))))
      standin:call("unlisten", { listener = there.id })
    end)

    it("serves under another prefix where a listener has one", function()
      local there = standin:listen({ scheme = "http", prefix = "/gateway/v1" })
      assert.equal(("http://127.0.0.1:%d/gateway/v1"):format(there.port), there.base_url)
      assert.equal(401, (exchange(there, request("GET", "/gateway/v1/user"))))
      assert.equal(404, (exchange(there, request("GET", "/api/rest/v1/user"))))
      standin:call("unlisten", { listener = there.id })
    end)

    it("changes accounts, and creates them with sessions of their own kind", function()
      standin:call("account", { username = "tess", methods = support.null })
      assert.equal(201, (login({ username = "tess", password = "tick-tock" })))
      standin:call("account", { username = "new", password = "p", session = { id = "line\nbreak", extra = { 1, 2 } } })
      local _, session = login({ username = "new", password = "p" })
      assert.equal("line\nbreak", session.id)
      assert.same({ 1, 2 }, session.extra)
    end)

    it("answers as ordered in advance", function()
      standin:call("next_answers", { status = 503, headers = { { "X-One", "1" } }, body = "<html>" })
      local status, body, headers = login({ username = "motor", password = "vroom" })
      assert.equal(503, status)
      assert.equal("<html>", body)
      assert.equal("1", headers["x-one"])
      assert.equal(201, (login({ username = "motor", password = "vroom" })))
    end)
  end)

  describe("with second factors", function()
    it("asks for the code of an authenticator and accepts it once", function()
      local kind, status, answer = refusal({ username = "tess", password = "tick-tock" })
      assert.equal("not-authenticated/two-factor-authentication-error", kind)
      assert.equal(401, status)
      assert.same({ "totp" }, answer.data.two_factor_authentication_methods)
      assert.is_string(answer.data.partial_session_id)
      local code = standin:code("tess")
      assert.equal(201, (login({ username = "tess", password = "tick-tock", otp = code })))
      assert.equal("not-authenticated/invalid-or-expired-code",
        (refusal({ username = "tess", password = "tick-tock", otp = code })))
    end)

    it("tells an expired code of an authenticator from a wrong one", function()
      local old = standin:call("code", { username = "tess", at = -120 })
      assert.equal("not-authenticated/invalid-or-expired-code",
        (refusal({ username = "tess", password = "tick-tock", otp = old })))
      assert.equal("not-authenticated/one-time-password-incorrect",
        (refusal({ username = "tess", password = "tick-tock", otp = "wrong" })))
    end)

    it("accepts the code of the step before and of the step after", function()
      for _, at in ipairs({ -30, 30 }) do
        standin:reset()
        local code = standin:call("code", { username = "tess", at = at })
        assert.equal(201, (login({ username = "tess", password = "tick-tock", otp = code })))
      end
    end)

    for username, password in pairs({ sam = "dot-dash", ema = "at-sign" }) do
      it("sends " .. username .. " a new code at each challenge", function()
        login({ username = username, password = password })
        local first = standin:code(username)
        login({ username = username, password = password })
        local second = standin:code(username)
        assert.not_equal(first, second)
        assert.equal("not-authenticated/invalid-or-expired-code",
          (refusal({ username = username, password = password, otp = first })))
        assert.equal("not-authenticated/one-time-password-incorrect",
          (refusal({ username = username, password = password, otp = "000" })))
        assert.equal(201, (login({ username = username, password = password, otp = second })))
      end)
    end

    it("takes a key's code with the partial session and without a password", function()
      local _, _, answer = refusal({ username = "yuri", password = "press-here" })
      local partial, code = answer.data.partial_session_id, standin:code("yuri")
      assert.equal(44, #code)
      assert.equal(201, (login({ username = "yuri", otp = code, partial_session_id = partial })))
    end)

    it("refuses a key's code with a password, without the partial session or with another's", function()
      local _, _, answer = refusal({ username = "yuri", password = "press-here" })
      local partial, code = answer.data.partial_session_id, standin:code("yuri")
      assert.equal(400, (login({
        username = "yuri", password = "press-here", otp = code, partial_session_id = partial,
      })))
      assert.equal(401, (login({ username = "yuri", otp = code })))
      assert.equal("not-authenticated/invalid-session",
        (refusal({ username = "yuri", otp = code, partial_session_id = "made-up" })))
      assert.equal("not-authenticated/invalid-session",
        (refusal({ username = "sam", otp = code, partial_session_id = partial })))
    end)

    it("names methods that no code can answer", function()
      for username, credentials in pairs({ wes = { "touch-here", "webauthn" }, uma = { "plug-in", "u2f" } }) do
        local _, _, answer = refusal({ username = username, password = credentials[1] })
        assert.same({ credentials[2] }, answer.data.two_factor_authentication_methods)
        assert.equal(401, (login({ username = username, password = credentials[1], otp = "123456" })))
      end
    end)

    it("accepts the code of any method of an account with several", function()
      local _, _, answer = refusal({ username = "mia", password = "many-ways" })
      assert.same({ "webauthn", "sms", "totp" }, answer.data.two_factor_authentication_methods)
      for _, method in ipairs({ "sms", "totp" }) do
        local code = standin:code("mia", method)
        assert.equal(201, (login({ username = "mia", password = "many-ways", otp = code })))
      end
    end)

    it("counts wrong codes towards the lock-out", function()
      for _ = 1, 5 do
        login({ username = "tess", password = "tick-tock", otp = "1" })
      end
      assert.equal("not-authenticated/locked-out", (refusal({ username = "tess", password = "tick-tock" })))
    end)

    it("answers a wrong code with a new challenge where the account says so", function()
      standin:call("account", { username = "sam", rechallenge = true })
      assert.equal("not-authenticated/two-factor-authentication-error",
        (refusal({ username = "sam", password = "dot-dash", otp = "000" })))
    end)

    -- RFC 6238, appendix B.
    local SECRETS = {
      SHA1 = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
      SHA256 = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZA",
      SHA512 = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
        .. "GEZDGNA",
    }
    local VECTORS = {
      { 59, "94287082", "46119246", "90693936" },
      { 1111111109, "07081804", "68084774", "25091201" },
      { 1111111111, "14050471", "67062674", "99943326" },
      { 1234567890, "89005924", "91819424", "93441116" },
      { 2000000000, "69279037", "90698825", "38618901" },
      { 20000000000, "65353130", "77737706", "47863826" },
    }
    for i, algorithm in ipairs({ "SHA1", "SHA256", "SHA512" }) do
      it("computes the codes of RFC 6238 with " .. algorithm, function()
        for _, vector in ipairs(VECTORS) do
          assert.equal(vector[i + 1], standin:call("totp", {
            secret = SECRETS[algorithm], time = vector[1], digits = 8, algorithm = algorithm,
          }))
        end
      end)
    end
  end)

  describe("with files and lists", function()
    local storage

    before_each(function()
      storage = standin:listen({ scheme = "http", storage = true })
    end)

    after_each(function()
      standin:call("unlisten", { listener = storage.id })
    end)

    local function api(method, path, fields, headers)
      local _, session = login({ username = "motor", password = "vroom" })
      local lines = { "X-FilesAPI-Auth: " .. session.id, "Content-Type: application/json" }
      for _, line in ipairs(headers or {}) do
        lines[#lines + 1] = line
      end
      local body = fields and cjson.encode(fields)
      return exchange(standin.http, request(method, "/api/rest/v1" .. path, lines, body))
    end

    -- Asks the storage by an address that the service named.
    local function ask(method, uri, headers, body)
      return exchange(storage, request(method, uri:match("^http://[^/]+(.*)$"), headers, body))
    end

    local function begin()
      local _, parts = api("POST", "/file_actions/begin_upload/inbox/a", { part = 1 })
      return parts[1]
    end

    it("makes a file of the parts that came, named by their ETags", function()
      local part = begin()
      local status, _, headers = ask("PUT", part.upload_uri, {}, "abc")
      assert.are.equal(200, status)
      local etags = { { etag = headers.etag:match('^"(.*)"$'), part = 1 } }
      status = api("POST", "/files/inbox/a", { action = "end", ref = part.ref, etags = etags, size = 3 })
      assert.are.equal(201, status)
      assert.are.equal("abc", standin:call("files")["inbox/a"].content)
    end)

    it("makes none of parts that did not come, or under another ETag or size", function()
      local part = begin()
      local function finish(etag, size)
        local fields = { action = "end", ref = part.ref, etags = { { etag = etag, part = 1 } }, size = size }
        return (api("POST", "/files/inbox/a", fields))
      end
      assert.are.equal(400, finish("x", 3))
      local _, _, headers = ask("PUT", part.upload_uri, {}, "abc")
      assert.are.equal(400, finish("x", 3))
      assert.are.equal(400, finish(headers.etag:match('^"(.*)"$'), 4))
      assert.is_nil(standin:call("files")["inbox/a"])
    end)

    it("refuses unknown parameters, and parts out of their order", function()
      assert.are.equal(400, (api("POST", "/file_actions/begin_upload/inbox/a", { part = 1, extra = true })))
      assert.are.equal(400, (api("POST", "/file_actions/begin_upload/inbox/a", { part = "1" })))
      assert.are.equal(400, (api("POST", "/file_actions/begin_upload/inbox/a", { part = 3, ref = begin().ref })))
      assert.are.equal(404, (api("POST", "/file_actions/begin_upload/inbox/a", { part = 2, ref = "other" })))
      assert.are.equal(404, (api("POST", "/file_actions/begin_upload/nowhere/a", { part = 1 })))
      assert.are.equal(400, (api("GET", "/users?page=2")))
      assert.are.equal(400, (api("GET", "/users?cursor=other")))
    end)

    it("has a storage that refuses another signature, another method and what is meant for the service", function()
      local uri = begin().upload_uri
      assert.are.equal(403, (ask("PUT", (uri:gsub(".$", "x")), {}, "abc")))
      assert.are.equal(405, (ask("GET", uri)))
      assert.are.equal(400, (ask("PUT", uri, { "X-FilesAPI-Auth: abc" }, "abc")))
      assert.are.equal(400, (ask("PUT", uri, { "X-Files-Workspace-Id: 5" }, "abc")))
      assert.are.equal(411, (ask("PUT", uri)))
    end)

    it("names the next page until there is none", function()
      local _, list, headers = api("GET", "/users?per_page=3")
      assert.are.equal(3, #list)
      _, list, headers = api("GET", "/users?per_page=3&cursor=" .. headers["x-files-cursor"])
      assert.are.equal(2, #list)
      assert.is_nil(headers["x-files-cursor"])
    end)
  end)

  describe("reading forms", function()
    -- The type with which a body is refused, or nil where it is read (and the password found wrong).
    local function refused(body, content_type)
      local header = "Content-Type: " .. (content_type or "multipart/form-data; boundary=" .. BOUNDARY)
      local status, answer = exchange(http, request("POST", SESSIONS, { header }, body))
      return status ~= 401 and answer.type or nil
    end

    local function part(header, value)
      return "--xXx\r\n" .. header .. "\r\n\r\n" .. value .. "\r\n"
    end

    local NAMED = 'Content-Disposition: form-data; name="username"'
    local CLOSE = "--xXx--\r\n"

    it("accepts what a browser sends", function()
      assert.is_nil(refused(part(NAMED, "u") .. CLOSE))
      assert.is_nil(refused(part(NAMED .. '; filename="f"\r\nContent-Type: text/plain', "u") .. CLOSE))
      assert.is_nil(refused(part(NAMED, "u") .. CLOSE, 'multipart/form-data; boundary="xXx"'))
      assert.is_nil(refused(CLOSE))
    end)

    local BAD = {
      ["no closing delimiter"] = part(NAMED, "u"),
      ["an empty body"] = "",
      ["something before the first delimiter"] = "junk\r\n" .. part(NAMED, "u") .. CLOSE,
      ["something after the last delimiter"] = part(NAMED, "u") .. CLOSE .. "junk",
      ["something on a delimiter's line"] = "--xXx \r\n" .. NAMED .. "\r\n\r\nu\r\n" .. CLOSE,
      ["a part without a name"] = part("Content-Disposition: form-data", "u") .. CLOSE,
      ["a part with an empty name"] = part('Content-Disposition: form-data; name=""', "u") .. CLOSE,
      ["a part without Content-Disposition"] = part("Content-Type: text/plain", "u") .. CLOSE,
      ["a part without a header"] = "--xXx\r\n\r\nu\r\n" .. CLOSE,
      ["a name given twice"] = part(NAMED, "u") .. part(NAMED, "v") .. CLOSE,
      ["a quote in a name"] = part('Content-Disposition: form-data; name="a"b"', "u") .. CLOSE,
      ["lines that end in LF alone"] = (part(NAMED, "u") .. CLOSE):gsub("\r\n", "\n"),
      ["a part's header without a colon"] = part(NAMED .. "\r\njunk", "u") .. CLOSE,
      ["another boundary"] = (part(NAMED, "u") .. CLOSE):gsub("xXx", "yYy"),
      ["the boundary within a value"] = part(NAMED, "u\r\n--xXxv") .. CLOSE,
    }
    for name, body in pairs(BAD) do
      it("refuses " .. name, function()
        assert.equal("bad-request/invalid-body", refused(body))
      end)
    end

    it("refuses other kinds of content, and boundaries that are none", function()
      local body = part(NAMED, "u") .. CLOSE
      for _, kind in ipairs({
        "application/json", "multipart/mixed; boundary=xXx", "multipart/form-data", "multipart/form-data; boundary=",
        "multipart/form-data; boundary=xXx; boundary=xXx", "multipart/form-data; boundary=" .. ("x"):rep(71),
      }) do
        assert.equal("bad-request/unsupported-media-type", refused(body, kind))
      end
    end)

    it("refuses fields that the service does not know", function()
      assert.equal("bad-request/request-params-invalid",
        refused(part('Content-Disposition: form-data; name="pasword"', "u") .. CLOSE))
    end)

    it("undoes the escapes of names", function()
      refused(part('Content-Disposition: form-data; name="a%22b%0D%0Ac%41%"', "u") .. CLOSE)
      assert.equal("u", standin:last().fields['a"b\r\nc%41%'])
    end)

    it("keeps every byte of a value", function()
      local bytes = {}
      for byte = 0, 255 do
        bytes[#bytes + 1] = string.char(byte)
      end
      local value = table.concat(bytes):rep(400) .. "\r\n--xX\r\n-- \r\n"
      standin:call("account", { username = "u", password = value })
      assert.equal(201, (login({ username = "u", password = value })))
      assert.equal(value, standin:last().fields.password)
    end)
  end)

  describe("speaking HTTP", function()
    it("keeps a connection, and logs which one a request came on", function()
      local connection = connect(http)
      for _ = 1, 2 do
        connection:send(login_bytes({ username = "motor", password = "vroom" }))
        assert.equal(201, (read_answer(connection)))
      end
      connection:close()
      local log = standin:log()
      assert.equal(log[1].connection, log[2].connection)
      assert.equal(201, log[2].answered)
      assert.equal(SESSIONS, log[2].target)
      assert.same({ "Host", "stand-in" }, log[2].headers[1])
      assert.equal("stand-in", log[2].header.host)
    end)

    it("answers requests that were sent without waiting", function()
      local connection = connect(http)
      connection:send(request("GET", "/a") .. request("GET", "/b"))
      assert.equal(404, (read_answer(connection)))
      assert.equal(404, (read_answer(connection)))
      connection:close()
    end)

    it("reads chunked bodies", function()
      local body = form({ { "username", "motor" }, { "password", "vroom" } })
      local chunks = ("%x;note=1\r\n%s\r\n%x\r\n%s\r\n0\r\nTrailer: 1\r\n\r\n"):format(10, "%s", #body - 10, "%s")
      chunks = chunks:format(body:sub(1, 10), body:sub(11))
      local head = request("POST", SESSIONS, { FORM_TYPE, "Transfer-Encoding: chunked" })
      assert.equal(201, (exchange(http, head .. chunks)))
    end)

    it("tells a client that expects it to go on", function()
      local body = form({ { "username", "motor" }, { "password", "vroom" } })
      local connection = connect(http)
      connection:send(request("POST", SESSIONS, { FORM_TYPE, "Expect: 100-continue", "Content-Length: " .. #body }))
      assert.equal(100, (read_answer(connection)))
      connection:send(body)
      assert.equal(201, (read_answer(connection)))
      connection:close()
    end)

    it("closes where the client or the configuration wants it", function()
      local connection = connect(http)
      connection:send(request("GET", "/", { "Connection: close" }))
      local _, headers = read_answer(connection)
      assert.equal("close", headers.connection)
      assert.equal("closed", (select(2, connection:receive(1))))
      standin:call("configure", { keep_alive = false })
      local _, _, closing = exchange(http, request("GET", "/"))
      assert.equal("close", closing.connection)
    end)

    local BAD = {
      ["a request line without a version"] = "GET /\r\nHost: h\r\n\r\n",
      ["blanks in a target"] = "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n",
      ["a relative target"] = "GET a HTTP/1.1\r\nHost: h\r\n\r\n",
      ["bytes that are not ASCII in a target"] = "GET /\195\188 HTTP/1.1\r\nHost: h\r\n\r\n",
      ["no Host"] = "GET / HTTP/1.1\r\n\r\n",
      ["two Hosts"] = "GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n",
      ["a header without a colon"] = "GET / HTTP/1.1\r\nHost: h\r\njunk\r\n\r\n",
      ["a blank before the colon"] = "GET / HTTP/1.1\r\nHost: h\r\nA : b\r\n\r\n",
      ["a folded header"] = "GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n c\r\n\r\n",
      ["a control character in a header"] = "GET / HTTP/1.1\r\nHost: h\r\nA: b\1\r\n\r\n",
      ["a NUL in a header"] = "GET / HTTP/1.1\r\nHost: h\r\nA: b\0\r\n\r\n",
      ["a CR within a header"] = "GET / HTTP/1.1\r\nHost: h\r\nA: b\rc\r\n\r\n",
      ["lines that end in LF alone"] = "GET / HTTP/1.1\nHost: h\n\n",
      ["both framings"] = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1",
      ["a negative length"] = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
      ["two lengths"] = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n1",
      ["a chunk size that is none"] = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
      ["a chunk longer than its size"] = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
    }
    for name, bytes in pairs(BAD) do
      it("refuses " .. name, function()
        local status, answer, headers = exchange(http, bytes)
        assert.equal(400, status)
        assert.equal("bad-request", answer.type)
        assert.equal("close", headers.connection)
        assert.is_string(standin:last().refused)
      end)
    end

    it("limits heads and bodies", function()
      assert.equal(431, (exchange(http, request("GET", "/", { "A: " .. ("a"):rep(70000) }))))
      standin:call("configure", { max_body = 10 })
      assert.equal(413, (exchange(http, request("POST", "/large", {}, "12345678901"))))
      assert.equal("/large", standin:last().target)
    end)

    it("delays its answers", function()
      standin:call("configure", { answer_delay = 0.05 })
      local started = socket.gettime()
      exchange(http, request("GET", "/"))
      assert.is_true(socket.gettime() - started >= 0.05)
    end)

    it("hangs when told, and notices that the client has gone", function()
      standin:call("configure", { hang = true })
      local connection = connect(http)
      connection:send(request("GET", "/"))
      assert.is_true(eventually(function() return standin:connections(http) == 1 end))
      assert.is_not_nil(eventually(function() return standin:last() end))
      assert.is_nil(standin:last().answered)
      connection:close()
      assert.is_true(eventually(function() return standin:connections(http) == 0 end))
    end)

    it("closes idle connections when told", function()
      local connection = connect(http)
      connection:send(request("GET", "/"))
      read_answer(connection)
      assert.equal(1, standin:call("close_idle", { listener = http.id }))
      assert.equal("closed", (select(2, connection:receive(1))))
      assert.is_true(eventually(function() return standin:connections(http) == 0 end))
    end)

    it("serves 300 connections at once", function()
      local connections = {}
      for i = 1, 300 do
        connections[i] = connect(http)
        connections[i]:send(request("GET", "/"))
      end
      assert.is_true(eventually(function() return standin:connections(http) == 300 end))
      for _, connection in ipairs(connections) do
        assert.equal(404, (read_answer(connection)))
        connection:close()
      end
      assert.is_true(eventually(function() return standin:connections(http) == 0 end))
    end)
  end)

  describe("by script", function()
    local READ = { read = "request" }

    it("answers byte by byte as told, and then goes back to the service", function()
      standin:script(http, { READ, { send = "HTTP/1.1 299 \0\255\r\n\r\n", each = 5, pause = 0.001 } })
      local connection = connect(http)
      connection:send(request("GET", "/x", {}, "body"))
      assert.equal("HTTP/1.1 299 \0\255\r\n\r\n", (connection:receive("*a")))
      connection:close()
      local entry = standin:last()
      assert.is_true(entry.scripted)
      assert.equal("body", entry.body)
      assert.equal(404, (exchange(http, request("GET", "/"))))
    end)

    it("serves each connection by its own steps", function()
      standin:script(http, { { send = "one" } }, { { read = 3 }, { send = "two" } })
      for _, word in ipairs({ "one", "two" }) do
        local connection = connect(http)
        connection:send("abc")
        assert.equal(word, (connection:receive(3)))
        connection:close()
      end
    end)

    it("repeats steps", function()
      standin:script(http, { { ["repeat"] = 3, steps = { { send = "ab" } } } })
      local connection = connect(http)
      assert.equal("ababab", (connection:receive("*a")))
      connection:close()
    end)

    it("shuts down its side and reads on", function()
      standin:script(http, { { send = "x" }, { shutdown = true }, READ, { hang = true } })
      local connection = connect(http)
      assert.equal("x", (connection:receive("*a")))
      connection:send(request("GET", "/late"))
      assert.is_true(eventually(function() return standin:last() and standin:last().target == "/late" end))
      connection:close()
    end)

    it("resets a connection", function()
      local head = { send = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" }
      standin:script(http, { READ, head, { sleep = 0.02 }, { reset = true } })
      assert.truthy(curl(http):find("Connection reset by peer", 1, true))
    end)

    it("runs over TLS", function()
      standin:script(standin.https, { READ, { send = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf" } })
      assert.truthy(curl(standin.https):find("5 bytes remaining to read", 1, true))
      assert.equal("TLSv1.3", standin:last().tls)
    end)

    it("talks before the TLS handshake", function()
      standin:script(standin.https, { { raw = true }, { send = "HTTP/1.1 200 OK\r\n\r\n" } })
      assert.truthy(curl(standin.https):find("SSL", 1, true))
    end)

    it("hands over to the service, and begins TLS, as a proxy would", function()
      standin:script(http, {
        { read = "head" }, { send = "HTTP/1.1 200 Connected\r\n\r\n" }, { tls = "good" }, { service = "all" },
      })
      local output = run(("curl -sS -m 5 --cacert %s -p -x %s https://localhost:1/api/rest/v1/user"):format(
        standin.ca_file, http.base_url))
      assert.truthy(output:find("authentication-required", 1, true))
      assert.equal("CONNECT", standin:log()[1].method)
    end)

    it("refuses steps that it does not know", function()
      local unknown = { { jump = true }, { send = 5 }, { send = "a", speed = 3 }, { ["repeat"] = 2 }, { read = "x" } }
      for _, step in ipairs(unknown) do
        assert.has_error(function() standin:script(http, { step }) end)
      end
    end)
  end)

  describe("over TLS", function()
    it("shows a certificate that its authority signed, under every address", function()
      for _, address in ipairs({ "127.0.0.1", "127.0.0.2", "::1" }) do
        local listener = standin:listen({ scheme = "https", address = address })
        assert.truthy(curl(listener):find("authentication-required", 1, true))
        assert.equal("TLSv1.3", standin:last().tls)
        standin:call("unlisten", { listener = listener.id })
      end
    end)

    local REASONS = {
      ["expired"] = "certificate has expired",
      ["self-signed"] = "self-signed certificate",
      ["wrong-host"] = "no alternative certificate subject name matches",
      ["unknown-authority"] = "unable to get local issuer certificate",
      ["tls1.1"] = "SSL routines",
    }
    for cert, reason in pairs(REASONS) do
      it("can be one that clients must refuse: " .. cert, function()
        local listener = standin:listen({ scheme = "https", cert = cert })
        assert.truthy(curl(listener, "--tlsv1.2"):find(reason, 1, true))
        standin:call("unlisten", { listener = listener.id })
      end)
    end

    it("speaks TLS 1.1 with who insists", function()
      local listener = standin:listen({ scheme = "https", cert = "tls1.1" })
      local output = curl(listener, "--tlsv1.1 --tls-max 1.1 --ciphers DEFAULT@SECLEVEL=0")
      assert.truthy(output:find("authentication-required", 1, true))
      assert.equal("TLSv1.1", standin:last().tls)
      standin:call("unlisten", { listener = listener.id })
    end)

    it("changes its certificate when told", function()
      local listener = standin:listen({ scheme = "https" })
      assert.truthy(curl(listener):find("authentication-required", 1, true))
      standin:call("certificate", { listener = listener.id, cert = "expired" })
      assert.truthy(curl(listener):find("expired", 1, true))
      standin:call("unlisten", { listener = listener.id })
    end)
  end)

  describe("under control", function()
    it("refuses connections to a listener that is closed, and can open the port again", function()
      local listener = standin:listen({ scheme = "http" })
      standin:call("unlisten", { listener = listener.id })
      assert.is_nil((socket.connect("127.0.0.1", listener.port)))
      local again = standin:listen({ scheme = "http", port = listener.port })
      assert.equal(404, (exchange(again, request("GET", "/"))))
      standin:call("unlisten", { listener = again.id })
    end)

    it("names what is wrong with an operation", function()
      for message, bad in pairs({
        ["no operation jump"] = { "jump" },
        ["listen: scheme is missing"] = { "listen", {} },
        ["listen: unknown argument sheme"] = { "listen", { sheme = "http" } },
        ["configure: hang must be a boolean"] = { "configure", { hang = support.null } },
        ["no account nobody"] = { "code", { username = "nobody" } },
        ["no kind of certificate shiny"] = { "listen", { scheme = "https", cert = "shiny" } },
      }) do
        local ok, why = pcall(standin.call, standin, bad[1], bad[2])
        assert.is_false(ok)
        assert.truthy(why:find(message, 1, true))
      end
    end)

    it("keeps the latest entries of its log alone", function()
      standin:call("configure", { log_limit = 2 })
      for _, path in ipairs({ "/1", "/2", "/3" }) do
        exchange(http, request("GET", path))
      end
      local log = standin:log()
      assert.equal(2, #log)
      assert.equal("/3", log[2].target)
      standin:call("clear_log")
      assert.same({}, standin:log())
    end)
  end)

  describe("as a process", function()
    local function is_gone(path)
      local file = io.open(path)
      if file then
        file:close()
      end
      return file == nil
    end

    local function is_closed(port)
      local connection = socket.connect("127.0.0.1", port)
      if connection then
        connection:close()
      end
      return connection == nil
    end

    it("stops when told and leaves nothing behind", function()
      local other = support.start({ "http" })
      other:stop()
      other:stop()
      assert.is_true(is_gone(other.ca_file))
      assert.is_true(is_closed(other.http.port))
    end)

    it("ends when its owner's connection closes", function()
      local other = support.start({ "http" })
      other.connection:close()
      other.process:close()
      assert.is_true(is_gone(other.ca_file))
    end)

    it("ends when its lifetime is over", function()
      local other = support.start({ "http" }, { lifetime = 0.1 })
      other.process:close()
      assert.is_true(is_gone(other.ca_file))
    end)

    it("serves the contents of files where it is told to listen as their storage", function()
      local other = support.start({ "http", "storage" })
      local answer = run("curl -sS -m 5 " .. other.storage.base_url .. "/bucket/nothing")
      other:stop()
      assert.truthy(answer:find("<Error><Code>", 1, true), answer)
    end)

    it("ends at a signal", function()
      local other = support.start({})
      run("kill -TERM " .. other.pid)
      other.process:close()
      assert.is_true(is_gone(other.ca_file))
    end)

    it("says how it is used", function()
      local output = run("lua5.4 spec/standin/main.lua --listen gopher")
      assert.truthy(output:find("cannot listen: gopher", 1, true))
      assert.truthy(output:find("usage:", 1, true))
    end)
  end)
end)
