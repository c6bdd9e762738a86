/*
 * input.h - what the fuzzers share: taking a fuzz input apart, and promises that end the program.
 *
 * Depends on the C library and filescom.h.
 */
#ifndef FUZZ_INPUT_H
#define FUZZ_INPUT_H

#include "filescom.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A promise of the code under test; the program ends where it is broken, which is a finding. */
#define PROMISE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #condition);                \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* What is left of a fuzz input. Past its end bytes are 0. */
typedef struct input {
    const char *at;
    size_t left;
} input;

static inline input input_of(const uint8_t *data, size_t size)
{
    return (input){(const char *)data, size};
}

static inline unsigned take_byte(input *from)
{
    if (from->left == 0)
        return 0;
    from->left--;
    return (unsigned char)*from->at++;
}

/* A number of so many bytes, the most significant first. */
static inline uint64_t take_number(input *from, int bytes)
{
    uint64_t number = 0;

    while (bytes-- > 0)
        number = number << 8 | take_byte(from);
    return number;
}

/* At most so many bytes, where they lie. */
static inline filescom_bytes take_bytes(input *from, size_t size)
{
    filescom_bytes taken = {from->at, size < from->left ? size : from->left};

    from->at += taken.size;
    from->left -= taken.size;
    return taken;
}

/* Bytes that a byte before them counts. */
static inline filescom_bytes take_counted(input *from)
{
    size_t size = take_byte(from);

    return take_bytes(from, size);
}

/* The next line without its end. */
static inline filescom_bytes take_line(input *from)
{
    const char *end = from->left ? memchr(from->at, '\n', from->left) : NULL;
    filescom_bytes line = take_bytes(from, end ? (size_t)(end - from->at) : from->left);

    take_byte(from);
    return line;
}

/* The same bytes in memory of their own, so that reading beyond them is noticed; to be freed. */
static inline filescom_bytes copy_of(filescom_bytes bytes)
{
    char *copy = malloc(bytes.size ? bytes.size : 1);

    PROMISE(copy != NULL);
    if (bytes.size > 0)
        memcpy(copy, bytes.data, bytes.size);
    return (filescom_bytes){copy, bytes.size};
}

/* The bytes up to their first NUL as a text; to be freed. */
static inline char *text_of(filescom_bytes bytes)
{
    char *text = malloc(bytes.size + 1);

    PROMISE(text != NULL);
    if (bytes.size > 0)
        memcpy(text, bytes.data, bytes.size);
    text[bytes.size] = '\0';
    return text;
}

static inline void free_bytes(filescom_bytes bytes)
{
    free((void *)(uintptr_t)bytes.data);
}

static inline bool is_same(filescom_bytes a, filescom_bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* Called by libFuzzer for every input. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
