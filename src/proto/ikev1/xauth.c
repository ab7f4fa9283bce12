/*
 * Logins (draft-beaulieu-ike-xauth-02, draft-ietf-ipsec-isakmp-hybrid-auth-05): decides by which
 * method of phase 1 one is announced, who asks whom, how many rounds there are, and when an ISAKMP
 * SA is through. Whether a user may in is a question to the gateway.
 *
 *     client                                     gateway
 *            <--  HDR*, HASH, ATTR(REQUEST: name, password)
 *     HDR*, HASH, ATTR(REPLY: name, password)  -->
 *            <--  HDR*, HASH, ATTR(SET: status)
 *     HDR*, HASH, ATTR(ACK)  -->
 *
 * The gateway is through when it says that the login is accepted, the client when he hears it.
 */
#include <assert.h>
#include <string.h>

#include "crypto/prf.h"
#include "proto/ikev1/machine.h"

#define STATUS_FAIL 0
#define STATUS_OK 1

/* ---- methods of phase 1 ---- */

/* draft-beaulieu-ike-xauth-02 7.2, draft-ietf-ipsec-isakmp-hybrid-auth-05 3.2.1. */
struct method {
    uint16_t number;
    uint16_t base;
    enum ikev1_who logs_in;
    bool hybrid;
};

static const struct method methods[] = {
    {IKEV1_XAUTH_INIT_SHARED_KEY, IKEV1_AUTH_SHARED_KEY, IKEV1_INITIATOR, false},
    {IKEV1_XAUTH_RESP_SHARED_KEY, IKEV1_AUTH_SHARED_KEY, IKEV1_RESPONDER, false},
    {IKEV1_XAUTH_INIT_DSS, IKEV1_AUTH_DSS_SIGNATURE, IKEV1_INITIATOR, false},
    {IKEV1_XAUTH_RESP_DSS, IKEV1_AUTH_DSS_SIGNATURE, IKEV1_RESPONDER, false},
    {IKEV1_XAUTH_INIT_RSA, IKEV1_AUTH_RSA_SIGNATURE, IKEV1_INITIATOR, false},
    {IKEV1_XAUTH_RESP_RSA, IKEV1_AUTH_RSA_SIGNATURE, IKEV1_RESPONDER, false},
    {IKEV1_XAUTH_INIT_RSA_ENCRYPTION, IKEV1_AUTH_RSA_ENCRYPTION, IKEV1_INITIATOR, false},
    {IKEV1_XAUTH_RESP_RSA_ENCRYPTION, IKEV1_AUTH_RSA_ENCRYPTION, IKEV1_RESPONDER, false},
    {IKEV1_XAUTH_INIT_RSA_REVISED, IKEV1_AUTH_RSA_REVISED, IKEV1_INITIATOR, false},
    {IKEV1_XAUTH_RESP_RSA_REVISED, IKEV1_AUTH_RSA_REVISED, IKEV1_RESPONDER, false},
    {IKEV1_HYBRID_INIT_RSA, IKEV1_AUTH_RSA_SIGNATURE, IKEV1_INITIATOR, true},
    {IKEV1_HYBRID_RESP_RSA, IKEV1_AUTH_RSA_SIGNATURE, IKEV1_RESPONDER, true},
    {IKEV1_HYBRID_INIT_DSS, IKEV1_AUTH_DSS_SIGNATURE, IKEV1_INITIATOR, true},
    {IKEV1_HYBRID_RESP_DSS, IKEV1_AUTH_DSS_SIGNATURE, IKEV1_RESPONDER, true},
};

uint16_t ikev1_method_said(const struct ikev1_policy *policy, bool initiator)
{
    uint16_t base = ikev1_method_of(policy);
    bool we = policy->login == IKEV1_LOGIN_ANSWER;

    if (policy->login == IKEV1_LOGIN_NONE) {
        return base;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(methods); i++) {
        if (methods[i].base == base && methods[i].hybrid == policy->hybrid &&
            (methods[i].logs_in == IKEV1_INITIATOR) == (initiator == we)) {
            return methods[i].number;
        }
    }
    return 0;
}

bool ikev1_method_fits(const struct ikev1_policy *policy, const struct ikev1_handshake *handshake,
                       bool initiator)
{
    uint16_t said = ikev1_method_said(policy, initiator);

    return said != 0 && said == handshake->choice.transform.auth_method;
}

void ikev1_method_read(uint16_t number, struct ikev1_phase1_choice *out)
{
    out->auth_method = number;
    out->logs_in = IKEV1_NOBODY;
    out->hybrid = false;
    for (size_t i = 0; i < ARRAY_LENGTH(methods); i++) {
        if (methods[i].number == number) {
            out->auth_method = methods[i].base;
            out->logs_in = methods[i].logs_in;
            out->hybrid = methods[i].hybrid;
        }
    }
}

bool ikev1_login_is_possible(const struct ikev1_responder_policy *policy,
                             const struct ikev1_phase1_choice *choice)
{
    switch (choice->auth_method) {
    case IKEV1_AUTH_SHARED_KEY:
        return policy->login_shared_keys;
    case IKEV1_AUTH_RSA_SIGNATURE:
        return choice->hybrid ? policy->login_hybrid : policy->login_rsa;
    default:
        return false;
    }
}

static bool is_login_of_ours(const struct ikev1_ike *ike)
{
    return ike->handshake->choice.logs_in == (ike->initiator ? IKEV1_INITIATOR : IKEV1_RESPONDER);
}

bool ikev1_we_sign(const struct ikev1_ike *ike)
{
    return ikev1_signs(ike) && !(ike->handshake->choice.hybrid && is_login_of_ours(ike));
}

bool ikev1_peer_signs(const struct ikev1_ike *ike)
{
    return ikev1_signs(ike) && !(ike->handshake->choice.hybrid && !is_login_of_ours(ike));
}

bool ikev1_phase1_read_any_id(const struct ikev1_ike *ike, const struct ikev1_message *m,
                              struct ike_identity *id, struct slice *body)
{
    struct ikev1_id_payload payload;

    if (ikev1_phase1_read_id(m, id, body)) {
        return true;
    }
    *id = (struct ike_identity){0};
    return ike->handshake->choice.hybrid && !is_login_of_ours(ike) &&
           ikev1_message_only(m, IKEV1_ID, body) && ikev1_read_id(*body, &payload) &&
           payload.type == 0 && payload.data.length == 0;
}

void ikev1_out_login_vendors(struct ikev1_outgoing *o)
{
    ikev1_write_payload(&o->chain, IKEV1_VENDOR_ID, ikev1_vendor_octets(IKEV1_VENDOR_XAUTH));
    ikev1_write_payload(&o->chain, IKEV1_VENDOR_ID, ikev1_vendor_octets(IKEV1_VENDOR_UNITY));
}

/* ---- how it ends ---- */

static void through(struct ikev1_turn *t, struct ikev1_ike *ike)
{
    struct ikev1_transactions *all = ike->transactions;

    retransmit_stop(&ike->retransmit);
    all->login_ms = NEVER_MS;
    all->login_end_ms = NEVER_MS;
    all->ask = 0;
    if (ike->phase == IKEV1_IKE_LOGIN) {
        ikev1_login_settle(t, ike);
        ikev1_phase1_through(t, ike, all->initial_contact);
        /* A gateway that pushes settings waits until the client knows that he is in. */
        if (all->login == IKEV1_LOGIN_ANSWER) {
            ikev1_settings_begin(t, ike);
        }
    }
}

/* draft-beaulieu-ike-xauth-02 6: the ISAKMP SA is deleted at once, and all that the user had. */
static void refused(struct ikev1_turn *t, const struct ikev1_failure *failure)
{
    struct ikev1_failure copy = *failure;

    ikev1_over_with_delete(t, &copy);
}

static void refused_for(struct ikev1_turn *t, enum ikev1_failure_reason reason, const char *detail)
{
    struct ikev1_failure failure;

    ikev1_failure_set(&failure, reason, IKEV1_TRANSACTION, 0, detail);
    refused(t, &failure);
}

/* The peer is not there, or not any more: what was before is not touched. */
static void given_up(struct ikev1_turn *t, struct ikev1_ike *ike, enum ikev1_failure_reason reason,
                     const char *detail)
{
    struct ikev1_failure failure;

    ikev1_failure_set(&failure, reason, IKEV1_TRANSACTION, 0, detail);
    ikev1_send_delete_ike(t, ike);
    if (ikev1_ike_is_usable(ike)) {
        ikev1_over(t, &failure);
    } else {
        ikev1_phase1_fail(t, ike, &failure);
    }
}

void ikev1_login_deleted(struct ikev1_turn *t, struct ikev1_ike *ike)
{
    struct ikev1_failure failure;
    bool said = ike->transactions->round > 0 && ike->transactions->login == IKEV1_LOGIN_ANSWER;

    ikev1_failure_set(&failure, said ? IKEV1_FAIL_LOGIN : IKEV1_FAIL_PEER_DELETED,
                      IKEV1_TRANSACTION, 0, said ? "the gateway ended it without a word" : "");
    if (ike->transactions->refusing) {
        failure = ike->transactions->refusal;
    }
    ikev1_phase1_fail(t, ike, &failure);
}

/* ---- gateway: what is asked ---- */

static bool no_memory(struct ikev1_turn *t, struct ikev1_ike *ike, bool ok)
{
    if (!ok) {
        given_up(t, ike, IKEV1_FAIL_RESOURCES, "a message could not be made");
    }
    return !ok;
}

struct credential {
    unsigned bit;
    uint16_t attribute;
};

static const struct credential credentials[] = {
    {IKEV1_CREDENTIAL_USER, IKEV1_XAUTH_USER_NAME},
    {IKEV1_CREDENTIAL_PASSWORD, IKEV1_XAUTH_USER_PASSWORD},
    {IKEV1_CREDENTIAL_PASSCODE, IKEV1_XAUTH_PASSCODE},
    {IKEV1_CREDENTIAL_DOMAIN, IKEV1_XAUTH_DOMAIN},
    {IKEV1_CREDENTIAL_NEXT_PIN, IKEV1_XAUTH_NEXT_PIN},
    {IKEV1_CREDENTIAL_ANSWER, IKEV1_XAUTH_ANSWER},
};

static unsigned wanted_of(enum ikev1_login_kind kind)
{
    switch (kind) {
    case IKEV1_LOGIN_GENERIC:
    case IKEV1_LOGIN_CHAP:
        return IKEV1_CREDENTIAL_USER | IKEV1_CREDENTIAL_PASSWORD;
    case IKEV1_LOGIN_OTP:
        return IKEV1_CREDENTIAL_USER | IKEV1_CREDENTIAL_PASSWORD | IKEV1_CREDENTIAL_PASSCODE;
    }
    return 0;
}

/* Generic is not said: it is meant when there is no type (6.2). */
static void ask_user(struct ikev1_turn *t, struct ikev1_ike *ike, struct slice message)
{
    struct ikev1_transactions *all = ike->transactions;
    struct ikev1_cfg_payload cfg = {.type = IKEV1_CFG_REQUEST, .identifier = all->identifier};
    const struct slice nothing = {NULL, 0};

    all->round++;
    if (all->kind == IKEV1_LOGIN_CHAP) {
        random_fill(t->sa->random, all->challenge, sizeof(all->challenge));
        ikev1_cfg_add_short(&cfg, IKEV1_XAUTH_TYPE, IKEV1_XAUTH_RADIUS_CHAP);
        ikev1_cfg_add(&cfg, IKEV1_XAUTH_CHALLENGE, SLICE_OF(all->challenge));
    }
    if (message.length > 0) {
        ikev1_cfg_add(&cfg, IKEV1_XAUTH_MESSAGE, message);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(credentials); i++) {
        if ((all->wanted & credentials[i].bit) != 0) {
            ikev1_cfg_add(&cfg, credentials[i].attribute, nothing);
        }
    }
    (void)no_memory(t, ike, ikev1_transaction_begin(t, ike, IKEV1_ABOUT_LOGIN, &cfg));
}

/* Whether it went out. */
static bool say_status(struct ikev1_turn *t, struct ikev1_ike *ike, uint16_t status,
                       struct slice message)
{
    struct ikev1_cfg_payload cfg = {.type = IKEV1_CFG_SET,
                                    .identifier = ike->transactions->identifier};

    ikev1_cfg_add_short(&cfg, IKEV1_XAUTH_STATUS, status);
    if (message.length > 0) {
        ikev1_cfg_add(&cfg, IKEV1_XAUTH_MESSAGE, message);
    }
    return !no_memory(t, ike, ikev1_transaction_begin(t, ike, IKEV1_ABOUT_STATUS, &cfg));
}

/* FAIL is said and, once he knows it or soon, the ISAKMP SA deleted. */
static void refuse(struct ikev1_turn *t, struct ikev1_ike *ike, enum ikev1_failure_reason reason,
                   const char *detail, struct slice message)
{
    struct ikev1_transactions *all = ike->transactions;

    ikev1_failure_set(&all->refusal, reason, IKEV1_TRANSACTION, 0, detail);
    if (message.length > 0) {
        struct text text = text_over(all->refusal.detail, sizeof(all->refusal.detail));

        text_add_escaped(&text, message);
    }
    all->refusing = true;
    all->ask = 0;
    all->login_ms = ikev1_after(t->now_ms, IKEV1_LOGIN_END_MS);
    all->login_end_ms = all->login_ms;
    (void)say_status(t, ike, STATUS_FAIL, message);
}

void ikev1_login_begin(struct ikev1_turn *t, struct ikev1_ike *ike)
{
    const struct ikev1_policy *policy = t->sa->policy;
    struct ikev1_transactions *all = ike->transactions;
    const struct slice nothing = {NULL, 0};

    ike->phase = IKEV1_IKE_LOGIN;
    all->login_end_ms = ikev1_after(t->now_ms, IKEV1_LOGIN_MS);
    all->login_ms = all->login_end_ms;
    if (all->login == IKEV1_LOGIN_ANSWER) {
        all->login_ms =
            ikev1_after(t->now_ms, all->renewed ? IKEV1_LOGIN_RENEWED_MS : IKEV1_LOGIN_UNASKED_MS);
        if (ike->initiator && ike->aggressive) {
            /* Nothing but the question says that message 3 has come. */
            retransmit_start(&ike->retransmit, policy->retransmit_first_ms,
                             policy->retransmit_max_ms, policy->retransmit_tries, t->now_ms,
                             t->sa->random);
        }
        return;
    }
    all->identifier = (uint16_t)random_below(t->sa->random, UINT16_MAX) + 1;
    all->kind = policy->login_kind;
    all->wanted = wanted_of(all->kind);
    if (!policy->login_once || !all->known) {
        ask_user(t, ike, nothing);
    } else if (say_status(t, ike, STATUS_OK, nothing)) {
        through(t, ike);
    }
}

/* ---- gateway: what is said ---- */

static const struct ikev1_attribute *find_attribute(const struct ikev1_cfg_payload *cfg,
                                                    uint16_t type)
{
    for (size_t i = 0; i < cfg->count; i++) {
        if (cfg->attributes[i].type == type) {
            return &cfg->attributes[i];
        }
    }
    return NULL;
}

static struct slice value_of(const struct ikev1_cfg_payload *cfg, uint16_t type)
{
    const struct ikev1_attribute *attribute = find_attribute(cfg, type);

    return attribute != NULL && !attribute->is_short ? attribute->value : (struct slice){NULL, 0};
}

/* An absent one is generic (6.2). */
static uint64_t type_of(const struct ikev1_cfg_payload *cfg)
{
    const struct ikev1_attribute *attribute = find_attribute(cfg, IKEV1_XAUTH_TYPE);

    return attribute != NULL ? attribute->number : IKEV1_XAUTH_GENERIC;
}

bool ikev1_cfg_is_about_login(const struct ikev1_cfg_payload *cfg)
{
    for (size_t i = 0; i < cfg->count; i++) {
        if (cfg->attributes[i].type >= IKEV1_XAUTH_TYPE &&
            cfg->attributes[i].type <= IKEV1_XAUTH_ANSWER) {
            return true;
        }
    }
    return false;
}

static struct slice *place_of(struct ikev1_credentials *said, unsigned bit)
{
    switch ((enum ikev1_credential)bit) {
    case IKEV1_CREDENTIAL_USER:
        return &said->user;
    case IKEV1_CREDENTIAL_PASSWORD:
        return &said->password;
    case IKEV1_CREDENTIAL_PASSCODE:
        return &said->passcode;
    case IKEV1_CREDENTIAL_DOMAIN:
        return &said->domain;
    case IKEV1_CREDENTIAL_NEXT_PIN:
        return &said->next_pin;
    case IKEV1_CREDENTIAL_ANSWER:
        return &said->answer;
    }
    return NULL;
}

/* What was asked for, and nothing else. False: too long, or no response to the challenge. */
static bool read_credentials(const struct ikev1_transactions *all,
                             const struct ikev1_cfg_payload *cfg, struct ikev1_credentials *said)
{
    for (size_t i = 0; i < ARRAY_LENGTH(credentials); i++) {
        struct slice value = value_of(cfg, credentials[i].attribute);

        if (value.length > IKEV1_CREDENTIAL_BYTES_MAX) {
            return false;
        }
        if ((all->wanted & credentials[i].bit) != 0) {
            *place_of(said, credentials[i].bit) = value;
        }
    }
    if (all->kind != IKEV1_LOGIN_CHAP) {
        return type_of(cfg) == IKEV1_XAUTH_GENERIC;
    }
    if (said->password.length != 1 + IKEV1_CHAP_RESPONSE_BYTES) {
        return false;
    }
    said->chap = true;
    said->chap_identifier = said->password.data[0];
    said->chap_response = (struct slice){said->password.data + 1, IKEV1_CHAP_RESPONSE_BYTES};
    said->password = (struct slice){NULL, 0};
    return true;
}

static void take_reply(struct ikev1_turn *t, struct ikev1_ike *ike,
                       const struct ikev1_cfg_payload *cfg)
{
    struct ikev1_transactions *all = ike->transactions;
    struct ikev1_credentials said = {0};
    const struct slice nothing = {NULL, 0};

    /* He can say that he will not (5); that he may in he cannot say himself. */
    if (find_attribute(cfg, IKEV1_XAUTH_STATUS) != NULL) {
        refuse(t, ike, IKEV1_FAIL_LOGIN, "the client gives no name and password", nothing);
        return;
    }
    if (!read_credentials(all, cfg, &said)) {
        refuse(t, ike, IKEV1_FAIL_LOGIN, "what the client says is no answer to the question",
               nothing);
        return;
    }
    struct ikev1_action *action = ikev1_act(t, IKEV1_ASK_LOGIN);

    all->ask = ikev1_question(t->sa);
    action->login.id = all->ask;
    action->login.kind = all->kind;
    action->login.round = all->round;
    action->login.said = said;
    if (said.chap) {
        action->login.challenge = SLICE_OF(all->challenge);
    }
    action->login.policy = t->sa->policy;
    action->login.peer_id = t->sa->peer_id;
    action->login.peer = ikev1_ike_peer(t->sa, ike);
}

void ikev1_login_answered(struct ikev1_turn *t, struct ikev1_ike *ike,
                          enum ikev1_transaction_about about, const struct ikev1_cfg_payload *cfg)
{
    struct ikev1_transactions *all = ike->transactions;

    if (about == IKEV1_ABOUT_LOGIN) {
        take_reply(t, ike, cfg);
    } else if (all->refusing) {
        refused(t, &all->refusal);
    } else {
        ikev1_settings_begin(t, ike);
    }
}

static struct slice shortened(struct slice message)
{
    if (message.length > IKEV1_LOGIN_MESSAGE_BYTES_MAX) {
        message.length = IKEV1_LOGIN_MESSAGE_BYTES_MAX;
    }
    return message;
}

static void take_verdict(struct ikev1_turn *t, struct ikev1_ike *ike,
                         const struct ikev1_login_answer *answer)
{
    struct ikev1_transactions *all = ike->transactions;
    struct slice message = shortened(answer->message);

    all->ask = 0;
    switch (answer->verdict) {
    case IKEV1_LOGIN_ACCEPTED:
        if (say_status(t, ike, STATUS_OK, message)) {
            through(t, ike);
        }
        return;
    case IKEV1_LOGIN_REFUSED:
        refuse(t, ike, IKEV1_FAIL_LOGIN, "", message);
        return;
    case IKEV1_LOGIN_MORE:
        if (all->round == IKEV1_LOGIN_ROUNDS_MAX) {
            refuse(t, ike, IKEV1_FAIL_LOGIN_TIMEOUT, "too many rounds", message);
            return;
        }
        if (answer->wanted != 0) {
            all->kind = IKEV1_LOGIN_GENERIC;
            all->wanted = answer->wanted;
        }
        ask_user(t, ike, message);
        return;
    }
}

/* ---- client ---- */

/* One question at a time: what was asked before is not answered any more. */
static void forget_questions(struct ikev1_turn *t, struct ikev1_ike *ike,
                             const struct ikev1_transaction *but)
{
    struct ikev1_transaction *next;

    for (struct ikev1_transaction *i = ike->transactions->list; i != NULL; i = next) {
        next = i->next;
        if (i != but && !i->own && i->about == IKEV1_ABOUT_LOGIN &&
            i->step == IKEV1_TRANSACTION_ASKING) {
            ikev1_transaction_drop(t, ike, i);
        }
    }
}

/* REPLY(STATUS=FAIL), and that is the end (5). */
static void decline(struct ikev1_turn *t, struct ikev1_ike *ike,
                    struct ikev1_transaction *transaction, const char *detail)
{
    struct ikev1_cfg_payload cfg = {0};

    ikev1_cfg_add_short(&cfg, IKEV1_XAUTH_STATUS, STATUS_FAIL);
    ikev1_transaction_answer(t, ike, transaction, &cfg);
    refused_for(t, IKEV1_FAIL_LOGIN, detail);
}

static bool kind_of(uint64_t type, enum ikev1_login_kind *out)
{
    *out = type == IKEV1_XAUTH_RADIUS_CHAP ? IKEV1_LOGIN_CHAP : IKEV1_LOGIN_GENERIC;
    return type == IKEV1_XAUTH_RADIUS_CHAP || type == IKEV1_XAUTH_GENERIC;
}

static bool read_question(struct ikev1_turn *t, struct ikev1_ike *ike,
                          const struct ikev1_cfg_payload *cfg)
{
    struct ikev1_transactions *all = ike->transactions;
    struct slice challenge = value_of(cfg, IKEV1_XAUTH_CHALLENGE);

    all->has_type = find_attribute(cfg, IKEV1_XAUTH_TYPE) != NULL;
    all->type = (uint16_t)type_of(cfg);
    all->wanted = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(credentials); i++) {
        if (find_attribute(cfg, credentials[i].attribute) != NULL) {
            all->wanted |= credentials[i].bit;
        }
    }
    ikev1_block_drop(t->sa, &all->asked_challenge);
    all->chap_identifier = (uint8_t)random_below(t->sa->random, UINT8_MAX);
    return kind_of(type_of(cfg), &all->kind) && all->wanted != 0 &&
           (all->kind != IKEV1_LOGIN_CHAP ||
            (challenge.length > 0 && challenge.length <= UINT8_MAX &&
             ikev1_block_copy(challenge, &all->asked_challenge)));
}

static void take_request(struct ikev1_turn *t, struct ikev1_ike *ike,
                         struct ikev1_transaction *transaction, const struct ikev1_cfg_payload *cfg)
{
    struct ikev1_transactions *all = ike->transactions;

    forget_questions(t, ike, transaction);
    retransmit_stop(&ike->retransmit);
    all->round++;
    if (all->round > IKEV1_LOGIN_ROUNDS_MAX) {
        decline(t, ike, transaction, "the gateway asks again and again");
        return;
    }
    if (!read_question(t, ike, cfg)) {
        decline(t, ike, transaction, "the gateway asks for something that we cannot say");
        return;
    }
    if (ike->phase == IKEV1_IKE_LOGIN) {
        all->login_ms = all->login_end_ms;
    }
    struct ikev1_action *action = ikev1_act(t, IKEV1_ASK_CREDENTIALS);

    transaction->ask = ikev1_question(t->sa);
    action->credentials.id = transaction->ask;
    action->credentials.round = all->round;
    action->credentials.kind = all->kind;
    action->credentials.wanted = all->wanted;
    action->credentials.challenge = all->asked_challenge;
    action->credentials.message = shortened(value_of(cfg, IKEV1_XAUTH_MESSAGE));
}

static void take_status(struct ikev1_turn *t, struct ikev1_ike *ike,
                        struct ikev1_transaction *transaction, const struct ikev1_cfg_payload *cfg)
{
    const struct ikev1_attribute *status = find_attribute(cfg, IKEV1_XAUTH_STATUS);
    struct ikev1_cfg_payload nothing = {0};
    struct ikev1_failure failure;

    forget_questions(t, ike, transaction);
    retransmit_stop(&ike->retransmit);
    ikev1_transaction_answer(t, ike, transaction, &nothing);
    if (status != NULL && status->number == STATUS_OK) {
        /* Without a question before it: whoever proved himself is known already (5.5). */
        ike->transactions->round = 0;
        through(t, ike);
        return;
    }
    ikev1_failure_set(&failure, IKEV1_FAIL_LOGIN, IKEV1_TRANSACTION, 0, "");
    struct text text = text_over(failure.detail, sizeof(failure.detail));

    text_add_escaped(&text, shortened(value_of(cfg, IKEV1_XAUTH_MESSAGE)));
    refused(t, &failure);
}

void ikev1_login_asked(struct ikev1_turn *t, struct ikev1_ike *ike,
                       struct ikev1_transaction *transaction, const struct ikev1_cfg_payload *cfg)
{
    if (transaction->type == IKEV1_CFG_REQUEST) {
        take_request(t, ike, transaction, cfg);
    } else {
        take_status(t, ike, transaction, cfg);
    }
}

/* RFC 1994 4.1: the hash of identifier, password and challenge. */
static bool chap_response(const struct ikev1_transactions *all, struct slice password,
                          uint8_t out[1 + IKEV1_CHAP_RESPONSE_BYTES])
{
    const struct suite md5 = {.prf = PRF_HMAC_MD5};
    const struct slice parts[] = {
        {&all->chap_identifier, 1},
        password,
        all->asked_challenge,
    };
    struct ikev1_hash_value hash;

    bool ok = ikev1_hash(&md5, parts, ARRAY_LENGTH(parts), &hash) &&
              hash.length == IKEV1_CHAP_RESPONSE_BYTES;

    if (ok) {
        out[0] = all->chap_identifier;
        memcpy(out + 1, hash.octets, IKEV1_CHAP_RESPONSE_BYTES);
    }
    wipe(&hash, sizeof(hash));
    return ok;
}

static void say_credentials(struct ikev1_turn *t, struct ikev1_ike *ike,
                            struct ikev1_transaction *transaction,
                            const struct ikev1_credentials *given)
{
    const struct ikev1_transactions *all = ike->transactions;
    struct ikev1_credentials say = *given;
    struct ikev1_cfg_payload cfg = {0};
    uint8_t response[1 + IKEV1_CHAP_RESPONSE_BYTES];

    if (all->kind == IKEV1_LOGIN_CHAP) {
        if (!chap_response(all, given->password, response)) {
            decline(t, ike, transaction, "no response to the challenge could be made");
            return;
        }
        say.password = SLICE_OF(response);
    }
    if (all->has_type) {
        ikev1_cfg_add_short(&cfg, IKEV1_XAUTH_TYPE, all->type);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(credentials); i++) {
        if ((all->wanted & credentials[i].bit) != 0) {
            ikev1_cfg_add(&cfg, credentials[i].attribute, *place_of(&say, credentials[i].bit));
        }
    }
    ikev1_transaction_answer(t, ike, transaction, &cfg);
    wipe(response, sizeof(response));
}

/* ---- answers ---- */

void ikev1_sa_answer_login(struct ikev1_sa *sa, uint32_t id,
                           const struct ikev1_login_answer *answer, uint64_t now_ms,
                           struct ikev1_actions *actions)
{
    struct ikev1_turn t = ikev1_turn_begin(sa, now_ms, actions);
    struct ikev1_ike *ike = sa->ikes;

    while (ike != NULL && (ike->transactions == NULL || ike->transactions->ask != id)) {
        ike = ike->next;
    }
    if (id != 0 && ike != NULL) {
        take_verdict(&t, ike, answer);
        ikev1_turn_finish(&t);
    }
}

static struct ikev1_transaction *find_question(const struct ikev1_ike *ike, uint32_t id)
{
    struct ikev1_transaction *i = ike->transactions != NULL ? ike->transactions->list : NULL;

    while (i != NULL && (i->ask != id || i->about != IKEV1_ABOUT_LOGIN)) {
        i = i->next;
    }
    return i;
}

void ikev1_sa_answer_credentials(struct ikev1_sa *sa, uint32_t id,
                                 const struct ikev1_credentials *given, uint64_t now_ms,
                                 struct ikev1_actions *actions)
{
    struct ikev1_turn t = ikev1_turn_begin(sa, now_ms, actions);

    for (struct ikev1_ike *ike = sa->ikes; ike != NULL && id != 0; ike = ike->next) {
        struct ikev1_transaction *transaction = find_question(ike, id);

        if (transaction == NULL) {
            continue;
        }
        if (given == NULL) {
            decline(&t, ike, transaction, "there is no name and password");
        } else {
            say_credentials(&t, ike, transaction, given);
        }
        ikev1_turn_finish(&t);
        return;
    }
}

/* ---- time ---- */

void ikev1_login_time(struct ikev1_turn *t, struct ikev1_ike *ike)
{
    struct ikev1_transactions *all = ike->transactions;

    if (all->refusing) {
        refused(t, &all->refusal);
    } else if (all->login == IKEV1_LOGIN_ASK) {
        given_up(t, ike, IKEV1_FAIL_LOGIN_TIMEOUT, "");
    } else if (all->round > 0) {
        given_up(t, ike, IKEV1_FAIL_LOGIN_TIMEOUT, "the gateway does not say what came of it");
    } else if (all->renewed) {
        /* He knows the user from before and asks nobody twice. */
        through(t, ike);
    } else {
        given_up(t, ike, IKEV1_FAIL_LOGIN_UNASKED, "");
    }
}

void ikev1_login_unanswered(struct ikev1_turn *t, struct ikev1_ike *ike,
                            enum ikev1_transaction_about about)
{
    if (about == IKEV1_ABOUT_STATUS && ike->transactions->refusing) {
        refused(t, &ike->transactions->refusal);
    } else if (about == IKEV1_ABOUT_STATUS && ike->phase != IKEV1_IKE_LOGIN) {
        /* He has the good news, or nothing will come of it: liveness finds out. */
        ikev1_settings_begin(t, ike);
    } else {
        given_up(t, ike, IKEV1_FAIL_NO_ANSWER, "");
    }
}
