/*
 * What we prove ourselves with: decides which certificate goes with a key, and reads and writes
 * both as PKCS#12.
 */
#include "crypto/credential.h"

#include <assert.h>
#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/pkcs12.h>

#include "crypto/certificate_internal.h"
#include "crypto/signing_key_internal.h"

#define PKCS12_ITERATIONS 20000
#define PKCS12_ITERATIONS_COMPATIBLE 2048
#define PASSPHRASE_BYTES_MAX 256

struct credential {
    struct private_key *key;
    size_t count;
    struct certificate *chain[CERTIFICATES_MAX];
    unsigned holders;
};

/* The one that has the key first, the others behind it in their order. Takes nothing over. */
static struct credential *credential_over(struct private_key *key,
                                          const struct certificate_bag *bag,
                                          struct credential_verdict *verdict)
{
    size_t own = 0;

    while (own < bag->certificate_count &&
           (certificate_key(bag->certificates[own]) == NULL ||
            !private_key_fits(key, certificate_key(bag->certificates[own])))) {
        own++;
    }
    if (own == bag->certificate_count) {
        verdict->problem = CREDENTIAL_MISMATCH;
        return NULL;
    }
    struct credential *credential = calloc(1, sizeof(*credential));

    if (credential == NULL) {
        verdict->problem = CREDENTIAL_NO_MEMORY;
        return NULL;
    }
    credential->holders = 1;
    credential->key = private_key_hold(key);
    credential->chain[credential->count++] = certificate_hold(bag->certificates[own]);
    for (size_t i = 0; i < bag->certificate_count; i++) {
        if (i != own) {
            credential->chain[credential->count++] = certificate_hold(bag->certificates[i]);
        }
    }
    return credential;
}

struct credential *credential_read(struct slice certificates, struct slice key_bytes,
                                   struct slice passphrase, struct credential_verdict *verdict)
{
    struct certificate_bag bag = {0};
    struct private_key *key = NULL;
    struct credential *credential = NULL;

    *verdict = (struct credential_verdict){CREDENTIAL_FINE, CERTIFICATE_BAG_FINE, PRIVATE_KEY_FINE};
    verdict->bag = certificate_bag_add(&bag, certificates);
    if (verdict->bag == CERTIFICATE_BAG_FINE && bag.certificate_count == 0) {
        verdict->bag = CERTIFICATE_BAG_EMPTY;
    }
    verdict->key = private_key_read(key_bytes, passphrase, &key);
    if (verdict->bag != CERTIFICATE_BAG_FINE) {
        verdict->problem = CREDENTIAL_CERTIFICATE;
    } else if (verdict->key != PRIVATE_KEY_FINE) {
        verdict->problem = CREDENTIAL_KEY;
    } else {
        credential = credential_over(key, &bag, verdict);
    }
    private_key_free(key);
    certificate_bag_fini(&bag);
    return credential;
}

struct credential *credential_join(struct private_key *key, const struct certificate_bag *bag,
                                   struct credential_verdict *verdict)
{
    *verdict = (struct credential_verdict){CREDENTIAL_FINE, CERTIFICATE_BAG_FINE, PRIVATE_KEY_FINE};
    return credential_over(key, bag, verdict);
}

/* ---- PKCS#12 ---- */

static bool bag_take(struct certificate_bag *bag, X509 *x509)
{
    unsigned char *der = NULL;
    int length = x509 == NULL ? 0 : i2d_X509(x509, &der);
    struct certificate *certificate = length > 0 && bag->certificate_count < CERTIFICATES_MAX
                                          ? certificate_read((struct slice){der, (size_t)length})
                                          : NULL;

    OPENSSL_free(der);
    if (certificate != NULL) {
        bag->certificates[bag->certificate_count++] = certificate;
    }
    return certificate != NULL;
}

struct credential *credential_read_pkcs12(struct slice bytes, struct slice passphrase,
                                          struct credential_verdict *verdict)
{
    const unsigned char *at = bytes.data;
    char words[PASSPHRASE_BYTES_MAX + 1];
    struct certificate_bag bag = {0};
    struct credential *credential = NULL;
    EVP_PKEY *pkey = NULL;
    X509 *own = NULL;
    STACK_OF(X509) *others = NULL;

    *verdict =
        (struct credential_verdict){CREDENTIAL_PKCS12, CERTIFICATE_BAG_FINE, PRIVATE_KEY_FINE};
    if (bytes.length == 0 || bytes.length > PKCS12_BYTES_MAX ||
        !text_copy(words, sizeof(words), passphrase)) {
        return NULL;
    }
    PKCS12 *file = d2i_PKCS12(NULL, &at, (long)bytes.length);

    if (file != NULL && PKCS12_parse(file, words, &pkey, &own, &others) == 1 && pkey != NULL) {
        bool taken = own == NULL || bag_take(&bag, own);

        for (int i = 0; taken && i < sk_X509_num(others); i++) {
            taken = bag_take(&bag, sk_X509_value(others, i));
        }
        struct private_key *key = taken ? private_key_over(pkey) : NULL;

        if (key != NULL) {
            verdict->problem = CREDENTIAL_FINE;
            credential = credential_over(key, &bag, verdict);
        } else if (taken) {
            verdict->problem = CREDENTIAL_KEY;
            verdict->key = PRIVATE_KEY_UNSUPPORTED;
        }
        private_key_free(key);
    }
    wipe(words, sizeof(words));
    certificate_bag_fini(&bag);
    EVP_PKEY_free(pkey);
    X509_free(own);
    sk_X509_pop_free(others, X509_free);
    PKCS12_free(file);
    ERR_clear_error();
    return credential;
}

bool credential_write_pkcs12(const struct credential *credential, const char *title,
                             const char *passphrase, bool compatible, struct writer *out)
{
    STACK_OF(X509) *others = sk_X509_new_null();
    int cipher = compatible ? NID_pbe_WithSHA1And3_Key_TripleDES_CBC : NID_aes_256_cbc;
    int iterations = compatible ? PKCS12_ITERATIONS_COMPATIBLE : PKCS12_ITERATIONS;
    unsigned char *der = NULL;
    int length = 0;
    bool done = others != NULL;

    for (size_t i = 1; done && i < credential->count; i++) {
        done = sk_X509_push(others, credential->chain[i]->x509) > 0;
    }
    /* Its own MAC (mac_iter -1) is made below, with the hash that is wanted. */
    PKCS12 *file =
        !done || credential_is_kept(credential)
            ? NULL
            : PKCS12_create(passphrase, title, credential->key->pkey, credential->chain[0]->x509,
                            others, cipher, cipher, iterations, -1, 0);

    if (file != NULL && PKCS12_set_mac(file, passphrase, -1, NULL, 0, iterations,
                                       compatible ? EVP_sha1() : EVP_sha256()) == 1) {
        length = i2d_PKCS12(file, &der);
    }
    if (length > 0) {
        write_slice(out, (struct slice){der, (size_t)length});
    }
    OPENSSL_free(der);
    PKCS12_free(file);
    sk_X509_free(others);
    ERR_clear_error();
    return length > 0 && writer_ok(out);
}

/* ---- use ---- */

struct credential *credential_hold(struct credential *credential)
{
    if (credential != NULL) {
        __atomic_add_fetch(&credential->holders, 1, __ATOMIC_RELAXED);
    }
    return credential;
}

void credential_free(struct credential *credential)
{
    if (credential == NULL || __atomic_sub_fetch(&credential->holders, 1, __ATOMIC_ACQ_REL) != 0) {
        return;
    }
    private_key_free(credential->key);
    for (size_t i = 0; i < credential->count; i++) {
        certificate_free(credential->chain[i]);
    }
    free(credential);
}

size_t credential_count(const struct credential *credential)
{
    return credential->count;
}

const struct certificate *credential_at(const struct credential *credential, size_t index)
{
    return credential->chain[index];
}

enum key_kind credential_kind(const struct credential *credential)
{
    return credential->key->kind;
}

unsigned credential_bits(const struct credential *credential)
{
    return credential->key->bits;
}

bool credential_sign(const struct credential *credential, enum signature_scheme scheme,
                     struct slice message, struct writer *out, struct text *why)
{
    return signature_make_told(credential->key, scheme, message, out, why);
}

uint32_t credential_schemes(const struct credential *credential)
{
    return signature_of_key(credential->key);
}

bool credential_is_kept(const struct credential *credential)
{
    return credential->key->keeper != NULL;
}

bool credential_opens(const struct credential *credential)
{
    return envelope_key_is_usable(credential->key);
}

bool credential_open(const struct credential *credential, struct envelope *envelope)
{
    return envelope_open_all(envelope, credential->key);
}

bool credential_same_key(const struct credential *a, const struct credential *b)
{
    return public_key_equal(certificate_key(a->chain[0]), certificate_key(b->chain[0]));
}

bool credential_write_key(const struct credential *credential, struct writer *out)
{
    return private_key_write(credential->key, (struct slice){NULL, 0}, out);
}

void credential_verdict_words(const struct credential_verdict *verdict, struct text *out)
{
    switch (verdict->problem) {
    case CREDENTIAL_FINE:
        text_add(out, "it is fine");
        return;
    case CREDENTIAL_CERTIFICATE:
        text_add(out, certificate_bag_problem_words(verdict->bag));
        return;
    case CREDENTIAL_KEY:
        text_add(out, private_key_problem_words(verdict->key));
        return;
    case CREDENTIAL_PKCS12:
        text_add(out, "it is not PKCS#12, or the passphrase does not open it");
        return;
    case CREDENTIAL_MISMATCH:
        text_add(out, "the private key belongs to none of the certificates");
        return;
    case CREDENTIAL_NO_MEMORY:
        text_add(out, "there is no memory for it");
        return;
    }
    assert(false);
}
