/* ESP against packets that other programs made: golden ones, wrong ones, and the replay window. */
#include "dataplane/testbed.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"

#include "tests/support/test.h"

#define PACKET_BYTES_MAX 4096

static json_t *vectors(const char *name)
{
    char path[512];
    json_error_t error;

    snprintf(path, sizeof(path), "%s/ipsec/%s", TEST_VECTORS, name);
    json_t *root = json_load_file(path, 0, &error);
    CHECK(root != NULL);
    return root;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    CHECK(text != NULL);
    return text;
}

static struct slice hex_of(const json_t *object, const char *key, uint8_t *out, size_t capacity)
{
    size_t length = 0;
    CHECK(hex_parse(slice_of_text(text_of(object, key)), out, capacity, &length));
    return (struct slice){out, length};
}

struct cipher_name {
    const char *name;
    uint16_t id;
    uint16_t key_bits;
};

static const struct cipher_name ciphers[] = {
    {"NULL", ENCRYPTION_NULL, 0},
    {"DES", ENCRYPTION_DES, 0},
    {"3DES", ENCRYPTION_3DES, 0},
    {"AES-CBC-128", ENCRYPTION_AES_CBC, 128},
    {"AES-CBC-192", ENCRYPTION_AES_CBC, 192},
    {"AES-CBC-256", ENCRYPTION_AES_CBC, 256},
    {"AES-CTR-128", ENCRYPTION_AES_CTR, 128},
    {"AES-CTR-192", ENCRYPTION_AES_CTR, 192},
    {"AES-CTR-256", ENCRYPTION_AES_CTR, 256},
    {"AES-GCM-128", ENCRYPTION_AES_GCM_16, 128},
    {"AES-GCM-192", ENCRYPTION_AES_GCM_16, 192},
    {"AES-GCM-256", ENCRYPTION_AES_GCM_16, 256},
    {"AES-CCM-128", ENCRYPTION_AES_CCM_16, 128},
    {"AES-CCM-256", ENCRYPTION_AES_CCM_16, 256},
    {"CHACHA20-POLY1305", ENCRYPTION_CHACHA20_POLY1305, 0},
    {"AES-NULL-GMAC-128", ENCRYPTION_NULL_AES_GMAC, 128},
    {"AES-NULL-GMAC-256", ENCRYPTION_NULL_AES_GMAC, 256},
};

static const struct cipher_name macs[] = {
    {"NULL", INTEGRITY_NONE, 0},
    {"HMAC-MD5-96", INTEGRITY_HMAC_MD5_96, 0},
    {"HMAC-SHA1-96", INTEGRITY_HMAC_SHA1_96, 0},
    {"SHA2-256-128", INTEGRITY_HMAC_SHA2_256_128, 0},
    {"SHA2-384-192", INTEGRITY_HMAC_SHA2_384_192, 0},
    {"SHA2-512-256", INTEGRITY_HMAC_SHA2_512_256, 0},
    {"AES-CMAC-96", INTEGRITY_AES_CMAC_96, 0},
};

static struct suite suite_of(const json_t *v)
{
    struct suite suite = {0};
    bool cipher_known = false;
    bool mac_known = false;

    for (size_t i = 0; i < ARRAY_LENGTH(ciphers); i++) {
        if (strcmp(ciphers[i].name, text_of(v, "enc")) == 0) {
            suite.encryption = ciphers[i].id;
            suite.key_bits = ciphers[i].key_bits;
            cipher_known = true;
        }
    }
    for (size_t i = 0; i < ARRAY_LENGTH(macs); i++) {
        if (strcmp(macs[i].name, text_of(v, "auth")) == 0) {
            suite.integrity = macs[i].id;
            mac_known = true;
        }
    }
    CHECK(cipher_known);
    CHECK(mac_known);
    suite.esn = json_is_true(json_object_get(v, "esn"));
    return suite;
}

/* Both directions of the SA have the key of the vector. */
static struct slice key_of(const json_t *v, uint8_t *out, size_t capacity)
{
    struct slice encryption = hex_of(v, "enc_key", out, capacity);
    struct slice integrity =
        hex_of(v, "auth_key", out + encryption.length, capacity - encryption.length);
    return (struct slice){out, encryption.length + integrity.length};
}

static bool is_tunnel_esp(const json_t *v)
{
    return strcmp(text_of(v, "proto"), "esp") == 0 && strcmp(text_of(v, "mode"), "tunnel") == 0;
}

/* What stands behind the outer IP and UDP headers. */
static struct slice esp_of(const json_t *v, uint8_t *out)
{
    struct slice whole = hex_of(v, "protected_packet", out, PACKET_BYTES_MAX);
    size_t head = strcmp(text_of(v, "outer"), "ipv4") == 0 ? 20 : 40;

    head += json_is_true(json_object_get(v, "natt")) ? 8 : 0;
    CHECK(whole.length > head);
    return (struct slice){whole.data + head, whole.length - head};
}

static uint64_t number_of(const json_t *v, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(v, key));
}

static struct child_sa child_of(const json_t *v, struct slice key)
{
    struct tunnel tunnel = {.suite = suite_of(v), .outer_family = FAMILY_IPV4};
    struct child_sa child;

    tunnel.encapsulated = json_is_true(json_object_get(v, "natt"));
    testbed_child(&tunnel, false, &child);
    child.spi_in = (uint32_t)number_of(v, "spi");
    child.spi_out = child.spi_in;
    child.key_in = key;
    child.key_out = key;
    return child;
}

TEST(every_golden_tunnel_packet_opens_to_what_was_sealed)
{
    json_t *root = vectors("esp-ah-golden.json");
    size_t index = 0;
    size_t seen = 0;
    json_t *v = NULL;

    json_array_foreach(json_object_get(root, "tests"), index, v)
    {
        uint8_t key[256];
        uint8_t wire[PACKET_BYTES_MAX];
        uint8_t clear[PACKET_BYTES_MAX];
        struct testbed t;
        if (!is_tunnel_esp(v)) {
            continue;
        }
        testbed_open(&t, index);
        struct child_sa child = child_of(v, key_of(v, key, sizeof(key)));
        CHECK(sad_reserve_exact(t.b.dp, child.spi_in));
        CHECK(dataplane_install(t.b.dp, &child));
        uint64_t sequence = number_of(v, "seq_hi") << 32 | number_of(v, "seq");
        sad_set_sequence(t.b.dp, child.spi_in, 1, sequence - 1);
        testbed_inbound(&t, &t.b, child.encapsulated ? IP_PROTOCOL_UDP : IP_PROTOCOL_ESP, 4500, 0,
                        esp_of(v, wire));
        CHECK_EQUAL(t.b.out.to_tun_count, 1);
        struct slice expected = hex_of(v, "plain_packet", clear, sizeof(clear));
        CHECK(slice_equal(packet_slice(t.b.out.to_tun[0]), expected));
        testbed_close(&t);
        seen++;
    }
    CHECK_EQUAL(seen, 159);
    json_decref(root);
}

TEST(every_golden_tunnel_packet_is_what_we_seal)
{
    struct protect_engine *engine = protect_engine_new();
    json_t *root = vectors("esp-ah-golden.json");
    size_t index = 0;
    json_t *v = NULL;

    json_array_foreach(json_object_get(root, "tests"), index, v)
    {
        uint8_t key[256];
        uint8_t wire[PACKET_BYTES_MAX];
        uint8_t iv[PACKET_BYTES_MAX];
        uint8_t buffer[PACKET_BYTES_MAX];
        if (!is_tunnel_esp(v)) {
            continue;
        }
        struct child_sa child = child_of(v, key_of(v, key, sizeof(key)));
        struct sa *sa = sa_new(&child);
        CHECK(sa != NULL);
        struct slice clear = hex_of(v, "plain_packet", buffer + 128, sizeof(buffer) - 128);
        struct packet packet = {.buffer = buffer,
                                .capacity = sizeof(buffer),
                                .offset = 128,
                                .length = (uint32_t)clear.length};
        struct esp_work work = {.packet = &packet, .sa = sa};
        struct protect_job job;
        work.sequence = number_of(v, "seq_hi") << 32 | number_of(v, "seq");
        CHECK_EQUAL(hex_of(v, "iv", iv, sizeof(iv)).length, sa->shape.iv_bytes);
        CHECK(esp_write(&work, iv, clear.data[0] >> 4 == 4 ? 4 : 41, &job));
        protect_seal(engine, &job, 1);
        CHECK(job.ok);
        CHECK(slice_equal(packet_slice(&packet), esp_of(v, wire)));
        sa_free(sa);
    }
    json_decref(root);
    protect_engine_free(engine);
}

static const struct selector ten_one = {
    {{FAMILY_IPV4, {10, 1, 0, 0}}, {FAMILY_IPV4, {10, 1, 0, 255}}}, 0, 0, UINT16_MAX};
static const struct selector ten_two = {
    {{FAMILY_IPV4, {10, 2, 0, 0}}, {FAMILY_IPV4, {10, 2, 0, 255}}}, 0, 0, UINT16_MAX};

TEST(every_verdict_about_wrong_packets_is_ours)
{
    json_t *root = vectors("esp-negative.json");
    json_t *sas = json_object_get(root, "sas");
    struct testbed t;
    size_t index = 0;
    const char *name = NULL;
    json_t *v = NULL;

    testbed_open(&t, 1);
    json_object_foreach(sas, name, v)
    {
        uint8_t key[256];
        struct child_sa child = child_of(v, key_of(v, key, sizeof(key)));
        child.local_selectors = &ten_two;
        child.local_count = 1;
        child.remote_selectors = &ten_one;
        child.remote_count = 1;
        child.replay_window = 64;
        CHECK(sad_reserve_exact(t.b.dp, child.spi_in));
        CHECK(dataplane_install(t.b.dp, &child));
    }
    json_array_foreach(json_object_get(root, "tests"), index, v)
    {
        uint8_t wire[PACKET_BYTES_MAX];
        bool accept = strcmp(text_of(v, "expect"), "accept") == 0;
        struct slice esp = hex_of(v, "esp", wire, sizeof(wire));
        testbed_inbound(&t, &t.b, IP_PROTOCOL_ESP, 0, 0, esp);
        if (t.b.out.to_tun_count != (accept ? 1u : 0u)) {
            print_message("%zu: %s\n", index, text_of(v, "what"));
        }
        CHECK_EQUAL(t.b.out.to_tun_count, accept ? 1 : 0);
        if (accept) {
            /* Padding against traffic analysis does not come out. */
            const struct packet *p = t.b.out.to_tun[0];
            CHECK_EQUAL(p->length, get_u16(packet_data(p) + 2));
        }
        testbed_give(&t.b);
    }
    CHECK_EQUAL(index, 98);
    CHECK_EQUAL(testbed_dropped(&t.b, DROP_DUMMY), 2);
    /* Before any decryption: 13 truncations of each SA below its smallest packet, and with CBC two
     * more, an odd ciphertext and an empty one. */
    CHECK_EQUAL(testbed_dropped(&t.b, DROP_MALFORMED_OUTER), 30);
    CHECK_EQUAL(testbed_dropped(&t.b, DROP_UNKNOWN_SPI), 4);
    CHECK_EQUAL(testbed_dropped(&t.b, DROP_SELECTOR_MISMATCH), 8);
    CHECK(testbed_doors_add_up(&t.b));
    testbed_close(&t);
    json_decref(root);
}

TEST(the_replay_window_gives_the_verdicts_of_all_recorded_sequences)
{
    json_t *root = vectors("replay-window.json");
    size_t index = 0;
    size_t step = 0;
    json_t *v = NULL;
    json_t *s = NULL;

    json_array_foreach(json_object_get(root, "sequences"), index, v)
    {
        uint32_t window = (uint32_t)number_of(v, "window");
        bool esn = json_is_true(json_object_get(v, "esn"));
        _Atomic uint64_t *words = calloc(replay_words(window), sizeof(*words));
        struct replay replay;
        replay_init(&replay, words, window, number_of(v, "initial_top"));
        json_array_foreach(json_object_get(v, "steps"), step, s)
        {
            uint64_t low = (uint64_t)json_integer_value(json_array_get(s, 0));
            uint64_t high = (uint64_t)json_integer_value(json_array_get(s, 1));
            bool expected = strcmp(json_string_value(json_array_get(s, 2)), "accept") == 0;
            uint64_t sequence = low;
            bool newest = false;
            bool accepted = !esn || replay_full_sequence(&replay, (uint32_t)low, &sequence);
            /* A wrong guess of the high half is a failed integrity check. */
            accepted = accepted && replay_is_fresh(&replay, sequence) &&
                       (!esn || sequence >> 32 == high) &&
                       replay_record(&replay, sequence, &newest);
            CHECK_EQUAL(accepted, expected);
        }
        free(words);
    }
    json_decref(root);
}
