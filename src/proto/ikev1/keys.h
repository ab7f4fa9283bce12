/*
 * Keys of an ISAKMP SA and of what quick mode makes, initialization vectors, and what the hashes of
 * IKEv1 cover (RFC 2409 5, 5.5, 5.7, appendix B).
 *
 * Nonces, identities and SA payloads are their bodies, without generic headers. Every function
 * returns false on an unknown algorithm or when memory or the crypto library fails; outputs are
 * then empty.
 */
#ifndef SEKISHO_PROTO_IKEV1_KEYS_H
#define SEKISHO_PROTO_IKEV1_KEYS_H

#include "base/secret.h"
#include "crypto/catalog.h"
#include "crypto/cbc.h"
#include "crypto/digest.h"
#include "crypto/prf.h"
#include "wire/ikev1.h"

/*
 * Of an ISAKMP SA the suite has a cipher in CBC, a group, and as `prf` the HMAC of the hash that
 * was negotiated; no integrity, which IKEv1 does not know.
 */
MUST_USE bool ikev1_suite_is_usable(const struct suite *suite);

/* The hash that was negotiated. */
MUST_USE bool ikev1_digest_of(const struct suite *suite, enum digest_id *out);

/* Owned by one ISAKMP SA; zeros are a set without keys. */
struct ikev1_keys {
    struct suite suite;
    struct secret skeyid;
    struct secret skeyid_d, skeyid_a, skeyid_e;
    struct secret cipher_key; /* of SKEYID_e, as long as the cipher wants it (appendix B) */
};

/* What the key exchange of phase 1 gave. */
struct ikev1_agreed {
    struct slice shared; /* g^xy */
    struct slice nonce_i;
    struct slice nonce_r;
    uint64_t cookie_i;
    uint64_t cookie_r;
};

/* SKEYID = prf(pre-shared key, Ni_b | Nr_b), and all that follows from it. */
MUST_USE bool ikev1_keys_of_shared_key(const struct suite *suite, const struct secret *shared_key,
                                       const struct ikev1_agreed *agreed, struct ikev1_keys *out);
/* SKEYID = prf(Ni_b | Nr_b, g^xy). */
MUST_USE bool ikev1_keys_of_signatures(const struct suite *suite, const struct ikev1_agreed *agreed,
                                       struct ikev1_keys *out);
/* SKEYID = prf(hash(Ni_b | Nr_b), CKY-I | CKY-R), of both modes of public key encryption. */
MUST_USE bool ikev1_keys_of_encryption(const struct suite *suite, const struct ikev1_agreed *agreed,
                                       struct ikev1_keys *out);
/* Wipes; may be called twice. */
void ikev1_keys_fini(struct ikev1_keys *keys);
/* Moves ownership: `from` is empty afterwards, what `to` held is wiped. */
void ikev1_keys_move(struct ikev1_keys *to, struct ikev1_keys *from);
/* SKEYID itself is of no use once both sides are authenticated. */
void ikev1_keys_forget_auth(struct ikev1_keys *keys);

/* --- encryption --- */

/* Appendix B: the key of the suite's cipher, from SKEYID_e or what takes its place. */
MUST_USE bool ikev1_cipher_key(const struct suite *suite, struct slice material,
                               struct secret *out);

/* The last block of ciphertext, which the next message of the same exchange is chained to. */
struct ikev1_iv {
    uint8_t octets[CBC_BLOCK_BYTES_MAX];
    uint8_t length;
};
/* hash(g^xi | g^xr) */
MUST_USE bool ikev1_iv_of_phase1(const struct suite *suite, struct slice public_i,
                                 struct slice public_r, struct ikev1_iv *out);
/* hash(last block of phase 1 | M-ID): of quick mode, informational, transaction, new group. */
MUST_USE bool ikev1_iv_of_phase2(const struct suite *suite, const struct ikev1_iv *phase1,
                                 uint32_t message_id, struct ikev1_iv *out);
/* What `length` octets of payloads are padded to, with zeros. */
size_t ikev1_padded_bytes(const struct suite *suite, size_t length);
/* In place, whole blocks; *iv becomes the last block of ciphertext. A message of unknown worth is
 * decrypted under a copy of the IV, which takes its place when the message was accepted. */
MUST_USE bool ikev1_encrypt(const struct ikev1_keys *keys, struct ikev1_iv *iv, uint8_t *data,
                            size_t length);
MUST_USE bool ikev1_decrypt(const struct ikev1_keys *keys, struct ikev1_iv *iv, uint8_t *data,
                            size_t length);

/* --- hashes --- */

struct ikev1_hash_value {
    uint8_t octets[PRF_OUTPUT_BYTES_MAX];
    size_t length;
};
struct slice ikev1_hash_slice(const struct ikev1_hash_value *hash);
/* In constant time; false as well when the length is wrong. */
MUST_USE bool ikev1_hash_equal(const struct ikev1_hash_value *expected, struct slice hash);

/* The negotiated hash itself: NAT-D (RFC 3947 3.2), the responder's key in RSA encryption. */
MUST_USE bool ikev1_hash(const struct suite *suite, const struct slice *parts, size_t count,
                         struct ikev1_hash_value *out);

struct ikev1_phase1_words {
    struct slice public_i; /* g^xi, g^xr */
    struct slice public_r;
    uint64_t cookie_i;
    uint64_t cookie_r;
    struct slice sa_i; /* body of the initiator's SA payload, with all that it offered */
};
/* HASH_I = prf(SKEYID, g^xi | g^xr | CKY-I | CKY-R | SAi_b | IDii_b), HASH_R with both swapped and
 * IDir_b: what is sent, or signed. */
MUST_USE bool ikev1_hash_i(const struct ikev1_keys *keys, const struct ikev1_phase1_words *words,
                           struct slice id, struct ikev1_hash_value *out);
MUST_USE bool ikev1_hash_r(const struct ikev1_keys *keys, const struct ikev1_phase1_words *words,
                           struct slice id, struct ikev1_hash_value *out);
/* HASH(1) = prf(SKEYID_a, M-ID | rest). `rest` is all that stands behind the HASH payload, with
 * generic headers and without padding. The same for informational (5.7), transaction and new group
 * exchanges. */
MUST_USE bool ikev1_hash_1(const struct ikev1_keys *keys, uint32_t message_id, struct slice rest,
                           struct ikev1_hash_value *out);
/* HASH(2) = prf(SKEYID_a, M-ID | Ni_b | rest) */
MUST_USE bool ikev1_hash_2(const struct ikev1_keys *keys, uint32_t message_id, struct slice nonce_i,
                           struct slice rest, struct ikev1_hash_value *out);
/* HASH(3) = prf(SKEYID_a, 0 | M-ID | Ni_b | Nr_b) */
MUST_USE bool ikev1_hash_3(const struct ikev1_keys *keys, uint32_t message_id, struct slice nonce_i,
                           struct slice nonce_r, struct ikev1_hash_value *out);

/* --- keys of phase 2 --- */

/* KEYMAT = prf(SKEYID_d, [g(qm)^xy |] protocol | SPI | Ni_b | Nr_b), stretched (5.5): cipher key
 * with salt, then integrity key, of the SA that has this SPI, which its receiver chose. `shared` is
 * empty without PFS, the nonces are those of quick mode. */
MUST_USE bool ikev1_keys_child(const struct ikev1_keys *keys, const struct suite *child,
                               uint8_t protocol, uint32_t spi, struct slice shared,
                               struct slice nonce_i, struct slice nonce_r, struct secret *out);

/* Ke_i of the revised mode of RSA encryption (5.3): Ne = prf(Ni_b, CKY-I), stretched from 0 on;
 * Ke_r of Nr_b and CKY-R. Its IV is zeros. */
MUST_USE bool ikev1_keys_revised(const struct suite *suite, struct slice nonce, uint64_t cookie,
                                 struct secret *out);

#endif
