/* handle.c - see handle.h. */
#include "handle.h"
#include "buffer.h"
#include "memory.h"

#include <stdlib.h>

#define FIRST_AFFECTED 0x075300
#define FIRST_MENDED 0x080100

static bool is_affected(void)
{
    unsigned version = curl_version_info(CURLVERSION_NOW)->version_num;

    return version >= FIRST_AFFECTED && version < FIRST_MENDED;
}

bool fc_handle_open(fc_handle *handle)
{
    *handle = (fc_handle){.easy = curl_easy_init(), .failure = calloc(1, CURL_ERROR_SIZE)};
    if (handle->easy != NULL && handle->failure != NULL &&
        curl_easy_setopt(handle->easy, CURLOPT_ERRORBUFFER, handle->failure) == CURLE_OK)
        return true;
    fc_handle_cleanup(handle);
    return false;
}

bool fc_handles_may_be_kept(void)
{
    return !is_affected() || fc_memory_is_ours();
}

bool fc_handle_may_be_kept(const fc_handle *handle)
{
    return !handle->unsure;
}

void fc_handle_before_start(const fc_handle *handle)
{
    fc_memory_keep(handle->held ? NULL : handle->last_header);
}

static void note_kept(fc_handle *handle)
{
    if (fc_memory_was_kept(handle->last_header))
        handle->held = true;
}

void fc_handle_after_start(fc_handle *handle)
{
    note_kept(handle);
    fc_memory_keep(NULL);
}

static void let_go(fc_handle *handle)
{
    if (handle->held)
        fc_memory_free(handle->last_header);
    handle->held = false;
    handle->last_header = NULL;
}

void fc_handle_header_came(fc_handle *handle)
{
    note_kept(handle); /* an answer may come while the transfer is still being started */
    /* A continued line: libcurl has made the block its own again, and longer. */
    if (handle->held && fc_memory_last_resized() == handle->last_header)
        handle->held = false;
    let_go(handle);
    handle->last_header = fc_memory_last_block();
    handle->unsure = false;
}

/* What is held is held on to: libcurl may follow its pointer to that yet. */
void fc_handle_header_may_have_come(fc_handle *handle)
{
    note_kept(handle);
    handle->unsure = true;
}

void fc_handle_cleanup(fc_handle *handle)
{
    if (handle->easy != NULL)
        curl_easy_cleanup(handle->easy);
    if (handle->failure != NULL)
        fc_wipe(handle->failure, CURL_ERROR_SIZE); /* libcurl may have shown a proxy's password */
    free(handle->failure);
    handle->easy = NULL;
    handle->failure = NULL;
    let_go(handle);
}
