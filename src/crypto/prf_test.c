/* PRFs, MACs and hashes against RFC 2202, 3566, 4231, 4434, 4615, 4868, Wycheproof and NSS. */
#include "crypto/prf.h"

#include <string.h>

#include "tests/support/test.h"
#include "tests/support/vectors.h"

/* The first octets of the PRF's output. */
static void check_prf(uint16_t id, struct slice key, struct slice data, struct slice expected)
{
    uint8_t out[PRF_OUTPUT_BYTES_MAX] = {0};

    CHECK(expected.length > 0 && expected.length <= sizeof(out));
    CHECK(prf(id, key, &data, 1, out));
    CHECK_BYTES(out, expected.data, expected.length);
    /* Cut anywhere, the same. */
    for (size_t cut = 0; cut <= data.length && cut < 40; cut++) {
        struct slice parts[2] = {{data.data, cut}, {data.data + cut, data.length - cut}};
        memset(out, 0, sizeof(out));
        CHECK(prf(id, key, parts, 2, out));
        CHECK_BYTES(out, expected.data, expected.length);
    }
}

static uint16_t prf_of_name(const char *name)
{
    static const struct {
        const char *name;
        uint16_t id;
    } names[] = {
        {"hmac-md5", PRF_HMAC_MD5},
        {"hmac-sha1", PRF_HMAC_SHA1},
        {"hmac-sha256", PRF_HMAC_SHA2_256},
        {"hmac-sha384", PRF_HMAC_SHA2_384},
        {"hmac-sha512", PRF_HMAC_SHA2_512},
        {"prf-hmac-sha-256", PRF_HMAC_SHA2_256},
        {"prf-hmac-sha-384", PRF_HMAC_SHA2_384},
        {"prf-hmac-sha-512", PRF_HMAC_SHA2_512},
        {"hmac-sha256-128", PRF_HMAC_SHA2_256},
        {"hmac-sha384-192", PRF_HMAC_SHA2_384},
        {"hmac-sha512-256", PRF_HMAC_SHA2_512},
        {"aes-xcbc-mac-96", PRF_AES128_XCBC},
        {"prf-aes-xcbc-128", PRF_AES128_XCBC},
        {"aes-cmac-96", PRF_AES128_CMAC},
        {"prf-aes-cmac-128", PRF_AES128_CMAC},
        {"aesxcbc", PRF_AES128_XCBC},
        {"sha1", PRF_HMAC_SHA1},
        {"sha256", PRF_HMAC_SHA2_256},
        {"sha384", PRF_HMAC_SHA2_384},
        {"sha512", PRF_HMAC_SHA2_512},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        if (strcmp(names[i].name, name) == 0) {
            return names[i].id;
        }
    }
    fail_msg("no PRF is called %s", name);
    return PRF_NONE;
}

static size_t check_rfc_file(const char *file)
{
    json_t *root = vectors_load(file);
    json_t *tests = json_object_get(root, "tests");
    json_t *test;
    size_t i;

    json_array_foreach(tests, i, test)
    {
        check_prf(prf_of_name(vector_text(test, "alg")), vector_hex(test, "key"),
                  vector_hex(test, "data"), vector_hex(test, "mac"));
    }
    json_decref(root);
    return i;
}

TEST(hmac_gives_what_the_rfcs_print)
{
    CHECK(check_rfc_file("rfc/hmac.json") > 20);
}

TEST(xcbc_and_cmac_give_what_the_rfcs_print)
{
    CHECK(check_rfc_file("rfc/aes-xcbc-cmac.json") == 17);
}

static void check_wycheproof(const char *file, uint16_t id, size_t only_key_bits)
{
    json_t *root = vectors_load(file);
    json_t *group;
    size_t i;
    size_t checked = 0;

    json_array_foreach(json_object_get(root, "testGroups"), i, group)
    {
        size_t tag_bytes = (size_t)json_integer_value(json_object_get(group, "tagSize")) / 8;
        size_t key_bits = (size_t)json_integer_value(json_object_get(group, "keySize"));
        json_t *test;
        size_t j;
        if (only_key_bits != 0 && key_bits != only_key_bits) {
            continue;
        }
        json_array_foreach(json_object_get(group, "tests"), j, test)
        {
            struct slice tag = vector_hex(test, "tag");
            struct slice data = vector_hex(test, "msg");
            uint8_t out[PRF_OUTPUT_BYTES_MAX];
            CHECK(prf(id, vector_hex(test, "key"), &data, 1, out));
            bool equal = tag.length == tag_bytes && memcmp(out, tag.data, tag_bytes) == 0;
            CHECK(equal == (strcmp(vector_text(test, "result"), "valid") == 0));
            checked++;
        }
    }
    json_decref(root);
    CHECK(checked > 50);
}

TEST(wycheproof_agrees_about_hmac)
{
    check_wycheproof("wycheproof/hmac_sha1_test.json", PRF_HMAC_SHA1, 0);
    check_wycheproof("wycheproof/hmac_sha256_test.json", PRF_HMAC_SHA2_256, 0);
    check_wycheproof("wycheproof/hmac_sha384_test.json", PRF_HMAC_SHA2_384, 0);
    check_wycheproof("wycheproof/hmac_sha512_test.json", PRF_HMAC_SHA2_512, 0);
}

TEST(wycheproof_agrees_about_cmac)
{
    check_wycheproof("wycheproof/aes_cmac_test.json", PRF_AES128_CMAC, 128);
}

TEST(prf_plus_gives_what_others_computed)
{
    json_t *root = vectors_load("cavp-ike/nss-ike-prf.json");
    json_t *test;
    size_t i;
    size_t checked = 0;

    json_array_foreach(json_object_get(root, "tests"), i, test)
    {
        if (strcmp(vector_text(test, "type"), "ikePlus") != 0) {
            continue;
        }
        uint16_t id = prf_of_name(vector_text(test, "prf"));
        struct slice key = vector_hex(test, "ikm");
        struct slice expected = vector_hex(test, "okm");
        struct slice parts[3] = {vector_hex(test, "ni"), vector_hex(test, "nr"),
                                 vector_hex(test, "seed_data")};
        uint8_t out[512];
        CHECK(expected.length <= sizeof(out));
        for (size_t length = 0; length <= expected.length; length++) {
            memset(out, 0xee, sizeof(out));
            CHECK(prf_plus(id, key, parts, 3, out, length));
            CHECK(memcmp(out, expected.data, length) == 0);
            CHECK(out[length] == 0xee);
        }
        checked++;
    }
    json_decref(root);
    CHECK(checked == 15);
}

TEST(prf_plus_ends_after_255_blocks)
{
    static uint8_t out[255 * 20 + 1];
    struct slice seed = SLICE_TEXT("seed");

    CHECK(prf_plus(PRF_HMAC_SHA1, SLICE_TEXT("key"), &seed, 1, out, 255 * 20));
    CHECK(!prf_plus(PRF_HMAC_SHA1, SLICE_TEXT("key"), &seed, 1, out, 255 * 20 + 1));
}

TEST(an_unknown_prf_is_refused)
{
    struct slice data = SLICE_TEXT("data");
    uint8_t out[PRF_OUTPUT_BYTES_MAX];

    CHECK(!prf(PRF_NONE, data, &data, 1, out));
    CHECK(!prf(3, data, &data, 1, out));
    CHECK(!prf_plus(3, data, &data, 1, out, 10));
}

TEST(an_empty_key_and_no_data_are_allowed)
{
    struct slice none = {NULL, 0};
    uint8_t out[PRF_OUTPUT_BYTES_MAX];
    uint8_t expected[4] = {0xb6, 0x13, 0x67, 0x9a}; /* HMAC-SHA-256 of nothing under no key */

    CHECK(prf(PRF_HMAC_SHA2_256, none, &none, 1, out));
    CHECK_BYTES(out, expected, sizeof(expected));
    CHECK(prf(PRF_HMAC_SHA2_256, none, NULL, 0, out));
    CHECK_BYTES(out, expected, sizeof(expected));
}

TEST(hashes_give_what_fips_180_prints)
{
    struct slice abc[3] = {SLICE_TEXT("a"), SLICE_TEXT(""), SLICE_TEXT("bc")};
    uint8_t out[32];

    sha1(abc, 3, out);
    CHECK_BYTES(out, hex_bytes("a9993e364706816aba3e25717850c26c9cd0d89d").data, 20);
    sha256(abc, 3, out);
    CHECK_BYTES(out,
                hex_bytes("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad").data,
                32);
}
