/*
 * Clear packets of any bytes from the TUN device: every one leaves by one door; what goes on the
 * wire is opened by the other gateway, and comes out there as a packet between the networks that
 * were agreed. First byte: 1: the IPv4 checksum is made right, 2: from the other side.
 */
#include <string.h>

#include "dataplane/testbed.h"
#include "fuzz.h"
#include "wire/ip.h"

#define PACKET_BYTES_MAX 2048

static struct testbed bed;

static void set_up(void)
{
    struct tunnel tunnel = {
        .suite = {.encryption = ENCRYPTION_AES_GCM_16, .key_bits = 128},
        .outer_family = FAMILY_IPV4,
        .encapsulated = true,
        .copy_dscp = true,
        .copy_df = true,
    };
    struct address inside = address_ipv4(0x0a010001);

    testbed_open(&bed, 2);
    MUST(testbed_join(&bed, &tunnel));
    dataplane_set_own_address(bed.a.dp, &inside);
}

static void check_packets(struct packet *const *packets, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct ip_head head;

        MUST(ip_read(packet_slice(packets[i]), &head));
        MUST(head.total_bytes == packets[i]->length);
    }
}

FUZZ(dataplane_outbound, 20000)
{
    static uint8_t clear[PACKET_BYTES_MAX];
    static bool ready;

    if (size < 1 || size > sizeof(clear)) {
        return 0;
    }
    if (!ready) {
        ready = true;
        set_up();
    }
    struct gateway *from = (data[0] & 2) != 0 ? &bed.b : &bed.a;
    struct gateway *to = from == &bed.a ? &bed.b : &bed.a;
    size_t length = size - 1;

    memcpy(clear, data + 1, length);
    if ((data[0] & 1) != 0 && length >= 20 && clear[0] == 0x45) {
        put_u16(clear + 10, 0);
        put_u16(clear + 10, checksum_finish(checksum_add(0, (struct slice){clear, 20})));
    }
    bed.now_ms += 10;
    MUST(testbed_outbound(&bed, from, (struct slice){clear, length}));
    check_packets(from->out.to_tun, from->out.to_tun_count);
    MUST(from->out.to_control_count == 0);
    size_t sent = from->out.to_wire_count;

    testbed_carry(&bed, from, to);
    MUST(to->out.to_tun_count == sent);
    check_packets(to->out.to_tun, to->out.to_tun_count);
    MUST(testbed_doors_add_up(from) && testbed_doors_add_up(to));
    testbed_give(from);
    testbed_give(to);
    return 0;
}
