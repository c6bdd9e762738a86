-- What one request or timer has is never another's: sessions above all.
-- Depends on nginx, the stand-in and cqueues.

local cqueues = require("cqueues")
local nginx = require("spec.support.nginx")
local support = require("spec.support.standin")

local ENDED = [[
  local function last()
    local ended, err = filescom.logout()
    return ended and "ended" or err.type
  end
]]

local LOCATIONS = {
  ["= /holds"] = ENDED .. [[
    filescom.login(MOTOR)
    ngx.sleep(0.6)
    ngx.say(last())
  ]],
  ["= /keeps"] = 'ngx.say(filescom.login(MOTOR) and "open")',
  ["= /has_none"] = ENDED .. "ngx.say(last())",
  ["= /twice"] = ENDED .. [[
    filescom.login(MOTOR)
    filescom.login(MOTOR)
    ngx.say(last(), " ", last(), " ", last())
  ]],
  ["= /timer"] = ENDED .. [[
    local done = require("ngx.semaphore").new(0)
    local others, own
    filescom.login(MOTOR)
    ngx.timer.at(0, function()
      others = last()
      filescom.login(MOTOR)
      own = last()
      done:post(1)
    end)
    done:wait(5)
    ngx.say("in the timer ", others, " ", own, ", in the request ", last())
  ]],
  ["= /coroutine"] = ENDED .. [[
    coroutine.wrap(function() filescom.login(MOTOR) end)()
    local thread = ngx.thread.spawn(function() filescom.login(MOTOR) end)
    ngx.thread.wait(thread)
    ngx.say(last(), " ", coroutine.wrap(last)(), " ", last())
  ]],
  ["= /clients"] = ENDED .. [[
    local other = filescom.new { base_url = "@base_url@" }
    other:login(MOTOR)
    local default = last()
    ngx.say("default ", default, ", other ", other:logout() and "ended" or "none")
  ]],
  ["= /configured"] = ENDED .. [[
    filescom.login(MOTOR)
    filescom.configure { user_agent = "another" }
    ngx.say(last())
  ]],
  ["= /loop"] = 'ngx.say(select(2, pcall(filescom.new, { loop = {} })))',
  ["= /phases"] = 'ngx.say(last_one())',
  -- Logs in as the user that is asked for, waits here and there, and tells whose session it had.
  ["= /as"] = [[
    local name = ngx.var.arg_name
    local session, err = filescom.login { username = name, password = "of-" .. name }
    if not session then return ngx.say(tostring(err)) end
    ngx.sleep(math.random() / 10)
    local mine = session.owner == name and session.id == session:headers()["X-FilesAPI-Auth"]
    local ended, why = filescom.logout()
    ngx.say(mine and ended and name .. " " .. session.id or tostring(why))
  ]],
}

describe("nginx:", function()
  local standin, server

  setup(function()
    standin = support.start({ "http" })
    server = nginx.start({
      base_url = standin.http.base_url,
      locations = LOCATIONS,
      init_more = ENDED .. "last_one = last",
      server = [[
        location = /hooks {
          rewrite_by_lua_block { filescom.login(MOTOR) }
          access_by_lua_block { filescom.login(MOTOR) }
          content_by_lua_block { ngx.say(last_one(), " ", last_one(), " ", last_one()) }
        }
      ]],
    })
  end)

  teardown(function()
    server:stop()
    standin:stop()
  end)

  before_each(function()
    standin:reset()
  end)

  it("a logout without a session does not end another request's login", function()
    local holds, has_none
    nginx.together({
      function()
        holds = server:get("/holds").body
      end,
      function()
        cqueues.sleep(0.3)
        has_none = server:get("/has_none").body
      end,
    })
    assert.are.equal("session/none", has_none)
    assert.are.equal("ended", holds)
  end)

  it("a logout without a session does not end the login of a request that is over", function()
    assert.are.equal(5, nginx.count(server:crowd(5, "/keeps"), "open"))
    assert.are.equal("session/none", server:get("/has_none").body)
  end)

  it("a logout without a session ends this request's logins, the last one first, and no more", function()
    assert.are.equal("ended ended session/none", server:get("/twice").body)
    assert.are.same({}, standin:call("sessions"))
  end)

  it("a timer has logins of its own, not those of the request that started it", function()
    assert.are.equal("in the timer session/none ended, in the request ended", server:get("/timer").body)
  end)

  it("coroutines and light threads of a request share its logins", function()
    assert.are.equal("ended ended session/none", server:get("/coroutine").body)
  end)

  it("the phases of a request share its logins", function()
    assert.are.equal("ended ended session/none", server:get("/hooks").body)
  end)

  it("another client's login is not the default client's", function()
    assert.are.equal("default session/none, other ended", server:get("/clients").body)
  end)

  it("a login stays this request's when the default client is configured anew", function()
    assert.are.equal("ended", server:get("/configured").body)
  end)

  it("a client takes no event loop, and says so", function()
    assert.is_truthy(server:get("/loop").body:find("option 'loop' is not for nginx", 1, true))
  end)

  it("hundreds of users at once each have their own session and end it", function()
    local users = 400
    for i = 1, users do
      local name = "user" .. i
      standin:call("account", { username = name, password = "of-" .. name, session = { owner = name } })
    end
    local answers = server:crowd(users, function(i)
      return "/as?name=user" .. i
    end)
    local ids = {}
    for i, answer in ipairs(answers) do
      local name, id = answer.body:match("^(%S+) (%x+)$")
      assert.are.equal("user" .. i, name)
      assert.is_nil(ids[id])
      ids[id] = true
    end
    assert.are.same({}, standin:call("sessions"))
    local ended = 0
    for _, entry in ipairs(standin:log()) do
      if entry.method == "DELETE" then
        assert.is_true(ids[entry.header["x-filesapi-auth"]])
        ended = ended + 1
      end
    end
    assert.are.equal(users, ended)
  end)

  it("connections to the service are shared between requests", function()
    server:get("/twice")
    local _, before = standin:connections(standin.http)
    for _ = 1, 20 do
      server:get("/twice")
    end
    local _, after = standin:connections(standin.http)
    assert.are.equal(before, after)
  end)
end)
