/* A disk in memory. */
#include "config/testbed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/test.h"

static bool read_file(void *context, const char *path, struct slice *text, char *why,
                      size_t why_bytes)
{
    struct testbed *t = context;

    if (strcmp(path, "c.conf") == 0) {
        *text = t->main;
        return true;
    }
    for (size_t i = 0; i < t->count; i++) {
        if (strcmp(t->files[i].path, path) == 0) {
            *text = slice_of_text(t->files[i].text);
            return true;
        }
    }
    snprintf(why, why_bytes, "there is no such file");
    return false;
}

/* Only "front*" patterns. */
static size_t match(void *context, const char *pattern, const char **paths, size_t capacity)
{
    struct testbed *t = context;
    size_t front = strcspn(pattern, "*");
    size_t count = 0;

    for (size_t i = 0; i < t->count; i++) {
        if (strncmp(t->files[i].path, pattern, front) == 0) {
            if (count < capacity) {
                paths[count] = t->files[i].path;
            }
            count++;
        }
    }
    return count;
}

static bool secret(void *context, const char *name, char *why, size_t why_bytes)
{
    struct testbed *t = context;

    t->secrets_asked++;
    if (t->missing_secret != NULL && strcmp(name, t->missing_secret) == 0) {
        snprintf(why, why_bytes, "there is no secret %s: make it with sekisho secret new %s", name,
                 name);
        return false;
    }
    return true;
}

static bool secret_text(void *context, const char *name, struct secret *out, char *why,
                        size_t why_bytes)
{
    struct slice text;
    char path[80];

    snprintf(path, sizeof(path), "secrets/%s", name);
    return read_file(context, path, &text, why, why_bytes) && secret_set(out, text);
}

void testbed_has_secrets(struct testbed *t)
{
    t->loader.secret_text = secret_text;
}

void testbed_init(struct testbed *t)
{
    memset(t, 0, sizeof(*t));
    t->loader =
        (struct config_loader){.read = read_file, .match = match, .secret = secret, .context = t};
}

void testbed_add(struct testbed *t, const char *path, const char *text)
{
    assert_true(t->count < TESTBED_FILES_MAX);
    t->files[t->count++] = (struct testbed_file){path, text};
}

struct config_result *testbed_read_slice(struct testbed *t, struct slice text)
{
    t->main = text;
    struct config_result *result = config_read("c.conf", &t->loader);

    assert_non_null(result);
    return result;
}

struct config_result *testbed_read(struct testbed *t, const char *text)
{
    return testbed_read_slice(t, slice_of_text(text));
}

struct config *testbed_good(const char *text)
{
    struct testbed *t = malloc(sizeof(*t));

    testbed_init(t);
    struct config_result *result = testbed_read(t, text);

    if (result->config == NULL) {
        char *words = config_diagnostics_text(result);
        fprintf(stderr, "%s", words);
        free(words);
    }
    assert_non_null(result->config);
    struct config *config = config_take(result);

    config_result_free(result);
    free(t);
    return config;
}

char *testbed_words(const char *text)
{
    struct testbed *t = malloc(sizeof(*t));

    testbed_init(t);
    struct config_result *result = testbed_read(t, text);
    char *words = config_diagnostics_text(result);

    config_result_free(result);
    free(t);
    return words;
}
