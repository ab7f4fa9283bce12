/*
 * Whole sessions recorded between two strongSwan gateways (tests/vectors/ike-kat): every key is
 * derived again, every message opened to the recorded chain, every AUTH and every child's keys
 * recomputed.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "crypto/protect.h"
#include "proto/ikev2/sk.h"
#include "tests/support/test.h"

#define BYTES_MAX 4096

/* Once for the whole program, before the first key. */
static void start_crypto(void)
{
    static bool started;

    if (!started) {
        CHECK(protect_start(PROTECT_AUTOMATIC));
        started = true;
    }
}

struct octets {
    uint8_t data[BYTES_MAX];
    size_t length;
};

static struct slice octets_slice(const struct octets *o)
{
    return (struct slice){o->data, o->length};
}

static void octets_from(const json_t *text, struct octets *out)
{
    CHECK(json_is_string(text));
    CHECK(hex_parse(slice_of_text(json_string_value(text)), out->data, sizeof(out->data),
                    &out->length));
}

static void check_member(const json_t *set, const char *name, struct slice actual)
{
    static struct octets expected;

    octets_from(json_object_get(set, name), &expected);
    CHECK_EQUAL(actual.length, expected.length);
    CHECK_BYTES(actual.data, expected.data, actual.length);
}

struct session {
    json_t *root;
    json_t *log;
    json_t *messages;
    struct suite suite;
    struct suite child;
    struct ikev2_keys keys[2]; /* by key_set */
    size_t key_sets;
};

static const char *log_name(const struct session *s, size_t at)
{
    return json_string_value(json_object_get(json_array_get(s->log, at), "name"));
}

static void log_value(const struct session *s, size_t at, struct octets *out)
{
    octets_from(json_object_get(json_array_get(s->log, at), "hex"), out);
}

/* The newest value of that name before `at`; false when there is none. */
static bool log_before(const struct session *s, size_t at, const char *name, struct octets *out)
{
    while (at-- > 0) {
        if (strcmp(log_name(s, at), name) == 0) {
            log_value(s, at, out);
            return true;
        }
    }
    return false;
}

static json_t *message_at(const struct session *s, size_t at, struct octets *raw)
{
    json_t *message = json_array_get(s->messages, at);

    octets_from(json_object_get(message, "raw"), raw);
    return message;
}

static bool is_ike(const json_t *message)
{
    return strcmp(json_string_value(json_object_get(message, "type")), "ike") == 0;
}

/* SPIs of a key set stand in the first message that is protected by it. */
static void spis_of(const struct session *s, size_t key_set, uint64_t *spi_i, uint64_t *spi_r)
{
    static struct octets raw;

    for (size_t i = 0; i < json_array_size(s->messages); i++) {
        json_t *message = message_at(s, i, &raw);
        json_t *set = json_object_get(message, "key_set");

        if (is_ike(message) && set != NULL && (size_t)json_integer_value(set) == key_set) {
            *spi_i = get_u64(raw.data);
            *spi_r = get_u64(raw.data + 8);
            return;
        }
    }
    fail_msg("no message under key set %zu", key_set);
}

static void check_keys(const json_t *set, const struct ikev2_keys *k)
{
    size_t a = suite_integrity_key_bytes(&k->suite);
    size_t e = suite_encryption_key_bytes(&k->suite);

    check_member(set, "SK_d", secret_slice(&k->sk_d));
    check_member(set, "SK_pi", secret_slice(&k->sk_pi));
    check_member(set, "SK_pr", secret_slice(&k->sk_pr));
    check_member(set, "SK_ei", (struct slice){k->protect_i.bytes, e});
    check_member(set, "SK_er", (struct slice){k->protect_r.bytes, e});
    if (a > 0) {
        check_member(set, "SK_ai", (struct slice){k->protect_i.bytes + e, a});
        check_member(set, "SK_ar", (struct slice){k->protect_r.bytes + e, a});
    }
}

static void derive_all(struct session *s)
{
    static struct octets shared, nonces;
    json_t *sets = json_object_get(s->root, "ike_key_sets");

    for (size_t i = 0; i < json_array_size(s->log); i++) {
        uint64_t spi_i = 0;
        uint64_t spi_r = 0;

        if (strcmp(log_name(s, i), "SKEYSEED") != 0) {
            continue;
        }
        CHECK(s->key_sets < ARRAY_LENGTH(s->keys));
        CHECK(log_before(s, i, "key exchange secret", &shared));
        CHECK(log_before(s, i, "nonces", &nonces));
        spis_of(s, s->key_sets, &spi_i, &spi_r);

        struct slice ni = {nonces.data, nonces.length / 2};
        struct slice nr = {nonces.data + ni.length, ni.length};
        struct ikev2_keys *keys = &s->keys[s->key_sets];

        if (s->key_sets == 0) {
            CHECK(ikev2_keys_derive(&s->suite, octets_slice(&shared), ni, nr, spi_i, spi_r, keys));
        } else {
            CHECK(ikev2_keys_rekey(keys - 1, &s->suite, octets_slice(&shared), ni, nr,
                                   (struct slice){0}, spi_i, spi_r, keys));
        }
        check_keys(json_array_get(sets, s->key_sets), keys);
        s->key_sets++;
    }
    CHECK_EQUAL(s->key_sets, json_array_size(sets));
}

static size_t open_all(struct session *s)
{
    static struct octets raw, chain;
    static uint8_t buffer[BYTES_MAX];
    size_t opened_count = 0;

    for (size_t i = 0; i < json_array_size(s->messages); i++) {
        json_t *message = message_at(s, i, &raw);
        json_t *set = json_object_get(message, "key_set");
        struct ikev2_sk_opened opened;

        if (!is_ike(message) || set == NULL) {
            continue;
        }
        const struct ikev2_keys *keys = &s->keys[json_integer_value(set)];
        bool from_initiator = (raw.data[19] & IKEV2_FLAG_INITIATOR) != 0;
        json_t *fragment = json_object_get(message, "fragment");

        octets_from(json_object_get(message, "decrypted"), &chain);
        CHECK(ikev2_sk_open(keys, from_initiator, octets_slice(&raw), buffer, &opened));
        CHECK_EQUAL(opened.first, json_integer_value(json_object_get(message, "first_payload")));
        CHECK_EQUAL(opened.chain.length, chain.length);
        CHECK(slice_equal(opened.chain, octets_slice(&chain)));
        CHECK_EQUAL(opened.fragment, fragment != NULL);
        if (fragment != NULL) {
            CHECK_EQUAL(opened.number, json_integer_value(json_object_get(fragment, "number")));
            CHECK_EQUAL(opened.total, json_integer_value(json_object_get(fragment, "total")));
        }
        opened_count++;

        /* Under the keys of the other direction it is not authentic, nor with any octet
         * changed. */
        CHECK(!ikev2_sk_open(keys, !from_initiator, octets_slice(&raw), buffer, &opened));
        for (size_t at = 0; at < raw.length; at++) {
            raw.data[at] ^= 0x01;
            CHECK(!ikev2_sk_open(keys, from_initiator, octets_slice(&raw), buffer, &opened));
            raw.data[at] ^= 0x01;
        }
    }
    return opened_count;
}

/* The side whose SK_p the log shows; whether its AUTH is that of a shared secret. */
static size_t authenticate_all(struct session *s)
{
    static struct octets id, sk_p, covered, secret, auth, init;
    size_t checked = 0;

    for (size_t i = 0; i + 5 < json_array_size(s->log); i++) {
        struct ikev2_auth_octets octets;
        struct secret shared_key = {0};
        uint8_t out[PRF_OUTPUT_BYTES_MAX];
        size_t length;

        if (strcmp(log_name(s, i), "IDx'") != 0 || strcmp(log_name(s, i + 3), "secret") != 0) {
            continue;
        }
        log_value(s, i, &id);
        log_value(s, i + 1, &sk_p);
        log_value(s, i + 2, &covered);
        log_value(s, i + 3, &secret);
        log_value(s, i + 5, &auth);
        bool initiator = slice_equal(octets_slice(&sk_p), secret_slice(&s->keys[0].sk_pi));

        /* RFC 7296 2.15: the initiator's octets begin with message 1, the responder's with
         * message 2. */
        message_at(s, initiator ? 0 : 1, &init);
        CHECK(covered.length > init.length);
        CHECK_BYTES(covered.data, init.data, init.length);
        struct slice nonce = {covered.data + init.length,
                              covered.length - init.length - sk_p.length};

        CHECK(ikev2_auth_octets(&s->keys[0], initiator, octets_slice(&init), nonce,
                                octets_slice(&id), &octets));
        CHECK_EQUAL(octets.maced_id_bytes, sk_p.length);
        CHECK_BYTES(octets.maced_id, covered.data + init.length + nonce.length, sk_p.length);
        CHECK(secret_set(&shared_key, octets_slice(&secret)));
        CHECK(ikev2_auth_shared_key(&s->keys[0], &shared_key, &octets, out, &length));
        CHECK_EQUAL(length, auth.length);
        CHECK_BYTES(out, auth.data, length);
        CHECK(ikev2_auth_verify_shared_key(&s->keys[0], &shared_key, &octets, octets_slice(&auth)));
        secret_wipe(&shared_key);
        checked++;
    }
    return checked;
}

static void check_child_key(const json_t *keys, const char *side, const struct suite *child,
                            const struct secret *actual)
{
    size_t e = suite_encryption_key_bytes(child);
    size_t a = suite_integrity_key_bytes(child);
    char name[64];

    snprintf(name, sizeof(name), "encryption %s key", side);
    check_member(keys, name, (struct slice){actual->bytes, e});
    if (a > 0) {
        snprintf(name, sizeof(name), "integrity %s key", side);
        check_member(keys, name, (struct slice){actual->bytes + e, a});
    }
    CHECK_EQUAL(actual->length, e + a);
}

static void check_children(struct session *s)
{
    static struct octets seed;
    json_t *children = json_object_get(s->root, "child_keys");
    size_t child = 0;

    for (size_t i = 0; i < json_array_size(s->log); i++) {
        struct secret from_i = {0};
        struct secret from_r = {0};

        if (strcmp(log_name(s, i), "seed") != 0) {
            continue;
        }
        log_value(s, i, &seed);
        struct slice shared = {seed.data, seed.length - 64};
        struct slice ni = {seed.data + shared.length, 32};
        struct slice nr = {ni.data + 32, 32};

        CHECK(ikev2_keys_child(&s->keys[0], &s->child, shared, ni, nr, (struct slice){0}, &from_i,
                               &from_r));
        check_child_key(json_array_get(children, child), "initiator", &s->child, &from_i);
        check_child_key(json_array_get(children, child), "responder", &s->child, &from_r);
        secret_wipe(&from_i);
        secret_wipe(&from_r);
        child++;
    }
    CHECK_EQUAL(child, json_array_size(children));
}

static void replay(const char *path, struct suite suite, struct suite child, size_t messages,
                   size_t auths)
{
    struct session s = {.suite = suite, .child = child};

    start_crypto();
    s.root = json_load_file(path, 0, NULL);
    CHECK(s.root != NULL);
    s.log = json_object_get(s.root, "initiator_secrets_log");
    s.messages = json_object_get(s.root, "messages");
    derive_all(&s);
    CHECK_EQUAL(open_all(&s), messages);
    CHECK_EQUAL(authenticate_all(&s), auths);
    check_children(&s);
    for (size_t i = 0; i < s.key_sets; i++) {
        ikev2_keys_fini(&s.keys[i]);
    }
    json_decref(s.root);
    ikev2_sk_engine_free();
}

TEST(a_session_with_cbc_and_hmac_is_recomputed)
{
    replay(TEST_VECTORS "/ike-kat/kat-ikev2-psk-aes128-sha256-modp2048.json",
           (struct suite){.encryption = ENCRYPTION_AES_CBC,
                          .key_bits = 128,
                          .integrity = INTEGRITY_HMAC_SHA2_256_128,
                          .prf = PRF_HMAC_SHA2_256,
                          .key_exchange = KEY_EXCHANGE_MODP_2048},
           (struct suite){.encryption = ENCRYPTION_AES_CBC,
                          .key_bits = 128,
                          .integrity = INTEGRITY_HMAC_SHA2_256_128},
           14, 2);
}

TEST(a_session_with_gcm_is_recomputed)
{
    replay(TEST_VECTORS "/ike-kat/kat-ikev2-psk-aes256gcm-sha384-ecp384.json",
           (struct suite){.encryption = ENCRYPTION_AES_GCM_16,
                          .key_bits = 256,
                          .prf = PRF_HMAC_SHA2_384,
                          .key_exchange = KEY_EXCHANGE_ECP_384},
           (struct suite){.encryption = ENCRYPTION_AES_GCM_16, .key_bits = 256}, 10, 2);
}

TEST(a_session_with_eap_and_fragments_is_recomputed)
{
    replay(TEST_VECTORS "/ike-kat/kat-ikev2-eap-mschapv2-cp.json",
           (struct suite){.encryption = ENCRYPTION_AES_CBC,
                          .key_bits = 256,
                          .integrity = INTEGRITY_HMAC_SHA2_256_128,
                          .prf = PRF_HMAC_SHA2_256,
                          .key_exchange = KEY_EXCHANGE_MODP_2048},
           (struct suite){.encryption = ENCRYPTION_AES_GCM_16, .key_bits = 256}, 17, 2);
}
