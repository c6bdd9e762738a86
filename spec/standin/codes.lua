-- Codes of second factors: sent (sms, email), typed by a key (yubi) or computed (totp).
-- Depends on totp.lua and random.lua; reads and writes accounts.
--
-- A code is good once. One that was good before is "expired"; anything else is "wrong".

local random = require("spec.standin.random")
local totp = require("spec.standin.totp")

local codes = {}

local WINDOW = 1 -- steps of totp that a clock may be off
local MEMORY = 20 -- steps of totp after which an old code is no longer recognised as such

-- What a method of an account keeps between requests: the current code and the earlier ones.
local function slot(account, method)
  account.codes = account.codes or {}
  account.codes[method] = account.codes[method] or { old = {} }
  return account.codes[method]
end

local function retire(held)
  if held.current then
    held.old[held.current] = true
    held.current = nil
  end
end

local function issue(account, method)
  local held = slot(account, method)
  retire(held)
  if method == "yubi" then
    account.key = account.key or random.text("modhex", 12)
    held.current = account.key .. random.text("modhex", 32)
  else
    held.current = random.text("digits", 6)
  end
  return held.current
end

local function code_at(account, counter)
  local secret = assert(totp.base32_decode(account.secret))
  return totp.hotp(secret, counter, account.digits, account.algorithm)
end

local function check_totp(account, code, now)
  local current = totp.counter(now, account.step)
  for counter = current + WINDOW, current - MEMORY, -1 do
    if counter >= 0 and code_at(account, counter) == code then
      local used = not account.reuse and counter <= (account.last_counter or -1)
      if used or counter < current - WINDOW then
        return "expired"
      end
      account.last_counter = counter
      return "good"
    end
  end
  return "wrong"
end

local function check_issued(account, method, code)
  local held = slot(account, method)
  if code == held.current then
    retire(held)
    return "good"
  end
  return held.old[code] and "expired" or "wrong"
end

--- Sends out new codes, as the service does when it asks for one.
function codes.challenge(account)
  for _, method in ipairs(account.methods) do
    if method == "sms" or method == "email" then
      issue(account, method)
    end
  end
end

--- What a code is worth now: "good" (and then used up), "expired" or "wrong".
function codes.check(account, code, now)
  local verdict = "wrong"
  for _, method in ipairs(account.methods) do
    local found = "wrong"
    if method == "totp" then
      found = check_totp(account, code, now)
    elseif method ~= "webauthn" and method ~= "u2f" then
      found = check_issued(account, method, code)
    end
    if found == "good" then
      return found
    elseif found == "expired" then
      verdict = found
    end
  end
  return verdict
end

local function reveal_totp(account, now)
  local current = totp.counter(now, account.step)
  local unused = account.reuse and current or math.max(current, (account.last_counter or -1) + 1)
  if unused > current + WINDOW then
    error("every code that could be used by now has been used; move clock_offset on", 0)
  end
  return code_at(account, unused)
end

--- A code that the account's owner would type now, for a method that has codes.
-- `at` moves the clock of totp by so many seconds, for codes that are too old.
function codes.reveal(account, method, now, at)
  if method == "totp" then
    return at and code_at(account, totp.counter(now + at, account.step)) or reveal_totp(account, now)
  elseif method == "yubi" then
    return issue(account, method)
  elseif method == "sms" or method == "email" then
    return slot(account, method).current or error("no code has been sent yet", 0)
  end
  error("no codes for method " .. tostring(method), 0)
end

return codes
