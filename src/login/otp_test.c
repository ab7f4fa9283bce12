/* One-time passwords: the tables of RFC 4226 and RFC 6238, windows, no second use, base32. */
#include "login/otp.h"

#include "base/secret.h"
#include "tests/support/test.h"

static struct otp otp_with(enum otp_kind kind, enum otp_hash hash, const char *secret,
                           uint8_t digits)
{
    struct otp otp = {.kind = (uint8_t)kind,
                      .hash = (uint8_t)hash,
                      .digits = digits,
                      .period_s = 30,
                      .secret_length = (uint8_t)strlen(secret)};

    memcpy(otp.secret, secret, strlen(secret));
    return otp;
}

#define TWENTY "12345678901234567890"

TEST(the_codes_of_rfc_4226_appendix_d)
{
    static const char *const codes[] = {"755224", "287082", "359152", "969429", "338314",
                                        "254676", "287922", "162583", "399871", "520489"};
    struct otp otp = otp_with(OTP_HOTP, OTP_SHA1, TWENTY, 6);

    for (uint64_t i = 0; i < ARRAY_LENGTH(codes); i++) {
        char code[OTP_DIGITS_MAX + 1];
        uint64_t used;

        CHECK(otp_code(&otp, i, code));
        CHECK_TEXT(code, codes[i]);
        CHECK(otp_match(&otp, slice_of_text(codes[i]), 0, 0, &used));
        CHECK_EQUAL(used, i);
        CHECK(!otp_match(&otp, slice_of_text(codes[i]), i + 1, 0, &used));
    }
}

/* RFC 6238 appendix B; for SHA-256 and SHA-512 the secret is as long as the hash, as in the program
 * of appendix A. */
TEST(the_codes_of_rfc_6238_appendix_b)
{
    static const struct {
        uint64_t wall_s;
        const char *codes[3];
    } cases[] = {
        {59, {"94287082", "46119246", "90693936"}},
        {1111111109, {"07081804", "68084774", "25091201"}},
        {1111111111, {"14050471", "67062674", "99943326"}},
        {1234567890, {"89005924", "91819424", "93441116"}},
        {2000000000, {"69279037", "90698825", "38618901"}},
        {20000000000, {"65353130", "77737706", "47863826"}},
    };
    static const char *const secrets[] = {TWENTY, TWENTY "123456789012",
                                          TWENTY TWENTY TWENTY "1234"};

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        for (int hash = 0; hash < 3; hash++) {
            struct otp otp = otp_with(OTP_TOTP, (enum otp_hash)hash, secrets[hash], 8);
            char code[OTP_DIGITS_MAX + 1];
            uint64_t used;

            CHECK(otp_code(&otp, cases[i].wall_s / 30, code));
            CHECK_TEXT(code, cases[i].codes[hash]);
            CHECK(otp_match(&otp, slice_of_text(code), 0, cases[i].wall_s, &used));
            CHECK_EQUAL(used, cases[i].wall_s / 30);
        }
    }
}

TEST(a_code_holds_one_step_early_and_one_step_late_and_no_longer)
{
    struct otp otp = otp_with(OTP_TOTP, OTP_SHA1, TWENTY, 8);
    struct slice code = SLICE_TEXT("07081804"); /* of 1111111109, step 37037036 */
    uint64_t first = UINT64_C(37037036) * 30;
    uint64_t used;

    CHECK(!otp_match(&otp, code, 0, first - 31, &used));
    CHECK(otp_match(&otp, code, 0, first - 30, &used));
    CHECK(otp_match(&otp, code, 0, first + 59, &used));
    CHECK(!otp_match(&otp, code, 0, first + 60, &used));
}

TEST(a_code_is_taken_once_and_no_older_one_after_it)
{
    struct otp otp = otp_with(OTP_TOTP, OTP_SHA1, TWENTY, 8);
    uint64_t used = 0;

    CHECK(otp_match(&otp, SLICE_TEXT("14050471"), 0, 1111111111, &used));
    CHECK(!otp_match(&otp, SLICE_TEXT("14050471"), used + 1, 1111111111, &used));
    CHECK(!otp_match(&otp, SLICE_TEXT("07081804"), used + 1, 1111111111, &used));
}

TEST(the_counter_of_a_token_may_run_ahead_by_nine)
{
    struct otp otp = otp_with(OTP_HOTP, OTP_SHA1, TWENTY, 6);
    uint64_t used = 0;

    CHECK(otp_match(&otp, SLICE_TEXT("520489"), 0, 0, &used));
    CHECK_EQUAL(used, 9);
    char tenth[OTP_DIGITS_MAX + 1];

    CHECK(otp_code(&otp, 10, tenth));
    CHECK(!otp_match(&otp, slice_of_text(tenth), 0, 0, &used));
    CHECK(otp_match(&otp, slice_of_text(tenth), 1, 0, &used));
}

TEST(what_is_no_code_is_wrong)
{
    static const char *const wrong[] = {"", "75522", "7552240", "75522x", " 755224", "755225"};
    struct otp otp = otp_with(OTP_HOTP, OTP_SHA1, TWENTY, 6);
    uint64_t used;

    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        CHECK(!otp_match(&otp, slice_of_text(wrong[i]), 0, 0, &used));
    }
}

/* RFC 4648 10. */
TEST(base32_is_read_and_written_as_in_the_rfc)
{
    static const char *const cases[][2] = {
        {"f", "MY"},         {"fo", "MZXQ"},        {"foo", "MZXW6"},
        {"foob", "MZXW6YQ"}, {"fooba", "MZXW6YTB"}, {"foobar", "MZXW6YTBOI"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char words[32];
        uint8_t bytes[16];
        size_t length;
        struct text t = text_over(words, sizeof(words));

        otp_base32_add(&t, slice_of_text(cases[i][0]));
        CHECK_TEXT(words, cases[i][1]);
        CHECK(otp_base32_parse(slice_of_text(words), bytes, sizeof(bytes), &length));
        CHECK(slice_equal_text((struct slice){bytes, length}, cases[i][0]));
        CHECK(!otp_base32_parse(slice_of_text(words), bytes, length - 1, &length));
    }
    uint8_t bytes[16];
    size_t length;

    CHECK(otp_base32_parse(SLICE_TEXT("mzxw6"), bytes, sizeof(bytes), &length));
    CHECK(!otp_base32_parse(SLICE_TEXT("MZ1W6"), bytes, sizeof(bytes), &length));
    CHECK(!otp_base32_parse(SLICE_TEXT("MZ"), bytes, sizeof(bytes), &length));
    CHECK(!otp_base32_parse(SLICE_TEXT("M"), bytes, sizeof(bytes), &length));
    CHECK(!otp_base32_parse(SLICE_TEXT("MY======"), bytes, sizeof(bytes), &length));
}

TEST(the_uri_says_all_that_an_app_needs)
{
    struct otp otp = otp_with(OTP_TOTP, OTP_SHA1, "foobarfoobar", 6);
    char words[256];
    struct text t = text_over(words, sizeof(words));

    otp_add_uri(&t, &otp, SLICE_TEXT("vpn.example.jp"), SLICE_TEXT("alice@corp jp"));
    CHECK_TEXT(words, "otpauth://totp/vpn.example.jp:alice%40corp%20jp?secret=MZXW6YTBOJTG633CMFZA"
                      "&issuer=vpn.example.jp&algorithm=SHA1&digits=6&period=30");
}
