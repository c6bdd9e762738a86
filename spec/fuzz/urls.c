/*
 * urls.c - fuzzes the rules for base URLs, region hosts and session ids against a reading of their
 * own: what is accepted may be given credentials.
 *
 * Input: three lines, a base URL, a region's host and a session id.
 */
#include "base_url.h"
#include "input.h"

/* ---- another reading of a URL in normal form ------------------------------------------------ */

typedef struct place {
    bool plain; /* http */
    char host[FC_BASE_URL_SIZE];
    const char *path;
} place;

static void read_authority(const char *from, size_t size, place *to)
{
    size_t host = size;
    size_t i;

    PROMISE(size > 0);
    for (i = 0; i < size; i++) {
        PROMISE(from[i] > ' ' && from[i] < 0x7f && strchr("@\\?#%", from[i]) == NULL);
        PROMISE(from[i] < 'A' || from[i] > 'Z');
        if (from[i] == ':' && from[0] != '[')
            host = i;
    }
    if (from[0] == '[') {
        PROMISE(memchr(from, ']', size) != NULL);
        host = (size_t)((const char *)memchr(from, ']', size) - from) + 1;
    }
    if (host < size) {
        PROMISE(from[host] == ':' && size - host >= 2 && size - host <= 6);
        PROMISE(strspn(from + host + 1, "0123456789") == size - host - 1);
    }
    memcpy(to->host, from, host);
    to->host[host] = '\0';
}

static place read_place(const char *url)
{
    place found = {.plain = strncmp(url, "http://", 7) == 0};
    const char *authority = url + (found.plain ? 7 : 8);

    PROMISE(found.plain || strncmp(url, "https://", 8) == 0);
    found.path = strchr(authority, '/');
    PROMISE(found.path != NULL);
    read_authority(authority, (size_t)(found.path - authority), &found);
    PROMISE(strpbrk(found.path, "?#\\ ") == NULL);
    PROMISE(found.path[strlen(found.path) - 1] != '/');
    return found;
}

/* 127.a.b.c in plain decimals, ::1, or localhost. */
static bool is_loopback(const char *host)
{
    unsigned a, b, c;
    char end;

    if (strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0)
        return true;
    return strspn(host, "0123456789.") == strlen(host) &&
           sscanf(host, "127.%3u.%3u.%3u%c", &a, &b, &c, &end) == 3 && a < 256 && b < 256 &&
           c < 256;
}

static bool is_under_files_com(const char *host)
{
    size_t size = strlen(host);

    return strcmp(host, "files.com") == 0 ||
           (size > 10 && strcmp(host + size - 10, ".files.com") == 0);
}

/* ---- promises ------------------------------------------------------------------------------- */

static void check_message(const char *message)
{
    size_t size = strnlen(message, FILESCOM_MESSAGE_SIZE);
    size_t i;

    PROMISE(size > 0 && size < FILESCOM_MESSAGE_SIZE);
    for (i = 0; i < size; i++)
        PROMISE((unsigned char)message[i] >= ' ' && message[i] != 0x7f);
}

/* A normal form is taken again, as it is. */
static void check_fixed(const char *normal)
{
    char again[FC_BASE_URL_SIZE], message[FILESCOM_MESSAGE_SIZE];

    PROMISE(filescom_base_url(normal, again, sizeof again, message) == FILESCOM_OK);
    PROMISE(strcmp(normal, again) == 0);
}

static void check_small_room(const char *url, const char *normal)
{
    char message[FILESCOM_MESSAGE_SIZE];
    size_t size = strlen(normal);
    char *small = malloc(size);

    PROMISE(small != NULL);
    PROMISE(filescom_base_url(url, small, size, message) == FILESCOM_BAD_ARGUMENT);
    free(small);
}

/* The normal form, or false where the URL is refused. */
static bool check_base(const char *url, char normal[FC_BASE_URL_SIZE])
{
    char message[FILESCOM_MESSAGE_SIZE] = "";
    filescom_code code = filescom_base_url(url, normal, FC_BASE_URL_SIZE, message);
    place found;

    PROMISE(code == FILESCOM_OK || code == FILESCOM_BAD_ARGUMENT);
    if (code != FILESCOM_OK) {
        check_message(message);
        return false;
    }
    found = read_place(normal);
    PROMISE(!found.plain || is_loopback(found.host));
    PROMISE(fc_base_url_is_plain(normal) == found.plain);
    if (fc_base_url_is_numeric(normal))
        PROMISE(found.host[0] == '[' || strspn(found.host, "0123456789.") == strlen(found.host));
    check_fixed(normal);
    check_small_room(url, normal);
    return true;
}

static void check_region(const char *base, const char *host)
{
    char normal[FC_BASE_URL_SIZE], message[FILESCOM_MESSAGE_SIZE] = "";
    filescom_code code = filescom_region_base_url(base, host, normal, sizeof normal, message);
    place from, to;

    PROMISE(code == FILESCOM_OK || code == FILESCOM_BAD_ARGUMENT);
    if (code != FILESCOM_OK) {
        check_message(message);
        return;
    }
    from = read_place(base);
    to = read_place(normal);
    PROMISE(is_loopback(from.host) ? is_loopback(to.host) : is_under_files_com(to.host));
    PROMISE(from.plain == to.plain);
    PROMISE(strcmp(from.path, to.path) == 0);
    check_fixed(normal);
}

static void check_id(filescom_bytes id)
{
    bool visible = id.size > 0;
    size_t i;

    for (i = 0; i < id.size; i++)
        visible &= (unsigned char)id.data[i] > 0x20 && (unsigned char)id.data[i] < 0x7f;
    PROMISE(filescom_is_session_id(id) == visible);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input from = input_of(data, size);
    char *url = text_of(take_line(&from));
    char *host = text_of(take_line(&from));
    filescom_bytes id = copy_of((filescom_bytes){from.at, from.left});
    char normal[FC_BASE_URL_SIZE];

    if (check_base(url, normal))
        check_region(normal, host);
    check_region("https://app.files.com/api/rest/v1", host);
    check_region("http://127.0.0.1:8080/api/rest/v1", host);
    check_id(id);
    free(url);
    free(host);
    free_bytes(id);
    return 0;
}
