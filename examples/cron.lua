-- A script for cron that shares one session between its runs: it logs in when there is none (any more), a few times a
-- day, and not at each run.
--
--   */5 * * * *  FILES_USERNAME=reports FILES_PASSWORD_FILE=/etc/reports/password lua5.4 /opt/reports/cron.lua
--
-- FILES_OTP_SECRET_FILE holds the secret of a second factor, where the account has one; FILES_STORE names the directory
-- of the session (~/.filescom), which only this user can read; FILES_BASE_URL and FILES_CA_FILE point it elsewhere.

local filescom = require "filescom"

local function first_line(path)
  local file, why = io.open(path)
  if not file then return nil, why end
  local line = file:read "*l"
  file:close()
  return line
end

-- Read only when a login is due, and not kept.
local function credentials()
  local password, why = first_line(os.getenv "FILES_PASSWORD_FILE" or "")
  if not password then return nil, why end
  return { username = os.getenv "FILES_USERNAME", password = password }
end

local secret_file = os.getenv "FILES_OTP_SECRET_FILE"

local keeper = filescom.keeper {
  credentials = credentials,
  otp_secret = secret_file and function () return first_line(secret_file) end or nil,
  store = filescom.store.file(os.getenv "FILES_STORE" or os.getenv "HOME" .. "/.filescom"),
  name = os.getenv "FILES_USERNAME",
  client = { base_url = os.getenv "FILES_BASE_URL", ca_file = os.getenv "FILES_CA_FILE" },
  on_event = function (event) io.stderr:write(event.type, ": ", event.message, "\n") end,
}

local answer, err = keeper:request("GET", "/folders")
if not answer then
  io.stderr:write(tostring(err), "\n")
  os.exit(1)
end
for _, entry in ipairs(answer.data) do print(entry.type, entry.path) end
-- No logout: the next run goes on with the session.
