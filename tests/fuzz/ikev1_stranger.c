/*
 * Any messages sent to an IKEv1 machine by somebody without its keys, at each stage of its life. He
 * is never let in, what he leaves behind goes by itself, he gets no more than a few times the
 * octets that he sent, and a connection of the two that have the keys is not harmed, except before
 * anything is authenticated, where it may end but nothing else.
 *
 * First byte: how many datagrams the two exchanged before (0 to 15; with 0 nobody has begun), to
 * whom the messages go (16), Aggressive Mode (32), from the peer's address (64), fragments (128).
 * Then messages: what is made right in it (cookies 1 and 2, length 4, first message 8, its exchange
 * 16), time before it in units of 50 ms, length, octets.
 */
#include <string.h>

#include "fuzz.h"
#include "proto/ikev1/machine.h"
#include "tests/support/ikev1_pair.h"

#define MESSAGES_MAX 32
#define MESSAGE_BYTES_MAX 4096
/* Octets of a datagram, with the headers of IPv4 and UDP. */
#define AROUND_BYTES 28
/* Vendor IDs, NAT-D and HASH_R are what an answer has more than its question. */
#define ANSWER_MORE_BYTES 400

struct stranger {
    struct ikev1_pair *pair;
    unsigned to;
    struct endpoint from;
    size_t got, said, messages;
};

static bool hears(void *context, struct ikev1_pair *pair, const struct pair1_datagram *d)
{
    struct stranger *s = context;

    (void)pair;
    if (d->to != s->to) {
        s->got += AROUND_BYTES + d->length;
    }
    return true;
}

static struct ikev1_ike *any_ike(struct ikev1_pair *pair, unsigned side)
{
    for (unsigned i = 0; i < PAIR1_MACHINES_MAX; i++) {
        struct ikev1_sa *sa = pair->side[side].machines[i].sa;

        if (sa != NULL && sa->ikes != NULL) {
            return sa->ikes;
        }
    }
    return NULL;
}

static void repair(struct stranger *s, uint8_t how, uint8_t *message, size_t length)
{
    const struct ikev1_ike *ike = any_ike(s->pair, s->to);

    if (length < IKEV1_HEAD_BYTES) {
        return;
    }
    if ((how & 1) != 0 && ike != NULL) {
        put_u64(message, ike->spi_i);
    }
    if ((how & 2) != 0 && ike != NULL) {
        put_u64(message + 8, ike->spi_r);
    }
    if ((how & 4) != 0) {
        put_u32(message + 24, (uint32_t)length);
    }
    if ((how & 8) != 0) {
        memset(message + 8, 0, 8);
        message[16] = IKEV1_SA;
        message[17] = IKEV1_VERSION_1_0;
        message[18] = (how & 16) != 0 ? IKEV1_AGGRESSIVE : IKEV1_MAIN;
        memset(message + 19, 0, 5);
    }
}

static void say(struct stranger *s, struct reader *r)
{
    static uint8_t message[MESSAGE_BYTES_MAX];
    uint8_t how = read_u8(r);
    uint8_t wait = read_u8(r);
    uint16_t wanted = read_u16(r);
    size_t length = wanted % (reader_left(r) + 1);
    struct endpoint local = s->pair->side[s->to].endpoint;

    if (length > sizeof(message)) {
        return;
    }
    read_copy(r, message, length);
    repair(s, how, message, length);
    ikev1_pair_jump(s->pair, (uint64_t)(wait % 64) * 50);
    s->said += AROUND_BYTES + length;
    s->messages++;
    ikev1_pair_inject(s->pair, s->to, &local, &s->from, (struct slice){message, length});
}

static void check_alone(struct stranger *s)
{
    const struct pair1_side *side = &s->pair->side[s->to];

    MUST(side->established == 0 && side->child_count == 0 && side->esp_spis_given == 0);
    MUST(s->got <= 3 * s->said + ANSWER_MORE_BYTES * s->messages);
    ikev1_pair_advance(s->pair, 60000);
    MUST(ikev1_pair_is_empty(s->pair, s->to));
}

static void check_connection(struct stranger *s, bool was_up)
{
    struct ikev1_pair *pair = s->pair;

    ikev1_pair_advance(pair, 60000);
    for (unsigned i = 0; i < 2; i++) {
        MUST(pair->side[i].established <= 1);
        MUST(pair->side[i].moved == 0 && pair->side[i].initial_contact == 0);
        if (was_up) {
            MUST(pair->side[i].established == 1 && pair->side[i].closed == 0);
            MUST(pair->side[i].child_count == 1 && ikev1_pair_machines(pair, i) == 1);
            MUST(ikev1_pair_packet(pair, i, "net"));
        }
    }
    MUST(ikev1_pair_agrees(pair));
}

FUZZ(ikev1_stranger, 400)
{
    struct reader r = reader_over((struct slice){data, size});
    uint8_t how = read_u8(&r);
    unsigned stage = how & 15;
    struct stranger s = {.pair = ikev1_pair_new(how), .to = (how & 16) != 0};
    bool was_up;

    for (unsigned i = 0; i < 2; i++) {
        struct pair1_side *side = &s.pair->side[i];

        ikev1_pair_set_ike(s.pair, i, "aes128-sha1-ecp256");
        ikev1_pair_set_esp(s.pair, i, "aes128-sha1");
        side->policy.aggressive = side->responder.aggressive = (how & 32) != 0;
        side->policy.fragment_bytes = side->responder.fragment_bytes = (how & 128) != 0 ? 576 : 0;
    }
    s.from = s.pair->side[1 - s.to].endpoint;
    if (stage > 0) {
        ikev1_pair_start(s.pair, 0);
    } else {
        s.pair->passes = hears;
        s.pair->context = &s;
        s.pair->side[1 - s.to].deaf = true;
    }
    if (stage > 0 && (how & 64) == 0) {
        s.from.address = address_ipv4(0xc6336463);
    }
    for (unsigned i = 1; i < stage && s.pair->queue_count > 0; i++) {
        ikev1_pair_deliver(s.pair, 0);
    }
    was_up = ikev1_pair_packet(s.pair, 0, "net") && ikev1_pair_packet(s.pair, 1, "net");
    for (unsigned i = 0; i < MESSAGES_MAX && reader_left(&r) > 0; i++) {
        say(&s, &r);
    }
    if (stage == 0) {
        check_alone(&s);
    } else {
        check_connection(&s, was_up);
    }
    ikev1_pair_free(s.pair);
    return 0;
}
