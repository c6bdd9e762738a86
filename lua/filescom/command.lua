--- The command `filescom`, as bin/filescom runs it: nothing of it is loaded by `require "filescom"`.
--
-- Each of its commands is a function that is given the command line and writes its result; what
-- goes wrong is raised as a failure, and becomes a message and an exit code here. Depends on
-- filescom and on the modules of filescom.command.
--
-- @module filescom.command

local arguments = require "filescom.command.arguments"
local failure = require "filescom.command.failure"
local filescom = require "filescom"
local output = require "filescom.command.output"
local profiles = require "filescom.command.profile"
local sessions = require "filescom.command.session"
local settings = require "filescom.command.settings"

local command = {}

-- ---- logout ---------------------------------------------------------------------------------

local function logout(args, profile)
  local session, entry = sessions.kept(args, profile)
  local answer, err = session:logout()
  if answer or err.status == 401 then profile:forget(session) end
  if not answer then failure.raise_error(err, err.status == 401 and "no_session" or nil) end
  if args.json then return output.write(output.json(sessions.describe(profile, entry)) .. "\n") end
  output.say "logged out"
end

-- ---- whoami and headers ---------------------------------------------------------------------

local function whoami(args, profile)
  local session, entry = sessions.kept(args, profile)
  local user = sessions.call(profile, session, "GET", "/user").data
  local described = sessions.describe(profile, entry)
  if type(user) == "table" then described.user, described.username = user, user.username or described.username end
  if args.json then return output.write(output.json(described) .. "\n") end
  output.write(output.table {
    { "User", described.username }, { "Site", described.base_url }, { "Until", described.timeout_at },
    { "Profile", described.profile },
  })
end

local function headers(args, profile)
  local fields = sessions.kept(args, profile):headers()
  if args.json then return output.write(output.json(fields) .. "\n") end
  for name, value in pairs(fields) do output.write(("%s: %s\n"):format(name, value)) end
end

-- ---- the command ----------------------------------------------------------------------------

local COMMANDS = {
  login = require("filescom.command.login").run, request = require("filescom.command.request").run,
  logout = logout, whoami = whoami, headers = headers,
}

local function run(list, state)
  local parser = arguments.parser(filescom._VERSION)
  local args = parser:parse(list)
  state.json = args.json
  if args.command == "completion" then return output.write(parser["get_" .. args.shell .. "_complete"](parser)) end
  COMMANDS[args.command](args, profiles.open(settings.profile(args), settings.key_file(args)))
end

-- Turns whatever was raised into a failure.
local function failure_of(raised)
  if failure.is(raised) then return raised end
  local interrupted = failure.is_interrupt(raised)
  local _, made = pcall(failure.raise, interrupted and "interrupted" or "internal",
    interrupted and "interrupted" or debug.traceback(tostring(raised), 2))
  return made
end

-- An error as scripts read it; the half of a login that it may hold is a secret.
local function json_of(raised)
  local fields = {}
  for name, value in pairs(raised.err) do fields[name] = value end
  if type(fields.data) == "table" then
    local data = {}
    for name, value in pairs(fields.data) do
      if name ~= "partial_session_id" then data[name] = value end
    end
    fields.data = next(data) ~= nil and data or nil
  end
  return output.json { error = fields, exit = raised.exit }
end

local function show(raised, as_json)
  if as_json then return io.stderr:write(json_of(raised), "\n") end
  if raised.exit == failure.codes.interrupted then return end
  local own = raised.err.status == nil and raised.err.group ~= "network" and raised.err.group ~= "response"
  output.say(own and raised.err.message or tostring(raised.err))
end

-- Ends this process by the signal that interrupted it, which lua.c has handed back to the system: a
-- shell that runs a loop of commands then ends that as well. io.popen, since os.execute ignores it.
local function die_of_interrupt()
  local pipe = io.popen "kill -INT $PPID"
  if pipe then pipe:close() end
end

--- Runs the command.
-- @tparam table list the arguments, as `arg` has them
-- @treturn number the exit code
function command.main(list)
  local state = {}
  local good, raised = xpcall(function () run(list, state) end, failure_of)
  -- A prompt that was interrupted gives the terminal its echo back before this process ends.
  collectgarbage()
  if good then return failure.codes.ok end
  show(raised, state.json)
  if raised.exit == failure.codes.interrupted then die_of_interrupt() end
  return raised.exit
end

return command
