/*
 * A peer who has the right keys and says whatever he likes: messages under way are opened, changed
 * and sealed again, and messages of any chain of payloads are made, for every stage from IKE_AUTH
 * on. The machine may refuse, close or agree, but it stays within its bounds and gives back all it
 * took.
 *
 * First byte: how many datagrams are delivered before (0 to 7); the algorithms of one recorded
 * conversation (0) or of the other (8), so that its proposals are agreed to; AH (16); all that is
 * agreed by notifies is wanted (32), and transport mode where it can be (64); additional key
 * exchanges for all (128).
 */
#include <string.h>

#include "fuzz.h"
#include "proto/ikev2/machine.h"
#include "proto/ikev2/sk.h"
#include "tests/support/ikev2_pair.h"

#define EVENTS_MAX 24
#define MESSAGE_BYTES_MAX 4096
#define CHAIN_BYTES_MAX 2048

static struct ikev2_ike *ike_of(const struct pair_side *s, uint64_t spi_i, uint64_t spi_r)
{
    for (struct ikev2_ike *ike = s->sa == NULL ? NULL : s->sa->ikes; ike != NULL; ike = ike->next) {
        if (ike->spi_i == spi_i && ike->spi_r == spi_r && ike->keys.suite.encryption != 0) {
            return ike;
        }
    }
    return NULL;
}

static void send_sealed(struct ikev2_pair *pair, unsigned from, struct ikev2_ike *ike,
                        const struct ikev2_header *h, uint8_t first, struct slice chain)
{
    static uint8_t room[MESSAGE_BYTES_MAX];
    struct writer w = writer_over(room, sizeof(room));
    struct endpoint local = pair->side[1 - from].sa->local;
    struct endpoint peer = pair->side[1 - from].sa->peer;

    if (ikev2_sk_seal(&ike->keys, ike->initiator, h, first, chain, &pair->side[from].random, &w)) {
        ikev2_pair_inject(pair, 1 - from, &local, &peer, writer_written(&w));
    }
}

/* The oldest datagram, with octets of its clear text replaced. */
static void change_and_deliver(struct ikev2_pair *pair, struct reader *r)
{
    static uint8_t buffer[MESSAGE_BYTES_MAX];
    static uint8_t chain[MESSAGE_BYTES_MAX];
    struct pair_datagram *d = &pair->queue[0];
    unsigned from = 1 - d->to;
    struct reader raw = reader_over((struct slice){d->bytes, d->length});
    struct ikev2_header h;
    struct ikev2_sk_opened opened;
    unsigned changes = read_u8(r) % 8;

    if (d->length > sizeof(buffer) || !ikev2_read_header(&raw, &h) ||
        pair->side[1 - from].sa == NULL) {
        ikev2_pair_deliver(pair, 0);
        return;
    }
    struct ikev2_ike *ike = ike_of(&pair->side[from], h.spi_i, h.spi_r);

    if (ike == NULL ||
        !ikev2_sk_open(&ike->keys, ike->initiator, (struct slice){d->bytes, d->length}, buffer,
                       &opened) ||
        opened.fragment || opened.chain.length == 0) {
        ikev2_pair_deliver(pair, 0);
        return;
    }
    memcpy(chain, opened.chain.data, opened.chain.length);
    for (unsigned i = 0; i < changes; i++) {
        uint16_t at = read_u16(r);

        chain[at % opened.chain.length] ^= read_u8(r);
    }
    size_t length = opened.chain.length;

    ikev2_pair_drop(pair, 0);
    send_sealed(pair, from, ike, &h, opened.first, (struct slice){chain, length});
}

/* A length that is too long ends with the chain, and SPIs of children are those of one that is
 * there: else hardly any chain would be looked into. */
static void repair(const struct pair_side *receiver, uint8_t first, uint8_t *chain, size_t length,
                   uint8_t choice)
{
    uint8_t type = first;
    size_t at = 0;

    while (type != IKEV2_NO_NEXT_PAYLOAD && at + 4 <= length) {
        size_t bytes = get_u16(chain + at + 2);

        if (bytes < 4 || at + bytes > length || (chain[at] == 0 && at + bytes < length)) {
            bytes = length - at;
            chain[at] = IKEV2_NO_NEXT_PAYLOAD;
            put_u16(chain + at + 2, (uint16_t)bytes);
        }
        bool names_child =
            (type == IKEV2_NOTIFY || type == IKEV2_DELETE) && bytes >= 12 && chain[at + 5] == 4;

        if (names_child && receiver->child_count > 0 && (choice & 0x80) != 0) {
            const struct pair_child *child = &receiver->children[choice % receiver->child_count];

            put_u32(chain + at + 8, child->spi_out);
        }
        type = chain[at];
        at += bytes;
    }
}

static void forge(struct ikev2_pair *pair, unsigned from, struct reader *r)
{
    static const uint8_t exchanges[] = {IKEV2_CREATE_CHILD_SA,  IKEV2_INFORMATIONAL,
                                        IKEV2_IKE_AUTH,         IKEV2_IKE_SA_INIT,
                                        IKEV2_IKE_INTERMEDIATE, 99,
                                        IKEV2_IKE_FOLLOWUP_KE};
    static uint8_t chain[CHAIN_BYTES_MAX];
    uint8_t choice = read_u8(r);
    uint8_t kind = read_u8(r);
    uint8_t first = read_u8(r);
    uint16_t wanted = read_u16(r);
    size_t length = wanted % (reader_left(r) + 1);

    if (pair->side[from].sa == NULL || pair->side[1 - from].sa == NULL || length > sizeof(chain)) {
        return;
    }
    struct ikev2_ike *ike = pair->side[from].sa->current;
    struct ikev2_ike *other =
        ike == NULL ? NULL : ike_of(&pair->side[1 - from], ike->spi_i, ike->spi_r);

    if (other == NULL || ike->keys.suite.encryption == 0) {
        return;
    }
    bool response = (kind & 1) != 0;
    uint32_t id = response ? other->request_id : other->expected_id;
    struct ikev2_header h = {
        .spi_i = ike->spi_i,
        .spi_r = ike->spi_r,
        .version = IKEV2_VERSION_2_0,
        .exchange = exchanges[(kind >> 1) % ARRAY_LENGTH(exchanges)],
        .flags = (uint8_t)((response ? IKEV2_FLAG_RESPONSE : 0) |
                           (ike->initiator ? IKEV2_FLAG_INITIATOR : 0)),
        .message_id = (kind & 0xe0) == 0xe0 ? id - 1 : id,
    };

    read_copy(r, chain, length);
    repair(&pair->side[1 - from], first, chain, length, choice);
    send_sealed(pair, from, ike, &h, first, (struct slice){chain, length});
}

static void order(struct ikev2_pair *pair, uint8_t kind, unsigned side)
{
    if (pair->side[side].sa == NULL) {
        return;
    }
    uint32_t spi = pair->side[side].child_count == 0 ? 0 : pair->side[side].children[0].spi_in;

    if (kind == 0) {
        ikev2_pair_rekey(pair, side);
    } else if (kind == 1) {
        ikev2_pair_rekey_child(pair, side, spi);
    } else if (kind == 2) {
        ikev2_pair_start_child(pair, side, 0);
    } else {
        ikev2_pair_close_child(pair, side, spi);
    }
}

static void event(struct ikev2_pair *pair, struct reader *r)
{
    uint8_t kind = read_u8(r);
    unsigned side = kind >> 7;

    kind &= 0x7f;
    if (kind < 48) {
        forge(pair, side, r);
    } else if (kind < 96) {
        if (pair->queue_count > 0) {
            change_and_deliver(pair, r);
        }
    } else if (kind < 112) {
        order(pair, kind % 4, side);
    } else if (kind < 120) {
        if (pair->queue_count > 0) {
            ikev2_pair_deliver(pair, 0);
        }
    } else {
        pair->now_ms += (uint64_t)1 << (read_u8(r) % 16);
        ikev2_pair_time(pair);
    }
}

static void check_side(const struct pair_side *s)
{
    if (s->sa != NULL) {
        MUST(s->sa->child_count <= IKEV2_CHILDREN_MAX);
        return;
    }
    MUST(s->ike_spi_count == 0);
    MUST(s->esp_spis_given == s->esp_spis_unused + s->child_count);
    for (size_t i = 0; i < s->child_count; i++) {
        MUST(s->children[i].removed);
    }
}

static void set_child(struct ikev2_child_policy *child, uint8_t how)
{
    bool notifies = (how & 32) != 0;

    child->compress = notifies;
    child->non_first_fragments = notifies;
    child->aggfrag.wanted = notifies;
    child->mode = (how & 64) != 0 ? IKEV2_MODE_PREFER_TRANSPORT : IKEV2_MODE_TUNNEL;
}

FUZZ(ikev2_authentic, 150)
{
    struct reader r = reader_over((struct slice){data, size});
    uint8_t how = read_u8(&r);
    unsigned delivered = how & 7;
    bool cbc = (how & 8) != 0;
    struct ikev2_pair *pair = ikev2_pair_new(1);

    MUST(pair != NULL);
    for (unsigned i = 0; i < 2; i++) {
        ikev2_pair_set_ike(pair, i, cbc ? "aes128-sha256-modp2048" : "aes256gcm16-sha384-ecp384");
        ikev2_pair_set_esp(pair, i, cbc ? "aes128-sha256-modp2048" : "aes256gcm16-ecp384");
        if ((how & 128) != 0) {
            ikev2_pair_set_ike(pair, i, "aes256gcm16-sha384-x25519-ke1_ecp256");
            ikev2_pair_set_esp(pair, i, "aes256gcm16-x25519-ke1_ecp256-ke2_ecp384");
        }
        if ((how & 16) != 0) {
            ikev2_pair_set_ah(pair, i, "sha256-x25519");
        }
        set_child(&pair->side[i].children_policy[0], how);
        pair->side[i].policy.liveness_ms = 20000;
        pair->side[i].policy.retransmit_tries = 3;
    }
    ikev2_pair_start(pair, 0);
    for (unsigned i = 0; i < delivered && pair->queue_count > 0; i++) {
        ikev2_pair_deliver(pair, 0);
    }
    for (unsigned i = 0; i < EVENTS_MAX && reader_left(&r) > 0; i++) {
        event(pair, &r);
    }
    ikev2_pair_advance(pair, 200000);
    check_side(&pair->side[0]);
    check_side(&pair->side[1]);
    ikev2_pair_free(pair);
    return 0;
}
