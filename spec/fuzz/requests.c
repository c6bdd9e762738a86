/*
 * requests.c - fuzzes the requests of the API: what filescom_call and filescom_login take, and the
 * bytes that reach the other side of a connection.
 *
 * The other side is this program's own: it reads a request by rules of its own, and answers none.
 * Input: a byte of flags, a counted method, path and session id, counted names and values of up to
 * three headers, then the body. Flags: see below.
 */
#define _GNU_SOURCE
#include "exchange.h"
#include "input.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <poll.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define MOST_HEADERS 3
#define BASE_PATH "/api/rest/v1"
#define WAIT_MS 5000

enum flags {
    HEADERS = 3, /* how many */
    BODY = 4,
    SESSION = 8,
    LOGIN = 16, /* the texts are a username, a password and a code */
};

static int listening = -1;
static filescom_client *client;

static void start(void)
{
    struct sockaddr_in name = {.sin_family = AF_INET};
    socklen_t size = sizeof name;
    filescom_options options;
    char url[64], message[FILESCOM_MESSAGE_SIZE];

    listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    PROMISE(bind(listening, (struct sockaddr *)&name, sizeof name) == 0);
    PROMISE(getsockname(listening, (struct sockaddr *)&name, &size) == 0);
    PROMISE(listen(listening, 16) == 0);
    snprintf(url, sizeof url, "http://127.0.0.1:%d", ntohs(name.sin_port));
    filescom_options_init(&options);
    options.base_url = url;
    options.retries = 0;
    PROMISE(filescom_client_new(filescom_engine_new(), &options, &client, message) == FILESCOM_OK);
}

/* ---- the other side ------------------------------------------------------------------------- */

/* What came over a connection so far. */
typedef struct received {
    char *data;
    size_t size;
    filescom_bytes head; /* with its blank line; empty until it is whole */
} received;

static void receive(int peer, received *text)
{
    char bytes[65536];
    ssize_t got = recv(peer, bytes, sizeof bytes, MSG_DONTWAIT);
    const char *end;

    if (got <= 0)
        return;
    text->data = realloc(text->data, text->size + (size_t)got);
    memcpy(text->data + text->size, bytes, (size_t)got);
    text->size += (size_t)got;
    end = memmem(text->data, text->size, "\r\n\r\n", 4);
    if (end != NULL)
        text->head = (filescom_bytes){text->data, (size_t)(end - text->data) + 4};
}

/* The value of the only header of that name, absent where there is none. */
static filescom_bytes only_header(filescom_bytes head, const char *name)
{
    input from = {head.data, head.size};
    filescom_bytes found = {NULL, 0};

    while (from.left > 0) {
        filescom_bytes line = take_line(&from);

        if (line.size > strlen(name) && strncasecmp(line.data, name, strlen(name)) == 0 &&
            line.data[strlen(name)] == ':') {
            PROMISE(found.data == NULL);
            found = (filescom_bytes){line.data + strlen(name) + 1, line.size - strlen(name) - 2};
            while (found.size > 0 && *found.data == ' ') {
                found.data++;
                found.size--;
            }
        }
    }
    return found;
}

static size_t content_length(filescom_bytes head)
{
    filescom_bytes value = only_header(head, "Content-Length");
    char *text = text_of(value);
    size_t length = strtoul(text, NULL, 10);

    PROMISE(strspn(text, "0123456789") == value.size);
    free(text);
    return length;
}

/* Lines end in CRLF, hold neither CR, LF nor NUL, and all but the first have a name. */
static void check_lines(filescom_bytes head)
{
    input from = {head.data, head.size};
    bool first = true;

    while (from.left > 2) {
        filescom_bytes line = take_line(&from);
        const char *colon = memchr(line.data, ':', line.size);

        PROMISE(line.size > 1 && line.data[line.size - 1] == '\r');
        PROMISE(memchr(line.data, '\r', line.size - 1) == NULL);
        PROMISE(memchr(line.data, '\0', line.size) == NULL);
        PROMISE(first || (colon != NULL && colon > line.data));
        PROMISE(first || memchr(line.data, ' ', (size_t)(colon - line.data)) == NULL);
        first = false;
    }
    PROMISE(from.left == 2);
}

static void check_head(filescom_bytes head, const filescom_request *request)
{
    input from = {head.data, head.size};
    filescom_bytes session = only_header(head, "X-FilesAPI-Auth");
    char *first;
    size_t size;

    check_lines(head);
    size = (size_t)asprintf(&first, "%s " BASE_PATH "%.*s HTTP/1.1\r", request->method,
                            (int)request->path.size, request->path.data);
    PROMISE(is_same(take_line(&from), (filescom_bytes){first, size}));
    free(first);
    PROMISE(only_header(head, "Host").size > 0);
    PROMISE(only_header(head, "Transfer-Encoding").data == NULL);
    PROMISE(only_header(head, "X-FilesAPI-Key").data == NULL);
    PROMISE((session.data != NULL) == (request->session_id.data != NULL));
    PROMISE(session.data == NULL || is_same(session, request->session_id));
}

/* Lets the exchange and the other side go on until a whole request has come. */
static void hear(filescom_exchange *exchange, received *text)
{
    struct pollfd waiting = {.fd = listening, .events = POLLIN};
    struct linger reset = {.l_onoff = 1};
    int peer, rounds;

    PROMISE(poll(&waiting, 1, WAIT_MS) == 1);
    peer = accept(listening, NULL, NULL);
    PROMISE(peer >= 0);
    for (rounds = 0; rounds < WAIT_MS; rounds++) {
        filescom_exchange_wait(exchange, rounds > 4);
        receive(peer, text);
        if (text->head.size > 0 && text->size >= text->head.size + content_length(text->head))
            break;
    }
    /* A reset leaves no port waiting, of which there are not enough for many inputs. */
    setsockopt(peer, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(peer);
    PROMISE(rounds < WAIT_MS);
}

/* ---- promises ------------------------------------------------------------------------------- */

/* Every header line is one text of one line. */
static void check_header_lines(const filescom_exchange *exchange)
{
    const char *line = exchange->header_lines.data;
    const char *end = line + exchange->header_lines.size;
    size_t count = 0;

    while (line < end) {
        size_t size = strnlen(line, (size_t)(end - line));

        PROMISE(line + size < end && size > 0);
        PROMISE(memchr(line, '\r', size) == NULL && memchr(line, '\n', size) == NULL);
        line += size + 1;
        count++;
    }
    PROMISE(count == exchange->header_count);
}

static void check_message(const char *message)
{
    const char *c;

    PROMISE(*message != '\0' && strlen(message) < FILESCOM_MESSAGE_SIZE);
    for (c = message; *c != '\0'; c++)
        PROMISE((unsigned char)*c >= ' ' && *c != 0x7f);
}

/* Sends what was begun and checks what comes. */
static void check_sent(filescom_exchange *exchange, const filescom_request *request, bool is_login)
{
    received text = {0};
    filescom_bytes body;

    PROMISE(filescom_exchange_result(exchange) == FILESCOM_PENDING);
    check_header_lines(exchange);
    hear(exchange, &text);
    check_head(text.head, request);
    body = (filescom_bytes){text.data + text.head.size, text.size - text.head.size};
    PROMISE(body.size == content_length(text.head));
    PROMISE(is_login || is_same(body, request->body));
    free(text.data);
    filescom_exchange_release(exchange);
}

static void check_call(const filescom_request *request)
{
    char message[FILESCOM_MESSAGE_SIZE] = "";
    filescom_exchange *exchange = NULL;
    filescom_code code = filescom_call(client, request, &exchange, message);

    PROMISE(code == FILESCOM_OK || code == FILESCOM_BAD_ARGUMENT);
    if (code == FILESCOM_OK) {
        check_sent(exchange, request, false);
    } else {
        PROMISE(exchange == NULL);
        check_message(message);
    }
}

static void check_login(filescom_bytes username, filescom_bytes password, filescom_bytes otp)
{
    const filescom_credentials credentials = {
        .username = username, .password = password, .otp = otp};
    const filescom_request expected = {.method = "POST", .path = {"/sessions", 9}};
    char message[FILESCOM_MESSAGE_SIZE];
    filescom_exchange *exchange = NULL;

    PROMISE(filescom_login(client, NULL, &credentials, &exchange, message) == FILESCOM_OK);
    check_sent(exchange, &expected, true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input from = input_of(data, size);
    unsigned flags = take_byte(&from);
    filescom_bytes texts[3];
    filescom_header headers[MOST_HEADERS];
    filescom_request request = {.headers = headers, .header_count = flags & HEADERS};
    char *method;
    size_t i;

    if (listening < 0)
        start();
    for (i = 0; i < 3; i++)
        texts[i] = copy_of(take_counted(&from));
    for (i = 0; i < MOST_HEADERS; i++) {
        headers[i].name = copy_of(i < request.header_count ? take_counted(&from) : texts[0]);
        headers[i].value = copy_of(i < request.header_count ? take_counted(&from) : texts[0]);
    }
    method = text_of(texts[0]);
    request.method = method;
    request.path = texts[1];
    if (flags & SESSION)
        request.session_id = texts[2];
    if (flags & BODY)
        request.body = copy_of((filescom_bytes){from.at, from.left});
    if (flags & LOGIN)
        check_login(texts[0], texts[1], texts[2]);
    else
        check_call(&request);
    for (i = 0; i < 3; i++) {
        free_bytes(texts[i]);
        free_bytes(headers[i].name);
        free_bytes(headers[i].value);
    }
    free_bytes(request.body);
    free(method);
    return 0;
}
