/*
 * standalone.c - a C program that logs in and out with the core alone.
 *
 *   standalone BASE_URL CA_FILE USERNAME PASSWORD
 *
 * Prints the status and the body of each answer. Depends on filescom.h and nothing else of it.
 */
#include "filescom.h"

#include <stdio.h>
#include <string.h>

static filescom_bytes bytes_of(const char *text)
{
    return (filescom_bytes){text, strlen(text)};
}

/* Waits and tells; the exchange stays the caller's. */
static bool show(filescom_exchange *exchange)
{
    filescom_bytes body;

    if (filescom_exchange_wait(exchange, -1) != FILESCOM_OK)
        return false;
    body = filescom_exchange_body(exchange);
    printf("%ld %.*s%s\n", filescom_exchange_status(exchange), (int)body.size,
           body.data ? body.data : "", filescom_exchange_message(exchange));
    return filescom_exchange_result(exchange) == FILESCOM_OK;
}

/* The id in a session's JSON, written into id. */
static bool find_id(filescom_bytes json, char id[128])
{
    char text[2048];
    const char *found;

    snprintf(text, sizeof text, "%.*s", (int)json.size, json.data);
    found = strstr(text, "\"id\":\"");
    return found != NULL && sscanf(found + 6, "%127[^\"]", id) == 1;
}

static bool log_in_and_out(filescom_client *client, char **arguments)
{
    char message[FILESCOM_MESSAGE_SIZE], id[128];
    filescom_credentials credentials = {.username = bytes_of(arguments[3]),
                                        .password = bytes_of(arguments[4])};
    filescom_exchange *login = NULL, *logout = NULL;
    bool good = filescom_login(client, NULL, &credentials, &login, message) == FILESCOM_OK &&
                show(login) && find_id(filescom_exchange_body(login), id) &&
                filescom_logout(client, NULL, bytes_of(id), &logout, message) == FILESCOM_OK &&
                show(logout);

    filescom_exchange_release(login);
    filescom_exchange_release(logout);
    return good;
}

int main(int count, char **arguments)
{
    char message[FILESCOM_MESSAGE_SIZE];
    filescom_engine *engine = filescom_engine_new();
    filescom_client *client = NULL;
    filescom_options options;
    bool good = false;

    if (count != 5 || engine == NULL)
        return 2;
    filescom_options_init(&options);
    options.base_url = arguments[1];
    options.ca_file = arguments[2];
    if (filescom_client_new(engine, &options, &client, message) == FILESCOM_OK)
        good = log_in_and_out(client, arguments);
    else
        fprintf(stderr, "%s\n", message);
    filescom_client_release(client);
    filescom_engine_release(engine);
    return good ? 0 : 1;
}
