/* What is captured is read back as whole packets with their interface, direction and verdict. */
#include "sekishod/capture_file.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/test.h"
#include "wire/ip.h"
#include "wire/pcapng.h"
#include "wire/udp.h"

static struct capture_file file;
static uint8_t bytes[8 * CAPTURE_RECORD_BYTES];

static const uint8_t esp[40] = {0xc0, 0, 0, 1, 0, 0, 0, 7};

static struct tap_record outer(uint8_t protocol)
{
    return (struct tap_record){
        .at_ms = 5,
        .spi = 0xc0000001,
        .spi_in = 0xc0000009,
        .protocol = IP_PROTOCOL_ESP,
        .local = {{FAMILY_IPV4, {192, 0, 2, 1}}, 4500},
        .peer = {{FAMILY_IPV4, {198, 51, 100, 2}}, 4500},
        .outer_protocol = protocol,
        .tos = 0xb8,
        .original_bytes = sizeof(esp),
        .data = {esp, sizeof(esp)},
    };
}

static struct pcapng_reader written(const struct writer *w)
{
    CHECK(writer_ok(w));
    struct pcapng_reader r = pcapng_read_begin(writer_written(w));
    struct pcapng_block block;

    CHECK(pcapng_read_block(&r, &block) && block.kind == PCAPNG_SECTION);
    return r;
}

static void check_text(struct slice text, const char *wanted)
{
    CHECK_EQUAL(text.length, strlen(wanted));
    CHECK(memcmp(text.data, wanted, text.length) == 0);
}

TEST(esp_gets_the_header_that_the_system_writes)
{
    struct writer w = writer_over(bytes, sizeof(bytes));
    struct tap_record record = outer(IP_PROTOCOL_ESP);
    struct pcapng_block block;
    struct ip_head head;

    capture_file_begin(&file, "osaka", 1000, &w);
    CHECK(capture_file_add(&file, &record, &w));
    record.reason = DROP_FORGED;
    CHECK(!capture_file_add(&file, &record, &w));
    struct pcapng_reader r = written(&w);
    CHECK(pcapng_read_block(&r, &block) && block.kind == PCAPNG_INTERFACE);
    check_text(block.interface.name, "osaka ESP out c0000001");
    CHECK(pcapng_read_block(&r, &block) && block.kind == PCAPNG_PACKET);
    CHECK_EQUAL(block.packet.time, 1005);
    CHECK_EQUAL(block.packet.direction, PCAPNG_OUTBOUND);
    CHECK_EQUAL(block.packet.original_bytes, sizeof(esp) + IPV4_HEAD_BYTES);
    check_text(block.packet.comments[0], "passed");
    CHECK(ip_read(block.packet.data, &head));
    CHECK_EQUAL(head.protocol, IP_PROTOCOL_ESP);
    CHECK_EQUAL(head.tos, 0xb8);
    CHECK(address_equal(&head.source, &record.local.address));
    CHECK(memcmp(block.packet.data.data + IPV4_HEAD_BYTES, esp, sizeof(esp)) == 0);
    CHECK(pcapng_read_block(&r, &block) && block.kind == PCAPNG_PACKET);
    CHECK_EQUAL(block.packet.interface, 0);
    CHECK(memcmp(block.packet.comments[0].data, "dropped forged: ", 16) == 0);
    CHECK(!pcapng_read_block(&r, &block) && reader_done(&r.bytes));
}

TEST(esp_in_udp_gets_both_headers_and_ipv6_a_right_checksum)
{
    for (int family = 0; family < 2; family++) {
        struct writer w = writer_over(bytes, sizeof(bytes));
        struct tap_record record = outer(IP_PROTOCOL_UDP);
        struct pcapng_block block;
        struct udp_head udp;
        struct ip_head head;

        record.inbound = true;
        if (family == 1) {
            record.local.address = (struct address){FAMILY_IPV6, {0x20, 1, 0xd, 0xb8, 1}};
            record.peer.address = (struct address){FAMILY_IPV6, {0x20, 1, 0xd, 0xb8, 2}};
        }
        record.peer.port = 61000;
        capture_file_begin(&file, "osaka", 0, &w);
        CHECK(capture_file_add(&file, &record, &w));
        struct pcapng_reader r = written(&w);
        CHECK(pcapng_read_block(&r, &block));
        check_text(block.interface.name, "osaka ESP in c0000001");
        CHECK(pcapng_read_block(&r, &block));
        CHECK(ip_read(block.packet.data, &head));
        CHECK(head.port_source == 61000 && head.port_destination == 4500);
        struct slice datagram = {block.packet.data.data + head.upper_offset,
                                 block.packet.data.length - head.upper_offset};
        CHECK(udp_read(datagram, &udp));
        CHECK_EQUAL(udp.length_bytes, UDP_HEAD_BYTES + sizeof(esp));
        CHECK(udp_checksum_is_right(&head.source, &head.destination, datagram));
    }
}

TEST(whole_and_clear_packets_stay_as_they_are_and_the_longest_fits)
{
    static uint8_t longest[TAP_SNAP_BYTES];
    struct writer w = writer_over(bytes, sizeof(bytes));
    struct tap_record record = outer(IP_PROTOCOL_UDP);
    struct pcapng_block block;

    capture_file_begin(&file, "osaka", 0, &w);
    record.has_head = true;
    (void)capture_file_add(&file, &record, &w);
    record.inner = true;
    record.spi = 0;
    (void)capture_file_add(&file, &record, &w);
    record = outer(IP_PROTOCOL_UDP);
    record.data = (struct slice){longest, sizeof(longest)};
    record.original_bytes = 70000;
    record.local.address.family = record.peer.address.family = FAMILY_IPV6;
    (void)capture_file_add(&file, &record, &w);
    struct pcapng_reader r = written(&w);
    CHECK(pcapng_read_block(&r, &block) && pcapng_read_block(&r, &block));
    CHECK_EQUAL(block.packet.data.length, sizeof(esp));
    CHECK(pcapng_read_block(&r, &block));
    check_text(block.interface.name, "osaka clear out");
    CHECK(pcapng_read_block(&r, &block));
    CHECK_EQUAL(block.packet.data.length, sizeof(esp));
    CHECK(pcapng_read_block(&r, &block) && block.kind == PCAPNG_PACKET);
    CHECK_EQUAL(block.packet.original_bytes, 70000 + CAPTURE_HEADS_BYTES);
    CHECK_EQUAL(block.packet.data.length, sizeof(longest) + CAPTURE_HEADS_BYTES);
}

TEST(what_goes_over_tcp_is_shown_where_readers_look_for_esp_and_says_so)
{
    struct writer w = writer_over(bytes, sizeof(bytes));
    struct tap_record record = outer(IP_PROTOCOL_UDP);
    struct pcapng_block block;
    struct ip_head head;

    record.local.tcp = record.peer.tcp = true;
    record.local.port = 443;
    record.peer.port = 40001;
    capture_file_begin(&file, "osaka", 0, &w);
    CHECK(capture_file_add(&file, &record, &w));
    struct pcapng_reader r = written(&w);

    CHECK(pcapng_read_block(&r, &block) && pcapng_read_block(&r, &block));
    CHECK(ip_read(block.packet.data, &head));
    CHECK(head.port_source == 4500 && head.port_destination == 4500);
    check_text(block.packet.comments[0],
               "passed; in TCP between our port 443 and port 40001 of the peer");
}

TEST(sas_without_end_share_the_last_interface)
{
    struct tap_record record = outer(IP_PROTOCOL_ESP);
    size_t fresh = 0;

    for (uint32_t i = 0; i < 200; i++) {
        struct writer w = writer_over(bytes, sizeof(bytes));

        if (i == 0) {
            capture_file_begin(&file,
                               "a-name-that-is-longer-than-any-that-a-configuration-"
                               "allows-for-a-site-of-its-own",
                               0, &w);
        }
        record.spi = 0x1000 + i;
        fresh += capture_file_add(&file, &record, &w);
        CHECK(writer_ok(&w));
    }
    CHECK_EQUAL(fresh, CAPTURE_INTERFACES_MAX);
}
