/*
 * Integrity alone against vectors of others and against libcrypto called directly, on both engines.
 */
#include "crypto/authenticate.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "base/random.h"
#include "crypto/prf.h"
#include "tests/support/test.h"
#include "tests/support/vectors.h"

#define CROWD 16
#define KEY_BYTES_MAX 64

static const enum protect_choice choices[] = {PROTECT_AUTOMATIC, PROTECT_OPENSSL};

static void with_both_engines(void (*check)(struct protect_engine *engine))
{
    for (size_t i = 0; i < ARRAY_LENGTH(choices); i++) {
        CHECK(protect_start(choices[i]));
        struct protect_engine *engine = protect_engine_new();
        CHECK(engine != NULL);
        check(engine);
        protect_engine_free(engine);
    }
    CHECK(protect_start(PROTECT_AUTOMATIC));
}

/* The ICV of one text begins with `expected`, or not, by itself and CROWD times at once. */
static void check_vector(struct protect_engine *engine, uint16_t integrity, struct slice secret,
                         const uint8_t *iv, struct slice text, struct slice expected, bool valid)
{
    struct auth_key *key = auth_key_new(integrity, secret);
    struct auth_job jobs[CROWD];
    static const size_t crowds[] = {1, CROWD};

    CHECK(key != NULL);
    size_t icv_bytes = auth_key_icv_bytes(key);

    CHECK(expected.length >= icv_bytes);
    for (size_t c = 0; c < ARRAY_LENGTH(crowds); c++) {
        for (size_t i = 0; i < crowds[c]; i++) {
            jobs[i] =
                (struct auth_job){.key = key, .data = text.data, .length = (uint32_t)text.length};
            if (iv != NULL) {
                memcpy(jobs[i].iv, iv, AUTH_IV_BYTES);
            }
        }
        auth_compute(engine, jobs, crowds[c]);
        for (size_t i = 0; i < crowds[c]; i++) {
            CHECK(jobs[i].ok);
            CHECK((memcmp(jobs[i].icv, expected.data, icv_bytes) == 0) == valid);
        }
    }
    auth_key_free(key);
}

static size_t group_number(const json_t *group, const char *member)
{
    return (size_t)json_integer_value(json_object_get(group, member));
}

/* Those with the key size of IPsec; a longer tag is the same one before it was cut. */
static size_t check_wycheproof_file(struct protect_engine *engine, const char *file,
                                    uint16_t integrity)
{
    const struct algorithm *algorithm = algorithm_find(TRANSFORM_INTEGRITY, integrity);
    size_t key_bits = 8 * (size_t)(algorithm->key_bytes - algorithm->salt_bytes);
    json_t *root = vectors_load(file);
    json_t *group;
    size_t i;
    size_t checked = 0;

    json_array_foreach(json_object_get(root, "testGroups"), i, group)
    {
        json_t *test;
        size_t j;
        bool ours = group_number(group, "keySize") == key_bits &&
                    group_number(group, "tagSize") >= 8 * (size_t)algorithm->icv_bytes &&
                    (!algorithm->ah_only || group_number(group, "ivSize") == 96);
        json_array_foreach(json_object_get(group, "tests"), j, test)
        {
            uint8_t secret[KEY_BYTES_MAX];
            struct writer w = writer_over(secret, sizeof(secret));
            const uint8_t *iv = NULL;
            struct slice tag = vector_hex(test, "tag");
            bool valid = strcmp(vector_text(test, "result"), "valid") == 0;
            if (!ours) {
                break;
            }
            write_slice(&w, vector_hex(test, "key"));
            if (algorithm->ah_only) {
                struct slice nonce = vector_hex(test, "iv");
                write_slice(&w, (struct slice){nonce.data, 4});
                iv = nonce.data + 4;
            }
            if (!valid && tag.length > algorithm->icv_bytes) {
                continue; /* what is wrong may have been cut off */
            }
            check_vector(engine, integrity, writer_written(&w), iv, vector_hex(test, "msg"), tag,
                         valid);
            checked++;
        }
    }
    json_decref(root);
    return checked;
}

static void check_wycheproof(struct protect_engine *engine)
{
    static const struct {
        const char *file;
        uint16_t integrity;
        size_t count;
    } files[] = {
        {"wycheproof/hmac_sha1_test.json", INTEGRITY_HMAC_SHA1_96, 27},
        {"wycheproof/hmac_sha256_test.json", INTEGRITY_HMAC_SHA2_256_128, 108},
        {"wycheproof/hmac_sha384_test.json", INTEGRITY_HMAC_SHA2_384_192, 108},
        {"wycheproof/hmac_sha512_test.json", INTEGRITY_HMAC_SHA2_512_256, 108},
        {"wycheproof/aes_cmac_test.json", INTEGRITY_AES_CMAC_96, 21},
        {"wycheproof/aes_gmac_test.json", INTEGRITY_AES_128_GMAC, 69},
        {"wycheproof/aes_gmac_test.json", INTEGRITY_AES_192_GMAC, 69},
        {"wycheproof/aes_gmac_test.json", INTEGRITY_AES_256_GMAC, 69},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(files); i++) {
        CHECK(check_wycheproof_file(engine, files[i].file, files[i].integrity) == files[i].count);
    }
}

TEST(wycheproof_agrees_about_integrity)
{
    with_both_engines(check_wycheproof);
}

static size_t check_rfc_file(struct protect_engine *engine, const char *file)
{
    static const struct {
        const char *name;
        uint16_t integrity;
    } names[] = {
        {"hmac-md5", INTEGRITY_HMAC_MD5_96},
        {"hmac-sha1", INTEGRITY_HMAC_SHA1_96},
        {"hmac-sha256-128", INTEGRITY_HMAC_SHA2_256_128},
        {"hmac-sha384-192", INTEGRITY_HMAC_SHA2_384_192},
        {"hmac-sha512-256", INTEGRITY_HMAC_SHA2_512_256},
        {"aes-xcbc-mac-96", INTEGRITY_AES_XCBC_96},
        {"aes-cmac-96", INTEGRITY_AES_CMAC_96},
    };
    json_t *root = vectors_load(file);
    json_t *test;
    size_t i;
    size_t checked = 0;

    json_array_foreach(json_object_get(root, "tests"), i, test)
    {
        for (size_t k = 0; k < ARRAY_LENGTH(names); k++) {
            struct slice key = vector_hex(test, "key");
            if (strcmp(vector_text(test, "alg"), names[k].name) == 0 &&
                key.length == algorithm_find(TRANSFORM_INTEGRITY, names[k].integrity)->key_bytes) {
                check_vector(engine, names[k].integrity, key, NULL, vector_hex(test, "data"),
                             vector_hex(test, "mac"), true);
                checked++;
            }
        }
    }
    json_decref(root);
    return checked;
}

static void check_rfcs(struct protect_engine *engine)
{
    CHECK(check_rfc_file(engine, "rfc/hmac.json") >= 18);
    CHECK(check_rfc_file(engine, "rfc/aes-xcbc-cmac.json") == 11);
}

TEST(macs_are_what_the_rfcs_print)
{
    with_both_engines(check_rfcs);
}

/* ---- Against libcrypto itself ---- */

/* RFC 4543 3.2, 4 and RFC 4302 3.3.3.2.2: AES-GCM of nothing under salt and IV, with the packet and
 * the high half of its number as AAD. */
static void gmac_by_gcm(size_t key_bytes, const uint8_t *secret, const uint8_t *iv,
                        struct slice text, uint8_t out[16])
{
    const EVP_CIPHER *cipher = key_bytes == 16   ? EVP_aes_128_gcm()
                               : key_bytes == 24 ? EVP_aes_192_gcm()
                                                 : EVP_aes_256_gcm();
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    uint8_t nonce[12];
    int done = 0;

    memcpy(nonce, secret + key_bytes, 4);
    memcpy(nonce + 4, iv, 8);
    CHECK(EVP_EncryptInit_ex(context, cipher, NULL, secret, nonce) == 1);
    CHECK(EVP_EncryptUpdate(context, NULL, &done, text.data, (int)text.length) == 1);
    CHECK(EVP_EncryptFinal_ex(context, nonce, &done) == 1);
    CHECK(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, out) == 1);
    EVP_CIPHER_CTX_free(context);
}

static void hmac_by_libcrypto(const EVP_MD *md, struct slice secret, struct slice text,
                              uint8_t out[EVP_MAX_MD_SIZE])
{
    CHECK(HMAC(md, secret.data, (int)secret.length, text.data, text.length, out, NULL) != NULL);
}

/* The ICV over the text, where the high half of the number stands already. */
static void expected_icv(uint16_t integrity, struct slice secret, const uint8_t *iv,
                         struct slice text, uint8_t out[EVP_MAX_MD_SIZE])
{
    switch (integrity) {
    case INTEGRITY_HMAC_MD5_96:
        hmac_by_libcrypto(EVP_md5(), secret, text, out);
        break;
    case INTEGRITY_HMAC_SHA1_96:
        hmac_by_libcrypto(EVP_sha1(), secret, text, out);
        break;
    case INTEGRITY_HMAC_SHA2_256_128:
        hmac_by_libcrypto(EVP_sha256(), secret, text, out);
        break;
    case INTEGRITY_HMAC_SHA2_384_192:
        hmac_by_libcrypto(EVP_sha384(), secret, text, out);
        break;
    case INTEGRITY_HMAC_SHA2_512_256:
        hmac_by_libcrypto(EVP_sha512(), secret, text, out);
        break;
    /* RFC 4434 and 4615: with a key of 16 octets the PRF is the MAC before it is cut. */
    case INTEGRITY_AES_XCBC_96:
        CHECK(prf(PRF_AES128_XCBC, secret, &text, 1, out));
        break;
    case INTEGRITY_AES_CMAC_96:
        CHECK(prf(PRF_AES128_CMAC, secret, &text, 1, out));
        break;
    default:
        gmac_by_gcm(secret.length - 4, secret.data, iv, text, out);
        break;
    }
}

#define KEYS_MAX 12
#define BATCH_MAX 150
#define TEXT_BYTES 9100

struct keyed {
    uint16_t integrity;
    size_t secret_bytes;
    uint8_t secret[KEY_BYTES_MAX];
    struct auth_key *key;
};

static size_t random_keys(struct keyed out[KEYS_MAX], struct random_source *random)
{
    const struct algorithm *a;
    size_t count = 0;

    for (size_t i = 0; (a = algorithm_at(i)) != NULL; i++) {
        if (a->type == TRANSFORM_INTEGRITY) {
            CHECK(count < KEYS_MAX);
            struct keyed *k = &out[count++];
            k->integrity = a->id;
            k->secret_bytes = a->key_bytes;
            random_fill(random, k->secret, k->secret_bytes);
            k->key = auth_key_new(a->id, (struct slice){k->secret, k->secret_bytes});
            CHECK(k->key != NULL);
            CHECK(auth_key_icv_bytes(k->key) == a->icv_bytes);
        }
    }
    CHECK(count == 10);
    return count;
}

static void keys_free(struct keyed *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        auth_key_free(keys[i].key);
    }
}

static uint8_t texts[BATCH_MAX][TEXT_BYTES];
static uint8_t before[BATCH_MAX][TEXT_BYTES];

static void check_batch(struct protect_engine *engine, const struct keyed *keys, size_t kinds,
                        struct random_source *random)
{
    struct auth_job jobs[BATCH_MAX];
    size_t chosen[BATCH_MAX];
    size_t count = 1 + random_below(random, BATCH_MAX);

    for (size_t i = 0; i < count; i++) {
        uint32_t most = random_below(random, 20) == 0 ? TEXT_BYTES - 4 : 1500;
        chosen[i] = random_below(random, (uint32_t)kinds);
        random_fill(random, texts[i], TEXT_BYTES);
        jobs[i] = (struct auth_job){.key = keys[chosen[i]].key,
                                    .data = texts[i],
                                    .length = random_below(random, most + 1),
                                    .sequence_high = random_u32(random),
                                    .has_sequence_high = random_below(random, 2) == 0};
        random_fill(random, jobs[i].iv, AUTH_IV_BYTES);
    }
    memcpy(before, texts, sizeof(texts));
    auth_compute(engine, jobs, count);
    /* AH has no room for anything behind a packet. */
    CHECK(memcmp(before, texts, sizeof(texts)) == 0);
    for (size_t i = 0; i < count; i++) {
        const struct keyed *k = &keys[chosen[i]];
        uint8_t icv[EVP_MAX_MD_SIZE];
        struct slice text = {texts[i], jobs[i].length};
        if (jobs[i].has_sequence_high) {
            put_u32(texts[i] + text.length, jobs[i].sequence_high);
            text.length += 4;
        }
        expected_icv(k->integrity, (struct slice){k->secret, k->secret_bytes}, jobs[i].iv, text,
                     icv);
        CHECK(jobs[i].ok);
        CHECK_BYTES(jobs[i].icv, icv, auth_key_icv_bytes(k->key));
    }
}

static void check_batches(struct protect_engine *engine)
{
    struct keyed keys[KEYS_MAX];
    struct seeded_random seeded;

    seeded_random_init(&seeded, 4302);
    struct random_source random = seeded_random_source(&seeded);
    size_t kinds = random_keys(keys, &random);

    for (size_t round = 0; round < 30; round++) {
        check_batch(engine, keys, kinds, &random);
    }
    /* One algorithm at a time, so that the lanes are full. */
    for (size_t k = 0; k < kinds; k++) {
        for (size_t round = 0; round < 3; round++) {
            check_batch(engine, &keys[k], 1, &random);
        }
    }
    keys_free(keys, kinds);
}

TEST(random_batches_come_out_as_from_libcrypto_itself)
{
    with_both_engines(check_batches);
}

/* ---- Keys ---- */

TEST(keys_of_wrong_length_and_unknown_algorithms_are_refused)
{
    static const uint8_t secret[KEY_BYTES_MAX + 1];
    const struct algorithm *a;

    CHECK(protect_start(PROTECT_AUTOMATIC));
    for (size_t i = 0; (a = algorithm_at(i)) != NULL; i++) {
        for (size_t length = 0; a->type == TRANSFORM_INTEGRITY && length < sizeof(secret);
             length++) {
            struct auth_key *key = auth_key_new(a->id, (struct slice){secret, length});
            CHECK((key != NULL) == (length == a->key_bytes));
            CHECK(key == NULL || auth_key_bytes(key) <= 1280);
            auth_key_free(key);
        }
    }
    CHECK(auth_key_new(INTEGRITY_NONE, (struct slice){secret, 0}) == NULL);
    CHECK(auth_key_new(3, (struct slice){secret, 16}) == NULL);
    auth_key_free(NULL);
}

static void check_frees_between(struct protect_engine *engine)
{
    struct keyed keys[KEYS_MAX];
    struct seeded_random seeded;

    seeded_random_init(&seeded, 31);
    struct random_source random = seeded_random_source(&seeded);
    size_t kinds = random_keys(keys, &random);

    for (size_t i = 0; i < kinds; i++) {
        struct slice secret = {keys[i].secret, keys[i].secret_bytes};
        struct auth_job first = {.key = keys[i].key, .data = texts[0], .length = 100};
        struct auth_job second = first;
        auth_compute(engine, &first, 1);
        auth_key_free(auth_key_new(keys[i].integrity, secret));
        auth_compute(engine, &second, 1);
        CHECK(first.ok && second.ok);
        CHECK_BYTES(first.icv, second.icv, auth_key_icv_bytes(keys[i].key));
    }
    keys_free(keys, kinds);
}

TEST(a_key_of_ah_goes_on_working_while_others_are_freed)
{
    with_both_engines(check_frees_between);
}

TEST(openssl_can_be_demanded_for_ah)
{
    struct keyed keys[KEYS_MAX];
    struct seeded_random seeded;

    seeded_random_init(&seeded, 32);
    struct random_source random = seeded_random_source(&seeded);

    CHECK(protect_start(PROTECT_OPENSSL));
    size_t kinds = random_keys(keys, &random);

    for (size_t i = 0; i < kinds; i++) {
        CHECK_TEXT(auth_key_engine(keys[i].key), "openssl");
    }
    keys_free(keys, kinds);
    CHECK(protect_start(PROTECT_AUTOMATIC));
#ifdef HAVE_IPSEC_MB
    struct auth_key *key = auth_key_new(INTEGRITY_AES_128_GMAC, (struct slice){texts[0], 20});

    CHECK_TEXT(auth_key_engine(key), "ipsec-mb");
    auth_key_free(key);
#endif
}
