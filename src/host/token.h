/*
 * Private keys in tokens (smart cards, HSMs, TPMs) by PKCS#11 through p11-kit. A key is named by
 * its URI (RFC 7512); only signatures come out. What a token does may take as long as it likes, so
 * who asks does it in a thread that may wait.
 */
#ifndef SEKISHO_HOST_TOKEN_H
#define SEKISHO_HOST_TOKEN_H

#include "base/secret.h"

enum token_key_kind { TOKEN_KEY_RSA, TOKEN_KEY_EC, TOKEN_KEY_EDWARDS };

enum token_step {
    TOKEN_RSA_PKCS1, /* CKM_RSA_PKCS over a DigestInfo */
    TOKEN_RSA_PSS, /* over a hash of `hash_bits`, with that hash for the mask */
    TOKEN_ECDSA, /* over a hash; r | s */
    TOKEN_EDDSA, /* over the message */
};

/* Counted; any number of threads sign with one. Its token may come and go. */
struct token_key;

/* Whether this program was built with p11-kit; if not, all fail with a sentence. */
MUST_USE bool token_is_known(void);
/* `pin` may be empty: the token wants none. NULL with a sentence. */
MUST_USE struct token_key *token_key_open(const char *uri, const struct secret *pin, char *why,
                                          size_t why_bytes);
struct token_key *token_key_hold(struct token_key *key);
void token_key_free(struct token_key *key); /* NULL is allowed */
enum token_key_kind token_key_kind(const struct token_key *key);
MUST_USE bool token_key_can(struct token_key *key, enum token_step step);
/* A token that was gone, and is back, is opened again. False with a sentence. */
MUST_USE bool token_key_sign(struct token_key *key, enum token_step step, unsigned hash_bits,
                             struct slice input, struct writer *out, char *why, size_t why_bytes);
/* Closes the modules that no key is left of, at the end. */
void token_unload(void);

#endif
