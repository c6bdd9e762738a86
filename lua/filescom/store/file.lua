--- A store in files that only this user can read, for scripts that share a session between runs. See
-- filescom.store for what a store is.
--
-- For each name there are up to three files in the directory: NAME.session, replaced as a whole;
-- NAME.lock, whose lock it is and until when; and NAME.guard, locked by the system for the moment in
-- which NAME.lock is read and written, and freed by it should the process die meanwhile. A file or a
-- directory that others can read is refused. Depends on filescom.core.
--
-- @module filescom.store.file

local core = require "filescom.core"
local tokens = require "filescom.store.token"

local file = {}

local File = {}
File.__index = File

-- Any name becomes the name of a file, each its own; three bytes for one at most, so that the
-- longest name of a store still is one for a file system.
local function path_of(self, name, kind)
  local safe = name:gsub("[^%w_-]", function (byte) return ("%%%02x"):format(byte:byte()) end)
  return ("%s/%s.%s"):format(self._directory, safe, kind)
end

-- Replaces a file in one step.
local function replace(self, path, text)
  local fresh = ("%s/fresh.%s"):format(self._directory, tokens.new())
  local created, why = core.create_private(fresh, text)
  if not created then return nil, why end
  local renamed
  renamed, why = os.rename(fresh, path)
  if renamed then return true end
  os.remove(fresh)
  return nil, why
end

-- Removes a file that may be there.
local function remove(path)
  local removed, why, code = os.remove(path)
  if removed or code == 2 then return true end -- ENOENT
  return nil, why
end

-- The text of an entry and whether its time is over. An entry is a line with that time and for how
-- many seconds it was, and the text. One with more than twice that left was made before the clock was
-- set back: of such a lock's owner nobody could tell when it is dead.
local function parse(entry)
  local ends, span, text = (entry or ""):match("^(%d+) (%d+)\n(.*)$")
  if not ends then return nil end
  local left = tonumber(ends) - os.time()
  return text, left <= 0 or left > 2 * tonumber(span)
end

-- Whole seconds, and one more, since this one may be nearly over: no time ends early.
local function entry_of(text, ttl)
  local span = math.ceil(ttl) + 1
  return ("%.0f %.0f\n"):format(os.time() + span, span) .. text
end

function File:get(name)
  local entry, why = core.read_private(path_of(self, name, "session"))
  if not entry then return nil, why end
  local text, is_over = parse(entry)
  if text == nil then return false, "the file holds something else" end
  return not is_over and text or nil
end

function File:set(name, text, ttl)
  return replace(self, path_of(self, name, "session"), entry_of(text, ttl))
end

function File:delete(name)
  return remove(path_of(self, name, "session"))
end

-- Runs a function with the path of a lock and its owner, if it has one.
local function with_owner(path, run)
  local entry, why = core.read_private(path)
  if not entry and why then return nil, why end
  local owner, is_over = parse(entry)
  return run(path, not is_over and owner or nil)
end

-- The same while no other process does with that name.
local function guarded(self, name, run)
  local guard, why = core.lock_file(path_of(self, name, "guard"))
  if not guard then return nil, why end
  local ok, result
  ok, result, why = pcall(with_owner, path_of(self, name, "lock"), run)
  guard:close()
  if not ok then error(result, 0) end
  return result, why
end

function File:lock(name, token, ttl)
  return guarded(self, name, function (path, owner)
    if owner and owner ~= token then return false end
    return replace(self, path, entry_of(token, ttl))
  end)
end

function File:unlock(name, token)
  return guarded(self, name, function (path, owner)
    return owner ~= token or remove(path)
  end)
end

--- See `filescom.store.file`.
function file.new(directory)
  if type(directory) ~= "string" or directory == "" then
    core.usage_error("the store's directory must be a string")
  end
  local self = setmetatable({ _directory = directory:gsub("(.)/+$", "%1") }, File)
  local made, why = core.private_directory(self._directory)
  if not made then core.usage_error("the store's directory cannot be used: %s", why) end
  return self
end

return file
