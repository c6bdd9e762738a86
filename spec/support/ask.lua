-- Asks at the terminal and writes what came of it, for terminal_spec.lua.
-- usage: ask.lua FUNCTION PROMPT FILE

local terminal = require("filescom.terminal")
local answer, why = terminal[arg[1]](arg[1] == "get_code" and {
  method = "totp", attempt = 2, attempts = 3, error = { message = "The code is not correct" },
} or arg[2])
local file = assert(io.open(arg[3], "wb"))
file:write(answer == nil and "nil" or "text:" .. answer, "\n", tostring(why), "\n")
file:close()
