/*
 * Integrity without encryption, in batches: the packets of AH (RFC 4302). By HMAC, AES-XCBC,
 * AES-CMAC and AES-GMAC, whose IV stands before its ICV in the packet (RFC 4543 4).
 */
#ifndef SEKISHO_CRYPTO_AUTHENTICATE_H
#define SEKISHO_CRYPTO_AUTHENTICATE_H

#include "crypto/protect.h"

#define AUTH_IV_BYTES 8
#define AUTH_ICV_BYTES_MAX 32

/* The key of one direction of one SA, expanded once. Opaque, never copied. Any number of threads
 * use it, each with a protect_engine of its own. */
struct auth_key;

/* `key`: suite_integrity_key_bytes() octets, of AES-GMAC the AES key and then four of salt. NULL
 * when the algorithm is unknown, the length is wrong or there is no memory. */
MUST_USE struct auth_key *auth_key_new(uint16_t integrity_id, struct slice key);
void auth_key_free(struct auth_key *key); /* wipes; NULL is allowed */
/* Octets of an ICV, without the IV of AES-GMAC. */
size_t auth_key_icv_bytes(const struct auth_key *key);
/* Memory that the key takes. */
size_t auth_key_bytes(const struct auth_key *key);
/* "ipsec-mb" or "openssl": which engine does this algorithm's work now. */
const char *auth_key_engine(const struct auth_key *key);

struct auth_job {
    const struct auth_key *key;
    const uint8_t *data; /* as it is to be covered: mutable fields and the ICV are zero */
    uint32_t length; /* of data */
    uint8_t iv[AUTH_IV_BYTES]; /* of AES-GMAC: never twice with one key */
    uint32_t sequence_high; /* RFC 4302 3.3.3.2.2: covered behind data when has_sequence_high */
    bool has_sequence_high;
    /* Written: auth_key_icv_bytes() of it. Comparing it is the caller's, in constant time. */
    uint8_t icv[AUTH_ICV_BYTES_MAX];
    bool ok; /* false: icv must not be used */
};

/* Any mixture of keys and algorithms, any lengths. */
void auth_compute(struct protect_engine *engine, struct auth_job *jobs, size_t count);

#endif
