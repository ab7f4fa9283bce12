/*
 * Quick Mode (RFC 2409 5.5): decides what stands in each of its messages, when a child is made and
 * when it is used, and that a message which comes again does nothing new.
 *
 *     1  HDR*, HASH(1), SA, Ni [, KE] [, IDci, IDcr] [, NAT-OAi, NAT-OAr]  -->
 *            <--  2  HDR*, HASH(2), SA, Nr [, KE] [, IDci, IDcr] [, NAT-OAi, NAT-OAr] [, N]
 *     3  HDR*, HASH(3)  -->
 *
 * The responder can receive through the child when he sends message 2, and uses it when message 3,
 * or a packet through the child, shows that the initiator is there. The initiator uses a new child
 * at once; of one that replaces another he waits a moment, for message 3 to arrive.
 */
#include <assert.h>
#include <string.h>

#include "proto/ikev1/machine.h"

/* ---- the beginning and the end ---- */

static struct ikev1_quick *quick_new(struct ikev1_turn *t, struct ikev1_ike *ike,
                                     uint32_t message_id, bool initiator)
{
    struct ikev1_sa *sa = t->sa;
    struct ikev1_quick *q = sa->quick_count < IKEV1_QUICKS_MAX ? ikev1_block_new(sizeof(*q)) : NULL;

    if (q == NULL) {
        return NULL;
    }
    q->ike = ike;
    q->message_id = message_id;
    q->initiator = initiator;
    q->begun_serial = sa->next_serial;
    q->end_ms = NEVER_MS;
    q->deadline_ms = NEVER_MS;
    retransmit_stop(&q->retransmit);
    q->next = sa->quicks;
    sa->quicks = q;
    sa->quick_count++;
    return q;
}

static void wipe_secrets(struct ikev1_quick *q)
{
    key_pair_wipe(&q->pair);
    secret_wipe(&q->shared);
}

void ikev1_quick_end(struct ikev1_turn *t, struct ikev1_quick *q)
{
    struct ikev1_quick **link = &t->sa->quicks;

    while (*link != q) {
        link = &(*link)->next;
    }
    *link = q->next;
    t->sa->quick_count--;
    if (q->spi_in != 0) {
        ikev1_act(t, IKEV1_SPI_UNUSED)->esp_spi = q->spi_in;
    }
    wipe_secrets(q);
    ikev1_block_drop(t->sa, &q->id_i);
    ikev1_block_drop(t->sa, &q->id_r);
    ikev1_block_drop(t->sa, &q->attributes);
    ikev1_reply_drop(t->sa, &q->reply);
    ikev1_block_bury(t->sa, q);
}

/* From now on it only answers what comes again. */
static void quick_done(struct ikev1_turn *t, struct ikev1_quick *q)
{
    q->step = IKEV1_QUICK_DONE;
    q->end_ms = ikev1_after(t->now_ms, IKEV1_LINGER_MS);
    q->deadline_ms = NEVER_MS;
    retransmit_stop(&q->retransmit);
    wipe_secrets(q);
}

struct ikev1_quick *ikev1_quick_find(const struct ikev1_sa *sa, const struct ikev1_ike *ike,
                                     uint32_t message_id)
{
    struct ikev1_quick *q = sa->quicks;

    while (q != NULL && (q->ike != ike || q->message_id != message_id)) {
        q = q->next;
    }
    return q;
}

struct ikev1_quick *ikev1_quick_by_spi(const struct ikev1_sa *sa, uint32_t spi_in)
{
    struct ikev1_quick *q = sa->quicks;

    while (q != NULL && (q->spi_in != spi_in || spi_in == 0)) {
        q = q->next;
    }
    return q;
}

/* It came to nothing. What it should have replaced goes on and is tried again later, as long as it
 * lives. */
static void quick_fail(struct ikev1_turn *t, struct ikev1_quick *q,
                       const struct ikev1_failure *failure)
{
    struct ikev1_child *old =
        q->old_spi_in != 0 ? ikev1_child_by_spi_in(t->sa, q->old_spi_in) : NULL;
    struct ikev1_failure copy = *failure;
    const struct ikev1_child_policy *policy = q->policy;
    struct ikev1_child *child =
        q->child_spi_in != 0 ? ikev1_child_by_spi_in(t->sa, q->child_spi_in) : NULL;

    if (child != NULL && !child->used) {
        ikev1_child_close(t, child);
    }
    if (old != NULL && old->phase == IKEV1_CHILD_UP && old->retries < IKEV1_RETRIES_MAX) {
        old->rekey_ms = ikev1_retry_ms(t->sa, t->now_ms, old->retries);
        old->retries++;
    }
    ikev1_quick_end(t, q);
    ikev1_tell_child_failed(t, policy, &copy);
}

static void quick_fail_for(struct ikev1_turn *t, struct ikev1_quick *q,
                           enum ikev1_failure_reason reason, uint16_t notify, const char *detail)
{
    struct ikev1_failure failure;

    ikev1_failure_set(&failure, reason, IKEV1_QUICK, notify, detail);
    quick_fail(t, q, &failure);
}

void ikev1_quick_notified(struct ikev1_turn *t, struct ikev1_quick *q,
                          const struct ikev1_notify_payload *n)
{
    struct ikev1_failure failure;
    enum ikev1_failure_reason reason = IKEV1_FAIL_CHILD_REFUSED;

    if (n->type == IKEV1_NO_PROPOSAL_CHOSEN) {
        reason = IKEV1_FAIL_CHILD_NO_PROPOSAL;
    } else if (n->type == IKEV1_INVALID_ID_INFORMATION) {
        reason = IKEV1_FAIL_CHILD_SELECTORS;
    }
    ikev1_failure_set(&failure, reason, IKEV1_QUICK, n->type, "");
    if (reason == IKEV1_FAIL_CHILD_NO_PROPOSAL) {
        ikev1_failure_policies(&failure, &q->policy->proposals, 1,
                               ikev1_child_policy_protocol(q->policy));
    } else {
        ikev1_failure_selectors(failure.ours, &q->offered_local, 1, &q->offered_remote, 1);
    }
    quick_fail(t, q, &failure);
}

/* ---- questions ---- */

static void ask_spi(struct ikev1_turn *t, struct ikev1_quick *q)
{
    q->ask_spi = ikev1_question(t->sa);
    q->deadline_ms = ikev1_after(t->now_ms, IKEV1_ASK_MS);
    ikev1_act(t, IKEV1_ASK_SPI)->spi.id = q->ask_spi;
}

static void ask_key_exchange(struct ikev1_turn *t, struct ikev1_quick *q, struct slice peer_public)
{
    struct ikev1_action *action = ikev1_act(t, IKEV1_ASK_KEY_EXCHANGE);
    struct slice copy = {NULL, 0};

    /* The message goes before the answer comes. */
    if (ikev1_block_copy(peer_public, &copy)) {
        struct slice buried = copy;

        ikev1_block_drop(t->sa, &buried);
    }
    q->ask_key_exchange = ikev1_question(t->sa);
    q->deadline_ms = ikev1_after(t->now_ms, IKEV1_ASK_MS);
    action->key_exchange.id = q->ask_key_exchange;
    action->key_exchange.group = q->group;
    action->key_exchange.pair = q->has_pair ? &q->pair : NULL;
    action->key_exchange.peer_public = copy;
}

/* ---- sending ---- */

/* Sealed, with the hash over what stands behind it filled in. */
static bool send(struct ikev1_turn *t, struct ikev1_quick *q, struct ikev1_outgoing *o,
                 const struct ikev1_hash_value *hash, bool answers)
{
    struct ikev1_sa *sa = t->sa;

    ikev1_out_fill_hash(o, hash);
    return ikev1_send(t, o, &q->ike->keys, &q->iv, &sa->local, &sa->peer, &q->reply,
                      answers ? q->digest : NULL);
}

static void start_clock(struct ikev1_turn *t, struct ikev1_quick *q)
{
    const struct ikev1_policy *policy = t->sa->policy;

    retransmit_start(&q->retransmit, policy->retransmit_first_ms, policy->retransmit_max_ms,
                     policy->retransmit_tries, t->now_ms, t->sa->random);
}

/* RFC 3947 5.2: in transport mode through a NAT each side says how it calls both ends. */
static void out_originals(struct ikev1_turn *t, const struct ikev1_quick *q,
                          struct ikev1_outgoing *o)
{
    const struct ikev1_sa *sa = t->sa;
    const struct address *of_i = q->initiator ? &sa->local.address : &sa->peer.address;
    const struct address *of_r = q->initiator ? &sa->peer.address : &sa->local.address;
    const struct address *both[] = {of_i, of_r};

    if (!q->carriage.transport_mode || !q->carriage.udp) {
        return;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(both); i++) {
        ikev1_begin_payload(&o->chain, ikev1_nat_oa_type(q->ike->natt));
        ikev1_write_nat_oa(&o->w, both[i]);
        ikev1_end_payload(&o->chain);
    }
}

/* What messages 1 and 2 have in common. */
static void out_body(struct ikev1_turn *t, const struct ikev1_quick *q, struct ikev1_outgoing *o,
                     const struct ikev1_sa_payload *sa)
{
    ikev1_out_hash_room(o, q->ike);
    ikev1_out_sa(o, sa);
    ikev1_write_payload(&o->chain, IKEV1_NONCE,
                        ikev1_nonce_slice(q->initiator ? &q->nonce_i : &q->nonce_r));
    if (q->group != 0) {
        ikev1_write_payload(&o->chain, IKEV1_KE,
                            (struct slice){q->pair.public_value, q->pair.public_length});
    }
    if (q->id_i.length > 0) {
        ikev1_write_payload(&o->chain, IKEV1_ID, q->id_i);
        ikev1_write_payload(&o->chain, IKEV1_ID, q->id_r);
    }
    out_originals(t, q, o);
}

static void send_1(struct ikev1_turn *t, struct ikev1_quick *q)
{
    struct ikev1_outgoing o NOT_ZEROED;
    struct ikev1_sa_payload sa NOT_ZEROED;
    struct ikev1_hash_value hash;
    uint8_t spi[4];

    put_u32(spi, q->spi_in);
    if (!ikev1_phase2_offer(q->policy, q->group, &q->carriage, SLICE_OF(spi), &sa)) {
        quick_fail_for(t, q, IKEV1_FAIL_CHILD_NO_PROPOSAL, 0,
                       "nothing in the policy can be said in IKEv1");
        return;
    }
    ikev1_out_begin(&o, q->ike, IKEV1_QUICK, q->message_id);
    out_body(t, q, &o, &sa);
    if (!writer_ok(&o.w) ||
        !ikev1_hash_1(&q->ike->keys, q->message_id, ikev1_out_behind_hash(&o), &hash) ||
        !ikev1_iv_of_phase2(&q->ike->keys.suite, &q->ike->iv, q->message_id, &q->iv) ||
        !send(t, q, &o, &hash, false)) {
        quick_fail_for(t, q, IKEV1_FAIL_RESOURCES, 0, "a message could not be made");
        return;
    }
    q->step = IKEV1_QUICK_SENT_1;
    start_clock(t, q);
}

static bool make_child(struct ikev1_turn *t, struct ikev1_quick *q);

/* RFC 2407 4.6.3.1: about the SA that we receive with. */
static void out_lifetime(const struct ikev1_quick *q, struct ikev1_outgoing *o)
{
    uint8_t spi[4];
    uint8_t data[16];
    struct writer w = writer_over(data, sizeof(data));

    if (!q->says_lifetime) {
        return;
    }
    put_u32(spi, q->spi_in);
    ikev1_write_number(&w, IKEV1_SA_LIFE_TYPE, IKEV1_LIFE_SECONDS);
    ikev1_write_number(&w, IKEV1_SA_LIFE_DURATION, q->policy->lifetime_ms / 1000);
    ikev1_out_notify(o, q->choice.protocol, IKEV1_RESPONDER_LIFETIME, SLICE_OF(spi),
                     writer_written(&w));
}

static void send_2(struct ikev1_turn *t, struct ikev1_quick *q)
{
    struct ikev1_outgoing o NOT_ZEROED;
    struct ikev1_sa_payload sa NOT_ZEROED;
    struct ikev1_hash_value hash;
    uint8_t spi[4];

    put_u32(spi, q->spi_in);
    ikev1_phase2_answer(&q->choice, SLICE_OF(spi), &sa);
    ikev1_out_begin(&o, q->ike, IKEV1_QUICK, q->message_id);
    out_body(t, q, &o, &sa);
    out_lifetime(q, &o);
    if (!writer_ok(&o.w) ||
        !ikev1_hash_2(&q->ike->keys, q->message_id, ikev1_nonce_slice(&q->nonce_i),
                      ikev1_out_behind_hash(&o), &hash) ||
        !make_child(t, q) || !send(t, q, &o, &hash, true)) {
        quick_fail_for(t, q, IKEV1_FAIL_RESOURCES, 0, "a child could not be made");
        return;
    }
    q->step = IKEV1_QUICK_SENT_2;
    start_clock(t, q);
}

static void send_3(struct ikev1_turn *t, struct ikev1_quick *q)
{
    struct ikev1_outgoing o NOT_ZEROED;
    struct ikev1_hash_value hash;

    ikev1_out_begin(&o, q->ike, IKEV1_QUICK, q->message_id);
    ikev1_out_hash_room(&o, q->ike);
    if (!ikev1_hash_3(&q->ike->keys, q->message_id, ikev1_nonce_slice(&q->nonce_i),
                      ikev1_nonce_slice(&q->nonce_r), &hash) ||
        !make_child(t, q) || !send(t, q, &o, &hash, true)) {
        quick_fail_for(t, q, IKEV1_FAIL_RESOURCES, 0, "a child could not be made");
        return;
    }
    struct ikev1_child *child = ikev1_child_by_spi_in(t->sa, q->child_spi_in);

    if (child->replaces_spi_in == 0 && !q->commit) {
        ikev1_child_use(t, child);
    } else {
        child->use_ms = ikev1_after(t->now_ms, IKEV1_USE_MS);
    }
    quick_done(t, q);
}

/* ---- the child ---- */

static bool install_keys(struct ikev1_turn *t, const struct ikev1_quick *q, struct slice *key_in,
                         struct slice *key_out)
{
    const struct ikev1_keys *keys = &q->ike->keys;
    struct secret in = {0};
    struct secret out = {0};
    struct slice shared = secret_slice(&q->shared);
    struct slice nonce_i = ikev1_nonce_slice(&q->nonce_i);
    struct slice nonce_r = ikev1_nonce_slice(&q->nonce_r);
    bool ok = ikev1_keys_child(keys, &q->choice.suite, q->choice.protocol, q->spi_in, shared,
                               nonce_i, nonce_r, &in) &&
              ikev1_keys_child(keys, &q->choice.suite, q->choice.protocol, q->choice.spi, shared,
                               nonce_i, nonce_r, &out) &&
              ikev1_block_copy(secret_slice(&in), key_in) &&
              ikev1_block_copy(secret_slice(&out), key_out);
    struct slice buried_in = *key_in;
    struct slice buried_out = *key_out;

    secret_wipe(&in);
    secret_wipe(&out);
    ikev1_block_drop(t->sa, &buried_in);
    ikev1_block_drop(t->sa, &buried_out);
    return ok;
}

static uint32_t least_kilobytes(uint32_t ours, uint64_t said)
{
    if (said == 0 || said > UINT32_MAX) {
        return ours;
    }
    return ours == 0 || said < ours ? (uint32_t)said : ours;
}

static bool make_child(struct ikev1_turn *t, struct ikev1_quick *q)
{
    struct ikev1_sa *sa = t->sa;
    const struct ikev1_child_policy *policy = q->policy;
    struct slice key_in = {NULL, 0};
    struct slice key_out = {NULL, 0};
    uint64_t said = q->choice.life_seconds != 0 ? q->choice.life_seconds : IKEV1_SAID_PHASE2_S;
    uint64_t lifetime_ms = ikev1_lifetime_of(policy->lifetime_ms, said);
    struct ikev1_child *child =
        sa->child_count < IKEV1_CHILDREN_MAX ? ikev1_block_new(sizeof(*child)) : NULL;

    if (child == NULL || !install_keys(t, q, &key_in, &key_out)) {
        ikev1_block_bury(sa, child);
        return false;
    }
    child->spi_in = q->spi_in;
    child->spi_out = q->choice.spi;
    child->policy = policy;
    child->protocol = q->choice.protocol;
    child->suite = q->choice.suite;
    child->truncate_sha2 =
        policy->truncate_sha2 && q->choice.suite.integrity == INTEGRITY_HMAC_SHA2_256_128;
    child->initiator = q->initiator;
    child->encapsulated = q->carriage.udp;
    child->transport_mode = q->carriage.transport_mode;
    child->original_local = q->original_local;
    child->original_peer = q->original_peer;
    child->replaces_spi_in = q->old_spi_in;
    child->begun_serial = q->begun_serial;
    child->rekey_ms = ikev1_jittered(sa, t->now_ms, lifetime_ms, q->initiator);
    child->expire_ms = ikev1_after(t->now_ms, lifetime_ms);
    child->use_ms = NEVER_MS;
    child->remove_ms = NEVER_MS;
    child->lifetime_kilobytes =
        least_kilobytes(policy->lifetime_kilobytes, q->choice.life_kilobytes);
    child->local = q->local;
    child->remote = q->remote;
    child->offered_local = q->offered_local;
    child->offered_remote = q->offered_remote;
    q->child_spi_in = q->spi_in;
    q->spi_in = 0;
    ikev1_child_add(t, child, key_in, key_out);
    return true;
}

/* The peer has what we have. */
static void prove(struct ikev1_turn *t, struct ikev1_quick *q)
{
    struct ikev1_child *child =
        q->child_spi_in != 0 ? ikev1_child_by_spi_in(t->sa, q->child_spi_in) : NULL;

    quick_done(t, q);
    if (child != NULL) {
        ikev1_child_use(t, child);
    }
}

void ikev1_quick_proven(struct ikev1_turn *t, uint32_t spi_in)
{
    for (struct ikev1_quick *q = t->sa->quicks; q != NULL; q = q->next) {
        if (!q->initiator && q->step == IKEV1_QUICK_SENT_2 && q->child_spi_in == spi_in) {
            prove(t, q);
            return;
        }
    }
}

/* ---- as initiator ---- */

static uint16_t first_group(const struct ikev1_child_policy *policy)
{
    return ikev1_phase1_first_group(policy->proposals);
}

static void wish_carriage(const struct ikev1_turn *t, struct ikev1_quick *q,
                          const struct ikev1_child *old)
{
    bool nat = q->ike->nat_local || q->ike->nat_peer;

    q->carriage = (struct ikev1_carriage){
        .transport_mode = old != NULL ? old->transport_mode : q->policy->mode != IKEV1_MODE_TUNNEL,
        .udp = (nat || t->sa->policy->force_encapsulation) && q->ike->natt != IKEV1_NATT_NONE &&
               t->sa->local.port != IKEV1_PORT &&
               ikev1_child_policy_protocol(q->policy) == PROTOCOL_ESP,
        .draft = q->ike->natt == IKEV1_NATT_DRAFT,
    };
}

/* In transport mode a child is for the two ends of IKE. */
static bool wish_hosts(const struct ikev1_turn *t, struct ikev1_quick *q)
{
    const struct address *local = &t->sa->local.address;
    const struct address *peer = &t->sa->peer.address;

    if (!q->carriage.transport_mode) {
        return true;
    }
    if (!range_contains(&q->offered_local.addresses, local) ||
        !range_contains(&q->offered_remote.addresses, peer)) {
        return false;
    }
    q->offered_local.addresses = (struct range){*local, *local};
    q->offered_remote.addresses = (struct range){*peer, *peer};
    return true;
}

void ikev1_quick_begin(struct ikev1_turn *t, const struct ikev1_child_policy *policy,
                       const struct selector *local, const struct selector *remote,
                       struct ikev1_child *old, uint8_t retries)
{
    struct ikev1_sa *sa = t->sa;
    struct ikev1_ike *ike = sa->current;
    uint32_t id = ikev1_fresh_message_id(sa);
    struct ikev1_quick *q = NULL;
    const struct slice nothing = {NULL, 0};
    struct ikev1_failure failure;

    if (ikev1_quick_find(sa, ike, id) == NULL) {
        q = quick_new(t, ike, id, true);
    }
    if (q == NULL) {
        ikev1_failure_set(&failure, IKEV1_FAIL_RESOURCES, IKEV1_QUICK, 0, "no memory");
        ikev1_tell_child_failed(t, policy, &failure);
        return;
    }
    ikev1_ike_saw(ike, id);
    q->policy = policy;
    q->retries = retries;
    q->old_spi_in = old != NULL ? old->spi_in : 0;
    q->offered_local = old != NULL ? old->offered_local : *local;
    q->offered_remote = old != NULL ? old->offered_remote : *remote;
    wish_carriage(t, q, old);
    if (ikev1_child_policy_protocol(policy) == PROTOCOL_AH && (ike->nat_local || ike->nat_peer)) {
        quick_fail_for(t, q, IKEV1_FAIL_CHILD_AH_NAT, 0, "");
        return;
    }
    if (!wish_hosts(t, q) || !ikev1_traffic_ids(q)) {
        ikev1_failure_set(&failure, IKEV1_FAIL_CHILD_SELECTORS, IKEV1_QUICK, 0,
                          q->carriage.transport_mode
                              ? "transport mode is for the two ends of IKE alone"
                              : "IKEv1 cannot say a range of ports");
        ikev1_failure_selectors(failure.ours, &q->offered_local, 1, &q->offered_remote, 1);
        quick_fail(t, q, &failure);
        return;
    }
    q->local = q->offered_local;
    q->remote = q->offered_remote;
    q->group = first_group(policy);
    ikev1_nonce_make(sa->random, &q->nonce_i);
    ask_spi(t, q);
    if (q->group != 0) {
        ask_key_exchange(t, q, nothing);
    }
}

/* The identities of the answer: ours come back, or a part of them from who narrows. */
static bool verify_ids(struct ikev1_quick *q, const struct ikev1_message *m)
{
    struct ikev1_id_payload id;
    struct slice body_i;
    struct slice body_r;
    struct selector local;
    struct selector remote;

    if (!ikev1_message_find(m, IKEV1_ID, 0, &body_i) ||
        !ikev1_message_find(m, IKEV1_ID, 1, &body_r)) {
        return !ikev1_message_find(m, IKEV1_ID, 0, &body_i) && q->carriage.transport_mode;
    }
    if (slice_equal(body_i, q->id_i) && slice_equal(body_r, q->id_r)) {
        return true;
    }
    if (!ikev1_read_id(body_i, &id) || !ikev1_id_selector(&id, &local) ||
        !ikev1_read_id(body_r, &id) || !ikev1_id_selector(&id, &remote)) {
        return false;
    }
    if (q->carriage.transport_mode) {
        /* Behind a NAT each side calls the ends as it sees them. */
        return local.protocol == q->local.protocol && remote.protocol == q->remote.protocol;
    }
    q->local = local;
    q->remote = remote;
    return selector_contains(&q->offered_local, &local) &&
           selector_contains(&q->offered_remote, &remote);
}

static void read_originals(struct ikev1_turn *t, struct ikev1_quick *q,
                           const struct ikev1_message *m)
{
    const struct ikev1_sa *sa = t->sa;
    uint8_t type = ikev1_nat_oa_type(q->ike->natt);
    struct address of_i;
    struct address of_r;
    struct slice body;

    if (!q->carriage.transport_mode || !q->carriage.udp || !ikev1_message_find(m, type, 0, &body) ||
        !ikev1_read_nat_oa(body, &of_i)) {
        return;
    }
    /* The drafts have the sender's own address alone. */
    if (!ikev1_message_find(m, type, 1, &body) || !ikev1_read_nat_oa(body, &of_r)) {
        of_r = of_i;
        of_i = (struct address){0};
    }
    const struct address *local = q->initiator ? &of_i : &of_r;
    const struct address *peer = q->initiator ? &of_r : &of_i;

    if (local->family == sa->local.address.family && !address_equal(local, &sa->local.address)) {
        q->original_local = *local;
    }
    if (peer->family == sa->peer.address.family && !address_equal(peer, &sa->peer.address)) {
        q->original_peer = *peer;
    }
}

static void take_lifetime(struct ikev1_quick *q, const struct ikev1_message *m)
{
    struct ikev1_notify_payload n;
    struct ikev1_wire_transform life = {0};

    if (!ikev1_message_notify(m, IKEV1_RESPONDER_LIFETIME, &n) ||
        !ikev1_read_transform_attributes(q->choice.protocol, n.data, &life)) {
        return;
    }
    if (life.life_seconds != 0 &&
        (q->choice.life_seconds == 0 || life.life_seconds < q->choice.life_seconds)) {
        q->choice.life_seconds = life.life_seconds;
    }
    if (life.life_kilobytes != 0 &&
        (q->choice.life_kilobytes == 0 || life.life_kilobytes < q->choice.life_kilobytes)) {
        q->choice.life_kilobytes = life.life_kilobytes;
    }
}

static bool open(struct ikev1_turn *t, struct ikev1_quick *q, struct ikev1_iv *iv,
                 struct ikev1_message *m)
{
    return ikev1_open(t, &q->ike->keys, iv, m) && m->list[0].type == IKEV1_HASH;
}

static bool ke_fits(uint16_t group, struct slice ke)
{
    const struct algorithm *a = algorithm_find(TRANSFORM_KEY_EXCHANGE, group);

    return a != NULL && ke.length == a->public_bytes;
}

static void receive_2(struct ikev1_turn *t, struct ikev1_quick *q, struct ikev1_message *m)
{
    struct ikev1_iv iv = q->iv;
    struct ikev1_hash_value hash;
    struct ikev1_sa_payload sa NOT_ZEROED;
    struct slice body;
    struct slice ke = {NULL, 0};

    if (!open(t, q, &iv, m) ||
        !ikev1_hash_2(&q->ike->keys, q->message_id, ikev1_nonce_slice(&q->nonce_i),
                      ikev1_message_behind_hash(m), &hash) ||
        !ikev1_hash_equal(&hash, m->list[0].body)) {
        return;
    }
    ikev1_trace(t, false, false, &m->header, m->chain);
    q->iv = iv;
    retransmit_stop(&q->retransmit);
    ikev1_heard(t, q->ike, m);
    if (!ikev1_message_only(m, IKEV1_SA, &body) || !ikev1_read_sa(body, &sa) ||
        !ikev1_message_nonce(m, &q->nonce_r) ||
        !ikev1_phase2_verify(&sa, q->policy, q->group, &q->carriage, &q->choice)) {
        quick_fail_for(t, q, IKEV1_FAIL_SYNTAX, 0,
                       "the answer is not one of the proposals that were made");
        return;
    }
    if (!verify_ids(q, m)) {
        quick_fail_for(t, q, IKEV1_FAIL_CHILD_SELECTORS, 0,
                       "the answer is about other networks than the question");
        return;
    }
    if (q->group != 0 && (!ikev1_message_only(m, IKEV1_KE, &ke) || !ke_fits(q->group, ke))) {
        quick_fail_for(t, q, IKEV1_FAIL_SYNTAX, 0,
                       "the key exchange is missing or has a wrong length");
        return;
    }
    take_lifetime(q, m);
    read_originals(t, q, m);
    q->commit = (m->header.flags & IKEV1_FLAG_COMMIT) != 0;
    q->answered = true;
    q->step = IKEV1_QUICK_ASKING;
    if (q->group != 0) {
        ask_key_exchange(t, q, ke);
    } else {
        send_3(t, q);
    }
}

/* ---- as responder ---- */

static void refuse(struct ikev1_turn *t, struct ikev1_quick *q, const struct ikev1_failure *failure)
{
    uint8_t spi[4];
    bool has_spi = q->choice.spi != 0;

    put_u32(spi, q->choice.spi);
    ikev1_send_notify(t, q->ike, PROTOCOL_ESP, failure->notify,
                      has_spi ? SLICE_OF(spi) : (struct slice){NULL, 0}, (struct slice){NULL, 0});
    quick_fail(t, q, failure);
}

/* IDci is the peer's, IDcr ours; without both it is about the two ends (RFC 2409 5.5). */
static bool read_ids(struct ikev1_turn *t, struct ikev1_quick *q, const struct ikev1_message *m)
{
    struct ikev1_id_payload id;
    struct slice body_i;
    struct slice body_r;

    if (!ikev1_message_find(m, IKEV1_ID, 0, &body_i)) {
        const struct selector any = {.port_last = UINT16_MAX};

        q->offered_local = any;
        q->offered_remote = any;
        q->offered_local.addresses = (struct range){t->sa->local.address, t->sa->local.address};
        q->offered_remote.addresses = (struct range){t->sa->peer.address, t->sa->peer.address};
        return true;
    }
    return ikev1_message_find(m, IKEV1_ID, 1, &body_r) && ikev1_read_id(body_i, &id) &&
           ikev1_id_selector(&id, &q->offered_remote) && ikev1_read_id(body_r, &id) &&
           ikev1_id_selector(&id, &q->offered_local) && ikev1_block_copy(body_i, &q->id_i) &&
           ikev1_block_copy(body_r, &q->id_r);
}

/* What is chosen goes back as it was offered, when the questions are answered. */
static bool keep_choice(struct ikev1_quick *q)
{
    if (!ikev1_block_copy(q->choice.transform.attributes, &q->attributes)) {
        return false;
    }
    q->choice.transform.attributes = q->attributes;
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
        refuse(t, q, &failure);
        return;
    }
    /* So that a refusal says what it is about. */
    if (offer.proposal_count > 0 && offer.proposals[0].spi.length == 4) {
        q->choice.spi = get_u32(offer.proposals[0].spi.data);
    }
    if (!read_ids(t, q, m)) {
        ikev1_failure_set(&failure, IKEV1_FAIL_CHILD_SELECTORS, IKEV1_QUICK,
                          IKEV1_INVALID_ID_INFORMATION, "identities that are no networks");
        refuse(t, q, &failure);
        return;
    }
    uint32_t spi = q->choice.spi;

    if (!ikev1_traffic_match(t, q, &offer, has_ke, &failure)) {
        q->choice.spi = spi;
        refuse(t, q, &failure);
        return;
    }
    q->group = q->choice.suite.key_exchange;
    if (has_ke && !ke_fits(q->group, ke)) {
        ikev1_failure_set(&failure, IKEV1_FAIL_SYNTAX, IKEV1_QUICK, IKEV1_INVALID_KEY_INFORMATION,
                          "the key exchange has a wrong length");
        refuse(t, q, &failure);
        return;
    }
    if (q->choice.protocol == PROTOCOL_AH && (q->ike->nat_local || q->ike->nat_peer)) {
        ikev1_failure_set(&failure, IKEV1_FAIL_CHILD_AH_NAT, IKEV1_QUICK, IKEV1_NO_PROPOSAL_CHOSEN,
                          "");
        refuse(t, q, &failure);
        return;
    }
    read_originals(t, q, m);
    ikev1_nonce_make(t->sa->random, &q->nonce_r);
    uint64_t said = q->choice.life_seconds != 0 ? q->choice.life_seconds : IKEV1_SAID_PHASE2_S;

    q->says_lifetime = q->policy->lifetime_ms != NEVER_MS && q->policy->lifetime_ms >= 1000 &&
                       q->policy->lifetime_ms / 1000 < said;
    if (!keep_choice(q)) {
        quick_fail_for(t, q, IKEV1_FAIL_RESOURCES, 0, "no memory");
        return;
    }
    ask_spi(t, q);
    if (q->group != 0) {
        ask_key_exchange(t, q, ke);
    }
}

static void receive_1(struct ikev1_turn *t, struct ikev1_ike *ike, struct ikev1_message *m,
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
    struct ikev1_quick *q = quick_new(t, ike, id, false);

    if (q == NULL) {
        return;
    }
    q->iv = iv;
    memcpy(q->digest, digest, sizeof(q->digest));
    take_request(t, q, m);
}

static void receive_3(struct ikev1_turn *t, struct ikev1_quick *q, struct ikev1_message *m)
{
    struct ikev1_iv iv = q->iv;
    struct ikev1_hash_value hash;

    if (!open(t, q, &iv, m) ||
        !ikev1_hash_3(&q->ike->keys, q->message_id, ikev1_nonce_slice(&q->nonce_i),
                      ikev1_nonce_slice(&q->nonce_r), &hash) ||
        !ikev1_hash_equal(&hash, m->list[0].body)) {
        return;
    }
    ikev1_trace(t, false, false, &m->header, m->chain);
    q->iv = iv;
    ikev1_heard(t, q->ike, m);
    prove(t, q);
}

void ikev1_quick_receive(struct ikev1_turn *t, struct ikev1_ike *ike, struct ikev1_message *m)
{
    struct ikev1_quick *q = ikev1_quick_find(t->sa, ike, m->header.message_id);
    uint8_t digest[32];

    sha256(&m->whole, 1, digest);
    if (q == NULL) {
        receive_1(t, ike, m, digest);
        return;
    }
    if (ikev1_reply_is_for(&q->reply, digest)) {
        if (q->initiator || q->step == IKEV1_QUICK_SENT_2) {
            ikev1_reply_again(t, &q->reply, &t->sa->local, &t->sa->peer);
        }
        return;
    }
    switch (q->step) {
    case IKEV1_QUICK_SENT_1:
        memcpy(q->digest, digest, sizeof(q->digest));
        receive_2(t, q, m);
        return;
    case IKEV1_QUICK_SENT_2:
        receive_3(t, q, m);
        return;
    case IKEV1_QUICK_ASKING:
    case IKEV1_QUICK_DONE:
        return;
    }
}

/* ---- answers and time ---- */

/* A question was answered with no. */
static void stop(struct ikev1_turn *t, struct ikev1_quick *q)
{
    struct ikev1_failure failure;
    bool bad_public = q->group != 0 && q->spi_in != 0 && (q->answered || !q->initiator);

    ikev1_failure_set(&failure, bad_public ? IKEV1_FAIL_BAD_PUBLIC_VALUE : IKEV1_FAIL_RESOURCES,
                      IKEV1_QUICK,
                      bad_public ? IKEV1_INVALID_KEY_INFORMATION : IKEV1_NO_PROPOSAL_CHOSEN,
                      bad_public ? "" : "no SPI is free, or nobody answered");
    if (q->initiator) {
        failure.notify = 0;
        quick_fail(t, q, &failure);
    } else {
        refuse(t, q, &failure);
    }
}

void ikev1_quick_continue(struct ikev1_turn *t, struct ikev1_quick *q, bool ok)
{
    if (ok && (q->ask_spi != 0 || q->ask_key_exchange != 0)) {
        return;
    }
    q->ask_spi = 0;
    q->ask_key_exchange = 0;
    q->deadline_ms = NEVER_MS;
    if (!ok) {
        stop(t, q);
    } else if (!q->initiator) {
        send_2(t, q);
    } else if (q->answered) {
        send_3(t, q);
    } else {
        send_1(t, q);
    }
}

uint64_t ikev1_quick_deadline_ms(const struct ikev1_quick *q)
{
    return ikev1_earlier(ikev1_earlier(q->end_ms, q->deadline_ms), q->retransmit.deadline_ms);
}

/* The responder's message 3 never came: nobody uses the child. The initiator's question stayed
 * unanswered: the peer may have forgotten the ISAKMP SA, so another one is tried. */
static void give_up(struct ikev1_turn *t, struct ikev1_quick *q)
{
    struct ikev1_sa *sa = t->sa;
    struct ikev1_ike *ike = q->ike;
    bool initiator = q->initiator;
    const struct ikev1_child_policy *policy = q->policy;
    struct selector local = q->offered_local;
    struct selector remote = q->offered_remote;
    uint8_t retries = q->retries;
    uint32_t old = q->old_spi_in;

    quick_fail_for(t, q, IKEV1_FAIL_CHILD_NO_ANSWER, 0, "");
    if (!initiator || ike != sa->current || !ikev1_may_begin(sa)) {
        return;
    }
    if (old == 0 && retries < IKEV1_RETRIES_MAX &&
        !ikev1_pend(sa, policy, &local, &remote, t->now_ms, (uint8_t)(retries + 1))) {
        return;
    }
    ikev1_ike_forget(t, ike);
    ikev1_lost(t, IKEV1_FAIL_PEER_DEAD);
}

void ikev1_quick_time(struct ikev1_turn *t, struct ikev1_quick *q)
{
    if (q->end_ms <= t->now_ms) {
        ikev1_quick_end(t, q);
        return;
    }
    if (q->deadline_ms <= t->now_ms) {
        q->spi_in = q->ask_spi != 0 ? 0 : q->spi_in;
        ikev1_quick_continue(t, q, false);
        return;
    }
    switch (retransmit_time(&q->retransmit, t->now_ms, t->sa->random)) {
    case RETRANSMIT_WAIT:
        return;
    case RETRANSMIT_SEND:
        ikev1_resend(t, &q->reply, &t->sa->local, &t->sa->peer);
        return;
    case RETRANSMIT_GIVE_UP:
        give_up(t, q);
        return;
    }
}
