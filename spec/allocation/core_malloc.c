/*
 * core_malloc.c - one life of the core after another, each with another allocation that fails.
 *
 *   core_malloc own|libcurl|all BASE_URL CA_FILE
 *   core_malloc MODE BASE_URL CA_FILE NUMBER [from] (one life, in this process, for a debugger)
 *   core_malloc start
 *
 * own: the core's allocations fail; libcurl: libcurl's as well; all: those of its TLS library too,
 * from the first on. start: libcurl itself cannot be started at first. A life is an engine, a
 * client, a login, a call, one whose bodies are streamed, one that is cancelled, a relay, a logout.
 * A step that fails is told so cleanly, is done again with memory and then works; at the end
 * nothing is left. Lives go on until one needs fewer allocations than the failing one's number.
 * Prints "ok - SENTENCE" or, after what was wrong, "not ok - SENTENCE", and what the failures came
 * to.
 */
#include "counted.h"
#include "driver.h"
#include "filescom.h"
#include "relay.h"

#include <curl/curl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CODES (FILESCOM_BAD_ARGUMENT + 1)

static const char *const code_names[CODES] = {
    "ok",        "pending",  "signalled", "attention",   "resolve",
    "connect",   "tls",      "timeout",   "interrupted", "too large",
    "too short", "too long", "busy",      "no memory",   "bad argument"};

typedef struct life {
    const char *base_url, *ca_file;
    filescom_engine *engine;
    filescom_client *client;
    char id[128];
    char message[FILESCOM_MESSAGE_SIZE];
} life;

typedef filescom_code step(life *of);

static long outcomes[CODES];
static long absorbed; /* failures after which a step succeeded all the same */
static long deaths;   /* of libcurl, by a fault of its own */
static int wrongs;

static filescom_bytes bytes_of(const char *text)
{
    return (filescom_bytes){text, strlen(text)};
}

static void wrong(const char *what, long at, const char *detail)
{
    if (wrongs++ < 10)
        printf("# %s, with allocation %ld failing: %s\n", what, at, detail);
}

/* ---- the steps of a life -------------------------------------------------------------------- */

static filescom_code make_engine(life *of)
{
    of->engine = filescom_engine_new();
    return of->engine ? FILESCOM_OK : FILESCOM_NO_MEMORY;
}

static filescom_code make_client(life *of)
{
    filescom_options options;

    filescom_options_init(&options);
    options.base_url = of->base_url;
    options.ca_file = of->ca_file;
    options.user_agent = "allocation/1";
    options.language = "en";
    options.workspace_id = "17";
    options.retries = 0;
    options.timeout_ms = 10000;
    return filescom_client_new(of->engine, &options, &of->client, of->message);
}

/* A session that a lost answer ended already is not known any more. */
static bool is_answered(long status)
{
    return status / 100 == 2 || status == 401;
}

/* What a begun exchange comes to. */
static filescom_code complete(life *of, filescom_code begun, filescom_exchange *exchange)
{
    filescom_code code = begun;

    if (begun == FILESCOM_OK && filescom_exchange_wait(exchange, 15000) != FILESCOM_OK)
        code = FILESCOM_PENDING;
    else if (begun == FILESCOM_OK) {
        filescom_bytes body = filescom_exchange_body(exchange);

        code = filescom_exchange_result(exchange);
        snprintf(of->message, sizeof of->message, "%s", filescom_exchange_message(exchange));
        if (code == FILESCOM_OK && !is_answered(filescom_exchange_status(exchange)))
            code = FILESCOM_PENDING; /* the service refused: not what was asked for */
        if (code == FILESCOM_OK && of->id[0] == '\0' && body.data != NULL) {
            char text[2048];
            const char *found;

            snprintf(text, sizeof text, "%.*s", (int)body.size, body.data);
            found = strstr(text, "\"id\":\"");
            if (found == NULL || sscanf(found + 6, "%127[^\"]", of->id) != 1)
                code = FILESCOM_PENDING;
        }
    }
    filescom_exchange_release(exchange);
    return code;
}

static filescom_code log_in(life *of)
{
    filescom_credentials credentials = {.username = bytes_of("motor"),
                                        .password = bytes_of("vroom")};
    filescom_exchange *exchange = NULL;
    filescom_code begun = filescom_login(of->client, NULL, &credentials, &exchange, of->message);

    return complete(of, begun, exchange);
}

static filescom_request request_of(const life *of)
{
    static const filescom_header headers[] = {{{"X-Extra", 7}, {"1", 1}}};

    return (filescom_request){.method = "GET",
                              .path = {"/user", 5},
                              .session_id = bytes_of(of->id),
                              .headers = headers,
                              .header_count = 1};
}

static filescom_code call(life *of)
{
    filescom_request request = request_of(of);
    filescom_exchange *exchange = NULL;
    filescom_code begun = filescom_call(of->client, &request, &exchange, of->message);

    return complete(of, begun, exchange);
}

/* Does what is due until the exchange needs no more; false where memory ran out. */
static bool serve(filescom_exchange *exchange)
{
    static const char bytes[70000];
    filescom_code code = FILESCOM_OK;

    while (code == FILESCOM_OK && filescom_exchange_wait(exchange, 1500) == FILESCOM_ATTENTION) {
        size_t wanted = filescom_exchange_wanted(exchange);

        if (filescom_exchange_attention(exchange) == FILESCOM_TAKE)
            filescom_exchange_taken(exchange);
        else
            code = filescom_exchange_give(exchange, (filescom_bytes){bytes, wanted});
    }
    return code == FILESCOM_OK;
}

static filescom_code stream(life *of)
{
    filescom_request request = request_of(of);
    filescom_exchange *exchange = NULL;
    filescom_code begun;

    request.method = "PUT";
    request.path = bytes_of("/echo");
    request.has_sink = request.has_source = true;
    request.source_size = 100000;
    begun = filescom_call(of->client, &request, &exchange, of->message);
    if (begun == FILESCOM_OK && !serve(exchange)) {
        filescom_exchange_release(exchange);
        return FILESCOM_NO_MEMORY;
    }
    return complete(of, begun, exchange);
}

static filescom_code cancel_call(life *of)
{
    filescom_request request = request_of(of);
    filescom_exchange *exchange = NULL;
    filescom_code begun = filescom_call(of->client, &request, &exchange, of->message);

    filescom_exchange_release(exchange);
    return begun;
}

static filescom_code use_relay(life *of)
{
    fc_relay *relay = fc_relay_start(filescom_engine_descriptor(of->engine), of->message);

    fc_relay_stop(relay);
    return relay ? FILESCOM_OK : FILESCOM_NO_MEMORY;
}

static filescom_code log_out(life *of)
{
    filescom_exchange *exchange = NULL;
    filescom_code begun =
        filescom_logout(of->client, NULL, bytes_of(of->id), &exchange, of->message);

    return complete(of, begun, exchange);
}

static const struct {
    const char *name;
    step *take;
} steps[] = {
    {"engine", make_engine}, {"client", make_client}, {"login", log_in},
    {"call", call},          {"stream", stream},      {"cancelled call", cancel_call},
    {"relay", use_relay},    {"logout", log_out},
};

/* ---- lives ---------------------------------------------------------------------------------- */

static void note_failure(const char *step_name, filescom_code code, long at, bool any_code,
                         const life *of)
{
    outcomes[code]++;
    if (code == FILESCOM_NO_MEMORY || (any_code && code != FILESCOM_PENDING))
        return;
    if (code < CODES) {
        char detail[FILESCOM_MESSAGE_SIZE + 64];

        snprintf(detail, sizeof detail, "%s (%s)", code_names[code], of->message);
        wrong(step_name, at, detail);
    }
}

/*
 * libcurl 7.88 frees a host's name twice where it cannot remember a TLS session; what glibc does
 * not notice of that is counted as the deaths of libcurl are.
 */
static void judge_blocks(long left, long at, bool of_libcurl)
{
    if (left < 0 && of_libcurl)
        deaths++;
    else if (left != 0)
        wrong("the end", at, left > 0 ? "blocks are left" : "more was freed than was there");
}

/* Lives once, with the at-th allocation failing. False where there are fewer. */
static bool live(const char *base_url, const char *ca_file, long at, counted_mode mode,
                 bool any_code)
{
    life of = {.base_url = base_url, .ca_file = ca_file};
    long before = counted_blocks();
    long failed = 0;
    bool done = false;
    size_t i;

    counted_arm(at, mode);
    for (i = 0; i < sizeof steps / sizeof *steps; i++) {
        filescom_code code = steps[i].take(&of);

        if (code == FILESCOM_OK)
            continue;
        failed = counted_disarm();
        done = true;
        if (failed == 0) {
            wrong(steps[i].name, at, "it failed though every allocation succeeded");
            break;
        }
        note_failure(steps[i].name, code, at, any_code, &of);
        if (of.engine != NULL && filescom_engine_in_flight(of.engine) != 0)
            wrong(steps[i].name, at, "something is in flight still");
        code = steps[i].take(&of);
        if (code != FILESCOM_OK) {
            wrong(steps[i].name, at, "it failed again, with memory");
            wrong(steps[i].name, at, code_names[code]);
            break;
        }
    }
    if (!done) {
        failed = counted_disarm();
        absorbed += failed > 0;
    }
    filescom_client_release(of.client);
    filescom_engine_release(of.engine);
    judge_blocks(counted_blocks() - before, at, any_code);
    return failed > 0;
}

/* What a life in a process of its own came to. */
typedef struct verdict {
    bool failed; /* an allocation did */
    long outcomes[CODES], absorbed, deaths;
    int wrongs;
} verdict;

/* Where lines are counted (gcov), those that a child ran count as well. */
void __gcov_dump(void) __attribute__((weak));

/*
 * libcurl does not outlive every allocation that fails; such a death is counted, and no more, since
 * it is not for the core to mend.
 */
static bool live_in_child(const char *base_url, const char *ca_file, long at, counted_mode mode)
{
    verdict came_to = {0};
    int ends[2], status = 0, i;
    pid_t child;

    if (pipe(ends) != 0 || (child = fork()) < 0)
        abort();
    if (child == 0) {
        alarm(60);
        memset(outcomes, 0, sizeof outcomes);
        absorbed = deaths = wrongs = 0;
        came_to.failed = live(base_url, ca_file, at, mode, true);
        memcpy(came_to.outcomes, outcomes, sizeof outcomes);
        came_to.absorbed = absorbed;
        came_to.deaths = deaths;
        came_to.wrongs = wrongs;
        if (__gcov_dump != NULL)
            __gcov_dump();
        _exit(write(ends[1], &came_to, sizeof came_to) != sizeof came_to);
    }
    close(ends[1]);
    if (read(ends[0], &came_to, sizeof came_to) != sizeof came_to)
        came_to = (verdict){.failed = true};
    close(ends[0]);
    waitpid(child, &status, 0);
    for (i = 0; i < CODES; i++)
        outcomes[i] += came_to.outcomes[i];
    absorbed += came_to.absorbed;
    deaths += came_to.deaths;
    wrongs += came_to.wrongs;
    if (!WIFSIGNALED(status))
        return came_to.failed;
    printf("# allocation %ld: signal %d\n", at, WTERMSIG(status));
    deaths++;
    wrongs += WTERMSIG(status) == SIGALRM;
    return true;
}

/*
 * What libcurl and its libraries keep once they have made it is made by a life in which nothing
 * fails.
 */
static void run(const char *what, const char *base_url, const char *ca_file, counted_mode mode,
                bool any_code)
{
    long at = 1;
    int i;

    memset(outcomes, 0, sizeof outcomes);
    absorbed = wrongs = deaths = 0;
    live(base_url, ca_file, 0, mode, any_code);
    live(base_url, ca_file, 0, mode, any_code);
    wrongs = 0;
    while (any_code ? live_in_child(base_url, ca_file, at, mode)
                    : live(base_url, ca_file, at, mode, any_code))
        at++;
    printf("%s - %s, %s: %ld lives, each with another allocation failing%s\n",
           wrongs ? "not ok" : "ok", what, strncmp(base_url, "https", 5) ? "plain" : "TLS", at - 1,
           mode == FAIL_FROM ? " and all after it" : "");
    printf("# came to:");
    for (i = 0; i < CODES; i++)
        if (outcomes[i] > 0)
            printf(" %s %ld,", code_names[i], outcomes[i]);
    printf(" absorbed %ld, libcurl died %ld\n", absorbed, deaths);
    fflush(stdout);
}

/* ---- libcurl that could not be started ------------------------------------------------------ */

static int refusals;

CURLcode __real_curl_global_init_mem(long flags, curl_malloc_callback m, curl_free_callback f,
                                     curl_realloc_callback r, curl_strdup_callback s,
                                     curl_calloc_callback c);
CURLcode __wrap_curl_global_init_mem(long flags, curl_malloc_callback m, curl_free_callback f,
                                     curl_realloc_callback r, curl_strdup_callback s,
                                     curl_calloc_callback c);

CURLcode __wrap_curl_global_init_mem(long flags, curl_malloc_callback m, curl_free_callback f,
                                     curl_realloc_callback r, curl_strdup_callback s,
                                     curl_calloc_callback c)
{
    if (refusals > 0) {
        refusals--;
        return CURLE_OUT_OF_MEMORY;
    }
    return __real_curl_global_init_mem(flags, m, f, r, s, c);
}

static void start_after_failure(void)
{
    filescom_engine *engine;
    bool good;

    refusals = 1;
    engine = filescom_engine_new();
    good = engine == NULL;
    filescom_engine_release(engine);
    engine = filescom_engine_new();
    good = good && engine != NULL;
    filescom_engine_release(engine);
    printf("%s - libcurl that could not be started for want of memory is started the next time\n",
           good ? "ok" : "not ok");
    fflush(stdout);
}

/* Whoever starts libcurl first chooses its memory functions. */
static bool start_libcurl(const char *whose)
{
    if (strcmp(whose, "own") == 0)
        return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
    if (strcmp(whose, "libcurl") == 0)
        return curl_global_init_mem(CURL_GLOBAL_DEFAULT, counted_malloc, counted_free,
                                    counted_realloc, counted_strdup, counted_calloc) == CURLE_OK;
    return strcmp(whose, "all") == 0;
}

int main(int count, char **arguments)
{
    bool any_code;

    setvbuf(stdout, NULL, _IONBF, 0);
    if (count == 2 && strcmp(arguments[1], "start") == 0) {
        start_after_failure();
        return 0;
    }
    if (count < 4 || !start_libcurl(arguments[1]))
        return 2;
    any_code = strcmp(arguments[1], "own") != 0;
    if (count > 4) {
        live(arguments[2], arguments[3], 0, FAIL_ONCE, any_code);
        live(arguments[2], arguments[3], atol(arguments[4]), count > 5 ? FAIL_FROM : FAIL_ONCE,
             any_code);
        return wrongs > 0;
    }
    run(arguments[1], arguments[2], arguments[3], FAIL_ONCE, any_code);
    run(arguments[1], arguments[2], arguments[3], FAIL_FROM, any_code);
    return 0;
}
