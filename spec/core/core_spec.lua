-- The tests of the C core alone (the C files beside this one), each as a test of its own: the core as it is built, and
-- without epoll. Depends on make, a C compiler and libcurl's headers; no Lua is in what is tested.

local WAYS = { plain = "the core", poll = "the core without epoll" }

-- Builds and runs the tests; their output.
local function run(way)
  local pipe = assert(io.popen(("make -s -f spec/core/Makefile %s 2>&1"):format(way)))
  local output = pipe:read("*a")
  pipe:close()
  return output
end

-- What each sentence came to: a list of { sentence, passed, what was said before it }.
local function results_of(output)
  local results, said = {}, {}
  for line in output:gmatch("[^\n]+") do
    local verdict, sentence = line:match("^(n?o?t? ?ok) %- (.*)$")
    if sentence then
      results[#results + 1] = { sentence, verdict == "ok", table.concat(said, "\n") }
      said = {}
    else
      said[#said + 1] = line
    end
  end
  return results
end

for way, name in pairs(WAYS) do
  describe(name, function()
    local output = run(way)
    local results = results_of(output)

    for _, result in ipairs(results) do
      it("holds: " .. result[1], function()
        assert.is_true(result[2], result[3])
      end)
    end

    it("is tested to the end", function()
      assert.are.equal(#results, tonumber(output:match("\n1%.%.(%d+)\n")), output)
    end)
  end)
end
