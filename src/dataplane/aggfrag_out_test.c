/* The sending side of IP-TFS: what is in its payloads, octet by octet. */
#include "dataplane/aggfrag_out.h"

#include "dataplane/aggfrag_testbed.h"
#include "tests/support/test.h"
#include "wire/aggfrag.h"

static uint8_t packet[AGGFRAG_PACKET_BYTES_MAX];
static uint8_t payload[2000];

static const struct aggfrag_settings plain = {.enabled = true, .rate_bits = 1000000};

static void push(struct aggfrag_out *out, uint8_t version, uint32_t length)
{
    inner_make(packet, version, length, length);
    CHECK_EQUAL(aggfrag_out_push(out, (struct slice){packet, length}), AGGFRAG_QUEUED);
}

static uint16_t block_offset(void)
{
    return get_u16(payload + 2);
}

/* RFC 9347 appendix A. */
TEST(the_example_of_the_rfc_has_its_block_offsets)
{
    static const uint32_t lengths[] = {750, 750, 60, 240, 3000};
    static const uint16_t offsets[] = {0, 100, 2000, 600};
    struct aggfrag_out out;

    CHECK(aggfrag_out_init(&out, &plain, 1500, 1404, 0));
    for (size_t i = 0; i < ARRAY_LENGTH(lengths); i++) {
        push(&out, 4, lengths[i]);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(offsets); i++) {
        CHECK_EQUAL(aggfrag_fill(&out, i, payload, 1404), i < 3 ? 1400 : 600);
        CHECK_EQUAL(payload[0], 0);
        CHECK_EQUAL(payload[1], 0);
        CHECK_EQUAL(block_offset(), offsets[i]);
    }
    CHECK_EQUAL(payload[4 + 600], 0); /* the pad block, to the end */
    CHECK_EQUAL(payload[1403], 0);
    CHECK_EQUAL(aggfrag_fill(&out, 9, payload, 1404), 0);
    CHECK_EQUAL(block_offset(), 0);
    CHECK_EQUAL(out.counters.all_pad, 1);
    CHECK_EQUAL(out.counters.payloads, 5);
    CHECK_EQUAL(out.counters.packets, 5);
    CHECK_EQUAL(out.counters.packet_bytes, 4800);
    aggfrag_out_fini(&out);
    aggfrag_out_fini(&out);
}

TEST(an_idle_payload_is_a_head_and_zeros_of_any_size)
{
    struct aggfrag_out out;

    CHECK(aggfrag_out_init(&out, &plain, 1500, 1404, 0));
    for (size_t size = 4 + AGGFRAG_DATA_BYTES_MIN; size <= sizeof(payload); size++) {
        memset(payload, 0xff, sizeof(payload));
        CHECK_EQUAL(aggfrag_fill(&out, 0, payload, size), 0);
        for (size_t i = 0; i < size; i++) {
            CHECK_EQUAL(payload[i], 0);
        }
        CHECK(size == sizeof(payload) || payload[size] == 0xff);
    }
    aggfrag_out_fini(&out);
}

/* A first fragment tells the length: with less room the payload is padded. */
TEST(no_packet_begins_where_its_length_does_not_fit)
{
    for (uint32_t room = 0; room < 12; room++) {
        struct aggfrag_out out;
        uint32_t begun = room >= 6 ? room : 0;

        CHECK(aggfrag_out_init(&out, &plain, 1500, 1404, 0));
        push(&out, 4, 1400 - room);
        push(&out, 6, 100);
        CHECK_EQUAL(aggfrag_fill(&out, 0, payload, 1404), 1400 - room + begun);
        CHECK_EQUAL(aggfrag_fill(&out, 0, payload, 1404), 100 - begun);
        CHECK_EQUAL(block_offset(), begun > 0 ? 100 - begun : 0);
        aggfrag_out_fini(&out);
    }
}

TEST(without_fragments_every_packet_lies_in_one_payload)
{
    struct aggfrag_settings settings = plain;
    struct aggfrag_out out;

    settings.dont_fragment = true;
    CHECK(aggfrag_out_init(&out, &settings, 1500, 1404, 0));
    CHECK_EQUAL(aggfrag_out_packet_bytes_max(&out), 1400);
    inner_make(packet, 4, 1401, 0);
    CHECK_EQUAL(aggfrag_out_push(&out, (struct slice){packet, 1401}), AGGFRAG_TOO_BIG);
    push(&out, 4, 1000);
    push(&out, 4, 401);
    push(&out, 4, 900);
    push(&out, 4, 99);
    CHECK_EQUAL(aggfrag_fill(&out, 0, payload, 1404), 1000);
    CHECK_EQUAL(block_offset(), 0);
    CHECK_EQUAL(aggfrag_fill(&out, 0, payload, 1404), 1400);
    CHECK_EQUAL(block_offset(), 0);
    /* The path has become narrower: what does not fit any more is dropped, the rest goes. */
    push(&out, 4, 1300);
    push(&out, 4, 700);
    aggfrag_out_resize(&out, 1100, 1004);
    CHECK_EQUAL(aggfrag_out_packet_bytes_max(&out), 1000);
    CHECK_EQUAL(aggfrag_fill(&out, 0, payload, 1004), 700);
    CHECK_EQUAL(out.counters.too_big, 2);
    aggfrag_out_fini(&out);
}

TEST(what_the_peer_could_not_cut_is_not_taken)
{
    struct aggfrag_out out;

    CHECK(aggfrag_out_init(&out, &plain, 1500, 1404, 0));
    for (uint32_t length = 0; length < 200; length++) {
        inner_make(packet, 4, 100, 0);
        CHECK_EQUAL(aggfrag_out_push(&out, (struct slice){packet, length}),
                    length == 100 ? AGGFRAG_QUEUED : AGGFRAG_NOT_IP);
        inner_make(packet, 6, 100, 0);
        CHECK_EQUAL(aggfrag_out_push(&out, (struct slice){packet, length}),
                    length == 100 ? AGGFRAG_QUEUED : AGGFRAG_NOT_IP);
    }
    for (uint8_t version = 0; version < 16; version++) {
        inner_make(packet, 4, 100, 0);
        packet[0] = (uint8_t)(version << 4 | 5);
        packet[4] = 0;
        packet[5] = 60;
        CHECK_EQUAL(aggfrag_out_push(&out, (struct slice){packet, 100}),
                    version == 4 || version == 6 ? AGGFRAG_QUEUED : AGGFRAG_NOT_IP);
    }
    aggfrag_out_fini(&out);
}

TEST(the_queue_is_bounded_in_octets_and_in_packets)
{
    struct aggfrag_settings settings = plain;
    struct aggfrag_out out;
    uint32_t taken = 0;

    settings.queue_bytes = 100000;
    CHECK(aggfrag_out_init(&out, &settings, 1500, 1404, 0));
    inner_make(packet, 4, 1000, 0);
    while (aggfrag_out_push(&out, (struct slice){packet, 1000}) == AGGFRAG_QUEUED) {
        taken++;
    }
    CHECK_EQUAL(taken, 100);
    CHECK_EQUAL(out.counters.queue_full, 1);
    aggfrag_out_fini(&out);
    CHECK(aggfrag_out_init(&out, &settings, 1500, 1404, 0));
    taken = 0;
    inner_make(packet, 4, 20, 0);
    while (aggfrag_out_push(&out, (struct slice){packet, 20}) == AGGFRAG_QUEUED) {
        taken++;
    }
    CHECK_EQUAL(taken, 100000 / 64 + 1);
    aggfrag_out_fini(&out);
}

TEST(the_default_queue_holds_a_tenth_of_a_second)
{
    static const struct {
        uint64_t rate_bits;
        uint32_t bytes;
    } rows[] = {{1000000, 65536}, {80000000, 1000000}, {10000000000, 4194304}};

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct aggfrag_settings settings = plain;
        struct aggfrag_out out;

        settings.rate_bits = rows[i].rate_bits;
        CHECK(aggfrag_out_init(&out, &settings, 1500, 1404, 0));
        CHECK_EQUAL(out.ring_bytes, rows[i].bytes);
        aggfrag_out_fini(&out);
    }
}

TEST(who_is_to_report_writes_the_long_head)
{
    struct aggfrag_settings settings = plain;
    struct aggfrag_out out;
    struct aggfrag_head head;
    struct slice blocks;
    const struct aggfrag_news news = {.arrived_us = 5000000,
                                      .loss_inverse = 77,
                                      .techo = 4900000,
                                      .echo_delay_us = 20000,
                                      .transmit_delay_us = 1000,
                                      .tval = 12345,
                                      .tval_arrived_us = 5000000,
                                      .lost_inverse = 99};

    settings.congestion_reports = true;
    settings.rate_bits = 1200000; /* 100 packets a second */
    CHECK(aggfrag_out_init(&out, &settings, 1500, 1404, 0));
    push(&out, 4, 2000);
    CHECK_EQUAL(aggfrag_fill(&out, 4000000, payload, 1404), 1380);
    CHECK(aggfrag_read((struct slice){payload, 1404}, &head, &blocks));
    CHECK_EQUAL(payload[0], 1);
    CHECK_EQUAL(head.loss_event_rate, 0);
    CHECK_EQUAL(head.rtt_us, 0);
    CHECK_EQUAL(head.value, 4000000);
    CHECK_EQUAL(head.echo, 0);
    CHECK_EQUAL(head.echo_delay_us, 0);
    CHECK_EQUAL(head.transmit_delay_us, 10000);
    aggfrag_out_hear(&out, &news);
    CHECK_EQUAL(aggfrag_fill(&out, 5000300, payload, 1404), 620);
    CHECK(aggfrag_read((struct slice){payload, 1404}, &head, &blocks));
    CHECK_EQUAL(head.block_offset, 620);
    CHECK_EQUAL(head.loss_event_rate, 99);
    CHECK_EQUAL(head.rtt_us, 80000); /* 5.0 s - 4.9 s - 20 ms, more than 10 ms and 1 ms */
    CHECK_EQUAL(head.echo, 12345);
    CHECK_EQUAL(head.echo_delay_us, 300);
    CHECK_EQUAL(out.pace.rate_bits, 1200000); /* it reports, and keeps its rate */
    aggfrag_out_fini(&out);
}

/* RFC 9347 3: the round trip is never less than the time between packets of both ends. */
TEST(a_slow_tunnel_has_a_long_round_trip)
{
    struct aggfrag_settings settings = plain;
    struct aggfrag_out out;
    struct aggfrag_news news = {.arrived_us = 5000000, .techo = 4990000, .transmit_delay_us = 3000};

    settings.congestion_reports = true;
    settings.rate_bits = 120000; /* ten packets a second */
    CHECK(aggfrag_out_init(&out, &settings, 1500, 1404, 0));
    aggfrag_out_hear(&out, &news);
    CHECK_EQUAL(out.tfrc.rtt_us, 103000);
    aggfrag_out_fini(&out);
}

TEST(what_measures_nothing_is_not_a_round_trip)
{
    static const struct aggfrag_news rows[] = {
        {.arrived_us = 5000000, .techo = 0},
        {.arrived_us = 5000000, .techo = 4990000, .echo_delay_us = 10001}, /* before it was sent */
        {.arrived_us = 5000000, .techo = 1, .echo_delay_us = 0x1fffff}, /* or longer */
        {.arrived_us = 5000000, .techo = 5000001}, /* from the future */
        {.arrived_us = 0, .techo = 4990000}, /* nothing came */
    };
    struct aggfrag_settings settings = plain;

    settings.congestion_control = true;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct aggfrag_out out;

        CHECK(aggfrag_out_init(&out, &settings, 1500, 1404, 0));
        aggfrag_out_hear(&out, &rows[i]);
        CHECK_EQUAL(out.tfrc.rtt_us, 0);
        aggfrag_out_fini(&out);
    }
}

/* RFC 9347 2.2.3: fragments of a packet never lie in two SAs. */
TEST(a_new_sa_takes_over_between_two_packets)
{
    struct aggfrag_out old;
    struct aggfrag_out next;

    CHECK(aggfrag_out_init(&old, &plain, 1500, 1404, 0));
    CHECK(aggfrag_out_init(&next, &plain, 1500, 1404, 0));
    push(&old, 4, 4000);
    push(&old, 4, 500);
    push(&old, 6, 600);
    CHECK_EQUAL(aggfrag_fill(&old, 0, payload, 1404), 1400);
    uint64_t due_us = aggfrag_next_us(&old);

    aggfrag_out_take_over(&next, &old);
    CHECK(aggfrag_next_us(&old) == NEVER_US);
    CHECK_EQUAL(aggfrag_next_us(&next), due_us);
    CHECK(aggfrag_out_is_midway(&old));
    aggfrag_finish(&old, &next, due_us, payload, 1404);
    CHECK_EQUAL(block_offset(), 2600);
    CHECK(aggfrag_out_is_midway(&old));
    CHECK_EQUAL(aggfrag_next_us(&next), 2 * due_us);
    aggfrag_finish(&old, &next, 2 * due_us, payload, 1404);
    CHECK_EQUAL(block_offset(), 1200);
    CHECK_EQUAL(payload[4 + 1200], 0); /* no other packet begins */
    CHECK(!aggfrag_out_is_midway(&old));
    CHECK_EQUAL(aggfrag_fill(&next, 3 * due_us, payload, 1404), 1100);
    CHECK_EQUAL(block_offset(), 0);
    inner_make(packet, 4, 500, 500);
    CHECK_BYTES(payload + 4, packet, 500);
    inner_make(packet, 6, 600, 600);
    CHECK_BYTES(payload + 504, packet, 600);
    aggfrag_out_fini(&old);
    aggfrag_out_fini(&next);
}

TEST(settings_without_a_rate_or_with_a_window_too_large_are_refused)
{
    struct aggfrag_settings settings = {.enabled = true};

    CHECK(!aggfrag_settings_are_good(&settings));
    settings.congestion_control = true;
    CHECK(aggfrag_settings_are_good(&settings));
    settings.reorder_window = AGGFRAG_REORDER_MAX + 1;
    CHECK(!aggfrag_settings_are_good(&settings));
    settings.reorder_window = AGGFRAG_REORDER_OFF;
    CHECK(aggfrag_settings_are_good(&settings));
    settings.rate_bits = 1000;
    settings.rate_bits_min = 1001;
    CHECK(!aggfrag_settings_are_good(&settings));
}
