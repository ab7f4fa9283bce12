/* RFC 7296 2.23, against notifies recorded between two strongSwan gateways
 * (kat-ikev2-psk-aes128-...). */
#include "proto/ike/natd.h"

#include "base/text.h"
#include "tests/support/test.h"

static struct endpoint at(const char *words, uint16_t port)
{
    struct endpoint e;

    CHECK(endpoint_parse(slice_of_text(words), port, &e));
    return e;
}

static void hash_from(const char *digits, uint8_t out[NATD_HASH_BYTES])
{
    size_t length;

    CHECK(hex_parse(slice_of_text(digits), out, NATD_HASH_BYTES, &length));
    CHECK_EQUAL(length, NATD_HASH_BYTES);
}

TEST(the_hash_is_that_of_the_rfc)
{
    struct endpoint responder = at("192.168.77.1", 500);
    uint8_t hash[NATD_HASH_BYTES];
    uint8_t expected[NATD_HASH_BYTES];

    /* NAT_DETECTION_DESTINATION_IP of the first message of the recorded session. */
    hash_from("108208dbdc258aa964a6e6e32865a6854adb8d82", expected);
    natd_hash(UINT64_C(0xbd5fedac93c138b0), 0, &responder, hash);
    CHECK_BYTES(hash, expected, sizeof(hash));
}

TEST(ipv6_addresses_count_with_sixteen_octets)
{
    struct endpoint e = at("2001:db8::1", 4500);
    uint8_t hash[NATD_HASH_BYTES];
    uint8_t expected[NATD_HASH_BYTES];

    /* sha1sum of 0102030405060708 1112131415161718 20010db8...01 1194 */
    hash_from("1ee24423bf8f59515e0265c6d0f08be3d038f7e5", expected);
    natd_hash(UINT64_C(0x0102030405060708), UINT64_C(0x1112131415161718), &e, hash);
    CHECK_BYTES(hash, expected, sizeof(hash));
}

TEST(nobody_is_behind_a_nat_when_one_of_several_source_hashes_matches)
{
    struct endpoint peer = at("203.0.113.1", 500);
    struct endpoint other = at("198.51.100.7", 500);
    struct endpoint local = at("192.0.2.1", 500);
    struct natd natd = {0};
    uint8_t hash[NATD_HASH_BYTES];

    CHECK(!natd_is_supported(&natd));
    CHECK(!natd_peer_is_behind(&natd));
    CHECK(!natd_local_is_behind(&natd));

    natd_hash(1, 2, &peer, hash);
    natd_add_source(&natd, SLICE_OF(hash), 1, 2, &peer);
    natd_hash(1, 2, &other, hash);
    natd_add_source(&natd, SLICE_OF(hash), 1, 2, &peer);
    CHECK(!natd_is_supported(&natd));
    natd_hash(1, 2, &local, hash);
    natd_add_destination(&natd, SLICE_OF(hash), 1, 2, &local);
    CHECK(natd_is_supported(&natd));
    CHECK(!natd_peer_is_behind(&natd));
    CHECK(!natd_local_is_behind(&natd));
}

TEST(a_changed_port_or_address_is_a_nat)
{
    struct endpoint inside = at("10.0.0.2", 500);
    struct endpoint outside = at("203.0.113.1", 500);
    struct endpoint moved = at("203.0.113.1", 1024);
    uint8_t hash[NATD_HASH_BYTES];

    struct natd natd = {0};
    natd_hash(1, 0, &inside, hash);
    natd_add_source(&natd, SLICE_OF(hash), 1, 0, &outside);
    natd_hash(1, 0, &outside, hash);
    natd_add_destination(&natd, SLICE_OF(hash), 1, 0, &moved);
    CHECK(natd_peer_is_behind(&natd));
    CHECK(natd_local_is_behind(&natd));
}

/* What asks for UDP is a NAT for who does not know of it, and seen through by who does, as long as
 * there is none. */
TEST(who_only_asks_for_udp_is_seen_through)
{
    struct endpoint inside = at("10.0.0.2", 500);
    struct endpoint outside = at("203.0.113.1", 500);
    struct endpoint nowhere = at("203.0.113.1", 0);
    uint8_t hash[NATD_HASH_BYTES], plain[NATD_HASH_BYTES];
    struct natd natd = {0};

    natd_asking_hash(1, 2, &outside, hash);
    natd_hash(1, 2, &nowhere, plain);
    CHECK_BYTES(hash, plain, sizeof(hash));
    natd_add_source(&natd, SLICE_OF(hash), 1, 2, &outside);
    CHECK(natd_peer_is_behind(&natd) && natd_peer_only_asks(&natd));
    natd = (struct natd){0};
    natd_asking_hash(1, 2, &inside, hash);
    natd_add_source(&natd, SLICE_OF(hash), 1, 2, &outside);
    CHECK(natd_peer_is_behind(&natd) && !natd_peer_only_asks(&natd));
    /* The true hash beside it counts. */
    natd_hash(1, 2, &outside, hash);
    natd_add_source(&natd, SLICE_OF(hash), 1, 2, &outside);
    CHECK(!natd_peer_is_behind(&natd) && !natd_peer_only_asks(&natd));
}

TEST(hashes_of_another_length_count_for_nothing)
{
    struct endpoint peer = at("203.0.113.1", 500);
    uint8_t hash[NATD_HASH_BYTES + 1] = {0};
    struct natd natd = {0};

    natd_add_source(&natd, SLICE_OF(hash), 1, 2, &peer);
    natd_add_destination(&natd, (struct slice){hash, 19}, 1, 2, &peer);
    natd_add_destination(&natd, (struct slice){NULL, 0}, 1, 2, &peer);
    CHECK(!natd.source_seen);
    CHECK(!natd.destination_seen);
}
