/*
 * engine.h - what exchanges and clients need of an engine beyond filescom.h.
 *
 * Depends on driver.h.
 */
#ifndef FILESCOM_ENGINE_H
#define FILESCOM_ENGINE_H

#include "driver.h"

#pragma GCC visibility push(hidden)

/* One place in a list that its owner is in or not. */
typedef struct fc_link {
    struct fc_link *previous, *next; /* both NULL: in no list */
} fc_link;

void fc_link_append(fc_link *list, fc_link *link);
void fc_link_remove(fc_link *link); /* harmless where it is in no list */

struct filescom_engine {
    size_t references;
    unsigned generation; /* of the process that its parts belong to; see process.h */
    CURLM *multi;
    CURLSH *share; /* the TLS sessions of all handles */
    fc_driver *driver;
    size_t in_flight;
    size_t named_in_flight; /* those whose host is a name, and may have to be looked up */
    fc_link active;         /* exchanges whose attempt libcurl holds */
    fc_link pausing;        /* exchanges between two attempts */
    fc_link streams;        /* what is streamed by exchanges in flight; see stream.h */
    fc_link news;           /* exchanges that ended, or need their caller, and nobody knows yet */
    int64_t stall_due;      /* when one of the streams may have stalled; FC_NEVER: none */
    bool lost;              /* libcurl ran out of memory, and may have lost sight of transfers */
    int64_t next_overdue;   /* no active exchange is overdue before this time */
};

/*
 * To be called before anything else is done with an engine: after a fork it is made afresh.
 * False, with errno saying why, where memory or descriptors ran out.
 */
bool fc_engine_enter(filescom_engine *engine) FILESCOM_MUST_USE;

void fc_engine_retain(filescom_engine *engine);

/* Sets the alarm to the earliest of the pauses, of what may stall and of what may be overdue. */
void fc_engine_schedule(filescom_engine *engine);

/* Notes that an exchange has to be over by that time. */
void fc_engine_expect(filescom_engine *engine, int64_t deadline_ms);

/* Lets libcurl go on with what is due; what that comes to is for the engine to settle. */
void fc_engine_work(filescom_engine *engine);

/* Starts the attempts that are due, those of new exchanges among them, without waiting. */
void fc_engine_kick(filescom_engine *engine);

/* After work that no step did: tells whoever watches the descriptor of what ended meanwhile. */
void fc_engine_tell_watchers(filescom_engine *engine);

/* Waits, works and settles what came of it; returns as fc_driver_wait. */
int fc_engine_advance(filescom_engine *engine, int64_t timeout_ms);

#pragma GCC visibility pop

#endif
