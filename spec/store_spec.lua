-- The stores of keepers that need no server: memory, file, encrypted, and one that a user wrote.
-- Depends on filescom, LuaFileSystem, luaossl and spec/keeper/conformance.lua.

local conformance = require("spec.keeper.conformance")
local core = require("filescom.core")
local filescom = require("filescom")
local lfs = require("lfs")

local KEY = ("k"):rep(32)

-- As a user would write one, on what they have: here a table and a clock.
local function users_store(clock)
  local rows, locks, store = {}, {}, {}
  local function alive(row)
    return row and clock.now() < row.ends and row or nil
  end
  function store.get(_, name)
    local row = alive(rows[name])
    return row and row.text
  end
  function store.set(_, name, text, ttl)
    rows[name] = { text = text, ends = clock.now() + ttl }
    return true
  end
  function store.delete(_, name)
    rows[name] = nil
    return true
  end
  function store.lock(_, name, token, ttl)
    local row = alive(locks[name])
    if row and row.token ~= token then
      return false
    end
    locks[name] = { token = token, ends = clock.now() + ttl }
    return true
  end
  function store.unlock(_, name, token)
    local row = alive(locks[name])
    if row and row.token == token then
      locks[name] = nil
    end
    return true
  end
  return store
end

local function new_clock()
  local time = 1000000
  return {
    now = function()
      return time
    end,
    sleep = function(seconds)
      time = time + seconds
    end,
  }
end

describe("a store", function()
  local directory, clock, real_time

  before_each(function()
    clock, real_time = new_clock(), os.time
    directory = os.tmpname()
    os.remove(directory)
  end)

  after_each(function()
    os.time = real_time -- luacheck: ignore
    if lfs.attributes(directory) then
      os.execute("rm -rf '" .. directory .. "'")
    end
  end)

  -- The file store has the system's clock, which is moved on here instead of waited for.
  local function file_store()
    os.time = clock.now -- luacheck: ignore
    return filescom.store.file(directory)
  end

  local KINDS = {
    memory = function()
      return filescom.store.memory({ now = clock.now })
    end,
    file = file_store,
    ["file, encrypted"] = function()
      return filescom.store.encrypted(file_store(), KEY)
    end,
    ["memory, encrypted"] = function()
      return filescom.store.encrypted(filescom.store.memory({ now = clock.now }), KEY)
    end,
    ["a user's own"] = function()
      return users_store(clock)
    end,
    ["a user's own, with memory to fall back to"] = function()
      return require("filescom.store.fallback").new(users_store(clock), clock, error)
    end,
    ["memory that a broken one fell back to"] = function()
      local broken = setmetatable({}, {
        __index = function()
          return function()
            return nil, "down"
          end
        end,
      })
      return require("filescom.store.fallback").new(broken, clock, function() end)
    end,
  }

  for kind, new in pairs(KINDS) do
    for _, case in ipairs(conformance.cases) do
      it(("(%s) %s"):format(kind, case.name), function()
        case.run(new(), "reports", clock.sleep)
      end)
    end
  end

  for _, kind in ipairs({ "memory", "file" }) do
    it(("(%s) frees the lock of an owner that died before the clock was set back"):format(kind), function()
      local store = KINDS[kind]()
      assert.is_true(store:lock("reports", "dead", 20))
      clock.sleep(-86400)
      assert.is_true(store:lock("reports", "token", 20))
      clock.sleep(-5) -- as clocks are corrected: the owner lives
      assert.is_false(store:lock("reports", "another's", 20))
    end)
  end

  it("that misses a method is refused, and so are wrong options", function()
    assert.has_error(function()
      filescom.keeper({ credentials = print, store = { get = print } })
    end)
    assert.has_error(function()
      filescom.store.memory({ nwo = os.time })
    end)
    assert.has_error(function()
      filescom.store.file("")
    end)
    assert.has_error(function()
      filescom.store.encrypted(filescom.store.memory(), "short")
    end)
    assert.has_error(function()
      filescom.store.shared_dict("sessions")
    end)
  end)
end)

describe("the store in files", function()
  local directory, store

  before_each(function()
    directory = os.tmpname()
    os.remove(directory)
    store = filescom.store.file(directory)
  end)

  after_each(function()
    os.execute("rm -rf '" .. directory .. "'")
  end)

  local function mode_of(path)
    return lfs.attributes(path).permissions
  end

  it("is for this user alone, directory and files", function()
    store:set("reports", "a text", 60)
    store:lock("reports", "token", 60)
    assert.are.equal("rwx------", mode_of(directory))
    local count = 0
    for name in lfs.dir(directory) do
      if name:sub(1, 1) ~= "." then
        count = count + 1
        assert.are.equal("rw-------", mode_of(directory .. "/" .. name))
      end
    end
    assert.are.equal(3, count) -- reports.session, .lock and .guard, and nothing left over
  end)

  it("refuses a file or a directory that others can read", function()
    store:set("reports", "a text", 60)
    os.execute("chmod 640 '" .. directory .. "/reports.session'")
    local text, why = store:get("reports")
    assert.is_nil(text)
    assert.is_truthy(why:find("open to others", 1, true))
    os.execute("chmod 755 '" .. directory .. "'")
    local ok, message = pcall(filescom.store.file, directory)
    assert.is_false(ok)
    assert.is_truthy(message:find("its mode must be 0700", 1, true))
  end)

  it("does not follow a link that somebody put in its place", function()
    os.execute(("ln -s /etc/passwd '%s/reports.session'"):format(directory))
    local text, why = store:get("reports")
    assert.is_nil(text)
    assert.is_string(why)
  end)

  it("says where it cannot write", function()
    os.execute("rm -rf '" .. directory .. "'")
    local set, why = store:set("reports", "a text", 60)
    assert.is_nil(set)
    assert.is_truthy(why:find(directory, 1, true))
    local locked
    locked, why = store:lock("reports", "token", 60)
    assert.is_nil(locked)
    assert.is_string(why)
  end)

  it("tells foreign contents and takes a torn lock for none", function()
    assert.is_true(core.create_private(directory .. "/reports.session", "something else"))
    local text, why = store:get("reports")
    assert.is_false(text)
    assert.is_string(why)
    assert.is_true(core.create_private(directory .. "/reports.lock", ""))
    assert.is_true(store:lock("reports", "token", 60))
  end)

  it("makes a name no path", function()
    assert.is_true(store:set("../outside", "a text", 60))
    assert.is_nil(lfs.attributes(directory .. "/../outside.session"))
    assert.are.equal("a text", store:get("../outside"))
  end)
end)

describe("an encrypted store", function()
  local held, store

  before_each(function()
    held = filescom.store.memory()
    store = filescom.store.encrypted(held, KEY)
    store:set("reports", "a secret text", 60)
  end)

  local function sealed()
    return assert(held:get("reports"))
  end

  it("shows nothing of what it holds, and never the same", function()
    local first = sealed()
    assert.is_nil(first:find("secret", 1, true))
    store:set("reports", "a secret text", 60)
    assert.are_not.equal(first, sealed())
  end)

  it("tells another key, another name, and any change", function()
    local first = sealed()
    local text, why = filescom.store.encrypted(held, ("x"):rep(32)):get("reports")
    assert.is_false(text)
    assert.is_truthy(why:find("another key", 1, true))
    held:set("moved", first, 60)
    assert.is_false((store:get("moved")))
    for place = 1, #first do
      local changed = string.char((first:byte(place) + 1) % 256)
      held:set("reports", first:sub(1, place - 1) .. changed .. first:sub(place + 1), 60)
      assert.is_false((store:get("reports")))
      held:set("reports", first:sub(1, place - 1), 60)
      assert.is_false((store:get("reports")))
    end
  end)

  it("says what is missing where there is no library", function()
    local loaded, preload = package.loaded["openssl.cipher"], package.preload["openssl.cipher"]
    package.loaded["openssl.cipher"] = nil
    package.preload["openssl.cipher"] = function()
      error("not here")
    end
    local ok, why = pcall(filescom.store.encrypted, held, KEY)
    package.loaded["openssl.cipher"], package.preload["openssl.cipher"] = loaded, preload
    assert.is_false(ok)
    assert.is_truthy(why:find("luaossl", 1, true))
  end)
end)
