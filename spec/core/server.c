/* server.c - see server.h: one thread for each connection, counts in memory that both sides see. */
#define _GNU_SOURCE
#include "server.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct shared {
    atomic_int accepted, open, requests;
} shared;

static shared *counts;
static pid_t process;
static char url[64], closed_url[64];

/* ---- one connection ------------------------------------------------------------------------- */

/* Reads until the text holds a whole head; its size, or 0 where the peer ended. */
static size_t read_head(int peer, char *text, size_t size, size_t *have)
{
    char *end;

    text[*have] = '\0';
    while ((end = strstr(text, "\r\n\r\n")) == NULL) {
        ssize_t got = *have < size ? recv(peer, text + *have, size - *have, 0) : 0;

        if (got <= 0)
            return 0;
        *have += (size_t)got;
        text[*have] = '\0';
    }
    return (size_t)(end - text) + 4;
}

static bool drop_body(int peer, const char *head, size_t have)
{
    const char *length = strcasestr(head, "\r\nContent-Length:");
    size_t left = length ? strtoul(length + 17, NULL, 10) : 0;
    char bytes[4096];

    left = left > have ? left - have : 0;
    while (left > 0) {
        ssize_t got = recv(peer, bytes, left < sizeof bytes ? left : sizeof bytes, 0);

        if (got <= 0)
            return false;
        left -= (size_t)got;
    }
    return true;
}

static bool respond(int peer, const char *status, const char *body)
{
    char answer[4096];
    int size = snprintf(answer, sizeof answer,
                        "HTTP/1.1 %s\r\nX-Request-Id: r-1\r\nX-Twice: one\r\nX-TWICE: two\r\n"
                        "Content-Length: %zu\r\n\r\n%s",
                        status, strlen(body), body);

    return send(peer, answer, (size_t)size, MSG_NOSIGNAL) == size;
}

/* HUGE_SIZE bytes, each of which is told by its place. */
static bool respond_huge(int peer)
{
    char bytes[8192];
    int size =
        snprintf(bytes, sizeof bytes, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", HUGE_SIZE);
    bool sent = send(peer, bytes, (size_t)size, MSG_NOSIGNAL) == size;
    int at;

    for (at = 0; at < HUGE_SIZE && sent; at += (int)sizeof bytes) {
        int i;

        for (i = 0; i < (int)sizeof bytes; i++)
            bytes[i] = huge_byte(at + i);
        sent = send(peer, bytes, sizeof bytes, MSG_NOSIGNAL) == sizeof bytes;
    }
    return sent;
}

static void wait_for_end(int peer)
{
    char byte;

    while (recv(peer, &byte, 1, 0) > 0) {
    }
}

/* Answers one request, whose head is a text. Returns whether the connection stays. */
static bool serve(int peer, const char *head)
{
    char large[2001];

    if (strncmp(head, "DELETE ", 7) == 0)
        return respond(peer, "200 OK", "{}");
    if (strstr(head, "/sessions HTTP/1.1\r\n") != NULL)
        return respond(peer, "201 Created", "{\"id\":\"core-session\"}");
    if (strstr(head, "/close HTTP/1.1\r\n") != NULL)
        return false;
    if (strstr(head, "/hang HTTP/1.1\r\n") != NULL) {
        wait_for_end(peer);
        return false;
    }
    if (strstr(head, "/slow HTTP/1.1\r\n") != NULL)
        usleep(100000);
    if (strstr(head, "/huge HTTP/1.1\r\n") != NULL)
        return respond_huge(peer);
    if (strstr(head, "/refused HTTP/1.1\r\n") != NULL)
        return respond(peer, "403 Forbidden", "{}");
    if (strstr(head, "/large HTTP/1.1\r\n") == NULL)
        return respond(peer, "200 OK", "{}");
    memset(large, 'x', sizeof large);
    large[sizeof large - 1] = '\0';
    return respond(peer, "200 OK", large);
}

static void *converse(void *argument)
{
    int peer = (int)(intptr_t)argument;
    char text[16385];
    size_t have = 0;
    size_t size;

    while ((size = read_head(peer, text, sizeof text - 1, &have)) > 0) {
        bool stays;

        counts->requests++;
        stays = drop_body(peer, text, have - size) && serve(peer, text);
        have = 0; /* no client of these tests sends a request before it has the last answer */
        if (!stays)
            break;
    }
    close(peer);
    counts->open--;
    return NULL;
}

/* ---- the process ---------------------------------------------------------------------------- */

static int listen_on(char address[64])
{
    struct sockaddr_in name = {.sin_family = AF_INET};
    socklen_t size = sizeof name;
    int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (listening < 0 || bind(listening, (struct sockaddr *)&name, sizeof name) != 0 ||
        getsockname(listening, (struct sockaddr *)&name, &size) != 0) {
        perror("server");
        exit(2);
    }
    snprintf(address, 64, "http://127.0.0.1:%d", ntohs(name.sin_port));
    return listening;
}

static void accept_for_ever(int listening)
{
    for (;;) {
        int peer = accept(listening, NULL, NULL);
        pthread_t thread;

        if (peer < 0)
            continue;
        counts->accepted++;
        counts->open++;
        if (pthread_create(&thread, NULL, converse, (void *)(intptr_t)peer) == 0)
            pthread_detach(thread);
    }
}

void server_start(void)
{
    int listening = listen_on(url);

    listen_on(closed_url); /* bound and never listened on: the port stays free of others */
    listen(listening, 256);
    counts = mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    process = fork();
    if (process == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        accept_for_ever(listening);
    }
    close(listening);
}

void server_stop(void)
{
    kill(process, SIGKILL);
    waitpid(process, NULL, 0);
    munmap(counts, sizeof *counts);
}

const char *server_url(void)
{
    return url;
}

const char *server_closed_url(void)
{
    return closed_url;
}

server_counts server_count(void)
{
    return (server_counts){counts->accepted, counts->open, counts->requests};
}

int server_wait_open(int open)
{
    int i;

    for (i = 0; i < 5000 && counts->open != open; i++)
        usleep(1000);
    return counts->open;
}
