/* Every algorithm that IKEv1 has a number for (IANA "ipsec-registry" and "isakmp-registry", RFC
 * 2407 4.4, RFC 2409 appendix A) is offered under that, chosen, and keyed, in both roles. */
#include "proto/ikev1/machine.h"
#include "tests/support/ikev1_pair.h"
#include "tests/support/test.h"

static bool carries(struct ikev1_pair *p)
{
    return ikev1_pair_agrees(p) && ikev1_pair_packet(p, 0, "net") && ikev1_pair_packet(p, 1, "net");
}

/* The first transform of what the policy of side 0 becomes. */
static struct ikev1_wire_transform offered(struct ikev1_pair *p, uint16_t group)
{
    const struct ikev1_carriage tunnel = {0};
    const struct ikev1_spis spis = {.main = {1}};
    struct ikev1_sa_payload sa;

    CHECK(ikev1_phase2_offer(&p->side[0].children_policy[0], group, &tunnel, &spis, &sa));
    CHECK_EQUAL(sa.transform_count, 1);
    return sa.transforms[0];
}

TEST(every_cipher_and_mac_of_esp)
{
    static const struct {
        const char *words;
        uint8_t id;
        uint16_t key_bits, mac;
        size_t key_bytes; /* cipher key with its salt, and the MAC's */
    } all[] = {
        {"des-md5", 2, 0, 1, 8 + 16},
        {"3des-sha1", 3, 0, 2, 24 + 20},
        {"null-sha1", 11, 0, 2, 20},
        {"null-md5", 11, 0, 1, 16},
        {"aes128-sha1", 12, 128, 2, 16 + 20},
        {"aes192-sha256", 12, 192, 5, 24 + 32},
        {"aes256-sha384", 12, 256, 6, 32 + 48},
        {"aes256-sha512", 12, 256, 7, 32 + 64},
        {"aes128-aesxcbc", 12, 128, 9, 16 + 16},
        {"aes128ctr-sha256", 13, 128, 5, 20 + 32},
        {"aes192ctr-sha1", 13, 192, 2, 28 + 20},
        {"aes256ctr-sha512", 13, 256, 7, 36 + 64},
        {"aes128ccm8", 14, 128, 0, 19},
        {"aes192ccm12", 15, 192, 0, 27},
        {"aes256ccm16", 16, 256, 0, 35},
        {"aes128gcm8", 18, 128, 0, 20},
        {"aes192gcm12", 19, 192, 0, 28},
        {"aes256gcm16", 20, 256, 0, 36},
        {"camellia128-sha1", 22, 128, 2, 16 + 20},
        {"camellia192-md5", 22, 192, 1, 24 + 16},
        {"camellia256-sha256", 22, 256, 5, 32 + 32},
        {"aes128gmac", 23, 128, 0, 20},
        {"aes256gmac", 23, 256, 0, 36},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(all); i++) {
        struct ikev1_pair *p = ikev1_pair_new(200 + i);

        ikev1_pair_set_esp(p, 0, all[i].words);
        ikev1_pair_set_esp(p, 1, all[i].words);
        struct ikev1_wire_transform t = offered(p, 0);

        CHECK_EQUAL(t.id, all[i].id);
        CHECK_EQUAL(t.key_bits, all[i].key_bits);
        CHECK_EQUAL(t.auth_algorithm, all[i].mac);
        ikev1_pair_start(p, (unsigned)i % 2);
        CHECK(ikev1_pair_run(p));
        CHECK(carries(p));
        CHECK_EQUAL(ikev1_pair_outbound(p, 0, "net")->key_bytes, all[i].key_bytes);
        ikev1_pair_free(p);
    }
}

TEST(every_mac_of_ah)
{
    static const struct {
        const char *words;
        uint8_t id;
        uint16_t mac;
        size_t key_bytes;
    } all[] = {
        {"md5", 2, 1, 16},          {"sha1", 3, 2, 20},         {"sha256", 5, 5, 32},
        {"sha384", 6, 6, 48},       {"sha512", 7, 7, 64},       {"aesxcbc", 9, 9, 16},
        {"aes128gmac", 11, 11, 20}, {"aes192gmac", 12, 12, 28}, {"aes256gmac", 13, 13, 36},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(all); i++) {
        struct ikev1_pair *p = ikev1_pair_new(230 + i);

        ikev1_pair_set_ah(p, 0, all[i].words);
        ikev1_pair_set_ah(p, 1, all[i].words);
        struct ikev1_wire_transform t = offered(p, 0);

        CHECK_EQUAL(t.id, all[i].id);
        CHECK_EQUAL(t.auth_algorithm, all[i].mac);
        ikev1_pair_start(p, (unsigned)i % 2);
        CHECK(ikev1_pair_run(p));
        CHECK(carries(p));
        CHECK_EQUAL(ikev1_pair_outbound(p, 0, "net")->key_bytes, all[i].key_bytes);
        ikev1_pair_free(p);
    }
}

TEST(every_group_gives_new_keys_in_quick_mode)
{
    static const struct {
        const char *word;
        uint16_t number;
    } all[] = {
        {"modp768", 1},       {"modp1024", 2},      {"modp1536", 5},      {"modp2048", 14},
        {"modp3072", 15},     {"modp4096", 16},     {"modp6144", 17},     {"modp8192", 18},
        {"ecp256", 19},       {"ecp384", 20},       {"ecp521", 21},       {"ecp192", 25},
        {"ecp224", 26},       {"brainpool224", 27}, {"brainpool256", 28}, {"brainpool384", 29},
        {"brainpool512", 30}, {"x25519", 31},       {"x448", 32},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(all); i++) {
        struct ikev1_pair *p = ikev1_pair_new(250 + i);
        char words[64];
        struct text text = text_over(words, sizeof(words));

        text_addf(&text, "aes128-sha256-%s", all[i].word);
        ikev1_pair_set_esp(p, 0, words);
        ikev1_pair_set_esp(p, 1, words);
        CHECK_EQUAL(offered(p, all[i].number).group, all[i].number);
        ikev1_pair_start(p, (unsigned)i % 2);
        CHECK(ikev1_pair_run(p));
        CHECK(carries(p));
        CHECK_EQUAL(ikev1_pair_outbound(p, 0, "net")->info.suite.key_exchange, all[i].number);
        ikev1_pair_free(p);
    }
}

/* What has no number in IKEv1 is not offered, and alone it is told. */
TEST(what_ikev1_cannot_say_is_not_offered)
{
    static const char *const words[] = {"chacha20poly1305", "aes128-aescmac", "aes256gcm16iiv"};

    for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
        struct ikev1_pair *p = ikev1_pair_new(280 + i);

        ikev1_pair_set_esp(p, 0, words[i]);
        ikev1_pair_start(p, 0);
        CHECK(ikev1_pair_run(p));
        CHECK_EQUAL(p->side[0].child_failure.reason, IKEV1_FAIL_CHILD_NO_PROPOSAL);
        CHECK_EQUAL(p->side[1].child_failed, 0);
        CHECK_EQUAL(ikev1_pair_live_children(p, 0), 0);
        ikev1_pair_free(p);
    }
}
