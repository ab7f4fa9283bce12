/* The receiving side of IP-TFS, with payloads made by hand. */
#include "dataplane/aggfrag_in.h"

#include <stdlib.h>

#include "dataplane/aggfrag_testbed.h"
#include "tests/support/test.h"
#include "wire/aggfrag.h"

static struct aggfrag_in in;
static struct slice got;
static uint8_t a[3000];
static uint8_t b[3000];

static void open_with(uint16_t window)
{
    const struct aggfrag_settings settings = {
        .enabled = true, .rate_bits = 1, .reorder_window = window};

    CHECK(aggfrag_in_init(&in, &settings));
}

static void close_it(void)
{
    aggfrag_in_fini(&in);
    aggfrag_in_fini(&in);
}

/* A payload of exactly its size, so that the sanitizer sees one octet too far. */
struct made {
    uint8_t *data;
    size_t length;
};

static struct made make(uint16_t offset, struct slice first, struct slice second)
{
    struct made m = {malloc(4 + first.length + second.length), 4 + first.length + second.length};
    struct writer w = writer_over(m.data, m.length);
    uint8_t head[AGGFRAG_CONTROL_HEAD_BYTES];

    aggfrag_write_head(head, &(struct aggfrag_head){.block_offset = offset});
    write_slice(&w, (struct slice){head, AGGFRAG_HEAD_BYTES});
    write_slice(&w, first);
    write_slice(&w, second);
    CHECK(writer_ok(&w));
    return m;
}

static enum aggfrag_arrival push_at(uint64_t sequence, uint64_t now_us, struct made m)
{
    return aggfrag_in_push(&in, sequence, (struct slice){m.data, m.length}, now_us);
}

static struct slice part(const uint8_t *bytes, size_t from, size_t to)
{
    return (struct slice){bytes + from, to - from};
}

#define NOTHING ((struct slice){NULL, 0})

static void check_next(const uint8_t *bytes, size_t length)
{
    CHECK(aggfrag_in_next(&in, &got));
    CHECK_EQUAL(got.length, length);
    CHECK_BYTES(got.data, bytes, length);
}

static void check_none(void)
{
    CHECK(!aggfrag_in_next(&in, &got));
}

/* One packet, cut at each place into two payloads, a second one behind it, with and without an
 * all-pad payload in between (RFC 9347 2.2.3). */
TEST(a_packet_may_be_cut_anywhere)
{
    static const uint8_t zeros[100];

    for (uint8_t version = 4; version <= 6; version += 2) {
        for (size_t cut = 1; cut < 90; cut++) {
            for (uint64_t pads = 0; pads < 2; pads++) {
                inner_make(a, version, 90, 1);
                inner_make(b, 10 - version, 70, 2);
                struct made first = make(0, part(a, 0, cut), NOTHING);
                struct made pad = make(0, part(zeros, 0, 100), NOTHING);
                struct made second = make((uint16_t)(90 - cut), part(a, cut, 90), part(b, 0, 70));

                open_with(0);
                CHECK_EQUAL(push_at(1, 0, first), AGGFRAG_TAKEN);
                check_none();
                if (pads > 0) {
                    CHECK_EQUAL(push_at(2, 0, pad), AGGFRAG_TAKEN);
                    check_none();
                }
                CHECK_EQUAL(push_at(2 + pads, 0, second), AGGFRAG_TAKEN);
                check_next(a, 90);
                check_next(b, 70);
                check_none();
                CHECK_EQUAL(in.counters.all_pad, pads);
                CHECK_EQUAL(in.counters.malformed + in.counters.incomplete, 0);
                close_it();
                free(first.data);
                free(pad.data);
                free(second.data);
            }
        }
    }
}

/* Octet by octet: fragments so small that nothing can be told for a while. */
TEST(a_packet_may_come_in_single_octets)
{
    for (uint8_t version = 4; version <= 6; version += 2) {
        inner_make(a, version, 60, 3);
        open_with(0);
        for (size_t i = 0; i < 60; i++) {
            struct made m = make((uint16_t)(i == 0 ? 0 : 60 - i), part(a, i, i + 1), NOTHING);

            CHECK_EQUAL(push_at(i + 1, 0, m), AGGFRAG_TAKEN);
            if (i < 59) {
                check_none();
            }
            if (i == 59) {
                check_next(a, 60);
                check_none();
            }
            free(m.data);
        }
        close_it();
    }
}

/* RFC 9347 2.5: the packet goes, the offset is obeyed. */
TEST(a_block_offset_that_disagrees_costs_one_packet)
{
    inner_make(a, 4, 100, 1);
    inner_make(b, 6, 80, 2);
    for (uint16_t offset = 0; offset <= 60; offset++) {
        /* From octet 60 on 40 are missing; `offset` octets of them come, then b. */
        struct made first = make(0, part(a, 0, 60), NOTHING);
        struct made second = make(offset, part(a, 60, 60 + (offset < 40 ? offset : 40)),
                                  offset <= 40 ? part(b, 0, 80) : NOTHING);

        open_with(0);
        CHECK_EQUAL(push_at(1, 0, first), AGGFRAG_TAKEN);
        check_none();
        CHECK_EQUAL(push_at(2, 0, second), AGGFRAG_TAKEN);
        if (offset == 40) {
            check_next(a, 100);
        }
        if (offset <= 40) {
            check_next(b, 80);
        }
        check_none();
        CHECK_EQUAL(in.counters.incomplete, offset == 40 ? 0 : 1);
        close_it();
        free(first.data);
        free(second.data);
    }
}

/* A fragment too small to tell a length, and an offset that does not fit the head that follows. */
TEST(a_length_that_comes_late_is_compared_with_the_offset)
{
    inner_make(a, 4, 100, 1);
    for (uint16_t offset = 1; offset <= 150; offset++) { /* 0 is an all-pad payload */
        struct made first = make(0, part(a, 0, 2), NOTHING);
        struct made second = make(offset, part(a, 2, 100), NOTHING);

        open_with(0);
        CHECK_EQUAL(push_at(1, 0, first), AGGFRAG_TAKEN);
        check_none();
        CHECK_EQUAL(push_at(2, 0, second), AGGFRAG_TAKEN);
        if (offset == 98) {
            check_next(a, 100);
        }
        while (aggfrag_in_next(&in, &got)) { /* what the offset made of the middle of a packet */
        }
        CHECK_EQUAL(in.counters.incomplete, offset == 98 ? 0 : 1);
        close_it();
        free(first.data);
        free(second.data);
    }
}

TEST(blocks_of_other_types_and_impossible_lengths_end_the_payload)
{
    for (unsigned first = 0; first < 256; first++) {
        unsigned type = first >> 4;
        /* An IPv4 header of 5 to 10 words fits into 40 octets. */
        bool good = type == 6 || (first >= 0x45 && first <= 0x4a);

        inner_make(a, 4, 40, 1);
        inner_make(b, 4, 40, 2);
        b[0] = (uint8_t)first;
        put_u16(b + 4, 0);
        struct made m = make(0, part(a, 0, 40), part(b, 0, 40));

        open_with(0);
        CHECK_EQUAL(push_at(1, 0, m), AGGFRAG_TAKEN);
        check_next(a, 40);
        if (good) {
            check_next(b, 40);
        }
        check_none();
        CHECK_EQUAL(in.counters.malformed, good || type == 0 ? 0 : 1);
        close_it();
        free(m.data);
    }
}

TEST(every_truncation_is_read_without_harm)
{
    inner_make(a, 4, 100, 1);
    inner_make(b, 6, 100, 2);
    struct made m = make(0, part(a, 0, 100), part(b, 0, 100));

    for (size_t length = 0; length <= m.length; length++) {
        uint8_t *exact = malloc(length > 0 ? length : 1);
        memcpy(exact, m.data, length);
        open_with(0);
        CHECK_EQUAL(aggfrag_in_push(&in, 1, (struct slice){exact, length}, 0),
                    length < 4 ? AGGFRAG_SHORT : AGGFRAG_TAKEN);
        if (length >= 104) {
            check_next(a, 100);
        }
        if (length == m.length) {
            check_next(b, 100);
        }
        check_none();
        close_it();
        free(exact);
    }
    for (size_t length = 1; length <= 24; length++) {
        uint8_t *exact = calloc(1, length);

        exact[0] = 1;
        open_with(0);
        CHECK_EQUAL(aggfrag_in_push(&in, 1, (struct slice){exact, length}, 0),
                    length < 24 ? AGGFRAG_SHORT : AGGFRAG_TAKEN);
        check_none();
        exact[0] = 2;
        CHECK_EQUAL(aggfrag_in_push(&in, 2, (struct slice){exact, length}, 0),
                    AGGFRAG_UNKNOWN_TYPE);
        check_none();
        close_it();
        free(exact);
    }
    free(m.data);
}

/* --- order and loss --- */

static struct made whole(uint32_t seed)
{
    static uint8_t bytes[60];

    inner_make(bytes, 4, 60, seed);
    return make(0, part(bytes, 0, 60), NOTHING);
}

static void arrives(uint64_t sequence, uint64_t now_us)
{
    struct made m = whole((uint32_t)sequence);

    CHECK_EQUAL(push_at(sequence, now_us, m), AGGFRAG_TAKEN);
    /* What waits has been copied. */
    if (in.direct.sequence == 0) {
        memset(m.data, 0xee, m.length);
    }
    free(in.direct.sequence == 0 ? m.data : NULL);
    if (in.direct.sequence != 0) {
        static uint8_t *last;
        free(last);
        last = m.data;
    }
}

static void check_is(uint64_t sequence)
{
    uint8_t bytes[60];

    inner_make(bytes, 4, 60, (uint32_t)sequence);
    check_next(bytes, 60);
}

TEST(a_gap_is_given_up_when_the_window_has_passed)
{
    open_with(0);
    arrives(1, 0);
    check_is(1);
    check_none();
    arrives(3, 0);
    check_none();
    arrives(5, 0);
    check_none();
    arrives(4, 0);
    check_none();
    arrives(6, 0); /* 2 is more than three before it */
    check_is(3);
    check_is(4);
    check_is(5);
    check_is(6);
    check_none();
    CHECK_EQUAL(in.counters.lost, 1);
    struct made late = whole(2);

    CHECK_EQUAL(push_at(2, 0, late), AGGFRAG_LATE);
    CHECK_EQUAL(in.counters.late, 1);
    free(late.data);
    arrives(100, 0); /* a long gap: 97 to 99 may still come */
    check_none();
    arrives(98, 0);
    check_none();
    arrives(97, 0);
    check_is(97);
    check_is(98);
    check_none();
    arrives(99, 0);
    check_is(99);
    check_is(100);
    check_none();
    CHECK_EQUAL(in.counters.lost, 91);
    close_it();
}

/* RFC 9347 2.2.3: the lost packet timer. */
TEST(a_gap_is_given_up_after_a_time)
{
    open_with(0);
    CHECK(aggfrag_in_next_us(&in) == NEVER_US);
    arrives(2, 1000);
    check_none();
    arrives(4, 3000);
    check_none();
    CHECK_EQUAL(aggfrag_in_next_us(&in), 1000 + AGGFRAG_LOST_AFTER_US);
    aggfrag_in_time(&in, 1000 + AGGFRAG_LOST_AFTER_US - 1);
    check_none();
    aggfrag_in_time(&in, 1000 + AGGFRAG_LOST_AFTER_US);
    check_is(2);
    check_none();
    CHECK_EQUAL(aggfrag_in_next_us(&in), 3000 + AGGFRAG_LOST_AFTER_US);
    aggfrag_in_time(&in, 3000 + AGGFRAG_LOST_AFTER_US);
    check_is(4);
    check_none();
    CHECK(aggfrag_in_next_us(&in) == NEVER_US);
    CHECK_EQUAL(in.counters.lost, 2);
    /* What came first decides, wherever it stands in the order. */
    arrives(8, 100000);
    check_none();
    arrives(6, 140000);
    check_none();
    aggfrag_in_time(&in, 100000 + AGGFRAG_LOST_AFTER_US);
    check_is(6);
    check_is(8);
    check_none();
    CHECK(aggfrag_in_next_us(&in) == NEVER_US);
    close_it();
}

TEST(without_a_window_nothing_waits)
{
    open_with(AGGFRAG_REORDER_OFF);
    arrives(2, 0);
    check_is(2);
    check_none();
    arrives(9, 0);
    check_is(9);
    check_none();
    CHECK_EQUAL(in.counters.lost, 7);
    close_it();
}

/* All orders of seven payloads, each at most three places early: nothing is lost. */
TEST(every_order_within_the_window_is_put_right)
{
    for (unsigned code = 0; code < 4 * 4 * 4 * 4 * 4; code++) {
        uint64_t left[7] = {1, 2, 3, 4, 5, 6, 7};
        size_t count = 7;
        unsigned choices = code;
        uint64_t expected = 1;

        open_with(0);
        while (count > 0) {
            size_t pick = choices % 4 < count && left[choices % 4] <= left[0] + 3 ? choices % 4 : 0;

            choices /= 4;
            arrives(left[pick], 0);
            memmove(left + pick, left + pick + 1, (count - pick - 1) * sizeof(left[0]));
            count--;
            while (aggfrag_in_next(&in, &got)) {
                uint8_t bytes[60];
                inner_make(bytes, 4, 60, (uint32_t)expected);
                CHECK_BYTES(got.data, bytes, 60);
                expected++;
            }
        }
        CHECK_EQUAL(expected, 8);
        CHECK_EQUAL(in.counters.lost, 0);
        close_it();
    }
}

TEST(a_payload_too_long_to_be_kept_does_not_wait)
{
    static uint8_t big[AGGFRAG_HELD_BYTES_MAX + 1];

    inner_make(big, 4, sizeof(big), 1);
    struct made m = make(0, part(big, 0, sizeof(big)), NOTHING);

    open_with(0);
    CHECK_EQUAL(push_at(3, 0, m), AGGFRAG_TAKEN);
    check_next(big, sizeof(big));
    check_none();
    CHECK_EQUAL(in.counters.lost, 2);
    free(m.data);
    close_it();
}

/* --- congestion --- */

static void arrives_with(uint64_t sequence, uint64_t now_us, const struct aggfrag_head *head)
{
    uint8_t bytes[AGGFRAG_CONTROL_HEAD_BYTES];

    aggfrag_write_head(bytes, head);
    CHECK_EQUAL(aggfrag_in_push(&in, sequence, SLICE_OF(bytes), now_us), AGGFRAG_TAKEN);
    check_none();
}

/* RFC 9347 3: the same TVal again does not change since when it is here, an older one nothing. */
TEST(the_newest_tval_is_told_with_the_time_of_its_first_arrival)
{
    struct aggfrag_head head = {.has_control = true,
                                .loss_event_rate = 1000,
                                .rtt_us = 30000,
                                .echo_delay_us = 11,
                                .transmit_delay_us = 22,
                                .value = 500,
                                .echo = 600};
    struct aggfrag_news news;

    open_with(0);
    CHECK(!aggfrag_in_news(&in, &news));
    arrives_with(1, 1000, &head);
    CHECK(aggfrag_in_news(&in, &news));
    CHECK_EQUAL(news.arrived_us, 1000);
    CHECK_EQUAL(news.loss_inverse, 1000);
    CHECK_EQUAL(news.techo, 600);
    CHECK_EQUAL(news.echo_delay_us, 11);
    CHECK_EQUAL(news.transmit_delay_us, 22);
    CHECK_EQUAL(news.tval, 500);
    CHECK_EQUAL(news.tval_arrived_us, 1000);
    CHECK_EQUAL(news.lost_inverse, 0);
    arrives_with(2, 2000, &head);
    head.value = 501;
    arrives_with(4, 3000, &head);
    head.value = 400;
    arrives_with(3, 4000, &head);
    CHECK(aggfrag_in_news(&in, &news));
    CHECK_EQUAL(news.arrived_us, 3000);
    CHECK_EQUAL(news.tval, 501);
    CHECK_EQUAL(news.tval_arrived_us, 3000);
    CHECK_EQUAL(in.rtt_us, 30000);
    close_it();
}

TEST(losses_are_told_but_not_those_before_a_probe)
{
    struct aggfrag_head head = {.has_control = true, .rtt_us = 1000};
    struct aggfrag_news news;

    open_with(AGGFRAG_REORDER_OFF);
    for (uint64_t sequence = 1; sequence <= 1000; sequence++) {
        head.probing = sequence == 500 || sequence == 600;
        if (sequence == 499 || sequence == 599) {
            continue;
        }
        arrives_with(sequence, sequence * 10000, &head);
    }
    CHECK(aggfrag_in_news(&in, &news));
    CHECK_EQUAL(in.counters.lost, 2);
    CHECK_EQUAL(news.lost_inverse, 0);
    head.probing = false;
    for (uint64_t sequence = 1001; sequence <= 2000; sequence++) {
        if (sequence % 50 != 0) {
            arrives_with(sequence, sequence * 10000, &head);
        }
    }
    CHECK(aggfrag_in_news(&in, &news));
    CHECK_EQUAL(news.lost_inverse, 50);
    static struct aggfrag_in next;
    const struct aggfrag_settings settings = {.enabled = true, .rate_bits = 1};

    CHECK(aggfrag_in_init(&next, &settings));
    aggfrag_in_take_over(&next, &in);
    CHECK(aggfrag_in_news(&next, &news));
    CHECK_EQUAL(news.lost_inverse, 50);
    aggfrag_in_fini(&next);
    close_it();
}
