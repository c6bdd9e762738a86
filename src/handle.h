/*
 * handle.h - libcurl's easy handles, kept from one exchange to the next.
 *
 * A kept handle saves more than a tenth of what an exchange costs. But libcurl 7.83 to 8.0
 * remembers the last header of a handle's former answer by a pointer, frees it when the next
 * transfer begins, and follows the pointer where the next answer begins with a continued header
 * line (curl issue 11101): whoever answers could make it use freed memory. With such a libcurl the
 * block that the pointer leads to is kept, whole, until another header takes its place; where that
 * cannot be done, because somebody else gave libcurl its memory functions, handles are not kept.
 *
 * Depends on buffer.h for wiping, on memory.h and libcurl.
 */
#ifndef FILESCOM_HANDLE_H
#define FILESCOM_HANDLE_H

#include "filescom.h"

#include <curl/curl.h>

#pragma GCC visibility push(hidden)

typedef struct fc_handle {
    CURL *easy;    /* NULL: none */
    char *failure; /* CURLOPT_ERRORBUFFER: how libcurl says what failed, empty where it did not */
    void *last_header; /* the block that libcurl took for its last header; NULL where it is safe */
    bool held;         /* libcurl has freed that block, and this has it still */
    const void *owner; /* the exchange that the options of the callbacks name */
    int way;           /* what the options of proxy and connection were set for; 0: nothing yet */
    bool unsure;       /* libcurl may have taken another block for its last header since */
} fc_handle;

/* Makes a new handle, with no more options than its buffer of failures. False: no memory. */
bool fc_handle_open(fc_handle *handle) FILESCOM_MUST_USE;

/* Whether handles may be used for another exchange at all, and whether this one may. */
bool fc_handles_may_be_kept(void);
bool fc_handle_may_be_kept(const fc_handle *handle);

/* To be called around what begins a transfer: its former headers are freed in between. */
void fc_handle_before_start(const fc_handle *handle);
void fc_handle_after_start(fc_handle *handle);

/*
 * To be called by the header callback, for every line that libcurl remembers as a header, and for
 * one that it may remember.
 */
void fc_handle_header_came(fc_handle *handle);
void fc_handle_header_may_have_come(fc_handle *handle);

/* Ends the handle, which is in no multi handle any more; harmless where there is none. */
void fc_handle_cleanup(fc_handle *handle);

#pragma GCC visibility pop

#endif
