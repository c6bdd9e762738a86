/* memory.c - see memory.h. */
#define _GNU_SOURCE
#include "memory.h"
#include "buffer.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#if defined(__linux__)
#include <malloc.h>
#define block_size malloc_usable_size
#elif defined(__APPLE__)
#include <malloc/malloc.h>
#define block_size malloc_size
#endif

/* See fc_memory_last_block and fc_memory_keep. */
static __thread void *last_block;
static __thread void *last_resized;
static __thread void *block_to_keep;
static __thread void *kept_block;

/* How many threads have a block to keep: it costs less to ask than what this one has. */
static atomic_int keepers;

static void set_block_to_keep(void *block)
{
    int more = (block != NULL) - (block_to_keep != NULL);

    if (more != 0)
        atomic_fetch_add(&keepers, more);
    block_to_keep = block;
}

#ifdef block_size

/*
 * What libcurl copies of a credential lies behind a request's first line, or in an answer's body:
 * in blocks larger than this. Most of what it frees is smaller.
 */
#define LARGEST_CLEAN_BLOCK 88

static bool is_kept(void *block)
{
    if (atomic_load_explicit(&keepers, memory_order_relaxed) == 0 || block != block_to_keep)
        return false;
    kept_block = block;
    set_block_to_keep(NULL);
    return true;
}

static void wiping_free(void *block)
{
    size_t size;

    if (block == NULL || is_kept(block))
        return;
    size = block_size(block);
    if (size > LARGEST_CLEAN_BLOCK)
        fc_wipe(block, size);
    free(block);
}

/* Never in place where that would mean to move: realloc leaves the old bytes behind. */
static void *wiping_realloc(void *block, size_t size)
{
    size_t old_size = block ? block_size(block) : 0;
    void *moved;

    if (block != NULL && size <= old_size)
        return block;
    moved = malloc(size);
    if (moved != NULL && block != NULL) {
        memcpy(moved, block, old_size);
        wiping_free(block);
    }
    return moved;
}

/*
 * Not by calloc, which in glibc passes its cache of freed blocks by; nor by memset, out of which a
 * compiler makes calloc again.
 */
static void *cleared(size_t count, size_t size)
{
    void *block = size == 0 || count <= SIZE_MAX / size ? malloc(count * size) : NULL;

    if (block != NULL)
        fc_wipe(block, count * size);
    return block;
}

static void *noted_calloc(size_t count, size_t size)
{
    last_resized = NULL;
    return last_block = cleared(count, size);
}

static void *noted_realloc(void *block, size_t size)
{
    last_resized = block;
    return last_block = wiping_realloc(block, size);
}

/* OpenSSL's memory functions are told where they are called. */
static void *openssl_malloc(size_t size, const char *file, int line)
{
    (void)file, (void)line;
    return size ? malloc(size) : NULL;
}

static void *openssl_realloc(void *block, size_t size, const char *file, int line)
{
    (void)file, (void)line;
    if (size == 0) {
        wiping_free(block);
        return NULL;
    }
    return wiping_realloc(block, size);
}

static void openssl_free(void *block, const char *file, int line)
{
    (void)file, (void)line;
    wiping_free(block);
}

/*
 * The OpenSSL that libcurl uses, if it does, decrypts answers in buffers that it frees as they are.
 * It is not linked with: it is found among what this library brought in. It refuses new functions
 * once it has allocated anything.
 */
static void wipe_openssl(void)
{
    typedef int (*set_functions)(void *(*)(size_t, const char *, int),
                                 void *(*)(void *, size_t, const char *, int),
                                 void (*)(void *, const char *, int));
    Dl_info info;
    void *self = NULL;
    set_functions set = NULL;

    if (dladdr((void *)(uintptr_t)wipe_openssl, &info) != 0)
        self = dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
    if (self == NULL)
        self = dlopen(NULL, RTLD_LAZY);
    if (self == NULL)
        return;
    *(void **)&set = dlsym(self, "CRYPTO_set_mem_functions");
    if (set != NULL)
        set(openssl_malloc, openssl_realloc, openssl_free);
    dlclose(self);
}

static CURLcode start(void)
{
    wipe_openssl();
    return curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, wiping_free, noted_realloc, strdup,
                                noted_calloc);
}

#else

static CURLcode start(void)
{
    return curl_global_init(CURL_GLOBAL_DEFAULT);
}

static void wiping_free(void *block)
{
    free(block);
}

#endif

bool fc_start_libcurl(void)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static bool started;
    CURLcode code = CURLE_OK;

    pthread_mutex_lock(&lock);
    if (!started)
        code = start();
    started |= code == CURLE_OK;
    pthread_mutex_unlock(&lock);
    if (code != CURLE_OK)
        errno = code == CURLE_OUT_OF_MEMORY ? ENOMEM : ENOTSUP;
    return code == CURLE_OK;
}

static bool is_ours;

/* A handle takes memory, or tries to: by calloc, which, if it is ours, forgets what was resized. */
static void probe_memory(void)
{
    last_resized = &is_ours;
    curl_easy_cleanup(curl_easy_init());
    is_ours = last_resized != &is_ours;
}

bool fc_memory_is_ours(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, probe_memory);
    return is_ours;
}

void *fc_memory_last_block(void)
{
    return last_block;
}

void *fc_memory_last_resized(void)
{
    return last_resized;
}

void fc_memory_keep(void *block)
{
    set_block_to_keep(block);
    kept_block = NULL;
}

bool fc_memory_was_kept(const void *block)
{
    if (block == NULL || block != kept_block)
        return false;
    kept_block = NULL;
    return true;
}

void fc_memory_free(void *block)
{
    wiping_free(block);
}
