-- logout([session]): which session ends, where, and what is told of it.
-- Depends on filescom and the stand-in.

local api = require("spec.support.api")
local filescom = require("filescom")
local support = require("spec.support.standin")

local MOTOR = api.MOTOR

describe("logout", function()
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

  -- The ids in the logouts that were sent, in turn.
  local function ended()
    local ids = {}
    for _, entry in ipairs(standin:log()) do
      if entry.method == "DELETE" then
        ids[#ids + 1] = entry.header["x-filesapi-auth"]
      end
    end
    return ids
  end

  local function is_none(result, err)
    assert.is_nil(result)
    assert.are.equal("session/none", err.type)
  end

  it("sends DELETE /sessions with the session's id in X-FilesAPI-Auth", function()
    local session = assert(client:login(MOTOR))
    assert(client:logout(session))
    local last = standin:last()
    assert.are.equal("DELETE /api/rest/v1/sessions", last.method .. " " .. last.target)
    assert.are.equal(session.id, last.header["x-filesapi-auth"])
  end)

  it("sends no body", function()
    assert(client:login(MOTOR))
    assert(client:logout())
    assert.are.equal("", standin:last().body)
  end)

  it("returns the status and the request's id", function()
    assert(client:login(MOTOR))
    local result = assert(client:logout())
    assert.are.equal(204, result.status)
    assert.is_truthy(result.request_id:find("^%x+%-"))
  end)

  it("takes the {} of older servers for success", function()
    standin:call("configure", { old_logout = true })
    assert(client:login(MOTOR))
    assert.are.equal(200, client:logout().status)
  end)

  it("returns whole numbers as integers where Lua has them", function()
    assert(client:login(MOTOR))
    assert.are.equal("integer", api.kind_of(client:logout().status))
  end)

  it("goes over the connection of the login", function()
    assert(client:login(MOTOR))
    assert(client:logout())
    local log = standin:log()
    assert.are.equal(log[1].connection, log[2].connection)
  end)

  it("ends the session on the service", function()
    assert(client:login(MOTOR))
    assert(client:logout())
    assert.are.same({}, standin:call("sessions"))
  end)

  describe("without a session", function()
    it("ends the one of the last login", function()
      assert(client:login(MOTOR))
      local last = assert(client:login(MOTOR))
      assert(client:logout())
      assert.are.same({ last.id }, ended())
    end)

    it("ends the one before it when called again", function()
      local first = assert(client:login(MOTOR))
      local second = assert(client:login(MOTOR))
      assert(client:logout())
      assert(client:logout())
      assert.are.same({ second.id, first.id }, ended())
    end)

    it("passes over one that was logged out by name", function()
      local first = assert(client:login(MOTOR))
      local second = assert(client:login(MOTOR))
      assert(client:logout(second))
      assert(client:logout())
      assert.are.same({ second.id, first.id }, ended())
    end)

    it("passes over one that was logged out by id", function()
      local first = assert(client:login(MOTOR))
      local second = assert(client:login(MOTOR))
      assert(client:logout(second.id))
      assert(client:logout())
      assert.are.same({ second.id, first.id }, ended())
    end)

    it("sends nothing and says session/none where there never was a login", function()
      is_none(client:logout())
      assert.are.equal(0, #standin:log())
    end)

    it("sends nothing and says session/none where every login has ended", function()
      assert(client:login(MOTOR))
      assert(client:logout())
      is_none(client:logout())
      assert.are.equal(2, #standin:log())
    end)

    it("says session/none after a login that failed", function()
      client:login({ username = "motor", password = "wrong" })
      is_none(client:logout())
    end)

    it("does not end the login before one that failed by mistake, but does end it", function()
      local first = assert(client:login(MOTOR))
      client:login({ username = "motor", password = "wrong" })
      assert(client:logout())
      assert.are.same({ first.id }, ended())
    end)

    it("does not end another client's login", function()
      assert(filescom.new({ base_url = standin.http.base_url }):login(MOTOR))
      is_none(client:logout())
    end)

    it("does not end a session that was only taken up", function()
      client:session("0123456789abcdef")
      is_none(client:logout())
    end)

    it("can be tried again where the service did not answer", function()
      local session = assert(client:login(MOTOR))
      standin:call("next_answers", { status = 503, body = "" })
      local result, err = client:logout()
      assert.is_nil(result)
      assert.are.equal(503, err.status)
      assert(client:logout())
      assert.are.same({ session.id, session.id }, ended())
    end)

    it("forgets a session that the service says it does not know", function()
      local session = assert(client:login(MOTOR))
      standin:call("revoke", { id = session.id })
      local result, err = client:logout()
      assert.is_nil(result)
      assert.are.equal(401, err.status)
      is_none(client:logout())
    end)
  end)

  describe("of a session", function()
    it("ends exactly the one that is named by its table", function()
      local first = assert(client:login(MOTOR))
      assert(client:login(MOTOR))
      assert(client:logout(first))
      assert.are.same({ first.id }, ended())
    end)

    it("ends exactly the one that is named by its id", function()
      local first = assert(client:login(MOTOR))
      assert(client:login(MOTOR))
      assert(client:logout(first.id))
      assert.are.same({ first.id }, ended())
    end)

    it("ends the session whose method it is", function()
      local first = assert(client:login(MOTOR))
      assert(client:login(MOTOR))
      assert(first:logout())
      assert.are.same({ first.id }, ended())
    end)

    it("ends one that another client opened, by its id", function()
      local session = assert(filescom.new({ base_url = standin.http.base_url }):login(MOTOR))
      assert.are.equal(204, client:logout(session.id).status)
    end)

    it("goes where a plain table says that the session lives", function()
      local session = assert(client:login(MOTOR))
      local elsewhere = filescom.new({ base_url = "http://127.0.0.1:" .. api.closed_port(), retries = 0 })
      assert.are.equal(204, elsewhere:logout({ id = session.id, base_url = session.base_url }).status)
    end)

    it("goes to the client's base where a plain table does not say", function()
      local session = assert(client:login(MOTOR))
      assert.are.equal(204, client:logout({ id = session.id }).status)
    end)

    it("sends nothing the second time and says session/none", function()
      local session = assert(client:login(MOTOR))
      assert(session:logout())
      is_none(session:logout())
      is_none(client:logout(session))
      assert.are.equal(1, #ended())
    end)

    it("that the service no longer knows returns the service's error", function()
      local result, err = client:logout("0123456789abcdef0123")
      assert.is_nil(result)
      assert.are.equal("not-authenticated/invalid-session", err.type)
    end)

    it("is sent once, whatever the service answers", function()
      for _, status in ipairs({ 429, 500, 503 }) do
        standin:reset()
        standin:call("next_answers", { status = status, body = "{}" })
        local result, err = client:logout("0123456789abcdef0123")
        assert.is_nil(result)
        assert.are.equal(status, err.status)
        assert.are.equal(1, #standin:log())
      end
    end)

    it("does not follow a redirect", function()
      standin:call("next_answers", { status = 308, headers = { Location = standin.http.base_url .. "/sessions" } })
      local result, err = client:logout("0123456789abcdef0123")
      assert.is_nil(result)
      assert.are.equal(308, err.status)
      assert.are.equal(1, #standin:log())
    end)

    it("that is answered with a page instead of JSON is not taken for success", function()
      standin:call("next_answers", { status = 200, body = "<html>", headers = { ["Content-Type"] = "text/html" } })
      local result, err = client:logout("0123456789abcdef0123")
      assert.is_nil(result)
      assert.are.equal("response/not-json", err.type)
    end)
  end)

  describe("refuses, and sends nothing for it:", function()
    local IDS = { "", "a b", "a\r\nX-Evil: 1", "a\nb", "a\0b", "caf\195\169", "a\tb", "a\127" }

    it("ids that may not reach a header", function()
      for _, id in ipairs(IDS) do
        assert.are.equal("a session id must be a non-empty string of visible ASCII", api.raised_here(function()
          local result = client:logout(id)
          return result
        end))
      end
      assert.are.equal(0, #standin:log())
    end)

    it("tables whose ids may not reach a header", function()
      for _, id in ipairs(IDS) do
        assert.are.equal("a session id must be a non-empty string of visible ASCII", api.raised_here(function()
          local result = client:logout({ id = id })
          return result
        end))
      end
      assert.are.equal(0, #standin:log())
    end)

    it("a table without an id", function()
      assert.is_truthy(api.raised(client.logout, client, {}):find("a session id must be", 1, true))
      assert.are.equal(0, #standin:log())
    end)

    it("a number", function()
      assert.are.equal("a session must be a session table or an id, got number", api.raised_here(function()
        local result = client:logout(12345678)
        return result
      end))
    end)

    it("a boolean, which is not taken for no session", function()
      assert(client:login(MOTOR))
      assert.is_truthy(api.raised(client.logout, client, false):find("got boolean", 1, true))
      assert.are.equal(1, #standin:log())
    end)

    it("a table that lives at an address without TLS", function()
      local why = api.raised(client.logout, client, { id = "abc", base_url = "http://example.com" })
      assert.is_truthy(why:find("base_url must be https", 1, true))
    end)

    it("an id, without showing it", function()
      local why = api.raised(client.logout, client, "very secret id\r\n")
      assert.is_nil(why:find("very secret", 1, true))
    end)
  end)

  describe("of the module", function()
    local module

    before_each(function()
      package.loaded.filescom = nil
      module = require("filescom")
      module.configure({ base_url = standin.http.base_url })
    end)

    it("ends the session of the module's last login", function()
      local session = assert(module.login(MOTOR))
      assert.are.equal(204, module.logout().status)
      assert.are.same({ session.id }, ended())
    end)

    it("ends a session that is named", function()
      local first = assert(module.login(MOTOR))
      assert(module.login(MOTOR))
      assert(module.logout(first))
      assert.are.same({ first.id }, ended())
    end)

    it("does not end a login of another client", function()
      assert(client:login(MOTOR))
      is_none(module.logout())
    end)

    it("ends a login from before configure() was called again", function()
      local session = assert(module.login(MOTOR))
      module.configure({ timeout = 5 })
      assert(module.logout())
      assert.are.same({ session.id }, ended())
    end)
  end)
end)
