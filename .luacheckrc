-- What luacheck is told: every Lua that filescom runs on, and what tests may use beyond it.
std = "min"
globals = { "ngx" }
max_line_length = 120
exclude_files = { "build", ".luarocks" }
files["spec"] = { std = "min+busted" }
files["spec/standin"] = { std = "lua54" }
files["bench"] = { std = "lua54" }
