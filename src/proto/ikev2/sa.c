/*
 * The IKEv2 machine's events and orders: decides where each goes, what is to be done next when an
 * IKE SA is idle, and how all of it ends.
 */
#include "proto/ikev2/sa.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/ikev2/machine.h"

/* ---- small things ---- */

uint32_t ikev2_question(struct ikev2_sa *sa)
{
    sa->next_question++;
    if (sa->next_question == 0) {
        sa->next_question = 1;
    }
    return sa->next_question;
}

uint64_t ikev2_after(uint64_t now_ms, uint64_t wait_ms)
{
    return wait_ms >= NEVER_MS - now_ms ? NEVER_MS : now_ms + wait_ms;
}

static uint64_t random_up_to(struct ikev2_sa *sa, uint64_t bound_ms)
{
    if (bound_ms == 0) {
        return 0;
    }
    return bound_ms >= UINT32_MAX ? random_u64(sa->random) % bound_ms
                                  : random_below(sa->random, (uint32_t)bound_ms);
}

uint64_t ikev2_jittered(struct ikev2_sa *sa, uint64_t now_ms, uint64_t lifetime_ms, bool initiator)
{
    if (lifetime_ms == NEVER_MS) {
        return NEVER_MS;
    }
    uint64_t hundredth = lifetime_ms / 100;
    uint64_t least = hundredth * (initiator ? 80 : 88);

    return ikev2_after(now_ms, least + random_up_to(sa, hundredth * 7));
}

uint64_t ikev2_retry_ms(struct ikev2_sa *sa, uint64_t now_ms, unsigned retries)
{
    uint64_t wait_ms = IKEV2_RETRY_MAX_MS;

    if (retries < 5) {
        wait_ms = (uint64_t)IKEV2_RETRY_MS << retries;
    }
    return ikev2_after(now_ms, wait_ms + random_up_to(sa, wait_ms));
}

bool ikev2_pend(struct ikev2_sa *sa, const struct ikev2_child_policy *policy, uint64_t at_ms,
                uint8_t retries)
{
    if (sa->pending_count == IKEV2_PENDING_MAX) {
        return false;
    }
    if (sa->pending_count == sa->pending_capacity) {
        size_t capacity = sa->pending_capacity == 0 ? 4 : 2 * sa->pending_capacity;
        struct ikev2_pending *grown = realloc(sa->pending, capacity * sizeof(*sa->pending));

        if (grown == NULL) {
            return false;
        }
        sa->pending = grown;
        sa->pending_capacity = capacity;
    }
    sa->pending[sa->pending_count++] = (struct ikev2_pending){
        .policy = policy,
        .at_ms = at_ms,
        .retries = retries,
    };
    return true;
}

static void pending_remove(struct ikev2_sa *sa, size_t index)
{
    sa->pending_count--;
    memmove(&sa->pending[index], &sa->pending[index + 1],
            (sa->pending_count - index) * sizeof(sa->pending[0]));
    if (sa->pending_count == 0) {
        free(sa->pending);
        sa->pending = NULL;
        sa->pending_capacity = 0;
    }
}

/* ---- the beginning and the end ---- */

static struct ikev2_sa *new_machine(const struct endpoint *local, const struct endpoint *peer,
                                    struct random_source *random, bool initiator)
{
    struct ikev2_sa *sa = calloc(1, sizeof(*sa));

    if (sa == NULL) {
        return NULL;
    }
    sa->handshake = ikev2_block_new(sizeof(*sa->handshake));
    if (sa->handshake == NULL) {
        free(sa);
        return NULL;
    }
    sa->handshake->deadline_ms = NEVER_MS;
    sa->handshake->ask_deadline_ms = NEVER_MS;
    sa->random = random;
    sa->local = *local;
    sa->peer = *peer;
    sa->initiator = initiator;
    sa->next_question = random_below(random, UINT32_MAX);
    return sa;
}

struct ikev2_sa *ikev2_sa_new_initiator(const struct ikev2_policy *policy,
                                        const struct endpoint *local, const struct endpoint *peer,
                                        struct random_source *random)
{
    struct ikev2_sa *sa = new_machine(local, peer, random, true);

    if (sa != NULL) {
        sa->policy = policy;
        sa->fragment_bytes = policy->fragment_bytes;
    }
    return sa;
}

struct ikev2_sa *ikev2_sa_new_responder(const struct ikev2_responder_policy *policy,
                                        const struct endpoint *local, const struct endpoint *peer,
                                        struct random_source *random)
{
    struct ikev2_sa *sa = new_machine(local, peer, random, false);

    if (sa != NULL) {
        sa->responder = policy;
        sa->fragment_bytes = policy->fragment_bytes;
    }
    return sa;
}

void ikev2_handshake_end(struct ikev2_turn *t)
{
    struct ikev2_sa *sa = t->sa;
    struct ikev2_handshake *h = sa->handshake;

    if (h == NULL) {
        return;
    }
    sa->handshake = NULL;
    key_pair_wipe(&h->pair);
    ikev2_block_drop(sa, &h->own_message);
    ikev2_block_drop(sa, &h->peer_message);
    ikev2_block_drop(sa, &h->request_chain);
    ikev2_work_end(t, &h->child);
    ikev2_block_bury(sa, h);
    if (sa->current != NULL) {
        ikev2_keys_forget_auth(&sa->current->keys);
    }
}

void ikev2_over(struct ikev2_turn *t, const struct ikev2_failure *failure)
{
    struct ikev2_sa *sa = t->sa;
    bool established = sa->established;

    if (sa->state == IKEV2_STATE_OVER) {
        return;
    }
    sa->state = IKEV2_STATE_OVER;
    ikev2_handshake_end(t);
    while (sa->children != NULL) {
        ikev2_child_remove(t, sa->children);
    }
    while (sa->ikes != NULL) {
        ikev2_ike_forget(t, sa->ikes);
    }
    free(sa->pending);
    sa->pending = NULL;
    sa->pending_count = 0;
    sa->pending_capacity = 0;
    ikev2_act(t, established ? IKEV2_TELL_CLOSED : IKEV2_TELL_FAILED)->failed.failure = *failure;
}

void ikev2_over_for(struct ikev2_turn *t, enum ikev2_failure_reason reason, uint8_t exchange,
                    uint16_t notify, const char *detail)
{
    struct ikev2_failure failure;

    ikev2_failure_set(&failure, reason, exchange, notify, detail);
    ikev2_over(t, &failure);
}

static void send_delete(struct ikev2_turn *t, struct ikev2_ike *ike)
{
    struct ikev2_outgoing o;

    /* A window of one: when a request is open, the Delete takes the place after it. A peer that
     * has not seen that request ignores this one until his own patience ends. */
    ikev2_request_done(t, ike);
    ikev2_out_begin(&o);
    ikev2_out_delete_ike(&o);
    ikev2_send_request(t, ike, IKEV2_INFORMATIONAL, &o);
}

void ikev2_over_with_delete(struct ikev2_turn *t, const struct ikev2_failure *failure)
{
    struct ikev2_sa *sa = t->sa;
    bool held = sa->established && sa->current->hold_ms > t->now_ms;

    /* In the middle of a rekeying it is not sure which IKE SA the peer takes for the current one.
     */
    for (struct ikev2_ike *ike = sa->ikes; ike != NULL && sa->established; ike = ike->next) {
        if (ike->phase == IKEV2_IKE_LIVE || (held && ike->phase == IKEV2_IKE_REPLACED)) {
            send_delete(t, ike);
        }
    }
    ikev2_over(t, failure);
}

void ikev2_sa_free(struct ikev2_sa *sa)
{
    if (sa == NULL) {
        return;
    }
    /* The same way out as any other, only that nobody hears of it. */
    struct ikev2_turn t = {.sa = sa, .now_ms = 0, .actions = NULL};

    ikev2_over_for(&t, IKEV2_FAIL_ORDERED, 0, 0, "");
    ikev2_turn_clear(sa);
    free(sa);
}

/* ---- what is next ---- */

static struct ikev2_child *next_to_delete(const struct ikev2_sa *sa, uint64_t now_ms)
{
    for (struct ikev2_child *child = sa->children; child != NULL; child = child->next) {
        if (child->phase == IKEV2_CHILD_CLOSING && !child->delete_sent &&
            child->confirm_ms <= now_ms) {
            return child;
        }
    }
    return NULL;
}

static struct ikev2_child *next_to_rekey(const struct ikev2_sa *sa, uint64_t now_ms)
{
    for (struct ikev2_child *child = sa->children; child != NULL; child = child->next) {
        if (child->phase == IKEV2_CHILD_UP && child->rekey_ms <= now_ms &&
            child->confirm_ms <= now_ms) {
            return child;
        }
    }
    return NULL;
}

/* There is one already, or one on its way. */
static bool child_is_there(const struct ikev2_sa *sa, const struct ikev2_child_policy *policy)
{
    for (const struct ikev2_child *child = sa->children; child != NULL; child = child->next) {
        if (child->policy == policy && child->phase == IKEV2_CHILD_UP) {
            return true;
        }
    }
    for (const struct ikev2_ike *ike = sa->ikes; ike != NULL; ike = ike->next) {
        if (ike->asking != NULL && ike->asking->kind == IKEV2_WORK_CHILD &&
            ike->asking->policy == policy) {
            return true;
        }
    }
    return sa->handshake != NULL && sa->handshake->child != NULL &&
           sa->handshake->child->policy == policy;
}

static void begin_pending(struct ikev2_turn *t, struct ikev2_ike *ike)
{
    struct ikev2_sa *sa = t->sa;

    size_t i = 0;

    while (i < sa->pending_count) {
        if (sa->pending[i].at_ms > t->now_ms) {
            i++;
        } else {
            struct ikev2_pending pending = sa->pending[i];

            pending_remove(sa, i);
            /* Meanwhile the peer may have made it. */
            if (!child_is_there(sa, pending.policy)) {
                ikev2_child_begin(t, ike, pending.policy, NULL, pending.retries);
                return;
            }
        }
    }
}

static bool is_idle(const struct ikev2_ike *ike)
{
    return ike->asking == NULL && ike->request == NULL;
}

/* While the peer rekeys the IKE SA nothing new is begun about its children (RFC 7296 2.25.2). */
static bool peer_rekeys(const struct ikev2_ike *ike)
{
    return ike->answering != NULL && ike->answering->kind == IKEV2_WORK_REKEY_IKE;
}

static uint64_t liveness_deadline_ms(const struct ikev2_sa *sa)
{
    return sa->liveness_wanted ? 0 : ikev2_after(sa->heard_ms, sa->policy->liveness_ms);
}

static void begin_liveness(struct ikev2_turn *t, struct ikev2_ike *ike)
{
    t->sa->liveness_wanted = false;
    ikev2_informational_begin(t, ike, IKEV2_WORK_LIVENESS, 0);
}

/* While it is not sure that the peer knows the current IKE SA, its predecessor is the one that both
 * have: there he can be asked whether he lives, and there he learns where we are now. */
static struct ikev2_ike *predecessor(const struct ikev2_sa *sa)
{
    for (struct ikev2_ike *ike = sa->ikes; ike != NULL; ike = ike->next) {
        if (ike->phase == IKEV2_IKE_REPLACED && is_idle(ike)) {
            return ike;
        }
    }
    return NULL;
}

static void begin_next(struct ikev2_turn *t, struct ikev2_ike *ike)
{
    struct ikev2_sa *sa = t->sa;
    struct ikev2_child *child = next_to_delete(sa, t->now_ms);

    if (child != NULL && !peer_rekeys(ike)) {
        ikev2_informational_begin(t, ike, IKEV2_WORK_DELETE_CHILD, child->spi_in);
        return;
    }
    if (sa->liveness_wanted || ikev2_after(sa->heard_ms, sa->policy->liveness_ms) <= t->now_ms) {
        sa->liveness_wanted = false;
        ikev2_informational_begin(t, ike, IKEV2_WORK_LIVENESS, 0);
        return;
    }
    if (ike->rekey_ms <= t->now_ms && !ike->busy) {
        ikev2_rekey_begin(t, ike);
        return;
    }
    if (peer_rekeys(ike)) {
        return;
    }
    child = next_to_rekey(sa, t->now_ms);
    if (child != NULL) {
        ikev2_child_begin(t, ike, child->policy, child, child->retries);
        return;
    }
    begin_pending(t, ike);
}

/* At the end of every event. */
static void finish(struct ikev2_turn *t)
{
    struct ikev2_sa *sa = t->sa;

    if (sa->state != IKEV2_STATE_UP) {
        return;
    }
    for (struct ikev2_ike *ike = sa->ikes; ike != NULL && sa->state == IKEV2_STATE_UP;
         ike = ike->next) {
        if (ike->phase == IKEV2_IKE_CLOSING && is_idle(ike)) {
            ikev2_informational_begin(t, ike, IKEV2_WORK_DELETE_IKE, 0);
        }
    }
    if (sa->state != IKEV2_STATE_UP || sa->current->phase != IKEV2_IKE_LIVE) {
        return;
    }
    if (sa->current->hold_ms <= t->now_ms) {
        if (is_idle(sa->current)) {
            begin_next(t, sa->current);
        }
        return;
    }
    struct ikev2_ike *old = predecessor(sa);

    if (old != NULL && liveness_deadline_ms(sa) <= t->now_ms) {
        begin_liveness(t, old);
    }
}

static struct ikev2_turn begin(struct ikev2_sa *sa, uint64_t now_ms, struct ikev2_actions *actions)
{
    ikev2_turn_clear(sa);
    return (struct ikev2_turn){.sa = sa, .now_ms = now_ms, .actions = actions};
}

/* ---- events ---- */

void ikev2_sa_start(struct ikev2_sa *sa, uint64_t now_ms, struct ikev2_actions *actions)
{
    struct ikev2_turn t = begin(sa, now_ms, actions);

    if (sa->initiator && sa->state == IKEV2_STATE_NEW) {
        ikev2_init_start(&t);
    }
}

/* RFC 7296 2.21.3: the whole message is malformed. */
static void answer_malformed(struct ikev2_turn *t, struct ikev2_ike *ike, const char *detail)
{
    uint8_t exchange = ike->busy_exchange;

    ikev2_send_notify(t, ike, IKEV2_INVALID_SYNTAX, (struct slice){NULL, 0});
    ikev2_over_for(t, IKEV2_FAIL_SYNTAX, exchange, IKEV2_INVALID_SYNTAX, detail);
}

/* Is it a new child, or a new IKE SA? */
static bool is_about_ike(const struct ikev2_message *m)
{
    struct ikev2_sa_payload sa;

    return ikev2_read_sa(m->body[IKEV2_SA], &sa) && sa.proposal_count > 0 &&
           sa.proposals[0].protocol == PROTOCOL_IKE;
}

static void create_request(struct ikev2_turn *t, struct ikev2_ike *ike,
                           const struct ikev2_message *m)
{
    if (!m->has[IKEV2_SA] || !m->has[IKEV2_NONCE]) {
        answer_malformed(t, ike, "CREATE_CHILD_SA without a proposal or nonce");
    } else if (is_about_ike(m)) {
        ikev2_rekey_request(t, ike, m);
    } else if (!m->has[IKEV2_TSI] || !m->has[IKEV2_TSR]) {
        answer_malformed(t, ike, "CREATE_CHILD_SA without traffic selectors");
    } else {
        ikev2_child_request(t, ike, m);
    }
}

static void take_request(struct ikev2_turn *t, struct ikev2_ike *ike, struct ikev2_message *m)
{
    struct ikev2_sa *sa = t->sa;

    if (!ikev2_message_read(m)) {
        answer_malformed(t, ike, "a malformed message");
        return;
    }
    if (sa->state == IKEV2_STATE_HALF_OPEN) {
        ikev2_auth_request(t, ike, m);
        return;
    }
    if (m->critical != 0) {
        /* RFC 7296 2.5 */
        ikev2_send_notify(t, ike, IKEV2_UNSUPPORTED_CRITICAL_PAYLOAD,
                          (struct slice){&m->critical, 1});
        return;
    }
    switch (m->header.exchange) {
    case IKEV2_CREATE_CHILD_SA:
        create_request(t, ike, m);
        return;
    case IKEV2_INFORMATIONAL:
        ikev2_informational_request(t, ike, m);
        return;
    default:
        answer_malformed(t, ike, "an exchange that cannot stand here");
        return;
    }
}

/* RFC 7296 2.21.3: an authentic answer of which nothing can be made. */
static void give_up_on_response(struct ikev2_turn *t, enum ikev2_failure_reason reason,
                                uint8_t exchange)
{
    struct ikev2_failure failure;

    ikev2_failure_set(&failure, reason, exchange, 0, "in a response");
    ikev2_over_with_delete(t, &failure);
}

static void take_response(struct ikev2_turn *t, struct ikev2_ike *ike, struct ikev2_message *m)
{
    bool readable = ikev2_message_read(m);

    if (t->sa->state == IKEV2_STATE_AUTH) {
        if (!readable) {
            give_up_on_response(t, IKEV2_FAIL_SYNTAX, m->header.exchange);
            return;
        }
        ikev2_auth_response(t, ike, m);
        return;
    }
    ikev2_request_done(t, ike);
    if (!readable || m->critical != 0) {
        give_up_on_response(t, readable ? IKEV2_FAIL_CRITICAL_PAYLOAD : IKEV2_FAIL_SYNTAX,
                            m->header.exchange);
        return;
    }
    if (ikev2_message_notify(m, IKEV2_INVALID_SYNTAX) != NULL) {
        /* RFC 7296 2.21.3: fatal in both peers, without a Delete. */
        ikev2_over_for(t, IKEV2_FAIL_PEER_ERROR, m->header.exchange, IKEV2_INVALID_SYNTAX, "");
        return;
    }
    if (ike->asking == NULL) {
        return;
    }
    switch (ike->asking->kind) {
    case IKEV2_WORK_CHILD:
    case IKEV2_WORK_REKEY_CHILD:
        ikev2_child_response(t, ike, m);
        return;
    case IKEV2_WORK_REKEY_IKE:
        ikev2_rekey_response(t, ike, m);
        return;
    case IKEV2_WORK_DELETE_CHILD:
    case IKEV2_WORK_DELETE_IKE:
    case IKEV2_WORK_LIVENESS:
        ikev2_informational_response(t, ike, m);
        return;
    }
}

/* Which messages may come before both sides are authenticated. */
static bool fits_state(const struct ikev2_sa *sa, const struct ikev2_header *header)
{
    bool response = (header->flags & IKEV2_FLAG_RESPONSE) != 0;

    switch (sa->state) {
    case IKEV2_STATE_NEW:
    case IKEV2_STATE_INIT:
    case IKEV2_STATE_OVER:
        return false;
    case IKEV2_STATE_HALF_OPEN:
        return !response && header->exchange == IKEV2_IKE_AUTH;
    case IKEV2_STATE_AUTH:
        return sa->initiator && response && header->exchange == IKEV2_IKE_AUTH;
    case IKEV2_STATE_UP:
        return true;
    }
    return false;
}

static struct ikev2_ike *find_ike(const struct ikev2_sa *sa, const struct ikev2_header *header)
{
    bool from_initiator = (header->flags & IKEV2_FLAG_INITIATOR) != 0;

    for (struct ikev2_ike *ike = sa->ikes; ike != NULL; ike = ike->next) {
        if (ike->initiator != from_initiator && ike->spi_i == header->spi_i &&
            ike->spi_r == header->spi_r) {
            return ike;
        }
    }
    return NULL;
}

void ikev2_sa_receive(struct ikev2_sa *sa, struct slice message, const struct endpoint *local,
                      const struct endpoint *peer, uint64_t now_ms, struct ikev2_actions *actions)
{
    struct ikev2_turn t = begin(sa, now_ms, actions);
    struct reader r = reader_over(message);
    struct ikev2_header header;

    if (sa->state == IKEV2_STATE_OVER || !ikev2_read_header(&r, &header) ||
        header.version >> 4 != IKEV2_VERSION_2_0 >> 4) {
        return;
    }
    if (header.exchange == IKEV2_IKE_SA_INIT) {
        ikev2_init_receive(&t, &header, message, local, peer);
        return;
    }
    struct ikev2_ike *ike = find_ike(sa, &header);

    if (ike == NULL || !fits_state(sa, &header)) {
        return;
    }
    struct ikev2_message *m = ikev2_turn_memory(sa, sizeof(*m));

    if (m == NULL || !ikev2_receive_protected(&t, ike, &header, message, local, peer, m)) {
        return;
    }
    if ((header.flags & IKEV2_FLAG_RESPONSE) != 0) {
        take_response(&t, ike, m);
    } else {
        take_request(&t, ike, m);
    }
    finish(&t);
}

static void expire(struct ikev2_turn *t)
{
    struct ikev2_failure failure;

    ikev2_failure_set(&failure, IKEV2_FAIL_PEER_ERROR, IKEV2_CREATE_CHILD_SA, 0,
                      "the IKE SA could not be rekeyed before its lifetime ended");
    ikev2_over_with_delete(t, &failure);
}

static void no_answer(struct ikev2_turn *t, struct ikev2_ike *ike)
{
    struct ikev2_sa *sa = t->sa;

    if (sa->state == IKEV2_STATE_INIT) {
        ikev2_init_give_up(t);
    } else if (!sa->established) {
        ikev2_over_for(t, IKEV2_FAIL_NO_ANSWER, ike->request_exchange, 0, "");
    } else if (ike == sa->current ||
               (ike->phase == IKEV2_IKE_REPLACED && sa->current->hold_ms > t->now_ms)) {
        ikev2_over_for(t, IKEV2_FAIL_PEER_DEAD, ike->request_exchange, 0, "");
    } else {
        ikev2_ike_forget(t, ike);
    }
}

/* A question of ours to the gateway was not answered in time. */
static void work_time(struct ikev2_turn *t, struct ikev2_ike *ike, struct ikev2_work *work)
{
    if (work != NULL && work->deadline_ms <= t->now_ms) {
        ikev2_work_continue(t, ike, work, false);
    }
}

static void handshake_time(struct ikev2_turn *t)
{
    struct ikev2_sa *sa = t->sa;
    struct ikev2_handshake *h = sa->handshake;

    if (h == NULL || sa->state == IKEV2_STATE_OVER) {
        return;
    }
    if (h->deadline_ms <= t->now_ms) {
        ikev2_over_for(t, IKEV2_FAIL_HALF_OPEN_TIMEOUT, 0, 0, "");
    } else if (h->ask_deadline_ms <= t->now_ms ||
               (h->child != NULL && h->child->deadline_ms <= t->now_ms)) {
        ikev2_over_for(t, IKEV2_FAIL_RESOURCES, 0, 0, "a question was not answered in time");
    } else if (h->refused && h->refused_ms <= t->now_ms && h->ask_key_exchange == 0) {
        ikev2_init_give_up(t);
    }
}

static void ike_time(struct ikev2_turn *t, struct ikev2_ike *ike)
{
    struct ikev2_sa *sa = t->sa;

    if (ike->drop_ms <= t->now_ms) {
        ikev2_ike_forget(t, ike);
        return;
    }
    if (!ikev2_ike_time(t, ike)) {
        no_answer(t, ike);
        return;
    }
    if (ike == sa->current && ike->expire_ms <= t->now_ms) {
        expire(t);
        return;
    }
    work_time(t, ike, ike->asking);
    if (sa->state == IKEV2_STATE_UP) {
        work_time(t, ike, ike->answering);
    }
}

void ikev2_sa_time(struct ikev2_sa *sa, uint64_t now_ms, struct ikev2_actions *actions)
{
    struct ikev2_turn t = begin(sa, now_ms, actions);

    if (sa->state == IKEV2_STATE_OVER || sa->state == IKEV2_STATE_NEW) {
        return;
    }
    handshake_time(&t);
    struct ikev2_ike *ike = sa->ikes;

    while (ike != NULL && sa->state != IKEV2_STATE_OVER) {
        struct ikev2_ike *next = ike->next;

        ike_time(&t, ike);
        ike = next;
    }
    struct ikev2_child *child = sa->children;

    while (child != NULL && sa->state == IKEV2_STATE_UP) {
        struct ikev2_child *next = child->next;

        ikev2_child_time(&t, child);
        child = next;
    }
    finish(&t);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* When an idle IKE SA will have something to do. */
static uint64_t idle_deadline_ms(const struct ikev2_sa *sa, const struct ikev2_ike *ike)
{
    uint64_t at_ms = liveness_deadline_ms(sa);

    if (!ike->busy) {
        at_ms = earlier(at_ms, ike->rekey_ms);
    }
    for (const struct ikev2_child *child = sa->children; child != NULL && !peer_rekeys(ike);
         child = child->next) {
        if (child->phase == IKEV2_CHILD_UP) {
            at_ms = earlier(at_ms, later(child->rekey_ms, child->confirm_ms));
        } else if (child->phase == IKEV2_CHILD_CLOSING && !child->delete_sent) {
            at_ms = earlier(at_ms, child->confirm_ms);
        }
    }
    for (size_t i = 0; i < sa->pending_count && !peer_rekeys(ike); i++) {
        at_ms = earlier(at_ms, sa->pending[i].at_ms);
    }
    return later(at_ms, ike->hold_ms);
}

static uint64_t ike_deadline_ms(const struct ikev2_sa *sa, const struct ikev2_ike *ike)
{
    uint64_t at_ms = earlier(ike->drop_ms, ike->retransmit.deadline_ms);

    at_ms = earlier(at_ms, fragments_deadline_ms(&ike->request_fragments));
    at_ms = earlier(at_ms, fragments_deadline_ms(&ike->response_fragments));
    if (ike->asking != NULL) {
        at_ms = earlier(at_ms, ike->asking->deadline_ms);
    }
    if (ike->answering != NULL) {
        at_ms = earlier(at_ms, ike->answering->deadline_ms);
    }
    if (ike == sa->current && sa->state == IKEV2_STATE_UP) {
        at_ms = earlier(at_ms, ike->expire_ms);
        if (is_idle(ike)) {
            at_ms = earlier(at_ms, idle_deadline_ms(sa, ike));
        }
        if (ike->hold_ms != 0 && predecessor(sa) != NULL) {
            at_ms = earlier(at_ms, liveness_deadline_ms(sa));
        }
    }
    return at_ms;
}

static uint64_t handshake_deadline_ms(const struct ikev2_handshake *h)
{
    uint64_t at_ms = earlier(h->deadline_ms, h->ask_deadline_ms);

    if (h->refused && h->ask_key_exchange == 0) {
        at_ms = earlier(at_ms, h->refused_ms);
    }
    if (h->child != NULL) {
        at_ms = earlier(at_ms, h->child->deadline_ms);
    }
    return at_ms;
}

uint64_t ikev2_sa_deadline_ms(const struct ikev2_sa *sa)
{
    uint64_t at_ms = NEVER_MS;

    if (sa->state == IKEV2_STATE_OVER || sa->state == IKEV2_STATE_NEW) {
        return NEVER_MS;
    }
    if (sa->handshake != NULL) {
        at_ms = earlier(at_ms, handshake_deadline_ms(sa->handshake));
    }
    for (const struct ikev2_ike *ike = sa->ikes; ike != NULL; ike = ike->next) {
        at_ms = earlier(at_ms, ike_deadline_ms(sa, ike));
    }
    for (const struct ikev2_child *child = sa->children; child != NULL; child = child->next) {
        at_ms = earlier(at_ms, earlier(child->use_ms, child->remove_ms));
        if (child->phase == IKEV2_CHILD_UP) {
            at_ms = earlier(at_ms, child->expire_ms);
        }
    }
    return at_ms;
}

/* ---- answers ---- */

/* Whose question it was: an exchange's, with its IKE SA (of the handshake: the current one). */
static struct ikev2_work *find_work(const struct ikev2_sa *sa, uint32_t id, bool spi,
                                    struct ikev2_ike **ike)
{
    struct ikev2_work *child = sa->handshake != NULL ? sa->handshake->child : NULL;

    *ike = sa->current;
    if (id == 0) {
        return NULL;
    }
    if (child != NULL && spi && child->ask_spi == id) {
        return child;
    }
    for (*ike = sa->ikes; *ike != NULL; *ike = (*ike)->next) {
        struct ikev2_work *works[] = {(*ike)->asking, (*ike)->answering};

        for (size_t i = 0; i < ARRAY_LENGTH(works); i++) {
            if (works[i] != NULL && (spi ? works[i]->ask_spi : works[i]->ask_key_exchange) == id) {
                return works[i];
            }
        }
    }
    return NULL;
}

static void work_take_key_exchange(struct ikev2_turn *t, struct ikev2_ike *ike,
                                   struct ikev2_work *work, bool ok, struct key_pair *pair,
                                   struct secret *shared)
{
    bool pair_only = work->initiator && !work->answered;

    work->ask_key_exchange = 0;
    if (ok && !work->has_pair) {
        ok = pair != NULL;
        if (ok) {
            work->pair = *pair;
            *pair = (struct key_pair){0};
            work->has_pair = true;
        }
    }
    if (ok && !pair_only) {
        ok = shared != NULL;
        if (ok) {
            secret_move(&work->shared, shared);
        }
    }
    work->bad_public = !ok && !pair_only;
    ikev2_work_continue(t, ike, work, ok);
}

void ikev2_sa_answer_key_exchange(struct ikev2_sa *sa, uint32_t id, bool ok, struct key_pair *pair,
                                  struct secret *shared, uint64_t now_ms,
                                  struct ikev2_actions *actions)
{
    struct ikev2_turn t = begin(sa, now_ms, actions);
    struct ikev2_ike *ike;
    struct ikev2_work *work = find_work(sa, id, false, &ike);

    if (work != NULL) {
        work_take_key_exchange(&t, ike, work, ok, pair, shared);
        finish(&t);
    } else if (id != 0 && sa->handshake != NULL && sa->handshake->ask_key_exchange == id) {
        ikev2_init_answer(&t, ok, pair, shared);
    }
    /* Moved from, whether somebody wanted it or not. */
    if (pair != NULL) {
        key_pair_wipe(pair);
    }
    if (shared != NULL) {
        secret_wipe(shared);
    }
}

void ikev2_sa_answer_spi(struct ikev2_sa *sa, uint32_t id, uint32_t spi, uint64_t now_ms,
                         struct ikev2_actions *actions)
{
    struct ikev2_turn t = begin(sa, now_ms, actions);
    struct ikev2_ike *ike;
    struct ikev2_work *work = find_work(sa, id, true, &ike);

    if (work == NULL) {
        if (spi != 0) {
            ikev2_act(&t, IKEV2_SPI_UNUSED)->esp_spi = spi;
        }
        return;
    }
    work->ask_spi = 0;
    work->spi_in = spi;
    ikev2_work_continue(&t, ike, work, spi != 0);
    finish(&t);
}

void ikev2_sa_answer_peer(struct ikev2_sa *sa, uint32_t id, const struct ikev2_policy *policy,
                          uint64_t now_ms, struct ikev2_actions *actions)
{
    struct ikev2_turn t = begin(sa, now_ms, actions);

    if (id != 0 && sa->handshake != NULL && sa->handshake->ask_peer == id) {
        ikev2_auth_answer_peer(&t, policy);
        finish(&t);
    }
}

/* ---- orders ---- */

void ikev2_sa_close(struct ikev2_sa *sa, enum ikev2_failure_reason why, uint64_t now_ms,
                    struct ikev2_actions *actions)
{
    struct ikev2_turn t = begin(sa, now_ms, actions);
    struct ikev2_failure failure;

    ikev2_failure_set(&failure, why, 0, 0, "");
    ikev2_over_with_delete(&t, &failure);
}

void ikev2_sa_rekey(struct ikev2_sa *sa, uint64_t now_ms, struct ikev2_actions *actions)
{
    struct ikev2_turn t = begin(sa, now_ms, actions);

    if (sa->state == IKEV2_STATE_UP && sa->current->phase == IKEV2_IKE_LIVE) {
        sa->current->rekey_ms = earlier(sa->current->rekey_ms, now_ms);
        finish(&t);
    }
}

void ikev2_sa_rekey_child(struct ikev2_sa *sa, uint32_t spi_in, uint64_t now_ms,
                          struct ikev2_actions *actions)
{
    struct ikev2_turn t = begin(sa, now_ms, actions);
    struct ikev2_child *child = ikev2_child_by_spi_in(sa, spi_in);

    if (child != NULL && child->phase == IKEV2_CHILD_UP) {
        child->rekey_ms = earlier(child->rekey_ms, now_ms);
        finish(&t);
    }
}

void ikev2_sa_start_child(struct ikev2_sa *sa, const struct ikev2_child_policy *child,
                          uint64_t now_ms, struct ikev2_actions *actions)
{
    struct ikev2_turn t = begin(sa, now_ms, actions);

    if (sa->state == IKEV2_STATE_OVER || child_is_there(sa, child)) {
        return;
    }
    for (size_t i = 0; i < sa->pending_count; i++) {
        if (sa->pending[i].policy == child) {
            sa->pending[i].at_ms = earlier(sa->pending[i].at_ms, now_ms);
            finish(&t);
            return;
        }
    }
    if (!ikev2_pend(sa, child, now_ms, 0)) {
        struct ikev2_failure failure;

        ikev2_failure_set(&failure, IKEV2_FAIL_RESOURCES, IKEV2_CREATE_CHILD_SA, 0,
                          "too many children wait");
        ikev2_tell_child_failed(&t, child, &failure);
    }
    finish(&t);
}

void ikev2_sa_close_child(struct ikev2_sa *sa, uint32_t spi_in, uint64_t now_ms,
                          struct ikev2_actions *actions)
{
    struct ikev2_turn t = begin(sa, now_ms, actions);
    struct ikev2_child *child = ikev2_child_by_spi_in(sa, spi_in);

    if (child != NULL) {
        ikev2_child_close(&t, child);
        finish(&t);
    }
}

void ikev2_sa_ask_liveness(struct ikev2_sa *sa, uint64_t now_ms, struct ikev2_actions *actions)
{
    struct ikev2_turn t = begin(sa, now_ms, actions);

    /* An open request is a question of liveness as well. */
    if (sa->state == IKEV2_STATE_UP && sa->current->request == NULL) {
        sa->liveness_wanted = true;
        finish(&t);
    }
}

void ikev2_sa_child_heard(struct ikev2_sa *sa, uint32_t spi_in, uint64_t now_ms,
                          struct ikev2_actions *actions)
{
    struct ikev2_turn t = begin(sa, now_ms, actions);
    struct ikev2_child *child = ikev2_child_by_spi_in(sa, spi_in);

    if (child == NULL) {
        return;
    }
    sa->heard_ms = now_ms;
    child->confirm_ms = 0;
    ikev2_child_use(&t, child);
    finish(&t);
}

/* Where a child stands whose policy is gone: it has a name for nobody and is about to be closed. */
static const struct ikev2_child_policy no_policy = {.lifetime_ms = NEVER_MS};

static const struct ikev2_child_policy *same_policy(const struct ikev2_policy *policy,
                                                    const struct ikev2_child_policy *old)
{
    for (size_t i = 0; i < policy->child_count; i++) {
        if (strncmp(policy->children[i].name, old->name, IKEV2_CHILD_NAME_BYTES) == 0) {
            return &policy->children[i];
        }
    }
    return NULL;
}

static void work_set_policy(struct ikev2_work *work, const struct ikev2_policy *policy)
{
    if (work != NULL && work->policy != NULL) {
        const struct ikev2_child_policy *same = same_policy(policy, work->policy);

        work->policy = same != NULL ? same : &no_policy;
    }
}

void ikev2_sa_set_policy(struct ikev2_sa *sa, const struct ikev2_policy *policy)
{
    if (sa->policy == NULL) {
        return;
    }
    sa->policy = policy;
    sa->fragment_bytes = policy->fragment_bytes;
    for (struct ikev2_child *child = sa->children; child != NULL; child = child->next) {
        const struct ikev2_child_policy *same = same_policy(policy, child->policy);

        child->policy = same != NULL ? same : &no_policy;
        if (same == NULL && child->phase != IKEV2_CHILD_GRACE) {
            child->phase = IKEV2_CHILD_CLOSING;
        }
    }
    for (struct ikev2_ike *ike = sa->ikes; ike != NULL; ike = ike->next) {
        work_set_policy(ike->asking, policy);
        work_set_policy(ike->answering, policy);
    }
    if (sa->handshake != NULL) {
        work_set_policy(sa->handshake->child, policy);
    }
    size_t i = 0;

    while (i < sa->pending_count) {
        sa->pending[i].policy = same_policy(policy, sa->pending[i].policy);
        if (sa->pending[i].policy == NULL) {
            pending_remove(sa, i);
        } else {
            i++;
        }
    }
}

/* ---- for status ---- */

static const char *state_name(const struct ikev2_sa *sa)
{
    switch (sa->state) {
    case IKEV2_STATE_NEW:
        return "new";
    case IKEV2_STATE_INIT:
        return "connecting";
    case IKEV2_STATE_HALF_OPEN:
        return "half-open";
    case IKEV2_STATE_AUTH:
        return "authenticating";
    case IKEV2_STATE_UP:
        return sa->current->asking != NULL && sa->current->asking->kind == IKEV2_WORK_REKEY_IKE
                   ? "rekeying"
                   : "established";
    case IKEV2_STATE_OVER:
        return "over";
    }
    return "";
}

void ikev2_sa_get_info(const struct ikev2_sa *sa, struct ikev2_sa_info *out)
{
    memset(out, 0, sizeof(*out));
    out->established = sa->state == IKEV2_STATE_UP;
    out->local = sa->local;
    out->peer = sa->peer;
    out->nat_local = sa->nat_local;
    out->nat_peer = sa->nat_peer;
    out->peer_id = sa->peer_id;
    out->child_count = (unsigned)sa->child_count;
    out->initiator = sa->initiator;
    out->state = state_name(sa);
    out->rekey_ms = NEVER_MS;
    if (sa->current != NULL) {
        out->spi_i = sa->current->spi_i;
        out->spi_r = sa->current->spi_r;
        out->initiator = sa->current->initiator;
        out->suite = sa->current->keys.suite;
        out->rekey_ms = sa->current->rekey_ms;
        if (sa->current->request != NULL) {
            out->retransmissions = sa->current->retransmit.again;
            out->open_exchange = sa->current->request_exchange;
        }
    }
}

bool ikev2_sa_child_at(const struct ikev2_sa *sa, size_t index, struct ikev2_child_info *out)
{
    const struct ikev2_child *child = sa->children;

    while (child != NULL && index > 0) {
        child = child->next;
        index--;
    }
    if (child == NULL) {
        return false;
    }
    ikev2_child_fill_info(sa, child, out);
    return true;
}
