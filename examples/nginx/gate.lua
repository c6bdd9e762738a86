--- An access hook: lets in who can log in to Files.com, by HTTP Basic over TLS.
--
-- Each visit logs in and out again, so that no session is ever kept. A second factor's code comes in
-- the header X-Files-OTP or in a form; who gave a good one is remembered for a while by a cookie,
-- since a code is good only once. Passwords and codes are neither logged nor kept.
--
-- Depends on filescom and ngx_lua, and on the shared dictionary `filescom_gate`.

local filescom = require "filescom"

local gate = {}

local REALM = 'Basic realm="Files.com", charset="UTF-8"'
local COOKIE = "filescom_gate"
local REMEMBER_SECONDS = 600
local RETRY_SECONDS = 30 -- told to a visitor where the service did not say

local CHALLENGE = "not-authenticated/two-factor-authentication-error"
local LOCKED_OUT = "not-authenticated/locked-out"

local FORM = [[<!DOCTYPE html>
<title>Second factor</title>
<form method="post"><label>Code <input name="filescom_otp" autocomplete="one-time-code" autofocus></label>
<button>Go on</button></form>
]]

-- ---- answers --------------------------------------------------------------------------------

local function refuse(status, text, content_type)
  ngx.status = status
  ngx.header.content_type = content_type or "text/plain; charset=utf-8"
  ngx.header.cache_control = "no-store"
  ngx.print(text)
  return ngx.exit(status)
end

local function ask_for_credentials(text)
  ngx.header.www_authenticate = REALM
  return refuse(401, text .. "\n")
end

local function wait_a_while(err, status, text)
  ngx.header.retry_after = math.ceil(err.retry_after or RETRY_SECONDS)
  return refuse(status, text .. "\n")
end

-- A browser would ask for the password again at a 401, so it gets its form with a 403.
local function ask_for_code()
  ngx.header.x_files_otp = "required"
  if (ngx.var.http_accept or ""):find("text/html", 1, true) then
    return refuse(403, FORM, "text/html; charset=utf-8")
  end
  return ask_for_credentials("A second factor is needed: send its code in the header X-Files-OTP.")
end

local function explain(err, code)
  ngx.log(ngx.NOTICE, "not let in: ", tostring(err)) -- holds no secret
  if err.type == CHALLENGE and not code then return ask_for_code() end
  if err.status == 429 or err.type == LOCKED_OUT then
    return wait_a_while(err, 429, "Too many attempts. Try again later.")
  end
  if err.status == 401 or err.group == "not-authenticated" then
    return ask_for_credentials("Files.com does not know this name, password or code.")
  end
  return wait_a_while(err, 503, "Files.com cannot be asked at the moment.")
end

-- ---- what the visitor brought ---------------------------------------------------------------

local function basic_credentials()
  local encoded = (ngx.var.http_authorization or ""):match("^[Bb]asic +(%S+)$")
  local decoded = encoded and ngx.decode_base64(encoded)
  if not decoded then return nil end
  return decoded:match("^([^:]+):(.*)$")
end

local function code_from_form()
  local kind = ngx.var.content_type or ""
  if ngx.req.get_method() ~= "POST" or not kind:find("^application/x%-www%-form%-urlencoded") then return nil end
  ngx.req.read_body()
  local fields = ngx.req.get_post_args(5)
  local code = fields and fields.filescom_otp
  return type(code) == "string" and code or nil
end

-- ---- remembering ----------------------------------------------------------------------------

-- The cookie is good only along with the credentials that it was given for.
local function proof(token, username, password)
  return ngx.encode_base64(ngx.hmac_sha1(token, username .. ":" .. password))
end

local function is_remembered(username, password)
  local token = ngx.var["cookie_" .. COOKIE]
  local kept = token and ngx.shared[COOKIE]:get(token)
  return kept and kept == proof(token, username, password)
end

local function remember(username, password)
  local source = assert(io.open("/dev/urandom", "rb"))
  local token = source:read(16):gsub(".", function (byte) return ("%02x"):format(byte:byte()) end)
  source:close()
  ngx.shared[COOKIE]:set(token, proof(token, username, password), REMEMBER_SECONDS)
  ngx.header.set_cookie = ("%s=%s; Max-Age=%d; Path=/; Secure; HttpOnly; SameSite=Strict"):format(
    COOKIE, token, REMEMBER_SECONDS)
end

-- ---- the hook -------------------------------------------------------------------------------

local function log_in_and_out(username, password, code)
  local code_used = false
  local session, err = filescom.login_with_otp({ username = username, password = password }, function ()
    code_used = code ~= nil
    return code
  end, { attempts = 1 })
  if not session then return nil, err end
  local ended, why = session:logout()
  if not ended then ngx.log(ngx.WARN, "the session stays open until it times out: ", tostring(why)) end
  return true, code_used
end

--- Lets the request of this access phase go on, or answers it: 401, 403 (the form), 429 or 503.
function gate.check()
  if ngx.var.scheme ~= "https" then return refuse(403, "Only over TLS.\n") end
  local username, password = basic_credentials()
  if not username then return ask_for_credentials("Log in with your name and password at Files.com.") end

  local form_code = code_from_form()
  local code = ngx.var.http_x_files_otp or form_code
  if not is_remembered(username, password) then
    local entered, told = log_in_and_out(username, password, code)
    if not entered then return explain(told, code) end
    if told then remember(username, password) end
  end
  if form_code then return ngx.redirect(ngx.var.request_uri, 303) end

  -- Whatever is behind the gate learns who came, and none of the secrets.
  ngx.req.clear_header("Authorization")
  ngx.req.clear_header("X-Files-OTP")
  ngx.req.set_header("X-Files-Username", username)
end

return gate
