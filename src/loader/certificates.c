/* Decides in which files the certificates of a site are, and says what is wrong with them. */
#include "loader/certificates.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "host/files.h"
#include "host/token.h"
#include "loader/loader.h"
#include "loader/token_credential.h"

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

struct certificates_reading {
    struct credential *own; /* NULL: its key is in a token */
    struct certificate_bag bag; /* then: our certificate and those above it */
    char *uri;
    struct secret pin;
    struct trust *trust;
    bool believes; /* only: with hybrid authentication a client has no certificate */
    char path[LOADER_PATH_BYTES]; /* of the certificate */
    bool dss; /* signatures of IKEv1 with DSA are allowed */
    bool encrypts; /* RSA encryption of IKEv1 */
    bool is_shown; /* who calls shows his certificate, and nobody is called */
};

static bool read_bag(struct certificates_reading *reading, char *why, size_t why_bytes)
{
    size_t length = 0;
    char *bytes = files_read(reading->path, &length, why, why_bytes);

    if (bytes == NULL) {
        return false;
    }
    enum certificate_bag_problem problem =
        certificate_bag_add(&reading->bag, (struct slice){(const uint8_t *)bytes, length});

    if (problem == CERTIFICATE_BAG_FINE && reading->bag.certificate_count == 0) {
        problem = CERTIFICATE_BAG_EMPTY;
    }
    if (problem != CERTIFICATE_BAG_FINE) {
        snprintf(why, why_bytes, "%s: %s", reading->path, certificate_bag_problem_words(problem));
    }
    free(bytes);
    return problem == CERTIFICATE_BAG_FINE;
}

static bool begin_token(struct certificates_reading *reading, const char *secrets_directory,
                        const struct config_site *site, char *why, size_t why_bytes)
{
    if (!token_is_known()) {
        return token_key_open("", &reading->pin, why, why_bytes) != NULL; /* it says so */
    }
    reading->uri = strdup(site->certificate_key);
    return reading->uri != NULL && read_bag(reading, why, why_bytes) &&
           (site->certificate_pin == NULL ||
            files_read_secret(secrets_directory, site->certificate_pin, &reading->pin, why,
                              why_bytes));
}

static bool begin(struct certificates_reading *reading, const char *secrets_directory,
                  const struct config_site *site, const char *gateway, char *why, size_t why_bytes)
{
    char key_path[LOADER_PATH_BYTES];
    bool named = site->certificate != NULL;
    bool token = named && config_key_is_in_token(site);
    const char *folder = named ? "" : CERTIFICATES_FOLDER "/";
    const char *key = !named                          ? gateway
                      : site->certificate_key != NULL ? site->certificate_key
                                                      : site->certificate;

    reading->dss = site->version == CONFIG_IKE_V1 && site->legacy != NULL &&
                   strstr(site->legacy, "dss") != NULL;
    reading->encrypts = site->proof != CONFIG_PROOF_SIGNATURE;
    reading->is_shown = site->proof == CONFIG_PROOF_REVISED && site->start == START_WAIT;
    if (site->caller != NULL && site->caller->hybrid) {
        reading->believes = true;
        reading->trust = load_trust(secrets_directory, site, why, why_bytes);
        return reading->trust != NULL;
    }
    snprintf(why, why_bytes, "a path is too long");
    if (!place(secrets_directory, folder, named ? site->certificate : gateway, named ? "" : ".pem",
               reading->path) ||
        (!token && !place(secrets_directory, folder, key, named ? "" : ".key", key_path))) {
        return false;
    }
    if (token && !begin_token(reading, secrets_directory, site, why, why_bytes)) {
        return false;
    }
    if (!token) {
        reading->own = load_own(reading->path, key_path, why, why_bytes);
        if (reading->own == NULL) {
            return false;
        }
    }
    reading->trust = load_trust(secrets_directory, site, why, why_bytes);
    return reading->trust != NULL;
}

struct certificates_reading *certificates_begin(const char *secrets_directory,
                                                const struct config_site *site, const char *gateway,
                                                char *why, size_t why_bytes)
{
    struct certificates_reading *reading = calloc(1, sizeof(*reading));

    if (reading == NULL || !begin(reading, secrets_directory, site, gateway, why, why_bytes)) {
        certificates_reading_free(reading);
        return NULL;
    }
    return reading;
}

bool certificates_wait_for_token(const struct certificates_reading *reading)
{
    return reading->uri != NULL;
}

/* What RSA encryption demands beside a certificate (RFC 2409 5.2): a key that we have ourselves,
 * and the peer's. */
static bool fits_encryption(const struct certificates_reading *reading,
                            const struct credential *own, const struct trust *trust, char *why,
                            size_t why_bytes)
{
    const struct certificate *certificate;

    if (!reading->encrypts) {
        return true;
    }
    if (credential_kind(own) != KEY_RSA) {
        snprintf(why, why_bytes, "RSA encryption needs an RSA key");
    } else if (!credential_opens(own)) {
        snprintf(why, why_bytes,
                 "RSA encryption needs a key in a file: a token says whether a padding was right, "
                 "and that must not be known");
    } else if (trust_pinned(trust, &certificate) == NULL && !reading->is_shown) {
        snprintf(
            why, why_bytes,
            "RSA encryption needs the peer's public key beforehand: put it, or his certificate "
            "and no other, into a file that 'trust' names");
    } else {
        return true;
    }
    return false;
}

bool certificates_end(struct certificates_reading *reading, struct credential **own,
                      struct trust **trust, char *why, size_t why_bytes)
{
    if (reading->believes) {
        *own = NULL;
        *trust = trust_hold(reading->trust);
        return true;
    }
    *own = reading->uri != NULL
               ? token_credential(reading->uri, &reading->pin, &reading->bag, why, why_bytes)
               : credential_hold(reading->own);
    *trust = *own == NULL ? NULL : trust_hold(reading->trust);
    if (*own != NULL && credential_kind(*own) == KEY_DSA && !reading->dss) {
        snprintf(
            why, why_bytes,
            "a DSA key is for peers of IKEv1 that have nothing better: write ike v1 and legacy "
            "dss, or make another key");
        credential_free(*own);
        trust_free(*trust);
        *own = NULL;
        *trust = NULL;
    }
    if (*own != NULL && !fits_encryption(reading, *own, *trust, why, why_bytes)) {
        credential_free(*own);
        trust_free(*trust);
        *own = NULL;
        *trust = NULL;
    }
    return *own != NULL;
}

void certificates_reading_free(struct certificates_reading *reading)
{
    if (reading == NULL) {
        return;
    }
    credential_free(reading->own);
    certificate_bag_fini(&reading->bag);
    secret_wipe(&reading->pin);
    trust_free(reading->trust);
    free(reading->uri);
    free(reading);
}

bool certificates_load(const char *secrets_directory, const struct config_site *site,
                       const char *gateway, struct credential **own, struct trust **trust,
                       char *why, size_t why_bytes)
{
    struct certificates_reading *reading =
        certificates_begin(secrets_directory, site, gateway, why, why_bytes);
    bool loaded = reading != NULL && certificates_end(reading, own, trust, why, why_bytes);

    if (!loaded) {
        *own = NULL;
        *trust = NULL;
    }
    certificates_reading_free(reading);
    return loaded;
}
