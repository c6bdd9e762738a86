-- Keepers of several processes on one store, in files and in Redis: one login; and one more where its maker is killed.
-- Depends on redis-server, redis-lua (Debian's lua-redis, which has no folder for Lua 5.4), LuaSocket and the stand-in.

package.path = package.path .. ";/usr/share/lua/5.3/?.lua"

local conformance = require("spec.keeper.conformance")
local filescom = require("filescom")
local redis = require("spec.keeper.redis")
local socket = require("socket")
local support = require("spec.support.standin")

local SCRIPT = [[
package.path = package.path .. ";/usr/share/lua/5.3/?.lua"
local filescom = require "filescom"
local store = %s
local keeper = filescom.keeper {
  credentials = function () return { username = "motor", password = "vroom" } end,
  client = { base_url = %q }, store = store, name = "reports", lock_ttl = 5,
}
print((assert(keeper:session())).id)
]]

describe("processes on one store", function()
  local standin, database, directory

  setup(function()
    standin = support.start({ "http" })
    database = redis.start({ user = "keeper", user_password = "open sesame" })
  end)

  teardown(function()
    standin:stop()
    database:stop()
  end)

  before_each(function()
    standin:reset()
    directory = os.tmpname()
    os.remove(directory)
  end)

  after_each(function()
    os.execute("rm -rf '" .. directory .. "'")
  end)

  local function logins()
    local count = 0
    for _, entry in ipairs(standin:log()) do
      count = count + (entry.method == "POST" and 1 or 0)
    end
    return count
  end

  local function start(store)
    local path = os.tmpname()
    local file = assert(io.open(path, "w"))
    file:write(SCRIPT:format(store, standin.http.base_url))
    file:close()
    local process = assert(io.popen(("echo $$; exec lua5.4 %s 2>&1"):format(path)))
    return { process = process, pid = process:read("*l"), path = path }
  end

  local function finish(started)
    local line = started.process:read("*l")
    started.process:close()
    os.remove(started.path)
    return line
  end

  local function stores()
    return {
      file = ("filescom.store.file(%q)"):format(directory),
      redis = ("filescom.store.redis { port = %d, prefix = %q }"):format(database.port, directory),
    }
  end

  for _, kind in ipairs({ "file", "redis" }) do
    it(("(%s) log in once"):format(kind), function()
      standin:call("configure", { answer_delay = 0.3 })
      local started, ids, count = {}, {}, 0
      for i = 1, 8 do
        started[i] = start(stores()[kind])
      end
      for i = 1, 8 do
        local id = assert(finish(started[i]))
        count = count + (ids[id] and 0 or 1)
        ids[id] = true
      end
      assert.are.equal(1, count)
      assert.are.equal(1, logins())
    end)

    it(("(%s) log in once more where the one that does is killed, within the bound"):format(kind), function()
      standin:call("configure", { answer_delay = 1.2 })
      local first = start(stores()[kind])
      while logins() == 0 do
        socket.sleep(0.02)
      end
      local others = { start(stores()[kind]), start(stores()[kind]) }
      os.execute("kill -9 " .. first.pid)
      local from = socket.gettime()
      finish(first)
      local one, two = finish(others[1]), finish(others[2])
      assert.are.equal(one, two)
      assert.is_truthy(one:find("^%x+$"), one)
      assert.are.equal(2, logins())
      assert.is_true(socket.gettime() - from < 5 + 1.2 + 10)
    end)
  end

  it("have in Redis a store that conforms, by port and by unix socket", function()
    for _, place in ipairs({
      { port = database.port },
      { path = database.path },
      { port = database.port, username = "keeper", password = "open sesame", database = 3 },
    }) do
      place.prefix = directory
      assert.are.same({}, conformance.check(filescom.store.redis(place), socket.sleep, 0.2))
    end
  end)

  it("are told what Redis says to a wrong password", function()
    local store = filescom.store.redis({ port = database.port, username = "keeper", password = "wrong" })
    for _ = 1, 2 do
      local text, why = store:get("reports")
      assert.is_nil(text)
      assert.is_truthy(why:find("WRONGPASS", 1, true), why)
      assert.is_nil(why:find("wrong", 1, true))
    end
  end)

  it("go on when Redis was started again", function()
    local store = filescom.store.redis({ port = database.port })
    assert.is_true(store:set("reports", "a text", 60))
    database:kill()
    local text, why = store:get("reports")
    assert.is_nil(text)
    assert.is_truthy(why:find("^Redis: "), why)
    database:start_again()
    assert.is_nil((store:get("reports")))
    assert.is_true(store:set("reports", "another", 60))
    assert.are.equal("another", store:get("reports"))
  end)
end)
