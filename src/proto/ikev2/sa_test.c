/* Two machines: handshakes, and all that can be wrong with one. */
#include "crypto/prf.h"
#include "proto/ikev2/machine.h"
#include "proto/ikev2/sk.h"
#include "tests/support/ikev2_pair.h"
#include "tests/support/test.h"

/* Both up, one child each, traffic in both directions, and no SPI lost. */
static bool is_up(struct ikev2_pair *p)
{
    for (unsigned i = 0; i < 2; i++) {
        if (p->side[i].sa == NULL || p->side[i].established != 1 || p->side[i].failed != 0 ||
            ikev2_pair_live_children(p, i) != 1 || !ikev2_pair_packet(p, i, "net")) {
            return false;
        }
    }
    return ikev2_pair_agrees(p) && p->side[0].spi_i == p->side[1].spi_i &&
           p->side[0].spi_r == p->side[1].spi_r;
}

static struct ikev2_pair *started(uint64_t seed)
{
    struct ikev2_pair *p = ikev2_pair_new(seed);

    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    return p;
}

TEST(a_handshake_brings_up_both_sides_and_a_child)
{
    struct ikev2_pair *p = started(1);

    CHECK(is_up(p));
    CHECK_EQUAL(p->side[0].sends, 2);
    CHECK_EQUAL(p->side[1].sends, 2);
    CHECK_EQUAL(p->side[0].child_failed, 0);
    CHECK(!p->side[0].nat_local && !p->side[0].nat_peer);
    CHECK(!p->side[0].children[0].encapsulated);
    CHECK(p->side[0].children[0].initiator && !p->side[1].children[0].initiator);
    CHECK(ike_identity_matches(&p->side[0].policy.peer_id, &p->side[0].peer_id, true));
    CHECK(ike_identity_matches(&p->side[1].policy.peer_id, &p->side[1].peer_id, true));
    ikev2_pair_free(p);
}

TEST(every_suite_and_group_makes_the_same_keys_on_both_sides)
{
    static const char *const ike[] = {
        "aes128gcm16-sha256-ecp256",    "aes256gcm16-sha384-x25519",
        "aes128-sha256-modp2048",       "aes256-sha512-ecp521",
        "aes128-sha1-modp2048",         "chacha20poly1305-sha256-x25519",
        "aes256-sha384-ecp384",         "aes128ccm16-sha256-x448",
        "3des-sha1-modp1024",           "aes128ctr-sha256-x25519",
        "aes256gcm8-sha512-ecp256",     "aes128-aesxcbc-x25519",
        "aes256gcm16-sha384-mlkem512",  "aes256gcm16-sha384-mlkem768",
        "aes256gcm16-sha512-mlkem1024",
    };
    static const char *const esp[] = {
        "aes128gcm16", "aes256gcm16-esn",  "aes128-sha256",     "aes256-sha512",
        "aes128-sha1", "chacha20poly1305", "aes256-sha384-esn", "aes128ccm16",
        "3des-sha1",   "aes128ctr-sha256", "aes256gcm8",        "aes128-aesxcbc",
        "aes256gcm16", "aes256gcm16",      "aes256gcm16",
    };

    for (size_t i = 0; i < ARRAY_LENGTH(ike); i++) {
        struct ikev2_pair *p = ikev2_pair_new(i + 100);

        for (unsigned side = 0; side < 2; side++) {
            ikev2_pair_set_ike(p, side, ike[i]);
            ikev2_pair_set_esp(p, side, esp[i]);
        }
        ikev2_pair_start(p, 0);
        CHECK(ikev2_pair_run(p));
        CHECK(is_up(p));
        ikev2_pair_free(p);
    }
}

TEST(a_cookie_is_returned_and_costs_one_round)
{
    struct ikev2_pair *p = ikev2_pair_new(2);

    p->side[1].cookies_wanted = true;
    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_deliver_to(p, 1));
    CHECK(p->side[1].sa == NULL); /* nothing is kept for somebody without a cookie */
    CHECK(ikev2_pair_run(p));
    CHECK(is_up(p));
    CHECK_EQUAL(p->side[0].sends, 3);
    ikev2_pair_free(p);
}

TEST(another_group_is_tried_when_the_responder_asks_for_it)
{
    struct ikev2_pair *p = ikev2_pair_new(3);

    ikev2_pair_set_ike(p, 0, "aes256gcm16-sha256-x25519-modp2048");
    ikev2_pair_set_ike(p, 1, "aes256gcm16-sha256-modp2048");
    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    CHECK(is_up(p));
    CHECK_EQUAL(p->side[0].suite.key_exchange, KEY_EXCHANGE_MODP_2048);
    /* The responder forgot the first try without calling it a failure. */
    CHECK_EQUAL(p->side[1].failure.reason, IKEV2_FAIL_NONE);
    ikev2_pair_free(p);
}

TEST(a_cookie_and_another_group_go_together)
{
    struct ikev2_pair *p = ikev2_pair_new(4);

    p->side[1].cookies_wanted = true;
    ikev2_pair_set_ike(p, 0, "aes256gcm16-sha256-x25519-modp2048");
    ikev2_pair_set_ike(p, 1, "aes256gcm16-sha256-modp2048");
    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    CHECK(p->side[0].established == 1 && p->side[1].established == 1);
    CHECK(ikev2_pair_agrees(p));
    ikev2_pair_free(p);
}

/* An answer in clear to the request that is under way, as somebody on the way would forge it. */
static void forge_notify(struct ikev2_pair *p, uint16_t type, struct slice data)
{
    uint8_t bytes[256];
    struct writer w = writer_over(bytes, sizeof(bytes));
    struct ikev2_sa_info info;

    ikev2_sa_get_info(p->side[0].sa, &info);
    struct ikev2_header h = {
        .spi_i = info.spi_i,
        .version = 0x20,
        .exchange = IKEV2_IKE_SA_INIT,
        .flags = IKEV2_FLAG_RESPONSE,
    };

    ikev2_write_header(&w, &h);
    struct ikev2_chain chain = ikev2_chain_over(&w, &bytes[16]);
    struct ikev2_notify_payload n = {.type = type, .data = data};

    ikev2_begin_payload(&chain, IKEV2_NOTIFY, false);
    ikev2_write_notify(&w, &n);
    ikev2_end_payload(&chain);
    ikev2_finish_message(&w);
    ikev2_pair_inject(p, 0, &p->side[0].endpoint, &p->side[1].endpoint, writer_written(&w));
}

TEST(a_forged_refusal_does_not_stop_a_handshake)
{
    static const uint16_t types[] = {
        IKEV2_NO_PROPOSAL_CHOSEN,    IKEV2_INVALID_SYNTAX,     IKEV2_INVALID_MAJOR_VERSION,
        IKEV2_AUTHENTICATION_FAILED, IKEV2_INVALID_KE_PAYLOAD, IKEV2_INVALID_IKE_SPI,
    };

    for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
        struct ikev2_pair *p = ikev2_pair_new(500 + i);

        ikev2_pair_start(p, 0);
        forge_notify(p, types[i], (struct slice){NULL, 0});
        CHECK_EQUAL(p->side[0].failed, 0);
        CHECK(ikev2_pair_run(p));
        CHECK(is_up(p));
        ikev2_pair_free(p);
    }
}

TEST(a_group_that_was_not_offered_is_not_tried)
{
    struct ikev2_pair *p = ikev2_pair_new(5);
    static const uint8_t group_of_768_bits[2] = {0, 1};

    ikev2_pair_start(p, 0);
    ikev2_pair_drop(p, 0);
    forge_notify(p, IKEV2_INVALID_KE_PAYLOAD, SLICE_OF(group_of_768_bits));
    CHECK_EQUAL(p->side[0].sends, 1);
    p->side[1].deaf = true;
    ikev2_pair_advance(p, 60000);
    CHECK_EQUAL(p->side[0].failed, 1);
    CHECK_EQUAL(p->side[0].failure.reason, IKEV2_FAIL_KE_GROUP_LOOP);
    CHECK_EQUAL(p->side[0].ike_spi_count, 0);
    ikev2_pair_free(p);
}

TEST(cookies_without_end_are_not_followed)
{
    struct ikev2_pair *p = ikev2_pair_new(6);

    ikev2_pair_start(p, 0);
    p->side[1].deaf = true;
    for (uint8_t i = 0; i < 50; i++) {
        uint8_t cookie[8] = {i};

        forge_notify(p, IKEV2_COOKIE, SLICE_OF(cookie));
    }
    CHECK(p->side[0].sends < 10);
    ikev2_pair_advance(p, 60000);
    CHECK_EQUAL(p->side[0].failure.reason, IKEV2_FAIL_COOKIE_LOOP);
    ikev2_pair_free(p);
}

TEST(nobody_answers)
{
    struct ikev2_pair *p = ikev2_pair_new(7);

    p->side[1].deaf = true;
    ikev2_pair_start(p, 0);
    ikev2_pair_advance(p, 10 * 60000);
    CHECK_EQUAL(p->side[0].failed, 1);
    CHECK_EQUAL(p->side[0].failure.reason, IKEV2_FAIL_NO_ANSWER);
    CHECK_EQUAL(p->side[0].failure.exchange, IKEV2_IKE_SA_INIT);
    CHECK_EQUAL(p->side[0].sends, 1 + p->side[0].policy.retransmit_tries);
    CHECK_EQUAL(p->side[0].ike_spi_count, 0);
    ikev2_pair_free(p);
}

TEST(no_common_proposal_is_told_on_both_sides_in_words)
{
    struct ikev2_pair *p = ikev2_pair_new(8);

    ikev2_pair_set_ike(p, 0, "aes256-sha256-modp2048");
    ikev2_pair_set_ike(p, 1, "aes128gcm16-sha256-x25519");
    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    CHECK_EQUAL(p->side[1].failed, 1);
    CHECK_EQUAL(p->side[1].failure.reason, IKEV2_FAIL_NO_PROPOSAL);
    CHECK(strstr(p->side[1].failure.ours, "aes128gcm16") != NULL);
    CHECK(strstr(p->side[1].failure.ours, "x25519") != NULL);
    CHECK(strstr(p->side[1].failure.theirs, "aes256") != NULL);
    CHECK(strstr(p->side[1].failure.theirs, "modp2048") != NULL);
    CHECK_EQUAL(p->side[0].failed, 0); /* nobody has signed that refusal */
    ikev2_pair_advance(p, 5000);
    CHECK_EQUAL(p->side[0].failed, 1);
    CHECK_EQUAL(p->side[0].failure.reason, IKEV2_FAIL_NO_PROPOSAL);
    CHECK(strstr(p->side[0].failure.ours, "aes256") != NULL);
    CHECK_EQUAL(p->side[0].ike_spi_count + p->side[1].ike_spi_count, 0);
    ikev2_pair_free(p);
}

TEST(a_wrong_shared_key_is_refused)
{
    struct ikev2_pair *p = ikev2_pair_new(9);

    CHECK(secret_set(&p->side[0].policy.shared_key, SLICE_TEXT("something else")));
    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    CHECK_EQUAL(p->side[1].failure.reason, IKEV2_FAIL_PEER_AUTH);
    CHECK(strstr(p->side[1].failure.theirs, "left.example") != NULL);
    CHECK_EQUAL(p->side[0].failure.reason, IKEV2_FAIL_AUTH_REFUSED);
    for (unsigned i = 0; i < 2; i++) {
        CHECK_EQUAL(p->side[i].established, 0);
        CHECK_EQUAL(p->side[i].failed, 1);
        CHECK_EQUAL(p->side[i].child_count, 0);
        CHECK_EQUAL(p->side[i].ike_spi_count, 0);
        CHECK_EQUAL(p->side[i].esp_spis_given, p->side[i].esp_spis_unused);
    }
    ikev2_pair_free(p);
}

TEST(an_unknown_identity_looks_like_a_wrong_key)
{
    struct ikev2_pair *p = ikev2_pair_new(10);

    CHECK(ike_identity_parse(SLICE_TEXT("mallory.example"), &p->side[0].policy.local_id));
    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    CHECK_EQUAL(p->side[1].failure.reason, IKEV2_FAIL_PEER_UNKNOWN);
    CHECK(strstr(p->side[1].failure.theirs, "mallory.example") != NULL);
    CHECK_EQUAL(p->side[0].failure.reason, IKEV2_FAIL_AUTH_REFUSED);
    CHECK_EQUAL(p->side[0].failure.notify, IKEV2_AUTHENTICATION_FAILED);
    CHECK_EQUAL(p->side[1].established, 0);
    ikev2_pair_free(p);
}

TEST(a_responder_that_is_somebody_else_is_refused_and_told)
{
    struct ikev2_pair *p = ikev2_pair_new(11);

    CHECK(ike_identity_parse(SLICE_TEXT("other.example"), &p->side[1].policy.local_id));
    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    CHECK_EQUAL(p->side[0].failure.reason, IKEV2_FAIL_PEER_IDENTITY);
    CHECK(strstr(p->side[0].failure.ours, "right.example") != NULL);
    CHECK(strstr(p->side[0].failure.theirs, "other.example") != NULL);
    CHECK_EQUAL(p->side[0].failed, 1);
    CHECK_EQUAL(p->side[1].closed, 1); /* RFC 7296 2.21.2 */
    CHECK_EQUAL(p->side[1].failure.reason, IKEV2_FAIL_AUTH_REFUSED);
    CHECK_EQUAL(ikev2_pair_live_children(p, 1), 0);
    CHECK_EQUAL(p->side[0].ike_spi_count + p->side[1].ike_spi_count, 0);
    ikev2_pair_free(p);
}

TEST(a_child_without_common_algorithms_leaves_the_ike_sa_up)
{
    struct ikev2_pair *p = ikev2_pair_new(12);

    ikev2_pair_set_esp(p, 0, "aes128-sha1");
    ikev2_pair_set_esp(p, 1, "aes256gcm16");
    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    for (unsigned i = 0; i < 2; i++) {
        CHECK_EQUAL(p->side[i].established, 1);
        CHECK_EQUAL(p->side[i].failed, 0);
        CHECK_EQUAL(p->side[i].child_failed, 1);
        CHECK_EQUAL(p->side[i].child_failure.reason, IKEV2_FAIL_CHILD_NO_PROPOSAL);
        CHECK_TEXT(p->side[i].child_failed_name, "net");
        CHECK_EQUAL(p->side[i].child_count, 0);
        CHECK_EQUAL(p->side[i].esp_spis_given, p->side[i].esp_spis_unused);
    }
    CHECK(strstr(p->side[1].child_failure.theirs, "aes128") != NULL);
    CHECK(strstr(p->side[1].child_failure.ours, "aes256gcm16") != NULL);
    ikev2_pair_free(p);
}

TEST(networks_that_do_not_meet_leave_the_ike_sa_up)
{
    struct ikev2_pair *p = ikev2_pair_new(13);
    struct network elsewhere;

    CHECK(network_parse(SLICE_TEXT("192.168.0.0/24"), &elsewhere));
    p->side[0].local[0][0] = selector_of_network(&elsewhere);
    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    for (unsigned i = 0; i < 2; i++) {
        CHECK_EQUAL(p->side[i].established, 1);
        CHECK_EQUAL(p->side[i].child_failure.reason, IKEV2_FAIL_CHILD_SELECTORS);
        CHECK_EQUAL(p->side[i].child_count, 0);
    }
    CHECK_TEXT(p->side[1].child_failure.ours, "10.2.0.0/16 === 10.1.0.0/16");
    CHECK_TEXT(p->side[1].child_failure.theirs, "10.2.0.0/16 === 192.168.0.0/24");
    ikev2_pair_free(p);
}

TEST(selectors_are_narrowed_to_what_both_allow)
{
    struct ikev2_pair *p = ikev2_pair_new(14);
    struct network wide;
    struct network narrow;

    CHECK(network_parse(SLICE_TEXT("10.0.0.0/8"), &wide));
    CHECK(network_parse(SLICE_TEXT("10.1.7.0/24"), &narrow));
    p->side[0].remote[0][0] = selector_of_network(&wide);
    p->side[1].remote[0][0] = selector_of_network(&narrow);
    p->side[1].remote[0][0].protocol = 6;
    p->side[1].remote[0][0].port_first = 25;
    p->side[1].remote[0][0].port_last = 25;
    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    CHECK(is_up(p));
    CHECK(selector_equal(&p->side[0].children[0].local[0], &p->side[1].remote[0][0]));
    CHECK(selector_equal(&p->side[0].children[0].remote[0], &p->side[1].local[0][0]));
    ikev2_pair_free(p);
}

TEST(a_nat_is_found_and_all_goes_through_port_4500)
{
    struct ikev2_pair *p = ikev2_pair_new(15);

    p->nat = true;
    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    CHECK(is_up(p));
    CHECK(p->side[0].nat_local && !p->side[0].nat_peer);
    CHECK(!p->side[1].nat_local && p->side[1].nat_peer);
    struct ikev2_sa_info info;

    ikev2_sa_get_info(p->side[0].sa, &info);
    CHECK_EQUAL(info.local.port, 4500);
    CHECK_EQUAL(info.peer.port, 4500);
    ikev2_sa_get_info(p->side[1].sa, &info);
    CHECK_EQUAL(info.local.port, 4500);
    CHECK_EQUAL(info.peer.port, 14500);
    CHECK(p->side[0].children[0].encapsulated && p->side[1].children[0].encapsulated);
    ikev2_pair_free(p);
}

/* RFC 7296 2.23: an initiator may use port 4500 from the beginning. */
TEST(a_responder_behind_a_nat_is_reached_through_its_port_4500)
{
    struct ikev2_pair *p = ikev2_pair_new(16);

    p->nat = true;
    ikev2_pair_start(p, 1);
    CHECK(ikev2_pair_run(p));
    CHECK(is_up(p));
    CHECK(p->side[0].nat_local && !p->side[0].nat_peer);
    CHECK(!p->side[1].nat_local && p->side[1].nat_peer);
    CHECK(p->side[0].children[0].encapsulated && p->side[1].children[0].encapsulated);
    CHECK(ikev2_pair_agrees(p));
    ikev2_pair_free(p);
}

TEST(encapsulation_can_be_forced_by_either_side)
{
    for (unsigned by = 0; by < 2; by++) {
        struct ikev2_pair *p = ikev2_pair_new(16 + by);
        struct ikev2_sa_info info;

        p->side[by].policy.force_encapsulation = true;
        p->side[by].responder.force_encapsulation = true;
        ikev2_pair_start(p, 0);
        CHECK(ikev2_pair_run(p));
        CHECK(is_up(p));
        CHECK(p->side[0].children[0].encapsulated && p->side[1].children[0].encapsulated);
        ikev2_sa_get_info(p->side[1].sa, &info);
        CHECK_EQUAL(info.local.port, 4500);
        CHECK_EQUAL(info.peer.port, 4500);
        /* Who is asked sees that it is no NAT. */
        ikev2_sa_get_info(p->side[1 - by].sa, &info);
        CHECK(info.nat_peer && info.nat_asked && !info.nat_local);
        ikev2_sa_get_info(p->side[by].sa, &info);
        CHECK(!info.nat_peer && !info.nat_asked && !info.nat_local);
        ikev2_pair_free(p);
    }
}

/* A real one is not hidden by the wish. */
TEST(who_asks_for_encapsulation_behind_a_nat_is_behind_a_nat)
{
    struct ikev2_pair *p = ikev2_pair_new(19);
    struct ikev2_sa_info info;

    p->nat = true;
    p->side[0].policy.force_encapsulation = true;
    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    CHECK(is_up(p));
    ikev2_sa_get_info(p->side[1].sa, &info);
    CHECK(info.nat_peer && !info.nat_asked);
    ikev2_pair_free(p);
}

TEST(without_leave_to_encapsulate_it_is_not_offered)
{
    struct ikev2_pair *p = ikev2_pair_new(18);

    p->nat = true;
    p->side[0].policy.allow_encapsulation = false;
    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    CHECK(is_up(p));
    CHECK(!p->side[0].children[0].encapsulated && !p->side[1].children[0].encapsulated);
    ikev2_pair_free(p);
}

/* ---- ESP in UDP without a NAT ---- */

static struct ikev2_pair *pair_that_prefers_udp(uint64_t seed)
{
    struct ikev2_pair *p = ikev2_pair_new(seed);

    p->side[0].responder.prefer_encapsulation = true;
    p->side[1].responder.prefer_encapsulation = true;
    return p;
}

/* How many times our Vendor ID stands in an IKE_SA_INIT; it is made here once more. */
static size_t vendor_ids_in(const struct pair_datagram *d)
{
    const struct slice words = SLICE_TEXT("Sekisho: ESP in UDP without a NAT, 1");
    struct reader r = reader_over((struct slice){d->bytes, d->length});
    struct ikev2_header header;
    struct ikev2_payload payload;
    uint8_t digest[32];
    size_t count = 0;

    sha256(&words, 1, digest);
    CHECK(ikev2_read_header(&r, &header));
    CHECK_EQUAL(header.exchange, IKEV2_IKE_SA_INIT);
    for (uint8_t next = header.next_payload; ikev2_read_payload(&r, &next, &payload);) {
        count += payload.type == IKEV2_VENDOR_ID &&
                 slice_equal(payload.body, (struct slice){digest, 16});
    }
    CHECK(reader_done(&r));
    return count;
}

static void check_udp_without_nat(struct ikev2_pair *p)
{
    struct ikev2_sa_info info;

    CHECK(is_up(p));
    for (unsigned i = 0; i < 2; i++) {
        CHECK(!p->side[i].nat_local && !p->side[i].nat_peer);
        for (size_t j = 0; j < p->side[i].child_count; j++) {
            CHECK(p->side[i].children[j].encapsulated);
        }
        ikev2_sa_get_info(p->side[i].sa, &info);
        CHECK(!info.nat_local && !info.nat_peer);
        CHECK_EQUAL(info.local.port, 4500);
        CHECK_EQUAL(info.peer.port, 4500);
    }
}

static void check_native(struct ikev2_pair *p)
{
    struct ikev2_sa_info info;

    CHECK(is_up(p));
    for (unsigned i = 0; i < 2; i++) {
        CHECK(!p->side[i].nat_local && !p->side[i].nat_peer);
        CHECK(!p->side[i].children[0].encapsulated);
        ikev2_sa_get_info(p->side[i].sa, &info);
        CHECK_EQUAL(info.local.port, 500);
        CHECK_EQUAL(info.peer.port, 500);
    }
}

TEST(two_sides_that_prefer_udp_take_it_and_claim_no_nat)
{
    for (unsigned first = 0; first < 2; first++) {
        struct ikev2_pair *p = pair_that_prefers_udp(300 + first);

        ikev2_pair_start(p, first);
        CHECK_EQUAL(vendor_ids_in(&p->queue[0]), 1);
        CHECK(ikev2_pair_deliver_to(p, 1 - first));
        CHECK_EQUAL(vendor_ids_in(&p->queue[0]), 1);
        CHECK(ikev2_pair_run(p));
        check_udp_without_nat(p);
        ikev2_pair_free(p);
    }
}

TEST(a_responder_volunteers_no_vendor_id)
{
    struct ikev2_pair *p = pair_that_prefers_udp(302);

    p->side[0].policy.allow_encapsulation = false;
    ikev2_pair_start(p, 0);
    CHECK_EQUAL(vendor_ids_in(&p->queue[0]), 0);
    CHECK(ikev2_pair_deliver_to(p, 1));
    CHECK_EQUAL(vendor_ids_in(&p->queue[0]), 0);
    CHECK(ikev2_pair_run(p));
    check_native(p);
    ikev2_pair_free(p);
}

TEST(a_responder_that_may_not_says_nothing_and_it_stays_native)
{
    struct ikev2_pair *p = ikev2_pair_new(303);

    p->side[1].policy.allow_encapsulation = false;
    ikev2_pair_start(p, 0);
    CHECK_EQUAL(vendor_ids_in(&p->queue[0]), 1);
    CHECK(ikev2_pair_deliver_to(p, 1));
    CHECK_EQUAL(vendor_ids_in(&p->queue[0]), 0);
    CHECK(ikev2_pair_run(p));
    check_native(p);
    ikev2_pair_free(p);
}

/* The responder found out too late who asks: what it sends is native, what it gets is in UDP, and
 * without a NAT both arrive. */
TEST(who_must_never_encapsulate_does_not_even_when_it_was_agreed)
{
    struct ikev2_pair *p = pair_that_prefers_udp(304);

    p->side[1].policy.allow_encapsulation = false;
    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    CHECK(p->side[0].established == 1 && p->side[1].established == 1);
    CHECK(p->side[0].children[0].encapsulated);
    CHECK(!p->side[1].children[0].encapsulated);
    ikev2_pair_free(p);
}

TEST(a_nat_is_told_where_both_prefer_udp)
{
    struct ikev2_pair *p = pair_that_prefers_udp(305);

    p->nat = true;
    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    CHECK(is_up(p));
    CHECK(p->side[0].nat_local && !p->side[0].nat_peer);
    CHECK(!p->side[1].nat_local && p->side[1].nat_peer);
    CHECK(p->side[0].children[0].encapsulated && p->side[1].children[0].encapsulated);
    ikev2_pair_free(p);
}

/* A responder that wants UDP in any case need not claim a NAT to a peer that says he wants it. */
TEST(a_responder_that_forces_udp_claims_no_nat_to_a_peer_that_prefers_it)
{
    struct ikev2_pair *p = pair_that_prefers_udp(306);

    p->side[1].policy.force_encapsulation = true;
    p->side[1].responder.force_encapsulation = true;
    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    check_udp_without_nat(p);
    ikev2_pair_free(p);
}

/* The peer did not hear of it in time, so there is no port for ESP in UDP. */
TEST(what_is_forced_after_the_ports_are_chosen_does_not_part_the_sides)
{
    struct ikev2_pair *p = ikev2_pair_new(307);

    p->side[1].policy.force_encapsulation = true;
    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    check_native(p);
    ikev2_pair_free(p);
}

TEST(what_replaces_an_sa_in_udp_is_in_udp)
{
    for (unsigned by = 0; by < 2; by++) {
        struct ikev2_pair *p = pair_that_prefers_udp(308 + by);

        ikev2_pair_start(p, 0);
        CHECK(ikev2_pair_run(p));
        ikev2_pair_rekey_child(p, by, p->side[by].children[0].spi_in);
        CHECK(ikev2_pair_run(p));
        ikev2_pair_rekey(p, by);
        CHECK(ikev2_pair_run(p));
        ikev2_pair_rekey_child(p, 1 - by, p->side[1 - by].children[1].spi_in);
        CHECK(ikev2_pair_run(p));
        ikev2_pair_advance(p, 20000);
        CHECK_EQUAL(p->side[0].rekeyed, 1);
        CHECK_EQUAL(p->side[0].child_count, 3);
        CHECK_EQUAL(p->side[1].child_count, 3);
        check_udp_without_nat(p);
        ikev2_pair_free(p);
    }
}

TEST(udp_is_agreed_over_a_cookie_another_group_and_lost_messages)
{
    struct ikev2_pair *p = pair_that_prefers_udp(310);

    ikev2_pair_set_ike(p, 0, "aes128gcm16-sha256-x25519-ecp256");
    ikev2_pair_set_ike(p, 1, "aes128gcm16-sha256-ecp256");
    p->side[1].cookies_wanted = true;
    ikev2_pair_start(p, 0);
    /* The answers: a cookie, INVALID_KE_PAYLOAD, the real one; the first of each is lost. */
    for (unsigned round = 0; round < 3; round++) {
        CHECK_EQUAL(vendor_ids_in(&p->queue[0]), 1);
        CHECK(ikev2_pair_deliver_to(p, 1));
        CHECK_EQUAL(p->queue_count, 1);
        CHECK_EQUAL(vendor_ids_in(&p->queue[0]), round == 2);
        ikev2_pair_drop(p, 0);
        while (p->queue_count == 0) {
            p->now_ms += 100;
            ikev2_pair_time(p);
        }
        CHECK_EQUAL(vendor_ids_in(&p->queue[0]), 1);
        CHECK(ikev2_pair_deliver_to(p, 1));
        CHECK_EQUAL(vendor_ids_in(&p->queue[0]), round == 2);
        CHECK(ikev2_pair_deliver_to(p, 0));
    }
    CHECK(ikev2_pair_run(p));
    check_udp_without_nat(p);
    ikev2_pair_free(p);
}

/* There is only one port then, and it is not 4500. */
TEST(a_peer_at_a_port_of_its_own_is_not_asked_for_udp)
{
    struct ikev2_pair *p = pair_that_prefers_udp(311);

    p->side[1].endpoint.port = 5500;
    ikev2_pair_start(p, 0);
    CHECK_EQUAL(p->queue_count, 1);
    CHECK_EQUAL(p->queue[0].local.port, 5500);
    CHECK_EQUAL(vendor_ids_in(&p->queue[0]), 0);
    ikev2_pair_free(p);
}

/* Another product's Vendor IDs, before and behind ours, and what only begins like ours. */
TEST(our_vendor_id_is_found_among_others_and_nothing_else_is_taken_for_it)
{
    static const struct {
        size_t cut; /* octets of ours that are sent */
        bool agreed;
    } cases[] = {{16, true}, {15, false}, {0, false}};

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct ikev2_pair *p = pair_that_prefers_udp(312 + i);

        ikev2_pair_start(p, 0);
        struct pair_datagram *d = &p->queue[0];
        uint8_t ours[16];
        uint8_t changed[2048];
        struct writer w = writer_over(changed, sizeof(changed));
        /* Ours stands at the end. */
        size_t before = d->length - 20;
        size_t last = 0;

        memcpy(ours, d->bytes + d->length - 16, 16);
        for (size_t at = 28; at < before; at += get_u16(d->bytes + at + 2)) {
            last = at;
        }
        CHECK_EQUAL(d->bytes[last], IKEV2_VENDOR_ID);
        write_slice(&w, (struct slice){d->bytes, before});
        const struct slice list[] = {
            SLICE_TEXT("another"), {ours, cases[i].cut}, SLICE_TEXT("a third")};

        for (size_t j = 0; j < ARRAY_LENGTH(list); j++) {
            write_u8(&w, j + 1 < ARRAY_LENGTH(list) ? IKEV2_VENDOR_ID : 0);
            write_u8(&w, 0);
            write_u16(&w, (uint16_t)(4 + list[j].length));
            write_slice(&w, list[j]);
        }
        CHECK(writer_ok(&w));
        put_u32(changed + 24, (uint32_t)w.length);
        struct endpoint local = d->local;
        struct endpoint peer = d->peer;

        ikev2_pair_drop(p, 0);
        ikev2_pair_inject(p, 1, &local, &peer, writer_written(&w));
        CHECK_EQUAL(p->queue_count, 1);
        CHECK_EQUAL(vendor_ids_in(&p->queue[0]), cases[i].agreed);
        /* It was not what the initiator sent: AUTH finds that out. */
        CHECK(ikev2_pair_run(p));
        CHECK(p->side[0].established == 0 && p->side[1].established == 0);
        ikev2_pair_free(p);
    }
}

TEST(the_responder_follows_a_new_mapping_only_for_authentic_new_messages)
{
    struct ikev2_pair *p = ikev2_pair_new(19);

    p->nat = true;
    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    CHECK(is_up(p));
    ikev2_pair_ask_liveness(p, 0);
    struct pair_datagram d = p->queue[0];
    struct endpoint elsewhere = d.peer;

    elsewhere.port = 40000;
    d.bytes[d.length - 1] ^= 1;
    ikev2_pair_inject(p, 1, &d.local, &elsewhere, (struct slice){d.bytes, d.length});
    CHECK_EQUAL(p->side[1].moved, 0);
    d.bytes[d.length - 1] ^= 1;
    p->nat_port_shift = 77;
    elsewhere.port = 14577;
    ikev2_pair_inject(p, 1, &d.local, &elsewhere, (struct slice){d.bytes, d.length});
    CHECK_EQUAL(p->side[1].moved, 1);
    CHECK_EQUAL(p->side[1].moved_to.port, 14577);
    /* The same again from yet another place is old: it moves nothing. */
    elsewhere.port = 50000;
    ikev2_pair_inject(p, 1, &d.local, &elsewhere, (struct slice){d.bytes, d.length});
    CHECK_EQUAL(p->side[1].moved, 1);
    CHECK(ikev2_pair_run(p));
    CHECK(p->side[0].closed == 0 && p->side[1].closed == 0);
    ikev2_pair_free(p);
}

TEST(ike_follows_the_esp_of_a_peer_behind_a_nat)
{
    for (unsigned nat = 0; nat < 2; nat++) {
        struct ikev2_pair *p = ikev2_pair_new(48);

        p->nat = nat == 1;
        ikev2_pair_start(p, 0);
        CHECK(ikev2_pair_run(p));
        CHECK(is_up(p));
        struct endpoint there = {.address = address_ipv4(0xc6336401), .port = 14509};

        p->nat_port_shift = 9;
        ikev2_sa_child_moved(p->side[1].sa, p->side[1].children[0].spi_in, &there, p->now_ms,
                             p->actions);
        CHECK_EQUAL(p->actions->count, nat);
        p->actions->count = 0;
        ikev2_pair_ask_liveness(p, 1);
        CHECK(ikev2_pair_run(p));
        struct ikev2_sa_info info;

        ikev2_sa_get_info(p->side[1].sa, &info);
        CHECK_EQUAL(info.open_exchange, 0); /* it was answered */
        ikev2_pair_free(p);
    }
}

TEST(following_is_rationed)
{
    struct ikev2_pair *p = ikev2_pair_new(49);
    uint64_t followed = 0, told = 0;

    p->nat = true;
    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    CHECK(is_up(p));
    struct ikev2_sa *sa = p->side[1].sa;
    uint32_t spi_in = p->side[1].children[0].spi_in;

    /* A hundred times a second for a minute: six at once, and one in ten seconds. */
    for (unsigned i = 0; i < 6000; i++) {
        struct endpoint there = {.address = address_ipv4(0xc6336401),
                                 .port = (uint16_t)(20000 + i % 2)};

        p->now_ms += 10;
        ikev2_sa_child_moved(sa, spi_in, &there, p->now_ms, p->actions);
        followed += p->actions->count;
        p->actions->count = 0;
        if (ikev2_sa_deadline_ms(sa) <= p->now_ms) {
            ikev2_sa_time(sa, p->now_ms, p->actions);
            for (size_t k = 0; k < p->actions->count; k++) {
                if (p->actions->list[k].kind == IKEV2_TELL_MOVED) {
                    CHECK(p->actions->list[k].moved.not_followed > 0);
                    told++;
                }
            }
            p->actions->count = 0;
        }
    }
    CHECK(followed >= 6 + 5 && followed <= 6 + 6);
    CHECK(told >= 5 && told <= 7);
    ikev2_pair_free(p);
}

TEST(a_peer_that_is_not_behind_a_nat_does_not_move)
{
    struct ikev2_pair *p = started(20);
    struct endpoint elsewhere = p->side[0].endpoint;

    elsewhere.port = 40000;
    ikev2_pair_ask_liveness(p, 0);
    struct pair_datagram d = p->queue[0];

    ikev2_pair_inject(p, 1, &d.local, &elsewhere, (struct slice){d.bytes, d.length});
    CHECK_EQUAL(p->side[1].moved, 0);
    ikev2_pair_free(p);
}

TEST(initial_contact_is_told_after_the_peer_is_authenticated)
{
    struct ikev2_pair *p = ikev2_pair_new(21);

    p->side[0].policy.initial_contact = true;
    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    CHECK(is_up(p));
    CHECK_EQUAL(p->side[1].initial_contact, 1);
    CHECK_EQUAL(p->side[0].initial_contact, 0);
    ikev2_pair_free(p);
}

TEST(a_suite_that_this_very_peer_may_not_use_is_refused)
{
    struct ikev2_pair *p = ikev2_pair_new(22);
    static struct proposals any;

    ikev2_pair_set_ike(p, 0, "aes128-sha1-modp2048");
    ikev2_pair_set_ike(p, 1, "aes128-sha1-modp2048");
    any = p->side[1].ike_proposals;
    p->side[1].ike_lists[0] = &any; /* another site allows it */
    ikev2_pair_set_ike(p, 1, "aes256gcm16-sha384-x25519");
    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    CHECK_EQUAL(p->side[1].failure.reason, IKEV2_FAIL_SUITE_NOT_ALLOWED);
    CHECK(strstr(p->side[1].failure.ours, "aes256gcm16") != NULL);
    CHECK_EQUAL(p->side[0].failure.reason, IKEV2_FAIL_AUTH_REFUSED);
    CHECK_EQUAL(p->side[0].established + p->side[1].established, 0);
    ikev2_pair_free(p);
}

TEST(a_half_open_responder_ends_in_time)
{
    struct ikev2_pair *p = ikev2_pair_new(23);

    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_deliver_to(p, 1));
    CHECK(p->side[1].sa != NULL);
    p->side[0].deaf = true;
    p->side[1].deaf = true;
    ikev2_pair_advance(p, 31000);
    CHECK_EQUAL(p->side[1].failed, 1);
    CHECK_EQUAL(p->side[1].failure.reason, IKEV2_FAIL_HALF_OPEN_TIMEOUT);
    CHECK_EQUAL(p->side[1].ike_spi_count, 0);
    ikev2_pair_free(p);
}

TEST(questions_that_nobody_answers_end_a_handshake)
{
    for (unsigned side = 0; side < 2; side++) {
        for (unsigned answers = 0; answers < 3; answers++) {
            struct ikev2_pair *p = ikev2_pair_new(24 + side);

            p->side[side].holds_asks = true;
            ikev2_pair_start(p, 0);
            for (unsigned i = 0; i < answers; i++) {
                CHECK(ikev2_pair_run(p));
                if (p->side[side].ask_count > 0) {
                    ikev2_pair_answer(p, side, true);
                }
            }
            ikev2_pair_advance(p, 20 * 60000);
            CHECK_EQUAL(p->side[0].established + p->side[1].established, 0);
            CHECK(p->side[0].sa == NULL && p->side[1].sa == NULL);
            CHECK_EQUAL(p->side[side].ike_spi_count, 0);
            ikev2_pair_free(p);
        }
    }
}

TEST(garbage_under_the_right_spis_does_not_end_a_half_open_sa)
{
    struct ikev2_pair *p = ikev2_pair_new(26);

    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_deliver_to(p, 1));
    CHECK(ikev2_pair_deliver_to(p, 0));
    struct pair_datagram d = p->queue[0];

    for (size_t i = IKEV2_HEAD_BYTES; i < d.length; i++) {
        d.bytes[i] ^= 0x40;
        ikev2_pair_inject(p, 1, &d.local, &d.peer, (struct slice){d.bytes, d.length});
        d.bytes[i] ^= 0x40;
        CHECK(p->side[1].sa != NULL && p->side[1].failed == 0 && p->side[1].ask_count == 0);
    }
    CHECK(ikev2_pair_run(p));
    CHECK(is_up(p));
    ikev2_pair_free(p);
}

TEST(nothing_but_ike_auth_is_heard_before_both_are_authenticated)
{
    struct ikev2_pair *p = ikev2_pair_new(27);

    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_deliver_to(p, 1));
    CHECK(ikev2_pair_deliver_to(p, 0));
    struct pair_datagram d = p->queue[0];

    for (unsigned exchange = 0; exchange < 256; exchange++) {
        if (exchange != IKEV2_IKE_AUTH) {
            d.bytes[18] = (uint8_t)exchange;
            ikev2_pair_inject(p, 1, &d.local, &d.peer, (struct slice){d.bytes, d.length});
            CHECK(p->side[1].sa != NULL && p->side[1].failed == 0);
            CHECK_EQUAL(p->side[1].established, 0);
        }
    }
    d.bytes[18] = IKEV2_IKE_AUTH;
    CHECK(ikev2_pair_run(p));
    CHECK(is_up(p));
    ikev2_pair_free(p);
}

TEST(an_initiator_that_finds_auth_wrong_says_so_and_stops)
{
    struct ikev2_pair *p = ikev2_pair_new(30);

    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_deliver_to(p, 1));
    CHECK(ikev2_pair_deliver_to(p, 0));
    p->side[1].holds_asks = true;
    CHECK(ikev2_pair_deliver_to(p, 1));
    ikev2_pair_answer(p, 1, true); /* the initiator's AUTH is right; the SPI is asked for */
    CHECK(secret_set(&p->side[1].policy.shared_key, SLICE_TEXT("not what he knows")));
    p->side[1].holds_asks = false;
    ikev2_pair_answer(p, 1, true);
    CHECK_EQUAL(p->side[1].established, 1);
    CHECK(ikev2_pair_run(p));
    CHECK_EQUAL(p->side[0].established, 0);
    CHECK_EQUAL(p->side[0].failure.reason, IKEV2_FAIL_PEER_AUTH);
    CHECK_EQUAL(p->side[0].esp_spis_given, p->side[0].esp_spis_unused);
    CHECK_EQUAL(p->side[1].closed, 1);
    CHECK_EQUAL(p->side[1].failure.reason, IKEV2_FAIL_AUTH_REFUSED);
    CHECK_EQUAL(p->side[0].ike_spi_count + p->side[1].ike_spi_count, 0);
    ikev2_pair_free(p);
}

/* An IKE_AUTH of our own making under the keys that side 0 has. */
static void inject_auth(struct ikev2_pair *p, struct ikev2_outgoing *o)
{
    struct ikev2_ike *ike = p->side[0].sa->current;
    struct ikev2_header h = {
        .spi_i = ike->spi_i,
        .spi_r = ike->spi_r,
        .version = 0x20,
        .exchange = IKEV2_IKE_AUTH,
        .flags = IKEV2_FLAG_INITIATOR,
        .message_id = 1,
    };
    uint8_t bytes[4096];
    struct writer w = writer_over(bytes, sizeof(bytes));

    CHECK(ikev2_sk_seal(&ike->keys, true, &h, o->first, writer_written(&o->w), &p->side[0].random,
                        &w));
    ikev2_pair_inject(p, 1, &p->side[1].endpoint, &p->side[0].endpoint, writer_written(&w));
}

TEST(ike_auth_without_what_must_stand_in_it_establishes_nothing)
{
    enum { NOTHING, ONLY_ID, OTHER_METHOD, SHORT_AUTH, NO_SELECTORS, CRITICAL, CASES };
    static const enum ikev2_failure_reason reasons[CASES] = {
        [NOTHING] = IKEV2_FAIL_SYNTAX,           [ONLY_ID] = IKEV2_FAIL_AUTH_METHOD,
        [OTHER_METHOD] = IKEV2_FAIL_AUTH_METHOD, [SHORT_AUTH] = IKEV2_FAIL_PEER_AUTH,
        [NO_SELECTORS] = IKEV2_FAIL_SYNTAX,      [CRITICAL] = IKEV2_FAIL_CRITICAL_PAYLOAD,
    };

    for (unsigned what = 0; what < CASES; what++) {
        struct ikev2_pair *p = ikev2_pair_new(31 + what);
        struct ikev2_outgoing o;

        ikev2_pair_start(p, 0);
        CHECK(ikev2_pair_deliver_to(p, 1));
        CHECK(ikev2_pair_deliver_to(p, 0));
        ikev2_out_begin(&o);
        if (what == CRITICAL) {
            ikev2_begin_payload(&o.chain, 99, true);
            ikev2_end_payload(&o.chain);
        }
        if (what != NOTHING) {
            ikev2_out_id(&o, IKEV2_IDI, &p->side[0].policy.local_id);
        }
        if (what == OTHER_METHOD) {
            static const uint8_t rsa[8] = {IKEV2_AUTH_RSA_SIGNATURE, 0, 0, 0, 1, 2, 3, 4};

            ikev2_write_payload(&o.chain, IKEV2_AUTH, SLICE_OF(rsa));
        } else if (what != ONLY_ID) {
            ikev2_out_auth(&o, IKEV2_AUTH_SHARED_KEY, SLICE_TEXT("short"));
        }
        if (what == NO_SELECTORS) {
            static const uint8_t nothing[4] = {0};

            ikev2_write_payload(&o.chain, IKEV2_SA, SLICE_OF(nothing));
        }
        inject_auth(p, &o);
        CHECK_EQUAL(p->side[1].established, 0);
        CHECK_EQUAL(p->side[1].failed, 1);
        CHECK_EQUAL(p->side[1].failure.reason, reasons[what]);
        CHECK_EQUAL(p->side[1].ike_spi_count, 0);
        CHECK(ikev2_pair_run(p));
        CHECK_EQUAL(p->side[0].established, 0);
        ikev2_pair_free(p);
    }
}

TEST(no_free_spi_leaves_the_ike_sa_up_at_the_responder)
{
    struct ikev2_pair *p = ikev2_pair_new(44);

    p->side[1].no_spi = true;
    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    CHECK_EQUAL(p->side[0].established, 1);
    CHECK_EQUAL(p->side[1].established, 1);
    CHECK_EQUAL(p->side[0].child_failure.notify, IKEV2_NO_ADDITIONAL_SAS);
    CHECK_EQUAL(p->side[1].child_failure.reason, IKEV2_FAIL_RESOURCES);
    CHECK_EQUAL(p->side[0].esp_spis_given, p->side[0].esp_spis_unused);
    p->side[1].no_spi = false;
    ikev2_pair_start_child(p, 0, 0);
    CHECK(ikev2_pair_run(p));
    CHECK(ikev2_pair_packet(p, 0, "net") && ikev2_pair_packet(p, 1, "net"));
    ikev2_pair_free(p);
}

TEST(orders_before_the_ike_sa_is_up_are_remembered_or_harmless)
{
    struct ikev2_pair *p = ikev2_pair_new(45);

    ikev2_pair_start(p, 0);
    ikev2_pair_start_child(p, 0, 0);
    ikev2_pair_rekey(p, 0);
    ikev2_pair_ask_liveness(p, 0);
    ikev2_pair_rekey_child(p, 0, 1);
    ikev2_pair_close_child(p, 0, 1);
    CHECK(ikev2_pair_run(p));
    CHECK(is_up(p)); /* one child, not two */
    ikev2_pair_free(p);
    p = ikev2_pair_new(46);
    ikev2_pair_start(p, 0);
    ikev2_pair_close(p, 0);
    CHECK_EQUAL(p->side[0].failed, 1);
    CHECK_EQUAL(p->side[0].failure.reason, IKEV2_FAIL_ORDERED);
    CHECK_EQUAL(p->side[0].sends, 1);
    ikev2_pair_free(p);
}

TEST(late_answers_change_nothing)
{
    struct ikev2_pair *p = started(47);
    struct secret shared = {0};

    CHECK(is_up(p));
    for (uint32_t id = 0; id < 2000; id++) {
        p->actions->count = 0;
        ikev2_sa_answer_spi(p->side[0].sa, id, 0, p->now_ms, p->actions);
        ikev2_sa_answer_peer(p->side[0].sa, id, NULL, p->now_ms, p->actions);
        ikev2_sa_answer_key_exchange(p->side[0].sa, id, false, NULL, &shared, p->now_ms,
                                     p->actions);
        CHECK_EQUAL(p->actions->count, 0);
    }
    /* An SPI that nobody waits for any more goes back. */
    ikev2_sa_answer_spi(p->side[0].sa, 1, 0x1234, p->now_ms, p->actions);
    CHECK_EQUAL(p->actions->count, 1);
    CHECK_EQUAL(p->actions->list[0].kind, IKEV2_SPI_UNUSED);
    CHECK_EQUAL(p->actions->list[0].esp_spi, 0x1234);
    p->actions->count = 0;
    CHECK(is_up(p));
    ikev2_pair_free(p);
}

/* What an established SA with one child may hold (without the policy): about 3 KiB. */
TEST(an_established_sa_is_small)
{
    struct ikev2_pair *p = started(28);

    CHECK(is_up(p));
    for (unsigned i = 0; i < 2; i++) {
        const struct ikev2_sa *sa = p->side[i].sa;
        size_t bytes = sizeof(*sa) + sizeof(*sa->current) + sizeof(*sa->children) +
                       2 * sizeof(struct selector) + sa->current->keys.sk_d.length +
                       sa->current->keys.protect_i.length + sa->current->keys.protect_r.length;

        CHECK(sa->handshake == NULL && sa->pending == NULL);
        CHECK(sa->current->next == NULL);
        CHECK(sa->current->keys.sk_pi.length == 0);
        bytes += sa->current->response != NULL ? sa->current->response->bytes : 0;
        CHECK(bytes < 2048);
    }
    ikev2_pair_free(p);
}

TEST(a_freed_machine_holds_nothing)
{
    /* At every moment of a handshake; leaks are found by the sanitizer. */
    for (unsigned steps = 0; steps < 8; steps++) {
        struct ikev2_pair *p = ikev2_pair_new(29);

        ikev2_pair_start(p, 0);
        for (unsigned i = 0; i < steps && p->queue_count > 0; i++) {
            ikev2_pair_deliver(p, 0);
        }
        ikev2_pair_free(p);
    }
}
