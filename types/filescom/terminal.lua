---@meta filescom.terminal

---Reading secrets from the terminal, without echo.
---@class filescom.terminal
local terminal = {}

---Whether there is a terminal to ask at.
---@return boolean
function terminal.is_available() end

---Asks for a secret: what is typed is not shown.
---@param prompt string
---@return string? typed
---@return string? why
function terminal.read_secret(prompt) end

---Asks for something that may be seen.
---@param prompt string
---@return string? typed
---@return string? why
function terminal.read_line(prompt) end

---A `get_code` for `login_with_otp` that asks at the terminal.
---@param challenge filescom.Challenge
---@return string? code
---@return string? why
function terminal.get_code(challenge) end

return terminal
