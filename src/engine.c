/* engine.c - see engine.h: one multi handle, and the lists of what is in flight on it. */
#define _GNU_SOURCE
#include "engine.h"
#include "exchange.h"
#include "memory.h"
#include "process.h"
#include "stream.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

/* Connections kept open for later exchanges, all hosts together. */
#define IDLE_CONNECTIONS 256

/* libcurl ends an exchange at its time limit; this much later the engine does. */
#define OVERDUE_MS 250

/* ---- lists ---------------------------------------------------------------------------------- */

static void list_init(fc_link *list)
{
    list->previous = list->next = list;
}

static bool list_is_empty(const fc_link *list)
{
    return list->next == list;
}

void fc_link_append(fc_link *list, fc_link *link)
{
    link->previous = list->previous;
    link->next = list;
    list->previous->next = link;
    list->previous = link;
}

void fc_link_remove(fc_link *link)
{
    if (link->next == NULL)
        return;
    link->previous->next = link->next;
    link->next->previous = link->previous;
    link->previous = link->next = NULL;
}

static filescom_exchange *exchange_of(fc_link *link)
{
    return (filescom_exchange *)(void *)link; /* link is its first member */
}

static filescom_exchange *exchange_of_news(fc_link *news)
{
    return (filescom_exchange *)(void *)((char *)news - offsetof(filescom_exchange, news));
}

static fc_stream *stream_of(fc_link *link)
{
    return (fc_stream *)(void *)link; /* link is its first member */
}

/* ---- life ----------------------------------------------------------------------------------- */

static bool open_share(filescom_engine *engine)
{
    engine->share = curl_share_init();
    return engine->share != NULL && curl_share_setopt(engine->share, CURLSHOPT_SHARE,
                                                      CURL_LOCK_DATA_SSL_SESSION) == CURLSHE_OK;
}

static bool open_multi(filescom_engine *engine)
{
    engine->multi = curl_multi_init();
    if (engine->multi == NULL ||
        curl_multi_setopt(engine->multi, CURLMOPT_MAXCONNECTS, (long)IDLE_CONNECTIONS) != CURLM_OK)
        return false;
    engine->driver = fc_driver_new(engine->multi);
    return engine->driver != NULL;
}

/* libcurl may call the driver while it closes its connections, so the driver goes last. */
static void close_parts(filescom_engine *engine)
{
    if (engine->multi != NULL)
        curl_multi_cleanup(engine->multi);
    if (engine->share != NULL)
        curl_share_cleanup(engine->share);
    if (engine->driver != NULL)
        fc_driver_free(engine->driver);
    engine->multi = NULL;
    engine->share = NULL;
    engine->driver = NULL;
}

static bool open_parts(filescom_engine *engine)
{
    int why;

    engine->generation = fc_process_generation();
    errno = ENOMEM; /* of libcurl, which does not say; a system call says more */
    if (open_share(engine) && open_multi(engine))
        return true;
    why = errno;
    close_parts(engine);
    errno = why;
    return false;
}

filescom_engine *filescom_engine_new(void)
{
    filescom_engine *engine = fc_start_libcurl() ? calloc(1, sizeof *engine) : NULL;

    if (engine == NULL)
        return NULL;
    engine->references = 1;
    engine->next_overdue = FC_NEVER;
    list_init(&engine->active);
    list_init(&engine->pausing);
    list_init(&engine->streams);
    list_init(&engine->news);
    engine->stall_due = FC_NEVER;
    if (!open_parts(engine)) {
        free(engine);
        return NULL;
    }
    return engine;
}

void fc_engine_retain(filescom_engine *engine)
{
    engine->references++;
}

/* What a child shares with its parent is left alone: libcurl would say goodbye on its sockets. */
static void abandon_parts(filescom_engine *engine)
{
    if (engine->driver != NULL)
        fc_driver_abandon(engine->driver);
    engine->multi = NULL;
    engine->share = NULL;
    engine->driver = NULL;
}

void filescom_engine_release(filescom_engine *engine)
{
    if (engine == NULL || --engine->references > 0)
        return;
    if (engine->generation == fc_process_generation())
        close_parts(engine);
    else
        abandon_parts(engine);
    free(engine);
}

/* ---- forks ---------------------------------------------------------------------------------- */

static void abandon_list(fc_link *list)
{
    while (!list_is_empty(list))
        fc_exchange_abandon(exchange_of(list->next));
}

bool fc_engine_enter(filescom_engine *engine)
{
    if (engine->generation != fc_process_generation()) {
        abandon_parts(engine);
        abandon_list(&engine->active);
        abandon_list(&engine->pausing);
        engine->generation = fc_process_generation();
    }
    return engine->multi != NULL || open_parts(engine);
}

/* ---- work ----------------------------------------------------------------------------------- */

static void collect_attempts(filescom_engine *engine)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(engine->multi, &left)) != NULL) {
        filescom_exchange *exchange = NULL;
        CURLcode result = message->data.result; /* gone once the handle leaves the multi handle */

        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &exchange);
        fc_exchange_attempt_ended(exchange, result);
    }
}

static int64_t next_stall(const filescom_engine *engine)
{
    int64_t due = FC_NEVER;
    fc_link *link;

    for (link = engine->streams.next; link != &engine->streams; link = link->next)
        if (fc_stream_due(stream_of(link)) < due)
            due = fc_stream_due(stream_of(link));
    return due;
}

void fc_engine_schedule(filescom_engine *engine)
{
    int64_t due = engine->next_overdue;
    fc_link *link;

    engine->stall_due = next_stall(engine);
    if (engine->stall_due < due)
        due = engine->stall_due;
    for (link = engine->pausing.next; link != &engine->pausing; link = link->next)
        if (exchange_of(link)->resume_ms < due)
            due = exchange_of(link)->resume_ms;
    fc_driver_set_alarm(engine->driver, due);
}

/* Returns whether there were any. */
static bool resume_due(filescom_engine *engine)
{
    int64_t now;
    bool resumed = false;
    fc_link *link = engine->pausing.next;

    if (list_is_empty(&engine->pausing))
        return false;
    now = fc_now_ms();
    while (link != &engine->pausing) {
        fc_link *next = link->next;

        if (exchange_of(link)->resume_ms <= now) {
            fc_exchange_resume(exchange_of(link));
            resumed = true;
        }
        link = next;
    }
    fc_engine_schedule(engine);
    return resumed;
}

static void end_stalled(filescom_engine *engine)
{
    int64_t now;
    fc_link *link = engine->streams.next;

    if (engine->stall_due == FC_NEVER || engine->stall_due > (now = fc_now_ms()))
        return;
    while (link != &engine->streams) {
        fc_link *next = link->next;

        if (fc_stream_due(stream_of(link)) <= now)
            fc_exchange_stalled(stream_of(link)->exchange);
        link = next;
    }
    fc_engine_schedule(engine);
}

void fc_engine_expect(filescom_engine *engine, int64_t deadline_ms)
{
    if (deadline_ms != FC_NEVER && deadline_ms + OVERDUE_MS < engine->next_overdue)
        engine->next_overdue = deadline_ms + OVERDUE_MS;
}

void fc_engine_work(filescom_engine *engine)
{
    engine->lost |= fc_driver_work(engine->driver) != CURLM_OK;
}

/* Which transfer libcurl ran out of memory for it does not tell. */
static void end_lost(filescom_engine *engine)
{
    if (!engine->lost)
        return;
    engine->lost = false;
    while (!list_is_empty(&engine->active))
        fc_exchange_cut(exchange_of(engine->active.next), FILESCOM_NO_MEMORY);
}

/*
 * A transfer that libcurl forgot would never end. The time is of the earliest exchange since it was
 * last looked at, which mostly has ended long ago.
 */
static void end_overdue(filescom_engine *engine)
{
    int64_t now;
    fc_link *link = engine->active.next;

    if (engine->next_overdue == FC_NEVER || engine->next_overdue > (now = fc_now_ms()))
        return;
    engine->next_overdue = FC_NEVER;
    while (link != &engine->active) {
        filescom_exchange *exchange = exchange_of(link);

        link = link->next;
        if (exchange->deadline_ms != FC_NEVER && exchange->deadline_ms + OVERDUE_MS <= now)
            fc_exchange_cut(exchange, FILESCOM_TIMEOUT);
        else
            fc_engine_expect(engine, exchange->deadline_ms);
    }
    for (link = engine->pausing.next; link != &engine->pausing; link = link->next)
        fc_engine_expect(engine, exchange_of(link)->deadline_ms);
    fc_engine_schedule(engine);
}

/*
 * A thread that libcurl starts to look a name up inherits the signal mask; the process's signals
 * are not for it: a handler that it runs does not wake whoever waits.
 */
static bool block_signals(const filescom_engine *engine, sigset_t *before)
{
    sigset_t every;

    if (engine->named_in_flight == 0)
        return false;
    sigfillset(&every);
    return pthread_sigmask(SIG_SETMASK, &every, before) == 0;
}

static void restore_signals(bool blocked, const sigset_t *before)
{
    if (blocked)
        pthread_sigmask(SIG_SETMASK, before, NULL);
}

/* What follows libcurl's work: its results, attempts that are due, and the time of the next. */
static void settle(filescom_engine *engine)
{
    collect_attempts(engine);
    if (resume_due(engine))
        collect_attempts(engine); /* an attempt may fail as soon as it begins */
    end_stalled(engine);
    end_lost(engine);
    end_overdue(engine);
    fc_driver_arm(engine->driver);
}

void fc_engine_tell_watchers(filescom_engine *engine)
{
    if (!list_is_empty(&engine->news))
        fc_driver_alert(engine->driver);
}

void fc_engine_kick(filescom_engine *engine)
{
    sigset_t before;
    bool blocked = block_signals(engine, &before);

    settle(engine);
    restore_signals(blocked, &before);
    fc_engine_tell_watchers(engine); /* what libcurl does for one exchange may end others */
}

int fc_engine_advance(filescom_engine *engine, int64_t timeout_ms)
{
    int events = fc_driver_wait(engine->driver, timeout_ms);
    sigset_t before;
    bool blocked = block_signals(engine, &before);

    fc_engine_work(engine);
    settle(engine);
    restore_signals(blocked, &before);
    return events;
}

bool filescom_engine_step(filescom_engine *engine)
{
    return fc_engine_enter(engine) && fc_engine_advance(engine, 0) > 0;
}

int filescom_engine_descriptor(filescom_engine *engine)
{
    return fc_engine_enter(engine) ? fc_driver_descriptor(engine->driver) : -1;
}

filescom_exchange *filescom_engine_next_news(filescom_engine *engine)
{
    fc_link *news = engine->news.next;

    if (list_is_empty(&engine->news))
        return NULL;
    fc_link_remove(news);
    return exchange_of_news(news);
}

size_t filescom_engine_in_flight(const filescom_engine *engine)
{
    return engine->in_flight;
}
