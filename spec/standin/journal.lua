-- The log of every request as received.
-- Depends on nothing.
--
-- An entry is made when a request is complete (or refused) and gets `answered` when its answer goes out.

local Journal = {}
Journal.__index = Journal

local journal = {}

--- A new log that keeps the latest `limit` entries.
function journal.new(limit)
  return setmetatable({ first = 1, last = 0, limit = limit, entries = {} }, Journal)
end

--- Adds an entry and returns it.
function Journal:add(entry)
  self.last = self.last + 1
  self.entries[self.last] = entry
  while self.last - self.first >= self.limit do
    self.entries[self.first] = nil
    self.first = self.first + 1
  end
  return entry
end

-- An entry as the control connection shows it.
local function shown(entry)
  local request = entry.request or {}
  return {
    listener = entry.listener,
    connection = entry.connection,
    tls = entry.tls,
    time = entry.time,
    scripted = entry.scripted,
    method = request.method,
    target = request.target,
    headers = request.headers,
    header = request.fields,
    body = request.body,
    fields = entry.fields,
    size = entry.size,
    refused = entry.refused,
    raw = entry.raw,
    note = entry.note,
    answered = entry.answered,
  }
end

--- The entries, oldest first, as plain tables.
function Journal:list()
  local list = {}
  for i = self.first, self.last do
    list[#list + 1] = shown(self.entries[i])
  end
  return list
end

return journal
