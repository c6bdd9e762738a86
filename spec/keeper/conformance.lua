-- What every store of keepers has to do, for those of this library and for anybody's own.
-- Depends on nothing: it runs under busted and inside nginx alike.
--
--   for _, case in ipairs(conformance.cases) do case.run(store, name, sleep) end
--
-- A case gets a store, a name that nothing else uses, a function that waits for seconds of the store's own clock, and
-- perhaps how many seconds a short time has (1), where the store knows parts of them. It raises an error that says what
-- is wrong.

local conformance = { cases = {} }

local A, B = ("a"):rep(32), ("b"):rep(32)

local function show(value)
  return type(value) == "string" and ("%q"):format(value) or tostring(value)
end

local function expect(expected, value, why)
  if value ~= expected then
    error(("expected %s, got %s%s"):format(show(expected), show(value), why and ": " .. tostring(why) or ""), 2)
  end
end

local function case(name, run)
  conformance.cases[#conformance.cases + 1] = { name = name, run = run }
end

case("has nothing by a name that nobody set", function(store, name)
  local text, why = store:get(name)
  expect(nil, text)
  expect(nil, why)
end)

case("gives back what was set", function(store, name)
  expect(true, store:set(name, "a text", 60))
  expect("a text", store:get(name))
end)

case("replaces what was set before", function(store, name)
  store:set(name, "a longer text than the next", 60)
  expect(true, store:set(name, "short", 60))
  expect("short", store:get(name))
end)

case("keeps any bytes, and many", function(store, name)
  local bytes = {}
  for byte = 0, 255 do
    bytes[byte + 1] = string.char(byte)
  end
  local text = table.concat(bytes):rep(64)
  expect(true, store:set(name, text, 60))
  expect(text, store:get(name))
  expect(true, store:set(name, "", 60))
  expect("", store:get(name))
end)

case("keeps names apart, whatever they are made of", function(store, name)
  local names = { name, name .. ":lock", name .. "/..", name .. " ä", name .. "%2f", name .. ".session" }
  for i, each in ipairs(names) do
    expect(true, store:set(each, "text " .. i, 60))
  end
  for i, each in ipairs(names) do
    expect("text " .. i, store:get(each))
    expect(true, store:delete(each))
  end
end)

case("takes names of up to 80 bytes, of any bytes but zero", function(store)
  local long, longer = ("é/"):rep(26) .. "~", ("\255."):rep(40)
  expect(true, store:set(long, "a text", 60))
  expect(true, store:set(longer, "another", 60))
  expect("a text", store:get(long))
  expect("another", store:get(longer))
  for _, name in ipairs({ long, longer }) do
    expect(true, store:lock(name, A, 60))
    expect(true, store:unlock(name, A))
    expect(true, store:delete(name))
  end
end)

case("forgets what is deleted", function(store, name)
  store:set(name, "a text", 60)
  expect(true, store:delete(name))
  expect(nil, store:get(name))
  expect(true, store:delete(name))
end)

case("forgets a text when its time is over", function(store, name, sleep, short)
  store:set(name, "a text", short or 1)
  sleep((short or 1) * 2.1)
  expect(nil, store:get(name))
end)

case("gives a lock to one token", function(store, name)
  expect(true, store:lock(name, A, 60))
  expect(false, store:lock(name, B, 60))
  store:unlock(name, A)
  expect(true, store:lock(name, B, 60))
  store:unlock(name, B)
end)

case("lets the owner of a lock extend it", function(store, name, sleep, short)
  expect(true, store:lock(name, A, short or 1))
  expect(true, store:lock(name, A, 60))
  sleep((short or 1) * 2.1)
  expect(false, store:lock(name, B, 60))
  store:unlock(name, A)
end)

case("frees a lock for its owner alone", function(store, name)
  store:lock(name, A, 60)
  expect(true, store:unlock(name, B))
  expect(false, store:lock(name, B, 60))
  expect(true, store:unlock(name, A))
  expect(true, store:unlock(name, A))
end)

case("frees the lock of an owner that is gone when its time is over", function(store, name, sleep, short)
  expect(true, store:lock(name, A, short or 1))
  sleep((short or 1) * 2.1)
  expect(true, store:lock(name, B, 60))
  expect(false, store:lock(name, A, 60))
  store:unlock(name, A) -- it came back: the lock is another's now
  expect(false, store:lock(name, A, 60))
  store:unlock(name, B)
end)

case("keeps locks and texts apart", function(store, name)
  store:set(name, "a text", 60)
  expect(true, store:lock(name, A, 60))
  expect("a text", store:get(name))
  expect(true, store:set(name, "another", 60))
  expect(true, store:delete(name))
  expect(false, store:lock(name, B, 60))
  store:unlock(name, A)
end)

--- Runs all cases with a store. Returns what went wrong, a list.
function conformance.check(store, sleep, short)
  local faults = {}
  for i, each in ipairs(conformance.cases) do
    local ok, why = pcall(each.run, store, ("conformance-%d"):format(i), sleep, short)
    if not ok then
      faults[#faults + 1] = each.name .. ": " .. tostring(why)
    end
  end
  return faults
end

return conformance
