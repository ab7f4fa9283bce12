/*
 * Floods against an IKEv1 machine that is up, of somebody without its keys and of its own peer:
 * what is answered and what is kept of them is counted.
 */
#include "proto/ikev1/machine.h"
#include "tests/support/ikev1_forge.h"
#include "tests/support/ikev1_pair.h"
#include "tests/support/test.h"

#include <string.h>

#define JUNK 5000
#define JUNK_BYTES 200
#define CALLS 400

static struct ikev1_pair *up(uint64_t seed)
{
    struct ikev1_pair *p = ikev1_pair_new(seed);

    for (unsigned i = 0; i < 2; i++) {
        ikev1_pair_set_ike(p, i, "aes128-sha1-x25519");
        ikev1_pair_set_esp(p, i, "aes128-sha1");
    }
    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    CHECK(ikev1_pair_packet(p, 0, "net") && ikev1_pair_packet(p, 1, "net"));
    return p;
}

static void drop_all(struct ikev1_pair *p)
{
    while (p->queue_count > 0) {
        ikev1_pair_drop(p, 0);
    }
}

TEST(junk_with_the_right_cookies_is_not_answered_and_leaves_nothing)
{
    static const uint8_t exchanges[] = {IKEV1_QUICK, IKEV1_INFORMATIONAL, IKEV1_TRANSACTION,
                                        IKEV1_NEW_GROUP, IKEV1_MAIN};
    struct ikev1_pair *p = up(200);
    const struct ikev1_sa *sa = ikev1_pair_sa(p, 1);
    unsigned sent = p->side[1].sends;
    size_t quicks = sa->quick_count; /* one that answers what comes again */
    size_t children = sa->child_count;
    uint32_t seen = sa->ikes->seen_count;
    struct seeded_random seeded;
    struct random_source random = seeded_random_source(&seeded);
    uint8_t bytes[JUNK_BYTES];

    seeded_random_init(&seeded, 7);
    for (unsigned i = 0; i < JUNK; i++) {
        struct writer w = writer_over(bytes, sizeof(bytes));
        struct ikev1_header h = {.cookie_i = sa->ikes->spi_i,
                                 .cookie_r = sa->ikes->spi_r,
                                 .version = IKEV1_VERSION_1_0,
                                 .exchange = exchanges[i % ARRAY_LENGTH(exchanges)],
                                 .flags = i % 7 == 0 ? 0 : IKEV1_FLAG_ENCRYPTED,
                                 .message_id = i % 11 == 0 ? 0 : 0x1000 + i,
                                 .next_payload = IKEV1_HASH};
        uint8_t noise[128];

        random_fill(&random, noise, sizeof(noise));
        ikev1_write_header(&w, &h);
        write_slice(&w, SLICE_OF(noise));
        ikev1_finish_message(&w);
        ikev1_pair_inject(p, 1, &p->side[1].endpoint, &p->side[0].endpoint, writer_written(&w));
    }
    CHECK_EQUAL(p->side[1].sends, sent);
    CHECK_EQUAL(sa->quick_count, quicks);
    CHECK_EQUAL(sa->child_count, children);
    CHECK_EQUAL(sa->ikes->seen_count, seen);
    CHECK(sa->ikes->next == NULL);
    CHECK(ikev1_pair_packet(p, 0, "net") && ikev1_pair_packet(p, 1, "net"));
    ikev1_pair_free(p);
}

/* The first message of a Quick Mode with the message ID, nonce and SPI of another one. */
static void call(struct ikev1_pair *p, struct forge_message *m, unsigned number)
{
    struct reader r = reader_over((struct slice){m->chain, m->length});
    struct ikev1_payload payload;
    uint8_t next = m->header.next_payload;

    while (ikev1_read_payload(&r, &next, &payload)) {
        if (payload.type == IKEV1_NONCE) {
            size_t at = (size_t)(payload.body.data - m->chain);

            put_u32(m->chain + at, number);
        }
    }
    m->header.message_id = 0x10000 + number;
    forge_send(p, m);
}

TEST(a_peer_who_begins_quick_modes_and_never_ends_them_has_bounded_places)
{
    struct ikev1_pair *p = up(201);
    const struct ikev1_sa *sa = ikev1_pair_sa(p, 1);
    static struct forge_message m;
    size_t before = sa->quick_count; /* one that answers what comes again */
    size_t most_quicks = 0;
    size_t most_children = 0;

    ikev1_pair_rekey_child(p, 0, ikev1_pair_outbound(p, 0, "net")->info.spi_in);
    CHECK_EQUAL(p->queue_count, 1);
    CHECK(forge_open(p, &p->queue[0], &m));
    drop_all(p);
    unsigned sent = p->side[1].sends;

    for (unsigned i = 0; i < CALLS; i++) {
        call(p, &m, i);
        drop_all(p);
        most_quicks = sa->quick_count > most_quicks ? sa->quick_count : most_quicks;
        most_children = sa->child_count > most_children ? sa->child_count : most_children;
    }
    CHECK_EQUAL(most_quicks, IKEV1_QUICKS_MAX);
    CHECK(most_children <= IKEV1_CHILDREN_MAX);
    /* No more than one answer each, and none for whom there was no place. */
    CHECK_EQUAL(p->side[1].sends, sent + IKEV1_QUICKS_MAX - before);
    CHECK(ikev1_pair_packet(p, 0, "net") && ikev1_pair_packet(p, 1, "net"));
    /* What never ended goes, and the two are as before. */
    ikev1_pair_advance(p, 900000);
    CHECK_EQUAL(sa->quick_count, 0);
    CHECK_EQUAL(ikev1_pair_live_children(p, 0), ikev1_pair_live_children(p, 1));
    CHECK(ikev1_pair_agrees(p));
    CHECK(ikev1_pair_packet(p, 0, "net") && ikev1_pair_packet(p, 1, "net"));
    ikev1_pair_free(p);
}
