/*
 * A small certificate authority: decides what stands in the certificates and lists that it signs
 * (RFC 5280, RFC 4945).
 */
#include "crypto/authority.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/address.h"
#include "crypto/certificate_internal.h"
#include "crypto/signing_key_internal.h"

#define COMMON_NAME_BYTES_MAX 64 /* ub-common-name (RFC 5280 A.1) */
#define NAME_BYTES_MAX 253
#define NAMES_TEXT_BYTES (AUTHORITY_NAMES_MAX * (NAME_BYTES_MAX + 8))
#define PURPOSES "serverAuth,clientAuth,1.3.6.1.5.5.7.3.17," OID_IKE_INTERMEDIATE

bool authority_name_is_good(const char *name)
{
    static const char good[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:@";
    size_t length = strlen(name);
    const char *at = strchr(name, '@');

    return length > 0 && length <= NAME_BYTES_MAX && strspn(name, good) == length &&
           (at == NULL || (at != name && at[1] != 0 && strchr(at + 1, '@') == NULL));
}

static bool common_name_is_good(const char *name)
{
    size_t length = strlen(name);

    for (size_t i = 0; i < length; i++) {
        if (name[i] < ' ' || name[i] > '~') {
            return false;
        }
    }
    return length > 0 && length <= COMMON_NAME_BYTES_MAX;
}

/* "DNS:tokyo.example.jp,IP:203.0.113.1": the names have no character with a meaning there. */
static bool names_words(const struct authority_order *order, struct text *out)
{
    for (size_t i = 0; i < order->name_count; i++) {
        const char *name = order->names[i];
        struct address address;

        if (!authority_name_is_good(name)) {
            return false;
        }
        const char *kind = address_parse(slice_of_text(name), &address) ? "IP"
                           : strchr(name, '@') != NULL                  ? "email"
                                                                        : "DNS";

        if (strcmp(kind, "DNS") == 0 && strchr(name, ':') != NULL) {
            return false;
        }
        text_addf(out, "%s%s:%s", i == 0 ? "" : ",", kind, name);
    }
    return !out->cut;
}

static bool add_extension(X509 *x509, X509 *issuer, int nid, const char *words)
{
    X509V3_CTX context;

    X509V3_set_ctx(&context, issuer, x509, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, words);
    bool added = extension != NULL && X509_add_ext(x509, extension, -1) == 1;

    X509_EXTENSION_free(extension);
    return added;
}

/* RFC 5280 4.1.2.2: positive, at most 20 octets; nobody can guess it. */
static bool set_serial(ASN1_INTEGER *serial, struct random_source *random)
{
    uint8_t octets[AUTHORITY_SERIAL_BYTES];

    random_fill(random, octets, sizeof(octets));
    octets[0] = (uint8_t)((octets[0] & 0x7f) | 0x40);
    BIGNUM *number = BN_bin2bn(octets, sizeof(octets), NULL);
    bool set = number != NULL && BN_to_ASN1_INTEGER(number, serial) != NULL;

    BN_free(number);
    return set;
}

static const EVP_MD *digest_for(const struct private_key *key)
{
    switch (key->kind) {
    case KEY_RSA:
    case KEY_P256:
        return EVP_sha256();
    case KEY_P384:
        return EVP_sha384();
    case KEY_P521:
        return EVP_sha512();
    case KEY_ED25519:
    case KEY_ED448:
        return NULL;
    case KEY_DSA:
        return EVP_sha256();
    }
    return NULL;
}

static bool fill(X509 *x509, const struct authority_order *order, EVP_PKEY *key,
                 const struct certificate *issuer, struct random_source *random)
{
    X509_NAME *subject = X509_get_subject_name(x509);

    return common_name_is_good(order->common_name) && order->begins_s < order->ends_s &&
           order->name_count <= AUTHORITY_NAMES_MAX && X509_set_version(x509, 2) == 1 &&
           set_serial(X509_get_serialNumber(x509), random) &&
           X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_ASC,
                                      (const unsigned char *)order->common_name, -1, -1, 0) == 1 &&
           X509_set_issuer_name(x509, issuer == NULL ? subject
                                                     : X509_get_subject_name(issuer->x509)) == 1 &&
           ASN1_TIME_set(X509_getm_notBefore(x509), (time_t)order->begins_s) != NULL &&
           ASN1_TIME_set(X509_getm_notAfter(x509), (time_t)order->ends_s) != NULL &&
           X509_set_pubkey(x509, key) == 1 &&
           add_extension(x509, x509, NID_subject_key_identifier, "hash");
}

static struct certificate *sign(X509 *x509, const struct private_key *key)
{
    unsigned char *der = NULL;
    int length = X509_sign(x509, key->pkey, digest_for(key)) > 0 ? i2d_X509(x509, &der) : 0;
    struct certificate *certificate =
        length > 0 ? certificate_read((struct slice){der, (size_t)length}) : NULL;

    OPENSSL_free(der);
    return certificate;
}

struct certificate *authority_make_root(const struct authority_order *order,
                                        const struct private_key *key, struct random_source *random)
{
    X509 *x509 = X509_new();
    bool good = x509 != NULL && fill(x509, order, key->pkey, NULL, random) &&
                add_extension(x509, x509, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
                add_extension(x509, x509, NID_key_usage, "critical,keyCertSign,cRLSign");
    struct certificate *certificate = good ? sign(x509, key) : NULL;

    X509_free(x509);
    ERR_clear_error();
    return certificate;
}

bool authority_url_is_good(const char *url)
{
    static const char scheme[] = "http://";
    size_t length = strlen(url);

    return length > sizeof(scheme) - 1 && length < AUTHORITY_URL_BYTES &&
           strncmp(url, scheme, sizeof(scheme) - 1) == 0 &&
           strspn(url, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                       "-._~/:[]%") == length;
}

/* RFC 5280 4.2.1.13 */
static bool add_list_url(X509 *x509, X509 *issuer, const char *url)
{
    char words[AUTHORITY_URL_BYTES + 8];
    struct text text = text_over(words, sizeof(words));

    if (url == NULL) {
        return true;
    }
    text_addf(&text, "URI:%s", url);
    return authority_url_is_good(url) &&
           add_extension(x509, issuer, NID_crl_distribution_points, words);
}

struct certificate *authority_issue(const struct authority_order *order,
                                    const struct public_key *key, const struct certificate *issuer,
                                    const struct private_key *issuer_key,
                                    struct random_source *random)
{
    char words[NAMES_TEXT_BYTES];
    struct text names = text_over(words, sizeof(words));
    X509 *x509 = X509_new();
    bool good = x509 != NULL && order->name_count > 0 && names_words(order, &names) &&
                order->ends_s <= certificate_ends_s(issuer) &&
                fill(x509, order, key->pkey, issuer, random) &&
                add_extension(x509, issuer->x509, NID_authority_key_identifier, "keyid:always") &&
                add_extension(x509, issuer->x509, NID_basic_constraints, "critical,CA:FALSE") &&
                add_extension(x509, issuer->x509, NID_key_usage, "critical,digitalSignature") &&
                add_extension(x509, issuer->x509, NID_ext_key_usage, PURPOSES) &&
                add_extension(x509, issuer->x509, NID_subject_alt_name, words) &&
                add_list_url(x509, issuer->x509, order->list_url);
    struct certificate *certificate = good ? sign(x509, issuer_key) : NULL;

    X509_free(x509);
    ERR_clear_error();
    return certificate;
}

/* ---- the list ---- */

static bool add_revoked(X509_CRL *crl, const struct authority_revoked *revoked)
{
    X509_REVOKED *entry = X509_REVOKED_new();
    BIGNUM *number = BN_bin2bn(revoked->serial, (int)revoked->serial_length, NULL);
    ASN1_INTEGER *serial = number == NULL ? NULL : BN_to_ASN1_INTEGER(number, NULL);
    ASN1_TIME *when = ASN1_TIME_set(NULL, (time_t)revoked->at_s);
    bool added = entry != NULL && serial != NULL && when != NULL &&
                 X509_REVOKED_set_serialNumber(entry, serial) == 1 &&
                 X509_REVOKED_set_revocationDate(entry, when) == 1 &&
                 X509_CRL_add0_revoked(crl, entry) == 1;

    if (!added) {
        X509_REVOKED_free(entry);
    }
    BN_free(number);
    ASN1_INTEGER_free(serial);
    ASN1_TIME_free(when);
    return added;
}

/* RFC 5280 5.2.3. */
static bool add_number(X509_CRL *crl, uint64_t number)
{
    ASN1_INTEGER *value = ASN1_INTEGER_new();
    bool added = value != NULL && ASN1_INTEGER_set_uint64(value, number) == 1 &&
                 X509_CRL_add1_ext_i2d(crl, NID_crl_number, value, 0, 0) == 1;

    ASN1_INTEGER_free(value);
    return added;
}

static bool add_key_identifier(X509_CRL *crl, X509 *issuer)
{
    X509V3_CTX context;

    X509V3_set_ctx(&context, issuer, NULL, NULL, crl, 0);
    X509_EXTENSION *extension =
        X509V3_EXT_conf_nid(NULL, &context, NID_authority_key_identifier, "keyid:always");
    bool added = extension != NULL && X509_CRL_add_ext(crl, extension, -1) == 1;

    X509_EXTENSION_free(extension);
    return added;
}

bool authority_write_crl(const struct certificate *issuer, const struct private_key *issuer_key,
                         const struct authority_revoked *list, size_t count, uint64_t number,
                         int64_t from_s, int64_t until_s, struct writer *out)
{
    X509_CRL *crl = X509_CRL_new();
    ASN1_TIME *from = ASN1_TIME_set(NULL, (time_t)from_s);
    ASN1_TIME *until = ASN1_TIME_set(NULL, (time_t)until_s);
    BIO *bio = BIO_new(BIO_s_mem());
    char *data = NULL;
    bool good = crl != NULL && from != NULL && until != NULL && bio != NULL &&
                X509_CRL_set_version(crl, 1) == 1 &&
                X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer->x509)) == 1 &&
                X509_CRL_set1_lastUpdate(crl, from) == 1 &&
                X509_CRL_set1_nextUpdate(crl, until) == 1 && add_number(crl, number) &&
                add_key_identifier(crl, issuer->x509);

    for (size_t i = 0; good && i < count; i++) {
        good = add_revoked(crl, &list[i]);
    }
    good = good && X509_CRL_sort(crl) == 1 &&
           X509_CRL_sign(crl, issuer_key->pkey, digest_for(issuer_key)) > 0 &&
           PEM_write_bio_X509_CRL(bio, crl) == 1;
    if (good) {
        long length = BIO_get_mem_data(bio, &data);
        write_slice(out, (struct slice){(const uint8_t *)data, (size_t)length});
    }
    BIO_free(bio);
    ASN1_TIME_free(from);
    ASN1_TIME_free(until);
    X509_CRL_free(crl);
    ERR_clear_error();
    return good && writer_ok(out);
}

bool authority_write_pem(const struct certificate *certificate, struct writer *out)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *data = NULL;
    bool good = bio != NULL && PEM_write_bio_X509(bio, certificate->x509) == 1;

    if (good) {
        long length = BIO_get_mem_data(bio, &data);
        write_slice(out, (struct slice){(const uint8_t *)data, (size_t)length});
    }
    BIO_free(bio);
    return good && writer_ok(out);
}

size_t authority_serial(const struct certificate *certificate, uint8_t out[20])
{
    const ASN1_INTEGER *serial = X509_get0_serialNumber(certificate->x509);
    size_t length = (size_t)ASN1_STRING_length(serial);

    if (length > 20) {
        return 0;
    }
    memcpy(out, ASN1_STRING_get0_data(serial), length);
    return length;
}
