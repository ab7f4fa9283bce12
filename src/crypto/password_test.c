/* Verifiers of passwords: RFC 7677's example, their text, and what is refused. */
#include "crypto/password.h"

#include <string.h>

#include "crypto/prf.h"
#include "tests/support/test.h"

/* RFC 7677 3: user "user", password "pencil". */
static const char example_salt[] = "W22ZaJ0SNY7soEsUEjb6gQ==";
static const char example_proof[] = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
static const char example_messages[] =
    "n=user,r=rOprNGfwEbeRWgbNEkqO,"
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";

/* The client's proof of the example, unmasked with a StoredKey, must hash to that StoredKey (RFC
 * 5802 3): so the example, which does not print StoredKey, says what it is. */
static bool proves(const struct password_verifier *v)
{
    struct slice messages = slice_of_text(example_messages);
    uint8_t proof[32];
    uint8_t signature[32];
    uint8_t key[32];
    size_t length;

    CHECK(base64_parse(slice_of_text(example_proof), proof, sizeof(proof), &length));
    CHECK(prf(PRF_HMAC_SHA2_256, SLICE_OF(v->key), &messages, 1, signature));
    for (size_t i = 0; i < 32; i++) {
        proof[i] ^= signature[i];
    }
    struct slice client = SLICE_OF(proof);

    sha256(&client, 1, key);
    return memcmp(key, v->key, sizeof(key)) == 0;
}

struct fixed_octets {
    const uint8_t *octets;
};

static void give_fixed(void *context, uint8_t *out, size_t length)
{
    memcpy(out, ((struct fixed_octets *)context)->octets, length);
}

static struct password_verifier verifier_of(const char *password)
{
    uint8_t salt[16];
    size_t length;
    struct password_verifier v;

    CHECK(base64_parse(slice_of_text(example_salt), salt, sizeof(salt), &length) && length == 16);
    struct fixed_octets fixed = {salt};
    struct random_source random = {give_fixed, &fixed};

    CHECK(password_make(slice_of_text(password), 4096, &random, &v));
    return v;
}

TEST(the_example_of_rfc_7677_is_proven_by_its_password_alone)
{
    struct password_verifier right = verifier_of("pencil");
    struct password_verifier wrong = verifier_of("pencils");

    CHECK(proves(&right));
    CHECK(!proves(&wrong));
    CHECK(password_fits(&right, SLICE_TEXT("pencil")));
    CHECK(!password_fits(&right, SLICE_TEXT("Pencil")));
    /* HMAC fills its key up with zeros, so a password must have none (desk.c refuses them). */
    CHECK(password_fits(&right, SLICE_TEXT("pencil\0")));
    CHECK(!password_fits(&right, (struct slice){NULL, 0}));
}

TEST(a_verifier_is_read_as_it_was_written)
{
    struct password_verifier v = verifier_of("pencil");
    struct password_verifier read;
    char words[PASSWORD_TEXT_BYTES];
    struct text text = text_over(words, sizeof(words));

    password_write(&v, &text);
    CHECK(!text.cut);
    CHECK(strstr(words, "$scram$sha-256$4096$W22ZaJ0SNY7soEsUEjb6gQ==$") == words);
    CHECK(password_read(slice_of_text(words), &read));
    CHECK(memcmp(&v, &read, sizeof(v)) == 0);
    for (size_t length = 0; length < text.length; length++) {
        CHECK(!password_read((struct slice){(const uint8_t *)words, length}, &read));
    }
}

TEST(what_is_no_verifier_is_refused)
{
    static const char *const wrong[] = {
        "",
        "$scram$sha-256$",
        "$scram$sha-1$4096$W22ZaJ0SNY7soEsUEjb6gQ==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        /* too few rounds, too many, not a number, a zero before it */
        "$scram$sha-256$4095$W22ZaJ0SNY7soEsUEjb6gQ==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "$scram$sha-256$2000001$W22ZaJ0SNY7soEsUEjb6gQ==$"
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "$scram$sha-256$-4096$W22ZaJ0SNY7soEsUEjb6gQ==$"
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "$scram$sha-256$04096$W22ZaJ0SNY7soEsUEjb6gQ==$"
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        /* no salt, a short key, one word more */
        "$scram$sha-256$4096$$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "$scram$sha-256$4096$W22ZaJ0SNY7soEsUEjb6gQ==$AAAA",
        "$scram$sha-256$4096$W22ZaJ0SNY7soEsUEjb6gQ==$"
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=$",
    };
    struct password_verifier v;

    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        CHECK(!password_read(slice_of_text(wrong[i]), &v));
    }
}
