/*
 * Quick crash detection (RFC 6290): makes tokens, keeps the peer's, and decides whether what comes
 * in clear proves that he knows the IKE SA no more. The peer's token is kept as a hash of it, for
 * the current IKE SA alone; ours is told in IKE_AUTH and again for each IKE SA that replaces it.
 */
#include "proto/ikev2/crash.h"

#include <string.h>

#include "proto/ikev2/machine.h"

#define TOKEN_LEAST 16 /* RFC 6290 5 */
#define TOKEN_MOST 128
#define TOKENS_LOOKED_AT 4 /* RFC 6290 4.5 */

bool ikev2_crash_token(const uint8_t secret[IKEV2_CRASH_SECRET_BYTES], bool initiator,
                       uint64_t spi_i, uint64_t spi_r, uint8_t out[IKEV2_CRASH_TOKEN_BYTES])
{
    uint8_t spis[17], mac[32];
    const struct slice parts[] = {SLICE_OF(spis)};

    put_u64(spis, spi_i);
    put_u64(spis + 8, spi_r);
    spis[16] = initiator;
    bool ok = prf(PRF_HMAC_SHA2_256, (struct slice){secret, IKEV2_CRASH_SECRET_BYTES}, parts,
                  ARRAY_LENGTH(parts), mac);

    memcpy(out, mac, IKEV2_CRASH_TOKEN_BYTES);
    return ok;
}

void ikev2_sa_make_tokens(struct ikev2_sa *sa, const uint8_t *secret)
{
    struct ikev2_extra *extra = ikev2_extra(sa);

    /* Without memory the peer finds out as he would without. */
    if (extra != NULL) {
        extra->crash_secret = secret;
    }
}

void ikev2_crash_out(const struct ikev2_sa *sa, const struct ikev2_ike *ike,
                     struct ikev2_outgoing *o)
{
    const struct ikev2_extra *extra = sa->extra;
    uint8_t token[IKEV2_CRASH_TOKEN_BYTES];

    if (extra == NULL || extra->crash_secret == NULL ||
        !ikev2_crash_token(extra->crash_secret, ike->initiator, ike->spi_i, ike->spi_r, token)) {
        return;
    }
    const struct ikev2_notify_payload n = {
        .protocol = PROTOCOL_IKE,
        .type = IKEV2_QCD_TOKEN,
        .data = SLICE_OF(token),
    };

    ikev2_begin_payload(&o->chain, IKEV2_NOTIFY, false);
    ikev2_write_notify(&o->w, &n);
    ikev2_end_payload(&o->chain);
}

static bool hash_token(const struct ikev2_notify_payload *n, uint8_t out[32])
{
    if (n->data.length < TOKEN_LEAST || n->data.length > TOKEN_MOST) {
        return false;
    }
    sha256(&n->data, 1, out);
    return true;
}

void ikev2_crash_read(struct ikev2_sa *sa, const struct ikev2_ike *ike,
                      const struct ikev2_message *m)
{
    const struct ikev2_notify_payload *n = ikev2_message_notify(m, IKEV2_QCD_TOKEN);
    uint8_t hash[32];

    if (n == NULL || ike != sa->current || !hash_token(n, hash)) {
        return;
    }
    struct ikev2_extra *extra = ikev2_extra(sa);

    if (extra != NULL) {
        extra->crash_spi = ikev2_ike_own_spi(ike);
        memcpy(extra->crash_hash, hash, sizeof(hash));
    }
}

void ikev2_crash_read_next(struct ikev2_sa *sa, const struct ikev2_message *m)
{
    const struct ikev2_notify_payload *n = ikev2_message_notify(m, IKEV2_QCD_TOKEN);
    uint8_t hash[32];

    if (n == NULL || !hash_token(n, hash)) {
        return;
    }
    struct ikev2_extra *extra = ikev2_extra(sa);

    if (extra != NULL) {
        extra->crash_has_next = true;
        memcpy(extra->crash_next_hash, hash, sizeof(hash));
    }
}

/* RFC 6290 4.3: who answered a rekeying has told his token with the answer, who asked for it does
 * so in an exchange of its own. */
void ikev2_crash_rekeyed(struct ikev2_sa *sa, const struct ikev2_ike *ike)
{
    struct ikev2_extra *extra = sa->extra;

    if (extra == NULL) {
        return;
    }
    extra->crash_due = ike->initiator && extra->crash_secret != NULL;
    if (ike->initiator && extra->crash_has_next) {
        extra->crash_spi = ikev2_ike_own_spi(ike);
        memcpy(extra->crash_hash, extra->crash_next_hash, sizeof(extra->crash_hash));
    }
    extra->crash_has_next = false;
}

void ikev2_crash_out_due(struct ikev2_sa *sa, const struct ikev2_ike *ike, struct ikev2_outgoing *o)
{
    if (ike == sa->current && ikev2_crash_is_due(sa)) {
        sa->extra->crash_due = false;
        ikev2_crash_out(sa, ike, o);
    }
}

bool ikev2_crash_is_due(const struct ikev2_sa *sa)
{
    return sa->extra != NULL && sa->extra->crash_due;
}

static bool matches(const struct ikev2_extra *extra, struct slice message)
{
    struct reader r = reader_over(message);
    struct ikev2_payload payload;
    struct ikev2_header header;
    bool same = false;

    if (!ikev2_read_header(&r, &header)) {
        return false;
    }
    uint8_t next = header.next_payload;

    for (size_t i = 0; i < 1 + TOKENS_LOOKED_AT && ikev2_read_payload(&r, &next, &payload); i++) {
        struct ikev2_notify_payload n;
        uint8_t hash[32];

        if (payload.type == IKEV2_NOTIFY && ikev2_read_notify(payload.body, &n) &&
            n.type == IKEV2_QCD_TOKEN && hash_token(&n, hash)) {
            same = equal_in_constant_time(hash, extra->crash_hash, sizeof(hash)) || same;
        }
    }
    return same;
}

bool ikev2_sa_hear_crash(struct ikev2_sa *sa, struct slice message, uint64_t now_ms,
                         struct ikev2_actions *actions)
{
    const struct ikev2_extra *extra = sa->extra;

    if (sa->state != IKEV2_STATE_UP || extra == NULL || extra->crash_spi == 0 ||
        extra->crash_spi != ikev2_ike_own_spi(sa->current) || !matches(extra, message)) {
        return false;
    }
    struct ikev2_turn t = ikev2_turn_begin(sa, now_ms, actions);

    /* RFC 6290 4.5: silently. */
    ikev2_over_for(&t, IKEV2_FAIL_PEER_RESTARTED, IKEV2_INFORMATIONAL, IKEV2_INVALID_IKE_SPI, "");
    return true;
}

bool ikev2_sa_is_denied(const struct ikev2_sa *sa, struct slice message)
{
    const struct ikev2_ike *ike = sa->current;
    struct reader r = reader_over(message);
    struct ikev2_payload payload;
    struct ikev2_notify_payload n;
    struct ikev2_header header;

    if (sa->state != IKEV2_STATE_UP || ike->request == NULL || !ikev2_read_header(&r, &header) ||
        (header.flags & IKEV2_FLAG_RESPONSE) == 0 || header.spi_i != ike->spi_i ||
        header.spi_r != ike->spi_r || header.message_id != ike->request_id ||
        header.exchange != ike->request_exchange) {
        return false;
    }
    uint8_t next = header.next_payload;

    return ikev2_read_payload(&r, &next, &payload) && payload.type == IKEV2_NOTIFY &&
           ikev2_read_notify(payload.body, &n) && n.type == IKEV2_INVALID_IKE_SPI;
}

void ikev2_sa_hurry(struct ikev2_sa *sa, uint64_t now_ms, struct ikev2_actions *actions)
{
    struct ikev2_turn t = ikev2_turn_begin(sa, now_ms, actions);
    struct ikev2_ike *ike = sa->current;

    if (sa->state == IKEV2_STATE_NEW || sa->state == IKEV2_STATE_OVER || ike == NULL ||
        ike->request == NULL || sa->peer.tcp || sa->policy == NULL) {
        return;
    }
    uint64_t soon_ms = sa->policy->retransmit_first_ms + sa->policy->retransmit_first_ms / 2;

    if (ike->retransmit.deadline_ms > ikev2_after(now_ms, soon_ms)) {
        ikev2_request_again(&t, ike, false);
    }
}
