/*
 * counted.h - malloc and its kin, counted, and made to fail at a chosen call.
 *
 * The core and the binding are linked with -Wl,--wrap for each of these functions, so that calls of
 * theirs come here and nobody else's do; libcurl's come here where it is given counted_* by
 * curl_global_init_mem. Any thread may allocate. Depends on the C library alone.
 */
#ifndef COUNTED_H
#define COUNTED_H

#include <stdbool.h>
#include <stddef.h>

/* How allocations fail once they do. */
typedef enum counted_mode {
    FAIL_ONCE, /* the one that was chosen, and no other */
    FAIL_FROM, /* that one and all that follow */
} counted_mode;

/* Lets the calls from the at-th on fail as the mode says, counting from 1; 0: none does. */
void counted_arm(long at, counted_mode mode);

/* Lets no call fail any more. Returns how many did since they were armed. */
long counted_disarm(void);

/* Blocks that are allocated now. */
long counted_blocks(void);

/* The same functions for libcurl. */
void *counted_malloc(size_t size);
void *counted_calloc(size_t count, size_t size);
void *counted_realloc(void *block, size_t size);
char *counted_strdup(const char *text);
void counted_free(void *block);

#endif
