/* Decides what the words of the command line mean and what stands in their place. */
#include "sekishod/options.h"

#include "sekishod/journal.h"

#include <stdio.h>
#include <string.h>

#define DEFAULT_CONFIG "/etc/sekisho/sekisho.conf"
#define DEFAULT_SECRETS "/etc/sekisho/secrets"

const char *options_usage(void)
{
    return "usage: sekishod [-c FILE] [--run DIR] [--state DIR] [--foreground]\n"
           "                [--log-level error|warning|notice|info|debug]\n"
           "                [--crypto automatic|openssl] [--offload on|off] [--check]\n"
           "  -c FILE       the configuration, " DEFAULT_CONFIG "\n"
           "  --run DIR     control socket and lock, /run/sekisho\n"
           "  --state DIR   what is kept between runs, /var/lib/sekisho\n"
           "  --foreground  stay in the foreground and log to standard error\n"
           "  --crypto      use OpenSSL alone, or what is fastest (automatic)\n"
           "  --offload     let the system hand over many packets in one piece (on)\n"
           "  --check       read the configuration, say what is wrong, and end\n";
}

static bool is_word(const char *argument, const char *word)
{
    return strcmp(argument, word) == 0;
}

/* `secrets/` beside the configuration when that was named, else the system's place. */
static void set_secrets_directory(struct options *options, bool config_was_named)
{
    const char *slash = strrchr(options->config_path, '/');

    if (!config_was_named) {
        snprintf(options->secrets_directory, sizeof(options->secrets_directory), DEFAULT_SECRETS);
        return;
    }
    snprintf(options->secrets_directory, sizeof(options->secrets_directory), "%.*ssecrets",
             slash == NULL ? 0 : (int)(slash - options->config_path + 1), options->config_path);
}

/* Two words, of which the second sets. */
static enum options_result read_choice(const char *word, const char *value, const char *usual,
                                       const char *other, bool *out, char *why, size_t why_bytes)
{
    if (!is_word(value, usual) && !is_word(value, other)) {
        snprintf(why, why_bytes, "%s knows %s and %s, not %.40s", word, usual, other, value);
        return OPTIONS_WRONG;
    }
    *out = is_word(value, other);
    return OPTIONS_OK;
}

static enum options_result read_value(struct options *out, const char *word, const char *value,
                                      char *why, size_t why_bytes)
{
    if (is_word(word, "--run")) {
        out->run_directory = value;
    } else if (is_word(word, "--state")) {
        out->state_directory = value;
    } else if (is_word(word, "-c")) {
        out->config_path = value;
    } else if (is_word(word, "--log-level")) {
        if (!journal_level_parse(value, &out->log_level)) {
            snprintf(why, why_bytes,
                     "--log-level knows error, warning, notice, info and debug, not %.40s", value);
            return OPTIONS_WRONG;
        }
    } else if (is_word(word, "--offload")) {
        return read_choice(word, value, "on", "off", &out->no_offload, why, why_bytes);
    } else {
        return read_choice(word, value, "automatic", "openssl", &out->openssl_only, why, why_bytes);
    }
    return OPTIONS_OK;
}

static bool wants_value(const char *word)
{
    static const char *const words[] = {"-c",          "--run",    "--state",
                                        "--log-level", "--crypto", "--offload"};

    for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
        if (is_word(word, words[i])) {
            return true;
        }
    }
    return false;
}

enum options_result options_read(struct options *out, int argc, char **argv, char *why,
                                 size_t why_bytes)
{
    *out = (struct options){.config_path = DEFAULT_CONFIG,
                            .run_directory = "/run/sekisho",
                            .state_directory = "/var/lib/sekisho",
                            .log_level = LOG_LEVEL_INFO};
    bool config_was_named = false;

    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];

        if (is_word(word, "--help") || is_word(word, "-h")) {
            return OPTIONS_HELP;
        }
        if (is_word(word, "--version")) {
            return OPTIONS_VERSION;
        }
        if (is_word(word, "--foreground")) {
            out->foreground = true;
        } else if (is_word(word, "--check")) {
            out->check_only = true;
        } else if (!wants_value(word)) {
            snprintf(why, why_bytes, "unknown option %.60s", word);
            return OPTIONS_WRONG;
        } else if (i + 1 == argc) {
            snprintf(why, why_bytes, "%s needs a value", word);
            return OPTIONS_WRONG;
        } else {
            enum options_result result = read_value(out, word, argv[++i], why, why_bytes);

            if (result != OPTIONS_OK) {
                return result;
            }
            config_was_named = config_was_named || is_word(word, "-c");
        }
    }
    set_secrets_directory(out, config_was_named);
    return OPTIONS_OK;
}
