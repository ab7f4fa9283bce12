/* Reading: the first configuration anybody writes, the grammar, variables, included files, all
 * bounds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/testbed.h"
#include "tests/support/test.h"

static const char task_1[] = "gateway tokyo.example.jp             # our name: identity, "
                             "certificate name, what others dial\n"
                             "lan     10.1.0.0/16                  # networks behind us\n"
                             "\n"
                             "site osaka {\n"
                             "  peer    osaka.example.jp\n"
                             "  network 10.2.0.0/16\n"
                             "  key     @osaka                     # made by: sekisho secret new "
                             "osaka   (256 bit, shown once)\n"
                             "}\n";

static struct network network_of(const char *text)
{
    struct network n;

    assert_true(network_parse(slice_of_text(text), &n));
    return n;
}

TEST(seven_lines_are_a_configuration_with_the_defaults_that_are_promised)
{
    struct config *c = testbed_good(task_1);
    struct network lan = network_of("10.1.0.0/16");
    struct network behind = network_of("10.2.0.0/16");

    CHECK_TEXT(c->gateway, "tokyo.example.jp");
    CHECK_EQUAL(c->lan_count, 1);
    CHECK(network_equal(&c->lans[0], &lan));
    CHECK_EQUAL(c->listen_count, 0);
    CHECK_EQUAL(c->port, 500);
    CHECK_EQUAL(c->nat_port, 4500);
    CHECK_TEXT(c->device, "sekisho0");
    CHECK_EQUAL(c->workers, 0);
    CHECK_EQUAL(c->cookie_threshold, 30);
    CHECK_EQUAL(c->site_count, 1);

    const struct config_site *s = config_find_site(c, "osaka");
    CHECK(s == &c->sites[0]);
    CHECK(config_find_site(c, "osaki") == NULL);
    CHECK_TEXT(s->name, "osaka");
    CHECK_EQUAL(s->peer_count, 1);
    CHECK_TEXT(s->peers[0].text, "osaka.example.jp");
    CHECK_EQUAL(s->peers[0].address.family, FAMILY_NONE);
    CHECK_EQUAL(s->peers[0].port, 0);
    CHECK(!s->peers[0].any);
    CHECK_EQUAL(s->network_count, 1);
    CHECK(network_equal(&s->networks[0], &behind));
    CHECK_EQUAL(s->lan_count, 0);
    CHECK_EQUAL(s->only_protocol, 0);
    CHECK_EQUAL(s->only_port_first, 0);
    CHECK_EQUAL(s->only_port_last, 65535);
    CHECK_TEXT(s->key.name, "osaka");
    CHECK(s->say == NULL && s->identity == NULL);
    CHECK_TEXT(config_site_identity(s), "osaka.example.jp");
    CHECK(s->ike_is_default && s->esp_is_default);
    CHECK_EQUAL(s->pfs, PFS_PREFER);
    CHECK_EQUAL(s->ike_lifetime_ms, 4 * 3600 * 1000);
    CHECK_EQUAL(s->child_lifetime_ms, 3600 * 1000);
    CHECK_EQUAL(s->lifetime_bytes, 0);
    CHECK_EQUAL(s->lifetime_packets, 0);
    CHECK_EQUAL(s->dpd_ms, 30000);
    CHECK_EQUAL(s->encapsulate, ENCAPSULATE_AUTO);
    CHECK_EQUAL(s->start, START_NOW);
    CHECK_EQUAL(s->replay_window, 1024);
    CHECK(s->mss == 0 && s->mtu == 0);
    CHECK(s->fragmentation && s->fragment_bytes == 1280);
    CHECK(s->routes && s->enabled && !s->uses_legacy && !s->strict_identity);
    struct proposals ike;
    struct proposals esp;
    proposals_default(PROTOCOL_IKE, &ike);
    proposals_default(PROTOCOL_ESP, &esp);
    CHECK_EQUAL(s->ike->count, ike.count);
    CHECK_EQUAL(s->esp->count, esp.count);
    for (size_t i = 0; i < ike.count; i++) {
        CHECK_EQUAL(s->ike->list[i].count, ike.list[i].count);
    }
    config_free(c);
}

TEST(a_configuration_that_was_taken_outlives_its_result_and_its_text)
{
    struct testbed *t = malloc(sizeof(*t));
    char *text = strdup(task_1);

    testbed_init(t);
    struct config_result *result = testbed_read(t, text);
    CHECK_EQUAL(result->error_count, 0);
    CHECK_EQUAL(t->secrets_asked, 1);
    struct config *c = config_take(result);
    config_result_free(result);
    memset(text, 'x', sizeof(task_1) - 1);
    free(text);
    free(t);
    CHECK_TEXT(c->sites[0].peers[0].text, "osaka.example.jp");
    CHECK_TEXT(c->sites[0].name, "osaka");
    config_free(c);
}

/* The indented lines of a document from one that begins with "gateway" to the end of its
 * paragraphs; false when there is none left. */
static bool next_example(FILE *document, char *out, size_t capacity)
{
    char line[512];
    size_t used = 0;

    out[0] = '\0';
    while (fgets(line, sizeof(line), document) != NULL) {
        bool indented = strncmp(line, "    ", 4) == 0;
        if (used == 0 && strncmp(line, "    gateway ", 12) != 0) {
            continue;
        }
        if ((!indented && line[0] != '\n') || strcmp(line, "    EOF\n") == 0) {
            return true;
        }
        used += (size_t)snprintf(out + used, capacity - used, "%s", indented ? line + 4 : line);
    }
    return used > 0;
}

TEST(the_examples_of_the_documents_are_good)
{
    static const char *const documents[] = {"README.md", "docs/first-tunnel.md",
                                            "docs/ipsec-modes.md"};
    static const int expected[] = {1, 2, 10};

    for (size_t i = 0; i < ARRAY_LENGTH(documents); i++) {
        char path[512];
        char text[2048];
        int count = 0;
        snprintf(path, sizeof(path), "%s/%s", TEST_SOURCES, documents[i]);
        FILE *document = fopen(path, "r");
        assert_non_null(document);
        while (next_example(document, text, sizeof(text))) {
            struct config *c = testbed_good(text);
            CHECK(c->site_count + c->manual_count > 0);
            config_free(c);
            count++;
        }
        fclose(document);
        CHECK_EQUAL(count, expected[i]);
    }
}

TEST(every_word_is_taken)
{
    struct config *c =
        testbed_good("\xef\xbb\xbf"
                     "gateway 203.0.113.1\r\n"
                     "lan 10.1.0.0/16 2001:db8:1::/48; lan 10.5.0.0/16\r\n"
                     "listen 203.0.113.1 2001:db8::1\n"
                     "port 1500 nat 14500\n"
                     "device vpn-0.1\n"
                     "workers 32\n"
                     "cookie-threshold 0\n"
                     "half-open-max 77\n"
                     "set wide 10.9.0.0/16 2001:db8:9::/48\n"
                     "site a {\n"
                     " peer 198.51.100.7 gw.example.net port 4501\n"
                     " peer \"2001:db8::7\"\n"
                     " network $wide 10.10.0.1\n"
                     " network 10.11.0.0/16\n"
                     " lan 10.1.7.0/24\n lan 2001:db8:1:1::/64\n"
                     " only tcp 1000-2000\n"
                     " key @a.b_c-9\n"
                     " say \"C=JP, O=Partner; CN=gw1\"\n"
                     " identity @#67\n"
                     " strict-identity\n"
                     " ike v2 aes256-sha256-modp2048 aes256gcm16-prfsha384-ecp384\n"
                     " ike chacha20poly1305-prfsha256-x25519\n"
                     " esp aes256gcm16-x25519\n"
                     " pfs on\n"
                     " lifetime ike 8h child 30m\n lifetime bytes 100GiB packets 4000000000\n"
                     " dpd off\n"
                     " encapsulate always\n"
                     " start on-traffic\n"
                     " replay-window 4096\n"
                     " mss 1300\n mtu 1400\n fragmentation 576\n routes off\n disabled\n"
                     "}\n");
    const struct config_site *s = &c->sites[0];
    struct address outer;

    CHECK_TEXT(c->gateway, "203.0.113.1");
    CHECK_EQUAL(c->lan_count, 3);
    CHECK_EQUAL(c->listen_count, 2);
    CHECK(c->port == 1500 && c->nat_port == 14500);
    CHECK_TEXT(c->device, "vpn-0.1");
    CHECK_EQUAL(c->workers, 32);
    CHECK(c->cookie_threshold == 0 && c->half_open_max == 77);
    CHECK_EQUAL(s->peer_count, 3);
    assert_true(address_parse(SLICE_TEXT("198.51.100.7"), &outer));
    CHECK(address_equal(&s->peers[0].address, &outer));
    CHECK(s->peers[0].port == 4501 && s->peers[1].port == 4501 && s->peers[2].port == 0);
    CHECK_EQUAL(s->peers[2].address.family, FAMILY_IPV6);
    CHECK_EQUAL(s->network_count, 4);
    CHECK_EQUAL(s->networks[2].prefix_bits, 32);
    CHECK_EQUAL(s->lan_count, 2);
    CHECK(s->only_protocol == 6 && s->only_port_first == 1000 && s->only_port_last == 2000);
    CHECK_TEXT(s->key.name, "a.b_c-9");
    CHECK_TEXT(s->say, "C=JP, O=Partner; CN=gw1");
    CHECK_TEXT(s->identity, "@#67");
    CHECK(s->strict_identity);
    CHECK_EQUAL(s->ike->count, 3);
    CHECK_EQUAL(s->ike->list[2].transforms[0].id, ENCRYPTION_CHACHA20_POLY1305);
    CHECK_EQUAL(s->esp->count, 1);
    CHECK(!s->ike_is_default && !s->esp_is_default);
    CHECK(s->ike_lifetime_ms == 8 * 3600000 && s->child_lifetime_ms == 1800000);
    CHECK_EQUAL(s->lifetime_bytes, 100 * (UINT64_C(1) << 30));
    CHECK_EQUAL(s->lifetime_packets, 4000000000);
    CHECK(s->dpd_ms == NEVER_MS);
    CHECK_EQUAL(s->encapsulate, ENCAPSULATE_ALWAYS);
    CHECK_EQUAL(s->start, START_ON_TRAFFIC);
    CHECK_EQUAL(s->replay_window, 4096);
    CHECK(s->mss == 1300 && s->mtu == 1400);
    CHECK(s->fragmentation && s->fragment_bytes == 576);
    CHECK(!s->routes && !s->enabled);
    config_free(c);
}

TEST(statements_may_share_a_line_and_a_hash_inside_a_word_is_data)
{
    struct config *c = testbed_good("gateway g.example; lan 10.1.0.0/16;;\n"
                                    "site a{peer p.example;network 10.2.0.0/16;key @a;identity a#b}"
                                    "site b { peer q.example # ; key @wrong }\n"
                                    "network 10.3.0.0/16; key @b\n identity \"a \\\"\\\\#;{}\" }");

    CHECK_EQUAL(c->site_count, 2);
    CHECK_TEXT(c->sites[0].identity, "a#b");
    CHECK_TEXT(c->sites[1].key.name, "b");
    CHECK_TEXT(c->sites[1].identity, "a \"\\#;{}");
    config_free(c);
}

TEST(peer_any_waits_and_identity_any_is_a_word_only_without_quotes)
{
    struct config *c = testbed_good(
        GATEWAY "site a { peer any; identity any; network 10.2.0.0/16; key @a }\n"
                "site b { peer any; identity \"any\"; network 10.3.0.0/16; key @b }\n");

    CHECK(c->sites[0].peers[0].any && c->sites[0].identity_any);
    CHECK_EQUAL(c->sites[0].start, START_WAIT);
    CHECK(config_site_identity(&c->sites[0]) == NULL);
    CHECK(!c->sites[1].identity_any);
    CHECK_TEXT(config_site_identity(&c->sites[1]), "any");
    config_free(c);
}

TEST(pfs_puts_key_exchanges_into_esp_or_takes_them_out)
{
    struct config *c = testbed_good(
        GATEWAY SITE("a", "10.2.0.0/16", "ike aes128-sha256-ecp256; esp aes128gcm16")
            SITE("b", "10.3.0.0/16", "ike aes128-sha256-ecp256; esp aes128gcm16; pfs off")
                SITE("c", "10.4.0.0/16", "pfs off")
                    SITE("d", "10.5.0.0/16", "esp aes128gcm16-x448"));
    static const size_t expected[] = {1, 0, 0, 1};
    static const uint16_t group[] = {KEY_EXCHANGE_ECP_256, 0, 0, KEY_EXCHANGE_X448};

    for (size_t i = 0; i < 4; i++) {
        size_t count = 0;
        for (size_t j = 0; j < c->sites[i].esp->count; j++) {
            const struct proposal *p = &c->sites[i].esp->list[j];
            for (size_t k = 0; k < p->count; k++) {
                if (p->transforms[k].type == TRANSFORM_KEY_EXCHANGE) {
                    count++;
                    CHECK_EQUAL(p->transforms[k].id, group[i]);
                }
            }
        }
        CHECK_EQUAL(count, expected[i]);
    }
    config_free(c);
}

static bool offers(const struct proposals *list, uint8_t type, uint16_t id)
{
    for (size_t i = 0; i < list->count; i++) {
        for (size_t j = 0; j < list->list[i].count; j++) {
            if (list->list[i].transforms[j].type == type && list->list[i].transforms[j].id == id) {
                return true;
            }
        }
    }
    return false;
}

TEST(legacy_alone_offers_the_weak_behind_the_strong_but_never_clear_text)
{
    struct config *c =
        testbed_good(GATEWAY SITE("a", "10.2.0.0/16", "legacy 3des md5 modp1024 null"));
    const struct config_site *s = &c->sites[0];

    CHECK(s->uses_legacy);
    CHECK_TEXT(s->legacy, "3des md5 modp1024 null");
    CHECK(offers(s->ike, TRANSFORM_ENCRYPTION, ENCRYPTION_3DES));
    CHECK(offers(s->ike, TRANSFORM_INTEGRITY, INTEGRITY_HMAC_MD5_96));
    CHECK(offers(s->ike, TRANSFORM_PRF, PRF_HMAC_MD5));
    CHECK(offers(s->ike, TRANSFORM_KEY_EXCHANGE, KEY_EXCHANGE_MODP_1024));
    CHECK(!offers(s->ike, TRANSFORM_ENCRYPTION, ENCRYPTION_NULL));
    CHECK(offers(s->esp, TRANSFORM_ENCRYPTION, ENCRYPTION_3DES));
    CHECK(!offers(s->esp, TRANSFORM_ENCRYPTION, ENCRYPTION_NULL));
    CHECK(!offers(s->esp, TRANSFORM_PRF, PRF_HMAC_MD5));
    /* The strong proposals stay as they are, in front. */
    struct proposals strong;
    proposals_default(PROTOCOL_IKE, &strong);
    CHECK_EQUAL(s->ike->count, strong.count + 1);
    CHECK_EQUAL(s->ike->list[0].count, strong.list[0].count);
    CHECK_EQUAL(s->ike->list[1].count, strong.list[1].count);
    /* Ciphers of small blocks change their key in time. */
    CHECK_EQUAL(s->lifetime_bytes, UINT64_C(1) << 30);
    config_free(c);
}

TEST(post_quantum_says_what_is_left_of_the_proposals)
{
    struct config *c = testbed_good(
        GATEWAY SITE("a", "10.2.0.0/16", "") SITE("b", "10.3.0.0/16", "post-quantum off")
            SITE("c", "10.4.0.0/16", "legacy 3des; post-quantum required")
                SITE("d", "10.5.0.0/16",
                     "post-quantum required; ike aes256gcm16-sha384-x25519 "
                     "aes256gcm16-sha384-x25519-ke1_mlkem768-ke1_none")
                    SITE("e", "10.6.0.0/16", "ike aes256gcm16-sha384-x25519"));
    struct proposals all;

    proposals_default(PROTOCOL_IKE, &all);
    CHECK_EQUAL(c->sites[0].post_quantum, CONFIG_POST_QUANTUM_PREFER);
    CHECK_EQUAL(c->sites[0].ike->count, all.count);
    CHECK(proposals_have_post_quantum(c->sites[0].ike));
    CHECK_EQUAL(c->sites[1].ike->count, all.count - 2);
    CHECK(!proposals_have_post_quantum(c->sites[1].ike));
    CHECK_EQUAL(c->sites[2].post_quantum, CONFIG_POST_QUANTUM_REQUIRED);
    CHECK_EQUAL(c->sites[2].ike->count, 2);
    CHECK(!offers(c->sites[2].ike, TRANSFORM_ENCRYPTION, ENCRYPTION_3DES));
    CHECK_EQUAL(c->sites[3].ike->count, 1);
    CHECK(proposal_has_post_quantum(&c->sites[3].ike->list[0]));
    CHECK_EQUAL(c->sites[4].ike->count, 1);
    config_free(c);
}

TEST(esp_may_have_additional_key_exchanges_unless_pfs_is_off)
{
    struct config *c =
        testbed_good(GATEWAY SITE("a", "10.2.0.0/16", "esp aes256gcm16-x25519-ke1_mlkem768") SITE(
            "b", "10.3.0.0/16", "esp aes256gcm16-ke1_mlkem768; ike aes256gcm16-sha384-ecp256"));

    CHECK(offers(c->sites[0].esp, TRANSFORM_ADDITIONAL_FIRST, KEY_EXCHANGE_ML_KEM_768));
    CHECK(offers(c->sites[1].esp, TRANSFORM_ADDITIONAL_FIRST, KEY_EXCHANGE_ML_KEM_768));
    CHECK(offers(c->sites[1].esp, TRANSFORM_KEY_EXCHANGE, KEY_EXCHANGE_ECP_256));
    config_free(c);
}

TEST(null_encryption_is_offered_when_it_is_asked_for_by_both_words)
{
    struct config *c =
        testbed_good(GATEWAY SITE("a", "10.2.0.0/16", "legacy null; esp null-sha256"));

    CHECK(offers(c->sites[0].esp, TRANSFORM_ENCRYPTION, ENCRYPTION_NULL));
    config_free(c);
}

TEST(equally_written_proposals_are_one_object)
{
    struct config *c = testbed_good(GATEWAY SITE("a", "10.2.0.0/16", "") SITE(
        "b", "10.3.0.0/16", "") SITE("c", "10.4.0.0/16", "pfs off"));

    CHECK(c->sites[0].ike == c->sites[1].ike && c->sites[0].esp == c->sites[1].esp);
    CHECK(c->sites[2].esp != c->sites[1].esp);
    config_free(c);
}

TEST(variables_stand_for_words_and_never_grow_without_bound)
{
    char text[4096] = GATEWAY "set v0 10.2.0.0/16 10.2.0.0/16 10.2.0.0/16 10.2.0.0/16\n";
    struct testbed *t = malloc(sizeof(*t));

    for (int i = 1; i < 12; i++) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof(text) - used, "set v%d $v%d $v%d $v%d $v%d\n", i, i - 1, i - 1,
                 i - 1, i - 1);
    }
    strcat(text, "lan $v11\n");
    testbed_init(t);
    struct config_result *r = testbed_read(t, text);
    CHECK(r->config == NULL);
    CHECK(r->error_count > 0);
    config_result_free(r);
    free(t);
}

TEST(included_files_are_read_in_place_and_relative_to_the_file_that_names_them)
{
    struct testbed *t = malloc(sizeof(*t));

    testbed_init(t);
    testbed_add(t, "conf.d/a.conf", "include more/x.conf\n" SITE("a", "10.2.0.0/16", ""));
    testbed_add(t, "conf.d/b.conf", SITE("b", "10.3.0.0/16", "dpd $probe"));
    testbed_add(t, "conf.d/more/x.conf", "set probe 7s");
    testbed_add(t, "conf.e/none", "nonsense");
    struct config_result *r =
        testbed_read(t, "include conf.d/a.conf conf.d/b*\n" GATEWAY "include nothing/*.conf\n");
    CHECK_EQUAL(r->error_count, 0);
    CHECK_EQUAL(r->file_count, 4);
    CHECK_EQUAL(r->config->site_count, 2);
    CHECK_EQUAL(r->config->sites[1].dpd_ms, 7000);
    CHECK_TEXT(r->files[r->config->sites[1].place.file].path, "conf.d/b.conf");
    config_result_free(r);
    free(t);
}

static char *words_of(struct testbed *t, const char *text)
{
    struct config_result *r = testbed_read(t, text);
    char *words = config_diagnostics_text(r);

    CHECK(r->config == NULL);
    config_result_free(r);
    return words;
}

TEST(loops_missing_files_and_depth_of_includes_are_told)
{
    struct testbed *t = malloc(sizeof(*t));
    static char paths[20][16];
    static char texts[20][32];

    testbed_init(t);
    testbed_add(t, "a.conf", "include b.conf");
    testbed_add(t, "b.conf", "\n include a.conf");
    char *words = words_of(t, GATEWAY "include a.conf\ninclude c.conf\ninclude gone.conf\n");
    CHECK_TEXT(words, "c.conf:4:9: error: c.conf includes itself\n"
                      "    4 | include c.conf\n"
                      "      |         ^^^^^^\n"
                      "c.conf:5:9: error: gone.conf cannot be read: there is no such file\n"
                      "    5 | include gone.conf\n"
                      "      |         ^^^^^^^^^\n"
                      "b.conf:2:10: error: a.conf includes itself\n"
                      "    2 |  include a.conf\n"
                      "      |          ^^^^^^\n"
                      "3 files, 3 errors, 0 warnings. Nothing was changed; the running "
                      "configuration is untouched.\n");
    free(words);
    for (int i = 0; i < 20; i++) {
        snprintf(paths[i], sizeof(paths[i]), "d%d.conf", i);
        snprintf(texts[i], sizeof(texts[i]), "include d%d.conf", i + 1);
        testbed_add(t, paths[i], texts[i]);
    }
    words = words_of(t, GATEWAY "include d0.conf");
    CHECK(strstr(words, "files include each other more than 16 deep") != NULL);
    free(words);
    free(t);
}

TEST(more_than_a_thousand_files_are_refused)
{
    struct testbed *t = malloc(sizeof(*t));
    char(*paths)[16] = calloc(1100, 16);

    testbed_init(t);
    for (int i = 0; i < 1100; i++) {
        snprintf(paths[i], 16, "m%d", i);
        testbed_add(t, paths[i], "");
    }
    char *words = words_of(t, GATEWAY "include m*");
    CHECK(strstr(words, "more than 1000 files are too many") != NULL);
    free(words);
    free(paths);
    free(t);
}

TEST(more_than_64_MiB_are_refused)
{
    struct testbed *t = malloc(sizeof(*t));
    size_t length = (size_t)64 << 20;
    uint8_t *text = malloc(length + 1);

    memset(text, '\n', length + 1);
    testbed_init(t);
    struct config_result *r = testbed_read_slice(t, (struct slice){text, length + 1});
    CHECK_EQUAL(r->error_count, 1);
    CHECK(strstr(r->diagnostics[0].message, "larger than 64MiB") != NULL);
    config_result_free(r);
    free(text);
    free(t);
}

TEST(running_out_of_memory_anywhere_gives_nothing_and_leaks_nothing)
{
    struct testbed *t = malloc(sizeof(*t));

    testbed_init(t);
    testbed_add(t, "x.conf", "set a 10.9.0.0/16");
    t->main = SLICE_TEXT(
        "include x*\n" GATEWAY
        "site a { peer a b c d e; network $a 10.2.0.0/16 10.3.0.0/16 10.4.0.0/16\n"
        " network 10.5.0.0/16 10.6.0.0/16; key @a; legacy 3des; bad \"q\"\n esp \"x\" }\n");
    bool reached = false;
    for (size_t limit = 0; limit < 200000; limit += limit < 4096 ? 32 : 512) {
        struct config_result *r = config_read_within("c.conf", &t->loader, limit);
        CHECK(r != NULL || !reached);
        reached = r != NULL;
        config_result_free(r);
    }
    CHECK(reached);
    free(t);
}

/* Ten thousand sites with two networks each, as text; to be freed. */
static char *many_sites(int count)
{
    size_t capacity = (size_t)count * 200 + 200;
    char *text = malloc(capacity);
    size_t used = (size_t)snprintf(text, capacity,
                                   "gateway hub.example.jp\nlan 10.0.0.0/12 192.168.0.0/16\n");

    for (int i = 0; i < count; i++) {
        used += (size_t)snprintf(text + used, capacity - used,
                                 "site s%d {\n  peer p%d.example.jp\n  network 100.%d.%d.0/24 "
                                 "172.%d.%d.%d/28\n  key @k%d\n%s}\n",
                                 i, i, i >> 8, i & 255, 16 + (i >> 12), i >> 4 & 255, (i & 15) * 16,
                                 i, i % 3 == 0 ? "  ike aes256gcm16-prfsha384-x25519\n" : "");
    }
    return text;
}

TEST(the_work_grows_with_the_sites_and_not_with_their_square)
{
    size_t comparisons[2];

    for (int round = 0; round < 2; round++) {
        int count = round == 0 ? 1000 : 10000;
        char *text = many_sites(count);
        struct testbed *t = malloc(sizeof(*t));
        testbed_init(t);
        struct config_result *r = testbed_read(t, text);
        CHECK_EQUAL(r->error_count, 0);
        CHECK_EQUAL(r->warning_count, 0);
        CHECK_EQUAL(r->config->site_count, count);
        CHECK(config_find_site(r->config, "s777") != NULL);
        comparisons[round] = r->comparisons;
        config_result_free(r);
        free(t);
        free(text);
    }
    print_message("10,000 sites: %zu comparisons of networks\n", comparisons[1]);
    CHECK(comparisons[1] < 20 * comparisons[0]);
    CHECK(comparisons[1] < 10000 * 20);
}

TEST(ten_thousand_sites_with_one_network_are_told_without_comparing_each_with_each)
{
    size_t capacity = 10000 * 120;
    char *text = malloc(capacity);
    size_t used = (size_t)snprintf(text, capacity, GATEWAY);
    struct testbed *t = malloc(sizeof(*t));

    for (int i = 0; i < 10000; i++) {
        used +=
            (size_t)snprintf(text + used, capacity - used,
                             "site s%d { peer p%d.example; network 10.2.0.0/16; key @k }\n", i, i);
    }
    testbed_init(t);
    struct config_result *r = testbed_read(t, text);
    CHECK_EQUAL(r->error_count, 9999);
    CHECK_EQUAL(r->diagnostic_count, 1000);
    CHECK(r->comparisons < 200000);
    char *words = config_diagnostics_text(r);
    CHECK(strstr(words, "and 8999 more.\n1 file, 9999 errors, 0 warnings.") != NULL);
    free(words);
    config_result_free(r);
    free(t);
    free(text);
}
