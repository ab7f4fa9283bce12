/* RFC 7296 2.9: narrowing, and the same by the most obvious means: every packet of a small
 * world asked one by one. */
#include "proto/ike/selectors.h"

#include "base/random.h"
#include "base/text.h"
#include "tests/support/test.h"

/* 10.1.0.0/16, 10.1.0.0-10.1.0.9, with [protocol/first-last] behind. */
static struct selector make(const char *from, const char *to, uint8_t protocol, uint16_t first,
                            uint16_t last)
{
    struct selector s = {.protocol = protocol, .port_first = first, .port_last = last};

    CHECK(address_parse(slice_of_text(from), &s.addresses.first));
    CHECK(address_parse(slice_of_text(to), &s.addresses.last));
    return s;
}

static struct selector all_of(const char *from, const char *to)
{
    return make(from, to, 0, 0, 65535);
}

TEST(what_both_allow_is_the_intersection)
{
    const struct selector offered[] = {all_of("10.0.0.0", "10.255.255.255"),
                                       all_of("192.168.0.0", "192.168.255.255")};
    const struct selector policy[] = {all_of("10.1.0.0", "10.1.255.255"),
                                      all_of("192.168.1.0", "192.168.1.255"),
                                      all_of("172.16.0.0", "172.16.0.255")};
    struct selector out[SELECTORS_MAX];
    size_t count;

    CHECK_EQUAL(selectors_narrow(offered, 2, policy, 3, out, &count), SELECTORS_PART);
    CHECK_EQUAL(count, 2);
    CHECK(selector_equal(&out[0], &policy[0]));
    CHECK(selector_equal(&out[1], &policy[1]));
}

TEST(all_that_is_allowed_needs_no_narrowing)
{
    const struct selector offered[] = {all_of("10.1.2.0", "10.1.2.255")};
    const struct selector policy[] = {all_of("10.1.0.0", "10.1.255.255")};
    struct selector out[SELECTORS_MAX];
    size_t count;

    CHECK_EQUAL(selectors_narrow(offered, 1, policy, 1, out, &count), SELECTORS_WHOLE);
    CHECK_EQUAL(count, 1);
    CHECK(selector_equal(&out[0], &offered[0]));
}

TEST(nothing_in_common_is_said)
{
    const struct selector offered[] = {all_of("10.1.2.0", "10.1.2.255")};
    const struct selector policy[] = {all_of("10.2.0.0", "10.2.255.255"),
                                      all_of("2001:db8::", "2001:db8::ffff")};
    struct selector out[SELECTORS_MAX];
    size_t count;

    CHECK_EQUAL(selectors_narrow(offered, 1, policy, 2, out, &count), SELECTORS_NONE);
    CHECK_EQUAL(count, 0);
    CHECK_EQUAL(selectors_narrow(offered, 0, policy, 2, out, &count), SELECTORS_NONE);
    CHECK_EQUAL(selectors_narrow(offered, 1, policy, 0, out, &count), SELECTORS_NONE);
}

/* The example of RFC 7296 2.9: the packet's own selector first, then the whole network. */
TEST(the_first_selector_is_in_the_answer_when_policy_allows_it)
{
    const struct selector offered[] = {
        make("198.51.100.43", "198.51.100.43", 6, 1024, 1024),
        all_of("198.51.100.0", "198.51.100.255"),
    };
    const struct selector narrow[] = {all_of("198.51.100.43", "198.51.100.43")};
    const struct selector elsewhere[] = {all_of("198.51.100.1", "198.51.100.9")};
    struct selector out[SELECTORS_MAX];
    size_t count;

    CHECK_EQUAL(selectors_narrow(offered, 2, narrow, 1, out, &count), SELECTORS_FIRST);
    CHECK_EQUAL(count, 1);
    CHECK(selector_equal(&out[0], &narrow[0]));
    CHECK_EQUAL(selectors_narrow(offered, 2, elsewhere, 1, out, &count), SELECTORS_PART);
    CHECK_EQUAL(count, 1);
    CHECK(selector_equal(&out[0], &elsewhere[0]));
}

TEST(protocol_and_ports_are_narrowed_too)
{
    const struct selector offered[] = {all_of("10.1.0.0", "10.1.0.255")};
    const struct selector policy[] = {make("10.1.0.0", "10.1.0.255", 6, 25, 25)};
    const struct selector udp[] = {make("10.1.0.0", "10.1.0.255", 17, 0, 65535)};
    struct selector out[SELECTORS_MAX];
    size_t count;

    CHECK_EQUAL(selectors_narrow(offered, 1, policy, 1, out, &count), SELECTORS_PART);
    CHECK_EQUAL(count, 1);
    CHECK(selector_equal(&out[0], &policy[0]));
    CHECK_EQUAL(selectors_narrow(udp, 1, policy, 1, out, &count), SELECTORS_NONE);
}

TEST(neighbours_and_duplicates_become_one)
{
    struct selector list[] = {
        all_of("10.0.1.0", "10.0.1.255"),      all_of("10.0.0.0", "10.0.0.255"),
        all_of("10.0.0.5", "10.0.0.6"),        make("10.0.0.7", "10.0.0.7", 6, 80, 80),
        all_of("10.0.1.0", "10.0.1.255"),      all_of("10.0.3.0", "10.0.3.255"),
        make("10.9.0.0", "10.9.0.0", 6, 1, 9), make("10.9.0.0", "10.9.0.0", 6, 10, 20),
    };
    const struct selector expected[] = {all_of("10.0.0.0", "10.0.1.255"),
                                        all_of("10.0.3.0", "10.0.3.255"),
                                        make("10.9.0.0", "10.9.0.0", 6, 1, 20)};
    size_t count = selectors_canonicalise(list, ARRAY_LENGTH(list));

    CHECK_EQUAL(count, 3);
    for (size_t i = 0; i < count; i++) {
        CHECK(selector_equal(&list[i], &expected[i]));
    }
    CHECK_EQUAL(selectors_canonicalise(list, 0), 0);
}

TEST(the_end_of_the_address_space_does_not_wrap)
{
    struct selector list[] = {all_of("255.255.255.255", "255.255.255.255"),
                              all_of("0.0.0.0", "0.0.0.0"),
                              all_of("255.255.255.0", "255.255.255.254"), all_of("::", "::")};

    CHECK_EQUAL(selectors_canonicalise(list, 4), 3);
    struct selector any[] = {all_of("0.0.0.0", "255.255.255.255"), all_of("1.2.3.4", "1.2.3.5")};

    CHECK_EQUAL(selectors_canonicalise(any, 2), 1);
}

TEST(opaque_ports_join_nothing)
{
    struct selector list[] = {make("10.0.0.1", "10.0.0.1", 6, 65535, 0),
                              make("10.0.0.1", "10.0.0.1", 6, 1, 65535)};

    CHECK_EQUAL(selectors_canonicalise(list, 2), 2);
}

TEST(an_answer_is_within_what_was_proposed_or_it_is_refused)
{
    const struct selector proposed[] = {all_of("10.1.0.0", "10.1.255.255"),
                                        all_of("10.2.0.0", "10.2.255.255")};
    const struct selector both[] = {all_of("10.1.255.0", "10.2.0.255")};
    const struct selector wider[] = {all_of("10.1.0.0", "10.3.0.0")};
    const struct selector other[] = {all_of("10.1.0.0", "10.1.0.255"), all_of("::", "::")};

    CHECK(selectors_are_within(proposed, 2, proposed, 2));
    CHECK(selectors_are_within(both, 1, proposed, 2));
    CHECK(!selectors_are_within(wider, 1, proposed, 2));
    CHECK(!selectors_are_within(other, 2, proposed, 2));
    CHECK(!selectors_are_within(both, 0, proposed, 2));
    CHECK(!selectors_are_within(both, 1, proposed, 0));
    CHECK(selectors_equal(proposed, 2, proposed, 2));
    CHECK(!selectors_equal(both, 1, proposed, 2));
}

/* A world of 16 addresses, 3 protocols and 4 ports; a list is a set of its points. */
#define WORLD_ADDRESSES 16
#define WORLD_PORTS 4

static bool list_has(const struct selector *list, size_t count, const struct selector *point)
{
    for (size_t i = 0; i < count; i++) {
        if (selector_contains(&list[i], point)) {
            return true;
        }
    }
    return false;
}

static struct selector random_selector(struct random_source *random)
{
    uint32_t first = random_below(random, WORLD_ADDRESSES);
    uint32_t last = first + random_below(random, WORLD_ADDRESSES - first);
    uint16_t port = (uint16_t)random_below(random, WORLD_PORTS);
    struct selector s = {
        .addresses = {address_ipv4(0x0a000000 + first), address_ipv4(0x0a000000 + last)},
        .port_last = 65535,
    };

    s.protocol = (uint8_t)(random_below(random, 2) == 0 ? 0 : 6 + 11 * random_below(random, 2));
    if (s.protocol != 0 && random_below(random, 2) == 0) {
        s.port_first = port;
        s.port_last = (uint16_t)(port + random_below(random, (uint32_t)(WORLD_PORTS - port)));
    }
    return s;
}

TEST(narrowing_is_exactly_the_intersection_of_the_sets)
{
    static const uint8_t protocols[] = {6, 17, 47};
    struct seeded_random seeded;

    seeded_random_init(&seeded, 2009);
    struct random_source random = seeded_random_source(&seeded);

    for (int round = 0; round < 1000; round++) {
        struct selector offered[6];
        struct selector policy[6];
        struct selector out[SELECTORS_MAX];
        size_t offered_count = 1 + random_below(&random, 6);
        size_t policy_count = 1 + random_below(&random, 6);
        size_t count;

        for (size_t i = 0; i < 6; i++) {
            offered[i] = random_selector(&random);
            policy[i] = random_selector(&random);
        }
        enum selectors_verdict verdict =
            selectors_narrow(offered, offered_count, policy, policy_count, out, &count);
        bool any = false;
        bool whole = true;
        bool first = true;

        for (uint32_t a = 0; a < WORLD_ADDRESSES; a++) {
            for (size_t p = 0; p < ARRAY_LENGTH(protocols); p++) {
                for (uint16_t port = 0; port < WORLD_PORTS; port++) {
                    struct address address = address_ipv4(0x0a000000 + a);
                    struct selector point = {{address, address}, protocols[p], port, port};
                    bool in_offer = list_has(offered, offered_count, &point);
                    bool in_both = in_offer && list_has(policy, policy_count, &point);

                    CHECK_EQUAL(list_has(out, count, &point), in_both);
                    any |= in_both;
                    whole &= in_both == in_offer;
                    first &= in_both || !list_has(offered, 1, &point);
                }
            }
        }
        CHECK_EQUAL(verdict != SELECTORS_NONE, any);
        /* Unions of several shapes may hide that all is there, never the reverse. */
        CHECK(verdict != SELECTORS_WHOLE || whole);
        CHECK(verdict != SELECTORS_FIRST || first);
        struct selector again[SELECTORS_MAX];

        memcpy(again, out, sizeof(again));
        CHECK_EQUAL(selectors_canonicalise(again, count), count);
        CHECK_EQUAL(memcmp(again, out, count * sizeof(*again)), 0);
    }
}

TEST(a_flood_of_selectors_is_narrowed_to_what_has_room)
{
    struct selector offered[255];
    struct selector policy[64];
    struct selector out[SELECTORS_MAX];
    size_t count;

    for (uint32_t i = 0; i < 255; i++) {
        /* Every second address, so that nothing merges. */
        struct address a = address_ipv4(0x0a000000 + 2 * i);

        offered[i] = (struct selector){{a, a}, 0, 0, 65535};
    }
    for (uint32_t i = 0; i < 64; i++) {
        policy[i] = (struct selector){{address_ipv4(0x0a000000 + 8 * i), address_ipv4(0x0affffff)},
                                      (uint8_t)(i + 1),
                                      0,
                                      65535};
    }
    CHECK_EQUAL(selectors_narrow(offered, 255, policy, 64, out, &count), SELECTORS_PART);
    CHECK_EQUAL(count, SELECTORS_MAX);
    CHECK(selectors_are_within(out, count, offered, 255));
}

TEST(pairs_are_numbered_without_mixing_families)
{
    const struct selector local[] = {all_of("10.1.0.0", "10.1.0.255"), all_of("::", "::1")};
    const struct selector remote[] = {all_of("10.2.0.0", "10.2.0.255"), all_of("::2", "::3"),
                                      all_of("10.3.0.0", "10.3.0.255")};
    struct selector l;
    struct selector r;

    CHECK(selectors_pair_at(local, 2, remote, 3, 0, &l, &r));
    CHECK(selector_equal(&l, &local[0]) && selector_equal(&r, &remote[0]));
    CHECK(selectors_pair_at(local, 2, remote, 3, 1, &l, &r));
    CHECK(selector_equal(&l, &local[0]) && selector_equal(&r, &remote[2]));
    CHECK(selectors_pair_at(local, 2, remote, 3, 2, &l, &r));
    CHECK(selector_equal(&l, &local[1]) && selector_equal(&r, &remote[1]));
    CHECK(!selectors_pair_at(local, 2, remote, 3, 3, &l, &r));
}

TEST(the_packet_that_asks_stands_first)
{
    const struct selector list[] = {all_of("10.1.0.0", "10.1.0.255")};
    const struct selector packet = make("10.1.0.7", "10.1.0.7", 6, 80, 80);
    const struct selector foreign = make("10.2.0.7", "10.2.0.7", 6, 80, 80);
    struct selector out[2];

    CHECK_EQUAL(selectors_with_packet(&packet, list, 1, out), 2);
    CHECK(selector_equal(&out[0], &packet));
    CHECK(selector_equal(&out[1], &list[0]));
    CHECK_EQUAL(selectors_with_packet(&foreign, list, 1, out), 1);
    CHECK(selector_equal(&out[0], &list[0]));
}

TEST(a_list_in_words_says_how_many_had_no_room)
{
    struct selector list[20];
    char buffer[60];
    struct text text = text_over(buffer, sizeof(buffer));

    for (uint32_t i = 0; i < 20; i++) {
        struct address a = address_ipv4(0x0a010000 + (i << 16));

        list[i] = (struct selector){{a, address_ipv4(0x0a01ffff + (i << 16))}, 0, 0, 65535};
    }
    selectors_describe(list, 20, &text);
    CHECK_TEXT(buffer, "10.1.0.0/16, 10.2.0.0/16, 10.3.0.0/16, and 17 more");
    text = text_over(buffer, sizeof(buffer));
    selectors_describe(list, 2, &text);
    CHECK_TEXT(buffer, "10.1.0.0/16, 10.2.0.0/16");
}
