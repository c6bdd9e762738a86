-- Misuse: every public function called with every wrong type in every place, and what callbacks may do to a call.
-- Depends on filescom, filescom.core, lua-cjson and the stand-in. A failure names the seed of its calls:
-- SEED=N repeats them, CALLS=N makes more of them at random than the usual 3,000.

local api = require("spec.support.api")
local cjson = require("cjson")
local core = require("filescom.core")
local support = require("spec.support.standin")

local MOTOR = api.MOTOR
local TESS = { username = "tess", password = "tick-tock" }
local ID = "0123456789abcdef"
local SEED = tonumber(os.getenv("SEED")) or os.time()
local CALLS = tonumber(os.getenv("CALLS")) or 3000

local unpack = unpack or table.unpack -- luacheck: ignore 113 143
local HAS_CLOSE = _VERSION == "Lua 5.4"

-- A module of its own, whose default client nobody else has configured.
local function new_module()
  package.loaded.filescom = nil
  return require("filescom")
end

-- ---- values of every type -------------------------------------------------------------------

local function anything() end

-- { what, value } of every type and of some kinds within it; `others` are further userdata.
local function all_values(others)
  local list = {
    { "nil", nil }, { "boolean", false }, { "boolean", true },
    { "number", 0 }, { "number", -1 }, { "number", 1 }, { "number", 1.5 }, { "number", 1e300 },
    { "number", math.huge }, { "number", 0 / 0 }, { "number", 2 ^ 53 }, { "number", -2 ^ 63 },
    { "string", "" }, { "string", "text" }, { "string", "a\0b" }, { "string", ("x"):rep(100000) },
    { "table", {} }, { "table", { "list" } }, { "table", { [anything] = anything } },
    { "table", setmetatable({}, { __name = "filescom.client", __tostring = function() return "object" end }) },
    { "function", anything }, { "function", print }, { "thread", coroutine.create(anything) },
    { "userdata", io.stdout }, { "userdata", cjson.null },
  }
  for _, other in ipairs(others) do
    list[#list + 1] = { "userdata", other }
  end
  return list
end

-- ---- what is called -------------------------------------------------------------------------

local CLIENT_OPTIONS = {
  base_url = "string", subdomain = "string", timeout = "number", connect_timeout = "number", retries = "number",
  ca_file = "string", ca_path = "string", proxy = "string", user_agent = "string", language = "string",
  workspace_id = "string", max_response_size = "number", debug = "function",
}
local CREDENTIALS = { username = "string", password = "string", otp = "string", partial_session_id = "string" }
local REQUEST_OPTIONS = {
  query = "table", body = "string", headers = "table", timeout = "number",
}
local CORE_REQUEST = {
  method = "string", path = "string", base_url = "string", session_id = "string", headers = "table", body = "string",
  timeout = "number",
}
local OTP_OPTIONS = { attempts = "number" }

-- A place: what it is called in errors, the types that are right there, a right value, its fields.
local function place(name, types, right, fields)
  return { name = name, types = types, right = right, fields = fields }
end

-- What the functions are called with where it is right. None of them may be sent in a wrong call.
local CREDENTIALS_PLACE = place("credentials", "table", MOTOR, CREDENTIALS)
local OPTIONS_PLACE = place("option", "table nil", {}, CLIENT_OPTIONS)
local GET_CODE_PLACE = place("get_code", "function", anything)
local ATTEMPTS_PLACE = place("option", "table nil", {}, OTP_OPTIONS)
local SESSION_PLACE = place("session", "string nil", nil)
local TAKEN_UP_PLACE = place("session", "string", ID)
local URL_PLACE = place("base_url", "string nil", nil)

-- name -> { the function, its places }
local function all_functions(filescom, client, session, core_client, exchange)
  local self = place("client", "self", client)
  local core_self = place("filescom%.client", "self", core_client)
  local session_self = place("session", "self", session)
  local exchange_self = place("filescom%.exchange", "self", exchange)
  return {
    ["filescom.login"] = { filescom.login, CREDENTIALS_PLACE },
    ["filescom.logout"] = { filescom.logout, SESSION_PLACE },
    ["filescom.login_with_otp"] = { filescom.login_with_otp, CREDENTIALS_PLACE, GET_CODE_PLACE, ATTEMPTS_PLACE },
    ["filescom.session"] = { filescom.session, TAKEN_UP_PLACE },
    ["filescom.new"] = { filescom.new, OPTIONS_PLACE },
    ["filescom.configure"] = { filescom.configure, place("option", "table", {}, CLIENT_OPTIONS) },
    ["client:login"] = { client.login, self, CREDENTIALS_PLACE },
    ["client:logout"] = { client.logout, self, SESSION_PLACE },
    ["client:login_with_otp"] = { client.login_with_otp, self, CREDENTIALS_PLACE, GET_CODE_PLACE, ATTEMPTS_PLACE },
    ["client:session"] = { client.session, self, TAKEN_UP_PLACE },
    ["client:close"] = { client.close, self },
    ["session:logout"] = { session.logout, session_self },
    ["session:headers"] = { session.headers, session_self },
    ["session:request"] = { session.request, session_self, place("method", "string", "GET"),
      place("path", "string", "/user"), place("option", "table nil", {}, REQUEST_OPTIONS) },
    ["core.client"] = { core.client, place("option", "table nil", {}, CLIENT_OPTIONS) },
    ["core.base_url"] = { core.base_url, place("#1", "string number", "https://app.files.com") },
    ["core.region_base_url"] = { core.region_base_url, place("#1", "string number", "https://app.files.com/x"),
      place("#2", "string number", "b.files.com") },
    ["core client:login"] = { core_client.login, core_self, CREDENTIALS_PLACE, URL_PLACE },
    ["core client:begin_login"] = { core_client.begin_login, core_self, CREDENTIALS_PLACE, URL_PLACE },
    ["core client:logout"] = { core_client.logout, core_self, TAKEN_UP_PLACE, URL_PLACE },
    ["core client:begin_logout"] = { core_client.begin_logout, core_self, TAKEN_UP_PLACE, URL_PLACE },
    ["core client:request"] = { core_client.request, core_self,
      place("request", "table", { method = "GET", path = "/user" }, CORE_REQUEST) },
    ["core client:begin_request"] = { core_client.begin_request, core_self,
      place("request", "table", { method = "GET", path = "/user" }, CORE_REQUEST) },
    ["core client:base_url"] = { core_client.base_url, core_self },
    ["core client:close"] = { core_client.close, core_self },
    ["exchange:wait"] = { exchange.wait, exchange_self, place("#[12]", "number nil", 0) },
    ["exchange:done"] = { exchange.done, exchange_self },
    ["exchange:finish"] = { exchange.finish, exchange_self },
    ["exchange:cancel"] = { exchange.cancel, exchange_self },
    ["exchange:id"] = { exchange.id, exchange_self },
    ["exchange:info"] = { exchange.info, exchange_self },
  }
end

-- A number in the place of a string is refused by all but the two functions that read URLs.
local function is_wrong(place_, kind)
  return not (" " .. place_.types .. " "):find(" " .. kind .. " ", 1, true)
end

local function shown(value)
  local text = type(value) == "string" and ("%q"):format(value:sub(1, 20)) or type(value)
  return type(value) == "number" and tostring(value) or text
end

describe("misuse:", function()
  local standin, filescom, client, session, core_client, exchange, values, functions
  local made = 0

  setup(function()
    standin = support.start({ "http" })
  end)

  teardown(function()
    standin:stop()
    if os.getenv("CALLS") then
      print(("\n%d wrong calls were made, with SEED=%d"):format(made, SEED))
    end
  end)

  before_each(function()
    standin:reset()
    filescom = new_module()
    filescom.configure({ base_url = standin.http.base_url })
    client = filescom.new({ base_url = standin.http.base_url })
    session = client:session(ID)
    core_client = core.client({ base_url = standin.http.base_url })
    exchange = core_client:begin_login(MOTOR)
    exchange:wait()
    standin:call("clear_log")
    values = all_values({ exchange, core_client })
    functions = all_functions(filescom, client, session, core_client, exchange)
  end)

  -- The names of all functions, sorted, so that a seed tells the calls.
  local function names()
    local list = {}
    for name in pairs(functions) do
      list[#list + 1] = name
    end
    table.sort(list)
    return list
  end

  local function arguments_of(entry)
    local arguments = { n = #entry - 1 }
    for i = 1, arguments.n do
      arguments[i] = entry[i + 1].right
    end
    return arguments
  end

  -- Calls with arguments of which those in the places of a list are wrong; why it is not well, or nil.
  local function trouble_of(name, arguments, wrong_places)
    local entry = functions[name]
    made = made + 1
    local results = { n = 0 }
    local function keep(...)
      results = { n = select("#", ...), ... }
    end
    keep(pcall(entry[1], unpack(arguments, 1, arguments.n)))
    if results[1] then
      local fine = results[2] == nil and results[3] ~= nil
      return not fine and "it was taken for right" or nil
    end
    local why = results[2]
    if type(why) ~= "string" then
      return "the error is no string but a " .. type(why)
    end
    for _, place_ in ipairs(wrong_places) do
      if why:find(place_.name) and not why:find("attempt to", 1, true) then
        return nil
      end
    end
    return "the error names no wrong argument: " .. why
  end

  local function described(name, arguments, trouble)
    local texts = {}
    for i = 1, arguments.n do
      texts[i] = shown(arguments[i])
    end
    return ("%s(%s): %s (SEED=%d)"):format(name, table.concat(texts, ", "), trouble, SEED)
  end

  -- Fails with the first of the troubles and their number, or where anything was sent.
  local function assert_well(troubles)
    assert.are.equal(0, #troubles, ("%d troubles, such as\n  %s"):format(#troubles,
      table.concat(troubles, "\n  ", 1, math.min(#troubles, 12))))
    assert.are.equal(0, #standin:log(), "something was sent (SEED=" .. SEED .. ")")
  end

  -- Calls one function with every wrong type in one place, and notes the troubles.
  local function try_place(name, position, troubles)
    local entry = functions[name]
    local place_ = entry[position + 1]
    for _, value in ipairs(values) do
      if is_wrong(place_, value[1]) and value[2] ~= place_.right then
        local arguments = arguments_of(entry)
        arguments[position] = value[2]
        local trouble = trouble_of(name, arguments, { place_ })
        troubles[#troubles + 1] = trouble and described(name, arguments, trouble)
      end
    end
  end

  local function try_places(wanted)
    local troubles = {}
    for _, name in ipairs(names()) do
      for position = 1, #functions[name] - 1 do
        if wanted(name, functions[name][position + 1]) then
          try_place(name, position, troubles)
        end
      end
    end
    assert_well(troubles)
  end

  describe("every wrong type", function()
    it("in the place of an argument is an error that names it, or nil and an error", function()
      try_places(function(_, place_)
        return place_.types ~= "self"
      end)
    end)

    it("in the place of the core's objects is an error that names their kind", function()
      try_places(function(name, place_)
        return place_.types == "self" and (name:find("^core") or name:find("^exchange"))
      end)
    end)

    it("in the place of a client is an error that says so", function()
      try_places(function(name, place_)
        return place_.types == "self" and name:find("^client")
      end)
    end)

    it("in the place of a session is an error that says so", function()
      try_places(function(name, place_)
        return place_.types == "self" and name:find("^session")
      end)
    end)

    it("in the place of an option is an error that names the option", function()
      local troubles = {}
      for _, name in ipairs(names()) do
        local entry = functions[name]
        for position = 1, #entry - 1 do
          for field, kind in pairs(entry[position + 1].fields or {}) do
            for _, value in ipairs(values) do
              if value[1] ~= kind and value[2] ~= nil then
                local arguments = arguments_of(entry)
                arguments[position] = { [field] = value[2] }
                local expected = place("'" .. field .. "'")
                local trouble = trouble_of(name, arguments, { expected })
                troubles[#troubles + 1] = trouble and described(name .. " " .. field, arguments, trouble)
              end
            end
          end
        end
      end
      assert_well(troubles)
    end)

    it("in the place of an option's name is an error that says so", function()
      local troubles = {}
      for _, name in ipairs(names()) do
        local entry = functions[name]
        for position = 1, #entry - 1 do
          for _, value in ipairs(entry[position + 1].fields and values or {}) do
            if value[2] ~= nil and value[2] == value[2] then
              local arguments = arguments_of(entry)
              arguments[position] = { [value[2]] = "x" }
              local trouble = trouble_of(name, arguments, { place("unknown option") })
              troubles[#troubles + 1] = trouble and described(name, arguments, trouble)
            end
          end
        end
      end
      assert_well(troubles)
    end)

    it("in several places at once is an error that names one of them", function()
      math.randomseed(SEED)
      local list, troubles = names(), {}
      for _ = 1, CALLS do
        local name = list[math.random(#list)]
        local entry = functions[name]
        local arguments, wrong = arguments_of(entry), {}
        for position = 1, arguments.n do
          local place_, value = entry[position + 1], values[math.random(#values)]
          if place_.types ~= "self" and is_wrong(place_, value[1]) then
            arguments[position] = value[2]
            wrong[#wrong + 1] = place_
          end
        end
        if #wrong > 0 then
          local trouble = trouble_of(name, arguments, wrong)
          troubles[#troubles + 1] = trouble and described(name, arguments, trouble)
        end
      end
      assert_well(troubles)
    end)

    it("in the place of a header's or a query parameter's name or value is an error that says so", function()
      local troubles = {}
      for _, option in ipairs({ { "headers", "string number", "header" }, { "query", "string number boolean table nil",
        "quer" } }) do
        for _, value in ipairs(values) do
          local as_value = place(option[3], option[2])
          for _, given in ipairs({ is_wrong(as_value, value[1]) and value[2] ~= nil and { name = value[2] } or false,
            value[1] ~= "string" and value[2] ~= nil and value[2] == value[2] and { [value[2]] = "x" } or false }) do
            if given then
              local arguments = { n = 4, session, "GET", "/user", { [option[1]] = given } }
              local trouble = trouble_of("session:request", arguments, { as_value })
              troubles[#troubles + 1] = trouble and described(option[1], arguments, trouble)
            end
          end
        end
      end
      assert_well(troubles)
    end)

    it("as JSON that JSON does not have is an error that says so", function()
      for _, value in ipairs({ anything, print, coroutine.create(anything), io.stdout, exchange,
        { [anything] = 1 }, { anything }, { [1e6] = 1 } }) do
        local why = api.raised(session.request, session, "POST", "/user", { json = value })
        assert.is_truthy(why:find("option 'json' cannot be encoded", 1, true), why)
      end
      assert_well({})
    end)

    it("in the place of what is_session_id asks about is no session id", function()
      for _, value in ipairs(values) do
        if value[1] ~= "string" then
          assert.is_false(core.is_session_id(value[2]))
        end
      end
    end)

    it("given beyond what a function takes is passed over", function()
      for _, name in ipairs({ "descriptor", "step", "next_news", "in_flight", "rearm_relay" }) do
        for _, value in ipairs(values) do
          assert.is_true((pcall(core[name], value[2], value[2])), name)
        end
      end
      assert_well({})
    end)
  end)

  describe("what get_code returns", function()
    local function outcome(...)
      local results = { n = select("#", ...), ... }
      local ok, got, err = pcall(client.login_with_otp, client, TESS, function()
        return unpack(results, 1, results.n)
      end)
      return ok, got, err
    end

    it("of every wrong type is an error that names get_code, or gives up", function()
      for _, value in ipairs(values) do
        standin:call("unlock", { username = "tess" })
        local ok, got, err = outcome(value[2])
        if value[1] == "nil" then
          assert.is_true(ok and got == nil and err.status == 401)
        elseif value[1] ~= "string" then
          assert.is_false(ok)
          assert.is_truthy(got:find("get_code must return a string or nil, got " .. type(value[2]), 1, true), got)
        end
      end
    end)

    it("of every wrong type as the method is an error that names get_code", function()
      for _, value in ipairs(values) do
        if value[2] ~= nil then
          local ok, why = outcome("123456", value[2])
          assert.is_false(ok)
          assert.is_truthy(why:find("get_code chose the method", 1, true), why)
        end
      end
    end)

    it("of every wrong type as the reason can be shown", function()
      for _, value in ipairs(values) do
        local ok, got, err = outcome(nil, value[2])
        assert.is_true(ok and got == nil)
        assert.is_string(tostring(err))
      end
    end)
  end)

  it("a prompt of every wrong type is an error that names it", function()
    local terminal = require("filescom.terminal")
    for _, name in ipairs({ "read_secret", "read_line" }) do
      for _, value in ipairs(values) do
        if value[1] ~= "string" then
          local why = api.raised(terminal[name], value[2])
          assert.is_truthy(why:find("prompt must be a string", 1, true), why)
        end
      end
    end
  end)

  it("a challenge of every wrong type is an error that names it", function()
    local terminal = require("filescom.terminal")
    for _, value in ipairs(values) do
      local why = api.raised(terminal.get_code, value[2])
      assert.is_truthy(why:find("challenge", 1, true) and not why:find("attempt to", 1, true), why)
    end
  end)

  it("a query that holds itself is an error that names it, and does not eat the memory", function()
    local text = api.run_lua(([[
      local session = require("filescom").new({ base_url = %q }):session(%q)
      local query = {}
      query.q = query
      collectgarbage("setpause", 100)
      local ok, why
      local co = coroutine.create(function()
        ok, why = pcall(session.request, session, "GET", "/x", { query = query })
      end)
      debug.sethook(co, function()
        if collectgarbage("count") > 200 * 1024 then debug.sethook(co) error("too much memory", 0) end
      end, "", 1000)
      coroutine.resume(co)
      print(ok, (tostring(why):sub(1, 200)))
    ]]):format(standin.http.base_url, ID))
    assert.is_truthy(text:find("false", 1, true))
    assert.is_nil(text:find("too much memory", 1, true), text)
    assert.is_truthy(text:find("query", 1, true), text)
  end)

  -- ---- objects that are wrong or no more ------------------------------------------------------

  describe("a method", function()
    it("of a closed client says that it is closed", function()
      client:close()
      core_client:close()
      for _, call in ipairs({ function() client:login(MOTOR) end, function() client:logout(ID) end,
        function() client:login_with_otp(MOTOR, anything) end, function() session:logout() end,
        function() session:request("GET", "/user") end, function() core_client:begin_login(MOTOR) end,
        function() core_client:begin_logout(ID) end, function() core_client:base_url() end,
        function() core_client:begin_request({ method = "GET", path = "/" }) end }) do
        assert.is_truthy(api.raised(call):find("the client is closed", 1, true))
      end
      assert_well({})
    end)

    it("of a finished exchange says that it is closed", function()
      exchange:finish()
      for _, name in ipairs({ "wait", "done", "finish", "id", "info" }) do
        assert.is_truthy(api.raised(exchange[name], exchange):find("the exchange is closed", 1, true))
      end
      exchange:cancel()
    end)

    it("of a cancelled exchange says that it is closed", function()
      local cancelled = core_client:begin_login(MOTOR)
      cancelled:cancel()
      for _, name in ipairs({ "wait", "done", "finish", "id", "info" }) do
        assert.is_truthy(api.raised(cancelled[name], cancelled):find("the exchange is closed", 1, true))
      end
      assert.are.equal(0, core.in_flight())
    end)

    it("of a session whose fields were replaced by every wrong type is an error", function()
      for _, field in ipairs({ "id", "base_url" }) do
        for _, value in ipairs(values) do
          local changed = client:session(ID)
          changed[field] = value[2]
          if value[1] ~= "string" and not (field == "base_url" and value[2] == nil) then
            if field == "base_url" or value[2] ~= nil then
              assert.is_truthy(api.raised(changed.request, changed, "GET", "/user"):find("session", 1, true))
            end
            assert.is_truthy(api.raised(changed.logout, changed):find("session", 1, true))
            assert.is_string(tostring(changed))
          end
        end
      end
      assert_well({})
    end)
  end)

  describe("a metamethod called directly", function()
    local function each_metamethod(object, call)
      for name, metamethod in pairs(debug.getmetatable(object)) do
        if type(metamethod) == "function" then
          call(name, metamethod)
        end
      end
    end

    it("with every wrong type is an error or nothing", function()
      for _, object in ipairs({ client, session, core_client, exchange }) do
        each_metamethod(object, function(_, metamethod)
          for _, value in ipairs(values) do
            if value[2] ~= object and value[2] ~= exchange and value[2] ~= core_client then
              pcall(metamethod, value[2], value[2])
            end
          end
          pcall(metamethod)
        end)
      end
      assert_well({})
    end)

    it("collects a client twice, and it says then that it is closed", function()
      local metatable = debug.getmetatable(core_client)
      metatable.__gc(core_client)
      metatable.__gc(core_client)
      metatable.__close(core_client)
      assert.is_truthy(metatable.__tostring(core_client):find("closed", 1, true))
      assert.is_truthy(api.raised(core_client.base_url, core_client):find("closed", 1, true))
    end)

    it("collects an exchange in flight, and its connection goes", function()
      standin:call("configure", { hang = true })
      local hanging = core_client:begin_login(MOTOR)
      debug.getmetatable(hanging).__gc(hanging)
      debug.getmetatable(hanging).__gc(hanging)
      assert.are.equal(0, core.in_flight())
      assert.is_truthy(api.raised(hanging.wait, hanging):find("closed", 1, true))
    end)

    it("collects the engine, and clients go on", function()
      local box = debug.getregistry()["filescom.engine.box"]
      local hanging = core_client:begin_login(MOTOR)
      debug.getmetatable(box).__gc(box)
      debug.getmetatable(box).__gc(box)
      assert.is_true(hanging:wait())
      assert.is_string(hanging:finish().id)
      assert.is_table(client:login(MOTOR))
    end)

    it("cannot be taken out by a script", function()
      assert.are.equal("filescom.client", getmetatable(core_client))
      assert.is_false((pcall(setmetatable, core_client, nil)))
    end)
  end)

  -- ---- callbacks ------------------------------------------------------------------------------

  -- What has to hold after all that a callback did.
  local function assert_usable()
    collectgarbage()
    collectgarbage()
    assert.are.equal(0, core.in_flight())
    local fresh = filescom.new({ base_url = standin.http.base_url })
    assert(fresh:logout(assert(fresh:login(MOTOR))))
  end

  describe("an error raised in get_code", function()
    it("comes out as it is, whatever it is, and nothing is left behind", function()
      for _, value in ipairs(values) do
        local ok, why = pcall(client.login_with_otp, client, TESS, function()
          error(value[2], 0)
        end)
        assert.is_false(ok)
        if value[2] ~= nil and value[2] == value[2] then
          assert.are.equal(value[2], why)
        end
      end
      assert_usable()
    end)

    it("out of a coroutine that is then dropped leaves nothing behind", function()
      local co = coroutine.create(function()
        client:login_with_otp(TESS, coroutine.yield)
      end)
      coroutine.resume(co)
      assert.is_false(coroutine.resume(co, {}))
      co = nil -- luacheck: ignore 311
      assert_usable()
    end)
  end)

  describe("an error raised in debug", function()
    it("changes nothing, whatever it is", function()
      for _, value in ipairs(values) do
        local traced = filescom.new({ base_url = standin.http.base_url, debug = function()
          error(value[2], 0)
        end })
        assert.are.equal(204, assert(traced:login(MOTOR)):logout().status)
      end
      assert_usable()
    end)
  end)

  describe("a coroutine that dies", function()
    it("in get_code leaves nothing behind", function()
      for _ = 1, 20 do
        coroutine.resume(coroutine.create(function()
          client:login_with_otp(TESS, function()
            coroutine.yield()
          end)
        end))
      end
      assert_usable()
    end)

    it("with exchanges in flight leaves none in flight", function()
      standin:call("configure", { hang = true })
      for _ = 1, 20 do
        coroutine.resume(coroutine.create(function()
          local hanging = core_client:begin_login(MOTOR)
          coroutine.yield(hanging)
        end))
        coroutine.resume(coroutine.create(function()
          local hanging = core_client:begin_login(MOTOR)
          error(hanging)
        end))
      end
      collectgarbage()
      collectgarbage()
      assert.are.equal(0, core.in_flight())
    end)

    if HAS_CLOSE then
      it("and is closed ends what it declared <close>", function()
        standin:call("configure", { hang = true })
        local load_text = load
        local co = coroutine.create(load_text([[
          local client, motor = ...
          local exchange <close> = client:begin_login(motor)
          coroutine.yield()
        ]]))
        coroutine.resume(co, core_client, MOTOR)
        assert.are.equal(1, core.in_flight())
        coroutine.close(co) -- luacheck: ignore 143
        assert.are.equal(0, core.in_flight())
      end)
    end
  end)

  describe("from inside get_code", function()
    -- Logs tess in, doing something else before she gives her code.
    local function login_doing(action)
      return client:login_with_otp(TESS, function(challenge)
        action(challenge)
        return standin:code("tess", challenge.method)
      end)
    end

    it("another login may be made", function()
      local other
      assert(login_doing(function()
        other = assert(client:login(MOTOR))
      end))
      assert.are.equal(204, other:logout().status)
      assert_usable()
    end)

    it("another login with a second factor may be made", function()
      assert(login_doing(function()
        assert(client:login_with_otp({ username = "sam", password = "dot-dash" }, function()
          return standin:code("sam")
        end))
      end))
      assert_usable()
    end)

    it("the last login may be logged out", function()
      assert(client:login(MOTOR))
      assert(login_doing(function()
        assert(client:logout())
      end))
      assert_usable()
    end)

    it("the collector may be run", function()
      assert(login_doing(function()
        collectgarbage()
        collectgarbage()
      end))
      assert_usable()
    end)

    it("the client may be closed, and the login says so", function()
      local why = api.raised(login_doing, function()
        client:close()
      end)
      assert.is_truthy(why:find("the client is closed", 1, true))
      assert_usable()
    end)

    it("the default client may be configured anew", function()
      local ok = filescom.login_with_otp(TESS, function()
        filescom.configure({ language = "de" })
        return standin:code("tess")
      end)
      assert.is_table(ok)
      assert_usable()
    end)

    it("the challenge may be changed as one likes", function()
      assert(login_doing(function(challenge)
        local method = challenge.method
        for name in pairs(challenge) do
          challenge[name] = nil
        end
        challenge.method = method
      end))
    end)
  end)

  describe("from inside debug", function()
    -- A client whose debug callback does something, once for each line but not within itself.
    local function traced_doing(action)
      local inside, traced = false, nil
      traced = filescom.new({ base_url = standin.http.base_url, debug = function(line)
        if inside then return end
        inside = true
        action(traced, line)
        inside = false
      end })
      return traced
    end

    it("another login may be made on the same client", function()
      local count = 0
      local traced = traced_doing(function(same)
        assert(assert(same:login(MOTOR)):logout())
        count = count + 1
      end)
      assert(assert(traced:login(MOTOR)):logout())
      assert.is_true(count >= 4)
      assert_usable()
    end)

    it("the collector may be run", function()
      local traced = traced_doing(function()
        collectgarbage()
      end)
      assert(assert(traced:login(MOTOR)):logout())
      assert_usable()
    end)

    it("the client may be closed: what it has begun is ended first", function()
      local traced = traced_doing(function(same)
        same:close()
      end)
      assert(traced:login(MOTOR))
      assert.is_truthy(api.raised(traced.login, traced, MOTOR):find("the client is closed", 1, true))
      assert_usable()
    end)

    it("exchanges may be begun and forgotten", function()
      standin:call("configure", { answer_delay = 0.02 })
      local traced = traced_doing(function()
        core_client:begin_login(MOTOR)
      end)
      assert(traced:login(MOTOR))
      standin:call("configure", { answer_delay = 0 })
      assert_usable()
    end)

    it("endless logins end as an overflow of the stack, which harms nobody", function()
      local depth, traced = 0, nil
      traced = filescom.new({ base_url = standin.http.base_url, debug = function()
        depth = depth + 1
        if depth < 400 then traced:login(MOTOR) end
      end })
      assert(traced:login(MOTOR))
      assert_usable()
    end)
  end)

  -- ---- callbacks of the collector and of tables: in a process of their own, since they may end it ----

  -- Runs Lua that must print "well"; freed memory is overwritten, so that its use is seen.
  local function assert_runs_well(code)
    local path = api.write(([[
      local core = require("filescom.core")
      local BASE, MOTOR, ID = %q, { username = "motor", password = "vroom" }, %q
      -- Calls f when the collector meets the garbage that this makes: not yet, but soon and in small steps.
      local function when_collected(f)
        collectgarbage()
        collectgarbage("stop")
        if newproxy then -- luacheck: ignore
          getmetatable(newproxy(true)).__gc = f
        else
          setmetatable({}, { __gc = f })
        end
        collectgarbage("restart")
      end
    ]]):format(standin.http.base_url, ID) .. code)
    local text = api.output_of(("MALLOC_PERTURB_=165 %s %s 2>&1; echo \" status $?\""):format(
      api.quoted(api.interpreter()), path))
    os.remove(path)
    assert.are.equal("well\n status 0", text)
  end

  describe("a finalizer", function()
    it("may close a client that is about to begin a login", function()
      assert_runs_well([[
        collectgarbage("setpause", 0)
        for _ = 1, 30 do
          local client, closed = core.client({ base_url = BASE }), false
          when_collected(function()
            client:close()
            closed = true
          end)
          for _ = 1, 900 do
            local ok, exchange = pcall(client.begin_logout, client, ID)
            if not ok then
              assert(exchange:find("the client is closed", 1, true), exchange)
              break
            end
            if closed then
              exchange:wait()
              local _, failure = exchange:finish()
              assert(failure.base_url:find(BASE, 1, true) == 1, "it went elsewhere: " .. failure.base_url)
              break
            end
            exchange:cancel()
          end
        end
        print("well")
      ]])
    end)

    it("may close a client that tells its base URL", function()
      assert_runs_well([[
        collectgarbage("setpause", 0)
        local url
        for _ = 1, 30 do
          local client = core.client({ base_url = BASE })
          when_collected(function() client:close() end)
          for i = 1, 5000 do
            local ok, got = pcall(i % 2 == 0 and tostring or client.base_url, client)
            url = url or ok and i % 2 == 1 and got
            if not ok then
              assert(got:find("the client is closed", 1, true), got)
              break
            end
            assert(got:find(url or "", 1, true) or got:find("closed", 1, true), "something else was told: " .. got)
          end
        end
        print("well")
      ]])
    end)

    it("may cancel an exchange that is being finished", function()
      assert_runs_well([[
        collectgarbage("setpause", 0)
        local client = core.client({ base_url = BASE })
        local good = 0
        for _ = 1, 100 do
          local exchange = client:begin_login(MOTOR)
          exchange:wait()
          when_collected(function() exchange:cancel() end)
          local ok, answer, failure = pcall(exchange.finish, exchange)
          if ok then
            good = good + 1
            assert(answer, failure and failure.message)
            assert(core.is_session_id(answer.id) and answer.base_url:find("^http://127"))
          else
            assert(answer:find("the exchange is", 1, true), answer)
          end
        end
        print("well")
      ]])
    end)

    it("may log in", function()
      assert_runs_well([[
        local client = require("filescom").new({ base_url = BASE })
        for _ = 1, 20 do
          when_collected(function() assert(client:logout(assert(client:login(MOTOR)))) end)
          assert(client:logout(assert(client:login(MOTOR))))
          collectgarbage()
        end
        assert(core.in_flight() == 0)
        print("well")
      ]])
    end)
  end)

  describe("a table whose __index runs code", function()
    it("may close the client that its request is for", function()
      assert_runs_well([[
        for _ = 1, 20 do
          local client = core.client({ base_url = BASE })
          local request = setmetatable({ method = "GET", path = "/user" }, {
            __index = function() client:close() end })
          local ok, why = pcall(client.begin_request, client, request)
          assert(ok or why:find("the client is closed", 1, true), why)
        end
        print("well")
      ]])
    end)

    it("is not asked for what it does not hold itself", function()
      local sent = core_client:begin_request(setmetatable({ method = "GET", path = "/user" }, {
        __index = { headers = { ["X-Extra"] = "1" } } }))
      sent:wait()
      sent:finish()
      assert.is_nil(standin:last().header["x-extra"])
    end)
  end)

  it("more exchanges than max_in_flight are nil and an error, until one has ended", function()
    standin:call("configure", { hang = true })
    local narrow = core.client({ base_url = standin.http.base_url, max_in_flight = 1 })
    local first = narrow:begin_login(MOTOR)
    for _, verb in ipairs({ "begin_login", "login" }) do
      local none, failure = narrow[verb](narrow, MOTOR)
      assert.is_nil(none)
      assert.are.equal("network/busy", failure.type)
    end
    first:cancel()
    standin:call("configure", { hang = false })
    assert.is_string(narrow:login(MOTOR).id)
  end)

  describe("a state that ends", function()
    for what, code in pairs({
      ["exchanges in flight"] = "held = {} for i = 1, 20 do held[i] = client:begin_login(MOTOR) end",
      ["ended exchanges that nobody took"] = "held = client:begin_login(MOTOR) held:wait()",
      ["a closed client and its exchange"] = "held = client:begin_login(MOTOR) client:close()",
      ["the module loaded twice"] = [[package.loaded["filescom.core"] = nil
        local other = require("filescom.core").client({ base_url = BASE })
        held = { client:begin_login(MOTOR), other:begin_login(MOTOR) }]],
      ["a relay"] = "core.relay_path() held = client:begin_login(MOTOR)",
    }) do
      it("with " .. what .. " ends well", function()
        assert_runs_well("client = core.client({ base_url = BASE }) " .. code .. "\nprint('well')")
      end)
    end
  end)
end)
