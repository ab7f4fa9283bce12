/* `explain`, `trace`, `log`: why something is as it is, and what was said. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "gateway/status.h"
#include "management/answers.h"

/* jansson refuses bytes that are not UTF-8; all words here are ASCII by construction, or escaped.
 */
static json_t *words_of(const char *text)
{
    json_t *string = json_string(text);

    return string == NULL ? json_string("") : string;
}

/* 12 s, 4 min, 3 h, 12 d: as the command shows it everywhere. */
static const char *age_words(uint64_t age_ms, char out[32])
{
    uint64_t s = age_ms / 1000;

    if (s < 120) {
        snprintf(out, 32, "%llu s", (unsigned long long)s);
    } else if (s < 7200) {
        snprintf(out, 32, "%llu min", (unsigned long long)s / 60);
    } else if (s < 172800) {
        snprintf(out, 32, "%llu h", (unsigned long long)s / 3600);
    } else {
        snprintf(out, 32, "%llu d", (unsigned long long)s / 86400);
    }
    return out;
}

static void head_of(const struct status_explanation *told, uint64_t now_ms, struct text *out)
{
    uint64_t age_ms = told->site.since_ms > now_ms ? 0 : now_ms - told->site.since_ms;
    char age[32];

    text_addf(out, "%s (for %s)", told->headline, age_words(age_ms, age));
    if (told->site.state == STATUS_DOWN || told->site.state == STATUS_CONNECTING) {
        if (told->site.tries > 0) {
            text_addf(out, ", try %u", told->site.tries);
        }
        if (told->site.next_try_ms != NEVER_MS && told->site.next_try_ms > now_ms) {
            text_addf(out, ", next in %llu s",
                      (unsigned long long)(told->site.next_try_ms - now_ms + 999) / 1000);
        }
    }
}

static json_t *explanation_of(const struct status_explanation *told, uint64_t now_ms)
{
    char head_bytes[STATUS_SENTENCE_BYTES + 128];
    struct text head = text_over(head_bytes, sizeof(head_bytes));
    json_t *object = json_object();
    json_t *checks = json_array();
    json_t *causes = json_array();
    json_t *steps = json_array();

    head_of(told, now_ms, &head);
    for (size_t i = 0; i < REASON_CHECK_COUNT; i++) {
        json_array_append_new(checks, json_pack("{s:s, s:s, s:o}", "name",
                                                reason_check_name(told->checks[i].check), "result",
                                                status_check_result_name(told->checks[i].result),
                                                "text", words_of(told->checks[i].sentence)));
    }
    for (size_t i = 0; i < told->cause_count; i++) {
        json_array_append_new(causes, words_of(told->causes[i]));
    }
    for (size_t i = 0; i < told->step_count; i++) {
        json_array_append_new(steps, words_of(told->steps[i]));
    }
    json_object_set_new(object, "site", words_of(told->site.name));
    json_object_set_new(object, "state", json_string(status_state_name(told->site.state)));
    json_object_set_new(object, "head", words_of(head_bytes));
    json_object_set_new(object, "preset", words_of(told->preset));
    json_object_set_new(object, "checks", checks);
    json_object_set_new(object, "explanation", words_of(told->explanation));
    json_object_set_new(object, "causes", causes);
    json_object_set_new(object, "steps", steps);
    json_t *compared = json_array();

    for (size_t i = 0; i < told->difference_count; i++) {
        json_array_append_new(compared, words_of(told->differences[i]));
    }
    json_object_set_new(object, "compared", compared);
    json_object_set_new(object, "ours", words_of(told->ours));
    json_object_set_new(object, "theirs", words_of(told->theirs));
    json_object_set_new(object, "reason", json_string(told->site.code));
    json_object_set_new(object, "code",
                        told->site.code[0] == '\0'
                            ? json_string("")
                            : json_sprintf("%s%s%s", told->site.code,
                                           told->evidence[0] == '\0' ? "" : "   ", told->evidence));
    return object;
}

/* The newest failed attempts of strangers: a responder's only trace of a peer whose name nobody
 * expects. */
static json_t *attempts_of(const struct question *question, const char *site)
{
    json_t *array = json_array();
    struct status_attempt attempt;

    for (size_t i = 0; i < 20 && gateway_attempt_at(question->management->gateway, i, &attempt);
         i++) {
        char peer[ENDPOINT_TEXT_BYTES];

        if (site != NULL && strcmp(attempt.site, site) != 0 && attempt.site[0] != '\0') {
            continue;
        }
        json_t *object = json_object();
        uint64_t ago = attempt.at_ms > question->now_ms ? 0 : question->now_ms - attempt.at_ms;

        json_object_set_new(object, "peer", json_string(endpoint_format(&attempt.peer, peer)));
        json_object_set_new(object, "site", json_string(attempt.site));
        json_object_set_new(object, "identity", words_of(attempt.identity));
        json_object_set_new(object, "code", json_string(reason_code(attempt.reason)));
        json_object_set_new(object, "text", words_of(attempt.sentence));
        json_object_set_new(object, "initiator", json_boolean(attempt.initiator));
        json_object_set_new(object, "times", json_integer((json_int_t)attempt.times));
        json_object_set_new(object, "ago_s", json_real((double)ago / 1000));
        json_array_append_new(array, object);
    }
    return array;
}

static json_t *answer_all(const struct question *question)
{
    struct gateway *gateway = question->management->gateway;
    struct status_site site;
    json_t *sites = json_array();

    for (size_t i = 0; gateway_site_at(gateway, i, question->now_ms, &site); i++) {
        struct status_explanation told;

        if (site.reason != REASON_NONE && reason_get(site.reason)->trouble &&
            json_array_size(sites) < 100 &&
            gateway_explain(gateway, site.name, question->now_ms, &told)) {
            json_array_append_new(sites, explanation_of(&told, question->now_ms));
        }
    }
    bool none = json_array_size(sites) == 0;

    return reply_answer(REPLY_OK, json_pack("{s:o, s:o, s:s}", "sites", sites, "attempts",
                                            attempts_of(question, NULL), "text",
                                            none ? "Nothing is wrong with any site." : ""));
}

json_t *answer_explain(const struct question *question)
{
    struct status_explanation told;

    if (question->word_count == 0) {
        return answer_all(question);
    }
    if (!gateway_explain(question->management->gateway, question->words[0], question->now_ms,
                         &told)) {
        return reply_no_such_site(question, question->words[0]);
    }
    json_t *attempts = attempts_of(question, question->words[0]);
    char text_bytes[2048];
    struct text text = text_over(text_bytes, sizeof(text_bytes));
    size_t index;
    json_t *attempt;

    json_array_foreach(attempts, index, attempt)
    {
        if (index < 5) {
            double ago_ms = json_real_value(json_object_get(attempt, "ago_s")) * 1000;
            char age[32];

            text_addf(&text, "%s%s ago %s: %s",
                      index == 0 ? "\nFailed attempts, newest first:\n  " : "\n  ",
                      age_words((uint64_t)ago_ms, age),
                      json_string_value(json_object_get(attempt, "peer")),
                      json_string_value(json_object_get(attempt, "text")));
        }
    }
    if (told.site.state == STATUS_UP) {
        text_bytes[0] = '\0';
    }
    return reply_answer(REPLY_OK, json_pack("{s:[o], s:o, s:o}", "sites",
                                            explanation_of(&told, question->now_ms), "attempts",
                                            attempts, "text", words_of(text_bytes)));
}

struct ring_answer {
    json_t *entries;
    uint64_t after;
    uint64_t last;
    uint64_t now_ms;
    const char *about; /* only lines about this, NULL for all */
};

static void add_trace(void *context, const struct status_trace *trace)
{
    struct ring_answer *answer = context;
    char peer[ENDPOINT_TEXT_BYTES];

    if (trace->number <= answer->after) {
        return;
    }
    uint64_t ago = trace->at_ms > answer->now_ms ? 0 : answer->now_ms - trace->at_ms;

    answer->last = trace->number > answer->last ? trace->number : answer->last;
    endpoint_format(&trace->peer, peer);
    json_t *text = json_sprintf("%llu.%03llu s ago  %s %s\n%s", (unsigned long long)ago / 1000,
                                (unsigned long long)ago % 1000, trace->sent ? "to  " : "from", peer,
                                trace->words);

    json_array_append_new(answer->entries,
                          json_pack("{s:I, s:b, s:s, s:f, s:o}", "number",
                                    (json_int_t)trace->number, "sent", (int)trace->sent, "peer",
                                    peer, "ago_s", (double)ago / 1000, "text",
                                    text == NULL ? json_string("") : text));
}

/* ---- the last negotiations ---- */

#define NEGOTIATIONS_ANSWERED_MAX 1000
#define NEGOTIATIONS_WITH_MESSAGES_MAX 100 /* an answer must fit */

struct messages {
    const struct status_negotiation *of;
    json_t *list;
    uint64_t now_ms;
};

static void add_message(void *context, const struct status_trace *trace)
{
    struct messages *m = context;
    /* A connection has all of its messages; what follows those of the moment. */
    uint64_t from_ms = m->of->kind == STATUS_NEGOTIATION_CONNECT ? m->of->began_ms
                       : m->of->at_ms > 2000                     ? m->of->at_ms - 2000
                                                                 : 0;

    if (trace->at_ms < from_ms || trace->at_ms > m->of->at_ms ||
        (m->of->spi_i != 0 && trace->spi_i != m->of->spi_i)) {
        return;
    }
    json_array_append_new(m->list, json_pack("{s:I, s:b, s:f, s:o}", "number",
                                             (json_int_t)trace->number, "sent", (int)trace->sent,
                                             "ago_s", (double)(m->now_ms - trace->at_ms) / 1000,
                                             "text", words_of(trace->words)));
}

static bool is_sent(const json_t *message)
{
    return json_is_true(json_object_get(message, "sent"));
}

static json_t *negotiation_of(const struct question *question, const struct status_negotiation *n,
                              bool with_messages)
{
    struct gateway *gateway = question->management->gateway;
    struct messages messages = {.of = n, .list = json_array(), .now_ms = question->now_ms};
    uint64_t ago = n->at_ms > question->now_ms ? 0 : question->now_ms - n->at_ms;
    char peer[ENDPOINT_TEXT_BYTES];
    json_t *object = json_object();
    size_t index;
    json_t *message;

    if (with_messages) {
        gateway_trace(gateway, n->site[0] == '\0' ? NULL : n->site, add_message, &messages);
    }
    endpoint_format(&n->peer, peer);
    char head[STATUS_NEGOTIATION_BYTES + 256];
    struct text text = text_over(head, sizeof(head));

    text_addf(&text, "%llu.%03llu s ago  %s%s%s %s %s  %s%s%s%s%s", (unsigned long long)ago / 1000,
              (unsigned long long)ago % 1000, n->site, n->site[0] == '\0' ? "" : "  ",
              status_negotiation_name(n->kind), n->initiator ? "to" : "from", peer,
              n->good ? "ok: " : "FAILED: ", n->good ? "" : reason_code(n->reason),
              n->good ? "" : " ", n->words, n->looks_like[0] == '\0' ? "" : "; looks like ");
    text_add(&text, n->looks_like);
    json_t *whole = json_string(head);

    json_array_foreach(messages.list, index, message)
    {
        json_t *longer = json_sprintf("%s\n  %s %s", json_string_value(whole),
                                      is_sent(message) ? "to  " : "from",
                                      json_string_value(json_object_get(message, "text")));

        if (longer != NULL) {
            json_decref(whole);
            whole = longer;
        }
    }
    json_object_set_new(object, "number", json_integer((json_int_t)n->number));
    json_object_set_new(object, "site", words_of(n->site));
    json_object_set_new(object, "kind", json_string(status_negotiation_name(n->kind)));
    json_object_set_new(object, "initiator", json_boolean(n->initiator));
    json_object_set_new(object, "good", json_boolean(n->good));
    json_object_set_new(object, "code", json_string(n->good ? "" : reason_code(n->reason)));
    json_object_set_new(object, "peer", json_string(peer));
    json_object_set_new(object, "identity", words_of(n->identity));
    json_object_set_new(object, "looks_like", json_string(n->looks_like));
    json_object_set_new(object, "ago_s", json_real((double)ago / 1000));
    json_object_set_new(object, "took_ms", json_integer((json_int_t)(n->at_ms - n->began_ms)));
    json_object_set_new(object, "words", words_of(n->words));
    json_object_set_new(object, "messages", messages.list);
    json_object_set_new(object, "text", whole);
    return object;
}

/* Oldest first, as one reads. */
static json_t *answer_negotiations(const struct question *question, const char *site)
{
    struct gateway *gateway = question->management->gateway;
    json_t *entries = json_array();
    struct status_negotiation n;
    size_t most = question->count < NEGOTIATIONS_ANSWERED_MAX ? (size_t)question->count
                                                              : NEGOTIATIONS_ANSWERED_MAX;

    for (size_t i = 0; i < most && gateway_negotiation_at(gateway, site, i, &n); i++) {
        json_array_insert_new(entries, 0,
                              negotiation_of(question, &n, most <= NEGOTIATIONS_WITH_MESSAGES_MAX));
    }
    return reply_answer(REPLY_OK, json_pack("{s:o, s:i}", "entries", entries, "last", 0));
}

json_t *answer_trace(const struct question *question)
{
    struct ring_answer answer = {.entries = json_array(),
                                 .after = question->after,
                                 .last = question->after,
                                 .now_ms = question->now_ms};
    size_t index;

    if (question->count > 0 && question->word_count == 0) {
        json_decref(answer.entries);
        return answer_negotiations(question, NULL);
    }
    if (question->word_count == 0 ||
        !gateway_site_index(question->management->gateway, question->words[0], &index)) {
        json_decref(answer.entries);
        return question->word_count == 0 ? reply_error(REPLY_USAGE, NULL, "trace of which site?")
                                         : reply_no_such_site(question, question->words[0]);
    }
    if (question->count > 0) {
        json_decref(answer.entries);
        return answer_negotiations(question, question->words[0]);
    }
    gateway_trace(question->management->gateway, question->words[0], add_trace, &answer);
    return reply_answer(REPLY_OK, json_pack("{s:o, s:I}", "entries", answer.entries, "last",
                                            (json_int_t)answer.last));
}

static void add_log(void *context, uint64_t number, uint64_t at_ms, enum log_level level,
                    const char *about, const char *line)
{
    struct ring_answer *answer = context;
    uint64_t ago = at_ms > answer->now_ms ? 0 : answer->now_ms - at_ms;

    answer->last = number > answer->last ? number : answer->last;
    if (answer->about != NULL && strcmp(answer->about, about) != 0) {
        return;
    }
    char age[32];
    json_t *text = json_sprintf("%8s ago  %-7s %s: %s", age_words(ago, age), log_level_name(level),
                                about, line);

    json_array_append_new(answer->entries,
                          json_pack("{s:I, s:s, s:s, s:f, s:o}", "number", (json_int_t)number,
                                    "level", log_level_name(level), "about", about, "ago_s",
                                    (double)ago / 1000, "text",
                                    text == NULL ? json_string("") : text));
}

json_t *answer_log(const struct question *question)
{
    struct ring_answer answer = {.entries = json_array(),
                                 .after = question->after,
                                 .last = question->after,
                                 .now_ms = question->now_ms};

    answer.about = question->word_count > 0 ? question->words[0] : NULL;
    if (question->management->log_lines != NULL) {
        question->management->log_lines(question->management->context, question->after, add_log,
                                        &answer);
    }
    size_t index;

    /* Lines are also about the daemon itself: only a name that nothing was said about is wrong. */
    if (answer.about != NULL && question->after == 0 && json_array_size(answer.entries) == 0 &&
        !gateway_site_index(question->management->gateway, answer.about, &index)) {
        json_decref(answer.entries);
        return reply_no_such_site(question, answer.about);
    }
    return reply_answer(REPLY_OK, json_pack("{s:o, s:I}", "entries", answer.entries, "last",
                                            (json_int_t)answer.last));
}
