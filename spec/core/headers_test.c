/* headers_test.c - header blocks, dates and Retry-After. See check.h. */
#include "check.h"
#include "headers.h"

#include <stdio.h>
#include <string.h>

#define NOW INT64_C(784111777) /* Sun, 06 Nov 1994 08:49:37 GMT */

static const char BLOCK[] = "HTTP/1.1 200 OK: fine\r\n"
                            "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                            "X-Empty:\r\n"
                            "X-Blank:  \t \r\n"
                            "no colon here\r\n"
                            ": no name\r\n"
                            "x-padded: \t in the middle \t\r\n"
                            "X-Colon: a:b:c\r\n"
                            "X-Twice: one\r\n"
                            "X-TWICE: two\r\n"
                            "X-Bare: newline\n"
                            "\r\n";

static filescom_bytes find(const char *name)
{
    return fc_headers_find(text_bytes(BLOCK), name);
}

static void finds_headers_in_any_case(void)
{
    CHECK(equals_text(find("date"), "Sun, 06 Nov 1994 08:49:37 GMT"));
    CHECK(equals_text(find("DATE"), "Sun, 06 Nov 1994 08:49:37 GMT"));
    CHECK(equals_text(find("X-Padded"), "in the middle"));
    CHECK(equals_text(find("x-colon"), "a:b:c"));
    CHECK(equals_text(find("x-bare"), "newline"));
}

static void finds_the_first_of_a_name(void)
{
    CHECK(equals_text(find("x-twice"), "one"));
}

static void tells_empty_from_absent(void)
{
    CHECK(find("x-empty").data != NULL && find("x-empty").size == 0);
    CHECK(find("x-blank").data != NULL && find("x-blank").size == 0);
    CHECK(find("x-missing").data == NULL);
    CHECK(find("").data == NULL);
    CHECK(find("X-Twic").data == NULL);
    CHECK(find("X-Twice2").data == NULL);
    CHECK(find("HTTP/1.1 200 OK").data == NULL);
}

static void walks_every_header_once(void)
{
    size_t cursor = 0;
    filescom_header header;
    int count = 0;

    while (fc_headers_next(text_bytes(BLOCK), &cursor, &header))
        count++;
    CHECK(count == 8);
    CHECK(!fc_headers_next(text_bytes(BLOCK), &cursor, &header));
}

static void survives_any_bytes(void)
{
    char block[64];
    int round;
    size_t i;

    for (round = 0; round < 20000; round++) {
        static const char special[] = ":\r\n \tHTTP/a";
        filescom_bytes bytes = {block, random_below(sizeof block)};
        size_t cursor = 0;
        filescom_header header;

        for (i = 0; i < bytes.size; i++)
            block[i] = random_below(4) ? special[random_below(sizeof special - 1)] : '\0';
        while (fc_headers_next(bytes, &cursor, &header)) {
            CHECK(header.name.data >= block && header.name.data <= block + bytes.size);
            CHECK(header.value.data + header.value.size <= block + bytes.size);
            CHECK(memchr(header.value.data, '\n', header.value.size) == NULL);
        }
        CHECK(cursor == bytes.size);
    }
}

static void reads_retry_after(void)
{
    static const struct {
        const char *value;
        double seconds;
    } rows[] = {
        {"0", 0},
        {"1", 1},
        {"600", 600},
        {"000600", 600},
        {"999999999999999", 999999999999999.0},
        {"9999999999999999", -1},
        {"99999999999999999999999999999999999999", -1},
        {"-1", -1},
        {"+5", -1},
        {"1.5", -1},
        {"1e3", -1},
        {"0x10", -1},
        {"5 seconds", -1},
        {"5, 6", -1},
        {"", -1},
        {" ", -1},
        {"soon", -1},
        {"NaN", -1},
        {"inf", -1},
        {"Mon", -1},
        {"Sun, 06 Nov 1994 08:59:37 GMT", 600},
        {"Sunday, 06-Nov-94 08:59:37 GMT", 600},
        {"Sun Nov  6 08:59:37 1994", 600},
        {"Sun, 06 Nov 1994 08:49:37 GMT", 0},
        {"Sun, 06 Nov 1994 08:00:00 GMT", 0},
        {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
        {"Sun, 99 Nov 1994 08:59:37 GMT", -1},
        {"Sun, 06 Foo 1994 08:59:37 GMT", -1},
    };
    size_t i;

    for (i = 0; i < sizeof rows / sizeof *rows; i++)
        CHECK_ROW(fc_retry_after(text_bytes(rows[i].value), NOW) == rows[i].seconds, rows[i].value);
    CHECK(fc_retry_after((filescom_bytes){NULL, 0}, NOW) == -1);
}

static void takes_a_date_before_1970_for_passed(void)
{
    CHECK(fc_retry_after(text_bytes("Mon, 06 Nov 1950 08:00:00 GMT"), NOW) == 0);
}

static void takes_a_far_date_whole(void)
{
    double seconds = fc_retry_after(text_bytes("Fri, 31 Dec 2100 23:59:59 GMT"), NOW);

    CHECK(seconds == 4133980799.0 - (double)NOW);
}

static void refuses_a_long_date(void)
{
    char text[300];
    int64_t seconds;

    memset(text, ' ', sizeof text);
    memcpy(text, "Sun, 06 Nov 1994 08:49:37 GMT", 29);
    CHECK(!fc_http_date((filescom_bytes){text, sizeof text}, &seconds));
    CHECK(fc_http_date((filescom_bytes){text, 29}, &seconds) && seconds == NOW);
}

const test headers_tests[] = {
    {"a header is found in any case, without the blanks around its value",
     finds_headers_in_any_case},
    {"the first of several headers of a name is found", finds_the_first_of_a_name},
    {"an empty header is not an absent one", tells_empty_from_absent},
    {"a walk sees every header once", walks_every_header_once},
    {"any bytes can be walked as headers", survives_any_bytes},
    {"Retry-After is a whole number, or a date, or nothing", reads_retry_after},
    {"a date before 1970 has passed", takes_a_date_before_1970_for_passed},
    {"a date of another century is told in seconds", takes_a_far_date_whole},
    {"a date longer than dates are is none", refuses_a_long_date},
    {NULL, NULL},
};
