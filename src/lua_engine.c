/*
 * lua_engine.c - the engine of a Lua state, and the functions by which an event loop drives it.
 *
 * See lua_core.h. The relay is started only where it is asked for, in nginx.
 */
#include "lua_core.h"
#include "relay.h"

#include <errno.h>

#define ENGINE "filescom.engine"

typedef struct engine_box {
    filescom_engine *engine; /* NULL until it is needed */
    fc_relay *relay;         /* NULL until it is needed */
} engine_box;

static engine_box *get_box(lua_State *L)
{
    engine_box *box;

    lua_getfield(L, LUA_REGISTRYINDEX, ENGINE ".box");
    box = lua_touserdata(L, -1);
    lua_pop(L, 1); /* the registry keeps it */
    return box;
}

static int engine_gc(lua_State *L)
{
    engine_box *box = luaL_checkudata(L, 1, ENGINE);

    fc_relay_stop(box->relay);
    box->relay = NULL;
    filescom_engine_release(box->engine);
    box->engine = NULL;
    return 0;
}

void core_open_engine(lua_State *L)
{
    static const luaL_Reg methods[] = {{NULL, NULL}};
    static const luaL_Reg metamethods[] = {{"__gc", engine_gc}, {NULL, NULL}};
    engine_box *box;

    core_new_class(L, ENGINE, methods, metamethods);
    box = lua_newuserdatauv(L, sizeof *box, 0);
    *box = (engine_box){NULL, NULL};
    luaL_getmetatable(L, ENGINE);
    lua_setmetatable(L, -2);
    lua_setfield(L, LUA_REGISTRYINDEX, ENGINE ".box");
}

static int raise_no_engine(lua_State *L, int why)
{
    if (why == EMFILE || why == ENFILE)
        return core_raise(L, FILESCOM_NO_MEMORY, "no file descriptor is left");
    if (why == ENOTSUP)
        return luaL_error(L, "filescom: libcurl cannot be started");
    return core_raise(L, FILESCOM_NO_MEMORY, "not enough memory");
}

filescom_engine *core_engine(lua_State *L)
{
    engine_box *box = get_box(L);

    if (box->engine == NULL)
        box->engine = filescom_engine_new();
    if (box->engine == NULL)
        raise_no_engine(L, errno);
    return box->engine;
}

/* core.descriptor() -> the engine's descriptor to watch for reading, or nil where it has none */
static int core_descriptor(lua_State *L)
{
    int descriptor = filescom_engine_descriptor(core_engine(L));

    if (descriptor < 0)
        lua_pushnil(L);
    else
        lua_pushinteger(L, descriptor);
    return 1;
}

/* core.step() -> whether there was anything to do; does what can be done without blocking */
static int core_step(lua_State *L)
{
    lua_pushboolean(L, filescom_engine_step(core_engine(L)));
    return 1;
}

/*
 * core.relay_path() -> the path of a unix socket on which bytes arrive when core.step has something
 * to do, starting the relay where there is none; or nil and why there is none
 */
static int core_relay_path(lua_State *L)
{
    char message[FILESCOM_MESSAGE_SIZE];
    engine_box *box = get_box(L);
    int descriptor = filescom_engine_descriptor(core_engine(L));

    if (box->relay != NULL && !fc_relay_serves(box->relay, descriptor)) {
        fc_relay_stop(box->relay);
        box->relay = NULL;
    }
    if (box->relay == NULL)
        box->relay = fc_relay_start(descriptor, message);
    if (box->relay == NULL) {
        lua_pushnil(L);
        lua_pushstring(L, message);
        return 2;
    }
    lua_pushstring(L, fc_relay_path(box->relay));
    return 1;
}

/*
 * core.next_news() -> the id of an exchange that has ended, and that nobody waited for, or whose
 * streamed body needs its caller (exchange:attention()); or nil
 */
static int core_next_news(lua_State *L)
{
    filescom_exchange *exchange = filescom_engine_next_news(core_engine(L));

    if (exchange == NULL)
        lua_pushnil(L);
    else
        lua_pushnumber(L, (lua_Number)filescom_exchange_id(exchange));
    return 1;
}

/* core.in_flight() -> how many exchanges are in flight */
static int core_in_flight(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)filescom_engine_in_flight(core_engine(L)));
    return 1;
}

/* core.rearm_relay(): after steps that left nothing to do; the relay tells of the next */
static int core_rearm_relay(lua_State *L)
{
    const engine_box *box = get_box(L);

    if (box->relay != NULL &&
        fc_relay_serves(box->relay, filescom_engine_descriptor(core_engine(L))))
        fc_relay_rearm(box->relay);
    return 0;
}

static const luaL_Reg functions[] = {
    {"descriptor", core_descriptor},
    {"step", core_step},
    {"next_news", core_next_news},
    {"in_flight", core_in_flight},
    {"relay_path", core_relay_path},
    {"rearm_relay", core_rearm_relay},
    {NULL, NULL},
};

void core_add_engine_functions(lua_State *L)
{
    luaL_setfuncs(L, functions, 0);
}
