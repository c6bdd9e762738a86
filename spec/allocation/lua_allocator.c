/*
 * lua_allocator.c - Lua with the binding in it, and an allocator that fails at a chosen allocation.
 *
 *   lua_allocator BASE_URL CODE [STEP]
 *
 * BASE_URL is the stand-in's; CODE answers tess's second factor, again and again. Each scenario
 * runs with its first allocation failing, then with its second, and so on until there is none left
 * to fail: once with that one failing alone, once with all that follow it failing as well, and then
 * with the core's own allocations in the place of Lua's. What has to come of it is "not enough
 * memory" or nil and an error; then nothing may be in flight, no block of the core's be left, and
 * the same must work with memory. STEP tries only every so many-th of the long scenarios'
 * allocations. LuaJIT takes an allocator where its pointers are 64 bits wide (GC64), as Debian's
 * luajit2 is built. Prints how many sentences follow ("1..N"), and each: "ok - SENTENCE" or, after
 * what was wrong, "not ok - SENTENCE".
 */
#include "counted.h"

#include <curl/curl.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if LUA_VERSION_NUM < 502
#define LUA_OK 0
#endif

#define COUNT(array) (sizeof(array) / sizeof *(array))

int luaopen_filescom_core(lua_State *L);

void *__real_realloc(void *block, size_t size);
void __real_free(void *block);

/* ---- the allocator -------------------------------------------------------------------------- */

typedef struct memory {
    long calls, failed, fail_at; /* fail_at 0: none fails */
    counted_mode mode;
    long blocks; /* not bytes: LuaJIT tells wrong sizes of blocks that it failed to resize */
} memory;

static bool is_to_fail(memory *of)
{
    of->calls++;
    if (of->fail_at == 0 || of->calls < of->fail_at ||
        (of->mode == FAIL_ONCE && of->calls > of->fail_at))
        return false;
    of->failed++;
    return true;
}

/* Shrinking never fails: Lua takes that for granted. */
static void *allocate(void *data, void *block, size_t old_size, size_t size)
{
    memory *of = data;
    void *grown;

    if (block == NULL)
        old_size = 0; /* in 5.4 it tells what the block is for */
    if (size == 0) {
        of->blocks -= block != NULL;
        __real_free(block);
        return NULL;
    }
    if (size > old_size && is_to_fail(of))
        return NULL;
    grown = __real_realloc(block, size);
    of->blocks += block == NULL && grown != NULL;
    return grown;
}

static void arm(memory *of, long at, counted_mode mode)
{
    of->calls = of->failed = 0;
    of->mode = mode;
    of->fail_at = at;
}

static long disarm(memory *of)
{
    of->fail_at = 0;
    return of->failed;
}

/* ---- scenarios ------------------------------------------------------------------------------ */

/*
 * A chunk that is given BASE_URL and CODE and returns two functions: one that prepares, and one
 * that is given what was prepared and is the scenario. What it returns is true, or nil and an
 * error.
 */
typedef struct scenario {
    const char *name;
    bool is_long;
    const char *chunk;
} scenario;

#define HEAD                                                                                       \
    "local BASE, CODE = ...\n"                                                                     \
    "local filescom, core = require 'filescom', require 'filescom.core'\n"                         \
    "local MOTOR = { username = 'motor', password = 'vroom' }\n"                                   \
    "local TESS = { username = 'tess', password = 'tick-tock' }\n"                                 \
    "local OPTIONS = { base_url = BASE, timeout = 5, language = 'en', user_agent = 'a/1' }\n"      \
    "local function new() return filescom.new(OPTIONS) end\n"                                      \
    "local function done(value, err) if value then return true end return nil, err end\n"

static const scenario scenarios[] = {
    {"a client that is made and closed", false,
     HEAD "return function() end, function() new():close() return true end"},
    {"login", false, HEAD "return new, function(client) return done(client:login(MOTOR)) end"},
    {"logout", false,
     HEAD "return function() return assert(new():login(MOTOR)) end,\n"
          "function(session) return done(session:logout()) end"},
    {"login_with_otp", false,
     HEAD "local function code(challenge) return challenge.method == 'totp' and CODE .. '' end\n"
          "return new, function(client) return done(client:login_with_otp(TESS, code)) end"},
    {"session:request", false,
     HEAD "local q, h = { a = 'x y', list = { 1, 2 }, t = { k = true } }, { ['X-Extra'] = '1' }\n"
          "return function() return assert(new():login(MOTOR)) end, function(session)\n"
          "return done(session:request('GET', '/user', { query = q, headers = h })) end"},
    {"session:request whose bodies are streamed", false,
     HEAD "return function() return assert(new():login(MOTOR)) end, function(session)\n"
          "local left, came = 100000, 0\n"
          "local function source(count) left = left - count return ('x'):rep(count) end\n"
          "local function sink(piece) came = came + #piece end\n"
          "return done(session:request('PUT', '/echo', { source = source, size = left, sink = "
          "sink })) end"},
    {"a refused login and its error", false,
     HEAD "return new, function(client)\n"
          "local session, err = client:login { username = 'motor', password = 'wrong' }\n"
          "if session or err.status ~= 401 then return nil, err end\n"
          "return tostring(err) ~= '' end"},
    {"a traced login and logout", false,
     HEAD "local function trace(line) return #line end\n"
          "return function() return filescom.new { base_url = BASE, debug = trace } end,\n"
          "function(client) local session, err = client:login(MOTOR)\n"
          "if not session then return nil, err end return done(session:logout()) end"},
    {"exchanges that are begun, finished, cancelled and forgotten", false,
     HEAD "return function() return core.client { base_url = BASE } end, function(client)\n"
          "local first, second = client:begin_login(MOTOR), client:begin_login(MOTOR)\n"
          "client:begin_login(MOTOR)\n"
          "second:cancel() first:wait() first:info()\n"
          "return done(first:finish()) end"},
    {"a private file that is locked, read and let go", false,
     /* One that stayed locked would be waited for in vain the next time. */
     HEAD "local path = 'build/spec/allocation/private'\n"
          "return function() os.remove(path) assert(core.create_private(path, 'a text')) end,\n"
          "function() local lock, why = core.lock_file(path, 0)\n"
          "if not lock then return nil, why end\n"
          "local text = core.read_private(path) lock:close() return text == 'a text' end"},
    {"the module, loaded anew, and a whole session", true,
     /* Lua 5.1 leaves a mark in the place of a module that could not be loaded. */
     HEAD "return function() for name, value in pairs(package.loaded) do\n"
          "if name:find '^filescom' or type(value) == 'userdata' then\n"
          "package.loaded[name] = nil end end end, function()\n"
          "local module = require 'filescom' module.configure(OPTIONS)\n"
          "local session, err = module.login_with_otp(TESS, function() return CODE end)\n"
          "if not session then return nil, err end\n"
          "local answer answer, err = session:request('GET', '/user')\n"
          "if not answer then return nil, err end\n"
          "return done(module.logout()) end"},
};

/* ---- running -------------------------------------------------------------------------------- */

typedef struct stage {
    memory lua_memory;
    lua_State *L;
    const char *base_url, *code;
    bool of_core; /* the core's allocations fail, not Lua's */
    int wrongs;
    long raised, returned, absorbed;
} stage;

static void wrong(stage *on, long at, const char *what, const char *detail)
{
    if (on->wrongs++ < 5)
        printf("# with allocation %ld failing: %s: %s\n", at, what, detail ? detail : "?");
}

static void settle(lua_State *L)
{
    int i;

    for (i = 0; i < 3; i++)
        lua_gc(L, LUA_GCCOLLECT, 0);
}

/* What core.in_flight() says; nothing is kept on the stack. */
static long in_flight(lua_State *L)
{
    long count;

    lua_getfield(L, LUA_REGISTRYINDEX, "in_flight");
    lua_call(L, 0, 1);
    count = (long)lua_tointeger(L, -1);
    lua_pop(L, 1);
    return count;
}

static void keep_in_flight(lua_State *L)
{
    lua_getglobal(L, "require");
    lua_pushliteral(L, "filescom.core");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "in_flight");
    lua_setfield(L, LUA_REGISTRYINDEX, "in_flight");
    lua_pop(L, 1);
}

/* An error of the public contract has a type. */
static bool is_error(lua_State *L, int index)
{
    bool typed;

    if (!lua_istable(L, index))
        return false;
    lua_getfield(L, index, "type");
    typed = lua_isstring(L, -1);
    lua_pop(L, 1);
    return typed;
}

static void judge(stage *on, int status, long at)
{
    lua_State *L = on->L;
    const char *text = lua_tostring(L, -1);

    if (status == LUA_OK && lua_toboolean(L, -2)) {
        on->absorbed++;
    } else if (status == LUA_OK) {
        on->returned++;
        if (!lua_isnil(L, -2) || !is_error(L, -1))
            wrong(on, at, "neither true nor nil and an error", text);
        else {
            lua_getfield(L, -1, "message");
            wrong(on, at, "an error that does not tell of memory", lua_tostring(L, -1));
            lua_pop(L, 1);
        }
    } else {
        on->raised++;
        if (text == NULL || strstr(text, "not enough memory") == NULL)
            wrong(on, at, "another error", text);
    }
}

/* Calls the function in the place of the stack with what was prepared; two results stay. */
static int perform(lua_State *L, int place)
{
    lua_pushvalue(L, place);
    lua_pushvalue(L, place + 1);
    return lua_pcall(L, 1, 2, 0) == LUA_OK ? LUA_OK : (lua_pushnil(L), lua_insert(L, -2), -1);
}

/*
 * With `prepare` at 1 and the scenario at 2: runs it with its at-th allocation failing, then as it
 * is. False where that allocation was never asked for.
 */
static bool try_at(stage *on, long at, counted_mode mode)
{
    lua_State *L = on->L;
    long failed;
    int status;

    lua_settop(L, 2);
    lua_pushvalue(L, 1);
    lua_call(L, 0, 1); /* at 3 */
    settle(L);
    lua_checkstack(L, 20);
    if (on->of_core)
        counted_arm(at, mode);
    else
        arm(&on->lua_memory, at, mode);
    status = perform(L, 2);
    failed = on->of_core ? counted_disarm() : disarm(&on->lua_memory);
    if (failed > 0)
        judge(on, status, at);
    else if (status != LUA_OK || !lua_toboolean(L, -2))
        wrong(on, at, "it failed though every allocation succeeded", lua_tostring(L, -1));
    lua_settop(L, 2);
    settle(L);
    if (in_flight(L) != 0)
        wrong(on, at, "something is in flight still", "");
    lua_pushvalue(L, 1);
    lua_call(L, 0, 1);
    settle(L);
    if (perform(L, 2) != LUA_OK || !lua_toboolean(L, -2)) {
        lua_getglobal(L, "tostring");
        lua_insert(L, -2);
        lua_call(L, 1, 1);
        wrong(on, at, "it failed again, with memory", lua_tostring(L, -1));
    }
    lua_settop(L, 2);
    settle(L);
    return failed > 0;
}

static void open_state(stage *on)
{
    memset(&on->lua_memory, 0, sizeof on->lua_memory);
    on->L = lua_newstate(allocate, &on->lua_memory);
    if (on->L == NULL) {
        printf("not ok - this Lua takes an allocator\n");
        exit(1);
    }
    luaL_openlibs(on->L);
    /* LuaJIT's compiler itself does not outlive every failure. */
    if (luaL_loadstring(on->L, "if jit then jit.off() end") == LUA_OK)
        lua_call(on->L, 0, 0);
    lua_getglobal(on->L, "package");
    lua_getfield(on->L, -1, "preload");
    lua_pushcfunction(on->L, luaopen_filescom_core);
    lua_setfield(on->L, -2, "filescom.core");
    lua_settop(on->L, 0);
}

static bool load_scenario(stage *on, const scenario *what)
{
    lua_State *L = on->L;

    if (luaL_loadstring(L, what->chunk) != LUA_OK)
        return false;
    lua_pushstring(L, on->base_url);
    lua_pushstring(L, on->code);
    if (lua_pcall(L, 2, 2, 0) != LUA_OK)
        return false;
    keep_in_flight(L);
    return true;
}

static void judge_rest(stage *on, long blocks)
{
    if (on->lua_memory.blocks != 0)
        wrong(on, 0, "blocks of Lua's are left", "");
    if (blocks > 0)
        wrong(on, 0, "blocks of the core's are left", "");
}

/* Returns whether all was well. What is left when the state is closed was lost. */
static bool run(const scenario *what, counted_mode mode, stage *on, long step)
{
    long tried = 0, at = 1, before;

    counted_arm(0, FAIL_ONCE);
    open_state(on);
    before = counted_blocks();
    on->wrongs = 0;
    on->raised = on->returned = on->absorbed = 0;
    if (!load_scenario(on, what)) {
        printf("# %s\n", lua_tostring(on->L, -1));
        on->wrongs++;
    } else {
        try_at(on, 0, mode); /* what is loaded when first needed is loaded now */
        for (; try_at(on, at, mode); at += step)
            tried++;
    }
    lua_close(on->L);
    judge_rest(on, counted_blocks() - before);
    printf("# %ld tried of %ld: %ld raised, %ld returned, %ld absorbed\n", tried, at - 1,
           on->raised, on->returned, on->absorbed);
    printf("%s - %s, with an allocation%s failing%s\n", on->wrongs ? "not ok" : "ok", what->name,
           on->of_core ? " of the core's" : "", mode == FAIL_FROM ? " and all after it" : "");
    fflush(stdout);
    return on->wrongs == 0;
}

int main(int count, char **arguments)
{
    stage on = {0};
    bool good = true;
    size_t i;

    if (count < 3)
        return 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    curl_global_init(CURL_GLOBAL_DEFAULT); /* with its own memory, which is not counted */
    on.base_url = arguments[1];
    on.code = arguments[2];
    printf("1..%zu\n", 3 * COUNT(scenarios));
    for (i = 0; i < COUNT(scenarios); i++) {
        long step = scenarios[i].is_long && count > 3 ? atol(arguments[3]) : 1;

        on.of_core = false;
        good = run(&scenarios[i], FAIL_ONCE, &on, step) && good;
        good = run(&scenarios[i], FAIL_FROM, &on, step) && good;
        on.of_core = true;
        good = run(&scenarios[i], FAIL_FROM, &on, 1) && good;
    }
    return good ? 0 : 1;
}
