/* Keys that an administrator wrote down: the text of a secret as octets, and whether they can be
 * the key of an algorithm. */
#ifndef SEKISHO_CONFIG_KEY_MATERIAL_H
#define SEKISHO_CONFIG_KEY_MATERIAL_H

#include "base/secret.h"
#include "crypto/catalog.h"

#define KEY_MATERIAL_WHY_BYTES 192

/* 0x and hexadecimal digits ('_' between them is passed over), or base64 with 0s before it or with
 * nothing. False with the rest of a sentence that begins with the name of the secret. */
MUST_USE bool key_material_decode(struct slice text, struct secret *out,
                                  char why[KEY_MATERIAL_WHY_BYTES]);
/* How many octets the key has in a manual block. */
size_t key_material_bytes(const struct transform *t);
/* The length is right and the key is none of the weak ones (RFC 2405 4.1, RFC 2451 2.3). False with
 * the rest of a sentence that begins with the name of the secret: "is 7 octets; DES keys have 8".
 */
MUST_USE bool key_material_fits(const struct transform *t, struct slice key,
                                char why[KEY_MATERIAL_WHY_BYTES]);
/* Both: the octets of a secret's text as the key of an algorithm; false with nothing in `out`. */
MUST_USE bool key_material_take(const struct transform *t, struct slice text, struct secret *out,
                                char why[KEY_MATERIAL_WHY_BYTES]);

#endif
