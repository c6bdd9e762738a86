-- Mistakes in the use of this library that a checker of types has to find, each line with what it calls them.
-- `make types` looks whether it finds these and no others; nothing here is run.

local filescom = require "filescom"
local terminal = require "filescom.terminal"

filescom.login("motor") -- param-type-mismatch
filescom.login() -- missing-parameter
filescom.login { username = 1 } -- assign-type-mismatch
filescom.log_in { username = "motor" } -- undefined-field
filescom.new { timeout = "10" } -- assign-type-mismatch
filescom.new { debug = true } -- assign-type-mismatch
filescom.login_with_otp({}, "123456") -- param-type-mismatch
filescom.login_with_otp({}, terminal.get_code, { attempts = "three" }) -- assign-type-mismatch
filescom.logout(1) -- param-type-mismatch
terminal.read_secret(1) -- param-type-mismatch

local unchecked = filescom.login {}
unchecked:logout() -- need-check-nil

local session = assert(filescom.login {})
session:request("GET") -- missing-parameter
session:request("GET", "/folders", { timeout = "soon" }) -- assign-type-mismatch
session:logout(1) -- redundant-parameter

local answer, err = session:request("GET", "/folders")
if answer then print(answer.stats) end -- undefined-field
if err then print(err.typ) end -- undefined-field

local client = filescom.new()
client:log_out() -- undefined-field

local keeper = filescom.keeper { credentials = { username = "motor" } } -- assign-type-mismatch
keeper:discard() -- missing-parameter
filescom.store.file() -- missing-parameter
filescom.store.redis { port = "6379" } -- assign-type-mismatch
filescom.new { loop = "luv" } -- assign-type-mismatch
filescom.new { loop = require "filescom.loop.luv" }
session:request("GET", "/folders", { raw = "yes" }) -- assign-type-mismatch
