/*
 * relay.h - a thread that turns "this descriptor is readable" into bytes on a unix socket.
 *
 * For a host whose event loop watches sockets of its own only, as nginx does for Lua: it connects
 * to the relay, and a byte that it reads means that the descriptor has something to do, or that
 * FC_RELAY_TICK_MS have passed: whoever listens need not set a time limit to look up now and then.
 * The thread does nothing else: it never touches libcurl, Lua or an exchange, and runs with every
 * signal blocked. The socket has no name in the file system once it is made.
 *
 * A relay belongs to the process that started it. Depends on Linux (epoll, eventfd, O_PATH).
 */
#ifndef FILESCOM_RELAY_H
#define FILESCOM_RELAY_H

#include "filescom.h"

#pragma GCC visibility push(hidden)

/* Milliseconds from one tick to the next, as long as somebody is connected. */
#define FC_RELAY_TICK_MS 100

typedef struct fc_relay fc_relay;

/*
 * Starts a relay for a descriptor, which stays the caller's and must outlive it. NULL: no thread,
 * socket or memory was to be had, or this system has no epoll; message says which.
 */
fc_relay *fc_relay_start(int descriptor, char *message) FILESCOM_MUST_USE;

/* Stops and joins the thread; in the child of a fork, which has no such thread, only lets go. */
void fc_relay_stop(fc_relay *relay);

/* Whether the relay is of this process and for this descriptor. */
bool fc_relay_serves(const fc_relay *relay, int descriptor);

/* The path to connect to, from within this process. */
const char *fc_relay_path(const fc_relay *relay);

/* After what was readable has been dealt with: the relay tells again when it is readable. */
void fc_relay_rearm(fc_relay *relay);

#pragma GCC visibility pop

#endif
