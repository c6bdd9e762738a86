--- Files, by the API's own steps: `session:download` and `session:upload`.
--
-- The service names addresses to download from and to upload parts to. They are another host's, open to
-- whoever has them: neither the session id nor any header of the API's goes there. Depends on
-- filescom.core, filescom.encode, filescom.errors and filescom.request.
--
-- @module filescom.files

local core = require "filescom.core"
local encode = require "filescom.encode"
local errors = require "filescom.errors"
local request = require "filescom.request"

local files = {}

local fail = core.usage_error

-- Options that go with each step at the service, and those of transfers from and to other hosts.
local API_OPTIONS = {
  headers = "table", reauthentication = "string", language = "string", workspace_id = "any",
}
local TRANSFER_OPTIONS = { timeout = "number", stall_timeout = "number" }

-- What an upload tells the service of the file, in its first step and in its last.
local FIRST_FIELDS = { mkdir_parents = "boolean", with_rename = "boolean", buffered_upload = "boolean" }
local LAST_FIELDS = { mkdir_parents = "boolean", provided_mtime = "string" }

local function union(...)
  local all = {}
  for _, fields in ipairs({ ... }) do
    for name, kind in pairs(fields) do all[name] = kind end
  end
  return all
end

local DOWNLOAD_OPTIONS = union(API_OPTIONS, TRANSFER_OPTIONS)
local UPLOAD_OPTIONS = union(API_OPTIONS, TRANSFER_OPTIONS, FIRST_FIELDS, LAST_FIELDS, { size = "number" })

local function pick(options, names, more)
  local picked = more or {}
  for name in pairs(names) do picked[name] = options[name] end
  return picked
end

local function monotonic_deadline(options)
  return options.timeout and core.now() + options.timeout
end

-- ---- other hosts ----------------------------------------------------------------------------

local function no_address(message)
  return nil, errors.new("response/no-address", message)
end

-- Bytes of an address's path and query, and of all headers of a part: less than the core takes.
local LONGEST_TARGET, MOST_HEADERS = 60000, 65536

-- Where an address of the service's leads: an origin and a path. https alone, as the service itself is;
-- plain http only where the service itself is on this machine.
local function split(base_url, address)
  if type(address) ~= "string" then return no_address("the service named no address for the file's contents") end
  local origin, path = address:match("^(%a+://[^/?#\\]+)([^#]*)$")
  local normal, why = nil, "it is no URL"
  if origin then normal, why = core.origin(origin) end
  if normal and normal:find("^http:") and not base_url:find("^http:") then normal, why = nil, "it is not https" end
  if not normal then return no_address("the address that the service named cannot be used: " .. why) end
  if not path:find("^/") then path = "/" .. path end
  if #path > LONGEST_TARGET then return no_address("the address that the service named is too long") end
  if path:find("[^\33-\126]") then return no_address("the address that the service named is malformed") end
  return normal, path
end

-- The options of a transfer, with what is left of the time limit of the whole.
local function prepare(method, origin, path, deadline, options)
  local timeout = deadline and math.max(deadline - core.now(), 0.001)
  return { method = method, origin = origin, path = path, timeout = timeout, stall_timeout = options.stall_timeout }
end

-- ---- download -------------------------------------------------------------------------------

-- What the service tells of the file, with an address to download it from.
local function find_file(client, session, name, deadline, options)
  local asked = pick(options, API_OPTIONS, { timeout = deadline and math.max(deadline - core.now(), 0.001) })
  local answer, err = request.send(client, session, "GET", "/files/" .. name, asked)
  if not answer then return nil, err end
  return type(answer.data) == "table" and answer.data or {}
end

--- Downloads a file; see `filescom.session.Session:download`.
function files.download(client, session, path, sink, options)
  if type(sink) ~= "function" then fail("sink must be a function, got %s", type(sink)) end
  options = options == nil and {} or options
  request.check_options(options, DOWNLOAD_OPTIONS)
  local deadline = monotonic_deadline(options)
  local file, err = find_file(client, session, encode.name(path), deadline, options)
  if not file then return nil, err end
  local origin, target = split(session.base_url or client._base_url, file.download_uri)
  if not origin then return nil, target end
  local size = 0
  local prepared = prepare("GET", origin, target, deadline, options)
  prepared.sink = true
  local answer
  answer, err = request.send_prepared(client, prepared, function (piece)
    size = size + #piece
    return sink(piece)
  end)
  if not answer then return nil, err end
  return { status = answer.status, headers = answer.headers, size = size, data = file }
end

-- ---- the source of an upload ----------------------------------------------------------------

local Source = {}
Source.__index = Source

local function string_source(text)
  local place = 1
  return function (count)
    local piece = text:sub(place, place + count - 1)
    place = place + #piece
    return piece ~= "" and piece or nil
  end
end

local function new_source(source, size)
  if type(source) == "string" then
    if size ~= nil and size ~= #source then fail("option 'size' is not that of the source, a string") end
    return setmetatable({ read = string_source(source), size = #source, given = 0, rest = "" }, Source)
  end
  if type(source) ~= "function" then fail("source must be a string or a function, got %s", type(source)) end
  if size == nil then fail("a source that is a function needs option 'size', in bytes") end
  if size < 0 or size % 1 ~= 0 or size > 2 ^ 53 then fail("option 'size' must be a whole number, 0 or more") end
  return setmetatable({ read = source, size = size, given = 0, rest = "" }, Source)
end

-- A piece that may be longer than was asked for; what is too much for one part is the next one's.
local function next_piece(self, count)
  if self.rest ~= "" then return self.rest end
  local piece, why = self.read(count)
  if piece ~= nil and type(piece) ~= "string" then
    fail("a source must return a string, or nil at its end, got %s", type(piece))
  end
  return piece, why
end

-- The source of one part of so many bytes, for the core, which asks for no more than these.
function Source:part(size)
  local left = size
  return function (count)
    local piece, why = next_piece(self, count)
    if piece == nil then return nil, why end
    self.rest = piece:sub(left + 1)
    piece = piece:sub(1, left)
    left, self.given = left - #piece, self.given + #piece
    return piece
  end
end

-- The core knows of a part only.
function Source:explain(err)
  if err.type ~= "stream/too-short" then return err end
  return errors.new(err.type, ("the source ended after %.0f of %.0f bytes"):format(self.given, self.size))
end

-- ---- upload ---------------------------------------------------------------------------------

-- A step at the service: its answer, or nil and the error.
local function step(upload, path, fields)
  local options = pick(upload.options, API_OPTIONS, { json = fields })
  options.timeout = upload.deadline and math.max(upload.deadline - core.now(), 0.001)
  return request.send(upload.client, upload.session, "POST", path, options)
end

local function no_part(what)
  return nil, errors.new("response/no-address", "the service's answer names no part to upload: " .. what)
end

-- Asks where the next part goes.
local function begin_part(upload, number)
  local fields = { part = number, ref = upload.ref }
  if number == 1 then
    pick(upload.options, FIRST_FIELDS, fields)
    fields.size = upload.source.size
  end
  local answer, err = step(upload, "/file_actions/begin_upload/" .. upload.name, fields)
  if not answer then return nil, err end
  local part = type(answer.data) == "table" and (answer.data[1] or answer.data)
  if type(part) ~= "table" then return no_part("it is no list of parts") end
  if type(part.ref) ~= "string" then return no_part("it has no ref") end
  if type(part.partsize) ~= "number" or part.partsize < 1 or part.partsize % 1 ~= 0 then
    return no_part("it has no partsize")
  end
  return part
end

local function can_be_sent(name, value)
  return name:find("^[%w!#$%%&'*+.^_`|~-]+$") and not value:find("[%z\1-\8\10-\31\127]")
end

-- Headers that go with a part: what the service names, but for those that are the library's to set.
-- Or nil and the error.
local function part_headers(part)
  local headers, size = {}, 0
  for name, value in pairs(type(part.headers) == "table" and part.headers or {}) do
    if type(name) == "string" and type(value) == "string" and not core.is_reserved_header(name) then
      if not can_be_sent(name, value) then return no_part("one of its headers is malformed") end
      headers[name], size = value, size + #name + #value
    end
  end
  if size > MOST_HEADERS then return no_part("its headers are too large") end
  return headers
end

-- Sends one part. Returns its ETag, or nil and the error.
local function send_part(upload, part, number, size)
  local origin, target = split(upload.session.base_url or upload.client._base_url, part.upload_uri)
  if not origin then return nil, target end
  local headers, why = part_headers(part)
  if not headers then return nil, why end
  local method = part.http_method
  local prepared = prepare(method == "POST" and "POST" or "PUT", origin, target, upload.deadline, upload.options)
  prepared.headers, prepared.size, prepared.raw = headers, size, true
  local answer, err = request.send_prepared(upload.client, prepared, nil, upload.source:part(size))
  if not answer then return nil, upload.source:explain(err) end
  -- Storage beyond the service's own may have none, and the service wants one all the same.
  local etag = (answer.headers.ETag or ""):gsub('^"', ""):gsub('"$', "")
  upload.etags[number] = { etag = etag ~= "" and etag or "null", part = number }
  return true
end

local function send_parts(upload)
  local number, left = 0, upload.source.size
  repeat
    number = number + 1
    local part, err = begin_part(upload, number)
    if not part then return nil, err end
    upload.ref = part.ref
    local size = math.min(part.partsize, left)
    local sent
    sent, err = send_part(upload, part, number, size)
    if not sent then return nil, err end
    left = left - size
  until left == 0
  if upload.source.rest == "" then return true end
  local message = "the source gave more than the %.0f bytes it has"
  return nil, errors.new("stream/too-long", message:format(upload.source.size))
end

--- Uploads a file; see `filescom.session.Session:upload`.
function files.upload(client, session, path, source, options)
  options = options == nil and {} or options
  request.check_options(options, UPLOAD_OPTIONS)
  local upload = {
    client = client, session = session, name = encode.name(path), source = new_source(source, options.size),
    options = options, deadline = monotonic_deadline(options), etags = {},
  }
  local sent, err = send_parts(upload)
  if not sent then return nil, err end
  local fields = { action = "end", ref = upload.ref, etags = upload.etags, size = upload.source.size }
  return step(upload, "/files/" .. upload.name, pick(options, LAST_FIELDS, fields))
end

return files
