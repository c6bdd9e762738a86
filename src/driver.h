/*
 * driver.h - what moves a libcurl multi handle on: waiting for sockets and time.
 *
 * Two implementations, chosen at compile time: driver_epoll.c (Linux: one pollable descriptor) and
 * driver_poll.c (anywhere, or with -DFILESCOM_NO_EPOLL: waiting only). Depends on libcurl alone.
 */
#ifndef FILESCOM_DRIVER_H
#define FILESCOM_DRIVER_H

#include "filescom.h"

#include <curl/curl.h>

#if defined(__linux__) && !defined(FILESCOM_NO_EPOLL)
#define FC_HAVE_EPOLL 1
#else
#define FC_HAVE_EPOLL 0
#endif

#pragma GCC visibility push(hidden)

typedef struct fc_driver fc_driver;

/* No time is due. */
#define FC_NEVER INT64_MAX

/* Milliseconds of a clock that only goes forward. */
int64_t fc_now_ms(void);

/* Attaches to multi, which must outlive the driver's use; NULL where memory or descriptors ran out.
 */
fc_driver *fc_driver_new(CURLM *multi) FILESCOM_MUST_USE;

/* Frees the driver; no transfer may be left in multi, and multi must be gone. */
void fc_driver_free(fc_driver *driver);

/*
 * For the child of a fork: closes the sockets that it shares with its parent without a word to the
 * other side, and frees the driver. multi may not be used again.
 */
void fc_driver_abandon(fc_driver *driver);

/* Sets the options through which the driver learns of an easy handle's sockets. */
CURLcode fc_driver_prepare(fc_driver *driver, CURL *easy) FILESCOM_MUST_USE;

/* Opens a socket for libcurl, as CURLOPT_OPENSOCKETFUNCTION should. */
curl_socket_t fc_driver_open_socket(fc_driver *driver, const struct curl_sockaddr *address);

/* Whether the connection between these ports has something to read already. */
bool fc_driver_has_input(fc_driver *driver, int local_port, int remote_port);

/* The pollable descriptor, -1 where there is none. */
int fc_driver_descriptor(fc_driver *driver);

/* Sets a time at which whoever waits is to be woken (fc_now_ms; FC_NEVER: no such time). */
void fc_driver_set_alarm(fc_driver *driver, int64_t due_ms);

/*
 * Waits at most timeout_ms (0: not at all, negative: without bound) for something to do. Returns
 * how many sockets have news; negative where a signal ended the wait.
 */
int fc_driver_wait(fc_driver *driver, int64_t timeout_ms);

/*
 * Lets libcurl do what the last wait found and what is due by time. Anything but CURLM_OK: memory
 * or a system resource ran out, and libcurl may have lost sight of any transfer that it holds.
 */
CURLMcode fc_driver_work(fc_driver *driver) FILESCOM_MUST_USE;

/* Sees to it that the descriptor is readable when the next time is due; to be called after work. */
void fc_driver_arm(fc_driver *driver);

/* Makes the descriptor readable, until the next wait and work. */
void fc_driver_alert(fc_driver *driver);

#pragma GCC visibility pop

#endif
