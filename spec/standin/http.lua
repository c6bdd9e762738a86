-- HTTP/1.1 as a strict server speaks it: requests read from a stream, answers made into bytes.
-- Depends on nothing; streams are those of stream.lua.

local http = {}

local TOKEN = "[!#$%%&'*+%-.^_`|~%w]+"
local REQUEST_LINE = "^(" .. TOKEN .. ") ([\33-\126]+) HTTP/(%d)%.(%d)$"
local HEADER_LINE = "^(" .. TOKEN .. "):[ \t]*(.-)[ \t]*$"
local CONTROLS = "[\0-\8\10-\31\127]"
local BARE_LF = "[^\r]\n"

local REASONS = {
  [100] = "Continue", [200] = "OK", [201] = "Created", [202] = "Accepted", [204] = "No Content",
  [301] = "Moved Permanently", [302] = "Found", [303] = "See Other", [304] = "Not Modified",
  [307] = "Temporary Redirect", [308] = "Permanent Redirect", [400] = "Bad Request", [401] = "Unauthorized",
  [403] = "Forbidden", [404] = "Not Found", [405] = "Method Not Allowed", [406] = "Not Acceptable",
  [408] = "Request Timeout", [411] = "Length Required", [413] = "Content Too Large",
  [415] = "Unsupported Media Type", [417] = "Expectation Failed", [422] = "Unprocessable Content",
  [429] = "Too Many Requests", [431] = "Request Header Fields Too Large", [500] = "Internal Server Error",
  [501] = "Not Implemented", [502] = "Bad Gateway", [503] = "Service Unavailable", [504] = "Gateway Timeout",
  [505] = "HTTP Version Not Supported",
}

local function refuse(status, detail)
  return nil, { status = status, detail = detail }
end

-- Adds a header's line to the request.
local function add_header(request, line)
  local name, value = line:match(HEADER_LINE)
  if not name then
    return refuse(400, "malformed header line")
  end
  if value:find(CONTROLS) then
    return refuse(400, "control character in header " .. name)
  end
  local key = name:lower()
  local held = request.fields[key]
  request.headers[#request.headers + 1] = { name, value }
  if held and (key == "host" or key == "content-length" or key == "transfer-encoding") then
    return refuse(400, "header given twice: " .. key)
  end
  request.fields[key] = held and held .. ", " .. value or value
  return true
end

-- Whether a target has one of the forms that RFC 9112 knows: a path, a URL, an authority for CONNECT, an asterisk.
local function is_target(method, target)
  if method == "CONNECT" then
    return target:find("^[^/?#]+:%d+$")
  end
  return not target:find("#", 1, true) and (target:find("^/") or target:find("^https?://") or target == "*")
end

local function request_line(line)
  local method, target, major, minor = line:match(REQUEST_LINE)
  if not method then
    return refuse(400, "malformed request line")
  end
  if major ~= "1" then
    return refuse(505, "not HTTP/1")
  end
  if not is_target(method, target) then
    return refuse(400, "malformed target")
  end
  local path, query = target:gsub("^https?://[^/?]*", ""):match("^([^?]*)%??(.*)$")
  return {
    method = method, target = target, path = path, query = query, minor = tonumber(minor),
    headers = {}, fields = {}, body = "",
  }
end

--- Parses a head: the request line and the headers, each with its CRLF, without the empty line.
-- Returns the request, or nil and a refusal (`status`, `detail`).
function http.parse_head(head)
  local request, refusal
  local position = 1
  for line in head:gmatch("([^\r\n]*)\r\n") do
    local ok
    if not request then
      request, refusal = request_line(line)
      ok = request
    else
      ok, refusal = add_header(request, line)
    end
    if not ok then
      return nil, refusal
    end
    position = position + #line + 2
  end
  if position ~= #head + 1 then
    return refuse(400, "a line that does not end in CRLF")
  end
  if not request.fields.host and request.minor >= 1 then
    return refuse(400, "no Host")
  end
  return request
end

-- How the body is framed: a length, or "chunked".
local function framing(request)
  local length, encoding = request.fields["content-length"], request.fields["transfer-encoding"]
  if encoding and length then
    return refuse(400, "both Content-Length and Transfer-Encoding")
  elseif encoding then
    if encoding:lower() ~= "chunked" then
      return refuse(501, "transfer encoding other than chunked")
    end
    return "chunked"
  elseif length then
    if not length:find("^%d+$") or #length > 15 then
      return refuse(400, "malformed Content-Length")
    end
    return tonumber(length)
  end
  return 0
end

-- Reads the lines after the last chunk, up to the empty one.
local function read_trailers(stream)
  repeat
    local line = stream:take_through("\r\n", 8192)
    if not line then
      return refuse(400, "malformed trailer")
    elseif line ~= "\r\n" and not line:sub(1, -3):find(HEADER_LINE) then
      return refuse(400, "malformed trailer")
    end
  until line == "\r\n"
  return true
end

local function read_chunks(stream, limit)
  local parts, total = {}, 0
  while true do
    local line = stream:take_through("\r\n", 1024)
    local digits = line and line:match("^(%x+)\r\n$") or line and line:match("^(%x+);[^\r\n]*\r\n$")
    local size = digits and #digits <= 8 and tonumber(digits, 16)
    if not size then
      return refuse(400, "malformed chunk size")
    end
    if size == 0 then
      local ok, refusal = read_trailers(stream)
      return ok and table.concat(parts), refusal
    end
    total = total + size
    if total > limit then
      return refuse(413, "body too large")
    end
    local data = stream:take(size + 2)
    if not data or data:sub(-2) ~= "\r\n" then
      return refuse(400, "malformed chunk")
    end
    parts[#parts + 1] = data:sub(1, -3)
  end
end

--- Reads the request's body off the stream into `request.body`, answering Expect: 100-continue first.
-- Returns true, or nil and a refusal; nil alone where the peer ended within the body.
function http.read_body(stream, request, limit)
  local frame, refusal = framing(request)
  if not frame then
    return nil, refusal
  end
  if frame ~= "chunked" and frame > limit then
    return refuse(413, "body too large")
  end
  local expect = request.fields.expect
  if expect and expect:lower() ~= "100-continue" then
    return refuse(417, "unknown expectation")
  elseif expect and frame ~= 0 then
    stream:send("HTTP/1.1 100 Continue\r\n\r\n")
  end
  if frame == "chunked" then
    request.body, refusal = read_chunks(stream, limit)
    return request.body and true, refusal
  end
  request.body = frame == 0 and "" or stream:take(frame)
  return request.body and true
end

--- Reads and parses a request's head. Returns the request, or nil and a refusal; nil alone where the peer ended.
-- What was received of a refused head is in `refusal.head`.
function http.read_head(stream, limit)
  local head = stream:take_through("\r\n\r\n", limit, BARE_LF)
  if head == nil then
    return nil
  elseif head == false then
    local received = stream.buffer
    local refusal = #received >= limit and { status = 431, detail = "header too large" }
      or { status = 400, detail = "a line that does not end in CRLF" }
    refusal.head = received
    return nil, refusal
  end
  local request, refusal = http.parse_head(head:sub(1, -3))
  if not request then
    refusal.head = head
  end
  return request, refusal
end

--- Whether the connection may stay open after the answer to this request.
function http.keeps_alive(request)
  local connection = (request.fields.connection or ""):lower()
  if request.minor == 0 then
    return false
  end
  return not connection:find("close", 1, true)
end

--- Makes an answer into bytes: `status`, `reason` (optional), `headers` (a list of {name, value}), `body` (optional).
-- Adds the framing that the status needs; `method` is the request's, for HEAD.
function http.format_answer(answer, method)
  local status, body = answer.status, answer.body or ""
  local lines = { ("HTTP/1.1 %d %s"):format(status, answer.reason or REASONS[status] or "Unknown") }
  local framed = false
  for _, header in ipairs(answer.headers or {}) do
    lines[#lines + 1] = header[1] .. ": " .. header[2]
    local name = header[1]:lower()
    framed = framed or name == "content-length" or name == "transfer-encoding"
  end
  local bodiless = status < 200 or status == 204 or status == 304
  if not bodiless and not framed then
    lines[#lines + 1] = "Content-Length: " .. #body
  end
  lines[#lines + 1] = "\r\n"
  if not bodiless and method ~= "HEAD" then
    lines[#lines] = "\r\n" .. body
  end
  return table.concat(lines, "\r\n")
end

--- A moment as HTTP writes it.
function http.date(time)
  return os.date("!%a, %d %b %Y %H:%M:%S GMT", time)
end

return http
