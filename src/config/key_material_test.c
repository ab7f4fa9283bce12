/* Keys in secrets: each way of writing gives the same octets, nothing else is taken, and no key
 * that is too short, too long or weak fits its algorithm. */
#include "config/key_material.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/test.h"

static const uint8_t octets[8] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xee};

static void decodes(const char *text)
{
    char why[KEY_MATERIAL_WHY_BYTES];
    struct secret key = {0};

    CHECK(key_material_decode(slice_of_text(text), &key, why));
    CHECK(slice_equal(secret_slice(&key), SLICE_OF(octets)));
    CHECK_TEXT(why, "");
    secret_wipe(&key);
}

TEST(hexadecimal_and_base64_give_the_same_octets)
{
    decodes("0x0123456789abcdee");
    decodes("0X0123456789ABCDEE");
    decodes("0x01234567_89abcdee");
    decodes("  0x0123456789abcdee\r\n");
    decodes("ASNFZ4mrze4=");
    decodes("0sASNFZ4mrze4=");
    decodes("0SASNFZ4mrze4=\n");
}

static void is_refused(struct slice text)
{
    char why[KEY_MATERIAL_WHY_BYTES];
    struct secret key = {0};

    CHECK(!key_material_decode(text, &key, why));
    CHECK(strlen(why) > 0 && key.length == 0);
}

TEST(what_is_no_octets_is_refused)
{
    static const char *const wrong[] = {
        "",
        " ",
        "0x",
        "0s",
        "0x1",
        "0x0g",
        "0x__",
        "0x 01",
        "ASNFZ4mrze4",
        "0sASNFZ4mrze4=?",
        "a secret of words",
    };
    char large[4 * SECRET_BYTES_MAX];

    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        is_refused(slice_of_text(wrong[i]));
    }
    memset(large, 'A', sizeof(large));
    is_refused((struct slice){(const uint8_t *)large, sizeof(large)});
    memcpy(large, "0x", 2);
    is_refused((struct slice){(const uint8_t *)large, sizeof(large)});
}

TEST(hexadecimal_of_every_length_is_whole_octets_or_nothing)
{
    char text[2 + 2 * 40 + 1] = "0x";
    char why[KEY_MATERIAL_WHY_BYTES];

    for (size_t digits = 1; digits <= 80; digits++) {
        struct secret key = {0};
        text[1 + digits] = 'a';
        bool good =
            key_material_decode((struct slice){(const uint8_t *)text, 2 + digits}, &key, why);
        CHECK(good == (digits % 2 == 0));
        CHECK(key.length == (good ? digits / 2 : 0));
        secret_wipe(&key);
    }
}

/* Every algorithm with each of its key sizes takes exactly the length that it is given elsewhere.
 */
TEST(the_length_is_that_of_the_algorithm)
{
    const struct algorithm *a;
    char why[KEY_MATERIAL_WHY_BYTES];
    uint8_t key[SECRET_BYTES_MAX];

    for (size_t i = 0; i < sizeof(key); i++) {
        key[i] = (uint8_t)(i * 7 + 3);
    }
    for (size_t i = 0; (a = algorithm_at(i)) != NULL; i++) {
        for (size_t k = 0; k == 0 || (a->key_bits_on_wire && k < ALGORITHM_KEY_SIZES_MAX); k++) {
            struct transform t = {a->type, a->id, a->key_bits_on_wire ? a->key_bits[k] : 0};
            struct suite s = {.encryption = a->id, .key_bits = t.key_bits, .integrity = a->id};
            bool cipher = a->type == TRANSFORM_ENCRYPTION;
            if ((k > 0 && t.key_bits == 0) || (!cipher && a->type != TRANSFORM_INTEGRITY)) {
                continue;
            }
            size_t wanted = cipher ? suite_encryption_key_bytes(&s) : suite_integrity_key_bytes(&s);
            CHECK(key_material_bytes(&t) == wanted);
            for (size_t length = 0; length < wanted + 9; length++) {
                bool fits = key_material_fits(&t, (struct slice){key, length}, why);
                CHECK(fits == (length == wanted));
                CHECK((strlen(why) == 0) == fits);
            }
        }
    }
    const struct transform des = {TRANSFORM_ENCRYPTION, ENCRYPTION_DES, 0};
    CHECK(!key_material_fits(&des, (struct slice){key, 7}, why));
    CHECK_TEXT(why, "is 7 octets; DES keys have 8");
    CHECK(!key_material_fits(&des, (struct slice){key, 1}, why));
    CHECK_TEXT(why, "is 1 octet; DES keys have 8");
}

/* FIPS 74: the four weak keys and the six pairs of semi-weak ones. */
static const char *const weak[16] = {
    "0x0101010101010101", "0xfefefefefefefefe", "0xe0e0e0e0f1f1f1f1", "0x1f1f1f1f0e0e0e0e",
    "0x011f011f010e010e", "0x1f011f010e010e01", "0x01e001e001f101f1", "0xe001e001f101f101",
    "0x01fe01fe01fe01fe", "0xfe01fe01fe01fe01", "0x1fe01fe00ef10ef1", "0xe01fe01ff10ef10e",
    "0x1ffe1ffe0efe0efe", "0xfe1ffe1ffe0efe0e", "0xe0fee0fef1fef1fe", "0xfee0fee0fef1fef1",
};

TEST(weak_keys_of_des_are_refused_whatever_their_parity)
{
    const struct transform des = {TRANSFORM_ENCRYPTION, ENCRYPTION_DES, 0};
    char why[KEY_MATERIAL_WHY_BYTES];
    struct secret key = {0};

    for (size_t i = 0; i < ARRAY_LENGTH(weak); i++) {
        CHECK(key_material_decode(slice_of_text(weak[i]), &key, why));
        CHECK(!key_material_fits(&des, secret_slice(&key), why));
        CHECK(strstr(why, "RFC 2405") != NULL);
        key.bytes[3] ^= 1;
        CHECK(!key_material_fits(&des, secret_slice(&key), why));
        key.bytes[3] ^= 4;
        CHECK(key_material_fits(&des, secret_slice(&key), why));
    }
    secret_wipe(&key);
}

TEST(three_keys_of_which_neighbours_are_equal_are_refused)
{
    const struct transform triple = {TRANSFORM_ENCRYPTION, ENCRYPTION_3DES, 0};
    char why[KEY_MATERIAL_WHY_BYTES];
    uint8_t key[24];

    memcpy(key, octets, 8);
    memcpy(key + 8, "another.", 8);
    memcpy(key + 16, octets, 8);
    CHECK(key_material_fits(&triple, SLICE_OF(key), why));
    memcpy(key + 16, key + 8, 8);
    CHECK(!key_material_fits(&triple, SLICE_OF(key), why));
    CHECK(strstr(why, "RFC 2451") != NULL);
    memcpy(key + 16, "the last", 8);
    memcpy(key + 8, octets, 8);
    key[15] ^= 1;
    CHECK(!key_material_fits(&triple, SLICE_OF(key), why));
}

TEST(digits_that_lack_their_mark_are_told_apart_from_a_short_key)
{
    static const struct {
        const char *text;
        bool good, told;
    } cases[] = {
        {"0x0123456789abcdee", true, false},
        {"ASNFZ4mrze4=", true, false},
        {"0123456789abcdee", false, true}, /* as base64 it is 12 octets */
        {" 0123456789ABCDEE\n", false, true},
        {"0123456789abcdee0123456789abcdee01", false, true}, /* base64 of no length */
        {"0123456789abcde", false, false},
        {"0123456789abcdeg", false, false},
        {"0s0123456789abcdee", false, false},
        {"0x0123456789abcdee01", false, false},
    };
    const struct transform des = {TRANSFORM_ENCRYPTION, ENCRYPTION_DES, 0};

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char why[KEY_MATERIAL_WHY_BYTES];
        struct secret key = {0};

        CHECK_EQUAL(key_material_take(&des, slice_of_text(cases[i].text), &key, why),
                    cases[i].good);
        CHECK_EQUAL(key.length, cases[i].good ? 8 : 0);
        CHECK_EQUAL(strlen(why) == 0, cases[i].good);
        CHECK_EQUAL(strstr(why, "write 0x before it") != NULL, cases[i].told);
        secret_wipe(&key);
    }
}
