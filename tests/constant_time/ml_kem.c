/*
 * ML-KEM as memcheck sees it: what is secret is marked as undefined, and memcheck tells of every
 * branch and every address that depends on undefined octets. Nothing may be told.
 *
 * With the argument `leak` a secret decides about a branch: then it must be told, or else the
 * method is blind.
 */
#include "crypto/ml_kem.h"

#include <stdio.h>
#include <string.h>
#include <valgrind/memcheck.h>

static void secret(void *bytes, size_t length)
{
    (void)VALGRIND_MAKE_MEM_UNDEFINED(bytes, length);
}

static void told_to_all(const void *bytes, size_t length)
{
    (void)VALGRIND_MAKE_MEM_DEFINED(bytes, length);
}

/* Called by ml_kem.c. */
void ml_kem_is_public(const void *bytes, size_t length);
void ml_kem_is_public(const void *bytes, size_t length)
{
    told_to_all(bytes, length);
}

static void fill(uint8_t *bytes, size_t length, unsigned with)
{
    for (size_t i = 0; i < length; i++) {
        bytes[i] = (uint8_t)(with + i * 151 + i / 7);
    }
}

/* A pair, a secret under its public key, and out again: the right ciphertext, and one that is
 * forged, of which nobody may see that it is. */
static bool exchange(enum ml_kem_set set, bool forged)
{
    uint8_t seed[ML_KEM_SEED_BYTES], message[ML_KEM_MESSAGE_BYTES];
    uint8_t public_key[ML_KEM_PUBLIC_BYTES_MAX], private_key[ML_KEM_PRIVATE_BYTES_MAX];
    uint8_t ciphertext[ML_KEM_CIPHER_BYTES_MAX];
    uint8_t ours[ML_KEM_SHARED_BYTES], theirs[ML_KEM_SHARED_BYTES];
    size_t public_bytes = ml_kem_public_bytes(set);
    size_t private_bytes = ml_kem_private_bytes(set);
    /* The vector, then the public key and its hash, then z. */
    size_t known_bytes = public_bytes + 32;

    fill(seed, sizeof(seed), 1 + (unsigned)set);
    fill(message, sizeof(message), 77);
    secret(seed, sizeof(seed));
    secret(message, sizeof(message));
    if (!ml_kem_make(set, seed, public_key, private_key)) {
        return false;
    }
    told_to_all(public_key, public_bytes);
    told_to_all(private_key + private_bytes - 32 - known_bytes, known_bytes);
    if (!ml_kem_encapsulate(set, (struct slice){public_key, public_bytes}, message, ciphertext,
                            theirs)) {
        return false;
    }
    told_to_all(ciphertext, ml_kem_cipher_bytes(set));
    ciphertext[5] ^= forged;
    if (!ml_kem_decapsulate(set, (struct slice){private_key, private_bytes},
                            (struct slice){ciphertext, ml_kem_cipher_bytes(set)}, ours)) {
        return false;
    }
    told_to_all(ours, sizeof(ours));
    told_to_all(theirs, sizeof(theirs));
    return (memcmp(ours, theirs, sizeof(ours)) == 0) != forged;
}

static int leak(void)
{
    uint8_t octet = 3;

    secret(&octet, sizeof(octet));
    return puts(octet > 2 ? "more" : "less") < 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "leak") == 0) {
        return leak();
    }
    for (int set = ML_KEM_512; set <= ML_KEM_1024; set++) {
        for (int forged = 0; forged < 2; forged++) {
            if (!exchange((enum ml_kem_set)set, forged == 1)) {
                printf("set %d%s: no secret came of it\n", set, forged == 1 ? ", forged" : "");
                return 1;
            }
        }
    }
    return 0;
}
