-- new(options), configure(options), close(): what a client can be told and what it makes of it.
-- Depends on filescom and the stand-in.

local api = require("spec.support.api")
local filescom = require("filescom")
local core = require("filescom.core")
local support = require("spec.support.standin")

local MOTOR = api.MOTOR

describe("a client", function()
  local standin

  setup(function()
    standin = support.start({ "http", "https" })
  end)

  teardown(function()
    standin:stop()
  end)

  before_each(function()
    standin:reset()
  end)

  local function base_of(options)
    return filescom.new(options):session("0123456789abcdef").base_url
  end

  -- The headers that the stand-in receives from a client of these options.
  local function headers_with(options)
    options.base_url = standin.http.base_url
    assert(filescom.new(options):login(MOTOR))
    return standin:last().header
  end

  describe("by its base_url", function()
    it("goes to app.files.com unless told", function()
      assert.are.equal("https://app.files.com/api/rest/v1", base_of())
    end)

    it("goes to the site of a subdomain", function()
      assert.are.equal("https://mysite.files.com/api/rest/v1", base_of({ subdomain = "mysite" }))
    end)

    it("goes to a site's own host", function()
      assert.are.equal("https://mysite.files.com/api/rest/v1", base_of({ base_url = "https://mysite.files.com" }))
    end)

    it("adds the path where there is none but a slash", function()
      assert.are.equal("https://mysite.files.com/api/rest/v1", base_of({ base_url = "https://mysite.files.com/" }))
    end)

    it("keeps a path", function()
      assert.are.equal("https://x.example/proxy/v2", base_of({ base_url = "https://x.example/proxy/v2" }))
    end)

    it("keeps a path without its last slash", function()
      assert.are.equal("https://x.example/proxy", base_of({ base_url = "https://x.example/proxy/" }))
    end)

    it("keeps a port", function()
      assert.are.equal("https://x.example:8443/api/rest/v1", base_of({ base_url = "https://x.example:8443" }))
    end)

    it("sends its requests below a path of one's own", function()
      local listener = standin:listen({ scheme = "http", prefix = "/gate/files" })
      assert(filescom.new({ base_url = listener.base_url }):login(MOTOR))
      assert.are.equal("/gate/files/sessions", standin:last().target)
      standin:call("unlisten", { listener = listener.id })
    end)

    for _, url in ipairs({ "http://127.0.0.1:8080",
      "http://127.9.9.9", "http://localhost:8080", "http://[::1]:8080" }) do
      it("accepts plain http for the loopback address " .. url, function()
        assert.are.equal(url .. "/api/rest/v1", base_of({ base_url = url }))
      end)
    end

    local PLAIN = "base_url must be https (plain http is for loopback addresses alone)"
    local WHOLE = "base_url must be a whole URL such as https://app.files.com"
    local USER = "base_url must not hold a user name or a password"
    local QUERY = "base_url must not hold a query or a fragment"

    for url, expected in pairs({
      ["http://app.files.com"] = PLAIN, ["http://127.0.0.1.example.com"] = PLAIN, ["http://10.0.0.1"] = PLAIN,
      ["http://localhost.example.com"] = PLAIN, ["ftp://127.0.0.1"] = PLAIN, ["file:///etc/passwd"] = false,
      ["app.files.com"] = WHOLE, [""] = WHOLE, ["https://"] = WHOLE, ["/api"] = WHOLE,
      ["https://me:hunter2@app.files.com"] = USER, ["https://hunter2@app.files.com"] = USER,
      ["http://hunter2@127.0.0.1"] = USER, ["https://app.files.com/?key=hunter2"] = QUERY,
      ["https://app.files.com/#hunter2"] = QUERY, ["https://app.files.com/a b"] = false,
      ["https://app.files.com\r\nX: hunter2"] = false, ["https://app.files.com\\@hunter2"] = false,
    }) do
      it(("refuses %q, without showing it"):format(url), function()
        local why = api.raised_here(function()
          local made = filescom.new({ base_url = url })
          return made
        end)
        assert.is_truthy(why:find("base_url", 1, true))
        assert.is_nil(why:find("hunter2", 1, true))
        if expected then
          assert.are.equal(expected, why)
        end
      end)
    end
  end)

  describe("sends as its own", function()
    it("the library's user agent alone", function()
      assert.are.equal("filescom-lua/" .. filescom._VERSION, headers_with({})["user-agent"])
    end)

    it("a user agent before the library's", function()
      assert.are.equal("motors/1.0 filescom-lua/" .. filescom._VERSION,
        headers_with({ user_agent = "motors/1.0" })["user-agent"])
    end)

    it("its language as Accept-Language", function()
      assert.are.equal("de", headers_with({ language = "de" })["accept-language"])
    end)

    it("no Accept-Language unless told", function()
      assert.is_nil(headers_with({})["accept-language"])
    end)

    it("its workspace as X-Files-Workspace-Id", function()
      assert.are.equal("17", headers_with({ workspace_id = "17" })["x-files-workspace-id"])
    end)

    it("no workspace unless told", function()
      assert.is_nil(headers_with({})["x-files-workspace-id"])
    end)

    it("its workspace and language with logouts and requests as well", function()
      local client = filescom.new({ base_url = standin.http.base_url, language = "de", workspace_id = "17" })
      local session = assert(client:login(MOTOR))
      assert(session:request("GET", "/user"))
      assert(session:logout())
      for _, entry in ipairs(standin:log()) do
        assert.are.equal("de 17", entry.header["accept-language"] .. " " .. entry.header["x-files-workspace-id"])
      end
    end)

    it("nothing of the machine", function()
      local header = headers_with({})
      assert.are.equal("accept content-length content-type host user-agent", api.names(header))
    end)
  end)

  describe("obeys", function()
    it("timeout, in fractions of a second", function()
      standin:call("configure", { hang = true })
      local seconds, session, err = api.timed(function()
        return filescom.new({ base_url = standin.http.base_url, timeout = 0.25 }):login(MOTOR)
      end)
      assert.is_nil(session)
      assert.are.equal("network/timeout", err.type)
      assert.is_true(seconds > 0.2 and seconds < 2, tostring(seconds))
    end)

    it("connect_timeout, where TLS does not come about", function()
      local silent = standin:listen({ scheme = "https" })
      standin:script(silent, { { raw = true }, { hang = true } })
      local seconds, session, err = api.timed(function()
        return filescom.new({ base_url = silent.base_url, connect_timeout = 0.25, retries = 0,
          ca_file = standin.ca_file }):login(MOTOR)
      end)
      assert.is_nil(session)
      assert.are.equal("network/timeout", err.type)
      assert.is_true(seconds > 0.2 and seconds < 2, tostring(seconds))
      standin:call("unlisten", { listener = silent.id })
    end)

    it("ca_file: without it the stand-in's authority is not trusted", function()
      local _, err = filescom.new({ base_url = standin.https.base_url, retries = 0 }):login(MOTOR)
      assert.are.equal("network/tls", err.type)
      assert(filescom.new({ base_url = standin.https.base_url, ca_file = standin.ca_file }):login(MOTOR))
    end)

    it("ca_path: a hashed directory of authorities", function()
      local directory = api.output_of("mktemp -d")
      api.output_of(("cp %s %s/ca.pem && openssl rehash %s"):format(standin.ca_file, directory, directory))
      local session, err = filescom.new({ base_url = standin.https.base_url, ca_path = directory }):login(MOTOR)
      api.output_of("rm -r " .. directory)
      assert.is_nil(session and err)
      assert.is_table(session, tostring(err))
    end)

    it("proxy: requests go through it", function()
      local proxy = standin:listen({ scheme = "http" })
      standin:script(proxy, { { read = "head" }, { send = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n" } })
      local _, err = filescom.new({ base_url = "https://app.files.com", proxy = "http://" .. proxy.host,
        retries = 0 }):login(MOTOR)
      assert.are.equal("network/connect", err.type)
      local last = standin:last()
      assert.are.equal("CONNECT app.files.com:443", last.method .. " " .. last.target)
      assert.is_nil(last.body and last.body:find("vroom", 1, true))
      standin:call("unlisten", { listener = proxy.id })
    end)

    for option, value in pairs({ ca_file = "its file", ca_path = "its directory" }) do
      it(("%s: a proxy spoken to by TLS is trusted by %s, and by nothing else"):format(option, value), function()
        local proxy = standin:listen({ scheme = "https" })
        local directory = api.output_of("mktemp -d")
        api.output_of(("cp %s %s/ca.pem && openssl rehash %s"):format(standin.ca_file, directory, directory))
        local options = { base_url = "https://app.files.com", proxy = "https://" .. proxy.host, retries = 0 }
        local _, untrusted = filescom.new(options):login(MOTOR)
        options[option] = option == "ca_file" and standin.ca_file or directory
        local _, refused = filescom.new(options):login(MOTOR)
        api.output_of("rm -r " .. directory)
        standin:call("unlisten", { listener = proxy.id })
        assert.are.equal("network/tls", untrusted.type)
        assert.are.equal("network/connect", refused.type)
        assert.is_truthy(refused.message:find("CONNECT tunnel failed", 1, true), refused.message)
      end)
    end

    it("max_response_size: an answer that is larger is none", function()
      local _, err = filescom.new({ base_url = standin.http.base_url, max_response_size = 10 }):login(MOTOR)
      assert.are.equal("response/too-large", err.type)
    end)

    it("max_response_size: an answer of exactly that size is one", function()
      local body = '{"id":"0123456789abcdef"}'
      standin:call("next_answers", { status = 201, body = body })
      assert(filescom.new({ base_url = standin.http.base_url, max_response_size = #body }):login(MOTOR))
    end)

    it("debug: a function given lines", function()
      local lines = {}
      headers_with({ debug = function(line)
        lines[#lines + 1] = line
      end })
      assert.is_true(#lines > 0)
    end)
  end)

  describe("refuses, told at the caller's place:", function()
    local function refused(expected, options)
      assert.are.equal(expected, api.raised_here(function()
        local made = filescom.new(options)
        return made
      end))
    end

    it("an unknown option, which it names", function()
      refused("unknown option 'pasword'", { pasword = "vroom" })
    end)

    it("options that are no table", function()
      refused("options must be a table, got string", "https://app.files.com")
    end)

    it("both base_url and subdomain", function()
      refused("give option 'base_url' or option 'subdomain', not both",
        { base_url = "https://app.files.com", subdomain = "x" })
    end)

    for _, name in ipairs({ "base_url", "subdomain", "ca_file", "ca_path", "proxy", "user_agent", "language",
      "workspace_id" }) do
      it(name .. " that is no string", function()
        refused(("option '%s' must be a string, got number"):format(name), { [name] = 5 })
      end)

      it(name .. " with a NUL byte", function()
        refused(("option '%s' holds a NUL byte"):format(name), { [name] = "a\0b" })
      end)
    end

    for _, name in ipairs({ "timeout", "connect_timeout", "retries", "max_response_size" }) do
      it(name .. " that is no number", function()
        refused(("option '%s' must be a number, got string"):format(name), { [name] = "5" })
      end)
    end

    for _, name in ipairs({ "timeout", "connect_timeout" }) do
      it(name .. " that is nothing, negative, endless or no number at all", function()
        for _, value in ipairs({ 0, -1, math.huge, 0 / 0 }) do
          refused(("option '%s' must be a number of seconds above 0 and up to 1000000"):format(name),
            { [name] = value })
        end
      end)
    end

    it("retries that are no count", function()
      for _, value in ipairs({ -1, 1.5, 1001, math.huge, 0 / 0 }) do
        refused("option 'retries' must be a whole number from 0 to 1000", { retries = value })
      end
    end)

    it("max_response_size that is no size", function()
      for _, value in ipairs({ 0, -1, 1.5, math.huge, 0 / 0 }) do
        local why = api.raised(filescom.new, { max_response_size = value })
        assert.is_truthy(why:find("option 'max_response_size' must be a whole number", 1, true))
      end
    end)

    it("debug that is no function", function()
      refused("option 'debug' must be a function, got boolean", { debug = true })
    end)

    for _, name in ipairs({ "user_agent", "language", "workspace_id" }) do
      it(name .. " with a line break", function()
        refused(name .. " holds a control character", { [name] = "a\r\nX-FilesAPI-Key: 1" })
      end)
    end

    it("a subdomain that is more than one label", function()
      for _, value in ipairs({ "", "a.b", "evil.example/", "a b", "-a", "a-", "a@b", "a:1", ("a"):rep(64) }) do
        refused("option 'subdomain' must be one label of a host name, such as 'mysite'", { subdomain = value })
      end
    end)
  end)

  describe("keeps apart", function()
    it("its options from those of another", function()
      local german = filescom.new({ base_url = standin.http.base_url, language = "de" })
      local french = filescom.new({ base_url = standin.http.base_url, language = "fr" })
      assert(german:login(MOTOR))
      assert(french:login(MOTOR))
      assert(german:logout())
      local told = {}
      for i, entry in ipairs(standin:log()) do
        told[i] = entry.header["accept-language"]
      end
      assert.are.same({ "de", "fr", "de" }, told)
    end)

    it("its options from changes to the caller's table", function()
      local options = { base_url = standin.http.base_url, language = "de" }
      local client = filescom.new(options)
      options.language = "fr"
      assert(client:login(MOTOR))
      assert.are.equal("de", standin:last().header["accept-language"])
    end)
  end)

  describe("that is closed", function()
    local client

    before_each(function()
      client = filescom.new({ base_url = standin.http.base_url })
    end)

    it("may be closed again", function()
      client:close()
      client:close()
      assert.is_truthy(tostring(client):find("closed", 1, true))
    end)

    it("says so where it is used, at the caller's place", function()
      client:close()
      assert.are.equal("the client is closed", api.raised_here(function()
        local session = client:login(MOTOR)
        return session
      end))
    end)

    it("says so to a session of its own that is used", function()
      local session = assert(client:login(MOTOR))
      client:close()
      assert.is_truthy(api.raised(session.logout, session):find("the client is closed", 1, true))
      assert.is_truthy(api.raised(session.request, session, "GET", "/user"):find("the client is closed", 1, true))
    end)

    it("leaves its sessions open", function()
      local session = assert(client:login(MOTOR))
      client:close()
      assert.are.equal(204, filescom.new({ base_url = standin.http.base_url }):logout(session.id).status)
    end)

    it("leaves other clients alone", function()
      local other = filescom.new({ base_url = standin.http.base_url })
      assert(other:login(MOTOR))
      client:close()
      assert(other:logout())
    end)
  end)

  it("shows in tostring where it goes", function()
    assert.is_truthy(tostring(filescom.new({ subdomain = "mysite" })):find("https://mysite.files.com", 1, true))
  end)

  it("is not loaded before one is made", function()
    local said = api.run_lua([[
      local filescom = require "filescom"
      print(package.loaded["filescom.client"], package.loaded["filescom.session"])
      filescom.new {}
      print(package.loaded["filescom.client"] ~= nil)
    ]])
    assert.are.equal("nil\tnil\ntrue", said)
  end)

  describe("(the default one)", function()
    local module

    before_each(function()
      package.loaded.filescom = nil
      module = require("filescom")
      module.configure({ base_url = standin.http.base_url })
    end)

    local function language()
      assert(module.login(MOTOR))
      return standin:last().header["accept-language"]
    end

    it("needs no configure, and goes to app.files.com", function()
      package.loaded.filescom = nil
      assert.are.equal("https://app.files.com/api/rest/v1", require("filescom").session("0123456789abcdef").base_url)
    end)

    it("keeps the options that a further configure does not name", function()
      module.configure({ language = "de" })
      module.configure({ workspace_id = "17" })
      assert.are.equal("de", language())
      assert.are.equal("17", standin:last().header["x-files-workspace-id"])
    end)

    it("takes the latest of an option", function()
      module.configure({ language = "de" })
      module.configure({ language = "fr" })
      assert.are.equal("fr", language())
    end)

    it("changes nothing where one option of a configure is wrong", function()
      module.configure({ language = "de" })
      local why = api.raised(module.configure, { language = "fr", timeout = -1 })
      assert.is_truthy(why:find("option 'timeout'", 1, true))
      assert.are.equal("de", language())
    end)

    it("is not harmed by what an earlier configure had wrong", function()
      pcall(module.configure, { timeout = -1 })
      module.configure({ language = "fr" })
      assert.are.equal("fr", language())
    end)

    it("tells a wrong option at the caller's place", function()
      assert.are.equal("unknown option 'pasword'", api.raised_here(function()
        module.configure({ pasword = "x" })
      end))
    end)

    it("tells options that are no table at the caller's place", function()
      assert.are.equal("options must be a table, got nil", api.raised_here(function()
        module.configure()
      end))
    end)

    it("takes a subdomain in place of an earlier base_url", function()
      module.configure({ subdomain = "mysite" })
      assert.are.equal("https://mysite.files.com/api/rest/v1", module.session("0123456789abcdef").base_url)
    end)

    it("keeps sessions that are open usable", function()
      local session = assert(module.login(MOTOR))
      module.configure({ language = "de" })
      assert.are.equal("motor", session:request("GET", "/user").data.username)
    end)

    it("is another than those of new", function()
      module.configure({ language = "de" })
      assert(module.new({ base_url = standin.http.base_url }):login(MOTOR))
      assert.is_nil(standin:last().header["accept-language"])
    end)
  end)

  it("has the version of the module and of its core", function()
    assert.is_truthy(filescom._VERSION:find("^%d+%.%d+%.%d+$"))
    assert.are.equal(core._VERSION, filescom._VERSION)
  end)

  it("lives through a script that logs in and out with the module's functions alone", function()
    local told = api.run_lua(([[
      local filescom = require "filescom"
      filescom.configure { base_url = %q }
      local session, err = filescom.login { username = "motor", password = "vroom" }
      if not session then error(tostring(err)) end
      io.write(type(session.id), " ", type(session.timeout_at), " ", filescom.logout().status)
    ]]):format(standin.http.base_url))
    assert.are.equal("string string 204", told)
  end)
end)
