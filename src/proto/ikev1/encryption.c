/*
 * Proof by RSA encryption, and its revised mode (RFC 2409 5.2, 5.3): decides what is sealed for
 * whom, and what a message is worth of which nobody may know whether it could be opened.
 *
 *     5.2   3  HDR, KE, [HASH(1),] <IDii_b>, <Ni_b>  -->
 *                                <--  4  HDR, KE, <IDir_b>, <Nr_b>
 *     5.3   3  HDR, [HASH(1),] <Ni_b>, <KE_b>Ke_i, <IDii_b>Ke_i [, <Cert-I_b>Ke_i]  -->
 *                                <--  4  HDR, <Nr_b>, <KE_b>Ke_r, <IDir_b>Ke_r
 *     both  5  HDR*, HASH_I  -->
 *                                <--  6  HDR*, HASH_R
 *
 * In Aggressive Mode the same stands in messages 1 and 2 beside SA, message 2 has HASH_R and
 * message 3 is HASH_I. What stands behind the nonce in the revised mode is covered there, NAT-D as
 * well; SA, vendor IDs and NAT-D of Aggressive Mode stand before it, HASH_R is in clear.
 *
 * The padding of what is sealed is an oracle (Bleichenbacher) where a sender learns whether it was
 * right. So the answer to a sealed message does not depend on that: whoever keeps the key gives
 * octets that look as good (crypto/rsa_envelope.h), they are used as if they were the peer's, and
 * his HASH is wrong in the end, as it is for who guessed. One sealed message is opened for each
 * handshake, with one key, whatever becomes of it. A name that cannot be read or that nobody has
 * takes nothing away either: the answer is made for the first who may be at that address.
 */
#include <string.h>

#include "proto/ikev1/machine.h"

#define ID_BODY_BYTES_MIN 5 /* of a name with one octet */
#define ID_BODY_BYTES_MAX (4 + IKE_IDENTITY_BYTES_MAX)

struct ikev1_sealed {
    bool asked; /* the peer's message is being opened, or was */
    bool opened;
    bool taken; /* what was in it is in the handshake */
    bool ready; /* ours is sealed */
    bool named; /* the peer is one whose name is known */
    struct suite offered; /* Aggressive Mode: what message 1 was covered with */
    struct slice nonce, id; /* blocks: of the peer, opened */
    struct slice own_nonce, own_id; /* blocks: ours, sealed */
    struct slice hash; /* a block: HASH(1); empty: with a raw key */
};

/* Of phase 1, where there is neither a MAC of its own nor ESN. */
static bool same_suite(const struct suite *a, const struct suite *b)
{
    return a->encryption == b->encryption && a->key_bits == b->key_bits && a->prf == b->prf &&
           a->key_exchange == b->key_exchange;
}

bool ikev1_encrypts(const struct ikev1_ike *ike)
{
    return ikev1_method_is_encryption(ike->handshake->choice.auth_method);
}

bool ikev1_method_is_encryption(uint16_t method)
{
    return method == IKEV1_AUTH_RSA_ENCRYPTION || method == IKEV1_AUTH_RSA_REVISED;
}

static bool is_revised(const struct ikev1_ike *ike)
{
    return ike->handshake->choice.auth_method == IKEV1_AUTH_RSA_REVISED;
}

static struct ikev1_sealed *sealed_of(struct ikev1_turn *t, struct ikev1_ike *ike)
{
    struct ikev1_handshake *h = ike->handshake;

    if (h->sealed == NULL) {
        h->sealed = ikev1_block_new(sizeof(*h->sealed));
    }
    if (h->sealed == NULL) {
        ikev1_phase1_fail_for(t, ike, IKEV1_FAIL_RESOURCES, 0, "no memory");
    }
    return h->sealed;
}

void ikev1_sealed_end(struct ikev1_sa *sa, struct ikev1_sealed *s)
{
    if (s != NULL) {
        ikev1_block_drop(sa, &s->nonce);
        ikev1_block_drop(sa, &s->id);
        ikev1_block_drop(sa, &s->own_nonce);
        ikev1_block_drop(sa, &s->own_id);
        ikev1_block_drop(sa, &s->hash);
        ikev1_block_bury(sa, s);
    }
}

/* ---- what the ephemeral keys of the revised mode cover ---- */

struct cover {
    struct ikev1_keys keys; /* the cipher's alone */
    struct ikev1_iv iv;
};

static bool cover_begin(const struct ikev1_ike *ike, const struct suite *suite, bool of_initiator,
                        struct slice nonce, struct cover *out)
{
    memset(out, 0, sizeof(*out));
    out->keys.suite = *suite;
    out->iv.length = (uint8_t)cbc_block_bytes(suite->encryption);
    return ikev1_keys_revised(suite, nonce, of_initiator ? ike->spi_i : ike->spi_r,
                              &out->keys.cipher_key);
}

static void cover_end(struct cover *cover)
{
    ikev1_keys_fini(&cover->keys);
    wipe(&cover->iv, sizeof(cover->iv));
}

/* Padded with zeros and at last their number, at least one octet. */
static bool out_covered(struct ikev1_outgoing *o, struct cover *cover, uint8_t type,
                        struct slice body)
{
    uint8_t bytes[IKEV1_OUTGOING_BYTES_MAX] NOT_ZEROED;
    size_t length = ikev1_padded_bytes(&cover->keys.suite, body.length + 1);

    if (length > sizeof(bytes)) {
        return false;
    }
    memcpy(bytes, body.data, body.length);
    memset(bytes + body.length, 0, length - body.length);
    bytes[length - 1] = (uint8_t)(length - body.length - 1);
    bool done = ikev1_encrypt(&cover->keys, &cover->iv, bytes, length);

    if (done) {
        ikev1_write_payload(&o->chain, type, (struct slice){bytes, length});
    }
    return done;
}

/* Each payload of a chain in clear, covered. */
static bool out_chain_covered(struct ikev1_outgoing *o, struct cover *cover,
                              const struct ikev1_outgoing *clear)
{
    struct reader r = reader_over(
        (struct slice){clear->bytes + IKEV1_HEAD_BYTES, clear->w.length - IKEV1_HEAD_BYTES});
    struct ikev1_payload payload;
    uint8_t next = clear->first;
    bool done = writer_ok(&clear->w);

    while (done && reader_left(&r) > 0) {
        done = ikev1_read_payload(&r, &next, &payload) &&
               out_covered(o, cover, payload.type, payload.body);
    }
    return done;
}

static bool uncover_one(struct ikev1_turn *t, struct cover *cover, struct slice *body)
{
    uint8_t *clear = ikev1_turn_memory(t->sa, body->length + 1);

    if (clear == NULL || body->length == 0) {
        return false;
    }
    memcpy(clear, body->data, body->length);
    if (!ikev1_decrypt(&cover->keys, &cover->iv, clear, body->length)) {
        return false;
    }
    size_t padding = clear[body->length - 1] + (size_t)1;
    uint8_t others = 0;

    if (padding > body->length || padding > cover->iv.length) {
        return false;
    }
    for (size_t i = body->length - padding; i + 1 < body->length; i++) {
        others |= clear[i];
    }
    *body = (struct slice){clear, body->length - padding};
    return others == 0;
}

/* All that stands behind the nonce, but for HASH_R. */
static bool uncover(struct ikev1_turn *t, const struct ikev1_ike *ike, struct ikev1_message *m)
{
    const struct ikev1_handshake *h = ike->handshake;
    struct cover cover;
    bool behind = false;
    bool good = cover_begin(ike, &h->choice.suite, !ike->initiator, h->sealed->nonce, &cover);

    for (size_t i = 0; good && i < m->count; i++) {
        if (behind && m->list[i].type != IKEV1_HASH) {
            good = uncover_one(t, &cover, &m->list[i].body);
        }
        behind = behind || m->list[i].type == IKEV1_NONCE;
    }
    cover_end(&cover);
    return good;
}

/* ---- questions ---- */

static struct ikev1_proof_question *ask(struct ikev1_turn *t, struct ikev1_ike *ike,
                                        const struct ikev1_policy *policy, bool opens)
{
    struct ikev1_handshake *h = ike->handshake;
    struct ikev1_action *action = ikev1_act(t, IKEV1_ASK_PROOF);

    h->ask_proof = ikev1_question(t->sa);
    h->ask_sign = opens;
    h->ask_deadline_ms = ikev1_after(t->now_ms, IKEV1_ASK_MS);
    action->proof.id = h->ask_proof;
    action->proof.sign = opens;
    action->proof.policy = policy;
    return &action->proof;
}

static void add_part(struct ikev1_proof_question *question, struct slice part, size_t least,
                     size_t most)
{
    question->parts[question->part_count].octets = part;
    question->parts[question->part_count].least = least;
    question->parts[question->part_count++].most = most;
}

static void ask_open(struct ikev1_turn *t, struct ikev1_ike *ike, const struct ikev1_message *m,
                     const struct ikev1_policy *policy)
{
    struct ikev1_proof_question *question = ask(t, ike, policy, true);
    struct slice body;

    ike->handshake->sealed->asked = true;
    if (ikev1_message_only(m, IKEV1_NONCE, &body)) {
        add_part(question, body, IKEV1_NONCE_BYTES_MIN, IKEV1_NONCE_BYTES_MAX);
    }
    if (!is_revised(ike) && ikev1_message_only(m, IKEV1_ID, &body)) {
        add_part(question, body, ID_BODY_BYTES_MIN, ID_BODY_BYTES_MAX);
    }
}

/* `m`: what came, uncovered; NULL: nothing did yet. */
static void ask_seal(struct ikev1_turn *t, struct ikev1_ike *ike, const struct ikev1_message *m,
                     const struct ikev1_policy *policy)
{
    struct ikev1_handshake *h = ike->handshake;
    struct ikev1_received_certificates received = {.count = 0};
    const char *wrong = m == NULL ? NULL : ikev1_read_certificates(m, &received);

    if (wrong != NULL) {
        ikev1_phase1_fail_for(t, ike, IKEV1_FAIL_SYNTAX, 0, wrong);
        return;
    }
    if (!ikev1_phase1_make_id(ike, policy)) {
        ikev1_phase1_fail_for(t, ike, IKEV1_FAIL_RESOURCES, 0, "no identity could be made");
        return;
    }
    struct ikev1_proof_question *question = ask(t, ike, policy, false);

    if (!ikev1_digest_of(&h->choice.suite, &question->digest)) {
        question->digest = DIGEST_SHA1;
    }
    question->said = h->peer_id;
    add_part(question, ikev1_nonce_slice(ike->initiator ? &h->nonce_i : &h->nonce_r), 0, 0);
    if (!is_revised(ike)) {
        add_part(question, h->own_id, 0, 0);
    }
    question->certificate_count = received.count;
    memcpy(question->certificates, received.list, received.count * sizeof(received.list[0]));
}

static void refused(struct ikev1_turn *t, struct ikev1_ike *ike,
                    const struct ikev1_proof_answer *answer)
{
    struct ikev1_failure failure;

    if (ike->handshake->ask_sign || !answer->certificate_refused) {
        ikev1_phase1_fail_for(t, ike, IKEV1_FAIL_RESOURCES, 0,
                              ike->handshake->ask_sign
                                  ? "our key cannot open what is sealed for it"
                                  : "the peer's key is too short for what is sealed with it");
        return;
    }
    ikev1_failure_set(&failure, IKEV1_FAIL_CERTIFICATE,
                      ike->aggressive ? IKEV1_AGGRESSIVE : IKEV1_MAIN, 0, answer->detail);
    failure.certificate = answer->problem;
    failure.message = ike->handshake->awaited;
    ikev1_failure_identities(&failure, NULL, &ike->handshake->peer_id);
    ikev1_phase1_fail(t, ike, &failure);
}

void ikev1_encryption_answer(struct ikev1_turn *t, struct ikev1_ike *ike,
                             const struct ikev1_proof_answer *answer)
{
    struct ikev1_handshake *h = ike->handshake;
    struct ikev1_sealed *s = h->sealed;
    size_t wanted = is_revised(ike) ? 1 : 2;

    if (!answer->good || answer->part_count != wanted) {
        refused(t, ike, answer);
        return;
    }
    bool kept =
        ikev1_block_replace(t->sa, answer->parts[0], h->ask_sign ? &s->nonce : &s->own_nonce) &&
        (wanted == 1 ||
         ikev1_block_replace(t->sa, answer->parts[1], h->ask_sign ? &s->id : &s->own_id)) &&
        (h->ask_sign || answer->hash.length == 0 ||
         ikev1_block_replace(t->sa, answer->hash, &s->hash));

    if (!kept) {
        ikev1_phase1_fail_for(t, ike, IKEV1_FAIL_RESOURCES, 0, "no memory");
        return;
    }
    s->opened = s->opened || h->ask_sign;
    s->ready = s->ready || !h->ask_sign;
    if (!h->ask_sign && s->named && answer->proven.type != 0) {
        h->peer_id = answer->proven; /* what is in his certificate */
    }
    ikev1_phase1_go_on(t, ike);
}

/* ---- what came ---- */

static void doubt(struct ikev1_turn *t, struct ikev1_ike *ike)
{
    ike->handshake->sending = 0;
    ikev1_phase1_doubt(t, ike, IKEV1_FAIL_ENCRYPTION, 0, "");
}

static bool read_again(const struct ikev1_handshake *h, struct ikev1_message *m)
{
    struct reader r = reader_over(h->message);

    m->local = h->local;
    m->peer = h->peer;
    return ikev1_read_header(&r, &m->header) && ikev1_message_read(m, read_rest(&r));
}

/* The parts that can be seen from outside; nothing is known yet of what is in them. */
void ikev1_encryption_receive(struct ikev1_turn *t, struct ikev1_ike *ike, struct ikev1_message *m,
                              uint8_t sending)
{
    struct ikev1_handshake *h = ike->handshake;
    struct ikev1_sealed *s = sealed_of(t, ike);
    struct slice body;

    if (s == NULL || s->asked) {
        return;
    }
    if (!ikev1_message_only(m, IKEV1_KE, &body) || !ikev1_message_only(m, IKEV1_ID, &body) ||
        !ikev1_message_only(m, IKEV1_NONCE, &body)) {
        ikev1_phase1_doubt(t, ike, IKEV1_FAIL_SYNTAX, 0,
                           "identity, key exchange or nonce is missing or malformed");
        return;
    }
    if (ike->initiator && ike->aggressive && !same_suite(&s->offered, &h->choice.suite)) {
        ikev1_phase1_doubt(t, ike, IKEV1_FAIL_SYNTAX, 0,
                           "the answer is not the proposal that was made");
        return;
    }
    if (!ikev1_block_replace(t->sa, m->whole, &h->message)) {
        ikev1_phase1_fail_for(t, ike, IKEV1_FAIL_RESOURCES, 0, "no memory");
        return;
    }
    h->local = m->local;
    h->peer = m->peer;
    if (ike->initiator) {
        ike->spi_r = m->header.cookie_r;
    }
    h->sending = sending;
    if (ike->initiator) {
        ikev1_phase1_go_on(t, ike);
    } else {
        ikev1_phase1_ask_peer(t, ike);
    }
}

/* The peer's name, as HASH_I and HASH_R have it. One that is none is kept as well. */
static bool take_id(struct ikev1_turn *t, struct ikev1_ike *ike, const struct ikev1_message *m)
{
    struct ikev1_handshake *h = ike->handshake;
    struct ikev1_id_payload payload;
    struct slice body;

    if (is_revised(ike) && (!ikev1_message_only(m, IKEV1_ID, &body) ||
                            !ikev1_block_replace(t->sa, body, &h->sealed->id))) {
        return false;
    }
    if (!ikev1_read_id(h->sealed->id, &payload) ||
        (payload.protocol != 0 && payload.protocol != 17) ||
        !ike_identity_set(&h->peer_id, payload.type, payload.data)) {
        h->peer_id = (struct ike_identity){.type = 0};
    }
    return true;
}

/* What was opened as if it had been in clear. False: it is waited for something better, or over. */
static bool take_opened(struct ikev1_turn *t, struct ikev1_ike *ike, struct ikev1_message *m)
{
    struct ikev1_handshake *h = ike->handshake;
    struct ikev1_sealed *s = h->sealed;
    struct ikev1_nonce *nonce = ike->initiator ? &h->nonce_r : &h->nonce_i;
    const struct algorithm *group =
        algorithm_find(TRANSFORM_KEY_EXCHANGE, h->choice.suite.key_exchange);
    struct slice body;

    s->taken = true;
    nonce->length = (uint16_t)s->nonce.length;
    memcpy(nonce->data, s->nonce.data, s->nonce.length);
    if (!read_again(h, m) || (is_revised(ike) && !uncover(t, ike, m)) ||
        !ikev1_message_only(m, IKEV1_KE, &body) || group == NULL ||
        body.length != group->public_bytes || !take_id(t, ike, m) ||
        !ikev1_block_replace(t->sa, body, &h->peer_public)) {
        doubt(t, ike);
        return false;
    }
    /* Message 1 of Aggressive Mode has none yet. */
    if (ike->initiator || !ike->aggressive) {
        ikev1_phase1_take_natd(t, ike, m);
    }
    return true;
}

/* ---- who it may be ---- */

static bool may_be(const struct ikev1_ike *ike, const struct ikev1_policy *policy)
{
    const struct ikev1_handshake *h = ike->handshake;

    return policy->certificates != NULL && ikev1_method_of(policy) == h->choice.auth_method &&
           (policy->aggressive || !ike->aggressive) &&
           ikev1_phase1_allows(policy->ike, &h->choice.suite);
}

static bool has_hash(const struct ikev1_ike *ike, const struct ikev1_policy *policy,
                     struct slice hash)
{
    const struct slice der = certificate_der(credential_at(policy->certificates->own, 0));
    struct ikev1_hash_value expected;

    return ikev1_hash(&ike->handshake->choice.suite, &der, 1, &expected) &&
           slice_equal(ikev1_hash_slice(&expected), hash);
}

/* Whose key it is opened with: the one whose certificate HASH(1) names, else the first. */
static const struct ikev1_policy *choose_key(const struct ikev1_ike *ike,
                                             const struct ikev1_message *m)
{
    const struct ikev1_handshake *h = ike->handshake;
    const struct ikev1_policy *first = NULL;
    struct slice hash;
    bool has = ikev1_message_find(m, IKEV1_HASH, 0, &hash);

    for (size_t i = 0; i < h->candidate_count; i++) {
        const struct ikev1_policy *policy = h->candidates[i];

        if (!may_be(ike, policy)) {
            continue;
        }
        if (has && has_hash(ike, policy, hash)) {
            return policy;
        }
        first = first == NULL ? policy : first;
    }
    return first;
}

/* Of those with that key the one that is called so; where there is none, he that was taken first
 * stays, and what he says in the end is not believed. */
static void choose_peer(struct ikev1_ike *ike)
{
    struct ikev1_handshake *h = ike->handshake;

    for (size_t i = 0; h->peer_id.type != 0 && i < h->candidate_count; i++) {
        const struct ikev1_policy *policy = h->candidates[i];

        if (may_be(ike, policy) &&
            credential_same_key(policy->certificates->own, h->policy->certificates->own) &&
            (policy->peer_id.type == 0 ||
             ike_identity_matches(&policy->peer_id, &h->peer_id, policy->strict_id_types))) {
            h->policy = policy;
            h->sealed->named = true;
            break;
        }
    }
    h->candidates[0] = h->policy;
    h->candidate_count = 1;
}

/* ---- what is sent ---- */

static void out_ke(const struct ikev1_ike *ike, struct ikev1_outgoing *o)
{
    const struct ikev1_handshake *h = ike->handshake;

    ikev1_write_payload(&o->chain, IKEV1_KE,
                        (struct slice){h->pair.public_value, h->pair.public_length});
}

static void out_hash(const struct ikev1_ike *ike, struct ikev1_outgoing *o)
{
    const struct ikev1_sealed *s = ike->handshake->sealed;

    if (ike->initiator && s->hash.length > 0) {
        ikev1_write_payload(&o->chain, IKEV1_HASH, s->hash);
    }
}

static bool forces(const struct ikev1_turn *t)
{
    return t->sa->policy != NULL ? t->sa->policy->force_encapsulation
                                 : t->sa->responder->force_encapsulation;
}

static void out_natd(struct ikev1_turn *t, struct ikev1_ike *ike, struct ikev1_outgoing *o)
{
    const struct ikev1_handshake *h = ike->handshake;

    ikev1_out_natd(o, ike, &h->choice.suite, h->abilities.natt, &h->local, &h->peer, forces(t));
}

/* KE, identity and nonce, sealed and covered; in Main Mode with NAT-D. */
static bool out_sealed(struct ikev1_turn *t, struct ikev1_ike *ike, struct ikev1_outgoing *o,
                       const struct ikev1_policy *policy)
{
    const struct ikev1_handshake *h = ike->handshake;
    const struct ikev1_sealed *s = h->sealed;
    struct ikev1_outgoing clear NOT_ZEROED;
    struct cover cover;

    if (!is_revised(ike)) {
        if (ike->aggressive) {
            out_hash(ike, o);
            out_ke(ike, o);
        } else {
            out_ke(ike, o);
            out_hash(ike, o);
        }
        ikev1_write_payload(&o->chain, IKEV1_ID, s->own_id);
        ikev1_write_payload(&o->chain, IKEV1_NONCE, s->own_nonce);
        if (!ike->aggressive) {
            out_natd(t, ike, o);
        }
        return true;
    }
    out_hash(ike, o);
    ikev1_write_payload(&o->chain, IKEV1_NONCE, s->own_nonce);
    ikev1_out_begin(&clear, ike, o->header.exchange, 0);
    out_ke(ike, &clear);
    ikev1_write_payload(&clear.chain, IKEV1_ID, h->own_id);
    if (ike->initiator) {
        ikev1_out_certificates(&clear, policy);
    }
    if (!ike->aggressive) {
        out_natd(t, ike, &clear);
    }
    bool done =
        cover_begin(ike, &h->choice.suite, ike->initiator,
                    ikev1_nonce_slice(ike->initiator ? &h->nonce_i : &h->nonce_r), &cover) &&
        out_chain_covered(o, &cover, &clear);

    cover_end(&cover);
    return done;
}

static void no_message(struct ikev1_turn *t, struct ikev1_ike *ike)
{
    ikev1_phase1_fail_for(t, ike, IKEV1_FAIL_RESOURCES, 0, "a message could not be made");
}

/* Messages 3 and 4 of Main Mode. */
static void send_main(struct ikev1_turn *t, struct ikev1_ike *ike,
                      const struct ikev1_policy *policy, uint8_t awaited)
{
    struct ikev1_outgoing o NOT_ZEROED;

    ikev1_out_begin(&o, ike, IKEV1_MAIN, 0);
    if (out_sealed(t, ike, &o, policy)) {
        ikev1_phase1_send(t, ike, &o, false, awaited);
    } else {
        no_message(t, ike);
    }
}

/* Only one proposal: what covers the identity is not agreed yet. */
static bool out_one_offer(struct ikev1_turn *t, struct ikev1_ike *ike, struct ikev1_outgoing *o)
{
    struct ikev1_handshake *h = ike->handshake;

    ikev1_phase1_out_offer(t, ike, o, h->choice.suite.key_exchange);
    h->sealed->offered = h->choice.suite;
    return writer_ok(&o->w);
}

static void send_aggressive_1(struct ikev1_turn *t, struct ikev1_ike *ike)
{
    const struct ikev1_policy *policy = t->sa->policy;
    struct ikev1_outgoing o NOT_ZEROED;

    ikev1_out_begin(&o, ike, IKEV1_AGGRESSIVE, 0);
    bool done = out_one_offer(t, ike, &o);

    if (done && is_revised(ike)) {
        ikev1_out_vendors(&o, policy->natt, NULL, policy->no_vendor_ids,
                          policy->fragment_bytes != 0);
    }
    done = done && out_sealed(t, ike, &o, policy);
    if (done && !is_revised(ike)) {
        ikev1_out_vendors(&o, policy->natt, NULL, policy->no_vendor_ids,
                          policy->fragment_bytes != 0);
    }
    if (done) {
        ikev1_phase1_send(t, ike, &o, false, 2);
    } else {
        no_message(t, ike);
    }
}

static void out_abilities(struct ikev1_turn *t, struct ikev1_ike *ike, struct ikev1_outgoing *o)
{
    const struct ikev1_responder_policy *responder = t->sa->responder;

    ikev1_out_vendors(o, responder->natt, &ike->handshake->abilities, responder->no_vendor_ids,
                      responder->fragment_bytes != 0);
    out_natd(t, ike, o);
}

static void send_aggressive_2(struct ikev1_turn *t, struct ikev1_ike *ike)
{
    struct ikev1_handshake *h = ike->handshake;
    struct ikev1_outgoing o NOT_ZEROED;
    struct ikev1_sa_payload sa NOT_ZEROED;
    struct ikev1_hash_value hash;
    const struct secret none = {0};

    if (!ikev1_phase1_keys(ike, &none, &ike->keys) || !ikev1_phase1_start_iv(ike) ||
        !ikev1_phase1_own_hash(ike, &hash)) {
        no_message(t, ike);
        return;
    }
    ikev1_out_begin(&o, ike, IKEV1_AGGRESSIVE, 0);
    ikev1_phase1_answer(&h->choice, &sa);
    ikev1_out_sa(&o, &sa);
    if (is_revised(ike)) {
        out_abilities(t, ike, &o);
    }
    if (!out_sealed(t, ike, &o, h->policy)) {
        no_message(t, ike);
        return;
    }
    ikev1_write_payload(&o.chain, IKEV1_HASH, ikev1_hash_slice(&hash));
    if (!is_revised(ike)) {
        out_abilities(t, ike, &o);
    }
    /* Message 3 is measured by the name alone. */
    if (!ikev1_block_replace(t->sa, h->sealed->id, &h->message)) {
        no_message(t, ike);
        return;
    }
    if (!h->sealed->named) {
        h->candidate_count = 0;
    }
    ikev1_phase1_send(t, ike, &o, false, 3);
}

/* ---- step by step ---- */

/* Message 1 of Aggressive Mode and 3 of Main Mode. */
static void continue_first(struct ikev1_turn *t, struct ikev1_ike *ike)
{
    const struct ikev1_policy *policy = t->sa->policy;
    struct ikev1_sealed *s = sealed_of(t, ike);

    if (s == NULL) {
        return;
    }
    if (!s->ready) {
        ask_seal(t, ike, NULL, policy);
    } else if (ike->aggressive) {
        send_aggressive_1(t, ike);
    } else {
        send_main(t, ike, policy, 4);
    }
}

/* Message 2 of Aggressive Mode and 4 of Main Mode. */
static void continue_answer(struct ikev1_turn *t, struct ikev1_ike *ike)
{
    struct ikev1_handshake *h = ike->handshake;
    struct ikev1_sealed *s = h->sealed;
    struct ikev1_message m NOT_ZEROED;

    if (!s->asked) {
        h->policy = read_again(h, &m) ? choose_key(ike, &m) : NULL;
        if (h->policy == NULL) {
            ikev1_phase1_fail_for(t, ike, IKEV1_FAIL_PEER_UNKNOWN, 0, "");
        } else {
            ask_open(t, ike, &m, h->policy);
        }
    } else if (!s->taken) {
        if (take_opened(t, ike, &m)) {
            choose_peer(ike);
            ikev1_phase1_ask_key_exchange(t, ike, h->peer_public);
            ask_seal(t, ike, &m, h->policy);
        }
    } else if (ike->aggressive) {
        send_aggressive_2(t, ike);
    } else {
        send_main(t, ike, h->policy, 5);
    }
}

/* The initiator has the answer. False: he goes on as with other methods. */
static bool continue_last(struct ikev1_turn *t, struct ikev1_ike *ike)
{
    struct ikev1_handshake *h = ike->handshake;
    struct ikev1_sealed *s = h->sealed;
    struct ikev1_message m NOT_ZEROED;
    const struct secret none = {0};
    struct slice hash;

    if (!s->asked) {
        if (read_again(h, &m)) {
            ask_open(t, ike, &m, t->sa->policy);
        }
        return true;
    }
    if (!s->taken) {
        if (take_opened(t, ike, &m)) {
            ikev1_phase1_ask_key_exchange(t, ike, h->peer_public);
        }
        return true;
    }
    if (!ike->aggressive || h->verified) {
        return false;
    }
    /* HASH_R stands in the message that was opened. */
    if (!ikev1_phase1_keys(ike, &none, &ike->keys) || !ikev1_phase1_start_iv(ike) ||
        !read_again(h, &m)) {
        ikev1_phase1_fail_for(t, ike, IKEV1_FAIL_RESOURCES, 0, "no keys could be made");
        return true;
    }
    if (!ikev1_message_only(&m, IKEV1_HASH, &hash) ||
        !ikev1_phase1_proves(ike, &ike->keys, s->id, hash)) {
        ikev1_phase1_fail_for(t, ike, IKEV1_FAIL_ENCRYPTION, 0, "");
        return true;
    }
    if (!ikev1_phase1_is_expected(t->sa->policy, &h->peer_id)) {
        struct ikev1_failure failure;

        ikev1_failure_set(&failure, IKEV1_FAIL_PEER_IDENTITY, IKEV1_AGGRESSIVE, 0, "");
        ikev1_failure_identities(&failure, &t->sa->policy->peer_id, &h->peer_id);
        failure.message = 2;
        ikev1_phase1_fail(t, ike, &failure);
        return true;
    }
    h->verified = true;
    return false;
}

bool ikev1_encryption_continue(struct ikev1_turn *t, struct ikev1_ike *ike)
{
    uint8_t sending = ike->handshake->sending;

    if (!ikev1_encrypts(ike) || (!ike->aggressive && sending > 5)) {
        return false;
    }
    if (!ike->initiator) {
        if (sending == 2 || sending == 4) {
            continue_answer(t, ike);
            return true;
        }
        return false;
    }
    if (sending == (ike->aggressive ? 1 : 3)) {
        continue_first(t, ike);
        return true;
    }
    return continue_last(t, ike);
}

struct slice ikev1_encryption_peer_id(const struct ikev1_ike *ike)
{
    return ike->handshake->sealed->id;
}
