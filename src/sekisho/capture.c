/* `capture`: packets of one site into a file that Wireshark reads, until it is interrupted. The
 * daemon sends a JSON answer, then frames of pcapng and lines for the file of keys, at last the
 * figures; every frame of JSON begins with a brace, which no block of pcapng does. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "host/control_socket.h"
#include "sekisho/command.h"

#define NUMBER_MAX 1000000000

static volatile sig_atomic_t interrupted;

static void interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

struct capture_files {
    const struct command *command;
    int packets, keys;
    const char *packets_path, *keys_path;
};

static bool read_number(const char *word, long long *out)
{
    char *end = NULL;

    *out = 0;
    if (word == NULL) {
        return true;
    }
    errno = 0;
    *out = strtoll(word, &end, 10);
    return errno == 0 && end != word && *end == '\0' && *out > 0 && *out <= NUMBER_MAX;
}

static bool open_one(const char *path, int *out)
{
    if (strcmp(path, "-") == 0) {
        *out = STDOUT_FILENO;
        return true;
    }
    /* Clear text and keys are for nobody else. */
    *out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    struct stat what;
    return *out >= 0 && fstat(*out, &what) == 0 &&
           (!S_ISREG(what.st_mode) || fchmod(*out, 0600) == 0);
}

/* EXIT_OK, or how to end. */
static int write_to(const struct capture_files *files, int fd, const char *path, const char *data,
                    size_t length)
{
    while (length > 0) {
        ssize_t put = write(fd, data, length);

        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put < 0 && errno == EPIPE) {
            return fail_with(files->command->json && fd != STDOUT_FILENO, EXIT_FAILED, NULL,
                             "whoever read the capture has gone: it has ended");
        }
        if (put < 0) {
            return fail_with(files->command->json && fd != STDOUT_FILENO, EXIT_FAILED, NULL,
                             "the capture has ended: %s cannot be written: %s", path,
                             strerror(errno));
        }
        data += put;
        length -= (size_t)put;
    }
    return EXIT_OK;
}

static int show_end(const struct capture_files *files, const json_t *answer)
{
    FILE *to = files->packets == STDOUT_FILENO ? stderr : stdout;

    if (files->command->json && to == stdout) {
        print_json(answer);
        return EXIT_OK;
    }
    fprintf(to, "%.0f packets captured", number_of(answer, "packets"));
    if (number_of(answer, "lost") > 0) {
        fprintf(to, ", %.0f more were lost: they came faster than they could be written",
                number_of(answer, "lost"));
    }
    fputc('\n', to);
    return EXIT_OK;
}

/* A frame of JSON: a key, or the end. Sets *over at the end. */
static int take_json(const struct capture_files *files, const char *frame, bool *over)
{
    json_t *told = json_loads(frame, 0, NULL);
    const char *key = json_string_value(json_object_get(told, "key"));
    int exit_code = EXIT_OK;

    if (key != NULL && files->keys >= 0) {
        exit_code = write_to(files, files->keys, files->keys_path, key, strlen(key));
        if (exit_code == EXIT_OK) {
            exit_code = write_to(files, files->keys, files->keys_path, "\n", 1);
        }
    } else if (is_true(json_object_get(told, "answer"), "end")) {
        *over = true;
        exit_code = show_end(files, json_object_get(told, "answer"));
    }
    json_decref(told);
    return exit_code;
}

static int take_frame(const struct capture_files *files, int socket, bool *over)
{
    size_t length = 0;
    char *frame = control_read_frame(socket, &length);
    int exit_code;

    if (frame == NULL) {
        return fail_with(files->command->json, EXIT_FAILED, "See its log.",
                         "the daemon closed the connection: the capture has ended");
    }
    if (length > 0 && frame[0] == '{') {
        exit_code = take_json(files, frame, over);
    } else {
        exit_code = write_to(files, files->packets, files->packets_path, frame, length);
    }
    free(frame);
    return exit_code;
}

static long long now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int run(const struct capture_files *files, int socket, long long seconds)
{
    long long end_ms = now_ms() + seconds * 1000;
    bool stopped = false;
    bool over = false;
    int exit_code = EXIT_OK;

    while (!over && exit_code == EXIT_OK) {
        struct pollfd wait = {.fd = socket, .events = POLLIN};
        long long left_ms = seconds == 0 ? 500 : end_ms - now_ms();

        if (!stopped && (interrupted || left_ms <= 0)) {
            stopped = true;
            if (!control_write_frame(socket, slice_of_text("{\"verb\":\"capture\"}"))) {
                return fail_with(files->command->json, EXIT_FAILED, NULL,
                                 "the daemon closed the connection: the capture has ended");
            }
        }
        left_ms = left_ms < 0 || left_ms > 500 ? 500 : left_ms;
        if (poll(&wait, 1, (int)left_ms) > 0) {
            exit_code = take_frame(files, socket, &over);
        }
    }
    return exit_code;
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = interrupt};

    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
}

int verb_capture(const struct command *command)
{
    struct capture_files files = {.command = command,
                                  .packets = -1,
                                  .keys = -1,
                                  .packets_path = command->write_path,
                                  .keys_path = command->keys_path};
    long long count;
    long long seconds;
    int exit_code;

    if (command->write_path == NULL || (command->plain && command->both)) {
        return fail_with(command->json, EXIT_USAGE, NULL,
                         "usage: sekisho capture NAME [--plain|--both] -w FILE [--keys KEYFILE] "
                         "[--count N] [--seconds N]");
    }
    if (!read_number(command->count, &count) || !read_number(command->seconds, &seconds)) {
        return fail_with(command->json, EXIT_USAGE, NULL,
                         "--count and --seconds want a number from 1 to %d", NUMBER_MAX);
    }
    catch_signals();
    int socket = daemon_connect(command, &exit_code);
    json_t *reply = socket < 0 ? NULL : daemon_ask_on(command, socket, -1, &exit_code);
    if (reply == NULL) {
        if (socket >= 0) {
            close(socket);
        }
        return exit_code;
    }
    json_decref(reply);
    if (!open_one(command->write_path, &files.packets) ||
        (command->keys_path != NULL && !open_one(command->keys_path, &files.keys))) {
        exit_code = fail_with(command->json, EXIT_FAILED, NULL, "%s cannot be written: %s",
                              files.packets < 0 ? command->write_path : command->keys_path,
                              strerror(errno));
    } else {
        exit_code = run(&files, socket, seconds);
    }
    close(socket);
    return exit_code;
}
