/*
 * The daemon's beginning and end: read the command line and the configuration, take the run
 * directory, start, tell that it is ready, run, close.
 */
#include "sekishod/daemon.h"

#include "crypto/key_exchange.h"
#include "crypto/protect.h"
#include "host/background.h"
#include "host/clock.h"
#include "host/files.h"
#include "host/memory.h"
#include "host/notify.h"
#include "host/privileges.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define EXIT_USAGE 2

static enum journal_place place_of_log(void)
{
    return getenv("JOURNAL_STREAM") != NULL ? JOURNAL_SYSTEMD : JOURNAL_TERMINAL;
}

static int fail(const char *why)
{
    fprintf(stderr, "sekishod: %s\n", why);
    return EXIT_FAILURE;
}

/* Prints what is wrong; the configuration, or NULL when it has errors. */
static struct config *read_config(struct daemon *daemon)
{
    struct config_result *result = apply_read(daemon);

    if (result == NULL) {
        (void)fail("no memory to read the configuration");
        return NULL;
    }
    char *text = result->diagnostic_count > 0 ? config_diagnostics_text(result) : NULL;
    if (text != NULL) {
        (void)fputs(text, stderr);
    }
    free(text);
    struct config *config = result->error_count == 0 ? config_take(result) : NULL;
    config_result_free(result);
    return config;
}

static void tell_ready(const struct daemon *daemon, size_t site_count)
{
    char state[256];

    printf("sekishod " SEKISHO_VERSION " is ready: %s, %zu site%s, device %s\n",
           daemon->config->gateway, site_count, site_count == 1 ? "" : "s", daemon->device);
    (void)fflush(stdout);
    snprintf(state, sizeof(state), "READY=1\nSTATUS=%.100s, %zu sites", daemon->config->gateway,
             site_count);
    notify_send(state);
}

static bool open_directories(struct daemon *daemon, char *why, size_t why_bytes)
{
    return run_directory_take(&daemon->run, daemon->options.run_directory, why, why_bytes) &&
           files_make_directory(daemon->options.state_directory, 0700, why, why_bytes);
}

/* Everything up to the ready line. Takes the configuration. */
static bool come_up(struct daemon *daemon, struct config *config, struct background *background,
                    char *why, size_t why_bytes)
{
    size_t site_count = config->site_count + config->manual_count;

    if (!open_directories(daemon, why, why_bytes) ||
        !daemon_start(daemon, config, why, why_bytes)) {
        config_free(config);
        return false;
    }
    uint64_t now_ms = clock_now_ms();
    apply_config(daemon, config, now_ms);
    actions_run(daemon, now_ms);
    if (!daemon_open_control(daemon, why, why_bytes)) {
        return false;
    }
    memory_give_back();
    tell_ready(daemon, site_count);
    if (!daemon->options.foreground) {
        journal_move(daemon->journal, JOURNAL_SYSLOG);
        background_ready(background);
    }
    return true;
}

static int run(struct daemon *daemon, struct config *config)
{
    struct background background = {0};
    char why[512] = "";

    if (!daemon->options.foreground && !background_enter(&background, why, sizeof(why))) {
        config_free(config);
        return fail(why);
    }
    bool up = come_up(daemon, config, &background, why, sizeof(why));
    if (up) {
        daemon_run(daemon);
        daemon_close(daemon);
    } else {
        (void)fail(why);
    }
    daemon_stop(daemon);
    run_directory_leave(&daemon->run);
    return up && !daemon->failed ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    static struct daemon daemon = {.run = {.lock_fd = -1}};
    char why[256];

    switch (options_read(&daemon.options, argc, argv, why, sizeof(why))) {
    case OPTIONS_HELP:
        (void)fputs(options_usage(), stdout);
        return EXIT_SUCCESS;
    case OPTIONS_VERSION:
        (void)puts("sekishod " SEKISHO_VERSION);
        return EXIT_SUCCESS;
    case OPTIONS_WRONG:
        fprintf(stderr, "sekishod: %s\n%s", why, options_usage());
        return EXIT_USAGE;
    case OPTIONS_OK:
        break;
    }
    privileges_hide();
    if (!protect_start(daemon.options.openssl_only ? PROTECT_OPENSSL : PROTECT_AUTOMATIC)) {
        return fail("the crypto library does not compute what it should: is OpenSSL whole?");
    }
    key_exchange_start();
    struct config *config = read_config(&daemon);
    if (config == NULL && geteuid() != 0) {
        fprintf(stderr,
                "sekishod: this is not root, who alone may read the secrets: start it as root\n");
    }
    if (config == NULL || daemon.options.check_only) {
        config_free(config);
        loader_free(daemon.loader);
        return config == NULL ? EXIT_FAILURE : EXIT_SUCCESS;
    }
    daemon.journal = journal_new(daemon.options.log_level, place_of_log(), clock_date_ms);
    if (daemon.journal == NULL) {
        return fail("no memory");
    }
    daemon.log = journal_sink(daemon.journal);
    int result = run(&daemon, config);
    journal_free(daemon.journal);
    return result;
}
