-- login_with_otp(credentials, get_code [, options]): what is sent in answer to a challenge, and what is asked for.
-- Depends on filescom, lua-cjson and the stand-in.

local api = require("spec.support.api")
local cjson = require("cjson")
local filescom = require("filescom")
local support = require("spec.support.standin")

local CHALLENGE = "not-authenticated/two-factor-authentication-error"
local TESS = { username = "tess", password = "tick-tock" }
local SAM = { username = "sam", password = "dot-dash" }
local EMA = { username = "ema", password = "at-sign" }
local YURI = { username = "yuri", password = "press-here" }
local MIA = { username = "mia", password = "many-ways" }

describe("login_with_otp", function()
  local standin, client, asked

  setup(function()
    standin = support.start({ "http" })
  end)

  teardown(function()
    standin:stop()
  end)

  before_each(function()
    standin:reset()
    asked = {}
    client = filescom.new({ base_url = standin.http.base_url })
  end)

  -- A get_code that notes the challenges and gives the codes in turn: a code, or a list of values to return.
  local function giving(...)
    local codes, count = { ... }, select("#", ...)
    return function(challenge)
      asked[#asked + 1] = challenge
      local code = codes[math.min(#asked, count)]
      if type(code) == "table" then
        return code[1], code[2]
      end
      return code
    end
  end

  -- A get_code that asks the account's owner.
  local function owner_of(credentials)
    return function(challenge)
      asked[#asked + 1] = challenge
      return standin:code(credentials.username, challenge.method)
    end
  end

  local function fields_sent()
    local list = {}
    for i, entry in ipairs(standin:log()) do
      list[i] = entry.fields
    end
    return list
  end

  local function order(body, status)
    standin:call("next_answers", { status = status or 401, body = cjson.encode(body) })
  end

  local function order_challenge(methods)
    order({ type = CHALLENGE, error = "A code, please", data = {
      two_factor_authentication_methods = methods, partial_session_id = "part-1" } })
  end

  it("logs in without asking where no second factor is wanted", function()
    local session = assert(client:login_with_otp(api.MOTOR, giving("never")))
    assert.is_string(session.id)
    assert.are.equal(0, #asked)
    assert.are.equal(1, #standin:log())
  end)

  it("gives a session like any other", function()
    assert(client:login_with_otp(TESS, owner_of(TESS)))
    assert.are.equal(204, client:logout().status)
  end)

  it("of the module is that of the default client", function()
    package.loaded.filescom = nil
    local module = require("filescom")
    module.configure({ base_url = standin.http.base_url })
    assert(module.login_with_otp(TESS, owner_of(TESS)))
    assert.are.equal(204, module.logout().status)
  end)

  it("does not change the caller's credentials", function()
    local given = { username = "tess", password = "tick-tock" }
    assert(client:login_with_otp(given, owner_of(TESS)))
    assert.are.same({ username = "tess", password = "tick-tock" }, given)
  end)

  describe("answers", function()
    it("totp with username, password and otp", function()
      assert(client:login_with_otp(TESS, owner_of(TESS)))
      local fields = standin:last().fields
      assert.are.equal("otp password username", api.names(fields))
      assert.are.equal("tess tick-tock", fields.username .. " " .. fields.password)
      assert.is_truthy(fields.otp:find("^%d%d%d%d%d%d$"))
    end)

    it("sms with username, password and otp", function()
      assert(client:login_with_otp(SAM, owner_of(SAM)))
      local fields = standin:last().fields
      assert.are.equal("otp password username", api.names(fields))
      assert.are.equal("sam dot-dash", fields.username .. " " .. fields.password)
    end)

    it("email with username, password and otp", function()
      assert(client:login_with_otp(EMA, owner_of(EMA)))
      local fields = standin:last().fields
      assert.are.equal("otp password username", api.names(fields))
      assert.are.equal("ema at-sign", fields.username .. " " .. fields.password)
    end)

    it("yubi with username, otp and partial_session_id, and no password", function()
      assert(client:login_with_otp(YURI, owner_of(YURI)))
      local fields = standin:last().fields
      assert.are.equal("otp partial_session_id username", api.names(fields))
      assert.are.equal("yuri", fields.username)
    end)

    it("yubi with the partial session of the challenge", function()
      order_challenge({ "yubi" })
      client:login_with_otp(YURI, giving("cccccc"))
      assert.are.equal("part-1", fields_sent()[2].partial_session_id)
    end)

    it("first with the credentials as they are", function()
      assert(client:login_with_otp(TESS, owner_of(TESS)))
      assert.are.same(TESS, fields_sent()[1])
    end)

    it("with two requests, no more", function()
      assert(client:login_with_otp(TESS, owner_of(TESS)))
      assert.are.equal(2, #standin:log())
    end)

    it("without blanks around the code", function()
      order_challenge({ "totp" })
      client:login_with_otp(TESS, giving(" \t123 456\r\n"))
      assert.are.equal("123 456", fields_sent()[2].otp)
    end)

    it("with a leading zero kept", function()
      order_challenge({ "totp" })
      client:login_with_otp(TESS, giving("012345"))
      assert.are.equal("012345", fields_sent()[2].otp)
    end)
  end)

  describe("prefers", function()
    local function preferred(methods)
      order_challenge(methods)
      client:login_with_otp(TESS, giving(nil))
      return asked[1].method
    end

    it("yubi to all else", function()
      assert.are.equal("yubi", preferred({ "email", "sms", "totp", "yubi" }))
    end)

    it("totp to sms and email", function()
      assert.are.equal("totp", preferred({ "email", "sms", "totp" }))
    end)

    it("sms to email", function()
      assert.are.equal("sms", preferred({ "email", "sms" }))
    end)

    it("email to what no code can answer", function()
      assert.are.equal("email", preferred({ "webauthn", "u2f", "email" }))
    end)
  end)

  describe("lets get_code choose", function()
    it("another of the methods, and answers with that", function()
      local session = assert(client:login_with_otp(MIA, function(challenge)
        asked[1] = challenge
        return standin:code("mia", "sms"), "sms"
      end))
      assert.is_string(session.id)
      assert.are.equal("totp", asked[1].method)
      assert.are.equal("otp password username", api.names(standin:last().fields))
    end)

    it("yubi where another was preferred for it, and leaves the password out", function()
      order_challenge({ "yubi", "totp" })
      client:login_with_otp(YURI, giving({ "cccccc", "yubi" }))
      assert.are.equal("otp partial_session_id username", api.names(fields_sent()[2]))
    end)

    it("totp where yubi was preferred, and sends the password", function()
      order_challenge({ "yubi", "totp" })
      client:login_with_otp(YURI, giving({ "123456", "totp" }))
      assert.are.equal("otp password username", api.names(fields_sent()[2]))
    end)

    it("no method that the service did not name", function()
      local why = api.raised(client.login_with_otp, client, TESS, giving({ "123456", "sms" }))
      assert.is_truthy(why:find("get_code chose the method 'sms', which the service did not name", 1, true))
      assert.are.equal(1, #standin:log())
    end)

    it("no method that no code can answer", function()
      local why = api.raised(client.login_with_otp, client, MIA, giving({ "123456", "webauthn" }))
      assert.is_truthy(why:find("get_code chose the method 'webauthn', which no code can answer", 1, true))
      assert.are.equal(1, #standin:log())
    end)
  end)

  describe("tells get_code", function()
    it("the methods that the service named, all and in its order", function()
      client:login_with_otp(MIA, giving(nil))
      assert.are.same({ "webauthn", "sms", "totp" }, asked[1].methods)
    end)

    it("what the service said", function()
      client:login_with_otp(TESS, giving(nil))
      assert.are.equal("A second factor is needed", asked[1].message)
    end)

    it("which attempt this is, from 1, and of how many, 3 unless told", function()
      client:login_with_otp(TESS, giving("000000"))
      local told = {}
      for i, challenge in ipairs(asked) do
        told[i] = challenge.attempt .. "/" .. challenge.attempts
      end
      assert.are.same({ "1/3", "2/3", "3/3" }, told)
    end)

    it("no error at the first attempt", function()
      client:login_with_otp(TESS, giving(nil))
      assert.is_nil(asked[1].error)
    end)

    it("what refused the last code from the second attempt on", function()
      client:login_with_otp(TESS, giving("000000"))
      assert.are.equal("not-authenticated/one-time-password-incorrect", asked[2].error.type)
      assert.are.equal("The code is not correct", asked[2].error.message)
      assert.are.equal(asked[2].error.type, asked[3].error.type)
    end)

    it("nothing but what is documented", function()
      client:login_with_otp(TESS, giving("000000", nil))
      assert.are.equal("attempt attempts message method methods", api.names(asked[1]))
      assert.are.equal("attempt attempts error message method methods", api.names(asked[2]))
    end)

    it("the same methods again where a refusal does not repeat them", function()
      client:login_with_otp(MIA, giving("000000", nil))
      assert.are.same({ "webauthn", "sms", "totp" }, asked[2].methods)
      assert.are.equal("totp", asked[2].method)
    end)

    it("the methods of a new challenge", function()
      order_challenge({ "sms", "totp" })
      order_challenge({ "sms" })
      client:login_with_otp(TESS, giving("000000", nil))
      assert.are.same({ "sms" }, asked[2].methods)
    end)
  end)

  describe("asks again", function()
    it("after a wrong code, and logs in with a right one", function()
      local session = assert(client:login_with_otp(TESS, function(challenge)
        return challenge.attempt == 1 and "000000" or standin:code("tess")
      end))
      assert.is_string(session.id)
      assert.are.equal(3, #standin:log())
    end)

    for _, reason in ipairs({ "two-factor-authentication-error", "one-time-password-incorrect",
      "invalid-or-expired-code" }) do
      it("after " .. reason, function()
        order_challenge({ "totp" })
        order({ type = "not-authenticated/" .. reason, error = "no" })
        client:login_with_otp(TESS, giving("000000", nil))
        assert.are.equal(2, #asked)
      end)
    end

    it("three times at most, and returns the last error", function()
      local session, err = client:login_with_otp(TESS, giving("000000"))
      assert.is_nil(session)
      assert.are.equal("not-authenticated/one-time-password-incorrect", err.type)
      assert.are.equal(3, #asked)
      assert.are.equal(4, #standin:log())
    end)

    it("as often as option attempts says", function()
      standin:call("configure", { lockout_after = 100 })
      client:login_with_otp(TESS, giving("000000"), { attempts = 5 })
      assert.are.equal(5, #asked)
    end)

    it("not at all with attempts = 1", function()
      client:login_with_otp(TESS, giving("000000"), { attempts = 1 })
      assert.are.equal(1, #asked)
      assert.are.equal(1, asked[1].attempts)
    end)

    it("for a key, with the partial session that it had", function()
      assert(client:login_with_otp(YURI, function(challenge)
        return challenge.attempt == 1 and "cccccccccccc" or standin:code("yuri")
      end))
      local sent = fields_sent()
      assert.are.equal(sent[2].partial_session_id, sent[3].partial_session_id)
    end)

    it("for a key, with the partial session of a new challenge", function()
      order_challenge({ "yubi" })
      order({ type = CHALLENGE, data = { two_factor_authentication_methods = { "yubi" },
        partial_session_id = "part-2" } })
      client:login_with_otp(YURI, giving("cccccc", "dddddd"), { attempts = 2 })
      assert.are.equal("part-2", fields_sent()[3].partial_session_id)
    end)
  end)

  describe("stops", function()
    local function stops_at(kind, status)
      order_challenge({ "totp" })
      order({ type = kind, error = "no" }, status)
      local session, err = client:login_with_otp(TESS, giving("000000"))
      assert.is_nil(session)
      assert.are.equal(kind, err.type)
      assert.are.equal(status, err.status)
      assert.are.equal(1, #asked)
      assert.are.equal(2, #standin:log())
    end

    it("at a lock-out", function()
      stops_at("not-authenticated/locked-out", 401)
    end)

    it("at a lock-out that the service counted itself", function()
      standin:call("configure", { lockout_after = 2 })
      local _, err = client:login_with_otp(TESS, giving("000000"), { attempts = 10 })
      assert.are.equal("not-authenticated/locked-out", err.type)
      assert.are.equal(3, #asked)
    end)

    it("at a rate limit", function()
      stops_at("rate-limited/too-many-login-attempts", 429)
    end)

    it("at a server's error", function()
      stops_at("processing-failure/oops", 500)
    end)

    it("at a wrong password, without asking", function()
      local _, err = client:login_with_otp({ username = "tess", password = "no" }, giving("000000"))
      assert.are.equal("not-authenticated/invalid-username-or-password", err.type)
      assert.are.equal(0, #asked)
      assert.are.equal(1, #standin:log())
    end)

    it("where the service cannot be reached, without asking", function()
      local nowhere = filescom.new({ base_url = "http://127.0.0.1:" .. api.closed_port(), retries = 0 })
      local _, err = nowhere:login_with_otp(TESS, giving("000000"))
      assert.are.equal("network/connect", err.type)
      assert.are.equal(0, #asked)
    end)

    it("without asking where webauthn is all there is", function()
      local session, err = client:login_with_otp({ username = "wes", password = "touch-here" }, giving("000000"))
      assert.is_nil(session)
      assert.are.equal(CHALLENGE, err.type)
      assert.are.equal(0, #asked)
      assert.are.equal(1, #standin:log())
    end)

    it("without asking where u2f is all there is", function()
      local _, err = client:login_with_otp({ username = "uma", password = "plug-in" }, giving("000000"))
      assert.are.equal(CHALLENGE, err.type)
      assert.are.equal(0, #asked)
    end)

    it("without asking where the challenge names no method, or none that it knows", function()
      for _, methods in ipairs({ {}, { "carrier-pigeon" }, { true, 5 } }) do
        order_challenge(methods)
        local _, err = client:login_with_otp(TESS, giving("000000"))
        assert.are.equal(CHALLENGE, err.type)
      end
      assert.are.equal(0, #asked)
    end)
  end)

  describe("gives up where get_code", function()
    it("returns nil, and returns the service's error", function()
      local session, err = client:login_with_otp(TESS, giving(nil))
      assert.is_nil(session)
      assert.are.equal(CHALLENGE, err.type)
      assert.are.equal(401, err.status)
      assert.are.equal(1, #standin:log())
    end)

    it("returns nil and why, which is then in the error's reason", function()
      local _, err = client:login_with_otp(TESS, function()
        return nil, "the phone is at home"
      end)
      assert.are.equal("the phone is at home", err.reason)
      assert.is_truthy(tostring(err):find("the phone is at home", 1, true))
    end)

    it("returns nil at a later attempt", function()
      local _, err = client:login_with_otp(TESS, function(challenge)
        if challenge.attempt == 2 then
          return nil, "enough"
        end
        return "000000"
      end)
      assert.are.equal("not-authenticated/one-time-password-incorrect", err.type)
      assert.are.equal("enough", err.reason)
    end)

    it("returns blanks alone, and sends no empty code", function()
      local _, err = client:login_with_otp(TESS, giving("  "))
      assert.are.equal(CHALLENGE, err.type)
      assert.are.equal(1, #standin:log())
    end)
  end)

  describe("raises", function()
    local function raises(expected, f)
      assert.are.equal(expected, api.raised_here(f))
      assert.are.equal(0, #standin:log())
    end

    it("what get_code raises, a string as it was", function()
      local why = api.raised(client.login_with_otp, client, TESS, function()
        error("my own", 0)
      end)
      assert.are.equal("my own", why)
    end)

    it("what get_code raises, a table as it was", function()
      local mine = {}
      local ok, why = pcall(client.login_with_otp, client, TESS, function()
        error(mine)
      end)
      assert.is_false(ok)
      assert.are.equal(mine, why)
    end)

    it("an error where get_code returns a number", function()
      local why = api.raised(client.login_with_otp, client, TESS, giving(123456))
      assert.is_truthy(why:find("get_code must return a string or nil, got number", 1, true))
      assert.is_nil(why:find("123456", 1, true))
    end)

    it("an error where get_code is missing", function()
      raises("get_code must be a function, got nil", function()
        local session = client:login_with_otp(TESS)
        return session
      end)
    end)

    it("an error for an unknown option", function()
      raises("unknown option 'attemps'", function()
        local session = client:login_with_otp(TESS, giving(nil), { attemps = 2 })
        return session
      end)
    end)

    it("an error for options that are no table", function()
      raises("options must be a table, got number", function()
        local session = client:login_with_otp(TESS, giving(nil), 3)
        return session
      end)
    end)

    it("an error for attempts that are no count", function()
      for _, attempts in ipairs({ 0, -1, 1.5, "3", 0 / 0 }) do
        raises("option 'attempts' must be a whole number, 1 or more", function()
          local session = client:login_with_otp(TESS, giving(nil), { attempts = attempts })
          return session
        end)
      end
    end)

    it("an error for a misspelt credential", function()
      raises("unknown option 'pasword'", function()
        local session = client:login_with_otp({ pasword = "x" }, giving(nil))
        return session
      end)
    end)

    it("errors of the module's function at the caller's place as well", function()
      raises("get_code must be a function, got nil", function()
        local session = filescom.login_with_otp(TESS)
        return session
      end)
    end)
  end)

  describe("in a coroutine", function()
    it("lets get_code yield", function()
      local routine = coroutine.create(function()
        return client:login_with_otp(TESS, function(challenge)
          return (coroutine.yield(challenge.method))
        end)
      end)
      local _, method = coroutine.resume(routine)
      assert.are.equal("totp", method)
      local ok, session = coroutine.resume(routine, standin:code("tess"))
      assert.is_true(ok)
      assert.is_string(session.id)
    end)

    it("leaves the client of use where it is never resumed", function()
      local routine = coroutine.create(function()
        client:login_with_otp(TESS, coroutine.yield)
      end)
      coroutine.resume(routine)
      routine = nil -- luacheck: ignore 311
      collectgarbage()
      assert(client:login(api.MOTOR))
    end)
  end)

  it("sends the code to the region that asked for it, and the password there alone thereafter", function()
    local region = standin:listen({ scheme = "http", region = "eu" })
    standin:call("account", { username = "tess", region = "eu", host = region.host })
    local session = assert(client:login_with_otp(TESS, owner_of(TESS)))
    assert.are.equal(region.base_url .. "/api/rest/v1", session.base_url)
    local log = standin:log()
    assert.are.equal(3, #log)
    for _, entry in ipairs(log) do
      if entry.fields.otp then
        assert.are.equal(region.id, entry.listener)
      end
    end
    standin:call("unlisten", { listener = region.id })
  end)

  it("keeps codes and passwords out of the errors", function()
    order_challenge({ "totp" })
    order({ type = "not-authenticated/one-time-password-incorrect", error = "993377 and tick-tock are wrong",
      data = { otp = "993377" }, errors = { "tick-tock" } })
    local _, err = client:login_with_otp(TESS, giving("993377"), { attempts = 1 })
    local shown = tostring(err) .. cjson.encode({ err.message, err.data, err.errors })
    assert.is_nil(shown:find("993377", 1, true))
    assert.is_nil(shown:find("tick-tock", 1, true))
  end)

  it("keeps a password that it did not send with a key's code out of the errors", function()
    order_challenge({ "yubi" })
    order({ type = "not-authenticated/locked-out", error = "press-here is locked out" })
    local _, err = client:login_with_otp(YURI, giving("cccccc"), { attempts = 1 })
    assert.is_nil(tostring(err):find("press-here", 1, true))
  end)
end)
