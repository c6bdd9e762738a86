-- The byte-exact mode: steps that a connection goes through instead of the service.
-- Depends on http.lua and certificates.lua; streams are those of stream.lua.
--
-- A step is a table with one verb:
--   {"raw":true}              first of all: no TLS handshake on an https listener
--   {"tls":KIND}              a TLS handshake now, as a server, with a certificate of a kind
--   {"read":"request"}        a request's head and body          {"read":"head"}  its head alone
--   {"read":N}                N bytes
--   {"send":BYTES}            {"send":BYTES,"each":K,"pause":S}  K bytes at a time, S seconds apart
--   {"sleep":S}               S seconds, or until the peer ends  {"hang":true}    until the peer ends
--   {"shutdown":true}         ends the sending; reading goes on
--   {"close":true}            closes                             {"reset":true}   closes with a RST
--   {"repeat":N,"steps":[..]} the steps N times
--   {"service":true}          the service answers one request    {"service":N}    N of them    {"service":"all"}
-- After its last step a connection is closed. A read or a send that the peer ends, ends the script.

local certificates = require("spec.standin.certificates")
local http = require("spec.standin.http")

local script = {}

local verbs = {}

function verbs.raw()
  return true
end

function verbs.tls(run, step)
  run.connection.tls = run.stream:starttls(run.certificates:context(step.tls))
  return run.connection.tls ~= nil
end

-- Reads a head, and the body with it if wanted; both are logged.
local function read_request(run, whole)
  local request, refusal = http.read_head(run.stream, run.limits.max_header)
  if not request then
    run.log({ scripted = true, refused = refusal and refusal.detail or "ended", raw = refusal and refusal.head })
    return false
  end
  run.log({ scripted = true, request = request })
  return not whole or http.read_body(run.stream, request, run.limits.max_body)
end

function verbs.read(run, step)
  if type(step.read) == "number" then
    return run.stream:drop(step.read)
  end
  return read_request(run, step.read == "request")
end

function verbs.send(run, step)
  local each = step.each or #step.send
  for from = 1, #step.send, math.max(each, 1) do
    if not run.stream:send(step.send:sub(from, from + each - 1)) then
      return false
    elseif step.pause and not run.stream:wait(step.pause) then
      return false
    end
  end
  return true
end

function verbs.sleep(run, step)
  return run.stream:wait(step.sleep)
end

function verbs.hang(run)
  return run.stream:wait()
end

function verbs.shutdown(run)
  run.stream:shutdown()
  return true
end

function verbs.close()
  return false
end

function verbs.reset(run)
  run.stream:reset()
  return false
end

verbs["repeat"] = function(run, step)
  for _ = 1, step["repeat"] do
    if not script.run(run, step.steps) then
      return false
    end
  end
  return true
end

function verbs.service(run, step)
  local left = step.service == "all" and math.huge or step.service == true and 1 or step.service
  while left > 0 do
    if not run.serve() then
      return false
    end
    left = left - 1
  end
  return true
end

local VALUES = {
  raw = "boolean", tls = "string", read = "string number", send = "string", sleep = "number", hang = "boolean",
  shutdown = "boolean", close = "boolean", reset = "boolean", ["repeat"] = "number", service = "boolean number string",
}
local WORDS = {
  read = function(word) return word == "request" or word == "head" end,
  service = function(word) return word == "all" end,
  tls = certificates.is_kind,
}
local MODIFIERS = { each = "number", pause = "number", steps = "table" }

local function verb_of(step)
  for verb in pairs(VALUES) do
    if step[verb] ~= nil then
      return verb
    end
  end
end

-- Raises what is wrong with a step.
local function check_step(step)
  local verb = type(step) == "table" and verb_of(step)
  if not verb then
    error("a step needs a verb", 0)
  end
  for name, value in pairs(step) do
    local wanted = name == verb and VALUES[verb] or MODIFIERS[name]
    if not wanted then
      error(("step %s: unknown %s"):format(verb, tostring(name)), 0)
    elseif not wanted:find(type(value), 1, true) then
      error(("step %s: %s must be a %s"):format(verb, name, wanted:gsub(" ", " or ")), 0)
    end
  end
  if WORDS[verb] and type(step[verb]) == "string" and not WORDS[verb](step[verb]) then
    error(("step %s: unknown %s"):format(verb, step[verb]), 0)
  elseif verb == "repeat" then
    script.check(step.steps)
  end
end

--- Raises what is wrong with a list of steps.
function script.check(steps)
  if type(steps) ~= "table" then
    error("steps must be a list", 0)
  end
  for _, step in ipairs(steps) do
    check_step(step)
  end
end

--- Whether a script begins before the TLS handshake.
function script.is_raw(steps)
  return steps[1] ~= nil and steps[1].raw == true
end

--- Goes through steps. `run` has `stream`, `connection`, `certificates`, `limits`, `log(entry)` and `serve()`.
-- Returns whether the connection is still to be used.
function script.run(run, steps)
  for _, step in ipairs(steps) do
    local verb = verb_of(step)
    if not verbs[verb](run, step) then
      return false
    end
  end
  return true
end

return script
