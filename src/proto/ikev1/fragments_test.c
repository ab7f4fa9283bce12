/* Messages of phase 1 in fragments of the vendor scheme: cut, put together, and bounded. */
#include <stdlib.h>

#include "proto/ikev1/machine.h"
#include "tests/support/ikev1_pair.h"
#include "tests/support/test.h"

/* The offer of many algorithms with a large group makes messages that are long enough. */
static struct ikev1_pair *long_messages(uint64_t seed)
{
    struct ikev1_pair *p = ikev1_pair_new(seed);

    for (unsigned i = 0; i < 2; i++) {
        ikev1_pair_set_ike(p, i, "aes256-sha512-modp8192");
        p->side[i].policy.fragment_bytes = 576;
        p->side[i].responder.fragment_bytes = 576;
    }
    return p;
}

static bool is_fragment(const struct pair1_datagram *d)
{
    return d->bytes[16] == IKEV1_FRAGMENT;
}

TEST(a_long_message_goes_in_fragments_that_fit_and_comes_together_in_any_order)
{
    for (unsigned order = 0; order < 3; order++) {
        struct ikev1_pair *p = long_messages(1);
        unsigned fragments = 0;

        ikev1_pair_start(p, 0);
        while (p->queue_count > 0) {
            size_t at = order == 0 ? 0 : order == 1 ? p->queue_count - 1 : p->queue_count / 2;

            CHECK(p->queue[at].length + 28 <= 576);
            fragments += is_fragment(&p->queue[at]) ? 1 : 0;
            ikev1_pair_deliver(p, at);
        }
        CHECK_EQUAL(p->side[0].established + p->side[1].established, 2);
        CHECK(ikev1_pair_agrees(p) && ikev1_pair_packet(p, 0, "net"));
        CHECK(fragments >= 6);
        ikev1_pair_free(p);
    }
}

/* The answer is the second message and the last of the responder. */
TEST(the_answer_of_aggressive_mode_comes_in_fragments_as_well)
{
    struct ikev1_pair *p = long_messages(5);

    for (unsigned i = 0; i < 2; i++) {
        p->side[i].policy.aggressive = true;
        p->side[i].responder.aggressive = true;
    }
    ikev1_pair_start(p, 0);
    CHECK(!is_fragment(&p->queue[0]));
    ikev1_pair_deliver(p, 0);
    CHECK(p->queue_count >= 3 && is_fragment(&p->queue[0]));
    CHECK(ikev1_pair_run(p));
    CHECK_EQUAL(p->side[0].established + p->side[1].established, 2);
    CHECK(ikev1_pair_agrees(p) && ikev1_pair_packet(p, 0, "net"));
    ikev1_pair_free(p);
}

TEST(who_did_not_say_that_he_takes_them_gets_none)
{
    for (unsigned side = 0; side < 2; side++) {
        struct ikev1_pair *p = long_messages(2);

        p->side[side].policy.fragment_bytes = 0;
        p->side[side].responder.fragment_bytes = 0;
        ikev1_pair_start(p, 0);
        while (p->queue_count > 0) {
            CHECK(!is_fragment(&p->queue[0]));
            ikev1_pair_deliver(p, 0);
        }
        CHECK_EQUAL(p->side[0].established + p->side[1].established, 2);
        ikev1_pair_free(p);
    }
}

TEST(lost_and_doubled_fragments_are_made_good_with_the_message)
{
    for (unsigned lost = 2; lost < 10; lost++) {
        struct ikev1_pair *p = long_messages(3);
        unsigned sent = 0;

        ikev1_pair_start(p, 0);
        while (p->queue_count > 0) {
            if (sent++ == lost) {
                ikev1_pair_drop(p, 0);
            } else {
                ikev1_pair_deliver_copy(p, 0);
                ikev1_pair_deliver(p, 0);
            }
        }
        ikev1_pair_advance(p, 2500);
        CHECK_EQUAL(p->side[0].established + p->side[1].established, 2);
        CHECK(ikev1_pair_agrees(p) && ikev1_pair_packet(p, 1, "net"));
        ikev1_pair_free(p);
    }
}

/* With certificates in it message 2 is long; here a large group makes it so. */
TEST(message_2_of_aggressive_mode_comes_in_fragments_where_we_said_that_we_take_them)
{
    for (unsigned said = 0; said < 2; said++) {
        struct ikev1_pair *p = long_messages(5);
        unsigned fragments = 0;

        for (unsigned i = 0; i < 2; i++) {
            p->side[i].policy.aggressive = true;
            p->side[i].responder.aggressive = true;
        }
        ikev1_pair_start(p, 0);
        ikev1_pair_deliver(p, 0);
        CHECK(p->queue_count >= 3);
        if (said == 0) {
            p->side[0].policy.no_vendor_ids = true;
        }
        while (p->queue_count > 0) {
            fragments += is_fragment(&p->queue[p->queue_count - 1]) ? 1 : 0;
            ikev1_pair_deliver(p, p->queue_count - 1);
        }
        CHECK(fragments >= 3);
        CHECK_EQUAL(p->side[0].established + p->side[1].established, said == 0 ? 0 : 2);
        ikev1_pair_free(p);
    }
}

static void inject_fragment(struct ikev1_pair *p, const struct ikev1_sa_info *info, uint16_t id,
                            uint8_t number, bool last, size_t length)
{
    static uint8_t data[2048];
    uint8_t bytes[4096];
    struct writer w = writer_over(bytes, sizeof(bytes));
    struct ikev1_header h = {.cookie_i = info->spi_i,
                             .cookie_r = info->spi_r,
                             .next_payload = IKEV1_FRAGMENT,
                             .version = IKEV1_VERSION_1_0,
                             .exchange = IKEV1_MAIN};
    struct ikev1_fragment_payload f = {
        .identifier = id, .number = number, .last = last, .data = {data, length}};
    uint8_t first;

    ikev1_write_header(&w, &h);
    struct ikev1_chain chain = ikev1_chain_over(&w, &first);

    ikev1_begin_payload(&chain, IKEV1_FRAGMENT);
    ikev1_write_fragment(&w, &f);
    ikev1_end_payload(&chain);
    ikev1_finish_message(&w);
    ikev1_pair_inject(p, 1, &p->side[1].endpoint, &p->side[0].endpoint, writer_written(&w));
}

TEST(what_is_kept_of_fragments_is_little_and_not_for_long)
{
    struct ikev1_pair *p = long_messages(4);
    struct ikev1_sa_info info;

    ikev1_pair_start(p, 0);
    ikev1_pair_deliver(p, 0);
    struct ikev1_sa *sa = p->side[1].machines[0].sa;
    const struct ikev1_fragments *kept = &sa->ikes->fragments;

    ikev1_sa_get_info(sa, &info);
    for (unsigned i = 0; i < 300; i++) {
        inject_fragment(p, &info, 7, (uint8_t)(i % 255 + 1), false, 1000);
        CHECK(kept->bytes <= 16384);
    }
    CHECK(kept->bytes >= 15000);
    /* Another message takes their place. */
    inject_fragment(p, &info, 8, 3, true, 100);
    CHECK_EQUAL(kept->bytes, 100);
    inject_fragment(p, &info, 8, 4, false, 100); /* behind the last */
    inject_fragment(p, &info, 8, 3, true, 200); /* is there */
    CHECK_EQUAL(kept->bytes, 100);
    ikev1_pair_advance(p, 5001);
    CHECK_EQUAL(kept->bytes, 0);
    /* Zeros, put together, are no message. */
    inject_fragment(p, &info, 9, 1, false, 100);
    inject_fragment(p, &info, 9, 2, true, 100);
    CHECK_EQUAL(kept->bytes, 0);
    ikev1_pair_free(p);
}
