-- The command as scripts run it: without a terminal, by its exit codes, its output and the file that it keeps.
-- Depends on spec/support/command.lua, the stand-in, LuaSocket, luaossl, bash, mandoc and POSIX.

local api = require("spec.support.api")
local cjson = require("cjson")
local command = require("spec.support.command")
local support = require("spec.support.standin")

local TESS_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"

describe("the command", function()
  local standin, home, environment

  setup(function()
    standin = support.start({ "http", "https" })
  end)

  teardown(function()
    standin:stop()
  end)

  before_each(function()
    standin:reset()
    home = command.home()
    environment = { FILES_BASE_URL = standin.http.base_url }
  end)

  after_each(function()
    home.remove()
  end)

  -- Runs the command; `words` are split at blanks where they are a text.
  local function run(words, input, more)
    local list, with = words, {}
    if type(words) == "string" then
      list = {}
      for word in words:gmatch("%S+") do
        list[#list + 1] = word
      end
    end
    for _, fields in ipairs({ environment, more or {} }) do
      for name, value in pairs(fields) do
        with[name] = value
      end
    end
    return command.run(home, list, with, input)
  end

  -- Runs the command and fails unless it ends with 0; returns what it wrote to standard output.
  local function good(words, input, more)
    local result = run(words, input, more)
    assert.are.equal(0, result.exit, result.err)
    return result.out
  end

  local function log_in(words)
    good("login -u motor --password-stdin " .. (words or ""), "vroom\n")
    return standin:call("sessions")
  end

  local function state(name)
    return home.path .. "/.local/state/filescom" .. (name and "/" .. name or "")
  end

  local function sessions()
    return standin:call("sessions")
  end

  describe("login", function()
    it("takes the password from standard input, and says on standard error that it is done", function()
      local result = run("login -u motor --password-stdin", "vroom\n")
      assert.are.equal(0, result.exit)
      assert.are.equal("", result.out)
      assert.is_truthy(result.err:find("^filescom: logged in as motor at http://127.0.0.1:%d+/api/rest/v1 until %d"))
      assert.are.equal("motor", sessions()[1].username)
    end)

    it("takes name and password from the environment", function()
      good("login", nil, { FILES_USERNAME = "motor", FILES_PASSWORD = "vroom" })
      assert.are.equal(1, #sessions())
    end)

    it("keeps the session for this user alone, and no password", function()
      local id = log_in()[1].id
      local path = state("default.session")
      assert.are.equal("700 600", api.output_of(("stat -c %%a %s %s | xargs"):format(state(), path)))
      local kept = api.output_of("cat " .. path)
      assert.is_truthy(kept:find(id, 1, true))
      assert.is_nil(kept:find("vroom", 1, true))
    end)

    it("keeps it below XDG_STATE_HOME where that is set", function()
      good("login -u motor --password-stdin", "vroom\n", { XDG_STATE_HOME = home.path .. "/a b" })
      assert.is_truthy(io.open(home.path .. "/a b/filescom/default.session"))
    end)

    it("writes no secret, not even as JSON or in a trace", function()
      local result = run("login -u motor --password-stdin --json --verbose", "vroom\n")
      for _, secret in ipairs({ "vroom", sessions()[1].id }) do
        assert.is_nil((result.out .. result.err):find(secret, 1, true))
      end
      assert.is_truthy(result.err:find("> POST http://", 1, true))
    end)

    it("tells as JSON who is logged in, where and until when", function()
      local text = good("--json login -u motor --password-stdin", "vroom\n")
      local told = cjson.decode(text)
      assert.are.equal("base_url profile timeout_at username", api.names(told))
      assert.are.equal("default", told.profile)
      assert.is_truthy(text:find('^{"base_url":"http://[^\n]*}\n$'))
    end)

    it("answers a second factor from the second line of standard input", function()
      standin:call("account", { username = "tess", reuse = true })
      good("login -u tess --password-stdin --otp-stdin", "tick-tock\n" .. standin:code("tess") .. "\n")
      assert.are.equal("tess", sessions()[1].username)
    end)

    it("answers it with codes made of FILES_OTP_SECRET", function()
      good("login -u tess", nil, { FILES_PASSWORD = "tick-tock", FILES_OTP_SECRET = TESS_SECRET })
      assert.are.equal("tess", sessions()[1].username)
    end)

    it("answers it with what FILES_OTP_COMMAND prints", function()
      standin:call("account", { username = "tess", reuse = true })
      good("login -u tess", nil, { FILES_PASSWORD = "tick-tock", FILES_OTP_COMMAND = "echo " .. standin:code("tess") })
      assert.are.equal("tess", sessions()[1].username)
    end)

    it("does not send a code again that FILES_OTP_COMMAND prints twice", function()
      local result = run("login -u sam", nil, { FILES_PASSWORD = "dot-dash", FILES_OTP_COMMAND = "echo 000000" })
      assert.are.equal(1, result.exit)
      assert.is_truthy(result.err:find("printed the refused code again", 1, true))
      assert.are.equal(2, #standin:log())
    end)

    it("ends with 3 where FILES_OTP_COMMAND prints nothing", function()
      assert.are.equal(3, run("login -u sam", nil, { FILES_PASSWORD = "dot-dash", FILES_OTP_COMMAND = "true" }).exit)
    end)

    it("ends with 3 where nobody can be asked for a code", function()
      local result = run("login -u sam --password-stdin", "dot-dash\n")
      assert.are.equal(3, result.exit)
      assert.is_truthy(result.err:find("there is no terminal to ask for a code", 1, true))
      assert.are.equal(1, #standin:log())
    end)

    it("ends with 3 where no code can answer", function()
      assert.are.equal(3, run("login -u wes --password-stdin", "touch-here\n").exit)
    end)

    it("ends with 1 where the code of standard input is refused, and sends it once", function()
      local result = run("login -u sam --password-stdin --otp-stdin", "dot-dash\n000000\n")
      assert.are.equal(1, result.exit)
      assert.are.equal(2, #standin:log())
      assert.is_nil(result.err:find("000000", 1, true))
    end)

    it("tells nothing of a half completed login in a JSON error", function()
      local result = run("--json login -u yuri --password-stdin", "press-here\n")
      local told = cjson.decode(result.err)
      assert.are.equal(3, result.exit)
      assert.are.equal(3, told.exit)
      assert.are.same({ "yubi" }, told.error.data.two_factor_authentication_methods)
      assert.is_nil(told.error.data.partial_session_id)
    end)

    it("ends with 1 where the password is wrong, sends it once, and leaves the session that there was", function()
      local former = log_in()
      standin:call("clear_log")
      local result = run("login -u motor --password-stdin", "wrong-password\n")
      assert.are.equal(1, result.exit)
      assert.is_truthy(result.err:find("Invalid username or password", 1, true))
      assert.is_nil(result.err:find("wrong-password", 1, true))
      assert.are.equal(1, #standin:log())
      assert.are.same(former, sessions())
      good("whoami")
    end)

    it("ends with 1 where the account is locked", function()
      standin:call("configure", { lockout_after = 1 })
      run("login -u motor --password-stdin", "wrong\n")
      local result = run("login -u motor --password-stdin --json", "vroom\n")
      assert.are.equal(1, result.exit)
      assert.are.equal("not-authenticated/locked-out", cjson.decode(result.err).error.type)
    end)

    it("ends with 7 where there are too many, and tells how long to wait", function()
      standin:call("rate_limit", { count = 1, retry_after = 17, scope = "login" })
      local result = run("--json login -u motor --password-stdin", "vroom\n")
      assert.are.equal(7, result.exit)
      assert.are.equal(17, cjson.decode(result.err).error.retry_after)
      assert.are.equal(1, #standin:log())
    end)

    it("ends with 4 where nobody answers", function()
      local nowhere = "http://127.0.0.1:" .. api.closed_port()
      assert.are.equal(4, run({ "login", "-u", "motor", "--password-stdin", "--base-url", nowhere }, "vroom\n").exit)
    end)

    it("ends with 4 where something else answers", function()
      standin:call("next_answers", { status = 200, body = "<html>Welcome to this hotel</html>" })
      assert.are.equal(4, run("login -u motor --password-stdin", "vroom\n").exit)
    end)

    it("ends with 4 where the certificate is not trusted, and with 0 where --ca-file tells that it is", function()
      local words = { "login", "-u", "motor", "--password-stdin", "--base-url", standin.https.base_url }
      assert.are.equal(4, run(words, "vroom\n").exit)
      words[#words + 1], words[#words + 2] = "--ca-file", standin.ca_file
      assert.are.equal(0, run(words, "vroom\n").exit)
    end)

    it("ends with 2 where there is no password and no terminal", function()
      local result = run("login -u motor")
      assert.are.equal(2, result.exit)
      assert.is_truthy(result.err:find("--password-stdin", 1, true))
      assert.are.same({}, standin:log())
    end)

    it("ends with 2 where standard input is empty", function()
      assert.are.equal(2, run("login -u motor --password-stdin", "").exit)
      assert.are.same({}, standin:log())
    end)

    it("ends with 2 at a base URL that secrets must not go to", function()
      local result = run("login -u motor --password-stdin --base-url http://example.com", "vroom\n")
      assert.are.equal(2, result.exit)
      assert.is_nil(result.err:find("lua:", 1, true))
    end)

    it("logs out the session that it replaces", function()
      local first = log_in()[1].id
      local result = run("login -u motor --password-stdin", "vroom\n")
      assert.is_truthy(result.err:find("the former session of this profile was logged out", 1, true))
      assert.are.equal(1, #sessions())
      assert.are_not.equal(first, sessions()[1].id)
    end)

    it("says nothing of a former session that the service has ended", function()
      log_in()
      standin:call("revoke", {})
      assert.is_nil(run("login -u motor --password-stdin", "vroom\n").err:find("former", 1, true))
    end)

    it("leaves one session open where several logins run at once", function()
      local one = command.line(home, { "login", "-u", "motor" }, { FILES_BASE_URL = standin.http.base_url,
        FILES_PASSWORD = "vroom" }) .. " 2>/dev/null &"
      api.output_of(one:rep(4, "\n") .. "\nwait")
      assert.are.equal(1, #sessions())
      good("whoami")
    end)

    it("with --if-needed does nothing while the session is good", function()
      local before = log_in()
      local result = run("login -u motor --password-stdin --if-needed", "")
      assert.are.equal(0, result.exit)
      assert.are.same(before, sessions())
    end)

    it("with --if-needed logs in where the session has ended, or is another user's", function()
      local id = log_in()[1].id
      standin:call("revoke", {})
      good("login -u motor --password-stdin --if-needed", "vroom\n")
      assert.are_not.equal(id, sessions()[1].id)
      good("login -u tess --if-needed", nil, { FILES_PASSWORD = "tick-tock", FILES_OTP_SECRET = TESS_SECRET })
      assert.are.equal("tess", sessions()[1].username)
    end)

    it("leaves no session open that it cannot keep", function()
      good("whoami --version")
      api.output_of(("mkdir -p -m 700 %s && mkdir %s"):format(state(), state("default.guard")))
      assert.are.equal(6, run("login -u motor --password-stdin", "vroom\n").exit)
      assert.are.same({}, sessions())
    end)
  end)

  describe("where sessions are kept", function()
    it("ends with 6 at a directory that is open to others, before anything is sent", function()
      api.output_of(("mkdir -p %s && chmod 755 %s"):format(state(), state()))
      local result = run("login -u motor --password-stdin", "vroom\n")
      assert.are.equal(6, result.exit)
      assert.is_truthy(result.err:find("0700", 1, true))
      assert.are.same({}, standin:log())
    end)

    it("ends with 6 at a session that is open to others, before anything is sent", function()
      log_in()
      standin:call("clear_log")
      api.output_of("chmod 644 " .. state("default.session"))
      local login = "login -u motor --password-stdin"
      for _, words in ipairs({ "whoami", "logout", "headers", "request GET /user", login }) do
        assert.are.equal(6, run(words, "vroom\n").exit, words)
      end
      assert.are.same({}, standin:log())
    end)

    it("has as many sessions as there are profiles", function()
      good("login -u motor --password-stdin -p one", "vroom\n")
      good("login -u tess -p two", nil, { FILES_PASSWORD = "tick-tock", FILES_OTP_SECRET = TESS_SECRET })
      assert.are.equal("motor", cjson.decode(good("whoami --json -p one")).username)
      assert.are.equal("tess", cjson.decode(good("whoami --json", nil, { FILES_PROFILE = "two" })).username)
      good("logout -p one")
      assert.are.equal(1, #sessions())
      assert.are.equal(5, run("whoami -p one").exit)
      good("whoami -p two")
    end)

    it("ends with 2 at a profile's name that is none", function()
      for _, name in ipairs({ "", "a/b", "a b", "\n" }) do
        assert.are.equal(2, run({ "whoami", "--profile", name }).exit, name)
      end
    end)

    it("goes on where the session lives, without being told again", function()
      log_in()
      environment = {}
      assert.are.equal(standin.http.base_url .. "/api/rest/v1", cjson.decode(good("whoami --json")).base_url)
    end)

    it("does not use the session of another site", function()
      log_in()
      standin:call("clear_log")
      local result = run({ "whoami", "--base-url", standin.https.base_url .. "/other" })
      assert.are.equal(5, result.exit)
      assert.is_truthy(result.err:find("another site", 1, true))
      assert.are.same({}, standin:log())
    end)

    it("holds it encrypted where a key is given", function()
      local key, other = home.path .. "/key", home.path .. "/other"
      api.output_of(("umask 077; head -c 32 /dev/urandom >%s; head -c 32 /dev/urandom >%s"):format(key, other))
      local id = log_in("--key-file " .. key)[1].id
      assert.is_nil(api.output_of("tr -d '\\0' <" .. state("default.session")):find(id, 1, true))
      good("whoami --key-file " .. key)
      good("whoami", nil, { FILES_KEY_FILE = key })
      assert.are.equal(5, run("whoami --key-file " .. other).exit)
      assert.are.equal(5, run("whoami").exit)
    end)

    it("takes no key that others can read, or that is none", function()
      local key = home.path .. "/key"
      api.output_of(("head -c 32 /dev/urandom >%s; chmod 644 %s"):format(key, key))
      assert.are.equal(6, run("whoami --key-file " .. key).exit)
      api.output_of(("echo short >%s; chmod 600 %s"):format(key, key))
      assert.are.equal(2, run("whoami --key-file " .. key).exit)
      assert.are.equal(6, run("whoami --key-file /nowhere").exit)
    end)

    it("holds what a keeper of that name goes on with", function()
      log_in()
      standin:call("clear_log")
      local told = api.run_lua(([[
        local filescom = require("filescom")
        local keeper = filescom.keeper({
          store = filescom.store.file(%q), name = "default", client = { base_url = %q },
          credentials = function() error("no login is due") end,
        })
        print(assert(keeper:request("GET", "/user")).data.username)
      ]]):format(state(), standin.http.base_url))
      assert.are.equal("motor", told)
      assert.are.equal(1, #standin:log())
    end)
  end)

  describe("logout", function()
    it("ends the session at the service and forgets it", function()
      log_in()
      local result = run("logout")
      assert.are.equal(0, result.exit)
      assert.are.equal("", result.out)
      assert.are.same({}, sessions())
      assert.is_nil(io.open(state("default.session")))
    end)

    it("tells as JSON what was ended", function()
      log_in()
      assert.are.equal("base_url profile timeout_at username", api.names(cjson.decode(good("logout -j"))))
    end)

    it("ends with 5 where nobody is logged in, and sends nothing", function()
      assert.are.equal(5, run("logout").exit)
      assert.are.same({}, standin:log())
    end)

    it("ends with 5 where the service has ended the session, and forgets it", function()
      log_in()
      standin:call("revoke", {})
      assert.are.equal(5, run("logout").exit)
      assert.is_nil(io.open(state("default.session")))
    end)

    it("keeps the session where the service cannot be reached", function()
      log_in()
      standin:call("next_answers", { status = 502, body = "<html>" })
      assert.are.equal(1, run("logout").exit)
      good("logout")
      assert.are.same({}, sessions())
    end)
  end)

  describe("whoami", function()
    it("writes a table", function()
      log_in()
      assert.is_truthy(good("whoami"):find(
        "^User     motor\nSite     http://%S+\nUntil    %d%d%d%d%-%S+Z\nProfile  default\n$"))
    end)

    it("writes JSON with what the service tells of the user", function()
      log_in()
      local told = cjson.decode(good("whoami --json"))
      assert.are.equal("base_url profile timeout_at user username", api.names(told))
      assert.are.equal("motor@example.com", told.user.email)
    end)

    it("ends with 5 where the service has ended the session, and forgets it", function()
      log_in()
      standin:call("revoke", {})
      local result = run("whoami --json")
      assert.are.equal(5, result.exit)
      assert.are.equal(401, cjson.decode(result.err).error.status)
      assert.is_nil(io.open(state("default.session")))
    end)

    it("ends with 5 once the session is over, and sends nothing", function()
      standin:call("configure", { session_lifetime = 1 })
      log_in()
      standin:call("clear_log")
      require("socket").sleep(2.1) -- times are in whole seconds
      assert.are.equal(5, run("whoami").exit)
      assert.are.same({}, standin:log())
    end)

    it("with numbers beyond the range of Lua's as they came", function()
      log_in()
      standin:call("next_answers", { status = 400, body = '{"error":"x","type":"bad-request/x","data":{"n":-1e999}}' })
      local result = run("--json request GET /user")
      assert.are.equal(1, result.exit)
      assert.is_truthy(result.err:find('"data":{"n":-1e999}', 1, true), result.err)
    end)

    it("shows no control characters that the service sends", function()
      log_in()
      standin:call("next_answers", { status = 200, body = '{"username":"a\\u001b[2Jb\\u009b"}' })
      assert.is_truthy(good("whoami"):find("User     a?[2Jb?\n", 1, true))
    end)
  end)

  describe("request", function()
    before_each(function()
      log_in()
      standin:call("clear_log")
    end)

    local function echoed(words, input)
      return cjson.decode(good(words, input))
    end

    it("writes the body as it came", function()
      for _, body in ipairs({ '{ "b": 1.0,\n "a": [] , "c":null}', "plain text, 100%\r\n", "\0\255", "" }) do
        standin:call("next_answers", { status = 200, body = body })
        assert.are.equal(body, good("request GET /user"))
      end
    end)

    it("sends a body of JSON as it is written: an argument, a file, standard input", function()
      local text = '{"b": [],  "a": 1.50}'
      local path = home.path .. "/body"
      api.output_of(("printf %%s %s >%s"):format(api.quoted(text), path))
      for _, data in ipairs({ text, "@" .. path, "@-" }) do
        local told = echoed({ "request", "post", "/echo", "--data", data }, text)
        assert.are.equal(text, told.body)
        assert.are.equal("POST", told.method)
        assert.are.equal("application/json", told.headers["content-type"])
      end
    end)

    it("sends a body of any bytes from a file or standard input", function()
      assert.are.equal("a b%", echoed("request PUT /echo --body -", "a b%").body)
      assert.are.equal("application/octet-stream", echoed("request PUT /echo -b -", "x").headers["content-type"])
    end)

    it("sends parameters, lists and nested ones in the query", function()
      local told = echoed({ "request", "GET", "/echo", "-q", "a=x y", "-q", "ids[]=1", "-q", "ids[]=2", "-q",
        "filter[name]=z" })
      assert.are.equal("a=x%20y&filter%5Bname%5D=z&ids%5B%5D=1&ids%5B%5D=2", told.query)
    end)

    it("sends headers", function()
      local told = echoed({ "request", "GET", "/echo", "-H", "X-One: 1", "-H", "Accept-Language:  de " })
      assert.are.equal("1", told.headers["x-one"])
      assert.are.equal("de", told.headers["accept-language"])
    end)

    it("sends a content type that is named instead of its own", function()
      local told = echoed({ "request", "PATCH", "/echo", "-d", "{}", "-H", "content-type: application/x-patch" })
      assert.are.equal("application/x-patch", told.headers["content-type"])
    end)

    it("writes status and headers first where they are wanted", function()
      local out = good("request GET /user -i")
      assert.is_truthy(out:find("^HTTP 200\n"))
      assert.is_truthy(out:find("\nx%-request%-id: %S+\n\n{"))
    end)

    it("writes a list as a table of the named columns", function()
      assert.are.equal("type       size  path\ndirectory  0     inbox\ndirectory  0     reports\n"
        .. "file       42    welcome.txt\n", good("request GET /folders --columns type,size,path"))
    end)

    it("aligns a table's columns by characters, and writes one object as one row", function()
      standin:call("next_answers", { status = 200,
        body = '[{"a":"zürich","b":true},{"a":"x\\ny","b":false},{"a":{"k":"v"},"b":null},3]' })
      assert.are.equal('a          b\nzürich     true\nx?y        false\n{"k":"v"}\n\n',
        good("request GET /user -c a,b"))
      assert.are.equal("username  id\nmotor     1\n", good("request GET /user -c username,id"))
    end)

    it("ends with 1 where the service refuses, and says why", function()
      local result = run("request GET /folders/nowhere")
      assert.are.equal(1, result.exit)
      assert.are.equal("", result.out)
      assert.is_truthy(result.err:find("^filescom: %S+: Folder not found: nowhere %(HTTP 404, request %S+%)\n$"))
    end)

    it("tells a refusal as JSON where that is wanted", function()
      local told = cjson.decode(run("request GET /folders/nowhere --json").err)
      assert.are.equal("error exit", api.names(told))
      assert.are.equal(404, told.error.status)
      assert.are.equal("Folder not found: nowhere", told.error.message)
    end)

    it("ends with 5 where the session has ended, and sends nothing more", function()
      standin:call("revoke", {})
      assert.are.equal(5, run("request GET /user").exit)
      assert.are.equal(5, run("request GET /user").exit)
      assert.are.equal(1, #standin:log())
    end)

    it("ends with 2 at what cannot be sent, and sends nothing", function()
      for what, words in pairs({
        ["a path without a slash"] = { "GET", "user" },
        ["a path with a line break"] = { "GET", "/user\r\nX: y" },
        ["no path"] = { "GET" },
        ["a method that is none"] = { "G T", "/user" },
        ["a body that is no JSON"] = { "POST", "/echo", "-d", "{" },
        ["a number that JSON has not"] = { "POST", "/echo", "-d", "[NaN]" },
        ["two bodies"] = { "POST", "/echo", "-d", "{}", "-b", "-" },
        ["a parameter without a value"] = { "GET", "/echo", "-q", "a" },
        ["a parameter twice"] = { "GET", "/echo", "-q", "a=1", "-q", "a=2" },
        ["a list and a value of one name"] = { "GET", "/echo", "-q", "a=1", "-q", "a[]=2" },
        ["columns without a name"] = { "GET", "/echo", "-c", "," },
        ["a header twice"] = { "GET", "/echo", "-H", "X-A: 1", "-H", "x-a: 2" },
        ["a header without a colon"] = { "GET", "/echo", "-H", "a" },
        ["a header with a line break"] = { "GET", "/echo", "-H", "a: b\r\nc: d" },
        ["a time that is none"] = { "GET", "/echo", "-t", "-1" },
        ["two sites"] = { "GET", "/echo", "-s", "mysite", "--base-url", standin.http.base_url },
      }) do
        table.insert(words, 1, "request")
        local result = run(words)
        assert.are.equal(2, result.exit, what .. ": " .. result.err)
        assert.is_nil(result.err:find("lua:%d"), what .. ": " .. result.err)
      end
      assert.are.same({}, standin:log())
    end)

    it("ends with 6 where a body's file is not there", function()
      assert.are.equal(6, run("request POST /echo -b /nowhere").exit)
      assert.are.equal(6, run("request POST /echo -d @/nowhere").exit)
      assert.are.same({}, standin:log())
    end)

    it("ends with 6 where the result cannot be written", function()
      local line = command.line(home, { "request", "GET", "/user" })
      assert.are.equal("6", api.output_of(line .. " 2>/dev/null >/dev/full; echo $?"))
    end)
  end)

  describe("headers", function()
    it("writes the header that authorises a call, and sends nothing", function()
      local id = log_in()[1].id
      standin:call("clear_log")
      assert.are.equal("X-FilesAPI-Auth: " .. id .. "\n", good("headers"))
      assert.are.equal('{"X-FilesAPI-Auth":"' .. id .. '"}\n', good("headers --json"))
      assert.are.same({}, standin:log())
    end)
  end)

  describe("itself", function()
    local COMMANDS = { "login", "logout", "whoami", "request", "headers", "completion" }

    it("tells its version", function()
      assert.are.equal("filescom " .. require("filescom")._VERSION .. "\n", good("--version"))
    end)

    it("helps with each of its commands", function()
      local help = good("--help")
      for _, name in ipairs(COMMANDS) do
        assert.is_truthy(help:find("\n   " .. name .. " ", 1, true), name)
        assert.is_truthy(good(name .. " --help"):find("Usage: filescom " .. name, 1, true), name)
      end
    end)

    it("ends with 2 at a command line that it does not know", function()
      for _, words in ipairs({ "", "logon", "login --pasword x", "login --password x", "completion csh" }) do
        local result = run(words)
        assert.are.equal(2, result.exit, words)
        assert.are.equal("", result.out)
        assert.is_truthy(result.err:find("Usage: filescom", 1, true))
      end
    end)

    it("completes its commands and options in bash", function()
      local path = home.path .. "/complete"
      local file = assert(io.open(path, "w"))
      file:write(good("completion bash"), [[
        COMP_WORDS=(filescom lo) COMP_CWORD=1; _filescom; echo "${COMPREPLY[@]}"
        COMP_WORDS=(filescom login --pass) COMP_CWORD=2; _filescom; echo "${COMPREPLY[@]}"
      ]])
      file:close()
      assert.are.equal("login logout\n--password-stdin", api.output_of("bash " .. path .. " 2>&1"))
    end)

    it("writes completions for zsh and fish", function()
      assert.is_truthy(good("completion zsh"):find("^#compdef filescom"))
      assert.is_truthy(good("completion fish"):find("complete -c filescom", 1, true))
    end)

    it("is not loaded by the library", function()
      assert.are.equal("", api.run_lua([[
        require("filescom").new()
        for name in pairs(package.loaded) do
          if name:find("command", 1, true) or name == "argparse" then print(name) end
        end
      ]]))
    end)
  end)

  describe("its manual", function()
    local function manual()
      return (api.output_of("mandoc -T ascii -O width=200 doc/filescom.1"):gsub(".\8", "")) -- bold, underlined
    end

    it("has nothing that mandoc objects to", function()
      assert.are.equal("", api.output_of("mandoc -T lint -W warning doc/filescom.1 2>&1"))
    end)

    it("tells of every option of every command", function()
      local text = manual()
      for _, words in ipairs({ "--help", "login --help", "request --help" }) do
        for option in good(words):gmatch("%-%-[%w-]+") do
          assert.is_truthy(text:find(option, 1, true), option)
        end
      end
    end)

    it("tells of every exit code and every variable of the environment", function()
      local text = manual()
      for name, code in pairs(require("filescom.command.failure").codes) do
        assert.is_truthy(text:match("EXIT STATUS.*"):find("\n +" .. code .. " +%u"), name)
      end
      for name in api.output_of("grep -ohE 'FILES_[A-Z_]+|XDG_[A-Z_]+' lua/filescom/command/*.lua"):gmatch("%S+") do
        assert.is_truthy(text:find(name, 1, true), name)
      end
    end)
  end)
end)
