/* The configuration from disk. */
#include "loader/loader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "host/files.h"
#include "loader/certificates.h"
#include "loader/users_store.h"

struct kept_text {
    struct kept_text *next;
    char *path; /* NULL for what was read from disk */
    char *text;
    size_t length;
};

struct kept_match {
    struct kept_match *next;
    struct files_match match;
};

struct loader {
    struct config_loader callbacks;
    struct kept_text *texts;
    struct kept_match *matches;
    char secrets[LOADER_PATH_BYTES];
    bool tries_tokens;
};

static bool keep_text(struct loader *loader, char *path, char *text, size_t length)
{
    struct kept_text *kept = malloc(sizeof(*kept));

    if (kept == NULL) {
        return false;
    }
    *kept = (struct kept_text){.next = loader->texts, .path = path, .text = text, .length = length};
    loader->texts = kept;
    return true;
}

/* The language says itself what cannot be read: only the reason stays. */
static void leave_reason(char *why, const char *path)
{
    const char *end = strstr(why, path);
    const char *reason = end == NULL ? NULL : end + strlen(path);

    if (reason != NULL && strncmp(reason, ": ", 2) == 0) {
        memmove(why, reason + 2, strlen(reason + 2) + 1);
    }
}

static bool read_text(void *context, const char *path, struct slice *text, char *why,
                      size_t why_bytes)
{
    struct loader *loader = context;
    size_t length = 0;

    for (const struct kept_text *kept = loader->texts; kept != NULL; kept = kept->next) {
        if (kept->path != NULL && strcmp(kept->path, path) == 0) {
            *text = (struct slice){(const uint8_t *)kept->text, kept->length};
            return true;
        }
    }
    char *bytes = files_read(path, &length, why, why_bytes);

    if (bytes == NULL) {
        leave_reason(why, path);
        return false;
    }
    if (!keep_text(loader, NULL, bytes, length)) {
        free(bytes);
        snprintf(why, why_bytes, "there is no memory to read it");
        return false;
    }
    *text = (struct slice){(const uint8_t *)bytes, length};
    return true;
}

static size_t match_paths(void *context, const char *pattern, const char **paths, size_t capacity)
{
    struct loader *loader = context;
    struct kept_match *kept = calloc(1, sizeof(*kept));

    if (kept == NULL || !files_match(pattern, &kept->match)) {
        free(kept);
        return 0;
    }
    kept->next = loader->matches;
    loader->matches = kept;
    for (size_t i = 0; i < kept->match.count && i < capacity; i++) {
        paths[i] = kept->match.paths[i];
    }
    return kept->match.count;
}

static bool secret_usable(void *context, const char *name, char *why, size_t why_bytes)
{
    const struct loader *loader = context;

    return files_secret_usable(loader->secrets, name, why, why_bytes);
}

static bool secret_text(void *context, const char *name, struct secret *out, char *why,
                        size_t why_bytes)
{
    const struct loader *loader = context;

    return files_read_secret(loader->secrets, name, out, why, why_bytes);
}

static bool certificates_usable(void *context, const struct config_site *site, const char *gateway,
                                char *why, size_t why_bytes)
{
    const struct loader *loader = context;
    struct credential *own = NULL;
    struct trust *trust = NULL;
    struct certificates_reading *reading =
        certificates_begin(loader->secrets, site, gateway, why, why_bytes);
    bool usable = reading != NULL;

    if (usable && (loader->tries_tokens || !certificates_wait_for_token(reading))) {
        usable = certificates_end(reading, &own, &trust, why, why_bytes);
    }
    credential_free(own);
    trust_free(trust);
    certificates_reading_free(reading);
    return usable;
}

static bool users_usable(void *context, const char *path, char *why, size_t why_bytes)
{
    struct users users;
    bool good = users_store_read_file(path, true, &users, why, why_bytes);

    (void)context;
    users_fini(&users);
    return good;
}

void loader_try_tokens(struct loader *loader)
{
    loader->tries_tokens = true;
}

struct loader *loader_new(const char *secrets_directory, bool check_secrets)
{
    struct loader *loader = calloc(1, sizeof(*loader));

    if (loader == NULL ||
        !text_copy(loader->secrets, sizeof(loader->secrets), slice_of_text(secrets_directory))) {
        free(loader);
        return NULL;
    }
    loader->callbacks = (struct config_loader){
        .read = read_text,
        .match = match_paths,
        .secret = check_secrets ? secret_usable : NULL,
        .secret_text = check_secrets ? secret_text : NULL,
        .certificates = check_secrets ? certificates_usable : NULL,
        .users = check_secrets ? users_usable : NULL,
        .context = loader,
    };
    return loader;
}

void loader_free(struct loader *loader)
{
    if (loader == NULL) {
        return;
    }
    while (loader->texts != NULL) {
        struct kept_text *kept = loader->texts;

        loader->texts = kept->next;
        free(kept->path);
        free(kept->text);
        free(kept);
    }
    while (loader->matches != NULL) {
        struct kept_match *kept = loader->matches;

        loader->matches = kept->next;
        files_match_free(&kept->match);
        free(kept);
    }
    free(loader);
}

const struct config_loader *loader_config(const struct loader *loader)
{
    return &loader->callbacks;
}

bool loader_give_text(struct loader *loader, const char *path, struct slice text)
{
    char *name = malloc(strlen(path) + 1);
    char *bytes = malloc(text.length + 1);

    if (name == NULL || bytes == NULL || !keep_text(loader, name, bytes, text.length)) {
        free(name);
        free(bytes);
        return false;
    }
    memcpy(name, path, strlen(path) + 1);
    if (text.length > 0) {
        memcpy(bytes, text.data, text.length);
    }
    bytes[text.length] = '\0';
    return true;
}

bool loader_secrets_directory(const char *config_path, char out[LOADER_PATH_BYTES])
{
    const char *slash = strrchr(config_path, '/');
    int folder = slash == NULL ? 1 : (int)(slash - config_path);
    int length =
        snprintf(out, LOADER_PATH_BYTES, "%.*s/secrets", folder, slash == NULL ? "." : config_path);

    return length > 0 && length < LOADER_PATH_BYTES;
}

bool loader_beside(const char *secrets_directory, const char *name, char out[LOADER_PATH_BYTES])
{
    const char *slash = strrchr(secrets_directory, '/');
    int folder = slash == NULL ? 0 : (int)(slash - secrets_directory + 1);
    int length = snprintf(out, LOADER_PATH_BYTES, "%.*s%s", folder, secrets_directory, name);

    return length > 0 && length < LOADER_PATH_BYTES;
}
