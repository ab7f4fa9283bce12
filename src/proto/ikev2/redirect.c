/*
 * Redirect (RFC 5685): decides whether a word about another gateway may be believed, and tells it.
 * Where to go, and whether at all, is the gateway's business: what is expected of a peer and what
 * goes to him stays as it was (RFC 5685 3).
 */
#include "proto/ikev2/machine.h"

#include <string.h>

/* Who was sent elsewhere repeats his question for so long, if he has not heard it. */
#define REDIRECTED_MS 10000

/* ---- words ---- */

static bool is_sane(const struct ikev2_redirect *to)
{
    switch (to->type) {
    case IKEV2_REDIRECT_IPV4:
        return to->length == 4;
    case IKEV2_REDIRECT_IPV6:
        return to->length == 16;
    case IKEV2_REDIRECT_NAME:
        break;
    default:
        return false;
    }
    for (size_t i = 0; i < to->length; i++) {
        uint8_t c = to->data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

        if (!letter && c != '.' && c != '-') {
            return false;
        }
    }
    return to->length > 0;
}

/* `nonce`: what must stand behind it (RFC 5685 9.2); empty for none. */
static bool read_redirect(const struct ikev2_notify_payload *n, struct slice nonce,
                          struct ikev2_redirect *out)
{
    struct reader r = reader_over(n->data);

    *out = (struct ikev2_redirect){0};
    out->type = read_u8(&r);
    out->length = read_u8(&r);
    struct slice data = read_bytes(&r, out->length);
    struct slice rest = read_rest(&r);

    if (!reader_ok(&r) || data.length != out->length || !slice_equal(rest, nonce)) {
        return false;
    }
    if (data.length > 0) {
        memcpy(out->data, data.data, data.length);
    }
    return is_sane(out);
}

static struct slice write_redirect(struct writer *w, const struct ikev2_redirect *to,
                                   struct slice nonce)
{
    write_u8(w, to->type);
    write_u8(w, to->length);
    write_slice(w, (struct slice){to->data, to->length});
    write_slice(w, nonce);
    return writer_written(w);
}

void ikev2_redirect_of_address(const struct address *address, struct ikev2_redirect *out)
{
    *out = (struct ikev2_redirect){
        .type = address->family == FAMILY_IPV4 ? IKEV2_REDIRECT_IPV4 : IKEV2_REDIRECT_IPV6,
        .length = (uint8_t)address_bytes(address->family),
    };
    memcpy(out->data, address->bytes, out->length);
}

bool ikev2_redirect_of_name(const char *name, struct ikev2_redirect *out)
{
    size_t length = strlen(name);

    *out = (struct ikev2_redirect){.type = IKEV2_REDIRECT_NAME, .length = (uint8_t)length};
    if (length > sizeof(out->data)) {
        return false;
    }
    memcpy(out->data, name, length);
    return is_sane(out);
}

void ikev2_redirect_describe(const struct ikev2_redirect *to, struct text *out)
{
    char address[ADDRESS_TEXT_BYTES];
    struct address a = ikev2_redirect_address(to);

    if (to->type == IKEV2_REDIRECT_NAME) {
        text_add_escaped(out, (struct slice){to->data, to->length});
    } else {
        text_add(out, address_format(&a, address));
    }
}

struct address ikev2_redirect_address(const struct ikev2_redirect *to)
{
    struct address address = {0};

    if (to->type == IKEV2_REDIRECT_IPV4 || to->type == IKEV2_REDIRECT_IPV6) {
        address.family = to->type == IKEV2_REDIRECT_IPV4 ? FAMILY_IPV4 : FAMILY_IPV6;
        memcpy(address.bytes, to->data, to->length);
    }
    return address;
}

static void tell(struct ikev2_turn *t, const struct ikev2_redirect *to)
{
    ikev2_act(t, IKEV2_TELL_REDIRECT)->redirect = *to;
}

/* ---- initiator ---- */

void ikev2_sa_redirected_from(struct ikev2_sa *sa, const struct address *from)
{
    sa->handshake->redirected_from = *from;
}

/* RFC 5685 3, 9.1, 9.3. The data of the notify is written; 0: there is none. */
uint16_t ikev2_redirect_supported(const struct ikev2_sa *sa, struct writer *w)
{
    const struct address *from = &sa->handshake->redirected_from;
    struct ikev2_redirect by;

    if (sa->policy->follow == IKEV2_FOLLOW_NEVER) {
        return 0;
    }
    if (address_is_unset(from)) {
        return IKEV2_REDIRECT_SUPPORTED;
    }
    ikev2_redirect_of_address(from, &by);
    (void)write_redirect(w, &by, (struct slice){NULL, 0});
    return IKEV2_REDIRECTED_FROM;
}

enum ikev2_redirect_verdict ikev2_redirect_init(struct ikev2_turn *t, const struct ikev2_message *m,
                                                struct ikev2_failure *failure)
{
    const struct ikev2_sa *sa = t->sa;
    const struct ikev2_notify_payload *n = ikev2_message_notify(m, IKEV2_REDIRECT);
    struct ikev2_redirect to;

    if (n == NULL) {
        return IKEV2_REDIRECT_NONE;
    }
    /* RFC 5685 3: who knows the nonce has seen our request; of all others nothing is said. */
    if (sa->policy->follow == IKEV2_FOLLOW_NEVER ||
        !read_redirect(n, ikev2_nonce_slice(&sa->handshake->nonce_i), &to)) {
        return IKEV2_REDIRECT_IGNORED;
    }
    if (sa->policy->follow == IKEV2_FOLLOW_PROVEN) {
        struct text theirs = text_over(failure->theirs, sizeof(failure->theirs));

        ikev2_failure_set(failure, IKEV2_FAIL_REDIRECT_UNPROVEN, IKEV2_IKE_SA_INIT, IKEV2_REDIRECT,
                          "");
        ikev2_redirect_describe(&to, &theirs);
        return IKEV2_REDIRECT_REFUSED;
    }
    tell(t, &to);
    ikev2_over_for(t, IKEV2_FAIL_REDIRECTED, IKEV2_IKE_SA_INIT, IKEV2_REDIRECT, "");
    return IKEV2_REDIRECT_FOLLOWED;
}

/* RFC 5685 6: he is who he must be; the IKE SA is deleted. */
bool ikev2_redirect_auth(struct ikev2_turn *t, const struct ikev2_message *m)
{
    struct ikev2_sa *sa = t->sa;
    const struct ikev2_notify_payload *n = ikev2_message_notify(m, IKEV2_REDIRECT);
    struct ikev2_outgoing o NOT_ZEROED;
    struct ikev2_redirect to;

    if (n == NULL || sa->policy->follow == IKEV2_FOLLOW_NEVER ||
        !read_redirect(n, (struct slice){NULL, 0}, &to)) {
        return false;
    }
    tell(t, &to);
    ikev2_out_begin(&o);
    ikev2_out_delete_ike(&o);
    (void)ikev2_send_request(t, sa->current, IKEV2_INFORMATIONAL, &o);
    ikev2_over_for(t, IKEV2_FAIL_REDIRECTED, IKEV2_IKE_AUTH, IKEV2_REDIRECT, "");
    return true;
}

/* RFC 5685 5; 10: only who was called sends away who called. */
void ikev2_redirect_informational(struct ikev2_turn *t, const struct ikev2_message *m)
{
    const struct ikev2_notify_payload *n = ikev2_message_notify(m, IKEV2_REDIRECT);
    struct ikev2_redirect to;

    if (n != NULL && t->sa->initiator && t->sa->state == IKEV2_STATE_UP &&
        t->sa->policy->follow != IKEV2_FOLLOW_NEVER &&
        read_redirect(n, (struct slice){NULL, 0}, &to)) {
        tell(t, &to);
    }
}

/* ---- responder ---- */

/* What the first message says about it. One who was sent here already is not sent away again, or
 * two gateways could do so for ever. */
void ikev2_redirect_hear(struct ikev2_sa *sa, const struct ikev2_message *m)
{
    sa->handshake->was_redirected = ikev2_message_notify(m, IKEV2_REDIRECTED_FROM) != NULL;
    sa->peer_redirects =
        sa->handshake->was_redirected || ikev2_message_notify(m, IKEV2_REDIRECT_SUPPORTED) != NULL;
}

size_t ikev2_redirect_at_once(const struct ikev2_sa *sa, uint8_t out[IKEV2_REDIRECT_BYTES_MAX])
{
    struct writer w = writer_over(out, IKEV2_REDIRECT_BYTES_MAX);
    const struct ikev2_redirect *to = sa->responder->redirect;

    if (to == NULL || !sa->peer_redirects || sa->handshake->was_redirected) {
        return 0;
    }
    return write_redirect(&w, to, ikev2_nonce_slice(&sa->handshake->nonce_i)).length;
}

static void out_redirect(struct ikev2_outgoing *o, const struct ikev2_redirect *to)
{
    uint8_t bytes[IKEV2_REDIRECT_BYTES_MAX];
    struct writer w = writer_over(bytes, sizeof(bytes));

    ikev2_out_notify(o, IKEV2_REDIRECT, write_redirect(&w, to, (struct slice){NULL, 0}));
}

static struct ikev2_redirect *kept(const struct ikev2_redirect *to)
{
    struct ikev2_redirect *copy = ikev2_block_new(sizeof(*copy));

    if (copy != NULL) {
        *copy = *to;
    }
    return copy;
}

/* Without memory he stays. */
void ikev2_sa_set_redirect(struct ikev2_sa *sa, const struct ikev2_redirect *to)
{
    if (sa->handshake != NULL) {
        ikev2_block_bury(sa, sa->handshake->redirect);
        sa->handshake->redirect = kept(to);
    }
}

/* He proved who he is. There is no child; what is left answers him once more should he not have
 * heard it, until he deletes it. */
bool ikev2_redirect_respond(struct ikev2_turn *t, struct ikev2_ike *ike, struct ikev2_outgoing *o)
{
    struct ikev2_sa *sa = t->sa;
    struct ikev2_handshake *h = sa->handshake;

    if (h->redirect == NULL || !sa->peer_redirects || h->was_redirected) {
        return false;
    }
    out_redirect(o, h->redirect);
    if (ikev2_send_response(t, ike, o)) {
        tell(t, h->redirect);
        ikev2_work_end(t, &h->child);
        h->redirected = true;
        h->deadline_ms = ikev2_after(t->now_ms, REDIRECTED_MS);
        h->ask_deadline_ms = NEVER_MS;
        sa->state = IKEV2_STATE_HALF_OPEN;
    }
    return true;
}

void ikev2_redirect_gone(struct ikev2_turn *t, struct ikev2_ike *ike, const struct ikev2_message *m)
{
    struct ikev2_outgoing o NOT_ZEROED;

    if (m != NULL) {
        ikev2_out_begin(&o);
        (void)ikev2_send_response(t, ike, &o);
    }
    if (t->sa->state != IKEV2_STATE_OVER) {
        ikev2_over_for(t, IKEV2_FAIL_REDIRECTED, IKEV2_IKE_AUTH, IKEV2_REDIRECT, "");
    }
}

void ikev2_sa_redirect(struct ikev2_sa *sa, const struct ikev2_redirect *to, uint64_t now_ms,
                       struct ikev2_actions *actions)
{
    struct ikev2_turn t = ikev2_turn_begin(sa, now_ms, actions);
    bool can = sa->state == IKEV2_STATE_UP && !sa->initiator && sa->peer_redirects;
    struct ikev2_extra *extra = can ? ikev2_extra(sa) : NULL;

    if (extra != NULL) {
        ikev2_block_bury(sa, extra->redirect);
        extra->redirect = kept(to);
        ikev2_turn_finish(&t);
    }
}

bool ikev2_redirect_is_due(const struct ikev2_sa *sa)
{
    return sa->extra != NULL && sa->extra->redirect != NULL;
}

void ikev2_redirect_out_due(struct ikev2_sa *sa, const struct ikev2_ike *ike,
                            struct ikev2_outgoing *o)
{
    if (ike == sa->current && ikev2_redirect_is_due(sa)) {
        out_redirect(o, sa->extra->redirect);
        ikev2_block_bury(sa, sa->extra->redirect);
        sa->extra->redirect = NULL;
    }
}
