/* lua_core.c - the module filescom.core: what its files share, and its opening. See lua_core.h. */
#define _GNU_SOURCE
#include "lua_core.h"
#include "base_url.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <string.h>

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

/* A string that is whole in C as well; one with a NUL byte is as good as none. */
static const char *check_text(lua_State *L, int index)
{
    size_t size;
    const char *text = luaL_checklstring(L, index, &size);

    return strlen(text) == size ? text : "";
}

/* core.base_url(url) -> its normal form, or nil and why it may not be used */
static int core_base_url(lua_State *L)
{
    char normal[FC_BASE_URL_SIZE];
    char message[FILESCOM_MESSAGE_SIZE];
    filescom_code code = filescom_base_url(check_text(L, 1), normal, sizeof normal, message);

    return push_url(L, code, normal, message);
}

/* core.region_base_url(base, host) -> where such a login goes, or nil and why it may not */
static int core_region_base_url(lua_State *L)
{
    char normal[FC_BASE_URL_SIZE];
    char message[FILESCOM_MESSAGE_SIZE];
    const char *base = check_text(L, 1);
    filescom_code code =
        filescom_region_base_url(base, check_text(L, 2), normal, sizeof normal, message);

    return push_url(L, code, normal, message);
}

/*
 * core.usage_error(format, ...): raises a mistake of the caller's, at the place outside this
 * library where it was made
 */
static int core_lua_usage_error(lua_State *L)
{
    lua_getglobal(L, "string");
    lua_getfield(L, -1, "format");
    lua_insert(L, 1);
    lua_pop(L, 1);
    lua_call(L, lua_gettop(L) - 1, 1);
    return core_usage_error(L, "%s", lua_tostring(L, -1));
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

/* core.origin(text) -> the normal form of another host's origin, or nil and why it may not be used
 */
static int core_origin(lua_State *L)
{
    char normal[FC_BASE_URL_SIZE];
    char message[FILESCOM_MESSAGE_SIZE];
    filescom_code code = filescom_origin(check_text(L, 1), normal, sizeof normal, message);

    return push_url(L, code, normal, message);
}

/* core.is_reserved_header(name) -> whether a request may not name it */
static int core_is_reserved_header(lua_State *L)
{
    filescom_bytes name;

    name.data = luaL_checklstring(L, 1, &name.size);
    lua_pushboolean(L, filescom_is_reserved_header(name));
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
    {"base_url", core_base_url},
    {"region_base_url", core_region_base_url},
    {"origin", core_origin},
    {"is_session_id", core_is_session_id},
    {"is_reserved_header", core_is_reserved_header},
    {"usage_error", core_lua_usage_error},
    {NULL, NULL},
};

EXPORTED int luaopen_filescom_core(lua_State *L);

int luaopen_filescom_core(lua_State *L)
{
    stay_loaded();
    core_open_json(L);
    core_open_engine(L);
    core_open_client(L);
    core_open_exchange(L);
    core_open_system(L);
    luaL_newlib(L, functions);
    core_add_engine_functions(L);
    core_add_system_functions(L);
    lua_pushliteral(L, FILESCOM_VERSION);
    lua_setfield(L, -2, "_VERSION");
    return 1;
}
