/* Two whole gateways, of which one is for people and the other one of them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "crypto/certificate_testbed.h"
#include "tests/support/gateway_pair.h"
#include "tests/support/test.h"

#define CLIENT 0
#define SERVER 1

static struct gateway_pair pair;

/* The gateway of people, with more lines in its block. */
static void write_server(const char *more)
{
    snprintf(pair.nodes[SERVER].config, GATEWAY_PAIR_TEXT_BYTES,
             "gateway vpn.example.jp\nlan 10.2.0.0/16\nremote-access staff {\n  via xauth\n  key "
             "@grp\n  addresses 10.9.6.0/29\n%s\n}\n",
             more);
}

#define LOGIN(name, user, more)                                                                    \
    "site " name " {\n  peer 203.0.113.2\n  key @grp\n  ike v1\n  login " user                     \
    " @password\n  address ask\n" more "\n}\n"

static void write_client(const char *sites)
{
    snprintf(pair.nodes[CLIENT].config, GATEWAY_PAIR_TEXT_BYTES,
             "gateway laptop.example.jp\nlan 10.1.0.0/16\n%s", sites);
}

static void start(uint64_t seed, const char *block, const char *sites)
{
    gateway_pair_open(&pair, seed);
    write_server(block);
    write_client(sites);
    pair.nodes[CLIENT].password = "right";
    gateway_pair_start(&pair, SERVER);
    gateway_pair_start(&pair, CLIENT);
}

struct seen {
    size_t count;
    char names[8][64];
    struct address addresses[8];
    struct status_session list[8];
};

static void look(void *context, const struct status_session *s)
{
    struct seen *seen = context;

    CHECK(seen->count < 8);
    seen->list[seen->count] = *s;
    seen->addresses[seen->count] = s->address;
    CHECK(text_copy(seen->names[seen->count], 64, slice_of_text(s->name)));
    seen->count++;
}

static struct seen sessions(void)
{
    struct seen seen = {0};

    gateway_each_session(pair.nodes[SERVER].gateway, 0, SIZE_MAX, look, &seen);
    CHECK_EQUAL(gateway_session_count(pair.nodes[SERVER].gateway), seen.count);
    return seen;
}

static struct status_pool pool(void)
{
    struct status_pool pool;

    CHECK(gateway_pool_at(pair.nodes[SERVER].gateway, 0, &pool));
    return pool;
}

static struct status_given given(const char *site)
{
    struct status_given given = {0};

    CHECK(gateway_given(pair.nodes[CLIENT].gateway, site, &given));
    return given;
}

/* From somebody with this address to the network of the gateway, and back. */
static bool passes(const struct address *inner)
{
    struct gateway_pair_clear there = {.from = *inner,
                                       .to = address_ipv4(0x0a020001),
                                       .protocol = 17,
                                       .from_port = 1000,
                                       .to_port = 2000};
    struct gateway_pair_clear back = {
        .from = there.to, .to = there.from, .protocol = 17, .from_port = 2000, .to_port = 1000};

    return gateway_pair_passes_clear(&pair, CLIENT, &there) &&
           gateway_pair_passes_clear(&pair, SERVER, &back);
}

static struct status_site site_named(unsigned node, const char *name)
{
    struct status_site site = {0};
    size_t index;

    CHECK(gateway_site_index(pair.nodes[node].gateway, name, &index));
    CHECK(gateway_site_at(pair.nodes[node].gateway, index, pair.now_ms, &site));
    return site;
}

static void check_told(unsigned node, const char *name, const char *code)
{
    struct status_site site = site_named(node, name);

    if (strcmp(site.code, code) != 0) {
        fail_msg("%s: %s %s", name, site.code, site.sentence);
    }
}

static void finish(void)
{
    CHECK(gateway_pair_doors_add_up(&pair, 0) && gateway_pair_doors_add_up(&pair, 1));
    gateway_pair_close(&pair);
}

TEST(who_logs_in_has_an_address_and_reaches_the_network)
{
    start(901, "  dns 10.2.0.53 corp.example.jp\n  banner \"Welcome\"", LOGIN("hq", "alice", ""));
    gateway_pair_run(&pair, 5000);
    struct seen seen = sessions();

    CHECK_EQUAL(seen.count, 1);
    CHECK_TEXT(seen.names[0], "alice");
    CHECK_EQUAL(get_u32(seen.addresses[0].bytes), 0x0a090601);
    CHECK(seen.list[0].up);
    CHECK_EQUAL(pair.nodes[SERVER].logins, 1);
    CHECK_EQUAL(pair.nodes[CLIENT].address_count, 1);
    CHECK(address_equal(&pair.nodes[CLIENT].given, &seen.addresses[0]));
    CHECK(gateway_pair_has_route(&pair, CLIENT, "10.2.0.0/16"));
    CHECK(gateway_pair_has_route(&pair, SERVER, "10.9.6.0/29"));
    CHECK(passes(&seen.addresses[0]));
    CHECK_EQUAL(site_named(CLIENT, "hq").state, STATUS_UP);
    CHECK_EQUAL(site_named(SERVER, "alice").state, STATUS_UP);
    CHECK_TEXT(given("hq").domain, "corp.example.jp");
    CHECK_TEXT(given("hq").banner, "Welcome");
    CHECK_EQUAL(given("hq").dns_count, 1);
    CHECK_EQUAL(pair.nodes[SERVER].sessions_began, 1);
    CHECK_TEXT(pair.nodes[SERVER].last_session.user, "alice");
    /* Nobody has another's address. */
    struct address other = address_ipv4(0x0a090602);

    CHECK(!passes(&other));
    CHECK_EQUAL(pool().held, 1);
    finish();
}

TEST(a_wrong_password_lets_nobody_in_and_both_sides_say_so)
{
    gateway_pair_open(&pair, 902);
    write_server("");
    write_client(LOGIN("hq", "alice", ""));
    pair.nodes[CLIENT].password = "wrong";
    gateway_pair_start(&pair, SERVER);
    gateway_pair_start(&pair, CLIENT);
    gateway_pair_run(&pair, 3000);
    CHECK_EQUAL(sessions().count, 0);
    CHECK(pool().refused > 0 && pool().accepted == 0 && pool().held == 0);
    CHECK_EQUAL(pair.nodes[CLIENT].address_count, 0);
    check_told(CLIENT, "hq", "SEK-A036");
    /* Guessing is slow: ten minutes of tries ask few times. */
    gateway_pair_run(&pair, 600000);
    CHECK(pair.nodes[SERVER].logins < 20);
    CHECK_EQUAL(pair.nodes[SERVER].sessions_began, 0);
    finish();
}

TEST(two_people_have_two_addresses_and_do_not_disturb_each_other)
{
    start(903, "", LOGIN("one", "alice", "") LOGIN("two", "bob", ""));
    gateway_pair_run(&pair, 8000);
    struct seen seen = sessions();

    CHECK_EQUAL(seen.count, 2);
    CHECK(!address_equal(&seen.addresses[0], &seen.addresses[1]));
    CHECK(passes(&seen.addresses[0]) && passes(&seen.addresses[1]));
    CHECK_EQUAL(pool().held, 2);
    char why[128];

    CHECK(gateway_down(pair.nodes[SERVER].gateway, "alice", pair.now_ms, why, sizeof(why)));
    CHECK(passes(&seen.addresses[1]) || passes(&seen.addresses[0]));
    CHECK(!gateway_down(pair.nodes[SERVER].gateway, "eve", pair.now_ms, why, sizeof(why)));
    finish();
}

TEST(an_empty_pool_is_told_and_the_next_who_leaves_makes_room)
{
    start(904, "",
          LOGIN("a", "a", "") LOGIN("b", "b", "") LOGIN("c", "c", "") LOGIN("d", "d", "")
              LOGIN("e", "e", "") LOGIN("f", "f", "") LOGIN("g", "g", ""));
    gateway_pair_run(&pair, 20000);
    CHECK_EQUAL(pool().held, 6);
    check_told(SERVER, "staff", "SEK-N006");
    char why[128];
    char name[64];

    memcpy(name, sessions().names[0], sizeof(name));
    CHECK(gateway_down(pair.nodes[CLIENT].gateway, name, pair.now_ms, why, sizeof(why)));
    gateway_pair_run(&pair, 70000);
    CHECK_EQUAL(pool().held, 6);
    for (size_t i = 0; i < 6; i++) {
        CHECK(strcmp(sessions().names[i], name) != 0);
    }
    finish();
}

TEST(who_comes_back_has_the_same_address)
{
    char why[128];

    start(905, "", LOGIN("one", "alice", "") LOGIN("two", "bob", ""));
    gateway_pair_run(&pair, 8000);
    struct address alice = given("one").address;

    CHECK(gateway_down(pair.nodes[CLIENT].gateway, "one", pair.now_ms, why, sizeof(why)));
    gateway_pair_run(&pair, 2000);
    CHECK_EQUAL(sessions().count, 1);
    CHECK_EQUAL(pair.nodes[SERVER].sessions_ended, 1);
    CHECK_EQUAL(pair.nodes[CLIENT].address_count, 1);
    CHECK(gateway_up(pair.nodes[CLIENT].gateway, "one", pair.now_ms, why, sizeof(why)));
    gateway_pair_run(&pair, 5000);
    struct address again = given("one").address;

    CHECK(address_equal(&alice, &again));
    CHECK(passes(&again));
    finish();
}

TEST(a_client_that_was_killed_comes_in_again_at_once_with_its_address)
{
    start(906, "", LOGIN("hq", "alice", ""));
    gateway_pair_run(&pair, 5000);
    struct address before = given("hq").address;

    gateway_pair_crash(&pair, CLIENT);
    gateway_pair_run(&pair, 1000);
    pair.nodes[CLIENT].address_count = 0;
    pair.nodes[CLIENT].route_count = 0;
    gateway_pair_start(&pair, CLIENT);
    gateway_pair_run(&pair, 10000);
    struct address after = given("hq").address;

    CHECK(address_equal(&before, &after));
    CHECK_EQUAL(sessions().count, 1);
    CHECK(passes(&after));
    gateway_pair_run(&pair, 60000);
    CHECK(passes(&after));
    finish();
}

TEST(a_second_place_takes_the_session_and_its_address_along)
{
    /* Two sites of one user: the later one is a client of his elsewhere. */
    start(907, "", LOGIN("one", "alice", ""));
    gateway_pair_run(&pair, 5000);
    struct address before = given("one").address;

    pair.nodes[CLIENT].nat_outer = address_ipv4(0xc6336407);
    pair.nodes[CLIENT].nat_base = 40000;
    gateway_pair_crash(&pair, CLIENT);
    pair.nodes[CLIENT].address_count = 0;
    pair.nodes[CLIENT].route_count = 0;
    gateway_pair_start(&pair, CLIENT);
    gateway_pair_run(&pair, 20000);
    struct address after = given("one").address;
    struct seen seen = sessions();

    CHECK_EQUAL(seen.count, 1);
    CHECK_EQUAL(get_u32(seen.list[0].outer.address.bytes), 0xc6336407);
    CHECK(address_equal(&before, &after));
    CHECK(passes(&after));
    finish();
}

TEST(who_is_logged_out_by_order_is_out)
{
    char why[128];

    start(908, "", LOGIN("hq", "alice", "\n  start wait"));
    CHECK(gateway_up(pair.nodes[CLIENT].gateway, "hq", pair.now_ms, why, sizeof(why)));
    gateway_pair_run(&pair, 5000);
    CHECK_EQUAL(sessions().count, 1);
    CHECK(gateway_down(pair.nodes[CLIENT].gateway, "hq", pair.now_ms, why, sizeof(why)));
    gateway_pair_run(&pair, 1000);
    CHECK_EQUAL(sessions().count, 0);
    CHECK_EQUAL(pool().held, 0);
    CHECK_EQUAL(pair.nodes[CLIENT].address_count, 0);
    CHECK(!gateway_pair_has_route(&pair, CLIENT, "10.2.0.0/16"));
    finish();
}

TEST(who_sends_nothing_for_long_is_out)
{
    start(909, "  idle-timeout 2m", LOGIN("hq", "alice", "\n  dpd off"));
    gateway_pair_run(&pair, 5000);
    struct address a = given("hq").address;

    for (int i = 0; i < 5; i++) {
        gateway_pair_run(&pair, 60000);
        CHECK(passes(&a));
    }
    CHECK_EQUAL(pair.nodes[SERVER].sessions_ended, 0);
    gateway_pair_run(&pair, 130000);
    CHECK(pair.nodes[SERVER].sessions_ended >= 1);
    CHECK_EQUAL(pair.nodes[SERVER].last_session.began ? SESSION_END_IDLE
                                                      : pair.nodes[SERVER].last_session.end,
                SESSION_END_IDLE);
    finish();
}

/* The gateway forgot everything and has other addresses: nothing goes out in clear meanwhile. */
TEST(who_gets_another_address_is_never_without_a_route)
{
    start(909, "", LOGIN("hq", "alice", ""));
    gateway_pair_run(&pair, 5000);
    struct address before = given("hq").address;
    char *pool_text = strstr(pair.nodes[SERVER].config, "10.9.6.");

    CHECK(pool_text != NULL && pair.nodes[CLIENT].route_count > 0);
    pool_text[5] = '7';
    gateway_pair_crash(&pair, SERVER);
    gateway_pair_start(&pair, SERVER);
    gateway_pair_run(&pair, 120000);
    struct address after = given("hq").address;

    CHECK(!address_equal(&before, &after));
    CHECK(address_equal(&pair.nodes[CLIENT].given, &after));
    CHECK(passes(&after));
    CHECK_EQUAL(pair.nodes[CLIENT].without_routes, 0);
    CHECK(address_equal(&pair.nodes[CLIENT].routes[0].local, &after));
    finish();
}

TEST(a_new_configuration_takes_nothing_from_who_is_in)
{
    start(910, "", LOGIN("hq", "alice", ""));
    gateway_pair_run(&pair, 5000);
    struct address a = given("hq").address;

    write_server("  addresses 10.9.8.0/24\n  banner x");
    gateway_pair_reload(&pair, SERVER);
    gateway_pair_reload(&pair, CLIENT);
    gateway_pair_run(&pair, 2000);
    CHECK(passes(&a));
    CHECK_EQUAL(pair.nodes[SERVER].sessions_ended, 0);
    CHECK_EQUAL(pool().total, 6 + 254);
    /* What was agreed is another thing now: people log in again. */
    write_server("  addresses 10.9.8.0/24\n  banner x\n  group-name staff");
    gateway_pair_reload(&pair, SERVER);
    gateway_pair_run(&pair, 500);
    CHECK_EQUAL(sessions().count, 0);
    CHECK_EQUAL(pair.nodes[SERVER].sessions_ended, 1);
    CHECK_EQUAL(pool().held, 0);
    finish();
}

/* Two blocks, each with a group's name of its own. */
static void write_blocks(const char *staff, const char *guests)
{
    snprintf(pair.nodes[SERVER].config, GATEWAY_PAIR_TEXT_BYTES,
             "gateway vpn.example.jp\nlan 10.2.0.0/16\n"
             "remote-access staff {\n  via xauth\n  key @grp\n  group-name staff\n"
             "  legacy aggressive\n  addresses %s\n}\n"
             "remote-access guests {\n  via xauth\n  key @grp\n  group-name guests\n"
             "  legacy aggressive\n  addresses %s\n}\n",
             staff, guests);
}

#define OF_GROUP(name, user, group)                                                                \
    "site " name " {\n  peer 203.0.113.2\n  key @grp\n  ike v1 aggressive\n  legacy aggressive\n"  \
    "  group-name " group "\n  login " user " @password\n  address ask\n  routes off\n}\n"

static const struct status_session *session_of_user(const struct seen *seen, const char *user)
{
    for (size_t i = 0; i < seen->count; i++) {
        if (strcmp(seen->list[i].user, user) == 0) {
            return &seen->list[i];
        }
    }
    return NULL;
}

TEST(an_address_that_goes_to_another_block_is_not_held_twice)
{
    gateway_pair_open(&pair, 930);
    write_blocks("10.9.6.1-10.9.6.2", "10.9.7.1-10.9.7.2");
    write_client(OF_GROUP("one", "alice", "staff") OF_GROUP("two", "bob", "guests"));
    pair.nodes[CLIENT].password = "right";
    gateway_pair_start(&pair, SERVER);
    gateway_pair_start(&pair, CLIENT);
    gateway_pair_run(&pair, 5000);
    CHECK_EQUAL(sessions().count, 2);
    CHECK_EQUAL(get_u32(given("one").address.bytes), 0x0a090601);
    CHECK_EQUAL(get_u32(given("two").address.bytes), 0x0a090701);
    /* They change places. */
    write_blocks("10.9.7.1-10.9.7.2", "10.9.6.1-10.9.6.2");
    gateway_pair_reload(&pair, SERVER);
    gateway_pair_run(&pair, 10);
    CHECK_EQUAL(pair.nodes[SERVER].sessions_ended, 2);
    CHECK_EQUAL(pair.nodes[SERVER].last_session.end, SESSION_END_POOL);
    gateway_pair_run(&pair, 30000);
    struct seen seen = sessions();

    CHECK_EQUAL(seen.count, 2);
    CHECK_EQUAL(get_u32(session_of_user(&seen, "alice")->address.bytes), 0x0a090701);
    CHECK_EQUAL(get_u32(session_of_user(&seen, "bob")->address.bytes), 0x0a090601);
    finish();
}

TEST(an_address_that_is_taken_out_of_the_pool_ends_its_session_alone)
{
    start(931, "", LOGIN("hq", "alice", "") LOGIN("hq2", "bob", "\n  routes off"));
    gateway_pair_run(&pair, 5000);
    /* Whoever was first. */
    bool turned = get_u32(given("hq").address.bytes) == 0x0a090602;

    CHECK_EQUAL(get_u32(given(turned ? "hq2" : "hq").address.bytes), 0x0a090601);
    CHECK_EQUAL(get_u32(given(turned ? "hq" : "hq2").address.bytes), 0x0a090602);
    snprintf(pair.nodes[SERVER].config, GATEWAY_PAIR_TEXT_BYTES,
             "gateway vpn.example.jp\nlan 10.2.0.0/16\nremote-access staff {\n  via xauth\n  key "
             "@grp\n  addresses 10.9.6.2-10.9.6.5\n}\n");
    gateway_pair_reload(&pair, SERVER);
    gateway_pair_run(&pair, 10);
    CHECK_EQUAL(pair.nodes[SERVER].sessions_ended, 1);
    CHECK_EQUAL(pair.nodes[SERVER].last_session.end, SESSION_END_POOL);
    gateway_pair_run(&pair, 30000);
    struct seen seen = sessions();

    CHECK_EQUAL(pair.nodes[SERVER].sessions_ended, 1);
    CHECK_EQUAL(seen.count, 2);
    const struct status_session *stayed = session_of_user(&seen, turned ? "alice" : "bob");
    const struct status_session *moved = session_of_user(&seen, turned ? "bob" : "alice");

    CHECK_EQUAL(get_u32(stayed->address.bytes), 0x0a090602);
    CHECK_EQUAL(get_u32(moved->address.bytes), 0x0a090603);
    finish();
}

/* The same name, for something else. */
TEST(a_block_becomes_a_site_while_somebody_is_in_and_a_block_again)
{
    start(919, "", LOGIN("hq", "alice", ""));
    gateway_pair_run(&pair, 5000);
    CHECK_EQUAL(sessions().count, 1);
    snprintf(pair.nodes[SERVER].config, GATEWAY_PAIR_TEXT_BYTES,
             "gateway vpn.example.jp\nlan 10.2.0.0/16\nsite staff {\n  peer 203.0.113.1\n  key "
             "@grp\n  network 10.1.0.0/16\n}\n");
    gateway_pair_reload(&pair, SERVER);
    CHECK_EQUAL(sessions().count, 0);
    CHECK_EQUAL(pair.nodes[SERVER].sessions_ended, 1);
    CHECK_EQUAL(pair.nodes[SERVER].last_session.end, SESSION_END_CONFIGURATION);
    gateway_pair_run(&pair, 30000);
    CHECK_EQUAL(sessions().count, 0);
    write_server("");
    gateway_pair_reload(&pair, SERVER);
    gateway_pair_run(&pair, 120000);
    struct address a = given("hq").address;

    CHECK(passes(&a));
    finish();
}

TEST(a_restart_by_order_leaves_what_was_given_in_its_place)
{
    char why[128];

    start(920, "", LOGIN("hq", "alice", ""));
    gateway_pair_run(&pair, 5000);
    CHECK(gateway_restart(pair.nodes[CLIENT].gateway, "hq", pair.now_ms, why, sizeof(why)));
    CHECK(gateway_pair_has_route(&pair, CLIENT, "10.2.0.0/16"));
    gateway_pair_run(&pair, 5000);
    struct address a = given("hq").address;

    CHECK(passes(&a));
    CHECK_EQUAL(pair.nodes[CLIENT].without_routes, 0);
    CHECK_EQUAL(pair.nodes[CLIENT].address_count, 1);
    finish();
}

TEST(who_asks_for_no_address_any_more_gives_it_back)
{
    start(921, "", LOGIN("hq", "alice", ""));
    gateway_pair_run(&pair, 5000);
    write_client("site hq {\n  peer 203.0.113.2\n  key @grp\n  ike v1\n  login alice @password\n"
                 "  network 10.3.0.0/16\n}\n");
    gateway_pair_reload(&pair, CLIENT);
    CHECK_EQUAL(pair.nodes[CLIENT].address_count, 0);
    CHECK(!gateway_pair_has_route(&pair, CLIENT, "10.2.0.0/16"));
    CHECK(gateway_pair_has_route(&pair, CLIENT, "10.3.0.0/16"));
    finish();
}

TEST(two_sites_with_one_network_do_not_take_the_route_from_each_other)
{
    char why[128];

    start(922, "", LOGIN("one", "alice", "") LOGIN("two", "bob", ""));
    gateway_pair_run(&pair, 8000);
    struct address a = given("one").address;
    struct address b = given("two").address;
    bool first = address_equal(&pair.nodes[CLIENT].routes[0].local, &a);

    CHECK_EQUAL(pair.nodes[CLIENT].route_count, 1);
    CHECK(gateway_down(pair.nodes[CLIENT].gateway, first ? "one" : "two", pair.now_ms, why,
                       sizeof(why)));
    gateway_pair_run(&pair, 1000);
    CHECK_EQUAL(pair.nodes[CLIENT].route_count, 1);
    CHECK(address_equal(&pair.nodes[CLIENT].routes[0].local, first ? &b : &a));
    CHECK_EQUAL(pair.nodes[CLIENT].without_routes, 0);
    finish();
}

TEST(routes_that_were_held_go_with_the_line_that_says_so)
{
    start(923, "", LOGIN("hq", "alice", ""));
    gateway_pair_run(&pair, 5000);
    write_client(LOGIN("hq", "alice", "\n  routes off"));
    gateway_pair_reload(&pair, CLIENT);
    CHECK_EQUAL(pair.nodes[CLIENT].route_count, 0);
    write_client(LOGIN("hq", "alice", ""));
    gateway_pair_reload(&pair, CLIENT);
    CHECK(gateway_pair_has_route(&pair, CLIENT, "10.2.0.0/16"));
    finish();
}

TEST(a_lan_that_is_taken_away_is_reached_by_nobody)
{
    start(924, "  lan 10.2.0.0/16 10.4.0.0/16", LOGIN("hq", "alice", ""));
    gateway_pair_run(&pair, 5000);
    CHECK_EQUAL(sessions().count, 1);
    write_server("  lan 10.4.0.0/16");
    gateway_pair_reload(&pair, SERVER);
    gateway_pair_run(&pair, 50);
    CHECK_EQUAL(pair.nodes[SERVER].sessions_ended, 1);
    CHECK_EQUAL(pair.nodes[SERVER].last_session.end, SESSION_END_CONFIGURATION);
    finish();
}

TEST(a_route_to_a_given_network_that_cannot_be_set_is_told)
{
    struct status_problem problem;
    struct network network;

    start(925, "", LOGIN("hq", "alice", ""));
    gateway_pair_run(&pair, 5000);
    CHECK(network_parse(SLICE_TEXT("10.2.0.0/16"), &network));
    gateway_route_failed(pair.nodes[CLIENT].gateway, &network, "file exists");
    CHECK_EQUAL(gateway_problems(pair.nodes[CLIENT].gateway, pair.now_ms, &problem, 1), 1);
    pair.nodes[CLIENT].route_count = 0;
    gateway_pair_reload(&pair, CLIENT);
    CHECK(gateway_pair_has_route(&pair, CLIENT, "10.2.0.0/16"));
    CHECK_EQUAL(gateway_problems(pair.nodes[CLIENT].gateway, pair.now_ms, &problem, 1), 0);
    finish();
}

TEST(keys_of_both_phases_are_renewed_and_the_session_stays)
{
    start(911, "  lifetime ike 10m child 4m", LOGIN("hq", "alice", "\n  lifetime ike 8m child 3m"));
    gateway_pair_run(&pair, 5000);
    struct address a = given("hq").address;
    unsigned lost = 0;

    for (int minute = 0; minute < 40; minute++) {
        lost += !passes(&a);
        gateway_pair_run(&pair, 60000);
    }
    CHECK_EQUAL(lost, 0);
    CHECK_EQUAL(sessions().count, 1);
    CHECK_EQUAL(pair.nodes[SERVER].sessions_began, 1);
    CHECK_EQUAL(pair.nodes[CLIENT].address_count, 1);
    finish();
}

/* He begins from one port, goes on from another, and it is by that one that he is known when his
 * next ISAKMP SA is begun there. */
TEST(behind_a_nat_the_session_stays_when_its_isakmp_sa_is_renewed)
{
    gateway_pair_open(&pair, 923);
    write_server("  lifetime ike 20m child 8h\n  max-sessions off");
    write_client(LOGIN("hq", "alice", "\n  lifetime ike 8m child 8h"));
    pair.nodes[CLIENT].password = "right";
    pair.nodes[CLIENT].nat_outer = address_ipv4(0xc6336407);
    pair.nodes[CLIENT].nat_base = 40000;
    gateway_pair_start(&pair, SERVER);
    gateway_pair_start(&pair, CLIENT);
    gateway_pair_run(&pair, 5000);
    struct address a = given("hq").address;
    unsigned lost = 0;

    CHECK_EQUAL(sessions().list[0].outer.port, pair.nodes[CLIENT].nat_base + 1);
    for (int minute = 0; minute < 30; minute++) {
        lost += !passes(&a);
        gateway_pair_run(&pair, 60000);
    }
    CHECK_EQUAL(lost, 0);
    CHECK_EQUAL(sessions().count, 1);
    CHECK(pair.nodes[SERVER].logins > 2);
    CHECK_EQUAL(pair.nodes[SERVER].sessions_began, 1);
    finish();
}

TEST(settings_may_be_pushed)
{
    start(912, "  settings pushed",
          "site hq {\n  peer 203.0.113.2\n  key @grp\n  ike v1\n  login "
          "alice @password\n  address take\n}\n");
    gateway_pair_run(&pair, 5000);
    struct address a = given("hq").address;

    CHECK(passes(&a));
    finish();
}

TEST(with_refuse_the_second_place_of_a_user_is_refused)
{
    start(913, "  max-sessions 1 refuse", LOGIN("one", "alice", ""));
    gateway_pair_run(&pair, 5000);
    struct address before = given("one").address;

    pair.nodes[CLIENT].nat_outer = address_ipv4(0xc6336407);
    pair.nodes[CLIENT].nat_base = 40000;
    gateway_pair_crash(&pair, CLIENT);
    pair.nodes[CLIENT].address_count = 0;
    pair.nodes[CLIENT].route_count = 0;
    gateway_pair_start(&pair, CLIENT);
    gateway_pair_run(&pair, 5000);
    check_told(SERVER, "staff", "SEK-N009");
    check_told(CLIENT, "one", "SEK-A036");
    struct seen seen = sessions();

    CHECK_EQUAL(seen.count, 1);
    CHECK(address_equal(&before, &seen.addresses[0]));
    finish();
}

/* The gateway's certificate, and what both sides believe. */
static struct certificate *give_certificates(enum key_kind kind)
{
    struct testbed_order order = testbed_gateway;
    struct private_key *root_key = private_key_make(KEY_RSA, 2048);
    struct private_key *key = private_key_make(kind, 2048);
    struct certificate *root = testbed_issue(&testbed_root, root_key, NULL, NULL);

    order.names = "DNS:vpn.example.jp";
    order.serial = 7;
    struct certificate *certificate = testbed_issue(&order, key, root, root_key);

    pair.nodes[SERVER].own = testbed_credential(key, &certificate, 1);
    pair.nodes[SERVER].trust = testbed_trust(root);
    pair.nodes[CLIENT].trust = testbed_trust(root);
    pair.nodes[SERVER].now_s = pair.nodes[CLIENT].now_s = TESTBED_NOW_S;
    certificate_free(certificate);
    private_key_free(root_key);
    private_key_free(key);
    return root;
}

static void take_certificates(struct certificate *root)
{
    credential_free(pair.nodes[SERVER].own);
    credential_free(pair.nodes[CLIENT].own);
    trust_free(pair.nodes[SERVER].trust);
    trust_free(pair.nodes[CLIENT].trust);
    certificate_free(root);
}

TEST(with_hybrid_only_the_gateway_has_a_certificate)
{
    gateway_pair_open(&pair, 914);
    struct certificate *root = give_certificates(KEY_RSA);

    snprintf(pair.nodes[SERVER].config, GATEWAY_PAIR_TEXT_BYTES,
             "gateway vpn.example.jp\nlan 10.2.0.0/16\nremote-access staff {\n  via xauth hybrid\n"
             "  addresses 10.9.6.0/29\n}\n");
    write_client("site hq {\n  peer 203.0.113.2\n  identity vpn.example.jp\n  ike v1\n  login "
                 "alice @password hybrid\n  address ask\n}\n");
    pair.nodes[CLIENT].password = "right";
    gateway_pair_start(&pair, SERVER);
    gateway_pair_start(&pair, CLIENT);
    gateway_pair_run(&pair, 5000);
    struct address a = given("hq").address;

    CHECK(passes(&a));
    /* Another name than that in the certificate is not believed, and hears no password. */
    unsigned logins = pair.nodes[SERVER].logins;

    write_client("site hq {\n  peer 203.0.113.2\n  identity other.example.jp\n  ike v1\n  login "
                 "alice @password hybrid\n  address ask\n}\n");
    gateway_pair_crash(&pair, CLIENT);
    pair.nodes[CLIENT].address_count = 0;
    pair.nodes[CLIENT].route_count = 0;
    gateway_pair_start(&pair, CLIENT);
    gateway_pair_run(&pair, 20000);
    CHECK(site_named(CLIENT, "hq").state != STATUS_UP);
    CHECK_EQUAL(pair.nodes[CLIENT].address_count, 0);
    CHECK_EQUAL(pair.nodes[SERVER].logins, logins);
    finish();
    take_certificates(root);
}

TEST(an_address_that_login_names_is_given_or_nobody_is_let_in)
{
    start(915, "  address alice 10.9.6.5", LOGIN("hq", "alice", ""));
    gateway_pair_run(&pair, 5000);
    struct address a = given("hq").address;

    CHECK_EQUAL(get_u32(a.bytes), 0x0a090605);
    CHECK(passes(&a));
    finish();
}

/* A question behind the password, as of a one-time code: a client that has none says nothing. */
static void ask_more(struct gateway_pair_node *node, const struct login_question *question,
                     struct login_answer *answer)
{
    (void)node;
    (void)question;
    *answer = login_answer_of(LOGIN_CHALLENGED, LOGIN_REASON_NONE, "the test");
    CHECK(text_copy(answer->message, sizeof(answer->message), SLICE_TEXT("Code")));
}

TEST(who_is_asked_for_what_nobody_wrote_down_is_refused)
{
    gateway_pair_open(&pair, 916);
    write_server("");
    write_client(LOGIN("hq", "alice", ""));
    pair.nodes[CLIENT].password = "right";
    pair.nodes[SERVER].login = ask_more;
    gateway_pair_start(&pair, SERVER);
    gateway_pair_start(&pair, CLIENT);
    gateway_pair_run(&pair, 3000);
    CHECK_EQUAL(sessions().count, 0);
    check_told(CLIENT, "hq", "SEK-A036");
    finish();
}

/* What the login says of a user: an address outside of the pool. */
static void say_outside(struct gateway_pair_node *node, const struct login_question *question,
                        struct login_answer *answer)
{
    (void)node;
    *answer = login_answer_of(LOGIN_ACCEPTED, LOGIN_REASON_NONE, "radius");
    CHECK(text_copy(answer->user, sizeof(answer->user), slice_of_text(question->user)));
    answer->address = address_ipv4(0xc0a80101);
}

TEST(an_address_outside_of_the_pool_is_given_to_nobody)
{
    gateway_pair_open(&pair, 917);
    write_server("");
    write_client(LOGIN("hq", "alice", ""));
    pair.nodes[CLIENT].password = "right";
    pair.nodes[SERVER].login = say_outside;
    gateway_pair_start(&pair, SERVER);
    gateway_pair_start(&pair, CLIENT);
    gateway_pair_run(&pair, 3000);
    check_told(SERVER, "staff", "SEK-N007");
    check_told(CLIENT, "hq", "SEK-N008");
    CHECK_EQUAL(pool().held, 0);
    CHECK_EQUAL(pair.nodes[SERVER].sessions_began, 0);
    finish();
}

/* The server says for how long. */
static void say_short(struct gateway_pair_node *node, const struct login_question *question,
                      struct login_answer *answer)
{
    (void)node;
    *answer = login_answer_of(LOGIN_ACCEPTED, LOGIN_REASON_NONE, "radius");
    CHECK(text_copy(answer->user, sizeof(answer->user), slice_of_text(question->user)));
    answer->session_timeout_s = 60;
    answer->class_length = 3;
    memcpy(answer->class_bytes, "abc", 3);
}

TEST(a_session_ends_when_its_time_is_over)
{
    gateway_pair_open(&pair, 918);
    write_server("");
    write_client(LOGIN("hq", "alice", "\n  start wait"));
    pair.nodes[CLIENT].password = "right";
    pair.nodes[SERVER].login = say_short;
    gateway_pair_start(&pair, SERVER);
    gateway_pair_start(&pair, CLIENT);
    char why[128];

    CHECK(gateway_up(pair.nodes[CLIENT].gateway, "hq", pair.now_ms, why, sizeof(why)));
    gateway_pair_run(&pair, 30000);
    CHECK_EQUAL(sessions().count, 1);
    gateway_pair_run(&pair, 31000);
    CHECK_EQUAL(pair.nodes[SERVER].sessions_ended, 1);
    CHECK_EQUAL(pair.nodes[SERVER].last_session.end, SESSION_END_TIME);
    CHECK_EQUAL(pair.nodes[SERVER].last_session.class_length, 3);
    finish();
}
