/*
 * memory.h - libcurl, started so that the memory it gives back is wiped.
 *
 * libcurl copies what it sends and receives (request heads, small bodies, the receive buffer) into
 * memory of its own and frees it as it is; credentials would stay behind in the heap. Depends on
 * buffer.h for wiping, on a malloc that tells the size of a block, and on libcurl.
 */
#ifndef FILESCOM_MEMORY_H
#define FILESCOM_MEMORY_H

#include "filescom.h"

#pragma GCC visibility push(hidden)

/*
 * Starts libcurl once in this process. False, with errno saying why (ENOMEM or ENOTSUP), where that
 * failed; the next call tries again. Where somebody else has started it before, or OpenSSL is in
 * use already, their memory functions stay as they are.
 */
bool fc_start_libcurl(void) FILESCOM_MUST_USE;

/* Whether libcurl, which was started, uses the functions that were given to it here. */
bool fc_memory_is_ours(void);

/* The block that libcurl was last given by calloc or realloc in this thread. */
void *fc_memory_last_block(void);

/* What that block was before, where it came by realloc; else NULL. */
void *fc_memory_last_resized(void);

/*
 * The next time that libcurl frees this block in this thread it is kept as it is (NULL: none is any
 * more). fc_memory_was_kept tells, once, that it came to pass.
 */
void fc_memory_keep(void *block);
bool fc_memory_was_kept(const void *block);

/* Wipes and frees a block that was kept. */
void fc_memory_free(void *block);

#pragma GCC visibility pop

#endif
