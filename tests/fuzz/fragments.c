/*
 * Fragments of any bytes: what comes out is a whole packet, no fragment any more, between the same
 * two hosts. The input is a list of packets, each behind its length (two octets) and how long to
 * wait before it (one octet, in units of 1/4 s). Checksums of IPv4 headers are made right.
 */
#include <stdlib.h>
#include <string.h>

#include "dataplane/reassembly.h"
#include "fuzz.h"

#define ROOM (65536 + 1024)

static struct reassembly *table;
static struct packet out;
static uint64_t now_ms;

static void set_up(void)
{
    struct seeded_random seeded;
    struct random_source random = seeded_random_source(&seeded);

    seeded_random_init(&seeded, 1);
    table = reassembly_new(&random);
    out = (struct packet){.buffer = malloc(ROOM), .capacity = ROOM, .offset = 128};
    MUST(table != NULL && out.buffer != NULL);
}

static void repair(uint8_t *packet, size_t length)
{
    size_t head_bytes = length == 0 ? 0 : (size_t)(packet[0] & 0x0f) * 4;

    if (length > 0 && packet[0] >> 4 == 4 && head_bytes >= IPV4_HEAD_BYTES &&
        head_bytes <= length) {
        put_u16(packet + 10, 0);
        put_u16(packet + 10, checksum_finish(checksum_add(0, (struct slice){packet, head_bytes})));
    }
}

static void add(struct slice fragment)
{
    struct ip_head head;
    struct ip_head whole;

    if (!ip_read(fragment, &head)) {
        return;
    }
    fragment.length = head.total_bytes;
    if (reassembly_add(table, fragment, &head, now_ms, &out) != REASSEMBLY_WHOLE) {
        return;
    }
    /* Behind a first fragment may stand what is no good header. */
    if (ip_read(packet_slice(&out), &whole) && !whole.is_fragment) {
        MUST(whole.total_bytes == out.length && whole.family == head.family);
        MUST(address_equal(&whole.source, &head.source));
        MUST(address_equal(&whole.destination, &head.destination));
    } else {
        MUST(head.family == FAMILY_IPV6);
    }
}

FUZZ(fragments, 40000)
{
    struct reader r = reader_over((struct slice){data, size});

    if (table == NULL) {
        set_up();
    }
    while (reader_left(&r) > 0) {
        size_t length = read_u16(&r);

        now_ms += (uint64_t)read_u8(&r) * 250;
        struct slice packet = read_bytes(&r, length);

        if (reader_ok(&r) && packet.length > 0) {
            uint8_t *copy = malloc(packet.length);

            MUST(copy != NULL);
            memcpy(copy, packet.data, packet.length);
            repair(copy, packet.length);
            add((struct slice){copy, packet.length});
            free(copy);
        }
    }
    /* The next input meets an empty table. */
    now_ms += REASSEMBLY_IPV6_MS;
    reassembly_expire(table, now_ms);
    return 0;
}
