/* Decides how Wireshark calls an algorithm. */
#include "sekishod/capture_keys.h"

#include "base/secret.h"
#include "base/text.h"
#include "wire/ip.h"

struct known {
    uint16_t id;
    const char *name;
};

static const struct known ciphers[] = {
    {ENCRYPTION_NULL, "NULL"},
    {ENCRYPTION_DES, "DES-CBC [RFC2405]"},
    {ENCRYPTION_3DES, "TripleDES-CBC [RFC2451]"},
    {ENCRYPTION_AES_CBC, "AES-CBC [RFC3602]"},
    {ENCRYPTION_AES_CTR, "AES-CTR [RFC3686]"},
    {ENCRYPTION_AES_GCM_8, "AES-GCM with 8 octet ICV [RFC4106]"},
    {ENCRYPTION_AES_GCM_12, "AES-GCM with 12 octet ICV [RFC4106]"},
    {ENCRYPTION_AES_GCM_16, "AES-GCM with 16 octet ICV [RFC4106]"},
};

static const struct known macs[] = {
    {INTEGRITY_NONE, "NULL"},
    {INTEGRITY_HMAC_MD5_96, "HMAC-MD5-96 [RFC2403]"},
    {INTEGRITY_HMAC_SHA1_96, "HMAC-SHA-1-96 [RFC2404]"},
    {INTEGRITY_HMAC_SHA2_256_128, "HMAC-SHA-256-128 [RFC4868]"},
    {INTEGRITY_HMAC_SHA2_256_96, "HMAC-SHA-256-96 [draft-ietf-ipsec-ciph-sha-256-00]"},
    {INTEGRITY_HMAC_SHA2_384_192, "HMAC-SHA-384-192 [RFC4868]"},
    {INTEGRITY_HMAC_SHA2_512_256, "HMAC-SHA-512-256 [RFC4868]"},
};

static const char *name_of(const struct known *list, size_t count, uint16_t id)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i].id == id) {
            return list[i].name;
        }
    }
    return NULL;
}

static void add_key(struct text *out, struct slice key)
{
    text_add(out, ",\"");
    if (key.length > 0) {
        text_add(out, "0x");
        text_add_hex(out, key);
    }
    text_add(out, "\"");
}

bool capture_keys_line(const struct dataplane *dp, const struct tap_record *record,
                       char out[CAPTURE_KEY_BYTES])
{
    const struct address *from = record->inbound ? &record->peer.address : &record->local.address;
    const struct address *to = record->inbound ? &record->local.address : &record->peer.address;
    struct text text = text_over(out, CAPTURE_KEY_BYTES);
    char address[ADDRESS_TEXT_BYTES];
    struct sa_raw_keys keys;

    if (record->protocol != IP_PROTOCOL_ESP || !dataplane_raw_keys(dp, record->spi_in, &keys)) {
        return false;
    }
    struct slice key = record->inbound ? keys.in : keys.out;
    size_t cipher_bytes = suite_encryption_key_bytes(&keys.suite);
    const char *cipher = name_of(ciphers, ARRAY_LENGTH(ciphers), keys.suite.encryption);
    const char *mac = name_of(macs, ARRAY_LENGTH(macs), keys.suite.integrity);
    if (cipher == NULL || mac == NULL || cipher_bytes > key.length) {
        return false;
    }
    text_addf(&text, "\"%s\",\"%s\",", from->family == FAMILY_IPV4 ? "IPv4" : "IPv6",
              address_format(from, address));
    text_addf(&text, "\"%s\",\"0x%08x\",\"%s\"", address_format(to, address), record->spi, cipher);
    add_key(&text, (struct slice){key.data, cipher_bytes});
    text_addf(&text, ",\"%s\"", mac);
    add_key(&text, (struct slice){key.data + cipher_bytes, key.length - cipher_bytes});
    return !text.cut;
}
