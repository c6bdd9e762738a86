/*
 * stream.h - bodies that pass through an exchange piece by piece, however large they are.
 *
 * libcurl's callbacks only fill and drain two bounded buffers here, and pause the transfer where
 * one is full or empty; whoever waits for the exchange takes and gives pieces outside of any
 * callback, and the transfer goes on. Depends on engine.h and buffer.h; what it does to an exchange
 * is in exchange.h.
 */
#ifndef FILESCOM_STREAM_H
#define FILESCOM_STREAM_H

#include "buffer.h"
#include "engine.h"

#pragma GCC visibility push(hidden)

/* What of an exchange is streamed. */
typedef struct fc_stream_plan {
    bool has_sink;   /* the answer's body, where its status is 2xx */
    bool has_source; /* the request's body */
    uint64_t size;   /* of the request's body, in bytes */
    long stall_ms;   /* how long nothing may move */
} fc_stream_plan;

typedef struct fc_stream {
    fc_link link; /* in the engine's list of streams; first, so that a link is its stream */
    filescom_exchange *exchange;
    fc_stream_plan plan;
    fc_buffer received; /* came, and waits to be taken */
    bool is_shown;      /* the caller has it in hand: nothing is added */
    fc_buffer supply;   /* was given, and is sent from `sent` on */
    size_t sent;
    uint64_t given;   /* bytes of the source in all */
    bool wants;       /* the source is to give more */
    bool was_asked;   /* it was at least once */
    bool is_paused;   /* libcurl was told to wait, in either direction */
    int64_t moved_ms; /* when a byte last moved, or the caller last did its part */
} fc_stream;

/* NULL where memory ran out. The stream belongs to the exchange. */
fc_stream *fc_stream_new(filescom_exchange *exchange, const fc_stream_plan *plan) FILESCOM_MUST_USE;

/* Takes it out of the engine's list and drops what is to be sent; what was received stays. */
void fc_stream_end(fc_stream *stream);

void fc_stream_free(fc_stream *stream);

/* Sets what a streamed exchange has of its own; the handle is good for no other exchange then. */
CURLcode fc_stream_prepare(fc_stream *stream, CURL *easy) FILESCOM_MUST_USE;

/* What the stream waits for from its caller. */
filescom_attention fc_stream_attention(const fc_stream *stream);

/* When it will have stalled, if nothing moves until then (fc_now_ms); FC_NEVER: it cannot now. */
int64_t fc_stream_due(const fc_stream *stream);

#pragma GCC visibility pop

#endif
