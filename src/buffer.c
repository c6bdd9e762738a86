/* buffer.c - see buffer.h. */
#include "buffer.h"

#include <stdlib.h>

#define FIRST_CAPACITY 512
#define WIPED_AT_ONCE 1024

/* Called through a volatile pointer, memset has effects that the compiler cannot rule out. */
static void *(*const volatile overwrite)(void *, int, size_t) = memset;

/* In pieces that memset does with vector stores: most of what is wiped is a few KiB. */
void fc_wipe(void *memory, size_t size)
{
    char *at = memory;

    for (; size > WIPED_AT_ONCE; size -= WIPED_AT_ONCE, at += WIPED_AT_ONCE)
        overwrite(at, 0, WIPED_AT_ONCE);
    if (size > 0)
        overwrite(at, 0, size);
}

static size_t grown_capacity(const fc_buffer *buffer, size_t needed)
{
    size_t capacity = buffer->capacity ? buffer->capacity : FIRST_CAPACITY;

    while (capacity < needed)
        capacity = capacity > SIZE_MAX / 2 ? needed : capacity * 2;
    return capacity < buffer->limit ? capacity : buffer->limit;
}

fc_append fc_buffer_reserve(fc_buffer *buffer, size_t size)
{
    size_t capacity;
    char *data;

    if (size > buffer->limit || buffer->size > buffer->limit - size)
        return FC_APPEND_FULL;
    if (buffer->size + size <= buffer->capacity)
        return FC_APPENDED;

    capacity = grown_capacity(buffer, buffer->size + size);
    data = malloc(capacity); /* not realloc, which would leave the old bytes where they were */
    if (data == NULL)
        return FC_APPEND_NO_MEMORY;
    if (buffer->size > 0)
        memcpy(data, buffer->data, buffer->size);
    fc_wipe(buffer->data, buffer->size);
    free(buffer->data);
    buffer->data = data;
    buffer->capacity = capacity;
    return FC_APPENDED;
}

void fc_buffer_clear(fc_buffer *buffer)
{
    fc_wipe(buffer->data, buffer->size);
    buffer->size = 0;
}

void fc_buffer_free(fc_buffer *buffer)
{
    fc_buffer_clear(buffer);
    free(buffer->data);
    buffer->data = NULL;
    buffer->capacity = 0;
}
