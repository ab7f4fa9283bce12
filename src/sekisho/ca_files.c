/* Decides where `sekisho ca` keeps its files, and what its index looks like. */
#include "sekisho/ca_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/files.h"
#include "loader/certificates.h"

int ca_files_begin(const struct command *command, struct ca_files *files)
{
    char secrets[LOADER_PATH_BYTES];

    *files = (struct ca_files){.command = command};
    if (!loader_secrets_directory(
            command->config_path != NULL ? command->config_path : LOADER_DEFAULT_CONFIG, secrets) ||
        !loader_beside(secrets, "ca", files->folder) ||
        !loader_beside(secrets, CERTIFICATES_FOLDER, files->certificates)) {
        return fail_with(command->json, EXIT_USAGE, NULL, "the path is too long");
    }
    return EXIT_OK;
}

int ca_passphrase(const struct command *command, struct secret *out)
{
    size_t length = 0;
    char why[512];

    if (command->passphrase_path == NULL) {
        return EXIT_OK;
    }
    char *text = files_read_private(command->passphrase_path, &length, why, sizeof(why));

    if (text == NULL) {
        return fail_with(command->json, EXIT_FAILED, NULL, "%s", why);
    }
    size_t used = strcspn(text, "\r\n");
    bool good = used > 0 && secret_set(out, (struct slice){(const uint8_t *)text, used});

    wipe(text, length);
    free(text);
    return good
               ? EXIT_OK
               : fail_with(command->json, EXIT_FAILED, NULL,
                           "the first line of %s must be the passphrase", command->passphrase_path);
}

static void path_of(const struct ca_files *files, const char *name, char out[CA_PATH_BYTES])
{
    snprintf(out, CA_PATH_BYTES, "%s/%s", files->folder, name);
}

bool ca_files_exist(const struct ca_files *files)
{
    char path[CA_PATH_BYTES];

    path_of(files, "ca.pem", path);
    return access(path, F_OK) == 0;
}

static int read_authority(struct ca_files *files)
{
    char path[CA_PATH_BYTES];
    char why[512];
    size_t length = 0;
    struct certificate_bag bag = {0};

    path_of(files, "ca.pem", path);
    char *text = files_read(path, &length, why, sizeof(why));

    if (text == NULL) {
        return fail_with(files->command->json, EXIT_FAILED, "Make the authority: sekisho ca init",
                         "%s", why);
    }
    bool good = certificate_bag_add(&bag, (struct slice){(const uint8_t *)text, length}) ==
                    CERTIFICATE_BAG_FINE &&
                bag.certificate_count == 1;

    if (good) {
        files->authority = certificate_hold(bag.certificates[0]);
    }
    certificate_bag_fini(&bag);
    free(text);
    return good ? EXIT_OK
                : fail_with(files->command->json, EXIT_FAILED, NULL,
                            "%s is not the certificate of an authority", path);
}

static int read_key(struct ca_files *files)
{
    char path[CA_PATH_BYTES];
    char why[512];
    size_t length = 0;
    struct secret passphrase = {.bytes = NULL};

    path_of(files, "ca.key", path);
    int exit_code = ca_passphrase(files->command, &passphrase);

    if (exit_code != EXIT_OK) {
        return exit_code;
    }
    char *text = files_read_private(path, &length, why, sizeof(why));

    if (text == NULL) {
        secret_wipe(&passphrase);
        return fail_with(files->command->json, EXIT_FAILED, NULL, "%s", why);
    }
    enum private_key_problem problem = private_key_read(
        (struct slice){(const uint8_t *)text, length}, secret_slice(&passphrase), &files->key);

    secret_wipe(&passphrase);
    wipe(text, length);
    free(text);
    if (problem != PRIVATE_KEY_FINE) {
        return fail_with(files->command->json, EXIT_FAILED,
                         problem == PRIVATE_KEY_NEEDS_PASSPHRASE
                             ? "Name the file that holds it: --passphrase FILE"
                             : NULL,
                         "%s: %s", path, private_key_problem_words(problem));
    }
    if (certificate_key(files->authority) == NULL ||
        !private_key_fits(files->key, certificate_key(files->authority))) {
        return fail_with(files->command->json, EXIT_FAILED, NULL,
                         "%s is not the key of the authority", path);
    }
    return EXIT_OK;
}

static bool grow(struct ca_files *files)
{
    struct issued *records = realloc(files->records, (files->count + 64) * sizeof(*files->records));

    if (records == NULL || files->count >= CA_RECORDS_MAX) {
        files->records = records != NULL ? records : files->records;
        return false;
    }
    files->records = records;
    return true;
}

static int read_index(struct ca_files *files)
{
    char path[CA_PATH_BYTES];
    char why[512];
    size_t length = 0;

    path_of(files, "index", path);
    char *text = files_read_private_to(path, ISSUED_INDEX_BYTES_MAX, &length, why, sizeof(why));

    if (text == NULL) {
        return fail_with(files->command->json, EXIT_FAILED, NULL, "%s", why);
    }
    int exit_code = EXIT_OK;

    for (char *rest = text, *line; exit_code == EXIT_OK && (line = strsep(&rest, "\n")) != NULL;) {
        if (line[0] == '\0') {
            continue;
        }
        if ((files->count % 64 == 0 && !grow(files)) ||
            !issued_read(line, &files->records[files->count])) {
            exit_code = fail_with(files->command->json, EXIT_FAILED, NULL,
                                  "a line of %s cannot be read: %.60s", path, line);
            break;
        }
        files->count++;
    }
    free(text);
    return exit_code;
}

/* Its one line; what is not there was never said. */
static void read_url(struct ca_files *files)
{
    char path[CA_PATH_BYTES];
    char why[512];
    size_t length = 0;

    path_of(files, "url", path);
    char *text = files_read(path, &length, why, sizeof(why));

    files->url[0] = '\0';
    if (text != NULL) {
        text[strcspn(text, "\r\n")] = '\0';
        if (authority_url_is_good(text)) {
            snprintf(files->url, sizeof(files->url), "%s", text);
        }
    }
    free(text);
}

int ca_files_open(struct ca_files *files, bool key)
{
    int exit_code = read_authority(files);

    read_url(files);
    if (exit_code == EXIT_OK) {
        exit_code = read_index(files);
    }
    return exit_code == EXIT_OK && key ? read_key(files) : exit_code;
}

void ca_files_fini(struct ca_files *files)
{
    certificate_free(files->authority);
    private_key_free(files->key);
    free(files->records);
    *files = (struct ca_files){.command = NULL};
}

int ca_files_write_path(const struct ca_files *files, const char *path, struct slice bytes,
                        unsigned mode)
{
    char why[512];

    return files_write(path, bytes, mode, why, sizeof(why))
               ? EXIT_OK
               : fail_with(files->command->json, EXIT_FAILED, NULL, "%s", why);
}

int ca_files_write(const struct ca_files *files, const char *folder, const char *name,
                   const char *ending, struct slice bytes, unsigned mode)
{
    char path[CA_PATH_BYTES];
    char why[512];

    if (snprintf(path, sizeof(path), "%s/%s%s", folder, name, ending) >= (int)sizeof(path)) {
        return fail_with(files->command->json, EXIT_FAILED, NULL, "the path is too long");
    }
    if (!files_make_directory(folder, 0700, why, sizeof(why))) {
        return fail_with(files->command->json, EXIT_FAILED, NULL, "%s", why);
    }
    return ca_files_write_path(files, path, bytes, mode);
}

int ca_files_save(const struct ca_files *files)
{
    size_t capacity = files->count * ISSUED_LINE_BYTES + 1;
    char *text = malloc(capacity);

    if (text == NULL) {
        return fail_with(files->command->json, EXIT_FAILED, NULL, "there is no memory");
    }
    struct text out = text_over(text, capacity);

    for (size_t i = 0; i < files->count; i++) {
        issued_write(&files->records[i], &out);
    }
    int exit_code = ca_files_write(files, files->folder, "index", "",
                                   (struct slice){(const uint8_t *)text, out.length}, 0600);

    free(text);
    return exit_code;
}

int ca_files_add(struct ca_files *files, const struct issued *record)
{
    if (files->count % 64 == 0 && !grow(files)) {
        return fail_with(files->command->json, EXIT_FAILED, NULL, "the index is full");
    }
    files->records[files->count++] = *record;
    return ca_files_save(files);
}
