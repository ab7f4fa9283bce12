/* One flow has one number in both directions, with its fragments; different flows spread. */
#include "tests/support/test.h"

#include "sekishod/flow_hash.h"

#include <stdlib.h>

#define QUEUES 4
#define FLOWS 4000

struct ends {
    uint32_t source, destination;
    uint16_t source_port, destination_port;
};

static struct slice ipv4(uint8_t out[60], const struct ends *e, uint8_t protocol, uint16_t fragment,
                         uint32_t option_bytes)
{
    uint32_t head = 20 + option_bytes;

    memset(out, 0, 60);
    out[0] = (uint8_t)(0x40 | head / 4);
    put_u16(out + 6, fragment);
    out[9] = protocol;
    put_u32(out + 12, e->source);
    put_u32(out + 16, e->destination);
    put_u16(out + head, e->source_port);
    put_u16(out + head + 2, e->destination_port);
    return (struct slice){out, head + 8};
}

static struct slice ipv6(uint8_t out[60], const struct ends *e, uint8_t next_header)
{
    memset(out, 0, 60);
    out[0] = 0x60;
    out[6] = next_header;
    put_u32(out + 20, e->source);
    put_u32(out + 36, e->destination);
    put_u16(out + 40, e->source_port);
    put_u16(out + 42, e->destination_port);
    return (struct slice){out, 48};
}

static struct ends back(const struct ends *e)
{
    return (struct ends){e->destination, e->source, e->destination_port, e->source_port};
}

TEST(both_directions_of_a_flow_have_one_number)
{
    uint8_t bytes[60];

    for (uint32_t i = 0; i < FLOWS; i++) {
        struct ends e = {0x0a010000 + i * 7, 0x0a020000 + i * 13, (uint16_t)(1024 + i), 443};
        struct ends b = back(&e);

        CHECK_EQUAL(flow_hash(ipv4(bytes, &e, 6, 0x4000, 0)), flow_hash(ipv4(bytes, &b, 6, 0, 8)));
        CHECK_EQUAL(flow_hash(ipv6(bytes, &e, 17)), flow_hash(ipv6(bytes, &b, 17)));
    }
}

TEST(all_fragments_of_a_packet_have_one_number)
{
    struct ends e = {0x0a010001, 0x0a020001, 1234, 4321};
    struct ends other = {0x0a010001, 0x0a020001, 777, 999};
    uint8_t bytes[60];
    uint32_t first = flow_hash(ipv4(bytes, &e, 17, 0x2000, 0));

    /* Behind the first there is anything where ports would stand. */
    CHECK_EQUAL(first, flow_hash(ipv4(bytes, &other, 17, 0x2064, 0)));
    CHECK_EQUAL(first, flow_hash(ipv4(bytes, &other, 17, 0x00c8, 0)));
    uint32_t first6 = flow_hash(ipv6(bytes, &e, 44));
    CHECK_EQUAL(first6, flow_hash(ipv6(bytes, &other, 44)));
}

static void spread(struct slice (*make)(uint8_t *out, const struct ends *e))
{
    uint32_t counts[QUEUES] = {0};
    uint8_t bytes[60];

    for (uint32_t i = 0; i < FLOWS; i++) {
        /* Two hosts and neighbouring ports: what parallel connections look like. */
        struct ends e = {0x0a010002, 0x0a020002, (uint16_t)(40000 + i), 5201};

        counts[flow_hash(make(bytes, &e)) % QUEUES]++;
    }
    for (size_t i = 0; i < QUEUES; i++) {
        CHECK(counts[i] > FLOWS / QUEUES * 3 / 4 && counts[i] < FLOWS / QUEUES * 5 / 4);
    }
}

static struct slice tcp4(uint8_t *out, const struct ends *e)
{
    return ipv4(out, e, 6, 0x4000, 0);
}

static struct slice udp6(uint8_t *out, const struct ends *e)
{
    return ipv6(out, e, 17);
}

TEST(flows_between_two_hosts_spread)
{
    spread(tcp4);
    spread(udp6);
}

TEST(any_octets_have_a_number)
{
    struct ends e = {1, 2, 3, 4};
    uint8_t bytes[60];

    for (uint32_t first = 0; first < 256; first++) {
        for (size_t length = 0; length <= 48; length++) {
            struct slice packet = ipv4(bytes, &e, 6, 0, 0);
            /* A copy of its own, so that a tool sees what is read behind the end. */
            uint8_t *copy = malloc(length + 1);

            assert_non_null(copy);
            memcpy(copy, packet.data, length);
            if (length > 0) {
                copy[0] = (uint8_t)first;
            }
            (void)flow_hash((struct slice){copy, length});
            free(copy);
        }
    }
}
