--- What the environment and the command line say of the client. Depends on nothing.
--
-- @module filescom.command.settings

local settings = {}

local LARGEST_ANSWER = 64 * 1024 * 1024 -- bytes

--- A variable of the environment; an empty one counts as none.
function settings.get(name)
  local value = os.getenv(name)
  return value ~= "" and value or nil
end

--- The profile's name.
function settings.profile(args)
  return args.profile or settings.get "FILES_PROFILE" or "default"
end

--- The file of the key that sessions are encrypted with, nil where they are not.
function settings.key_file(args)
  return args.key_file or settings.get "FILES_KEY_FILE"
end

local function trace(line)
  io.stderr:write(line, "\n")
end

--- The options of a client (see `filescom.new`). The place is not among them where nobody named it.
-- @tparam table args the command line
-- @treturn table
function settings.client_options(args)
  local base_url, subdomain = args.base_url, args.subdomain
  if not base_url and not subdomain then
    base_url, subdomain = settings.get "FILES_BASE_URL", settings.get "FILES_SUBDOMAIN"
  end
  return {
    base_url = base_url, subdomain = subdomain, proxy = args.proxy, timeout = args.timeout,
    ca_file = args.ca_file or settings.get "FILES_CA_FILE",
    max_response_size = LARGEST_ANSWER,
    debug = (args.verbose or settings.get "FILES_DEBUG") and trace or nil,
  }
end

return settings
