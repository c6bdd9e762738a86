--- The command `filescom`, as bin/filescom runs it: nothing of it is loaded by `require "filescom"`.
--
-- Each of its commands is a function that is given the command line and writes its result; what
-- goes wrong is raised as a failure, and becomes a message and an exit code here. Depends on the
-- public interface of filescom, on argparse, and on the modules of filescom.command.
--
-- @module filescom.command

local arguments = require "filescom.command.arguments"
local credentials = require "filescom.command.credentials"
local errors = require "filescom.errors"
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

-- Sends a call; a session that is no more is forgotten.
local function call(profile, session, method, path, options)
  local answer, err = failure.checked(session.request, session, method, path, options)
  if answer then return answer end
  if errors.says_ended(err) then
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

-- A challenge that nobody had a code for is no refusal.
local function raise_refusal(err, codes_given)
  local is_challenge = err.type == "not-authenticated/two-factor-authentication-error"
  failure.raise_error(err, is_challenge and codes_given == 0 and "second_factor" or nil)
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
  profile:read() -- where nothing could be kept nobody need log in
  local entry = args.if_needed and still_open(args, profile)
  if entry then return report_login(args, profile, entry) end
  local client = new_client(settings.client_options(args))
  local who = credentials.read(args)
  local codes = credentials.codes(args)
  local session, err = failure.checked(client.login_with_otp, client, who, codes.get_code,
    { otp_secret = codes.otp_secret })
  if not session then raise_refusal(err, codes.given()) end
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

-- Adds a parameter; one whose name ends with [] to its list.
local function add_parameter(query, name, value)
  local list_name = name:match("^(.+)%[%]$")
  local former = query[list_name or name]
  if former ~= nil and not (list_name and type(former) == "table") then
    failure.raise("usage", "--query names '%s' twice; %s[]=value makes a list", name, list_name or name)
  end
  if not list_name then
    query[name] = value
  elseif former then
    former[#former + 1] = value
  else
    query[list_name] = { value }
  end
end

local function query_of(list)
  local query = {}
  for _, parameter in ipairs(list) do
    local name, value = parameter:match("^([^=]+)=(.*)$")
    if not name then failure.raise("usage", "--query '%s' is not name=value", parameter) end
    add_parameter(query, name, value)
  end
  return query
end

-- Whether a header is there, in whatever case.
local function has_header(fields, wanted)
  for name in pairs(fields) do
    if name:lower() == wanted:lower() then return true end
  end
  return false
end

local function headers_of(list)
  local fields = {}
  for _, header in ipairs(list) do
    local name, value = header:match("^([^:%s]+):%s*(.-)%s*$")
    if not name then failure.raise("usage", "--header is not 'name: value'") end
    if has_header(fields, name) then failure.raise("usage", "--header names '%s' twice", name) end
    fields[name] = value
  end
  return fields
end

local function request_options(args)
  local options = { query = query_of(args.query), headers = headers_of(args.header), raw = true }
  if args.data then
    options.body = json_text(args.data)
    if not has_header(options.headers, "Content-Type") then options.headers["Content-Type"] = "application/json" end
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
  if output.is_terminal() and answer.body:find("[^\n]$") then output.write "\n" end
end

-- ---- the command ----------------------------------------------------------------------------

local COMMANDS = { login = login, logout = logout, whoami = whoami, headers = headers, request = request }

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
