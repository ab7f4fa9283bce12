/*
 * CBC alone, without integrity: only for IKEv1, whose messages are encrypted under an IV that
 * chains them and are authenticated inside (RFC 2409 5, appendix B). Everything else goes through
 * protect.
 */
#ifndef SEKISHO_CRYPTO_CBC_H
#define SEKISHO_CRYPTO_CBC_H

#include "crypto/catalog.h"

#define CBC_BLOCK_BYTES_MAX 16

/* 8 or 16; 0 when the cipher has no CBC or is not known. */
size_t cbc_block_bytes(uint16_t encryption);
/* In place. False when the cipher is unknown, or the key, the IV (one block) or the data (whole
 * blocks) have a wrong length. */
MUST_USE bool cbc_encrypt(uint16_t encryption, struct slice key, struct slice iv, uint8_t *data,
                          size_t length);
MUST_USE bool cbc_decrypt(uint16_t encryption, struct slice key, struct slice iv, uint8_t *data,
                          size_t length);

#endif
