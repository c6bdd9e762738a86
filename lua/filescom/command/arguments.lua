--- The command line: what it may hold, the help on it, and completion for shells.
--
-- Depends on argparse, which the library does without, and on filescom.command.failure.
--
-- @module filescom.command.arguments

local failure = require "filescom.command.failure"

local arguments = {}

local EPILOG = [[
Environment:
   FILES_USERNAME, FILES_PASSWORD      who logs in
   FILES_OTP_SECRET                    base32, of which the codes of a second factor are made
   FILES_OTP_COMMAND                   or a command that prints one
   FILES_SUBDOMAIN or FILES_BASE_URL   where the service is
   FILES_CA_FILE                       trusted authorities, a PEM file
   FILES_PROFILE                       the session's name
   FILES_KEY_FILE                      the file of a key that it is encrypted with
   FILES_DEBUG                         any value: as --verbose
   XDG_STATE_HOME                      sessions are kept below it (~/.local/state)

Exit codes:
   0 done                              4 no answer of the service's
   1 refused by the service            5 not logged in (any more)
   2 a mistake in the use              6 a file could not be read or written
   3 a code is needed, and nobody      7 too many requests: try later
     can be asked for it              70 a defect of the command, or no argparse
                                     130 interrupted]]

local GENERAL = 'Options that every command takes are told by "filescom --help".'

local function seconds(text)
  local value = tonumber(text)
  if value and value > 0 then return value end
  return nil, ("'%s' is no number of seconds"):format(text)
end

local function add_general(parser, version)
  parser:option("-p --profile", "The session's name, where there are several (default: default).")
    :argname "<name>"
  parser:mutex(
    parser:option("-s --subdomain", "The site: https://<site>.files.com."):argname "<site>",
    parser:option("--base-url", "Where the service is (default: https://app.files.com; after the login: "
      .. "where the session lives)."):argname "<url>")
  parser:option("--ca-file", "Trusted authorities, a PEM file."):argname "<file>"
  parser:option("--proxy", "A proxy's URL (default: the environment's, as for curl)."):argname "<url>"
  parser:option("-t --timeout", "Seconds for one call (default: 60)."):argname "<seconds>":convert(seconds)
  parser:option("--key-file", "Keep the session encrypted with the key in this file: 32 bytes, mode 0600.")
    :argname "<file>"
  parser:flag("-j --json", "Results, and errors on standard error, as JSON.")
  parser:flag("-v --verbose", "Trace calls on standard error, without secrets.")
  parser:flag("--version", "Show the version and exit."):action(function ()
    print("filescom " .. version)
    os.exit(0)
  end)
end

local function add_login(parser)
  local login = parser:command("login", "Log in and keep the session.", "The password is asked for at the terminal, "
    .. "without echo, and so is the code of a second factor; it is never an argument. A session of "
    .. "this profile that is still open is logged out once the new one is kept.\n\n" .. GENERAL)
    :summary "Log in and keep the session."
  login:option("-u --username", "Who logs in."):argname "<name>"
  login:flag("--password-stdin", "Take the password from the first line of standard input.")
  login:flag("--otp-stdin", "Take the code from the next line of standard input.")
  login:flag("--if-needed", "Do nothing where the service still knows the session of this profile.")
end

local function add_request(parser)
  local request = parser:command("request",
    "Call the API with the session and write the body of the answer as it came.", GENERAL)
    :summary "Call the API with the session."
  request:argument("method", "GET, POST, PATCH, PUT, DELETE or HEAD.")
  request:argument("path", "Below the API's base, such as /folders.")
  request:option("-q --query", "A parameter of the query; name[]=value again and again makes a list.")
    :argname "<name=value>":count "*"
  request:mutex(
    request:option("-d --data", "A body of JSON: the text itself, @<file>, or @- for standard input.")
      :argname "<json>",
    request:option("-b --body", "A body of any bytes: a file, or - for standard input."):argname "<file>")
  request:option("-H --header", "A header of the request."):argname "<name: value>":count "*"
  request:mutex(
    request:flag("-i --include", "Write the status and the headers as well."),
    request:option("-c --columns", "Write a list as a table of these fields, such as path,size.")
      :argname "<names>")
end

local function add_completion(parser)
  parser:command("completion", "Write a script that completes this command in a shell.", GENERAL)
    :summary "Write a script that completes this command in a shell."
    :argument("shell", "The shell."):choices { "bash", "zsh", "fish" }
end

--- Makes the parser.
-- @tparam string version
-- @return argparse's parser; what it finds wrong it raises as a failure
function arguments.parser(version)
  local found, argparse = pcall(require, "argparse")
  if not found then
    failure.raise("internal", "the command needs argparse: LuaRocks' argparse, or Debian's lua-argparse")
  end
  local parser = argparse("filescom", "Files.com sessions: log in, use the session, log out.", EPILOG)
    :command_target "command":help_max_width(100):usage_max_width(100):help_description_margin(29)
  add_general(parser, version)
  add_login(parser)
  parser:command("logout", "End the session and forget it.", GENERAL)
    :summary "End the session and forget it."
  parser:command("whoami", "Ask the service whose session it is.", GENERAL)
    :summary "Ask the service whose session it is."
  add_request(parser)
  parser:command("headers", "Write the header that authorises calls, for another program. It is a secret.", GENERAL)
    :summary "Write the header that authorises calls."
  add_completion(parser)
  parser.error = function (which, message)
    failure.raise("usage", "%s\n%s", message, which:get_usage())
  end
  return parser
end

return arguments
