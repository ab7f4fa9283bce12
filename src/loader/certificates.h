/*
 * The certificates of a site from disk: which files, and whether they fit together. What the daemon
 * uses is what `sekisho check` has looked at.
 */
#ifndef SEKISHO_LOADER_CERTIFICATES_H
#define SEKISHO_LOADER_CERTIFICATES_H

#include "config/config.h"
#include "crypto/credential.h"
#include "crypto/trust.h"

/* Names below the folder of the configuration, when the site says none: FOLDER/certificates. */
#define CERTIFICATES_FOLDER "certificates"
#define CERTIFICATES_AUTHORITIES "authorities.pem"

/* What is read at once, and what a token is asked afterwards, in a thread that may wait. */
struct certificates_reading;

/* Reads all files. NULL with a sentence. */
MUST_USE struct certificates_reading *certificates_begin(const char *secrets_directory,
                                                         const struct config_site *site,
                                                         const char *gateway, char *why,
                                                         size_t why_bytes);
/* Whether certificates_end() asks a token. */
MUST_USE bool certificates_wait_for_token(const struct certificates_reading *reading);
/* Both are the caller's, to be freed; `own` is NULL for a site that logs in with hybrid. False with
 * a sentence. */
MUST_USE bool certificates_end(struct certificates_reading *reading, struct credential **own,
                               struct trust **trust, char *why, size_t why_bytes);
void certificates_reading_free(struct certificates_reading *reading); /* NULL is allowed */

/* Both steps. `secrets_directory` stands in the folder of the configuration, at which paths begin.
 * Both are the caller's, to be freed. False with a sentence. */
MUST_USE bool certificates_load(const char *secrets_directory, const struct config_site *site,
                                const char *gateway, struct credential **own, struct trust **trust,
                                char *why, size_t why_bytes);

#endif
