/*
 * filescom.h - the C core: HTTP exchanges with Files.com on libcurl, without Lua.
 *
 * An ENGINE owns everything in flight behind one pollable descriptor. A CLIENT holds options (where
 * the service lives, limits, trust) and begins EXCHANGES on its engine: one request and its answer.
 * An exchange can be waited for in place, or the engine's descriptor can be watched and the engine
 * stepped whenever it is readable.
 *
 * Ownership: everything is made by a *_new or begin function and given back by the *_release of its
 * kind, once; NULL may always be released. A client keeps its engine alive, an exchange its client.
 * What is passed in is copied before the call returns; what is handed out lives as long as its
 * exchange.
 *
 * Threads: an engine, its clients and its exchanges belong to one thread at a time. Different
 * engines are independent. Processes: an engine used after fork() in the child starts afresh there
 * and leaves the parent's connections alone; exchanges that were in flight end in the child as
 * FILESCOM_INTERRUPTED.
 *
 * Depends on libcurl (7.66 or later) and POSIX; on Linux it uses epoll and timerfd.
 */
#ifndef FILESCOM_H
#define FILESCOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FILESCOM_VERSION "0.1.0"

/* Room for any message that a function of this header writes, with its NUL. */
#define FILESCOM_MESSAGE_SIZE 320

#if defined(__GNUC__)
#pragma GCC visibility push(hidden)
#define FILESCOM_MUST_USE __attribute__((warn_unused_result))
#else
#define FILESCOM_MUST_USE
#endif

typedef struct filescom_engine filescom_engine;
typedef struct filescom_client filescom_client;
typedef struct filescom_exchange filescom_exchange;

/* What became of a call or an exchange. */
typedef enum filescom_code {
    FILESCOM_OK = 0,      /* done; for an exchange: an answer came, whatever its status */
    FILESCOM_PENDING,     /* not done yet */
    FILESCOM_SIGNALLED,   /* a signal ended the wait; the exchange goes on */
    FILESCOM_ATTENTION,   /* the caller's part in a streamed body is due; the exchange goes on */
    FILESCOM_RESOLVE,     /* a name could not be looked up */
    FILESCOM_CONNECT,     /* no connection, or the proxy would not make one */
    FILESCOM_TLS,         /* no TLS session: handshake, certificate, trust */
    FILESCOM_TIMEOUT,     /* a time limit passed */
    FILESCOM_INTERRUPTED, /* the connection broke, or the answer is not HTTP, before it was whole */
    FILESCOM_TOO_LARGE,   /* the answer is larger than max_response_size */
    FILESCOM_TOO_SHORT,   /* the source of a streamed body ended before its size */
    FILESCOM_TOO_LONG,    /* the source of a streamed body gave more than its size */
    FILESCOM_BUSY,        /* max_in_flight exchanges of the client are in flight already */
    FILESCOM_NO_MEMORY,   /* memory or a system resource ran out */
    FILESCOM_BAD_ARGUMENT, /* the caller's mistake; the message names it */
} filescom_code;

/* The error type of the public contract ("network/resolve"), or NULL where a code has none. */
const char *filescom_code_type(filescom_code code);

/* Bytes with a length; any byte may occur. data == NULL means absent. */
typedef struct filescom_bytes {
    const char *data;
    size_t size;
} filescom_bytes;

/* ---- engine ------------------------------------------------------------------------------- */

/*
 * Makes an engine with one reference, or returns NULL with errno saying why: ENOMEM, EMFILE or
 * ENFILE, or ENOTSUP where libcurl cannot be started at all.
 */
filescom_engine *filescom_engine_new(void) FILESCOM_MUST_USE;

/* Gives back the caller's reference. The engine goes with its last client. */
void filescom_engine_release(filescom_engine *engine);

/*
 * The descriptor that is readable when filescom_engine_step has something to do, or when exchanges
 * ended while another was begun or waited for. It stays the engine's. -1 where there is no epoll:
 * such an engine can only be waited on. After a fork the child has another.
 */
int filescom_engine_descriptor(filescom_engine *engine);

/* Does what can be done now, without blocking. Whether there was anything to do. */
bool filescom_engine_step(filescom_engine *engine);

/*
 * The next exchange of which there is news since it was last asked, or NULL: it ended and nobody
 * waited for it, or its caller's part in a streamed body is due (filescom_exchange_attention).
 */
filescom_exchange *filescom_engine_next_news(filescom_engine *engine);

/* How many exchanges are in flight. */
size_t filescom_engine_in_flight(const filescom_engine *engine);

/* ---- client ------------------------------------------------------------------------------- */

/*
 * How a client reaches the service. Strings are NUL-terminated; NULL leaves a setting unset.
 * filescom_options_init gives every field its default.
 */
typedef struct filescom_options {
    const char *base_url;     /* default https://app.files.com; see filescom_base_url */
    long timeout_ms;          /* one whole exchange with its retries; default 60000 */
    long connect_timeout_ms;  /* look-up, connection and handshake; default 15000 */
    long retries;             /* further attempts before a request was sent; default 2 */
    const char *ca_file;      /* PEM file of trusted authorities; default libcurl's */
    const char *ca_path;      /* hashed directory of them; default libcurl's */
    const char *proxy;        /* proxy URL; default from the environment, as curl does */
    const char *user_agent;   /* put before the library's own */
    const char *language;     /* Accept-Language */
    const char *workspace_id; /* X-Files-Workspace-Id */
    size_t max_response_size; /* bytes of an answer's body; default 1048576 */
    size_t max_in_flight;     /* exchanges at once; default 1000 */
} filescom_options;

void filescom_options_init(filescom_options *options);

/*
 * Makes a client with one reference in *client. FILESCOM_BAD_ARGUMENT: an option is wrong and
 * message (FILESCOM_MESSAGE_SIZE bytes) names it; FILESCOM_NO_MEMORY.
 */
filescom_code filescom_client_new(filescom_engine *engine, const filescom_options *options,
                                  filescom_client **client, char *message) FILESCOM_MUST_USE;

void filescom_client_release(filescom_client *client);

/* The client's base URL in its normal form: scheme, host, port and path, no slash at the end. */
const char *filescom_client_base_url(const filescom_client *client);

/* ---- URLs and ids ------------------------------------------------------------------------- */

/*
 * Writes the normal form of a base URL into normal (size bytes). https only, but http for a
 * loopback address; no user, password, query or fragment. A URL without a path gets /api/rest/v1.
 */
filescom_code filescom_base_url(const char *url, char *normal, size_t size,
                                char *message) FILESCOM_MUST_USE;

/*
 * Where a login goes that was refused with lockout-region-mismatch: base (in normal form) with its
 * host replaced by data.host. FILESCOM_BAD_ARGUMENT where that host is not files.com or under it
 * (for a loopback base: not a loopback address). The rule is the public contract's.
 */
filescom_code filescom_region_base_url(const char *base, const char *host, char *normal,
                                       size_t size, char *message) FILESCOM_MUST_USE;

/*
 * Writes the normal form of another host's origin, "https://HOST[:PORT]", into normal. https only,
 * but http for a loopback address; nothing may follow the port.
 */
filescom_code filescom_origin(const char *text, char *normal, size_t size,
                              char *message) FILESCOM_MUST_USE;

/* Whether a header is this library's to set, such as Host: a request that names one is refused. */
bool filescom_is_reserved_header(filescom_bytes name);

/* Whether bytes can be a session id: at least one, and visible ASCII only. */
bool filescom_is_session_id(filescom_bytes id);

/* ---- exchanges ---------------------------------------------------------------------------- */

/* The fields of POST /sessions; absent ones are not sent. */
typedef struct filescom_credentials {
    filescom_bytes username;
    filescom_bytes password;
    filescom_bytes otp;
    filescom_bytes partial_session_id;
} filescom_credentials;

typedef struct filescom_header {
    filescom_bytes name;
    filescom_bytes value;
} filescom_header;

/* Any call of the API. */
typedef struct filescom_request {
    const char *base_url;           /* NULL: the client's */
    const char *method;             /* GET, POST, ... : upper-case letters */
    filescom_bytes path;            /* begins with '/'; may carry a query; legal URL bytes only */
    filescom_bytes session_id;      /* absent: none is sent */
    const filescom_header *headers; /* further headers */
    size_t header_count;
    filescom_bytes body; /* absent: none, and of no bytes where the method expects one */
    long timeout_ms;     /* 0: the client's; no limit at all where a body is streamed */

    /*
     * Another host's origin (see filescom_origin) in place of base_url: path begins at its root,
     * and neither a session id nor any header of the API's goes there. NULL: the service.
     */
    const char *origin;

    /*
     * Streamed bodies; see filescom_exchange_attention. The sink is given the body of an answer
     * whose status is 2xx, which max_response_size does not bound.
     */
    bool has_sink;
    bool has_source;      /* body is absent then */
    uint64_t source_size; /* bytes that the source will give */
    long stall_ms; /* for how long nothing may be sent or received; 0: the client's timeout_ms */
} filescom_request;

/*
 * Begin an exchange and return without waiting: *exchange holds one reference.
 * FILESCOM_BAD_ARGUMENT (message names the mistake), FILESCOM_BUSY or FILESCOM_NO_MEMORY: nothing
 * was begun.
 * base_url NULL means the client's own.
 */
filescom_code filescom_login(filescom_client *client, const char *base_url,
                             const filescom_credentials *credentials, filescom_exchange **exchange,
                             char *message) FILESCOM_MUST_USE;
filescom_code filescom_logout(filescom_client *client, const char *base_url,
                              filescom_bytes session_id, filescom_exchange **exchange,
                              char *message) FILESCOM_MUST_USE;
filescom_code filescom_call(filescom_client *client, const filescom_request *request,
                            filescom_exchange **exchange, char *message) FILESCOM_MUST_USE;

/* Gives the exchange back. One in flight is cancelled and its connection closed. */
void filescom_exchange_release(filescom_exchange *exchange);

/*
 * Blocks until the exchange is done (FILESCOM_OK), its caller's part in a streamed body is due
 * (FILESCOM_ATTENTION), timeout_ms passed (FILESCOM_PENDING; negative: no bound but the exchange's
 * own) or a signal came (FILESCOM_SIGNALLED). Other exchanges of the engine go on meanwhile. What
 * was received before the exchange ended is to be taken first.
 */
filescom_code filescom_exchange_wait(filescom_exchange *exchange, long timeout_ms);

/*
 * Streamed bodies: pieces are handed over outside of anything that waits or works, as the exchange
 * asks for them. Memory stays bounded: a transfer whose caller does not do its part is paused, and
 * neither that time nor the time until it does counts as stalled.
 */
typedef enum filescom_attention {
    FILESCOM_NOTHING = 0, /* it goes on by itself, or has ended */
    FILESCOM_TAKE,        /* filescom_exchange_received has a piece for the sink */
    FILESCOM_GIVE,        /* the source is to give filescom_exchange_wanted bytes, or fewer */
} filescom_attention;

/* What is due now. Takes note of it: the engine tells of it as news only once more is. */
filescom_attention filescom_exchange_attention(filescom_exchange *exchange);

/* The piece that came, absent where there is none; good until filescom_exchange_taken. */
filescom_bytes filescom_exchange_received(filescom_exchange *exchange);

/* The piece was taken: the transfer goes on. */
void filescom_exchange_taken(filescom_exchange *exchange);

/* How many bytes the source should give at once, at most; 0 where none are wanted. */
size_t filescom_exchange_wanted(const filescom_exchange *exchange);

/*
 * Gives bytes of the source, which are copied: more than were wanted, where the source has them at
 * hand, and none where it has none yet. Absent ones tell that it has ended. An end too early, or a
 * byte too many, ends the exchange (FILESCOM_TOO_SHORT, FILESCOM_TOO_LONG). FILESCOM_OK, or
 * FILESCOM_NO_MEMORY: nothing was given. Harmless where nothing is wanted.
 */
filescom_code filescom_exchange_give(filescom_exchange *exchange,
                                     filescom_bytes bytes) FILESCOM_MUST_USE;

/* FILESCOM_PENDING while in flight, then what became of it. */
filescom_code filescom_exchange_result(const filescom_exchange *exchange);

/* A number that no other exchange of this process has. */
uint64_t filescom_exchange_id(const filescom_exchange *exchange);

/* Why it failed, readable, without secrets; "" where it did not. */
const char *filescom_exchange_message(const filescom_exchange *exchange);

/* The base URL the exchange went to. */
const char *filescom_exchange_base_url(const filescom_exchange *exchange);

/* The answer's status, 0 where none came. */
long filescom_exchange_status(const filescom_exchange *exchange);

/* The answer's body. */
filescom_bytes filescom_exchange_body(const filescom_exchange *exchange);

/* The value of an answer's header (first of that name, in any case), absent where it has none. */
filescom_bytes filescom_exchange_header(const filescom_exchange *exchange, const char *name);

/*
 * Walks the answer's headers: *cursor starts at 0. False after the last one.
 */
bool filescom_exchange_next_header(const filescom_exchange *exchange, size_t *cursor,
                                   filescom_header *header);

/* Seconds from Retry-After, which is a number or a date; negative where there is none. */
double filescom_exchange_retry_after(const filescom_exchange *exchange);

/* How an exchange went on the wire, for traces. */
typedef struct filescom_exchange_info {
    long attempts;         /* made, the first included */
    long connections;      /* opened by the last attempt; 0: an open one was used again */
    const char *remote_ip; /* "" where there was no connection */
    long remote_port;
    double seconds; /* of the last attempt */
} filescom_exchange_info;

filescom_exchange_info filescom_exchange_describe(const filescom_exchange *exchange);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#endif
