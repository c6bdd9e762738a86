/*
 * headers.h - reading the header block of an answer, as it came off the wire.
 *
 * Depends on filescom.h for its types and on libcurl for dates.
 */
#ifndef FILESCOM_HEADERS_H
#define FILESCOM_HEADERS_H

#include "filescom.h"

#pragma GCC visibility push(hidden)

/*
 * Walks a block of header lines: *cursor starts at 0. Lines without a colon (the status line) are
 * passed over; blanks around a value are dropped. False after the last one.
 */
bool fc_headers_next(filescom_bytes block, size_t *cursor, filescom_header *header);

/* The value of the first header of that name, in any case; absent where there is none. */
filescom_bytes fc_headers_find(filescom_bytes block, const char *name);

/*
 * Seconds from a Retry-After value (RFC 9110, 10.2.3): a whole number, or a date that is taken
 * relative to now (seconds since 1970, the service's own clock where it told it). A date that has
 * passed is 0; what is neither is negative.
 */
double fc_retry_after(filescom_bytes value, int64_t now);

/* Reads an HTTP date as seconds since 1970; false where it is none. */
bool fc_http_date(filescom_bytes value, int64_t *seconds);

#pragma GCC visibility pop

#endif
