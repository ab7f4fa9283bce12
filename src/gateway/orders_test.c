/* Orders of the administrator reach the site that they name. */
#include "gateway/gateway.h"

#include <string.h>

#include "tests/support/gateway_pair.h"
#include "tests/support/test.h"

static struct gateway_pair pair;

/* Longer than a key of a table. */
#define LONG_NAME "the-branch-in-the-old-town-of-osaka-behind-the-second-river"

TEST(a_site_with_a_long_name_obeys)
{
    char why[256] = "";

    gateway_pair_open(&pair, 1);
    strcpy(pair.nodes[0].config,
           "gateway tokyo.example.jp\nlan 10.1.0.0/16\n"
           "site " LONG_NAME " { peer 203.0.113.2; identity osaka.example.jp\n"
           "  network 10.2.0.0/16; key @osaka }\n");
    gateway_pair_start(&pair, 0);
    gateway_pair_start(&pair, 1);
    CHECK(gateway_pair_up(&pair, 5000));
    CHECK(gateway_down(pair.nodes[0].gateway, LONG_NAME, pair.now_ms, why, sizeof(why)));
    CHECK_EQUAL(gateway_pair_site(&pair, 0).ike_count, 0);
    CHECK(!gateway_down(pair.nodes[0].gateway, LONG_NAME "s", pair.now_ms, why, sizeof(why)));
    CHECK_TEXT(why, "there is no site of that name");
    gateway_pair_close(&pair);
}
