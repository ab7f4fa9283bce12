/* Decides in which files the certificates of a site are, and says what is wrong with them. */
#include "loader/certificates.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "host/files.h"
#include "loader/loader.h"

/* A path as it is written begins at the folder in which the secrets' folder stands. */
static bool place(const char *secrets_directory, const char *folder, const char *name,
                  const char *ending, char out[LOADER_PATH_BYTES])
{
    const char *slash = strrchr(secrets_directory, '/');
    int base = slash == NULL ? 0 : (int)(slash - secrets_directory + 1);
    int length = name[0] == '/' ? snprintf(out, LOADER_PATH_BYTES, "%s%s", name, ending)
                                : snprintf(out, LOADER_PATH_BYTES, "%.*s%s%s%s", base,
                                           secrets_directory, folder, name, ending);

    return length > 0 && length < LOADER_PATH_BYTES;
}

static void explain(const struct credential_verdict *verdict, const char *path, char *why,
                    size_t why_bytes)
{
    struct text text = text_over(why, why_bytes);

    text_addf(&text, "%s: ", path);
    credential_verdict_words(verdict, &text);
}

static struct credential *load_own(const char *path, const char *key_path, char *why,
                                   size_t why_bytes)
{
    size_t length = 0;
    size_t key_length = 0;
    struct credential_verdict verdict;
    char *bytes = files_read(path, &length, why, why_bytes);
    char *key = bytes == NULL ? NULL : files_read_private(key_path, &key_length, why, why_bytes);
    struct credential *own = NULL;

    if (key != NULL) {
        own = credential_read((struct slice){(const uint8_t *)bytes, length},
                              (struct slice){(const uint8_t *)key, key_length},
                              (struct slice){NULL, 0}, &verdict);
        if (own == NULL) {
            explain(&verdict, verdict.problem == CREDENTIAL_CERTIFICATE ? path : key_path, why,
                    why_bytes);
        }
        wipe(key, key_length);
    }
    if (bytes != NULL) {
        wipe(bytes, length); /* the key may stand in it too */
    }
    free(key);
    free(bytes);
    return own;
}

static bool add_trust(struct trust *trust, const char *path, char *why, size_t why_bytes)
{
    size_t length = 0;
    struct certificate_bag bag = {0};
    char *bytes = files_read(path, &length, why, why_bytes);

    if (bytes == NULL) {
        return false;
    }
    enum certificate_bag_problem problem =
        certificate_bag_add(&bag, (struct slice){(const uint8_t *)bytes, length});
    bool added = problem == CERTIFICATE_BAG_FINE && trust_add(trust, &bag);

    if (!added) {
        snprintf(why, why_bytes, "%s: %s", path,
                 problem == CERTIFICATE_BAG_FINE ? "these are too many authorities"
                                                 : certificate_bag_problem_words(problem));
    }
    certificate_bag_fini(&bag);
    free(bytes);
    return added;
}

static struct trust *load_trust(const char *secrets_directory, const struct config_site *site,
                                char *why, size_t why_bytes)
{
    struct trust *trust = trust_new();
    char path[LOADER_PATH_BYTES];
    bool good = trust != NULL;

    if (site->trust_count == 0) {
        good =
            good &&
            place(secrets_directory, CERTIFICATES_FOLDER "/", CERTIFICATES_AUTHORITIES, "", path) &&
            add_trust(trust, path, why, why_bytes);
    }
    for (size_t i = 0; good && i < site->trust_count; i++) {
        good = place(secrets_directory, "", site->trusts[i], "", path) &&
               add_trust(trust, path, why, why_bytes);
    }
    const struct config_asked *asked = site->asked;

    for (size_t i = 0; good && asked != NULL && i < asked->responder_count; i++) {
        good = trust_add_source(trust, REVOCATION_SOURCE_RESPONDER, asked->responders[i]);
    }
    for (size_t i = 0; good && asked != NULL && i < asked->crl_count; i++) {
        good = trust_add_source(trust, REVOCATION_SOURCE_LIST, asked->crls[i]);
    }
    if (!good) {
        trust_free(trust);
        return NULL;
    }
    return trust;
}

bool certificates_load(const char *secrets_directory, const struct config_site *site,
                       const char *gateway, struct credential **own, struct trust **trust,
                       char *why, size_t why_bytes)
{
    char path[LOADER_PATH_BYTES];
    char key_path[LOADER_PATH_BYTES];
    bool named = site->certificate != NULL;
    const char *folder = named ? "" : CERTIFICATES_FOLDER "/";
    const char *key = !named                          ? gateway
                      : site->certificate_key != NULL ? site->certificate_key
                                                      : site->certificate;

    *own = NULL;
    *trust = NULL;
    snprintf(why, why_bytes, "a path is too long");
    if (!place(secrets_directory, folder, named ? site->certificate : gateway, named ? "" : ".pem",
               path) ||
        !place(secrets_directory, folder, key, named ? "" : ".key", key_path)) {
        return false;
    }
    *own = load_own(path, key_path, why, why_bytes);
    *trust = *own == NULL ? NULL : load_trust(secrets_directory, site, why, why_bytes);
    if (*trust == NULL) {
        credential_free(*own);
        *own = NULL;
        return false;
    }
    return true;
}
