/* host.c - see host.h. */
#include "host.h"
#include "input.h"

#include <lualib.h>

#define LINES 8192
#define CALLS_PER_COLLECTION 2000

/* What libFuzzer looks at beside its own counters, by the name of the section. */
__attribute__((section("__libfuzzer_extra_counters"))) static unsigned char lines[LINES];

int luaopen_filescom_core(lua_State *L);

static void count_line(lua_State *L, lua_Debug *event)
{
    size_t place;

    lua_getinfo(L, "Sl", event);
    place = event->srclen * 1031 + (size_t)event->currentline;
    lines[place % LINES]++;
}

static lua_State *new_state(const char *name)
{
    lua_State *L = luaL_newstate();

    PROMISE(L != NULL);
    luaL_openlibs(L);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_pushcfunction(L, luaopen_filescom_core);
    lua_setfield(L, -2, "filescom.core");
    lua_settop(L, 0);
    PROMISE(luaL_dostring(L, "package.path = 'lua/?.lua;./?.lua'\n"
                             "require 'filescom.core'") == LUA_OK);
    lua_getglobal(L, "require");
    lua_pushfstring(L, "spec.fuzz.%s", name);
    if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
        fprintf(stderr, "%s\n", lua_tostring(L, -1));
        exit(2);
    }
    lua_sethook(L, count_line, LUA_MASKLINE, 0);
    return L;
}

lua_State *host_state(const char *name)
{
    static lua_State *L;
    static int calls;

    if (L == NULL)
        L = new_state(name);
    if (++calls % CALLS_PER_COLLECTION == 0)
        lua_gc(L, LUA_GCCOLLECT);
    return L;
}

static int add_traceback(lua_State *L)
{
    luaL_traceback(L, L, luaL_tolstring(L, 1, NULL), 1);
    return 1;
}

void host_call(lua_State *L, const char *name, int arguments)
{
    int first = lua_gettop(L) - arguments + 1;

    lua_pushcfunction(L, add_traceback);
    lua_insert(L, first);
    lua_getfield(L, 1, name);
    lua_insert(L, first + 1);
    if (lua_pcall(L, arguments, 0, first) != LUA_OK) {
        fprintf(stderr, "broken: %s\n", lua_tostring(L, -1));
        abort();
    }
    lua_settop(L, 1);
}
