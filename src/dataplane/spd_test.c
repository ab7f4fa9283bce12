/* The indexed policy list beside a walk over all policies. */
#include "dataplane/spd.h"

#include <stdlib.h>

#include "base/random.h"
#include "tests/support/test.h"

#define SELECTORS_MAX 3

/* A policy with room for its selectors. */
struct made {
    struct selector local[SELECTORS_MAX];
    struct selector remote[SELECTORS_MAX];
};

/* Addresses are drawn from a small space, so that policies overlap and packets meet them. */
static struct address small_address(struct random_source *random, uint8_t family)
{
    struct address a = {.family = family};
    size_t last = address_bytes((enum family)family) - 1;

    a.bytes[0] = family == FAMILY_IPV4 ? 10 : 0x20;
    a.bytes[last - 1] = (uint8_t)random_below(random, 4);
    a.bytes[last] = (uint8_t)random_u32(random);
    return a;
}

static struct selector random_selector(struct random_source *random)
{
    uint8_t family = random_below(random, 3) == 0 ? FAMILY_IPV6 : FAMILY_IPV4;
    struct selector s = {.protocol = 0, .port_first = 0, .port_last = UINT16_MAX};
    struct address a = small_address(random, family);
    struct address b = small_address(random, family);

    switch (random_below(random, 4)) {
    case 0: /* any range */
        s.addresses.first = address_compare(&a, &b) <= 0 ? a : b;
        s.addresses.last = address_compare(&a, &b) <= 0 ? b : a;
        break;
    case 1: /* one address */
        s.addresses.first = s.addresses.last = a;
        break;
    case 2: /* everything */
        s.addresses.first = (struct address){.family = family};
        s.addresses.last = (struct address){.family = family};
        memset(s.addresses.last.bytes, 255, address_bytes((enum family)family));
        break;
    default: { /* a network of 16 */
        size_t last = address_bytes((enum family)family) - 1;
        s.addresses.first = s.addresses.last = a;
        s.addresses.first.bytes[last] &= 0xf0;
        s.addresses.last.bytes[last] |= 0x0f;
        break;
    }
    }
    if (random_below(random, 3) == 0) {
        s.protocol = random_below(random, 2) == 0 ? IP_PROTOCOL_TCP : IP_PROTOCOL_UDP;
        if (random_below(random, 2) == 0) {
            s.port_first = (uint16_t)random_below(random, 8);
            s.port_last = (uint16_t)(s.port_first + random_below(random, 8));
        } else if (random_below(random, 4) == 0) {
            s.port_first = UINT16_MAX;
            s.port_last = 0;
        }
    }
    return s;
}

/* RFC 4301 4.4.1 in the plainest words, on addresses and not on numbers. */
static bool selector_fits(const struct selector *s, const struct address *a, uint8_t protocol,
                          bool has_ports, uint16_t port)
{
    bool any_port = s->port_first == 0 && s->port_last == UINT16_MAX;

    if (!range_contains(&s->addresses, a) || (s->protocol != 0 && s->protocol != protocol)) {
        return false;
    }
    if (any_port) {
        return true;
    }
    if (selector_is_opaque(s)) {
        return !has_ports;
    }
    return has_ports && port >= s->port_first && port <= s->port_last;
}

static uint32_t walk(const struct policy *policies, size_t count, const struct ip_head *head)
{
    for (size_t i = 0; i < count; i++) {
        bool local = false;
        bool remote = false;
        for (size_t s = 0; s < policies[i].local_count; s++) {
            local = local || selector_fits(&policies[i].local[s], &head->source, head->protocol,
                                           head->has_ports, head->port_source);
        }
        for (size_t s = 0; s < policies[i].remote_count; s++) {
            remote =
                remote || selector_fits(&policies[i].remote[s], &head->destination, head->protocol,
                                        head->has_ports, head->port_destination);
        }
        if (local && remote) {
            return policies[i].id;
        }
    }
    return 0;
}

TEST(the_index_finds_what_a_walk_over_the_list_finds)
{
    enum { POLICIES = 60 };
    static struct made made[POLICIES];
    static struct policy policies[POLICIES];
    struct seeded_random seeded;
    size_t found = 0;
    size_t missed = 0;

    seeded_random_init(&seeded, 42);
    struct random_source random = seeded_random_source(&seeded);
    for (int round = 0; round < 200; round++) {
        size_t count = random_below(&random, POLICIES + 1);
        for (size_t i = 0; i < count; i++) {
            policies[i] = (struct policy){
                .id = (uint32_t)i + 1,
                .local = made[i].local,
                .local_count = 1 + random_below(&random, SELECTORS_MAX),
                .remote = made[i].remote,
                .remote_count = 1 + random_below(&random, SELECTORS_MAX),
            };
            for (size_t s = 0; s < SELECTORS_MAX; s++) {
                made[i].local[s] = random_selector(&random);
                made[i].remote[s] = random_selector(&random);
            }
        }
        struct spd *spd = spd_new(policies, count, random_u64(&random));
        CHECK(spd != NULL);
        for (int packet = 0; packet < 500; packet++) {
            static const uint8_t protocols[] = {IP_PROTOCOL_TCP, IP_PROTOCOL_UDP, IP_PROTOCOL_GRE};
            uint8_t family = random_below(&random, 2) == 0 ? FAMILY_IPV4 : FAMILY_IPV6;
            struct ip_head head = {
                .family = family,
                .protocol = protocols[random_below(&random, 3)],
                .source = small_address(&random, family),
                .destination = small_address(&random, family),
                .has_ports = random_below(&random, 4) > 0,
            };
            head.port_source = head.has_ports ? (uint16_t)random_below(&random, 16) : 0;
            head.port_destination = head.has_ports ? (uint16_t)random_below(&random, 16) : 0;
            struct match_key key = match_key_outbound(&head);
            const struct spd_policy *policy = spd_find(spd, &key);
            uint32_t expected = walk(policies, count, &head);
            CHECK_EQUAL(policy == NULL ? 0 : policy->id, expected);
            found += expected != 0;
            missed += expected == 0;
        }
        spd_free(spd);
    }
    CHECK(found > 10000);
    CHECK(missed > 1000);
}

TEST(icmp_type_and_code_are_compared_at_both_ends)
{
    struct selector any = {{{FAMILY_IPV4, {0}}, {FAMILY_IPV4, {255, 255, 255, 255}}}, 0, 0, 65535};
    struct selector echo = any;
    echo.protocol = IP_PROTOCOL_ICMP;
    echo.port_first = 8 << 8;
    echo.port_last = 8 << 8 | 255;
    struct policy policy = {
        .id = 7, .local = &echo, .local_count = 1, .remote = &echo, .remote_count = 1};
    struct spd *spd = spd_new(&policy, 1, 0);

    for (unsigned type = 0; type < 256; type++) {
        struct ip_head head = {
            .family = FAMILY_IPV4,
            .protocol = IP_PROTOCOL_ICMP,
            .source = {FAMILY_IPV4, {10, 0, 0, 1}},
            .destination = {FAMILY_IPV4, {10, 0, 0, 2}},
            .has_ports = true,
            .port_source = (uint16_t)(type << 8),
        };
        struct match_key out = match_key_outbound(&head);
        struct match_key in = match_key_inbound(&head);
        CHECK_EQUAL(spd_find(spd, &out) != NULL, type == 8);
        CHECK_EQUAL(spd_find(spd, &in) != NULL, type == 8);
    }
    spd_free(spd);
}

TEST(a_policy_without_an_id_or_selectors_or_with_a_range_of_two_families_is_refused)
{
    struct selector good = {{{FAMILY_IPV4, {10}}, {FAMILY_IPV4, {11}}}, 0, 0, 65535};
    struct selector mixed = {{{FAMILY_IPV4, {10}}, {FAMILY_IPV6, {11}}}, 0, 0, 65535};
    struct selector reversed = {{{FAMILY_IPV4, {12}}, {FAMILY_IPV4, {11}}}, 0, 0, 65535};
    struct policy policy = {
        .id = 1, .local = &good, .local_count = 1, .remote = &good, .remote_count = 1};
    struct policy bad = policy;

    struct spd *spd = spd_new(&policy, 1, 0);
    CHECK(spd != NULL);
    spd_free(spd);
    bad.id = 0;
    CHECK(spd_new(&bad, 1, 0) == NULL);
    bad = policy;
    bad.local_count = 0;
    CHECK(spd_new(&bad, 1, 0) == NULL);
    bad = policy;
    bad.remote_count = 0;
    CHECK(spd_new(&bad, 1, 0) == NULL);
    bad = policy;
    bad.remote = &mixed;
    CHECK(spd_new(&bad, 1, 0) == NULL);
    bad.remote = &reversed;
    CHECK(spd_new(&bad, 1, 0) == NULL);
}

TEST(ten_thousand_sites_are_found_without_a_walk)
{
    enum { SITES = 10000 };
    struct selector *remotes = calloc(SITES, sizeof(*remotes));
    struct policy *policies = calloc(SITES, sizeof(*policies));
    struct selector local = {{{FAMILY_IPV4, {10}}, {FAMILY_IPV4, {10, 0, 0, 255}}}, 0, 0, 65535};

    for (uint32_t i = 0; i < SITES; i++) {
        uint32_t network = UINT32_C(0x0b000000) + i * 256;
        remotes[i] = (struct selector){
            {address_ipv4(network), address_ipv4(network + 255)}, 0, 0, UINT16_MAX};
        policies[i] = (struct policy){.id = i + 1,
                                      .local = &local,
                                      .local_count = 1,
                                      .remote = &remotes[i],
                                      .remote_count = 1};
    }
    struct spd *spd = spd_new(policies, SITES, 5);
    CHECK(spd != NULL);
    for (uint32_t i = 0; i < SITES; i++) {
        struct ip_head head = {
            .family = FAMILY_IPV4,
            .source = {FAMILY_IPV4, {10, 0, 0, 9}},
            .destination = address_ipv4(UINT32_C(0x0b000000) + i * 256 + i % 256),
        };
        struct match_key key = match_key_outbound(&head);
        const struct spd_policy *policy = spd_find(spd, &key);
        CHECK(policy != NULL);
        CHECK_EQUAL(policy->id, i + 1);
    }
    spd_free(spd);
    free(policies);
    free(remotes);
}
