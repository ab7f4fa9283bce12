/* ML-KEM against Wycheproof, and against what must be refused. */
#include "crypto/ml_kem.h"

#include <string.h>

#include "base/random.h"
#include "tests/support/test.h"
#include "tests/support/vectors.h"

static enum ml_kem_set set_of(const json_t *group)
{
    const char *name = vector_text(group, "parameterSet");

    CHECK(strncmp(name, "ML-KEM-", 7) == 0);
    return strcmp(name, "ML-KEM-512") == 0   ? ML_KEM_512
           : strcmp(name, "ML-KEM-768") == 0 ? ML_KEM_768
                                             : ML_KEM_1024;
}

static bool is_valid(const json_t *test)
{
    return strcmp(vector_text(test, "result"), "valid") == 0;
}

/* From the seed to the shared secret. */
static bool check_whole(enum ml_kem_set set, const json_t *test)
{
    uint8_t public_key[ML_KEM_PUBLIC_BYTES_MAX], private_key[ML_KEM_PRIVATE_BYTES_MAX];
    uint8_t shared[ML_KEM_SHARED_BYTES];
    struct slice seed = vector_hex(test, "seed");

    if (seed.length != ML_KEM_SEED_BYTES) {
        return false;
    }
    CHECK(ml_kem_make(set, seed.data, public_key, private_key));
    struct slice expected = vector_hex(test, "ek");
    if (expected.length > 0) {
        CHECK(expected.length == ml_kem_public_bytes(set));
        CHECK_BYTES(public_key, expected.data, expected.length);
    }
    if (!ml_kem_decapsulate(set, (struct slice){private_key, ml_kem_private_bytes(set)},
                            vector_hex(test, "c"), shared)) {
        return false;
    }
    struct slice secret = vector_hex(test, "K");
    return secret.length == sizeof(shared) && memcmp(secret.data, shared, sizeof(shared)) == 0;
}

static bool check_encapsulation(enum ml_kem_set set, const json_t *test)
{
    uint8_t ciphertext[ML_KEM_CIPHER_BYTES_MAX], shared[ML_KEM_SHARED_BYTES];
    struct slice message = vector_hex(test, "m");

    CHECK(message.length == ML_KEM_MESSAGE_BYTES);
    if (!ml_kem_encapsulate(set, vector_hex(test, "ek"), message.data, ciphertext, shared)) {
        return false;
    }
    struct slice expected = vector_hex(test, "c");
    struct slice secret = vector_hex(test, "K");
    return expected.length == ml_kem_cipher_bytes(set) &&
           memcmp(ciphertext, expected.data, expected.length) == 0 &&
           secret.length == sizeof(shared) && memcmp(secret.data, shared, sizeof(shared)) == 0;
}

static bool check_decapsulation(enum ml_kem_set set, const json_t *test)
{
    uint8_t shared[ML_KEM_SHARED_BYTES];

    if (!ml_kem_decapsulate(set, vector_hex(test, "dk"), vector_hex(test, "c"), shared)) {
        return false;
    }
    struct slice secret = vector_hex(test, "K");
    return secret.length == sizeof(shared) && memcmp(secret.data, shared, sizeof(shared)) == 0;
}

static size_t check_file(const char *name, bool (*check)(enum ml_kem_set set, const json_t *test))
{
    json_t *root = vectors_load(name);
    json_t *group, *test;
    size_t i, j;
    size_t checked = 0;

    json_array_foreach(json_object_get(root, "testGroups"), i, group)
    {
        enum ml_kem_set set = set_of(group);

        json_array_foreach(json_object_get(group, "tests"), j, test)
        {
            CHECK_EQUAL(check(set, test), is_valid(test));
            checked++;
        }
    }
    json_decref(root);
    return checked;
}

TEST(pairs_and_secrets_are_those_of_wycheproof)
{
    CHECK(check_file("wycheproof/mlkem_512_test.json", check_whole) > 100);
    CHECK(check_file("wycheproof/mlkem_768_test.json", check_whole) == 193);
    CHECK(check_file("wycheproof/mlkem_1024_test.json", check_whole) > 100);
}

TEST(ciphertexts_are_those_of_wycheproof_and_large_numbers_are_refused)
{
    CHECK(check_file("wycheproof/mlkem_768_encaps_test.json", check_encapsulation) == 265);
}

TEST(damaged_keys_and_wrong_lengths_are_refused)
{
    CHECK(check_file("wycheproof/mlkem_768_semi_expanded_decaps_test.json", check_decapsulation) ==
          9);
}

TEST(both_sides_agree_and_a_changed_ciphertext_gives_another_secret)
{
    struct seeded_random seeded;
    struct random_source random = seeded_random_source(&seeded);

    seeded_random_init(&seeded, 203);
    for (enum ml_kem_set set = ML_KEM_512; set <= ML_KEM_1024; set++) {
        for (unsigned i = 0; i < 50; i++) {
            uint8_t seed[ML_KEM_SEED_BYTES], message[ML_KEM_MESSAGE_BYTES];
            uint8_t public_key[ML_KEM_PUBLIC_BYTES_MAX], private_key[ML_KEM_PRIVATE_BYTES_MAX];
            uint8_t ciphertext[ML_KEM_CIPHER_BYTES_MAX];
            uint8_t ours[ML_KEM_SHARED_BYTES], theirs[ML_KEM_SHARED_BYTES];
            struct slice key = {private_key, ml_kem_private_bytes(set)};
            struct slice sent = {ciphertext, ml_kem_cipher_bytes(set)};

            random_fill(&random, seed, sizeof(seed));
            random_fill(&random, message, sizeof(message));
            CHECK(ml_kem_make(set, seed, public_key, private_key));
            CHECK(ml_kem_encapsulate(set, (struct slice){public_key, ml_kem_public_bytes(set)},
                                     message, ciphertext, theirs));
            CHECK(ml_kem_decapsulate(set, key, sent, ours));
            CHECK_BYTES(ours, theirs, sizeof(ours));
            ciphertext[random_below(&random, (uint32_t)sent.length)] ^=
                (uint8_t)(1u << random_below(&random, 8));
            CHECK(ml_kem_decapsulate(set, key, sent, ours));
            CHECK(memcmp(ours, theirs, sizeof(ours)) != 0);
        }
    }
}
