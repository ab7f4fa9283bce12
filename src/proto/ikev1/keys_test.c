/* The key schedule of IKEv1 against NIST CAVS and NSS, and what RFC 2409 says beside them. */
#include "proto/ikev1/keys.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "tests/support/test.h"

#define VALUE_BYTES_MAX 2048

struct value {
    uint8_t data[VALUE_BYTES_MAX];
    size_t length;
};

static struct slice value_slice(const struct value *v)
{
    return (struct slice){v->data, v->length};
}

static void value_set(struct value *v, const char *digits)
{
    CHECK(hex_parse(slice_of_text(digits), v->data, sizeof(v->data), &v->length));
}

static void check_secret(const struct secret *actual, const struct value *expected)
{
    CHECK_EQUAL(actual->length, expected->length);
    CHECK_BYTES(actual->bytes, expected->data, expected->length);
}

/* --- CAVS --- */

enum { CKY_I, CKY_R, NI, NR, GXY, SHARED_KEY, SKEYID, SKEYID_D, SKEYID_A, SKEYID_E, FIELDS };

static const char *const field_names[FIELDS] = {
    "CKY_I",          "CKY_R",  "Ni",       "Nr",       "g^xy",
    "pre-shared-key", "SKEYID", "SKEYID_d", "SKEYID_a", "SKEYID_e",
};

static struct suite suite_of(uint16_t prf_id)
{
    return (struct suite){.encryption = ENCRYPTION_AES_CBC,
                          .key_bits = 256,
                          .prf = prf_id,
                          .key_exchange = KEY_EXCHANGE_MODP_2048};
}

static void check_count(uint16_t prf_id, bool signatures, const struct value fields[FIELDS])
{
    const struct suite suite = suite_of(prf_id);
    const struct ikev1_agreed agreed = {
        .shared = value_slice(&fields[GXY]),
        .nonce_i = value_slice(&fields[NI]),
        .nonce_r = value_slice(&fields[NR]),
        .cookie_i = get_u64(fields[CKY_I].data),
        .cookie_r = get_u64(fields[CKY_R].data),
    };
    struct secret shared_key = {0};
    struct ikev1_keys keys = {0};

    if (signatures) {
        CHECK(ikev1_keys_of_signatures(&suite, &agreed, &keys));
    } else {
        CHECK(secret_set(&shared_key, value_slice(&fields[SHARED_KEY])));
        CHECK(ikev1_keys_of_shared_key(&suite, &shared_key, &agreed, &keys));
    }
    check_secret(&keys.skeyid, &fields[SKEYID]);
    check_secret(&keys.skeyid_d, &fields[SKEYID_D]);
    check_secret(&keys.skeyid_a, &fields[SKEYID_A]);
    check_secret(&keys.skeyid_e, &fields[SKEYID_E]);
    ikev1_keys_fini(&keys);
    secret_wipe(&shared_key);
}

static uint16_t prf_of_section(const char *line)
{
    static const struct {
        const char *name;
        uint16_t id;
    } known[] = {{"[SHA-1]", PRF_HMAC_SHA1},
                 {"[SHA-256]", PRF_HMAC_SHA2_256},
                 {"[SHA-384]", PRF_HMAC_SHA2_384},
                 {"[SHA-512]", PRF_HMAC_SHA2_512}};

    for (size_t i = 0; i < ARRAY_LENGTH(known); i++) {
        if (strcmp(line, known[i].name) == 0) {
            return known[i].id;
        }
    }
    return PRF_NONE;
}

static size_t check_file(const char *path, bool signatures)
{
    static struct value fields[FIELDS];
    static char line[16384];
    FILE *file = fopen(path, "r");
    uint16_t prf_id = PRF_NONE;
    size_t cases = 0;

    CHECK(file != NULL);
    while (fgets(line, sizeof(line), file) != NULL) {
        line[strcspn(line, "\r\n")] = '\0';
        prf_id = prf_of_section(line) != PRF_NONE ? prf_of_section(line) : prf_id;
        char *equals = strstr(line, " = ");

        if (equals == NULL || line[0] == '[') {
            continue;
        }
        *equals = '\0';
        for (size_t i = 0; i < FIELDS; i++) {
            if (strcmp(line, field_names[i]) == 0) {
                value_set(&fields[i], equals + 3);
                if (i == SKEYID_E) {
                    check_count(prf_id, signatures, fields);
                    cases++;
                }
            }
        }
    }
    (void)fclose(file);
    return cases;
}

TEST(keys_of_a_shared_key_are_those_of_cavs)
{
    CHECK_EQUAL(check_file(TEST_VECTORS "/cavp-ike/ikev1_psk.fax", false), 425);
}

TEST(keys_of_signatures_are_those_of_cavs)
{
    CHECK_EQUAL(check_file(TEST_VECTORS "/cavp-ike/ikev1_dsa.fax", true), 425);
}

/* --- NSS --- */

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    CHECK(text != NULL);
    return text;
}

static uint16_t prf_of_name(const char *name)
{
    static const struct {
        const char *name;
        uint16_t id;
    } known[] = {{"sha1", PRF_HMAC_SHA1},
                 {"sha256", PRF_HMAC_SHA2_256},
                 {"sha384", PRF_HMAC_SHA2_384},
                 {"sha512", PRF_HMAC_SHA2_512}};

    for (size_t i = 0; i < ARRAY_LENGTH(known); i++) {
        if (strcmp(name, known[i].name) == 0) {
            return known[i].id;
        }
    }
    return PRF_NONE;
}

/* Appendix B says the same octets for every cipher, which are cut where its key ends; the file
 * stretches further than any of ours needs. Says whether the case has to do with one of ours. */
static bool check_cipher_key(uint16_t prf_id, struct slice material, struct slice expected)
{
    static const struct suite ciphers[] = {
        {.encryption = ENCRYPTION_3DES},
        {.encryption = ENCRYPTION_AES_CBC, .key_bits = 128},
        {.encryption = ENCRYPTION_AES_CBC, .key_bits = 192},
        {.encryption = ENCRYPTION_AES_CBC, .key_bits = 256},
        {.encryption = ENCRYPTION_CAMELLIA_CBC, .key_bits = 256},
    };
    bool any = false;

    for (size_t i = 0; i < ARRAY_LENGTH(ciphers); i++) {
        struct suite suite = ciphers[i];
        struct secret key = {0};
        size_t length = suite_encryption_key_bytes(&suite);
        bool stretched = expected.length > material.length;

        suite.prf = prf_id;
        CHECK(ikev1_cipher_key(&suite, material, &key));
        CHECK_EQUAL(key.length, length);
        if (stretched == (length > material.length)) {
            CHECK_BYTES(key.bytes, expected.data,
                        length < expected.length ? length : expected.length);
            any = true;
        }
        secret_wipe(&key);
    }
    return any;
}

TEST(stretched_keys_are_those_of_nss)
{
    static struct value ikm, okm;
    json_t *root = json_load_file(TEST_VECTORS "/cavp-ike/nss-ike-prf.json", 0, NULL);
    json_t *tests = json_object_get(root, "tests");
    size_t ran = 0;

    CHECK(root != NULL);
    for (size_t i = 0; i < json_array_size(tests); i++) {
        const json_t *test = json_array_get(tests, i);
        /* AES-XCBC would have to be negotiated as a PRF, which is not offered in IKEv1. */
        uint16_t prf_id = prf_of_name(text_of(test, "prf"));

        if (prf_id == PRF_NONE || strcmp(text_of(test, "type"), "ikeV1AppB") != 0) {
            continue;
        }
        value_set(&ikm, text_of(test, "ikm"));
        value_set(&okm, text_of(test, "okm"));
        ran += check_cipher_key(prf_id, value_slice(&ikm), value_slice(&okm));
    }
    json_decref(root);
    /* All three of SHA-1, two of each of the others: only SHA-1 is shorter than a key. */
    CHECK_EQUAL(ran, 9);
}

/* --- what vectors do not have --- */

static const struct suite plain = {.encryption = ENCRYPTION_AES_CBC,
                                   .key_bits = 128,
                                   .prf = PRF_HMAC_SHA1,
                                   .key_exchange = KEY_EXCHANGE_MODP_1024};
static const uint8_t some_octets[] = "g^xy nonce of i nonce of r";
static const struct ikev1_agreed agreed_once = {
    .shared = {some_octets, 4},
    .nonce_i = {some_octets + 5, 10},
    .nonce_r = {some_octets + 16, 10},
    .cookie_i = 0x0102030405060708,
    .cookie_r = 0x1112131415161718,
};

/* RFC 2409 5.2, with the hash and the HMAC of crypto. */
TEST(keys_of_public_key_encryption_are_hashed_nonces)
{
    const struct slice nonces[] = {agreed_once.nonce_i, agreed_once.nonce_r};
    uint8_t cookies[16];
    const struct slice cookies_part = SLICE_OF(cookies);
    uint8_t key[20];
    uint8_t skeyid[20];
    struct ikev1_keys keys = {0};

    put_u64(cookies, agreed_once.cookie_i);
    put_u64(cookies + 8, agreed_once.cookie_r);
    sha1(nonces, ARRAY_LENGTH(nonces), key);
    CHECK(prf(PRF_HMAC_SHA1, SLICE_OF(key), &cookies_part, 1, skeyid));
    CHECK(ikev1_keys_of_encryption(&plain, &agreed_once, &keys));
    CHECK_EQUAL(keys.skeyid.length, sizeof(skeyid));
    CHECK_BYTES(keys.skeyid.bytes, skeyid, sizeof(skeyid));
    CHECK_EQUAL(keys.cipher_key.length, 16);
    CHECK_BYTES(keys.cipher_key.bytes, keys.skeyid_e.bytes, 16);

    ikev1_keys_forget_auth(&keys);
    CHECK(keys.skeyid.length == 0 && keys.skeyid_a.length == 20);
    struct ikev1_keys moved = {0};

    ikev1_keys_move(&moved, &keys);
    CHECK(keys.skeyid_a.length == 0 && moved.skeyid_a.length == 20);
    ikev1_keys_fini(&moved);
    ikev1_keys_fini(&moved);
}

/* Appendix B: "the first eight (8) non-weak and non-semi-weak bytes". */
TEST(weak_keys_of_des_are_passed_over)
{
    static const uint8_t weak[][8] = {
        {0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01},
        {0x1f, 0x1f, 0x1f, 0x1f, 0xe0, 0xe0, 0xe0, 0xe0},
        {0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00}, /* parity says nothing */
        {0xe0, 0xfe, 0xe0, 0xfe, 0xf1, 0xfe, 0xf1, 0xfe},
        {0xe1, 0xff, 0xe1, 0xff, 0xf0, 0xff, 0xf0, 0xff},
        {0x1f, 0x01, 0x1f, 0x01, 0x0e, 0x01, 0x0e, 0x01},
    };
    const struct suite suite = {.encryption = ENCRYPTION_DES, .prf = PRF_HMAC_SHA1};
    uint8_t material[20];
    struct secret key = {0};

    for (size_t i = 0; i < ARRAY_LENGTH(weak); i++) {
        memcpy(material, weak[i], 8);
        memcpy(material + 8, "\x01\x23\x45\x67\x89\xab\xcd\xef", 8);
        CHECK(ikev1_cipher_key(&suite, SLICE_OF(material), &key));
        CHECK_EQUAL(key.length, 8);
        CHECK_BYTES(key.bytes, material + 8, 8);
        memcpy(material + 8, weak[i], 8);
        CHECK(!ikev1_cipher_key(&suite, SLICE_OF(material), &key));
    }
    memcpy(material, "\xfe\xfe\xfe\xfe\xfe\xfe\xfe\xf0", 8);
    CHECK(ikev1_cipher_key(&suite, SLICE_OF(material), &key));
    CHECK_BYTES(key.bytes, material, 8);
    secret_wipe(&key);
}

TEST(only_ciphers_in_cbc_with_an_hmac_are_usable)
{
    static const struct {
        struct suite suite;
        bool usable;
    } known[] = {
        {{.encryption = ENCRYPTION_DES, .prf = PRF_HMAC_MD5}, true},
        {{.encryption = ENCRYPTION_3DES, .prf = PRF_HMAC_SHA1}, true},
        {{.encryption = ENCRYPTION_AES_CBC, .key_bits = 256, .prf = PRF_HMAC_SHA2_512}, true},
        {{.encryption = ENCRYPTION_CAMELLIA_CBC, .key_bits = 128, .prf = PRF_HMAC_SHA2_256}, true},
        {{.encryption = ENCRYPTION_AES_CBC, .key_bits = 100, .prf = PRF_HMAC_SHA1}, false},
        {{.encryption = ENCRYPTION_AES_CBC, .prf = PRF_HMAC_SHA1}, false},
        {{.encryption = ENCRYPTION_AES_GCM_16, .key_bits = 128, .prf = PRF_HMAC_SHA1}, false},
        {{.encryption = ENCRYPTION_NULL, .prf = PRF_HMAC_SHA1}, false},
        {{.encryption = ENCRYPTION_3DES, .prf = PRF_AES128_XCBC}, false},
        {{.encryption = ENCRYPTION_3DES}, false},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(known); i++) {
        CHECK_EQUAL(ikev1_suite_is_usable(&known[i].suite), known[i].usable);
    }
}

TEST(nothing_is_derived_from_nothing)
{
    struct ikev1_agreed agreed = agreed_once;
    struct ikev1_keys keys = {0};
    struct secret none = {0};
    struct ikev1_hash_value hash;
    struct ikev1_iv iv = {0};
    uint8_t data[16] = {0};

    CHECK(!ikev1_keys_of_shared_key(&plain, &none, &agreed, &keys));
    agreed.shared = (struct slice){NULL, 0};
    CHECK(!ikev1_keys_of_signatures(&plain, &agreed, &keys));
    CHECK(!ikev1_hash_1(&keys, 1, agreed.nonce_i, &hash) && hash.length == 0);
    CHECK(!ikev1_hash_equal(&hash, (struct slice){NULL, 0}));
    CHECK(!ikev1_encrypt(&keys, &iv, data, sizeof(data)));
    CHECK(!ikev1_iv_of_phase2(&plain, &iv, 1, &iv));
    CHECK(!ikev1_keys_child(&keys, &plain, IKEV1_PROTO_ESP, 1, agreed.nonce_i, agreed.nonce_i,
                            agreed.nonce_r, &none));
}

TEST(messages_are_chained_by_their_last_block)
{
    struct ikev1_keys keys = {0};
    struct ikev1_iv start, sent, received;
    uint8_t data[64] = "what stands in two messages of one exchange";
    uint8_t plaintext[64];

    memcpy(plaintext, data, sizeof(data));
    CHECK(ikev1_keys_of_signatures(&plain, &agreed_once, &keys));
    CHECK(ikev1_iv_of_phase1(&plain, agreed_once.nonce_i, agreed_once.nonce_r, &start));
    CHECK_EQUAL(start.length, 16);
    CHECK_EQUAL(ikev1_padded_bytes(&plain, 0), 0);
    CHECK_EQUAL(ikev1_padded_bytes(&plain, 1), 16);
    CHECK_EQUAL(ikev1_padded_bytes(&plain, 16), 16);
    sent = received = start;
    CHECK(ikev1_encrypt(&keys, &sent, data, 32) && ikev1_encrypt(&keys, &sent, data + 32, 32));
    CHECK_BYTES(sent.octets, data + 48, 16);
    CHECK(!ikev1_decrypt(&keys, &received, data, 31) && !ikev1_decrypt(&keys, &received, data, 0));
    CHECK(ikev1_decrypt(&keys, &received, data, 32) &&
          ikev1_decrypt(&keys, &received, data + 32, 32));
    CHECK_BYTES(data, plaintext, sizeof(data));
    CHECK_BYTES(received.octets, sent.octets, 16);
    ikev1_keys_fini(&keys);
}

/* RFC 2409 5.3: Ne = prf(N, cookie); with SHA-1 and AES-256 it is stretched from a zero on. */
TEST(the_key_of_the_revised_mode_comes_from_the_nonce)
{
    const struct suite suite = {
        .encryption = ENCRYPTION_AES_CBC, .key_bits = 256, .prf = PRF_HMAC_SHA1};
    static const uint8_t cookie[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    static const uint8_t zero[1];
    const struct slice cookie_part = SLICE_OF(cookie);
    const struct slice zero_part = SLICE_OF(zero);
    uint8_t ne[20];
    uint8_t expected[40];
    const struct slice first_block = {expected, 20};
    struct secret key = {0};

    CHECK(prf(PRF_HMAC_SHA1, agreed_once.nonce_i, &cookie_part, 1, ne));
    CHECK(prf(PRF_HMAC_SHA1, SLICE_OF(ne), &zero_part, 1, expected));
    CHECK(prf(PRF_HMAC_SHA1, SLICE_OF(ne), &first_block, 1, expected + 20));
    CHECK(ikev1_keys_revised(&suite, agreed_once.nonce_i, 0x0102030405060708, &key));
    CHECK_EQUAL(key.length, 32);
    CHECK_BYTES(key.bytes, expected, 32);
    CHECK(!ikev1_keys_revised(&suite, (struct slice){NULL, 0}, 1, &key));
    secret_wipe(&key);
}
