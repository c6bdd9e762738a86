/*
 * lua_core.c - the module filescom.core: one engine for each Lua state, and what belongs to it.
 *
 * See lua_core.h for the rules of the binding.
 */
#define _GNU_SOURCE
#include "lua_core.h"
#include "base_url.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <string.h>

#define ENGINE "filescom.engine"

#if defined(__GNUC__)
#define EXPORTED __attribute__((visibility("default")))
#else
#define EXPORTED
#endif

/* ---- errors --------------------------------------------------------------------------------- */

/* Whether a chunk is one of this library's modules, by the file it came from. */
static bool is_own_chunk(const lua_Debug *info)
{
    const char *source = info->source;
    size_t size = strlen(source);

    return strstr(source, "/filescom/") != NULL ||
           (size >= 13 && strcmp(source + size - 13, "/filescom.lua") == 0);
}

/* Pushes "file:line: " of the innermost Lua code outside this library, "" where there is none. */
static void push_place(lua_State *L)
{
    lua_Debug info;
    int level;

    for (level = 1; lua_getstack(L, level, &info); level++) {
        lua_getinfo(L, "Sl", &info);
        if (info.currentline > 0 && !is_own_chunk(&info)) {
            lua_pushfstring(L, "%s:%d: ", info.short_src, info.currentline);
            return;
        }
    }
    lua_pushliteral(L, "");
}

int core_usage_error(lua_State *L, const char *format, ...)
{
    va_list arguments;

    luaL_checkstack(L, 3, NULL);
    push_place(L);
    va_start(arguments, format);
    lua_pushvfstring(L, format, arguments);
    va_end(arguments);
    lua_concat(L, 2);
    return lua_error(L);
}

int core_raise(lua_State *L, filescom_code code, const char *message)
{
    if (code == FILESCOM_BAD_ARGUMENT)
        return core_usage_error(L, "%s", message);
    lua_pushstring(L, message); /* as Lua itself tells of memory: without a place */
    return lua_error(L);
}

/* ---- classes -------------------------------------------------------------------------------- */

void core_new_class(lua_State *L, const char *name, const luaL_Reg *methods,
                    const luaL_Reg *metamethods)
{
    luaL_newmetatable(L, name);
    luaL_setfuncs(L, metamethods, 0);
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    lua_setfield(L, -2, "__index");
    lua_pushstring(L, name);
    lua_setfield(L, -2, "__metatable"); /* scripts cannot take __gc out of it */
    lua_pop(L, 1);
}

/* ---- the engine ----------------------------------------------------------------------------- */

typedef struct engine_box {
    filescom_engine *engine;
} engine_box;

static int engine_gc(lua_State *L)
{
    engine_box *box = luaL_checkudata(L, 1, ENGINE);

    filescom_engine_release(box->engine);
    box->engine = NULL;
    return 0;
}

static void open_engine(lua_State *L)
{
    static const luaL_Reg methods[] = {{NULL, NULL}};
    static const luaL_Reg metamethods[] = {{"__gc", engine_gc}, {NULL, NULL}};
    engine_box *box;

    core_new_class(L, ENGINE, methods, metamethods);
    box = lua_newuserdatauv(L, sizeof *box, 0);
    box->engine = NULL;
    luaL_getmetatable(L, ENGINE);
    lua_setmetatable(L, -2);
    lua_setfield(L, LUA_REGISTRYINDEX, ENGINE ".box");
}

filescom_engine *core_engine(lua_State *L)
{
    engine_box *box;

    lua_getfield(L, LUA_REGISTRYINDEX, ENGINE ".box");
    box = lua_touserdata(L, -1);
    lua_pop(L, 1); /* the registry keeps it */
    if (box->engine == NULL)
        box->engine = filescom_engine_new();
    if (box->engine == NULL)
        luaL_error(L, "filescom: libcurl could not be started");
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

/* core.step(): does what can be done without blocking */
static int core_step(lua_State *L)
{
    filescom_engine_step(core_engine(L));
    return 0;
}

/* core.next_ended() -> the id of an exchange that has ended and that nobody waited for, or nil */
static int core_next_ended(lua_State *L)
{
    filescom_exchange *ended = filescom_engine_next_ended(core_engine(L));

    if (ended == NULL)
        lua_pushnil(L);
    else
        lua_pushnumber(L, (lua_Number)filescom_exchange_id(ended));
    return 1;
}

/* core.in_flight() -> how many exchanges are in flight */
static int core_in_flight(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)filescom_engine_in_flight(core_engine(L)));
    return 1;
}

/* ---- URLs and ids --------------------------------------------------------------------------- */

static int push_url(lua_State *L, filescom_code code, const char *url, const char *message)
{
    if (code == FILESCOM_NO_MEMORY)
        return core_raise(L, code, message);
    if (code == FILESCOM_OK) {
        lua_pushstring(L, url);
        return 1;
    }
    lua_pushnil(L);
    lua_pushstring(L, message);
    return 2;
}

/* core.base_url(url) -> its normal form, or nil and why it may not be used */
static int core_base_url(lua_State *L)
{
    char normal[FC_BASE_URL_SIZE];
    char message[FILESCOM_MESSAGE_SIZE];
    filescom_code code = filescom_base_url(luaL_checkstring(L, 1), normal, sizeof normal, message);

    return push_url(L, code, normal, message);
}

/* core.region_base_url(base, host) -> where such a login goes, or nil and why it may not */
static int core_region_base_url(lua_State *L)
{
    char normal[FC_BASE_URL_SIZE];
    char message[FILESCOM_MESSAGE_SIZE];
    const char *base = luaL_checkstring(L, 1);
    filescom_code code =
        filescom_region_base_url(base, luaL_checkstring(L, 2), normal, sizeof normal, message);

    return push_url(L, code, normal, message);
}

/* core.is_session_id(value) -> whether it can be a session id */
static int core_is_session_id(lua_State *L)
{
    filescom_bytes id = {NULL, 0};

    if (lua_type(L, 1) == LUA_TSTRING)
        id.data = lua_tolstring(L, 1, &id.size);
    lua_pushboolean(L, filescom_is_session_id(id));
    return 1;
}

/* ---- the module ----------------------------------------------------------------------------- */

/*
 * Lua unloads its modules when a state closes, but a thread in which libcurl looks up a name may
 * still run code of a library that only this module holds: it is never unloaded.
 */
static void stay_loaded(void)
{
#ifdef RTLD_NODELETE
    Dl_info info;

    if (dladdr((void *)(uintptr_t)stay_loaded, &info) != 0 && info.dli_fname != NULL)
        dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
#endif
}

static const luaL_Reg functions[] = {
    {"client", core_new_client},
    {"descriptor", core_descriptor},
    {"step", core_step},
    {"next_ended", core_next_ended},
    {"in_flight", core_in_flight},
    {"base_url", core_base_url},
    {"region_base_url", core_region_base_url},
    {"is_session_id", core_is_session_id},
    {NULL, NULL},
};

EXPORTED int luaopen_filescom_core(lua_State *L);

int luaopen_filescom_core(lua_State *L)
{
    stay_loaded();
    core_open_json(L);
    open_engine(L);
    core_open_client(L);
    core_open_exchange(L);
    luaL_newlib(L, functions);
    lua_pushliteral(L, FILESCOM_VERSION);
    lua_setfield(L, -2, "_VERSION");
    return 1;
}
