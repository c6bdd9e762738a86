/* client.c - see client.h and filescom.h: options, ready handles, and the requests of the API. */
#include "client.h"
#include "exchange.h"
#include "message.h"
#include "multipart.h"
#include "setopt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define IDLE_HANDLES 64
#define MAX_HEADERS_SIZE (256 * 1024)
#define MAX_BODY_SIZE SIZE_MAX
#define MAX_AGENT_SIZE 256
#define OWN_AGENT "filescom-lua/" FILESCOM_VERSION
#define LARGEST_UNASKED_BODY 1000
#define CA_CACHE_SECONDS 300L
#define SESSIONS_PATH "/sessions"
#define SESSION_HEADER "X-FilesAPI-Auth"

struct filescom_client {
    size_t references;
    size_t in_flight;
    filescom_engine *engine;
    char base_url[FC_BASE_URL_SIZE];
    CURLU *sessions_url;      /* parsed once: libcurl would do it for every login and logout */
    filescom_options options; /* its strings are this client's copies */
    fc_buffer common_lines;   /* NUL-terminated header lines of every request, made once */
    fc_handle idle[IDLE_HANDLES];
    size_t idle_count;
    bool keeps_handles;
    unsigned generation; /* the engine's when the idle handles were made */
};

/* ---- options -------------------------------------------------------------------------------- */

void filescom_options_init(filescom_options *options)
{
    *options = (filescom_options){.base_url = "https://app.files.com",
                                  .timeout_ms = 60000,
                                  .connect_timeout_ms = 15000,
                                  .retries = 2,
                                  .max_response_size = 1024 * 1024,
                                  .max_in_flight = 1000};
}

static bool copy_string(const char **copy, const char *text)
{
    *copy = text ? strdup(text) : NULL;
    return text == NULL || *copy != NULL;
}

static bool copy_strings(filescom_options *to, const filescom_options *from)
{
    /* Every string first, so that a failure leaves nothing that is not ours to free. */
    bool copied = copy_string(&to->ca_file, from->ca_file);

    copied &= copy_string(&to->ca_path, from->ca_path);
    copied &= copy_string(&to->proxy, from->proxy);
    copied &= copy_string(&to->user_agent, from->user_agent);
    copied &= copy_string(&to->language, from->language);
    copied &= copy_string(&to->workspace_id, from->workspace_id);
    return copied;
}

static void free_string(const char *text)
{
    if (text == NULL)
        return;
    fc_wipe((char *)(uintptr_t)text, strlen(text)); /* a proxy URL may hold a password */
    free((void *)(uintptr_t)text);
}

static void free_strings(filescom_options *options)
{
    free_string(options->ca_file);
    free_string(options->ca_path);
    free_string(options->proxy);
    free_string(options->user_agent);
    free_string(options->language);
    free_string(options->workspace_id);
}

static bool is_header_value(filescom_bytes value)
{
    size_t i;

    for (i = 0; i < value.size; i++) {
        unsigned char c = (unsigned char)value.data[i];

        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

static bool is_text_value(const char *text)
{
    return text == NULL || is_header_value((filescom_bytes){text, strlen(text)});
}

/* What libcurl takes for a proxy; the URL is not shown, it may hold a password. */
static filescom_code check_proxy(const char *proxy, char *message)
{
    CURLU *handle = curl_url();
    char *scheme = NULL;
    CURLUcode parsed = CURLUE_OUT_OF_MEMORY;
    bool known;

    if (handle != NULL)
        parsed = curl_url_set(handle, CURLUPART_URL, proxy,
                              CURLU_NON_SUPPORT_SCHEME | CURLU_GUESS_SCHEME);
    if (parsed == CURLUE_OK)
        parsed = curl_url_get(handle, CURLUPART_SCHEME, &scheme, 0);
    known = scheme != NULL && (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0 ||
                               strncmp(scheme, "socks", 5) == 0);
    curl_free(scheme);
    curl_url_cleanup(handle);
    if (parsed == CURLUE_OUT_OF_MEMORY)
        return fc_fail_no_memory(message);
    return known ? FILESCOM_OK
                 : fc_fail(message, FILESCOM_BAD_ARGUMENT,
                           "proxy must be a URL such as http://user:password@host:port");
}

static filescom_code check_options(const filescom_options *options, char *message)
{
    if (options->timeout_ms <= 0)
        return fc_fail(message, FILESCOM_BAD_ARGUMENT, "timeout must be above 0");
    if (options->connect_timeout_ms <= 0)
        return fc_fail(message, FILESCOM_BAD_ARGUMENT, "connect_timeout must be above 0");
    if (options->retries < 0)
        return fc_fail(message, FILESCOM_BAD_ARGUMENT, "retries must not be negative");
    if (options->max_response_size == 0)
        return fc_fail(message, FILESCOM_BAD_ARGUMENT, "max_response_size must be above 0");
    if (options->max_in_flight == 0)
        return fc_fail(message, FILESCOM_BAD_ARGUMENT, "max_in_flight must be above 0");
    if (options->user_agent != NULL &&
        strlen(options->user_agent) + sizeof OWN_AGENT >= MAX_AGENT_SIZE)
        return fc_fail(message, FILESCOM_BAD_ARGUMENT, "user_agent is too long");
    if (!is_text_value(options->user_agent))
        return fc_fail(message, FILESCOM_BAD_ARGUMENT, "user_agent holds a control character");
    if (!is_text_value(options->language))
        return fc_fail(message, FILESCOM_BAD_ARGUMENT, "language holds a control character");
    if (!is_text_value(options->workspace_id))
        return fc_fail(message, FILESCOM_BAD_ARGUMENT, "workspace_id holds a control character");
    if (options->proxy != NULL && options->proxy[0] != '\0')
        return check_proxy(options->proxy, message);
    return FILESCOM_OK;
}

/* ---- header lines --------------------------------------------------------------------------- */

/* Header lines under construction. */
typedef struct lines {
    fc_buffer text;
    size_t count;
} lines;

static fc_append add_line(lines *to, filescom_bytes name, filescom_bytes value)
{
    fc_append result;

    /* libcurl sends a header without a value where the line says so by a semicolon. */
    const char *separator = value.size ? ": " : ";";

    if ((result = fc_buffer_append(&to->text, name.data, name.size)) ||
        (result = fc_buffer_append(&to->text, separator, strlen(separator))) ||
        (result = fc_buffer_append(&to->text, value.data, value.size)) ||
        (result = fc_buffer_append(&to->text, "", 1)))
        return result;
    to->count++;
    return FC_APPENDED;
}

static filescom_bytes text_bytes(const char *text)
{
    return (filescom_bytes){text, text ? strlen(text) : 0};
}

static fc_append add_text_line(lines *to, const char *name, const char *value)
{
    return value ? add_line(to, text_bytes(name), text_bytes(value)) : FC_APPENDED;
}

/* Not by CURLOPT_USERAGENT, which would write it twice. */
static fc_append add_agent_line(lines *to, const char *user_agent)
{
    char agent[MAX_AGENT_SIZE];

    snprintf(agent, sizeof agent, "%s%s" OWN_AGENT, user_agent ? user_agent : "",
             user_agent ? " " : "");
    return add_text_line(to, "User-Agent", agent);
}

static filescom_code make_common_lines(filescom_client *client, char *message)
{
    const filescom_options *options = &client->options;
    lines common = {.text = {.limit = MAX_HEADERS_SIZE}};
    fc_append result;

    if (!(result = add_text_line(&common, "Accept", "application/json")) &&
        !(result = add_agent_line(&common, options->user_agent)) &&
        !(result = add_text_line(&common, "Accept-Language", options->language)))
        result = add_text_line(&common, "X-Files-Workspace-Id", options->workspace_id);
    client->common_lines = common.text;
    if (result == FC_APPEND_FULL)
        return fc_fail(message, FILESCOM_BAD_ARGUMENT, "language or workspace_id is too long");
    return result == FC_APPENDED ? FILESCOM_OK : fc_fail_no_memory(message);
}

/* ---- life ----------------------------------------------------------------------------------- */

static bool parse_sessions_url(filescom_client *client)
{
    char url[FC_BASE_URL_SIZE + sizeof SESSIONS_PATH];

    snprintf(url, sizeof url, "%s" SESSIONS_PATH, client->base_url);
    client->sessions_url = curl_url();
    return client->sessions_url != NULL &&
           curl_url_set(client->sessions_url, CURLUPART_URL, url, CURLU_PATH_AS_IS) == CURLUE_OK;
}

filescom_code filescom_client_new(filescom_engine *engine, const filescom_options *options,
                                  filescom_client **client, char *message)
{
    filescom_code code = check_options(options, message);
    filescom_client *made;

    *client = NULL;
    if (code != FILESCOM_OK)
        return code;
    made = calloc(1, sizeof *made);
    if (made == NULL)
        return fc_fail_no_memory(message);
    made->references = 1;
    made->keeps_handles = fc_handles_may_be_kept();
    made->engine = engine;
    fc_engine_retain(engine);
    made->options = *options;
    code = filescom_base_url(options->base_url, made->base_url, sizeof made->base_url, message);
    if (code == FILESCOM_OK && !parse_sessions_url(made))
        code = fc_fail_no_memory(message);
    if (!copy_strings(&made->options, options))
        code = fc_fail_no_memory(message);
    if (code == FILESCOM_OK)
        code = make_common_lines(made, message);
    if (code != FILESCOM_OK) {
        filescom_client_release(made);
        return code;
    }
    *client = made;
    return FILESCOM_OK;
}

void fc_client_retain(filescom_client *client)
{
    client->references++;
}

static void drop_idle_handles(filescom_client *client)
{
    while (client->idle_count > 0)
        fc_handle_cleanup(&client->idle[--client->idle_count]);
}

void filescom_client_release(filescom_client *client)
{
    if (client == NULL || --client->references > 0)
        return;
    drop_idle_handles(client);
    curl_url_cleanup(client->sessions_url);
    filescom_engine_release(client->engine);
    free_strings(&client->options);
    fc_buffer_free(&client->common_lines);
    free(client);
}

const char *filescom_client_base_url(const filescom_client *client)
{
    return client->base_url;
}

filescom_engine *fc_client_engine(const filescom_client *client)
{
    return client->engine;
}

bool fc_client_enter_exchange(filescom_client *client)
{
    if (client->in_flight >= client->options.max_in_flight)
        return false;
    client->in_flight++;
    client->engine->in_flight++;
    return true;
}

void fc_client_leave_exchange(filescom_client *client)
{
    client->in_flight--;
    client->engine->in_flight--;
}

bool fc_client_has_proxy(const filescom_client *client)
{
    return client->options.proxy != NULL;
}

/* ---- handles -------------------------------------------------------------------------------- */

static CURLcode set_protocol(CURL *easy)
{
#if LIBCURL_VERSION_NUM >= 0x075500
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
#else
    SET(CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_HTTP09_ALLOWED, 0L);
    SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    SET(CURLOPT_PATH_AS_IS, 1L);
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_BUFFERSIZE, 4096L);
    SET(CURLOPT_UPLOAD_BUFFERSIZE, 16384L);
#if LIBCURL_VERSION_NUM >= 0x075700
    SET(CURLOPT_QUICK_EXIT, 1L); /* a cancelled name look-up is not waited for */
#endif
    return CURLE_OK;
}

static bool has_default_ca_file(CURL *easy)
{
    const char *file = NULL;

#if LIBCURL_VERSION_NUM >= 0x075400
    curl_easy_getinfo(easy, CURLINFO_CAINFO, &file);
#else
    (void)easy;
#endif
    return file != NULL;
}

/*
 * What is named takes the place of libcurl's own authorities: both of them, where libcurl has a
 * file and a directory. A directory also keeps libcurl from remembering what it read, so that every
 * connection would read the file anew: where there is a file it is left out. A proxy that is spoken
 * to by TLS is held to the same.
 */
static CURLcode set_authorities(CURL *easy, const filescom_options *options)
{
    if (options->ca_file != NULL || options->ca_path != NULL) {
        SET(CURLOPT_CAINFO, options->ca_file);
        SET(CURLOPT_CAPATH, options->ca_path);
        SET(CURLOPT_PROXY_CAINFO, options->ca_file);
        SET(CURLOPT_PROXY_CAPATH, options->ca_path);
    } else if (has_default_ca_file(easy)) {
        SET(CURLOPT_CAPATH, NULL);
    }
#if LIBCURL_VERSION_NUM >= 0x075700
    SET(CURLOPT_CA_CACHE_TIMEOUT, CA_CACHE_SECONDS);
#endif
    return CURLE_OK;
}

static CURLcode set_tls(CURL *easy, const filescom_options *options)
{
    CURLcode code;

    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_PROXY_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_PROXY_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_PROXY_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if ((code = set_authorities(easy, options)))
        return code;
    if (options->proxy != NULL) {
        SET(CURLOPT_PROXY, options->proxy);
    }
    return CURLE_OK;
}

static CURLcode set_options(filescom_client *client, CURL *easy)
{
    CURLcode code;

    SET(CURLOPT_SHARE, client->engine->share);
    SET(CURLOPT_CONNECTTIMEOUT_MS, client->options.connect_timeout_ms);
    SET(CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)client->options.max_response_size);
    if ((code = set_protocol(easy)) || (code = set_tls(easy, &client->options)) ||
        (code = fc_exchange_prepare(easy)))
        return code;
    return fc_driver_prepare(client->engine->driver, easy);
}

static fc_handle new_handle(filescom_client *client)
{
    fc_handle handle;

    if (fc_handle_open(&handle) && set_options(client, handle.easy) != CURLE_OK)
        fc_handle_cleanup(&handle);
    return handle;
}

fc_handle fc_client_take_handle(filescom_client *client)
{
    if (client->generation != client->engine->generation) {
        drop_idle_handles(client);
        client->generation = client->engine->generation;
    }
    if (client->idle_count > 0)
        return client->idle[--client->idle_count];
    return new_handle(client);
}

void fc_client_give_handle(filescom_client *client, fc_handle *handle)
{
    if (client->keeps_handles && fc_handle_may_be_kept(handle) && client->idle_count < IDLE_HANDLES)
        client->idle[client->idle_count++] = *handle;
    else
        fc_handle_cleanup(handle);
    *handle = (fc_handle){0};
}

/* ---- a request's header lines -------------------------------------------------------------- */

static bool is_named(filescom_bytes name, const char *text)
{
    return strlen(text) == name.size && strncasecmp(text, name.data, name.size) == 0;
}

static bool has_header(const filescom_request *request, filescom_bytes name)
{
    size_t i;

    for (i = 0; i < request->header_count; i++)
        if (request->headers[i].name.size == name.size &&
            strncasecmp(request->headers[i].name.data, name.data, name.size) == 0)
            return true;
    return false;
}

/* A line without a value tells libcurl not to send a header of its own. */
static fc_append add_suppressing_line(lines *to, const char *name)
{
    fc_append result;

    if ((result = fc_buffer_append(&to->text, name, strlen(name))) ||
        (result = fc_buffer_append(&to->text, ":", 2)))
        return result;
    to->count++;
    return FC_APPENDED;
}

/*
 * libcurl asks before it sends a large body, and waits a second for the leave. (libcurl writes
 * header lines character by character: none is sent that is not needed.)
 */
static fc_append add_no_expect_line(lines *to, uint64_t body_size)
{
    return body_size > LARGEST_UNASKED_BODY ? add_suppressing_line(to, "Expect") : FC_APPENDED;
}

/*
 * A header that the request itself names takes the place of the client's. What is meant for the
 * service does not go to another host.
 */
static fc_append add_common_lines(lines *to, const filescom_client *client,
                                  const filescom_request *request, uint64_t body_size)
{
    const char *line = client->common_lines.data;
    const char *end = line + client->common_lines.size;

    while (line < end) {
        size_t size = strlen(line) + 1;
        filescom_bytes name = {line, strcspn(line, ":;")};

        if ((request->header_count == 0 || !has_header(request, name)) &&
            (request->origin == NULL || is_named(name, "User-Agent"))) {
            fc_append result = fc_buffer_append(&to->text, line, size);

            if (result != FC_APPENDED)
                return result;
            to->count++;
        }
        line += size;
    }
    return add_no_expect_line(to, body_size);
}

static CURLU *find_parsed_url(const filescom_client *client, const fc_exchange_plan *plan)
{
    bool ours = strcmp(plan->base_url, client->base_url) == 0 &&
                plan->path.size == strlen(SESSIONS_PATH) &&
                memcmp(plan->path.data, SESSIONS_PATH, plan->path.size) == 0;

    return ours ? client->sessions_url : NULL;
}

static filescom_code begin(filescom_client *client, fc_exchange_plan *plan, lines *headers,
                           fc_buffer *body, fc_append built, filescom_exchange **exchange,
                           char *message)
{
    filescom_code code = FILESCOM_NO_MEMORY;

    plan->header_lines = &headers->text;
    plan->header_count = headers->count;
    plan->body = body;
    plan->retries = client->options.retries;
    plan->parsed_url = find_parsed_url(client, plan);
    plan->max_response_size = client->options.max_response_size;
    if (plan->timeout_ms == 0 && plan->stream == NULL)
        plan->timeout_ms = client->options.timeout_ms;
    if (built == FC_APPENDED)
        code = fc_exchange_begin(client, plan, exchange, message);
    else if (built == FC_APPEND_FULL)
        code = fc_fail(message, FILESCOM_BAD_ARGUMENT, "the request's headers are too large");
    else
        fc_fail_no_memory(message);
    fc_buffer_free(&headers->text);
    if (body != NULL)
        fc_buffer_free(body);
    return code;
}

static filescom_code choose_base_url(const filescom_client *client, const char *base_url,
                                     char chosen[FC_BASE_URL_SIZE], char *message)
{
    if (base_url != NULL && strcmp(base_url, client->base_url) != 0)
        return filescom_base_url(base_url, chosen, FC_BASE_URL_SIZE, message);
    memcpy(chosen, client->base_url, strlen(client->base_url) + 1);
    return FILESCOM_OK;
}

/* Where a request goes: the origin it names, its base URL, or the client's. */
static filescom_code choose_place(const filescom_client *client, const filescom_request *request,
                                  char chosen[FC_BASE_URL_SIZE], char *message)
{
    if (request->origin != NULL)
        return filescom_origin(request->origin, chosen, FC_BASE_URL_SIZE, message);
    return choose_base_url(client, request->base_url, chosen, message);
}

/* ---- the calls ------------------------------------------------------------------------------ */

static fc_append add_form_line(lines *headers, const char *boundary)
{
    static const char type[] = "Content-Type: multipart/form-data; boundary=";
    fc_append result;

    if ((result = fc_buffer_append(&headers->text, type, sizeof type - 1)) ||
        (result = fc_buffer_append(&headers->text, boundary, strlen(boundary) + 1)))
        return result;
    headers->count++;
    return FC_APPENDED;
}

filescom_code filescom_login(filescom_client *client, const char *base_url,
                             const filescom_credentials *credentials, filescom_exchange **exchange,
                             char *message)
{
    const fc_field fields[] = {
        {{"username", 8}, credentials->username},
        {{"password", 8}, credentials->password},
        {{"otp", 3}, credentials->otp},
        {{"partial_session_id", 18}, credentials->partial_session_id},
    };
    const filescom_request no_request = {0};
    char boundary[FC_BOUNDARY_SIZE];
    char base[FC_BASE_URL_SIZE];
    fc_exchange_plan plan = {.base_url = base, .method = "POST", .path = {SESSIONS_PATH, 9}};
    fc_buffer body = {.limit = MAX_BODY_SIZE};
    lines headers = {.text = {.limit = MAX_HEADERS_SIZE}};
    filescom_code code = choose_base_url(client, base_url, base, message);
    fc_append built;

    if (code != FILESCOM_OK)
        return code;
    if (!(built = fc_multipart_build(&body, fields, sizeof fields / sizeof *fields, boundary)) &&
        !(built = add_common_lines(&headers, client, &no_request, body.size)))
        built = add_form_line(&headers, boundary);
    return begin(client, &plan, &headers, &body, built, exchange, message);
}

bool filescom_is_session_id(filescom_bytes id)
{
    size_t i;

    for (i = 0; i < id.size; i++)
        if (id.data[i] <= ' ' || id.data[i] > '~')
            return false;
    return id.size > 0;
}

filescom_code filescom_logout(filescom_client *client, const char *base_url,
                              filescom_bytes session_id, filescom_exchange **exchange,
                              char *message)
{
    filescom_request request = {.base_url = base_url,
                                .method = "DELETE",
                                .path = {SESSIONS_PATH, 9},
                                .session_id = session_id};

    if (session_id.data == NULL)
        return fc_fail(message, FILESCOM_BAD_ARGUMENT, "a logout needs a session id");
    return filescom_call(client, &request, exchange, message);
}

static bool is_method(const char *method)
{
    size_t size = strlen(method);
    size_t i;

    for (i = 0; i < size; i++)
        if (method[i] < 'A' || method[i] > 'Z')
            return false;
    return size > 0 && size < FC_METHOD_SIZE;
}

/* Bytes that may stand in a request's target; a fragment is never sent. */
static bool is_path(filescom_bytes path)
{
    size_t i;

    for (i = 0; i < path.size; i++)
        if (path.data[i] <= ' ' || path.data[i] > '~' || path.data[i] == '#')
            return false;
    return path.size > 0 && path.data[0] == '/';
}

static bool is_header_name(filescom_bytes name)
{
    size_t i;

    for (i = 0; i < name.size; i++)
        if (name.data[i] <= ' ' || name.data[i] > '~' ||
            strchr("\"(),/:;<=>?@[\\]{}", name.data[i]))
            return false;
    return name.size > 0;
}

/* Headers that this library writes itself: another value could break framing or send a wrong id. */
bool filescom_is_reserved_header(filescom_bytes name)
{
    static const char *const reserved[] = {SESSION_HEADER,   "X-FilesAPI-Key",    "Host",
                                           "Content-Length", "Transfer-Encoding", "Connection",
                                           "Expect"};
    size_t i;

    for (i = 0; i < sizeof reserved / sizeof *reserved; i++)
        if (is_named(name, reserved[i]))
            return true;
    return false;
}

static filescom_code check_header(const filescom_header *header, char *message)
{
    if (!is_header_name(header->name))
        return fc_fail(message, FILESCOM_BAD_ARGUMENT, "a header's name is not valid");
    if (filescom_is_reserved_header(header->name))
        return fc_fail(message, FILESCOM_BAD_ARGUMENT, "the header %.*s is the library's to set",
                       (int)header->name.size, header->name.data);
    if (!is_header_value(header->value))
        return fc_fail(message, FILESCOM_BAD_ARGUMENT,
                       "the value of the header %.*s holds a control character",
                       (int)header->name.size, header->name.data);
    return FILESCOM_OK;
}

static filescom_code check_stream(const filescom_request *request, char *message)
{
    if (request->has_source && request->body.data != NULL)
        return fc_fail(message, FILESCOM_BAD_ARGUMENT,
                       "a request has a body or a source of one, not both");
    if (request->has_source && request->source_size > INT64_MAX)
        return fc_fail(message, FILESCOM_BAD_ARGUMENT, "the source's size is too large");
    return FILESCOM_OK;
}

static filescom_code check_request(const filescom_request *request, char *message)
{
    filescom_code code = check_stream(request, message);
    size_t i;

    if (!is_method(request->method))
        return fc_fail(message, FILESCOM_BAD_ARGUMENT, "method must be letters such as GET");
    if (!is_path(request->path))
        return fc_fail(message, FILESCOM_BAD_ARGUMENT,
                       "path must begin with '/' and hold no blanks, control or non-ASCII bytes");
    if (request->session_id.data != NULL && !filescom_is_session_id(request->session_id))
        return fc_fail(message, FILESCOM_BAD_ARGUMENT,
                       "a session id must be a non-empty string of visible ASCII");
    if (request->session_id.data != NULL && request->origin != NULL)
        return fc_fail(message, FILESCOM_BAD_ARGUMENT, "another host is sent no session id");
    for (i = 0; i < request->header_count && code == FILESCOM_OK; i++)
        code = check_header(&request->headers[i], message);
    return code;
}

/* Whether a request without a body says so; a server may ask for the length (RFC 9110, 8.6). */
static bool expects_body(const filescom_request *request)
{
    const char *method = request->method;

    return method[0] == 'P' && (strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 ||
                                strcmp(method, "PATCH") == 0);
}

static bool has_empty_body(const filescom_request *request)
{
    return request->body.data == NULL && !request->has_source && expects_body(request);
}

static uint64_t body_size(const filescom_request *request)
{
    return request->has_source ? request->source_size : request->body.size;
}

static fc_append add_request_lines(lines *to, const filescom_client *client,
                                   const filescom_request *request)
{
    fc_append result = add_common_lines(to, client, request, body_size(request));
    size_t i;

    if (result == FC_APPENDED && request->session_id.data != NULL)
        result = add_line(to, text_bytes(SESSION_HEADER), request->session_id);
    if (result == FC_APPENDED && has_empty_body(request) &&
        !has_header(request, text_bytes("Content-Type")))
        result = add_suppressing_line(to, "Content-Type"); /* libcurl would call it a form */
    for (i = 0; i < request->header_count && result == FC_APPENDED; i++)
        result = add_line(to, request->headers[i].name, request->headers[i].value);
    return result;
}

static fc_stream_plan plan_stream(const filescom_client *client, const filescom_request *request)
{
    return (fc_stream_plan){
        .has_sink = request->has_sink,
        .has_source = request->has_source,
        .size = request->source_size,
        .stall_ms = request->stall_ms ? request->stall_ms : client->options.timeout_ms,
    };
}

filescom_code filescom_call(filescom_client *client, const filescom_request *request,
                            filescom_exchange **exchange, char *message)
{
    char base[FC_BASE_URL_SIZE];
    fc_stream_plan stream;
    fc_exchange_plan plan = {.base_url = base,
                             .method = request->method,
                             .path = request->path,
                             .timeout_ms = request->timeout_ms};
    bool has_body = request->body.data != NULL || has_empty_body(request);
    fc_buffer body = {.limit = MAX_BODY_SIZE};
    lines headers = {.text = {.limit = MAX_HEADERS_SIZE}};
    filescom_code code = choose_place(client, request, base, message);
    fc_append built;

    if (code != FILESCOM_OK || (code = check_request(request, message)) != FILESCOM_OK)
        return code;
    if (request->has_sink || request->has_source) {
        stream = plan_stream(client, request);
        plan.stream = &stream;
    }
    built = add_request_lines(&headers, client, request);
    if (built == FC_APPENDED && request->body.data != NULL)
        built = fc_buffer_append(&body, request->body.data, request->body.size);
    return begin(client, &plan, &headers, has_body ? &body : NULL, built, exchange, message);
}
