-- session:request(method, path [, options]): any other call of the API.
-- Depends on filescom, lua-cjson and the stand-in, whose /echo tells what it received.

local api = require("spec.support.api")
local cjson = require("cjson")
local filescom = require("filescom")
local support = require("spec.support.standin")

describe("a session's request", function()
  local standin, client, session

  setup(function()
    standin = support.start({ "http" })
  end)

  teardown(function()
    standin:stop()
  end)

  before_each(function()
    standin:reset()
    client = filescom.new({ base_url = standin.http.base_url })
    session = assert(client:login(api.MOTOR))
    standin:call("clear_log")
  end)

  local function order(status, body, headers)
    standin:call("next_answers", { status = status, body = body, headers = headers or {} })
  end

  local function target_of(path, options)
    session:request("GET", path, options)
    return (standin:last().target:gsub("^/api/rest/v1", ""))
  end

  describe("sends", function()
    it("the session's id in X-FilesAPI-Auth", function()
      assert(session:request("GET", "/user"))
      assert.are.equal(session.id, standin:last().header["x-filesapi-auth"])
    end)

    it("Accept: application/json", function()
      assert(session:request("GET", "/user"))
      assert.are.equal("application/json", standin:last().header.accept)
    end)

    it("the method that is named", function()
      for _, method in ipairs({ "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS" }) do
        assert(session:request(method, "/echo"))
        assert.are.equal(method, standin:last().method)
      end
    end)

    it("the method in upper case", function()
      assert(session:request("get", "/user"))
      assert.are.equal("GET", standin:last().method)
    end)

    it("the path below the base URL's", function()
      assert(session:request("GET", "/folders/inbox"))
      assert.are.equal("/api/rest/v1/folders/inbox", standin:last().target)
    end)

    it("over the connection of the login", function()
      assert(session:request("GET", "/user"))
      local connection = standin:last().connection
      assert(session:logout())
      assert.are.equal(connection, standin:last().connection)
    end)

    it("no body with a GET", function()
      assert(session:request("GET", "/echo"))
      assert.are.equal("", standin:last().body)
      assert.is_nil(standin:last().header["content-type"])
    end)

    it("to where the session lives, whatever the client's base", function()
      local elsewhere = filescom.new({ base_url = "http://127.0.0.1:" .. api.closed_port(), retries = 0 })
      assert(elsewhere:session({ id = session.id, base_url = session.base_url }):request("GET", "/user"))
    end)
  end)

  describe("writes in the path", function()
    it("blanks and non-ASCII text as escapes", function()
      assert.are.equal("/folders/a%20z%C3%BCrich", target_of("/folders/a zürich"))
    end)

    it("a number sign as an escape, so that nothing is cut off", function()
      assert.are.equal("/folders/a%23b", target_of("/folders/a#b"))
    end)

    it("what is escaped already as it is", function()
      assert.are.equal("/folders/a%20b", target_of("/folders/a%20b"))
    end)

    it("dots as they are", function()
      assert.are.equal("/folders/../x", target_of("/folders/../x"))
    end)

    it("a percent sign without two hexadecimal digits as an escape", function()
      assert.are.equal("/folders/100%25", target_of("/folders/100%"))
      assert.are.equal("/folders/5%25x/%25%20%25a", target_of("/folders/5%x/%%20%a"))
    end)

    it("quotes and angles as escapes", function()
      assert.are.equal("/folders/%22%3Cx%3E%22", target_of('/folders/"<x>"'))
    end)
  end)

  describe("writes in the query", function()
    it("names and values, in the order of their names", function()
      assert.are.equal("/echo?a=1&b=two", target_of("/echo", { query = { b = "two", a = "1" } }))
    end)

    it("what may not stand there as escapes", function()
      assert.are.equal("/echo?q=a%26b%3Dc%20d%2B%C3%BC%23%25",
        target_of("/echo", { query = { q = "a&b=c d+ü#%" } }))
    end)

    it("escapes in names as well", function()
      assert.are.equal("/echo?a%26b=1", target_of("/echo", { query = { ["a&b"] = "1" } }))
    end)

    it("whole numbers without a fraction", function()
      assert.are.equal("/echo?n=100000000000000&per_page=1000",
        target_of("/echo", { query = { per_page = 1000, n = 1e14 } }))
    end)

    it("integers with all of their digits", function()
      assert.are.equal("/echo?n=123456789012345", target_of("/echo", { query = { n = 123456789012345 } }))
      local largest = rawget(math, "maxinteger")
      if largest then
        assert.are.equal("/echo?n=9223372036854775807", target_of("/echo", { query = { n = largest } }))
        assert.are.equal("/echo?n=-9007199254740993", target_of("/echo", { query = { n = -9007199254740993 } }))
      end
    end)

    it("fractions", function()
      assert.are.equal("/echo?x=0.5", target_of("/echo", { query = { x = 0.5 } }))
      assert.are.equal("/echo?x=0.1", target_of("/echo", { query = { x = 0.1 } }))
      assert.are.equal("/echo?x=0.30000000000000004", target_of("/echo", { query = { x = 0.1 + 0.2 } }))
    end)

    it("booleans", function()
      assert.are.equal("/echo?no=false&yes=true", target_of("/echo", { query = { yes = true, no = false } }))
    end)

    it("lists with brackets", function()
      assert.are.equal("/echo?ids%5B%5D=1&ids%5B%5D=2", target_of("/echo", { query = { ids = { 1, 2 } } }))
    end)

    it("tables with their keys in brackets", function()
      assert.are.equal("/echo?filter%5Bsize%5D=5", target_of("/echo", { query = { filter = { size = 5 } } }))
    end)

    it("tables in tables", function()
      assert.are.equal("/echo?filter%5Bsize%5D%5Bgt%5D=5&sort_by%5Bpath%5D=asc",
        target_of("/echo", { query = { filter = { size = { gt = 5 } }, sort_by = { path = "asc" } } }))
    end)

    it("nothing for an empty table", function()
      assert.are.equal("/echo", target_of("/echo", { query = {} }))
      assert.are.equal("/echo", target_of("/echo", { query = { ids = {} } }))
      assert.are.equal("/echo?a=1", target_of("/echo?a=1", { query = { ids = {} } }))
    end)

    it("more after what the path has", function()
      assert.are.equal("/echo?a=1&b=2", target_of("/echo?a=1", { query = { b = "2" } }))
    end)
  end)

  describe("with a body", function()
    it("of JSON sends it as application/json", function()
      local answer = assert(session:request("POST", "/echo", { json = { name = "a\"b", list = { 1, 2 } } }))
      assert.are.equal("application/json", standin:last().header["content-type"])
      assert.are.same({ name = "a\"b", list = { 1, 2 } }, cjson.decode(answer.data.body))
    end)

    it("of JSON may be false", function()
      assert(session:request("POST", "/echo", { json = false }))
      assert.are.equal("false", standin:last().body)
    end)

    it("of JSON keeps all digits of its numbers", function()
      local sent = { 123456789012345, 9007199254740991, -100000000000000, 0.1, 0.1 + 0.2, 1e15, 5, 1.5e300 }
      assert(session:request("POST", "/echo", { json = { list = sent, ["number0:"] = "number1:12", text = "5" } }))
      local body = standin:last().body
      assert.is_truthy(body:find('"list":[123456789012345,9007199254740991,-100000000000000,0.1,0.30000000000000004,'
        .. '1000000000000000,5,1.5e+300]', 1, true), body)
      assert.is_truthy(body:find('"number0:":"number1:12"', 1, true), body)
      assert.is_truthy(body:find('"text":"5"', 1, true), body)
    end)

    it("of JSON writes 64-bit integers whole, where Lua has them", function()
      local largest = rawget(math, "maxinteger")
      if largest then
        assert(session:request("POST", "/echo", { json = largest }))
        assert.are.equal("9223372036854775807", standin:last().body)
        assert(session:request("POST", "/echo", { json = { { id = -9007199254740993 } } }))
        assert.are.equal('[{"id":-9007199254740993}]', standin:last().body)
      end
    end)

    it("of a form sends it as application/x-www-form-urlencoded", function()
      assert(session:request("POST", "/echo", { form = { name = "a b&c", n = 5, ids = { 1, 2 }, to = { x = true } } }))
      local last = standin:last()
      assert.are.equal("application/x-www-form-urlencoded", last.header["content-type"])
      assert.are.equal("ids%5B%5D=1&ids%5B%5D=2&n=5&name=a%20b%26c&to%5Bx%5D=true", last.body)
    end)

    it("of an empty form sends an empty one", function()
      assert(session:request("POST", "/echo", { form = {} }))
      assert.are.equal("0", standin:last().header["content-length"])
    end)

    it("of bytes sends them unchanged", function()
      local bytes = "\0\1\r\n--\255\254" .. ("x"):rep(70000)
      assert(session:request("POST", "/echo", { body = bytes }))
      assert.is_true(standin:last().body == bytes)
    end)

    it("of bytes sends them as application/octet-stream", function()
      assert(session:request("PUT", "/echo", { body = "x" }))
      assert.are.equal("application/octet-stream", standin:last().header["content-type"])
    end)

    it("sends the type that the caller names instead, in any case", function()
      assert(session:request("POST", "/echo", { body = "x", headers = { ["content-type"] = "text/csv" } }))
      assert.are.equal("text/csv", standin:last().header["content-type"])
      assert(session:request("POST", "/echo", { json = {}, headers = { ["CONTENT-TYPE"] = "application/x" } }))
      assert.are.equal("application/x", standin:last().header["content-type"])
    end)

    it("that is empty sends an empty one", function()
      assert(session:request("POST", "/echo", { body = "" }))
      assert.are.equal("0", standin:last().header["content-length"])
    end)

    it("that is missing is told as one of no bytes, without a type, where a method expects one", function()
      for _, method in ipairs({ "POST", "PUT", "PATCH" }) do
        assert(session:request(method, "/echo"))
        local last = standin:last()
        assert.are.equal(method, last.method)
        assert.are.equal("0", last.header["content-length"])
        assert.is_nil(last.header["content-type"])
      end
      assert(session:request("DELETE", "/echo"))
      assert.is_nil(standin:last().header["content-length"])
    end)

    it("keeps its method", function()
      assert(session:request("PATCH", "/echo", { json = {} }))
      assert.are.equal("PATCH", standin:last().method)
    end)
  end)

  describe("with headers", function()
    it("sends them", function()
      local headers = { ["X-Files-Reauthentication"] = "password:x", ["X-N"] = 5 }
      assert(session:request("GET", "/user", { headers = headers }))
      assert.are.equal("password:x", standin:last().header["x-files-reauthentication"])
      assert.are.equal("5", standin:last().header["x-n"])
    end)

    it("names the workspace and the language of this request alone", function()
      local options = { base_url = standin.http.base_url, language = "de", workspace_id = "7" }
      local mine = filescom.new(options):session(session)
      assert(mine:request("GET", "/user", { language = "fr", workspace_id = 12 }))
      assert.are.equal("fr", standin:last().header["accept-language"])
      assert.are.equal("12", standin:last().header["x-files-workspace-id"])
      assert(mine:request("GET", "/user", { workspace_id = "abc" }))
      assert.are.equal("de", standin:last().header["accept-language"])
      assert.are.equal("abc", standin:last().header["x-files-workspace-id"])
      assert(mine:request("GET", "/user"))
      assert.are.equal("7", standin:last().header["x-files-workspace-id"])
    end)

    it("reauthenticates where the service asks for it", function()
      local _, err = session:request("POST", "/api_keys", { json = { name = "k" } })
      assert.are.equal("not-authorized/reauthentication-needed-action", err.type)
      local answer = assert(session:request("POST", "/api_keys", {
        json = { name = "k" }, reauthentication = "password:vroom",
      }))
      assert.are.equal(201, answer.status)
    end)

    it("keeps what reauthenticates out of errors, however it was given", function()
      for _, options in ipairs({
        { reauthentication = "password:hunter22" },
        { headers = { ["x-files-REAUTHENTICATION"] = "password:hunter22" } },
      }) do
        options.json = { name = "k" }
        local _, err = session:request("POST", "/api_keys", options)
        assert.are.equal("not-authorized/reauthentication-failed", err.type)
        assert.is_truthy(err.message:find("[redacted]", 1, true))
        assert.is_nil(cjson.encode({ err.message, err.errors, tostring(err) }):find("hunter22", 1, true))
      end
    end)

    it("keeps what reauthenticates out of traces", function()
      local lines = {}
      local traced = filescom.new({
        base_url = standin.http.base_url,
        debug = function(line)
          lines[#lines + 1] = line
        end,
      }):session(session)
      standin:call("next_answers", { status = 403, body = "{}", headers = { ["X-Request-Id"] = "hunter22" } })
      traced:request("POST", "/api_keys", { reauthentication = "password:hunter22" })
      assert.are.equal(3, #lines)
      assert.is_nil(table.concat(lines):find("hunter22", 1, true))
    end)

    it("replaces the client's own language", function()
      local german = filescom.new({ base_url = standin.http.base_url, language = "de" }):session(session)
      assert(german:request("GET", "/user", { headers = { ["accept-language"] = "fr" } }))
      assert.are.equal("fr", standin:last().header["accept-language"])
    end)

    it("leaves the caller's table alone", function()
      local headers = { ["X-N"] = 5 }
      assert(session:request("POST", "/echo", { json = {}, headers = headers }))
      assert.are.same({ ["X-N"] = 5 }, headers)
    end)
  end)

  describe("returns", function()
    it("status, headers and data", function()
      local answer = assert(session:request("GET", "/user"))
      assert.are.equal(200, answer.status)
      assert.are.equal("table", type(answer.headers))
      assert.are.equal("motor", answer.data.username)
    end)

    it("the status and data's whole numbers as integers where Lua has them", function()
      local answer = assert(session:request("GET", "/folders/inbox"))
      assert.are.equal("integer", api.kind_of(answer.status))
      assert.are.equal("integer", api.kind_of(answer.data[1].size))
    end)

    it("nil for null in data", function()
      assert.is_nil(session:request("GET", "/user").data.name)
    end)

    it("data of whatever JSON is answered", function()
      for body, value in pairs({ ["5"] = 5, ['"x"'] = "x", ["true"] = true, ["false"] = false }) do
        order(200, body)
        assert.are.equal(value, session:request("GET", "/user").data)
      end
    end)

    it("no data where the answer is empty", function()
      order(204, "")
      local answer = assert(session:request("DELETE", "/files/x"))
      assert.are.equal(204, answer.status)
      assert.is_nil(answer.data)
    end)

    it("no data where the answer is null", function()
      order(200, "null")
      assert.is_nil(assert(session:request("GET", "/user")).data)
    end)

    it("headers that are found in any case", function()
      order(200, "{}", { ["X-Files-Cursor"] = "next" })
      local headers = session:request("GET", "/user").headers
      for _, name in ipairs({ "X-Files-Cursor", "x-files-cursor", "X-FILES-CURSOR" }) do
        assert.are.equal("next", headers[name], name)
      end
    end)

    it("nil for a header that is not there, or no name", function()
      local headers = session:request("GET", "/user").headers
      assert.is_nil(headers["X-None"])
      assert.is_nil(headers[1])
    end)

    it("headers of one name as one", function()
      standin:call("next_answers", { status = 200, body = "{}", headers = { { "X-A", "1" }, { "x-a", "2" } } })
      assert.are.equal("1, 2", session:request("GET", "/user").headers["X-A"])
    end)

    it("an error of the service as one", function()
      local answer, err = session:request("GET", "/folders/nowhere")
      assert.is_nil(answer)
      assert.are.equal("not-found/file-not-found", err.type)
      assert.are.equal(404, err.status)
    end)

    it("response/not-json where the answer is something else", function()
      order(200, "<html>", { ["Content-Type"] = "text/html" })
      local answer, err = session:request("GET", "/user")
      assert.is_nil(answer)
      assert.are.equal("response/not-json", err.type)
    end)

    it("response/too-large where the answer exceeds max_response_size", function()
      order(200, '"' .. ("x"):rep(5000) .. '"')
      local small = filescom.new({ base_url = standin.http.base_url, max_response_size = 4096 }):session(session)
      local answer, err = small:request("GET", "/user")
      assert.is_nil(answer)
      assert.are.equal("response/too-large", err.type)
    end)

    it("a HEAD's headers, however large the body would be", function()
      order(200, ("x"):rep(5000))
      local small = filescom.new({ base_url = standin.http.base_url, max_response_size = 4096 }):session(session)
      local answer = assert(small:request("HEAD", "/user"))
      assert.are.equal("5000", answer.headers["content-length"])
      order(200, '"' .. ("x"):rep(5000) .. '"')
      assert.are.equal("response/too-large", select(2, small:request("GET", "/user")).type)
    end)

    it("session/none after the logout, and sends nothing", function()
      assert(session:logout())
      standin:call("clear_log")
      local answer, err = session:request("GET", "/user")
      assert.is_nil(answer)
      assert.are.equal("session/none", err.type)
      assert.are.equal(0, #standin:log())
    end)

    it("the service's error where the session has expired", function()
      standin:call("revoke")
      local _, err = session:request("GET", "/user")
      assert.are.equal("not-authenticated/invalid-session", err.type)
    end)
  end)

  it("is sent once, whatever the service answers", function()
    for _, status in ipairs({ 401, 429, 500, 502, 503, 504 }) do
      standin:call("clear_log")
      order(status, "{}", { ["Retry-After"] = "1" })
      local answer, err = session:request("GET", "/user")
      assert.is_nil(answer)
      assert.are.equal(status, err.status)
      assert.are.equal(1, #standin:log())
    end
  end)

  it("does not follow redirects, and takes the id nowhere", function()
    for _, status in ipairs({ 301, 302, 303, 307, 308 }) do
      standin:call("clear_log")
      order(status, "", { Location = standin.http.base_url .. "/api/rest/v1/user" })
      local answer, err = session:request("GET", "/user")
      assert.is_nil(answer)
      assert.are.equal(status, err.status)
      assert.are.equal(1, #standin:log())
    end
  end)

  it("ends at its own time limit", function()
    standin:call("configure", { answer_delay = 5 })
    local seconds, answer, err = api.timed(function()
      return session:request("GET", "/user", { timeout = 0.2 })
    end)
    assert.is_nil(answer)
    assert.are.equal("network/timeout", err.type)
    assert.is_true(seconds < 2, tostring(seconds))
  end)

  describe("with the option raw", function()
    it("returns the body as it came, and no data", function()
      for _, body in ipairs({ '{ "a": [] ,"b":1.0}', "plain text", "\0\255", "" }) do
        order(200, body)
        local answer = assert(session:request("GET", "/user", { raw = true }))
        assert.are.equal(body, answer.body)
        assert.is_nil(answer.data)
        assert.are.equal("*/*", standin:last().header.accept)
      end
    end)

    it("returns it to a client that traces as well", function()
      local traced = filescom.new({ base_url = standin.http.base_url, debug = function() end }):session(session)
      assert.are.equal("string", type(assert(traced:request("GET", "/user", { raw = true })).body))
    end)

    it("returns a refusal as without it", function()
      local answer, err = session:request("GET", "/folders/nowhere", { raw = true })
      assert.is_nil(answer)
      assert.are.equal("Folder not found: nowhere", err.message)
    end)

    it("returns data where it is false, and no body", function()
      local answer = assert(session:request("GET", "/user", { raw = false }))
      assert.are.equal("motor", answer.data.username)
      assert.is_nil(answer.body)
    end)
  end)

  describe("raises an error at the caller's place, and sends nothing, for", function()
    local function refused(expected, method, path, options)
      assert.are.equal(expected, api.raised_here(function()
        local answer = session:request(method, path, options)
        return answer
      end))
      assert.are.equal(0, #standin:log())
    end

    for _, name in ipairs({ "X-FilesAPI-Auth", "X-FilesAPI-Key", "Host", "Content-Length", "Transfer-Encoding",
      "Connection", "Expect" }) do
      it("the header " .. name, function()
        refused(("the header %s is the library's to set"):format(name), "GET", "/user", { headers = { [name] = "x" } })
      end)
    end

    it("a reserved header in another case", function()
      refused("the header x-filesapi-auth is the library's to set", "GET", "/user",
        { headers = { ["x-filesapi-auth"] = "x" } })
    end)

    it("a header with a line break", function()
      refused("the value of the header X-A holds a control character", "GET", "/user",
        { headers = { ["X-A"] = "x\r\nX-FilesAPI-Auth: y" } })
    end)

    it("a header whose name is not one", function()
      refused("a header's name is not valid", "GET", "/user", { headers = { ["X A:"] = "x" } })
    end)

    it("a header that is a table", function()
      refused("option 'headers' must hold strings under strings", "GET", "/user", { headers = { ["X-A"] = {} } })
    end)

    it("headers in a list", function()
      refused("the names of headers must be strings", "GET", "/user", { headers = { "X-A: 1" } })
    end)

    it("a path without its slash", function()
      refused("path must begin with '/'", "GET", "user")
    end)

    it("a path with a line break", function()
      refused("path holds a control character", "GET", "/user\r\nX-Evil: 1")
    end)

    it("a path with a NUL byte", function()
      refused("path holds a control character", "GET", "/user\0")
    end)

    it("a path that is missing", function()
      refused("path must be a string, got nil", "GET")
    end)

    it("a method that is missing", function()
      refused("method must be a string, got nil")
    end)

    it("a method that is no word", function()
      refused("method must be letters such as GET", "GET /x", "/user")
    end)

    it("an unknown option", function()
      refused("unknown option 'params'", "GET", "/user", { params = {} })
    end)

    it("options that are no table", function()
      refused("options must be a table, got string", "GET", "/user", "x")
    end)

    it("a query that is a string", function()
      refused("option 'query' must be a table, got string", "GET", "/user", { query = "a=1" })
    end)

    it("a query with a function in it", function()
      refused("query parameter 'f' must be a string, number, boolean or table, got function", "GET", "/user",
        { query = { f = print } })
    end)

    it("a body that is a table", function()
      refused("option 'body' must be a string, got table", "GET", "/user", { body = {} })
      refused("option 'raw' must be a boolean, got string", "GET", "/user", { raw = "yes" })
    end)

    it("headers that are a string", function()
      refused("option 'headers' must be a table, got string", "GET", "/user", { headers = "x" })
    end)

    it("a timeout that is a string", function()
      refused("option 'timeout' must be a number, got string", "GET", "/user", { timeout = "5" })
    end)

    it("a timeout of nothing", function()
      refused("option 'timeout' must be a number of seconds above 0 and up to 1000000", "GET", "/user", { timeout = 0 })
    end)

    it("both a body and JSON", function()
      refused("give option 'json' or option 'body', not both", "POST", "/echo", { body = "x", json = {} })
    end)

    it("both a form and JSON", function()
      refused("give option 'json' or option 'form', not both", "POST", "/echo", { form = {}, json = {} })
    end)

    it("a header that an option names as well", function()
      refused("give option 'language' or the header Accept-Language, not both", "GET", "/user",
        { language = "de", headers = { ["accept-language"] = "fr" } })
    end)

    it("a workspace that is no string and no whole number", function()
      refused("option 'workspace_id' must be a string or a whole number, got table", "GET", "/user",
        { workspace_id = {} })
    end)

    it("a number in the query that is none", function()
      refused("query parameter 'n' must be a finite number", "GET", "/user", { query = { n = 0 / 0 } })
      refused("form parameter 'n' must be a finite number", "POST", "/user", { form = { n = math.huge } })
    end)

    it("a session whose id was replaced by one that cannot be sent", function()
      session.id = "a\r\nX-Evil: 1"
      refused("a session id must be a non-empty string of visible ASCII", "GET", "/user")
    end)

    it("JSON that cannot be encoded", function()
      local why = api.raised(session.request, session, "POST", "/echo", { json = { f = print } })
      assert.is_truthy(why:find("option 'json' cannot be encoded", 1, true))
      assert.are.equal(0, #standin:log())
    end)
  end)
end)
