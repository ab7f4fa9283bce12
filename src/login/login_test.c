/* Questions and answers as values. */
#include "login/login.h"

#include <string.h>

#include "tests/support/test.h"

TEST(a_copied_question_has_a_password_of_its_own)
{
    struct login_question question = {.kind = LOGIN_PASSWORD, .user = "alice"};
    struct login_question copy;

    CHECK(secret_set(&question.password, SLICE_TEXT("wonder")));
    CHECK(login_question_copy(&copy, &question));
    login_question_fini(&question);
    login_question_fini(&question);
    CHECK(strcmp(copy.user, "alice") == 0);
    CHECK(slice_equal_text(secret_slice(&copy.password), "wonder"));
    login_question_fini(&copy);
    CHECK(copy.user[0] == 0);
}

TEST(every_reason_has_a_sentence_of_its_own)
{
    for (int i = 0; i < LOGIN_REASON_COUNT; i++) {
        CHECK(strcmp(login_reason_text((enum login_reason)i), "unknown") != 0);
        for (int k = 0; k < i; k++) {
            CHECK(strcmp(login_reason_text((enum login_reason)i),
                         login_reason_text((enum login_reason)k)) != 0);
        }
    }
}

TEST(an_answer_names_its_source_and_nothing_else)
{
    struct login_answer answer =
        login_answer_of(LOGIN_REFUSED, LOGIN_REASON_PASSWORD, "radius 10.1.0.20");

    CHECK(answer.verdict == LOGIN_REFUSED);
    CHECK(strcmp(answer.source, "radius 10.1.0.20") == 0);
    CHECK(answer.user[0] == 0 && answer.group_count == 0 && answer.state.length == 0);
}
