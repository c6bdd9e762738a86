--- The caller's part in a streamed body: taking pieces of an answer, giving those of a request.
--
-- The core asks for it outside of anything that waits (filescom_exchange_attention), so that here a
-- sink or a source is called as any function: it may raise, and yield where its host can. Depends on
-- filescom.core for its exchanges alone.
--
-- @module filescom.stream

local stream = {}

local function stopped(who, why)
  return { type = "stream/stopped", message = ("the %s stopped: %s"):format(who, tostring(why)) }
end

local function nothing() end

local function take(exchange, sink)
  local going, why = sink(exchange:received())
  exchange:taken()
  if going == false or (going == nil and why ~= nil) then return stopped("sink", why or "it returned false") end
end

local function give(exchange, source, count, rest)
  local piece, why = source(count)
  if piece == nil and why ~= nil then return stopped("source", why) end
  if piece == "" then rest() end
  exchange:give(piece)
end

-- Does what is due. Returns a failure where the caller's function stopped it.
local function attend(exchange, sink, source, rest)
  local due, count = exchange:attention()
  if due == "take" then return take(exchange, sink) end
  if due == "give" then return give(exchange, source, count, rest) end
end

local function run(exchange, wait, sink, source, rest)
  local failure
  repeat
    wait(exchange)
    failure = attend(exchange, sink, source, rest)
  until failure or (exchange:done() and not exchange:attention())
  return failure
end

-- Plain Lua 5.1 cannot yield across pcall. There an exchange whose caller raises in a coroutine goes with the
-- next collection.
local CAN_YIELD_ACROSS_PCALL = _VERSION ~= "Lua 5.1" or rawget(_G, "jit") ~= nil

local function call(f, ...)
  return true, f(...)
end

local function protected()
  return (CAN_YIELD_ACROSS_PCALL or not coroutine.running()) and pcall or call
end

-- An exchange that is gone with. From Lua 5.4 on a coroutine may be closed while a sink or a source yields.
local Visit = {}

function Visit.__close(visit)
  if not visit.is_over then visit.exchange:cancel() end
end

local function goes_on(visit)
  return not visit.is_over or nil
end

--- Goes with an exchange until it is done, and every piece that came was taken.
-- @tparam userdata exchange begun with a sink or a source
-- @tparam function wait waits until it is done or something is due; may return before that
-- @tparam function|nil sink called with each piece
-- @tparam function|nil source called with the number of bytes wanted
-- @tparam[opt] function rest called where the source has nothing yet ("")
-- @treturn table|nil the failure, where the sink or the source stopped it; the exchange is still to be
--   cancelled then. What either raises is raised again as it is, once the exchange is cancelled
function stream.serve(exchange, wait, sink, source, rest)
  local visit = setmetatable({ exchange = exchange }, Visit)
  local ok, failure
  -- A generic `for` closes its fourth value, however it is left; versions before 5.4 ignore it.
  for _ in goes_on, visit, nil, visit do
    ok, failure = protected()(run, exchange, wait, sink, source, rest or nothing)
    visit.is_over = true
  end
  if ok then return failure end
  exchange:cancel()
  error(failure, 0)
end

return stream
