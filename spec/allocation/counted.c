/* counted.c - see counted.h. */
#include "counted.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void __real_free(void *block);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
char *__wrap_strdup(const char *text);
void __wrap_free(void *block);

static atomic_long calls, failed, blocks;
static atomic_long fail_at;
static atomic_int fail_mode;

void counted_arm(long at, counted_mode mode)
{
    calls = failed = 0;
    fail_mode = mode;
    fail_at = at;
}

long counted_disarm(void)
{
    fail_at = 0;
    return failed;
}

long counted_blocks(void)
{
    return blocks;
}

static bool fails(void)
{
    long at = fail_at;
    long call;

    if (at == 0)
        return false;
    call = atomic_fetch_add(&calls, 1) + 1;
    if (call != at && !(fail_mode == FAIL_FROM && call > at))
        return false;
    failed++;
    errno = ENOMEM;
    return true;
}

static void *noted(void *block)
{
    blocks += block != NULL;
    return block;
}

void *counted_malloc(size_t size)
{
    return fails() ? NULL : noted(__real_malloc(size));
}

void *counted_calloc(size_t count, size_t size)
{
    return fails() ? NULL : noted(__real_calloc(count, size));
}

void *counted_realloc(void *block, size_t size)
{
    void *grown = fails() ? NULL : __real_realloc(block, size);

    blocks += block == NULL && grown != NULL;
    return grown;
}

char *counted_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = counted_malloc(size);

    return copy ? memcpy(copy, text, size) : NULL;
}

void counted_free(void *block)
{
    blocks -= block != NULL;
    __real_free(block);
}

/* ---- what the linker puts in the place of the C library's ----------------------------------- */

void *__wrap_malloc(size_t size)
{
    return counted_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return counted_calloc(count, size);
}

void *__wrap_realloc(void *block, size_t size)
{
    return counted_realloc(block, size);
}

char *__wrap_strdup(const char *text)
{
    return counted_strdup(text);
}

void __wrap_free(void *block)
{
    counted_free(block);
}
