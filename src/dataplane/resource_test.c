/*
 * SAs for one sealing worker each (RFC 9611): which SA a worker sends through, when it asks for one
 * of its own, and at which worker that opens its packets come in.
 */
#include <string.h>

#include "dataplane/testbed.h"
#include "tests/support/test.h"

#define WORKERS 6 /* 0 and 1 open, the others seal */
#define SEALERS 4
#define OPENERS 2

static const struct tunnel plain = {
    .suite = {.encryption = ENCRYPTION_AES_GCM_16, .key_bits = 128, .esn = true},
    .outer_family = FAMILY_IPV4,
};

/* Gateway A of a testbed with workers of its own. */
struct plane {
    struct testbed bed;
    struct dataplane *dp;
    struct dataplane_worker *workers[WORKERS];
    struct dataplane_output out;
};

static struct plane plane;

static void open_plane(uint64_t seed)
{
    struct plane *p = &plane;

    testbed_open(&p->bed, seed);
    const struct dataplane_settings settings = {
        .sa_max = 1024, .worker_count = WORKERS, .random = &p->bed.random};
    struct child_sa child;

    testbed_child(&plain, true, &child);
    const struct policy policy = {.id = 1,
                                  .verdict = POLICY_PROTECT,
                                  .local = child.local_selectors,
                                  .local_count = child.local_count,
                                  .remote = child.remote_selectors,
                                  .remote_count = child.remote_count};

    p->dp = dataplane_new(&settings);
    CHECK(p->dp != NULL);
    for (uint32_t i = 0; i < WORKERS; i++) {
        p->workers[i] = dataplane_worker_new(p->dp, i);
        CHECK(p->workers[i] != NULL);
        dataplane_worker_does(p->workers[i], i >= OPENERS, i < OPENERS);
    }
    CHECK(dataplane_set_policies(p->dp, &policy, 1));
}

static void close_plane(void)
{
    for (size_t i = 0; i < WORKERS; i++) {
        dataplane_quiet(plane.workers[i]);
        dataplane_worker_free(plane.workers[i]);
    }
    dataplane_free(plane.dp);
    testbed_close(&plane.bed);
}

/* In use from now on; sends with this SPI. Returns ours. */
static uint32_t add(uint8_t resource, uint32_t spi_out, bool transport)
{
    static const uint8_t key[20] = {1};
    struct child_sa child;

    testbed_child(&plain, true, &child);
    child.spi_in = dataplane_reserve_spi(plane.dp);
    child.spi_out = spi_out;
    child.key_in = child.key_out = SLICE_OF(key);
    child.resource = resource;
    child.transport_mode = transport;
    CHECK(dataplane_install(plane.dp, &child));
    dataplane_use(plane.dp, child.spi_in);
    return child.spi_in;
}

/* The SPI with which sealing worker `resource` sends a packet; 0: it is dropped. */
static uint32_t sends_with(uint8_t resource)
{
    struct dataplane_worker *worker = plane.workers[OPENERS + resource - 1];
    struct packet *packet = dataplane_take_packet(worker);

    CHECK(packet != NULL);
    testbed_fill(&plane.bed, packet, true, FAMILY_IPV4, 100, false);
    dataplane_outbound(worker, &packet, 1, plane.bed.now_ms, &plane.out);
    if (plane.out.to_wire_count == 0) {
        return 0;
    }
    packet = plane.out.to_wire[0];
    uint8_t *bytes = packet_data(packet);

    if (packet->has_outer_head) {
        bytes += IPV4_HEAD_BYTES;
    }
    uint32_t spi = get_u32(bytes);

    dataplane_give_packet(worker, packet);
    return spi;
}

static bool asks(uint8_t *resource)
{
    struct dataplane_note note;

    while (dataplane_next_note(plane.dp, &note)) {
        if (note.kind == NOTE_ACQUIRE_OWN) {
            CHECK_EQUAL(note.policy_id, 1);
            *resource = note.resource;
            return true;
        }
    }
    return false;
}

TEST(workers_are_counted_by_what_they_do)
{
    open_plane(1);
    CHECK_EQUAL(dataplane_sealers(plane.dp), SEALERS);
    CHECK_EQUAL(dataplane_openers(plane.dp), OPENERS);
    for (size_t i = 0; i < WORKERS; i++) {
        CHECK_EQUAL(plane.workers[i]->resource, i < OPENERS ? 0 : i - OPENERS + 1);
    }
    close_plane();
}

TEST(a_worker_sends_through_its_own_sa_else_through_the_one_for_all_else_through_any)
{
    open_plane(2);
    uint32_t all = add(0, 0x1000, false);

    for (uint8_t r = 1; r <= SEALERS; r++) {
        CHECK_EQUAL(sends_with(r), 0x1000);
    }
    uint32_t third = add(3, 0x1003, false);
    uint32_t first = add(1, 0x1001, false);

    CHECK_EQUAL(sends_with(1), 0x1001);
    CHECK_EQUAL(sends_with(2), 0x1000);
    CHECK_EQUAL(sends_with(3), 0x1003);
    CHECK_EQUAL(sends_with(4), 0x1000);
    /* A newer one for all changes nothing for who has his own; a newer one of his own does. */
    uint32_t newer_all = add(0, 0x2000, false);
    uint32_t newer_third = add(3, 0x2003, false);

    CHECK_EQUAL(sends_with(1), 0x1001);
    CHECK_EQUAL(sends_with(2), 0x2000);
    CHECK_EQUAL(sends_with(3), 0x2003);
    dataplane_stop(plane.dp, newer_third);
    CHECK_EQUAL(sends_with(3), 0x1003);
    dataplane_remove(plane.dp, third);
    CHECK_EQUAL(sends_with(3), 0x2000);
    dataplane_remove(plane.dp, all);
    dataplane_remove(plane.dp, newer_all);
    /* Nobody is left without while there is one at all. */
    for (uint8_t r = 1; r <= SEALERS; r++) {
        CHECK_EQUAL(sends_with(r), 0x1001);
    }
    dataplane_remove(plane.dp, first);
    CHECK_EQUAL(sends_with(1), 0);
    close_plane();
}

TEST(a_worker_without_an_sa_of_its_own_asks_for_one_once_a_second_where_that_is_wanted)
{
    uint8_t resource;

    for (size_t transport = 0; transport < 2; transport++) {
        open_plane(3);
        (void)add(0, 0x1000, transport == 1);
        CHECK_EQUAL(sends_with(2), 0x1000);
        CHECK(!asks(&resource));
        dataplane_ask_resources(plane.dp, 1, 3);
        CHECK_EQUAL(sends_with(2), 0x1000);
        CHECK_EQUAL(sends_with(3), 0x1000);
        CHECK(asks(&resource) && resource == 2);
        CHECK(!asks(&resource));
        plane.bed.now_ms += 1000;
        /* Beyond the number nobody asks. */
        CHECK_EQUAL(sends_with(4), 0x1000);
        CHECK(!asks(&resource));
        CHECK_EQUAL(sends_with(3), 0x1000);
        CHECK(asks(&resource) && resource == 3);
        (void)add(2, 0x1002, transport == 1);
        plane.bed.now_ms += 1000;
        CHECK_EQUAL(sends_with(2), 0x1002);
        CHECK(!asks(&resource));
        dataplane_ask_resources(plane.dp, 1, 0);
        CHECK_EQUAL(sends_with(3), 0x1000);
        CHECK(!asks(&resource));
        /* A policy that is not there. */
        dataplane_ask_resources(plane.dp, 77, 3);
        close_plane();
    }
}

TEST(an_spi_is_reserved_for_the_worker_that_is_to_open_its_packets)
{
    unsigned without_wish[OPENERS] = {0};

    open_plane(4);
    for (uint32_t i = 0; i < 400; i++) {
        uint32_t spi = dataplane_reserve_spi_for(plane.dp, i % OPENERS);

        CHECK(spi > 255);
        CHECK_EQUAL(spi_opener(spi, OPENERS), i % OPENERS);
        dataplane_release_spi(plane.dp, spi);
        spi = dataplane_reserve_spi(plane.dp);
        without_wish[spi_opener(spi, OPENERS)]++;
    }
    CHECK(without_wish[0] > 100 && without_wish[1] > 100);
    /* Places that were used before come back with another number each time. */
    uint32_t before = 0;

    for (uint32_t i = 0; i < 3000; i++) {
        uint32_t spi = dataplane_reserve_spi_for(plane.dp, 1);

        CHECK(spi != 0 && spi != before);
        CHECK_EQUAL(spi_opener(spi, OPENERS), 1);
        dataplane_release_spi(plane.dp, spi);
        before = spi;
    }
    close_plane();
}

TEST(spis_are_spread_over_any_number_of_openers)
{
    for (uint32_t openers = 2; openers <= 8; openers++) {
        unsigned count[8] = {0};

        for (uint32_t spi = 256; spi < 256 + 8000; spi++) {
            count[spi_opener(spi, openers)]++;
        }
        for (uint32_t i = 0; i < openers; i++) {
            CHECK(count[i] > 8000 / openers * 9 / 10 && count[i] < 8000 / openers * 11 / 10);
        }
    }
    CHECK_EQUAL(spi_opener(UINT32_MAX, 1), 0);
    CHECK_EQUAL(spi_opener(UINT32_MAX, 0), 0);
}
