/* SPIs, the life of SAs, what is refused, what is told, and where an SA ends. */
#include "dataplane/testbed.h"

#include <stdlib.h>

#include "tests/support/test.h"

static const struct tunnel plain = {
    .suite = {.encryption = ENCRYPTION_AES_GCM_16, .key_bits = 128},
    .outer_family = FAMILY_IPV4,
    .encapsulated = true,
};

/* One packet from A to B; true when it arrives. */
static bool one_arrives(struct testbed *t, uint32_t total)
{
    struct packet *p = dataplane_take_packet(t->a.worker);

    testbed_fill(t, p, true, FAMILY_IPV4, total, true);
    dataplane_outbound(t->a.worker, &p, 1, t->now_ms, &t->a.out);
    testbed_carry(t, &t->a, &t->b);
    bool arrived = t->b.out.to_tun_count == 1;
    testbed_give(&t->b);
    return arrived;
}

TEST(every_spi_is_unique_and_above_255_and_all_can_be_taken)
{
    struct seeded_random seeded;
    seeded_random_init(&seeded, 1);
    struct random_source random = seeded_random_source(&seeded);
    struct dataplane_settings settings = {.sa_max = 300, .random = &random};
    struct dataplane *dp = dataplane_new(&settings);
    uint32_t spis[300];
    uint32_t again[300];

    for (size_t i = 0; i < 300; i++) {
        spis[i] = dataplane_reserve_spi(dp);
        CHECK(spis[i] > 255);
        for (size_t k = 0; k < i; k++) {
            CHECK(spis[k] != spis[i]);
        }
    }
    CHECK_EQUAL(dataplane_reserve_spi(dp), 0);
    /* Given back, every place comes again under another SPI. */
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < 300; i++) {
            dataplane_release_spi(dp, spis[i]);
            dataplane_release_spi(dp, spis[i]);
        }
        for (size_t i = 0; i < 300; i++) {
            again[i] = dataplane_reserve_spi(dp);
            CHECK(again[i] > 255);
            CHECK(again[i] != spis[i]);
        }
        CHECK_EQUAL(dataplane_reserve_spi(dp), 0);
        memcpy(spis, again, sizeof(spis));
    }
    dataplane_free(dp);
}

TEST(a_generation_wraps_without_ever_making_a_reserved_spi)
{
    struct seeded_random seeded;
    seeded_random_init(&seeded, 1);
    struct random_source random = seeded_random_source(&seeded);
    struct dataplane_settings settings = {.sa_max = 1 << 24, .random = &random};
    struct dataplane *dp = dataplane_new(&settings);

    /* Of 2^24 places 8 bits of generation are left: all of them, twice. */
    dp->fresh = dp->sa_max - 1;
    for (int i = 0; i < 600; i++) {
        uint32_t spi = dataplane_reserve_spi(dp);
        CHECK(spi > 255);
        CHECK(spi >> 24 != 0);
        dataplane_release_spi(dp, spi);
        dp->fresh = dp->sa_max;
    }
    dataplane_free(dp);
}

TEST(an_spi_can_be_named_from_outside_once)
{
    struct testbed t;

    testbed_open(&t, 1);
    CHECK(sad_reserve_exact(t.a.dp, 0xdead0205));
    CHECK(!sad_reserve_exact(t.a.dp, 0xdead0205));
    CHECK(!sad_reserve_exact(t.a.dp, 200));
    CHECK(sad_reserve_exact(t.a.dp, 0xdead0003));
    uint32_t count = 2;
    while (dataplane_reserve_spi(t.a.dp) != 0) {
        count++;
    }
    CHECK_EQUAL(count, 1024);
    testbed_close(&t);
}

TEST(what_cannot_work_is_not_installed)
{
    struct testbed t;
    struct child_sa good;
    struct child_sa bad;
    uint8_t key[64] = {0};

    testbed_open(&t, 1);
    testbed_child(&plain, true, &good);
    good.spi_in = dataplane_reserve_spi(t.a.dp);
    good.spi_out = 1000;
    good.key_in = good.key_out = (struct slice){key, 20};
    bad = good;
    bad.spi_in ^= 0x10000000;
    CHECK(!dataplane_install(t.a.dp, &bad));
    bad = good;
    bad.spi_out = 255;
    CHECK(!dataplane_install(t.a.dp, &bad));
    bad = good;
    bad.key_out.length = 19;
    CHECK(!dataplane_install(t.a.dp, &bad));
    bad = good;
    bad.key_in.length = 21;
    CHECK(!dataplane_install(t.a.dp, &bad));
    bad = good;
    bad.local_count = 0;
    CHECK(!dataplane_install(t.a.dp, &bad));
    bad = good;
    bad.remote_count = 0;
    CHECK(!dataplane_install(t.a.dp, &bad));
    bad = good;
    bad.replay_window = REPLAY_WINDOW_MAX + 1;
    CHECK(!dataplane_install(t.a.dp, &bad));
    bad = good;
    bad.local.address.family = FAMILY_IPV6;
    CHECK(!dataplane_install(t.a.dp, &bad));
    /* RFC 8221: encryption without integrity. */
    bad = good;
    bad.suite = (struct suite){.encryption = ENCRYPTION_AES_CBC, .key_bits = 128};
    bad.key_in = bad.key_out = (struct slice){key, 16};
    CHECK(!dataplane_install(t.a.dp, &bad));
    CHECK_EQUAL(t.a.dp->sa_count, 0);
    CHECK(dataplane_install(t.a.dp, &good));
    CHECK(!dataplane_install(t.a.dp, &good));
    testbed_close(&t);
}

TEST(traffic_without_an_sa_is_dropped_and_asked_for_once_a_second)
{
    struct testbed t;
    struct dataplane_note note;

    testbed_open(&t, 1);
    CHECK(!one_arrives(&t, 100));
    CHECK(!one_arrives(&t, 100));
    CHECK(testbed_note(&t.a, NOTE_ACQUIRE, &note));
    CHECK_EQUAL(note.policy_id, 1);
    CHECK(!testbed_note(&t.a, NOTE_ACQUIRE, NULL));
    t.now_ms += 999;
    CHECK(!one_arrives(&t, 100));
    CHECK(!testbed_note(&t.a, NOTE_ACQUIRE, NULL));
    t.now_ms += 1;
    CHECK(!one_arrives(&t, 100));
    CHECK(testbed_note(&t.a, NOTE_ACQUIRE, NULL));
    CHECK_EQUAL(testbed_dropped(&t.a, DROP_NO_SA), 4);
    testbed_close(&t);
}

/* RFC 4301 4.4.1.1: populate from packet. From 10.1.0.1 to 10.2.0.HOST, protocol 17. */
static void send_udp(struct testbed *t, uint8_t host, uint16_t port)
{
    uint8_t packet[28];
    struct writer w = writer_over(packet, sizeof(packet));
    struct ipv4_fields fields = {.source = {FAMILY_IPV4, {10, 1, 0, 1}},
                                 .destination = {FAMILY_IPV4, {10, 2, 0, host}},
                                 .ttl = 64,
                                 .protocol = IP_PROTOCOL_UDP,
                                 .payload_bytes = 8};

    ipv4_write(&w, &fields);
    write_u16(&w, port);
    write_u16(&w, 53);
    write_u16(&w, 8);
    write_u16(&w, 0);
    CHECK(testbed_outbound(t, &t->a, writer_written(&w)));
}

static void populate(struct testbed *t, enum policy_populates populates)
{
    static const struct selector any = {
        {{FAMILY_IPV4, {0}}, {FAMILY_IPV4, {255, 255, 255, 255}}}, 0, 0, UINT16_MAX};
    struct policy policy = {.id = 1,
                            .verdict = POLICY_PROTECT,
                            .local = &any,
                            .local_count = 1,
                            .remote = &any,
                            .remote_count = 1,
                            .populates = (uint8_t)populates};

    testbed_open(t, 1);
    CHECK(dataplane_set_policies(t->a.dp, &policy, 1));
}

TEST(a_policy_that_populates_from_packets_says_which_packet_wants_an_sa)
{
    struct testbed t;
    struct dataplane_note note;

    populate(&t, POPULATES_HOST);
    for (uint8_t host = 1; host <= 20; host++) {
        send_udp(&t, host, 1000);
        /* A few in a second. */
        CHECK_EQUAL(testbed_note(&t.a, NOTE_ACQUIRE, &note), host <= 16);
        if (host <= 16) {
            CHECK(note.has_packet);
            CHECK_EQUAL(note.packet_local.addresses.last.bytes[3], 1);
            CHECK_EQUAL(note.packet_remote.addresses.first.bytes[3], host);
            CHECK(address_equal(&note.packet_remote.addresses.first,
                                &note.packet_remote.addresses.last));
            CHECK_EQUAL(note.packet_remote.protocol, 0);
            CHECK_EQUAL(note.packet_remote.port_first, 0);
            CHECK_EQUAL(note.packet_remote.port_last, UINT16_MAX);
        }
    }
    t.now_ms += 1000;
    send_udp(&t, 20, 1000);
    CHECK(testbed_note(&t.a, NOTE_ACQUIRE, &note));
    testbed_close(&t);
}

TEST(for_connections_the_packet_has_its_protocol_and_ports)
{
    struct testbed t;
    struct dataplane_note note;

    populate(&t, POPULATES_CONNECTION);
    send_udp(&t, 7, 1234);
    CHECK(testbed_note(&t.a, NOTE_ACQUIRE, &note));
    CHECK_EQUAL(note.packet_local.protocol, IP_PROTOCOL_UDP);
    CHECK_EQUAL(note.packet_local.port_first, 1234);
    CHECK_EQUAL(note.packet_local.port_last, 1234);
    CHECK_EQUAL(note.packet_remote.port_first, 53);
    CHECK_EQUAL(note.packet_remote.port_last, 53);
    testbed_close(&t);
}

TEST(the_chatter_of_every_link_asks_for_no_tunnel)
{
    static const struct selector any = {
        {{FAMILY_IPV6, {0}},
         {FAMILY_IPV6,
          {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}}},
        0,
        0,
        UINT16_MAX};
    static const struct policy policy = {.id = 1,
                                         .verdict = POLICY_PROTECT,
                                         .local = &any,
                                         .local_count = 1,
                                         .remote = &any,
                                         .remote_count = 1};
    static const uint8_t hosts[][2][2] = {
        {{0xfe, 0x80}, {0xff, 0x02}}, {{0x20, 0x01}, {0xfe, 0x80}}, {{0x20, 0x01}, {0x20, 0x02}}};
    struct testbed t;

    testbed_open(&t, 1);
    CHECK(dataplane_set_policies(t.a.dp, &policy, 1));
    for (size_t i = 0; i < ARRAY_LENGTH(hosts); i++) {
        uint8_t packet[48];
        struct writer w = writer_over(packet, sizeof(packet));
        struct ipv6_fields fields = {.source = {FAMILY_IPV6, {hosts[i][0][0], hosts[i][0][1]}},
                                     .destination = {FAMILY_IPV6, {hosts[i][1][0], hosts[i][1][1]}},
                                     .hop_limit = 255,
                                     .next_header = 99,
                                     .payload_bytes = 8};
        ipv6_write(&w, &fields);
        write_zeros(&w, 8);
        CHECK(testbed_outbound(&t, &t.a, writer_written(&w)));
        CHECK_EQUAL(testbed_note(&t.a, NOTE_ACQUIRE, NULL), i == 2);
    }
    CHECK_EQUAL(testbed_dropped(&t.a, DROP_NO_SA), 3);
    testbed_close(&t);
}

TEST(the_newest_used_sa_carries_until_it_is_stopped_then_the_one_before)
{
    struct testbed t;
    uint32_t spi_a[3];
    uint32_t spi_b[3];
    struct sa_counters c;

    testbed_open(&t, 1);
    for (size_t i = 0; i < 3; i++) {
        CHECK(testbed_join(&t, &plain));
        spi_a[i] = t.a.spi_in;
        spi_b[i] = t.b.spi_in;
        CHECK(one_arrives(&t, 100));
        CHECK(dataplane_sa_counters(t.a.dp, spi_a[i], &c));
        CHECK_EQUAL(c.out_packets, 1);
        CHECK_EQUAL(c.out_bytes, 100);
        CHECK(dataplane_sa_counters(t.b.dp, spi_b[i], &c));
        CHECK_EQUAL(c.in_packets, 1);
        CHECK_EQUAL(c.in_bytes, 100);
    }
    dataplane_use(t.a.dp, spi_a[0]);
    CHECK(one_arrives(&t, 100));
    CHECK(dataplane_sa_counters(t.a.dp, spi_a[0], &c));
    CHECK_EQUAL(c.out_packets, 2);
    for (int i = 0; i < 3; i++) {
        dataplane_use(t.a.dp, spi_a[0]);
    }
    CHECK_EQUAL(atomic_load(&sad_find(t.a.dp, spi_a[0])->binding->list)->count, 3);
    dataplane_stop(t.a.dp, spi_a[0]);
    CHECK(one_arrives(&t, 100));
    CHECK(dataplane_sa_counters(t.a.dp, spi_a[2], &c));
    CHECK_EQUAL(c.out_packets, 2);
    dataplane_remove(t.a.dp, spi_a[2]);
    dataplane_remove(t.a.dp, spi_a[2]);
    CHECK(!dataplane_sa_counters(t.a.dp, spi_a[2], &c));
    CHECK(one_arrives(&t, 100));
    CHECK(dataplane_sa_counters(t.a.dp, spi_a[1], &c));
    CHECK_EQUAL(c.out_packets, 2);
    dataplane_remove(t.a.dp, spi_a[1]);
    CHECK(!one_arrives(&t, 100));
    dataplane_remove(t.a.dp, spi_a[0]);
    dataplane_collect(t.a.dp);
    testbed_close(&t);
}

TEST(what_is_removed_is_freed_only_when_the_worker_was_quiet)
{
    struct testbed t;

    testbed_open(&t, 1);
    dataplane_quiet(t.a.worker);
    dataplane_collect(t.a.dp);
    CHECK_EQUAL(t.a.dp->publish.waiting, 0);
    size_t empty = dataplane_memory_bytes(t.a.dp);
    CHECK(testbed_join(&t, &plain));
    CHECK(dataplane_memory_bytes(t.a.dp) > empty);
    CHECK(one_arrives(&t, 100));
    dataplane_remove(t.a.dp, t.a.spi_in);
    dataplane_collect(t.a.dp);
    CHECK(t.a.dp->publish.waiting > 0);
    dataplane_quiet(t.a.worker);
    dataplane_collect(t.a.dp);
    CHECK_EQUAL(t.a.dp->publish.waiting, 0);
    CHECK_EQUAL(dataplane_memory_bytes(t.a.dp), empty);
    testbed_close(&t);
}

TEST(policies_are_replaced_without_disturbing_the_sas_of_those_that_stay)
{
    struct testbed t;
    struct selector any = {{{FAMILY_IPV4, {0}}, {FAMILY_IPV4, {255, 255, 255, 255}}}, 0, 0, 65535};
    struct policy list[2] = {
        {.id = 9,
         .verdict = POLICY_DISCARD,
         .local = &any,
         .local_count = 1,
         .remote = &any,
         .remote_count = 1},
        {.id = 1, .local = &any, .local_count = 1, .remote = &any, .remote_count = 1},
    };

    testbed_open(&t, 1);
    CHECK(testbed_join(&t, &plain));
    CHECK(dataplane_set_policies(t.a.dp, list + 1, 1));
    CHECK(one_arrives(&t, 100));
    CHECK(dataplane_set_policies(t.a.dp, list, 2));
    CHECK(!one_arrives(&t, 100));
    CHECK_EQUAL(testbed_dropped(&t.a, DROP_POLICY_DISCARD), 1);
    CHECK(dataplane_set_policies(t.a.dp, NULL, 0));
    CHECK(!one_arrives(&t, 100));
    CHECK_EQUAL(testbed_dropped(&t.a, DROP_NO_POLICY), 1);
    CHECK(dataplane_set_policies(t.a.dp, list + 1, 1));
    CHECK(one_arrives(&t, 100));
    /* A list that is refused leaves the one before. */
    list[0].id = 1;
    CHECK(!dataplane_set_policies(t.a.dp, list, 2));
    CHECK(one_arrives(&t, 100));
    testbed_close(&t);
}

TEST(children_of_one_policy_are_chosen_by_their_own_selectors)
{
    struct testbed t;
    struct child_sa child;
    uint8_t key[20] = {1};
    struct selector host = {
        {{FAMILY_IPV4, {10, 2, 0, 7}}, {FAMILY_IPV4, {10, 2, 0, 7}}}, 0, 0, 65535};
    struct sa_counters c;

    testbed_open(&t, 1);
    CHECK(testbed_join(&t, &plain));
    uint32_t wide = t.a.spi_in;
    testbed_child(&plain, true, &child);
    child.spi_in = dataplane_reserve_spi(t.a.dp);
    child.spi_out = 5000;
    child.key_in = child.key_out = (struct slice){key, sizeof(key)};
    child.remote_selectors = &host;
    child.remote_count = 1;
    CHECK(dataplane_install(t.a.dp, &child));
    dataplane_use(t.a.dp, child.spi_in);
    for (uint8_t last = 1; last < 20; last++) {
        struct packet *p = dataplane_take_packet(t.a.worker);
        testbed_fill(&t, p, true, FAMILY_IPV4, 100, true);
        uint8_t *ip = packet_data(p);
        uint16_t before = get_u16(ip + 18);
        ip[19] = last;
        put_u16(ip + 10, checksum_update(get_u16(ip + 10), before, get_u16(ip + 18)));
        dataplane_outbound(t.a.worker, &p, 1, t.now_ms, &t.a.out);
        CHECK_EQUAL(t.a.out.to_wire_count, 1);
        testbed_give(&t.a);
    }
    CHECK(dataplane_sa_counters(t.a.dp, wide, &c));
    CHECK_EQUAL(c.out_packets, 18);
    CHECK(dataplane_sa_counters(t.a.dp, child.spi_in, &c));
    CHECK_EQUAL(c.out_packets, 1);
    testbed_close(&t);
}

TEST(without_extended_numbers_the_sa_is_rekeyed_half_way_and_ends_before_the_wrap)
{
    struct testbed t;
    struct dataplane_note note;

    testbed_open(&t, 1);
    CHECK(testbed_join(&t, &plain));
    sad_set_sequence(t.a.dp, t.a.spi_in, (UINT64_C(1) << 31) - 1, 0);
    CHECK(one_arrives(&t, 100));
    CHECK(!testbed_note(&t.a, NOTE_SOFT_LIFETIME, NULL));
    CHECK(one_arrives(&t, 100));
    CHECK(testbed_note(&t.a, NOTE_SOFT_LIFETIME, &note));
    CHECK_EQUAL(note.spi_in, t.a.spi_in);
    sad_set_sequence(t.a.dp, t.a.spi_in, UINT32_MAX, 0);
    CHECK(one_arrives(&t, 100));
    CHECK(!one_arrives(&t, 100));
    CHECK(!one_arrives(&t, 100));
    CHECK_EQUAL(testbed_dropped(&t.a, DROP_SEQUENCE_EXHAUSTED), 2);
    CHECK(testbed_note(&t.a, NOTE_HARD_LIFETIME, &note));
    CHECK(!testbed_note(&t.a, NOTE_SOFT_LIFETIME, NULL));
    testbed_close(&t);
}

TEST(extended_numbers_go_on_across_2_to_the_32)
{
    static const struct suite suites[] = {
        {.encryption = ENCRYPTION_AES_GCM_16, .key_bits = 256, .esn = true},
        {.encryption = ENCRYPTION_AES_CBC,
         .key_bits = 128,
         .integrity = INTEGRITY_HMAC_SHA2_256_128,
         .esn = true},
    };

    for (size_t s = 0; s < ARRAY_LENGTH(suites); s++) {
        struct tunnel tunnel = plain;
        struct testbed t;
        tunnel.suite = suites[s];
        testbed_open(&t, 1);
        CHECK(testbed_join(&t, &tunnel));
        sad_set_sequence(t.a.dp, t.a.spi_in, UINT64_C(0x2fffffff0), 0);
        sad_set_sequence(t.b.dp, t.b.spi_in, 1, UINT64_C(0x2ffffffe0));
        for (int i = 0; i < 64; i++) {
            CHECK(one_arrives(&t, 100));
        }
        struct sa_counters c;
        CHECK(dataplane_sa_counters(t.a.dp, t.a.spi_in, &c));
        CHECK(c.out_sequence == UINT64_C(0x30000002f));
        testbed_close(&t);
    }
}

TEST(limits_of_octets_and_packets_are_noted_once_and_kept)
{
    struct tunnel tunnel = plain;
    struct testbed t;

    tunnel.soft_packets = 3;
    tunnel.hard_packets = 5;
    testbed_open(&t, 1);
    CHECK(testbed_join(&t, &tunnel));
    for (int i = 1; i <= 5; i++) {
        CHECK(one_arrives(&t, 100));
        CHECK_EQUAL(testbed_note(&t.a, NOTE_SOFT_LIFETIME, NULL), i == 3);
    }
    CHECK(testbed_note(&t.b, NOTE_SOFT_LIFETIME, NULL));
    CHECK(!one_arrives(&t, 100));
    CHECK_EQUAL(testbed_dropped(&t.a, DROP_LIFETIME_OVER), 1);
    CHECK(testbed_note(&t.a, NOTE_HARD_LIFETIME, NULL));
    testbed_close(&t);

    tunnel = plain;
    tunnel.soft_bytes = 1000;
    tunnel.hard_bytes = 2000;
    testbed_open(&t, 1);
    CHECK(testbed_join(&t, &tunnel));
    for (int i = 1; i <= 20; i++) {
        CHECK(one_arrives(&t, 100));
        CHECK_EQUAL(testbed_note(&t.a, NOTE_SOFT_LIFETIME, NULL), i == 10);
    }
    CHECK(!one_arrives(&t, 100));
    testbed_close(&t);
}

TEST(a_cipher_of_64_bit_blocks_is_rekeyed_at_a_gibibyte)
{
    struct tunnel tunnel = plain;
    struct testbed t;

    tunnel.suite =
        (struct suite){.encryption = ENCRYPTION_3DES, .integrity = INTEGRITY_HMAC_SHA1_96};
    testbed_open(&t, 1);
    CHECK(testbed_join(&t, &tunnel));
    struct sa *sa = sad_find(t.a.dp, t.a.spi_in);
    CHECK(sa->soft_bytes == UINT64_C(1) << 30);
    CHECK(sa->hard_bytes <= UINT64_C(1) << 33);
    testbed_close(&t);
}

TEST(the_peer_moves_only_by_its_newest_packet_and_only_when_encapsulated)
{
    for (int encapsulated = 0; encapsulated < 2; encapsulated++) {
        struct tunnel tunnel = plain;
        struct testbed t;
        struct dataplane_note note;
        uint8_t wire[3][256];
        uint32_t length[3];
        tunnel.encapsulated = encapsulated == 1;
        testbed_open(&t, 1);
        CHECK(testbed_join(&t, &tunnel));
        for (size_t i = 0; i < 3; i++) {
            struct packet *p = dataplane_take_packet(t.a.worker);
            testbed_fill(&t, p, true, FAMILY_IPV4, 100, true);
            dataplane_outbound(t.a.worker, &p, 1, t.now_ms, &t.a.out);
            length[i] = p->length;
            memcpy(wire[i], packet_data(p), p->length);
            testbed_give(&t.a);
        }
        /* 3 from home; then 1 and 2, older, from elsewhere; then a forged one. */
        struct endpoint elsewhere = {{FAMILY_IPV4, {203, 0, 113, 9}}, 40000};
        static const size_t sequence[] = {1, 0, 0, 2, 2};
        for (size_t i = 0; i < 5; i++) {
            struct packet *p = dataplane_take_packet(t.b.worker);
            memcpy(packet_data(p), wire[sequence[i]], length[sequence[i]]);
            p->length = length[sequence[i]];
            p->outer_protocol = encapsulated == 1 ? IP_PROTOCOL_UDP : IP_PROTOCOL_ESP;
            p->local = (struct endpoint){{FAMILY_IPV4, {198, 51, 100, 2}}, 4500};
            p->peer = i == 0 ? (struct endpoint){{FAMILY_IPV4, {192, 0, 2, 1}}, 4500} : elsewhere;
            if (i == 3) {
                packet_data(p)[40] ^= 1;
            }
            dataplane_inbound(t.b.worker, &p, 1, t.now_ms, &t.b.out);
            CHECK_EQUAL(t.b.out.to_tun_count, i == 0 || i == 1 || i == 4);
            testbed_give(&t.b);
            bool moved = testbed_note(&t.b, NOTE_PEER_MOVED, &note);
            CHECK_EQUAL(moved, i == 4 && encapsulated == 1);
            if (moved) {
                CHECK_EQUAL(note.spi_in, t.b.spi_in);
                CHECK(endpoint_equal(&note.peer, &elsewhere));
            }
        }
        testbed_close(&t);
    }
}

TEST(a_move_takes_all_sas_of_the_peer_and_no_others)
{
    struct testbed t;
    struct child_sa child;
    uint8_t key[20] = {1};
    struct endpoint elsewhere = {{FAMILY_IPV4, {203, 0, 113, 9}}, 40000};
    uint32_t spis[3];

    testbed_open(&t, 1);
    for (size_t i = 0; i < 3; i++) {
        testbed_child(&plain, true, &child);
        child.spi_in = spis[i] = dataplane_reserve_spi(t.a.dp);
        child.spi_out = 5000;
        child.key_in = child.key_out = (struct slice){key, sizeof(key)};
        child.peer.port = i == 2 ? 4501 : 4500;
        CHECK(dataplane_install(t.a.dp, &child));
    }
    struct endpoint local = child.local;
    dataplane_move(t.a.dp, spis[0], &local, &elsewhere);
    for (size_t i = 0; i < 3; i++) {
        const struct sa_path *path = atomic_load(&sad_find(t.a.dp, spis[i])->path);
        CHECK_EQUAL(endpoint_equal(&path->peer, &elsewhere), i < 2);
    }
    /* And back, all at once, though they are in another bucket now. */
    child.peer.port = 4500;
    dataplane_move(t.a.dp, spis[1], &local, &child.peer);
    for (size_t i = 0; i < 2; i++) {
        const struct sa_path *path = atomic_load(&sad_find(t.a.dp, spis[i])->path);
        CHECK(endpoint_equal(&path->peer, &child.peer));
    }
    testbed_close(&t);
}

TEST(one_sa_moves_alone_and_into_udp_and_out_again)
{
    struct testbed t;
    struct child_sa child;
    uint8_t key[20] = {1};
    struct endpoint elsewhere = {{FAMILY_IPV4, {203, 0, 113, 9}}, 40000};
    struct endpoint ipv6 = {{FAMILY_IPV6, {0x20, 1}}, 4500};
    struct sa_overhead native;
    struct sa_overhead in_udp;
    uint32_t spis[2];

    testbed_open(&t, 1);
    for (size_t i = 0; i < 2; i++) {
        testbed_child(&plain, true, &child);
        child.encapsulated = false;
        child.spi_in = spis[i] = dataplane_reserve_spi(t.a.dp);
        child.spi_out = 5000;
        child.key_in = child.key_out = (struct slice){key, sizeof(key)};
        CHECK(dataplane_install(t.a.dp, &child));
    }
    CHECK(dataplane_sa_overhead(t.a.dp, spis[0], &native));
    uint16_t before = atomic_load(&sad_find(t.a.dp, spis[0])->inner_mtu);

    CHECK(!dataplane_move_one(t.a.dp, spis[0], &child.local, &ipv6, true));
    CHECK(!dataplane_move_one(t.a.dp, 77, &child.local, &elsewhere, true));
    CHECK(dataplane_move_one(t.a.dp, spis[0], &child.local, &elsewhere, true));
    CHECK(dataplane_sa_overhead(t.a.dp, spis[0], &in_udp));
    CHECK_EQUAL(native.udp, 0);
    CHECK_EQUAL(in_udp.udp, 8);
    CHECK(atomic_load(&sad_find(t.a.dp, spis[0])->inner_mtu) < before);
    CHECK(endpoint_equal(&atomic_load(&sad_find(t.a.dp, spis[0])->path)->peer, &elsewhere));
    CHECK(endpoint_equal(&atomic_load(&sad_find(t.a.dp, spis[1])->path)->peer, &child.peer));
    CHECK(!atomic_load(&sad_find(t.a.dp, spis[1])->path)->encapsulated);
    CHECK(dataplane_move_one(t.a.dp, spis[0], &child.local, &child.peer, false));
    CHECK_EQUAL(atomic_load(&sad_find(t.a.dp, spis[0])->inner_mtu), before);

    /* In transport mode the header outside is the packet's own: it stays as it is. */
    testbed_child(&plain, true, &child);
    child.encapsulated = false;
    child.transport_mode = true;
    child.spi_in = dataplane_reserve_spi(t.a.dp);
    child.spi_out = 5000;
    child.key_in = child.key_out = (struct slice){key, sizeof(key)};
    CHECK(dataplane_install(t.a.dp, &child));
    CHECK(!dataplane_move_one(t.a.dp, child.spi_in, &child.local, &elsewhere, true));
    CHECK(dataplane_move_one(t.a.dp, child.spi_in, &child.local, &elsewhere, false));
    testbed_close(&t);
}

TEST(an_unknown_spi_and_the_first_packet_are_told)
{
    struct testbed t;
    struct dataplane_note note;
    static const uint8_t stranger[40] = {0xde, 0xad, 0xbe, 0xef, 0, 0, 0, 1};

    testbed_open(&t, 1);
    CHECK(testbed_join(&t, &plain));
    CHECK(one_arrives(&t, 100));
    CHECK(one_arrives(&t, 100));
    CHECK(testbed_note(&t.b, NOTE_FIRST_INBOUND, &note));
    CHECK_EQUAL(note.spi_in, t.b.spi_in);
    CHECK(!testbed_note(&t.b, NOTE_FIRST_INBOUND, NULL));
    for (int i = 0; i < 3; i++) {
        testbed_inbound(&t, &t.b, IP_PROTOCOL_ESP, 0, 0, SLICE_OF(stranger));
    }
    CHECK(testbed_note(&t.b, NOTE_UNKNOWN_SPI, &note));
    CHECK_EQUAL(note.spi_in, 0xdeadbeef);
    CHECK(!testbed_note(&t.b, NOTE_UNKNOWN_SPI, NULL));
    t.now_ms += 1000;
    testbed_inbound(&t, &t.b, IP_PROTOCOL_ESP, 0, 0, SLICE_OF(stranger));
    CHECK(testbed_note(&t.b, NOTE_UNKNOWN_SPI, NULL));
    CHECK_EQUAL(testbed_dropped(&t.b, DROP_UNKNOWN_SPI), 4);
    testbed_close(&t);
}

TEST(both_encapsulations_are_understood_at_any_time)
{
    /* RFC 7296 2.23. */
    struct testbed t;

    testbed_open(&t, 1);
    CHECK(testbed_join(&t, &plain));
    for (int i = 0; i < 2; i++) {
        struct packet *p = dataplane_take_packet(t.a.worker);
        testbed_fill(&t, p, true, FAMILY_IPV4, 100, true);
        dataplane_outbound(t.a.worker, &p, 1, t.now_ms, &t.a.out);
        testbed_inbound(&t, &t.b, i == 0 ? IP_PROTOCOL_ESP : IP_PROTOCOL_UDP, 4500, 0,
                        packet_slice(p));
        CHECK_EQUAL(t.b.out.to_tun_count, 1);
        testbed_give(&t.a);
        testbed_give(&t.b);
    }
    testbed_inbound(&t, &t.b, IP_PROTOCOL_TCP, 4500, 0, SLICE_TEXT("nothing that we know"));
    CHECK_EQUAL(testbed_dropped(&t.b, DROP_WRONG_ENCAPSULATION), 1);
    testbed_close(&t);
}

TEST(ike_goes_to_the_control_thread_without_its_marker_and_keepalives_nowhere)
{
    struct testbed t;
    uint8_t datagram[64] = {0};

    testbed_open(&t, 1);
    memset(datagram + 4, 0x11, sizeof(datagram) - 4);
    testbed_inbound(&t, &t.b, IP_PROTOCOL_UDP, 4500, 0, SLICE_OF(datagram));
    CHECK_EQUAL(t.b.out.to_control_count, 1);
    CHECK_EQUAL(t.b.out.to_control[0]->length, 60);
    CHECK_EQUAL(packet_data(t.b.out.to_control[0])[0], 0x11);
    testbed_give(&t.b);
    testbed_inbound(&t, &t.b, IP_PROTOCOL_UDP, 500, 0, SLICE_OF(datagram));
    CHECK_EQUAL(t.b.out.to_control_count, 1);
    CHECK_EQUAL(t.b.out.to_control[0]->length, 64);
    testbed_give(&t.b);
    testbed_inbound(&t, &t.b, IP_PROTOCOL_UDP, 4500, 0, SLICE_TEXT("\xff"));
    CHECK_EQUAL(testbed_dropped(&t.b, DROP_KEEPALIVE), 1);
    for (size_t length = 0; length < 28; length++) {
        testbed_inbound(&t, &t.b, IP_PROTOCOL_UDP, 500, 0, (struct slice){datagram, length});
        CHECK_EQUAL(t.b.out.to_control_count, 0);
    }
    CHECK_EQUAL(testbed_dropped(&t.b, DROP_MALFORMED_OUTER), 28);
    CHECK(testbed_doors_add_up(&t.b));
    testbed_close(&t);
}

TEST(own_addresses_and_loopback_never_come_out_of_a_tunnel_whatever_the_selectors_say)
{
    static const struct selector any = {
        {{FAMILY_IPV4, {0}}, {FAMILY_IPV4, {255, 255, 255, 255}}}, 0, 0, 65535};
    static const uint8_t sources[][4] = {
        {127, 0, 0, 1}, {10, 2, 0, 1}, {0, 0, 0, 0}, {224, 0, 0, 1}, {10, 9, 9, 9}};
    uint8_t keys[20] = {1};
    struct testbed t;
    struct child_sa child_a;
    struct child_sa child_b;
    struct address own = {FAMILY_IPV4, {10, 2, 0, 1}};
    struct policy policy = {.id = 1,
                            .verdict = POLICY_PROTECT,
                            .local = &any,
                            .local_count = 1,
                            .remote = &any,
                            .remote_count = 1};

    testbed_open(&t, 1);
    testbed_child(&plain, true, &child_a);
    testbed_child(&plain, false, &child_b);
    child_a.local_selectors = child_a.remote_selectors = &any;
    child_b.local_selectors = child_b.remote_selectors = &any;
    child_a.local_count = child_a.remote_count = child_b.local_count = child_b.remote_count = 1;
    child_a.key_in = child_a.key_out = child_b.key_in = child_b.key_out =
        (struct slice){keys, sizeof(keys)};
    child_a.spi_in = child_b.spi_out = dataplane_reserve_spi(t.a.dp);
    child_b.spi_in = child_a.spi_out = dataplane_reserve_spi(t.b.dp);
    CHECK(dataplane_install(t.a.dp, &child_a));
    CHECK(dataplane_install(t.b.dp, &child_b));
    dataplane_use(t.a.dp, child_a.spi_in);
    CHECK(dataplane_set_policies(t.a.dp, &policy, 1));
    dataplane_set_own_address(t.b.dp, &own);
    for (size_t i = 0; i < ARRAY_LENGTH(sources); i++) {
        struct packet *p = dataplane_take_packet(t.a.worker);
        struct writer w = writer_over(packet_data(p), 100);
        struct ipv4_fields fields = {.source = address_ipv4_bytes(sources[i]),
                                     .destination = {FAMILY_IPV4, {10, 2, 0, 5}},
                                     .ttl = 64,
                                     .protocol = 99,
                                     .payload_bytes = 40};
        ipv4_write(&w, &fields);
        write_zeros(&w, 40);
        p->length = 60;
        dataplane_outbound(t.a.worker, &p, 1, t.now_ms, &t.a.out);
        CHECK_EQUAL(t.a.out.to_wire_count, 1);
        testbed_carry(&t, &t.a, &t.b);
        CHECK_EQUAL(t.b.out.to_tun_count, i == 4);
        testbed_give(&t.b);
    }
    CHECK_EQUAL(testbed_dropped(&t.b, DROP_SELECTOR_MISMATCH), 4);
    testbed_close(&t);
}

TEST(an_sa_pair_is_small)
{
    struct testbed t;
    size_t before = 0;

    testbed_open(&t, 1);
    before = dataplane_memory_bytes(t.a.dp);
    CHECK(testbed_join(&t, &plain));
    CHECK(dataplane_memory_bytes(t.a.dp) - before <= 4096);
    testbed_close(&t);
}

/* What an SA like this takes beyond what it takes in any case; and all of it is given back. */
static size_t memory_of(const struct child_sa *like)
{
    static const uint8_t key[64] = {1};
    struct tunnel tunnel = {.suite = like->suite, .outer_family = FAMILY_IPV4};
    struct child_sa child;
    struct testbed t;

    testbed_open(&t, 1);
    size_t before = dataplane_memory_bytes(t.a.dp);
    size_t key_bytes =
        suite_encryption_key_bytes(&like->suite) + suite_integrity_key_bytes(&like->suite);

    testbed_child(&tunnel, true, &child);
    child.spi_in = dataplane_reserve_spi(t.a.dp);
    child.spi_out = 0x12345678;
    child.protocol = like->protocol;
    child.aggfrag = like->aggfrag;
    child.key_in = child.key_out = (struct slice){key, key_bytes};
    CHECK(key_bytes <= sizeof(key));
    CHECK(dataplane_install(t.a.dp, &child));
    size_t bytes = dataplane_memory_bytes(t.a.dp) - before;

    dataplane_remove(t.a.dp, child.spi_in);
    CHECK_EQUAL(dataplane_memory_bytes(t.a.dp), before);
    testbed_close(&t);
    return bytes;
}

TEST(keys_of_ah_and_queues_of_iptfs_are_counted)
{
    static const uint8_t key[32] = {1};
    struct child_sa esp = {.protocol = IP_PROTOCOL_ESP, .suite = plain.suite};
    struct child_sa ah = {.protocol = IP_PROTOCOL_AH,
                          .suite = {.integrity = INTEGRITY_HMAC_SHA2_256_128}};
    struct child_sa iptfs = esp;
    struct auth_key *auth = auth_key_new(ah.suite.integrity, (struct slice){key, sizeof(key)});

    CHECK(auth != NULL);
    CHECK(memory_of(&ah) >= sizeof(struct sa) + sizeof(struct sa_more) + 2 * auth_key_bytes(auth));
    auth_key_free(auth);
    iptfs.aggfrag = (struct aggfrag_settings){
        .enabled = true, .rate_bits = 1000000, .queue_bytes = 1 << 20, .reorder_window = 4};
    size_t small = memory_of(&iptfs);

    /* The queue of what goes out; and what comes in too early, with a packet that is not whole. */
    CHECK(small - memory_of(&esp) >= (1 << 20) + 5 * AGGFRAG_HELD_BYTES_MAX);
    iptfs.aggfrag.queue_bytes *= 2;
    iptfs.aggfrag.reorder_window += 2;
    CHECK(memory_of(&iptfs) - small >= (1 << 20) + 2 * AGGFRAG_HELD_BYTES_MAX);
}

TEST(an_sa_tells_when_it_sends_again)
{
    struct testbed t;
    struct dataplane_note note;

    testbed_open(&t, 1);
    t.now_ms += DATAPLANE_IDLE_MS;
    CHECK(testbed_join(&t, &plain));
    CHECK(one_arrives(&t, 100));
    CHECK(testbed_note(&t.a, NOTE_SENDS_AGAIN, &note));
    CHECK_EQUAL(note.spi_in, t.a.spi_in);
    for (unsigned i = 0; i < 5; i++) {
        t.now_ms += DATAPLANE_IDLE_MS - 1;
        CHECK(one_arrives(&t, 100));
        CHECK(!testbed_note(&t.a, NOTE_SENDS_AGAIN, NULL));
    }
    t.now_ms += DATAPLANE_IDLE_MS;
    CHECK(one_arrives(&t, 100));
    CHECK(one_arrives(&t, 100));
    CHECK(testbed_note(&t.a, NOTE_SENDS_AGAIN, &note));
    CHECK(!testbed_note(&t.a, NOTE_SENDS_AGAIN, NULL));
    testbed_close(&t);
}

TEST(what_the_caller_could_not_send_counts_as_dropped_and_no_longer_as_sent)
{
    struct testbed t;
    struct dataplane_doors doors;

    testbed_open(&t, 1);
    CHECK(testbed_join(&t, &plain));
    struct packet *p = dataplane_take_packet(t.a.worker);
    testbed_fill(&t, p, true, FAMILY_IPV4, 100, true);
    dataplane_outbound(t.a.worker, &p, 1, t.now_ms, &t.a.out);
    CHECK_EQUAL(t.a.out.to_wire_count, 1);
    dataplane_count_drop(t.a.worker, DROP_SEND_FAILED, 1);
    testbed_give(&t.a);
    dataplane_get_doors(t.a.dp, &doors);
    CHECK_EQUAL(doors.to_wire, 0);
    CHECK_EQUAL(doors.dropped[DROP_SEND_FAILED], 1);
    CHECK(testbed_doors_add_up(&t.a));
    testbed_close(&t);
}

TEST(every_packet_can_be_taken_once_and_a_worker_starts_with_all)
{
    struct testbed t;
    static struct packet *all[WORKER_PACKETS];

    testbed_open(&t, 1);
    for (size_t i = 0; i < WORKER_PACKETS; i++) {
        all[i] = dataplane_take_packet(t.a.worker);
        CHECK(all[i] != NULL);
        CHECK_EQUAL(all[i]->offset, PACKET_HEADROOM_BYTES);
        CHECK(all[i]->capacity - all[i]->offset >= 65535 + PACKET_TAILROOM_BYTES);
        memset(packet_data(all[i]), (int)i, 65535 + PACKET_TAILROOM_BYTES);
    }
    CHECK(dataplane_take_packet(t.a.worker) == NULL);
    for (size_t i = 0; i < WORKER_PACKETS; i++) {
        CHECK_EQUAL(packet_data(all[i])[0], i & 255);
        CHECK_EQUAL(packet_data(all[i])[65534], i & 255);
        dataplane_give_packet(t.a.worker, all[i]);
    }
    testbed_close(&t);
}

TEST(every_reason_has_a_name_of_its_own_and_a_sentence)
{
    for (int i = 0; i < DROP_REASON_COUNT; i++) {
        CHECK(drop_name((enum drop_reason)i) != NULL);
        CHECK(drop_sentence((enum drop_reason)i) != NULL);
        for (int k = 0; k < i; k++) {
            CHECK(strcmp(drop_name((enum drop_reason)i), drop_name((enum drop_reason)k)) != 0);
        }
    }
}
