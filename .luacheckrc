-- What luacheck is told: every Lua that filescom runs on, and what tests may use beyond it.
std = "min"
globals = { "ngx" }
max_line_length = 120
exclude_files = { "build", ".luarocks", "spec/documents/mistakes.lua" }
files["spec"] = { std = "min+busted" }
files["spec/standin"] = { std = "lua54" }
files["bench"] = { std = "lua54" }
files["spec/documents"] = { std = "lua54+busted" }
-- Functions there have parameters and no body.
files["types"] = { unused_args = false, ignore = { "241" } }
