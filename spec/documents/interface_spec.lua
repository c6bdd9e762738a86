-- The public interface is told three times, and the same each time: by the modules as they run, by their comments
-- (LDoc's pages) and by the annotations below types/; options, fields and errors in the pages of doc/ as well.
-- Depends on ldoc, spec/support/types.lua and Lua 5.4, which tells the names of a function's parameters.
--
-- A new module has to be annotated and in config.ld, or named in INTERNAL (with ".*" for those below it); a new class
-- needs a way to get one, in INSTANCES.

local api = require("spec.support.api")
local filescom = require("filescom")
local types = require("spec.support.types")

-- For the library's own use, though some have the classes that a program is given.
local INTERNAL = {
  "filescom.client", "filescom.clock", "filescom.command", "filescom.command.*", "filescom.encode", "filescom.errors",
  "filescom.files", "filescom.keeper", "filescom.loop", "filescom.nginx", "filescom.otp", "filescom.pages",
  "filescom.protected", "filescom.redaction", "filescom.request", "filescom.session", "filescom.store.*",
  "filescom.stream", "filescom.totp", "filescom.trace",
}

-- One object of each class that has methods.
local INSTANCES = {
  ["filescom.Client"] = function() return filescom.new() end,
  ["filescom.Keeper"] = function() return filescom.keeper({ credentials = function() end }) end,
  ["filescom.Session"] = function() return filescom.session("0123456789abcdef") end,
  ["filescom.Store"] = function() return filescom.store.memory() end,
}

local annotated, public = types.read()

local function read(path)
  local file = assert(io.open(path))
  local text = file:read("*a")
  file:close()
  return text
end

local function sorted_keys(set)
  local names = {}
  for name in pairs(set) do names[#names + 1] = name end
  table.sort(names)
  return names
end

local function parameters_of(f)
  local names = {}
  for i = 1, debug.getinfo(f, "u").nparams do names[i] = debug.getlocal(f, i) end
  return names
end

-- The upvalue of a function, or of one of its upvalues' functions, with a name.
local function upvalue(f, wanted)
  for i = 1, debug.getinfo(f, "u").nups do
    local name, value = debug.getupvalue(f, i)
    if name == wanted then return value end
    local inner = name ~= "_ENV" and type(value) == "function" and debug.getinfo(value, "S").what ~= "C"
      and value ~= f and upvalue(value, wanted)
    if inner then return inner end
  end
end

-- ---- the three ------------------------------------------------------------------------------------------------------

-- What the modules hold as they run: for a module or a class, its functions' parameters by name.
local function live_functions(name)
  local functions = {}
  local instance = INSTANCES[name]
  local methods = instance and getmetatable(instance()).__index or require(name)
  for key, value in pairs(methods) do
    if type(value) == "function" and not key:find("^_") then
      local parameters = parameters_of(value)
      if not instance then
        functions[key] = parameters
      elseif parameters[1] == "self" then
        functions[key] = table.move(parameters, 2, #parameters, 1, {})
      end
    end
  end
  return functions
end

local function annotated_functions(name)
  local functions = {}
  for key, entry in pairs(annotated[name].functions) do functions[key] = entry.parameters end
  return functions
end

-- What LDoc found, by module or class; a class of filescom.client is filescom.Client.
local function described_functions()
  local text = api.output_of("LUA_PATH='./?.lua;;' ldoc --quiet --filter spec.support.ldoc.list . 2>/dev/null")
  local found = {}
  for module, kind, item, list in text:gmatch("([^\t\n]+)\t([^\t\n]+)\t([^\t\n]+)\t([^\t\n]*)") do
    local class, name = item:match("^(.-)[:.](.*)$")
    local owner = class and "filescom." .. class or module
    if kind == "function" then
      local parameters = {}
      for parameter in list:gmatch("[^,]+") do parameters[#parameters + 1] = parameter end
      found[owner] = found[owner] or {}
      found[owner][name or item] = parameters
    end
  end
  return found
end

describe("the annotations", function()
  local documented = described_functions()

  it("are of every module that is not internal", function()
    local internal, found = {}, {}
    for _, name in ipairs(INTERNAL) do internal[name] = true end
    for path in api.output_of("find lua -name '*.lua'"):gmatch("[^\n]+") do
      local name = path:gsub("^lua/", ""):gsub("%.lua$", ""):gsub("/", ".")
      if not internal[name] and not internal[name:gsub("[^.]*$", "*")] then found[#found + 1] = name end
    end
    table.sort(found)
    table.sort(public)
    assert.are.same(found, public)
  end)

  for name, class in pairs({ encrypted = "Encrypted", fallback = "Fallback", file = "File", redis = "Redis",
    shared_dict = "SharedDict" }) do
    it("of a store are the methods of " .. name .. " as well", function()
      local methods = upvalue(require("filescom.store." .. name).new, class)
      for key, entry in pairs(annotated["filescom.Store"].functions) do
        assert.are.same({ "self", table.unpack(entry.parameters) }, parameters_of(methods[key]), key)
      end
    end)
  end

  for _, name in ipairs(sorted_keys(annotated)) do
    local class = annotated[name]
    if next(class.functions) then
      it("of " .. name .. " are the functions that there are, with their parameters", function()
        local is_module = package.searchpath(name, package.path)
        assert.is_truthy(is_module or INSTANCES[name], "this spec knows no way to get a " .. name)
        assert.are.same(live_functions(name), annotated_functions(name))
      end)

      it("of " .. name .. " are the functions that LDoc's pages tell of", function()
        assert.are.same(documented[name], annotated_functions(name))
      end)

      it("of " .. name .. " name each parameter, and describe each function", function()
        for key, entry in pairs(class.functions) do
          assert.are.same(entry.parameters, entry.annotated, key)
          assert.is_truthy(entry.described, key .. " is not described")
        end
      end)
    end
  end

  it("are of everything that LDoc's pages tell of", function()
    for name in pairs(documented) do
      assert.is_truthy(annotated[name] and next(annotated[name].functions), name .. " is not annotated")
    end
  end)
end)

-- ---- options, fields, errors ----------------------------------------------------------------------------------------

local reference = read("doc/reference.md")
local keepers = read("doc/keepers.md")
local loops = read("doc/loops.md")
local requests = read("doc/requests.md")

-- The names in the first column of the tables in a page's section; of a function, without its parameters.
local function names_in(page, heading)
  local section = (page .. "\n## "):match("\n## " .. heading .. "\n(.-)\n## ")
  assert(section, "no section " .. heading)
  local names = {}
  for cell in section:gmatch("\n| (`[^|]*) |") do
    for name in cell:gmatch("`([%w_./-]+)[^`]*`") do names[name] = true end
  end
  return names
end

-- The names in an array of the binding, such as {"timeout", read_seconds, ...}.
local function names_in_binding(array)
  local names = {}
  local text = read("src/lua_options.c"):match(array .. "%[%] = (%b{})")
  for name in text:gmatch('{"([%w_]+)",') do names[name] = true end
  return names
end

-- The groups of the errors that this library makes; the command has others of its own.
local OURS = { network = true, response = true, session = true, store = true, stream = true, keeper = true }

describe("what is annotated and what the reference tells", function()
  local function fields(name) return sorted_keys(annotated[name].fields) end

  local function split(names, with_slash)
    local kept = {}
    for name in pairs(names) do
      if (name:find("/", 1, true) ~= nil) == with_slash then kept[name] = true end
    end
    return kept
  end

  -- The options that are accepted are those of a class, and of the tables in a page's section.
  local function assert_told(accepted, class, page, heading)
    assert.are.same(sorted_keys(accepted), fields(class))
    assert.are.same(sorted_keys(accepted), sorted_keys(names_in(page, heading)))
  end

  it("are the options of a client that there are", function()
    local accepted = names_in_binding("client_options")
    accepted.debug, accepted.loop = true, true -- Lua's own, see filescom.client
    assert_told(accepted, "filescom.Options", reference, "Options of a client")
  end)

  it("are the options of a request that there are", function()
    local accepted = upvalue(require("filescom.request").check_options, "OPTIONS")
    assert_told(accepted, "filescom.RequestOptions", requests, "Requests")
  end)

  it("are the options of lists, downloads and uploads that there are", function()
    local files = require("filescom.files")
    for class, accepted in pairs({
      ListOptions = upvalue(require("filescom.pages").each, "OPTIONS"),
      DownloadOptions = upvalue(files.download, "DOWNLOAD_OPTIONS"),
      UploadOptions = upvalue(files.upload, "UPLOAD_OPTIONS"),
    }) do
      assert.are.same(sorted_keys(accepted), fields("filescom." .. class))
    end
  end)

  it("are the options of a keeper that there are", function()
    local accepted = upvalue(require("filescom.keeper").new, "OPTIONS")
    assert_told(accepted, "filescom.KeeperOptions", keepers, "Options of a keeper")
  end)

  it("are the options of a store in Redis that there are", function()
    local accepted = upvalue(require("filescom.store.redis").new, "OPTIONS")
    assert.are.same(sorted_keys(accepted), fields("filescom.RedisOptions"))
  end)

  it("are the stores that there are", function()
    local named = {}
    for name in pairs(names_in(keepers, "Stores")) do named[name:match("^filescom%.store%.(.*)$") or name] = true end
    assert.are.same(sorted_keys(annotated["filescom.store"].functions), sorted_keys(named))
  end)

  it("are the functions of an adapter for an event loop", function()
    assert.are.same(sorted_keys(names_in(loops, "A loop of your own")), fields("filescom.LoopAdapter"))
    for _, name in ipairs({ "luv", "cqueues" }) do
      for key in pairs(require("filescom.loop." .. name)) do
        assert.is_truthy(annotated["filescom.LoopAdapter"].fields[key], name .. "." .. key)
      end
    end
  end)

  it("are the credentials that there are", function()
    local accepted = names_in_binding("credential_fields")
    assert.are.same(sorted_keys(accepted), fields("filescom.Credentials"))
    for name in pairs(accepted) do assert.is_truthy(reference:find("`" .. name .. "`", 1, true), name) end
  end)

  it("are the same fields of a challenge", function()
    assert.are.same(sorted_keys(names_in(reference, "The second factor")), fields("filescom.Challenge"))
  end)

  it("are the same fields of an error", function()
    assert.are.same(sorted_keys(split(names_in(reference, "Errors"), false)), fields("filescom.Error"))
  end)

  it("are the same types of an error", function()
    local told = split(names_in(reference, "Errors"), true)
    assert.are.same(sorted_keys(told), sorted_keys(annotated["filescom.ErrorType"].values))
  end)

  it("are the types of errors that the library makes", function()
    local made = {}
    for path in api.output_of("ls src/*.c; find lua -name '*.lua'"):gmatch("[^\n]+") do
      for kind in read(path):gmatch('"(%l+/%l[%l-]*)"') do
        if OURS[kind:match("^%l+")] then made[kind] = true end
      end
    end
    assert.are.same(sorted_keys(made), sorted_keys(annotated["filescom.ErrorType"].values))
  end)

  it("are all options whatsoever", function()
    local pages = api.output_of("cat README.md doc/*.md")
    for name, class in pairs(annotated) do
      for field in pairs(name:find("Options$") and class.fields or {}) do
        assert.is_truthy(pages:find("`" .. field .. "`", 1, true), name .. "." .. field .. " is in no page")
      end
    end
  end)
end)
