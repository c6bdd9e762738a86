/* headers.c - see headers.h. */
#include "headers.h"

#include <ctype.h>
#include <curl/curl.h>
#include <string.h>
#include <strings.h>

#define DATE_SIZE 64
#define LAST_DATE INT64_C(253402300799) /* the end of the year 9999 */
#define MAX_DIGITS 15 /* beyond that a number of seconds is no longer exact, nor meant */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static filescom_bytes trimmed(const char *data, size_t size)
{
    while (size > 0 && is_blank(data[size - 1]))
        size--;
    while (size > 0 && is_blank(data[0])) {
        data++;
        size--;
    }
    return (filescom_bytes){data, size};
}

bool fc_headers_next(filescom_bytes block, size_t *cursor, filescom_header *header)
{
    while (*cursor < block.size) {
        const char *line = block.data + *cursor;
        const char *end = memchr(line, '\n', block.size - *cursor);
        size_t size = end ? (size_t)(end - line) + 1 : block.size - *cursor;
        const char *colon = memchr(line, ':', size);

        *cursor += size;
        if (colon != NULL && colon > line && !(size > 5 && memcmp(line, "HTTP/", 5) == 0)) {
            header->name = trimmed(line, (size_t)(colon - line));
            header->value = trimmed(colon + 1, size - (size_t)(colon - line) - 1);
            return true;
        }
    }
    return false;
}

filescom_bytes fc_headers_find(filescom_bytes block, const char *name)
{
    size_t size = strlen(name);
    size_t cursor = 0;
    filescom_header header;

    while (fc_headers_next(block, &cursor, &header))
        if (header.name.size == size && strncasecmp(header.name.data, name, size) == 0)
            return header.value;
    return (filescom_bytes){NULL, 0};
}

static double parse_seconds(filescom_bytes value)
{
    double seconds = 0;
    size_t i;

    if (value.size == 0 || value.size > MAX_DIGITS)
        return -1;
    for (i = 0; i < value.size; i++) {
        if (!isdigit((unsigned char)value.data[i]))
            return -1;
        seconds = seconds * 10 + (value.data[i] - '0');
    }
    return seconds;
}

bool fc_http_date(filescom_bytes value, int64_t *seconds)
{
    char text[DATE_SIZE];

    if (value.size == 0 || value.size >= sizeof text || !isalpha((unsigned char)value.data[0]))
        return false;
    memcpy(text, value.data, value.size);
    text[value.size] = '\0';
    *seconds = (int64_t)curl_getdate(text, NULL);
    return *seconds != -1; /* also how curl_getdate tells of what is no date */
}

double fc_retry_after(filescom_bytes value, int64_t now)
{
    double seconds = parse_seconds(value);
    int64_t date;

    if (seconds >= 0)
        return seconds;
    if (!fc_http_date(value, &date) || date > LAST_DATE)
        return -1;
    return date > now ? (double)(date - now) : 0;
}
