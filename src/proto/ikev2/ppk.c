/*
 * Post-quantum preshared keys (RFC 8784): decides whether one goes into SK_d, SK_pi and SK_pr. The
 * initiator names his in IKE_AUTH; where both sides can do without it, he proves himself in both
 * ways, and the responder takes the one that he can check.
 *
 * A PPK goes in once, before IKE_AUTH. What replaces this IKE SA inherits it through SK_d (3). One
 * that went in with IKE_INTERMEDIATE already (ppk_intermediate.c) is only held against the peer.
 */
#include "proto/ikev2/machine.h"

#include <string.h>

/* Octets that people can read as they are, anything else in hexadecimal digits. */
static void describe_id(struct slice id, char *out, size_t capacity)
{
    struct text text = text_over(out, capacity);
    bool readable = id.length > 1;

    for (size_t i = 1; i < id.length; i++) {
        readable = readable && id.data[i] > ' ' && id.data[i] < 0x7f;
    }
    if (id.length == 0) {
        return;
    }
    if (readable) {
        text_add_escaped(&text, (struct slice){id.data + 1, id.length - 1});
    } else {
        text_add(&text, "0x");
        for (size_t i = 1; i < id.length && !text.cut; i++) {
            text_addf(&text, "%02x", id.data[i]);
        }
    }
    if (id.data[0] == IKEV2_PPK_ID_OPAQUE) {
        text_add(&text, " (opaque)");
    } else if (id.data[0] != IKEV2_PPK_ID_FIXED) {
        text_addf(&text, " (type %u)", id.data[0]);
    }
}

static struct slice id_of(const struct ikev2_ppk *ppk)
{
    return (struct slice){ppk->id, ppk->id_length};
}

void ikev2_ppk_failure(const struct ikev2_ppk *ppk, enum ikev2_failure_reason reason,
                       uint8_t exchange, struct slice named, struct ikev2_failure *failure)
{
    bool refused = exchange == IKEV2_IKE_AUTH && reason != IKEV2_FAIL_PPK_MISSING;

    ikev2_failure_set(failure, reason, exchange, refused ? IKEV2_AUTHENTICATION_FAILED : 0, "");
    if (ppk != NULL) {
        describe_id(id_of(ppk), failure->ours, sizeof(failure->ours));
    }
    describe_id(named, failure->theirs, sizeof(failure->theirs));
}

struct slice ikev2_ppk_named(const struct ikev2_handshake *h, const struct ikev2_message *m)
{
    const struct ikev2_notify_payload *n = ikev2_message_notify(m, IKEV2_PPK_IDENTITY);

    return h->ppk_chosen != NULL ? id_of(h->ppk_chosen)
           : h->ppk_early        ? h->ppk_offered
           : n != NULL           ? n->data
                                 : (struct slice){NULL, 0};
}

static bool mix(struct ikev2_sa *sa, const struct ikev2_ppk *ppk)
{
    struct ikev2_handshake *h = sa->handshake;

    h->ppk_mixed = ikev2_keys_mix_ppk(&sa->current->keys, &ppk->key, &h->plain);
    return h->ppk_mixed;
}

/* ---- initiator ---- */

bool ikev2_ppk_begin(struct ikev2_sa *sa)
{
    const struct ikev2_handshake *h = sa->handshake;

    return !h->ppk_agreed || h->resume != NULL || mix(sa, sa->policy->ppk);
}

bool ikev2_ppk_needs_plain(const struct ikev2_sa *sa)
{
    return sa->initiator && sa->handshake->ppk_mixed && !sa->policy->ppk->required;
}

void ikev2_ppk_out_request(const struct ikev2_sa *sa, struct slice plain_auth,
                           struct ikev2_outgoing *o)
{
    if (sa->handshake->ppk_mixed) {
        ikev2_out_notify(o, IKEV2_PPK_IDENTITY, id_of(sa->policy->ppk));
    }
    if (plain_auth.length > 0) {
        ikev2_out_notify(o, IKEV2_NO_PPK_AUTH, plain_auth);
    }
}

bool ikev2_ppk_read_response(struct ikev2_sa *sa, const struct ikev2_message *m,
                             struct ikev2_failure *failure)
{
    struct ikev2_handshake *h = sa->handshake;
    const struct ikev2_ppk *ppk = sa->policy->ppk;

    if (!h->ppk_mixed || ikev2_message_notify(m, IKEV2_PPK_IDENTITY) != NULL) {
        return true;
    }
    if (ppk->required) {
        ikev2_ppk_failure(ppk, IKEV2_FAIL_PPK_MISSING, IKEV2_IKE_AUTH, (struct slice){NULL, 0},
                          failure);
        return false;
    }
    h->ppk_mixed = false;
    ikev2_keys_unmix_ppk(&sa->current->keys, &h->plain);
    return true;
}

/* ---- responder ---- */

/* RFC 9867: it is in the keys already, or it was not among those that are known. */
static void hold_against(struct ikev2_handshake *h, const struct ikev2_ppk *ppk)
{
    if (h->ppk_chosen != NULL) {
        bool his = ppk != NULL && slice_equal(id_of(ppk), id_of(h->ppk_chosen)) &&
                   secret_equal(&ppk->key, &h->ppk_chosen->key);

        h->ppk_wrong = his ? IKEV2_FAIL_NONE : IKEV2_FAIL_PPK_UNKNOWN;
    } else if (ppk != NULL && !h->ppk_differs && slice_equal(h->ppk_offered, id_of(ppk))) {
        /* It was not known yet when it was offered: the next time it is. */
        h->ppk_wrong = IKEV2_FAIL_PPK_UNKNOWN;
    } else if (ppk != NULL && ppk->required) {
        h->ppk_wrong = h->ppk_offered.length == 0 ? IKEV2_FAIL_PPK_MISSING
                       : h->ppk_differs           ? IKEV2_FAIL_PPK_DIFFERS
                                                  : IKEV2_FAIL_PPK_UNKNOWN;
    }
}

/* Table 1 of section 3; whom it lets go on without a PPK must still be who he says. */
bool ikev2_ppk_choose(struct ikev2_sa *sa, const struct ikev2_policy *policy,
                      const struct ikev2_message *m)
{
    struct ikev2_handshake *h = sa->handshake;
    const struct ikev2_ppk *ppk = policy == NULL ? NULL : policy->ppk;
    bool required = ppk != NULL && ppk->required;
    const struct ikev2_notify_payload *named = ikev2_message_notify(m, IKEV2_PPK_IDENTITY);

    if (h->ppk_early) {
        hold_against(h, ppk);
        return true;
    }
    if (!h->ppk_agreed) {
        h->ppk_wrong = required ? IKEV2_FAIL_PPK_MISSING : IKEV2_FAIL_NONE;
        return true;
    }
    if (named == NULL) {
        h->ppk_wrong = IKEV2_FAIL_PPK_MISSING;
        return true;
    }
    if (ppk != NULL && slice_equal(named->data, id_of(ppk))) {
        return mix(sa, ppk);
    }
    h->ppk_auth_plain = ikev2_message_notify(m, IKEV2_NO_PPK_AUTH) != NULL;
    h->ppk_wrong = required || !h->ppk_auth_plain ? IKEV2_FAIL_PPK_UNKNOWN : IKEV2_FAIL_NONE;
    return true;
}

void ikev2_ppk_take_auth(const struct ikev2_handshake *h, const struct ikev2_message *m,
                         struct ikev2_auth_payload *auth)
{
    if (h->ppk_auth_plain) {
        auth->data = ikev2_message_notify(m, IKEV2_NO_PPK_AUTH)->data;
    }
}

bool ikev2_ppk_is_checked(const struct ikev2_handshake *h, const struct ikev2_message *m)
{
    return !h->ppk_agreed || h->ppk_auth_plain ||
           ikev2_message_notify(m, IKEV2_PPK_IDENTITY) == NULL;
}
