-- session:request with options sink and source: bodies that pass through piece by piece.
-- Depends on filescom, filescom.core, LuaSocket and the stand-in; memory is read from /proc.

local api = require("spec.support.api")
local core = require("filescom.core")
local filescom = require("filescom")
local socket = require("socket")
local support = require("spec.support.standin")

local MIB = 1024 * 1024
local HEAD = { read = "head" }
local REQUEST = { read = "request" }
local CLOSE = { close = true }

describe("a streamed", function()
  local standin, client, session

  setup(function()
    standin = support.start({ "http" })
  end)

  teardown(function()
    standin:stop()
  end)

  before_each(function()
    standin:reset()
    client = filescom.new({ base_url = standin.http.base_url, max_response_size = 4096 })
    session = assert(client:login(api.MOTOR))
    standin:call("clear_log")
  end)

  local function nothing() end

  local function answer_with(body, status, headers)
    standin:call("next_answers", { status = status or 200, body = body, headers = headers or {} })
  end

  -- A session on a listener whose next connections go through steps.
  local function scripted(...)
    local listener = standin:listen({ scheme = "http" })
    standin:script(listener, ...)
    return client:session({ id = session.id, base_url = listener.base_url }), listener
  end

  local function text_of(pieces)
    return table.concat(pieces)
  end

  local function collector()
    local pieces = {}
    return pieces, function(piece)
      pieces[#pieces + 1] = piece
    end
  end

  -- A source of `size` bytes, and a list of how many were asked for.
  local function source_of(size)
    local left, asked = size, {}
    return function(count)
      asked[#asked + 1] = count
      local piece = ("x"):rep(math.min(count, left))
      left = left - #piece
      return piece ~= "" and piece or nil
    end, asked
  end

  local function resident()
    for line in io.lines("/proc/self/status") do
      local kilobytes = line:match("^VmRSS:%s*(%d+)")
      if kilobytes then
        return tonumber(kilobytes) * 1024
      end
    end
  end

  local function until_closed(listener)
    local deadline = socket.gettime() + 5
    while (standin:connections(listener)) > 0 and socket.gettime() < deadline do
      socket.sleep(0.005)
    end
    return (standin:connections(listener))
  end

  describe("answer", function()
    local function request(sink, options)
      options = options or {}
      options.sink = sink
      return session:request("GET", "/user", options)
    end

    it("comes whole and in order, whatever bytes it has", function()
      local body = {}
      for i = 0, 255 do
        body[#body + 1] = string.char(i):rep(1000)
      end
      body = text_of(body)
      local head = "HTTP/1.1 200 OK\r\nContent-Length: " .. #body .. "\r\n\r\n"
      local there = scripted({ REQUEST, { send = head .. body } })
      local pieces, sink = collector()
      assert(there:request("GET", "/x", { sink = sink }))
      assert.is_true(text_of(pieces) == body)
    end)

    it("may come in chunks", function()
      local there = scripted({
        REQUEST, { send = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n" }, { sleep = 0.05 },
        { send = "2\r\nde\r\n0\r\n\r\n" },
      })
      local pieces, sink = collector()
      assert(there:request("GET", "/x", { sink = sink }))
      assert.are.equal("abcde", text_of(pieces))
    end)

    it("gives status, headers and no data", function()
      answer_with("not JSON", 200, { ["X-A"] = "b" })
      local answer = assert(request(nothing))
      assert.are.equal(200, answer.status)
      assert.are.equal("b", answer.headers["x-a"])
      assert.is_nil(answer.data)
    end)

    it("is not bounded by max_response_size", function()
      answer_with(("x"):rep(100000))
      local pieces, sink = collector()
      assert(request(sink))
      assert.are.equal(100000, #text_of(pieces))
    end)

    it("does not call the sink for an empty body", function()
      answer_with("", 204)
      assert(request(function()
        error("called")
      end))
    end)

    it("asks for any type, unless the caller names one", function()
      assert(request(nothing))
      assert.are.equal("*/*", standin:last().header.accept)
      assert(request(nothing, { headers = { accept = "text/csv" } }))
      assert.are.equal("text/csv", standin:last().header.accept)
    end)

    it("that is a refusal becomes the error and does not reach the sink", function()
      local pieces, sink = collector()
      local answer, err = session:request("GET", "/folders/nowhere", { sink = sink })
      assert.is_nil(answer)
      assert.are.equal("not-found/file-not-found", err.type)
      assert.are.equal(0, #pieces)
    end)

    it("that is a large refusal is bounded by max_response_size", function()
      answer_with(("x"):rep(5000), 403)
      local _, err = request(nothing)
      assert.are.equal("response/too-large", err.type)
    end)

    it("that is cut off gives what came, and the error", function()
      local there = scripted({ REQUEST, { send = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf" }, CLOSE })
      local pieces, sink = collector()
      local answer, err = there:request("GET", "/x", { sink = sink })
      assert.is_nil(answer)
      assert.are.equal("network/interrupted", err.type)
      assert.are.equal("half", text_of(pieces))
    end)

    it("ends with what the sink raises, as it is, and closes the connection", function()
      local there, listener = scripted({ REQUEST, { send = "HTTP/1.1 200 OK\r\n\r\nabc" }, { hang = true } })
      local reason = {}
      local ok, raised = pcall(there.request, there, "GET", "/x", {
        sink = function()
          error(reason)
        end,
      })
      assert.is_false(ok)
      assert.is_true(raised == reason)
      assert.are.equal(0, until_closed(listener))
      assert.are.equal(0, core.in_flight())
    end)

    it("ends with stream/stopped where the sink returns false, or nil and why", function()
      answer_with("abc")
      local answer, err = request(function()
        return false
      end)
      assert.is_nil(answer)
      assert.are.equal("stream/stopped", err.type)
      answer_with("abc")
      err = select(2, request(function()
        return nil, "disk full"
      end))
      assert.are.equal("stream/stopped", err.type)
      assert.is_truthy(err.message:find("disk full", 1, true))
    end)

    it("leaves nothing behind for the next exchange of the client", function()
      answer_with(("x"):rep(10000))
      assert(request(nothing))
      answer_with('"' .. ("x"):rep(5000) .. '"')
      assert.are.equal("response/too-large", select(2, session:request("GET", "/user")).type)
      assert.are.equal("motor", assert(session:request("GET", "/user")).data.username)
    end)

    it("goes over the login's connection, which is kept", function()
      assert(request(nothing))
      local connection = standin:last().connection
      assert(request(nothing))
      assert.are.equal(connection, standin:last().connection)
      assert(session:logout())
      assert.are.equal(connection, standin:last().connection)
    end)

    it("lets the sink make other calls meanwhile", function()
      answer_with("abc")
      local name
      assert(request(function()
        name = session:request("GET", "/user").data.username
      end))
      assert.are.equal("motor", name)
    end)

    it("loses nothing of what comes while the sink makes calls", function()
      local body = ("x"):rep(200000)
      local there = scripted({
        REQUEST, { send = "HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" .. body, each = 5000, pause = 0.001 },
      })
      local pieces = {}
      assert(there:request("GET", "/x", {
        sink = function(piece)
          pieces[#pieces + 1] = piece
          session:request("GET", "/user")
        end,
      }))
      assert.are.equal(200000, #text_of(pieces))
    end)

    it("of 64 MiB leaves memory flat, however slowly it is taken", function()
      local there = scripted({
        REQUEST, { send = "HTTP/1.1 200 OK\r\nContent-Length: " .. 64 * MIB .. "\r\n\r\n" },
        { ["repeat"] = 64, steps = { { send = ("x"):rep(MIB) } } }, { hang = true },
      })
      local size, calls, most = 0, 0, 0
      collectgarbage()
      local before = resident()
      assert(there:request("GET", "/x", {
        sink = function(piece)
          size, calls = size + #piece, calls + 1
          if calls % 100 == 1 then
            socket.sleep(0.02)
            collectgarbage()
            most = math.max(most, resident())
          end
        end,
      }))
      assert.are.equal(64 * MIB, size)
      assert.is_true(most - before < 8 * MIB, (most - before) / MIB .. " MiB")
    end)

    it("ends with network/timeout where nothing comes for stall_timeout", function()
      local there = scripted({ REQUEST, { send = "HTTP/1.1 200 OK\r\n\r\nabc" }, { hang = true } })
      local pieces, sink = collector()
      local seconds, _, err = api.timed(function()
        return there:request("GET", "/x", { sink = sink, stall_timeout = 0.2 })
      end)
      assert.are.equal("network/timeout", err.type)
      assert.are.equal("abc", text_of(pieces))
      assert.is_true(seconds >= 0.19 and seconds < 2, tostring(seconds))
    end)

    it("goes on for longer than stall_timeout and the client's timeout while something comes", function()
      client = filescom.new({ base_url = standin.http.base_url, timeout = 0.4 })
      local there = scripted({
        REQUEST, { send = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n" },
        { send = "0123456789", each = 1, pause = 0.06 },
      })
      assert(there:request("GET", "/x", { sink = nothing, stall_timeout = 0.3 }))
    end)

    it("does not count the time that the sink takes as stalled", function()
      local there = scripted({
        REQUEST, { send = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na" }, { sleep = 0.4 }, { send = "b" }, HEAD,
      })
      local calls = 0
      assert(there:request("GET", "/x", {
        stall_timeout = 0.4,
        sink = function()
          calls = calls + 1
          socket.sleep(0.45)
        end,
      }))
      assert.are.equal(2, calls)
    end)

    it("ends at its time limit, where it has one, though something comes", function()
      local there = scripted({
        REQUEST, { send = "HTTP/1.1 200 OK\r\n\r\n" }, { send = ("x"):rep(1000), each = 1, pause = 0.02 },
      })
      local seconds, _, err = api.timed(function()
        return there:request("GET", "/x", { sink = nothing, timeout = 0.3 })
      end)
      assert.are.equal("network/timeout", err.type)
      assert.is_true(seconds < 2, tostring(seconds))
    end)

    it("is stalled by the client's timeout where none is named", function()
      client = filescom.new({ base_url = standin.http.base_url, timeout = 0.2 })
      local there = scripted({ REQUEST, { hang = true } })
      assert.are.equal("network/timeout", select(2, there:request("GET", "/x", { sink = nothing })).type)
    end)
  end)

  describe("request", function()
    before_each(function()
      client = filescom.new({ base_url = standin.http.base_url })
      session = client:session(session)
    end)

    local function upload(source, size, options)
      options = options or {}
      options.source, options.size = source, size
      return session:request("PUT", "/echo", options)
    end

    it("is sent whole, with its length", function()
      local pieces, at = { "ab", "\0\255", "cdefg" }, 0
      local answer = assert(upload(function()
        at = at + 1
        return pieces[at]
      end, 9))
      assert.are.equal(200, answer.status)
      local last = standin:last()
      assert.are.equal("PUT", last.method)
      assert.are.equal("9", last.header["content-length"])
      assert.are.equal("application/octet-stream", last.header["content-type"])
      assert.are.equal(9, #last.body)
    end)

    it("keeps its method", function()
      for _, method in ipairs({ "POST", "PATCH", "DELETE" }) do
        assert(session:request(method, "/echo", { source = source_of(3), size = 3 }))
        assert.are.equal(method, standin:last().method)
        assert.are.equal("xxx", standin:last().body)
      end
    end)

    it("asks the source for no more than is missing, and not once all is there", function()
      local source, asked = source_of(200000)
      assert(upload(source, 200000))
      local total = 0
      for _, count in ipairs(asked) do
        assert.is_true(count > 0 and count <= 200000 - total)
        total = total + count
      end
      assert.are.equal(200000, total)
    end)

    it("does not ask the source for an empty body", function()
      assert(upload(function()
        error("asked")
      end, 0))
      assert.are.equal("0", standin:last().header["content-length"])
    end)

    it("takes a piece that is longer than was asked for", function()
      local given
      assert(upload(function()
        assert.is_nil(given)
        given = ("y"):rep(500000)
        return given
      end, 500000))
      assert.is_true(standin:last().body == given)
    end)

    it("asks again after an empty piece", function()
      local calls = 0
      assert(upload(function()
        calls = calls + 1
        return calls % 2 == 1 and "" or "abc"
      end, 6))
      assert.are.equal("abcabc", standin:last().body)
    end)

    it("ends at its time limit where the source has nothing for ever", function()
      local _, err = upload(function()
        return ""
      end, 1, { timeout = 0.1 })
      assert.are.equal("network/timeout", err.type)
    end)

    it("does not wait for a leave to send a large body", function()
      local there = scripted({ HEAD, { read = 3 * MIB }, { send = "HTTP/1.1 204 No Content\r\n\r\n" } })
      local seconds = api.timed(function()
        return assert(there:request("PUT", "/x", { source = source_of(3 * MIB), size = 3 * MIB }))
      end)
      assert.is_true(seconds < 0.9, tostring(seconds))
      assert.is_nil(standin:last().header.expect)
    end)

    it("of 64 MiB leaves memory flat", function()
      standin:call("configure", { max_body = 65 * MIB })
      local front = standin:listen({ scheme = "http" })
      standin:script(front, { HEAD, { read = 64 * MIB }, { send = "HTTP/1.1 204 No Content\r\n\r\n" } })
      local there = client:session({ id = session.id, base_url = front.base_url })
      local piece, calls, most = ("x"):rep(65536), 0, 0
      collectgarbage()
      local before = resident()
      assert(there:request("PUT", "/x", {
        size = 64 * MIB,
        source = function(count)
          calls = calls + 1
          if calls % 100 == 0 then
            most = math.max(most, resident())
          end
          return count == #piece and piece or piece:sub(1, count)
        end,
      }))
      assert.is_true(most - before < 8 * MIB, (most - before) / MIB .. " MiB")
    end)

    it("ends with stream/too-short where the source ends early, and says how", function()
      local answer, err = upload(source_of(10), 20)
      assert.is_nil(answer)
      assert.are.equal("stream/too-short", err.type)
      assert.are.equal("the source ended after 10 of 20 bytes", err.message)
      assert.are.equal(0, core.in_flight())
    end)

    it("ends with stream/too-long where the source gives too much", function()
      local _, err = upload(function()
        return "12345"
      end, 4)
      assert.are.equal("stream/too-long", err.type)
      assert.is_truthy(err.message:find("more than the 4 bytes", 1, true))
    end)

    it("ends with stream/stopped where the source returns nil and why", function()
      local _, err = upload(function()
        return nil, "no such file"
      end, 4)
      assert.are.equal("stream/stopped", err.type)
      assert.is_truthy(err.message:find("no such file", 1, true))
    end)

    it("ends with what the source raises, as it is, and closes the connection", function()
      local there, listener = scripted({ REQUEST, { hang = true } })
      local ok, raised = pcall(there.request, there, "PUT", "/x", {
        size = 5,
        source = function()
          error("out of paper", 0)
        end,
      })
      assert.is_false(ok)
      assert.are.equal("out of paper", raised)
      assert.are.equal(0, until_closed(listener))
    end)

    it("raises at the caller's place where the source returns something else", function()
      local why = api.raised_here(function()
        local answer = session:request("PUT", "/echo", { size = 4, source = function()
          return 5
        end })
        return answer
      end)
      assert.are.equal("a source must return a string, or nil at its end, got number", why)
    end)

    it("that is refused before it is read gives the refusal", function()
      local there = scripted({
        HEAD, { send = 'HTTP/1.1 413 Content Too Large\r\nContent-Length: 17\r\n\r\n{"error":"large"}' },
        { read = 8 * MIB },
      })
      local answer, err = there:request("PUT", "/x", { source = source_of(8 * MIB), size = 8 * MIB })
      assert.is_nil(answer)
      assert.are.equal(413, err.status)
      assert.are.equal("large", err.message)
    end)

    it("that breaks in its middle is not sent again, nor asked for again", function()
      local there, listener = scripted({ HEAD, { read = 1000 }, { reset = true } })
      local source, asked = source_of(8 * MIB)
      local _, err = there:request("PUT", "/x", { source = source, size = 8 * MIB })
      assert.are.equal("network/interrupted", err.type)
      assert.is_true(#asked > 0)
      assert.are.equal(1, (select(2, standin:connections(listener))))
    end)

    it("on a kept connection that breaks is not sent again", function()
      local there, listener = scripted({ { service = 1 }, HEAD, { reset = true } }, { { service = "all" } })
      assert(there:request("GET", "/user"))
      local _, err = there:request("PUT", "/echo", { source = source_of(MIB), size = MIB })
      assert.are.equal("network/interrupted", err.type)
      local count = 0
      for _, entry in ipairs(standin:log()) do
        count = count + (entry.listener == listener.id and entry.method == "PUT" and 1 or 0)
      end
      assert.are.equal(1, count)
    end)

    it("is tried again where no connection came about, before the source is asked", function()
      local there = client:session({ id = session.id, base_url = "http://127.0.0.1:" .. api.closed_port() })
      local _, err = there:request("PUT", "/x", { size = 3, source = function()
        error("asked")
      end })
      assert.are.equal("network/connect", err.type)
    end)

    it("ends with network/timeout where nobody takes it", function()
      local listening = assert(socket.bind("127.0.0.1", 0)) -- which accepts and reads nothing
      local _, port = listening:getsockname()
      local there = client:session({ id = session.id, base_url = ("http://127.0.0.1:%d"):format(port) })
      local seconds, _, err = api.timed(function()
        return there:request("PUT", "/x", { source = source_of(64 * MIB), size = 64 * MIB, stall_timeout = 0.3 })
      end)
      listening:close()
      assert.are.equal("network/timeout", err.type)
      assert.is_true(seconds >= 0.29 and seconds < 3, tostring(seconds))
    end)

    it("does not count the time that the source takes as stalled", function()
      local source = source_of(3)
      assert(upload(function(count)
        socket.sleep(0.55)
        return source(count)
      end, 3, { stall_timeout = 0.5 }))
    end)

    it("may have a streamed answer as well", function()
      local pieces, sink = collector()
      assert(upload(source_of(300000), 300000, { sink = sink }))
      assert.is_truthy(text_of(pieces):find(("x"):rep(300000), 1, true))
    end)
  end)

  describe("body's options are refused:", function()
    local function refused(expected, options)
      assert.are.equal(expected, api.raised_here(function()
        local answer = session:request("PUT", "/echo", options)
        return answer
      end))
      assert.are.equal(0, #standin:log())
    end

    it("a source without a size", function()
      refused("option 'source' needs option 'size', in bytes", { source = nothing })
    end)

    it("a size without a source", function()
      refused("option 'size' is that of option 'source', which is missing", { size = 5 })
    end)

    it("a size that is none", function()
      for _, size in ipairs({ -1, 0.5, 2 ^ 54, 0 / 0 }) do
        refused("option 'size' must be a whole number, 0 or more", { source = nothing, size = size })
      end
    end)

    it("a source and a body", function()
      refused("give option 'body' or option 'source', not both", { source = nothing, size = 1, body = "x" })
    end)

    it("a sink that is no function", function()
      refused("option 'sink' must be a function, got string", { sink = "file" })
    end)

    it("a stall_timeout of what is not streamed", function()
      refused("option 'stall_timeout' is for option 'sink' or option 'source'", { stall_timeout = 5 })
    end)
  end)

  describe("exchange of the core", function()
    local function begin(more)
      local request = { method = "GET", path = "/user", session_id = session.id, sink = true }
      for name, value in pairs(more or {}) do
        request[name] = value
      end
      return core.client({ base_url = standin.http.base_url }):begin_request(request)
    end

    it("is news when its caller's part is due, and again when it has ended", function()
      while core.next_news() do end -- luacheck: ignore 542
      answer_with(("x"):rep(1000))
      local exchange = begin()
      local deadline = socket.gettime() + 5
      local id
      repeat
        core.step()
        id = core.next_news()
      until id or socket.gettime() > deadline
      assert.are.equal(exchange:id(), id)
      while not exchange:wait() do
        if exchange:attention() == "take" then
          assert.are.equal(1000, #exchange:received())
          exchange:taken()
        end
      end
      assert.is_nil(exchange:attention())
      assert.are.equal(200, exchange:finish().status)
    end)

    it("is not done before what came is taken", function()
      answer_with("abc")
      local exchange = begin()
      assert.is_false(exchange:wait())
      assert.is_false(exchange:wait())
      assert.are.equal("take", (exchange:attention()))
      assert.are.equal("abc", exchange:received())
      assert.is_false(exchange:wait())
      exchange:taken()
      assert.is_true(exchange:wait())
    end)

    it("gives nil where nothing came, and takes nothing where nothing is wanted", function()
      standin:call("configure", { answer_delay = 0.1 })
      local exchange = begin()
      assert.is_nil(exchange:received())
      exchange:taken()
      exchange:give("more")
      exchange:cancel()
    end)

    it("is cancelled while it is paused, and closes its connection", function()
      local there, listener = scripted({
        REQUEST, { send = "HTTP/1.1 200 OK\r\n\r\n" .. ("x"):rep(MIB) }, { hang = true },
      })
      local exchange = core.client({ base_url = there.base_url }):begin_request({
        method = "GET", path = "/x", sink = true,
      })
      exchange:wait()
      exchange:cancel()
      assert.are.equal(0, until_closed(listener))
    end)

    it("cannot be waited for blindly", function()
      answer_with("abc")
      assert.is_truthy(api.raised(function()
        core.client({ base_url = standin.http.base_url }):request({ method = "GET", path = "/user", sink = true })
      end):find("begin_request", 1, true))
    end)
  end)
end)
