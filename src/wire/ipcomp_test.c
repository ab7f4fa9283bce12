/* IPComp heads: read, refused, written. */
#include "wire/ipcomp.h"

#include "tests/support/test.h"

static const uint8_t packet[] = {6, 0, 0x12, 0x34, 0xab, 0xcd};

TEST(a_head_is_read_and_its_flags_not_looked_at)
{
    uint8_t bytes[sizeof(packet)];
    struct ipcomp_head head;

    memcpy(bytes, packet, sizeof(bytes));
    for (unsigned flags = 0; flags <= UINT8_MAX; flags++) {
        bytes[1] = (uint8_t)flags;
        CHECK(ipcomp_read_head(SLICE_OF(bytes), &head));
        CHECK(head.next_header == 6 && head.cpi == 0x1234);
    }
}

TEST(every_truncation_of_an_ipcomp_head_is_refused)
{
    struct ipcomp_head head;

    for (size_t length = 0; length < IPCOMP_HEAD_BYTES; length++) {
        CHECK(!ipcomp_read_head((struct slice){packet, length}, &head));
    }
    CHECK(ipcomp_read_head((struct slice){packet, IPCOMP_HEAD_BYTES}, &head));
}

TEST(every_head_but_that_without_cpi_comes_back)
{
    for (uint32_t cpi = 0; cpi <= UINT16_MAX; cpi++) {
        struct ipcomp_head head = {.next_header = (uint8_t)(cpi * 3), .cpi = (uint16_t)cpi};
        struct ipcomp_head again;
        uint8_t at[IPCOMP_HEAD_BYTES] = {0xff, 0xff, 0xff, 0xff};

        ipcomp_write_head(at, &head);
        CHECK(at[1] == 0);
        CHECK(ipcomp_read_head(SLICE_OF(at), &again) == (cpi != 0));
        CHECK(cpi == 0 || (again.next_header == head.next_header && again.cpi == head.cpi));
    }
}

TEST(ipcomp_is_described_in_a_line)
{
    char room[60];
    struct text line = text_over(room, sizeof(room));

    ipcomp_describe(SLICE_OF(packet), &line);
    CHECK_TEXT(room, "ipcomp cpi 4660 next 6 payload 2");
    line = text_over(room, sizeof(room));
    ipcomp_describe((struct slice){packet, 3}, &line);
    CHECK_TEXT(room, "not IPComp, 3");
}
