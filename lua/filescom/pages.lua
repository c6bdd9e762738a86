--- Lists of the API, page by page: `session:each`.
--
-- The service names the next page by the header X-Files-Cursor, and the request for it by the
-- parameter `cursor`. Depends on filescom.core, filescom.errors and filescom.request.
--
-- @module filescom.pages

local core = require "filescom.core"
local errors = require "filescom.errors"
local request = require "filescom.request"

local pages = {}

-- A list is asked for: nothing is sent, and its answer is JSON.
local OPTIONS = {
  query = "table", headers = "table", timeout = "number", reauthentication = "string", language = "string",
  workspace_id = "any",
}

-- The options with the query of the page at a cursor; the caller's tables stay as they are.
local function at_cursor(options, cursor)
  local copy, query = {}, {}
  for name, value in pairs(options) do copy[name] = value end
  for name, value in pairs(options.query or {}) do query[name] = value end
  query.cursor = cursor or query.cursor
  copy.query = query
  return copy
end

-- The items of a page and the cursor of the next, nil after the last. Raises what went wrong.
local function page(client, session, path, options, cursor)
  local answer, err = request.send(client, session, "GET", path, at_cursor(options, cursor))
  if not answer then error(err, 0) end
  if answer.data ~= nil and type(answer.data) ~= "table" then
    error(errors.new("response/not-a-list", "the service's answer is no list"), 0)
  end
  local following = answer.headers["X-Files-Cursor"]
  if following == "" then following = nil end
  if following and following == cursor then
    error(errors.new("response/not-a-list", "the service names the page it has sent as the next one"), 0)
  end
  return answer.data or {}, following
end

--- Walks a list; see `filescom.session.Session:each`.
function pages.each(client, session, path, options)
  options = options == nil and {} or options
  request.check_options(options, OPTIONS)
  if type(path) ~= "string" then core.usage_error("path must be a string, got %s", type(path)) end
  local items, place, cursor, is_last = {}, 0, nil, false
  return function ()
    place = place + 1
    while items[place] == nil and not is_last do
      items, cursor = page(client, session, path, options, cursor)
      place, is_last = 1, cursor == nil
    end
    return items[place]
  end
end

return pages
