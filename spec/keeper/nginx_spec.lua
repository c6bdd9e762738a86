-- Keepers inside nginx: hundreds of requests of several workers, and of two nginx on one Redis, and one login.
-- Depends on nginx, redis-server, lua-resty-redis (Debian's lua-nginx-redis) and the stand-in.

local nginx = require("spec.support.nginx")
local redis = require("spec.keeper.redis")
local support = require("spec.support.standin")

local HTTP = "lua_shared_dict sessions 1m; lua_shared_dict notes 1m; resolver 127.0.0.1;"

-- The keepers of these specs: their clock is nginx's and what the spec adds to it.
local INIT = [[
package.path = "@root@/?.lua;" .. package.path
filescom = require "filescom"
notes = ngx.shared.notes
CLOCK = { now = function () return ngx.now() + (notes:get("offset") or 0) end }
function new_keeper(options)
  options.credentials = options.credentials or function ()
    notes:incr("asked", 1, 0)
    notes:set("asker", ngx.worker.pid())
    return { username = "motor", password = notes:get("password") or "vroom" }
  end
  options.client = options.client or { base_url = "@base_url@", retries = 0 }
  options.clock = CLOCK
  return filescom.keeper(options)
end
function say(session, err)
  ngx.say(ngx.worker.pid(), " ", session and session.id or tostring(err), " ", err and err.remembered and "again" or "")
end
function conformance_of(store)
  local faults = require("spec.keeper.conformance").check(store, ngx.sleep, 0.2)
  return #faults == 0 and "conforms" or table.concat(faults, "\n")
end
]]

local LOCATIONS = {
  ["= /session"] = "say(keeper:session())",
  ["= /call"] = [[
    local answer, err = keeper:request("GET", "/folders")
    ngx.say(answer and answer.status or tostring(err))
  ]],
  ["= /conformance"] = "ngx.say(conformance_of(filescom.store.shared_dict(\"sessions\")))",
  ["= /offset"] = 'notes:set("offset", tonumber(ngx.var.arg_by))',
  ["= /password"] = 'notes:set("password", ngx.var.arg_is)',
  ["= /asker"] = 'ngx.say(notes:get("asker"))',
  ["= /asked"] = 'ngx.say(notes:get("asked") or 0)',
  ["= /forget"] = 'ngx.shared.sessions:flush_all() notes:flush_all() ngx.say("forgotten")',
  ["= /locks"] = [[
    local store, taken = keeper._store, 0
    local lock = store.lock
    store.lock = function (...) taken = taken + 1 return lock(...) end
    for _ = 1, 1000 do assert(keeper:session()) end
    store.lock = nil
    ngx.say(taken)
  ]],
  ["= /raises"] = [[
    local raising = new_keeper { name = "raising", credentials = function () error("no vault") end }
    ngx.say(tostring(select(2, pcall(raising.session, raising))))
    ngx.say(tostring(select(2, pcall(raising.session, raising))))
  ]],
  ["= /totp"] = [[
    local totp = new_keeper { name = "totp", store = filescom.store.shared_dict("sessions"),
      credentials = function () return { username = "tess", password = "tick-tock" } end,
      otp_secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ" }
    say(totp:session())
  ]],
  ["= /stray"] = [[
    local store = filescom.store.shared_dict("sessions")
    -- As if made for 20 seconds before the clock was set back by an hour.
    ngx.shared.sessions:set("lock:stray", "dead", 3620, 20)
    store:lock("stray", "mine", 20)
    ngx.say(tostring(store:lock("stray", "mine", 20)), " ", tostring(store:lock("stray", "another's", 1)))
  ]],
  ["= /encrypted"] = [[
    local store = filescom.store.encrypted(filescom.store.shared_dict("sessions"), ("k"):rep(32))
    local sealed = new_keeper { name = "sealed", store = store }
    local session = assert(sealed:session())
    ngx.say(ngx.shared.sessions:get("session:sealed"):find(session.id, 1, true) and "open" or "sealed")
  ]],
}

-- A phase in which nothing can wait.
local HEADER_FILTER = [[
location = /header_filter {
  return 200 "";
  header_filter_by_lua_block {
    local ok, session, err = pcall(keeper.session, keeper)
    ngx.header.x_session = tostring(ok and session and session.id or err or session)
  }
}
]]

describe("nginx: a keeper", function()
  local standin

  setup(function()
    standin = support.start({ "http" })
  end)

  teardown(function()
    standin:stop()
  end)

  before_each(function()
    standin:reset()
  end)

  local function logins()
    local count = 0
    for _, entry in ipairs(standin:log()) do
      if entry.method == "POST" then
        count = count + 1
      end
    end
    return count
  end

  -- Visits servers at once, each `count` times. Returns the set of the workers and of the ids told, and their numbers.
  local function visit(servers, count, path)
    local seen, visits = { workers = {}, ids = {}, worker_count = 0, id_count = 0 }, {}
    local function note(kind, value)
      if not seen[kind .. "s"][value] then
        seen[kind .. "s"][value] = true
        seen[kind .. "_count"] = seen[kind .. "_count"] + 1
      end
    end
    for _, server in ipairs(servers) do
      for _ = 1, count do
        visits[#visits + 1] = function()
          local answer = server:get(path or "/session", { timeout = 40 })
          local worker, id = (answer.body or ""):match("^(%d+) (.-) ?$")
          note("worker", worker or "?")
          note("id", id or answer.failed)
        end
      end
    end
    nginx.together(visits)
    return seen
  end

  describe("with a shared dictionary and four workers", function()
    local server

    setup(function()
      server = nginx.start({
        base_url = standin.http.base_url,
        workers = 4,
        listen = "reuseport backlog=2048",
        connections = 2048,
        http = HTTP,
        init = INIT .. 'keeper = new_keeper { store = filescom.store.shared_dict("sessions"), name = "reports", '
          .. "lock_ttl = 6, wait = 20 }",
        locations = LOCATIONS,
        server = HEADER_FILTER,
      })
    end)

    teardown(function()
      server:stop()
    end)

    before_each(function()
      server:get("/forget")
    end)

    it("logs in once for 800 requests on a cold start, and once at each expiry", function()
      standin:call("configure", { answer_delay = 0.3 })
      local first = visit({ server }, 800)
      assert.are.equal(1, first.id_count)
      assert.are.equal(4, first.worker_count)
      assert.are.equal(1, logins())

      server:get("/offset?by=21570") -- within the margin: nobody waits
      visit({ server }, 800)
      nginx.eventually("the session was renewed", 5, function()
        return not first.ids[server:get("/session").body:match("^%d+ (%x+)")]
      end)
      local second = visit({ server }, 800)
      assert.are.equal(1, second.id_count)
      assert.are.equal(2, logins())

      server:get("/offset?by=" .. 21570 + 21700) -- long over
      local third = visit({ server }, 800)
      assert.are.equal(1, third.id_count)
      assert.are_not.same(second.ids, third.ids)
      assert.are.equal(3, logins())
      assert.are.equal("3", server:get("/asked").body)
    end)

    it("logs in once for all whose session was revoked", function()
      server:get("/session")
      standin:call("revoke", {})
      local visits, statuses = {}, {}
      for i = 1, 200 do
        visits[i] = function()
          statuses[i] = server:get("/call").body
        end
      end
      nginx.together(visits)
      for i = 1, 200 do
        assert.are.equal("200", statuses[i])
      end
      assert.are.equal(2, logins())
    end)

    it("tries a wrong password once for all", function()
      server:get("/password?is=wrong")
      local seen = visit({ server }, 400)
      assert.are.equal(4, seen.worker_count)
      assert.are.equal(1, logins())
    end)

    it("lets others log in when the worker that does is killed, within the bound", function()
      standin:call("configure", { answer_delay = 2 })
      local before, visits, done = server:workers(), {}, {}
      for i = 1, 100 do
        visits[i] = function()
          done[i] = server:get("/session", { timeout = 30 })
        end
      end
      visits[#visits + 1] = function()
        nginx.eventually("a login is under way", 5, function()
          return logins() == 1
        end)
        os.execute("kill -9 " .. server:get("/asker", { timeout = 5 }).body)
      end
      nginx.together(visits)
      local served, lost, longest = 0, 0, 0
      for i = 1, 100 do
        local id = (done[i].body or ""):match("^%d+ (%x+) $")
        served, lost = served + (id and 1 or 0), lost + (done[i].failed and 1 or 0)
        longest = math.max(longest, done[i].seconds)
      end
      assert.are.equal(4, #before)
      assert.are.equal(100, served + lost)
      assert.is_true(served > 40)
      assert.are.equal(2, logins())
      assert.is_true(longest < 6 + 2 + 6, longest)
    end)

    it("goes on when the request that wanted the login is gone", function()
      standin:call("configure", { answer_delay = 0.5 })
      server:get("/session", { leave_after = 0.1 })
      assert.are.equal(1, visit({ server }, 20).id_count)
      assert.are.equal(1, logins())
    end)

    it("gives in every phase a session that is there, also when it is due, and says so where it cannot wait", function()
      local function told()
        return server:get("/header_filter").headers["x-session"]
      end
      assert.is_truthy(told():find("cannot wait in nginx's phase 'header_filter'", 1, true))
      local id = server:get("/session").body:match("^%d+ (%x+)")
      assert.are.equal(id, told())
      server:get("/offset?by=21570")
      assert.are.equal(id, told())
      nginx.eventually("the session was renewed", 5, function()
        return told() ~= id
      end)
      assert.are.equal(2, logins())
    end)

    it("obtains a session before there are workers, for all of them", function()
      local early = nginx.start({
        base_url = standin.http.base_url,
        workers = 2,
        http = HTTP,
        init = INIT .. 'keeper = new_keeper { store = filescom.store.shared_dict("sessions"), name = "early" } '
          .. "assert(keeper:session())",
        locations = LOCATIONS,
      })
      local before, seen = logins(), visit({ early }, 40)
      early:stop()
      assert.are.equal(1, before)
      assert.are.equal(1, seen.id_count)
      assert.are.equal(1, logins())
    end)

    it("logs in where nginx has no timer to spare, or drops the one it gave", function()
      local occupy = [[
        for _ = 1, 8 do ngx.timer.at(0, function (premature) if not premature then ngx.sleep(4) end end) end
        ngx.sleep(0.1)
        ngx.say("occupied")
      ]]
      for _, limit in ipairs({ "lua_max_pending_timers 1; lua_max_running_timers 1;", "lua_max_running_timers 1;" }) do
        local busy = nginx.start({
          base_url = standin.http.base_url,
          http = HTTP .. limit,
          init = INIT .. "keeper = new_keeper {}",
          locations = { ["= /session"] = LOCATIONS["= /session"], ["= /occupy"] = occupy },
        })
        standin:reset()
        assert.are.equal("occupied", busy:get("/occupy").body)
        local seen = visit({ busy }, 20)
        assert.are.equal(1, logins())
        assert.are.equal(1, seen.id_count)
        busy:stop()
      end
    end)

    it("takes no lock on a warm store", function()
      server:get("/session")
      assert.are.equal("0", server:get("/locks").body)
    end)

    it("raises what credentials raises, and frees the others", function()
      local body = server:get("/raises").body
      assert.are.equal(2, select(2, body:gsub("no vault", "")))
    end)

    it("answers totp with nginx's own HMAC, and encrypts with luaossl", function()
      local worker, id = server:get("/totp").body:match("^(%d+) (%x+)")
      assert.is_string(worker)
      assert.is_string(id)
      assert.are.equal("sealed", server:get("/encrypted").body)
    end)

    it("does not wait for a dead owner's lock from before the clock was set back", function()
      assert.are.equal("true false", server:get("/stray").body)
    end)

    it("has in the dictionary a store that conforms", function()
      assert.are.equal("conforms", server:get("/conformance").body)
    end)
  end)

  describe("with Redis and two nginx", function()
    local database, servers

    setup(function()
      database = redis.start({ password = "open sesame", user = "keeper", user_password = "knock" })
      servers = {}
      for i = 1, 2 do
        servers[i] = nginx.start({
          base_url = standin.http.base_url,
          workers = 2,
          listen = "reuseport backlog=2048",
          connections = 2048,
          http = HTTP,
          init = INIT .. ([[
            function new_store(more)
              local options = { port = %d, password = "open sesame", timeout = 2 }
              for name, value in pairs(more or {}) do options[name] = value end
              return filescom.store.redis(options)
            end
            keeper = new_keeper { store = new_store(), name = "reports", recheck = 0 }
            careful = new_keeper { store = new_store(), name = "reports", recheck = 0, fallback = true }
          ]]):format(database.port),
          locations = {
            ["= /session"] = LOCATIONS["= /session"],
            ["= /offset"] = LOCATIONS["= /offset"],
            ["= /careful"] = "say(careful:session())",
            ["= /conformance"] = "ngx.say(conformance_of(new_store { prefix = \"tcp:\" }))",
            ["= /conformance_unix"] = ('ngx.say(conformance_of(new_store { path = %q, prefix = "unix:" }))'):format(
              database.path),
            ["= /conformance_user"] = [[
              local place = { username = "keeper", password = "knock", database = 3, prefix = "user:" }
              ngx.say(conformance_of(new_store(place)))
            ]],
            ["= /wrong"] = 'say(new_keeper({ store = new_store { password = "wrong" } }):session())',
          },
        })
      end
    end)

    teardown(function()
      for _, server in ipairs(servers) do
        server:stop()
      end
      database:stop()
    end)

    it("logs in once for 400 requests of two nginx, cold and at expiry", function()
      standin:call("configure", { answer_delay = 0.3 })
      local seen = visit(servers, 200)
      assert.are.equal(1, seen.id_count)
      assert.are.equal(4, seen.worker_count)
      assert.are.equal(1, logins())
      for _, server in ipairs(servers) do
        server:get("/offset?by=21700")
      end
      assert.are.equal(1, visit(servers, 200).id_count)
      assert.are.equal(2, logins())
    end)

    it("has in Redis a store that conforms, by port and by unix socket", function()
      assert.are.equal("conforms", servers[1]:get("/conformance").body)
      assert.are.equal("conforms", servers[2]:get("/conformance_unix").body)
      assert.are.equal("conforms", servers[2]:get("/conformance_user").body)
    end)

    it("says what Redis says to a wrong password", function()
      assert.is_truthy(servers[1]:get("/wrong").body:find("WRONGPASS", 1, true))
    end)

    it("says that Redis is down, and falls back only where told to", function()
      database:kill()
      local body = servers[1]:get("/session").body
      assert.is_truthy(body:find("store/unavailable", 1, true))
      assert.is_truthy(body:find("connection refused", 1, true))
      assert.is_truthy(servers[1]:get("/careful").body:match("^%d+ %x+ $"))
      database:start_again()
      assert.is_truthy(servers[1]:get("/session").body:match("^%d+ %x+ $"))
    end)
  end)
end)
