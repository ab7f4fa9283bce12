/*
 * The two MACs of IPsec that are made of AES-128-CBC: XCBC (RFC 3566) and CMAC (RFC 4493). They
 * differ in the key of the blocks and in what is added to the last one.
 */
#ifndef SEKISHO_CRYPTO_CBC_MAC_H
#define SEKISHO_CRYPTO_CBC_MAC_H

#include "base/bytes.h"

#define CBC_MAC_BYTES 16

enum cbc_mac_kind { CBC_MAC_XCBC, CBC_MAC_CMAC };

/* Secret: wiped by its owner. */
struct cbc_mac_key {
    uint8_t block_key[CBC_MAC_BYTES]; /* XCBC: K1; CMAC: K */
    uint8_t full_mask[CBC_MAC_BYTES]; /* added to a last block that is full; XCBC: K2; CMAC: K1 */
    uint8_t short_mask[CBC_MAC_BYTES]; /* and to one that had to be padded; XCBC: K3; CMAC: K2 */
};

/* A thread's AES contexts. */
struct cbc_mac_context;

MUST_USE struct cbc_mac_context *cbc_mac_context_new(void);
void cbc_mac_context_free(struct cbc_mac_context *context);

MUST_USE bool cbc_mac_key_init(struct cbc_mac_context *context, enum cbc_mac_kind kind,
                               const uint8_t secret[CBC_MAC_BYTES], struct cbc_mac_key *key);
/* Over the parts, one behind the other. */
MUST_USE bool cbc_mac(struct cbc_mac_context *context, const struct cbc_mac_key *key,
                      const struct slice *parts, size_t count, uint8_t out[CBC_MAC_BYTES]);
/* Overwrites what the context knows of the last key. */
void cbc_mac_context_forget(struct cbc_mac_context *context);

#endif
