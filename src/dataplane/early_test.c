/* Packets that come before the SA which opens them. */
#include <string.h>

#include "dataplane/testbed.h"
#include "tests/support/test.h"

static const struct tunnel tunnel = {
    .suite = {.encryption = ENCRYPTION_AES_GCM_16, .key_bits = 256},
    .outer_family = FAMILY_IPV4,
    .encapsulated = true};

/* A sends already; B has given its SPI away and knows no keys yet. */
struct half {
    struct testbed t;
    uint8_t keys[2][64];
    struct child_sa b;
};

static void half_open(struct half *h, uint64_t seed)
{
    struct child_sa a;
    size_t length = suite_encryption_key_bytes(&tunnel.suite);

    testbed_open(&h->t, seed);
    random_fill(&h->t.random, h->keys[0], sizeof(h->keys[0]));
    random_fill(&h->t.random, h->keys[1], sizeof(h->keys[1]));
    testbed_child(&tunnel, true, &a);
    testbed_child(&tunnel, false, &h->b);
    a.spi_in = h->b.spi_out = dataplane_reserve_spi(h->t.a.dp);
    h->b.spi_in = a.spi_out = h->t.b.spi_in = dataplane_reserve_spi(h->t.b.dp);
    a.key_in = h->b.key_out = (struct slice){h->keys[0], length};
    a.key_out = h->b.key_in = (struct slice){h->keys[1], length};
    CHECK(dataplane_install(h->t.a.dp, &a));
    dataplane_use(h->t.a.dp, a.spi_in);
}

/* Clear packets of first, first + 1, ... octets from A arrive at B in one batch. */
static void arrive(struct half *h, uint32_t first, size_t count)
{
    struct packet *packets[BATCH_PACKETS];

    for (size_t i = 0; i < count; i++) {
        packets[i] = dataplane_take_packet(h->t.a.worker);
        testbed_fill(&h->t, packets[i], true, FAMILY_IPV4, first + (uint32_t)i, false);
    }
    dataplane_outbound(h->t.a.worker, packets, count, h->t.now_ms, &h->t.a.out);
    CHECK_EQUAL(h->t.a.out.to_wire_count, count);
    testbed_carry(&h->t, &h->t.a, &h->t.b);
}

static void tick(struct half *h)
{
    dataplane_tick(h->t.b.worker, h->t.now_ms * 1000, &h->t.b.out);
}

static bool came_in_order(const struct half *h, uint32_t first, size_t count)
{
    const struct dataplane_output *out = &h->t.b.out;
    bool ok = out->to_tun_count == count;

    for (size_t i = 0; ok && i < count; i++) {
        ok = out->to_tun[i]->length == first + i;
    }
    return ok;
}

TEST(what_comes_before_its_sa_is_opened_when_the_sa_is_there)
{
    struct half h;

    half_open(&h, 1);
    CHECK_EQUAL(dataplane_due_us(h.t.b.worker, 0), NEVER_US);
    arrive(&h, 100, 3);
    arrive(&h, 103, 2);
    CHECK_EQUAL(h.t.b.out.to_tun_count, 0);
    CHECK(dataplane_due_us(h.t.b.worker, 7000) <= 8000);
    tick(&h);
    CHECK_EQUAL(h.t.b.out.to_tun_count, 0);
    CHECK(!testbed_note(&h.t.b, NOTE_UNKNOWN_SPI, NULL));
    CHECK(dataplane_install(h.t.b.dp, &h.b));
    tick(&h);
    CHECK(came_in_order(&h, 100, 5));
    CHECK_EQUAL(dataplane_due_us(h.t.b.worker, 0), NEVER_US);
    CHECK(testbed_note(&h.t.b, NOTE_FIRST_INBOUND, NULL));
    testbed_give(&h.t.b);
    CHECK(testbed_doors_add_up(&h.t.b));
    testbed_close(&h.t);
}

TEST(what_waited_is_opened_before_what_comes_after_it)
{
    struct half h;

    half_open(&h, 2);
    arrive(&h, 100, 4);
    CHECK(dataplane_install(h.t.b.dp, &h.b));
    arrive(&h, 104, BATCH_PACKETS);
    CHECK(came_in_order(&h, 100, 4 + BATCH_PACKETS));
    testbed_give(&h.t.b);
    CHECK(testbed_doors_add_up(&h.t.b));
    testbed_close(&h.t);
}

TEST(only_a_few_of_one_spi_wait_and_not_long)
{
    struct half h;

    half_open(&h, 3);
    arrive(&h, 100, EARLY_OF_SPI_MAX + 8);
    CHECK_EQUAL(testbed_dropped(&h.t.b, DROP_QUEUE_FULL), 8);
    h.t.now_ms += EARLY_MS - 1;
    tick(&h);
    CHECK_EQUAL(testbed_dropped(&h.t.b, DROP_QUEUE_FULL), 8);
    h.t.now_ms += 1;
    tick(&h);
    CHECK_EQUAL(testbed_dropped(&h.t.b, DROP_QUEUE_FULL), EARLY_OF_SPI_MAX + 8);
    CHECK_EQUAL(dataplane_due_us(h.t.b.worker, 0), NEVER_US);
    CHECK(testbed_doors_add_up(&h.t.b));
    testbed_close(&h.t);
}

TEST(what_waits_for_an_sa_that_never_comes_is_of_an_unknown_spi)
{
    struct half h;

    half_open(&h, 4);
    arrive(&h, 100, 3);
    dataplane_release_spi(h.t.b.dp, h.t.b.spi_in);
    tick(&h);
    CHECK_EQUAL(testbed_dropped(&h.t.b, DROP_UNKNOWN_SPI), 3);
    CHECK(testbed_note(&h.t.b, NOTE_UNKNOWN_SPI, NULL));
    arrive(&h, 103, 1);
    CHECK_EQUAL(testbed_dropped(&h.t.b, DROP_UNKNOWN_SPI), 4);
    CHECK(testbed_doors_add_up(&h.t.b));
    testbed_close(&h.t);
}

TEST(a_worker_that_ends_gives_up_what_waits)
{
    struct half h;

    half_open(&h, 5);
    arrive(&h, 100, 3);
    worker_give_held(h.t.b.worker);
    CHECK_EQUAL(testbed_dropped(&h.t.b, DROP_QUEUE_FULL), 3);
    CHECK_EQUAL(dataplane_due_us(h.t.b.worker, 0), NEVER_US);
    CHECK(testbed_doors_add_up(&h.t.b));
    testbed_close(&h.t);
}

TEST(many_spis_share_the_room_for_what_is_early)
{
    static const uint8_t zero[32];
    struct half h;

    half_open(&h, 6);
    for (uint32_t i = 0; i < EARLY_MAX + 5; i++) {
        uint8_t esp[40] = {0};
        uint32_t spi = dataplane_reserve_spi(h.t.b.dp);

        CHECK(spi != 0);
        put_u32(esp, spi);
        put_u32(esp + 4, 1);
        memcpy(esp + 8, zero, sizeof(zero));
        testbed_inbound(&h.t, &h.t.b, IP_PROTOCOL_ESP, 0, 0, SLICE_OF(esp));
    }
    CHECK_EQUAL(testbed_dropped(&h.t.b, DROP_QUEUE_FULL), 5);
    worker_give_held(h.t.b.worker);
    testbed_close(&h.t);
}
