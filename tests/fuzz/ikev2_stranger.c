/*
 * Any bytes sent to an IKEv2 machine by somebody without its keys, at each stage of its life: the
 * connection of the two that have the keys is not harmed, except before anything is authenticated,
 * where it may end but nothing else.
 *
 * First byte: how many datagrams were delivered before (0 to 7), to whom the bytes go (8), whether
 * the SPIs are made right (16), and whether the length is (32).
 */
#include <string.h>

#include "fuzz.h"
#include "tests/support/ikev2_pair.h"

#define MESSAGE_BYTES_MAX 4096
#define HANDSHAKE_DATAGRAMS 4

static size_t make_message(struct ikev2_pair *pair, uint8_t how, struct slice bytes, uint8_t *out)
{
    struct ikev2_sa_info info = {0};
    const struct ikev2_sa *known = pair->side[0].sa;

    if (bytes.length > 0) {
        memcpy(out, bytes.data, bytes.length);
    }
    if (bytes.length < IKEV2_HEAD_BYTES) {
        return bytes.length;
    }
    if ((how & 16) != 0 && known != NULL) {
        ikev2_sa_get_info(known, &info);
        put_u64(out, info.spi_i);
        put_u64(out + 8, info.spi_r);
    }
    if ((how & 32) != 0) {
        put_u32(out + 24, (uint32_t)bytes.length);
    }
    return bytes.length;
}

FUZZ(ikev2_stranger, 600)
{
    static uint8_t message[MESSAGE_BYTES_MAX];

    if (size == 0 || size > sizeof(message)) {
        return 0;
    }
    struct ikev2_pair *pair = ikev2_pair_new(data[0]);
    unsigned stage = data[0] & 7;
    unsigned to = (data[0] & 8) != 0 ? 1 : 0;

    MUST(pair != NULL);
    ikev2_pair_set_ike(pair, 0, "aes128gcm16-sha256-x25519");
    ikev2_pair_set_ike(pair, 1, "aes128gcm16-sha256-x25519");
    ikev2_pair_start(pair, 0);
    for (unsigned i = 0; i < stage && pair->queue_count > 0; i++) {
        ikev2_pair_deliver(pair, 0);
    }
    size_t length = make_message(pair, data[0], (struct slice){data + 1, size - 1}, message);
    struct endpoint local = pair->side[to].endpoint;
    struct endpoint peer = pair->side[1 - to].endpoint;

    ikev2_pair_inject(pair, to, &local, &peer, (struct slice){message, length});
    ikev2_pair_advance(pair, 60000);
    if (stage >= HANDSHAKE_DATAGRAMS) {
        MUST(pair->side[0].established == 1 && pair->side[1].established == 1);
        MUST(pair->side[0].closed == 0 && pair->side[1].closed == 0);
        MUST(pair->side[0].moved == 0 && pair->side[1].moved == 0);
    }
    MUST(ikev2_pair_agrees(pair));
    ikev2_pair_free(pair);
    return 0;
}
