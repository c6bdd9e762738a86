--- How the command ends other than well: its exit codes, and failures that any part of it raises.
--
-- A failure is raised as an error and caught by filescom.command alone, which shows it and exits.
-- Depends on filescom.errors.
--
-- @module filescom.command.failure

local errors = require "filescom.errors"

local failure = {}

--- The exit codes; doc/filescom.1 and `filescom --help` tell them.
failure.codes = {
  ok = 0,
  refused = 1,       -- the service refused what was asked
  usage = 2,         -- a mistake on the command line or in the environment
  second_factor = 3, -- a code is needed, and there is nobody to ask and nothing to make one of
  network = 4,       -- no answer, or one that is not the service's
  no_session = 5,    -- nobody is logged in (any more)
  storage = 6,       -- a file could not be read or written
  rate_limit = 7,    -- too many requests: later
  internal = 70,     -- a defect of the command
  interrupted = 130, -- by Ctrl-C
}

--- A failure: `exit` is the code to end with, `err` an error as the library returns them.
local Failure = { __name = "filescom.command.failure" }

--- Whether a value that was raised is a failure.
function failure.is(value)
  return type(value) == "table" and getmetatable(value) == Failure
end

--- Whether a value that was raised is what lua.c raises at Ctrl-C.
function failure.is_interrupt(value)
  return type(value) == "string" and value:find("interrupted!$") ~= nil
end

local KINDS = {
  usage = "command/usage", second_factor = "command/second-factor", no_session = "session/none",
  storage = "store/unavailable", internal = "command/internal", interrupted = "command/interrupted",
}

--- Raises a failure of the command's own.
-- @tparam string name of an exit code
-- @tparam string message a format, for what follows
function failure.raise(name, message, ...)
  local err = errors.new(KINDS[name], select("#", ...) > 0 and message:format(...) or message)
  error(setmetatable({ exit = failure.codes[name], err = err }, Failure), 0)
end

local NO_ANSWER = { ["response/too-large"] = true, ["response/not-json"] = true, ["response/no-session"] = true }

local function code_of(err)
  if err.group == "network" or NO_ANSWER[err.type] then return failure.codes.network end
  if err.status == 429 then return failure.codes.rate_limit end
  return failure.codes.refused
end

--- Raises the failure that an error of the library means.
-- @tparam table err the error
-- @tparam[opt] string name of an exit code, where the caller knows better what it means
function failure.raise_error(err, name)
  error(setmetatable({ exit = name and failure.codes[name] or code_of(err), err = err }, Failure), 0)
end

--- Calls a function of the library with what the user gave: what it takes for a mistake of the
-- program is one of the user's, and is told without the place in the program.
-- @return what the function returns
function failure.checked(f, ...)
  local function finish(ok, ...)
    if ok then return ... end
    local why = ...
    if type(why) ~= "string" or failure.is_interrupt(why) then error(why, 0) end
    failure.raise("usage", "%s", (why:gsub("^[^\n]-:%d+: ", "")))
  end
  return finish(pcall(f, ...))
end

return failure
