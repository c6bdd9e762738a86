/*
 * options.c - fuzzes the option readers of the binding with tables of any keys and values: what is
 * taken is what was given, and what is refused is refused by a Lua error that says what is wrong.
 *
 * Input: a letter for the table (C a client's options, K credentials, R a request), then the
 * entries: a byte that picks the key, a letter for the type of the value, and the value. Nothing is
 * connected to.
 */
#include "host.h"
#include "input.h"

#include <math.h>

int luaopen_filescom_core(lua_State *L);

static const char *const keys[] = {
    "base_url",
    "subdomain",
    "timeout",
    "connect_timeout",
    "retries",
    "ca_file",
    "ca_path",
    "proxy",
    "user_agent",
    "language",
    "method",
    "path",
    "headers",
    "workspace_id",
    "max_response_size",
    "body",
    "session_id",
    "username",
    "password",
    "max_in_flight",
    "otp",
    "partial_session_id",
};

#define KEYS (sizeof keys / sizeof *keys)

/* ---- tables --------------------------------------------------------------------------------- */

static void push_bytes(lua_State *L, filescom_bytes bytes)
{
    lua_pushlstring(L, bytes.size ? bytes.data : "", bytes.size);
}

static void push_number(lua_State *L, input *from)
{
    uint64_t bits = take_number(from, 8);
    double number;

    memcpy(&number, &bits, sizeof number);
    lua_pushnumber(L, number);
}

static void push_table(lua_State *L, input *from)
{
    unsigned count = take_byte(from) % 8;

    lua_newtable(L);
    for (; count > 0; count--) {
        push_bytes(L, take_counted(from));
        push_bytes(L, take_counted(from));
        lua_rawset(L, -3);
    }
}

static void push_value(lua_State *L, input *from)
{
    switch (take_byte(from)) {
    case 's':
        push_bytes(L, take_counted(from));
        break;
    case 'i':
        lua_pushinteger(L, (lua_Integer)take_number(from, 8));
        break;
    case 'b':
        lua_pushinteger(L, (lua_Integer)take_byte(from));
        break;
    case 'n':
        push_number(L, from);
        break;
    case 't':
        push_table(L, from);
        break;
    case 'f':
        lua_pushcfunction(L, luaopen_filescom_core);
        break;
    case 'u':
        lua_pushlightuserdata(L, L);
        break;
    default:
        lua_pushboolean(L, (int)take_byte(from) % 2);
    }
}

static void push_key(lua_State *L, input *from)
{
    unsigned choice = take_byte(from);

    if (choice < KEYS) {
        lua_pushstring(L, keys[choice]);
        return;
    }
    push_value(L, from);
    if (lua_type(L, -1) == LUA_TNUMBER && isnan(lua_tonumber(L, -1))) {
        lua_pop(L, 1); /* no table has such a key */
        lua_pushboolean(L, 1);
    }
}

static void push_entries(lua_State *L, input *from)
{
    lua_newtable(L);
    while (from->left > 0) {
        push_key(L, from);
        push_value(L, from);
        lua_rawset(L, -3);
    }
}

/* ---- what was taken, against the table at index 2 ------------------------------------------- */

/* The bytes of a field are the string of the table, or there is neither. */
static void check_bytes(lua_State *L, const char *name, filescom_bytes found)
{
    filescom_bytes given = {NULL, 0};

    lua_getfield(L, 2, name);
    PROMISE(lua_isnil(L, -1) || lua_type(L, -1) == LUA_TSTRING);
    given.data = lua_tolstring(L, -1, &given.size);
    PROMISE((given.data == NULL) == (found.data == NULL));
    PROMISE(given.data == NULL || is_same(given, found));
    lua_pop(L, 1);
}

static void check_text(lua_State *L, const char *name, const char *found)
{
    check_bytes(L, name, (filescom_bytes){found, found ? strlen(found) : 0});
}

/* A number of the table, or what is the default. */
static double number_of(lua_State *L, const char *name, double otherwise)
{
    double number = otherwise;

    lua_getfield(L, 2, name);
    if (!lua_isnil(L, -1)) {
        PROMISE(lua_type(L, -1) == LUA_TNUMBER);
        number = lua_tonumber(L, -1);
    }
    lua_pop(L, 1);
    return number;
}

static void check_seconds(lua_State *L, const char *name, long found, double otherwise)
{
    double seconds = number_of(L, name, otherwise);

    PROMISE(found >= (otherwise > 0) && found <= 1000000000L);
    PROMISE(fabs((double)found - seconds * 1000) <= 1);
}

static void check_options(lua_State *L)
{
    filescom_options options;
    double count;

    core_read_options(L, 2, &options);
    check_seconds(L, "timeout", options.timeout_ms, 60);
    check_seconds(L, "connect_timeout", options.connect_timeout_ms, 15);
    count = number_of(L, "retries", 2);
    PROMISE(options.retries >= 0 && options.retries <= 1000 && (double)options.retries == count);
    PROMISE((double)options.max_response_size == number_of(L, "max_response_size", 1048576));
    PROMISE((double)options.max_in_flight == number_of(L, "max_in_flight", 1000));
    PROMISE(options.max_response_size > 0 && options.max_in_flight > 0);
    check_text(L, "ca_file", options.ca_file);
    check_text(L, "ca_path", options.ca_path);
    check_text(L, "proxy", options.proxy);
    check_text(L, "user_agent", options.user_agent);
    check_text(L, "language", options.language);
    check_text(L, "workspace_id", options.workspace_id);
    lua_getfield(L, 2, "subdomain");
    if (lua_isnil(L, -1)) {
        lua_getfield(L, 2, "base_url");
        if (!lua_isnil(L, -1))
            check_text(L, "base_url", options.base_url);
    }
}

static void check_credentials(lua_State *L)
{
    filescom_credentials credentials;

    core_read_credentials(L, 2, &credentials);
    check_bytes(L, "username", credentials.username);
    check_bytes(L, "password", credentials.password);
    check_bytes(L, "otp", credentials.otp);
    check_bytes(L, "partial_session_id", credentials.partial_session_id);
}

/* Each header of the request is an entry of the table at the top, and there are as many. */
static void check_headers(lua_State *L, const filescom_request *request)
{
    size_t count = 0;
    size_t i;

    for (i = 0; i < request->header_count; i++) {
        size_t size;
        const char *value;

        push_bytes(L, request->headers[i].name);
        lua_rawget(L, -2);
        value = lua_tolstring(L, -1, &size);
        PROMISE(value != NULL && is_same(request->headers[i].value, (filescom_bytes){value, size}));
        lua_pop(L, 1);
    }
    lua_pushnil(L);
    for (; lua_next(L, -2); lua_pop(L, 1))
        count++;
    PROMISE(count == request->header_count);
}

static void check_request(lua_State *L)
{
    filescom_request request;

    core_read_request(L, 2, &request);
    lua_gc(L, LUA_GCCOLLECT); /* what is not held goes */
    PROMISE(request.method != NULL && request.path.data != NULL);
    check_text(L, "method", request.method);
    check_bytes(L, "path", request.path);
    check_text(L, "base_url", request.base_url);
    check_bytes(L, "session_id", request.session_id);
    check_bytes(L, "body", request.body);
    check_seconds(L, "timeout", request.timeout_ms, 0);
    lua_getfield(L, 2, "headers");
    if (lua_istable(L, -1))
        check_headers(L, &request);
    else
        PROMISE(lua_isnil(L, -1) && request.header_count == 0);
}

/* Makes the client as well, which connects to nothing. */
static void check_client(lua_State *L)
{
    check_options(L);
    lua_settop(L, 2);
    lua_pushcfunction(L, core_new_client);
    lua_pushvalue(L, 2);
    lua_call(L, 1, 1);
    PROMISE(lua_isuserdata(L, -1));
}

/* ---- an input ------------------------------------------------------------------------------- */

static int check(lua_State *L)
{
    switch (lua_tointeger(L, 1)) {
    case 'K':
        check_credentials(L);
        break;
    case 'R':
        check_request(L);
        break;
    default:
        check_client(L);
    }
    return 0;
}

/* The error at the top names what is wrong. */
static void check_error(lua_State *L)
{
    const char *text;

    PROMISE(lua_type(L, -1) == LUA_TSTRING);
    text = lua_tostring(L, -1);
    PROMISE(strstr(text, "option '") != NULL || strstr(text, "unknown option (a ") != NULL ||
            strstr(text, "base_url ") != NULL || strstr(text, "must be above 0") != NULL ||
            strstr(text, "too long") != NULL || strstr(text, "proxy must be a URL") != NULL ||
            strstr(text, "control character") != NULL ||
            strcmp(text, "a request needs 'method' and 'path'") == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lua_State *L = host_state("promises");
    input from = input_of(data, size);
    unsigned letter = take_byte(&from);

    lua_pushcfunction(L, check);
    lua_pushinteger(L, letter);
    push_entries(L, &from);
    if (lua_pcall(L, 2, 0, 0) != LUA_OK)
        check_error(L);
    lua_settop(L, 1);
    return 0;
}
