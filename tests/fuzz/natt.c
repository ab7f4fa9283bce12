/* What a datagram of port 4500 is: every one is exactly one of four things. */
#include "fuzz.h"
#include "wire/esp.h"

FUZZ(natt, 40000)
{
    struct slice inner;
    enum natt_kind kind = natt_classify((struct slice){data, size}, &inner);

    switch (kind) {
    case NATT_ESP:
        MUST(inner.data == data && inner.length == size && size >= ESP_HEAD_BYTES &&
             get_u32(data) != 0);
        break;
    case NATT_IKE:
        MUST(inner.length > 0 && inner.data == data + NATT_MARKER_BYTES &&
             inner.length + NATT_MARKER_BYTES == size);
        MUST(get_u32(data) == 0);
        break;
    case NATT_KEEPALIVE:
        MUST(size == 1 && data[0] == 0xff && inner.length == 0);
        break;
    case NATT_RUNT:
        MUST(size < ESP_HEAD_BYTES && inner.length == 0);
        break;
    }
    return 0;
}
