---@meta filescom

-- Types of the public interface, for editors and checkers that read LuaCATS annotations (lua-language-server and
-- others). Nothing is run here; doc/reference.md tells what things mean. spec/documents compares it with the modules.

---Files.com sessions: log in, answer a second factor, use the session, log out.
---@class filescom
---@field _VERSION string
local filescom = {}

---What a login is made with.
---@class filescom.Credentials
---@field username? string
---@field password? string
---@field otp? string a code of a second factor
---@field partial_session_id? string a login that is partly completed

---@class filescom.Options
---@field base_url? string where the service is; without a path it gets `/api/rest/v1`
---@field subdomain? string a site's name instead: `https://SITE.files.com`
---@field timeout? number seconds for one call as a whole, its retries included
---@field connect_timeout? number seconds for name look-up, connection and TLS handshake of one attempt
---@field retries? integer further attempts, made only while nothing of the request was sent
---@field ca_file? string trusted authorities, a PEM file
---@field ca_path? string trusted authorities, a hashed directory
---@field proxy? string a proxy's URL; "" for none
---@field user_agent? string put before the library's own
---@field language? string `Accept-Language`
---@field workspace_id? string `X-Files-Workspace-Id`
---@field max_response_size? integer bytes of an answer
---@field max_in_flight? integer calls of this client at once
---@field debug? fun(line: string) is given trace lines, without secrets

---@alias filescom.Method
---| "yubi"
---| "totp"
---| "sms"
---| "email"

---What the service asks for.
---@class filescom.Challenge
---@field method filescom.Method how a code is answered by default
---@field methods string[] all that the service named
---@field message string the service's text
---@field attempt integer which try this is, from 1
---@field attempts integer how many there are
---@field error? filescom.Error from the second attempt on: what refused the last code

---Returns a code, or a code and another of the methods; or nil and perhaps why there is none. May yield.
---@alias filescom.GetCode fun(challenge: filescom.Challenge): code: string?, method_or_why: string?

---@class filescom.OtpOptions
---@field attempts? integer how many codes are asked for at most

---The service's own type, or one of the library's.
---@alias filescom.ErrorType string
---| "network/resolve"
---| "network/connect"
---| "network/tls"
---| "network/timeout"
---| "network/interrupted"
---| "network/busy"
---| "response/too-large"
---| "response/not-json"
---| "response/no-session"
---| "response/status"
---| "session/none"

---What went wrong in the world; `tostring` makes a line of it to show a person.
---@class filescom.Error
---@field type filescom.ErrorType
---@field group string the part of `type` before the `/`
---@field message string readable text
---@field title string readable text, shorter
---@field status? integer the HTTP status, where an answer came
---@field request_id? string for the service's support
---@field retry_after? number seconds, where the service named them
---@field data? any as the service sent it
---@field errors? any as the service sent them
---@field model_errors? any as the service sent them
---@field reason? string why `get_code` gave up, or why a region was not followed

---@class filescom.Logout
---@field status integer
---@field request_id? string

---@class filescom.RequestOptions
---@field query? table<string, any> a nested table becomes `filter[name]=`, a list `ids[]=`
---@field json? any a value, sent as JSON
---@field body? string
---@field headers? table<string, string|number>
---@field timeout? number seconds

---@class filescom.Answer
---@field status integer
---@field headers table<string, string> found in any case
---@field data? any the decoded JSON; nil where the answer was empty
---@field request_id? string

---A table of the service's own fields and `base_url`, which can be written down and taken up again.
---@class filescom.Session
---@field id string the secret
---@field base_url string where it lives
---@field timeout_at? string when it ends by itself
---@field language? string
---@field read_only? boolean
---@field max_dir_listing_size? integer
---@field [string] any whatever else the service sent
local Session = {}

---Ends this session, on the client that it came from.
---@return filescom.Logout? ended
---@return filescom.Error? err
function Session:logout() end

---The header that authorises a call with this session, for another HTTP client.
---@return table<string, string> headers
function Session:headers() end

---Any other call of the API with this session.
---@param method string such as "GET"
---@param path string below the base URL, such as "/folders"
---@param options? filescom.RequestOptions
---@return filescom.Answer? answer
---@return filescom.Error? err
function Session:request(method, path, options) end

---Options, and the logins made with them.
---@class filescom.Client
local Client = {}

---Logs in.
---@param credentials filescom.Credentials
---@return filescom.Session? session
---@return filescom.Error? err
function Client:login(credentials) end

---Logs in, and while the service asks for a code calls `get_code` and tries again.
---@param credentials filescom.Credentials
---@param get_code filescom.GetCode
---@param options? filescom.OtpOptions
---@return filescom.Session? session
---@return filescom.Error? err
function Client:login_with_otp(credentials, get_code, options) end

---Ends a session; without one, the last login of this client that is still open.
---@param session? filescom.Session|string
---@return filescom.Logout? ended
---@return filescom.Error? err
function Client:logout(session) end

---Takes up a session that exists already. Sends nothing.
---@param id_or_table string|table
---@return filescom.Session session
function Client:session(id_or_table) end

---Frees connections; does not log out.
function Client:close() end

---Makes a client of its own.
---@param options? filescom.Options
---@return filescom.Client client
function filescom.new(options) end

---Sets options of the default client; those that are not named stay as they are.
---@param options filescom.Options
function filescom.configure(options) end

---Logs in on the default client.
---@param credentials filescom.Credentials
---@return filescom.Session? session
---@return filescom.Error? err
function filescom.login(credentials) end

---Logs in on the default client, and while the service asks for a code calls `get_code` and tries again.
---@param credentials filescom.Credentials
---@param get_code filescom.GetCode
---@param options? filescom.OtpOptions
---@return filescom.Session? session
---@return filescom.Error? err
function filescom.login_with_otp(credentials, get_code, options) end

---Ends a session; without one, the last login of the default client that is still open.
---@param session? filescom.Session|string
---@return filescom.Logout? ended
---@return filescom.Error? err
function filescom.logout(session) end

---Takes up a session that exists already. Sends nothing.
---@param id_or_table string|table
---@return filescom.Session session
function filescom.session(id_or_table) end

return filescom
