/*
 * IKEv1 messages in clear: the header, the chain of payloads and their description. Mutations
 * hardly ever keep the length field right, so it is also made right.
 */
#include <string.h>

#include "fuzz.h"
#include "wire/ikev1.h"

#define COPY_BYTES_MAX 8192

static void check_round_trip(const struct ikev1_header *h, struct slice payloads)
{
    static uint8_t room[COPY_BYTES_MAX];
    struct writer w = writer_over(room, sizeof(room));
    struct reader r = reader_over(payloads);
    struct ikev1_payload p;
    struct slice chain;
    uint8_t next = h->next_payload;
    uint8_t first;
    unsigned count = 0;
    struct ikev1_chain written = ikev1_chain_over(&w, &first);

    while (ikev1_read_payload(&r, &next, &p)) {
        MUST(p.type != IKEV1_NO_NEXT_PAYLOAD);
        MUST(p.whole.data >= payloads.data &&
             p.whole.data + p.whole.length <= payloads.data + payloads.length);
        MUST(p.body.data == p.whole.data + IKEV1_PAYLOAD_HEAD_BYTES &&
             p.body.length + IKEV1_PAYLOAD_HEAD_BYTES == p.whole.length);
        ikev1_write_payload(&written, p.type, p.body);
        count++;
    }
    bool good = reader_ok(&r) && count > 0 && count <= IKEV1_PAYLOADS_MAX;

    MUST(ikev1_read_chain(h->next_payload, payloads, &chain) == good);
    if (!good) {
        return;
    }
    MUST(next == IKEV1_NO_NEXT_PAYLOAD && first == h->next_payload);
    MUST(writer_ok(&w) && w.length == chain.length);
    MUST(chain.length + reader_left(&r) == payloads.length);
    MUST(ikev1_read_chain(first, writer_written(&w), &chain) && chain.length == w.length);
}

static void check_message(struct slice message)
{
    static char room[4096];
    struct reader r = reader_over(message);
    struct text line = text_over(room, sizeof(room));
    struct ikev1_header h;

    if (!ikev1_read_header(&r, &h)) {
        MUST(!reader_ok(&r));
        return;
    }
    MUST(h.length == message.length);
    struct slice payloads = read_rest(&r);

    check_round_trip(&h, payloads);
    ikev1_describe(&h, h.next_payload, payloads, &line);
    MUST(strlen(room) == line.length);
    for (size_t i = 0; i < line.length; i++) {
        MUST((room[i] >= ' ' && room[i] <= '~') || room[i] == '\n');
    }
    uint8_t head[IKEV1_HEAD_BYTES];
    struct writer w = writer_over(head, sizeof(head));

    ikev1_write_header(&w, &h);
    MUST(memcmp(head, message.data, sizeof(head)) == 0);
}

FUZZ(ikev1_message, 8000)
{
    static uint8_t copy[COPY_BYTES_MAX];

    if (size > sizeof(copy)) {
        return 0;
    }
    check_message((struct slice){data, size});
    if (size >= IKEV1_HEAD_BYTES) {
        memcpy(copy, data, size);
        put_u32(copy + 24, (uint32_t)size);
        check_message((struct slice){copy, size});
    }
    return 0;
}
