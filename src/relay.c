/* relay.c - see relay.h. */
#define _GNU_SOURCE
#include "relay.h"
#include "driver.h"
#include "message.h"
#include "process.h"

#if FC_HAVE_EPOLL

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#define NONE (-1)
#define STACK_SIZE (256 * 1024)

struct fc_relay {
    unsigned generation; /* of the process that it belongs to */
    int descriptor;      /* what is watched; not ours */
    int epoll;           /* watches the descriptor (one shot), all that follow, and the reader */
    int listener;
    int ticker; /* a timerfd that runs while somebody is connected */
    int stop;   /* an eventfd: readable when the thread is to end */
    int place;  /* an O_PATH descriptor of the listener's name, which is removed */
    char path[32];
    pthread_t thread;
    bool running;

    /* The thread's own. */
    int reader; /* the connection that is told, NONE: nobody has connected */
    bool owed;  /* there was something to tell and nobody to tell it to */
};

/* ---- the thread ----------------------------------------------------------------------------- */

/* A full buffer is as good as a byte: whoever reads it has one to read. */
static void tell(fc_relay *relay)
{
    relay->owed =
        relay->reader == NONE || (send(relay->reader, "!", 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
                                  errno != EAGAIN && errno != EWOULDBLOCK);
}

/* Nobody but this process may read what is told, or take the place of who does. */
static bool is_own_process(int connection)
{
    struct ucred peer;
    socklen_t size = sizeof peer;

    return getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
           peer.pid == getpid();
}

static bool watch(const fc_relay *relay, int descriptor, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = descriptor};

    return epoll_ctl(relay->epoll, EPOLL_CTL_ADD, descriptor, &event) == 0;
}

static void set_ticker(const fc_relay *relay, long interval_ms)
{
    struct itimerspec setting = {{0, interval_ms * 1000000}, {0, interval_ms * 1000000}};

    timerfd_settime(relay->ticker, 0, &setting, NULL);
}

static void tick(fc_relay *relay)
{
    uint64_t expirations;

    if (read(relay->ticker, &expirations, sizeof expirations) > 0 && relay->reader != NONE)
        tell(relay);
}

static void drop_reader(fc_relay *relay)
{
    if (relay->reader == NONE)
        return;
    close(relay->reader);
    relay->reader = NONE;
    set_ticker(relay, 0);
}

static void accept_reader(fc_relay *relay)
{
    int accepted = accept4(relay->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (accepted < 0)
        return;
    if (!is_own_process(accepted)) {
        close(accepted);
        return;
    }
    drop_reader(relay);
    relay->reader = accepted;
    watch(relay, accepted, EPOLLRDHUP);
    set_ticker(relay, FC_RELAY_TICK_MS);
    if (relay->owed)
        tell(relay);
}

static void *run(void *data)
{
    fc_relay *relay = data;
    struct epoll_event event;

    for (;;) {
        if (epoll_wait(relay->epoll, &event, 1, -1) != 1)
            continue; /* only a debugger's stop interrupts it: every signal is blocked */
        if (event.data.fd == relay->stop)
            return NULL;
        if (event.data.fd == relay->listener)
            accept_reader(relay);
        else if (event.data.fd == relay->ticker)
            tick(relay);
        else if (event.data.fd == relay->reader)
            drop_reader(relay); /* it has gone: nothing else of it is watched */
        else
            tell(relay);
    }
}

/* A signal of the process must not be spent on this thread. */
static bool start_thread(fc_relay *relay)
{
    sigset_t every, before;
    pthread_attr_t attributes;
    int failed;

    sigfillset(&every);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    pthread_sigmask(SIG_SETMASK, &every, &before);
    failed = pthread_create(&relay->thread, &attributes, run, relay);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    relay->running = !failed;
    return !failed;
}

/* ---- the socket without a name -------------------------------------------------------------- */

/* Binds below a directory of our own, keeps hold of the name by O_PATH, and removes it again. */
static bool bind_below(fc_relay *relay, const char *parent)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char directory[64];
    bool bound;

    snprintf(directory, sizeof directory, "%.40s/filescom-XXXXXX", parent);
    if (mkdtemp(directory) == NULL)
        return false;
    snprintf(address.sun_path, sizeof address.sun_path, "%s/relay", directory);
    bound = bind(relay->listener, (struct sockaddr *)&address, sizeof address) == 0;
    if (bound) {
        relay->place = open(address.sun_path, O_PATH | O_CLOEXEC);
        unlink(address.sun_path);
    }
    rmdir(directory);
    return bound;
}

static bool bind_anywhere(fc_relay *relay)
{
    static const char *const parents[] = {"/tmp", "/var/tmp", "/dev/shm", "."};
    size_t i;

    for (i = 0; i < sizeof parents / sizeof *parents; i++)
        if (bind_below(relay, parents[i]))
            return relay->place >= 0;
    return false;
}

static bool listen_unnamed(fc_relay *relay)
{
    relay->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (relay->listener < 0 || !bind_anywhere(relay) || listen(relay->listener, 8) != 0)
        return false;
    snprintf(relay->path, sizeof relay->path, "/proc/self/fd/%d", relay->place);
    return true;
}

/* ---- life ----------------------------------------------------------------------------------- */

static bool open_watch(fc_relay *relay)
{
    relay->epoll = epoll_create1(EPOLL_CLOEXEC);
    relay->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    relay->ticker = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    return relay->epoll >= 0 && relay->stop >= 0 && relay->ticker >= 0 &&
           watch(relay, relay->stop, EPOLLIN) && watch(relay, relay->ticker, EPOLLIN) &&
           watch(relay, relay->listener, EPOLLIN) &&
           watch(relay, relay->descriptor, EPOLLIN | EPOLLONESHOT);
}

static void close_all(fc_relay *relay)
{
    int *const all[] = {&relay->reader, &relay->place, &relay->listener,
                        &relay->ticker, &relay->stop,  &relay->epoll};
    size_t i;

    for (i = 0; i < sizeof all / sizeof *all; i++)
        if (*all[i] >= 0)
            close(*all[i]);
}

fc_relay *fc_relay_start(int descriptor, char *message)
{
    fc_relay *relay = calloc(1, sizeof *relay);

    if (relay == NULL) {
        fc_fail_no_memory(message);
        return NULL;
    }
    relay->generation = fc_process_generation();
    relay->descriptor = descriptor;
    relay->epoll = relay->listener = relay->ticker = relay->stop = NONE;
    relay->place = relay->reader = NONE;
    if (listen_unnamed(relay) && open_watch(relay) && start_thread(relay))
        return relay;
    fc_fail(message, FILESCOM_NO_MEMORY, "the relay could not be started: %s", strerror(errno));
    close_all(relay);
    free(relay);
    return NULL;
}

void fc_relay_stop(fc_relay *relay)
{
    uint64_t one = 1;

    if (relay == NULL)
        return;
    if (relay->generation == fc_process_generation() && relay->running) {
        while (write(relay->stop, &one, sizeof one) < 0 && errno == EINTR) {
        }
        pthread_join(relay->thread, NULL);
    }
    close_all(relay);
    free(relay);
}

bool fc_relay_serves(const fc_relay *relay, int descriptor)
{
    return relay->generation == fc_process_generation() && relay->descriptor == descriptor;
}

const char *fc_relay_path(const fc_relay *relay)
{
    return relay->path;
}

void fc_relay_rearm(fc_relay *relay)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT, .data.fd = relay->descriptor};

    epoll_ctl(relay->epoll, EPOLL_CTL_MOD, relay->descriptor, &event);
}

#else

fc_relay *fc_relay_start(int descriptor, char *message)
{
    (void)descriptor;
    fc_fail(message, FILESCOM_BAD_ARGUMENT, "the relay needs epoll");
    return NULL;
}

void fc_relay_stop(fc_relay *relay)
{
    (void)relay;
}

bool fc_relay_serves(const fc_relay *relay, int descriptor)
{
    (void)relay, (void)descriptor;
    return false;
}

const char *fc_relay_path(const fc_relay *relay)
{
    (void)relay;
    return "";
}

void fc_relay_rearm(fc_relay *relay)
{
    (void)relay;
}

#endif
