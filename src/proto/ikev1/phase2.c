/*
 * Which protocols and algorithms a Quick Mode agrees on: SA payloads of phase 2 (RFC 2408 4.2, RFC
 * 2407 4.4, 4.5), by the numbers of crypto/catalog.h. Decides what stands together under one
 * number: ESP or AH, AH around ESP, and IPComp (RFC 3173) inside where it is wanted; and that
 * of what both allow the strongest is chosen.
 */
#include <string.h>

#include "proto/ikev1/suites.h"
#include "wire/ipcomp.h"

/* ---- numbers ---- */

static const struct ikev1_number esp_ciphers[] = {
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
static const struct ikev1_number macs[] = {
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
static const struct ikev1_number ah_macs[] = {
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

/* ---- the way ---- */

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

/* ---- the offer ---- */

/* Proposals that are being written. */
struct offer {
    struct ikev1_sa_payload *sa;
    const struct ikev1_child_policy *policy;
    uint16_t group;
    struct ikev1_wire_transform common; /* what all transforms say */
    uint8_t number;
};

static void begin_part(struct offer *o, uint8_t protocol, struct slice spi)
{
    o->sa->proposals[o->sa->proposal_count++] = (struct ikev1_wire_proposal){
        .number = o->number,
        .protocol = protocol,
        .spi = spi,
        .first = o->sa->transform_count,
    };
}

static void add_transform(struct offer *o, const struct ikev1_wire_transform *t)
{
    struct ikev1_wire_proposal *p = &o->sa->proposals[o->sa->proposal_count - 1];

    if (o->sa->transform_count < IKEV1_PHASE2_TRANSFORMS_MAX) {
        o->sa->transforms[o->sa->transform_count] = *t;
        o->sa->transforms[o->sa->transform_count++].number = (uint8_t)++p->count;
    }
}

static void add_esp(struct offer *o, const struct transform *cipher, const struct transform *mac)
{
    const struct algorithm *a = algorithm_find(TRANSFORM_ENCRYPTION, cipher->id);
    struct ikev1_wire_transform t = o->common;

    t.id = (uint8_t)TO_WIRE(esp_ciphers, cipher->id);
    t.key_bits = cipher->key_bits;
    t.auth_algorithm = mac == NULL ? 0 : TO_WIRE(macs, mac->id);
    /* An AEAD goes alone, all else with an integrity algorithm. */
    if (a != NULL && t.id != 0 && a->aead == (t.auth_algorithm == 0)) {
        add_transform(o, &t);
    }
}

static void add_esp_of(struct offer *o, const struct proposal *p)
{
    const struct transform *cipher;
    const struct transform *mac;

    for (size_t c = 0; (cipher = ikev1_transform_at(p, TRANSFORM_ENCRYPTION, c)) != NULL; c++) {
        const struct algorithm *a = algorithm_find(TRANSFORM_ENCRYPTION, cipher->id);

        if (a != NULL && a->aead) {
            add_esp(o, cipher, NULL);
            continue;
        }
        for (size_t m = 0; (mac = ikev1_transform_at(p, TRANSFORM_INTEGRITY, m)) != NULL; m++) {
            add_esp(o, cipher, mac);
        }
    }
}

static void add_ah_of(struct offer *o, const struct proposal *p)
{
    const struct transform *mac;

    for (size_t m = 0; (mac = ikev1_transform_at(p, TRANSFORM_INTEGRITY, m)) != NULL; m++) {
        struct ikev1_wire_transform t = o->common;

        t.id = (uint8_t)TO_WIRE(ah_macs, mac->id);
        t.auth_algorithm = TO_WIRE(macs, mac->id);
        if (t.id != 0 && t.auth_algorithm != 0) {
            add_transform(o, &t);
        }
    }
}

/* One Quick Mode has one KE payload at most (RFC 2409 5.5). */
static bool has_group(const struct proposal *p, uint16_t group)
{
    return group != 0 ? ikev1_proposal_has(p, TRANSFORM_KEY_EXCHANGE, group, 0)
                      : !ikev1_proposal_has_type(p, TRANSFORM_KEY_EXCHANGE);
}

size_t ikev1_phase2_groups(const struct ikev1_child_policy *policy, uint16_t *groups,
                           size_t capacity)
{
    const struct proposals *list = policy->proposals;
    const struct transform *group;
    size_t count = 0;
    bool without = false;

    for (size_t i = 0; i < list->count; i++) {
        without = without || has_group(&list->list[i], 0);
        for (size_t k = 0;
             (group = ikev1_transform_at(&list->list[i], TRANSFORM_KEY_EXCHANGE, k)) != NULL; k++) {
            bool known = !ikev1_group_is_sayable(group->id);

            for (size_t n = 0; n < count && !known; n++) {
                known = groups[n] == group->id;
            }
            /* A place is left for none. */
            if (!known && count + 1 < capacity) {
                groups[count++] = group->id;
            }
        }
    }
    if (without) {
        groups[count++] = 0;
    }
    return count;
}

/* Around ESP, AH takes part in the same key exchange, whatever stands in its own proposals. */
static void add_around(struct offer *o, const struct ikev1_spis *spis)
{
    begin_part(o, PROTOCOL_AH, SLICE_OF(spis->around));
    for (size_t i = 0; i < o->policy->around->count; i++) {
        add_ah_of(o, &o->policy->around->list[i]);
    }
}

static void add_compression(struct offer *o, const struct ikev1_spis *spis)
{
    struct ikev1_wire_transform t = o->common;

    t.id = IKEV1_IPCOMP_DEFLATE;
    begin_part(o, IKEV1_PROTO_IPCOMP, SLICE_OF(spis->compression));
    add_transform(o, &t);
}

/* All parts of one number, or none when one has nothing to say. */
static void add_together(struct offer *o, const struct proposal *p, const struct ikev1_spis *spis,
                         bool compress)
{
    uint16_t proposals = o->sa->proposal_count;
    uint16_t transforms = o->sa->transform_count;
    bool whole = true;

    if (proposals + IKEV1_PARTS_MAX > IKEV1_PROPOSALS_MAX) {
        return;
    }
    o->number++;
    if (o->policy->around != NULL) {
        add_around(o, spis);
    }
    begin_part(o, p->protocol, SLICE_OF(spis->main));
    if (p->protocol == PROTOCOL_AH) {
        add_ah_of(o, p);
    } else {
        add_esp_of(o, p);
    }
    if (compress) {
        add_compression(o, spis);
    }
    for (size_t i = proposals; i < o->sa->proposal_count; i++) {
        whole = whole && o->sa->proposals[i].count > 0;
    }
    if (!whole) {
        o->sa->proposal_count = proposals;
        o->sa->transform_count = transforms;
        o->number--;
    }
}

bool ikev1_phase2_offer(const struct ikev1_child_policy *policy, uint16_t group,
                        const struct ikev1_carriage *carriage, const struct ikev1_spis *spis,
                        struct ikev1_sa_payload *out)
{
    struct offer o = {
        .sa = out,
        .policy = policy,
        .group = group,
        .common =
            {
                .group = group,
                .encapsulation = ikev1_encapsulation_of(carriage),
                .life_seconds = ikev1_said_seconds(policy->lifetime_ms, IKEV1_SAID_PHASE2_S),
                .life_kilobytes = policy->lifetime_kilobytes,
            },
    };

    out->doi = IKEV1_DOI_IPSEC;
    out->situation = IKEV1_SIT_IDENTITY_ONLY;
    out->proposal_count = 0;
    out->transform_count = 0;
    /* A peer that cannot compress takes the second of each two. */
    for (size_t i = 0; i < policy->proposals->count; i++) {
        const struct proposal *p = &policy->proposals->list[i];

        if (!has_group(p, group)) {
            continue;
        }
        if (policy->compress) {
            add_together(&o, p, spis, true);
        }
        add_together(&o, p, spis, false);
    }
    return out->proposal_count > 0;
}

/* ---- what is read ---- */

static bool read_main(const struct ikev1_wire_proposal *p, const struct ikev1_wire_transform *t,
                      struct suite *s)
{
    if (t->auth_algorithm != 0 && !FROM_WIRE(macs, t->auth_algorithm, &s->integrity)) {
        return false;
    }
    if (p->protocol == IKEV1_PROTO_AH) {
        uint16_t said;

        return FROM_WIRE(ah_macs, t->id, &said) && said == s->integrity &&
               suite_is_usable_for_ah(s);
    }
    return p->protocol == IKEV1_PROTO_ESP && FROM_WIRE(esp_ciphers, t->id, &s->encryption) &&
           ikev1_read_key_bits(s->encryption, t->key_bits, &s->key_bits) && suite_is_usable(s);
}

/* RFC 3173 4.1: the CPI in two octets, or in the lower two of four. */
static bool read_cpi(struct slice spi, uint32_t *out)
{
    if (spi.length != 2 && spi.length != 4) {
        return false;
    }
    *out = spi.length == 2 ? get_u16(spi.data) : get_u32(spi.data);
    return *out == IPCOMP_CPI_DEFLATE ||
           (*out >= IPCOMP_CPI_NEGOTIATED_FIRST && *out <= IPCOMP_CPI_NEGOTIATED_LAST);
}

/* False: it has something that we do not know. */
static bool read_part(const struct ikev1_wire_proposal *p, const struct ikev1_wire_transform *t,
                      struct ikev1_part *out)
{
    memset(out, 0, sizeof(*out));
    if (t->unknown_attribute || t->key_rounds != 0 || t->compress_dictionary != 0 ||
        (t->group != 0 && !ikev1_group_is_sayable(t->group))) {
        return false;
    }
    if (p->protocol == IKEV1_PROTO_IPCOMP) {
        if (t->id != IKEV1_IPCOMP_DEFLATE || !read_cpi(p->spi, &out->spi)) {
            return false;
        }
    } else if (p->spi.length != 4 || !read_main(p, t, &out->suite)) {
        return false;
    } else {
        out->spi = get_u32(p->spi.data);
    }
    out->suite.key_exchange = t->group;
    out->suite.esn = t->esn == 1;
    out->encapsulation = t->encapsulation;
    out->transform = *t;
    /* RFC 2407 4.6.2.1 leaves SPIs below 256 to others. */
    return p->protocol == IKEV1_PROTO_IPCOMP || out->spi > 255;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

static void take_life(struct ikev1_phase2_choice *c, const struct ikev1_wire_transform *t)
{
    c->life_seconds = least(c->life_seconds, t->life_seconds);
    c->life_kilobytes = least(c->life_kilobytes, t->life_kilobytes);
}

static void take_main(struct ikev1_phase2_choice *c, const struct ikev1_part *part,
                      uint8_t protocol)
{
    c->suite = part->suite;
    c->protocol = protocol;
    c->spi = part->spi;
    c->encapsulation = part->encapsulation;
    c->transform = part->transform;
    take_life(c, &part->transform);
}

/* ---- what we allow ---- */

static bool phase2_allows(const struct proposal *p, const struct suite *s, uint8_t protocol,
                          bool any_group)
{
    const struct algorithm *a =
        s->encryption != 0 ? algorithm_find(TRANSFORM_ENCRYPTION, s->encryption) : NULL;
    bool group_fits =
        any_group ||
        (ikev1_proposal_has_type(p, TRANSFORM_KEY_EXCHANGE)
             ? s->key_exchange != 0 &&
                   ikev1_proposal_has(p, TRANSFORM_KEY_EXCHANGE, s->key_exchange, 0)
             : s->key_exchange == 0 ||
                   ikev1_strength_of(TRANSFORM_KEY_EXCHANGE, s->key_exchange) != STRENGTH_LEGACY);
    bool long_numbers = ikev1_proposal_has(p, TRANSFORM_ESN, ESN_YES, 0);
    bool short_numbers = ikev1_proposal_has(p, TRANSFORM_ESN, ESN_NO, 0) || !long_numbers;

    return p->protocol == protocol && group_fits && (s->esn ? long_numbers : short_numbers) &&
           (protocol == PROTOCOL_AH ||
            ikev1_proposal_has(p, TRANSFORM_ENCRYPTION, s->encryption, s->key_bits)) &&
           (a != NULL && a->aead ? s->integrity == INTEGRITY_NONE
                                 : ikev1_proposal_has(p, TRANSFORM_INTEGRITY, s->integrity, 0));
}

static bool list_allows(const struct proposals *list, const struct suite *s, uint8_t protocol,
                        bool any_group)
{
    for (size_t i = 0; list != NULL && i < list->count; i++) {
        if (phase2_allows(&list->list[i], s, protocol, any_group)) {
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

/* ---- together ---- */

/* Proposals of one number. */
struct together {
    const struct ikev1_wire_proposal *main, *around, *compression; /* NULL: not there */
    size_t count;
};

/* False: not something that we can do. `*next` is where the next number begins. */
static bool gather(const struct ikev1_sa_payload *sa, size_t at, size_t *next, struct together *out)
{
    const struct ikev1_wire_proposal *ah = NULL;
    const struct ikev1_wire_proposal *esp = NULL;
    bool good = true;

    *out = (struct together){0};
    for (*next = at;
         *next < sa->proposal_count && sa->proposals[*next].number == sa->proposals[at].number;
         (*next)++) {
        const struct ikev1_wire_proposal *p = &sa->proposals[*next];
        const struct ikev1_wire_proposal **place = p->protocol == IKEV1_PROTO_AH    ? &ah
                                                   : p->protocol == IKEV1_PROTO_ESP ? &esp
                                                   : p->protocol == IKEV1_PROTO_IPCOMP
                                                       ? &out->compression
                                                       : NULL;

        good = good && place != NULL && *place == NULL;
        if (good) {
            *place = p;
        }
    }
    out->count = *next - at;
    out->main = esp != NULL ? esp : ah;
    out->around = esp != NULL ? ah : NULL;
    return good && out->main != NULL;
}

static bool is_wanted(const struct ikev1_child_policy *policy, const struct together *g)
{
    return (g->around != NULL) == (policy->around != NULL) &&
           (g->compression == NULL || policy->compress);
}

/* The best that goes with the main part: of the same key exchange, the same way. */
static bool find_around(const struct ikev1_sa_payload *sa, const struct ikev1_wire_proposal *p,
                        const struct ikev1_child_policy *policy, struct ikev1_phase2_choice *c)
{
    struct ikev1_part part;

    c->has_around = false;
    for (size_t i = 0; i < p->count; i++) {
        if (read_part(p, &sa->transforms[p->first + i], &part) &&
            part.suite.key_exchange == c->suite.key_exchange &&
            part.encapsulation == c->encapsulation &&
            list_allows(policy->around, &part.suite, PROTOCOL_AH, true) &&
            (!c->has_around || ikev1_suite_is_better(&part.suite, &c->around.suite))) {
            c->has_around = true;
            c->around = part;
        }
    }
    return c->has_around;
}

/* Some say the group and the way of it as well, some do not. */
static bool find_compression(const struct ikev1_sa_payload *sa, const struct ikev1_wire_proposal *p,
                             struct ikev1_phase2_choice *c)
{
    for (size_t i = 0; i < p->count && !c->compress; i++) {
        c->compress = read_part(p, &sa->transforms[p->first + i], &c->compression) &&
                      (c->compression.suite.key_exchange == 0 ||
                       c->compression.suite.key_exchange == c->suite.key_exchange);
    }
    return c->compress;
}

/* Everything beside the main part, which `c` has. */
static bool complete(const struct ikev1_sa_payload *sa, const struct together *g,
                     const struct ikev1_child_policy *policy, struct ikev1_phase2_choice *c)
{
    if ((g->around != NULL && !find_around(sa, g->around, policy, c)) ||
        (g->compression != NULL && !find_compression(sa, g->compression, c))) {
        return false;
    }
    if (c->has_around) {
        take_life(c, &c->around.transform);
    }
    if (c->compress) {
        take_life(c, &c->compression.transform);
    }
    return true;
}

static bool is_better(const struct ikev1_phase2_choice *a, const struct ikev1_phase2_choice *b)
{
    if (ikev1_suite_is_better(&a->suite, &b->suite) ||
        ikev1_suite_is_better(&b->suite, &a->suite)) {
        return ikev1_suite_is_better(&a->suite, &b->suite);
    }
    if (a->has_around && b->has_around &&
        (ikev1_suite_is_better(&a->around.suite, &b->around.suite) ||
         ikev1_suite_is_better(&b->around.suite, &a->around.suite))) {
        return ikev1_suite_is_better(&a->around.suite, &b->around.suite);
    }
    return a->compress && !b->compress;
}

static void note_parts(const struct ikev1_sa_payload *sa, size_t at, const struct together *g,
                       struct ikev1_phase2_choice *c)
{
    c->proposal_number = sa->proposals[at].number;
    c->part_count = (uint8_t)g->count;
    for (size_t i = 0; i < g->count; i++) {
        c->parts[i] = sa->proposals[at + i].protocol;
    }
}

bool ikev1_phase2_choose(const struct ikev1_sa_payload *offer,
                         const struct ikev1_child_policy *policy, bool has_ke,
                         const struct ikev1_carriage *wanted, bool either_mode,
                         struct ikev1_phase2_choice *out)
{
    bool found = false;
    size_t next;
    struct together g;

    for (size_t at = 0; at < offer->proposal_count; at = next) {
        if (!gather(offer, at, &next, &g) || !is_wanted(policy, &g)) {
            continue;
        }
        for (size_t k = 0; k < g.main->count; k++) {
            struct ikev1_phase2_choice choice = {0};
            struct ikev1_part part;

            if (!read_part(g.main, &offer->transforms[g.main->first + k], &part)) {
                continue;
            }
            take_main(&choice, &part, g.main->protocol);
            if ((choice.suite.key_exchange != 0) == has_ke &&
                carriage_fits(choice.encapsulation, wanted, either_mode) &&
                list_allows(policy->proposals, &choice.suite, choice.protocol, policy->any_group) &&
                complete(offer, &g, policy, &choice) && (!found || is_better(&choice, out))) {
                note_parts(offer, at, &g, &choice);
                *out = choice;
                found = true;
            }
        }
    }
    return found;
}

static struct slice own_spi(const struct ikev1_phase2_choice *choice, const struct ikev1_spis *spis,
                            uint8_t protocol)
{
    if (protocol == IKEV1_PROTO_IPCOMP) {
        return SLICE_OF(spis->compression);
    }
    return protocol == choice->protocol ? SLICE_OF(spis->main) : SLICE_OF(spis->around);
}

void ikev1_phase2_answer(const struct ikev1_phase2_choice *choice, const struct ikev1_spis *spis,
                         struct ikev1_sa_payload *out)
{
    out->doi = IKEV1_DOI_IPSEC;
    out->situation = IKEV1_SIT_IDENTITY_ONLY;
    out->proposal_count = choice->part_count;
    out->transform_count = choice->part_count;
    for (uint16_t i = 0; i < choice->part_count; i++) {
        uint8_t protocol = choice->parts[i];

        out->transforms[i] = protocol == choice->protocol     ? choice->transform
                             : protocol == IKEV1_PROTO_IPCOMP ? choice->compression.transform
                                                              : choice->around.transform;
        out->proposals[i] = (struct ikev1_wire_proposal){
            .number = choice->proposal_number,
            .protocol = protocol,
            .spi = own_spi(choice, spis, protocol),
            .first = i,
            .count = 1,
        };
    }
}

static bool is_repeated(const struct ikev1_sa_payload *sa, size_t at)
{
    const struct ikev1_wire_proposal *p = &sa->proposals[at];
    const struct ikev1_wire_transform *t = &sa->transforms[p->first];

    for (size_t i = 0; i < at && p->count == 1; i++) {
        const struct ikev1_wire_proposal *o = &sa->proposals[i];
        const struct ikev1_wire_transform *u = &sa->transforms[o->first];

        if (o->count == 1 && o->protocol == p->protocol && slice_equal(o->spi, p->spi) &&
            t->id == u->id && t->key_bits == u->key_bits &&
            t->auth_algorithm == u->auth_algorithm && t->group == u->group &&
            t->encapsulation == u->encapsulation) {
            return true;
        }
    }
    return false;
}

/* strongSwan answers with IPComp, and once more without it, under that number or the next: the same
 * SPI is the same SA. */
static void drop_repeated(struct ikev1_sa_payload *sa)
{
    while (sa->proposal_count > 1 && is_repeated(sa, sa->proposal_count - 1U)) {
        sa->proposal_count--;
        sa->transform_count--;
    }
}

bool ikev1_phase2_verify(struct ikev1_sa_payload *sa, const struct ikev1_child_policy *policy,
                         uint16_t group, const struct ikev1_carriage *carriage,
                         struct ikev1_phase2_choice *out)
{
    struct together g;
    struct ikev1_part part;
    size_t next;

    memset(out, 0, sizeof(*out));
    drop_repeated(sa);
    if (sa->proposal_count == 0 || sa->transform_count != sa->proposal_count ||
        !gather(sa, 0, &next, &g) || next != sa->proposal_count || !is_wanted(policy, &g) ||
        !read_part(g.main, &sa->transforms[g.main->first], &part)) {
        return false;
    }
    take_main(out, &part, g.main->protocol);
    note_parts(sa, 0, &g, out);
    return out->suite.key_exchange == group && !out->suite.esn &&
           list_allows(policy->proposals, &out->suite, out->protocol, policy->any_group) &&
           (out->encapsulation == 0 || carriage_fits(out->encapsulation, carriage, false)) &&
           complete(sa, &g, policy, out) && !(out->has_around && out->around.suite.esn);
}

/* ---- words ---- */

static void describe_transform(const struct ikev1_wire_proposal *p,
                               const struct ikev1_wire_transform *t, struct text *out)
{
    uint16_t number;

    text_add(out, p->protocol == IKEV1_PROTO_AH ? "ah " : "");
    if (p->protocol == IKEV1_PROTO_IPCOMP && t->id == IKEV1_IPCOMP_DEFLATE) {
        text_add(out, "deflate");
        return;
    }
    if (p->protocol == IKEV1_PROTO_ESP && FROM_WIRE(esp_ciphers, t->id, &number)) {
        ikev1_add_word(out, TRANSFORM_ENCRYPTION, number, t->key_bits, false);
    } else if (p->protocol != IKEV1_PROTO_AH) {
        text_addf(out, "protocol-%u-transform-%u", (unsigned)p->protocol, (unsigned)t->id);
    }
    if (t->auth_algorithm != 0 && FROM_WIRE(macs, t->auth_algorithm, &number)) {
        ikev1_add_word(out, TRANSFORM_INTEGRITY, number, 0, p->protocol != IKEV1_PROTO_AH);
    }
    if (t->group != 0) {
        ikev1_add_word(out, TRANSFORM_KEY_EXCHANGE, t->group, 0, true);
    }
}

/* What is to be taken together is joined by '+'. */
void ikev1_describe_phase2_offer(const struct ikev1_sa_payload *offer, struct text *out)
{
    for (size_t i = 0; i < offer->proposal_count; i++) {
        const struct ikev1_wire_proposal *p = &offer->proposals[i];
        bool together = i > 0 && p->number == p[-1].number;

        for (size_t k = 0; k < p->count && !out->cut; k++) {
            text_add(out, i + k == 0 ? "" : together && k == 0 ? " + " : ", ");
            describe_transform(p, &offer->transforms[p->first + k], out);
        }
    }
}
