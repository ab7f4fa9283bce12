/*
 * Where a message goes (RFC 2408 5.2): by the cookies to an ISAKMP SA, by the type of the exchange
 * to who knows it.
 */
#include <string.h>

#include "proto/ikev1/machine.h"

#define MAJOR_VERSION 1
/* RFC 2408 3.1: all other bits are zero. */
#define FLAGS (IKEV1_FLAG_ENCRYPTED | IKEV1_FLAG_COMMIT | IKEV1_FLAG_AUTHENTICATION_ONLY)

static bool read_head(struct slice message, struct ikev1_header *h)
{
    struct reader r = reader_over(message);

    return ikev1_read_header(&r, h) && h->version >> 4 == MAJOR_VERSION && h->cookie_i != 0 &&
           (h->flags & ~FLAGS) == 0;
}

bool ikev1_sa_may_begin(struct slice message, bool aggressive)
{
    struct ikev1_header h;

    return read_head(message, &h) && h.cookie_r == 0 && h.message_id == 0 &&
           (h.exchange == IKEV1_MAIN || (h.exchange == IKEV1_AGGRESSIVE && aggressive)) &&
           h.next_payload == IKEV1_SA && (h.flags & IKEV1_FLAG_ENCRYPTED) == 0;
}

static bool belongs_to(const struct ikev1_ike *ike, const struct ikev1_header *h)
{
    if (h->cookie_i != ike->spi_i) {
        return false;
    }
    if (ike->initiator && ike->spi_r == 0) {
        return h->cookie_r != 0 || h->exchange == IKEV1_INFORMATIONAL;
    }
    /* The first message once more has no cookie of ours in it yet, and an unprotected notify about
     * it neither. */
    return h->cookie_r == ike->spi_r ||
           (h->cookie_r == 0 &&
            (ike->initiator ? h->exchange == IKEV1_INFORMATIONAL
                            : h->exchange == IKEV1_MAIN || h->exchange == IKEV1_AGGRESSIVE));
}

static struct ikev1_ike *find_ike(const struct ikev1_sa *sa, const struct ikev1_header *h)
{
    struct ikev1_ike *ike = sa->ikes;

    while (ike != NULL && !belongs_to(ike, h)) {
        ike = ike->next;
    }
    return ike;
}

static void receive_informational(struct ikev1_turn *t, struct ikev1_ike *ike,
                                  struct ikev1_message *m)
{
    bool encrypted = (m->header.flags & IKEV1_FLAG_ENCRYPTED) != 0;

    if (!encrypted) {
        ikev1_informational_clear(t, ike, m);
    } else if (ikev1_ike_is_usable(ike) || ike->phase == IKEV1_IKE_LOGIN ||
               ike->phase == IKEV1_IKE_DELETED) {
        ikev1_informational_receive(t, ike, m);
    } else {
        ikev1_informational_early(t, ike, m);
    }
}

static void receive_whole(struct ikev1_turn *t, struct ikev1_ike *ike, struct ikev1_message *m)
{
    switch (m->header.exchange) {
    case IKEV1_MAIN:
    case IKEV1_AGGRESSIVE:
        if (m->header.message_id == 0) {
            ikev1_phase1_receive(t, ike, m);
        }
        return;
    case IKEV1_INFORMATIONAL:
        receive_informational(t, ike, m);
        return;
    case IKEV1_QUICK:
        if ((m->header.flags & IKEV1_FLAG_ENCRYPTED) == 0 || m->header.message_id == 0) {
            return;
        }
        if (ikev1_ike_is_usable(ike)) {
            ikev1_quick_receive(t, ike, m);
        } else {
            ikev1_aggressive_remind(t, ike, m);
        }
        return;
    case IKEV1_TRANSACTION:
        if ((m->header.flags & IKEV1_FLAG_ENCRYPTED) == 0 || m->header.message_id == 0) {
            return;
        }
        if (ike->phase == IKEV1_IKE_HANDSHAKE) {
            ikev1_aggressive_remind(t, ike, m);
        } else if (ike->transactions != NULL) {
            ikev1_transaction_receive(t, ike, m);
        }
        return;
    case IKEV1_NEW_GROUP:
        if ((m->header.flags & IKEV1_FLAG_ENCRYPTED) != 0 && m->header.message_id != 0 &&
            ikev1_ike_is_usable(ike)) {
            ikev1_new_group_receive(t, ike, m);
        }
        return;
    default:
        return;
    }
}

static void receive(struct ikev1_turn *t, struct ikev1_message *m)
{
    struct ikev1_sa *sa = t->sa;
    struct ikev1_ike *ike = find_ike(sa, &m->header);

    if (ike == NULL) {
        if (sa->state == IKEV1_STATE_NEW && sa->responder != NULL &&
            ikev1_sa_may_begin(m->whole, true)) {
            ikev1_phase1_first(t, m);
        }
        return;
    }
    if (m->header.next_payload == IKEV1_FRAGMENT) {
        /* What comes of it is a message to the same, and no fragment. */
        if (!ikev1_fragment_add(t, ike, m, &m->whole) || !read_head(m->whole, &m->header) ||
            m->header.next_payload == IKEV1_FRAGMENT || find_ike(sa, &m->header) != ike) {
            return;
        }
    }
    receive_whole(t, ike, m);
}

void ikev1_sa_receive(struct ikev1_sa *sa, struct slice message, const struct endpoint *local,
                      const struct endpoint *peer, uint64_t now_ms, struct ikev1_actions *actions)
{
    struct ikev1_turn t = ikev1_turn_begin(sa, now_ms, actions);
    struct ikev1_message m NOT_ZEROED;

    if (sa->state == IKEV1_STATE_OVER || !read_head(message, &m.header)) {
        return;
    }
    m.whole = message;
    m.chain = (struct slice){NULL, 0};
    m.count = 0;
    m.local = *local;
    m.peer = *peer;
    receive(&t, &m);
    ikev1_turn_finish(&t);
}

void ikev1_heard(struct ikev1_turn *t, const struct ikev1_ike *ike, const struct ikev1_message *m)
{
    struct ikev1_sa *sa = t->sa;

    sa->heard_ms = t->now_ms;
    if (ike != sa->current || !ike->nat_peer ||
        (endpoint_equal(&sa->peer, &m->peer) && endpoint_equal(&sa->local, &m->local))) {
        return;
    }
    sa->peer = m->peer;
    sa->local = m->local;
    ikev1_tell_moved(t);
}
