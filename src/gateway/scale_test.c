/* Ten thousand sites and a flood of strangers: bounded, paced, and quick. */
#include "gateway/inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "gateway/status.h"
#include "tests/support/gateway_pair.h"
#include "tests/support/test.h"

#define SITES 10000

struct alone {
    struct gateway *gateway;
    struct dataplane *dataplane;
    struct seeded_random seeded;
    struct random_source random;
    char *text;
    uint64_t now_ms;
};

static bool read_text(void *context, const char *path, struct slice *text, char *why,
                      size_t why_bytes)
{
    (void)path;
    (void)why;
    (void)why_bytes;
    *text = slice_of_text(context);
    return true;
}

static void configure(struct alone *a)
{
    struct config_loader loader = {.read = read_text, .context = a->text};
    struct config_result *result = config_read("scale.conf", &loader);

    CHECK(result != NULL);
    CHECK(result->config != NULL);
    struct config *config = config_take(result);

    config_result_free(result);
    gateway_configure(a->gateway, config, a->now_ms);
}

/* `except` is left out. */
static void write_sites(struct alone *a, size_t except)
{
    enum { BYTES_A_SITE = 160 };
    size_t length = 0;

    free(a->text);
    a->text = malloc((size_t)SITES * BYTES_A_SITE + 200);
    length += (size_t)sprintf(a->text, "gateway hub.example.jp\nlan 192.168.0.0/16\n");
    for (size_t i = 0; i < SITES; i++) {
        if (i != except) {
            length += (size_t)sprintf(a->text + length,
                                      "site s%zu {\n peer 10.0.%zu.%zu\n identity s%zu.example\n"
                                      " network 172.%zu.%zu.%zu/30\n key @k\n}\n",
                                      i, i / 250, i % 250 + 1, i, 16 + i / 16384, i / 64 % 256,
                                      i % 64 * 4);
        }
    }
}

static void open_alone(struct alone *a)
{
    *a = (struct alone){.now_ms = 1000};
    seeded_random_init(&a->seeded, 1);
    a->random = seeded_random_source(&a->seeded);
    struct dataplane_settings plane = {.random = &a->random};

    CHECK(protect_start(PROTECT_OPENSSL));
    a->dataplane = dataplane_new(&plane);
    CHECK(a->dataplane != NULL);
    struct gateway_settings settings = {.dataplane = a->dataplane, .random = &a->random};

    a->gateway = gateway_new(&settings, a->now_ms);
    CHECK(a->gateway != NULL);
    write_sites(a, SIZE_MAX);
    configure(a);
}

static void close_alone(struct alone *a)
{
    gateway_free(a->gateway);
    dataplane_free(a->dataplane);
    free(a->text);
}

struct seen {
    size_t sends, routes_added, routes_removed, secrets, sources, key_exchanges;
};

static void answer_all(struct alone *a, struct seen *seen)
{
    struct address local = address_ipv4(0x0a00ff01);
    struct gateway_action action;

    while (gateway_next_action(a->gateway, &action)) {
        switch (action.kind) {
        case GATEWAY_SEND:
            seen->sends++;
            break;
        case GATEWAY_KEY_EXCHANGE: {
            /* A pair of the right size is enough: nobody answers. */
            struct key_pair key = {.group = action.key_exchange->group};
            struct secret none = {0};

            seen->key_exchanges++;
            CHECK(key_pair_make(action.key_exchange->group, &a->random, &key));
            gateway_key_exchange_done(a->gateway, action.key_exchange->job, true, &key, &none,
                                      a->now_ms);
            free(action.key_exchange);
            key_pair_wipe(&key);
            break;
        }
        case GATEWAY_RESOLVE:
        case GATEWAY_PROOF:
        case GATEWAY_READ_CERTIFICATES:
            break;
        case GATEWAY_READ_SECRET: {
            struct secret secret = {0};

            seen->secrets++;
            CHECK(secret_set(&secret, slice_of_text("key")));
            gateway_secret(a->gateway, action.secret.question, &secret, NULL, a->now_ms);
            secret_wipe(&secret);
            break;
        }
        case GATEWAY_ROUTE_ADD:
            seen->routes_added++;
            break;
        case GATEWAY_ROUTE_REMOVE:
            seen->routes_removed++;
            break;
        case GATEWAY_SITE_CHANGED:
        case GATEWAY_TCP_OPEN:
        case GATEWAY_TCP_KEEP:
        case GATEWAY_TCP_RELEASE:
        case GATEWAY_LOGIN: /* nobody comes */
        case GATEWAY_SESSION:
        case GATEWAY_ADDRESS_ADD:
        case GATEWAY_ADDRESS_REMOVE:
            break;
        case GATEWAY_FIND_SOURCE:
            seen->sources++;
            gateway_source(a->gateway, action.source.question, &local, NULL, a->now_ms);
            break;
        }
    }
}

TEST(ten_thousand_sites_start_in_paces_and_a_reload_disturbs_none)
{
    struct alone a;
    struct seen seen = {0};
    struct status_site site;
    struct status_gateway status;

    open_alone(&a);
    answer_all(&a, &seen);
    CHECK_EQUAL(gateway_site_count(a.gateway), SITES);
    CHECK_EQUAL(seen.routes_added, SITES);
    CHECK_EQUAL(seen.key_exchanges, 200);
    CHECK_EQUAL(seen.sends, 200);
    gateway_get_status(a.gateway, a.now_ms, &status);
    CHECK_EQUAL(status.queued, SITES - 200);
    CHECK_EQUAL(status.states[STATUS_CONNECTING], SITES);

    /* Reloaded: the same, and without one. */
    seen = (struct seen){0};
    configure(&a);
    answer_all(&a, &seen);
    CHECK_EQUAL(seen.sends + seen.routes_added + seen.routes_removed + seen.secrets, 0);
    write_sites(&a, 777);
    configure(&a);
    answer_all(&a, &seen);
    CHECK_EQUAL(seen.routes_added, 0);
    CHECK_EQUAL(seen.routes_removed, 1);
    CHECK_EQUAL(gateway_site_count(a.gateway), SITES - 1);
    size_t index;

    CHECK(!gateway_site_index(a.gateway, "s777", &index));
    CHECK(gateway_site_index(a.gateway, "s778", &index));
    CHECK_EQUAL(index, 777);
    CHECK(gateway_site_at(a.gateway, index, a.now_ms, &site));
    CHECK_TEXT(site.name, "s778");
    /* Silent peers do not keep the others waiting: the next two hundred follow after three seconds.
     */
    seen = (struct seen){0};
    a.now_ms += 3000;
    gateway_time(a.gateway, a.now_ms);
    answer_all(&a, &seen);
    CHECK(seen.key_exchanges >= 199);
    CHECK(seen.key_exchanges <= 200);
    close_alone(&a);
}

/* ---- strangers ---- */

struct caught {
    size_t length;
    uint8_t bytes[2048];
};

static bool catch_first(void *context, const struct gateway_pair_datagram *datagram)
{
    struct caught *caught = context;

    if (caught->length == 0) {
        CHECK(datagram->length <= sizeof(caught->bytes));
        memcpy(caught->bytes, datagram->bytes, datagram->length);
        caught->length = datagram->length;
    }
    return true;
}

static struct gateway_pair pair;

/* An IKE_SA_INIT request that is in order. */
static void catch_request(struct caught *caught)
{
    gateway_pair_open(&pair, 1);
    pair.lose = catch_first;
    pair.context = caught;
    gateway_pair_start(&pair, 0);
    gateway_pair_run(&pair, 100);
    CHECK(caught->length > 0);
    gateway_pair_crash(&pair, 0);
    gateway_pair_write_config(&pair, 1, "start wait");
    gateway_pair_start(&pair, 1);
    pair.lose = NULL;
}

static struct status_gateway flood(struct caught *caught, uint32_t first, uint32_t step,
                                   unsigned count)
{
    struct endpoint to = {pair.nodes[1].outer, 500};
    struct status_gateway status;

    for (unsigned i = 0; i < count; i++) {
        struct endpoint from = {address_ipv4(first + i * step), 500};

        put_u64(caught->bytes, 0x1000 + i);
        gateway_pair_inject(&pair, &from, &to, (struct slice){caught->bytes, caught->length});
        gateway_pair_run(&pair, 1);
    }
    gateway_pair_run(&pair, 100);
    gateway_get_status(pair.nodes[1].gateway, pair.now_ms, &status);
    return status;
}

TEST(forged_icmp_about_ten_thousand_sites_costs_little)
{
    struct alone a;
    struct seen seen = {0};

    open_alone(&a);
    answer_all(&a, &seen);
    clock_t began = clock();

    /* A second of a flood, from all addresses and the one of a site. */
    for (uint32_t i = 0; i < 200000; i++) {
        struct endpoint from = {address_ipv4(i % 2 == 0 ? 0x0a000001 : 0x0a000000 + i), 500};

        gateway_unreachable(a.gateway, &from, "port unreachable", a.now_ms + i / 200);
    }
    double seconds = (double)(clock() - began) / CLOCKS_PER_SEC;

    printf("               200,000 ICMP errors: %.3f s\n", seconds);
    CHECK(seconds < 2);
    close_alone(&a);
}

TEST(one_address_must_show_a_cookie_from_the_fourth_half_open_ike_sa_on)
{
    struct caught caught = {0};

    catch_request(&caught);
    struct status_gateway status = flood(&caught, 0xc0000201, 0, 50);

    CHECK_EQUAL(status.half_open, 3);
    CHECK_EQUAL(status.cookies_sent, 47);
    CHECK(!status.cookies);
    gateway_pair_run(&pair, 31000);
    gateway_get_status(pair.nodes[1].gateway, pair.now_ms, &status);
    CHECK_EQUAL(status.half_open, 0);
    CHECK_EQUAL(status.ike_sas, 0);
    gateway_pair_close(&pair);
}

/* Each from another /64. */
TEST(an_ipv6_site_must_show_a_cookie_from_the_thirteenth_half_open_ike_sa_on)
{
    struct caught caught = {0};
    struct status_gateway status;

    catch_request(&caught);
    for (uint8_t i = 0; i < 50; i++) {
        struct endpoint from = {{FAMILY_IPV6, {0x20, 1, 0xd, 0xb8, 0, 1, 0, i, [15] = 1}}, 500};
        struct endpoint to = {pair.nodes[1].outer, 500}; /* only who calls is counted */

        put_u64(caught.bytes, 0x1000 + i);
        gateway_pair_inject(&pair, &from, &to, (struct slice){caught.bytes, caught.length});
        gateway_pair_run(&pair, 1);
    }
    gateway_pair_run(&pair, 100);
    gateway_get_status(pair.nodes[1].gateway, pair.now_ms, &status);
    CHECK_EQUAL(status.half_open, 12);
    CHECK_EQUAL(status.cookies_sent, 38);
    gateway_pair_run(&pair, 31000);
    gateway_get_status(pair.nodes[1].gateway, pair.now_ms, &status);
    CHECK_EQUAL(status.half_open, 0);
    gateway_pair_close(&pair);
}

TEST(many_addresses_must_show_cookies_and_an_honest_peer_still_gets_in)
{
    struct caught caught = {0};

    catch_request(&caught);
    struct status_gateway status = flood(&caught, 0xc6120001, 7, 3000);

    CHECK(status.cookies);
    CHECK(status.half_open < 200);
    CHECK(status.ike_sas < 200);
    gateway_pair_start(&pair, 0);
    CHECK(gateway_pair_up(&pair, 1000));
    gateway_pair_close(&pair);
}

TEST(whoever_only_makes_us_refuse_must_show_cookies_as_well)
{
    struct caught caught = {0};

    catch_request(&caught);
    gateway_pair_write_config(&pair, 1, "start wait\n  ike aes128-sha256-modp2048");
    gateway_pair_reload(&pair, 1);
    struct status_gateway status = flood(&caught, 0xc6120001, 7, 800);

    CHECK_EQUAL(status.ike_sas, 0);
    CHECK(pair.nodes[1].gateway->answered >= 30);
    CHECK(pair.nodes[1].gateway->answered <= 60);
    CHECK(status.cookies_sent >= 740);
    /* It is over when they stop. */
    gateway_pair_run(&pair, 2000);
    status = flood(&caught, 0xc6140001, 7, 1);
    CHECK(pair.nodes[1].gateway->answered <= 61);
    CHECK_EQUAL(status.cookies_sent + pair.nodes[1].gateway->answered, 801);
    CHECK(!admission_wants_cookies(pair.nodes[1].gateway, &pair.nodes[0].outer));
    gateway_pair_close(&pair);
}

TEST(while_too_many_key_exchanges_of_strangers_wait_nobody_else_begins_one)
{
    struct caught caught = {0};

    catch_request(&caught);
    struct gateway *g = pair.nodes[1].gateway;

    g->strangers_exchanges = STRANGERS_EXCHANGES_MAX;
    struct status_gateway status = flood(&caught, 0xc6120001, 7, 5);

    CHECK_EQUAL(status.refused_busy, 5);
    CHECK_EQUAL(status.half_open, 0);
    /* Nobody who was refused is answered late: he sends again. */
    g->strangers_exchanges = STRANGERS_EXCHANGES_MAX - 1;
    status = flood(&caught, 0xc6130001, 7, 5);
    CHECK_EQUAL(status.refused_busy, 5);
    CHECK_EQUAL(status.half_open, 5);
    CHECK_EQUAL(g->strangers_exchanges, STRANGERS_EXCHANGES_MAX - 1);
    g->strangers_exchanges = 0;
    gateway_pair_start(&pair, 0);
    CHECK(gateway_pair_up(&pair, 1000));
    CHECK_EQUAL(g->strangers_exchanges, 0);
    gateway_pair_close(&pair);
}
