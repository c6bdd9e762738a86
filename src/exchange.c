/* exchange.c - see exchange.h: attempts, libcurl's callbacks, and what became of it all. */
#define _GNU_SOURCE
#include "exchange.h"
#include "client.h"
#include "headers.h"
#include "message.h"
#include "setopt.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* An answer's header block; libcurl bounds a line, nothing bounds their number. */
#define MAX_HEAD_SIZE (256 * 1024)
#define MAX_URL_SIZE (64 * 1024)

#define FIRST_PAUSE_MS 100
#define LONGEST_PAUSE_MS 2000

/* ---- libcurl's callbacks: nothing here may call out --------------------------------------- */

/* CURLOPT_WRITEFUNCTION. */
size_t fc_exchange_receive(char *data, size_t unit, size_t count, void *userdata)
{
    filescom_exchange *exchange = userdata;
    fc_append result = fc_buffer_append(&exchange->content, data, unit * count);

    exchange->too_large |= result == FC_APPEND_FULL;
    exchange->no_memory |= result == FC_APPEND_NO_MEMORY;
    return result == FC_APPENDED ? unit * count : 0;
}

static bool begins_answer(const char *line, size_t size)
{
    return size > 5 && memcmp(line, "HTTP/", 5) == 0;
}

static bool is_blank_line(const char *line, size_t size)
{
    return (size == 1 && line[0] == '\n') || (size == 2 && line[0] == '\r' && line[1] == '\n');
}

/* Where headers end for libcurl, whatever follows on the line. */
static bool ends_head(const char *line)
{
    return line[0] == '\r' || line[0] == '\n';
}

/*
 * Tells of what libcurl remembers as a header: not the first line, whatever it says, nor the line
 * that ends a head. A line after that is a trailer, or the first of another answer.
 */
static void note_line(filescom_exchange *exchange, const char *line)
{
    if (ends_head(line))
        return;
    if (exchange->head_is_over)
        fc_handle_header_may_have_come(&exchange->handle);
    else if (exchange->head.size > 0)
        fc_handle_header_came(&exchange->handle);
}

/* CURLOPT_HEADERFUNCTION: called for every line; only the last answer's are kept (not 1xx's). */
size_t fc_exchange_receive_head(char *line, size_t unit, size_t count, void *userdata)
{
    filescom_exchange *exchange = userdata;
    bool begins =
        begins_answer(line, unit * count) && (exchange->head.size == 0 || exchange->head_is_over);
    fc_append result;

    note_line(exchange, line);
    if (begins) {
        fc_buffer_clear(&exchange->head);
        exchange->head_is_whole = exchange->head_is_over = false;
    }
    exchange->head_is_over |= ends_head(line);
    exchange->head_is_whole |= is_blank_line(line, unit * count);
    result = fc_buffer_append(&exchange->head, line, unit * count);
    exchange->too_large |= result == FC_APPEND_FULL;
    exchange->no_memory |= result == FC_APPEND_NO_MEMORY;
    return result == FC_APPENDED ? unit * count : 0;
}

/*
 * CURLOPT_OPENSOCKETFUNCTION: plain http reaches this machine alone, whatever a name resolves to
 * and whatever a proxy setting says.
 */
static curl_socket_t open_socket(void *userdata, curlsocktype purpose,
                                 struct curl_sockaddr *address)
{
    filescom_exchange *exchange = userdata;
    curl_socket_t opened;

    (void)purpose;
    if (fc_base_url_is_plain(exchange->base_url) && !fc_is_loopback_address(&address->addr))
        return CURL_SOCKET_BAD;
    opened = fc_driver_open_socket(exchange->engine->driver, address);
    exchange->no_memory |= opened == CURL_SOCKET_BAD && errno == ENOMEM;
    return opened;
}

#if LIBCURL_VERSION_NUM >= 0x075000
static long bytes_sent(const filescom_exchange *exchange)
{
    long sent = 0;

    curl_easy_getinfo(exchange->handle.easy, CURLINFO_REQUEST_SIZE, &sent);
    return sent;
}

static bool is_kept_connection(const filescom_exchange *exchange)
{
    long opened = 1;

    curl_easy_getinfo(exchange->handle.easy, CURLINFO_NUM_CONNECTS, &opened);
    return opened == 0;
}

/*
 * CURLOPT_PREREQFUNCTION: called each time a request is about to be sent. What a kept connection
 * holds by then answers nothing that was asked, and would be taken for the answer to this. Where a
 * kept connection breaks before an answer came libcurl sends the request again by itself; a login
 * that may have been counted must not be.
 */
static int before_request(void *userdata, char *remote_ip, char *local_ip, int remote_port,
                          int local_port)
{
    filescom_exchange *exchange = userdata;

    (void)remote_ip, (void)local_ip;
    if (!exchange->may_have_begun) {
        exchange->stale = is_kept_connection(exchange) &&
                          fc_driver_has_input(exchange->engine->driver, local_port, remote_port);
        if (exchange->stale)
            return CURL_PREREQFUNC_ABORT;
        exchange->may_have_begun = true;
        exchange->bytes_before = bytes_sent(exchange);
        return CURL_PREREQFUNC_OK;
    }
    exchange->would_send_twice = bytes_sent(exchange) > exchange->bytes_before;
    return exchange->would_send_twice ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}
#endif

/*
 * CURLOPT_XFERINFOFUNCTION: libcurl reads a proxy's answer to CONNECT in a loop that knows no time
 * limit, but calls this for every byte of it.
 */
static int watch_deadline(void *userdata, curl_off_t total_down, curl_off_t down,
                          curl_off_t total_up, curl_off_t up)
{
    filescom_exchange *exchange = userdata;

    (void)total_down, (void)down, (void)total_up, (void)up;
    exchange->out_of_time = fc_now_ms() > exchange->deadline_ms;
    return exchange->out_of_time;
}

/* ---- an attempt ----------------------------------------------------------------------------- */

static CURLcode set_method(filescom_exchange *exchange, CURL *easy)
{
    if (exchange->stream != NULL && exchange->stream->plan.has_source)
        return CURLE_OK; /* see fc_stream_prepare */
    if (exchange->has_body) {
        SET(CURLOPT_POST, 1L);
        SET(CURLOPT_POSTFIELDS, exchange->body.size ? exchange->body.data : "");
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)exchange->body.size);
        SET(CURLOPT_CUSTOMREQUEST, strcmp(exchange->method, "POST") ? exchange->method : NULL);
    } else if (strcmp(exchange->method, "HEAD") == 0) {
        SET(CURLOPT_NOBODY, 1L);
        SET(CURLOPT_CUSTOMREQUEST, NULL);
        /* It says how large a body would be, and none comes. */
        SET(CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)0);
        exchange->has_own_options = true;
    } else {
        SET(CURLOPT_HTTPGET, 1L);
        SET(CURLOPT_CUSTOMREQUEST, strcmp(exchange->method, "GET") ? exchange->method : NULL);
    }
    return CURLE_OK;
}

CURLcode fc_exchange_prepare(CURL *easy)
{
    SET(CURLOPT_WRITEFUNCTION, fc_exchange_receive);
    SET(CURLOPT_HEADERFUNCTION, fc_exchange_receive_head);
    SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
    SET(CURLOPT_XFERINFOFUNCTION, watch_deadline);
#if LIBCURL_VERSION_NUM >= 0x075000
    SET(CURLOPT_PREREQFUNCTION, before_request);
#else
    /* Without the callback above: no kept connection, and so no repetition. */
    SET(CURLOPT_FRESH_CONNECT, 1L);
    SET(CURLOPT_FORBID_REUSE, 1L);
#endif
    return CURLE_OK;
}

/* What stays with a handle: the next exchange often lies where the last one did. */
static CURLcode set_owner(filescom_exchange *exchange, CURL *easy)
{
    if (exchange->handle.owner == exchange)
        return CURLE_OK;
    SET(CURLOPT_WRITEDATA, exchange);
    SET(CURLOPT_HEADERDATA, exchange);
    SET(CURLOPT_XFERINFODATA, exchange);
    SET(CURLOPT_OPENSOCKETDATA, exchange);
    SET(CURLOPT_PRIVATE, exchange);
#if LIBCURL_VERSION_NUM >= 0x075000
    SET(CURLOPT_PREREQDATA, exchange);
#endif
    exchange->handle.owner = exchange;
    return CURLE_OK;
}

static long milliseconds_left(const filescom_exchange *exchange)
{
    int64_t left = exchange->deadline_ms - fc_now_ms();

    if (exchange->deadline_ms == FC_NEVER)
        return 0; /* no limit */
    return left > 0 ? (long)left : 1;
}

/*
 * A proxy that was named is used whatever the environment says; one from the environment never for
 * plain http, which is for this machine. Set anew only where it is another way than the handle's
 * last: who names a proxy is the client, whose handles these are.
 */
static CURLcode set_way(filescom_exchange *exchange, CURL *easy)
{
    bool plain = fc_base_url_is_plain(exchange->base_url);
    bool named = fc_client_has_proxy(exchange->client);
    int way = 1 + plain + 2 * exchange->fresh;

    if (exchange->handle.way == way)
        return CURLE_OK;
    SET(CURLOPT_NOPROXY, named ? "" : plain ? "*" : NULL);
    SET(CURLOPT_NOPROGRESS, plain && !named ? 1L : 0L);
#if LIBCURL_VERSION_NUM >= 0x075000
    SET(CURLOPT_FRESH_CONNECT, (long)exchange->fresh);
#endif
    exchange->handle.way = way;
    return CURLE_OK;
}

static CURLcode set_attempt(filescom_exchange *exchange, CURL *easy)
{
    CURLcode code;

    SET(CURLOPT_CURLU, exchange->parsed_url);
    if (exchange->parsed_url == NULL) {
        SET(CURLOPT_URL, exchange->url.data);
    }
    SET(CURLOPT_HTTPHEADER, exchange->headers);
    SET(CURLOPT_TIMEOUT_MS, milliseconds_left(exchange));
    if ((code = set_way(exchange, easy)))
        return code;
    if (exchange->stream != NULL && (code = fc_stream_prepare(exchange->stream, easy)))
        return code;
    code = set_method(exchange, easy);
    return code == CURLE_OK ? set_owner(exchange, easy) : code;
}

/* Takes what belongs to the exchange out of a handle that may be used by another. */
static void unset_attempt(CURL *easy)
{
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, NULL);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, NULL);
}

/* Hands the exchange to libcurl and lets it begin. */
static bool add_to_multi(filescom_exchange *exchange)
{
    bool added;

    fc_handle_before_start(&exchange->handle);
    added = curl_multi_add_handle(exchange->engine->multi, exchange->handle.easy) == CURLM_OK;
    if (added)
        fc_engine_work(exchange->engine);
    fc_handle_after_start(&exchange->handle);
    return added;
}

/* False where memory ran out. */
static bool start_attempt(filescom_exchange *exchange)
{
    exchange->handle = fc_client_take_handle(exchange->client);
    if (exchange->handle.easy == NULL)
        return false;
    exchange->attempts++;
    exchange->may_have_begun = false;
    exchange->head_is_whole = exchange->head_is_over = false;
    exchange->handle.failure[0] = '\0';
    if (set_attempt(exchange, exchange->handle.easy) != CURLE_OK || !add_to_multi(exchange)) {
        fc_handle_cleanup(&exchange->handle);
        return false;
    }
    fc_link_append(&exchange->engine->active, &exchange->link);
    return true;
}

/* A handle whose transfer was cut short is not used again, nor is one with options of its own. */
static void leave_libcurl(filescom_exchange *exchange, bool whole)
{
    CURL *easy = exchange->handle.easy;

    if (easy == NULL)
        return;
    curl_multi_remove_handle(exchange->engine->multi, easy);
    unset_attempt(easy);
    if (whole && !exchange->has_own_options)
        fc_client_give_handle(exchange->client, &exchange->handle);
    else
        fc_handle_cleanup(&exchange->handle);
}

/* ---- the end -------------------------------------------------------------------------------- */

static void wipe_request(filescom_exchange *exchange)
{
    fc_buffer_free(&exchange->header_lines);
    fc_buffer_free(&exchange->body);
    fc_buffer_free(&exchange->url);
    free(exchange->headers);
    exchange->headers = NULL;
}

void fc_exchange_tell(filescom_exchange *exchange)
{
    if (exchange->news.next == NULL)
        fc_link_append(&exchange->engine->news, &exchange->news);
}

static void end(filescom_exchange *exchange, filescom_code result)
{
    fc_link_remove(&exchange->link);
    fc_exchange_tell(exchange);
    if (exchange->stream != NULL)
        fc_stream_end(exchange->stream);
    fc_client_leave_exchange(exchange->client);
    exchange->engine->named_in_flight -= exchange->named;
    exchange->result = result;
    wipe_request(exchange);
}

static void end_without_memory(filescom_exchange *exchange)
{
    end(exchange, fc_fail_no_memory(exchange->message));
}

static bool proxy_refused(CURL *easy)
{
    long status = 0;

    curl_easy_getinfo(easy, CURLINFO_HTTP_CONNECTCODE, &status);
    return status != 0 && (status < 200 || status > 299);
}

static filescom_code code_of(CURLcode result)
{
    switch (result) {
    case CURLE_OK:
        return FILESCOM_OK;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return FILESCOM_RESOLVE;
    case CURLE_COULDNT_CONNECT:
    case CURLE_INTERFACE_FAILED:
#if LIBCURL_VERSION_NUM >= 0x074900
    case CURLE_PROXY:
#endif
        return FILESCOM_CONNECT;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_ENGINE_NOTFOUND:
    case CURLE_SSL_ENGINE_SETFAILED:
    case CURLE_SSL_ENGINE_INITFAILED:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_USE_SSL_FAILED:
        return FILESCOM_TLS;
    case CURLE_OPERATION_TIMEDOUT:
        return FILESCOM_TIMEOUT;
    case CURLE_FILESIZE_EXCEEDED:
        return FILESCOM_TOO_LARGE;
    case CURLE_OUT_OF_MEMORY:
        return FILESCOM_NO_MEMORY;
    default:
        return FILESCOM_INTERRUPTED;
    }
}

static bool was_nothing_sent(const filescom_exchange *exchange)
{
    long sent = 0;

    curl_easy_getinfo(exchange->handle.easy, CURLINFO_REQUEST_SIZE, &sent);
#if LIBCURL_VERSION_NUM >= 0x075000
    return !exchange->may_have_begun || sent == exchange->bytes_before; /* less a proxy's CONNECT */
#else
    return sent == 0;
#endif
}

static filescom_code classify(const filescom_exchange *exchange, CURLcode result)
{
    /* libcurl is content with half a header block, and with a status of any length. */
    if (result == CURLE_OK)
        return exchange->head_is_whole && exchange->status != 0 ? FILESCOM_OK
                                                                : FILESCOM_INTERRUPTED;
    if (exchange->no_memory)
        return FILESCOM_NO_MEMORY;
    if (exchange->too_large)
        return FILESCOM_TOO_LARGE;
    if (exchange->would_send_twice)
        return FILESCOM_INTERRUPTED;
    if (exchange->out_of_time)
        return FILESCOM_TIMEOUT;
    if (proxy_refused(exchange->handle.easy))
        return FILESCOM_CONNECT;
    /* How libcurl before 8.6 says that a header line is longer than it takes. */
    if (result == CURLE_OUT_OF_MEMORY && !was_nothing_sent(exchange))
        return FILESCOM_TOO_LARGE;
    return code_of(result);
}

static const char *what_failed(filescom_code code)
{
    switch (code) {
    case FILESCOM_RESOLVE:
        return "the host name could not be looked up";
    case FILESCOM_CONNECT:
        return "no connection to the service";
    case FILESCOM_TLS:
        return "no trusted TLS connection to the service";
    case FILESCOM_TIMEOUT:
        return "the time limit passed";
    case FILESCOM_TOO_LARGE:
        return "the answer is larger than max_response_size allows";
    default:
        return "the connection broke before a whole answer came";
    }
}

static void describe_failure(filescom_exchange *exchange, filescom_code code, CURLcode result)
{
    const char *failure = exchange->handle.failure;
    /* libcurl shows a proxy's URL, password and all, where it cannot use it. */
    bool shows_proxy = strstr(failure, "nsupported proxy") != NULL;
    const char *detail = shows_proxy          ? "the proxy's URL cannot be used"
                         : failure[0]         ? failure
                         : result == CURLE_OK ? "the answer's head is not HTTP, or not whole"
                                              : curl_easy_strerror(result);

    if (code == FILESCOM_NO_MEMORY)
        fc_fail_no_memory(exchange->message);
    else if (code == FILESCOM_TOO_LARGE || exchange->would_send_twice)
        fc_fail(exchange->message, code, "%s", what_failed(code));
    else
        fc_fail(exchange->message, code, "%s (%s)", what_failed(code), detail);
}

static void describe_attempt(filescom_exchange *exchange)
{
    const char *ip = NULL;

    curl_easy_getinfo(exchange->handle.easy, CURLINFO_RESPONSE_CODE, &exchange->status);
    if (exchange->status < 100 || exchange->status > 999)
        exchange->status = 0;
    curl_easy_getinfo(exchange->handle.easy, CURLINFO_NUM_CONNECTS, &exchange->info.connections);
    curl_easy_getinfo(exchange->handle.easy, CURLINFO_PRIMARY_PORT, &exchange->info.remote_port);
    curl_easy_getinfo(exchange->handle.easy, CURLINFO_TOTAL_TIME, &exchange->info.seconds);
    curl_easy_getinfo(exchange->handle.easy, CURLINFO_PRIMARY_IP, &ip);
    if (ip != NULL && strlen(ip) < sizeof exchange->remote_ip)
        memcpy(exchange->remote_ip, ip, strlen(ip) + 1);
}

/* ---- further attempts ----------------------------------------------------------------------- */

/* A certificate that is not trusted now is not trusted in a moment either. */
static bool is_passing(CURLcode result)
{
    switch (result) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_GOT_NOTHING:
        return true;
    default:
        return false;
    }
}

static int64_t pause_ms(const filescom_exchange *exchange)
{
    int64_t pause = FIRST_PAUSE_MS;
    long i;

    for (i = 1; i < exchange->attempts && pause < LONGEST_PAUSE_MS; i++)
        pause *= 2;
    return pause < LONGEST_PAUSE_MS ? pause : LONGEST_PAUSE_MS;
}

/* Whether another attempt is allowed, of use, and can begin before the deadline. */
static bool may_try_again(const filescom_exchange *exchange, CURLcode result)
{
    bool was_asked = exchange->stream != NULL && exchange->stream->was_asked;

    return exchange->retries_left > 0 && is_passing(result) && was_nothing_sent(exchange) &&
           !was_asked && !proxy_refused(exchange->handle.easy) && !exchange->no_memory &&
           fc_now_ms() + pause_ms(exchange) < exchange->deadline_ms;
}

static void pause_before_next(filescom_exchange *exchange)
{
    leave_libcurl(exchange, false);
    exchange->retries_left--;
    exchange->resume_ms = fc_now_ms() + pause_ms(exchange);
    fc_buffer_clear(&exchange->head);
    fc_buffer_clear(&exchange->content);
    fc_link_remove(&exchange->link);
    fc_link_append(&exchange->engine->pausing, &exchange->link);
    fc_engine_schedule(exchange->engine);
}

/* Nothing was sent, and nothing has failed: this is no further attempt. */
static void begin_afresh(filescom_exchange *exchange)
{
    exchange->stale = false;
    exchange->fresh = true;
    exchange->attempts--;
    exchange->retries_left++;
    pause_before_next(exchange);
    exchange->resume_ms = 0;
}

void fc_exchange_attempt_ended(filescom_exchange *exchange, CURLcode result)
{
    bool again = may_try_again(exchange, result);
    filescom_code code;

    describe_attempt(exchange);
    code = classify(exchange, result);
    if (exchange->stale) {
        begin_afresh(exchange);
        return;
    }
    if (again) {
        pause_before_next(exchange);
        return;
    }
    if (code != FILESCOM_OK)
        describe_failure(exchange, code, result);
    leave_libcurl(exchange, result == CURLE_OK);
    end(exchange, code);
}

void fc_exchange_fail(filescom_exchange *exchange, filescom_code code)
{
    leave_libcurl(exchange, false);
    end(exchange, code);
    fc_engine_schedule(exchange->engine);
}

void fc_exchange_stalled(filescom_exchange *exchange)
{
    long stall_ms = exchange->stream->plan.stall_ms;

    describe_attempt(exchange);
    fc_exchange_fail(exchange, fc_fail(exchange->message, FILESCOM_TIMEOUT,
                                       "nothing was sent or received for %ld.%03ld s",
                                       stall_ms / 1000, stall_ms % 1000));
}

void fc_exchange_resume(filescom_exchange *exchange)
{
    fc_link_remove(&exchange->link);
    if (!start_attempt(exchange))
        end_without_memory(exchange);
}

void fc_exchange_cut(filescom_exchange *exchange, filescom_code result)
{
    if (result == FILESCOM_NO_MEMORY)
        fc_fail_no_memory(exchange->message);
    else
        fc_fail(exchange->message, result, "%s", what_failed(result));
    leave_libcurl(exchange, false);
    end(exchange, result);
}

/* The handle belongs to connections of the parent's: it is left where it is. */
void fc_exchange_abandon(filescom_exchange *exchange)
{
    exchange->handle = (fc_handle){0};
    end(exchange, fc_fail(exchange->message, FILESCOM_INTERRUPTED,
                          "the exchange was begun in the process that forked this one"));
}

/* ---- beginning ------------------------------------------------------------------------------ */

static uint64_t next_id(void)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static uint64_t last;
    uint64_t id;

    pthread_mutex_lock(&lock);
    id = ++last;
    pthread_mutex_unlock(&lock);
    return id;
}

static bool make_url(filescom_exchange *exchange, filescom_bytes path)
{
    fc_buffer *url = &exchange->url;

    if (exchange->parsed_url != NULL)
        return true;
    url->limit = MAX_URL_SIZE;
    return fc_buffer_append(url, exchange->base_url, strlen(exchange->base_url)) == FC_APPENDED &&
           fc_buffer_append(url, path.data, path.size) == FC_APPENDED &&
           fc_buffer_append(url, "", 1) == FC_APPENDED;
}

/* libcurl only reads the list, so its nodes can be ours and the lines lie in a buffer we wipe. */
static bool link_headers(filescom_exchange *exchange)
{
    char *line = exchange->header_lines.data;
    size_t i;

    exchange->headers = malloc(exchange->header_count * sizeof *exchange->headers);
    if (exchange->headers == NULL)
        return false;
    for (i = 0; i < exchange->header_count; i++) {
        exchange->headers[i].data = line;
        exchange->headers[i].next =
            i + 1 < exchange->header_count ? &exchange->headers[i + 1] : NULL;
        line += strlen(line) + 1;
    }
    return true;
}

static void take_over(fc_buffer *to, fc_buffer *from)
{
    *to = *from;
    *from = (fc_buffer){0};
}

static filescom_exchange *new_exchange(filescom_client *client, const fc_exchange_plan *plan)
{
    size_t url_size = strlen(plan->base_url) + 1;
    /* Not by calloc, which in glibc passes its cache of freed blocks by. */
    filescom_exchange *exchange = malloc(sizeof *exchange + url_size);

    if (exchange == NULL)
        return NULL;
    *exchange = (filescom_exchange){0};
    exchange->id = next_id();
    exchange->result = FILESCOM_PENDING;
    exchange->retries_left = plan->retries;
    exchange->deadline_ms = plan->timeout_ms ? fc_now_ms() + plan->timeout_ms : FC_NEVER;
    exchange->content.limit = plan->max_response_size;
    exchange->head.limit = MAX_HEAD_SIZE;
    exchange->has_body = plan->body != NULL;
    exchange->header_count = plan->header_count;
    memcpy(exchange->method, plan->method, strlen(plan->method) + 1);
    memcpy(exchange->base_url, plan->base_url, url_size);
    exchange->parsed_url = plan->parsed_url;
    exchange->client = client;
    exchange->engine = fc_client_engine(client);
    exchange->named = fc_client_has_proxy(client) || !fc_base_url_is_numeric(plan->base_url);
    exchange->engine->named_in_flight += exchange->named;
    fc_client_retain(client);
    return exchange;
}

filescom_code fc_exchange_begin(filescom_client *client, const fc_exchange_plan *plan,
                                filescom_exchange **exchange, char *message)
{
    filescom_exchange *begun;

    *exchange = NULL;
    if (!fc_engine_enter(fc_client_engine(client)))
        return fc_fail_no_resource(message);
    if (!fc_client_enter_exchange(client))
        return fc_fail(message, FILESCOM_BUSY, "max_in_flight exchanges are in flight already");
    begun = new_exchange(client, plan);
    if (begun == NULL) {
        fc_client_leave_exchange(client);
        return fc_fail_no_memory(message);
    }
    fc_engine_expect(begun->engine, begun->deadline_ms);
    take_over(&begun->header_lines, plan->header_lines);
    if (plan->body != NULL)
        take_over(&begun->body, plan->body);
    if (plan->stream != NULL) {
        begun->stream = fc_stream_new(begun, plan->stream);
        begun->has_own_options = true;
    }
    if ((plan->stream != NULL && begun->stream == NULL) || !make_url(begun, plan->path) ||
        !link_headers(begun)) {
        bool too_long = begun->url.size + plan->path.size >= MAX_URL_SIZE;

        filescom_exchange_release(begun);
        return too_long ? fc_fail(message, FILESCOM_BAD_ARGUMENT, "the path is too long")
                        : fc_fail_no_memory(message);
    }
    /* Its first attempt is due at once; the engine starts them all. */
    fc_link_append(&begun->engine->pausing, &begun->link);
    fc_engine_kick(begun->engine);
    if (begun->result == FILESCOM_NO_MEMORY) {
        filescom_exchange_release(begun);
        return fc_fail_no_memory(message);
    }
    *exchange = begun;
    return FILESCOM_OK;
}

void filescom_exchange_release(filescom_exchange *exchange)
{
    if (exchange == NULL)
        return;
    if (exchange->result == FILESCOM_PENDING && fc_engine_enter(exchange->engine) &&
        exchange->result == FILESCOM_PENDING)
        fc_exchange_fail(exchange, FILESCOM_INTERRUPTED);
    fc_link_remove(&exchange->news);
    fc_stream_free(exchange->stream);
    fc_buffer_free(&exchange->head);
    fc_buffer_free(&exchange->content);
    wipe_request(exchange);
    filescom_client_release(exchange->client);
    free(exchange);
}

static bool needs_caller(const filescom_exchange *exchange)
{
    return exchange->stream != NULL && fc_stream_attention(exchange->stream) != FILESCOM_NOTHING;
}

static filescom_code wait_until(filescom_exchange *exchange, int64_t until)
{
    while (exchange->result == FILESCOM_PENDING && !needs_caller(exchange)) {
        int64_t left = until == FC_NEVER ? -1 : until - fc_now_ms();

        if (fc_engine_advance(exchange->engine, until == FC_NEVER || left > 0 ? left : 0) < 0)
            return FILESCOM_SIGNALLED;
        if (until != FC_NEVER && left <= 0)
            break;
    }
    if (needs_caller(exchange))
        return FILESCOM_ATTENTION;
    return exchange->result == FILESCOM_PENDING ? FILESCOM_PENDING : FILESCOM_OK;
}

filescom_code filescom_exchange_wait(filescom_exchange *exchange, long timeout_ms)
{
    int64_t until = timeout_ms < 0 ? FC_NEVER : fc_now_ms() + timeout_ms;
    filescom_code code;

    if (!fc_engine_enter(exchange->engine)) /* it has ended in the fork */
        return exchange->result == FILESCOM_PENDING ? FILESCOM_PENDING : FILESCOM_OK;
    code = wait_until(exchange, until);
    if (code == FILESCOM_OK)
        fc_link_remove(&exchange->news); /* taken note of */
    fc_engine_tell_watchers(exchange->engine);
    return code;
}

/* ---- the answer ----------------------------------------------------------------------------- */

static filescom_bytes bytes_of(const fc_buffer *buffer)
{
    return (filescom_bytes){buffer->data, buffer->size};
}

filescom_code filescom_exchange_result(const filescom_exchange *exchange)
{
    return exchange->result;
}

uint64_t filescom_exchange_id(const filescom_exchange *exchange)
{
    return exchange->id;
}

const char *filescom_exchange_message(const filescom_exchange *exchange)
{
    return exchange->message;
}

const char *filescom_exchange_base_url(const filescom_exchange *exchange)
{
    return exchange->base_url;
}

long filescom_exchange_status(const filescom_exchange *exchange)
{
    return exchange->status;
}

filescom_bytes filescom_exchange_body(const filescom_exchange *exchange)
{
    return bytes_of(&exchange->content);
}

filescom_bytes filescom_exchange_header(const filescom_exchange *exchange, const char *name)
{
    return fc_headers_find(bytes_of(&exchange->head), name);
}

bool filescom_exchange_next_header(const filescom_exchange *exchange, size_t *cursor,
                                   filescom_header *header)
{
    return fc_headers_next(bytes_of(&exchange->head), cursor, header);
}

double filescom_exchange_retry_after(const filescom_exchange *exchange)
{
    filescom_bytes value = filescom_exchange_header(exchange, "Retry-After");
    int64_t service_clock;

    if (value.data == NULL)
        return -1;
    if (!fc_http_date(filescom_exchange_header(exchange, "Date"), &service_clock))
        service_clock = (int64_t)time(NULL);
    return fc_retry_after(value, service_clock);
}

filescom_exchange_info filescom_exchange_describe(const filescom_exchange *exchange)
{
    filescom_exchange_info info = exchange->info;

    info.attempts = exchange->attempts;
    info.remote_ip = exchange->remote_ip;
    return info;
}
