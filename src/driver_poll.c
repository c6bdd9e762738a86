/* driver_poll.c - see driver.h: the driver for systems without epoll; it can only be waited on. */
#define _POSIX_C_SOURCE 200809L
#include "driver.h"

#include <limits.h>
#include <stdlib.h>
#include <time.h>

int64_t fc_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

#if !FC_HAVE_EPOLL

#include "sockets.h"

struct fc_driver {
    CURLM *multi;
    int64_t alarm;
    fc_sockets sockets;
};

fc_driver *fc_driver_new(CURLM *multi)
{
    fc_driver *driver = calloc(1, sizeof *driver);

    if (driver != NULL) {
        driver->multi = multi;
        driver->alarm = FC_NEVER;
    }
    return driver;
}

void fc_driver_free(fc_driver *driver)
{
    fc_sockets_free(&driver->sockets);
    free(driver);
}

void fc_driver_abandon(fc_driver *driver)
{
    fc_sockets_abandon(&driver->sockets);
    fc_driver_free(driver);
}

/* CURLOPT_CLOSESOCKETFUNCTION. */
static int socket_closed(void *data, curl_socket_t socket)
{
    fc_driver *driver = data;

    return fc_sockets_close(&driver->sockets, socket);
}

CURLcode fc_driver_prepare(fc_driver *driver, CURL *easy)
{
    CURLcode code = curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, socket_closed);

    return code == CURLE_OK ? curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, driver) : code;
}

curl_socket_t fc_driver_open_socket(fc_driver *driver, const struct curl_sockaddr *address)
{
    return fc_sockets_open(&driver->sockets, address);
}

bool fc_driver_has_input(fc_driver *driver, int local_port, int remote_port)
{
    return fc_sockets_has_input(&driver->sockets, local_port, remote_port);
}

/* ---- waiting -------------------------------------------------------------------------------- */

int fc_driver_descriptor(fc_driver *driver)
{
    (void)driver;
    return -1;
}

void fc_driver_set_alarm(fc_driver *driver, int64_t due_ms)
{
    driver->alarm = due_ms;
}

/* curl_multi_poll bounds the wait by libcurl's own timers; the alarm is ours to keep. */
static int poll_timeout(const fc_driver *driver, int64_t timeout_ms)
{
    int64_t until_alarm;

    if (timeout_ms < 0 || timeout_ms > INT_MAX)
        timeout_ms = INT_MAX;
    if (driver->alarm == FC_NEVER)
        return (int)timeout_ms;
    until_alarm = driver->alarm - fc_now_ms();
    if (until_alarm < 0)
        until_alarm = 0;
    return (int)(timeout_ms < until_alarm ? timeout_ms : until_alarm);
}

int fc_driver_wait(fc_driver *driver, int64_t timeout_ms)
{
    int ready = 0;

    if (timeout_ms != 0)
        curl_multi_poll(driver->multi, NULL, 0, poll_timeout(driver, timeout_ms), &ready);
    return ready;
}

CURLMcode fc_driver_work(fc_driver *driver)
{
    int running;

    return curl_multi_perform(driver->multi, &running);
}

void fc_driver_arm(fc_driver *driver)
{
    (void)driver;
}

void fc_driver_alert(fc_driver *driver)
{
    (void)driver;
}

#endif
