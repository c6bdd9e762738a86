/* process_test.c - forks after use, and engines in several threads. See check.h. */
#define _GNU_SOURCE
#include "check.h"
#include "server.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct setting {
    filescom_engine *engine;
    filescom_client *client;
} setting;

static setting begin(void)
{
    char message[FILESCOM_MESSAGE_SIZE];
    setting made = {.engine = filescom_engine_new()};
    filescom_options options;

    filescom_options_init(&options);
    options.base_url = server_url();
    options.timeout_ms = 10000;
    CHECK(filescom_client_new(made.engine, &options, &made.client, message) == FILESCOM_OK);
    return made;
}

static void finish(setting *made)
{
    filescom_client_release(made->client);
    filescom_engine_release(made->engine);
}

static filescom_exchange *call(setting *on, const char *path)
{
    char message[FILESCOM_MESSAGE_SIZE];
    filescom_request request = {.method = "GET", .path = text_bytes(path)};
    filescom_exchange *exchange = NULL;

    CHECK(filescom_call(on->client, &request, &exchange, message) == FILESCOM_OK);
    return exchange;
}

/* Calls, waits, and tells how many connections that took; -1 where it failed. */
static long connections_of_call(setting *on)
{
    filescom_exchange *exchange = call(on, "/user");
    long connections = -1;

    if (filescom_exchange_wait(exchange, 5000) == FILESCOM_OK &&
        filescom_exchange_status(exchange) == 200)
        connections = filescom_exchange_describe(exchange).connections;
    filescom_exchange_release(exchange);
    return connections;
}

/*
 * Runs a function in a child and tells what it returned. The child ends by a signal: nothing that
 * runs at a process's end is to touch what it shares with its parent.
 */
static int in_child(int (*run)(setting *, filescom_exchange *), setting *on,
                    filescom_exchange *exchange)
{
    int ends[2], result = -1;
    pid_t child;

    if (!CHECK(pipe(ends) == 0) || !CHECK((child = fork()) >= 0))
        return -1;
    if (child == 0) {
        result = run(on, exchange);
        if (write(ends[1], &result, sizeof result) != sizeof result)
            abort();
        kill(getpid(), SIGKILL);
    }
    close(ends[1]);
    if (read(ends[0], &result, sizeof result) != sizeof result)
        result = -1;
    close(ends[0]);
    waitpid(child, NULL, 0);
    return result;
}

/* ---- forks ---------------------------------------------------------------------------------- */

static int call_twice(setting *on, filescom_exchange *exchange)
{
    (void)exchange;
    return connections_of_call(on) == 1 && connections_of_call(on) == 0;
}

static int release_all(setting *on, filescom_exchange *exchange)
{
    filescom_exchange_release(exchange);
    finish(on);
    return 1;
}

static int use_and_release(setting *on, filescom_exchange *exchange)
{
    int used = call_twice(on, exchange);

    return release_all(on, exchange) && used;
}

static int find_interrupted(setting *on, filescom_exchange *exchange)
{
    filescom_code waited = filescom_exchange_wait(exchange, 1000);

    return waited == FILESCOM_OK && filescom_exchange_result(exchange) == FILESCOM_INTERRUPTED &&
           filescom_engine_in_flight(on->engine) == 0 && call_twice(on, exchange);
}

static void has_connections_of_its_own(void)
{
    setting on = begin();

    CHECK(connections_of_call(&on) == 1);
    CHECK(in_child(call_twice, &on, NULL) == 1);
    finish(&on);
}

static void leaves_the_kept_connection_alone(int (*run)(setting *, filescom_exchange *))
{
    setting on = begin();

    CHECK(connections_of_call(&on) == 1);
    CHECK(in_child(run, &on, NULL) == 1);
    CHECK(connections_of_call(&on) == 0);
    CHECK(connections_of_call(&on) == 0);
    finish(&on);
}

static void leaves_the_kept_connection_alone_by_use(void)
{
    leaves_the_kept_connection_alone(use_and_release);
}

static void leaves_the_kept_connection_alone_by_release(void)
{
    leaves_the_kept_connection_alone(release_all);
}

static void goes_on_in_the_parent(int (*run)(setting *, filescom_exchange *))
{
    setting on = begin();
    filescom_exchange *exchange = call(&on, "/slow");

    CHECK(filescom_exchange_wait(exchange, 20) == FILESCOM_PENDING);
    CHECK(in_child(run, &on, exchange) == 1);
    CHECK(filescom_exchange_wait(exchange, 5000) == FILESCOM_OK);
    CHECK(filescom_exchange_result(exchange) == FILESCOM_OK);
    CHECK(filescom_exchange_status(exchange) == 200);
    filescom_exchange_release(exchange);
    finish(&on);
}

static void goes_on_in_the_parent_and_ends_in_the_child(void)
{
    goes_on_in_the_parent(find_interrupted);
}

static void goes_on_in_the_parent_when_released_in_the_child(void)
{
    goes_on_in_the_parent(release_all);
}

/* A child that has used the client and lives on must not hold its parent's connection open. */
static void closes_its_copies_of_the_parents_sockets(void)
{
    setting on = begin();
    int ends[2];
    char good = 0;
    pid_t child;

    CHECK(server_wait_open(0) == 0);
    CHECK(connections_of_call(&on) == 1);
    if (!CHECK(pipe(ends) == 0) || !CHECK((child = fork()) >= 0))
        return;
    if (child == 0) {
        good = connections_of_call(&on) == 1;
        if (write(ends[1], &good, 1) != 1)
            abort();
        for (;;)
            pause();
    }
    CHECK(read(ends[0], &good, 1) == 1 && good);
    finish(&on);
    CHECK(server_wait_open(1) == 1); /* the child's own */
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    close(ends[0]);
    close(ends[1]);
    CHECK(server_wait_open(0) == 0);
}

static void can_be_forked_from_a_fork(void)
{
    setting on = begin();

    CHECK(connections_of_call(&on) == 1);
    CHECK(in_child(call_twice, &on, NULL) == 1);
    CHECK(in_child(use_and_release, &on, NULL) == 1);
    CHECK(connections_of_call(&on) == 0);
    finish(&on);
}

/* ---- threads -------------------------------------------------------------------------------- */

static void *use_an_engine(void *argument)
{
    setting on = begin();
    bool *good = argument;
    int i;

    *good = connections_of_call(&on) == 1;
    for (i = 0; i < 50; i++)
        *good &= connections_of_call(&on) == 0;
    finish(&on);
    return NULL;
}

static void works_in_several_threads(void)
{
    enum { COUNT = 8 };
    pthread_t threads[COUNT];
    bool good[COUNT] = {false};
    int i;

    for (i = 0; i < COUNT; i++)
        CHECK(pthread_create(&threads[i], NULL, use_an_engine, &good[i]) == 0);
    for (i = 0; i < COUNT; i++) {
        pthread_join(threads[i], NULL);
        CHECK(good[i]);
    }
}

/* An engine may change its thread, as long as it has one at a time. */
static void *use_given(void *argument)
{
    return (void *)(intptr_t)(connections_of_call(argument) == 0);
}

static void moves_to_another_thread(void)
{
    setting on = begin();
    pthread_t thread;
    void *good = NULL;

    CHECK(connections_of_call(&on) == 1);
    CHECK(pthread_create(&thread, NULL, use_given, &on) == 0);
    pthread_join(thread, &good);
    CHECK(good != NULL);
    finish(&on);
}

const test process_tests[] = {
    {"a child has connections of its own", has_connections_of_its_own},
    {"a child that uses and releases a client leaves the parent's connection alone",
     leaves_the_kept_connection_alone_by_use},
    {"a child that releases a client leaves the parent's connection alone",
     leaves_the_kept_connection_alone_by_release},
    {"an exchange in flight ends in the child and goes on in the parent",
     goes_on_in_the_parent_and_ends_in_the_child},
    {"an exchange in flight that the child releases goes on in the parent",
     goes_on_in_the_parent_when_released_in_the_child},
    {"a child closes its copies of the parent's sockets", closes_its_copies_of_the_parents_sockets},
    {"an engine can be used in one child after another", can_be_forked_from_a_fork},
    {"eight threads use engines of their own", works_in_several_threads},
    {"an engine can be used in another thread", moves_to_another_thread},
    {NULL, NULL},
};
