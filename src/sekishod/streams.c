/*
 * Decides who may have a TCP connection and for how long, what is kept of one that is slow in
 * either direction, and when one is over.
 */
#include "sekishod/streams.h"

#include "base/table.h"
#include "host/clock.h"
#include "wire/ike_stream.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READ_BYTES (256 * 1024)
#define ROOM_BYTES (65536 + READ_BYTES)
#define ACCEPTS_A_TURN 64
#define CHECK_MS 500
/* A handshake with long certificates; whoever proved himself may send what a length can say. */
#define STRANGER_MESSAGE_MAX 32768
#define OPENING_MS 10000
/* So many messages in a row that are no good: keys or lengths do not fit any more. A few come when
 * an SA is taken out on one side first. */
#define NONSENSE_MESSAGES 512
#define KEY_BYTES 38

const struct streams_limits streams_usual_limits = {
    .connections = 1024,
    .strangers = 256,
    .strangers_of_address = 16,
    .stranger_ms = 15000,
    .stranger_bytes = 256 * 1024,
    .released_ms = 5000,
    .queue_bytes = 256 * 1024,
    .queues_bytes = 64 * 1024 * 1024,
};

struct stream {
    struct streams *all;
    struct loop_source source;
    struct stream *next, *previous; /* of all, newest first */
    struct stream *next_todo, *next_event;
    struct endpoint local, peer;
    bool ours; /* we opened it */
    bool open; /* else it is being opened */
    bool closed; /* only its event is left */
    bool known; /* an established IKE SA goes through it */
    bool released; /* none does any more */
    bool doomed; /* the reading thread is to close it */
    bool watched; /* in the loop */
    bool writes; /* the loop tells when it can be written to */
    bool in_todo, has_event;
    uint64_t since_ms, deadline_ms;
    struct stream_event event;
    /* Of the reading thread alone. */
    struct ike_stream reading;
    size_t read_bytes, bad;
    uint8_t *kept; /* the beginning of a message */
    size_t kept_bytes, kept_capacity;
    /* Unsent octets, a ring. */
    uint8_t *queue;
    size_t queue_at, queued;
};

struct listener {
    struct streams *all;
    struct loop_source source;
    bool paused;
};

struct streams {
    struct streams_limits limits;
    struct wake *control;
    struct loop *loop;
    struct wake wake;
    bool has_wake;
    void (*ready)(void *context);
    void *context;
    struct listener listeners[STREAMS_LISTENERS_MAX];
    size_t listener_count;

    /* Of the reading thread alone: the connection that is being read. */
    struct stream *current;
    struct slice bytes;
    enum ike_stream_result result;
    uint8_t *room;
    _Atomic uint64_t now_ms;
    uint64_t check_ms;

    atomic_bool has_todo, has_events;
    pthread_mutex_t lock; /* of all below, and of what is not the reading thread's in a stream */
    struct table by_ends;
    struct stream *first;
    struct stream *todo;
    struct stream *events, *events_last;
    size_t count;
    size_t queues_bytes;
    struct streams_status status;
};

/* ---- names ---- */

const char *stream_end_name(enum stream_end end)
{
    static const char *const names[STREAM_ENDS] = {
        [STREAM_END_FULL] = "full",
        [STREAM_END_ADDRESS] = "address",
        [STREAM_END_CROWD] = "crowd",
        [STREAM_END_NOT_IKE] = "not-ike",
        [STREAM_END_BAD_LENGTH] = "bad-length",
        [STREAM_END_TOO_LONG] = "too-long",
        [STREAM_END_SILENT] = "silent",
        [STREAM_END_TOO_MUCH] = "too-much",
        [STREAM_END_NONSENSE] = "nonsense",
        [STREAM_END_STUCK] = "stuck",
    };

    return names[end];
}

const char *stream_end_sentence(enum stream_end end)
{
    static const char *const sentences[STREAM_ENDS] = {
        [STREAM_END_FULL] = "refused: there are as many connections as there may be",
        [STREAM_END_ADDRESS] = "refused: too many from one address that are not established",
        [STREAM_END_CROWD] = "closed: it was the oldest of too many that are not established",
        [STREAM_END_NOT_IKE] = "closed: it does not begin with IKETCP",
        [STREAM_END_BAD_LENGTH] = "closed: it said a length of 0 or 1",
        [STREAM_END_TOO_LONG] = "closed: it said a length that is too long for a message",
        [STREAM_END_SILENT] = "closed: nothing was established in time",
        [STREAM_END_TOO_MUCH] = "closed: more was sent than a handshake takes",
        [STREAM_END_NONSENSE] = "closed: no good message came for long",
        [STREAM_END_STUCK] = "closed: the other side does not read",
    };

    return sentences[end];
}

/* ---- which one ---- */

static struct slice key_of(const struct endpoint *local, const struct endpoint *peer,
                           uint8_t key[KEY_BYTES])
{
    key[0] = local->address.family;
    memcpy(key + 1, local->address.bytes, 16);
    put_u16(key + 17, local->port);
    key[19] = peer->address.family;
    memcpy(key + 20, peer->address.bytes, 16);
    put_u16(key + 36, peer->port);
    return (struct slice){key, KEY_BYTES};
}

static struct stream *find(const struct streams *all, const struct endpoint *local,
                           const struct endpoint *peer)
{
    uint8_t key[KEY_BYTES];

    return table_find(&all->by_ends, key_of(local, peer, key));
}

static bool is_stranger(const struct stream *s)
{
    return !s->ours && !s->known;
}

static bool same_place(const struct address *a, const struct address *b)
{
    return a->family == b->family &&
           memcmp(a->bytes, b->bytes, a->family == FAMILY_IPV4 ? 4 : 8) == 0;
}

/* ---- what others want of the reading thread; under the lock ---- */

static void put_todo(struct stream *s)
{
    struct streams *all = s->all;

    if (!s->in_todo) {
        s->in_todo = true;
        s->next_todo = all->todo;
        all->todo = s;
        atomic_store(&all->has_todo, true);
        wake_up(&all->wake);
    }
}

static void doom(struct stream *s)
{
    s->doomed = true;
    put_todo(s);
}

static void count_end(struct streams *all, enum stream_end end, const struct endpoint *peer)
{
    all->status.ends[end]++;
    all->status.last_end = end;
    all->status.last_peer = *peer;
}

static void put_event(struct stream *s, enum stream_event_kind kind, const char *why)
{
    struct streams *all = s->all;

    s->event.kind = kind;
    s->event.local = s->local;
    s->event.peer = s->peer;
    snprintf(s->event.why, sizeof(s->event.why), "%s", why);
    if (!s->has_event) {
        s->has_event = true;
        s->next_event = NULL;
        if (all->events_last == NULL) {
            all->events = s;
        } else {
            all->events_last->next_event = s;
        }
        all->events_last = s;
    }
    atomic_store(&all->has_events, true);
    wake_up(all->control);
}

/* ---- life; under the lock ---- */

static void drop_queue(struct stream *s)
{
    if (s->queue != NULL) {
        free(s->queue);
        s->queue = NULL;
        s->all->queues_bytes -= s->all->limits.queue_bytes;
    }
    s->queue_at = 0;
    s->queued = 0;
}

static void forget_todo(struct stream *s)
{
    struct stream **link = &s->all->todo;

    while (s->in_todo && *link != s) {
        link = &(*link)->next_todo;
    }
    if (s->in_todo) {
        *link = s->next_todo;
        s->in_todo = false;
    }
}

/* By the reading thread alone. */
static void close_stream(struct stream *s, const char *why, bool at_once)
{
    struct streams *all = s->all;
    uint8_t key[KEY_BYTES];

    if (s->watched) {
        loop_remove(all->loop, &s->source);
    }
    connection_close(s->source.fd, at_once);
    s->source.fd = -1;
    s->closed = true;
    forget_todo(s);
    drop_queue(s);
    free(s->kept);
    s->kept = NULL;
    if (s->open && find(all, &s->local, &s->peer) == s) {
        (void)table_remove(&all->by_ends, key_of(&s->local, &s->peer, key));
    }
    if (s->previous != NULL) {
        s->previous->next = s->next;
    } else {
        all->first = s->next;
    }
    if (s->next != NULL) {
        s->next->previous = s->previous;
    }
    all->count--;
    if (all->current == s) {
        all->current = NULL;
    }
    /* Whoever was not told that it is open is told that it is not. */
    if (s->ours && (!s->open || (s->has_event && s->event.kind == STREAM_OPENED))) {
        put_event(s, STREAM_REFUSED, why);
    } else if ((s->ours || s->known) && !s->released) {
        put_event(s, STREAM_LOST, why);
    } else if (!s->has_event) {
        free(s);
    }
}

static void end_stream(struct stream *s, enum stream_end end)
{
    count_end(s->all, end, &s->peer);
    close_stream(s, stream_end_sentence(end), true);
}

static struct stream *new_stream(struct streams *all, int fd, const struct endpoint *peer,
                                 bool ours, uint64_t now_ms)
{
    struct stream *s = calloc(1, sizeof(*s));

    if (s == NULL) {
        return NULL;
    }
    s->all = all;
    s->source.fd = fd;
    s->peer = *peer;
    s->ours = ours;
    s->since_ms = now_ms;
    s->next = all->first;
    if (all->first != NULL) {
        all->first->previous = s;
    }
    all->first = s;
    all->count++;
    s->reading = (struct ike_stream){
        .wants_prefix = !ours,
        .message_max = ours ? IKE_STREAM_MESSAGE_MAX : STRANGER_MESSAGE_MAX,
    };
    return s;
}

/* ---- sending; under the lock ---- */

static bool has_queue(struct stream *s)
{
    struct streams *all = s->all;

    if (s->queue == NULL &&
        all->queues_bytes + all->limits.queue_bytes <= all->limits.queues_bytes) {
        s->queue = malloc(all->limits.queue_bytes);
        all->queues_bytes += s->queue != NULL ? all->limits.queue_bytes : 0;
    }
    return s->queue != NULL;
}

/* There is room. */
static void enqueue(struct stream *s, struct slice bytes)
{
    size_t capacity = s->all->limits.queue_bytes;
    size_t at = (s->queue_at + s->queued) % capacity;
    size_t first = capacity - at < bytes.length ? capacity - at : bytes.length;

    assert(s->queued + bytes.length <= capacity);
    memcpy(s->queue + at, bytes.data, first);
    memcpy(s->queue, bytes.data + first, bytes.length - first);
    s->queued += bytes.length;
    if (!s->writes) {
        put_todo(s);
    }
}

/* Whether so many octets may wait; ESP leaves a quarter to IKE. */
static bool has_room(struct stream *s, size_t bytes, bool ike)
{
    size_t most = s->all->limits.queue_bytes;

    return s->queued + bytes <= (ike ? most : most / 4 * 3) && has_queue(s);
}

static struct stream *find_to_send(struct streams *all, const struct endpoint *local,
                                   const struct endpoint *peer)
{
    struct stream *s = find(all, local, peer);

    return s == NULL || s->doomed || !s->open || (s->released && s->ours) ? NULL : s;
}

static size_t write_now(struct stream *s, const struct slice *parts, size_t count)
{
    size_t sent = 0;

    if (connection_write(s->source.fd, parts, count, &sent) == CONNECTION_ENDED) {
        doom(s);
    }
    return sent;
}

/* What is left of `parts` behind the first `sent` octets waits, or is refused where it begins a
 * message. Returns how many were refused. */
static size_t keep_unsent(struct stream *s, const struct slice *parts, size_t count, size_t sent)
{
    size_t refused = 0;

    for (size_t i = 0; i < count && !s->doomed; i++) {
        size_t done = sent < parts[i].length ? sent : parts[i].length;
        struct slice rest = {parts[i].data + done, parts[i].length - done};

        sent -= done;
        if (rest.length == 0) {
            continue;
        }
        if (has_room(s, rest.length, done > 0)) {
            enqueue(s, rest);
        } else if (done > 0) {
            /* Half a message would make nonsense of all that follows. */
            count_end(s->all, STREAM_END_STUCK, &s->peer);
            doom(s);
        } else {
            refused++;
        }
    }
    return refused;
}

void streams_send(struct streams *streams, struct packet *const *packets, size_t count,
                  struct streams_refused *refused)
{
    static _Thread_local struct slice parts[CONNECTION_PARTS_MAX];

    *refused = (struct streams_refused){0};
    assert(count > 0 && count <= CONNECTION_PARTS_MAX);
    for (size_t i = 0; i < count; i++) {
        const struct packet *p = packets[i];

        assert(p->offset >= IKE_STREAM_LENGTH_BYTES);
        if (p->length == 0 || p->length > IKE_STREAM_MESSAGE_MAX) {
            parts[i] = (struct slice){p->buffer, 0};
            continue;
        }
        uint8_t *head = p->buffer + p->offset - IKE_STREAM_LENGTH_BYTES;

        ike_stream_write_head(head, p->length);
        parts[i] = (struct slice){head, p->length + IKE_STREAM_LENGTH_BYTES};
    }
    (void)pthread_mutex_lock(&streams->lock);
    struct stream *s = find_to_send(streams, &packets[0]->local, &packets[0]->peer);

    if (s == NULL) {
        refused->no_stream = count;
    } else {
        size_t sent = s->queued == 0 ? write_now(s, parts, count) : 0;

        refused->full = keep_unsent(s, parts, count, sent);
    }
    (void)pthread_mutex_unlock(&streams->lock);
}

bool streams_send_ike(struct streams *streams, const struct endpoint *local,
                      const struct endpoint *peer, struct slice bytes)
{
    uint8_t head[IKE_STREAM_LENGTH_BYTES];
    const struct slice parts[] = {{head, sizeof(head)}, bytes};
    size_t whole = sizeof(head) + bytes.length;
    size_t sent = 0;

    if (bytes.length == 0 || bytes.length > IKE_STREAM_MESSAGE_MAX) {
        return false;
    }
    ike_stream_write_head(head, bytes.length);
    (void)pthread_mutex_lock(&streams->lock);
    struct stream *s = find_to_send(streams, local, peer);

    if (s != NULL && s->queued == 0) {
        sent = write_now(s, parts, ARRAY_LENGTH(parts));
    }
    if (s != NULL && sent < whole && !s->doomed) {
        if (!has_room(s, whole - sent, true)) {
            count_end(streams, STREAM_END_STUCK, &s->peer);
            doom(s);
        } else {
            for (size_t i = 0; i < ARRAY_LENGTH(parts); i++) {
                size_t done = sent < parts[i].length ? sent : parts[i].length;

                sent -= done;
                enqueue(s, (struct slice){parts[i].data + done, parts[i].length - done});
            }
        }
    }
    (void)pthread_mutex_unlock(&streams->lock);
    return s != NULL;
}

/* By the reading thread. False: it is closed. */
static bool flush(struct stream *s)
{
    size_t capacity = s->all->limits.queue_bytes;

    while (s->queued > 0) {
        size_t first = capacity - s->queue_at < s->queued ? capacity - s->queue_at : s->queued;
        const struct slice parts[] = {{s->queue + s->queue_at, first},
                                      {s->queue, s->queued - first}};
        size_t sent = 0;
        enum connection_result result =
            connection_write(s->source.fd, parts, s->queued > first ? 2 : 1, &sent);

        if (result == CONNECTION_ENDED) {
            close_stream(s, "the connection was reset", true);
            return false;
        }
        if (result == CONNECTION_LATER || sent == 0) {
            break;
        }
        s->queue_at = (s->queue_at + sent) % capacity;
        s->queued -= sent;
    }
    return true;
}

static void watch(struct stream *s)
{
    bool writes = s->queued > 0 || !s->open;

    if (!s->watched) {
        s->watched =
            loop_add(s->all->loop, &s->source, writes ? LOOP_READ | LOOP_WRITE : LOOP_READ);
        s->writes = writes;
        if (!s->watched) {
            end_stream(s, STREAM_END_FULL);
        }
        return;
    }
    if (writes != s->writes) {
        loop_change(s->all->loop, &s->source, writes ? LOOP_READ | LOOP_WRITE : LOOP_READ);
        s->writes = writes;
    }
    if (s->released && s->ours && s->queued == 0) {
        connection_finish(s->source.fd);
    }
}

/* ---- reading ---- */

size_t streams_take(struct streams *streams, struct packet *const *packets, size_t count)
{
    struct stream *s = streams->current;
    size_t taken = 0;

    while (s != NULL && taken < count && streams->result == IKE_STREAM_MESSAGE) {
        struct packet *p = packets[taken];
        struct slice message;

        streams->result = ike_stream_next(&s->reading, &streams->bytes, &message);
        if (streams->result != IKE_STREAM_MESSAGE) {
            break;
        }
        /* The room is ours to write to. */
        p->buffer = streams->room + (message.data - streams->room);
        p->capacity = (uint32_t)message.length;
        p->offset = 0;
        p->length = (uint32_t)message.length;
        p->local = s->local;
        p->peer = s->peer;
        p->tos = 0; /* RFC 9329 9.5: of the packets outside nothing is known */
        p->outer_protocol = 17;
        p->outer_head_bytes = 0;
        p->segment_bytes = 0;
        p->was_joined = false;
        taken++;
    }
    return taken;
}

void streams_judge(struct streams *streams, size_t count, bool good)
{
    struct stream *s = streams->current;

    if (s != NULL) {
        s->bad = good ? 0 : s->bad + count;
    }
}

static bool keep_rest(struct stream *s, struct slice rest)
{
    if (rest.length > s->kept_capacity) {
        size_t capacity = s->kept_capacity == 0 ? 2048 : s->kept_capacity;

        while (capacity < rest.length) {
            capacity *= 2;
        }
        uint8_t *larger = malloc(capacity);

        if (larger == NULL) {
            return false;
        }
        free(s->kept);
        s->kept = larger;
        s->kept_capacity = capacity;
    }
    if (rest.length > 0) {
        memcpy(s->kept, rest.data, rest.length);
    }
    s->kept_bytes = rest.length;
    return true;
}

/* What came was worked off; false when this ends the connection, with the reason. */
static bool is_well(struct stream *s, bool stranger, enum stream_end *end)
{
    struct streams *all = s->all;
    struct slice skipped;

    /* Nobody had room for these. */
    while (all->result == IKE_STREAM_MESSAGE) {
        all->result = ike_stream_next(&s->reading, &all->bytes, &skipped);
    }
    if (all->result == IKE_STREAM_NOT_IKE) {
        *end = STREAM_END_NOT_IKE;
    } else if (all->result == IKE_STREAM_BAD_LENGTH) {
        *end = STREAM_END_BAD_LENGTH;
    } else if (all->result == IKE_STREAM_TOO_LONG) {
        *end = STREAM_END_TOO_LONG;
    } else if (s->bad >= NONSENSE_MESSAGES) {
        *end = STREAM_END_NONSENSE;
    } else if (stranger && s->read_bytes > all->limits.stranger_bytes) {
        *end = STREAM_END_TOO_MUCH;
    } else if (!keep_rest(s, all->bytes)) {
        *end = STREAM_END_FULL;
    } else {
        return true;
    }
    return false;
}

static void read_stream(struct stream *s)
{
    struct streams *all = s->all;
    char why[CONNECTION_WHY_BYTES];
    size_t got;
    enum stream_end end;

    (void)pthread_mutex_lock(&all->lock);
    bool stranger = is_stranger(s);
    bool doomed = s->doomed;
    (void)pthread_mutex_unlock(&all->lock);
    if (doomed) {
        return;
    }
    s->reading.message_max = s->ours || s->known ? IKE_STREAM_MESSAGE_MAX : STRANGER_MESSAGE_MAX;
    if (s->kept_bytes > 0) {
        memcpy(all->room, s->kept, s->kept_bytes);
    }
    enum connection_result result = connection_read(s->source.fd, all->room + s->kept_bytes,
                                                    READ_BYTES, &got, why, sizeof(why));

    if (result == CONNECTION_LATER) {
        return;
    }
    if (result == CONNECTION_DONE) {
        s->read_bytes += got;
        all->current = s;
        all->bytes = (struct slice){all->room, s->kept_bytes + got};
        all->result = IKE_STREAM_MESSAGE;
        all->ready(all->context);
        all->current = NULL;
    }
    if (result == CONNECTION_DONE && is_well(s, stranger, &end)) {
        return;
    }
    (void)pthread_mutex_lock(&all->lock);
    if (result == CONNECTION_DONE) {
        end_stream(s, end);
    } else {
        /* RFC 9329 6.1: half a message is discarded. */
        close_stream(s, why, false);
    }
    (void)pthread_mutex_unlock(&all->lock);
}

static void finish_opening(struct stream *s)
{
    struct streams *all = s->all;
    const struct slice prefix = {ike_stream_prefix, IKE_STREAM_PREFIX_BYTES};
    char why[CONNECTION_WHY_BYTES];
    uint8_t key[KEY_BYTES];
    size_t sent = 0;

    if (!connection_opened(s->source.fd, &s->local, why, sizeof(why))) {
        close_stream(s, why, true);
        return;
    }
    if (connection_write(s->source.fd, &prefix, 1, &sent) != CONNECTION_DONE ||
        sent != prefix.length || !table_add(&all->by_ends, key_of(&s->local, &s->peer, key), s)) {
        close_stream(s, "the connection was reset", true);
        return;
    }
    s->open = true;
    s->deadline_ms = NEVER_MS;
    all->status.opened++;
    put_event(s, STREAM_OPENED, "");
    watch(s);
}

static void stream_ready(void *context, unsigned events)
{
    struct stream *s = context;
    struct streams *all = s->all;
    bool reads = false;

    (void)pthread_mutex_lock(&all->lock);
    if (!s->open) {
        if ((events & (LOOP_WRITE | LOOP_ERROR)) != 0) {
            finish_opening(s);
        }
    } else if ((events & LOOP_WRITE) == 0 || flush(s)) {
        watch(s);
        reads = (events & (LOOP_READ | LOOP_ERROR)) != 0;
    }
    (void)pthread_mutex_unlock(&all->lock);
    if (reads) {
        read_stream(s);
    }
}

/* ---- connections of others ---- */

/* Under the lock. The oldest of strangers makes room for another one: honest ones are quick. */
static bool may_come(struct streams *all, const struct endpoint *peer, enum stream_end *why)
{
    struct stream *oldest = NULL;
    size_t strangers = 0;
    size_t of_address = 0;

    for (struct stream *s = all->first; s != NULL; s = s->next) {
        if (is_stranger(s)) {
            oldest = s;
            strangers++;
            of_address += same_place(&s->peer.address, &peer->address) ? 1 : 0;
        }
    }
    if (of_address >= all->limits.strangers_of_address) {
        *why = STREAM_END_ADDRESS;
        return false;
    }
    bool full = all->count >= all->limits.connections;

    if (oldest != NULL && (full || strangers >= all->limits.strangers)) {
        end_stream(oldest, STREAM_END_CROWD);
        full = false;
    }
    *why = STREAM_END_FULL;
    return !full;
}

static void take_connection(struct streams *all, int fd, const struct endpoint *local,
                            const struct endpoint *peer)
{
    uint8_t key[KEY_BYTES];
    enum stream_end why;
    uint64_t now_ms = atomic_load(&all->now_ms);

    if (!may_come(all, peer, &why)) {
        count_end(all, why, peer);
        connection_close(fd, true);
        return;
    }
    struct stream *s = new_stream(all, fd, peer, false, now_ms);

    if (s == NULL) {
        count_end(all, STREAM_END_FULL, peer);
        connection_close(fd, true);
        return;
    }
    s->local = *local;
    s->open = true;
    s->deadline_ms = now_ms + all->limits.stranger_ms;
    s->source = (struct loop_source){fd, stream_ready, s};
    all->status.accepted++;
    if (!table_add(&all->by_ends, key_of(local, peer, key), s)) {
        end_stream(s, STREAM_END_FULL);
        return;
    }
    watch(s);
}

static void listener_ready(void *context, unsigned events)
{
    struct listener *l = context;
    struct streams *all = l->all;
    enum connection_result result = CONNECTION_DONE;

    (void)events;
    (void)pthread_mutex_lock(&all->lock);
    for (size_t i = 0; i < ACCEPTS_A_TURN && result == CONNECTION_DONE; i++) {
        struct endpoint local, peer;
        int fd;

        result = connection_accept(l->source.fd, &fd, &local, &peer);
        if (result == CONNECTION_DONE) {
            take_connection(all, fd, &local, &peer);
        }
    }
    if (result == CONNECTION_ENDED) {
        /* Most likely no descriptors: it would be told over and over. */
        all->status.ends[STREAM_END_FULL]++;
        loop_change(all->loop, &l->source, 0);
        l->paused = true;
    }
    (void)pthread_mutex_unlock(&all->lock);
}

/* ---- time ---- */

static void look_at_all(struct streams *all, uint64_t now_ms)
{
    struct stream *next;

    for (struct stream *s = all->first; s != NULL; s = next) {
        next = s->next;
        if (s->deadline_ms <= now_ms) {
            if (!s->open) {
                close_stream(s, "no answer", true);
            } else if (is_stranger(s) && !s->released) {
                end_stream(s, STREAM_END_SILENT);
            } else {
                close_stream(s, "it is not used any more", false);
            }
        } else if (s->queued == 0 && s->queue != NULL) {
            drop_queue(s);
        }
    }
    for (size_t i = 0; i < all->listener_count; i++) {
        if (all->listeners[i].paused) {
            all->listeners[i].paused = false;
            loop_change(all->loop, &all->listeners[i].source, LOOP_READ);
        }
    }
}

void streams_time(struct streams *streams, uint64_t now_ms)
{
    atomic_store_explicit(&streams->now_ms, now_ms, memory_order_relaxed);
    if (!atomic_load(&streams->has_todo) && now_ms < streams->check_ms) {
        return;
    }
    (void)pthread_mutex_lock(&streams->lock);
    atomic_store(&streams->has_todo, false);
    while (streams->todo != NULL) {
        struct stream *s = streams->todo;

        streams->todo = s->next_todo;
        s->in_todo = false;
        if (s->doomed) {
            close_stream(s, "the connection was reset", true);
        } else {
            watch(s);
        }
    }
    if (now_ms >= streams->check_ms) {
        streams->check_ms = now_ms + CHECK_MS;
        look_at_all(streams, now_ms);
    }
    (void)pthread_mutex_unlock(&streams->lock);
}

/* ---- the control thread ---- */

static void refuse(struct streams *all, struct stream *s, const char *why)
{
    s->closed = true;
    put_event(s, STREAM_REFUSED, why);
    (void)all;
}

void streams_open(struct streams *streams, uint64_t question, const struct address *local,
                  const struct endpoint *peer, uint64_t now_ms)
{
    char why[CONNECTION_WHY_BYTES];
    int fd = connection_open(local, peer, why, sizeof(why));

    (void)pthread_mutex_lock(&streams->lock);
    if (fd >= 0 && streams->count >= streams->limits.connections) {
        connection_close(fd, true);
        fd = -1;
        snprintf(why, sizeof(why), "there are as many connections as there may be");
    }
    struct stream *s = fd < 0 ? calloc(1, sizeof(*s)) : new_stream(streams, fd, peer, true, now_ms);

    if (s == NULL) {
        /* Who asked asks again. */
        if (fd >= 0) {
            connection_close(fd, true);
        }
    } else {
        s->all = streams;
        s->peer = *peer;
        s->event.question = question;
        s->deadline_ms = now_ms + OPENING_MS;
        s->source = (struct loop_source){fd, stream_ready, s};
        if (fd < 0) {
            refuse(streams, s, why);
        } else {
            put_todo(s);
        }
    }
    (void)pthread_mutex_unlock(&streams->lock);
}

void streams_keep(struct streams *streams, const struct endpoint *local,
                  const struct endpoint *peer)
{
    (void)pthread_mutex_lock(&streams->lock);
    struct stream *s = find(streams, local, peer);

    if (s != NULL) {
        s->known = true;
        s->released = false;
        s->deadline_ms = NEVER_MS;
    }
    (void)pthread_mutex_unlock(&streams->lock);
}

void streams_release(struct streams *streams, const struct endpoint *local,
                     const struct endpoint *peer, uint64_t now_ms)
{
    (void)pthread_mutex_lock(&streams->lock);
    struct stream *s = find(streams, local, peer);

    if (s != NULL) {
        s->known = false;
        s->released = true;
        /* Who was a stranger all the time gains none by it. */
        if (s->deadline_ms > now_ms + streams->limits.released_ms) {
            s->deadline_ms = now_ms + streams->limits.released_ms;
        }
        put_todo(s);
    }
    (void)pthread_mutex_unlock(&streams->lock);
}

bool streams_next_event(struct streams *streams, struct stream_event *out)
{
    if (!atomic_load(&streams->has_events)) {
        return false;
    }
    (void)pthread_mutex_lock(&streams->lock);
    struct stream *s = streams->events;

    if (s != NULL) {
        streams->events = s->next_event;
        streams->events_last = s->next_event == NULL ? NULL : streams->events_last;
        s->has_event = false;
        *out = s->event;
        if (s->closed) {
            free(s);
        }
    }
    if (streams->events == NULL) {
        atomic_store(&streams->has_events, false);
    }
    (void)pthread_mutex_unlock(&streams->lock);
    return s != NULL;
}

void streams_get_status(struct streams *streams, struct streams_status *out)
{
    (void)pthread_mutex_lock(&streams->lock);
    *out = streams->status;
    out->connections = streams->count;
    for (const struct stream *s = streams->first; s != NULL; s = s->next) {
        out->strangers += is_stranger(s) ? 1 : 0;
        out->opened_by_us += s->ours ? 1 : 0;
        out->queued_bytes += s->queued;
    }
    (void)pthread_mutex_unlock(&streams->lock);
}

/* ---- beginning and end ---- */

static void wake_ready(void *context, unsigned events)
{
    struct streams *all = context;

    (void)events;
    wake_clear(&all->wake);
}

struct streams *streams_new(const struct streams_limits *limits, const uint8_t hash_key[16],
                            struct wake *control)
{
    struct streams *all = calloc(1, sizeof(*all));

    if (all == NULL) {
        return NULL;
    }
    all->limits = *limits;
    all->control = control;
    table_init(&all->by_ends, hash_key, 0);
    all->room = malloc(ROOM_BYTES);
    all->has_wake = wake_init(&all->wake, wake_ready, all);
    if (all->room == NULL || !all->has_wake || pthread_mutex_init(&all->lock, NULL) != 0) {
        streams_free(all);
        return NULL;
    }
    return all;
}

void streams_free(struct streams *streams)
{
    struct stream_event event;

    if (streams == NULL) {
        return;
    }
    while (streams->first != NULL) {
        struct stream *s = streams->first;

        s->watched = false; /* the loop is gone */
        close_stream(s, "", false);
    }
    while (streams_next_event(streams, &event)) {
    }
    for (size_t i = 0; i < streams->listener_count; i++) {
        connection_close(streams->listeners[i].source.fd, false);
    }
    if (streams->has_wake) {
        wake_fini(&streams->wake);
    }
    table_fini(&streams->by_ends);
    free(streams->room);
    free(streams);
}

bool streams_listen(struct streams *streams, const struct endpoint *local, bool *absent, char *why,
                    size_t why_bytes)
{
    struct listener *l = &streams->listeners[streams->listener_count];

    *absent = false;
    if (streams->listener_count == STREAMS_LISTENERS_MAX) {
        snprintf(why, why_bytes, "more than %d places to listen at by TCP are too many",
                 STREAMS_LISTENERS_MAX);
        return false;
    }
    int fd = connection_listen(local, absent, why, why_bytes);
    if (fd < 0) {
        return false;
    }
    *l = (struct listener){.all = streams, .source = {fd, listener_ready, l}};
    streams->listener_count++;
    return true;
}

bool streams_listener_at(const struct streams *streams, size_t index, struct endpoint *out)
{
    return index < streams->listener_count &&
           connection_end(streams->listeners[index].source.fd, out);
}

bool streams_attach(struct streams *streams, struct loop *loop, void (*ready)(void *context),
                    void *context)
{
    bool ok = loop_add(loop, &streams->wake.source, LOOP_READ);

    streams->loop = loop;
    streams->ready = ready;
    streams->context = context;
    for (size_t i = 0; ok && i < streams->listener_count; i++) {
        ok = loop_add(loop, &streams->listeners[i].source, LOOP_READ);
    }
    return ok;
}
