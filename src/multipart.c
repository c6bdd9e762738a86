/* multipart.c - see multipart.h. */
#define _GNU_SOURCE
#include "multipart.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PART_OVERHEAD 128

/* The key of this process's boundaries: one number read once, then counted up and mixed. */
static pthread_mutex_t key_lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t key;
static uint64_t counter;

static uint64_t read_random(void)
{
    uint64_t value = 0;
    struct timespec now;
    FILE *source = fopen("/dev/urandom", "rbe");

    if (source != NULL) {
        setvbuf(source, NULL, _IONBF, 0);
        if (fread(&value, sizeof value, 1, source) != 1)
            value = 0;
        fclose(source);
    }
    /* Without a random source a boundary may be foreseen; it is still proven absent below. */
    clock_gettime(CLOCK_REALTIME, &now);
    return value ^ ((uint64_t)now.tv_nsec << 20) ^ (uint64_t)getpid();
}

/* The mixing function of splitmix64: a permutation of 64-bit numbers. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* Eleven characters, all of which may stand in a boundary without quotes. */
static void write_characters(uint64_t number, char *text)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    int shift;

    for (shift = 60; shift >= 0; shift -= 6)
        *text++ = alphabet[number >> shift & 63];
    *text = '\0';
}

static void make_boundary(char boundary[FC_BOUNDARY_SIZE])
{
    uint64_t number;

    pthread_mutex_lock(&key_lock);
    if (key == 0)
        key = read_random() | 1;
    number = key + ++counter;
    pthread_mutex_unlock(&key_lock);
    write_characters(mix(number), boundary);
}

static bool contains(filescom_bytes bytes, const char *text, size_t size)
{
    return bytes.data != NULL && memmem(bytes.data, bytes.size, text, size) != NULL;
}

static bool is_absent(const char *boundary, const fc_field *fields, size_t count)
{
    size_t size = strlen(boundary);
    size_t i;

    for (i = 0; i < count; i++)
        if (contains(fields[i].name, boundary, size) || contains(fields[i].value, boundary, size))
            return false;
    return true;
}

static fc_append append_text(fc_buffer *out, const char *text)
{
    return fc_buffer_append(out, text, strlen(text));
}

static const char *escape(char c)
{
    switch (c) {
    case '"':
        return "%22";
    case '\r':
        return "%0D";
    default:
        return "%0A";
    }
}

static size_t plain_size(filescom_bytes name, size_t from)
{
    size_t end = from;

    while (end < name.size && name.data[end] != '"' && name.data[end] != '\r' &&
           name.data[end] != '\n')
        end++;
    return end - from;
}

static fc_append append_name(fc_buffer *out, filescom_bytes name)
{
    fc_append result = FC_APPENDED;
    size_t at = 0;

    while (at < name.size && result == FC_APPENDED) {
        size_t plain = plain_size(name, at);

        result = fc_buffer_append(out, name.data + at, plain);
        at += plain;
        if (result == FC_APPENDED && at < name.size)
            result = append_text(out, escape(name.data[at++]));
    }
    return result;
}

static fc_append append_part(fc_buffer *out, const char *boundary, const fc_field *field)
{
    fc_append result;

    if ((result = append_text(out, "--")) || (result = append_text(out, boundary)) ||
        (result = append_text(out, "\r\nContent-Disposition: form-data; name=\"")) ||
        (result = append_name(out, field->name)) || (result = append_text(out, "\"\r\n\r\n")) ||
        (result = fc_buffer_append(out, field->value.data, field->value.size)))
        return result;
    return append_text(out, "\r\n");
}

static size_t expected_size(const fc_field *fields, size_t count)
{
    size_t size = PART_OVERHEAD;
    size_t i;

    for (i = 0; i < count; i++)
        if (fields[i].value.data != NULL)
            size += fields[i].name.size + fields[i].value.size + PART_OVERHEAD;
    return size;
}

fc_append fc_multipart_build(fc_buffer *out, const fc_field *fields, size_t count,
                             char boundary[FC_BOUNDARY_SIZE])
{
    fc_append result = fc_buffer_reserve(out, expected_size(fields, count));
    size_t i;

    do
        make_boundary(boundary);
    while (!is_absent(boundary, fields, count));

    for (i = 0; i < count && result == FC_APPENDED; i++)
        if (fields[i].value.data != NULL)
            result = append_part(out, boundary, &fields[i]);
    if (result || (result = append_text(out, "--")) || (result = append_text(out, boundary)))
        return result;
    return append_text(out, "--\r\n");
}
