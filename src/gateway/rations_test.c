/* Guessing passwords gets slower, for an address and for a user, and nobody is kept out for long.
 */
#include "gateway/rations.h"

#include <stdio.h>

#include "tests/support/test.h"

static const uint8_t key[16] = "wrong passwords.";
static struct rations rations;

static const struct address home = {FAMILY_IPV4, {192, 0, 2, 7}};

static uint64_t wait_ms(const struct address *from, const char *user, uint64_t now_ms)
{
    return rations_wait_until(&rations, from, user, now_ms) - now_ms;
}

TEST(an_address_waits_longer_each_time_and_five_minutes_at_most)
{
    uint64_t now_ms = 1000;
    uint64_t expected_ms = 1000;

    rations_init(&rations, key);
    for (unsigned i = 0; i < RATIONS_ADDRESS_FREE; i++) {
        char user[16];

        snprintf(user, sizeof(user), "u%u", i);
        CHECK_EQUAL(wait_ms(&home, user, now_ms), 0);
        rations_failed(&rations, &home, user, now_ms);
    }
    CHECK_EQUAL(wait_ms(&home, "u", now_ms), 0);
    for (unsigned i = 0; i < 20; i++) {
        char user[16];

        snprintf(user, sizeof(user), "v%u", i);
        rations_failed(&rations, &home, user, now_ms);
        CHECK_EQUAL(wait_ms(&home, "u", now_ms), expected_ms);
        now_ms += expected_ms;
        expected_ms =
            expected_ms * 2 < RATIONS_ADDRESS_WAIT_MS ? expected_ms * 2 : RATIONS_ADDRESS_WAIT_MS;
        CHECK_EQUAL(wait_ms(&home, "u", now_ms), 0);
    }
    /* Others go on. */
    struct address other = address_ipv4(0xc0000208);

    CHECK_EQUAL(wait_ms(&other, "u", now_ms), 0);
    rations_fini(&rations);
}

TEST(a_user_who_is_guessed_from_everywhere_waits_a_minute_at_most)
{
    rations_init(&rations, key);
    for (uint32_t i = 0; i < 1000; i++) {
        struct address from = address_ipv4(0xc6330000 + i);

        rations_failed(&rations, &from, "alice", 1000);
    }
    CHECK_EQUAL(wait_ms(&home, "alice", 1000), RATIONS_USER_WAIT_MS);
    CHECK_EQUAL(wait_ms(&home, "bob", 1000), 0);
    rations_passed(&rations, &home, "alice", 1000);
    CHECK_EQUAL(wait_ms(&home, "alice", 1000), 0);
    rations_fini(&rations);
}

TEST(where_a_user_logged_in_last_others_do_not_keep_him_out)
{
    struct address elsewhere = address_ipv4(0xc0000208);

    rations_init(&rations, key);
    rations_passed(&rations, &home, "alice", 1000);
    for (uint32_t i = 0; i < 100; i++) {
        struct address from = address_ipv4(0xc6330000 + i);

        rations_failed(&rations, &from, "alice", 2000 + RATIONS_FORGET_MS);
    }
    CHECK_EQUAL(wait_ms(&home, "alice", 2000 + RATIONS_FORGET_MS), 0);
    CHECK_EQUAL(wait_ms(&elsewhere, "alice", 2000 + RATIONS_FORGET_MS), RATIONS_USER_WAIT_MS);
    rations_fini(&rations);
}

TEST(a_right_password_of_ones_own_does_not_buy_tries_of_others)
{
    rations_init(&rations, key);
    for (unsigned i = 0; i < 20; i++) {
        char user[16];

        snprintf(user, sizeof(user), "u%u", i);
        rations_failed(&rations, &home, user, 1000);
        rations_passed(&rations, &home, "mallory", 1000);
    }
    CHECK(wait_ms(&home, "u", 1000) > 0);
    CHECK(wait_ms(&home, "mallory", 1000) > 0);
    CHECK_EQUAL(wait_ms(&home, "u", 1000 + RATIONS_ADDRESS_WAIT_MS), 0);
    rations_fini(&rations);
}

TEST(what_was_long_ago_is_forgotten)
{
    rations_init(&rations, key);
    for (unsigned i = 0; i < 8; i++) {
        rations_failed(&rations, &home, "alice", 1000);
    }
    CHECK(wait_ms(&home, "alice", 1000) > 0);
    rations_failed(&rations, &home, "alice", 1000 + RATIONS_FORGET_MS);
    CHECK_EQUAL(wait_ms(&home, "alice", 1000 + RATIONS_FORGET_MS), 0);
    rations_fini(&rations);
}

TEST(an_ipv6_network_is_one_address_and_the_table_does_not_grow)
{
    struct address a = {FAMILY_IPV6, {0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 1}};
    struct address b = {FAMILY_IPV6, {0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 2}};

    rations_init(&rations, key);
    for (unsigned i = 0; i < 7; i++) {
        char user[16];

        snprintf(user, sizeof(user), "u%u", i);
        rations_failed(&rations, i % 2 == 0 ? &a : &b, user, 1000);
    }
    CHECK(wait_ms(&a, "x", 1000) > 0 && wait_ms(&b, "x", 1000) > 0);
    for (uint32_t i = 0; i < 20000; i++) {
        struct address from = address_ipv4(i);
        char user[16];

        snprintf(user, sizeof(user), "w%u", (unsigned)i);
        rations_failed(&rations, &from, user, 2000);
        CHECK(rations.table.count <= RATIONS_MAX);
    }
    rations_fini(&rations);
}
