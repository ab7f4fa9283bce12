/* Decides under which keys and behind which IV a message stands, and what its HASH covers. */
#include "tests/support/ikev1_forge.h"

#include <string.h>

struct ikev1_ike *forge_ike(struct ikev1_pair *pair, unsigned side, uint64_t cookie_i,
                            uint64_t cookie_r, struct ikev1_sa **sa)
{
    for (unsigned i = 0; i < PAIR1_MACHINES_MAX; i++) {
        struct ikev1_sa *of = pair->side[side].machines[i].sa;

        for (struct ikev1_ike *ike = of == NULL ? NULL : of->ikes; ike != NULL; ike = ike->next) {
            if (ike->spi_i == cookie_i && ike->spi_r == cookie_r) {
                *sa = of;
                return ike;
            }
        }
    }
    return NULL;
}

/* Both ends of an ISAKMP SA, and the exchange of phase 2 if there is one. */
struct both {
    const struct ikev1_ike *sender, *receiver;
    const struct ikev1_keys *keys;
    const struct ikev1_quick *quick; /* of the receiver; NULL */
    struct ikev1_iv iv;
    bool phase1;
};

static bool phase1_iv(const struct ikev1_ike *receiver, struct ikev1_iv *iv)
{
    const struct ikev1_handshake *h = receiver->handshake;

    if (h == NULL) {
        return false;
    }
    if (h->awaited == 5) {
        struct ikev1_phase1_words words = ikev1_phase1_words(receiver);

        return ikev1_iv_of_phase1(&h->choice.suite, words.public_i, words.public_r, iv);
    }
    *iv = h->iv;
    return iv->length > 0;
}

static bool find_both(struct ikev1_pair *pair, const struct forge_message *m, struct both *out)
{
    struct ikev1_sa *sa;
    const struct ikev1_header *h = &m->header;

    memset(out, 0, sizeof(*out));
    out->sender = forge_ike(pair, m->from, h->cookie_i, h->cookie_r, &sa);
    out->receiver = forge_ike(pair, 1 - m->from, h->cookie_i, h->cookie_r, &sa);
    if (out->sender == NULL || out->receiver == NULL) {
        return false;
    }
    /* Who is through has forgotten SKEYID. */
    out->keys =
        out->receiver->keys.suite.encryption != 0 ? &out->receiver->keys : &out->sender->keys;
    out->phase1 = h->exchange == IKEV1_MAIN || h->exchange == IKEV1_AGGRESSIVE;
    if (out->keys->suite.encryption == 0) {
        return false;
    }
    if (out->phase1) {
        return phase1_iv(out->receiver, &out->iv);
    }
    out->quick = ikev1_quick_find(sa, out->receiver, h->message_id);
    if (out->quick != NULL && out->quick->iv.length > 0) {
        out->iv = out->quick->iv;
        return true;
    }
    return out->sender->iv.length > 0 &&
           ikev1_iv_of_phase2(&out->keys->suite, &out->sender->iv, h->message_id, &out->iv);
}

bool forge_open(struct ikev1_pair *pair, const struct pair1_datagram *datagram,
                struct forge_message *out)
{
    struct reader r = reader_over((struct slice){datagram->bytes, datagram->length});
    struct both both;
    struct slice chain;

    out->from = 1 - datagram->to;
    out->local = datagram->local;
    out->peer = datagram->peer;
    if (!ikev1_read_header(&r, &out->header) || (out->header.flags & IKEV1_FLAG_ENCRYPTED) == 0 ||
        !find_both(pair, out, &both)) {
        return false;
    }
    struct slice sealed = read_rest(&r);

    if (sealed.length == 0 || sealed.length > sizeof(out->chain) ||
        ikev1_padded_bytes(&both.keys->suite, sealed.length) != sealed.length) {
        return false;
    }
    memcpy(out->chain, sealed.data, sealed.length);
    if (!ikev1_decrypt(both.keys, &both.iv, out->chain, sealed.length) ||
        !ikev1_read_chain(out->header.next_payload, (struct slice){out->chain, sealed.length},
                          &chain)) {
        return false;
    }
    out->length = chain.length;
    return true;
}

/* The body of the first payload of this type. */
static uint8_t *find_payload(struct forge_message *m, uint8_t type, size_t *length)
{
    struct reader r = reader_over((struct slice){m->chain, m->length});
    struct ikev1_payload p;
    uint8_t next = m->header.next_payload;

    while (ikev1_read_payload(&r, &next, &p)) {
        if (p.type == type) {
            *length = p.body.length;
            return m->chain + (p.body.data - m->chain);
        }
    }
    return NULL;
}

static bool make_hash(struct forge_message *m, const struct both *both,
                      struct ikev1_hash_value *hash)
{
    const struct ikev1_quick *q = both->quick;
    uint32_t id = m->header.message_id;
    size_t length;

    if (both->phase1) {
        struct ikev1_phase1_words words = ikev1_phase1_words(both->receiver);
        const uint8_t *said = find_payload(m, IKEV1_ID, &length);
        struct slice kept = both->receiver->handshake->message;

        if (said == NULL && both->receiver->aggressive) {
            said = kept.data;
            length = kept.length;
        }
        return said != NULL && (both->receiver->initiator ? ikev1_hash_r : ikev1_hash_i)(
                                   both->keys, &words, (struct slice){said, length}, hash);
    }
    size_t head = IKEV1_PAYLOAD_HEAD_BYTES + hash->length;
    struct slice rest = {m->chain + head, m->length - head};

    if (q != NULL && q->initiator) {
        return ikev1_hash_2(both->keys, id, ikev1_nonce_slice(&q->nonce_i), rest, hash);
    }
    if (q != NULL) {
        return ikev1_hash_3(both->keys, id, ikev1_nonce_slice(&q->nonce_i),
                            ikev1_nonce_slice(&q->nonce_r), hash);
    }
    return ikev1_hash_1(both->keys, id, rest, hash);
}

static void repair_hash(struct forge_message *m, const struct both *both)
{
    struct ikev1_hash_value hash = {.length = 0};
    size_t length = 0;
    uint8_t *body = find_payload(m, IKEV1_HASH, &length);

    hash.length = length;
    if (body == NULL || (!both->phase1 && body != m->chain + IKEV1_PAYLOAD_HEAD_BYTES) ||
        !make_hash(m, both, &hash) || hash.length != length) {
        return;
    }
    memcpy(body, hash.octets, length);
}

void forge_send(struct ikev1_pair *pair, struct forge_message *m)
{
    uint8_t bytes[IKEV1_HEAD_BYTES + FORGE_BYTES_MAX + CBC_BLOCK_BYTES_MAX];
    struct writer w = writer_over(bytes, sizeof(bytes));
    struct both both;

    if (!find_both(pair, m, &both)) {
        return;
    }
    repair_hash(m, &both);
    m->header.flags |= IKEV1_FLAG_ENCRYPTED;
    ikev1_write_header(&w, &m->header);
    write_slice(&w, (struct slice){m->chain, m->length});
    write_zeros(&w, ikev1_padded_bytes(&both.keys->suite, m->length) - m->length);
    ikev1_finish_message(&w);
    if (writer_ok(&w) &&
        ikev1_encrypt(both.keys, &both.iv, bytes + IKEV1_HEAD_BYTES, w.length - IKEV1_HEAD_BYTES)) {
        ikev1_pair_inject(pair, 1 - m->from, &m->local, &m->peer, writer_written(&w));
    }
}
