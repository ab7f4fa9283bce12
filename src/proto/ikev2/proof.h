/*
 * Proof by signature (RFC 7296 2.15, RFC 7427): the question whose answer takes a private key or
 * the arithmetic of a certificate path. It carries all that it needs, so that another thread or
 * process can answer it; the machine never sees a key.
 */
#ifndef SEKISHO_PROTO_IKEV2_PROOF_H
#define SEKISHO_PROTO_IKEV2_PROOF_H

#include "crypto/credential.h"
#include "crypto/rsa_envelope.h"
#include "crypto/trust.h"
#include "proto/ike/identity.h"

#define IKEV2_SUBJECT_PATTERN_BYTES 256

/* What a responder says about our own certificate, for peers that ask (RFC 4806). Counted. */
struct ikev2_status {
    size_t holders;
    uint64_t until_ms; /* as the machines count time */
    size_t length;
    uint8_t bytes[]; /* an OCSPResponse */
};
/* Larger ones would make a message of many fragments for what the peer can ask himself. */
#define IKEV2_STATUS_BYTES_MAX 4096

/* NULL: no memory. */
MUST_USE struct ikev2_status *ikev2_status_new(struct slice response, uint64_t until_ms);
struct ikev2_status *ikev2_status_hold(struct ikev2_status *status); /* NULL is allowed */
void ikev2_status_free(struct ikev2_status *status); /* NULL is allowed */

/* How a site proves itself and what it believes, where there is no shared key. Owned and unchanged
 * as long as any policy points to it, but for `status`. */
struct ikev2_certificates {
    struct credential *own;
    struct ikev2_status *status; /* of our own; NULL: nothing that still holds is known */
    struct trust *trust;
    bool legacy; /* SHA-1 and RSA keys from 1024 bits */
    enum revocation_mode revocation;
    char pattern[IKEV2_SUBJECT_PATTERN_BYTES]; /* what the peer's subject must be; empty: his
                                                  identity must be in the certificate */
};

enum ikev2_proof_result {
    IKEV2_PROOF_GOOD,
    IKEV2_PROOF_CERTIFICATE, /* verdict */
    IKEV2_PROOF_SIGNATURE, /* wrong */
    IKEV2_PROOF_ALGORITHM, /* not one that is taken */
    IKEV2_PROOF_NO_MEMORY,
    IKEV2_PROOF_OWN_KEY, /* ours cannot sign now: verdict.said */
    IKEV2_PROOF_WAITS, /* everything else is good: `wishes` has to be asked first */
};

struct ikev2_proof {
    uint64_t job; /* the asker's own number, untouched here */
    bool sign; /* else verify */
    uint8_t method; /* of the AUTH payload */
    enum signature_scheme scheme; /* NONE with the method RSA: whatever the signature says */
    struct slice octets; /* what is signed */

    /* RSA encryption of IKEv1, and no signature: with `sign` it is opened with our own key, else
     * sealed with the peer's. Owned; NULL: a signature. */
    struct envelope *envelope;

    /* Sign. */
    struct credential *credential; /* held */

    /* Verify. */
    struct trust *trust; /* held; NULL: nobody is believed, and it takes as long to find out */
    bool legacy;
    enum revocation_mode revocation;
    struct ike_identity said; /* the ID payload; with a good proof what was proven */
    struct ike_identity expected; /* type 0: whatever is said */
    char pattern[IKEV2_SUBJECT_PATTERN_BYTES];
    struct slice signature;
    size_t certificate_count;
    struct slice certificates[CERTIFICATES_MAX]; /* DER; the first is the peer's own */
    size_t response_count; /* of OCSP, that came with them (RFC 4806) */
    struct slice responses[TRUST_RESPONSES_MAX];
    bool raw_key; /* the first is a SubjectPublicKeyInfo (RFC 7670) */
    bool any_order; /* IKEv1: the peer's own may be any of them, or none, and then it is known */
    struct revocation_store *store; /* of who runs it; NULL: nothing is fetched */
    bool was_asked; /* what could be fetched was: what is not known now stays unknown */

    /* Answer. */
    enum ikev2_proof_result result;
    struct certificate_verdict verdict;
    struct revocation_wishes *wishes; /* owned; NULL: none */
    size_t made_bytes;
    uint8_t made[SIGNATURE_BYTES_MAX];

    size_t capacity;
    size_t used;
    uint8_t bytes[]; /* what the slices point to */
};

/* With room for `bytes` octets behind its slices. NULL: no memory. */
MUST_USE struct ikev2_proof *ikev2_proof_new(size_t bytes);
/* Copies into the room, which must be there. */
struct slice ikev2_proof_keep(struct ikev2_proof *proof, struct slice bytes);
/* The work; `now_s`: seconds since 1970, UTC. With WAITS it is run again, with `was_asked`, when
 * the wishes were asked or it took too long. */
void ikev2_proof_run(struct ikev2_proof *proof, int64_t now_s);
void ikev2_proof_forget_wishes(struct ikev2_proof *proof);
void ikev2_proof_free(struct ikev2_proof *proof); /* NULL is allowed */

#endif
