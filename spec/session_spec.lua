-- Sessions: what is in one, writing it down, taking it up again, showing it, closing it.
-- Depends on filescom, lua-cjson and the stand-in.

local api = require("spec.support.api")
local cjson = require("cjson")
local filescom = require("filescom")
local support = require("spec.support.standin")

local MOTOR = api.MOTOR
local has_close = rawget(_G, "_VERSION") == "Lua 5.4"
local load_text = rawget(_G, "loadstring") or load

describe("a session", function()
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

  local function answered(body)
    standin:call("next_answers", { status = 201, body = body })
    return assert(client:login(MOTOR))
  end

  describe("as a table", function()
    it("shows pairs the service's fields and base_url, nothing else", function()
      local session = answered('{"id":"0123456789abcdef","language":"en","read_only":false}')
      assert.are.equal("base_url id language read_only", api.names(session))
    end)

    it("says in base_url where it lives", function()
      local session = answered('{"id":"0123456789abcdef"}')
      assert.are.equal(standin.http.base_url .. "/api/rest/v1", session.base_url)
    end)

    it("does not let the service say where it lives", function()
      local session = answered('{"id":"0123456789abcdef","base_url":"https://evil.example"}')
      assert.are.equal(standin.http.base_url .. "/api/rest/v1", session.base_url)
    end)

    it("has nil for null", function()
      local session = answered('{"id":"0123456789abcdef","language":null}')
      assert.is_nil(session.language)
      assert.are.equal("base_url id", api.names(session))
    end)

    it("has nil for null within objects, however deep", function()
      local session = answered('{"id":"0123456789abcdef","a":{"b":null,"c":{"d":null,"e":1}}}')
      assert.are.same({ c = { e = 1 } }, session.a)
    end)

    it("has nil for null within lists", function()
      local session = answered('{"id":"0123456789abcdef","list":["x",null,"y"]}')
      assert.are.equal("x", session.list[1])
      assert.is_nil(session.list[2])
      assert.are.equal("y", session.list[3])
    end)

    it("has integers for whole numbers where Lua has them", function()
      local session = answered('{"id":"0123456789abcdef","n":25000,"zero":0,"minus":-7,"big":5368709120}')
      for _, name in ipairs({ "n", "zero", "minus", "big" }) do
        assert.are.equal("integer", api.kind_of(session[name]), name)
      end
    end)

    it("has integers within objects and lists as well", function()
      local session = answered('{"id":"0123456789abcdef","a":{"n":7,"list":[1,[2,{"deep":3}]]}}')
      assert.are.equal("integer", api.kind_of(session.a.n))
      assert.are.equal("integer", api.kind_of(session.a.list[1]))
      assert.are.equal("integer", api.kind_of(session.a.list[2][1]))
      assert.are.equal("integer", api.kind_of(session.a.list[2][2].deep))
    end)

    it("keeps fractions", function()
      assert.are.equal(0.25, answered('{"id":"0123456789abcdef","share":0.25}').share)
    end)

    it("keeps false apart from null", function()
      assert.is_false(answered('{"id":"0123456789abcdef","read_only":false}').read_only)
    end)

    it("keeps text beyond ASCII", function()
      assert.are.equal("Zürich €", answered('{"id":"0123456789abcdef","name":"Z\\u00fcrich €"}').name)
    end)

    it("leaves the user's own cjson as it was", function()
      answered('{"id":"0123456789abcdef","language":null}')
      assert.are.equal(cjson.null, cjson.decode("[null]")[1])
    end)
  end)

  describe("shown by tostring", function()
    it("hides its id", function()
      local session = assert(client:login(MOTOR))
      local text = tostring(session)
      assert.is_nil(text:find(session.id, 1, true))
      assert.is_nil(text:find(session.id:sub(1, 8), 1, true))
      assert.is_nil(text:find(session.id:sub(-8), 1, true))
    end)

    it("hides a short id altogether", function()
      assert.is_nil(tostring(client:session("zq7")):find("zq7", 1, true))
    end)

    it("says where it lives", function()
      assert.is_truthy(tostring(client:login(MOTOR)):find(standin.http.base_url, 1, true))
    end)

    it("survives a session whose fields were taken out", function()
      local session = client:session("0123456789abcdef")
      session.id, session.base_url = nil, nil
      assert.is_string(tostring(session))
    end)
  end)

  it("gives the header that authorises other HTTP clients", function()
    local session = assert(client:login(MOTOR))
    assert.are.same({ ["X-FilesAPI-Auth"] = session.id }, session:headers())
  end)

  describe("written down", function()
    it("is whole after cjson has encoded and decoded it", function()
      local session = assert(client:login(MOTOR))
      local copy = client:session(cjson.decode(cjson.encode(session)))
      assert.are.equal(api.names(session), api.names(copy))
      assert.are.equal(session.id, copy.id)
      assert.are.equal(session.base_url, copy.base_url)
    end)

    it("is taken up by another process, used and logged out", function()
      local session = assert(client:login(MOTOR))
      local path = api.write(cjson.encode(session))
      local told = api.run_lua(([[
        local file = assert(io.open(%q))
        local session = require("filescom").session(require("cjson").decode(file:read("*a")))
        io.write(assert(session:request("GET", "/user")).data.username, " ", assert(session:logout()).status)
      ]]):format(path))
      os.remove(path)
      assert.are.equal("motor 204", told)
      assert.are.same({}, standin:call("sessions"))
    end)
  end)

  describe("taken up", function()
    it("sends nothing", function()
      client:session("0123456789abcdef")
      client:session({ id = "0123456789abcdef" })
      assert.are.equal(0, #standin:log())
    end)

    it("by its id lives at the client's base", function()
      assert.are.same({ id = "0123456789abcdef", base_url = standin.http.base_url .. "/api/rest/v1" },
        client:session("0123456789abcdef"))
    end)

    it("by its id can be used", function()
      local id = client:login(MOTOR).id
      local other = filescom.new({ base_url = standin.http.base_url })
      assert.are.equal("motor", other:session(id):request("GET", "/user").data.username)
    end)

    it("keeps the fields of the table", function()
      assert.are.equal("de", client:session({ id = "0123456789abcdef", language = "de" }).language)
    end)

    it("keeps the base_url of the table", function()
      local base = "https://eu.files.com/api/rest/v1"
      assert.are.equal(base, client:session({ id = "0123456789abcdef", base_url = base }).base_url)
    end)

    it("leaves the caller's table alone", function()
      local plain = { id = "0123456789abcdef" }
      client:session(plain)
      assert.is_nil(plain.base_url)
      assert.is_nil(getmetatable(plain))
    end)

    it("by the module's function belongs to the default client", function()
      package.loaded.filescom = nil
      local module = require("filescom")
      module.configure({ base_url = standin.http.base_url })
      local id = client:login(MOTOR).id
      assert.are.equal(204, module.session(id):logout().status)
    end)
  end)

  describe("that cannot be taken up raises an error for", function()
    local VISIBLE = "a session id must be a non-empty string of visible ASCII"

    local function refused(expected, what)
      assert.are.equal(expected, api.raised_here(function()
        local session = client:session(what)
        return session
      end))
    end

    for _, case in ipairs({ { "a line break", "a\r\nX-Evil: 1" }, { "a blank", "a b" }, { "a tab", "a\tb" },
      { "a NUL byte", "a\0b" }, { "non-ASCII text", "caf\195\169" }, { "an empty id", "" } }) do
      it(case[1], function()
        refused(VISIBLE, case[2])
      end)
    end

    it("a line break in a table's id", function()
      refused(VISIBLE, { id = "a\nb" })
    end)

    it("a number as a table's id", function()
      refused(VISIBLE, { id = 12345678 })
    end)

    it("a table without an id", function()
      refused(VISIBLE, {})
    end)

    it("a number", function()
      refused("a session must be a table or an id, got number", 12345678)
    end)

    it("nothing", function()
      refused("a session must be a table or an id, got nil", nil)
    end)

    it("a base_url that is not https", function()
      refused("a session's base_url must be https (plain http is for loopback addresses alone)",
        { id = "0123456789abcdef", base_url = "http://app.files.com" })
    end)

    it("a base_url of the wrong type", function()
      refused("a session's base_url must be a string, got number", { id = "0123456789abcdef", base_url = 5 })
    end)

    it("a bad id, without showing it", function()
      assert.is_nil(api.raised(client.session, client, "hush hush"):find("hush", 1, true))
    end)
  end)

  if has_close then
    describe("declared <close>", function()
      local function in_block(text)
        return assert(load_text("local client, credentials = ...\n" .. text))
      end

      it("logs out at the end of its block", function()
        in_block("local s <close> = client:login(credentials)")(client, MOTOR)
        assert.are.equal("DELETE", standin:last().method)
        assert.are.same({}, standin:call("sessions"))
      end)

      it("logs out where an error ends its block, and the error goes on", function()
        local why = api.raised(in_block("local s <close> = client:login(credentials) error('mine', 0)"), client, MOTOR)
        assert.are.equal("mine", why)
        assert.are.same({}, standin:call("sessions"))
      end)

      it("is not logged out twice", function()
        in_block("local s <close> = client:login(credentials) assert(s:logout())")(client, MOTOR)
        assert.are.equal(2, #standin:log())
      end)

      it("may be the nothing of a login that failed", function()
        in_block("local s <close> = client:login({ username = 'motor', password = 'no' })")(client)
        assert.are.equal(1, #standin:log())
      end)

      it("does not fail its block where the logout fails", function()
        local run = in_block("local s <close> = client:login(credentials) return 'done'")
        local session = client:login(MOTOR)
        assert.is_string(session.id)
        standin:call("next_answers", { status = 201, body = '{"id":"0123456789abcdef"}' })
        standin:call("next_answers", { status = 500, body = "" })
        assert.are.equal("done", run(client, MOTOR))
      end)

      it("that was taken up logs out as well", function()
        local id = client:login(MOTOR).id
        in_block("local s <close> = client:session(credentials)")(client, id)
        assert.are.same({}, standin:call("sessions"))
      end)
    end)
  else
    it("has a __close for Luas that know it, though this one does not", function()
      assert.is_function(getmetatable(client:session("0123456789abcdef")).__close)
    end)
  end
end)
