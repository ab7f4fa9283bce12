/*
 * One event of the IKEv1 machine: memory that lives until the next one, the list of actions, and
 * the arithmetic of time.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/ikev1/machine.h"

/* ---- memory that ends with the turn ---- */

struct block {
    struct block *next;
    size_t bytes;
    _Alignas(16) uint8_t data[];
};

void *ikev1_block_new(size_t bytes)
{
    struct block *block = calloc(1, sizeof(*block) + bytes);

    if (block == NULL) {
        return NULL;
    }
    block->bytes = bytes;
    return block->data;
}

static void bury(struct ikev1_sa *sa, uintptr_t data)
{
    struct block *block = (void *)(data - offsetof(struct block, data));

    block->next = sa->buried;
    sa->buried = block;
}

void ikev1_block_bury(struct ikev1_sa *sa, void *memory)
{
    if (memory != NULL) {
        bury(sa, (uintptr_t)memory);
    }
}

void *ikev1_turn_memory(struct ikev1_sa *sa, size_t bytes)
{
    void *memory = ikev1_block_new(bytes);

    ikev1_block_bury(sa, memory);
    return memory;
}

bool ikev1_block_copy(struct slice bytes, struct slice *out)
{
    uint8_t *copy = ikev1_block_new(bytes.length);

    if (copy == NULL) {
        return false;
    }
    if (bytes.length > 0) {
        memcpy(copy, bytes.data, bytes.length);
    }
    *out = (struct slice){copy, bytes.length};
    return true;
}

void ikev1_block_drop(struct ikev1_sa *sa, struct slice *slice)
{
    if (slice->data != NULL) {
        bury(sa, (uintptr_t)slice->data);
    }
    *slice = (struct slice){NULL, 0};
}

bool ikev1_block_replace(struct ikev1_sa *sa, struct slice bytes, struct slice *out)
{
    ikev1_block_drop(sa, out);
    return ikev1_block_copy(bytes, out);
}

void ikev1_turn_clear(struct ikev1_sa *sa)
{
    struct block *block = sa->buried;

    sa->buried = NULL;
    while (block != NULL) {
        struct block *next = block->next;

        wipe(block->data, block->bytes);
        free(block);
        block = next;
    }
}

/* ---- actions ---- */

/* A child that goes is stopped and removed, with a Delete and a line for whoever watches, and
 * another one may be begun for it. An exchange gives back its SPIs and sends one message; of those
 * about logins and settings three may be open. The rest is told once. */
#define ACTIONS_OF_AN_EVENT                                                                        \
    (IKEV1_CHILDREN_MAX * 4 + IKEV1_QUICKS_MAX * 5 +                                               \
     IKEV1_IKES_MAX * (4 + IKEV1_FRAGMENTS_OUT_MAX + 3 * 2) + 16)
_Static_assert(ACTIONS_OF_AN_EVENT <= IKEV1_ACTIONS_MAX, "an event may have too many actions");

struct ikev1_action *ikev1_act(struct ikev1_turn *t, enum ikev1_action_kind kind)
{
    /* A machine that is freed tells nobody. */
    static _Thread_local struct ikev1_action nowhere;

    if (t->actions == NULL) {
        return &nowhere;
    }
    assert(t->actions->count < IKEV1_ACTIONS_MAX);
    struct ikev1_action *action = &t->actions->list[t->actions->count++];

    memset(action, 0, sizeof(*action));
    action->kind = kind;
    return action;
}

void ikev1_trace(struct ikev1_turn *t, bool sent, bool again, const struct ikev1_header *header,
                 struct slice chain)
{
    uint8_t *copy = ikev1_turn_memory(t->sa, chain.length);

    if (copy == NULL) {
        return;
    }
    if (chain.length > 0) {
        memcpy(copy, chain.data, chain.length);
    }
    if (header->exchange == IKEV1_TRANSACTION) {
        ikev1_blank_credentials(header->next_payload, copy, chain.length);
    }
    struct ikev1_action *action = ikev1_act(t, IKEV1_TRACE);

    action->trace.sent = sent;
    action->trace.retransmitted = again;
    action->trace.header = *header;
    action->trace.payloads = (struct slice){copy, chain.length};
}

struct ikev1_turn ikev1_turn_begin(struct ikev1_sa *sa, uint64_t now_ms,
                                   struct ikev1_actions *actions)
{
    ikev1_turn_clear(sa);
    return (struct ikev1_turn){.sa = sa, .now_ms = now_ms, .actions = actions};
}

uint32_t ikev1_question(struct ikev1_sa *sa)
{
    sa->next_question++;
    if (sa->next_question == 0) {
        sa->next_question = 1;
    }
    return sa->next_question;
}

/* ---- time ---- */

uint64_t ikev1_earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t ikev1_after(uint64_t now_ms, uint64_t wait_ms)
{
    return wait_ms >= NEVER_MS - now_ms ? NEVER_MS : now_ms + wait_ms;
}

static uint64_t random_up_to(struct ikev1_sa *sa, uint64_t bound_ms)
{
    if (bound_ms == 0) {
        return 0;
    }
    return bound_ms >= UINT32_MAX ? random_u64(sa->random) % bound_ms
                                  : random_below(sa->random, (uint32_t)bound_ms);
}

uint64_t ikev1_jittered(struct ikev1_sa *sa, uint64_t now_ms, uint64_t lifetime_ms, bool initiator)
{
    if (lifetime_ms == NEVER_MS) {
        return NEVER_MS;
    }
    uint64_t hundredth = lifetime_ms / 100;
    uint64_t least = hundredth * (initiator ? 80 : 88);

    return ikev1_after(now_ms, least + random_up_to(sa, hundredth * 7));
}

uint64_t ikev1_retry_ms(struct ikev1_sa *sa, uint64_t now_ms, unsigned retries)
{
    uint64_t wait_ms = IKEV1_RETRY_MAX_MS;

    if (retries < 5) {
        wait_ms = (uint64_t)IKEV1_RETRY_MS << retries;
    }
    return ikev1_after(now_ms, wait_ms + random_up_to(sa, wait_ms));
}
