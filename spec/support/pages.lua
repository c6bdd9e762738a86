-- The pages of the project and the examples in them: Markdown's fenced and indented blocks, the `@usage` of comments.
-- Depends on a shell and the files alone; run from the top of the project.
--
-- A block that cannot be run is preceded by an HTML comment that says why, which no reader sees, and so is one that
-- only one Lua can run:
--
--   <!-- not run: needs an account -->
--   <!-- needs Lua 5.4 -->

local pages = {}

local function lines_of(path)
  local lines = {}
  for line in io.lines(path) do lines[#lines + 1] = line end
  return lines
end

local function listed(command)
  local pipe = assert(io.popen(command))
  local names = {}
  for name in pipe:lines() do names[#names + 1] = name end
  pipe:close()
  return names
end

--- The names of the pages, and of the modules whose comments have examples.
function pages.documents()
  return listed("ls *.md doc/*.md examples/*.md examples/*/*.md 2>/dev/null")
end

function pages.modules()
  return listed("find lua -name '*.lua' | LC_ALL=C sort")
end

-- The HTML comment that stands before a line, or "".
local function comment_before(lines, i)
  repeat i = i - 1 until i < 1 or lines[i] ~= ""
  return lines[i] and lines[i]:match("^<!%-%- (.-) %-%->$") or ""
end

local function add(blocks, path, line, language, text, comment)
  blocks[#blocks + 1] = {
    place = path .. ":" .. line, path = path, line = line, language = language, text = text,
    not_run = comment:match("^not run: (.+)$"), needs = comment:match("^needs (.+)$"),
  }
end

-- The fenced block whose fence is line i: its lines' last number.
local function read_fenced(blocks, path, lines, i)
  local language, from = lines[i]:match("^```%s*(%S*)"), i + 1
  local to = from
  while lines[to] and lines[to]:sub(1, 3) ~= "```" do to = to + 1 end
  add(blocks, path, from, language, table.concat(lines, "\n", from, to - 1) .. "\n", comment_before(lines, i))
  return to
end

-- The indented block that begins at line i, a shell's input.
local function read_indented(blocks, path, lines, i)
  local to = i
  local text = {}
  while lines[to] and lines[to]:sub(1, 4) == "    " do
    text[#text + 1] = lines[to]:sub(5)
    to = to + 1
  end
  add(blocks, path, i, "sh", table.concat(text, "\n") .. "\n", comment_before(lines, i))
  return to - 1
end

--- The blocks of a page: `place` ("README.md:12"), `language` ("sh" for what is only indented), `text`, `not_run`, why
-- it is not run, and `needs`, the Lua that it needs ("Lua 5.4"); nil otherwise.
function pages.blocks(path)
  local lines, blocks, i = lines_of(path), {}, 1
  while lines[i] do
    if lines[i]:sub(1, 3) == "```" then
      i = read_fenced(blocks, path, lines, i)
    elseif lines[i]:sub(1, 4) == "    " and (lines[i - 1] or "") == "" then
      i = read_indented(blocks, path, lines, i)
    end
    i = i + 1
  end
  return blocks
end

--- The `@usage` of a module's comments, as blocks of Lua.
function pages.usages(path)
  local lines, blocks, i = lines_of(path), {}, 1
  while lines[i] do
    if lines[i]:find("^%s*%-%- @usage") then
      local from, text = i + 1, {}
      while (lines[i + 1] or ""):find("^%s*%-%-") and not lines[i + 1]:find("^%s*%-%- @") do
        i = i + 1
        text[#text + 1] = lines[i]:gsub("^%s*%-%- ?", "")
      end
      add(blocks, path, from, "lua", table.concat(text, "\n") .. "\n", "")
    end
    i = i + 1
  end
  return blocks
end

--- All blocks of a language, in the pages and in the comments.
function pages.all(language)
  local found = {}
  local function take(blocks)
    for _, block in ipairs(blocks) do
      if block.language == language then found[#found + 1] = block end
    end
  end
  for _, path in ipairs(pages.documents()) do take(pages.blocks(path)) end
  for _, path in ipairs(pages.modules()) do take(pages.usages(path)) end
  return found
end

--- A page's text without its blocks, for what is said between them.
function pages.prose(path)
  local lines = lines_of(path)
  local inside = false
  for i, line in ipairs(lines) do
    if line:sub(1, 3) == "```" then inside = not inside end
    if inside or line:sub(1, 4) == "    " then lines[i] = "" end
  end
  return table.concat(lines, "\n")
end

--- Lua that has every client of a program go to a stand-in, whatever makes it.
-- @tparam table standin one that serves https
function pages.redirection(standin)
  return ([[
local Client = require "filescom.client"
local make = Client.new
function Client.new(options, former)
  local copy = {}
  for name, value in pairs(options or {}) do copy[name] = value end
  copy.base_url, copy.subdomain, copy.ca_file = %q, nil, %q
  return make(copy, former)
end
]]):format(standin.https.base_url, standin.ca_file)
end

return pages
