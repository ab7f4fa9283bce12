/* Built without p11-kit: keys are in files. */
#include "host/token.h"

#include <assert.h>
#include <stdio.h>

static void say(char *why, size_t why_bytes)
{
    snprintf(why, why_bytes,
             "this Sekisho was built without PKCS#11 (meson option pkcs11): keys in tokens cannot "
             "be used");
}

bool token_is_known(void)
{
    return false;
}

struct token_key *token_key_open(const char *uri, const struct secret *pin, char *why,
                                 size_t why_bytes)
{
    (void)uri;
    (void)pin;
    say(why, why_bytes);
    return NULL;
}

struct token_key *token_key_hold(struct token_key *key)
{
    return key;
}

void token_key_free(struct token_key *key)
{
    assert(key == NULL);
}

enum token_key_kind token_key_kind(const struct token_key *key)
{
    assert(key == NULL);
    return TOKEN_KEY_RSA;
}

bool token_key_can(struct token_key *key, enum token_step step)
{
    (void)key;
    (void)step;
    return false;
}

bool token_key_sign(struct token_key *key, enum token_step step, unsigned hash_bits,
                    struct slice input, struct writer *out, char *why, size_t why_bytes)
{
    (void)key;
    (void)step;
    (void)hash_bits;
    (void)input;
    (void)out;
    say(why, why_bytes);
    return false;
}

void token_unload(void)
{
}
