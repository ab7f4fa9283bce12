/*
 * The gate before any IKE SA: any bytes from anywhere. What it answers is never longer than what
 * was asked, and a stranger gets a responder only for an IKE_SA_INIT request. The first byte says
 * whether cookies are wanted.
 */
#include <string.h>

#include "fuzz.h"
#include "proto/ikev2/gate.h"

#define MESSAGE_BYTES_MAX 4096

static void check_reply(const struct writer *reply, struct slice message)
{
    struct reader r = reader_over(writer_written(reply));
    struct ikev2_header h;

    MUST(writer_ok(reply));
    MUST(reply->length <= message.length);
    MUST(ikev2_read_header(&r, &h));
    MUST((h.flags & IKEV2_FLAG_RESPONSE) != 0);
}

static void check(struct slice message, bool cookies_wanted)
{
    struct seeded_random seeded;
    struct random_source random = seeded_random_source(&seeded);
    struct endpoint local = {address_ipv4(0xcb007101), 500};
    struct endpoint peer = {address_ipv4(0xc6336402), 500};
    uint8_t room[512];
    struct writer reply = writer_over(room, sizeof(room));
    struct ikev2_gate gate;
    struct ikev2_header h;
    struct reader r = reader_over(message);

    seeded_random_init(&seeded, 1);
    ikev2_gate_init(&gate, &random, 1000);
    switch (
        ikev2_gate_admit(&gate, message, &local, &peer, cookies_wanted, 2000, &random, &reply)) {
    case IKEV2_GATE_ADMIT:
        MUST(ikev2_read_header(&r, &h));
        MUST(h.exchange == IKEV2_IKE_SA_INIT && (h.flags & IKEV2_FLAG_RESPONSE) == 0 &&
             h.spi_r == 0);
        MUST(!cookies_wanted); /* nobody can know the secret of this gate */
        break;
    case IKEV2_GATE_REPLY:
        check_reply(&reply, message);
        break;
    case IKEV2_GATE_DROP:
        break;
    }
}

FUZZ(ikev2_gate, 10000)
{
    static uint8_t copy[MESSAGE_BYTES_MAX];

    if (size == 0 || size > sizeof(copy)) {
        return 0;
    }
    struct slice message = {copy, size - 1};

    memcpy(copy, data + 1, size - 1);
    check(message, (data[0] & 1) != 0);
    if (message.length >= IKEV2_HEAD_BYTES) {
        put_u32(copy + 24, (uint32_t)message.length);
        check(message, (data[0] & 1) != 0);
    }
    return 0;
}
