/* Quick crash detection: only the token of this very IKE SA ends it. */
#include "proto/ikev2/crash.h"

#include <string.h>

#include "proto/ikev2/machine.h"
#include "tests/support/ikev2_pair.h"
#include "tests/support/test.h"

static const uint8_t secrets[2][IKEV2_CRASH_SECRET_BYTES] = {{1}, {2}};

static struct ikev2_pair *up(uint64_t seed, bool first, bool second)
{
    struct ikev2_pair *p = ikev2_pair_new(seed);

    p->side[0].crash_secret = first ? secrets[0] : NULL;
    p->side[1].crash_secret = second ? secrets[1] : NULL;
    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    CHECK(p->side[0].established == 1 && p->side[1].established == 1);
    return p;
}

/* What a process with the secret of `side` answers to a question in the IKE SA of before. */
static struct slice answer(struct ikev2_pair *p, unsigned side, uint8_t out[256])
{
    struct ikev2_gate gate;
    struct ikev2_sa_info info;
    struct writer w = writer_over(out, 256);
    uint8_t question[60] = {0};
    struct writer q = writer_over(question, sizeof(question));

    ikev2_sa_get_info(p->side[1 - side].sa, &info);
    ikev2_gate_init(&gate, &p->side[side].random, p->now_ms);
    gate.crash_secret = p->side[side].crash_secret;
    const struct ikev2_header header = {
        .spi_i = info.spi_i,
        .spi_r = info.spi_r,
        .next_payload = IKEV2_SK,
        .version = 0x20,
        .exchange = IKEV2_INFORMATIONAL,
        .flags = info.initiator ? IKEV2_FLAG_INITIATOR : 0,
        .message_id = 2,
        .length = sizeof(question),
    };

    ikev2_write_header(&q, &header);
    CHECK_EQUAL(ikev2_gate_admit(&gate, SLICE_OF(question), &p->side[side].endpoint,
                                 &p->side[1 - side].endpoint, false, p->now_ms,
                                 &p->side[side].random, &w),
                IKEV2_GATE_REPLY);
    return writer_written(&w);
}

static bool hears(struct ikev2_pair *p, unsigned side, struct slice message)
{
    p->actions->count = 0;
    return ikev2_sa_hear_crash(p->side[side].sa, message, p->now_ms, p->actions);
}

TEST(who_lost_the_ike_sa_proves_it_in_both_roles)
{
    for (unsigned side = 0; side < 2; side++) {
        struct ikev2_pair *p = up(1 + side, side == 0, side == 1);
        uint8_t bytes[256];
        struct slice told = answer(p, side, bytes);

        CHECK(hears(p, 1 - side, told));
        bool closed = false;

        for (size_t i = 0; i < p->actions->count; i++) {
            CHECK(p->actions->list[i].kind != IKEV2_SEND);
            closed = closed || p->actions->list[i].kind == IKEV2_TELL_CLOSED;
        }
        CHECK(closed);
        ikev2_pair_free(p);
    }
}

TEST(every_flipped_bit_and_every_truncation_is_not_believed)
{
    struct ikev2_pair *p = up(3, false, true);
    uint8_t bytes[256];
    struct slice told = answer(p, 1, bytes);
    size_t token_at = told.length - IKEV2_CRASH_TOKEN_BYTES;

    for (size_t bit = token_at * 8; bit < told.length * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        CHECK(!hears(p, 0, told));
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t length = 0; length < told.length; length++) {
        CHECK(!hears(p, 0, (struct slice){bytes, length}));
    }
    CHECK(hears(p, 0, told));
    ikev2_pair_free(p);
}

TEST(a_token_of_another_ike_sa_or_secret_or_role_is_none)
{
    struct ikev2_pair *p = up(4, true, true);
    struct ikev2_pair *other = up(5, true, true);
    uint8_t bytes[256];

    CHECK(!hears(p, 0, answer(other, 1, bytes)));
    p->side[1].crash_secret = secrets[0];
    CHECK(!hears(p, 0, answer(p, 1, bytes)));
    /* Our own words, thrown back. */
    CHECK(!hears(p, 0, answer(p, 0, bytes)));
    ikev2_pair_free(p);
    ikev2_pair_free(other);
}

TEST(without_tokens_nothing_is_believed)
{
    struct ikev2_pair *p = up(6, false, false);
    uint8_t bytes[256];

    CHECK(p->side[0].sa->extra == NULL && p->side[1].sa->extra == NULL);
    p->side[1].crash_secret = secrets[1];
    CHECK(!hears(p, 0, answer(p, 1, bytes)));
    ikev2_pair_free(p);
}

TEST(after_a_rekeying_by_either_side_there_are_new_tokens)
{
    for (unsigned who = 0; who < 2; who++) {
        struct ikev2_pair *p = up(7 + who, true, true);
        uint8_t old[256], new[256];
        struct slice before = answer(p, 1, old);

        ikev2_pair_rekey(p, who);
        CHECK(ikev2_pair_run(p));
        ikev2_pair_advance(p, 200000);
        CHECK(p->side[0].rekeyed == 1 && p->side[1].rekeyed == 1);
        CHECK(!p->side[0].sa->extra->crash_due && !p->side[1].sa->extra->crash_due);
        CHECK(!hears(p, 0, before));
        CHECK(hears(p, 1, answer(p, 0, new)));
        CHECK(hears(p, 0, answer(p, 1, new)));
        ikev2_pair_free(p);
    }
}

/* RFC 6290 4.3: it costs one exchange more where who rekeys makes tokens, and none where he does
 * not. */
TEST(who_answers_a_rekeying_tells_his_token_with_the_answer)
{
    for (unsigned who = 0; who < 2; who++) {
        struct ikev2_pair *p = up(20 + who, false, true);
        uint8_t bytes[256];
        struct ikev2_sa_info before, after;
        uint64_t liveness_ms = p->side[0].policy.liveness_ms;

        p->side[0].policy.liveness_ms = p->side[1].policy.liveness_ms = NEVER_MS;
        ikev2_sa_get_info(p->side[0].sa, &before);
        ikev2_pair_rekey(p, who);
        CHECK(ikev2_pair_run(p));
        ikev2_sa_get_info(p->side[0].sa, &after);
        CHECK(before.spi_i != after.spi_i);
        CHECK(hears(p, 0, answer(p, 1, bytes)));
        p->side[0].policy.liveness_ms = liveness_ms;
        ikev2_pair_free(p);
    }
}

/* ---- hints ---- */

/* Side 0 has asked whether side 1 lives; what side 1 says that has lost it. */
static struct slice denial(struct ikev2_pair *p, uint8_t out[256])
{
    size_t at;
    struct ikev2_gate gate;
    struct writer w = writer_over(out, 256);

    ikev2_pair_ask_liveness(p, 0);
    at = ikev2_pair_find(p, 1);
    CHECK(at != SIZE_MAX);
    ikev2_gate_init(&gate, &p->side[1].random, p->now_ms);
    CHECK_EQUAL(ikev2_gate_admit(&gate, (struct slice){p->queue[at].bytes, p->queue[at].length},
                                 &p->side[1].endpoint, &p->side[0].endpoint, false, p->now_ms,
                                 &p->side[1].random, &w),
                IKEV2_GATE_REPLY);
    return writer_written(&w);
}

TEST(only_an_answer_to_the_very_question_says_that_it_is_denied)
{
    struct ikev2_pair *p = up(30, false, false);
    uint8_t bytes[256];
    struct slice told = denial(p, bytes);

    CHECK(ikev2_sa_is_denied(p->side[0].sa, told));
    CHECK(!ikev2_sa_is_denied(p->side[1].sa, told));
    for (size_t length = 0; length < told.length; length++) {
        CHECK(!ikev2_sa_is_denied(p->side[0].sa, (struct slice){bytes, length}));
    }
    for (size_t bit = 0; bit < told.length * 8; bit++) {
        /* The version's lower half, the other flags, reserved bits and the notify's protocol and
         * SPI size mean nothing here; all else does. */
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        bool in_spis = bit / 8 < 16;
        bool in_id = bit / 8 >= 20 && bit / 8 < 28;
        bool in_type = bit / 8 == 34 || bit / 8 == 35;

        if (in_spis || in_id || in_type) {
            CHECK(!ikev2_sa_is_denied(p->side[0].sa, told));
        }
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    /* It was answered meanwhile. */
    CHECK(ikev2_pair_run(p));
    CHECK(!ikev2_sa_is_denied(p->side[0].sa, told));
    CHECK_EQUAL(p->side[0].closed, 0);
    ikev2_pair_free(p);
}

TEST(who_is_heard_again_is_asked_again_at_once_but_not_often)
{
    struct ikev2_pair *p = up(31, false, false);

    ikev2_pair_ask_liveness(p, 0);
    p->actions->count = 0;
    ikev2_sa_hurry(p->side[0].sa, p->now_ms, p->actions);
    CHECK_EQUAL(p->actions->count, 0); /* it is sent again soon by itself */
    while (p->queue_count > 0) {
        ikev2_pair_drop(p, 0);
    }
    /* Its retransmissions come later and later. */
    while (ikev2_sa_deadline_ms(p->side[0].sa) <
           p->now_ms + 2 * p->side[0].policy.retransmit_first_ms) {
        p->now_ms = ikev2_sa_deadline_ms(p->side[0].sa);
        p->actions->count = 0;
        ikev2_sa_time(p->side[0].sa, p->now_ms, p->actions);
    }
    uint64_t deadline_ms = ikev2_sa_deadline_ms(p->side[0].sa);

    p->actions->count = 0;
    ikev2_sa_hurry(p->side[0].sa, p->now_ms, p->actions);
    bool sent = false;

    for (size_t i = 0; i < p->actions->count; i++) {
        sent = sent || p->actions->list[i].kind == IKEV2_SEND;
    }
    CHECK(sent);
    /* What was planned stays. */
    CHECK_EQUAL(ikev2_sa_deadline_ms(p->side[0].sa), deadline_ms);
    ikev2_pair_free(p);
}

TEST(who_has_asked_nothing_does_not_hurry)
{
    struct ikev2_pair *p = up(32, false, false);

    p->actions->count = 0;
    ikev2_sa_hurry(p->side[0].sa, p->now_ms, p->actions);
    CHECK_EQUAL(p->actions->count, 0);
    ikev2_pair_free(p);
}
