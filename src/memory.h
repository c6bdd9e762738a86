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
 * Starts libcurl once in this process; false where that failed. Where somebody else has started it
 * before, or OpenSSL is in use already, their memory functions stay as they are.
 */
bool fc_start_libcurl(void) FILESCOM_MUST_USE;

#pragma GCC visibility pop

#endif
