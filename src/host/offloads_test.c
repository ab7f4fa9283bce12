/* Offloads: what is said of every mixture, and a retreat happens once. */
#include <stdio.h>
#include <string.h>

#include "host/offloads.h"
#include "tests/support/test.h"

TEST(every_mixture_of_offloads_has_its_words)
{
    static const char *const texts[16] = {
        "off",
        "TUN TSO",
        "TUN USO",
        "TUN TSO+USO",
        "UDP segmentation",
        "TUN TSO, UDP segmentation",
        "TUN USO, UDP segmentation",
        "TUN TSO+USO, UDP segmentation",
        "UDP GRO",
        "TUN TSO, UDP GRO",
        "TUN USO, UDP GRO",
        "TUN TSO+USO, UDP GRO",
        "UDP segmentation+GRO",
        "TUN TSO, UDP segmentation+GRO",
        "TUN USO, UDP segmentation+GRO",
        "TUN TSO+USO, UDP segmentation+GRO",
    };
    char text[OFFLOADS_TEXT_BYTES];

    for (unsigned mix = 0; mix < 32; mix++) {
        struct offloads offloads = {0};

        for (int part = 0; part < OFFLOAD_PARTS; part++) {
            offloads_set(&offloads, (enum offload_part)part,
                         (mix >> part & 1) != 0 ? OFFLOAD_IN_USE : OFFLOAD_ABSENT);
        }
        (void)offloads_describe(&offloads, text);
        if (mix < 16) {
            CHECK_TEXT(text, texts[mix]);
        } else if (mix == 16) {
            CHECK_TEXT(text, "ESP ring");
        } else {
            char with_ring[OFFLOADS_TEXT_BYTES];

            snprintf(with_ring, sizeof(with_ring), "%s, ESP ring", texts[mix - 16]);
            CHECK_TEXT(text, with_ring);
        }
    }
}

TEST(what_is_in_use_needs_no_reason_and_all_else_has_one)
{
    for (int part = 0; part < OFFLOAD_PARTS; part++) {
        CHECK(offload_name((enum offload_part)part)[0] != '\0');
        for (int s = OFFLOAD_UNWANTED; s <= OFFLOAD_CORRUPT; s++) {
            const char *reason = offload_reason((enum offload_part)part, (enum offload_state)s);

            CHECK((reason[0] == '\0') == (s == OFFLOAD_IN_USE));
        }
    }
}

TEST(only_what_is_in_use_is_retreated_from_and_the_first_reason_stays)
{
    struct offloads offloads = {0};

    offloads_retreat(&offloads, OFFLOAD_JOIN, OFFLOAD_CORRUPT);
    CHECK_EQUAL(offloads_get(&offloads, OFFLOAD_JOIN), OFFLOAD_UNWANTED);
    offloads_set(&offloads, OFFLOAD_JOIN, OFFLOAD_IN_USE);
    offloads_retreat(&offloads, OFFLOAD_JOIN, OFFLOAD_CORRUPT);
    offloads_retreat(&offloads, OFFLOAD_JOIN, OFFLOAD_REFUSED);
    CHECK_EQUAL(offloads_get(&offloads, OFFLOAD_JOIN), OFFLOAD_CORRUPT);
    CHECK(!offloads_uses(&offloads, OFFLOAD_JOIN));
}
