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

/* ---- transport mode ---- */

static void set_networks(struct ikev2_pair *p, unsigned side, const char *local, const char *remote)
{
    struct network n;

    CHECK(network_parse(slice_of_text(local), &n));
    p->side[side].local[0][0] = selector_of_network(&n);
    CHECK(network_parse(slice_of_text(remote), &n));
    p->side[side].remote[0][0] = selector_of_network(&n);
}

/* The two hosts; through a NAT, side 1 sees another address of side 0. */
static void set_hosts(struct ikev2_pair *p)
{
    set_networks(p, 0, "192.0.2.1", "203.0.113.2");
    set_networks(p, 1, "203.0.113.2", p->nat ? "198.51.100.1" : "192.0.2.1");
}

static void set_mode(struct ikev2_pair *p, enum ikev2_mode mode0, enum ikev2_mode mode1)
{
    p->side[0].children_policy[0].mode = mode0;
    p->side[1].children_policy[0].mode = mode1;
}

static void set_ports(struct ikev2_pair *p)
{
    p->side[0].remote[0][0].protocol = 17;
    p->side[0].remote[0][0].port_first = p->side[0].remote[0][0].port_last = 1701;
    p->side[1].local[0][0].protocol = 17;
    p->side[1].local[0][0].port_first = p->side[1].local[0][0].port_last = 1701;
}

static void check_mode(struct ikev2_pair *p, bool transport)
{
    for (unsigned i = 0; i < 2; i++) {
        CHECK_EQUAL(net(p, i)->info.transport_mode, transport);
    }
}

static bool is_address(const struct address *a, const char *words)
{
    struct address wanted;

    CHECK(address_parse(slice_of_text(words), &wanted));
    return address_equal(a, &wanted);
}

/* One selector for one host. */
static bool is_host(const struct selector *s, size_t count, const char *words)
{
    return count == 1 && is_address(&s[0].addresses.first, words) &&
           is_address(&s[0].addresses.last, words);
}

TEST(transport_mode_is_agreed_kept_and_of_the_two_hosts_alone)
{
    for (unsigned how = 0; how < 2; how++) {
        struct ikev2_pair *p = ikev2_pair_new(10 + how);

        set_mode(p, IKEV2_MODE_TRANSPORT,
                 how == 0 ? IKEV2_MODE_TRANSPORT : IKEV2_MODE_PREFER_TRANSPORT);
        /* Wildcards are for the two hosts as well. */
        set_networks(p, 0, how == 0 ? "192.0.2.1" : "0.0.0.0/0", "203.0.113.0/24");
        set_networks(p, 1, "203.0.113.2", how == 0 ? "192.0.2.1" : "0.0.0.0/0");
        start(p);
        for (unsigned i = 0; i < 4; i++) {
            check_mode(p, true);
            CHECK(is_host(net(p, 0)->local, net(p, 0)->local_count, "192.0.2.1"));
            CHECK(is_host(net(p, 0)->remote, net(p, 0)->remote_count, "203.0.113.2"));
            CHECK(is_host(net(p, 1)->remote, net(p, 1)->remote_count, "192.0.2.1"));
            CHECK(address_is_unset(&net(p, 0)->info.original_local));
            CHECK(address_is_unset(&net(p, 1)->info.original_peer));
            if (i < 2) {
                rekey(p, i);
            } else if (i == 2) {
                rekey_both(p);
            }
        }
        ikev2_pair_free(p);
    }
}

TEST(transport_mode_that_must_be_is_refused_by_either_side)
{
    for (unsigned who = 0; who < 2; who++) {
        struct ikev2_pair *p = ikev2_pair_new(12 + who);

        set_hosts(p);
        set_mode(p, who == 0 ? IKEV2_MODE_TRANSPORT : IKEV2_MODE_TUNNEL,
                 who == 1 ? IKEV2_MODE_TRANSPORT : IKEV2_MODE_TUNNEL);
        start(p);
        check_none(p);
        CHECK_EQUAL(p->side[who].child_failure.reason, IKEV2_FAIL_CHILD_MODE);
        if (who == 1) {
            CHECK_EQUAL(p->side[0].child_failure.notify, IKEV2_NO_PROPOSAL_CHOSEN);
        }
        /* And so it is later. */
        ikev2_pair_start_child(p, 0, 0);
        CHECK(ikev2_pair_run(p));
        check_none(p);
        CHECK_EQUAL(p->side[who].child_failed, 2);
        CHECK_EQUAL(p->side[who].child_failure.exchange, IKEV2_CREATE_CHILD_SA);
        ikev2_pair_free(p);
    }
}

TEST(who_prefers_transport_mode_takes_a_tunnel)
{
    static const enum ikev2_mode modes[][2] = {
        {IKEV2_MODE_PREFER_TRANSPORT, IKEV2_MODE_TUNNEL},
        {IKEV2_MODE_TUNNEL, IKEV2_MODE_PREFER_TRANSPORT},
    };

    for (unsigned i = 0; i < ARRAY_LENGTH(modes); i++) {
        struct ikev2_pair *p = ikev2_pair_new(14 + i);

        set_hosts(p);
        set_mode(p, modes[i][0], modes[i][1]);
        start(p);
        check_mode(p, false);
        rekey(p, 0);
        rekey(p, 1);
        check_mode(p, false);
        ikev2_pair_free(p);
    }
}

TEST(networks_are_no_wish_for_transport_mode_and_not_the_hosts_no_child)
{
    struct ikev2_pair *p = ikev2_pair_new(16);

    /* 10.1.0.0/16 and 10.2.0.0/16 */
    set_mode(p, IKEV2_MODE_PREFER_TRANSPORT, IKEV2_MODE_PREFER_TRANSPORT);
    start(p);
    check_mode(p, false);
    CHECK_EQUAL(net(p, 0)->remote_count, 1);
    ikev2_pair_free(p);

    p = ikev2_pair_new(17);
    set_mode(p, IKEV2_MODE_TRANSPORT, IKEV2_MODE_TRANSPORT);
    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    CHECK_EQUAL(p->side[0].failure.reason, IKEV2_FAIL_CHILD_SELECTORS);
    ikev2_pair_free(p);
}

/* RFC 7296 2.23.1: IP1 192.0.2.1, IPN1 198.51.100.1, IP2 203.0.113.2. */
static void check_through_nat(struct ikev2_pair *p)
{
    const struct pair_child *client = net(p, 0);
    const struct pair_child *server = net(p, 1);

    check_mode(p, true);
    CHECK(client->encapsulated && server->encapsulated);
    CHECK(is_host(client->local, client->local_count, "192.0.2.1"));
    CHECK(is_host(client->remote, client->remote_count, "203.0.113.2"));
    CHECK(is_host(server->local, server->local_count, "203.0.113.2"));
    CHECK(is_host(server->remote, server->remote_count, "198.51.100.1"));
    CHECK(is_address(&server->info.original_peer, "192.0.2.1"));
    CHECK(is_address(&server->info.original_local, "203.0.113.2"));
    CHECK(is_address(&client->info.original_local, "198.51.100.1"));
    CHECK(is_address(&client->info.original_peer, "203.0.113.2"));
    CHECK_EQUAL(client->remote[0].port_first, 1701);
    CHECK_EQUAL(server->local[0].port_last, 1701);
    CHECK_EQUAL(server->local[0].protocol, 17);
}

TEST(transport_mode_through_a_nat_has_the_addresses_that_each_side_sees)
{
    struct ikev2_pair *p = ikev2_pair_new(18);

    p->nat = true;
    set_hosts(p);
    set_ports(p);
    set_mode(p, IKEV2_MODE_TRANSPORT, IKEV2_MODE_TRANSPORT);
    start(p);
    for (unsigned i = 0; i < 4; i++) {
        check_through_nat(p);
        if (i < 2) {
            rekey(p, i);
        } else if (i == 2) {
            rekey_both(p);
        }
    }
    ikev2_pair_free(p);
}

/* The lookup with the addresses as they were sent finds a tunnel where no transport is allowed. */
TEST(a_wish_for_transport_mode_through_a_nat_falls_back_to_the_selectors_as_sent)
{
    struct ikev2_pair *p = ikev2_pair_new(19);

    p->nat = true;
    set_networks(p, 0, "192.0.2.1", "203.0.113.2");
    set_networks(p, 1, "203.0.113.2", "192.0.2.1");
    set_mode(p, IKEV2_MODE_PREFER_TRANSPORT, IKEV2_MODE_TUNNEL);
    start(p);
    check_mode(p, false);
    CHECK(is_host(net(p, 1)->remote, net(p, 1)->remote_count, "192.0.2.1"));
    CHECK(address_is_unset(&net(p, 1)->info.original_peer));
    check_alone(p);
    ikev2_pair_free(p);
}

TEST(ah_in_transport_mode)
{
    struct ikev2_pair *p = ikev2_pair_new(20);

    set_ah(p, "sha256");
    set_hosts(p);
    set_mode(p, IKEV2_MODE_TRANSPORT, IKEV2_MODE_TRANSPORT);
    start(p);
    rekey(p, 1);
    check_ah(p);
    check_mode(p, true);
    ikev2_pair_free(p);
}

/* ---- IPComp ---- */

static void check_compressed(struct ikev2_pair *p)
{
    const struct ikev2_child_info *a = &net(p, 0)->info;
    const struct ikev2_child_info *b = &net(p, 1)->info;

    CHECK(a->compress && b->compress);
    CHECK(a->cpi_in >= 256 && a->cpi_in <= 61439 && b->cpi_in >= 256 && b->cpi_in <= 61439);
    CHECK_EQUAL(a->cpi_in, b->cpi_out);
    CHECK_EQUAL(a->cpi_out, b->cpi_in);
}

TEST(compression_is_agreed_and_agreed_anew_with_each_rekeying)
{
    struct ikev2_pair *p = ikev2_pair_new(30);

    p->side[0].children_policy[0].compress = true;
    p->side[1].children_policy[0].compress = true;
    start(p);
    check_compressed(p);
    for (unsigned by = 0; by < 2; by++) {
        uint16_t old = net(p, 0)->info.cpi_in;

        rekey(p, by);
        check_compressed(p);
        CHECK(net(p, 0)->info.cpi_in != old);
    }
    rekey_both(p);
    check_compressed(p);
    ikev2_pair_free(p);
}

TEST(without_compression_on_one_side_there_is_a_child_without)
{
    for (unsigned who = 0; who < 2; who++) {
        struct ikev2_pair *p = ikev2_pair_new(31 + who);

        p->side[who].children_policy[0].compress = true;
        start(p);
        for (unsigned by = 0; by < 2; by++) {
            CHECK(!net(p, by)->info.compress);
            CHECK_EQUAL(net(p, by)->info.cpi_in, 0);
            CHECK_EQUAL(net(p, by)->info.cpi_out, 0);
            rekey(p, by);
        }
        CHECK_EQUAL(p->side[0].child_failed + p->side[1].child_failed, 0);
        ikev2_pair_free(p);
    }
}

/* SPIs whose low parts meet: the CPIs of one peer stay unlike. */
TEST(no_two_children_of_a_peer_have_one_cpi)
{
    struct ikev2_pair *p = ikev2_pair_new(33);
    const uint32_t range = 61439 - 256 + 1;

    for (unsigned i = 1; i < 4; i++) {
        ikev2_pair_add_child(p, i, false);
    }
    for (unsigned i = 0; i < 2; i++) {
        set_networks(p, i, i == 0 ? "172.16.0.0/24" : "172.17.0.0/24",
                     i == 0 ? "172.17.0.0/24" : "172.16.0.0/24");
        for (unsigned c = 0; c < 4; c++) {
            p->side[i].children_policy[c].compress = true;
        }
    }
    start(p);
    for (unsigned i = 1; i < 4; i++) {
        p->side[0].next_spi += range - 1;
        ikev2_pair_start_child(p, 0, i);
        CHECK(ikev2_pair_run(p));
    }
    CHECK_EQUAL(ikev2_pair_live_children(p, 0), 4);
    for (unsigned i = 0; i < 4; i++) {
        for (unsigned j = 0; j < i; j++) {
            CHECK_EQUAL(p->side[0].children[i].spi_in % range,
                        p->side[0].children[j].spi_in % range);
            CHECK(p->side[0].children[i].info.cpi_in != p->side[0].children[j].info.cpi_in);
        }
    }
    ikev2_pair_free(p);
}

/* ---- AGGFRAG, fragments without ports ---- */

TEST(aggfrag_needs_both_and_tells_what_the_peer_demands)
{
    for (unsigned who = 0; who < 4; who++) {
        struct ikev2_pair *p = ikev2_pair_new(40 + who);

        p->side[0].children_policy[0].aggfrag =
            (struct ikev2_aggfrag_policy){.wanted = (who & 1) != 0, .congestion_control = true};
        p->side[1].children_policy[0].aggfrag =
            (struct ikev2_aggfrag_policy){.wanted = (who & 2) != 0, .dont_fragment = true};
        start(p);
        for (unsigned i = 0; i < 3; i++) {
            CHECK_EQUAL(net(p, 0)->info.aggfrag, who == 3);
            CHECK_EQUAL(net(p, 1)->info.aggfrag, who == 3);
            CHECK_EQUAL(net(p, 1)->info.peer_congestion_control, who == 3);
            CHECK_EQUAL(net(p, 0)->info.peer_dont_fragment, who == 3);
            CHECK(!net(p, 0)->info.peer_congestion_control);
            CHECK(!net(p, 1)->info.peer_dont_fragment);
            if (i < 2) {
                rekey(p, i);
            }
        }
        rekey_both(p);
        CHECK_EQUAL(net(p, 0)->info.aggfrag, who == 3);
        ikev2_pair_free(p);
    }
}

TEST(aggfrag_is_for_esp_in_tunnel_mode)
{
    for (unsigned how = 0; how < 2; how++) {
        struct ikev2_pair *p = ikev2_pair_new(45 + how);

        for (unsigned i = 0; i < 2; i++) {
            p->side[i].children_policy[0].aggfrag.wanted = true;
        }
        set_hosts(p);
        if (how == 0) {
            set_mode(p, IKEV2_MODE_TRANSPORT, IKEV2_MODE_TRANSPORT);
        } else {
            set_ah(p, "sha256");
        }
        start(p);
        CHECK(!net(p, 0)->info.aggfrag && !net(p, 1)->info.aggfrag);
        CHECK_EQUAL(net(p, 0)->info.transport_mode, how == 0);
        ikev2_pair_free(p);
    }
}

TEST(fragments_without_ports_pass_where_both_want_it_and_there_are_ports)
{
    for (unsigned how = 0; how < 8; how++) {
        struct ikev2_pair *p = ikev2_pair_new(50 + how);
        bool agreed = how == 7;

        p->side[0].children_policy[0].non_first_fragments = (how & 1) != 0;
        p->side[1].children_policy[0].non_first_fragments = (how & 2) != 0;
        if ((how & 4) != 0) {
            set_ports(p);
        }
        start(p);
        CHECK_EQUAL(net(p, 0)->info.non_first_fragments, agreed);
        CHECK_EQUAL(net(p, 1)->info.non_first_fragments, agreed);
        rekey(p, how & 1);
        CHECK_EQUAL(net(p, 0)->info.non_first_fragments, agreed);
        CHECK_EQUAL(net(p, 1)->info.non_first_fragments, agreed);
        ikev2_pair_free(p);
    }
}

/* ---- what a peer may say ---- */

/* The notifies of a message, as ikev2_message_read() leaves them. */
static struct ikev2_message *message_with(uint16_t type, struct slice data, unsigned times)
{
    static struct ikev2_message m;

    m = (struct ikev2_message){0};
    for (unsigned i = 0; i < times; i++) {
        m.notify[m.notify_count++] = (struct ikev2_notify_payload){.type = type, .data = data};
    }
    return &m;
}

static struct ikev2_work work_for(struct ikev2_pair *p, bool asks)
{
    struct ikev2_work work = {.policy = &p->side[0].children_policy[0]};

    work.choice.protocol = PROTOCOL_ESP;
    work.wanted.compress = asks;
    work.wanted.aggfrag = asks;
    work.wanted.non_first_fragments = asks;
    return work;
}

TEST(only_deflate_under_a_cpi_that_can_be_is_taken)
{
    static const struct {
        uint8_t octets[4];
        size_t length;
        bool good;
    } cases[] = {
        {{0x01, 0x00, 2}, 3, true},
        {{0xef, 0xff, 2}, 3, true},
        {{0xf0, 0x00, 2}, 3, true},
        {{0x00, 0x02, 2}, 3, true},
        {{0x12, 0x34, 2, 9}, 4, true},
        {{0x00, 0x00, 2}, 3, false},
        {{0x00, 0x03, 2}, 3, false},
        {{0x00, 0xff, 2}, 3, false},
        {{0x12, 0x34, 3}, 3, false},
        {{0x12, 0x34, 2}, 2, false},
        {{0x12}, 1, false},
        {{0}, 0, false},
    };
    struct ikev2_pair *p = ikev2_pair_new(60);
    struct ikev2_failure failure;

    p->side[0].children_policy[0].compress = true;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct slice data = {cases[i].octets, cases[i].length};
        struct ikev2_message *m = message_with(IKEV2_IPCOMP_SUPPORTED, data, 1);
        struct ikev2_work work = work_for(p, false);

        ikev2_terms_choose(m, &work);
        CHECK_EQUAL(work.agreed.compress, cases[i].good);
        CHECK_EQUAL(work.agreed.cpi_out != 0, cases[i].good);
        /* In a response it must be what was proposed; who proposed nothing does not look. */
        work = work_for(p, true);
        CHECK_EQUAL(ikev2_terms_verify(m, &work, &failure), cases[i].good);
        work = work_for(p, false);
        CHECK(ikev2_terms_verify(m, &work, &failure));
        CHECK(!work.agreed.compress);
    }
    /* One of several is taken, and of a response there may be one only. */
    struct ikev2_message *m =
        message_with(IKEV2_IPCOMP_SUPPORTED, (struct slice){cases[8].octets, 3}, 2);
    struct ikev2_work work = work_for(p, true);

    m->notify[1].data = (struct slice){cases[0].octets, 3};
    ikev2_terms_choose(m, &work);
    CHECK_EQUAL(work.agreed.cpi_out, 256);
    CHECK(!ikev2_terms_verify(m, &work, &failure));
    CHECK_EQUAL(failure.reason, IKEV2_FAIL_SYNTAX);
    ikev2_pair_free(p);
}

TEST(aggfrag_with_a_demand_that_is_unknown_is_left_out)
{
    struct ikev2_pair *p = ikev2_pair_new(61);
    struct ikev2_failure failure;

    p->side[0].children_policy[0].aggfrag.wanted = true;
    for (unsigned flags = 0; flags < 256; flags++) {
        uint8_t octets[2] = {(uint8_t)flags, 0};

        for (size_t length = 0; length <= 2; length++) {
            struct ikev2_message *m =
                message_with(IKEV2_USE_AGGFRAG, (struct slice){octets, length}, 1);
            struct ikev2_work work = work_for(p, false);
            bool good = length == 1 && flags < 4;

            ikev2_terms_choose(m, &work);
            CHECK_EQUAL(work.agreed.aggfrag, good);
            CHECK_EQUAL(work.agreed.peer_congestion_control, good && (flags & 2) != 0);
            CHECK_EQUAL(work.agreed.peer_dont_fragment, good && (flags & 1) != 0);
            work = work_for(p, true);
            CHECK(ikev2_terms_verify(m, &work, &failure));
            CHECK_EQUAL(work.agreed.aggfrag, good);
        }
    }
    ikev2_pair_free(p);
}

TEST(a_peer_that_takes_no_tfc_padding_is_remembered)
{
    struct ikev2_pair *p = ikev2_pair_new(62);
    struct ikev2_message *m =
        message_with(IKEV2_ESP_TFC_PADDING_NOT_SUPPORTED, (struct slice){0}, 1);
    struct ikev2_work work = work_for(p, true);
    struct ikev2_failure failure;

    ikev2_terms_choose(m, &work);
    CHECK(work.agreed.peer_refuses_tfc);
    work = work_for(p, true);
    CHECK(ikev2_terms_verify(m, &work, &failure));
    CHECK(work.agreed.peer_refuses_tfc);
    start(p);
    CHECK(!net(p, 0)->info.peer_refuses_tfc);
    ikev2_pair_free(p);
}

/* ---- children for a packet ---- */

/* From 10.1.0.HOST port 1000 to 10.2.0.9 port 80 by TCP; of side 1 the other way round. */
static struct ikev2_packet packet_of(unsigned side, uint8_t host, bool only)
{
    struct network client = {.address = address_ipv4(0x0a010000u + host), .prefix_bits = 32};
    struct network server = {.address = address_ipv4(0x0a020009u), .prefix_bits = 32};
    struct selector from = selector_of_network(&client);
    struct selector to = selector_of_network(&server);

    from.protocol = to.protocol = 6;
    from.port_first = from.port_last = 1000;
    to.port_first = to.port_last = 80;
    return (struct ikev2_packet){
        .local = side == 0 ? from : to, .remote = side == 0 ? to : from, .only = only};
}

static bool is_for(const struct pair_child *c, const struct ikev2_packet *packet)
{
    return c->local_count == 1 && c->remote_count == 1 &&
           selector_equal(&c->local[0], &packet->local) &&
           selector_equal(&c->remote[0], &packet->remote);
}

/* The living child for that packet. */
static struct pair_child *child_for(struct ikev2_pair *p, unsigned side, uint8_t host)
{
    struct ikev2_packet packet = packet_of(side, host, true);
    struct pair_child *found = NULL;

    for (size_t i = 0; i < p->side[side].child_count; i++) {
        struct pair_child *c = &p->side[side].children[i];

        if (!c->removed && is_for(c, &packet)) {
            CHECK(found == NULL);
            found = c;
        }
    }
    return found;
}

TEST(the_packet_leads_the_selectors_that_are_proposed)
{
    struct ikev2_pair *p = ikev2_pair_new(70);
    static struct ikev2_work work;
    struct ikev2_packet packet = packet_of(0, 7, false);

    ikev2_pair_start(p, 0);
    work = (struct ikev2_work){0};
    CHECK(ikev2_child_want(p->side[0].sa, &work, &p->side[0].children_policy[0], NULL, &packet));
    CHECK_EQUAL(work.local_count, 2);
    CHECK_EQUAL(work.remote_count, 2);
    CHECK(selector_equal(&work.local[0], &packet.local));
    CHECK(selector_equal(&work.remote[0], &packet.remote));
    CHECK(selector_equal(&work.local[1], &p->side[0].local[0][0]));
    packet.only = true;
    CHECK(ikev2_child_want(p->side[0].sa, &work, &p->side[0].children_policy[0], NULL, &packet));
    CHECK_EQUAL(work.local_count, 1);
    CHECK_EQUAL(work.remote_count, 1);
    packet.local.addresses.first.bytes[1] = 99;
    packet.local.addresses.last.bytes[1] = 99;
    CHECK(!ikev2_child_want(p->side[0].sa, &work, &p->side[0].children_policy[0], NULL, &packet));
    ikev2_pair_free(p);
}

TEST(a_packet_that_waits_is_what_the_first_child_is_for)
{
    for (unsigned only = 0; only < 2; only++) {
        struct ikev2_pair *p = ikev2_pair_new(71 + only);
        struct ikev2_packet packet = packet_of(0, 7, only == 1);

        ikev2_pair_start(p, 0);
        ikev2_pair_start_child_for(p, 0, 0, &packet);
        CHECK(ikev2_pair_run(p));
        CHECK_EQUAL(ikev2_pair_live_children(p, 0), 1);
        CHECK_EQUAL(is_for(net(p, 0), &packet), only == 1);
        /* What is there already needs no other. */
        ikev2_pair_start_child_for(p, 0, 0, &packet);
        CHECK(ikev2_pair_run(p));
        CHECK_EQUAL(ikev2_pair_live_children(p, 0), 1);
        CHECK(ikev2_pair_agrees(p));
        ikev2_pair_free(p);
    }
}

/* RFC 4301 4.4.1.1: populate from packet. */
TEST(children_for_a_packet_each_stand_beside_one_another_and_are_rekeyed_by_their_own_selectors)
{
    struct ikev2_pair *p = ikev2_pair_new(73);

    ikev2_pair_start(p, 0);
    for (uint8_t host = 1; host <= 3; host++) {
        struct ikev2_packet packet = packet_of(0, host, true);

        ikev2_pair_start_child_for(p, 0, 0, &packet);
        ikev2_pair_start_child_for(p, 0, 0, &packet);
    }
    CHECK(ikev2_pair_run(p));
    struct ikev2_packet back = packet_of(1, 4, true);

    ikev2_pair_start_child_for(p, 1, 0, &back);
    CHECK(ikev2_pair_run(p));
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned side = 0; side < 2; side++) {
            CHECK_EQUAL(ikev2_pair_live_children(p, side), 4);
            for (uint8_t host = 1; host <= 4; host++) {
                CHECK(child_for(p, side, host) != NULL);
            }
        }
        CHECK(ikev2_pair_agrees(p));
        for (uint8_t host = 1; host <= 4; host++) {
            unsigned by = (round + host) % 2;
            uint32_t old = child_for(p, by, host)->spi_in;

            ikev2_pair_rekey_child(p, by, old);
            CHECK(ikev2_pair_run(p));
            /* One at a time, so that the old one's grace is over. */
            ikev2_pair_advance(p, 200000);
            CHECK(child_for(p, by, host)->spi_in != old);
        }
    }
    ikev2_pair_free(p);
}

TEST(a_child_for_a_packet_comes_back_for_the_same_packet)
{
    struct ikev2_pair *p = ikev2_pair_new(74);
    struct ikev2_packet packet = packet_of(0, 5, true);

    p->side[0].children_policy[0].lifetime_ms = 100000;
    ikev2_pair_start(p, 0);
    ikev2_pair_start_child_for(p, 0, 0, &packet);
    CHECK(ikev2_pair_run(p));
    struct ikev2_child *child = ikev2_child_by_spi_in(p->side[0].sa, child_for(p, 0, 5)->spi_in);

    /* It could not be rekeyed, and its lifetime is over. */
    child->rekey_ms = NEVER_MS;
    ikev2_pair_advance(p, 120000);
    CHECK_EQUAL(ikev2_pair_live_children(p, 0), 1);
    CHECK(child_for(p, 0, 5) != NULL && child_for(p, 0, 5)->replaces_spi_in == 0);
    ikev2_pair_free(p);
}

TEST(a_packet_outside_of_the_networks_begins_nothing)
{
    for (unsigned only = 0; only < 2; only++) {
        struct ikev2_pair *p = ikev2_pair_new(75 + only);
        struct ikev2_packet packet = packet_of(1, 7, only == 1);

        start(p);
        /* It is of the other direction. */
        ikev2_pair_start_child_for(p, 0, 0, &packet);
        CHECK(ikev2_pair_run(p));
        CHECK_EQUAL(ikev2_pair_live_children(p, 0), 1);
        CHECK_EQUAL(p->side[0].child_failed, only);
        check_alone(p);
        ikev2_pair_free(p);
    }
}

TEST(packets_that_wait_have_a_limit)
{
    struct ikev2_pair *p = ikev2_pair_new(77);

    ikev2_pair_start(p, 0);
    for (unsigned host = 1; host <= 60; host++) {
        struct ikev2_packet packet = packet_of(0, (uint8_t)host, true);

        ikev2_pair_start_child_for(p, 0, 0, &packet);
    }
    CHECK_EQUAL(p->side[0].child_failed, 60 - IKEV2_PENDING_MAX);
    CHECK_EQUAL(p->side[0].child_failure.reason, IKEV2_FAIL_RESOURCES);
    CHECK(ikev2_pair_run(p));
    CHECK_EQUAL(ikev2_pair_live_children(p, 0), IKEV2_CHILDREN_MAX);
    CHECK(ikev2_pair_agrees(p));
    ikev2_pair_free(p);
}
