/* Quick Mode: what children are made of, how they replace each other, and what must be refused. */
#include <stdlib.h>

#include "proto/ikev1/machine.h"
#include "tests/support/ikev1_pair.h"
#include "tests/support/test.h"

static struct ikev1_pair *up(uint64_t seed)
{
    struct ikev1_pair *p = ikev1_pair_new(seed);

    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    CHECK_EQUAL(p->side[0].established + p->side[1].established, 2);
    p->transcript[0] = '\0';
    return p;
}

static bool carries(struct ikev1_pair *p)
{
    return ikev1_pair_agrees(p) && ikev1_pair_packet(p, 0, "net") && ikev1_pair_packet(p, 1, "net");
}

TEST(with_pfs_there_is_a_key_exchange_of_its_own)
{
    static const char *const words[] = {"aes128-sha256-modp2048", "aes256gcm16-ecp256",
                                        "3des-md5-modp1536", "aes256-sha512-x25519"};

    for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
        struct ikev1_pair *p = ikev1_pair_new(1 + i);

        ikev1_pair_set_esp(p, 0, words[i]);
        ikev1_pair_set_esp(p, 1, words[i]);
        ikev1_pair_start(p, 0);
        CHECK(ikev1_pair_run(p));
        CHECK(strstr(p->transcript, "0 HDR*, HASH, SA, Nonce, KE, ID, ID\n"
                                    "1 HDR*, HASH, SA, Nonce, KE, ID, ID\n"
                                    "0 HDR*, HASH\n") != NULL);
        CHECK(carries(p));
        CHECK(ikev1_pair_outbound(p, 0, "net")->info.suite.key_exchange != 0);
        ikev1_pair_free(p);
    }
}

TEST(pfs_on_one_side_alone)
{
    struct ikev1_pair *p = ikev1_pair_new(2);

    /* More than is asked for is good; less is not. */
    ikev1_pair_set_esp(p, 0, "aes128-sha256-modp2048");
    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    CHECK(carries(p));
    ikev1_pair_free(p);

    p = ikev1_pair_new(3);
    ikev1_pair_set_esp(p, 1, "aes128-sha256-modp2048");
    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    CHECK_EQUAL(p->side[0].established, 1);
    CHECK_EQUAL(p->side[1].child_failure.reason, IKEV1_FAIL_CHILD_NO_PROPOSAL);
    CHECK_EQUAL(p->side[0].child_failure.reason, IKEV1_FAIL_CHILD_NO_PROPOSAL);
    CHECK_EQUAL(p->side[0].child_failure.notify, IKEV1_NO_PROPOSAL_CHOSEN);
    CHECK_EQUAL(ikev1_pair_live_children(p, 0) + ikev1_pair_live_children(p, 1), 0);
    ikev1_pair_free(p);

    p = ikev1_pair_new(4);
    ikev1_pair_set_esp(p, 1, "aes128-sha256-modp2048");
    p->side[1].children_policy[0].any_group = true;
    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    CHECK(carries(p));
    ikev1_pair_free(p);
}

TEST(ah_and_the_strongest_of_several_proposals)
{
    struct ikev1_pair *p = ikev1_pair_new(5);

    ikev1_pair_set_ah(p, 0, "sha1-sha512");
    ikev1_pair_set_ah(p, 1, "sha1-sha512");
    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    CHECK(carries(p));
    CHECK_EQUAL(ikev1_pair_outbound(p, 0, "net")->info.protocol, PROTOCOL_AH);
    CHECK_EQUAL(ikev1_pair_outbound(p, 0, "net")->info.suite.integrity,
                INTEGRITY_HMAC_SHA2_512_256);
    ikev1_pair_free(p);
}

TEST(nothing_in_common_for_a_child_leaves_the_isakmp_sa)
{
    struct ikev1_pair *p = ikev1_pair_new(6);

    ikev1_pair_set_esp(p, 0, "aes128-sha1");
    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    CHECK_EQUAL(p->side[1].child_failure.reason, IKEV1_FAIL_CHILD_NO_PROPOSAL);
    CHECK_TEXT(p->side[1].child_failure.theirs, "aes128-sha1");
    CHECK(ikev1_pair_sa(p, 0) != NULL && ikev1_pair_sa(p, 1) != NULL);
    CHECK_EQUAL(p->side[0].esp_spis_given, p->side[0].esp_spis_unused);
    ikev1_pair_free(p);
}

TEST(traffic_that_no_policy_has_is_refused_and_told_with_both_sides)
{
    struct ikev1_pair *p = ikev1_pair_new(7);
    struct network n;

    CHECK(network_parse(SLICE_TEXT("10.0.0.0/8"), &n));
    p->side[0].remote[0][0] = selector_of_network(&n);
    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    CHECK_EQUAL(p->side[1].child_failure.reason, IKEV1_FAIL_CHILD_SELECTORS);
    CHECK_TEXT(p->side[1].child_failure.theirs, "10.0.0.0/8 === 10.1.0.0/16");
    CHECK_TEXT(p->side[1].child_failure.ours, "10.2.0.0/16 === 10.1.0.0/16");
    CHECK_EQUAL(p->side[0].child_failure.reason, IKEV1_FAIL_CHILD_SELECTORS);
    CHECK_EQUAL(p->side[0].child_failure.notify, IKEV1_INVALID_ID_INFORMATION);
    /* Where it is allowed, both have what both have, and the peer thinks that he has more. */
    p->side[1].children_policy[0].accept_wider = true;
    ikev1_pair_start_child(p, 0, 0);
    CHECK(ikev1_pair_run(p));
    const struct pair1_child *out = ikev1_pair_outbound(p, 1, "net");
    char text[SELECTOR_TEXT_BYTES];

    CHECK(out != NULL);
    CHECK_TEXT(selector_format(&out->local, text), "10.2.0.0/16");
    /* Also when we are the one who renews it, and offers what he had asked for. */
    uint32_t before = out->info.spi_in;

    ikev1_pair_rekey_child(p, 1, before);
    ikev1_pair_advance(p, IKEV1_USE_MS + 1);
    out = ikev1_pair_outbound(p, 1, "net");
    CHECK(out != NULL && out->info.spi_in != before);
    CHECK_TEXT(selector_format(&out->local, text), "10.2.0.0/16");
    CHECK_TEXT(selector_format(&ikev1_pair_outbound(p, 0, "net")->remote, text), "10.0.0.0/8");
    ikev1_pair_free(p);
}

/* What the newest child of the second side carries is all that its policy has, and nothing else. */
static bool carries_all(struct ikev1_pair *p)
{
    const struct pair1_child *out = ikev1_pair_outbound(p, 1, "net");

    return out != NULL && selectors_equal(out->locals, out->info.local_count, p->side[1].local[0],
                                          p->side[1].children_policy[0].local_count);
}

TEST(who_proposes_everything_has_all_that_the_policy_has_in_one_child)
{
    struct ikev1_pair *p = ikev1_pair_new(7);
    struct network n;
    char text[SELECTOR_TEXT_BYTES];

    CHECK(network_parse(SLICE_TEXT("0.0.0.0/0"), &n));
    p->side[0].remote[0][0] = selector_of_network(&n);
    CHECK(network_parse(SLICE_TEXT("172.16.0.0/12"), &n));
    p->side[1].local[0][1] = selector_of_network(&n);
    p->side[1].children_policy[0].local_count = 2;
    p->side[1].children_policy[0].accept_wider = true;
    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    CHECK(carries_all(p));
    CHECK_EQUAL(ikev1_pair_live_children(p, 1), 1);
    /* RFC 2409 5.5: the identities come back as they were said. */
    CHECK_TEXT(selector_format(&ikev1_pair_outbound(p, 0, "net")->remote, text), "0.0.0.0/0");
    /* A renewal by either side keeps it, and takes the older one's place. */
    for (unsigned side = 0; side < 2; side++) {
        uint32_t before = ikev1_pair_outbound(p, 1, "net")->info.spi_in;
        uint32_t known = ikev1_pair_outbound(p, side, "net")->info.spi_in;

        ikev1_pair_rekey_child(p, side, known);
        ikev1_pair_advance(p, 5 * IKEV1_DROP_MS);
        CHECK(carries_all(p));
        CHECK(ikev1_pair_outbound(p, 1, "net")->info.spi_in != before);
        CHECK_EQUAL(ikev1_pair_live_children(p, 1), 1);
        CHECK_TEXT(selector_format(&ikev1_pair_outbound(p, 0, "net")->remote, text), "0.0.0.0/0");
    }
    ikev1_pair_free(p);
}

TEST(who_proposes_a_part_has_what_the_policy_has_of_that)
{
    static const struct {
        const char *proposed, *carried;
        size_t count;
    } each[] = {
        {"172.16.0.0/12", "172.16.0.0/12", 1},
        {"172.20.1.0/24", "172.20.1.0/24", 1},
        {"172.0.0.0/8", "172.16.0.0/12", 1},
        {"10.0.0.0/8", "10.2.0.0/15", 2}, /* two of them touch */
        {"10.2.0.0/15", "10.2.0.0/15", 1},
        {"192.168.0.0/16", NULL, 0},
    };
    static const char *const networks[] = {"10.2.0.0/16", "10.3.0.0/16", "10.200.0.0/16",
                                           "172.16.0.0/12"};

    for (size_t i = 0; i < ARRAY_LENGTH(each); i++) {
        struct ikev1_pair *p = ikev1_pair_new((unsigned)i);
        struct network n;
        char text[SELECTOR_TEXT_BYTES];

        CHECK(network_parse(slice_of_text(each[i].proposed), &n));
        p->side[0].remote[0][0] = selector_of_network(&n);
        for (size_t j = 0; j < ARRAY_LENGTH(networks); j++) {
            CHECK(network_parse(slice_of_text(networks[j]), &n));
            p->side[1].local[0][j] = selector_of_network(&n);
        }
        p->side[1].children_policy[0].local_count = ARRAY_LENGTH(networks);
        p->side[1].children_policy[0].accept_wider = true;
        ikev1_pair_start(p, 0);
        CHECK(ikev1_pair_run(p));
        const struct pair1_child *out = ikev1_pair_outbound(p, 1, "net");

        CHECK_EQUAL(out != NULL, each[i].count > 0);
        if (out != NULL) {
            CHECK_EQUAL(out->info.local_count, each[i].count);
            CHECK_TEXT(selector_format(&out->locals[0], text), each[i].carried);
        } else {
            CHECK_EQUAL(p->side[1].child_failure.reason, IKEV1_FAIL_CHILD_SELECTORS);
        }
        ikev1_pair_free(p);
    }
}

TEST(less_than_the_policy_has_is_accepted_and_every_identity_can_be_said)
{
    static const char *const remotes[] = {"10.2.3.4", "10.2.8.0/21"};

    for (size_t i = 0; i < 3; i++) {
        struct ikev1_pair *p = ikev1_pair_new(8 + i);
        struct selector *remote = &p->side[0].remote[0][0];
        struct selector *local = &p->side[0].local[0][0];
        struct network n;

        if (i < 2) {
            CHECK(network_parse(slice_of_text(remotes[i]), &n));
            *remote = selector_of_network(&n);
        } else {
            remote->addresses.first = address_ipv4(0x0a020005);
            remote->addresses.last = address_ipv4(0x0a020109);
        }
        remote->protocol = 6;
        remote->port_first = remote->port_last = 443;
        local->protocol = 6;
        ikev1_pair_start(p, 0);
        CHECK(ikev1_pair_run(p));
        CHECK(carries(p));
        CHECK(selector_equal(&ikev1_pair_outbound(p, 1, "net")->local, remote));
        ikev1_pair_free(p);
    }
}

TEST(a_range_of_ports_cannot_be_said)
{
    struct ikev1_pair *p = ikev1_pair_new(12);

    p->side[0].remote[0][0].protocol = 6;
    p->side[0].remote[0][0].port_first = 80;
    p->side[0].remote[0][0].port_last = 90;
    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    CHECK_EQUAL(p->side[0].child_failure.reason, IKEV1_FAIL_CHILD_SELECTORS);
    CHECK_EQUAL(p->side[0].esp_spis_given, p->side[0].esp_spis_unused);
    ikev1_pair_free(p);
}

TEST(several_pairs_and_policies_become_a_child_each)
{
    struct ikev1_pair *p = ikev1_pair_new(13);

    for (unsigned i = 0; i < 2; i++) {
        struct network n = {.address = address_ipv4(i == 0 ? 0xac100000 : 0xac110000),
                            .prefix_bits = 16};

        p->side[i].local[0][1] = selector_of_network(&n);
        p->side[1 - i].remote[0][1] = selector_of_network(&n);
    }
    for (unsigned i = 0; i < 2; i++) {
        p->side[i].children_policy[0].local_count = 2;
        p->side[i].children_policy[0].remote_count = 2;
    }
    ikev1_pair_add_child(p, 1);
    ikev1_pair_add_child(p, 2);
    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    CHECK_EQUAL(ikev1_pair_live_children(p, 0), 6);
    CHECK_EQUAL(ikev1_pair_live_children(p, 1), 6);
    CHECK(ikev1_pair_agrees(p));
    CHECK(ikev1_pair_outbound(p, 0, "child1") != NULL || ikev1_pair_live_children(p, 0) == 6);
    ikev1_pair_free(p);
}

TEST(transport_mode_is_for_the_two_hosts)
{
    struct ikev1_pair *p = ikev1_pair_new(14);

    for (unsigned i = 0; i < 2; i++) {
        struct network any = {.address = address_ipv4(0), .prefix_bits = 0};

        p->side[i].children_policy[0].mode = IKEV1_MODE_TRANSPORT;
        p->side[i].local[0][0] = selector_of_network(&any);
        p->side[i].remote[0][0] = selector_of_network(&any);
        p->side[i].local[0][0].protocol = p->side[i].remote[0][0].protocol = 17;
    }
    /* As of L2TP (RFC 3193): one port on one side, any on the other. */
    p->side[0].remote[0][0].port_first = p->side[0].remote[0][0].port_last = 1701;
    p->side[1].local[0][0].port_first = p->side[1].local[0][0].port_last = 1701;
    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    CHECK(carries(p));
    const struct pair1_child *out = ikev1_pair_outbound(p, 0, "net");

    CHECK(out->info.transport_mode && !out->info.encapsulated);
    CHECK(address_equal(&out->remote.addresses.first, &p->side[1].endpoint.address));
    CHECK(address_equal(&out->remote.addresses.last, &p->side[1].endpoint.address));
    CHECK_EQUAL(out->remote.port_first, 1701);
    CHECK_EQUAL(address_is_unset(&out->info.original_peer), true);
    ikev1_pair_free(p);
}

TEST(transport_mode_through_a_nat_tells_the_original_addresses)
{
    for (unsigned drafts = 0; drafts < 2; drafts++) {
        struct ikev1_pair *p = ikev1_pair_new(15);

        p->nat = true;
        p->side[0].policy.natt = drafts ? IKEV1_NATT_DRAFTS : IKEV1_NATT_ALL;
        for (unsigned i = 0; i < 2; i++) {
            struct network any = {.address = address_ipv4(0), .prefix_bits = 0};

            p->side[i].children_policy[0].mode = IKEV1_MODE_TRANSPORT;
            p->side[i].local[0][0] = selector_of_network(&any);
            p->side[i].remote[0][0] = selector_of_network(&any);
        }
        ikev1_pair_start(p, 0);
        CHECK(ikev1_pair_run(p));
        CHECK(carries(p));
        CHECK(strstr(p->transcript, "0 HDR*, HASH, SA, Nonce, ID, ID, NAT-OA") != NULL);
        const struct pair1_child *at_0 = ikev1_pair_outbound(p, 0, "net");
        const struct pair1_child *at_1 = ikev1_pair_outbound(p, 1, "net");
        struct address outside = address_ipv4(0xc6336401);

        CHECK(at_0->info.transport_mode && at_0->info.encapsulated);
        CHECK(address_equal(&at_0->info.original_local, &outside));
        CHECK(address_equal(&at_1->info.original_peer, &p->side[0].endpoint.address));
        CHECK(address_equal(&at_1->remote.addresses.first, &outside));
        ikev1_pair_free(p);
    }
}

/* As a site in transport mode has it, which learns later from where it speaks to its peer: any
 * address of ours, of both families where the peer's is not known either. */
TEST(what_is_meant_for_any_host_is_there_when_the_two_ends_have_it)
{
    for (unsigned families = 1; families <= 2; families++) {
        for (unsigned side = 0; side < 2; side++) {
            struct ikev1_pair *p = ikev1_pair_new(19);
            struct ikev1_child_policy *child = &p->side[side].children_policy[0];

            for (unsigned i = 0; i < 2; i++) {
                const struct network any = {.address = address_ipv4(0)};
                const struct network any_6 = {.address = {.family = FAMILY_IPV6}};

                p->side[i].children_policy[0].mode = IKEV1_MODE_TRANSPORT;
                p->side[i].children_policy[0].local_count = families;
                p->side[i].children_policy[0].remote_count = families;
                p->side[i].local[0][0] = p->side[i].remote[0][0] = selector_of_network(&any);
                p->side[i].local[0][1] = p->side[i].remote[0][1] = selector_of_network(&any_6);
            }
            ikev1_pair_start(p, 0);
            CHECK(ikev1_pair_run(p));
            CHECK_EQUAL(p->side[0].child_failed, 0);
            CHECK(ikev1_sa_has_children(ikev1_pair_sa(p, side), child));
            ikev1_pair_rekey_child(p, 0, ikev1_pair_outbound(p, 0, "net")->info.spi_in);
            CHECK(ikev1_pair_run(p));
            ikev1_pair_advance(p, 100000);
            CHECK(ikev1_sa_has_children(ikev1_pair_sa(p, side), child));
            CHECK_EQUAL(ikev1_pair_live_children(p, 0), 1);
            /* And nothing is made for it anew. */
            ikev1_pair_start_child(p, side, 0);
            CHECK_EQUAL(p->queue_count, 0);
            ikev1_pair_close_child(p, side, ikev1_pair_outbound(p, side, "net")->info.spi_in);
            CHECK(!ikev1_sa_has_children(ikev1_pair_sa(p, side), child));
            ikev1_pair_free(p);
        }
    }
}

TEST(the_mode_is_a_reason_to_refuse_only_where_transport_is_a_must)
{
    struct ikev1_pair *p = ikev1_pair_new(16);

    p->side[1].children_policy[0].mode = IKEV1_MODE_TRANSPORT;
    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    CHECK_EQUAL(p->side[1].child_failure.reason, IKEV1_FAIL_CHILD_MODE);
    p->side[1].children_policy[0].mode = IKEV1_MODE_PREFER_TRANSPORT;
    ikev1_pair_start_child(p, 0, 0);
    CHECK(ikev1_pair_run(p));
    CHECK(carries(p));
    CHECK(!ikev1_pair_outbound(p, 0, "net")->info.transport_mode);
    ikev1_pair_free(p);
}

TEST(ah_behind_a_nat_is_not_even_tried)
{
    struct ikev1_pair *p = ikev1_pair_new(17);

    p->nat = true;
    ikev1_pair_set_ah(p, 0, "sha256");
    ikev1_pair_set_ah(p, 1, "sha256");
    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    CHECK_EQUAL(p->side[0].child_failure.reason, IKEV1_FAIL_CHILD_AH_NAT);
    ikev1_pair_free(p);
}

TEST(without_an_spi_there_is_no_child_and_nothing_is_left)
{
    for (unsigned side = 0; side < 2; side++) {
        struct ikev1_pair *p = ikev1_pair_new(18);

        p->side[side].no_spi = true;
        ikev1_pair_start(p, 0);
        CHECK(ikev1_pair_run(p));
        CHECK_EQUAL(p->side[side].child_failure.reason, IKEV1_FAIL_RESOURCES);
        ikev1_pair_advance(p, 200000);
        CHECK_EQUAL(ikev1_pair_live_children(p, 0) + ikev1_pair_live_children(p, 1), 0);
        CHECK_EQUAL(p->side[0].esp_spis_given, p->side[0].esp_spis_unused);
        ikev1_pair_free(p);
    }
}

TEST(a_child_is_renewed_by_either_side_without_a_gap)
{
    for (unsigned side = 0; side < 2; side++) {
        struct ikev1_pair *p = up(19);
        uint32_t before = ikev1_pair_outbound(p, side, "net")->info.spi_in;

        ikev1_pair_rekey_child(p, side, before);
        while (p->queue_count > 0) {
            /* At every moment each side can be heard by the other. */
            CHECK(ikev1_pair_packet(p, 0, "net") && ikev1_pair_packet(p, 1, "net"));
            ikev1_pair_deliver(p, 0);
        }
        CHECK(carries(p));
        ikev1_pair_advance(p, IKEV1_USE_MS + 1);
        CHECK(carries(p));
        CHECK(ikev1_pair_outbound(p, side, "net")->info.spi_in != before);
        CHECK_EQUAL(ikev1_pair_outbound(p, side, "net")->info.replaces_spi_in, before);
        CHECK_EQUAL(ikev1_pair_live_children(p, 0), 2);
        /* Who renewed it deletes the old one; late packets come in for a while. */
        ikev1_pair_advance(p, IKEV1_DROP_MS + 1);
        CHECK(strstr(p->transcript, side == 0 ? "0 HDR*, HASH, D\n" : "1 HDR*, HASH, D\n") != NULL);
        ikev1_pair_advance(p, 11000);
        CHECK_EQUAL(ikev1_pair_live_children(p, 0), 1);
        CHECK_EQUAL(ikev1_pair_live_children(p, 1), 1);
        CHECK(carries(p));
        ikev1_pair_free(p);
    }
}

TEST(both_renew_the_same_child_at_once)
{
    struct ikev1_pair *p = up(20);

    for (unsigned i = 0; i < 2; i++) {
        ikev1_pair_rekey_child(p, i, ikev1_pair_outbound(p, i, "net")->info.spi_in);
    }
    while (p->queue_count > 0) {
        CHECK(ikev1_pair_packet(p, 0, "net") && ikev1_pair_packet(p, 1, "net"));
        ikev1_pair_deliver(p, 0);
    }
    ikev1_pair_advance(p, 300000);
    CHECK(carries(p));
    CHECK(ikev1_pair_live_children(p, 0) <= 2);
    CHECK_EQUAL(ikev1_pair_live_children(p, 0), ikev1_pair_live_children(p, 1));
    ikev1_pair_free(p);
}

TEST(children_live_their_life_for_days_and_do_not_multiply)
{
    struct ikev1_pair *p = ikev1_pair_new(21);

    for (unsigned i = 0; i < 2; i++) {
        p->side[i].children_policy[0].lifetime_ms = 3600000;
        p->side[i].policy.ike_lifetime_ms = 3 * 3600000;
    }
    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    for (unsigned hour = 0; hour < 48; hour++) {
        ikev1_pair_advance(p, 3600000);
        CHECK(carries(p));
        CHECK(ikev1_pair_live_children(p, 0) <= 4 && ikev1_pair_live_children(p, 1) <= 4);
        CHECK_EQUAL(ikev1_pair_machines(p, 0), 1);
        CHECK_EQUAL(ikev1_pair_machines(p, 1), 1);
    }
    CHECK_EQUAL(p->side[0].closed + p->side[1].closed + p->side[0].child_failed, 0);
    ikev1_pair_close(p, 1);
    CHECK(ikev1_pair_run(p));
    CHECK(ikev1_pair_is_empty(p, 0) && ikev1_pair_is_empty(p, 1));
    ikev1_pair_free(p);
}

TEST(a_deleted_child_is_gone_on_both_sides)
{
    struct ikev1_pair *p = up(22);

    ikev1_pair_close_child(p, 1, ikev1_pair_outbound(p, 1, "net")->info.spi_in);
    CHECK(ikev1_pair_run(p));
    CHECK_TEXT(p->transcript, "1 HDR*, HASH, D\n");
    CHECK_EQUAL(ikev1_pair_live_children(p, 0) + ikev1_pair_live_children(p, 1), 0);
    ikev1_pair_start_child(p, 1, 0);
    CHECK(ikev1_pair_run(p));
    CHECK(carries(p));
    ikev1_pair_free(p);
}

TEST(messages_of_a_quick_mode_that_is_over_do_nothing_when_they_are_replayed)
{
    struct ikev1_pair *p = ikev1_pair_new(23);
    struct pair1_datagram kept[16];
    size_t count = 0;

    ikev1_pair_start(p, 0);
    while (p->queue_count > 0) {
        struct pair1_datagram d = p->queue[0];

        CHECK(count < ARRAY_LENGTH(kept));
        kept[count] = d;
        kept[count].bytes = malloc(d.length);
        CHECK(kept[count].bytes != NULL);
        memcpy(kept[count++].bytes, d.bytes, d.length);
        ikev1_pair_deliver(p, 0);
    }
    CHECK(carries(p));
    for (unsigned round = 0; round < 3; round++) {
        ikev1_pair_advance(p, round == 0 ? 500 : 100000);
        for (size_t i = 2; i < count; i++) {
            ikev1_pair_inject(p, kept[i].to, &kept[i].local, &kept[i].peer,
                              (struct slice){kept[i].bytes, kept[i].length});
        }
        CHECK(ikev1_pair_run(p));
        CHECK_EQUAL(p->side[0].child_count, 1);
        CHECK_EQUAL(p->side[1].child_count, 1);
        CHECK(carries(p));
    }
    CHECK_EQUAL(p->side[0].closed + p->side[1].closed, 0);
    for (size_t i = 0; i < count; i++) {
        free(kept[i].bytes);
    }
    ikev1_pair_free(p);
}

TEST(a_quick_mode_with_one_changed_bit_anywhere_makes_nothing)
{
    for (unsigned number = 0; number < 3; number++) {
        struct ikev1_pair *p = up(24);
        size_t before;

        ikev1_pair_rekey_child(p, 0, ikev1_pair_outbound(p, 0, "net")->info.spi_in);
        for (unsigned i = 0; i < number; i++) {
            ikev1_pair_deliver(p, 0);
        }
        before = p->side[0].child_count + p->side[1].child_count;
        struct pair1_datagram d = p->queue[0];

        for (size_t i = 0; i < d.length; i++) {
            if (i == 19) {
                continue; /* flags: the commit bit may be set */
            }
            d.bytes[i] ^= 0x20;
            ikev1_pair_inject(p, d.to, &d.local, &d.peer, (struct slice){d.bytes, d.length});
            d.bytes[i] ^= 0x20;
        }
        CHECK_EQUAL(p->side[0].child_count + p->side[1].child_count, before);
        CHECK(ikev1_pair_run(p));
        ikev1_pair_advance(p, 5000);
        CHECK(carries(p));
        CHECK_EQUAL(p->side[0].child_count, 2);
        ikev1_pair_free(p);
    }
}

TEST(without_message_3_the_responder_goes_on_with_what_he_has)
{
    struct ikev1_pair *p = up(25);

    ikev1_pair_rekey_child(p, 0, ikev1_pair_outbound(p, 0, "net")->info.spi_in);
    ikev1_pair_deliver(p, 0);
    /* The initiator is gone before he had message 2. */
    ikev1_pair_drop(p, 0);
    p->side[0].deaf = true;
    ikev1_pair_advance(p, 10000);
    CHECK_EQUAL(ikev1_pair_live_children(p, 1), 2);
    CHECK(!ikev1_pair_outbound(p, 1, "net")->info.replaces_spi_in);
    p->side[0].deaf = false;
    ikev1_pair_advance(p, 100000);
    CHECK(carries(p));
    ikev1_pair_free(p);
}

/* The responder has a child, and the ISAKMP SA goes before message 3 comes. */
static struct ikev1_pair *unproven(uint64_t seed)
{
    struct ikev1_pair *p = ikev1_pair_new(seed);

    ikev1_pair_start(p, 0);
    for (unsigned i = 0; i < 7; i++) {
        ikev1_pair_deliver(p, 0);
    }
    CHECK_EQUAL(ikev1_pair_live_children(p, 1), 1);
    ikev1_pair_drop(p, 0);
    ikev1_pair_close(p, 0);
    CHECK(ikev1_pair_run(p));
    CHECK_EQUAL(ikev1_pair_machines(p, 1), 1);
    CHECK_EQUAL(ikev1_pair_live_children(p, 1), 1);
    return p;
}

TEST(a_child_whose_message_3_cannot_come_any_more_goes_and_makes_room)
{
    struct ikev1_pair *p = unproven(40);

    ikev1_pair_advance(p, 31000);
    CHECK_EQUAL(ikev1_pair_live_children(p, 1), 0);
    ikev1_pair_start_child(p, 1, 0);
    CHECK(ikev1_pair_run(p));
    CHECK(carries(p));
    ikev1_pair_free(p);
}

TEST(unless_the_peer_is_heard_through_it)
{
    struct ikev1_pair *p = unproven(41);
    uint32_t spi_in = p->side[1].children[0].info.spi_in;

    ikev1_sa_child_heard(ikev1_pair_sa(p, 1), spi_in, p->now_ms, p->actions);
    CHECK(p->actions->count == 1 && p->actions->list[0].kind == IKEV1_CHILD_USE);
    p->actions->count = 0;
    ikev1_pair_advance(p, 120000);
    CHECK_EQUAL(ikev1_pair_live_children(p, 1), 1);
    ikev1_pair_free(p);
}

TEST(of_several_pairs_the_one_that_lost_its_child_is_known_and_made_again)
{
    struct ikev1_pair *p = ikev1_pair_new(42);

    for (unsigned i = 0; i < 2; i++) {
        struct pair1_side *s = &p->side[i];
        struct network n = {.address = address_ipv4(i == 0 ? 0x0a0b0000 : 0x0a0c0000),
                            .prefix_bits = 16};

        s->local[0][1] = selector_of_network(&n);
        n.address = address_ipv4(i == 0 ? 0x0a0c0000 : 0x0a0b0000);
        s->remote[0][1] = selector_of_network(&n);
        s->children_policy[0].local_count = s->children_policy[0].remote_count = 2;
    }
    const struct ikev1_child_policy *policy = &p->side[0].children_policy[0];

    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    size_t pairs = ikev1_pair_live_children(p, 0);

    CHECK(pairs >= 2 && ikev1_sa_has_children(ikev1_pair_sa(p, 0), policy));
    ikev1_pair_close_child(p, 1, p->side[1].children[1].info.spi_in);
    CHECK(ikev1_pair_run(p));
    CHECK_EQUAL(ikev1_pair_live_children(p, 0), pairs - 1);
    CHECK(!ikev1_sa_has_children(ikev1_pair_sa(p, 0), policy));
    ikev1_pair_start_child(p, 0, 0);
    CHECK(ikev1_sa_has_children(ikev1_pair_sa(p, 0), policy));
    CHECK(ikev1_pair_run(p));
    CHECK_EQUAL(ikev1_pair_live_children(p, 0), pairs);
    CHECK(ikev1_pair_agrees(p));
    ikev1_pair_free(p);
}

static bool all_but_quick_mode(void *context, struct ikev1_pair *p, const struct pair1_datagram *d)
{
    (void)context;
    (void)p;
    return d->bytes[18] != IKEV1_QUICK;
}

TEST(a_quick_mode_that_stays_unanswered_is_told_as_that)
{
    struct ikev1_pair *p = ikev1_pair_new(60);

    p->passes = all_but_quick_mode;
    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    CHECK_EQUAL(p->side[0].established, 1);
    for (unsigned i = 0; i < 600 && p->side[0].child_failed == 0; i++) {
        ikev1_pair_advance(p, 1000);
    }
    CHECK_EQUAL(p->side[0].child_failure.reason, IKEV1_FAIL_CHILD_NO_ANSWER);
    CHECK_TEXT(p->side[0].child_failure.detail, "it does not answer Quick Mode");
    ikev1_pair_free(p);
}

/* In the keys of phase 1, about nothing in particular. */
static void complain(struct ikev1_pair *p, unsigned to, uint16_t type)
{
    static struct ikev1_actions actions;
    static uint8_t bytes[1024];
    const struct slice nothing = {NULL, 0};

    actions.count = 0;
    struct ikev1_turn t = ikev1_turn_begin(ikev1_pair_sa(p, !to), p->now_ms, &actions);

    ikev1_send_notify(&t, t.sa->current, IKEV1_PROTO_ISAKMP, type, nothing, nothing);
    const struct ikev1_action *sent = &actions.list[actions.count - 1];

    CHECK_EQUAL(sent->kind, IKEV1_SEND);
    memcpy(bytes, sent->send.bytes.data, sent->send.bytes.length);
    ikev1_pair_inject(p, to, &p->side[to].endpoint, &p->side[!to].endpoint,
                      (struct slice){bytes, sent->send.bytes.length});
}

/* What we sent once more reached a peer that was through with it, while another exchange waits. */
TEST(a_message_that_could_not_be_read_was_perhaps_another_one)
{
    static const uint16_t types[] = {IKEV1_PAYLOAD_MALFORMED, IKEV1_INVALID_HASH_INFORMATION,
                                     IKEV1_INVALID_MESSAGE_ID};

    for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
        for (unsigned comes = 0; comes < 2; comes++) {
            struct ikev1_pair *p = ikev1_pair_new(61);

            p->passes = all_but_quick_mode;
            ikev1_pair_start(p, 0);
            CHECK(ikev1_pair_run(p));
            complain(p, 0, types[i]);
            CHECK(ikev1_pair_run(p));
            CHECK_EQUAL(p->side[0].child_failed, 0);
            p->passes = comes ? NULL : all_but_quick_mode;
            ikev1_pair_advance(p, comes ? 10000 : 600000);
            CHECK_EQUAL(p->side[0].established, 1);
            CHECK_EQUAL(p->side[0].child_failed, comes ? 0 : 1);
            CHECK_EQUAL(ikev1_pair_live_children(p, 0), comes);
            if (!comes) {
                CHECK_EQUAL(p->side[0].child_failure.reason, IKEV1_FAIL_CHILD_REFUSED);
                CHECK_EQUAL(p->side[0].child_failure.notify, types[i]);
            }
            ikev1_pair_free(p);
        }
    }
}
