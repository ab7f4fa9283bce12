/* What Quick Mode agrees on, in two whole gateways with their data planes. */
#include <stdio.h>
#include <string.h>

#include "tests/support/gateway_pair.h"
#include "tests/support/test.h"

static struct gateway_pair pair;

static void start(uint64_t seed, const char *extra_0, const char *extra_1)
{
    gateway_pair_open(&pair, seed);
    gateway_pair_write_config(&pair, 0, extra_0);
    gateway_pair_write_config(&pair, 1, extra_1);
    gateway_pair_start(&pair, 0);
    gateway_pair_start(&pair, 1);
}

static struct status_child child_of(unsigned node)
{
    struct status_child child;

    CHECK(gateway_child_at(pair.nodes[node].gateway, 0, 0, &child));
    return child;
}

/* What leaves is of this protocol alone. */
struct outside {
    uint8_t protocol;
    unsigned good, others;
};

static bool watch(void *context, const struct gateway_pair_datagram *d)
{
    struct outside *seen = context;

    if (d->protocol != 17) {
        seen->good += d->protocol == seen->protocol ? 1 : 0;
        seen->others += d->protocol != seen->protocol ? 1 : 0;
    }
    return false;
}

static void check_both_ways(uint8_t protocol)
{
    struct outside seen = {.protocol = protocol};

    pair.lose = watch;
    pair.context = &seen;
    for (unsigned i = 0; i < 2; i++) {
        CHECK(gateway_pair_passes(&pair, i));
        CHECK(gateway_pair_doors_add_up(&pair, i));
    }
    CHECK(seen.good >= 2 && seen.others == 0);
    pair.lose = NULL;
}

TEST(ah_around_esp_carries_data_and_is_shown)
{
    start(821, "ike v1\n  ah sha256\n  esp aes128-sha256",
          "ike v1\n  start wait\n  ah sha512 sha256\n  esp aes256-sha512 aes128-sha256");
    CHECK(gateway_pair_up(&pair, 5000));
    check_both_ways(51);
    struct status_child left = child_of(0);
    struct status_child right = child_of(1);

    CHECK_EQUAL(left.protocol, STATUS_AH_AND_ESP);
    CHECK_TEXT(left.suite, "AH with HMAC-SHA2-256 around AES-128-CBC, HMAC-SHA2-256, X25519");
    CHECK(left.outer_spi_in != 0 && left.outer_spi_in == right.outer_spi_out);
    CHECK_EQUAL(left.origin, STATUS_ORIGIN_IKEV1);
    CHECK(left.overhead.ah > 0 && left.overhead.esp > 0);
    CHECK(left.counters.out_packets > 0 && left.counters.in_packets > 0);
    gateway_pair_close(&pair);
}

TEST(both_together_are_renewed_and_nothing_is_lost_or_left)
{
    start(822, "ike v1\n  ah sha256\n  esp aes128-sha256\n  lifetime child 3m",
          "ike v1\n  start wait\n  ah sha256\n  esp aes128-sha256");
    size_t without = dataplane_memory_bytes(pair.nodes[1].dataplane);

    CHECK(gateway_pair_up(&pair, 5000));
    size_t memory = dataplane_memory_bytes(pair.nodes[0].dataplane);
    uint64_t lost = 0;

    for (unsigned minute = 0; minute < 30; minute++) {
        lost += !gateway_pair_passes(&pair, 0);
        lost += !gateway_pair_passes(&pair, 1);
        gateway_pair_run(&pair, 60000);
    }
    CHECK_EQUAL(lost, 0);
    CHECK(gateway_pair_site(&pair, 0).rekeys >= 5);
    /* At most one that was replaced is left with its two SAs. */
    CHECK(dataplane_memory_bytes(pair.nodes[0].dataplane) <= 3 * memory);
    gateway_pair_stop(&pair, 0);
    gateway_pair_run(&pair, 1000);
    CHECK_EQUAL(dataplane_memory_bytes(pair.nodes[1].dataplane), without);
    gateway_pair_close(&pair);
}

TEST(what_is_compressed_is_so_on_both_sides)
{
    static const struct {
        const char *words;
        uint8_t outside;
    } all[] = {
        {"compress on", 50},
        {"ah sha256\n  compress on", 51},
        {"ah sha256\n  esp aes128-sha256\n  compress on", 51},
        {"mode transport\n  only udp 1701\n  compress on", 50},
    };

    for (size_t i = 0; i < 3; i++) {
        char words[128];

        (void)snprintf(words, sizeof(words), "ike v1\n  %s", all[i].words);
        start(830 + i, words, words);
        CHECK(gateway_pair_up(&pair, 5000));
        check_both_ways(all[i].outside);
        CHECK(child_of(0).compress && child_of(1).compress);
        gateway_pair_close(&pair);
    }
}

TEST(one_that_does_not_compress_is_lived_with)
{
    start(840, "ike v1\n  compress on", "ike v1\n  start wait");
    CHECK(gateway_pair_up(&pair, 5000));
    check_both_ways(50);
    CHECK(!child_of(0).compress && !child_of(1).compress);
    gateway_pair_close(&pair);
}

TEST(a_peer_that_wants_less_octets_gets_new_keys_in_time)
{
    /* The less is said by who answers, in RESPONDER-LIFETIME, or in the proposal. */
    for (unsigned less = 0; less < 2; less++) {
        start(841, less == 0 ? "ike v1\n  lifetime bytes 1MiB" : "ike v1",
              less == 1 ? "ike v1\n  start wait\n  lifetime bytes 1MiB" : "ike v1\n  start wait");
        CHECK(gateway_pair_up(&pair, 5000));
        uint64_t most = 0;
        unsigned lost = 0;

        for (unsigned i = 0; i < 3000 && gateway_pair_site(&pair, 0).rekeys < 2; i++) {
            for (unsigned k = 0; k < 32; k++) {
                gateway_pair_offer(&pair, 1 - less);
            }
            gateway_pair_run(&pair, 50);
            lost += !gateway_pair_passes(&pair, 1 - less);
            uint64_t sent = child_of(1 - less).counters.out_bytes;

            most = sent > most ? sent : most;
        }
        CHECK_EQUAL(lost, 0);
        CHECK(most > 800 * 1024 && most <= 1024 * 1024);
        CHECK(gateway_pair_site(&pair, 0).rekeys >= 2);
        gateway_pair_close(&pair);
    }
}

TEST(with_pfs_prefer_a_peer_that_refuses_it_is_reached_without)
{
    start(842, "ike v1\n  pfs prefer\n  esp aes128-sha256-modp1024\n  legacy modp1024",
          "ike v1\n  start wait\n  pfs off");
    CHECK(gateway_pair_up(&pair, 5000));
    check_both_ways(50);
    gateway_pair_close(&pair);
}

TEST(a_short_check_value_is_for_both_sides_or_none)
{
    static const char *const versions[] = {"ike v1\n  ", ""};

    for (size_t i = 0; i < ARRAY_LENGTH(versions); i++) {
        char words[128];

        (void)snprintf(words, sizeof(words), "%sesp aes128-sha256\n  truncate sha2-96",
                       versions[i]);
        start(850 + i, words, words);
        CHECK(gateway_pair_up(&pair, 5000));
        CHECK(gateway_pair_passes(&pair, 0) && gateway_pair_passes(&pair, 1));
        CHECK(strstr(child_of(0).suite, "HMAC-SHA2-256-96") != NULL);
        gateway_pair_close(&pair);
    }
    start(852, "ike v1\n  esp aes128-sha256\n  truncate sha2-96",
          "ike v1\n  esp aes128-sha256\n  start wait");
    CHECK(gateway_pair_up(&pair, 5000));
    CHECK(!gateway_pair_passes(&pair, 0) && !gateway_pair_passes(&pair, 1));
    /* What is left for the cipher is no whole number of its blocks. */
    CHECK(gateway_pair_dropped(&pair, 1, DROP_MALFORMED_OUTER) > 0);
    /* Written on the other side as well, the tunnel is made anew. */
    gateway_pair_write_config(&pair, 1,
                              "ike v1\n  esp aes128-sha256\n  start wait\n  truncate sha2-96");
    gateway_pair_reload(&pair, 1);
    gateway_pair_run(&pair, 30000);
    CHECK(gateway_pair_passes(&pair, 0) && gateway_pair_passes(&pair, 1));
    gateway_pair_close(&pair);
}
