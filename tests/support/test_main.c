/* Runs every test that registered itself; an argument is a pattern of names (cmocka's filter). */
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>

#define TESTS_MAX 1024

static struct CMUnitTest tests[TESTS_MAX];
static size_t test_count;

void test_register(const char *name, void (*function)(void **state))
{
    if (test_count == TESTS_MAX) {
        fprintf(stderr, "more than %d tests in one program\n", TESTS_MAX);
        abort();
    }
    tests[test_count++] = (struct CMUnitTest){.name = name, .test_func = function};
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    if (test_count == 0) {
        fprintf(stderr, "no test registered\n");
        return 1;
    }
    return _cmocka_run_group_tests(argv[0], tests, test_count, NULL, NULL) == 0 ? 0 : 1;
}
