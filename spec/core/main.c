/* main.c - runs the tests of the core. See check.h; the server of the tests runs beside it. */
#include "check.h"
#include "server.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static atomic_int failures;

bool check_that(bool condition, const char *text, const char *file, int line)
{
    return check_row(condition, text, "", file, line);
}

bool check_row(bool condition, const char *text, const char *what, const char *file, int line)
{
    if (condition)
        return true;
    failures++;
    printf("# %s:%d: %s%s%s\n", file, line, text, *what ? " for " : "", what);
    return false;
}

filescom_bytes text_bytes(const char *text)
{
    return (filescom_bytes){text, strlen(text)};
}

bool equals_text(filescom_bytes bytes, const char *text)
{
    return bytes.data != NULL && bytes.size == strlen(text) &&
           memcmp(bytes.data, text, bytes.size) == 0;
}

unsigned random_below(unsigned limit)
{
    static uint64_t state = 42;

    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(state >> 33) % limit;
}

static int count;

static int run_all(const test *tests)
{
    int failed = 0;

    for (; tests->sentence != NULL; tests++) {
        failures = 0;
        tests->run();
        printf("%s - %s\n", failures ? "not ok" : "ok", tests->sentence);
        fflush(stdout);
        count++;
        failed += failures > 0;
    }
    return failed;
}

int main(void)
{
    int failed;

    server_start();
    failed = run_all(buffer_tests) + run_all(multipart_tests) + run_all(headers_tests) +
             run_all(url_tests) + run_all(exchange_tests) + run_all(stream_tests) +
             run_all(process_tests);
    server_stop();
    printf("1..%d\n", count);
    return failed > 0;
}
