/* Two gateways with post-quantum preshared keys: what they read, use, and say when it does not fit.
 */
#include "gateway/inside.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/gateway_pair.h"
#include "tests/support/test.h"

static struct gateway_pair pair;

static const char other[] = "another octet string, as long as it is";
static const char right[] = "an octet string of more than 256 bits";

static void start(uint64_t seed, const char *first, const char *second)
{
    gateway_pair_open(&pair, seed);
    gateway_pair_write_config(&pair, 0, first);
    gateway_pair_write_config(&pair, 1, second);
    pair.nodes[0].ppk = pair.nodes[1].ppk = right;
    gateway_pair_start(&pair, 0);
    gateway_pair_start(&pair, 1);
}

static void close_both(void)
{
    gateway_pair_stop(&pair, 0);
    gateway_pair_stop(&pair, 1);
    gateway_pair_close(&pair);
}

static void check_up(bool with)
{
    CHECK(gateway_pair_up(&pair, 70000));
    CHECK(gateway_pair_passes(&pair, 0) && gateway_pair_passes(&pair, 1));
    for (unsigned i = 0; i < 2; i++) {
        CHECK(gateway_pair_site(&pair, i).ike.ppk == with);
        CHECK(gateway_pair_site(&pair, i).ike.ppk_everywhere == with);
    }
}

static const char *name_of(unsigned node)
{
    return node == 0 ? "osaka" : "tokyo";
}

static void check_identity_says(unsigned node, const char *words)
{
    static struct status_explanation e;

    CHECK(gateway_explain(pair.nodes[node].gateway, name_of(node), pair.now_ms, &e));
    CHECK(strstr(e.checks[REASON_CHECK_IDENTITY].sentence, words) != NULL);
}

TEST(a_ppk_is_read_and_used_and_told)
{
    start(1, "ppk @ppk id between-us", "ppk @ppk id between-us");
    check_up(true);
    for (unsigned i = 0; i < 2; i++) {
        CHECK_TEXT(gateway_pair_site(&pair, i).ike.ppk_id, "between-us");
        check_identity_says(i, ", with the PPK between-us");
        CHECK_EQUAL(pair.nodes[i].secrets_read, 2);
    }
    close_both();
}

TEST(who_has_none_shows_none)
{
    start(2, "", "");
    check_up(false);
    CHECK(gateway_pair_site(&pair, 0).ike.ppk_id == NULL);
    close_both();
}

static unsigned warned;

static void hear(void *context, enum log_level level, const char *about, const char *line)
{
    (void)context;
    CHECK_TEXT(about, "osaka");
    warned += level == LOG_LEVEL_WARNING && strstr(line, "has not the PPK ppk") != NULL;
}

TEST(what_was_done_without_is_told)
{
    start(3, "ppk @ppk prefer", "start wait");
    pair.nodes[0].log = (struct log_sink){.write = hear};
    check_up(false);
    CHECK_TEXT(gateway_pair_site(&pair, 0).ike.ppk_id, "ppk");
    check_identity_says(0, ", and has not the PPK ppk");
    CHECK_EQUAL(warned, 1);
    close_both();
}

/* Who says what, when one side has none, or another name, or another key. */
TEST(both_sides_say_what_does_not_fit)
{
    static const struct {
        const char *first, *second, *second_key;
        enum reason first_reason, second_reason;
        const char *first_words, *second_words;
    } cases[] = {
        {"ppk @ppk", "start wait", right, REASON_PPK_MISSING, REASON_NONE,
         "the peer uses no PPK, and this site requires ppk", ""},
        {"", "ppk @ppk; start wait", right, REASON_AUTH_REFUSED, REASON_PPK_MISSING, "",
         "the peer uses no PPK, and this site requires ppk"},
        {"ppk @ppk id a", "ppk @ppk id b; start wait", right, REASON_PPK_REFUSED,
         REASON_PPK_UNKNOWN, "refused the PPK a", "the peer uses the PPK a, this site has none"},
        {"ppk @ppk id a prefer", "ppk @ppk id b; start wait", right, REASON_PPK_REFUSED,
         REASON_PPK_UNKNOWN, "refused the PPK a", "the peer uses the PPK a, this site has b"},
        {"ppk @ppk", "ppk @ppk; start wait", other, REASON_PPK_REFUSED, REASON_PPK_DIFFERS,
         "refused the PPK ppk", "is another than ours"},
        {"ppk @ppk auth-only id a", "ppk @ppk id b; start wait", right, REASON_PPK_REFUSED,
         REASON_PPK_UNKNOWN, "refused the PPK a", "the peer uses the PPK a, this site has b"},
        {"ppk @ppk auth-only", "ppk @ppk; start wait", other, REASON_PPK_REFUSED,
         REASON_PPK_DIFFERS, "refused the PPK ppk", "its PPK ppk is another than ours"},
        {"ppk @ppk auth-only prefer", "ppk @ppk prefer; start wait", other, REASON_PPK_REFUSED,
         REASON_PPK_DIFFERS, "refused the PPK ppk", "its PPK ppk is another than ours"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        gateway_pair_open(&pair, 10 + i);
        gateway_pair_write_config(&pair, 0, cases[i].first);
        gateway_pair_write_config(&pair, 1, cases[i].second);
        pair.nodes[0].ppk = right;
        pair.nodes[1].ppk = cases[i].second_key;
        gateway_pair_start(&pair, 0);
        gateway_pair_start(&pair, 1);
        /* In IKE_INTERMEDIATE nobody says who he is: it is told when he does not come back. */
        gateway_pair_run(&pair, 40000);
        struct status_site first = gateway_pair_site(&pair, 0);
        struct status_site second = gateway_pair_site(&pair, 1);

        CHECK_EQUAL(first.state, STATUS_DOWN);
        CHECK_EQUAL(first.reason, cases[i].first_reason);
        CHECK(strstr(first.sentence, cases[i].first_words) != NULL);
        if (cases[i].second_reason != REASON_NONE) {
            CHECK_EQUAL(second.reason, cases[i].second_reason);
            CHECK(strstr(second.sentence, cases[i].second_words) != NULL);
        }
        close_both();
    }
}

TEST(a_wrong_ppk_is_done_without_where_both_sides_can)
{
    gateway_pair_open(&pair, 20);
    gateway_pair_write_config(&pair, 0, "ppk @ppk prefer");
    gateway_pair_write_config(&pair, 1, "ppk @ppk prefer; start wait");
    pair.nodes[0].ppk = right;
    pair.nodes[1].ppk = other;
    gateway_pair_start(&pair, 0);
    gateway_pair_start(&pair, 1);
    check_up(false);
    check_identity_says(0, ", and has not the PPK ppk");
    close_both();
}

TEST(a_ppk_may_be_for_ike_auth_alone)
{
    start(21, "ppk @ppk auth-only", "ppk @ppk");
    CHECK(gateway_pair_up(&pair, 5000));
    for (unsigned i = 0; i < 2; i++) {
        CHECK(gateway_pair_site(&pair, i).ike.ppk);
        CHECK(!gateway_pair_site(&pair, i).ike.ppk_everywhere);
    }
    close_both();
}

TEST(a_ppk_that_cannot_be_read_is_not_done_without)
{
    gateway_pair_open(&pair, 30);
    gateway_pair_write_config(&pair, 0, "ppk @ppk prefer");
    gateway_pair_write_config(&pair, 1, "ppk @ppk prefer; start wait");
    pair.nodes[0].ppk = NULL;
    pair.nodes[1].ppk = right;
    gateway_pair_start(&pair, 0);
    gateway_pair_start(&pair, 1);
    gateway_pair_run(&pair, 20000);
    CHECK_EQUAL(gateway_pair_site(&pair, 0).state, STATUS_DOWN);
    CHECK_EQUAL(gateway_pair_site(&pair, 0).reason, REASON_NO_SECRET);
    pair.nodes[0].ppk = right;
    check_up(true);
    close_both();

    /* The same at the one who is called. */
    gateway_pair_open(&pair, 31);
    gateway_pair_write_config(&pair, 0, "ppk @ppk prefer");
    gateway_pair_write_config(&pair, 1, "ppk @ppk prefer; start wait");
    pair.nodes[0].ppk = right;
    pair.nodes[1].ppk = NULL;
    gateway_pair_start(&pair, 0);
    gateway_pair_start(&pair, 1);
    gateway_pair_run(&pair, 20000);
    CHECK(gateway_pair_site(&pair, 1).state != STATUS_UP);
    CHECK_EQUAL(gateway_pair_site(&pair, 1).reason, REASON_NO_SECRET);
    pair.nodes[1].ppk = right;
    check_up(true);
    close_both();
}

TEST(a_ppk_that_is_put_right_is_read_again)
{
    gateway_pair_open(&pair, 40);
    gateway_pair_write_config(&pair, 0, "ppk @ppk");
    gateway_pair_write_config(&pair, 1, "ppk @ppk; start wait");
    pair.nodes[0].ppk = right;
    pair.nodes[1].ppk = other;
    gateway_pair_start(&pair, 0);
    gateway_pair_start(&pair, 1);
    gateway_pair_run(&pair, 20000);
    CHECK_EQUAL(gateway_pair_site(&pair, 0).reason, REASON_PPK_REFUSED);
    pair.nodes[1].ppk = right;
    check_up(true);
    close_both();
}

TEST(a_ppk_comes_and_goes_with_the_configuration)
{
    start(50, "", "start wait");
    check_up(false);
    gateway_pair_write_config(&pair, 1, "ppk @ppk prefer; start wait");
    gateway_pair_reload(&pair, 1);
    gateway_pair_write_config(&pair, 0, "ppk @ppk");
    gateway_pair_reload(&pair, 0);
    gateway_pair_run(&pair, 70000);
    check_up(true);
    gateway_pair_write_config(&pair, 0, "");
    gateway_pair_reload(&pair, 0);
    gateway_pair_run(&pair, 70000);
    check_up(false);
    close_both();
}

TEST(a_ticket_of_another_ppk_is_refused_and_the_handshake_done_in_full)
{
    start(60, "ppk @ppk; resume 1h", "ppk @ppk; resume 1h; start wait");
    check_up(true);
    CHECK_EQUAL(gateway_pair_site(&pair, 0).ike_count, 1);
    uint64_t before = resilience_fingerprint(pair.nodes[1].gateway->sites[0]);

    CHECK(secret_set((struct secret *)(uintptr_t)&pair.nodes[1].gateway->sites[0]->ppk->key,
                     SLICE_TEXT("another")));
    CHECK(resilience_fingerprint(pair.nodes[1].gateway->sites[0]) != before);
    close_both();
}

/* Two sites may call theirs the same; whose it is, shows only by what is proved with it. */
TEST(ppks_of_equal_names_are_kept_apart)
{
    static const uint8_t one[] = {2, 'p', 'p', 'k'}, two[] = {2, 'p', '2'};
    const struct slice names[] = {SLICE_OF(one), SLICE_OF(two)};
    const struct ikev2_ppk *known[PPK_KNOWN_MAX];

    gateway_pair_open(&pair, 70);
    pair.nodes[0].ppk = right;
    snprintf(pair.nodes[0].config, sizeof(pair.nodes[0].config),
             "gateway tokyo.example.jp\nlan 10.1.0.0/16\n"
             "site a {\npeer any; identity a; network 10.2.0.0/16; key @k; ppk @ppk\n}\n"
             "site b {\npeer any; identity b; network 10.3.0.0/16; key @k; ppk @ppk\n}\n"
             "site c {\npeer any; identity c; network 10.4.0.0/16; key @k; ppk @ppk id p2\n}\n");
    gateway_pair_start(&pair, 0);
    gateway_pair_run(&pair, 1000);
    struct gateway *g = pair.nodes[0].gateway;

    CHECK_EQUAL(ppk_known(g, names, 1, known), 2);
    CHECK_EQUAL(ppk_known(g, names, 2, known), 3);
    for (size_t i = 0; i < 3; i++) {
        /* The first of a chain, and one behind it. */
        ppk_forget(g->sites[i]);
        CHECK_EQUAL(ppk_known(g, names, 2, known), 2 - i);
    }
    gateway_pair_stop(&pair, 0);
    gateway_pair_close(&pair);
}
