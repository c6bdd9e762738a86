-- A byte stream over a cqueues socket: reading by marks and counts, one send for one answer, every way of ending.
-- Depends on cqueues and, for resets alone, on LuaSocket.
--
-- Nothing here raises for what a peer does: a read gives nil, a write gives false. Over TLS no close_notify is sent at
-- the end: neither cqueues nor luaossl offers it.

local cqueues = require("cqueues")
local errno = require("cqueues.errno")
local luasocket = require("socket")

local Stream = {}
Stream.__index = Stream

local stream = {}

local CHUNK = 65536
local TLS_VERSIONS = { [0x301] = "TLSv1", [0x302] = "TLSv1.1", [0x303] = "TLSv1.2", [0x304] = "TLSv1.3" }

-- For a socket's onerror: hand errors back instead of raising them.
local function hand_back(_, _, why)
  return why
end

--- Wraps an accepted socket.
function stream.new(socket)
  socket:setmode("bn", "bn")
  socket:onerror(hand_back)
  return setmetatable({ socket = socket, buffer = "", ended = false }, Stream)
end

--- Waits for bytes, until `deadline` (by cqueues.monotime) if given, and adds them to the buffer.
-- Returns true, or nil when the peer has ended the connection, or false when the time is up.
function Stream:fill(deadline)
  while not self.ended do
    local data, why = self.socket:recv(-CHUNK)
    if data then
      self.buffer = self.buffer == "" and data or self.buffer .. data
      return true
    elseif why ~= errno.EAGAIN then
      self.ended = true
    else
      local left = deadline and deadline - cqueues.monotime()
      if left and left <= 0 then
        return false
      end
      cqueues.poll(self.socket, left)
    end
  end
  return nil
end

--- Takes `count` bytes. Returns them, or nil when the peer ends before them.
function Stream:take(count)
  local parts, have = { self.buffer }, #self.buffer
  while have < count do
    self.buffer = ""
    if not self:fill() then
      return nil
    end
    parts[#parts + 1], have = self.buffer, have + #self.buffer
  end
  local all = table.concat(parts)
  self.buffer = all:sub(count + 1)
  return all:sub(1, count)
end

--- Takes `count` bytes and drops them. Returns whether they came.
function Stream:drop(count)
  while count > 0 do
    if self.buffer == "" and not self:fill() then
      return false
    end
    local dropped = math.min(count, #self.buffer)
    self.buffer = self.buffer:sub(dropped + 1)
    count = count - dropped
  end
  return true
end

--- Takes what comes before and with `mark` (plain text), `limit` bytes at most.
-- Returns it; or nil when the peer ends first; or false when the limit is reached or `refuse`, a pattern, is found
-- before the mark has come.
function Stream:take_through(mark, limit, refuse)
  local from = 1
  while true do
    local _, last = self.buffer:find(mark, from, true)
    if last and last <= limit then
      local taken = self.buffer:sub(1, last)
      self.buffer = self.buffer:sub(last + 1)
      return taken
    elseif #self.buffer >= limit or refuse and self.buffer:find(refuse) then
      return false
    end
    from = math.max(1, #self.buffer - #mark + 2)
    if not self:fill() then
      return nil
    end
  end
end

--- Lets `seconds` pass (nil: no end) while keeping an eye on the peer. Returns whether the peer is still there.
function Stream:wait(seconds)
  local deadline = seconds and cqueues.monotime() + seconds
  while not self.ended do
    if self:fill(deadline) == false then
      return true
    end
  end
  return false
end

--- Sends bytes. Returns whether all of them could be handed to the system.
function Stream:send(data)
  return self.socket:write(data) ~= nil
end

--- Starts TLS as a server. Returns the protocol's name, or nil where the handshake fails.
function Stream:starttls(context)
  if not self.socket:starttls(context) then
    return nil
  end
  local version = self.socket:checktls():getVersion()
  return TLS_VERSIONS[version] or tostring(version)
end

--- Ends this side's sending. Reading goes on.
function Stream:shutdown()
  self.socket:shutdown("w")
end

--- Stops reading: whoever waits for a request on this stream sees its end.
function Stream:stop_reading()
  self.socket:shutdown("r")
end

--- Closes at once.
function Stream:close()
  self.ended = true
  self.socket:close()
end

--- Closes so that the peer reads everything that was sent: ends the sending, then drains what still comes.
function Stream:finish()
  self:shutdown()
  local deadline = cqueues.monotime() + 1
  while self:fill(deadline) do
    self.buffer = ""
  end
  self:close()
end

--- Resets the connection: the peer gets a RST, and may lose what was sent before.
function Stream:reset()
  local handle = luasocket.tcp()
  handle:setfd(self.socket:pollfd())
  handle:setoption("linger", { on = true, timeout = 0 })
  handle:setfd(-1)
  self:close()
end

return stream
