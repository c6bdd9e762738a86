/* message.c - see message.h; the names of codes as well. */
#include "message.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

filescom_code fc_fail(char *message, filescom_code code, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(message, FILESCOM_MESSAGE_SIZE, format, arguments);
    va_end(arguments);
    return code;
}

filescom_code fc_fail_no_memory(char *message)
{
    return fc_fail(message, FILESCOM_NO_MEMORY, "not enough memory");
}

filescom_code fc_fail_no_resource(char *message)
{
    if (errno == EMFILE || errno == ENFILE)
        return fc_fail(message, FILESCOM_NO_MEMORY, "no file descriptor is left");
    return fc_fail_no_memory(message);
}

const char *filescom_code_type(filescom_code code)
{
    switch (code) {
    case FILESCOM_RESOLVE:
        return "network/resolve";
    case FILESCOM_CONNECT:
        return "network/connect";
    case FILESCOM_TLS:
        return "network/tls";
    case FILESCOM_TIMEOUT:
        return "network/timeout";
    case FILESCOM_INTERRUPTED:
        return "network/interrupted";
    case FILESCOM_TOO_LARGE:
        return "response/too-large";
    case FILESCOM_BUSY:
        return "network/busy";
    case FILESCOM_TOO_SHORT:
        return "stream/too-short";
    case FILESCOM_TOO_LONG:
        return "stream/too-long";
    default:
        return NULL;
    }
}
