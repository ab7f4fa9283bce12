/* Which question is asked, and who answers it. */
#include "management/management.h"

#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "management/answers.h"

struct answerer {
    const char *verb;
    json_t *(*answer)(const struct question *question);
};

static const struct answerer answerers[] = {
    {"status", answer_status},
    {"explain", answer_explain},
    {"up", answer_order},
    {"down", answer_order},
    {"restart", answer_order},
    {"apply", answer_apply},
    {"check", answer_check},
    {"sas", answer_sas},
    {"drops", answer_drops},
    {"log", answer_log},
    {"trace", answer_trace},
    {"show", answer_show},
    {"pools", answer_pools},
    {"sessions", answer_sessions},
    {"version", answer_version},
    {"capture", answer_capture},
    {"certificates", answer_certificates},
    {"users", answer_users},
};

json_t *reply_error(enum reply_exit exit_code, const char *next, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    json_t *sentence = json_vsprintf(format, arguments);
    va_end(arguments);
    json_t *reply =
        json_pack("{s:i, s:i, s:o}", "version", MANAGEMENT_SCHEMA_VERSION, "exit", (int)exit_code,
                  "error", sentence == NULL ? json_string("(words that are not UTF-8)") : sentence);

    if (next != NULL) {
        json_object_set_new(reply, "next", json_string(next));
    }
    return reply;
}

json_t *reply_answer(enum reply_exit exit_code, json_t *answer)
{
    json_object_set_new(answer, "version", json_integer(MANAGEMENT_SCHEMA_VERSION));
    return json_pack("{s:i, s:o}", "exit", (int)exit_code, "answer", answer);
}

static bool option(const json_t *options, const char *name)
{
    return json_is_true(json_object_get(options, name));
}

/* 0 when it is not there, or no number greater than that. */
static uint64_t number(const json_t *options, const char *name)
{
    json_int_t value = json_integer_value(json_object_get(options, name));

    return value > 0 ? (uint64_t)value : 0;
}

/* False when the request is not of the form that the header shows. */
static bool read_question(const json_t *request, struct question *out)
{
    const json_t *words = json_object_get(request, "words");
    const json_t *options = json_object_get(request, "options");

    out->verb = json_string_value(json_object_get(request, "verb"));
    if (out->verb == NULL || json_array_size(words) > QUESTION_WORDS_MAX) {
        return false;
    }
    for (size_t i = 0; i < json_array_size(words); i++) {
        const char *word = json_string_value(json_array_get(words, i));

        if (word == NULL) {
            return false;
        }
        out->words[out->word_count++] = word;
    }
    out->verbose = option(options, "verbose");
    out->all = option(options, "all");
    out->dry_run = option(options, "dry_run");
    out->rekey = option(options, "rekey");
    out->plain = option(options, "plain");
    out->both = option(options, "both");
    out->keys = option(options, "keys");
    out->after = number(options, "after");
    out->count = number(options, "count");
    out->password = json_string_value(json_object_get(options, "password"));
    out->service = json_string_value(json_object_get(options, "service"));
    out->state = json_string_value(json_object_get(options, "state"));
    return true;
}

static json_t *reply_to(const struct question *question)
{
    for (size_t i = 0; i < ARRAY_LENGTH(answerers); i++) {
        if (strcmp(answerers[i].verb, question->verb) == 0) {
            return answerers[i].answer(question);
        }
    }
    return reply_error(REPLY_USAGE,
                       "Is the command newer than the daemon? Compare: sekisho version",
                       "the daemon does not know the verb '%s'", question->verb);
}

char *management_answer(const struct management *management, struct slice request, uint64_t now_ms)
{
    struct question question = {.management = management, .now_ms = now_ms};
    json_error_t error;
    /* The nesting of a request is shallow; jansson bounds it at 2,048. */
    json_t *json =
        json_loadb((const char *)request.data, request.length, JSON_REJECT_DUPLICATES, &error);
    json_t *reply;

    if (!json_is_object(json)) {
        reply = reply_error(REPLY_USAGE, NULL, "the request is not a JSON object");
    } else if (!read_question(json, &question)) {
        reply = reply_error(REPLY_USAGE, NULL,
                            "the request has no verb, or its words are not a short list of texts");
    } else {
        reply = reply_to(&question);
    }
    char *text = json_dumps(reply, JSON_COMPACT | JSON_PRESERVE_ORDER);

    if (question.password != NULL) {
        wipe((char *)(uintptr_t)question.password, strlen(question.password));
    }
    json_decref(reply);
    json_decref(json);
    return text;
}
