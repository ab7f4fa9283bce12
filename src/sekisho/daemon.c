/* Asking the daemon: one frame of JSON over its control socket, one frame back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/control_socket.h"
#include "sekisho/command.h"

const char *daemon_socket_path(const char *socket_path, const char *run_folder)
{
    static char path[4096];
    const char *from_environment = getenv("SEKISHO_SOCKET");

    if (socket_path != NULL) {
        return socket_path;
    }
    if (run_folder == NULL && from_environment != NULL && from_environment[0] != '\0') {
        return from_environment;
    }
    int length = snprintf(path, sizeof(path), "%s/control.sock",
                          run_folder == NULL ? "/run/sekisho" : run_folder);

    return length < 0 || (size_t)length >= sizeof(path) ? NULL : path;
}

static char *request_text(const struct command *command, long long after)
{
    json_t *words = json_array();
    json_t *options = json_object();

    for (size_t i = 0; i < command->word_count; i++) {
        json_array_append_new(words, json_string(command->words[i]));
    }
    if (command->verbose) {
        json_object_set_new(options, "verbose", json_true());
    }
    if (command->all) {
        json_object_set_new(options, "all", json_true());
    }
    if (command->dry_run) {
        json_object_set_new(options, "dry_run", json_true());
    }
    if (command->rekey) {
        json_object_set_new(options, "rekey", json_true());
    }
    if (command->plain) {
        json_object_set_new(options, "plain", json_true());
    }
    if (command->both) {
        json_object_set_new(options, "both", json_true());
    }
    if (command->keys_path != NULL) {
        json_object_set_new(options, "keys", json_true());
    }
    if (command->count != NULL) {
        json_object_set_new(options, "count", json_integer(strtoll(command->count, NULL, 10)));
    }
    if (command->password != NULL) {
        json_object_set_new(options, "password", json_string(command->password));
        json_object_set_new(options, "service",
                            json_string(command->service == NULL ? "" : command->service));
        json_object_set_new(options, "state", json_string(command->login_state));
    }
    if (after >= 0) {
        json_object_set_new(options, "after", json_integer(after));
    }
    json_t *request =
        json_pack("{s:s, s:o, s:o}", "verb", command->verb, "words", words, "options", options);
    char *text = request == NULL ? NULL : json_dumps(request, JSON_COMPACT);

    json_decref(request);
    return text;
}

int daemon_connect(const struct command *command, int *exit_code)
{
    char why[256];
    bool absent = false;

    if (command->socket_path == NULL) {
        *exit_code = fail_with(command->json, EXIT_USAGE, NULL,
                               "the path of the control socket is too long");
        return -1;
    }
    int fd = control_connect(command->socket_path, &absent, why, sizeof(why));

    if (fd < 0) {
        *exit_code = fail_with(
            command->json, absent ? EXIT_NOT_RUNNING : EXIT_FAILED,
            absent ? "Start the daemon: systemctl start sekisho, or sekishod --foreground. Another "
                     "place\nof its socket is said by --run DIR, --socket PATH or SEKISHO_SOCKET."
                   : NULL,
            "%s", why);
    }
    return fd;
}

json_t *daemon_ask(const struct command *command, long long after, int *exit_code)
{
    int fd = daemon_connect(command, exit_code);

    if (fd < 0) {
        return NULL;
    }
    json_t *reply = daemon_ask_on(command, fd, after, exit_code);
    close(fd);
    return reply;
}

json_t *daemon_ask_pages(const struct command *command, const char *list, int *exit_code)
{
    int fd = daemon_connect(command, exit_code);

    if (fd < 0) {
        return NULL;
    }
    json_t *reply = daemon_ask_on(command, fd, -1, exit_code);
    const json_t *next = json_object_get(json_object_get(reply, "answer"), "next");
    long long after = json_is_integer(next) ? json_integer_value(next) : 0;

    while (after > 0) {
        int this_exit;
        json_t *page = daemon_ask_on(command, fd, after, &this_exit);
        const json_t *answer = json_object_get(page, "answer");

        if (page == NULL) {
            json_decref(reply);
            reply = NULL;
            *exit_code = this_exit;
            break;
        }
        json_array_extend(json_object_get(json_object_get(reply, "answer"), list),
                          json_object_get(answer, list));
        *exit_code = this_exit > *exit_code ? this_exit : *exit_code;
        next = json_object_get(answer, "next");
        /* It only ever grows. */
        after = json_is_integer(next) && json_integer_value(next) > after ? json_integer_value(next)
                                                                          : 0;
        json_decref(page);
    }
    json_object_del(json_object_get(reply, "answer"), "next");
    close(fd);
    return reply;
}

json_t *daemon_ask_on(const struct command *command, int fd, long long after, int *exit_code)
{
    *exit_code = EXIT_FAILED;
    char *request = request_text(command, after);
    char *line = NULL;
    size_t length = 0;

    if (request != NULL && control_write_frame(fd, slice_of_text(request))) {
        line = control_read_frame(fd, &length);
    }
    free(request);
    if (line == NULL) {
        *exit_code = fail_with(command->json, EXIT_FAILED, "See its log.",
                               "the daemon closed the connection without an answer");
        return NULL;
    }
    json_error_t error;
    json_t *reply = json_loads(line, 0, &error);

    free(line);
    if (!json_is_object(reply)) {
        *exit_code = fail_with(command->json, EXIT_FAILED, NULL,
                               "the daemon answered something else: %s", error.text);
        json_decref(reply);
        return NULL;
    }
    *exit_code = (int)number_of(reply, "exit");
    const char *sentence = json_string_value(json_object_get(reply, "error"));

    if (sentence != NULL) {
        if (command->json) {
            print_json(reply);
        } else {
            const char *next = text_of(reply, "next");

            fprintf(stderr, "sekisho: %s%s%s\n", sentence, next[0] == '\0' ? "" : "\n", next);
        }
        json_decref(reply);
        return NULL;
    }
    return reply;
}
