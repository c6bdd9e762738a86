-- A strict reader of multipart/form-data (RFC 7578): what a careful server would refuse, it refuses.
-- Depends on nothing.

local multipart = {}

local TOKEN = "[!#$%%&'*+%-.^_`|~%w]+"
local BOUNDARY = "^[%w'()+_,%-./:=? ]+$"

--- Reads the boundary out of a Content-Type. Returns it, or nil and what is wrong.
function multipart.boundary(content_type)
  local kind, rest = content_type:match("^([%w%-/]+)[ \t]*(.*)$")
  if not kind or kind:lower() ~= "multipart/form-data" then
    return nil, "not multipart/form-data"
  end
  local boundary
  while rest ~= "" do
    local name, value, after = rest:match("^;[ \t]*(" .. TOKEN .. ')="([^"\\]*)"[ \t]*(.*)$')
    if not name then
      name, value, after = rest:match("^;[ \t]*(" .. TOKEN .. ")=(" .. TOKEN .. ")[ \t]*(.*)$")
    end
    if not name then
      return nil, "malformed parameter in Content-Type"
    end
    if name:lower() == "boundary" then
      if boundary then
        return nil, "two boundaries"
      end
      boundary = value
    end
    rest = after
  end
  if not boundary then
    return nil, "no boundary"
  end
  if #boundary > 70 or not boundary:find(BOUNDARY) or boundary:find(" $") then
    return nil, "malformed boundary"
  end
  return boundary
end

local ESCAPES = { ["%22"] = '"', ["%0D"] = "\r", ["%0A"] = "\n" }

-- Undoes what browsers do to names: these three escapes and no others.
local function unescape(name)
  return (name:gsub("%%[02][2DA]", ESCAPES))
end

-- The parameters of a Content-Disposition, as a table.
local function disposition(value)
  local rest = value:match("^form%-data(.*)$")
  if not rest then
    return nil, "Content-Disposition is not form-data"
  end
  local parameters = {}
  while rest ~= "" do
    local name, text, after = rest:match('^; ([%w%-]+)="([^"]*)"(.*)$')
    if not name then
      return nil, "malformed Content-Disposition"
    end
    if parameters[name] then
      return nil, "parameter given twice: " .. name
    end
    if name ~= "name" and name ~= "filename" then
      return nil, "unknown parameter of Content-Disposition: " .. name
    end
    parameters[name] = unescape(text)
    rest = after
  end
  return parameters
end

-- The headers of a part, `head` being whole lines with their CRLF. Returns a table by lower-case name.
local function part_headers(head)
  local headers, position = {}, 1
  while position <= #head do
    local stop = head:find("\r\n", position, true)
    local line = head:sub(position, stop - 1)
    local name, value = line:match("^(" .. TOKEN .. "):[ \t]*(.-)[ \t]*$")
    if not name or value:find("[\0-\8\10-\31\127]") then
      return nil, "malformed header in a part"
    end
    name = name:lower()
    if headers[name] then
      return nil, "header given twice in a part: " .. name
    end
    headers[name] = value
    position = stop + 2
  end
  return headers
end

-- Reads the header of the part at `position`. Returns its field's name and where its value begins.
local function part_name(body, position)
  local blank = body:find("\r\n\r\n", position, true)
  if body:sub(position, position + 1) == "\r\n" or not blank then
    return nil, "a part without a header"
  end
  local headers, why = part_headers(body:sub(position, blank + 1))
  if not headers then
    return nil, why
  end
  if not headers["content-disposition"] then
    return nil, "a part without Content-Disposition"
  end
  local parameters
  parameters, why = disposition(headers["content-disposition"])
  if not parameters then
    return nil, why
  end
  if not parameters.name or parameters.name == "" then
    return nil, "a part without a name"
  end
  return parameters.name, blank + 4
end

-- What follows a delimiter: "next" part, "end", or nil for anything else; and where to go on.
local function after_delimiter(body, position)
  local two = body:sub(position, position + 1)
  if two == "\r\n" then
    return "next", position + 2
  elseif two == "--" then
    local rest = body:sub(position + 2)
    if rest == "" or rest == "\r\n" then
      return "end"
    end
    return nil, "something follows the closing delimiter"
  end
  return nil, "the boundary is followed by neither a line's end nor --"
end

--- Parses a whole body. Returns a table of field values by name, or nil and what is wrong with it.
function multipart.parse(body, boundary)
  local delimiter = "--" .. boundary
  if body:sub(1, #delimiter) ~= delimiter then
    return nil, "the body does not begin with the boundary"
  end
  local fields = {}
  local verdict, position = after_delimiter(body, #delimiter + 1)
  while verdict == "next" do
    local name, start = part_name(body, position)
    if not name then
      return nil, start
    end
    if fields[name] then
      return nil, "field given twice: " .. name
    end
    local stop, last = body:find("\r\n" .. delimiter, start, true)
    if not stop then
      return nil, "no closing delimiter"
    end
    fields[name] = body:sub(start, stop - 1)
    verdict, position = after_delimiter(body, last + 1)
  end
  if not verdict then
    return nil, position
  end
  return fields
end

return multipart
