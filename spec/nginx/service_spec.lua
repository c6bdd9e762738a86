-- What the service asks for, met inside nginx: a region, a second factor, TLS; and the debug option.
-- Depends on nginx and the stand-in.

local nginx = require("spec.support.nginx")
local support = require("spec.support.standin")

local LOCATIONS = {
  ["= /region"] = [[
    local session, err = filescom.login { username = "rhea", password = "far-away" }
    if not session then return ngx.say(tostring(err)) end
    ngx.say(session.base_url, " ", filescom.logout() and "ended" or "open")
  ]],
  ["= /region_code"] = [[
    local session, err = filescom.login_with_otp({ username = "rita", password = "far-away" }, function()
      ngx.sleep(0.05)
      return ngx.var.arg_code
    end)
    if not session then return ngx.say(tostring(err)) end
    ngx.say(session.base_url, " ", filescom.logout() and "ended" or "open")
  ]],
  ["= /raises"] = [[
    filescom.login_with_otp({ username = "tess", password = "tick-tock" }, function() error("no device at hand") end)
  ]],
  ["= /gives_up"] = [[
    local _, err = filescom.login_with_otp({ username = "tess", password = "tick-tock" }, function()
      return nil, "nobody answers"
    end)
    ngx.say(err.type, ", ", err.reason)
  ]],
  ["= /limited"] = 'local _, err = filescom.login(MOTOR) ngx.say(err.status, " ", err.retry_after)',
  ["= /debug"] = [[
    local lines = {}
    local client = filescom.new { base_url = "@base_url@", debug = function(line)
      ngx.sleep(0)
      lines[#lines + 1] = line
    end }
    local session = client:login(MOTOR)
    client:logout()
    ngx.say(table.concat(lines, "\n"), "\n", session.id)
  ]],
  ["= /secure"] = [[
    local client = filescom.new { base_url = SECURE, ca_file = ngx.var.arg_ca ~= "no" and CA_FILE or nil }
    local session, err = client:login(MOTOR)
    ngx.say(session and client:logout() and "in and out" or err.type)
  ]],
}

describe("nginx:", function()
  local standin, server

  setup(function()
    standin = support.start({ "http", "https" })
    server = nginx.start({
      base_url = standin.http.base_url,
      options = "retries = 0",
      locations = LOCATIONS,
      init_more = ("SECURE, CA_FILE = %q, %q"):format(standin.https.base_url, standin.ca_file),
    })
  end)

  teardown(function()
    server:stop()
    standin:stop()
  end)

  before_each(function()
    standin:reset()
  end)

  describe("a login in another region", function()
    local region

    setup(function()
      region = standin:listen({ scheme = "http", region = "eu" })
    end)

    it("goes there, and so does its logout", function()
      standin:call("account", { username = "rhea", host = region.host })
      assert.are.equal(region.base_url .. "/api/rest/v1 ended", server:get("/region").body)
      assert.are.equal(region.id, standin:last().listener)
    end)

    it("answers its second factor there", function()
      standin:call("account", {
        username = "rita", password = "far-away", region = "eu", host = region.host,
        methods = { "totp" }, secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
      })
      local path = "/region_code?code=" .. standin:code("rita")
      assert.are.equal(region.base_url .. "/api/rest/v1 ended", server:get(path).body)
    end)
  end)

  it("an error that get_code raises reaches the hook, and the worker goes on", function()
    assert.are.equal(500, server:get("/raises").status)
    assert.is_truthy(server:errors():find("no device at hand", 1, true))
    assert.are.equal("in and out", server:get("/login").body)
    server:settle()
  end)

  it("a code that is not given leaves the service's error with the reason", function()
    assert.are.equal("not-authenticated/two-factor-authentication-error, nobody answers",
      server:get("/gives_up").body)
  end)

  it("a rate limit tells when to come again", function()
    standin:call("rate_limit", { count = 1, status = 429, retry_after = 17 })
    assert.are.equal("429 17", server:get("/limited").body)
  end)

  it("the debug option writes lines without secrets, and its function may wait", function()
    local text, id = server:get("/debug").body:match("^(.*)\n(%x+)$")
    assert.is_truthy(text:find("> POST", 1, true) and text:find("> DELETE", 1, true), text)
    assert.is_truthy(text:find("< HTTP 201", 1, true), text)
    assert.is_nil(text:find("vroom", 1, true))
    assert.is_nil(text:find(id, 1, true))
  end)

  it("https works with a ca_file, for many at once", function()
    assert.are.equal(20, nginx.count(server:crowd(20, "/secure"), "in and out"))
    assert.is_truthy(standin:last().tls)
  end)

  it("https without an authority to trust is network/tls, and nothing is sent", function()
    assert.are.equal("network/tls", server:get("/secure?ca=no").body)
    assert.are.same({}, standin:log())
  end)
end)
