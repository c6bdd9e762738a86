-- Calls about files: their steps to upload and to download.
-- Depends on json.lua, parameters.lua, random.lua, refusal.lua and storage.lua; works on the state.
--
-- An upload is begun part by part (each answer names the address of one part), its parts are sent to the storage, and
-- it is ended with the ETags that these were answered with.

local json = require("spec.standin.json")
local parameters = require("spec.standin.parameters")
local random = require("spec.standin.random")
local refusal = require("spec.standin.refusal")
local storage = require("spec.standin.storage")

local files = {}

local LONGEST_PATH = 5000

-- The path that follows a route, decoded; nil where it is none.
local function path_of(rest)
  local path = parameters.unescape(rest:gsub("^/", ""))
  local sound = path and path ~= "" and #path <= LONGEST_PATH and not path:find("^/") and not path:find("/$")
    and not path:find("%c") and utf8.len(path)
  return sound and path or nil
end

local function file_fields(path, file)
  return {
    path = path,
    display_name = path:match("[^/]*$"),
    type = "file",
    size = #file.content,
    md5 = file.md5,
    mime_type = "application/octet-stream",
    provided_mtime = file.provided_mtime,
    permissions = "rwd",
  }
end

--- GET /files/PATH
function files.show(call)
  local path = path_of(call.rest)
  local file = path and call.state.files[path]
  if not file then
    return refusal.new("no_folder", "File not found: " .. tostring(path))
  end
  local fields = file_fields(path, file)
  fields.download_uri = storage.download_uri(call.state, path)
  return { status = 200, json = fields }
end

-- Whether a file may be made there: its folder exists, or may be made with it.
local function has_folder(path, fields)
  local folder = path:match("^(.*)/[^/]*$")
  return not folder or folder == "inbox" or folder == "reports" or fields.mkdir_parents
end

local BEGIN = {
  part = "integer", parts = "integer", ref = "string", size = "integer", restart = "integer", mkdir_parents = "boolean",
  with_rename = "boolean", buffered_upload = "boolean",
}

local function begin_upload(call, path, fields)
  if not has_folder(path, fields) then
    return nil, refusal.new("no_folder", "Folder not found")
  end
  local upload = { ref = "put-" .. random.hex(2), path = path, parts = {}, size = fields.size }
  call.state.uploads[upload.ref] = upload
  return upload
end

local function find_upload(call, path, ref)
  local upload = ref and call.state.uploads[ref]
  if not upload or upload.path ~= path then
    return nil, refusal.new("no_upload", "File upload not found")
  end
  return upload
end

-- POST /file_actions/begin_upload/PATH
local function begin_part(call, path)
  local fields, refused = parameters.of_body(call.request, BEGIN)
  if not fields then
    return refused
  end
  local number = fields.part or 1
  local upload
  if fields.ref then
    upload, refused = find_upload(call, path, fields.ref)
  elseif number == 1 then
    upload, refused = begin_upload(call, path, fields)
  else
    return refusal.new("bad_parameter", "A further part needs the ref of its upload")
  end
  if not upload then
    return refused
  elseif number ~= #upload.parts + 1 then
    return refusal.new("bad_parameter", "Parts must be begun one after another")
  end
  upload.parts[number] = {}
  return { status = 200, json = { {
    action = "multipart", ask_about_overwrites = false, available_parts = 10000, expires = json.null, headers = {},
    http_method = "PUT", next_partsize = call.state.config.part_size, parallel_parts = false, retry_parts = true,
    parameters = {}, part_number = number, partsize = call.state.config.part_size, path = path, ref = upload.ref,
    upload_uri = storage.upload_uri(call.state, upload, number),
  } } }
end

--- POST /file_actions/ACTION/PATH
function files.act(call)
  local action, rest = call.rest:match("^/([^/]*)(/.*)$")
  local path = rest and path_of(rest)
  if action ~= "begin_upload" or not path then
    return refusal.new("no_path", "Not found")
  end
  return begin_part(call, path)
end

local END = {
  action = "string", ref = "string", etags = "table", size = "integer", provided_mtime = "string",
  mkdir_parents = "boolean",
}

-- The contents of an upload, where each of its parts came and is named by its ETag.
local function join(upload, etags)
  local pieces = {}
  for number, part in ipairs(upload.parts) do
    local named = etags[number]
    if type(named) ~= "table" or named.part ~= number or not part.etag or named.etag ~= part.etag then
      return nil
    end
    pieces[number] = part.content
  end
  return #etags == #upload.parts and table.concat(pieces) or nil
end

--- POST /files/PATH, for the end of an upload alone.
function files.create(call)
  local path = path_of(call.rest)
  local fields, refused = parameters.of_body(call.request, END)
  if not fields or not path then
    return refused or refusal.new("no_path", "Not found")
  elseif fields.action ~= "end" then
    return refusal.new("bad_parameter", "Unknown action")
  end
  local upload
  upload, refused = find_upload(call, path, fields.ref)
  if not upload then
    return refused
  end
  local content = join(upload, fields.etags or {})
  if not content or #content ~= fields.size then
    return refusal.new("bad_parameter", "The parts are not those that came, or not of that size")
  end
  call.state.uploads[upload.ref] = nil
  call.state.files[path] = storage.file(content, fields.provided_mtime)
  return { status = 201, json = file_fields(path, call.state.files[path]) }
end

return files
