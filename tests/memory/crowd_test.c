/* Five thousand sites of one gateway: no answer to `status` tells of all of them at once. */
#include <stdio.h>
#include <stdlib.h>

#include "management/management.h"
#include "tests/support/crowd.h"
#include "tests/support/test.h"

#define PEERS 5000
#define SITES_A_PAGE 200

static struct crowd crowd;
static struct seeded_random seeded;
static struct random_source source;

static void open_crowd(const char *words)
{
    seeded_random_init(&seeded, 1);
    source = seeded_random_source(&seeded);
    crowd_open(&crowd, PEERS, "half-open-max 100000", words, &source);
}

/* Where the next page begins; 0: there is none. `sites` grows by those on this one. */
static size_t ask_page(size_t after, size_t *sites)
{
    const struct management management = {.gateway = crowd.hub.gateway};
    char request[128];

    snprintf(request, sizeof(request),
             "{\"verb\":\"status\",\"words\":[],\"options\":{\"after\":%zu}}", after);
    char *answer = management_answer(&management, slice_of_text(request), crowd.now_ms);

    CHECK(answer != NULL);
    CHECK((strstr(answer, "\"problems\"") != NULL) == (after == 0));
    const char *next = strstr(answer, "\"next\":");

    CHECK(next != NULL);
    for (const char *at = answer; (at = strstr(at, "\"children\":[")) != NULL; at++) {
        ++*sites;
    }
    size_t from = strtoul(next + strlen("\"next\":"), NULL, 10);

    free(answer);
    return from;
}

TEST(no_answer_tells_of_all_of_thousands_of_sites)
{
    size_t pages = 0, sites = 0, after = 0;

    open_crowd("dpd off; start wait");
    do {
        size_t before = sites;
        size_t next = ask_page(after, &sites);

        CHECK(sites - before <= SITES_A_PAGE);
        CHECK(next == 0 || next == after + SITES_A_PAGE);
        after = next;
        pages++;
    } while (after != 0 && pages < PEERS);
    CHECK_EQUAL(pages, PEERS / SITES_A_PAGE);
    CHECK_EQUAL(sites, PEERS);
    /* Behind the end there is nothing, whatever the number is. */
    CHECK_EQUAL(ask_page(PEERS, &sites), 0);
    CHECK_EQUAL(ask_page((size_t)INT64_MAX, &sites), 0);
    CHECK_EQUAL(sites, PEERS);
    crowd_close(&crowd);
}
