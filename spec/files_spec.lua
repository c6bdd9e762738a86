-- session:upload and session:download: files by the API's own steps, over another host.
-- Depends on filescom and the stand-in, of which one listener is the storage.

local api = require("spec.support.api")
local filescom = require("filescom")
local json = require("cjson")
local support = require("spec.support.standin")

local MIB = 1024 * 1024

describe("a file", function()
  local standin, storage, client, session, lines

  setup(function()
    standin = support.start({ "http", "https" })
    storage = standin:listen({ scheme = "http", storage = true })
  end)

  teardown(function()
    standin:stop()
  end)

  before_each(function()
    standin:reset()
    lines = {}
    client = filescom.new({
      base_url = standin.http.base_url, language = "de", workspace_id = "3",
      debug = function(line)
        lines[#lines + 1] = line
      end,
    })
    session = assert(client:login(api.MOTOR))
    standin:call("clear_log")
  end)

  local function files()
    return standin:call("files")
  end

  -- The requests that the storage received.
  local function stored()
    local list = {}
    for _, entry in ipairs(standin:log()) do
      if entry.listener == storage.id and entry.method then
        list[#list + 1] = entry
      end
    end
    return list
  end

  local function asked_of_service()
    local list = {}
    for _, entry in ipairs(standin:log()) do
      if entry.listener ~= storage.id then
        list[#list + 1] = entry.method .. " " .. entry.target:gsub("^/api/rest/v1", "")
      end
    end
    return table.concat(list, "\n")
  end

  -- A source of a text, so many bytes at once at most.
  local function source_of(text, most)
    local place = 1
    return function(count)
      local piece = text:sub(place, place + math.min(count, most or count) - 1)
      place = place + #piece
      return piece ~= "" and piece or nil
    end
  end

  local function download(path, options)
    local pieces = {}
    local answer, err = session:download(path, function(piece)
      pieces[#pieces + 1] = piece
    end, options)
    return answer and table.concat(pieces), answer or err
  end

  -- Serves the storage's next connection by steps, which the next request opens: none is kept.
  local function script_storage(steps)
    standin:close_connections(storage)
    standin:script(storage, steps)
  end

  -- Answers the next call of the service with JSON.
  local function answer_with(body, status)
    standin:call("next_answers", { status = status or 200, body = body })
  end

  describe("is uploaded", function()
    it("from a string", function()
      local answer = assert(session:upload("inbox/letter.txt", "Dear Motor"))
      assert.are.equal(201, answer.status)
      assert.are.equal("inbox/letter.txt", answer.data.path)
      assert.are.equal("Dear Motor", files()["inbox/letter.txt"].content)
    end)

    it("from a function, by the API's steps", function()
      assert(session:upload("inbox/letter.txt", source_of("Dear Motor", 3), { size = 10 }))
      assert.are.equal("Dear Motor", files()["inbox/letter.txt"].content)
      assert.are.equal("POST /file_actions/begin_upload/inbox/letter.txt\nPOST /files/inbox/letter.txt",
        asked_of_service())
      assert.are.equal("PUT", stored()[1].method)
    end)

    it("in parts, where it is larger than one", function()
      standin:call("configure", { part_size = 4 })
      assert(session:upload("inbox/a", source_of("0123456789", 3), { size = 10 }))
      assert.are.equal("0123456789", files()["inbox/a"].content)
      local bodies = {}
      for i, entry in ipairs(stored()) do
        bodies[i] = entry.body
      end
      assert.are.same({ "0123", "4567", "89" }, bodies)
    end)

    it("in no part too many, where its size is that of whole parts", function()
      standin:call("configure", { part_size = 5 })
      assert(session:upload("inbox/a", "0123456789"))
      assert.are.equal(2, #stored())
    end)

    it("from pieces that are longer than a part", function()
      standin:call("configure", { part_size = 3 })
      local given
      assert(session:upload("inbox/a", function()
        assert.is_nil(given)
        given = "0123456789"
        return given
      end, { size = 10 }))
      assert.are.equal("0123456789", files()["inbox/a"].content)
    end)

    it("though it is empty", function()
      assert(session:upload("inbox/a", ""))
      assert.are.equal(0, files()["inbox/a"].size)
      assert(session:upload("inbox/b", source_of(""), { size = 0 }))
      assert.are.equal(0, files()["inbox/b"].size)
    end)

    it("whatever bytes it has", function()
      local bytes = {}
      for i = 0, 255 do
        bytes[i + 1] = string.char(i):rep(100)
      end
      assert(session:upload("inbox/a", table.concat(bytes)))
      assert.are.equal(table.concat(bytes), (download("inbox/a")))
    end)

    it("with 6 MiB, which is more than one part", function()
      standin:call("file", { path = "expected", fill = "0123456789abcdef", size = 6 * MIB })
      local piece, left = ("0123456789abcdef"):rep(4096), 6 * MIB
      assert(session:upload("inbox/large", function(count)
        local given = count < #piece and piece:sub(1, count) or piece
        left = left - #given
        return given
      end, { size = 6 * MIB }))
      assert.are.equal(0, left)
      assert.are.equal(files().expected.md5, files()["inbox/large"].md5)
      assert.are.equal(2, #stored())
    end)

    it("under a name of any characters", function()
      for _, name in ipairs({ "inbox/a b+c%20d#e?f&g;h.txt", "inbox/zürich \"1\" 100%", "inbox/.../x~" }) do
        assert(session:upload(name, "x", { mkdir_parents = true }))
        assert.are.equal("x", files()[name].content)
      end
    end)

    it("under a name with slashes at its ends", function()
      assert(session:upload("/inbox/a/", "x"))
      assert.are.equal("x", files()["inbox/a"].content)
    end)

    it("with its folder, where that is asked for", function()
      local _, err = session:upload("new/folder/a", "x")
      assert.are.equal("not-found/file-not-found", err.type)
      assert(session:upload("new/folder/a", "x", { mkdir_parents = true }))
    end)

    it("with the time that it was modified", function()
      assert(session:upload("inbox/a", "x", { provided_mtime = "2026-01-02T03:04:05Z" }))
      assert.are.equal("2026-01-02T03:04:05Z", files()["inbox/a"].provided_mtime)
    end)

    it("without a word of the session, the workspace or the language to the storage", function()
      assert(session:upload("inbox/a", ("x"):rep(2000), { reauthentication = "password:vroom" }))
      local names = {}
      for name in pairs(stored()[1].header) do
        names[name] = true
      end
      assert.are.same({ host = true, ["user-agent"] = true, accept = true, ["content-length"] = true }, names)
    end)

    it("with the options of every step at the service", function()
      assert(session:upload("inbox/a", "x", { reauthentication = "password:vroom", headers = { ["X-A"] = "b" } }))
      local count = 0
      for _, entry in ipairs(standin:log()) do
        if entry.listener ~= storage.id then
          count = count + 1
          assert.are.equal("password:vroom", entry.header["x-files-reauthentication"])
          assert.are.equal("b", entry.header["x-a"])
          assert.are.equal("3", entry.header["x-files-workspace-id"])
        end
      end
      assert.are.equal(2, count)
    end)

    it("with the headers that the service names for a part, but for the library's own", function()
      answer_with(('[{"ref":"r","partsize":9,"upload_uri":"%s/x","headers":{"x-amz-acl":"private","Host":"evil"}}]')
        :format(storage.base_url:gsub("/api.*", "")))
      session:upload("inbox/a", "x")
      assert.are.equal("private", stored()[1].header["x-amz-acl"])
      assert.are.equal(storage.host, stored()[1].header.host)
    end)
  end)

  describe("is not uploaded, and does not come to be,", function()
    local function refused(expected, source, options)
      local answer, err = session:upload("inbox/a", source, options)
      assert.is_nil(answer)
      assert.are.equal(expected, err.type)
      assert.is_nil(files()["inbox/a"])
      return err
    end

    it("where the source ends early", function()
      standin:call("configure", { part_size = 4 })
      local err = refused("stream/too-short", source_of("01234567"), { size = 10 })
      assert.are.equal("the source ended after 8 of 10 bytes", err.message)
    end)

    it("where the source gives too much", function()
      standin:call("configure", { part_size = 4 })
      local err = refused("stream/too-long", function()
        return "01234567"
      end, { size = 10 })
      assert.are.equal("the source gave more than the 10 bytes it has", err.message)
    end)

    it("where the source stops", function()
      refused("stream/stopped", function()
        return nil, "the disk is gone"
      end, { size = 10 })
    end)

    it("where the source raises, and that is raised again", function()
      local ok, why = pcall(session.upload, session, "inbox/a", function()
        error("the disk is gone", 0)
      end, { size = 1 })
      assert.is_false(ok)
      assert.are.equal("the disk is gone", why)
      assert.is_nil(files()["inbox/a"])
    end)

    it("where the storage refuses a part", function()
      script_storage({
        { read = "head" },
        { send = "HTTP/1.1 403 Forbidden\r\nContent-Type: application/xml\r\nContent-Length: 8\r\n\r\n<Error/>" },
        { read = 3 * MIB },
      })
      local err = refused("response/status", ("x"):rep(3 * MIB))
      assert.are.equal(403, err.status)
    end)

    it("where the storage resets the connection", function()
      script_storage({ { read = "head" }, { read = 1000 }, { reset = true } })
      refused("network/interrupted", ("x"):rep(3 * MIB))
    end)

    it("where the storage wants the part elsewhere", function()
      script_storage({
        { read = "request" }, { send = "HTTP/1.1 307 Elsewhere\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n" },
      })
      assert.are.equal(307, refused("response/status", "x").status)
    end)

    it("where the storage repeats the address in its refusal, without a word of it", function()
      local signature = "wJalrXUtnFEMI/K7MDENG"
      local escaped = signature:gsub("/", "%%2F")
      local target = "/bucket/of/many?Expires=1&Signature=" .. escaped
      local address = storage.base_url:gsub("/api.*", "") .. target
      answer_with(json.encode({ { ref = "r", partsize = 5, upload_uri = address } }))
      local body = json.encode({ message = "no signature " .. signature, data = { at = target } })
      script_storage({ { read = "request" }, { send = ("HTTP/1.1 403 No\r\nContent-Type: application/json\r\n"
        .. "Content-Length: %d\r\n\r\n%s"):format(#body, body) } })
      local err = refused("response/status", "x")
      assert.are.equal(403, err.status)
      assert.is_truthy(err.message:find("no signature ", 1, true), err.message)
      assert.is_nil((err.message .. err.data.at):find("wJalr", 1, true))
    end)

    it("where the service's answer names no part", function()
      for _, body in ipairs({ "[]", "5", "[5]", '[{"ref":"r"}]', '[{"ref":"r","partsize":0,"upload_uri":"https://h/"}]',
        '[{"ref":"r","partsize":5}]', '[{"ref":5,"partsize":5,"upload_uri":"https://h/"}]' }) do
        answer_with(body)
        refused("response/no-address", "x")
      end
    end)

    for what, headers in pairs({
      ["a line end in the value of a header"] = { ["X-A"] = "a\r\nX-B: c" },
      ["a line end in the name of a header"] = { ["X-A: a\r\nX-B"] = "c" },
      ["a header that has no name"] = { [""] = "c" },
      ["more headers than can be sent"] = { ["X-A"] = ("x"):rep(300000) },
    }) do
      it("where the service names " .. what .. " for its part", function()
        local part = { ref = "r", partsize = 5, upload_uri = "https://127.0.0.1:1/", headers = headers }
        answer_with(json.encode({ part }))
        refused("response/no-address", "x")
      end)
    end

    it("where the service names an address that is too long", function()
      answer_with(json.encode({ { ref = "r", partsize = 5, upload_uri = "https://127.0.0.1:1/" .. ("x"):rep(70000) } }))
      refused("response/no-address", "x")
    end)

    it("where the session has ended", function()
      assert(session:logout())
      assert.are.equal("session/none", select(2, session:upload("inbox/a", "x")).type)
    end)

    it("at its time limit, which is that of the whole", function()
      standin:call("configure", { answer_delay = 0.2 })
      local seconds, _, err = api.timed(function()
        return session:upload("inbox/a", "x", { timeout = 0.3 })
      end)
      assert.are.equal("network/timeout", err.type)
      assert.is_true(seconds < 2, tostring(seconds))
    end)
  end)

  describe("is downloaded", function()
    it("whole, with what the service tells of it", function()
      standin:call("file", { path = "inbox/a b%.txt", content = "Dear Motor" })
      local text, answer = download("inbox/a b%.txt")
      assert.are.equal("Dear Motor", text)
      assert.are.equal(200, answer.status)
      assert.are.equal(10, answer.size)
      assert.are.equal("inbox/a b%.txt", answer.data.path)
      assert.are.equal("application/octet-stream", answer.headers["Content-Type"])
    end)

    it("though it is larger than max_response_size", function()
      standin:call("file", { path = "large", fill = "0123456789", size = 3 * MIB })
      local text = download("large")
      assert.are.equal(3 * MIB, #text)
      assert.are.equal("456789012345", text:sub(100005, 100016))
    end)

    it("though it is empty", function()
      standin:call("file", { path = "empty", content = "" })
      local text, answer = download("empty")
      assert.are.equal("", text)
      assert.are.equal(0, answer.size)
    end)

    it("without a word of the session, the workspace or the language to the storage", function()
      standin:call("file", { path = "a", content = "x" })
      assert(download("a", { reauthentication = "password:vroom" }))
      local names = {}
      for name in pairs(stored()[1].header) do
        names[name] = true
      end
      assert.are.same({ host = true, ["user-agent"] = true, accept = true }, names)
    end)

    it("without its address in a trace", function()
      standin:call("file", { path = "a", content = "x" })
      assert(download("a"))
      local text = table.concat(lines, "\n")
      assert.is_truthy(text:find("> GET http://" .. storage.host .. "/[redacted] (session: none", 1, true), text)
      assert.is_nil(text:find("Signature", 1, true))
      assert.is_nil(text:find("bucket", 1, true))
    end)
  end)

  describe("is not downloaded", function()
    it("where there is none", function()
      local _, err = download("inbox/none")
      assert.are.equal("not-found/file-not-found", err.type)
    end)

    it("where the service names no address, or one that cannot be used", function()
      for _, uri in ipairs({ '"x":1', '"download_uri":null', '"download_uri":5', '"download_uri":""',
        '"download_uri":"/x"', '"download_uri":"ftp://h/x"', '"download_uri":"http://files.example/x"',
        '"download_uri":"https://user:secret@h/x"', '"download_uri":"https://h\\r\\nX: y/x"',
        '"download_uri":"https://h/a b"', '"download_uri":"https://h/\\u00fc"', '"download_uri":"https://"' }) do
        answer_with("{" .. uri .. "}")
        local text, err = download("a")
        assert.is_nil(text)
        assert.are.equal("response/no-address", err.type, uri)
        assert.is_nil(tostring(err):find("secret", 1, true))
      end
    end)

    it("over plain http, where the service itself is reached over TLS", function()
      local secure = filescom.new({ base_url = standin.https.base_url, ca_file = standin.ca_file })
      session = assert(secure:login(api.MOTOR))
      standin:call("file", { path = "a", content = "x" })
      local _, err = download("a")
      assert.are.equal("response/no-address", err.type)
      assert.are.equal(0, #stored())
    end)

    it("where the storage refuses it: the sink sees nothing of that", function()
      script_storage({
        { read = "request" }, { send = "HTTP/1.1 403 Forbidden\r\nContent-Length: 8\r\n\r\n<Error/>" },
      })
      standin:call("file", { path = "a", content = "x" })
      local called = false
      local _, err = session:download("a", function()
        called = true
      end)
      assert.are.equal(403, err.status)
      assert.is_false(called)
    end)

    it("whole where it is cut off in its middle", function()
      script_storage({
        { read = "request" }, { send = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234" }, { close = true },
      })
      standin:call("file", { path = "a", content = "0123456789" })
      local _, err = download("a")
      assert.are.equal("network/interrupted", err.type)
    end)
  end)

  describe("raises an error at the caller's place, and sends nothing, for", function()
    local function refused(expected, f)
      assert.are.equal(expected, api.raised_here(f))
      assert.are.equal(0, #standin:log())
    end

    it("a source without a size", function()
      refused("a source that is a function needs option 'size', in bytes", function()
        local answer = session:upload("a", print)
        return answer
      end)
    end)

    it("a source that is neither a string nor a function", function()
      refused("source must be a string or a function, got table", function()
        local answer = session:upload("a", {})
        return answer
      end)
    end)

    it("a string whose size is said to be another", function()
      refused("option 'size' is not that of the source, a string", function()
        local answer = session:upload("a", "x", { size = 5 })
        return answer
      end)
    end)

    it("a sink that is no function", function()
      refused("sink must be a function, got string", function()
        local answer = session:download("a", "file.txt")
        return answer
      end)
    end)

    it("a path that names no file", function()
      refused("path must name a file", function()
        local answer = session:download("/", print)
        return answer
      end)
      refused("path must be a string, got nil", function()
        local answer = session:upload(nil, "x")
        return answer
      end)
    end)

    for _, path in ipairs({ "../users/1", "inbox/../../user", "inbox/..", "./a", "inbox//../a" }) do
      it("a path that would lead elsewhere: " .. path, function()
        refused("path must hold no '.' or '..' between slashes", function()
          local answer = session:upload(path, "x")
          return answer
        end)
      end)
    end

    it("an unknown option", function()
      refused("unknown option 'mkdir'", function()
        local answer = session:upload("a", "x", { mkdir = true })
        return answer
      end)
      refused("unknown option 'size'", function()
        local answer = session:download("a", print, { size = 5 })
        return answer
      end)
    end)
  end)
end)
