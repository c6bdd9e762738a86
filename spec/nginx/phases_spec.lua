-- Where in nginx filescom may be called, and what it says where it may not.
-- Depends on nginx and the stand-in.

local nginx = require("spec.support.nginx")
local support = require("spec.support.standin")

local LIGHT_THREADS = [[
  local function run() return logged_in() end
  local first, second = ngx.thread.spawn(run), ngx.thread.spawn(run)
  local _, one = ngx.thread.wait(first)
  local _, two = ngx.thread.wait(second)
  ngx.say(one, ", ", two)
]]

local IN_TIMER = [[
  local done = require("ngx.semaphore").new(0)
  local told
  ngx.timer.at(0, function() told = logged_in() done:post(1) end)
  done:wait(5)
  ngx.say(told)
]]

local SECOND_FACTOR = [[
  local session, err = filescom.login_with_otp({ username = "tess", password = "tick-tock" }, function()
    return ngx.var.arg_code
  end)
  ngx.say(session and filescom.logout() and "in and out" or tostring(err))
]]

local REQUEST = [[
  local session = assert(filescom.login(MOTOR))
  local answer, err = session:request("GET", "/user")
  filescom.logout()
  ngx.say(answer and answer.data.username or tostring(err))
]]

local KEPT_BY_MODULE = [[
  package.preload.logs_in = function() return { filescom.login(MOTOR) } end
  local ok, why = pcall(require, "logs_in")
  ngx.say(tostring(ok), " ", tostring(why))
]]

local HOOKS = [[
  location = /rewrite { rewrite_by_lua_block { ngx.say(logged_in()) ngx.exit(200) } }
  location = /access { access_by_lua_block { ngx.say(logged_in()) ngx.exit(200) } }
  location = /set { set_by_lua_block $told { return select(2, pcall(filescom.login, MOTOR)) } return 200 $told; }
  location = /log {
    content_by_lua_block { ngx.say("served") }
    log_by_lua_block { ngx.log(ngx.WARN, "log told: ", select(2, pcall(filescom.login, MOTOR))) }
  }
  location = /header {
    content_by_lua_block { ngx.say("served") }
    header_filter_by_lua_block { ngx.header.X_Told = select(2, pcall(filescom.login, MOTOR)) }
  }
  location = /body {
    content_by_lua_block { ngx.say("served") }
    header_filter_by_lua_block { ngx.header.content_length = nil }
    body_filter_by_lua_block {
      if ngx.arg[2] then ngx.arg[1] = (ngx.arg[1] or "") .. select(2, pcall(filescom.login, MOTOR)) end
    }
  }
]]

local SECURE = [[
  server {
    listen 127.0.0.1:%d ssl;
    ssl_certificate %s;
    ssl_certificate_key %s;
    ssl_certificate_by_lua_block {
      in_handshake = logged_in()
      filescom.login(MOTOR)
      local ended, err = filescom.logout()
      last_login = ended and "ended" or tostring(err)
    }
    location / { content_by_lua_block { ngx.say(in_handshake, ", last login ", last_login) } }
  }
]]

describe("nginx:", function()
  local standin, server, secure_port, scratch

  local function http_text()
    local certificate, key = nginx.write_certificate(scratch)
    secure_port = nginx.free_port()
    return SECURE:format(secure_port, certificate, key)
  end

  setup(function()
    standin = support.start({ "http" })
    scratch = nginx.directory()
    server = nginx.start({
      base_url = standin.http.base_url,
      server = HOOKS,
      http = http_text() .. [[
        init_worker_by_lua_block {
          at_start = select(2, pcall(filescom.login, MOTOR))
          ngx.timer.at(0, function() from_start = logged_in() end)
        }
      ]],
      init_more = [[in_master = logged_in()]],
      locations = {
        ["= /content"] = "ngx.say(logged_in())",
        ["= /threads"] = LIGHT_THREADS,
        ["= /timer"] = IN_TIMER,
        ["= /otp"] = SECOND_FACTOR,
        ["= /request"] = REQUEST,
        ["= /kept"] = KEPT_BY_MODULE,
        ["= /globals"] = "ngx.say(tostring(_G[ngx.var.arg_name]))",
        ["= /nobody"] = 'ngx.say(tostring(select(2, filescom.login({ username = "motor", password = "wrong" }))))',
        ["= /coroutine"] = "ngx.say(coroutine.wrap(function() return logged_in() end)())",
        ["= /protected"] = "ngx.say(select(2, pcall(logged_in)))",
        ["= /subrequest"] = 'ngx.print(ngx.location.capture("/content").body)',
      },
    })
    nginx.eventually("the timer of init_worker has run", 3, function()
      return server:get("/globals?name=from_start").body ~= "nil"
    end)
  end)

  teardown(function()
    server:stop()
    standin:stop()
    os.execute("rm -rf '" .. scratch .. "'")
  end)

  before_each(function()
    standin:reset()
  end)

  describe("a login and a logout", function()
    for _, phase in ipairs({ "rewrite", "access", "content", "timer", "coroutine", "protected", "subrequest" }) do
      it("work in " .. phase, function()
        assert.are.equal("in and out", server:get("/" .. phase).body)
        assert.are.equal("DELETE", standin:last().method)
      end)
    end

    it("work in light threads, two at once", function()
      assert.are.equal("in and out, in and out", server:get("/threads").body)
      assert.are.equal(4, #standin:log())
    end)

    it("work in ssl_certificate_by_lua, and a logout finds the handshake's login", function()
      local told = io.popen(("curl -sk --max-time 10 https://127.0.0.1:%d/"):format(secure_port)):read("*a")
      assert.are.equal("in and out, last login ended\n", told)
    end)

    it("work with a second factor", function()
      assert.are.equal("in and out", server:get("/otp?code=" .. standin:code("tess")).body)
    end)

    it("carry calls of the API between them", function()
      standin:call("next_answers", { status = 201, body = '{"id":"0123456789abcdef"}' })
      standin:call("next_answers", { status = 200, body = '{"username":"motor"}' })
      assert.are.equal("motor", server:get("/request").body)
    end)

    it("that the service refuses give its error", function()
      assert.is_truthy(server:get("/nobody").body:find("^not%-authenticated/invalid%-username%-or%-password"))
    end)
  end)

  describe("where a phase can neither wait nor block, the error names ngx.timer:", function()
    local function is_told(text)
      assert.is_truthy(text:find("ngx.timer.at", 1, true), text)
      assert.are.equal(0, #standin:log())
    end

    it("set", function()
      is_told(server:get("/set").body)
    end)

    it("header_filter", function()
      is_told(server:get("/header").headers["x-told"])
    end)

    it("body_filter", function()
      is_told(server:get("/body").body)
    end)

    it("log", function()
      server:get("/log")
      local told = nginx.eventually("the log phase has run", 2, function()
        return server:errors():match("log told: ([^\n]*)")
      end)
      is_told(told)
    end)

    it("init_worker, where a timer does it", function()
      assert.is_truthy(server:get("/globals?name=at_start").body:find("ngx.timer.at", 1, true))
      assert.are.equal("in and out", server:get("/globals?name=from_start").body)
    end)

    it("and the worker neither waits nor spins, with a service that hangs", function()
      standin:call("configure", { hang = true })
      local worker = server:workers()[1]
      local before = nginx.cpu(worker)
      for _, path in ipairs({ "/set", "/header", "/body", "/log" }) do
        assert.is_true(server:get(path).seconds < 0.2)
      end
      require("cqueues").sleep(1)
      assert.is_true(nginx.cpu(worker) - before < 0.3)
      assert.is_true(server:get("/ping").seconds < 0.2)
    end)
  end)

  it("a login while a module is loaded, which cannot wait in ngx_lua, raises and leaves the worker well", function()
    standin:call("configure", { answer_delay = 0.3 })
    local answer = server:get("/kept", { timeout = 3 })
    assert.is_truthy(answer.body:find("^false .*yield"), answer.body)
    server:settle()
    assert.are.equal("in and out", server:get("/content").body)
  end)

  it("init_by_lua may log in and out, by blocking", function()
    assert.are.equal("in and out", server:get("/globals?name=in_master").body)
  end)

  it("a worker uses no connection that was made in init_by_lua", function()
    local before = server:reload()
    nginx.eventually("the former worker has ended", 3, function()
      return not nginx.is_alive(before[1])
    end)
    local in_master = standin:log()[1].connection -- it logged in and out again, as it read its configuration
    assert.are.equal("in and out", server:get("/content").body)
    assert.are_not.equal(in_master, standin:last().connection)
  end)

  it("exit_worker may log in and out, by blocking", function()
    local leaving = nginx.start({
      base_url = standin.http.base_url,
      http = 'exit_worker_by_lua_block { ngx.log(ngx.WARN, "at the end: ", logged_in()) }',
    })
    finally(function()
      leaving:stop()
    end)
    assert.are.equal("in and out", leaving:get("/login").body)
    leaving:signal("QUIT")
    leaving:wait_for_end()
    assert.is_truthy(leaving:errors():find("at the end: in and out", 1, true))
  end)
end)
