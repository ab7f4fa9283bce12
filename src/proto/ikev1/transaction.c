/*
 * Transaction exchanges (draft-dukes-ike-mode-cfg-02 3.1, 3.5): decides which message belongs to
 * which exchange, that only what its HASH covers counts, what is sent again, and who hears of it.
 *
 *     Initiator                        Responder
 *     HDR*, HASH, ATTR(REQUEST)  -->
 *                                 <--  HDR*, HASH, ATTR(REPLY)
 *
 * or SET and ACK. HASH = prf(SKEYID_a, M-ID | ATTR). Either side of an ISAKMP SA may begin one.
 */
#include <string.h>

#include "proto/ikev1/machine.h"

/* ---- memory ---- */

bool ikev1_policy_has_transactions(const struct ikev1_policy *policy)
{
    return policy->login != IKEV1_LOGIN_NONE || policy->settings != IKEV1_SETTINGS_NONE;
}

bool ikev1_transactions_prepare(struct ikev1_turn *t, struct ikev1_ike *ike,
                                const struct ikev1_policy *policy)
{
    const struct ikev1_handshake *h = ike->handshake;

    if (!ikev1_policy_has_transactions(policy)) {
        return true;
    }
    struct ikev1_transactions *all = ikev1_block_new(sizeof(*all));

    if (all == NULL) {
        return false;
    }
    bool renewed = t->sa->state == IKEV1_STATE_UP;

    all->unity = h->abilities.unity;
    all->login = policy->login;
    all->renewed = renewed;
    all->known = renewed && ikev1_peer_signs(ike) && h->peer_id.type != 0 &&
                 ike_identity_matches(&t->sa->peer_id, &h->peer_id, true);
    all->initial_contact = h->initial_contact;
    all->login_ms = NEVER_MS;
    all->login_end_ms = NEVER_MS;
    all->settings_ms = NEVER_MS;
    ike->transactions = all;
    return true;
}

/* ---- where ---- */

static bool is_elsewhere(const struct ikev1_ike *ike)
{
    return ike->transactions != NULL && ike->transactions->peer.address.family != FAMILY_NONE;
}

struct endpoint ikev1_ike_local(const struct ikev1_sa *sa, const struct ikev1_ike *ike)
{
    return is_elsewhere(ike) ? ike->transactions->local : sa->local;
}

struct endpoint ikev1_ike_peer(const struct ikev1_sa *sa, const struct ikev1_ike *ike)
{
    return is_elsewhere(ike) ? ike->transactions->peer : sa->peer;
}

void ikev1_login_settle(struct ikev1_turn *t, struct ikev1_ike *ike)
{
    struct ikev1_sa *sa = t->sa;

    if (!is_elsewhere(ike)) {
        return;
    }
    sa->local = ike->transactions->local;
    sa->peer = ike->transactions->peer;
    ike->transactions->peer.address.family = FAMILY_NONE;
    ikev1_tell_moved(t);
}

static void send_again(struct ikev1_turn *t, const struct ikev1_ike *ike, struct ikev1_reply *reply)
{
    const struct endpoint local = ikev1_ike_local(t->sa, ike);
    const struct endpoint peer = ikev1_ike_peer(t->sa, ike);

    ikev1_resend(t, reply, &local, &peer);
}

/* ---- one of them ---- */

void ikev1_transaction_drop(struct ikev1_turn *t, struct ikev1_ike *ike,
                            struct ikev1_transaction *transaction)
{
    struct ikev1_transaction **link = &ike->transactions->list;

    while (*link != transaction) {
        link = &(*link)->next;
    }
    *link = transaction->next;
    ike->transactions->count--;
    ikev1_reply_drop(t->sa, &transaction->reply);
    ikev1_block_bury(t->sa, transaction);
}

void ikev1_transactions_end(struct ikev1_turn *t, struct ikev1_ike *ike)
{
    if (ike->transactions == NULL) {
        return;
    }
    while (ike->transactions->list != NULL) {
        ikev1_transaction_drop(t, ike, ike->transactions->list);
    }
    ikev1_block_drop(t->sa, &ike->transactions->asked_challenge);
    ikev1_block_bury(t->sa, ike->transactions);
    ike->transactions = NULL;
}

/* Where there is no room, one that is over makes some. */
static struct ikev1_transaction *add(struct ikev1_turn *t, struct ikev1_ike *ike,
                                     uint32_t message_id)
{
    struct ikev1_transactions *all = ike->transactions;
    struct ikev1_transaction *oldest = NULL;

    for (struct ikev1_transaction *i = all->list; i != NULL; i = i->next) {
        oldest = i->step == IKEV1_TRANSACTION_DONE ? i : oldest;
    }
    if (all->count == IKEV1_TRANSACTIONS_MAX && oldest != NULL) {
        ikev1_transaction_drop(t, ike, oldest);
    }
    struct ikev1_transaction *transaction =
        all->count < IKEV1_TRANSACTIONS_MAX ? ikev1_block_new(sizeof(*transaction)) : NULL;

    if (transaction == NULL) {
        return NULL;
    }
    transaction->message_id = message_id;
    transaction->end_ms = NEVER_MS;
    retransmit_stop(&transaction->retransmit);
    transaction->next = all->list;
    all->list = transaction;
    all->count++;
    return transaction;
}

static struct ikev1_transaction *find(const struct ikev1_ike *ike, uint32_t message_id)
{
    struct ikev1_transaction *i = ike->transactions->list;

    while (i != NULL && i->message_id != message_id) {
        i = i->next;
    }
    return i;
}

struct ikev1_transaction *ikev1_transaction_own(const struct ikev1_ike *ike,
                                                enum ikev1_transaction_about about)
{
    struct ikev1_transaction *i = ike->transactions->list;

    while (i != NULL && (!i->own || i->about != about)) {
        i = i->next;
    }
    return i;
}

/* ---- attributes ---- */

static struct ikev1_attribute *next_attribute(struct ikev1_cfg_payload *cfg)
{
    return cfg->count < IKEV1_CFG_ATTRIBUTES_MAX ? &cfg->attributes[cfg->count++] : NULL;
}

void ikev1_cfg_add(struct ikev1_cfg_payload *cfg, uint16_t type, struct slice value)
{
    struct ikev1_attribute *attribute = next_attribute(cfg);

    if (attribute != NULL) {
        *attribute = (struct ikev1_attribute){.type = type, .value = value};
    }
}

void ikev1_cfg_add_short(struct ikev1_cfg_payload *cfg, uint16_t type, uint16_t number)
{
    struct ikev1_attribute *attribute = next_attribute(cfg);

    if (attribute != NULL) {
        *attribute = (struct ikev1_attribute){.type = type, .is_short = true, .number = number};
    }
}

static bool is_secret(uint16_t type)
{
    return type == IKEV1_XAUTH_USER_PASSWORD || type == IKEV1_XAUTH_PASSCODE ||
           type == IKEV1_XAUTH_NEXT_PIN || type == IKEV1_XAUTH_ANSWER;
}

void ikev1_blank_credentials(uint8_t first, uint8_t *chain, size_t length)
{
    struct reader r = reader_over((struct slice){chain, length});
    struct ikev1_payload payload;
    struct ikev1_cfg_payload cfg NOT_ZEROED;

    while (ikev1_read_payload(&r, &first, &payload)) {
        if (payload.type != IKEV1_ATTRIBUTES || !ikev1_read_cfg(payload.body, &cfg)) {
            continue;
        }
        for (size_t i = 0; i < cfg.count; i++) {
            struct slice value = cfg.attributes[i].value;

            if (is_secret(cfg.attributes[i].type) && value.length > 0) {
                memset(chain + (value.data - chain), 0, value.length);
            }
        }
    }
}

/* ---- sending ---- */

static bool send(struct ikev1_turn *t, struct ikev1_ike *ike, struct ikev1_transaction *transaction,
                 const struct ikev1_cfg_payload *cfg)
{
    struct ikev1_outgoing o NOT_ZEROED;
    struct ikev1_hash_value hash;
    const struct endpoint local = ikev1_ike_local(t->sa, ike);
    const struct endpoint peer = ikev1_ike_peer(t->sa, ike);
    bool sent = false;

    ikev1_out_begin(&o, ike, IKEV1_TRANSACTION, transaction->message_id);
    ikev1_out_hash_room(&o, ike);
    ikev1_begin_payload(&o.chain, IKEV1_ATTRIBUTES);
    ikev1_write_cfg(&o.w, cfg);
    ikev1_end_payload(&o.chain);
    if (writer_ok(&o.w) &&
        ikev1_hash_1(&ike->keys, transaction->message_id, ikev1_out_behind_hash(&o), &hash)) {
        ikev1_out_fill_hash(&o, &hash);
        sent = ikev1_send(t, &o, &ike->keys, &transaction->iv, &local, &peer, &transaction->reply,
                          transaction->own ? NULL : transaction->digest);
    }
    if (!sent) {
        wipe(o.bytes, sizeof(o.bytes)); /* a password may stand in it */
    }
    return sent;
}

static void start_clock(struct ikev1_turn *t, struct ikev1_transaction *transaction)
{
    const struct ikev1_policy *policy = t->sa->policy;

    retransmit_start(&transaction->retransmit, policy->retransmit_first_ms,
                     policy->retransmit_max_ms, policy->retransmit_tries, t->now_ms, t->sa->random);
}

bool ikev1_transaction_begin(struct ikev1_turn *t, struct ikev1_ike *ike,
                             enum ikev1_transaction_about about, struct ikev1_cfg_payload *cfg)
{
    struct ikev1_transaction *transaction = add(t, ike, ikev1_fresh_message_id(t->sa, ike));

    if (transaction == NULL) {
        return false;
    }
    transaction->own = true;
    transaction->about = about;
    transaction->type = cfg->type;
    transaction->identifier = cfg->identifier;
    transaction->step = IKEV1_TRANSACTION_SENT;
    /* Keys and IV are the same both ways: what we said is no news when it comes back. */
    ikev1_ike_saw(ike, transaction->message_id);
    if (!ikev1_iv_of_phase2(&ike->keys.suite, &ike->iv, transaction->message_id,
                            &transaction->iv) ||
        !send(t, ike, transaction, cfg)) {
        ikev1_transaction_drop(t, ike, transaction);
        return false;
    }
    start_clock(t, transaction);
    return true;
}

void ikev1_transaction_answer(struct ikev1_turn *t, struct ikev1_ike *ike,
                              struct ikev1_transaction *transaction, struct ikev1_cfg_payload *cfg)
{
    cfg->type = transaction->type == IKEV1_CFG_REQUEST ? IKEV1_CFG_REPLY : IKEV1_CFG_ACK;
    cfg->identifier = transaction->identifier;
    transaction->ask = 0;
    transaction->step = IKEV1_TRANSACTION_DONE;
    transaction->end_ms = ikev1_after(t->now_ms, IKEV1_LINGER_MS);
    /* Without memory it is lost on the way: he asks again. */
    (void)!send(t, ike, transaction, cfg);
}

/* ---- receiving ---- */

/* HDR*, HASH, ATTR, and nothing else (draft-dukes-ike-mode-cfg-02 3.1.1). */
static bool read_cfg(const struct ikev1_ike *ike, const struct ikev1_message *m,
                     struct ikev1_cfg_payload *cfg)
{
    struct ikev1_hash_value hash;

    return m->count == 2 && m->list[0].type == IKEV1_HASH && m->list[1].type == IKEV1_ATTRIBUTES &&
           ikev1_hash_1(&ike->keys, m->header.message_id, ikev1_message_behind_hash(m), &hash) &&
           ikev1_hash_equal(&hash, m->list[0].body) && ikev1_read_cfg(m->list[1].body, cfg);
}

static void take_answer(struct ikev1_turn *t, struct ikev1_ike *ike,
                        struct ikev1_transaction *transaction, const struct ikev1_cfg_payload *cfg)
{
    enum ikev1_transaction_about about = transaction->about;
    uint8_t expected = transaction->type == IKEV1_CFG_REQUEST ? IKEV1_CFG_REPLY : IKEV1_CFG_ACK;

    /* The message ID has told which exchange it is. Some give a login no identifier of their own.
     */
    if (cfg->type != expected ||
        (cfg->identifier != 0 && cfg->identifier != transaction->identifier)) {
        return;
    }
    ikev1_transaction_drop(t, ike, transaction);
    if (about == IKEV1_ABOUT_SETTINGS) {
        ikev1_settings_answered(t, ike, cfg);
    } else {
        ikev1_login_answered(t, ike, about, cfg);
    }
}

/* What a peer may begin: a gateway with logins asks, everybody may ask for settings or give some,
 * but not before the login is through (draft-beaulieu-ike-xauth-02 6). */
static bool may_ask(const struct ikev1_ike *ike, const struct ikev1_cfg_payload *cfg)
{
    if (cfg->type != IKEV1_CFG_REQUEST && cfg->type != IKEV1_CFG_SET) {
        return false;
    }
    if (ikev1_cfg_is_about_login(cfg)) {
        return ike->transactions->login == IKEV1_LOGIN_ANSWER;
    }
    return ike->phase != IKEV1_IKE_LOGIN;
}

static void take_question(struct ikev1_turn *t, struct ikev1_ike *ike,
                          struct ikev1_transaction *transaction,
                          const struct ikev1_cfg_payload *cfg)
{
    transaction->type = cfg->type;
    transaction->identifier = cfg->identifier;
    transaction->step = IKEV1_TRANSACTION_ASKING;
    transaction->end_ms = ikev1_after(t->now_ms, IKEV1_LOGIN_MS);
    if (ikev1_cfg_is_about_login(cfg)) {
        transaction->about = IKEV1_ABOUT_LOGIN;
        ikev1_login_asked(t, ike, transaction, cfg);
    } else {
        transaction->about = IKEV1_ABOUT_SETTINGS;
        ikev1_settings_asked(t, ike, transaction, cfg);
    }
}

/* While somebody types, a NAT may forget him, and have him somewhere else then. */
static void heard(struct ikev1_turn *t, struct ikev1_ike *ike, const struct ikev1_message *m)
{
    if (ike->phase == IKEV1_IKE_LOGIN && ike->nat_peer && is_elsewhere(ike)) {
        ike->transactions->local = m->local;
        ike->transactions->peer = m->peer;
    } else if (ike->phase == IKEV1_IKE_LOGIN && t->sa->state == IKEV1_STATE_CONNECTING &&
               ike->nat_peer) {
        t->sa->local = m->local;
        t->sa->peer = m->peer;
    }
    ikev1_heard(t, ike, m);
}

void ikev1_transaction_receive(struct ikev1_turn *t, struct ikev1_ike *ike, struct ikev1_message *m)
{
    struct ikev1_cfg_payload cfg NOT_ZEROED;
    struct ikev1_transaction *transaction = find(ike, m->header.message_id);
    struct ikev1_iv iv;
    uint8_t digest[32];

    sha256(&m->whole, 1, digest);
    if (transaction != NULL && ikev1_reply_is_for(&transaction->reply, digest)) {
        ikev1_reply_again(t, &transaction->reply, &m->local, &m->peer);
        return;
    }
    if (transaction != NULL && transaction->step == IKEV1_TRANSACTION_ASKING) {
        return;
    }
    /* Some gateways have all rounds of a login under one message ID. The IV has gone on, so an
     * older message cannot be among them. */
    if (transaction != NULL) {
        iv = transaction->iv;
    } else if (ikev1_ike_has_seen(ike, m->header.message_id) ||
               !ikev1_iv_of_phase2(&ike->keys.suite, &ike->iv, m->header.message_id, &iv)) {
        return;
    }
    if (!ikev1_open(t, &ike->keys, &iv, m) || !read_cfg(ike, m, &cfg)) {
        return;
    }
    ikev1_trace(t, false, false, &m->header, m->chain);
    bool own = transaction != NULL && transaction->own;

    if (!own && !may_ask(ike, &cfg)) {
        return;
    }
    if (ikev1_ike_knows_all(ike)) {
        heard(t, ike, m);
    }
    if (own) {
        take_answer(t, ike, transaction, &cfg);
        return;
    }
    if (transaction == NULL) {
        transaction = add(t, ike, m->header.message_id);
        if (transaction == NULL) {
            return;
        }
        ikev1_ike_saw(ike, m->header.message_id);
    }
    transaction->iv = iv;
    memcpy(transaction->digest, digest, sizeof(digest));
    take_question(t, ike, transaction, &cfg);
}

/* ---- time ---- */

static void time_of_one(struct ikev1_turn *t, struct ikev1_ike *ike,
                        struct ikev1_transaction *transaction)
{
    enum ikev1_transaction_about about = transaction->about;

    if (transaction->end_ms <= t->now_ms) {
        ikev1_transaction_drop(t, ike, transaction);
        return;
    }
    switch (retransmit_time(&transaction->retransmit, t->now_ms, t->sa->random)) {
    case RETRANSMIT_WAIT:
        return;
    case RETRANSMIT_SEND:
        send_again(t, ike, &transaction->reply);
        return;
    case RETRANSMIT_GIVE_UP:
        if (about == IKEV1_ABOUT_LOGIN && ike->transactions->login_end_ms > t->now_ms) {
            /* Somebody may still be typing. */
            send_again(t, ike, &transaction->reply);
            start_clock(t, transaction);
            return;
        }
        ikev1_transaction_drop(t, ike, transaction);
        if (about == IKEV1_ABOUT_SETTINGS) {
            ikev1_settings_failed(t, "no answer to the question for settings");
        } else {
            ikev1_login_unanswered(t, ike, about);
        }
        return;
    }
}

static uint64_t deadline_of_one(const struct ikev1_transaction *transaction)
{
    return ikev1_earlier(transaction->end_ms, transaction->retransmit.deadline_ms);
}

/* One thing at a time: what is done may take the rest away. */
void ikev1_transactions_time(struct ikev1_turn *t, struct ikev1_ike *ike)
{
    struct ikev1_transactions *all = ike->transactions;

    if (all->login_ms <= t->now_ms) {
        ikev1_login_time(t, ike);
        return;
    }
    if (all->settings_ms <= t->now_ms) {
        ikev1_settings_failed(t, "the settings did not come in time");
        return;
    }
    if (ike->phase == IKEV1_IKE_LOGIN &&
        retransmit_time(&ike->retransmit, t->now_ms, t->sa->random) == RETRANSMIT_SEND) {
        send_again(t, ike, &ike->reply);
        return;
    }
    for (struct ikev1_transaction *i = all->list; i != NULL; i = i->next) {
        if (deadline_of_one(i) <= t->now_ms) {
            time_of_one(t, ike, i);
            return;
        }
    }
}

uint64_t ikev1_transactions_deadline_ms(const struct ikev1_ike *ike)
{
    const struct ikev1_transactions *all = ike->transactions;

    if (all == NULL) {
        return NEVER_MS;
    }
    uint64_t due = ikev1_earlier(all->login_ms, all->settings_ms);

    if (ike->phase == IKEV1_IKE_LOGIN) {
        due = ikev1_earlier(due, ike->retransmit.deadline_ms);
    }

    for (const struct ikev1_transaction *i = all->list; i != NULL; i = i->next) {
        due = ikev1_earlier(due, deadline_of_one(i));
    }
    return due;
}
