-- luacheck: std lua54
--- Writes the seed corpus, spec/fuzz/corpus/TARGET/, from the top of the tree:
--
--     lua5.4 spec/fuzz/seeds.lua
--
-- The form of each target's inputs is told at the top of its .c file.

local function write(target, name, ...)
  local path = ("spec/fuzz/corpus/%s/%s"):format(target, name)
  local file = assert(io.open(path, "wb"))
  file:write(table.concat({ ... }))
  file:close()
end

local function counted(text)
  return string.char(#text) .. text
end

for _, target in ipairs { "multipart", "headers", "answers", "wire", "urls", "requests", "options" } do
  assert(os.execute("mkdir -p spec/fuzz/corpus/" .. target))
end

-- ---- multipart ------------------------------------------------------------------------------

local function field(name, value, flags)
  return string.char(flags or 0) .. counted(name) .. string.pack(">s2", value)
end

local forms = {
  login = field("username", "motor") .. field("password", "vroom"),
  code = field("username", "m") .. field("otp", "123456") .. field("partial_session_id", "p-1"),
  absent = field("username", "motor") .. field("otp", "", 1) .. field("password", ""),
  boundary = field("username", "motor") .. field("password", "", 2),
  escapes = field('a"b\r\nc%22\0', "\r\n--\r\n") .. field("", "\r\n\r\n--"),
  large = field("password", ("x\r\n-"):rep(500)),
  none = "",
}
for name, form in pairs(forms) do
  write("multipart", name, "\1\0", form)
  if name ~= "large" then write("multipart", name .. "-small", "\0\64", form) end
end

-- ---- headers --------------------------------------------------------------------------------

local NOW = string.pack(">I4", 784111777) -- Sun, 06 Nov 1994 08:49:37 GMT
local blocks = {
  plain = "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nX-Request-Id: r-1\r\n\r\n",
  late = "HTTP/1.1 429 Too Many\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
    .. "Retry-After: Sun, 06 Nov 1994 08:59:37 GMT\r\n\r\n",
  seconds = "HTTP/1.1 503 No\r\nRetry-After: 120\r\nretry-after: 7\r\n\r\n",
  dates = "Sunday, 06-Nov-94 08:49:37 GMT\nSun Nov  6 08:49:37 1994\n20040911 +0200\nSun, 99 Nov 1994",
  odd = " : x\r\n:y\nA:b:c\n\tfolded: no\r\nno colon\r\nHTTP/2 200\r\nX-Request-Id:\r\n: ",
  numbers = "000\n999999999999999\n1000000000000000\n-1\n1.5\n0x10\n1e3\n 12",
}
for name, block in pairs(blocks) do write("headers", name, NOW, block) end

-- ---- answers --------------------------------------------------------------------------------

local function answer(status, body, headers)
  return ("HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s"):format(status, headers or "", #body, body)
end

local JSON = "Content-Type: application/json\r\nX-Request-Id: r-1\r\n"
local answers = {
  session = answer("201 Created", '{"id":"0123456789abcdef","user_id":1,"partial":null}', JSON),
  bare = answer("200 OK", '{"id":"a"}'),
  numbers = answer("200 OK", '{"id":"b","a":[1,2.5,-0,1e300,9007199254740993],"b":{"c":[null,true]}}'),
  unusable = answer("200 OK", '{"id":"a b"}'),
  noid = answer("200 OK", '{"id":12}'),
  list = answer("200 OK", '[{"id":"x"}]'),
  empty = answer("200 OK", ""),
  html = answer("200 OK", "<html>hello</html>", "Content-Type: text/html\r\n"),
  none = answer("204 No Content", ""),
  denied = answer("401 Unauthorized", '{"type":"not-authenticated/authentication-failed",'
    .. '"title":"Authentication Failed","error":"Invalid username or password","http-code":401,'
    .. '"instance":"i-1","data":{},"errors":["Invalid"]}', JSON),
  factor = answer("401 Unauthorized", '{"type":"not-authenticated/two-factor-authentication-error",'
    .. '"error":"2FA Authentication error","data":{"two_factor_authentication_methods":["totp","yubi"],'
    .. '"partial_session_id":"p-1"}}', JSON),
  region = answer("403 Forbidden", '{"type":"not-authenticated/lockout-region-mismatch",'
    .. '"error":"Wrong region","data":{"host":"app-eu.files.com"}}', JSON),
  nested = answer("422 Unprocessable", '{"errors":[{"detail":{"message":"Deep"}}],"model_errors":{"a":["b"]}}'),
  echo = answer("400 Bad Request", '{"error":"no user vroom-4711","data":{"vroom-4711":["471147"]}}'),
  utf8 = answer("400 Bad Request", '{"error":"Pa\u{df}wort \\u00e9 \\ud83d\\ude00 \u{85} \xED\xA0\x80 \xFF"}'),
  bytes = answer("500 Oops", '{"message":"\\u0000\\u0007\\r\\n two","type":"x/"}'),
  long = answer("500 Oops", '{"message":"' .. ("\u{20ac}"):rep(300) .. '"}'),
  text = answer("502 Bad Gateway", "<h1>Bad Gateway</h1>", "Content-Type: text/html\r\n"),
  limit = answer("429 Too Many Requests", '{"error":"Slow down","type":"too-many-requests/rate-limit"}',
    JSON .. "Retry-After: 30\r\n"),
  date = answer("503 Unavailable", "", "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
    .. "Retry-After: Sun, 06 Nov 1994 08:59:37 GMT\r\n"),
  moved = answer("302 Found", "", "Location: https://elsewhere.example/\r\n"),
  string = answer("400 Bad Request", '"just text"'),
  values = answer("400 Bad Request", "false"),
  head = "HTTP/1.1 200 OK\r\nX: ",
}
for name, text in pairs(answers) do
  write("answers", name .. "-login", "L0", text)
  if #text < 300 then
    write("answers", name .. "-logout", "O0", text)
    write("answers", name .. "-request", "R0", text)
  end
  write("wire", name, "L", text)
end
for digit = 1, 6 do write("answers", "code-" .. digit, "L", digit, answers.head) end
for _, letter in ipairs { "O", "R", "T" } do
  for _, name in ipairs { "session", "factor", "html", "denied", "none" } do
    write("wire", name .. "-" .. letter, letter, answers[name])
  end
end
write("wire", "continue", "LHTTP/1.1 100 Continue\r\n\r\n", answers.session)
write("wire", "chunked", "LHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
  'a\r\n{"id":"a"}\r\n0\r\nX-Trailer: 1\r\n\r\n')
write("wire", "encoded", "LHTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b\8\0")
write("wire", "old", "LHTTP/1.0 200 OK\r\n\r\n", '{"id":"a"}')
write("wire", "ancient", "Lhello")
write("wire", "two", "LHTTP/2 200\r\n\r\n{}")
write("wire", "short", "LHTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}")
write("wire", "lengths", "LHTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}")
write("wire", "upgrade", "RHTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n")
write("wire", "loop", "L", answer("403 Forbidden",
  '{"type":"not-authenticated/lockout-region-mismatch","data":{"host":"localhost"}}'))

-- ---- urls -----------------------------------------------------------------------------------

local urls = {
  { "https://app.files.com", "app-eu.files.com", "0123456789abcdef" },
  { "https://app.files.com:443/api/rest/v1/", "files.com", "" },
  { "http://127.0.0.1:8080", "127.0.0.2:81", "a b" },
  { "http://localhost/x/../y/./z//", "localhost:9", "\127" },
  { "http://[::1]:80/api", "[::1]:81", "!~" },
  { "https://[fe80::1%25eth0]/", "[::ffff:127.0.0.1]", "\255" },
  { "http://127.1", "127.1", "x" },
  { "http://0x7f000001/", "2130706433", "x" },
  { "https://user:pw@files.com/", "files.com@evil.example", "x" },
  { "https://files.com?q#f", "evil.example/.files.com", "x" },
  { "https://FILES.com/A%2fb", "xfiles.com", "x" },
  { "http://files.com", "files.com.", "x" },
  { "ftp://127.0.0.1/", "a..files.com", "x" },
  { "https:/files.com", "app.files.com:0443", "x" },
  { "https://a%2eb.files.com:00080/%2e%2e/", "%66iles.com", "x" },
}
for i, lines in ipairs(urls) do write("urls", ("%02d"):format(i), table.concat(lines, "\n")) end

-- ---- requests -------------------------------------------------------------------------------

local function request(flags, method, path, session, headers, body)
  local parts = { string.char(flags), counted(method), counted(path), counted(session) }
  for _, text in ipairs(headers or {}) do parts[#parts + 1] = counted(text) end
  return table.concat(parts) .. (body or "")
end

local requests = {
  get = request(8, "GET", "/folders?per_page=1&a[]=%20", "0123456789abcdef"),
  plain = request(0, "GET", "/", ""),
  logout = request(8, "DELETE", "/sessions", "a"),
  post = request(13, "POST", "/files/a.txt", "a", { "Content-Type", "text/plain" }, "hello\0\r\n"),
  empty = request(4, "PUT", "/x", ""),
  head = request(8, "HEAD", "/../..//.;{}", "a"),
  headers = request(3, "GET", "/x", "", { "Accept", "*/*", "X-Empty", "", "Cookie", "a=b; \xc3\xa9\t" }),
  blank = request(2, "GET", "/x", "", { "X-Blank", " \t ", "Accept", " " }),
  reserved = request(1, "GET", "/x", "", { "content-LENGTH", "1" }),
  injected = request(1, "GET", "/x", "", { "X-A", "b\r\nX-FilesAPI-Auth: c" }),
  name = request(1, "GET", "/x", "", { "X-A: b\r\nC", "d" }),
  path = request(0, "GET", "/x HTTP/1.1\r\nHost: evil", ""),
  method = request(0, "GET /x", "/x", ""),
  fragment = request(0, "GET", "/x#y", ""),
  login = request(16, "motor", "vroom\r\n--", "123456"),
  large = request(4, "POST", "/x", "", nil, ("body"):rep(400)),
}
for name, text in pairs(requests) do write("requests", name, text) end

-- ---- options --------------------------------------------------------------------------------

-- In the order of options.c.
local keys = {}
for i, name in ipairs {
  "base_url", "subdomain", "timeout", "connect_timeout", "retries", "ca_file", "ca_path", "proxy",
  "user_agent", "language", "method", "path", "headers", "workspace_id", "max_response_size", "body",
  "session_id", "username", "password", "max_in_flight", "otp", "partial_session_id", "origin",
  "stall_timeout", "sink", "size", "raw",
} do keys[name] = string.char(i - 1) end

local function s(name, text) return keys[name] .. "s" .. counted(text) end
local function b(name, number) return keys[name] .. "b" .. string.char(number) end
local function n(name, number) return keys[name] .. "n" .. string.pack(">d", number) end

local tables = {
  site = "C" .. s("subdomain", "mysite") .. b("timeout", 5) .. b("retries", 0),
  all = "C" .. s("base_url", "https://app.files.com") .. n("timeout", 0.5) .. n("connect_timeout", 1.25)
    .. b("retries", 3) .. s("ca_file", "/a") .. s("ca_path", "/b") .. s("proxy", "http://p:1")
    .. s("user_agent", "me/1") .. s("language", "de") .. s("workspace_id", "9")
    .. n("max_response_size", 4096) .. b("max_in_flight", 1),
  both = "C" .. s("subdomain", "a") .. s("base_url", "https://files.com"),
  unknown = "C" .. s("otp", "1"),
  odd = "C\255b\1sa" .. "\255u\255n" .. string.pack(">d", 0 / 0),
  nan = "C" .. n("timeout", 0 / 0),
  huge = "C" .. n("max_in_flight", 2 ^ 53) .. n("timeout", 1e6),
  whole = "C" .. keys.max_response_size .. "i" .. string.pack(">i8", math.maxinteger),
  nul = "C" .. s("language", "a\0b"),
  line = "C" .. s("user_agent", "a\r\nb"),
  login = "K" .. s("username", "motor") .. s("password", "vroom\0") .. s("otp", "1")
    .. s("partial_session_id", ""),
  wrong = "K" .. b("password", 1),
  request = "R" .. s("method", "GET") .. s("path", "/x") .. s("session_id", "a") .. s("body", "b")
    .. s("base_url", "https://files.com") .. n("timeout", 1.5)
    .. keys.headers .. "t\2" .. counted("A") .. counted("b") .. counted("C") .. counted(""),
  stream = "R" .. s("method", "PUT") .. s("path", "/x") .. s("origin", "https://h") .. n("size", 2 ^ 40)
    .. n("stall_timeout", 0.5) .. keys.sink .. "x\1" .. keys.raw .. "x\1",
  bare = "R" .. s("method", "GET"),
  headers = "R" .. s("method", "GET") .. s("path", "/x") .. b("headers", 1),
}
for name, text in pairs(tables) do write("options", name, text) end
