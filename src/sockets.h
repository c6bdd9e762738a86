/*
 * sockets.h - the sockets that libcurl opened through us, by descriptor.
 *
 * What a driver must know of them beyond libcurl: which are ours to close in the child of a fork,
 * and which one a kept connection uses. Depends on libcurl's types alone.
 */
#ifndef FILESCOM_SOCKETS_H
#define FILESCOM_SOCKETS_H

#include "filescom.h"

#include <curl/curl.h>
#include <sys/types.h>

#pragma GCC visibility push(hidden)

typedef struct fc_socket {
    bool open;          /* opened by fc_sockets_open and not closed yet */
    uint8_t registered; /* the events that the driver's set holds for it, as CURL_POLL_ bits */
    uint8_t wanted;     /* those that libcurl wants */
    int local_port;     /* 0: not known yet */
    int remote_port;
    dev_t device; /* tells this socket from a file that got its number later */
    ino_t inode;
} fc_socket;

#define FC_GUESSES 256

typedef struct fc_sockets {
    fc_socket *all; /* by descriptor */
    size_t size;
    curl_socket_t guesses[FC_GUESSES]; /* by local port: the last found of those of one place */
} fc_sockets;

/* The place of a descriptor; NULL where memory ran out. */
fc_socket *fc_sockets_at(fc_sockets *sockets, curl_socket_t descriptor);

/* Opens a socket, as CURLOPT_OPENSOCKETFUNCTION should; errno tells why it could not. */
curl_socket_t fc_sockets_open(fc_sockets *sockets, const struct curl_sockaddr *address);

/* Closes a socket, as CURLOPT_CLOSESOCKETFUNCTION should. */
int fc_sockets_close(fc_sockets *sockets, curl_socket_t descriptor);

/*
 * Whether the connection between these ports has something to read. False where there is no such
 * connection.
 */
bool fc_sockets_has_input(fc_sockets *sockets, int local_port, int remote_port);

/* Closes those that are still what they were when they were opened; frees the table. */
void fc_sockets_abandon(fc_sockets *sockets);

/* Frees the table alone. */
void fc_sockets_free(fc_sockets *sockets);

#pragma GCC visibility pop

#endif
