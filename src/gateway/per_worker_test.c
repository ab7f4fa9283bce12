/* RFC 9611: an SA for each sending worker, beside the one for all. */
#include <string.h>

#include "gateway/inside.h"
#include "tests/support/gateway_pair.h"
#include "tests/support/test.h"

#define IDLE_MS (UINT64_C(10) * 60 * 1000)
#define REFUSED_MS (UINT64_C(5) * 60 * 1000)

static struct gateway_pair pair;

static void open_pair(uint64_t seed, unsigned sealers_a, unsigned sealers_b, const char *a,
                      const char *b)
{
    gateway_pair_open(&pair, seed);
    pair.nodes[0].sealers = sealers_a;
    pair.nodes[1].sealers = sealers_b;
    gateway_pair_write_config(&pair, 0, a);
    gateway_pair_write_config(&pair, 1, b);
    gateway_pair_start(&pair, 0);
    gateway_pair_start(&pair, 1);
    CHECK(gateway_pair_up(&pair, 10000));
    gateway_pair_run(&pair, 10000);
}

/* Each worker of the node sends a packet. All arrive. */
static void all_send(unsigned node)
{
    for (unsigned i = 0; i < (pair.nodes[node].sealers > 0 ? pair.nodes[node].sealers : 1); i++) {
        pair.nodes[node].sealer = i;
        CHECK(gateway_pair_passes(&pair, node));
    }
    pair.nodes[node].sealer = 0;
}

static void all_send_for(unsigned node, uint64_t seconds)
{
    for (uint64_t i = 0; i < seconds; i++) {
        all_send(node);
        gateway_pair_run(&pair, 1000);
    }
}

/* SAs that are not stopped: for single workers, or for all. */
static size_t count(unsigned node, bool own)
{
    size_t found = 0;

    for (const struct ike *ike = pair.nodes[node].gateway->sites[0]->ikes; ike != NULL;
         ike = ike->next_of_site) {
        for (const struct child *c = ike->children; c != NULL; c = c->next) {
            found += (c->resource != 0) == own && !c->stopped;
        }
    }
    return found;
}

static const struct child *own(unsigned node, uint8_t worker)
{
    const struct child *c = pair.nodes[node].gateway->sites[0]->used->ike->children;

    while (c != NULL && (c->resource != worker || c->stopped)) {
        c = c->next;
    }
    return c;
}

static uint64_t sent_through(unsigned node, uint8_t worker)
{
    struct sa_counters n = {0};
    const struct child *c = own(node, worker);

    CHECK(c != NULL && dataplane_sa_counters(pair.nodes[node].dataplane, c->spi_in, &n));
    return n.out_packets;
}

static void check_well(void)
{
    for (unsigned i = 0; i < 2; i++) {
        struct status_site site = gateway_pair_site(&pair, i);

        CHECK_EQUAL(site.state, STATUS_UP);
        CHECK_EQUAL(site.reason, REASON_NONE);
        CHECK_EQUAL(pair.nodes[i].downs, 0);
        CHECK_EQUAL(count(i, false), 1);
        CHECK(gateway_pair_doors_add_up(&pair, i));
    }
}

TEST(each_worker_that_sends_gets_an_sa_of_its_own_and_sends_through_it)
{
    open_pair(901, 4, 4, "", "");
    /* Nobody sends yet. */
    CHECK_EQUAL(count(0, true), 0);
    all_send_for(0, 8);
    CHECK_EQUAL(count(0, true), 4);
    CHECK_EQUAL(count(1, true), 4);
    for (uint8_t w = 1; w <= 4; w++) {
        uint64_t before = sent_through(0, w);

        pair.nodes[0].sealer = w - 1u;
        CHECK(gateway_pair_passes(&pair, 0));
        CHECK_EQUAL(sent_through(0, w), before + 1);
    }
    /* The other side has got one for each of its own by that, and asks for none. */
    all_send_for(1, 8);
    CHECK_EQUAL(count(1, true), 4);
    for (uint8_t w = 1; w <= 4; w++) {
        CHECK(sent_through(1, w) > 0);
    }
    /* They are seen, and no duplicates are closed. */
    struct status_child shown;
    unsigned seen = 0;

    gateway_pair_run(&pair, 60000);
    for (size_t i = 0; gateway_child_at(pair.nodes[0].gateway, 0, i, &shown); i++) {
        seen |= 1u << shown.worker;
        CHECK(shown.in_use);
    }
    CHECK_EQUAL(seen, 0x1f);
    check_well();
    gateway_pair_close(&pair);
}

TEST(both_sides_may_ask_at_once)
{
    open_pair(902, 4, 3, "", "");
    for (unsigned i = 0; i < 10; i++) {
        for (unsigned node = 0; node < 2; node++) {
            for (unsigned w = 0; w < pair.nodes[node].sealers; w++) {
                pair.nodes[node].sealer = w;
                gateway_pair_offer(&pair, node);
            }
        }
        gateway_pair_run(&pair, 1000);
    }
    CHECK(count(0, true) >= 4 && count(0, true) <= 7);
    CHECK_EQUAL(count(0, true), count(1, true));
    for (uint8_t w = 1; w <= 4; w++) {
        CHECK(own(0, w) != NULL);
    }
    for (uint8_t w = 1; w <= 3; w++) {
        CHECK(own(1, w) != NULL);
    }
    pair.nodes[0].sealer = pair.nodes[1].sealer = 0;
    check_well();
    gateway_pair_close(&pair);
}

TEST(with_one_worker_nothing_is_asked_but_the_peer_may)
{
    open_pair(903, 1, 1, "", "");
    all_send_for(0, 3);
    CHECK_EQUAL(count(0, true), 0);
    gateway_pair_close(&pair);

    open_pair(904, 3, 1, "", "");
    all_send_for(0, 6);
    CHECK_EQUAL(count(0, true), 3);
    CHECK_EQUAL(count(1, true), 3);
    all_send_for(1, 3);
    check_well();
    gateway_pair_close(&pair);
}

TEST(off_is_off_on_either_side_and_disturbs_nobody)
{
    static const char *const words[][2] = {{"per-worker-sas off", ""},
                                           {"", "per-worker-sas off"},
                                           {"per-worker-sas 4", "per-worker-sas off"}};

    for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
        open_pair(905 + i, 4, 4, words[i][0], words[i][1]);
        all_send_for(0, 5);
        all_send_for(1, 5);
        CHECK_EQUAL(count(0, true) + count(1, true), 0);
        check_well();
        gateway_pair_close(&pair);
    }
}

TEST(a_number_is_the_most_that_we_ask_for)
{
    open_pair(910, 4, 4, "per-worker-sas 2", "");
    all_send_for(0, 6);
    CHECK_EQUAL(count(0, true), 2);
    CHECK(own(0, 1) != NULL && own(0, 2) != NULL);
    all_send(1);
    check_well();
    gateway_pair_close(&pair);
}

TEST(who_is_refused_asks_again_only_after_a_while)
{
    open_pair(911, 4, 4, "", "per-worker-sas 1");
    all_send_for(0, 6);
    /* RFC 9611 6: twice as many. */
    CHECK_EQUAL(count(0, true), 2);
    unsigned exchanges = pair.nodes[0].key_exchanges;

    all_send_for(0, 60);
    CHECK_EQUAL(pair.nodes[0].key_exchanges, exchanges);
    CHECK(strstr(pair.nodes[0].last_log, "TS_MAX_QUEUE") != NULL);
    all_send(1);
    check_well();
    gateway_pair_run(&pair, REFUSED_MS);
    all_send_for(0, 2);
    CHECK(pair.nodes[0].key_exchanges > exchanges);
    CHECK_EQUAL(count(0, true), 2);
    all_send(1);
    check_well();
    gateway_pair_close(&pair);
}

TEST(what_nobody_uses_is_closed_and_made_again_when_it_is_wanted)
{
    open_pair(912, 3, 3, "", "");
    all_send_for(0, 6);
    CHECK_EQUAL(count(0, true), 3);
    /* The first goes on. */
    for (uint64_t ms = 0; ms < IDLE_MS + 180000; ms += 10000) {
        CHECK(gateway_pair_passes(&pair, 0));
        gateway_pair_run(&pair, 9900);
    }
    CHECK_EQUAL(count(0, true), 1);
    CHECK_EQUAL(count(1, true), 1);
    CHECK(own(0, 1) != NULL);
    check_well();
    all_send_for(0, 90);
    CHECK_EQUAL(count(0, true), 3);
    check_well();
    gateway_pair_close(&pair);
}

TEST(they_are_rekeyed_with_the_one_for_all_without_a_lost_packet)
{
    open_pair(913, 3, 2, "lifetime child 5m", "lifetime child 5m");
    all_send_for(0, 6);
    uint32_t first[4];

    for (uint8_t w = 1; w <= 3; w++) {
        first[w] = own(0, w)->spi_in;
    }
    /* Each packet is checked to arrive. */
    all_send_for(0, 400);
    for (uint8_t w = 1; w <= 3; w++) {
        CHECK(own(0, w) != NULL && own(0, w)->spi_in != first[w]);
    }
    CHECK_EQUAL(count(0, true), 3);
    check_well();
    gateway_pair_close(&pair);
}

TEST(those_of_a_peer_that_crashed_carry_nothing_when_he_is_back)
{
    open_pair(914, 3, 3, "", "");
    all_send_for(0, 6);
    CHECK_EQUAL(count(0, true), 3);
    gateway_pair_crash(&pair, 1);
    gateway_pair_run(&pair, 1000);
    gateway_pair_start(&pair, 1);
    CHECK(gateway_pair_up(&pair, 60000));
    gateway_pair_run(&pair, 1000);
    /* At once, whatever is there of the old ones. */
    all_send(0);
    all_send(1);
    gateway_pair_run(&pair, 60000);
    all_send_for(0, 8);
    CHECK_EQUAL(count(0, true), 3);
    CHECK_EQUAL(count(1, true), 3);
    gateway_pair_close(&pair);
}

static bool lose_some(void *context, const struct gateway_pair_datagram *datagram)
{
    struct random_source *random = context;

    (void)datagram;
    return random_below(random, 4) == 0;
}

TEST(losses_on_the_way_leave_both_sides_with_the_same)
{
    struct seeded_random seeded;

    for (uint64_t seed = 1; seed <= 10; seed++) {
        open_pair(920 + seed, 4, 3, "lifetime child 5m", "lifetime child 5m");
        seeded_random_init(&seeded, seed);
        struct random_source random = seeded_random_source(&seeded);

        pair.lose = lose_some;
        pair.context = &random;
        for (unsigned i = 0; i < 600; i++) {
            for (unsigned node = 0; node < 2; node++) {
                pair.nodes[node].sealer = i % pair.nodes[node].sealers;
                gateway_pair_offer(&pair, node);
            }
            gateway_pair_run(&pair, 1000);
        }
        pair.lose = NULL;
        pair.nodes[0].sealer = pair.nodes[1].sealer = 0;
        gateway_pair_run(&pair, 100000);
        all_send(0);
        all_send(1);
        CHECK_EQUAL(count(0, true), count(1, true));
        CHECK(count(0, true) <= 14);
        CHECK_EQUAL(count(0, false), 1);
        CHECK_EQUAL(count(1, false), 1);
        gateway_pair_close(&pair);
    }
}
