/* Manual blocks: what they become, every mistake in them, and that keys fit their algorithms. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/testbed.h"
#include "tests/support/test.h"

static const char museum[] = "gateway tokyo.example.jp\n"
                             "manual museum {\n"
                             "  legacy  static-keys des md5 sha1\n"
                             "  outer   203.0.113.1 198.51.100.9\n"
                             "  inner   10.1.0.0/16 10.4.0.0/16\n"
                             "  esp out spi 0x1001 cipher des @m-ce auth hmac-md5 @m-ae\n"
                             "  esp in  spi 0x1002 cipher des @m-cd auth hmac-md5 @m-ad\n"
                             "  ah  out spi 0x2001 auth hmac-sha1 @m-ah-out\n"
                             "  ah  in  spi 8194 auth hmac-sha1 @m-ah-in\n"
                             "}\n";

static void check_same_twice(const struct config *c)
{
    for (int all = 0; all < 2; all++) {
        char *text = config_show(c, all == 1);
        struct config *again = testbed_good(text);
        CHECK(again->hash == c->hash);
        CHECK(again->manuals[0].hash == c->manuals[0].hash);
        char *second = config_show(again, all == 1);
        CHECK_TEXT(second, text);
        free(second);
        config_free(again);
        free(text);
    }
}

TEST(a_manual_block_becomes_what_it_says)
{
    struct config *c = testbed_good(museum);
    const struct config_manual *m = &c->manuals[0];

    CHECK_EQUAL(c->manual_count, 1);
    CHECK(config_find_manual(c, "museum") == m && config_find_manual(c, "x") == NULL);
    CHECK_TEXT(m->name, "museum");
    CHECK_EQUAL(m->local.bytes[0], 203);
    CHECK_EQUAL(m->peer.bytes[3], 9);
    CHECK(m->lan_count == 1 && m->network_count == 1);
    CHECK(m->lans[0].address.bytes[1] == 1 && m->networks[0].address.bytes[1] == 4);
    CHECK(m->esp.present && m->esp.spi_out == 0x1001 && m->esp.spi_in == 0x1002);
    CHECK(m->esp.encryption == ENCRYPTION_DES && m->esp.integrity == INTEGRITY_HMAC_MD5_96);
    CHECK_TEXT(m->esp.cipher_out.name, "m-ce");
    CHECK_TEXT(m->esp.cipher_in.name, "m-cd");
    CHECK_TEXT(m->esp.auth_out.name, "m-ae");
    CHECK_TEXT(m->esp.auth_in.name, "m-ad");
    CHECK(m->ah.present && m->ah.spi_out == 0x2001 && m->ah.spi_in == 0x2002);
    CHECK(m->ah.encryption == ENCRYPTION_NONE && m->ah.integrity == INTEGRITY_HMAC_SHA1_96);
    CHECK_TEXT(m->ah.auth_out.name, "m-ah-out");
    CHECK_TEXT(m->ah.auth_in.name, "m-ah-in");
    CHECK(!m->esn && m->replay_window == 0 && m->local_port == 0);
    CHECK(m->routes && m->enabled && m->only_protocol == 0 && m->only_port_last == 65535);
    CHECK_TEXT(m->legacy, "static-keys des md5 sha1");
    check_same_twice(c);
    config_free(c);
}

#define ESP_PAIR                                                                                   \
    "esp out spi 0x1001 cipher aes256 @a auth sha256 @b\n"                                         \
    "esp in spi 0x1002 cipher aes256 @c auth sha256 @d\n"
#define BLOCK(name, more)                                                                          \
    "manual " name " {\nlegacy static-keys\nouter 203.0.113.1 198.51.100.9\n" more "\n}\n"

TEST(all_words_of_a_manual_block_read_as_the_same)
{
    struct config *c = testbed_good("gateway g\nport 500 nat 4501\n" BLOCK(
        "m", ESP_PAIR
        "inner 10.1.0.0/16 10.2.0.0/16 to 10.4.0.0/16\ninner 10.1.0.0/16 10.5.0.0/16\n"
        "only tcp 1000-2000; esn; replay-window 64; encapsulate 4501 4500; mss 1200; mtu 1300\n"
        "df copy; fragment after; dscp clear; iptfs rate 1Gb/s; compress on; routes off; "
        "disabled") BLOCK("n", "mode transport; tfc dummy 1s; encapsulate off\n"
                               "esp out spi 4294967295 cipher aes128 @a auth sha512 @b\n"
                               "esp in spi 256 cipher aes128 @c auth sha512 @d\n"));
    const struct config_manual *m = &c->manuals[0];

    CHECK(m->lan_count == 2 && m->network_count == 2);
    CHECK(m->only_protocol == 6 && m->only_port_first == 1000 && m->only_port_last == 2000);
    CHECK(m->esn && m->replay_window == 64 && m->local_port == 4501 && m->peer_port == 4500);
    CHECK(m->mss == 1200 && m->mtu == 1300 && m->carriage.df == CONFIG_DF_COPY);
    CHECK(m->carriage.fragment == CONFIG_FRAGMENT_AFTER && m->carriage.dscp == CONFIG_DSCP_CLEAR);
    CHECK(m->carriage.iptfs.bits_per_second == 1000000000 && m->carriage.compress);
    CHECK(!m->routes && !m->enabled && m->esp.key_bits == 256);
    CHECK(c->manuals[1].carriage.mode == CONFIG_TRANSPORT && c->manuals[1].lan_count == 0);
    CHECK(c->manuals[1].esp.spi_out == UINT32_MAX && c->manuals[1].esp.spi_in == 256);
    CHECK_EQUAL(c->manuals[1].carriage.tfc_dummy_ms, 1000);
    check_same_twice(c);
    config_free(c);
}

TEST(ah_is_sent_in_pieces_of_64_bits_when_it_is_said)
{
    struct config *c = testbed_good("gateway g\n" BLOCK(
        "m", "mode transport; only tcp 80; ah-align 64\nah out spi 257 auth sha512 @b\n"
             "ah in spi 257 auth sha512 @d\n")
                                        BLOCK("n", "inner 10.1.0.0/16 10.4.0.0/16\n" ESP_PAIR));

    CHECK(c->manuals[0].ah_align == CONFIG_AH_ALIGN_64);
    CHECK(c->manuals[1].ah_align == CONFIG_AH_ALIGN_32);
    check_same_twice(c);
    config_free(c);
}

TEST(long_lists_of_networks_are_shown_in_lines_that_can_be_read)
{
    char *text = malloc(80000);
    size_t used = (size_t)sprintf(text, "gateway g\n" BLOCK("m", ESP_PAIR "inner"));

    used -= 3;
    for (int i = 0; i < 3000; i++) {
        used += (size_t)sprintf(text + used, " 10.1.%d.%d", i / 250, i % 250);
        used += (size_t)sprintf(text + used, i == 9 ? " to 10.9.0.0/16; inner" : "%s", "");
        if (i > 9 && i % 1000 == 0) {
            used += (size_t)sprintf(text + used, " to 10.9.0.0/16; inner");
        }
    }
    sprintf(text + used, " to 10.9.0.0/16\n}\n");
    struct config *c = testbed_good(text);
    CHECK_EQUAL(c->manuals[0].lan_count, 3000);
    CHECK_EQUAL(c->manuals[0].network_count, 1);
    check_same_twice(c);
    config_free(c);
    free(text);
}

/* A block with outer addresses, networks and one pair of SAs; and what is wrong then. */
#define GOOD_OUT "esp out spi 0x1001 cipher aes256 @a auth sha256 @b\n"
#define GOOD_IN "esp in spi 0x1002 cipher aes256 @c auth sha256 @d\n"

static const struct {
    const char *statements;
    const char *column;
    const char *told;
} mistakes[] = {
    {GOOD_OUT, "6:1", "write 'esp in' too"},
    {GOOD_IN, "6:1", "write 'esp out' too"},
    {"", "2:8", "manual block m has neither esp nor ah"},
    {GOOD_OUT GOOD_OUT GOOD_IN, "7:5", "'esp out' is said twice, first on line 6"},
    {"esp up spi 256 cipher aes256 @a auth sha256 @b", "6:5", "'up' is neither out nor in"},
    {"esp out spi 255 cipher aes256 @a auth sha256 @b", "6:13", "reserved SPI"},
    {"esp out spi 0 cipher aes256 @a auth sha256 @b", "6:13", "RFC 4303 2.1"},
    {"esp out spi 0xff cipher aes256 @a auth sha256 @b", "6:13", "reserved SPI"},
    {"esp out spi 0x100000000 cipher aes256 @a auth sha256 @b", "6:13", "an SPI has 32 bits"},
    {"esp out spi 0x cipher aes256 @a auth sha256 @b", "6:13", "0x is not an SPI"},
    {"esp out spi x cipher aes256 @a auth sha256 @b", "6:13", "a number such as 0x1001 or 4097"},
    {"esp out spi 0300 cipher aes256 @a auth sha256 @b", "6:13", "did you mean 300 ?"},
    {"esp out spi 300 spi 301 cipher null", "6:17", "'spi' is said twice"},
    {"esp out cipher aes256 @a auth sha256 @b", "6:1", "this SA has no SPI"},
    {"esp out spi 300 auth sha256 @b", "6:1", "this SA has no cipher"},
    {"ah out spi 300 spi", "6:16", "'spi' is said twice"},
    {"esp out cipher aes256 @a spi", "6:26", "'spi' needs its value behind it"},
    {"esp out spi 300 cipher aes256 auth sha256 @b", "6:24", "aes256 needs a key"},
    {"esp out spi 300 cipher aes256 @a auth sha256", "6:39", "sha256 needs a key"},
    {"esp out spi 300 cipher aes256 secret auth sha256 @b", "6:31", "the key itself does not"},
    {"esp out spi 300 cipher aes265 @a auth sha256 @b", "6:24", "did you mean 'aes256' ?"},
    {"esp out spi 300 cipher sha256 @a", "6:24", "'sha256' is no algorithm"},
    {"esp out spi 300 cipher aes256 @a auth aes256 @b", "6:39", "such as sha256"},
    {"esp out spi 300 key @a", "6:17", "'key' is none of spi, cipher and auth"},
    {"ah out spi 300 cipher aes256 @a", "6:16", "AH has no cipher: it hides nothing"},
    {"esp out spi 300 cipher aes256gcm16 @a", "6:24", "(RFC 4106 2)"},
    {"esp out spi 300 cipher aes128ctr @a auth sha256 @b", "6:24", "(RFC 3686 2.1)"},
    {"esp out spi 300 cipher aes128ccm8 @a", "6:24", "(RFC 4309 2)"},
    {"esp out spi 300 cipher chacha20poly1305 @a", "6:24", "(RFC 7634 2)"},
    {"esp out spi 300 cipher aes128gmac @a", "6:24", "(RFC 4543 2)"},
};

static const struct {
    const char *statements;
    const char *column;
    const char *told;
} pairs[] = {
    {"esp out spi 300 cipher aes256 @a\nesp in spi 301 cipher aes256 @b", "6:1",
     "encryption without integrity is refused"},
    {"esp out spi 300 cipher aes256 @a\nesp in spi 301 cipher aes256 @b\n"
     "ah out spi 302 auth sha256 @c; ah in spi 303 auth sha256 @d",
     "6:1", "also within AH"},
    {"esp out spi 300 cipher null\nesp in spi 301 cipher null; legacy null", "6:1",
     "protects nothing"},
    {"esp out spi 300 cipher null\nesp in spi 301 cipher null; legacy null\n"
     "ah out spi 302 auth sha256 @c; ah in spi 303 auth sha256 @d",
     "6:1", "protects nothing"},
    {"esp out spi 300 cipher null auth sha256 @c\nesp in spi 301 cipher null auth sha256 @d",
     "6:24", "write: legacy null"},
    {"esp out spi 300 cipher des @a auth sha256 @c\nesp in spi 301 cipher des @b auth sha256 @d",
     "6:24", "write: legacy des"},
    {"esp out spi 300 cipher aes256 @a auth sha1 @c\nesp in spi 301 cipher aes256 @b auth sha1 @d",
     "6:39", "write: legacy sha1"},
    {GOOD_OUT "esp in spi 301 cipher aes128 @b auth sha256 @d", "7:23",
     "both directions have the same cipher"},
    {GOOD_OUT "esp in spi 301 cipher aes256 @b auth sha512 @d", "7:38",
     "both directions have the same integrity algorithm"},
    {GOOD_OUT "esp in spi 301 cipher aes256 @b", "7:1", "'esp out' has another one"},
    {GOOD_OUT GOOD_IN "outer 203.0.113.1 198.51.100.9", "8:1", "'outer' is said twice"},
    {GOOD_OUT GOOD_IN "inner 10.1.0.0/16", "8:1", "'inner' needs"},
    {GOOD_OUT GOOD_IN "inner 10.1.0.0/16 10.2.0.0/16 10.3.0.0/16", "8:7", "with 'to' between"},
    {GOOD_OUT GOOD_IN "inner to 10.1.0.0/16", "8:7", "networks belong on both sides of 'to'"},
    {GOOD_OUT GOOD_IN "inner 10.1.0.0/16 to", "8:19", "networks belong on both sides of 'to'"},
    {GOOD_OUT GOOD_IN "inner 10.1.0.0/16 to 10.6.0.0/16 to 10.7.0.0/16", "8:34",
     "'to' stands once"},
    {GOOD_OUT GOOD_IN "inner 10.1.0.0/16 10.6.0.1/16", "8:19", "did you mean 10.6.0.0/16 ?"},
    {GOOD_OUT GOOD_IN "mode transport", "5:1", "transport mode is between the two hosts"},
    {GOOD_OUT GOOD_IN "encapsulate 4500 0", "8:18", "from 1 to 65535"},
    {GOOD_OUT GOOD_IN "encapsulate always", "8:13", "always is not a number"},
    {GOOD_OUT GOOD_IN "encapsulate off 4500", "8:17", "'off' stands alone"},
    {GOOD_OUT GOOD_IN "encapsulate 500 4500", "8:13", "did you mean: encapsulate 4500 4500 ?"},
    {GOOD_OUT GOOD_IN "encapsulate 4500; ah out spi 302 auth sha256 @e; ah in spi 303 auth sha256 "
                      "@f",
     "8:1", "AH cannot travel in UDP"},
    {"ah out spi 302 auth sha256 @e; ah in spi 303 auth sha256 @f\ntfc pad mtu", "7:1",
     "AH hides nothing"},
    {GOOD_OUT GOOD_IN "replay-window 5", "8:15", "from 32 to 65536"},
    {GOOD_OUT GOOD_IN "peer x", "8:1", "did you mean 'outer' ?"},
    {GOOD_OUT GOOD_IN "lifetime ike 4h", "8:1", "it belongs in a block: site NAME { ... }"},
    {GOOD_OUT GOOD_IN "frobnicate", "8:1", "unknown word 'frobnicate' in manual"},
    {GOOD_OUT GOOD_IN "ah out spi 302 auth sha256 @e; ah in spi 0x1002 auth sha256 @f", "8:42",
     "manual block m has this inbound SPI already (line 7)"},
    {GOOD_OUT GOOD_IN "} manual n { mode transport; legacy static-keys; outer 192.0.2.1 192.0.2.2\n"
                      "esp out spi 400 cipher aes256 @a auth sha256 @b\n"
                      "esp in spi 4098 cipher aes256 @c auth sha256 @d",
     "10:12", "manual block m has this inbound SPI already (line 7)"},
    {GOOD_OUT GOOD_IN "} site m { peer x; network 10.8.0.0/16; key @x; lan 10.1.0.0/16", "8:8",
     "there is a manual block m already (line 2)"},
    {GOOD_OUT GOOD_IN "} site n { peer x; network 10.4.0.0/16; key @x; lan 10.1.0.0/16", "5:19",
     "network 10.4.0.0/16 is behind site n too (line 8; SEK-N003)"},
    {GOOD_OUT GOOD_IN "} manual n { legacy static-keys; inner 10.1.0.0/16 10.5.0.0/16\n"
                      "esp out spi 400 cipher aes256 @a auth sha256 @b\n"
                      "esp in spi 401 cipher aes256 @c auth sha256 @d",
     "8:10", "manual block n has no outer addresses"},
};

static void check_mistake(const char *statements, const char *column, const char *told)
{
    char text[900];
    char place[40];

    snprintf(text, sizeof(text),
             "gateway g\nmanual m {\nlegacy static-keys\nouter 203.0.113.1 198.51.100.9\n"
             "inner 10.1.0.0/16 10.4.0.0/16\n%s\n}\n",
             statements);
    snprintf(place, sizeof(place), "c.conf:%s: error: ", column);
    char *words = testbed_words(text);
    bool good = strstr(words, place) != NULL && strstr(words, told) != NULL;

    if (!good) {
        print_message("%s\n%s", statements, words);
    }
    CHECK(good);
    free(words);
}

TEST(mistakes_in_a_line_are_told_at_their_places)
{
    for (size_t i = 0; i < ARRAY_LENGTH(mistakes); i++) {
        check_mistake(mistakes[i].statements, mistakes[i].column, mistakes[i].told);
    }
}

TEST(mistakes_between_lines_are_told_at_their_places)
{
    for (size_t i = 0; i < ARRAY_LENGTH(pairs); i++) {
        check_mistake(pairs[i].statements, pairs[i].column, pairs[i].told);
    }
}

/* Whole blocks: what is missing, and what only deserves a warning. */
static const struct {
    const char *text;
    const char *told;
} blocks[] = {
    {"manual m { }", "write: legacy static-keys"},
    {"manual m { }", "manual block m has no outer addresses"},
    {"manual m { }", "manual block m has no networks"},
    {"manual m", "'manual' needs a block in braces"},
    {"manual a/b { }", "'a/b' cannot be the name of a manual block"},
    {"manual m { legacy aggressive }", "'legacy aggressive' is for sites"},
    {"manual m { legacy static-keys aes256 }", "warning: aes256 is not weak"},
    {"manual m { outer 203.0.113.1 }", "'outer' needs OURS PEERS behind it"},
    {"manual m { outer 203.0.113.1 x }", "x is not an address"},
    {"manual m { outer 203.0.113.1 0.0.0.0 }", "this is not the address of one gateway"},
    {"manual m { outer 203.0.113.1 ::1 }", "one address is IPv4 and the other is IPv6"},
    {"manual m { outer 203.0.113.1 203.0.113.1 }", "both sides have the same address"},
    {BLOCK("m", "inner 10.1.0.0/16 10.4.0.0/16; esn\n" ESP_PAIR), "warning: the upper half"},
    {BLOCK("m", "inner 10.1.0.0/16 10.4.0.0/16; replay-window 64\n" ESP_PAIR),
     "warning: when the peer restarts, its numbers begin again"},
    {BLOCK("m", "mode transport\nesp out spi 300 cipher aes256 @a auth sha256 @b\n"
                "esp in spi 301 cipher aes256 @a auth sha256 @d\n"),
     "warning: @a is the key of both directions"},
    {BLOCK("m", "inner 10.1.0.0/16 10.4.0.0/16; ah-align 64\n" ESP_PAIR), "this block has no AH"},
    {"manual m { outer 2001:db8::1 2001:db8::2; ah-align 64\nah out spi 300 auth sha256 @b\n"
     "ah in spi 301 auth sha256 @d\n}",
     "AH over IPv6 is a multiple of 64 bits always"},
    {"manual m { ah-align 48 }", "one of: 32 64"},
    {BLOCK("m", "inner 10.1.0.0/16 2001:db8::/32\n" ESP_PAIR),
     "warning: no lan of manual block m is IPv6"},
    {BLOCK("m", "inner 10.1.0.0/16 10.1.3.0/24\n" ESP_PAIR) "lan 10.7.0.0/16\nsite s { peer s; "
                                                            "network 10.1.0.0/16; key @s; lan "
                                                            "10.1.0.0/17 10.7.0.0/16 }",
     "lies within 10.1.0.0/16 of site s (line 11): its traffic goes to manual block m alone"},
};

TEST(whole_blocks_are_looked_at_too)
{
    for (size_t i = 0; i < ARRAY_LENGTH(blocks); i++) {
        char text[900];
        snprintf(text, sizeof(text), "gateway g\n%s\n", blocks[i].text);
        char *words = testbed_words(text);
        if (strstr(words, blocks[i].told) == NULL) {
            print_message("%s\n%s", blocks[i].text, words);
        }
        CHECK(strstr(words, blocks[i].told) != NULL);
        free(words);
    }
}

/* ---- what the secrets hold ---- */

static char *words_with_keys(const char *text, const char *cipher_key, const char *auth_key)
{
    struct testbed *t = malloc(sizeof(*t));

    testbed_init(t);
    testbed_has_secrets(t);
    testbed_add(t, "secrets/m-ce", cipher_key);
    testbed_add(t, "secrets/m-cd", "0x0123456789abcdef");
    testbed_add(t, "secrets/m-ae", auth_key);
    testbed_add(t, "secrets/m-ad", "0sAAECAwQFBgcICQoLDA0ODw==\n");
    testbed_add(t, "secrets/m-ah-out", "0x000102030405060708090a0b0c0d0e0f10111213");
    testbed_add(t, "secrets/m-ah-in", "AAECAwQFBgcICQoLDA0ODxAREhM=");
    struct config_result *result = testbed_read(t, text);
    char *words = config_diagnostics_text(result);

    config_result_free(result);
    free(t);
    return words;
}

TEST(keys_have_the_length_of_their_algorithms)
{
    static const char auth[] = "0x000102030405060708090a0b0c0d0e0f";
    static const struct {
        const char *cipher, *auth;
        const char *told;
    } keys[] = {
        {"0x23456789abcdef01", auth, "1 file, 0 errors, 0 warnings."},
        {"0x23456789abcdef", auth, "c.conf:6:33: error: @m-ce is 7 octets; DES keys have 8"},
        {"swordfish", auth, "@m-ce is neither base64 nor 0x with hexadecimal digits"},
        {"0x0101010101010101", auth, "@m-ce is one of the sixteen weak keys of DES"},
        {"0x23456789abcdef01", "0x00", "6:53: error: @m-ae is 1 octet; HMAC-MD5"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(keys); i++) {
        char *words = words_with_keys(museum, keys[i].cipher, keys[i].auth);
        if (strstr(words, keys[i].told) == NULL) {
            print_message("%s", words);
        }
        CHECK(strstr(words, keys[i].told) != NULL);
        CHECK(strstr(words, "swordfish") == NULL && strstr(words, "23456789") == NULL);
        free(words);
    }
}

TEST(the_plan_names_manual_blocks_and_what_changed_in_them)
{
    char text[1024];
    struct config *before = testbed_good(museum);
    snprintf(text, sizeof(text),
             "gateway tokyo.example.jp\n" BLOCK("new", "mode transport\n" ESP_PAIR));
    struct config *after = testbed_good(text);
    struct config_change list[4];

    CHECK_EQUAL(config_compare(before, after, list, 4), 2);
    CHECK(list[0].kind == SITE_REMOVED && list[0].old_manual == &before->manuals[0]);
    CHECK_TEXT(config_change_name(&list[0]), "museum");
    CHECK(list[1].kind == SITE_ADDED && list[1].new_manual == &after->manuals[0]);
    CHECK_TEXT(config_change_name(&list[1]), "new");
    CHECK(list[1].new_site == NULL && list[1].old_manual == NULL);
    CHECK_EQUAL(config_compare(before, before, list, 4), 1);
    CHECK_EQUAL(list[0].kind, SITE_UNCHANGED);
    config_free(after);
    char *other = malloc(sizeof(museum));
    memcpy(other, museum, sizeof(museum));
    memcpy(strstr(other, "0x1002"), "0x1003", 6);
    after = testbed_good(other);
    CHECK_EQUAL(config_compare(before, after, list, 4), 1);
    CHECK_EQUAL(list[0].kind, SITE_CHANGED);
    CHECK_TEXT(list[0].words, "esp changed: tunnels will be made anew without a gap");
    CHECK(before->hash != after->hash);
    free(other);
    config_free(after);
    config_free(before);
}
