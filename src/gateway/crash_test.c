/* A peer that was killed: how soon traffic flows again, and what a stranger can make of the same
 * words. */
#include "gateway/inside.h"

#include <string.h>

#include "tests/support/gateway_pair.h"
#include "tests/support/test.h"

static struct gateway_pair pair;
static const uint8_t secret[32] = {7};

enum way { WITH_TOKENS, WITH_TICKETS, WITH_NOTHING };

/* Node 1 waits to be called, was killed, and is there again after a while. How long until a packet
 * passes? */
static uint64_t back_after_a_crash(uint64_t seed, enum way way, uint64_t away_ms)
{
    gateway_pair_open(&pair, seed);
    pair.nodes[1].crash_secret = way == WITH_TOKENS ? secret : NULL;
    gateway_pair_write_config(&pair, 0, way == WITH_TICKETS ? "resume 1h" : "");
    gateway_pair_write_config(&pair, 1,
                              way == WITH_TICKETS ? "start wait\n resume 1h" : "start wait");
    gateway_pair_start(&pair, 0);
    gateway_pair_start(&pair, 1);
    CHECK(gateway_pair_up(&pair, 5000));
    gateway_pair_run(&pair, 20000);
    gateway_ticket_key(pair.nodes[1].gateway, pair.nodes[1].ticket_key);
    gateway_pair_crash(&pair, 1);
    pair.nodes[1].keeps_ticket_key = way == WITH_TICKETS;
    for (uint64_t i = 0; i < away_ms; i += 100) {
        gateway_pair_offer(&pair, 0);
        gateway_pair_run(&pair, 100);
    }
    gateway_pair_start(&pair, 1);
    uint64_t began_ms = pair.now_ms;

    while (!gateway_pair_passes(&pair, 0) && pair.now_ms < began_ms + 60000) {
        gateway_pair_run(&pair, 50);
    }
    uint64_t took_ms = pair.now_ms - began_ms;

    CHECK_EQUAL(pair.nodes[0].gateway->resumed, way == WITH_TICKETS);
    gateway_pair_run(&pair, 30000);
    for (unsigned i = 0; i < 2; i++) {
        CHECK_EQUAL(gateway_pair_site(&pair, i).ike_count, 1);
        CHECK_EQUAL(gateway_pair_site(&pair, i).child_count, 1);
    }
    gateway_pair_close(&pair);
    return took_ms;
}

TEST(whoever_was_killed_is_called_anew_within_a_second)
{
    for (uint64_t seed = 340; seed < 345; seed++) {
        uint64_t with_ms = back_after_a_crash(seed, WITH_TOKENS, 0);
        uint64_t without_ms = back_after_a_crash(seed, WITH_NOTHING, 0);

        CHECK(with_ms < 400);
        CHECK(without_ms < 1100);
        CHECK(with_ms < without_ms);
        CHECK(back_after_a_crash(seed, WITH_TICKETS, 0) < 1100);
    }
}

/* What was asked meanwhile, and is asked again ever more seldom, is asked at once. */
TEST(whoever_was_away_for_a_while_is_called_anew_within_seconds)
{
    for (uint64_t away_ms = 1000; away_ms <= 20000; away_ms += 1900) {
        CHECK(back_after_a_crash(350, WITH_NOTHING, away_ms) < 2000);
        CHECK(back_after_a_crash(351, WITH_TOKENS, away_ms) < 2000);
    }
}

static void open_up(uint64_t seed)
{
    gateway_pair_open(&pair, seed);
    gateway_pair_write_config(&pair, 1, "start wait");
    gateway_pair_start(&pair, 0);
    gateway_pair_start(&pair, 1);
    CHECK(gateway_pair_up(&pair, 5000));
    gateway_pair_run(&pair, 20000);
}

/* Somebody on the way sees each question and answers it with INVALID_IKE_SPI before the peer can.
 */
TEST(a_peer_who_answers_is_not_called_anew_whatever_somebody_says)
{
    open_up(360);
    struct gateway *g = pair.nodes[0].gateway;
    struct ike *ike = g->sites[0]->used->ike;
    uint64_t initiated = g->initiated;

    for (unsigned i = 0; i < 20; i++) {
        uint8_t message[36] = {0};
        struct endpoint from = ike->peer;
        struct ikev2_sa_info info;

        ike_order(ike, IKE_ORDER_LIVENESS);
        gateway_settle(g, pair.now_ms);
        ikev2_sa_get_info(ike->machine, &info);
        CHECK_EQUAL(info.open_exchange, IKEV2_INFORMATIONAL);
        put_u64(message, info.spi_i);
        put_u64(message + 8, info.spi_r);
        message[16] = IKEV2_NOTIFY;
        message[17] = 0x20;
        message[18] = IKEV2_INFORMATIONAL;
        message[19] = IKEV2_FLAG_RESPONSE;
        put_u32(message + 24, sizeof(message));
        put_u16(message + 30, 8);
        put_u16(message + 34, IKEV2_INVALID_IKE_SPI);
        for (uint32_t id = 0; id < 64 && !ike->denied; id++) {
            put_u32(message + 20, id);
            crash_denied(ike, SLICE_OF(message), &from, pair.now_ms);
        }
        CHECK(ike->denied);
        gateway_pair_run(&pair, 3000);
        CHECK(!ike->denied);
    }
    CHECK_EQUAL(g->initiated, initiated);
    CHECK(g->sites[0]->used->ike == ike);
    gateway_pair_close(&pair);
}

/* RFC 6290 9.2 */
TEST(nobody_is_told_the_token_of_an_ike_sa_that_is_there)
{
    gateway_pair_open(&pair, 361);
    pair.nodes[1].crash_secret = secret;
    gateway_pair_start(&pair, 0);
    gateway_pair_start(&pair, 1);
    CHECK(gateway_pair_up(&pair, 5000));
    gateway_pair_run(&pair, 20000);
    const struct ike *ike = pair.nodes[1].gateway->sites[0]->used->ike;
    struct endpoint from = {address_ipv4(0xc0000201), 500};
    struct endpoint to = {pair.nodes[1].outer, 500};

    for (unsigned variant = 0; variant < 8; variant++) {
        uint8_t message[60] = {0};
        unsigned sends = pair.nodes[1].sends;

        put_u64(message, (variant & 1) != 0 ? ike->spi_r : ike->spi_i);
        put_u64(message + 8, (variant & 1) != 0 ? ike->spi_i : ike->spi_r);
        message[16] = IKEV2_SK;
        message[17] = 0x20;
        message[18] = (variant & 4) != 0 ? IKEV2_INFORMATIONAL : IKEV2_CREATE_CHILD_SA;
        message[19] = (variant & 2) != 0 ? IKEV2_FLAG_INITIATOR : 0;
        put_u32(message + 24, sizeof(message));
        gateway_pair_inject(&pair, &from, &to, SLICE_OF(message));
        gateway_pair_run(&pair, 100);
        CHECK_EQUAL(pair.nodes[1].sends, sends);
    }
    gateway_pair_close(&pair);
}

/* RFC 7296 1.5, 2.21: to who may have had an SA with us, and not often. */
TEST(an_unknown_spi_is_answered_in_clear_to_peers_and_not_often)
{
    static const uint8_t esp[40] = {0xde, 0xad, 0xbe, 0xef, 0, 0, 0, 1};

    gateway_pair_open(&pair, 362);
    gateway_pair_write_config(&pair, 1, "start wait");
    gateway_pair_start(&pair, 1);
    gateway_pair_run(&pair, 1000);
    struct gateway *g = pair.nodes[1].gateway;
    struct dataplane_note note = {
        .kind = NOTE_UNKNOWN_SPI,
        .spi_in = get_u32(esp),
        .local = {pair.nodes[1].outer, 0},
        .peer = {pair.nodes[0].outer, 0},
    };
    struct endpoint stranger = {address_ipv4(0xc0000201), 0};
    unsigned lost = 0;

    for (unsigned i = 0; i < 100; i++) {
        lost += notes_hint(g, LOOK_UNKNOWN_SPI, &note.peer, pair.now_ms + i * 10);
        CHECK(!notes_hint(g, LOOK_UNKNOWN_SPI, &stranger, pair.now_ms + i * 10));
    }
    CHECK_EQUAL(lost, 2);
    unsigned sends = pair.nodes[1].sends;

    crash_tell_unknown_spi(g, &note);
    gateway_pair_run(&pair, 1);
    CHECK_EQUAL(pair.nodes[1].sends, sends + 1);
    gateway_pair_start(&pair, 0);
    CHECK(gateway_pair_up(&pair, 5000));
    /* What is not known of somebody who is connected is a late packet. */
    CHECK(!notes_hint(g, LOOK_UNKNOWN_SPI, &note.peer, pair.now_ms + 5000));
    gateway_pair_close(&pair);
}
