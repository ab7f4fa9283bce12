/*
 * Fragments of IKE messages as Windows and Cisco have them: a message of phase 1 that is too long
 * for a packet goes in several, each a message of its own with one payload. They prove nothing, so
 * what is kept of them is little and not for long: decides what that is.
 *
 * Only where both sides said the vendor ID, and after the first round trip: before that the sender
 * may be anybody. Message 2 of Aggressive Mode, with the peer's certificates in it, is the first
 * that comes back: there our own word is enough. One message at a time, of at most 16 KiB, for 5
 * seconds.
 */
#include <string.h>

#include "proto/ike/fragments.h"
#include "proto/ikev1/machine.h"

#define FRAGMENT_HEAD_BYTES (IKEV1_HEAD_BYTES + IKEV1_PAYLOAD_HEAD_BYTES + 4)
#define FRAGMENT_IN_BYTES_MAX 16384
#define FRAGMENT_MS 5000

/* ---- sending ---- */

static struct ikev1_ike *ike_of(const struct ikev1_sa *sa, uint64_t cookie_i)
{
    struct ikev1_ike *ike = sa->ikes;

    while (ike != NULL && ike->spi_i != cookie_i) {
        ike = ike->next;
    }
    return ike;
}

/* Room for the message in each fragment; 0: it is sent whole. */
static size_t room_for(const struct ikev1_ike *ike, const struct ikev1_header *h,
                       const struct endpoint *local, size_t length)
{
    if (ike == NULL || ike->fragment_bytes == 0 ||
        (h->exchange != IKEV1_MAIN && h->exchange != IKEV1_AGGRESSIVE)) {
        return 0;
    }
    size_t most = fragments_message_bytes(ike->fragment_bytes, (enum family)local->address.family,
                                          local->port == IKEV1_NAT_PORT);

    if (length <= most || most <= FRAGMENT_HEAD_BYTES) {
        return 0;
    }
    size_t room = most - FRAGMENT_HEAD_BYTES;

    return length <= room * IKEV1_FRAGMENTS_OUT_MAX ? room : 0;
}

static void send_one(struct ikev1_turn *t, const struct ikev1_header *of,
                     const struct ikev1_fragment_payload *fragment, const struct endpoint *local,
                     const struct endpoint *peer)
{
    size_t length = FRAGMENT_HEAD_BYTES + fragment->data.length;
    uint8_t *bytes = ikev1_turn_memory(t->sa, length);
    struct ikev1_header h = *of;
    uint8_t first = IKEV1_FRAGMENT;

    if (bytes == NULL) {
        return;
    }
    struct writer w = writer_over(bytes, length);
    struct ikev1_chain chain;

    h.next_payload = IKEV1_FRAGMENT;
    h.flags &= (uint8_t)~IKEV1_FLAG_ENCRYPTED;
    ikev1_write_header(&w, &h);
    chain = ikev1_chain_over(&w, &first);
    ikev1_begin_payload(&chain, IKEV1_FRAGMENT);
    ikev1_write_fragment(&w, fragment);
    ikev1_end_payload(&chain);
    ikev1_finish_message(&w);
    ikev1_send_bytes(t, writer_written(&w), local, peer);
}

bool ikev1_send_in_fragments(struct ikev1_turn *t, struct slice message,
                             const struct endpoint *local, const struct endpoint *peer)
{
    struct reader r = reader_over(message);
    struct ikev1_header h;

    if (!ikev1_read_header(&r, &h)) {
        return false;
    }
    struct ikev1_ike *ike = ike_of(t->sa, h.cookie_i);
    size_t room = room_for(ike, &h, local, message.length);

    if (room == 0) {
        return false;
    }
    ike->fragment_id++;
    for (size_t at = 0; at < message.length; at += room) {
        size_t left = message.length - at;
        struct ikev1_fragment_payload fragment = {
            .identifier = ike->fragment_id,
            .number = (uint8_t)(at / room + 1),
            .last = left <= room,
            .data = {message.data + at, left < room ? left : room},
        };

        send_one(t, &h, &fragment, local, peer);
    }
    return true;
}

/* ---- receiving ---- */

void ikev1_fragments_drop(struct ikev1_sa *sa, struct ikev1_ike *ike)
{
    for (size_t i = 0; i < IKEV1_FRAGMENTS_IN_MAX; i++) {
        ikev1_block_drop(sa, &ike->fragments.part[i]);
    }
    ike->fragments.last = 0;
    ike->fragments.bytes = 0;
    ike->fragments.end_ms = NEVER_MS;
}

static bool may_come(const struct ikev1_sa *sa, const struct ikev1_ike *ike)
{
    const struct ikev1_handshake *h = ike->handshake;

    if (h != NULL && h->awaited < 3) {
        return ike->initiator && ike->aggressive && h->awaited == 2 &&
               sa->policy->fragment_bytes != 0 && !sa->policy->no_vendor_ids;
    }
    return ike->fragment_bytes != 0;
}

/* All of 1 to the last are there: the message, in memory of the turn. */
static bool complete(struct ikev1_turn *t, struct ikev1_ike *ike, struct slice *whole)
{
    struct ikev1_fragments *f = &ike->fragments;
    size_t at = 0;

    for (size_t i = 0; i < f->last; i++) {
        if (f->part[i].data == NULL) {
            return false;
        }
    }
    uint8_t *bytes = f->last > 0 ? ikev1_turn_memory(t->sa, f->bytes) : NULL;

    if (bytes == NULL) {
        return false;
    }
    for (size_t i = 0; i < f->last; i++) {
        memcpy(bytes + at, f->part[i].data, f->part[i].length);
        at += f->part[i].length;
    }
    *whole = (struct slice){bytes, at};
    ikev1_fragments_drop(t->sa, ike);
    return true;
}

bool ikev1_fragment_add(struct ikev1_turn *t, struct ikev1_ike *ike, const struct ikev1_message *m,
                        struct slice *whole)
{
    struct ikev1_fragments *f = &ike->fragments;
    struct ikev1_fragment_payload p;
    struct ikev1_payload payload;
    struct reader r = reader_over(
        (struct slice){m->whole.data + IKEV1_HEAD_BYTES, m->whole.length - IKEV1_HEAD_BYTES});
    uint8_t next = m->header.next_payload;

    if (!may_come(t->sa, ike) || !ikev1_read_payload(&r, &next, &payload) ||
        next != IKEV1_NO_NEXT_PAYLOAD || !ikev1_read_fragment(payload.body, &p) ||
        p.number > IKEV1_FRAGMENTS_IN_MAX) {
        return false;
    }
    if (f->identifier != p.identifier || f->end_ms <= t->now_ms) {
        ikev1_fragments_drop(t->sa, ike);
        f->identifier = p.identifier;
    }
    struct slice *part = &f->part[p.number - 1];

    if (part->data != NULL || f->bytes + p.data.length > FRAGMENT_IN_BYTES_MAX ||
        (f->last != 0 && (p.last || p.number > f->last)) || !ikev1_block_copy(p.data, part)) {
        return false;
    }
    f->bytes += p.data.length;
    if (p.last) {
        f->last = p.number;
    }
    if (f->end_ms == NEVER_MS) {
        f->end_ms = ikev1_after(t->now_ms, FRAGMENT_MS);
    }
    /* What is behind the last one belongs to nothing. */
    for (size_t i = f->last; f->last != 0 && i < IKEV1_FRAGMENTS_IN_MAX; i++) {
        if (f->part[i].data != NULL) {
            ikev1_fragments_drop(t->sa, ike);
            return false;
        }
    }
    return complete(t, ike, whole);
}
