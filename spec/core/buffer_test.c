/* buffer_test.c - growable bytes: their limit, their growth, their wiping. See check.h. */
#include "buffer.h"
#include "check.h"

#include <string.h>

static void keeps_bytes_over_growth(void)
{
    fc_buffer buffer = {.limit = SIZE_MAX};
    size_t i;

    for (i = 0; i < 10000; i++) {
        char byte = (char)(i * 31);
        CHECK(fc_buffer_append(&buffer, &byte, 1) == FC_APPENDED);
    }
    CHECK(buffer.size == 10000);
    for (i = 0; i < 10000; i++)
        if (!CHECK(buffer.data[i] == (char)(i * 31)))
            break;
    fc_buffer_free(&buffer);
}

static void holds_its_limit_and_no_more(void)
{
    fc_buffer buffer = {.limit = 10};

    CHECK(fc_buffer_append(&buffer, "0123456789", 10) == FC_APPENDED);
    CHECK(fc_buffer_append(&buffer, "x", 1) == FC_APPEND_FULL);
    CHECK(buffer.size == 10 && memcmp(buffer.data, "0123456789", 10) == 0);
    CHECK(fc_buffer_append(&buffer, "", 0) == FC_APPENDED);
    fc_buffer_free(&buffer);
}

static void refuses_sizes_that_overflow(void)
{
    fc_buffer buffer = {.limit = 100};

    CHECK(fc_buffer_append(&buffer, "abc", 3) == FC_APPENDED);
    CHECK(fc_buffer_reserve(&buffer, SIZE_MAX) == FC_APPEND_FULL);
    CHECK(fc_buffer_reserve(&buffer, SIZE_MAX - 2) == FC_APPEND_FULL);
    CHECK(fc_buffer_reserve(&buffer, 98) == FC_APPEND_FULL);
    CHECK(fc_buffer_reserve(&buffer, 97) == FC_APPENDED);
    CHECK(buffer.size == 3 && memcmp(buffer.data, "abc", 3) == 0);
    fc_buffer_free(&buffer);
}

static void adds_nothing_where_nothing_is_added(void)
{
    fc_buffer buffer = {.limit = 10};

    CHECK(fc_buffer_append(&buffer, NULL, 0) == FC_APPENDED);
    CHECK(buffer.size == 0);
    fc_buffer_free(&buffer);
}

static void is_wiped_when_cleared(void)
{
    fc_buffer buffer = {.limit = 100};
    size_t i;

    CHECK(fc_buffer_append(&buffer, "password", 8) == FC_APPENDED);
    fc_buffer_clear(&buffer);
    CHECK(buffer.size == 0 && buffer.capacity >= 8);
    for (i = 0; i < 8; i++)
        CHECK(buffer.data[i] == 0);
    fc_buffer_free(&buffer);
}

static void can_be_freed_twice_and_used_again(void)
{
    fc_buffer buffer = {.limit = 100};

    CHECK(fc_buffer_append(&buffer, "abc", 3) == FC_APPENDED);
    fc_buffer_free(&buffer);
    fc_buffer_free(&buffer);
    CHECK(buffer.data == NULL && buffer.size == 0 && buffer.limit == 100);
    CHECK(fc_buffer_append(&buffer, "de", 2) == FC_APPENDED);
    CHECK(memcmp(buffer.data, "de", 2) == 0);
    fc_buffer_free(&buffer);
}

static void wipes_memory(void)
{
    char secret[32];
    size_t i;

    memset(secret, 'x', sizeof secret);
    fc_wipe(secret, 31);
    for (i = 0; i < 31; i++)
        CHECK(secret[i] == 0);
    CHECK(secret[31] == 'x');
    fc_wipe(NULL, 0);
}

const test buffer_tests[] = {
    {"a buffer keeps its bytes while it grows", keeps_bytes_over_growth},
    {"a buffer holds its limit and no more", holds_its_limit_and_no_more},
    {"a buffer refuses sizes that overflow", refuses_sizes_that_overflow},
    {"a buffer takes nothing, from nowhere", adds_nothing_where_nothing_is_added},
    {"a buffer is wiped when it is cleared", is_wiped_when_cleared},
    {"a buffer can be freed twice and used again", can_be_freed_twice_and_used_again},
    {"memory is wiped, and only what is meant", wipes_memory},
    {NULL, NULL},
};
