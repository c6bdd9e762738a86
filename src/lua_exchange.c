/* lua_exchange.c - the userdata of an exchange: waiting for it, finishing it, letting it go. */
#include "lua_core.h"

#define EXCHANGE "filescom.exchange"
#define SPARE "filescom.exchange.spare"
#define LONGEST_WAIT 1e6
#define SLICE_MS 200

static exchange_box *push_new_box(lua_State *L)
{
    exchange_box *box = lua_newuserdatauv(L, sizeof *box, 0);

    *box = (exchange_box){0};
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

void core_let_hooks_run(lua_State *L)
{
    luaL_checkstack(L, 2, NULL);
    if (luaL_loadstring(L, "") != LUA_OK)
        lua_error(L);
    lua_call(L, 0, 0);
}

static int64_t now_ms(void)
{
    return (int64_t)(core_now() * 1000);
}

/* What is left of a wait until that time; negative where the wait has no limit. */
static long left_until(int64_t until_ms)
{
    int64_t left = until_ms - now_ms();

    return until_ms < 0 ? -1 : left > 0 ? (long)left : 0;
}

/* Raises what a hook does, or that the exchange was closed by one. */
static void let_hooks_run(lua_State *L, const exchange_box *box)
{
    core_let_hooks_run(L);
    if (box->exchange == NULL)
        core_usage_error(L, "the exchange is closed");
}

/*
 * In slices: a signal that comes just before the core begins to wait ends no wait, and what it has
 * left for Lua to run would be put off until the answer comes.
 */
static bool wait_for(lua_State *L, const exchange_box *box, long timeout_ms)
{
    int64_t until_ms = timeout_ms < 0 ? -1 : now_ms() + timeout_ms;
    long left = timeout_ms;
    filescom_code code;

    for (;;) {
        bool is_last = left >= 0 && left <= SLICE_MS;

        code = filescom_exchange_wait(box->exchange, is_last ? left : SLICE_MS);
        if (code == FILESCOM_OK || code == FILESCOM_ATTENTION ||
            (code == FILESCOM_PENDING && is_last))
            return code == FILESCOM_OK;
        let_hooks_run(L, box);
        left = left_until(until_ms);
    }
}

/*
 * exchange:wait([seconds]) -> whether it is done; without a limit only its own holds. False before
 * any limit where a streamed body needs its caller: see exchange:attention().
 */
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

/* exchange:ready() -> whether there is nothing to wait for: it is done, or needs its caller */
static int exchange_ready(lua_State *L)
{
    filescom_exchange *exchange = check_exchange(L)->exchange;

    lua_pushboolean(L, filescom_exchange_result(exchange) != FILESCOM_PENDING ||
                           filescom_exchange_attention(exchange) != FILESCOM_NOTHING);
    return 1;
}

/*
 * exchange:attention() -> "take": exchange:received() is a piece of the answer's body; or "give"
 * and how many bytes of the request's body exchange:give(piece) should be given, at most; or nil
 */
static int exchange_attention(lua_State *L)
{
    filescom_exchange *exchange = check_exchange(L)->exchange;

    switch (filescom_exchange_attention(exchange)) {
    case FILESCOM_TAKE:
        lua_pushliteral(L, "take");
        return 1;
    case FILESCOM_GIVE:
        lua_pushliteral(L, "give");
        lua_pushinteger(L, (lua_Integer)filescom_exchange_wanted(exchange));
        return 2;
    default:
        lua_pushnil(L);
        return 1;
    }
}

/* exchange:received() -> the piece of the answer's body that waits to be taken, or nil */
static int exchange_received(lua_State *L)
{
    filescom_bytes piece = filescom_exchange_received(check_exchange(L)->exchange);

    if (piece.data == NULL) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushlstring(L, piece.data, piece.size);
    return 1;
}

/* exchange:taken(): the piece was dealt with, and the next may come */
static int exchange_taken(lua_State *L)
{
    filescom_exchange_taken(check_exchange(L)->exchange);
    return 0;
}

/* exchange:give(piece): a piece of the request's body, or nil at its end */
static int exchange_give(lua_State *L)
{
    exchange_box *box = check_exchange(L);
    filescom_bytes piece = {NULL, 0};

    if (!lua_isnoneornil(L, 2)) {
        if (lua_type(L, 2) != LUA_TSTRING)
            core_usage_error(L, "a source must return a string, or nil at its end, got %s",
                             luaL_typename(L, 2));
        piece.data = lua_tolstring(L, 2, &piece.size);
    }
    if (filescom_exchange_give(box->exchange, piece) != FILESCOM_OK)
        return core_raise(L, FILESCOM_NO_MEMORY, "not enough memory");
    return 0;
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
    filescom_exchange *exchange = box->exchange;
    int count;

    count = core_push_answer(L, exchange, box->kind);
    box->exchange = NULL;
    filescom_exchange_release(exchange);
    return count;
}

/* Keeps a box that is empty, and that Lua never saw, for another exchange. */
static void keep_spare_box(lua_State *L, int index)
{
    lua_pushvalue(L, index);
    lua_setfield(L, LUA_REGISTRYINDEX, SPARE);
}

/*
 * exchange:finish() -> what it came to; see core_push_answer. The exchange goes into a box of its
 * own first: a finalizer that runs while the answer is made might cancel the one that Lua holds.
 */
static int exchange_finish(lua_State *L)
{
    exchange_box *box = check_exchange(L);
    exchange_box *own;
    int own_index;
    int count;

    if (filescom_exchange_result(box->exchange) == FILESCOM_PENDING)
        core_usage_error(L, "the exchange is not done yet");
    own = core_push_exchange(L, box->kind);
    own_index = lua_gettop(L);
    if (box->exchange == NULL)
        core_usage_error(L, "the exchange is closed");
    own->exchange = box->exchange;
    box->exchange = NULL;
    count = finish(L, own);
    keep_spare_box(L, own_index);
    return count;
}

int core_complete_exchange(lua_State *L)
{
    exchange_box *box = lua_touserdata(L, -1);
    int box_index = lua_gettop(L);
    int count;

    if (!wait_for(L, box, -1))
        return core_usage_error(L, "a streamed body is begun by begin_request");
    count = finish(L, box);
    keep_spare_box(L, box_index);
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
    {"wait", exchange_wait},         {"done", exchange_done},
    {"ready", exchange_ready},       {"attention", exchange_attention},
    {"received", exchange_received}, {"taken", exchange_taken},
    {"give", exchange_give},         {"finish", exchange_finish},
    {"cancel", exchange_cancel},     {"id", exchange_id},
    {"info", exchange_info},         {NULL, NULL},
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
