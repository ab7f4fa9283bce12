/* IPComp heads of any bytes. */
#include <string.h>

#include "fuzz.h"
#include "wire/ipcomp.h"

FUZZ(ipcomp, 10000)
{
    struct slice bytes = {data, size};
    struct ipcomp_head head;
    struct ipcomp_head again;
    uint8_t written[IPCOMP_HEAD_BYTES];
    char room[80];
    struct text line = text_over(room, sizeof(room));

    ipcomp_describe(bytes, &line);
    if (ipcomp_read_head(bytes, &head)) {
        MUST(size >= IPCOMP_HEAD_BYTES);
        ipcomp_write_head(written, &head);
        MUST(ipcomp_read_head(SLICE_OF(written), &again));
        MUST(again.next_header == head.next_header && again.cpi == head.cpi);
    }
    return 0;
}
