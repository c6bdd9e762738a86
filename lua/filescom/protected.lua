--- pcall, through which what is called may yield: plain Lua 5.1's own does not let it.
--
-- There a coroutine of our own runs what is called, and who is to be resumed is the one around it.
-- Depends on nothing.
--
-- @module filescom.protected

local protected = {}

local is_plain_5_1 = _VERSION == "Lua 5.1" and not rawget(_G, "jit")

-- The coroutine around each of our own.
local around = setmetatable({}, { __mode = "k" })

local function call(run, ...)
  local outer = coroutine.running()
  if not outer then return pcall(run, ...) end -- the main program, which cannot yield
  local thread = coroutine.create(run)
  around[thread] = outer
  local function go_on(ok, ...)
    if not ok or coroutine.status(thread) == "dead" then return ok, ... end
    return go_on(coroutine.resume(thread, coroutine.yield(...)))
  end
  return go_on(coroutine.resume(thread, ...))
end

--- Calls a function as pcall does.
-- @tparam function run
-- @param ... what it is given
-- @return what pcall would return
protected.call = is_plain_5_1 and call or pcall

--- The coroutine that others know, where a function called by `call` runs in one of our own.
-- @tparam ?thread thread a running one
-- @treturn ?thread
function protected.around(thread)
  while thread and around[thread] do thread = around[thread] end
  return thread
end

return protected
