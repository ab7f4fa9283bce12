/* Ten thousand people: what one more costs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gateway/people.h"
#include "tests/support/gateway_pair.h"
#include "tests/support/test.h"

#define PEOPLE 10000

static struct gateway_pair pair;

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* As the end of a login would, without a peer: the handshakes are others' to measure. */
static struct session *let_in(struct gateway *g, struct block *block, unsigned i)
{
    struct person person = {.accepted = true};
    struct old_machine old = {.person = &person};
    struct ike ike = {.gateway = g, .is_old = true, .old = &old};

    person.answer = login_answer_of(LOGIN_ACCEPTED, LOGIN_REASON_NONE, "");
    snprintf(person.answer.user, sizeof(person.answer.user), "user%u", i);
    ike.peer = (struct endpoint){.address = address_ipv4(0xc6330000 + i), .port = 4500};
    struct session *s = session_admit(block, &ike);

    CHECK(s != NULL);
    CHECK_EQUAL(session_take_address(s), LEASE_GIVEN);
    return s;
}

TEST(ten_thousand_people_have_an_address_each_and_one_more_is_cheap)
{
    gateway_pair_open(&pair, 950);
    snprintf(pair.nodes[1].config, GATEWAY_PAIR_TEXT_BYTES,
             "gateway vpn.example.jp\nlan 10.2.0.0/16\nremote-access staff {\n  via xauth\n  key "
             "@grp\n  addresses 10.128.0.0/16\n}\n");
    gateway_pair_start(&pair, 1);
    struct gateway *g = pair.nodes[1].gateway;
    struct block *block = people_block(g, g->sites[0]);
    char why[128];
    double begin = seconds();

    CHECK(block != NULL);
    questions_ask_secret(g->sites[0], pair.now_ms);
    gateway_pair_run(&pair, 100);
    for (unsigned i = 0; i < PEOPLE; i++) {
        (void)let_in(g, block, i);
    }
    double all = seconds() - begin;

    begin = seconds();
    policies_publish(g);
    double publish = seconds() - begin;

    print_message("%d sessions: %.3f s; policies published in %.1f ms\n", PEOPLE, all,
                  publish * 1000);
    CHECK_EQUAL(gateway_session_count(g), PEOPLE);
    CHECK_EQUAL(block->leases.held, PEOPLE);
    /* None of them has an IKE SA: they end by themselves, all in one event. */
    CHECK(gateway_down(g, "user77", pair.now_ms, why, sizeof(why)));
    begin = seconds();
    CHECK(gateway_down(g, "staff", pair.now_ms, why, sizeof(why)));
    print_message("all of them out again: %.3f s\n", seconds() - begin);
    CHECK_EQUAL(gateway_session_count(g), 0);
    CHECK_EQUAL(block->leases.held, 0);
    gateway_pair_close(&pair);
}
