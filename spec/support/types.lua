-- The annotations below types/, read: which classes, fields, functions and parameters they tell of.
-- Depends on a shell and the files alone; run from the top of the project.

local types = {}

local NAME = "^%-%-%-@%a+ ([%w_.]+)"

local function class_of(found, name)
  found[name] = found[name] or { name = name, fields = {}, functions = {}, values = {} }
  return found[name]
end

local function read_function(found, state, line)
  local variable, separator, name, list = line:match("^function ([%w_]+)([.:])([%w_]+)%((.-)%) end$")
  if not name then error(("%s: not understood: %s"):format(state.path, line)) end
  local parameters = {}
  for parameter in list:gmatch("[^%s,]+") do parameters[#parameters + 1] = parameter end
  class_of(found, state.classes[variable]).functions[name] = {
    parameters = parameters, annotated = state.parameters, method = separator == ":", described = state.described,
  }
end

local function read_annotation(found, state, line)
  line = line:gsub(" %(exact%)", "")
  local tag = line:match("^%-%-%-@(%a+)")
  if tag == "class" or tag == "alias" then
    state.class = class_of(found, line:match(NAME))
    state.class.described = state.described
    for name in pairs(found[line:match(": ([%w_.]+)$")] and found[line:match(": ([%w_.]+)$")].fields or {}) do
      state.class.fields[name] = true
    end
  elseif tag == "field" and not line:find("@field %[") then
    state.class.fields[line:match(NAME)] = true
  elseif tag == "param" then
    state.parameters[#state.parameters + 1] = line:match(NAME)
  elseif line:find('^%-%-%-| "') then
    state.class.values[line:match('"(.-)"')] = true
  elseif not tag then
    state.described = true
  end
end

local function read_line(found, state, line)
  if line:find("^%-%-%-") then return read_annotation(found, state, line) end
  local variable = line:match("^local ([%w_]+) = {}$")
  if variable and state.class then state.classes[variable] = state.class.name end
  if line:find("^function ") then read_function(found, state, line) end
  state.parameters, state.described = {}, false
end

--- Reads all files. Returns the classes and aliases by name (`fields`, `functions`, `values`: tables by name; a
-- function has `parameters`, those `annotated`, whether it is a `method` and `described`), and the modules: a list of
-- names, each that of a class as well.
function types.read()
  local found, modules = {}, {}
  local pipe = assert(io.popen("find types -name '*.lua' | LC_ALL=C sort"))
  for path in pipe:lines() do
    local state = { path = path, classes = {}, parameters = {} }
    for line in io.lines(path) do
      local module = line:match("^%-%-%-@meta (%S+)")
      if module then modules[#modules + 1] = module else read_line(found, state, line) end
    end
  end
  pipe:close()
  return found, modules
end

return types
