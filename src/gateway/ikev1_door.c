/*
 * Main Mode without memory: while there are many half-open exchanges of IKEv1, message 1 is
 * answered and forgotten. RFC 2409 has no cookie exchange of its own, but message 2 is the same for
 * everybody who says the same in message 1, and its cookie comes back in message 3 (RFC
 * 2408 2.5.3). So our cookie says which message 1 it was and proves that whoever returns it was
 * sent message 2 at his address: only then is there a machine, which is given message 1 again and
 * then message 3.
 *
 * What is remembered is what message 1 said behind the initiator's cookie, once for all who say the
 * same: five hundred of them. The oldest makes room, but three quarters may be such as came back in
 * a message 3: who floods with another message each time pushes out what nobody returned.
 */
#include "gateway/inside.h"

#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "crypto/prf.h"

#define SLOTS 512
#define RETURNED_MAX (SLOTS / 4 * 3)
#define FIRST_BYTES_MAX 3072 /* longer ones are not remembered: they wait for better times */
#define FIXED_BYTES 8 /* the initiator's cookie */
#define SLOT_BITS 9
#define EPOCH_MS UINT64_C(120000)

_Static_assert(SLOTS == 1 << SLOT_BITS, "the cookie has the number of the slot");

struct first_message {
    uint8_t hash[32];
    uint64_t used; /* in the order of use */
    bool returned;
    size_t length;
    uint8_t *bytes; /* NULL: a free slot */
};

struct ikev1_door {
    uint8_t secret[32];
    uint64_t uses;
    size_t returned;
    struct first_message slots[SLOTS];
};

static struct ikev1_door *door_of(struct gateway *g)
{
    if (g->old_door == NULL) {
        g->old_door = calloc(1, sizeof(*g->old_door));
        if (g->old_door != NULL) {
            random_fill(g->random, g->old_door->secret, sizeof(g->old_door->secret));
        }
    }
    return g->old_door;
}

void ikev1_door_free(struct gateway *g)
{
    for (size_t i = 0; g->old_door != NULL && i < SLOTS; i++) {
        free(g->old_door->slots[i].bytes);
    }
    if (g->old_door != NULL) {
        wipe(g->old_door->secret, sizeof(g->old_door->secret));
    }
    free(g->old_door);
    g->old_door = NULL;
}

/* ---- what was said ---- */

static struct first_message *find(struct ikev1_door *door, const uint8_t hash[32])
{
    for (size_t i = 0; i < SLOTS; i++) {
        struct first_message *slot = &door->slots[i];

        if (slot->bytes != NULL && memcmp(slot->hash, hash, sizeof(slot->hash)) == 0) {
            return slot;
        }
    }
    return NULL;
}

static struct first_message *oldest(struct ikev1_door *door)
{
    struct first_message *oldest = NULL;
    bool any = door->returned >= RETURNED_MAX;

    for (size_t i = 0; i < SLOTS; i++) {
        struct first_message *slot = &door->slots[i];

        if (slot->bytes == NULL) {
            return slot;
        }
        if ((any || !slot->returned) && (oldest == NULL || slot->used < oldest->used)) {
            oldest = slot;
        }
    }
    return oldest;
}

static struct first_message *keep(struct ikev1_door *door, struct slice said)
{
    uint8_t hash[32];

    sha256(&said, 1, hash);
    struct first_message *slot = find(door, hash);

    if (slot == NULL) {
        uint8_t *bytes = malloc(said.length);

        slot = oldest(door);
        if (bytes == NULL) {
            return NULL;
        }
        memcpy(bytes, said.data, said.length);
        free(slot->bytes);
        door->returned -= slot->returned;
        *slot = (struct first_message){.bytes = bytes, .length = said.length};
        memcpy(slot->hash, hash, sizeof(hash));
    }
    slot->used = ++door->uses;
    return slot;
}

/* ---- cookies ---- */

/* 0: there is none. */
static uint64_t make_cookie(const struct ikev1_door *door, const struct first_message *slot,
                            uint64_t cookie_i, const struct endpoint *peer, uint64_t epoch)
{
    uint8_t fixed[8 + 8 + 1 + 16 + 2];
    uint8_t mac[32];
    uint64_t number = (uint64_t)(slot - door->slots);

    put_u64(fixed, cookie_i);
    put_u64(fixed + 8, epoch);
    fixed[16] = peer->address.family;
    memcpy(fixed + 17, peer->address.bytes, 16);
    put_u16(fixed + 33, peer->port);

    const struct slice parts[] = {SLICE_OF(fixed), SLICE_OF(slot->hash)};

    if (!prf(PRF_HMAC_SHA2_256, SLICE_OF(door->secret), parts, ARRAY_LENGTH(parts), mac)) {
        return 0;
    }
    return get_u64(mac) >> SLOT_BITS << SLOT_BITS | number;
}

static struct first_message *returned(struct ikev1_door *door, const struct ikev2_header *h,
                                      const struct endpoint *peer, uint64_t now_ms)
{
    struct first_message *slot = &door->slots[h->spi_r % SLOTS];
    uint64_t epoch = now_ms / EPOCH_MS;

    if (slot->bytes == NULL) {
        return NULL;
    }
    for (uint64_t age = 0; age <= 1 && age <= epoch; age++) {
        uint64_t cookie = make_cookie(door, slot, h->spi_i, peer, epoch - age);

        if (cookie != 0 && cookie == h->spi_r) {
            return slot;
        }
    }
    return NULL;
}

/* ---- the two messages ---- */

bool ikev1_door_answers(struct gateway *g, const struct endpoint *local,
                        const struct endpoint *peer, const struct ikev2_header *header,
                        struct slice message, uint64_t now_ms)
{
    if (header->exchange != IKEV1_MAIN || !admission_forgets_old(g, &peer->address)) {
        return false;
    }
    struct ikev1_door *door = door_of(g);
    struct slice said = {message.data + FIXED_BYTES, message.length - FIXED_BYTES};

    if (door == NULL || said.length > FIRST_BYTES_MAX) {
        g->refused_full++;
        return true;
    }
    const struct first_message *slot = keep(door, said);
    uint64_t cookie =
        slot == NULL ? 0 : make_cookie(door, slot, header->spi_i, peer, now_ms / EPOCH_MS);

    if (cookie != 0) {
        g->cookies_sent++;
        ike_answer_and_forget(g, local, peer, header, message, cookie, now_ms);
    }
    return true;
}

bool ikev1_door_returns(struct gateway *g, const struct endpoint *local,
                        const struct endpoint *peer, const struct ikev2_header *header,
                        struct slice message, uint64_t now_ms)
{
    uint8_t bytes[FIXED_BYTES + FIRST_BYTES_MAX];

    if (g->old_door == NULL || header->exchange != IKEV1_MAIN || header->spi_r == 0 ||
        header->message_id != 0 || (header->flags & IKEV1_FLAG_ENCRYPTED) != 0) {
        return false;
    }
    struct first_message *slot = returned(g->old_door, header, peer, now_ms);

    if (slot == NULL) {
        return false;
    }
    g->old_door->returned += !slot->returned;
    slot->returned = true;
    slot->used = ++g->old_door->uses;
    if (!admission_has_room_for_old(g, peer, OLD_PROVEN)) {
        return true;
    }
    g->responder_terms->old.half_open_ms = admission_old_half_open_ms(g, OLD_PROVEN);
    put_u64(bytes, header->spi_i);
    memcpy(bytes + FIXED_BYTES, slot->bytes, slot->length);
    ike_answer_returned(g, local, peer, header, (struct slice){bytes, FIXED_BYTES + slot->length},
                        message, now_ms);
    return true;
}
