/* A tap sees every packet of its policy once, in order, and nothing else. */
#include "dataplane/testbed.h"

#include <stdlib.h>

#include "tests/support/test.h"

static const struct tunnel plain = {
    .suite = {.encryption = ENCRYPTION_AES_GCM_16, .key_bits = 128},
    .outer_family = FAMILY_IPV4,
};

/* One clear packet from a; its octets are kept. */
static struct slice send(struct testbed *t, uint8_t clear[2048], uint32_t total)
{
    struct packet *packet = dataplane_take_packet(t->a.worker);

    testbed_fill(t, packet, true, FAMILY_IPV4, total, true);
    memcpy(clear, packet_data(packet), total);
    dataplane_outbound(t->a.worker, &packet, 1, t->now_ms, &t->a.out);
    return (struct slice){clear, total};
}

static bool same(struct slice a, struct slice b)
{
    return a.length == b.length && memcmp(a.data, b.data, a.length) == 0;
}

TEST(off_it_has_nothing_and_costs_no_wake)
{
    struct testbed t;
    struct tap_record record;
    uint8_t clear[2048];

    testbed_open(&t, 1);
    CHECK(testbed_join(&t, &plain));
    (void)send(&t, clear, 100);
    testbed_give(&t.a);
    /* That the SA sends for the first time is told, whatever is tapped. */
    CHECK(testbed_note(&t.a, NOTE_SENDS_AGAIN, NULL));
    CHECK(!dataplane_has_notes(t.a.worker));
    (void)send(&t, clear, 100);
    CHECK(!dataplane_tap_is_on(t.a.dp));
    CHECK(!dataplane_tap_next(t.a.dp, &record));
    CHECK(!dataplane_has_notes(t.a.worker));
    CHECK_EQUAL(dataplane_tap_lost(t.a.dp), 0);
    testbed_close(&t);
}

TEST(both_sides_of_an_sa_are_copied_as_they_are)
{
    struct testbed t;
    struct tap_record record;
    uint8_t clear[2048];
    uint8_t wire[2048];

    testbed_open(&t, 2);
    CHECK(testbed_join(&t, &plain));
    CHECK(dataplane_tap_begin(t.a.dp, 1, TAP_OUTER | TAP_INNER));
    CHECK(!dataplane_tap_begin(t.a.dp, 1, TAP_OUTER));
    CHECK(dataplane_tap_begin(t.b.dp, 1, TAP_OUTER | TAP_INNER));
    struct slice inner = send(&t, clear, 300);
    struct slice outer = packet_slice(t.a.out.to_wire[0]);
    memcpy(wire, outer.data, outer.length);
    outer.data = wire;
    CHECK(dataplane_has_notes(t.a.worker));
    CHECK(dataplane_tap_next(t.a.dp, &record));
    CHECK(record.inner && !record.inbound && same(record.data, inner));
    CHECK_EQUAL(record.spi, t.b.spi_in);
    CHECK_EQUAL(record.spi_in, t.a.spi_in);
    CHECK(dataplane_tap_next(t.a.dp, &record));
    CHECK(!record.inner && !record.inbound && !record.has_head && same(record.data, outer));
    CHECK_EQUAL(record.outer_protocol, IP_PROTOCOL_ESP);
    CHECK_EQUAL(record.original_bytes, outer.length);
    CHECK_EQUAL(record.at_ms, t.now_ms);
    CHECK(!dataplane_tap_next(t.a.dp, &record));

    testbed_carry(&t, &t.a, &t.b);
    CHECK(dataplane_tap_next(t.b.dp, &record));
    CHECK(!record.inner && record.inbound && same(record.data, outer));
    CHECK_EQUAL(record.spi, t.b.spi_in);
    CHECK_EQUAL(record.reason, DROP_NONE);
    CHECK(dataplane_tap_next(t.b.dp, &record));
    CHECK(record.inner && record.inbound && record.data.length == inner.length);
    CHECK(!dataplane_tap_next(t.b.dp, &record));
    dataplane_tap_end(t.a.dp);
    CHECK(!dataplane_tap_is_on(t.a.dp));
    testbed_close(&t);
}

TEST(only_what_is_wanted_is_copied)
{
    struct testbed t;
    struct tap_record record;
    uint8_t clear[2048];

    testbed_open(&t, 3);
    CHECK(testbed_join(&t, &plain));
    CHECK(dataplane_tap_begin(t.a.dp, 1, TAP_OUTER));
    (void)send(&t, clear, 100);
    testbed_give(&t.a);
    CHECK(dataplane_tap_next(t.a.dp, &record) && !record.inner);
    CHECK(!dataplane_tap_next(t.a.dp, &record));
    dataplane_tap_end(t.a.dp);
    CHECK(dataplane_tap_begin(t.a.dp, 1, TAP_INNER));
    (void)send(&t, clear, 100);
    testbed_give(&t.a);
    CHECK(dataplane_tap_next(t.a.dp, &record) && record.inner);
    CHECK(!dataplane_tap_next(t.a.dp, &record));
    dataplane_tap_end(t.a.dp);
    CHECK(dataplane_tap_begin(t.a.dp, 2, TAP_OUTER | TAP_INNER));
    (void)send(&t, clear, 100);
    CHECK(!dataplane_tap_next(t.a.dp, &record));
    testbed_close(&t);
}

TEST(a_forged_packet_is_marked_and_its_contents_are_not_shown)
{
    struct testbed t;
    struct tap_record record;
    uint8_t clear[2048];
    uint8_t wire[2048];

    testbed_open(&t, 4);
    CHECK(testbed_join(&t, &plain));
    CHECK(dataplane_tap_begin(t.b.dp, 1, TAP_OUTER | TAP_INNER));
    (void)send(&t, clear, 100);
    struct slice outer = packet_slice(t.a.out.to_wire[0]);
    memcpy(wire, outer.data, outer.length);
    wire[outer.length - 1] ^= 1;
    outer.data = wire;
    testbed_inbound(&t, &t.b, IP_PROTOCOL_ESP, 0, 0, outer);
    CHECK(dataplane_tap_next(t.b.dp, &record));
    CHECK(!record.inner && same(record.data, outer));
    CHECK_EQUAL(record.reason, DROP_FORGED);
    CHECK(!dataplane_tap_next(t.b.dp, &record));
    testbed_close(&t);
}

TEST(clear_text_without_an_sa_is_shown_with_the_reason_only_when_it_is_wanted)
{
    struct testbed t;
    struct tap_record record;
    uint8_t clear[2048];

    testbed_open(&t, 5);
    CHECK(dataplane_tap_begin(t.a.dp, 1, TAP_OUTER));
    (void)send(&t, clear, 100);
    CHECK(!dataplane_tap_next(t.a.dp, &record));
    dataplane_tap_end(t.a.dp);
    CHECK(dataplane_tap_begin(t.a.dp, 1, TAP_INNER));
    struct slice inner = send(&t, clear, 100);
    CHECK(dataplane_tap_next(t.a.dp, &record));
    CHECK(record.inner && record.spi == 0 && same(record.data, inner));
    CHECK_EQUAL(record.reason, DROP_NO_SA);
    testbed_close(&t);
}

TEST(what_was_refused_inside_marks_the_outer_packet_and_shows_the_inner)
{
    struct testbed t;
    struct tap_record record;
    struct ip_head head;
    uint8_t clear[2048];

    testbed_open(&t, 6);
    CHECK(testbed_join(&t, &plain));
    CHECK(dataplane_tap_begin(t.b.dp, 1, TAP_OUTER | TAP_INNER));
    struct slice inner = send(&t, clear, 100);
    CHECK(ip_read(inner, &head));
    dataplane_set_own_address(t.b.dp, &head.source);
    testbed_carry(&t, &t.a, &t.b);
    CHECK(dataplane_tap_next(t.b.dp, &record));
    CHECK(!record.inner && record.reason == DROP_SELECTOR_MISMATCH);
    CHECK(dataplane_tap_next(t.b.dp, &record));
    CHECK(record.inner && record.reason == DROP_SELECTOR_MISMATCH && same(record.data, inner));
    testbed_close(&t);
}

TEST(nothing_is_lost_while_there_is_room_and_what_is_lost_is_counted)
{
    struct testbed t;
    struct tap_record record;
    uint8_t clear[2048];
    uint64_t sent = 0;
    uint64_t taken = 0;

    testbed_open(&t, 7);
    CHECK(testbed_join(&t, &plain));
    CHECK(dataplane_tap_begin(t.a.dp, 1, TAP_OUTER));
    for (int turn = 0; turn < 20000; turn++) {
        (void)send(&t, clear, 60 + random_below(&t.random, 1300));
        testbed_give(&t.a);
        sent++;
        if (random_below(&t.random, 1000) == 0) {
            while (dataplane_tap_next(t.a.dp, &record)) {
                /* In order: the sequence number says which one it is. */
                CHECK(get_u32(record.data.data + 4) == ++taken);
            }
        }
    }
    while (dataplane_tap_next(t.a.dp, &record)) {
        CHECK(get_u32(record.data.data + 4) > taken);
        taken = get_u32(record.data.data + 4);
    }
    uint64_t lost_before = dataplane_tap_lost(t.a.dp);
    CHECK(lost_before > 0 || taken == sent);
    /* Nobody takes: what does not fit is counted, one by one. */
    uint64_t seen = 0;
    for (int turn = 0; turn < 5000; turn++) {
        (void)send(&t, clear, 1400);
        testbed_give(&t.a);
    }
    while (dataplane_tap_next(t.a.dp, &record)) {
        seen++;
    }
    CHECK(seen > 2000);
    CHECK_EQUAL(seen + dataplane_tap_lost(t.a.dp) - lost_before, 5000);
    testbed_close(&t);
}

TEST(keys_are_kept_only_where_that_was_said_before)
{
    struct testbed t;
    struct sa_raw_keys keys;

    testbed_open(&t, 8);
    CHECK(testbed_join(&t, &plain));
    CHECK(!dataplane_raw_keys(t.a.dp, t.a.spi_in, &keys));
    uint32_t before = t.a.spi_in;
    dataplane_keep_keys(t.a.dp, true);
    CHECK(testbed_join(&t, &plain));
    CHECK(dataplane_raw_keys(t.a.dp, t.a.spi_in, &keys));
    CHECK_EQUAL(keys.in.length, 20);
    CHECK_EQUAL(keys.out.length, 20);
    CHECK_EQUAL(keys.suite.encryption, ENCRYPTION_AES_GCM_16);
    CHECK(!dataplane_raw_keys(t.a.dp, before, &keys));
    dataplane_remove(t.a.dp, t.a.spi_in);
    CHECK(!dataplane_raw_keys(t.a.dp, t.a.spi_in, &keys));
    testbed_close(&t);
}
