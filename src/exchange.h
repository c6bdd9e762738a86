/*
 * exchange.h - one request and its answer, through one or more attempts.
 *
 * States: pausing (before an attempt), active (libcurl has it), ended. Depends on engine.h,
 * client.h and stream.h.
 */
#ifndef FILESCOM_EXCHANGE_H
#define FILESCOM_EXCHANGE_H

#include "base_url.h"
#include "buffer.h"
#include "engine.h"
#include "handle.h"
#include "stream.h"

#pragma GCC visibility push(hidden)

#define FC_METHOD_SIZE 16

struct filescom_exchange {
    fc_link link; /* in flight: active or pausing; first, so that a link is its exchange */
    fc_link news; /* in the engine's list of them, or not */
    filescom_engine *engine;
    filescom_client *client;
    uint64_t id;
    bool named;           /* a name may have to be looked up */
    filescom_code result; /* FILESCOM_PENDING until it ended */
    char message[FILESCOM_MESSAGE_SIZE];

    /* The request; wiped when the exchange ends. */
    char method[FC_METHOD_SIZE];
    fc_buffer url;          /* NUL-terminated; unused where the URL is parsed already */
    CURLU *parsed_url;      /* the client's; NULL: url is used */
    fc_buffer header_lines; /* NUL-terminated lines, one after another */
    size_t header_count;
    struct curl_slist *headers; /* nodes that point into header_lines */
    fc_buffer body;
    bool has_body;
    fc_stream *stream; /* NULL where nothing is streamed */

    /* The attempt. */
    fc_handle handle; /* empty while pausing and after the end */
    long attempts;
    long retries_left;
    int64_t deadline_ms;
    int64_t resume_ms;     /* while pausing: when the next attempt is due */
    bool may_have_begun;   /* a request was about to be sent in this attempt */
    long bytes_before;     /* what libcurl had sent when it first was about to */
    bool stale;            /* the kept connection held something that nobody asked for */
    bool fresh;            /* a new connection is wanted, for that reason */
    bool out_of_time;      /* the deadline passed where libcurl itself does not look */
    bool would_send_twice; /* libcurl wanted to send the request again, and was stopped */
    bool has_own_options;  /* the handle was set in ways that no other exchange expects */

    /* The answer. */
    fc_buffer head;
    bool head_is_over;  /* the line that ends it for libcurl came */
    bool head_is_whole; /* and that was a blank line */
    fc_buffer content;
    bool too_large; /* a limit of ours ended the transfer */
    bool no_memory;
    long status;
    filescom_exchange_info info;
    char remote_ip[64];

    char base_url[]; /* in normal form; as long as it has to be */
};

/* What fc_exchange_begin is given; see filescom_request. */
typedef struct fc_exchange_plan {
    const char *base_url; /* in normal form */
    const char *method;   /* shorter than FC_METHOD_SIZE */
    filescom_bytes path;
    CURLU *parsed_url;       /* of base_url and path, the client's own; NULL: not parsed yet */
    fc_buffer *header_lines; /* taken over */
    size_t header_count;
    fc_buffer *body;              /* taken over; NULL: none */
    const fc_stream_plan *stream; /* NULL where nothing is streamed */
    long timeout_ms;              /* 0: no limit, but for what a stream may stall */
    long retries;
    size_t max_response_size;
} fc_exchange_plan;

/*
 * Begins an exchange. What the plan says is taken over belongs to the exchange, or, on failure, to
 * whoever still finds it in the plan.
 */
filescom_code fc_exchange_begin(filescom_client *client, const fc_exchange_plan *plan,
                                filescom_exchange **exchange, char *message) FILESCOM_MUST_USE;

/* Sets the options of a new handle that are the same for every exchange. */
CURLcode fc_exchange_prepare(CURL *easy) FILESCOM_MUST_USE;

/* Puts the exchange among the engine's news, once. */
void fc_exchange_tell(filescom_exchange *exchange);

/* CURLOPT_WRITEFUNCTION for a body that is read whole. */
size_t fc_exchange_receive(char *data, size_t unit, size_t count, void *userdata);

/* CURLOPT_HEADERFUNCTION. */
size_t fc_exchange_receive_head(char *line, size_t unit, size_t count, void *userdata);

/* Ends an exchange in flight, whose message was written, outside of libcurl's callbacks. */
void fc_exchange_fail(filescom_exchange *exchange, filescom_code code);

/* The engine's news: nothing of its stream has moved for too long. */
void fc_exchange_stalled(filescom_exchange *exchange);

/* The engine's news: libcurl ended the attempt. */
void fc_exchange_attempt_ended(filescom_exchange *exchange, CURLcode result);

/* The engine's news: the pause is over. */
void fc_exchange_resume(filescom_exchange *exchange);

/* The engine's news: nothing more will come of the attempt, for want of memory or time. */
void fc_exchange_cut(filescom_exchange *exchange, filescom_code result);

/* The engine's news: the exchange was in flight in the process that forked this one. */
void fc_exchange_abandon(filescom_exchange *exchange);

#pragma GCC visibility pop

#endif
