/* Decides what stands before a compressed payload (RFC 3173 3.3). */
#include "wire/ipcomp.h"

bool ipcomp_read_head(struct slice packet, struct ipcomp_head *out)
{
    struct reader r = reader_over(packet);
    struct ipcomp_head head;

    head.next_header = read_u8(&r);
    read_skip(&r, 1); /* flags: reserved, zero, not looked at */
    head.cpi = read_u16(&r);
    if (!reader_ok(&r) || head.cpi == 0) {
        return false;
    }
    *out = head;
    return true;
}

void ipcomp_write_head(uint8_t at[IPCOMP_HEAD_BYTES], const struct ipcomp_head *head)
{
    at[0] = head->next_header;
    at[1] = 0;
    put_u16(at + 2, head->cpi);
}

void ipcomp_describe(struct slice packet, struct text *out)
{
    struct ipcomp_head head;

    if (!ipcomp_read_head(packet, &head)) {
        text_addf(out, "not IPComp, %zu", packet.length);
        return;
    }
    text_addf(out, "ipcomp cpi %u next %u payload %zu", head.cpi, head.next_header,
              packet.length - IPCOMP_HEAD_BYTES);
}
