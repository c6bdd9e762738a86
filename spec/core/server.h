/*
 * server.h - a small HTTP server in a process of its own, for tests of exchanges.
 *
 * What it does is told by the end of a request's path: /sessions as the service does, /hang (no
 * answer), /slow (after 100 ms), /close (no answer, then the end), /large (2,000 bytes), /huge (see
 * HUGE_SIZE), /refused (403), anything else {}. Depends on POSIX threads.
 */
#ifndef SERVER_H
#define SERVER_H

#include <stdbool.h>

/* Counts since the start; `open` is of now. */
typedef struct server_counts {
    int accepted, open, requests;
} server_counts;

/* Bytes of /huge, a whole number of 8 KiB, and which one is where. */
#define HUGE_SIZE (4 * 1024 * 1024)

static inline char huge_byte(int at)
{
    return (char)(at % 251);
}

/* To be called while the process has one thread. */
void server_start(void);
void server_stop(void);

/* http://127.0.0.1:PORT */
const char *server_url(void);

server_counts server_count(void);

/* Waits, at most five seconds, until so many connections are open. Returns how many are. */
int server_wait_open(int open);

/* A port of this machine on which nobody listens. */
const char *server_closed_url(void);

#endif
