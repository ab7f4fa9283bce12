/*
 * Keys of an IKE SA and its children, and what AUTH covers (RFC 7296 2.14, 2.15, 2.17, 2.18).
 *
 * Nonces are those of the payloads, without headers. Every function returns false on an unknown
 * algorithm or when memory or the crypto library fails; outputs are then empty.
 */
#ifndef SEKISHO_PROTO_IKEV2_KEYS_H
#define SEKISHO_PROTO_IKEV2_KEYS_H

#include "base/secret.h"
#include "crypto/catalog.h"
#include "crypto/prf.h"
#include "wire/ikev2.h"

/* Owned by one IKE SA; zeros are a set without keys. */
struct ikev2_keys {
    struct suite suite;
    struct secret sk_d;
    struct secret sk_pi, sk_pr;
    struct secret protect_i; /* SK_ei | SK_ai: what the initiator of this IKE SA sends */
    struct secret protect_r; /* SK_er | SK_ar */
    uint64_t iv_counter; /* of what we sent under these keys (AEAD, CTR) */
};

/* SKEYSEED = prf(Ni | Nr, g^ir). For AES-XCBC and AES-CMAC the first 8 octets of each nonce
 * (2.14). */
MUST_USE bool ikev2_keys_derive(const struct suite *suite, struct slice shared,
                                struct slice nonce_i, struct slice nonce_r, uint64_t spi_i,
                                uint64_t spi_r, struct ikev2_keys *out);
/* SKEYSEED = prf(SK_d (old), g^ir (new) | Ni | Nr | more) with the PRF of the old SA; all else with
 * that of the new one, nonces and SPIs of the CREATE_CHILD_SA exchange (2.18). `out` may not
 * be `old`. */
MUST_USE bool ikev2_keys_rekey(const struct ikev2_keys *old, const struct suite *suite,
                               struct slice shared, struct slice nonce_i, struct slice nonce_r,
                               struct slice more, uint64_t spi_i, uint64_t spi_r,
                               struct ikev2_keys *out);
/* RFC 5723 5.1: SKEYSEED = prf(SK_d (old), "Resumption" | Ni | Nr), the suite is the old one. */
MUST_USE bool ikev2_keys_resume(const struct suite *suite, const struct secret *old_sk_d,
                                struct slice nonce_i, struct slice nonce_r, uint64_t spi_i,
                                uint64_t spi_r, struct ikev2_keys *out);
/* RFC 8784 3: SK_d, SK_pi and SK_pr become prf+ (PPK, what they were); what they were goes to
 * `plain`, which has no other keys. Once for an IKE SA that is not the successor of another. */
MUST_USE bool ikev2_keys_mix_ppk(struct ikev2_keys *keys, const struct secret *ppk,
                                 struct ikev2_keys *plain);
/* RFC 9867: SKEYSEED' = prf+ (PPK, SK_d), from which all keys are made anew with the nonces and
 * SPIs that there are. `out` may not be `old`. */
MUST_USE bool ikev2_keys_apply_ppk(const struct ikev2_keys *old, const struct secret *ppk,
                                   struct slice nonce_i, struct slice nonce_r, uint64_t spi_i,
                                   uint64_t spi_r, struct ikev2_keys *out);
/* As if it had never been done: `plain` is empty afterwards. */
void ikev2_keys_unmix_ppk(struct ikev2_keys *keys, struct ikev2_keys *plain);
/* Wipes; may be called twice. */
void ikev2_keys_fini(struct ikev2_keys *keys);
/* Moves ownership: `from` is empty afterwards, what `to` held is wiped. */
void ikev2_keys_move(struct ikev2_keys *to, struct ikev2_keys *from);
/* SK_pi and SK_pr are of no use once both sides are authenticated. */
void ikev2_keys_forget_auth(struct ikev2_keys *keys);

/* KEYMAT = prf+(SK_d, [g^ir (new) |] Ni | Nr | more): cipher key with salt, then integrity key,
 * first for what the initiator of the *exchange* sends (2.17). With AH the integrity key alone.
 * `shared` is empty without key exchange of its own. Nonces: those of IKE_SA_INIT for the child of
 * IKE_AUTH, else those of CREATE_CHILD_SA. */
MUST_USE bool ikev2_keys_child(const struct ikev2_keys *keys, const struct suite *child,
                               struct slice shared, struct slice nonce_i, struct slice nonce_r,
                               struct slice more, struct secret *from_initiator,
                               struct secret *from_responder);

/*
 * 2.15. The octets that one side signs: message | nonce of the other | prf(SK_p, ID payload
 * without its header). `message` is the first message that this side sent, as it was sent (the
 * last IKE_SA_INIT request when there was a COOKIE or INVALID_KE_PAYLOAD). `id_whole` is
 * ikev2_id_payload.whole.
 */
struct ikev2_auth_octets {
    struct slice message;
    struct slice nonce;
    uint8_t maced_id[PRF_OUTPUT_BYTES_MAX];
    size_t maced_id_bytes;
    /* RFC 9242 3.3.2: behind all else; set by the caller, empty without IKE_INTERMEDIATE. */
    struct slice int_auth;
};
/* `initiator`: whose octets, of the original initiator of this IKE SA or of the responder. */
MUST_USE bool ikev2_auth_octets(const struct ikev2_keys *keys, bool initiator, struct slice message,
                                struct slice nonce_of_other, struct slice id_whole,
                                struct ikev2_auth_octets *out);
/* RFC 9242 3.3.2: what one side has said in IKE_INTERMEDIATE so far, with one message more:
 * `before` is empty for the first. Keys are those that the message is sealed with. */
MUST_USE bool ikev2_int_auth(const struct ikev2_keys *keys, bool initiator, struct slice before,
                             const struct ikev2_header *header, uint8_t first, struct slice chain,
                             uint8_t out[PRF_OUTPUT_BYTES_MAX], size_t *length);
/* AUTH = prf(prf(shared secret, "Key Pad for IKEv2"), octets); `out` has suite's PRF output
 * length, given in *length. Refuses an empty shared secret. */
MUST_USE bool ikev2_auth_shared_key(const struct ikev2_keys *keys, const struct secret *shared_key,
                                    const struct ikev2_auth_octets *octets,
                                    uint8_t out[PRF_OUTPUT_BYTES_MAX], size_t *length);
/* RFC 5723 4.3.3: AUTH = prf(SK_px, octets). */
MUST_USE bool ikev2_auth_resumed(const struct ikev2_keys *keys, bool initiator,
                                 const struct ikev2_auth_octets *octets,
                                 uint8_t out[PRF_OUTPUT_BYTES_MAX], size_t *length);
/* In constant time; false as well when the length is wrong or anything fails. */
MUST_USE bool ikev2_auth_verify_shared_key(const struct ikev2_keys *keys,
                                           const struct secret *shared_key,
                                           const struct ikev2_auth_octets *octets,
                                           struct slice auth);

#endif
