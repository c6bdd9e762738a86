/*
 * setopt.h - setting an option of the easy handle `easy`, in a function that returns a CURLcode.
 *
 * For source files alone. Depends on libcurl.
 */
#ifndef FILESCOM_SETOPT_H
#define FILESCOM_SETOPT_H

#include <curl/curl.h>

/* Returns from the function where libcurl refuses. */
#define SET(option, value)                                                                         \
    do {                                                                                           \
        CURLcode code_ = curl_easy_setopt(easy, option, value);                                    \
        if (code_ != CURLE_OK)                                                                     \
            return code_;                                                                          \
    } while (0)

#endif
