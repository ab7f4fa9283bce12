/*
 * Protection against vectors of others, on both engines; and the engines against each other with
 * random batches.
 */
#include "crypto/protect.h"

#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "base/secret.h"
#include "crypto/prf.h"
#include "tests/support/test.h"
#include "tests/support/vectors.h"

#define BUFFER_BYTES 70000
#define MATERIAL_BYTES_MAX (32 + 4 + 64)

/* One message in memory as the header of protect.h wants it. */
struct message {
    struct protect_job job;
    uint8_t implicit_iv[8];
    uint8_t bytes[BUFFER_BYTES];
};

static void message_lay(struct message *m, const struct protect_key *key, size_t iv_bytes,
                        struct slice aad, struct slice iv, struct slice data, struct slice icv)
{
    uint8_t *at = m->bytes;

    CHECK(aad.length + iv_bytes + data.length + 64 < BUFFER_BYTES);
    CHECK(iv.length == iv_bytes);
    m->job = (struct protect_job){.key = key,
                                  .aad = at,
                                  .aad_length = (uint32_t)aad.length,
                                  .length = (uint32_t)data.length,
                                  .iv = at + aad.length,
                                  .data = at + aad.length + iv_bytes,
                                  .icv = at + aad.length + iv_bytes + data.length};
    memset(m->job.icv, 0, 64);
    if (aad.length > 0) {
        memcpy(at, aad.data, aad.length);
    }
    if (iv_bytes > 0) {
        memcpy(m->job.iv, iv.data, iv_bytes);
    }
    if (data.length > 0) {
        memcpy(m->job.data, data.data, data.length);
    }
    if (icv.length > 0) {
        memcpy(m->job.icv, icv.data, icv.length);
    }
}

static size_t suite_iv_bytes(const struct suite *s)
{
    return algorithm_find(TRANSFORM_ENCRYPTION, s->encryption)->iv_bytes;
}

static bool suite_has_implicit_iv(const struct suite *s)
{
    return algorithm_find(TRANSFORM_ENCRYPTION, s->encryption)->implicit_iv;
}

static size_t suite_icv_bytes(const struct suite *s)
{
    return s->integrity == INTEGRITY_NONE
               ? algorithm_find(TRANSFORM_ENCRYPTION, s->encryption)->icv_bytes
               : algorithm_find(TRANSFORM_INTEGRITY, s->integrity)->icv_bytes;
}

static struct protect_key *key_of(const struct suite *s, struct slice first, struct slice second)
{
    uint8_t material[MATERIAL_BYTES_MAX];
    struct writer w = writer_over(material, sizeof(material));

    write_slice(&w, first);
    write_slice(&w, second);
    CHECK(writer_ok(&w));
    return protect_key_new(s, writer_written(&w));
}

static const enum protect_choice choices[] = {PROTECT_AUTOMATIC, PROTECT_OPENSSL};

/* Runs `check` with each engine; what is sealed must be what the vector says, alone and in a crowd.
 */
static void with_both_engines(void (*check)(struct protect_engine *engine))
{
    for (size_t i = 0; i < ARRAY_LENGTH(choices); i++) {
        CHECK(protect_start(choices[i]));
        struct protect_engine *engine = protect_engine_new();
        CHECK(engine != NULL);
        check(engine);
        protect_engine_free(engine);
    }
    CHECK(protect_start(PROTECT_AUTOMATIC));
}

#define CROWD 16

/* Seals and opens one vector, by itself and CROWD times at once. `valid`: whether opening must
 * succeed. */
static void check_vector(struct protect_engine *engine, const struct suite *s,
                         const struct protect_key *key, struct slice aad, struct slice iv,
                         struct slice plain, struct slice sealed, struct slice icv, bool valid,
                         const uint32_t *sequence_high)
{
    static struct message messages[CROWD];
    struct protect_job jobs[CROWD];
    static const size_t crowds[] = {1, CROWD};

    CHECK(plain.length == sealed.length);
    for (size_t c = 0; c < ARRAY_LENGTH(crowds); c++) {
        for (int seal = 0; seal < 2; seal++) {
            for (size_t i = 0; i < crowds[c]; i++) {
                message_lay(&messages[i], key, suite_iv_bytes(s), aad, iv, seal ? plain : sealed,
                            seal ? (struct slice){NULL, 0} : icv);
                jobs[i] = messages[i].job;
                jobs[i].has_sequence_high = sequence_high != NULL;
                jobs[i].sequence_high = sequence_high == NULL ? 0 : *sequence_high;
            }
            if (seal && !valid) {
                continue;
            }
            if (seal) {
                protect_seal(engine, jobs, crowds[c]);
            } else {
                protect_open(engine, jobs, crowds[c]);
            }
            struct slice expected = seal ? sealed : plain;
            for (size_t i = 0; i < crowds[c]; i++) {
                CHECK(jobs[i].ok == valid);
                if (valid) {
                    CHECK(expected.length == 0 ||
                          memcmp(jobs[i].data, expected.data, expected.length) == 0);
                    CHECK(!seal || memcmp(jobs[i].icv, icv.data, icv.length) == 0);
                }
            }
        }
    }
}

/* Wycheproof's AEADs: those with the nonce size of IPsec. */
static size_t check_aead(struct protect_engine *engine, const char *file, uint16_t encryption,
                         size_t nonce_bits, size_t tag_bits)
{
    json_t *root = vectors_load(file);
    size_t iv_bytes = algorithm_find(TRANSFORM_ENCRYPTION, encryption)->iv_bytes;
    json_t *group;
    size_t i;
    size_t checked = 0;

    json_array_foreach(json_object_get(root, "testGroups"), i, group)
    {
        json_t *test;
        size_t j;
        if ((size_t)json_integer_value(json_object_get(group, "ivSize")) != nonce_bits ||
            (size_t)json_integer_value(json_object_get(group, "tagSize")) != tag_bits) {
            continue;
        }
        uint16_t bits = (uint16_t)json_integer_value(json_object_get(group, "keySize"));
        struct suite s = {.encryption = encryption,
                          .key_bits = encryption == ENCRYPTION_CHACHA20_POLY1305 ? 0 : bits};
        json_array_foreach(json_object_get(group, "tests"), j, test)
        {
            struct slice nonce = vector_hex(test, "iv");
            struct slice salt = {nonce.data, nonce.length - iv_bytes};
            struct slice iv = {nonce.data + salt.length, iv_bytes};
            struct protect_key *key = key_of(&s, vector_hex(test, "key"), salt);
            CHECK(key != NULL);
            check_vector(engine, &s, key, vector_hex(test, "aad"), iv, vector_hex(test, "msg"),
                         vector_hex(test, "ct"), vector_hex(test, "tag"),
                         strcmp(vector_text(test, "result"), "valid") == 0, NULL);
            protect_key_free(key);
            checked++;
        }
    }
    json_decref(root);
    return checked;
}

static void check_wycheproof_aeads(struct protect_engine *engine)
{
    CHECK(check_aead(engine, "wycheproof/aes_gcm_test.json", ENCRYPTION_AES_GCM_16, 96, 128) > 100);
    CHECK(check_aead(engine, "wycheproof/aes_ccm_test.json", ENCRYPTION_AES_CCM_16, 88, 128) >= 6);
    CHECK(check_aead(engine, "wycheproof/chacha20_poly1305_test.json", ENCRYPTION_CHACHA20_POLY1305,
                     96, 128) > 200);
}

TEST(wycheproof_agrees_about_aeads)
{
    with_both_engines(check_wycheproof_aeads);
}

/* A cipher whose vectors have no MAC, with one put around it that is computed by the PRF. */
static void check_cipher(struct protect_engine *engine, uint16_t encryption, uint16_t key_bits,
                         struct slice key_material, struct slice iv, struct slice plain,
                         struct slice sealed)
{
    struct suite s = {
        .encryption = encryption, .key_bits = key_bits, .integrity = INTEGRITY_HMAC_SHA2_256_128};
    static const uint8_t mac_key[32] = {1, 2, 3};
    struct slice aad = SLICE_TEXT("headings");
    struct protect_key *key = key_of(&s, key_material, SLICE_OF(mac_key));
    struct slice parts[3] = {aad, iv, sealed};
    uint8_t icv[PRF_OUTPUT_BYTES_MAX];

    CHECK(key != NULL);
    CHECK(prf(PRF_HMAC_SHA2_256, SLICE_OF(mac_key), parts, 3, icv));
    check_vector(engine, &s, key, aad, iv, plain, sealed, (struct slice){icv, 16}, true, NULL);
    icv[15] ^= 1;
    check_vector(engine, &s, key, aad, iv, plain, sealed, (struct slice){icv, 16}, false, NULL);
    protect_key_free(key);
}

static void check_cbc(struct protect_engine *engine)
{
    json_t *root = vectors_load("wycheproof/aes_cbc_pkcs5_test.json");
    json_t *group;
    size_t i;
    size_t checked = 0;

    json_array_foreach(json_object_get(root, "testGroups"), i, group)
    {
        json_t *test;
        size_t j;
        json_array_foreach(json_object_get(group, "tests"), j, test)
        {
            uint8_t padded[1024];
            struct slice plain = vector_hex(test, "msg");
            size_t length = (plain.length / 16 + 1) * 16;
            if (strcmp(vector_text(test, "result"), "valid") != 0) {
                continue;
            }
            CHECK(length <= sizeof(padded));
            memset(padded, (int)(length - plain.length), length);
            memcpy(padded, plain.data, plain.length);
            check_cipher(engine, ENCRYPTION_AES_CBC,
                         (uint16_t)json_integer_value(json_object_get(group, "keySize")),
                         vector_hex(test, "key"), vector_hex(test, "iv"),
                         (struct slice){padded, length}, vector_hex(test, "ct"));
            checked++;
        }
    }
    json_decref(root);
    CHECK(checked > 50);
}

TEST(wycheproof_agrees_about_cbc)
{
    with_both_engines(check_cbc);
}

static void check_rfc_ciphers(struct protect_engine *engine)
{
    json_t *root = vectors_load("rfc/aes-ctr.json");
    json_t *test;
    size_t i;

    json_array_foreach(json_object_get(root, "tests"), i, test)
    {
        uint8_t material[36];
        struct writer w = writer_over(material, sizeof(material));
        struct slice key = vector_hex(test, "key");
        write_slice(&w, key);
        write_slice(&w, vector_hex(test, "nonce"));
        check_cipher(engine, ENCRYPTION_AES_CTR, (uint16_t)(key.length * 8), writer_written(&w),
                     vector_hex(test, "iv"), vector_hex(test, "plaintext"),
                     vector_hex(test, "ciphertext"));
    }
    CHECK(i == 9);
    json_decref(root);
    root = vectors_load("rfc/aes-cbc-esp.json");
    size_t checked = 0;
    json_array_foreach(json_object_get(root, "tests"), i, test)
    {
        if (strcmp(vector_text(test, "kind"), "cbc") == 0) {
            check_cipher(engine, ENCRYPTION_AES_CBC, 128, vector_hex(test, "key"),
                         vector_hex(test, "iv"), vector_hex(test, "plaintext"),
                         vector_hex(test, "ciphertext"));
            checked++;
        }
    }
    CHECK(checked == 4);
    json_decref(root);
}

TEST(ctr_and_cbc_give_what_the_rfcs_print)
{
    with_both_engines(check_rfc_ciphers);
}

static void check_rfc_7634(struct protect_engine *engine)
{
    json_t *root = vectors_load("rfc/chacha20poly1305-ipsec.json");
    struct suite s = {.encryption = ENCRYPTION_CHACHA20_POLY1305};
    json_t *test;
    size_t i;

    json_array_foreach(json_object_get(root, "tests"), i, test)
    {
        struct protect_key *key = key_of(&s, vector_hex(test, "key"), vector_hex(test, "salt"));
        CHECK(key != NULL);
        check_vector(engine, &s, key, vector_hex(test, "aad"), vector_hex(test, "iv"),
                     vector_hex(test, "plaintext"), vector_hex(test, "ciphertext"),
                     vector_hex(test, "tag"), true, NULL);
        protect_key_free(key);
    }
    CHECK(i == 2);
    json_decref(root);
}

TEST(chacha20_poly1305_gives_what_rfc_7634_prints)
{
    with_both_engines(check_rfc_7634);
}

/* OpenSSL's own files: the CBC stanzas of one cipher. */
struct stanza_search {
    struct protect_engine *engine;
    const char *cipher;
    uint16_t encryption;
    uint16_t key_bits;
    size_t checked;
};

static void check_stanza(const struct stanza *stanza, void *context)
{
    struct stanza_search *search = context;
    const char *cipher = stanza_value(stanza, "Cipher");
    const char *iv = stanza_value(stanza, "IV");
    const char *plain = stanza_value(stanza, "Plaintext");
    const char *sealed = stanza_value(stanza, "Ciphertext");

    if (cipher == NULL || iv == NULL || plain == NULL || sealed == NULL ||
        strcmp(cipher, search->cipher) != 0 || stanza_value(stanza, "Result") != NULL ||
        strlen(plain) != strlen(sealed)) {
        return;
    }
    check_cipher(search->engine, search->encryption, search->key_bits,
                 hex_bytes(stanza_value(stanza, "Key")), hex_bytes(iv), hex_bytes(plain),
                 hex_bytes(sealed));
    search->checked++;
}

static void check_openssl_files(struct protect_engine *engine)
{
    static const struct {
        const char *file;
        const char *cipher;
        uint16_t encryption;
        uint16_t key_bits;
    } files[] = {
        {"openssl/evpciph_camellia.txt", "CAMELLIA-128-CBC", ENCRYPTION_CAMELLIA_CBC, 128},
        {"openssl/evpciph_camellia.txt", "CAMELLIA-192-CBC", ENCRYPTION_CAMELLIA_CBC, 192},
        {"openssl/evpciph_camellia.txt", "CAMELLIA-256-CBC", ENCRYPTION_CAMELLIA_CBC, 256},
        {"openssl/evpciph_aes_common.txt", "AES-128-CBC", ENCRYPTION_AES_CBC, 128},
        {"openssl/evpciph_aes_common.txt", "AES-192-CBC", ENCRYPTION_AES_CBC, 192},
        {"openssl/evpciph_aes_common.txt", "AES-256-CBC", ENCRYPTION_AES_CBC, 256},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(files); i++) {
        struct stanza_search search = {engine, files[i].cipher, files[i].encryption,
                                       files[i].key_bits, 0};
        CHECK(stanzas_each(files[i].file, check_stanza, &search) > 10);
        CHECK(search.checked > 0);
    }
}

TEST(camellia_and_aes_give_what_openssls_vectors_say)
{
    with_both_engines(check_openssl_files);
}

/* Block ciphers whose vectors are single blocks: with an IV of zeros CBC of one block is the bare
 * cipher. */
static void check_des_stanza(const struct stanza *stanza, void *context)
{
    struct stanza_search *search = context;
    const char *cipher = stanza_value(stanza, "Cipher");
    const char *plain = stanza_value(stanza, "Plaintext");
    const char *sealed = stanza_value(stanza, "Ciphertext");

    if (cipher == NULL || plain == NULL || sealed == NULL || strcmp(cipher, search->cipher) != 0 ||
        strlen(plain) != 16 || strlen(sealed) != 16) {
        return;
    }
    check_cipher(search->engine, search->encryption, 0, hex_bytes(stanza_value(stanza, "Key")),
                 hex_bytes("0000000000000000"), hex_bytes(plain), hex_bytes(sealed));
    search->checked++;
}

static void check_des(struct protect_engine *engine)
{
    struct stanza_search single = {engine, "DES-ECB", ENCRYPTION_DES, 0, 0};
    struct stanza_search triple = {engine, "DES-EDE3-ECB", ENCRYPTION_3DES, 0, 0};
    struct stanza_search chained = {engine, "DES-EDE3-CBC", ENCRYPTION_3DES, 0, 0};

    stanzas_each("openssl/evpciph_des.txt", check_des_stanza, &single);
    CHECK(single.checked == 7);
    stanzas_each("openssl/evpciph_des3_common.txt", check_des_stanza, &triple);
    stanzas_each("openssl/evpciph_des3_common.txt", check_stanza, &chained);
    CHECK(chained.checked > 0);
}

TEST(des_and_3des_give_what_openssls_vectors_say)
{
    with_both_engines(check_des);
}

/* Whole ESP packets written by another implementation, with every suite that it has. */
static const struct {
    const char *name;
    uint16_t encryption;
    uint16_t key_bits;
} golden_ciphers[] = {
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

static const struct {
    const char *name;
    uint16_t integrity;
} golden_macs[] = {
    {"NULL", INTEGRITY_NONE},
    {"HMAC-MD5-96", INTEGRITY_HMAC_MD5_96},
    {"HMAC-SHA1-96", INTEGRITY_HMAC_SHA1_96},
    {"SHA2-256-128", INTEGRITY_HMAC_SHA2_256_128},
    {"SHA2-384-192", INTEGRITY_HMAC_SHA2_384_192},
    {"SHA2-512-256", INTEGRITY_HMAC_SHA2_512_256},
    {"AES-CMAC-96", INTEGRITY_AES_CMAC_96},
};

static struct suite golden_suite(const json_t *test)
{
    struct suite s = {0};

    for (size_t i = 0; i < ARRAY_LENGTH(golden_ciphers); i++) {
        if (strcmp(golden_ciphers[i].name, vector_text(test, "enc")) == 0) {
            s.encryption = golden_ciphers[i].encryption;
            s.key_bits = golden_ciphers[i].key_bits;
        }
    }
    for (size_t i = 0; i < ARRAY_LENGTH(golden_macs); i++) {
        if (strcmp(golden_macs[i].name, vector_text(test, "auth")) == 0) {
            s.integrity = golden_macs[i].integrity;
        }
    }
    CHECK(suite_is_usable(&s));
    return s;
}

/* Where ESP begins in the packet: behind IPv4 or IPv6 and perhaps UDP. */
static struct slice golden_esp(const json_t *test)
{
    struct slice packet = vector_hex(test, "protected_packet");
    size_t skip = packet.data[0] >> 4 == 4 ? (packet.data[0] & 15) * 4U : 40U;

    skip += json_is_true(json_object_get(test, "natt")) ? 8 : 0;
    return (struct slice){packet.data + skip, packet.length - skip};
}

/* Opens, compares the inner bytes in tunnel mode, and seals again to the same octets. */
static void check_golden(struct protect_engine *engine, const json_t *test)
{
    struct suite s = golden_suite(test);
    struct slice esp = golden_esp(test);
    struct protect_key *key = key_of(&s, vector_hex(test, "enc_key"), vector_hex(test, "auth_key"));
    size_t iv_bytes = suite_iv_bytes(&s);
    size_t icv_bytes = suite_icv_bytes(&s);
    uint32_t high = (uint32_t)json_integer_value(json_object_get(test, "seq_hi"));
    bool esn = json_is_true(json_object_get(test, "esn"));
    bool aead = s.integrity == INTEGRITY_NONE;
    static struct message m;
    uint8_t aad[12];

    CHECK(key != NULL);
    message_lay(&m, key, iv_bytes, (struct slice){esp.data, 8},
                (struct slice){esp.data + 8, iv_bytes},
                (struct slice){esp.data + 8 + iv_bytes, esp.length - 8 - iv_bytes - icv_bytes},
                (struct slice){esp.data + esp.length - icv_bytes, icv_bytes});
    if (aead && esn) {
        /* RFC 4106 5: SPI and the sequence number of 64 bits. */
        memcpy(aad, esp.data, 4);
        put_u32(aad + 4, high);
        memcpy(aad + 8, esp.data + 4, 4);
        m.job.aad = aad;
        m.job.aad_length = sizeof(aad);
    }
    m.job.has_sequence_high = !aead && esn;
    m.job.sequence_high = high;
    protect_open(engine, &m.job, 1);
    CHECK(m.job.ok);
    if (strcmp(vector_text(test, "mode"), "tunnel") == 0) {
        struct slice plain = vector_hex(test, "plain_packet");
        CHECK(m.job.length >= plain.length);
        CHECK_BYTES(m.job.data, plain.data, plain.length);
    }
    protect_seal(engine, &m.job, 1);
    CHECK(m.job.ok);
    CHECK_BYTES(m.bytes, esp.data, esp.length);
    protect_key_free(key);
}

static void check_golden_file(struct protect_engine *engine)
{
    json_t *root = vectors_load("ipsec/esp-ah-golden.json");
    json_t *test;
    size_t i;
    size_t checked = 0;

    json_array_foreach(json_object_get(root, "tests"), i, test)
    {
        if (strcmp(vector_text(test, "proto"), "esp") == 0) {
            check_golden(engine, test);
            checked++;
        }
    }
    json_decref(root);
    CHECK(checked == 224);
}

TEST(whole_esp_packets_of_another_implementation_are_opened_and_sealed_alike)
{
    with_both_engines(check_golden_file);
}

/* ---- Properties ---- */

#define SUITES_MAX 200

/* Every suite that is usable. */
static size_t all_suites(struct suite out[SUITES_MAX])
{
    const struct algorithm *e;
    const struct algorithm *m;
    size_t count = 0;

    for (size_t i = 0; (e = algorithm_at(i)) != NULL; i++) {
        for (size_t k = 0; e->type == TRANSFORM_ENCRYPTION && k < ALGORITHM_KEY_SIZES_MAX; k++) {
            for (size_t j = 0; (m = algorithm_at(j)) != NULL; j++) {
                struct suite s = {.encryption = e->id,
                                  .key_bits = e->key_bits_on_wire ? e->key_bits[k] : 0,
                                  .integrity = e->aead ? INTEGRITY_NONE : m->id};
                bool once = e->aead ? m->id == INTEGRITY_HMAC_SHA1_96 : true;
                if (m->type == TRANSFORM_INTEGRITY && once && suite_is_usable(&s) &&
                    (k == 0 || e->key_bits_on_wire)) {
                    CHECK(count < SUITES_MAX);
                    out[count++] = s;
                }
            }
        }
    }
    return count;
}

static struct protect_key *random_key(const struct suite *s, struct random_source *random,
                                      uint8_t material[MATERIAL_BYTES_MAX])
{
    size_t length = suite_encryption_key_bytes(s) + suite_integrity_key_bytes(s);

    CHECK(length <= MATERIAL_BYTES_MAX);
    random_fill(random, material, length);
    return protect_key_new(s, (struct slice){material, length});
}

static size_t random_length(struct random_source *random, const struct suite *s)
{
    size_t block = algorithm_find(TRANSFORM_ENCRYPTION, s->encryption)->block_bytes;
    uint32_t most = random_below(random, 20) == 0 ? 9000 : 1500;

    return random_below(random, most + 1) / block * block;
}

#define BATCH_MAX 150

struct batch {
    struct message messages[BATCH_MAX];
    struct protect_job jobs[BATCH_MAX];
    size_t lengths[BATCH_MAX]; /* with the ICV */
};

static void batch_message(struct batch *b, size_t i, const struct protect_key *key,
                          const struct suite *s, struct random_source *random)
{
    struct message *m = &b->messages[i];
    size_t iv_bytes = suite_iv_bytes(s);
    size_t aad_length = random_below(random, 3) == 0 ? random_below(random, 80) : 8;
    size_t length = random_length(random, s);

    random_fill(random, m->bytes, aad_length + iv_bytes + length);
    b->jobs[i] = (struct protect_job){.key = key,
                                      .aad = m->bytes,
                                      .aad_length = (uint32_t)aad_length,
                                      .length = (uint32_t)length,
                                      .iv = m->bytes + aad_length,
                                      .data = m->bytes + aad_length + iv_bytes,
                                      .icv = m->bytes + aad_length + iv_bytes + length,
                                      .has_sequence_high = s->integrity != INTEGRITY_NONE &&
                                                           random_below(random, 2) == 0,
                                      .sequence_high = random_u32(random)};
    if (suite_has_implicit_iv(s)) {
        random_fill(random, m->implicit_iv, sizeof(m->implicit_iv));
        b->jobs[i].iv = m->implicit_iv;
    }
    b->lengths[i] = aad_length + iv_bytes + length + suite_icv_bytes(s);
    /* Behind the ICV nothing may be written. */
    memset(m->bytes + b->lengths[i], 0xa5, 64);
}

static void batch_copy(struct batch *to, const struct batch *from, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct protect_job *job = &from->jobs[i];
        const uint8_t *base = from->messages[i].bytes;
        memcpy(to->messages[i].bytes, base, from->lengths[i] + 64);
        to->jobs[i] = *job;
        memcpy(to->messages[i].implicit_iv, from->messages[i].implicit_iv, 8);
        to->jobs[i].aad = to->messages[i].bytes;
        to->jobs[i].iv = job->iv == from->messages[i].implicit_iv
                             ? to->messages[i].implicit_iv
                             : to->messages[i].bytes + (job->iv - base);
        to->jobs[i].data = to->messages[i].bytes + (job->data - base);
        to->jobs[i].icv = to->messages[i].bytes + (job->icv - base);
        to->lengths[i] = from->lengths[i];
    }
}

static void check_equal(const struct batch *a, const struct batch *b, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        CHECK(a->jobs[i].ok);
        CHECK(b->jobs[i].ok);
        CHECK_BYTES(a->messages[i].bytes, b->messages[i].bytes, b->lengths[i]);
        for (size_t k = 0; k < 64; k++) {
            CHECK(a->messages[i].bytes[a->lengths[i] + k] == 0xa5);
        }
    }
}

static struct batch plain_batch;
static struct batch multi_batch;
static struct batch openssl_batch;

TEST(random_batches_of_mixed_suites_come_out_alike_from_both_engines)
{
    static struct suite suites[SUITES_MAX];
    static struct protect_key *fast[SUITES_MAX];
    static struct protect_key *compact[SUITES_MAX];
    struct seeded_random seeded;

    seeded_random_init(&seeded, 20);
    struct random_source random = seeded_random_source(&seeded);

    CHECK(protect_start(PROTECT_AUTOMATIC));
    struct protect_engine *engine = protect_engine_new();
    size_t count = all_suites(suites);

    CHECK(engine != NULL);
    CHECK(count > 100);
    for (size_t i = 0; i < count; i++) {
        uint8_t material[MATERIAL_BYTES_MAX];
        fast[i] = random_key(&suites[i], &random, material);
        compact[i] = protect_key_new_compact(
            &suites[i], (struct slice){material, suite_encryption_key_bytes(&suites[i]) +
                                                     suite_integrity_key_bytes(&suites[i])});
        CHECK(fast[i] != NULL);
        CHECK(compact[i] != NULL);
        CHECK_TEXT(protect_key_engine(compact[i]), "openssl");
    }
    for (size_t round = 0; round < 60; round++) {
        size_t jobs = 1 + random_below(&random, BATCH_MAX);
        /* Few suites in a batch, so that some have company and some have none. */
        size_t chosen[4];
        for (size_t i = 0; i < 4; i++) {
            chosen[i] = random_below(&random, (uint32_t)count);
        }
        for (size_t i = 0; i < jobs; i++) {
            size_t which = chosen[random_below(&random, 4)];
            batch_message(&plain_batch, i, fast[which], &suites[which], &random);
        }
        batch_copy(&multi_batch, &plain_batch, jobs);
        batch_copy(&openssl_batch, &plain_batch, jobs);
        for (size_t i = 0; i < jobs; i++) {
            for (size_t k = 0; k < count; k++) {
                if (openssl_batch.jobs[i].key == fast[k]) {
                    openssl_batch.jobs[i].key = compact[k];
                }
            }
            plain_batch.jobs[i].ok = true;
        }
        protect_seal(engine, multi_batch.jobs, jobs);
        protect_seal(engine, openssl_batch.jobs, jobs);
        check_equal(&multi_batch, &openssl_batch, jobs);
        /* And back, each what the other sealed. */
        struct protect_job swapped[BATCH_MAX];
        for (size_t i = 0; i < jobs; i++) {
            swapped[i] = multi_batch.jobs[i];
            multi_batch.jobs[i].key = openssl_batch.jobs[i].key;
            openssl_batch.jobs[i].key = swapped[i].key;
        }
        protect_open(engine, multi_batch.jobs, jobs);
        protect_open(engine, openssl_batch.jobs, jobs);
        for (size_t i = 0; i < jobs; i++) {
            size_t data_end = (size_t)(plain_batch.jobs[i].icv - plain_batch.messages[i].bytes);
            CHECK(multi_batch.jobs[i].ok);
            CHECK(openssl_batch.jobs[i].ok);
            CHECK(memcmp(multi_batch.messages[i].bytes, plain_batch.messages[i].bytes, data_end) ==
                  0);
            CHECK(memcmp(openssl_batch.messages[i].bytes, plain_batch.messages[i].bytes,
                         data_end) == 0);
        }
    }
    for (size_t i = 0; i < count; i++) {
        protect_key_free(fast[i]);
        protect_key_free(compact[i]);
    }
    protect_engine_free(engine);
}

/* RFC 8750 4: nothing but the place of the IV is new, so with the same nonce the same octets come
 * out. */
static void check_implicit_iv(struct protect_engine *engine)
{
    static const struct {
        uint16_t implicit, explicit, key_bits;
    } pairs[] = {
        {ENCRYPTION_AES_CCM_8_IIV, ENCRYPTION_AES_CCM_8, 128},
        {ENCRYPTION_AES_CCM_8_IIV, ENCRYPTION_AES_CCM_8, 192},
        {ENCRYPTION_AES_CCM_8_IIV, ENCRYPTION_AES_CCM_8, 256},
        {ENCRYPTION_AES_GCM_16_IIV, ENCRYPTION_AES_GCM_16, 128},
        {ENCRYPTION_AES_GCM_16_IIV, ENCRYPTION_AES_GCM_16, 192},
        {ENCRYPTION_AES_GCM_16_IIV, ENCRYPTION_AES_GCM_16, 256},
        {ENCRYPTION_CHACHA20_POLY1305_IIV, ENCRYPTION_CHACHA20_POLY1305, 0},
    };
    struct seeded_random seeded;

    seeded_random_init(&seeded, 8750);
    struct random_source random = seeded_random_source(&seeded);

    for (size_t i = 0; i < ARRAY_LENGTH(pairs); i++) {
        struct suite sent = {.encryption = pairs[i].explicit, .key_bits = pairs[i].key_bits};
        struct suite unsent = {.encryption = pairs[i].implicit, .key_bits = pairs[i].key_bits};
        uint8_t material[MATERIAL_BYTES_MAX];
        struct protect_key *key = random_key(&sent, &random, material);
        struct protect_key *same =
            protect_key_new(&unsent, (struct slice){material, suite_encryption_key_bytes(&unsent)});
        CHECK(key != NULL);
        CHECK(same != NULL);
        for (size_t crowd = 1; crowd <= CROWD; crowd += CROWD - 1) {
            for (size_t k = 0; k < crowd; k++) {
                struct message *m = &multi_batch.messages[k];
                batch_message(&plain_batch, k, key, &sent, &random);
                const struct protect_job *with = &plain_batch.jobs[k];
                struct protect_job *without = &multi_batch.jobs[k];
                /* The same packet without the octets of the IV, which stand elsewhere. */
                memcpy(m->bytes, with->aad, with->aad_length);
                memcpy(m->bytes + with->aad_length, with->data, with->length);
                memcpy(m->implicit_iv, with->iv, 8);
                *without = *with;
                without->key = same;
                without->aad = m->bytes;
                without->iv = m->implicit_iv;
                without->data = m->bytes + with->aad_length;
                without->icv = without->data + with->length;
            }
            protect_seal(engine, plain_batch.jobs, crowd);
            protect_seal(engine, multi_batch.jobs, crowd);
            for (size_t k = 0; k < crowd; k++) {
                const struct protect_job *with = &plain_batch.jobs[k];
                const struct protect_job *without = &multi_batch.jobs[k];
                CHECK(with->ok && without->ok);
                CHECK(memcmp(with->aad, without->aad, with->aad_length) == 0);
                CHECK_BYTES(with->data, without->data, with->length + suite_icv_bytes(&sent));
            }
            protect_open(engine, multi_batch.jobs, crowd);
            for (size_t k = 0; k < crowd; k++) {
                CHECK(multi_batch.jobs[k].ok);
            }
        }
        protect_key_free(key);
        protect_key_free(same);
    }
}

TEST(an_implicit_iv_changes_nothing_but_the_length_of_the_packet)
{
    with_both_engines(check_implicit_iv);
}

/* Every cipher with every MAC that may stand beside it, alone and in company of its kind: what one
 * engine seals is what the other seals, and each opens it. */
static void check_both_ways(struct protect_engine *engine, const struct suite *s,
                            struct random_source *random)
{
    static const size_t crowds[] = {1, 3, CROWD};
    uint8_t material[MATERIAL_BYTES_MAX];
    struct protect_key *chosen = random_key(s, random, material);
    struct protect_key *plain = protect_key_new_compact(
        s, (struct slice){material, suite_encryption_key_bytes(s) + suite_integrity_key_bytes(s)});

    CHECK(chosen != NULL);
    CHECK(plain != NULL);
    for (size_t c = 0; c < ARRAY_LENGTH(crowds); c++) {
        size_t count = crowds[c];
        for (size_t i = 0; i < count; i++) {
            batch_message(&plain_batch, i, chosen, s, random);
            plain_batch.jobs[i].ok = true;
        }
        batch_copy(&multi_batch, &plain_batch, count);
        batch_copy(&openssl_batch, &plain_batch, count);
        for (size_t i = 0; i < count; i++) {
            openssl_batch.jobs[i].key = plain;
        }
        protect_seal(engine, multi_batch.jobs, count);
        protect_seal(engine, openssl_batch.jobs, count);
        check_equal(&multi_batch, &openssl_batch, count);
        for (size_t i = 0; i < count; i++) {
            multi_batch.jobs[i].key = plain;
            openssl_batch.jobs[i].key = chosen;
        }
        protect_open(engine, multi_batch.jobs, count);
        protect_open(engine, openssl_batch.jobs, count);
        for (size_t i = 0; i < count; i++) {
            size_t end = (size_t)(plain_batch.jobs[i].icv - plain_batch.messages[i].bytes);
            CHECK(multi_batch.jobs[i].ok);
            CHECK(openssl_batch.jobs[i].ok);
            CHECK(memcmp(multi_batch.messages[i].bytes, plain_batch.messages[i].bytes, end) == 0);
            CHECK(memcmp(openssl_batch.messages[i].bytes, plain_batch.messages[i].bytes, end) == 0);
        }
    }
    protect_key_free(chosen);
    protect_key_free(plain);
}

/* How many suites the catalog makes: each key size of a cipher with each MAC of ESP, or with none
 * when it authenticates by itself. */
static size_t suites_expected(void)
{
    const struct algorithm *a;
    size_t ciphers = 0;
    size_t aeads = 0;
    size_t macs = 0;

    for (size_t i = 0; (a = algorithm_at(i)) != NULL; i++) {
        size_t sizes = a->key_bits_on_wire ? 3 : 1;
        macs += a->type == TRANSFORM_INTEGRITY && !a->ah_only ? 1 : 0;
        ciphers += a->type == TRANSFORM_ENCRYPTION && !a->aead ? sizes : 0;
        aeads += a->type == TRANSFORM_ENCRYPTION && a->aead ? sizes : 0;
    }
    return ciphers * macs + aeads;
}

static void check_product(struct protect_engine *engine)
{
    static struct suite suites[SUITES_MAX];
    struct seeded_random seeded;
    size_t count = all_suites(suites);

    seeded_random_init(&seeded, 22);
    struct random_source random = seeded_random_source(&seeded);

    /* DES, 3DES, NULL, and AES-CBC, AES-CTR and Camellia in three sizes, with seven MACs; nine
     * modes of AES in three sizes and two of ChaCha20 that need none. */
    CHECK(suites_expected() == 12 * 7 + 9 * 3 + 2);
    CHECK(count == suites_expected());
    for (size_t i = 0; i < count; i++) {
        check_both_ways(engine, &suites[i], &random);
    }
}

TEST(every_cipher_with_every_mac_is_sealed_and_opened_alike_by_both_engines)
{
    with_both_engines(check_product);
}

/* Every octet of a sealed message, and the high half of the sequence number, is covered. */
static void check_tampering(struct protect_engine *engine, const struct suite *s, size_t crowd)
{
    struct seeded_random seeded;
    uint8_t material[MATERIAL_BYTES_MAX];

    seeded_random_init(&seeded, 21);
    struct random_source random = seeded_random_source(&seeded);
    struct protect_key *key = random_key(s, &random, material);

    CHECK(key != NULL);
    for (size_t i = 0; i < crowd; i++) {
        do {
            batch_message(&plain_batch, i, key, s, &random);
        } while (plain_batch.lengths[i] > 200);
    }
    protect_seal(engine, plain_batch.jobs, crowd);
    /* Alone every octet, in a crowd some. */
    for (size_t place = 0; place < plain_batch.lengths[0]; place += crowd) {
        batch_copy(&multi_batch, &plain_batch, crowd);
        multi_batch.messages[0].bytes[place] ^= (uint8_t)(1U << (place % 8));
        protect_open(engine, multi_batch.jobs, crowd);
        CHECK(!multi_batch.jobs[0].ok);
        for (size_t i = 1; i < crowd; i++) {
            CHECK(multi_batch.jobs[i].ok);
        }
    }
    if (s->integrity != INTEGRITY_NONE) {
        batch_copy(&multi_batch, &plain_batch, crowd);
        multi_batch.jobs[0].has_sequence_high = !multi_batch.jobs[0].has_sequence_high;
        protect_open(engine, multi_batch.jobs, crowd);
        CHECK(!multi_batch.jobs[0].ok);
        batch_copy(&multi_batch, &plain_batch, crowd);
        multi_batch.jobs[0].sequence_high ^= 0x100;
        protect_open(engine, multi_batch.jobs, crowd);
        CHECK(multi_batch.jobs[0].ok == !multi_batch.jobs[0].has_sequence_high);
    }
    if (suite_has_implicit_iv(s)) {
        for (size_t place = 0; place < 8; place++) {
            batch_copy(&multi_batch, &plain_batch, crowd);
            multi_batch.messages[0].implicit_iv[place] ^= 4;
            protect_open(engine, multi_batch.jobs, crowd);
            CHECK(!multi_batch.jobs[0].ok);
        }
    }
    protect_key_free(key);
}

static void check_all_tampering(struct protect_engine *engine)
{
    static struct suite suites[SUITES_MAX];
    size_t count = all_suites(suites);

    for (size_t i = 0; i < count; i++) {
        check_tampering(engine, &suites[i], 1);
        check_tampering(engine, &suites[i], 9);
    }
}

TEST(a_message_that_was_changed_anywhere_is_refused_and_its_neighbours_are_not)
{
    with_both_engines(check_all_tampering);
}

static void check_half_blocks(struct protect_engine *engine)
{
    struct suite s = {
        .encryption = ENCRYPTION_AES_CBC, .key_bits = 128, .integrity = INTEGRITY_HMAC_SHA1_96};
    uint8_t material[MATERIAL_BYTES_MAX] = {0};
    struct protect_key *key = protect_key_new(&s, (struct slice){material, 36});
    static struct message m;
    uint8_t zeros[31] = {0};

    CHECK(key != NULL);
    for (size_t length = 0; length < sizeof(zeros); length++) {
        message_lay(&m, key, 16, SLICE_TEXT("12345678"), (struct slice){zeros, 16},
                    (struct slice){zeros, length}, (struct slice){NULL, 0});
        protect_seal(engine, &m.job, 1);
        CHECK(m.job.ok == (length % 16 == 0));
        protect_open(engine, &m.job, 1);
        CHECK(m.job.ok == (length % 16 == 0));
    }
    protect_key_free(key);
}

TEST(a_length_that_is_no_multiple_of_the_block_is_refused)
{
    with_both_engines(check_half_blocks);
}

TEST(keys_of_wrong_length_and_encryption_without_integrity_are_refused)
{
    static struct suite suites[SUITES_MAX];
    uint8_t material[MATERIAL_BYTES_MAX + 1] = {0};

    CHECK(protect_start(PROTECT_AUTOMATIC));
    size_t count = all_suites(suites);

    for (size_t i = 0; i < count; i++) {
        size_t right =
            suite_encryption_key_bytes(&suites[i]) + suite_integrity_key_bytes(&suites[i]);
        for (size_t length = 0; length < sizeof(material); length++) {
            struct protect_key *key = protect_key_new(&suites[i], (struct slice){material, length});
            CHECK((key != NULL) == (length == right));
            protect_key_free(key);
        }
    }
    struct suite bare = {.encryption = ENCRYPTION_AES_CBC, .key_bits = 128};
    struct suite null = {.encryption = ENCRYPTION_NULL};

    CHECK(protect_key_new(&bare, (struct slice){material, 16}) == NULL);
    CHECK(protect_key_new(&null, (struct slice){material, 0}) == NULL);
}

/* The engines overwrite what they know of a freed key; that must not disturb the keys that stay. */
static void check_frees_between(struct protect_engine *engine)
{
    static struct suite suites[SUITES_MAX];
    struct seeded_random seeded;
    size_t count = all_suites(suites);

    seeded_random_init(&seeded, 30);
    struct random_source random = seeded_random_source(&seeded);

    for (size_t i = 0; i < count; i++) {
        uint8_t material[MATERIAL_BYTES_MAX];
        struct protect_key *key = random_key(&suites[i], &random, material);
        batch_message(&plain_batch, 0, key, &suites[i], &random);
        plain_batch.jobs[0].ok = true;
        batch_copy(&multi_batch, &plain_batch, 1);
        size_t end = (size_t)(plain_batch.jobs[0].icv - plain_batch.messages[0].bytes);

        for (size_t round = 0; round < 3; round++) {
            protect_seal(engine, multi_batch.jobs, 1);
            CHECK(multi_batch.jobs[0].ok);
            protect_key_free(random_key(&suites[i], &random, material));
            protect_open(engine, multi_batch.jobs, 1);
            CHECK(multi_batch.jobs[0].ok);
            CHECK_BYTES(multi_batch.messages[0].bytes, plain_batch.messages[0].bytes, end);
        }
        protect_key_free(key);
    }
}

TEST(a_key_goes_on_working_while_others_are_freed)
{
    with_both_engines(check_frees_between);
}

TEST(no_key_takes_more_than_a_kibibyte_and_a_half)
{
    static struct suite suites[SUITES_MAX];
    uint8_t material[MATERIAL_BYTES_MAX] = {0};

    CHECK(protect_start(PROTECT_AUTOMATIC));
    size_t count = all_suites(suites);

    for (size_t i = 0; i < count; i++) {
        size_t length =
            suite_encryption_key_bytes(&suites[i]) + suite_integrity_key_bytes(&suites[i]);
        struct protect_key *key = protect_key_new(&suites[i], (struct slice){material, length});
        struct protect_key *compact =
            protect_key_new_compact(&suites[i], (struct slice){material, length});
        CHECK(protect_key_bytes(key) <= 1536);
        CHECK(protect_key_bytes(compact) <= 192);
        protect_key_free(key);
        protect_key_free(compact);
    }
}

TEST(openssl_can_be_demanded_and_the_report_says_what_runs)
{
    struct suite s = {.encryption = ENCRYPTION_AES_GCM_16, .key_bits = 128};
    uint8_t material[20] = {0};

    CHECK(protect_start(PROTECT_OPENSSL));
    struct protect_key *key = protect_key_new(&s, SLICE_OF(material));

    CHECK_TEXT(protect_key_engine(key), "openssl");
    protect_key_free(key);
    size_t lines = 0;

    while (protect_report(lines) != NULL) {
        CHECK(strstr(protect_report(lines), "openssl") != NULL);
        lines++;
    }
    CHECK(lines >= 10);
    CHECK(protect_start(PROTECT_AUTOMATIC));
#ifdef HAVE_IPSEC_MB
    key = protect_key_new(&s, SLICE_OF(material));
    CHECK_TEXT(protect_key_engine(key), "ipsec-mb");
    protect_key_free(key);
    /* The check at the start found no difference. */
    for (size_t i = 0; protect_report(i) != NULL; i++) {
        CHECK(strstr(protect_report(i), "another answer") == NULL);
    }
#endif
}
