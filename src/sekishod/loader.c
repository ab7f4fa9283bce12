/* Decides where included files and secrets are, and keeps the texts for as long as they are
 * borrowed. */
#include "sekishod/loader.h"

#include "host/files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct text {
    struct text *next;
    char *bytes;
};

struct names {
    struct names *next;
    struct files_match match;
};

struct loader {
    struct config_loader interface;
    const char *secrets_directory;
    struct text *texts;
    struct names *names;
};

static bool read_text(void *context, const char *path, struct slice *text, char *why,
                      size_t why_bytes)
{
    struct loader *loader = context;
    struct text *kept = calloc(1, sizeof(*kept));
    size_t length = 0;

    if (kept == NULL) {
        snprintf(why, why_bytes, "no memory for %s", path);
        return false;
    }
    kept->bytes = files_read(path, &length, why, why_bytes);
    if (kept->bytes == NULL) {
        free(kept);
        return false;
    }
    kept->next = loader->texts;
    loader->texts = kept;
    *text = (struct slice){(const uint8_t *)kept->bytes, length};
    return true;
}

static size_t match_names(void *context, const char *pattern, const char **paths, size_t capacity)
{
    struct loader *loader = context;
    struct names *kept = calloc(1, sizeof(*kept));

    if (kept == NULL || !files_match(pattern, &kept->match)) {
        free(kept);
        return 0;
    }
    kept->next = loader->names;
    loader->names = kept;
    size_t count = kept->match.count < capacity ? kept->match.count : capacity;
    for (size_t i = 0; i < count; i++) {
        paths[i] = kept->match.paths[i];
    }
    return count;
}

static bool check_secret(void *context, const char *name, char *why, size_t why_bytes)
{
    const struct loader *loader = context;

    return files_secret_usable(loader->secrets_directory, name, why, why_bytes);
}

struct loader *loader_new(const char *secrets_directory)
{
    struct loader *loader = calloc(1, sizeof(*loader));

    if (loader != NULL) {
        loader->secrets_directory = secrets_directory;
        loader->interface = (struct config_loader){
            .read = read_text, .match = match_names, .secret = check_secret, .context = loader};
    }
    return loader;
}

void loader_free(struct loader *loader)
{
    if (loader == NULL) {
        return;
    }
    while (loader->texts != NULL) {
        struct text *next = loader->texts->next;

        free(loader->texts->bytes);
        free(loader->texts);
        loader->texts = next;
    }
    while (loader->names != NULL) {
        struct names *next = loader->names->next;

        files_match_free(&loader->names->match);
        free(loader->names);
        loader->names = next;
    }
    free(loader);
}

const struct config_loader *loader_interface(struct loader *loader)
{
    return &loader->interface;
}
