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
---@field loop? filescom.LoopAdapter the event loop in whose coroutines calls wait

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

---The secret of a TOTP device in base32, or what returns it when a code is due.
---@alias filescom.OtpSecret string|fun(): secret: string

---@class filescom.OtpOptions
---@field attempts? integer how many codes are asked for at most
---@field otp_secret? filescom.OtpSecret answers `totp` without asking anybody

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
---| "response/no-address"
---| "response/no-session"
---| "response/not-a-list"
---| "response/status"
---| "session/none"
---| "store/unavailable"
---| "stream/stopped"
---| "stream/too-long"
---| "stream/too-short"
---| "keeper/timeout"
---| "keeper/no-credentials"

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
---@field remembered? boolean whether a keeper tried no login now
---@field next_try? number when a keeper's next login is tried, in seconds since 1970

---@class filescom.Logout
---@field status integer
---@field request_id? string

---Is given one piece after another. False, or nil and why, ends the transfer.
---@alias filescom.Sink fun(piece: string): ok: any, why: any

---Is given a number of bytes; returns as many or fewer, and nil at the end. Nil and why ends the transfer.
---@alias filescom.Source fun(count: integer): piece: string?, why: any

---Options of everything that is sent with a session.
---@class filescom.CallOptions
---@field headers? table<string, string|number>
---@field timeout? number seconds for the call as a whole
---@field reauthentication? string `X-Files-Reauthentication`, which the service wants with some calls
---@field language? string in place of the client's
---@field workspace_id? string|integer in place of the client's

---@class filescom.ListOptions: filescom.CallOptions
---@field query? table<string, any> a nested table becomes `filter[name]=`, a list `ids[]=`

---@class filescom.RequestOptions: filescom.ListOptions
---@field json? any a value, sent as JSON
---@field form? table<string, any> sent as `application/x-www-form-urlencoded`
---@field body? string
---@field source? filescom.Source gives the body, of `size` bytes
---@field size? integer
---@field sink? filescom.Sink is given the answer's body
---@field raw? boolean whether the body is wanted as it came, as the answer's `body` in place of its `data`
---@field stall_timeout? number seconds for which nothing may be sent or received while a body streams

---@class filescom.DownloadOptions: filescom.CallOptions
---@field stall_timeout? number seconds for which nothing may be received

---@class filescom.UploadOptions: filescom.CallOptions
---@field stall_timeout? number seconds for which nothing may be sent
---@field size? integer bytes, which a function needs
---@field mkdir_parents? boolean
---@field with_rename? boolean
---@field buffered_upload? boolean
---@field provided_mtime? string

---@class filescom.Answer
---@field status integer
---@field headers table<string, string> found in any case
---@field data? any the decoded JSON; nil where the answer was empty
---@field body? string as it came, where the option `raw` asked for that
---@field size? integer of a download: the bytes that came
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

---Walks a list of the API, page by page. Raises the error where a page cannot be had.
---@param path string such as "/users"
---@param options? filescom.ListOptions
---@return fun(): any iterator
function Session:each(path, options) end

---Downloads a file.
---@param path string the file's
---@param sink filescom.Sink
---@param options? filescom.DownloadOptions
---@return filescom.Answer? answer its `data` is what the service tells of the file
---@return filescom.Error? err
function Session:download(path, sink, options) end

---Uploads a file.
---@param path string where it goes
---@param source string|filescom.Source
---@param options? filescom.UploadOptions
---@return filescom.Answer? answer its `data` is what the service tells of the new file
---@return filescom.Error? err
function Session:upload(path, source, options) end

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
---@param get_code? filescom.GetCode optional where there is `otp_secret`
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

---A table of functions by which calls wait in an event loop; doc/loops.md tells what each has to do.
---@class filescom.LoopAdapter
---@field running fun(): loop: any returns the loop that runs the calling coroutine; nil where none does
---@field suspend fun(waiter: any) yields until `resume` is called with the same
---@field resume fun(waiter: any) has that coroutine go on
---@field watch fun(loop: any, descriptor: integer, step: function): unwatch: function
---@field waiter? fun(loop: any): waiter: any makes what stands for the calling coroutine; by default that itself
---@field sleep? fun(seconds: number, coroutine: thread) has the calling coroutine yield for so long; for keepers

---What a keeper tells by `on_event`.
---@class filescom.KeeperEvent
---@field type "login"|"login-failed"|"session-ended"|"store-unavailable"|"store-contents"|"clock"
---@field name string the keeper's
---@field message string readable text, without secrets
---@field error? filescom.Error

---@class filescom.KeeperBackoff
---@field first? number seconds for which a first refusal is remembered
---@field longest? number seconds for which any is, at most

---@class filescom.KeeperClock
---@field now? fun(): number seconds since 1970
---@field sleep? fun(seconds: number) waits; in an event loop it yields

---@class filescom.KeeperOptions
---@field credentials fun(): credentials: filescom.Credentials?, why: string? asked each time that a login is due
---@field get_code? filescom.GetCode
---@field otp_secret? filescom.OtpSecret
---@field store? filescom.Store where the session is kept
---@field name? string what it is kept under
---@field client? filescom.Client|filescom.Options
---@field margin? number seconds before its end at which the session is renewed
---@field wait? number seconds to wait for another's login
---@field lock_ttl? number seconds after which a login that nothing was heard of counts as dead
---@field backoff? filescom.KeeperBackoff
---@field recheck? number seconds for which what was read of the store is good
---@field fallback? boolean whether to go on in memory while the store cannot be asked
---@field on_event? fun(event: filescom.KeeperEvent) is told what no caller is
---@field clock? filescom.KeeperClock

---One session, there when it is asked for.
---@class filescom.Keeper
local Keeper = {}

---The session, obtained or renewed where that is due. Its table is shared: do not change it.
---@return filescom.Session? session
---@return filescom.Error? err
function Keeper:session() end

---Says that the service knows a session no more, as another HTTP client was told.
---@param session filescom.Session|string
function Keeper:discard(session) end

---Any call of the API with the session. Where that has ended it is replaced and the call repeated, once.
---@param method string such as "GET"
---@param path string below the base URL, such as "/folders"
---@param options? filescom.RequestOptions
---@return filescom.Answer? answer
---@return filescom.Error? err
function Keeper:request(method, path, options) end

---Ends the session, for all who share it, and forgets a refusal.
---@return filescom.Logout? ended
---@return filescom.Error? err
function Keeper:logout() end

---Frees what the keeper holds; does not log out.
function Keeper:close() end

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
---@param get_code? filescom.GetCode optional where there is `otp_secret`
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

---Makes a keeper: one session of a service account, shared, renewed and replaced by itself.
---@param options filescom.KeeperOptions
---@return filescom.Keeper keeper
function filescom.keeper(options) end

---Where keepers keep sessions.
filescom.store = require "filescom.store"

return filescom
