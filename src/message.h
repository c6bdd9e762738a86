/*
 * message.h - writing the message that goes with a filescom_code.
 *
 * Depends on filescom.h for the size of a message.
 */
#ifndef FILESCOM_MESSAGE_H
#define FILESCOM_MESSAGE_H

#include "filescom.h"

#pragma GCC visibility push(hidden)

/*
 * Formats a message (FILESCOM_MESSAGE_SIZE bytes, cut where it is longer) and returns code, so
 * that `return fc_fail(...)` reads as one step. Never give it a credential.
 */
filescom_code fc_fail(char *message, filescom_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same for memory that ran out, and for what errno says has run out. */
filescom_code fc_fail_no_memory(char *message);
filescom_code fc_fail_no_resource(char *message);

#pragma GCC visibility pop

#endif
