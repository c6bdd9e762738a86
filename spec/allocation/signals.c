/*
 * signals.c - a Lua module for spec/signals_spec.lua: signals, processes and limits, as they are.
 *
 * Depends on Lua and POSIX.
 */
#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

int luaopen_signals(lua_State *L);

static volatile sig_atomic_t count;

static void note(int number)
{
    (void)number;
    count++;
}

static void handle(int number)
{
    struct sigaction action;

    memset(&action, 0, sizeof action);
    action.sa_handler = note; /* without SA_RESTART: calls end with EINTR */
    sigaction(number, &action, NULL);
}

/* signals.timer(ms): a signal every so many milliseconds; 0: no more */
static int timer(lua_State *L)
{
    long ms = (long)luaL_checkinteger(L, 1);
    struct itimerval setting = {{ms / 1000, ms % 1000 * 1000}, {ms / 1000, ms % 1000 * 1000}};

    handle(SIGALRM);
    setitimer(ITIMER_REAL, &setting, NULL);
    return 0;
}

/* signals.count() -> how many came */
static int get_count(lua_State *L)
{
    lua_pushinteger(L, count);
    return 1;
}

/* signals.children(n, ms): n children that end one after another, every so many milliseconds */
static int children(lua_State *L)
{
    int wanted = (int)luaL_checkinteger(L, 1), i;
    long ms = (long)luaL_checkinteger(L, 2);

    handle(SIGCHLD);
    for (i = 1; i <= wanted; i++)
        if (fork() == 0) {
            usleep((useconds_t)(i * ms * 1000));
            _exit(0);
        }
    return 0;
}

/* signals.fork() -> 0 in the child, the child's id in the parent */
static int do_fork(lua_State *L)
{
    lua_pushinteger(L, fork());
    return 1;
}

/* signals.wait(pid) -> its status, or nil and the signal that ended it */
static int wait_for(lua_State *L)
{
    pid_t child = (pid_t)luaL_checkinteger(L, 1);
    int status = 0;

    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFSIGNALED(status)) {
        lua_pushnil(L);
        lua_pushinteger(L, WTERMSIG(status));
        return 2;
    }
    lua_pushinteger(L, WEXITSTATUS(status));
    return 1;
}

static lua_State *hooked;
static long hook_after_ms;

static void stop_hook(lua_State *L, lua_Debug *unused)
{
    (void)unused;
    lua_sethook(L, NULL, 0, 0);
    luaL_error(L, "stopped by a hook");
}

static void *set_hook_later(void *unused)
{
    usleep((useconds_t)(hook_after_ms * 1000));
    lua_sethook(hooked, stop_hook, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 1);
    return unused;
}

/*
 * signals.hook_later(ms): leaves a hook for the running code, as lua.c's handler of SIGINT does,
 * but without a signal that would end a system call
 */
static int hook_later(lua_State *L)
{
    pthread_t thread;

    hooked = L;
    hook_after_ms = (long)luaL_checkinteger(L, 1);
    if (pthread_create(&thread, NULL, set_hook_later, NULL) != 0)
        return luaL_error(L, "no thread");
    pthread_detach(thread);
    return 0;
}

/* signals.exit(status): ends the process here and now */
static int end(lua_State *L)
{
    _exit((int)luaL_checkinteger(L, 1));
}

/* signals.default_pipe(): SIGPIPE ends the process, as it does by default */
static int default_pipe(lua_State *L)
{
    (void)L;
    signal(SIGPIPE, SIG_DFL);
    return 0;
}

/* signals.limit_files(n): no more than n further descriptors; negative: as many as before */
static int limit_files(lua_State *L)
{
    static rlim_t before;
    struct rlimit limit;
    int further = (int)luaL_checkinteger(L, 1), lowest;

    getrlimit(RLIMIT_NOFILE, &limit);
    if (before == 0)
        before = limit.rlim_cur;
    limit.rlim_cur = before;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (further < 0)
        return 0;
    lowest = dup(0); /* descriptors are given out from the lowest that is free */
    close(lowest);
    limit.rlim_cur = (rlim_t)(lowest + further);
    setrlimit(RLIMIT_NOFILE, &limit);
    return 0;
}

static const luaL_Reg functions[] = {
    {"timer", timer},
    {"count", get_count},
    {"children", children},
    {"fork", do_fork},
    {"wait", wait_for},
    {"default_pipe", default_pipe},
    {"limit_files", limit_files},
    {"hook_later", hook_later},
    {"exit", end},
    {NULL, NULL},
};

int luaopen_signals(lua_State *L)
{
    const luaL_Reg *function;

    lua_newtable(L);
    for (function = functions; function->name != NULL; function++) {
        lua_pushcfunction(L, function->func);
        lua_setfield(L, -2, function->name);
    }
    return 1;
}
