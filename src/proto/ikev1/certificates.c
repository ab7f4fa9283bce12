/*
 * Certificates that a peer sends (RFC 2408 3.9, RFC 4945 3.3): decides which of his CERT payloads
 * can be used. They come in no order, alone or wrapped in PKCS#7; what we do not use is passed
 * over: revocation lists, keys of DNS and PGP, certificates of attributes.
 */
#include "crypto/pkcs7.h"
#include "proto/ikev1/machine.h"

/* Of IKEv2, where they are as unwelcome. */
#define HASH_AND_URL 12
#define BUNDLE_HASH_AND_URL 13

#define TOO_MANY "more or larger certificates than any real chain has"

static const char *add(struct ikev1_received_certificates *out, struct slice der)
{
    if (out->count == CERTIFICATES_MAX || der.length > CERTIFICATE_BYTES_MAX) {
        return TOO_MANY;
    }
    out->list[out->count++] = der;
    return NULL;
}

static const char *add_wrapped(struct ikev1_received_certificates *out, struct slice der)
{
    struct pkcs7_contents contents;
    const char *wrong = NULL;

    if (!pkcs7_read(der, &contents)) {
        return "what is wrapped in PKCS#7 is malformed";
    }
    for (size_t i = 0; wrong == NULL && i < contents.count; i++) {
        wrong = add(out, contents.certificates[i]);
    }
    return wrong;
}

const char *ikev1_read_certificates(const struct ikev1_message *m,
                                    struct ikev1_received_certificates *out)
{
    const char *wrong = NULL;
    struct slice body;

    out->count = 0;
    for (size_t i = 0; wrong == NULL && ikev1_message_find(m, IKEV1_CERT, i, &body); i++) {
        struct ikev1_cert_payload cert;

        if (!ikev1_read_cert(body, &cert)) {
            return "a malformed CERT payload";
        }
        switch (cert.encoding) {
        case IKEV1_CERT_X509_SIGNATURE:
        case IKEV1_CERT_X509_KEY_EXCHANGE:
            wrong = add(out, cert.data);
            break;
        case IKEV1_CERT_PKCS7:
            wrong = add_wrapped(out, cert.data);
            break;
        case HASH_AND_URL:
        case BUNDLE_HASH_AND_URL:
            return "a certificate by its address only: nothing is fetched for strangers";
        default:
            break;
        }
    }
    return wrong;
}
