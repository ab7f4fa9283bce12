/* IPv6 packets cut at every size and put together again. */
#include "wire/ipv6_cut.h"

#include "tests/support/test.h"
#include "wire/ip.h"

static uint8_t room[4096];
static uint8_t together[4096];

/* `chain` between the header, which says `first`, and octets that count. */
static struct slice make(uint8_t first, struct slice chain, size_t total)
{
    memset(room, 0, sizeof(room));
    put_u32(room, 0x6ab12345);
    put_u16(room + 4, (uint16_t)(total - 40));
    room[6] = first;
    room[7] = 64;
    room[23] = 1;
    room[39] = 2;
    if (chain.length > 0) {
        memcpy(room + 40, chain.data, chain.length);
    }
    for (size_t i = 40 + chain.length; i < total; i++) {
        room[i] = (uint8_t)(i ^ i >> 8);
    }
    return (struct slice){room, total};
}

/* RFC 8200 4.5, the receiving side in its plainest form. */
static void join(const struct ipv6_cut *f, size_t mtu)
{
    size_t place = f->first.at;
    size_t end = 0;

    for (size_t number = 0; number < f->count; number++) {
        uint8_t piece[2048];
        struct writer w = writer_over(piece, sizeof(piece));
        struct ip_head head;

        ipv6_cut_write(&w, f, number);
        struct slice packet = writer_written(&w);

        CHECK(packet.length > 0 && packet.length <= mtu);
        CHECK_EQUAL(packet.length, ipv6_cut_bytes(f, number));
        CHECK(ip_read(packet, &head) && head.total_bytes == packet.length && head.is_fragment);
        CHECK(head.more_fragments == (number + 1 < f->count));
        CHECK_EQUAL(get_u32(piece + place + 4), f->first.id);
        CHECK(piece[place + 1] == 0 && (get_u16(piece + place + 2) & 6) == 0);
        CHECK_EQUAL(piece[place], f->first.next_header);
        CHECK_EQUAL(place + head.fragment_offset, number == 0 ? place : end);
        if (number == 0) {
            memcpy(together, piece, place);
            together[f->first.next_header_at] = piece[place];
        }
        end = place + head.fragment_offset + packet.length - place - 8;
        memcpy(together + place + head.fragment_offset, piece + place + 8,
               packet.length - place - 8);
    }
    put_u16(together + 4, (uint16_t)(end - 40));
    CHECK_EQUAL(end, f->packet.length);
    CHECK_BYTES(together, f->packet.data, end);
}

TEST(fragments_of_every_packet_and_mtu_make_the_packet_again)
{
    static const uint8_t hop[8] = {50, 0, 1, 4};
    struct ipv6_cut f;

    for (size_t total = 1281; total < 1400; total += 7) {
        for (size_t mtu = 80; mtu < total; mtu += 13) {
            CHECK(ipv6_cut_plan(make(50, (struct slice){NULL, 0}, total), mtu, 77, &f));
            CHECK_EQUAL(f.first.at, 40);
            join(&f, mtu);
            CHECK(ipv6_cut_plan(make(0, SLICE_OF(hop), total), mtu, 0xffffffff, &f));
            CHECK_EQUAL(f.first.at, 48);
            join(&f, mtu);
        }
    }
}

TEST(as_few_fragments_are_made_as_can_be)
{
    struct ipv6_cut f;

    /* 1280 - 48 = 1232, a multiple of eight. */
    CHECK(ipv6_cut_plan(make(50, (struct slice){NULL, 0}, 40 + 2464), 1280, 1, &f));
    CHECK(f.count == 2 && f.piece_bytes == 1232);
    CHECK(ipv6_cut_plan(make(50, (struct slice){NULL, 0}, 40 + 2465), 1287, 1, &f));
    CHECK(f.count == 3 && f.piece_bytes == 1232);
}

TEST(destination_options_for_the_last_destination_are_in_the_first_fragment_alone)
{
    static const uint8_t chain[16] = {60, 0, 1, 4, 0, 0, 0, 0, 50, 0, 1, 4, 0, 0, 0, 0};
    struct ipv6_cut f;

    CHECK(ipv6_cut_plan(make(43, SLICE_OF(chain), 1300), 1280, 1, &f));
    CHECK(f.first.at == 48 && f.first.next_header == 60 && f.first.next_header_at == 40);
    join(&f, 1280);
}

TEST(what_fits_what_is_a_fragment_and_what_leaves_no_room_is_not_cut)
{
    static const uint8_t fragment[8] = {50, 0, 0, 1};
    uint8_t options[256] = {50, 31};
    struct ipv6_cut f;
    struct slice packet = make(50, (struct slice){NULL, 0}, 1300);

    CHECK(!ipv6_cut_plan(packet, 1300, 1, &f));
    CHECK(ipv6_cut_plan(packet, 1299, 1, &f));
    CHECK(ipv6_cut_plan(packet, 56, 1, &f) && f.piece_bytes == 8);
    for (size_t mtu = 0; mtu < 56; mtu++) {
        CHECK(!ipv6_cut_plan(packet, mtu, 1, &f));
    }
    for (size_t length = 0; length < packet.length; length++) {
        CHECK(!ipv6_cut_plan((struct slice){room, length}, 100, 1, &f));
    }
    CHECK(!ipv6_cut_plan(make(44, SLICE_OF(fragment), 1304), 1280, 1, &f));
    /* All headers have to stand in the first. */
    packet = make(60, SLICE_OF(options), 1300);
    CHECK(!ipv6_cut_plan(packet, 40 + 8 + 256 + 7, 1, &f));
    CHECK(ipv6_cut_plan(packet, 40 + 8 + 256 + 8, 1, &f));
    packet = make(50, (struct slice){NULL, 0}, 1300);
    room[0] = 0x45;
    CHECK(!ipv6_cut_plan(packet, 1280, 1, &f));
}

TEST(without_room_for_a_fragment_the_writer_fails)
{
    struct ipv6_cut f;
    uint8_t piece[1300];

    CHECK(ipv6_cut_plan(make(50, (struct slice){NULL, 0}, 1400), 1280, 1, &f));
    for (size_t capacity = 0; capacity <= 1280; capacity++) {
        struct writer w = writer_over(piece, capacity);

        ipv6_cut_write(&w, &f, 0);
        CHECK(writer_ok(&w) == (capacity == 1280));
    }
}
