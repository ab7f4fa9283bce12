/*
 * Which algorithms both sides use: SA payloads of both phases (RFC 2409 5, appendix A; RFC 2407
 * 4.4, 4.5), by the numbers of crypto/catalog.h. Decides that the strongest that both allow is
 * chosen: unlike IKEv2's, the offer is covered by no proof of the responder's in which order it
 * stood.
 */
#include <assert.h>
#include <string.h>

#include "proto/ikev1/machine.h"

/* ---- numbers ---- */

struct pair_of_numbers {
    uint16_t catalog;
    uint16_t wire;
};

static const struct pair_of_numbers ciphers[] = {
    {ENCRYPTION_DES, IKEV1_DES_CBC},
    {ENCRYPTION_3DES, IKEV1_3DES_CBC},
    {ENCRYPTION_AES_CBC, IKEV1_AES_CBC},
    {ENCRYPTION_CAMELLIA_CBC, IKEV1_CAMELLIA_CBC},
};
static const struct pair_of_numbers hashes[] = {
    {PRF_HMAC_MD5, IKEV1_HASH_MD5},           {PRF_HMAC_SHA1, IKEV1_HASH_SHA1},
    {PRF_HMAC_SHA2_256, IKEV1_HASH_SHA2_256}, {PRF_HMAC_SHA2_384, IKEV1_HASH_SHA2_384},
    {PRF_HMAC_SHA2_512, IKEV1_HASH_SHA2_512},
};
static const struct pair_of_numbers esp_ciphers[] = {
    {ENCRYPTION_DES, IKEV1_ESP_DES},
    {ENCRYPTION_3DES, IKEV1_ESP_3DES},
    {ENCRYPTION_NULL, IKEV1_ESP_NULL},
    {ENCRYPTION_AES_CBC, IKEV1_ESP_AES_CBC},
    {ENCRYPTION_AES_CTR, IKEV1_ESP_AES_CTR},
    {ENCRYPTION_AES_CCM_8, IKEV1_ESP_AES_CCM_8},
    {ENCRYPTION_AES_CCM_12, IKEV1_ESP_AES_CCM_12},
    {ENCRYPTION_AES_CCM_16, IKEV1_ESP_AES_CCM_16},
    {ENCRYPTION_AES_GCM_8, IKEV1_ESP_AES_GCM_8},
    {ENCRYPTION_AES_GCM_12, IKEV1_ESP_AES_GCM_12},
    {ENCRYPTION_AES_GCM_16, IKEV1_ESP_AES_GCM_16},
    {ENCRYPTION_CAMELLIA_CBC, IKEV1_ESP_CAMELLIA_CBC},
    {ENCRYPTION_NULL_AES_GMAC, IKEV1_ESP_NULL_AES_GMAC},
};
static const struct pair_of_numbers macs[] = {
    {INTEGRITY_HMAC_MD5_96, IKEV1_HMAC_MD5},
    {INTEGRITY_HMAC_SHA1_96, IKEV1_HMAC_SHA1},
    {INTEGRITY_HMAC_SHA2_256_128, IKEV1_HMAC_SHA2_256},
    {INTEGRITY_HMAC_SHA2_384_192, IKEV1_HMAC_SHA2_384},
    {INTEGRITY_HMAC_SHA2_512_256, IKEV1_HMAC_SHA2_512},
    {INTEGRITY_AES_XCBC_96, IKEV1_AES_XCBC_MAC},
    {INTEGRITY_AES_128_GMAC, IKEV1_AES_128_GMAC},
    {INTEGRITY_AES_192_GMAC, IKEV1_AES_192_GMAC},
    {INTEGRITY_AES_256_GMAC, IKEV1_AES_256_GMAC},
};
/* RFC 2407 4.4.3, RFC 4868, RFC 4543: AH says it twice. */
static const struct pair_of_numbers ah_macs[] = {
    {INTEGRITY_HMAC_MD5_96, IKEV1_AH_MD5},
    {INTEGRITY_HMAC_SHA1_96, IKEV1_AH_SHA1},
    {INTEGRITY_HMAC_SHA2_256_128, IKEV1_AH_SHA2_256},
    {INTEGRITY_HMAC_SHA2_384_192, IKEV1_AH_SHA2_384},
    {INTEGRITY_HMAC_SHA2_512_256, IKEV1_AH_SHA2_512},
    {INTEGRITY_AES_XCBC_96, IKEV1_AH_AES_XCBC},
    {INTEGRITY_AES_128_GMAC, IKEV1_AH_AES_128_GMAC},
    {INTEGRITY_AES_192_GMAC, IKEV1_AH_AES_192_GMAC},
    {INTEGRITY_AES_256_GMAC, IKEV1_AH_AES_256_GMAC},
};

static uint16_t to_wire(const struct pair_of_numbers *table, size_t count, uint16_t catalog)
{
    for (size_t i = 0; i < count; i++) {
        if (table[i].catalog == catalog) {
            return table[i].wire;
        }
    }
    return 0;
}

static bool from_wire(const struct pair_of_numbers *table, size_t count, uint16_t wire,
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

#define TO_WIRE(table, number) to_wire(table, ARRAY_LENGTH(table), number)
#define FROM_WIRE(table, number, out) from_wire(table, ARRAY_LENGTH(table), number, out)

/* Groups have the same numbers in both versions; a KEM has no place in a message that both sides
 * send without having seen the other's. */
static bool group_is_sayable(uint16_t group)
{
    return group != KEY_EXCHANGE_NONE && !key_exchange_is_post_quantum(group) &&
           algorithm_find(TRANSFORM_KEY_EXCHANGE, group) != NULL;
}

/* ---- what a policy has ---- */

static bool has(const struct proposal *p, uint8_t type, uint16_t id, uint16_t key_bits)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct transform *t = &p->transforms[i];

        if (t->type == type && t->id == id && t->key_bits == key_bits) {
            return true;
        }
    }
    return false;
}

static bool has_type(const struct proposal *p, uint8_t type)
{
    for (size_t i = 0; i < p->count; i++) {
        if (p->transforms[i].type == type && p->transforms[i].id != 0) {
            return true;
        }
    }
    return false;
}

static const struct transform *of_type(const struct proposal *p, uint8_t type, size_t index)
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

static uint32_t strength_of(uint8_t type, uint16_t id)
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
        uint32_t strength = strength_of(parts[i].type, parts[i].id);

        worth.parts[0] = strength < worth.parts[0] ? strength : worth.parts[0];
    }
    worth.parts[1] = rank_of(TRANSFORM_ENCRYPTION, s->encryption);
    worth.parts[2] = s->key_bits;
    worth.parts[3] = rank_of(TRANSFORM_INTEGRITY, s->integrity) + rank_of(TRANSFORM_PRF, s->prf);
    worth.parts[4] = rank_of(TRANSFORM_KEY_EXCHANGE, s->key_exchange);
    worth.parts[5] = s->esn;
    return worth;
}

static bool is_better(const struct suite *a, const struct suite *b)
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
static bool read_key_bits(uint16_t encryption, uint16_t said, uint16_t *out)
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

        for (size_t k = 0; (group = of_type(&policy->list[i], TRANSFORM_KEY_EXCHANGE, k)) != NULL;
             k++) {
            if (group_is_sayable(group->id)) {
                return group->id;
            }
        }
    }
    return 0;
}

/* Lifetimes are said in seconds, rounded down; the attribute has no "never". */
static uint64_t said_seconds(uint64_t lifetime_ms, uint64_t without)
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

    if (t.encryption == 0 || t.hash == 0 || !group_is_sayable(group->id) ||
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

    for (size_t g = 0; (group = of_type(p, TRANSFORM_KEY_EXCHANGE, g)) != NULL; g++) {
        if (only_group != 0 && group->id != only_group) {
            continue;
        }
        for (size_t c = 0; (cipher = of_type(p, TRANSFORM_ENCRYPTION, c)) != NULL; c++) {
            for (size_t h = 0; (hash = of_type(p, TRANSFORM_PRF, h)) != NULL; h++) {
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
                            said_seconds(lifetime_ms, IKEV1_SAID_PHASE1_S));
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
        !FROM_WIRE(hashes, t->hash, &out->suite.prf) || !group_is_sayable(t->group) ||
        !read_key_bits(out->suite.encryption, t->key_bits, &out->suite.key_bits)) {
        return false;
    }
    out->suite.key_exchange = t->group;
    out->auth_method = t->auth_method;
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
            has(p, TRANSFORM_ENCRYPTION, suite->encryption, suite->key_bits) &&
            has(p, TRANSFORM_PRF, suite->prf, 0) &&
            has(p, TRANSFORM_KEY_EXCHANGE, suite->key_exchange, 0)) {
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

static bool has_method(const struct ikev1_responder_policy *policy, uint16_t method)
{
    switch (method) {
    case IKEV1_AUTH_SHARED_KEY:
        return policy->shared_keys;
    case IKEV1_AUTH_RSA_SIGNATURE:
        return policy->rsa;
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
        if (has_method(policy, offer->transforms[i].auth_method)) {
            return true;
        }
    }
    return false;
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
                has_method(policy, choice.auth_method) &&
                any_allows(policy->ike, policy->ike_count, &choice.suite) &&
                (!found || is_better(&choice.suite, &out->suite))) {
                choice.proposal_number = p->number;
                *out = choice;
                found = true;
            }
        }
    }
    return found;
}

static void answer(uint8_t number, uint8_t protocol, const struct ikev1_wire_transform *t,
                   struct slice spi, struct ikev1_sa_payload *out)
{
    out->doi = IKEV1_DOI_IPSEC;
    out->situation = IKEV1_SIT_IDENTITY_ONLY;
    out->proposal_count = 1;
    out->transform_count = 1;
    out->transforms[0] = *t;
    out->proposals[0] = (struct ikev1_wire_proposal){
        .number = number,
        .protocol = protocol,
        .spi = spi,
        .count = 1,
    };
}

void ikev1_phase1_answer(const struct ikev1_phase1_choice *choice, struct ikev1_sa_payload *out)
{
    const struct slice none = {NULL, 0};

    answer(choice->proposal_number, IKEV1_PROTO_ISAKMP, &choice->transform, none, out);
}

bool ikev1_phase1_verify(const struct ikev1_sa_payload *sa, const struct proposals *policy,
                         uint16_t method, uint16_t group, struct ikev1_phase1_choice *out)
{
    return sa->proposal_count == 1 && sa->transform_count == 1 &&
           sa->proposals[0].protocol == IKEV1_PROTO_ISAKMP &&
           read_phase1(&sa->transforms[0], out) && out->auth_method == method &&
           ikev1_phase1_allows(policy, &out->suite) &&
           (group == 0 || out->suite.key_exchange == group);
}

/* ---- phase 2 ---- */

uint8_t ikev1_child_policy_protocol(const struct ikev1_child_policy *policy)
{
    return policy->proposals->count > 0 ? policy->proposals->list[0].protocol : PROTOCOL_ESP;
}

uint16_t ikev1_encapsulation_of(const struct ikev1_carriage *c)
{
    if (!c->udp) {
        return c->transport_mode ? IKEV1_TRANSPORT : IKEV1_TUNNEL;
    }
    if (c->draft) {
        return c->transport_mode ? IKEV1_UDP_TRANSPORT_DRAFT : IKEV1_UDP_TUNNEL_DRAFT;
    }
    return c->transport_mode ? IKEV1_UDP_TRANSPORT : IKEV1_UDP_TUNNEL;
}

bool ikev1_carriage_of(uint16_t encapsulation, struct ikev1_carriage *out)
{
    for (unsigned i = 0; i < 8; i++) {
        *out = (struct ikev1_carriage){
            .transport_mode = (i & 1) != 0,
            .udp = (i & 2) != 0,
            .draft = (i & 4) != 0,
        };
        if (ikev1_encapsulation_of(out) == encapsulation) {
            return true;
        }
    }
    return false;
}

static void add_phase2(struct ikev1_sa_payload *out, uint8_t protocol,
                       const struct transform *cipher, const struct transform *mac, uint16_t group,
                       const struct ikev1_child_policy *policy,
                       const struct ikev1_carriage *carriage)
{
    const struct algorithm *a =
        cipher != NULL ? algorithm_find(TRANSFORM_ENCRYPTION, cipher->id) : NULL;
    struct ikev1_wire_transform t = {
        .group = group,
        .encapsulation = ikev1_encapsulation_of(carriage),
        .life_seconds = said_seconds(policy->lifetime_ms, IKEV1_SAID_PHASE2_S),
        .life_kilobytes = policy->lifetime_kilobytes,
    };

    if (out->transform_count == IKEV1_PHASE2_TRANSFORMS_MAX) {
        return;
    }
    if (mac != NULL && mac->id != INTEGRITY_NONE) {
        t.auth_algorithm = TO_WIRE(macs, mac->id);
        if (t.auth_algorithm == 0) {
            return;
        }
    }
    if (protocol == PROTOCOL_AH) {
        t.id = (uint8_t)TO_WIRE(ah_macs, mac->id);
    } else {
        t.id = (uint8_t)TO_WIRE(esp_ciphers, cipher->id);
        t.key_bits = cipher->key_bits;
        /* An AEAD goes alone, all else with an integrity algorithm. */
        if (a == NULL || a->aead != (t.auth_algorithm == 0)) {
            return;
        }
    }
    if (t.id != 0) {
        struct ikev1_wire_proposal *p = &out->proposals[out->proposal_count - 1];

        t.number = (uint8_t)(p->count + 1);
        out->transforms[out->transform_count++] = t;
        p->count++;
    }
}

static void add_phase2_proposal(struct ikev1_sa_payload *out, const struct proposal *p,
                                uint16_t group, const struct ikev1_child_policy *policy,
                                const struct ikev1_carriage *carriage)
{
    const struct transform *cipher;
    const struct transform *mac;

    if (p->protocol == PROTOCOL_AH) {
        for (size_t m = 0; (mac = of_type(p, TRANSFORM_INTEGRITY, m)) != NULL; m++) {
            add_phase2(out, p->protocol, NULL, mac, group, policy, carriage);
        }
        return;
    }
    for (size_t c = 0; (cipher = of_type(p, TRANSFORM_ENCRYPTION, c)) != NULL; c++) {
        const struct algorithm *a = algorithm_find(TRANSFORM_ENCRYPTION, cipher->id);

        if (a != NULL && a->aead) {
            add_phase2(out, p->protocol, cipher, NULL, group, policy, carriage);
            continue;
        }
        for (size_t m = 0; (mac = of_type(p, TRANSFORM_INTEGRITY, m)) != NULL; m++) {
            add_phase2(out, p->protocol, cipher, mac, group, policy, carriage);
        }
    }
}

bool ikev1_phase2_offer(const struct ikev1_child_policy *policy, uint16_t group,
                        const struct ikev1_carriage *carriage, struct slice spi,
                        struct ikev1_sa_payload *out)
{
    out->doi = IKEV1_DOI_IPSEC;
    out->situation = IKEV1_SIT_IDENTITY_ONLY;
    out->proposal_count = 0;
    out->transform_count = 0;
    for (size_t i = 0; i < policy->proposals->count; i++) {
        const struct proposal *p = &policy->proposals->list[i];

        /* One Quick Mode has one KE payload at most (RFC 2409 5.5). */
        if (group != 0 ? !has(p, TRANSFORM_KEY_EXCHANGE, group, 0)
                       : has_type(p, TRANSFORM_KEY_EXCHANGE)) {
            continue;
        }
        out->proposals[out->proposal_count++] = (struct ikev1_wire_proposal){
            .number = (uint8_t)(out->proposal_count + 1),
            .protocol = p->protocol,
            .spi = spi,
            .first = out->transform_count,
        };
        add_phase2_proposal(out, p, group, policy, carriage);
        if (out->proposals[out->proposal_count - 1].count == 0) {
            out->proposal_count--;
        }
    }
    for (size_t i = 0; i < out->proposal_count; i++) {
        out->proposals[i].number = (uint8_t)(i + 1);
    }
    return out->proposal_count > 0;
}

static bool read_phase2(const struct ikev1_wire_proposal *p, const struct ikev1_wire_transform *t,
                        struct ikev1_phase2_choice *out)
{
    struct suite *s = &out->suite;

    memset(out, 0, sizeof(*out));
    if (t->unknown_attribute || p->spi.length != 4 || t->key_rounds != 0 ||
        t->compress_dictionary != 0) {
        return false;
    }
    if (t->auth_algorithm != 0 && !FROM_WIRE(macs, t->auth_algorithm, &s->integrity)) {
        return false;
    }
    if (p->protocol == IKEV1_PROTO_AH) {
        uint16_t said;

        if (!FROM_WIRE(ah_macs, t->id, &said) || said != s->integrity ||
            !suite_is_usable_for_ah(s)) {
            return false;
        }
    } else if (p->protocol != IKEV1_PROTO_ESP || !FROM_WIRE(esp_ciphers, t->id, &s->encryption) ||
               !read_key_bits(s->encryption, t->key_bits, &s->key_bits) || !suite_is_usable(s)) {
        return false;
    }
    if (t->group != 0 && !group_is_sayable(t->group)) {
        return false;
    }
    s->key_exchange = t->group;
    s->esn = t->esn == 1;
    out->protocol = p->protocol;
    out->proposal_number = p->number;
    out->spi = get_u32(p->spi.data);
    out->encapsulation = t->encapsulation;
    out->life_seconds = t->life_seconds;
    out->life_kilobytes = t->life_kilobytes;
    out->transform = *t;
    /* RFC 2407 4.6.2.1 leaves SPIs below 256 to others. */
    return out->spi > 255;
}

static bool phase2_allows(const struct proposal *p, const struct suite *s, uint8_t protocol,
                          bool any_group)
{
    const struct algorithm *a =
        s->encryption != 0 ? algorithm_find(TRANSFORM_ENCRYPTION, s->encryption) : NULL;
    bool group_fits =
        any_group ||
        (has_type(p, TRANSFORM_KEY_EXCHANGE)
             ? s->key_exchange != 0 && has(p, TRANSFORM_KEY_EXCHANGE, s->key_exchange, 0)
             : s->key_exchange == 0 ||
                   strength_of(TRANSFORM_KEY_EXCHANGE, s->key_exchange) != STRENGTH_LEGACY);
    bool long_numbers = has(p, TRANSFORM_ESN, ESN_YES, 0);
    bool short_numbers = has(p, TRANSFORM_ESN, ESN_NO, 0) || !long_numbers;

    return p->protocol == protocol && group_fits && (s->esn ? long_numbers : short_numbers) &&
           (protocol == PROTOCOL_AH || has(p, TRANSFORM_ENCRYPTION, s->encryption, s->key_bits)) &&
           (a != NULL && a->aead ? s->integrity == INTEGRITY_NONE
                                 : has(p, TRANSFORM_INTEGRITY, s->integrity, 0));
}

static bool policy_allows(const struct ikev1_child_policy *policy,
                          const struct ikev1_phase2_choice *c)
{
    for (size_t i = 0; i < policy->proposals->count; i++) {
        if (phase2_allows(&policy->proposals->list[i], &c->suite, c->protocol, policy->any_group)) {
            return true;
        }
    }
    return false;
}

/* Whether what is written says how we want it carried. What says nothing is as we want it (RFC 2407
 * 4.5: host dependent). */
static bool carriage_fits(uint16_t encapsulation, const struct ikev1_carriage *wanted,
                          bool either_mode)
{
    struct ikev1_carriage said;

    if (encapsulation == 0) {
        return !wanted->udp;
    }
    return ikev1_carriage_of(encapsulation, &said) && said.udp == wanted->udp &&
           (either_mode || said.transport_mode == wanted->transport_mode);
}

/* Several protocols under one number are to be taken together. */
static bool stands_alone(const struct ikev1_sa_payload *sa, size_t index)
{
    for (size_t i = 0; i < sa->proposal_count; i++) {
        if (i != index && sa->proposals[i].number == sa->proposals[index].number) {
            return false;
        }
    }
    return true;
}

bool ikev1_phase2_choose(const struct ikev1_sa_payload *offer,
                         const struct ikev1_child_policy *policy, bool has_ke,
                         const struct ikev1_carriage *wanted, bool either_mode,
                         struct ikev1_phase2_choice *out)
{
    bool found = false;

    for (size_t i = 0; i < offer->proposal_count; i++) {
        const struct ikev1_wire_proposal *p = &offer->proposals[i];

        for (size_t k = 0; stands_alone(offer, i) && k < p->count; k++) {
            struct ikev1_phase2_choice choice;

            if (read_phase2(p, &offer->transforms[p->first + k], &choice) &&
                (choice.suite.key_exchange != 0) == has_ke &&
                carriage_fits(choice.encapsulation, wanted, either_mode) &&
                policy_allows(policy, &choice) &&
                (!found || is_better(&choice.suite, &out->suite))) {
                *out = choice;
                found = true;
            }
        }
    }
    return found;
}

void ikev1_phase2_answer(const struct ikev1_phase2_choice *choice, struct slice spi,
                         struct ikev1_sa_payload *out)
{
    answer(choice->proposal_number, choice->protocol, &choice->transform, spi, out);
}

bool ikev1_phase2_verify(const struct ikev1_sa_payload *sa, const struct ikev1_child_policy *policy,
                         uint16_t group, const struct ikev1_carriage *carriage,
                         struct ikev1_phase2_choice *out)
{
    return sa->proposal_count == 1 && sa->transform_count == 1 &&
           read_phase2(&sa->proposals[0], &sa->transforms[0], out) &&
           out->suite.key_exchange == group && policy_allows(policy, out) && !out->suite.esn &&
           (out->encapsulation == 0 || carriage_fits(out->encapsulation, carriage, false));
}

/* ---- words ---- */

static void add_word(struct text *out, uint8_t type, uint16_t id, uint16_t key_bits, bool dash)
{
    struct transform t = {type, id, key_bits};
    char word[64];

    transform_word(&t, word, sizeof(word));
    text_add(out, dash ? "-" : "");
    text_add(out, word);
}

/* A hash has the word of the MAC that is made of it: sha256. */
static const struct pair_of_numbers hash_words[] = {
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
            add_word(out, TRANSFORM_ENCRYPTION, cipher, t->key_bits, false);
            add_word(out, TRANSFORM_INTEGRITY, hash, 0, true);
            add_word(out, TRANSFORM_KEY_EXCHANGE, t->group, 0, true);
        }
        if (t->auth_method != IKEV1_AUTH_SHARED_KEY) {
            text_addf(out, " (authentication method %u)", (unsigned)t->auth_method);
        }
    }
}

void ikev1_describe_phase2_offer(const struct ikev1_sa_payload *offer, struct text *out)
{
    for (size_t i = 0; i < offer->proposal_count; i++) {
        const struct ikev1_wire_proposal *p = &offer->proposals[i];

        for (size_t k = 0; k < p->count && !out->cut; k++) {
            const struct ikev1_wire_transform *t = &offer->transforms[p->first + k];
            uint16_t number;

            text_add(out, i + k > 0 ? ", " : "");
            text_add(out, p->protocol == IKEV1_PROTO_AH ? "ah " : "");
            if (p->protocol == IKEV1_PROTO_ESP && FROM_WIRE(esp_ciphers, t->id, &number)) {
                add_word(out, TRANSFORM_ENCRYPTION, number, t->key_bits, false);
            } else if (p->protocol != IKEV1_PROTO_AH) {
                text_addf(out, "protocol-%u-transform-%u", (unsigned)p->protocol, (unsigned)t->id);
            }
            if (t->auth_algorithm != 0 && FROM_WIRE(macs, t->auth_algorithm, &number)) {
                add_word(out, TRANSFORM_INTEGRITY, number, 0, p->protocol != IKEV1_PROTO_AH);
            }
            if (t->group != 0) {
                add_word(out, TRANSFORM_KEY_EXCHANGE, t->group, 0, true);
            }
        }
    }
}
