-- `make doc` builds pages without a warning, in which every function has its place and every link leads somewhere.
-- Depends on make, ldoc and spec/support/types.lua; builds below build/doc.

local api = require("spec.support.api")
local types = require("spec.support.types")

local function read(path)
  local file = io.open(path)
  local text = file and file:read("*a")
  if file then file:close() end
  return text
end

-- A path without "folder/..".
local function resolved(path)
  local count
  repeat path, count = path:gsub("[^/]+/%.%./", "", 1) until count == 0
  return path
end

describe("the pages of LDoc", function()
  setup(function()
    local said = api.output_of("make -s doc 2>&1 || echo failed")
    assert(not said:find("failed", 1, true), said)
  end)

  it("have a place for every public function", function()
    local pages = api.output_of("cat build/doc/modules/*.html")
    local annotated = types.read()
    for class, entry in pairs(annotated) do
      for name, f in pairs(entry.functions) do
        local place = f.method and class:match("[^.]+$") .. ":" .. name or name
        assert.is_truthy(pages:find(('name = "%s"'):format(place), 1, true), class .. " " .. place)
      end
    end
  end)

  it("link to what is there", function()
    for path in api.output_of("find build/doc -name '*.html'"):gmatch("[^\n]+") do
      for link in read(path):gmatch('href="([^"]+)"') do
        local target, anchor = link:match("^([^#]*)#?(.*)$")
        local text = not link:find("^%a+:") and read(target == "" and path or resolved(path:match("^.*/") .. target))
        assert.is_truthy(link:find("^%a+:") or text, path .. " links to " .. link)
        if text and anchor ~= "" then
          local place = text:gsub('name = "', 'name="'):find(('name="%s"'):format(anchor), 1, true)
          assert.is_truthy(place, path .. " links to " .. link)
        end
      end
    end
  end)
end)
