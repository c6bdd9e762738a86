/*
 * driver_epoll.c - see driver.h: curl_multi_socket_action on an epoll set with a timerfd inside.
 *
 * Sockets stay in the set from one transfer to the next, so that a kept connection costs no system
 * call to watch. A socket that wakes us while libcurl does not watch it (its peer closed an idle
 * connection) is taken out then. The timer is armed only once somebody has asked for the
 * descriptor: a blocking wait gives its time limit to epoll_wait.
 */
#define _GNU_SOURCE
#include "driver.h"
#include "sockets.h"

#if FC_HAVE_EPOLL

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define EVENTS_AT_ONCE 64

struct fc_driver {
    CURLM *multi;
    int epoll;
    int timer;        /* a timerfd in the set, -1 until the descriptor was asked for */
    int64_t curl_due; /* when libcurl wants to be called, FC_NEVER: not */
    int64_t alarm;    /* see fc_driver_set_alarm */
    int64_t armed;    /* what the timerfd is set to */
    fc_sockets sockets;
    struct epoll_event events[EVENTS_AT_ONCE]; /* what the last wait found */
    int event_count;
};

/* ---- time ----------------------------------------------------------------------------------- */

static int64_t next_due(const fc_driver *driver)
{
    return driver->curl_due < driver->alarm ? driver->curl_due : driver->alarm;
}

/*
 * A timer that goes off too early costs one look; setting it anew for every exchange, whose limits
 * mostly never come to pass, costs a system call each time. So it is only ever brought forward.
 */
static void arm_for(fc_driver *driver, int64_t due)
{
    struct itimerspec setting = {{0, 0}, {0, 0}};

    if (driver->timer < 0 || due >= driver->armed)
        return;
    setting.it_value.tv_sec = due / 1000;
    setting.it_value.tv_nsec = due % 1000 * 1000000 + 1; /* all zero would disarm it */
    timerfd_settime(driver->timer, TFD_TIMER_ABSTIME, &setting, NULL);
    driver->armed = due;
}

void fc_driver_arm(fc_driver *driver)
{
    arm_for(driver, next_due(driver));
}

void fc_driver_alert(fc_driver *driver)
{
    arm_for(driver, 0);
}

/* CURLMOPT_TIMERFUNCTION. */
static int timer_changed(CURLM *multi, long timeout_ms, void *data)
{
    fc_driver *driver = data;

    (void)multi;
    driver->curl_due = timeout_ms < 0 ? FC_NEVER : fc_now_ms() + timeout_ms;
    return 0;
}

void fc_driver_set_alarm(fc_driver *driver, int64_t due_ms)
{
    driver->alarm = due_ms;
}

/* The timer stays readable, and so the set, until it is read. */
static void quiet_timer(fc_driver *driver)
{
    uint64_t expirations;

    while (read(driver->timer, &expirations, sizeof expirations) < 0 && errno == EINTR) {
    }
    driver->armed = FC_NEVER;
}

/* ---- sockets -------------------------------------------------------------------------------- */

static void unregister(fc_driver *driver, curl_socket_t socket, fc_socket *state)
{
    if (state->registered)
        epoll_ctl(driver->epoll, EPOLL_CTL_DEL, socket, NULL);
    state->registered = 0;
}

static int watch(fc_driver *driver, curl_socket_t socket, fc_socket *state)
{
    struct epoll_event event = {0};
    int operation = state->registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

    if (state->registered == state->wanted)
        return 0;
    event.events = (state->wanted & CURL_POLL_IN ? (uint32_t)EPOLLIN : 0) |
                   (state->wanted & CURL_POLL_OUT ? (uint32_t)EPOLLOUT : 0);
    event.data.fd = socket;
    if (epoll_ctl(driver->epoll, operation, socket, &event) != 0)
        return -1;
    state->registered = state->wanted;
    return 0;
}

/* CURLMOPT_SOCKETFUNCTION; -1 makes libcurl fail the transfer. */
static int socket_changed(CURL *easy, curl_socket_t socket, int what, void *data, void *unused)
{
    fc_driver *driver = data;
    fc_socket *state = fc_sockets_at(&driver->sockets, socket);

    (void)easy;
    (void)unused;
    if (state == NULL)
        return what == CURL_POLL_REMOVE ? 0 : -1;
    state->wanted = what == CURL_POLL_REMOVE ? 0 : (uint8_t)what;
    if (state->wanted)
        return watch(driver, socket, state);
    /* libcurl closes descriptors of its own, such as the resolver's, without telling us. */
    if (!state->open)
        unregister(driver, socket, state);
    return 0;
}

curl_socket_t fc_driver_open_socket(fc_driver *driver, const struct curl_sockaddr *address)
{
    return fc_sockets_open(&driver->sockets, address);
}

bool fc_driver_has_input(fc_driver *driver, int local_port, int remote_port)
{
    return fc_sockets_has_input(&driver->sockets, local_port, remote_port);
}

/*
 * CURLOPT_CLOSESOCKETFUNCTION. Closing takes a descriptor out of the epoll set only where nobody
 * else holds the socket; the child of a fork does.
 */
static int socket_closed(void *data, curl_socket_t socket)
{
    fc_driver *driver = data;
    fc_socket *state = fc_sockets_at(&driver->sockets, socket);

    if (state != NULL)
        unregister(driver, socket, state);
    return fc_sockets_close(&driver->sockets, socket);
}

CURLcode fc_driver_prepare(fc_driver *driver, CURL *easy)
{
    CURLcode code = curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, socket_closed);

    return code == CURLE_OK ? curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, driver) : code;
}

/* ---- life ----------------------------------------------------------------------------------- */

static bool attach(fc_driver *driver)
{
    return curl_multi_setopt(driver->multi, CURLMOPT_SOCKETFUNCTION, socket_changed) == CURLM_OK &&
           curl_multi_setopt(driver->multi, CURLMOPT_SOCKETDATA, driver) == CURLM_OK &&
           curl_multi_setopt(driver->multi, CURLMOPT_TIMERFUNCTION, timer_changed) == CURLM_OK &&
           curl_multi_setopt(driver->multi, CURLMOPT_TIMERDATA, driver) == CURLM_OK;
}

fc_driver *fc_driver_new(CURLM *multi)
{
    fc_driver *driver = calloc(1, sizeof *driver);

    if (driver == NULL)
        return NULL;
    driver->multi = multi;
    driver->timer = -1;
    driver->curl_due = driver->alarm = driver->armed = FC_NEVER;
    driver->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (driver->epoll < 0 || !attach(driver)) {
        fc_driver_free(driver);
        return NULL;
    }
    return driver;
}

/* Whether the epoll set is there yet: a child may have closed every descriptor and opened others.
 */
static bool is_still_epoll(const fc_driver *driver)
{
    int stranger = eventfd(0, EFD_CLOEXEC);
    bool is_one = stranger >= 0 && epoll_ctl(driver->epoll, EPOLL_CTL_DEL, stranger, NULL) != 0 &&
                  errno == ENOENT;

    if (stranger >= 0)
        close(stranger);
    return is_one;
}

void fc_driver_free(fc_driver *driver)
{
    if (driver->timer >= 0)
        close(driver->timer);
    if (driver->epoll >= 0)
        close(driver->epoll);
    fc_sockets_free(&driver->sockets);
    free(driver);
}

void fc_driver_abandon(fc_driver *driver)
{
    fc_sockets_abandon(&driver->sockets);
    if (!is_still_epoll(driver))
        driver->epoll = driver->timer = -1;
    fc_driver_free(driver);
}

/* ---- waiting -------------------------------------------------------------------------------- */

static bool add_timer(fc_driver *driver)
{
    struct epoll_event event = {.events = EPOLLIN};

    driver->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (driver->timer < 0)
        return false;
    event.data.fd = driver->timer;
    if (epoll_ctl(driver->epoll, EPOLL_CTL_ADD, driver->timer, &event) != 0) {
        close(driver->timer);
        driver->timer = -1;
        return false;
    }
    fc_driver_arm(driver);
    return true;
}

int fc_driver_descriptor(fc_driver *driver)
{
    if (driver->timer < 0 && !add_timer(driver))
        return -1;
    return driver->epoll;
}

static int wait_limit(const fc_driver *driver, int64_t timeout_ms)
{
    int64_t due = next_due(driver);
    int64_t limit = timeout_ms < 0 ? INT_MAX : timeout_ms;

    if (limit > 0 && due != FC_NEVER) {
        int64_t until_due = due - fc_now_ms();
        limit = until_due < 0 ? 0 : until_due < limit ? until_due : limit;
    }
    if (limit < INT_MAX)
        return (int)limit;
    return timeout_ms < 0 && due == FC_NEVER ? -1 : INT_MAX;
}

static CURLMcode run_due_timers(fc_driver *driver)
{
    int running;

    if (driver->curl_due == FC_NEVER || driver->curl_due > fc_now_ms())
        return CURLM_OK;
    driver->curl_due = FC_NEVER;
    return curl_multi_socket_action(driver->multi, CURL_SOCKET_TIMEOUT, 0, &running);
}

static CURLMcode handle_event(fc_driver *driver, const struct epoll_event *event)
{
    int socket = event->data.fd;
    int action = (event->events & EPOLLIN ? CURL_CSELECT_IN : 0) |
                 (event->events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                 (event->events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
    int running;

    if (socket == driver->timer)
        quiet_timer(driver);
    else if (driver->sockets.all[socket].wanted)
        return curl_multi_socket_action(driver->multi, socket, action, &running);
    else
        unregister(driver, socket, &driver->sockets.all[socket]);
    return CURLM_OK;
}

int fc_driver_wait(fc_driver *driver, int64_t timeout_ms)
{
    int count =
        epoll_wait(driver->epoll, driver->events, EVENTS_AT_ONCE, wait_limit(driver, timeout_ms));

    driver->event_count = count > 0 ? count : 0;
    return count < 0 && errno != EINTR ? 0 : count;
}

CURLMcode fc_driver_work(fc_driver *driver)
{
    CURLMcode worst = CURLM_OK, code;
    int i;

    for (i = 0; i < driver->event_count; i++)
        if ((code = handle_event(driver, &driver->events[i])) != CURLM_OK)
            worst = code;
    driver->event_count = 0;
    code = run_due_timers(driver);
    return code != CURLM_OK ? code : worst;
}

#endif
