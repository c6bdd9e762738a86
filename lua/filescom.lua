--- Files.com sessions: log in, answer a second factor, use the session, log out.
--
-- The functions of this module are those of one default client, which is made when it is first
-- needed. See doc/reference.md for the whole of the public interface. Depends on filescom.client and filescom.core;
-- everything else is loaded when it is used.
--
-- @module filescom

local Client = require "filescom.client"
local core = require "filescom.core"

local filescom = { _VERSION = Client._VERSION }

local default_options = {}
local default_client

local function default()
  if not default_client then default_client = Client.new(default_options) end
  return default_client
end

--- Makes a client of its own.
-- @tparam[opt] table options see doc/reference.md
-- @treturn filescom.client.Client the client; a wrong option raises an error that names it
function filescom.new(options)
  return Client.new(options)
end

--- Sets options of the default client; those that are not named stay as they are.
-- Sessions that are open stay open. Where an option is wrong an error is raised and nothing changes.
-- @tparam table options see doc/reference.md
function filescom.configure(options)
  if type(options) ~= "table" then
    core.usage_error("options must be a table, got %s", type(options))
  end
  local merged = {}
  for name, value in pairs(default_options) do merged[name] = value end
  for name, value in pairs(options) do merged[name] = value end
  -- A place named anew replaces the old one, however either was named.
  if options.base_url ~= nil and options.subdomain == nil then merged.subdomain = nil end
  if options.subdomain ~= nil and options.base_url == nil then merged.base_url = nil end
  default_client = Client.new(merged, default_client)
  default_options = merged
end

--- Logs in on the default client. See `filescom.client.Client:login`.
function filescom.login(credentials)
  local session, err = default():_login(credentials)
  return session, err
end

--- Logs in on the default client and answers a second factor.
-- See `filescom.client.Client:login_with_otp`.
function filescom.login_with_otp(credentials, get_code, options)
  return default():login_with_otp(credentials, get_code, options)
end

--- Ends a session, or the last login of the default client that is still open.
-- See `filescom.client.Client:logout`.
function filescom.logout(session)
  return default():_logout(session)
end

--- Takes up a session that exists already. See `filescom.client.Client:session`.
function filescom.session(id_or_table)
  return default():session(id_or_table)
end

return filescom
