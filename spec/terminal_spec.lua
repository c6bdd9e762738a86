-- filescom.terminal, driven through a pseudo-terminal that util-linux's `script` makes.
-- Depends on filescom.terminal, `script`, `stty`, `setsid` and POSIX.

local api = require("spec.support.api")
local terminal = require("filescom.terminal")

local quoted = api.quoted

-- Runs ask.lua at a terminal of its own, types `typed` once the prompt has been shown, and returns what was shown,
-- what ask.lua was told, and the settings of the terminal's echo afterwards.
local function at_terminal(name, prompt, typed)
  local answer, screen = os.tmpname(), os.tmpname()
  local inner = ("trap : INT; %s spec/support/ask.lua %s %s %s; stty -a | grep -o -e '-*echo '; echo >%s.end"):format(
    quoted(api.interpreter()), name, quoted(prompt), answer, answer)
  -- The typist waits for the prompt, so that the echo has been turned off when it types.
  local typist = ([[i=0; while [ $i -lt 200 ] && ! grep -q ': $' %s; do sleep 0.01; i=$((i+1)); done;
    sleep 0.03; printf '%%b' %s; i=0; while [ $i -lt 200 ] && ! [ -s %s.end ]; do sleep 0.01; i=$((i+1)); done]])
    :format(screen, quoted(typed), answer)
  api.output_of(("{ %s; } | script -qefc %s %s >/dev/null 2>&1"):format(typist, quoted(inner), screen))
  local told, shown = {}, api.output_of("cat " .. screen)
  for line in io.lines(answer) do
    told[#told + 1] = line
  end
  os.remove(answer)
  os.remove(answer .. ".end")
  os.remove(screen)
  return shown, told
end

describe("the terminal", function()
  describe("asked for a secret", function()
    it("returns what was typed, without its line end", function()
      local _, told = at_terminal("read_secret", "Password: ", "correct horse\\n")
      assert.are.equal("text:correct horse", told[1])
    end)

    it("shows the prompt", function()
      assert.is_truthy(at_terminal("read_secret", "Password: ", "x\\n"):find("Password: ", 1, true))
    end)

    it("does not show what is typed", function()
      local shown, told = at_terminal("read_secret", "Password: ", "correct horse\\n")
      assert.are.equal("text:correct horse", told[1])
      assert.is_nil(shown:find("correct", 1, true))
      assert.is_nil(shown:find("horse", 1, true))
    end)

    it("leaves the echo on as it was", function()
      local shown = at_terminal("read_secret", "Password: ", "x\\n")
      assert.is_truthy(shown:find("[^-]echo "))
      assert.is_nil(shown:find("-echo ", 1, true))
    end)

    it("leaves the echo on where it is interrupted", function()
      local shown = at_terminal("read_secret", "Password: ", "half\\003")
      assert.is_truthy(shown:find("[^-]echo "))
      assert.is_nil(shown:find("-echo ", 1, true))
      assert.is_nil(shown:find("half", 1, true))
    end)

    it("takes backslashes, quotes, blanks and dollars as they are", function()
      local _, told = at_terminal("read_secret", "Password: ", [[ a\\b"c'd $HOME `id` \n]])
      assert.are.equal([[text: a\b"c'd $HOME `id` ]], told[1])
    end)

    it("takes text beyond ASCII as it is", function()
      local _, told = at_terminal("read_secret", "Password: ", "pässwörd 東\\n")
      assert.are.equal("text:pässwörd 東", told[1])
    end)

    it("returns nil and why where nothing is typed", function()
      local _, told = at_terminal("read_secret", "Password: ", "\\n")
      assert.are.same({ "nil", "nothing was typed" }, told)
    end)

    it("returns nil and why at the end of the input", function()
      local _, told = at_terminal("read_secret", "Password: ", "\\004")
      assert.are.same({ "nil", "nothing was typed" }, told)
    end)

    it("shows a prompt with quotes, dollars and percents as it is, and runs nothing of it", function()
      local prompt = [[it's "$(echo ran)" `echo ran` 100%s \n: ]]
      assert.is_truthy(at_terminal("read_secret", prompt, "x\\n"):find(prompt, 1, true))
    end)
  end)

  describe("asked for a line", function()
    it("returns what was typed", function()
      local _, told = at_terminal("read_line", "User: ", "motor\\n")
      assert.are.equal("text:motor", told[1])
    end)

    it("shows what is typed", function()
      assert.is_truthy(at_terminal("read_line", "User: ", "motor\\n"):find("motor", 1, true))
    end)
  end)

  describe("asked for a code", function()
    it("returns it and does not show it", function()
      local shown, told = at_terminal("get_code", "", "918273\\n")
      assert.are.equal("text:918273", told[1])
      assert.is_nil(shown:find("918273", 1, true))
    end)

    it("shows the method, the attempt and what refused the last code", function()
      local shown = at_terminal("get_code", "", "918273\\n")
      for _, part in ipairs({ "totp", "2 of 3", "The code is not correct" }) do
        assert.is_truthy(shown:find(part, 1, true), part)
      end
    end)
  end)

  it("returns nil and why where there is no terminal", function()
    local path = os.tmpname()
    api.output_of(("setsid -w %s spec/support/ask.lua read_secret 'Password: ' %s </dev/null 2>&1"):format(
      quoted(api.interpreter()), path))
    assert.are.equal("nil\nthere is no terminal to ask at", api.output_of("cat " .. path))
    os.remove(path)
  end)

  it("refuses a prompt that is no text", function()
    for _, prompt in ipairs({ 5, true, {}, "a\0b" }) do
      assert.are.equal("prompt must be a string without NUL bytes", api.raised_here(function()
        local answer = terminal.read_secret(prompt)
        return answer
      end))
    end
  end)
end)
