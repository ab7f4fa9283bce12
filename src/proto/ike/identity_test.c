/* Identities: from words, compared, shown. */
#include "proto/ike/identity.h"

#include "tests/support/test.h"
#include "wire/ikev2.h"

static struct ike_identity of(const char *word)
{
    struct ike_identity id;

    CHECK(ike_identity_parse(slice_of_text(word), &id));
    return id;
}

static void check_parsed(const char *word, uint8_t type, const void *data, size_t length)
{
    struct ike_identity id = of(word);

    CHECK_EQUAL(id.type, type);
    CHECK_EQUAL(id.length, length);
    CHECK_BYTES(id.data, data, length);
}

TEST(words_become_identities)
{
    static const uint8_t v6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};

    check_parsed("203.0.113.1", IKEV2_ID_IPV4_ADDR, "\xcb\x00\x71\x01", 4);
    check_parsed("2001:db8::1", IKEV2_ID_IPV6_ADDR, v6, 16);
    check_parsed("tokyo.example.jp", IKEV2_ID_FQDN, "tokyo.example.jp", 16);
    check_parsed("@tokyo", IKEV2_ID_FQDN, "tokyo", 5);
    check_parsed("carol@example.jp", IKEV2_ID_RFC822_ADDR, "carol@example.jp", 16);
    check_parsed("@#00ff10", IKEV2_ID_KEY_ID, "\x00\xff\x10", 3);
    check_parsed("keyid:group", IKEV2_ID_KEY_ID, "group", 5);
    check_parsed("203.0.113.999", IKEV2_ID_FQDN, "203.0.113.999", 13);
}

TEST(words_that_are_no_identity_are_refused)
{
    static const char *const words[] = {"", "@", "@#", "@#0", "@#zz", "keyid:"};
    char long_word[IKE_IDENTITY_BYTES_MAX + 2];
    struct ike_identity id;

    for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
        CHECK(!ike_identity_parse(slice_of_text(words[i]), &id));
        CHECK_EQUAL(id.type, 0);
    }
    memset(long_word, 'a', sizeof(long_word) - 1);
    long_word[sizeof(long_word) - 1] = '\0';
    CHECK(!ike_identity_parse(slice_of_text(long_word), &id));
    long_word[IKE_IDENTITY_BYTES_MAX] = '\0';
    CHECK(ike_identity_parse(slice_of_text(long_word), &id));
}

TEST(identities_of_every_length_are_taken_or_refused_whole)
{
    static uint8_t octets[65536];
    struct ike_identity id;

    for (size_t length = 0; length <= sizeof(octets); length++) {
        struct slice data = {octets, length};

        CHECK_EQUAL(ike_identity_set(&id, IKEV2_ID_KEY_ID, data),
                    length >= 1 && length <= IKE_IDENTITY_BYTES_MAX);
        CHECK_EQUAL(ike_identity_set(&id, IKEV2_ID_IPV4_ADDR, data), length == 4);
        CHECK_EQUAL(ike_identity_set(&id, IKEV2_ID_IPV6_ADDR, data), length == 16);
    }
    CHECK(!ike_identity_set(&id, 0, SLICE_TEXT("x")));
}

static bool match(const char *expected, const char *said, bool strict)
{
    struct ike_identity a = of(expected);
    struct ike_identity b = of(said);

    CHECK_EQUAL(ike_identity_matches(&a, &b, strict), ike_identity_matches(&b, &a, strict));
    return ike_identity_matches(&a, &b, strict);
}

TEST(names_match_without_regard_to_case_and_final_dot)
{
    CHECK(match("tokyo.example.jp", "TOKYO.example.JP.", true));
    CHECK(match("carol@example.jp", "Carol@EXAMPLE.jp", true));
    CHECK(!match("tokyo.example.jp", "tokyo.example.jp2", true));
    CHECK(!match("tokyo.example.jp", "tokyo.example.j", false));
    CHECK(!match("tokyo", "tokyo..", true));
    CHECK(match("203.0.113.1", "203.0.113.1", true));
    CHECK(!match("203.0.113.1", "203.0.113.2", false));
    CHECK(!match("keyid:group", "keyid:GROUP", true));
}

TEST(types_matter_only_when_strict)
{
    CHECK(match("tokyo", "keyid:tokyo", false));
    CHECK(!match("tokyo", "keyid:tokyo", true));
    CHECK(match("203.0.113.1", "@203.0.113.1", false));
    CHECK(!match("203.0.113.1", "@203.0.113.1", true));
    CHECK(match("carol@example.jp", "keyid:carol@example.jp", false));
    CHECK(match("2001:db8::1", "keyid:2001:db8::1", false));
}

TEST(a_zero_octet_does_not_end_a_name)
{
    struct ike_identity expected = of("tokyo");
    struct ike_identity said;

    CHECK(ike_identity_set(&said, IKEV2_ID_FQDN, SLICE_TEXT("tokyo\0evil")));
    CHECK(!ike_identity_matches(&expected, &said, false));
    CHECK(ike_identity_set(&said, IKEV2_ID_KEY_ID, SLICE_TEXT("tokyo\0")));
    CHECK(!ike_identity_matches(&expected, &said, false));
}

TEST(nobody_matches_nobody)
{
    struct ike_identity none = {0};
    struct ike_identity tokyo = of("tokyo");

    CHECK(!ike_identity_matches(&none, &none, false));
    CHECK(!ike_identity_matches(&none, &tokyo, false));
    CHECK(!ike_identity_matches(&tokyo, &none, false));
}

TEST(distinguished_names_match_octet_by_octet_only)
{
    struct ike_identity dn;
    struct ike_identity key_id;

    /* Shorter than any real name: the comparison looks at lengths first. */
    CHECK(ike_identity_set(&dn, IKEV2_ID_DER_ASN1_DN, SLICE_TEXT("\x30")));
    CHECK(ike_identity_set(&key_id, IKEV2_ID_KEY_ID, SLICE_TEXT("\x30")));
    CHECK(ike_identity_matches(&dn, &dn, true));
    CHECK(!ike_identity_matches(&dn, &key_id, false));
}

static void check_described(const struct ike_identity *id, const char *expected)
{
    char buffer[4 * IKE_IDENTITY_BYTES_MAX + 17];
    struct text text = text_over(buffer, sizeof(buffer));

    ike_identity_describe(id, &text);
    CHECK(!text.cut);
    CHECK_TEXT(buffer, expected);
}

TEST(identities_are_shown_escaped)
{
    struct ike_identity id = of("tokyo.example.jp");

    check_described(&id, "tokyo.example.jp");
    id = of("203.0.113.1");
    check_described(&id, "203.0.113.1");
    id = of("2001:db8::1");
    check_described(&id, "2001:db8::1");
    id = of("keyid:group");
    check_described(&id, "key id \"group\"");
    CHECK(ike_identity_set(&id, IKEV2_ID_FQDN, SLICE_TEXT("a\n\x1b[31m")));
    check_described(&id, "a\\x0a\\x1b[31m");
    CHECK(ike_identity_set(&id, IKEV2_ID_DER_ASN1_DN, SLICE_TEXT("\x30\x00")));
    check_described(&id, "id 9 3000");
    id = (struct ike_identity){0};
    check_described(&id, "nobody");
}
