/* Modes, AH, padding, rates: what each word makes of a site, and what cannot go together. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/testbed.h"
#include "tests/support/test.h"

static struct config *site_with(const char *more)
{
    char text[512];

    snprintf(text, sizeof(text), GATEWAY SITE("a", "10.2.0.0/16", "%s"), more);
    return testbed_good(text);
}

TEST(a_site_is_a_tunnel_of_esp_unless_something_else_is_said)
{
    struct config *c = site_with("");
    const struct config_site *site = &c->sites[0];
    const struct config_carriage *carriage = &site->carriage;

    CHECK(site->protection == CONFIG_ESP && site->ah == NULL && site->each == CONFIG_EACH_OFF);
    CHECK(site->mtu_probe);
    CHECK(carriage->mode == CONFIG_TUNNEL && carriage->df == CONFIG_DF_SET);
    CHECK(carriage->fragment == CONFIG_FRAGMENT_BEFORE && carriage->dscp == CONFIG_DSCP_COPY);
    CHECK(carriage->tfc_bytes == 0 && carriage->tfc_dummy_ms == 0);
    CHECK(!carriage->iptfs.enabled && !carriage->compress);
    CHECK(c->icmp_errors == CONFIG_ICMP_RELAY && c->guard == CONFIG_GUARD_AUTO);
    config_free(c);
}

TEST(each_word_says_what_it_means)
{
    struct config *c = site_with("df clear; fragment after; dscp clear; tfc pad 1400 dummy 1500ms\n"
                                 "compress on; each connection; mtu-probe off");
    const struct config_site *site = &c->sites[0];

    CHECK(site->carriage.df == CONFIG_DF_CLEAR);
    CHECK(site->carriage.fragment == CONFIG_FRAGMENT_AFTER);
    CHECK(site->carriage.dscp == CONFIG_DSCP_CLEAR);
    CHECK(site->carriage.tfc_bytes == 1400 && site->carriage.tfc_dummy_ms == 1500);
    CHECK(site->carriage.compress && !site->mtu_probe && site->each == CONFIG_EACH_CONNECTION);
    config_free(c);
    c = site_with("tfc pad mtu; df copy; each host");
    CHECK(c->sites[0].carriage.tfc_bytes == CONFIG_TFC_MTU);
    CHECK(c->sites[0].carriage.df == CONFIG_DF_COPY && c->sites[0].each == CONFIG_EACH_HOST);
    config_free(c);
}

TEST(packets_at_a_fixed_rate)
{
    struct config *c = site_with("iptfs rate 2500kb/s size 1400 congestion-control");
    const struct config_iptfs *iptfs = &c->sites[0].carriage.iptfs;

    CHECK(iptfs->enabled && iptfs->congestion_control);
    CHECK(iptfs->bits_per_second == 2500000 && iptfs->packet_bytes == 1400);
    char *text = config_show(c, false);
    CHECK(strstr(text, "iptfs   rate 2500kb/s size 1400 congestion-control\n") != NULL);
    free(text);
    config_free(c);
    c = site_with("iptfs off");
    CHECK(!c->sites[0].carriage.iptfs.enabled);
    config_free(c);
}

static bool has(const struct proposal *p, uint8_t type, uint16_t id)
{
    bool found = false;

    for (size_t i = 0; i < p->count; i++) {
        found = found || (p->transforms[i].type == type && p->transforms[i].id == id);
    }
    return found;
}

TEST(ah_has_proposals_of_its_own)
{
    struct config *c = site_with("ah");
    const struct config_site *site = &c->sites[0];

    CHECK(site->protection == CONFIG_AH && site->ah_is_default && site->ah->count > 0);
    for (size_t i = 0; i < site->ah->count; i++) {
        CHECK_EQUAL(site->ah->list[i].protocol, PROTOCOL_AH);
        for (size_t j = 0; j < site->ah->list[i].count; j++) {
            CHECK(site->ah->list[i].transforms[j].type != TRANSFORM_ENCRYPTION);
        }
    }
    char *text = config_show(c, false);
    CHECK(strstr(text, "\n  ah\n") != NULL && strstr(text, "esp") == NULL);
    free(text);
    config_free(c);
    c = site_with("ah sha256 sha512; pfs off");
    CHECK(c->sites[0].protection == CONFIG_AH && c->sites[0].ah->count == 2);
    CHECK(has(&c->sites[0].ah->list[0], TRANSFORM_INTEGRITY, INTEGRITY_HMAC_SHA2_256_128));
    CHECK(!has(&c->sites[0].ah->list[0], TRANSFORM_KEY_EXCHANGE, KEY_EXCHANGE_X25519));
    config_free(c);
    /* With PFS the key exchanges of the negotiation are those of AH too. */
    c = site_with("ah sha256; ike aes128-sha256-x25519");
    CHECK(has(&c->sites[0].ah->list[0], TRANSFORM_INTEGRITY, INTEGRITY_HMAC_SHA2_256_128));
    CHECK(has(&c->sites[0].ah->list[0], TRANSFORM_KEY_EXCHANGE, KEY_EXCHANGE_X25519));
    config_free(c);
    c = site_with("ah; legacy md5");
    const struct proposals *ah = c->sites[0].ah;
    CHECK(has(&ah->list[ah->count - 1], TRANSFORM_INTEGRITY, INTEGRITY_HMAC_MD5_96));
    config_free(c);
}

TEST(transport_mode_is_between_two_hosts)
{
    struct config *c = testbed_good(
        "gateway g.example\n"
        "site mail { peer mail.example; key @mail; mode transport; only tcp 25 both; compress on;\n"
        "            tfc dummy 5s; esp aes128gcm16 }\n"
        "site x { peer x.example; network 192.0.2.7; lan 192.0.2.1/32; key @x; mode transport }\n");
    const struct config_site *mail = &c->sites[0];

    CHECK(mail->carriage.mode == CONFIG_TRANSPORT);
    CHECK(mail->network_count == 0 && mail->lan_count == 0);
    CHECK(mail->only_both && mail->only_port_first == 25 && !c->sites[1].only_both);
    CHECK(mail->carriage.fragment == CONFIG_FRAGMENT_AFTER);
    CHECK(c->sites[1].network_count == 1 && c->sites[1].lan_count == 1);
    for (int all = 0; all < 2; all++) {
        char *text = config_show(c, all == 1);
        struct config *again = testbed_good(text);
        CHECK(again->hash == c->hash);
        CHECK((strstr(text, "fragment") != NULL) == (all == 1));
        config_free(again);
        free(text);
    }
    config_free(c);
}

/* A site with a peer and a key, and what makes it impossible. */
static const struct {
    const char *statements;
    const char *column;
    const char *told;
} impossible[] = {
    {"network 10.2.0.0/16; mode transport", "5:9", "a network is none"},
    {"network 192.0.2.1 192.0.2.2; mode transport", "5:19", "a network is none"},
    {"lan 10.1.2.0/24; mode transport", "5:5", "a network is none"},
    {"mode transport; peer two.example", "4:6", "transport mode is with one host"},
    {"mode transport; df copy", "5:17", "transport mode has no outer header"},
    {"mode transport; dscp clear", "5:17", "transport mode has no outer header"},
    {"mode transport; tfc pad mtu", "5:17", "RFC 4303 2.7"},
    {"mode transport; fragment before", "5:17", "RFC 4303 3.3.4"},
    {"mode transport; iptfs rate 1Mb/s", "5:17", "it is for tunnel mode (RFC 9347)"},
    {"mode transport; each host", "5:17", "there is nothing to divide"},
    {"network 10.2.0.0/16; per-worker-sas", "5:22", "'per-worker-sas' needs"},
    {"network 10.2.0.0/16; per-worker-sas 0", "5:37", "from 1 to 16"},
    {"network 10.2.0.0/16; per-worker-sas 17", "5:37", "from 1 to 16"},
    {"network 10.2.0.0/16; per-worker-sas many", "5:37", "auto, off, or how many"},
    {"network 10.2.0.0/16; per-worker-sas 4; each host", "5:22", "many SAs already"},
    {"network 10.2.0.0/16; per-worker-sas 4; iptfs rate 1Mb/s", "5:22", "one SA sends all"},
    {"network 10.2.0.0/16; mode transprot", "5:27", "did you mean 'transport' ?"},
    {"network 10.2.0.0/16; ah; encapsulate always", "5:26", "AH cannot travel in UDP"},
    {"network 10.2.0.0/16; ah; esp aes256gcm16", "5:26", "not on one within the other"},
    {"network 10.2.0.0/16; ah; tfc pad mtu", "5:26", "AH hides nothing"},
    {"network 10.2.0.0/16; ah; iptfs rate 1Mb/s", "5:26", "AH hides nothing"},
    {"network 10.2.0.0/16; ah aes256-sha256", "5:25", "AH has no cipher: leave it out"},
    {"network 10.2.0.0/16; ah md5", "5:25", "md5 needs the word 'legacy'"},
    {"network 10.2.0.0/16; ah sha265", "5:25", "did you mean 'sha256' ?"},
    {"network 10.2.0.0/16; ah x25519", "5:25", "this AH proposal cannot be used"},
    {"network 10.2.0.0/16; iptfs rate 1Mb/s; tfc dummy 1s", "5:40", "one size and one rate"},
    {"network 10.2.0.0/16; iptfs", "5:22", "'iptfs' needs off | rate RATE"},
    {"network 10.2.0.0/16; iptfs on", "5:28", "none of off, rate, size"},
    {"network 10.2.0.0/16; iptfs off rate 1Mb/s", "5:32", "'off' stands alone"},
    {"network 10.2.0.0/16; iptfs size 1400", "5:22", "'iptfs' needs its rate"},
    {"network 10.2.0.0/16; iptfs rate", "5:28", "'rate' needs its value behind it"},
    {"network 10.2.0.0/16; iptfs rate 10", "5:33", "did you mean 10Mb/s ?"},
    {"network 10.2.0.0/16; iptfs rate 10kbit", "5:33", "did you mean 10kb/s ?"},
    {"network 10.2.0.0/16; iptfs rate 10Gbps", "5:33", "did you mean 10Gb/s ?"},
    {"network 10.2.0.0/16; iptfs rate fast", "5:33", "fast is not a rate"},
    {"network 10.2.0.0/16; iptfs rate 1b/s", "5:33", "from 1kb/s to 1000Gb/s"},
    {"network 10.2.0.0/16; iptfs rate 1Mb/s rate 2Mb/s", "5:39", "'rate' is said twice"},
    {"network 10.2.0.0/16; iptfs rate 1Mb/s size 100", "5:44", "from 128 to 65535"},
    {"network 10.2.0.0/16; tfc pad", "5:22", "'tfc' needs"},
    {"network 10.2.0.0/16; tfc pad 63", "5:30", "from 64 to 65534"},
    {"network 10.2.0.0/16; tfc pad big", "5:30", "or: tfc pad mtu"},
    {"network 10.2.0.0/16; tfc dummy 5", "5:32", "did you mean 5s"},
    {"network 10.2.0.0/16; tfc dummy 1s pad", "5:35", "'pad' needs its value behind it"},
    {"network 10.2.0.0/16; tfc pads mtu", "5:26", "'pads' is neither pad nor dummy"},
    {"network 10.2.0.0/16; tfc pad mtu; tfc pad off", "5:39", "'tfc pad' is said twice"},
    {"network 10.2.0.0/16; each user", "5:27", "one of: off host connection"},
    {"network 10.2.0.0/16; df keep", "5:25", "one of: set copy clear"},
    {"network 10.2.0.0/16; dscp set", "5:27", "one of: copy clear"},
    {"network 10.2.0.0/16; fragment afetr", "5:31", "did you mean 'after' ?"},
    {"network 10.2.0.0/16; compress yes", "5:31", "did you mean 'on' ?"},
    {"network 10.2.0.0/16; ipcomp yes", "5:22", "did you mean 'compress' ?"},
};

TEST(what_cannot_be_is_refused_with_its_reason)
{
    for (size_t i = 0; i < ARRAY_LENGTH(impossible); i++) {
        char text[400];
        char place[40];
        snprintf(text, sizeof(text), GATEWAY "site a {\npeer 192.0.2.7; key @k\n%s\n}\n",
                 impossible[i].statements);
        snprintf(place, sizeof(place), "c.conf:%s: error: ", impossible[i].column);
        char *words = testbed_words(text);
        bool good = strstr(words, place) != NULL && strstr(words, impossible[i].told) != NULL &&
                    strstr(words, "1 error,") != NULL;
        if (!good) {
            print_message("%s\n%s", impossible[i].statements, words);
        }
        CHECK(good);
        free(words);
    }
}

#define BAD_MANUAL                                                                                 \
    "} manual b { mode transport; legacy static-keys; outer 192.0.2.1 192.0.2.7; "                 \
    "esp out spi 256 cipher aes256 @a auth sha256 @b; "                                            \
    "esp in spi 257 cipher aes256 @c auth sha256 @d"

TEST(a_host_has_its_traffic_in_one_place)
{
    static const char *const good[] = {
        "only tcp 25 } site b { peer 192.0.2.7; say b; key @k; mode transport; only tcp 80",
        "only tcp 25 } site b { peer 192.0.2.7; say b; key @k; mode transport; only udp",
        "} site b { peer 192.0.2.8; key @k; mode transport",
        "} site b { peer 192.0.2.7; say b; key @k; mode transport; disabled",
        "} site b { peer 192.0.2.7; say b; key @k; network 10.2.0.0/16",
    };
    static const char *const bad[] = {
        "only tcp 25 } site b { peer 192.0.2.7; say b; key @k; mode transport",
        "only tcp 25 } site b { peer 192.0.2.7; say b; key @k; mode transport; only tcp 20-30",
        BAD_MANUAL,
    };

    for (size_t i = 0; i < ARRAY_LENGTH(good) + ARRAY_LENGTH(bad); i++) {
        bool is_good = i < ARRAY_LENGTH(good);
        char text[600];
        snprintf(text, sizeof(text),
                 GATEWAY "site a { peer 192.0.2.7; key @k; mode transport; %s }",
                 is_good ? good[i] : bad[i - ARRAY_LENGTH(good)]);
        char *words = testbed_words(text);
        CHECK((strstr(words, "site a has the traffic with this host already (line 3)") == NULL) ==
              is_good);
        CHECK((strstr(words, " 0 errors") != NULL) == is_good);
        free(words);
    }
}
