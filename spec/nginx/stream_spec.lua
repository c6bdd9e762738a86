-- Bodies that stream through a worker: files to visitors and from them, while others are served.
-- Depends on nginx, the stand-in (of which one listener is the storage) and cqueues.

local cqueues = require("cqueues")
local nginx = require("spec.support.nginx")
local support = require("spec.support.standin")
local visitors = require("cqueues.socket")

local MIB = 1024 * 1024
local LARGE = 20 * MIB -- more than all buffers of sockets hold

local LOCATIONS = {
  -- Passes a file on to the visitor, at the visitor's speed.
  ["/file"] = [[
    local session = assert(filescom.login(MOTOR))
    local answer, err = session:download(ngx.var.arg_path, function(piece)
      local ok, why = ngx.print(piece)
      if ok then ok, why = ngx.flush(true) end
      return ok, why
    end)
    told = answer and "whole" or err.type
    if not answer then ngx.say(tostring(err)) end
    session:logout()
  ]],
  -- Takes a file as fast as it comes.
  ["= /take"] = [[
    local session, size = assert(filescom.login(MOTOR)), 0
    local answer = assert(session:download("large", function(piece) size = size + #piece end))
    session:logout()
    ngx.say(size)
  ]],
  -- Passes the visitor's body on.
  ["= /upload"] = [[
    local body, session = assert(ngx.req.socket()), assert(filescom.login(MOTOR))
    local answer, err = session:upload("inbox/visitor", function(count)
      local piece, why, rest = body:receiveany(count)
      return piece or rest, not piece and not rest and why or nil
    end, { size = tonumber(ngx.var.http_content_length) })
    session:logout()
    ngx.say(answer and answer.status or tostring(err))
  ]],
  ["= /raise"] = [[
    local session = assert(filescom.login(MOTOR))
    local ok, why = pcall(session.download, session, "large", function()
      ngx.sleep(0.01)
      error({ reason = "enough" })
    end)
    ngx.say(tostring(ok), " ", why.reason)
  ]],
  -- Kills a light thread that has a piece in hand.
  ["= /kill"] = [[
    local session = assert(filescom.login(MOTOR))
    local thread = ngx.thread.spawn(function()
      session:download("large", function() ngx.sleep(60) end)
    end)
    ngx.sleep(0.5)
    ngx.thread.kill(thread)
    ngx.say("killed")
  ]],
  ["= /stall"] = [[
    local session = filescom.session { id = "abc", base_url = ngx.var.arg_at }
    local _, err = session:request("GET", "/x", { sink = function() end, stall_timeout = 0.3 })
    ngx.say(tostring(err))
  ]],
  ["= /each"] = [[
    local session, names = assert(filescom.login(MOTOR)), {}
    for user in session:each("/users", { query = { per_page = 2 } }) do names[#names + 1] = user.id end
    session:logout()
    ngx.say(table.concat(names, " "))
  ]],
}

describe("nginx: a streamed body", function()
  local standin, storage, server

  setup(function()
    standin = support.start({ "http" })
    storage = standin:listen({ scheme = "http", storage = true })
    server = nginx.start({
      base_url = standin.http.base_url,
      options = "timeout = 20",
      server = "lua_check_client_abort on; client_max_body_size 0;",
      locations = LOCATIONS,
    })
  end)

  teardown(function()
    server:stop()
    standin:stop()
  end)

  before_each(function()
    standin:reset()
  end)

  local function put_file(path, size)
    standin:call("file", { path = path, fill = "0123456789", size = size })
  end

  -- Whether the storage has no connection but idle ones; nginx is not asked, which would run its collector.
  local function storage_is_left()
    standin:call("close_idle", { listener = storage.id })
    return (standin:connections(storage)) == 0
  end

  local function only_idle_left()
    nginx.eventually("nothing is in flight", 5, function()
      local counts = server:counts()
      return counts.in_flight == 0 and counts.waiting == 0
    end)
  end

  -- Visits pings until `state.stop`; how many were answered, and the longest time.
  local function ping(state)
    return function()
      state.pings, state.longest = 0, 0
      while not state.stop do
        local answer = server:get("/ping")
        assert.are.equal("pong", answer.body)
        state.pings, state.longest = state.pings + 1, math.max(state.longest, answer.seconds)
        cqueues.sleep(0.002)
      end
    end
  end

  it("reaches 20 visitors at once, whole", function()
    local expected = ("0123456789"):rep(30000)
    put_file("small", 300000)
    for _, answer in ipairs(server:crowd(20, "/file?path=small")) do
      assert.is_true(answer.body == expected)
    end
    only_idle_left()
  end)

  it("as fast as it comes lets others have their turn", function()
    local state, answer = {}, nil
    put_file("large", LARGE)
    nginx.together({
      function()
        answer = server:get("/take")
        state.stop = true
      end,
      ping(state),
    })
    assert.are.equal(tostring(LARGE), answer.body)
    assert.is_true(state.pings >= 5, state.pings .. " pings")
    assert.is_true(state.longest < answer.seconds / 2, state.longest .. " of " .. answer.seconds .. " s")
    only_idle_left()
  end)

  it("takes little memory for a visitor who reads slowly", function()
    put_file("large", LARGE)
    local worker = server:workers()[1]
    local before, most, size = nginx.usage(worker).memory, 0, 0
    nginx.together({ function()
      local visitor = visitors.connect({ host = "127.0.0.1", port = server.port })
      visitor:setmode("bn", "bn")
      visitor:write("GET /file?path=large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
      visitor:flush()
      local reads = 0
      local piece = visitor:read(-65536)
      while piece do
        size, reads = size + #piece, reads + 1
        if reads % 100 == 0 then
          cqueues.sleep(0.03)
          most = math.max(most, nginx.usage(worker).memory)
        end
        piece = visitor:read(-65536)
      end
      visitor:close()
    end })
    assert.is_true(size > LARGE and size < LARGE + MIB, tostring(size))
    assert.is_true(most - before < 8 * 1024, most - before .. " KiB")
    only_idle_left()
  end)

  it("comes from a visitor, in parts, as it is read", function()
    local body = ("abcdefghij"):rep(100000)
    standin:call("configure", { part_size = 300000 })
    assert.are.equal("201", server:get("/upload", { method = "PUT", body = body }).body)
    standin:call("file", { path = "expected", fill = "abcdefghij", size = #body })
    local files = standin:call("files")
    assert.are.equal(files.expected.md5, files["inbox/visitor"].md5)
    only_idle_left()
  end)

  it("is cancelled where its visitor goes away, and its connection is closed", function()
    put_file("large", LARGE)
    for _, answer in ipairs(server:crowd(3, "/file?path=large", { leave_after = 0.4 })) do
      assert.is_true(answer.left)
    end
    nginx.eventually("the storage's connections are closed", 16, storage_is_left)
    only_idle_left()
  end)

  it("is cancelled where the thread that has a piece in hand is killed, and the worker has nothing to do", function()
    put_file("large", LARGE)
    assert.are.equal("killed", server:get("/kill").body)
    nginx.eventually("the storage's connection is closed", 16, storage_is_left)
    only_idle_left()
  end)

  it("is cancelled where the sink raises, and what it raised comes out as it is", function()
    put_file("large", LARGE)
    assert.are.equal("false enough", server:get("/raise").body)
    assert.are.equal(0, server:counts().in_flight)
  end)

  it("that stalls ends with network/timeout, in time", function()
    local listener = standin:listen({ scheme = "http" })
    standin:script(listener, { { read = "head" }, { send = "HTTP/1.1 200 OK\r\n\r\nabc" }, { hang = true } })
    local answer = server:get("/stall?at=" .. listener.base_url)
    assert.is_truthy(answer.body:find("^network/timeout"), answer.body)
    assert.is_true(answer.seconds >= 0.29 and answer.seconds < 2, tostring(answer.seconds))
  end)

  it("does not keep logins of others waiting", function()
    local over, count = false, 0
    put_file("large", LARGE)
    nginx.together({
      function()
        server:get("/take")
        over = true
      end,
      function()
        repeat
          assert.are.equal("in and out", server:get("/login").body)
          count = count + 1
        until over
      end,
    })
    assert.is_true(count >= 2, count .. " logins")
  end)

  it("need not be there for a list to be walked", function()
    assert.are.equal("1 2 3 4 5", server:get("/each").body)
  end)

  it("is finished before a worker that is told to go ends", function()
    local answer
    put_file("large", LARGE)
    nginx.together({
      function()
        answer = server:get("/take")
      end,
      function()
        cqueues.sleep(0.05)
        server:signal("QUIT")
      end,
    })
    assert.are.equal(tostring(LARGE), answer.body)
    server:wait_for_end()
    assert.are.same({}, server:complaints())
  end)
end)
