--- What the command writes: results to standard output, everything else to standard error.
--
-- JSON has its names sorted, so that one result is always one text; a table's columns are aligned;
-- what somebody else wrote reaches a terminal without control characters. Depends on lua-cjson and
-- filescom.command.failure.
--
-- @module filescom.command.output

local cjson = require "cjson"
local failure = require "filescom.command.failure"

local output = {}

local json = cjson.new()
json.encode_number_precision(14)

-- ---- JSON -----------------------------------------------------------------------------------

-- The text of a string or another single value; cjson escapes each slash, which nobody has to.
local function encode_single(value)
  return (json.encode(value):gsub("\\/", "/"))
end

local encode

local function encode_list(list)
  local items = {}
  for i, item in ipairs(list) do items[i] = encode(item) end
  return "[" .. table.concat(items, ",") .. "]"
end

local function encode_object(object)
  local members = {}
  for name, value in pairs(object) do members[#members + 1] = encode_single(tostring(name)) .. ":" .. encode(value) end
  table.sort(members)
  return "{" .. table.concat(members, ",") .. "}"
end

-- A number beyond the range of Lua's reads as it was sent.
local INFINITE = { [math.huge] = "1e999", [-math.huge] = "-1e999" }

-- An empty table is a list to whoever decoded it, unless it is said to be an object.
function encode(value)
  if INFINITE[value] then return INFINITE[value] end
  if type(value) == "number" and value % 1 == 0 then return ("%.0f"):format(value) end
  if type(value) ~= "table" then return encode_single(value) end
  return (next(value) == nil or #value > 0) and encode_list(value) or encode_object(value)
end

--- A value as JSON on one line, the names of objects sorted.
function output.json(value)
  return encode(value)
end

-- ---- text -----------------------------------------------------------------------------------

--- A value as text that does nothing to a terminal.
function output.plain(value)
  if value == nil then return "" end
  local text = type(value) == "string" and value or encode(value)
  return (text:gsub("[%c\127]", "?"):gsub("\194[\128-\159]", "?"))
end

-- How many characters a text has, counting those that begin one in UTF-8.
local function width_of(text)
  local _, continuing = text:gsub("[\128-\191]", "")
  return #text - continuing
end

--- Rows of cells as lines whose columns are aligned.
-- @tparam table rows each a list of values, all of one length
-- @treturn string
function output.table(rows)
  local cells, widths = {}, {}
  for r, row in ipairs(rows) do
    cells[r] = {}
    for c = 1, #rows[1] do
      cells[r][c] = output.plain(row[c])
      widths[c] = math.max(widths[c] or 0, width_of(cells[r][c]))
    end
  end
  for r, row in ipairs(cells) do
    for c = 1, #row - 1 do row[c] = row[c] .. (" "):rep(widths[c] - width_of(row[c])) end
    cells[r] = table.concat(row, "  "):gsub(" +$", "") .. "\n"
  end
  return table.concat(cells)
end

-- ---- writing --------------------------------------------------------------------------------

--- Whether results go to a terminal.
function output.is_terminal()
  local status = os.execute "[ -t 1 ]"
  return status == true or status == 0
end

--- Writes a result. A result that could not be written whole is a failure.
function output.write(text)
  local written, why = io.stdout:write(text)
  if written then written, why = io.stdout:flush() end
  if not written then failure.raise("storage", "standard output: %s", tostring(why)) end
end

--- Says something to the person who runs the command.
function output.say(message)
  io.stderr:write("filescom: ", message, "\n")
end

return output
