-- login(credentials): what is sent, how often, where to, and what comes back.
-- Depends on filescom, lua-cjson and the stand-in.

local api = require("spec.support.api")
local cjson = require("cjson")
local core = require("filescom.core")
local filescom = require("filescom")
local support = require("spec.support.standin")

local MOTOR = api.MOTOR

describe("login", function()
  local standin, client, lines

  setup(function()
    standin = support.start({ "http", "https" })
  end)

  teardown(function()
    standin:stop()
  end)

  before_each(function()
    standin:reset()
    lines = {}
    client = filescom.new({ base_url = standin.http.base_url })
  end)

  local function traced(options)
    options.debug = function(line)
      lines[#lines + 1] = line
    end
    return filescom.new(options)
  end

  local function order(status, body, headers)
    standin:call("next_answers", { status = status, body = body, headers = headers or {} })
  end

  describe("sends", function()
    it("a POST to /sessions below the base URL's path", function()
      assert(client:login(MOTOR))
      local last = standin:last()
      assert.are.equal("POST /api/rest/v1/sessions", last.method .. " " .. last.target)
    end)

    it("multipart/form-data", function()
      assert(client:login(MOTOR))
      assert.are.equal("multipart/form-data", standin:last().header["content-type"]:match("^[^;]*"))
    end)

    it("Accept: application/json", function()
      assert(client:login(MOTOR))
      assert.are.equal("application/json", standin:last().header.accept)
    end)

    it("exactly the four fields of the credentials", function()
      local all = { username = "u", password = "p", otp = "123456", partial_session_id = "part" }
      client:login(all)
      assert.are.same(all, standin:last().fields)
    end)

    it("a field that is alone", function()
      client:login({ username = "motor" })
      assert.are.same({ username = "motor" }, standin:last().fields)
    end)

    it("an empty field as an empty field", function()
      client:login({ username = "motor", password = "" })
      assert.are.same({ username = "motor", password = "" }, standin:last().fields)
    end)

    it("a form that a strict server accepts where no field is given at all", function()
      client:login({})
      local last = standin:last()
      assert.is_nil(last.refused)
      assert.is_nil(next(last.fields))
    end)

    it("neither a session id nor an API key, even where a session is open", function()
      assert(client:login(MOTOR))
      assert(client:login(MOTOR))
      local last = standin:last()
      assert.is_nil(last.header["x-filesapi-auth"])
      assert.is_nil(last.header["x-filesapi-key"])
    end)

    it("over TLS, where the authority is trusted", function()
      local secure = filescom.new({ base_url = standin.https.base_url, ca_file = standin.ca_file })
      assert(secure:login(MOTOR))
      assert.is_truthy(standin:last().tls)
    end)

    it("nothing into the caller's table", function()
      local given = { username = "motor", password = "vroom" }
      assert(client:login(given))
      assert.are.same({ username = "motor", password = "vroom" }, given)
    end)
  end)

  describe("delivers unchanged", function()
    local function arrives(password)
      standin:call("account", { username = "exact", password = password })
      local session, err = client:login({ username = "exact", password = password })
      assert.is_nil(err)
      assert.is_string(session.id)
      assert.is_true(standin:last().fields.password == password)
    end

    it("a password with NUL bytes", function()
      arrives("a\0b\0")
    end)

    it("a password with quotes and backslashes", function()
      arrives([["double" 'single' \back\ %22]])
    end)

    it("a password with line breaks of every kind", function()
      arrives("\r\none\rtwo\nthree\r\n")
    end)

    it("a password beyond ASCII", function()
      arrives("Zürich, 東京, \240\159\148\145")
    end)

    it("a password that looks like a boundary", function()
      arrives("\r\n--filescom-0123456789abcdef--\r\nContent-Disposition: form-data; name=\"otp\"\r\n\r\nx\r\n--")
    end)

    it("a password that looks like the boundary of the request before", function()
      assert(client:login(MOTOR))
      local boundary = standin:last().header["content-type"]:match("boundary=(.*)$")
      arrives("\r\n--" .. boundary .. "\r\n--" .. boundary .. "--\r\n")
    end)

    it("a password with blanks at both ends", function()
      arrives("  padded \t")
    end)

    it("a password of 100 KB with all of that in it", function()
      arrives(("\0\"'\\\r\n--filescom-\r\n--é東%00;="):rep(4000):sub(1, 102400))
    end)

    it("a user name with NUL bytes, quotes, line breaks and non-ASCII text", function()
      local username = "mö\0tor\"\r\n'@example.com"
      standin:call("account", { username = username, password = "vroom" })
      assert(client:login({ username = username, password = "vroom" }))
      assert.are.equal(username, standin:last().fields.username)
    end)
  end)

  describe("refuses as a mistake in the program, and sends nothing for it:", function()
    local function refused(expected, credentials)
      assert.are.equal(expected, api.raised_here(function()
        local session = client:login(credentials)
        return session
      end))
      assert.are.equal(0, #standin:log())
    end

    it("credentials that are a string", function()
      refused("credentials must be a table, got string", "motor")
    end)

    it("credentials that are missing", function()
      refused("credentials must be a table, got nil", nil)
    end)

    it("a misspelt field, which it names", function()
      refused("unknown option 'pasword'", { username = "motor", pasword = "vroom" })
    end)

    it("a field at a place in a list", function()
      refused("unknown option '1'", { "motor" })
    end)

    it("a user name that is a boolean", function()
      refused("option 'username' must be a string, got boolean", { username = true })
    end)

    it("a password that is a number", function()
      refused("option 'password' must be a string, got number", { username = "motor", password = 12345 })
    end)

    it("a code that is a number", function()
      refused("option 'otp' must be a string, got number", { username = "motor", otp = 123456 })
    end)

    it("a partial session that is a table", function()
      refused("option 'partial_session_id' must be a string, got table", { partial_session_id = {} })
    end)

    it("a misspelt field given to the module's own login, told at the caller's place", function()
      assert.are.equal("unknown option 'pasword'", api.raised_here(function()
        local session = filescom.login({ pasword = "vroom" })
        return session
      end))
    end)

    it("a password of the wrong type, without showing it", function()
      local why = api.raised(client.login, client, { username = "motor", password = 987654321 })
      assert.is_nil(why:find("987654321", 1, true))
    end)
  end)

  describe("takes from the answer", function()
    it("every field under the service's own name", function()
      local session = assert(client:login(MOTOR))
      for _, name in ipairs({ "id", "language", "read_only", "sftp_insecure_ciphers", "timeout_at",
        "max_dir_listing_size", "ssl_required", "tls_disabled" }) do
        assert.is_not_nil(session[name], name)
      end
    end)

    it("fields that it has never heard of", function()
      standin:call("account", { username = "motor", session = { brand_new = { deep = { "x" } } } })
      assert.are.same({ deep = { "x" } }, client:login(MOTOR).brand_new)
    end)

    it("the id that the service has open", function()
      local session = assert(client:login(MOTOR))
      assert.are.equal(session.id, standin:call("sessions")[1].id)
    end)

    it("a session from a 200 as from a 201", function()
      order(200, '{"id":"abcdef0123456789"}')
      assert.are.equal("abcdef0123456789", client:login(MOTOR).id)
    end)

    it("no session whose id holds what may not reach a header", function()
      for _, id in ipairs({ "a\r\nX-Evil: 1", "a b", "", "caf\195\169", "a\0b", "a\127b", "a\tb" }) do
        order(201, cjson.encode({ id = id }))
        local session, err = client:login(MOTOR)
        assert.is_nil(session)
        assert.are.equal("response/no-session", err.type)
      end
    end)

    it("no session whose id is not a string", function()
      for _, id in ipairs({ "12345", "null", "true", "[]", "{}" }) do
        order(201, '{"id":' .. id .. "}")
        local session, err = client:login(MOTOR)
        assert.is_nil(session)
        assert.are.equal("response/no-session", err.type)
      end
    end)

    it("nothing to log out where the id was refused", function()
      order(201, '{"id":"a b"}')
      client:login(MOTOR)
      local _, err = client:logout()
      assert.are.equal("session/none", err.type)
      assert.are.equal(1, #standin:log())
    end)
  end)

  describe("sends a refused login once:", function()
    for _, status in ipairs({ 400, 401, 403, 408, 425, 429, 500, 502, 503, 504 }) do
      it("HTTP " .. status, function()
        order(status, '{"type":"x/y","error":"no"}', { ["Retry-After"] = "1" })
        local session, err = client:login(MOTOR)
        assert.is_nil(session)
        assert.are.equal(status, err.status)
        assert.are.equal(1, #standin:log())
      end)
    end

    for _, status in ipairs({ 301, 302, 303, 307, 308 }) do
      it("the redirect HTTP " .. status .. ", which is not followed", function()
        order(status, "", { Location = standin.http.base_url .. "/sessions" })
        local session, err = client:login(MOTOR)
        assert.is_nil(session)
        assert.are.equal("response/status", err.type)
        assert.are.equal(status, err.status)
        assert.are.equal(1, #standin:log())
      end)
    end

    it("an answer that does not come in time", function()
      standin:call("configure", { hang = true })
      local hasty = filescom.new({ base_url = standin.http.base_url, timeout = 0.3, retries = 5 })
      local session, err = hasty:login(MOTOR)
      assert.is_nil(session)
      assert.are.equal("network/timeout", err.type)
      assert.are.equal(1, #standin:log())
    end)
  end)

  describe("tries again, where nothing was sent,", function()
    local function attempts_at_closed_port(retries)
      local nowhere = traced({ base_url = "http://127.0.0.1:" .. api.closed_port(), retries = retries })
      local seconds, session, err = api.timed(function()
        return nowhere:login(MOTOR)
      end)
      assert.is_nil(session)
      assert.are.equal("network/connect", err.type)
      return tonumber(table.concat(lines, "\n"):match("attempt (%d+)")), seconds
    end

    it("twice without being told", function()
      assert.are.equal(3, (attempts_at_closed_port(nil)))
    end)

    it("not at all with retries = 0", function()
      assert.are.equal(1, (attempts_at_closed_port(0)))
    end)

    it("three times with retries = 3, after pauses that grow", function()
      local attempts, seconds = attempts_at_closed_port(3)
      assert.are.equal(4, attempts)
      -- Three pauses as long as the first would take 0.3 s; they double.
      assert.is_true(seconds > 0.6 and seconds < 2, tostring(seconds))
    end)

    it("until somebody listens, and sends the login then, once", function()
      local port = api.closed_port()
      local exchange = core.client({ base_url = "http://127.0.0.1:" .. port }):begin_login(MOTOR)
      assert.is_false(exchange:wait(0.02))
      local listener = standin:listen({ scheme = "http", port = port })
      assert.is_true(exchange:wait(5))
      assert.are.equal(2, exchange:info().attempts)
      assert.is_string(exchange:finish().id)
      assert.are.equal(1, #standin:log())
      standin:call("unlisten", { listener = listener.id })
    end)

    it("within the time limit of the whole", function()
      local nowhere = filescom.new({ base_url = "http://127.0.0.1:" .. api.closed_port(), retries = 50, timeout = 0.5 })
      local seconds = api.timed(function()
        return nowhere:login(MOTOR)
      end)
      assert.is_true(seconds < 1.5, tostring(seconds))
    end)
  end)

  describe("in the wrong region", function()
    local region

    before_each(function()
      region = region or standin:listen({ scheme = "http", region = "eu" })
    end)

    local function live_in(host, name)
      standin:call("account", { username = "motor", region = name or "eu", host = host })
    end

    -- Which listeners were asked, in turn.
    local function asked()
      local ids = {}
      for i, entry in ipairs(standin:log()) do
        ids[i] = entry.listener == region.id and "region" or "base"
      end
      return table.concat(ids, " ")
    end

    it("goes to the host named, once", function()
      live_in(region.host)
      assert(client:login(MOTOR))
      assert.are.equal("base region", asked())
    end)

    it("sends the same fields there", function()
      live_in(region.host)
      assert(client:login(MOTOR))
      assert.are.same(MOTOR, standin:last().fields)
    end)

    it("gives a session that lives there", function()
      live_in(region.host)
      assert.are.equal(region.base_url .. "/api/rest/v1", client:login(MOTOR).base_url)
    end)

    it("logs out there", function()
      live_in(region.host)
      assert(client:login(MOTOR))
      assert(client:logout())
      assert.are.equal("base region region", asked())
    end)

    it("sends requests there", function()
      live_in(region.host)
      assert(client:login(MOTOR):request("GET", "/user"))
      assert.are.equal("base region region", asked())
    end)

    it("logs out there by the id alone", function()
      live_in(region.host)
      assert(client:logout(client:login(MOTOR).id))
      assert.are.equal("base region region", asked())
    end)

    it("does not take the client along: the next login begins at the base", function()
      live_in(region.host)
      assert(client:login(MOTOR))
      standin:call("account", { username = "other", password = "x" })
      assert(client:login({ username = "other", password = "x" }))
      assert.are.equal("base region base", asked())
    end)

    it("returns a second mismatch", function()
      live_in(region.host, "mars")
      local session, err = client:login(MOTOR)
      assert.is_nil(session)
      assert.are.equal("not-authenticated/lockout-region-mismatch", err.type)
      assert.are.equal("base region", asked())
    end)

    it("does not follow from a loopback address to files.com", function()
      live_in("eu.files.com")
      local session, err = client:login(MOTOR)
      assert.is_nil(session)
      assert.are.equal("not-authenticated/lockout-region-mismatch", err.type)
      assert.are.equal("base", asked())
    end)

    it("does not follow to a foreign host", function()
      live_in("files.com.example.invalid")
      local _, err = client:login(MOTOR)
      assert.are.equal("not-authenticated/lockout-region-mismatch", err.type)
      assert.are.equal("base", asked())
    end)

    it("says why it did not follow", function()
      live_in("eu.files.com")
      local _, err = client:login(MOTOR)
      assert.is_truthy(err.reason:find("region was not followed", 1, true))
    end)

    it("does not ask the same host again", function()
      live_in(standin.http.host)
      local _, err = client:login(MOTOR)
      assert.are.equal("not-authenticated/lockout-region-mismatch", err.type)
      assert.are.equal("base", asked())
    end)

    it("returns a mismatch that names no host", function()
      for _, data in ipairs({ "{}", "null", "[]", '{"host":5}', '{"host":""}', '{"host":null}', '"x"' }) do
        order(401, '{"type":"not-authenticated/lockout-region-mismatch","data":' .. data .. "}")
        local session, err = client:login(MOTOR)
        assert.is_nil(session)
        assert.are.equal("not-authenticated/lockout-region-mismatch", err.type)
      end
    end)

    it("returns what the region answers", function()
      live_in(region.host)
      local _, err = client:login({ username = "motor", password = "wrong" })
      assert.are.equal("not-authenticated/invalid-username-or-password", err.type)
      assert.are.equal("base region", asked())
    end)
  end)

  describe("from the real service, follows a region", function()
    local BASE = "https://app.files.com/api/rest/v1"

    it("to files.com and to what is under it, over https", function()
      assert.are.equal("https://files.com/api/rest/v1", core.region_base_url(BASE, "files.com"))
      assert.are.equal("https://eu.files.com/api/rest/v1", core.region_base_url(BASE, "eu.files.com"))
      assert.are.equal("https://a.b.files.com/api/rest/v1", core.region_base_url(BASE, "A.b.FILES.com"))
    end)

    it("to no host that only looks like it, and to no URL", function()
      for _, host in ipairs({ "evilfiles.com", "files.com.evil.example", "127.0.0.1", "localhost", "", "files.com/x",
        "http://eu.files.com", "user@eu.files.com", "evil.example#.files.com", "evil.example?.files.com",
        "evil.example\\.files.com", "eu.files.com\r\nX: y", "files.com." }) do
        local url, why = core.region_base_url(BASE, host)
        assert.is_nil(url, host)
        assert.is_string(why)
      end
    end)

    it("to no host whose first label is empty", function()
      assert.is_nil((core.region_base_url(BASE, ".files.com")))
    end)

    it("to no host that goes on after a NUL byte", function()
      assert.is_nil((core.region_base_url(BASE, "eu.files.com\0.evil.example")))
    end)
  end)

  describe("again and again", function()
    it("uses one connection", function()
      local _, before = standin:connections(standin.http)
      for _ = 1, 3 do
        assert(client:login(MOTOR))
        assert(client:logout())
      end
      local _, after = standin:connections(standin.http)
      assert.is_true(after - before <= 1)
      local log = standin:log()
      for i = 2, #log do
        assert.are.equal(log[1].connection, log[i].connection)
      end
    end)

    it("keeps Lua's memory flat over 300 pairs", function()
      local function pairs_of(count)
        for _ = 1, count do
          assert(client:login(MOTOR))
          assert(client:logout())
        end
        collectgarbage()
        collectgarbage()
        return collectgarbage("count")
      end
      local before = pairs_of(20)
      local growth = pairs_of(300) - before
      assert.is_true(growth < 24, ("%.1f KB more"):format(growth))
    end)

    it("keeps the process's memory flat over 300 pairs", function()
      local function resident()
        local file = assert(io.open("/proc/self/statm"))
        local pages = file:read("*a"):match("^%d+ (%d+)")
        file:close()
        return tonumber(pages) * 4
      end
      local function pairs_of(count)
        for _ = 1, count do
          assert(client:login(MOTOR))
          assert(client:logout())
        end
        collectgarbage()
        collectgarbage()
        return resident()
      end
      local before = pairs_of(100)
      local growth = pairs_of(300) - before
      assert.is_true(growth < 1024, growth .. " KB more")
    end)

    it("keeps memory bounded where nobody ever logs out", function()
      for _ = 1, 300 do
        assert(client:login(MOTOR))
      end
      local open = 0
      repeat
        local ended = client:logout()
        open = open + (ended and 1 or 0)
      until not ended
      assert.is_true(open >= 1 and open < 300, tostring(open))
    end)

    it("gives every session an id of its own", function()
      assert.are_not.equal(client:login(MOTOR).id, client:login(MOTOR).id)
    end)
  end)
end)
