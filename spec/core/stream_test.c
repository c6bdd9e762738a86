/* stream_test.c - bodies that stream through exchanges, against the server of server.h. */
#define _GNU_SOURCE
#include "check.h"
#include "driver.h"
#include "server.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SENT_SIZE (3 * 1024 * 1024 + 17)

typedef struct setting {
    filescom_engine *engine;
    filescom_client *client;
    char message[FILESCOM_MESSAGE_SIZE];
} setting;

static setting begin(void)
{
    setting made = {.engine = filescom_engine_new()};
    filescom_options options;

    filescom_options_init(&options);
    options.base_url = server_url();
    options.timeout_ms = 10000;
    options.max_response_size = 1000;
    CHECK(made.engine != NULL);
    CHECK(filescom_client_new(made.engine, &options, &made.client, made.message) == FILESCOM_OK);
    return made;
}

static void finish(setting *made)
{
    filescom_client_release(made->client);
    filescom_engine_release(made->engine);
}

static filescom_exchange *call(setting *on, filescom_request request)
{
    filescom_exchange *exchange = NULL;

    CHECK(filescom_call(on->client, &request, &exchange, on->message) == FILESCOM_OK);
    return exchange;
}

static filescom_exchange *receive(setting *on, const char *path, long stall_ms)
{
    return call(
        on, (filescom_request){
                .method = "GET", .path = text_bytes(path), .has_sink = true, .stall_ms = stall_ms});
}

static filescom_exchange *send_to(setting *on, const char *path, uint64_t size)
{
    return call(on, (filescom_request){.method = "PUT",
                                       .path = text_bytes(path),
                                       .has_source = true,
                                       .source_size = size,
                                       .stall_ms = 5000});
}

/* Takes what has come; how many bytes of /huge were right, from `at` on. */
static int take(filescom_exchange *exchange, int at)
{
    filescom_bytes piece = filescom_exchange_received(exchange);
    int right = 0;
    size_t i;

    for (i = 0; i < piece.size; i++)
        right += piece.data[i] == huge_byte(at + (int)i);
    filescom_exchange_taken(exchange);
    return right;
}

/* Gives pieces of many sizes until so many bytes were given in all. */
static void give(filescom_exchange *exchange, size_t *left)
{
    static char bytes[200000];
    size_t size = random_below(sizeof bytes);
    filescom_bytes piece = {bytes, size < *left ? size : *left};

    *left -= piece.size;
    CHECK(filescom_exchange_give(exchange, piece) == FILESCOM_OK);
}

/* Waits for the exchange, giving what it wants; its result. */
static filescom_code give_all(filescom_exchange *exchange, size_t left)
{
    filescom_code code;
    filescom_bytes end = {NULL, 0};

    while ((code = filescom_exchange_wait(exchange, 10000)) == FILESCOM_ATTENTION) {
        if (left > 0)
            give(exchange, &left);
        else
            CHECK(filescom_exchange_give(exchange, end) == FILESCOM_OK);
    }
    return CHECK(code == FILESCOM_OK) ? filescom_exchange_result(exchange) : code;
}

/* ---- answers -------------------------------------------------------------------------------- */

static void is_received_piece_by_piece(void)
{
    setting on = begin();
    filescom_exchange *exchange = receive(&on, "/huge", 0);
    int at = 0;

    while (filescom_exchange_wait(exchange, 10000) == FILESCOM_ATTENTION) {
        CHECK(filescom_exchange_attention(exchange) == FILESCOM_TAKE);
        CHECK(filescom_exchange_received(exchange).size <= 128 * 1024);
        at += take(exchange, at);
    }
    CHECK(filescom_exchange_result(exchange) == FILESCOM_OK);
    CHECK(at == HUGE_SIZE);
    CHECK(filescom_exchange_body(exchange).size == 0);
    filescom_exchange_release(exchange);
    finish(&on);
}

static void waits_while_nobody_takes(void)
{
    setting on = begin();
    long stall_ms = 50;
    filescom_exchange *exchange = receive(&on, "/huge", stall_ms);
    int i;

    /* Where this machine is slow the first piece may be later than that. */
    while (filescom_exchange_wait(exchange, 5000) != FILESCOM_ATTENTION && stall_ms < 5000) {
        filescom_exchange_release(exchange);
        exchange = receive(&on, "/huge", stall_ms *= 2);
    }
    for (i = 0; i < 20; i++) {
        filescom_engine_step(on.engine);
        usleep((unsigned)stall_ms * 100);
    }
    CHECK(filescom_exchange_result(exchange) == FILESCOM_PENDING);
    CHECK(filescom_exchange_received(exchange).size <= 128 * 1024);
    filescom_exchange_release(exchange);
    CHECK(filescom_engine_in_flight(on.engine) == 0);
    CHECK(server_wait_open(0) == 0);
    finish(&on);
}

static void stalls(void)
{
    setting on = begin();
    filescom_exchange *exchange = receive(&on, "/hang", 100);
    int64_t began = fc_now_ms();

    CHECK(filescom_exchange_wait(exchange, 5000) == FILESCOM_OK);
    CHECK(filescom_exchange_result(exchange) == FILESCOM_TIMEOUT);
    CHECK(fc_now_ms() - began >= 95 && fc_now_ms() - began < 3000);
    filescom_exchange_release(exchange);
    finish(&on);
}

static void gives_a_refusal_whole(void)
{
    setting on = begin();
    filescom_exchange *exchange = receive(&on, "/refused", 0);

    CHECK(filescom_exchange_wait(exchange, 5000) == FILESCOM_OK);
    CHECK(filescom_exchange_status(exchange) == 403);
    CHECK(equals_text(filescom_exchange_body(exchange), "{}"));
    filescom_exchange_release(exchange);
    finish(&on);
}

static void keeps_what_came_until_it_is_taken(void)
{
    setting on = begin();
    filescom_exchange *exchange = receive(&on, "/anything", 0);
    int i;

    for (i = 0; i < 3; i++)
        CHECK(filescom_exchange_wait(exchange, 5000) == FILESCOM_ATTENTION);
    CHECK(equals_text(filescom_exchange_received(exchange), "{}"));
    filescom_exchange_taken(exchange);
    CHECK(filescom_exchange_wait(exchange, 5000) == FILESCOM_OK);
    CHECK(filescom_exchange_result(exchange) == FILESCOM_OK);
    CHECK(filescom_exchange_attention(exchange) == FILESCOM_NOTHING);
    filescom_exchange_release(exchange);
    finish(&on);
}

/* ---- requests ------------------------------------------------------------------------------- */

static void is_sent_piece_by_piece(void)
{
    setting on = begin();
    int i;

    for (i = 0; i < 3; i++) {
        filescom_exchange *exchange = send_to(&on, "/anything", SENT_SIZE);

        CHECK(give_all(exchange, SENT_SIZE) == FILESCOM_OK);
        CHECK(filescom_exchange_status(exchange) == 200);
        CHECK(i == 0 || filescom_exchange_describe(exchange).connections == 0);
        filescom_exchange_release(exchange);
    }
    finish(&on);
}

static void ends_where_the_source_is_too_short(void)
{
    setting on = begin();
    filescom_exchange *exchange = send_to(&on, "/anything", SENT_SIZE);

    CHECK(give_all(exchange, 1000) == FILESCOM_TOO_SHORT);
    CHECK(strcmp(filescom_exchange_message(exchange),
                 "the source ended after 1000 of 3145745 bytes") == 0);
    filescom_exchange_release(exchange);
    CHECK(server_wait_open(0) == 0);
    finish(&on);
}

static void ends_where_the_source_is_too_long(void)
{
    setting on = begin();
    filescom_exchange *exchange = send_to(&on, "/anything", 4);

    CHECK(filescom_exchange_wait(exchange, 5000) == FILESCOM_ATTENTION);
    CHECK(filescom_exchange_wanted(exchange) == 4);
    CHECK(filescom_exchange_give(exchange, text_bytes("12345")) == FILESCOM_OK);
    CHECK(filescom_exchange_wait(exchange, 5000) == FILESCOM_OK);
    CHECK(filescom_exchange_result(exchange) == FILESCOM_TOO_LONG);
    filescom_exchange_release(exchange);
    finish(&on);
}

static void leaves_a_clean_handle(void)
{
    setting on = begin();
    filescom_exchange *exchange = send_to(&on, "/anything", 3);
    filescom_exchange *large;

    CHECK(give_all(exchange, 3) == FILESCOM_OK);
    filescom_exchange_release(exchange);
    large = call(&on, (filescom_request){.method = "GET", .path = text_bytes("/large")});
    CHECK(filescom_exchange_wait(large, 5000) == FILESCOM_OK);
    CHECK(filescom_exchange_result(large) == FILESCOM_TOO_LARGE);
    filescom_exchange_release(large);
    finish(&on);
}

/* ---- both ----------------------------------------------------------------------------------- */

static void is_harmless_where_nothing_is_streamed(void)
{
    setting on = begin();
    filescom_exchange *exchange =
        call(&on, (filescom_request){.method = "GET", .path = text_bytes("/anything")});

    CHECK(filescom_exchange_attention(exchange) == FILESCOM_NOTHING);
    CHECK(filescom_exchange_received(exchange).data == NULL);
    CHECK(filescom_exchange_wanted(exchange) == 0);
    filescom_exchange_taken(exchange);
    CHECK(filescom_exchange_give(exchange, text_bytes("x")) == FILESCOM_OK);
    CHECK(filescom_exchange_wait(exchange, 5000) == FILESCOM_OK);
    filescom_exchange_release(exchange);
    finish(&on);
}

static void goes_on_beside_others(void)
{
    setting on = begin();
    filescom_exchange *all[20];
    int at[20] = {0};
    int i, left = 20;

    for (i = 0; i < 20; i++)
        all[i] = receive(&on, "/huge", 0);
    while (left > 0) {
        for (i = 0, left = 0; i < 20; i++) {
            filescom_code code = filescom_exchange_wait(all[i], i == 0 ? 20 : 0);

            if (code == FILESCOM_ATTENTION)
                at[i] += take(all[i], at[i]);
            left += code != FILESCOM_OK;
        }
    }
    for (i = 0; i < 20; i++) {
        CHECK(at[i] == HUGE_SIZE);
        filescom_exchange_release(all[i]);
    }
    finish(&on);
}

/*
 * In a process of its own, which has no part in the parent's transfers. It ends by a signal:
 * nothing that runs at a process's end is to touch what it shares with its parent.
 */
static bool both_end_in_a_child(filescom_exchange *received, filescom_exchange *sent)
{
    int ends[2];
    bool ended = false;
    pid_t child;

    if (!CHECK(pipe(ends) == 0) || !CHECK((child = fork()) >= 0))
        return false;
    if (child == 0) {
        filescom_exchange_taken(received);
        ended = filescom_exchange_give(sent, text_bytes("x")) == FILESCOM_OK &&
                filescom_exchange_result(received) == FILESCOM_INTERRUPTED &&
                filescom_exchange_result(sent) == FILESCOM_INTERRUPTED;
        if (write(ends[1], &ended, sizeof ended) == sizeof ended)
            kill(getpid(), SIGKILL);
        _exit(1);
    }
    close(ends[1]);
    CHECK(read(ends[0], &ended, sizeof ended) == sizeof ended);
    close(ends[0]);
    waitpid(child, NULL, 0);
    return ended;
}

static void ends_in_the_child_of_a_fork(void)
{
    setting on = begin();
    filescom_exchange *received = receive(&on, "/huge", 0);
    filescom_exchange *sent = send_to(&on, "/anything", 1000);
    int at = 0;

    CHECK(filescom_exchange_wait(received, 5000) == FILESCOM_ATTENTION);
    CHECK(filescom_exchange_wait(sent, 5000) == FILESCOM_ATTENTION);
    CHECK(both_end_in_a_child(received, sent));
    CHECK(give_all(sent, 1000) == FILESCOM_OK);
    do
        at += take(received, at);
    while (filescom_exchange_wait(received, 5000) == FILESCOM_ATTENTION);
    CHECK(at == HUGE_SIZE);
    filescom_exchange_release(sent);
    filescom_exchange_release(received);
    finish(&on);
}

#if FC_HAVE_EPOLL

/* Waits for the descriptor, and steps, until there is news. */
static filescom_exchange *step_until_news(filescom_engine *engine)
{
    filescom_exchange *of = NULL;
    int64_t began = fc_now_ms();

    while ((of = filescom_engine_next_news(engine)) == NULL && fc_now_ms() - began < 5000) {
        struct pollfd watched = {filescom_engine_descriptor(engine), POLLIN, 0};

        if (poll(&watched, 1, 5000) > 0)
            filescom_engine_step(engine);
    }
    return of;
}

static void is_driven_by_the_descriptor(void)
{
    setting on = begin();
    filescom_exchange *exchange = receive(&on, "/huge", 0);
    int at = 0;

    while (filescom_exchange_result(exchange) == FILESCOM_PENDING ||
           filescom_exchange_attention(exchange) != FILESCOM_NOTHING) {
        if (filescom_exchange_attention(exchange) == FILESCOM_TAKE)
            at += take(exchange, at);
        else if (!CHECK(step_until_news(on.engine) == exchange))
            break;
    }
    CHECK(at == HUGE_SIZE);
    filescom_exchange_release(exchange);
    CHECK(filescom_engine_next_news(on.engine) == NULL);
    finish(&on);
}

static void stalls_by_the_descriptor(void)
{
    setting on = begin();
    filescom_exchange *exchange = receive(&on, "/hang", 100);

    CHECK(step_until_news(on.engine) == exchange);
    CHECK(filescom_exchange_result(exchange) == FILESCOM_TIMEOUT);
    filescom_exchange_release(exchange);
    finish(&on);
}

#endif

const test stream_tests[] = {
    {"a streamed answer is received piece by piece, beyond max_response_size",
     is_received_piece_by_piece},
    {"a streamed answer waits while nobody takes it, and has not stalled",
     waits_while_nobody_takes},
    {"a streamed answer ends where nothing comes for too long", stalls},
    {"a refusal is no part of a streamed answer", gives_a_refusal_whole},
    {"what came of a streamed answer is there until it is taken",
     keeps_what_came_until_it_is_taken},
    {"a streamed request is sent piece by piece, over one connection", is_sent_piece_by_piece},
    {"a streamed request ends where its source is too short", ends_where_the_source_is_too_short},
    {"a streamed request ends where its source is too long", ends_where_the_source_is_too_long},
    {"a streamed exchange leaves nothing behind for the next", leaves_a_clean_handle},
    {"an exchange that streams nothing needs nothing", is_harmless_where_nothing_is_streamed},
    {"twenty streamed answers go on beside one another", goes_on_beside_others},
    {"a streamed exchange ends in the child of a fork, and goes on in the parent",
     ends_in_the_child_of_a_fork},
#if FC_HAVE_EPOLL
    {"the descriptor tells when a streamed answer is to be taken", is_driven_by_the_descriptor},
    {"the descriptor tells that a streamed answer has stalled", stalls_by_the_descriptor},
#endif
    {NULL, NULL},
};
