--- `filescom login`: logs in, keeps the session, and ends the one that it replaces.
--
-- Depends on filescom.command.credentials, .failure, .output, .session and .settings.
--
-- @module filescom.command.login

local credentials = require "filescom.command.credentials"
local failure = require "filescom.command.failure"
local output = require "filescom.command.output"
local sessions = require "filescom.command.session"
local settings = require "filescom.command.settings"

local login = {}

-- The record that is kept, where it is the wanted user's and the service still knows it.
local function still_open(args, profile)
  local entry = profile:read(sessions.named_base_url(args))
  local username = args.username or settings.get "FILES_USERNAME"
  if not entry or username and entry.username ~= username then return nil end
  local good, raised = pcall(sessions.call, profile, sessions.of(args, entry), "GET", "/user")
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
  local ended, err = sessions.of(args, entry):logout()
  if ended then
    output.say "the former session of this profile was logged out"
  elseif err.status ~= 401 then
    output.say("the former session of this profile could not be logged out: " .. tostring(err))
  end
end

local function report_login(args, profile, entry)
  local described = sessions.describe(profile, entry)
  if args.json then return output.write(output.json(described) .. "\n") end
  output.say(("logged in as %s at %s until %s"):format(output.plain(described.username),
    output.plain(described.base_url), output.plain(described.timeout_at)))
end

--- Logs in and keeps the session.
-- @tparam table args the command line
-- @tparam Profile profile
function login.run(args, profile)
  profile:read() -- where nothing could be kept nobody need log in
  local entry = args.if_needed and still_open(args, profile)
  if entry then return report_login(args, profile, entry) end
  local client = sessions.client(settings.client_options(args))
  local who = credentials.read(args)
  local codes = credentials.codes(args)
  local session, err = failure.checked(client.login_with_otp, client, who, codes.get_code,
    { otp_secret = codes.otp_secret })
  if not session then raise_refusal(err, codes.given()) end
  local former = keep(profile, session, who.username)
  end_former(args, former)
  report_login(args, profile, { session = session, username = who.username })
end

return login
