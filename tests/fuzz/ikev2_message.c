/*
 * IKEv2 messages: the header, the chain of payloads and their description. Mutations hardly ever
 * keep the length field right, so it is also made right.
 */
#include <string.h>

#include "fuzz.h"
#include "wire/ikev2.h"

#define COPY_BYTES_MAX 8192

static void check_round_trip(const struct ikev2_header *h, struct slice chain)
{
    static uint8_t room[COPY_BYTES_MAX];
    struct writer w = writer_over(room, sizeof(room));
    struct reader r = reader_over(chain);
    struct ikev2_payload p;
    uint8_t next = h->next_payload;
    uint8_t first;
    bool encrypted = false;
    struct ikev2_chain written = ikev2_chain_over(&w, &first);

    while (!encrypted && ikev2_read_payload(&r, &next, &p)) {
        MUST(p.type != IKEV2_NO_NEXT_PAYLOAD);
        MUST(p.body.data >= chain.data && p.body.data + p.body.length <= chain.data + chain.length);
        ikev2_begin_payload(&written, p.type, p.critical);
        write_slice(&w, p.body);
        ikev2_end_payload(&written);
        encrypted = p.type == IKEV2_SK || p.type == IKEV2_SKF;
    }
    if (!reader_done(&r) || (!encrypted && next != IKEV2_NO_NEXT_PAYLOAD)) {
        MUST(!reader_ok(&r));
        return;
    }
    MUST(writer_ok(&w) && w.length == chain.length && first == h->next_payload);
    /* Only reserved bits and the first inner type of SK may differ. */
    struct reader again = reader_over(writer_written(&w));

    next = first;
    while (ikev2_read_payload(&again, &next, &p) && p.type != IKEV2_SK && p.type != IKEV2_SKF) {
    }
    MUST(reader_done(&again));
}

static void check_message(struct slice message)
{
    static char room[4096];
    struct reader r = reader_over(message);
    struct text line = text_over(room, sizeof(room));
    struct ikev2_header h;

    if (!ikev2_read_header(&r, &h)) {
        MUST(!reader_ok(&r));
        return;
    }
    MUST(h.length == message.length);
    struct slice chain = read_rest(&r);

    check_round_trip(&h, chain);
    ikev2_describe(&h, h.next_payload, chain, &line);
    MUST(strlen(room) == line.length);
    for (size_t i = 0; i < line.length; i++) {
        MUST((room[i] >= ' ' && room[i] <= '~') || room[i] == '\n');
    }
    uint8_t head[IKEV2_HEAD_BYTES];
    struct writer w = writer_over(head, sizeof(head));

    ikev2_write_header(&w, &h);
    MUST(memcmp(head, message.data, sizeof(head)) == 0);
}

FUZZ(ikev2_message, 8000)
{
    static uint8_t copy[COPY_BYTES_MAX];

    if (size > sizeof(copy)) {
        return 0;
    }
    check_message((struct slice){data, size});
    if (size >= IKEV2_HEAD_BYTES) {
        memcpy(copy, data, size);
        put_u32(copy + 24, (uint32_t)size);
        check_message((struct slice){copy, size});
    }
    return 0;
}
