/*
 * One IKE SA's two windows of one message each (RFC 7296 2.1 to 2.3): decides what is sealed and
 * cut into fragments (RFC 7383), what is sent again and when, and which arriving messages count.
 */
#include "proto/ikev2/machine.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/ikev2/sk.h"

/* ---- memory that ends with the turn ---- */

struct block {
    struct block *next;
    size_t bytes;
    _Alignas(16) uint8_t data[];
};

/* A handshake wants the same few large blocks again and again, one event after the other: those
 * that were wiped last are kept by the thread, and are as good as new. */
#define SPARE_BLOCKS 4
#ifdef __SANITIZE_ADDRESS__
#define SPARE_BYTES_MIN SIZE_MAX /* whoever uses one too long is to be found */
#else
#define SPARE_BYTES_MIN 2048
#endif

static _Thread_local struct block *spares[SPARE_BLOCKS];

static struct block *spare_take(size_t bytes)
{
    for (size_t i = 0; i < SPARE_BLOCKS; i++) {
        struct block *block = spares[i];

        if (block != NULL && block->bytes == bytes) {
            spares[i] = NULL;
            return block;
        }
    }
    return NULL;
}

/* It is all zeros. */
static void spare_give(struct block *block)
{
    size_t place = 0;

    if (block->bytes < SPARE_BYTES_MIN) {
        free(block);
        return;
    }
    while (place < SPARE_BLOCKS && spares[place] != NULL) {
        place++;
    }
    if (place == SPARE_BLOCKS) {
        /* One of a size that is wanted no more makes room. */
        free(spares[0]);
        for (place = 0; place < SPARE_BLOCKS - 1; place++) {
            spares[place] = spares[place + 1];
        }
    }
    spares[place] = block;
}

void *ikev2_block_new(size_t bytes)
{
    struct block *block = bytes < SPARE_BYTES_MIN ? NULL : spare_take(bytes);

    if (block == NULL) {
        block = calloc(1, sizeof(*block) + bytes);
        if (block == NULL) {
            return NULL;
        }
        block->bytes = bytes;
    }
    return block->data;
}

void ikev2_block_bury(struct ikev2_sa *sa, void *memory)
{
    if (memory == NULL) {
        return;
    }
    struct block *block = (void *)((uint8_t *)memory - offsetof(struct block, data));

    block->next = sa->buried;
    sa->buried = block;
}

void *ikev2_turn_memory(struct ikev2_sa *sa, size_t bytes)
{
    void *memory = ikev2_block_new(bytes);

    ikev2_block_bury(sa, memory);
    return memory;
}

bool ikev2_block_copy(struct slice bytes, struct slice *out)
{
    uint8_t *copy = ikev2_block_new(bytes.length);

    if (copy == NULL) {
        return false;
    }
    if (bytes.length > 0) {
        memcpy(copy, bytes.data, bytes.length);
    }
    *out = (struct slice){copy, bytes.length};
    return true;
}

void ikev2_block_drop(struct ikev2_sa *sa, struct slice *slice)
{
    if (slice->data != NULL) {
        struct block *block = (void *)((uintptr_t)slice->data - offsetof(struct block, data));

        block->next = sa->buried;
        sa->buried = block;
    }
    *slice = (struct slice){NULL, 0};
}

void ikev2_turn_clear(struct ikev2_sa *sa)
{
    struct block *block = sa->buried;

    sa->buried = NULL;
    while (block != NULL) {
        struct block *next = block->next;

        wipe(block->data, block->bytes);
        spare_give(block);
        block = next;
    }
}

/* A child that is deleted is stopped and removed, uses its predecessor again and stops the one
 * before that. Of each IKE SA a whole message may go out in the smallest fragments (576 octets,
 * with less than 96 around the content), with a line for whoever watches. The rest is what is told
 * once. */
#define ACTIONS_OF_A_CHILD 4
#define ACTIONS_OF_AN_IKE_SA (IKEV2_OUTGOING_BYTES_MAX / (576 - 96) + 2)
#define ACTIONS_OF_AN_EVENT                                                                        \
    (IKEV2_CHILDREN_MAX * (ACTIONS_OF_A_CHILD) + IKEV2_IKES_MAX * (ACTIONS_OF_AN_IKE_SA) + 16)
_Static_assert(ACTIONS_OF_AN_EVENT <= IKEV2_ACTIONS_MAX, "an event may have too many actions");

struct ikev2_action *ikev2_act(struct ikev2_turn *t, enum ikev2_action_kind kind)
{
    /* A machine that is freed tells nobody. */
    static _Thread_local struct ikev2_action nowhere;

    if (t->actions == NULL) {
        return &nowhere;
    }
    /* The bounds on children, IKE SAs and fragments keep every event below this. */
    assert(t->actions->count < IKEV2_ACTIONS_MAX);
    struct ikev2_action *action = &t->actions->list[t->actions->count++];

    memset(action, 0, sizeof(*action));
    action->kind = kind;
    return action;
}

/* ---- an IKE SA ---- */

uint64_t ikev2_fresh_spi(struct ikev2_sa *sa)
{
    uint64_t spi = 0;

    while (spi == 0) {
        spi = random_u64(sa->random);
    }
    return spi;
}

uint64_t ikev2_ike_own_spi(const struct ikev2_ike *ike)
{
    return ike->initiator ? ike->spi_i : ike->spi_r;
}

/* What all machines of a thread may hold of messages that are not complete (RFC 7383 4): those who
 * called us and proved nothing yet take no room from the others. */
static _Thread_local struct fragments_budget strangers = {.limit_bytes = FRAGMENTS_BUDGET_BYTES};
static _Thread_local struct fragments_budget known = {.limit_bytes = FRAGMENTS_BUDGET_BYTES};

static void give_room(struct ikev2_ike *ike, struct fragments_budget *budget)
{
    fragments_init(&ike->request_fragments, budget);
    fragments_init(&ike->response_fragments, budget);
}

void ikev2_ike_is_known(struct ikev2_ike *ike)
{
    fragments_reset(&ike->request_fragments);
    fragments_reset(&ike->response_fragments);
    give_room(ike, &known);
}

struct ikev2_ike *ikev2_ike_new(struct ikev2_turn *t, bool initiator, uint64_t spi_i,
                                uint64_t spi_r)
{
    size_t count = 0;

    for (const struct ikev2_ike *other = t->sa->ikes; other != NULL; other = other->next) {
        count++;
    }
    if (count >= IKEV2_IKES_MAX) {
        return NULL;
    }
    struct ikev2_ike *ike = ikev2_block_new(sizeof(*ike));

    if (ike == NULL) {
        return NULL;
    }
    ike->initiator = initiator;
    ike->spi_i = spi_i;
    ike->spi_r = spi_r;
    ike->rekey_ms = NEVER_MS;
    ike->expire_ms = NEVER_MS;
    ike->drop_ms = NEVER_MS;
    retransmit_stop(&ike->retransmit);
    give_room(ike, t->sa->initiator || t->sa->established ? &known : &strangers);
    ike->next = t->sa->ikes;
    t->sa->ikes = ike;
    ikev2_act(t, IKEV2_TELL_SPI_ADDED)->ike_spi = ikev2_ike_own_spi(ike);
    return ike;
}

void ikev2_ike_forget(struct ikev2_turn *t, struct ikev2_ike *ike)
{
    struct ikev2_sa *sa = t->sa;
    struct ikev2_ike **link = &sa->ikes;

    while (*link != ike) {
        link = &(*link)->next;
    }
    *link = ike->next;
    if (sa->current == ike) {
        sa->current = NULL;
    }
    ikev2_work_end(t, &ike->asking);
    ikev2_work_end(t, &ike->answering);
    ikev2_block_bury(sa, ike->request);
    ikev2_block_bury(sa, ike->response);
    fragments_reset(&ike->request_fragments);
    fragments_reset(&ike->response_fragments);
    ikev2_keys_fini(&ike->keys);
    ikev2_act(t, IKEV2_TELL_SPI_REMOVED)->ike_spi = ikev2_ike_own_spi(ike);
    ikev2_block_bury(sa, ike);
}

struct ikev2_ike *ikev2_ike_by_own_spi(const struct ikev2_sa *sa, uint64_t spi)
{
    for (struct ikev2_ike *ike = sa->ikes; ike != NULL; ike = ike->next) {
        if (ikev2_ike_own_spi(ike) == spi) {
            return ike;
        }
    }
    return NULL;
}

/* ---- sending ---- */

void ikev2_trace(struct ikev2_turn *t, bool sent, bool again, const struct ikev2_header *header,
                 uint8_t first, struct slice chain)
{
    uint8_t *copy = ikev2_turn_memory(t->sa, chain.length);

    if (copy == NULL) {
        return;
    }
    if (chain.length > 0) {
        memcpy(copy, chain.data, chain.length);
    }
    struct ikev2_action *action = ikev2_act(t, IKEV2_TRACE);

    action->trace.sent = sent;
    action->trace.retransmitted = again;
    action->trace.header = *header;
    action->trace.first = first;
    action->trace.payloads = (struct slice){copy, chain.length};
}

static void send_datagrams(struct ikev2_turn *t, const struct ikev2_sent *sent,
                           const struct endpoint *local, const struct endpoint *peer,
                           bool dont_fragment)
{
    struct reader r = reader_over((struct slice){sent->data, sent->bytes});

    while (reader_left(&r) > 0) {
        size_t length = read_u16(&r);
        struct slice datagram = read_bytes(&r, length);
        struct ikev2_action *action = ikev2_act(t, IKEV2_SEND);

        action->send.local = *local;
        action->send.peer = *peer;
        action->send.bytes = datagram;
        action->send.dont_fragment = dont_fragment;
    }
    assert(reader_done(&r));
}

void ikev2_resend(struct ikev2_turn *t, const struct ikev2_sent *sent, const struct endpoint *local,
                  const struct endpoint *peer)
{
    send_datagrams(t, sent, local, peer, false);
}

struct ikev2_header ikev2_header_of(const struct ikev2_ike *ike, uint8_t exchange, bool response,
                                    uint32_t message_id)
{
    return (struct ikev2_header){
        .spi_i = ike->spi_i,
        .spi_r = ike->spi_r,
        .version = IKEV2_VERSION_2_0,
        .exchange = exchange,
        .flags = (uint8_t)((ike->initiator ? IKEV2_FLAG_INITIATOR : 0) |
                           (response ? IKEV2_FLAG_RESPONSE : 0)),
        .message_id = message_id,
    };
}

/* The chain in `count` messages: one with SK, or fragments whose content has `content_bytes`. */
static bool seal_into(struct ikev2_turn *t, struct ikev2_ike *ike,
                      const struct ikev2_header *header, const struct ikev2_outgoing *o,
                      size_t content_bytes, size_t count, struct writer *w)
{
    struct slice chain = writer_written(&o->w);

    for (size_t number = 1; number <= count; number++) {
        size_t length_at = w->length;

        write_u16(w, 0);
        if (!writer_ok(w)) {
            return false;
        }
        struct writer out = writer_over(w->data + w->length, w->capacity - w->length);
        bool sealed = count == 1 ? ikev2_sk_seal(&ike->keys, ike->initiator, header, o->first,
                                                 chain, t->sa->random, &out)
                                 : ikev2_skf_seal(&ike->keys, ike->initiator, header, o->first,
                                                  (uint16_t)number, (uint16_t)count,
                                                  fragments_content(chain, content_bytes, number),
                                                  t->sa->random, &out);
        if (!sealed || out.length > UINT16_MAX) {
            return false;
        }
        (void)write_reserve(w, out.length);
        write_u16_at(w, length_at, (uint16_t)out.length);
    }
    return writer_ok(w);
}

static struct ikev2_sent *seal(struct ikev2_turn *t, struct ikev2_ike *ike,
                               const struct ikev2_header *header, const struct ikev2_outgoing *o)
{
    const struct ikev2_sa *sa = t->sa;
    struct slice chain = writer_written(&o->w);

    if (!writer_ok(&o->w)) {
        return NULL;
    }
    size_t whole = ikev2_sk_message_bytes(&ike->keys.suite, chain.length, false);
    size_t limit =
        fragments_message_bytes(sa->fragment_bytes, sa->peer.address.family, sa->peer.port != 500);
    size_t room = ikev2_sk_room(&ike->keys.suite, limit, true);
    size_t count = 1;

    /* RFC 9329 7.5: a stream cuts by itself. */
    if (sa->fragmentation && !sa->peer.tcp && !o->probe && whole > limit && room > 0) {
        count = fragments_count(chain.length, room);
        /* Too long even for fragments: the network may still carry it whole. */
        count = count == 0 ? 1 : count;
    }
    size_t bytes = count == 1 ? whole + 2 : count * (limit + 2);
    struct ikev2_sent *sent = ikev2_block_new(sizeof(*sent) + bytes);

    if (sent == NULL) {
        return NULL;
    }
    struct writer w = writer_over(sent->data, bytes);

    if (!seal_into(t, ike, header, o, room, count, &w)) {
        ikev2_block_bury(t->sa, sent);
        return NULL;
    }
    sent->bytes = w.length;
    ikev2_trace(t, true, false, header, o->first, chain);
    return sent;
}

static void out_of_memory(struct ikev2_turn *t, uint8_t exchange)
{
    ikev2_over_for(t, IKEV2_FAIL_RESOURCES, exchange, 0, "a message could not be made");
}

static void request_open(struct ikev2_turn *t, struct ikev2_ike *ike, struct ikev2_sent *sent,
                         uint8_t exchange, bool probe)
{
    struct ikev2_sa *sa = t->sa;

    ikev2_block_bury(sa, ike->request);
    ike->request = sent;
    ike->request_exchange = exchange;
    retransmit_start(&ike->retransmit, sa->policy->retransmit_first_ms,
                     sa->policy->retransmit_max_ms, sa->policy->retransmit_tries, t->now_ms,
                     sa->random);
    send_datagrams(t, sent, &sa->local, &sa->peer, probe);
}

bool ikev2_send_request(struct ikev2_turn *t, struct ikev2_ike *ike, uint8_t exchange,
                        struct ikev2_outgoing *o)
{
    assert(ike->request == NULL);
    struct ikev2_header header = ikev2_header_of(ike, exchange, false, ike->request_id);
    struct ikev2_sent *sent = seal(t, ike, &header, o);

    if (sent == NULL) {
        out_of_memory(t, exchange);
        return false;
    }
    request_open(t, ike, sent, exchange, o->probe);
    return true;
}

bool ikev2_send_response(struct ikev2_turn *t, struct ikev2_ike *ike, struct ikev2_outgoing *o)
{
    assert(ike->busy);
    struct ikev2_header header = ikev2_header_of(ike, ike->busy_exchange, true, ike->expected_id);
    struct ikev2_sent *sent = seal(t, ike, &header, o);

    if (sent == NULL) {
        out_of_memory(t, ike->busy_exchange);
        return false;
    }
    ikev2_block_bury(t->sa, ike->response);
    ike->response = sent;
    ike->expected_id++;
    ike->busy = false;
    ikev2_resend(t, sent, &ike->reply_local, &ike->reply_peer);
    return true;
}

void ikev2_send_notify(struct ikev2_turn *t, struct ikev2_ike *ike, uint16_t type,
                       struct slice data)
{
    struct ikev2_outgoing o NOT_ZEROED;

    ikev2_out_begin(&o);
    ikev2_out_notify(&o, type, data);
    ikev2_send_response(t, ike, &o);
}

void ikev2_send_clear(struct ikev2_turn *t, struct ikev2_ike *ike, struct slice message,
                      bool request)
{
    struct ikev2_sent *sent = ikev2_block_new(sizeof(*sent) + message.length + 2);
    struct ikev2_header header;
    struct reader r = reader_over(message);

    if (sent == NULL || message.length > UINT16_MAX || !ikev2_read_header(&r, &header)) {
        ikev2_block_bury(t->sa, sent);
        out_of_memory(t, IKEV2_IKE_SA_INIT);
        return;
    }
    put_u16(sent->data, (uint16_t)message.length);
    memcpy(sent->data + 2, message.data, message.length);
    sent->bytes = message.length + 2;
    ikev2_trace(t, true, false, &header, header.next_payload, read_rest(&r));
    if (request) {
        request_open(t, ike, sent, IKEV2_IKE_SA_INIT, false);
        return;
    }
    ikev2_block_bury(t->sa, ike->response);
    ike->response = sent;
    ike->expected_id = 1;
    ike->busy = false;
    ikev2_resend(t, sent, &ike->reply_local, &ike->reply_peer);
}

void ikev2_request_done(struct ikev2_turn *t, struct ikev2_ike *ike)
{
    if (ike->request != NULL) {
        ikev2_block_bury(t->sa, ike->request);
        ike->request = NULL;
        ike->request_id++;
    }
    retransmit_stop(&ike->retransmit);
    fragments_reset(&ike->response_fragments);
}

/* A request of ours as it was sent, for whoever watches: only that it went out again. */
static void trace_again(struct ikev2_turn *t, const struct ikev2_ike *ike)
{
    struct ikev2_header header =
        ikev2_header_of(ike, ike->request_exchange, false, ike->request_id);

    ikev2_trace(t, true, true, &header, IKEV2_NO_NEXT_PAYLOAD, (struct slice){NULL, 0});
}

void ikev2_request_again(struct ikev2_turn *t, struct ikev2_ike *ike, bool anew)
{
    const struct ikev2_policy *policy = t->sa->policy;

    trace_again(t, ike);
    ikev2_resend(t, ike->request, &t->sa->local, &t->sa->peer);
    if (anew) {
        retransmit_start(&ike->retransmit, policy->retransmit_first_ms, policy->retransmit_max_ms,
                         policy->retransmit_tries, t->now_ms, t->sa->random);
    }
}

bool ikev2_ike_time(struct ikev2_turn *t, struct ikev2_ike *ike)
{
    fragments_time(&ike->request_fragments, t->now_ms);
    fragments_time(&ike->response_fragments, t->now_ms);
    if (ike->request == NULL) {
        return true;
    }
    switch (retransmit_time(&ike->retransmit, t->now_ms, t->sa->random)) {
    case RETRANSMIT_WAIT:
        return true;
    case RETRANSMIT_SEND:
        /* RFC 9329 6.2: only over a new connection (ikev2_stream_resend()). */
        if (t->sa->peer.tcp) {
            return true;
        }
        ikev2_init_sink(t->sa, ike->retransmit.again);
        trace_again(t, ike);
        ikev2_resend(t, ike->request, &t->sa->local, &t->sa->peer);
        return true;
    case RETRANSMIT_GIVE_UP:
        return false;
    }
    return true;
}

/* ---- receiving ---- */

/* RFC 7296 2.1, RFC 7383 2.6.1: the last answer goes out again when the whole last request, or
 * its first fragment, arrives again. It must be authentic: nobody else can make us send. */
static void answer_again(struct ikev2_turn *t, struct ikev2_ike *ike, struct slice message,
                         const struct endpoint *local, const struct endpoint *peer)
{
    struct ikev2_sk_opened opened;
    uint8_t *buffer = ikev2_turn_memory(t->sa, message.length);

    const struct ikev2_handshake *h = t->sa->handshake;
    bool has_before = h != NULL && h->before.suite.encryption != ENCRYPTION_NONE;

    if (ike->response == NULL || buffer == NULL ||
        (!ikev2_sk_open(&ike->keys, !ike->initiator, message, buffer, &opened) &&
         !(has_before && ikev2_sk_open(&h->before, !ike->initiator, message, buffer, &opened)))) {
        return;
    }
    if (!opened.fragment || opened.number == 1) {
        ikev2_resend(t, ike->response, local, peer);
    }
}

/* Which of the messages under a correct pair of SPIs are worth decrypting. */
static bool is_in_window(const struct ikev2_ike *ike, const struct ikev2_header *header)
{
    if ((header->flags & IKEV2_FLAG_RESPONSE) != 0) {
        return ike->request != NULL && header->message_id == ike->request_id &&
               header->exchange == ike->request_exchange;
    }
    return header->message_id == ike->expected_id && !ike->busy && ike->phase != IKEV2_IKE_GONE;
}

/* True when the message is whole now. */
static bool put_together(struct ikev2_turn *t, struct fragments *f,
                         const struct ikev2_header *header, const struct ikev2_sk_opened *opened,
                         struct ikev2_message *m)
{
    if (!opened->fragment) {
        m->first = opened->first;
        m->chain = opened->chain;
        return true;
    }
    if (fragments_add(f, header->message_id, opened->number, opened->total, opened->first,
                      opened->chain, t->now_ms) != FRAGMENTS_COMPLETE) {
        return false;
    }
    struct slice chain = fragments_take(f, &m->first);
    uint8_t *copy = ikev2_turn_memory(t->sa, chain.length);

    if (copy == NULL) {
        return false;
    }
    memcpy(copy, chain.data, chain.length);
    m->chain = (struct slice){copy, chain.length};
    fragments_reset(f);
    return true;
}

/* RFC 7296 2.23: where an authentic and new message came from is where the peer is now, if he is
 * behind a NAT. Before he is authenticated he moves by floating to port 4500. */
static void follow(struct ikev2_turn *t, const struct endpoint *local, const struct endpoint *peer)
{
    struct ikev2_sa *sa = t->sa;

    if (endpoint_equal(&sa->peer, peer) && endpoint_equal(&sa->local, local)) {
        return;
    }
    /* RFC 4555 3.8: who is mobile says so when he moves, and may ask from anywhere; through another
     * connection he comes all the same (RFC 9329 6.1). */
    if (sa->established && (!sa->nat_peer || sa->mobile) && !ikev2_stream_may_follow(sa, peer)) {
        return;
    }
    bool moved = !endpoint_equal(&sa->peer, peer);

    if (moved && sa->established && !peer->tcp && !ikev2_follow_is_allowed(t)) {
        return;
    }
    sa->peer = *peer;
    sa->local = *local;
    if (moved && sa->established) {
        ikev2_tell_moved(t, true);
    }
    if (moved && peer->tcp) {
        ikev2_stream_resend(t);
    }
}

bool ikev2_receive_protected(struct ikev2_turn *t, struct ikev2_ike *ike,
                             const struct ikev2_header *header, struct slice message,
                             const struct endpoint *local, const struct endpoint *peer,
                             struct ikev2_message *m)
{
    struct ikev2_sa *sa = t->sa;
    bool response = (header->flags & IKEV2_FLAG_RESPONSE) != 0;
    struct fragments *f = response ? &ike->response_fragments : &ike->request_fragments;
    uint16_t number;
    uint16_t total;

    if (!response && header->message_id + 1 == ike->expected_id) {
        answer_again(t, ike, message, local, peer);
        return false;
    }
    if (!is_in_window(ike, header)) {
        return false;
    }
    if (ikev2_skf_peek(message, &number, &total) &&
        (!sa->fragmentation || !fragments_wants(f, header->message_id, number, total))) {
        return false;
    }
    struct ikev2_sk_opened opened;
    uint8_t *buffer = ikev2_turn_memory(sa, message.length);

    if (buffer == NULL || !ikev2_sk_open(&ike->keys, !ike->initiator, message, buffer, &opened)) {
        return false;
    }
    sa->heard_ms = t->now_ms;
    ike->hold_ms = 0;
    if (!put_together(t, f, header, &opened, m)) {
        return false;
    }
    follow(t, local, peer);
    m->header = *header;
    m->local = *local;
    m->peer = *peer;
    ikev2_trace(t, false, false, header, m->first, m->chain);
    if (!response) {
        /* A window of one: whoever asks anew has our answer to what he asked before. */
        for (struct ikev2_child *child = sa->children; child != NULL; child = child->next) {
            if (child->asked_ike_spi == ikev2_ike_own_spi(ike)) {
                child->confirm_ms = 0;
            }
        }
        ike->busy = true;
        ike->busy_exchange = header->exchange;
        ike->reply_local = *local;
        ike->reply_peer = *peer;
    }
    return true;
}
