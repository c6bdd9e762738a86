--- The session that a profile keeps, and calls with it, as the commands need them.
--
-- Depends on filescom, filescom.errors, and filescom.command.failure and .settings.
--
-- @module filescom.command.session

local errors = require "filescom.errors"
local failure = require "filescom.command.failure"
local filescom = require "filescom"
local settings = require "filescom.command.settings"

local session = {}

--- A client; what is wrong with its options is the user's mistake.
-- @tparam table options see `filescom.new`
function session.client(options)
  return failure.checked(filescom.new, options)
end

--- The base URL that the command line or the environment names, nil where they name none.
-- @tparam table args the command line
function session.named_base_url(args)
  local options = settings.client_options(args)
  if not options.base_url and not options.subdomain then return nil end
  return session.client(options)._base_url
end

local function raise_none(profile, why)
  local what = why and ("the session of profile %s is not used: %s"):format(profile.name, why)
    or ("nobody is logged in (profile %s)"):format(profile.name)
  failure.raise("no_session", "%s: log in with 'filescom login'", what)
end

--- Takes up the session of a record, on a client for where it lives.
-- @tparam table args the command line
-- @tparam table entry the record
-- @treturn filescom.session.Session
function session.of(args, entry)
  local options = settings.client_options(args)
  options.base_url, options.subdomain = entry.session.base_url, nil
  return session.client(options):session(entry.session)
end

--- The session that a profile keeps; it is a failure where there is none.
-- @tparam table args the command line
-- @tparam Profile profile
-- @treturn filescom.session.Session
-- @treturn table its record
function session.kept(args, profile)
  local entry, why = profile:read(session.named_base_url(args))
  if not entry then raise_none(profile, why) end
  return session.of(args, entry), entry
end

--- Sends a call; a session that is no more is forgotten.
-- @tparam Profile profile
-- @tparam filescom.session.Session kept its session
-- @tparam string method and what else `Session:request` takes
-- @treturn table the answer; a refusal is a failure
function session.call(profile, kept, method, path, options)
  local answer, err = failure.checked(kept.request, kept, method, path, options)
  if answer then return answer end
  if not errors.says_ended(err) then failure.raise_error(err) end
  profile:forget(kept)
  failure.raise_error(err, "no_session")
end

--- What every command tells of a session; never its id.
function session.describe(profile, entry)
  return {
    profile = profile.name, username = entry.username, base_url = entry.session.base_url,
    timeout_at = entry.session.timeout_at,
  }
end

return session
