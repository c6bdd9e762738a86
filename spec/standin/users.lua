-- Calls about users: a list in pages, and one that asks for the password again.
-- Depends on parameters.lua, random.lua and refusal.lua; works on the state.

local parameters = require("spec.standin.parameters")
local random = require("spec.standin.random")
local refusal = require("spec.standin.refusal")

local users = {}

local MOST_OF_A_PAGE = 1000

-- The first user of the page that a cursor names, which is good as often as it is sent.
local function first_of(state, cursor)
  if not cursor then
    return 1
  end
  return state.cursors[cursor]
end

--- GET /users: `per_page` and `cursor`; the header X-Files-Cursor names the next page.
function users.list(call)
  local fields, refused = parameters.of_query(call.request, { per_page = "integer", cursor = "string" })
  if not fields then
    return refused
  end
  local first, count = first_of(call.state, fields.cursor), fields.per_page or MOST_OF_A_PAGE
  if not first or count < 1 or count > MOST_OF_A_PAGE then
    return refusal.new("bad_parameter", "Bad cursor or per_page")
  end
  local list, last = {}, math.min(first + count - 1, call.state.config.users)
  for id = first, last do
    list[#list + 1] = { id = id, username = "user" .. id }
  end
  local answer = { status = 200, json = list }
  if last < call.state.config.users then
    local cursor = random.hex(1)
    call.state.cursors[cursor] = last + 1
    answer.headers = { { "X-Files-Cursor", cursor } }
  end
  return answer
end

--- POST /api_keys: done only where X-Files-Reauthentication repeats the password.
function users.create_key(call)
  local given = call.request.fields["x-files-reauthentication"]
  if not given then
    return refusal.new("reauthentication", "Please reauthenticate")
  end
  local fields, refused = parameters.of_body(call.request, { name = "string" })
  if not fields then
    return refused
  elseif given ~= "password:" .. call.account.password then
    return refusal.new("wrong_reauthentication", "This is not the password: " .. given)
  end
  return { status = 201, json = { id = 1, name = fields.name, key = random.hex(4) } }
end

return users
