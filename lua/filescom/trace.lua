--- Trace lines for the `debug` option.
--
-- Lines are written from what this library knows to be no secret, never from the bytes of a request
-- or an answer: the method and the URL without its query, the names of what is sent, how the
-- connection went, the status. Depends on filescom.redaction; loaded only where a trace is wanted.
--
-- @module filescom.trace

local redaction = require "filescom.redaction"

local trace = {}

local Trace = {}
Trace.__index = Trace

--- Makes a trace.
-- @tparam function write is given one line after another, without line ends. An error that it
--   raises is dropped: a trace never decides whether a login is lost.
function trace.new(write)
  return setmetatable({ write = write }, Trace)
end

local function line(self, format, ...)
  pcall(self.write, format:format(...))
end

local function names_of(fields)
  local names = {}
  for name in pairs(fields or {}) do names[#names + 1] = tostring(name) end
  table.sort(names)
  return table.concat(names, ", ")
end

local describe = {}

function describe.login(default_base, credentials, base_url)
  return ("POST %s/sessions (fields: %s)"):format(base_url or default_base, names_of(credentials))
end

function describe.logout(default_base, _, base_url)
  return ("DELETE %s/sessions (session: [redacted])"):format(base_url or default_base)
end

-- What the service calls the address of a file opens it to whoever reads it: of such only the host is told.
local function place_of(default_base, request)
  if request.origin then return request.origin .. "/[redacted]", "none" end
  local path = request.path:match("^[^?]*")
  local query = #path < #request.path and "?[redacted]" or ""
  return (request.base_url or default_base) .. path .. query, "[redacted]"
end

function describe.request(default_base, request)
  local place, session = place_of(default_base, request)
  return ("%s %s (session: %s, headers: %s, body: %.0f bytes)"):format(request.method, place, session,
    names_of(request.headers), request.size or #(request.body or ""))
end

--- Writes what is asked.
function Trace:begun(base_url, verb, ...)
  line(self, "> %s", describe[verb](base_url, ...))
end

local function connection(info)
  if info.remote_ip == "" then return "no connection" end
  return ("%s connection to %s port %d"):format(info.connections == 0 and "kept" or "new",
    info.remote_ip, info.remote_port)
end

-- The secrets of a call, by its verb and its arguments.
local secrets_of = {
  login = function (credentials) return { password = credentials.password, otp = credentials.otp } end,
  logout = function (id) return { id } end,
  request = function (request) return require("filescom.request").secrets(request) end,
}

-- What somebody else wrote is not let into a line as it is.
local function plain(text, secrets)
  return (redaction.redact(text, secrets):gsub("[^%w%-_.%[%]]", "?"))
end

--- Writes what came of it: the wire, then the answer or what took its place.
function Trace:ended(info, failure, verb, ...)
  local request_id = info.request_id
  local shown = request_id ~= "" and ", request " .. plain(request_id, secrets_of[verb](...)) or ""
  line(self, "* %s, attempt %d, %.3f s", connection(info), info.attempts, info.seconds)
  line(self, "< %s%s%s", info.status > 0 and "HTTP " .. info.status or "no answer", shown,
    failure and failure.type and ", " .. failure.type or "")
end

return trace
