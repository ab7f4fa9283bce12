/* Proof by certificates and signatures in both modes: every kind of key, and what must be refused.
 */
#include <stdlib.h>

#include "crypto/certificate_testbed.h"
#include "proto/ikev1/machine.h"
#include "tests/support/ikev1_pair.h"
#include "tests/support/test.h"

static const enum key_kind kinds[] = {KEY_RSA, KEY_P256, KEY_P384, KEY_P521, KEY_DSA};

static const struct testbed_order orders[2] = {
    {.subject = "O=Left, CN=left",
     .names = "DNS:left.example",
     .usage = "digitalSignature",
     .serial = 11},
    {.subject = "O=Right, CN=right",
     .names = "DNS:right.example",
     .usage = "digitalSignature",
     .serial = 12},
};

struct scene {
    struct ikev1_pair *pair;
    struct ikev1_certificates certificates[2];
    struct credential *own[2];
    struct trust *trust[2];
    struct private_key *root_key, *key[2];
    struct certificate *root, *certificate[2];
};

static struct scene *scene_new(enum key_kind kind, uint64_t seed, bool aggressive)
{
    struct scene *s = calloc(1, sizeof(*s));

    CHECK(s != NULL);
    s->pair = ikev1_pair_new(seed);
    s->root_key = private_key_make(KEY_P256, 0);
    s->root = testbed_issue(&testbed_root, s->root_key, NULL, NULL);
    for (size_t i = 0; i < 2; i++) {
        struct pair1_side *side = &s->pair->side[i];

        s->key[i] = private_key_make(kind, kind == KEY_DSA ? 1024 : 2048);
        s->certificate[i] = testbed_issue(&orders[i], s->key[i], s->root, s->root_key);
        s->own[i] = testbed_credential(s->key[i], &s->certificate[i], 1);
        s->trust[i] = testbed_trust(s->root);
        s->certificates[i] = (struct ikev1_certificates){.own = s->own[i], .trust = s->trust[i]};
        side->policy.certificates = &s->certificates[i];
        side->policy.aggressive = aggressive;
        side->responder.aggressive = aggressive;
        side->responder.rsa = kind == KEY_RSA;
        side->responder.dss = kind == KEY_DSA;
        side->responder.ecdsa_256 = kind == KEY_P256;
        side->responder.ecdsa_384 = kind == KEY_P384;
        side->responder.ecdsa_521 = kind == KEY_P521;
        side->now_s = TESTBED_NOW_S;
    }
    return s;
}

static void scene_free(struct scene *s)
{
    ikev1_pair_free(s->pair);
    for (size_t i = 0; i < 2; i++) {
        credential_free(s->own[i]);
        trust_free(s->trust[i]);
        certificate_free(s->certificate[i]);
        private_key_free(s->key[i]);
    }
    certificate_free(s->root);
    private_key_free(s->root_key);
    free(s);
}

TEST(the_messages_of_main_mode_with_signatures)
{
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        struct scene *s = scene_new(kinds[i], 1 + i, false);
        struct ikev1_pair *p = s->pair;

        ikev1_pair_start(p, 0);
        CHECK(ikev1_pair_run(p));
        CHECK_TEXT(p->transcript, "0 HDR, SA, VID, VID, VID, VID, VID\n"
                                  "1 HDR, SA, VID, VID\n"
                                  "0 HDR, KE, Nonce, NAT-D, NAT-D\n"
                                  "1 HDR, KE, Nonce, CERTREQ, NAT-D, NAT-D\n"
                                  "0 HDR*, ID, CERT, SIG, CERTREQ\n"
                                  "1 HDR*, ID, CERT, SIG\n"
                                  "0 HDR*, HASH, SA, Nonce, ID, ID\n"
                                  "1 HDR*, HASH, SA, Nonce, ID, ID\n"
                                  "0 HDR*, HASH\n");
        CHECK_EQUAL(p->side[0].established + p->side[1].established, 2);
        CHECK(ikev1_pair_agrees(p) && ikev1_pair_packet(p, 0, "net"));
        ikev1_pair_rekey(p, 1);
        CHECK(ikev1_pair_run(p));
        CHECK_EQUAL(p->side[1].rekeyed, 1);
        scene_free(s);
    }
}

TEST(the_messages_of_aggressive_mode_with_signatures)
{
    for (size_t i = 0; i < 2; i++) {
        struct scene *s = scene_new(kinds[i], 11 + i, true);
        struct ikev1_pair *p = s->pair;

        p->nat = i == 1;
        ikev1_pair_start(p, 0);
        CHECK(ikev1_pair_run(p));
        CHECK_TEXT(p->transcript,
                   "0 HDR, SA, KE, Nonce, ID, CERTREQ, VID, VID, VID, VID, VID\n"
                   "1 HDR, SA, KE, Nonce, ID, CERT, SIG, CERTREQ, VID, VID, NAT-D, NAT-D\n"
                   "0 HDR*, CERT, SIG, NAT-D, NAT-D\n"
                   "0 HDR*, HASH, SA, Nonce, ID, ID\n"
                   "1 HDR*, HASH, SA, Nonce, ID, ID\n"
                   "0 HDR*, HASH\n");
        CHECK_EQUAL(p->side[0].established + p->side[1].established, 2);
        CHECK(ikev1_pair_agrees(p) && ikev1_pair_packet(p, 0, "net"));
        scene_free(s);
    }
}

/* Somebody else's certificate without its key; one that no authority issued; another name. */
TEST(who_is_not_proven_is_not_let_in)
{
    for (unsigned i = 0; i < 12; i++) {
        unsigned side = i % 2;
        bool aggressive = i / 2 % 2 == 1;
        struct scene *s = scene_new(KEY_P256, 20 + i, aggressive);
        struct ikev1_pair *p = s->pair;
        struct private_key *other = private_key_make(KEY_P256, 0);
        struct credential *credential;
        struct certificate *certificate = NULL;

        /* `side` is the one that lies. */
        if (i < 4) {
            certificate = testbed_issue(&orders[side], other, NULL, NULL);
        } else if (i < 8) {
            certificate = testbed_issue(&orders[1 - side], other, s->root, s->root_key);
        } else {
            struct testbed_order order = orders[side];

            order.begins_s = TESTBED_NOW_S - 10 * TESTBED_DAY_S;
            order.ends_s = TESTBED_NOW_S - TESTBED_DAY_S;
            certificate = testbed_issue(&order, other, s->root, s->root_key);
        }
        credential = testbed_credential(other, &certificate, 1);
        s->certificates[side].own = credential;
        ikev1_pair_start(p, 0);
        CHECK(ikev1_pair_run(p));
        ikev1_pair_advance(p, 300000);
        CHECK_EQUAL(p->side[1 - side].established, 0);
        CHECK_EQUAL(p->side[1 - side].failure.reason, IKEV1_FAIL_CERTIFICATE);
        CHECK_EQUAL(ikev1_pair_live_children(p, 1 - side), 0);
        scene_free(s);
        credential_free(credential);
        certificate_free(certificate);
        private_key_free(other);
    }
}

TEST(one_changed_bit_in_a_signature_is_enough)
{
    for (unsigned number = 4; number < 6; number++) {
        for (unsigned back = 24; back < 70; back += 8) {
            struct scene *s = scene_new(KEY_P256, 40, false);
            struct ikev1_pair *p = s->pair;

            s->pair->side[0].children_policy[0].start = false;
            if (number == 4) {
                s->certificates[0].trust = NULL; /* the request behind the signature is short */
            }
            ikev1_pair_start(p, 0);
            for (unsigned i = 0; i < number; i++) {
                ikev1_pair_deliver(p, 0);
            }
            p->queue[0].bytes[p->queue[0].length - 1 - back] ^= 0x40;
            CHECK(ikev1_pair_run(p));
            CHECK_EQUAL(p->side[number == 4 ? 1 : 0].established, 0);
            scene_free(s);
        }
    }
}

TEST(a_method_that_no_site_has_is_not_begun)
{
    struct scene *s = scene_new(KEY_P256, 50, false);
    struct ikev1_pair *p = s->pair;

    p->side[1].responder.ecdsa_256 = false;
    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    CHECK_EQUAL(p->side[1].failure.reason, IKEV1_FAIL_AUTH_METHOD);
    scene_free(s);
}

TEST(somebody_without_a_policy_is_as_unknown_as_one_with_a_wrong_certificate)
{
    struct scene *s = scene_new(KEY_P256, 51, false);
    struct ikev1_pair *p = s->pair;

    p->side[1].answers_nobody = true;
    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    CHECK_EQUAL(p->side[1].established, 0);
    CHECK_EQUAL(p->side[1].failure.reason, IKEV1_FAIL_PEER_UNKNOWN);
    CHECK(ikev1_pair_is_empty(p, 1));
    scene_free(s);
}

TEST(who_signs_where_only_shared_keys_are_known_is_told_so)
{
    struct scene *s = scene_new(KEY_P256, 52, false);
    struct ikev1_pair *p = s->pair;

    p->side[1].policy.certificates = NULL;
    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    CHECK_EQUAL(p->side[1].established, 0);
    CHECK_EQUAL(p->side[1].failure.reason, IKEV1_FAIL_AUTH_METHOD);
    CHECK_TEXT(p->side[1].failure.detail, "by a signature");
    scene_free(s);
}

TEST(losses_with_signatures_are_made_good)
{
    for (unsigned lost = 0; lost < 9; lost++) {
        struct scene *s = scene_new(KEY_P256, 60, false);
        struct ikev1_pair *p = s->pair;
        unsigned sent = 0;

        ikev1_pair_start(p, 0);
        while (p->queue_count > 0) {
            if (sent++ == lost) {
                ikev1_pair_drop(p, 0);
            } else {
                ikev1_pair_deliver(p, 0);
            }
        }
        ikev1_pair_advance(p, 2500);
        CHECK_EQUAL(p->side[0].established + p->side[1].established, 2);
        CHECK(ikev1_pair_agrees(p) && ikev1_pair_packet(p, 1, "net"));
        scene_free(s);
    }
}
