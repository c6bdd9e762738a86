/*
 * multipart.h - bodies of multipart/form-data (RFC 7578), built in one buffer.
 *
 * Built here and not by curl_mime so that request and body leave in one send, and so that the bytes
 * can be wiped. Depends on buffer.h alone.
 */
#ifndef FILESCOM_MULTIPART_H
#define FILESCOM_MULTIPART_H

#include "buffer.h"

#pragma GCC visibility push(hidden)

/* A boundary with its NUL; RFC 2046 allows 70 characters. */
#define FC_BOUNDARY_SIZE 40

typedef struct fc_field {
    filescom_bytes name;  /* any bytes: quotes and line breaks are escaped as browsers do */
    filescom_bytes value; /* any bytes, sent as they are; absent: the field is left out */
} fc_field;

/*
 * Appends the body to out and writes the boundary, which occurs in no name or value. The boundary
 * cannot be foreseen by whoever chose the values, so one look at them is enough.
 * FC_APPEND_FULL or FC_APPEND_NO_MEMORY: out holds an unusable part of the body.
 */
fc_append fc_multipart_build(fc_buffer *out, const fc_field *fields, size_t count,
                             char boundary[FC_BOUNDARY_SIZE]) FILESCOM_MUST_USE;

#pragma GCC visibility pop

#endif
