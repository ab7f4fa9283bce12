/* The ring of datagrams: order, contents, refusal when full, at every length and across its end. */
#include "tests/support/test.h"

#include "sekishod/datagrams.h"

#include <pthread.h>

static struct datagram make(uint8_t *bytes, size_t length, uint32_t number)
{
    memset(bytes, (int)(number & 0xff), length);
    return (struct datagram){.local = {address_ipv4(number), 500},
                             .peer = {address_ipv4(~number), 4500},
                             .bytes = {bytes, length}};
}

static bool is_number(const struct datagram *d, size_t length, uint32_t number)
{
    struct address local = address_ipv4(number), peer = address_ipv4(~number);
    bool good = d->bytes.length == length && address_equal(&d->local.address, &local) &&
                address_equal(&d->peer.address, &peer) && d->local.port == 500 &&
                d->peer.port == 4500;

    for (size_t i = 0; good && i < length; i++) {
        good = d->bytes.data[i] == (number & 0xff);
    }
    return good;
}

TEST(what_is_put_is_taken_in_order_at_every_length)
{
    struct datagrams ring;
    struct datagram out;
    uint8_t bytes[4096];
    uint32_t taken = 0;

    CHECK(datagrams_init(&ring, 4096));
    CHECK(!datagrams_peek(&ring, &out));
    for (uint32_t number = 0; number < 1500; number++) {
        struct datagram in = make(bytes, number, number);

        while (!datagrams_put(&ring, &in)) {
            CHECK(datagrams_peek(&ring, &out));
            CHECK(is_number(&out, taken, taken));
            datagrams_drop(&ring);
            taken++;
        }
    }
    while (datagrams_peek(&ring, &out)) {
        CHECK(is_number(&out, taken, taken));
        datagrams_drop(&ring);
        taken++;
    }
    CHECK_EQUAL(taken, 1500);
    datagrams_fini(&ring);
}

TEST(a_full_ring_refuses_and_goes_on_afterwards)
{
    struct datagrams ring;
    struct datagram out;
    uint8_t bytes[1024];
    struct datagram in = make(bytes, 200, 7);
    size_t count = 0;

    CHECK(datagrams_init(&ring, 1024));
    while (datagrams_put(&ring, &in)) {
        count++;
    }
    CHECK(count >= 3 && count <= 5);
    CHECK(datagrams_peek(&ring, &out));
    datagrams_drop(&ring);
    CHECK(datagrams_put(&ring, &in) || count < 5);
    in = make(bytes, 600, 7);
    datagrams_fini(&ring);
    CHECK(datagrams_init(&ring, 1024));
    CHECK(!datagrams_put(&ring, &in));
    datagrams_fini(&ring);
}

#define EXCHANGED 200000

static void *put_all(void *context)
{
    struct datagrams *ring = context;
    uint8_t bytes[256];

    for (uint32_t number = 0; number < EXCHANGED; number++) {
        struct datagram in = make(bytes, number % 199, number);

        while (!datagrams_put(ring, &in)) {
        }
    }
    return NULL;
}

TEST(two_threads_lose_nothing)
{
    struct datagrams ring;
    struct datagram out;
    pthread_t putter;
    bool good = true;

    CHECK(datagrams_init(&ring, 8192));
    CHECK_EQUAL(pthread_create(&putter, NULL, put_all, &ring), 0);
    for (uint32_t number = 0; number < EXCHANGED; number++) {
        while (!datagrams_peek(&ring, &out)) {
        }
        good = good && is_number(&out, number % 199, number);
        datagrams_drop(&ring);
    }
    CHECK(good);
    CHECK_EQUAL(pthread_join(putter, NULL), 0);
    datagrams_fini(&ring);
}
