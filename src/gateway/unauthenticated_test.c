/* Two gateways whose site says unauthenticated (RFC 7619). */
#include "gateway/inside.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/gateway_pair.h"
#include "tests/support/test.h"

static struct gateway_pair pair;

static void write(unsigned node, const char *more)
{
    snprintf(pair.nodes[node].config, sizeof(pair.nodes[node].config),
             "gateway %s.example.jp\nlan 10.%u.0.0/16\nsite %s {\npeer 203.0.113.%u\n"
             "network 10.%u.0.0/16\nmtu-probe off\n%s\n}\n",
             node == 0 ? "tokyo" : "osaka", node + 1, node == 0 ? "osaka" : "tokyo", 2 - node,
             2 - node, more);
}

static void start(uint64_t seed, const char *first, const char *second)
{
    gateway_pair_open(&pair, seed);
    write(0, first);
    write(1, second);
    pair.nodes[0].ppk = pair.nodes[1].ppk = "an octet string of more than 256 bits";
    gateway_pair_start(&pair, 0);
    gateway_pair_start(&pair, 1);
}

static void close_both(void)
{
    gateway_pair_stop(&pair, 0);
    gateway_pair_stop(&pair, 1);
    gateway_pair_close(&pair);
}

static const char *identity_words(void)
{
    static struct status_explanation e;

    CHECK(gateway_explain(pair.nodes[0].gateway, "osaka", pair.now_ms, &e));
    return e.checks[REASON_CHECK_IDENTITY].sentence;
}

TEST(nobody_proves_anything_and_that_is_told)
{
    start(1, "unauthenticated", "unauthenticated\nstart wait");
    CHECK(gateway_pair_up(&pair, 5000));
    CHECK(gateway_pair_passes(&pair, 0) && gateway_pair_passes(&pair, 1));
    for (unsigned i = 0; i < 2; i++) {
        CHECK(gateway_pair_site(&pair, i).ike.unauthenticated);
        CHECK_TEXT(gateway_pair_site(&pair, i).ike.peer_identity, "nobody");
        CHECK_EQUAL(pair.nodes[i].secrets_read, 0);
    }
    CHECK(strstr(identity_words(), "nobody proved anything") != NULL);
    close_both();
}

TEST(both_may_call_and_one_ike_sa_stays)
{
    start(2, "unauthenticated", "unauthenticated");
    CHECK(gateway_pair_up(&pair, 5000));
    gateway_pair_run(&pair, 60000);
    CHECK(gateway_pair_passes(&pair, 0) && gateway_pair_passes(&pair, 1));
    CHECK_EQUAL(gateway_pair_site(&pair, 0).ike_count, 1);
    close_both();
}

TEST(a_ppk_is_a_proof)
{
    start(3, "unauthenticated\nppk @ppk", "unauthenticated\nppk @ppk\nstart wait");
    CHECK(gateway_pair_up(&pair, 5000));
    CHECK(gateway_pair_passes(&pair, 0) && gateway_pair_passes(&pair, 1));
    CHECK(!gateway_pair_site(&pair, 0).ike.unauthenticated);
    CHECK_TEXT(gateway_pair_site(&pair, 0).ike.peer_identity, "osaka.example.jp");
    close_both();
}

TEST(who_has_a_key_lets_nobody_in_without)
{
    for (unsigned i = 0; i < 2; i++) {
        start(4 + i, i == 0 ? "unauthenticated" : "key @k",
              i == 0 ? "key @k\nstart wait" : "unauthenticated\nstart wait");
        gateway_pair_run(&pair, 20000);
        CHECK_EQUAL(gateway_pair_site(&pair, 0).state, STATUS_DOWN);
        CHECK(gateway_pair_site(&pair, 1).state != STATUS_UP);
        close_both();
    }
}

TEST(nobody_else_comes_in_by_the_site_of_an_address)
{
    start(6, "unauthenticated", "unauthenticated\nstart wait");
    /* It calls from elsewhere, though it says the same. */
    pair.nodes[0].nat_outer = pair.nodes[0].outer;
    pair.nodes[0].nat_outer.bytes[3] = 77;
    pair.nodes[0].nat_base = 10000;
    gateway_pair_run(&pair, 20000);
    CHECK(gateway_pair_site(&pair, 0).state != STATUS_UP);
    CHECK_EQUAL(pair.nodes[1].gateway->answered_ok, 0);
    close_both();
}

TEST(it_comes_and_goes_with_the_configuration)
{
    start(7, "key @k", "key @k\nstart wait");
    CHECK(gateway_pair_up(&pair, 5000));
    write(1, "unauthenticated\nstart wait");
    gateway_pair_reload(&pair, 1);
    write(0, "unauthenticated");
    gateway_pair_reload(&pair, 0);
    gateway_pair_run(&pair, 70000);
    CHECK(gateway_pair_up(&pair, 70000));
    CHECK(gateway_pair_site(&pair, 0).ike.unauthenticated);
    write(0, "key @k");
    write(1, "key @k\nstart wait");
    gateway_pair_reload(&pair, 1);
    gateway_pair_reload(&pair, 0);
    gateway_pair_run(&pair, 70000);
    CHECK(gateway_pair_up(&pair, 70000));
    CHECK(!gateway_pair_site(&pair, 0).ike.unauthenticated);
    close_both();
}
