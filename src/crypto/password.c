/*
 * Decides how a verifier is made from a password and how the two are compared (RFC 5802 3):
 * StoredKey := H(HMAC(Hi(password, salt, rounds), "Client Key")), where Hi is PBKDF2 (RFC 8018).
 */
#include "crypto/password.h"

#include <openssl/evp.h>
#include <string.h>

#include "crypto/prf.h"

static bool stored_key(struct slice password, const struct password_verifier *v,
                       uint8_t out[PASSWORD_KEY_BYTES])
{
    const struct slice label = SLICE_TEXT("Client Key");
    uint8_t salted[PASSWORD_KEY_BYTES];
    uint8_t client[PASSWORD_KEY_BYTES];
    /* libcrypto takes no empty pointer for an empty password. */
    const char *bytes = password.length > 0 ? (const char *)password.data : "";
    bool done = PKCS5_PBKDF2_HMAC(bytes, (int)password.length, v->salt, v->salt_length,
                                  (int)v->rounds, EVP_sha256(), sizeof(salted), salted) == 1 &&
                prf(PRF_HMAC_SHA2_256, SLICE_OF(salted), &label, 1, client);

    if (done) {
        struct slice part = SLICE_OF(client);

        sha256(&part, 1, out);
    }
    wipe(salted, sizeof(salted));
    wipe(client, sizeof(client));
    return done;
}

bool password_make(struct slice password, uint32_t rounds, struct random_source *random,
                   struct password_verifier *out)
{
    *out = (struct password_verifier){.rounds = rounds, .salt_length = PASSWORD_SALT_BYTES};
    random_fill(random, out->salt, PASSWORD_SALT_BYTES);
    return stored_key(password, out, out->key);
}

bool password_fits(const struct password_verifier *verifier, struct slice password)
{
    uint8_t key[PASSWORD_KEY_BYTES] = {0};
    bool made = stored_key(password, verifier, key);
    bool fits = equal_in_constant_time(key, verifier->key, sizeof(key));

    wipe(key, sizeof(key));
    return made && fits;
}

/* ---- as text ---- */

static struct slice cut_field(struct slice *rest)
{
    const uint8_t *end = rest->length == 0 ? NULL : memchr(rest->data, '$', rest->length);
    size_t length = end == NULL ? rest->length : (size_t)(end - rest->data);
    struct slice field = {rest->data, length};

    rest->data += length + (end != NULL);
    rest->length -= length + (end != NULL);
    return field;
}

static bool read_rounds(struct slice text, uint32_t *out)
{
    uint32_t value = 0;

    if (text.length == 0 || text.length > 7 || text.data[0] == '0') {
        return false;
    }
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }
        value = value * 10 + (uint32_t)(text.data[i] - '0');
    }
    *out = value;
    return value >= PASSWORD_ROUNDS_LEAST && value <= PASSWORD_ROUNDS_MOST;
}

bool password_read(struct slice text, struct password_verifier *out)
{
    const struct slice head = SLICE_TEXT("$scram$sha-256$");
    size_t salt = 0;
    size_t key = 0;

    *out = (struct password_verifier){0};
    if (text.length <= head.length || !slice_equal((struct slice){text.data, head.length}, head)) {
        return false;
    }
    struct slice rest = {text.data + head.length, text.length - head.length};

    if (!read_rounds(cut_field(&rest), &out->rounds) ||
        !base64_parse(cut_field(&rest), out->salt, sizeof(out->salt), &salt) || salt < 8 ||
        !base64_parse(rest, out->key, sizeof(out->key), &key) || key != sizeof(out->key)) {
        return false;
    }
    out->salt_length = (uint8_t)salt;
    return true;
}

void password_write(const struct password_verifier *verifier, struct text *out)
{
    text_addf(out, "$scram$sha-256$%u$", (unsigned)verifier->rounds);
    text_add_base64(out, (struct slice){verifier->salt, verifier->salt_length});
    text_add(out, "$");
    text_add_base64(out, SLICE_OF(verifier->key));
}
