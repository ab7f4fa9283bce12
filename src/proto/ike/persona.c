/* Decides which product a peer looks like: a table of vendor IDs, and one of shapes of offers. */
#include "proto/ike/persona.h"

#include <string.h>

#include "crypto/catalog.h"
#include "wire/ikev1.h"
#include "wire/ikev2.h"

#define VENDOR_BYTES_MAX 32

struct about {
    const char *name, *preset;
    unsigned traits;
};

static const struct about products[PERSONA_COUNT] = {
    [PERSONA_UNKNOWN] = {"", NULL, 0},
    [PERSONA_SEKISHO] = {"Sekisho", "sekisho", 0},
    [PERSONA_STRONGSWAN] = {"strongSwan", "strongswan", 0},
    [PERSONA_FORTIGATE] = {"FortiGate", "fortigate",
                           PERSONA_ONE_PAIR | PERSONA_DUPLICATES | PERSONA_MIXED_UDP},
    [PERSONA_CISCO_IOS] = {"Cisco IOS", "cisco-ios", PERSONA_ONE_PAIR},
    [PERSONA_CISCO] = {"Cisco ASA", "cisco-asa", PERSONA_ONE_PAIR},
    [PERSONA_CHECK_POINT] = {"Check Point", "checkpoint", PERSONA_ONE_PAIR},
    [PERSONA_JUNIPER] = {"Juniper", "juniper", PERSONA_ONE_PAIR},
    [PERSONA_SONICWALL] = {"SonicWall", NULL, 0},
    [PERSONA_RACOON] = {"racoon", NULL, 0},
    [PERSONA_WINDOWS] = {"Windows", "windows",
                         PERSONA_NO_CHILD_GROUP | PERSONA_NO_CHILD_REKEY | PERSONA_NO_VENDOR_IDS},
    [PERSONA_AZURE] = {"Azure VPN Gateway", "azure", PERSONA_NO_CHILD_GROUP},
    [PERSONA_GOOGLE_CLOUD] = {"Google Cloud VPN", "gcp", 0},
    [PERSONA_APPLE] = {"an Apple device", "apple", 0},
    [PERSONA_ANDROID] = {"Android", "android", 0},
};

/* ---- what it says ---- */

struct vendor {
    enum persona persona;
    bool whole; /* else it only begins so: a version or something of its own follows */
    uint8_t length;
    uint8_t bytes[VENDOR_BYTES_MAX];
};

#define TEXT_VENDOR(persona, whole, text)                                                          \
    {                                                                                              \
        persona, whole, sizeof(text) - 1, text                                                     \
    }

/* The first that is found decides: what is more exact stands before. */
static const struct vendor vendors[] = {
    {PERSONA_SEKISHO,
     true,
     16,
     {0xcd, 0x82, 0x50, 0xca, 0xf0, 0xad, 0x98, 0x34, 0xa6, 0x3f, 0xdd, 0x8a, 0x50, 0x7d, 0x3a,
      0xe9}},
    {PERSONA_FORTIGATE,
     false,
     16,
     {0x1d, 0x6e, 0x17, 0x8f, 0x6c, 0x2c, 0x0b, 0xe2, 0x84, 0x98, 0x54, 0x65, 0x45, 0x0f, 0xe9,
      0xd4}},
    /* With IKEv1. */
    {PERSONA_FORTIGATE,
     false,
     12,
     {0x82, 0x99, 0x03, 0x17, 0x57, 0xa3, 0x60, 0x82, 0xc6, 0xa6, 0x21, 0xde}},
    {PERSONA_CHECK_POINT, false, 20, {0xf4, 0xed, 0x19, 0xe0, 0xc1, 0x14, 0xeb, 0x51, 0x6f, 0xaa,
                                      0xac, 0x0e, 0xe3, 0x7d, 0xaf, 0x28, 0x07, 0xb4, 0x38, 0x1f}},
    {PERSONA_JUNIPER, false, 20, {0x69, 0x93, 0x69, 0x22, 0x87, 0x41, 0xc6, 0xd4, 0xca, 0x09,
                                  0x4c, 0x93, 0xe2, 0x42, 0xc9, 0xde, 0x19, 0xe7, 0xb7, 0xc6}},
    {PERSONA_JUNIPER, false, 20, {0xfd, 0x80, 0x88, 0x04, 0xdf, 0x73, 0xb1, 0x51, 0x50, 0x70,
                                  0x9d, 0x87, 0x80, 0x44, 0xcd, 0xe0, 0xac, 0x1e, 0xfc, 0xde}},
    {PERSONA_SONICWALL, false, 6, {0x5b, 0x36, 0x2b, 0xc8, 0x20, 0xf6}},
    TEXT_VENDOR(PERSONA_CISCO_IOS, true, "FLEXVPN-SUPPORTED"),
    TEXT_VENDOR(PERSONA_CISCO, true, "CISCO-DELETE-REASON"),
    TEXT_VENDOR(PERSONA_CISCO, false, "CISCO(COPYRIGHT)"),
    /* With IKEv1, since the concentrators whose name it bears; a version follows. */
    {PERSONA_CISCO,
     false,
     14,
     {0x1f, 0x07, 0xf7, 0x0e, 0xaa, 0x65, 0x14, 0xd3, 0xb0, 0xfa, 0x96, 0x54, 0x2a, 0x50}},
    /* MS NT5 ISAKMPOAKLEY, with a version; MS-Negotiation Discovery Capable; Vid-Initial-Contact.
     */
    {PERSONA_WINDOWS,
     false,
     16,
     {0x1e, 0x2b, 0x51, 0x69, 0x05, 0x99, 0x1c, 0x7d, 0x7c, 0x96, 0xfc, 0xbf, 0xb5, 0x87, 0xe4,
      0x61}},
    {PERSONA_WINDOWS,
     true,
     16,
     {0xfb, 0x1d, 0xe3, 0xcd, 0xf3, 0x41, 0xb7, 0xea, 0x16, 0xb7, 0xe5, 0xbe, 0x08, 0x55, 0xf1,
      0x20}},
    {PERSONA_STRONGSWAN,
     true,
     16,
     {0x88, 0x2f, 0xe5, 0x6d, 0x6f, 0xd2, 0x0d, 0xbc, 0x22, 0x51, 0x61, 0x3b, 0x2e, 0xbe, 0x5b,
      0xeb}},
    {PERSONA_RACOON,
     true,
     16,
     {0x70, 0x03, 0xcb, 0xc1, 0x09, 0x7d, 0xbe, 0x9c, 0x26, 0x00, 0xba, 0x69, 0x83, 0xbc, 0x8b,
      0x35}},
};

static size_t vendor_of(struct slice id)
{
    for (size_t i = 0; i < ARRAY_LENGTH(vendors); i++) {
        const struct vendor *v = &vendors[i];

        if (id.length >= v->length && (!v->whole || id.length == v->length) &&
            memcmp(id.data, v->bytes, v->length) == 0) {
            return i;
        }
    }
    return ARRAY_LENGTH(vendors);
}

/* ---- what it offers ---- */

/* What the first transform of each type in a proposal is; 0: there is none. */
struct first {
    uint16_t cipher, key_bits, integrity, prf, group;
};

static struct first first_of(const struct ikev2_sa_payload *offer, size_t number)
{
    const struct ikev2_wire_proposal *p = &offer->proposals[number];
    struct first out = {0};

    for (size_t i = p->count; i > 0; i--) {
        const struct ikev2_wire_transform *t = &offer->transforms[p->first + i - 1];

        switch (t->type) {
        case TRANSFORM_ENCRYPTION:
            out.cipher = t->id;
            out.key_bits = t->key_bits;
            break;
        case TRANSFORM_INTEGRITY:
            out.integrity = t->id;
            break;
        case TRANSFORM_PRF:
            out.prf = t->id;
            break;
        case TRANSFORM_KEY_EXCHANGE:
            out.group = t->id;
            break;
        default:
            break;
        }
    }
    return out;
}

static bool has(const struct ikev2_sa_payload *offer, uint8_t type, uint16_t id)
{
    for (size_t i = 0; i < offer->transform_count; i++) {
        if (offer->transforms[i].type == type && offer->transforms[i].id == id) {
            return true;
        }
    }
    return false;
}

static bool only_group(const struct ikev2_sa_payload *offer, uint16_t group)
{
    for (size_t i = 0; i < offer->transform_count; i++) {
        if (offer->transforms[i].type == TRANSFORM_KEY_EXCHANGE &&
            offer->transforms[i].id != group) {
            return false;
        }
    }
    return has(offer, TRANSFORM_KEY_EXCHANGE, group);
}

static bool is(const struct first *f, uint16_t cipher, uint16_t key_bits, uint16_t integrity,
               uint16_t group)
{
    return f->cipher == cipher && f->key_bits == key_bits && f->integrity == integrity &&
           f->group == group;
}

/* 3DES with SHA-1 comes first, and there is no group but the second. */
static bool is_windows(const struct ikev2_sa_payload *offer)
{
    struct first f = first_of(offer, 0);

    return offer->proposal_count >= 4 && only_group(offer, KEY_EXCHANGE_MODP_1024) &&
           is(&f, ENCRYPTION_3DES, 0, INTEGRITY_HMAC_SHA1_96, KEY_EXCHANGE_MODP_1024);
}

/* AES-256 with SHA-1 and then with SHA-256 come first, and there is no group but the second. */
static bool is_azure(const struct ikev2_sa_payload *offer)
{
    if (offer->proposal_count < 4 || !only_group(offer, KEY_EXCHANGE_MODP_1024)) {
        return false;
    }
    struct first a = first_of(offer, 0);
    struct first b = first_of(offer, 1);

    return is(&a, ENCRYPTION_AES_CBC, 256, INTEGRITY_HMAC_SHA1_96, KEY_EXCHANGE_MODP_1024) &&
           is(&b, ENCRYPTION_AES_CBC, 256, INTEGRITY_HMAC_SHA2_256_128, KEY_EXCHANGE_MODP_1024);
}

/* Settings of an iPhone: AES-256 with SHA-256 and three groups, and the old ones at the end. */
static bool is_apple(const struct ikev2_sa_payload *offer)
{
    if (offer->proposal_count < 4) {
        return false;
    }
    struct first a = first_of(offer, 0);
    struct first b = first_of(offer, 1);
    struct first z = first_of(offer, offer->proposal_count - 1u);

    return is(&a, ENCRYPTION_AES_CBC, 256, INTEGRITY_HMAC_SHA2_256_128, KEY_EXCHANGE_MODP_2048) &&
           is(&b, ENCRYPTION_AES_CBC, 256, INTEGRITY_HMAC_SHA2_256_128, KEY_EXCHANGE_ECP_256) &&
           is(&z, ENCRYPTION_3DES, 0, INTEGRITY_HMAC_SHA1_96, KEY_EXCHANGE_MODP_1024);
}

/* Two proposals, both with MODP-4096 first and X25519 behind, of which one has AES-CTR. */
static bool is_android(const struct ikev2_sa_payload *offer)
{
    return offer->proposal_count == 2 && first_of(offer, 0).group == KEY_EXCHANGE_MODP_4096 &&
           first_of(offer, 1).group == KEY_EXCHANGE_MODP_4096 &&
           has(offer, TRANSFORM_ENCRYPTION, ENCRYPTION_AES_CTR) &&
           has(offer, TRANSFORM_INTEGRITY, INTEGRITY_AES_XCBC_96) &&
           has(offer, TRANSFORM_KEY_EXCHANGE, KEY_EXCHANGE_X25519);
}

/* AES-GCM with MD5 as a PRF, and the groups with subgroups of prime order. */
static bool is_google(const struct ikev2_sa_payload *offer)
{
    return first_of(offer, 0).cipher == ENCRYPTION_AES_GCM_16 &&
           has(offer, TRANSFORM_PRF, PRF_HMAC_MD5) && has(offer, TRANSFORM_KEY_EXCHANGE, 22) &&
           has(offer, TRANSFORM_KEY_EXCHANGE, 23) && has(offer, TRANSFORM_KEY_EXCHANGE, 24);
}

static const struct {
    enum persona persona;
    bool (*fits)(const struct ikev2_sa_payload *offer);
} shapes[] = {
    {PERSONA_WINDOWS, is_windows}, {PERSONA_AZURE, is_azure},         {PERSONA_APPLE, is_apple},
    {PERSONA_ANDROID, is_android}, {PERSONA_GOOGLE_CLOUD, is_google},
};

static enum persona shape_of(struct slice body)
{
    struct ikev2_sa_payload offer NOT_ZEROED;

    if (!ikev2_read_sa(body, &offer) || offer.proposal_count == 0) {
        return PERSONA_UNKNOWN;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(shapes); i++) {
        if (shapes[i].fits(&offer)) {
            return shapes[i].persona;
        }
    }
    return PERSONA_UNKNOWN;
}

/* ---- both ---- */

enum persona persona_of(uint8_t first, struct slice payloads, bool request, bool *said)
{
    struct reader r = reader_over(payloads);
    struct slice offer = {NULL, 0};
    struct ikev2_payload payload;
    size_t best = ARRAY_LENGTH(vendors);
    uint8_t next = first;

    while (next != IKEV2_NO_NEXT_PAYLOAD && ikev2_read_payload(&r, &next, &payload)) {
        if (payload.type == IKEV2_VENDOR_ID) {
            size_t found = vendor_of(payload.body);
            best = found < best ? found : best;
        } else if (payload.type == IKEV2_SA && request) {
            offer = payload.body;
        }
    }
    *said = best < ARRAY_LENGTH(vendors);
    if (*said) {
        return vendors[best].persona;
    }
    return offer.data == NULL ? PERSONA_UNKNOWN : shape_of(offer);
}

enum persona persona_of_ikev1(uint8_t first, struct slice payloads)
{
    struct reader r = reader_over(payloads);
    struct ikev1_payload payload;
    size_t best = ARRAY_LENGTH(vendors);
    uint8_t next = first;

    while (next != IKEV1_NO_NEXT_PAYLOAD && ikev1_read_payload(&r, &next, &payload)) {
        size_t found = payload.type == IKEV1_VENDOR_ID ? vendor_of(payload.body) : best;

        best = found < best ? found : best;
    }
    return best < ARRAY_LENGTH(vendors) ? vendors[best].persona : PERSONA_UNKNOWN;
}

const char *persona_name(enum persona persona)
{
    return products[persona].name;
}

unsigned persona_traits(enum persona persona)
{
    return products[persona].traits;
}

const char *persona_preset(enum persona persona)
{
    return products[persona].preset;
}
