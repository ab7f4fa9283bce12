/*
 * Which algorithms an ISAKMP SA has: SA payloads of phase 1 (RFC 2409 5, appendix A), by the
 * numbers of crypto/catalog.h. Decides that the strongest that both allow is chosen: unlike
 * IKEv2's, the offer is covered by no proof of the responder's in which order it stood.
 */
#include <assert.h>
#include <string.h>

#include "proto/ikev1/suites.h"

/* ---- numbers ---- */

static const struct ikev1_number ciphers[] = {
    {ENCRYPTION_DES, IKEV1_DES_CBC},
    {ENCRYPTION_3DES, IKEV1_3DES_CBC},
    {ENCRYPTION_AES_CBC, IKEV1_AES_CBC},
    {ENCRYPTION_CAMELLIA_CBC, IKEV1_CAMELLIA_CBC},
};
static const struct ikev1_number hashes[] = {
    {PRF_HMAC_MD5, IKEV1_HASH_MD5},           {PRF_HMAC_SHA1, IKEV1_HASH_SHA1},
    {PRF_HMAC_SHA2_256, IKEV1_HASH_SHA2_256}, {PRF_HMAC_SHA2_384, IKEV1_HASH_SHA2_384},
    {PRF_HMAC_SHA2_512, IKEV1_HASH_SHA2_512},
};

uint16_t ikev1_to_wire(const struct ikev1_number *table, size_t count, uint16_t catalog)
{
    for (size_t i = 0; i < count; i++) {
        if (table[i].catalog == catalog) {
            return table[i].wire;
        }
    }
    return 0;
}

bool ikev1_from_wire(const struct ikev1_number *table, size_t count, uint16_t wire,
                     uint16_t *catalog)
{
    for (size_t i = 0; i < count; i++) {
        if (table[i].wire == wire) {
            *catalog = table[i].catalog;
            return true;
        }
    }
    return false;
}

/* Groups have the same numbers in both versions; a KEM has no place in a message that both sides
 * send without having seen the other's. */
bool ikev1_group_is_sayable(uint16_t group)
{
    return group != KEY_EXCHANGE_NONE && !key_exchange_is_post_quantum(group) &&
           algorithm_find(TRANSFORM_KEY_EXCHANGE, group) != NULL;
}

/* ---- what a policy has ---- */

bool ikev1_proposal_has(const struct proposal *p, uint8_t type, uint16_t id, uint16_t key_bits)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct transform *t = &p->transforms[i];

        if (t->type == type && t->id == id && t->key_bits == key_bits) {
            return true;
        }
    }
    return false;
}

bool ikev1_proposal_has_type(const struct proposal *p, uint8_t type)
{
    for (size_t i = 0; i < p->count; i++) {
        if (p->transforms[i].type == type && p->transforms[i].id != 0) {
            return true;
        }
    }
    return false;
}

const struct transform *ikev1_transform_at(const struct proposal *p, uint8_t type, size_t index)
{
    for (size_t i = 0; i < p->count; i++) {
        if (p->transforms[i].type == type && index-- == 0) {
            return &p->transforms[i];
        }
    }
    return NULL;
}

/* Worse than: first how weak the weakest part is, then part by part. */
struct worth {
    uint32_t parts[6];
};

uint32_t ikev1_strength_of(uint8_t type, uint16_t id)
{
    const struct algorithm *a = id != 0 ? algorithm_find(type, id) : NULL;

    return a != NULL ? (uint32_t)a->strength : STRENGTH_GOOD;
}

static uint32_t rank_of(uint8_t type, uint16_t id)
{
    const struct algorithm *a = id != 0 ? algorithm_find(type, id) : NULL;

    return a != NULL ? a->rank : 0;
}

static struct worth worth_of(const struct suite *s)
{
    const struct transform parts[] = {
        {TRANSFORM_ENCRYPTION, s->encryption, 0},
        {TRANSFORM_PRF, s->prf, 0},
        {TRANSFORM_INTEGRITY, s->integrity, 0},
        {TRANSFORM_KEY_EXCHANGE, s->key_exchange, 0},
    };
    struct worth worth = {.parts = {STRENGTH_GOOD}};

    for (size_t i = 0; i < ARRAY_LENGTH(parts); i++) {
        uint32_t strength = ikev1_strength_of(parts[i].type, parts[i].id);

        worth.parts[0] = strength < worth.parts[0] ? strength : worth.parts[0];
    }
    worth.parts[1] = rank_of(TRANSFORM_ENCRYPTION, s->encryption);
    worth.parts[2] = s->key_bits;
    worth.parts[3] = rank_of(TRANSFORM_INTEGRITY, s->integrity) + rank_of(TRANSFORM_PRF, s->prf);
    worth.parts[4] = rank_of(TRANSFORM_KEY_EXCHANGE, s->key_exchange);
    worth.parts[5] = s->esn;
    return worth;
}

bool ikev1_suite_is_better(const struct suite *a, const struct suite *b)
{
    struct worth left = worth_of(a);
    struct worth right = worth_of(b);

    for (size_t i = 0; i < ARRAY_LENGTH(left.parts); i++) {
        if (left.parts[i] != right.parts[i]) {
            return left.parts[i] > right.parts[i];
        }
    }
    return false;
}

/* RFC 3602 5.1: without a key length it is the shortest key. */
bool ikev1_read_key_bits(uint16_t encryption, uint16_t said, uint16_t *out)
{
    const struct algorithm *a = algorithm_find(TRANSFORM_ENCRYPTION, encryption);

    if (a == NULL) {
        return false;
    }
    if (!a->key_bits_on_wire) {
        *out = 0;
        return said == 0 || said == a->key_bits[0];
    }
    *out = said != 0 ? said : a->key_bits[0];
    return algorithm_allows_key_bits(a, *out);
}

/* ---- phase 1 ---- */

uint16_t ikev1_phase1_first_group(const struct proposals *policy)
{
    for (size_t i = 0; i < policy->count; i++) {
        const struct transform *group;

        for (size_t k = 0;
             (group = ikev1_transform_at(&policy->list[i], TRANSFORM_KEY_EXCHANGE, k)) != NULL;
             k++) {
            if (ikev1_group_is_sayable(group->id)) {
                return group->id;
            }
        }
    }
    return 0;
}

/* Lifetimes are said in seconds, rounded down; the attribute has no "never". */
uint64_t ikev1_said_seconds(uint64_t lifetime_ms, uint64_t without)
{
    uint64_t seconds = lifetime_ms == NEVER_MS ? without : lifetime_ms / 1000;

    return seconds == 0 ? 1 : seconds;
}

static void add_phase1(struct ikev1_sa_payload *out, const struct transform *cipher,
                       const struct transform *hash, const struct transform *group, uint16_t method,
                       uint64_t seconds)
{
    struct ikev1_wire_transform t = {
        .number = (uint8_t)(out->transform_count + 1),
        .id = IKEV1_KEY_IKE,
        .encryption = TO_WIRE(ciphers, cipher->id),
        .key_bits = cipher->key_bits,
        .hash = TO_WIRE(hashes, hash->id),
        .group = group->id,
        .auth_method = method,
        .life_seconds = seconds,
    };

    if (t.encryption == 0 || t.hash == 0 || !ikev1_group_is_sayable(group->id) ||
        out->transform_count == IKEV1_PHASE1_TRANSFORMS_MAX) {
        return;
    }
    for (size_t i = 0; i < out->transform_count; i++) {
        const struct ikev1_wire_transform *other = &out->transforms[i];

        if (other->encryption == t.encryption && other->key_bits == t.key_bits &&
            other->hash == t.hash && other->group == t.group) {
            return;
        }
    }
    out->transforms[out->transform_count++] = t;
}

static void add_phase1_proposal(struct ikev1_sa_payload *out, const struct proposal *p,
                                uint16_t method, uint16_t only_group, uint64_t seconds)
{
    const struct transform *group;
    const struct transform *cipher;
    const struct transform *hash;

    for (size_t g = 0; (group = ikev1_transform_at(p, TRANSFORM_KEY_EXCHANGE, g)) != NULL; g++) {
        if (only_group != 0 && group->id != only_group) {
            continue;
        }
        for (size_t c = 0; (cipher = ikev1_transform_at(p, TRANSFORM_ENCRYPTION, c)) != NULL; c++) {
            for (size_t h = 0; (hash = ikev1_transform_at(p, TRANSFORM_PRF, h)) != NULL; h++) {
                add_phase1(out, cipher, hash, group, method, seconds);
            }
        }
    }
}

bool ikev1_phase1_offer(const struct proposals *policy, uint16_t method, uint16_t group,
                        uint64_t lifetime_ms, struct ikev1_sa_payload *out)
{
    out->doi = IKEV1_DOI_IPSEC;
    out->situation = IKEV1_SIT_IDENTITY_ONLY;
    out->proposal_count = 1;
    out->transform_count = 0;
    for (size_t i = 0; i < policy->count; i++) {
        add_phase1_proposal(out, &policy->list[i], method, group,
                            ikev1_said_seconds(lifetime_ms, IKEV1_SAID_PHASE1_S));
    }
    out->proposals[0] = (struct ikev1_wire_proposal){
        .number = 1,
        .protocol = IKEV1_PROTO_ISAKMP,
        .count = out->transform_count,
    };
    return out->transform_count > 0;
}

/* False: it has something that we do not know. */
static bool read_phase1(const struct ikev1_wire_transform *t, struct ikev1_phase1_choice *out)
{
    memset(out, 0, sizeof(*out));
    if (t->unknown_attribute || t->id != IKEV1_KEY_IKE || t->prf != 0 ||
        !FROM_WIRE(ciphers, t->encryption, &out->suite.encryption) ||
        !FROM_WIRE(hashes, t->hash, &out->suite.prf) || !ikev1_group_is_sayable(t->group) ||
        !ikev1_read_key_bits(out->suite.encryption, t->key_bits, &out->suite.key_bits)) {
        return false;
    }
    out->suite.key_exchange = t->group;
    ikev1_method_read(t->auth_method, out);
    out->life_seconds = t->life_seconds;
    out->life_kilobytes = t->life_kilobytes;
    out->transform = *t;
    return ikev1_suite_is_usable(&out->suite);
}

bool ikev1_phase1_allows(const struct proposals *policy, const struct suite *suite)
{
    for (size_t i = 0; i < policy->count; i++) {
        const struct proposal *p = &policy->list[i];

        if (p->protocol == PROTOCOL_IKE &&
            ikev1_proposal_has(p, TRANSFORM_ENCRYPTION, suite->encryption, suite->key_bits) &&
            ikev1_proposal_has(p, TRANSFORM_PRF, suite->prf, 0) &&
            ikev1_proposal_has(p, TRANSFORM_KEY_EXCHANGE, suite->key_exchange, 0)) {
            return true;
        }
    }
    return false;
}

static bool any_allows(const struct proposals *const *policies, size_t count,
                       const struct suite *suite)
{
    for (size_t i = 0; i < count; i++) {
        if (ikev1_phase1_allows(policies[i], suite)) {
            return true;
        }
    }
    return false;
}

static bool has_method(const struct ikev1_responder_policy *policy,
                       const struct ikev1_phase1_choice *choice)
{
    if (choice->logs_in != IKEV1_NOBODY) {
        return ikev1_login_is_possible(policy, choice);
    }
    switch (choice->auth_method) {
    case IKEV1_AUTH_SHARED_KEY:
        return policy->shared_keys;
    case IKEV1_AUTH_DSS_SIGNATURE:
        return policy->dss;
    case IKEV1_AUTH_RSA_SIGNATURE:
        return policy->rsa;
    case IKEV1_AUTH_RSA_ENCRYPTION:
        return policy->rsa_encryption;
    case IKEV1_AUTH_RSA_REVISED:
        return policy->rsa_revised;
    case IKEV1_AUTH_ECDSA_256:
        return policy->ecdsa_256;
    case IKEV1_AUTH_ECDSA_384:
        return policy->ecdsa_384;
    case IKEV1_AUTH_ECDSA_521:
        return policy->ecdsa_521;
    default:
        return false;
    }
}

bool ikev1_phase1_has_method(const struct ikev1_sa_payload *offer,
                             const struct ikev1_responder_policy *policy)
{
    for (size_t i = 0; i < offer->transform_count; i++) {
        struct ikev1_phase1_choice choice = {0};

        ikev1_method_read(offer->transforms[i].auth_method, &choice);
        if (has_method(policy, &choice)) {
            return true;
        }
    }
    return false;
}

/* Who can log in shall: a client offers the same without, for gateways that ask nobody. */
static bool is_preferred(const struct ikev1_phase1_choice *a, const struct ikev1_phase1_choice *b)
{
    bool login = a->logs_in != IKEV1_NOBODY;

    if (login != (b->logs_in != IKEV1_NOBODY)) {
        return login;
    }
    return ikev1_suite_is_better(&a->suite, &b->suite);
}

bool ikev1_phase1_choose(const struct ikev1_sa_payload *offer,
                         const struct ikev1_responder_policy *policy,
                         struct ikev1_phase1_choice *out)
{
    bool found = false;

    for (size_t i = 0; i < offer->proposal_count; i++) {
        const struct ikev1_wire_proposal *p = &offer->proposals[i];

        for (size_t k = 0; p->protocol == IKEV1_PROTO_ISAKMP && k < p->count; k++) {
            struct ikev1_phase1_choice choice;

            if (read_phase1(&offer->transforms[p->first + k], &choice) &&
                has_method(policy, &choice) &&
                any_allows(policy->ike, policy->ike_count, &choice.suite) &&
                (!found || is_preferred(&choice, out))) {
                choice.proposal_number = p->number;
                *out = choice;
                found = true;
            }
        }
    }
    return found;
}

void ikev1_phase1_answer(const struct ikev1_phase1_choice *choice, struct ikev1_sa_payload *out)
{
    out->doi = IKEV1_DOI_IPSEC;
    out->situation = IKEV1_SIT_IDENTITY_ONLY;
    out->proposal_count = 1;
    out->transform_count = 1;
    out->transforms[0] = choice->transform;
    out->proposals[0] = (struct ikev1_wire_proposal){
        .number = choice->proposal_number,
        .protocol = IKEV1_PROTO_ISAKMP,
        .count = 1,
    };
}

bool ikev1_phase1_verify(const struct ikev1_sa_payload *sa, const struct proposals *policy,
                         uint16_t method, uint16_t group, struct ikev1_phase1_choice *out)
{
    return sa->proposal_count == 1 && sa->transform_count == 1 &&
           sa->proposals[0].protocol == IKEV1_PROTO_ISAKMP &&
           read_phase1(&sa->transforms[0], out) && sa->transforms[0].auth_method == method &&
           ikev1_phase1_allows(policy, &out->suite) &&
           (group == 0 || out->suite.key_exchange == group);
}

/* ---- words ---- */

void ikev1_add_word(struct text *out, uint8_t type, uint16_t id, uint16_t key_bits, bool dash)
{
    struct transform t = {type, id, key_bits};
    char word[64];

    transform_word(&t, word, sizeof(word));
    text_add(out, dash ? "-" : "");
    text_add(out, word);
}

/* A hash has the word of the MAC that is made of it: sha256. */
static const struct ikev1_number hash_words[] = {
    {INTEGRITY_HMAC_MD5_96, IKEV1_HASH_MD5},
    {INTEGRITY_HMAC_SHA1_96, IKEV1_HASH_SHA1},
    {INTEGRITY_HMAC_SHA2_256_128, IKEV1_HASH_SHA2_256},
    {INTEGRITY_HMAC_SHA2_384_192, IKEV1_HASH_SHA2_384},
    {INTEGRITY_HMAC_SHA2_512_256, IKEV1_HASH_SHA2_512},
};

void ikev1_describe_phase1_offer(const struct ikev1_sa_payload *offer, struct text *out)
{
    for (size_t i = 0; i < offer->transform_count && !out->cut; i++) {
        const struct ikev1_wire_transform *t = &offer->transforms[i];
        uint16_t cipher;
        uint16_t hash;

        text_add(out, i > 0 ? ", " : "");
        if (!FROM_WIRE(ciphers, t->encryption, &cipher) || !FROM_WIRE(hash_words, t->hash, &hash)) {
            text_addf(out, "encryption-%u-hash-%u-group-%u", (unsigned)t->encryption,
                      (unsigned)t->hash, (unsigned)t->group);
        } else {
            ikev1_add_word(out, TRANSFORM_ENCRYPTION, cipher, t->key_bits, false);
            ikev1_add_word(out, TRANSFORM_INTEGRITY, hash, 0, true);
            ikev1_add_word(out, TRANSFORM_KEY_EXCHANGE, t->group, 0, true);
        }
        if (t->auth_method != IKEV1_AUTH_SHARED_KEY) {
            text_addf(out, " (authentication method %u)", (unsigned)t->auth_method);
        }
    }
}
