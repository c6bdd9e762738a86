/*
 * multipart.c - fuzzes the builder of multipart/form-data: fields of any bytes are built, parsed by
 * a strict parser that shares nothing with the builder, and must come out as they went in.
 *
 * Input, for each field: a byte of flags, a counted name, two bytes of size and the value.
 */
#define _GNU_SOURCE
#include "multipart.h"
#include "input.h"

#define MOST_FIELDS 16

enum flags {
    ABSENT = 1,   /* the field has no value */
    BOUNDARY = 2, /* its value is the boundary of the form before, as an attacker may know it */
};

static char former[FC_BOUNDARY_SIZE] = "none";

/* ---- the parser ----------------------------------------------------------------------------- */

static void expect(input *body, const char *text)
{
    filescom_bytes found = take_bytes(body, strlen(text));

    PROMISE(is_same(found, (filescom_bytes){text, strlen(text)}));
}

static bool comes_next(const input *body, const char *text)
{
    return body->left >= strlen(text) && memcmp(body->at, text, strlen(text)) == 0;
}

/* Takes what lies before the next delimiter: CRLF, two dashes, the boundary. */
static filescom_bytes take_content(input *body, const char *boundary)
{
    char delimiter[FC_BOUNDARY_SIZE + 4];
    const char *end;

    snprintf(delimiter, sizeof delimiter, "\r\n--%s", boundary);
    end = memmem(body->at, body->left, delimiter, strlen(delimiter));
    PROMISE(end != NULL);
    return take_bytes(body, (size_t)(end - body->at));
}

/* A name up to its quote; a line break or a quote in it would be another header or parameter. */
static filescom_bytes take_name(input *body)
{
    const char *end = memchr(body->at, '"', body->left);
    filescom_bytes name;

    PROMISE(end != NULL);
    name = take_bytes(body, (size_t)(end - body->at));
    PROMISE(name.size == 0 || (memchr(name.data, '\r', name.size) == NULL &&
                               memchr(name.data, '\n', name.size) == NULL));
    return name;
}

/* Takes one part, whose delimiter was taken. */
static fc_field take_part(input *body, const char *boundary)
{
    fc_field part;

    expect(body, "\r\nContent-Disposition: form-data; name=\"");
    part.name = take_name(body);
    expect(body, "\"\r\n\r\n");
    part.value = take_content(body, boundary);
    expect(body, "\r\n--");
    expect(body, boundary);
    return part;
}

/* ---- what must come out --------------------------------------------------------------------- */

/* Compares a name with what was written for it, character by character. */
static void check_name(filescom_bytes name, filescom_bytes written)
{
    input from = {written.data, written.size};
    size_t i;

    for (i = 0; i < name.size; i++) {
        if (name.data[i] == '"')
            expect(&from, "%22");
        else if (name.data[i] == '\r')
            expect(&from, "%0D");
        else if (name.data[i] == '\n')
            expect(&from, "%0A");
        else
            PROMISE(from.left > 0 && (char)take_byte(&from) == name.data[i]);
    }
    PROMISE(from.left == 0);
}

static void check_boundary(const char *boundary, const fc_field *fields, size_t count)
{
    size_t size = strlen(boundary);
    size_t i;

    PROMISE(size > 0 && size < FC_BOUNDARY_SIZE);
    PROMISE(strspn(boundary, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") ==
            size);
    PROMISE(strcmp(boundary, former) != 0);
    for (i = 0; i < count; i++)
        PROMISE(memmem(fields[i].name.data, fields[i].name.size, boundary, size) == NULL &&
                (fields[i].value.data == NULL ||
                 memmem(fields[i].value.data, fields[i].value.size, boundary, size) == NULL));
}

static void check_body(filescom_bytes bytes, const char *boundary, const fc_field *fields,
                       size_t count)
{
    input body = {bytes.data, bytes.size};
    size_t i;

    expect(&body, "--");
    expect(&body, boundary);
    for (i = 0; i < count; i++) {
        fc_field part;

        if (fields[i].value.data == NULL)
            continue;
        PROMISE(!comes_next(&body, "--"));
        part = take_part(&body, boundary);
        check_name(fields[i].name, part.name);
        PROMISE(is_same(fields[i].value, part.value));
    }
    expect(&body, "--\r\n");
    PROMISE(body.left == 0);
}

/* With less room than a body needs the builder says so and keeps to the room. */
static void check_limit(size_t needed, size_t limit, const fc_field *fields, size_t count)
{
    fc_buffer body = {.limit = limit};
    char boundary[FC_BOUNDARY_SIZE];
    fc_append result = fc_multipart_build(&body, fields, count, boundary);

    PROMISE(body.size <= limit && body.capacity <= limit);
    PROMISE(result == FC_APPENDED ? body.size == needed : result == FC_APPEND_FULL);
    PROMISE(result == FC_APPEND_FULL || limit >= needed);
    fc_buffer_free(&body);
    memcpy(former, boundary, sizeof former);
}

/* ---- an input ------------------------------------------------------------------------------- */

static fc_field take_field(input *from)
{
    unsigned flags = take_byte(from);
    fc_field field = {.name = copy_of(take_counted(from))};
    size_t size = take_number(from, 2);
    char attack[FC_BOUNDARY_SIZE + 16];

    if (flags & ABSENT)
        return field;
    if (flags & BOUNDARY) {
        size = (size_t)snprintf(attack, sizeof attack, "\r\n--%s--\r\n", former);
        field.value = copy_of((filescom_bytes){attack, size});
    } else {
        field.value = copy_of(take_bytes(from, size));
    }
    return field;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input from = input_of(data, size);
    size_t limit = take_number(&from, 2);
    fc_field fields[MOST_FIELDS];
    fc_buffer body = {.limit = SIZE_MAX};
    char boundary[FC_BOUNDARY_SIZE];
    size_t count = 0;
    size_t i;

    while (from.left > 0 && count < MOST_FIELDS)
        fields[count++] = take_field(&from);
    PROMISE(fc_multipart_build(&body, fields, count, boundary) == FC_APPENDED);
    check_boundary(boundary, fields, count);
    memcpy(former, boundary, sizeof former);
    check_body((filescom_bytes){body.data, body.size}, boundary, fields, count);
    check_limit(body.size, limit, fields, count);
    for (i = 0; i < count; i++) {
        free_bytes(fields[i].name);
        free_bytes(fields[i].value);
    }
    fc_buffer_free(&body);
    return 0;
}
