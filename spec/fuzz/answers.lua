--- The Lua half of answers.c: makes what Lua sees of an exchange, and holds it to promises.

local errors = require "filescom.errors"
local promises = require "spec.fuzz.promises"

local answers = {}

local function fails(failure)
  promises.error(errors.from_failure(failure, promises.secrets), promises.secrets)
end

--- Takes the answer of an exchange.
-- @tparam function push core_push_answer for the exchange
-- @tparam string kind "login", "logout" or "request"
-- @tparam string base_url where it went
function answers.take(push, kind, base_url)
  local answer, failure = push()
  if answer == nil then return fails(failure) end
  if kind == "login" then
    promises.session(answer, base_url)
  else
    promises[kind](answer)
  end
end

return answers
