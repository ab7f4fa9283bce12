/* Key exchange against RFC 5903, Wycheproof, OpenSSL's Brainpool vectors and MODP values computed
 * elsewhere. */
#include "crypto/key_exchange.h"

#include <string.h>

#include "tests/support/test.h"
#include "tests/support/vectors.h"

/* A pair with a given private key; the public value is not needed to agree. */
static void pair_of(struct key_pair *pair, uint16_t group, struct slice private_key)
{
    *pair = (struct key_pair){.group = group};
    pair->public_length = algorithm_find(TRANSFORM_KEY_EXCHANGE, group)->public_bytes;
    CHECK(secret_set(&pair->private_key, private_key));
}

static void check_agreement(uint16_t group, struct slice private_key, struct slice peer,
                            struct slice expected)
{
    struct key_pair pair;
    struct secret shared = {0};

    pair_of(&pair, group, private_key);
    CHECK(key_agree(&pair, peer, &shared));
    CHECK(shared.length == expected.length);
    CHECK_BYTES(shared.bytes, expected.data, expected.length);
    secret_wipe(&shared);
    key_pair_wipe(&pair);
}

/* Gives prepared octets, to see that they and nothing else become the private key. */
static void prepared_fill(void *context, uint8_t *out, size_t length)
{
    const struct slice *prepared = context;

    CHECK(prepared->length == length);
    memcpy(out, prepared->data, length);
}

static void check_making(uint16_t group, struct slice private_key, struct slice expected)
{
    struct random_source random = {prepared_fill, &private_key};
    struct key_pair pair;

    CHECK(key_pair_make(group, &random, &pair));
    CHECK(pair.public_length == expected.length);
    CHECK_BYTES(pair.public_value, expected.data, expected.length);
    key_pair_wipe(&pair);
}

TEST(curves_give_what_rfc_5903_prints)
{
    json_t *root = vectors_load("rfc/dh-groups.json");
    json_t *group;
    size_t i;
    size_t checked = 0;

    json_array_foreach(json_object_get(root, "ecp_and_5114"), i, group)
    {
        uint16_t id = (uint16_t)json_integer_value(json_object_get(group, "ike_group"));
        if (strcmp(vector_text(group, "kind"), "ecp") != 0) {
            continue;
        }
        check_agreement(id, vector_hex(group, "priv_i"), vector_hex(group, "pub_r"),
                        vector_hex(group, "shared"));
        check_agreement(id, vector_hex(group, "priv_r"), vector_hex(group, "pub_i"),
                        vector_hex(group, "shared"));
        check_making(id, vector_hex(group, "priv_i"), vector_hex(group, "pub_i"));
        check_making(id, vector_hex(group, "priv_r"), vector_hex(group, "pub_r"));
        checked++;
    }
    CHECK(checked == 3);
    json_decref(root);
}

TEST(modp_groups_give_what_was_computed_from_the_rfcs_primes)
{
    json_t *root = vectors_load("rfc/dh-groups.json");
    json_t *group;
    size_t i;

    json_array_foreach(json_object_get(root, "modp_groups"), i, group)
    {
        uint16_t id = (uint16_t)json_integer_value(json_object_get(group, "ike_group"));
        const json_t *kat = json_object_get(group, "kat");
        check_agreement(id, vector_hex(kat, "priv_i"), vector_hex(kat, "pub_r"),
                        vector_hex(kat, "shared"));
        check_agreement(id, vector_hex(kat, "priv_r"), vector_hex(kat, "pub_i"),
                        vector_hex(kat, "shared"));
    }
    CHECK(i == 8);
    json_decref(root);
}

TEST(modp_values_without_secrecy_are_refused)
{
    json_t *root = vectors_load("rfc/dh-groups.json");
    json_t *group;
    size_t i;

    json_array_foreach(json_object_get(root, "modp_groups"), i, group)
    {
        uint16_t id = (uint16_t)json_integer_value(json_object_get(group, "ike_group"));
        struct slice prime = vector_hex(group, "p");
        uint8_t value[KEY_EXCHANGE_PUBLIC_BYTES_MAX];
        struct slice peer = {value, prime.length};
        struct seeded_random seeded;
        seeded_random_init(&seeded, i);
        struct random_source random = seeded_random_source(&seeded);
        struct key_pair pair;
        struct secret shared = {0};

        CHECK(key_pair_make(id, &random, &pair));
        for (unsigned small = 0; small <= 2; small++) {
            memset(value, 0, sizeof(value));
            value[prime.length - 1] = (uint8_t)small;
            CHECK(key_agree(&pair, peer, &shared) == (small == 2));
        }
        /* The primes end with eight octets of 0xff: p-2, p-1, p, p+1 does not fit. */
        for (unsigned below = 0; below <= 2; below++) {
            memcpy(value, prime.data, prime.length);
            value[prime.length - 1] = (uint8_t)(0xff - below);
            CHECK(key_agree(&pair, peer, &shared) == (below == 2));
        }
        memset(value, 0xff, sizeof(value));
        CHECK(!key_agree(&pair, peer, &shared));
        CHECK(shared.bytes == NULL);
        secret_wipe(&shared);
        key_pair_wipe(&pair);
    }
    json_decref(root);
}

/* Wycheproof's numbers have as many octets as they need; ours have the field's. */
static struct slice fitted(struct slice number, size_t length, uint8_t *out)
{
    while (number.length > length && number.data[0] == 0) {
        number.data++;
        number.length--;
    }
    CHECK(number.length <= length);
    memset(out, 0, length);
    memcpy(out + length - number.length, number.data, number.length);
    return (struct slice){out, length};
}

static void check_ecdh_file(const char *file, uint16_t group, size_t field_bytes)
{
    json_t *root = vectors_load(file);
    json_t *test_group;
    size_t i;
    size_t agreed = 0;
    size_t refused = 0;

    json_array_foreach(json_object_get(root, "testGroups"), i, test_group)
    {
        json_t *test;
        size_t j;
        json_array_foreach(json_object_get(test_group, "tests"), j, test)
        {
            struct slice point = vector_hex(test, "public");
            const char *result = vector_text(test, "result");
            uint8_t number[66];
            struct key_pair pair;
            struct secret shared = {0};
            /* IKE has no other form than the uncompressed, without its first octet. */
            if (point.length == 0 || point.data[0] != 4) {
                continue;
            }
            struct slice peer = {point.data + 1, point.length - 1};
            struct slice expected = vector_hex(test, "shared");
            pair_of(&pair, group, fitted(vector_hex(test, "private"), field_bytes, number));
            bool done = key_agree(&pair, peer, &shared);
            if (strcmp(result, "acceptable") != 0) {
                CHECK(done == (strcmp(result, "valid") == 0));
            }
            if (done) {
                CHECK(shared.length == field_bytes);
                CHECK_BYTES(shared.bytes, expected.data, field_bytes);
            }
            agreed += done ? 1 : 0;
            refused += done ? 0 : 1;
            secret_wipe(&shared);
            key_pair_wipe(&pair);
        }
    }
    json_decref(root);
    CHECK(agreed > 100);
    CHECK(refused > 5);
}

TEST(wycheproof_agrees_about_the_nist_curves)
{
    check_ecdh_file("wycheproof/ecdh_secp256r1_ecpoint_test.json", KEY_EXCHANGE_ECP_256, 32);
    check_ecdh_file("wycheproof/ecdh_secp384r1_ecpoint_test.json", KEY_EXCHANGE_ECP_384, 48);
    check_ecdh_file("wycheproof/ecdh_secp521r1_ecpoint_test.json", KEY_EXCHANGE_ECP_521, 66);
}

/* "acceptable" are points on the twist, values that are not reduced and points of small order: RFC
 * 7748 takes the first two, and the last, which give zeros, must be refused (RFC 8031 2.1). */
static void check_montgomery_file(const char *file, uint16_t group, size_t length)
{
    json_t *root = vectors_load(file);
    json_t *test_group;
    size_t i;
    size_t zeros = 0;

    json_array_foreach(json_object_get(root, "testGroups"), i, test_group)
    {
        json_t *test;
        size_t j;
        json_array_foreach(json_object_get(test_group, "tests"), j, test)
        {
            struct slice expected = vector_hex(test, "shared");
            struct slice peer = vector_hex(test, "public");
            bool is_zero = true;
            for (size_t k = 0; k < expected.length; k++) {
                is_zero = is_zero && expected.data[k] == 0;
            }
            if (peer.length == length && !is_zero) {
                check_agreement(group, vector_hex(test, "private"), peer, expected);
                continue;
            }
            struct key_pair pair;
            struct secret shared = {0};
            pair_of(&pair, group, vector_hex(test, "private"));
            CHECK(!key_agree(&pair, peer, &shared));
            CHECK(shared.bytes == NULL);
            key_pair_wipe(&pair);
            zeros++;
        }
    }
    json_decref(root);
    CHECK(zeros > 5);
}

TEST(wycheproof_agrees_about_x25519_and_x448)
{
    check_montgomery_file("wycheproof/x25519_test.json", KEY_EXCHANGE_X25519, 32);
    check_montgomery_file("wycheproof/x448_test.json", KEY_EXCHANGE_X448, 56);
}

TEST(x25519_and_x448_give_what_rfc_7748_prints)
{
    struct slice a = hex_bytes("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
    struct slice peer =
        hex_bytes("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");

    check_making(KEY_EXCHANGE_X25519, a,
                 hex_bytes("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"));
    check_agreement(KEY_EXCHANGE_X25519, a, peer,
                    hex_bytes("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"));
    a = hex_bytes("9a8f4925d1519f5775cf46b04b5800d4ee9ee8bae8bc5565d498c28d"
                  "d9c9baf574a9419744897391006382a6f127ab1d9ac2d8c0a598726b");
    peer = hex_bytes("3eb7a829b0cd20f5bcfc0b599b6feccf6da4627107bdb0d4f345b430"
                     "27d8b972fc3e34fb4232a13ca706dcb57aec3dae07bdc1c67bf33609");
    check_making(KEY_EXCHANGE_X448, a,
                 hex_bytes("9b08f7cc31b7e3e67d22d5aea121074a273bd2b83de09c63faa73d2c"
                           "22c5d9bbc836647241d953d40c5b12da88120d53177f80e532c41fa0"));
    check_agreement(KEY_EXCHANGE_X448, a, peer,
                    hex_bytes("07fff4181ac6cc95ec1c16a94a0f74d12da232ce40a77552281d282b"
                              "b60c0b56fd2464c335543936521c24403085d59a449a5037514a879d"));
}

TEST(brainpool_curves_give_what_rfc_6932_and_openssl_print)
{
    json_t *root = vectors_load("rfc/brainpool.json");
    json_t *test;
    size_t i;

    json_array_foreach(json_object_get(root, "tests"), i, test)
    {
        uint16_t id = (uint16_t)json_integer_value(json_object_get(test, "ike_group"));
        check_agreement(id, vector_hex(test, "priv_i"), vector_hex(test, "pub_r"),
                        vector_hex(test, "shared"));
        check_agreement(id, vector_hex(test, "priv_r"), vector_hex(test, "pub_i"),
                        vector_hex(test, "shared"));
        check_making(id, vector_hex(test, "priv_i"), vector_hex(test, "pub_i"));
    }
    CHECK(i == 8);
    json_decref(root);
}

TEST(both_sides_of_every_group_agree)
{
    const struct algorithm *a;

    for (size_t i = 0; (a = algorithm_at(i)) != NULL; i++) {
        if (a->type != TRANSFORM_KEY_EXCHANGE) {
            continue;
        }
        for (uint64_t seed = 0; seed < 3; seed++) {
            struct seeded_random seeded;
            seeded_random_init(&seeded, seed);
            struct random_source random = seeded_random_source(&seeded);
            struct key_pair ours;
            struct key_pair theirs;
            struct secret one = {0};
            struct secret two = {0};

            CHECK(key_pair_make(a->id, &random, &ours));
            CHECK(ours.public_length == a->public_bytes);
            CHECK(key_answer(a->id, &random, (struct slice){ours.public_value, ours.public_length},
                             &theirs, &two));
            CHECK(theirs.public_length == a->answer_bytes);
            CHECK(memcmp(ours.public_value, theirs.public_value, theirs.public_length) != 0);
            CHECK(
                key_agree(&ours, (struct slice){theirs.public_value, theirs.public_length}, &one));
            CHECK(one.length == a->shared_bytes);
            CHECK(secret_equal(&one, &two));

            /* The same source gives the same pair. */
            struct key_pair again;
            seeded_random_init(&seeded, seed);
            CHECK(key_pair_make(a->id, &random, &again));
            CHECK_BYTES(again.public_value, ours.public_value, a->public_bytes);
            key_pair_wipe(&again);
            key_pair_wipe(&ours);
            key_pair_wipe(&theirs);
            secret_wipe(&one);
            secret_wipe(&two);
        }
    }
}

TEST(values_of_a_wrong_length_are_refused_by_every_group)
{
    static uint8_t value[KEY_EXCHANGE_PUBLIC_BYTES_MAX + 1];
    const struct algorithm *a;

    memset(value, 5, sizeof(value));
    for (size_t i = 0; (a = algorithm_at(i)) != NULL; i++) {
        if (a->type != TRANSFORM_KEY_EXCHANGE) {
            continue;
        }
        struct seeded_random seeded;
        seeded_random_init(&seeded, 4);
        struct random_source random = seeded_random_source(&seeded);
        struct key_pair pair;
        struct secret shared = {0};

        CHECK(key_pair_make(a->id, &random, &pair));
        for (size_t length = 0; length <= sizeof(value); length++) {
            struct key_pair answer;

            if (length != a->answer_bytes) {
                CHECK(!key_agree(&pair, (struct slice){value, length}, &shared));
            }
            if (length != a->public_bytes && length % 16 < 2) {
                CHECK(!key_answer(a->id, &random, (struct slice){value, length}, &answer, &shared));
                CHECK(answer.private_key.bytes == NULL && shared.bytes == NULL);
            }
        }
        key_pair_wipe(&pair);
    }
}

TEST(points_that_are_not_on_the_curve_are_refused)
{
    static const uint16_t groups[] = {
        KEY_EXCHANGE_ECP_192,       KEY_EXCHANGE_ECP_224,       KEY_EXCHANGE_ECP_256,
        KEY_EXCHANGE_ECP_384,       KEY_EXCHANGE_ECP_521,       KEY_EXCHANGE_BRAINPOOL_224,
        KEY_EXCHANGE_BRAINPOOL_256, KEY_EXCHANGE_BRAINPOOL_384, KEY_EXCHANGE_BRAINPOOL_512,
    };

    for (size_t i = 0; i < ARRAY_LENGTH(groups); i++) {
        struct seeded_random seeded;
        seeded_random_init(&seeded, 5);
        struct random_source random = seeded_random_source(&seeded);
        struct key_pair pair;
        struct key_pair peer;
        struct secret shared = {0};

        CHECK(key_pair_make(groups[i], &random, &pair));
        CHECK(key_pair_make(groups[i], &random, &peer));
        for (size_t place = 0; place < peer.public_length; place++) {
            peer.public_value[place] ^= 0x10;
            CHECK(
                !key_agree(&pair, (struct slice){peer.public_value, peer.public_length}, &shared));
            peer.public_value[place] ^= 0x10;
        }
        memset(peer.public_value, 0, sizeof(peer.public_value));
        CHECK(!key_agree(&pair, (struct slice){peer.public_value, peer.public_length}, &shared));
        memset(peer.public_value, 0xff, sizeof(peer.public_value));
        CHECK(!key_agree(&pair, (struct slice){peer.public_value, peer.public_length}, &shared));
        key_pair_wipe(&pair);
        key_pair_wipe(&peer);
    }
}

TEST(an_unknown_group_and_an_empty_pair_are_refused)
{
    struct seeded_random seeded;

    seeded_random_init(&seeded, 6);
    struct random_source random = seeded_random_source(&seeded);
    struct key_pair pair;
    struct secret shared = {0};

    CHECK(!key_pair_make(KEY_EXCHANGE_NONE, &random, &pair));
    CHECK(!key_pair_make(22, &random, &pair));
    CHECK(!key_agree(&pair, SLICE_TEXT("x"), &shared));
    CHECK(!key_agree(&pair, (struct slice){NULL, 0}, &shared));
}
