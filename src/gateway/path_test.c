/* Paths that carry less than the link, and routers that do not say so. */
#include "gateway/gateway.h"

#include "tests/support/gateway_pair.h"
#include "tests/support/test.h"

#define UDP_PATH_HEADS 28 /* IPv4 and UDP */

static struct gateway_pair pair;

struct hole {
    size_t mtu; /* larger packets that must not be cut vanish */
    unsigned probes, lost;
    bool no_router; /* on the way: nobody there cuts */
    unsigned lose_first; /* so many probes are lost whatever their size */
};

static bool swallow(void *context, const struct gateway_pair_datagram *d)
{
    struct hole *hole = context;

    if (d->protocol != 17) {
        return false;
    }
    if (!d->dont_fragment) {
        /* What is not cut by the sender vanishes as well. */
        return hole->no_router && !d->cut && d->length + UDP_PATH_HEADS > hole->mtu;
    }
    hole->probes++;
    if (hole->probes <= hole->lose_first || d->length + UDP_PATH_HEADS > hole->mtu) {
        hole->lost++;
        return true;
    }
    return false;
}

/* Only the first one asks. */
static void open_up(struct hole *hole)
{
    gateway_pair_open(&pair, 1);
    gateway_pair_write_config(&pair, 0, "mtu-probe on");
    pair.lose = swallow;
    pair.context = hole;
    for (unsigned i = 0; i < 2; i++) {
        gateway_pair_start(&pair, i);
    }
    CHECK(gateway_pair_up(&pair, 5000));
}

static struct status_child child_now(void)
{
    struct status_child child;

    CHECK(gateway_child_at(pair.nodes[0].gateway, 0, 0, &child));
    return child;
}

TEST(a_path_as_wide_as_the_link_is_asked_once_in_nine_minutes)
{
    struct hole hole = {.mtu = 1500};

    open_up(&hole);
    gateway_pair_run(&pair, 10000);
    CHECK(hole.probes >= 1 && hole.probes <= 2);
    CHECK_EQUAL(child_now().counters.outer_mtu, 1500);
    CHECK_EQUAL(child_now().mtu_source, STATUS_MTU_LINK);
    unsigned before = hole.probes;

    gateway_pair_run(&pair, 3600 * 1000);
    CHECK(hole.probes - before >= 6);
    CHECK(hole.probes - before <= 9);
    gateway_pair_close(&pair);
}

TEST(a_narrow_path_is_found_and_stays_known)
{
    static const size_t widths[] = {576, 577, 1006, 1280, 1399, 1400, 1454, 1492, 1499};

    for (size_t i = 0; i < ARRAY_LENGTH(widths); i++) {
        struct hole hole = {.mtu = widths[i], .no_router = widths[i] >= 1280};

        open_up(&hole);
        gateway_pair_run(&pair, 60000);
        struct status_child child = child_now();

        CHECK(child.counters.outer_mtu <= widths[i]);
        CHECK(child.counters.outer_mtu + 8u >= widths[i]);
        CHECK_EQUAL(child.mtu_source, STATUS_MTU_PROBE);
        /* Both began at once: for two seconds there were two IKE SAs. */
        CHECK(hole.probes <= 48);
        for (unsigned minute = 0; minute < 60; minute++) {
            gateway_pair_run(&pair, 60000);
            CHECK(child_now().counters.outer_mtu <= widths[i]);
        }
        CHECK(gateway_pair_passes(&pair, 0));
        CHECK_EQUAL(pair.nodes[0].downs, 0);
        gateway_pair_close(&pair);
    }
}

TEST(one_lost_question_makes_no_path_narrow)
{
    struct hole hole = {.mtu = 1500, .lose_first = 1};

    open_up(&hole);
    gateway_pair_run(&pair, 60000);
    CHECK_EQUAL(hole.lost, 1);
    CHECK_EQUAL(child_now().counters.outer_mtu, 1500);
    gateway_pair_close(&pair);
}

TEST(a_path_that_became_wider_is_used_again)
{
    struct hole hole = {.mtu = 1400};

    open_up(&hole);
    gateway_pair_run(&pair, 60000);
    CHECK(child_now().counters.outer_mtu <= 1400);
    hole.mtu = 1500;
    gateway_pair_run(&pair, 600000);
    CHECK_EQUAL(child_now().counters.outer_mtu, 1500);
    CHECK_EQUAL(child_now().mtu_source, STATUS_MTU_LINK);
    gateway_pair_close(&pair);
}

TEST(what_a_router_said_is_shown_as_such)
{
    struct hole hole = {.mtu = 1500};

    open_up(&hole);
    gateway_pair_run(&pair, 10000);
    dataplane_path_mtu(pair.nodes[0].dataplane, &pair.nodes[0].outer, &pair.nodes[1].outer, 1350,
                       pair.now_ms);
    CHECK_EQUAL(child_now().counters.outer_mtu, 1350);
    CHECK_EQUAL(child_now().mtu_source, STATUS_MTU_ICMP);
    gateway_pair_close(&pair);
}

TEST(a_flow_without_answers_makes_us_look_at_the_path)
{
    struct hole hole = {.mtu = 1500};

    open_up(&hole);
    gateway_pair_run(&pair, 120000);
    hole.mtu = 1400;
    for (unsigned i = 0; i < 30; i++) {
        gateway_pair_offer(&pair, 0);
        gateway_pair_run(&pair, 1000);
    }
    CHECK(child_now().counters.outer_mtu <= 1400);
    gateway_pair_close(&pair);
}

TEST(nobody_asks_where_it_is_off)
{
    struct hole hole = {.mtu = 1400};

    gateway_pair_open(&pair, 2);
    pair.lose = swallow;
    pair.context = &hole;
    for (unsigned i = 0; i < 2; i++) {
        gateway_pair_start(&pair, i);
    }
    CHECK(gateway_pair_up(&pair, 5000));
    gateway_pair_run(&pair, 3600 * 1000);
    CHECK_EQUAL(hole.probes, 0);
    /* And begins when it is told to. */
    gateway_pair_write_config(&pair, 0, "mtu-probe on");
    gateway_pair_reload(&pair, 0);
    gateway_pair_run(&pair, 60000);
    CHECK(child_now().counters.outer_mtu <= 1400);
    gateway_pair_close(&pair);
}
