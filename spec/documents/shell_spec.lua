-- What the pages tell a shell can be told, and what they link to and name is there.
-- Depends on spec/support/pages.lua and make.

local api = require("spec.support.api")
local pages = require("spec.support.pages")

local quoted = api.quoted

-- ---- what a shell is told -------------------------------------------------------------------------------------------

-- Programs of the system, or of another: whether they are there is not ours to say.
local FOREIGN = { apk = true, brew = true, curl = true, echo = true, eval = true, export = true, mkdir = true,
  openssl = true, ["apt-get"] = true, ["redis-server"] = true }

-- A word is its characters without quotes; what a substitution gives is not known.
local function words_of(line)
  local words = {}
  line = line:gsub("%s#.*$", ""):gsub('"[^"]*"', function(text) return (text:sub(2, -2):gsub("%s", "_")) end)
  for word in line:gmatch("%S+") do words[#words + 1] = word end
  while words[1] and words[1]:find("^[%u_]+=") do table.remove(words, 1) end
  return words
end

local function exists(path)
  local file = io.open(path, "r")
  if file then file:close() end
  return file ~= nil
end

local check = {}

function check.make(words)
  local arguments = {}
  for i = 2, #words do
    if not words[i]:find("=", 1, true) then arguments[#arguments + 1] = quoted(words[i]) end
  end
  local status = api.output_of(("make -n %s >/dev/null 2>&1; echo $?"):format(table.concat(arguments, " ")))
  return status == "0", "make knows no such goal"
end

function check.luarocks(words)
  for _, word in ipairs(words) do
    if word:find("%.rockspec$") and not exists(word) then return false, "no file " .. word end
  end
  return true
end

function check.nginx(words)
  for i, word in ipairs(words) do
    local folder = word == "-p" and words[i + 1]:match("^%$PWD/(.*)$")
    if folder and not exists(folder .. "/" .. "nginx.conf") then return false, "no nginx.conf in " .. folder end
  end
  return true
end

-- The command that this project installs: what it is told is asked of itself.
function check.filescom(words)
  local sub = words[2] and words[2]:find("^%l") and words[2] or ""
  local start = quoted(api.interpreter()) .. " bin/filescom "
  local help = api.output_of(("{ %s --help && %s %s --help; } 2>&1 || echo failed"):format(start, start, sub))
  if help:find("failed$") then return false, "it has no command '" .. sub .. "'" end
  for _, word in ipairs(words) do
    local option = word:match("^%-%-?[%w-]+")
    if option and not help:find(option, 1, true) then return false, sub .. " has no option " .. option end
  end
  return true
end

local function check_line(line)
  local words = words_of(line)
  local name = words[1]
  if not name or FOREIGN[name] then return true end
  if name:find("^lua") and name ~= "luarocks" then return exists(words[2]), "no file " .. words[2] end
  if check[name] then return check[name](words) end
  if name:find("/", 1, true) then return exists(name), "no file " .. name end
  return false, "it is not known what it is"
end

describe("a command in the pages", function()
  for _, block in ipairs(pages.all("sh")) do
    if not block.not_run then
      it("is there: " .. block.place, function()
        for line in block.text:gsub("\\\n", " "):gmatch("[^\n]+") do
          local ok, why = check_line(line)
          assert.is_truthy(ok, ("%s: %s: %s"):format(block.place, line, tostring(why)))
        end
      end)
    end
  end

  it("is marked as what it is, where it is in a fence", function()
    local KNOWN = { lua = true, nginx = true, sh = true, json = true, text = true }
    for _, path in ipairs(pages.documents()) do
      for _, block in ipairs(pages.blocks(path)) do
        assert.is_truthy(KNOWN[block.language], block.place .. ": no language is named")
      end
    end
  end)
end)

-- ---- what the pages point at ----------------------------------------------------------------------------------------

-- The anchors of a page's headings, as those who show Markdown make them.
local function anchors_of(path)
  local anchors = {}
  for heading in ("\n" .. pages.prose(path)):gmatch("\n#+ ([^\n]+)") do
    anchors[heading:lower():gsub("[^%w%s_-]", ""):gsub("%s", "-")] = true
  end
  return anchors
end

describe("a page", function()
  for _, path in ipairs(pages.documents()) do
    local folder = path:match("^(.*/)") or ""

    it("links to what is there: " .. path, function()
      for link in pages.prose(path):gmatch("%]%(([^)%s]+)%)") do
        if not link:find("^%a+:") then
          local target, anchor = link:match("^([^#]*)#?(.*)$")
          local file = target == "" and path or folder .. target
          assert.is_truthy(exists(file), ("%s links to %s"):format(path, link))
          assert.is_truthy(anchor == "" or anchors_of(file)[anchor], ("%s links to %s"):format(path, link))
        end
      end
    end)

    it("names files that are there: " .. path, function()
      local tops = { lua = true, src = true, spec = true, examples = true, bench = true, doc = true, rockspec = true,
        bin = true, types = true, [".ci"] = true }
      for name in pages.prose(path):gmatch("`([%w%._/-]+/[%w%._/-]*)`") do
        if tops[name:match("^([^/]*)/")] then
          assert.is_truthy(exists(name) or exists(folder .. name), ("%s names %s"):format(path, name))
        end
      end
    end)
  end
end)
