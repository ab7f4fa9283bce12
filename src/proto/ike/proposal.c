/*
 * Proposals (RFC 7296 2.7, 3.3): what is offered, which suite is chosen, and whether an answer is
 * one that was offered.
 */
#include "proto/ike/proposal.h"

#include <assert.h>
#include <string.h>

/* One of each type that a wire proposal and a proposal of the policy have in common;
 * `transform` counts only when `found`. */
struct common {
    bool found;
    struct transform transform;
    const struct algorithm *algorithm;
};

/* What a wire proposal says beside its algorithms. */
struct wire_facts {
    bool has_integrity, has_integrity_none;
    bool has_key_exchange, has_key_exchange_none;
    bool has_esn, has_esn_no;
};

/* A suite that both allow, and what it is judged by, the most important first. */
struct candidate {
    struct proposal_choice choice;
    int merit[10];
};

static bool protocol_is_ike(uint8_t protocol)
{
    return protocol == PROTOCOL_IKE;
}

/* RFC 7296 3.3.3: which types may stand in a proposal. Another one makes it unusable. */
static bool type_belongs(uint8_t protocol, enum proposal_use use, uint8_t type)
{
    switch (type) {
    case TRANSFORM_INTEGRITY:
    case TRANSFORM_KEY_EXCHANGE:
        return true;
    case TRANSFORM_ENCRYPTION:
        return protocol != PROTOCOL_AH;
    case TRANSFORM_PRF:
        return protocol_is_ike(protocol);
    case TRANSFORM_ESN:
        return !protocol_is_ike(protocol);
    default:
        return use != PROPOSAL_WITH_KE && transform_is_additional(type);
    }
}

static uint64_t spi_value(struct slice spi)
{
    uint64_t value = 0;

    for (size_t i = 0; i < spi.length; i++) {
        value = value << 8 | spi.data[i];
    }
    return value;
}

static bool spi_is_good(struct slice spi, size_t spi_bytes)
{
    return spi.length == spi_bytes && (spi_bytes == 0 || spi_value(spi) != 0);
}

/* False when the proposal is passed over as a whole. */
static bool wire_proposal_look(const struct ikev2_sa_payload *sa,
                               const struct ikev2_wire_proposal *proposal, uint8_t protocol,
                               size_t spi_bytes, enum proposal_use use, struct wire_facts *facts)
{
    *facts = (struct wire_facts){0};
    if (proposal->protocol != protocol || !spi_is_good(proposal->spi, spi_bytes)) {
        return false;
    }
    for (size_t i = 0; i < proposal->count; i++) {
        const struct ikev2_wire_transform *t = &sa->transforms[proposal->first + i];

        if (!type_belongs(protocol, use, t->type)) {
            return false;
        }
        bool none = t->id == 0 && t->key_bits == 0 && !t->unknown_attribute;

        facts->has_integrity |= t->type == TRANSFORM_INTEGRITY;
        facts->has_integrity_none |= t->type == TRANSFORM_INTEGRITY && none;
        facts->has_key_exchange |= t->type == TRANSFORM_KEY_EXCHANGE;
        facts->has_key_exchange_none |= t->type == TRANSFORM_KEY_EXCHANGE && none;
        facts->has_esn |= t->type == TRANSFORM_ESN;
        facts->has_esn_no |= t->type == TRANSFORM_ESN && none;
    }
    return true;
}

/* The Key Length attribute that goes with a transform of a policy, 0 for none. */
static uint16_t wire_key_bits(const struct transform *t, const struct algorithm *algorithm)
{
    return algorithm->key_bits_on_wire ? t->key_bits : 0;
}

/* The algorithm of a transform of the policy when the wire proposal has it with the same key size;
 * else NULL. The catalog is asked only about what both have: a stranger may list hundreds. */
static const struct algorithm *wire_proposal_find(const struct ikev2_sa_payload *sa,
                                                  const struct ikev2_wire_proposal *proposal,
                                                  const struct transform *t)
{
    const struct algorithm *algorithm = NULL;

    for (size_t i = 0; i < proposal->count; i++) {
        const struct ikev2_wire_transform *wire = &sa->transforms[proposal->first + i];

        if (wire->id != t->id || wire->type != t->type || wire->unknown_attribute) {
            continue;
        }
        algorithm = algorithm != NULL ? algorithm : algorithm_find(t->type, t->id);
        if (algorithm != NULL && wire->key_bits == wire_key_bits(t, algorithm)) {
            return algorithm;
        }
    }
    return NULL;
}

static bool is_stronger(const struct transform *t, const struct algorithm *algorithm,
                        const struct common *than)
{
    if (!than->found) {
        return true;
    }
    if (algorithm->strength != than->algorithm->strength) {
        return algorithm->strength > than->algorithm->strength;
    }
    if (algorithm->rank != than->algorithm->rank) {
        return algorithm->rank > than->algorithm->rank;
    }
    return t->key_bits > than->transform.key_bits;
}

enum common_kind {
    COMMON_AEAD,
    COMMON_CIPHER,
    COMMON_PRF,
    COMMON_INTEGRITY,
    COMMON_GROUP,
    COMMON_GROUP_OF_KE, /* the group of the KE payload, when it is common */
    COMMON_ESN,
    COMMON_KINDS,
};

static enum common_kind kind_of(const struct transform *t, const struct algorithm *algorithm)
{
    switch ((enum transform_type)t->type) {
    case TRANSFORM_ENCRYPTION:
        return algorithm->aead ? COMMON_AEAD : COMMON_CIPHER;
    case TRANSFORM_PRF:
        return COMMON_PRF;
    case TRANSFORM_INTEGRITY:
        return COMMON_INTEGRITY;
    case TRANSFORM_KEY_EXCHANGE:
        return COMMON_GROUP;
    case TRANSFORM_ESN:
        return COMMON_ESN;
    }
    return COMMON_KINDS;
}

/* The NONE of integrity and key exchange is not an algorithm that could be common. */
static bool transform_is_none(const struct transform *t)
{
    return t->id == 0 && (t->type == TRANSFORM_INTEGRITY || t->type == TRANSFORM_KEY_EXCHANGE ||
                          t->type == TRANSFORM_PRF);
}

static void common_note(struct common *common, const struct transform *t,
                        const struct algorithm *algorithm)
{
    if (is_stronger(t, algorithm, common)) {
        *common = (struct common){true, *t, algorithm};
    }
}

struct policy_facts {
    bool has_key_exchange;
    bool has_esn, has_esn_no;
};

/* The strongest common transform of each kind. */
static struct policy_facts find_common(const struct ikev2_sa_payload *sa,
                                       const struct ikev2_wire_proposal *proposal,
                                       const struct proposal *policy, uint16_t ke_group,
                                       struct common common[COMMON_KINDS])
{
    struct policy_facts facts = {0};

    memset(common, 0, COMMON_KINDS * sizeof(*common));
    for (size_t i = 0; i < policy->count; i++) {
        const struct transform *t = &policy->transforms[i];

        facts.has_esn |= t->type == TRANSFORM_ESN;
        facts.has_esn_no |= t->type == TRANSFORM_ESN && t->id == ESN_NO;
        if (transform_is_none(t) || transform_is_additional(t->type) ||
            (t->type == TRANSFORM_ESN && t->id == ESN_NO)) {
            continue;
        }
        facts.has_key_exchange |= t->type == TRANSFORM_KEY_EXCHANGE;

        const struct algorithm *algorithm = wire_proposal_find(sa, proposal, t);

        if (algorithm == NULL) {
            continue;
        }
        common_note(&common[kind_of(t, algorithm)], t, algorithm);
        if (t->type == TRANSFORM_KEY_EXCHANGE && t->id == ke_group) {
            common_note(&common[COMMON_GROUP_OF_KE], t, algorithm);
        }
    }
    return facts;
}

static void choice_add(struct proposal_choice *choice, uint8_t type, uint16_t id, uint16_t key_bits)
{
    assert(choice->count < PROPOSAL_CHOICE_TRANSFORMS_MAX);
    choice->transforms[choice->count++] = (struct transform){type, id, key_bits};
}

static int lesser(int a, int b)
{
    return a < b ? a : b;
}

/* ESN, and the transform that says so when the offer has one. Left out means without, on
 * either side. */
static bool choose_esn(const struct wire_facts *wire, const struct policy_facts *policy,
                       const struct common *common, struct proposal_choice *choice)
{
    bool yes = common[COMMON_ESN].found;
    bool no = (!wire->has_esn || wire->has_esn_no) && (!policy->has_esn || policy->has_esn_no);

    if (!yes && !no) {
        return false;
    }
    choice->suite.esn = yes;
    if (wire->has_esn) {
        choice_add(choice, TRANSFORM_ESN, yes ? ESN_YES : ESN_NO, 0);
    }
    return true;
}

/* The key exchange of the candidate, by the rule at the head of proposal.h. False when there
 * is none that both allow. */
static bool choose_group(uint8_t protocol, enum proposal_use use, const struct wire_facts *wire,
                         const struct policy_facts *policy, const struct common *common,
                         struct candidate *candidate, const struct algorithm **group)
{
    *group = NULL;
    if (use == PROPOSAL_WITHOUT_KE) {
        return true;
    }
    const struct common *strongest = &common[COMMON_GROUP];
    const struct common *sent = &common[COMMON_GROUP_OF_KE];

    if (strongest->found) {
        *group = strongest->algorithm;
        if (sent->found && sent->algorithm->strength >= strongest->algorithm->strength) {
            *group = sent->algorithm;
        }
        candidate->choice.suite.key_exchange = (*group)->id;
        choice_add(&candidate->choice, TRANSFORM_KEY_EXCHANGE, (*group)->id, 0);
        return true;
    }
    if (protocol_is_ike(protocol) || policy->has_key_exchange ||
        (wire->has_key_exchange && !wire->has_key_exchange_none)) {
        return false;
    }
    if (wire->has_key_exchange) {
        choice_add(&candidate->choice, TRANSFORM_KEY_EXCHANGE, KEY_EXCHANGE_NONE, 0);
    }
    return true;
}

/* Which of the types a proposal has, of the wire or of the policy. */
struct has_type {
    bool any, none;
};

static struct has_type wire_has_type(const struct ikev2_sa_payload *sa,
                                     const struct ikev2_wire_proposal *proposal, uint8_t type)
{
    struct has_type has = {0};

    for (size_t i = 0; i < proposal->count; i++) {
        const struct ikev2_wire_transform *t = &sa->transforms[proposal->first + i];

        has.any |= t->type == type;
        has.none |= t->type == type && t->id == KEY_EXCHANGE_NONE && !t->unknown_attribute;
    }
    return has;
}

static struct has_type policy_type(const struct proposal *policy, uint8_t type)
{
    struct has_type has = {0};

    for (size_t i = 0; i < policy->count; i++) {
        has.any |= policy->transforms[i].type == type;
        has.none |= policy->transforms[i].type == type && policy->transforms[i].id == 0;
    }
    return has;
}

static bool is_taken(const struct proposal_choice *choice, uint16_t group)
{
    for (size_t i = 0; i < choice->additional_count; i++) {
        if (choice->additional[i] == group) {
            return true;
        }
    }
    return choice->suite.key_exchange == group;
}

/* The group of the policy that this transform of the wire is, if it is not taken yet. */
static const struct algorithm *additional_of(const struct proposal *policy,
                                             const struct ikev2_wire_transform *wire,
                                             const struct proposal_choice *choice)
{
    for (size_t i = 0; i < policy->count; i++) {
        const struct transform *t = &policy->transforms[i];

        if (t->type == wire->type && t->id == wire->id && t->id != KEY_EXCHANGE_NONE &&
            wire->key_bits == 0 && !wire->unknown_attribute && !is_taken(choice, t->id)) {
            return algorithm_find(t->type, t->id);
        }
    }
    return NULL;
}

/* The common group of this type: of the strongest class, and of those the first that is offered,
 * as a larger one is not worth its octets. KEY_EXCHANGE_NONE. */
static uint16_t find_additional(const struct ikev2_sa_payload *offer,
                                const struct ikev2_wire_proposal *proposal,
                                const struct proposal *policy, uint8_t type,
                                const struct proposal_choice *choice)
{
    const struct algorithm *best = NULL;

    for (size_t i = 0; i < proposal->count; i++) {
        const struct ikev2_wire_transform *wire = &offer->transforms[proposal->first + i];
        const struct algorithm *algorithm =
            wire->type == type ? additional_of(policy, wire, choice) : NULL;

        if (algorithm != NULL && (best == NULL || algorithm->strength > best->strength)) {
            best = algorithm;
        }
    }
    return best != NULL ? best->id : KEY_EXCHANGE_NONE;
}

/* RFC 9370 2.2.1. False: one side demands what the other does not want, or what is taken already.
 */
static bool choose_additional(const struct ikev2_sa_payload *offer,
                              const struct ikev2_wire_proposal *proposal,
                              const struct proposal *policy, struct proposal_choice *choice)
{
    for (uint8_t type = TRANSFORM_ADDITIONAL_FIRST; type <= TRANSFORM_ADDITIONAL_LAST; type++) {
        struct has_type theirs = wire_has_type(offer, proposal, type);
        struct has_type ours = policy_type(policy, type);
        uint16_t group = find_additional(offer, proposal, policy, type, choice);

        if (group == KEY_EXCHANGE_NONE &&
            ((theirs.any && !theirs.none) || (ours.any && !ours.none))) {
            return false;
        }
        if (theirs.any) {
            choice_add(choice, type, group, 0);
        }
        if (group != KEY_EXCHANGE_NONE) {
            choice->additional[choice->additional_count++] = group;
        }
    }
    /* There must be one to be additional to. */
    return choice->additional_count == 0 || choice->suite.key_exchange != KEY_EXCHANGE_NONE;
}

/* RFC 7296 3.3.2 and RFC 8247 2.1: an IKE SA is always encrypted, whatever a policy says. AH never
 * is, and AES-GMAC as an integrity algorithm is for AH alone (RFC 4543 5.3). */
static bool suite_is_good_for(uint8_t protocol, const struct suite *suite)
{
    if (protocol == PROTOCOL_AH) {
        return suite_is_usable_for_ah(suite);
    }
    return protocol_is_ike(protocol) ? suite_is_usable_for_ike(suite) : suite_is_usable(suite);
}

/* The cipher, where the protocol has one. */
static bool choose_encryption(uint8_t protocol, const struct common *encryption,
                              struct proposal_choice *choice, const struct algorithm **cipher)
{
    *cipher = NULL;
    if (protocol == PROTOCOL_AH) {
        return true;
    }
    if (!encryption->found) {
        return false;
    }
    *cipher = encryption->algorithm;
    choice->suite.encryption = encryption->transform.id;
    choice->suite.key_bits = encryption->transform.key_bits;
    choice_add(choice, TRANSFORM_ENCRYPTION, encryption->transform.id,
               wire_key_bits(&encryption->transform, *cipher));
    return true;
}

/* RFC 5282 8: beside AEAD no integrity algorithm may be selected; one of each type that was
 * offered must be. */
static bool choose_integrity(const struct algorithm *cipher, const struct wire_facts *wire,
                             const struct common *common, struct proposal_choice *choice,
                             const struct algorithm **integrity)
{
    *integrity = NULL;
    if (cipher != NULL && cipher->aead) {
        if (wire->has_integrity && !wire->has_integrity_none) {
            return false;
        }
        if (wire->has_integrity) {
            choice_add(choice, TRANSFORM_INTEGRITY, INTEGRITY_NONE, 0);
        }
        return true;
    }
    if (!common[COMMON_INTEGRITY].found) {
        return false;
    }
    *integrity = common[COMMON_INTEGRITY].algorithm;
    choice->suite.integrity = (*integrity)->id;
    choice_add(choice, TRANSFORM_INTEGRITY, (*integrity)->id, 0);
    return true;
}

/* One suite with this encryption out of a pair of proposals; false when there is none. */
static bool make_candidate(uint8_t protocol, enum proposal_use use, uint16_t ke_group,
                           const struct wire_facts *wire, const struct policy_facts *policy,
                           const struct common *common, const struct common *encryption,
                           struct candidate *out)
{
    const struct algorithm *cipher;
    const struct algorithm *integrity;
    const struct algorithm *prf = NULL;
    const struct algorithm *group = NULL;
    struct proposal_choice *choice = &out->choice;

    *out = (struct candidate){0};
    if (!choose_encryption(protocol, encryption, choice, &cipher)) {
        return false;
    }
    if (protocol_is_ike(protocol)) {
        if (!common[COMMON_PRF].found) {
            return false;
        }
        prf = common[COMMON_PRF].algorithm;
        choice->suite.prf = prf->id;
        choice_add(choice, TRANSFORM_PRF, prf->id, 0);
    }
    if (!choose_integrity(cipher, wire, common, choice, &integrity) ||
        !choose_group(protocol, use, wire, policy, common, out, &group)) {
        return false;
    }
    if (!protocol_is_ike(protocol) && !choose_esn(wire, policy, common, choice)) {
        return false;
    }
    if (!suite_is_good_for(protocol, &choice->suite)) {
        return false;
    }
    int weakest = cipher != NULL ? (int)cipher->strength : STRENGTH_GOOD;

    weakest = integrity != NULL ? lesser(weakest, (int)integrity->strength) : weakest;
    weakest = prf != NULL ? lesser(weakest, (int)prf->strength) : weakest;
    weakest = group != NULL ? lesser(weakest, (int)group->strength) : weakest;

    const int merit[] = {
        weakest,
        0, /* whether it is post-quantum, see try_pair() */
        0, /* additional key exchanges */
        cipher != NULL ? cipher->rank : 0,
        choice->suite.key_bits,
        integrity != NULL ? integrity->rank : UINT16_MAX,
        prf != NULL ? prf->rank : 0,
        use == PROPOSAL_WITHOUT_KE || choice->suite.key_exchange == ke_group,
        group != NULL ? group->rank : 0,
        choice->suite.esn,
    };

    memcpy(out->merit, merit, sizeof(merit));
    return true;
}

static bool is_better(const struct candidate *a, const struct candidate *b)
{
    for (size_t i = 0; i < ARRAY_LENGTH(a->merit); i++) {
        if (a->merit[i] != b->merit[i]) {
            return a->merit[i] > b->merit[i];
        }
    }
    return false;
}

bool proposal_choice_is_post_quantum(const struct proposal_choice *choice)
{
    for (size_t i = 0; i < choice->additional_count; i++) {
        if (key_exchange_is_post_quantum(choice->additional[i])) {
            return true;
        }
    }
    return key_exchange_is_post_quantum(choice->suite.key_exchange);
}

/* The best of a pair of proposals against the best so far. */
static void try_pair(const struct ikev2_sa_payload *offer,
                     const struct ikev2_wire_proposal *proposal, const struct wire_facts *wire,
                     const struct proposal *policy, enum proposal_use use, uint16_t ke_group,
                     struct candidate *best, bool *found)
{
    static const enum common_kind ciphers[] = {COMMON_AEAD, COMMON_CIPHER};
    struct common common[COMMON_KINDS];
    struct policy_facts facts = find_common(offer, proposal, policy, ke_group, common);

    for (size_t i = 0; i < ARRAY_LENGTH(ciphers); i++) {
        struct candidate candidate;

        if (!make_candidate(policy->protocol, use, ke_group, wire, &facts, common,
                            &common[ciphers[i]], &candidate) ||
            (use == PROPOSAL_WITH_ADDITIONAL &&
             !choose_additional(offer, proposal, policy, &candidate.choice))) {
            continue;
        }
        candidate.merit[1] = proposal_choice_is_post_quantum(&candidate.choice);
        candidate.merit[2] = candidate.choice.additional_count;
        if (!*found || is_better(&candidate, best)) {
            *best = candidate;
            best->choice.number = proposal->number;
            best->choice.protocol = proposal->protocol;
            best->choice.spi = spi_value(proposal->spi);
            *found = true;
        }
    }
}

static void try_policies(const struct ikev2_sa_payload *offer,
                         const struct proposals *const *policies, size_t policy_count,
                         uint8_t protocol, size_t spi_bytes, enum proposal_use use,
                         uint16_t ke_group, struct candidate *best, bool *found)
{
    for (size_t p = 0; p < offer->proposal_count; p++) {
        const struct ikev2_wire_proposal *proposal = &offer->proposals[p];
        struct wire_facts wire;

        if (!wire_proposal_look(offer, proposal, protocol, spi_bytes, use, &wire)) {
            continue;
        }
        for (size_t l = 0; l < policy_count; l++) {
            for (size_t q = 0; q < policies[l]->count; q++) {
                const struct proposal *policy = &policies[l]->list[q];

                if (policy->protocol == protocol) {
                    try_pair(offer, proposal, &wire, policy, use, ke_group, best, found);
                }
            }
        }
    }
}

enum proposal_verdict proposal_choose(const struct ikev2_sa_payload *offer,
                                      const struct proposals *const *policies, size_t policy_count,
                                      uint8_t protocol, size_t spi_bytes, enum proposal_use use,
                                      uint16_t ke_group, struct proposal_choice *out)
{
    struct candidate best = {0};
    bool found = false;

    assert(protocol == PROTOCOL_IKE || protocol == PROTOCOL_AH || protocol == PROTOCOL_ESP);
    *out = (struct proposal_choice){0};
    try_policies(offer, policies, policy_count, protocol, spi_bytes, use, ke_group, &best, &found);
    if (!found) {
        return PROPOSAL_NONE;
    }
    *out = best.choice;
    uint16_t group = out->suite.key_exchange;

    return group != KEY_EXCHANGE_NONE && group != ke_group ? PROPOSAL_WRONG_GROUP : PROPOSAL_CHOSEN;
}

/* ---- building ---- */

static void sa_begin_proposal(struct ikev2_sa_payload *sa, uint8_t number, uint8_t protocol,
                              struct slice spi)
{
    sa->proposals[sa->proposal_count++] = (struct ikev2_wire_proposal){
        .number = number,
        .protocol = protocol,
        .spi = spi,
        .first = sa->transform_count,
    };
}

static bool sa_add_transform(struct ikev2_sa_payload *sa, uint8_t type, uint16_t id,
                             uint16_t key_bits)
{
    if (sa->transform_count == IKEV2_TRANSFORMS_MAX) {
        return false;
    }
    sa->transforms[sa->transform_count++] = (struct ikev2_wire_transform){
        .type = type,
        .id = id,
        .key_bits = key_bits,
    };
    sa->proposals[sa->proposal_count - 1].count++;
    return true;
}

void proposal_answer(const struct proposal_choice *choice, struct slice spi,
                     struct ikev2_sa_payload *out)
{
    out->proposal_count = 0;
    out->transform_count = 0;
    sa_begin_proposal(out, choice->number, choice->protocol, spi);
    for (size_t i = 0; i < choice->count; i++) {
        const struct transform *t = &choice->transforms[i];
        bool added = sa_add_transform(out, t->type, t->id, t->key_bits);

        assert(added);
    }
}

static bool transform_is_cipher(const struct transform *t, bool aead)
{
    if (t->type != TRANSFORM_ENCRYPTION) {
        return false;
    }
    const struct algorithm *algorithm = algorithm_find(t->type, t->id);

    return algorithm != NULL && algorithm->aead == aead;
}

static bool policy_has_cipher(const struct proposal *policy, bool aead)
{
    for (size_t i = 0; i < policy->count; i++) {
        if (transform_is_cipher(&policy->transforms[i], aead)) {
            return true;
        }
    }
    return false;
}

static bool policy_has_type(const struct proposal *policy, uint8_t type)
{
    for (size_t i = 0; i < policy->count; i++) {
        if (policy->transforms[i].type == type && !transform_is_none(&policy->transforms[i])) {
            return true;
        }
    }
    return false;
}

/* Whether the transform has a place in a proposal with AEAD ciphers, or in one with the
 * others. */
static bool transform_is_offered(const struct transform *t, uint8_t protocol, bool aead,
                                 enum proposal_use use)
{
    if (transform_is_none(t) || !type_belongs(protocol, use, t->type)) {
        return false;
    }
    if (transform_is_additional(t->type)) {
        return use == PROPOSAL_WITH_ADDITIONAL;
    }
    switch ((enum transform_type)t->type) {
    case TRANSFORM_ENCRYPTION:
        return transform_is_cipher(t, aead);
    case TRANSFORM_INTEGRITY:
        return !aead;
    case TRANSFORM_KEY_EXCHANGE:
        return use != PROPOSAL_WITHOUT_KE;
    case TRANSFORM_PRF:
    case TRANSFORM_ESN:
        return true;
    }
    return false;
}

/* A proposal of the policy can be offered only with all that its kind of cipher and its
 * protocol need. */
static bool policy_is_complete(const struct proposal *policy, bool aead)
{
    if (policy->protocol == PROTOCOL_AH) {
        return !aead && policy_has_type(policy, TRANSFORM_INTEGRITY);
    }
    if (!policy_has_cipher(policy, aead) ||
        (!aead && !policy_has_type(policy, TRANSFORM_INTEGRITY))) {
        return false;
    }
    return !protocol_is_ike(policy->protocol) || (policy_has_type(policy, TRANSFORM_PRF) &&
                                                  policy_has_type(policy, TRANSFORM_KEY_EXCHANGE));
}

static bool offer_add(const struct proposal *policy, bool aead, struct slice spi,
                      enum proposal_use use, struct ikev2_sa_payload *out)
{
    if (!policy_is_complete(policy, aead)) {
        return true;
    }
    if (out->proposal_count == IKEV2_PROPOSALS_MAX) {
        return false;
    }
    sa_begin_proposal(out, (uint8_t)(out->proposal_count + 1), policy->protocol, spi);
    for (int type = TRANSFORM_ENCRYPTION; type <= TRANSFORM_ADDITIONAL_LAST; type++) {
        for (size_t i = 0; i < policy->count; i++) {
            const struct transform *t = &policy->transforms[i];

            if (t->type != type || !transform_is_offered(t, policy->protocol, aead, use)) {
                continue;
            }
            const struct algorithm *algorithm = algorithm_find(t->type, t->id);
            bool known = algorithm != NULL || transform_is_additional(t->type);

            if (known && !sa_add_transform(out, t->type, t->id,
                                           algorithm == NULL ? 0 : wire_key_bits(t, algorithm))) {
                return false;
            }
        }
    }
    /* RFC 7296 3.3.3: for ESP and AH the type is mandatory, also to say without. */
    if (!protocol_is_ike(policy->protocol) && !policy_has_type(policy, TRANSFORM_ESN)) {
        return sa_add_transform(out, TRANSFORM_ESN, ESN_NO, 0);
    }
    return true;
}

static bool policy_begins_with_aead(const struct proposal *policy)
{
    for (size_t i = 0; i < policy->count; i++) {
        if (policy->transforms[i].type == TRANSFORM_ENCRYPTION) {
            return transform_is_cipher(&policy->transforms[i], true);
        }
    }
    return false;
}

bool proposal_offer(const struct proposals *policy, uint8_t protocol, struct slice spi,
                    enum proposal_use use, struct ikev2_sa_payload *out)
{
    out->proposal_count = 0;
    out->transform_count = 0;
    for (size_t q = 0; q < policy->count; q++) {
        const struct proposal *proposal = &policy->list[q];

        if (proposal->protocol != protocol) {
            continue;
        }
        bool aead = policy_begins_with_aead(proposal);

        if (!offer_add(proposal, aead, spi, use, out) ||
            !offer_add(proposal, !aead, spi, use, out)) {
            return false;
        }
    }
    return out->proposal_count > 0;
}

/* ---- verifying ---- */

static const struct ikev2_wire_proposal *offer_find(const struct ikev2_sa_payload *offer,
                                                    uint8_t number)
{
    for (size_t i = 0; i < offer->proposal_count; i++) {
        if (offer->proposals[i].number == number) {
            return &offer->proposals[i];
        }
    }
    return NULL;
}

static bool wire_transforms_equal(const struct ikev2_wire_transform *a,
                                  const struct ikev2_wire_transform *b)
{
    return a->type == b->type && a->id == b->id && a->key_bits == b->key_bits;
}

static bool offer_contains(const struct ikev2_sa_payload *offer,
                           const struct ikev2_wire_proposal *proposal,
                           const struct ikev2_wire_transform *t)
{
    for (size_t i = 0; i < proposal->count; i++) {
        if (wire_transforms_equal(&offer->transforms[proposal->first + i], t)) {
            return true;
        }
    }
    return false;
}

static bool offer_contains_type(const struct ikev2_sa_payload *offer,
                                const struct ikev2_wire_proposal *proposal, uint8_t type)
{
    for (size_t i = 0; i < proposal->count; i++) {
        if (offer->transforms[proposal->first + i].type == type) {
            return true;
        }
    }
    return false;
}

/* One transform of an answer. RFC 7296 3.3.3: NONE of a type that we did not offer says no
 * more than leaving it out. */
static bool answer_transform_is_good(const struct ikev2_sa_payload *offer,
                                     const struct ikev2_wire_proposal *offered,
                                     const struct ikev2_wire_transform *t)
{
    if (t->unknown_attribute) {
        return false;
    }
    if (offer_contains(offer, offered, t)) {
        return true;
    }
    return (t->type == TRANSFORM_INTEGRITY || t->type == TRANSFORM_KEY_EXCHANGE ||
            transform_is_additional(t->type)) &&
           t->id == 0 && t->key_bits == 0 && !offer_contains_type(offer, offered, t->type);
}

/* The key size as the policy has it: the wire leaves out what the algorithm fixes. */
static uint16_t suite_key_bits(const struct ikev2_wire_transform *t)
{
    const struct algorithm *algorithm = algorithm_find(t->type, t->id);

    assert(algorithm != NULL);
    return algorithm->key_bits_on_wire ? t->key_bits : 0;
}

static bool suite_take(struct suite *suite, const struct ikev2_wire_transform *t)
{
    switch ((enum transform_type)t->type) {
    case TRANSFORM_ENCRYPTION:
        suite->encryption = t->id;
        suite->key_bits = suite_key_bits(t);
        return true;
    case TRANSFORM_PRF:
        suite->prf = t->id;
        return true;
    case TRANSFORM_INTEGRITY:
        suite->integrity = t->id;
        return true;
    case TRANSFORM_KEY_EXCHANGE:
        suite->key_exchange = t->id;
        return true;
    case TRANSFORM_ESN:
        suite->esn = t->id == ESN_YES;
        return true;
    }
    return false;
}

/* RFC 9370 2.2.1: in the order of their types, none twice. */
static bool choice_take_additional(struct proposal_choice *choice,
                                   const struct ikev2_sa_payload *answer,
                                   const struct ikev2_wire_proposal *chosen)
{
    for (uint8_t type = TRANSFORM_ADDITIONAL_FIRST; type <= TRANSFORM_ADDITIONAL_LAST; type++) {
        for (size_t i = 0; i < chosen->count; i++) {
            const struct ikev2_wire_transform *t = &answer->transforms[chosen->first + i];

            if (t->type != type || t->id == KEY_EXCHANGE_NONE) {
                continue;
            }
            for (size_t j = 0; j < choice->additional_count; j++) {
                if (choice->additional[j] == t->id) {
                    return false;
                }
            }
            choice->additional[choice->additional_count++] = t->id;
        }
    }
    return choice->additional_count == 0 || choice->suite.key_exchange != KEY_EXCHANGE_NONE;
}

/* A type that was offered and is not in the answer: only ESN has a meaning when it is left out, and
 * an additional key exchange that may be none. */
static bool missing_type_is_good(const struct ikev2_sa_payload *offer,
                                 const struct ikev2_wire_proposal *offered, uint8_t type)
{
    const struct ikev2_wire_transform without = {.type = type, .id = 0};

    if (!offer_contains_type(offer, offered, type)) {
        return true;
    }
    return (type == TRANSFORM_ESN || transform_is_additional(type)) &&
           offer_contains(offer, offered, &without);
}

bool proposal_verify(const struct ikev2_sa_payload *answer, const struct proposals *policy,
                     uint8_t protocol, size_t spi_bytes, enum proposal_use use,
                     struct proposal_choice *choice)
{
    struct ikev2_sa_payload offer;
    unsigned types_seen = 0;

    *choice = (struct proposal_choice){0};
    if (answer->proposal_count != 1 ||
        !proposal_offer(policy, protocol, (struct slice){0}, use, &offer)) {
        return false;
    }
    const struct ikev2_wire_proposal *chosen = &answer->proposals[0];
    const struct ikev2_wire_proposal *offered = offer_find(&offer, chosen->number);

    if (offered == NULL || chosen->protocol != protocol || !spi_is_good(chosen->spi, spi_bytes) ||
        chosen->count > PROPOSAL_CHOICE_TRANSFORMS_MAX) {
        return false;
    }
    struct proposal_choice result = {
        .number = chosen->number,
        .protocol = protocol,
        .spi = spi_value(chosen->spi),
    };

    for (size_t i = 0; i < chosen->count; i++) {
        const struct ikev2_wire_transform *t = &answer->transforms[chosen->first + i];

        if (!type_belongs(protocol, use, t->type) || (types_seen & (1u << t->type)) != 0 ||
            !answer_transform_is_good(&offer, offered, t) ||
            (!transform_is_additional(t->type) && !suite_take(&result.suite, t))) {
            return false;
        }
        types_seen |= 1u << t->type;
        choice_add(&result, t->type, t->id, t->key_bits);
    }
    for (uint8_t type = TRANSFORM_ENCRYPTION; type <= TRANSFORM_ADDITIONAL_LAST; type++) {
        if ((types_seen & (1u << type)) == 0 && !missing_type_is_good(&offer, offered, type)) {
            return false;
        }
    }
    if (!suite_is_good_for(protocol, &result.suite) ||
        !choice_take_additional(&result, answer, chosen)) {
        return false;
    }
    *choice = result;
    return true;
}

/* ---- questions about a policy ---- */

static bool policy_has(const struct proposal *policy, uint8_t type, uint16_t id, uint16_t key_bits)
{
    for (size_t i = 0; i < policy->count; i++) {
        const struct transform *t = &policy->transforms[i];

        if (t->type == type && t->id == id && (key_bits == 0 || t->key_bits == key_bits)) {
            return true;
        }
    }
    return false;
}

static bool policy_allows_cipher(const struct proposal *policy, const struct suite *suite,
                                 bool *aead)
{
    const struct algorithm *cipher = algorithm_find(TRANSFORM_ENCRYPTION, suite->encryption);

    *aead = cipher != NULL && cipher->aead;
    if (policy->protocol == PROTOCOL_AH) {
        return suite->encryption == ENCRYPTION_NONE;
    }
    return cipher != NULL &&
           policy_has(policy, TRANSFORM_ENCRYPTION, suite->encryption, suite->key_bits);
}

static bool policy_allows(const struct proposal *policy, const struct suite *suite,
                          enum proposal_use use)
{
    bool aead;

    if (!policy_allows_cipher(policy, suite, &aead)) {
        return false;
    }
    if (aead ? suite->integrity != INTEGRITY_NONE
             : suite->integrity == INTEGRITY_NONE ||
                   !policy_has(policy, TRANSFORM_INTEGRITY, suite->integrity, 0)) {
        return false;
    }
    if (use != PROPOSAL_WITHOUT_KE) {
        bool allowed = suite->key_exchange == KEY_EXCHANGE_NONE
                           ? !policy_has_type(policy, TRANSFORM_KEY_EXCHANGE)
                           : policy_has(policy, TRANSFORM_KEY_EXCHANGE, suite->key_exchange, 0);

        if (!allowed) {
            return false;
        }
    }
    if (protocol_is_ike(policy->protocol)) {
        return suite->prf != PRF_NONE && policy_has(policy, TRANSFORM_PRF, suite->prf, 0);
    }
    return policy_has(policy, TRANSFORM_ESN, suite->esn ? ESN_YES : ESN_NO, 0) ||
           (!suite->esn && !policy_has(policy, TRANSFORM_ESN, ESN_YES, 0));
}

bool proposal_allows_suite(const struct proposals *policy, uint8_t protocol,
                           const struct suite *suite, enum proposal_use use)
{
    for (size_t q = 0; q < policy->count; q++) {
        if (policy->list[q].protocol == protocol && policy_allows(&policy->list[q], suite, use)) {
            return true;
        }
    }
    return false;
}

static bool policy_allows_additional(const struct proposal *policy,
                                     const struct proposal_choice *choice)
{
    for (uint8_t type = TRANSFORM_ADDITIONAL_FIRST; type <= TRANSFORM_ADDITIONAL_LAST; type++) {
        uint16_t group = KEY_EXCHANGE_NONE;
        struct has_type has = policy_type(policy, type);

        for (size_t i = 0; i < choice->count; i++) {
            group = choice->transforms[i].type == type ? choice->transforms[i].id : group;
        }
        if (group == KEY_EXCHANGE_NONE ? has.any && !has.none
                                       : !policy_has(policy, type, group, 0)) {
            return false;
        }
    }
    return true;
}

bool proposal_allows_choice(const struct proposals *policy, uint8_t protocol,
                            const struct proposal_choice *choice)
{
    for (size_t q = 0; q < policy->count; q++) {
        const struct proposal *one = &policy->list[q];

        if (one->protocol == protocol &&
            policy_allows(one, &choice->suite, PROPOSAL_WITH_ADDITIONAL) &&
            policy_allows_additional(one, choice)) {
            return true;
        }
    }
    return false;
}

uint16_t proposal_first_group(const struct proposals *policy)
{
    for (size_t q = 0; q < policy->count; q++) {
        for (size_t i = 0; i < policy->list[q].count; i++) {
            const struct transform *t = &policy->list[q].transforms[i];

            if (t->type == TRANSFORM_KEY_EXCHANGE && t->id != KEY_EXCHANGE_NONE) {
                return t->id;
            }
        }
    }
    return KEY_EXCHANGE_NONE;
}

bool proposal_has_group(const struct proposals *policy, uint16_t group)
{
    if (group == KEY_EXCHANGE_NONE) {
        return false;
    }
    for (size_t q = 0; q < policy->count; q++) {
        if (policy_has(&policy->list[q], TRANSFORM_KEY_EXCHANGE, group, 0)) {
            return true;
        }
    }
    return false;
}

/* ---- words ---- */

#define WORD_BYTES 48

static const char *type_word(uint8_t type)
{
    switch (type) {
    case TRANSFORM_ENCRYPTION:
        return "encryption";
    case TRANSFORM_PRF:
        return "prf";
    case TRANSFORM_INTEGRITY:
        return "integrity";
    case TRANSFORM_KEY_EXCHANGE:
        return "group";
    case TRANSFORM_ESN:
        return "esn";
    default:
        return "transform";
    }
}

static void word_of(const struct transform *t, char word[WORD_BYTES])
{
    const struct algorithm *algorithm = algorithm_find(t->type, t->id);

    bool is_none = transform_is_additional(t->type) && t->id == KEY_EXCHANGE_NONE;

    if (is_none || (algorithm != NULL && algorithm_allows_key_bits(algorithm, t->key_bits))) {
        transform_word(t, word, WORD_BYTES);
        return;
    }
    struct text text = text_over(word, WORD_BYTES);

    text_addf(&text, "%s-%u", type_word(t->type), (unsigned)t->id);
    if (t->key_bits != 0) {
        text_addf(&text, "/%u", (unsigned)t->key_bits);
    }
}

/* Left out means the same, so it needs no word. */
static bool needs_no_word(const struct transform *t)
{
    return transform_is_none(t) || (t->type == TRANSFORM_ESN && t->id == ESN_NO);
}

/* A PRF of the same hash as an integrity algorithm beside it goes without saying: so does the
 * configuration. */
static bool goes_without_saying(const struct transform *prf_transform, const char *prf_word,
                                const struct transform *list, size_t count)
{
    if (prf_transform->type != TRANSFORM_PRF || strncmp(prf_word, "prf", 3) != 0) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        char word[WORD_BYTES];

        if (list[i].type == TRANSFORM_INTEGRITY && !transform_is_none(&list[i])) {
            word_of(&list[i], word);
            if (strcmp(word, prf_word + 3) == 0) {
                return true;
            }
        }
    }
    return false;
}

static void describe_transforms(const struct transform *list, size_t count, struct text *out)
{
    bool any = false;

    for (size_t i = 0; i < count && !out->cut; i++) {
        char word[WORD_BYTES];

        if (needs_no_word(&list[i])) {
            continue;
        }
        word_of(&list[i], word);
        if (!goes_without_saying(&list[i], word, list, count)) {
            text_add(out, any ? "-" : "");
            text_add(out, word);
            any = true;
        }
    }
}

/* More transforms than any honest proposal has are not worth words. */
#define DESCRIBED_TRANSFORMS_MAX 64

void proposal_describe_offer(const struct ikev2_sa_payload *offer, uint8_t protocol,
                             struct text *out)
{
    bool any = false;

    for (size_t p = 0; p < offer->proposal_count && !out->cut; p++) {
        const struct ikev2_wire_proposal *proposal = &offer->proposals[p];
        struct transform list[DESCRIBED_TRANSFORMS_MAX];
        size_t count = 0;

        if (proposal->protocol != protocol) {
            continue;
        }
        for (size_t i = 0; i < proposal->count && count < ARRAY_LENGTH(list); i++) {
            const struct ikev2_wire_transform *wire = &offer->transforms[proposal->first + i];

            list[count++] = (struct transform){wire->type, wire->id, wire->key_bits};
        }
        text_add(out, any ? ", " : "");
        describe_transforms(list, count, out);
        any = true;
    }
    if (!any) {
        text_add(out, "nothing");
    }
}

void proposal_describe_policy(const struct proposals *policy, uint8_t protocol, struct text *out)
{
    bool any = false;

    for (size_t q = 0; q < policy->count && !out->cut; q++) {
        const struct proposal *proposal = &policy->list[q];

        if (proposal->protocol == protocol) {
            text_add(out, any ? ", " : "");
            describe_transforms(proposal->transforms, proposal->count, out);
            any = true;
        }
    }
    if (!any) {
        text_add(out, "nothing");
    }
}
