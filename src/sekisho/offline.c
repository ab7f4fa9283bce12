/* Verbs that need no daemon: `check`, `fmt`, `secret`, `help`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "crypto/prf.h"
#include "host/entropy.h"
#include "host/files.h"
#include "loader/loader.h"
#include "reasons/reason.h"
#include "sekisho/command.h"

#define STDIN_NAME "(standard input)"
#define SECRET_BYTES 32

/* All of the standard input, to be freed; NULL when it is too long or there is no memory: that has
 * been told. */
static char *read_stdin(const struct command *command, size_t *length)
{
    size_t capacity = 65536;
    char *text = malloc(capacity);

    *length = 0;
    while (text != NULL) {
        size_t got = fread(text + *length, 1, capacity - *length, stdin);

        *length += got;
        if (got == 0) {
            return text;
        }
        if (*length == capacity) {
            char *larger = capacity >= FILES_TEXT_BYTES_MAX ? NULL : realloc(text, capacity * 2);

            if (larger == NULL) {
                break;
            }
            text = larger;
            capacity *= 2;
        }
    }
    free(text);
    (void)fail_with(command->json, EXIT_FAILED, NULL, "the standard input is too long");
    return NULL;
}

static const char *config_path_of(const struct command *command)
{
    if (command->from_stdin) {
        return STDIN_NAME;
    }
    if (command->word_count > 0) {
        return command->words[0];
    }
    return command->config_path != NULL ? command->config_path : LOADER_DEFAULT_CONFIG;
}

static json_t *findings_of(const struct config_result *result)
{
    json_t *list = json_array();

    for (size_t i = 0; i < result->diagnostic_count; i++) {
        const struct config_diagnostic *found = &result->diagnostics[i];
        const char *file =
            found->place.file < result->file_count ? result->files[found->place.file].path : "";
        json_t *object = json_object();

        json_object_set_new(object, "severity",
                            json_string(found->severity == CONFIG_ERROR ? "error" : "warning"));
        json_object_set_new(object, "file", json_string(file));
        json_object_set_new(object, "line", json_integer((json_int_t)found->place.line));
        json_object_set_new(object, "column", json_integer((json_int_t)found->place.column));
        json_object_set_new(object, "length", json_integer((json_int_t)found->place.length));
        json_object_set_new(object, "message", json_string(found->message));
        json_object_set_new(object, "suggestion",
                            json_string(found->suggestion == NULL ? "" : found->suggestion));
        json_array_append_new(list, object);
    }
    return list;
}

static int show_findings(const struct command *command, const struct config_result *result)
{
    int exit_code = result->error_count == 0 ? EXIT_OK : EXIT_FAILED;

    if (command->json) {
        json_t *answer = json_pack("{s:i, s:o, s:I, s:I}", "version", 1, "findings",
                                   findings_of(result), "errors", (json_int_t)result->error_count,
                                   "warnings", (json_int_t)result->warning_count);

        print_json(answer);
        json_decref(answer);
        return exit_code;
    }
    char *text = result->diagnostic_count == 0 ? NULL : config_diagnostics_text(result);

    if (text != NULL) {
        fputs(text, stderr);
        free(text);
    }
    if (exit_code == EXIT_OK) {
        /* A block of manual keys is a site to its reader. */
        size_t sites = result->config->site_count + result->config->manual_count;

        printf("The configuration is good: %zu site%s, %zu warning%s.\n", sites,
               sites == 1 ? "" : "s", result->warning_count, result->warning_count == 1 ? "" : "s");
    }
    return exit_code;
}

/* With a daemon and no file named: the daemon's file, as it would apply it. */
static int check_with_daemon(const struct command *command)
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
        fputs(text_of(answer, "diagnostics"), stderr);
        if (exit_code == EXIT_OK) {
            printf("The configuration is good.\n");
        }
    }
    json_decref(reply);
    return exit_code;
}

int verb_check(const struct command *command)
{
    const char *path = config_path_of(command);
    char secrets[LOADER_PATH_BYTES];

    if (command->probe != (command->site != NULL)) {
        return fail_with(command->json, EXIT_USAGE, NULL,
                         "to ask a peer what it accepts: sekisho check --site NAME --probe");
    }
    if (command->probe) {
        return command_probe(command);
    }
    if (!command->from_stdin && command->word_count == 0 && command->config_path == NULL &&
        command->socket_path != NULL && access(command->socket_path, F_OK) == 0) {
        return check_with_daemon(command);
    }
    if (!loader_secrets_directory(command->from_stdin ? LOADER_DEFAULT_CONFIG : path, secrets)) {
        return fail_with(command->json, EXIT_USAGE, NULL, "the path is too long: %s", path);
    }
    struct loader *loader = loader_new(secrets, !command->from_stdin);
    size_t length = 0;
    char *text = command->from_stdin ? read_stdin(command, &length) : NULL;
    int exit_code = EXIT_FAILED;

    if (loader != NULL) {
        loader_try_tokens(loader);
    }
    if (loader != NULL &&
        (!command->from_stdin ||
         (text != NULL &&
          loader_give_text(loader, STDIN_NAME, (struct slice){(const uint8_t *)text, length})))) {
        struct config_result *result = config_read(path, loader_config(loader));

        if (result != NULL) {
            exit_code = show_findings(command, result);
            config_result_free(result);
        }
    }
    free(text);
    loader_free(loader);
    return exit_code;
}

static void show_formatted(const struct command *command, const char *formatted)
{
    if (!command->json) {
        fputs(formatted, stdout);
        return;
    }
    json_t *answer = json_pack("{s:i, s:s}", "version", 1, "text", formatted);

    print_json(answer);
    json_decref(answer);
}

static void show_done(const struct command *command, const char *path, bool changed,
                      const char *words)
{
    if (!command->json) {
        printf("%s %s\n", path, words);
        return;
    }
    json_t *answer =
        json_pack("{s:i, s:s, s:b}", "version", 1, "file", path, "changed", (int)changed);

    print_json(answer);
    json_decref(answer);
}

int verb_fmt(const struct command *command)
{
    const char *path = config_path_of(command);
    char why[256];
    size_t length = 0;
    char *text = command->from_stdin ? read_stdin(command, &length)
                                     : files_read(path, &length, why, sizeof(why));

    if (text == NULL) {
        return command->from_stdin ? EXIT_FAILED
                                   : fail_with(command->json, EXIT_FAILED, NULL, "%s", why);
    }
    char *formatted = config_format((struct slice){(const uint8_t *)text, length});
    int exit_code = EXIT_OK;

    if (formatted == NULL) {
        exit_code = fail_with(command->json, EXIT_FAILED, NULL,
                              "%s cannot be read; sekisho check %s says where. It was not changed.",
                              path, command->from_stdin ? "--stdin" : path);
    } else if (command->from_stdin) {
        show_formatted(command, formatted);
    } else if (strlen(formatted) == length && memcmp(formatted, text, length) == 0) {
        show_done(command, path, false, "is well formed already.");
    } else {
        struct stat old;
        unsigned mode = stat(path, &old) == 0 ? (unsigned)(old.st_mode & 0777) : 0644;

        if (files_write(path, slice_of_text(formatted), mode, why, sizeof(why))) {
            show_done(command, path, true, "was formatted.");
        } else {
            exit_code = fail_with(command->json, EXIT_FAILED, "The file is as it was.", "%s", why);
        }
    }
    free(formatted);
    free(text);
    return exit_code;
}

/* Base32 without the letters that look like figures: 7Q4-KF2. Two people can compare it over the
 * telephone. */
static void show_fingerprint(const struct secret *secret, char out[8])
{
    static const char letters[] = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    static const uint8_t label[] = "sekisho shared key fingerprint";
    const struct slice parts[] = {{label, sizeof(label) - 1}, secret_slice(secret)};
    uint8_t digest[32];
    size_t at = 0;

    sha256(parts, 2, digest);
    for (size_t i = 0; i < 6; i++) {
        out[at++] = letters[digest[i] & 31];
        if (i == 2) {
            out[at++] = '-';
        }
    }
    out[at] = '\0';
    wipe(digest, sizeof(digest));
}

static void base64_of(const uint8_t *bytes, size_t length, char *out)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t at = 0;

    for (size_t i = 0; i < length; i += 3) {
        uint32_t group = (uint32_t)bytes[i] << 16;

        group |= i + 1 < length ? (uint32_t)bytes[i + 1] << 8 : 0;
        group |= i + 2 < length ? bytes[i + 2] : 0;
        out[at++] = letters[group >> 18 & 63];
        out[at++] = letters[group >> 12 & 63];
        out[at++] = i + 1 < length ? letters[group >> 6 & 63] : '=';
        out[at++] = i + 2 < length ? letters[group & 63] : '=';
    }
    out[at] = '\0';
}

static bool name_is_good(const char *name)
{
    size_t length = strlen(name);

    return length > 0 && length < CONFIG_NAME_BYTES && name[0] != '.' &&
           strchr(name, '/') == NULL &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") ==
               length;
}

static int secret_write(const struct command *command, const char *directory, const char *name,
                        struct slice value, bool replace)
{
    char path[LOADER_PATH_BYTES + CONFIG_NAME_BYTES];
    char why[512];

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    if (!replace && access(path, F_OK) == 0) {
        return fail_with(command->json, EXIT_FAILED,
                         "Remove it first if the old key may be lost, or put another value in it "
                         "with: sekisho secret set",
                         "%s is there already", path);
    }
    if (!files_make_directory(directory, 0700, why, sizeof(why)) ||
        !files_write(path, value, 0600, why, sizeof(why))) {
        return fail_with(command->json, EXIT_FAILED, "No key was made or changed.", "%s", why);
    }
    return EXIT_OK;
}

static int secret_make(const struct command *command, const char *directory, const char *name)
{
    uint8_t bytes[SECRET_BYTES];
    char text[SECRET_BYTES * 2];
    struct random_source source = entropy_source();

    random_fill(&source, bytes, sizeof(bytes));
    base64_of(bytes, sizeof(bytes), text);
    size_t length = strlen(text);

    text[length] = '\n';
    int exit_code = secret_write(command, directory, name,
                                 (struct slice){(const uint8_t *)text, length + 1}, false);

    text[length] = '\0';
    if (exit_code == EXIT_OK && command->json) {
        json_t *answer = json_pack("{s:i, s:s, s:s}", "version", 1, "name", name, "secret", text);

        print_json(answer);
        json_decref(answer);
    } else if (exit_code == EXIT_OK) {
        printf("%s\n", text);
        fprintf(stderr,
                "Written to %s/%s (256 bits). It is shown only now.\n"
                "Put the same line into the other side. Is that a Sekisho, run there:\n"
                "sekisho secret set NAME, with the name that stands behind 'key' there.\n",
                directory, name);
    }
    wipe(bytes, sizeof(bytes));
    wipe(text, sizeof(text));
    return exit_code;
}

static void show_stored(const struct command *command, const char *directory, const char *name)
{
    if (command->json) {
        json_t *answer = json_pack("{s:i, s:s}", "version", 1, "name", name);

        print_json(answer);
        json_decref(answer);
        return;
    }
    printf("Written to %s/%s.\n", directory, name);
    printf("A daemon that runs takes it with: sekisho apply\n");
}

static int secret_from_stdin(const struct command *command, const char *directory, const char *name)
{
    size_t length = 0;

    if (isatty(STDIN_FILENO) == 1) {
        fprintf(stderr, "Type or paste the key and end with a new line and Ctrl-D:\n");
    }
    char *text = read_stdin(command, &length);

    if (text == NULL) {
        return EXIT_FAILED;
    }
    size_t used = length;

    while (used > 0 && (text[used - 1] == '\n' || text[used - 1] == '\r')) {
        used--;
    }
    int exit_code = EXIT_FAILED;

    if (used == 0 || used > SECRET_BYTES_MAX || memchr(text, '\n', used) != NULL ||
        memchr(text, '\0', used) != NULL) {
        (void)fail_with(command->json, EXIT_FAILED, NULL,
                        "a key is one line of 1 to %d characters. Nothing was changed.",
                        SECRET_BYTES_MAX);
    } else {
        exit_code = secret_write(command, directory, name,
                                 (struct slice){(const uint8_t *)text, used}, true);
    }
    if (exit_code == EXIT_OK) {
        /* What is written in hexadecimal with its mark is a key by hand, as long as its cipher
         * wants.
         */
        if (used < 20 && strncmp(text, "0x", 2) != 0) {
            fprintf(stderr,
                    "sekisho: warning: a key of %zu characters can be guessed by whoever records a "
                    "handshake;\n"
                    "make a good one: sekisho secret new NAME\n",
                    used);
        }
        show_stored(command, directory, name);
    }
    wipe(text, length);
    free(text);
    return exit_code;
}

static int secret_fingerprint(const struct command *command, const char *directory,
                              const char *name)
{
    struct secret secret = {.bytes = NULL};
    char fingerprint[8];
    char why[512];

    if (!files_read_secret(directory, name, &secret, why, sizeof(why))) {
        return fail_with(command->json, EXIT_FAILED, NULL, "%s", why);
    }
    show_fingerprint(&secret, fingerprint);
    secret_wipe(&secret);
    if (command->json) {
        json_t *answer =
            json_pack("{s:i, s:s, s:s}", "version", 1, "name", name, "fingerprint", fingerprint);

        print_json(answer);
        json_decref(answer);
    } else {
        printf("%s\n", fingerprint);
    }
    return EXIT_OK;
}

int verb_secret(const struct command *command)
{
    const char *what = command->words[0];
    const char *name = command->words[1][0] == '@' ? command->words[1] + 1 : command->words[1];
    char directory[LOADER_PATH_BYTES];

    if (!loader_secrets_directory(command->config_path != NULL ? command->config_path
                                                               : LOADER_DEFAULT_CONFIG,
                                  directory)) {
        return fail_with(command->json, EXIT_USAGE, NULL, "the path is too long");
    }
    if (!name_is_good(name)) {
        return fail_with(command->json, EXIT_USAGE, NULL,
                         "'%s' is not the name of a secret: letters, figures, '-', '_' and '.'",
                         name);
    }
    if (strcmp(what, "new") == 0) {
        return secret_make(command, directory, name);
    }
    if (strcmp(what, "set") == 0) {
        return secret_from_stdin(command, directory, name);
    }
    if (strcmp(what, "fingerprint") == 0) {
        return secret_fingerprint(command, directory, name);
    }
    return fail_with(command->json, EXIT_USAGE, NULL,
                     "usage: sekisho secret new|set|fingerprint NAME");
}

static void help_verbs(void)
{
    printf("usage: sekisho [--run DIR | --socket PATH] VERB ... [--json]\n\n");
    for (size_t i = 0; verb_at(i) != NULL; i++) {
        const struct verb *verb = verb_at(i);
        char usage_text[64];

        snprintf(usage_text, sizeof(usage_text), "%s %s", verb->name, verb->arguments);
        printf("  %-32s %s\n", usage_text, verb->summary);
    }
    printf(
        "\nA word of the configuration: sekisho help peer        A code: sekisho explain SEK-A012\n"
        "Exit codes: 0 ok, 1 failed, 2 usage, 3 not running, 4 degraded\n");
}

static json_t *help_json(void)
{
    json_t *list = json_array();

    for (size_t i = 0; verb_at(i) != NULL; i++) {
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:s}", "verb", verb_at(i)->name, "arguments",
                                        verb_at(i)->arguments, "summary", verb_at(i)->summary));
    }
    return json_pack("{s:i, s:o}", "version", 1, "verbs", list);
}

int verb_help(const struct command *command)
{
    if (command->word_count == 0) {
        if (command->json) {
            json_t *answer = help_json();

            print_json(answer);
            json_decref(answer);
        } else {
            help_verbs();
        }
        return EXIT_OK;
    }
    char topic[128];
    const struct verb *verb = verb_find(command->words[0]);

    snprintf(topic, sizeof(topic), "%s%s%s", command->words[0], command->word_count > 1 ? " " : "",
             command->word_count > 1 ? command->words[1] : "");
    char *words = config_help(topic);

    if (verb == NULL && words == NULL) {
        return fail_with(command->json, EXIT_FAILED, "Try: sekisho help",
                         "there is neither a verb nor a word of the configuration '%s'", topic);
    }
    if (command->json) {
        json_t *answer = json_pack("{s:i, s:s, s:s}", "version", 1, "topic", topic, "text",
                                   words == NULL ? "" : words);

        print_json(answer);
        json_decref(answer);
    } else {
        if (verb != NULL) {
            printf("sekisho %s %s\n    %s\n", verb->name, verb->arguments, verb->summary);
        }
        if (words != NULL) {
            printf("%s%s\n", verb == NULL ? "" : "\n", words);
        }
    }
    free(words);
    return EXIT_OK;
}
