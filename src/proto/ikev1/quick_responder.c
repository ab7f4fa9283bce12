/*
 * Quick Mode as responder: decides whether what is proposed can be, and what is said when it
 * cannot.
 */
#include <string.h>

#include "proto/ikev1/quick.h"

void ikev1_quick_refuse(struct ikev1_turn *t, struct ikev1_quick *q,
                        const struct ikev1_failure *failure)
{
    uint8_t spi[4];
    bool has_spi = q->choice.spi != 0;

    put_u32(spi, q->choice.spi);
    ikev1_send_notify(t, q->ike, q->choice.protocol == PROTOCOL_AH ? PROTOCOL_AH : PROTOCOL_ESP,
                      failure->notify, has_spi ? SLICE_OF(spi) : (struct slice){NULL, 0},
                      (struct slice){NULL, 0});
    ikev1_quick_fail(t, q, failure);
}

/* What is chosen goes back as it was offered, when the questions are answered. */
static bool keep_choice(struct ikev1_quick *q)
{
    struct ikev1_wire_transform *const all[IKEV1_PARTS_MAX] = {
        &q->choice.transform, &q->choice.around.transform, &q->choice.compression.transform};

    for (size_t i = 0; i < IKEV1_PARTS_MAX; i++) {
        if (all[i]->attributes.length == 0) {
            continue;
        }
        if (!ikev1_block_copy(all[i]->attributes, &q->attributes[i])) {
            return false;
        }
        all[i]->attributes = q->attributes[i];
    }
    return true;
}

static void take_request(struct ikev1_turn *t, struct ikev1_quick *q, struct ikev1_message *m)
{
    struct ikev1_sa_payload offer NOT_ZEROED;
    struct ikev1_failure failure;
    struct slice body;
    struct slice ke = {NULL, 0};
    bool has_ke = ikev1_message_only(m, IKEV1_KE, &ke);

    ikev1_failure_set(&failure, IKEV1_FAIL_SYNTAX, IKEV1_QUICK, IKEV1_PAYLOAD_MALFORMED,
                      "proposal or nonce is missing or malformed");
    if (!ikev1_message_only(m, IKEV1_SA, &body) || !ikev1_read_sa(body, &offer) ||
        !ikev1_message_nonce(m, &q->nonce_i)) {
        ikev1_quick_refuse(t, q, &failure);
        return;
    }
    /* So that a refusal says what it is about. */
    if (offer.proposal_count > 0 && offer.proposals[0].spi.length == 4) {
        q->choice.spi = get_u32(offer.proposals[0].spi.data);
        q->choice.protocol = offer.proposals[0].protocol;
    }
    if (!ikev1_traffic_read_ids(t, q, m)) {
        ikev1_failure_set(&failure, IKEV1_FAIL_CHILD_SELECTORS, IKEV1_QUICK,
                          IKEV1_INVALID_ID_INFORMATION, "identities that are no networks");
        ikev1_quick_refuse(t, q, &failure);
        return;
    }
    uint32_t spi = q->choice.spi;

    if (!ikev1_traffic_match(t, q, &offer, has_ke, &failure)) {
        q->choice.spi = spi;
        ikev1_quick_refuse(t, q, &failure);
        return;
    }
    q->group = q->choice.suite.key_exchange;
    if (has_ke && !ikev1_quick_ke_fits(q->group, ke)) {
        ikev1_failure_set(&failure, IKEV1_FAIL_SYNTAX, IKEV1_QUICK, IKEV1_INVALID_KEY_INFORMATION,
                          "the key exchange has a wrong length");
        ikev1_quick_refuse(t, q, &failure);
        return;
    }
    if ((q->choice.protocol == PROTOCOL_AH || q->choice.has_around) &&
        (q->ike->nat_local || q->ike->nat_peer || q->carriage.udp)) {
        ikev1_failure_set(&failure, IKEV1_FAIL_CHILD_AH_NAT, IKEV1_QUICK, IKEV1_NO_PROPOSAL_CHOSEN,
                          "");
        ikev1_quick_refuse(t, q, &failure);
        return;
    }
    ikev1_quick_read_originals(t, q, m);
    ikev1_nonce_make(t->sa->random, &q->nonce_r);
    if (!keep_choice(q)) {
        ikev1_quick_fail_for(t, q, IKEV1_FAIL_RESOURCES, 0, "no memory");
        return;
    }
    ikev1_quick_ask_spis(t, q, q->choice.has_around);
    if (q->group != 0) {
        ikev1_quick_ask_key_exchange(t, q, ke);
    }
}

void ikev1_quick_receive_1(struct ikev1_turn *t, struct ikev1_ike *ike, struct ikev1_message *m,
                           const uint8_t digest[32])
{
    struct ikev1_hash_value hash;
    struct ikev1_iv iv;
    uint32_t id = m->header.message_id;

    if (ikev1_ike_has_seen(ike, id) || t->sa->quick_count == IKEV1_QUICKS_MAX ||
        t->sa->child_count == IKEV1_CHILDREN_MAX ||
        !ikev1_iv_of_phase2(&ike->keys.suite, &ike->iv, id, &iv) ||
        !ikev1_open(t, &ike->keys, &iv, m) || m->list[0].type != IKEV1_HASH ||
        !ikev1_hash_1(&ike->keys, id, ikev1_message_behind_hash(m), &hash) ||
        !ikev1_hash_equal(&hash, m->list[0].body)) {
        return;
    }
    ikev1_trace(t, false, false, &m->header, m->chain);
    ikev1_ike_saw(ike, id);
    if (ikev1_ike_knows_all(ike)) {
        ikev1_heard(t, ike, m);
    }
    struct ikev1_quick *q = ikev1_quick_new(t, ike, id, false);

    if (q == NULL) {
        return;
    }
    q->iv = iv;
    memcpy(q->digest, digest, sizeof(q->digest));
    q->commit = (m->header.flags & IKEV1_FLAG_COMMIT) != 0;
    take_request(t, q, m);
}

void ikev1_quick_receive_3(struct ikev1_turn *t, struct ikev1_quick *q, struct ikev1_message *m)
{
    struct ikev1_iv iv = q->iv;
    struct ikev1_hash_value hash;

    if (!ikev1_quick_open(t, q, &iv, m) ||
        !ikev1_hash_3(&q->ike->keys, q->message_id, ikev1_nonce_slice(&q->nonce_i),
                      ikev1_nonce_slice(&q->nonce_r), &hash) ||
        !ikev1_hash_equal(&hash, m->list[0].body)) {
        return;
    }
    ikev1_trace(t, false, false, &m->header, m->chain);
    q->iv = iv;
    ikev1_heard(t, q->ike, m);
    /* Who set the bit may wait to hear that both can go on, whoever should say so. */
    if (q->commit || (m->header.flags & IKEV1_FLAG_COMMIT) != 0) {
        q->commit = false;
        ikev1_send_connected(t, q);
    }
    ikev1_quick_prove(t, q);
}
