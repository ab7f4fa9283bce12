/* Decides nothing: the words of questions and answers. */
#include "login/login.h"

#include <string.h>

bool login_question_copy(struct login_question *to, const struct login_question *from)
{
    *to = *from;
    to->password = (struct secret){0};
    return secret_copy(&to->password, &from->password);
}

void login_question_fini(struct login_question *question)
{
    secret_wipe(&question->password);
    wipe(question, sizeof(*question));
}

struct login_answer login_answer_of(enum login_verdict verdict, enum login_reason reason,
                                    const char *source)
{
    struct login_answer answer = {.verdict = verdict, .reason = reason};
    struct text out = text_over(answer.source, sizeof(answer.source));

    text_add(&out, source);
    return answer;
}

const char *login_reason_text(enum login_reason reason)
{
    switch (reason) {
    case LOGIN_REASON_NONE:
        return "nothing is wrong";
    case LOGIN_REASON_PASSWORD:
        return "the user is unknown or the password is wrong";
    case LOGIN_REASON_DISABLED:
        return "the user is disabled";
    case LOGIN_REASON_CODE:
        return "the one-time password is wrong or was used already";
    case LOGIN_REASON_NO_SECOND_FACTOR:
        return "a one-time password is wanted and the user has none";
    case LOGIN_REASON_THROTTLED:
        return "too many wrong tries";
    case LOGIN_REASON_METHOD:
        return "CHAP cannot be checked against a one-way verifier";
    case LOGIN_REASON_STALE:
        return "the question that this answers is not known any more";
    case LOGIN_REASON_STORE:
        return "the users could not be read or written";
    case LOGIN_REASON_RADIUS_REJECTED:
        return "the RADIUS server refused";
    case LOGIN_REASON_RADIUS_SILENT:
        return "no RADIUS server answers";
    case LOGIN_REASON_RADIUS_FORGED:
        return "what the RADIUS server answers is not authentic";
    case LOGIN_REASON_RADIUS_UNSIGNED:
        return "the RADIUS server does not sign its answers";
    case LOGIN_REASON_RADIUS_SECRET:
        return "the secret of the RADIUS server cannot be read";
    case LOGIN_REASON_RADIUS_REPLY:
        return "the answer of the RADIUS server cannot be followed";
    case LOGIN_REASON_BUSY:
        return "too many logins are under way";
    case LOGIN_REASON_COUNT:
        break;
    }
    return "unknown";
}

const char *login_verdict_name(enum login_verdict verdict)
{
    switch (verdict) {
    case LOGIN_ACCEPTED:
        return "accepted";
    case LOGIN_REFUSED:
        return "refused";
    case LOGIN_CHALLENGED:
        return "more is wanted";
    case LOGIN_UNAVAILABLE:
        return "nobody could tell";
    }
    return "unknown";
}
