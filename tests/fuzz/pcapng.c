/* Capture files of any bytes: what a strict reader takes is written again and reads the same. */
#include <string.h>

#include "fuzz.h"
#include "wire/pcapng.h"

static uint8_t room[70000];

static void check_same(const struct pcapng_packet *a, const struct pcapng_packet *b)
{
    MUST(a->interface == b->interface && a->time == b->time && a->direction == b->direction);
    MUST(a->original_bytes == b->original_bytes && slice_equal(a->data, b->data));
    MUST(a->comment_count == b->comment_count);
    for (size_t i = 0; i < a->comment_count; i++) {
        MUST(slice_equal(a->comments[i], b->comments[i]));
    }
}

/* Into a file of its own, with as many interfaces as it needs. */
static void check_packet(const struct pcapng_packet *packet)
{
    struct pcapng_interface interface = {.name = SLICE_TEXT("i"), .linktype = 101, .digits = 6};
    struct writer w = writer_over(room, sizeof(room));
    struct pcapng_block block;

    pcapng_write_section(&w, SLICE_TEXT("fuzz"));
    for (uint32_t i = 0; i <= packet->interface; i++) {
        pcapng_write_interface(&w, &interface);
    }
    size_t from = w.length;

    pcapng_write_packet(&w, packet);
    MUST(writer_ok(&w) && w.length - from == pcapng_packet_bytes(packet));
    struct pcapng_reader r = pcapng_read_begin(writer_written(&w));

    while (pcapng_read_block(&r, &block)) {
        if (block.kind == PCAPNG_PACKET) {
            check_same(&block.packet, packet);
        }
    }
    MUST(reader_done(&r.bytes) && block.kind == PCAPNG_PACKET);
}

FUZZ(pcapng, 20000)
{
    struct pcapng_reader r = pcapng_read_begin((struct slice){data, size});
    struct pcapng_block block;
    char words[200];

    if (size > 60000) {
        return 0;
    }
    while (pcapng_read_block(&r, &block)) {
        struct text line = text_over(words, sizeof(words));

        pcapng_describe(&block, &line);
        MUST(r.in_section && r.interfaces <= PCAPNG_INTERFACES_MAX);
        if (block.kind == PCAPNG_PACKET) {
            check_packet(&block.packet);
        }
    }
    return 0;
}
