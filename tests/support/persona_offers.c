/* Decides how what is known of each product becomes a message. */
#include "tests/support/persona_offers.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/key_exchange.h"
#include "tests/support/test.h"
#include "wire/ikev2.h"

#define NEXT_PAYLOAD_OFFSET 16
#define MS_NT5 "1e2b516905991c7d7c96fcbfb587e46100000009"
#define MS_DISCOVERY "fb1de3cdf341b7ea16b7e5be0855f120"
#define MS_INITIAL_CONTACT "26244d38eddb61b3172a36e3d0cfb819"
#define CISCO_COPYRIGHT "=CISCO(COPYRIGHT)&Copyright (c) 2009 Cisco Systems, Inc."
#define FRAGMENTATION "4048b7d56ebce88525e7de7f00d6c2d3c0000000"

#define WINDOWS_OFFER                                                                              \
    "3des-sha1-modp1024 3des-sha256-modp1024 3des-sha384-modp1024 aes128-sha1-modp1024 "           \
    "aes128-sha256-modp1024 aes128-sha384-modp1024 aes192-sha1-modp1024 aes192-sha256-modp1024 "   \
    "aes192-sha384-modp1024 aes256-sha1-modp1024 aes256-sha256-modp1024 aes256-sha384-modp1024"
#define ANDROID_PRFS_AND_GROUPS                                                                    \
    "-prfsha512-prfsha384-prfsha256-2:4-2:8-prfsha1-modp4096-x25519-modp3072-modp2048"

static const struct persona_offer offers[] = {
    {"Windows 10 by default",
     PERSONA_WINDOWS,
     true,
     {MS_NT5, MS_DISCOVERY, MS_INITIAL_CONTACT},
     WINDOWS_OFFER,
     "windows",
     NULL,
     "sha1 modp1024",
     "aes256-sha256-modp1024"},
    {"Windows 10 by default, vendor IDs lost",
     PERSONA_WINDOWS,
     false,
     {NULL},
     WINDOWS_OFFER,
     "windows",
     NULL,
     "modp1024",
     "aes256-sha256-modp1024"},
    {"Windows with NegotiateDH2048_AES256 2",
     PERSONA_WINDOWS,
     true,
     {MS_NT5, MS_DISCOVERY, MS_INITIAL_CONTACT},
     "aes256-sha1-modp2048 aes256-sha256-modp2048 aes256-sha384-modp2048",
     "windows",
     "aes256-sha256-modp2048",
     NULL,
     NULL},
    {"Windows set by PowerShell",
     PERSONA_WINDOWS,
     true,
     {MS_NT5, MS_DISCOVERY, MS_INITIAL_CONTACT},
     "aes256-sha384-ecp384",
     "windows",
     "aes256-sha384-ecp384",
     NULL,
     NULL},
    {"Azure VPN Gateway, default policy",
     PERSONA_AZURE,
     false,
     {NULL},
     "aes256-sha1-modp1024 aes256-sha256-modp1024 aes128-sha1-modp1024 aes128-sha256-modp1024 "
     "3des-sha1-modp1024 3des-sha256-modp1024",
     "azure",
     NULL,
     "modp1024",
     "aes256-sha256-modp1024"},
    {"Azure VPN Gateway, a custom policy",
     PERSONA_UNKNOWN,
     false,
     {NULL},
     "aes256-sha256-ecp384",
     "azure",
     "aes256-sha256-ecp384",
     NULL,
     NULL},
    {"AWS Site-to-Site VPN",
     PERSONA_UNKNOWN,
     false,
     {NULL},
     "aes128-aes256-sha1-sha256-sha384-sha512-modp1024-modp2048-modp3072-modp4096-ecp256-ecp384-"
     "ecp521-4:22-4:23-4:24 aes128gcm16-aes256gcm16-prfsha1-prfsha256-prfsha384-prfsha512-"
     "modp1024-modp2048-modp3072-modp4096-ecp256-ecp384-ecp521-4:22-4:23-4:24",
     "aws",
     "aes256gcm16-prfsha512-ecp256",
     NULL,
     NULL},
    {"Google Cloud VPN",
     PERSONA_GOOGLE_CLOUD,
     false,
     {NULL},
     "aes128gcm16-aes192gcm16-aes256gcm16-prfmd5-prfsha1-prfsha256-prfsha384-prfsha512-modp2048-"
     "4:24-4:23-modp1536-modp3072-modp4096-modp8192-modp1024-4:22-ecp256-ecp384-ecp521-x25519 "
     "aes128-aes192-aes256-3des-md5-sha1-sha256-sha384-sha512-modp2048-modp1024",
     "gcp",
     "aes256gcm16-prfsha256-modp2048",
     NULL,
     NULL},
    {"FortiGate",
     PERSONA_FORTIGATE,
     true,
     {"1d6e178f6c2c0be284985465450fe9d4"},
     "aes128-sha256-modp2048-modp1536 aes256-sha256-modp2048-modp1536 3des-sha256-modp2048-"
     "modp1536 aes128-sha1-modp2048-modp1536 aes256-sha1-modp2048-modp1536 3des-sha1-modp2048-"
     "modp1536",
     "fortigate",
     "aes256-sha256-modp2048",
     NULL,
     NULL},
    {"Cisco IOS XE, default proposal with group 16",
     PERSONA_CISCO_IOS,
     true,
     {"=CISCO-DELETE-REASON", "=FLEXVPN-SUPPORTED", CISCO_COPYRIGHT},
     "aes256-aes192-aes128-sha512-sha384-sha256-sha1-md5-modp4096",
     "cisco-ios",
     "aes256-sha256-prfsha512-modp4096",
     NULL,
     NULL},
    {"Cisco IOS XE, default proposal with groups 24 21 20",
     PERSONA_CISCO_IOS,
     true,
     {"=CISCO-DELETE-REASON", "=FLEXVPN-SUPPORTED"},
     "aes256-aes192-aes128-sha512-sha384-sha256-sha1-md5-4:24-ecp521-ecp384",
     "cisco-ios",
     "aes256-sha256-prfsha512-ecp384",
     NULL,
     NULL},
    {"Cisco IOS, old default proposal",
     PERSONA_CISCO_IOS,
     true,
     {"=CISCO-DELETE-REASON", "=FLEXVPN-SUPPORTED"},
     "aes256-aes192-aes128-sha512-sha384-sha256-sha1-md5-modp1536-modp1024",
     "cisco-ios",
     NULL,
     "modp1536",
     "aes256-sha256-prfsha512-modp1536"},
    {"Cisco ASA",
     PERSONA_CISCO,
     true,
     {"=CISCO-DELETE-REASON", CISCO_COPYRIGHT, FRAGMENTATION},
     "aes256-sha256-modp2048",
     "cisco-asa",
     "aes256-sha256-modp2048",
     NULL,
     NULL},
    {"Check Point",
     PERSONA_CHECK_POINT,
     true,
     {"f4ed19e0c114eb516faaac0ee37daf2807b4381f000000010000138d5f3c1e980000000018280000"},
     "aes256-sha256-modp2048",
     "checkpoint",
     "aes256-sha256-modp2048",
     NULL,
     NULL},
    {"Juniper SRX",
     PERSONA_JUNIPER,
     true,
     {"fd808804df73b15150709d878044cde0ac1efcde"},
     "aes256-sha256-modp2048",
     "juniper",
     "aes256-sha256-modp2048",
     NULL,
     NULL},
    {"strongSwan",
     PERSONA_STRONGSWAN,
     true,
     {"882fe56d6fd20dbc2251613b2ebe5beb"},
     "aes256gcm16-prfsha384-x25519-ecp384",
     "strongswan",
     "aes256gcm16-prfsha384-x25519",
     NULL,
     NULL},
    {"iOS 16.5, settings",
     PERSONA_APPLE,
     false,
     {NULL},
     "aes256-sha256-modp2048 aes256-sha256-ecp256 aes256-sha256-modp1536 aes128-sha1-modp1024 "
     "3des-sha1-modp1024",
     "apple",
     "aes256-sha256-modp2048",
     NULL,
     NULL},
    {"macOS 13.4, settings",
     PERSONA_UNKNOWN,
     false,
     {NULL},
     "aes256-sha256-modp2048",
     "apple",
     "aes256-sha256-modp2048",
     NULL,
     NULL},
    {"Android 11 and later",
     PERSONA_ANDROID,
     false,
     {NULL},
     "aes256ctr-aes256-aes192ctr-aes192-aes128ctr-aes128-sha512-sha384-sha256-3:5-"
     "3:8" ANDROID_PRFS_AND_GROUPS
     " chacha20poly1305-aes256gcm16-aes192gcm16-aes128gcm16-aes256gcm12-aes192gcm12-aes128gcm12-"
     "aes256gcm8-aes192gcm8-aes128gcm8" ANDROID_PRFS_AND_GROUPS,
     "android",
     "aes256gcm16-prfsha512-modp4096",
     NULL,
     NULL},
};

const struct persona_offer *persona_offer_at(size_t index)
{
    return index < ARRAY_LENGTH(offers) ? &offers[index] : NULL;
}

static void add(struct ikev2_sa_payload *sa, struct transform t)
{
    CHECK(sa->transform_count < IKEV2_TRANSFORMS_MAX);
    sa->transforms[sa->transform_count++] =
        (struct ikev2_wire_transform){.type = t.type, .id = t.id, .key_bits = t.key_bits};
    sa->proposals[sa->proposal_count - 1].count++;
}

/* "sha256" is both. */
static void add_word(struct ikev2_sa_payload *sa, struct slice word)
{
    struct transform t;
    char *end;

    if (memchr(word.data, ':', word.length) != NULL) {
        unsigned long type = strtoul((const char *)word.data, &end, 10);
        unsigned long id = strtoul(end + 1, NULL, 10);
        add(sa, (struct transform){(uint8_t)type, (uint16_t)id, 0});
        return;
    }
    if (transform_by_word(TRANSFORM_INTEGRITY, word, &t)) {
        add(sa, t);
        CHECK(transform_by_word(TRANSFORM_PRF, word, &t));
    } else {
        CHECK(transform_by_word(0, word, &t));
    }
    add(sa, t);
}

static void parse(const char *words, struct ikev2_sa_payload *sa)
{
    memset(sa, 0, sizeof(*sa));
    for (const char *at = words; *at != '\0';) {
        size_t length = strcspn(at, "- ");

        if (at == words || at[-1] == ' ') {
            sa->proposals[sa->proposal_count] = (struct ikev2_wire_proposal){
                .number = (uint8_t)(sa->proposal_count + 1),
                .protocol = PROTOCOL_IKE,
                .first = sa->transform_count,
            };
            sa->proposal_count++;
        }
        add_word(sa, (struct slice){(const uint8_t *)at, length});
        at += length + (at[length] != '\0');
    }
}

uint16_t persona_offer_group(const struct persona_offer *offer)
{
    struct ikev2_sa_payload sa;

    parse(offer->offer, &sa);
    for (size_t i = 0; i < sa.transform_count; i++) {
        /* A group that we do not know has no value here; its value is refused unread. */
        if (sa.transforms[i].type == TRANSFORM_KEY_EXCHANGE &&
            algorithm_find(TRANSFORM_KEY_EXCHANGE, sa.transforms[i].id) != NULL) {
            return sa.transforms[i].id;
        }
    }
    return KEY_EXCHANGE_NONE;
}

static void write_vendor(struct ikev2_chain *chain, const char *vendor)
{
    uint8_t bytes[128];
    size_t length = 0;

    if (vendor[0] == '=') {
        ikev2_write_payload(chain, IKEV2_VENDOR_ID, slice_of_text(vendor + 1));
        return;
    }
    for (; vendor[0] != '\0'; vendor += 2) {
        const char digits[3] = {vendor[0], vendor[1], '\0'};
        CHECK(length < sizeof(bytes));
        bytes[length++] = (uint8_t)strtoul(digits, NULL, 16);
    }
    ikev2_write_payload(chain, IKEV2_VENDOR_ID, (struct slice){bytes, length});
}

size_t persona_offer_write(const struct persona_offer *offer, uint16_t group, uint64_t spi,
                           struct random_source *random, uint8_t *out, size_t capacity)
{
    struct writer w = writer_over(out, capacity);
    struct ikev2_header header = {
        .spi_i = spi,
        .version = 0x20,
        .exchange = IKEV2_IKE_SA_INIT,
        .flags = IKEV2_FLAG_INITIATOR,
    };
    struct ikev2_sa_payload sa;
    struct key_pair pair = {0};
    uint8_t nonce[32];

    CHECK(key_pair_make(group, random, &pair));
    random_fill(random, nonce, sizeof(nonce));
    parse(offer->offer, &sa);
    ikev2_write_header(&w, &header);
    struct ikev2_chain chain = ikev2_chain_over(&w, &out[NEXT_PAYLOAD_OFFSET]);

    ikev2_begin_payload(&chain, IKEV2_SA, false);
    ikev2_write_sa(&w, &sa);
    ikev2_end_payload(&chain);
    struct ikev2_ke_payload ke = {group, {pair.public_value, pair.public_length}};

    ikev2_begin_payload(&chain, IKEV2_KE, false);
    ikev2_write_ke(&w, &ke);
    ikev2_end_payload(&chain);
    ikev2_write_payload(&chain, IKEV2_NONCE, SLICE_OF(nonce));
    for (size_t i = 0; i < PERSONA_VENDORS_MAX && offer->vendors[i] != NULL; i++) {
        write_vendor(&chain, offer->vendors[i]);
    }
    ikev2_finish_message(&w);
    CHECK(writer_ok(&w));
    key_pair_wipe(&pair);
    return writer_written(&w).length;
}
