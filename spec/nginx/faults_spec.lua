-- The faults of spec/support/faults.lua as a worker of nginx meets them, many at once, each with a client of its own.
-- Depends on nginx, the stand-in, cqueues, lua-cjson and LuaSocket.

local cjson = require("cjson")
local cqueues = require("cqueues")
local faults = require("spec.support.faults")
local nginx = require("spec.support.nginx")
local socket = require("socket")
local support = require("spec.support.standin")

local AT_ONCE = 24
local PATIENCE = 5 -- time limits are longer here, where so many share them

-- What is held for a case: its client and its session, by the case's number. A call is asked for, and told, in JSON.
local INIT = [[
  package.path = package.path .. ";@root@/?.lua"
  faults, held = require("spec.support.faults"), {}
]]
local PERFORM = [[
  local cjson = require("cjson")
  ngx.req.read_body()
  local ask = cjson.decode(ngx.req.get_body_data())
  local number = ngx.var.arg_case
  held[number] = held[number] or {}
  ngx.say(cjson.encode(faults.perform(held[number], ask)))
]]

describe("nginx:", function()
  local standin, server, log
  local records = {}

  local function perform(number, ask)
    local answer = server:get("/fault?case=" .. number, { method = "POST", body = cjson.encode(ask) })
    if answer.status ~= 200 then
      error(("case %d: %s"):format(number, answer.status or answer.failed), 0)
    end
    return cjson.decode(answer.body)
  end

  local function run(number)
    return faults.run(standin, faults.cases[number], {
      perform = function(ask) return perform(number, ask) end,
      sleep = cqueues.sleep,
      now = socket.gettime,
      patience = PATIENCE,
    })
  end

  setup(function()
    standin = support.start({})
    server = nginx.start({ init_more = INIT, locations = { ["= /fault"] = PERFORM } })
    local next_case, runners = 0, {}
    for i = 1, AT_ONCE do
      runners[i] = function()
        while next_case < #faults.cases do
          next_case = next_case + 1
          local number = next_case
          records[number] = { pcall(run, number) }
        end
      end
    end
    nginx.together(runners)
    log = standin:log()
  end)

  teardown(function()
    server:stop()
    standin:stop()
  end)

  for number, case in ipairs(faults.cases) do
    it(("gives %s for %s"):format(case.gives, case.name), function()
      local done, record = (table.unpack or unpack)(records[number]) -- luacheck: ignore
      assert.is_true(done, record)
      assert.are.same({}, faults.complaints(case, record, log))
    end)
  end

  it("nothing is left in flight after all these faults, and nothing complained", function()
    server:settle()
    assert.are.same({}, server:complaints())
  end)
end)
