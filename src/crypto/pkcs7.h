/*
 * Certificates wrapped in PKCS#7 (RFC 2315 9.1, RFC 5652 5.1): a SignedData that signs nothing, as
 * Windows and old Cisco put their chains into one CERT payload.
 */
#ifndef SEKISHO_CRYPTO_PKCS7_H
#define SEKISHO_CRYPTO_PKCS7_H

#include "crypto/certificate.h"

struct pkcs7_contents {
    size_t count;
    struct slice certificates[CERTIFICATES_MAX]; /* DER, borrowed; in no order, not looked into */
};

/* False: not exactly one SignedData in DER, or with more or larger certificates than any real chain
 * has. Signatures, revocation lists and other sorts of certificates in it are passed over: what is
 * believed is found out by the path alone. */
MUST_USE bool pkcs7_read(struct slice der, struct pkcs7_contents *out);

#endif
