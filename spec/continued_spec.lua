-- Answers whose heads begin with a continued line, after others on a handle that was kept: what libcurl 7.83 to 8.0
-- remembers of a former answer must not lead anywhere. Depends on filescom and the stand-in.

local filescom = require("filescom")
local support = require("spec.support.standin")

-- How an answer ends: by the end of the connection, so that no header of length follows.
local OPEN = { read = "request" }
local END = { close = true }

-- The former answer's last header, long enough to be wiped when it is freed.
local LONG = ("y"):rep(200)

describe("an answer that begins with a continued line,", function()
  local standin, listener

  setup(function()
    standin = support.start({ "http" })
    listener = standin:listen({ scheme = "http" })
  end)

  teardown(function()
    standin:stop()
  end)

  -- What the last of some answers came to: nil and an error, or a session.
  local function last_of(answers)
    local client = filescom.new({ base_url = listener.base_url, retries = 0, timeout = 5 })
    local scripts, session, err = {}, nil, nil
    for i, answer in ipairs(answers) do
      scripts[i] = { OPEN, { send = answer }, END }
    end
    standin:script(listener, (table.unpack or unpack)(scripts)) -- luacheck: ignore 113 143
    for _ = 1, #answers do
      session, err = client:login({ username = "motor", password = "vroom" })
    end
    client:close()
    return session, err
  end

  local CONTINUED = 'HTTP/1.1 201 Created\r\n continued: so\r\nX-A: b\r\n\r\n{"id":"0123456789abcdef"}'
  local FORMER = 'HTTP/1.1 201 Created\r\nX-Long: ' .. LONG .. '\r\n%s\r\n\r\n{"id":"0123456789abcdef"}'

  for what, former in pairs({
    ["an ordinary one"] = { FORMER:format("X-B: c") },
    ["one without headers"] = { FORMER:format("X-B: " .. LONG),
      'HTTP/1.1 201 Created\r\n\r\n{"id":"0123456789abcdef"}' },
    ["one whose head ends in a line that only begins as a blank one"] = {
      FORMER:format("X-B: " .. LONG), 'HTTP/1.1 201 Created\r\n\rX-C: d\r\n{"id":"0123456789abcdef"}' },
    ["one whose status line is in other letters"] = {
      FORMER:format("X-B: " .. LONG), 'HTtP/1.1 201 Created\r\n continued: so\r\n{"id":"0123456789abcdef"}' },
    ["an interim one that ends so"] = {
      FORMER:format("X-B: " .. LONG),
      'HTTP/1.1 103 Early Hints\r\n\rX\r\nHTTP/1.1 201 Created\r\n\r\n{"id":"0123456789abcdef"}' },
    ["one with a header that looks like a status line"] = { FORMER:format("HTTP/1.1 200: " .. LONG) },
    ["one with a trailer that looks like a status line"] = {
      "HTTP/1.1 201 Created\r\nX-Long: " .. LONG .. "\r\nTransfer-Encoding: chunked\r\n\r\n" ..
      '19\r\n{"id":"0123456789abcdef"}\r\n0\r\nHTTP/1.1 200: ' .. LONG .. "\r\n\r\n" },
    ["one after an interim one"] = {
      "HTTP/1.1 103 Early Hints\r\nX-A: " .. LONG .. "\r\n\r\n" .. FORMER:format("X-B: " .. LONG) },
  }) do
    it("after " .. what .. ", harms nothing", function()
      local answers = {}
      for _ = 1, 3 do
        for _, answer in ipairs(former) do
          answers[#answers + 1] = answer
        end
        answers[#answers + 1] = CONTINUED
      end
      local session, err = last_of(answers)
      assert.is_true(session ~= nil or err.type == "network/interrupted", tostring(err))
      assert.is_truthy(last_of({ FORMER:format("X-B: c") }))
    end)
  end

  it("or that ends one, is taken as before", function()
    assert.is_truthy(last_of({ FORMER:format("X-B: c\r\n continued\r\n again") }))
  end)
end)
