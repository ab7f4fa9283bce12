/*
 * The messages of Quick Mode (RFC 2409 5.5, RFC 3947 5): decides what stands in each of them, and
 * what child comes of it.
 */
#include <assert.h>
#include <string.h>

#include "proto/ikev1/quick.h"
#include "wire/ipcomp.h"

/* ---- what both say ---- */

bool ikev1_quick_open(struct ikev1_turn *t, struct ikev1_quick *q, struct ikev1_iv *iv,
                      struct ikev1_message *m)
{
    return ikev1_open(t, &q->ike->keys, iv, m) && m->list[0].type == IKEV1_HASH;
}

bool ikev1_quick_ke_fits(uint16_t group, struct slice ke)
{
    const struct algorithm *a = algorithm_find(TRANSFORM_KEY_EXCHANGE, group);

    return a != NULL && ke.length == a->public_bytes;
}

void ikev1_quick_read_originals(struct ikev1_turn *t, struct ikev1_quick *q,
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
        of_r = q->initiator ? of_i : (struct address){0};
        of_i = q->initiator ? (struct address){0} : of_i;
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

static bool cpi_is_taken(const struct ikev1_sa *sa, uint16_t cpi)
{
    for (const struct ikev1_child *c = sa->children; c != NULL; c = c->next) {
        if (c->cpi_in == cpi) {
            return true;
        }
    }
    for (const struct ikev1_quick *q = sa->quicks; q != NULL; q = q->next) {
        if (q->cpi_in == cpi && q->spi_in != 0) {
            return true;
        }
    }
    return false;
}

/* RFC 3173 4.1: in the negotiated range, and no two alike for one peer. SPIs are unlike each other
 * already, and many fewer are in use than there are. */
static uint16_t choose_cpi(const struct ikev1_sa *sa, uint32_t spi_in)
{
    const uint32_t range = IPCOMP_CPI_NEGOTIATED_LAST - IPCOMP_CPI_NEGOTIATED_FIRST + 1;
    uint32_t offset = spi_in % range;

    while (cpi_is_taken(sa, (uint16_t)(IPCOMP_CPI_NEGOTIATED_FIRST + offset))) {
        offset = (offset + 1) % range;
    }
    return (uint16_t)(IPCOMP_CPI_NEGOTIATED_FIRST + offset);
}

static struct ikev1_spis own_spis(const struct ikev1_sa *sa, struct ikev1_quick *q)
{
    struct ikev1_spis spis;

    q->cpi_in = choose_cpi(sa, q->spi_in);
    put_u32(spis.main, q->spi_in);
    put_u32(spis.around, q->around_spi_in);
    put_u16(spis.compression, q->cpi_in);
    return spis;
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

void ikev1_quick_send_1(struct ikev1_turn *t, struct ikev1_quick *q)
{
    struct ikev1_outgoing o NOT_ZEROED;
    struct ikev1_sa_payload sa NOT_ZEROED;
    struct ikev1_hash_value hash;
    struct ikev1_spis spis = own_spis(t->sa, q);

    if (!ikev1_phase2_offer(q->policy, q->group, &q->carriage, &spis, &sa)) {
        ikev1_quick_fail_for(t, q, IKEV1_FAIL_CHILD_NO_PROPOSAL, 0,
                             "nothing in the policy can be said in IKEv1");
        return;
    }
    ikev1_out_begin(&o, q->ike, IKEV1_QUICK, q->message_id);
    out_body(t, q, &o, &sa);
    if (!writer_ok(&o.w) ||
        !ikev1_hash_1(&q->ike->keys, q->message_id, ikev1_out_behind_hash(&o), &hash) ||
        !ikev1_iv_of_phase2(&q->ike->keys.suite, &q->ike->iv, q->message_id, &q->iv) ||
        !send(t, q, &o, &hash, false)) {
        ikev1_quick_fail_for(t, q, IKEV1_FAIL_RESOURCES, 0, "a message could not be made");
        return;
    }
    q->step = IKEV1_QUICK_SENT_1;
    start_clock(t, q);
}

/* ---- the child ---- */

/* The key of the SA with this SPI, into a block that is buried already. */
static bool make_key(struct ikev1_turn *t, const struct ikev1_quick *q, const struct suite *suite,
                     uint8_t protocol, uint32_t spi, struct slice *out)
{
    struct secret key = {0};
    bool ok =
        ikev1_keys_child(&q->ike->keys, suite, protocol, spi, secret_slice(&q->shared),
                         ikev1_nonce_slice(&q->nonce_i), ikev1_nonce_slice(&q->nonce_r), &key) &&
        ikev1_block_copy(secret_slice(&key), out);
    struct slice buried = *out;

    secret_wipe(&key);
    ikev1_block_drop(t->sa, &buried);
    return ok;
}

static bool make_keys(struct ikev1_turn *t, const struct ikev1_quick *q,
                      struct ikev1_child_keys *out)
{
    const struct ikev1_phase2_choice *c = &q->choice;

    *out = (struct ikev1_child_keys){0};
    return make_key(t, q, &c->suite, c->protocol, q->spi_in, &out->in) &&
           make_key(t, q, &c->suite, c->protocol, c->spi, &out->out) &&
           (!c->has_around ||
            (make_key(t, q, &c->around.suite, PROTOCOL_AH, q->around_spi_in, &out->around_in) &&
             make_key(t, q, &c->around.suite, PROTOCOL_AH, c->around.spi, &out->around_out)));
}

/* So little data is not worth new keys, whoever says so. */
#define LEAST_KILOBYTES 1024

static uint32_t least_kilobytes(uint32_t ours, uint64_t said)
{
    if (said == 0 || said > UINT32_MAX) {
        return ours;
    }
    said = said < LEAST_KILOBYTES ? LEAST_KILOBYTES : said;
    return ours == 0 || said < ours ? (uint32_t)said : ours;
}

static bool make_child(struct ikev1_turn *t, struct ikev1_quick *q)
{
    struct ikev1_sa *sa = t->sa;
    const struct ikev1_child_policy *policy = q->policy;
    struct ikev1_child_keys keys;
    uint64_t said = q->choice.life_seconds != 0 ? q->choice.life_seconds : IKEV1_SAID_PHASE2_S;
    uint64_t lifetime_ms = ikev1_lifetime_of(policy->lifetime_ms, said);
    struct ikev1_child *child =
        sa->child_count < IKEV1_CHILDREN_MAX ? ikev1_block_new(sizeof(*child)) : NULL;

    if (child == NULL || !ikev1_traffic_share(q, child) || !make_keys(t, q, &keys)) {
        ikev1_block_bury(sa, child == NULL ? NULL : child->share);
        ikev1_block_bury(sa, child);
        return false;
    }
    child->spi_in = q->spi_in;
    child->spi_out = q->choice.spi;
    child->policy = policy;
    child->protocol = q->choice.protocol;
    child->suite = q->choice.suite;
    if (q->choice.has_around) {
        child->around.spi_in = q->around_spi_in;
        child->around.spi_out = q->choice.around.spi;
        child->around.suite = q->choice.around.suite;
        /* The key exchange is that of both, and shown once. */
        child->around.suite.key_exchange = KEY_EXCHANGE_NONE;
    }
    if (q->choice.compress) {
        child->cpi_in = q->cpi_in;
        child->cpi_out = (uint16_t)q->choice.compression.spi;
    }
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
    q->around_spi_in = q->choice.has_around ? 0 : q->around_spi_in;
    ikev1_child_add(t, child, &keys);
    return true;
}

/* ---- each ---- */

/* RFC 2407 4.6.3.1: about the SA that we receive with; what is less than was proposed. */
static void out_lifetime(const struct ikev1_quick *q, struct ikev1_outgoing *o)
{
    uint8_t spi[4];
    uint8_t data[32];
    struct writer w = writer_over(data, sizeof(data));
    const struct ikev1_child_policy *policy = q->policy;
    uint64_t said = q->choice.life_seconds != 0 ? q->choice.life_seconds : IKEV1_SAID_PHASE2_S;
    uint64_t ours = policy->lifetime_ms / 1000;

    if (policy->lifetime_ms != NEVER_MS && ours > 0 && ours < said) {
        ikev1_write_number(&w, IKEV1_SA_LIFE_TYPE, IKEV1_LIFE_SECONDS);
        ikev1_write_number(&w, IKEV1_SA_LIFE_DURATION, ours);
    }
    if (policy->lifetime_kilobytes != 0 &&
        (q->choice.life_kilobytes == 0 || policy->lifetime_kilobytes < q->choice.life_kilobytes)) {
        ikev1_write_number(&w, IKEV1_SA_LIFE_TYPE, IKEV1_LIFE_KILOBYTES);
        ikev1_write_number(&w, IKEV1_SA_LIFE_DURATION, policy->lifetime_kilobytes);
    }
    if (writer_written(&w).length == 0) {
        return;
    }
    put_u32(spi, q->spi_in);
    ikev1_out_notify(o, q->choice.protocol, IKEV1_RESPONDER_LIFETIME, SLICE_OF(spi),
                     writer_written(&w));
}

void ikev1_quick_send_2(struct ikev1_turn *t, struct ikev1_quick *q)
{
    struct ikev1_outgoing o NOT_ZEROED;
    struct ikev1_sa_payload sa NOT_ZEROED;
    struct ikev1_hash_value hash;
    struct ikev1_spis spis = own_spis(t->sa, q);

    ikev1_phase2_answer(&q->choice, &spis, &sa);
    ikev1_out_begin(&o, q->ike, IKEV1_QUICK, q->message_id);
    out_body(t, q, &o, &sa);
    out_lifetime(q, &o);
    if (!writer_ok(&o.w) ||
        !ikev1_hash_2(&q->ike->keys, q->message_id, ikev1_nonce_slice(&q->nonce_i),
                      ikev1_out_behind_hash(&o), &hash) ||
        !make_child(t, q) || !send(t, q, &o, &hash, true)) {
        ikev1_quick_fail_for(t, q, IKEV1_FAIL_RESOURCES, 0, "a child could not be made");
        return;
    }
    q->step = IKEV1_QUICK_SENT_2;
    start_clock(t, q);
}

/* What the peer deletes has one SPI, or two where AH is around it. */
static bool was_deleted(const struct ikev1_quick *q)
{
    for (size_t i = 0; i < q->deleted_count; i++) {
        if (q->deleted_spis[i] == q->choice.spi ||
            (q->choice.has_around && q->deleted_spis[i] == q->choice.around.spi)) {
            return true;
        }
    }
    return false;
}

void ikev1_quick_send_3(struct ikev1_turn *t, struct ikev1_quick *q)
{
    struct ikev1_outgoing o NOT_ZEROED;
    struct ikev1_hash_value hash;

    if (was_deleted(q)) {
        ikev1_quick_fail_for(t, q, IKEV1_FAIL_CHILD_REFUSED, 0,
                             "the peer deleted the child while it was made");
        return;
    }
    ikev1_out_begin(&o, q->ike, IKEV1_QUICK, q->message_id);
    ikev1_out_hash_room(&o, q->ike);
    if (!ikev1_hash_3(&q->ike->keys, q->message_id, ikev1_nonce_slice(&q->nonce_i),
                      ikev1_nonce_slice(&q->nonce_r), &hash) ||
        !make_child(t, q) || !send(t, q, &o, &hash, true)) {
        ikev1_quick_fail_for(t, q, IKEV1_FAIL_RESOURCES, 0, "a child could not be made");
        return;
    }
    struct ikev1_child *child = ikev1_child_by_spi_in(t->sa, q->child_spi_in);

    if (child->replaces_spi_in == 0 && !q->commit) {
        ikev1_child_use(t, child);
    } else {
        child->use_ms = ikev1_after(t->now_ms, IKEV1_USE_MS);
    }
    ikev1_quick_done(t, q);
}
