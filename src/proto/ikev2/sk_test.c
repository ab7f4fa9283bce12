/* SK and SKF: what is sealed opens again, whatever is changed does not; lengths; RFC 7634's
 * message. */
#include "proto/ikev2/sk.h"

#include "base/text.h"
#include "crypto/protect.h"
#include "tests/support/test.h"

static const struct suite suites[] = {
    {.encryption = ENCRYPTION_AES_CBC,
     .key_bits = 128,
     .integrity = INTEGRITY_HMAC_SHA2_256_128,
     .prf = PRF_HMAC_SHA2_256},
    {.encryption = ENCRYPTION_AES_CBC,
     .key_bits = 256,
     .integrity = INTEGRITY_HMAC_SHA2_512_256,
     .prf = PRF_HMAC_SHA2_512},
    {.encryption = ENCRYPTION_3DES, .integrity = INTEGRITY_HMAC_SHA1_96, .prf = PRF_HMAC_SHA1},
    {.encryption = ENCRYPTION_AES_CBC,
     .key_bits = 192,
     .integrity = INTEGRITY_AES_XCBC_96,
     .prf = PRF_AES128_XCBC},
    {.encryption = ENCRYPTION_AES_CTR,
     .key_bits = 128,
     .integrity = INTEGRITY_HMAC_SHA1_96,
     .prf = PRF_HMAC_SHA1},
    {.encryption = ENCRYPTION_AES_GCM_16, .key_bits = 256, .prf = PRF_HMAC_SHA2_384},
    {.encryption = ENCRYPTION_AES_GCM_8, .key_bits = 128, .prf = PRF_HMAC_SHA2_256},
    {.encryption = ENCRYPTION_AES_CCM_12, .key_bits = 128, .prf = PRF_HMAC_SHA2_256},
    {.encryption = ENCRYPTION_CHACHA20_POLY1305, .prf = PRF_HMAC_SHA2_256},
};

static const struct ikev2_header header = {
    .spi_i = UINT64_C(0x0102030405060708),
    .spi_r = UINT64_C(0x1112131415161718),
    .version = 0x20,
    .exchange = IKEV2_INFORMATIONAL,
    .flags = IKEV2_FLAG_INITIATOR,
    .message_id = 7,
};

/* Once for the whole program, before the first key. */
static void start_crypto(void)
{
    static bool started;

    if (!started) {
        CHECK(protect_start(PROTECT_AUTOMATIC));
        started = true;
    }
}

static struct ikev2_keys keys_of(const struct suite *suite)
{
    struct ikev2_keys keys = {0};
    const struct slice nonce = SLICE_TEXT("0123456789abcdef");

    start_crypto();

    CHECK(ikev2_keys_derive(suite, SLICE_TEXT("shared"), nonce, nonce, 1, 2, &keys));
    return keys;
}

static struct slice chain_of(size_t length)
{
    static uint8_t bytes[70000];

    for (size_t i = 0; i < length; i++) {
        bytes[i] = (uint8_t)(i * 31 + 5);
    }
    return (struct slice){bytes, length};
}

TEST(what_is_sealed_opens_again_at_every_length)
{
    struct seeded_random seeded;

    seeded_random_init(&seeded, 1);
    struct random_source random = seeded_random_source(&seeded);

    for (size_t s = 0; s < ARRAY_LENGTH(suites); s++) {
        struct ikev2_keys keys = keys_of(&suites[s]);

        for (size_t length = 0; length < 70; length++) {
            uint8_t message[300];
            uint8_t buffer[300];
            struct ikev2_sk_opened opened;
            struct ikev2_header read;
            struct writer w = writer_over(message, sizeof(message));

            CHECK(ikev2_sk_seal(&keys, true, &header, length == 0 ? 0 : IKEV2_NOTIFY,
                                chain_of(length), &random, &w));
            CHECK_EQUAL(w.length, ikev2_sk_message_bytes(&suites[s], length, false));
            struct reader r = reader_over(writer_written(&w));

            CHECK(ikev2_read_header(&r, &read));
            CHECK_EQUAL(read.next_payload, IKEV2_SK);
            CHECK_EQUAL(read.length, w.length);
            CHECK_EQUAL(read.message_id, 7);
            CHECK(ikev2_sk_open(&keys, true, writer_written(&w), buffer, &opened));
            CHECK(!opened.fragment);
            CHECK_EQUAL(opened.first, length == 0 ? 0 : IKEV2_NOTIFY);
            CHECK(slice_equal(opened.chain, chain_of(length)));
            CHECK(!ikev2_sk_open(&keys, false, writer_written(&w), buffer, &opened));
        }
        ikev2_keys_fini(&keys);
    }
}

TEST(the_room_of_a_message_is_exact)
{
    for (size_t s = 0; s < ARRAY_LENGTH(suites); s++) {
        for (size_t fragment = 0; fragment < 2; fragment++) {
            CHECK_EQUAL(ikev2_sk_room(&suites[s], 20, fragment == 1), 0);
            for (size_t bytes = 120; bytes < 200; bytes++) {
                size_t room = ikev2_sk_room(&suites[s], bytes, fragment == 1);

                CHECK(ikev2_sk_message_bytes(&suites[s], room, fragment == 1) <= bytes);
                CHECK(ikev2_sk_message_bytes(&suites[s], room + 1, fragment == 1) > bytes);
            }
        }
    }
}

TEST(fragments_carry_their_number_and_only_the_first_names_a_payload)
{
    struct seeded_random seeded;

    seeded_random_init(&seeded, 2);
    struct random_source random = seeded_random_source(&seeded);

    for (size_t s = 0; s < ARRAY_LENGTH(suites); s++) {
        struct ikev2_keys keys = keys_of(&suites[s]);

        for (uint16_t number = 1; number <= 3; number++) {
            uint8_t message[300];
            uint8_t buffer[300];
            uint16_t said;
            uint16_t total;
            struct ikev2_sk_opened opened;
            struct writer w = writer_over(message, sizeof(message));

            CHECK(ikev2_skf_seal(&keys, false, &header, IKEV2_IDR, number, 3, chain_of(50), &random,
                                 &w));
            CHECK_EQUAL(w.length, ikev2_sk_message_bytes(&suites[s], 50, true));
            CHECK(ikev2_skf_peek(writer_written(&w), &said, &total));
            CHECK_EQUAL(said, number);
            CHECK_EQUAL(total, 3);
            CHECK(ikev2_sk_open(&keys, false, writer_written(&w), buffer, &opened));
            CHECK(opened.fragment);
            CHECK_EQUAL(opened.number, number);
            CHECK_EQUAL(opened.total, 3);
            CHECK_EQUAL(opened.first, number == 1 ? IKEV2_IDR : 0);
            CHECK(slice_equal(opened.chain, chain_of(50)));
            /* Number and total are authenticated. */
            message[33] ^= 2;
            CHECK(!ikev2_sk_open(&keys, false, writer_written(&w), buffer, &opened));
        }
        ikev2_keys_fini(&keys);
    }
}

TEST(no_changed_bit_and_no_truncation_opens)
{
    struct seeded_random seeded;

    seeded_random_init(&seeded, 3);
    struct random_source random = seeded_random_source(&seeded);

    for (size_t s = 0; s < ARRAY_LENGTH(suites); s++) {
        struct ikev2_keys keys = keys_of(&suites[s]);
        uint8_t message[300];
        uint8_t buffer[300];
        struct ikev2_sk_opened opened;
        struct writer w = writer_over(message, sizeof(message));

        CHECK(ikev2_sk_seal(&keys, true, &header, IKEV2_NOTIFY, chain_of(40), &random, &w));
        for (size_t bit = 0; bit < 8 * w.length; bit++) {
            message[bit / 8] ^= (uint8_t)(1u << (bit % 8));
            CHECK(!ikev2_sk_open(&keys, true, writer_written(&w), buffer, &opened));
            CHECK_EQUAL(opened.chain.length, 0);
            message[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        }
        for (size_t length = 0; length < w.length; length++) {
            uint8_t cut[300];

            memcpy(cut, message, length);
            CHECK(!ikev2_sk_open(&keys, true, (struct slice){cut, length}, buffer, &opened));
            /* With lengths that fit what is left, too. */
            if (length >= IKEV2_HEAD_BYTES + IKEV2_PAYLOAD_HEAD_BYTES) {
                put_u32(cut + 24, (uint32_t)length);
                put_u16(cut + 30, (uint16_t)(length - IKEV2_HEAD_BYTES));
                CHECK(!ikev2_sk_open(&keys, true, (struct slice){cut, length}, buffer, &opened));
            }
        }
        ikev2_keys_fini(&keys);
    }
}

TEST(ivs_of_counter_modes_never_repeat)
{
    struct seeded_random seeded;
    struct ikev2_keys keys = keys_of(&suites[5]);

    seeded_random_init(&seeded, 4);
    struct random_source random = seeded_random_source(&seeded);

    for (uint64_t i = 0; i < 100; i++) {
        uint8_t message[300];
        struct writer w = writer_over(message, sizeof(message));

        CHECK(ikev2_sk_seal(&keys, true, &header, 0, (struct slice){0}, &random, &w));
        CHECK_EQUAL(get_u64(message + 32), i);
    }
    ikev2_keys_fini(&keys);
}

TEST(ivs_of_cbc_are_unpredictable)
{
    struct seeded_random seeded;
    struct ikev2_keys keys = keys_of(&suites[0]);
    uint8_t message[2][300];

    seeded_random_init(&seeded, 5);
    struct random_source random = seeded_random_source(&seeded);

    for (size_t i = 0; i < 2; i++) {
        struct writer w = writer_over(message[i], sizeof(message[i]));

        CHECK(ikev2_sk_seal(&keys, true, &header, 0, (struct slice){0}, &random, &w));
    }
    CHECK(memcmp(message[0] + 32, message[1] + 32, 16) != 0);
    ikev2_keys_fini(&keys);
}

TEST(what_does_not_fit_is_not_sent)
{
    struct seeded_random seeded;
    struct ikev2_keys keys = keys_of(&suites[0]);
    struct ikev2_keys none = {0};
    uint8_t message[100];

    seeded_random_init(&seeded, 6);
    struct random_source random = seeded_random_source(&seeded);

    for (size_t capacity = 0; capacity < 96; capacity++) {
        struct writer w = writer_over(message, capacity);

        CHECK(!ikev2_sk_seal(&keys, true, &header, IKEV2_NOTIFY, chain_of(40), &random, &w));
        CHECK_EQUAL(writer_written(&w).length, 0);
    }
    struct writer w = writer_over(message, sizeof(message));

    CHECK(!ikev2_sk_seal(&keys, true, &header, IKEV2_NOTIFY, chain_of(66000), &random, &w));
    w = writer_over(message, sizeof(message));
    CHECK(!ikev2_sk_seal(&none, true, &header, IKEV2_NOTIFY, chain_of(4), &random, &w));
    ikev2_keys_fini(&keys);
}

TEST(messages_with_more_than_the_sk_payload_outside_are_refused)
{
    struct seeded_random seeded;
    struct ikev2_keys keys = keys_of(&suites[0]);
    uint8_t message[300];
    uint8_t longer[300];
    uint8_t buffer[300];
    struct ikev2_sk_opened opened;
    struct writer w = writer_over(message, sizeof(message));
    static const uint8_t vendor_id[8] = {IKEV2_SK, 0, 0, 8, 1, 2, 3, 4};

    seeded_random_init(&seeded, 7);
    struct random_source random = seeded_random_source(&seeded);

    CHECK(ikev2_sk_seal(&keys, true, &header, IKEV2_NOTIFY, chain_of(40), &random, &w));
    memcpy(longer, message, IKEV2_HEAD_BYTES);
    memcpy(longer + IKEV2_HEAD_BYTES, vendor_id, sizeof(vendor_id));
    memcpy(longer + IKEV2_HEAD_BYTES + sizeof(vendor_id), message + IKEV2_HEAD_BYTES,
           w.length - IKEV2_HEAD_BYTES);
    longer[16] = IKEV2_VENDOR_ID;
    put_u32(longer + 24, (uint32_t)(w.length + sizeof(vendor_id)));
    CHECK(!ikev2_sk_open(&keys, true, (struct slice){longer, w.length + sizeof(vendor_id)}, buffer,
                         &opened));
    CHECK(ikev2_sk_open(&keys, true, writer_written(&w), buffer, &opened));
    ikev2_keys_fini(&keys);
}

/* RFC 7634 appendix B: an INFORMATIONAL request with ChaCha20-Poly1305. */
TEST(the_message_of_rfc_7634_opens)
{
    static const char key_digits[] =
        "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3";
    static const char message_digits[] =
        "c0c1c2c3c4c5c6c7d0d1d2d3d4d5d6d72e202500000000090000004529000029101112"
        "1314151617610394701f8d017f7c129248896b71bfe25236efd7cdc67066906315b2";
    static const char chain_digits[] = "0000000c000040010000000a";
    struct ikev2_keys keys = {.suite = suites[8]};
    uint8_t key[36];
    uint8_t message[256];
    uint8_t chain[64];
    uint8_t buffer[256];
    size_t key_length;
    size_t length;
    size_t chain_length;
    struct ikev2_sk_opened opened;

    start_crypto();
    CHECK(hex_parse(slice_of_text(key_digits), key, sizeof(key), &key_length));
    CHECK(hex_parse(slice_of_text(message_digits), message, sizeof(message), &length));
    CHECK(hex_parse(slice_of_text(chain_digits), chain, sizeof(chain), &chain_length));
    CHECK(secret_set(&keys.protect_r, (struct slice){key, key_length}));
    CHECK(ikev2_sk_open(&keys, false, (struct slice){message, length}, buffer, &opened));
    CHECK_EQUAL(opened.first, IKEV2_NOTIFY);
    CHECK(slice_equal(opened.chain, (struct slice){chain, chain_length}));
    ikev2_keys_fini(&keys);
}
