/* Pseudo-random functions of IKE (RFC 7296 2.13) and plain hashes. */
#ifndef SEKISHO_CRYPTO_PRF_H
#define SEKISHO_CRYPTO_PRF_H

#include "base/secret.h"
#include "crypto/catalog.h"

#define PRF_OUTPUT_BYTES_MAX 64

/* prf(key, part 1 | part 2 | ...). `out` has algorithm.output_bytes. False on an unknown PRF or a
 * key that it cannot take (AES-XCBC and CMAC take any length by RFC 4434 and 4615). */
MUST_USE bool prf(uint16_t id, struct slice key, const struct slice *parts, size_t count,
                  uint8_t *out);
/* prf+ of RFC 7296 2.13: `length` octets, at most 255 blocks. */
MUST_USE bool prf_plus(uint16_t id, struct slice key, const struct slice *parts, size_t count,
                       uint8_t *out, size_t length);
void sha1(const struct slice *parts, size_t count, uint8_t out[20]);
void sha256(const struct slice *parts, size_t count, uint8_t out[32]);

#endif
