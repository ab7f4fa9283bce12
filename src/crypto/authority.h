/*
 * A small certificate authority: certificates and lists of revoked ones with what they must have
 * for IKE and for the clients of Windows and Apple. Values in, values out: where they are kept is
 * the caller's business.
 */
#ifndef SEKISHO_CRYPTO_AUTHORITY_H
#define SEKISHO_CRYPTO_AUTHORITY_H

#include "base/random.h"
#include "crypto/certificate.h"

#define AUTHORITY_NAMES_MAX 16
#define AUTHORITY_SERIAL_BYTES 16
#define AUTHORITY_URL_BYTES 256
#define AUTHORITY_PEM_BYTES_MAX (2 * CERTIFICATE_BYTES_MAX)

struct authority_order {
    const char *common_name; /* 1 to 64 printable characters */
    const char *names[AUTHORITY_NAMES_MAX]; /* host names, addresses, user@host */
    size_t name_count;
    int64_t begins_s, ends_s;
    const char *list_url; /* where the list of revoked ones is to be had; NULL: not said */
};

/* What may stand as such a place: http, and no character that means something else elsewhere. */
MUST_USE bool authority_url_is_good(const char *url);
/* A name that may stand in a certificate: letters, figures, '-', '_', '.', ':' and one '@'. */
MUST_USE bool authority_name_is_good(const char *name);

/* Signed by itself, for issuing certificates of gateways and people and nothing below. NULL: no
 * memory, or an order that cannot be. */
MUST_USE struct certificate *authority_make_root(const struct authority_order *order,
                                                 const struct private_key *key,
                                                 struct random_source *random);
/* For IKE: digitalSignature; the purposes of IKE (RFC 4945 5.1.3.12), of TLS servers and clients
 * and of old macOS; every name of the order, of which there must be one. */
MUST_USE struct certificate *authority_issue(const struct authority_order *order,
                                             const struct public_key *key,
                                             const struct certificate *issuer,
                                             const struct private_key *issuer_key,
                                             struct random_source *random);

struct authority_revoked {
    uint8_t serial[20];
    size_t serial_length;
    int64_t at_s;
};

/* A CRL in PEM. */
MUST_USE bool authority_write_crl(const struct certificate *issuer,
                                  const struct private_key *issuer_key,
                                  const struct authority_revoked *list, size_t count,
                                  uint64_t number, int64_t from_s, int64_t until_s,
                                  struct writer *out);
MUST_USE bool authority_write_pem(const struct certificate *certificate, struct writer *out);
/* The octets of the serial number; at most 20. */
size_t authority_serial(const struct certificate *certificate, uint8_t out[20]);

#endif
