--- Where the command keeps the session of a profile: filescom.store.file below the user's state
-- directory, in the form of filescom.store.record, so that a keeper can go on with it.
--
-- A keeper is not used here: it logs in by itself, and this command only when it is told to. No
-- password is kept. Depends on filescom.core, filescom.store, filescom.clock and
-- filescom.command.failure, and on mkdir for directories above the user's own.
--
-- @module filescom.command.profile

local clock = require "filescom.clock"
local core = require "filescom.core"
local failure = require "filescom.command.failure"
local record = require "filescom.store.record"
local stores = require "filescom.store"
local tokens = require "filescom.store.token"

local profile = {}

--- The kept session of a name.
-- @type Profile
local Profile = {}
Profile.__index = Profile

local LOCK_TTL = 3        -- seconds; the lock is held while a file is replaced
local LOCK_WAIT = 0.05    -- seconds between two tries
local LOCK_TRIES = 120    -- longer than a lock lasts whose process died
local RENEWAL_MARGIN = 60 -- seconds, a keeper's own

-- ---- the directory --------------------------------------------------------------------------

local function state_home()
  local home = os.getenv "XDG_STATE_HOME"
  if home and home:sub(1, 1) == "/" then return home end -- the XDG specification: else it is ignored
  home = os.getenv "HOME"
  if not home or home == "" then
    failure.raise("usage", "neither HOME nor XDG_STATE_HOME says where sessions are kept")
  end
  return home .. "/.local/state"
end

local function quoted(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

-- The key that the file of a key holds: 32 bytes, and nobody else's to read.
local function key_in(path)
  local key, why = core.read_private(path)
  if not key then failure.raise("storage", "the key cannot be read: %s", why or path .. ": there is no such file") end
  if #key ~= 32 then failure.raise("usage", "%s: a key is 32 bytes", path) end
  return key
end

local function open_directory(directory)
  local made, why = core.private_directory(directory)
  if not made then
    -- Perhaps one above it is missing; what that cannot mend is told by the second try.
    os.execute("umask 077; mkdir -p -- " .. quoted(directory) .. " 2>/dev/null")
    made, why = core.private_directory(directory)
  end
  if not made then failure.raise("storage", "the directory of sessions cannot be used: %s", why) end
  return stores.file(directory)
end

local function check_name(name)
  if #name > 100 or not name:find("^[%w._@-]+$") then
    failure.raise("usage", "a profile's name is made of letters, digits and any of . _ @ -")
  end
  return name
end

--- Opens a profile; makes the directory where there is none.
-- @tparam string name
-- @tparam[opt] string key_file the file of a key, with which what is kept is encrypted
-- @treturn Profile
function profile.open(name, key_file)
  local self = setmetatable({ name = check_name(name), _store = open_directory(state_home() .. "/filescom") }, Profile)
  if key_file then self._store = failure.checked(stores.encrypted, self._store, key_in(key_file)) end
  return self
end

-- ---- the session ----------------------------------------------------------------------------

local function checked(result, why)
  if result == nil and why ~= nil then
    failure.raise("storage", "the session's file cannot be used: %s", tostring(why))
  end
  return result, why
end

-- What is kept: its record, or nil and why what is there cannot be used.
local function read(self, base_url)
  local text, why = checked(self._store:get(self.name))
  if not text then return nil, text == false and why or nil end
  return record.decode(text, base_url)
end

-- Runs a function while no other command does with this profile.
local function locked(self, run)
  local token, tries = tokens.new(), 1
  while not checked(self._store:lock(self.name, token, LOCK_TTL)) do
    if tries == LOCK_TRIES then failure.raise("storage", "another command keeps this profile locked") end
    tries = tries + 1
    clock.sleep(LOCK_WAIT)
  end
  local ok, result = pcall(run)
  self._store:unlock(self.name, token)
  if not ok then error(result, 0) end
  return result
end

--- What is kept, where it has not ended by this machine's clock.
-- @tparam[opt] string base_url where the session has to live; nil: wherever it does
-- @treturn[1] table a record (filescom.store.record): `session`, `ends_at`; and `username`
-- @treturn[2] nil
-- @treturn[2] ?string why what is there cannot be used
function Profile:read(base_url)
  local entry, why = read(self, base_url)
  if not entry or not entry.session then return nil, why end
  return entry
end

--- Keeps a session in the place of what is kept.
-- @tparam table session
-- @tparam string username
-- @treturn ?table the record that was replaced, where its session may still be open
function Profile:replace(session, username)
  local now = os.time()
  local entry = record.of_session(session, now, RENEWAL_MARGIN)
  entry.username = username
  local text = record.encode(entry)
  return locked(self, function ()
    local former = read(self)
    checked(self._store:set(self.name, text, entry.ends_at - now))
    return former
  end)
end

--- Forgets a session, unless another has taken its place.
-- @tparam table session
function Profile:forget(session)
  locked(self, function ()
    local entry = read(self)
    if entry and entry.session and entry.session.id == session.id then checked(self._store:delete(self.name)) end
  end)
end

return profile
