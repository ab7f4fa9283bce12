/* Two whole gateways: when their ESP goes in UDP without a NAT. */
#include <stdio.h>
#include <string.h>

#include "tests/support/gateway_pair.h"
#include "tests/support/test.h"

static struct gateway_pair pair;

static struct {
    size_t native; /* datagrams of ESP outside of UDP */
    size_t plain_ike; /* to port 500, after the first two */
} seen;

static bool watch(void *context, const struct gateway_pair_datagram *datagram)
{
    (void)context;
    seen.native += datagram->protocol == 50;
    seen.plain_ike += datagram->protocol == 17 && datagram->to.port == 500;
    return false;
}

static void open_with(uint64_t seed, const char *extra_0, const char *extra_1)
{
    gateway_pair_open(&pair, seed);
    gateway_pair_write_config(&pair, 0, extra_0);
    gateway_pair_write_config(&pair, 1, extra_1);
    memset(&seen, 0, sizeof(seen));
    pair.lose = watch;
}

static void add_site(unsigned node, const char *rest)
{
    char *config = pair.nodes[node].config;
    size_t used = strlen(config);

    snprintf(config + used, sizeof(pair.nodes[node].config) - used,
             "site other {\n network 10.77.0.0/16\n key @other\n start wait\n %s\n}\n", rest);
}

static void start_both(void)
{
    gateway_pair_start(&pair, 0);
    gateway_pair_start(&pair, 1);
    CHECK(gateway_pair_up(&pair, 5000));
}

/* Both ends say so, the packets show it, and nobody speaks of a NAT. */
static void check_encapsulated(bool encapsulated)
{
    struct status_child child;

    seen.native = 0;
    seen.plain_ike = 0;
    CHECK(gateway_pair_passes(&pair, 0));
    CHECK(gateway_pair_passes(&pair, 1));
    for (unsigned i = 0; i < 2; i++) {
        struct status_site site = gateway_pair_site(&pair, i);

        CHECK(!site.ike.nat_local && !site.ike.nat_peer);
        /* IKE may be there without, to be able to move (RFC 4555 3.3). */
        CHECK(!encapsulated || site.ike.local.port == 4500);
        CHECK_EQUAL(site.ike.peer.port, site.ike.local.port);
        CHECK(site.child_count > 0);
        for (size_t j = 0; j < site.child_count; j++) {
            CHECK(gateway_child_at(pair.nodes[i].gateway, 0, j, &child));
            CHECK_EQUAL(child.encapsulated, encapsulated);
        }
    }
    CHECK_EQUAL(seen.native, encapsulated ? 0 : 2);
}

static void close_both(void)
{
    for (unsigned i = 0; i < 2; i++) {
        CHECK(gateway_pair_doors_add_up(&pair, i));
    }
    gateway_pair_close(&pair);
}

TEST(esp_goes_in_udp_by_default_whoever_begins)
{
    static const char *const extra[3][2] = {
        {"dpd off", "dpd off\n start wait"},
        {"dpd off\n start wait", "dpd off"},
        {"dpd off", "dpd off"},
    };

    for (unsigned i = 0; i < ARRAY_LENGTH(extra); i++) {
        open_with(60 + i, extra[i][0], extra[i][1]);
        start_both();
        check_encapsulated(true);
        /* No mapping of a NAT is to be kept. */
        gateway_pair_run(&pair, 120000);
        CHECK_EQUAL(pair.nodes[0].keepalives + pair.nodes[1].keepalives, 0);
        check_encapsulated(true);
        CHECK_EQUAL(seen.plain_ike, 0);
        close_both();
    }
}

TEST(rekeyings_stay_in_udp)
{
    char why[100];

    open_with(65, "lifetime ike 100s child 30s", "lifetime ike 90s child 20s");
    start_both();
    for (unsigned i = 0; i < 20; i++) {
        gateway_pair_run(&pair, 30000);
        check_encapsulated(true);
    }
    CHECK(gateway_pair_site(&pair, 0).rekeys > 10);
    CHECK(gateway_restart(pair.nodes[0].gateway, "osaka", pair.now_ms, why, sizeof(why)));
    gateway_pair_run(&pair, 5000);
    check_encapsulated(true);
    close_both();
}

TEST(who_says_never_has_native_esp_whoever_begins)
{
    static const char *const extra[4][2] = {
        {"encapsulate never", "start wait"},
        {"encapsulate never\n start wait", ""},
        {"", "encapsulate never\n start wait"},
        {"encapsulate never", "encapsulate never"},
    };

    for (unsigned i = 0; i < ARRAY_LENGTH(extra); i++) {
        open_with(70 + i, extra[i][0], extra[i][1]);
        start_both();
        check_encapsulated(false);
        close_both();
    }
}

TEST(a_change_of_mind_is_negotiated_and_nothing_is_lost)
{
    open_with(75, "", "");
    start_both();
    check_encapsulated(true);
    gateway_pair_write_config(&pair, 1, "encapsulate never");
    gateway_pair_reload(&pair, 1);
    for (unsigned i = 0; i < 200; i++) {
        CHECK(gateway_pair_passes(&pair, i % 2));
    }
    gateway_pair_run(&pair, 30000);
    check_encapsulated(false);
    gateway_pair_write_config(&pair, 1, "");
    gateway_pair_reload(&pair, 1);
    for (unsigned i = 0; i < 200; i++) {
        CHECK(gateway_pair_passes(&pair, i % 2));
    }
    gateway_pair_run(&pair, 30000);
    check_encapsulated(true);
    close_both();
}

/* What is said to a stranger depends on whom his address may mean. */
TEST(a_site_that_says_never_is_minded_where_it_may_be)
{
    static const struct {
        const char *other;
        bool known; /* the caller's address is in the configuration */
        bool encapsulated;
    } cases[] = {
        {"peer 203.0.113.1; encapsulate never", true, false},
        {"peer 203.0.113.77 203.0.113.1; encapsulate never", false, false},
        {"peer 203.0.113.77; encapsulate never", true, true},
        {"peer 203.0.113.77; encapsulate never", false, true},
        {"peer any; identity kobe; encapsulate never", true, true},
        {"peer any; identity kobe; encapsulate never", false, false},
        {"peer kobe.example.jp; encapsulate never", false, false},
        {"peer any; identity kobe; encapsulate auto", false, true},
        {"peer any; identity kobe; encapsulate never; disabled", false, true},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        open_with(80 + i, "", "start wait");
        if (!cases[i].known) {
            snprintf(pair.nodes[1].config, sizeof(pair.nodes[1].config),
                     "gateway osaka.example.jp\nlan 10.2.0.0/16\nsite tokyo {\n peer any\n"
                     " identity tokyo.example.jp\n network 10.1.0.0/16\n key @tokyo\n}\n");
        }
        add_site(1, cases[i].other);
        start_both();
        check_encapsulated(cases[i].encapsulated);
        close_both();
    }
}

/* He would look for us on port 4500, where we are not. */
TEST(a_responder_whose_second_port_is_another_stays_on_the_first)
{
    char *config = pair.nodes[1].config;
    static const char first[] = "port 500 nat 4600\n";

    open_with(95, "", "start wait");
    memmove(config + sizeof(first) - 1, config, strlen(config) + 1);
    memcpy(config, first, sizeof(first) - 1);
    start_both();
    check_encapsulated(false);
    close_both();
}

/* Who asks for UDP makes the other one believe in a NAT (RFC 7296 2.23): two of ours know better.
 */
TEST(what_was_asked_for_is_not_called_a_nat)
{
    static const char *const extra[3][2] = {
        {"encapsulate always", "start wait"},
        {"encapsulate always", "start wait; encapsulate always"},
        {"", "start wait; encapsulate always"},
    };
    struct status_explanation e;

    for (unsigned i = 0; i < ARRAY_LENGTH(extra); i++) {
        open_with(97 + i, extra[i][0], extra[i][1]);
        start_both();
        check_encapsulated(true);
        for (unsigned node = 0; node < 2; node++) {
            struct status_site site = gateway_pair_site(&pair, node);
            bool ours = strstr(extra[i][node], "always") != NULL;

            CHECK_EQUAL(site.ike.udp_asked_by_us, ours);
            CHECK(gateway_explain(pair.nodes[node].gateway, node == 0 ? "osaka" : "tokyo",
                                  pair.now_ms, &e));
            CHECK(strstr(e.checks[REASON_CHECK_REACH].sentence, "behind a NAT") == NULL);
            CHECK(!ours || strstr(e.checks[REASON_CHECK_REACH].sentence, "because we ask") != NULL);
        }
        close_both();
    }
    open_with(100, "encapsulate always", "start wait");
    start_both();
    CHECK(gateway_pair_site(&pair, 1).ike.udp_asked_by_peer);
    close_both();
}
