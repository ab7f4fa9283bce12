/*
 * Every way in which two gateways cannot come together, and what each of them says about it: the
 * reason with its code, and the words of both sides where both are known.
 */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/gateway_pair.h"
#include "tests/support/test.h"

static struct gateway_pair pair;

static bool lose_4500(void *context, const struct gateway_pair_datagram *datagram)
{
    (void)context;
    return datagram->protocol == 17 && datagram->to.port == 4500;
}

static bool lose_all(void *context, const struct gateway_pair_datagram *datagram)
{
    (void)context;
    (void)datagram;
    return true;
}

/* It answers from its other address, and what follows is lost. */
static bool answer_elsewhere(void *context, const struct gateway_pair_datagram *datagram)
{
    (void)context;
    if (datagram->protocol == 17 && address_equal(&datagram->from.address, &pair.nodes[1].outer)) {
        pair.queue[pair.queued].from.address = address_ipv4(0xc6336407);
    }
    return datagram->protocol == 17 && datagram->to.port == 4500;
}

struct failure_case {
    const char *name;
    const char *ours, *theirs; /* lines of the site of 0, which begins, and of 1, which waits */
    bool (*lose)(void *context, const struct gateway_pair_datagram *datagram);
    enum reason reason, peer_reason; /* REASON_NONE of the peer: not looked at */
    const char *words, *peer_words; /* in the sentence; NULL: not looked at */
    const char *compared, *peer_compared; /* in one of the differences */
};

static const struct failure_case cases[] = {
    {.name = "no IKE proposal",
     .ours = "ike aes256gcm16-sha384-ecp384",
     .theirs = "ike aes128-sha256-x25519",
     .reason = REASON_NO_PROPOSAL,
     .peer_reason = REASON_NO_PROPOSAL,
     .words = "we allow aes256gcm16-prfsha384-ecp384",
     .peer_words = "we allow aes128-sha256-x25519; the peer wants aes256gcm16-prfsha384-ecp384",
     .peer_compared = "cipher  ours aes128; theirs aes256gcm16: NOTHING IN COMMON"},
    {.name = "only the group differs",
     .ours = "ike aes128-sha256-ecp384",
     .theirs = "ike aes128-sha256-x25519",
     .reason = REASON_NO_PROPOSAL,
     .peer_reason = REASON_NO_PROPOSAL,
     .peer_compared = "group   ours x25519; theirs ecp384: NOTHING IN COMMON"},
    {.name = "no ESP proposal",
     .ours = "esp aes256gcm16",
     .theirs = "esp aes128-sha256",
     .reason = REASON_NO_CHILD_PROPOSAL,
     .peer_reason = REASON_NO_CHILD_PROPOSAL,
     .peer_words = "aes128-sha256",
     .peer_compared = "cipher  ours aes128; theirs aes256gcm16: NOTHING IN COMMON"},
    {.name = "networks differ",
     .ours = "",
     .theirs = "lan 10.9.0.0/16",
     .reason = REASON_SELECTORS,
     .peer_reason = REASON_SELECTORS,
     .peer_words = "10.9.0.0/16",
     .peer_compared = "networks here: only we say 10.9.0.0/16, only the peer says 10.2.0.0/16"},
    {.name = "another identity is expected of who answers",
     .ours = "",
     .theirs = "say nara.example.jp",
     .reason = REASON_PEER_IDENTITY,
     .peer_reason = REASON_NONE,
     .words = "nara.example.jp"},
    {.name = "AH against ESP",
     .ours = "ah sha256",
     .theirs = "",
     .reason = REASON_AH_REFUSED,
     .peer_reason = REASON_NONE},
    {.name = "nobody answers",
     .ours = "",
     .theirs = "",
     .lose = lose_all,
     .reason = REASON_NO_ANSWER,
     .peer_reason = REASON_NONE,
     .words = "does not answer on UDP 500"},
    {.name = "port 4500 is closed",
     .ours = "encapsulate always",
     .theirs = "",
     .lose = lose_4500,
     .reason = REASON_NO_ANSWER_4500,
     .peer_reason = REASON_NONE,
     .words = "answers on UDP 500, but not on UDP 4500"},
    {.name = "it answers from another address",
     .ours = "",
     .theirs = "",
     .lose = answer_elsewhere,
     .reason = REASON_ANSWERS_ELSEWHERE,
     .peer_reason = REASON_NONE,
     .words = "203.0.113.2 answers from 198.51.100.7 only"},
};

static void check_compared(const struct failure_case *c, unsigned node, const char *wanted)
{
    struct status_explanation e;
    bool found = wanted == NULL;

    CHECK(
        gateway_explain(pair.nodes[node].gateway, node == 0 ? "osaka" : "tokyo", pair.now_ms, &e));
    for (size_t i = 0; i < e.difference_count; i++) {
        found = found || strstr(e.differences[i], wanted) != NULL;
    }
    if (!found) {
        fail_msg("%s, node %u: %s", c->name, node,
                 e.difference_count > 0 ? e.differences[0] : "no differences");
    }
}

static void check_side(const struct failure_case *c, unsigned node, enum reason reason,
                       const char *words)
{
    struct status_site site = gateway_pair_site(&pair, node);

    if (reason == REASON_NONE) {
        return;
    }
    if (site.reason != reason || (words != NULL && strstr(site.sentence, words) == NULL)) {
        fail_msg("%s, node %u: %s %s", c->name, node, site.code, site.sentence);
    }
    CHECK_TEXT(site.code, reason_code(reason));
    CHECK(strchr(site.sentence, '{') == NULL);
}

TEST(every_failure_is_told_exactly_on_both_sides)
{
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        const struct failure_case *c = &cases[i];
        char theirs[256];

        gateway_pair_open(&pair, 900 + i);
        snprintf(theirs, sizeof(theirs), "start wait\n  %s", c->theirs);
        gateway_pair_write_config(&pair, 0, c->ours);
        gateway_pair_write_config(&pair, 1, theirs);
        gateway_pair_start(&pair, 0);
        gateway_pair_start(&pair, 1);
        pair.lose = c->lose;
        for (unsigned k = 0; k < 120 && gateway_pair_site(&pair, 0).reason != c->reason; k++) {
            gateway_pair_run(&pair, 1000);
        }
        check_side(c, 0, c->reason, c->words);
        check_side(c, 1, c->peer_reason, c->peer_words);
        check_compared(c, 0, c->compared);
        check_compared(c, 1, c->peer_compared);
        CHECK(!gateway_pair_passes(&pair, 0));
        gateway_pair_close(&pair);
    }
}

/* ---- every reason is given by something ---- */

#define SOURCE_BYTES_MAX 400000

static bool is_given[REASON_COUNT];
static char names[REASON_COUNT][40];

/* From the header, which has them in their order. */
static void read_names(void)
{
    FILE *file = fopen(TEST_SOURCES "/src/reasons/reason.h", "r");
    char line[200];
    size_t count = 0;

    CHECK(file != NULL);
    while (count < REASON_COUNT && fgets(line, sizeof(line), file) != NULL) {
        if (sscanf(line, "    %39[A-Z_0-9],", names[count]) == 1 &&
            strncmp(names[count], "REASON_", 7) == 0) {
            count++;
        }
    }
    (void)fclose(file);
    CHECK_EQUAL(count, REASON_COUNT);
    CHECK_TEXT(names[REASON_COUNT - 1], "REASON_TOKEN");
}

/* As a word of its own: REASON_CERTIFICATE is not given where REASON_CERTIFICATE_NAME is. */
static bool has_word(const char *text, const char *word)
{
    size_t length = strlen(word);

    for (const char *at = strstr(text, word); at != NULL; at = strstr(at + length, word)) {
        if (strchr("_ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", at[length]) == NULL) {
            return true;
        }
    }
    return false;
}

static int look_into(const char *path, const struct stat *status, int kind)
{
    static char text[SOURCE_BYTES_MAX + 1];
    size_t length = strlen(path);

    (void)status;
    if (kind != FTW_F || length < 2 || strcmp(path + length - 2, ".c") != 0 ||
        strstr(path, "_test.c") != NULL || strstr(path, "/reasons/") != NULL) {
        return 0;
    }
    FILE *file = fopen(path, "r");

    CHECK(file != NULL);
    length = fread(text, 1, SOURCE_BYTES_MAX, file);
    CHECK(length < SOURCE_BYTES_MAX);
    text[length] = '\0';
    (void)fclose(file);
    for (size_t i = 0; i < REASON_COUNT; i++) {
        is_given[i] = is_given[i] || has_word(text, names[i]) ||
                      strstr(text, reason_code((enum reason)i)) != NULL;
    }
    return 0;
}

TEST(every_reason_of_the_catalogue_is_given_somewhere)
{
    read_names();
    CHECK(ftw(TEST_SOURCES "/src", look_into, 16) == 0);
    for (size_t i = 0; i < REASON_COUNT; i++) {
        if (!is_given[i]) {
            fail_msg("%s %s is given by nothing", reason_code((enum reason)i), names[i]);
        }
    }
}

/* A host behind us whose network nobody named. */
TEST(packets_that_belong_to_no_site_are_a_problem_of_the_gateway)
{
    const struct gateway_pair_clear stray = {address_ipv4(0x0a630005), address_ipv4(0x0a020001), 17,
                                             4000, 4001};
    struct status_problem problems[4];

    gateway_pair_open(&pair, 950);
    gateway_pair_write_config(&pair, 1, "start wait");
    gateway_pair_start(&pair, 0);
    gateway_pair_start(&pair, 1);
    CHECK(gateway_pair_up(&pair, 5000));
    CHECK_EQUAL(gateway_problems(pair.nodes[0].gateway, pair.now_ms, problems, 4), 0);
    for (unsigned i = 0; i < 30; i++) {
        gateway_pair_offer_clear(&pair, 0, &stray);
        gateway_pair_run(&pair, 2000);
    }
    CHECK_EQUAL(gateway_problems(pair.nodes[0].gateway, pair.now_ms, problems, 4), 1);
    CHECK_EQUAL(problems[0].reason, REASON_POLICY_DROP);
    CHECK_TEXT(problems[0].code, "SEK-D005");
    CHECK_TEXT(problems[0].site, "");
    CHECK(strstr(problems[0].sentence, "10.99.0.5") != NULL);
    /* It ends by itself. */
    gateway_pair_run(&pair, 700000);
    CHECK_EQUAL(gateway_problems(pair.nodes[0].gateway, pair.now_ms, problems, 4), 0);
    gateway_pair_close(&pair);
}
