/* libcrypto's side of certificates, for the files of this room alone. */
#ifndef SEKISHO_CRYPTO_CERTIFICATE_INTERNAL_H
#define SEKISHO_CRYPTO_CERTIFICATE_INTERNAL_H

#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "crypto/certificate.h"

#define OID_IKE_INTERMEDIATE "1.3.6.1.5.5.8.2.2" /* what macOS of old looks for */

struct certificate {
    X509 *x509;
    struct public_key *key; /* NULL: not one of ours */
    int64_t begins_s, ends_s;
    unsigned holders;
    size_t der_length, subject_length;
    uint8_t der[]; /* the certificate, then its subject */
};

void certificate_name_words(const X509_NAME *name, struct text *out);
/* False: not a time. */
MUST_USE bool certificate_time_s(const ASN1_TIME *time, int64_t *out);

#endif
