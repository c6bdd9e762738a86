/* url_test.c - where credentials may go: base URLs, the region's host, session ids. See check.h. */
#include "base_url.h"
#include "check.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define PATH "/api/rest/v1"

static void takes_base_urls_in_their_normal_form(void)
{
    static const struct {
        const char *url, *normal;
    } rows[] = {
        {"https://app.files.com", "https://app.files.com" PATH},
        {"https://app.files.com/", "https://app.files.com" PATH},
        {"https://app.files.com///", "https://app.files.com" PATH},
        {"HTTPS://APP.Files.COM", "https://app.files.com" PATH},
        {"https://app.files.com/own/path", "https://app.files.com/own/path"},
        {"https://app.files.com/own/path//", "https://app.files.com/own/path"},
        {"https://app.files.com/Own/%41", "https://app.files.com/Own/%41"},
        {"https://app.files.com/a/../b", "https://app.files.com/b"},
        {"https://app.files.com:8443", "https://app.files.com:8443" PATH},
        {"https://localhost", "https://localhost" PATH},
        {"https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443" PATH},
        {"http://localhost", "http://localhost" PATH},
        {"http://LOCALHOST:80", "http://localhost:80" PATH},
        {"http://127.0.0.1:8080", "http://127.0.0.1:8080" PATH},
        {"http://127.255.255.254", "http://127.255.255.254" PATH},
        {"http://[::1]", "http://[::1]" PATH},
        {"http://[::1]:8080/x", "http://[::1]:8080/x"},
        {"http://[0:0:0:0:0:0:0:1]", "http://[::1]" PATH},
        {"http://127.1", "http://127.0.0.1" PATH},
        {"http://0x7f.1", "http://127.0.0.1" PATH},
        {"http://0177.0.0.1", "http://127.0.0.1" PATH},
        {"http://2130706433", "http://127.0.0.1" PATH},
    };
    char normal[FC_BASE_URL_SIZE], message[FILESCOM_MESSAGE_SIZE];
    size_t i;

    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        filescom_code code = filescom_base_url(rows[i].url, normal, sizeof normal, message);

        if (CHECK_ROW(code == FILESCOM_OK, rows[i].url))
            CHECK_ROW(strcmp(normal, rows[i].normal) == 0, normal);
    }
}

static void keeps_a_normal_form_as_it_is(void)
{
    static const char *const urls[] = {
        "https://app.files.com", "https://APP.files.com:8443/a/b/", "http://[::1]:8080",
        "http://127.1/x",        "https://app.files.com/%2561",     "https://[2001:DB8::1]",
    };
    char once[FC_BASE_URL_SIZE], twice[FC_BASE_URL_SIZE], message[FILESCOM_MESSAGE_SIZE];
    size_t i;

    for (i = 0; i < sizeof urls / sizeof *urls; i++) {
        CHECK_ROW(filescom_base_url(urls[i], once, sizeof once, message) == FILESCOM_OK, urls[i]);
        CHECK_ROW(filescom_base_url(once, twice, sizeof twice, message) == FILESCOM_OK, once);
        CHECK_ROW(strcmp(once, twice) == 0, once);
    }
}

/* Refused, with a message that does not repeat what was given. */
static void refuse(const char *url)
{
    char normal[FC_BASE_URL_SIZE], message[FILESCOM_MESSAGE_SIZE] = "";
    filescom_code code = filescom_base_url(url, normal, sizeof normal, message);

    CHECK_ROW(code == FILESCOM_BAD_ARGUMENT, url);
    CHECK_ROW(strncmp(message, "base_url ", 9) == 0, url);
    CHECK_ROW(strstr(message, "secret") == NULL, url);
}

static void refuses_other_base_urls(void)
{
    static const char *const urls[] = {
        "",
        " ",
        "/",
        "app.files.com",
        "//app.files.com",
        "https://",
        "https:///",
        "https://:443",
        "https://?x",
        "ftp://app.files.com",
        "file:///etc/passwd",
        "gopher://127.0.0.1",
        "javascript:alert(1)",
        "httpss://app.files.com",
        "http://app.files.com",
        "http://files.com",
        "http://0.0.0.0",
        "http://10.0.0.1",
        "http://128.0.0.1",
        "http://[::]",
        "http://[::2]",
        "http://[::ffff:127.0.0.1]",
        "http://[fe80::1%25lo]",
        "http://localhost.evil.com",
        "http://localhost.",
        "http://evil-localhost",
        "http://127.0.0.1.evil.com",
        "http://127.0.0.1@evil.com",
        "http://127.0.0.1:80@evil.com",
        "http://evil.com#127.0.0.1",
        "http://evil.com?127.0.0.1",
        "http://evil.com/127.0.0.1",
        "http://evil.com\\@127.0.0.1",
        "http://127.0.0.1\\@evil.com",
        "https://app.files%2ecom",
        "http://127.0.0.1%2f@evil.com",
        "http://127.0.0.1%40evil.com",
        "http://127.0.0.1%00.evil.com",
        "http://127.0.0.1%0d%0aevil.com",
        "http://%31%32%37.0.0.1.evil.com",
        "http://256.0.0.1",
        "http://127.0.0.256",
        "http://[::1",
        "http://::1",
        "http://[127.0.0.1]",
        "https://user:secret@app.files.com",
        "https://user@app.files.com",
        "https://:secret@app.files.com",
        "https://a:b@h",
        "https://app.files.com?x=secret",
        "https://app.files.com/?secret",
        "https://app.files.com#secret",
        "https://app.files.com:99999",
        "https://app.files.com:65536",
        "https://app.files.com:-1",
        "https://app.files.com:port",
        "https://app.files.com:443:443",
        "https://app files.com",
        " https://app.files.com",
        "https://app.files.com ",
        "https://app.files.com/a b",
        "https://app.files.com\r\nX: y",
        "https://app.files.com/\n",
        "https://app.files.com/\t",
        "https://app.files.com/\x7f",
        "https://app.fil\xc3\xa9s.com",
        "https://app.files.com/\xff",
        "https://app.files.com\\",
        "https://app..files.com/<>\\",
        "https://a{b}.com",
        "https://a,b.com",
    };
    size_t i;

    for (i = 0; i < sizeof urls / sizeof *urls; i++)
        refuse(urls[i]);
}

static void bounds_the_length(void)
{
    char url[70000], normal[FC_BASE_URL_SIZE], message[FILESCOM_MESSAGE_SIZE];
    int size;

    for (size = 900; size < (int)sizeof url; size += size < 1100 ? 1 : 5000) {
        memset(url, 'a', sizeof url);
        memcpy(url, "https://app.files.com/", 22);
        url[size] = '\0';
        if (size < FC_BASE_URL_SIZE) {
            CHECK(filescom_base_url(url, normal, sizeof normal, message) == FILESCOM_OK);
            CHECK(strcmp(url, normal) == 0);
        } else {
            refuse(url);
        }
    }
}

static void writes_no_more_than_it_may(void)
{
    char normal[64], message[FILESCOM_MESSAGE_SIZE];
    size_t size;

    for (size = 1; size < sizeof normal; size++) {
        filescom_code code;

        memset(normal, '#', sizeof normal);
        code = filescom_base_url("https://app.files.com", normal, size, message);
        CHECK((code == FILESCOM_OK) == (size > strlen("https://app.files.com" PATH)));
        CHECK(normal[size] == '#');
    }
}

/* ---- the region's host ---------------------------------------------------------------------- */

static void follows_a_region_under_files_com(void)
{
    static const struct {
        const char *host, *normal;
    } rows[] = {
        {"files.com", "https://files.com" PATH},
        {"eu.files.com", "https://eu.files.com" PATH},
        {"a.b.files.com", "https://a.b.files.com" PATH},
        {"EU.FILES.COM", "https://eu.files.com" PATH},
        {"eu.files.com:443", "https://eu.files.com:443" PATH},
        {"eu.files.com:8443", "https://eu.files.com:8443" PATH},
    };
    char normal[FC_BASE_URL_SIZE], message[FILESCOM_MESSAGE_SIZE];
    size_t i;

    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        filescom_code code = filescom_region_base_url("https://app.files.com" PATH, rows[i].host,
                                                      normal, sizeof normal, message);

        if (CHECK_ROW(code == FILESCOM_OK, rows[i].host))
            CHECK_ROW(strcmp(normal, rows[i].normal) == 0, normal);
    }
}

static void follows_no_region_elsewhere(void)
{
    static const char *const hosts[] = {
        "",
        ".",
        ":",
        ":443",
        "com",
        "files.com.evil.com",
        "evilfiles.com",
        "files.com.",
        "eu.files.com.",
        "files.comm",
        "xfiles.com:443",
        "evil.com:443",
        "a@files.com",
        "files.com@evil.com",
        "evil.com/files.com",
        "evil.com/.files.com",
        "x.files.com/path",
        "x.files.com?query",
        "x.files.com#fragment",
        "evil.com#.files.com",
        "evil.com?.files.com",
        "evil.com\\.files.com",
        "evil.com%2f.files.com",
        "evil.com%00.files.com",
        "evil.com .files.com",
        "evil.com\r\n.files.com",
        "evil.com\t.files.com",
        "https://eu.files.com",
        "//eu.files.com",
        "eu.files.com:99999",
        "eu.files.com:443:80",
        "eu.files.com:x",
        "[files.com]",
        "[::1].files.com",
        "evil.com:80.files.com",
        "127.0.0.1",
        "localhost",
        "[::1]",
        "10.0.0.1",
        "fil\xc3\xa9s.com",
        "\xef\xbd\x86iles.com",
    };
    char normal[FC_BASE_URL_SIZE], message[FILESCOM_MESSAGE_SIZE];
    size_t i;

    for (i = 0; i < sizeof hosts / sizeof *hosts; i++)
        CHECK_ROW(filescom_region_base_url("https://app.files.com" PATH, hosts[i], normal,
                                           sizeof normal, message) == FILESCOM_BAD_ARGUMENT,
                  hosts[i]);
}

static void keeps_the_path_for_a_region(void)
{
    char normal[FC_BASE_URL_SIZE], message[FILESCOM_MESSAGE_SIZE];

    CHECK(filescom_region_base_url("https://app.files.com/own/path", "eu.files.com", normal,
                                   sizeof normal, message) == FILESCOM_OK);
    CHECK(strcmp(normal, "https://eu.files.com/own/path") == 0);
}

static void drops_the_port_for_a_region(void)
{
    char normal[FC_BASE_URL_SIZE], message[FILESCOM_MESSAGE_SIZE];

    CHECK(filescom_region_base_url("https://app.files.com:8443" PATH, "eu.files.com", normal,
                                   sizeof normal, message) == FILESCOM_OK);
    CHECK(strcmp(normal, "https://eu.files.com" PATH) == 0);
}

static void stays_on_the_loopback(void)
{
    static const char *const good[] = {"127.0.0.1:8080", "127.0.0.2", "localhost:1", "[::1]:8080"};
    static const char *const bad[] = {"files.com", "eu.files.com", "10.0.0.1:80", "evil.com",
                                      "127.0.0.1.evil.com"};
    char normal[FC_BASE_URL_SIZE], message[FILESCOM_MESSAGE_SIZE];
    size_t i;

    for (i = 0; i < sizeof good / sizeof *good; i++)
        CHECK_ROW(filescom_region_base_url("http://127.0.0.1:80" PATH, good[i], normal,
                                           sizeof normal, message) == FILESCOM_OK,
                  good[i]);
    for (i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_ROW(filescom_region_base_url("http://127.0.0.1:80" PATH, bad[i], normal,
                                           sizeof normal, message) == FILESCOM_BAD_ARGUMENT,
                  bad[i]);
}

static void never_goes_from_https_to_http(void)
{
    char normal[FC_BASE_URL_SIZE], message[FILESCOM_MESSAGE_SIZE];

    CHECK(filescom_region_base_url("https://127.0.0.1:80" PATH, "localhost", normal, sizeof normal,
                                   message) == FILESCOM_OK);
    CHECK(strncmp(normal, "https://", 8) == 0);
}

/* ---- addresses and ids ---------------------------------------------------------------------- */

static void knows_loopback_addresses(void)
{
    struct sockaddr_in four = {.sin_family = AF_INET};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr other = {.sa_family = AF_UNIX};

    four.sin_addr.s_addr = htonl(0x7f000001);
    CHECK(fc_is_loopback_address((struct sockaddr *)&four));
    four.sin_addr.s_addr = htonl(0x7fffffff);
    CHECK(fc_is_loopback_address((struct sockaddr *)&four));
    four.sin_addr.s_addr = htonl(0x80000001);
    CHECK(!fc_is_loopback_address((struct sockaddr *)&four));
    four.sin_addr.s_addr = 0;
    CHECK(!fc_is_loopback_address((struct sockaddr *)&four));
    CHECK(fc_is_loopback_address((struct sockaddr *)&six));
    six.sin6_addr = in6addr_any;
    CHECK(!fc_is_loopback_address((struct sockaddr *)&six));
    CHECK(!fc_is_loopback_address(&other));
}

static void knows_session_ids(void)
{
    char byte;
    int i;

    CHECK(filescom_is_session_id(text_bytes("0123456789abcdef")));
    CHECK(!filescom_is_session_id(text_bytes("")));
    CHECK(!filescom_is_session_id((filescom_bytes){NULL, 0}));
    CHECK(!filescom_is_session_id((filescom_bytes){"abc\0def", 7}));
    CHECK(!filescom_is_session_id(text_bytes("abc\r\nX: y")));
    for (i = 0; i < 256; i++) {
        byte = (char)i;
        CHECK(filescom_is_session_id((filescom_bytes){&byte, 1}) == (i > 0x20 && i < 0x7f));
    }
}

static void takes_origins_in_their_normal_form(void)
{
    static const struct {
        const char *text, *normal;
    } rows[] = {
        {"https://bucket.s3.amazonaws.com", "https://bucket.s3.amazonaws.com"},
        {"HTTPS://Files.Example:8443", "https://files.example:8443"},
        {"http://127.0.0.1:8080", "http://127.0.0.1:8080"},
        {"http://[::1]:8080", "http://[::1]:8080"},
        {"http://2130706433", "http://127.0.0.1"},
    };
    char normal[FC_BASE_URL_SIZE], message[FILESCOM_MESSAGE_SIZE];
    size_t i;

    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        filescom_code code = filescom_origin(rows[i].text, normal, sizeof normal, message);

        if (CHECK_ROW(code == FILESCOM_OK, rows[i].text))
            CHECK_ROW(strcmp(normal, rows[i].normal) == 0, normal);
    }
}

static void refuses_other_origins(void)
{
    static const char *const texts[] = {
        "",
        "files.example",
        "http://files.example",
        "ftp://127.0.0.1",
        "https://",
        "https:///x",
        "https://files.example/",
        "https://files.example/x/..",
        "https://files.example?x",
        "https://files.example#x",
        "https://secret:secret@files.example",
        "https://files.example\\x",
        "https://files.example\r\nX: y",
        "https://%66iles.example",
        "https://files.example:port",
    };
    char normal[FC_BASE_URL_SIZE], message[FILESCOM_MESSAGE_SIZE];
    size_t i;

    for (i = 0; i < sizeof texts / sizeof *texts; i++) {
        message[0] = '\0';
        CHECK_ROW(filescom_origin(texts[i], normal, sizeof normal, message) ==
                      FILESCOM_BAD_ARGUMENT,
                  texts[i]);
        CHECK_ROW(message[0] != '\0' && strstr(message, "secret") == NULL, texts[i]);
    }
}

const test url_tests[] = {
    {"a base URL is taken in its normal form", takes_base_urls_in_their_normal_form},
    {"a normal form is its own normal form", keeps_a_normal_form_as_it_is},
    {"other base URLs are refused without being repeated", refuses_other_base_urls},
    {"a base URL is as long as there is room, and no longer", bounds_the_length},
    {"a base URL is written into the room given, and no further", writes_no_more_than_it_may},
    {"a region under files.com is followed", follows_a_region_under_files_com},
    {"a region elsewhere is not followed", follows_no_region_elsewhere},
    {"a region keeps the path", keeps_the_path_for_a_region},
    {"a region has a port of its own", drops_the_port_for_a_region},
    {"a region of a loopback address is another loopback address", stays_on_the_loopback},
    {"a region of https is reached by https", never_goes_from_https_to_http},
    {"another host's origin is taken in its normal form", takes_origins_in_their_normal_form},
    {"other origins are refused without being repeated", refuses_other_origins},
    {"loopback addresses are known", knows_loopback_addresses},
    {"session ids are visible ASCII", knows_session_ids},
    {NULL, NULL},
};
