--- A store in a `lua_shared_dict`, for all workers of one nginx. See filescom.store for what a store is.
--
-- Nothing here waits, so it may be read in every phase. A lock is extended and freed in two steps
-- (a dictionary cannot compare and set): should it run out between them, another's may be met; that
-- costs a login, no more. Depends on ngx_lua.
--
-- @module filescom.store.shared_dict

local core = require "filescom.core"

local shared_dict = {}

local SharedDict = {}
SharedDict.__index = SharedDict

local TEXT, LOCK = "session:", "lock:"

-- What a dictionary answers, as a store does.
local function result_of(ok, why)
  if ok then return true end
  return nil, "the shared dictionary: " .. tostring(why)
end

function SharedDict:get(name)
  local text, why = self._dict:get(TEXT .. name)
  if text == nil and type(why) == "string" then return result_of(nil, why) end
  return text
end

function SharedDict:set(name, text, ttl)
  return result_of(self._dict:set(TEXT .. name, text, ttl))
end

function SharedDict:delete(name)
  self._dict:delete(TEXT .. name)
  return true
end

-- Whether a lock has more than twice the time left that it was made for (its flags): the clock was
-- set back meanwhile, and nobody could tell when its owner is dead.
local function is_stray(dict, key, span)
  local left = dict:ttl(key)
  return left ~= nil and span ~= nil and left > 2 * span
end

function SharedDict:lock(name, token, ttl)
  local dict, key = self._dict, LOCK .. name
  local added, why = dict:add(key, token, ttl, math.ceil(ttl))
  if added then return true end
  if why ~= "exists" then return result_of(nil, why) end
  local owner, span = dict:get(key)
  if owner == token then return dict:expire(key, ttl) and true or false end
  if owner and is_stray(dict, key, span) then dict:delete(key) end -- for the next who asks
  return false
end

function SharedDict:unlock(name, token)
  local key = LOCK .. name
  if self._dict:get(key) == token then self._dict:delete(key) end
  return true
end

--- See `filescom.store.shared_dict`.
function shared_dict.new(dict)
  local ngx = rawget(_G, "ngx")
  if not ngx then core.usage_error("the store shared_dict is for nginx") end
  local found = type(dict) == "string" and ngx.shared[dict] or dict
  if type(found) ~= "table" then
    core.usage_error("there is no lua_shared_dict '%s'", tostring(dict))
  end
  return setmetatable({ _dict = found }, SharedDict)
end

return shared_dict
