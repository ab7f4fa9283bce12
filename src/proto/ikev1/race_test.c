/* Deletes that cross each other and Quick Modes, and identities of all kinds. */
#include "proto/ikev1/machine.h"
#include "tests/support/ikev1_pair.h"
#include "tests/support/test.h"

static struct ikev1_pair *up(uint64_t seed)
{
    struct ikev1_pair *p = ikev1_pair_new(seed);

    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    CHECK_EQUAL(p->side[0].established + p->side[1].established, 2);
    return p;
}

static bool carries(struct ikev1_pair *p)
{
    return ikev1_pair_agrees(p) && ikev1_pair_packet(p, 0, "net") && ikev1_pair_packet(p, 1, "net");
}

static uint32_t used_by(struct ikev1_pair *p, unsigned side)
{
    return ikev1_pair_outbound(p, side, "net")->info.spi_in;
}

TEST(both_delete_the_same_child_at_once)
{
    struct ikev1_pair *p = up(300);

    ikev1_pair_close_child(p, 0, used_by(p, 0));
    ikev1_pair_close_child(p, 1, used_by(p, 1));
    CHECK(ikev1_pair_run(p));
    CHECK_EQUAL(ikev1_pair_live_children(p, 0) + ikev1_pair_live_children(p, 1), 0);
    CHECK_EQUAL(p->side[0].closed + p->side[1].closed, 0);
    ikev1_pair_start_child(p, 0, 0);
    CHECK(ikev1_pair_run(p));
    CHECK(carries(p));
    ikev1_pair_free(p);
}

/* At each place of the renewal the other side, or the same, deletes the old child. */
TEST(a_delete_of_the_old_child_at_any_moment_of_its_renewal)
{
    for (unsigned who = 0; who < 2; who++) {
        for (unsigned after = 0; after < 3; after++) {
            struct ikev1_pair *p = up(301);
            uint32_t old = used_by(p, who);

            ikev1_pair_rekey_child(p, 0, used_by(p, 0));
            for (unsigned i = 0; i < after; i++) {
                ikev1_pair_deliver(p, 0);
            }
            ikev1_pair_close_child(p, who, old);
            CHECK(ikev1_pair_run(p));
            ikev1_pair_advance(p, 200000);
            CHECK(carries(p));
            CHECK_EQUAL(ikev1_pair_live_children(p, 0), 1);
            CHECK_EQUAL(ikev1_pair_live_children(p, 1), 1);
            ikev1_pair_free(p);
        }
    }
}

TEST(a_delete_of_the_new_child_may_overtake_message_2)
{
    struct ikev1_pair *p = up(302);
    uint32_t old = used_by(p, 0);

    ikev1_pair_rekey_child(p, 0, old);
    ikev1_pair_deliver(p, 0);
    /* The responder has the new child and deletes it at once; message 2 comes behind that. */
    const struct pair1_child *newest = &p->side[1].children[p->side[1].child_count - 1];

    CHECK_EQUAL(newest->info.replaces_spi_in, used_by(p, 1));
    ikev1_pair_close_child(p, 1, newest->info.spi_in);
    CHECK_EQUAL(p->queue_count, 2);
    ikev1_pair_deliver(p, 1);
    CHECK(ikev1_pair_run(p));
    CHECK_EQUAL(p->side[0].child_failure.reason, IKEV1_FAIL_CHILD_REFUSED);
    /* What is used is what the peer has. */
    CHECK_EQUAL(used_by(p, 0), old);
    CHECK(carries(p));
    ikev1_pair_advance(p, 300000);
    CHECK(carries(p));
    ikev1_pair_free(p);
}

TEST(every_kind_of_network_of_ipv6_can_be_said)
{
    static const char *const remotes[] = {"2001:db8:b::5", "2001:db8:b:8::/61", NULL};

    for (size_t i = 0; i < ARRAY_LENGTH(remotes); i++) {
        struct ikev1_pair *p = ikev1_pair_new(310 + i);
        struct network left;
        struct network right;

        CHECK(network_parse(SLICE_TEXT("2001:db8:a::/48"), &left));
        CHECK(network_parse(SLICE_TEXT("2001:db8:b::/48"), &right));
        p->side[0].local[0][0] = p->side[1].remote[0][0] = selector_of_network(&left);
        p->side[0].remote[0][0] = p->side[1].local[0][0] = selector_of_network(&right);
        struct selector *wanted = &p->side[0].remote[0][0];

        if (remotes[i] != NULL) {
            CHECK(network_parse(slice_of_text(remotes[i]), &right));
            *wanted = selector_of_network(&right);
        } else {
            /* A range that is no network. */
            wanted->addresses.first.bytes[15] = 3;
            wanted->addresses.last = wanted->addresses.first;
            wanted->addresses.last.bytes[15] = 77;
        }
        ikev1_pair_start(p, 0);
        CHECK(ikev1_pair_run(p));
        CHECK(carries(p));
        CHECK(selector_equal(&ikev1_pair_outbound(p, 1, "net")->local, wanted));
        ikev1_pair_free(p);
    }
}

/* Both begin at once, in Aggressive Mode; `order` says which of the messages under way arrives
 * next, and an 'n' is the beginning of the other side. */
static void begin_both(uint64_t seed, const char *order)
{
    struct ikev1_pair *p = ikev1_pair_new(seed);

    for (unsigned i = 0; i < 2; i++) {
        struct pair1_side *s = &p->side[i];

        ikev1_pair_set_ike(p, i, "aes128-sha1-x25519");
        ikev1_pair_set_esp(p, i, "aes128-sha1");
        s->policy.liveness_ms = 300000;
        s->policy.aggressive = s->responder.aggressive = true;
        s->says_initial_contact = true;
    }
    ikev1_pair_start(p, 0);
    for (const char *c = order; *c != '\0'; c++) {
        if (*c == 'n') {
            ikev1_pair_start(p, 1);
        } else {
            CHECK((size_t)(*c - '0') < p->queue_count);
            ikev1_pair_deliver(p, (size_t)(*c - '0'));
        }
    }
    ikev1_pair_advance(p, 900000);
    CHECK(carries(p));
    CHECK_EQUAL(ikev1_pair_machines(p, 0), 1);
    CHECK_EQUAL(ikev1_pair_machines(p, 1), 1);
    CHECK_EQUAL(ikev1_pair_live_children(p, 0), ikev1_pair_live_children(p, 1));
    ikev1_pair_free(p);
}

TEST(a_delete_of_the_isakmp_sa_may_overtake_that_of_its_child)
{
    begin_both(1, "00n2200110010");
}

TEST(a_delete_of_a_child_may_cross_that_of_the_isakmp_sa_under_which_it_was_sent)
{
    begin_both(1, "0n10001110000");
}
