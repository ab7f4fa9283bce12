/* Two whole gateways: what is remembered of their negotiations. */
#include <stdio.h>
#include <string.h>

#include "tests/support/gateway_pair.h"
#include "tests/support/test.h"

static struct gateway_pair pair;

static void open_with(uint64_t seed, const char *extra_0, const char *extra_1)
{
    gateway_pair_open(&pair, seed);
    gateway_pair_write_config(&pair, 0, extra_0);
    gateway_pair_write_config(&pair, 1, extra_1);
    gateway_pair_start(&pair, 0);
    gateway_pair_start(&pair, 1);
}

/* The newest of a kind; what is not there is no good one. */
static struct status_negotiation newest(unsigned node, enum status_negotiation_kind kind)
{
    struct status_negotiation n;

    for (size_t i = 0; gateway_negotiation_at(pair.nodes[node].gateway, NULL, i, &n); i++) {
        if (n.kind == kind) {
            return n;
        }
    }
    fail_msg("no %s", status_negotiation_name(kind));
    return n;
}

TEST(what_was_agreed_is_remembered_on_both_sides)
{
    char why[100];

    open_with(801, "", "start wait");
    CHECK(gateway_pair_up(&pair, 5000));
    for (unsigned i = 0; i < 2; i++) {
        struct status_negotiation n = newest(i, STATUS_NEGOTIATION_CONNECT);

        CHECK(n.good);
        CHECK_EQUAL(n.initiator, i == 0);
        CHECK_TEXT(n.site, i == 0 ? "osaka" : "tokyo");
        /* All that the keys depend on. */
        CHECK(strstr(n.words, "AES-256-GCM, X25519 + ML-KEM-768;") != NULL);
        CHECK(strstr(n.words, i == 0 ? "osaka.example.jp" : "tokyo.example.jp") != NULL);
        CHECK_TEXT(n.looks_like, "Sekisho");
        CHECK(n.began_ms < n.at_ms);
        n = newest(i, STATUS_NEGOTIATION_CHILD);
        CHECK(strstr(n.words, "10.1.0.0/16") != NULL && strstr(n.words, "10.2.0.0/16") != NULL);
    }
    CHECK(gateway_rekey(pair.nodes[0].gateway, "osaka", true, pair.now_ms, why, sizeof(why)));
    CHECK(gateway_rekey(pair.nodes[0].gateway, "osaka", false, pair.now_ms, why, sizeof(why)));
    gateway_pair_run(&pair, 10000);
    for (unsigned i = 0; i < 2; i++) {
        struct status_negotiation n = newest(i, STATUS_NEGOTIATION_REKEY_IKE);

        CHECK(n.good);
        CHECK_TEXT(n.words, "AES-256-GCM, X25519 + ML-KEM-768");
        CHECK(newest(i, STATUS_NEGOTIATION_REKEY_CHILD).good);
    }
    CHECK(gateway_down(pair.nodes[0].gateway, "osaka", pair.now_ms, why, sizeof(why)));
    gateway_pair_run(&pair, 1000);
    CHECK(newest(0, STATUS_NEGOTIATION_CLOSE).good);
    CHECK_EQUAL(newest(1, STATUS_NEGOTIATION_CLOSE).reason, REASON_PEER_DELETED);
    gateway_pair_close(&pair);
}

TEST(what_failed_is_remembered_with_its_reason)
{
    open_with(802, "ike aes256gcm16-sha384-ecp384", "ike aes128-sha256-x25519\n  start wait");
    gateway_pair_run(&pair, 3000);
    struct status_negotiation n = newest(0, STATUS_NEGOTIATION_CONNECT);

    CHECK(!n.good);
    CHECK_EQUAL(n.reason, REASON_NO_PROPOSAL);
    CHECK_TEXT(n.site, "osaka");
    n = newest(1, STATUS_NEGOTIATION_CONNECT);
    CHECK(!n.good && !n.initiator);
    CHECK(strstr(n.words, "aes256gcm16") != NULL && strstr(n.words, "aes128-sha256") != NULL);
    gateway_pair_close(&pair);
}

TEST(no_more_than_a_thousand_are_kept_and_the_oldest_go)
{
    struct status_negotiation n;
    char why[100];

    open_with(803, "", "start wait");
    CHECK(gateway_pair_up(&pair, 5000));
    for (unsigned i = 0; i < 1100; i++) {
        CHECK(gateway_rekey(pair.nodes[0].gateway, "osaka", false, pair.now_ms, why, sizeof(why)));
        gateway_pair_run(&pair, 200);
    }
    CHECK(gateway_negotiation_at(pair.nodes[0].gateway, "osaka", 999, &n));
    uint64_t oldest = n.number;
    CHECK(!gateway_negotiation_at(pair.nodes[0].gateway, "osaka", 1000, &n));
    CHECK(gateway_negotiation_at(pair.nodes[0].gateway, "osaka", 0, &n));
    CHECK_EQUAL(n.number, oldest + 999);
    CHECK(!gateway_negotiation_at(pair.nodes[0].gateway, "nara", 0, &n));
    gateway_pair_close(&pair);
}
