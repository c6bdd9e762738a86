/*
 * client.h - what exchanges need of a client beyond filescom.h: easy handles, ready for use.
 *
 * Depends on engine.h and libcurl.
 */
#ifndef FILESCOM_CLIENT_H
#define FILESCOM_CLIENT_H

#include "engine.h"
#include "handle.h"

#pragma GCC visibility push(hidden)

filescom_engine *fc_client_engine(const filescom_client *client);
void fc_client_retain(filescom_client *client);

/*
 * A handle that carries the client's options, from the idle ones where there is one; without an
 * easy handle in it where memory ran out. An explicit proxy is used for plain http too, one from
 * the environment is not: such a request is for this machine.
 */
fc_handle fc_client_take_handle(filescom_client *client) FILESCOM_MUST_USE;

/* Gives a handle back that is in no multi handle any more and holds nothing of a request. */
void fc_client_give_handle(filescom_client *client, fc_handle *handle);

/* Counts an exchange as in flight, where the limits allow one more; and no longer. */
bool fc_client_enter_exchange(filescom_client *client) FILESCOM_MUST_USE;
void fc_client_leave_exchange(filescom_client *client);

/* Whether the client names a proxy of its own. */
bool fc_client_has_proxy(const filescom_client *client);

#pragma GCC visibility pop

#endif
