/* `up`, `down`, `restart`, `apply`, and the verbs that read one text: `explain`, `trace`, `log`,
 * `show`, `version`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "reasons/reason.h"
#include "sekisho/command.h"

#define FOLLOW_MICROSECONDS 300000

int verb_order(const struct command *command)
{
    int exit_code;
    json_t *reply = daemon_ask(command, -1, &exit_code);

    if (reply == NULL) {
        return exit_code;
    }
    const json_t *answer = json_object_get(reply, "answer");

    if (command->json) {
        print_json(answer);
    } else {
        printf("%s\n", text_of(answer, "text"));
    }
    json_decref(reply);
    return exit_code;
}

int verb_apply(const struct command *command)
{
    int exit_code;
    json_t *reply = daemon_ask(command, -1, &exit_code);

    if (reply == NULL) {
        return exit_code;
    }
    const json_t *answer = json_object_get(reply, "answer");
    const json_t *plan = json_object_get(answer, "plan");
    size_t index;
    json_t *line;

    if (command->json) {
        print_json(answer);
        json_decref(reply);
        return exit_code;
    }
    fputs(text_of(answer, "diagnostics"), exit_code == EXIT_OK ? stdout : stderr);
    json_array_foreach(plan, index, line)
    {
        printf("  site %-16s %s\n", text_of(line, "site"), text_of(line, "words"));
    }
    if (number_of(answer, "changed") > (double)json_array_size(plan)) {
        printf("  ... and %.0f more\n",
               number_of(answer, "changed") - (double)json_array_size(plan));
    }
    if (text_of(answer, "text")[0] != '\0') {
        printf("%s\n", text_of(answer, "text"));
    }
    json_decref(reply);
    return exit_code;
}

static void show_lines(const char *indent, const json_t *lines)
{
    size_t index;
    json_t *line;

    json_array_foreach(lines, index, line)
    {
        printf("%s%s\n", indent, json_string_value(line));
    }
}

static void show_explanation(const struct command *command, const json_t *told)
{
    size_t index;
    json_t *check;

    printf("%s\n", text_of(told, "head"));
    if (json_array_size(json_object_get(told, "checks")) > 0) {
        putchar('\n');
    }
    json_array_foreach(json_object_get(told, "checks"), index, check)
    {
        const char *result = text_of(check, "result");
        bool failed = strcmp(result, "FAIL") == 0;

        printf("  %s%-5s%s %-9s %s\n", failed && command->colour ? "\033[31m" : "", result,
               failed && command->colour ? "\033[0m" : "", text_of(check, "name"),
               text_of(check, "text"));
    }
    if (text_of(told, "preset")[0] != '\0') {
        printf("\n  %s\n", text_of(told, "preset"));
    }
    if (text_of(told, "explanation")[0] != '\0') {
        printf("\n%s\n", text_of(told, "explanation"));
    }
    if (json_array_size(json_object_get(told, "compared")) > 0) {
        printf("\nCompared:\n");
        show_lines("  ", json_object_get(told, "compared"));
    }
    if (json_array_size(json_object_get(told, "causes")) > 0) {
        printf("\nMost likely:\n");
        show_lines("  - ", json_object_get(told, "causes"));
    }
    if (json_array_size(json_object_get(told, "steps")) > 0) {
        printf("\nWhat to do:\n");
        show_lines("  - ", json_object_get(told, "steps"));
    }
    if (text_of(told, "code")[0] != '\0') {
        printf("\n%s\n", text_of(told, "code"));
    }
}

static void append_lines(json_t *object, const char *name, const char *const *lines)
{
    json_t *array = json_array();

    for (size_t i = 0; i < REASON_LINES_MAX && lines[i] != NULL; i++) {
        const struct reason_words nothing = {.site = NULL};
        char text[512];
        struct text out = text_over(text, sizeof(text));

        reason_fill(lines[i], &nothing, &out);
        json_array_append_new(array, json_string(text));
    }
    json_object_set_new(object, name, array);
}

/* The catalogue's entry, without asking anybody. */
static int explain_code(const struct command *command, const struct reason_entry *entry)
{
    const struct reason_words nothing = {.site = NULL};
    char sentence[512];
    char explanation[1024];
    struct text sentence_text = text_over(sentence, sizeof(sentence));
    struct text explanation_text = text_over(explanation, sizeof(explanation));
    json_t *answer = json_pack("{s:i}", "version", 1);

    reason_fill(entry->sentence, &nothing, &sentence_text);
    reason_fill(entry->explanation, &nothing, &explanation_text);
    json_object_set_new(answer, "head", json_sprintf("%s: %s", entry->code, sentence));
    json_object_set_new(answer, "explanation", json_string(explanation));
    append_lines(answer, "causes", entry->causes);
    append_lines(answer, "steps", entry->steps);
    if (command->json) {
        print_json(answer);
    } else {
        show_explanation(command, answer);
    }
    json_decref(answer);
    return EXIT_OK;
}

int verb_explain(const struct command *command)
{
    int exit_code;

    if (command->word_count == 1) {
        const struct reason_entry *entry = reason_find(slice_of_text(command->words[0]));

        if (entry != NULL) {
            return explain_code(command, entry);
        }
    }
    json_t *reply = daemon_ask(command, -1, &exit_code);

    if (reply == NULL) {
        return exit_code;
    }
    const json_t *answer = json_object_get(reply, "answer");
    size_t index;
    json_t *told;

    if (command->json) {
        print_json(answer);
        json_decref(reply);
        return exit_code;
    }
    json_array_foreach(json_object_get(answer, "sites"), index, told)
    {
        if (index > 0) {
            printf("\n");
        }
        show_explanation(command, told);
    }
    if (text_of(answer, "text")[0] != '\0') {
        printf("%s\n", text_of(answer, "text"));
    }
    json_decref(reply);
    return exit_code;
}

int daemon_follow(const struct command *command)
{
    long long after = 0;
    int exit_code;

    for (;;) {
        json_t *reply = daemon_ask(command, after, &exit_code);

        if (reply == NULL) {
            return exit_code;
        }
        const json_t *answer = json_object_get(reply, "answer");
        size_t index;
        json_t *entry;

        if (command->json && !command->follow) {
            print_json(answer);
            json_decref(reply);
            return exit_code;
        }
        json_array_foreach(json_object_get(answer, "entries"), index, entry)
        {
            if (command->json) {
                json_dumpf(entry, stdout, JSON_COMPACT);
                putchar('\n');
            } else {
                printf("%s\n", text_of(entry, "text"));
            }
        }
        after = (long long)number_of(answer, "last");
        if (!command->follow) {
            if (json_array_size(json_object_get(answer, "entries")) == 0) {
                printf("nothing yet\n");
            }
            json_decref(reply);
            return exit_code;
        }
        json_decref(reply);
        if (fflush(stdout) != 0) {
            return EXIT_OK;
        }
        usleep(FOLLOW_MICROSECONDS);
    }
}

int verb_log(const struct command *command)
{
    return daemon_follow(command);
}

int verb_trace(const struct command *command)
{
    struct command asked = *command;
    char *end = NULL;

    if (command->last != NULL) {
        unsigned long count = strtoul(command->last, &end, 10);

        if (*end != '\0' || count == 0 || count > 1000 || command->follow) {
            return fail_with(command->json, EXIT_USAGE, NULL,
                             "--last is followed by a number from 1 to 1000, without --follow");
        }
        asked.count = command->last;
    }
    return daemon_follow(&asked);
}

int verb_show(const struct command *command)
{
    int exit_code;

    if (strcmp(command->words[0], "config") != 0) {
        return fail_with(command->json, EXIT_USAGE, NULL, "usage: sekisho show config [--all]");
    }
    json_t *reply = daemon_ask(command, -1, &exit_code);

    if (reply == NULL) {
        return exit_code;
    }
    const json_t *answer = json_object_get(reply, "answer");

    if (command->json) {
        print_json(answer);
    } else {
        fputs(text_of(answer, "text"), stdout);
    }
    json_decref(reply);
    return exit_code;
}

int verb_version(const struct command *command)
{
    int exit_code = EXIT_NOT_RUNNING;
    bool there = access(command->socket_path == NULL ? "" : command->socket_path, F_OK) == 0;
    json_t *reply = there ? daemon_ask(command, -1, &exit_code) : NULL;
    const json_t *answer = json_object_get(reply, "answer");

    if (command->json) {
        json_t *told = json_pack("{s:i, s:s}", "version", 1, "command", SEKISHO_VERSION);

        json_object_update(told, json_object_get(reply, "answer"));
        print_json(told);
        json_decref(told);
    } else {
        printf("sekisho %s\n", SEKISHO_VERSION);
        if (answer != NULL) {
            printf("sekishod %s, %s\n", text_of(answer, "daemon"), text_of(answer, "libraries"));
        } else {
            printf("sekishod is not running\n");
        }
    }
    json_decref(reply);
    return EXIT_OK;
}
