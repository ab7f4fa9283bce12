/* An example of what was dropped says of which SA it was, and there are few of them. */
#include "dataplane/testbed.h"

#include <stdlib.h>

#include "tests/support/test.h"

static const struct tunnel plain = {
    .suite = {.encryption = ENCRYPTION_AES_GCM_16, .key_bits = 128},
    .outer_family = FAMILY_IPV4,
};

static struct packet *clear_packet(struct testbed *t, uint32_t total)
{
    struct packet *packet = dataplane_take_packet(t->a.worker);

    testbed_fill(t, packet, true, FAMILY_IPV4, total, true);
    return packet;
}

/* One ESP packet from a to b, as it is on the wire. */
static struct slice sealed(struct testbed *t, uint8_t bytes[2048])
{
    struct packet *packet = clear_packet(t, 100);

    dataplane_outbound(t->a.worker, &packet, 1, t->now_ms, &t->a.out);
    CHECK_EQUAL(t->a.out.to_wire_count, 1);
    struct slice esp = packet_slice(t->a.out.to_wire[0]);
    memcpy(bytes, esp.data, esp.length);
    esp.data = bytes;
    testbed_give(&t->a);
    return esp;
}

TEST(a_forged_packet_is_told_with_its_spi_number_and_policy_and_nothing_inside)
{
    struct testbed t;
    struct drop_example e;
    uint8_t bytes[2048];

    testbed_open(&t, 1);
    CHECK(testbed_join(&t, &plain));
    struct slice esp = sealed(&t, bytes);
    bytes[esp.length - 1] ^= 1;
    testbed_inbound(&t, &t.b, IP_PROTOCOL_ESP, 0, 0, esp);
    CHECK(dataplane_has_notes(t.b.worker));
    CHECK(dataplane_next_example(t.b.dp, &e));
    CHECK_EQUAL(e.reason, DROP_FORGED);
    CHECK(e.inbound && e.has_outer && e.has_sequence && !e.has_inner);
    CHECK_EQUAL(e.spi, t.b.spi_in);
    CHECK_EQUAL(e.sequence, 1);
    CHECK_EQUAL(e.policy_id, 1);
    CHECK_EQUAL(e.protocol, IP_PROTOCOL_ESP);
    CHECK_EQUAL(e.at_ms, t.now_ms);
    CHECK(!dataplane_next_example(t.b.dp, &e));
    testbed_close(&t);
}

TEST(a_replayed_packet_is_told_before_it_is_opened)
{
    struct testbed t;
    struct drop_example e;
    uint8_t bytes[2048];

    testbed_open(&t, 2);
    CHECK(testbed_join(&t, &plain));
    struct slice esp = sealed(&t, bytes);
    testbed_inbound(&t, &t.b, IP_PROTOCOL_ESP, 0, 0, esp);
    CHECK_EQUAL(t.b.out.to_tun_count, 1);
    testbed_give(&t.b);
    testbed_inbound(&t, &t.b, IP_PROTOCOL_ESP, 0, 0, esp);
    CHECK(dataplane_next_example(t.b.dp, &e));
    CHECK_EQUAL(e.reason, DROP_REPLAYED);
    CHECK(e.spi == t.b.spi_in && e.sequence == 1 && e.policy_id == 1 && !e.has_inner);
    testbed_close(&t);
}

TEST(a_clear_packet_without_an_sa_is_told_with_its_ends_and_policy)
{
    struct testbed t;
    struct drop_example e;

    testbed_open(&t, 3);
    struct packet *packet = clear_packet(&t, 200);
    struct ip_head head;
    CHECK(ip_read(packet_slice(packet), &head));
    dataplane_outbound(t.a.worker, &packet, 1, t.now_ms, &t.a.out);
    CHECK(dataplane_next_example(t.a.dp, &e));
    CHECK_EQUAL(e.reason, DROP_NO_SA);
    CHECK(!e.inbound && !e.has_outer && e.has_inner);
    CHECK_EQUAL(e.policy_id, 1);
    CHECK(address_equal(&e.inner.source, &head.source));
    CHECK(address_equal(&e.inner.destination, &head.destination));
    CHECK_EQUAL(e.inner.port_source, head.port_source);
    CHECK_EQUAL(e.inner.total_bytes, 200);
    testbed_close(&t);
}

TEST(what_was_not_agreed_is_told_with_what_is_inside)
{
    struct testbed t;
    struct drop_example e;
    struct tunnel tunnel = plain;
    struct packet *packet;

    testbed_open(&t, 4);
    CHECK(testbed_join(&t, &tunnel));
    packet = clear_packet(&t, 100);
    struct ip_head head;
    CHECK(ip_read(packet_slice(packet), &head));
    /* B says that the sender's address is its own: such a packet never comes out of a tunnel. */
    dataplane_set_own_address(t.b.dp, &head.source);
    dataplane_outbound(t.a.worker, &packet, 1, t.now_ms, &t.a.out);
    testbed_carry(&t, &t.a, &t.b);
    CHECK(dataplane_next_example(t.b.dp, &e));
    CHECK_EQUAL(e.reason, DROP_SELECTOR_MISMATCH);
    CHECK(e.has_inner && e.has_sequence && e.sequence == 1 && e.spi == t.b.spi_in);
    CHECK(address_equal(&e.inner.source, &head.source));
    testbed_close(&t);
}

TEST(an_sa_at_its_end_is_told_with_the_packet_that_it_did_not_take)
{
    struct testbed t;
    struct drop_example e;
    struct tunnel tunnel = plain;

    testbed_open(&t, 5);
    tunnel.hard_packets = 1;
    CHECK(testbed_join(&t, &tunnel));
    for (int i = 0; i < 2; i++) {
        struct packet *packet = clear_packet(&t, 100);

        dataplane_outbound(t.a.worker, &packet, 1, t.now_ms, &t.a.out);
        testbed_give(&t.a);
    }
    CHECK(dataplane_next_example(t.a.dp, &e));
    CHECK_EQUAL(e.reason, DROP_LIFETIME_OVER);
    CHECK(!e.inbound && e.has_outer && e.has_inner && !e.has_sequence);
    CHECK_EQUAL(e.spi, t.b.spi_in);
    CHECK_EQUAL(e.inner.total_bytes, 100);
    testbed_close(&t);
}

TEST(at_most_one_a_second_of_a_reason_is_told_and_the_ring_may_be_full)
{
    struct testbed t;
    struct drop_example e;
    size_t told = 0;

    testbed_open(&t, 6);
    for (size_t i = 0; i < 1000; i++) {
        struct packet *packet = clear_packet(&t, 100);

        dataplane_outbound(t.a.worker, &packet, 1, t.now_ms, &t.a.out);
        t.now_ms += 10;
        while (dataplane_next_example(t.a.dp, &e)) {
            CHECK_EQUAL(e.at_ms % 1000, 0);
            told++;
        }
    }
    CHECK_EQUAL(told, 10);
    /* Nobody takes them: packets are counted all the same. */
    for (size_t i = 0; i < 100; i++) {
        struct packet *packet = clear_packet(&t, 100);

        t.now_ms += 1000;
        dataplane_outbound(t.a.worker, &packet, 1, t.now_ms, &t.a.out);
    }
    for (told = 0; dataplane_next_example(t.a.dp, &e); told++) {
    }
    CHECK_EQUAL(told, WORKER_EXAMPLES);
    CHECK_EQUAL(testbed_dropped(&t.a, DROP_NO_SA), 1100);
    testbed_close(&t);
}

TEST(what_the_caller_lost_is_told_without_details)
{
    struct testbed t;
    struct drop_example e;
    struct packet *packet;

    testbed_open(&t, 7);
    CHECK(testbed_join(&t, &plain));
    packet = clear_packet(&t, 100);
    dataplane_outbound(t.a.worker, &packet, 1, t.now_ms, &t.a.out);
    dataplane_count_drop(t.a.worker, DROP_SEND_FAILED, 1);
    CHECK(dataplane_next_example(t.a.dp, &e));
    CHECK_EQUAL(e.reason, DROP_SEND_FAILED);
    CHECK(!e.has_outer && !e.has_inner && e.policy_id == 0);
    testbed_close(&t);
}
