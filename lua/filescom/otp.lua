--- The second factor: asks for a code while the service does, and logs in again with it.
--
-- Which error asks for a code, and what is sent in answer to which method, is the service's
-- protocol. Depends on filescom.core for its errors and on a client's `_login`; filescom.totp and
-- filescom.clock are loaded where codes are computed from a secret.
--
-- @module filescom.otp

local core = require "filescom.core"

local otp = {}

local DEFAULT_ATTEMPTS = 3

-- Methods that a code can answer, the one to prefer first.
local ANSWERABLE = { "yubi", "totp", "sms", "email" }

local CHALLENGE = "two-factor-authentication-error"

-- Refusals of a code, after which another may be asked for. Nothing else is tried again.
local CODE_REFUSED = {
  [CHALLENGE] = true,
  ["one-time-password-incorrect"] = true,
  ["invalid-or-expired-code"] = true,
}

local function reason_of(err)
  return err.type:match("/(.*)$")
end

-- The names in a list that somebody else wrote.
local function strings_of(list)
  local names = {}
  for _, name in ipairs(type(list) == "table" and list or {}) do
    if type(name) == "string" then names[#names + 1] = name end
  end
  return names
end

local function contains(list, value)
  for _, entry in ipairs(list) do
    if entry == value then return true end
  end
  return false
end

local function preferred(methods)
  for _, method in ipairs(ANSWERABLE) do
    if contains(methods, method) then return method end
  end
end

-- What a challenge told, kept for the next where that one does not tell it again.
local function read_challenge(err, former)
  local data = type(err.data) == "table" and err.data or {}
  local methods = strings_of(data.two_factor_authentication_methods)
  local partial = data.partial_session_id
  return {
    methods = #methods > 0 and methods or former.methods,
    partial_session_id = type(partial) == "string" and partial or former.partial_session_id,
  }
end

-- The credentials that answer a challenge by a method.
local function answer(credentials, state, method, code)
  if method == "yubi" then
    return {
      username = credentials.username, otp = code, partial_session_id = state.partial_session_id,
    }
  end
  return { username = credentials.username, password = credentials.password, otp = code }
end

local function check_choice(method, methods)
  if not contains(methods, method) then
    core.usage_error("get_code chose the method '%s', which the service did not name",
      tostring(method))
  end
  if not contains(ANSWERABLE, method) then
    core.usage_error("get_code chose the method '%s', which no code can answer", method)
  end
end

-- Asks for a code: the code and its method, or nil and why there is none.
local function ask(get_code, challenge)
  local code, choice = get_code(challenge)
  if code == nil then return nil, choice end
  if type(code) ~= "string" then
    core.usage_error("get_code must return a string or nil, got %s", type(code))
  end
  code = code:match("^%s*(.-)%s*$")
  if code == "" then return nil, "no code was given" end
  if choice ~= nil then check_choice(choice, challenge.methods) end
  return code, choice or challenge.method
end

-- Who gives codes: get_code, and otp_secret where there is one.
local function check_sources(get_code, otp_secret)
  if otp_secret ~= nil then require("filescom.totp").check(otp_secret) end
  if type(get_code) ~= "function" and (get_code ~= nil or otp_secret == nil) then
    core.usage_error("get_code must be a function, got %s", type(get_code))
  end
end

local function check_attempts(attempts)
  if attempts == nil then return DEFAULT_ATTEMPTS end
  if type(attempts) ~= "number" or attempts < 1 or attempts % 1 ~= 0 then
    core.usage_error("option 'attempts' must be a whole number, 1 or more")
  end
  return attempts
end

-- Returns how many codes are asked for at most, and the secret that they may be computed from.
local function check_arguments(get_code, options)
  if options ~= nil and type(options) ~= "table" then
    core.usage_error("options must be a table, got %s", type(options))
  end
  for name in pairs(options or {}) do
    if name ~= "attempts" and name ~= "otp_secret" then
      core.usage_error("unknown option '%s'", tostring(name))
    end
  end
  options = options or {}
  check_sources(get_code, options.otp_secret)
  return check_attempts(options.attempts), options.otp_secret
end

-- Computes a code, or asks for one: the code and its method, or nil and why there is none.
local function find_code(get_code, otp_secret, challenge, clock)
  if otp_secret ~= nil and contains(challenge.methods, "totp") then
    return require("filescom.totp").next_code(otp_secret, clock or require "filescom.clock"), "totp"
  end
  if get_code then return ask(get_code, challenge) end
  return nil, ("nobody is there to answer by %s"):format(challenge.method)
end

local function copy(list)
  local entries = {}
  for i, entry in ipairs(list) do entries[i] = entry end
  return entries
end

--- Logs in and answers the second factor; see `filescom.client.Client:login_with_otp`.
-- `clock` is for the codes that are computed (default filescom.clock).
function otp.login(client, credentials, get_code, options, clock)
  local attempts, otp_secret = check_arguments(get_code, options)
  local session, err, base_url = client:_login(credentials)
  local state = { methods = {} }

  for attempt = 1, attempts do
    if session or not CODE_REFUSED[reason_of(err)] then break end
    state = read_challenge(err, state)
    local method = preferred(state.methods)
    if not method then break end
    local code, chosen = find_code(get_code, otp_secret, {
      method = method, methods = copy(state.methods), message = err.message,
      attempt = attempt, attempts = attempts, error = attempt > 1 and err or nil,
    }, clock)
    if not code then
      err.reason = chosen
      break
    end
    -- The challenge is the region's that gave it: its answer goes straight there.
    session, err, base_url = client:_login(answer(credentials, state, chosen, code), base_url,
      credentials.password)
  end
  return session, err
end

return otp
