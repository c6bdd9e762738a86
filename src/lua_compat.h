/*
 * lua_compat.h - the parts of Lua 5.4's C API that 5.1, LuaJIT and 5.3 spell another way.
 *
 * Depends on Lua's headers alone.
 */
#ifndef FILESCOM_LUA_COMPAT_H
#define FILESCOM_LUA_COMPAT_H

#include <lauxlib.h>
#include <lua.h>

/* Not LuaJIT's own additions to 5.1: what is built here loads into Lua 5.1 as well. */
#if LUA_VERSION_NUM < 502
#undef luaL_newlib
#define lua_rawlen(L, index) lua_objlen(L, index)
#define luaL_setfuncs(L, functions, upvalues) luaL_register(L, NULL, functions)
#define luaL_newlib(L, functions) (lua_newtable(L), luaL_register(L, NULL, functions))
#define LUA_OK 0
#endif

#if LUA_VERSION_NUM < 504
#define lua_newuserdatauv(L, size, values) lua_newuserdata(L, size)
#endif

#endif
