-- The command at a real terminal: what it asks, what it shows, and how it leaves the terminal.
-- Depends on spec/support/command.lua, LuaSocket and the stand-in.

local command = require("spec.support.command")
local socket = require("socket")
local support = require("spec.support.standin")

describe("the command at a terminal", function()
  local standin, home, environment

  setup(function()
    standin = support.start({ "http" })
    environment = { FILES_BASE_URL = standin.http.base_url }
  end)

  teardown(function()
    standin:stop()
  end)

  before_each(function()
    standin:reset()
    home = command.home()
  end)

  after_each(function()
    home.remove()
  end)

  it("asks for the user's name and the password, and shows only the name", function()
    local terminal = command.at_terminal(home, { "login" }, environment)
    terminal:wait_for("User name: ")
    terminal:type("motor\n")
    terminal:wait_for("Password of motor: ")
    terminal:type("vroom\n")
    local exit, screen, echo = terminal:finish()
    assert.are.equal(0, exit, screen)
    assert.is_truthy(screen:find("logged in as motor at ", 1, true))
    assert.is_nil(screen:find("vroom", 1, true))
    assert.are.equal("echo", echo)
  end)

  it("asks for the code of a second factor without showing it", function()
    local terminal = command.at_terminal(home, { "login", "-u", "sam" }, environment)
    terminal:wait_for("Password of sam: ")
    terminal:type("dot-dash\n")
    terminal:wait_for("Code (sms), attempt 1 of 3: ")
    local code = standin:code("sam")
    terminal:type(code .. "\n")
    local exit, screen, echo = terminal:finish()
    assert.are.equal(0, exit, screen)
    assert.is_nil(screen:find(code, 1, true))
    assert.are.equal("echo", echo)
    assert.are.equal("sam", standin:call("sessions")[1].username)
  end)

  it("asks again where a code was refused, and says why", function()
    local terminal = command.at_terminal(home, { "login", "-u", "sam" }, environment)
    terminal:wait_for("Password of sam: ")
    terminal:type("dot-dash\n")
    terminal:wait_for("attempt 1 of 3: ")
    terminal:type("000000\n")
    terminal:wait_for("The code was refused: The code is not correct")
    terminal:wait_for("attempt 2 of 3: ")
    terminal:type(standin:code("sam") .. "\n")
    assert.are.equal(0, (terminal:finish()))
  end)

  it("asks at the terminal although standard input is a file", function()
    local terminal = command.at_terminal(home, { "login", "-u", "sam", "--password-stdin" }, environment, "dot-dash\n")
    terminal:wait_for("attempt 1 of 3: ")
    terminal:type(standin:code("sam") .. "\n")
    assert.are.equal(0, (terminal:finish()))
  end)

  for what, case in pairs({
    ["the name"] = { { "login" }, "User name: " },
    ["the password"] = { { "login", "-u", "motor" }, "Password of motor: " },
  }) do
    it("ends with 130 and the echo on where Ctrl-C is typed instead of " .. what, function()
      local terminal = command.at_terminal(home, case[1], environment)
      terminal:wait_for(case[2])
      terminal:type("half\003")
      local exit, screen, echo = terminal:finish()
      assert.are.equal(130, exit, screen)
      assert.are.equal("echo", echo)
      assert.is_nil(screen:find("traceback", 1, true))
      assert.are.same({}, standin:log())
    end)
  end

  it("ends with 130 and the echo on where Ctrl-C is typed instead of a code", function()
    local terminal = command.at_terminal(home, { "login", "-u", "sam" }, environment)
    terminal:wait_for("Password of sam: ")
    terminal:type("dot-dash\n")
    terminal:wait_for("attempt 1 of 3: ")
    terminal:type("\003")
    local exit, screen, echo = terminal:finish()
    assert.are.equal(130, exit, screen)
    assert.are.equal("echo", echo)
    assert.are.equal(1, #standin:log())
  end)

  it("ends with 130 where Ctrl-C is typed while the service does not answer", function()
    standin:call("configure", { hang = true })
    local terminal = command.at_terminal(home, { "login", "-u", "motor" }, environment)
    terminal:wait_for("Password of motor: ")
    terminal:type("vroom\n")
    for _ = 1, 2000 do
      if #standin:log() > 0 then
        break
      end
      socket.sleep(0.01)
    end
    terminal:type("\003")
    local exit, screen = terminal:finish()
    assert.are.equal(130, exit, screen)
    assert.is_nil(screen:find("traceback", 1, true))
  end)

  it("ends a shell's loop by Ctrl-C, as the signal does", function()
    local terminal = command.at_terminal(home, { "login" }, environment, nil,
      'bash -c \'for i in 1 2 3; do "$0" "$@"; done; echo went on\'')
    terminal:wait_for("User name: ")
    terminal:type("\003")
    local exit, screen = terminal:finish()
    assert.are.equal(130, exit, screen)
    assert.is_nil(screen:find("User name: .*User name: "))
  end)

  it("shows a line end once where the user's name was typed", function()
    local terminal = command.at_terminal(home, { "login" }, environment)
    terminal:wait_for("User name: ")
    terminal:type("motor\n")
    terminal:wait_for("Password of motor: ")
    terminal:type("vroom\n")
    local _, screen = terminal:finish()
    assert.is_truthy(screen:find("User name: motor\r\nPassword of motor: \r\nfilescom: ", 1, true), screen)
  end)

  it("sends nothing where no password is typed", function()
    local terminal = command.at_terminal(home, { "login", "-u", "motor" }, environment)
    terminal:wait_for("Password of motor: ")
    terminal:type("\n")
    local exit, screen = terminal:finish()
    assert.are.equal(2, exit)
    assert.is_truthy(screen:find("no password was given", 1, true))
    assert.are.same({}, standin:log())
  end)

  it("ends with 3 where no code is typed", function()
    local terminal = command.at_terminal(home, { "login", "-u", "sam" }, environment)
    terminal:wait_for("Password of sam: ")
    terminal:type("dot-dash\n")
    terminal:wait_for("attempt 1 of 3: ")
    terminal:type("\n")
    assert.are.equal(3, (terminal:finish()))
  end)

  it("shows nothing of a user's name that the terminal would obey", function()
    local terminal = command.at_terminal(home, { "login", "-u", "a\27[2Jb" }, environment)
    terminal:wait_for("Password of a?[2Jb: ")
    terminal:type("\003")
    terminal:finish()
  end)

  it("ends the body of an answer with a line end", function()
    assert.are.equal(0, command.run(home, { "login", "-u", "motor", "--password-stdin" }, environment, "vroom\n").exit)
    local terminal = command.at_terminal(home, { "request", "GET", "/folders/inbox" }, environment)
    local exit, screen = terminal:finish()
    assert.are.equal(0, exit)
    assert.is_truthy(screen:find("}]\r\n", 1, true), screen)
  end)
end)
