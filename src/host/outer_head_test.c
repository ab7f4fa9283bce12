/* Headers as RFC 8200 draws them, and every room that is too small for one. */
#include "tests/support/test.h"

#include "host/outer_head.h"

#include <string.h>

#define DATA "sixteen octets.."

static uint8_t buffer[512];

static struct packet packet_of(uint8_t protocol)
{
    struct packet packet = {.buffer = buffer,
                            .capacity = sizeof(buffer),
                            .offset = PACKET_HEADROOM_BYTES,
                            .length = 16,
                            .tos = 0xb9,
                            .outer_protocol = protocol};

    memset(buffer, 0xee, sizeof(buffer));
    memcpy(packet_data(&packet), DATA, 16);
    CHECK(address_parse(slice_of_text("2001:db8::1"), &packet.peer.address));
    CHECK(address_parse(slice_of_text("2001:db8::2"), &packet.local.address));
    return packet;
}

TEST(a_header_without_extensions_is_what_was_sent)
{
    /* RFC 8200 3: version 6, class 0xb9, flow label 0, 16 octets of protocol 51, hop limit 61. */
    const uint8_t expected[40] = {
        0x6b, 0x90, 0, 0, 0,    16,   51,   61,   0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0,
        0,    0,    0, 1, 0x20, 0x01, 0x0d, 0xb8, 0,    0,    0,    0,    0, 0, 0, 0, 0, 0, 0, 2};
    struct packet packet = packet_of(51);
    struct outer_pieces pieces = {.hop_limit = 61};

    CHECK(outer_head_write(&pieces, &packet));
    CHECK(packet.outer_head_bytes == 40);
    CHECK(memcmp(packet_data(&packet) - 40, expected, 40) == 0);
    CHECK(memcmp(packet_data(&packet), DATA, 16) == 0);
    CHECK(packet_data(&packet)[-41] == 0xee);
}

TEST(extensions_stand_in_their_order)
{
    const uint8_t hop[8] = {43, 0, 1, 4}, routing[24] = {60, 2, 4, 0}, options[8] = {51, 0, 1, 4};
    struct packet packet = packet_of(51);
    struct outer_pieces pieces = {.hop_limit = 1};

    outer_head_add(&pieces, 0, (struct slice){hop, sizeof(hop)});
    outer_head_add(&pieces, 43, (struct slice){routing, sizeof(routing)});
    outer_head_add(&pieces, 60, (struct slice){options, sizeof(options)});
    CHECK(outer_head_write(&pieces, &packet));
    CHECK(packet.outer_head_bytes == 80);
    const uint8_t *head = packet_data(&packet) - 80;
    CHECK(head[0] >> 4 == 6 && head[5] == 56 && head[6] == 0);
    CHECK(memcmp(head + 40, hop, 8) == 0);
    CHECK(memcmp(head + 48, routing, 24) == 0);
    CHECK(memcmp(head + 72, options, 8) == 0);
}

TEST(a_chain_with_a_missing_or_torn_link_is_not_known)
{
    const uint8_t hop[8] = {44, 0}, torn[8] = {51, 1};
    struct packet packet = packet_of(51);
    struct outer_pieces missing = {0}, short_one = {0}, empty = {0};

    outer_head_add(&missing, 0, (struct slice){hop, sizeof(hop)});
    CHECK(outer_head_write(&missing, &packet));
    CHECK(packet.outer_head_bytes == 0);
    outer_head_add(&short_one, 0, (struct slice){torn, sizeof(torn)});
    CHECK(outer_head_write(&short_one, &packet));
    CHECK(packet.outer_head_bytes == 0);
    outer_head_add(&empty, 0, (struct slice){torn, 0});
    CHECK(outer_head_write(&empty, &packet));
    CHECK(packet.outer_head_bytes == 0);
    CHECK(buffer[PACKET_HEADROOM_BYTES - 1] == 0xee);
}

TEST(what_does_not_fit_into_the_head_room_is_refused_at_the_octet)
{
    uint8_t options[PACKET_HEADROOM_BYTES] = {51};

    for (size_t units = 1; units * 8 <= sizeof(options); units++) {
        struct packet packet = packet_of(51);
        struct outer_pieces pieces = {0};

        options[1] = (uint8_t)(units - 1);
        outer_head_add(&pieces, 60, (struct slice){options, units * 8});
        CHECK(outer_head_write(&pieces, &packet) == (units * 8 + 40 <= PACKET_HEADROOM_BYTES));
        CHECK(packet.outer_head_bytes ==
              (units * 8 + 40 <= PACKET_HEADROOM_BYTES ? units * 8 + 40 : 0));
    }
}

TEST(more_extensions_than_there_may_be_are_refused)
{
    const uint8_t options[8] = {60, 0};
    struct packet packet = packet_of(60);
    struct outer_pieces pieces = {0};

    for (size_t i = 0; i < OUTER_EXTENSIONS_MAX; i++) {
        outer_head_add(&pieces, 60, (struct slice){options, sizeof(options)});
    }
    CHECK(outer_head_write(&pieces, &packet));
    CHECK(packet.outer_head_bytes == 80);
    outer_head_add(&pieces, 60, (struct slice){options, sizeof(options)});
    CHECK(!outer_head_write(&pieces, &packet));
}
