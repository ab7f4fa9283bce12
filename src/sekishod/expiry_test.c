/* When certificates that end are told of, once for each step. */
#include "sekishod/expiry.h"

#include <stdio.h>
#include <string.h>

#include "crypto/certificate_testbed.h"
#include "tests/support/test.h"

static unsigned lines;
static char last_line[512];

static void hear(void *context, enum log_level level, const char *about, const char *line)
{
    (void)context;
    (void)level;
    CHECK_TEXT(about, "certificates");
    lines++;
    snprintf(last_line, sizeof(last_line), "%s", line);
}

TEST(a_certificate_that_ends_is_told_of_at_each_step_once)
{
    struct private_key *key = private_key_make(KEY_P256, 0);
    struct testbed_order order = testbed_gateway;
    struct testbed_order root_order = testbed_root;

    CHECK(key != NULL);
    order.ends_s = TESTBED_NOW_S + 100 * (int64_t)TESTBED_DAY_S;
    root_order.ends_s = TESTBED_NOW_S + 400 * (int64_t)TESTBED_DAY_S;
    struct certificate *root = testbed_issue(&root_order, key, NULL, NULL);
    struct certificate *own = testbed_issue(&order, key, root, key);
    struct credential *credential = testbed_credential(key, &own, 1);
    struct trust *trust = testbed_trust(root);
    struct log_sink log = {hear, NULL};
    static struct expiry expiry, before;
    static const struct {
        double days_before; /* its end */
        unsigned lines; /* by then */
        size_t told;
    } steps[] = {{90, 0, 0},  {31, 0, 0},  {29.9, 1, 1}, {20, 1, 1},   {6.9, 2, 1},
                 {6.8, 2, 1}, {0.9, 3, 1}, {0.1, 3, 1},  {-0.1, 4, 1}, {-50, 4, 1}};

    lines = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(steps); i++) {
        int64_t now_s = order.ends_s - (int64_t)(steps[i].days_before * TESTBED_DAY_S);

        before = expiry;
        expiry_begin(&expiry);
        expiry_add(&expiry, "osaka", credential, trust, now_s);
        expiry_add(&expiry, "kobe", credential, trust, now_s); /* the same one */
        expiry_end(&expiry, &before, &log, now_s);
        CHECK_EQUAL(expiry.count, steps[i].told);
        CHECK_EQUAL(lines, steps[i].lines);
        if (i == 4) {
            CHECK(strstr(last_line, "(site osaka) expires in 6 days, on 2027-") != NULL);
        }
    }
    CHECK(strstr(last_line, "expired on 2027-") != NULL);
    /* The soonest first, whatever comes first. */
    int64_t late_s = root_order.ends_s - TESTBED_DAY_S;

    expiry_begin(&expiry);
    expiry_add(&expiry, "osaka", credential, trust, late_s);
    CHECK_EQUAL(expiry.count, 2);
    CHECK(expiry.entries[0].ends_s == order.ends_s);
    credential_free(credential);
    trust_free(trust);
    certificate_free(own);
    certificate_free(root);
    private_key_free(key);
}

TEST(what_our_authority_issued_for_others_is_told_of_until_it_is_renewed)
{
    struct issued record = {.serial = "0a0b",
                            .begins_s = TESTBED_NOW_S - 90 * (int64_t)TESTBED_DAY_S,
                            .ends_s = TESTBED_NOW_S + 10 * (int64_t)TESTBED_DAY_S,
                            .names = "osaka.example,192.0.2.1"};
    static struct expiry expiry;

    expiry_begin(&expiry);
    expiry_add_issued(&expiry, &record, TESTBED_NOW_S);
    CHECK_EQUAL(expiry.count, 1);
    CHECK(strstr(expiry.entries[0].sentence, "the certificate of osaka.example, which this machine "
                                             "issued, expires in 10 days") != NULL);
    CHECK(strstr(expiry.entries[0].next, "sekisho ca renew osaka.example -o FILE.pem") != NULL);
    /* Another name that begins like it is another one. */
    CHECK(text_copy(record.names, sizeof(record.names), slice_of_text("osaka.example.jp")));
    record.ends_s = TESTBED_NOW_S + 200 * (int64_t)TESTBED_DAY_S;
    expiry_add_issued(&expiry, &record, TESTBED_NOW_S);
    CHECK_EQUAL(expiry.count, 1);
    CHECK(text_copy(record.names, sizeof(record.names), slice_of_text("osaka.example")));
    expiry_add_issued(&expiry, &record, TESTBED_NOW_S);
    CHECK_EQUAL(expiry.count, 0);
    record.revoked_s = TESTBED_NOW_S;
    record.ends_s = TESTBED_NOW_S;
    expiry_add_issued(&expiry, &record, TESTBED_NOW_S);
    CHECK_EQUAL(expiry.count, 0);
}

TEST(of_a_short_certificate_nobody_hears_too_early)
{
    struct issued record = {.serial = "0a0b",
                            .begins_s = TESTBED_NOW_S,
                            .ends_s = TESTBED_NOW_S + 3 * (int64_t)TESTBED_DAY_S,
                            .names = "osaka.example"};
    static struct expiry expiry;

    for (int64_t hour = 0; hour < 72; hour++) {
        int64_t now_s = TESTBED_NOW_S + hour * 3600;

        expiry_begin(&expiry);
        expiry_add_issued(&expiry, &record, now_s);
        CHECK_EQUAL(expiry.count, hour < 48 ? 0 : 1);
        CHECK(hour < 48 || issued_is_due(&record, now_s));
    }
}
