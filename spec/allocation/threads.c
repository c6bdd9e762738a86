/*
 * threads.c - Lua states in several threads at once, each of which logs in and out again and again.
 *
 *   threads BASE_URL CA_FILE THREADS ROUNDS
 *
 * Halfway through its rounds a thread closes its state and makes another. Prints how many pairs of
 * login and logout there were; what failed goes before. Depends on Lua 5.4 and POSIX threads.
 */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

int luaopen_filescom_core(lua_State *L);

static const char chunk[] =
    "local base_url, ca_file, rounds = ...\n"
    "local filescom = require 'filescom'\n"
    "filescom.configure { base_url = base_url, ca_file = ca_file }\n"
    "for _ = 1, rounds do\n"
    "  local session = assert(filescom.login { username = 'motor', password = 'vroom' })\n"
    "  assert(session:request('GET', '/user').data.username == 'motor')\n"
    "  assert(filescom.logout())\n"
    "  collectgarbage 'step'\n"
    "end\n"
    "local core = require 'filescom.core'\n"
    "assert(core.relay_path())\n"
    "core.client({ base_url = base_url, ca_file = ca_file })\n"
    "  :begin_login { username = 'motor', password = 'vroom' } -- left in flight\n";

static const char *base_url, *ca_file;
static int rounds;
static atomic_int pairs, failures;

static void live(int count)
{
    lua_State *L = luaL_newstate();

    luaL_openlibs(L);
    luaL_requiref(L, "filescom.core", luaopen_filescom_core, 0);
    luaL_loadstring(L, chunk);
    lua_pushstring(L, base_url);
    lua_pushstring(L, ca_file);
    lua_pushinteger(L, count);
    if (lua_pcall(L, 3, 0, 0) == LUA_OK) {
        pairs += count;
    } else {
        failures++;
        printf("# %s\n", lua_tostring(L, -1));
    }
    lua_close(L);
}

static void *run(void *unused)
{
    live(rounds / 2);
    live(rounds - rounds / 2);
    return unused;
}

int main(int count, char **arguments)
{
    pthread_t threads[64];
    int wanted, i;

    if (count != 5)
        return 2;
    base_url = arguments[1];
    ca_file = arguments[2];
    wanted = atoi(arguments[3]);
    rounds = atoi(arguments[4]);
    for (i = 0; i < wanted && i < 64; i++)
        if (pthread_create(&threads[i], NULL, run, NULL) != 0)
            return 2;
    while (i-- > 0)
        pthread_join(threads[i], NULL);
    printf("%d pairs, %d failures\n", pairs, failures);
    return failures > 0;
}
