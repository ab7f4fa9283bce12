/*
 * IKE_SA_INIT (RFC 7296 1.2, 2.6, 2.7, 2.10, 2.23): decides on algorithms, keys and NATs before
 * anybody is authenticated. Nothing that arrives here is authentic, so a refusal is only believed
 * when no better answer comes for a while (2.21.1).
 */
#include "proto/ikev2/machine.h"

#include <assert.h>
#include <string.h>

#define INIT_MESSAGE_BYTES 16384
#define COOKIES_MAX 5
#define SINK_AFTER 2 /* requests sent again, about a second and a half */

/* RFC 7296 3.12. Where both sides say this, ESP goes in UDP through port 4500 as if there were a
 * NAT, which nobody claims: many packets cross the system in one call then. The first half of
 * SHA-256 of "Sekisho: ESP in UDP without a NAT, 1". */
static const uint8_t prefers_udp[16] = {
    0xcd, 0x82, 0x50, 0xca, 0xf0, 0xad, 0x98, 0x34, 0xa6, 0x3f, 0xdd, 0x8a, 0x50, 0x7d, 0x3a, 0xe9,
};

/* ---- both ---- */

struct init_message {
    struct writer w;
    struct ikev2_chain chain;
    uint8_t bytes[INIT_MESSAGE_BYTES];
};

/* The octet of the header that names the first payload. */
#define NEXT_PAYLOAD_OFFSET 16

static void init_begin(struct init_message *out, uint64_t spi_i, uint64_t spi_r, uint8_t flags)
{
    struct ikev2_header header = {
        .spi_i = spi_i,
        .spi_r = spi_r,
        .version = IKEV2_VERSION_2_0,
        .exchange = IKEV2_IKE_SA_INIT,
        .flags = flags,
    };

    out->w = writer_over(out->bytes, sizeof(out->bytes));
    ikev2_write_header(&out->w, &header);
    out->chain = ikev2_chain_over(&out->w, &out->bytes[NEXT_PAYLOAD_OFFSET]);
}

static void init_notify(struct init_message *out, uint16_t type, struct slice data)
{
    struct ikev2_notify_payload n = {.type = type, .data = data};

    ikev2_begin_payload(&out->chain, IKEV2_NOTIFY, false);
    ikev2_write_notify(&out->w, &n);
    ikev2_end_payload(&out->chain);
}

static void init_sa_ke_nonce(struct init_message *out, const struct ikev2_sa_payload *offer,
                             uint16_t group, const struct key_pair *pair,
                             const struct ikev2_nonce *nonce)
{
    struct ikev2_ke_payload ke = {
        .group = group,
        .value = {pair->public_value, pair->public_length},
    };

    ikev2_begin_payload(&out->chain, IKEV2_SA, false);
    ikev2_write_sa(&out->w, offer);
    ikev2_end_payload(&out->chain);
    ikev2_begin_payload(&out->chain, IKEV2_KE, false);
    ikev2_write_ke(&out->w, &ke);
    ikev2_end_payload(&out->chain);
    ikev2_write_payload(&out->chain, IKEV2_NONCE, ikev2_nonce_slice(nonce));
}

/* RFC 7296 2.23. A source hash that fits nothing makes the peer take us for somebody behind a NAT,
 * and encapsulate; one of ours sees that it is only asked for. */
void ikev2_init_natd_hashes(struct ikev2_sa *sa, uint64_t spi_i, uint64_t spi_r, bool force,
                            uint8_t source[NATD_HASH_BYTES], uint8_t destination[NATD_HASH_BYTES])
{
    if (force) {
        natd_asking_hash(spi_i, spi_r, &sa->local, source);
    } else {
        natd_hash(spi_i, spi_r, &sa->local, source);
    }
    natd_hash(spi_i, spi_r, &sa->peer, destination);
}

static void init_natd(struct ikev2_sa *sa, struct init_message *out, uint64_t spi_i, uint64_t spi_r,
                      bool force)
{
    uint8_t source[NATD_HASH_BYTES];
    uint8_t destination[NATD_HASH_BYTES];

    ikev2_init_natd_hashes(sa, spi_i, spi_r, force, source, destination);
    init_notify(out, IKEV2_NAT_DETECTION_SOURCE_IP, SLICE_OF(source));
    init_notify(out, IKEV2_NAT_DETECTION_DESTINATION_IP, SLICE_OF(destination));
}

void ikev2_init_read_natd(struct natd *natd, const struct ikev2_message *m,
                          const struct endpoint *local, const struct endpoint *peer)
{
    memset(natd, 0, sizeof(*natd));
    for (size_t i = 0; i < m->notify_count; i++) {
        const struct ikev2_notify_payload *n = &m->notify[i];

        if (n->type == IKEV2_NAT_DETECTION_SOURCE_IP) {
            natd_add_source(natd, n->data, m->header.spi_i, m->header.spi_r, peer);
        } else if (n->type == IKEV2_NAT_DETECTION_DESTINATION_IP) {
            natd_add_destination(natd, n->data, m->header.spi_i, m->header.spi_r, local);
        }
    }
}

void ikev2_init_take_natd(struct ikev2_sa *sa)
{
    const struct ikev2_handshake *h = sa->handshake;
    const struct natd *natd = &h->natd;

    sa->nat_supported = natd_is_supported(natd);
    sa->nat_peer = sa->nat_supported && natd_peer_is_behind(natd);
    sa->nat_local = sa->nat_supported && natd_local_is_behind(natd);
    sa->nat_asked = sa->nat_supported && natd_peer_only_asks(natd);
    sa->udp_agreed = sa->nat_supported && h->prefers_udp && h->peer_prefers_udp;
}

void ikev2_handshake_ask_key_exchange(struct ikev2_turn *t, uint16_t group,
                                      const struct key_pair *pair, struct slice peer_public)
{
    struct ikev2_handshake *h = t->sa->handshake;
    struct ikev2_action *action = ikev2_act(t, IKEV2_ASK_KEY_EXCHANGE);

    h->ask_key_exchange = ikev2_question(t->sa);
    h->ask_deadline_ms = ikev2_after(t->now_ms, IKEV2_ASK_MS);
    action->key_exchange.id = h->ask_key_exchange;
    action->key_exchange.group = group;
    action->key_exchange.pair = pair;
    action->key_exchange.peer_public = peer_public;
}

/* Keys of the IKE SA out of what both sides sent; the handshake's own secrets go. */
static bool init_derive(struct ikev2_sa *sa, struct ikev2_ike *ike, const struct secret *shared)
{
    struct ikev2_handshake *h = sa->handshake;

    return ikev2_keys_derive(&h->choice.suite, secret_slice(shared), ikev2_nonce_slice(&h->nonce_i),
                             ikev2_nonce_slice(&h->nonce_r), ike->spi_i, ike->spi_r, &ike->keys);
}

/* RFC 7427 4: which hashes we can verify. */
static void init_hashes(struct init_message *out, bool legacy)
{
    uint8_t hashes[IKEV2_HASHES_BYTES_MAX];

    init_notify(out, IKEV2_SIGNATURE_HASH_ALGORITHMS,
                (struct slice){hashes, ikev2_certify_hashes(legacy, hashes)});
}

struct slice ikev2_init_prefers_udp(void)
{
    return SLICE_OF(prefers_udp);
}

/* ---- initiator ---- */

/* What whoever answers says in clear is believed when nothing better came by then. */
static void init_refused(struct ikev2_turn *t, const struct ikev2_failure *failure)
{
    struct ikev2_handshake *h = t->sa->handshake;

    if (!h->refused) {
        h->refused = true;
        /* RFC 9329 6.4: on a TCP connection no better answer will come. */
        h->refused_ms = t->sa->peer.tcp
                            ? t->now_ms
                            : ikev2_after(t->now_ms, 2 * t->sa->policy->retransmit_first_ms);
    }
    h->refusal = *failure;
}

static void init_refused_for(struct ikev2_turn *t, enum ikev2_failure_reason reason,
                             uint16_t notify, const char *detail)
{
    struct ikev2_failure failure;

    ikev2_failure_set(&failure, reason, IKEV2_IKE_SA_INIT, notify, detail);
    if (reason == IKEV2_FAIL_NO_PROPOSAL) {
        const struct proposals *ours = t->sa->policy->ike;

        ikev2_failure_proposals(&failure, &ours, 1, NULL, PROTOCOL_IKE);
    }
    init_refused(t, &failure);
}

/* What was offered was post-quantum, all of it, or what was chosen is not. */
static void init_not_post_quantum(struct ikev2_turn *t, uint16_t notify, const struct suite *suite)
{
    struct ikev2_failure failure;

    ikev2_failure_not_post_quantum(&failure, IKEV2_IKE_SA_INIT, notify, suite);
    init_refused(t, &failure);
}

/* There is a port to float to: a peer at a port of its own has only that one. */
bool ikev2_init_can_float(const struct ikev2_sa *sa)
{
    return !sa->peer.tcp && (sa->peer.port == IKEV2_PORT || sa->peer.port == IKEV2_NAT_PORT);
}

void ikev2_init_start(struct ikev2_turn *t)
{
    struct ikev2_sa *sa = t->sa;
    struct ikev2_handshake *h = sa->handshake;

    sa->state = IKEV2_STATE_INIT;
    sa->current = ikev2_ike_new(t, true, ikev2_fresh_spi(sa), 0);
    if (sa->current == NULL) {
        ikev2_over_for(t, IKEV2_FAIL_RESOURCES, IKEV2_IKE_SA_INIT, 0, "no memory");
        return;
    }
    ikev2_nonce_make(sa->random, &h->nonce_i);
    if (h->resume != NULL) {
        ikev2_resume_send(t);
        return;
    }
    h->group = proposal_first_group(sa->policy->ike);
    if (h->group == KEY_EXCHANGE_NONE) {
        ikev2_over_for(t, IKEV2_FAIL_NO_PROPOSAL, IKEV2_IKE_SA_INIT, 0,
                       "the policy names no key exchange");
        return;
    }
    h->tried[h->tried_count++] = h->group;
    ikev2_handshake_ask_key_exchange(t, h->group, NULL, (struct slice){NULL, 0});
}

static bool has_additional(const struct ikev2_sa_payload *offer)
{
    for (size_t i = 0; i < offer->transform_count; i++) {
        if (transform_is_additional(offer->transforms[i].type)) {
            return true;
        }
    }
    return false;
}

static bool has_post_quantum(const struct ikev2_sa_payload *offer)
{
    for (size_t i = 0; i < offer->transform_count; i++) {
        const struct ikev2_wire_transform *t = &offer->transforms[i];

        if ((t->type == TRANSFORM_KEY_EXCHANGE || transform_is_additional(t->type)) &&
            key_exchange_is_post_quantum(t->id)) {
            return true;
        }
    }
    return false;
}

static void init_send(struct ikev2_turn *t)
{
    struct ikev2_sa *sa = t->sa;
    struct ikev2_handshake *h = sa->handshake;
    struct ikev2_sa_payload offer NOT_ZEROED;
    struct init_message out NOT_ZEROED;

    if (!proposal_offer(sa->policy->ike, PROTOCOL_IKE, (struct slice){NULL, 0},
                        PROPOSAL_WITH_ADDITIONAL, &offer)) {
        ikev2_over_for(t, IKEV2_FAIL_NO_PROPOSAL, IKEV2_IKE_SA_INIT, 0,
                       "the policy has nothing to offer");
        return;
    }
    init_begin(&out, sa->current->spi_i, 0, IKEV2_FLAG_INITIATOR);
    if (h->cookie_length > 0) {
        /* RFC 7296 2.6: as the first payload, and all else unchanged. */
        init_notify(&out, IKEV2_COOKIE, (struct slice){h->cookie, h->cookie_length});
    }
    init_sa_ke_nonce(&out, &offer, h->group, &h->pair, &h->nonce_i);
    if (sa->policy->allow_encapsulation) {
        init_natd(sa, &out, sa->current->spi_i, 0,
                  sa->policy->force_encapsulation && !sa->peer.tcp);
    }
    if (sa->policy->fragmentation) {
        init_notify(&out, IKEV2_FRAGMENTATION_SUPPORTED, (struct slice){NULL, 0});
    }
    uint8_t from[IKEV2_REDIRECT_BYTES_MAX];
    struct writer w = writer_over(from, sizeof(from));
    uint16_t redirects = ikev2_redirect_supported(sa, &w);

    if (redirects != 0) {
        init_notify(&out, redirects, writer_written(&w));
    }
    /* A PPK goes there too (RFC 9867), where the peer can. */
    if (has_additional(&offer) || (sa->policy->ppk != NULL && !sa->policy->ppk->auth_only)) {
        init_notify(&out, IKEV2_INTERMEDIATE_EXCHANGE_SUPPORTED, (struct slice){NULL, 0});
    }
    if (sa->policy->certificates != NULL) {
        init_hashes(&out, sa->policy->certificates->legacy);
    }
    if (sa->policy->ppk != NULL) {
        init_notify(&out, IKEV2_USE_PPK, (struct slice){NULL, 0});
        if (!sa->policy->ppk->auth_only) {
            init_notify(&out, IKEV2_USE_PPK_INT, (struct slice){NULL, 0});
        }
    }
    h->prefers_udp =
        sa->policy->allow_encapsulation && !sa->policy->no_vendor_ids && ikev2_init_can_float(sa);
    if (h->prefers_udp) {
        ikev2_write_payload(&out.chain, IKEV2_VENDOR_ID, SLICE_OF(prefers_udp));
    }
    ikev2_finish_message(&out.w);
    ikev2_block_drop(sa, &h->own_message);
    if (!writer_ok(&out.w) || !ikev2_block_copy(writer_written(&out.w), &h->own_message)) {
        ikev2_over_for(t, IKEV2_FAIL_RESOURCES, IKEV2_IKE_SA_INIT, 0, "no memory");
        return;
    }
    ikev2_send_clear(t, sa->current, h->own_message, true);
}

static void init_cookie(struct ikev2_turn *t, const struct ikev2_notify_payload *n)
{
    struct ikev2_handshake *h = t->sa->handshake;

    if (n->data.length == 0 || n->data.length > sizeof(h->cookie)) {
        return;
    }
    if (h->cookies == COOKIES_MAX) {
        init_refused_for(t, IKEV2_FAIL_COOKIE_LOOP, IKEV2_COOKIE,
                         "every answer asked for another cookie");
        return;
    }
    h->cookies++;
    h->cookie_length = (uint8_t)n->data.length;
    memcpy(h->cookie, n->data.data, n->data.length);
    init_send(t);
}

/* RFC 7296 1.2, 2.7: once more with the group that the responder wants, if it is one that we
 * offered and did not try yet. */
static void init_invalid_ke(struct ikev2_turn *t, const struct ikev2_notify_payload *n)
{
    struct ikev2_handshake *h = t->sa->handshake;
    uint16_t group;

    if (!ikev2_group_may_be_tried(n, t->sa->policy->ike, h->tried, &h->tried_count, &group)) {
        /* A late answer to the request before is no reason to doubt the present one. */
        if (n->data.length != 2 || get_u16(n->data.data) != h->group) {
            init_refused_for(t, IKEV2_FAIL_KE_GROUP_LOOP, IKEV2_INVALID_KE_PAYLOAD,
                             "asked for a key exchange that was not offered or was refused before");
        }
        return;
    }
    h->group = group;
    key_pair_wipe(&h->pair);
    h->has_pair = false;
    retransmit_stop(&t->sa->current->retransmit);
    ikev2_handshake_ask_key_exchange(t, group, NULL, (struct slice){NULL, 0});
}

static void init_error(struct ikev2_turn *t, uint16_t type)
{
    switch (type) {
    case IKEV2_NO_PROPOSAL_CHOSEN:
        if (t->sa->policy->post_quantum_required) {
            init_not_post_quantum(t, type, NULL);
            return;
        }
        init_refused_for(t, IKEV2_FAIL_NO_PROPOSAL, type, "");
        return;
    case IKEV2_INVALID_MAJOR_VERSION:
        init_refused_for(t, IKEV2_FAIL_VERSION, type, "");
        return;
    case IKEV2_UNSUPPORTED_CRITICAL_PAYLOAD:
        init_refused_for(t, IKEV2_FAIL_CRITICAL_PAYLOAD, type, "");
        return;
    default:
        init_refused_for(t, IKEV2_FAIL_PEER_ERROR, type, "");
        return;
    }
}

static void init_take_response(struct ikev2_turn *t, const struct ikev2_message *m,
                               struct slice message, const struct endpoint *local,
                               const struct endpoint *peer)
{
    struct ikev2_sa *sa = t->sa;
    struct ikev2_handshake *h = sa->handshake;
    struct ikev2_sa_payload answer NOT_ZEROED;
    struct ikev2_ke_payload ke;

    if (m->header.spi_r == 0 || !ikev2_message_nonce(m, &h->nonce_r) ||
        !ikev2_read_sa(m->body[IKEV2_SA], &answer) || !ikev2_message_ke(m, &ke)) {
        init_refused_for(t, IKEV2_FAIL_SYNTAX, 0, "the response to IKE_SA_INIT is malformed");
        return;
    }
    h->intermediate = ikev2_message_notify(m, IKEV2_INTERMEDIATE_EXCHANGE_SUPPORTED) != NULL;
    if (!proposal_verify(&answer, sa->policy->ike, PROTOCOL_IKE, 0, PROPOSAL_WITH_ADDITIONAL,
                         &h->choice) ||
        h->choice.suite.key_exchange != h->group || ke.group != h->group ||
        (h->choice.additional_count > 0 && !h->intermediate)) {
        struct ikev2_failure failure;
        const struct proposals *ours = sa->policy->ike;

        ikev2_failure_set(&failure, IKEV2_FAIL_NO_PROPOSAL, IKEV2_IKE_SA_INIT, 0,
                          "the responder chose what was not offered");
        ikev2_failure_proposals(&failure, &ours, 1, &answer, PROTOCOL_IKE);
        init_refused(t, &failure);
        return;
    }
    if (sa->policy->post_quantum_required && !proposal_choice_is_post_quantum(&h->choice)) {
        init_not_post_quantum(t, 0, &h->choice.suite);
        return;
    }
    h->ppk_early = sa->policy->ppk != NULL && !sa->policy->ppk->auth_only && h->intermediate &&
                   ikev2_message_notify(m, IKEV2_USE_PPK_INT) != NULL;
    h->ppk_agreed =
        sa->policy->ppk != NULL && !h->ppk_early && ikev2_message_notify(m, IKEV2_USE_PPK) != NULL;
    if (sa->policy->ppk != NULL && sa->policy->ppk->required && !h->ppk_agreed && !h->ppk_early) {
        struct ikev2_failure failure;

        ikev2_ppk_failure(sa->policy->ppk, IKEV2_FAIL_PPK_MISSING, IKEV2_IKE_SA_INIT,
                          (struct slice){NULL, 0}, &failure);
        init_refused(t, &failure);
        return;
    }
    ikev2_block_drop(sa, &h->peer_message);
    if (!ikev2_block_copy(message, &h->peer_message)) {
        return;
    }
    sa->current->spi_r = m->header.spi_r;
    ikev2_init_read_natd(&h->natd, m, local, peer);
    h->peer_fragments = ikev2_message_notify(m, IKEV2_FRAGMENTATION_SUPPORTED) != NULL;
    h->peer_childless = ikev2_message_notify(m, IKEV2_CHILDLESS_SUPPORTED) != NULL;
    h->peer_prefers_udp = ikev2_message_vendor(m, SLICE_OF(prefers_udp));
    h->peer_hashes = 0;
    h->peer_schemes = 0;
    ikev2_certify_read(h, m);
    ikev2_handshake_ask_key_exchange(t, h->group, &h->pair, ke.value);
}

static void init_response(struct ikev2_turn *t, struct ikev2_message *m, struct slice message,
                          const struct endpoint *local, const struct endpoint *peer)
{
    struct ikev2_sa *sa = t->sa;
    struct ikev2_handshake *h = sa->handshake;

    if (sa->current->request == NULL || m->header.message_id != 0 || h->ask_key_exchange != 0 ||
        !ikev2_message_read(m)) {
        return;
    }
    ikev2_trace(t, false, false, &m->header, m->first, m->chain);
    const struct ikev2_notify_payload *cookie = ikev2_message_notify(m, IKEV2_COOKIE);
    const struct ikev2_notify_payload *group = ikev2_message_notify(m, IKEV2_INVALID_KE_PAYLOAD);
    const struct ikev2_notify_payload *error = ikev2_message_error(m);
    struct ikev2_failure elsewhere;

    if (m->critical != 0) {
        init_refused_for(t, IKEV2_FAIL_CRITICAL_PAYLOAD, 0, "in the response to IKE_SA_INIT");
    } else if (m->has[IKEV2_SA] && m->has[IKEV2_KE]) {
        init_take_response(t, m, message, local, peer);
    } else if (ikev2_message_notify(m, IKEV2_REDIRECT) != NULL) {
        if (ikev2_redirect_init(t, m, &elsewhere) == IKEV2_REDIRECT_REFUSED) {
            init_refused(t, &elsewhere);
        }
    } else if (cookie != NULL) {
        init_cookie(t, cookie);
    } else if (group != NULL) {
        init_invalid_ke(t, group);
    } else if (error != NULL) {
        init_error(t, error->type);
    }
}

/* RFC 7296 2.23: with a NAT on the way all goes through port 4500 from here on. */
void ikev2_init_float(struct ikev2_sa *sa)
{
    /* RFC 4555 3.3: who may move goes there from the beginning. */
    if (!sa->nat_local && !sa->nat_peer && !sa->udp_agreed && !sa->policy->force_encapsulation &&
        !sa->policy->mobile) {
        return;
    }
    if (!sa->nat_supported || sa->peer.tcp) {
        return;
    }
    if (sa->local.port == IKEV2_PORT) {
        sa->local.port = IKEV2_NAT_PORT;
    }
    if (sa->peer.port == IKEV2_PORT) {
        sa->peer.port = IKEV2_NAT_PORT;
        sa->handshake->floated = true;
    }
}

/* Only to be able to move later we went to port 4500, and nobody answers there: a filter may let
 * nothing but port 500 pass, or the peer has another second port. */
void ikev2_init_sink(struct ikev2_sa *sa, unsigned again)
{
    if (again == SINK_AFTER && sa->initiator && !sa->established && sa->policy->mobile &&
        !sa->nat_local && !sa->nat_peer && !sa->udp_agreed && !sa->policy->force_encapsulation &&
        sa->local.port == IKEV2_NAT_PORT && sa->peer.port == IKEV2_NAT_PORT &&
        sa->handshake->floated) {
        sa->local.port = IKEV2_PORT;
        sa->peer.port = IKEV2_PORT;
    }
}

static void initiator_answered(struct ikev2_turn *t, bool ok, struct key_pair *pair,
                               struct secret *shared)
{
    struct ikev2_sa *sa = t->sa;
    struct ikev2_handshake *h = sa->handshake;

    if (!h->has_pair) {
        if (!ok || pair == NULL) {
            ikev2_over_for(t, IKEV2_FAIL_RESOURCES, IKEV2_IKE_SA_INIT, 0, "no key pair was made");
            return;
        }
        h->pair = *pair;
        *pair = (struct key_pair){0};
        h->has_pair = true;
        /* A request with another group replaces the one before, under the same message ID. */
        init_send(t);
        return;
    }
    if (!ok || shared == NULL) {
        sa->current->spi_r = 0;
        init_refused_for(t, IKEV2_FAIL_BAD_PUBLIC_VALUE, 0,
                         "the peer's key exchange value is not a valid one");
        return;
    }
    if (!init_derive(sa, sa->current, shared)) {
        ikev2_over_for(t, IKEV2_FAIL_RESOURCES, IKEV2_IKE_SA_INIT, 0, "no keys were derived");
        return;
    }
    key_pair_wipe(&h->pair);
    h->has_pair = false;
    h->refused = false;
    ikev2_request_done(t, sa->current);
    ikev2_init_take_natd(sa);
    ikev2_init_float(sa);
    sa->fragmentation = sa->policy->fragmentation && h->peer_fragments;
    ikev2_intermediate_begin(t);
}

void ikev2_init_give_up(struct ikev2_turn *t)
{
    struct ikev2_handshake *h = t->sa->handshake;

    if (h->refused) {
        struct ikev2_failure failure = h->refusal;

        ikev2_over(t, &failure);
        return;
    }
    ikev2_over_for(t, IKEV2_FAIL_NO_ANSWER, IKEV2_IKE_SA_INIT, 0, "");
}

/* ---- responder ---- */

static void init_reply(struct ikev2_turn *t, struct init_message *out)
{
    struct ikev2_sa *sa = t->sa;

    ikev2_finish_message(&out->w);
    if (!writer_ok(&out->w)) {
        ikev2_over_for(t, IKEV2_FAIL_RESOURCES, IKEV2_IKE_SA_INIT, 0, "no memory");
        return;
    }
    ikev2_send_clear(t, sa->current, writer_written(&out->w), false);
}

/* RFC 7296 2.6: an exchange that makes no SA has no SPI of ours in its answer. */
static void init_reply_notify(struct ikev2_turn *t, const struct ikev2_message *m, uint16_t type,
                              struct slice data)
{
    struct init_message out NOT_ZEROED;

    init_begin(&out, m->header.spi_i, 0, IKEV2_FLAG_RESPONSE);
    init_notify(&out, type, data);
    init_reply(t, &out);
}

static void init_no_proposal(struct ikev2_turn *t, const struct ikev2_message *m,
                             const struct ikev2_sa_payload *offer)
{
    struct ikev2_failure failure;
    const struct ikev2_responder_policy *policy = t->sa->responder;

    init_reply_notify(t, m, IKEV2_NO_PROPOSAL_CHOSEN, (struct slice){NULL, 0});
    if (policy->post_quantum_required && !has_post_quantum(offer)) {
        ikev2_failure_not_post_quantum(&failure, IKEV2_IKE_SA_INIT, IKEV2_NO_PROPOSAL_CHOSEN, NULL);
    } else {
        ikev2_failure_set(&failure, IKEV2_FAIL_NO_PROPOSAL, IKEV2_IKE_SA_INIT,
                          IKEV2_NO_PROPOSAL_CHOSEN, "");
    }
    ikev2_failure_proposals(&failure, policy->ike, policy->ike_count, offer, PROTOCOL_IKE);
    ikev2_over(t, &failure);
}

static void init_wrong_group(struct ikev2_turn *t, const struct ikev2_message *m)
{
    uint8_t group[2];

    put_u16(group, t->sa->handshake->choice.suite.key_exchange);
    init_reply_notify(t, m, IKEV2_INVALID_KE_PAYLOAD, SLICE_OF(group));
    ikev2_over_for(t, IKEV2_FAIL_NONE, IKEV2_IKE_SA_INIT, IKEV2_INVALID_KE_PAYLOAD, "");
}

/* RFC 9370 2.2.1: without IKE_INTERMEDIATE their types are unknown ones. */
static void pass_over_additional(struct ikev2_sa_payload *offer)
{
    for (size_t p = 0; p < offer->proposal_count; p++) {
        struct ikev2_wire_proposal *proposal = &offer->proposals[p];

        for (size_t i = 0; i < proposal->count; i++) {
            if (transform_is_additional(offer->transforms[proposal->first + i].type)) {
                proposal->protocol = 0;
            }
        }
    }
}

static void init_choose(struct ikev2_turn *t, const struct ikev2_message *m)
{
    struct ikev2_sa *sa = t->sa;
    struct ikev2_handshake *h = sa->handshake;
    const struct ikev2_responder_policy *policy = sa->responder;
    struct ikev2_sa_payload offer NOT_ZEROED;
    struct ikev2_ke_payload ke;

    if (!ikev2_message_nonce(m, &h->nonce_i) || !m->has[IKEV2_SA] || !m->has[IKEV2_KE] ||
        !ikev2_read_sa(m->body[IKEV2_SA], &offer) || !ikev2_message_ke(m, &ke)) {
        ikev2_over_for(t, IKEV2_FAIL_SYNTAX, IKEV2_IKE_SA_INIT, 0, "a malformed IKE_SA_INIT");
        return;
    }
    ikev2_redirect_hear(sa, m);
    uint8_t redirect[IKEV2_REDIRECT_BYTES_MAX];
    size_t redirected = ikev2_redirect_at_once(sa, redirect);

    if (redirected > 0) {
        init_reply_notify(t, m, IKEV2_REDIRECT, (struct slice){redirect, redirected});
        ikev2_over_for(t, IKEV2_FAIL_NONE, IKEV2_IKE_SA_INIT, IKEV2_REDIRECT, "");
        return;
    }
    h->intermediate = ikev2_message_notify(m, IKEV2_INTERMEDIATE_EXCHANGE_SUPPORTED) != NULL;
    if (!h->intermediate) {
        pass_over_additional(&offer);
    }
    switch (proposal_choose(&offer, policy->ike, policy->ike_count, PROTOCOL_IKE, 0,
                            PROPOSAL_WITH_ADDITIONAL, ke.group, &h->choice)) {
    case PROPOSAL_NONE:
        init_no_proposal(t, m, &offer);
        return;
    case PROPOSAL_WRONG_GROUP:
        init_wrong_group(t, m);
        return;
    case PROPOSAL_CHOSEN:
        break;
    }
    h->ppk_early =
        policy->ppk_early && h->intermediate && ikev2_message_notify(m, IKEV2_USE_PPK_INT) != NULL;
    h->ppk_agreed = policy->ppk && !h->ppk_early && ikev2_message_notify(m, IKEV2_USE_PPK) != NULL;
    h->group = ke.group;
    h->peer_fragments = ikev2_message_notify(m, IKEV2_FRAGMENTATION_SUPPORTED) != NULL;
    h->peer_hashes = 0;
    h->peer_schemes = 0;
    ikev2_certify_read(h, m);
    ikev2_handshake_ask_key_exchange(t, ke.group, NULL, ke.value);
}

static void init_request(struct ikev2_turn *t, struct ikev2_message *m, struct slice message,
                         const struct endpoint *local, const struct endpoint *peer)
{
    struct ikev2_sa *sa = t->sa;
    struct ikev2_handshake *h = sa->handshake;

    if (sa->current != NULL) {
        /* RFC 7296 2.1: once more the same answer to the very same request; no other counts. */
        if (h != NULL && slice_equal(h->peer_message, message) && sa->current->response != NULL) {
            ikev2_resend(t, sa->current->response, local, peer);
        }
        return;
    }
    if (m->header.message_id != 0 || m->header.spi_i == 0 || m->header.spi_r != 0) {
        ikev2_over_for(t, IKEV2_FAIL_SYNTAX, IKEV2_IKE_SA_INIT, 0, "not the first message");
        return;
    }
    sa->state = IKEV2_STATE_INIT;
    sa->local = *local;
    sa->peer = *peer;
    h->deadline_ms = ikev2_after(t->now_ms, sa->responder->half_open_ms);
    sa->current = ikev2_ike_new(t, false, m->header.spi_i, ikev2_fresh_spi(sa));
    if (sa->current == NULL || !ikev2_block_copy(message, &h->peer_message)) {
        ikev2_over_for(t, IKEV2_FAIL_RESOURCES, IKEV2_IKE_SA_INIT, 0, "no memory");
        return;
    }
    sa->current->busy = true;
    sa->current->reply_local = *local;
    sa->current->reply_peer = *peer;
    if (!ikev2_message_read(m)) {
        ikev2_over_for(t, IKEV2_FAIL_SYNTAX, IKEV2_IKE_SA_INIT, 0, "a malformed IKE_SA_INIT");
        return;
    }
    ikev2_trace(t, false, false, &m->header, m->first, m->chain);
    if (m->critical != 0) {
        init_reply_notify(t, m, IKEV2_UNSUPPORTED_CRITICAL_PAYLOAD,
                          (struct slice){&m->critical, 1});
        ikev2_over_for(t, IKEV2_FAIL_CRITICAL_PAYLOAD, IKEV2_IKE_SA_INIT,
                       IKEV2_UNSUPPORTED_CRITICAL_PAYLOAD, "");
        return;
    }
    ikev2_init_read_natd(&h->natd, m, local, peer);
    h->peer_prefers_udp = ikev2_message_vendor(m, SLICE_OF(prefers_udp));
    h->prefers_udp = sa->responder->prefer_encapsulation && !peer->tcp;
    if (m->header.exchange == IKEV2_IKE_SESSION_RESUME) {
        ikev2_resume_request(t, m);
    } else {
        init_choose(t, m);
    }
}

/* RFC 7296 1.2: whom we believe is said before we know who asks. The hashes and methods only to
 * whom signs that way, because there are peers that stumble over what they do not know. */
static void init_certify(struct ikev2_sa *sa, struct init_message *out)
{
    uint8_t methods[IKEV2_METHODS_BYTES_MAX];

    ikev2_certify_write_request(&out->chain, &out->w, sa->responder->authorities);
    if (sa->responder->asks_status) {
        ikev2_certify_write_status_request(&out->chain, &out->w);
    }
    if (sa->handshake->peer_hashes != 0) {
        init_hashes(out, false);
        init_notify(out, IKEV2_SUPPORTED_AUTH_METHODS,
                    (struct slice){methods, ikev2_certify_methods(true, methods)});
    }
}

static void init_respond(struct ikev2_turn *t, const struct key_pair *pair)
{
    struct ikev2_sa *sa = t->sa;
    struct ikev2_handshake *h = sa->handshake;
    struct ikev2_ike *ike = sa->current;
    struct ikev2_sa_payload answer NOT_ZEROED;
    struct init_message out NOT_ZEROED;

    proposal_answer(&h->choice, (struct slice){NULL, 0}, &answer);
    init_begin(&out, ike->spi_i, ike->spi_r, IKEV2_FLAG_RESPONSE);
    init_sa_ke_nonce(&out, &answer, h->group, pair, &h->nonce_r);
    if (natd_is_supported(&h->natd)) {
        init_natd(sa, &out, ike->spi_i, ike->spi_r,
                  sa->responder->force_encapsulation && !sa->udp_agreed && !sa->peer.tcp);
    }
    if (sa->fragmentation) {
        init_notify(&out, IKEV2_FRAGMENTATION_SUPPORTED, (struct slice){NULL, 0});
    }
    if (h->choice.additional_count > 0 || h->ppk_early) {
        init_notify(&out, IKEV2_INTERMEDIATE_EXCHANGE_SUPPORTED, (struct slice){NULL, 0});
    }
    /* RFC 6023 3: said by who answers, whatever the initiator is going to do. */
    init_notify(&out, IKEV2_CHILDLESS_SUPPORTED, (struct slice){NULL, 0});
    if (sa->responder->certificates) {
        init_certify(sa, &out);
    }
    if (h->ppk_agreed || h->ppk_early) {
        init_notify(&out, h->ppk_early ? IKEV2_USE_PPK_INT : IKEV2_USE_PPK,
                    (struct slice){NULL, 0});
    }
    if (sa->udp_agreed) {
        /* Only in answer to the same: there are peers that stumble over what they do not know. */
        ikev2_write_payload(&out.chain, IKEV2_VENDOR_ID, SLICE_OF(prefers_udp));
    }
    ikev2_finish_message(&out.w);
    if (!writer_ok(&out.w) || !ikev2_block_copy(writer_written(&out.w), &h->own_message)) {
        ikev2_over_for(t, IKEV2_FAIL_RESOURCES, IKEV2_IKE_SA_INIT, 0, "no memory");
        return;
    }
    sa->state = IKEV2_STATE_HALF_OPEN;
    ikev2_send_clear(t, ike, h->own_message, false);
}

static void responder_answered(struct ikev2_turn *t, bool ok, struct key_pair *pair,
                               struct secret *shared)
{
    struct ikev2_sa *sa = t->sa;
    struct ikev2_handshake *h = sa->handshake;

    if (!ok || pair == NULL || shared == NULL) {
        ikev2_over_for(t, IKEV2_FAIL_BAD_PUBLIC_VALUE, IKEV2_IKE_SA_INIT, 0,
                       "the peer's key exchange value is not a valid one");
        return;
    }
    ikev2_nonce_make(sa->random, &h->nonce_r);
    if (!init_derive(sa, sa->current, shared)) {
        ikev2_over_for(t, IKEV2_FAIL_RESOURCES, IKEV2_IKE_SA_INIT, 0, "no keys were derived");
        return;
    }
    ikev2_init_take_natd(sa);
    sa->fragmentation = sa->responder->fragmentation && h->peer_fragments;
    init_respond(t, pair);
}

/* ---- events ---- */

void ikev2_init_answer(struct ikev2_turn *t, bool ok, struct key_pair *pair, struct secret *shared)
{
    struct ikev2_handshake *h = t->sa->handshake;

    h->ask_key_exchange = 0;
    h->ask_deadline_ms = NEVER_MS;
    if (t->sa->initiator) {
        initiator_answered(t, ok, pair, shared);
    } else {
        responder_answered(t, ok, pair, shared);
    }
}

void ikev2_init_receive(struct ikev2_turn *t, const struct ikev2_header *header,
                        struct slice message, const struct endpoint *local,
                        const struct endpoint *peer)
{
    struct ikev2_sa *sa = t->sa;
    struct ikev2_message *m = ikev2_turn_memory(sa, sizeof(*m));
    bool response = (header->flags & IKEV2_FLAG_RESPONSE) != 0;
    bool from_initiator = (header->flags & IKEV2_FLAG_INITIATOR) != 0;

    if (m == NULL) {
        /* A responder that could not read its first message would wait for ever. */
        if (sa->state == IKEV2_STATE_NEW) {
            ikev2_over_for(t, IKEV2_FAIL_RESOURCES, IKEV2_IKE_SA_INIT, 0, "no memory");
        }
        return;
    }
    /* RFC 7296 3.1: both flags must say that the message is for somebody in our role. */
    if (response != sa->initiator || from_initiator == sa->initiator) {
        return;
    }
    m->header = *header;
    m->first = header->next_payload;
    m->chain = (struct slice){message.data + IKEV2_HEAD_BYTES, message.length - IKEV2_HEAD_BYTES};
    if (response) {
        if (sa->state == IKEV2_STATE_INIT && header->spi_i == sa->current->spi_i) {
            bool resumes = header->exchange == IKEV2_IKE_SESSION_RESUME;

            if (resumes && sa->handshake->resume != NULL) {
                ikev2_resume_response(t, m, message, local, peer);
            } else if (!resumes && sa->handshake->resume == NULL) {
                init_response(t, m, message, local, peer);
            }
        }
        return;
    }
    if (sa->handshake != NULL) {
        init_request(t, m, message, local, peer);
    }
}
