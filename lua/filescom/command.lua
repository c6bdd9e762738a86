--- The command `filescom`, as bin/filescom runs it: nothing of it is loaded by `require "filescom"`.
--
-- Each of its commands is a function that is given the command line and writes its result; what
-- goes wrong is raised as a failure, and becomes a message and an exit code here. Depends on the
-- public interface of filescom, on argparse, and on the modules of filescom.command.
--
-- @module filescom.command

local arguments = require "filescom.command.arguments"
local credentials = require "filescom.command.credentials"
local failure = require "filescom.command.failure"
local filescom = require "filescom"
local output = require "filescom.command.output"
local profiles = require "filescom.command.profile"
local settings = require "filescom.command.settings"

local command = {}

-- ---- sessions -------------------------------------------------------------------------------

local function new_client(options)
  return failure.checked(filescom.new, options)
end

-- The base URL that options name, nil where they name none.
local function named_base_url(options)
  if not options.base_url and not options.subdomain then return nil end
  return new_client(options)._base_url
end

local function raise_no_session(profile, why)
  failure.raise("no_session", "%s: log in with 'filescom login'", why or
    ("nobody is logged in (profile %s)"):format(profile.name))
end

-- The session that is kept, on a client for where it lives; and its record.
local function kept_session(args, profile)
  local options = settings.client_options(args)
  local entry, why = profile:read(named_base_url(options))
  if not entry then raise_no_session(profile, why and ("the session of profile %s is not used: %s"):format(profile.name, why)) end
  options.base_url, options.subdomain = entry.session.base_url, nil
  return new_client(options):session(entry.session), entry
end

local ENDED = { ["authentication-required"] = true, ["invalid-credentials"] = true }

-- Whether an error says that the service does not know the session (any more).
local function says_ended(err)
  if err.status ~= 401 or err.group ~= "not-authenticated" then return false end
  local reason = err.type:match("/(.*)$") or ""
  return ENDED[reason] or reason:find("session", 1, true) ~= nil
end

-- Sends a call; a session that is no more is forgotten.
local function call(profile, session, method, path, options)
  local answer, err = failure.checked(session.request, session, method, path, options)
  if answer then return answer end
  if says_ended(err) then
    profile:forget(session)
    failure.raise_error(err, "no_session")
  end
  failure.raise_error(err)
end

-- What every command tells of a session; never its id.
local function describe(profile, entry)
  return {
    profile = profile.name, username = entry.username, base_url = entry.session.base_url,
    timeout_at = entry.session.timeout_at,
  }
end

-- ---- login ----------------------------------------------------------------------------------

-- The record that is kept, where it is the wanted user's and the service still knows it.
local function still_open(args, profile)
  local entry = profile:read(named_base_url(settings.client_options(args)))
  local username = args.username or settings.get "FILES_USERNAME"
  if not entry or username and entry.username ~= username then return nil end
  local good, raised = pcall(function ()
    local session = kept_session(args, profile)
    call(profile, session, "GET", "/user")
  end)
  if good then return entry end
  if not failure.is(raised) or raised.exit ~= failure.codes.no_session then error(raised, 0) end
end

-- The service's protocol names no code where nobody gave one: that is not a refusal.
local function raise_refusal(err, codes_given)
  local wants_code = err.type == "not-authenticated/two-factor-authentication-error"
  failure.raise_error(err, wants_code and codes_given() == 0 and "second_factor" or nil)
end

-- Keeps a session; one that cannot be kept is not left open.
local function keep(profile, session, username)
  local kept, former = pcall(profile.replace, profile, session, username)
  if kept then return former end
  session:logout()
  error(former, 0)
end

-- Ends the session that was replaced, on a client for where it lives.
local function end_former(args, entry)
  if not entry or not entry.session then return end
  local options = settings.client_options(args)
  options.base_url, options.subdomain = entry.session.base_url, nil
  local ended, err = new_client(options):session(entry.session):logout()
  if ended then
    output.say "the former session of this profile was logged out"
  elseif err.status ~= 401 then
    output.say("the former session of this profile could not be logged out: " .. tostring(err))
  end
end

local function report_login(args, profile, entry)
  local described = describe(profile, entry)
  if args.json then return output.write(output.json(described) .. "\n") end
  output.say(("logged in as %s at %s until %s"):format(output.plain(described.username),
    output.plain(described.base_url), output.plain(described.timeout_at)))
end

local function login(args, profile)
  local entry = args.if_needed and still_open(args, profile)
  if entry then return report_login(args, profile, entry) end
  local client = new_client(settings.client_options(args))
  local who = credentials.read(args)
  local get_code, codes_given = credentials.codes(args)
  local session, err = client:login_with_otp(who, get_code)
  if not session then raise_refusal(err, codes_given) end
  local former = keep(profile, session, who.username)
  end_former(args, former)
  report_login(args, profile, { session = session, username = who.username })
end

-- ---- logout ---------------------------------------------------------------------------------

local function logout(args, profile)
  local session, entry = kept_session(args, profile)
  local answer, err = session:logout()
  if answer or err.status == 401 then profile:forget(session) end
  if not answer then failure.raise_error(err, err.status == 401 and "no_session" or nil) end
  if args.json then return output.write(output.json(describe(profile, entry)) .. "\n") end
  output.say "logged out"
end

-- ---- whoami and headers ---------------------------------------------------------------------

local function whoami(args, profile)
  local session, entry = kept_session(args, profile)
  local user = call(profile, session, "GET", "/user").data
  local described = describe(profile, entry)
  if type(user) == "table" then described.user, described.username = user, user.username or described.username end
  if args.json then return output.write(output.json(described) .. "\n") end
  output.write(output.table {
    { "User", described.username }, { "Site", described.base_url }, { "Until", described.timeout_at },
    { "Profile", described.profile },
  })
end

local function headers(args, profile)
  local fields = kept_session(args, profile):headers()
  if args.json then return output.write(output.json(fields) .. "\n") end
  for name, value in pairs(fields) do output.write(("%s: %s\n"):format(name, value)) end
end

-- ---- request --------------------------------------------------------------------------------

-- The bytes of a file, or of standard input for "-".
local function contents(path)
  local file, why = io.stdin, nil
  if path ~= "-" then file, why = io.open(path, "rb") end
  if not file then failure.raise("storage", "%s", why) end
  local bytes
  bytes, why = file:read("*a")
  if path ~= "-" then file:close() end
  return bytes or failure.raise("storage", "%s: %s", path, tostring(why))
end

-- The text of --data, checked, as it is: what is sent is what the user wrote.
local function json_text(data)
  local text = data:sub(1, 1) == "@" and contents(data:sub(2)) or data
  local json = require("cjson").new()
  json.decode_invalid_numbers(false)
  local sound, why = pcall(json.decode, text)
  if not sound then failure.raise("usage", "--data is no JSON: %s", tostring(why)) end
  return text
end

local function query_of(list)
  local query = {}
  for _, parameter in ipairs(list) do
    local name, value = parameter:match("^([^=]+)=(.*)$")
    if not name then failure.raise("usage", "--query '%s' is not name=value", parameter) end
    local list_name = name:match("^(.+)%[%]$")
    if list_name then
      local values = type(query[list_name]) == "table" and query[list_name] or {}
      values[#values + 1] = value
      name, value = list_name, values
    elseif query[name] ~= nil then
      failure.raise("usage", "--query names '%s' twice; %s[]=value makes a list", name, name)
    end
    query[name] = value
  end
  return query
end

local function headers_of(list)
  local fields = {}
  for _, header in ipairs(list) do
    local name, value = header:match("^([^:%s]+):%s*(.-)%s*$")
    if not name then failure.raise("usage", "--header is not 'name: value'") end
    fields[name] = value
  end
  return fields
end

local function request_options(args)
  local options = { query = query_of(args.query), headers = headers_of(args.header), raw = true }
  if args.data then
    options.body = json_text(args.data)
    options.headers["Content-Type"] = options.headers["Content-Type"] or "application/json"
  elseif args.body then
    options.body = contents(args.body)
  end
  return options
end

-- Rows of the named fields of a list of objects, or of one, below their names.
local function rows_of(data, columns)
  local names = {}
  for name in columns:gmatch("[^,%s]+") do names[#names + 1] = name end
  local rows = { names }
  if type(data) ~= "table" then data = {} elseif #data == 0 and next(data) ~= nil then data = { data } end
  for _, object in ipairs(data) do
    local row = {}
    for i, name in ipairs(names) do row[i] = type(object) == "table" and object[name] or nil end
    rows[#rows + 1] = row
  end
  return rows
end

local function head_of(answer)
  local lines = {}
  for name, value in pairs(answer.headers) do lines[#lines + 1] = ("%s: %s\n"):format(name, value) end
  table.sort(lines)
  return ("HTTP %d\n%s\n"):format(answer.status, table.concat(lines))
end

local function request(args, profile)
  local options = request_options(args)
  options.raw = not args.columns
  local session = kept_session(args, profile)
  local answer = call(profile, session, args.method, args.path, options)
  if args.columns then return output.write(output.table(rows_of(answer.data, args.columns))) end
  if args.include then output.write(head_of(answer)) end
  output.write(answer.body)
end

-- ---- the command ----------------------------------------------------------------------------

local COMMANDS = { login = login, logout = logout, whoami = whoami, headers = headers, request = request }

local function run(list, state)
  local parser = arguments.parser(filescom._VERSION)
  local args = parser:parse(list)
  state.json = args.json
  if args.command == "completion" then return output.write(parser["get_" .. args.shell .. "_complete"](parser)) end
  COMMANDS[args.command](args, profiles.open(settings.profile(args)))
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
    for name, value in pairs(fields.data) do data[name] = name ~= "partial_session_id" and value or nil end
    fields.data = data
  end
  return output.json { error = fields, exit = raised.exit }
end

local function show(raised, as_json)
  if as_json then return io.stderr:write(json_of(raised), "\n") end
  if raised.exit == failure.codes.interrupted then return io.stderr:write "\n" end
  local own = raised.err.status == nil and raised.err.group ~= "network" and raised.err.group ~= "response"
  output.say(own and raised.err.message or tostring(raised.err))
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
  return raised.exit
end

return command
