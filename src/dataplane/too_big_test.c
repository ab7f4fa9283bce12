/* Messages of the network about packets that were too big: only those about packets of ours change
 * anything. */
#include "dataplane/testbed.h"

#include <string.h>

#include "tests/support/test.h"

#define CLEAR_BYTES 1300

static struct testbed t;
static struct packet sent; /* the last one, as it left */
static uint8_t sent_bytes[2048];

static const struct tunnel tunnels[] = {
    {{.encryption = ENCRYPTION_AES_GCM_16, .key_bits = 128}, FAMILY_IPV4, .encapsulated = false},
    {{.encryption = ENCRYPTION_AES_GCM_16, .key_bits = 128}, FAMILY_IPV4, .encapsulated = true},
    {{.encryption = ENCRYPTION_CHACHA20_POLY1305, .esn = true}, FAMILY_IPV6, .encapsulated = false},
    {{.encryption = ENCRYPTION_CHACHA20_POLY1305, .esn = true}, FAMILY_IPV6, .encapsulated = true},
};

static void send_packet(void)
{
    uint8_t clear[2048];
    struct packet packet = {.buffer = clear, .capacity = sizeof(clear)};

    testbed_fill(&t, &packet, true, FAMILY_IPV4, CLEAR_BYTES, true);
    CHECK(testbed_outbound(&t, &t.a, (struct slice){clear, CLEAR_BYTES}));
    CHECK_EQUAL(t.a.out.to_wire_count, 1);
    sent = *t.a.out.to_wire[0];
    memcpy(sent_bytes, packet_data(&sent), sent.length);
    testbed_give(&t.a);
}

static void open_with(const struct tunnel *tunnel)
{
    testbed_open(&t, 1);
    CHECK(testbed_join(&t, tunnel));
    for (int i = 0; i < 3; i++) {
        send_packet();
    }
}

/* What is said of the last packet, when that is quoted without its outer headers. */
static struct dataplane_quote quote_sent(void)
{
    return (struct dataplane_quote){.local = sent.local,
                                    .peer = sent.peer,
                                    .protocol = sent.outer_protocol,
                                    .bytes = {sent_bytes, sent.length}};
}

static uint16_t outer_mtu(void)
{
    struct sa_counters c;

    CHECK(dataplane_sa_counters(t.a.dp, t.a.spi_in, &c));
    return c.outer_mtu;
}

static void check_refused(const struct dataplane_quote *quote, uint32_t mtu, enum too_big why)
{
    uint64_t before = dataplane_too_big_count(t.a.dp, why);

    CHECK_EQUAL(dataplane_too_big(t.a.dp, quote, mtu, t.now_ms), why);
    CHECK_EQUAL(dataplane_too_big_count(t.a.dp, why), before + 1);
    CHECK_EQUAL(outer_mtu(), 1500);
    CHECK_EQUAL(t.a.dp->path_mtu_count, 0);
}

TEST(a_message_about_a_packet_of_ours_is_believed)
{
    for (size_t i = 0; i < ARRAY_LENGTH(tunnels); i++) {
        open_with(&tunnels[i]);
        struct dataplane_quote quote = quote_sent();

        /* RFC 792: eight octets of what was sent are quoted at least. */
        quote.bytes.length = 8;
        CHECK_EQUAL(dataplane_too_big(t.a.dp, &quote, 1400, t.now_ms), TOO_BIG_BELIEVED);
        CHECK_EQUAL(outer_mtu(), 1400);
        CHECK_EQUAL(dataplane_too_big_count(t.a.dp, TOO_BIG_BELIEVED), 1);
        testbed_close(&t);
    }
}

TEST(our_address_may_be_unknown_but_not_wrong)
{
    open_with(&tunnels[1]);
    struct dataplane_quote quote = quote_sent();

    quote.local.address = address_ipv4(0xc0000209);
    check_refused(&quote, 1400, TOO_BIG_NOT_OURS);
    quote.local.address = (struct address){0};
    CHECK_EQUAL(dataplane_too_big(t.a.dp, &quote, 1400, t.now_ms), TOO_BIG_BELIEVED);
    CHECK_EQUAL(outer_mtu(), 1400);
    testbed_close(&t);
}

TEST(a_forged_message_changes_nothing)
{
    for (size_t i = 0; i < ARRAY_LENGTH(tunnels); i++) {
        open_with(&tunnels[i]);
        struct dataplane_quote quote = quote_sent();
        const struct dataplane_quote real = quote;

        for (size_t length = 0; length < 8; length++) {
            quote.bytes.length = length;
            check_refused(&quote, 1400, TOO_BIG_NOT_OURS);
        }
        quote = real;
        for (size_t bit = 0; bit < 32; bit++) {
            sent_bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
            check_refused(&quote, 1400, TOO_BIG_NOT_OURS);
            sent_bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        quote.peer.address.bytes[3] ^= 1;
        check_refused(&quote, 1400, TOO_BIG_NOT_OURS);
        quote = real;
        quote.protocol = real.protocol == IP_PROTOCOL_UDP ? IP_PROTOCOL_ESP : IP_PROTOCOL_UDP;
        check_refused(&quote, 1400, TOO_BIG_NOT_OURS);
        quote.protocol = IP_PROTOCOL_AH;
        check_refused(&quote, 1400, TOO_BIG_NOT_OURS);
        quote.protocol = IP_PROTOCOL_TCP;
        check_refused(&quote, 1400, TOO_BIG_NOT_OURS);
        testbed_close(&t);
    }
}

TEST(ports_of_another_flow_are_not_ours)
{
    open_with(&tunnels[1]);
    struct dataplane_quote quote = quote_sent();

    quote.peer.port++;
    check_refused(&quote, 1400, TOO_BIG_NOT_OURS);
    quote = quote_sent();
    quote.local.port = 500;
    check_refused(&quote, 1400, TOO_BIG_NOT_OURS);
    testbed_close(&t);
}

TEST(ike_is_believed_only_when_somebody_recognised_it)
{
    static const uint8_t marked[36] = {0};

    open_with(&tunnels[1]);
    struct dataplane_quote quote = quote_sent();

    quote.bytes = SLICE_OF(marked);
    quote.total_bytes = 1500;
    check_refused(&quote, 1400, TOO_BIG_NOT_OURS);
    quote.is_known = true;
    quote.total_bytes = 400; /* it would have passed */
    check_refused(&quote, 1400, TOO_BIG_NOT_POSSIBLE);
    quote.total_bytes = 1500;
    CHECK_EQUAL(dataplane_too_big(t.a.dp, &quote, 1400, t.now_ms), TOO_BIG_BELIEVED);
    CHECK_EQUAL(outer_mtu(), 1400);
    testbed_close(&t);
}

TEST(numbers_that_were_not_sent_lately_are_refused)
{
    static const struct {
        uint64_t last;
        uint32_t quoted;
        bool good;
    } cases[] = {
        {3, 3, true},
        {3, 1, true},
        {3, 0, false},
        {3, 4, false},
        {3, UINT32_MAX, false},
        {0x50000, 0x50000, true},
        {0x50000, 0x10001, true},
        {0x50000, 0x10000, false},
        {0x50000, 0x50001, false},
        /* Extended numbers show their low half. */
        {0x100000001, 1, true},
        {0x100000001, 0, true},
        {0x100000001, UINT32_MAX, true},
        {0x100000001, 2, false},
        {0x100000001, 0x80000000, false},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        open_with(&tunnels[3]);
        struct dataplane_quote quote = quote_sent();

        sad_set_sequence(t.a.dp, t.a.spi_in, cases[i].last + 1, 1);
        put_u32(sent_bytes + 4, cases[i].quoted);
        if (cases[i].good) {
            CHECK_EQUAL(dataplane_too_big(t.a.dp, &quote, 1300, t.now_ms), TOO_BIG_BELIEVED);
        } else {
            check_refused(&quote, 1300, TOO_BIG_NOT_OURS);
        }
        testbed_close(&t);
    }
}

TEST(mtus_that_no_path_has_are_refused)
{
    for (size_t i = 0; i < ARRAY_LENGTH(tunnels); i++) {
        bool ipv4 = tunnels[i].outer_family == FAMILY_IPV4;

        open_with(&tunnels[i]);
        struct dataplane_quote quote = quote_sent();

        check_refused(&quote, ipv4 ? 575 : 1279, TOO_BIG_NOT_POSSIBLE);
        check_refused(&quote, 1, TOO_BIG_NOT_POSSIBLE);
        check_refused(&quote, 1500, TOO_BIG_KNOWN);
        check_refused(&quote, UINT32_MAX, TOO_BIG_KNOWN);
        quote.total_bytes = 1350;
        check_refused(&quote, 1350, TOO_BIG_NOT_POSSIBLE);
        CHECK_EQUAL(dataplane_too_big(t.a.dp, &quote, ipv4 ? 576 : 1280, t.now_ms),
                    TOO_BIG_BELIEVED);
        testbed_close(&t);
    }
}

TEST(a_router_that_does_not_tell_its_mtu_has_one_that_links_have)
{
    open_with(&tunnels[0]);
    struct dataplane_quote quote = quote_sent();

    CHECK_EQUAL(dataplane_too_big(t.a.dp, &quote, 0, t.now_ms), TOO_BIG_BELIEVED);
    CHECK_EQUAL(outer_mtu(), 1492);
    t.now_ms += 1000;
    quote.total_bytes = 1300;
    CHECK_EQUAL(dataplane_too_big(t.a.dp, &quote, 0, t.now_ms), TOO_BIG_BELIEVED);
    CHECK_EQUAL(outer_mtu(), 1006);
    t.now_ms += 1000;
    quote.total_bytes = 0;
    CHECK_EQUAL(dataplane_too_big(t.a.dp, &quote, 0, t.now_ms), TOO_BIG_BELIEVED);
    CHECK_EQUAL(outer_mtu(), 576);
    t.now_ms += 1000;
    CHECK_EQUAL(dataplane_too_big(t.a.dp, &quote, 0, t.now_ms), TOO_BIG_KNOWN);
    testbed_close(&t);
    /* In IPv6 there never was such a router. */
    open_with(&tunnels[2]);
    quote = quote_sent();
    check_refused(&quote, 0, TOO_BIG_NOT_POSSIBLE);
    testbed_close(&t);
}

TEST(one_change_a_second_is_enough_and_none_makes_it_larger)
{
    open_with(&tunnels[0]);
    struct dataplane_quote quote = quote_sent();

    CHECK_EQUAL(dataplane_too_big(t.a.dp, &quote, 1400, t.now_ms), TOO_BIG_BELIEVED);
    CHECK_EQUAL(dataplane_too_big(t.a.dp, &quote, 1400, t.now_ms), TOO_BIG_KNOWN);
    CHECK_EQUAL(dataplane_too_big(t.a.dp, &quote, 1450, t.now_ms), TOO_BIG_KNOWN);
    t.now_ms += 999;
    CHECK_EQUAL(dataplane_too_big(t.a.dp, &quote, 1280, t.now_ms), TOO_BIG_TOO_SOON);
    CHECK_EQUAL(outer_mtu(), 1400);
    t.now_ms += 1;
    CHECK_EQUAL(dataplane_too_big(t.a.dp, &quote, 1280, t.now_ms), TOO_BIG_BELIEVED);
    CHECK_EQUAL(outer_mtu(), 1280);
    testbed_close(&t);
}

TEST(what_was_believed_is_forgotten_after_ten_minutes)
{
    open_with(&tunnels[1]);
    struct dataplane_quote quote = quote_sent();

    CHECK_EQUAL(dataplane_too_big(t.a.dp, &quote, 1400, t.now_ms), TOO_BIG_BELIEVED);
    t.now_ms += PATH_MTU_AGE_MS - 1;
    send_packet();
    dataplane_collect(t.a.dp);
    CHECK_EQUAL(outer_mtu(), 1400);
    t.now_ms += 1;
    send_packet();
    dataplane_collect(t.a.dp);
    CHECK_EQUAL(outer_mtu(), 1500);
    testbed_close(&t);
}

TEST(an_sa_that_is_gone_believes_nothing)
{
    open_with(&tunnels[0]);
    struct dataplane_quote quote = quote_sent();

    dataplane_stop(t.a.dp, t.a.spi_in);
    dataplane_remove(t.a.dp, t.a.spi_in);
    CHECK_EQUAL(dataplane_too_big(t.a.dp, &quote, 1400, t.now_ms), TOO_BIG_NOT_OURS);
    CHECK_EQUAL(t.a.dp->path_mtu_count, 0);
    testbed_close(&t);
}

TEST(every_result_has_a_name)
{
    for (int i = 0; i < TOO_BIG_COUNT; i++) {
        CHECK(too_big_name((enum too_big)i)[0] != '\0');
    }
}
