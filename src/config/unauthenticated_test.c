/* The word unauthenticated: where it may stand, and that it is warned of. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/testbed.h"
#include "tests/support/test.h"

#define BEFORE GATEWAY "site a {\nnetwork 10.2.0.0/16\n"

/* `text` stays as long as the result is looked at. */
static struct config_result *read_site(struct testbed *t, const char *lines, char text[512])
{
    testbed_init(t);
    snprintf(text, 512, BEFORE "%s\n}\n", lines);
    return testbed_read(t, text);
}

static void check(const char *lines, size_t errors, size_t warnings, const char *words)
{
    struct testbed *t = malloc(sizeof(*t));
    char text[512];
    struct config_result *result = read_site(t, lines, text);
    char *said = config_diagnostics_text(result);

    CHECK_EQUAL(result->error_count, errors);
    CHECK_EQUAL(result->warning_count, warnings);
    CHECK(strstr(said, words) != NULL);
    free(said);
    config_result_free(result);
    free(t);
}

TEST(it_is_off_unless_it_is_said_and_then_warned_of)
{
    struct config *c = testbed_good(GATEWAY SITE("a", "10.2.0.0/16", ""));
    char *text = config_show(c, true);

    CHECK(!c->sites[0].unauthenticated);
    CHECK(strstr(text, "unauthenticated") != NULL);
    free(text);
    config_free(c);
    check("peer 203.0.113.2\nunauthenticated", 0, 1, "can read and change its traffic");
    check("peer 203.0.113.2\nunauthenticated\nppk @p", 0, 0, "");
}

TEST(it_stands_beside_nothing_else_that_proves)
{
    static const char *const words[] = {"key @k",        "certificate a.pem",   "trust a.pem",
                                        "name \"CN=a\"", "identity gw.example", "say gw.example"};

    for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
        char lines[256];

        snprintf(lines, sizeof(lines), "peer 203.0.113.2\nunauthenticated\n%s", words[i]);
        check(lines, 1, 1, "nobody says or proves who he is");
    }
}

TEST(the_peer_is_known_by_its_address)
{
    check("peer gw.example\nunauthenticated", 1, 1, "by its one address alone");
    check("peer 203.0.113.2 203.0.113.3\nunauthenticated", 1, 1, "by its one address alone");
    check("peer 2001:db8::2\nunauthenticated", 0, 1, "");
    check("peer any\nunauthenticated", 1, 2, "by its one address alone");
}

TEST(a_ppk_that_is_the_only_proof_cannot_be_left_out)
{
    check("peer 203.0.113.2\nunauthenticated\nppk @p prefer", 1, 0, "could be left out");
}
