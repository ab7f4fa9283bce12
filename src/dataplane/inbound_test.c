/* What comes out of a tunnel is judged by itself, whatever came before it in the batch. */
#include "tests/support/test.h"

#include "dataplane/testbed.h"

#define PACKETS 4000
#define PACKET_BYTES 200

static struct testbed batched, singly;

/* Any bytes as the contents of the next packet of a's SA. */
static struct packet *seal(struct testbed *t, uint64_t sequence, struct slice inner,
                           uint8_t next_header)
{
    struct packet *packet = dataplane_take_packet(t->a.worker);
    struct esp_work work = {
        .packet = packet, .sa = sad_find(t->a.dp, t->a.spi_in), .sequence = sequence};
    struct protect_job job;
    uint8_t iv[8];

    CHECK(packet != NULL && work.sa != NULL);
    memcpy(packet_data(packet), inner.data, inner.length);
    packet->length = (uint32_t)inner.length;
    put_u64(iv, sequence);
    CHECK(esp_write(&work, iv, next_header, &job));
    protect_seal(t->a.worker->engine, &job, 1);
    CHECK(job.ok);
    return packet;
}

/* From one of few flows between the sites, whole or damaged in one place. */
static struct slice make_inner(struct testbed *t, uint8_t *room, uint8_t *next_header)
{
    bool four = random_below(&t->random, 2) == 0;
    uint32_t head = four ? IPV4_HEAD_BYTES : IPV6_HEAD_BYTES;
    uint32_t payload = 8 + random_below(&t->random, 60);
    uint32_t total = head + payload;
    uint32_t flow = random_below(&t->random, 3);

    memset(room, 0, PACKET_BYTES);
    if (four) {
        room[0] = 0x45;
        put_u16(room + 2, (uint16_t)total);
        put_u16(room + 4, (uint16_t)random_u32(&t->random));
        room[6] = 0x40;
        put_u32(room + 12, UINT32_C(0x0a010001));
        put_u32(room + 16, UINT32_C(0x0a020001) + flow / 2);
    } else {
        room[0] = 0x60;
        put_u16(room + 4, (uint16_t)payload);
        put_u32(room + 8, UINT32_C(0x20010db8));
        put_u16(room + 12, 0x0a);
        put_u32(room + 24, UINT32_C(0x20010db8));
        put_u16(room + 28, 0x0b);
        room[39] = (uint8_t)(1 + flow / 2);
    }
    room[four ? 8 : 7] = (uint8_t)(60 + random_below(&t->random, 4));
    room[four ? 9 : 6] = random_below(&t->random, 2) == 0 ? IP_PROTOCOL_TCP : IP_PROTOCOL_UDP;
    put_u32(room + head, UINT32_C(0x03e803e9) + flow % 2);
    *next_header = four ? IP_PROTOCOL_IPV4 : IP_PROTOCOL_IPV6;
    if (random_below(&t->random, 4) == 0) {
        room[random_below(&t->random, head + 4)] ^= (uint8_t)(1u << random_below(&t->random, 8));
    }
    if (four && random_below(&t->random, 8) > 0) {
        uint32_t head_bytes = (uint32_t)(room[0] & 15) * 4;

        put_u16(room + 10, 0);
        put_u16(room + 10, checksum_finish(checksum_add(0, (struct slice){room, head_bytes})));
    }
    if (random_below(&t->random, 20) == 0) {
        *next_header = (uint8_t)random_below(&t->random, 64);
    }
    /* What stands behind the packet is padding; or it is cut off. */
    total += random_below(&t->random, 3) == 0 ? random_below(&t->random, 20) : 0;
    total -= random_below(&t->random, 10) == 0 ? random_below(&t->random, 12) : 0;
    return (struct slice){room, total};
}

static void hand_over(struct testbed *t, const struct packet *sent, uint8_t tos,
                      struct packet **out)
{
    struct packet *packet = dataplane_take_packet(t->b.worker);

    CHECK(packet != NULL);
    memcpy(packet_data(packet), packet_data(sent), sent->length);
    packet->length = sent->length;
    packet->outer_protocol = IP_PROTOCOL_UDP;
    packet->tos = tos;
    packet->local = (struct endpoint){{FAMILY_IPV4, {192, 0, 2, 2}}, 4500};
    packet->peer = (struct endpoint){{FAMILY_IPV4, {192, 0, 2, 1}}, 4500};
    *out = packet;
}

static void compare_doors(void)
{
    struct dataplane_doors a, b;
    struct sa_counters x, y;

    dataplane_get_doors(batched.b.dp, &a);
    dataplane_get_doors(singly.b.dp, &b);
    CHECK_EQUAL(a.to_tun, b.to_tun);
    for (size_t i = 0; i < DROP_REASON_COUNT; i++) {
        CHECK_EQUAL(a.dropped[i], b.dropped[i]);
    }
    /* Both happened, often. */
    CHECK(a.to_tun > PACKETS / 3 && a.to_tun < PACKETS - PACKETS / 20);
    CHECK(dataplane_sa_counters(batched.b.dp, batched.b.spi_in, &x));
    CHECK(dataplane_sa_counters(singly.b.dp, singly.b.spi_in, &y));
    CHECK_EQUAL(x.in_bytes, y.in_bytes);
    CHECK_EQUAL(x.in_packets, y.in_packets);
    CHECK_EQUAL(x.selector_mismatch, y.selector_mismatch);
}

TEST(a_packet_in_a_batch_is_judged_as_if_it_came_alone)
{
    struct tunnel tunnel = {
        .suite = {.encryption = ENCRYPTION_AES_GCM_16, .key_bits = 128},
        .outer_family = FAMILY_IPV4,
        .encapsulated = true,
    };
    uint64_t sequence = 0;

    testbed_open(&batched, 5);
    testbed_open(&singly, 5);
    CHECK(testbed_join(&batched, &tunnel) && testbed_join(&singly, &tunnel));
    while (sequence < PACKETS) {
        struct packet *batch[DATAPLANE_SEGMENTS_MAX];
        size_t count = 1 + random_below(&batched.random, DATAPLANE_SEGMENTS_MAX);
        size_t alone_count = 0;
        static struct packet *alone[DATAPLANE_SEGMENTS_MAX];

        for (size_t i = 0; i < count; i++) {
            uint8_t room[PACKET_BYTES], next_header;
            uint8_t tos = (uint8_t)random_below(&batched.random, 4);
            struct slice inner = make_inner(&batched, room, &next_header);
            struct packet *sealed = seal(&batched, ++sequence, inner, next_header);
            struct packet *one;

            hand_over(&batched, sealed, tos, &batch[i]);
            hand_over(&singly, sealed, tos, &one);
            dataplane_give_packet(batched.a.worker, sealed);
            dataplane_inbound(singly.b.worker, &one, 1, singly.now_ms, &singly.b.out);
            for (size_t k = 0; k < singly.b.out.to_tun_count; k++) {
                alone[alone_count++] = singly.b.out.to_tun[k];
            }
            singly.b.out.to_tun_count = 0;
        }
        dataplane_inbound(batched.b.worker, batch, count, batched.now_ms, &batched.b.out);
        CHECK_EQUAL(batched.b.out.to_tun_count, alone_count);
        for (size_t i = 0; i < alone_count; i++) {
            CHECK_EQUAL(batched.b.out.to_tun[i]->length, alone[i]->length);
            CHECK_EQUAL(batched.b.out.to_tun[i]->upper_offset, alone[i]->upper_offset);
            CHECK_BYTES(packet_data(batched.b.out.to_tun[i]), packet_data(alone[i]),
                        alone[i]->length);
            dataplane_give_packet(singly.b.worker, alone[i]);
        }
        testbed_give(&batched.b);
    }
    compare_doors();
    testbed_close(&batched);
    testbed_close(&singly);
}
