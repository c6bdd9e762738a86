-- examples/nginx as it stands: who is let in, who is not, and what the logs hold.
-- Depends on nginx, curl and the stand-in.

local nginx = require("spec.support.nginx")
local support = require("spec.support.standin")

local function read_all(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

describe("examples/nginx:", function()
  local standin, server, directory

  -- A copy at the same depth, so that its paths hold; only the port is another.
  setup(function()
    standin = support.start({ "https" })
    directory = nginx.directory()
    local prefix, port = directory .. "/examples/nginx", nginx.free_port()
    local root = nginx.root()
    assert(os.execute(("mkdir -p '%s/examples' && cp -r '%s/examples/nginx' '%s/examples/'"):format(
      directory, root, directory)))
    assert(os.execute(("rm -rf '%s/run' && mkdir '%s/run'"):format(prefix, prefix)))
    assert(os.execute(("ln -s '%s/lua' '%s/build' '%s/'"):format(root, root, directory)))
    local text, count = read_all(prefix .. "/nginx.conf"):gsub("127%.0%.0%.1:8443", "127.0.0.1:" .. port)
    assert(count == 1)
    nginx.write(prefix .. "/nginx.conf", text)
    nginx.write_certificate(prefix .. "/run")
    -- The example's worker runs as another user where the specs run as root.
    assert(os.execute(("chmod 755 '%s' && chmod 644 '%s'"):format(directory, standin.ca_file)))
    os.execute(("chmod 755 '%s'"):format(standin.directory))
    server = nginx.run(prefix .. "/run", prefix .. "/nginx.conf", port,
      ("FILES_BASE_URL='%s' FILES_CA_FILE='%s'"):format(standin.https.base_url, standin.ca_file), prefix)
  end)

  teardown(function()
    server:stop()
    standin:stop()
    os.execute("rm -rf '" .. directory .. "'")
  end)

  before_each(function()
    standin:reset()
  end)

  -- Visits by curl; returns the status, the headers as they came, and the body.
  local function visit(arguments, path)
    local pipe = io.popen(("curl -sk -i --max-time 20 %s 'https://127.0.0.1:%d%s'"):format(
      arguments, server.port, path or "/"))
    local text = pipe:read("*a")
    pipe:close()
    local head, body = text:match("^(.-)\r\n\r\n(.*)$")
    assert(head, "no answer: " .. text)
    return tonumber(head:match("^HTTP/%S+ (%d+)")), head:lower(), body
  end

  it("asks a visitor without credentials for them", function()
    local status, head = visit("")
    assert.are.equal(401, status)
    assert.is_truthy(head:find('www-authenticate: basic realm="files.com"', 1, true))
    assert.are.same({}, standin:log())
  end)

  it("lets in who can log in, and logs out again", function()
    local status, _, body = visit("-u motor:vroom")
    assert.are.equal(200, status)
    assert.are.equal("Welcome, motor\n", body)
    assert.are.equal("DELETE", standin:last().method)
    assert.are.same({}, standin:call("sessions"))
  end)

  it("lets in who has a colon in the password, and refuses a prefix of it", function()
    standin:call("account", { username = "colon", password = "a:b:c" })
    assert.are.equal(200, (visit("-u colon:a:b:c")))
    assert.are.equal(401, (visit("-u colon:a:b")))
  end)

  it("asks again at a wrong password", function()
    local status, head = visit("-u motor:wrong")
    assert.are.equal(401, status)
    assert.is_truthy(head:find("www-authenticate:", 1, true))
  end)

  local USELESS = { ["not Basic"] = "Bearer abc", ["not base64"] = "Basic !!!", ["without a colon"] = "Basic YWJj" }
  for name, header in pairs(USELESS) do
    it("asks for credentials where those given are " .. name, function()
      assert.are.equal(401, (visit(("-H 'Authorization: %s'"):format(header))))
      assert.are.same({}, standin:log())
    end)
  end

  it("answers 429 with the service's Retry-After at a rate limit", function()
    standin:call("rate_limit", { count = 1, status = 429, retry_after = 17 })
    local status, head = visit("-u motor:vroom")
    assert.are.equal(429, status)
    assert.is_truthy(head:find("retry-after: 17", 1, true))
  end)

  it("answers 429 at a locked account", function()
    standin:call("configure", { lockout_after = 1 })
    visit("-u motor:wrong")
    local status, head = visit("-u motor:vroom")
    assert.are.equal(429, status)
    assert.is_truthy(head:find("retry%-after: %d+"))
  end)

  it("answers 503 where the service breaks", function()
    standin:call("next_answers", { status = 502, body = "<html>bad gateway</html>" })
    local status, head = visit("-u motor:vroom")
    assert.are.equal(503, status)
    assert.is_truthy(head:find("retry-after:", 1, true))
  end)

  describe("with a second factor", function()
    before_each(function()
      standin:call("account", { username = "tess", reuse = true })
    end)

    local function header_with(code)
      return ("-u tess:tick-tock -H 'X-Files-OTP: %s'"):format(code)
    end

    local function cookie_of(head)
      return head:match("set%-cookie: (filescom_gate=%x+)")
    end

    it("tells a program that a code is needed", function()
      local status, head = visit("-u tess:tick-tock")
      assert.are.equal(401, status)
      assert.is_truthy(head:find("x-files-otp: required", 1, true))
    end)

    it("shows a browser a form", function()
      local status, _, body = visit("-u tess:tick-tock -H 'Accept: text/html'")
      assert.are.equal(403, status)
      assert.is_truthy(body:find('name="filescom_otp"', 1, true))
    end)

    it("lets in who sends the code in a header", function()
      local status, _, body = visit(header_with(standin:code("tess")))
      assert.are.equal("200 Welcome, tess\n", status .. " " .. body)
      assert.are.same({}, standin:call("sessions"))
    end)

    it("sends who gives the code in the form back to the page", function()
      local status, head = visit(("-u tess:tick-tock --data filescom_otp=%s"):format(standin:code("tess")), "/a?b=c")
      assert.are.equal(303, status)
      assert.is_truthy(head:find("location: [^\r]*/a%?b=c"))
    end)

    it("refuses a wrong code", function()
      assert.are.equal(401, (visit(header_with("000000"))))
    end)

    it("remembers who gave a code, without asking the service again", function()
      local _, head = visit(header_with(standin:code("tess")))
      standin:call("clear_log")
      local status, _, body = visit(("-u tess:tick-tock -H 'Cookie: %s'"):format(cookie_of(head)))
      assert.are.equal("200 Welcome, tess\n", status .. " " .. body)
      assert.are.same({}, standin:log())
    end)

    it("does not take the cookie with another's name or password", function()
      local _, head = visit(header_with(standin:code("tess")))
      local cookie = cookie_of(head)
      assert.are.equal(401, (visit(("-u tess:wrong -H 'Cookie: %s'"):format(cookie))))
      assert.are.equal(401, (visit(("-u sam:dot-dash -H 'Cookie: %s'"):format(cookie))))
    end)

    it("gives no cookie where no code was needed", function()
      local _, head = visit("-u motor:vroom -H 'X-Files-OTP: 123456'")
      assert.is_nil(cookie_of(head))
    end)

    it("takes a key's code, which goes without the password", function()
      visit("-u yuri:press-here")
      assert.are.equal(200, (visit(("-u yuri:press-here -H 'X-Files-OTP: %s'"):format(standin:code("yuri")))))
    end)
  end)

  it("logs neither passwords nor codes nor session ids", function()
    visit("-u motor:vroom-wrong -H 'X-Files-OTP: 918273'")
    standin:call("account", { username = "tess", reuse = true })
    visit("-u tess:tick-tock -H 'X-Files-OTP: 918273'")
    visit("-u motor:vroom")
    local secrets = { "vroom", "tick-tock", "918273", "bW90b3I6" }
    for _, entry in ipairs(standin:log()) do
      secrets[#secrets + 1] = entry.header["x-filesapi-auth"]
    end
    assert.is_true(#secrets > 4)
    local logs = read_all(server.directory .. "/error.log") .. read_all(server.directory .. "/access.log")
    assert.is_truthy(logs:find("not let in", 1, true))
    for _, secret in ipairs(secrets) do
      assert.is_nil(logs:find(secret, 1, true), secret)
    end
  end)
end)
