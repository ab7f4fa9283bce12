/* Decides which fragments make a datagram, and which datagrams are given up. */
#include "dataplane/reassembly.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "base/table.h"
#include "dataplane/pages.h"
#include "wire/ipv6_fragment.h"

#define BLOCK_BYTES 8
#define BLOCKS_MAX 8192 /* of 65,535 octets */
#define WORD_BITS 64
#define HEAD_BYTES_MAX 512 /* of the headers before the fragmentable part */
#define BUFFER_BYTES                                                                               \
    ((HEAD_BYTES_MAX + 65536 + PAGES_ALIGNMENT - 1) / PAGES_ALIGNMENT * PAGES_ALIGNMENT)
#define KEY_BYTES_MAX (1 + 16 + 16 + 4 + 1)
#define IPV4_OFFSET_TOTAL 2
#define IPV4_OFFSET_FRAGMENT 6
#define IPV4_OFFSET_CHECKSUM 10
#define IPV4_DONT_FRAGMENT 0x4000
#define IPV6_OFFSET_PAYLOAD 4
#define ECN_BITS 3
#define ECN_MARKED 3

/* One bit for each eight octets of a datagram. */
struct blocks {
    uint64_t words[BLOCKS_MAX / WORD_BITS];
};

enum datagram_state {
    DATAGRAM_NONE = 0,
    DATAGRAM_WAITS,
    DATAGRAM_REFUSED, /* remembered, so that what comes later is refused too */
};

struct datagram {
    uint8_t state; /* enum datagram_state */
    uint8_t key_bytes;
    uint8_t key[KEY_BYTES_MAX];
    uint64_t source_hash;
    uint64_t first_ms;
    uint64_t deadline_ms;

    uint32_t head_bytes; /* 0: the first fragment is not here */
    uint32_t end; /* of the last fragment; 0: it is not here */
    uint32_t furthest; /* end of what is here */
    uint32_t block_count;
    uint8_t ecn_seen; /* one bit for each codepoint */
    struct blocks here;
    struct blocks begins; /* where a fragment begins: tells a doubled one from an overlap */
};

struct reassembly {
    uint8_t hash_key[16];
    struct reassembly_counters counters;
    uint8_t *buffers; /* one a datagram: its header ends where its payload begins */
    uint64_t hashes[REASSEMBLY_DATAGRAMS]; /* of the keys; 0: free */
    struct datagram datagrams[REASSEMBLY_DATAGRAMS];
};

/* A fragment as it is counted here. */
struct piece {
    uint32_t head_bytes; /* before the payload, without a Fragment header */
    uint32_t payload_at;
    uint32_t offset;
    uint32_t bytes;
    bool more;
    uint8_t key_bytes;
    uint8_t key[KEY_BYTES_MAX];
    struct ipv6_fragment ipv6;
};

struct reassembly *reassembly_new(struct random_source *random)
{
    struct reassembly *r = calloc(1, sizeof(*r));

    if (r == NULL) {
        return NULL;
    }
    r->buffers = pages_new((size_t)REASSEMBLY_DATAGRAMS * BUFFER_BYTES);
    if (r->buffers == NULL) {
        free(r);
        return NULL;
    }
    random_fill(random, r->hash_key, sizeof(r->hash_key));
    return r;
}

void reassembly_free(struct reassembly *r)
{
    if (r != NULL) {
        wipe(r->hash_key, sizeof(r->hash_key));
        pages_free(r->buffers, (size_t)REASSEMBLY_DATAGRAMS * BUFFER_BYTES);
        free(r);
    }
}

const struct reassembly_counters *reassembly_counters(const struct reassembly *r)
{
    return &r->counters;
}

/* --- blocks --- */

/* The bits of word `word` that belong to blocks first..last-1. */
static uint64_t word_mask(uint32_t word, uint32_t first, uint32_t last)
{
    uint32_t begin = word * WORD_BITS;
    uint64_t mask = UINT64_MAX;

    if (first > begin) {
        mask &= UINT64_MAX << (first - begin);
    }
    if (last - begin < WORD_BITS) {
        mask &= ~(UINT64_MAX << (last - begin));
    }
    return mask;
}

static uint32_t blocks_count(const struct blocks *b, uint32_t first, uint32_t last)
{
    uint32_t count = 0;

    for (uint32_t w = first / WORD_BITS; w * WORD_BITS < last; w++) {
        count += (uint32_t)__builtin_popcountll(b->words[w] & word_mask(w, first, last));
    }
    return count;
}

static void blocks_set(struct blocks *b, uint32_t first, uint32_t last)
{
    for (uint32_t w = first / WORD_BITS; w * WORD_BITS < last; w++) {
        b->words[w] |= word_mask(w, first, last);
    }
}

static bool blocks_has(const struct blocks *b, uint32_t block)
{
    return (b->words[block / WORD_BITS] >> block % WORD_BITS & 1) != 0;
}

/* --- the table --- */

static uint8_t *payload_of(const struct reassembly *r, const struct datagram *d)
{
    return r->buffers + (size_t)(d - r->datagrams) * BUFFER_BYTES + HEAD_BYTES_MAX;
}

static void forget(struct reassembly *r, struct datagram *d)
{
    d->state = DATAGRAM_NONE;
    r->hashes[d - r->datagrams] = 0;
}

/* A refused datagram was counted when it was refused. */
static void give_up(struct reassembly *r, struct datagram *d, uint64_t *counter)
{
    if (d->state == DATAGRAM_WAITS) {
        (*counter)++;
    }
    forget(r, d);
}

void reassembly_expire(struct reassembly *r, uint64_t now_ms)
{
    for (size_t i = 0; i < REASSEMBLY_DATAGRAMS; i++) {
        if (r->hashes[i] != 0 && now_ms >= r->datagrams[i].deadline_ms) {
            give_up(r, &r->datagrams[i], &r->counters.timed_out);
        }
    }
}

static struct datagram *find(struct reassembly *r, const struct piece *piece, uint64_t hash)
{
    for (size_t i = 0; i < REASSEMBLY_DATAGRAMS; i++) {
        const struct datagram *d = &r->datagrams[i];

        if (r->hashes[i] == hash && d->key_bytes == piece->key_bytes &&
            memcmp(d->key, piece->key, piece->key_bytes) == 0) {
            return &r->datagrams[i];
        }
    }
    return NULL;
}

/* A place for a new datagram. Who has as many as one sender may loses his oldest, so that he cannot
 * push out what others wait for; else, when no place is free, all lose the oldest. */
static struct datagram *take_place(struct reassembly *r, uint64_t source_hash)
{
    struct datagram *unused = NULL;
    struct datagram *oldest = NULL;
    struct datagram *oldest_of_source = NULL;
    size_t of_source = 0;

    for (size_t i = 0; i < REASSEMBLY_DATAGRAMS; i++) {
        struct datagram *d = &r->datagrams[i];

        if (r->hashes[i] == 0) {
            unused = d;
            continue;
        }
        if (oldest == NULL || d->first_ms < oldest->first_ms) {
            oldest = d;
        }
        if (d->source_hash == source_hash) {
            of_source++;
            if (oldest_of_source == NULL || d->first_ms < oldest_of_source->first_ms) {
                oldest_of_source = d;
            }
        }
    }
    struct datagram *place = of_source >= REASSEMBLY_OF_SOURCE ? oldest_of_source
                             : unused != NULL                  ? unused
                                                               : oldest;
    if (place->state != DATAGRAM_NONE) {
        give_up(r, place, &r->counters.evicted);
    }
    return place;
}

static struct datagram *begin(struct reassembly *r, const struct piece *piece,
                              const struct ip_head *head, uint64_t hash, uint64_t now_ms)
{
    uint64_t lifetime_ms = head->family == FAMILY_IPV4 ? REASSEMBLY_IPV4_MS : REASSEMBLY_IPV6_MS;
    uint64_t source_hash = siphash24(r->hash_key, (struct slice){head->source.bytes, 16});

    reassembly_expire(r, now_ms);
    struct datagram *d = take_place(r, source_hash);

    *d = (struct datagram){
        .state = DATAGRAM_WAITS,
        .key_bytes = piece->key_bytes,
        .source_hash = source_hash,
        .first_ms = now_ms,
        .deadline_ms = now_ms + lifetime_ms,
    };
    memcpy(d->key, piece->key, piece->key_bytes);
    r->hashes[d - r->datagrams] = hash;
    return d;
}

/* --- reading --- */

/* RFC 791 3.2: source, destination, protocol, identification; RFC 8200 4.5: the same without the
 * protocol. */
static void write_key(const struct ip_head *head, struct piece *piece)
{
    struct writer w = writer_over(piece->key, sizeof(piece->key));
    size_t bytes = address_bytes((enum family)head->family);

    write_u8(&w, head->family);
    write_slice(&w, (struct slice){head->source.bytes, bytes});
    write_slice(&w, (struct slice){head->destination.bytes, bytes});
    if (head->family == FAMILY_IPV4) {
        write_u16(&w, head->id);
        write_u8(&w, head->protocol);
    } else {
        write_u32(&w, piece->ipv6.id);
    }
    assert(writer_ok(&w));
    piece->key_bytes = (uint8_t)w.length;
}

/* RFC 8200 4.5, RFC 7112: the first fragment of an IPv6 packet has all headers up to and including
 * the one of the upper layer. */
static bool has_upper_head(const struct ip_head *head)
{
    uint32_t bytes = head->total_bytes - head->upper_offset;

    switch (head->protocol) {
    case IP_PROTOCOL_TCP:
        return bytes >= TCP_HEAD_BYTES;
    case IP_PROTOCOL_UDP:
    case IP_PROTOCOL_ICMPV6:
    case IP_PROTOCOL_ESP:
        return bytes >= 8;
    default:
        return bytes > 0 || head->protocol == IP_PROTOCOL_NONE;
    }
}

static bool read_piece(struct slice fragment, const struct ip_head *head, struct piece *piece)
{
    *piece = (struct piece){
        .head_bytes = head->upper_offset,
        .payload_at = head->upper_offset,
        .offset = head->fragment_offset,
        .more = head->more_fragments,
    };
    if (head->family == FAMILY_IPV6) {
        if (!ipv6_find_fragment(fragment, &piece->ipv6)) {
            return false;
        }
        piece->head_bytes = piece->ipv6.at;
        piece->payload_at = piece->head_bytes + IPV6_FRAGMENT_HEAD_BYTES;
        if (piece->offset == 0 && !has_upper_head(head)) {
            return false;
        }
    }
    piece->bytes = (uint32_t)fragment.length - piece->payload_at;
    write_key(head, piece);
    bool is_whole = piece->offset == 0 && !piece->more;

    return (piece->bytes > 0 || is_whole) && (!piece->more || piece->bytes % BLOCK_BYTES == 0) &&
           (piece->offset > 0 || piece->head_bytes <= HEAD_BYTES_MAX);
}

/* --- putting together --- */

/* What IPv4 counts in its total length and IPv6 in its payload length. */
static uint32_t counted_bytes(uint8_t family, uint32_t head_bytes, uint32_t end)
{
    return end + head_bytes - (family == FAMILY_IPV4 ? 0 : IPV6_HEAD_BYTES);
}

static uint32_t least_head_bytes(uint8_t family)
{
    return family == FAMILY_IPV4 ? IPV4_HEAD_BYTES : IPV6_HEAD_BYTES;
}

/* Exactly one fragment that is here already: it began and ended where this one does, and said the
 * same. */
static bool is_doubled(const struct reassembly *r, const struct datagram *d,
                       const struct piece *piece, const uint8_t *payload)
{
    uint32_t first = piece->offset / BLOCK_BYTES;
    uint32_t last = (piece->offset + piece->bytes + BLOCK_BYTES - 1) / BLOCK_BYTES;
    uint32_t end = piece->offset + piece->bytes;

    if (blocks_count(&d->here, first, last) != last - first || !blocks_has(&d->begins, first) ||
        blocks_count(&d->begins, first, last) != 1) {
        return false;
    }
    bool ends_there =
        end == d->end || (last < BLOCKS_MAX && end % BLOCK_BYTES == 0 &&
                          (!blocks_has(&d->here, last) || blocks_has(&d->begins, last)));
    return ends_there && piece->more == (end != d->end) &&
           memcmp(payload_of(r, d) + piece->offset, payload, piece->bytes) == 0;
}

/* What the fragments say about the datagram's end must agree. */
static bool end_agrees(const struct datagram *d, const struct piece *piece)
{
    uint32_t end = piece->offset + piece->bytes;

    if (piece->more) {
        return d->end == 0 || end < d->end;
    }
    return d->end == 0 ? end >= d->furthest : false;
}

static enum reassembly_result refuse(struct datagram *d, enum reassembly_result why)
{
    d->state = DATAGRAM_REFUSED;
    return why;
}

static enum reassembly_result insert(struct reassembly *r, struct datagram *d,
                                     const struct ip_head *head, const struct piece *piece,
                                     struct slice fragment)
{
    uint32_t first = piece->offset / BLOCK_BYTES;
    uint32_t end = piece->offset + piece->bytes;
    uint32_t last = (end + BLOCK_BYTES - 1) / BLOCK_BYTES;
    const uint8_t *payload = fragment.data + piece->payload_at;

    if (blocks_count(&d->here, first, last) > 0) {
        return is_doubled(r, d, piece, payload) ? REASSEMBLY_DOUBLED
                                                : refuse(d, REASSEMBLY_OVERLAPS);
    }
    if (!end_agrees(d, piece)) {
        return refuse(d, REASSEMBLY_OVERLAPS);
    }
    blocks_set(&d->here, first, last);
    blocks_set(&d->begins, first, first + 1);
    d->block_count += last - first;
    d->furthest = end > d->furthest ? end : d->furthest;
    d->end = piece->more ? d->end : end;
    d->ecn_seen |= (uint8_t)(1u << (head->tos & ECN_BITS));
    memcpy(payload_of(r, d) + piece->offset, payload, piece->bytes);
    if (piece->offset == 0) {
        uint8_t *to = payload_of(r, d) - piece->head_bytes;

        d->head_bytes = piece->head_bytes;
        memcpy(to, fragment.data, piece->head_bytes);
        if (head->family == FAMILY_IPV6) {
            to[piece->ipv6.next_header_at] = piece->ipv6.next_header;
        }
    }
    return REASSEMBLY_WAITS;
}

/* RFC 3168 5.3: a mark on one fragment is a mark on the datagram, unless another fragment says that
 * the flow does not know marks. */
static bool merge_ecn(uint8_t *packet, uint8_t family, uint8_t ecn_seen)
{
    if ((ecn_seen & 1u << ECN_MARKED) == 0) {
        return true;
    }
    if ((ecn_seen & 1u) != 0) {
        return false;
    }
    if (family == FAMILY_IPV4) {
        packet[1] |= ECN_MARKED; /* the checksum is made anew */
    } else {
        packet[1] |= ECN_MARKED << 4;
    }
    return true;
}

static void finish_head(uint8_t *packet, uint8_t family, uint32_t head_bytes, uint32_t counted)
{
    if (family == FAMILY_IPV6) {
        put_u16(packet + IPV6_OFFSET_PAYLOAD, (uint16_t)counted);
        return;
    }
    put_u16(packet + IPV4_OFFSET_TOTAL, (uint16_t)counted);
    put_u16(packet + IPV4_OFFSET_FRAGMENT,
            get_u16(packet + IPV4_OFFSET_FRAGMENT) & IPV4_DONT_FRAGMENT);
    put_u16(packet + IPV4_OFFSET_CHECKSUM, 0);
    put_u16(packet + IPV4_OFFSET_CHECKSUM,
            checksum_finish(checksum_add(0, (struct slice){packet, head_bytes})));
}

static enum reassembly_result complete(struct reassembly *r, struct datagram *d, uint8_t family,
                                       struct packet *out)
{
    uint8_t *whole = payload_of(r, d) - d->head_bytes;
    uint32_t counted = counted_bytes(family, d->head_bytes, d->end);
    uint32_t length = d->head_bytes + d->end;

    if (counted > UINT16_MAX) {
        return refuse(d, REASSEMBLY_TOO_LARGE);
    }
    if (!merge_ecn(whole, family, d->ecn_seen)) {
        return refuse(d, REASSEMBLY_CONGESTION);
    }
    finish_head(whole, family, d->head_bytes, counted);
    assert(out->capacity - out->offset >= length);
    memcpy(packet_data(out), whole, length);
    out->length = length;
    r->counters.whole++;
    forget(r, d);
    return REASSEMBLY_WHOLE;
}

/* RFC 6946, RFC 8200 4.5: a Fragment header on a packet that was not cut. Others with the same
 * identification have nothing to do with it. */
static void take_out_head(struct slice fragment, const struct piece *piece, struct packet *out)
{
    uint8_t *to = packet_data(out);

    assert(out->capacity - out->offset >= fragment.length);
    memmove(to, fragment.data, piece->head_bytes);
    memmove(to + piece->head_bytes, fragment.data + piece->payload_at, piece->bytes);
    to[piece->ipv6.next_header_at] = piece->ipv6.next_header;
    out->length = piece->head_bytes + piece->bytes;
    put_u16(to + IPV6_OFFSET_PAYLOAD, (uint16_t)(out->length - IPV6_HEAD_BYTES));
}

static enum reassembly_result pass_whole(struct slice packet, struct packet *out)
{
    assert(out->capacity - out->offset >= packet.length);
    memmove(packet_data(out), packet.data, packet.length);
    out->length = (uint32_t)packet.length;
    return REASSEMBLY_WHOLE;
}

enum reassembly_result reassembly_add(struct reassembly *r, struct slice fragment,
                                      const struct ip_head *head, uint64_t now_ms,
                                      struct packet *out)
{
    struct piece piece;

    assert(fragment.length == head->total_bytes);
    if (!head->is_fragment) {
        return pass_whole(fragment, out);
    }
    if (!read_piece(fragment, head, &piece)) {
        return REASSEMBLY_MALFORMED;
    }
    if (piece.offset == 0 && !piece.more) {
        take_out_head(fragment, &piece, out);
        return REASSEMBLY_WHOLE;
    }
    if (counted_bytes(head->family, least_head_bytes(head->family), piece.offset + piece.bytes) >
        UINT16_MAX) {
        return REASSEMBLY_TOO_LARGE;
    }
    uint64_t hash = siphash24(r->hash_key, (struct slice){piece.key, piece.key_bytes}) | 1;
    struct datagram *d = find(r, &piece, hash);

    if (d != NULL && now_ms >= d->deadline_ms) {
        give_up(r, d, &r->counters.timed_out);
        d = NULL;
    }
    if (d == NULL) {
        d = begin(r, &piece, head, hash, now_ms);
    }
    if (d->state == DATAGRAM_REFUSED) {
        return REASSEMBLY_OVERLAPS;
    }
    enum reassembly_result result = insert(r, d, head, &piece, fragment);

    if (result == REASSEMBLY_WAITS && d->head_bytes > 0 && d->end > 0 &&
        d->block_count == (d->end + BLOCK_BYTES - 1) / BLOCK_BYTES) {
        result = complete(r, d, head->family, out);
    }
    return result;
}
