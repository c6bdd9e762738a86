/*
 * check.h - what the core's own tests are made of: a test is a sentence and a function, a check an
 * expression that must hold. Depends on the C library and filescom.h.
 *
 * The program prints "ok - SENTENCE" or, after the checks that failed, "not ok - SENTENCE", and at
 * its end how many there were.
 */
#ifndef CHECK_H
#define CHECK_H

#include "filescom.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct test {
    const char *sentence;
    void (*run)(void);
} test;

/* Each file of tests has a table that ends with an empty test. */
extern const test buffer_tests[];
extern const test multipart_tests[];
extern const test headers_tests[];
extern const test url_tests[];
extern const test exchange_tests[];
extern const test stream_tests[];
extern const test process_tests[];

#define CHECK(condition) check_that((condition), #condition, __FILE__, __LINE__)

/* The same for one row of a table, which `what` names. */
#define CHECK_ROW(condition, what) check_row((condition), #condition, (what), __FILE__, __LINE__)

/* Notes a failure of the test that runs. Returns the condition. Any thread may call it. */
bool check_that(bool condition, const char *text, const char *file, int line);
bool check_row(bool condition, const char *text, const char *what, const char *file, int line);

/* Bytes of a text, without its NUL. */
filescom_bytes text_bytes(const char *text);

bool equals_text(filescom_bytes bytes, const char *text);

/* Numbers that are the same in every run. */
unsigned random_below(unsigned limit);

#endif
