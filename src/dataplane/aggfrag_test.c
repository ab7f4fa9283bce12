/* IP-TFS from end to end, over a channel that loses and reorders: whole, in order, and to be seen
 * from outside the same whether there is anything to send or not. */
#include "dataplane/aggfrag.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/random.h"
#include "dataplane/aggfrag_in.h"
#include "dataplane/aggfrag_out.h"
#include "dataplane/aggfrag_testbed.h"
#include "tests/support/test.h"
#include "wire/ip.h"

#define SECOND_US UINT64_C(1000000)
#define PACKETS_MAX 400
#define OUTERS_MAX 20000
#define PAYLOAD_BYTES_MAX 1600

/* --- what goes in comes out --- */

struct inner {
    uint32_t seed, length;
    uint8_t version;
    uint64_t from; /* octets of the whole stream before it */
};

struct outer {
    uint8_t payload[PAYLOAD_BYTES_MAX];
    size_t length;
    bool lost;
    uint64_t from, to; /* octets of the stream in it */
};

struct channel {
    struct random_source random;
    struct aggfrag_out out;
    struct aggfrag_in in;
    struct inner inners[PACKETS_MAX];
    uint32_t inner_count, delivered;
    uint64_t stream;
    struct outer *outers;
    uint32_t outer_count;
    uint64_t carried;
    size_t payload_bytes;
    bool odd_sizes;
    uint32_t loss; /* one of so many; 0: none */
    uint32_t window;
    uint64_t lost;
};

static uint8_t bytes_of[AGGFRAG_PACKET_BYTES_MAX];

static uint32_t some_length(struct channel *c, uint8_t version)
{
    uint32_t least = version == FAMILY_IPV4 ? IPV4_HEAD_BYTES : IPV6_HEAD_BYTES;
    uint32_t most = aggfrag_out_packet_bytes_max(&c->out);

    switch (random_below(&c->random, 20)) {
    case 0:
        return most;
    case 1:
        return least + random_below(&c->random, (most < 9000 ? most : 9000) - least);
    case 2:
    case 3:
    case 4:
        return least;
    default:
        return least + random_below(&c->random, (most < 1500 ? most : 1500) - least);
    }
}

static void push_some(struct channel *c)
{
    struct inner *inner = &c->inners[c->inner_count];

    inner->version = random_below(&c->random, 2) == 0 ? FAMILY_IPV4 : FAMILY_IPV6;
    inner->length = some_length(c, inner->version);
    inner->seed = random_u32(&c->random);
    inner->from = c->stream;
    inner_make(bytes_of, inner->version, inner->length, inner->seed);
    if (aggfrag_out_push(&c->out, (struct slice){bytes_of, inner->length}) == AGGFRAG_QUEUED) {
        c->stream += inner->length;
        c->inner_count++;
    }
}

static void send_one(struct channel *c, bool may_lose)
{
    struct outer *outer = &c->outers[c->outer_count++];

    CHECK(c->outer_count < OUTERS_MAX);
    outer->length = c->payload_bytes;
    if (c->odd_sizes) {
        outer->length -= random_below(&c->random, (uint32_t)c->payload_bytes / 2);
    }
    outer->from = c->carried;
    c->carried += aggfrag_fill(&c->out, c->outer_count, outer->payload, outer->length);
    outer->to = c->carried;
    outer->lost = may_lose && c->loss > 0 && random_below(&c->random, c->loss) == 0;
    c->lost += outer->lost ? 1 : 0;
}

static bool touches_a_lost_one(const struct channel *c, const struct inner *inner)
{
    for (uint32_t i = 0; i < c->outer_count; i++) {
        const struct outer *outer = &c->outers[i];

        if (outer->lost && outer->from < inner->from + inner->length && inner->from < outer->to) {
            return true;
        }
    }
    return false;
}

static void take_what_comes(struct channel *c)
{
    struct slice packet;

    while (aggfrag_in_next(&c->in, &packet)) {
        while (c->delivered < c->inner_count && touches_a_lost_one(c, &c->inners[c->delivered])) {
            c->delivered++;
        }
        CHECK(c->delivered < c->inner_count);
        const struct inner *inner = &c->inners[c->delivered++];

        inner_make(bytes_of, inner->version, inner->length, inner->seed);
        CHECK_EQUAL(packet.length, inner->length);
        CHECK_BYTES(packet.data, bytes_of, inner->length);
    }
}

/* In any order in which none comes more than `window` numbers too early. */
static void carry(struct channel *c)
{
    uint32_t first = 0;
    bool *done = calloc(c->outer_count + 1, sizeof(*done));

    for (uint32_t i = 0; i < c->outer_count; i++) {
        done[i] = c->outers[i].lost;
    }
    for (;;) {
        while (first < c->outer_count && done[first]) {
            first++;
        }
        if (first == c->outer_count) {
            break;
        }
        uint32_t pick = first + random_below(&c->random, c->window + 1);

        if (pick >= c->outer_count || done[pick]) {
            pick = first;
        }
        done[pick] = true;
        /* Of its own, so that nothing is right by standing where it stood. */
        struct outer *outer = &c->outers[pick];
        uint8_t *copy = malloc(outer->length);

        memcpy(copy, outer->payload, outer->length);
        CHECK_EQUAL(aggfrag_in_push(&c->in, pick + 1, (struct slice){copy, outer->length},
                                    c->outer_count + pick),
                    AGGFRAG_TAKEN);
        take_what_comes(c);
        free(copy);
    }
    free(done);
}

static void check_channel(uint64_t seed, struct aggfrag_settings settings, uint32_t loss)
{
    static struct channel c;
    static struct outer outers[OUTERS_MAX];
    struct seeded_random seeded;

    seeded_random_init(&seeded, seed);
    c = (struct channel){.random = seeded_random_source(&seeded), .outers = outers, .loss = loss};
    c.payload_bytes = 200 + random_below(&c.random, PAYLOAD_BYTES_MAX - 200);
    c.odd_sizes = !settings.dont_fragment && seed % 3 == 0;
    c.window = settings.reorder_window == AGGFRAG_REORDER_OFF ? 0 : settings.reorder_window;
    settings.queue_bytes = 150000;
    CHECK(aggfrag_out_init(&c.out, &settings, 1700, (uint32_t)c.payload_bytes, 0));
    CHECK(aggfrag_in_init(&c.in, &settings));
    while (c.inner_count < PACKETS_MAX) {
        uint32_t burst = random_below(&c.random, 8);

        for (uint32_t i = 0; i < burst && c.inner_count < PACKETS_MAX; i++) {
            push_some(&c);
        }
        for (uint32_t i = random_below(&c.random, 6); i > 0; i--) {
            send_one(&c, true);
        }
    }
    while (c.out.waiting > 0) {
        send_one(&c, true);
    }
    for (uint32_t i = 0; i < 2 * c.window + 2; i++) {
        send_one(&c, false);
    }
    CHECK_EQUAL(c.carried, c.stream);
    carry(&c);
    while (c.delivered < c.inner_count && touches_a_lost_one(&c, &c.inners[c.delivered])) {
        c.delivered++;
    }
    CHECK_EQUAL(c.delivered, c.inner_count);
    CHECK_EQUAL(c.in.counters.lost, c.lost);
    CHECK_EQUAL(c.in.counters.late + c.in.counters.malformed, 0);
    CHECK_EQUAL(c.in.counters.payloads, c.outer_count - c.lost);
    aggfrag_out_fini(&c.out);
    aggfrag_in_fini(&c.in);
}

static void check_channels(uint32_t loss)
{
    static const uint16_t windows[] = {AGGFRAG_REORDER_OFF, 1, 3, 17};

    for (uint64_t seed = 0; seed < 24; seed++) {
        check_channel(seed,
                      (struct aggfrag_settings){
                          .enabled = true,
                          .rate_bits = 1000000,
                          .congestion_reports = seed % 2 == 0,
                          .dont_fragment = seed % 5 == 0,
                          .reorder_window = windows[seed % ARRAY_LENGTH(windows)],
                      },
                      loss);
    }
}

TEST(without_loss_everything_comes_out_as_it_went_in)
{
    check_channels(0);
}

TEST(with_loss_what_touches_a_lost_packet_is_missing_and_nothing_else)
{
    check_channels(30);
    check_channels(3);
}

/* --- nothing is to be seen from outside --- */

struct sight {
    uint64_t time_us;
    size_t length;
};

#define SIGHTS 20000

/* Somebody who wakes late by up to a millisecond, beside a tunnel with so much to do. */
static void watch(struct sight *sights, uint32_t busy_percent, uint64_t jitter_seed)
{
    const struct aggfrag_settings settings = {.enabled = true, .rate_bits = 50000000};
    struct aggfrag_out out;
    struct seeded_random jitter;
    struct seeded_random traffic;
    uint8_t payload[1404];
    size_t seen = 0;

    seeded_random_init(&jitter, jitter_seed);
    seeded_random_init(&traffic, 99);
    struct random_source late = seeded_random_source(&jitter);
    struct random_source load = seeded_random_source(&traffic);

    CHECK(aggfrag_out_init(&out, &settings, 1472, sizeof(payload), 1000));
    while (seen < SIGHTS) {
        uint64_t now_us = aggfrag_next_us(&out) + random_below(&late, 1000);

        while (random_below(&load, 100) < busy_percent) {
            uint32_t length = 20 + random_below(&load, 1480);
            inner_make(bytes_of, FAMILY_IPV4, length, 0);
            if (aggfrag_out_push(&out, (struct slice){bytes_of, length}) != AGGFRAG_QUEUED) {
                break;
            }
        }
        while (aggfrag_next_us(&out) <= now_us && seen < SIGHTS) {
            (void)aggfrag_fill(&out, now_us, payload, sizeof(payload));
            sights[seen++] = (struct sight){now_us, sizeof(payload)};
        }
    }
    CHECK(busy_percent == 0 ? out.counters.packets == 0 : out.counters.packets > 1000);
    CHECK(busy_percent < 90 || out.counters.pad_bytes < out.counters.packet_bytes / 100);
    aggfrag_out_fini(&out);
}

static struct sight idle[SIGHTS], busy[SIGHTS], full[SIGHTS];

TEST(idle_busy_and_full_tunnels_look_the_same_to_the_microsecond)
{
    watch(idle, 0, 7);
    watch(busy, 40, 7);
    watch(full, 95, 7);
    for (size_t i = 0; i < SIGHTS; i++) {
        CHECK_EQUAL(idle[i].time_us, busy[i].time_us);
        CHECK_EQUAL(idle[i].time_us, full[i].time_us);
        CHECK_EQUAL(idle[i].length, busy[i].length);
        CHECK_EQUAL(idle[i].length, full[i].length);
    }
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static void intervals(const struct sight *sights, uint64_t *out)
{
    for (size_t i = 0; i + 1 < SIGHTS; i++) {
        out[i] = sights[i + 1].time_us - sights[i].time_us;
    }
    qsort(out, SIGHTS - 1, sizeof(*out), by_value);
}

/* Kolmogorov and Smirnov: with wakes of their own, the intervals of an idle and of a busy tunnel
 * could be drawn from one distribution (at the level of 1 %), and a tenth more rate could not. */
TEST(the_intervals_of_idle_and_busy_tunnels_have_one_distribution)
{
    static uint64_t x[SIGHTS], y[SIGHTS];
    size_t i = 0;
    size_t j = 0;
    size_t furthest = 0;

    watch(idle, 0, 11);
    watch(full, 95, 12);
    intervals(idle, x);
    intervals(full, y);
    while (i < SIGHTS - 1 && j < SIGHTS - 1) {
        uint64_t value = x[i] < y[j] ? x[i] : y[j];

        while (i < SIGHTS - 1 && x[i] == value) {
            i++;
        }
        while (j < SIGHTS - 1 && y[j] == value) {
            j++;
        }
        size_t apart = i > j ? i - j : j - i;

        furthest = apart > furthest ? apart : furthest;
    }
    /* 1.63 * sqrt(2 / n) of n */
    CHECK(furthest < 1.63 * 1.4143 * 141.5);
}

/* --- congestion --- */

#define STEP_US 200
#define PATH_MAX 4096

struct travelling {
    uint64_t due_us, sequence;
    uint8_t flow;
    uint8_t payload[200];
};

/* One direction: a line of so many packets a second with a queue before it. */
struct path {
    double rate;
    uint32_t queue, delay_us;
    uint32_t loss_percent;
    double free_us;
    struct travelling *packets;
    uint32_t first, count;
    uint64_t dropped, carried[2];
};

struct tunnel_end {
    struct aggfrag_out out;
    struct aggfrag_in in;
    uint64_t sequence;
};

/* Two tunnels between here and there that share both paths. */
struct world {
    struct random_source random;
    struct tunnel_end here[2], there[2];
    struct path forth, back;
    uint64_t now_us;
    uint32_t tunnels;
};

static void path_send(struct world *w, struct path *path, uint8_t flow, struct tunnel_end *from)
{
    struct travelling *t = &path->packets[(path->first + path->count) % PATH_MAX];
    double now_us = (double)w->now_us;
    double waiting = path->free_us > now_us ? (path->free_us - now_us) * path->rate / 1e6 : 0;

    CHECK(path->count < PATH_MAX);
    (void)aggfrag_fill(&from->out, w->now_us, t->payload, sizeof(t->payload));
    t->sequence = ++from->sequence;
    if (waiting > path->queue || random_below(&w->random, 100) < path->loss_percent) {
        path->dropped++;
        return;
    }
    path->free_us = (path->free_us > now_us ? path->free_us : now_us) + 1e6 / path->rate;
    t->due_us = (uint64_t)path->free_us + path->delay_us;
    t->flow = flow;
    path->count++;
}

static void path_deliver(struct world *w, struct path *path, struct tunnel_end *ends)
{
    while (path->count > 0 && path->packets[path->first].due_us <= w->now_us) {
        struct travelling *t = &path->packets[path->first];
        struct tunnel_end *to = &ends[t->flow];
        struct aggfrag_news news;
        struct slice packet;

        path->first = (path->first + 1) % PATH_MAX;
        path->count--;
        path->carried[t->flow]++;
        CHECK_EQUAL(aggfrag_in_push(&to->in, t->sequence, SLICE_OF(t->payload), w->now_us),
                    AGGFRAG_TAKEN);
        while (aggfrag_in_next(&to->in, &packet)) {
        }
        if (aggfrag_in_news(&to->in, &news)) {
            aggfrag_out_hear(&to->out, &news);
        }
    }
}

static void world_run(struct world *w, uint64_t seconds)
{
    uint64_t end_us = w->now_us + seconds * SECOND_US;

    for (int i = 0; i < 2; i++) {
        w->forth.carried[i] = 0;
    }
    w->forth.dropped = 0;
    for (; w->now_us < end_us; w->now_us += STEP_US) {
        for (uint8_t i = 0; i < w->tunnels; i++) {
            while (aggfrag_next_us(&w->here[i].out) <= w->now_us) {
                path_send(w, &w->forth, i, &w->here[i]);
            }
            while (aggfrag_next_us(&w->there[i].out) <= w->now_us) {
                path_send(w, &w->back, i, &w->there[i]);
            }
        }
        path_deliver(w, &w->forth, w->there);
        path_deliver(w, &w->back, w->here);
    }
}

static void end_open(struct tunnel_end *end, uint64_t packets_a_second)
{
    /* Outer packets of 1,500 octets for the rate; what is in them does not matter here. */
    const struct aggfrag_settings settings = {.enabled = true,
                                              .congestion_control = true,
                                              .rate_bits = packets_a_second * 1500 * 8,
                                              .queue_bytes = 1000};

    CHECK(aggfrag_out_init(&end->out, &settings, 1500, 200, 0));
    CHECK(aggfrag_in_init(&end->in, &settings));
}

static struct world *world_open(uint32_t tunnels, uint64_t rate_max)
{
    static struct world w;
    static struct travelling forth[PATH_MAX], back[PATH_MAX];
    static struct seeded_random seeded;

    seeded_random_init(&seeded, 8);
    w = (struct world){.random = seeded_random_source(&seeded), .tunnels = tunnels};
    w.forth = (struct path){.rate = 500, .queue = 50, .delay_us = 20000, .packets = forth};
    w.back = (struct path){.rate = 100000, .queue = 1000, .delay_us = 20000, .packets = back};
    for (uint32_t i = 0; i < tunnels; i++) {
        end_open(&w.here[i], rate_max);
        end_open(&w.there[i], 200);
    }
    return &w;
}

static void world_close(struct world *w)
{
    for (uint32_t i = 0; i < w->tunnels; i++) {
        aggfrag_out_fini(&w->here[i].out);
        aggfrag_in_fini(&w->here[i].in);
        aggfrag_out_fini(&w->there[i].out);
        aggfrag_in_fini(&w->there[i].in);
    }
}

TEST(a_tunnel_finds_the_rate_of_a_narrow_path_and_keeps_to_it)
{
    struct world *w = world_open(1, 5000);

    world_run(w, 30);
    world_run(w, 30);
    /* Not less than half of what there is, and not a flood: few are dropped at the narrow place. */
    CHECK(w->forth.carried[0] > 30 * 500 / 2);
    CHECK(w->forth.dropped < w->forth.carried[0] / 20);
    CHECK(w->here[0].out.tfrc.rtt_us > 40000 && w->here[0].out.tfrc.rtt_us < 250000);
    world_close(w);
}

TEST(a_wide_path_is_used_up_to_the_configured_rate)
{
    struct world *w = world_open(1, 300);

    world_run(w, 20);
    world_run(w, 10);
    CHECK(w->forth.carried[0] >= 10 * 299 && w->forth.carried[0] <= 10 * 301);
    CHECK_EQUAL(w->forth.dropped, 0);
    world_close(w);
}

TEST(the_rate_falls_with_loss_and_silence_and_comes_back)
{
    struct world *w = world_open(1, 5000);

    world_run(w, 30);
    world_run(w, 10);
    uint64_t before = w->forth.carried[0];

    w->forth.loss_percent = 10;
    world_run(w, 10);
    world_run(w, 10);
    CHECK(w->forth.carried[0] < before / 2);
    w->forth.loss_percent = 0;
    world_run(w, 60);
    world_run(w, 10);
    CHECK(w->forth.carried[0] > before / 2);
    w->back.loss_percent = 100; /* nobody tells any more */
    world_run(w, 20);
    world_run(w, 10);
    CHECK(w->forth.carried[0] < 20);
    w->back.loss_percent = 0;
    world_run(w, 60);
    world_run(w, 10);
    CHECK(w->forth.carried[0] > before / 2);
    world_close(w);
}

TEST(two_tunnels_share_a_narrow_path)
{
    struct world *w = world_open(2, 5000);

    world_run(w, 60);
    world_run(w, 60);
    uint64_t one = w->forth.carried[0];
    uint64_t other = w->forth.carried[1];

    CHECK(one + other > 60 * 500 / 2);
    CHECK(one < 3 * other && other < 3 * one);
    world_close(w);
}

/* --- news between threads --- */

#define NEWS 200000

static void *tell(void *context)
{
    struct aggfrag_link *link = context;

    for (uint32_t i = 1; i <= NEWS; i++) {
        aggfrag_link_put(link, &(struct aggfrag_news){i, i, i, i, i, i, i, i});
    }
    return NULL;
}

TEST(news_that_are_taken_are_whole_and_never_old)
{
    static struct aggfrag_link link;
    struct aggfrag_news news = {.arrived_us = 0};
    uint64_t seen = 0;
    uint64_t last = 0;
    pthread_t thread;

    CHECK(!aggfrag_link_take(&link, &seen, &news));
    CHECK_EQUAL(pthread_create(&thread, NULL, tell, &link), 0);
    while (last < NEWS) {
        if (aggfrag_link_take(&link, &seen, &news)) {
            uint64_t at = news.arrived_us;

            CHECK(at > last);
            CHECK(news.loss_inverse == at && news.techo == at && news.echo_delay_us == at);
            CHECK(news.transmit_delay_us == at && news.tval == at && news.lost_inverse == at);
            CHECK_EQUAL(news.tval_arrived_us, at);
            last = at;
        }
    }
    pthread_join(thread, NULL);
    CHECK(!aggfrag_link_take(&link, &seen, &news));
}
