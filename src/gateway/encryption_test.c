/* Two gateways whose sites prove themselves by RSA encryption (RFC 2409 5.2, 5.3), and what is
 * refused. */
#include "gateway/inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/certificate_testbed.h"
#include "tests/support/gateway_pair.h"
#include "tests/support/test.h"

static struct gateway_pair pair;
static struct private_key *keys[3];
static struct certificate *certificates[3];
static struct credential *own[2];
static struct trust *trusts[2];

static void write(unsigned node, const char *more)
{
    snprintf(pair.nodes[node].config, sizeof(pair.nodes[node].config),
             "gateway %s.example.jp\nlan 10.%u.0.0/16\nsite %s {\npeer 203.0.113.%u\n"
             "identity %s.example.jp\nnetwork 10.%u.0.0/16\nmtu-probe off\n"
             "certificate a.pem key a.key\nlegacy rsa-encryption\n%s\n}\n",
             node == 0 ? "tokyo" : "osaka", node + 1, node == 0 ? "osaka" : "tokyo", 2 - node,
             node == 0 ? "osaka" : "tokyo", 2 - node, more);
}

static struct trust *trust_of(struct certificate *certificate)
{
    struct certificate_bag bag = {.certificate_count = 1};
    struct trust *trust = trust_new();

    bag.certificates[0] = certificate_hold(certificate);
    CHECK(trust != NULL && trust_add(trust, &bag));
    certificate_bag_fini(&bag);
    return trust;
}

/* `pinned`: whose certificate the first has for the second's. */
static void begin(uint64_t seed, const char *first, const char *second, unsigned pinned)
{
    static const char *const names[3] = {"DNS:tokyo.example.jp", "DNS:osaka.example.jp",
                                         "DNS:osaka.example.jp"};

    gateway_pair_open(&pair, seed);
    for (unsigned i = 0; i < 3; i++) {
        const struct testbed_order order = {
            .subject = "O=Test", .names = names[i], .usage = "keyEncipherment", .serial = 1 + i};

        if (keys[i] == NULL) {
            keys[i] = private_key_make(KEY_RSA, 2048);
            certificates[i] = testbed_issue(&order, keys[i], NULL, NULL);
        }
    }
    for (unsigned i = 0; i < 2; i++) {
        own[i] = testbed_credential(keys[i], &certificates[i], 1);
        trusts[i] = trust_of(certificates[i == 0 ? pinned : 0]);
        pair.nodes[i].own = own[i];
        pair.nodes[i].trust = trusts[i];
        pair.nodes[i].now_s = TESTBED_NOW_S;
    }
    write(0, first);
    write(1, second);
    gateway_pair_start(&pair, 0);
    gateway_pair_start(&pair, 1);
}

static void end(void)
{
    gateway_pair_stop(&pair, 0);
    gateway_pair_stop(&pair, 1);
    gateway_pair_close(&pair);
    for (unsigned i = 0; i < 2; i++) {
        credential_free(own[i]);
        trust_free(trusts[i]);
    }
    for (unsigned i = 0; i < 3; i++) {
        certificate_free(certificates[i]);
        private_key_free(keys[i]);
        keys[i] = NULL;
    }
}

TEST(gateways_that_read_what_was_encrypted_for_them_come_up)
{
    static const char *const words[] = {"ike v1\nauthenticate rsa-encryption",
                                        "ike v1\nauthenticate rsa-encryption-revised",
                                        "ike v1 aggressive\nauthenticate rsa-encryption",
                                        "ike v1 aggressive\nauthenticate rsa-encryption-revised"};

    for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
        char second[200];

        snprintf(second, sizeof(second), "%s\nstart wait", words[i]);
        begin(900 + i, words[i], second, 1);
        CHECK(gateway_pair_up(&pair, 5000));
        for (unsigned node = 0; node < 2; node++) {
            struct status_site site = gateway_pair_site(&pair, node);

            CHECK(gateway_pair_passes(&pair, node));
            CHECK_EQUAL(site.reason, REASON_NONE);
            CHECK_EQUAL(site.ike.version, 1);
            CHECK(site.legacy); /* and that is shown */
        }
        CHECK_EQUAL(pair.nodes[1].gateway->openings_used, 0); /* given back */
        end();
    }
}

TEST(another_public_key_is_told_on_both_sides)
{
    begin(910, "ike v1\nauthenticate rsa-encryption",
          "ike v1\nauthenticate rsa-encryption\nstart wait", 2);
    gateway_pair_run(&pair, 40000);
    for (unsigned node = 0; node < 2; node++) {
        struct status_site site = gateway_pair_site(&pair, node);

        CHECK_EQUAL(site.state == STATUS_UP, false);
        CHECK_TEXT(site.code, "SEK-A046");
    }
    CHECK(pair.nodes[1].gateway->openings_used > 0);
    end();
}

TEST(strangers_have_no_more_opened_than_there_is_a_number_for)
{
    begin(920, "ike v1\nauthenticate rsa-encryption-revised",
          "ike v1\nauthenticate rsa-encryption-revised\nstart wait", 1);
    CHECK(gateway_pair_up(&pair, 5000));
    struct gateway *g = pair.nodes[1].gateway;
    struct ike *caller = g->sites[0]->ikes;
    struct envelope *envelope = calloc(1, sizeof(*envelope));
    struct ikev2_proof proof = {.sign = true, .envelope = envelope};
    unsigned opened = 0;

    while (opened < 1000 && encryption_may_open(caller, &proof)) {
        opened++;
    }
    CHECK_EQUAL(opened, 60);
    g->now_ms += 999;
    CHECK(!encryption_may_open(caller, &proof));
    g->now_ms += 1;
    CHECK(encryption_may_open(caller, &proof) && !encryption_may_open(caller, &proof));
    encryption_proven(caller);
    CHECK(encryption_may_open(caller, &proof) && !encryption_may_open(caller, &proof));
    /* What we seal, sign, or asked for ourselves is not among them. */
    proof.sign = false;
    CHECK(encryption_may_open(caller, &proof));
    proof.sign = true;
    proof.envelope = NULL;
    CHECK(encryption_may_open(caller, &proof));
    proof.envelope = envelope;
    CHECK(encryption_may_open(pair.nodes[0].gateway->sites[0]->ikes, &proof));
    g->now_ms += 3600000;
    for (opened = 0; opened < 1000 && encryption_may_open(caller, &proof); opened++) {
    }
    CHECK_EQUAL(opened, 60);
    envelope_free(envelope);
    end();
}

/* In files of other names: the configuration cannot know. */
TEST(a_key_that_decrypts_is_not_used_to_sign)
{
    begin(930,
          "ike v1\nauthenticate rsa-encryption\n}\nsite nara {\npeer 203.0.113.9\n"
          "network 10.9.0.0/16\ncertificate b.pem key b.key",
          "ike v1\nauthenticate rsa-encryption\nstart wait", 1);
    gateway_pair_run(&pair, 10000);
    unsigned refused = 0;

    for (size_t i = 0; i < 2; i++) {
        struct status_site site;

        CHECK(gateway_site_at(pair.nodes[0].gateway, i, pair.now_ms, &site));
        refused += strcmp(site.code, "SEK-H006") == 0 &&
                   strstr(site.sentence, "decrypts with it and the other signs") != NULL;
    }
    CHECK_EQUAL(refused, 1);
    end();
}
