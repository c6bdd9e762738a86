-- Logs in and out with filescom, PAIRS times over one connection.
-- usage: lua bench/pairs.lua BASE_URL USERNAME PASSWORD PAIRS

local filescom = require "filescom"

filescom.configure { base_url = arg[1] }
for _ = 1, tonumber(arg[4]) do
  assert(filescom.login { username = arg[2], password = arg[3] })
  assert(filescom.logout())
end
