/* exchange_test.c - engines, clients and exchanges against the server of server.h. See check.h. */
#define _GNU_SOURCE
#include "check.h"
#include "exchange.h"
#include "server.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

/* What most tests begin with; released by `finish`. */
typedef struct setting {
    filescom_engine *engine;
    filescom_client *client;
    char message[FILESCOM_MESSAGE_SIZE];
} setting;

static setting begin_at(const char *url, long retries)
{
    setting made = {.engine = filescom_engine_new()};
    filescom_options options;

    filescom_options_init(&options);
    options.base_url = url;
    options.retries = retries;
    options.timeout_ms = 10000;
    CHECK(made.engine != NULL);
    CHECK(filescom_client_new(made.engine, &options, &made.client, made.message) == FILESCOM_OK);
    return made;
}

static setting begin(void)
{
    return begin_at(server_url(), 2);
}

static void finish(setting *made)
{
    filescom_client_release(made->client);
    filescom_engine_release(made->engine);
}

static filescom_exchange *call(setting *on, const char *path, long timeout_ms)
{
    filescom_request request = {
        .method = "GET", .path = text_bytes(path), .timeout_ms = timeout_ms};
    filescom_exchange *exchange = NULL;

    CHECK(filescom_call(on->client, &request, &exchange, on->message) == FILESCOM_OK);
    return exchange;
}

static filescom_exchange *login(setting *on)
{
    filescom_credentials credentials = {.username = text_bytes("motor"),
                                        .password = text_bytes("vroom")};
    filescom_exchange *exchange = NULL;

    CHECK(filescom_login(on->client, NULL, &credentials, &exchange, on->message) == FILESCOM_OK);
    return exchange;
}

/* Waits for the end of an exchange and gives it back. */
static filescom_code result_of(filescom_exchange *exchange)
{
    filescom_code result = filescom_exchange_wait(exchange, 5000);

    if (result == FILESCOM_OK)
        result = filescom_exchange_result(exchange);
    filescom_exchange_release(exchange);
    return result;
}

/* ---- one exchange --------------------------------------------------------------------------- */

static void logs_in(void)
{
    setting on = begin();
    filescom_exchange *exchange = login(&on);

    CHECK(filescom_exchange_result(exchange) == FILESCOM_PENDING);
    CHECK(filescom_engine_in_flight(on.engine) == 1);
    CHECK(filescom_exchange_wait(exchange, -1) == FILESCOM_OK);
    CHECK(filescom_exchange_result(exchange) == FILESCOM_OK);
    CHECK(filescom_exchange_status(exchange) == 201);
    CHECK(equals_text(filescom_exchange_body(exchange), "{\"id\":\"core-session\"}"));
    CHECK(strcmp(filescom_exchange_message(exchange), "") == 0);
    CHECK(strcmp(filescom_exchange_base_url(exchange), filescom_client_base_url(on.client)) == 0);
    CHECK(filescom_engine_in_flight(on.engine) == 0);
    filescom_exchange_release(exchange);
    finish(&on);
}

static void logs_out_over_the_same_connection(void)
{
    setting on = begin();
    int accepted = server_count().accepted;
    filescom_exchange *exchange = NULL;

    CHECK(result_of(login(&on)) == FILESCOM_OK);
    CHECK(filescom_logout(on.client, NULL, text_bytes("core-session"), &exchange, on.message) ==
          FILESCOM_OK);
    CHECK(filescom_exchange_wait(exchange, -1) == FILESCOM_OK);
    CHECK(filescom_exchange_status(exchange) == 200);
    CHECK(filescom_exchange_describe(exchange).connections == 0);
    CHECK(server_count().accepted == accepted + 1);
    filescom_exchange_release(exchange);
    finish(&on);
}

static void tells_headers(void)
{
    setting on = begin();
    filescom_exchange *exchange = login(&on);
    size_t cursor = 0;
    filescom_header header;
    int count = 0;

    CHECK(filescom_exchange_header(exchange, "X-Request-Id").data == NULL);
    CHECK(filescom_exchange_wait(exchange, -1) == FILESCOM_OK);
    CHECK(equals_text(filescom_exchange_header(exchange, "x-request-id"), "r-1"));
    CHECK(filescom_exchange_retry_after(exchange) < 0);
    while (filescom_exchange_next_header(exchange, &cursor, &header))
        count++;
    CHECK(count == 4);
    filescom_exchange_release(exchange);
    finish(&on);
}

static void waits_no_longer_than_told(void)
{
    setting on = begin();
    filescom_exchange *exchange = call(&on, "/hang", 0);
    int64_t began = fc_now_ms();

    CHECK(filescom_exchange_wait(exchange, 0) == FILESCOM_PENDING);
    CHECK(filescom_exchange_wait(exchange, 100) == FILESCOM_PENDING);
    CHECK(fc_now_ms() - began >= 100 && fc_now_ms() - began < 3000);
    filescom_exchange_release(exchange);
    finish(&on);
}

static void ends_at_its_time_limit(void)
{
    setting on = begin();
    int requests = server_count().requests;
    int64_t began = fc_now_ms();

    CHECK(result_of(call(&on, "/hang", 700)) == FILESCOM_TIMEOUT);
    CHECK(fc_now_ms() - began >= 690 && fc_now_ms() - began < 5000);
    CHECK(server_wait_open(0) == 0);
    CHECK(server_count().requests == requests + 1);
    finish(&on);
}

static void ends_at_its_time_limit_on_a_kept_connection(void)
{
    setting on = begin();

    CHECK(result_of(login(&on)) == FILESCOM_OK);
    CHECK(result_of(call(&on, "/hang", 150)) == FILESCOM_TIMEOUT);
    finish(&on);
}

static void ends_at_its_time_limit_though_libcurl_forgot_it(void)
{
    setting on = begin();
    int requests = server_count().requests;
    filescom_exchange *exchange = call(&on, "/hang", 700);
    int64_t began = fc_now_ms();

    while (server_count().requests == requests)
        CHECK(filescom_exchange_wait(exchange, 1) == FILESCOM_PENDING);
    CHECK(curl_easy_setopt(exchange->handle.easy, CURLOPT_TIMEOUT_MS, 0L) == CURLE_OK);
    CHECK(filescom_exchange_wait(exchange, 5000) == FILESCOM_OK);
    CHECK(filescom_exchange_result(exchange) == FILESCOM_TIMEOUT);
    CHECK(fc_now_ms() - began >= 690 && fc_now_ms() - began < 5000);
    CHECK(filescom_engine_in_flight(on.engine) == 0);
    filescom_exchange_release(exchange);
    CHECK(server_wait_open(0) == 0);
    CHECK(result_of(login(&on)) == FILESCOM_OK);
    finish(&on);
}

static void is_cancelled_when_released(void)
{
    setting on = begin();
    int requests = server_count().requests;
    filescom_exchange *exchange = call(&on, "/hang", 0);

    while (server_count().requests == requests)
        CHECK(filescom_exchange_wait(exchange, 1) == FILESCOM_PENDING);
    CHECK(filescom_engine_in_flight(on.engine) == 1);
    filescom_exchange_release(exchange);
    CHECK(filescom_engine_in_flight(on.engine) == 0);
    CHECK(server_wait_open(0) == 0);
    finish(&on);
}

static void is_sent_once_over_a_connection_that_breaks(void)
{
    setting on = begin();
    int requests = server_count().requests;

    CHECK(result_of(login(&on)) == FILESCOM_OK);
    CHECK(result_of(call(&on, "/close", 0)) == FILESCOM_INTERRUPTED);
    CHECK(server_count().requests == requests + 2);
    CHECK(result_of(login(&on)) == FILESCOM_OK);
    finish(&on);
}

static void is_too_large_beyond_its_limit(void)
{
    filescom_engine *engine = filescom_engine_new();
    setting on = {.engine = engine};
    filescom_options options;

    filescom_options_init(&options);
    options.base_url = server_url();
    options.max_response_size = 1999;
    CHECK(filescom_client_new(engine, &options, &on.client, on.message) == FILESCOM_OK);
    CHECK(result_of(call(&on, "/large", 0)) == FILESCOM_TOO_LARGE);
    filescom_client_release(on.client);
    options.max_response_size = 2000;
    CHECK(filescom_client_new(engine, &options, &on.client, on.message) == FILESCOM_OK);
    CHECK(result_of(call(&on, "/large", 0)) == FILESCOM_OK);
    finish(&on);
}

static void tries_a_refused_connection_again(void)
{
    setting on = begin_at(server_closed_url(), 2);
    filescom_exchange *exchange = login(&on);

    CHECK(filescom_exchange_wait(exchange, 5000) == FILESCOM_OK);
    CHECK(filescom_exchange_result(exchange) == FILESCOM_CONNECT);
    CHECK(filescom_exchange_describe(exchange).attempts == 3);
    CHECK(strstr(filescom_exchange_message(exchange), "no connection") != NULL);
    filescom_exchange_release(exchange);
    finish(&on);
}

static void is_cancelled_between_two_attempts(void)
{
    setting on = begin_at(server_closed_url(), 5);
    filescom_exchange *exchange = login(&on);

    CHECK(filescom_exchange_wait(exchange, 50) == FILESCOM_PENDING);
    filescom_exchange_release(exchange);
    CHECK(filescom_engine_in_flight(on.engine) == 0);
    finish(&on);
}

/*
 * Whatever was stepped before a wait, and however late the wait begins: libcurl may be done as soon
 * as it is called, and then nothing is left to wait for.
 */
static void ends_without_delay_however_it_was_stepped(void)
{
    setting on = begin();
    int steps, i;

    for (steps = 0; steps < 8; steps++) {
        filescom_exchange *exchange = login(&on);
        int64_t began;

        for (i = 0; i < steps; i++)
            CHECK(filescom_exchange_wait(exchange, 0) != FILESCOM_SIGNALLED);
        usleep(20000);
        began = fc_now_ms();
        CHECK(result_of(exchange) == FILESCOM_OK);
        CHECK(fc_now_ms() - began < 1000);
    }
    finish(&on);
}

static void ends_every_one_of_many_quick_ones(void)
{
    setting on = begin();
    int i;

    for (i = 0; i < 1000; i++)
        if (!CHECK(result_of(login(&on)) == FILESCOM_OK))
            break;
    finish(&on);
}

/* ---- several exchanges ---------------------------------------------------------------------- */

static void lets_others_go_on(void)
{
    enum { COUNT = 10 };
    filescom_exchange *exchanges[COUNT];
    setting on = begin();
    int requests = server_count().requests;
    int i;

    for (i = 0; i < COUNT; i++)
        exchanges[i] = call(&on, "/hang", 0);
    CHECK(filescom_engine_in_flight(on.engine) == COUNT);
    /* None is answered: while one is waited for, every other one is sent. */
    for (i = 0; i < 5000 && server_count().requests < requests + COUNT; i++)
        CHECK(filescom_exchange_wait(exchanges[0], 1) == FILESCOM_PENDING);
    CHECK(server_count().requests == requests + COUNT);
    for (i = 0; i < COUNT; i++)
        filescom_exchange_release(exchanges[i]);
    finish(&on);
}

static void are_no_more_than_allowed(void)
{
    setting on = {.engine = filescom_engine_new()};
    filescom_exchange *first, *second = NULL;
    filescom_request request = {.method = "GET", .path = text_bytes("/slow")};
    filescom_options options;

    filescom_options_init(&options);
    options.base_url = server_url();
    options.max_in_flight = 1;
    CHECK(filescom_client_new(on.engine, &options, &on.client, on.message) == FILESCOM_OK);
    first = call(&on, "/slow", 0);
    CHECK(filescom_call(on.client, &request, &second, on.message) == FILESCOM_BUSY);
    CHECK(second == NULL && on.message[0] != '\0');
    CHECK(result_of(first) == FILESCOM_OK);
    CHECK(result_of(call(&on, "/user", 0)) == FILESCOM_OK);
    finish(&on);
}

static void has_numbers_of_their_own(void)
{
    setting on = begin();
    filescom_exchange *first = login(&on), *second = login(&on);

    CHECK(filescom_exchange_id(first) != filescom_exchange_id(second));
    filescom_exchange_release(first);
    filescom_exchange_release(second);
    finish(&on);
}

static void outlives_its_client_and_engine(void)
{
    setting on = begin();
    filescom_exchange *exchange = login(&on);

    finish(&on);
    CHECK(result_of(exchange) == FILESCOM_OK);
}

static void outlives_its_client_and_engine_when_cancelled(void)
{
    setting on = begin();
    filescom_exchange *exchange = call(&on, "/hang", 0);

    CHECK(filescom_exchange_wait(exchange, 20) == FILESCOM_PENDING);
    finish(&on);
    filescom_exchange_release(exchange);
    CHECK(server_wait_open(0) == 0);
}

/* ---- stepping ------------------------------------------------------------------------------- */

#if FC_HAVE_EPOLL

/* Waits for the descriptor, and steps, until an exchange ended. */
static filescom_exchange *step_until_ended(filescom_engine *engine)
{
    filescom_exchange *ended = NULL;
    int64_t began = fc_now_ms();

    while ((ended = filescom_engine_next_news(engine)) == NULL && fc_now_ms() - began < 5000) {
        struct pollfd watched = {filescom_engine_descriptor(engine), POLLIN, 0};

        if (poll(&watched, 1, 5000) > 0)
            filescom_engine_step(engine);
    }
    return ended;
}

static void is_told_by_the_descriptor(void)
{
    setting on = begin();
    filescom_exchange *exchange = call(&on, "/slow", 0);

    CHECK(step_until_ended(on.engine) == exchange);
    CHECK(filescom_engine_next_news(on.engine) == NULL);
    CHECK(filescom_exchange_status(exchange) == 200);
    filescom_exchange_release(exchange);
    finish(&on);
}

static void is_told_by_the_descriptor_over_retries_and_limits(void)
{
    setting on = begin_at(server_closed_url(), 1);
    setting other = begin();
    filescom_exchange *refused = login(&on), *late = call(&other, "/hang", 100);

    CHECK(step_until_ended(on.engine) == refused);
    CHECK(filescom_exchange_result(refused) == FILESCOM_CONNECT);
    CHECK(step_until_ended(other.engine) == late);
    CHECK(filescom_exchange_result(late) == FILESCOM_TIMEOUT);
    filescom_exchange_release(refused);
    filescom_exchange_release(late);
    finish(&on);
    finish(&other);
}

static void is_told_by_the_descriptor_again_and_again(void)
{
    setting on = begin();
    int i;

    for (i = 0; i < 300; i++) {
        filescom_exchange *exchange = login(&on);

        if (!CHECK(step_until_ended(on.engine) == exchange))
            i = 300;
        filescom_exchange_release(exchange);
    }
    finish(&on);
}

static void sleeps_when_there_is_nothing_to_do(void)
{
    setting on = begin();
    struct pollfd watched = {filescom_engine_descriptor(on.engine), POLLIN, 0};
    int spins = 0;
    filescom_exchange *exchange = login(&on);

    CHECK(step_until_ended(on.engine) == exchange);
    filescom_exchange_release(exchange);
    while (poll(&watched, 1, 50) > 0 && spins < 100) {
        filescom_engine_step(on.engine);
        spins++;
    }
    CHECK(spins < 10);
    finish(&on);
}

static void on_signal(int number)
{
    (void)number;
}

static void is_interrupted_by_a_signal(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    struct itimerval soon = {.it_value = {.tv_usec = 30000}};
    setting on = begin();
    filescom_exchange *exchange = call(&on, "/slow", 0);
    filescom_code code;

    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &soon, NULL);
    code = filescom_exchange_wait(exchange, -1);
    CHECK(code == FILESCOM_SIGNALLED);
    CHECK(filescom_exchange_result(exchange) == FILESCOM_PENDING);
    CHECK(result_of(exchange) == FILESCOM_OK);
    finish(&on);
}

#else

static void has_no_descriptor(void)
{
    setting on = begin();

    CHECK(filescom_engine_descriptor(on.engine) == -1);
    CHECK(result_of(login(&on)) == FILESCOM_OK);
    finish(&on);
}

#endif

static void is_not_told_twice(void)
{
    setting on = begin();
    filescom_exchange *exchange = login(&on);

    CHECK(filescom_exchange_wait(exchange, -1) == FILESCOM_OK);
    CHECK(filescom_engine_next_news(on.engine) == NULL);
    filescom_exchange_release(exchange);
    finish(&on);
}

/* ---- mistakes ------------------------------------------------------------------------------- */

static void begins_nothing_for(const filescom_request *request, const char *what)
{
    setting on = begin();
    filescom_exchange *exchange = NULL;

    CHECK_ROW(filescom_call(on.client, request, &exchange, on.message) == FILESCOM_BAD_ARGUMENT,
              what);
    CHECK_ROW(exchange == NULL && on.message[0] != '\0', what);
    CHECK_ROW(strstr(on.message, "secret") == NULL, what);
    CHECK_ROW(filescom_engine_in_flight(on.engine) == 0, what);
    finish(&on);
}

static void refuses_mistakes(void)
{
    static const filescom_bytes path = {"/user", 5};
    static const char *const methods[] = {
        "", "get", "G T", "GET\r\n", "GET /x HTTP/1.1", "TOOLONGFORAMETHODNAME"};
    static const char *const paths[] = {"",          "user", "/a b", "/a\r\nb", "/a#b",
                                        "/\xc3\xa9", " /",   "/\t",  "\\",      "/\x7f"};
    static const char *const ids[] = {"", "secret\r\nX: y", "secret id", "secret\xc3\xa9"};
    static const filescom_header headers[] = {
        {{"X-FilesAPI-Auth", 15}, {"secret", 6}},
        {{"x-filesapi-key", 14}, {"secret", 6}},
        {{"Host", 4}, {"evil", 4}},
        {{"content-length", 14}, {"0", 1}},
        {{"Transfer-Encoding", 17}, {"x", 1}},
        {{"Connection", 10}, {"close", 5}},
        {{"", 0}, {"x", 1}},
        {{"X:Y", 3}, {"x", 1}},
        {{"X Y", 3}, {"x", 1}},
        {{"X\r\nY", 4}, {"x", 1}},
        {{"X", 1}, {"a\r\nsecret", 9}},
        {{"X", 1}, {"a\0secret", 8}},
    };
    size_t i;

    for (i = 0; i < sizeof methods / sizeof *methods; i++)
        begins_nothing_for(&(filescom_request){.method = methods[i], .path = path}, methods[i]);
    for (i = 0; i < sizeof paths / sizeof *paths; i++)
        begins_nothing_for(&(filescom_request){.method = "GET", .path = text_bytes(paths[i])},
                           paths[i]);
    for (i = 0; i < sizeof ids / sizeof *ids; i++)
        begins_nothing_for(
            &(filescom_request){.method = "GET", .path = path, .session_id = text_bytes(ids[i])},
            ids[i]);
    for (i = 0; i < sizeof headers / sizeof *headers; i++)
        begins_nothing_for(
            &(filescom_request){
                .method = "GET", .path = path, .headers = &headers[i], .header_count = 1},
            headers[i].name.data);
    begins_nothing_for(
        &(filescom_request){.method = "GET", .path = path, .base_url = "http://evil"}, "base_url");
}

static void refuses_wrong_options(void)
{
    filescom_engine *engine = filescom_engine_new();
    filescom_client *client = NULL;
    char message[FILESCOM_MESSAGE_SIZE];
    filescom_options wrong[7];
    size_t i;

    for (i = 0; i < 7; i++)
        filescom_options_init(&wrong[i]);
    wrong[0].base_url = "http://app.files.com";
    wrong[1].timeout_ms = 0;
    wrong[2].connect_timeout_ms = -1;
    wrong[3].retries = -1;
    wrong[4].max_response_size = 0;
    wrong[5].user_agent = "a\r\nb";
    wrong[6].workspace_id = "1\n";
    for (i = 0; i < 7; i++) {
        CHECK(filescom_client_new(engine, &wrong[i], &client, message) == FILESCOM_BAD_ARGUMENT);
        CHECK(client == NULL && message[0] != '\0');
    }
    filescom_engine_release(engine);
}

static void releases_nothing_without_harm(void)
{
    filescom_exchange_release(NULL);
    filescom_client_release(NULL);
    filescom_engine_release(NULL);
    CHECK(filescom_code_type(FILESCOM_OK) == NULL);
    CHECK(strcmp(filescom_code_type(FILESCOM_TLS), "network/tls") == 0);
}

const test exchange_tests[] = {
    {"a login answers with status and body", logs_in},
    {"a logout goes over the login's connection", logs_out_over_the_same_connection},
    {"an exchange tells its answer's headers", tells_headers},
    {"a wait takes no longer than it was told", waits_no_longer_than_told},
    {"an exchange ends at its time limit, and its connection with it", ends_at_its_time_limit},
    {"an exchange ends at its time limit on a kept connection",
     ends_at_its_time_limit_on_a_kept_connection},
    {"an exchange that libcurl forgot ends at its time limit, by the engine",
     ends_at_its_time_limit_though_libcurl_forgot_it},
    {"an exchange that is released in flight is cancelled", is_cancelled_when_released},
    {"a request is sent once over a kept connection that breaks",
     is_sent_once_over_a_connection_that_breaks},
    {"an answer of max_response_size is taken, a larger one is not", is_too_large_beyond_its_limit},
    {"a refused connection is tried again", tries_a_refused_connection_again},
    {"an exchange between two attempts is cancelled", is_cancelled_between_two_attempts},
    {"an exchange ends without delay, however it was stepped before",
     ends_without_delay_however_it_was_stepped},
    {"a thousand quick exchanges all end", ends_every_one_of_many_quick_ones},
    {"other exchanges go on while one is waited for", lets_others_go_on},
    {"exchanges of a client are no more at once than it allows", are_no_more_than_allowed},
    {"exchanges have numbers of their own", has_numbers_of_their_own},
    {"an exchange outlives its client and its engine", outlives_its_client_and_engine},
    {"an exchange is cancelled after its client and its engine were released",
     outlives_its_client_and_engine_when_cancelled},
#if FC_HAVE_EPOLL
    {"the descriptor tells of an exchange's end", is_told_by_the_descriptor},
    {"the descriptor tells of retries and time limits",
     is_told_by_the_descriptor_over_retries_and_limits},
    {"the descriptor tells of 300 exchanges, one after another",
     is_told_by_the_descriptor_again_and_again},
    {"the descriptor is quiet when there is nothing to do", sleeps_when_there_is_nothing_to_do},
    {"a signal ends a wait and not the exchange", is_interrupted_by_a_signal},
#else
    {"an engine without epoll has no descriptor and can be waited on", has_no_descriptor},
#endif
    {"an exchange that was waited for is not told of again", is_not_told_twice},
    {"a request with a mistake in it begins nothing", refuses_mistakes},
    {"a client with a wrong option is not made", refuses_wrong_options},
    {"nothing can be released", releases_nothing_without_harm},
    {NULL, NULL},
};
