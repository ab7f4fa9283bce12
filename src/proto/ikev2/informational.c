/*
 * INFORMATIONAL (RFC 7296 1.4, 1.4.1, 2.4, 2.21.2): deletes, liveness, and errors of a peer that
 * cannot go on.
 */
#include "proto/ikev2/machine.h"

#include <assert.h>

#include "proto/ikev2/sk.h"

/* ---- by us ---- */

static void begin(struct ikev2_turn *t, struct ikev2_ike *ike, enum ikev2_work_kind kind,
                  uint8_t protocol, uint32_t spi_in)
{
    struct ikev2_work *work = ikev2_work_new(kind, true);
    struct ikev2_outgoing o NOT_ZEROED;

    if (work == NULL) {
        ikev2_over_for(t, IKEV2_FAIL_RESOURCES, IKEV2_INFORMATIONAL, 0, "no memory");
        return;
    }
    work->old_spi_in = spi_in;
    ike->asking = work;
    ikev2_out_begin(&o);
    if (kind == IKEV2_WORK_DELETE_CHILD) {
        ikev2_out_delete_children(&o, protocol, &spi_in, 1);
    } else if (kind == IKEV2_WORK_DELETE_IKE) {
        ikev2_out_delete_ike(&o);
    } else if (kind == IKEV2_WORK_LIVENESS) {
        ikev2_mobile_out_liveness(t->sa, ike, &o);
        ikev2_crash_out_due(t->sa, ike, &o);
        ikev2_redirect_out_due(t->sa, ike, &o);
    }
    ikev2_send_request(t, ike, IKEV2_INFORMATIONAL, &o);
}

void ikev2_informational_begin(struct ikev2_turn *t, struct ikev2_ike *ike,
                               enum ikev2_work_kind kind, uint32_t spi_in)
{
    struct ikev2_child *child = spi_in != 0 ? ikev2_child_by_spi_in(t->sa, spi_in) : NULL;

    if (child != NULL) {
        child->delete_sent = true;
    }
    begin(t, ike, kind, child != NULL ? child->protocol : PROTOCOL_ESP, spi_in);
}

void ikev2_informational_disown(struct ikev2_turn *t, struct ikev2_ike *ike, uint8_t protocol,
                                uint32_t spi_in)
{
    begin(t, ike, IKEV2_WORK_DELETE_CHILD, protocol, spi_in);
}

/* RFC 8899 4.1, 5.1: a probe is a packet of the wanted size that nobody may cut, and nothing is
 * lost with it: what is sent again is the same message (RFC 7296 2.1), which may then be cut. A
 * cipher with blocks reaches the size to the block below. */
void ikev2_informational_probe(struct ikev2_turn *t, struct ikev2_ike *ike, uint16_t packet_bytes)
{
    static const uint8_t zeros[IKEV2_PROBE_BYTES_MAX];
    const size_t heads = 8; /* of the payload and of the notify */
    const struct ikev2_sa *sa = t->sa;
    struct ikev2_work *work = ikev2_work_new(IKEV2_WORK_PROBE, true);
    struct ikev2_outgoing o NOT_ZEROED;

    if (work == NULL) {
        ikev2_over_for(t, IKEV2_FAIL_RESOURCES, IKEV2_INFORMATIONAL, 0, "no memory");
        return;
    }
    size_t message =
        fragments_message_bytes(packet_bytes, sa->peer.address.family, sa->peer.port != IKEV2_PORT);
    size_t room = ikev2_sk_room(&ike->keys.suite, message, false);

    assert(room > heads && room - heads <= sizeof(zeros));
    ike->asking = work;
    work->probe_bytes =
        (uint16_t)(packet_bytes - message + ikev2_sk_message_bytes(&ike->keys.suite, room, false));
    ikev2_out_begin(&o);
    o.probe = true;
    ikev2_out_notify(&o, IKEV2_PATH_PROBE, (struct slice){zeros, room - heads});
    ikev2_send_request(t, ike, IKEV2_INFORMATIONAL, &o);
}

void ikev2_informational_response(struct ikev2_turn *t, struct ikev2_ike *ike,
                                  const struct ikev2_message *m)
{
    struct ikev2_work *work = ike->asking;
    enum ikev2_work_kind kind = work->kind;
    struct ikev2_child *child =
        work->old_spi_in != 0 ? ikev2_child_by_spi_in(t->sa, work->old_spi_in) : NULL;

    work->answered = true;
    work->probe_passed = ike->retransmit.again == 0;
    ikev2_work_end(t, &ike->asking);
    if (kind == IKEV2_WORK_DELETE_CHILD && child != NULL && child->phase == IKEV2_CHILD_CLOSING) {
        ikev2_child_end(t, child);
    }
    if (kind == IKEV2_WORK_LIVENESS) {
        ikev2_mobile_alive(t, ike, m);
    }
    if (kind == IKEV2_WORK_DELETE_IKE) {
        ikev2_ike_forget(t, ike);
    }
}

/* ---- by the peer ---- */

/* RFC 7296 2.8: whoever deletes the old child has the new one. */
static void use_successor(struct ikev2_turn *t, const struct ikev2_child *old)
{
    for (struct ikev2_child *child = t->sa->children; child != NULL; child = child->next) {
        if (child->replaces_spi_in == old->spi_in && child->phase == IKEV2_CHILD_UP) {
            ikev2_child_use(t, child);
            return;
        }
    }
}

/* RFC 7296 1.4.1, 2.25.1. True when the response names our half, in *spi_in. */
static bool child_deleted(struct ikev2_turn *t, uint8_t protocol, uint32_t spi_out,
                          uint32_t *spi_in)
{
    struct ikev2_child *child = ikev2_child_by_spi_out(t->sa, protocol, spi_out);

    if (child == NULL) {
        return false;
    }
    /* Both sides delete it at once: each has told the other already. */
    bool crossed = child->phase == IKEV2_CHILD_CLOSING && child->delete_sent;

    *spi_in = child->spi_in;
    use_successor(t, child);
    if (!child->has_successor && t->sa->current->asking != NULL &&
        t->sa->current->asking->collided && t->sa->current->asking->old_spi_in == child->spi_in) {
        child->has_successor = true;
    }
    ikev2_child_end(t, child);
    return !crossed;
}

/* What a request deletes, as the response has to say it: our halves, by protocol. */
struct deleted {
    bool whole; /* the IKE SA */
    struct halves {
        size_t count;
        uint32_t spis[IKEV2_CHILDREN_MAX];
    } esp, ah;
};

static void delete_children(struct ikev2_turn *t, const struct ikev2_delete_payload *d,
                            struct halves *out)
{
    struct reader r = reader_over(d->spis);

    while (d->spi_bytes == 4 && reader_left(&r) >= 4) {
        uint32_t spi_in;

        if (child_deleted(t, d->protocol, read_u32(&r), &spi_in) &&
            out->count < IKEV2_CHILDREN_MAX) {
            out->spis[out->count++] = spi_in;
        }
    }
}

static bool read_deletes(struct ikev2_turn *t, const struct ikev2_message *m, struct deleted *out)
{
    *out = (struct deleted){0};
    for (size_t i = 0; i < m->delete_count; i++) {
        struct ikev2_delete_payload d;

        if (!ikev2_read_delete(m->deletes[i], &d)) {
            return false;
        }
        if (d.protocol == PROTOCOL_IKE) {
            out->whole = true;
        } else if (d.protocol == PROTOCOL_ESP) {
            delete_children(t, &d, &out->esp);
        } else if (d.protocol == PROTOCOL_AH) {
            delete_children(t, &d, &out->ah);
        }
    }
    return true;
}

void ikev2_informational_request(struct ikev2_turn *t, struct ikev2_ike *ike,
                                 const struct ikev2_message *m)
{
    struct ikev2_outgoing o NOT_ZEROED;
    struct deleted deleted;
    const struct ikev2_notify_payload *refused =
        ikev2_message_notify(m, IKEV2_AUTHENTICATION_FAILED);
    const struct ikev2_notify_payload *malformed = ikev2_message_notify(m, IKEV2_INVALID_SYNTAX);

    if (!read_deletes(t, m, &deleted)) {
        ikev2_send_notify(t, ike, IKEV2_INVALID_SYNTAX, (struct slice){NULL, 0});
        ikev2_over_for(t, IKEV2_FAIL_SYNTAX, IKEV2_INFORMATIONAL, IKEV2_INVALID_SYNTAX,
                       "a malformed Delete");
        return;
    }
    ikev2_out_begin(&o);
    /* RFC 7296 3.11: one payload for each protocol. */
    if (deleted.esp.count > 0 && !deleted.whole) {
        ikev2_out_delete_children(&o, PROTOCOL_ESP, deleted.esp.spis, deleted.esp.count);
    }
    if (deleted.ah.count > 0 && !deleted.whole) {
        ikev2_out_delete_children(&o, PROTOCOL_AH, deleted.ah.spis, deleted.ah.count);
    }
    ikev2_mobile_request(t, ike, m, &o);
    if (!ikev2_send_response(t, ike, &o)) {
        return;
    }
    ikev2_reauthenticate_read(t, m);
    ikev2_crash_read(t->sa, ike, m);
    ikev2_redirect_informational(t, m);
    if (deleted.whole) {
        ikev2_rekey_deleted(t, ike);
    } else if (refused != NULL) {
        /* RFC 7296 2.21.2: the initiator found our AUTH wrong. */
        ikev2_over_for(t, IKEV2_FAIL_AUTH_REFUSED, IKEV2_INFORMATIONAL, IKEV2_AUTHENTICATION_FAILED,
                       "");
    } else if (malformed != NULL) {
        ikev2_over_for(t, IKEV2_FAIL_PEER_ERROR, IKEV2_INFORMATIONAL, IKEV2_INVALID_SYNTAX, "");
    }
}
