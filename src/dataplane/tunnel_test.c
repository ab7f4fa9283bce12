/* Two gateways back to back: what goes in at one comes out at the other, and nothing else does. */
#include "dataplane/testbed.h"

#include <stdlib.h>

#include "tests/support/test.h"

static const struct tunnel plain = {
    .suite = {.encryption = ENCRYPTION_AES_GCM_16, .key_bits = 128},
    .outer_family = FAMILY_IPV4,
    .encapsulated = true,
    .copy_dscp = true,
};

/* Copies of the clear packets of a batch. */
struct copies {
    uint8_t *bytes[BATCH_PACKETS];
    uint32_t length[BATCH_PACKETS];
};

static void copy_take(struct copies *c, size_t i, const struct packet *p)
{
    c->bytes[i] = malloc(p->length);
    c->length[i] = p->length;
    memcpy(c->bytes[i], packet_data(p), p->length);
}

static void copies_free(struct copies *c, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(c->bytes[i]);
    }
}

static bool contains(struct slice where, struct slice what)
{
    for (size_t i = 0; i + what.length <= where.length; i++) {
        if (memcmp(where.data + i, what.data, what.length) == 0) {
            return true;
        }
    }
    return false;
}

/* A batch of random packets that fit, from A to B or back; true when all came out as they went in.
 */
static bool batch_arrives(struct testbed *t, bool from_a, size_t count, bool encrypted)
{
    struct gateway *from = from_a ? &t->a : &t->b;
    struct gateway *to = from_a ? &t->b : &t->a;
    struct packet *batch[BATCH_PACKETS];
    struct copies copies;
    struct sa_counters counters;
    bool same = dataplane_sa_counters(from->dp, from->spi_in, &counters);

    for (size_t i = 0; i < count; i++) {
        uint8_t family = random_below(&t->random, 2) == 0 ? FAMILY_IPV4 : FAMILY_IPV6;
        uint32_t least = family == FAMILY_IPV4 ? 28 : 48;
        batch[i] = dataplane_take_packet(from->worker);
        testbed_fill(t, batch[i], from_a, family,
                     least + random_below(&t->random, counters.inner_mtu - least + 1), true);
        copy_take(&copies, i, batch[i]);
    }
    dataplane_outbound(from->worker, batch, count, t->now_ms, &from->out);
    same = same && from->out.to_wire_count == count;
    for (size_t i = 0; same && encrypted && i < count; i++) {
        /* No octets of the clear packet show on the wire. */
        if (copies.length[i] >= 64) {
            struct slice inner = {copies.bytes[i] + 48, 16};
            same = !contains(packet_slice(from->out.to_wire[i]), inner);
        }
    }
    testbed_carry(t, from, to);
    same = same && to->out.to_tun_count == count;
    for (size_t i = 0; same && i < count; i++) {
        const struct packet *out = to->out.to_tun[i];
        same = out->length == copies.length[i] &&
               memcmp(packet_data(out), copies.bytes[i], out->length) == 0;
    }
    testbed_give(from);
    testbed_give(to);
    copies_free(&copies, count);
    return same && testbed_doors_add_up(from) && testbed_doors_add_up(to);
}

TEST(what_goes_in_at_one_gateway_comes_out_at_the_other_in_order_with_every_suite_and_family)
{
    for (size_t s = 0; testbed_suite(s) != NULL; s++) {
        for (int form = 0; form < 4; form++) {
            struct tunnel tunnel = plain;
            struct testbed t;
            tunnel.suite = *testbed_suite(s);
            tunnel.outer_family = (form & 1) != 0 ? FAMILY_IPV6 : FAMILY_IPV4;
            tunnel.encapsulated = (form & 2) != 0;
            bool encrypted = tunnel.suite.encryption != ENCRYPTION_NULL &&
                             tunnel.suite.encryption != ENCRYPTION_NULL_AES_GMAC;
            testbed_open(&t, s * 4 + (size_t)form);
            CHECK(testbed_join(&t, &tunnel));
            for (size_t round = 0; round < 8; round++) {
                size_t count = round < 2 ? 1 + round : 1 + random_below(&t.random, 64);
                CHECK(batch_arrives(&t, round % 2 == 0, count, encrypted));
            }
            testbed_close(&t);
        }
    }
}

TEST(outer_packets_fit_the_link_exactly)
{
    for (size_t s = 0; testbed_suite(s) != NULL; s++) {
        for (int form = 0; form < 4; form++) {
            struct tunnel tunnel = plain;
            struct testbed t;
            struct sa_counters counters;
            tunnel.suite = *testbed_suite(s);
            tunnel.outer_family = (form & 1) != 0 ? FAMILY_IPV6 : FAMILY_IPV4;
            tunnel.encapsulated = (form & 2) != 0;
            testbed_open(&t, s);
            CHECK(testbed_join(&t, &tunnel));
            CHECK(dataplane_sa_counters(t.a.dp, t.a.spi_in, &counters));
            uint32_t outside =
                (tunnel.outer_family == FAMILY_IPV4 ? 20u : 40u) + (tunnel.encapsulated ? 8u : 0u);
            /* The largest that fits does, and one octet more would not. */
            for (uint32_t more = 0; more < 2; more++) {
                struct packet *p = dataplane_take_packet(t.a.worker);
                testbed_fill(&t, p, true, FAMILY_IPV4, counters.inner_mtu + more, true);
                dataplane_outbound(t.a.worker, &p, 1, t.now_ms, &t.a.out);
                CHECK_EQUAL(t.a.out.to_wire_count, 1 - more);
                if (more == 0) {
                    uint32_t outer = t.a.out.to_wire[0]->length + outside;
                    CHECK(outer <= 1500);
                    CHECK(outer + 16 > 1500);
                    uint32_t align = tunnel.suite.encryption == ENCRYPTION_AES_CBC ? 16
                                     : tunnel.suite.encryption == ENCRYPTION_3DES  ? 8
                                                                                   : 4;
                    CHECK(outer + align > 1500);
                    CHECK(t.a.out.to_wire[0]->dont_fragment);
                }
                testbed_give(&t.a);
            }
            CHECK_EQUAL(testbed_dropped(&t.a, DROP_TOO_BIG), 1);
            testbed_close(&t);
        }
    }
}

TEST(nothing_tampered_truncated_or_replayed_is_delivered)
{
    for (size_t s = 0; testbed_suite(s) != NULL; s++) {
        struct tunnel tunnel = plain;
        struct testbed t;
        uint8_t good[512];
        tunnel.suite = *testbed_suite(s);
        testbed_open(&t, 77 + s);
        CHECK(testbed_join(&t, &tunnel));
        struct packet *p = dataplane_take_packet(t.a.worker);
        testbed_fill(&t, p, true, FAMILY_IPV4, 100, true);
        dataplane_outbound(t.a.worker, &p, 1, t.now_ms, &t.a.out);
        CHECK_EQUAL(t.a.out.to_wire_count, 1);
        uint32_t length = t.a.out.to_wire[0]->length;
        memcpy(good, packet_data(t.a.out.to_wire[0]), length);
        testbed_give(&t.a);
        for (uint32_t bit = 0; bit < length * 8; bit++) {
            uint8_t bad[512];
            memcpy(bad, good, length);
            bad[bit / 8] ^= (uint8_t)(1 << bit % 8);
            testbed_inbound(&t, &t.b, IP_PROTOCOL_UDP, 4500, 0, (struct slice){bad, length});
            CHECK_EQUAL(t.b.out.to_tun_count, 0);
        }
        for (uint32_t cut = 0; cut < length; cut++) {
            testbed_inbound(&t, &t.b, IP_PROTOCOL_UDP, 4500, 0, (struct slice){good, cut});
            CHECK_EQUAL(t.b.out.to_tun_count, 0);
            CHECK_EQUAL(t.b.out.to_control_count, 0);
        }
        struct slice whole = {good, length};
        testbed_inbound(&t, &t.b, IP_PROTOCOL_UDP, 4500, 0, whole);
        CHECK_EQUAL(t.b.out.to_tun_count, 1);
        testbed_give(&t.b);
        /* A flipped bit may have made the sequence number 0. */
        uint64_t before = testbed_dropped(&t.b, DROP_REPLAYED);
        testbed_inbound(&t, &t.b, IP_PROTOCOL_UDP, 4500, 0, whole);
        CHECK_EQUAL(t.b.out.to_tun_count, 0);
        CHECK_EQUAL(testbed_dropped(&t.b, DROP_REPLAYED), before + 1);
        CHECK(testbed_doors_add_up(&t.b));
        testbed_close(&t);
    }
}

TEST(two_copies_in_one_batch_are_delivered_once)
{
    struct testbed t;

    testbed_open(&t, 5);
    CHECK(testbed_join(&t, &plain));
    struct packet *p = dataplane_take_packet(t.a.worker);
    testbed_fill(&t, p, true, FAMILY_IPV6, 300, true);
    dataplane_outbound(t.a.worker, &p, 1, t.now_ms, &t.a.out);
    struct packet *twice[2];
    for (size_t i = 0; i < 2; i++) {
        const struct packet *sent = t.a.out.to_wire[0];
        twice[i] = dataplane_take_packet(t.b.worker);
        memcpy(packet_data(twice[i]), packet_data(sent), sent->length);
        twice[i]->length = sent->length;
        twice[i]->outer_protocol = IP_PROTOCOL_UDP;
        twice[i]->local = sent->peer;
        twice[i]->peer = sent->local;
    }
    dataplane_inbound(t.b.worker, twice, 2, t.now_ms, &t.b.out);
    CHECK_EQUAL(t.b.out.to_tun_count, 1);
    CHECK_EQUAL(testbed_dropped(&t.b, DROP_REPLAYED), 1);
    testbed_close(&t);
}

/* A peer that errs about the NAT sends in UDP to who does not, or the other way round. */
TEST(what_comes_in_udp_and_without_is_taken_on_one_sa)
{
    for (int udp = 0; udp < 2; udp++) {
        struct testbed t;
        struct tunnel tunnel = plain;

        testbed_open(&t, 77);
        tunnel.encapsulated = udp == 0;
        CHECK(testbed_join(&t, &tunnel));
        struct packet *packet = dataplane_take_packet(t.a.worker);
        uint8_t clear[300];

        testbed_fill(&t, packet, true, FAMILY_IPV4, sizeof(clear), false);
        memcpy(clear, packet_data(packet), sizeof(clear));
        dataplane_give_packet(t.a.worker, packet);
        CHECK(testbed_outbound(&t, &t.a, SLICE_OF(clear)));
        CHECK_EQUAL(t.a.out.to_wire_count, 1);
        testbed_inbound(&t, &t.b, udp != 0 ? IP_PROTOCOL_UDP : IP_PROTOCOL_ESP, 4500, 0,
                        packet_slice(t.a.out.to_wire[0]));
        CHECK_EQUAL(t.b.out.to_tun_count, 1);
        testbed_give(&t.a);
        testbed_give(&t.b);
        CHECK(testbed_doors_add_up(&t.b));
        testbed_close(&t);
    }
}
