/* Pages are there from end to end, and no further. */
#include "dataplane/pages.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/test.h"

/* In a process of its own, whose end is looked at. */
static bool ends_whoever_touches(volatile uint8_t *at)
{
    pid_t child = fork();
    int status = 0;

    CHECK(child >= 0);
    if (child == 0) {
        (void)signal(SIGSEGV, SIG_DFL);
        *at = 1;
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

TEST(pages_are_zero_and_aligned_and_have_borders)
{
    size_t bytes = 16 * 65536;
    uint8_t *pages = pages_new(bytes);

    CHECK(pages != NULL && (uintptr_t)pages % PAGES_ALIGNMENT == 0);
    for (size_t i = 0; i < bytes; i++) {
        CHECK_EQUAL(pages[i], 0);
    }
    pages[0] = 1;
    pages[bytes - 1] = 1;
    CHECK(!ends_whoever_touches(pages) && !ends_whoever_touches(pages + bytes - 1));
    CHECK(ends_whoever_touches(pages - 1));
    CHECK(ends_whoever_touches(pages + bytes));
    pages_free(pages, bytes);
    CHECK(ends_whoever_touches(pages));
    /* Not a multiple of the largest pages: the far end is as sharp. */
    bytes = 3 * PAGES_ALIGNMENT;
    pages = pages_new(bytes);
    CHECK(pages != NULL && (uintptr_t)pages % PAGES_ALIGNMENT == 0);
    CHECK(!ends_whoever_touches(pages + bytes - 1) && ends_whoever_touches(pages + bytes));
    pages_free(pages, bytes);
}

TEST(pages_that_cannot_be_had_are_null)
{
    CHECK(pages_new(SIZE_MAX / PAGES_ALIGNMENT * PAGES_ALIGNMENT) == NULL);
    CHECK(pages_new(SIZE_MAX / 4 / PAGES_ALIGNMENT * PAGES_ALIGNMENT) == NULL);
    pages_free(NULL, PAGES_ALIGNMENT);
}
