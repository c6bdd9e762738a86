/* lua_answer.c - what an exchange came to, as Lua tables. See lua_core.h. */
#include "lua_core.h"

#define MAX_HEADERS 1000

static void set_bytes(lua_State *L, const char *name, filescom_bytes bytes)
{
    if (bytes.data == NULL)
        return;
    lua_pushlstring(L, bytes.data, bytes.size);
    lua_setfield(L, -2, name);
}

static void set_string(lua_State *L, const char *name, const char *text)
{
    if (text == NULL)
        return;
    lua_pushstring(L, text);
    lua_setfield(L, -2, name);
}

/* As an integer, unless that is too small: LuaJIT's has 32 bits on some machines. */
static void push_whole_number(lua_State *L, double number)
{
    if (sizeof(lua_Integer) < sizeof(int64_t) && number > INT32_MAX)
        lua_pushnumber(L, number);
    else
        lua_pushinteger(L, (lua_Integer)number);
}

static void set_common(lua_State *L, const filescom_exchange *exchange)
{
    lua_pushinteger(L, filescom_exchange_status(exchange));
    lua_setfield(L, -2, "status");
    set_bytes(L, "request_id", filescom_exchange_header(exchange, "X-Request-Id"));
}

static void set_retry_after(lua_State *L, const filescom_exchange *exchange)
{
    double retry_after = filescom_exchange_retry_after(exchange);

    if (retry_after < 0)
        return;
    push_whole_number(L, retry_after);
    lua_setfield(L, -2, "retry_after");
}

/*
 * A failure: type and message where this library found it, else the status and, in `body`, what the
 * service said in JSON; lua/filescom/errors.lua makes sense of that.
 */
static int push_failure(lua_State *L, const filescom_exchange *exchange, const char *type,
                        const char *message)
{
    bool answered = filescom_exchange_result(exchange) == FILESCOM_OK;

    lua_pushnil(L);
    lua_createtable(L, 0, 8);
    set_string(L, "type", type);
    set_string(L, "message", message);
    set_string(L, "base_url", filescom_exchange_base_url(exchange));
    if (answered) {
        set_common(L, exchange);
        set_retry_after(L, exchange);
        set_bytes(L, "content_type", filescom_exchange_header(exchange, "Content-Type"));
        if (type == NULL && core_push_json(L, filescom_exchange_body(exchange)))
            lua_setfield(L, -2, "body");
    }
    return 2;
}

int core_push_own_failure(lua_State *L, filescom_code code, const char *message)
{
    lua_pushnil(L);
    lua_createtable(L, 0, 2);
    set_string(L, "type", filescom_code_type(code));
    set_string(L, "message", message);
    return 2;
}

static bool is_success(const filescom_exchange *exchange)
{
    long status = filescom_exchange_status(exchange);

    return status >= 200 && status <= 299;
}

static bool has_body(const filescom_exchange *exchange)
{
    return filescom_exchange_body(exchange).size > 0;
}

static int push_not_json(lua_State *L, const filescom_exchange *exchange)
{
    return push_failure(L, exchange, "response/not-json", "the service's answer is not JSON");
}

static int push_no_session(lua_State *L, const filescom_exchange *exchange)
{
    return push_failure(L, exchange, "response/no-session",
                        "the service answered with success but without a usable session id");
}

/* Whether the table at the top has an id that can go into a header. */
static bool has_session_id(lua_State *L)
{
    filescom_bytes id = {NULL, 0};
    bool usable;

    lua_getfield(L, -1, "id");
    if (lua_type(L, -1) == LUA_TSTRING)
        id.data = lua_tolstring(L, -1, &id.size);
    usable = filescom_is_session_id(id);
    lua_pop(L, 1);
    return usable;
}

static int push_session(lua_State *L, const filescom_exchange *exchange)
{
    if (!has_body(exchange))
        return push_no_session(L, exchange);
    if (!core_push_json(L, filescom_exchange_body(exchange)))
        return push_not_json(L, exchange);
    if (!lua_istable(L, -1) || !has_session_id(L))
        return push_no_session(L, exchange);
    set_string(L, "base_url", filescom_exchange_base_url(exchange));
    return 1;
}

/* A body that is not JSON did not come from the service: then the session may well be open. */
static int push_logout(lua_State *L, const filescom_exchange *exchange)
{
    if (has_body(exchange) && !core_push_json(L, filescom_exchange_body(exchange)))
        return push_not_json(L, exchange);
    lua_createtable(L, 0, 3);
    set_common(L, exchange);
    return 1;
}

/* Pushes a name in lower case. */
static void push_lower(lua_State *L, filescom_bytes name)
{
    luaL_Buffer buffer;
    size_t i;

    luaL_buffinit(L, &buffer);
    for (i = 0; i < name.size; i++) {
        char c = name.data[i];
        luaL_addchar(&buffer, (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c));
    }
    luaL_pushresult(&buffer);
}

/* Several headers of one name become one, as RFC 9110, 5.2 says. */
static void add_header(lua_State *L, const filescom_header *header)
{
    push_lower(L, header->name);
    lua_pushvalue(L, -1);
    lua_rawget(L, -3);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
    } else {
        lua_pushliteral(L, ", ");
        lua_pushlstring(L, header->value.data, header->value.size);
        lua_concat(L, 3);
        lua_rawset(L, -3);
        return;
    }
    lua_pushlstring(L, header->value.data, header->value.size);
    lua_rawset(L, -3);
}

/* False, with nothing pushed, where there are more than anybody means: joining them takes time. */
static bool push_headers(lua_State *L, const filescom_exchange *exchange)
{
    size_t cursor = 0;
    int count = 0;
    filescom_header header;

    lua_newtable(L);
    while (filescom_exchange_next_header(exchange, &cursor, &header)) {
        if (++count > MAX_HEADERS) {
            lua_pop(L, 1);
            return false;
        }
        add_header(L, &header);
    }
    return true;
}

/* Sets the field of the table at the top that the body becomes; false where it cannot. */
static bool set_body(lua_State *L, filescom_bytes body, bool raw)
{
    if (raw)
        lua_pushlstring(L, body.data != NULL ? body.data : "", body.size);
    else if (body.size == 0)
        return true;
    else if (!core_push_json(L, body))
        return false;
    lua_setfield(L, -2, raw ? "body" : "data");
    return true;
}

static int push_call(lua_State *L, const filescom_exchange *exchange, bool raw)
{
    lua_createtable(L, 0, 5);
    set_common(L, exchange);
    if (!push_headers(L, exchange))
        return push_failure(L, exchange, filescom_code_type(FILESCOM_TOO_LARGE),
                            "the answer has more headers than are taken");
    lua_setfield(L, -2, "headers");
    if (!set_body(L, filescom_exchange_body(exchange), raw))
        return push_not_json(L, exchange);
    return 1;
}

int core_push_answer(lua_State *L, const filescom_exchange *exchange, exchange_kind kind)
{
    filescom_code code = filescom_exchange_result(exchange);

    luaL_checkstack(L, 12, NULL);
    if (code == FILESCOM_NO_MEMORY)
        return core_raise(L, code, filescom_exchange_message(exchange));
    if (code != FILESCOM_OK)
        return push_failure(L, exchange, filescom_code_type(code),
                            filescom_exchange_message(exchange));
    if (!is_success(exchange))
        return push_failure(L, exchange, NULL, NULL);
    switch (kind) {
    case EXCHANGE_LOGIN:
        return push_session(L, exchange);
    case EXCHANGE_LOGOUT:
        return push_logout(L, exchange);
    default:
        return push_call(L, exchange, kind == EXCHANGE_RAW);
    }
}
