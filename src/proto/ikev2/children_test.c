/*
 * What a child can be beside a tunnel of ESP (RFC 7296 1.3.1): AH, transport mode, IPComp, AGGFRAG
 * and the rest that is agreed by notifies, by either side, at the beginning, later and when it is
 * rekeyed.
 */
#include "proto/ikev2/machine.h"
#include "tests/support/ikev2_pair.h"
#include "tests/support/test.h"

static void start(struct ikev2_pair *p)
{
    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    CHECK_EQUAL(p->side[0].established, 1);
    CHECK_EQUAL(p->side[1].established, 1);
}

/* What is in use under "net". */
static const struct pair_child *net(struct ikev2_pair *p, unsigned side)
{
    const struct pair_child *c = ikev2_pair_outbound(p, side, "net");

    CHECK(c != NULL);
    return c;
}

static void check_alone(struct ikev2_pair *p)
{
    ikev2_pair_advance(p, 20000);
    for (unsigned i = 0; i < 2; i++) {
        CHECK_EQUAL(ikev2_pair_live_children(p, i), 1);
        CHECK(ikev2_pair_packet(p, i, "net"));
        CHECK_EQUAL(p->side[i].esp_spis_given - p->side[i].esp_spis_unused, p->side[i].child_count);
    }
    CHECK(ikev2_pair_agrees(p));
}

/* Nothing was installed for good, and the IKE SA stays. */
static void check_none(struct ikev2_pair *p)
{
    ikev2_pair_advance(p, 20000);
    for (unsigned i = 0; i < 2; i++) {
        CHECK(p->side[i].sa != NULL);
        CHECK_EQUAL(ikev2_pair_live_children(p, i), 0);
        CHECK_EQUAL(p->side[i].esp_spis_given - p->side[i].esp_spis_unused, p->side[i].child_count);
    }
}

static void rekey(struct ikev2_pair *p, unsigned by)
{
    uint32_t old = net(p, by)->spi_in;

    ikev2_pair_rekey_child(p, by, old);
    CHECK(ikev2_pair_run(p));
    CHECK(ikev2_pair_packet(p, 0, "net") && ikev2_pair_packet(p, 1, "net"));
    CHECK(net(p, by)->spi_in != old);
    check_alone(p);
}

/* Both at once (RFC 7296 2.8.1): the requests cross. */
static void rekey_both(struct ikev2_pair *p)
{
    uint32_t old[2] = {net(p, 0)->spi_in, net(p, 1)->spi_in};

    ikev2_pair_rekey_child(p, 0, old[0]);
    ikev2_pair_rekey_child(p, 1, old[1]);
    CHECK(ikev2_pair_run(p));
    ikev2_pair_advance(p, 200000);
    CHECK(net(p, 0)->spi_in != old[0] && net(p, 1)->spi_in != old[1]);
    check_alone(p);
}

/* ---- AH ---- */

static void set_ah(struct ikev2_pair *p, const char *words)
{
    ikev2_pair_set_ah(p, 0, words);
    ikev2_pair_set_ah(p, 1, words);
}

static void check_ah(struct ikev2_pair *p)
{
    for (unsigned i = 0; i < 2; i++) {
        const struct pair_child *c = net(p, i);

        CHECK_EQUAL(c->info.protocol, PROTOCOL_AH);
        CHECK_EQUAL(c->suite.encryption, ENCRYPTION_NONE);
        CHECK_EQUAL(c->suite.integrity, INTEGRITY_HMAC_SHA2_256_128);
        CHECK_EQUAL(c->key_bytes, 32);
        CHECK(!c->encapsulated);
    }
}

TEST(a_child_of_ah_is_made_rekeyed_by_either_side_and_by_both_and_deleted)
{
    struct ikev2_pair *p = ikev2_pair_new(1);

    set_ah(p, "sha256-x25519");
    start(p);
    check_ah(p);
    CHECK(ikev2_pair_agrees(p));
    for (unsigned by = 0; by < 2; by++) {
        rekey(p, by);
        check_ah(p);
        CHECK_EQUAL(net(p, 0)->suite.key_exchange, KEY_EXCHANGE_X25519);
    }
    rekey_both(p);
    check_ah(p);
    for (unsigned by = 0; by < 2; by++) {
        ikev2_pair_close_child(p, by, net(p, by)->spi_in);
        CHECK(ikev2_pair_run(p));
        CHECK_EQUAL(ikev2_pair_live_children(p, 0), 0);
        CHECK_EQUAL(ikev2_pair_live_children(p, 1), 0);
        ikev2_pair_start_child(p, by, 0);
        CHECK(ikev2_pair_run(p));
        check_ah(p);
        check_alone(p);
    }
    ikev2_pair_free(p);
}

TEST(ah_does_not_go_in_udp_where_esp_would)
{
    struct ikev2_pair *p = ikev2_pair_new(2);

    set_ah(p, "sha256");
    p->side[1].responder.prefer_encapsulation = true;
    start(p);
    check_ah(p);
    ikev2_pair_free(p);
}

TEST(who_wants_ah_and_hears_of_esp_alone_says_so)
{
    for (unsigned who = 0; who < 2; who++) {
        struct ikev2_pair *p = ikev2_pair_new(3 + who);

        ikev2_pair_set_ah(p, who, "sha256");
        ikev2_pair_set_esp(p, 1 - who, "aes128gcm16");
        start(p);
        check_none(p);
        CHECK_EQUAL(p->side[who].child_failure.reason, IKEV2_FAIL_CHILD_AH);
        CHECK_EQUAL(p->side[1 - who].child_failure.reason, IKEV2_FAIL_CHILD_NO_PROPOSAL);
        CHECK_TEXT(p->side[who].child_failure.ours, "sha256-esn");
        CHECK_TEXT(p->side[1].child_failure.theirs,
                   who == 1 ? "ESP aes128gcm16-esn" : "AH sha256-esn");
        ikev2_pair_free(p);
    }
}

TEST(ah_is_refused_where_there_is_a_nat)
{
    struct ikev2_pair *p = ikev2_pair_new(5);

    set_ah(p, "sha256");
    p->nat = true;
    start(p);
    check_none(p);
    CHECK_EQUAL(p->side[1].child_failure.reason, IKEV2_FAIL_CHILD_AH_NAT);
    CHECK_EQUAL(p->side[0].child_failure.notify, IKEV2_NO_PROPOSAL_CHOSEN);
    ikev2_pair_free(p);
}

/* The SPIs of a peer are his own for each protocol. */
TEST(a_delete_of_the_other_protocol_deletes_nothing)
{
    struct ikev2_pair *p = ikev2_pair_new(6);

    set_ah(p, "sha256");
    start(p);
    uint32_t spi = net(p, 1)->spi_out;

    CHECK(ikev2_child_by_spi_out(p->side[1].sa, PROTOCOL_AH, spi) != NULL);
    CHECK(ikev2_child_by_spi_out(p->side[1].sa, PROTOCOL_ESP, spi) == NULL);
    ikev2_pair_free(p);
}
