/* Our certificate with a key that a token keeps. */
#ifndef SEKISHO_LOADER_TOKEN_CREDENTIAL_H
#define SEKISHO_LOADER_TOKEN_CREDENTIAL_H

#include "base/secret.h"
#include "crypto/credential.h"

/* Opens the token and lets the key sign once, which shows whose certificate it belongs to. NULL
 * with a sentence. */
MUST_USE struct credential *token_credential(const char *uri, const struct secret *pin,
                                             const struct certificate_bag *bag, char *why,
                                             size_t why_bytes);

#endif
