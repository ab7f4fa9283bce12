/* Conversations message by message, in the notation of RFC 7296. */
#include "tests/exchange/world.h"
#include "tests/support/test.h"

static struct world w;

#define NATD "N(NAT_DETECTION_SOURCE_IP), N(NAT_DETECTION_DESTINATION_IP)"
#define INIT_REQUEST "SAi1, KEi, Ni, " NATD ", N(IKEV2_FRAGMENTATION_SUPPORTED), V"
#define INIT_RESPONSE                                                                              \
    "HDR, SAr1, KEr, Nr, " NATD ", N(IKEV2_FRAGMENTATION_SUPPORTED), N(CHILDLESS_IKEV2_SUPPORTED)"

/* 1.2 */
TEST(ike_sa_init_and_ike_auth)
{
    world_init(&w, 1);
    world_start(&w);
    world_expect(&w, A, "HDR, " INIT_REQUEST);
    world_expect(&w, B, INIT_RESPONSE);
    world_expect(&w, A, "HDR, SK {IDi, IDr, AUTH, SAi2, TSi, TSr}");
    CHECK_EQUAL(w.side[B].established, 1);
    CHECK_EQUAL(w.side[A].established, 0);
    world_expect(&w, B, "HDR, SK {IDr, AUTH, SAr2, TSi, TSr}");
    CHECK_EQUAL(w.side[A].established, 1);
    CHECK_EQUAL(w.flight_count, 0);
    world_settle(&w);
    world_check_settled(&w, 1);
    world_fini(&w);
}

/* RFC 6023 3 */
TEST(an_ike_sa_is_made_without_a_child_and_the_child_has_keys_of_its_own)
{
    world_init(&w, 60);
    w.side[A].policy.childless = true;
    world_start(&w);
    world_expect(&w, A, "HDR, " INIT_REQUEST);
    world_expect(&w, B, INIT_RESPONSE);
    world_expect(&w, A, "HDR, SK {IDi, IDr, AUTH}");
    CHECK_EQUAL(w.side[B].established, 1);
    world_expect(&w, B, "HDR, SK {IDr, AUTH}");
    CHECK_EQUAL(w.side[A].established, 1);
    CHECK_EQUAL(w.side[A].installs + w.side[B].installs, 0);
    world_expect(&w, A, "HDR, SK {SA, Ni, KEi, TSi, TSr}");
    world_expect(&w, B, "HDR, SK {SA, Nr, KEr, TSi, TSr}");
    CHECK_EQUAL(w.flight_count, 0);
    world_settle(&w);
    world_check_settled(&w, 1);
    world_fini(&w);
}

/* 2.6 */
TEST(a_cookie_is_asked_for_and_returned_first)
{
    world_init(&w, 2);
    w.side[B].cookies_wanted = true;
    world_start(&w);
    world_expect(&w, A, "HDR, " INIT_REQUEST);
    CHECK(w.side[B].sa == NULL);
    world_expect(&w, B, "HDR, N(COOKIE)");
    world_expect(&w, A, "HDR, N(COOKIE), " INIT_REQUEST);
    world_expect(&w, B, INIT_RESPONSE);
    world_expect(&w, A, "HDR, SK {IDi, IDr, AUTH, SAi2, TSi, TSr}");
    world_expect(&w, B, "HDR, SK {IDr, AUTH, SAr2, TSi, TSr}");
    world_settle(&w);
    world_check_settled(&w, 1);
    world_fini(&w);
}

static void allow_only(struct proposals *policy, const char *words)
{
    char why[200];

    policy->count = 1;
    CHECK(proposal_parse(PROTOCOL_IKE, slice_of_text(words), &policy->list[0], why, sizeof(why)));
}

/* 1.2, 2.7 */
TEST(another_group_is_asked_for)
{
    world_init(&w, 3);
    allow_only(&w.side[B].ike_proposals, "aes128gcm16-prfsha256-ecp256");
    world_start(&w);
    world_expect(&w, A, "HDR, " INIT_REQUEST);
    world_expect(&w, B, "HDR, N(INVALID_KE_PAYLOAD)");
    CHECK(w.side[B].sa == NULL);
    world_expect(&w, A, "HDR, " INIT_REQUEST);
    world_expect(&w, B, INIT_RESPONSE);
    world_deliver_all(&w);
    world_settle(&w);
    world_check_settled(&w, 1);
    world_fini(&w);
}

/* 2.6.1: the cookie stays good for the other group. */
TEST(cookie_and_another_group)
{
    world_init(&w, 4);
    allow_only(&w.side[B].ike_proposals, "aes128gcm16-prfsha256-ecp256");
    w.side[B].cookies_wanted = true;
    world_start(&w);
    world_expect(&w, A, "HDR, " INIT_REQUEST);
    world_expect(&w, B, "HDR, N(COOKIE)");
    world_expect(&w, A, "HDR, N(COOKIE), " INIT_REQUEST);
    world_expect(&w, B, "HDR, N(INVALID_KE_PAYLOAD)");
    world_expect(&w, A, "HDR, N(COOKIE), " INIT_REQUEST);
    world_expect(&w, B, INIT_RESPONSE);
    world_deliver_all(&w);
    world_settle(&w);
    world_check_settled(&w, 1);
    world_fini(&w);
}

/* 2.21.1, 3.3.6 */
TEST(nothing_in_common_is_said_and_nothing_kept)
{
    world_init(&w, 5);
    allow_only(&w.side[B].ike_proposals, "aes256-sha384-modp4096");
    world_start(&w);
    world_expect(&w, A, "HDR, " INIT_REQUEST);
    world_expect(&w, B, "HDR, N(NO_PROPOSAL_CHOSEN)");
    CHECK(w.side[B].sa == NULL);
    world_settle(&w);
    world_check_gone(&w);
    CHECK_EQUAL(w.side[A].failed, 1);
    CHECK_EQUAL(w.side[A].failure.reason, IKEV2_FAIL_NO_PROPOSAL);
    CHECK(strstr(w.side[A].failure.ours, "aes128gcm16") != NULL);
    CHECK(strstr(w.side[B].failure.theirs, "aes128gcm16") != NULL);
    CHECK(strstr(w.side[B].failure.ours, "modp4096") != NULL);
    world_fini(&w);
}

/* 2.15, 2.21.2 */
TEST(a_wrong_shared_key_is_refused)
{
    world_init(&w, 6);
    CHECK(secret_set(&w.side[A].policy.shared_key, SLICE_TEXT("another key")));
    world_start(&w);
    world_deliver_all(&w);
    CHECK_EQUAL(w.side[B].established, 0);
    CHECK_EQUAL(w.side[A].established, 0);
    CHECK_EQUAL(w.side[B].failure.reason, IKEV2_FAIL_PEER_AUTH);
    CHECK_EQUAL(w.side[A].failure.reason, IKEV2_FAIL_AUTH_REFUSED);
    world_settle(&w);
    world_check_gone(&w);
    CHECK_EQUAL(w.side[A].installs + w.side[B].installs, 0);
    world_fini(&w);
}

TEST(a_stranger_gets_the_same_answer_as_a_wrong_key)
{
    unsigned sent[2];

    for (int known = 0; known < 2; known++) {
        world_init(&w, 7);
        w.side[B].knows_peer = known == 1;
        CHECK(secret_set(&w.side[A].policy.shared_key, SLICE_TEXT("another key")));
        world_start(&w);
        world_expect(&w, A, "HDR, " INIT_REQUEST);
        world_expect(&w, B, INIT_RESPONSE);
        world_expect(&w, A, "HDR, SK {IDi, IDr, AUTH, SAi2, TSi, TSr}");
        world_expect(&w, B, "HDR, SK {N(AUTHENTICATION_FAILED)}");
        sent[known] = w.side[B].sent;
        world_settle(&w);
        world_check_gone(&w);
        world_fini(&w);
    }
    CHECK_EQUAL(sent[0], sent[1]);
}

/* 2.21.2: the IKE SA is there, its first child is not. */
TEST(a_refused_child_leaves_the_ike_sa)
{
    world_init(&w, 8);
    char why[200];

    CHECK(proposal_parse(PROTOCOL_ESP, SLICE_TEXT("aes256-sha256"),
                         &w.side[B].child_proposals[0].list[0], why, sizeof(why)));
    world_start(&w);
    world_expect(&w, A, "HDR, " INIT_REQUEST);
    world_expect(&w, B, INIT_RESPONSE);
    world_expect(&w, A, "HDR, SK {IDi, IDr, AUTH, SAi2, TSi, TSr}");
    world_expect(&w, B, "HDR, SK {IDr, AUTH, N(NO_PROPOSAL_CHOSEN)}");
    CHECK_EQUAL(w.side[A].established, 1);
    CHECK_EQUAL(w.side[B].established, 1);
    CHECK_EQUAL(w.side[A].failure.reason, IKEV2_FAIL_CHILD_NO_PROPOSAL);
    CHECK_EQUAL(w.side[A].child_failed, 1);
    world_fini(&w);
}

TEST(networks_that_do_not_meet_are_told_apart)
{
    struct network n;

    world_init(&w, 9);
    CHECK(network_parse(SLICE_TEXT("10.9.0.0/16"), &n));
    w.side[B].local_selector = selector_of_network(&n);
    world_start(&w);
    world_expect(&w, A, "HDR, " INIT_REQUEST);
    world_expect(&w, B, INIT_RESPONSE);
    world_expect(&w, A, "HDR, SK {IDi, IDr, AUTH, SAi2, TSi, TSr}");
    world_expect(&w, B, "HDR, SK {IDr, AUTH, N(TS_UNACCEPTABLE)}");
    CHECK_EQUAL(w.side[A].failure.reason, IKEV2_FAIL_CHILD_SELECTORS);
    CHECK_EQUAL(w.side[B].failure.reason, IKEV2_FAIL_CHILD_SELECTORS);
    CHECK(strstr(w.side[B].failure.theirs, "10.2.0.0/16") != NULL);
    world_fini(&w);
}

/* 1.3.3, 1.4.1 */
TEST(a_child_is_rekeyed_and_the_old_one_deleted)
{
    world_init(&w, 10);
    world_connect(&w);
    w.traffic_wanted = true;
    world_rekey_child(&w, A);
    world_expect(&w, A, "HDR, SK {N(REKEY_SA), SA, Ni, KEi, TSi, TSr}");
    world_expect(&w, B, "HDR, SK {SA, Nr, KEr, TSi, TSr}");
    world_expect(&w, A, "HDR, SK {D}");
    world_expect(&w, B, "HDR, SK {D}");
    world_settle(&w);
    world_check_settled(&w, 1);
    world_fini(&w);
}

/* 1.3.2 */
TEST(an_ike_sa_is_rekeyed_and_the_old_one_deleted)
{
    for (enum world_side_name side = A; side <= B; side++) {
        world_init(&w, 11);
        world_connect(&w);
        w.traffic_wanted = true;
        world_rekey_ike(&w, side);
        world_expect(&w, side, "HDR, SK {SA, Ni, KEi}");
        world_expect(&w, 1 - side, "HDR, SK {SA, Nr, KEr}");
        world_expect(&w, side, "HDR, SK {D}");
        world_expect(&w, 1 - side, "HDR, SK {}");
        CHECK_EQUAL(w.side[A].rekeyed, 1);
        CHECK_EQUAL(w.side[B].rekeyed, 1);
        world_settle(&w);
        world_check_settled(&w, 1);
        /* The new one works: message IDs begin anew, both may ask. */
        world_liveness(&w, A);
        world_liveness(&w, B);
        world_settle(&w);
        world_rekey_child(&w, A);
        world_settle(&w);
        world_rekey_ike(&w, 1 - side);
        world_settle(&w);
        world_check_settled(&w, 1);
        world_fini(&w);
    }
}

/* 1.3.1 */
TEST(another_child_is_made)
{
    world_init(&w, 12);
    w.side[A].policy.child_count = 2;
    w.side[B].policy.child_count = 2;
    struct network n;
    static struct selector second[2];

    CHECK(network_parse(SLICE_TEXT("10.11.0.0/16"), &n));
    second[A] = selector_of_network(&n);
    CHECK(network_parse(SLICE_TEXT("10.12.0.0/16"), &n));
    second[B] = selector_of_network(&n);
    for (size_t i = 0; i < 2; i++) {
        w.side[i].children[1].local = &second[i];
        w.side[i].children[1].remote = &second[1 - i];
    }
    world_connect(&w);
    world_new_child(&w, A, 1);
    world_expect(&w, A, "HDR, SK {SA, Ni, KEi, TSi, TSr}");
    world_expect(&w, B, "HDR, SK {SA, Nr, KEr, TSi, TSr}");
    world_heard(&w, B);
    world_settle(&w);
    world_check_settled(&w, 2);
    world_fini(&w);
}

/* 1.3: another group for the child alone. */
TEST(another_group_is_asked_for_by_a_child)
{
    char why[200];

    world_init(&w, 13);
    CHECK(proposal_parse(PROTOCOL_ESP, SLICE_TEXT("aes128gcm16-x25519-ecp256"),
                         &w.side[A].child_proposals[0].list[0], why, sizeof(why)));
    CHECK(proposal_parse(PROTOCOL_ESP, SLICE_TEXT("aes128gcm16-ecp256"),
                         &w.side[B].child_proposals[0].list[0], why, sizeof(why)));
    world_connect(&w);
    w.traffic_wanted = true;
    world_rekey_child(&w, A);
    world_expect(&w, A, "HDR, SK {N(REKEY_SA), SA, Ni, KEi, TSi, TSr}");
    world_expect(&w, B, "HDR, SK {N(INVALID_KE_PAYLOAD)}");
    world_expect(&w, A, "HDR, SK {N(REKEY_SA), SA, Ni, KEi, TSi, TSr}");
    world_expect(&w, B, "HDR, SK {SA, Nr, KEr, TSi, TSr}");
    world_expect(&w, A, "HDR, SK {D}");
    world_expect(&w, B, "HDR, SK {D}");
    world_settle(&w);
    world_check_settled(&w, 1);
    world_fini(&w);
}

/* 1.4 */
TEST(liveness_is_asked_and_answered_with_nothing)
{
    world_init(&w, 14);
    world_connect(&w);
    for (enum world_side_name side = A; side <= B; side++) {
        world_liveness(&w, side);
        world_expect(&w, side, "HDR, SK {}");
        world_expect(&w, 1 - side, "HDR, SK {}");
    }
    world_settle(&w);
    world_check_settled(&w, 1);
    world_fini(&w);
}

/* 1.4.1 */
TEST(a_child_is_deleted_and_the_ike_sa_stays)
{
    world_init(&w, 15);
    world_connect(&w);
    world_close_child(&w, A);
    world_expect(&w, A, "HDR, SK {D}");
    world_expect(&w, B, "HDR, SK {D}");
    world_settle(&w);
    world_check_settled(&w, 0);
    world_fini(&w);
}

TEST(an_ike_sa_is_deleted_with_all_that_hangs_on_it)
{
    for (enum world_side_name side = A; side <= B; side++) {
        world_init(&w, 16);
        world_connect(&w);
        world_close(&w, side);
        world_expect(&w, side, "HDR, SK {D}");
        world_settle(&w);
        world_check_gone(&w);
        CHECK_EQUAL(w.side[side].failure.reason, IKEV2_FAIL_ORDERED);
        CHECK_EQUAL(w.side[1 - side].failure.reason, IKEV2_FAIL_PEER_DELETED);
        world_fini(&w);
    }
}

/* 2.4 */
TEST(a_peer_that_says_nothing_more_is_dead)
{
    world_init(&w, 17);
    w.side[A].policy.liveness_ms = 30000;
    world_connect(&w);
    world_advance(&w, 120000);
    world_check_settled(&w, 1);
    /* From now on nothing arrives. */
    for (unsigned i = 0; i < 100 && w.side[A].sa != NULL; i++) {
        CHECK(world_wake(&w));
        while (w.flight_count > 0) {
            world_lose(&w, 0);
        }
    }
    CHECK(w.side[A].sa == NULL);
    CHECK_EQUAL(w.side[A].failure.reason, IKEV2_FAIL_PEER_DEAD);
    world_fini(&w);
}

/* 2.1: the same octets again; the answer is the same, and nothing happens twice. */
TEST(every_message_may_be_lost_once)
{
    for (unsigned lost = 0; lost < 12; lost++) {
        world_init(&w, 18);
        w.side[B].cookies_wanted = true;
        world_start(&w);
        unsigned count = 0;

        for (unsigned i = 0; i < 200; i++) {
            while (w.flight_count > 0) {
                if (count++ == lost) {
                    world_lose(&w, 0);
                } else {
                    world_deliver(&w, 0);
                }
            }
            if (w.side[A].established == 1 && w.side[B].established == 1) {
                break;
            }
            CHECK(world_wake(&w));
        }
        world_heard(&w, B);
        world_settle(&w);
        world_check_settled(&w, 1);
        CHECK_EQUAL(w.side[A].installs, 1);
        CHECK_EQUAL(w.side[B].installs, 1);
        world_fini(&w);
    }
}

TEST(every_message_may_arrive_twice)
{
    world_init(&w, 19);
    world_start(&w);
    for (unsigned i = 0; w.flight_count > 0; i++) {
        struct flight f = w.flights[0];
        uint8_t copy[4096];

        CHECK(f.length <= sizeof(copy));
        CHECK(i < 100);
        memcpy(copy, f.bytes, f.length);
        world_deliver(&w, 0);
        size_t before = w.flight_count;

        world_inject(&w, 1 - f.from, (struct slice){copy, f.length});
        /* At most the one answer again. */
        CHECK(w.flight_count <= before + 1);
        while (w.flight_count > before) {
            world_lose(&w, w.flight_count - 1);
        }
    }
    world_heard(&w, B);
    world_settle(&w);
    world_check_settled(&w, 1);
    CHECK_EQUAL(w.side[A].installs, 1);
    CHECK_EQUAL(w.side[B].installs, 1);
    world_fini(&w);
}

/* RFC 7383 */
TEST(a_long_ike_auth_travels_in_fragments)
{
    static struct selector many[2][60];

    world_init(&w, 20);
    for (uint32_t i = 0; i < 60; i++) {
        /* Every second network, so that they stay apart. */
        struct address from_a = address_ipv4(0x0a010000 + (i << 9));
        struct address to_a = address_ipv4(0x0a0100ff + (i << 9));
        struct address from_b = address_ipv4(0x0a020000 + (i << 9));
        struct address to_b = address_ipv4(0x0a0200ff + (i << 9));

        many[A][i] = (struct selector){{from_a, to_a}, 0, 0, 65535};
        many[B][i] = (struct selector){{from_b, to_b}, 0, 0, 65535};
    }
    for (size_t i = 0; i < 2; i++) {
        w.side[i].children[0].local = many[i];
        w.side[i].children[0].local_count = 60;
        w.side[i].children[0].remote = many[1 - i];
        w.side[i].children[0].remote_count = 60;
        w.side[i].policy.fragment_bytes = 600;
        w.side[i].responder.fragment_bytes = 600;
    }
    world_connect(&w);
    CHECK(w.side[A].longest_sent <= 600 - 28);
    CHECK(w.side[B].longest_sent <= 600 - 28);
    CHECK(w.side[A].sent > 4);
    world_settle(&w);
    world_check_settled(&w, 1);
    world_fini(&w);
}

/* 2.23 */
TEST(a_nat_is_found_and_both_go_on_at_port_4500)
{
    struct ikev2_sa_info info;

    world_init(&w, 21);
    world_set_nat(&w, "198.51.100.9", 40000);
    world_connect(&w);
    ikev2_sa_get_info(w.side[A].sa, &info);
    CHECK(info.nat_local);
    CHECK(!info.nat_peer);
    CHECK_EQUAL(info.local.port, 4500);
    CHECK_EQUAL(info.peer.port, 4500);
    ikev2_sa_get_info(w.side[B].sa, &info);
    CHECK(info.nat_peer);
    CHECK(!info.nat_local);
    CHECK_EQUAL(info.local.port, 4500);
    CHECK_EQUAL(info.peer.port, 40001);
    CHECK_EQUAL(w.side[A].encapsulated, 1);
    CHECK_EQUAL(w.side[B].encapsulated, 1);
    world_rekey_ike(&w, B);
    world_settle(&w);
    world_rekey_child(&w, B);
    world_settle(&w);
    world_check_settled(&w, 1);
    CHECK_EQUAL(w.side[B].encapsulated, w.side[B].installs);
    world_fini(&w);
}

TEST(without_a_nat_nothing_is_encapsulated)
{
    struct ikev2_sa_info info;

    world_init(&w, 22);
    world_connect(&w);
    ikev2_sa_get_info(w.side[A].sa, &info);
    CHECK(!info.nat_local && !info.nat_peer);
    CHECK_EQUAL(info.local.port, 500);
    CHECK_EQUAL(w.side[A].encapsulated + w.side[B].encapsulated, 0);
    world_fini(&w);
}

TEST(encapsulation_can_be_forced)
{
    world_init(&w, 23);
    w.side[A].policy.force_encapsulation = true;
    world_connect(&w);
    CHECK_EQUAL(w.side[A].encapsulated, 1);
    CHECK_EQUAL(w.side[B].encapsulated, 1);
    world_fini(&w);
    world_init(&w, 24);
    w.side[B].responder.force_encapsulation = true;
    w.side[B].policy.force_encapsulation = true;
    world_connect(&w);
    CHECK_EQUAL(w.side[A].encapsulated, 1);
    CHECK_EQUAL(w.side[B].encapsulated, 1);
    world_fini(&w);
}

/* 2.23: the NAT was restarted; the next authentic message says where the peer is now, an old
 * one does not. */
TEST(a_peer_behind_a_nat_is_followed_and_replays_move_nobody)
{
    struct ikev2_sa_info info;
    uint8_t copy[512];
    size_t length;

    world_init(&w, 25);
    world_set_nat(&w, "198.51.100.9", 40000);
    world_connect(&w);
    world_liveness(&w, A);
    length = w.flights[0].length;
    CHECK(length <= sizeof(copy));
    memcpy(copy, w.flights[0].bytes, length);
    world_deliver_all(&w);
    CHECK_EQUAL(w.side[B].moved, 0);

    world_set_nat(&w, "198.51.100.9", 50000);
    world_liveness(&w, A);
    world_deliver_all(&w);
    CHECK_EQUAL(w.side[B].moved, 1);
    ikev2_sa_get_info(w.side[B].sa, &info);
    CHECK_EQUAL(info.peer.port, 50001);

    /* The old request, replayed from where an attacker sits. */
    world_inject(&w, B, (struct slice){copy, length});
    while (w.flight_count > 0) {
        world_lose(&w, 0);
    }
    CHECK_EQUAL(w.side[B].moved, 1);
    /* And one that is not authentic. */
    copy[length - 1] ^= 1;
    put_u32(copy + 20, get_u32(copy + 20) + 2);
    world_inject(&w, B, (struct slice){copy, length});
    CHECK_EQUAL(w.flight_count, 0);
    CHECK_EQUAL(w.side[B].moved, 1);
    ikev2_sa_get_info(w.side[B].sa, &info);
    CHECK_EQUAL(info.peer.port, 50001);
    world_settle(&w);
    world_check_settled(&w, 1);
    world_fini(&w);
}

/* Without a NAT the peer's address is fixed, whatever address an authentic message comes from
 * (MOBIKE is something else). */
TEST(a_peer_without_a_nat_does_not_move)
{
    struct ikev2_sa_info info;

    world_init(&w, 26);
    world_connect(&w);
    world_set_nat(&w, "198.51.100.66", 40000);
    world_liveness(&w, A);
    world_deliver(&w, 0);
    ikev2_sa_get_info(w.side[B].sa, &info);
    CHECK_EQUAL(info.peer.port, 500);
    CHECK_EQUAL(w.side[B].moved, 0);
    world_fini(&w);
}

/* 2.4: INITIAL_CONTACT counts when it is authentic. */
TEST(initial_contact_is_told_once)
{
    world_init(&w, 27);
    w.side[A].policy.initial_contact = true;
    world_connect(&w);
    CHECK_EQUAL(w.side[B].initial_contact, 1);
    CHECK_EQUAL(w.side[A].initial_contact, 0);
    world_fini(&w);
}

/* 2.8: rekeyed by themselves before their lifetimes end, again and again, without a gap. */
TEST(lifetimes_rekey_for_ever_without_a_gap)
{
    world_init(&w, 28);
    for (size_t i = 0; i < 2; i++) {
        w.side[i].policy.ike_lifetime_ms = 3600000;
        w.side[i].children[0].lifetime_ms = 600000;
    }
    world_connect(&w);
    w.traffic_wanted = true;
    /* Two days of the machine's clock, in parts so that the seeds differ. */
    for (int hour = 0; hour < 40; hour++) {
        world_advance(&w, 3600000);
        w.history_length = 0;
        CHECK(w.side[A].sa != NULL);
        CHECK(w.side[B].sa != NULL);
        CHECK(w.side[A].installed_count <= 2);
        CHECK(w.side[A].ike_spi_count <= 2);
        if (w.side[A].next_esp_spi > WORLD_FIRST_ESP_SPI + WORLD_ESP_SPIS / 2 - 20) {
            break;
        }
    }
    CHECK(w.side[A].rekeyed >= 15);
    CHECK_EQUAL(w.side[A].rekeyed, w.side[B].rekeyed);
    CHECK(w.side[A].installs >= 100);
    world_fini(&w);
}

/* 2.8: a lifetime ends although the peer answers nothing: the SA is not used for ever. */
TEST(a_child_whose_rekeying_fails_is_not_used_for_ever)
{
    world_init(&w, 29);
    w.side[A].children[0].lifetime_ms = 600000;
    world_connect(&w);
    for (unsigned i = 0; i < 400 && w.side[A].sa != NULL && w.now_ms < 1000000 + 1200000; i++) {
        if (!world_wake(&w)) {
            break;
        }
        while (w.flight_count > 0) {
            world_lose(&w, 0);
        }
    }
    CHECK_EQUAL(w.side[A].installed_count, 0);
    world_fini(&w);
}

/* 2.21.1: anybody can forge an answer in clear; the true one that comes after it counts. */
TEST(a_forged_refusal_does_not_end_a_beginning)
{
    static const uint16_t types[] = {IKEV2_NO_PROPOSAL_CHOSEN,    IKEV2_INVALID_SYNTAX,
                                     IKEV2_AUTHENTICATION_FAILED, IKEV2_INVALID_MAJOR_VERSION,
                                     IKEV2_INVALID_IKE_SPI,       9999};

    for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
        uint8_t bytes[64];
        uint8_t first = 0;
        struct writer out = writer_over(bytes, sizeof(bytes));
        struct ikev2_notify_payload notify = {.type = types[i]};

        world_init(&w, 30);
        world_start(&w);
        struct ikev2_header h = {.spi_i = get_u64(w.flights[0].bytes),
                                 .next_payload = IKEV2_NOTIFY,
                                 .version = 0x20,
                                 .exchange = IKEV2_IKE_SA_INIT,
                                 .flags = IKEV2_FLAG_RESPONSE};

        ikev2_write_header(&out, &h);
        struct ikev2_chain chain = ikev2_chain_over(&out, &first);

        ikev2_begin_payload(&chain, IKEV2_NOTIFY, false);
        ikev2_write_notify(&out, &notify);
        ikev2_end_payload(&chain);
        ikev2_finish_message(&out);
        world_inject(&w, A, writer_written(&out));
        CHECK(w.side[A].sa != NULL);
        world_deliver_all(&w);
        CHECK_EQUAL(w.side[A].established, 1);
        CHECK_EQUAL(w.side[B].established, 1);
        world_fini(&w);
    }
}

/* 2.6: cookies over and over, and groups over and over, come to an end. */
TEST(an_initiator_is_not_led_in_circles)
{
    static const uint16_t types[] = {IKEV2_COOKIE, IKEV2_INVALID_KE_PAYLOAD};

    for (size_t i = 0; i < 3; i++) {
        unsigned rounds = 0;

        world_init(&w, 31);
        world_start(&w);
        while (w.flight_count > 0 && rounds < 100) {
            uint8_t bytes[128];
            uint8_t first = 0;
            struct writer out = writer_over(bytes, sizeof(bytes));
            /* A cookie that is always new; a group that was not offered; the two that were, in
             * turn. */
            uint8_t cookie[4] = {1, 2, 3, (uint8_t)rounds};
            uint8_t group[2] = {0, (uint8_t)(i == 1            ? KEY_EXCHANGE_MODP_1024
                                             : rounds % 2 == 0 ? KEY_EXCHANGE_ECP_256
                                                               : KEY_EXCHANGE_X25519)};
            struct ikev2_notify_payload notify = {
                .type = types[i == 0 ? 0 : 1],
                .data = i == 0 ? SLICE_OF(cookie) : SLICE_OF(group),
            };
            struct ikev2_header h = {.spi_i = get_u64(w.flights[0].bytes),
                                     .next_payload = IKEV2_NOTIFY,
                                     .version = 0x20,
                                     .exchange = IKEV2_IKE_SA_INIT,
                                     .flags = IKEV2_FLAG_RESPONSE};

            world_lose(&w, 0);
            ikev2_write_header(&out, &h);
            struct ikev2_chain chain = ikev2_chain_over(&out, &first);

            ikev2_begin_payload(&chain, IKEV2_NOTIFY, false);
            ikev2_write_notify(&out, &notify);
            ikev2_end_payload(&chain);
            ikev2_finish_message(&out);
            world_inject(&w, A, writer_written(&out));
            rounds++;
        }
        CHECK(rounds < 20);
        while (w.side[A].sa != NULL && world_wake(&w)) {
            while (w.flight_count > 0) {
                world_lose(&w, 0);
            }
        }
        CHECK(w.side[A].sa == NULL);
        CHECK_EQUAL(w.side[A].established, 0);
        world_fini(&w);
    }
}

/* ---- what a child can be beside a tunnel of ESP (1.3.1, appendix C) ---- */

static struct selector selector_of(const char *words)
{
    struct network n;

    CHECK(network_parse(slice_of_text(words), &n));
    return selector_of_network(&n);
}

/* Between the two hosts themselves. */
static void between_hosts(enum ikev2_mode a, enum ikev2_mode b)
{
    w.side[A].local_selector = w.side[B].remote_selector = selector_of("192.0.2.1");
    w.side[A].remote_selector = w.side[B].local_selector = selector_of("203.0.113.2");
    w.side[A].children[0].mode = a;
    w.side[B].children[0].mode = b;
}

static void to_ike_auth(const char *request, const char *response)
{
    world_start(&w);
    world_expect(&w, A, "HDR, " INIT_REQUEST);
    world_expect(&w, B, INIT_RESPONSE);
    world_expect(&w, A, request);
    world_expect(&w, B, response);
}

/* By either side, with these notifies in both messages. */
static void rekey_by_both_in_turn(const char *request, const char *response)
{
    for (enum world_side_name side = A; side <= B; side++) {
        world_settle(&w);
        world_rekey_child(&w, side);
        world_expect(&w, side, request);
        world_expect(&w, 1 - side, response);
        world_expect(&w, side, "HDR, SK {D}");
        world_expect(&w, 1 - side, "HDR, SK {D}");
    }
    world_settle(&w);
    world_check_settled(&w, 1);
}

TEST(transport_mode_is_asked_for_and_granted)
{
    world_init(&w, 100);
    between_hosts(IKEV2_MODE_TRANSPORT, IKEV2_MODE_PREFER_TRANSPORT);
    to_ike_auth("HDR, SK {IDi, IDr, AUTH, N(USE_TRANSPORT_MODE), SAi2, TSi, TSr}",
                "HDR, SK {IDr, AUTH, N(USE_TRANSPORT_MODE), SAr2, TSi, TSr}");
    rekey_by_both_in_turn("HDR, SK {N(REKEY_SA), N(USE_TRANSPORT_MODE), SA, Ni, KEi, TSi, TSr}",
                          "HDR, SK {N(USE_TRANSPORT_MODE), SA, Nr, KEr, TSi, TSr}");
    world_fini(&w);
}

/* 1.3.1: if a tunnel is unacceptable to the initiator, he must delete it. */
TEST(a_tunnel_in_the_place_of_transport_mode_is_deleted)
{
    world_init(&w, 101);
    between_hosts(IKEV2_MODE_TRANSPORT, IKEV2_MODE_TUNNEL);
    to_ike_auth("HDR, SK {IDi, IDr, AUTH, N(USE_TRANSPORT_MODE), SAi2, TSi, TSr}",
                "HDR, SK {IDr, AUTH, SAr2, TSi, TSr}");
    world_expect(&w, A, "HDR, SK {D}");
    world_expect(&w, B, "HDR, SK {D}");
    world_settle(&w);
    world_check_settled(&w, 0);
    CHECK_EQUAL(w.side[A].failure.reason, IKEV2_FAIL_CHILD_MODE);
    world_fini(&w);
}

TEST(a_tunnel_is_refused_where_transport_mode_must_be)
{
    world_init(&w, 102);
    between_hosts(IKEV2_MODE_TUNNEL, IKEV2_MODE_TRANSPORT);
    to_ike_auth("HDR, SK {IDi, IDr, AUTH, SAi2, TSi, TSr}",
                "HDR, SK {IDr, AUTH, N(NO_PROPOSAL_CHOSEN)}");
    world_settle(&w);
    world_check_settled(&w, 0);
    CHECK_EQUAL(w.side[B].failure.reason, IKEV2_FAIL_CHILD_MODE);
    world_fini(&w);
}

/* 2.22, and RFC 9347 5.1 */
TEST(compression_and_aggfrag_are_asked_for_and_granted)
{
    world_init(&w, 103);
    for (enum world_side_name side = A; side <= B; side++) {
        w.side[side].children[0].compress = true;
        w.side[side].children[0].aggfrag.wanted = true;
        w.side[side].children[0].non_first_fragments = true;
        w.side[side].local_selector.protocol = w.side[side].remote_selector.protocol = 6;
    }
    w.side[A].remote_selector.port_first = w.side[A].remote_selector.port_last = 25;
    w.side[B].local_selector.port_first = w.side[B].local_selector.port_last = 25;
    to_ike_auth("HDR, SK {IDi, IDr, AUTH, N(IPCOMP_SUPPORTED), N(NON_FIRST_FRAGMENTS_ALSO), "
                "N(USE_AGGFRAG), SAi2, TSi, TSr}",
                "HDR, SK {IDr, AUTH, N(IPCOMP_SUPPORTED), N(NON_FIRST_FRAGMENTS_ALSO), "
                "N(USE_AGGFRAG), SAr2, TSi, TSr}");
    rekey_by_both_in_turn(
        "HDR, SK {N(REKEY_SA), N(IPCOMP_SUPPORTED), N(NON_FIRST_FRAGMENTS_ALSO), N(USE_AGGFRAG), "
        "SA, Ni, KEi, TSi, TSr}",
        "HDR, SK {N(IPCOMP_SUPPORTED), N(NON_FIRST_FRAGMENTS_ALSO), N(USE_AGGFRAG), SA, Nr, KEr, "
        "TSi, TSr}");
    world_fini(&w);
}

TEST(what_the_responder_does_not_want_is_left_out_then_and_when_it_is_rekeyed)
{
    world_init(&w, 104);
    w.side[A].children[0].compress = true;
    w.side[A].children[0].aggfrag.wanted = true;
    to_ike_auth("HDR, SK {IDi, IDr, AUTH, N(IPCOMP_SUPPORTED), N(USE_AGGFRAG), SAi2, TSi, TSr}",
                "HDR, SK {IDr, AUTH, SAr2, TSi, TSr}");
    rekey_by_both_in_turn("HDR, SK {N(REKEY_SA), SA, Ni, KEi, TSi, TSr}",
                          "HDR, SK {SA, Nr, KEr, TSi, TSr}");
    CHECK_EQUAL(w.side[A].child_failed, 0);
    world_fini(&w);
}

TEST(ah_is_rekeyed_and_deleted_under_its_own_protocol)
{
    char why[200];

    world_init(&w, 105);
    for (enum world_side_name side = A; side <= B; side++) {
        CHECK(proposal_parse(PROTOCOL_AH, SLICE_TEXT("sha256-x25519"),
                             &w.side[side].child_proposals[0].list[0], why, sizeof(why)));
    }
    to_ike_auth("HDR, SK {IDi, IDr, AUTH, SAi2, TSi, TSr}", "HDR, SK {IDr, AUTH, SAr2, TSi, TSr}");
    rekey_by_both_in_turn("HDR, SK {N(REKEY_SA), SA, Ni, KEi, TSi, TSr}",
                          "HDR, SK {SA, Nr, KEr, TSi, TSr}");
    world_close_child(&w, B);
    world_expect(&w, B, "HDR, SK {D}");
    world_expect(&w, A, "HDR, SK {D}");
    world_check_settled(&w, 0);
    world_fini(&w);
}
