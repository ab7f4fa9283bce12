/* The catalog against the RFCs' tables, and the words of proposals. */
#include "crypto/catalog.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/test.h"

TEST(every_number_stands_once_and_is_found)
{
    const struct algorithm *a;
    const struct algorithm *last = NULL;

    for (size_t i = 0; (a = algorithm_at(i)) != NULL; i++) {
        CHECK(algorithm_find(a->type, a->id) == a);
        CHECK(a->block_bytes >= 1);
        CHECK((a->strength == STRENGTH_LEGACY) == (a->why_weak != NULL));
        CHECK(last == NULL || last->type < a->type || last->id < a->id);
        last = a;
    }
    CHECK(last != NULL && last->type == TRANSFORM_ESN);
    CHECK(algorithm_find(TRANSFORM_ENCRYPTION, 99) == NULL);
    CHECK(algorithm_find(13, ENCRYPTION_DES) == NULL);
    /* RFC 9370 2.2.1: one registry for all of them. */
    for (uint8_t type = TRANSFORM_ADDITIONAL_FIRST; type <= TRANSFORM_ADDITIONAL_LAST; type++) {
        CHECK(algorithm_find(type, KEY_EXCHANGE_ML_KEM_768) ==
              algorithm_find(TRANSFORM_KEY_EXCHANGE, KEY_EXCHANGE_ML_KEM_768));
    }
}

TEST(sizes_are_those_of_the_rfcs)
{
    /* RFC 4106 8: AES-GCM takes four octets of salt, eight of IV; 4309: CCM three; 3686: CTR four.
     */
    static const struct {
        uint16_t id;
        uint8_t salt, iv, block, icv;
    } ciphers[] = {
        {ENCRYPTION_DES, 0, 8, 8, 0},
        {ENCRYPTION_3DES, 0, 8, 8, 0},
        {ENCRYPTION_NULL, 0, 0, 1, 0},
        {ENCRYPTION_AES_CBC, 0, 16, 16, 0},
        {ENCRYPTION_AES_CTR, 4, 8, 1, 0},
        {ENCRYPTION_AES_CCM_8, 3, 8, 1, 8},
        {ENCRYPTION_AES_CCM_12, 3, 8, 1, 12},
        {ENCRYPTION_AES_CCM_16, 3, 8, 1, 16},
        {ENCRYPTION_AES_GCM_8, 4, 8, 1, 8},
        {ENCRYPTION_AES_GCM_12, 4, 8, 1, 12},
        {ENCRYPTION_AES_GCM_16, 4, 8, 1, 16},
        {ENCRYPTION_NULL_AES_GMAC, 4, 8, 1, 16},
        {ENCRYPTION_CAMELLIA_CBC, 0, 16, 16, 0},
        {ENCRYPTION_CHACHA20_POLY1305, 4, 8, 1, 16},
        /* RFC 8750 4: only the IV differs, which is not sent. */
        {ENCRYPTION_AES_CCM_8_IIV, 3, 0, 1, 8},
        {ENCRYPTION_AES_GCM_16_IIV, 4, 0, 1, 16},
        {ENCRYPTION_CHACHA20_POLY1305_IIV, 4, 0, 1, 16},
    };
    static const struct {
        uint16_t id;
        uint8_t key, icv;
    } macs[] = {
        {INTEGRITY_HMAC_MD5_96, 16, 12},
        {INTEGRITY_HMAC_SHA1_96, 20, 12},
        {INTEGRITY_AES_XCBC_96, 16, 12},
        {INTEGRITY_AES_CMAC_96, 16, 12},
        {INTEGRITY_HMAC_SHA2_256_128, 32, 16},
        {INTEGRITY_HMAC_SHA2_384_192, 48, 24},
        {INTEGRITY_HMAC_SHA2_512_256, 64, 32},
        /* RFC 4543 5.4: four octets more than the AES key. */
        {INTEGRITY_AES_128_GMAC, 20, 16},
        {INTEGRITY_AES_192_GMAC, 28, 16},
        {INTEGRITY_AES_256_GMAC, 36, 16},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(ciphers); i++) {
        const struct algorithm *a = algorithm_find(TRANSFORM_ENCRYPTION, ciphers[i].id);
        CHECK(a->salt_bytes == ciphers[i].salt);
        CHECK(a->iv_bytes == ciphers[i].iv);
        CHECK(a->block_bytes == ciphers[i].block);
        CHECK(a->icv_bytes == ciphers[i].icv);
        CHECK(a->aead == (ciphers[i].icv != 0));
        CHECK(a->implicit_iv == (a->aead && ciphers[i].iv == 0));
    }
    for (size_t i = 0; i < ARRAY_LENGTH(macs); i++) {
        const struct algorithm *a = algorithm_find(TRANSFORM_INTEGRITY, macs[i].id);
        CHECK(a->key_bytes == macs[i].key);
        CHECK(a->icv_bytes == macs[i].icv);
        CHECK(a->iv_bytes == (a->ah_only ? 8 : 0));
        CHECK(a->salt_bytes == (a->ah_only ? 4 : 0));
    }
}

static struct slice words(const char *text)
{
    return slice_of_text(text);
}

static void check_word(const char *word, uint8_t type, uint16_t id, uint16_t bits)
{
    struct transform t;

    CHECK(transform_by_word(0, words(word), &t));
    CHECK(t.type == type);
    CHECK(t.id == id);
    CHECK(t.key_bits == bits);
}

TEST(words_and_their_synonyms_are_understood)
{
    check_word("aes256gcm16", TRANSFORM_ENCRYPTION, ENCRYPTION_AES_GCM_16, 256);
    check_word("aes128gcm128", TRANSFORM_ENCRYPTION, ENCRYPTION_AES_GCM_16, 128);
    check_word("aes256gcm", TRANSFORM_ENCRYPTION, ENCRYPTION_AES_GCM_16, 256);
    check_word("aes192gcm64", TRANSFORM_ENCRYPTION, ENCRYPTION_AES_GCM_8, 192);
    check_word("aes128", TRANSFORM_ENCRYPTION, ENCRYPTION_AES_CBC, 128);
    check_word("aes", TRANSFORM_ENCRYPTION, ENCRYPTION_AES_CBC, 128);
    check_word("AES256", TRANSFORM_ENCRYPTION, ENCRYPTION_AES_CBC, 256);
    check_word("aes256ctr", TRANSFORM_ENCRYPTION, ENCRYPTION_AES_CTR, 256);
    check_word("aes128ccm16", TRANSFORM_ENCRYPTION, ENCRYPTION_AES_CCM_16, 128);
    check_word("aes128ccm96", TRANSFORM_ENCRYPTION, ENCRYPTION_AES_CCM_12, 128);
    check_word("aes256gmac", TRANSFORM_ENCRYPTION, ENCRYPTION_NULL_AES_GMAC, 256);
    check_word("chacha20poly1305", TRANSFORM_ENCRYPTION, ENCRYPTION_CHACHA20_POLY1305, 0);
    check_word("camellia256", TRANSFORM_ENCRYPTION, ENCRYPTION_CAMELLIA_CBC, 256);
    check_word("3des", TRANSFORM_ENCRYPTION, ENCRYPTION_3DES, 0);
    check_word("des", TRANSFORM_ENCRYPTION, ENCRYPTION_DES, 0);
    check_word("null", TRANSFORM_ENCRYPTION, ENCRYPTION_NULL, 0);
    check_word("sha256", TRANSFORM_INTEGRITY, INTEGRITY_HMAC_SHA2_256_128, 0);
    check_word("sha2_512", TRANSFORM_INTEGRITY, INTEGRITY_HMAC_SHA2_512_256, 0);
    check_word("sha1", TRANSFORM_INTEGRITY, INTEGRITY_HMAC_SHA1_96, 0);
    check_word("md5", TRANSFORM_INTEGRITY, INTEGRITY_HMAC_MD5_96, 0);
    check_word("aesxcbc", TRANSFORM_INTEGRITY, INTEGRITY_AES_XCBC_96, 0);
    check_word("aescmac", TRANSFORM_INTEGRITY, INTEGRITY_AES_CMAC_96, 0);
    check_word("prfsha384", TRANSFORM_PRF, PRF_HMAC_SHA2_384, 0);
    check_word("prfaesxcbc", TRANSFORM_PRF, PRF_AES128_XCBC, 0);
    check_word("x25519", TRANSFORM_KEY_EXCHANGE, KEY_EXCHANGE_X25519, 0);
    check_word("curve25519", TRANSFORM_KEY_EXCHANGE, KEY_EXCHANGE_X25519, 0);
    check_word("x448", TRANSFORM_KEY_EXCHANGE, KEY_EXCHANGE_X448, 0);
    check_word("ecp384", TRANSFORM_KEY_EXCHANGE, KEY_EXCHANGE_ECP_384, 0);
    check_word("modp8192", TRANSFORM_KEY_EXCHANGE, KEY_EXCHANGE_MODP_8192, 0);
    check_word("ecp256bp", TRANSFORM_KEY_EXCHANGE, KEY_EXCHANGE_BRAINPOOL_256, 0);
    check_word("aes256gcm16iiv", TRANSFORM_ENCRYPTION, ENCRYPTION_AES_GCM_16_IIV, 256);
    check_word("aes128ccm8iiv", TRANSFORM_ENCRYPTION, ENCRYPTION_AES_CCM_8_IIV, 128);
    check_word("chacha20poly1305iiv", TRANSFORM_ENCRYPTION, ENCRYPTION_CHACHA20_POLY1305_IIV, 0);
    check_word("aesgmac192", TRANSFORM_INTEGRITY, INTEGRITY_AES_192_GMAC, 0);
    check_word("esn", TRANSFORM_ESN, ESN_YES, 0);
    check_word("noesn", TRANSFORM_ESN, ESN_NO, 0);

    struct transform t;

    CHECK(transform_by_word(TRANSFORM_PRF, words("sha256"), &t));
    CHECK(t.type == TRANSFORM_PRF && t.id == PRF_HMAC_SHA2_256);
    CHECK(transform_by_word(TRANSFORM_INTEGRITY, words("aes256gmac"), &t));
    CHECK(t.type == TRANSFORM_INTEGRITY && t.id == INTEGRITY_AES_256_GMAC && t.key_bits == 0);
    CHECK(!transform_by_word(TRANSFORM_INTEGRITY, words("aes512gmac"), &t));
    CHECK(!transform_by_word(TRANSFORM_ENCRYPTION, words("sha256"), &t));
    CHECK(!transform_by_word(0, words("aes512gcm16"), &t));
    CHECK(!transform_by_word(0, words("aes12gcm16"), &t));
    CHECK(!transform_by_word(0, words("aes%ugcm16"), &t));
    CHECK(!transform_by_word(0, words("aes256gcm16x"), &t));
    CHECK(!transform_by_word(0, words(""), &t));
    CHECK(!transform_by_word(0, words("rot13"), &t));
    CHECK(!transform_by_word(
        TRANSFORM_PRF, words("a word that is much longer than any that stands in the table"), &t));
}

TEST(every_word_of_the_catalog_reads_back)
{
    const struct algorithm *a;

    for (size_t i = 0; (a = algorithm_at(i)) != NULL; i++) {
        for (size_t k = 0; k < ALGORITHM_KEY_SIZES_MAX; k++) {
            struct transform t = {a->type, a->id, a->key_bits_on_wire ? a->key_bits[k] : 0};
            struct transform back;
            char word[40];
            transform_word(&t, word, sizeof(word));
            CHECK(transform_by_word(a->type, words(word), &back));
            CHECK(back.type == t.type && back.id == t.id && back.key_bits == t.key_bits);
            CHECK(transform_by_word(0, words(word), &back));
            CHECK(back.type == t.type && back.id == t.id && back.key_bits == t.key_bits);
        }
    }
}

static void check_title(uint8_t type, uint16_t id, uint16_t bits, const char *expected)
{
    struct transform t = {type, id, bits};
    char title[64];

    transform_title(&t, title, sizeof(title));
    CHECK_TEXT(title, expected);
}

TEST(titles_are_for_people)
{
    check_title(TRANSFORM_ENCRYPTION, ENCRYPTION_AES_GCM_16, 256, "AES-256-GCM");
    check_title(TRANSFORM_ENCRYPTION, ENCRYPTION_AES_GCM_8, 128, "AES-128-GCM-8");
    check_title(TRANSFORM_ENCRYPTION, ENCRYPTION_CHACHA20_POLY1305, 0, "ChaCha20-Poly1305");
    check_title(TRANSFORM_INTEGRITY, INTEGRITY_HMAC_SHA2_256_128, 0, "HMAC-SHA2-256");
    check_title(TRANSFORM_KEY_EXCHANGE, KEY_EXCHANGE_X25519, 0, "X25519");
    check_title(TRANSFORM_ENCRYPTION, 99, 0, "encryption 99");
    check_title(TRANSFORM_KEY_EXCHANGE, 1040, 0, "key exchange 1040");
    check_title(77, 1, 0, "transform 1");

    struct suite cbc = {ENCRYPTION_AES_CBC, 128, INTEGRITY_HMAC_SHA2_256_128, 0, 0, false};
    struct suite gcm = {ENCRYPTION_AES_GCM_16, 256, INTEGRITY_NONE, 0, 0, true};
    char title[64];

    suite_title(&cbc, title, sizeof(title));
    CHECK_TEXT(title, "AES-128-CBC, HMAC-SHA2-256");
    suite_title(&gcm, title, sizeof(title));
    CHECK_TEXT(title, "AES-256-GCM");
    gcm.key_exchange = KEY_EXCHANGE_X25519;
    suite_title(&gcm, title, sizeof(title));
    CHECK_TEXT(title, "AES-256-GCM, X25519");
    cbc.key_exchange = KEY_EXCHANGE_MODP_2048;
    suite_title(&cbc, title, sizeof(title));
    CHECK_TEXT(title, "AES-128-CBC, HMAC-SHA2-256, MODP-2048");

    struct suite ah = {.integrity = INTEGRITY_HMAC_SHA2_256_128};

    suite_title(&ah, title, sizeof(title));
    CHECK_TEXT(title, "AH with HMAC-SHA2-256");
    CHECK(suite_encryption_key_bytes(&ah) == 0);
    CHECK(suite_integrity_key_bytes(&ah) == 32);
    ah.integrity = INTEGRITY_AES_256_GMAC;
    ah.key_exchange = KEY_EXCHANGE_X25519;
    suite_title(&ah, title, sizeof(title));
    CHECK_TEXT(title, "AH with AES-256-GMAC, X25519");
    CHECK(suite_integrity_key_bytes(&ah) == 36);
    CHECK(suite_encryption_key_bytes(&gcm) == 36);
    CHECK(suite_integrity_key_bytes(&gcm) == 0);
    CHECK(suite_encryption_key_bytes(&cbc) == 16);
    CHECK(suite_integrity_key_bytes(&cbc) == 32);
}

TEST(encryption_is_never_without_integrity)
{
    const struct algorithm *a;

    for (size_t i = 0; (a = algorithm_at(i)) != NULL; i++) {
        struct suite s = {.encryption = a->id,
                          .key_bits = a->key_bits_on_wire ? a->key_bits[0] : 0};
        if (a->type != TRANSFORM_ENCRYPTION) {
            continue;
        }
        CHECK(suite_is_usable(&s) == a->aead);
        s.integrity = INTEGRITY_HMAC_SHA1_96;
        CHECK(suite_is_usable(&s) == !a->aead);
        s.integrity = 3;
        CHECK(!suite_is_usable(&s));
    }
    struct suite none = {.encryption = ENCRYPTION_NONE, .integrity = INTEGRITY_HMAC_SHA1_96};
    struct suite sizeless = {.encryption = ENCRYPTION_AES_GCM_16};
    struct suite sized = {.encryption = ENCRYPTION_CHACHA20_POLY1305, .key_bits = 256};

    CHECK(!suite_is_usable(&none));
    CHECK(!suite_is_usable(&sizeless));
    CHECK(!suite_is_usable(&sized));
}

TEST(ah_has_integrity_alone_and_only_there_is_gmac_an_integrity_algorithm)
{
    const struct algorithm *a;

    for (size_t i = 0; (a = algorithm_at(i)) != NULL; i++) {
        struct suite bare = {.integrity = a->id};
        struct suite around_null = {.encryption = ENCRYPTION_NULL, .integrity = a->id};
        if (a->type != TRANSFORM_INTEGRITY) {
            continue;
        }
        CHECK(suite_is_usable_for_ah(&bare));
        CHECK(!suite_is_usable(&bare));
        CHECK(!suite_is_usable_for_ah(&around_null));
        CHECK(suite_is_usable(&around_null) == !a->ah_only);
        bare.key_bits = 128;
        CHECK(!suite_is_usable_for_ah(&bare));
    }
    struct suite none = {.integrity = INTEGRITY_NONE};
    struct suite unknown = {.integrity = 3};

    CHECK(!suite_is_usable_for_ah(&none));
    CHECK(!suite_is_usable_for_ah(&unknown));
}

TEST(ike_takes_no_cipher_that_leaves_text_clear_or_its_iv_unsaid)
{
    const struct algorithm *a;

    for (size_t i = 0; (a = algorithm_at(i)) != NULL; i++) {
        struct suite s = {.encryption = a->id,
                          .key_bits = a->key_bits_on_wire ? a->key_bits[0] : 0,
                          .integrity = a->aead ? INTEGRITY_NONE : INTEGRITY_HMAC_SHA2_256_128};
        if (a->type == TRANSFORM_ENCRYPTION) {
            bool hides = a->id != ENCRYPTION_NULL && a->id != ENCRYPTION_NULL_AES_GMAC;
            CHECK(suite_is_usable(&s));
            CHECK(suite_is_usable_for_ike(&s) == (hides && !a->implicit_iv));
        }
    }
    struct suite ah = {.integrity = INTEGRITY_HMAC_SHA2_256_128};

    CHECK(!suite_is_usable_for_ike(&ah));
}

static bool has(const struct proposal *p, uint8_t type, uint16_t id)
{
    for (size_t i = 0; i < p->count; i++) {
        if (p->transforms[i].type == type && p->transforms[i].id == id) {
            return true;
        }
    }
    return false;
}

TEST(the_defaults_are_good_strongest_first_and_within_bounds)
{
    static const uint8_t protocols[] = {PROTOCOL_IKE, PROTOCOL_ESP, PROTOCOL_AH};

    for (size_t i = 0; i < ARRAY_LENGTH(protocols); i++) {
        struct proposals all;
        proposals_default(protocols[i], &all);
        CHECK(all.count >= 1);
        for (size_t j = 0; j < all.count; j++) {
            const struct proposal *p = &all.list[j];
            CHECK(p->protocol == protocols[i]);
            CHECK(proposal_legacy(p) == NULL);
            bool alone = has(p, TRANSFORM_KEY_EXCHANGE, KEY_EXCHANGE_ML_KEM_768);
            bool beside = has(p, TRANSFORM_ADDITIONAL_FIRST, KEY_EXCHANGE_ML_KEM_768);

            CHECK(proposal_has_post_quantum(p) == (alone || beside));
            CHECK(beside == (protocols[i] == PROTOCOL_IKE && j == 0));
            CHECK(alone == (protocols[i] == PROTOCOL_IKE && j == 1));
            CHECK(has(p, TRANSFORM_KEY_EXCHANGE, KEY_EXCHANGE_X25519) == !alone);
            CHECK(has(p, TRANSFORM_KEY_EXCHANGE, KEY_EXCHANGE_MODP_2048) == !alone);
            CHECK(has(p, TRANSFORM_PRF, PRF_HMAC_SHA2_256) == (protocols[i] == PROTOCOL_IKE));
            CHECK(has(p, TRANSFORM_ESN, ESN_YES) == (protocols[i] != PROTOCOL_IKE));
            for (size_t k = 0; k < p->count; k++) {
                const struct transform *t = &p->transforms[k];
                const struct algorithm *a = algorithm_find(t->type, t->id);
                CHECK(a->strength == STRENGTH_GOOD);
                CHECK(algorithm_allows_key_bits(a, t->key_bits));
                /* Of ML-KEM the one that is strong enough leads. */
                if (k > 0 && p->transforms[k - 1].type == t->type &&
                    !key_exchange_is_post_quantum(t->id)) {
                    const struct algorithm *before =
                        algorithm_find(t->type, p->transforms[k - 1].id);
                    CHECK(before->rank >= a->rank);
                }
            }
        }
    }
    struct proposals esp;

    proposals_default(PROTOCOL_ESP, &esp);
    CHECK(esp.count == 2);
    CHECK(esp.list[0].transforms[0].id == ENCRYPTION_AES_GCM_16);
    CHECK(esp.list[0].transforms[0].key_bits == 256);
    CHECK(has(&esp.list[1], TRANSFORM_ENCRYPTION, ENCRYPTION_AES_CBC));
}

static void check_parse(uint8_t protocol, const char *text, const char *expected)
{
    struct proposal p;
    char why[160] = "";
    char all[400] = "";

    if (!proposal_parse(protocol, words(text), &p, why, sizeof(why))) {
        fail_msg("%s: %s", text, why);
    }
    for (size_t i = 0; i < p.count; i++) {
        char word[40];
        size_t used = strlen(all);
        transform_word(&p.transforms[i], word, sizeof(word));
        snprintf(all + used, sizeof(all) - used, "%s%s", i == 0 ? "" : " ", word);
    }
    CHECK_TEXT(all, expected);
}

TEST(proposals_are_read_and_what_goes_unsaid_is_added)
{
    check_parse(PROTOCOL_IKE, "aes256gcm16-sha384-x25519", "aes256gcm16 prfsha384 x25519");
    check_parse(PROTOCOL_IKE, "aes256gcm16-prfsha384-x25519-ecp256",
                "aes256gcm16 prfsha384 x25519 ecp256");
    check_parse(PROTOCOL_IKE, "aes256gcm16-x25519",
                "aes256gcm16 x25519 prfsha512 prfsha384 prfsha256");
    check_parse(PROTOCOL_IKE, "aes128-sha256-modp2048", "aes128 sha256 modp2048 prfsha256");
    check_parse(PROTOCOL_IKE, "aes128-sha256-prfsha1-modp2048", "aes128 sha256 prfsha1 modp2048");
    check_parse(PROTOCOL_IKE, "3des-sha1-modp1024", "3des sha1 modp1024 prfsha1");
    check_parse(PROTOCOL_IKE, "aes128-aesxcbc-modp2048", "aes128 aesxcbc modp2048 prfaesxcbc");
    check_parse(PROTOCOL_IKE, "aes256-aes128-sha512-sha256-x25519",
                "aes256 aes128 sha512 sha256 x25519 prfsha512 prfsha256");
    check_parse(PROTOCOL_ESP, "aes256gcm16", "aes256gcm16 esn noesn");
    check_parse(PROTOCOL_ESP, "aes256gcm16-x25519-noesn", "aes256gcm16 x25519 noesn");
    check_parse(PROTOCOL_ESP, "null-sha256", "null sha256 esn noesn");
    check_parse(PROTOCOL_ESP, "chacha20poly1305", "chacha20poly1305 esn noesn");
    check_parse(PROTOCOL_ESP, "aes256gcm16iiv-aes256gcm16", "aes256gcm16iiv aes256gcm16 esn noesn");
    check_parse(PROTOCOL_ESP, "aes128gmac", "aes128gmac esn noesn");
    check_parse(PROTOCOL_AH, "sha256", "sha256 esn noesn");
    check_parse(PROTOCOL_AH, "sha512-sha256-x25519-esn", "sha512 sha256 x25519 esn");
    check_parse(PROTOCOL_AH, "aes128gmac-aes256gmac", "aesgmac128 aesgmac256 esn noesn");
    check_parse(PROTOCOL_AH, "aesgmac192-noesn", "aesgmac192 noesn");
}

static void check_mistake(uint8_t protocol, const char *text, const char *expected)
{
    struct proposal p;
    char why[160] = "";

    CHECK(!proposal_parse(protocol, words(text), &p, why, sizeof(why)));
    if (strstr(why, expected) == NULL) {
        fail_msg("%s: \"%s\" does not say \"%s\"", text, why, expected);
    }
}

TEST(mistakes_in_proposals_are_named)
{
    check_mistake(PROTOCOL_IKE, "aes256gcm16-sha385-x25519", "'sha385'");
    check_mistake(PROTOCOL_IKE, "aes256gcm16--x25519", "a word is missing");
    check_mistake(PROTOCOL_IKE, "aes256gcm16-x25519-", "a word is missing");
    check_mistake(PROTOCOL_IKE, "", "a word is missing");
    check_mistake(PROTOCOL_IKE, "aes256-x25519", "no integrity algorithm");
    check_mistake(PROTOCOL_ESP, "aes256", "no integrity algorithm");
    check_mistake(PROTOCOL_ESP, "null", "no integrity algorithm");
    check_mistake(PROTOCOL_IKE, "aes256gcm16-sha384", "no key exchange");
    check_mistake(PROTOCOL_IKE, "sha384-x25519", "no cipher");
    check_mistake(PROTOCOL_ESP, "sha384", "no cipher");
    check_mistake(PROTOCOL_ESP, "aes256gcm16-sha256", "'sha256'");
    check_mistake(PROTOCOL_ESP, "aes256gcm16-aes256-sha256", "a proposal of their own");
    check_mistake(PROTOCOL_ESP, "aes256gcm16-prfsha256", "'prfsha256'");
    check_mistake(PROTOCOL_IKE, "null-sha256-x25519", "'null'");
    check_mistake(PROTOCOL_IKE, "aes128gmac-sha256-x25519", "'aes128gmac'");
    check_mistake(PROTOCOL_IKE, "aes256gcm16-sha256-x25519-esn", "'esn'");
    check_mistake(PROTOCOL_AH, "aes256-sha256", "'aes256' encrypts");
    check_mistake(PROTOCOL_AH, "aes256gcm16", "'aes256gcm16' encrypts");
    check_mistake(PROTOCOL_AH, "sha256-prfsha256", "'prfsha256' is a PRF");
    check_mistake(PROTOCOL_AH, "x25519", "no integrity algorithm");
    check_mistake(PROTOCOL_ESP, "aes256-aesgmac256", "'aesgmac256' is for AH alone");
    check_mistake(PROTOCOL_ESP, "aes256gcm16-aesgmac256", "'aesgmac256' is for AH alone");
    check_mistake(PROTOCOL_IKE, "aes256-aesgmac256-x25519", "'aesgmac256' is for AH alone");
    check_mistake(PROTOCOL_IKE, "aes256gcm16-aesgmac256-x25519", "'aesgmac256' is for AH alone");
    check_mistake(PROTOCOL_IKE, "aes256gcm16iiv-sha256-x25519", "'aes256gcm16iiv' takes its IV");
    check_mistake(PROTOCOL_IKE, "chacha20poly1305iiv-x25519", "'chacha20poly1305iiv' takes its IV");
    check_mistake(PROTOCOL_IKE, "aes256-aes256-sha256-x25519", "'aes256'");
    check_mistake(PROTOCOL_IKE, "aes256gcm16-sha256-prfsha256-x25519", "'prfsha256'");
}

TEST(a_proposal_with_everything_in_it_does_not_overflow)
{
    char text[2000] = "";
    const struct algorithm *a;

    for (size_t i = 0; (a = algorithm_at(i)) != NULL; i++) {
        for (size_t k = 0; k < 3; k++) {
            struct transform t = {a->type, a->id, a->key_bits_on_wire ? a->key_bits[k] : 0};
            char word[40];
            size_t used = strlen(text);
            if (a->aead || a->ah_only || a->type == TRANSFORM_PRF || a->type == TRANSFORM_ESN ||
                a->id == ENCRYPTION_NULL || (k > 0 && !a->key_bits_on_wire)) {
                continue;
            }
            transform_word(&t, word, sizeof(word));
            snprintf(text + used, sizeof(text) - used, "%s%s", used == 0 ? "" : "-", word);
        }
    }
    struct proposal p;
    char why[160] = "";
    bool good = proposal_parse(PROTOCOL_IKE, words(text), &p, why, sizeof(why));

    CHECK(p.count <= PROPOSAL_TRANSFORMS_MAX);
    CHECK(good || strstr(why, "too many") != NULL);
}

TEST(the_weakest_legacy_algorithm_of_a_proposal_is_named)
{
    struct proposal p;
    char why[160];

    CHECK(proposal_parse(PROTOCOL_IKE, words("3des-md5-modp768"), &p, why, sizeof(why)));
    CHECK(proposal_legacy(&p)->strength == STRENGTH_LEGACY);
    CHECK(proposal_legacy(&p)->why_weak != NULL);
    CHECK(proposal_parse(PROTOCOL_IKE, words("aes128-sha1-modp2048"), &p, why, sizeof(why)));
    CHECK_TEXT(proposal_legacy(&p)->why_weak,
               algorithm_find(TRANSFORM_INTEGRITY, INTEGRITY_HMAC_SHA1_96)->why_weak);
    CHECK(proposal_parse(PROTOCOL_IKE, words("aes128ctr-aescmac-ecp521"), &p, why, sizeof(why)));
    CHECK(proposal_legacy(&p) == NULL);
}
