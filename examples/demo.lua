-- `make demo`: examples/login.lua against the stand-in for the service, over TLS.
--
-- Nothing here is needed to use the library; examples/login.lua is the part to read. Depends on
-- spec/support, from where the stand-in is started.

local standin = require("spec.support.standin").start { "https" }

local function quoted(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function environment(settings)
  local words = {}
  for name, value in pairs(settings) do words[#words + 1] = name .. "=" .. quoted(value) end
  return table.concat(words, " ")
end

io.stdout:setvbuf "line"
print("A stand-in for Files.com listens at " .. standin.https.base_url)
print("The user 'tess' has a password and a TOTP device.\n")

local ok = os.execute(environment {
  FILES_BASE_URL = standin.https.base_url,
  FILES_CA_FILE = standin.ca_file,
  FILES_USERNAME = "tess",
  FILES_PASSWORD = "tick-tock",
  FILES_OTP_COMMAND = ("lua5.4 spec/support/code.lua %d tess"):format(standin.control),
} .. " lua5.4 examples/login.lua")

print("\nWhat the service received:")
for _, request in ipairs(standin:log()) do
  local fields = {}
  for name in pairs(type(request.fields) == "table" and request.fields or {}) do
    fields[#fields + 1] = name
  end
  table.sort(fields)
  print(("  connection %d  %-6s %-24s %-28s -> %d"):format(request.connection, request.method,
    request.target, table.concat(fields, ", "), request.answered))
end
standin:stop()
os.exit(ok == true or ok == 0)
