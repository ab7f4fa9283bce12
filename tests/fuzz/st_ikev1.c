/*
 * Two IKEv1 machines: the bytes decide what is delivered, doubled, lost, damaged or late, in which
 * order questions are answered, when time passes, what is ordered and who starts anew; and what a
 * peer says who has the right keys and says whatever he likes: messages under way are opened,
 * changed and sealed again, others are made of any payloads. As long as nobody lied, both sides
 * have one tunnel that works when the faults stop. In any case nothing is left when it is over.
 *
 * First byte: NAT (1), Aggressive Mode (2), signatures (4), questions are held (8), fragments (16),
 * transport mode (32), PFS (64), two more children (128).
 */
#include <stdlib.h>
#include <string.h>

#include "crypto/certificate_testbed.h"
#include "fuzz.h"
#include "tests/support/ikev1_forge.h"

#define EVENTS_MAX 64
#define HASH_BYTES 20 /* of SHA-1, which is agreed upon here */

/* ---- certificates, made once ---- */

static struct {
    struct certificate *root;
    struct ikev1_certificates sides[2];
} files;

static void make_files(void)
{
    static const struct testbed_order orders[2] = {
        {.subject = "CN=left", .names = "DNS:left.example", .usage = "digitalSignature"},
        {.subject = "CN=right", .names = "DNS:right.example", .usage = "digitalSignature"},
    };
    struct private_key *root_key = private_key_make(KEY_P256, 0);

    files.root = testbed_issue(&testbed_root, root_key, NULL, NULL);
    for (size_t i = 0; i < 2; i++) {
        struct private_key *key = private_key_make(KEY_P256, 0);
        struct certificate *own = testbed_issue(&orders[i], key, files.root, root_key);

        files.sides[i].own = testbed_credential(key, &own, 1);
        files.sides[i].trust = testbed_trust(files.root);
        certificate_free(own);
        private_key_free(key);
    }
    private_key_free(root_key);
}

/* ---- the network ---- */

struct bed {
    struct ikev1_pair *pair;
    bool lied;
    bool deleted; /* somebody was told to, and nobody confirms a Delete */
};

static void inject_damaged(struct ikev1_pair *pair, size_t index, struct reader *r)
{
    static uint8_t copy[FORGE_BYTES_MAX];
    const struct pair1_datagram d = pair->queue[index];
    uint16_t at = read_u16(r);
    uint8_t value = read_u8(r);

    if (d.length == 0 || d.length > sizeof(copy)) {
        return;
    }
    memcpy(copy, d.bytes, d.length);
    copy[at % d.length] ^= value;
    ikev1_pair_inject(pair, d.to, &d.local, &d.peer, (struct slice){copy, d.length});
}

static void network_event(struct bed *bed, uint8_t kind, struct reader *r)
{
    struct ikev1_pair *pair = bed->pair;

    if (pair->queue_count == 0) {
        return;
    }
    size_t which = read_u8(r) % pair->queue_count;

    switch (kind) {
    case 0:
        ikev1_pair_deliver(pair, 0);
        return;
    case 1:
        ikev1_pair_deliver(pair, which);
        return;
    case 2:
        ikev1_pair_drop(pair, which);
        return;
    case 3:
        ikev1_pair_deliver_copy(pair, which);
        return;
    default:
        /* What is not proven yet is believed by who cannot know better. */
        bed->lied = true;
        inject_damaged(pair, which, r);
        return;
    }
}

/* ---- a liar ---- */

/* A length that is too long ends with the chain, and SPIs of children are those of one that is
 * there: else hardly any chain would be looked into. */
static void repair(const struct ikev1_pair *pair, struct forge_message *m, uint8_t choice)
{
    const struct pair1_side *receiver = &pair->side[1 - m->from];
    uint8_t type = m->header.next_payload;
    size_t at = 0;

    while (type != IKEV1_NO_NEXT_PAYLOAD && at + IKEV1_PAYLOAD_HEAD_BYTES <= m->length) {
        uint8_t *payload = m->chain + at;
        size_t bytes = get_u16(payload + 2);

        if (bytes < IKEV1_PAYLOAD_HEAD_BYTES || at + bytes > m->length ||
            (payload[0] == IKEV1_NO_NEXT_PAYLOAD && at + bytes < m->length)) {
            bytes = m->length - at;
            payload[0] = IKEV1_NO_NEXT_PAYLOAD;
            put_u16(payload + 2, (uint16_t)bytes);
        }
        bool names_child =
            (type == IKEV1_NOTIFY || type == IKEV1_DELETE) && bytes >= 16 && payload[9] == 4;

        if (names_child && receiver->child_count > 0 && (choice & 0x80) != 0) {
            put_u32(payload + 12, receiver->children[choice % receiver->child_count].info.spi_out);
        }
        type = payload[0];
        at += bytes;
    }
}

static void change_and_deliver(struct bed *bed, struct reader *r)
{
    static struct forge_message m;
    struct ikev1_pair *pair = bed->pair;
    unsigned changes = read_u8(r) % 8;

    if (pair->queue_count == 0) {
        return;
    }
    if (!forge_open(pair, &pair->queue[0], &m) || m.length == 0) {
        ikev1_pair_deliver(pair, 0);
        return;
    }
    for (unsigned i = 0; i < changes; i++) {
        uint16_t at = read_u16(r);

        m.chain[at % m.length] ^= read_u8(r);
    }
    ikev1_pair_drop(pair, 0);
    repair(pair, &m, changes > 0 ? read_u8(r) : 0);
    bed->lied |= changes > 0;
    forge_send(pair, &m);
}

static uint32_t message_id(const struct ikev1_sa *sa, uint8_t choice, uint32_t fresh)
{
    const struct ikev1_quick *q = sa->quicks;

    for (unsigned i = choice % 4; q != NULL && i > 0; i--) {
        q = q->next;
    }
    return (choice & 0x40) != 0 && q != NULL ? q->message_id : fresh;
}

static void forge(struct bed *bed, unsigned from, struct reader *r)
{
    static const uint8_t exchanges[] = {IKEV1_QUICK,       IKEV1_INFORMATIONAL, IKEV1_QUICK,
                                        IKEV1_TRANSACTION, IKEV1_INFORMATIONAL, IKEV1_NEW_GROUP,
                                        IKEV1_MAIN,        IKEV1_AGGRESSIVE};
    static struct forge_message m;
    struct ikev1_pair *pair = bed->pair;
    uint8_t choice = read_u8(r);
    uint8_t kind = read_u8(r);
    uint8_t first = read_u8(r);
    uint32_t fresh = read_u32(r);
    uint16_t wanted = read_u16(r);
    size_t length = wanted % (reader_left(r) + 1);
    struct ikev1_sa *sa = ikev1_pair_sa(pair, from);
    struct ikev1_sa *other;

    if (sa == NULL || sa->current == NULL || length > sizeof(m.chain) / 2) {
        return;
    }
    const struct ikev1_ike *ike = sa->current;

    if (forge_ike(pair, 1 - from, ike->spi_i, ike->spi_r, &other) == NULL) {
        return;
    }
    uint8_t exchange = exchanges[kind % ARRAY_LENGTH(exchanges)];
    bool phase1 = exchange == IKEV1_MAIN || exchange == IKEV1_AGGRESSIVE;
    size_t hash = phase1 ? 0 : IKEV1_PAYLOAD_HEAD_BYTES + HASH_BYTES;

    m.header = (struct ikev1_header){
        .cookie_i = ike->spi_i,
        .cookie_r = ike->spi_r,
        .next_payload = phase1 ? first : IKEV1_HASH,
        .version = IKEV1_VERSION_1_0,
        .exchange = exchange,
        .flags = (kind & 0x80) != 0 ? IKEV1_FLAG_COMMIT : 0,
        .message_id = phase1 ? 0 : message_id(other, choice, fresh),
    };
    m.from = from;
    m.local = other->local;
    m.peer = other->peer;
    m.length = hash + length;
    memset(m.chain, 0, hash);
    m.chain[0] = phase1 ? 0 : first;
    put_u16(m.chain + 2, (uint16_t)hash);
    read_copy(r, m.chain + hash, length);
    repair(pair, &m, choice);
    bed->lied = true;
    forge_send(pair, &m);
}

/* ---- orders ---- */

static uint32_t any_child(const struct pair1_side *s, uint8_t choice)
{
    return s->child_count == 0 ? choice : s->children[choice % s->child_count].info.spi_in;
}

static void order(struct bed *bed, uint8_t kind, unsigned side, uint8_t choice)
{
    struct ikev1_pair *pair = bed->pair;
    struct pair1_side *s = &pair->side[side];

    if (ikev1_pair_sa(pair, side) == NULL) {
        if ((choice & 3) == 0) {
            ikev1_pair_start(pair, side);
        }
        return;
    }
    bed->deleted |= kind == 3 || kind == 5;
    switch (kind) {
    case 0:
        ikev1_pair_rekey(pair, side);
        return;
    case 1:
        ikev1_pair_rekey_child(pair, side, any_child(s, choice));
        return;
    case 2:
        ikev1_pair_start_child(pair, side, choice % s->policy.child_count);
        return;
    case 3:
        ikev1_pair_close_child(pair, side, any_child(s, choice));
        return;
    case 4:
        ikev1_pair_ask_liveness(pair, side);
        return;
    case 5:
        if ((choice & 7) == 0) {
            ikev1_pair_close(pair, side);
        }
        return;
    default:
        if ((choice & 7) == 0) {
            ikev1_pair_reboot(pair, side);
        }
        return;
    }
}

static void event(struct bed *bed, struct reader *r)
{
    struct ikev1_pair *pair = bed->pair;
    uint8_t kind = read_u8(r);
    unsigned side = kind >> 7;
    struct pair1_side *s = &pair->side[side];

    kind &= 0x7f;
    if (kind < 40) {
        network_event(bed, kind % 5, r);
    } else if (kind < 62) {
        order(bed, kind % 7, side, read_u8(r));
    } else if (kind < 70) {
        if (s->ask_count > 0) {
            uint8_t choice = read_u8(r);

            ikev1_pair_answer(pair, side, choice % s->ask_count, (choice & 0xe0) != 0);
        }
    } else if (kind < 80) {
        ikev1_pair_jump(pair, (uint64_t)1 << (read_u8(r) % 16));
    } else if (kind < 88) {
        (void)!ikev1_pair_run(pair);
    } else if (kind == 88) {
        pair->nat_port_shift = (uint16_t)(pair->nat_port_shift + 1);
    } else if (kind < 104) {
        forge(bed, side, r);
    } else if (kind < 124) {
        change_and_deliver(bed, r);
    } else {
        (void)ikev1_pair_packet(pair, side, "net");
    }
}

/* ---- what must hold ---- */

static void check_bounds(const struct pair1_side *s)
{
    for (unsigned i = 0; i < PAIR1_MACHINES_MAX; i++) {
        const struct ikev1_sa *sa = s->machines[i].sa;
        size_t ikes = 0;

        if (sa == NULL) {
            continue;
        }
        for (const struct ikev1_ike *ike = sa->ikes; ike != NULL; ike = ike->next) {
            MUST(ike->fragments.bytes <= 16384);
            ikes++;
        }
        MUST(ikes <= IKEV1_IKES_MAX && sa->quick_count <= IKEV1_QUICKS_MAX);
        MUST(sa->child_count <= IKEV1_CHILDREN_MAX && sa->pending_count <= IKEV1_PENDING_MAX);
    }
}

static void set_up(struct ikev1_pair *pair, uint8_t how)
{
    const struct network any = {.address = address_ipv4(0), .prefix_bits = 0};
    const struct selector all = selector_of_network(&any);

    for (unsigned i = 0; i < 2; i++) {
        struct pair1_side *s = &pair->side[i];

        ikev1_pair_set_ike(pair, i, "aes128-sha1-ecp256");
        ikev1_pair_set_esp(pair, i, (how & 64) != 0 ? "aes128-sha1-ecp256" : "aes128-sha1");
        s->policy.ike_lifetime_ms = 3600000;
        s->policy.liveness_ms = 60000;
        s->policy.retransmit_tries = 4;
        s->says_initial_contact = true;
        s->policy.aggressive = s->responder.aggressive = (how & 2) != 0;
        s->policy.fragment_bytes = s->responder.fragment_bytes = (how & 16) != 0 ? 200 : 0;
        s->children_policy[0].lifetime_ms = 1200000;
        if ((how & 32) != 0) {
            s->children_policy[0].mode = IKEV1_MODE_TRANSPORT;
            s->local[0][0] = s->remote[0][0] = all;
        }
        if ((how & 4) != 0) {
            s->policy.certificates = &files.sides[i];
            s->responder.ecdsa_256 = true;
            s->now_s = TESTBED_NOW_S;
        }
        s->holds_asks = (how & 8) != 0;
    }
    pair->nat = (how & 1) != 0;
    if ((how & 128) != 0) {
        ikev1_pair_add_child(pair, 1);
        ikev1_pair_add_child(pair, 2);
    }
}

/* Nothing is lost any more, and questions are answered. */
static void heal(struct ikev1_pair *pair)
{
    for (unsigned i = 0; i < 2; i++) {
        pair->side[i].holds_asks = false;
        while (pair->side[i].ask_count > 0) {
            ikev1_pair_answer(pair, i, 0, true);
        }
    }
    ikev1_pair_advance(pair, 250000);
}

static bool works(struct ikev1_pair *pair)
{
    return ikev1_pair_machines(pair, 0) == 1 && ikev1_pair_machines(pair, 1) == 1 &&
           ikev1_pair_packet(pair, 0, "net") && ikev1_pair_packet(pair, 1, "net") &&
           ikev1_pair_agrees(pair);
}

static void close_both(struct ikev1_pair *pair)
{
    for (unsigned i = 0; i < 2; i++) {
        if (ikev1_pair_sa(pair, i) != NULL) {
            ikev1_pair_close(pair, i);
        }
    }
    ikev1_pair_advance(pair, 40000);
    MUST(ikev1_pair_is_empty(pair, 0) && ikev1_pair_is_empty(pair, 1));
}

static void check_tunnel(struct bed *bed)
{
    struct ikev1_pair *pair = bed->pair;

    if (ikev1_pair_sa(pair, 0) == NULL) {
        ikev1_pair_start(pair, 0);
    } else {
        ikev1_pair_start_child(pair, 0, 0);
    }
    ikev1_pair_advance(pair, 100000);
    if (bed->deleted && !works(pair)) {
        close_both(pair);
        ikev1_pair_start(pair, 0);
        ikev1_pair_advance(pair, 60000);
    }
    MUST(works(pair));
}

FUZZ(st_ikev1, 250)
{
    struct reader r = reader_over((struct slice){data, size});
    uint8_t how = read_u8(&r);

    if (files.root == NULL) {
        make_files();
    }
    struct bed bed = {.pair = ikev1_pair_new(how)};

    set_up(bed.pair, how);
    ikev1_pair_start(bed.pair, 0);
    for (unsigned i = 0; i < EVENTS_MAX && reader_left(&r) > 0; i++) {
        event(&bed, &r);
        check_bounds(&bed.pair->side[0]);
        check_bounds(&bed.pair->side[1]);
    }
    heal(bed.pair);
    if (!bed.lied) {
        check_tunnel(&bed);
    }
    close_both(bed.pair);
    ikev1_pair_free(bed.pair);
    return 0;
}
