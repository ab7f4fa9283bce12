/*
 * Configurations of any bytes: read without harm; what is good is shown as text that reads as the
 * same configuration, and formatted text means what it meant.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "fuzz.h"

static bool read_text(void *context, const char *path, struct slice *text, char *why,
                      size_t why_bytes)
{
    if (strcmp(path, "fuzz.conf") != 0) {
        snprintf(why, why_bytes, "there is no such file");
        return false;
    }
    *text = *(const struct slice *)context;
    return true;
}

static size_t match(void *context, const char *pattern, const char **paths, size_t capacity)
{
    (void)context;
    if (capacity == 0 || pattern[0] == 'x') {
        return 0;
    }
    paths[0] = "fuzz.conf";
    return 1;
}

static struct config_result *read(struct slice *text)
{
    struct config_loader loader = {.read = read_text, .match = match, .context = text};

    return config_read("fuzz.conf", &loader);
}

static uint64_t hash_of(const char *text)
{
    struct slice slice = slice_of_text(text);
    struct config_result *result = read(&slice);

    MUST(result != NULL && result->config != NULL);
    uint64_t hash = result->config->hash;

    config_result_free(result);
    return hash;
}

static void check_good(const struct config *config, struct slice text)
{
    char *shown = config_show(config, false);
    char *all = config_show(config, true);
    char *formatted = config_format(text);

    MUST(shown != NULL && all != NULL && formatted != NULL);
    MUST(hash_of(shown) == config->hash);
    MUST(hash_of(all) == config->hash);
    MUST(hash_of(formatted) == config->hash);
    free(shown);
    free(all);
    free(formatted);
}

FUZZ(config, 4000)
{
    struct slice text = {data, size};

    if (size > 16384) {
        return 0;
    }
    struct config_result *result = read(&text);

    MUST(result != NULL);
    char *words = config_diagnostics_text(result);

    MUST(words != NULL);
    for (const char *c = words; *c != '\0'; c++) {
        MUST((unsigned char)*c >= ' ' || *c == '\n' || *c == '\t');
    }
    free(words);
    MUST((result->config == NULL) == (result->error_count > 0));
    if (result->config != NULL) {
        check_good(result->config, text);
    }
    config_result_free(result);
    return 0;
}
