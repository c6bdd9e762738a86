/*
 * answers.c - fuzzes what Lua sees of an answer: an exchange is filled in without a network, and
 * the session, the result or the error made of it is held to the promises of promises.lua.
 *
 * Input: a letter for the kind of exchange (L, O or R), a digit for its filescom_code (0: an answer
 * came), then the answer as on the wire: a status line, headers, a blank line, the body.
 */
#define _GNU_SOURCE
#include "exchange.h"
#include "host.h"
#include "input.h"

#define BASE_URL "http://127.0.0.1:8080/api/rest/v1"

static exchange_kind kind_of(unsigned letter)
{
    return letter == 'L' ? EXCHANGE_LOGIN : letter == 'O' ? EXCHANGE_LOGOUT : EXCHANGE_CALL;
}

static const char *name_of(exchange_kind kind)
{
    static const char *const names[] = {"login", "logout", "request"};

    return names[kind];
}

/* Codes that an exchange which ended can have. */
static filescom_code code_of(unsigned digit)
{
    static const filescom_code codes[] = {FILESCOM_OK,       FILESCOM_RESOLVE, FILESCOM_CONNECT,
                                          FILESCOM_TLS,      FILESCOM_TIMEOUT, FILESCOM_INTERRUPTED,
                                          FILESCOM_TOO_LARGE};

    return codes[digit % 16 % (sizeof codes / sizeof *codes)];
}

static fc_buffer buffer_of(filescom_bytes bytes)
{
    filescom_bytes copy = copy_of(bytes);

    return (fc_buffer){(char *)(uintptr_t)copy.data, copy.size, copy.size, copy.size};
}

static long status_of(filescom_bytes head)
{
    char line[16] = "";

    if (head.size > 9)
        memcpy(line, head.data + 9, head.size - 9 < 3 ? head.size - 9 : 3);
    return strtol(line, NULL, 10);
}

static void fill(filescom_exchange *exchange, filescom_code code, input from)
{
    const char *blank = memmem(from.at, from.left, "\r\n\r\n", 4);
    filescom_bytes head = take_bytes(&from, blank ? (size_t)(blank - from.at) + 4 : from.left);

    exchange->result = code;
    memcpy(exchange->base_url, BASE_URL, sizeof BASE_URL);
    if (code != FILESCOM_OK)
        snprintf(exchange->message, sizeof exchange->message, "no whole answer came");
    exchange->head = buffer_of(head);
    exchange->content = buffer_of((filescom_bytes){from.at, from.left});
    exchange->status = status_of(head);
}

static int push_answer(lua_State *L)
{
    const filescom_exchange *exchange = lua_touserdata(L, lua_upvalueindex(1));

    return core_push_answer(L, exchange, (exchange_kind)lua_tointeger(L, lua_upvalueindex(2)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input from = input_of(data, size);
    exchange_kind kind = kind_of(take_byte(&from));
    filescom_code code = code_of(take_byte(&from));
    filescom_exchange *exchange;
    lua_State *L = host_state("answers");

    if (from.left == 0)
        return 0;
    exchange = calloc(1, sizeof *exchange + sizeof BASE_URL);
    PROMISE(exchange != NULL);
    fill(exchange, code, from);
    lua_pushlightuserdata(L, exchange);
    lua_pushinteger(L, kind);
    lua_pushcclosure(L, push_answer, 2);
    lua_pushstring(L, name_of(kind));
    lua_pushliteral(L, BASE_URL);
    host_call(L, "take", 3);
    free(exchange->head.data);
    free(exchange->content.data);
    free(exchange);
    return 0;
}
