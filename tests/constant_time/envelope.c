/*
 * What is under RSA encryption as memcheck sees it: the padded octets, what is there instead of
 * them, and its length are marked as undefined, and memcheck tells of every branch and every
 * address that depends on them. Nothing may be told. With the argument `leak` one does.
 */
#include "crypto/rsa_envelope.h"

#include <stdio.h>
#include <string.h>
#include <valgrind/memcheck.h>

#define LENGTH 128

/* Kinds: good, no zero, wrong type, too short, too long. */
static void unpad(unsigned kind)
{
    uint8_t padded[LENGTH];
    uint8_t other[LENGTH];
    uint8_t out[LENGTH];
    size_t other_length = 33;

    memset(padded, 0x55, sizeof(padded));
    memset(other, 0xaa, sizeof(other));
    padded[0] = 0;
    padded[1] = kind == 2 ? 1 : 2;
    padded[kind == 1 ? 0 : kind == 3 ? LENGTH - 2 : kind == 4 ? 10 : LENGTH - 33] = 0;
    (void)VALGRIND_MAKE_MEM_UNDEFINED(padded, sizeof(padded));
    (void)VALGRIND_MAKE_MEM_UNDEFINED(other, sizeof(other));
    (void)VALGRIND_MAKE_MEM_UNDEFINED(&other_length, sizeof(other_length));
    size_t length = envelope_unpad(padded, other, LENGTH, other_length, 8, 64, out);

    (void)VALGRIND_MAKE_MEM_DEFINED(out, sizeof(out));
    (void)VALGRIND_MAKE_MEM_DEFINED(&length, sizeof(length));
    printf("%u %zu %02x\n", kind, length, out[0]);
}

int main(int count, char **words)
{
    for (unsigned kind = 0; kind < 5; kind++) {
        unpad(kind);
    }
    if (count > 1 && strcmp(words[1], "leak") == 0) {
        uint8_t secret = (uint8_t)count;

        (void)VALGRIND_MAKE_MEM_UNDEFINED(&secret, sizeof(secret));
        if (secret == 2) {
            puts("it is two");
        }
    }
    return 0;
}
