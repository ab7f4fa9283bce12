/* Session resumption: who has a ticket goes on without a key exchange, and nobody else does. */
#include "proto/ikev2/machine.h"

#include <string.h>

#include "tests/support/ikev2_pair.h"
#include "tests/support/test.h"

#define HOUR_MS UINT64_C(3600000)

struct watched {
    unsigned key_exchanges;
};

static void watch(void *context, unsigned side, const struct ikev2_action *action)
{
    struct watched *watched = context;

    (void)side;
    watched->key_exchanges += action->kind == IKEV2_ASK_KEY_EXCHANGE;
}

/* Up, with a ticket at side 0. */
static struct ikev2_pair *with_ticket(uint64_t seed)
{
    struct ikev2_pair *p = ikev2_pair_new(seed);

    for (size_t i = 0; i < 2; i++) {
        p->side[i].policy.resume_s = 3600;
        ikev2_tickets_init(&p->side[i].tickets, (struct slice){NULL, 0}, &p->side[i].random,
                           p->now_ms);
        p->side[i].responder.tickets = &p->side[i].tickets;
        p->side[i].fingerprint = 77;
    }
    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    CHECK(p->side[0].established == 1 && p->side[1].established == 1);
    CHECK(p->side[0].ticket_bytes > 0);
    CHECK_EQUAL(p->side[1].ticket_bytes, 0);
    return p;
}

static void end(struct ikev2_pair *p)
{
    ikev2_pair_close(p, 0);
    CHECK(ikev2_pair_run(p));
    CHECK(p->side[0].sa == NULL && p->side[1].sa == NULL);
}

/* Side 0 begins with its ticket; how many key exchanges that took. */
static unsigned resume(struct ikev2_pair *p)
{
    struct watched watched = {0};

    p->side[0].resumes = true;
    p->watch = watch;
    p->context = &watched;
    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    p->watch = NULL;
    return watched.key_exchanges;
}

TEST(a_ticket_brings_an_ike_sa_and_a_child_without_a_key_exchange)
{
    for (uint64_t seed = 1; seed < 20; seed++) {
        struct ikev2_pair *p = with_ticket(seed);

        end(p);
        p->side[1].cookies_wanted = seed % 2 == 0;
        p->nat = seed % 3 == 0;
        CHECK_EQUAL(resume(p), 0);
        CHECK(p->side[0].established == 2 && p->side[1].established == 2);
        CHECK(ikev2_pair_agrees(p));
        CHECK(ikev2_pair_packet(p, 0, "net") && ikev2_pair_packet(p, 1, "net"));
        /* There is a new ticket with it, and rekeying goes on as ever. */
        ikev2_pair_rekey(p, 0);
        CHECK(ikev2_pair_run(p));
        CHECK(p->side[0].rekeyed == 1 && p->side[1].rekeyed == 1);
        end(p);
        CHECK_EQUAL(resume(p), 0);
        CHECK_EQUAL(p->side[1].established, 3);
        ikev2_pair_free(p);
    }
}

/* Both are up in the end, by a full handshake. */
static void check_in_full(struct ikev2_pair *p)
{
    CHECK(resume(p) > 0);
    CHECK(p->side[0].established == 2 && p->side[1].established == 2);
    CHECK(ikev2_pair_agrees(p));
    ikev2_pair_free(p);
}

TEST(a_ticket_of_another_key_is_refused_and_the_handshake_done_in_full)
{
    struct ikev2_pair *p = with_ticket(30);

    end(p);
    ikev2_tickets_init(&p->side[1].tickets, (struct slice){NULL, 0}, &p->side[1].random, p->now_ms);
    check_in_full(p);
}

TEST(a_responder_that_gives_none_takes_none)
{
    struct ikev2_pair *p = with_ticket(31);

    end(p);
    p->side[1].responder.tickets = NULL;
    check_in_full(p);
}

TEST(a_ticket_is_good_for_its_time)
{
    struct ikev2_pair *p = with_ticket(32);

    end(p);
    p->now_ms += HOUR_MS + 1;
    check_in_full(p);
}

TEST(the_key_of_tickets_changes_and_an_old_one_still_opens_them)
{
    struct ikev2_pair *p = with_ticket(33);
    uint8_t kept[IKEV2_TICKETS_KEPT_BYTES];

    end(p);
    p->now_ms += HOUR_MS - 1000;
    /* What another process is given is enough. */
    ikev2_tickets_keep(&p->side[1].tickets, kept);
    ikev2_tickets_init(&p->side[1].tickets, SLICE_OF(kept), &p->side[1].random, p->now_ms);
    CHECK_EQUAL(resume(p), 0);
    CHECK_EQUAL(p->side[1].established, 2);
    p->now_ms += 30 * HOUR_MS;
    uint64_t epoch = p->side[1].tickets.epoch;
    struct ikev2_session session;

    CHECK(!ikev2_tickets_open(&p->side[1].tickets,
                              (struct slice){p->side[0].ticket, p->side[0].ticket_bytes}, p->now_ms,
                              &session));
    CHECK(p->side[1].tickets.epoch > epoch);
    ikev2_pair_free(p);
}

TEST(a_ticket_is_good_once)
{
    struct ikev2_pair *p = with_ticket(34);
    uint8_t first[IKEV2_TICKET_BYTES_MAX];
    size_t length = p->side[0].ticket_bytes;
    struct ikev2_session session;

    memcpy(first, p->side[0].ticket, length);
    CHECK(ikev2_session_copy(&session, &p->side[0].session));
    end(p);
    CHECK_EQUAL(resume(p), 0);
    end(p);
    memcpy(p->side[0].ticket, first, length);
    p->side[0].ticket_bytes = length;
    ikev2_session_fini(&p->side[0].session);
    p->side[0].session = session;
    CHECK(resume(p) > 0);
    CHECK_EQUAL(p->side[1].established, 3);
    ikev2_pair_free(p);
}

/* Refused in IKE_AUTH, where it is known who is meant. */
static void check_refused(struct ikev2_pair *p)
{
    CHECK_EQUAL(resume(p), 0);
    CHECK_EQUAL(p->side[0].established, 1);
    CHECK_EQUAL(p->side[1].established, 1);
    CHECK_EQUAL(p->side[0].failure.reason, IKEV2_FAIL_NOT_RESUMED);
    CHECK_EQUAL(p->side[1].failure.reason, IKEV2_FAIL_NOT_RESUMED);
    CHECK(p->side[0].sa == NULL && p->side[1].sa == NULL);
    ikev2_pair_free(p);
}

TEST(what_is_configured_otherwise_now_is_not_resumed)
{
    for (unsigned what = 0; what < 4; what++) {
        struct ikev2_pair *p = with_ticket(40 + what);

        end(p);
        switch (what) {
        case 0:
            p->side[1].fingerprint = 78;
            break;
        case 1:
            p->side[1].policy.resume_s = 0;
            break;
        case 2:
            p->side[1].answers_nobody = true;
            break;
        default:
            CHECK(ike_identity_parse(SLICE_TEXT("other.example"), &p->side[0].policy.local_id));
            break;
        }
        check_refused(p);
    }
}

TEST(a_ticket_without_its_keys_is_of_no_use)
{
    struct ikev2_pair *p = with_ticket(50);

    end(p);
    p->side[0].session.sk_d.bytes[0] ^= 1;
    (void)resume(p);
    CHECK_EQUAL(p->side[1].established, 1);
    ikev2_pair_free(p);
}

TEST(every_flipped_bit_and_every_truncation_of_a_ticket_is_refused)
{
    struct ikev2_pair *p = with_ticket(51);
    struct slice ticket = {p->side[0].ticket, p->side[0].ticket_bytes};
    struct ikev2_session session;

    for (size_t i = 0; i < ticket.length * 8; i++) {
        p->side[0].ticket[i / 8] ^= (uint8_t)(1 << i % 8);
        CHECK(!ikev2_tickets_open(&p->side[1].tickets, ticket, p->now_ms, &session));
        p->side[0].ticket[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    for (size_t length = 0; length < ticket.length; length++) {
        CHECK(!ikev2_tickets_open(&p->side[1].tickets, (struct slice){ticket.data, length},
                                  p->now_ms, &session));
    }
    CHECK(ikev2_tickets_open(&p->side[1].tickets, ticket, p->now_ms, &session));
    ikev2_session_fini(&session);
    ikev2_pair_free(p);
}

TEST(no_ticket_is_longer_good_than_a_proof)
{
    struct ikev2_pair *p = ikev2_pair_new(60);

    for (size_t i = 0; i < 2; i++) {
        p->side[i].policy.resume_s = 3600;
        ikev2_tickets_init(&p->side[i].tickets, (struct slice){NULL, 0}, &p->side[i].random,
                           p->now_ms);
        p->side[i].responder.tickets = &p->side[i].tickets;
    }
    p->side[1].policy.reauthenticate_s = 60;
    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    CHECK_EQUAL(p->side[0].established, 1);
    CHECK_EQUAL(p->side[0].ticket_bytes, 0);
    ikev2_pair_free(p);
}
