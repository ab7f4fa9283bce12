/* `up`, `down`, `restart`, `apply`, `check`, `show`, `version`: orders and the configuration. */
#include <stdlib.h>
#include <string.h>

#include "crypto/protect.h"
#include "gateway/status.h"
#include "management/answers.h"

#define PLAN_LINES_MAX 200

static json_t *order_done(const char *site, const char *words)
{
    return reply_answer(REPLY_OK, json_pack("{s:s, s:o}", "site", site, "text",
                                            json_sprintf("%s %s", site, words)));
}

json_t *answer_order(const struct question *question)
{
    struct gateway *gateway = question->management->gateway;
    const char *site = question->word_count > 0 ? question->words[0] : "";
    const char *words = "";
    char why[256] = "";
    size_t index;
    bool done;

    if (!gateway_site_index(gateway, site, &index)) {
        return reply_no_such_site(question, site);
    }
    if (strcmp(question->verb, "up") == 0) {
        done = gateway_up(gateway, site, question->now_ms, why, sizeof(why));
        words = "is being connected";
    } else if (strcmp(question->verb, "down") == 0) {
        done = gateway_down(gateway, site, question->now_ms, why, sizeof(why));
        words = "is down; its traffic is dropped until it is brought up again";
    } else if (question->rekey) {
        done = gateway_rekey(gateway, site, false, question->now_ms, why, sizeof(why)) &&
               gateway_rekey(gateway, site, true, question->now_ms, why, sizeof(why));
        words = "gets new keys";
    } else {
        done = gateway_restart(gateway, site, question->now_ms, why, sizeof(why));
        words = "is being connected again";
    }
    if (!done) {
        return reply_error(REPLY_FAILED, NULL, "%s: %s", site, why);
    }
    return order_done(site, words);
}

static json_t *plan_of(const struct config_change *changes, size_t count, size_t *unchanged)
{
    json_t *plan = json_array();

    *unchanged = 0;
    for (size_t i = 0; i < count; i++) {
        const struct config_change *change = &changes[i];
        if (change->kind == SITE_UNCHANGED) {
            (*unchanged)++;
        } else if (json_array_size(plan) < PLAN_LINES_MAX) {
            json_array_append_new(plan, json_pack("{s:s, s:s}", "site", config_change_name(change),
                                                  "words", change->words));
        }
    }
    return plan;
}

/* The diagnostics as a person reads them and as an editor does. */
static void add_diagnostics(json_t *answer, const struct config_result *result)
{
    char *text = config_diagnostics_text(result);
    json_t *list = json_array();

    for (size_t i = 0; i < result->diagnostic_count; i++) {
        const struct config_diagnostic *diagnostic = &result->diagnostics[i];
        json_t *object = json_object();

        json_object_set_new(
            object, "severity",
            json_string(diagnostic->severity == CONFIG_ERROR ? "error" : "warning"));
        json_object_set_new(object, "file",
                            json_string(diagnostic->place.file < result->file_count
                                            ? result->files[diagnostic->place.file].path
                                            : ""));
        json_object_set_new(object, "line", json_integer((json_int_t)diagnostic->place.line));
        json_object_set_new(object, "column", json_integer((json_int_t)diagnostic->place.column));
        json_object_set_new(object, "length", json_integer((json_int_t)diagnostic->place.length));
        json_object_set_new(object, "message", json_string(diagnostic->message));
        json_object_set_new(
            object, "suggestion",
            json_string(diagnostic->suggestion == NULL ? "" : diagnostic->suggestion));
        json_array_append_new(list, object);
    }
    json_t *string = result->diagnostic_count == 0 || text == NULL ? NULL : json_string(text);

    json_object_set_new(answer, "diagnostics", string == NULL ? json_string("") : string);
    json_object_set_new(answer, "findings", list);
    json_object_set_new(answer, "errors", json_integer((json_int_t)result->error_count));
    json_object_set_new(answer, "warnings", json_integer((json_int_t)result->warning_count));
    free(text);
}

json_t *answer_apply(const struct question *question)
{
    const struct management *management = question->management;
    struct config_result *result = management->read_config(management->context);
    json_t *answer = json_object();

    if (result == NULL) {
        json_decref(answer);
        return reply_error(REPLY_FAILED, NULL, "there is no memory to read the configuration");
    }
    add_diagnostics(answer, result);
    if (result->config == NULL) {
        config_result_free(result);
        json_object_set_new(answer, "text",
                            json_string("Nothing was changed; the running configuration goes on."));
        return reply_answer(REPLY_FAILED, answer);
    }
    const struct config *running = gateway_config(management->gateway);
    size_t room = result->config->site_count + result->config->manual_count + 1;

    room += running == NULL ? 0 : running->site_count + running->manual_count;
    struct config_change *changes = calloc(room, sizeof(*changes));
    size_t count = changes == NULL ? 0 : config_compare(running, result->config, changes, room);
    size_t unchanged = 0;

    count = count < room ? count : room;
    json_object_set_new(answer, "plan", plan_of(changes, count, &unchanged));
    json_object_set_new(answer, "unchanged", json_integer((json_int_t)unchanged));
    json_object_set_new(answer, "changed", json_integer((json_int_t)(count - unchanged)));
    free(changes);
    if (!question->dry_run) {
        management->apply(management->context, config_take(result), question->now_ms);
    }
    config_result_free(result);
    json_object_set_new(
        answer, "text",
        json_sprintf("%s; %zu site%s unchanged and not disturbed.",
                     question->dry_run ? "Nothing was changed (dry run)" : "Applied", unchanged,
                     unchanged == 1 ? "" : "s"));
    return reply_answer(REPLY_OK, answer);
}

/* After a renewal: nothing else of the configuration is looked at. */
json_t *answer_certificates(const struct question *question)
{
    const struct management *management = question->management;
    size_t count = gateway_read_certificates(management->gateway);
    json_t *answer = json_object();

    management->certificates_changed(management->context, question->now_ms);
    json_object_set_new(answer, "sites", json_integer((json_int_t)count));
    return reply_answer(REPLY_OK, answer);
}

json_t *answer_check(const struct question *question)
{
    const struct management *management = question->management;
    struct config_result *result = management->read_config(management->context);
    json_t *answer = json_object();

    if (result == NULL) {
        json_decref(answer);
        return reply_error(REPLY_FAILED, NULL, "there is no memory to read the configuration");
    }
    add_diagnostics(answer, result);
    bool good = result->config != NULL;

    config_result_free(result);
    return reply_answer(good ? REPLY_OK : REPLY_FAILED, answer);
}

json_t *answer_show(const struct question *question)
{
    const struct config *running = gateway_config(question->management->gateway);
    char *text = running == NULL ? NULL : config_show(running, question->all);

    if (text == NULL) {
        return reply_error(REPLY_FAILED, NULL, "there is no configuration yet");
    }
    json_t *string = json_string(text);

    free(text);
    return reply_answer(REPLY_OK,
                        json_pack("{s:o}", "text", string == NULL ? json_string("") : string));
}

json_t *answer_version(const struct question *question)
{
    json_t *answer = json_object();

    (void)question;
    json_object_set_new(answer, "daemon", json_string(SEKISHO_VERSION));
    const char *engine = protect_report(0);

    json_object_set_new(answer, "libraries", json_string(engine == NULL ? "" : engine));
    return reply_answer(REPLY_OK, answer);
}
