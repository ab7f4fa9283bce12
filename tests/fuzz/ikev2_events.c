/*
 * Two IKEv2 machines on a bad network: the bytes decide what is delivered, doubled, lost, damaged
 * or late, when time passes, and what is ordered. When the faults stop, both ends agree, or both
 * are gone and every SPI was given back.
 *
 * First byte: NAT (1), cookies (2), no fragments (4), questions are held (8), two more children
 * (16), transport mode (32), AH (64), and all that is agreed by notifies (128).
 */
#include <string.h>

#include "fuzz.h"
#include "tests/support/ikev2_pair.h"

#define EVENTS_MAX 80
#define DAMAGED_BYTES_MAX 4096

static bool alive(const struct ikev2_pair *pair, unsigned side)
{
    return pair->side[side].sa != NULL;
}

static size_t any_datagram(const struct ikev2_pair *pair, uint8_t choice)
{
    return choice % pair->queue_count;
}

/* A child that is there, for orders. */
static uint32_t any_child(const struct ikev2_pair *pair, unsigned side, uint8_t choice)
{
    const struct pair_side *s = &pair->side[side];

    return s->child_count == 0 ? choice : s->children[choice % s->child_count].spi_in;
}

static void inject_damaged(struct ikev2_pair *pair, uint8_t which, struct reader *r)
{
    static uint8_t copy[DAMAGED_BYTES_MAX];
    struct pair_datagram d = pair->queue[any_datagram(pair, which)];
    uint16_t at = read_u16(r);
    uint8_t value = read_u8(r);

    if (d.length == 0 || d.length > sizeof(copy)) {
        return;
    }
    memcpy(copy, d.bytes, d.length);
    copy[at % d.length] ^= value;
    ikev2_pair_inject(pair, d.to, &d.local, &d.peer, (struct slice){copy, d.length});
}

/* From one of 16 hosts of a side to a host of the other. */
static void start_for_packet(struct ikev2_pair *pair, unsigned side, uint8_t choice)
{
    struct network n = {.address = address_ipv4(0x0a010001u + (side << 16) + choice % 16),
                        .prefix_bits = 32};
    struct ikev2_packet packet = {.local = selector_of_network(&n), .only = (choice & 0x80) != 0};

    n.address = address_ipv4(0x0a020001u - (side << 16));
    packet.remote = selector_of_network(&n);
    ikev2_pair_start_child_for(pair, side, 0, &packet);
}

static void network_event(struct ikev2_pair *pair, uint8_t kind, struct reader *r)
{
    if (pair->queue_count == 0) {
        return;
    }
    uint8_t which = read_u8(r);

    if (kind == 0) {
        ikev2_pair_deliver(pair, 0);
    } else if (kind == 1) {
        ikev2_pair_deliver(pair, any_datagram(pair, which));
    } else if (kind == 2) {
        ikev2_pair_drop(pair, any_datagram(pair, which));
    } else if (kind == 3) {
        ikev2_pair_deliver_copy(pair, any_datagram(pair, which));
    } else {
        inject_damaged(pair, which, r);
    }
}

static void order(struct ikev2_pair *pair, uint8_t kind, unsigned side, uint8_t choice)
{
    if (!alive(pair, side)) {
        return;
    }
    if (kind == 0) {
        ikev2_pair_rekey(pair, side);
    } else if (kind == 1) {
        ikev2_pair_rekey_child(pair, side, any_child(pair, side, choice));
    } else if (kind == 2) {
        ikev2_pair_start_child(pair, side, choice % (unsigned)pair->side[side].policy.child_count);
    } else if (kind == 3) {
        ikev2_pair_close_child(pair, side, any_child(pair, side, choice));
    } else if (kind == 4) {
        ikev2_pair_ask_liveness(pair, side);
    } else if (pair->side[side].ask_count > 0) {
        ikev2_pair_answer(pair, side, (choice & 1) == 0);
    }
}

static void event(struct ikev2_pair *pair, struct reader *r)
{
    uint8_t kind = read_u8(r);
    unsigned side = kind >> 7;

    kind &= 0x7f;
    if (kind < 40) {
        network_event(pair, kind % 5, r);
    } else if (kind < 70) {
        order(pair, kind % 6, side, read_u8(r));
    } else if (kind < 80) {
        pair->now_ms += (uint64_t)1 << (read_u8(r) % 16);
        ikev2_pair_time(pair);
    } else if (kind < 90) {
        (void)ikev2_pair_run(pair);
    } else if (kind == 90 && alive(pair, side)) {
        ikev2_pair_close(pair, side);
    } else if (kind == 91) {
        pair->nat_port_shift = (uint16_t)(pair->nat_port_shift + 1);
    } else if (kind == 92 && !alive(pair, 0) && !alive(pair, 1) && pair->queue_count == 0) {
        ikev2_pair_start(pair, side);
    } else if (kind == 93 && alive(pair, side)) {
        ikev2_pair_probe_path(pair, side, read_u16(r));
    } else if (kind == 94 && alive(pair, side)) {
        start_for_packet(pair, side, read_u8(r));
    } else {
        (void)ikev2_pair_packet(pair, side, "net");
    }
}

static void check_side(const struct pair_side *s)
{
    struct ikev2_sa_info info;

    if (s->sa != NULL) {
        ikev2_sa_get_info(s->sa, &info);
        MUST(info.established);
        MUST(s->ike_spi_count >= 1);
        return;
    }
    MUST(s->ike_spi_count == 0);
    MUST(s->esp_spis_given == s->esp_spis_unused + s->child_count);
    for (size_t i = 0; i < s->child_count; i++) {
        MUST(s->children[i].removed);
    }
}

/* Of any addresses to any, which in transport mode are those of the two hosts. */
static void set_children(struct pair_side *s, uint8_t how)
{
    struct network all = {.address = address_ipv4(0), .prefix_bits = 0};
    bool notifies = (how & 128) != 0;

    for (size_t i = 0; i < PAIR_POLICIES_MAX; i++) {
        struct ikev2_child_policy *child = &s->children_policy[i];

        child->mode = (how & 32) != 0 ? IKEV2_MODE_TRANSPORT : IKEV2_MODE_TUNNEL;
        child->compress = notifies;
        child->non_first_fragments = notifies;
        child->aggfrag.wanted = notifies;
        child->aggfrag.congestion_control = notifies;
    }
    if ((how & 32) != 0) {
        s->local[0][0] = selector_of_network(&all);
        s->remote[0][0] = selector_of_network(&all);
    }
}

static void set_up(struct ikev2_pair *pair, uint8_t how)
{
    for (unsigned i = 0; i < 2; i++) {
        struct ikev2_policy *p = &pair->side[i].policy;

        ikev2_pair_set_ike(pair, i, "aes128gcm16-sha256-x25519");
        if ((how & 64) != 0) {
            ikev2_pair_set_ah(pair, i, "sha256");
        } else {
            ikev2_pair_set_esp(pair, i, "aes128gcm16");
        }
        set_children(&pair->side[i], how);
        p->liveness_ms = 30000;
        p->retransmit_tries = 4;
        p->fragmentation = (how & 4) == 0;
        pair->side[i].cookies_wanted = (how & 2) != 0;
        pair->side[i].holds_asks = (how & 8) != 0;
    }
    pair->nat = (how & 1) != 0;
    if ((how & 16) != 0) {
        ikev2_pair_add_child(pair, 1, true);
        ikev2_pair_add_child(pair, 2, false);
    }
}

/* Nothing is lost any more, and questions are answered. */
static void heal(struct ikev2_pair *pair)
{
    for (unsigned i = 0; i < 2; i++) {
        pair->side[i].holds_asks = false;
        pair->side[i].cookies_wanted = false;
        while (alive(pair, i) && pair->side[i].ask_count > 0) {
            ikev2_pair_answer(pair, i, true);
        }
    }
    ikev2_pair_advance(pair, 300000);
}

FUZZ(ikev2_events, 500)
{
    struct reader r = reader_over((struct slice){data, size});
    uint8_t how = read_u8(&r);
    struct ikev2_pair *pair = ikev2_pair_new(how);

    MUST(pair != NULL);
    set_up(pair, how);
    ikev2_pair_start(pair, 0);
    for (unsigned i = 0; i < EVENTS_MAX && reader_left(&r) > 0; i++) {
        event(pair, &r);
    }
    heal(pair);
    MUST(alive(pair, 0) == alive(pair, 1));
    check_side(&pair->side[0]);
    check_side(&pair->side[1]);
    MUST(ikev2_pair_agrees(pair));
    ikev2_pair_free(pair);
    return 0;
}
