/*
 * headers.c - fuzzes the reading of header blocks, HTTP dates and Retry-After.
 *
 * Input: four bytes of time, then a header block. Every value of the block, every line of it and
 * the block itself are also read as dates and as Retry-After.
 */
#include "headers.h"
#include "input.h"

#include <ctype.h>
#include <math.h>
#include <strings.h>
#include <time.h>

#define MOST_DIGITS 15
#define LAST_DATE INT64_C(253402300799) /* the end of the year 9999 */

/* ---- dates ---------------------------------------------------------------------------------- */

/* A date that was written by the C library is read as the same time. */
static void check_written_date(int64_t seconds)
{
    time_t time = (time_t)seconds;
    struct tm parts;
    char text[64];
    int64_t found = 0;
    size_t size;

    PROMISE(gmtime_r(&time, &parts) != NULL);
    size = strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    PROMISE(fc_http_date((filescom_bytes){text, size}, &found) && found == seconds);
    PROMISE(fc_retry_after((filescom_bytes){text, size}, seconds - 7) == 7);
    PROMISE(fc_retry_after((filescom_bytes){text, size}, seconds + 7) == 0);
}

static bool is_number(filescom_bytes value)
{
    size_t i;

    for (i = 0; i < value.size; i++)
        if (!isdigit((unsigned char)value.data[i]))
            return false;
    return value.size > 0;
}

static void check_value(filescom_bytes bytes, int64_t now)
{
    filescom_bytes value = copy_of(bytes);
    int64_t date = 0;
    bool is_date = fc_http_date(value, &date);
    double seconds = fc_retry_after(value, now);

    PROMISE(isfinite(seconds) && floor(seconds) == seconds &&
            seconds < 1e18); /* an integer in Lua */
    if (is_number(value)) {
        char *text = text_of(value);

        PROMISE(!is_date);
        PROMISE(seconds == (value.size <= MOST_DIGITS ? strtod(text, NULL) : -1));
        free(text);
    } else {
        PROMISE(seconds == (is_date && date <= LAST_DATE ? fmax((double)(date - now), 0) : -1));
    }
    free_bytes(value);
}

/* ---- blocks --------------------------------------------------------------------------------- */

static bool lies_in(filescom_bytes part, filescom_bytes whole)
{
    return part.data >= whole.data && part.data + part.size <= whole.data + whole.size;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_trimmed(filescom_bytes part)
{
    return part.size == 0 || (!is_blank(part.data[0]) && !is_blank(part.data[part.size - 1]));
}

/* A header is a part of one line, in one piece with its colon. */
static void check_header(filescom_bytes block, const filescom_header *header)
{
    PROMISE(lies_in(header->name, block) && lies_in(header->value, block));
    PROMISE(header->name.data + header->name.size < header->value.data + header->value.size + 1);
    PROMISE(is_trimmed(header->name) && is_trimmed(header->value));
    PROMISE(header->name.size == 0 || (memchr(header->name.data, ':', header->name.size) == NULL &&
                                       memchr(header->name.data, '\n', header->name.size) == NULL));
    PROMISE(header->value.size == 0 ||
            memchr(header->value.data, '\n', header->value.size) == NULL);
}

/* What is found by a name is the first header that has it in any case. */
static void check_found(filescom_bytes block, const char *name)
{
    filescom_bytes found = fc_headers_find(block, name);
    filescom_header header;
    size_t cursor = 0;

    while (fc_headers_next(block, &cursor, &header)) {
        char *other = text_of(header.name);
        bool same = strlen(other) == header.name.size && strcasecmp(other, name) == 0;

        free(other);
        if (same) {
            PROMISE(found.data == header.value.data && found.size == header.value.size);
            return;
        }
    }
    PROMISE(found.data == NULL && found.size == 0);
}

static void check_block(filescom_bytes block, int64_t now)
{
    filescom_header header;
    size_t cursor = 0;
    size_t before = 0;

    fc_http_date(fc_headers_find(block, "Date"), &now);
    while (fc_headers_next(block, &cursor, &header)) {
        char *name = text_of(header.name);

        PROMISE(cursor > before && cursor <= block.size);
        before = cursor;
        check_header(block, &header);
        check_value(header.value, now);
        if (strlen(name) == header.name.size && cursor < 4096)
            check_found(block, name);
        free(name);
    }
    PROMISE(cursor == block.size);
    check_found(block, "retry-after");
    check_found(block, "X-Request-Id");
    check_found(block, "");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input from = input_of(data, size);
    int64_t now = (int64_t)take_number(&from, 4);
    filescom_bytes block = copy_of((filescom_bytes){from.at, from.left});

    check_written_date(now);
    check_block(block, now);
    check_value(block, now);
    while (from.left > 0)
        check_value(take_line(&from), now);
    free_bytes(block);
    return 0;
}
