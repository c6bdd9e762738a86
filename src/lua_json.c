/* lua_json.c - JSON answers, decoded by lua-cjson and made plain Lua. See lua_core.h. */
#include "lua_core.h"

#include <math.h>
#include <string.h>

#define DECODE "filescom.decode"
#define MAX_DEPTH 100

#if LUA_VERSION_NUM >= 503
#define LARGEST_WHOLE                                                                              \
    9007199254740992.0 /* 2^53: beyond it a double no longer tells integers apart */
#endif

/* Calls instance.name(value), where the instance is at the top. */
static void configure(lua_State *L, const char *name)
{
    lua_getfield(L, -2, name);
    lua_insert(L, -2);
    lua_call(L, 1, 0);
}

void core_open_json(lua_State *L)
{
    lua_getglobal(L, "require");
    lua_pushliteral(L, "cjson");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "new"); /* an instance of our own: the user's settings stay the user's */
    lua_call(L, 0, 1);
    lua_pushboolean(L, 0);
    configure(L, "decode_invalid_numbers");
    lua_pushinteger(L, MAX_DEPTH);
    configure(L, "decode_max_depth");
    lua_getfield(L, -1, "decode");
    lua_setfield(L, LUA_REGISTRYINDEX, DECODE);
    lua_pop(L, 2);
}

/* Replaces the value at the top of the stack by what plain Lua has for it. */
static void make_plain(lua_State *L);

#if LUA_VERSION_NUM >= 503
static void make_number_plain(lua_State *L)
{
    lua_Number number = lua_tonumber(L, -1);

    if (!lua_isinteger(L, -1) && floor(number) == number && fabs(number) <= LARGEST_WHOLE) {
        lua_pop(L, 1);
        lua_pushinteger(L, (lua_Integer)number);
    }
}
#endif

static bool is_plain(lua_State *L)
{
    switch (lua_type(L, -1)) {
    case LUA_TLIGHTUSERDATA:
        return false;
#if LUA_VERSION_NUM >= 503
    case LUA_TNUMBER:
        return lua_isinteger(L, -1);
#endif
    default:
        return true;
    }
}

/* Existing fields may be assigned, nil included, while a table is walked. */
static void make_table_plain(lua_State *L)
{
    luaL_checkstack(L, 4, "an answer nested too deeply");
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        if (lua_istable(L, -1)) {
            make_table_plain(L);
        } else if (!is_plain(L)) {
            make_plain(L);
            lua_pushvalue(L, -2);
            lua_insert(L, -2);
            lua_rawset(L, -4);
            continue;
        }
        lua_pop(L, 1);
    }
}

static void make_plain(lua_State *L)
{
    switch (lua_type(L, -1)) {
    case LUA_TTABLE:
        make_table_plain(L);
        break;
    case LUA_TLIGHTUSERDATA: /* how lua-cjson says null */
        lua_pop(L, 1);
        lua_pushnil(L);
        break;
#if LUA_VERSION_NUM >= 503
    case LUA_TNUMBER:
        make_number_plain(L);
        break;
#endif
    default:
        break;
    }
}

#if LUA_VERSION_NUM >= 502
#define LONGEST_SHARED 40 /* LUAI_MAXSHORTLEN: longer strings are objects of their own */

/*
 * Overwrites a string of our own making once it is of no more use: lua-cjson takes its text as a
 * string, and a login's answer would lie in Lua's heap until that memory happens to be used again.
 * Not where Lua shares equal strings, as 5.1 and LuaJIT always do.
 */
static void wipe_string(lua_State *L, int index)
{
    size_t size;
    const char *text = lua_tolstring(L, index, &size);

    if (size > LONGEST_SHARED)
        memset((char *)(uintptr_t)text, ' ', size);
}
#else
static void wipe_string(lua_State *L, int index)
{
    (void)L, (void)index;
}
#endif

/* Calls the decoder with the string at the top; leaves the string, and the value or an error on it.
 */
static int decode(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, DECODE);
    lua_pushvalue(L, -2);
    return lua_pcall(L, 1, 1, 0);
}

bool core_push_json(lua_State *L, filescom_bytes text)
{
    int status;

    /* lua-cjson takes a NUL for the end of the text, whatever follows. */
    if (text.size > 0 && memchr(text.data, '\0', text.size) != NULL)
        return false;
    lua_pushlstring(L, text.size ? text.data : "", text.size);
    status = decode(L);
    wipe_string(L, -2);
    lua_remove(L, -2);
    if (status == LUA_ERRMEM)
        lua_error(L);
    if (status != LUA_OK) {
        lua_pop(L, 1);
        return false;
    }
    make_plain(L);
    return true;
}
