/*
 * Where a message goes: decides which IKE SA it belongs to, whether it may come in the present
 * state, and which exchange takes it.
 */
#include "proto/ikev2/machine.h"

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
    /* Whoever begins anew has given up what he began before. */
    ikev2_followup_abandon(t, ike);
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
    if (sa->state == IKEV2_STATE_HALF_OPEN && sa->handshake->redirected) {
        ikev2_redirect_gone(t, ike, m);
        return;
    }
    if (sa->state == IKEV2_STATE_HALF_OPEN) {
        /* RFC 9370 2.2.3: one after the other, and IKE_AUTH when all keys are there. */
        if (!ikev2_intermediate_may_come(sa->handshake, m->header.exchange)) {
            answer_malformed(t, ike, "an exchange that was not agreed");
        } else if (m->header.exchange == IKEV2_IKE_AUTH) {
            ikev2_auth_request(t, ike, m);
        } else {
            ikev2_intermediate_request(t, ike, m);
        }
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
    case IKEV2_IKE_FOLLOWUP_KE:
        ikev2_followup_request(t, ike, m);
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

    if (t->sa->state == IKEV2_STATE_AUTH || t->sa->state == IKEV2_STATE_INTERMEDIATE) {
        if (!readable) {
            give_up_on_response(t, IKEV2_FAIL_SYNTAX, m->header.exchange);
        } else if (t->sa->state == IKEV2_STATE_AUTH) {
            ikev2_auth_response(t, ike, m);
        } else {
            ikev2_intermediate_response(t, ike, m);
        }
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
    case IKEV2_WORK_PROBE:
        ikev2_informational_response(t, ike, m);
        return;
    case IKEV2_WORK_MOBILE:
        ikev2_mobile_response(t, ike, m);
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
        if (sa->handshake->redirected) {
            return !response;
        }
        return !response &&
               (header->exchange == IKEV2_IKE_AUTH ||
                (header->exchange == IKEV2_IKE_INTERMEDIATE &&
                 (sa->handshake->choice.additional_count > 0 || sa->handshake->ppk_early)));
    case IKEV2_STATE_INTERMEDIATE:
        return response && header->exchange == IKEV2_IKE_INTERMEDIATE;
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
    struct ikev2_turn t = ikev2_turn_begin(sa, now_ms, actions);
    struct reader r = reader_over(message);
    struct ikev2_header header;

    if (sa->state == IKEV2_STATE_OVER || !ikev2_read_header(&r, &header) ||
        header.version >> 4 != IKEV2_VERSION_2_0 >> 4) {
        return;
    }
    if (header.exchange == IKEV2_IKE_SA_INIT || header.exchange == IKEV2_IKE_SESSION_RESUME) {
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
    ikev2_turn_finish(&t);
}
