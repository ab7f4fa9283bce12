/* Two machines that prove nothing (RFC 7619), and that nobody else is let in so. */
#include "proto/ikev2/machine.h"

#include <string.h>

#include "tests/support/ikev2_pair.h"
#include "tests/support/test.h"

static void prove_nothing(struct ikev2_pair *p, unsigned side)
{
    struct ikev2_policy *policy = &p->side[side].policy;

    secret_wipe(&policy->shared_key);
    policy->null_auth = true;
    policy->peer_id.type = 0;
    CHECK(ike_identity_set(&policy->local_id, IKEV2_ID_NULL, (struct slice){NULL, 0}));
    p->side[side].responder.null_auth = true;
}

static void run(struct ikev2_pair *p)
{
    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
}

TEST(two_that_prove_nothing_have_a_tunnel)
{
    static const char *const suites[] = {"aes256gcm16-sha384-x25519", "aes128-aesxcbc-x25519",
                                         "aes256gcm16-sha384-x25519-ke1_mlkem768"};

    for (size_t i = 0; i < ARRAY_LENGTH(suites); i++) {
        struct ikev2_pair *p = ikev2_pair_new(7619 + i);

        for (unsigned side = 0; side < 2; side++) {
            prove_nothing(p, side);
            ikev2_pair_set_ike(p, side, suites[i]);
            p->side[side].policy.initial_contact = true;
        }
        run(p);
        CHECK(p->side[0].established == 1 && p->side[1].established == 1);
        CHECK(ikev2_pair_agrees(p));
        CHECK(p->side[0].peer_id.type == IKEV2_ID_NULL && p->side[1].peer_id.type == IKEV2_ID_NULL);
        /* 2.3: it would be about whoever said the same. */
        CHECK_EQUAL(p->side[1].initial_contact, 0);
        ikev2_pair_rekey(p, 0);
        CHECK(ikev2_pair_run(p));
        CHECK(ikev2_pair_packet(p, 0, "net") && ikev2_pair_packet(p, 1, "net"));
        ikev2_pair_free(p);
    }
}

TEST(who_proves_himself_and_who_does_not_do_not_meet)
{
    for (unsigned nobody = 0; nobody < 2; nobody++) {
        for (unsigned allowed = 0; allowed < 2; allowed++) {
            struct ikev2_pair *p = ikev2_pair_new(10 + nobody);

            prove_nothing(p, nobody);
            p->side[1].responder.null_auth = allowed == 1;
            run(p);
            CHECK_EQUAL(p->side[0].established + p->side[1].established, 0);
            CHECK_EQUAL(p->side[1].failure.reason, nobody == 0 && allowed == 1
                                                       ? IKEV2_FAIL_PEER_UNKNOWN
                                                       : IKEV2_FAIL_AUTH_METHOD);
            CHECK_EQUAL(p->side[0].failure.reason, IKEV2_FAIL_AUTH_REFUSED);
            ikev2_pair_free(p);
        }
    }
}

static uint8_t flipped;

/* A machine between both that knows no keys changes what is not protected. */
static bool flip_nonce(void *context, struct ikev2_pair *pair, const struct pair_datagram *datagram)
{
    (void)context;
    (void)pair;
    if (datagram->bytes[18] == IKEV2_IKE_SA_INIT && datagram->to == flipped) {
        /* The last octet of a Vendor ID or notify: nothing is agreed in it. */
        datagram->bytes[datagram->length - 1] ^= 1;
    }
    return true;
}

TEST(what_is_changed_on_the_way_is_noticed_by_auth)
{
    for (flipped = 0; flipped < 2; flipped++) {
        struct ikev2_pair *p = ikev2_pair_new(20);

        prove_nothing(p, 0);
        prove_nothing(p, 1);
        p->passes = flip_nonce;
        run(p);
        CHECK_EQUAL(p->side[0].established, 0);
        CHECK(p->side[0].failure.reason == IKEV2_FAIL_PEER_AUTH ||
              p->side[1].failure.reason == IKEV2_FAIL_PEER_AUTH);
        ikev2_pair_free(p);
    }
}

TEST(with_a_ppk_that_is_the_proof)
{
    static struct ikev2_ppk ppk[2];

    for (unsigned i = 0; i < 4; i++) {
        struct ikev2_pair *p = ikev2_pair_new(30 + i);
        bool same = i < 2;

        for (unsigned side = 0; side < 2; side++) {
            prove_nothing(p, side);
            ppk[side] = (struct ikev2_ppk){
                .required = true, .auth_only = i % 2 == 1, .id_length = 2, .id = {2, 'p'}};
            CHECK(secret_set(&ppk[side].key,
                             side == 0 || same ? SLICE_TEXT("one") : SLICE_TEXT("another")));
            p->side[side].policy.ppk = &ppk[side];
            p->side[side].responder.ppk = true;
            p->side[side].responder.ppk_early = i % 2 == 0;
        }
        run(p);
        ikev2_pair_advance(p, 60000);
        CHECK_EQUAL(p->side[0].established, same ? 1 : 0);
        CHECK_EQUAL(p->side[1].established, same ? 1 : 0);
        if (!same) {
            CHECK_EQUAL(p->side[0].failure.reason, IKEV2_FAIL_PPK_REFUSED);
            CHECK_EQUAL(p->side[1].failure.reason, IKEV2_FAIL_PPK_DIFFERS);
        }
        ikev2_pair_free(p);
        secret_wipe(&ppk[0].key);
        secret_wipe(&ppk[1].key);
    }
}
