-- The control connections: one JSON object a line, each answered by one.
-- Depends on json.lua, operations.lua, server.lua and stream.lua.
--
-- {"op":NAME, ...arguments} -> {"ok":true,"result":...} or {"ok":false,"error":"..."}

local json = require("spec.standin.json")
local operations = require("spec.standin.operations")
local server = require("spec.standin.server")
local stream = require("spec.standin.stream")

local control = {}

local MAX_LINE = 64 * 1024 * 1024

local function perform(context, line)
  return operations.perform(context, json.decode(line))
end

local function answer(context, line)
  local ok, result = pcall(perform, context, line)
  return json.encode(ok and { ok = true, result = result } or { ok = false, error = tostring(result) }) .. "\n"
end

-- Serves one control connection.
local function serve(shared, accepted)
  local talk = stream.new(accepted)
  local context = setmetatable({}, { __index = shared })
  repeat
    local line = talk:take_through("\n", MAX_LINE)
    local sent = line and talk:send(answer(context, line))
  until not sent or context.stopping
  talk:close()
  if context.owner or context.stopping then
    shared.stop()
  end
end

--- Opens the control port. `shared` has `loop`, `state`, `server`, `certificates` and `stop()`. Returns the port.
function control.open(shared)
  local listening, port = server.open("127.0.0.1")
  server.spawn(shared.loop, server.accept, shared.loop, listening, function()
    return true
  end, function(accepted)
    serve(shared, accepted)
  end)
  return port
end

return control
