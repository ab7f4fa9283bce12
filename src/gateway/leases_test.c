/* Pools: nobody gets another's address, everybody his own again, and what is remembered ends. */
#include "gateway/leases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tests/support/test.h"

static const uint8_t key[16] = "addresses, pools";

static struct range range_of(const char *first, const char *last)
{
    struct range range;

    CHECK(address_parse(slice_of_text(first), &range.first));
    CHECK(address_parse(slice_of_text(last), &range.last));
    return range;
}

static struct leases with(const char *first, const char *last)
{
    struct range range = range_of(first, last);
    struct config_access access = {.ranges = &range, .range_count = 1};
    struct leases l;

    leases_init(&l, key);
    CHECK(leases_configure(&l, &access));
    return l;
}

static uint32_t given(struct leases *l, const char *user)
{
    struct address a;

    CHECK_EQUAL(leases_take(l, user, NULL, &a), LEASE_GIVEN);
    return get_u32(a.bytes);
}

static enum lease_result refused(struct leases *l, const char *user, const char *wanted)
{
    struct address a = {0}, out;

    if (wanted != NULL) {
        CHECK(address_parse(slice_of_text(wanted), &a));
    }
    return leases_take(l, user, &a, &out);
}

static void release(struct leases *l, uint32_t value)
{
    struct address a = address_ipv4(value);

    leases_release(l, &a);
}

TEST(of_a_network_the_ends_are_not_given_and_then_there_is_none)
{
    struct leases l = with("10.9.6.0", "10.9.6.7");

    for (uint32_t i = 1; i <= 6; i++) {
        char user[16];

        snprintf(user, sizeof(user), "user%u", (unsigned)i);
        CHECK_EQUAL(given(&l, user), 0x0a090600 + i);
    }
    CHECK_EQUAL(refused(&l, "late", NULL), LEASE_NONE_LEFT);
    CHECK_EQUAL(l.held, 6);
    release(&l, 0x0a090603);
    CHECK_EQUAL(given(&l, "late"), 0x0a090603);
    leases_fini(&l);
}

TEST(of_a_range_all_are_given)
{
    struct leases l = with("10.9.6.9", "10.9.6.10");

    CHECK_EQUAL(given(&l, "a"), 0x0a090609);
    CHECK_EQUAL(given(&l, "b"), 0x0a09060a);
    CHECK_EQUAL(refused(&l, "c", NULL), LEASE_NONE_LEFT);
    leases_fini(&l);
}

TEST(who_comes_back_gets_what_he_had)
{
    struct leases l = with("10.9.6.0", "10.9.6.255");
    uint32_t alice = given(&l, "alice");
    uint32_t bob = given(&l, "bob");

    release(&l, alice);
    release(&l, bob);
    CHECK(given(&l, "carol") != alice);
    CHECK_EQUAL(given(&l, "bob"), bob);
    CHECK_EQUAL(given(&l, "alice"), alice);
    /* A second device of hers has another one, and both come back. */
    uint32_t second = given(&l, "alice");

    CHECK(second != alice && second != bob);
    release(&l, alice);
    release(&l, second);
    uint32_t again = given(&l, "alice");
    uint32_t again_2 = given(&l, "alice");

    CHECK((again == alice && again_2 == second) || (again == second && again_2 == alice));
    leases_fini(&l);
}

TEST(when_there_is_nothing_fresh_who_left_longest_ago_loses_his)
{
    struct leases l = with("10.9.6.1", "10.9.6.3");
    uint32_t a = given(&l, "a"), b = given(&l, "b"), c = given(&l, "c");

    release(&l, b);
    release(&l, a);
    release(&l, c);
    CHECK_EQUAL(given(&l, "d"), b);
    CHECK_EQUAL(given(&l, "b"), a);
    CHECK_EQUAL(given(&l, "c"), c);
    leases_fini(&l);
}

TEST(an_address_of_his_own_is_nobody_elses)
{
    static const struct config_fixed fixed[] = {{"alice", {FAMILY_IPV4, {10, 9, 6, 1}}},
                                                {"bob", {FAMILY_IPV4, {10, 9, 6, 3}}}};
    struct range range = range_of("10.9.6.1", "10.9.6.3");
    struct config_access access = {
        .ranges = &range, .range_count = 1, .fixed = fixed, .fixed_count = 2};
    struct leases l;

    leases_init(&l, key);
    CHECK(leases_configure(&l, &access));
    CHECK_EQUAL(given(&l, "carol"), 0x0a090602);
    CHECK_EQUAL(refused(&l, "dave", NULL), LEASE_NONE_LEFT);
    CHECK_EQUAL(given(&l, "bob"), 0x0a090603);
    CHECK_EQUAL(given(&l, "alice"), 0x0a090601);
    CHECK_EQUAL(refused(&l, "alice", NULL), LEASE_HELD);
    leases_fini(&l);
}

TEST(who_wants_one_gets_it_or_hears_why_not)
{
    struct leases l = with("10.9.6.0", "10.9.6.255");
    struct address out;
    struct address wanted = address_ipv4(0x0a090664);

    CHECK_EQUAL(leases_take(&l, "alice", &wanted, &out), LEASE_GIVEN);
    CHECK(address_equal(&wanted, &out));
    CHECK_EQUAL(refused(&l, "bob", "10.9.6.100"), LEASE_HELD);
    CHECK_EQUAL(refused(&l, "bob", "10.9.7.1"), LEASE_OUTSIDE);
    CHECK_EQUAL(refused(&l, "bob", "10.9.6.0"), LEASE_OUTSIDE);
    CHECK_EQUAL(refused(&l, "bob", "fd00::1"), LEASE_OUTSIDE);
    release(&l, 0x0a090664);
    CHECK_EQUAL(refused(&l, "bob", "10.9.6.100"), LEASE_GIVEN);
    leases_fini(&l);
}

TEST(a_pool_that_grows_or_moves_takes_nothing_from_who_is_there)
{
    struct leases l = with("10.9.6.1", "10.9.6.2");
    uint32_t a = given(&l, "a"), b = given(&l, "b");
    struct range wider = range_of("10.9.6.0", "10.9.7.255");
    struct config_access access = {.ranges = &wider, .range_count = 1};

    CHECK(leases_configure(&l, &access));
    uint32_t c = given(&l, "c");

    CHECK(c != a && c != b);
    CHECK_EQUAL(l.held, 3);
    struct range other = range_of("10.9.9.1", "10.9.9.2");

    access.ranges = &other;
    CHECK(leases_configure(&l, &access));
    CHECK_EQUAL(l.held, 3);
    release(&l, a);
    CHECK_EQUAL(given(&l, "a"), 0x0a090901);
    release(&l, b);
    release(&l, c);
    release(&l, c);
    CHECK_EQUAL(l.held, 1);
    CHECK_EQUAL(l.remembered, 0);
    leases_fini(&l);
}

TEST(what_is_held_in_one_pool_is_given_in_no_other)
{
    struct leases one = with("10.9.6.1", "10.9.6.3");
    struct leases two = with("10.9.6.1", "10.9.6.4");
    struct leases *all = &one;

    one.all = two.all = &all;
    one.next_pool = &two;
    CHECK_EQUAL(given(&one, "a"), 0x0a090601);
    CHECK_EQUAL(given(&two, "b"), 0x0a090602);
    CHECK_EQUAL(refused(&two, "c", "10.9.6.1"), LEASE_HELD);
    CHECK_EQUAL(given(&one, "c"), 0x0a090603);
    CHECK_EQUAL(given(&two, "d"), 0x0a090604);
    CHECK_EQUAL(refused(&one, "e", NULL), LEASE_NONE_LEFT);
    CHECK_EQUAL(refused(&two, "e", NULL), LEASE_NONE_LEFT);
    /* What was passed over is looked at again. */
    release(&one, 0x0a090603);
    CHECK_EQUAL(given(&two, "e"), 0x0a090603);
    /* And who comes back does not get what somebody else has by now. */
    CHECK_EQUAL(refused(&one, "c", NULL), LEASE_NONE_LEFT);
    release(&two, 0x0a090603);
    CHECK_EQUAL(given(&one, "c"), 0x0a090603);
    leases_fini(&one);
    leases_fini(&two);
}

TEST(what_is_remembered_of_who_left_ends)
{
    struct leases l = with("10.0.0.0", "10.255.255.255");

    l.remembered_max = 10;
    for (unsigned i = 0; i < 1000; i++) {
        char user[16];

        snprintf(user, sizeof(user), "u%u", i);
        release(&l, given(&l, user));
        CHECK(l.remembered <= 10);
    }
    leases_fini(&l);
}

/* Held against the most obvious pool: an array of who has what. */
TEST(it_does_what_an_array_would_do)
{
    enum { ADDRESSES = 40, USERS = 60 };
    struct leases l = with("10.9.6.0", "10.9.6.39");
    int holder[ADDRESSES];
    uint32_t of_user[USERS] = {0};
    unsigned seed = 1;

    for (int i = 0; i < ADDRESSES; i++) {
        holder[i] = -1;
    }
    for (int step = 0; step < 20000; step++) {
        char user[16];

        seed = seed * 1103515245 + 12345;
        unsigned who = (seed >> 16) % USERS;
        snprintf(user, sizeof(user), "u%u", who);
        if (of_user[who] != 0) {
            release(&l, of_user[who]);
            holder[of_user[who] - 0x0a090600] = -1;
            of_user[who] = 0;
            continue;
        }
        size_t held = 0;
        struct address a;

        for (int i = 0; i < ADDRESSES; i++) {
            held += holder[i] != -1;
        }
        enum lease_result result = leases_take(&l, user, NULL, &a);

        CHECK_EQUAL(result, held == ADDRESSES ? LEASE_NONE_LEFT : LEASE_GIVEN);
        if (result == LEASE_GIVEN) {
            of_user[who] = get_u32(a.bytes);
            CHECK(of_user[who] - 0x0a090600 < ADDRESSES);
            CHECK_EQUAL(holder[of_user[who] - 0x0a090600], -1);
            holder[of_user[who] - 0x0a090600] = (int)who;
        }
    }
    leases_fini(&l);
}
