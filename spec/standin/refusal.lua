-- Refusals in the service's own format, by name.
-- Depends on json.lua.

local json = require("spec.standin.json")

local refusal = {}

local KINDS = {
  malformed_http = { 400, "bad-request", "Bad Request" },
  invalid_body = { 400, "bad-request/invalid-body", "Invalid Body" },
  unknown_field = { 400, "bad-request/request-params-invalid", "Request Params Invalid" },
  login_with_session = { 400, "bad-request/request-params-invalid", "Request Params Invalid" },
  not_acceptable = { 400, "bad-request/unsupported-http-response-format", "Unsupported HTTP Response Format" },
  media_type = { 415, "bad-request/unsupported-media-type", "Unsupported Media Type" },
  body_too_large = { 413, "bad-request/request-body-too-large", "Request Body Too Large" },
  method = { 405, "bad-request/method-not-allowed", "Method Not Allowed" },
  no_session = { 401, "not-authenticated/authentication-required", "Authentication Required" },
  bad_session = { 401, "not-authenticated/invalid-session", "Invalid Session" },
  bad_password = { 401, "not-authenticated/invalid-username-or-password", "Invalid Username or Password" },
  second_factor = { 401, "not-authenticated/two-factor-authentication-error", "Two Factor Authentication Error" },
  wrong_code = { 401, "not-authenticated/one-time-password-incorrect", "One Time Password Incorrect" },
  expired_code = { 401, "not-authenticated/invalid-or-expired-code", "Invalid or Expired Code" },
  locked_out = { 401, "not-authenticated/locked-out", "Locked Out" },
  wrong_region = { 401, "not-authenticated/lockout-region-mismatch", "Lockout Region Mismatch" },
  no_path = { 404, "not-found", "Not Found" },
  no_folder = { 404, "not-found/file-not-found", "File Not Found" },
  bad_parameter = { 400, "bad-request/request-params-invalid", "Request Params Invalid" },
  no_upload = { 404, "not-found/file-upload-not-found", "File Upload Not Found" },
  reauthentication = { 403, "not-authorized/reauthentication-needed-action", "Reauthentication Needed Action" },
  wrong_reauthentication = { 403, "not-authorized/reauthentication-failed", "Reauthentication Failed" },
  many_logins = { 429, "rate-limited/too-many-login-attempts", "Too Many Login Attempts" },
  many_requests = { 429, "rate-limited/too-many-requests", "Too Many Requests" },
}

--- Makes the answer of a refusal: its kind, what to tell, and `data` for programs.
function refusal.new(kind, message, data)
  local status, full_type, title = table.unpack(KINDS[kind])
  return {
    status = status,
    refusal = {
      error = message,
      ["http-code"] = status,
      title = title,
      type = full_type,
      data = data or {},
      errors = { message },
    },
  }
end

--- The body of a refusal, once its request has an id.
function refusal.body(fields, request_id)
  fields.instance = request_id
  return json.encode(fields)
end

return refusal
