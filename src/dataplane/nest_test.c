/* The long road: transport mode, AH, and SAs around each other, between two gateways. */
#include "dataplane/testbed.h"

#include <stdlib.h>
#include <string.h>

#include "wire/icmp_error.h"
#include "wire/ip_place.h"
#include "wire/ipv6_cut.h"
#include "wire/udp.h"

#include "tests/support/test.h"

#define LAYERS_MAX 4
#define CLEAR_BYTES_MAX 9000
#define KEY_BYTES 128

struct layer {
    uint8_t protocol;
    bool transport;
    struct suite suite;
};

/* From the inside out. */
struct bundle {
    const char *name;
    size_t count;
    struct layer layers[LAYERS_MAX];
    bool encapsulated;
    bool a_aligns_to_64; /* AH of one side in IPv4: the other sends it in pieces of 32 bits */
};

#define GCM                                                                                        \
    {                                                                                              \
        .encryption = ENCRYPTION_AES_GCM_16, .key_bits = 128                                       \
    }
#define CBC                                                                                        \
    {                                                                                              \
        .encryption = ENCRYPTION_AES_CBC, .key_bits = 256, .integrity = INTEGRITY_HMAC_SHA1_96     \
    }
#define SHA256                                                                                     \
    {                                                                                              \
        .integrity = INTEGRITY_HMAC_SHA2_256_128                                                   \
    }
#define SHA512_ESN                                                                                 \
    {                                                                                              \
        .integrity = INTEGRITY_HMAC_SHA2_512_256, .esn = true                                      \
    }
#define MD5                                                                                        \
    {                                                                                              \
        .integrity = INTEGRITY_HMAC_MD5_96                                                         \
    }

static const struct bundle bundles[] = {
    {"ESP transport", 1, {{IP_PROTOCOL_ESP, true, GCM}}, false},
    {"ESP transport, CBC", 1, {{IP_PROTOCOL_ESP, true, CBC}}, false},
    {"ESP transport in UDP", 1, {{IP_PROTOCOL_ESP, true, GCM}}, true},
    {"AH transport", 1, {{IP_PROTOCOL_AH, true, SHA256}}, false},
    {"AH transport, ESN", 1, {{IP_PROTOCOL_AH, true, SHA512_ESN}}, false},
    {"AH tunnel", 1, {{IP_PROTOCOL_AH, false, MD5}}, false},
    {"AH around ESP, both transport",
     2,
     {{IP_PROTOCOL_ESP, true, CBC}, {IP_PROTOCOL_AH, true, SHA256}},
     false},
    {"AH transport around an ESP tunnel",
     2,
     {{IP_PROTOCOL_ESP, false, GCM}, {IP_PROTOCOL_AH, true, SHA256}},
     false},
    {"AH tunnel around an ESP tunnel",
     2,
     {{IP_PROTOCOL_ESP, false, CBC}, {IP_PROTOCOL_AH, false, SHA512_ESN}},
     false},
    {"ESP tunnel around AH transport",
     2,
     {{IP_PROTOCOL_AH, true, MD5}, {IP_PROTOCOL_ESP, false, GCM}},
     false},
    {"three tunnels",
     3,
     {{IP_PROTOCOL_ESP, false, GCM}, {IP_PROTOCOL_AH, false, MD5}, {IP_PROTOCOL_ESP, false, CBC}},
     false},
    {"a tunnel and two more around it",
     3,
     {{IP_PROTOCOL_ESP, false, GCM}, {IP_PROTOCOL_ESP, true, CBC}, {IP_PROTOCOL_AH, true, SHA256}},
     false},
    {"AH transport, one side with 64 bits", 1, {{IP_PROTOCOL_AH, true, SHA256}}, false, true},
    {"AH tunnel, one side with 64 bits", 1, {{IP_PROTOCOL_AH, false, SHA512_ESN}}, false, true},
    {"AH around ESP, one side with 64 bits",
     2,
     {{IP_PROTOCOL_ESP, false, GCM}, {IP_PROTOCOL_AH, true, SHA256}},
     false,
     true},
};

static const struct address hosts[2][2] = {
    {{FAMILY_IPV4, {192, 0, 2, 1}},
     {FAMILY_IPV6, {0x20, 0x01, 0x0d, 0xb8, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}}},
    {{FAMILY_IPV4, {198, 51, 100, 2}},
     {FAMILY_IPV6, {0x20, 0x01, 0x0d, 0xb8, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2}}},
};

static bool is_host_to_host(const struct bundle *b)
{
    return b->layers[0].transport;
}

static struct selector host_selector(size_t side, size_t family)
{
    return (struct selector){{hosts[side][family], hosts[side][family]}, 0, 0, UINT16_MAX};
}

/* Selectors and the policy of host to host, or those of the networks as they are. */
static void set_hosts(struct gateway *g, size_t side, size_t family, struct selector out[2])
{
    out[0] = host_selector(side, family);
    out[1] = host_selector(1 - side, family);
    struct policy policy = {.id = 1,
                            .verdict = POLICY_PROTECT,
                            .local = &out[0],
                            .local_count = 1,
                            .remote = &out[1],
                            .remote_count = 1};

    CHECK(dataplane_set_policies(g->dp, &policy, 1));
}

static void install(struct testbed *t, const struct bundle *b, size_t family)
{
    struct selector selectors[2][2];
    uint32_t spis[2][LAYERS_MAX];

    for (size_t side = 0; side < 2 && is_host_to_host(b); side++) {
        set_hosts(side == 0 ? &t->a : &t->b, side, family, selectors[side]);
    }
    for (size_t i = 0; i < b->count; i++) {
        spis[0][i] = dataplane_reserve_spi(t->a.dp);
        spis[1][i] = 0x10000 + (uint32_t)i * 7;
        CHECK(dataplane_reserve_exact(t->b.dp, spis[1][i]));
    }
    for (size_t i = 0; i < b->count; i++) {
        const struct layer *layer = &b->layers[i];
        uint8_t keys[2][KEY_BYTES];
        size_t length = suite_integrity_key_bytes(&layer->suite);

        if (layer->protocol == IP_PROTOCOL_ESP) {
            length += suite_encryption_key_bytes(&layer->suite);
        }
        random_fill(&t->random, keys[0], KEY_BYTES);
        random_fill(&t->random, keys[1], KEY_BYTES);
        for (size_t side = 0; side < 2; side++) {
            struct tunnel tunnel = {.suite = layer->suite,
                                    .outer_family = (uint8_t)(family == 0 ? 4 : 6),
                                    .encapsulated = b->encapsulated};
            struct child_sa child;

            testbed_child(&tunnel, side == 0, &child);
            child.spi_in = spis[side][i];
            child.spi_out = spis[1 - side][i];
            child.protocol = layer->protocol;
            child.transport_mode = layer->transport;
            child.ah_align_64 = b->a_aligns_to_64 && side == 0;
            child.inside_spi_in = i == 0 ? 0 : spis[side][i - 1];
            child.waits_for_outer = i + 1 < b->count;
            child.key_in = (struct slice){keys[side], length};
            child.key_out = (struct slice){keys[1 - side], length};
            if (is_host_to_host(b)) {
                child.local_selectors = &selectors[side][0];
                child.local_count = 1;
                child.remote_selectors = &selectors[side][1];
                child.remote_count = 1;
            }
            CHECK(dataplane_install(side == 0 ? t->a.dp : t->b.dp, &child));
        }
    }
    t->a.spi_in = spis[0][0];
    t->b.spi_in = spis[1][0];
    dataplane_use(t->a.dp, t->a.spi_in);
    dataplane_use(t->b.dp, t->b.spi_in);
}

/* A clear packet from one to the other, `total` octets long. */
static size_t make_clear(struct testbed *t, const struct bundle *b, bool from_a, size_t family,
                         uint32_t total, bool dont_fragment, uint8_t *out)
{
    struct packet packet = {.buffer = out, .capacity = CLEAR_BYTES_MAX};

    testbed_fill(t, &packet, from_a, family == 0 ? FAMILY_IPV4 : FAMILY_IPV6, total, dont_fragment);
    if (is_host_to_host(b)) {
        size_t bytes = family == 0 ? 4 : 16;
        size_t at = family == 0 ? 12 : 8;

        memcpy(out + at, hosts[from_a ? 0 : 1][family].bytes, bytes);
        memcpy(out + at + bytes, hosts[from_a ? 1 : 0][family].bytes, bytes);
        if (family == 0) {
            put_u16(out + 10, 0);
            put_u16(out + 10, checksum_finish(checksum_add(0, (struct slice){out, 20})));
        }
    }
    return packet.length;
}

/* As the system of the receiver puts fragments together: the first of the output becomes whole. */
static void reassemble_outside(struct gateway *g)
{
    struct dataplane_output *out = &g->out;
    struct packet *whole = out->to_wire[0];
    struct ip_head head;

    if (out->to_wire_count < 2 || !whole->has_outer_head) {
        return;
    }
    CHECK(ip_read(packet_slice(whole), &head));
    CHECK(head.more_fragments);
    for (size_t i = 1; i < out->to_wire_count; i++) {
        struct packet *piece = out->to_wire[i];
        CHECK(ip_read(packet_slice(piece), &head));
        CHECK(head.is_fragment);
        CHECK_EQUAL(head.fragment_offset, whole->length - 20);
        memcpy(packet_data(whole) + whole->length, packet_data(piece) + head.upper_offset,
               piece->length - head.upper_offset);
        whole->length += piece->length - head.upper_offset;
        dataplane_give_packet(g->worker, piece);
    }
    uint8_t *data = packet_data(whole);
    put_u16(data + 2, (uint16_t)whole->length);
    put_u16(data + 6, 0);
    put_u16(data + 10, 0);
    put_u16(data + 10, checksum_finish(checksum_add(0, (struct slice){data, 20})));
    out->to_wire_count = 1;
}

/* What may change on the way in the header of transport mode, and what in a tunnel by ECN. */
static void check_same(struct slice clear, const struct packet *arrived, bool in_udp)
{
    uint8_t was[CLEAR_BYTES_MAX];
    uint8_t is[CLEAR_BYTES_MAX];
    size_t head_bytes = clear.data[0] >> 4 == 4 ? 20 : 40;

    CHECK_EQUAL(arrived->length, clear.length);
    memcpy(was, clear.data, clear.length);
    memcpy(is, packet_data(arrived), clear.length);
    if (in_udp) {
        /* The system writes another header outside; addresses, length and protocol stay. */
        size_t at = head_bytes == 20 ? 12 : 8;
        CHECK(memcmp(was + at, is + at, head_bytes - at) == 0);
        CHECK(memcmp(was + head_bytes, is + head_bytes, clear.length - head_bytes) == 0);
        return;
    }
    CHECK(memcmp(was, is, clear.length) == 0);
}

static void send_one(struct testbed *t, const struct bundle *b, bool from_a, size_t family,
                     uint32_t total)
{
    struct gateway *from = from_a ? &t->a : &t->b;
    struct gateway *to = from_a ? &t->b : &t->a;
    uint8_t clear[CLEAR_BYTES_MAX];
    size_t length = make_clear(t, b, from_a, family, total, false, clear);

    /* No ECN marks, which have a table and a test of their own. */
    if (family == 0) {
        ipv4_set_tos(clear, clear[1] & 0xfc);
    } else {
        ipv6_set_traffic_class(clear, 0);
    }
    CHECK(testbed_outbound(t, from, (struct slice){clear, length}));
    CHECK(from->out.to_wire_count > 0);
    size_t pieces = from->out.to_wire_count;
    bool cut_outside = from->out.to_wire[0]->has_outer_head && b->layers[0].transport;
    if (cut_outside) {
        reassemble_outside(from);
    }
    testbed_carry(t, from, to);
    if (pieces == 1 || cut_outside) {
        CHECK_EQUAL(to->out.to_tun_count, 1);
        check_same((struct slice){clear, length}, to->out.to_tun[0], b->encapsulated);
    } else {
        CHECK_EQUAL(to->out.to_tun_count, pieces);
    }
    testbed_give(to);
    testbed_give(from);
}

TEST(every_bundle_carries_packets_of_all_sizes_both_ways)
{
    for (size_t i = 0; i < ARRAY_LENGTH(bundles); i++) {
        for (size_t family = 0; family < 2; family++) {
            struct sa_counters counters;
            struct testbed t;

            testbed_open(&t, 100 + i);
            install(&t, &bundles[i], family);
            CHECK(dataplane_sa_counters(t.a.dp, t.a.spi_in, &counters));
            for (uint32_t total = 48; total < 200; total++) {
                send_one(&t, &bundles[i], total % 2 == 0, family, total);
            }
            for (uint32_t total = 1180; total < 1500 && total <= counters.inner_mtu; total++) {
                send_one(&t, &bundles[i], total % 2 == 0, family, total);
            }
            for (uint32_t total = 1300; family == 0 && total < 8000; total += 333) {
                send_one(&t, &bundles[i], total % 2 == 0, family, total);
            }
            CHECK(testbed_doors_add_up(&t.a));
            CHECK(testbed_doors_add_up(&t.b));
            testbed_close(&t);
        }
    }
}

TEST(no_packet_outside_is_larger_than_the_path)
{
    for (size_t i = 0; i < ARRAY_LENGTH(bundles); i++) {
        for (size_t family = 0; family < 2; family++) {
            const struct bundle *b = &bundles[i];
            uint8_t clear[CLEAR_BYTES_MAX];
            struct sa_counters counters;
            struct testbed t;

            testbed_open(&t, 200 + i);
            install(&t, b, family);
            CHECK(dataplane_sa_counters(t.a.dp, t.a.spi_in, &counters));
            CHECK(counters.inner_mtu > 1280);
            for (uint32_t more = 0; more < 2; more++) {
                size_t length =
                    make_clear(&t, b, true, family, counters.inner_mtu + more, true, clear);
                CHECK(testbed_outbound(&t, &t.a, (struct slice){clear, length}));
                /* The largest that fits makes one packet of the path's size at most; one octet more
                 * makes an error. */
                CHECK_EQUAL(t.a.out.to_wire_count, 1 - more);
                CHECK_EQUAL(t.a.out.to_tun_count, more);
                if (more == 0) {
                    uint32_t head = t.a.out.to_wire[0]->has_outer_head ? 0 : family == 0 ? 20 : 40;
                    uint32_t udp = b->encapsulated ? 8 : 0;
                    CHECK(t.a.out.to_wire[0]->length + head + udp <= 1500);
                    CHECK(t.a.out.to_wire[0]->length + head + udp > 1500 - 32);
                }
                testbed_give(&t.a);
            }
            testbed_close(&t);
        }
    }
}

/* As routers quote what left: without the outer headers. */
static struct dataplane_quote quote_sent(const struct packet *sent)
{
    struct dataplane_quote quote = {.local = sent->local,
                                    .peer = sent->peer,
                                    .protocol = sent->outer_protocol,
                                    .bytes = packet_slice(sent)};
    struct icmp_quoted quoted;

    if (sent->has_outer_head) {
        CHECK(icmp_quoted_read(quote.bytes, &quoted));
        quote.protocol = quoted.protocol;
        quote.bytes = quoted.upper;
        quote.total_bytes = sent->length;
    }
    return quote;
}

TEST(the_path_of_every_bundle_becomes_narrower_when_its_own_packet_is_quoted)
{
    for (size_t i = 0; i < ARRAY_LENGTH(bundles); i++) {
        for (size_t family = 0; family < 2; family++) {
            const struct bundle *b = &bundles[i];
            uint8_t clear[CLEAR_BYTES_MAX];
            struct sa_counters before, after;
            struct testbed t;

            testbed_open(&t, 200 + i);
            install(&t, b, family);
            CHECK(dataplane_sa_counters(t.a.dp, t.a.spi_in, &before));
            size_t length = make_clear(&t, b, true, family, before.inner_mtu, true, clear);
            CHECK(testbed_outbound(&t, &t.a, (struct slice){clear, length}));
            CHECK_EQUAL(t.a.out.to_wire_count, 1);
            struct packet *sent = t.a.out.to_wire[0];
            struct dataplane_quote quote = quote_sent(sent);
            uint8_t head[AH_FIXED_BYTES];
            size_t sequence_offset = quote.protocol == IP_PROTOCOL_AH ? 8 : 4;

            memcpy(head, quote.bytes.data, sizeof(head));
            quote.bytes = SLICE_OF(head);
            head[sequence_offset - 1] ^= 1;
            CHECK_EQUAL(dataplane_too_big(t.a.dp, &quote, 1300, t.now_ms), TOO_BIG_NOT_OURS);
            head[sequence_offset - 1] ^= 1;
            head[sequence_offset + 3] ^= 2;
            CHECK_EQUAL(dataplane_too_big(t.a.dp, &quote, 1300, t.now_ms), TOO_BIG_NOT_OURS);
            head[sequence_offset + 3] ^= 2;
            quote.bytes.length = sequence_offset + 3;
            CHECK_EQUAL(dataplane_too_big(t.a.dp, &quote, 1300, t.now_ms), TOO_BIG_NOT_OURS);
            quote.bytes.length++;
            CHECK_EQUAL(dataplane_too_big(t.a.dp, &quote, 1300, t.now_ms), TOO_BIG_BELIEVED);
            CHECK(dataplane_sa_counters(t.a.dp, t.a.spi_in, &after));
            CHECK(after.inner_mtu >= before.inner_mtu - 200 - 16);
            CHECK(after.inner_mtu <= before.inner_mtu - 200 + 16);
            testbed_give(&t.a);
            testbed_close(&t);
        }
    }
}

TEST(every_changed_octet_of_ah_is_noticed_except_what_may_change)
{
    static const struct bundle *const b = &bundles[3];

    for (size_t family = 0; family < 2; family++) {
        uint8_t clear[CLEAR_BYTES_MAX];
        struct testbed t;

        testbed_open(&t, 7);
        install(&t, b, family);
        size_t length = make_clear(&t, b, true, family, 100, true, clear);
        for (size_t at = 0;; at++) {
            CHECK(testbed_outbound(&t, &t.a, (struct slice){clear, length}));
            struct packet *p = t.a.out.to_wire[0];
            uint8_t *data = packet_data(p);
            size_t head = family == 0 ? 20 : 40;

            if (at == p->length) {
                testbed_give(&t.a);
                break;
            }
            /* RFC 4302 3.3.3.1.1.1: TOS, flags, TTL, checksum; 3.3.3.1.2.1: class, label, hop
             * limit. Version, header length and what names AH are how it is found at all. */
            bool mutable = family == 0 ? at == 1 || at == 6 || at == 8 || at == 10 || at == 11
                                       : (at >= 1 && at <= 3) || at == 7;
            bool finds = family == 0 ? at == 0 || at == 2 || at == 3 || at == 7 || at == 9
                                     : at == 0 || (at >= 4 && at <= 6);
            if (finds) {
                testbed_give(&t.a);
                continue;
            }
            data[at] ^= at == 6 && family == 0 ? 0x40 : 0x01;
            if (family == 0 && at < head && at != 10 && at != 11) {
                put_u16(data + 10, 0);
                put_u16(data + 10, checksum_finish(checksum_add(0, (struct slice){data, 20})));
            } else if (family == 0 && (at == 10 || at == 11)) {
                testbed_give(&t.a); /* the system of the receiver drops it */
                continue;
            }
            testbed_carry(&t, &t.a, &t.b);
            CHECK_EQUAL(t.b.out.to_tun_count, mutable ? 1 : 0);
            testbed_give(&t.b);
        }
        CHECK(testbed_dropped(&t.b, DROP_FORGED) > 50);
        CHECK(testbed_doors_add_up(&t.b));
        testbed_close(&t);
    }
}

/* RFC 4302 2.6. HMAC-SHA2-256-128 has 16 octets of ICV, so AH has 28 octets or 32 in IPv4 and 32 in
 * IPv6. */
TEST(an_ah_has_the_length_that_its_sender_chose_and_no_other)
{
    static const struct bundle alone = {
        "AH transport", 1, {{IP_PROTOCOL_AH, true, SHA256}}, false, true};

    for (size_t family = 0; family < 2; family++) {
        size_t head = family == 0 ? 20 : 40;
        struct sa_counters counters;
        struct testbed t;

        testbed_open(&t, 9);
        install(&t, &alone, family);
        CHECK(dataplane_sa_counters(t.a.dp, t.a.spi_in, &counters));
        CHECK_EQUAL(counters.inner_mtu, 1500 - 32);
        CHECK(dataplane_sa_counters(t.b.dp, t.b.spi_in, &counters));
        CHECK_EQUAL(counters.inner_mtu, family == 0 ? 1500 - 28 : 1500 - 32);
        for (size_t words = 0; words < 256; words++) {
            uint8_t clear[CLEAR_BYTES_MAX];
            size_t length = make_clear(&t, &alone, true, family, 1200, true, clear);

            CHECK(testbed_outbound(&t, &t.a, (struct slice){clear, length}));
            struct packet *p = t.a.out.to_wire[0];
            CHECK_EQUAL(p->length, length + 32);
            /* RFC 4302 2.2: words of four octets, less two. */
            CHECK_EQUAL(packet_data(p)[head + 1], 6);
            packet_data(p)[head + 1] = (uint8_t)words;
            testbed_carry(&t, &t.a, &t.b);
            CHECK_EQUAL(t.b.out.to_tun_count, words == 6 ? 1 : 0);
            testbed_give(&t.b);
        }
        /* A length that could be is covered by the ICV. */
        CHECK_EQUAL(testbed_dropped(&t.b, DROP_FORGED), family == 0 ? 1 : 0);
        CHECK_EQUAL(testbed_dropped(&t.b, DROP_MALFORMED_OUTER), family == 0 ? 254 : 255);
        CHECK(testbed_doors_add_up(&t.b));
        testbed_close(&t);
    }
}

TEST(what_is_inside_a_bundle_is_not_taken_without_what_goes_around_it)
{
    static const struct bundle *const b = &bundles[7];
    uint8_t clear[CLEAR_BYTES_MAX];
    struct testbed t;

    testbed_open(&t, 8);
    install(&t, b, 0);
    size_t length = make_clear(&t, b, true, 0, 100, true, clear);
    CHECK(testbed_outbound(&t, &t.a, (struct slice){clear, length}));
    struct packet *p = t.a.out.to_wire[0];
    /* AH taken off by somebody on the way: behind the IP header of 20 octets stand 28 of AH. */
    uint8_t esp[CLEAR_BYTES_MAX];
    CHECK_EQUAL(p->outer_protocol, IP_PROTOCOL_AH);
    size_t esp_bytes = p->length - 48;
    memcpy(esp, packet_data(p) + 48, esp_bytes);
    testbed_inbound(&t, &t.b, IP_PROTOCOL_ESP, 0, 0, (struct slice){esp, esp_bytes});
    CHECK_EQUAL(t.b.out.to_tun_count, 0);
    CHECK_EQUAL(testbed_dropped(&t.b, DROP_NOT_BUNDLED), 1);
    /* With it all is well, so what was thrown away was not remembered as seen. */
    testbed_carry(&t, &t.a, &t.b);
    CHECK_EQUAL(t.b.out.to_tun_count, 1);
    testbed_give(&t.b);
    testbed_close(&t);
}

TEST(a_bundle_that_is_not_whole_carries_nothing)
{
    static const struct bundle *const b = &bundles[7];
    uint8_t clear[CLEAR_BYTES_MAX];
    struct testbed t;

    testbed_open(&t, 9);
    install(&t, b, 0);
    size_t length = make_clear(&t, b, true, 0, 100, true, clear);
    CHECK(testbed_outbound(&t, &t.a, (struct slice){clear, length}));
    struct sa *outer = sa_outer(sad_find(t.b.dp, t.b.spi_in));
    CHECK(outer != NULL);
    dataplane_remove(t.b.dp, outer->spi_in);
    testbed_carry(&t, &t.a, &t.b);
    CHECK_EQUAL(t.b.out.to_tun_count, 0);
    CHECK_EQUAL(testbed_dropped(&t.b, DROP_UNKNOWN_SPI), 1);
    testbed_give(&t.b);
    length = make_clear(&t, b, false, 0, 100, true, clear);
    CHECK(testbed_outbound(&t, &t.b, (struct slice){clear, length}));
    CHECK_EQUAL(t.b.out.to_wire_count, 0);
    CHECK_EQUAL(testbed_dropped(&t.b, DROP_NO_SA), 1);
    testbed_close(&t);
}

TEST(replay_protection_that_is_off_counts_what_came_twice)
{
    for (unsigned off = 0; off < 2; off++) {
        struct tunnel tunnel = {.suite = GCM, .outer_family = FAMILY_IPV4, .encapsulated = true};
        uint8_t clear[CLEAR_BYTES_MAX];
        uint8_t key[KEY_BYTES] = {1};
        struct child_sa child;
        struct sa_counters counters;
        struct testbed t;

        testbed_open(&t, 10);
        testbed_child(&tunnel, true, &child);
        child.spi_in = child.spi_out = 0x1001;
        child.key_in = child.key_out = (struct slice){key, 20};
        child.replay_off = off == 1;
        CHECK(dataplane_reserve_exact(t.a.dp, 0x1001));
        CHECK(!dataplane_reserve_exact(t.a.dp, 0x1001));
        CHECK(!dataplane_reserve_exact(t.a.dp, 255));
        CHECK(dataplane_install(t.a.dp, &child));
        dataplane_use(t.a.dp, 0x1001);
        testbed_child(&tunnel, false, &child);
        child.spi_in = child.spi_out = 0x1001;
        child.key_in = child.key_out = (struct slice){key, 20};
        child.replay_off = off == 1;
        CHECK(dataplane_reserve_exact(t.b.dp, 0x1001));
        CHECK(dataplane_install(t.b.dp, &child));
        size_t length = make_clear(&t, &bundles[7], true, 0, 100, true, clear);
        CHECK(testbed_outbound(&t, &t.a, (struct slice){clear, length}));
        uint8_t esp[CLEAR_BYTES_MAX];
        size_t esp_bytes = t.a.out.to_wire[0]->length;
        memcpy(esp, packet_data(t.a.out.to_wire[0]), esp_bytes);
        testbed_give(&t.a);
        for (size_t i = 0; i < 3; i++) {
            testbed_inbound(&t, &t.b, IP_PROTOCOL_UDP, 4500, 0, (struct slice){esp, esp_bytes});
            CHECK_EQUAL(t.b.out.to_tun_count, i == 0 || off == 1 ? 1 : 0);
            testbed_give(&t.b);
        }
        CHECK(dataplane_sa_counters(t.b.dp, 0x1001, &counters));
        CHECK_EQUAL(counters.duplicates, off == 1 ? 2 : 0);
        CHECK_EQUAL(counters.replayed, off == 1 ? 0 : 2);
        testbed_close(&t);
    }
}

TEST(first_packets_wait_for_the_sa_where_the_policy_says_so)
{
    uint8_t clear[CLEAR_BYTES_MAX];
    struct selector selectors[2];
    struct testbed t;

    testbed_open(&t, 11);
    set_hosts(&t.a, 0, 0, selectors);
    struct policy policy = {.id = 1,
                            .verdict = POLICY_PROTECT,
                            .local = &selectors[0],
                            .local_count = 1,
                            .remote = &selectors[1],
                            .remote_count = 1,
                            .holds = true};
    CHECK(dataplane_set_policies(t.a.dp, &policy, 1));
    size_t length = make_clear(&t, &bundles[0], true, 0, 100, true, clear);
    for (size_t i = 0; i < 20; i++) {
        CHECK(testbed_outbound(&t, &t.a, (struct slice){clear, length}));
        CHECK_EQUAL(t.a.out.to_wire_count, 0);
    }
    CHECK_EQUAL(testbed_dropped(&t.a, DROP_QUEUE_FULL), 20 - HELD_OF_POLICY_MAX);
    CHECK(testbed_note(&t.a, NOTE_ACQUIRE, NULL));
    CHECK(dataplane_due_us(t.a.worker, t.now_ms * 1000) < (t.now_ms + 100) * 1000);
    dataplane_tick(t.a.worker, (t.now_ms + 20) * 1000, &t.a.out);
    CHECK_EQUAL(t.a.out.to_wire_count, 0);
    install(&t, &bundles[0], 0);
    dataplane_tick(t.a.worker, (t.now_ms + 40) * 1000, &t.a.out);
    CHECK_EQUAL(t.a.out.to_wire_count, HELD_OF_POLICY_MAX);
    CHECK_EQUAL(dataplane_due_us(t.a.worker, t.now_ms * 1000), NEVER_US);
    testbed_carry(&t, &t.a, &t.b);
    CHECK_EQUAL(t.b.out.to_tun_count, HELD_OF_POLICY_MAX);
    testbed_give(&t.b);
    CHECK(testbed_doors_add_up(&t.a));
    testbed_close(&t);
}

TEST(what_waited_too_long_is_dropped)
{
    uint8_t clear[CLEAR_BYTES_MAX];
    struct selector selectors[2];
    struct testbed t;

    testbed_open(&t, 12);
    set_hosts(&t.a, 0, 0, selectors);
    struct policy policy = {.id = 1,
                            .verdict = POLICY_PROTECT,
                            .local = &selectors[0],
                            .local_count = 1,
                            .remote = &selectors[1],
                            .remote_count = 1,
                            .holds = true};
    CHECK(dataplane_set_policies(t.a.dp, &policy, 1));
    size_t length = make_clear(&t, &bundles[0], true, 0, 100, true, clear);
    CHECK(testbed_outbound(&t, &t.a, (struct slice){clear, length}));
    dataplane_tick(t.a.worker, (t.now_ms + HELD_MS - 1) * 1000, &t.a.out);
    CHECK_EQUAL(testbed_dropped(&t.a, DROP_NO_SA), 0);
    dataplane_tick(t.a.worker, (t.now_ms + HELD_MS) * 1000, &t.a.out);
    CHECK_EQUAL(testbed_dropped(&t.a, DROP_NO_SA), 1);
    CHECK(testbed_doors_add_up(&t.a));
    testbed_close(&t);
}

TEST(policies_before_the_tunnels_bypass_and_discard_in_both_directions)
{
    static const struct tunnel tunnel = {
        .suite = GCM, .outer_family = FAMILY_IPV4, .encapsulated = true};
    struct selector local = {
        {{FAMILY_IPV4, {10, 1, 0, 0}}, {FAMILY_IPV4, {10, 1, 255, 255}}}, 0, 0, UINT16_MAX};
    struct selector remote = {
        {{FAMILY_IPV4, {10, 2, 0, 0}}, {FAMILY_IPV4, {10, 2, 255, 255}}}, 0, 0, UINT16_MAX};
    uint8_t clear[CLEAR_BYTES_MAX];
    struct testbed t;

    testbed_open(&t, 13);
    CHECK(testbed_join(&t, &tunnel));
    size_t length = make_clear(&t, &bundles[7], true, 0, 100, true, clear);
    uint16_t port = get_u16(clear + 22);
    struct selector ported = remote;
    ported.protocol = IP_PROTOCOL_UDP;
    ported.port_first = ported.port_last = port;
    for (unsigned verdict = POLICY_DISCARD; verdict <= POLICY_BYPASS; verdict++) {
        struct policy policies[2] = {
            {.id = 2,
             .verdict = (enum policy_verdict)verdict,
             .local = &local,
             .local_count = 1,
             .remote = &ported,
             .remote_count = 1},
            {.id = 1,
             .verdict = POLICY_PROTECT,
             .local = &local,
             .local_count = 1,
             .remote = &remote,
             .remote_count = 1},
        };
        CHECK(dataplane_set_policies(t.a.dp, policies, 2));
        CHECK(testbed_outbound(&t, &t.a, (struct slice){clear, length}));
        CHECK_EQUAL(t.a.out.to_wire_count, verdict == POLICY_BYPASS ? 1 : 0);
        if (verdict == POLICY_BYPASS) {
            CHECK(t.a.out.to_wire[0]->bypass);
            CHECK(t.a.out.to_wire[0]->has_outer_head);
            CHECK(slice_equal(packet_slice(t.a.out.to_wire[0]), (struct slice){clear, length}));
        }
        testbed_give(&t.a);
        /* Another port goes through the tunnel as ever. */
        clear[23] ^= 1;
        CHECK(testbed_outbound(&t, &t.a, (struct slice){clear, length}));
        CHECK_EQUAL(t.a.out.to_wire_count, 1);
        CHECK(!t.a.out.to_wire[0]->bypass);
        testbed_give(&t.a);
        clear[23] ^= 1;
    }
    CHECK_EQUAL(testbed_dropped(&t.a, DROP_POLICY_DISCARD), 1);

    /* What comes out of the tunnel and should not be in it: from the port of b that a bypasses. */
    uint8_t back[CLEAR_BYTES_MAX];
    length = make_clear(&t, &bundles[7], false, 0, 100, true, back);
    put_u16(back + 20, port);
    CHECK(testbed_outbound(&t, &t.b, (struct slice){back, length}));
    testbed_carry(&t, &t.b, &t.a);
    CHECK_EQUAL(t.a.out.to_tun_count, 0);
    CHECK_EQUAL(testbed_dropped(&t.a, DROP_BYPASS_POLICY), 1);
    CHECK(testbed_doors_add_up(&t.a));
    testbed_close(&t);
}

/* Cuts a clear IPv4 packet as a host's system does: two pieces, the second at `at` octets. */
static size_t cut_clear(const uint8_t *whole, size_t length, size_t at, uint8_t first[],
                        uint8_t second[], size_t *second_length)
{
    memcpy(first, whole, 20 + at);
    put_u16(first + 2, (uint16_t)(20 + at));
    put_u16(first + 6, 0x2000);
    memcpy(second, whole, 20);
    memcpy(second + 20, whole + 20 + at, length - 20 - at);
    *second_length = length - at;
    put_u16(second + 2, (uint16_t)*second_length);
    put_u16(second + 6, (uint16_t)(at / 8));
    for (size_t i = 0; i < 2; i++) {
        uint8_t *head = i == 0 ? first : second;

        put_u16(head + 10, 0);
        put_u16(head + 10, checksum_finish(checksum_add(0, (struct slice){head, 20})));
    }
    return 20 + at;
}

TEST(fragments_of_a_host_become_whole_before_transport_mode)
{
    for (size_t i = 0; i < 6; i++) {
        uint8_t clear[CLEAR_BYTES_MAX];
        uint8_t pieces[2][CLEAR_BYTES_MAX];
        size_t lengths[2];
        struct testbed t;

        testbed_open(&t, 20 + i);
        install(&t, &bundles[i % 5], 0);
        size_t length = make_clear(&t, &bundles[0], true, 0, 2500, false, clear);
        ipv4_set_tos(clear, 0);
        lengths[0] = cut_clear(clear, length, 1400, pieces[0], pieces[1], &lengths[1]);
        size_t first = i < 5 ? 0 : 1;
        CHECK(testbed_outbound(&t, &t.a, (struct slice){pieces[first], lengths[first]}));
        CHECK_EQUAL(t.a.out.to_wire_count, 0);
        CHECK(testbed_outbound(&t, &t.a, (struct slice){pieces[1 - first], lengths[1 - first]}));
        CHECK(t.a.out.to_wire_count > 0);
        reassemble_outside(&t.a);
        testbed_carry(&t, &t.a, &t.b);
        CHECK_EQUAL(t.b.out.to_tun_count, 1);
        check_same((struct slice){clear, length}, t.b.out.to_tun[0], bundles[i % 5].encapsulated);
        testbed_give(&t.b);
        CHECK(testbed_doors_add_up(&t.a));
        testbed_close(&t);
    }
}

TEST(an_ipv6_host_that_cuts_its_packets_has_them_cut_outside_as_well)
{
    static const struct bundle *const b = &bundles[3];
    uint8_t clear[CLEAR_BYTES_MAX];
    struct ipv6_cut cut;
    struct testbed t;

    testbed_open(&t, 32);
    install(&t, b, 1);
    size_t length = make_clear(&t, b, true, 1, 2500, true, clear);
    CHECK(ipv6_cut_plan((struct slice){clear, length}, 1500, 77, &cut));
    CHECK_EQUAL(cut.count, 2);
    for (size_t i = 0; i < cut.count; i++) {
        uint8_t piece[CLEAR_BYTES_MAX];
        struct writer w = writer_over(piece, sizeof(piece));

        ipv6_cut_write(&w, &cut, i);
        CHECK(testbed_outbound(&t, &t.a, writer_written(&w)));
        CHECK_EQUAL(t.a.out.to_tun_count, 0);
        CHECK_EQUAL(t.a.out.to_wire_count, i == 0 ? 0 : 2);
    }
    for (size_t i = 0; i < t.a.out.to_wire_count; i++) {
        CHECK(t.a.out.to_wire[i]->length <= 1500);
    }
    testbed_give(&t.a);
    testbed_close(&t);
}

TEST(fragments_without_ports_go_where_their_first_went)
{
    struct selector local = {{{FAMILY_IPV4, {10, 1, 0, 0}}, {FAMILY_IPV4, {10, 1, 255, 255}}},
                             IP_PROTOCOL_UDP,
                             0,
                             UINT16_MAX};
    struct selector remote = {{{FAMILY_IPV4, {10, 2, 0, 0}}, {FAMILY_IPV4, {10, 2, 255, 255}}},
                              IP_PROTOCOL_UDP,
                              1701,
                              1701};
    struct tunnel tunnel = {.suite = GCM, .outer_family = FAMILY_IPV4, .encapsulated = true};
    uint8_t keys[2][KEY_BYTES] = {{1}, {2}};
    struct testbed t;

    testbed_open(&t, 30);
    for (size_t side = 0; side < 2; side++) {
        struct gateway *g = side == 0 ? &t.a : &t.b;
        struct policy policy = {.id = 1,
                                .verdict = POLICY_PROTECT,
                                .local = side == 0 ? &local : &remote,
                                .local_count = 1,
                                .remote = side == 0 ? &remote : &local,
                                .remote_count = 1};
        struct child_sa child;

        CHECK(dataplane_set_policies(g->dp, &policy, 1));
        testbed_child(&tunnel, side == 0, &child);
        child.spi_in = side == 0 ? 0x3001 : 0x3002;
        child.spi_out = side == 0 ? 0x3002 : 0x3001;
        child.key_in = (struct slice){keys[side], 20};
        child.key_out = (struct slice){keys[1 - side], 20};
        child.local_selectors = policy.local;
        child.local_count = 1;
        child.remote_selectors = policy.remote;
        child.remote_count = 1;
        CHECK(dataplane_reserve_exact(g->dp, child.spi_in));
        CHECK(dataplane_install(g->dp, &child));
        dataplane_use(g->dp, child.spi_in);
    }
    for (unsigned port = 1700; port <= 1701; port++) {
        uint8_t clear[CLEAR_BYTES_MAX];
        uint8_t pieces[2][CLEAR_BYTES_MAX];
        size_t lengths[2];
        size_t length = make_clear(&t, &bundles[7], true, 0, 2000, false, clear);

        ipv4_set_tos(clear, 0);
        put_u16(clear + 22, (uint16_t)port);
        lengths[0] = cut_clear(clear, length, 1000, pieces[0], pieces[1], &lengths[1]);
        for (size_t i = 0; i < 2; i++) {
            CHECK(testbed_outbound(&t, &t.a, (struct slice){pieces[i], lengths[i]}));
            CHECK_EQUAL(t.a.out.to_wire_count, port == 1701 ? 1 : 0);
            testbed_carry(&t, &t.a, &t.b);
            CHECK_EQUAL(t.b.out.to_tun_count, port == 1701 ? 1 : 0);
            testbed_give(&t.b);
        }
        /* One that nobody saw the first of. */
        put_u16(pieces[1] + 4, (uint16_t)(get_u16(pieces[1] + 4) + 1));
        put_u16(pieces[1] + 10, 0);
        put_u16(pieces[1] + 10, checksum_finish(checksum_add(0, (struct slice){pieces[1], 20})));
        CHECK(testbed_outbound(&t, &t.a, (struct slice){pieces[1], lengths[1]}));
        CHECK_EQUAL(t.a.out.to_wire_count, 0);
        testbed_give(&t.a);
    }
    testbed_close(&t);
}

TEST(ipv6_packets_of_1280_octets_pass_a_path_too_narrow_for_them_in_pieces)
{
    static const struct bundle *const b = &bundles[5];
    uint8_t clear[CLEAR_BYTES_MAX];
    struct testbed t;

    testbed_open(&t, 31);
    install(&t, b, 1);
    dataplane_set_link_mtu(t.a.dp, 1300);
    size_t length = make_clear(&t, b, true, 1, 1280, true, clear);
    ipv6_set_traffic_class(clear, 0);
    CHECK(testbed_outbound(&t, &t.a, (struct slice){clear, length}));
    CHECK_EQUAL(t.a.out.to_wire_count, 2);
    uint8_t whole[CLEAR_BYTES_MAX];
    size_t whole_length = 0;
    for (size_t i = 0; i < 2; i++) {
        const struct packet *p = t.a.out.to_wire[i];
        struct ip_head head;

        CHECK(p->length <= 1300);
        CHECK(ip_read(packet_slice(p), &head));
        CHECK(head.is_fragment);
        CHECK_EQUAL(head.more_fragments, i == 0);
        /* RFC 8200 4.5: 40 octets of header, 8 of the Fragment header. */
        if (i == 0) {
            memcpy(whole, packet_data(p), 40);
            whole[6] = packet_data(p)[40];
            whole_length = 40;
        }
        memcpy(whole + whole_length, packet_data(p) + 48, p->length - 48);
        whole_length += p->length - 48;
    }
    put_u16(whole + 4, (uint16_t)(whole_length - 40));
    testbed_give(&t.a);
    struct packet *received = dataplane_take_packet(t.b.worker);
    memcpy(packet_data(received), whole, whole_length);
    received->length = (uint32_t)whole_length - 40;
    received->offset += 40;
    received->outer_head_bytes = 40;
    received->outer_protocol = IP_PROTOCOL_AH;
    received->local.address = hosts[1][1];
    received->peer.address = hosts[0][1];
    dataplane_inbound(t.b.worker, &received, 1, t.now_ms, &t.b.out);
    CHECK_EQUAL(t.b.out.to_tun_count, 1);
    check_same((struct slice){clear, length}, t.b.out.to_tun[0], false);
    testbed_close(&t);
}

TEST(a_silent_sa_sends_dummies_that_are_dropped_by_the_other_side)
{
    struct tunnel tunnel = {.suite = GCM, .outer_family = FAMILY_IPV4, .encapsulated = true};
    uint8_t keys[2][KEY_BYTES] = {{1}, {2}};
    struct testbed t;

    testbed_open(&t, 40);
    for (size_t side = 0; side < 2; side++) {
        struct gateway *g = side == 0 ? &t.a : &t.b;
        struct child_sa child;

        testbed_child(&tunnel, side == 0, &child);
        child.spi_in = side == 0 ? 0x3001 : 0x3002;
        child.spi_out = side == 0 ? 0x3002 : 0x3001;
        child.key_in = (struct slice){keys[side], 20};
        child.key_out = (struct slice){keys[1 - side], 20};
        child.dummy_interval_ms = side == 0 ? 100 : 0;
        child.tfc_bytes = side == 0 ? TFC_TO_MTU : 0;
        CHECK(dataplane_reserve_exact(g->dp, child.spi_in));
        CHECK(dataplane_install(g->dp, &child));
        dataplane_use(g->dp, child.spi_in);
    }
    uint32_t wire_bytes = 0;
    for (size_t i = 0; i < 10; i++) {
        t.now_ms += 100;
        CHECK(dataplane_due_us(t.a.worker, t.now_ms * 1000) <= t.now_ms * 1000);
        dataplane_tick(t.a.worker, t.now_ms * 1000, &t.a.out);
        CHECK_EQUAL(t.a.out.to_wire_count, 1);
        CHECK_EQUAL(dataplane_due_us(t.a.worker, t.now_ms * 1000), (t.now_ms + 100) * 1000);
        wire_bytes = t.a.out.to_wire[0]->length;
        testbed_carry(&t, &t.a, &t.b);
        CHECK_EQUAL(t.b.out.to_tun_count, 0);
        CHECK_EQUAL(testbed_dropped(&t.b, DROP_DUMMY), i + 1);
    }
    /* A real packet is as long as they are. */
    uint8_t clear[CLEAR_BYTES_MAX];
    size_t length = make_clear(&t, &bundles[7], true, 0, 100, true, clear);
    CHECK(testbed_outbound(&t, &t.a, (struct slice){clear, length}));
    CHECK_EQUAL(t.a.out.to_wire[0]->length, wire_bytes);
    testbed_carry(&t, &t.a, &t.b);
    CHECK_EQUAL(t.b.out.to_tun_count, 1);
    CHECK_EQUAL(t.b.out.to_tun[0]->length, length);
    testbed_give(&t.b);
    dataplane_stop(t.a.dp, 0x3001);
    CHECK_EQUAL(dataplane_due_us(t.a.worker, t.now_ms * 1000), NEVER_US);
    CHECK(testbed_doors_add_up(&t.a));
    testbed_close(&t);
}

/* A pair of SAs between the sites, as the child of side a says; b gets the same. */
static void join_as(struct testbed *t, const struct child_sa *like)
{
    uint8_t keys[2][KEY_BYTES];

    random_fill(&t->random, keys[0], KEY_BYTES);
    random_fill(&t->random, keys[1], KEY_BYTES);
    for (size_t side = 0; side < 2; side++) {
        struct tunnel tunnel = {
            .suite = like->suite, .outer_family = FAMILY_IPV4, .encapsulated = true};
        struct gateway *g = side == 0 ? &t->a : &t->b;
        struct child_sa child;
        size_t length =
            suite_encryption_key_bytes(&like->suite) + suite_integrity_key_bytes(&like->suite);

        testbed_child(&tunnel, side == 0, &child);
        child.spi_in = like->spi_in + (uint32_t)side;
        child.spi_out = like->spi_in + 1 - (uint32_t)side;
        child.key_in = (struct slice){keys[side], length};
        child.key_out = (struct slice){keys[1 - side], length};
        child.compress = like->compress;
        child.cpi_in = child.cpi_out = like->cpi_in;
        child.aggfrag = like->aggfrag;
        CHECK(dataplane_reserve_exact(g->dp, child.spi_in));
        CHECK(dataplane_install(g->dp, &child));
        dataplane_use(g->dp, child.spi_in);
    }
}

TEST(compressed_packets_arrive_as_they_were)
{
    struct child_sa like = {.spi_in = 0x4000, .suite = GCM, .compress = true, .cpi_in = 2};
    struct sa_counters counters;
    uint64_t sent_bytes = 0;
    struct testbed t;

    testbed_open(&t, 50);
    join_as(&t, &like);
    for (uint32_t total = 48; total < 1400; total += 7) {
        uint8_t clear[CLEAR_BYTES_MAX];
        size_t length = make_clear(&t, &bundles[7], true, total % 2, total + 20, true, clear);

        if (total % 3 != 0) {
            /* Something that has a pattern. */
            for (size_t i = 60; i < length; i++) {
                clear[i] = (uint8_t)(i % 5);
            }
        }
        if (total % 2 == 0) {
            ipv4_set_tos(clear, 0);
        } else {
            ipv6_set_traffic_class(clear, 0);
        }
        CHECK(testbed_outbound(&t, &t.a, (struct slice){clear, length}));
        sent_bytes += t.a.out.to_wire[0]->length;
        testbed_carry(&t, &t.a, &t.b);
        CHECK_EQUAL(t.b.out.to_tun_count, 1);
        check_same((struct slice){clear, length}, t.b.out.to_tun[0], false);
        testbed_give(&t.b);
    }
    CHECK(dataplane_sa_counters(t.a.dp, 0x4000, &counters));
    CHECK(counters.compressed_to < counters.compressed_from * 7 / 10);
    CHECK(sent_bytes < counters.out_bytes);
    CHECK(testbed_doors_add_up(&t.b));
    testbed_close(&t);
}

#define TFS_RATE_BITS UINT64_C(8000000)
#define TFS_STEP_US 100

/* What was seen on the wire: when, and how long. */
struct sighting {
    uint64_t at_us;
    uint32_t bytes;
};

static size_t run_constant_rate(bool busy, struct sighting *seen, size_t most, uint64_t *arrived)
{
    struct child_sa like = {
        .spi_in = 0x5000, .suite = GCM, .aggfrag = {.enabled = true, .rate_bits = TFS_RATE_BITS}};
    struct testbed t;
    size_t count = 0;
    uint64_t sent = 0;
    uint64_t now_us = 0;

    testbed_open(&t, 60);
    join_as(&t, &like);
    uint64_t begin_us = t.now_ms * 1000;
    for (now_us = begin_us; count < most; now_us += TFS_STEP_US) {
        t.now_ms = now_us / 1000;
        if (busy && random_below(&t.random, 20) == 0) {
            uint8_t clear[CLEAR_BYTES_MAX];
            uint32_t total = 48 + random_below(&t.random, 2500);
            size_t length = make_clear(&t, &bundles[7], true, 0, total, true, clear);

            ipv4_set_tos(clear, 0);
            CHECK(testbed_outbound(&t, &t.a, (struct slice){clear, length}));
            CHECK_EQUAL(t.a.out.to_wire_count, 0);
            CHECK_EQUAL(t.a.out.to_tun_count, 0);
            sent++;
        }
        if (dataplane_due_us(t.a.worker, now_us) > now_us) {
            continue;
        }
        dataplane_tick(t.a.worker, now_us, &t.a.out);
        for (size_t i = 0; i < t.a.out.to_wire_count && count < most; i++) {
            seen[count++] = (struct sighting){now_us - begin_us, t.a.out.to_wire[i]->length};
        }
        testbed_carry(&t, &t.a, &t.b);
        *arrived += t.b.out.to_tun_count;
        testbed_give(&t.b);
        CHECK(testbed_doors_add_up(&t.b));
    }
    if (busy) {
        /* The last ones still wait for their turn. */
        CHECK(*arrived > sent * 9 / 10);
        CHECK_EQUAL(testbed_dropped(&t.a, DROP_QUEUE_FULL), 0);
    }
    testbed_close(&t);
    return (size_t)(now_us - begin_us);
}

TEST(an_idle_tunnel_of_constant_rate_looks_like_a_busy_one)
{
    enum { MOST = 1000 };
    static struct sighting idle[MOST], busy[MOST];
    uint64_t arrived[2] = {0, 0};

    size_t idle_us = run_constant_rate(false, idle, MOST, &arrived[0]);
    size_t busy_us = run_constant_rate(true, busy, MOST, &arrived[1]);
    CHECK_EQUAL(arrived[0], 0);
    CHECK(arrived[1] > 100);
    CHECK_EQUAL(idle_us, busy_us);
    for (size_t i = 0; i < MOST; i++) {
        CHECK_EQUAL(idle[i].at_us, busy[i].at_us);
        CHECK_EQUAL(idle[i].bytes, busy[i].bytes);
        CHECK_EQUAL(idle[i].bytes, idle[0].bytes);
    }
    /* 1,500 octets at 8 Mbit/s are one every 1.5 ms, to the last within a step. */
    uint64_t expected_us = (MOST - 1) * UINT64_C(1500) * 8 * 1000000 / TFS_RATE_BITS;
    CHECK(idle[MOST - 1].at_us <= expected_us + 2 * TFS_STEP_US);
    CHECK(idle[MOST - 1].at_us + 10 * 1500 >= expected_us);
}

TEST(a_new_sa_goes_on_with_the_pace_of_the_old_one_and_loses_nothing)
{
    struct child_sa like = {
        .spi_in = 0x6000, .suite = GCM, .aggfrag = {.enabled = true, .rate_bits = TFS_RATE_BITS}};
    uint64_t sent = 0;
    uint64_t arrived = 0;
    struct testbed t;

    testbed_open(&t, 61);
    join_as(&t, &like);
    uint64_t begin_us = t.now_ms * 1000;
    for (uint64_t now_us = begin_us; now_us < begin_us + 400000; now_us += TFS_STEP_US) {
        t.now_ms = now_us / 1000;
        if (now_us == begin_us + 150000) {
            like.spi_in = 0x7000;
            join_as(&t, &like);
        }
        if (now_us == begin_us + 200000) {
            dataplane_stop(t.a.dp, 0x6000);
        }
        if (now_us < begin_us + 300000 && random_below(&t.random, 20) == 0) {
            uint8_t clear[CLEAR_BYTES_MAX];
            size_t length = make_clear(&t, &bundles[7], true, 0, 48 + random_below(&t.random, 3000),
                                       true, clear);

            ipv4_set_tos(clear, 0);
            CHECK(testbed_outbound(&t, &t.a, (struct slice){clear, length}));
            sent++;
        }
        if (dataplane_due_us(t.a.worker, now_us) <= now_us) {
            dataplane_tick(t.a.worker, now_us, &t.a.out);
            testbed_carry(&t, &t.a, &t.b);
            arrived += t.b.out.to_tun_count;
            testbed_give(&t.b);
        }
    }
    CHECK_EQUAL(arrived, sent);
    CHECK(sent > 100);
    testbed_close(&t);
}

TEST(payloads_full_of_small_packets_are_delivered_whole_and_in_order)
{
    struct child_sa like = {.spi_in = 0x8000,
                            .suite = GCM,
                            .aggfrag = {.enabled = true, .rate_bits = UINT64_C(1000000000)}};
    uint32_t sent = 0;
    uint32_t next = 0;
    struct testbed t;

    testbed_open(&t, 62);
    join_as(&t, &like);
    uint64_t now_us = t.now_ms * 1000;
    dataplane_tick(t.a.worker, now_us, &t.a.out);
    testbed_give(&t.a);
    while (sent < 2000) {
        uint8_t clear[CLEAR_BYTES_MAX];
        size_t length = make_clear(&t, &bundles[7], true, 0, 48, true, clear);

        put_u32(clear + 28, sent);
        CHECK(testbed_outbound(&t, &t.a, (struct slice){clear, length}));
        sent += testbed_dropped(&t.a, DROP_QUEUE_FULL) == 0;
        if (testbed_dropped(&t.a, DROP_QUEUE_FULL) > 0) {
            break;
        }
    }
    for (size_t turn = 0; turn < 200 && next < sent; turn++) {
        now_us += 500;
        t.now_ms = now_us / 1000;
        dataplane_tick(t.a.worker, now_us, &t.a.out);
        testbed_carry(&t, &t.a, &t.b);
        do {
            for (size_t i = 0; i < t.b.out.to_tun_count; i++) {
                CHECK_EQUAL(get_u32(packet_data(t.b.out.to_tun[i]) + 28), next);
                next++;
            }
            testbed_give(&t.b);
            if (t.b.worker->later_count > 0) {
                dataplane_tick(t.b.worker, now_us, &t.b.out);
            }
        } while (t.b.out.to_tun_count > 0);
    }
    CHECK_EQUAL(next, sent);
    CHECK(sent > 1000);
    CHECK(testbed_doors_add_up(&t.b));
    testbed_close(&t);
}
