/* A million packets of every kind: each leaves by one door, no clear one by the wire, and nothing
 * is lost. */
#include "dataplane/testbed.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "tests/support/test.h"

static const struct tunnel plain = {
    .suite = {.encryption = ENCRYPTION_AES_GCM_16, .key_bits = 128},
    .outer_family = FAMILY_IPV4,
    .encapsulated = true,
};

/* Something between a good packet and garbage. */
static void make_anything(struct testbed *t, struct packet *p, bool from_a)
{
    uint32_t kind = random_below(&t->random, 10);

    if (kind == 0) {
        p->length = random_below(&t->random, 200);
        random_fill(&t->random, packet_data(p), p->length);
        return;
    }
    testbed_fill(t, p, from_a, kind < 6 ? FAMILY_IPV4 : FAMILY_IPV6,
                 48 + random_below(&t->random, kind == 1 ? 3000 : 120),
                 random_below(&t->random, 2) == 0);
    if (kind >= 8) {
        uint32_t at = random_below(&t->random, p->length);
        packet_data(p)[at] ^= (uint8_t)(1 << random_below(&t->random, 8));
    }
    if (random_below(&t->random, 20) == 0) {
        p->length = random_below(&t->random, p->length);
    }
}

/* Real ESP packets that are damaged, doubled, kept back, cut; IKE; noise. */
static void make_datagram(struct testbed *t, struct packet *p, struct slice good)
{
    uint32_t kind = random_below(&t->random, 12);

    p->outer_protocol = kind == 11  ? (uint8_t)random_u32(&t->random)
                        : kind == 0 ? IP_PROTOCOL_ESP
                                    : IP_PROTOCOL_UDP;
    p->tos = (uint8_t)random_below(&t->random, 256);
    p->local = (struct endpoint){{FAMILY_IPV4, {198, 51, 100, 2}},
                                 random_below(&t->random, 20) == 0 ? 500 : 4500};
    p->peer = (struct endpoint){{FAMILY_IPV4, {192, 0, 2, 1}}, 4500};
    memcpy(packet_data(p), good.data, good.length);
    p->length = (uint32_t)good.length;
    if (kind == 1) {
        p->length = random_below(&t->random, 100);
        random_fill(&t->random, packet_data(p), p->length);
    } else if (kind == 2 || kind == 3) {
        uint32_t at = random_below(&t->random, p->length);
        packet_data(p)[at] ^= (uint8_t)(1 << random_below(&t->random, 8));
    } else if (kind == 4) {
        p->length = random_below(&t->random, p->length + 1);
    } else if (kind == 5) {
        memset(packet_data(p), 0, 4);
    }
}

static void keep(struct slice *kept, uint8_t *store, const struct packet *p)
{
    if (p->length <= 4096) {
        memcpy(store, packet_data(p), p->length);
        *kept = (struct slice){store, p->length};
    }
}

TEST(after_a_million_packets_the_doors_add_up_and_every_buffer_is_back)
{
    enum { KEPT = 64 };
    static uint8_t store[KEPT][4096];
    struct slice kept[KEPT];
    struct testbed t;
    uint64_t handed = 0;
    size_t kept_count = 0;

    testbed_open(&t, 11);
    CHECK(testbed_join(&t, &plain));
    while (handed < 1000000) {
        struct packet *batch[BATCH_PACKETS];
        size_t count = 1 + random_below(&t.random, BATCH_PACKETS);
        for (size_t i = 0; i < count; i++) {
            batch[i] = dataplane_take_packet(t.a.worker);
            CHECK(batch[i] != NULL);
            make_anything(&t, batch[i], true);
        }
        dataplane_outbound(t.a.worker, batch, count, t.now_ms, &t.a.out);
        for (size_t i = 0; i < t.a.out.to_wire_count; i++) {
            CHECK(get_u32(packet_data(t.a.out.to_wire[i])) == t.b.spi_in);
            size_t at = kept_count % KEPT;
            keep(&kept[at], store[at], t.a.out.to_wire[i]);
            kept_count++;
        }
        testbed_give(&t.a);
        handed += count;
        for (size_t i = 0; kept_count >= KEPT && i < BATCH_PACKETS; i++) {
            batch[i] = dataplane_take_packet(t.b.worker);
            CHECK(batch[i] != NULL);
            make_datagram(&t, batch[i], kept[random_below(&t.random, KEPT)]);
        }
        if (kept_count >= KEPT) {
            dataplane_inbound(t.b.worker, batch, BATCH_PACKETS, t.now_ms, &t.b.out);
            testbed_give(&t.b);
            handed += BATCH_PACKETS;
        }
        t.now_ms += random_below(&t.random, 3);
        if (handed % 997 == 0) {
            CHECK(testbed_doors_add_up(&t.a));
            CHECK(testbed_doors_add_up(&t.b));
        }
        dataplane_quiet(t.a.worker);
        dataplane_quiet(t.b.worker);
    }
    CHECK(testbed_doors_add_up(&t.a));
    CHECK(testbed_doors_add_up(&t.b));
    /* Every check was really reached. */
    CHECK(testbed_dropped(&t.a, DROP_MALFORMED_INNER) > 0);
    CHECK(testbed_dropped(&t.a, DROP_NO_POLICY) > 0);
    CHECK(testbed_dropped(&t.a, DROP_TOO_BIG) > 0);
    CHECK(testbed_dropped(&t.b, DROP_FORGED) > 0);
    CHECK(testbed_dropped(&t.b, DROP_REPLAYED) > 0);
    CHECK(testbed_dropped(&t.b, DROP_ECN) > 0);
    CHECK(testbed_dropped(&t.b, DROP_UNKNOWN_SPI) > 0);
    CHECK(testbed_dropped(&t.b, DROP_MALFORMED_OUTER) > 0);
    CHECK(testbed_dropped(&t.b, DROP_WRONG_ENCAPSULATION) > 0);
    CHECK_EQUAL(t.a.worker->free_count, WORKER_PACKETS);
    CHECK_EQUAL(t.b.worker->free_count, WORKER_PACKETS);
    testbed_close(&t);
}

/* Two workers carry while the control thread changes everything under them. */
struct carrier {
    struct dataplane *dp;
    struct dataplane_worker *worker;
    _Atomic bool *over;
    uint64_t sent;
    uint64_t clear; /* must stay 0 */
    struct testbed fill;
};

static void *carry(void *context)
{
    struct carrier *c = context;
    struct dataplane_output *out = calloc(1, sizeof(*out));
    uint64_t now_ms = 1;

    while (!atomic_load(c->over)) {
        struct packet *batch[8];
        for (size_t i = 0; i < ARRAY_LENGTH(batch); i++) {
            batch[i] = dataplane_take_packet(c->worker);
            testbed_fill(&c->fill, batch[i], true, FAMILY_IPV4, 60, true);
        }
        dataplane_outbound(c->worker, batch, ARRAY_LENGTH(batch), now_ms++, out);
        for (size_t i = 0; i < out->to_wire_count; i++) {
            struct packet *p = out->to_wire[i];
            c->clear += packet_data(p)[0] == 0x45 || p->peer.port == 0;
            c->sent++;
            /* The keys of both directions are the same in this test: what was sent can come in. */
            p->outer_protocol = IP_PROTOCOL_UDP;
            batch[i] = p;
        }
        size_t count = out->to_wire_count;
        dataplane_inbound(c->worker, batch, count, now_ms, out);
        for (size_t i = 0; i < out->to_tun_count; i++) {
            dataplane_give_packet(c->worker, out->to_tun[i]);
        }
        dataplane_quiet(c->worker);
    }
    free(out);
    return NULL;
}

TEST(workers_carry_while_sas_and_policies_come_and_go)
{
    enum { WORKERS = 2, CHANGES = 400 };
    static struct carrier carriers[WORKERS];
    struct testbed names; /* its planes lend the selectors */
    _Atomic bool over = false;
    pthread_t threads[WORKERS];
    uint8_t key[20] = {1, 2, 3};
    uint32_t spis[4] = {0};

    testbed_open(&names, 1);
    struct dataplane_settings settings = {
        .sa_max = 64, .worker_count = WORKERS, .random = &names.random};
    struct dataplane *dp = dataplane_new(&settings);
    struct child_sa child;
    testbed_child(&plain, true, &child);
    struct policy policy = {.id = 1,
                            .verdict = POLICY_PROTECT,
                            .local = child.local_selectors,
                            .local_count = child.local_count,
                            .remote = child.remote_selectors,
                            .remote_count = child.remote_count};
    for (uint32_t i = 0; i < WORKERS; i++) {
        carriers[i] = (struct carrier){.dp = dp, .over = &over};
        carriers[i].worker = dataplane_worker_new(dp, i);
        CHECK(carriers[i].worker != NULL);
        seeded_random_init(&carriers[i].fill.seeded, i);
        carriers[i].fill.random = seeded_random_source(&carriers[i].fill.seeded);
        CHECK_EQUAL(pthread_create(&threads[i], NULL, carry, &carriers[i]), 0);
    }
    for (size_t change = 0; change < CHANGES; change++) {
        uint32_t *spi = &spis[change % ARRAY_LENGTH(spis)];
        struct endpoint elsewhere = {{FAMILY_IPV4, {203, 0, 113, 9}}, (uint16_t)(1 + change)};
        struct dataplane_note note;
        struct dataplane_doors doors;
        if (*spi != 0) {
            dataplane_stop(dp, *spi);
            dataplane_remove(dp, *spi);
        }
        *spi = dataplane_reserve_spi(dp);
        CHECK(*spi != 0);
        child.spi_in = *spi;
        child.spi_out = *spi;
        child.key_in = child.key_out = (struct slice){key, sizeof(key)};
        CHECK(dataplane_install(dp, &child));
        dataplane_use(dp, *spi);
        CHECK(dataplane_set_policies(dp, &policy, change % 10 == 9 ? 0 : 1));
        dataplane_move(dp, *spi, &child.local, &elsewhere);
        dataplane_path_mtu(dp, &child.local.address, &child.peer.address, (uint16_t)(576 + change),
                           change);
        dataplane_set_own_address(dp, &elsewhere.address);
        while (dataplane_next_note(dp, &note)) {
            CHECK(note.kind <= NOTE_UNKNOWN_SPI);
        }
        dataplane_get_doors(dp, &doors);
        dataplane_collect(dp);
        sched_yield();
    }
    atomic_store(&over, true);
    uint64_t sent = 0;
    for (size_t i = 0; i < WORKERS; i++) {
        CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
        CHECK_EQUAL(carriers[i].clear, 0);
        sent += carriers[i].sent;
        CHECK_EQUAL(carriers[i].worker->free_count, WORKER_PACKETS);
    }
    CHECK(sent > 0);
    dataplane_collect(dp);
    CHECK_EQUAL(dp->publish.waiting, 0);
    for (size_t i = 0; i < WORKERS; i++) {
        dataplane_worker_free(carriers[i].worker);
    }
    struct dataplane_doors doors;
    dataplane_get_doors(dp, &doors);
    CHECK_EQUAL(doors.from_wire, sent);
    dataplane_free(dp);
    testbed_close(&names);
}

/* RFC 7296 3.1, RFC 3948 2: without a marker on the port of IKE, whatever its number is. */
static bool goes_to_control(struct dataplane_worker *worker, uint16_t port)
{
    struct packet *p = dataplane_take_packet(worker);
    static struct dataplane_output out;

    CHECK(p != NULL);
    memset(packet_data(p), 0x5a, 28);
    p->length = 28;
    p->outer_protocol = IP_PROTOCOL_UDP;
    p->local = (struct endpoint){{FAMILY_IPV4, {192, 0, 2, 2}}, port};
    p->peer = (struct endpoint){{FAMILY_IPV4, {192, 0, 2, 1}}, port};
    dataplane_inbound(worker, &p, 1, 1000, &out);
    for (size_t i = 0; i < out.to_control_count; i++) {
        dataplane_give_packet(worker, out.to_control[i]);
    }
    dataplane_quiet(worker);
    return out.to_control_count == 1;
}

TEST(the_port_of_ike_is_the_one_that_was_chosen)
{
    const uint16_t chosen[] = {0, 5500};

    for (size_t i = 0; i < 2; i++) {
        struct seeded_random seeded;
        seeded_random_init(&seeded, 3);
        struct random_source random = seeded_random_source(&seeded);
        struct dataplane_settings settings = {
            .sa_max = 16, .ike_port = chosen[i], .random = &random};
        struct dataplane *dp = dataplane_new(&settings);
        CHECK(dp != NULL);
        struct dataplane_worker *worker = dataplane_worker_new(dp, 0);
        CHECK(worker != NULL);
        CHECK(goes_to_control(worker, 500) == (chosen[i] == 0));
        CHECK(goes_to_control(worker, 5500) == (chosen[i] == 5500));
        CHECK(!goes_to_control(worker, 4500));
        dataplane_worker_free(worker);
        dataplane_free(dp);
    }
}
