/* Compressed payloads: those of other programs are read, ours come back, and what is no compressed
 * payload is refused without harm. */
#include "dataplane/ipcomp.h"

#include <stdlib.h>

#include "base/random.h"
#include "tests/support/test.h"
#include "tests/support/vectors.h"

#define ROOM 65536

struct bed {
    struct seeded_random seeded;
    struct random_source random;
    struct ipcomp *c;
    struct ipcomp_pace pace;
    uint8_t *bytes;
};

static void bed_open(struct bed *b)
{
    *b = (struct bed){.c = ipcomp_new(), .bytes = malloc(ROOM)};
    seeded_random_init(&b->seeded, 1);
    b->random = seeded_random_source(&b->seeded);
    CHECK(b->c != NULL && b->bytes != NULL);
}

static void bed_close(struct bed *b)
{
    ipcomp_free(b->c);
    free(b->bytes);
}

static size_t put(struct bed *b, struct slice compressed)
{
    memset(b->bytes, 0xee, IPCOMP_HEAD_BYTES);
    memcpy(b->bytes + IPCOMP_HEAD_BYTES, compressed.data, compressed.length);
    return IPCOMP_HEAD_BYTES + compressed.length;
}

TEST(streams_of_other_programs_are_read_and_no_truncation_of_them)
{
    json_t *file = vectors_load("ipsec/ipcomp-deflate.json");
    json_t *plains = json_object_get(file, "plains");
    json_t *stream;
    size_t i;
    struct bed b;

    bed_open(&b);
    json_array_foreach(json_object_get(file, "streams"), i, stream)
    {
        struct slice plain = vector_hex(plains, vector_text(stream, "plain"));
        struct slice compressed = vector_hex(stream, "compressed");
        size_t length = put(&b, compressed);
        CHECK(ipcomp_decompress(b.c, b.bytes, &length, ROOM));
        CHECK_EQUAL(length, plain.length);
        CHECK_BYTES(b.bytes, plain.data, plain.length);
        /* One octet of room less is not enough, and what was there stays. */
        length = put(&b, compressed);
        CHECK(!ipcomp_decompress(b.c, b.bytes, &length, plain.length - 1));
        CHECK_EQUAL(length, IPCOMP_HEAD_BYTES + compressed.length);
        CHECK_BYTES(b.bytes + IPCOMP_HEAD_BYTES, compressed.data, compressed.length);
        size_t step = 1 + compressed.length / 200;
        for (size_t cut = 0; cut < compressed.length; cut += step) {
            length = put(&b, (struct slice){compressed.data, cut});
            CHECK(!ipcomp_decompress(b.c, b.bytes, &length, ROOM));
        }
        /* Something behind the end. */
        length = put(&b, compressed);
        b.bytes[length++] = 0;
        CHECK(!ipcomp_decompress(b.c, b.bytes, &length, ROOM));
    }
    CHECK(i > 50);
    json_decref(file);
    bed_close(&b);
}

TEST(a_stream_that_would_become_more_than_a_packet_is_refused)
{
    json_t *file = vectors_load("ipsec/ipcomp-deflate.json");
    struct slice bomb = vector_hex(file, "bomb");
    static const size_t rooms[] = {0, 1, 1500, 65535, ROOM};
    struct bed b;

    bed_open(&b);
    for (size_t i = 0; i < ARRAY_LENGTH(rooms); i++) {
        size_t length = put(&b, bomb);
        CHECK(!ipcomp_decompress(b.c, b.bytes, &length, rooms[i]));
        CHECK_EQUAL(length, IPCOMP_HEAD_BYTES + bomb.length);
        CHECK_BYTES(b.bytes + IPCOMP_HEAD_BYTES, bomb.data, bomb.length);
    }
    json_decref(file);
    bed_close(&b);
}

/* Text of few words, with `noise` of 256 octets by chance. */
static void fill(struct bed *b, uint8_t *out, size_t length, uint32_t noise)
{
    static const char words[] = "the gate is open to those who are known ";

    for (size_t i = 0; i < length; i++) {
        out[i] = random_below(&b->random, 256) < noise ? (uint8_t)random_below(&b->random, 256)
                                                       : (uint8_t)words[i % (sizeof(words) - 1)];
    }
}

TEST(what_was_compressed_is_smaller_and_comes_back)
{
    static uint8_t plain[ROOM];
    size_t compressed = 0;
    size_t left = 0;
    struct bed b;

    bed_open(&b);
    for (int round = 0; round < 3000; round++) {
        size_t length = round % 100 == 0 ? 65535 : 1 + random_below(&b.random, 2000);
        size_t before = length;
        fill(&b, plain, length, random_below(&b.random, 257));
        memcpy(b.bytes, plain, length);
        b.pace = (struct ipcomp_pace){0};
        if (!ipcomp_compress(b.c, &b.pace, b.bytes, &length)) {
            CHECK_EQUAL(length, before);
            CHECK_BYTES(b.bytes, plain, length);
            left++;
            continue;
        }
        CHECK(length < before && before >= IPCOMP_LEAST_BYTES);
        CHECK(ipcomp_decompress(b.c, b.bytes, &length, before));
        CHECK_EQUAL(length, before);
        CHECK_BYTES(b.bytes, plain, before);
        compressed++;
    }
    CHECK(compressed > 1000 && left > 100);
    bed_close(&b);
}

TEST(small_packets_are_not_tried)
{
    struct bed b;

    bed_open(&b);
    for (size_t bytes = 0; bytes <= IPCOMP_LEAST_BYTES; bytes++) {
        size_t length = bytes;
        memset(b.bytes, 0, ROOM);
        CHECK_EQUAL(ipcomp_compress(b.c, &b.pace, b.bytes, &length), bytes == IPCOMP_LEAST_BYTES);
    }
    bed_close(&b);
}

/* How many packets in a row are passed by, though they would compress, before one is tried. */
static size_t passed_by(struct bed *b)
{
    for (size_t count = 0;; count++) {
        size_t length = 1000;
        memset(b->bytes, 0, length);
        if (ipcomp_compress(b->c, &b->pace, b->bytes, &length)) {
            return count;
        }
    }
}

static void fail_once(struct bed *b)
{
    size_t length = 1000;

    atomic_store(&b->pace.passes, 0);
    random_fill(&b->random, b->bytes, length);
    CHECK(!ipcomp_compress(b->c, &b->pace, b->bytes, &length));
}

TEST(after_failures_packets_are_passed_by_and_after_a_success_none)
{
    /* RFC 3173 2.2: i failures, then k packets, then more; one success begins anew. */
    static const size_t expected[] = {0, 0, 8, 16, 32, 64, 128, 256, 512, 1024, 1024, 1024};
    struct bed b;

    bed_open(&b);
    for (size_t failures = 1; failures <= ARRAY_LENGTH(expected); failures++) {
        b.pace = (struct ipcomp_pace){0};
        for (size_t i = 0; i < failures; i++) {
            fail_once(&b);
        }
        CHECK_EQUAL(passed_by(&b), expected[failures - 1]);
        CHECK_EQUAL(passed_by(&b), 0);
    }
    bed_close(&b);
}

TEST(no_stream_of_chance_does_harm)
{
    struct bed b;
    size_t taken = 0;

    bed_open(&b);
    for (int round = 0; round < 50000; round++) {
        size_t length = random_below(&b.random, 64);
        random_fill(&b.random, b.bytes, length);
        taken += ipcomp_decompress(b.c, b.bytes, &length, 1500);
        CHECK(length <= 1500);
    }
    /* Then a good one is read as ever. */
    size_t length = 700;
    memset(b.bytes, 'a', length);
    CHECK(ipcomp_compress(b.c, &b.pace, b.bytes, &length));
    CHECK(ipcomp_decompress(b.c, b.bytes, &length, 1500));
    CHECK_EQUAL(length, 700);
    CHECK(taken < 50000 / 10);
    bed_close(&b);
}
