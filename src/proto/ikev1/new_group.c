/*
 * New Group Mode (RFC 2409 5.6): decides that no group of the peer's own making is taken, and says
 * so under the keys of the ISAKMP SA.
 *
 *     HDR*, HASH(1), SA  -->
 *                   <--  HDR*, HASH(2), N(ATTRIBUTES-NOT-SUPPORTED)
 *
 * Whoever proposes a group chooses what its secrets are worth: a composite modulus, or a prime
 * whose group has small subgroups, looks like any other, and to find out takes two tests of
 * primality of some thousand bits for each proposal. The groups that everybody has are larger than
 * any that was ever proposed so, and nothing is known that needs another. So we never begin it, and
 * what comes is refused as the RFC wants it. The modulus is not even looked at.
 */
#include "proto/ikev1/machine.h"

static void refuse(struct ikev1_turn *t, struct ikev1_ike *ike, const struct ikev1_message *m,
                   struct ikev1_iv *iv)
{
    struct ikev1_outgoing o NOT_ZEROED;
    struct ikev1_hash_value hash;
    const struct slice nothing = {NULL, 0};

    ikev1_out_begin(&o, ike, IKEV1_NEW_GROUP, m->header.message_id);
    ikev1_out_hash_room(&o, ike);
    ikev1_out_notify(&o, IKEV1_PROTO_ISAKMP, IKEV1_ATTRIBUTES_NOT_SUPPORTED, nothing, nothing);
    /* HASH(2) covers what HASH(1) does: there is no nonce. */
    if (writer_ok(&o.w) &&
        ikev1_hash_1(&ike->keys, m->header.message_id, ikev1_out_behind_hash(&o), &hash)) {
        ikev1_out_fill_hash(&o, &hash);
        (void)!ikev1_send(t, &o, &ike->keys, iv, &m->local, &m->peer, NULL, NULL);
    }
}

/* The last one that was refused may come again, because the answer was lost. */
static bool is_due(struct ikev1_turn *t, struct ikev1_ike *ike, uint32_t message_id)
{
    if (ikev1_ike_has_seen(ike, message_id) &&
        (ike->new_group_id != message_id || t->now_ms < ike->new_group_ms + IKEV1_AGAIN_MS)) {
        return false;
    }
    return true;
}

void ikev1_new_group_receive(struct ikev1_turn *t, struct ikev1_ike *ike, struct ikev1_message *m)
{
    uint32_t id = m->header.message_id;
    struct ikev1_sa_payload offer NOT_ZEROED;
    struct ikev1_hash_value hash;
    struct ikev1_iv iv;
    struct slice body;

    if (!is_due(t, ike, id) || !ikev1_iv_of_phase2(&ike->keys.suite, &ike->iv, id, &iv) ||
        !ikev1_open(t, &ike->keys, &iv, m) || m->list[0].type != IKEV1_HASH ||
        !ikev1_hash_1(&ike->keys, id, ikev1_message_behind_hash(m), &hash) ||
        !ikev1_hash_equal(&hash, m->list[0].body)) {
        return;
    }
    bool again = ikev1_ike_has_seen(ike, id);

    ikev1_trace(t, false, again, &m->header, m->chain);
    if (!again) {
        ikev1_ike_saw(ike, id);
        if (ikev1_ike_knows_all(ike)) {
            ikev1_heard(t, ike, m);
        }
    }
    /* What proposes nothing may be such a refusal. */
    if (!ikev1_message_only(m, IKEV1_SA, &body) || !ikev1_read_sa(body, &offer)) {
        return;
    }
    ike->new_group_id = id;
    ike->new_group_ms = t->now_ms;
    refuse(t, ike, m, &iv);
}
