/*
 * Somebody without the key between, before and behind two IKEv1 machines: what he forges, repeats,
 * reflects or changes lets him in nowhere, costs little, and changes nothing between those who have
 * it. And somebody who has a key, but not that of the one whom he says to be.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/ikev1/machine.h"
#include "tests/support/ikev1_forge.h"
#include "tests/support/ikev1_pair.h"
#include "tests/support/test.h"

#define RECORDED_MAX 128
#define AROUND_BYTES 28 /* the headers of IPv4 and UDP */

static struct ikev1_pair *new_pair(uint64_t seed, bool aggressive)
{
    struct ikev1_pair *p = ikev1_pair_new(seed);

    for (unsigned i = 0; i < 2; i++) {
        struct pair1_side *s = &p->side[i];

        ikev1_pair_set_ike(p, i, "aes128-sha1-x25519");
        ikev1_pair_set_esp(p, i, "aes128-sha1");
        s->policy.aggressive = s->responder.aggressive = aggressive;
        s->policy.fragment_bytes = s->responder.fragment_bytes = 576;
    }
    return p;
}

static void inject(struct ikev1_pair *p, unsigned to, struct slice bytes)
{
    ikev1_pair_inject(p, to, &p->side[to].endpoint, &p->side[1 - to].endpoint, bytes);
}

static void drop_all(struct ikev1_pair *p)
{
    while (p->queue_count > 0) {
        ikev1_pair_drop(p, 0);
    }
}

/* A message in clear with one payload. */
static struct slice make(uint8_t *out, size_t room, const struct ikev1_ike *ike, uint8_t exchange,
                         uint8_t type, struct slice body)
{
    struct writer w = writer_over(out, room);
    struct ikev1_header h = {.cookie_i = ike->spi_i,
                             .cookie_r = ike->spi_r,
                             .version = IKEV1_VERSION_1_0,
                             .exchange = exchange,
                             .next_payload = type,
                             .message_id = exchange == IKEV1_MAIN ? 0 : 0x01020304};
    uint8_t first;

    ikev1_write_header(&w, &h);
    struct ikev1_chain chain = ikev1_chain_over(&w, &first);

    ikev1_write_payload(&chain, type, body);
    ikev1_finish_message(&w);
    CHECK(writer_ok(&w));
    return writer_written(&w);
}

static struct slice notify_body(uint8_t *out, size_t room, const struct ikev1_ike *ike,
                                uint16_t type)
{
    uint8_t cookies[IKEV1_COOKIES_BYTES];
    uint8_t sequence[4] = {0, 0, 0, 1};
    struct writer w = writer_over(out, room);

    put_u64(cookies, ike->spi_i);
    put_u64(cookies + 8, ike->spi_r);
    const struct ikev1_notify_payload n = {.doi = IKEV1_DOI_IPSEC,
                                           .protocol = IKEV1_PROTO_ISAKMP,
                                           .type = type,
                                           .spi = SLICE_OF(cookies),
                                           .data = SLICE_OF(sequence)};

    ikev1_write_notify(&w, &n);
    CHECK(writer_ok(&w));
    return writer_written(&w);
}

/* ---- sequences ---- */

struct recorded {
    unsigned to;
    size_t length;
    uint8_t bytes[4096];
};

static struct recorded tape[RECORDED_MAX];
static size_t tape_count;

static bool record(void *context, struct ikev1_pair *p, const struct pair1_datagram *d)
{
    (void)context;
    (void)p;
    if (tape_count < RECORDED_MAX && d->length <= sizeof(tape[0].bytes)) {
        tape[tape_count].to = d->to;
        tape[tape_count].length = d->length;
        memcpy(tape[tape_count++].bytes, d->bytes, d->length);
    }
    return true;
}

/* Of two others, with a key that is not the victim's. */
static void record_handshakes(void)
{
    tape_count = 0;
    for (unsigned mode = 0; mode < 2; mode++) {
        struct ikev1_pair *p = new_pair(90 + mode, mode == 1);

        for (unsigned i = 0; i < 2; i++) {
            CHECK(secret_set(&p->side[i].policy.shared_key, SLICE_TEXT("a guess")));
        }
        p->passes = record;
        ikev1_pair_start(p, 0);
        CHECK(ikev1_pair_run(p));
        ikev1_pair_free(p);
    }
}

struct account {
    unsigned victim;
    size_t got, said;
    double worst; /* octets got for one said, of a conversation */
};

static bool weigh(void *context, struct ikev1_pair *p, const struct pair1_datagram *d)
{
    struct account *a = context;

    (void)p;
    if (d->to != a->victim) {
        a->got += AROUND_BYTES + d->length;
    }
    return true;
}

static struct ikev1_ike *any_ike(struct ikev1_pair *p, unsigned side)
{
    for (unsigned i = 0; i < PAIR1_MACHINES_MAX; i++) {
        const struct ikev1_sa *sa = p->side[side].machines[i].sa;

        if (sa != NULL && sa->ikes != NULL) {
            return sa->ikes;
        }
    }
    return NULL;
}

/* One message: what others said, or what the victim itself said, cookies made right or not, some of
 * it changed. */
static void say_something(struct ikev1_pair *p, struct account *a, struct random_source *random)
{
    struct recorded m = tape[random_below(random, (uint32_t)tape_count)];
    const struct ikev1_ike *ike = any_ike(p, a->victim);
    unsigned kind = random_below(random, 8);

    if (kind == 0 && p->queue_count > 0) {
        const struct pair1_datagram *d = &p->queue[random_below(random, (uint32_t)p->queue_count)];

        m.length = d->length < sizeof(m.bytes) ? d->length : sizeof(m.bytes);
        memcpy(m.bytes, d->bytes, m.length);
    }
    if (ike != NULL && kind != 1) {
        put_u64(m.bytes, ike->spi_i);
        if (get_u64(m.bytes + 8) != 0 || kind == 2) {
            put_u64(m.bytes + 8, ike->spi_r);
        }
    }
    for (uint32_t changes = kind < 5 ? 0 : random_below(random, 3); changes > 0; changes--) {
        m.bytes[random_below(random, (uint32_t)m.length)] ^= (uint8_t)(1u << (changes % 8));
    }
    if (kind == 3) {
        m.length =
            IKEV1_HEAD_BYTES + random_below(random, (uint32_t)(m.length - IKEV1_HEAD_BYTES + 1));
        put_u32(m.bytes + 24, (uint32_t)m.length);
    }
    a->said += AROUND_BYTES + m.length;
    inject(p, a->victim, (struct slice){m.bytes, m.length});
}

static double sequences(unsigned victim, bool aggressive, unsigned conversations)
{
    struct seeded_random seeded;
    struct random_source random = seeded_random_source(&seeded);
    struct account a = {.victim = victim};

    seeded_random_init(&seeded, 11 + victim + aggressive);
    for (unsigned i = 0; i < conversations; i++) {
        struct ikev1_pair *p = new_pair(1000 + i, aggressive);

        a.got = a.said = 0;
        p->passes = weigh;
        p->context = &a;
        p->side[1 - victim].deaf = true;
        if (victim == 0) {
            ikev1_pair_start(p, 0);
            a.got = 0; /* what it began itself is no answer */
        }
        for (unsigned k = 0; k < 12; k++) {
            say_something(p, &a, &random);
            if (victim == 1) {
                ikev1_pair_jump(p, random_below(&random, 700));
            }
        }
        CHECK_EQUAL(p->side[victim].established, 0);
        CHECK_EQUAL(p->side[victim].esp_spis_given, 0);
        CHECK_EQUAL(p->side[victim].child_count, 0);
        CHECK(ikev1_pair_machines(p, victim) <= PAIR1_MACHINES_MAX);
        double ratio = (double)a.got / (double)a.said;

        a.worst = ratio > a.worst ? ratio : a.worst;
        drop_all(p);
        if (victim == 1) {
            ikev1_pair_advance(p, 40000);
            CHECK(ikev1_pair_is_empty(p, 1));
        }
        ikev1_pair_free(p);
    }
    return a.worst;
}

TEST(sequences_of_a_stranger_establish_nothing_and_leave_nothing)
{
    record_handshakes();
    for (unsigned mode = 0; mode < 2; mode++) {
        double worst = sequences(1, mode == 1, 1500);

        (void)sequences(0, mode == 1, 500);
        printf("               a stranger gets at most %.2f octets for each of his (%s)\n", worst,
               mode == 1 ? "Aggressive Mode" : "Main Mode");
        CHECK(worst < 2.0);
    }
}

/* ---- amplification ---- */

/* The same first message, again and again, and then what belongs to no cookie of ours. */
TEST(answers_go_out_to_messages_alone_and_only_to_those_that_may_begin)
{
    static const uint8_t exchanges[] = {IKEV1_QUICK, IKEV1_INFORMATIONAL, IKEV1_TRANSACTION,
                                        IKEV1_NEW_GROUP};

    for (unsigned mode = 0; mode < 2; mode++) {
        struct ikev1_pair *p = new_pair(20 + mode, mode == 1);
        struct account a = {.victim = 1};

        p->passes = weigh;
        p->context = &a;
        p->side[0].deaf = true;
        ikev1_pair_start(p, 0);
        struct pair1_datagram first = p->queue[0];
        size_t first_bytes = AROUND_BYTES + first.length;

        ikev1_pair_deliver_copy(p, 0);
        size_t answer_bytes = a.got;

        CHECK(answer_bytes > 0 && answer_bytes < first_bytes + 200);
        /* By the clock nothing comes. */
        ikev1_sa_time(p->side[1].machines[0].sa, p->now_ms + 20000, p->actions);
        CHECK_EQUAL(p->actions->count, 0);
        /* A hundred in one moment are answered once more at most. */
        for (unsigned i = 0; i < 100; i++) {
            ikev1_pair_deliver_copy(p, 0);
        }
        CHECK_EQUAL(a.got, answer_bytes);
        /* A second apart each one is, in Aggressive Mode five in all: nobody has proven there that
         * he gets what is sent to his address. */
        size_t answers = mode == 1 ? 6 : 11;

        for (unsigned i = 0; i < 10; i++) {
            p->now_ms += 1000;
            ikev1_pair_deliver_copy(p, 0);
        }
        CHECK_EQUAL(a.got, answers * answer_bytes);
        /* Short ones of other exchanges with his cookie alone, a second apart. */
        const struct ikev1_ike *ike = any_ike(p, 1);
        struct ikev1_ike his = {.spi_i = ike->spi_i};

        for (unsigned i = 0; i < 4 * ARRAY_LENGTH(exchanges); i++) {
            uint8_t bytes[64];
            struct slice m = make(bytes, sizeof(bytes), &his, exchanges[i % 4], IKEV1_HASH,
                                  SLICE_TEXT("0123456789ab"));

            bytes[19] = i < 8 ? IKEV1_FLAG_ENCRYPTED : 0;
            p->now_ms += 1000;
            inject(p, 1, m);
        }
        CHECK_EQUAL(a.got, answers * answer_bytes);
        printf("               first message %zu octets, its answer %zu\n", first_bytes,
               answer_bytes);
        ikev1_pair_free(p);
    }
}

/* ---- what is said in clear ---- */

TEST(what_is_said_in_clear_changes_nothing_between_two_who_have_keys)
{
    static const uint16_t types[] = {IKEV1_INITIAL_CONTACT,
                                     IKEV1_R_U_THERE,
                                     IKEV1_R_U_THERE_ACK,
                                     IKEV1_RESPONDER_LIFETIME,
                                     IKEV1_AUTHENTICATION_FAILED,
                                     IKEV1_NO_PROPOSAL_CHOSEN,
                                     IKEV1_CONNECTED};

    for (unsigned mode = 0; mode < 2; mode++) {
        struct ikev1_pair *p = new_pair(30 + mode, mode == 1);

        ikev1_pair_start(p, 0);
        CHECK(ikev1_pair_run(p));
        for (unsigned to = 0; to < 2; to++) {
            const struct ikev1_ike *ike = any_ike(p, to);
            unsigned sent = p->side[to].sends;
            uint8_t bytes[256];
            uint8_t body[128];

            for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
                inject(p, to,
                       make(bytes, sizeof(bytes), ike, IKEV1_INFORMATIONAL, IKEV1_NOTIFY,
                            notify_body(body, sizeof(body), ike, types[i])));
            }
            struct writer w = writer_over(body, sizeof(body));
            uint8_t cookies[IKEV1_COOKIES_BYTES];

            put_u64(cookies, ike->spi_i);
            put_u64(cookies + 8, ike->spi_r);
            ikev1_write_delete(&w, &(struct ikev1_delete_payload){.doi = IKEV1_DOI_IPSEC,
                                                                  .protocol = IKEV1_PROTO_ISAKMP,
                                                                  .spi_bytes = IKEV1_COOKIES_BYTES,
                                                                  .count = 1,
                                                                  .spis = SLICE_OF(cookies)});
            inject(p, to,
                   make(bytes, sizeof(bytes), ike, IKEV1_INFORMATIONAL, IKEV1_DELETE,
                        writer_written(&w)));
            CHECK_EQUAL(p->side[to].sends, sent);
            CHECK_EQUAL(p->queue_count, 0);
        }
        ikev1_pair_advance(p, 60000);
        for (unsigned i = 0; i < 2; i++) {
            CHECK_EQUAL(p->side[i].closed + p->side[i].moved + p->side[i].initial_contact, 0);
            CHECK_EQUAL(ikev1_pair_machines(p, i), 1);
            CHECK(ikev1_pair_packet(p, i, "net"));
        }
        ikev1_pair_free(p);
    }
}

/* In Aggressive Mode message 3 may come in clear: then INITIAL-CONTACT in it is anybody's. */
TEST(initial_contact_in_clear_is_not_believed)
{
    struct ikev1_pair *p = new_pair(33, true);
    static struct forge_message m;
    uint8_t bytes[2048];

    p->side[0].policy.initial_contact = true;
    ikev1_pair_start(p, 0);
    ikev1_pair_deliver(p, 0);
    ikev1_pair_deliver(p, 0);
    CHECK(forge_open(p, &p->queue[0], &m));
    drop_all(p);
    struct writer w = writer_over(bytes, sizeof(bytes));

    m.header.flags = 0;
    ikev1_write_header(&w, &m.header);
    write_slice(&w, (struct slice){m.chain, m.length});
    ikev1_finish_message(&w);
    inject(p, 1, writer_written(&w));
    CHECK_EQUAL(p->side[1].established, 1);
    CHECK_EQUAL(p->side[1].initial_contact, 0);
    ikev1_pair_free(p);
}

/* ---- what was said before ---- */

TEST(a_whole_life_that_is_replayed_does_nothing)
{
    for (unsigned mode = 0; mode < 2; mode++) {
        struct ikev1_pair *p = new_pair(40 + mode, mode == 1);

        tape_count = 0;
        p->passes = record;
        ikev1_pair_start(p, 0);
        CHECK(ikev1_pair_run(p));
        ikev1_pair_ask_liveness(p, 0);
        ikev1_pair_ask_liveness(p, 1);
        CHECK(ikev1_pair_run(p));
        ikev1_pair_rekey_child(p, 1, ikev1_pair_outbound(p, 1, "net")->info.spi_in);
        ikev1_pair_advance(p, 45000);
        ikev1_pair_rekey(p, 0);
        ikev1_pair_advance(p, 200000);
        CHECK(ikev1_pair_packet(p, 0, "net") && ikev1_pair_packet(p, 1, "net"));
        p->passes = NULL;
        size_t children[2] = {p->side[0].child_count, p->side[1].child_count};
        unsigned established[2] = {p->side[0].established, p->side[1].established};

        CHECK(tape_count > 12);
        for (unsigned round = 0; round < 4; round++) {
            for (size_t i = 0; i < tape_count; i++) {
                const struct recorded *m = &tape[round % 2 == 0 ? i : tape_count - 1 - i];

                /* To whom it went, and back to its sender. */
                inject(p, round < 2 ? m->to : 1 - m->to, (struct slice){m->bytes, m->length});
                drop_all(p);
            }
        }
        ikev1_pair_advance(p, 60000);
        for (unsigned i = 0; i < 2; i++) {
            CHECK_EQUAL(p->side[i].child_count, children[i]);
            CHECK_EQUAL(p->side[i].established, established[i]);
            CHECK_EQUAL(p->side[i].closed, 0);
            CHECK_EQUAL(ikev1_pair_machines(p, i), 1);
            CHECK(ikev1_pair_packet(p, i, "net"));
        }
        ikev1_pair_free(p);
    }
}

/* ---- reflection ---- */

/* Who wants to prove to be the other side lets the victim do it: what it says as one role comes
 * back to it in the other, with another cookie, for the same is its own. Everybody with the key is
 * welcome, whatever he is called. */
TEST(what_is_reflected_proves_nothing)
{
    const uint64_t other = 0x1122334455667788;

    for (unsigned mode = 0; mode < 4; mode++) {
        struct ikev1_pair *p = new_pair(50 + mode, mode % 2 == 1);
        bool rewrite = mode >= 2;

        p->side[0].policy.peer_id.type = 0;
        p->side[1].deaf = true;
        ikev1_pair_start(p, 0);
        uint64_t own = get_u64(p->queue[0].bytes);

        for (unsigned i = 0; i < 40 && p->queue_count > 0; i++) {
            struct pair1_datagram d = p->queue[0];
            uint8_t bytes[4096];
            size_t length = d.length;

            CHECK(length <= sizeof(bytes));
            memcpy(bytes, d.bytes, length);
            ikev1_pair_drop(p, 0);
            if (rewrite) {
                put_u64(bytes, get_u64(bytes) == own ? other : own);
            }
            inject(p, 0, (struct slice){bytes, length});
            ikev1_pair_jump(p, 300);
        }
        CHECK_EQUAL(p->side[0].established, 0);
        CHECK_EQUAL(p->side[0].esp_spis_given, 0);
        ikev1_pair_free(p);
    }
}

/* HASH_R is there in message 2 of Aggressive Mode: it is no HASH_I. */
TEST(the_hash_of_the_other_role_is_none)
{
    struct ikev1_pair *p = new_pair(55, true);
    struct ikev1_message m;
    struct slice hash;
    uint8_t bytes[256];

    ikev1_pair_start(p, 0);
    ikev1_pair_deliver(p, 0);
    struct reader r = reader_over((struct slice){p->queue[0].bytes, p->queue[0].length});

    CHECK(ikev1_read_header(&r, &m.header) && ikev1_message_read(&m, read_rest(&r)));
    CHECK(ikev1_message_only(&m, IKEV1_HASH, &hash));
    struct slice sent =
        make(bytes, sizeof(bytes), any_ike(p, 1), IKEV1_AGGRESSIVE, IKEV1_HASH, hash);

    put_u32(bytes + 20, 0);
    inject(p, 1, sent);
    CHECK_EQUAL(p->side[1].established, 0);
    ikev1_pair_advance(p, 10000);
    CHECK_EQUAL(p->side[1].failure.reason, IKEV1_FAIL_NONE); /* the right one came meanwhile */
    CHECK_EQUAL(p->side[1].established, 1);
    ikev1_pair_free(p);
}

/* ---- somebody else ---- */

/* He has the key of his own site, and says to be another. */
TEST(who_has_his_own_key_is_nobody_else)
{
    for (unsigned mode = 0; mode < 2; mode++) {
        for (unsigned says = 0; says < 2; says++) {
            struct ikev1_pair *p = new_pair(60 + mode, mode == 1);
            struct ikev1_policy *second = &p->side[1].others[0];

            *second = p->side[1].policy;
            second->shared_key = (struct secret){0};
            CHECK(secret_set(&second->shared_key, SLICE_TEXT("the key of another site")));
            CHECK(ike_identity_parse(SLICE_TEXT("other.example"), &second->peer_id));
            p->side[1].other_count = 1;
            CHECK(secret_set(&p->side[0].policy.shared_key, SLICE_TEXT("the key of another site")));
            if (says == 1) {
                CHECK(ike_identity_parse(SLICE_TEXT("other.example"), &p->side[0].policy.local_id));
            }
            ikev1_pair_start(p, 0);
            ikev1_pair_advance(p, 100000);
            CHECK_EQUAL(p->side[1].established, says);
            CHECK(says == 0 || p->side[1].chosen == second);
            CHECK(says == 1 || (p->side[1].child_count == 0 && p->side[0].child_count == 0));
            ikev1_pair_free(p);
        }
    }
}

/* ---- liveness ---- */

/* One answer for each question of who has the keys, none for what came before, and nothing grows.
 */
TEST(a_flood_of_questions_whether_we_live_costs_an_answer_each)
{
    struct ikev1_pair *p = new_pair(70, false);
    static struct forge_message m;

    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    ikev1_pair_ask_liveness(p, 0);
    CHECK_EQUAL(p->queue_count, 1);
    CHECK(forge_open(p, &p->queue[0], &m));
    struct pair1_datagram first = p->queue[0];
    uint32_t sequence = get_u32(m.chain + m.length - 4);

    (void)first;
    CHECK(ikev1_pair_run(p));
    unsigned sent = p->side[1].sends;

    for (unsigned i = 1; i <= 5000; i++) {
        m.header.message_id = 0x10000 + i;
        put_u32(m.chain + m.length - 4, sequence + i);
        forge_send(p, &m);
        drop_all(p);
    }
    /* And once the first message of a renewal: before a message ID that was seen is forgotten the
     * ISAKMP SA is made anew. */
    CHECK_EQUAL(p->side[1].sends, sent + 5000 + 1);
    for (unsigned i = 1; i <= 5000; i++) {
        m.header.message_id = 0x20000 + i;
        put_u32(m.chain + m.length - 4, sequence + i - 1);
        forge_send(p, &m);
        drop_all(p);
    }
    CHECK_EQUAL(p->side[1].sends, sent + 5000 + 1);
    CHECK(ikev1_pair_packet(p, 0, "net") && ikev1_pair_packet(p, 1, "net"));
    const struct ikev1_ike *flooded = any_ike(p, 1);

    while (flooded != NULL && flooded->handshake != NULL) { /* the renewal stands before it */
        flooded = flooded->next;
    }
    CHECK(flooded != NULL);
    CHECK_EQUAL(flooded->seen_count, IKEV1_SEEN_MAX);
    ikev1_pair_free(p);
}
