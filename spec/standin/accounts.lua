-- The accounts that the stand-in knows when it starts, and what an account may hold.
-- Depends on nothing.

local accounts = {}

--- The fields of an account that a control connection may set, with their types.
accounts.FIELDS = {
  username = "string",
  password = "string",
  methods = "table", -- second factors, in the order in which the service names them; none without
  secret = "string", -- of totp: base32
  digits = "number", -- of totp: 6 without
  step = "number", -- of totp, seconds: 30 without
  algorithm = "string", -- of totp: SHA1 without
  reuse = "boolean", -- a totp code may be used more than once
  rechallenge = "boolean", -- a wrong code is answered with a new challenge instead of its own error
  region = "string", -- lives in this region: other listeners send it to `host`
  host = "string",
  session = "table", -- fields that replace or join those of its sessions
}

local FIXTURES = {
  { username = "motor", password = "vroom" },
  { username = "tess", password = "tick-tock", methods = { "totp" }, secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ" },
  { username = "sam", password = "dot-dash", methods = { "sms" } },
  { username = "ema", password = "at-sign", methods = { "email" } },
  { username = "yuri", password = "press-here", methods = { "yubi" } },
  { username = "wes", password = "touch-here", methods = { "webauthn" } },
  { username = "uma", password = "plug-in", methods = { "u2f" } },
  {
    username = "mia",
    password = "many-ways",
    methods = { "webauthn", "sms", "totp" },
    secret = "KRUGS4ZANFZSAYJAOZSXE6JAONSWG4TF",
  },
  { username = "rhea", password = "far-away", region = "eu", host = "eu.files.com" },
}

--- Returns fresh accounts by user name.
function accounts.fresh()
  local all = {}
  for id, fixture in ipairs(FIXTURES) do
    local account = { id = id, failures = 0 }
    for field, value in pairs(fixture) do
      account[field] = value
    end
    all[account.username] = account
  end
  return all
end

return accounts
