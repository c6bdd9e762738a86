-- The storage beside the service: another host, to which signed addresses lead, and which knows of no session.
-- Depends on random.lua and on luaossl for MD5; works on the state.
--
-- It answers as S3 does: an empty body and an ETag, or an error in XML. A request that carries anything that is meant
-- for the service is refused.

local digest = require("openssl.digest")
local random = require("spec.standin.random")

local storage = {}

local LARGEST_LOGGED = 65536

local function hex(bytes)
  return (bytes:gsub(".", function(byte)
    return ("%02x"):format(byte:byte())
  end))
end

--- A file of that content.
function storage.file(content, provided_mtime)
  return { content = content, md5 = hex(digest.new("md5"):final(content)), provided_mtime = provided_mtime }
end

-- An address that is good for whoever has it.
local function sign(state, link)
  local signature = random.hex(2)
  state.links[signature] = link
  return ("%s/bucket/%s?X-Amz-Expires=900&X-Amz-Signature=%s"):format(state.storage or "", link.key, signature)
end

--- Where a part of an upload goes.
function storage.upload_uri(state, upload, number)
  return state.storage and sign(state, { key = upload.ref .. "/" .. number, upload = upload, number = number })
end

--- Where a file is downloaded from.
function storage.download_uri(state, path)
  return state.storage and sign(state, { key = random.hex(1), path = path })
end

local function refuse(status, code)
  return {
    status = status,
    headers = { { "Content-Type", "application/xml" } },
    body = ('<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>%s</Code></Error>'):format(code),
  }
end

local NOT_FOR_STORAGE = { "^x%-files", "^authorization$", "^cookie$", "^accept%-language$" }

local function is_misplaced(request)
  for name in pairs(request.fields) do
    for _, pattern in ipairs(NOT_FOR_STORAGE) do
      if name:find(pattern) then
        return true
      end
    end
  end
end

local function put(request, link)
  local part = link.upload.parts[link.number]
  local file = storage.file(request.body)
  part.content, part.etag = file.content, file.md5
  return { status = 200, headers = { { "ETag", '"' .. file.md5 .. '"' } } }
end

local function get(state, link)
  return {
    status = 200,
    headers = { { "Content-Type", "application/octet-stream" } },
    body = state.files[link.path].content,
  }
end

local function answer(state, request)
  local link = state.links[request.query:match("^X%-Amz%-Expires=900&X%-Amz%-Signature=(%x+)$")]
  if is_misplaced(request) then
    return refuse(400, "InvalidRequest")
  elseif not link or request.path ~= "/bucket/" .. link.key then
    return refuse(403, "SignatureDoesNotMatch")
  elseif link.upload and request.method == "PUT" then
    local sized = request.fields["content-length"] ~= nil
    return sized and put(request, link) or refuse(411, "MissingContentLength")
  elseif link.path and request.method == "GET" then
    return get(state, link)
  end
  return refuse(405, "MethodNotAllowed")
end

--- Answers a request. Of large bodies the log keeps the size alone.
function storage.answer(state, request, entry)
  local answered = answer(state, request)
  entry.size = #request.body
  if entry.size > LARGEST_LOGGED then
    request.body = nil
  end
  return { status = answered.status, headers = answered.headers or {}, body = answered.body }
end

return storage
