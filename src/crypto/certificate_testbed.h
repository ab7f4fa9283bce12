/* Certificates of every sort for the tests, good and bad ones, made with libcrypto directly. */
#ifndef SEKISHO_CRYPTO_CERTIFICATE_TESTBED_H
#define SEKISHO_CRYPTO_CERTIFICATE_TESTBED_H

#include "crypto/credential.h"
#include "crypto/trust.h"

#define TESTBED_NOW_S 1800000000 /* 2027-01-15 08:00 UTC */
#define TESTBED_DAY_S 86400

struct testbed_order {
    const char *subject; /* "C=JP, O=Partner, CN=gw1" */
    const char *names; /* "DNS:gw1.example.jp,IP:203.0.113.1" */
    const char *basic; /* "critical,CA:TRUE" */
    const char *usage; /* "digitalSignature" */
    const char *purpose; /* "serverAuth" */
    const char *constraints; /* "critical,permitted;DNS:example.jp" */
    const char *unknown; /* anything: a critical extension that nobody knows has these octets */
    const char *lists; /* "URI:http://ca.example.jp/a.crl" */
    const char *access; /* "OCSP;URI:http://ca.example.jp/" */
    const char *digest; /* "SHA256" when NULL */
    int64_t begins_s, ends_s; /* a day before and 30 days after now when 0 */
    long serial;
};

extern const struct testbed_order testbed_root, testbed_middle, testbed_gateway;

/* Signed by the issuer, or by itself when `issuer` is NULL. */
struct certificate *testbed_issue(const struct testbed_order *order, const struct private_key *key,
                                  const struct certificate *issuer,
                                  const struct private_key *issuer_key);
/* What a side proves itself with, and what it believes. */
struct credential *testbed_credential(const struct private_key *key,
                                      struct certificate *const *chain, size_t count);
struct trust *testbed_trust(struct certificate *authority);
/* A CRL of these certificates, DER. */
struct slice testbed_crl(uint8_t *out, size_t capacity, const struct certificate *issuer,
                         const struct private_key *issuer_key,
                         const struct certificate *const *revoked, size_t count, int64_t from_s,
                         int64_t until_s, const char *critical_extension);
enum testbed_ocsp { TESTBED_OCSP_GOOD, TESTBED_OCSP_REVOKED, TESTBED_OCSP_UNKNOWN };
/* A response about one certificate; `signer` is put into it. */
struct slice testbed_ocsp(uint8_t *out, size_t capacity, enum testbed_ocsp status,
                          const struct certificate *certificate, const struct certificate *issuer,
                          const struct certificate *signer, const struct private_key *signer_key,
                          int64_t from_s, int64_t until_s, struct slice nonce);

#endif
