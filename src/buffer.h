/*
 * buffer.h - growable bytes with a hard limit, wiped when they are freed.
 *
 * For requests, answers and whatever else may hold a credential: growing never leaves a copy of the
 * old contents behind. Depends on the C library alone.
 */
#ifndef FILESCOM_BUFFER_H
#define FILESCOM_BUFFER_H

#include "filescom.h"

#include <string.h>

#pragma GCC visibility push(hidden)

typedef struct fc_buffer {
    char *data;      /* NULL until the first byte */
    size_t size;     /* bytes in use */
    size_t capacity; /* bytes allocated, never more than the limit */
    size_t limit;    /* size never passes this */
} fc_buffer;

typedef enum fc_append {
    FC_APPENDED = 0,
    FC_APPEND_FULL,      /* the limit would be passed; nothing was added */
    FC_APPEND_NO_MEMORY, /* nothing was added */
} fc_append;

/* Overwrites memory in a way that the compiler may not leave out. */
void fc_wipe(void *memory, size_t size);

/* Makes room for size further bytes. */
fc_append fc_buffer_reserve(fc_buffer *buffer, size_t size) FILESCOM_MUST_USE;

/* Adds bytes at the end; all of them or none. */
static inline FILESCOM_MUST_USE fc_append fc_buffer_append(fc_buffer *buffer, const void *bytes,
                                                           size_t size)
{
    if (size > buffer->capacity - buffer->size) {
        fc_append result = fc_buffer_reserve(buffer, size);

        if (result != FC_APPENDED)
            return result;
    }
    if (size > 0) {
        memcpy(buffer->data + buffer->size, bytes, size);
        buffer->size += size;
    }
    return FC_APPENDED;
}

/* Wipes the contents and keeps the memory. */
void fc_buffer_clear(fc_buffer *buffer);

/* Wipes and frees; the limit stays and the buffer can be used again. */
void fc_buffer_free(fc_buffer *buffer);

#pragma GCC visibility pop

#endif
