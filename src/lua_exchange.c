/* lua_exchange.c - the userdata of an exchange: waiting for it, finishing it, letting it go. */
#include "lua_core.h"

#define EXCHANGE "filescom.exchange"
#define SPARE "filescom.exchange.spare"
#define LONGEST_WAIT 1e6

static exchange_box *push_new_box(lua_State *L)
{
    exchange_box *box = lua_newuserdatauv(L, sizeof *box, 0);

    box->exchange = NULL;
    luaL_getmetatable(L, EXCHANGE);
    lua_setmetatable(L, -2);
    return box;
}

/*
 * A box is collected with a finalizer, which costs more than all else about it: one that Lua never
 * saw is kept for the next exchange.
 */
static exchange_box *push_spare_box(lua_State *L)
{
    exchange_box *box;

    lua_getfield(L, LUA_REGISTRYINDEX, SPARE);
    box = lua_touserdata(L, -1);
    if (box == NULL) {
        lua_pop(L, 1);
        return NULL;
    }
    lua_pushnil(L);
    lua_setfield(L, LUA_REGISTRYINDEX, SPARE);
    return box;
}

exchange_box *core_push_exchange(lua_State *L, exchange_kind kind)
{
    exchange_box *box = push_spare_box(L);

    if (box == NULL)
        box = push_new_box(L);
    box->kind = kind;
    return box;
}

static exchange_box *check_exchange(lua_State *L)
{
    exchange_box *box = luaL_checkudata(L, 1, EXCHANGE);

    if (box->exchange == NULL)
        core_usage_error(L, "the exchange is closed");
    return box;
}

/* cancel, __gc and __close; may run twice. */
static int exchange_cancel(lua_State *L)
{
    exchange_box *box = luaL_checkudata(L, 1, EXCHANGE);
    filescom_exchange *exchange = box->exchange;

    box->exchange = NULL;
    filescom_exchange_release(exchange);
    return 0;
}

/*
 * A signal may have left a hook for Lua to run (as lua.c does at an interrupt); hooks run when Lua
 * code does. May raise.
 */
static void let_hooks_run(lua_State *L)
{
    luaL_checkstack(L, 2, NULL);
    if (luaL_loadstring(L, "") != LUA_OK)
        lua_error(L);
    lua_call(L, 0, 0);
}

static bool wait_for(lua_State *L, const exchange_box *box, long timeout_ms)
{
    filescom_code code;

    while ((code = filescom_exchange_wait(box->exchange, timeout_ms)) == FILESCOM_SIGNALLED)
        let_hooks_run(L);
    return code == FILESCOM_OK;
}

/* exchange:wait([seconds]) -> whether it is done; without a limit only its own holds. */
static int exchange_wait(lua_State *L)
{
    exchange_box *box = check_exchange(L);
    lua_Number seconds = luaL_optnumber(L, 2, -1);

    if (!(seconds <= LONGEST_WAIT))
        core_usage_error(L, "the wait must be a number of seconds up to 1000000");
    lua_pushboolean(L, wait_for(L, box, seconds < 0 ? -1 : (long)(seconds * 1000)));
    return 1;
}

static int exchange_done(lua_State *L)
{
    lua_pushboolean(L, filescom_exchange_result(check_exchange(L)->exchange) != FILESCOM_PENDING);
    return 1;
}

static int exchange_id(lua_State *L)
{
    lua_pushnumber(L, (lua_Number)filescom_exchange_id(check_exchange(L)->exchange));
    return 1;
}

/* exchange:info() -> how it went on the wire, for traces */
static int exchange_info(lua_State *L)
{
    const filescom_exchange *exchange = check_exchange(L)->exchange;
    filescom_exchange_info info = filescom_exchange_describe(exchange);
    filescom_bytes request_id = filescom_exchange_header(exchange, "X-Request-Id");

    lua_createtable(L, 0, 7);
    lua_pushinteger(L, filescom_exchange_status(exchange));
    lua_setfield(L, -2, "status");
    lua_pushlstring(L, request_id.size ? request_id.data : "", request_id.size);
    lua_setfield(L, -2, "request_id");
    lua_pushinteger(L, info.attempts);
    lua_setfield(L, -2, "attempts");
    lua_pushinteger(L, info.connections);
    lua_setfield(L, -2, "connections");
    lua_pushstring(L, info.remote_ip);
    lua_setfield(L, -2, "remote_ip");
    lua_pushinteger(L, info.remote_port);
    lua_setfield(L, -2, "remote_port");
    lua_pushnumber(L, info.seconds);
    lua_setfield(L, -2, "seconds");
    return 1;
}

/* Pushes the answer, then lets the exchange go; one that raises meanwhile goes with its box. */
static int finish(lua_State *L, exchange_box *box)
{
    int count = core_push_answer(L, box->exchange, box->kind);
    filescom_exchange *exchange = box->exchange;

    box->exchange = NULL;
    filescom_exchange_release(exchange);
    return count;
}

/* exchange:finish() -> what it came to; see core_push_answer */
static int exchange_finish(lua_State *L)
{
    exchange_box *box = check_exchange(L);

    if (filescom_exchange_result(box->exchange) == FILESCOM_PENDING)
        core_usage_error(L, "the exchange is not done yet");
    return finish(L, box);
}

int core_complete_exchange(lua_State *L)
{
    exchange_box *box = lua_touserdata(L, -1);

    int box_index = lua_gettop(L);
    int count;

    if (!wait_for(L, box, -1))
        return core_raise(L, FILESCOM_NO_MEMORY, "not enough memory");
    count = finish(L, box);
    lua_pushvalue(L, box_index);
    lua_setfield(L, LUA_REGISTRYINDEX, SPARE);
    return count;
}

static int exchange_tostring(lua_State *L)
{
    exchange_box *box = luaL_checkudata(L, 1, EXCHANGE);

    if (box->exchange == NULL)
        lua_pushliteral(L, EXCHANGE " (closed)");
    else if (filescom_exchange_result(box->exchange) == FILESCOM_PENDING)
        lua_pushliteral(L, EXCHANGE " (in flight)");
    else
        lua_pushliteral(L, EXCHANGE " (done)");
    return 1;
}

static const luaL_Reg methods[] = {
    {"wait", exchange_wait},
    {"done", exchange_done},
    {"finish", exchange_finish},
    {"cancel", exchange_cancel},
    {"id", exchange_id},
    {"info", exchange_info},
    {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__gc", exchange_cancel},
    {"__close", exchange_cancel},
    {"__tostring", exchange_tostring},
    {NULL, NULL},
};

void core_open_exchange(lua_State *L)
{
    core_new_class(L, EXCHANGE, methods, metamethods);
}
