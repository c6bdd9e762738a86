/*
 * lua_system.c - what plain Lua lacks for keeping a session between runs: waiting, and files that
 * only this user can read. Their contract is in lua_core.h.
 *
 * Depends on POSIX with flock; knows nothing of the core but its wiping of memory.
 */
#define _GNU_SOURCE
#include "buffer.h"
#include "lua_core.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FILE_CLASS "filescom.core.file"

#define LONGEST_SLEEP 1e6          /* seconds */
#define LARGEST_FILE (1024 * 1024) /* bytes that are read of one */
#define LOCK_WAIT 5.0              /* seconds, where no others are named */
#define LOCK_LOOK 0.005            /* seconds between two tries */

/* The userdata of an open file. */
typedef struct file_box {
    int descriptor; /* -1 once closed */
} file_box;

/* ---- time ----------------------------------------------------------------------------------- */

double core_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* core.now() -> seconds of a clock that only goes forward */
static int system_now(lua_State *L)
{
    lua_pushnumber(L, core_now());
    return 1;
}

/* Waits; after a signal Lua's hooks run and the wait goes on. May raise. */
static void sleep_for(lua_State *L, double seconds)
{
    double until = core_now() + seconds;

    while (seconds > 0) {
        struct timespec left;

        left.tv_sec = (time_t)seconds;
        left.tv_nsec = (long)((seconds - (double)left.tv_sec) * 1e9);
        if (nanosleep(&left, NULL) != 0)
            core_let_hooks_run(L);
        seconds = until - core_now();
    }
}

static int system_sleep(lua_State *L)
{
    lua_Number seconds = luaL_checknumber(L, 1);

    if (!(seconds <= LONGEST_SLEEP))
        core_usage_error(L, "a sleep must be a number of seconds up to 1000000");
    sleep_for(L, (double)seconds);
    return 0;
}

/* ---- failures ------------------------------------------------------------------------------- */

static int push_failure(lua_State *L, const char *path, const char *why)
{
    lua_pushnil(L);
    lua_pushfstring(L, "%s: %s", path, why);
    return 2;
}

static const char *check_path(lua_State *L, int index)
{
    size_t size;
    const char *path = luaL_checklstring(L, index, &size);

    if (strlen(path) != size)
        core_usage_error(L, "a path must not hold a zero byte");
    return path;
}

/* Why a file or directory is not this user's alone, NULL where it is. */
static const char *find_exposure(const struct stat *status, const char *open_to_others)
{
    if (status->st_uid != geteuid())
        return "it belongs to another user";
    return (status->st_mode & 077) != 0 ? open_to_others : NULL;
}

/* ---- open files ----------------------------------------------------------------------------- */

static file_box *push_box(lua_State *L)
{
    file_box *box = lua_newuserdatauv(L, sizeof *box, 0);

    box->descriptor = -1;
    luaL_getmetatable(L, FILE_CLASS);
    lua_setmetatable(L, -2);
    return box;
}

static void close_box(file_box *box)
{
    int descriptor = box->descriptor;

    box->descriptor = -1;
    if (descriptor >= 0)
        close(descriptor);
}

static int file_close(lua_State *L)
{
    close_box(luaL_checkudata(L, 1, FILE_CLASS));
    return 0;
}

static int open_retrying(const char *path, int flags, mode_t mode)
{
    int descriptor;

    do
        descriptor = open(path, flags | O_CLOEXEC | O_NOFOLLOW, mode);
    while (descriptor < 0 && errno == EINTR);
    return descriptor;
}

/* Opens a regular file that is this user's alone; why not, or NULL. errno is open's where that
 * failed. */
static const char *open_private(file_box *box, const char *path, int flags, struct stat *status)
{
    /* Not to wait for a writer, should somebody have put a pipe there. */
    box->descriptor = open_retrying(path, flags | O_NONBLOCK, 0600);
    if (box->descriptor < 0)
        return errno == ELOOP || errno == EMLINK ? "it is a symbolic link" : strerror(errno);
    errno = 0;
    if (fstat(box->descriptor, status) != 0)
        return strerror(errno);
    if (!S_ISREG(status->st_mode))
        return "it is no regular file";
    return find_exposure(status, "it is open to others, its mode must be 0600");
}

/* ---- directories ---------------------------------------------------------------------------- */

static int system_private_directory(lua_State *L)
{
    const char *path = check_path(L, 1);
    const char *why;
    struct stat status;

    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return push_failure(
            L, path, errno == ENOENT ? "its parent directory does not exist" : strerror(errno));
    if (lstat(path, &status) != 0)
        return push_failure(L, path, strerror(errno));
    if (!S_ISDIR(status.st_mode))
        return push_failure(L, path, "it is no directory");
    why = find_exposure(&status, "it is open to others, its mode must be 0700");
    if (why != NULL)
        return push_failure(L, path, why);
    lua_pushboolean(L, 1);
    return 1;
}

/* ---- writing -------------------------------------------------------------------------------- */

static bool write_all(int descriptor, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t written = write(descriptor, data, size);

        if (written < 0 && errno != EINTR)
            return false;
        if (written > 0) {
            data += written;
            size -= (size_t)written;
        }
    }
    return true;
}

/*
 * Not flushed to the disk: where the machine loses power meanwhile a file may be found empty or
 * torn, which readers take for none.
 */
static int system_create_private(lua_State *L)
{
    const char *path = check_path(L, 1);
    size_t size;
    const char *text = luaL_checklstring(L, 2, &size);
    int descriptor = open_retrying(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    int failure = 0;

    if (descriptor < 0)
        return push_failure(L, path, strerror(errno));
    if (!write_all(descriptor, text, size))
        failure = errno;
    if (close(descriptor) != 0 && errno != EINTR && failure == 0)
        failure = errno;
    if (failure != 0) {
        unlink(path);
        return push_failure(L, path, strerror(failure));
    }
    lua_pushboolean(L, 1);
    return 1;
}

/* ---- reading -------------------------------------------------------------------------------- */

/* How many bytes there were up to size, or -1. */
static ssize_t read_all(int descriptor, char *data, size_t size)
{
    size_t count = 0;

    while (count < size) {
        ssize_t got = read(descriptor, data + count, size - count);

        if (got < 0 && errno != EINTR)
            return -1;
        if (got == 0)
            break;
        if (got > 0)
            count += (size_t)got;
    }
    return (ssize_t)count;
}

static int system_read_private(lua_State *L)
{
    const char *path = check_path(L, 1);
    file_box *box = push_box(L);
    struct stat status;
    const char *why = open_private(box, path, O_RDONLY, &status);
    char *memory;
    ssize_t count;

    if (why != NULL && errno == ENOENT) {
        lua_pushnil(L);
        return 1;
    }
    if (why == NULL && status.st_size > LARGEST_FILE)
        why = "it is larger than 1 MiB";
    if (why != NULL) {
        close_box(box);
        return push_failure(L, path, why);
    }
    memory = lua_newuserdatauv(L, (size_t)status.st_size + 1, 0);
    count = read_all(box->descriptor, memory, (size_t)status.st_size);
    if (count < 0)
        push_failure(L, path, strerror(errno));
    else
        lua_pushlstring(L, memory, (size_t)count);
    fc_wipe(memory, (size_t)status.st_size);
    close_box(box);
    return count < 0 ? 2 : 1;
}

/* ---- locks ---------------------------------------------------------------------------------- */

/* Whether a path still leads to the file that was opened: somebody may have removed it meanwhile.
 */
static bool is_still_there(const char *path, const struct stat *opened)
{
    struct stat status;

    return lstat(path, &status) == 0 && status.st_dev == opened->st_dev &&
           status.st_ino == opened->st_ino;
}

/* One try to open and lock: NULL and whether it came to be, or why it cannot. */
static const char *try_lock(file_box *box, const char *path, bool *locked)
{
    struct stat status;
    const char *why = open_private(box, path, O_RDWR | O_CREAT, &status);

    if (why != NULL)
        return why;
    *locked = flock(box->descriptor, LOCK_EX | LOCK_NB) == 0;
    if (!*locked)
        return errno == EWOULDBLOCK || errno == EINTR ? NULL : strerror(errno);
    *locked = is_still_there(path, &status);
    return NULL;
}

static int system_lock_file(lua_State *L)
{
    const char *path = check_path(L, 1);
    double until = core_now() + (double)luaL_optnumber(L, 2, LOCK_WAIT);
    file_box *box = push_box(L);
    const char *why;
    bool locked = false;

    while ((why = try_lock(box, path, &locked)) == NULL && !locked) {
        close_box(box);
        if (core_now() >= until) {
            why = "another process keeps it locked";
            break;
        }
        sleep_for(L, LOCK_LOOK);
    }
    if (why == NULL)
        return 1;
    close_box(box);
    return push_failure(L, path, why);
}

/* ---- the module ----------------------------------------------------------------------------- */

static const luaL_Reg methods[] = {
    {"close", file_close},
    {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__gc", file_close},
    {"__close", file_close},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"now", system_now},
    {"sleep", system_sleep},
    {"private_directory", system_private_directory},
    {"create_private", system_create_private},
    {"read_private", system_read_private},
    {"lock_file", system_lock_file},
    {NULL, NULL},
};

void core_open_system(lua_State *L)
{
    core_new_class(L, FILE_CLASS, methods, metamethods);
}

void core_add_system_functions(lua_State *L)
{
    luaL_setfuncs(L, functions, 0);
}
