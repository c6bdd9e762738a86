-- POST /sessions: who may come in.
-- Depends on multipart.lua, codes.lua, json.lua and refusal.lua; works on the state.

local codes = require("spec.standin.codes")
local json = require("spec.standin.json")
local multipart = require("spec.standin.multipart")
local refusal = require("spec.standin.refusal")

local login = {}

local KNOWN = { username = true, password = true, otp = true, partial_session_id = true }

-- What the request's form says, or nil and a refusal. Official SDKs send JSON, which has to be allowed.
local function read_form(request, state)
  if state.config.json_logins and request.fields["content-type"] == "application/json" then
    return json.decode(request.body)
  end
  local boundary, why = multipart.boundary(request.fields["content-type"] or "")
  if not boundary then
    return nil, refusal.new("media_type", why)
  end
  local fields
  fields, why = multipart.parse(request.body, boundary)
  if not fields then
    return nil, refusal.new("invalid_body", why)
  end
  return fields
end

-- Whether the request is one that a client may send at all; else a refusal.
local function check_manners(request, entry)
  for _, header in ipairs({ "X-FilesAPI-Auth", "X-FilesAPI-Key" }) do
    if request.fields[header:lower()] then
      entry.note = "a login carried " .. header
      return refusal.new("login_with_session", entry.note)
    end
  end
  local accept = request.fields.accept
  if accept and not (accept:find("application/json", 1, true) or accept:find("*/*", 1, true)) then
    return refusal.new("not_acceptable", "only JSON can be sent")
  end
end

local function check_names(fields)
  for name in pairs(fields) do
    if not KNOWN[name] then
      return refusal.new("unknown_field", "unknown field " .. name)
    end
  end
end

local function challenge(state, account, message)
  codes.challenge(account)
  return refusal.new("second_factor", message or "A second factor is needed", {
    two_factor_authentication_methods = account.methods,
    partial_session_id = state:open_partial(account),
  })
end

-- Weighs a code. Returns nil where it lets the account in, else a refusal.
local function refuse_code(state, account, code)
  local verdict = codes.check(account, code, state:now())
  if verdict == "good" then
    return nil
  end
  state:count_failure(account)
  if account.rechallenge then
    return challenge(state, account, "That code was not accepted")
  elseif verdict == "expired" then
    return refusal.new("expired_code", "The code is invalid or has expired")
  end
  return refusal.new("wrong_code", "The code is not correct")
end

-- Whether the account may try at all here; else a refusal.
local function check_standing(state, listener, account)
  if account.region and account.region ~= listener.region then
    return refusal.new("wrong_region", "This account lives in another region", { host = account.host })
  elseif state:is_locked(account) then
    return refusal.new("locked_out", "Too many failures: this account is locked")
  end
end

local function has_method(account, wanted)
  for _, method in ipairs(account.methods or {}) do
    if method == wanted then
      return true
    end
  end
  return false
end

-- The second request of a login by a key: no password, but the partial session.
local function complete_partial(state, listener, fields)
  local account = state:partial_account(fields.partial_session_id)
  if not account or account.username ~= fields.username then
    return nil, refusal.new("bad_session", "The partial session is unknown or has expired")
  elseif not has_method(account, "yubi") then
    return nil, refusal.new("bad_password", "The password is missing")
  end
  local refused = check_standing(state, listener, account) or refuse_code(state, account, fields.otp or "")
  if refused then
    return nil, refused
  end
  state.partials[fields.partial_session_id] = nil
  return account
end

-- A request with a password, and a code where one is known already.
local function with_password(state, listener, fields)
  local account = state.accounts[fields.username or ""]
  if not account then
    return nil, refusal.new("bad_password", "Invalid username or password")
  end
  local refused = check_standing(state, listener, account)
  if refused then
    return nil, refused
  elseif fields.password ~= account.password then
    state:count_failure(account)
    return nil, refusal.new("bad_password", "Invalid username or password")
  elseif not account.methods then
    return account
  elseif not fields.otp or fields.otp == "" then
    return nil, challenge(state, account)
  elseif has_method(account, "yubi") then
    return nil, refusal.new("unknown_field", "a key's code goes with partial_session_id and without a password")
  end
  refused = refuse_code(state, account, fields.otp)
  return not refused and account or nil, refused
end

--- Decides a login. Returns the account that has come in, or nil and a refusal.
function login.decide(state, listener, request, entry)
  local refused = check_manners(request, entry)
  if refused then
    return nil, refused
  end
  local fields
  fields, refused = read_form(request, state)
  entry.fields = fields
  refused = refused or check_names(fields)
  if refused then
    return nil, refused
  end
  local account
  if fields.partial_session_id and not fields.password then
    account, refused = complete_partial(state, listener, fields)
  else
    account, refused = with_password(state, listener, fields)
  end
  if account then
    account.failures = 0
  end
  return account, refused
end

return login
