/*
 * Payloads of any bytes as compressed ones: never more than there is room for; what is compressed
 * comes back. First byte: room in units of 256 octets.
 */
#include <stdlib.h>
#include <string.h>

#include "dataplane/ipcomp.h"
#include "fuzz.h"

#define ROOM 65536

static void check_decompression(struct ipcomp *c, struct slice compressed, size_t room)
{
    size_t length = compressed.length;
    size_t most = room > length ? room : length;
    uint8_t *payload = malloc(most + 1);

    MUST(payload != NULL);
    memcpy(payload, compressed.data, length);
    if (ipcomp_decompress(c, payload, &length, room)) {
        MUST(length <= room);
    } else {
        MUST(length == compressed.length && memcmp(payload, compressed.data, length) == 0);
    }
    free(payload);
}

static void check_compression(struct ipcomp *c, struct slice plain)
{
    struct ipcomp_pace pace = {0};
    size_t length = plain.length;
    uint8_t *payload = malloc(plain.length + 1);

    MUST(payload != NULL);
    memcpy(payload, plain.data, plain.length);
    if (ipcomp_compress(c, &pace, payload, &length)) {
        MUST(length < plain.length);
        MUST(ipcomp_decompress(c, payload, &length, plain.length));
    }
    MUST(length == plain.length && memcmp(payload, plain.data, length) == 0);
    free(payload);
}

FUZZ(deflate, 30000)
{
    static struct ipcomp *c;

    if (c == NULL) {
        c = ipcomp_new();
        MUST(c != NULL);
    }
    if (size < 2 || size >= ROOM) {
        return 0;
    }
    struct slice bytes = {data + 1, size - 1};

    check_decompression(c, bytes, (size_t)data[0] * 256);
    check_compression(c, bytes);
    return 0;
}
