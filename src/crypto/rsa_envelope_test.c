/* RSA encryption of IKEv1: what was sealed opens, and what was not opens to something else that
 * looks the same. Paddings are made here and encrypted without one. */
#include "crypto/rsa_envelope.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/signing_key_internal.h"
#include "tests/support/test.h"

#define LENGTH 256
#define LEAST 8
#define MOST 64

static struct private_key *key;
static struct public_key *public;

static void begin(void)
{
    if (key == NULL) {
        key = private_key_make(KEY_RSA, 8 * LENGTH);
        CHECK(key != NULL);
        public = private_key_public(key);
        CHECK(public != NULL);
    }
}

static void end(void)
{
    private_key_free(key);
    public_key_free(public);
    key = NULL;
    public = NULL;
}

/* Without a padding of its own. */
static void encrypt(const uint8_t padded[LENGTH], uint8_t out[LENGTH])
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(public->pkey, NULL);
    size_t length = LENGTH;

    CHECK(context != NULL && EVP_PKEY_encrypt_init(context) == 1 &&
          EVP_PKEY_CTX_set_rsa_padding(context, RSA_NO_PADDING) == 1 &&
          EVP_PKEY_encrypt(context, out, &length, padded, LENGTH) == 1);
    CHECK_EQUAL(length, LENGTH);
    EVP_PKEY_CTX_free(context);
}

static struct slice open_it(struct slice sealed, uint8_t out[LENGTH])
{
    struct writer w = writer_over(out, LENGTH);

    CHECK(envelope_open(key, sealed, LEAST, MOST, &w));
    return writer_written(&w);
}

/* 00 02 random 00 message */
static void pad(uint8_t out[LENGTH], struct slice message)
{
    size_t end = LENGTH - message.length - 1;

    out[0] = 0;
    out[1] = 2;
    for (size_t i = 2; i < end; i++) {
        out[i] = (uint8_t)(1 + i % 255);
    }
    out[end] = 0;
    memcpy(out + end + 1, message.data, message.length);
}

TEST(what_is_sealed_opens_and_is_never_the_same)
{
    uint8_t message[LENGTH];
    uint8_t sealed[2][LENGTH];
    uint8_t opened[LENGTH];

    begin();
    for (size_t i = 0; i < sizeof(message); i++) {
        message[i] = (uint8_t)(i * 7);
    }
    for (size_t length = LEAST; length <= MOST; length++) {
        struct slice plain = {message, length};

        for (unsigned k = 0; k < 2; k++) {
            struct writer w = writer_over(sealed[k], LENGTH);

            CHECK(envelope_seal(public, plain, &w));
            CHECK_EQUAL(w.length, LENGTH);
            CHECK(slice_equal(open_it(SLICE_OF(sealed[k]), opened), plain));
        }
        CHECK(memcmp(sealed[0], sealed[1], LENGTH) != 0);
    }
    struct writer full = writer_over(sealed[0], LENGTH);

    CHECK(!envelope_seal(public, (struct slice){message, LENGTH - 10}, &full));
    full = writer_over(sealed[0], LENGTH);
    CHECK(envelope_seal(public, (struct slice){message, LENGTH - 11}, &full));
    end();
}

static bool ends_with(const uint8_t padded[LENGTH], struct slice what)
{
    return memcmp(padded + LENGTH - what.length, what.data, what.length) == 0;
}

/* One that is good, and every way to be bad: what comes out is as long as it may be, is not what
 * went in, the same each time, and different for each ciphertext. */
TEST(what_is_padded_wrongly_opens_to_something_else)
{
    static const uint8_t message[32] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    uint8_t padded[LENGTH];
    uint8_t sealed[LENGTH];
    uint8_t opened[2][LENGTH];
    size_t lengths[MOST + 1] = {0};
    unsigned different = 0;

    begin();
    for (unsigned i = 0; i < 120; i++) {
        pad(padded, SLICE_OF(message));
        if (i == 0) {
            padded[0] = 1; /* still below the modulus, whose first bit is set */
        } else if (i < 60) {
            padded[1] = (uint8_t)(i == 2 ? 0 : i);
        } else if (i < 68) {
            padded[2 + i - 60] = 0; /* ends too early */
        } else if (i == 68) {
            memset(padded + 2, 0xff, LENGTH - 2); /* never ends */
        } else if (i < 76) {
            memset(padded + 2, 1, LENGTH - 2);
            padded[LENGTH - 1 - (i - 69)] = 0; /* too short inside: 0 to 6 octets */
        } else {
            memset(padded + 2, (int)i, LENGTH - 2);
            padded[100 + i - 76] = 0; /* too long inside */
        }
        encrypt(padded, sealed);
        struct slice first = open_it(SLICE_OF(sealed), opened[0]);
        struct slice again = open_it(SLICE_OF(sealed), opened[1]);

        CHECK(first.length >= LEAST && first.length <= MOST);
        CHECK(slice_equal(first, again));
        CHECK(first.length != sizeof(message) || memcmp(first.data, message, 32) != 0);
        CHECK(!ends_with(padded, first));
        different += lengths[first.length]++ == 0;
    }
    CHECK(different > 20); /* lengths say nothing */
    pad(padded, SLICE_OF(message));
    encrypt(padded, sealed);
    CHECK(slice_equal(open_it(SLICE_OF(sealed), opened[0]), SLICE_OF(message)));
    end();
}

TEST(what_is_no_number_below_the_modulus_is_opened_as_well)
{
    uint8_t sealed[LENGTH + 1];
    uint8_t opened[2][LENGTH];
    BIGNUM *modulus = NULL;

    begin();
    CHECK(EVP_PKEY_get_bn_param(public->pkey, OSSL_PKEY_PARAM_RSA_N, &modulus) == 1);
    CHECK(BN_bn2binpad(modulus, sealed, LENGTH) == LENGTH);
    for (size_t length = 0; length <= sizeof(sealed); length++) {
        if (length == LENGTH + 1) {
            sealed[LENGTH] = 0;
        }
        struct slice first = open_it((struct slice){sealed, length}, opened[0]);
        struct slice again = open_it((struct slice){sealed, length}, opened[1]);

        CHECK(first.length >= LEAST && first.length <= MOST && slice_equal(first, again));
    }
    memset(sealed, 0xff, sizeof(sealed));
    CHECK(open_it((struct slice){sealed, LENGTH}, opened[0]).length >= LEAST);
    memset(sealed, 0, sizeof(sealed));
    CHECK(open_it((struct slice){sealed, LENGTH}, opened[0]).length >= LEAST);
    BN_free(modulus);
    end();
}

/* What replaces a ciphertext comes of the key: nobody who has it not can tell. */
TEST(another_key_opens_to_other_octets)
{
    uint8_t sealed[LENGTH] = {0};
    uint8_t opened[2][LENGTH];

    begin();
    struct slice first = open_it(SLICE_OF(sealed), opened[0]);

    end();
    begin();
    struct slice second = open_it(SLICE_OF(sealed), opened[1]);

    CHECK(!slice_equal(first, second));
    end();
}

/* The same rule, written the obvious way. */
static bool plainly(const uint8_t *padded, size_t length, size_t least, size_t most,
                    struct slice *out)
{
    size_t at = 2;

    if (padded[0] != 0 || padded[1] != 2) {
        return false;
    }
    while (at < length && padded[at] != 0) {
        at++;
    }
    if (at == length || at < 10) {
        return false;
    }
    *out = (struct slice){padded + at + 1, length - at - 1};
    return out->length >= least && out->length <= most;
}

TEST(the_padding_is_taken_off_as_the_obvious_rule_does)
{
    uint8_t other[64];
    uint8_t out[64];
    uint32_t number = 1;

    memset(other, 0xaa, sizeof(other));
    for (unsigned i = 0; i < 200000; i++) {
        uint8_t padded[64];
        size_t length = 12 + i % 53;
        struct slice inside = {NULL, 0};

        for (size_t k = 0; k < length; k++) {
            number = number * 1664525 + 1013904223;
            padded[k] = (uint8_t)((number >> 24) % (i % 3 == 0 ? 3 : 40));
        }
        padded[0] = i % 7 == 0;
        padded[1] = i % 5 == 0 ? 1 : 2;
        bool good = plainly(padded, length, 2, 40, &inside);
        size_t got = envelope_unpad(padded, other, length, 5, 2, 40, out);

        CHECK_EQUAL(got, good ? inside.length : 5);
        CHECK(memcmp(out, good ? inside.data : other, got) == 0);
        for (size_t k = got; k < length; k++) {
            CHECK_EQUAL(out[k], 0);
        }
    }
}

TEST(only_rsa_keys_in_memory_open)
{
    struct private_key *curve = private_key_make(KEY_P256, 0);
    struct public_key *point = private_key_public(curve);
    uint8_t out[LENGTH];
    struct writer w = writer_over(out, sizeof(out));

    CHECK(!envelope_key_is_usable(curve));
    CHECK(!envelope_open(curve, SLICE_OF(out), 8, 64, &w));
    CHECK(!envelope_seal(point, SLICE_TEXT("a nonce"), &w));
    public_key_free(point);
    private_key_free(curve);
    begin();
    CHECK(envelope_key_is_usable(key));
    CHECK(!envelope_open(key, SLICE_OF(out), LENGTH - 10, LENGTH, &w));
    end();
}

TEST(work_of_several_parts)
{
    struct envelope *e = calloc(1, sizeof(*e));

    begin();
    CHECK(e != NULL);
    CHECK(!envelope_seal_all(e, public) && !envelope_open_all(e, key));
    e->count = 2;
    for (size_t i = 0; i < 2; i++) {
        e->parts[i] = (struct envelope_part){.least = 8, .most = 64, .length = 20 + i};
        memset(e->parts[i].octets, (int)(7 + i), 20 + i);
    }
    CHECK(envelope_seal_all(e, public));
    CHECK(e->parts[0].length == LENGTH && e->parts[1].length == LENGTH);
    CHECK(envelope_open_all(e, key));
    for (size_t i = 0; i < 2; i++) {
        CHECK_EQUAL(e->parts[i].length, 20 + i);
        CHECK(e->parts[i].octets[0] == 7 + i && e->parts[i].octets[19 + i] == 7 + i);
    }
    e->digest = DIGEST_SHA1;
    envelope_hash_certificate(e, SLICE_TEXT("abc")); /* FIPS 180-2 A.1 */
    CHECK_EQUAL(e->hash_bytes, 20);
    CHECK_BYTES(e->hash, "\xa9\x99\x3e\x36\x47\x06\x81\x6a\xba\x3e", 10);
    envelope_free(e);
    envelope_free(NULL);
    end();
}
