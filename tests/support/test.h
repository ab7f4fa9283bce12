/*
 * TEST(a_sentence_that_can_be_false) { CHECK(...); }: a thin coat over cmocka. Tests register
 * themselves, in the order of the file; main() is in test_main.c.
 */
#ifndef SEKISHO_TESTS_SUPPORT_TEST_H
#define SEKISHO_TESTS_SUPPORT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

void test_register(const char *name, void (*function)(void **state));

#define TEST(name)                                                                                 \
    static void name(void **state);                                                                \
    __attribute__((constructor)) static void register_##name(void)                                 \
    {                                                                                              \
        test_register(#name, name);                                                                \
    }                                                                                              \
    static void name(void **state __attribute__((unused)))

#define CHECK(condition)                                                                           \
    _assert_true((uintmax_t)((condition) ? 1 : 0), #condition, __FILE__, __LINE__)
#define CHECK_EQUAL(actual, expected) assert_int_equal(actual, expected)
#define CHECK_TEXT(actual, expected) assert_string_equal(actual, expected)
#define CHECK_BYTES(actual, expected, length) assert_memory_equal(actual, expected, length)

#endif
