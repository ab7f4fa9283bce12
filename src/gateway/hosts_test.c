/* Sites in transport mode: two hosts, their policies and their rules. */
#include "gateway/gateway.h"

#include <stdio.h>

#include "tests/support/gateway_pair.h"
#include "tests/support/test.h"

#define TCP 6
#define UDP 17

static struct gateway_pair pair;

/* `peer` NULL: its address. */
static void write_config(unsigned node, const char *peer, const char *words)
{
    static const char *const names[2] = {"tokyo", "osaka"};
    char address[ADDRESS_TEXT_BYTES];

    snprintf(pair.nodes[node].config, sizeof(pair.nodes[node].config),
             "gateway %s.example.jp\n"
             "site %s {\n"
             "  peer %s\n"
             "  identity %s.example.jp\n"
             "  key @k\n"
             "  mode transport\n"
             "  %s\n"
             "}\n",
             names[node], names[1 - node],
             peer != NULL ? peer : address_format(&pair.nodes[1 - node].outer, address),
             names[1 - node], words);
}

static void open_both(uint64_t seed, const char *words)
{
    gateway_pair_open(&pair, seed);
    for (unsigned i = 0; i < 2; i++) {
        write_config(i, NULL, words);
        gateway_pair_start(&pair, i);
    }
}

static void close_both(void)
{
    for (unsigned i = 0; i < 2; i++) {
        CHECK(pair.nodes[i].gateway == NULL || gateway_pair_doors_add_up(&pair, i));
    }
    gateway_pair_close(&pair);
}

static bool passes(unsigned from, uint8_t protocol, uint16_t from_port, uint16_t to_port)
{
    const struct gateway_pair_clear clear = {pair.nodes[from].outer, pair.nodes[1 - from].outer,
                                             protocol, from_port, to_port};

    return gateway_pair_passes_clear(&pair, from, &clear);
}

static struct gateway_route rule(unsigned node, bool any_local, uint8_t protocol,
                                 uint16_t local_port, uint16_t port)
{
    const struct address *peer = &pair.nodes[1 - node].outer;

    return (struct gateway_route){
        .network = {*peer, 32},
        .transport = true,
        .local = any_local ? (struct address){0} : pair.nodes[node].outer,
        .peer = *peer,
        .protocol = protocol,
        .port_first = port,
        .port_last = port == 0 ? UINT16_MAX : port,
        .local_port_first = local_port,
        .local_port_last = local_port == 0 ? UINT16_MAX : local_port,
    };
}

static bool has_rule(unsigned node, bool any_local, uint8_t protocol, uint16_t local_port,
                     uint16_t port)
{
    struct gateway_route wanted = rule(node, any_local, protocol, local_port, port);

    return gateway_pair_has_pair(&pair, node, &wanted);
}

static struct status_child child_of(unsigned node, size_t number)
{
    struct status_child child;

    CHECK(gateway_child_at(pair.nodes[node].gateway, 0, number, &child));
    return child;
}

TEST(two_hosts_speak_in_transport_mode_with_every_protection)
{
    static const struct {
        const char *words;
        enum status_protocol protocol;
    } cases[] = {
        {"", STATUS_ESP},
        {"ah", STATUS_AH},
        {"compress on", STATUS_ESP},
        {"ah sha256; compress on", STATUS_AH},
        {"encapsulate always", STATUS_ESP},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        open_both(10 + i, cases[i].words);
        CHECK(gateway_pair_up(&pair, 5000));
        CHECK(passes(0, UDP, 4000, 4001));
        CHECK(passes(1, TCP, 4000, 80));
        struct status_child child = child_of(0, 0);

        const struct sa_overhead *o = &child.overhead;

        CHECK_EQUAL(child.counters.outer_mtu - child.counters.inner_mtu,
                    o->outer_ip + o->udp + o->esp + o->iv + o->trailer + o->icv + o->ah +
                        o->padding);
        CHECK_EQUAL(o->outer_ip, 0);
        CHECK_EQUAL(o->ah != 0, cases[i].protocol == STATUS_AH);
        CHECK_EQUAL(o->esp, cases[i].protocol == STATUS_AH ? 0 : 8);
        CHECK(child.transport_mode && !child.narrowed);
        CHECK_EQUAL(child.protocol, cases[i].protocol);
        CHECK(address_equal(&child.local_selectors[0].addresses.first, &pair.nodes[0].outer));
        CHECK(address_equal(&child.remote_selectors[0].addresses.last, &pair.nodes[1].outer));
        CHECK_EQUAL(gateway_pair_site(&pair, 0).reason, REASON_NONE);
        close_both();
    }
}

/* With IKEv1 it was made anew every second: what a site means before it knows from where it speaks
 * is any address, and a child has one. */
TEST(with_ikev1_what_is_there_is_not_made_anew)
{
    static const char *const words[] = {"ike v1; verify-rekey off",
                                        "ike v1; verify-rekey off; ah sha256",
                                        "ike v1; verify-rekey off; only udp 1701 both"};

    for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
        for (unsigned begins = 0; begins < 2; begins++) {
            char waits[128];

            gateway_pair_open(&pair, 60 + i);
            snprintf(waits, sizeof(waits), "%s; start wait", words[i]);
            for (unsigned node = 0; node < 2; node++) {
                write_config(node, NULL, node == begins ? words[i] : waits);
                gateway_pair_start(&pair, node);
            }
            CHECK(gateway_pair_up(&pair, 5000));
            gateway_pair_run(&pair, 60000);
            for (unsigned node = 0; node < 2; node++) {
                CHECK_EQUAL(gateway_pair_site(&pair, node).rekeys, 0);
                CHECK(gateway_pair_site(&pair, node).child_count <= 2);
            }
            CHECK(passes(0, UDP, 1701, 1701));
            CHECK(passes(1, UDP, 1701, 1701));
            close_both();
        }
    }
}

TEST(ah_makes_tunnels_too)
{
    gateway_pair_open(&pair, 3);
    for (unsigned i = 0; i < 2; i++) {
        gateway_pair_write_config(&pair, i, "ah");
        gateway_pair_start(&pair, i);
    }
    CHECK(gateway_pair_up(&pair, 5000));
    CHECK(gateway_pair_passes(&pair, 0));
    CHECK(gateway_pair_passes(&pair, 1));
    CHECK_EQUAL(child_of(1, 0).protocol, STATUS_AH);
    close_both();
}

TEST(policy_and_rule_stand_before_the_site_is_up)
{
    gateway_pair_open(&pair, 4);
    write_config(0, NULL, "only tcp 25");
    gateway_pair_start(&pair, 0);
    CHECK(has_rule(0, false, TCP, 0, 25));
    CHECK(!passes(0, TCP, 4000, 25));
    CHECK_EQUAL(gateway_pair_dropped(&pair, 0, DROP_NO_SA), 1);
    CHECK_EQUAL(pair.nodes[0].route_count, 1);
    gateway_pair_stop(&pair, 0);
    gateway_pair_close(&pair);
}

TEST(until_our_address_is_known_all_of_them_are_meant)
{
    gateway_pair_open(&pair, 5);
    write_config(0, NULL, "");
    pair.nodes[0].no_route = true;
    gateway_pair_start(&pair, 0);
    CHECK(has_rule(0, true, 0, 0, 0));
    pair.nodes[0].no_route = false;
    gateway_addresses_changed(pair.nodes[0].gateway, pair.now_ms);
    gateway_pair_run(&pair, 1000);
    CHECK(has_rule(0, false, 0, 0, 0));
    CHECK_EQUAL(pair.nodes[0].route_count, 1);
    /* It may have become another one. */
    pair.nodes[0].no_route = true;
    gateway_addresses_changed(pair.nodes[0].gateway, pair.now_ms);
    gateway_pair_run(&pair, 1000);
    CHECK(has_rule(0, true, 0, 0, 0));
    CHECK_EQUAL(pair.nodes[0].route_count, 1);
    gateway_pair_close(&pair);
}

TEST(one_port_is_protected_in_one_direction_or_in_both)
{
    open_both(6, "only tcp 25 both");
    CHECK(gateway_pair_up(&pair, 5000));
    gateway_pair_run(&pair, 1000);
    for (unsigned i = 0; i < 2; i++) {
        CHECK(has_rule(i, false, TCP, 0, 25));
        CHECK(has_rule(i, false, TCP, 25, 0));
        CHECK(passes(i, TCP, 4000, 25));
        CHECK(passes(1 - i, TCP, 25, 4000));
        CHECK(!passes(i, TCP, 4000, 80));
    }
    gateway_pair_run(&pair, 60000);
    CHECK_EQUAL(gateway_pair_site(&pair, 0).child_count, 2);
    for (unsigned i = 0; i < 2; i++) {
        CHECK(passes(i, TCP, 4000, 25));
        CHECK(passes(1 - i, TCP, 25, 4000));
    }
    close_both();
    /* Who serves says both; who only calls need not. */
    open_both(7, "only tcp 25 both");
    write_config(0, NULL, "only tcp 25");
    gateway_pair_reload(&pair, 0);
    CHECK(gateway_pair_up(&pair, 5000));
    gateway_pair_run(&pair, 20000);
    CHECK(passes(0, TCP, 4000, 25));
    CHECK(passes(1, TCP, 25, 4000));
    CHECK(!passes(1, TCP, 4000, 25));
    CHECK_EQUAL(gateway_pair_site(&pair, 1).state, STATUS_UP);
    close_both();
}

TEST(both_directions_live_through_rekeying_and_a_crash)
{
    char why[128];

    open_both(8, "only tcp 25 both");
    CHECK(gateway_pair_up(&pair, 5000));
    gateway_pair_run(&pair, 30000);
    CHECK(gateway_rekey(pair.nodes[0].gateway, "osaka", false, pair.now_ms, why, sizeof(why)));
    gateway_pair_run(&pair, 30000);
    CHECK(gateway_rekey(pair.nodes[1].gateway, "tokyo", true, pair.now_ms, why, sizeof(why)));
    gateway_pair_run(&pair, 30000);
    CHECK_EQUAL(gateway_pair_site(&pair, 0).child_count, 2);
    CHECK(passes(0, TCP, 4000, 25));
    CHECK(passes(0, TCP, 25, 4000));
    gateway_pair_crash(&pair, 1);
    gateway_pair_start(&pair, 1);
    CHECK(gateway_pair_up(&pair, 5000));
    gateway_pair_run(&pair, 60000);
    CHECK_EQUAL(gateway_pair_site(&pair, 0).ike_count, 1);
    CHECK_EQUAL(gateway_pair_site(&pair, 0).child_count, 2);
    CHECK(passes(1, TCP, 4000, 25));
    CHECK(passes(1, TCP, 25, 4000));
    close_both();
}

TEST(networks_can_have_both_directions_of_a_port)
{
    struct gateway_pair_clear to = {.protocol = TCP, .from_port = 4000, .to_port = 25};
    struct gateway_pair_clear back = {.protocol = TCP, .from_port = 25, .to_port = 4000};

    gateway_pair_open(&pair, 9);
    for (unsigned i = 0; i < 2; i++) {
        gateway_pair_write_config(&pair, i, "only tcp 25 both");
        gateway_pair_start(&pair, i);
    }
    CHECK(gateway_pair_up(&pair, 5000));
    gateway_pair_run(&pair, 20000);
    to.from = back.from = pair.nodes[0].inner;
    to.to = back.to = pair.nodes[1].inner;
    CHECK(gateway_pair_passes_clear(&pair, 0, &to));
    CHECK(gateway_pair_passes_clear(&pair, 0, &back));
    CHECK(!gateway_pair_passes(&pair, 0));
    close_both();
}

TEST(what_a_name_means_is_protected_once_it_is_known)
{
    gateway_pair_open(&pair, 12);
    write_config(0, "osaka.example.jp", "");
    write_config(1, NULL, "");
    gateway_pair_start(&pair, 0);
    /* It is not known yet. */
    CHECK_EQUAL(pair.nodes[0].route_count, 0);
    gateway_pair_run(&pair, 5000);
    pair.nodes[0].host = "osaka.example.jp";
    pair.nodes[0].host_address = pair.nodes[1].outer;
    gateway_pair_run(&pair, 60000);
    CHECK(has_rule(0, false, 0, 0, 0));
    CHECK(!passes(0, UDP, 4000, 4001));
    CHECK(gateway_pair_dropped(&pair, 0, DROP_NO_SA) >= 1);
    gateway_pair_start(&pair, 1);
    CHECK(gateway_pair_up(&pair, 70000));
    CHECK(passes(0, UDP, 4000, 4001));
    CHECK(passes(1, UDP, 4000, 4001));
    close_both();
}

TEST(a_peer_that_calls_before_its_name_is_known_is_protected_then)
{
    gateway_pair_open(&pair, 13);
    write_config(0, "osaka.example.jp", "");
    write_config(1, NULL, "");
    for (unsigned i = 0; i < 2; i++) {
        gateway_pair_start(&pair, i);
    }
    CHECK(gateway_pair_up(&pair, 5000));
    CHECK(has_rule(0, false, 0, 0, 0));
    CHECK(passes(0, UDP, 4000, 4001));
    CHECK(passes(1, UDP, 4000, 4001));
    close_both();
}

TEST(transport_mode_is_not_a_tunnel_for_the_other_side)
{
    open_both(14, "");
    gateway_pair_write_config(&pair, 1, "lan 203.0.113.2; network 203.0.113.1");
    gateway_pair_reload(&pair, 1);
    CHECK(!gateway_pair_up(&pair, 10000));
    CHECK_EQUAL(gateway_pair_site(&pair, 0).state, STATUS_DOWN);
    close_both();
}

TEST(a_site_changes_its_mode_and_its_words)
{
    open_both(15, "");
    CHECK(gateway_pair_up(&pair, 5000));
    for (unsigned i = 0; i < 2; i++) {
        write_config(i, NULL, "only udp; ah");
        gateway_pair_reload(&pair, i);
    }
    CHECK(gateway_pair_up(&pair, 70000));
    gateway_pair_run(&pair, 90000);
    CHECK(has_rule(0, false, UDP, 0, 0));
    CHECK_EQUAL(pair.nodes[0].route_count, 1);
    CHECK_EQUAL(child_of(0, 0).protocol, STATUS_AH);
    CHECK(passes(0, UDP, 4000, 4001));
    for (unsigned i = 0; i < 2; i++) {
        gateway_pair_write_config(&pair, i, "");
        gateway_pair_reload(&pair, i);
    }
    gateway_pair_run(&pair, 90000);
    CHECK(gateway_pair_up(&pair, 70000));
    CHECK_EQUAL(pair.nodes[0].route_count, 1);
    CHECK(gateway_pair_has_route(&pair, 0, "10.2.0.0/16"));
    CHECK(gateway_pair_passes(&pair, 0));
    for (unsigned i = 0; i < 2; i++) {
        gateway_pair_stop(&pair, i);
    }
    gateway_pair_close(&pair);
}

TEST(words_about_how_packets_are_carried_reach_the_sas)
{
    struct gateway_pair *p = &pair;

    gateway_pair_open(p, 16);
    for (unsigned i = 0; i < 2; i++) {
        gateway_pair_start(p, i);
    }
    CHECK(gateway_pair_up(p, 5000));
    gateway_pair_run(p, 30000);
    uint32_t before = child_of(0, 0).spi_in;

    gateway_pair_write_config(p, 0, "df copy; dscp clear; tfc pad 400");
    gateway_pair_reload(p, 0);
    gateway_pair_run(p, 5000);
    CHECK(child_of(0, 0).spi_in != before);
    CHECK(gateway_pair_passes(p, 0));
    CHECK_EQUAL(gateway_pair_site(p, 0).ike_count, 1);
    close_both();
}
