-- luacheck: std lua54
--- What Lua may rely on, whatever the service or somebody between answers: the promises that the
-- fuzzers of answers hold errors, sessions and other results to. Raises where one is broken.

local promises = {}

local LONGEST_MESSAGE = 1100 -- two readable texts and the words between them
local LONGEST_LINE = 3000

--- Secrets of the caller's in every fuzzed exchange.
promises.secrets = { password = "vroom-4711", otp = "471147" }

local function hold(condition, what, value)
  if not condition then error(("%s: %q"):format(what, tostring(value)), 0) end
end

--- Holds a text to being one readable line of bounded length.
function promises.readable(text, what, longest)
  hold(type(text) == "string", what .. " is no string", text)
  hold(text:find("[^ ]"), what .. " is empty", text)
  hold(#text <= (longest or LONGEST_MESSAGE), what .. " is too long", text)
  hold(not text:find("%c"), what .. " holds a control byte", text)
  hold(not text:find("\u{80}", 1, true), what .. " holds a control character", text)
  hold(utf8.len(text), what .. " is not UTF-8", text)
end

--- Holds a value, keys and all, to being plain Lua that repeats no secret.
function promises.plain(value, what, secrets)
  local kind = type(value)
  if kind == "table" then
    for key, entry in pairs(value) do
      promises.plain(key, what, secrets)
      promises.plain(entry, what, secrets)
    end
    return
  end
  hold(kind == "string" or kind == "number" or kind == "boolean" or kind == "nil",
    what .. " is not plain", kind)
  for _, secret in pairs(kind == "string" and secrets or {}) do
    hold(not value:find(secret, 1, true), what .. " repeats a secret", value)
  end
end

--- Holds an error to being one, and to repeating no secret.
function promises.error(err, secrets)
  hold(type(err) == "table", "the error is no table", err)
  hold(type(err.type) == "string" and #err.type <= 200 and err.type:find("^%w[%w_./-]*$"),
    "the type of the error is unsound", err.type)
  hold(err.group == err.type:match("^[^/]*") and err.group ~= "", "its group is another", err.group)
  promises.readable(err.message, "its message")
  promises.readable(err.title, "its title")
  hold(err.status == nil or math.type(err.status) == "integer", "its status is no integer")
  if err.request_id ~= nil then promises.readable(err.request_id, "its request id") end
  hold(err.retry_after == nil or math.type(err.retry_after) == "integer" and err.retry_after >= 0,
    "its retry_after is no number of seconds", err.retry_after)
  promises.readable(tostring(err), "the error as a line", LONGEST_LINE)
  promises.plain(err, "the error", secrets)
  -- A number of seconds may happen to have a code's digits within it.
  promises.plain(tostring(err):gsub("retry after %d+ s", "retry after a while"), "the error as a line", secrets)
end

--- Holds a session to being usable.
function promises.session(session, base_url)
  hold(type(session) == "table", "the session is no table", session)
  hold(type(session.id) == "string" and session.id:find("^[\33-\126]+$"), "its id is unusable",
    session.id)
  hold(session.base_url == base_url, "its base_url is another", session.base_url)
  promises.plain(session, "the session")
end

--- Holds what a logout came to.
function promises.logout(answer)
  hold(math.type(answer.status) == "integer" and answer.status >= 200 and answer.status <= 299,
    "a logout that succeeded has another status", answer.status)
  promises.plain(answer, "the logout")
end

--- Holds what any other call came to.
function promises.request(answer)
  hold(math.type(answer.status) == "integer" and answer.status >= 200 and answer.status <= 299,
    "a call that succeeded has another status", answer.status)
  for name, value in pairs(answer.headers) do
    hold(type(name) == "string" and name == name:lower(), "a header's name is not lower case", name)
    hold(type(value) == "string" and not value:find("\n"), "a header's value is no line", value)
  end
  promises.plain(answer, "the answer")
end

return promises
