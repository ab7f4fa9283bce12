/* New Group Mode (RFC 2409 5.6): a group is refused, under the keys, and nothing else happens. */
#include <stdlib.h>
#include <string.h>

#include "proto/ikev1/machine.h"
#include "tests/support/ikev1_pair.h"
#include "tests/support/test.h"

struct spoken {
    size_t length;
    uint8_t bytes[4096];
};

/* A message of this exchange under the keys of side 0, with one payload behind the hash. */
static struct spoken speak(struct ikev1_pair *p, uint32_t id, uint8_t type, struct slice body,
                           bool wrong_hash)
{
    struct ikev1_ike *ike = ikev1_pair_sa(p, 0)->current;
    struct ikev1_outgoing *o = calloc(1, sizeof(*o));
    struct spoken spoken = {0};
    struct ikev1_hash_value hash;
    struct ikev1_iv iv;

    CHECK(o != NULL);
    ikev1_out_begin(o, ike, IKEV1_NEW_GROUP, id);
    ikev1_out_hash_room(o, ike);
    ikev1_write_payload(&o->chain, type, body);
    CHECK(ikev1_hash_1(&ike->keys, id, ikev1_out_behind_hash(o), &hash));
    hash.octets[3] ^= wrong_hash;
    ikev1_out_fill_hash(o, &hash);
    CHECK(ikev1_iv_of_phase2(&ike->keys.suite, &ike->iv, id, &iv));
    size_t length = ikev1_padded_bytes(&ike->keys.suite, o->w.length - IKEV1_HEAD_BYTES);

    write_zeros(&o->w, length - (o->w.length - IKEV1_HEAD_BYTES));
    o->header.next_payload = o->first;
    o->header.flags = IKEV1_FLAG_ENCRYPTED;
    struct writer head = writer_over(o->bytes, IKEV1_HEAD_BYTES);

    ikev1_write_header(&head, &o->header);
    ikev1_finish_message(&o->w);
    CHECK(ikev1_encrypt(&ike->keys, &iv, o->bytes + IKEV1_HEAD_BYTES, length));
    spoken.length = o->w.length;
    CHECK(spoken.length <= sizeof(spoken.bytes));
    memcpy(spoken.bytes, o->bytes, spoken.length);
    free(o);
    return spoken;
}

/* Group 2^15: a modulus that nobody looked at, generator 2 (appendix A). */
static struct slice offer(uint8_t *out, size_t capacity)
{
    uint8_t prime[256];
    struct writer w = writer_over(out, capacity);
    struct ikev1_sa_payload sa = {
        .doi = IKEV1_DOI_IPSEC,
        .situation = IKEV1_SIT_IDENTITY_ONLY,
        .proposal_count = 1,
        .proposals = {{.number = 1, .protocol = IKEV1_PROTO_ISAKMP, .count = 1}},
        .transform_count = 1,
        .transforms = {{.number = 1, .id = IKEV1_KEY_IKE, .group = 0x8000, .group_type = 1}},
    };

    memset(prime, 0xf1, sizeof(prime));
    ikev1_write_sa(&w, &sa);
    CHECK(writer_ok(&w));
    /* Behind the last attribute, in the last transform of the last proposal. */
    size_t before = w.length;

    write_u16(&w, IKEV1_GROUP_PRIME);
    write_u16(&w, sizeof(prime));
    write_slice(&w, SLICE_OF(prime));
    size_t more = w.length - before;

    write_u16_at(&w, 8 + 2, (uint16_t)(get_u16(out + 8 + 2) + more)); /* proposal */
    write_u16_at(&w, 16 + 2, (uint16_t)(get_u16(out + 16 + 2) + more)); /* transform */
    CHECK(writer_ok(&w));
    return writer_written(&w);
}

static struct ikev1_pair *begin(uint64_t seed)
{
    struct ikev1_pair *p = ikev1_pair_new(seed);

    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    CHECK_EQUAL(p->side[0].established + p->side[1].established, 2);
    p->transcript[0] = '\0';
    return p;
}

static void inject(struct ikev1_pair *p, const struct spoken *s)
{
    ikev1_pair_inject(p, 1, &p->side[1].endpoint, &p->side[0].endpoint,
                      (struct slice){s->bytes, s->length});
}

TEST(a_group_of_the_peers_own_is_refused_under_the_keys)
{
    struct ikev1_pair *p = begin(1);
    uint8_t bytes[2048];
    struct spoken s = speak(p, 77, IKEV1_SA, offer(bytes, sizeof(bytes)), false);

    inject(p, &s);
    CHECK_TEXT(p->transcript, "1 HDR*, HASH, N(ATTRIBUTES-NOT-SUPPORTED)\n");
    CHECK_EQUAL(p->queue_count, 1);
    CHECK(p->queue[0].length < s.length); /* no more than what it answers */
    /* The other side, which begins none, takes it for nothing and says nothing. */
    CHECK(ikev1_pair_run(p));
    CHECK_EQUAL(p->queue_count, 0);
    for (unsigned i = 0; i < 2; i++) {
        CHECK_EQUAL(p->side[i].failed + p->side[i].closed, 0);
        CHECK(ikev1_pair_packet(p, i, "net"));
    }
    ikev1_pair_free(p);
}

TEST(what_comes_again_is_answered_again_and_seldom)
{
    struct ikev1_pair *p = begin(2);
    uint8_t bytes[2048];
    struct slice body = offer(bytes, sizeof(bytes));
    struct spoken s = speak(p, 78, IKEV1_SA, body, false);
    struct spoken other = speak(p, 79, IKEV1_SA, body, false);
    unsigned before = p->side[1].sends;

    inject(p, &s);
    inject(p, &s);
    CHECK_EQUAL(p->side[1].sends - before, 1);
    ikev1_pair_advance(p, 250);
    inject(p, &s);
    CHECK_EQUAL(p->side[1].sends - before, 2);
    inject(p, &other);
    CHECK_EQUAL(p->side[1].sends - before, 3);
    ikev1_pair_advance(p, 60000);
    inject(p, &s); /* a recording */
    CHECK_EQUAL(p->side[1].sends - before, 3);
    ikev1_pair_free(p);
}

TEST(what_is_not_proven_or_proposes_nothing_is_not_answered)
{
    struct ikev1_pair *p = begin(3);
    uint8_t bytes[2048];
    struct slice body = offer(bytes, sizeof(bytes));
    unsigned before = p->side[1].sends;
    struct spoken s = speak(p, 80, IKEV1_SA, body, true);

    inject(p, &s);
    s = speak(p, 81, IKEV1_SA, (struct slice){body.data, body.length - 1}, false);
    inject(p, &s);
    s = speak(p, 82, IKEV1_NONCE, body, false);
    inject(p, &s);
    s = speak(p, 0, IKEV1_SA, body, false);
    inject(p, &s);
    s = speak(p, 83, IKEV1_SA, body, false);
    s.bytes[19] = 0; /* in clear, it says */
    inject(p, &s);
    for (size_t at = IKEV1_HEAD_BYTES; at < s.length; at += 7) {
        s = speak(p, 84, IKEV1_SA, body, false);
        s.bytes[at] ^= 0x20;
        inject(p, &s);
    }
    CHECK_EQUAL(p->side[1].sends, before);
    CHECK(ikev1_pair_packet(p, 0, "net"));
    ikev1_pair_free(p);
}
