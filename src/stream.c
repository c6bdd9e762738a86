/* stream.c - see stream.h. */
#include "stream.h"
#include "exchange.h"
#include "message.h"
#include "setopt.h"

#include <inttypes.h>
#include <stdlib.h>

/* What may wait to be taken, and what a source is asked for at once. */
#define RECEIVED_SIZE (128 * 1024)
#define SUPPLY_SIZE (64 * 1024)

/* libcurl's own buffers: fewer system calls than those of small answers need. */
#define LIBCURL_BUFFER_SIZE (64L * 1024)

/* ---- life ----------------------------------------------------------------------------------- */

fc_stream *fc_stream_new(filescom_exchange *exchange, const fc_stream_plan *plan)
{
    fc_stream *stream = calloc(1, sizeof *stream);

    if (stream == NULL)
        return NULL;
    stream->exchange = exchange;
    stream->plan = *plan;
    stream->received.limit = RECEIVED_SIZE;
    stream->supply.limit = SIZE_MAX;
    stream->moved_ms = fc_now_ms();
    fc_link_append(&exchange->engine->streams, &stream->link);
    return stream;
}

void fc_stream_end(fc_stream *stream)
{
    fc_link_remove(&stream->link);
    stream->wants = false;
    fc_buffer_free(&stream->supply);
}

void fc_stream_free(fc_stream *stream)
{
    if (stream == NULL)
        return;
    fc_stream_end(stream);
    fc_buffer_free(&stream->received);
    free(stream);
}

/* ---- libcurl's callbacks: nothing here may call out ----------------------------------------- */

static size_t pause_transfer(fc_stream *stream, size_t how)
{
    stream->is_paused = true;
    fc_exchange_tell(stream->exchange);
    return how;
}

static bool is_for_sink(const filescom_exchange *exchange)
{
    long status = 0;

    curl_easy_getinfo(exchange->handle.easy, CURLINFO_RESPONSE_CODE, &status);
    return status >= 200 && status <= 299;
}

/* CURLOPT_HEADERFUNCTION. */
static size_t receive_head(char *line, size_t unit, size_t count, void *userdata)
{
    filescom_exchange *exchange = userdata;

    exchange->stream->moved_ms = fc_now_ms();
    return fc_exchange_receive_head(line, unit, count, exchange);
}

/* CURLOPT_WRITEFUNCTION. A refusal's body is no part of what was asked for: it is read whole. */
static size_t receive(char *data, size_t unit, size_t count, void *userdata)
{
    filescom_exchange *exchange = userdata;
    fc_stream *stream = exchange->stream;
    fc_append result;

    stream->moved_ms = fc_now_ms();
    if (!stream->plan.has_sink || !is_for_sink(exchange))
        return fc_exchange_receive(data, unit, count, exchange);
    if (stream->is_shown)
        return pause_transfer(stream, CURL_WRITEFUNC_PAUSE);
    result = fc_buffer_append(&stream->received, data, unit * count);
    if (result == FC_APPEND_FULL)
        return pause_transfer(stream, CURL_WRITEFUNC_PAUSE);
    exchange->no_memory |= result == FC_APPEND_NO_MEMORY;
    fc_exchange_tell(exchange);
    return result == FC_APPENDED ? unit * count : 0;
}

static void ask(fc_stream *stream)
{
    stream->wants = stream->was_asked = true;
    fc_exchange_tell(stream->exchange);
}

/* CURLOPT_READFUNCTION. Asks ahead: while libcurl sends what it was given the next may come. */
static size_t supply(char *to, size_t unit, size_t count, void *userdata)
{
    filescom_exchange *exchange = userdata;
    fc_stream *stream = exchange->stream;
    size_t left = stream->supply.size - stream->sent;
    size_t size = unit * count < left ? unit * count : left;

    if (size == 0 && stream->given < stream->plan.size) {
        ask(stream);
        return pause_transfer(stream, CURL_READFUNC_PAUSE);
    }
    if (size > 0)
        memcpy(to, stream->supply.data + stream->sent, size);
    stream->sent += size;
    if (stream->sent == stream->supply.size && stream->given < stream->plan.size)
        ask(stream);
    stream->moved_ms = fc_now_ms();
    return size;
}

/* ---- the transfer --------------------------------------------------------------------------- */

static CURLcode set_source(const fc_stream *stream, CURL *easy)
{
    const char *method = stream->exchange->method;

    SET(CURLOPT_UPLOAD, 1L);
    SET(CURLOPT_CUSTOMREQUEST, strcmp(method, "PUT") ? method : NULL);
    SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)stream->plan.size);
    SET(CURLOPT_READFUNCTION, supply);
    SET(CURLOPT_READDATA, stream->exchange);
    SET(CURLOPT_UPLOAD_BUFFERSIZE, LIBCURL_BUFFER_SIZE);
    return CURLE_OK;
}

CURLcode fc_stream_prepare(fc_stream *stream, CURL *easy)
{
    stream->moved_ms = fc_now_ms();
    SET(CURLOPT_HEADERFUNCTION, receive_head);
    SET(CURLOPT_WRITEFUNCTION, receive);
    if (stream->plan.has_sink) {
        SET(CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)0);
        SET(CURLOPT_BUFFERSIZE, LIBCURL_BUFFER_SIZE);
    }
    return stream->plan.has_source ? set_source(stream, easy) : CURLE_OK;
}

filescom_attention fc_stream_attention(const fc_stream *stream)
{
    if (stream->received.size > 0)
        return FILESCOM_TAKE;
    return stream->wants ? FILESCOM_GIVE : FILESCOM_NOTHING;
}

/* Between two attempts, and while the caller has something to do, nothing can move. */
int64_t fc_stream_due(const fc_stream *stream)
{
    if (stream->exchange->handle.easy == NULL || fc_stream_attention(stream) != FILESCOM_NOTHING)
        return FC_NEVER;
    return stream->moved_ms + stream->plan.stall_ms;
}

/* The caller has done its part. libcurl may call back while it resumes. */
static void resume(fc_stream *stream)
{
    filescom_exchange *exchange = stream->exchange;
    CURLcode code;

    stream->moved_ms = fc_now_ms();
    if (!fc_engine_enter(exchange->engine) || exchange->handle.easy == NULL)
        return;
    if (stream->is_paused) {
        stream->is_paused = false;
        code = curl_easy_pause(exchange->handle.easy, CURLPAUSE_CONT);
        if (code != CURLE_OK)
            fc_exchange_attempt_ended(exchange, code);
    }
    fc_engine_schedule(exchange->engine);
    fc_driver_arm(exchange->engine->driver);
}

/* ---- the caller's side ---------------------------------------------------------------------- */

filescom_attention filescom_exchange_attention(filescom_exchange *exchange)
{
    filescom_attention attention =
        exchange->stream != NULL ? fc_stream_attention(exchange->stream) : FILESCOM_NOTHING;

    if (attention != FILESCOM_NOTHING)
        fc_link_remove(&exchange->news); /* taken note of */
    return attention;
}

filescom_bytes filescom_exchange_received(filescom_exchange *exchange)
{
    fc_stream *stream = exchange->stream;

    if (stream == NULL || stream->received.size == 0)
        return (filescom_bytes){NULL, 0};
    stream->is_shown = true;
    return (filescom_bytes){stream->received.data, stream->received.size};
}

void filescom_exchange_taken(filescom_exchange *exchange)
{
    fc_stream *stream = exchange->stream;

    if (stream == NULL)
        return;
    fc_buffer_clear(&stream->received);
    stream->is_shown = false;
    resume(stream);
}

size_t filescom_exchange_wanted(const filescom_exchange *exchange)
{
    const fc_stream *stream = exchange->stream;
    uint64_t left;

    if (stream == NULL || !stream->wants)
        return 0;
    left = stream->plan.size - stream->given;
    return left < SUPPLY_SIZE ? (size_t)left : SUPPLY_SIZE;
}

static void fail(fc_stream *stream, filescom_code code)
{
    bool is_short = code == FILESCOM_TOO_SHORT;
    filescom_exchange *exchange = stream->exchange;

    if (is_short)
        fc_fail(exchange->message, code, "the source ended after %" PRIu64 " of %" PRIu64 " bytes",
                stream->given, stream->plan.size);
    else
        fc_fail(exchange->message, code, "the source gave more than the %" PRIu64 " bytes it has",
                stream->plan.size);
    fc_exchange_fail(exchange, code);
}

filescom_code filescom_exchange_give(filescom_exchange *exchange, filescom_bytes bytes)
{
    fc_stream *stream = exchange->stream;

    if (stream == NULL || !fc_engine_enter(exchange->engine) || !stream->wants)
        return FILESCOM_OK; /* it has ended meanwhile */
    if (bytes.data == NULL || bytes.size > stream->plan.size - stream->given) {
        fail(stream, bytes.data == NULL ? FILESCOM_TOO_SHORT : FILESCOM_TOO_LONG);
        return FILESCOM_OK;
    }
    if (bytes.size == 0) {
        fc_engine_advance(exchange->engine, 0); /* a time limit may pass meanwhile */
        return FILESCOM_OK;
    }
    fc_buffer_clear(&stream->supply);
    stream->sent = 0;
    if (fc_buffer_append(&stream->supply, bytes.data, bytes.size) != FC_APPENDED)
        return FILESCOM_NO_MEMORY;
    stream->given += bytes.size;
    stream->wants = false;
    resume(stream);
    return FILESCOM_OK;
}
