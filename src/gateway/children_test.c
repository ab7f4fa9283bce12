/* What becomes of a site whose child is closed by the other side. */
#include "gateway/inside.h"
#include "tests/support/gateway_pair.h"
#include "tests/support/test.h"

static struct gateway_pair pair;

TEST(a_child_that_the_peer_closed_is_told_and_asked_for_again)
{
    struct status_child shown;

    gateway_pair_open(&pair, 36);
    gateway_pair_start(&pair, 0);
    gateway_pair_start(&pair, 1);
    CHECK(gateway_pair_up(&pair, 5000));
    gateway_pair_run(&pair, 30000);
    struct gateway *peer = pair.nodes[1].gateway;

    CHECK(gateway_child_at(peer, 0, 0, &shown));
    ike_close_child(children_find(peer, shown.spi_in)->ike, shown.spi_in, pair.now_ms);
    gateway_settle(peer, pair.now_ms);
    gateway_pair_run(&pair, 100);
    CHECK_EQUAL(gateway_pair_site(&pair, 0).reason, REASON_CHILD_GONE);
    /* Who closed it himself has nothing to complain about. */
    CHECK(gateway_pair_site(&pair, 1).reason != REASON_CHILD_GONE);
    CHECK(gateway_pair_up(&pair, 5000));
    CHECK_EQUAL(gateway_pair_site(&pair, 0).reason, REASON_NONE);
    CHECK(gateway_pair_passes(&pair, 0));
    gateway_pair_close(&pair);
}
