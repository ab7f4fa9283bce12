/* Questions for the path MTU (RFC 8899) in INFORMATIONAL: a packet of just that size, which nobody
 * may cut the first time. */
#include "proto/ikev2/machine.h"
#include "proto/ikev2/sk.h"
#include "tests/support/ikev2_pair.h"
#include "tests/support/test.h"

#define IPV4_AND_UDP 28
#define MARKER 4

/* A path that carries `mtu` octets and cuts what is longer, if it may. */
struct path {
    size_t mtu;
    size_t heads;
    size_t longest; /* of what was sent not to be cut */
    unsigned uncut, longer; /* how many were not to be cut; how many were longer and cut */
};

static bool path_passes(void *context, struct ikev2_pair *pair, const struct pair_datagram *d)
{
    struct path *path = context;
    size_t bytes = d->length + path->heads;

    (void)pair;
    if (d->dont_fragment) {
        path->uncut++;
        path->longest = bytes > path->longest ? bytes : path->longest;
        return bytes <= path->mtu;
    }
    path->longer += bytes > path->mtu;
    return true;
}

static struct ikev2_pair *up(uint64_t seed, struct path *path)
{
    struct ikev2_pair *p = ikev2_pair_new(seed);

    p->passes = path_passes;
    p->context = path;
    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    CHECK(p->side[0].established == 1 && p->side[1].established == 1);
    CHECK_EQUAL(path->uncut, 0);
    return p;
}

TEST(a_probe_has_just_the_size_that_was_asked_for)
{
    for (unsigned nat = 0; nat < 2; nat++) {
        struct path path = {.mtu = SIZE_MAX, .heads = IPV4_AND_UDP + (nat ? MARKER : 0)};
        struct ikev2_pair *p = ikev2_pair_new(1 + nat);
        unsigned probes = 0;

        p->nat = nat == 1;
        ikev2_pair_start(p, 0);
        CHECK(ikev2_pair_run(p));
        p->passes = path_passes;
        p->context = &path;
        for (uint32_t bytes = IKEV2_PROBE_BYTES_MIN; bytes <= IKEV2_PROBE_BYTES_MAX;
             bytes += bytes < 1600 ? 1 : 977) {
            path.longest = 0;
            ikev2_pair_probe_path(p, probes % 2, (uint16_t)bytes);
            CHECK(ikev2_pair_run(p));
            CHECK_EQUAL(path.longest, bytes);
            CHECK_EQUAL(p->side[probes % 2].probe_bytes, bytes);
            CHECK(p->side[probes % 2].probe_passed);
            probes++;
        }
        CHECK_EQUAL(p->side[0].probes + p->side[1].probes, probes);
        CHECK_EQUAL(path.uncut, probes);
        ikev2_pair_free(p);
    }
}

TEST(a_cipher_with_blocks_reaches_the_size_to_the_block_below)
{
    struct path path = {.mtu = SIZE_MAX, .heads = IPV4_AND_UDP};
    struct ikev2_pair *p = ikev2_pair_new(3);

    for (unsigned i = 0; i < 2; i++) {
        ikev2_pair_set_ike(p, i, "aes128-sha256-x25519");
    }
    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    p->passes = path_passes;
    p->context = &path;
    for (uint16_t bytes = 1400; bytes < 1500; bytes++) {
        path.longest = 0;
        ikev2_pair_probe_path(p, 0, bytes);
        CHECK(ikev2_pair_run(p));
        CHECK(path.longest <= bytes && path.longest > bytes - 16u);
        CHECK_EQUAL(p->side[0].probe_bytes, path.longest);
    }
    ikev2_pair_free(p);
}

TEST(a_probe_that_is_too_long_is_answered_when_it_is_sent_again_and_did_not_pass)
{
    struct path path = {.mtu = 1400, .heads = IPV4_AND_UDP};
    struct ikev2_pair *p = up(4, &path);

    ikev2_pair_probe_path(p, 0, 1401);
    CHECK(ikev2_pair_run(p));
    CHECK_EQUAL(p->side[0].probes, 0);
    ikev2_pair_advance(p, 5000);
    CHECK_EQUAL(p->side[0].probes, 1);
    CHECK(!p->side[0].probe_passed);
    CHECK_EQUAL(p->side[0].probe_bytes, 1401);
    CHECK_EQUAL(path.uncut, 1);
    CHECK_EQUAL(path.longer, 1);
    CHECK_EQUAL(p->side[0].closed, 0);
    ikev2_pair_probe_path(p, 0, 1400);
    CHECK(ikev2_pair_run(p));
    CHECK_EQUAL(p->side[0].probes, 2);
    CHECK(p->side[0].probe_passed);
    ikev2_pair_free(p);
}

/* RFC 7296 2.1: what is sent again is the same, bit for bit. */
TEST(a_probe_is_sent_again_in_the_same_octets)
{
    struct path path = {.mtu = SIZE_MAX, .heads = IPV4_AND_UDP};
    struct ikev2_pair *p = up(5, &path);

    ikev2_pair_probe_path(p, 0, 1300);
    while (p->queue_count < 2) {
        p->now_ms += 1000;
        ikev2_pair_time(p);
    }
    CHECK(p->queue[0].dont_fragment && !p->queue[1].dont_fragment);
    CHECK_EQUAL(p->queue[0].length, p->queue[1].length);
    CHECK(memcmp(p->queue[0].bytes, p->queue[1].bytes, p->queue[0].length) == 0);
    CHECK(ikev2_pair_run(p));
    CHECK_EQUAL(p->side[0].probes, 1);
    CHECK(!p->side[0].probe_passed);
    ikev2_pair_free(p);
}

TEST(a_probe_waits_for_what_is_asked_and_gives_way_to_what_is_urgent)
{
    struct path path = {.mtu = SIZE_MAX, .heads = IPV4_AND_UDP};
    struct ikev2_pair *p = up(6, &path);

    ikev2_pair_rekey_child(p, 0, p->side[0].children[0].spi_in);
    /* The second takes the place of the first. */
    ikev2_pair_probe_path(p, 0, 1000);
    ikev2_pair_probe_path(p, 0, 1200);
    CHECK_EQUAL(path.uncut, 0);
    CHECK(ikev2_pair_run(p));
    CHECK_EQUAL(p->side[0].probes, 1);
    CHECK_EQUAL(p->side[0].probe_bytes, 1200);
    /* And the IKE SA is rekeyed first. */
    ikev2_pair_rekey(p, 0);
    ikev2_pair_probe_path(p, 0, 1100);
    CHECK(ikev2_pair_run(p));
    CHECK_EQUAL(p->side[0].rekeyed, 1);
    ikev2_pair_advance(p, 200000);
    CHECK_EQUAL(p->side[0].probes, 2);
    CHECK(p->side[0].probe_passed);
    ikev2_pair_free(p);
}

TEST(of_a_probe_under_way_it_is_said_that_it_did_not_pass_when_the_ike_sa_ends)
{
    for (unsigned how = 0; how < 2; how++) {
        struct path path = {.mtu = SIZE_MAX, .heads = IPV4_AND_UDP};
        struct ikev2_pair *p = up(7 + how, &path);

        p->side[1].deaf = true;
        ikev2_pair_probe_path(p, 0, 1200);
        if (how == 0) {
            ikev2_pair_close(p, 0);
        } else {
            ikev2_pair_advance(p, 600000);
            CHECK_EQUAL(p->side[0].failure.reason, IKEV2_FAIL_PEER_DEAD);
        }
        CHECK_EQUAL(p->side[0].closed, 1);
        CHECK_EQUAL(p->side[0].probes, 1);
        CHECK(!p->side[0].probe_passed);
        ikev2_pair_free(p);
    }
}

TEST(sizes_beyond_the_limits_are_made_those)
{
    struct path path = {.mtu = SIZE_MAX, .heads = IPV4_AND_UDP};
    struct ikev2_pair *p = up(9, &path);

    ikev2_pair_probe_path(p, 0, 0);
    CHECK(ikev2_pair_run(p));
    CHECK_EQUAL(p->side[0].probe_bytes, IKEV2_PROBE_BYTES_MIN);
    ikev2_pair_probe_path(p, 0, UINT16_MAX);
    CHECK(ikev2_pair_run(p));
    CHECK_EQUAL(p->side[0].probe_bytes, IKEV2_PROBE_BYTES_MAX);
    ikev2_pair_free(p);
}

TEST(before_both_are_authenticated_nothing_is_probed)
{
    struct ikev2_pair *p = ikev2_pair_new(10);

    ikev2_pair_start(p, 0);
    ikev2_pair_probe_path(p, 0, 1000);
    CHECK(ikev2_pair_run(p));
    CHECK_EQUAL(p->side[0].established, 1);
    CHECK_EQUAL(p->side[0].probes, 0);
    ikev2_pair_free(p);
}
