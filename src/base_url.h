/*
 * base_url.h - where credentials may go: the rules for base URLs and loopback addresses.
 *
 * The public rules are filescom_base_url and filescom_region_base_url in filescom.h. Depends on
 * libcurl's URL parser, so that what is checked here is what is connected to there.
 */
#ifndef FILESCOM_BASE_URL_H
#define FILESCOM_BASE_URL_H

#include "filescom.h"

#include <sys/socket.h>

#pragma GCC visibility push(hidden)

/* Room for a base URL in its normal form, with its NUL. */
#define FC_BASE_URL_SIZE 1024

/* Whether a base URL in normal form is plain http, which is for loopback addresses alone. */
bool fc_base_url_is_plain(const char *normal);

/* Whether its host is an address, so that nothing has to be looked up. */
bool fc_base_url_is_numeric(const char *normal);

/* Whether a socket address is a loopback address. */
bool fc_is_loopback_address(const struct sockaddr *address);

#pragma GCC visibility pop

#endif
