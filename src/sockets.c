/* sockets.c - see sockets.h. */
#define _GNU_SOURCE
#include "sockets.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_SIZE 32

#ifndef SOCK_CLOEXEC
#define SOCK_CLOEXEC 0
#endif

fc_socket *fc_sockets_at(fc_sockets *sockets, curl_socket_t descriptor)
{
    size_t size = sockets->size ? sockets->size : FIRST_SIZE;
    fc_socket *grown;

    if ((size_t)descriptor < sockets->size)
        return &sockets->all[descriptor];
    while (size <= (size_t)descriptor)
        size *= 2;
    grown = realloc(sockets->all, size * sizeof *grown);
    if (grown == NULL)
        return NULL;
    memset(grown + sockets->size, 0, (size - sockets->size) * sizeof *grown);
    sockets->all = grown;
    sockets->size = size;
    return &grown[descriptor];
}

static int port_in(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)(const void *)address)->sin_port);
    if (address->sa_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)(const void *)address)->sin6_port);
    return 0;
}

static bool note_identity(fc_socket *state, curl_socket_t descriptor)
{
    struct stat status;

    if (fstat(descriptor, &status) != 0)
        return false;
    state->device = status.st_dev;
    state->inode = status.st_ino;
    return true;
}

curl_socket_t fc_sockets_open(fc_sockets *sockets, const struct curl_sockaddr *address)
{
    curl_socket_t opened =
        socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    fc_socket *state;

    if (opened < 0)
        return CURL_SOCKET_BAD;
    state = fc_sockets_at(sockets, opened);
    if (state == NULL) {
        close(opened);
        errno = ENOMEM;
        return CURL_SOCKET_BAD;
    }
    *state = (fc_socket){.open = true, .remote_port = port_in(&address->addr)};
    if (!note_identity(state, opened)) {
        close(opened);
        *state = (fc_socket){0};
        return CURL_SOCKET_BAD;
    }
    return opened;
}

int fc_sockets_close(fc_sockets *sockets, curl_socket_t descriptor)
{
    if ((size_t)descriptor < sockets->size)
        sockets->all[descriptor] = (fc_socket){0};
    return close(descriptor);
}

/* Asked of the system once: it is not known before the connection is made. */
static int local_port_of(fc_socket *state, curl_socket_t descriptor)
{
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof address;

    if (state->local_port == 0 && getsockname(descriptor, (struct sockaddr *)&address, &size) == 0)
        state->local_port = port_in((struct sockaddr *)&address);
    return state->local_port;
}

static bool has_input(curl_socket_t descriptor)
{
    char byte;

    return recv(descriptor, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

static bool is_between(fc_sockets *sockets, size_t at, int local_port, int remote_port)
{
    fc_socket *state = &sockets->all[at];

    return state->open && state->remote_port == remote_port &&
           local_port_of(state, (curl_socket_t)at) == local_port;
}

static size_t find_between(fc_sockets *sockets, int local_port, int remote_port)
{
    size_t at = 0;

    while (at < sockets->size && !is_between(sockets, at, local_port, remote_port))
        at++;
    return at;
}

/* With many connections a search through all of them would be most of what is done here. */
bool fc_sockets_has_input(fc_sockets *sockets, int local_port, int remote_port)
{
    curl_socket_t *guess = &sockets->guesses[(unsigned)local_port % FC_GUESSES];
    size_t at = (size_t)*guess;

    if (at >= sockets->size || !is_between(sockets, at, local_port, remote_port))
        at = find_between(sockets, local_port, remote_port);
    if (at >= sockets->size)
        return false;
    *guess = (curl_socket_t)at;
    return has_input(*guess);
}

static bool is_still_the_same(const fc_socket *state, curl_socket_t descriptor)
{
    struct stat status;

    return state->open && fstat(descriptor, &status) == 0 && status.st_dev == state->device &&
           status.st_ino == state->inode;
}

void fc_sockets_abandon(fc_sockets *sockets)
{
    size_t at;

    for (at = 0; at < sockets->size; at++)
        if (is_still_the_same(&sockets->all[at], (curl_socket_t)at))
            close((int)at);
    fc_sockets_free(sockets);
}

void fc_sockets_free(fc_sockets *sockets)
{
    free(sockets->all);
    *sockets = (fc_sockets){0};
}
