/* Chaining without integrity, against RFC 3602, OpenSSL's vectors and itself. */
#include "crypto/cbc.h"

#include <stdlib.h>

#include "base/text.h"
#include "tests/support/test.h"
#include "tests/support/vectors.h"

#define DATA_BYTES_MAX 8192

struct octets {
    uint8_t data[DATA_BYTES_MAX];
    size_t length;
};

static void parse(const char *digits, struct octets *out)
{
    CHECK(digits != NULL);
    CHECK(hex_parse(slice_of_text(digits), out->data, sizeof(out->data), &out->length));
}

struct seen {
    size_t des, triple_des, aes, camellia;
};

static uint16_t cipher_of(const char *name, struct seen *seen)
{
    if (strcmp(name, "DES-CBC") == 0) {
        seen->des++;
        return ENCRYPTION_DES;
    }
    if (strcmp(name, "DES-EDE3-CBC") == 0) {
        seen->triple_des++;
        return ENCRYPTION_3DES;
    }
    if (strncmp(name, "AES-", 4) == 0 && strstr(name, "-CBC") != NULL &&
        strstr(name, "CTS") == NULL && strstr(name, "HMAC") == NULL) {
        seen->aes++;
        return ENCRYPTION_AES_CBC;
    }
    if (strncmp(name, "CAMELLIA-", 9) == 0 && strstr(name, "-CBC") != NULL &&
        strstr(name, "CTS") == NULL) {
        seen->camellia++;
        return ENCRYPTION_CAMELLIA_CBC;
    }
    return ENCRYPTION_NONE;
}

static void check_stanza(const struct stanza *stanza, void *context)
{
    const char *name = stanza_value(stanza, "Cipher");
    const char *result = stanza_value(stanza, "Result");
    static struct octets key, iv, plain, cipher;
    static uint8_t data[DATA_BYTES_MAX];

    if (name == NULL || result != NULL || stanza_value(stanza, "Plaintext") == NULL) {
        return;
    }
    uint16_t encryption = cipher_of(name, context);

    if (encryption == ENCRYPTION_NONE) {
        return;
    }
    parse(stanza_value(stanza, "Key"), &key);
    parse(stanza_value(stanza, "IV"), &iv);
    parse(stanza_value(stanza, "Plaintext"), &plain);
    parse(stanza_value(stanza, "Ciphertext"), &cipher);
    if (plain.length != cipher.length) {
        return; /* padded by PKCS #7, which IKE has not */
    }
    const char *operation = stanza_value(stanza, "Operation");
    struct slice k = {key.data, key.length};
    struct slice v = {iv.data, iv.length};

    if (operation == NULL || strcmp(operation, "ENCRYPT") == 0) {
        memcpy(data, plain.data, plain.length);
        CHECK(cbc_encrypt(encryption, k, v, data, plain.length));
        CHECK_BYTES(data, cipher.data, cipher.length);
    }
    if (operation == NULL || strcmp(operation, "DECRYPT") == 0) {
        memcpy(data, cipher.data, cipher.length);
        CHECK(cbc_decrypt(encryption, k, v, data, cipher.length));
        CHECK_BYTES(data, plain.data, plain.length);
    }
}

TEST(cbc_gives_what_openssl_expects)
{
    static const char *const files[] = {
        "openssl/evpciph_aes_common.txt",
        "openssl/evpciph_des.txt",
        "openssl/evpciph_des3_common.txt",
        "openssl/evpciph_camellia.txt",
    };
    struct seen seen = {0};

    for (size_t i = 0; i < ARRAY_LENGTH(files); i++) {
        CHECK(stanzas_each(files[i], check_stanza, &seen) > 0);
    }
    CHECK(seen.des > 0 && seen.triple_des > 0 && seen.aes > 10 && seen.camellia > 10);
}

TEST(a_message_may_be_encrypted_in_parts)
{
    static const struct {
        uint16_t encryption;
        uint8_t key_bytes;
    } known[] = {
        {ENCRYPTION_DES, 8},           {ENCRYPTION_3DES, 24},    {ENCRYPTION_AES_CBC, 16},
        {ENCRYPTION_AES_CBC, 24},      {ENCRYPTION_AES_CBC, 32}, {ENCRYPTION_CAMELLIA_CBC, 16},
        {ENCRYPTION_CAMELLIA_CBC, 32},
    };
    static const uint8_t key[32] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17};
    static const uint8_t iv[16] = {9, 8, 7};

    for (size_t i = 0; i < ARRAY_LENGTH(known); i++) {
        size_t block = cbc_block_bytes(known[i].encryption);
        struct slice k = {key, known[i].key_bytes};
        uint8_t whole[96] = {5};
        uint8_t parts[96] = {5};

        CHECK(cbc_encrypt(known[i].encryption, k, (struct slice){iv, block}, whole, 96));
        CHECK(cbc_encrypt(known[i].encryption, k, (struct slice){iv, block}, parts, 48));
        CHECK(cbc_encrypt(known[i].encryption, k, (struct slice){parts + 48 - block, block},
                          parts + 48, 48));
        CHECK_BYTES(whole, parts, sizeof(whole));
        CHECK(cbc_decrypt(known[i].encryption, k, (struct slice){iv, block}, whole, 96));
        CHECK(whole[0] == 5 && whole[1] == 0 && whole[95] == 0);
    }
}

TEST(wrong_lengths_and_unknown_ciphers_are_refused)
{
    static const uint8_t key[32];
    uint8_t data[32] = {0};
    struct slice k16 = {key, 16};

    CHECK_EQUAL(cbc_block_bytes(ENCRYPTION_AES_GCM_16), 0);
    CHECK(!cbc_encrypt(ENCRYPTION_AES_GCM_16, k16, k16, data, 32));
    CHECK(!cbc_encrypt(ENCRYPTION_AES_CBC, (struct slice){key, 15}, k16, data, 32));
    CHECK(!cbc_encrypt(ENCRYPTION_AES_CBC, k16, (struct slice){key, 8}, data, 32));
    CHECK(!cbc_encrypt(ENCRYPTION_AES_CBC, k16, k16, data, 31));
    CHECK(!cbc_decrypt(ENCRYPTION_3DES, k16, (struct slice){key, 8}, data, 32));
    CHECK(cbc_decrypt(ENCRYPTION_AES_CBC, k16, k16, data, 0));
    for (size_t i = 0; i < sizeof(data); i++) {
        CHECK_EQUAL(data[i], 0);
    }
}
