--- Files.com sessions: log in, answer a second factor, use the session, log out.
--
-- The functions of this module are those of one default client, which is made when it is first
-- needed. Depends on filescom.core; everything else is loaded when it is used.
--
-- @module filescom
-- @usage
-- local filescom = require "filescom"
--
-- local session = assert(filescom.login { username = "motor", password = "vroom" })
-- print(session.id, session.timeout_at)
-- filescom.logout()

local core = require "filescom.core"

local function client_class() return require "filescom.client" end

-- Workers share what nginx has loaded before they are, and read no file while they serve.
if rawget(_G, "ngx") then client_class() end

local filescom = {
  --- The version, such as "0.1.0".
  _VERSION = core._VERSION,
}

local default_options = {}
local default_client

local function default()
  if not default_client then default_client = client_class().new(default_options) end
  return default_client
end

--- Makes a client of its own.
-- @tparam[opt] table options what it does otherwise than by default, see doc/reference.md
-- @treturn filescom.client.Client the client; a wrong option raises an error that names it
-- @usage
-- local client = filescom.new { timeout = 10, language = "de" }
-- local session = assert(client:login { username = "motor", password = "vroom" })
-- client:logout(session)
-- client:close()
function filescom.new(options)
  return client_class().new(options)
end

--- Sets options of the default client; those that are not named stay as they are.
-- Sessions that are open stay open. Where an option is wrong an error is raised and nothing changes.
-- @tparam table options as for `new`
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
  default_client = client_class().new(merged, default_client)
  default_options = merged
end

--- Logs in on the default client. See `filescom.client.Client:login`.
-- @tparam table credentials `username`, `password`, `otp`, `partial_session_id`: strings
-- @treturn[1] filescom.session.Session
-- @treturn[2] nil
-- @treturn[2] filescom.errors.Error
function filescom.login(credentials)
  local session, err = default():_login(credentials)
  return session, err
end

--- Logs in on the default client and answers a second factor.
-- See `filescom.client.Client:login_with_otp`.
-- @tparam table credentials as for `login`
-- @tparam ?function get_code given a challenge, returns a code; optional where there is `otp_secret`
-- @tparam[opt] table options `attempts`: how many codes are asked for at most (default 3); `otp_secret`
-- @treturn[1] filescom.session.Session
-- @treturn[2] nil
-- @treturn[2] filescom.errors.Error
function filescom.login_with_otp(credentials, get_code, options)
  return default():login_with_otp(credentials, get_code, options)
end

--- Ends a session, or the last login of the default client that is still open.
-- See `filescom.client.Client:logout`.
-- @tparam[opt] filescom.session.Session|string session a session or its id
-- @treturn[1] table `status` and `request_id`
-- @treturn[2] nil
-- @treturn[2] filescom.errors.Error
function filescom.logout(session)
  return default():_logout(session)
end

--- Takes up a session that exists already. See `filescom.client.Client:session`.
-- @tparam string|table id_or_table an id, or a session's fields as they were written down
-- @treturn filescom.session.Session
function filescom.session(id_or_table)
  return default():session(id_or_table)
end

--- Makes a keeper: one session of a service account, shared, renewed and replaced by itself.
-- Where it is given no client, its own have the options that `configure` has set by now.
-- @tparam table options see doc/keepers.md
-- @treturn filescom.keeper.Keeper the keeper; a wrong option raises an error that names it
function filescom.keeper(options)
  return require("filescom.keeper").new(options, default_options)
end

-- `filescom.store`: where keepers keep sessions (see filescom.store), loaded when it is first used.
return setmetatable(filescom, {
  __index = function (self, name)
    if name ~= "store" then return nil end
    local stores = require "filescom.store"
    rawset(self, name, stores)
    return stores
  end,
})
