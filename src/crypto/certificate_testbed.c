/* Certificates of every sort for the tests: what an authority may write, and what it may not. */
#include "crypto/certificate_testbed.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/ocsp.h>
#include <openssl/pem.h>

#include "crypto/certificate_internal.h"
#include "crypto/signing_key_internal.h"

const struct testbed_order testbed_root = {
    .subject = "C=JP, O=Partner, CN=Root",
    .basic = "critical,CA:TRUE",
    .usage = "critical,keyCertSign,cRLSign",
    .serial = 1,
};
const struct testbed_order testbed_middle = {
    .subject = "C=JP, O=Partner, CN=Middle",
    .basic = "critical,CA:TRUE,pathlen:0",
    .usage = "critical,keyCertSign,cRLSign",
    .serial = 2,
};
const struct testbed_order testbed_gateway = {
    .subject = "C=JP, O=Partner, CN=gw1",
    .names = "DNS:gw1.example.jp,IP:203.0.113.1,IP:2001:db8::1,email:ops@example.jp,"
             "URI:urn:example:gw1",
    .usage = "critical,digitalSignature",
    .purpose = "serverAuth",
    .serial = 3,
};

static void set_subject(X509_NAME *name, const char *words)
{
    char copy[512];
    char *rest = copy;
    char *part;

    assert(strlen(words) < sizeof(copy));
    memcpy(copy, words, strlen(words) + 1);
    while ((part = strsep(&rest, ",")) != NULL && *part != 0) {
        char *value = strchr(part, '=');

        part += strspn(part, " ");
        *value++ = 0;
        int done = X509_NAME_add_entry_by_txt(name, part, MBSTRING_UTF8,
                                              (const unsigned char *)value, -1, -1, 0);
        assert(done == 1);
    }
}

static void add_extension(X509 *x509, X509V3_CTX *context, int nid, const char *words)
{
    if (words == NULL) {
        return;
    }
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, context, nid, words);
    assert(extension != NULL);
    int done = X509_add_ext(x509, extension, -1);

    assert(done == 1);
    X509_EXTENSION_free(extension);
}

static X509_EXTENSION *unknown_extension(const char *words)
{
    ASN1_OBJECT *object = OBJ_txt2obj("1.3.6.1.4.1.99999.1", 1);
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    int done = ASN1_OCTET_STRING_set(value, (const unsigned char *)words, -1);
    X509_EXTENSION *extension = X509_EXTENSION_create_by_OBJ(NULL, object, 1, value);

    assert(done == 1 && extension != NULL);
    ASN1_OBJECT_free(object);
    ASN1_OCTET_STRING_free(value);
    return extension;
}

static const EVP_MD *digest_for(const struct private_key *key, const char *wanted)
{
    if (key->kind == KEY_ED25519 || key->kind == KEY_ED448) {
        return NULL;
    }
    return wanted == NULL ? EVP_sha256() : EVP_get_digestbyname(wanted);
}

struct certificate *testbed_issue(const struct testbed_order *order, const struct private_key *key,
                                  const struct certificate *issuer,
                                  const struct private_key *issuer_key)
{
    X509 *x509 = X509_new();
    X509 *signer = issuer == NULL ? x509 : issuer->x509;
    X509V3_CTX context;
    int64_t begins_s = order->begins_s != 0 ? order->begins_s : TESTBED_NOW_S - TESTBED_DAY_S;
    int64_t ends_s = order->ends_s != 0 ? order->ends_s : TESTBED_NOW_S + 30 * TESTBED_DAY_S;

    X509_set_version(x509, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), order->serial);
    set_subject(X509_get_subject_name(x509), order->subject);
    X509_set_issuer_name(x509, X509_get_subject_name(signer));
    ASN1_TIME_set(X509_getm_notBefore(x509), begins_s);
    ASN1_TIME_set(X509_getm_notAfter(x509), ends_s);
    X509_set_pubkey(x509, key->pkey);
    X509V3_set_ctx(&context, signer, x509, NULL, NULL, 0);
    add_extension(x509, &context, NID_subject_key_identifier, "hash");
    if (issuer != NULL) {
        add_extension(x509, &context, NID_authority_key_identifier, "keyid");
    }
    add_extension(x509, &context, NID_basic_constraints, order->basic);
    add_extension(x509, &context, NID_crl_distribution_points, order->lists);
    add_extension(x509, &context, NID_info_access, order->access);
    add_extension(x509, &context, NID_key_usage, order->usage);
    add_extension(x509, &context, NID_ext_key_usage, order->purpose);
    add_extension(x509, &context, NID_subject_alt_name, order->names);
    add_extension(x509, &context, NID_name_constraints, order->constraints);
    if (order->unknown != NULL) {
        X509_EXTENSION *extension = unknown_extension(order->unknown);
        X509_add_ext(x509, extension, -1);
        X509_EXTENSION_free(extension);
    }
    const struct private_key *with = issuer == NULL ? key : issuer_key;
    int length = X509_sign(x509, with->pkey, digest_for(with, order->digest));
    assert(length > 0);
    unsigned char *der = NULL;
    length = i2d_X509(x509, &der);
    struct certificate *certificate = certificate_read((struct slice){der, (size_t)length});

    OPENSSL_free(der);
    X509_free(x509);
    return certificate;
}

struct credential *testbed_credential(const struct private_key *key,
                                      struct certificate *const *chain, size_t count)
{
    BIO *bio = BIO_new(BIO_s_mem());
    uint8_t text[PRIVATE_KEY_FILE_BYTES_MAX];
    struct writer w = writer_over(text, sizeof(text));
    struct credential_verdict verdict;
    char *data = NULL;

    for (size_t i = 0; i < count; i++) {
        int done = PEM_write_bio_X509(bio, chain[i]->x509);
        assert(done == 1);
    }
    bool written = private_key_write(key, (struct slice){NULL, 0}, &w);
    assert(written);
    long length = BIO_get_mem_data(bio, &data);
    struct credential *credential =
        credential_read((struct slice){(const uint8_t *)data, (size_t)length}, writer_written(&w),
                        (struct slice){NULL, 0}, &verdict);

    assert(credential != NULL);
    BIO_free(bio);
    return credential;
}

struct trust *testbed_trust(struct certificate *authority)
{
    struct trust *trust = trust_new();
    struct certificate_bag bag = {.certificate_count = 1, .certificates = {authority}};
    bool added = trust != NULL && trust_add(trust, &bag);

    assert(added);
    return trust;
}

struct slice testbed_crl(uint8_t *out, size_t capacity, const struct certificate *issuer,
                         const struct private_key *issuer_key,
                         const struct certificate *const *revoked, size_t count, int64_t from_s,
                         int64_t until_s, const char *critical_extension)
{
    X509_CRL *crl = X509_CRL_new();
    ASN1_TIME *from = ASN1_TIME_set(NULL, from_s);
    ASN1_TIME *until = ASN1_TIME_set(NULL, until_s);

    X509_CRL_set_version(crl, 1);
    X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer->x509));
    X509_CRL_set1_lastUpdate(crl, from);
    if (until_s != 0) {
        X509_CRL_set1_nextUpdate(crl, until);
    }
    for (size_t i = 0; i < count; i++) {
        X509_REVOKED *entry = X509_REVOKED_new();
        X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(revoked[i]->x509));
        X509_REVOKED_set_revocationDate(entry, from);
        X509_CRL_add0_revoked(crl, entry);
    }
    if (critical_extension != NULL) {
        X509_EXTENSION *extension = unknown_extension(critical_extension);
        X509_CRL_add_ext(crl, extension, -1);
        X509_EXTENSION_free(extension);
    }
    X509_CRL_sort(crl);
    int length = X509_CRL_sign(crl, issuer_key->pkey, digest_for(issuer_key, NULL));
    assert(length > 0 && (size_t)i2d_X509_CRL(crl, NULL) <= capacity);
    unsigned char *at = out;
    length = i2d_X509_CRL(crl, &at);
    ASN1_TIME_free(from);
    ASN1_TIME_free(until);
    X509_CRL_free(crl);
    (void)capacity;
    return (struct slice){out, (size_t)length};
}

struct slice testbed_ocsp(uint8_t *out, size_t capacity, enum testbed_ocsp status,
                          const struct certificate *certificate, const struct certificate *issuer,
                          const struct certificate *signer, const struct private_key *signer_key,
                          int64_t from_s, int64_t until_s, struct slice nonce)
{
    static const int codes[] = {V_OCSP_CERTSTATUS_GOOD, V_OCSP_CERTSTATUS_REVOKED,
                                V_OCSP_CERTSTATUS_UNKNOWN};
    OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
    OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha1(), certificate->x509, issuer->x509);
    ASN1_TIME *from = ASN1_GENERALIZEDTIME_set(NULL, from_s);
    ASN1_TIME *until = until_s == 0 ? NULL : ASN1_GENERALIZEDTIME_set(NULL, until_s);
    unsigned char copy[32];

    OCSP_basic_add1_status(basic, id, codes[status], OCSP_REVOKED_STATUS_NOSTATUS,
                           status == TESTBED_OCSP_REVOKED ? from : NULL, from, until);
    if (nonce.length > 0) {
        assert(nonce.length <= sizeof(copy));
        memcpy(copy, nonce.data, nonce.length);
        OCSP_basic_add1_nonce(basic, copy, (int)nonce.length);
    }
    int done = OCSP_basic_sign(basic, signer->x509, signer_key->pkey, digest_for(signer_key, NULL),
                               NULL, 0);
    assert(done == 1);
    OCSP_RESPONSE *response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
    unsigned char *at = out;

    assert((size_t)i2d_OCSP_RESPONSE(response, NULL) <= capacity);
    int length = i2d_OCSP_RESPONSE(response, &at);
    ASN1_TIME_free(from);
    ASN1_TIME_free(until);
    OCSP_CERTID_free(id);
    OCSP_BASICRESP_free(basic);
    OCSP_RESPONSE_free(response);
    (void)capacity;
    (void)done;
    return (struct slice){out, (size_t)length};
}
