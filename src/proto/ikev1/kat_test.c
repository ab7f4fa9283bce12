/*
 * Whole sessions recorded between two strongSwan gateways (tests/vectors/ike-kat): every key is
 * derived again from what stands in the messages, every message opened to the recorded payloads and
 * sealed again, every hash and every child's keys recomputed.
 */
#include <jansson.h>
#include <stdlib.h>

#include "base/text.h"
#include "proto/ikev1/keys.h"
#include "tests/support/test.h"

#define BYTES_MAX 4096
#define MESSAGES_MAX 32
#define EXCHANGES_MAX 12

struct message {
    uint8_t raw[BYTES_MAX];
    size_t length;
    struct ikev1_header head;
    bool encrypted;
    uint8_t clear[BYTES_MAX]; /* payloads with their padding */
    size_t clear_length;
};

/* One message ID: where its next message is chained to, and what its nonces are. */
struct exchange {
    uint32_t message_id;
    struct ikev1_iv iv;
    size_t messages;
    struct slice nonce_i, nonce_r;
    uint32_t spi_i, spi_r;
};

struct session {
    json_t *root;
    struct suite suite, child;
    struct message messages[MESSAGES_MAX];
    size_t count;
    struct ikev1_keys keys;
    struct ikev1_phase1_words words;
    struct slice id_i, id_r;
    struct exchange phase1;
    struct exchange exchanges[EXCHANGES_MAX];
    size_t exchange_count;
    size_t hashes;
    size_t children;
};

static size_t hex_of(const json_t *text, uint8_t *out)
{
    size_t length = 0;

    CHECK(json_is_string(text));
    CHECK(hex_parse(slice_of_text(json_string_value(text)), out, BYTES_MAX, &length));
    return length;
}

static void check_hex(const json_t *text, struct slice actual)
{
    static uint8_t expected[BYTES_MAX];
    size_t length = hex_of(text, expected);

    CHECK_EQUAL(actual.length, length);
    CHECK_BYTES(actual.data, expected, length);
}

/* The first payload of that type behind `after` others of it; empty when there is none. */
static struct slice payload_of(uint8_t first, struct slice payloads, uint8_t type, unsigned after)
{
    struct reader r = reader_over(payloads);
    struct ikev1_payload p;
    uint8_t next = first;

    while (ikev1_read_payload(&r, &next, &p)) {
        if (p.type == type && after-- == 0) {
            return p.body;
        }
    }
    return (struct slice){NULL, 0};
}

static struct slice payload_in(const struct message *m, uint8_t type)
{
    return payload_of(m->head.next_payload, (struct slice){m->clear, m->clear_length}, type, 0);
}

static void load(struct session *s)
{
    size_t at;
    json_t *json;

    json_array_foreach(json_object_get(s->root, "messages"), at, json)
    {
        if (strcmp(json_string_value(json_object_get(json, "type")), "ike") != 0) {
            continue;
        }
        struct message *m = &s->messages[s->count++];

        CHECK(s->count <= MESSAGES_MAX);
        m->length = hex_of(json_object_get(json, "raw"), m->raw);
        struct reader r = reader_over((struct slice){m->raw, m->length});

        CHECK(ikev1_read_header(&r, &m->head));
        m->encrypted = (m->head.flags & IKEV1_FLAG_ENCRYPTED) != 0;
        m->clear_length = reader_left(&r);
        read_copy(&r, m->clear, m->clear_length);
    }
}

/* Main mode has KE and nonces in its third and fourth message, aggressive mode in the first two. */
static void derive(struct session *s, const char *shared_key)
{
    static uint8_t shared[BYTES_MAX];
    const json_t *expected = json_object_get(s->root, "ikev1_keys");
    size_t at = s->messages[0].head.exchange == IKEV1_MAIN ? 2 : 0;
    const struct message *i = &s->messages[at];
    const struct message *r = &s->messages[at + 1];
    struct ikev1_agreed agreed = {
        .nonce_i = payload_in(i, IKEV1_NONCE),
        .nonce_r = payload_in(r, IKEV1_NONCE),
        .cookie_i = r->head.cookie_i,
        .cookie_r = r->head.cookie_r,
    };
    struct secret key = {0};

    agreed.shared.data = shared;
    agreed.shared.length =
        hex_of(json_object_get(expected, "shared Diffie Hellman secret"), shared);
    s->words = (struct ikev1_phase1_words){
        .public_i = payload_in(i, IKEV1_KE),
        .public_r = payload_in(r, IKEV1_KE),
        .cookie_i = agreed.cookie_i,
        .cookie_r = agreed.cookie_r,
        .sa_i = payload_in(&s->messages[0], IKEV1_SA),
    };
    CHECK(secret_set(&key, slice_of_text(shared_key)));
    CHECK(ikev1_keys_of_shared_key(&s->suite, &key, &agreed, &s->keys));
    CHECK(ikev1_iv_of_phase1(&s->suite, s->words.public_i, s->words.public_r, &s->phase1.iv));
    check_hex(json_object_get(expected, "SKEYID"), secret_slice(&s->keys.skeyid));
    check_hex(json_object_get(expected, "SKEYID_d"), secret_slice(&s->keys.skeyid_d));
    check_hex(json_object_get(expected, "SKEYID_a"), secret_slice(&s->keys.skeyid_a));
    check_hex(json_object_get(expected, "SKEYID_e"), secret_slice(&s->keys.skeyid_e));
    check_hex(json_object_get(expected, "encryption key Ka"), secret_slice(&s->keys.cipher_key));
    check_hex(json_object_get(expected, "initial IV"),
              (struct slice){s->phase1.iv.octets, s->phase1.iv.length});
    secret_wipe(&key);
}

static struct exchange *exchange_of(struct session *s, const struct message *m)
{
    if (m->head.message_id == 0) {
        return &s->phase1;
    }
    for (size_t i = 0; i < s->exchange_count; i++) {
        if (s->exchanges[i].message_id == m->head.message_id) {
            return &s->exchanges[i];
        }
    }
    struct exchange *e = &s->exchanges[s->exchange_count++];

    CHECK(s->exchange_count <= EXCHANGES_MAX);
    e->message_id = m->head.message_id;
    CHECK(ikev1_iv_of_phase2(&s->suite, &s->phase1.iv, e->message_id, &e->iv));
    return e;
}

/* Opened to what was recorded, and sealed to what was sent. */
static void open_message(struct session *s, struct message *m, struct exchange *e,
                         const json_t *json)
{
    static uint8_t again[BYTES_MAX];
    struct ikev1_iv before = e->iv;
    struct slice chain;

    check_hex(json_object_get(json, "iv"), (struct slice){e->iv.octets, e->iv.length});
    CHECK(ikev1_decrypt(&s->keys, &e->iv, m->clear, m->clear_length));
    CHECK(
        ikev1_read_chain(m->head.next_payload, (struct slice){m->clear, m->clear_length}, &chain));
    check_hex(json_object_get(json, "decrypted"), chain);
    /* Those gateways pad by a block where nothing would be needed. */
    CHECK_EQUAL(ikev1_padded_bytes(&s->suite, chain.length + 1), m->clear_length);
    memcpy(again, m->clear, m->clear_length);
    CHECK(ikev1_encrypt(&s->keys, &before, again, m->clear_length));
    CHECK_BYTES(again, m->raw + IKEV1_HEAD_BYTES, m->clear_length);
    CHECK_BYTES(before.octets, e->iv.octets, e->iv.length);
}

static void check_phase1_hash(struct session *s, const struct message *m, bool initiator)
{
    struct slice hash = payload_in(m, IKEV1_HASH);
    struct ikev1_hash_value expected, other;

    CHECK(ikev1_hash_i(&s->keys, &s->words, s->id_i, initiator ? &expected : &other));
    CHECK(ikev1_hash_r(&s->keys, &s->words, s->id_r, initiator ? &other : &expected));
    CHECK(ikev1_hash_equal(&expected, hash));
    CHECK(!ikev1_hash_equal(&other, hash));
    s->hashes++;
}

static void check_child(struct session *s, const struct exchange *e)
{
    static uint8_t shared[BYTES_MAX];
    const json_t *keys = json_array_get(json_object_get(s->root, "child_keys"), s->children);
    json_t *log = json_object_get(s->root, "initiator_secrets_log");
    size_t encryption = suite_encryption_key_bytes(&s->child);
    struct slice secret = {NULL, 0};
    size_t seen = 0;
    struct secret from_i = {0};
    struct secret from_r = {0};

    for (size_t i = 0; i < json_array_size(log); i++) {
        const json_t *entry = json_array_get(log, i);
        bool is_secret =
            strcmp(json_string_value(json_object_get(entry, "name")), "DH secret") == 0;

        if (is_secret && seen++ == s->children) {
            secret = (struct slice){shared, hex_of(json_object_get(entry, "hex"), shared)};
        }
    }
    /* What the initiator sends has the SPI of the responder. */
    CHECK(ikev1_keys_child(&s->keys, &s->child, IKEV1_PROTO_ESP, e->spi_r, secret, e->nonce_i,
                           e->nonce_r, &from_i));
    CHECK(ikev1_keys_child(&s->keys, &s->child, IKEV1_PROTO_ESP, e->spi_i, secret, e->nonce_i,
                           e->nonce_r, &from_r));
    check_hex(json_object_get(keys, "encryption initiator key"),
              (struct slice){from_i.bytes, encryption});
    check_hex(json_object_get(keys, "integrity initiator key"),
              (struct slice){from_i.bytes + encryption, from_i.length - encryption});
    check_hex(json_object_get(keys, "encryption responder key"),
              (struct slice){from_r.bytes, encryption});
    check_hex(json_object_get(keys, "integrity responder key"),
              (struct slice){from_r.bytes + encryption, from_r.length - encryption});
    secret_wipe(&from_i);
    secret_wipe(&from_r);
    s->children++;
}

static uint32_t spi_of(struct slice body)
{
    static struct ikev1_sa_payload sa;

    CHECK(ikev1_read_sa(body, &sa));
    CHECK_EQUAL(sa.proposals[0].protocol, IKEV1_PROTO_ESP);
    CHECK_EQUAL(sa.proposals[0].spi.length, 4);
    return get_u32(sa.proposals[0].spi.data);
}

/* HASH is the first payload; what it covers ends before the padding. */
static void check_phase2_hash(struct session *s, const struct message *m, struct exchange *e)
{
    struct slice hash = payload_in(m, IKEV1_HASH);
    struct slice chain;
    struct ikev1_hash_value expected;
    bool quick = m->head.exchange == IKEV1_QUICK;

    CHECK(
        ikev1_read_chain(m->head.next_payload, (struct slice){m->clear, m->clear_length}, &chain));
    size_t hash_bytes = IKEV1_PAYLOAD_HEAD_BYTES + hash.length;
    struct slice rest = {chain.data + hash_bytes, chain.length - hash_bytes};

    if (quick && e->messages == 0) {
        e->nonce_i = payload_in(m, IKEV1_NONCE);
        e->spi_i = spi_of(payload_in(m, IKEV1_SA));
    } else if (quick && e->messages == 1) {
        e->nonce_r = payload_in(m, IKEV1_NONCE);
        e->spi_r = spi_of(payload_in(m, IKEV1_SA));
    }
    if (quick && e->messages == 1) {
        CHECK(ikev1_hash_2(&s->keys, e->message_id, e->nonce_i, rest, &expected));
    } else if (quick && e->messages == 2) {
        CHECK_EQUAL(rest.length, 0);
        CHECK(ikev1_hash_3(&s->keys, e->message_id, e->nonce_i, e->nonce_r, &expected));
        check_child(s, e);
    } else {
        CHECK(ikev1_hash_1(&s->keys, e->message_id, rest, &expected));
    }
    CHECK(ikev1_hash_equal(&expected, hash));
    s->hashes++;
}

static void check_encrypted(struct session *s, struct message *m, const json_t *json)
{
    struct exchange *e = exchange_of(s, m);

    open_message(s, m, e, json);
    if (m->head.message_id != 0) {
        check_phase2_hash(s, m, e);
        e->messages++;
        return;
    }
    /* In main mode the identity comes with the hash, the initiator's first. */
    struct slice id = payload_in(m, IKEV1_ID);
    bool initiator = s->id_i.length == 0 || m->head.exchange == IKEV1_AGGRESSIVE;

    if (id.length > 0 && initiator) {
        s->id_i = id;
    } else if (id.length > 0) {
        s->id_r = id;
    }
    check_phase1_hash(s, m, initiator);
}

static void replay(const char *path, const char *shared_key, struct suite suite, struct suite child,
                   size_t hashes, size_t children)
{
    static struct session s;

    s = (struct session){.suite = suite, .child = child};
    s.root = json_load_file(path, 0, NULL);
    CHECK(s.root != NULL);
    load(&s);
    derive(&s, shared_key);
    if (s.messages[0].head.exchange == IKEV1_AGGRESSIVE) {
        s.id_i = payload_in(&s.messages[0], IKEV1_ID);
        s.id_r = payload_in(&s.messages[1], IKEV1_ID);
        check_phase1_hash(&s, &s.messages[1], false);
    }
    size_t at = 0;

    for (size_t i = 0; i < json_array_size(json_object_get(s.root, "messages")); i++) {
        const json_t *json = json_array_get(json_object_get(s.root, "messages"), i);

        if (strcmp(json_string_value(json_object_get(json, "type")), "ike") == 0) {
            struct message *m = &s.messages[at++];

            if (m->encrypted) {
                check_encrypted(&s, m, json);
            }
        }
    }
    CHECK_EQUAL(at, s.count);
    CHECK_EQUAL(s.hashes, hashes);
    CHECK_EQUAL(s.children, children);
    CHECK_EQUAL(s.children, json_array_size(json_object_get(s.root, "child_keys")));
    ikev1_keys_fini(&s.keys);
    json_decref(s.root);
}

TEST(a_session_of_main_mode_is_recomputed)
{
    replay(TEST_VECTORS "/ike-kat/kat-ikev1-main-psk-aes128-sha1-modp1024.json", "main mode kat",
           (struct suite){.encryption = ENCRYPTION_AES_CBC,
                          .key_bits = 128,
                          .prf = PRF_HMAC_SHA1,
                          .key_exchange = KEY_EXCHANGE_MODP_1024},
           (struct suite){.encryption = ENCRYPTION_AES_CBC,
                          .key_bits = 128,
                          .integrity = INTEGRITY_HMAC_SHA1_96},
           11, 2);
}

TEST(a_session_of_aggressive_mode_with_a_stretched_key_is_recomputed)
{
    replay(TEST_VECTORS "/ike-kat/kat-ikev1-aggressive-xauth-modecfg.json", "kat group",
           (struct suite){.encryption = ENCRYPTION_AES_CBC,
                          .key_bits = 256,
                          .prf = PRF_HMAC_SHA1,
                          .key_exchange = KEY_EXCHANGE_MODP_1024},
           (struct suite){.encryption = ENCRYPTION_AES_CBC,
                          .key_bits = 256,
                          .integrity = INTEGRITY_HMAC_SHA1_96},
           13, 1);
}
