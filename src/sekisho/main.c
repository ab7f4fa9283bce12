/* The command: `sekisho VERB ...`. Reads the command line and calls the verb. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "sekisho/command.h"

#define OPTION_WORDS_MAX 3

struct option_word {
    const char *words[OPTION_WORDS_MAX];
    size_t offset; /* of the flag in struct command */
};

static const struct option_word flags[] = {
    {{"--json"}, offsetof(struct command, json)},
    {{"-v", "--verbose"}, offsetof(struct command, verbose)},
    {{"-f", "--follow"}, offsetof(struct command, follow)},
    {{"--all"}, offsetof(struct command, all)},
    {{"--dry-run"}, offsetof(struct command, dry_run)},
    {{"--rekey"}, offsetof(struct command, rekey)},
    {{"--stdin"}, offsetof(struct command, from_stdin)},
    {{"--plain"}, offsetof(struct command, plain)},
    {{"--both"}, offsetof(struct command, both)},
    {{"--probe"}, offsetof(struct command, probe)},
    {{"--with-secret"}, offsetof(struct command, with_secret)},
    {{"--compat"}, offsetof(struct command, compatible)},
    {{"--due"}, offsetof(struct command, due)},
    {{"--no-password"}, offsetof(struct command, no_password)},
};

static const struct {
    const char *word;
    size_t offset; /* of the text in struct command */
} values[] = {
    {"-w", offsetof(struct command, write_path)},
    {"--keys", offsetof(struct command, keys_path)},
    {"-o", offsetof(struct command, output_path)},
    {"--passphrase", offsetof(struct command, passphrase_path)},
    {"--days", offsetof(struct command, days)},
    {"--url", offsetof(struct command, url)},
    {"--within", offsetof(struct command, within)},
    {"--key", offsetof(struct command, key_kind)},
    {"--for", offsetof(struct command, product)},
    {"--site", offsetof(struct command, site)},
    {"--last", offsetof(struct command, last)},
    {"--count", offsetof(struct command, count)},
    {"--seconds", offsetof(struct command, seconds)},
    {"--state", offsetof(struct command, state)},
    {"--group", offsetof(struct command, group)},
    {"--address", offsetof(struct command, address)},
    {"--issuer", offsetof(struct command, issuer)},
    {"--service", offsetof(struct command, service)},
};

static bool *flag_of(struct command *command, const char *word)
{
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        for (size_t j = 0; j < OPTION_WORDS_MAX && flags[i].words[j] != NULL; j++) {
            if (strcmp(word, flags[i].words[j]) == 0) {
                return (bool *)((char *)command + flags[i].offset);
            }
        }
    }
    return NULL;
}

#define TRY_HELP "Try: sekisho help"

/* Said anywhere, it holds for what is wrong with the words before it too. */
static bool wants_json(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            return true;
        }
    }
    return false;
}

static int usage(const struct command *command, const char *what, const char *word)
{
    return fail_with(command->json, EXIT_USAGE, TRY_HELP, "%s: %s", what, word);
}

static int unknown_verb(const struct command *command, const char *word)
{
    const struct verb *nearest = NULL;
    size_t distance = 3;

    for (size_t i = 0; verb_at(i) != NULL; i++) {
        size_t this_distance =
            text_distance(slice_of_text(word), slice_of_text(verb_at(i)->name), 3);

        if (this_distance < distance) {
            distance = this_distance;
            nearest = verb_at(i);
        }
    }
    if (nearest != NULL) {
        return fail_with(command->json, EXIT_USAGE, TRY_HELP,
                         "there is no verb '%s'; did you mean '%s'?", word, nearest->name);
    }
    return fail_with(command->json, EXIT_USAGE, TRY_HELP, "there is no verb '%s'", word);
}

/* EXIT_OK, or how to end. */
static int read_words(struct command *command, int argc, char **argv)
{
    const char *run_folder = NULL;
    const char *socket_path = NULL;

    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        const char **value = NULL;
        bool *flag = flag_of(command, word);

        if (strcmp(word, "--socket") == 0) {
            value = &socket_path;
        } else if (strcmp(word, "--run") == 0) {
            value = &run_folder;
        } else if (strcmp(word, "-c") == 0 || strcmp(word, "--config") == 0) {
            value = &command->config_path;
        }
        for (size_t k = 0; k < sizeof(values) / sizeof(values[0]); k++) {
            if (strcmp(word, values[k].word) == 0) {
                value = (const char **)((char *)command + values[k].offset);
            }
        }
        if (value != NULL) {
            if (i + 1 == argc) {
                return usage(command, "a value is missing behind", word);
            }
            *value = argv[++i];
        } else if (flag != NULL) {
            *flag = true;
        } else if (strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0) {
            command->verb = "help";
        } else if (strcmp(word, "--version") == 0) {
            command->verb = "version";
        } else if (word[0] == '-' && word[1] != '\0') {
            return usage(command, "there is no option", word);
        } else if (command->verb == NULL) {
            command->verb = word;
        } else if (command->word_count < COMMAND_WORDS_MAX) {
            command->words[command->word_count++] = word;
        } else {
            return usage(command, "too many words", word);
        }
    }
    command->socket_path = daemon_socket_path(socket_path, run_folder);
    return EXIT_OK;
}

int main(int argc, char **argv)
{
    struct command command = {.json = wants_json(argc, argv)};
    int wrong = read_words(&command, argc, argv);
    const char *no_colour = getenv("NO_COLOR");

    if (wrong != EXIT_OK) {
        return wrong;
    }
    command.colour = isatty(STDOUT_FILENO) == 1 && (no_colour == NULL || no_colour[0] == '\0');
    if (command.verb == NULL) {
        command.verb = "help";
    }
    const struct verb *verb = verb_find(command.verb);

    if (verb == NULL) {
        return unknown_verb(&command, command.verb);
    }
    if (command.word_count < verb->words_min || command.word_count > verb->words_max) {
        return fail_with(command.json, EXIT_USAGE, NULL, "usage: sekisho %s%s%s", verb->name,
                         verb->arguments[0] == '\0' ? "" : " ", verb->arguments);
    }
    int exit_code = verb->run(&command);

    if (fflush(stdout) != 0 || ferror(stdout) != 0) {
        return fail_with(false, EXIT_FAILED, NULL,
                         "the output could not be written: is the disk full?");
    }
    return exit_code;
}
