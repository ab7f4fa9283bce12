/*
 * X.509 certificates as values: decides what is read as one, which names it has and how it is
 * shown. RFC 5280 4; RFC 4945 3.1 and 5.1.3.6 for names.
 */
#include "crypto/certificate.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "crypto/certificate_internal.h"
#include "crypto/digest.h"
#include "crypto/signing_key_internal.h"

#define ATTRIBUTES_MAX 32 /* of one name */
#define CRL_BYTES_MAX (16 * 1024 * 1024)

/* ---- reading ---- */

bool certificate_time_s(const ASN1_TIME *time, int64_t *out)
{
    struct tm parts;

    if (time == NULL || ASN1_TIME_to_tm(time, &parts) != 1) {
        return false;
    }
    *out = timegm(&parts);
    return true;
}

static struct certificate *certificate_over(X509 *x509, struct slice der)
{
    const X509_NAME *subject = X509_get_subject_name(x509);
    const unsigned char *name = NULL;
    size_t name_length = 0;
    int64_t begins_s;
    int64_t ends_s;

    if (X509_NAME_get0_der(subject, &name, &name_length) != 1 ||
        !certificate_time_s(X509_get0_notBefore(x509), &begins_s) ||
        !certificate_time_s(X509_get0_notAfter(x509), &ends_s)) {
        return NULL;
    }
    struct certificate *c = calloc(1, sizeof(*c) + der.length + name_length);

    if (c == NULL || X509_up_ref(x509) != 1) {
        free(c);
        return NULL;
    }
    c->x509 = x509;
    c->key = public_key_over(X509_get0_pubkey(x509));
    c->begins_s = begins_s;
    c->ends_s = ends_s;
    c->holders = 1;
    c->der_length = der.length;
    c->subject_length = name_length;
    memcpy(c->der, der.data, der.length);
    memcpy(c->der + der.length, name, name_length);
    return c;
}

struct certificate *certificate_read(struct slice der)
{
    const unsigned char *at = der.data;

    if (der.length == 0 || der.length > CERTIFICATE_BYTES_MAX) {
        return NULL;
    }
    X509 *x509 = d2i_X509(NULL, &at, (long)der.length);
    struct certificate *c = NULL;

    if (x509 != NULL && at == der.data + der.length) {
        /* Makes libcrypto look at all extensions once, before any other thread can. */
        (void)X509_check_purpose(x509, -1, 0);
        c = certificate_over(x509, der);
    }
    X509_free(x509);
    ERR_clear_error();
    return c;
}

struct certificate *certificate_hold(struct certificate *certificate)
{
    __atomic_add_fetch(&certificate->holders, 1, __ATOMIC_RELAXED);
    return certificate;
}

void certificate_free(struct certificate *certificate)
{
    if (certificate != NULL &&
        __atomic_sub_fetch(&certificate->holders, 1, __ATOMIC_ACQ_REL) == 0) {
        public_key_free(certificate->key);
        X509_free(certificate->x509);
        free(certificate);
    }
}

struct slice certificate_der(const struct certificate *certificate)
{
    return (struct slice){certificate->der, certificate->der_length};
}

struct slice certificate_subject(const struct certificate *certificate)
{
    return (struct slice){certificate->der + certificate->der_length, certificate->subject_length};
}

const struct public_key *certificate_key(const struct certificate *certificate)
{
    return certificate->key;
}

int64_t certificate_begins_s(const struct certificate *certificate)
{
    return certificate->begins_s;
}

int64_t certificate_ends_s(const struct certificate *certificate)
{
    return certificate->ends_s;
}

bool certificate_is_authority(const struct certificate *certificate)
{
    return X509_check_ca(certificate->x509) == 1;
}

bool certificate_is_self_issued(const struct certificate *certificate)
{
    return X509_NAME_cmp(X509_get_subject_name(certificate->x509),
                         X509_get_issuer_name(certificate->x509)) == 0;
}

bool certificate_is_issued_by(const struct certificate *certificate,
                              const struct certificate *issuer)
{
    EVP_PKEY *key = X509_get0_pubkey(issuer->x509);
    bool issued = key != NULL && X509_check_issued(issuer->x509, certificate->x509) == X509_V_OK &&
                  X509_verify(certificate->x509, key) == 1;

    ERR_clear_error();
    return issued;
}

bool certificate_equal(const struct certificate *a, const struct certificate *b)
{
    return slice_equal(certificate_der(a), certificate_der(b));
}

static void digest_of(enum digest_id id, struct slice bytes, uint8_t *out)
{
    struct digest d;

    digest_begin(&d, id);
    digest_add(&d, bytes.data, bytes.length);
    digest_end(&d, out);
}

void certificate_fingerprint(const struct certificate *certificate,
                             uint8_t out[CERTIFICATE_FINGERPRINT_BYTES])
{
    digest_of(DIGEST_SHA256, certificate_der(certificate), out);
}

void certificate_key_hash(const struct certificate *certificate,
                          uint8_t out[CERTIFICATE_KEY_HASH_BYTES])
{
    unsigned char *spki = NULL;
    int length = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate->x509), &spki);

    memset(out, 0, CERTIFICATE_KEY_HASH_BYTES);
    if (length > 0) {
        digest_of(DIGEST_SHA1, (struct slice){spki, (size_t)length}, out);
    }
    OPENSSL_free(spki);
}

/* ---- names ---- */

static uint8_t lower(uint8_t octet)
{
    return octet >= 'A' && octet <= 'Z' ? (uint8_t)(octet - 'A' + 'a') : octet;
}

static bool equal_without_case(struct slice a, struct slice b)
{
    if (a.length != b.length) {
        return false;
    }
    for (size_t i = 0; i < a.length; i++) {
        if (lower(a.data[i]) != lower(b.data[i])) {
            return false;
        }
    }
    return true;
}

static struct slice without_final_dot(struct slice name)
{
    if (name.length > 0 && name.data[name.length - 1] == '.') {
        name.length--;
    }
    return name;
}

/* A wildcard stands for names of web servers (RFC 6125); a gateway has one name. */
static bool dns_equal(struct slice said, struct slice wanted)
{
    said = without_final_dot(said);
    wanted = without_final_dot(wanted);
    return said.length > 0 && memchr(said.data, '*', said.length) == NULL &&
           memchr(said.data, 0, said.length) == NULL && equal_without_case(said, wanted);
}

static bool email_equal(struct slice said, struct slice wanted)
{
    const uint8_t *at = said.length > 0 ? memchr(said.data, '@', said.length) : NULL;
    size_t local = at == NULL ? 0 : (size_t)(at - said.data);

    return at != NULL && local > 0 && said.length == wanted.length &&
           memcmp(said.data, wanted.data, local) == 0 &&
           equal_without_case((struct slice){said.data + local, said.length - local},
                              (struct slice){wanted.data + local, wanted.length - local});
}

static struct slice string_slice(const ASN1_STRING *string)
{
    return (struct slice){ASN1_STRING_get0_data(string), (size_t)ASN1_STRING_length(string)};
}

static bool general_name_is(const GENERAL_NAME *name, enum certificate_name_kind kind,
                            struct slice value)
{
    switch (kind) {
    case CERTIFICATE_NAME_DNS:
        return name->type == GEN_DNS && dns_equal(string_slice(name->d.dNSName), value);
    case CERTIFICATE_NAME_EMAIL:
        return name->type == GEN_EMAIL && email_equal(string_slice(name->d.rfc822Name), value);
    case CERTIFICATE_NAME_URI:
        return name->type == GEN_URI &&
               slice_equal(string_slice(name->d.uniformResourceIdentifier), value);
    case CERTIFICATE_NAME_ADDRESS:
        return name->type == GEN_IPADD && (value.length == 4 || value.length == 16) &&
               slice_equal(string_slice(name->d.iPAddress), value);
    case CERTIFICATE_NAME_DN:
    case CERTIFICATE_NAME_DN_PATTERN:
        return false;
    }
    assert(false);
    return false;
}

static bool has_alternative_name(const X509 *x509, enum certificate_name_kind kind,
                                 struct slice value)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(x509, NID_subject_alt_name, NULL, NULL);
    bool found = false;

    for (int i = 0; names != NULL && i < sk_GENERAL_NAME_num(names); i++) {
        found = found || general_name_is(sk_GENERAL_NAME_value(names, i), kind, value);
    }
    GENERAL_NAMES_free(names);
    return found;
}

static bool subject_is(const X509 *x509, struct slice der)
{
    const unsigned char *at = der.data;
    X509_NAME *name = der.length == 0 || der.length > CERTIFICATE_BYTES_MAX
                          ? NULL
                          : d2i_X509_NAME(NULL, &at, (long)der.length);
    bool same = name != NULL && at == der.data + der.length && X509_NAME_entry_count(name) > 0 &&
                X509_NAME_cmp(name, X509_get_subject_name(x509)) == 0;

    X509_NAME_free(name);
    ERR_clear_error();
    return same;
}

/* ---- patterns for a subject ---- */

struct attribute {
    int nid; /* NID_undef: none that we know */
    bool any;
    size_t length;
    uint8_t value[128]; /* without escapes, spaces around, and with one space for several */
};

struct attributes {
    size_t count;
    struct attribute list[ATTRIBUTES_MAX];
};

static int attribute_nid(struct slice word)
{
    static const struct {
        const char *word;
        int nid;
    } words[] = {
        {"C", NID_countryName},
        {"ST", NID_stateOrProvinceName},
        {"S", NID_stateOrProvinceName},
        {"L", NID_localityName},
        {"O", NID_organizationName},
        {"OU", NID_organizationalUnitName},
        {"CN", NID_commonName},
        {"DC", NID_domainComponent},
        {"UID", NID_userId},
        {"E", NID_pkcs9_emailAddress},
        {"emailAddress", NID_pkcs9_emailAddress},
        {"serialNumber", NID_serialNumber},
        {"SN", NID_surname},
        {"GN", NID_givenName},
        {"T", NID_title},
        {"title", NID_title},
        {"street", NID_streetAddress},
        {"postalCode", NID_postalCode},
        {"dnQualifier", NID_dnQualifier},
        {"unstructuredName", NID_pkcs9_unstructuredName},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
        if (equal_without_case(word, slice_of_text(words[i].word))) {
            return words[i].nid;
        }
    }
    return NID_undef;
}

/* RFC 5280 7.1, RFC 4518 2.6.1: spaces around do not count, several inside count as one. */
static bool add_octet(struct attribute *a, uint8_t octet)
{
    if (octet == ' ' && (a->length == 0 || a->value[a->length - 1] == ' ')) {
        return true;
    }
    if (a->length == sizeof(a->value)) {
        return false;
    }
    a->value[a->length++] = octet;
    return true;
}

static void trim(struct attribute *a)
{
    while (a->length > 0 && a->value[a->length - 1] == ' ') {
        a->length--;
    }
}

static bool pattern_value(struct reader *r, struct attribute *a)
{
    bool escaped_star = false;

    while (reader_left(r) > 0) {
        uint8_t octet = read_u8(r);

        if (octet == ',') {
            break;
        }
        if (octet == '\\') {
            octet = read_u8(r);
            escaped_star = escaped_star || octet == '*';
        } else if (octet == '+' || octet == '=') {
            return false; /* several attributes at one place are not told apart here */
        }
        if (!add_octet(a, octet)) {
            return false;
        }
    }
    trim(a);
    bool has_star = a->length > 0 && memchr(a->value, '*', a->length) != NULL;

    a->any = has_star && !escaped_star && a->length == 1;
    return reader_ok(r) && a->length > 0 && (!has_star || escaped_star || a->any);
}

static bool pattern_read(struct slice pattern, struct attributes *out)
{
    struct reader r = reader_over(pattern);

    out->count = 0;
    while (reader_left(&r) > 0) {
        if (out->count == ATTRIBUTES_MAX) {
            return false;
        }
        struct attribute *a = &out->list[out->count++];
        struct attribute word = {0};
        uint8_t octet = 0;

        *a = (struct attribute){0};
        while (reader_left(&r) > 0 && (octet = read_u8(&r)) != '=') {
            if (!add_octet(&word, octet)) {
                return false;
            }
        }
        trim(&word);
        a->nid = attribute_nid((struct slice){word.value, word.length});
        if (octet != '=' || a->nid == NID_undef || !pattern_value(&r, a)) {
            return false;
        }
    }
    return out->count > 0 && pattern.data[pattern.length - 1] != ',';
}

bool certificate_pattern_is_sound(struct slice pattern)
{
    struct attributes attributes;

    return pattern.length > 0 && pattern_read(pattern, &attributes);
}

static bool subject_read(const X509_NAME *name, struct attributes *out)
{
    int count = X509_NAME_entry_count(name);

    out->count = 0;
    if (count <= 0 || count > ATTRIBUTES_MAX) {
        return false;
    }
    for (int i = 0; i < count; i++) {
        const X509_NAME_ENTRY *entry = X509_NAME_get_entry(name, i);
        struct attribute *a = &out->list[out->count++];
        unsigned char *words = NULL;
        int length = ASN1_STRING_to_UTF8(&words, X509_NAME_ENTRY_get_data(entry));
        bool fits = length > 0 && X509_NAME_ENTRY_set(entry) == i;

        *a = (struct attribute){.nid = OBJ_obj2nid(X509_NAME_ENTRY_get_object(entry))};
        for (int at = 0; fits && at < length; at++) {
            fits = words[at] != 0 && add_octet(a, words[at]);
        }
        OPENSSL_free(words);
        trim(a);
        if (!fits) {
            return false;
        }
    }
    return true;
}

static bool attribute_matches(const struct attribute *pattern, const struct attribute *said)
{
    return pattern->nid == said->nid &&
           (pattern->any || equal_without_case((struct slice){pattern->value, pattern->length},
                                               (struct slice){said->value, said->length}));
}

/* Programs show names from either end, so both directions are taken. */
static bool subject_matches(const X509 *x509, struct slice pattern)
{
    struct attributes wanted;
    struct attributes said;
    bool forward = true;
    bool backward = true;

    if (!pattern_read(pattern, &wanted) || !subject_read(X509_get_subject_name(x509), &said) ||
        wanted.count != said.count) {
        return false;
    }
    for (size_t i = 0; i < wanted.count; i++) {
        forward = forward && attribute_matches(&wanted.list[i], &said.list[i]);
        backward = backward && attribute_matches(&wanted.list[i], &said.list[said.count - 1 - i]);
    }
    return forward || backward;
}

bool certificate_has_name(const struct certificate *certificate, enum certificate_name_kind kind,
                          struct slice value)
{
    bool has = false;

    if (value.length == 0) {
        return false;
    }
    switch (kind) {
    case CERTIFICATE_NAME_DNS:
    case CERTIFICATE_NAME_EMAIL:
    case CERTIFICATE_NAME_URI:
    case CERTIFICATE_NAME_ADDRESS:
        has = has_alternative_name(certificate->x509, kind, value);
        break;
    case CERTIFICATE_NAME_DN:
        has = subject_is(certificate->x509, value);
        break;
    case CERTIFICATE_NAME_DN_PATTERN:
        has = subject_matches(certificate->x509, value);
        break;
    }
    ERR_clear_error();
    return has;
}

/* ---- words ---- */

/* What libcrypto wrote, which escaped all that is not printable ASCII. */
static void add_bio(BIO *bio, struct text *out)
{
    char *data = NULL;
    long length = BIO_get_mem_data(bio, &data);

    for (long i = 0; i < length; i++) {
        text_addf(out, "%c", data[i] >= ' ' && data[i] <= '~' ? data[i] : '?');
    }
}

void certificate_name_words(const X509_NAME *name, struct text *out)
{
    BIO *bio = BIO_new(BIO_s_mem());

    if (X509_NAME_entry_count(name) == 0) {
        text_add(out, "(no name)");
    } else if (bio != NULL && X509_NAME_print_ex(bio, name, 0,
                                                 XN_FLAG_SEP_CPLUS_SPC | XN_FLAG_FN_SN |
                                                     ASN1_STRFLGS_RFC2253) >= 0) {
        add_bio(bio, out);
    }
    BIO_free(bio);
    ERR_clear_error();
}

void certificate_subject_words(const struct certificate *certificate, struct text *out)
{
    certificate_name_words(X509_get_subject_name(certificate->x509), out);
}

void certificate_issuer_words(const struct certificate *certificate, struct text *out)
{
    certificate_name_words(X509_get_issuer_name(certificate->x509), out);
}

void certificate_dn_words(struct slice name, struct text *out)
{
    const unsigned char *at = name.data;
    X509_NAME *parsed = name.length == 0 || name.length > CERTIFICATE_BYTES_MAX
                            ? NULL
                            : d2i_X509_NAME(NULL, &at, (long)name.length);

    if (parsed != NULL && at == name.data + name.length) {
        certificate_name_words(parsed, out);
    } else {
        text_add_hex(out, name);
    }
    X509_NAME_free(parsed);
    ERR_clear_error();
}

void certificate_serial_words(const struct certificate *certificate, struct text *out)
{
    text_add_hex(out, string_slice(X509_get0_serialNumber(certificate->x509)));
}

void certificate_time_words(int64_t seconds, struct text *out)
{
    time_t time = (time_t)seconds;
    struct tm parts;

    if (gmtime_r(&time, &parts) != NULL) {
        text_addf(out, "%04d-%02d-%02d %02d:%02d UTC", parts.tm_year + 1900, parts.tm_mon + 1,
                  parts.tm_mday, parts.tm_hour, parts.tm_min);
    }
}

static void address_words(struct slice octets, struct text *out)
{
    if (octets.length == 4) {
        text_addf(out, "%u.%u.%u.%u", octets.data[0], octets.data[1], octets.data[2],
                  octets.data[3]);
        return;
    }
    for (size_t i = 0; i + 1 < octets.length; i += 2) {
        text_addf(out, "%s%x", i == 0 ? "" : ":", get_u16(octets.data + i));
    }
}

static bool general_name_words(const GENERAL_NAME *name, const char *before, struct text *out)
{
    switch (name->type) {
    case GEN_DNS:
    case GEN_EMAIL:
    case GEN_URI:
        text_add(out, before);
        text_add_escaped(out, string_slice(name->d.ia5));
        return true;
    case GEN_IPADD:
        text_add(out, before);
        address_words(string_slice(name->d.iPAddress), out);
        return true;
    default:
        return false;
    }
}

void certificate_names_words(const struct certificate *certificate, struct text *out)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate->x509, NID_subject_alt_name, NULL, NULL);
    bool any = false;

    for (int i = 0; names != NULL && i < sk_GENERAL_NAME_num(names); i++) {
        any = general_name_words(sk_GENERAL_NAME_value(names, i), any ? ", " : "", out) || any;
    }
    GENERAL_NAMES_free(names);
    ERR_clear_error();
    if (!any) {
        certificate_subject_words(certificate, out);
    }
}

static void purposes_words(const X509 *x509, struct text *out)
{
    EXTENDED_KEY_USAGE *purposes = X509_get_ext_d2i(x509, NID_ext_key_usage, NULL, NULL);

    for (int i = 0; purposes != NULL && i < sk_ASN1_OBJECT_num(purposes); i++) {
        char name[80];
        char number[80];
        const ASN1_OBJECT *purpose = sk_ASN1_OBJECT_value(purposes, i);

        OBJ_obj2txt(name, sizeof(name), purpose, 0);
        OBJ_obj2txt(number, sizeof(number), purpose, 1);
        text_addf(out, "%s%s", i == 0 ? "" : ", ",
                  strcmp(number, OID_IKE_INTERMEDIATE) == 0 ? "IKE intermediate" : name);
    }
    if (purposes == NULL) {
        text_add(out, "anything");
    }
    EXTENDED_KEY_USAGE_free(purposes);
}

void certificate_describe(const struct certificate *certificate, struct text *out)
{
    uint8_t fingerprint[CERTIFICATE_FINGERPRINT_BYTES];

    text_add(out, "subject      ");
    certificate_subject_words(certificate, out);
    text_add(out, "\nissuer       ");
    certificate_issuer_words(certificate, out);
    text_add(out, "\nnames        ");
    certificate_names_words(certificate, out);
    text_add(out, "\nserial       ");
    certificate_serial_words(certificate, out);
    text_add(out, "\nvalid        ");
    certificate_time_words(certificate->begins_s, out);
    text_add(out, " to ");
    certificate_time_words(certificate->ends_s, out);
    text_add(out, "\nkey          ");
    if (certificate->key != NULL) {
        key_title(certificate->key->kind, certificate->key->bits, out);
    } else {
        text_add(out, "of a kind that is not used here");
    }
    text_add(out, "\nfor          ");
    if (certificate_is_authority(certificate)) {
        text_add(out, "issuing certificates");
    } else {
        purposes_words(certificate->x509, out);
    }
    text_add(out, "\nfingerprint  ");
    certificate_fingerprint(certificate, fingerprint);
    text_add_hex(out, SLICE_OF(fingerprint));
    text_add(out, "\n");
    ERR_clear_error();
}

/* ---- files ---- */

static enum certificate_bag_problem bag_certificate(struct certificate_bag *bag, struct slice der)
{
    if (bag->certificate_count == CERTIFICATES_MAX) {
        return CERTIFICATE_BAG_FULL;
    }
    struct certificate *c = certificate_read(der);

    if (c == NULL) {
        return CERTIFICATE_BAG_UNREADABLE;
    }
    bag->certificates[bag->certificate_count++] = c;
    return CERTIFICATE_BAG_FINE;
}

static enum certificate_bag_problem bag_key(struct certificate_bag *bag, struct slice spki)
{
    if (bag->key_count == CERTIFICATES_MAX) {
        return CERTIFICATE_BAG_FULL;
    }
    struct public_key *key = public_key_read(spki);

    if (key == NULL) {
        return CERTIFICATE_BAG_UNREADABLE;
    }
    bag->keys[bag->key_count++] = key;
    return CERTIFICATE_BAG_FINE;
}

static enum certificate_bag_problem bag_crl(struct certificate_bag *bag, struct slice der)
{
    const unsigned char *at = der.data;

    if (bag->crl_count == CERTIFICATES_MAX) {
        return CERTIFICATE_BAG_FULL;
    }
    X509_CRL *crl = d2i_X509_CRL(NULL, &at, (long)der.length);
    bool readable = crl != NULL && at == der.data + der.length;

    X509_CRL_free(crl);
    if (!readable) {
        return CERTIFICATE_BAG_UNREADABLE;
    }
    uint8_t *copy = malloc(der.length);

    if (copy == NULL) {
        return CERTIFICATE_BAG_NO_MEMORY;
    }
    memcpy(copy, der.data, der.length);
    bag->crls[bag->crl_count++] = (struct slice){copy, der.length};
    return CERTIFICATE_BAG_FINE;
}

static enum certificate_bag_problem bag_block(struct certificate_bag *bag, const char *name,
                                              struct slice der, bool *any)
{
    enum certificate_bag_problem problem = CERTIFICATE_BAG_FINE;

    if (strcmp(name, PEM_STRING_X509) == 0 || strcmp(name, PEM_STRING_X509_OLD) == 0) {
        problem = bag_certificate(bag, der);
    } else if (strcmp(name, PEM_STRING_PUBLIC) == 0) {
        problem = bag_key(bag, der);
    } else if (strcmp(name, PEM_STRING_X509_CRL) == 0) {
        problem = bag_crl(bag, der);
    } else {
        return CERTIFICATE_BAG_FINE;
    }
    *any = true;
    return problem;
}

static enum certificate_bag_problem bag_pem(struct certificate_bag *bag, BIO *bio, bool *any)
{
    enum certificate_bag_problem problem = CERTIFICATE_BAG_FINE;

    for (;;) {
        char *name = NULL;
        char *header = NULL;
        unsigned char *data = NULL;
        long length = 0;
        bool found = PEM_read_bio(bio, &name, &header, &data, &length) == 1;

        if (found && length > 0) {
            problem = bag_block(bag, name, (struct slice){data, (size_t)length}, any);
        } else if (!found && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
            problem = CERTIFICATE_BAG_UNREADABLE;
        }
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_clear_free(data, length > 0 ? (size_t)length : 0);
        ERR_clear_error();
        if (!found || problem != CERTIFICATE_BAG_FINE) {
            return problem;
        }
    }
}

enum certificate_bag_problem certificate_bag_add(struct certificate_bag *bag, struct slice bytes)
{
    bool any = false;

    if (bytes.length == 0 || bytes.length > CRL_BYTES_MAX) {
        return bytes.length == 0 ? CERTIFICATE_BAG_EMPTY : CERTIFICATE_BAG_UNREADABLE;
    }
    if (bytes.data[0] == 0x30) { /* SEQUENCE: DER */
        if (bag_certificate(bag, bytes) == CERTIFICATE_BAG_FINE ||
            bag_key(bag, bytes) == CERTIFICATE_BAG_FINE) {
            return CERTIFICATE_BAG_FINE;
        }
        enum certificate_bag_problem problem = bag_crl(bag, bytes);
        ERR_clear_error();
        return problem;
    }
    BIO *bio = BIO_new_mem_buf(bytes.data, (int)bytes.length);

    if (bio == NULL) {
        return CERTIFICATE_BAG_NO_MEMORY;
    }
    enum certificate_bag_problem problem = bag_pem(bag, bio, &any);

    BIO_free(bio);
    return problem == CERTIFICATE_BAG_FINE && !any ? CERTIFICATE_BAG_EMPTY : problem;
}

void certificate_bag_fini(struct certificate_bag *bag)
{
    for (size_t i = 0; i < bag->certificate_count; i++) {
        certificate_free(bag->certificates[i]);
    }
    for (size_t i = 0; i < bag->key_count; i++) {
        public_key_free(bag->keys[i]);
    }
    for (size_t i = 0; i < bag->crl_count; i++) {
        free((void *)(uintptr_t)bag->crls[i].data);
    }
    *bag = (struct certificate_bag){0};
}

const char *certificate_bag_problem_words(enum certificate_bag_problem problem)
{
    switch (problem) {
    case CERTIFICATE_BAG_FINE:
        return "it is fine";
    case CERTIFICATE_BAG_EMPTY:
        return "there is no certificate in it";
    case CERTIFICATE_BAG_UNREADABLE:
        return "a certificate, key or revocation list in it is malformed";
    case CERTIFICATE_BAG_FULL:
        return "there are more than 16 certificates in it";
    case CERTIFICATE_BAG_NO_MEMORY:
        return "there is no memory for it";
    }
    assert(false);
    return "";
}
