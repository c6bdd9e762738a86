-- The debug option: trace lines that tell how an exchange went, and no secret.
-- Depends on filescom, lua-cjson and the stand-in.

local api = require("spec.support.api")
local cjson = require("cjson")
local filescom = require("filescom")
local support = require("spec.support.standin")

describe("the trace", function()
  local standin, client, lines

  setup(function()
    standin = support.start({ "http" })
  end)

  teardown(function()
    standin:stop()
  end)

  before_each(function()
    standin:reset()
    lines = {}
    client = filescom.new({ base_url = standin.http.base_url, debug = function(...)
      lines[#lines + 1] = table.concat({ ... }, "|")
    end })
  end)

  local function text()
    return table.concat(lines, "\n")
  end

  local function tells(part)
    assert.is_truthy(text():find(part, 1, true), text())
  end

  local function hides(secret)
    assert.is_true(#lines > 0)
    assert.is_nil(text():find(secret, 1, true), text())
  end

  it("tells where a login went and the names of its fields", function()
    assert(client:login(api.MOTOR))
    tells("POST " .. standin.http.base_url .. "/api/rest/v1/sessions")
    tells("password, username")
  end)

  it("tells the status", function()
    assert(client:login(api.MOTOR))
    tells("HTTP 201")
  end)

  it("tells the request's id", function()
    standin:call("next_answers", { status = 401, body = "{}", headers = { ["X-Request-Id"] = "req-77" } })
    client:login(api.MOTOR)
    tells("req-77")
  end)

  it("tells what failed where no answer came", function()
    local nowhere = filescom.new({ base_url = "http://127.0.0.1:" .. api.closed_port(), retries = 1,
      debug = function(line)
        lines[#lines + 1] = line
      end })
    nowhere:login(api.MOTOR)
    tells("network/connect")
    tells("attempt 2")
  end)

  it("tells whether the connection was kept", function()
    assert(client:login(api.MOTOR))
    assert(client:logout())
    tells("kept connection")
  end)

  it("tells of logouts and requests as well", function()
    local session = assert(client:login(api.MOTOR))
    assert(session:request("GET", "/user"))
    assert(session:logout())
    tells("GET " .. standin.http.base_url .. "/api/rest/v1/user")
    tells("DELETE " .. standin.http.base_url .. "/api/rest/v1/sessions")
  end)

  it("tells of both requests of a login in the wrong region", function()
    local region = standin:listen({ scheme = "http", region = "eu" })
    standin:call("account", { username = "motor", region = "eu", host = region.host })
    assert(client:login(api.MOTOR))
    tells("POST " .. standin.http.base_url)
    tells("POST " .. region.base_url)
    standin:call("unlisten", { listener = region.id })
  end)

  it("is given lines without line ends, one at a time", function()
    standin:call("next_answers", { status = 401, body = '{"type":"a/b","error":"one\\r\\ntwo"}' })
    client:login(api.MOTOR)
    for _, line in ipairs(lines) do
      assert.is_nil(line:find("[%c|]"))
    end
  end)

  describe("hides", function()
    it("the password", function()
      client:login({ username = "motor", password = "correct horse" })
      hides("correct horse")
    end)

    it("the code", function()
      client:login({ username = "motor", password = "vroom", otp = "918273" })
      hides("918273")
    end)

    it("the partial session", function()
      client:login({ username = "motor", otp = "918273", partial_session_id = "partial-0123456789" })
      hides("partial-0123456789")
    end)

    it("the session's id, in the answer, the logout and requests", function()
      local session = assert(client:login(api.MOTOR))
      session:request("GET", "/user")
      session:logout()
      hides(session.id)
      hides(session.id:sub(1, 12))
    end)

    it("a password that the service repeats, in its body and its headers", function()
      standin:call("next_answers", { status = 401, body = cjson.encode({ type = "correct-horse",
        error = "correct-horse", instance = "correct-horse" }), headers = { ["X-Request-Id"] = "correct-horse" } })
      client:login({ username = "motor", password = "correct-horse" })
      hides("correct-horse")
    end)

    it("the query, the body and the values of headers of a request", function()
      local session = assert(client:login(api.MOTOR))
      session:request("POST", "/echo", { query = { q = "secret-query" }, json = { p = "secret-body" },
        headers = { ["X-Files-Reauthentication"] = "password:secret-header" } })
      hides("secret-query")
      hides("secret-body")
      hides("secret-header")
    end)

    it("the code of the second factor's helper", function()
      client:login_with_otp({ username = "tess", password = "tick-tock" }, function()
        return "918273"
      end)
      hides("918273")
      hides("tick-tock")
    end)
  end)

  it("does not lose a login where the function raises", function()
    local careless = filescom.new({ base_url = standin.http.base_url, debug = function()
      error("the log is full")
    end })
    assert.is_string(careless:login(api.MOTOR).id)
  end)

  it("changes nothing in what is sent", function()
    assert(client:login(api.MOTOR))
    local traced = standin:last()
    assert(filescom.new({ base_url = standin.http.base_url }):login(api.MOTOR))
    assert.are.same(traced.fields, standin:last().fields)
    assert.are.equal(api.names(traced.header), api.names(standin:last().header))
  end)

  it("is not written where nobody asked for it", function()
    local told = api.run_lua(([[
      local client = require("filescom").new { base_url = %q }
      client:login { username = "motor", password = "vroom" }
      client:logout()
      client:login { username = "motor", password = "wrong" }
    ]]):format(standin.http.base_url))
    assert.are.equal("", told)
  end)
end)
