--- Sessions: plain tables with the service's own fields, and a few methods.
--
-- A session's table holds what the service sent and `base_url`, nothing else, so that it can be
-- encoded and taken up again. Which client it belongs to, and whether it has ended, is told by its
-- metatable: a client has one for sessions and another for those that are no more. Depends on
-- filescom.core; requests are loaded when they are first used.
--
-- @module filescom.session

local core = require "filescom.core"

local getmetatable, setmetatable, type = getmetatable, setmetatable, type

local sessions = {}

--- A session: a table of the service's own fields and `base_url`, with these methods.
-- @type Session
local Session = {}

-- The class of a session; an empty one for what is no session of this library's.
-- A file handle is kept from getmetatable, see client.lua's check.
local function class_of(session)
  local class = type(session) == "table" and getmetatable(session)
  return type(class) == "table" and class.client and class or {}
end

local function client_of(session)
  return class_of(session).client
    or core.usage_error("a session's method must be called on a session (session:method()), got %s", type(session))
end

--- Ends this session, on the client that it came from.
-- @treturn[1] table `status` and `request_id`
-- @treturn[2] nil
-- @treturn[2] filescom.errors.Error `session/none` where the session has ended already
function Session:logout()
  return client_of(self):logout(self)
end

--- The header that authorises a call with this session, for another HTTP client.
-- @treturn table `{["X-FilesAPI-Auth"] = id}`
function Session:headers()
  client_of(self)
  return { ["X-FilesAPI-Auth"] = self.id }
end

--- Any other call of the API with this session.
-- @tparam string method such as "GET"
-- @tparam string path below the base URL, such as "/folders"
-- @tparam[opt] table options see doc/requests.md
-- @treturn[1] table `status`, `headers` (found in any case), `data` (nil where the answer is empty; with
--   option `raw` in its place `body`, a string)
-- @treturn[2] nil
-- @treturn[2] filescom.errors.Error
-- @usage
-- local answer = assert(session:request("GET", "/folders/reports", { query = { per_page = 100 } }))
-- for _, entry in ipairs(answer.data) do print(entry.path) end
function Session:request(method, path, options)
  return require("filescom.request").send(client_of(self), self, method, path, options)
end

--- Walks a list of the API, page by page.
-- @tparam string path such as "/users"
-- @tparam[opt] table options as of `request`, without bodies
-- @treturn function an iterator that gives one item after another. Where a page cannot be had it raises
--   the error table that `request` would have returned
function Session:each(path, options)
  return require("filescom.pages").each(client_of(self), self, path, options)
end

--- Downloads a file.
-- @tparam string path the file's, such as "reports/2026.csv"
-- @tparam function sink is given one piece of the file after another, as strings; it may yield. What it
--   raises ends the download and is raised again; `false`, or nil and why, ends it with `stream/stopped`
-- @tparam[opt] table options see doc/requests.md
-- @treturn[1] table `status`, `headers`, `size` (bytes received), `data` (what the service tells of the file)
-- @treturn[2] nil
-- @treturn[2] filescom.errors.Error
function Session:download(path, sink, options)
  return require("filescom.files").download(client_of(self), self, path, sink, options)
end

--- Uploads a file.
-- @tparam string path where it goes, such as "inbox/letter.pdf"
-- @tparam string|function source the file's contents, or a function that is given a number of bytes and
--   returns as many or fewer (a string), and nil at the end; it may yield. What it raises ends the upload
--   and is raised again; nil and why ends it with `stream/stopped`
-- @tparam[opt] table options `size` in bytes, which a function needs; see doc/requests.md
-- @treturn[1] table `status`, `headers`, `data` (what the service tells of the new file)
-- @treturn[2] nil
-- @treturn[2] filescom.errors.Error
function Session:upload(path, source, options)
  return require("filescom.files").upload(client_of(self), self, path, source, options)
end

--- What a person may see of a session: never more of the id than tells two apart.
local function describe(session)
  return ("filescom session %s... at %s"):format(
    type(session.id) == "string" and #session.id >= 16 and session.id:sub(1, 4) or "",
    tostring(session.base_url))
end

-- Leaving a block must not fail where its work succeeded: the service ends the session in time.
local function close(session)
  if not class_of(session).has_ended then pcall(Session.logout, session) end
end

local function new_class(client, has_ended)
  return {
    __index = Session,
    __name = "filescom.session",
    __tostring = describe,
    __close = close,
    client = client,
    has_ended = has_ended,
  }
end

--- The metatable of a client's sessions.
-- @tparam Client client
-- @treturn table
-- @local
function sessions.class(client)
  local class = new_class(client, false)
  class.ended_class = new_class(client, true)
  return class
end

--- Whether a session was logged out, or the service said that it is no more.
-- @local
function sessions.has_ended(session)
  return class_of(session).has_ended == true
end

--- Notes that a session is no more, where it is one of this library's.
-- @local
function sessions.mark_ended(session)
  local ended_class = class_of(session).ended_class
  if ended_class then setmetatable(session, ended_class) end
end

--- Where a session lives; raises an error that names what is wrong with it.
-- @tparam table session
-- @tparam string base_url where it lives if it does not say so itself
-- @treturn string its base URL in normal form
-- @local
function sessions.base_url(session, base_url)
  if session.base_url == nil or session.base_url == base_url then return base_url end
  if type(session.base_url) ~= "string" then
    core.usage_error("a session's base_url must be a string, got %s", type(session.base_url))
  end
  local normal, why = core.base_url(session.base_url)
  return normal or core.usage_error("a session's %s", why)
end

return sessions
