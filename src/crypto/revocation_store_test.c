/* What is remembered of revocation, when it is asked for, and what decides about a path. */
#include "crypto/revocation_store.h"

#include <stdio.h>
#include <string.h>

#include "crypto/certificate_testbed.h"
#include "tests/support/test.h"

#define LIST_URL "http://ca.example.jp/a.crl"
#define RESPONDER_URL "http://ocsp.example.jp/"
#define FROM (TESTBED_NOW_S - TESTBED_DAY_S)
#define UNTIL (TESTBED_NOW_S + TESTBED_DAY_S)
#define NOTHING ((struct slice){NULL, 0})

static const struct testbed_order gateway_order = {.subject = "CN=gw1",
                                                   .names = "DNS:gw1.example.jp",
                                                   .usage = "digitalSignature",
                                                   .lists = "URI:ldap://ca.example.jp/x,"
                                                            "URI:" LIST_URL,
                                                   .access = "OCSP;URI:" RESPONDER_URL,
                                                   .serial = 7};
static const struct revocation_source the_list = {.kind = REVOCATION_SOURCE_LIST, .url = LIST_URL};
static const struct revocation_source the_responder = {.kind = REVOCATION_SOURCE_RESPONDER,
                                                       .url = RESPONDER_URL};

static struct private_key *root_key, *gateway_key;
static struct certificate *root, *gateway;
static struct seeded_random seeded;
static struct random_source chance;
static uint8_t bytes[4096];

static struct revocation_store *prepare(void)
{
    if (root == NULL) {
        root_key = private_key_make(KEY_P256, 0);
        gateway_key = private_key_make(KEY_P256, 0);
        CHECK(root_key != NULL && gateway_key != NULL);
        root = testbed_issue(&testbed_root, root_key, NULL, NULL);
        gateway = testbed_issue(&gateway_order, gateway_key, root, root_key);
    }
    seeded_random_init(&seeded, 1);
    chance = seeded_random_source(&seeded);
    struct revocation_store *store = revocation_store_new(&chance);

    CHECK(store != NULL);
    return store;
}

static struct slice list_of(bool revoked, const struct private_key *key, int64_t from_s)
{
    const struct certificate *all[] = {gateway};

    return testbed_crl(bytes, sizeof(bytes), root, key, all, revoked ? 1 : 0, from_s, UNTIL, NULL);
}

static struct revocation_memory look(struct revocation_store *store,
                                     const struct revocation_source *source, int64_t now_s)
{
    struct revocation_memory memory;

    revocation_store_look(store, source, gateway, root, now_s, &memory);
    return memory;
}

TEST(a_certificate_names_its_places_and_only_those_of_http_are_taken)
{
    struct revocation_store *store = prepare();
    struct revocation_source sources[REVOCATION_SOURCES_MAX];

    CHECK_EQUAL(revocation_sources(gateway, sources, ARRAY_LENGTH(sources)), 2);
    CHECK(sources[0].kind == REVOCATION_SOURCE_RESPONDER && !sources[0].configured);
    CHECK_TEXT(sources[0].url, RESPONDER_URL);
    CHECK(sources[1].kind == REVOCATION_SOURCE_LIST);
    CHECK_TEXT(sources[1].url, LIST_URL);
    CHECK_EQUAL(revocation_sources(root, sources, ARRAY_LENGTH(sources)), 0);
    static const char *const bad[] = {"",          "http:/",      "http://",      "https://a/",
                                      "http:///x", "http://a b/", "http://a\n/",  "ldap://a/",
                                      "hTtP:/a",   "file:///x",   "http://\x80/", "http://a\"/"};

    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        CHECK(!revocation_url_is_good(slice_of_text(bad[i])));
    }
    CHECK(revocation_url_is_good(SLICE_TEXT("HTTP://a/")));
    revocation_store_free(store);
}

TEST(a_list_is_kept_until_its_end_and_asked_for_anew_before)
{
    struct revocation_store *store = prepare();

    CHECK(look(store, &the_list, TESTBED_NOW_S).ask);
    CHECK(revocation_store_put(store, &the_list, gateway, root, list_of(false, root_key, FROM),
                               NOTHING, TESTBED_NOW_S, TESTBED_NOW_S));
    struct revocation_memory memory = look(store, &the_list, TESTBED_NOW_S + 1);

    CHECK(memory.verdict.status == REVOCATION_GOOD && !memory.ask);
    memory = look(store, &the_list, TESTBED_NOW_S + REVOCATION_REFRESH_S);
    CHECK(memory.verdict.status == REVOCATION_GOOD && memory.ask);
    memory = look(store, &the_list, UNTIL + 1000);
    CHECK(memory.verdict.status == REVOCATION_UNKNOWN && memory.ask);
    revocation_store_free(store);
}

TEST(a_source_that_gives_nothing_is_left_alone_for_a_while)
{
    struct revocation_store *store = prepare();

    revocation_store_failed(store, &the_list, gateway, "no answer", TESTBED_NOW_S);
    struct revocation_memory memory = look(store, &the_list, TESTBED_NOW_S + 1);

    CHECK(!memory.ask && memory.verdict.status == REVOCATION_UNKNOWN);
    CHECK_TEXT(memory.why, "no answer");
    CHECK(look(store, &the_list, TESTBED_NOW_S + REVOCATION_RETRY_S).ask);
    /* What it said before still holds. */
    CHECK(revocation_store_put(store, &the_list, gateway, root, list_of(false, root_key, FROM),
                               NOTHING, TESTBED_NOW_S, TESTBED_NOW_S));
    revocation_store_failed(store, &the_list, gateway, "no answer", TESTBED_NOW_S + 4000);
    memory = look(store, &the_list, TESTBED_NOW_S + 4001);
    CHECK(memory.verdict.status == REVOCATION_GOOD && !memory.ask);
    revocation_store_free(store);
}

TEST(what_is_not_the_issuers_or_is_from_the_past_is_not_kept)
{
    struct revocation_store *store = prepare();

    CHECK(!revocation_store_put(store, &the_list, gateway, root, list_of(false, gateway_key, FROM),
                                NOTHING, TESTBED_NOW_S, TESTBED_NOW_S));
    CHECK_TEXT(look(store, &the_list, TESTBED_NOW_S).why,
               revocation_problem_words(REVOCATION_BAD_SIGNATURE));
    CHECK(!revocation_store_put(store, &the_list, gateway, root, SLICE_TEXT("<html>"), NOTHING,
                                TESTBED_NOW_S, TESTBED_NOW_S));
    CHECK_TEXT(look(store, &the_list, TESTBED_NOW_S).why,
               revocation_problem_words(REVOCATION_MALFORMED));
    /* The newer one says revoked; the older one, which somebody plays back, does not. */
    CHECK(revocation_store_put(store, &the_list, gateway, root,
                               list_of(true, root_key, TESTBED_NOW_S - 60), NOTHING, TESTBED_NOW_S,
                               TESTBED_NOW_S));
    CHECK(look(store, &the_list, TESTBED_NOW_S).verdict.status == REVOCATION_REVOKED);
    (void)!revocation_store_put(store, &the_list, gateway, root, list_of(false, root_key, FROM),
                                NOTHING, TESTBED_NOW_S, TESTBED_NOW_S);
    CHECK(look(store, &the_list, TESTBED_NOW_S).verdict.status == REVOCATION_REVOKED);
    revocation_store_free(store);
}

TEST(a_response_is_about_one_certificate_and_holds_for_a_day_at_most)
{
    struct revocation_store *store = prepare();
    struct slice response =
        testbed_ocsp(bytes, sizeof(bytes), TESTBED_OCSP_GOOD, gateway, root, root, root_key, FROM,
                     TESTBED_NOW_S + 30 * (int64_t)TESTBED_DAY_S, NOTHING);
    struct revocation_memory memory;

    CHECK(revocation_store_put(store, &the_responder, gateway, root, response, NOTHING,
                               TESTBED_NOW_S, TESTBED_NOW_S));
    CHECK(look(store, &the_responder, TESTBED_NOW_S).verdict.status == REVOCATION_GOOD);
    CHECK(look(store, &the_responder, TESTBED_NOW_S + TESTBED_DAY_S).verdict.status ==
          REVOCATION_UNKNOWN);
    revocation_store_look(store, &the_responder, root, root, TESTBED_NOW_S, &memory);
    CHECK(memory.verdict.status == REVOCATION_UNKNOWN && memory.ask);
    revocation_store_free(store);
}

TEST(no_more_is_remembered_than_there_is_room_for)
{
    struct revocation_store *store = prepare();
    struct revocation_source source = the_list;

    for (size_t i = 0; i <= REVOCATION_STORE_LISTS_MAX; i++) {
        snprintf(source.url, sizeof(source.url), "http://ca.example.jp/%zu", i);
        revocation_store_failed(store, &source, gateway, "no answer", TESTBED_NOW_S);
    }
    CHECK(!look(store, &source, TESTBED_NOW_S).ask);
    snprintf(source.url, sizeof(source.url), "http://ca.example.jp/0");
    CHECK(look(store, &source, TESTBED_NOW_S).ask); /* forgotten */
    revocation_store_free(store);
}

/* ---- with a path ---- */

static enum certificate_problem verify(struct revocation_store *store, enum revocation_mode mode,
                                       int64_t now_s, const struct certificate *peer,
                                       struct certificate_verdict *verdict,
                                       struct revocation_wishes *wishes)
{
    struct trust *trust = testbed_trust(root);
    struct trust_rules rules = {.now_s = now_s, .revocation = mode, .store = store};

    *wishes = (struct revocation_wishes){0};
    CHECK(trust_add_source(trust, REVOCATION_SOURCE_LIST, "http://192.0.2.9/b.crl"));
    CHECK(!trust_add_source(trust, REVOCATION_SOURCE_LIST, "https://192.0.2.9/b.crl"));
    bool good = trust_verify_and_wish(trust, &rules, &peer, 1, verdict, wishes);

    CHECK(good == (verdict->problem == CERTIFICATE_GOOD));
    trust_free(trust);
    return verdict->problem;
}

TEST(only_a_good_path_wishes_and_configured_places_come_first)
{
    struct revocation_store *store = prepare();
    struct certificate_verdict verdict;
    struct revocation_wishes wishes;
    struct testbed_order late = gateway_order;
    char words[400];
    struct text text = text_over(words, sizeof(words));

    CHECK(verify(store, REVOCATION_NORMAL, TESTBED_NOW_S, gateway, &verdict, &wishes) ==
          CERTIFICATE_GOOD);
    CHECK_EQUAL(wishes.count, 1);
    CHECK(wishes.list[0].needed);
    CHECK_EQUAL(wishes.list[0].source_count, 3);
    CHECK(wishes.list[0].sources[0].configured);
    CHECK_TEXT(wishes.list[0].sources[1].url, RESPONDER_URL);
    CHECK_TEXT(wishes.list[0].sources[2].url, LIST_URL);
    revocation_wishes_fini(&wishes);
    CHECK(verify(store, REVOCATION_OFF, TESTBED_NOW_S, gateway, &verdict, &wishes) ==
          CERTIFICATE_GOOD);
    CHECK_EQUAL(wishes.count, 0);
    CHECK(verify(store, REVOCATION_STRICT, TESTBED_NOW_S, gateway, &verdict, &wishes) ==
          CERTIFICATE_REVOCATION_UNKNOWN);
    CHECK_EQUAL(wishes.count, 1);
    revocation_wishes_fini(&wishes);
    revocation_store_failed(store, &the_list, gateway, "no answer", TESTBED_NOW_S);
    CHECK(verify(store, REVOCATION_STRICT, TESTBED_NOW_S, gateway, &verdict, &wishes) ==
          CERTIFICATE_REVOCATION_UNKNOWN);
    revocation_wishes_fini(&wishes);
    certificate_verdict_words(&verdict, &text);
    CHECK_TEXT(words, "the certificate of CN=gw1 may have been revoked: " LIST_URL ": no answer");

    late.ends_s = TESTBED_NOW_S - 1;
    struct certificate *expired = testbed_issue(&late, gateway_key, root, root_key);
    struct certificate *alone = testbed_issue(&gateway_order, gateway_key, NULL, NULL);
    struct certificate *forged = testbed_issue(&gateway_order, gateway_key, root, gateway_key);
    const struct certificate *const bad[] = {expired, alone, forged};

    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        CHECK(verify(store, REVOCATION_NORMAL, TESTBED_NOW_S, bad[i], &verdict, &wishes) !=
              CERTIFICATE_GOOD);
        CHECK_EQUAL(wishes.count, 0);
    }
    certificate_free(expired);
    certificate_free(alone);
    certificate_free(forged);
    revocation_store_free(store);
}

TEST(what_was_fetched_decides_and_what_holds_is_renewed_without_waiting)
{
    struct revocation_store *store = prepare();
    struct certificate_verdict verdict;
    struct revocation_wishes wishes;

    CHECK(revocation_store_put(store, &the_list, gateway, root, list_of(false, root_key, FROM),
                               NOTHING, TESTBED_NOW_S, TESTBED_NOW_S));
    CHECK(verify(store, REVOCATION_STRICT, TESTBED_NOW_S, gateway, &verdict, &wishes) ==
          CERTIFICATE_GOOD);
    CHECK_EQUAL(wishes.count, 0);
    CHECK(verify(store, REVOCATION_STRICT, TESTBED_NOW_S + REVOCATION_REFRESH_S, gateway, &verdict,
                 &wishes) == CERTIFICATE_GOOD);
    CHECK(wishes.count == 1 && !wishes.list[0].needed && wishes.list[0].source_count == 1);
    CHECK_TEXT(wishes.list[0].sources[0].url, LIST_URL);
    revocation_wishes_fini(&wishes);
    CHECK(revocation_store_put(store, &the_list, gateway, root,
                               list_of(true, root_key, TESTBED_NOW_S - 60), NOTHING, TESTBED_NOW_S,
                               TESTBED_NOW_S));
    for (int strict = 0; strict < 2; strict++) {
        CHECK(verify(store, strict != 0 ? REVOCATION_STRICT : REVOCATION_NORMAL, TESTBED_NOW_S,
                     gateway, &verdict, &wishes) == CERTIFICATE_REVOKED);
        CHECK_EQUAL(verdict.when_s, TESTBED_NOW_S - 60);
        revocation_wishes_fini(&wishes);
    }
    revocation_store_free(store);
}
