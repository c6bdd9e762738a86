-- Every example in Lua, in the pages and in the comments of the modules, runs as it stands: only the service is
-- elsewhere.
-- Depends on spec/support/pages.lua, `script`, `stty`, `timeout` and the stand-in.
--
-- An example that requires filescom is a whole program; another is given `filescom`, `client` and `session`, which is
-- logged in. What it asks at the terminal is answered for the user "tess". What a page calls the reader's own is there
-- as well: `my-code-generator` prints her code, `read_from_your_vault` returns an account's password or secret, and
-- `report.pdf` is a file.

local api = require("spec.support.api")
local pages = require("spec.support.pages")
local support = require("spec.support.standin")

local quoted = api.quoted

-- What the pages leave to whoever reads them.
local VAULT = [[
local vault = { motor = "vroom", ["tess/otp"] = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ" }
function read_from_your_vault(name) return assert(vault[name], name) end
]]

local CONTEXT = [[
filescom = require "filescom"
client = filescom.new()
session = assert(client:login { username = "motor", password = "vroom" })
]]

-- Answers what is asked at a terminal, whose screen is in a file, until the program has ended.
local TYPIST = [[
answer() { # what to type once that has been shown
  i=0
  while [ $i -lt 1000 ] && [ ! -e end ] && ! grep -q "$1" screen 2>/dev/null; do sleep 0.01; i=$((i+1)); done
  sleep 0.03
  [ -e end ] || printf '%s\n' "$2"
}
answer 'User name: ' tess
answer 'Password: ' tick-tock
answer 'Code (' "$(my-code-generator)"
while [ ! -e end ]; do sleep 0.01; done
]]

local function write(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
end

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

describe("an example", function()
  local standin, directory, root

  setup(function()
    standin = support.start({ "https" })
    standin:listen({ scheme = "https", storage = true })
    root = api.output_of("pwd")
    directory = api.output_of('mktemp -d "${TMPDIR:-/tmp}/filescom-pages.XXXXXX"')
    write(directory .. "/my-code-generator",
      ("#!/bin/sh\nexec env -u LUA_PATH -u LUA_CPATH lua5.4 '%s/spec/support/code.lua' %d tess\n"):format(root,
        standin.control))
    write(directory .. "/typist", TYPIST)
    api.output_of(("chmod 755 '%s/my-code-generator'"):format(directory))
  end)

  teardown(function()
    standin:stop()
    api.output_of(("rm -rf '%s'"):format(directory))
  end)

  -- Runs a program at a terminal of its own, in the directory; returns how it ended and what was shown.
  local function run(prologue, text)
    local work = directory .. "/work"
    api.output_of(("rm -rf '%s' && mkdir '%s'"):format(work, work))
    write(work .. "/prologue.lua", prologue)
    write(work .. "/example.lua", text)
    write(work .. "/report.pdf", "a report, " .. ("of many pages "):rep(1000))
    local paths = {}
    for name, from in pairs({ LUA_PATH = package.path, LUA_CPATH = package.cpath }) do
      local absolute = from:gsub("[^;]+", function(path) return path:find("^/") and path or root .. "/" .. path end)
      paths[#paths + 1] = name .. "=" .. quoted(absolute)
    end
    local program = ([[timeout --foreground 60 %s -e 'dofile "prologue.lua"' example.lua; echo $? >end]]):format(
      quoted(api.interpreter()))
    local command = "cd '%s' && export HOME=$PWD PATH='%s':$PATH %s && sh ../typist | script -qefc %s screen 2>&1"
    api.output_of(command:format(work, directory, table.concat(paths, " "), quoted(program)))
    return tonumber(read(work .. "/end")), read(work .. "/screen")
  end

  local function logins()
    local asked, answered = 0, 0
    for _, request in ipairs(standin:log()) do
      if request.method == "POST" and request.target:find("/sessions$") then
        asked = asked + 1
        if request.answered == 201 then answered = answered + 1 end
      end
    end
    return asked, answered
  end

  local left_out = 0
  for _, block in ipairs(pages.all("lua")) do
    if block.not_run then
      left_out = left_out + 1
    elseif not block.needs or block.needs == _VERSION then
      it("runs: " .. block.place, function()
        standin:reset()
        local whole = block.text:find('require%s*%(?"filescom"')
        local prologue = pages.redirection(standin) .. VAULT .. (whole and "" or CONTEXT)
        local status, shown = run(prologue, block.text)
        assert.are.equal(0, status, block.place .. " failed:\n" .. shown)
        local asked, answered = logins()
        if asked > 0 then assert.is_truthy(answered > 0, block.place .. " logged in in vain:\n" .. shown) end
      end)
    end
  end

  it("is left out only rarely", function()
    assert.is_truthy(left_out <= 3, left_out .. " are")
  end)
end)
