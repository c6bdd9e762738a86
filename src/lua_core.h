/*
 * lua_core.h - what the files of the binding share.
 *
 * The binding turns Lua values into calls of filescom.h and answers into Lua values; it knows
 * nothing of libcurl. Rule for all of it: box first, fill second. An object of the core is put into
 * a userdata that exists already, so that a Lua error raised anywhere leaks nothing.
 *
 * Depends on Lua 5.1 or later and filescom.h.
 */
#ifndef FILESCOM_LUA_CORE_H
#define FILESCOM_LUA_CORE_H

#include "filescom.h"
#include "lua_compat.h"

#pragma GCC visibility push(hidden)

/* What an exchange is for, and so what its answer becomes. */
typedef enum exchange_kind {
    EXCHANGE_LOGIN,
    EXCHANGE_LOGOUT,
    EXCHANGE_CALL,
    EXCHANGE_RAW, /* a call whose answer need not be JSON */
} exchange_kind;

/* The userdata of an exchange. */
typedef struct exchange_box {
    filescom_exchange *exchange; /* NULL once finished or cancelled */
    exchange_kind kind;
} exchange_box;

/* ---- lua_engine.c --------------------------------------------------------------------------- */

/* This Lua state's engine, made when first asked for; raises where that fails. */
filescom_engine *core_engine(lua_State *L);

void core_open_engine(lua_State *L);

/* Adds the engine's functions to the module's table at the top of the stack. */
void core_add_engine_functions(lua_State *L);

/* ---- lua_core.c ----------------------------------------------------------------------------- */

/* Raises the error that belongs to a code that began nothing. */
int core_raise(lua_State *L, filescom_code code, const char *message);

/* Raises a mistake of the caller's, told at the place outside this library where it was made. */
int core_usage_error(lua_State *L, const char *format, ...);

/* Makes a metatable whose __index holds methods, with the metamethods beside it. Pops nothing. */
void core_new_class(lua_State *L, const char *name, const luaL_Reg *methods,
                    const luaL_Reg *metamethods);

/* ---- lua_options.c -------------------------------------------------------------------------- */

/* Reads the table at index; what it points to lives as long as the table. */
void core_read_options(lua_State *L, int index, filescom_options *options);
void core_read_credentials(lua_State *L, int index, filescom_credentials *credentials);

/*
 * Reads the table at index into request; pushes values, which must stay on the stack as long as the
 * request is used. Returns what its answer becomes.
 */
exchange_kind core_read_request(lua_State *L, int index, filescom_request *request);

/* A string, or NULL where there is none; `what` names it in errors. */
const char *core_optional_string(lua_State *L, int index, const char *what);

/* ---- lua_client.c, lua_exchange.c ----------------------------------------------------------- */

void core_open_client(lua_State *L);
void core_open_exchange(lua_State *L);

/* core.client(options) */
int core_new_client(lua_State *L);

/* Pushes an empty box. */
exchange_box *core_push_exchange(lua_State *L, exchange_kind kind);

/*
 * Blocks until the exchange in the box at the top of the stack is done, then finishes it. The box,
 * which Lua must not have seen, may be used again.
 */
int core_complete_exchange(lua_State *L);

/*
 * A signal may have left a hook for Lua to run (as lua.c does at an interrupt); hooks run when Lua
 * code does. May raise.
 */
void core_let_hooks_run(lua_State *L);

/* ---- lua_answer.c --------------------------------------------------------------------------- */

/*
 * Pushes what an exchange that is done came to: a table, or nil and a table that tells what failed
 * (see lua/filescom/errors.lua, which makes the public error of it). Returns the number of values.
 */
int core_push_answer(lua_State *L, const filescom_exchange *exchange, exchange_kind kind);

/* Pushes nil and the failure of an exchange that did not begin; returns 2. */
int core_push_own_failure(lua_State *L, filescom_code code, const char *message);

/* ---- lua_json.c ----------------------------------------------------------------------------- */

/* Takes a private instance of lua-cjson; raises where that is not installed. */
void core_open_json(lua_State *L);

/*
 * Pushes the value of a JSON text, with null as nil and whole numbers as integers where Lua has
 * them. False (and nothing pushed) where the text is not JSON.
 */
bool core_push_json(lua_State *L, filescom_bytes text);

/* ---- lua_system.c --------------------------------------------------------------------------- */

/* Seconds of a clock that only goes forward. */
double core_now(void);

/*
 * Waiting, and files that are this user's alone. In Lua:
 *
 * core.sleep(seconds): blocks this thread; a signal lets Lua's hooks run and ends nothing.
 *
 * core.private_directory(path) -> true, or nil and why: makes a directory with mode 0700 where
 * there is none. One that is a link, another user's or open to others is refused.
 *
 * core.create_private(path, text) -> true, or nil and why: a new file with mode 0600 and that text.
 * What exists is refused; nothing is left behind where it fails.
 *
 * core.read_private(path) -> the text, nil where there is no such file, or nil and why. A link,
 * what is no regular file, another user's, open to others or larger than 1 MiB is refused.
 *
 * core.lock_file(path [, seconds]) -> a lock, or nil and why: the system's lock of a file that is
 * made, with mode 0600, where there is none; waited for up to so many seconds (5). It is freed by
 * lock:close(), by the collector, and by the end of the process.
 */
void core_open_system(lua_State *L);

/* Adds these functions to the module's table at the top of the stack. */
void core_add_system_functions(lua_State *L);

#pragma GCC visibility pop

#endif
