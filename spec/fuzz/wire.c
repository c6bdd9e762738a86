/*
 * wire.c - fuzzes whole calls of the public interface over real connections: a thread of this
 * program answers each request with the fuzz input, byte for byte, and closes the connection.
 *
 * Input: a letter for the call (L login, T login_with_otp, O logout, R request), then the answer.
 */
#define _GNU_SOURCE
#include "host.h"
#include "input.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

/* A closed connection keeps its pair of ports for a minute: another server, other ports. */
#define CALLS_PER_SERVER 5000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static filescom_bytes answer; /* what is being sent; guarded by the lock */

/* ---- the server ----------------------------------------------------------------------------- */

static size_t length_in(const char *head)
{
    const char *length = strcasestr(head, "\r\nContent-Length:");

    return length ? strtoul(length + 17, NULL, 10) : 0;
}

/* Reads one whole request, as this library writes them. False where the peer ended. */
static bool read_request(int peer)
{
    char text[16385];
    size_t have = 0;
    const char *end = NULL;

    while (end == NULL || have < (size_t)(end - text) + 4 + length_in(text)) {
        ssize_t got = recv(peer, text + have, sizeof text - 1 - have, 0);

        if (got <= 0)
            return false;
        have += (size_t)got;
        text[have] = '\0';
        end = strstr(text, "\r\n\r\n");
    }
    return true;
}

static void send_answer(int peer)
{
    filescom_bytes bytes;
    size_t sent = 0;

    pthread_mutex_lock(&lock);
    bytes = copy_of(answer);
    pthread_mutex_unlock(&lock);
    while (sent < bytes.size) {
        ssize_t more = send(peer, bytes.data + sent, bytes.size - sent, MSG_NOSIGNAL);

        if (more <= 0)
            break;
        sent += (size_t)more;
    }
    free_bytes(bytes);
}

static void *serve(void *argument)
{
    int listening = (int)(intptr_t)argument;
    int peer;

    while ((peer = accept(listening, NULL, NULL)) >= 0) {
        if (read_request(peer))
            send_answer(peer);
        close(peer);
    }
    close(listening);
    return NULL;
}

/* Ends the server before it, if any; its port. */
static int start_server(void)
{
    static int listening = -1;
    struct sockaddr_in name = {.sin_family = AF_INET};
    socklen_t size = sizeof name;
    pthread_t thread;

    if (listening >= 0)
        shutdown(listening, SHUT_RDWR); /* ends its accept; the thread closes it */
    listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    PROMISE(bind(listening, (struct sockaddr *)&name, sizeof name) == 0);
    PROMISE(getsockname(listening, (struct sockaddr *)&name, &size) == 0);
    PROMISE(listen(listening, 64) == 0);
    PROMISE(pthread_create(&thread, NULL, serve, (void *)(intptr_t)listening) == 0);
    pthread_detach(thread);
    return ntohs(name.sin_port);
}

/* ---- an input ------------------------------------------------------------------------------- */

static void set_answer(filescom_bytes bytes)
{
    pthread_mutex_lock(&lock);
    answer = bytes;
    pthread_mutex_unlock(&lock);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static unsigned long calls;
    lua_State *L = host_state("wire");
    input from = input_of(data, size);
    char letter = (char)take_byte(&from);

    if (calls++ % CALLS_PER_SERVER == 0) {
        lua_pushinteger(L, start_server());
        host_call(L, "server", 1);
    }
    set_answer((filescom_bytes){from.at, from.left});
    lua_pushlstring(L, &letter, 1);
    host_call(L, "call", 1);
    set_answer((filescom_bytes){NULL, 0});
    return 0;
}
