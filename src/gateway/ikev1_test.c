/* Two whole gateways that speak IKEv1, and gateways that differ in what they speak. */
#include "gateway/inside.h"

#include <string.h>

#include "tests/support/gateway_pair.h"
#include "tests/support/test.h"

static struct gateway_pair pair;

static void start(uint64_t seed, const char *extra_0, const char *extra_1)
{
    gateway_pair_open(&pair, seed);
    gateway_pair_write_config(&pair, 0, extra_0);
    gateway_pair_write_config(&pair, 1, extra_1);
    gateway_pair_start(&pair, 0);
    gateway_pair_start(&pair, 1);
}

static void check_told(unsigned node, const char *code, const char *words)
{
    struct status_site site = gateway_pair_site(&pair, node);

    if (strcmp(site.code, code) != 0 || strstr(site.sentence, words) == NULL) {
        fail_msg("%s %s", site.code, site.sentence);
    }
}

struct seen {
    unsigned old, new;
    bool main_mode;
};

static void look(void *context, const struct status_trace *trace)
{
    struct seen *seen = context;

    if (strstr(trace->words, "main mode") != NULL) {
        seen->main_mode = true;
    }
    *(strstr(trace->words, "IKE_SA_INIT") != NULL ? &seen->new : &seen->old) += 1;
}

static struct seen seen_by(unsigned node)
{
    struct seen seen = {0};
    const char *name = gateway_pair_site(&pair, node).name;

    gateway_trace(pair.nodes[node].gateway, name, look, &seen);
    return seen;
}

TEST(two_gateways_that_speak_ikev1_come_up_and_carry_data)
{
    start(801, "ike v1", "ike v1\n  start wait");
    CHECK(gateway_pair_up(&pair, 5000));
    for (unsigned i = 0; i < 2; i++) {
        CHECK(gateway_pair_passes(&pair, i));
        CHECK_EQUAL(gateway_pair_site(&pair, i).reason, REASON_NONE);
        CHECK_EQUAL(gateway_pair_site(&pair, i).ike.version, 1);
        CHECK(seen_by(i).main_mode && seen_by(i).new == 0);
        CHECK(gateway_pair_doors_add_up(&pair, i));
    }
    gateway_pair_close(&pair);
}

TEST(when_both_begin_one_tunnel_is_left_and_nothing_is_lost)
{
    start(802, "ike v1", "ike v1");
    CHECK(gateway_pair_up(&pair, 5000));
    gateway_pair_run(&pair, 120000);
    for (unsigned i = 0; i < 2; i++) {
        CHECK_EQUAL(gateway_pair_site(&pair, i).state, STATUS_UP);
        CHECK_EQUAL(gateway_pair_site(&pair, i).child_count, 1);
        CHECK(gateway_pair_passes(&pair, i));
    }
    gateway_pair_close(&pair);
}

TEST(keys_of_both_phases_are_renewed_while_data_flows)
{
    unsigned lost = 0;

    start(803, "ike v1\n  lifetime ike 10m child 3m",
          "ike v1\n  start wait\n  lifetime ike 7m child 4m");
    CHECK(gateway_pair_up(&pair, 5000));
    for (unsigned minute = 0; minute < 60; minute++) {
        lost += !gateway_pair_passes(&pair, 0);
        lost += !gateway_pair_passes(&pair, 1);
        gateway_pair_run(&pair, 60000);
    }
    CHECK_EQUAL(lost, 0);
    for (unsigned i = 0; i < 2; i++) {
        CHECK_EQUAL(gateway_pair_site(&pair, i).state, STATUS_UP);
        CHECK_EQUAL(pair.nodes[i].downs, 0);
        CHECK(gateway_pair_site(&pair, i).rekeys >= 10);
        CHECK(gateway_pair_site(&pair, i).child_count <= 2);
    }
    gateway_pair_close(&pair);
}

TEST(a_wrong_key_is_told_as_keys_that_differ)
{
    gateway_pair_open(&pair, 804);
    gateway_pair_write_config(&pair, 0, "ike v1");
    gateway_pair_write_config(&pair, 1, "ike v1\n  start wait");
    pair.nodes[1].secret = "another key than that of the other side";
    gateway_pair_start(&pair, 0);
    gateway_pair_start(&pair, 1);
    gateway_pair_run(&pair, 40000);
    check_told(0, "SEK-A029", "the shared keys differ");
    check_told(1, "SEK-A028", "the shared keys differ");
    gateway_pair_close(&pair);
}

TEST(who_calls_a_site_of_ikev2_with_ikev1_is_told_and_so_is_the_administrator)
{
    start(805, "ike v1", "ike v2\n  start wait");
    gateway_pair_run(&pair, 20000);
    check_told(1, "SEK-O015", "calls with IKEv1");
    check_told(0, "SEK-O010", "INVALID-MAJOR-VERSION");
    gateway_pair_close(&pair);
}

TEST(a_site_of_ikev1_is_not_reached_by_ikev2)
{
    start(806, "ike v2", "ike v1\n  start wait");
    gateway_pair_run(&pair, 60000);
    CHECK(gateway_pair_site(&pair, 0).state != STATUS_UP);
    CHECK(gateway_pair_site(&pair, 1).state != STATUS_UP);
    CHECK_EQUAL(gateway_pair_site(&pair, 1).established_ms, 0);
    gateway_pair_close(&pair);
}

TEST(with_either_the_newer_one_is_spoken_where_both_can)
{
    start(807, "ike either", "ike either\n  start wait");
    CHECK(gateway_pair_up(&pair, 5000));
    CHECK_EQUAL(gateway_pair_site(&pair, 0).ike.version, 2);
    gateway_pair_close(&pair);
}

TEST(with_either_the_older_one_is_spoken_when_the_peer_has_nothing_newer)
{
    start(808, "ike either", "ike v1\n  start wait");
    CHECK(gateway_pair_up(&pair, 90000));
    CHECK_EQUAL(gateway_pair_site(&pair, 0).ike.version, 1);
    CHECK(gateway_pair_passes(&pair, 0));
    gateway_pair_close(&pair);
}

TEST(aggressive_mode_is_taken_only_where_it_is_said)
{
    start(809, "ike v1 aggressive\n  legacy aggressive",
          "ike v1 aggressive\n  legacy aggressive\n  start wait");
    CHECK(gateway_pair_up(&pair, 5000));
    CHECK(gateway_pair_passes(&pair, 0));
    gateway_pair_close(&pair);

    start(810, "ike v1 aggressive\n  legacy aggressive", "ike v1\n  start wait");
    gateway_pair_run(&pair, 40000);
    CHECK(gateway_pair_site(&pair, 1).state != STATUS_UP);
    check_told(1, "SEK-O014", "begins in Aggressive Mode");
    check_told(0, "SEK-O010", "INVALID-EXCHANGE-TYPE");
    gateway_pair_close(&pair);
}

TEST(a_caller_who_is_not_who_was_expected_is_told_as_a_reason_of_the_site)
{
    start(818, "ike v1\n  say else.example", "ike v1\n  start wait");
    gateway_pair_run(&pair, 40000);
    check_told(1, "SEK-A015", "\"else.example\", expected was \"tokyo.example.jp\"");
    check_told(0, "SEK-A029", "the shared keys differ");
    gateway_pair_close(&pair);
}

TEST(either_side_may_die_and_come_back)
{
    for (unsigned dead = 0; dead < 2; dead++) {
        start(811 + dead, "ike v1\n  dpd 10s", "ike v1\n  dpd 10s");
        CHECK(gateway_pair_up(&pair, 5000));
        gateway_pair_run(&pair, 30000);
        gateway_pair_crash(&pair, dead);
        gateway_pair_run(&pair, 5000);
        gateway_pair_start(&pair, dead);
        gateway_pair_run(&pair, 60000);
        CHECK(gateway_pair_passes(&pair, 0) && gateway_pair_passes(&pair, 1));
        gateway_pair_close(&pair);
    }
}

/* Liveness alone would take half a minute. */
TEST(who_is_sent_to_and_says_nothing_is_called_anew_soon)
{
    for (unsigned dead = 0; dead < 2; dead++) {
        uint64_t waited_ms = 0;

        start(830 + dead, "ike v1", "ike v1");
        CHECK(gateway_pair_up(&pair, 5000));
        gateway_pair_run(&pair, 30000);
        gateway_pair_crash(&pair, dead);
        gateway_pair_write_config(&pair, dead, "ike v1\n  start wait");
        gateway_pair_start(&pair, dead);
        while (!gateway_pair_passes(&pair, 1 - dead)) {
            CHECK(waited_ms < 12000);
            gateway_pair_run(&pair, 200);
            waited_ms += 200;
        }
        CHECK(waited_ms > 1000);
        gateway_pair_run(&pair, 60000);
        for (unsigned i = 0; i < 2; i++) {
            CHECK_EQUAL(gateway_pair_site(&pair, i).state, STATUS_UP);
            CHECK_EQUAL(gateway_pair_site(&pair, i).child_count, 1);
            CHECK(gateway_pair_passes(&pair, i));
        }
        gateway_pair_close(&pair);
    }
}

/* It begins anew beside what it has, and says that it has nothing. */
static void call_as_if_for_the_first_time(unsigned node)
{
    struct site *site = pair.nodes[node].gateway->sites[0];

    site->silent = true;
    dial_begin(site, pair.now_ms);
    for (unsigned ms = 0; ms < 40000 && site->dialled == NULL; ms++) {
        gateway_pair_run(&pair, 1);
    }
    CHECK(site->dialled != NULL);
    ikev1_terms(site->terms)->policy.initial_contact = true;
}

/* Some say INITIAL-CONTACT whenever they renew the ISAKMP SA (RFC 2407 4.6.3.3). */
TEST(who_says_that_he_has_nothing_and_sends_through_what_he_has_keeps_it)
{
    for (unsigned caller = 0; caller < 2; caller++) {
        start(840 + caller, "ike v1", "ike v1");
        CHECK(gateway_pair_up(&pair, 5000));
        gateway_pair_run(&pair, 30000);
        const struct ike *kept = pair.nodes[1 - caller].gateway->sites[0]->used->ike;

        call_as_if_for_the_first_time(caller);
        CHECK_EQUAL(gateway_pair_lost_within(&pair, 1, 1000), 0);
        CHECK(pair.nodes[1 - caller].gateway->sites[0]->ikes == kept);
        CHECK(kept->next_of_site == NULL);
        CHECK_EQUAL(gateway_pair_lost_within(&pair, 10, 60000), 0);
        CHECK_EQUAL(gateway_pair_site(&pair, 1 - caller).state, STATUS_UP);
        gateway_pair_close(&pair);
    }
}

TEST(who_says_that_he_has_nothing_and_sends_nothing_is_believed)
{
    for (unsigned caller = 0; caller < 2; caller++) {
        start(842 + caller, "ike v1", "ike v1");
        CHECK(gateway_pair_up(&pair, 5000));
        gateway_pair_run(&pair, 30000);
        uint64_t number = pair.nodes[1 - caller].gateway->sites[0]->used->ike->number;

        /* What he sent before it arrives when he has begun anew. */
        gateway_pair_offer(&pair, caller);
        call_as_if_for_the_first_time(caller);
        gateway_pair_run(&pair, 1000);
        const struct site *site = pair.nodes[1 - caller].gateway->sites[0];

        CHECK(site->ikes != NULL && site->ikes->next_of_site == NULL);
        CHECK(site->ikes->number > number);
        CHECK(gateway_pair_passes(&pair, 0) && gateway_pair_passes(&pair, 1));
        gateway_pair_close(&pair);
    }
}

static bool all_is_lost(void *context, const struct gateway_pair_datagram *datagram)
{
    (void)context;
    (void)datagram;
    return true;
}

/* He only was out of reach: he stays as he is. */
TEST(who_is_out_of_reach_for_a_while_is_left_with_one_tunnel)
{
    start(832, "ike v1", "ike v1");
    CHECK(gateway_pair_up(&pair, 5000));
    gateway_pair_run(&pair, 30000);
    pair.lose = all_is_lost;
    for (unsigned i = 0; i < 20; i++) {
        CHECK(!gateway_pair_passes(&pair, 0));
        gateway_pair_run(&pair, 500);
    }
    pair.lose = NULL;
    gateway_pair_run(&pair, 15000);
    for (unsigned i = 0; i < 2; i++) {
        CHECK(gateway_pair_passes(&pair, i));
    }
    gateway_pair_run(&pair, 120000);
    for (unsigned i = 0; i < 2; i++) {
        CHECK_EQUAL(gateway_pair_site(&pair, i).state, STATUS_UP);
        CHECK_EQUAL(gateway_pair_site(&pair, i).child_count, 1);
        CHECK(gateway_pair_passes(&pair, i));
    }
    gateway_pair_close(&pair);
}

static bool quick_mode_is_lost(void *context, const struct gateway_pair_datagram *d)
{
    const size_t exchange = d->head_bytes + 18;

    (void)context;
    return d->protocol == 17 && d->from.port == 500 && d->length > exchange &&
           d->bytes[exchange] == IKEV1_QUICK;
}

/* A second call is up, and what was there works again, before the child of the second one is there:
 * some peers give all children to the newest IKE SA and end them with it. */
TEST(of_two_the_newest_stays_and_is_given_time_for_its_child)
{
    start(833, "ike v1\n  start wait", "ike v1");
    CHECK(gateway_pair_up(&pair, 5000));
    gateway_pair_run(&pair, 30000);
    struct site *site = pair.nodes[1].gateway->sites[0];
    const struct ike *first = site->ikes;

    CHECK(first != NULL && first->next_of_site == NULL);
    pair.lose = quick_mode_is_lost;
    site->silent = true;
    dial_begin(site, pair.now_ms);
    for (unsigned i = 0; i < 40 && gateway_pair_site(&pair, 1).ike_count < 2; i++) {
        gateway_pair_run(&pair, 50);
    }
    CHECK_EQUAL(gateway_pair_site(&pair, 1).ike_count, 2);
    for (unsigned i = 0; i < 5; i++) {
        CHECK(gateway_pair_passes(&pair, 1));
        CHECK(gateway_pair_passes(&pair, 0));
        gateway_pair_run(&pair, 500);
    }
    pair.lose = NULL;
    CHECK_EQUAL(gateway_pair_site(&pair, 1).ike_count, 2);
    for (unsigned i = 0; i < 60; i++) {
        CHECK(gateway_pair_passes(&pair, 1));
        CHECK(gateway_pair_passes(&pair, 0));
        gateway_pair_run(&pair, 500);
    }
    CHECK_EQUAL(gateway_pair_site(&pair, 1).ike_count, 1);
    CHECK(site->ikes != first);
    gateway_pair_close(&pair);
}

TEST(a_nat_in_front_of_who_calls_is_passed)
{
    gateway_pair_open(&pair, 815);
    gateway_pair_write_config(&pair, 0, "ike v1\n  say 203.0.113.1");
    gateway_pair_write_config(&pair, 1, "ike v1\n  start wait");
    pair.nodes[0].nat_outer = address_ipv4(0xc6336407);
    pair.nodes[0].nat_base = 40000;
    strcpy(strstr(pair.nodes[1].config, "peer"), "peer any\n  network 10.1.0.0/16\n  key @osaka\n"
                                                 "  identity 203.0.113.1\n  ike v1\n}\n");
    gateway_pair_start(&pair, 0);
    gateway_pair_start(&pair, 1);
    CHECK(gateway_pair_up(&pair, 10000));
    CHECK(gateway_pair_passes(&pair, 0) && gateway_pair_passes(&pair, 1));
    CHECK(gateway_pair_site(&pair, 0).ike.nat_local);
    gateway_pair_run(&pair, 60000);
    CHECK(pair.nodes[0].keepalives > 0);
    gateway_pair_close(&pair);
}

TEST(a_new_configuration_ends_what_began_under_the_old_one)
{
    start(816, "ike v1", "ike v1\n  start wait");
    CHECK(gateway_pair_up(&pair, 5000));
    gateway_pair_write_config(&pair, 0, "ike v2");
    gateway_pair_write_config(&pair, 1, "ike v2\n  start wait");
    gateway_pair_reload(&pair, 1);
    gateway_pair_reload(&pair, 0);
    gateway_pair_run(&pair, 60000);
    CHECK_EQUAL(gateway_pair_site(&pair, 0).ike.version, 2);
    CHECK(gateway_pair_passes(&pair, 0) && gateway_pair_passes(&pair, 1));
    gateway_pair_write_config(&pair, 0, "ike v1\n  mtu 1300");
    gateway_pair_write_config(&pair, 1, "ike v1\n  start wait");
    gateway_pair_reload(&pair, 1);
    gateway_pair_reload(&pair, 0);
    gateway_pair_run(&pair, 60000);
    CHECK_EQUAL(gateway_pair_site(&pair, 0).ike.version, 1);
    gateway_pair_write_config(&pair, 0, "ike v1\n  mtu 1200");
    gateway_pair_reload(&pair, 0);
    gateway_pair_run(&pair, 1000);
    CHECK_EQUAL(gateway_pair_site(&pair, 0).state, STATUS_UP);
    CHECK(gateway_pair_passes(&pair, 0));
    gateway_pair_close(&pair);
}

TEST(no_suite_is_told_where_children_outlive_what_they_were_made_under)
{
    struct status_explanation e;
    bool without = false;

    start(820, "ike v1\n  lifetime ike 5m\n  dpd off", "ike v1\n  start wait");
    CHECK(gateway_pair_up(&pair, 5000));
    CHECK_TEXT(gateway_pair_site(&pair, 0).ike.suite, "AES-256-CBC, HMAC-SHA2-512, X25519");
    gateway_pair_crash(&pair, 1);
    for (unsigned i = 0; i < 60; i++) {
        gateway_pair_run(&pair, 10000);
        struct status_site site = gateway_pair_site(&pair, 0);

        CHECK(strstr(site.ike.suite, "AH") == NULL);
        without = without || (site.has_ike && site.ike.established && site.ike.suite[0] == '\0');
        CHECK(gateway_explain(pair.nodes[0].gateway, "osaka", pair.now_ms, &e));
        CHECK(strstr(e.checks[REASON_CHECK_OFFER].sentence, "AH") == NULL);
    }
    CHECK(without);
    gateway_pair_close(&pair);
}
