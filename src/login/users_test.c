/* The file of users: what its lines mean, what is told about wrong ones, editing, nothing secret in
 * what is told. */
#include "login/users.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/secret.h"
#include "tests/support/test.h"

/* The verifier of RFC 7677's example password is in crypto's test; here any will do. */
#define VERIFIER                                                                                   \
    "$scram$sha-256$4096$W22ZaJ0SNY7soEsUEjb6gQ==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define SECRET "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ" /* 12345678901234567890 */

static const uint8_t hash_key[16] = {7};

static void read_good(struct users *users, const char *text)
{
    char words[4096];
    struct text out = text_over(words, sizeof(words));

    users_init(users, hash_key);
    if (!users_read(users, slice_of_text(text))) {
        users_add_errors(users, "users.conf", &out);
        fail_msg("%s", words);
    }
}

TEST(a_line_says_all_of_a_user)
{
    struct users users;

    read_good(&users, "# our users\n"
                      "\n"
                      "alice\tstaff,admins  " VERIFIER "   # boss\r\n"
                      "bob - - disabled\n"
                      "carol@corp.jp staff " VERIFIER " totp " SECRET
                      " digits 8 period 60 hash sha256 address 10.9.0.7\n"
                      "dave - - hotp " SECRET " address 2001:db8::7");
    CHECK_EQUAL(users.count, 4);
    const struct user *alice = users_find(&users, SLICE_TEXT("alice"));

    CHECK(alice != NULL && alice->has_verifier && !alice->disabled);
    CHECK_EQUAL(alice->verifier.rounds, 4096);
    CHECK(slice_equal_text(alice->groups, "staff,admins"));
    CHECK_EQUAL(alice->otp.kind, OTP_NONE);
    CHECK(address_is_unset(&alice->address));
    const struct user *bob = users_find(&users, SLICE_TEXT("bob"));

    CHECK(bob != NULL && !bob->has_verifier && bob->disabled && bob->groups.length == 0);
    const struct user *carol = users_find(&users, SLICE_TEXT("carol@corp.jp"));

    CHECK(carol != NULL && carol->otp.kind == OTP_TOTP && carol->otp.digits == 8);
    CHECK(carol->otp.period_s == 60 && carol->otp.hash == OTP_SHA256);
    CHECK_BYTES(carol->otp.secret, "12345678901234567890", 20);
    CHECK_EQUAL(carol->address.bytes[3], 7);
    const struct user *dave = users_find(&users, SLICE_TEXT("dave"));

    CHECK(dave != NULL && dave->otp.kind == OTP_HOTP && dave->address.family == FAMILY_IPV6);
    CHECK(users_find(&users, SLICE_TEXT("Alice")) == NULL);
    CHECK(users_find(&users, SLICE_TEXT("")) == NULL);
    users_fini(&users);
    users_fini(&users);
}

TEST(every_mistake_is_told_with_its_place)
{
    static const struct {
        const char *line, *place, *told;
    } cases[] = {
        {"alice", "1:1:", "a user has a name, groups and a verifier"},
        {"alice staff", "1:7:", "a user has a name, groups and a verifier"},
        {"-alice staff -", "1:1:", "no name of a user"},
        {"a,b staff -", "1:1:", "no name of a user"},
        {"alice staff, -", "1:7:", "behind a comma stands a group"},
        {"alice a,,b -", "1:7:", "no list of groups"},
        {"alice st\xc3\xa4 -", "1:7:", "no list of groups"},
        {"alice a,b,c,d,e,f,g,h,i -", "1:7:", "a user has 8 groups at most"},
        {"alice staff wonder", "1:13:", "no verifier"},
        {"alice staff $scram$sha-256$1$AAAA$AAAA", "1:13:", "no verifier"},
        {"alice staff - enabled", "1:15:", "nothing of a user is called so"},
        {"alice staff - totp", "1:15:", "'totp' has a word behind it"},
        {"alice staff - totp 12345678", "1:20:", "base32"},
        {"alice staff - totp MZXW6", "1:20:", "of 16 octets or more"},
        {"alice staff - totp " SECRET " hotp " SECRET, "1:53:", "this is said already"},
        {"alice staff - disabled disabled", "1:24:", "this is said already"},
        {"alice staff - digits 8", "1:1:", "belong to totp or hotp"},
        {"alice staff - totp " SECRET " digits 9", "1:60:", "a number from 6 to 8"},
        {"alice staff - totp " SECRET " digits 99999999999", "1:60:", "a number from 6 to 8"},
        {"alice staff - totp " SECRET " period 0", "1:60:", "a number from 10 to 300"},
        {"alice staff - totp " SECRET " hash md5", "1:58:", "no hash"},
        {"alice staff - address 10.9.0.0/24", "1:23:", "not the address of one client"},
        {"alice staff - address 0.0.0.0", "1:23:", "not the address of one client"},
        {"a - -\nb - -\na - -", "3:1:", "this user is there already"},
        {"alice staff -\x01", "1:1:", "no text"},
        {"a b c d e f g h i j k l m n o p q r s t u v w x y z", "1:49:", "too many words"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct users users;
        char words[4096];
        struct text out = text_over(words, sizeof(words));

        users_init(&users, hash_key);
        CHECK(!users_read(&users, slice_of_text(cases[i].line)));
        users_add_errors(&users, "u", &out);
        if (strstr(words, cases[i].told) == NULL ||
            strncmp(words + 2, cases[i].place, strlen(cases[i].place)) != 0) {
            fail_msg("%s: %s", cases[i].line, words);
        }
        users_fini(&users);
    }
}

TEST(the_caret_stands_under_the_word_and_no_secret_is_shown)
{
    struct users users;
    char words[4096];
    struct text out = text_over(words, sizeof(words));

    users_init(&users, hash_key);
    CHECK(!users_read(&users, SLICE_TEXT("alice staff " VERIFIER " totp " SECRET " addres 1\n")));
    users_add_errors(&users, "users.conf", &out);
    CHECK_TEXT(words, "users.conf:1:141: error: nothing of a user is called so\n"
                      "    1 | alice staff *** totp *** addres 1\n"
                      "      |                          ^^^^^^  totp, hotp, digits, period, hash, "
                      "address and disabled\n");
    users_fini(&users);
}

TEST(a_line_that_is_too_long_and_too_many_errors_are_told_and_bounded)
{
    struct users users;
    char text[USERS_LINE_BYTES_MAX + 2];
    char words[16384];
    struct text out = text_over(words, sizeof(words));

    memset(text, 'a', sizeof(text));
    users_init(&users, hash_key);
    CHECK(!users_read(&users, SLICE_OF(text)));
    CHECK_EQUAL(users.error_count, 1);
    users_fini(&users);
    for (size_t i = 0; i < 200; i++) {
        memcpy(text + 4 * i, "abc\n", 4);
    }
    users_init(&users, hash_key);
    CHECK(!users_read(&users, (struct slice){(uint8_t *)text, 800}));
    CHECK_EQUAL(users.error_count, 200);
    users_add_errors(&users, "u", &out);
    CHECK(strstr(words, "and 180 more.") != NULL);
    users_fini(&users);
}

TEST(a_line_is_written_as_it_was_read)
{
    static const char *const lines[] = {
        "alice staff,admins " VERIFIER "\n",
        "bob - - disabled\n",
        "carol staff " VERIFIER " totp " SECRET " digits 8 period 60 hash sha512 address "
        "10.9.0.7 disabled\n",
        "dave - - hotp " SECRET "\n",
    };

    for (size_t i = 0; i < ARRAY_LENGTH(lines); i++) {
        struct users users;
        char words[1024];
        struct text out = text_over(words, sizeof(words));

        read_good(&users, lines[i]);
        users_add_line(&out, &users.list[0]);
        CHECK_TEXT(words, lines[i]);
        users_fini(&users);
    }
}

static void check_edit(const char *before, const char *name, const char *line, const char *after)
{
    struct users users;
    size_t length;

    read_good(&users, before);
    uint8_t *text =
        users_edit(&users, users_find(&users, slice_of_text(name)), slice_of_text(line), &length);

    CHECK(slice_equal_text((struct slice){text, length}, after));
    free(text);
    users_fini(&users);
}

TEST(editing_leaves_all_other_lines_alone)
{
    check_edit("", "alice", "alice - -\n", "alice - -\n");
    check_edit("# x\na - -", "b", "b - -\n", "# x\na - -\nb - -\n");
    check_edit("# x\na - - # y\n\nb - -\n", "a", "a g -\n", "# x\na g -\n\nb - -\n");
    check_edit("a - -\nb - -\nc - -", "b", "", "a - -\nc - -");
    check_edit("a - -\nb - -", "b", "b g -\n", "a - -\nb g -\n");
}

TEST(groups_come_in_their_order)
{
    struct login_answer answer = {0};

    users_split_groups(SLICE_TEXT("staff,admins"), &answer);
    CHECK_EQUAL(answer.group_count, 2);
    CHECK_TEXT(answer.groups[0], "staff");
    CHECK_TEXT(answer.groups[1], "admins");
}

TEST(ten_thousand_users_are_found)
{
    size_t capacity = 10000 * 40;
    char *bytes = malloc(capacity);
    struct text text = text_over(bytes, capacity);
    struct users users;

    for (int i = 0; i < 10000; i++) {
        text_addf(&text, "user%d staff - address 10.%d.%d.%d\n", i, 1 + i / 65536, i / 256 % 256,
                  i % 256);
    }
    CHECK(!text.cut);
    read_good(&users, bytes);
    CHECK_EQUAL(users.count, 10000);
    for (int i = 0; i < 10000; i++) {
        char name[16];

        snprintf(name, sizeof(name), "user%d", i);
        const struct user *user = users_find(&users, slice_of_text(name));
        CHECK(user != NULL && user->address.bytes[3] == i % 256);
    }
    users_fini(&users);
    free(bytes);
}
