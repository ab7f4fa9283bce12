/* The key schedule against NIST CAVS, NSS and what RFC 7296 2.14 says of PRFs with fixed keys. */
#include "proto/ikev2/keys.h"

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

static void value_set(struct value *v, struct slice digits)
{
    CHECK(hex_parse(digits, v->data, sizeof(v->data), &v->length));
}

/* One COUNT of a CAVS file. */
enum { NI, NR, GIR, GIR_NEW, SPI_I, SPI_R, SKEYSEED, DKM, DKM_CHILD, DKM_CHILD_DH, REKEY, FIELDS };

static const char *const field_names[FIELDS] = {
    "Ni",
    "Nr",
    "g^ir",
    "g^ir (new)",
    "SPIi",
    "SPIr",
    "SKEYSEED",
    "DKM",
    "DKM(Child SA)",
    "DKM(Child SA D-H)",
    "SKEYSEED(Rekey)",
};

/* prf+ gives the same octets whatever is cut from them, so keys are compared as far as both
 * go. */
static void check_prefix(const uint8_t *actual, size_t length, const struct value *stream)
{
    CHECK_BYTES(actual, stream->data, length < stream->length ? length : stream->length);
}

/* SK_d | SK_ai | SK_ar | SK_ei | SK_er | SK_pi | SK_pr as one, as the RFC has them. */
static size_t keys_join(const struct ikev2_keys *k, uint8_t *out)
{
    size_t a = suite_integrity_key_bytes(&k->suite);
    size_t e = suite_encryption_key_bytes(&k->suite);
    struct writer w = writer_over(out, VALUE_BYTES_MAX);

    CHECK_EQUAL(k->protect_i.length, a + e);
    CHECK_EQUAL(k->protect_r.length, a + e);
    write_slice(&w, secret_slice(&k->sk_d));
    write_slice(&w, (struct slice){k->protect_i.bytes + e, a});
    write_slice(&w, (struct slice){k->protect_r.bytes + e, a});
    write_slice(&w, (struct slice){k->protect_i.bytes, e});
    write_slice(&w, (struct slice){k->protect_r.bytes, e});
    write_slice(&w, secret_slice(&k->sk_pi));
    write_slice(&w, secret_slice(&k->sk_pr));
    CHECK(writer_ok(&w));
    return w.length;
}

static void check_child(const struct ikev2_keys *keys, struct slice shared,
                        const struct value fields[FIELDS], const struct value *stream)
{
    static const struct suite children[] = {
        {.encryption = ENCRYPTION_AES_CBC,
         .key_bits = 256,
         .integrity = INTEGRITY_HMAC_SHA2_256_128},
        {.encryption = ENCRYPTION_AES_GCM_16, .key_bits = 128},
        {.encryption = ENCRYPTION_3DES, .integrity = INTEGRITY_HMAC_SHA1_96},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(children); i++) {
        struct secret from_i = {0};
        struct secret from_r = {0};
        uint8_t both[VALUE_BYTES_MAX];

        CHECK(ikev2_keys_child(keys, &children[i], shared, value_slice(&fields[NI]),
                               value_slice(&fields[NR]), (struct slice){0}, &from_i, &from_r));
        CHECK_EQUAL(from_i.length, suite_encryption_key_bytes(&children[i]) +
                                       suite_integrity_key_bytes(&children[i]));
        CHECK_EQUAL(from_r.length, from_i.length);
        memcpy(both, from_i.bytes, from_i.length);
        memcpy(both + from_i.length, from_r.bytes, from_r.length);
        check_prefix(both, 2 * from_i.length, stream);
        secret_wipe(&from_i);
        secret_wipe(&from_r);
    }
}

static void check_count(uint16_t prf_id, const struct value fields[FIELDS])
{
    const struct suite suite = {.encryption = ENCRYPTION_AES_CBC,
                                .key_bits = 128,
                                .integrity = INTEGRITY_HMAC_SHA1_96,
                                .prf = prf_id,
                                .key_exchange = KEY_EXCHANGE_MODP_2048};
    uint64_t spi_i = get_u64(fields[SPI_I].data);
    uint64_t spi_r = get_u64(fields[SPI_R].data);
    struct ikev2_keys keys = {0};
    struct ikev2_keys rekeyed = {0};
    uint8_t joined[VALUE_BYTES_MAX];
    struct value expected = {.length = 0};

    CHECK(ikev2_keys_derive(&suite, value_slice(&fields[GIR]), value_slice(&fields[NI]),
                            value_slice(&fields[NR]), spi_i, spi_r, &keys));
    check_prefix(joined, keys_join(&keys, joined), &fields[DKM]);
    check_child(&keys, (struct slice){0}, fields, &fields[DKM_CHILD]);
    check_child(&keys, value_slice(&fields[GIR_NEW]), fields, &fields[DKM_CHILD_DH]);

    /* CAVS gives the SKEYSEED of a rekeying; prf+ over it is what RFC 7296 2.14 says. */
    uint8_t spis[16];

    put_u64(spis, spi_i);
    put_u64(spis + 8, spi_r);
    const struct slice seed[] = {value_slice(&fields[NI]), value_slice(&fields[NR]),
                                 SLICE_OF(spis)};

    CHECK(ikev2_keys_rekey(&keys, &suite, value_slice(&fields[GIR_NEW]), value_slice(&fields[NI]),
                           value_slice(&fields[NR]), (struct slice){0}, spi_i, spi_r, &rekeyed));
    size_t length = keys_join(&rekeyed, joined);

    CHECK(prf_plus(prf_id, value_slice(&fields[REKEY]), seed, ARRAY_LENGTH(seed), expected.data,
                   length));
    CHECK_BYTES(joined, expected.data, length);
    ikev2_keys_fini(&keys);
    ikev2_keys_fini(&rekeyed);
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
        if (strncmp(line, known[i].name, strlen(known[i].name)) == 0) {
            return known[i].id;
        }
    }
    return PRF_NONE;
}

TEST(keys_are_those_of_nist)
{
    static struct value fields[FIELDS];
    static char line[16384];
    FILE *file = fopen(TEST_VECTORS "/cavp-ike/ikev2.fax", "r");
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
                value_set(&fields[i], slice_of_text(equals + 3));
                if (i == REKEY) {
                    check_count(prf_id, fields);
                    cases++;
                }
            }
        }
    }
    fclose(file);
    CHECK_EQUAL(cases, 225);
}

static uint16_t prf_of_name(const char *name)
{
    static const struct {
        const char *name;
        uint16_t id;
    } known[] = {{"sha1", PRF_HMAC_SHA1},
                 {"sha256", PRF_HMAC_SHA2_256},
                 {"sha384", PRF_HMAC_SHA2_384},
                 {"sha512", PRF_HMAC_SHA2_512},
                 {"aesxcbc", PRF_AES128_XCBC}};

    for (size_t i = 0; i < ARRAY_LENGTH(known); i++) {
        if (strcmp(name, known[i].name) == 0) {
            return known[i].id;
        }
    }
    return PRF_NONE;
}

static void member(const json_t *object, const char *name, struct value *out)
{
    const char *digits = json_string_value(json_object_get(object, name));

    CHECK(digits != NULL);
    value_set(out, slice_of_text(digits));
}

/* SKEYSEED of our derivation is seen through prf+, as above. */
static void check_nss_skeyseed(uint16_t prf_id, const struct value *ikm, const struct value *ni,
                               const struct value *nr, const struct value *okm)
{
    const struct suite suite = {
        .encryption = ENCRYPTION_AES_GCM_16, .key_bits = 256, .prf = prf_id};
    const uint8_t spis[16] = {[7] = 1, [15] = 2};
    const struct slice seed[] = {value_slice(ni), value_slice(nr), SLICE_OF(spis)};
    struct ikev2_keys keys = {0};
    uint8_t joined[VALUE_BYTES_MAX];
    uint8_t expected[VALUE_BYTES_MAX];

    CHECK(
        ikev2_keys_derive(&suite, value_slice(ikm), value_slice(ni), value_slice(nr), 1, 2, &keys));
    size_t length = keys_join(&keys, joined);

    CHECK(prf_plus(prf_id, value_slice(okm), seed, ARRAY_LENGTH(seed), expected, length));
    CHECK_BYTES(joined, expected, length);
    ikev2_keys_fini(&keys);
}

static void check_nss_rekey(uint16_t prf_id, const struct value *sk_d, const struct value *shared,
                            const struct value *ni, const struct value *nr, const struct value *okm)
{
    const struct suite suite = {
        .encryption = ENCRYPTION_AES_GCM_16, .key_bits = 128, .prf = PRF_HMAC_SHA2_256};
    const uint8_t spis[16] = {[7] = 1, [15] = 2};
    const struct slice seed[] = {value_slice(ni), value_slice(nr), SLICE_OF(spis)};
    struct ikev2_keys old = {.suite = suite};
    struct ikev2_keys keys = {0};
    uint8_t joined[VALUE_BYTES_MAX];
    uint8_t expected[VALUE_BYTES_MAX];

    /* The old PRF makes SKEYSEED, the new one all else. */
    old.suite.prf = prf_id;
    CHECK(secret_set(&old.sk_d, value_slice(sk_d)));
    CHECK(ikev2_keys_rekey(&old, &suite, value_slice(shared), value_slice(ni), value_slice(nr),
                           (struct slice){0}, 1, 2, &keys));
    size_t length = keys_join(&keys, joined);

    CHECK(
        prf_plus(PRF_HMAC_SHA2_256, value_slice(okm), seed, ARRAY_LENGTH(seed), expected, length));
    CHECK_BYTES(joined, expected, length);
    ikev2_keys_fini(&old);
    ikev2_keys_fini(&keys);
}

static bool is_type(const json_t *test, const char *type)
{
    return strcmp(json_string_value(json_object_get(test, "type")), type) == 0;
}

TEST(keys_are_those_of_nss)
{
    static struct value ikm, shared, ni, nr, okm, seed;
    json_t *root = json_load_file(TEST_VECTORS "/cavp-ike/nss-ike-prf.json", 0, NULL);
    json_t *tests = json_object_get(root, "tests");
    size_t ran[3] = {0};

    CHECK(root != NULL);
    for (size_t i = 0; i < json_array_size(tests); i++) {
        const json_t *test = json_array_get(tests, i);
        uint16_t prf_id = prf_of_name(json_string_value(json_object_get(test, "prf")));

        CHECK(prf_id != PRF_NONE);
        member(test, "ikm", &ikm);
        member(test, "gxykm", &shared);
        member(test, "ni", &ni);
        member(test, "nr", &nr);
        member(test, "okm", &okm);
        member(test, "seed_data", &seed);
        if (is_type(test, "ikeGxy")) {
            /* RFC 7296 2.14 and this file agree on XCBC for nonces of 8 octets only. */
            if (prf_id != PRF_AES128_XCBC || (ni.length == 8 && nr.length == 8)) {
                check_nss_skeyseed(prf_id, &ikm, &ni, &nr, &okm);
                ran[0]++;
            }
        } else if (is_type(test, "ikeV2Rekey")) {
            check_nss_rekey(prf_id, &ikm, &shared, &ni, &nr, &okm);
            ran[1]++;
        } else if (is_type(test, "ikePlus")) {
            const struct slice parts[] = {value_slice(&ni), value_slice(&nr), value_slice(&seed)};
            uint8_t out[VALUE_BYTES_MAX];

            CHECK(prf_plus(prf_id, value_slice(&ikm), parts, ARRAY_LENGTH(parts), out, okm.length));
            CHECK_BYTES(out, okm.data, okm.length);
            ran[2]++;
        }
    }
    json_decref(root);
    CHECK(ran[0] >= 8);
    CHECK_EQUAL(ran[1], 5);
    CHECK_EQUAL(ran[2], 15);
}

/* RFC 7296 2.14: "only the first 64 bits of Ni and the first 64 bits of Nr are used in
 * calculating SKEYSEED, but all the bits are used for input to the prf+ function". */
TEST(prfs_with_fixed_keys_take_half_from_each_nonce)
{
    static const uint16_t prfs[] = {PRF_AES128_XCBC, PRF_AES128_CMAC};
    uint8_t ni[32];
    uint8_t nr[24];
    uint8_t key[16];
    uint8_t skeyseed[PRF_OUTPUT_BYTES_MAX];
    const uint8_t spis[16] = {[7] = 9, [15] = 8};
    const struct slice shared = SLICE_TEXT("a shared secret of any length that is long enough");
    const struct slice seed[] = {SLICE_OF(ni), SLICE_OF(nr), SLICE_OF(spis)};

    for (size_t i = 0; i < sizeof(ni); i++) {
        ni[i] = (uint8_t)i;
    }
    for (size_t i = 0; i < sizeof(nr); i++) {
        nr[i] = (uint8_t)(0x80 + i);
    }
    memcpy(key, ni, 8);
    memcpy(key + 8, nr, 8);
    for (size_t i = 0; i < ARRAY_LENGTH(prfs); i++) {
        const struct suite suite = {.encryption = ENCRYPTION_AES_CBC,
                                    .key_bits = 128,
                                    .integrity = INTEGRITY_AES_XCBC_96,
                                    .prf = prfs[i]};
        struct ikev2_keys keys = {0};
        uint8_t joined[VALUE_BYTES_MAX];
        uint8_t expected[VALUE_BYTES_MAX];

        CHECK(prf(prfs[i], SLICE_OF(key), &shared, 1, skeyseed));
        CHECK(ikev2_keys_derive(&suite, shared, SLICE_OF(ni), SLICE_OF(nr), 9, 8, &keys));
        size_t length = keys_join(&keys, joined);

        CHECK_EQUAL(length, 3 * 16 + 2 * 16 + 2 * 16);
        CHECK(prf_plus(prfs[i], (struct slice){skeyseed, 16}, seed, 3, expected, length));
        CHECK_BYTES(joined, expected, length);
        ikev2_keys_fini(&keys);
    }
}

TEST(what_cannot_be_derived_is_refused)
{
    const struct suite good = {
        .encryption = ENCRYPTION_AES_GCM_16, .key_bits = 128, .prf = PRF_HMAC_SHA2_256};
    const struct slice nonce = SLICE_TEXT("0123456789abcdef");
    static const uint8_t long_nonce[300] = {0};
    struct ikev2_keys keys = {0};
    struct ikev2_keys next = {0};
    struct secret a = {0};
    struct secret b = {0};
    struct suite s = good;

    CHECK(!ikev2_keys_derive(&good, (struct slice){0}, nonce, nonce, 1, 2, &keys));
    CHECK(
        !ikev2_keys_derive(&good, nonce, SLICE_OF(long_nonce), SLICE_OF(long_nonce), 1, 2, &keys));
    s.prf = 99;
    CHECK(!ikev2_keys_derive(&s, nonce, nonce, nonce, 1, 2, &keys));
    s = good;
    s.encryption = 99;
    CHECK(!ikev2_keys_derive(&s, nonce, nonce, nonce, 1, 2, &keys));
    CHECK_EQUAL(keys.sk_d.length, 0);
    CHECK(!ikev2_keys_rekey(&keys, &good, nonce, nonce, nonce, (struct slice){0}, 1, 2, &next));
    CHECK(!ikev2_keys_child(&keys, &good, (struct slice){0}, nonce, nonce, (struct slice){0}, &a,
                            &b));
    CHECK(ikev2_keys_derive(&good, nonce, nonce, nonce, 1, 2, &keys));
    CHECK(!ikev2_keys_child(&keys, &s, (struct slice){0}, nonce, nonce, (struct slice){0}, &a, &b));
    CHECK_EQUAL(a.length, 0);
    ikev2_keys_move(&next, &keys);
    CHECK_EQUAL(keys.sk_d.length, 0);
    CHECK_EQUAL(next.sk_d.length, 32);
    ikev2_keys_fini(&next);
    ikev2_keys_fini(&next);
}

TEST(auth_with_a_shared_key_depends_on_all_that_it_covers)
{
    const struct suite suite = {
        .encryption = ENCRYPTION_AES_GCM_16, .key_bits = 128, .prf = PRF_HMAC_SHA2_256};
    const struct slice nonce = SLICE_TEXT("0123456789abcdef");
    struct slice parts[3] = {SLICE_TEXT("the first message"), SLICE_TEXT("a nonce of the other"),
                             SLICE_TEXT("\x02\0\0\0tokyo")};
    struct ikev2_keys keys = {0};
    struct ikev2_auth_octets octets;
    struct secret shared_key = {0};
    struct secret wrong_key = {0};
    struct secret no_key = {0};
    uint8_t auth[PRF_OUTPUT_BYTES_MAX];
    size_t length;

    CHECK(secret_set(&shared_key, SLICE_TEXT("open sesame")));
    CHECK(secret_set(&wrong_key, SLICE_TEXT("open sesamf")));
    CHECK(ikev2_keys_derive(&suite, nonce, nonce, nonce, 1, 2, &keys));
    CHECK(ikev2_auth_octets(&keys, true, parts[0], parts[1], parts[2], &octets));
    CHECK(ikev2_auth_shared_key(&keys, &shared_key, &octets, auth, &length));
    CHECK_EQUAL(length, 32);
    CHECK(ikev2_auth_verify_shared_key(&keys, &shared_key, &octets, (struct slice){auth, length}));
    CHECK(!ikev2_auth_verify_shared_key(&keys, &wrong_key, &octets, (struct slice){auth, length}));
    CHECK(!ikev2_auth_verify_shared_key(&keys, &no_key, &octets, (struct slice){auth, length}));
    CHECK(!ikev2_auth_verify_shared_key(&keys, &shared_key, &octets, (struct slice){auth, 31}));
    CHECK(!ikev2_auth_verify_shared_key(&keys, &shared_key, &octets, (struct slice){auth, 0}));
    for (size_t bit = 0; bit < 8 * length; bit++) {
        auth[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        CHECK(!ikev2_auth_verify_shared_key(&keys, &shared_key, &octets,
                                            (struct slice){auth, length}));
        auth[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    for (size_t i = 0; i < 3; i++) {
        struct slice kept = parts[i];

        parts[i].length--;
        CHECK(ikev2_auth_octets(&keys, true, parts[0], parts[1], parts[2], &octets));
        CHECK(!ikev2_auth_verify_shared_key(&keys, &shared_key, &octets,
                                            (struct slice){auth, length}));
        parts[i] = kept;
    }
    /* The other side's AUTH, reflected. */
    CHECK(ikev2_auth_octets(&keys, false, parts[0], parts[1], parts[2], &octets));
    CHECK(!ikev2_auth_verify_shared_key(&keys, &shared_key, &octets, (struct slice){auth, length}));
    ikev2_keys_forget_auth(&keys);
    CHECK(!ikev2_auth_octets(&keys, true, parts[0], parts[1], parts[2], &octets));
    CHECK(!ikev2_auth_shared_key(&keys, &shared_key, &octets, auth, &length));
    ikev2_keys_fini(&keys);
    secret_wipe(&shared_key);
    secret_wipe(&wrong_key);
}
