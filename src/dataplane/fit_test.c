/* Packets that a tunnel cannot carry whole: segment sizes, fragments, ICMP errors, path MTUs. */
#include "dataplane/testbed.h"

#include <stdlib.h>

#include "tests/support/test.h"
#include "wire/icmp.h"
#include "wire/icmpv6.h"
#include "wire/tcp.h"

static const struct tunnel plain = {
    .suite = {.encryption = ENCRYPTION_AES_GCM_16, .key_bits = 128},
    .outer_family = FAMILY_IPV4,
    .encapsulated = true,
};

static uint16_t inner_mtu(const struct gateway *g)
{
    struct sa_counters c;

    CHECK(dataplane_sa_counters(g->dp, g->spi_in, &c));
    return c.inner_mtu;
}

TEST(the_inner_mtu_is_what_the_rfcs_leave_of_the_link)
{
    /* 1500 less IP 20, UDP 8, ESP 8, IV, ICV; down to the alignment; less 2. By hand. */
    static const struct {
        struct suite suite;
        uint8_t family;
        bool encapsulated;
        uint16_t expected;
    } cases[] = {
        {{.encryption = ENCRYPTION_AES_GCM_16, .key_bits = 128}, FAMILY_IPV4, true, 1438},
        {{.encryption = ENCRYPTION_AES_GCM_16, .key_bits = 128}, FAMILY_IPV4, false, 1446},
        {{.encryption = ENCRYPTION_AES_GCM_16, .key_bits = 128}, FAMILY_IPV6, true, 1418},
        {{.encryption = ENCRYPTION_AES_CBC,
          .key_bits = 256,
          .integrity = INTEGRITY_HMAC_SHA2_256_128},
         FAMILY_IPV4,
         true,
         1422},
        {{.encryption = ENCRYPTION_AES_CBC, .key_bits = 128, .integrity = INTEGRITY_HMAC_SHA1_96},
         FAMILY_IPV4,
         false,
         1438},
        {{.encryption = ENCRYPTION_3DES, .integrity = INTEGRITY_HMAC_SHA1_96},
         FAMILY_IPV4,
         true,
         1438},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct tunnel tunnel = plain;
        struct testbed t;
        tunnel.suite = cases[i].suite;
        tunnel.outer_family = cases[i].family;
        tunnel.encapsulated = cases[i].encapsulated;
        testbed_open(&t, 1);
        CHECK(testbed_join(&t, &tunnel));
        CHECK_EQUAL(inner_mtu(&t.a), cases[i].expected);
        testbed_close(&t);
    }
}

TEST(a_path_mtu_is_learnt_when_plausible_and_forgotten_after_ten_minutes)
{
    struct testbed t;
    struct address local = {FAMILY_IPV4, {192, 0, 2, 1}};
    struct address peer = {FAMILY_IPV4, {198, 51, 100, 2}};
    struct address other = {FAMILY_IPV4, {198, 51, 100, 3}};

    testbed_open(&t, 1);
    CHECK(testbed_join(&t, &plain));
    dataplane_path_mtu(t.a.dp, &local, &other, 1000, t.now_ms);
    dataplane_path_mtu(t.a.dp, &local, &peer, 575, t.now_ms);
    dataplane_path_mtu(t.a.dp, &local, &peer, 1501, t.now_ms);
    CHECK_EQUAL(inner_mtu(&t.a), 1438);
    dataplane_path_mtu(t.a.dp, &local, &peer, 1400, t.now_ms);
    CHECK_EQUAL(inner_mtu(&t.a), 1338);
    /* No message makes it larger again. */
    dataplane_path_mtu(t.a.dp, &local, &peer, 1450, t.now_ms);
    CHECK_EQUAL(inner_mtu(&t.a), 1338);
    dataplane_path_mtu(t.a.dp, &local, &peer, 576, t.now_ms);
    CHECK_EQUAL(inner_mtu(&t.a), 514);
    /* A child that comes later knows it too. */
    CHECK(testbed_join(&t, &plain));
    CHECK_EQUAL(inner_mtu(&t.a), 514);
    t.now_ms += 10 * 60 * 1000 - 1;
    dataplane_outbound(t.a.worker, NULL, 0, t.now_ms, &t.a.out);
    dataplane_collect(t.a.dp);
    CHECK_EQUAL(inner_mtu(&t.a), 514);
    t.now_ms += 1;
    dataplane_outbound(t.a.worker, NULL, 0, t.now_ms, &t.a.out);
    dataplane_collect(t.a.dp);
    CHECK_EQUAL(inner_mtu(&t.a), 1438);
    dataplane_path_mtu(t.a.dp, &local, &peer, 1400, t.now_ms);
    CHECK_EQUAL(inner_mtu(&t.a), 1338);
    dataplane_path_mtu(t.a.dp, &local, &peer, 0, t.now_ms);
    CHECK_EQUAL(inner_mtu(&t.a), 1438);
    dataplane_set_link_mtu(t.a.dp, 9000);
    CHECK_EQUAL(inner_mtu(&t.a), 8938);
    testbed_close(&t);
}

TEST(more_paths_than_there_is_room_for_replace_the_oldest)
{
    struct testbed t;
    struct address local = {FAMILY_IPV4, {192, 0, 2, 1}};
    struct address peer = {FAMILY_IPV4, {198, 51, 100, 2}};

    testbed_open(&t, 1);
    CHECK(testbed_join(&t, &plain));
    dataplane_path_mtu(t.a.dp, &local, &peer, 1400, 1);
    for (uint32_t i = 0; i < 3000; i++) {
        struct address other = address_ipv4(UINT32_C(0x50000000) + i);
        dataplane_path_mtu(t.a.dp, &local, &other, 1300, 2 + i);
    }
    CHECK_EQUAL(t.a.dp->path_mtu_count, PATH_MTUS_MAX);
    testbed_close(&t);
}

/* A SYN with these options; its checksum is right. */
static uint32_t make_syn(struct packet *p, uint8_t family, bool from_a, uint8_t flags,
                         struct slice options)
{
    struct writer w = writer_over(packet_data(p), 256);
    struct address a = {family, {0}};
    struct address b = {family, {0}};
    struct tcp_head head = {.source = 40000,
                            .destination = 80,
                            .sequence = 77,
                            .flags = flags,
                            .window = 1000,
                            .options = options};
    uint16_t payload = (uint16_t)(20 + (options.length + 3) / 4 * 4);
    size_t ip_bytes = family == FAMILY_IPV4 ? 20 : 40;

    if (family == FAMILY_IPV4) {
        memcpy(a.bytes, (uint8_t[]){10, 1, 0, 5}, 4);
        memcpy(b.bytes, (uint8_t[]){10, 2, 0, 5}, 4);
    } else {
        memcpy(a.bytes, (uint8_t[]){0x20, 1, 0x0d, 0xb8, 0, 0x0a}, 6);
        memcpy(b.bytes, (uint8_t[]){0x20, 1, 0x0d, 0xb8, 0, 0x0b}, 6);
    }
    const struct address *from = from_a ? &a : &b;
    const struct address *to = from_a ? &b : &a;
    if (family == FAMILY_IPV4) {
        ipv4_write(&w, &(struct ipv4_fields){.source = *from,
                                             .destination = *to,
                                             .ttl = 9,
                                             .protocol = IP_PROTOCOL_TCP,
                                             .dont_fragment = true,
                                             .payload_bytes = payload});
    } else {
        ipv6_write(&w, &(struct ipv6_fields){.source = *from,
                                             .destination = *to,
                                             .hop_limit = 9,
                                             .next_header = IP_PROTOCOL_TCP,
                                             .payload_bytes = payload});
    }
    tcp_write(&w, &head);
    struct slice segment = {packet_data(p) + ip_bytes, payload};
    put_u16(packet_data(p) + ip_bytes + TCP_OFFSET_CHECKSUM, tcp_checksum(from, to, segment));
    p->length = (uint32_t)w.length;
    return (uint32_t)ip_bytes;
}

static uint16_t mss_of(const struct packet *p, uint32_t at)
{
    struct slice segment = {packet_data(p) + at, p->length - at};
    size_t mss = tcp_find_mss(segment);

    return mss == 0 ? 0 : get_u16(segment.data + mss);
}

TEST(the_mss_of_a_syn_is_clamped_in_both_directions_with_a_right_checksum)
{
    static const uint8_t even[] = {2, 4, 0x05, 0xb4};
    static const uint8_t odd[] = {1, 2, 4, 0x05, 0xb4};
    static const uint8_t small[] = {2, 4, 0x02, 0x00};
    const struct slice options[] = {SLICE_OF(even), SLICE_OF(odd), SLICE_OF(small)};

    for (int direction = 0; direction < 2; direction++) {
        for (size_t o = 0; o < ARRAY_LENGTH(options); o++) {
            for (int f = 0; f < 2; f++) {
                uint8_t family = f == 0 ? FAMILY_IPV4 : FAMILY_IPV6;
                struct testbed t;
                struct ip_head head;
                testbed_open(&t, 1);
                CHECK(testbed_join(&t, &plain));
                /* One direction clamps at a time: the sending gateway with a clamp that is off. */
                struct gateway *off = direction == 0 ? &t.b : &t.a;
                atomic_store(&sad_find(off->dp, off->spi_in)->binding->mss_clamp, 1);
                struct packet *p = dataplane_take_packet(t.a.worker);
                uint32_t at = make_syn(p, family, true, TCP_SYN, options[o]);
                dataplane_outbound(t.a.worker, &p, 1, t.now_ms, &t.a.out);
                testbed_carry(&t, &t.a, &t.b);
                CHECK_EQUAL(t.b.out.to_tun_count, 1);
                p = t.b.out.to_tun[0];
                uint16_t most = family == FAMILY_IPV4 ? 1438 - 40 : 1438 - 60;
                CHECK_EQUAL(mss_of(p, at), o == 2 ? 512 : most);
                CHECK(ip_read(packet_slice(p), &head));
                CHECK(tcp_checksum_is_right(&head.source, &head.destination,
                                            (struct slice){packet_data(p) + at, p->length - at}));
                testbed_close(&t);
            }
        }
    }
}

TEST(a_policy_may_name_the_mss_or_turn_the_clamp_off)
{
    static const uint8_t options[] = {2, 4, 0x05, 0xb4};
    static const struct {
        uint16_t clamp, inner_mtu, expected;
    } cases[] = {{0, 0, 1398}, {1, 0, 1460}, {1200, 0, 1200}, {1459, 0, 1398}, {0, 1000, 960}};

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct testbed t;
        testbed_open(&t, 1);
        CHECK(testbed_join(&t, &plain));
        struct binding *binding = sad_find(t.a.dp, t.a.spi_in)->binding;
        atomic_store(&binding->mss_clamp, cases[i].clamp);
        atomic_store(&binding->inner_mtu, cases[i].inner_mtu);
        atomic_store(&sad_find(t.b.dp, t.b.spi_in)->binding->mss_clamp, 1);
        struct packet *p = dataplane_take_packet(t.a.worker);
        uint32_t at = make_syn(p, FAMILY_IPV4, true, TCP_SYN, SLICE_OF(options));
        dataplane_outbound(t.a.worker, &p, 1, t.now_ms, &t.a.out);
        testbed_carry(&t, &t.a, &t.b);
        CHECK_EQUAL(mss_of(t.b.out.to_tun[0], at), cases[i].expected);
        testbed_close(&t);
    }
}

TEST(no_other_segment_is_touched)
{
    static const uint8_t options[] = {2, 4, 0x05, 0xb4};
    struct testbed t;

    testbed_open(&t, 1);
    CHECK(testbed_join(&t, &plain));
    struct packet *p = dataplane_take_packet(t.a.worker);
    make_syn(p, FAMILY_IPV4, true, TCP_ACK, SLICE_OF(options));
    uint8_t before[64];
    memcpy(before, packet_data(p), p->length);
    uint32_t length = p->length;
    dataplane_outbound(t.a.worker, &p, 1, t.now_ms, &t.a.out);
    testbed_carry(&t, &t.a, &t.b);
    CHECK_BYTES(packet_data(t.b.out.to_tun[0]), before, length);
    testbed_close(&t);
}

/* Puts the fragments in to_tun together; true when the result is `whole`. */
static bool reassembles(const struct gateway *g, struct slice whole, uint32_t head_bytes,
                        uint16_t mtu)
{
    static uint8_t got[65536];
    static bool have[65536];
    size_t total = whole.length - head_bytes;
    bool last_seen = false;

    memset(have, 0, sizeof(have));
    for (size_t i = 0; i < g->out.to_tun_count; i++) {
        const struct packet *p = g->out.to_tun[i];
        struct ip_head head;
        if (p->length > mtu || !ip_read(packet_slice(p), &head) ||
            head.id != get_u16(whole.data + 4) || head.total_bytes != p->length) {
            return false;
        }
        size_t bytes = p->length - head.upper_offset;
        memcpy(got + head.fragment_offset, packet_data(p) + head.upper_offset, bytes);
        for (size_t k = 0; k < bytes; k++) {
            if (have[head.fragment_offset + k]) {
                return false;
            }
            have[head.fragment_offset + k] = true;
        }
        last_seen = last_seen || (!head.more_fragments && head.fragment_offset + bytes == total);
    }
    for (size_t k = 0; k < total; k++) {
        if (!have[k]) {
            return false;
        }
    }
    return last_seen && memcmp(got, whole.data + head_bytes, total) == 0;
}

TEST(a_packet_that_may_be_cut_arrives_in_pieces_that_make_the_whole)
{
    static uint8_t whole[65536];
    static const uint16_t links[] = {576, 1000, 1500, 9000};

    for (size_t l = 0; l < ARRAY_LENGTH(links); l++) {
        struct testbed t;
        testbed_open(&t, l);
        CHECK(testbed_join(&t, &plain));
        dataplane_set_link_mtu(t.a.dp, links[l]);
        dataplane_set_link_mtu(t.b.dp, links[l]);
        uint16_t mtu = inner_mtu(&t.a);
        for (int round = 0; round < 60; round++) {
            uint32_t total = round < 20    ? mtu - 10u + (uint32_t)round
                             : round == 20 ? 65535
                                           : 100 + random_below(&t.random, 20000);
            struct packet *p = dataplane_take_packet(t.a.worker);
            testbed_fill(&t, p, true, FAMILY_IPV4, total, false);
            /* ECN aside: what the outer header says is copied inside. */
            memcpy(whole, packet_data(p), total);
            dataplane_outbound(t.a.worker, &p, 1, t.now_ms, &t.a.out);
            size_t part = (mtu - 20u) / 8 * 8;
            size_t pieces = total <= mtu ? 1 : (total - 20 + part - 1) / part;
            CHECK_EQUAL(t.a.out.to_wire_count, pieces);
            testbed_carry(&t, &t.a, &t.b);
            CHECK(reassembles(&t.b, (struct slice){whole, total}, 20, mtu));
            testbed_give(&t.b);
        }
        CHECK(testbed_doors_add_up(&t.a));
        CHECK(testbed_doors_add_up(&t.b));
        testbed_close(&t);
    }
}

TEST(fragments_are_cut_again_and_only_copied_options_go_into_later_pieces)
{
    struct testbed t;
    struct ip_head head;
    /* Record route (7, not copied), NOP, loose source route (131, copied), end. */
    static const uint8_t options[12] = {7, 3, 4, 1, 131, 7, 4, 10, 2, 0, 5, 0};
    enum { HEAD = 32, BODY = 2400 };

    testbed_open(&t, 1);
    CHECK(testbed_join(&t, &plain));
    struct packet *p = dataplane_take_packet(t.a.worker);
    uint8_t *ip = packet_data(p);
    struct writer w = writer_over(ip, 4000);
    ipv4_write(&w, &(struct ipv4_fields){.source = {FAMILY_IPV4, {10, 1, 0, 5}},
                                         .destination = {FAMILY_IPV4, {10, 2, 0, 5}},
                                         .ttl = 9,
                                         .protocol = 99,
                                         .id = 0x1234,
                                         .payload_bytes = BODY + 12});
    memcpy(ip + 20, options, sizeof(options));
    ip[0] = 0x48;
    put_u16(ip + 6, 0x2000 | 100); /* a middle piece already: at 800, more follow */
    for (size_t i = 0; i < BODY; i++) {
        ip[HEAD + i] = (uint8_t)(i * 7);
    }
    put_u16(ip + 10, 0);
    put_u16(ip + 10, checksum_finish(checksum_add(0, (struct slice){ip, HEAD})));
    p->length = HEAD + BODY;
    dataplane_outbound(t.a.worker, &p, 1, t.now_ms, &t.a.out);
    testbed_carry(&t, &t.a, &t.b);
    CHECK_EQUAL(t.b.out.to_tun_count, 2);
    uint32_t at = 800;
    for (size_t i = 0; i < 2; i++) {
        p = t.b.out.to_tun[i];
        CHECK(ip_read(packet_slice(p), &head));
        CHECK_EQUAL(head.fragment_offset, at);
        CHECK(head.more_fragments);
        CHECK_EQUAL(head.upper_offset, i == 0 ? 32 : 28);
        CHECK_EQUAL(packet_data(p)[20], i == 0 ? 7 : 131);
        CHECK_EQUAL(head.id, 0x1234);
        for (uint32_t k = head.upper_offset; k < p->length; k++) {
            CHECK_EQUAL(packet_data(p)[k], (uint8_t)((at - 800 + k - head.upper_offset) * 7));
        }
        at += p->length - head.upper_offset;
    }
    CHECK_EQUAL(at, 800 + BODY);
    testbed_close(&t);
}

TEST(the_sender_of_a_packet_that_must_not_be_cut_is_told_the_right_mtu)
{
    for (int owned = 0; owned < 2; owned++) {
        for (int f = 0; f < 2; f++) {
            uint8_t family = f == 0 ? FAMILY_IPV4 : FAMILY_IPV6;
            struct testbed t;
            struct ip_head original;
            struct ip_head head;
            struct address own = {family, {10, 1, 0, 1}};
            testbed_open(&t, 1);
            CHECK(testbed_join(&t, &plain));
            if (owned == 1) {
                dataplane_set_own_address(t.a.dp, &own);
            }
            struct packet *p = dataplane_take_packet(t.a.worker);
            testbed_fill(&t, p, true, family, 1439, true);
            CHECK(ip_read(packet_slice(p), &original));
            dataplane_outbound(t.a.worker, &p, 1, t.now_ms, &t.a.out);
            CHECK_EQUAL(t.a.out.to_wire_count, 0);
            CHECK_EQUAL(t.a.out.to_tun_count, 1);
            CHECK_EQUAL(testbed_dropped(&t.a, DROP_TOO_BIG), 1);
            p = t.a.out.to_tun[0];
            CHECK(ip_read(packet_slice(p), &head));
            CHECK(address_equal(&head.destination, &original.source));
            CHECK(address_equal(&head.source, owned == 1 ? &own : &original.destination));
            struct slice message = {packet_data(p) + head.upper_offset,
                                    p->length - head.upper_offset};
            if (family == FAMILY_IPV4) {
                struct icmp_head icmp;
                CHECK(icmp_read(message, &icmp));
                CHECK_EQUAL(icmp.type, 3);
                CHECK_EQUAL(icmp.code, 4);
                CHECK_EQUAL(icmp.rest, 1438);
            } else {
                struct icmpv6_head icmp;
                CHECK(icmpv6_read(&head.source, &head.destination, message, &icmp));
                CHECK_EQUAL(icmp.type, 2);
                CHECK_EQUAL(icmp.rest, 1438);
            }
            CHECK(testbed_doors_add_up(&t.a));
            testbed_close(&t);
        }
    }
}

TEST(icmp_errors_are_limited_and_come_back_with_time)
{
    struct testbed t;
    struct dataplane_doors doors;

    testbed_open(&t, 1);
    CHECK(testbed_join(&t, &plain));
    for (int i = 0; i < 200; i++) {
        struct packet *p = dataplane_take_packet(t.a.worker);
        testbed_fill(&t, p, true, FAMILY_IPV4, 1500, true);
        dataplane_outbound(t.a.worker, &p, 1, t.now_ms, &t.a.out);
        testbed_give(&t.a);
    }
    dataplane_get_doors(t.a.dp, &doors);
    CHECK(doors.made <= 51);
    CHECK(doors.made >= 50);
    t.now_ms += 1000;
    struct packet *p = dataplane_take_packet(t.a.worker);
    testbed_fill(&t, p, true, FAMILY_IPV4, 1500, true);
    dataplane_outbound(t.a.worker, &p, 1, t.now_ms, &t.a.out);
    CHECK_EQUAL(t.a.out.to_tun_count, 1);
    testbed_close(&t);
}

TEST(ipv6_packets_of_1280_octets_always_pass)
{
    /* RFC 8200 5. */
    struct testbed t;

    testbed_open(&t, 1);
    CHECK(testbed_join(&t, &plain));
    dataplane_set_link_mtu(t.a.dp, 1200);
    for (uint32_t total = 1100; total <= 1280; total += 60) {
        struct packet *p = dataplane_take_packet(t.a.worker);
        testbed_fill(&t, p, true, FAMILY_IPV6, total, true);
        dataplane_outbound(t.a.worker, &p, 1, t.now_ms, &t.a.out);
        CHECK_EQUAL(t.a.out.to_wire_count, 1);
        CHECK_EQUAL(t.a.out.to_wire[0]->dont_fragment, total <= inner_mtu(&t.a));
        testbed_give(&t.a);
    }
    struct packet *p = dataplane_take_packet(t.a.worker);
    testbed_fill(&t, p, true, FAMILY_IPV6, 1281, true);
    dataplane_outbound(t.a.worker, &p, 1, t.now_ms, &t.a.out);
    CHECK_EQUAL(t.a.out.to_wire_count, 0);
    CHECK_EQUAL(t.a.out.to_tun_count, 1);
    CHECK_EQUAL(get_u32(packet_data(t.a.out.to_tun[0]) + 44), 1280);
    testbed_close(&t);
}

TEST(df_and_the_traffic_class_go_outside_as_the_sa_says)
{
    for (int copy = 0; copy < 2; copy++) {
        for (int df = 0; df < 2; df++) {
            struct tunnel tunnel = plain;
            struct testbed t;
            tunnel.copy_df = copy == 1;
            tunnel.copy_dscp = copy == 1;
            testbed_open(&t, (uint64_t)(copy * 2 + df));
            CHECK(testbed_join(&t, &tunnel));
            struct packet *p = dataplane_take_packet(t.a.worker);
            testbed_fill(&t, p, true, FAMILY_IPV4, 200, df == 1);
            uint8_t tos = packet_data(p)[1];
            dataplane_outbound(t.a.worker, &p, 1, t.now_ms, &t.a.out);
            CHECK_EQUAL(p->dont_fragment, copy == 0 || df == 1);
            CHECK_EQUAL(p->tos, copy == 1 ? tos : tos & 3);
            testbed_close(&t);
        }
    }
}

TEST(congestion_marked_outside_arrives_inside_or_the_packet_does_not)
{
    for (int f = 0; f < 2; f++) {
        for (int ecn = 0; ecn < 4; ecn++) {
            struct testbed t;
            struct ip_head head;
            testbed_open(&t, 1);
            CHECK(testbed_join(&t, &plain));
            struct packet *p = dataplane_take_packet(t.a.worker);
            testbed_fill(&t, p, true, f == 0 ? FAMILY_IPV4 : FAMILY_IPV6, 200, true);
            uint8_t tos = (uint8_t)(0xb8 | ecn);
            if (f == 0) {
                ipv4_set_tos(packet_data(p), tos);
            } else {
                ipv6_set_traffic_class(packet_data(p), tos);
            }
            dataplane_outbound(t.a.worker, &p, 1, t.now_ms, &t.a.out);
            CHECK_EQUAL(p->tos, ecn);
            p->tos = 3;
            testbed_carry(&t, &t.a, &t.b);
            CHECK_EQUAL(t.b.out.to_tun_count, ecn != 0);
            CHECK_EQUAL(testbed_dropped(&t.b, DROP_ECN), ecn == 0);
            if (ecn != 0) {
                CHECK(ip_read(packet_slice(t.b.out.to_tun[0]), &head));
                CHECK_EQUAL(head.tos, 0xbb);
            }
            testbed_close(&t);
        }
    }
}

TEST(a_checksum_that_was_left_to_us_is_completed)
{
    static const uint8_t options[] = {2, 4, 0x02, 0x00};
    struct testbed t;
    struct ip_head head;

    testbed_open(&t, 1);
    CHECK(testbed_join(&t, &plain));
    struct packet *p = dataplane_take_packet(t.a.worker);
    uint32_t at = make_syn(p, FAMILY_IPV4, true, TCP_SYN, SLICE_OF(options));
    uint16_t right = get_u16(packet_data(p) + at + TCP_OFFSET_CHECKSUM);
    CHECK(ip_read(packet_slice(p), &head));
    uint32_t pseudo =
        checksum_pseudo(&head.source, &head.destination, IP_PROTOCOL_TCP, p->length - at);
    put_u16(packet_data(p) + at + TCP_OFFSET_CHECKSUM, (uint16_t)~checksum_finish(pseudo));
    p->checksum_start = (uint16_t)at;
    p->checksum_offset = TCP_OFFSET_CHECKSUM;
    dataplane_outbound(t.a.worker, &p, 1, t.now_ms, &t.a.out);
    testbed_carry(&t, &t.a, &t.b);
    p = t.b.out.to_tun[0];
    CHECK_EQUAL(p->checksum_start, 0);
    CHECK_EQUAL(get_u16(packet_data(p) + at + TCP_OFFSET_CHECKSUM), right);
    testbed_give(&t.b);
    /* A place outside the packet is refused. */
    for (uint32_t start = 1; start < 80; start++) {
        p = dataplane_take_packet(t.a.worker);
        make_syn(p, FAMILY_IPV4, true, TCP_SYN, SLICE_OF(options));
        p->checksum_start = (uint16_t)(start < 40 ? start : 65496 + start - 40);
        p->checksum_offset = (uint16_t)(start < 40 ? 43 - start : start - 40);
        dataplane_outbound(t.a.worker, &p, 1, t.now_ms, &t.a.out);
        CHECK_EQUAL(t.a.out.to_wire_count, 0);
    }
    testbed_close(&t);
}

TEST(packets_that_fall_into_many_pieces_leave_room_for_those_behind_them)
{
    struct testbed t;
    struct packet *batch[BATCH_PACKETS];

    testbed_open(&t, 1);
    CHECK(testbed_join(&t, &plain));
    dataplane_set_link_mtu(t.a.dp, 576);
    for (size_t i = 0; i < BATCH_PACKETS; i++) {
        batch[i] = dataplane_take_packet(t.a.worker);
        testbed_fill(&t, batch[i], true, FAMILY_IPV4, i < 2 ? 65535 : 100, false);
    }
    dataplane_outbound(t.a.worker, batch, BATCH_PACKETS, t.now_ms, &t.a.out);
    /* 135 pieces twice would be more than the output holds: the second is dropped. */
    CHECK_EQUAL(t.a.out.to_wire_count, 135 + 62);
    CHECK_EQUAL(testbed_dropped(&t.a, DROP_NO_BUFFER), 1);
    CHECK(testbed_doors_add_up(&t.a));
    testbed_close(&t);
}

/* RFC 4443 2.2: an error never comes from a multicast address. The group has no host that could
 * speak, so without an address of ours nothing is said. */
TEST(no_error_comes_from_a_group)
{
    struct testbed t;
    struct ip_head head;
    const uint8_t ours[16] = {0x20, 0x01, 0x0d, 0xb8, 0, 10, [15] = 1};

    testbed_open(&t, 77);
    CHECK(testbed_join(&t, &plain));
    for (int known = 0; known < 2; known++) {
        struct packet *p = dataplane_take_packet(t.a.worker);
        testbed_fill(&t, p, true, FAMILY_IPV6, 1500, true);
        memset(packet_data(p) + 24, 0, 16);
        packet_data(p)[24] = 0xff;
        packet_data(p)[25] = 0x0e;
        packet_data(p)[39] = 1;
        CHECK(ip_read(packet_slice(p), &head));
        if (known != 0) {
            struct address own = address_ipv6_bytes(ours);
            dataplane_set_own_address(t.a.dp, &own);
        }
        worker_begin(t.a.worker, t.now_ms, &t.a.out);
        fit_tell_too_big(t.a.worker, p, &head, 1400, t.now_ms);
        CHECK_EQUAL(t.a.out.to_tun_count, (size_t)known);
        testbed_give(&t.a);
        dataplane_give_packet(t.a.worker, p);
    }
    dataplane_quiet(t.a.worker);
    testbed_close(&t);
}
