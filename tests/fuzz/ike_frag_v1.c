/*
 * Fragments of IKEv1 messages: what comes together is the first of each number, one behind the
 * other, of one identifier and within five seconds; what is kept is little and not for long; and
 * who sends fragments of anything to a handshake under way does not break it.
 *
 * First byte: pieces are given to the reassembler (0), or (1) to both machines of a handshake in
 * Main Mode or Aggressive Mode (2) that is in fragments itself. Then pieces: identifier, number and
 * "last" (128), time before it in units of 1/8 s, length, and where in the input its octets begin.
 */
#include <string.h>

#include "fuzz.h"
#include "proto/ikev1/machine.h"
#include "tests/support/ikev1_pair.h"

#define FRAGMENTS_BYTES_MAX 16384
#define FRAGMENTS_MS 5000
#define PIECE_BYTES_MAX 2100
/* Whoever sees the cookies and never stops keeps any handshake from its end; one that is left alone
 * again in time comes through. */
#define DISTURBED_MS 8000

struct piece {
    uint16_t identifier;
    uint8_t number;
    bool last;
    uint64_t wait_ms;
    uint16_t length, at;
};

static struct piece read_piece(struct reader *r)
{
    struct piece p = {.identifier = read_u8(r) % 3};
    uint8_t number = read_u8(r);
    uint16_t length;

    p.number = (number & 0x7f) % 40;
    p.last = (number & 0x80) != 0;
    p.wait_ms = (uint64_t)(read_u8(r) % 64) * 125;
    length = read_u16(r);
    p.length = length % PIECE_BYTES_MAX;
    p.at = read_u16(r);
    return p;
}

static size_t make_message(const struct piece *p, const struct ikev1_header *of, struct slice data,
                           uint8_t *out, size_t room)
{
    struct writer w = writer_over(out, room);
    struct ikev1_header h = *of;
    struct ikev1_fragment_payload f = {
        .identifier = p->identifier, .number = p->number, .last = p->last, .data = data};
    uint8_t first;

    h.next_payload = IKEV1_FRAGMENT;
    ikev1_write_header(&w, &h);
    struct ikev1_chain chain = ikev1_chain_over(&w, &first);

    ikev1_begin_payload(&chain, IKEV1_FRAGMENT);
    ikev1_write_fragment(&w, &f);
    ikev1_end_payload(&chain);
    ikev1_finish_message(&w);
    MUST(writer_ok(&w));
    return w.length;
}

/* ---- the reassembler alone ---- */

static void check_kept(const struct ikev1_fragments *f, uint64_t now_ms)
{
    size_t bytes = 0;
    bool any = false;

    for (size_t i = 0; i < IKEV1_FRAGMENTS_IN_MAX; i++) {
        bytes += f->part[i].length;
        any |= f->part[i].data != NULL;
        MUST(f->last == 0 || i < f->last || f->part[i].data == NULL);
    }
    MUST(bytes == f->bytes && bytes <= FRAGMENTS_BYTES_MAX);
    MUST(any == (f->end_ms != NEVER_MS));
    MUST(!any || f->end_ms <= now_ms + FRAGMENTS_MS);
}

/* What should come out: what is kept, with the new piece in its place. */
static size_t expect(const struct ikev1_fragments *f, const struct piece *p, struct slice data,
                     uint8_t *out)
{
    size_t last = p->last ? p->number : f->last;
    size_t length = 0;

    for (size_t i = 0; i < last; i++) {
        struct slice part = i + 1 == p->number ? data : f->part[i];

        if (part.length > 0) {
            memcpy(out + length, part.data, part.length);
        }
        length += part.length;
    }
    return length;
}

static void add_alone(struct ikev1_turn *t, struct ikev1_ike *ike, const struct piece *p,
                      struct slice data)
{
    static uint8_t bytes[PIECE_BYTES_MAX + 64];
    static uint8_t expected[FRAGMENTS_BYTES_MAX + PIECE_BYTES_MAX];
    struct ikev1_header h = {
        .cookie_i = 1, .cookie_r = 2, .version = IKEV1_VERSION_1_0, .exchange = IKEV1_MAIN};
    struct ikev1_message m = {.header = h};
    const struct ikev1_fragments *f = &ike->fragments;
    struct slice whole;

    m.header.next_payload = IKEV1_FRAGMENT;
    m.whole = (struct slice){bytes, make_message(p, &h, data, bytes, sizeof(bytes))};
    bool same = f->identifier == p->identifier && f->end_ms > t->now_ms;
    bool fits = p->number >= 1 && p->number <= IKEV1_FRAGMENTS_IN_MAX;
    bool taken = same && fits && f->part[p->number - 1].data == NULL;
    const struct ikev1_fragments none = {.identifier = p->identifier};
    size_t length = !fits ? 0 : expect(same ? f : &none, p, data, expected);

    ikev1_turn_clear(t->sa);
    if (ikev1_fragment_add(t, ike, &m, &whole)) {
        MUST(taken || (!same && p->number == 1 && p->last));
        MUST(whole.length == length && length > 0);
        MUST(memcmp(whole.data, expected, length) == 0);
        MUST(f->end_ms == NEVER_MS);
    }
    check_kept(f, t->now_ms);
}

static void alone(struct reader *r, struct slice from)
{
    struct seeded_random seeded;
    struct random_source random = seeded_random_source(&seeded);
    const struct ikev1_policy policy = {.fragment_bytes = 576};
    struct endpoint here = {address_ipv4(0xcb007101), 500};
    struct ikev1_turn t = {.now_ms = 1000};

    seeded_random_init(&seeded, 1);
    t.sa = ikev1_sa_new_initiator(&policy, &here, &here, &random);
    MUST(t.sa != NULL);
    struct ikev1_ike *ike = ikev1_ike_new(&t, true, false, 1, 2);

    MUST(ike != NULL);
    ike->fragment_bytes = 576;
    while (reader_left(r) >= 7) {
        struct piece p = read_piece(r);
        size_t at = p.at % from.length;
        size_t length = p.length < from.length - at ? p.length : from.length - at;

        t.now_ms += p.wait_ms;
        add_alone(&t, ike, &p, (struct slice){from.data + at, length});
    }
    ikev1_sa_free(t.sa);
}

/* ---- a handshake ---- */

static void to_machine(struct ikev1_pair *pair, const struct piece *p, struct slice data)
{
    uint8_t bytes[PIECE_BYTES_MAX + 64];
    struct ikev1_sa_info info;
    const struct ikev1_sa *sa = ikev1_pair_sa(pair, 0);
    unsigned to = p->identifier % 2;

    if (sa == NULL) {
        return;
    }
    ikev1_sa_get_info(sa, &info);
    const struct ikev1_ike *ike = sa->ikes;

    if (ike == NULL) {
        return;
    }
    struct ikev1_header h = {.cookie_i = ike->spi_i,
                             .cookie_r = ike->spi_r,
                             .version = IKEV1_VERSION_1_0,
                             .exchange = ike->aggressive ? IKEV1_AGGRESSIVE : IKEV1_MAIN};
    size_t length = make_message(p, &h, data, bytes, sizeof(bytes));

    ikev1_pair_inject(pair, to, &pair->side[to].endpoint, &pair->side[1 - to].endpoint,
                      (struct slice){bytes, length});
}

static void in_handshake(struct reader *r, uint8_t how, struct slice from)
{
    struct ikev1_pair *pair = ikev1_pair_new(how);

    for (unsigned i = 0; i < 2; i++) {
        struct pair1_side *s = &pair->side[i];

        ikev1_pair_set_ike(pair, i, "aes128-sha1-ecp256");
        s->policy.fragment_bytes = s->responder.fragment_bytes = 200;
        s->policy.aggressive = s->responder.aggressive = (how & 2) != 0;
    }
    ikev1_pair_start(pair, 0);
    uint64_t end_ms = pair->now_ms + DISTURBED_MS;

    while (reader_left(r) >= 7 && pair->now_ms < end_ms) {
        struct piece p = read_piece(r);
        size_t at = p.at % from.length;
        size_t length = p.length < from.length - at ? p.length : from.length - at;

        p.identifier += 1000; /* not that of a fragment under way: who sees that one can do more */
        to_machine(pair, &p, (struct slice){from.data + at, length});
        if ((p.at & 1) != 0 && pair->queue_count > 0) {
            ikev1_pair_deliver(pair, (p.at >> 1) % pair->queue_count);
        }
        ikev1_pair_jump(pair, p.wait_ms / 16);
    }
    ikev1_pair_advance(pair, 25000);
    MUST(pair->side[0].established == 1 && pair->side[1].established == 1);
    MUST(ikev1_pair_agrees(pair) && ikev1_pair_packet(pair, 0, "net"));
    for (unsigned i = 0; i < 2; i++) {
        MUST(ikev1_pair_sa(pair, i)->ikes->fragments.end_ms == NEVER_MS);
    }
    ikev1_pair_free(pair);
}

FUZZ(ike_frag_v1, 600)
{
    struct reader r = reader_over((struct slice){data, size});
    uint8_t how = read_u8(&r);

    if (size < 8 || size > 1024) {
        return 0;
    }
    if ((how & 1) == 0) {
        alone(&r, (struct slice){data, size});
    } else {
        in_handshake(&r, how, (struct slice){data, size});
    }
    return 0;
}
