/*
 * Encryption with integrity of messages, in batches: ESP packets and IKE messages have the same
 * shape.
 *
 *     aad | iv | data ... | icv        consecutive in memory, except aad where it says otherwise
 *
 * AEAD ciphers (RFC 4106, 4309, 7634, 5282) authenticate aad and data under the nonce salt|iv. The
 * others encrypt data and then authenticate aad|iv|data (and for ESP with ESN the high half of the
 * sequence number, RFC 4303 2.2.1). With an implicit IV (RFC 8750) data stands right behind the
 * header, and the iv is in memory of the caller's: the sequence number in 64 bits.
 */
#ifndef SEKISHO_CRYPTO_PROTECT_H
#define SEKISHO_CRYPTO_PROTECT_H

#include "crypto/catalog.h"

/* Keys of one direction of one SA, expanded once. Opaque, 64-byte aligned, never copied. */
struct protect_key;

/* `key_material`: suite_encryption_key_bytes() (key, then salt) and suite_integrity_key_bytes(), in
 * this order. NULL when a length is wrong or the suite is not usable. */
MUST_USE struct protect_key *protect_key_new(const struct suite *suite, struct slice key_material);
/* The same without ipsec-mb's expanded form: a few hundred octets, OpenSSL does the work. For keys
 * that see few messages, as those of an IKE SA. */
MUST_USE struct protect_key *protect_key_new_compact(const struct suite *suite,
                                                     struct slice key_material);
void protect_key_free(struct protect_key *key); /* wipes; NULL is allowed */
/* "ipsec-mb" or "openssl": which engine does this suite's work now. */
const char *protect_key_engine(const struct protect_key *key);

/* Memory that the key takes. */
size_t protect_key_bytes(const struct protect_key *key);

struct protect_job {
    const struct protect_key *key;
    const uint8_t *aad; /* not AEAD: must stand right before iv. AEAD: anywhere */
    uint32_t aad_length;
    uint32_t length; /* of data, a multiple of the cipher's block */
    uint8_t *iv; /* right before data; the caller chose it. Implicit IV: eight octets anywhere */
    uint8_t *data; /* in place */
    uint8_t *icv; /* right behind data: written by seal, compared by open */
    uint32_t
        sequence_high; /* authenticated behind data when has_sequence_high (ESN without AEAD) */
    bool has_sequence_high;
    bool ok; /* set by seal and open; a false open leaves undefined data that must not be used */
};

/* A thread's own engine state (ipsec-mb manager, OpenSSL contexts). */
struct protect_engine;

enum protect_choice {
    PROTECT_AUTOMATIC, /* ipsec-mb where it is there and faster, OpenSSL elsewhere */
    PROTECT_OPENSSL,
};

/* Once, before any key is made: chooses and cross-checks the engines with a few hundred random jobs
 * against OpenSSL. An algorithm that differs falls back to OpenSSL. False when not even OpenSSL
 * works. */
MUST_USE bool protect_start(enum protect_choice choice);
/* One line per algorithm group about what was chosen and why, for `status`; index from 0 until
 * NULL. */
const char *protect_report(size_t index);

MUST_USE struct protect_engine *protect_engine_new(void);
void protect_engine_free(struct protect_engine *engine);

/* Any mixture of keys and suites, any lengths; jobs[i].ok says how each ended. count <= 64 is one
 * burst. */
void protect_seal(struct protect_engine *engine, struct protect_job *jobs, size_t count);
void protect_open(struct protect_engine *engine, struct protect_job *jobs, size_t count);

#endif
