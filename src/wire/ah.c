/* Decides what an Authentication Header says (RFC 4302 2) and how long it has to be (2.2, 2.6). */
#include "wire/ah.h"

#include <assert.h>
#include <string.h>

/* RFC 4302 2.2: the length counts words of four octets and is two less than there are. */
#define WORD_BYTES 4
#define WORDS_NOT_COUNTED 2

static size_t alignment_of(enum family family)
{
    return family == FAMILY_IPV6 ? 8 : 4;
}

size_t ah_head_bytes(enum family family, size_t icv_bytes)
{
    size_t alignment = alignment_of(family);

    assert(icv_bytes > 0 && icv_bytes <= AH_ICV_BYTES_MAX);
    return (AH_FIXED_BYTES + icv_bytes + alignment - 1) / alignment * alignment;
}

bool ah_read(struct slice packet, enum family family, struct ah_head *out)
{
    struct reader r = reader_over(packet);
    struct ah_head head;

    head.next_header = read_u8(&r);
    head.head_bytes = (uint16_t)((read_u8(&r) + WORDS_NOT_COUNTED) * WORD_BYTES);
    read_skip(&r, 2); /* reserved: covered by the ICV and otherwise not looked at (2.3) */
    head.spi = read_u32(&r);
    head.sequence = read_u32(&r);
    if (head.head_bytes <= AH_FIXED_BYTES || head.head_bytes % alignment_of(family) != 0) {
        return false;
    }
    read_skip(&r, head.head_bytes - AH_FIXED_BYTES);
    if (!reader_ok(&r) || head.spi < AH_SPI_FIRST) {
        return false;
    }
    *out = head;
    return true;
}

void ah_write_head(uint8_t *at, const struct ah_head *head)
{
    assert(head->head_bytes > AH_FIXED_BYTES && head->head_bytes % WORD_BYTES == 0);
    assert(head->head_bytes <= AH_HEAD_BYTES_MAX);
    at[0] = head->next_header;
    at[1] = (uint8_t)(head->head_bytes / WORD_BYTES - WORDS_NOT_COUNTED);
    put_u16(at + 2, 0);
    put_u32(at + 4, head->spi);
    put_u32(at + 8, head->sequence);
    memset(at + AH_FIXED_BYTES, 0, (size_t)head->head_bytes - AH_FIXED_BYTES);
}

void ah_describe(struct slice packet, enum family family, struct text *out)
{
    struct ah_head head;

    if (!ah_read(packet, family, &head)) {
        text_addf(out, "not AH, %zu", packet.length);
        return;
    }
    text_addf(out, "ah spi %08x sequence %u next %u icv %u", (unsigned)head.spi,
              (unsigned)head.sequence, head.next_header,
              (unsigned)(head.head_bytes - AH_FIXED_BYTES));
}
