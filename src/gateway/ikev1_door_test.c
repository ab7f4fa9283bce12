/* Floods of first messages of IKEv1, at a gateway that answers them without memory. */
#include "gateway/inside.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/gateway_pair.h"
#include "tests/support/test.h"

static struct gateway_pair pair;

struct caught {
    size_t length;
    uint8_t bytes[4096];
};

/* Keeps the first datagram of node 0, which is lost. */
static bool catch_first(void *context, const struct gateway_pair_datagram *datagram)
{
    struct caught *caught = context;

    if (caught->length == 0 && datagram->length <= sizeof(caught->bytes)) {
        caught->length = datagram->length;
        memcpy(caught->bytes, datagram->bytes, datagram->length);
    }
    return true;
}

/* The first message of node 0 as it goes out; then there is node 1 alone. `anywhere`: it answers
 * whoever calls. */
static void begin(struct caught *caught, uint64_t seed, const char *gateway_line, const char *extra,
                  bool anywhere)
{
    static char text[GATEWAY_PAIR_TEXT_BYTES];

    *caught = (struct caught){0};
    gateway_pair_open(&pair, seed);
    snprintf(text, sizeof(text), "ike v1%s", extra);
    gateway_pair_write_config(&pair, 0, text);
    pair.lose = catch_first;
    pair.context = caught;
    gateway_pair_start(&pair, 0);
    gateway_pair_run(&pair, 100);
    CHECK(caught->length > 0);
    gateway_pair_crash(&pair, 0);
    snprintf(text, sizeof(text), "ike v1%s\n  start wait", extra);
    gateway_pair_write_config(&pair, 1, text);
    char *peer = strstr(pair.nodes[1].config, "203.0.113.1");

    if (anywhere) {
        CHECK(peer != NULL);
        for (size_t i = 0; i < strlen("203.0.113.1"); i++) {
            peer[i] = i < 3 ? "any"[i] : ' ';
        }
    }
    size_t length = strlen(pair.nodes[1].config);

    snprintf(pair.nodes[1].config + length, sizeof(pair.nodes[1].config) - length, "%s\n",
             gateway_line);
    gateway_pair_start(&pair, 1);
    pair.lose = NULL;
}

static struct status_gateway status_now(void)
{
    struct status_gateway status;

    gateway_get_status(pair.nodes[1].gateway, pair.now_ms, &status);
    return status;
}

static void inject(const struct caught *caught, uint32_t from)
{
    struct endpoint source = {address_ipv4(from), 500};
    struct endpoint to = {pair.nodes[1].outer, 500};

    gateway_pair_inject(&pair, &source, &to, (struct slice){caught->bytes, caught->length});
}

/* Twenty a millisecond, each from another address and with another cookie. */
static void flood(struct caught *caught, uint32_t first, uint32_t step, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        put_u64(caught->bytes, 0x1000 + i);
        inject(caught, first + i * step);
        if (i % 20 == 19) {
            gateway_pair_run(&pair, 1);
        }
    }
}

static void check_comes_up(uint64_t within_ms)
{
    gateway_pair_start(&pair, 0);
    CHECK(gateway_pair_up(&pair, within_ms));
    CHECK(gateway_pair_passes(&pair, 0) && gateway_pair_passes(&pair, 1));
}

static void check_nothing_is_left(void)
{
    gateway_pair_run(&pair, 31000);
    CHECK_EQUAL(status_now().half_open, 0);
    CHECK_EQUAL(status_now().ike_sas, 0);
    gateway_pair_close(&pair);
}

TEST(a_peer_whose_first_message_was_forgotten_comes_up)
{
    struct caught caught;

    begin(&caught, 830, "cookie-threshold 0", "", true);
    inject(&caught, 0xc0000201);
    gateway_pair_run(&pair, 50);
    CHECK_EQUAL(status_now().cookies_sent, 1);
    CHECK_EQUAL(status_now().half_open, 0);
    CHECK_EQUAL(status_now().ike_sas, 0);
    check_comes_up(1000);
    CHECK_EQUAL(status_now().cookies_sent, 2);
    CHECK_EQUAL(status_now().half_open, 0);
    gateway_pair_run(&pair, 120000);
    CHECK(gateway_pair_passes(&pair, 0) && gateway_pair_passes(&pair, 1));
    CHECK_EQUAL(gateway_pair_site(&pair, 1).child_count, 1);
    gateway_pair_close(&pair);
}

TEST(first_messages_of_everybody_leave_thirty_exchanges)
{
    struct caught caught;

    begin(&caught, 831, "", "", true);
    flood(&caught, 0xc6120001, 7, 5000);
    gateway_pair_run(&pair, 20);
    struct status_gateway status = status_now();

    CHECK_EQUAL(status.half_open, 30);
    CHECK_EQUAL(status.ike_sas, 30);
    CHECK_EQUAL(status.cookies_sent, 4970);
    CHECK_EQUAL(status.refused_full, 0);
    check_comes_up(1000);
    gateway_pair_close(&pair);
}

TEST(first_messages_in_the_name_of_the_peer_leave_three_exchanges_and_he_comes_up)
{
    struct caught caught;

    begin(&caught, 832, "", "", false);
    flood(&caught, 0xcb007101, 0, 5000);
    gateway_pair_run(&pair, 20);
    CHECK_EQUAL(status_now().half_open, 3);
    CHECK_EQUAL(status_now().cookies_sent, 4997);
    check_comes_up(1000);
    gateway_pair_close(&pair);
    /* From where no site is nobody is answered at all. */
    begin(&caught, 833, "", "", false);
    flood(&caught, 0xc6120001, 7, 5000);
    CHECK_EQUAL(status_now().half_open, 0);
    CHECK_EQUAL(status_now().cookies_sent, 0);
    check_nothing_is_left();
}

/* A vendor ID at the end of each is another one. */
TEST(first_messages_that_all_differ_push_out_only_what_nobody_returned)
{
    struct caught caught;

    begin(&caught, 834, "cookie-threshold 0", "", true);
    check_comes_up(1000);
    gateway_pair_crash(&pair, 0);
    for (unsigned i = 0; i < 5000; i++) {
        put_u32(caught.bytes + caught.length - 4, i);
        put_u64(caught.bytes, 0x1000 + i);
        inject(&caught, 0xc6120001 + i);
        if (i % 20 == 19) {
            gateway_pair_run(&pair, 1);
        }
        if (i == 2500) {
            gateway_pair_start(&pair, 0);
        }
    }
    CHECK(gateway_pair_passes(&pair, 0) && gateway_pair_passes(&pair, 1));
    CHECK_EQUAL(status_now().half_open, 0);
    gateway_pair_close(&pair);
}

/* Message 3, of somebody who guesses; and a real one from another address. */
static bool keep_third(void *context, const struct gateway_pair_datagram *datagram)
{
    struct caught *caught = context;

    if (datagram->to.address.bytes[3] == 2 && datagram->length >= 28 &&
        get_u64(datagram->bytes + 8) != 0) {
        caught->length = datagram->length;
        memcpy(caught->bytes, datagram->bytes, datagram->length);
        return true;
    }
    return false;
}

TEST(a_cookie_is_good_for_its_address_and_two_minutes_alone)
{
    struct caught caught;

    begin(&caught, 835, "cookie-threshold 0", "", true);
    caught.length = 0;
    pair.lose = keep_third;
    gateway_pair_start(&pair, 0);
    gateway_pair_run(&pair, 100);
    CHECK(caught.length > 0);
    gateway_pair_crash(&pair, 0);
    pair.lose = NULL;
    inject(&caught, 0xcb007103);
    gateway_pair_run(&pair, 50);
    CHECK_EQUAL(status_now().half_open, 0);
    for (unsigned bit = 0; bit < 128; bit++) {
        caught.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        inject(&caught, 0xcb007101);
        gateway_pair_run(&pair, 1);
        caught.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    gateway_pair_run(&pair, 50);
    CHECK_EQUAL(status_now().half_open, 0);
    inject(&caught, 0xcb007101);
    gateway_pair_run(&pair, 50);
    CHECK_EQUAL(status_now().half_open, 1);
    gateway_pair_run(&pair, 240000);
    CHECK_EQUAL(status_now().half_open, 0);
    inject(&caught, 0xcb007101);
    gateway_pair_run(&pair, 50);
    CHECK_EQUAL(status_now().half_open, 0);
    gateway_pair_close(&pair);
}

/* There a machine is needed. Who is nowhere has a quarter of the places.
 */
TEST(aggressive_mode_has_bounded_places)
{
    struct caught caught;

    begin(&caught, 836, "half-open-max 400", " aggressive\n  legacy aggressive", true);
    flood(&caught, 0xc6120001, 7, 2000);
    gateway_pair_run(&pair, 20);
    CHECK_EQUAL(status_now().half_open, 25);
    CHECK_EQUAL(status_now().refused_full, 1975);
    /* Three quarters of them were given three seconds or ten. */
    gateway_pair_run(&pair, 10500);
    CHECK(status_now().half_open <= 13);
    check_comes_up(5000);
    gateway_pair_close(&pair);
}
