/* Logins where phase 1 has certificates: hybrid authentication, where only the gateway has one, and
 * XAUTH over signatures of both. */
#include <stdlib.h>

#include "crypto/certificate_testbed.h"
#include "proto/ikev1/machine.h"
#include "tests/support/ikev1_pair.h"
#include "tests/support/test.h"

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

/* Side 0 is the client, side 1 the gateway. */
struct scene {
    struct ikev1_pair *pair;
    struct ikev1_certificates certificates[2];
    struct credential *own[2];
    struct trust *trust;
    struct private_key *root_key, *key[2];
    struct certificate *root, *certificate[2];
};

static struct scene *scene_new(uint64_t seed, bool aggressive, bool hybrid)
{
    struct scene *s = calloc(1, sizeof(*s));

    CHECK(s != NULL);
    s->pair = ikev1_pair_new(seed);
    s->root_key = private_key_make(KEY_P256, 0);
    s->root = testbed_issue(&testbed_root, s->root_key, NULL, NULL);
    s->trust = testbed_trust(s->root);
    for (size_t i = 0; i < 2; i++) {
        struct pair1_side *side = &s->pair->side[i];

        s->key[i] = private_key_make(KEY_RSA, 2048);
        s->certificate[i] = testbed_issue(&orders[i], s->key[i], s->root, s->root_key);
        s->own[i] = testbed_credential(s->key[i], &s->certificate[i], 1);
        s->certificates[i] = (struct ikev1_certificates){
            .own = hybrid && i == 0 ? NULL : s->own[i],
            .trust = hybrid && i == 1 ? NULL : s->trust,
        };
        side->policy.certificates = &s->certificates[i];
        side->policy.hybrid = hybrid;
        side->policy.login = i == 0 ? IKEV1_LOGIN_ANSWER : IKEV1_LOGIN_ASK;
        side->policy.aggressive = aggressive;
        side->responder.aggressive = aggressive;
        side->responder.shared_keys = false;
        side->responder.login_rsa = !hybrid;
        side->responder.login_hybrid = hybrid;
        side->now_s = TESTBED_NOW_S;
        CHECK(text_copy(side->words.user, PAIR1_WORD_BYTES, SLICE_TEXT("carol")));
        CHECK(text_copy(side->words.password, PAIR1_WORD_BYTES, SLICE_TEXT("a long password")));
    }
    if (hybrid) {
        s->pair->side[0].policy.local_id = (struct ike_identity){0};
        s->pair->side[1].policy.peer_id = (struct ike_identity){0};
    }
    return s;
}

static void scene_free(struct scene *s)
{
    ikev1_pair_free(s->pair);
    for (size_t i = 0; i < 2; i++) {
        credential_free(s->own[i]);
        certificate_free(s->certificate[i]);
        private_key_free(s->key[i]);
    }
    trust_free(s->trust);
    certificate_free(s->root);
    private_key_free(s->root_key);
    free(s);
}

static bool both_up(const struct ikev1_pair *p)
{
    return p->side[0].established == 1 && p->side[1].established == 1;
}

#define REST                                                                                       \
    "1 HDR*, HASH, ATTR(REQUEST)\n"                                                                \
    "0 HDR*, HASH, ATTR(REPLY)\n"                                                                  \
    "1 HDR*, HASH, ATTR(SET)\n"                                                                    \
    "0 HDR*, HASH, ATTR(ACK)\n"                                                                    \
    "0 HDR*, HASH, SA, Nonce, ID, ID\n"                                                            \
    "1 HDR*, HASH, SA, Nonce, ID, ID\n"                                                            \
    "0 HDR*, HASH\n"

TEST(hybrid_main_mode_has_one_signature)
{
    struct scene *s = scene_new(1, false, true);
    struct ikev1_pair *p = s->pair;

    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    CHECK_TEXT(p->transcript, "0 HDR, SA, VID, VID, VID, VID, VID, VID, VID\n"
                              "1 HDR, SA, VID, VID, VID, VID\n"
                              "0 HDR, KE, Nonce, NAT-D, NAT-D\n"
                              "1 HDR, KE, Nonce, NAT-D, NAT-D\n"
                              "0 HDR*, ID, HASH, CERTREQ\n"
                              "1 HDR*, ID, CERT, SIG\n" REST);
    CHECK(both_up(p) && p->side[1].login);
    CHECK_EQUAL(p->side[1].peer_id.type, 0);
    CHECK(ike_identity_matches(&p->side[0].policy.peer_id, &p->side[0].peer_id, true));
    CHECK(ikev1_pair_agrees(p) && ikev1_pair_packet(p, 0, "net"));
    scene_free(s);
}

TEST(hybrid_aggressive_mode_has_one_signature)
{
    struct scene *s = scene_new(2, true, true);
    struct ikev1_pair *p = s->pair;

    p->nat = true;
    /* The name of a group, as clients of old say it. */
    CHECK(ike_identity_parse(SLICE_TEXT("keyid:staff"), &p->side[0].policy.local_id));
    p->side[1].policy.peer_id = p->side[0].policy.local_id;
    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    CHECK_TEXT(p->transcript,
               "0 HDR, SA, KE, Nonce, ID, CERTREQ, VID, VID, VID, VID, VID, VID, VID\n"
               "1 HDR, SA, KE, Nonce, ID, CERT, SIG, VID, VID, VID, VID, NAT-D, NAT-D\n"
               "0 HDR*, HASH, NAT-D, NAT-D\n" REST);
    CHECK(both_up(p));
    CHECK(ike_identity_matches(&p->side[1].policy.peer_id, &p->side[1].peer_id, true));
    CHECK(ikev1_pair_agrees(p) && ikev1_pair_packet(p, 0, "net"));
    scene_free(s);
}

/* draft-ietf-ipsec-isakmp-hybrid-auth-05 5: HybridRespRSA, when the gateway begins. */
TEST(a_hybrid_gateway_may_renew_the_isakmp_sa)
{
    for (unsigned aggressive = 0; aggressive < 2; aggressive++) {
        struct scene *s = scene_new(3 + aggressive, aggressive == 1, true);
        struct ikev1_pair *p = s->pair;

        ikev1_pair_start(p, 0);
        CHECK(ikev1_pair_run(p));
        for (unsigned from = 2; from-- > 0;) {
            p->transcript[0] = '\0';
            ikev1_pair_rekey(p, from);
            CHECK(ikev1_pair_run(p));
            CHECK(strstr(p->transcript, aggressive == 1 && from == 1
                                            ? "0 HDR, SA, KE, Nonce, ID, HASH, CERTREQ, VID"
                                            : "HASH, ATTR(SET)") != NULL);
            CHECK_EQUAL(p->side[0].rekeyed, 2 - from);
            CHECK_EQUAL(p->side[1].rekeyed, 2 - from);
        }
        CHECK_EQUAL(p->side[1].logins_asked, 3);
        CHECK(ikev1_pair_agrees(p) && ikev1_pair_packet(p, 1, "net"));
        scene_free(s);
    }
}

TEST(a_client_that_is_asked_for_a_certificate_says_that_he_has_none)
{
    struct scene *s = scene_new(5, true, true);
    struct ikev1_pair *p = s->pair;

    ikev1_pair_start(p, 0);
    ikev1_pair_deliver(p, 0);
    ikev1_pair_deliver(p, 0);
    CHECK_EQUAL(p->queue_count, 1);
    scene_free(s);
    /* Asked: the same with a CERTREQ that he takes for the gateway's. */
    s = scene_new(6, false, true);
    p = s->pair;
    ikev1_pair_start(p, 0);
    for (unsigned i = 0; i < 3; i++) {
        ikev1_pair_deliver(p, 0);
    }
    struct pair1_datagram *d = &p->queue[0];
    uint8_t more[2048];
    struct writer w = writer_over(more, sizeof(more));
    struct reader r = reader_over((struct slice){d->bytes, d->length});
    struct ikev1_header h;
    uint8_t next = IKEV1_CERTREQ;

    CHECK(ikev1_read_header(&r, &h));
    uint8_t old = h.next_payload;

    h.next_payload = next;
    ikev1_write_header(&w, &h);
    write_u8(&w, old);
    write_u8(&w, 0);
    write_u16(&w, 5);
    write_u8(&w, IKEV1_CERT_X509_SIGNATURE);
    write_slice(&w, read_rest(&r));
    ikev1_finish_message(&w);
    struct pair1_datagram answer = *d;

    ikev1_pair_inject(p, 0, &answer.local, &answer.peer, writer_written(&w));
    CHECK(strstr(p->transcript, "0 HDR*, ID, CERT, HASH, CERTREQ\n") != NULL);
    ikev1_pair_drop(p, 0);
    CHECK(ikev1_pair_run(p));
    CHECK(both_up(p));
    scene_free(s);
}

/* The client believes nobody but the gateway of that name and that authority. */
TEST(a_client_believes_no_other_gateway)
{
    for (unsigned i = 0; i < 4; i++) {
        struct scene *s = scene_new(10 + i, i % 2 == 1, true);
        struct ikev1_pair *p = s->pair;
        struct certificate *other_root = testbed_issue(&testbed_root, s->key[0], NULL, NULL);
        struct trust *other = testbed_trust(other_root);

        if (i < 2) {
            s->certificates[0].trust = other;
        } else {
            s->certificates[1].own = s->own[0];
        }
        ikev1_pair_start(p, 0);
        ikev1_pair_advance(p, 200000);
        CHECK_EQUAL(p->side[0].failure.reason, IKEV1_FAIL_CERTIFICATE);
        CHECK_EQUAL(p->side[0].credentials_asked, 0);
        CHECK_EQUAL(p->side[0].established + p->side[1].established, 0);
        CHECK(ikev1_pair_is_empty(p, 0) && ikev1_pair_is_empty(p, 1));
        trust_free(other);
        certificate_free(other_root);
        scene_free(s);
    }
}

/* A signature of the client is not asked for, and a HASH proves only where it was agreed. */
TEST(hybrid_and_signatures_of_both_are_not_the_same)
{
    for (unsigned i = 0; i < 2; i++) {
        struct scene *s = scene_new(20 + i, false, i == 0);
        struct ikev1_pair *p = s->pair;

        /* The client wants the one, the gateway has the other. */
        p->side[1].responder.login_rsa = i == 0;
        p->side[1].responder.login_hybrid = i == 1;
        ikev1_pair_start(p, 0);
        ikev1_pair_advance(p, 200000);
        CHECK_EQUAL(p->side[1].failure.reason, IKEV1_FAIL_AUTH_METHOD);
        CHECK_EQUAL(p->side[0].established + p->side[1].established, 0);
        scene_free(s);
    }
}

TEST(logins_over_signatures_of_both)
{
    for (unsigned i = 0; i < 2; i++) {
        struct scene *s = scene_new(30 + i, i == 1, false);
        struct ikev1_pair *p = s->pair;

        ikev1_pair_start(p, 0);
        CHECK(ikev1_pair_run(p));
        CHECK(both_up(p) && p->side[0].login && p->side[1].login);
        CHECK(strstr(p->transcript, REST) != NULL);
        CHECK_EQUAL(p->side[1].logins_asked, 1);
        CHECK(ikev1_pair_agrees(p) && ikev1_pair_packet(p, 0, "net"));
        scene_free(s);
    }
}

/* draft-beaulieu-ike-xauth-02 5.5: the certificate says that it is he. */
TEST(whose_certificate_is_known_is_not_asked_again_when_the_gateway_renews)
{
    struct scene *s = scene_new(40, false, false);
    struct ikev1_pair *p = s->pair;

    p->side[1].policy.login_once = true;
    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    CHECK_EQUAL(p->side[1].logins_asked, 1);
    p->transcript[0] = '\0';
    ikev1_pair_rekey(p, 1);
    CHECK(ikev1_pair_run(p));
    CHECK_TEXT(p->transcript, "1 HDR, SA, VID, VID, VID, VID, VID, VID, VID\n"
                              "0 HDR, SA, VID, VID, VID, VID\n"
                              "1 HDR, KE, Nonce, NAT-D, NAT-D\n"
                              "0 HDR, KE, Nonce, CERTREQ, NAT-D, NAT-D\n"
                              "1 HDR*, ID, CERT, SIG, CERTREQ\n"
                              "0 HDR*, ID, CERT, SIG\n"
                              "1 HDR*, HASH, ATTR(SET)\n"
                              "0 HDR*, HASH, ATTR(ACK)\n");
    CHECK_EQUAL(p->side[0].rekeyed + p->side[1].rekeyed, 2);
    CHECK_EQUAL(p->side[1].logins_asked, 1);
    CHECK_EQUAL(p->side[0].credentials_asked, 1);
    CHECK(ikev1_pair_agrees(p) && ikev1_pair_packet(p, 0, "net"));
    scene_free(s);
}
