/* What is dropped is told: kept as an example, and logged seldom. */
#include "gateway/gateway.h"

#include <string.h>

#include "base/bytes.h"
#include "tests/support/gateway_pair.h"
#include "tests/support/test.h"

static struct gateway_pair pair;

static unsigned said;

static void count_unknown(void *context, enum log_level level, const char *about, const char *line)
{
    (void)context;
    if (strncmp(line, "dropped unknown-spi: in UDP SPI ", 32) == 0) {
        CHECK_EQUAL(level, LOG_LEVEL_NOTICE);
        CHECK_TEXT(about, "drops");
        said++;
    }
}

static void inject_unknown(uint32_t spi)
{
    const struct endpoint from = {{FAMILY_IPV4, {192, 0, 2, 99}}, 4500};
    struct endpoint to = {pair.nodes[0].outer, 4500};
    uint8_t datagram[64] = {0};

    put_u32(datagram, spi);
    put_u32(datagram + 4, 7);
    gateway_pair_inject(&pair, &from, &to, (struct slice){datagram, sizeof(datagram)});
    gateway_pair_run(&pair, 50);
}

TEST(a_packet_for_a_site_that_is_down_is_told_with_the_sites_name)
{
    struct status_drop drop;
    char words[STATUS_DROP_BYTES];

    gateway_pair_open(&pair, 1);
    gateway_pair_start(&pair, 0);
    CHECK(!gateway_drop_of(pair.nodes[0].gateway, DROP_NO_SA, &drop));
    gateway_pair_offer(&pair, 0);
    gateway_pair_run(&pair, 10000);
    CHECK(gateway_drop_of(pair.nodes[0].gateway, DROP_NO_SA, &drop));
    CHECK_TEXT(drop.site, "osaka");
    CHECK(!drop.example.inbound && drop.example.has_inner);
    status_describe_drop(&drop.example, words);
    CHECK(strncmp(words, "out 10.1.", 9) == 0);
    CHECK(strstr(words, " > 10.2.") != NULL);
    gateway_pair_close(&pair);
}

TEST(what_a_stranger_sends_is_kept_once_a_second_and_logged_seldom)
{
    struct status_drop drop;
    char words[STATUS_DROP_BYTES];
    uint64_t newest = 0;

    gateway_pair_open(&pair, 2);
    gateway_pair_start(&pair, 0);
    gateway_pair_run(&pair, 100);
    pair.nodes[0].log.write = count_unknown;
    said = 0;
    for (uint32_t i = 0; i < 400; i++) {
        inject_unknown(0x77000000 + i);
    }
    /* Twenty seconds and more: one line in a minute. */
    CHECK_EQUAL(said, 1);
    CHECK(gateway_drop_at(pair.nodes[0].gateway, 0, &drop));
    CHECK_EQUAL(drop.example.reason, DROP_UNKNOWN_SPI);
    CHECK_TEXT(drop.site, "");
    newest = drop.number;
    CHECK(newest >= 15 && newest <= 30);
    CHECK_EQUAL(drop.example.sequence, 7);
    status_describe_drop(&drop.example, words);
    CHECK(strncmp(words, "in UDP SPI 770001", 17) == 0);
    CHECK(strstr(words, " sequence 7 from 192.0.2.99:4500 to 203.0.113.1:4500") != NULL);
    CHECK_EQUAL(gateway_pair_dropped(&pair, 0, DROP_UNKNOWN_SPI), 400);
    gateway_pair_close(&pair);
}

TEST(no_more_than_the_newest_examples_are_kept)
{
    struct status_drop drop;
    size_t count = 0;

    gateway_pair_open(&pair, 3);
    gateway_pair_start(&pair, 0);
    for (uint32_t i = 0; i < 100; i++) {
        inject_unknown(0x77000000 + i);
        gateway_pair_run(&pair, 1000);
    }
    uint64_t before = UINT64_MAX;
    while (gateway_drop_at(pair.nodes[0].gateway, count, &drop)) {
        CHECK(drop.number < before);
        before = drop.number;
        count++;
    }
    CHECK_EQUAL(count, 64);
    gateway_pair_close(&pair);
}

TEST(a_keepalive_is_counted_and_not_told)
{
    const struct endpoint from = {{FAMILY_IPV4, {192, 0, 2, 99}}, 4500};
    struct status_drop drop;
    const uint8_t keepalive = 0xff;

    gateway_pair_open(&pair, 4);
    gateway_pair_start(&pair, 0);
    struct endpoint to = {pair.nodes[0].outer, 4500};
    gateway_pair_inject(&pair, &from, &to, (struct slice){&keepalive, 1});
    gateway_pair_run(&pair, 100);
    CHECK_EQUAL(gateway_pair_dropped(&pair, 0, DROP_KEEPALIVE), 1);
    CHECK(!gateway_drop_of(pair.nodes[0].gateway, DROP_KEEPALIVE, &drop));
    gateway_pair_close(&pair);
}
