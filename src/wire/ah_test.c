/* AH: its length in both families, what is refused, and what was written comes back. */
#include "wire/ah.h"

#include "tests/support/test.h"

/* 96 bits of ICV. */
static const uint8_t packet[] = {6,    4,    0, 0, 0xc0, 0xff, 0xee, 0x01, 0,    0,    0,   7,
                                 0xa0, 0xa1, 2, 3, 4,    5,    6,    7,    0xa8, 0xa9, 0xa, 0xb};

static struct slice cut(size_t length)
{
    return (struct slice){packet, length};
}

TEST(the_length_is_a_multiple_of_four_in_ipv4_and_of_eight_in_ipv6)
{
    /* RFC 4302 2.2: 96 bits need no padding in either; 128, 192 and 256 do in IPv6. */
    CHECK_EQUAL(ah_head_bytes(FAMILY_IPV4, 12), 24);
    CHECK_EQUAL(ah_head_bytes(FAMILY_IPV6, 12), 24);
    CHECK_EQUAL(ah_head_bytes(FAMILY_IPV4, 16), 28);
    CHECK_EQUAL(ah_head_bytes(FAMILY_IPV6, 16), 32);
    CHECK_EQUAL(ah_head_bytes(FAMILY_IPV4, 24), 36);
    CHECK_EQUAL(ah_head_bytes(FAMILY_IPV6, 24), 40);
    CHECK_EQUAL(ah_head_bytes(FAMILY_IPV4, 32), 44);
    CHECK_EQUAL(ah_head_bytes(FAMILY_IPV6, 32), 48);
    for (size_t icv = 1; icv <= AH_ICV_BYTES_MAX; icv++) {
        size_t four = ah_head_bytes(FAMILY_IPV4, icv);
        size_t six = ah_head_bytes(FAMILY_IPV6, icv);

        CHECK(four % 4 == 0 && four >= 12 + icv && four < 12 + icv + 4);
        CHECK(six % 8 == 0 && six >= 12 + icv && six < 12 + icv + 8 && six <= AH_HEAD_BYTES_MAX);
    }
}

TEST(a_header_is_read_field_by_field)
{
    struct ah_head head;

    CHECK(ah_read(SLICE_OF(packet), FAMILY_IPV4, &head));
    CHECK(head.next_header == 6 && head.head_bytes == 24);
    CHECK(head.spi == 0xc0ffee01 && head.sequence == 7);
    CHECK(ah_read(SLICE_OF(packet), FAMILY_IPV6, &head));
}

TEST(every_truncation_of_a_header_is_refused)
{
    struct ah_head head;

    for (size_t length = 0; length < sizeof(packet); length++) {
        CHECK(!ah_read(cut(length), FAMILY_IPV4, &head));
        CHECK(!ah_read(cut(length), FAMILY_IPV6, &head));
    }
}

TEST(every_length_is_refused_that_has_no_icv_or_does_not_fit_the_family)
{
    uint8_t bytes[1100] = {6, 0, 0, 0, 0, 0, 1, 0};
    struct ah_head head;

    for (unsigned words = 0; words <= UINT8_MAX; words++) {
        bytes[1] = (uint8_t)words;
        CHECK(ah_read(SLICE_OF(bytes), FAMILY_IPV4, &head) == (words >= 2));
        CHECK(ah_read(SLICE_OF(bytes), FAMILY_IPV6, &head) == (words >= 2 && words % 2 == 0));
    }
}

TEST(a_reserved_spi_is_refused_and_the_reserved_field_not_looked_at)
{
    uint8_t bytes[sizeof(packet)];
    struct ah_head head;

    memcpy(bytes, packet, sizeof(bytes));
    put_u16(bytes + 2, 0xffff);
    CHECK(ah_read(SLICE_OF(bytes), FAMILY_IPV4, &head));
    for (uint32_t spi = 0; spi <= 256; spi++) {
        put_u32(bytes + 4, spi);
        CHECK(ah_read(SLICE_OF(bytes), FAMILY_IPV4, &head) == (spi == 256));
    }
}

TEST(a_header_is_written_with_zeros_for_the_icv_and_reads_the_same)
{
    for (size_t icv = 1; icv <= AH_ICV_BYTES_MAX; icv++) {
        for (int family = FAMILY_IPV4; family <= FAMILY_IPV6; family += FAMILY_IPV6 - FAMILY_IPV4) {
            struct ah_head head = {.next_header = 41,
                                   .head_bytes = (uint16_t)ah_head_bytes((enum family)family, icv),
                                   .spi = 0x100 + (uint32_t)icv,
                                   .sequence = 0xfffffff0 + (uint32_t)icv};
            struct ah_head again;
            uint8_t room[AH_HEAD_BYTES_MAX + 1];

            memset(room, 0xee, sizeof(room));
            ah_write_head(room, &head);
            CHECK(ah_read((struct slice){room, head.head_bytes}, (enum family)family, &again));
            CHECK(again.next_header == head.next_header && again.head_bytes == head.head_bytes &&
                  again.spi == head.spi && again.sequence == head.sequence);
            CHECK(get_u16(room + 2) == 0 && room[head.head_bytes] == 0xee);
            for (size_t i = AH_FIXED_BYTES; i < head.head_bytes; i++) {
                CHECK(room[i] == 0);
            }
        }
    }
}

TEST(ah_is_described_in_a_line)
{
    char room[80];
    struct text line = text_over(room, sizeof(room));

    ah_describe(SLICE_OF(packet), FAMILY_IPV4, &line);
    CHECK_TEXT(room, "ah spi c0ffee01 sequence 7 next 6 icv 12");
    line = text_over(room, sizeof(room));
    ah_describe(cut(11), FAMILY_IPV4, &line);
    CHECK_TEXT(room, "not AH, 11");
}
