/* base_url.c - see base_url.h and the URL section of filescom.h. */
#include "base_url.h"
#include "message.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DEFAULT_PATH "/api/rest/v1"

/* The parts of a URL, owned by this file and freed together. */
typedef struct parts {
    char *scheme, *user, *password, *host, *port, *path, *query, *fragment;
} parts;

static void free_parts(parts *url)
{
    curl_free(url->scheme);
    curl_free(url->user);
    curl_free(url->password);
    curl_free(url->host);
    curl_free(url->port);
    curl_free(url->path);
    curl_free(url->query);
    curl_free(url->fragment);
}

/* An absent part stays NULL; false only where memory ran out. */
static bool get_part(CURLU *handle, CURLUPart part, char **value)
{
    return curl_url_get(handle, part, value, 0) != CURLUE_OUT_OF_MEMORY;
}

static bool get_parts(CURLU *handle, parts *url)
{
    return get_part(handle, CURLUPART_SCHEME, &url->scheme) &&
           get_part(handle, CURLUPART_USER, &url->user) &&
           get_part(handle, CURLUPART_PASSWORD, &url->password) &&
           get_part(handle, CURLUPART_HOST, &url->host) &&
           get_part(handle, CURLUPART_PORT, &url->port) &&
           get_part(handle, CURLUPART_PATH, &url->path) &&
           get_part(handle, CURLUPART_QUERY, &url->query) &&
           get_part(handle, CURLUPART_FRAGMENT, &url->fragment);
}

static filescom_code split(const char *text, parts *url, char *message)
{
    CURLU *handle = curl_url();
    CURLUcode parsed;
    bool complete;

    if (handle == NULL)
        return fc_fail_no_memory(message);
    parsed = curl_url_set(handle, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME);
    complete = parsed == CURLUE_OK && get_parts(handle, url);
    curl_url_cleanup(handle);
    if (parsed == CURLUE_OUT_OF_MEMORY || (parsed == CURLUE_OK && !complete))
        return fc_fail_no_memory(message);
    /* The text is not shown: it may hold a password in a place that did not parse. */
    if (parsed != CURLUE_OK || url->scheme == NULL || url->host == NULL || url->path == NULL)
        return fc_fail(message, FILESCOM_BAD_ARGUMENT,
                       "base_url must be a whole URL such as https://app.files.com");
    return FILESCOM_OK;
}

static bool is_loopback_ipv4(const char *host)
{
    struct in_addr address;

    return inet_pton(AF_INET, host, &address) == 1 && (ntohl(address.s_addr) >> 24) == 127;
}

/* A host as libcurl writes it: numeric IPv4 made plain, IPv6 in brackets. */
static bool is_loopback_host(const char *host)
{
    return strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0 ||
           is_loopback_ipv4(host);
}

bool fc_is_loopback_address(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET)
        return (ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr) >>
                24) == 127;
    if (address->sa_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(
            &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
    return false;
}

bool fc_base_url_is_plain(const char *normal)
{
    return strncmp(normal, "http://", 7) == 0;
}

bool fc_base_url_is_numeric(const char *normal)
{
    const char *host = strstr(normal, "://");

    if (host == NULL)
        return false;
    host += 3;
    return *host == '[' || host[strspn(host, "0123456789.")] == ':' ||
           host[strspn(host, "0123456789.")] == '/' || host[strspn(host, "0123456789.")] == '\0';
}

static filescom_code check_parts(const parts *url, char *message)
{
    if (url->user != NULL || url->password != NULL)
        return fc_fail(message, FILESCOM_BAD_ARGUMENT,
                       "base_url must not hold a user name or a password");
    if (url->query != NULL || url->fragment != NULL)
        return fc_fail(message, FILESCOM_BAD_ARGUMENT,
                       "base_url must not hold a query or a fragment");
    if (strcmp(url->scheme, "https") == 0)
        return FILESCOM_OK;
    if (strcmp(url->scheme, "http") == 0 && is_loopback_host(url->host))
        return FILESCOM_OK;
    return fc_fail(message, FILESCOM_BAD_ARGUMENT,
                   "base_url must be https (plain http is for loopback addresses alone)");
}

static void lower_case(char *text)
{
    for (; *text != '\0'; text++)
        *text = (char)tolower((unsigned char)*text);
}

static filescom_code join(parts *url, char *normal, size_t size, char *message)
{
    size_t path_size = strlen(url->path);
    const char *path = url->path;
    int written;

    while (path_size > 0 && path[path_size - 1] == '/')
        path_size--;
    if (path_size == 0) {
        path = DEFAULT_PATH;
        path_size = strlen(path);
    }
    lower_case(url->host);
    written = snprintf(normal, size, "%s://%s%s%s%.*s", url->scheme, url->host,
                       url->port ? ":" : "", url->port ? url->port : "", (int)path_size, path);
    if (written < 0 || (size_t)written >= size)
        return fc_fail(message, FILESCOM_BAD_ARGUMENT, "base_url is too long");
    return FILESCOM_OK;
}

/* Older libcurls let some of these through in a host or a path. */
static bool has_unsafe_bytes(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text <= ' ' || (unsigned char)*text >= 0x7f || *text == '\\')
            return true;
    return false;
}

/* libcurl decodes a host but does not look at it again: its normal form would not be one. */
static bool has_escaped_host(const char *text)
{
    const char *host = strchr(text, ':');

    host = host ? host + 1 : text;
    host += strspn(host, "/");
    return memchr(host, '%', strcspn(host, "/?#")) != NULL;
}

filescom_code filescom_base_url(const char *text, char *normal, size_t size, char *message)
{
    parts url = {0};
    filescom_code code;

    if (strlen(text) >= FC_BASE_URL_SIZE)
        return fc_fail(message, FILESCOM_BAD_ARGUMENT, "base_url is too long");
    if (has_unsafe_bytes(text))
        return fc_fail(message, FILESCOM_BAD_ARGUMENT,
                       "base_url must hold visible ASCII only, without backslashes");
    if (has_escaped_host(text))
        return fc_fail(message, FILESCOM_BAD_ARGUMENT,
                       "base_url must not hold an escaped host name");
    code = split(text, &url, message);
    if (code == FILESCOM_OK)
        code = check_parts(&url, message);
    if (code == FILESCOM_OK)
        code = join(&url, normal, size, message);
    free_parts(&url);
    return code;
}

/* ---- another host --------------------------------------------------------------------------- */

/* Nothing follows the authority, not even what a parser would take away again. */
static bool is_bare(const char *text)
{
    const char *authority = strstr(text, "://");

    return authority != NULL && authority[3] != '\0' && strpbrk(authority + 3, "/?#") == NULL;
}

filescom_code filescom_origin(const char *text, char *normal, size_t size, char *message)
{
    static const char root[] = "/-"; /* a path that is kept as it is */
    char with_path[FC_BASE_URL_SIZE];
    int written = snprintf(with_path, sizeof with_path, "%s%s", text, root);
    filescom_code code;

    if (written < 0 || (size_t)written >= sizeof with_path)
        return fc_fail(message, FILESCOM_BAD_ARGUMENT, "the address is too long");
    if (!is_bare(text))
        return fc_fail(message, FILESCOM_BAD_ARGUMENT, "the address is more than an origin");
    code = filescom_base_url(with_path, normal, size, message);
    if (code == FILESCOM_BAD_ARGUMENT)
        return fc_fail(message, code, "the address is not one of https, or names a user");
    if (code == FILESCOM_OK)
        normal[strlen(normal) - strlen(root)] = '\0';
    return code;
}

/* ---- the region's host ---------------------------------------------------------------------- */

static bool is_under_files_com(const char *host)
{
    static const char domain[] = "files.com";
    size_t size = strlen(host);
    size_t tail = sizeof domain - 1;

    if (size < tail || strcasecmp(host + size - tail, domain) != 0)
        return false;
    return size == tail || host[size - tail - 1] == '.';
}

/* A host and perhaps a port, in characters that cannot begin another part of a URL. */
static bool is_host_text(const char *host)
{
    if (*host == '\0' || *host == '.' || strlen(host) > 255 || strstr(host, "..") != NULL)
        return false;
    for (; *host != '\0'; host++)
        if (!isalnum((unsigned char)*host) && strchr(".-:[]", *host) == NULL)
            return false;
    return true;
}

/* May a login that was meant for base go to host as well? Both are hosts as libcurl wrote them. */
static bool may_follow(const char *base_host, const char *host)
{
    return is_loopback_host(base_host) ? is_loopback_host(host) : is_under_files_com(host);
}

static filescom_code check_region(const char *base, const char *target, char *message)
{
    parts from = {0};
    parts to = {0};
    filescom_code code = split(base, &from, message);

    if (code == FILESCOM_OK)
        code = split(target, &to, message);
    if (code == FILESCOM_OK && !may_follow(from.host, to.host))
        code = fc_fail(message, FILESCOM_BAD_ARGUMENT, "the region's host is not under files.com");
    free_parts(&from);
    free_parts(&to);
    return code;
}

filescom_code filescom_region_base_url(const char *base, const char *host, char *normal,
                                       size_t size, char *message)
{
    char target[FC_BASE_URL_SIZE];
    const char *authority = strstr(base, "://");
    const char *path = authority ? strchr(authority + 3, '/') : NULL;
    filescom_code code;
    int written;

    if (path == NULL || !is_host_text(host))
        return fc_fail(message, FILESCOM_BAD_ARGUMENT, "the region's host is not a host name");
    written = snprintf(target, sizeof target, "%s://%s%s",
                       fc_base_url_is_plain(base) ? "http" : "https", host, path);
    if (written < 0 || (size_t)written >= sizeof target)
        return fc_fail(message, FILESCOM_BAD_ARGUMENT, "the region's host is too long");
    code = filescom_base_url(target, normal, size, message);
    return code == FILESCOM_OK ? check_region(base, normal, message) : code;
}
