-- Faults of the network and of what answers in the service's place, byte for byte, and the result each must give; and
-- how one of them is gone through, in whatever environment calls of the library are made.
-- Depends on filescom where calls are made, on LuaSocket for the address that drops; runs on every Lua and in nginx.
--
--   for _, case in ipairs(faults.cases) do
--     local record = faults.run(standin, case, { perform = ..., sleep = ..., now = ... })
--     assert.are.same({}, faults.complaints(case, record, standin:log()))
--   end
--
-- A case has
--   name         what happens
--   gives        "session" (a login), "ended" (a logout), "answer" (any other call), or the type of the error
--   call         "login", "logout", "request", "take" (a streamed answer) or "give" (a streamed request); `first`: a
--                login comes before it
--   scripts      steps (spec/standin/script.lua) for each of the service's connections in turn; then the service serves
--   scheme, cert, address   of the service's listener ("http")
--   proxy        scripts of a proxy in the same way; `proxy_url` has %s for its host and port
--   place        "refused": nobody listens; "drops": nobody answers; "none": no service beyond the proxy
--   between      what is done after the first login, `certificate` the kind shown from then on: see BETWEEN
--   mended       the kind of certificate shown after the call
--   options      of the client; `trusting = false`: without the authority that the stand-in's certificates are from
--   size         bytes of the password, where it is a large one
--   session      the session that a call is made with, in place of the first login's
--   requests     how many requests are received until the call has ended, `first` among them; `connects`: how many
--                CONNECTs a proxy receives in all; `authorization`: what each request to a proxy carries
--   status, retry_after, id   what the result has
--   again        what a plain login with the same client gives after it ("session")
--   within       seconds that the call may take (5)

local faults = {}

local ID = "0123456789abcdef0123456789abcdef"
local SESSION = ('{"id":"%s"}'):format(ID)

-- ---- steps and answers --------------------------------------------------------------------------------------------

local REQUEST = { read = "request" }
local HEAD = { read = "head" }
local CLOSE = { close = true }
local RESET = { reset = true }
local SHUTDOWN = { shutdown = true }
local HANG = { hang = true }
local MOMENT = { sleep = 0.05 }
local ONE = { service = 1 }
local ALL = { service = "all" }
local RAW = { raw = true }

local function send(bytes)
  return { send = bytes }
end

local function without_end(bytes)
  return { ["repeat"] = 1000000, steps = { send(bytes) } }
end

-- Put together without string.format, which in Lua 5.1 ends at a NUL byte.
local function answer(body, headers, status)
  return send("HTTP/1.1 " .. (status or "201 Created") .. "\r\n" .. (headers or "") .. "\r\n" .. body)
end

local function sized(body, status, headers)
  return answer(body, (headers or "") .. "Content-Length: " .. #body .. "\r\n", status)
end

local function chunked(bytes, headers)
  return answer(bytes, (headers or "") .. "Transfer-Encoding: chunked\r\n")
end

local function chunk(data)
  return ("%x\r\n"):format(#data) .. data .. "\r\n"
end

local LAST = "0\r\n\r\n"

local function nested(open, inner, close, depth)
  return (open):rep(depth) .. inner .. (close):rep(depth)
end

-- A session with more JSON in it.
local function with(more)
  return sized('{"id":"' .. ID .. '",' .. more .. "}")
end

local function encoded(body, encoding)
  return sized(body, nil, "Content-Encoding: " .. (encoding or "gzip") .. "\r\n")
end

-- SESSION by gzip; and the beginning of blanks without end, of which each further byte is 1032.
local ZIPPED = "\31\139\8\0\0\0\0\0\2\3\171\86\202\76\81\178\82\50\48\52\50\54\49\53\51\183\176\76\76\74"
  .. "\78\73\77\67\231\43\213\2\0\140\228\176\246\41\0\0\0"
local BOMB = "\31\139\8\0\0\0\0\0\2\3\236\193\129\0\0\0\0\128\32\149\253\41\23\169\10" .. ("\0"):rep(9000)

-- ---- the table ----------------------------------------------------------------------------------------------------

faults.cases = {}

-- Adds rows to the cases: `shape` makes one of each.
local function add(shape, rows)
  for _, row in ipairs(rows) do
    local case = shape(row)
    case.name, case.gives = row[1], row[2]
    case.call = case.call or "login"
    case.options = case.options or {}
    case.requests = case.requests or (case.first and 2 or 1)
    case.again = case.again or "session"
    faults.cases[#faults.cases + 1] = case
  end
end

local function steps_of(row, steps)
  for i = 3, #row do
    steps[#steps + 1] = row[i]
  end
  return steps
end

local LAST_STEPS = { [CLOSE] = true, [RESET] = true, [SHUTDOWN] = true, [HANG] = true }

-- A row with the steps after a request was read: a login's, or after a first login another call's on its connection.
-- Where they do not end it the service goes on with it: a close between two calls would race with the second.
local function answering(row)
  local first = row.call ~= nil
  local steps = steps_of(row, first and { ONE, row.read or REQUEST } or { row.read or REQUEST })
  if not LAST_STEPS[steps[#steps]] then
    steps[#steps + 1] = ALL
  end
  return {
    call = row.call, first = first, status = row.status, retry_after = row.retry_after, size = row.large,
    requests = row.requests, within = row.within,
    id = row[2] == "session" and (row.id or ID) or nil,
    options = { timeout = row.timeout, max_response_size = row.size },
    scripts = { steps },
  }
end

-- A row with the fields of its case.
local function as_written(row)
  local case = {}
  for name, value in pairs(row) do
    if type(name) == "string" then
      case[name] = value
    end
  end
  return case
end

add(answering, {
  { "a reset before anything is answered", "network/interrupted", RESET },
  { "a close before anything is answered", "network/interrupted", CLOSE },
  { "a shutdown before anything is answered", "network/interrupted", SHUTDOWN },
  { "a reset inside the status line", "network/interrupted", send("HTTP/1.1 20"), RESET },
  { "a close inside the status line", "network/interrupted", send("HTTP/1.1 20"), CLOSE },
  { "a reset inside the head", "network/interrupted", send("HTTP/1.1 201 Created\r\nContent-Le"), RESET },
  { "a close inside the head", "network/interrupted", send("HTTP/1.1 201 Created\r\nContent-Le"), CLOSE },
  { "a close between the headers and the line that ends them", "network/interrupted",
    send("HTTP/1.1 201 Created\r\nContent-Length: 43\r\n"), CLOSE },
  { "a reset after the head", "network/interrupted", answer("", "Content-Length: 43\r\n"), MOMENT, RESET },
  { "a close after the head", "network/interrupted", answer("", "Content-Length: 43\r\n"), CLOSE },
  { "a reset inside the body", "network/interrupted", answer(SESSION, "Content-Length: 99\r\n"), MOMENT, RESET },
  { "a close inside the body", "network/interrupted", answer(SESSION, "Content-Length: 99\r\n"), CLOSE },
  { "a reset while a large request is sent", "network/interrupted", RESET, read = HEAD, large = 1000000 },
  { "a refusal while a large request is sent", "response/status", read = HEAD, large = 1000000, status = 413,
    sized("", "413 Content Too Large", "Connection: close\r\n"), SHUTDOWN, HANG },
  { "an answer that comes before the request was read", "session", sized(SESSION), REQUEST, read = MOMENT },
  { "silence after the request", "network/timeout", HANG, timeout = 0.2 },
  { "silence inside the status line", "network/timeout", send("HTTP/1.1 20"), HANG, timeout = 0.2 },
  { "silence after the head", "network/timeout", answer("", "Content-Length: 43\r\n"), HANG, timeout = 0.2 },
  { "silence inside the body", "network/timeout", answer("{", "Content-Length: 43\r\n"), HANG, timeout = 0.2 },
  { "a head that is slow, each byte within the time limit and the whole beyond it", "network/timeout",
    { send = "HTTP/1.1 201 Created\r\nX-A: " .. ("x"):rep(1000), each = 1, pause = 0.02 }, timeout = 0.2 },
  { "a body that is slow, each byte within the time limit and the whole beyond it", "network/timeout",
    answer("", "Content-Length: 1000\r\n"), { send = (" "):rep(1000), each = 1, pause = 0.02 }, timeout = 0.2 },
  { "chunks that are slow, each within the time limit and the whole beyond it", "network/timeout", chunked(""),
    { ["repeat"] = 1000, steps = { send(chunk(" ")), { sleep = 0.02 } } }, timeout = 0.2 },
  { "bytes that are slow, the whole within the time limit", "session",
    { send = sized(SESSION).send, each = 20, pause = 0.01 } },
})

-- Of the head.
add(answering, {
  { "an answer of HTTP/0.9", "network/interrupted", send(SESSION), CLOSE },
  { "an answer of HTTP/1.0 that its end delimits", "session", send("HTTP/1.0 201 Created\r\n\r\n" .. SESSION), CLOSE },
  { "an answer of HTTP/1.0 that is kept alive", "session",
    send("HTTP/1.0 201 Created\r\nConnection: keep-alive\r\nContent-Length: 41\r\n\r\n" .. SESSION) },
  { "a settings frame of HTTP/2", "network/interrupted", send("\0\0\0\4\0\0\0\0\0"), HANG },
  { "a preface of HTTP/2", "network/interrupted", send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), HANG },
  { "a status line of another protocol", "network/interrupted", send("SSH-2.0-OpenSSH_9.2\r\n"), CLOSE },
  { "a status line without a status", "network/interrupted", send("HTTP/1.1\r\n\r\n"), CLOSE },
  { "a status of two digits", "network/interrupted", sized(SESSION, "20 Short"), CLOSE },
  { "a status of letters", "network/interrupted", sized(SESSION, "abc"), CLOSE },
  { "a status of six digits, by HTTP/2's status line", "network/interrupted",
    send("HTTP/2 201000\r\nContent-Length: 41\r\n\r\n" .. SESSION), CLOSE },
  { "a status of four digits", "network/interrupted", sized(SESSION, "2010 Long"), CLOSE },
  { "an unknown version of HTTP", "network/interrupted", send("HTTP/9.9 201 Created\r\n\r\n" .. SESSION), CLOSE },
  { "NUL bytes in the head", "network/interrupted", answer(SESSION, "X-A: b\0c\r\nContent-Length: 41\r\n"), CLOSE },
  { "a carriage return alone in a header", "session", sized(SESSION, nil, "X-A: b\rc\r\n") },
  { "bytes beyond ASCII in a header", "session", sized(SESSION, nil, "X-Request-Id: \255\254\128\r\n") },
  { "headers folded over several lines", "session", sized(SESSION, nil, "X-A: b\r\n c\r\n\td\r\n") },
  { "lines that end without a carriage return", "session",
    send("HTTP/1.1 201 Created\nContent-Length: 41\n\n" .. SESSION) },
  { "ten thousand headers within the limit", "session", sized(SESSION, nil, ("X-A: b\r\n"):rep(10000)) },
  { "headers without end", "response/too-large", send("HTTP/1.1 201 Created\r\n"),
    without_end(("X-A: " .. ("a"):rep(90) .. "\r\n"):rep(100)) },
  { "a header line of 1 MiB", "response/too-large", answer(SESSION, "X-A: " .. ("a"):rep(1048576) .. "\r\n"), CLOSE },
  { "a header line without end", "response/too-large", send("HTTP/1.1 201 Created\r\nX-A: "),
    without_end(("a"):rep(10000)) },
  { "a status line without end", "response/too-large", send("HTTP/1.1 201 "), without_end(("a"):rep(10000)) },
})

-- Of interim answers, and of those that have no body.
add(answering, {
  { "a 100 before the answer", "session", send("HTTP/1.1 100 Continue\r\n\r\n"), sized(SESSION) },
  { "a 102 before the answer", "session", send("HTTP/1.1 102 Processing\r\n\r\n"), sized(SESSION) },
  { "a 103 with headers before the answer", "session",
    send("HTTP/1.1 103 Early Hints\r\nContent-Length: 7\r\nLink: </a>\r\n\r\n"), sized(SESSION) },
  { "the Retry-After of a 103 is not the answer's", "response/status", status = 503,
    retry_after = false,
    send("HTTP/1.1 103 Early Hints\r\nRetry-After: 99\r\n\r\n"), sized("", "503 Service Unavailable") },
  { "a thousand interim answers before the answer", "session",
    send(("HTTP/1.1 102 Processing\r\n\r\n"):rep(1000)), sized(SESSION) },
  { "slow interim answers without end", "network/timeout",
    { ["repeat"] = 100000, steps = { send("HTTP/1.1 102 Processing\r\n\r\n"), { sleep = 0.01 } } }, timeout = 0.2 },
  { "interim answers without end, as fast as they can", "network/interrupted",
    without_end(("HTTP/1.1 102 Processing\r\n\r\n"):rep(100)) },
  { "an interim answer whose headers have no end", "response/too-large", send("HTTP/1.1 103 Early Hints\r\n"),
    without_end(("Link: </" .. ("a"):rep(90) .. ">\r\n"):rep(100)) },
  { "an interim answer alone", "network/interrupted", send("HTTP/1.1 103 Early Hints\r\n\r\n"), CLOSE },
  { "a switch of protocols that nobody asked for", "network/interrupted",
    send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"), CLOSE },
  { "a 204 in place of a session", "response/no-session", answer("", "", "204 No Content"), status = 204 },
  { "a 204 with a body", "response/no-session", sized(SESSION, "204 No Content"), status = 204 },
  { "a 204 with a body, which the next login does not get", "response/no-session",
    sized(sized(SESSION).send, "204 No Content") },
  { "a 304", "response/status", answer("", "", "304 Not Modified"), status = 304 },
  { "a 304 with a body, which the next login does not get", "response/status", status = 304,
    sized(sized(SESSION).send, "304 Not Modified") },
  { "a second answer, which the next login does not get", "session",
    send(sized(SESSION).send .. sized(SESSION).send) },
  { "a logout whose answer ends inside its head", "network/interrupted", call = "logout",
    send("HTTP/1.1 204 No Content\r\nX-Request-Id: 1\r\nX-Fi"), CLOSE },
  { "a logout that a page answers", "response/not-json", call = "logout", sized("<p>Welcome", "200 OK"), status = 200 },
  { "a request that a page answers", "response/not-json", call = "request", status = 200,
    sized("<p>Welcome", "200 OK") },
  { "a request that nothing answers but a status", "answer", call = "request", sized("", "200 OK") },
})

-- Of the body's frame.
add(answering, {
  { "a Content-Length beyond the body", "network/interrupted", answer(SESSION, "Content-Length: 44\r\n"), CLOSE },
  { "a Content-Length short of the body", "response/not-json", answer(SESSION, "Content-Length: 20\r\n"), CLOSE },
  { "a negative Content-Length", "network/interrupted", answer(SESSION, "Content-Length: -1\r\n"), CLOSE },
  { "a Content-Length of letters", "network/interrupted", answer(SESSION, "Content-Length: many\r\n"), CLOSE },
  { "a huge Content-Length", "response/too-large", answer(SESSION, "Content-Length: 9007199254740993\r\n"), CLOSE },
  { "a Content-Length beyond 64 bits", "response/too-large",
    answer(SESSION, "Content-Length: 99999999999999999999\r\n"), CLOSE },
  { "the same Content-Length twice", "session", sized(SESSION, nil, "Content-Length: 41\r\n") },
  { "two Content-Lengths, the last beyond the body", "network/interrupted",
    answer(SESSION, "Content-Length: 41\r\nContent-Length: 99\r\n"), CLOSE },
  { "no Content-Length, and a body that its end delimits", "session", answer(SESSION), CLOSE },
  { "no Content-Length, and a body that its end cuts", "response/not-json", answer(SESSION:sub(1, -2)), CLOSE },
  { "no Content-Length, and a body that a reset cuts", "network/interrupted", answer(SESSION), MOMENT, RESET },
  { "no Content-Length, and a body without end", "network/timeout", answer(SESSION), HANG, timeout = 0.2 },

  { "whole chunks", "session", chunked(chunk(SESSION:sub(1, 9)) .. chunk(SESSION:sub(10)) .. LAST) },
  { "chunks of one byte", "session", chunked(SESSION:gsub(".", chunk) .. LAST) },
  { "a chunk size that is no number", "network/interrupted", chunked("xyz\r\n" .. SESSION), CLOSE },
  { "a chunk size that is negative", "network/interrupted", chunked("-29\r\n" .. SESSION), CLOSE },
  { "a chunk size that is missing", "network/interrupted", chunked("\r\n" .. SESSION), CLOSE },
  { "a chunk longer than its size", "network/interrupted", chunked("3\r\n" .. SESSION .. "\r\n" .. LAST), CLOSE },
  { "a chunk without a line end", "network/interrupted", chunked("29\r\n" .. SESSION .. LAST), CLOSE },
  { "a chunk size beyond 64 bits", "network/interrupted", chunked(("f"):rep(20) .. "\r\n" .. SESSION), CLOSE },
  { "a huge chunk size", "network/interrupted", chunked("7fffffffffffffff\r\n" .. SESSION), CLOSE },
  { "a chunk cut off", "network/interrupted", chunked("40\r\n" .. SESSION), CLOSE },
  { "a reset inside a chunk", "network/interrupted", chunked("40\r\n" .. SESSION), MOMENT, RESET },
  { "no last chunk", "network/interrupted", chunked(chunk(SESSION)), CLOSE },
  { "chunk extensions", "session", chunked('29;a=b;c="d"\r\n' .. SESSION .. "\r\n0;e\r\n\r\n") },
  { "a chunk extension without end", "network/timeout", chunked("29;"), without_end(("a"):rep(1000)),
    timeout = 0.2 },
  { "trailers", "session", chunked(chunk(SESSION) .. "0\r\nX-A: b\r\nX-C: d\r\n\r\n") },
  { "trailers that are cut off", "network/interrupted", chunked(chunk(SESSION) .. "0\r\nX-A: b"), CLOSE },
  { "trailers without end", "response/too-large", chunked(chunk(SESSION) .. "0\r\n"),
    without_end(("X-A: " .. ("a"):rep(90) .. "\r\n"):rep(100)) },
  { "a trailer line without end", "network/interrupted", chunked(chunk(SESSION) .. "0\r\nX-A: "),
    without_end(("a"):rep(10000)) },
  { "chunks and a Content-Length that says otherwise", "session",
    chunked(chunk(SESSION) .. LAST, "Content-Length: 7\r\n") },
})

-- Of the body's size and its encoding.
add(answering, {
  { "a body over max_response_size by its length", "response/too-large", sized(("x"):rep(2000)), size = 1000 },
  { "a body over max_response_size in chunks", "response/too-large", chunked(chunk(("x"):rep(600)):rep(2)), HANG,
    size = 1000 },
  { "a body over max_response_size without a length", "response/too-large", answer(("x"):rep(2000)), HANG,
    size = 1000 },
  { "a body without end and without a length", "response/too-large", answer(""), without_end(("x"):rep(10000)) },
  { "chunks without end", "response/too-large", chunked(""), without_end(chunk(("x"):rep(10000))) },
  { "the body of a refusal over max_response_size", "response/too-large", sized(("x"):rep(2000), "403 Forbidden"),
    size = 1000 },
  { "a body of exactly max_response_size", "session", sized(SESSION .. (" "):rep(1959)), size = 2000 },
  { "a body of gzip that nobody asked for", "response/not-json", encoded(ZIPPED) },
  { "a body of gzip, cut off", "response/not-json", encoded(ZIPPED:sub(1, 30)) },
  { "a bomb of gzip, which stays as small as it came", "response/not-json", encoded(BOMB), size = 10000 },
  { "a bomb of deflate, which stays as small as it came", "response/not-json", encoded(BOMB:sub(11), "deflate"),
    size = 10000 },
  { "a body that is said to be gzip and is not", "session", encoded(SESSION) },
  { "a body of an unknown encoding", "session", encoded(SESSION, "rot13") },
  { "a bomb of gzip as a transfer encoding", "response/too-large",
    answer(chunk(BOMB) .. LAST, "Transfer-Encoding: gzip, chunked\r\n"), CLOSE, size = 10000 },
})

-- Of JSON.
add(answering, {
  { "an empty body", "response/no-session", sized(""), status = 201 },
  { "a body of blanks alone", "response/not-json", sized("  \r\n\t ") },
  { "a page in place of JSON", "response/not-json", sized("<html>Welcome</html>") },
  { "null in place of a session", "response/no-session", sized("null") },
  { "a list in place of a session", "response/no-session", sized("[" .. SESSION .. "]") },
  { "a string in place of a session", "response/no-session", sized('"' .. ID .. '"') },
  { "a session without an id", "response/no-session", sized('{"language":"en"}') },
  { "an id that is null", "response/no-session", sized('{"id":null}') },
  { "an id that is a number", "response/no-session", sized('{"id":17}') },
  { "an id that is empty", "response/no-session", sized('{"id":""}') },
  { "an id that would break out of its header", "response/no-session", sized([[{"id":"a\r\nX-Admin: yes"}]]) },
  { "an id with a NUL byte", "response/no-session", sized([[{"id":"a\u0000b"}]]) },
  { "an id in invalid UTF-8", "response/no-session", sized('{"id":"abc\255"}') },
  { "an answer in invalid UTF-8 beyond the id", "session", with('"language":"\255\254"') },
  { "an answer in UTF-16", "response/not-json", sized((SESSION:gsub(".", "%0\0"))) },
  { "NUL bytes in the JSON", "response/not-json", sized('{"id":\0"abc"}') },
  { "NUL bytes after the JSON", "response/not-json", sized(SESSION .. "\0") },
  { "a byte order mark before the JSON", "response/not-json", sized("\239\187\191" .. SESSION) },
  { "blanks around the JSON", "session", sized("\r\n \t" .. SESSION .. " \n") },
  { "bytes after the JSON", "response/not-json", sized(SESSION .. "x") },
  { "two documents of JSON", "response/not-json", sized(SESSION .. "\n" .. SESSION) },
  { "JSON that is cut off", "response/not-json", sized(SESSION:sub(1, 20)) },
  { "a trailing comma in the JSON", "response/not-json", sized('{"id":"' .. ID .. '",}') },
  { "a comment in the JSON", "response/not-json", sized("/* */" .. SESSION) },
  { "a name given twice in the JSON, of which the last counts", "session",
    sized('{"id":"other","id":"' .. ID .. '"}') },
  { "lists nested 50 deep", "session", with('"a":' .. nested("[", "", "]", 50)) },
  { "lists nested 10,000 deep", "response/not-json", with('"a":' .. nested("[", "", "]", 10000)) },
  { "objects nested 10,000 deep", "response/not-json", sized(nested('{"a":', "1", "}", 10000)) },
  { "a hundred thousand lists that are never closed", "response/not-json", sized(("["):rep(100000)) },
  { "NaN in the JSON", "response/not-json", with('"a":NaN') },
  { "Infinity in the JSON", "response/not-json", with('"a":-Infinity') },
  { "a hexadecimal number in the JSON", "response/not-json", with('"a":0x10') },
  { "a number beyond all doubles in the JSON", "session", with('"a":1e999') },
  { "a number of a thousand digits in the JSON", "session", with('"a":' .. ("9"):rep(1000)) },
  { "a lone high surrogate in the JSON", "response/not-json", with([["a":"\ud800"]]) },
  { "a lone low surrogate in the JSON", "response/not-json", with([["a":"\udc00"]]) },
  { "surrogates in the wrong order in the JSON", "response/not-json", with([["a":"\udc00\ud800"]]) },
  { "a control character in a string of the JSON", "session", with('"a":"b\1c"') },
})

-- Of streamed bodies: an answer that a sink takes, a request of a million bytes that a source gives.
local function taking(row)
  row.call = "take"
  return answering(row)
end

local function giving(row)
  row.call = "give"
  return answering(row)
end

add(taking, {
  { "a streamed answer", "answer", sized("not JSON", "200 OK") },
  { "a streamed answer over max_response_size", "answer", size = 1000, sized(("x"):rep(300000), "200 OK") },
  { "a streamed answer without a length", "answer", answer(("x"):rep(300000), "", "200 OK"), CLOSE },
  { "a streamed answer in chunks, beyond what waits to be taken", "answer",
    answer(chunk(("x"):rep(70000)):rep(5) .. LAST, "Transfer-Encoding: chunked\r\n", "200 OK") },
  { "a streamed answer that a close cuts", "network/interrupted",
    answer(("x"):rep(200000), "Content-Length: 300000\r\n", "200 OK"), CLOSE },
  { "a streamed answer that a reset cuts", "network/interrupted",
    answer(("x"):rep(2000), "Content-Length: 300000\r\n", "200 OK"), MOMENT, RESET },
  { "a streamed answer with a chunk that is none", "network/interrupted",
    answer(chunk("x") .. "xyz\r\n", "Transfer-Encoding: chunked\r\n", "200 OK"), CLOSE },
  { "a streamed answer that falls silent", "network/timeout", timeout = 0.2,
    answer("x", "Content-Length: 300000\r\n", "200 OK"), HANG },
  { "a streamed answer that does not come", "network/timeout", timeout = 0.2, HANG },
  { "a streamed answer that is slower as a whole than the time limit of other calls", "answer", timeout = 1,
    answer("", "Content-Length: 30\r\n", "200 OK"), { send = ("x"):rep(30), each = 1, pause = 0.04 } },
  { "a refusal in place of a streamed answer", "response/status", status = 403, sized("<Error/>", "403 Forbidden") },
  { "a refusal over max_response_size in place of a streamed answer", "response/too-large", size = 1000,
    sized(("x"):rep(300000), "403 Forbidden"), HANG },
  { "a redirect in place of a streamed answer", "response/status", status = 302,
    answer("", "Location: /api/rest/v1/sessions\r\nContent-Length: 0\r\n", "302 Elsewhere") },
})

add(giving, {
  { "a streamed request", "answer", sized("{}", "200 OK") },
  { "a streamed request that is refused before it is read, and drained", "response/status", status = 413, read = HEAD,
    sized("", "413 Content Too Large", "Connection: close\r\n"), SHUTDOWN, HANG },
  { "a streamed request that a reset cuts", "network/interrupted", read = HEAD, { read = 1000 }, RESET },
  { "a streamed request that a close cuts", "network/interrupted", read = HEAD, { read = 100000 }, CLOSE },
  { "a streamed request that nothing answers", "network/timeout", timeout = 0.3, HANG },
  { "a streamed request that is answered while it is sent", "answer", read = HEAD, sized("{}", "200 OK"),
    { read = 1000000 } },
})

-- Of refusals.
local UNAVAILABLE = "503 Service Unavailable"
add(answering, {
  { "a refusal without a body", "response/status", sized("", "500 Internal Server Error"), status = 500 },
  { "a refusal by a page", "response/status", sized("<p>Bad Gateway", "502 Bad Gateway"), status = 502 },
  { "a refusal in broken JSON", "response/status", sized('{"error":"Lo', "500 Error"), status = 500 },
  { "a refusal by a list nested 10,000 deep", "response/status", status = 400,
    sized(nested("[", "", "]", 10000), "400 Bad Request") },
  { "a refusal in invalid UTF-8 and control characters", "response/status", status = 400,
    sized('{"error":"\255\1\\u0007\\r\\n no"}', "400 Bad Request") },
  { "a refusal of a type that is no type", "response/status", status = 400,
    sized([[{"type":"a b\r\nc","error":"no"}]], "400 Bad Request") },
  { "a refusal of the service's own type", "not-authenticated/locked-out", status = 401,
    sized('{"type":"not-authenticated/locked-out","error":"no"}', "401 Unauthorized") },
  { "a refusal whose type pretends to be this library's", "network/connect", status = 400,
    sized('{"type":"network/connect","error":"no"}', "400 Bad Request") },
  { "an unknown status", "response/status", sized("", "999 Beyond"), status = 999 },
  { "a refusal with a Retry-After in seconds", "response/status", status = 503, retry_after = 7,
    sized("", UNAVAILABLE, "Retry-After: 7\r\n") },
  { "a refusal with a Retry-After that is a date", "response/status", status = 503, retry_after = 30,
    sized("", UNAVAILABLE, "Date: Mon, 01 Jun 2026 00:00:00 GMT\r\nRetry-After: Mon, 01 Jun 2026 00:00:30 GMT\r\n") },
  { "a refusal with a Retry-After that is over", "response/status", status = 503, retry_after = 0,
    sized("", UNAVAILABLE, "Retry-After: Thu, 01 Jan 2015 00:00:00 GMT\r\n") },
  { "a refusal with a negative Retry-After", "response/status", status = 503, retry_after = false,
    sized("", UNAVAILABLE, "Retry-After: -1\r\n") },
  { "a refusal with a Retry-After beyond all numbers", "response/status", status = 503, retry_after = false,
    sized("", UNAVAILABLE, "Retry-After: " .. ("9"):rep(400) .. "\r\n") },
})

-- Every status that redirects, at every call: a redirect that is followed would be another request.
local REDIRECTS = {}
for status = 300, 308 do
  for _, call in ipairs({ "login", "logout", "request" }) do
    REDIRECTS[#REDIRECTS + 1] = {
      ("a redirect by %d of a %s"):format(status, call), "response/status", status = status,
      call = call ~= "login" and call or nil,
      answer("", "Location: /api/rest/v1/sessions\r\nContent-Length: 0\r\n", status .. " Elsewhere"),
    }
  end
end
add(answering, REDIRECTS)

-- Of connections.
add(as_written, {
  { "a connection that is refused", "network/connect", place = "refused", requests = 0, options = { retries = 0 } },
  { "a connection that is refused again and again", "network/connect", place = "refused", requests = 0 },
  { "an address that drops what is sent to it", "network/timeout", place = "drops", requests = 0,
    options = { connect_timeout = 0.2, retries = 0 } },
  { "an address that drops what is sent to it, within the whole time limit", "network/timeout", place = "drops",
    requests = 0, options = { timeout = 0.2 } },
  { "a name that does not exist", "network/resolve", call = "logout", requests = 0,
    session = { id = ID, base_url = "https://nowhere.invalid" }, options = { retries = 0 } },
  { "a name that does not exist, asked for again and again", "network/resolve", call = "request", requests = 0,
    session = { id = ID, base_url = "https://nowhere.invalid" } },
  { "a service that was stopped before the logout", "network/connect", first = true, call = "logout", requests = 1,
    between = "stop", options = { retries = 0 } },
  { "a service that was restarted before the logout", "ended", first = true, call = "logout", between = "restart" },
  { "a service that was restarted before another call", "answer", first = true, call = "request",
    between = "restart" },
  { "a service over TLS that was restarted before the logout", "ended", first = true, call = "logout",
    between = "restart", scheme = "https" },
})

-- Of a connection that is kept after a first login.
add(as_written, {
  { "a kept connection that was closed while idle", "session", first = true, between = "close" },
  { "a kept connection that was closed while idle, at a logout", "ended", first = true, call = "logout",
    between = "close" },
  { "a kept connection over TLS that was closed while idle", "session", first = true, between = "close",
    scheme = "https" },
  { "a kept connection that was reset while idle", "session", first = true, between = "end",
    scripts = { { ONE, MOMENT, RESET } } },
  { "a kept connection on which the service gave up waiting", "session", first = true, between = "end",
    scripts = { { ONE, MOMENT, sized("", "408 Request Timeout"), CLOSE } } },
  { "a kept connection on which an answer came to no question", "session", first = true, between = "pause",
    scripts = { { ONE, MOMENT, sized(SESSION), ALL } } },
  { "a kept connection over TLS on which an answer came to no question", "session", first = true, between = "pause",
    scheme = "https", scripts = { { ONE, MOMENT, sized(SESSION), ALL } } },
  { "a kept connection on which garbage came", "session", first = true, between = "pause",
    scripts = { { ONE, MOMENT, send("garbage"), ALL } } },
})
for _, call in ipairs({ "login", "logout", "request" }) do
  local function breaking(row)
    return { first = true, call = call, scripts = { steps_of(row, { ONE, REQUEST }) } }
  end
  local name = "a kept connection that was %s after a " .. call .. " was read, which is not sent again"
  add(breaking, {
    { name:format("closed"), "network/interrupted", CLOSE },
    { name:format("reset"), "network/interrupted", RESET },
    { name:format("ended in order"), "network/interrupted", SHUTDOWN, { sleep = 0.2 } },
  })
end

-- Of TLS. What begins raw takes place before the handshake.
local function secure(row)
  local case = as_written(row)
  case.scheme = "https"
  return case
end

local function shaking(row)
  local case = secure(row)
  case.scripts = { steps_of(row, { RAW }) }
  case.requests = case.requests or 0
  case.options = case.options or { retries = 0 }
  return case
end

for _, kind in ipairs({ "expired", "self-signed", "wrong-host", "unknown-authority", "tls1.1" }) do
  add(secure, { { "a certificate or protocol: " .. kind, "network/tls", cert = kind, mended = "good", requests = 0 } })
end

add(secure, {
  { "a certificate of an authority that is not trusted", "network/tls", trusting = false, requests = 0,
    again = "network/tls" },
  { "a certificate for other addresses of the same host", "network/tls", address = "127.0.0.3", requests = 0,
    again = "network/tls" },
  { "a certificate that an unknown authority's took the place of", "network/tls", first = true, requests = 1,
    scripts = { { ONE } }, between = "end", certificate = "unknown-authority", mended = "good" },
  { "a certificate that expired between two calls", "network/tls", first = true, call = "logout", requests = 1,
    scripts = { { ONE } }, between = "end", certificate = "expired", mended = "good" },
  { "a certificate that was renewed between two calls", "session", first = true,
    scripts = { { ONE } }, between = "end", certificate = "good" },
  { "a certificate that was renewed before the logout", "ended", first = true, call = "logout",
    scripts = { { ONE } }, between = "end", certificate = "good" },
  { "TLS without a fault", "session" },
  { "TLS that is reset before anything is answered", "network/interrupted", scripts = { { REQUEST, RESET } } },
  { "TLS that is closed before anything is answered", "network/interrupted", scripts = { { REQUEST, CLOSE } } },
  { "TLS that is reset inside the head", "network/interrupted",
    scripts = { { REQUEST, send("HTTP/1.1 201 Cr"), MOMENT, RESET } } },
  { "TLS that is closed inside the head", "network/interrupted",
    scripts = { { REQUEST, send("HTTP/1.1 201 Cr"), CLOSE } } },
  { "TLS that is closed inside the body", "network/interrupted",
    scripts = { { REQUEST, answer(SESSION, "Content-Length: 99\r\n"), CLOSE } } },
  { "TLS that ends without a word, and a part of an answer without a length", "response/not-json",
    scripts = { { REQUEST, answer(SESSION:sub(1, -2)), CLOSE } } },
  { "TLS that ends without a word, and an answer without a length that is whole", "session", id = ID,
    scripts = { { REQUEST, answer(SESSION), CLOSE } } },
})

local HELLO = { read = 100 } -- less than any client's first message

add(shaking, {
  { "a reset in the TLS handshake", "network/tls", HELLO, RESET },
  { "a close in the TLS handshake", "network/tls", HELLO, CLOSE },
  { "a reset in the TLS handshake, once", "session", HELLO, RESET, options = {}, requests = 1 },
  { "a close in the TLS handshake, once", "session", HELLO, CLOSE, options = {}, requests = 1 },
  { "a close inside the service's first message of TLS", "network/tls", HELLO, send("\22\3\3\0\122\2\0\0\118\3\3"),
    CLOSE },
  { "an alert in place of a TLS handshake", "network/tls", HELLO, send("\21\3\3\0\2\2\40"), CLOSE },
  { "plain HTTP in place of a TLS handshake", "network/tls", HELLO, sized("", "400 Bad Request"), CLOSE },
  { "garbage in place of a TLS handshake", "network/tls", HELLO, send(("\255"):rep(100)), HANG },
  { "a TLS handshake that nobody answers", "network/timeout", HANG, options = { timeout = 0.4, retries = 0 } },
  { "a TLS handshake that nobody answers within connect_timeout", "network/timeout", HANG,
    options = { connect_timeout = 0.4, retries = 0 } },
  { "a TLS handshake that stops half way", "network/timeout", HELLO, send("\22\3\3\0\122\2\0"), HANG,
    options = { timeout = 0.4, retries = 0 } },
})

-- Of proxies. Beyond a tunnel's proxy there is no service: the proxy itself answers as it would.
local CREDENTIALS = "http://me:hunter2@%s"
local AUTHORIZATION = "Basic bWU6aHVudGVyMg=="
local TUNNEL = { HEAD, send("HTTP/1.1 200 Connection established\r\n\r\n"), { tls = "good" }, ALL }
local TUNNEL_HEAD = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\n"

local function tunnelling(row)
  local case = as_written(row)
  case.place, case.scheme = "none", "https"
  case.proxy = { steps_of(row, { HEAD }), TUNNEL }
  case.connects = case.connects or 2
  case.requests = case.requests or 0
  case.options = case.options or { retries = 0 }
  return case
end

add(as_written, {
  { "a proxy on the way to a plain service", "session", proxy = {} },
  { "a proxy that is told its credentials", "session", proxy = {}, proxy_url = CREDENTIALS,
    authorization = AUTHORIZATION },
  { "a proxy that refuses a plain request without credentials", "response/status", status = 407,
    proxy = { { REQUEST, send(TUNNEL_HEAD .. "Content-Length: 0\r\n\r\n"), ALL } } },
  { "a proxy that cannot reach a plain service", "response/status", status = 502,
    proxy = { { REQUEST, sized("<p>Bad Gateway", "502 Bad Gateway"), ALL } } },
  { "a proxy that closes on a plain request", "network/interrupted", proxy = { { REQUEST, CLOSE } } },
  { "a proxy that refuses connections", "network/connect", requests = 0, proxy_url = "http://127.0.0.1:1",
    again = "network/connect", options = { retries = 0 } },
  { "a proxy whose name does not exist", "network/resolve", requests = 0, proxy_url = "http://nowhere.invalid:1",
    again = "network/resolve", options = { retries = 0 } },
  { "a proxy by TLS that is not trusted", "network/tls", requests = 0, proxy = {}, proxy_scheme = "https",
    proxy_cert = "self-signed", proxy_url = "https://%s", again = "network/tls" },
  { "a tunnel through a proxy", "session", place = "none", scheme = "https", proxy = { TUNNEL }, connects = 1 },
  { "a tunnel through a proxy that is told its credentials", "session", place = "none", scheme = "https",
    proxy = { TUNNEL }, proxy_url = CREDENTIALS, authorization = AUTHORIZATION, connects = 1 },
  { "a tunnel that was closed while idle", "session", place = "none", scheme = "https", first = true, between = "end",
    proxy = { { TUNNEL[1], TUNNEL[2], TUNNEL[3], ONE }, TUNNEL }, connects = 2 },
})

add(tunnelling, {
  { "a proxy that answers a CONNECT by HTTP/1.0", "session", send("HTTP/1.0 200 OK\r\n\r\n"), { tls = "good" }, ALL,
    requests = 1, connects = 1 },
  { "a proxy that wants credentials for a tunnel", "network/connect",
    send(TUNNEL_HEAD .. "Content-Length: 0\r\n\r\n") },
  { "a proxy that wants other credentials for a tunnel", "network/connect", proxy_url = CREDENTIALS,
    authorization = AUTHORIZATION, send(TUNNEL_HEAD .. "Content-Length: 0\r\n\r\n") },
  { "a proxy that forbids a tunnel", "network/connect", sized("<p>Forbidden", "403 Forbidden") },
  { "a proxy that forbids a tunnel is not asked again", "network/connect", sized("<p>Forbidden", "403 Forbidden"),
    options = {} },
  { "a proxy that cannot make a tunnel", "network/connect", sized("<p>Bad Gateway", "502 Bad Gateway"), CLOSE },
  { "a proxy that redirects a tunnel", "network/connect", sized("", "302 Found", "Location: http://127.0.0.1:1/\r\n") },
  { "a proxy that closes when asked for a tunnel", "network/interrupted", CLOSE },
  { "a proxy that resets when asked for a tunnel", "network/interrupted", RESET },
  { "a proxy that closes inside its answer to a CONNECT", "network/interrupted", send("HTTP/1.1 200 Conn"), CLOSE },
  { "a proxy that never answers a CONNECT", "network/timeout", HANG, options = { timeout = 0.4, retries = 0 } },
  { "a proxy that answers a CONNECT by garbage", "network/interrupted", send("garbage\r\n\r\n"), CLOSE },
  { "a proxy whose answer to a CONNECT has a line without end", "network/interrupted",
    send("HTTP/1.1 200 OK\r\nX-A: "), without_end(("a"):rep(10000)) },
  { "a proxy that closes before the TLS handshake", "network/tls", TUNNEL[2], CLOSE },
  { "a tunnel to somebody with an expired certificate", "network/tls", TUNNEL[2], { tls = "expired" }, ALL },
  { "a tunnel to somebody else", "network/tls", TUNNEL[2], { tls = "wrong-host" }, ALL },
  { "a tunnel that breaks inside an answer", "network/interrupted", TUNNEL[2], { tls = "good" }, REQUEST,
    answer(SESSION, "Content-Length: 99\r\n"), CLOSE, requests = 1 },
})

-- ---- calls --------------------------------------------------------------------------------------------------------

local calls = {}

function calls.login(held, ask)
  local password = ask.size and ("x"):rep(ask.size) or "vroom"
  local session, err = held.client:login({ username = "motor", password = password })
  held.session = session or held.session
  return session and { gives = "session", id = session.id }, err
end

local function session_of(held, ask)
  return ask.session and held.client:session(ask.session) or held.session
end

function calls.logout(held, ask)
  local result, err = session_of(held, ask):logout()
  return result and { gives = "ended", status = result.status }, err
end

function calls.request(held, ask)
  local result, err = session_of(held, ask):request("POST", "/echo", { json = { path = "x" } })
  return result and { gives = "answer", status = result.status }, err
end

function calls.take(held, ask)
  local size = 0
  local result, err = session_of(held, ask):request("GET", "/echo", {
    sink = function(piece)
      size = size + #piece
    end,
  })
  return result and { gives = "answer", status = result.status, received = size }, err
end

function calls.give(held, ask)
  local left = 1000000
  local result, err = session_of(held, ask):request("PUT", "/echo", {
    size = left,
    source = function(count)
      local size = math.min(count, left)
      left = left - size
      return ("x"):rep(size)
    end,
  })
  return result and { gives = "answer", status = result.status }, err
end

--- Makes a call: `call`, `size`, `session` and (the first time) the client's `options`. The client and its session are
-- kept in `held`. Returns what it gave, as a table that JSON can hold.
function faults.perform(held, ask)
  held.client = held.client or require("filescom").new(ask.options)
  local outcome, err = calls[ask.call](held, ask)
  return outcome or {
    gives = err.type, status = err.status, retry_after = err.retry_after, message = err.message, text = tostring(err),
  }
end

-- ---- places -------------------------------------------------------------------------------------------------------

-- Waits until no connection to the place's service is open; `act` is done again and again meanwhile.
local function until_closed(place, act)
  local deadline = place.world.now() + 5
  repeat
    if act then
      act()
    end
    place.world.sleep(0.005)
  until (place.standin:connections(place.front)) == 0 or place.world.now() > deadline
end

local function listen(place, port)
  local case = place.case
  local listener = place.standin:listen({
    scheme = case.scheme or "http", cert = case.scheme == "https" and case.cert or nil, address = case.address,
    port = port,
  })
  place.ids[listener.id] = true
  place.open[#place.open + 1] = listener
  return listener
end

local function stop(place)
  until_closed(place, function()
    place.standin:call("close_idle", { listener = place.front.id })
  end)
  place.standin:call("unlisten", { listener = place.front.id })
  place.open = {}
end

local function start(place)
  place.front = listen(place, place.front.port)
end

local BETWEEN = {
  pause = function(place) place.world.sleep(0.15) end,
  ["end"] = until_closed,
  close = function(place)
    until_closed(place, function()
      place.standin:call("close_idle", { listener = place.front.id })
    end)
  end,
  stop = function(place)
    stop(place)
    place.mend = start
  end,
  restart = function(place)
    stop(place)
    start(place)
  end,
}

local PLACES = {}

function PLACES.refused(place)
  place.front = listen(place)
  stop(place)
  place.mend = start
end

-- Nothing is answered where more wait to be accepted than may.
function PLACES.drops(place)
  local socket = require("socket")
  local listening, waiting = socket.tcp(), {}
  assert(listening:bind("127.0.0.1", 0))
  assert(listening:listen(0))
  local _, port = listening:getsockname()
  port = math.floor(tonumber(port))
  for i = 1, 3 do
    waiting[i] = socket.tcp()
    waiting[i]:settimeout(0)
    waiting[i]:connect("127.0.0.1", port)
  end
  place.front = { port = port, base_url = "http://127.0.0.1:" .. port }
  place.mend = function()
    listening:close()
    for _, one in ipairs(waiting) do
      one:close()
    end
    start(place)
  end
end

function PLACES.none(place)
  place.base_url = "https://localhost:1"
end

function PLACES.open(place)
  place.front = listen(place)
  if place.case.scripts then
    place.standin:script(place.front, (table.unpack or unpack)(place.case.scripts)) -- luacheck: ignore
  end
end

local function open_proxy(place)
  local case = place.case
  local proxy = place.standin:listen({ scheme = case.proxy_scheme or "http", cert = case.proxy_cert })
  place.ids[proxy.id] = true
  place.proxy = proxy
  place.standin:script(proxy, (table.unpack or unpack)(case.proxy)) -- luacheck: ignore
  return proxy
end

-- The time limits that a case waits for are as many times longer as the world has patience.
local function limit_of(case, world)
  local limit = case.options.timeout or case.options.connect_timeout
  return limit and limit * (world.patience or 1)
end

local function options_of(place)
  local case, options = place.case, { timeout = 5 }
  for name, value in pairs(case.options) do
    options[name] = name:find("timeout") and limit_of(case, place.world) or value
  end
  options.base_url = place.base_url or place.front.base_url
  local by_tls = case.scheme == "https" or case.proxy_scheme == "https"
  options.ca_file = by_tls and case.trusting ~= false and place.standin.ca_file or nil
  if case.proxy or case.proxy_url then
    local host = case.proxy and open_proxy(place).host or ""
    options.proxy = (case.proxy_url or "http://%s"):format(host)
  end
  return options
end

local function show(place, kind)
  if kind then
    place.standin:call("certificate", { listener = place.front.id, cert = kind })
  end
end

local function set_up(standin, case, world)
  local place = { standin = standin, case = case, world = world, ids = {}, open = {} }
  PLACES[case.place or "open"](place)
  place.options = options_of(place)
  place.front = place.front or place.proxy
  return place
end

--- Goes through a case: sets it up, makes its calls and a plain login after them with the same client, and takes it
-- down. `world` has `perform(ask)` (see above), `sleep(seconds)`, `now()`, and perhaps `patience`. Returns what came of
-- it.
function faults.run(standin, case, world)
  local place = set_up(standin, case, world)
  local record = { ids = place.ids, limit = limit_of(case, world) }
  if case.first then
    record.first = world.perform({ call = "login", options = place.options })
  end
  if case.between then
    BETWEEN[case.between](place)
  end
  show(place, case.certificate)
  local began = world.now()
  record.outcome = world.perform({
    call = case.call, size = case.size, session = case.session, options = place.options,
  })
  record.took = world.now() - began
  if place.mend then
    place:mend()
  end
  show(place, case.mended)
  record.again = world.perform({ call = "login" })
  for _, listener in ipairs(place.open) do
    standin:call("unlisten", { listener = listener.id })
  end
  if place.proxy then
    standin:call("unlisten", { listener = place.proxy.id })
  end
  return record
end

-- ---- judgement ----------------------------------------------------------------------------------------------------

-- How many requests, and how many CONNECTs, listeners received; and the Proxy-Authorization that a tunnel carried on,
-- or that a request to the proxy lacked.
local function received(case, record, log)
  local requests, connects, misplaced = 0, 0, 0
  for _, entry in ipairs(log) do
    if record.ids[entry.listener] and entry.method then
      local connect = entry.method == "CONNECT"
      connects, requests = connects + (connect and 1 or 0), requests + (connect and 0 or 1)
      local expected = (connect or entry.target:find("^http:")) and case.authorization or nil
      misplaced = misplaced + (entry.header["proxy-authorization"] == expected and 0 or 1)
      misplaced = misplaced + (connect and entry.header["x-filesapi-auth"] and 1 or 0)
    end
  end
  return requests, connects, misplaced
end

--- What is not as it must be, given the stand-in's log from after the case: a list of sentences.
function faults.complaints(case, record, log)
  local list = {}
  local function expect(what, expected, found)
    if expected ~= found then
      list[#list + 1] = ("%s: %s, not %s"):format(what, tostring(found), tostring(expected))
    end
  end
  local outcome, again = record.outcome, record.again
  local requests, connects, misplaced = received(case, record, log)
  expect("the first login", case.first and "session", record.first and record.first.gives or case.first)
  expect("the call", case.gives, outcome.gives)
  expect("its status", case.status or outcome.status, outcome.status)
  if case.id or outcome.id then
    expect("a session that was not made up", outcome.id ~= ID, case.id ~= ID)
  end
  if case.retry_after ~= nil then
    expect("its retry_after", case.retry_after, outcome.retry_after or false)
  end
  if outcome.message then
    expect("a readable message", true, outcome.message:find("%w") ~= nil)
    expect("one line", nil, outcome.text:find("%c"))
    expect("a secret in the message", nil, outcome.text:find("vroom", 1, true) or outcome.text:find("hunter2", 1, true))
  end
  expect("the next login", case.again, again.gives)
  expect("the next login's session is another's", false, again.id == ID)
  expect("requests received", case.requests + (again.gives == "session" and 1 or 0), requests)
  expect("CONNECTs received", case.connects or 0, connects)
  expect("headers of the proxy's or the session's out of place", 0, misplaced)
  expect("in time", true, record.took < (case.within or 5))
  if case.gives == "network/timeout" then
    expect("not before the time limit", true, record.took >= record.limit * 0.9)
  end
  return list
end

return faults
