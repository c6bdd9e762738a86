/* multipart_test.c - the multipart builder against a parser of its own. See check.h. */
#define _GNU_SOURCE
#include "check.h"
#include "multipart.h"

#include <stdio.h>
#include <string.h>

#define MOST_FIELDS 8
#define NAME_SIZE 40
#define VALUE_SIZE 3000

/* ---- the parser ----------------------------------------------------------------------------- */

/* What is left to parse. */
typedef struct rest {
    const char *at;
    size_t size;
} rest;

static bool take(rest *from, const char *text)
{
    size_t size = strlen(text);

    if (from->size < size || memcmp(from->at, text, size) != 0)
        return false;
    from->at += size;
    from->size -= size;
    return true;
}

/* Takes what comes before a mark, and the mark. */
static bool take_to(rest *from, const char *mark, filescom_bytes *taken)
{
    const char *found = memmem(from->at, from->size, mark, strlen(mark));

    if (found == NULL)
        return false;
    *taken = (filescom_bytes){from->at, (size_t)(found - from->at)};
    from->at = found + strlen(mark);
    from->size -= taken->size + strlen(mark);
    return true;
}

/* Parses a body by RFC 7578 as strictly as can be: the parts, or -1 where it is not exact. */
static int parse(filescom_bytes body, const char *boundary, fc_field *fields, int most)
{
    rest left = {body.data, body.size};
    char between[80], first[80];
    int count = 0;

    snprintf(first, sizeof first, "--%s", boundary);
    snprintf(between, sizeof between, "\r\n--%s", boundary);
    if (!take(&left, first))
        return -1;
    while (take(&left, "\r\n")) {
        if (count == most || !take(&left, "Content-Disposition: form-data; name=\"") ||
            !take_to(&left, "\"\r\n\r\n", &fields[count].name) ||
            !take_to(&left, between, &fields[count].value))
            return -1;
        count++;
    }
    return take(&left, "--\r\n") && left.size == 0 ? count : -1;
}

/* ---- what is to come out -------------------------------------------------------------------- */

/* A name as a browser writes it. */
static size_t escape_name(filescom_bytes name, char *to)
{
    size_t size = 0;
    size_t i;

    for (i = 0; i < name.size; i++)
        if (name.data[i] == '"' || name.data[i] == '\r' || name.data[i] == '\n')
            size += (size_t)sprintf(to + size, "%%%02X", (unsigned)name.data[i]);
        else
            to[size++] = name.data[i];
    return size;
}

static bool is_same(filescom_bytes a, filescom_bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* Builds, parses, and compares. */
static void round_trip(const fc_field *fields, int count)
{
    fc_buffer body = {.limit = SIZE_MAX};
    fc_field parsed[MOST_FIELDS];
    char boundary[FC_BOUNDARY_SIZE], name[NAME_SIZE * 3];
    int found, present = 0, i;

    CHECK(fc_multipart_build(&body, fields, (size_t)count, boundary) == FC_APPENDED);
    found = parse((filescom_bytes){body.data, body.size}, boundary, parsed, MOST_FIELDS);
    for (i = 0; i < count; i++) {
        if (fields[i].value.data == NULL)
            continue;
        if (!CHECK(present < found))
            break;
        CHECK(is_same(parsed[present].name,
                      (filescom_bytes){name, escape_name(fields[i].name, name)}));
        CHECK(is_same(parsed[present].value, fields[i].value));
        present++;
    }
    CHECK(found == present);
    fc_buffer_free(&body);
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void round_trips_plain_fields(void)
{
    const fc_field fields[] = {
        {{"username", 8}, {"motor", 5}},
        {{"password", 8}, {"vroom", 5}},
    };

    round_trip(fields, 2);
}

/* Bytes of which many are those that multipart is made of. */
static void fill(char *bytes, size_t size)
{
    static const char special[] = "\r\n-\"%:;= filescom-0123456789abcdef";
    size_t i;

    for (i = 0; i < size; i++)
        bytes[i] =
            random_below(3) ? special[random_below(sizeof special)] : (char)random_below(256);
}

static void round_trips_random_fields(void)
{
    static char names[MOST_FIELDS][NAME_SIZE], values[MOST_FIELDS][VALUE_SIZE];
    fc_field fields[MOST_FIELDS];
    int round, i;

    for (round = 0; round < 500; round++) {
        int count = (int)random_below(MOST_FIELDS + 1);

        for (i = 0; i < count; i++) {
            fields[i].name = (filescom_bytes){names[i], random_below(NAME_SIZE)};
            fields[i].value = (filescom_bytes){values[i], random_below(VALUE_SIZE)};
            fill(names[i], fields[i].name.size);
            fill(values[i], fields[i].value.size);
            if (random_below(5) == 0)
                fields[i].value = (filescom_bytes){NULL, 0};
        }
        round_trip(fields, count);
    }
}

static void escapes_names_as_browsers_do(void)
{
    const fc_field field = {{"a\"b\r\nc%22\0d", 11}, {"x", 1}};
    fc_buffer body = {.limit = SIZE_MAX};
    char boundary[FC_BOUNDARY_SIZE];

    CHECK(fc_multipart_build(&body, &field, 1, boundary) == FC_APPENDED);
    CHECK(memmem(body.data, body.size, "name=\"a%22b%0D%0Ac%22\0d\"\r\n", 26) != NULL);
    fc_buffer_free(&body);
}

static void leaves_out_absent_and_keeps_empty(void)
{
    const fc_field fields[] = {{{"absent", 6}, {NULL, 0}}, {{"empty", 5}, {"", 0}}};
    fc_buffer body = {.limit = SIZE_MAX};
    fc_field parsed[2];
    char boundary[FC_BOUNDARY_SIZE];

    CHECK(fc_multipart_build(&body, fields, 2, boundary) == FC_APPENDED);
    CHECK(parse((filescom_bytes){body.data, body.size}, boundary, parsed, 2) == 1);
    CHECK(equals_text(parsed[0].name, "empty") && parsed[0].value.size == 0);
    fc_buffer_free(&body);
}

static void builds_an_empty_form(void)
{
    fc_buffer body = {.limit = SIZE_MAX};
    fc_field parsed[1];
    char boundary[FC_BOUNDARY_SIZE];

    CHECK(fc_multipart_build(&body, NULL, 0, boundary) == FC_APPENDED);
    CHECK(parse((filescom_bytes){body.data, body.size}, boundary, parsed, 1) == 0);
    fc_buffer_free(&body);
}

/* How often a text occurs. */
static int occurrences(const fc_buffer *in, const char *text)
{
    rest left = {in->data, in->size};
    filescom_bytes taken;
    int count = 0;

    while (take_to(&left, text, &taken))
        count++;
    return count;
}

static void never_finds_its_boundary_in_a_value(void)
{
    char boundary[FC_BOUNDARY_SIZE], value[64];
    int i;

    snprintf(boundary, sizeof boundary, "none yet");
    for (i = 0; i < 1000; i++) {
        fc_field field = {{"password", 8}, {value, 0}};
        fc_buffer body = {.limit = SIZE_MAX};

        /* What an attacker may know is the boundary before. */
        field.value.size = (size_t)snprintf(value, sizeof value, "\r\n--%s--\r\n", boundary);
        CHECK(fc_multipart_build(&body, &field, 1, boundary) == FC_APPENDED);
        CHECK(occurrences(&body, boundary) == 2);
        fc_buffer_free(&body);
    }
}

static void makes_another_boundary_each_time(void)
{
    char boundaries[200][FC_BOUNDARY_SIZE];
    int i, j;

    for (i = 0; i < 200; i++) {
        fc_buffer body = {.limit = SIZE_MAX};

        CHECK(fc_multipart_build(&body, NULL, 0, boundaries[i]) == FC_APPENDED);
        for (j = 0; j < i; j++)
            CHECK(strcmp(boundaries[i], boundaries[j]) != 0);
        fc_buffer_free(&body);
    }
}

static void tells_where_the_limit_is_passed(void)
{
    const fc_field field = {{"password", 8}, {"0123456789", 10}};
    char boundary[FC_BOUNDARY_SIZE];
    size_t limit;

    for (limit = 0; limit < 100; limit++) {
        fc_buffer body = {.limit = limit};

        CHECK(fc_multipart_build(&body, &field, 1, boundary) == FC_APPEND_FULL);
        CHECK(body.size <= limit);
        fc_buffer_free(&body);
    }
}

const test multipart_tests[] = {
    {"a form comes out of a parser as it went in", round_trips_plain_fields},
    {"500 random forms come out of a parser as they went in", round_trips_random_fields},
    {"quotes and line breaks in names are escaped as browsers do", escapes_names_as_browsers_do},
    {"an absent field is left out and an empty one is kept", leaves_out_absent_and_keeps_empty},
    {"a form without fields is a form", builds_an_empty_form},
    {"a boundary occurs in no value, even where the last one does",
     never_finds_its_boundary_in_a_value},
    {"no two forms have one boundary", makes_another_boundary_each_time},
    {"a form that passes its buffer's limit says so", tells_where_the_limit_is_passed},
    {NULL, NULL},
};
