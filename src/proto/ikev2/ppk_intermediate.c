/*
 * Post-quantum preshared keys in IKE_INTERMEDIATE (RFC 9867): decides which of those that the
 * initiator offers goes into all keys before anybody says who he is. Each is offered with a proof
 * that he has it, so that one that differs does not break the handshake.
 *
 * It goes in behind the last additional key exchange, in the same message, or in one of its own.
 */
#include "proto/ikev2/machine.h"

#include <string.h>

#define CONFIRMATION_BYTES 8
#define OFFERS_MAX 8 /* that are looked at */

static bool confirm(const struct ikev2_sa *sa, const struct ikev2_ppk *ppk,
                    uint8_t out[CONFIRMATION_BYTES])
{
    const struct ikev2_handshake *h = sa->handshake;
    uint8_t whole[PRF_OUTPUT_BYTES_MAX];
    uint8_t spis[16];

    put_u64(spis, sa->current->spi_i);
    put_u64(spis + 8, sa->current->spi_r);
    const struct slice parts[] = {ikev2_nonce_slice(&h->nonce_i), ikev2_nonce_slice(&h->nonce_r),
                                  SLICE_OF(spis)};

    if (!prf(sa->current->keys.suite.prf, secret_slice(&ppk->key), parts, ARRAY_LENGTH(parts),
             whole)) {
        return false;
    }
    memcpy(out, whole, CONFIRMATION_BYTES);
    return true;
}

bool ikev2_ppk_is_due(const struct ikev2_handshake *h, bool with_key_exchange)
{
    size_t done = h->additional_done + (with_key_exchange ? 1U : 0U);

    return h->ppk_early && !h->ppk_early_done && done == h->choice.additional_count;
}

bool ikev2_ppk_apply(struct ikev2_sa *sa, bool alone)
{
    struct ikev2_handshake *h = sa->handshake;
    struct ikev2_ike *ike = sa->current;
    struct ikev2_keys keys = {0};

    h->ppk_offering = false;
    h->ppk_early_done = true;
    if (h->ppk_chosen == NULL) {
        return true;
    }
    if (!ikev2_keys_apply_ppk(&ike->keys, &h->ppk_chosen->key, ikev2_nonce_slice(&h->nonce_i),
                              ikev2_nonce_slice(&h->nonce_r), ike->spi_i, ike->spi_r, &keys)) {
        return false;
    }
    if (alone) {
        ikev2_keys_move(&h->before, &ike->keys);
    }
    ikev2_keys_move(&ike->keys, &keys);
    return true;
}

/* ---- initiator ---- */

void ikev2_ppk_out_offer(const struct ikev2_sa *sa, struct ikev2_outgoing *o)
{
    const struct ikev2_ppk *ppk = sa->policy->ppk;
    uint8_t bytes[IKEV2_PPK_ID_BYTES_MAX + CONFIRMATION_BYTES];
    struct writer w = writer_over(bytes, sizeof(bytes));
    uint8_t confirmation[CONFIRMATION_BYTES];

    if (confirm(sa, ppk, confirmation)) {
        write_slice(&w, (struct slice){ppk->id, ppk->id_length});
        write_slice(&w, SLICE_OF(confirmation));
        ikev2_out_notify(o, IKEV2_PPK_IDENTITY_KEY, writer_written(&w));
    }
    sa->handshake->ppk_offering = true;
}

bool ikev2_ppk_read_answer(struct ikev2_sa *sa, const struct ikev2_message *m)
{
    struct ikev2_handshake *h = sa->handshake;
    const struct ikev2_ppk *ppk = sa->policy->ppk;
    const struct ikev2_notify_payload *chosen = ikev2_message_notify(m, IKEV2_PPK_IDENTITY);

    if (chosen != NULL && slice_equal(chosen->data, (struct slice){ppk->id, ppk->id_length})) {
        h->ppk_chosen = ppk;
    }
    return h->ppk_chosen != NULL || !ppk->required;
}

/* ---- responder ---- */

static bool read_offer(const struct ikev2_notify_payload *n, struct slice *id,
                       struct slice *confirmation)
{
    struct reader r = reader_over(n->data);

    if (n->type != IKEV2_PPK_IDENTITY_KEY || n->data.length <= 1 + CONFIRMATION_BYTES) {
        return false;
    }
    *id = read_bytes(&r, n->data.length - CONFIRMATION_BYTES);
    *confirmation = read_rest(&r);
    return reader_ok(&r);
}

static size_t offers_of(const struct ikev2_message *m, struct slice id[OFFERS_MAX],
                        struct slice confirmation[OFFERS_MAX])
{
    size_t count = 0;

    for (size_t i = 0; i < m->notify_count && count < OFFERS_MAX; i++) {
        count += read_offer(&m->notify[i], &id[count], &confirmation[count]);
    }
    return count;
}

bool ikev2_ppk_ask(struct ikev2_turn *t, const struct ikev2_message *m)
{
    struct ikev2_handshake *h = t->sa->handshake;
    struct slice id[OFFERS_MAX], confirmation[OFFERS_MAX];

    if (offers_of(m, id, confirmation) == 0) {
        return false;
    }
    struct ikev2_action *action = ikev2_act(t, IKEV2_ASK_PPK);

    h->ask_ppk = ikev2_question(t->sa);
    h->ask_deadline_ms = ikev2_after(t->now_ms, IKEV2_ASK_MS);
    h->ppk_offering = true;
    action->ppk.id = h->ask_ppk;
    action->ppk.count = offers_of(m, action->ppk.names, confirmation);
    return true;
}

_Static_assert(OFFERS_MAX == IKEV2_PPK_NAMES_MAX, "all that are looked at are asked about");

static bool is_confirmed(const struct ikev2_sa *sa, struct slice confirmation,
                         const struct ikev2_ppk *ppk)
{
    uint8_t expected[CONFIRMATION_BYTES];

    return confirm(sa, ppk, expected) &&
           equal_in_constant_time(expected, confirmation.data, CONFIRMATION_BYTES);
}

/* Copied: whoever answered may forget it before IKE_AUTH shows whose it is. */
static bool choose(struct ikev2_handshake *h, const struct ikev2_ppk *ppk)
{
    struct ikev2_ppk *copy = ikev2_block_new(sizeof(*copy));

    if (copy == NULL) {
        return false;
    }
    *copy = *ppk;
    copy->key = (struct secret){0};
    h->ppk_copy = copy;
    h->ppk_chosen = copy;
    return secret_copy(&copy->key, &ppk->key);
}

bool ikev2_ppk_answered(struct ikev2_sa *sa, const struct ikev2_message *m,
                        const struct ikev2_ppk *const *known, size_t count)
{
    struct ikev2_handshake *h = sa->handshake;
    struct slice id[OFFERS_MAX], confirmation[OFFERS_MAX];
    size_t offers = offers_of(m, id, confirmation);

    for (size_t i = 0; i < offers; i++) {
        for (size_t k = 0; k < count; k++) {
            if (!slice_equal(id[i], (struct slice){known[k]->id, known[k]->id_length})) {
                continue;
            }
            if (is_confirmed(sa, confirmation[i], known[k])) {
                return choose(h, known[k]);
            }
            h->ppk_differs = true;
        }
    }
    /* What a peer who is not let in without one is told to have: the first. */
    return offers == 0 || ikev2_block_copy(id[0], &h->ppk_offered);
}
