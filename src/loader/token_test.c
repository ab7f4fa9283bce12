/*
 * Keys in tokens, with SoftHSM as the token: every kind of key and scheme, wrong PINs, keys that
 * are not there, tokens that vanish and come back, several threads.
 */
#define _GNU_SOURCE 1 /* nftw */
#include <dlfcn.h>
#include <ftw.h>
#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <p11-kit/pkcs11.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/certificate_testbed.h"
#include "host/token.h"
#include "loader/token_credential.h"
#include "tests/support/test.h"

#define MODULE "/usr/lib/softhsm/libsofthsm2.so"
#define PIN "1234"
#define TOKEN "hsm"
#define NUMBER_BYTES 520
#define MESSAGE "as long as a hash may be" /* what IKEv1 signs is no longer */

/* A token with all keys, and the module as another program would have it. */
struct bench {
    char folder[64];
    CK_FUNCTION_LIST *module;
    CK_SLOT_ID slot;
    CK_SESSION_HANDLE session;
};

static struct secret pin_of(const char *words)
{
    struct secret pin = {0};

    CHECK(secret_set(&pin, slice_of_text(words)));
    return pin;
}

static void make_bench(struct bench *b)
{
    char path[128], config[256];
    CK_RV (*get)(CK_FUNCTION_LIST **);
    CK_ULONG count = 1;
    CK_UTF8CHAR label[32];

    snprintf(b->folder, sizeof(b->folder), "/tmp/sekisho-token-XXXXXX");
    CHECK(mkdtemp(b->folder) != NULL);
    snprintf(path, sizeof(path), "%s/tokens", b->folder);
    CHECK(mkdir(path, 0700) == 0);
    snprintf(path, sizeof(path), "%s/softhsm.conf", b->folder);
    snprintf(config, sizeof(config),
             "directories.tokendir = %s/tokens\nobjectstore.backend = file\nlog.level = ERROR\n",
             b->folder);
    FILE *file = fopen(path, "w");

    CHECK(file != NULL);
    CHECK(fputs(config, file) >= 0);
    CHECK(fclose(file) == 0);
    CHECK(setenv("SOFTHSM2_CONF", path, 1) == 0);
    void *library = dlopen(MODULE, RTLD_NOW);

    CHECK(library != NULL);
    *(void **)&get = dlsym(library, "C_GetFunctionList");
    CHECK(get != NULL);
    CHECK_EQUAL(get(&b->module), CKR_OK);
    CHECK_EQUAL(b->module->C_Initialize(NULL), CKR_OK);
    CHECK_EQUAL(b->module->C_GetSlotList(CK_TRUE, &b->slot, &count), CKR_OK);
    memset(label, ' ', sizeof(label));
    for (size_t i = 0; i < 3; i++) {
        label[i] = (CK_UTF8CHAR)TOKEN[i];
    }
    CHECK_EQUAL(b->module->C_InitToken(b->slot, (CK_UTF8CHAR *)(uintptr_t) "so-pin", 6, label),
                CKR_OK);
    CHECK_EQUAL(b->module->C_OpenSession(b->slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL,
                                         &b->session),
                CKR_OK);
    CHECK_EQUAL(b->module->C_Login(b->session, CKU_SO, (CK_UTF8CHAR *)(uintptr_t) "so-pin", 6),
                CKR_OK);
    CHECK_EQUAL(b->module->C_InitPIN(b->session, (CK_UTF8CHAR *)(uintptr_t)PIN, 4), CKR_OK);
    CHECK_EQUAL(b->module->C_Logout(b->session), CKR_OK);
    CHECK_EQUAL(b->module->C_Login(b->session, CKU_USER, (CK_UTF8CHAR *)(uintptr_t)PIN, 4), CKR_OK);
}

/* Nothing of the login stays: the process has the module once. */
static void leave_to_us(struct bench *b)
{
    CHECK_EQUAL(b->module->C_Finalize(NULL), CKR_OK);
}

/* As when the token was drawn out, or its service began anew. */
static void lose_sessions(struct bench *b)
{
    CK_SLOT_ID slots[4];
    CK_ULONG count = ARRAY_LENGTH(slots);

    CHECK_EQUAL(b->module->C_GetSlotList(CK_TRUE, slots, &count), CKR_OK);
    for (size_t i = 0; i < count; i++) {
        CHECK_EQUAL(b->module->C_CloseAllSessions(slots[i]), CKR_OK);
    }
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)info;
    (void)kind;
    (void)where;
    return remove(path);
}

static void end_bench(struct bench *b)
{
    token_unload();
    (void)nftw(b->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static EVP_PKEY *inside_of(const struct private_key *key)
{
    uint8_t bytes[PRIVATE_KEY_FILE_BYTES_MAX];
    struct writer w = writer_over(bytes, sizeof(bytes));

    CHECK(private_key_write(key, (struct slice){NULL, 0}, &w));
    BIO *bio = BIO_new_mem_buf(bytes, (int)writer_written(&w).length);
    EVP_PKEY *pkey = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);

    BIO_free(bio);
    CHECK(pkey != NULL);
    return pkey;
}

struct number {
    uint8_t bytes[NUMBER_BYTES];
    CK_ULONG length;
};

static struct number number_of(const EVP_PKEY *pkey, const char *name)
{
    struct number n = {.length = 0};
    BIGNUM *value = NULL;

    CHECK_EQUAL(EVP_PKEY_get_bn_param(pkey, name, &value), 1);
    n.length = (CK_ULONG)BN_bn2bin(value, n.bytes);
    BN_free(value);
    return n;
}

static void put(struct bench *b, const char *label, const struct private_key *key,
                enum key_kind kind)
{
    static const uint8_t p256[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
    static const uint8_t p384[] = {0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22};
    static const uint8_t p521[] = {0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23};
    static const uint8_t ed25519[] = {0x06, 0x03, 0x2b, 0x65, 0x70};
    EVP_PKEY *pkey = inside_of(key);
    CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    CK_KEY_TYPE type = kind == KEY_RSA ? CKK_RSA : kind == KEY_ED25519 ? CKK_EC_EDWARDS : CKK_EC;
    CK_BBOOL yes = CK_TRUE;
    CK_BBOOL no = CK_FALSE;
    CK_OBJECT_HANDLE object;
    CK_ATTRIBUTE list[16] = {
        {CKA_CLASS, &class, sizeof(class)}, {CKA_KEY_TYPE, &type, sizeof(type)},
        {CKA_TOKEN, &yes, sizeof(yes)},     {CKA_PRIVATE, &yes, sizeof(yes)},
        {CKA_SENSITIVE, &yes, sizeof(yes)}, {CKA_EXTRACTABLE, &no, sizeof(no)},
        {CKA_SIGN, &yes, sizeof(yes)},      {CKA_LABEL, (void *)(uintptr_t)label, strlen(label)},
    };
    CK_ULONG count = 8;
    struct number numbers[8];
    static const struct {
        CK_ATTRIBUTE_TYPE type;
        const char *name;
    } rsa[] = {
        {CKA_MODULUS, OSSL_PKEY_PARAM_RSA_N},
        {CKA_PUBLIC_EXPONENT, OSSL_PKEY_PARAM_RSA_E},
        {CKA_PRIVATE_EXPONENT, OSSL_PKEY_PARAM_RSA_D},
        {CKA_PRIME_1, OSSL_PKEY_PARAM_RSA_FACTOR1},
        {CKA_PRIME_2, OSSL_PKEY_PARAM_RSA_FACTOR2},
        {CKA_EXPONENT_1, OSSL_PKEY_PARAM_RSA_EXPONENT1},
        {CKA_EXPONENT_2, OSSL_PKEY_PARAM_RSA_EXPONENT2},
        {CKA_COEFFICIENT, OSSL_PKEY_PARAM_RSA_COEFFICIENT1},
    };

    if (kind == KEY_RSA) {
        for (size_t i = 0; i < ARRAY_LENGTH(rsa); i++) {
            numbers[i] = number_of(pkey, rsa[i].name);
            list[count++] = (CK_ATTRIBUTE){rsa[i].type, numbers[i].bytes, numbers[i].length};
        }
    } else {
        struct slice curve = kind == KEY_P256   ? SLICE_OF(p256)
                             : kind == KEY_P384 ? SLICE_OF(p384)
                             : kind == KEY_P521 ? SLICE_OF(p521)
                                                : SLICE_OF(ed25519);
        size_t length = sizeof(numbers[0].bytes);

        if (kind == KEY_ED25519) {
            CHECK_EQUAL(EVP_PKEY_get_raw_private_key(pkey, numbers[0].bytes, &length), 1);
            numbers[0].length = length;
        } else {
            numbers[0] = number_of(pkey, OSSL_PKEY_PARAM_PRIV_KEY);
        }
        list[count++] = (CK_ATTRIBUTE){CKA_EC_PARAMS, (void *)(uintptr_t)curve.data, curve.length};
        list[count++] = (CK_ATTRIBUTE){CKA_VALUE, numbers[0].bytes, numbers[0].length};
    }
    CHECK_EQUAL(b->module->C_CreateObject(b->session, list, count, &object), CKR_OK);
    EVP_PKEY_free(pkey);
}

static const struct {
    const char *label;
    enum key_kind kind;
} kinds[] = {{"rsa", KEY_RSA},
             {"p256", KEY_P256},
             {"p384", KEY_P384},
             {"p521", KEY_P521},
             {"ed25519", KEY_ED25519}};

TEST(every_kind_of_key_signs_in_a_token)
{
    struct bench b;
    struct certificate *certificates[ARRAY_LENGTH(kinds)];
    char why[256] = "";

    make_bench(&b);
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        struct private_key *key = private_key_make(kinds[i].kind, 2048);

        CHECK(key != NULL);
        put(&b, kinds[i].label, key, kinds[i].kind);
        certificates[i] = testbed_issue(&testbed_gateway, key, NULL, key);
        private_key_free(key);
    }
    leave_to_us(&b);
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        struct certificate_bag bag = {.certificate_count = 2};
        char uri[128];
        struct secret pin = pin_of(PIN);

        bag.certificates[0] = certificates[(i + 1) % ARRAY_LENGTH(kinds)];
        bag.certificates[1] = certificates[i];
        snprintf(uri, sizeof(uri), "pkcs11:token=hsm;object=%s?module-path=" MODULE,
                 kinds[i].label);
        struct credential *own = token_credential(uri, &pin, &bag, why, sizeof(why));

        if (own == NULL) {
            print_message("%s: %s\n", uri, why);
        }
        CHECK(own != NULL);
        CHECK(credential_is_kept(own));
        CHECK(credential_at(own, 0) == certificates[i]);
        CHECK_EQUAL(credential_kind(own), kinds[i].kind);
        size_t made = 0;

        for (unsigned s = SIGNATURE_NONE + 1; s < SIGNATURE_SCHEMES; s++) {
            uint8_t bytes[SIGNATURE_BYTES_MAX + 8];
            struct writer w = writer_over(bytes, sizeof(bytes));
            struct text text = text_over(why, sizeof(why));

            if ((credential_schemes(own) & SIGNATURE_SCHEME_BIT(s)) == 0) {
                CHECK(!credential_sign(own, (enum signature_scheme)s, SLICE_TEXT(MESSAGE), &w,
                                       &text));
                continue;
            }
            write_u32(&w, 7); /* behind what is there already */
            CHECK(credential_sign(own, (enum signature_scheme)s, SLICE_TEXT(MESSAGE), &w, &text));
            struct slice all = writer_written(&w);

            CHECK(signature_verify(certificate_key(certificates[i]), (enum signature_scheme)s,
                                   SLICE_TEXT(MESSAGE),
                                   (struct slice){all.data + 4, all.length - 4}));
            made++;
        }
        CHECK_EQUAL(made, kinds[i].kind == KEY_RSA ? 8 : kinds[i].kind == KEY_ED25519 ? 1 : 5);
        credential_free(own);
        secret_wipe(&pin);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        certificate_free(certificates[i]);
    }
    end_bench(&b);
}

/* One key of P-256 with its certificate, in a token. */
struct one {
    struct bench bench;
    struct certificate_bag bag;
    char why[256];
};

static void make_one(struct one *o)
{
    struct private_key *key = private_key_make(KEY_P256, 0);

    CHECK(key != NULL);
    *o = (struct one){.bag = {.certificate_count = 1}};
    make_bench(&o->bench);
    put(&o->bench, "one", key, KEY_P256);
    o->bag.certificates[0] = testbed_issue(&testbed_gateway, key, NULL, key);
    private_key_free(key);
    leave_to_us(&o->bench);
}

static void end_one(struct one *o)
{
    certificate_free(o->bag.certificates[0]);
    end_bench(&o->bench);
}

#define ONE "pkcs11:token=hsm;object=one?module-path=" MODULE

static struct credential *open_one(struct one *o, const char *uri, const char *pin_words)
{
    struct secret pin = pin_of(pin_words);
    struct credential *own = token_credential(uri, &pin, &o->bag, o->why, sizeof(o->why));

    secret_wipe(&pin);
    return own;
}

static bool signs(struct one *o, const struct credential *own)
{
    uint8_t bytes[SIGNATURE_BYTES_MAX];
    struct writer w = writer_over(bytes, sizeof(bytes));
    struct text why = text_over(o->why, sizeof(o->why));

    return credential_sign(own, SIGNATURE_ECDSA_SHA256, SLICE_TEXT("words"), &w, &why);
}

TEST(a_pin_that_was_refused_is_not_tried_again)
{
    struct one o;

    make_one(&o);
    CHECK(open_one(&o, ONE, "1235") == NULL);
    CHECK_TEXT(o.why, "token 'hsm': the PIN is wrong");
    CHECK(open_one(&o, ONE, "1235") == NULL);
    CHECK(strstr(o.why, "which is not tried again: sekisho secret set NAME") != NULL);
    struct credential *own = open_one(&o, ONE, PIN);

    CHECK(own != NULL);
    CHECK(open_one(&o, ONE, "1235") == NULL);
    CHECK(signs(&o, own));
    credential_free(own);
    end_one(&o);
}

TEST(what_cannot_be_opened_is_said)
{
    static const struct {
        const char *uri, *pin, *words;
    } wrong[] = {
        {"pkcs11:token=other;object=one?module-path=" MODULE, PIN, "there is no token as "},
        {"pkcs11:token=hsm;object=two?module-path=" MODULE, PIN,
         "token 'hsm' has no such private key"},
        {ONE, "", "or shows it after its PIN only (pin @NAME)"},
        {"pkcs11:token=hsm;object=one?module-path=/nowhere.so", PIN,
         "the module /nowhere.so cannot be loaded: "},
        {"pkcs11:token=hsm;colour=red", PIN, "has an attribute that is not known"},
        {ONE "&pin-value=1234", PIN, "the PIN of a token does not stand in its URI"},
        {"pkcs11:token=%zz", PIN, "is no URI of a key"},
    };
    struct one o;

    make_one(&o);
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        CHECK(open_one(&o, wrong[i].uri, wrong[i].pin) == NULL);
        if (strstr(o.why, wrong[i].words) == NULL) {
            print_message("%s: %s\n", wrong[i].uri, o.why);
        }
        CHECK(strstr(o.why, wrong[i].words) != NULL);
    }
    end_one(&o);
}

TEST(a_key_of_another_certificate_is_refused)
{
    struct private_key *other = private_key_make(KEY_P256, 0);
    struct one o;

    make_one(&o);
    certificate_free(o.bag.certificates[0]);
    o.bag.certificates[0] = testbed_issue(&testbed_gateway, other, NULL, other);
    CHECK(open_one(&o, ONE, PIN) == NULL);
    CHECK_TEXT(o.why, "what the token gave is no signature of the key in the certificate");
    private_key_free(other);
    end_one(&o);
}

TEST(a_key_in_a_token_cannot_be_written)
{
    struct one o;

    make_one(&o);
    struct credential *own = open_one(&o, ONE, PIN);
    uint8_t bytes[PKCS12_BYTES_MAX];
    struct writer w = writer_over(bytes, sizeof(bytes));

    CHECK(own != NULL);
    CHECK(!credential_write_key(own, &w));
    CHECK(!credential_write_pkcs12(own, "title", "passphrase", false, &w));
    CHECK_EQUAL(writer_written(&w).length, 0);
    credential_free(own);
    end_one(&o);
}

TEST(sessions_that_were_closed_are_opened_again)
{
    struct one o;

    make_one(&o);
    struct credential *own = open_one(&o, ONE, PIN);

    CHECK(own != NULL);
    for (size_t i = 0; i < 3; i++) {
        lose_sessions(&o.bench);
        CHECK(signs(&o, own));
    }
    credential_free(own);
    end_one(&o);
}

TEST(a_token_that_vanishes_is_told_of_and_found_again)
{
    char from[128], to[128];
    struct one o;

    make_one(&o);
    struct credential *own = open_one(&o, ONE, PIN);

    CHECK(own != NULL);
    snprintf(from, sizeof(from), "%s/tokens", o.bench.folder);
    snprintf(to, sizeof(to), "%s/away", o.bench.folder);
    for (size_t i = 0; i < 2; i++) {
        CHECK(rename(from, to) == 0);
        CHECK(mkdir(from, 0700) == 0);
        lose_sessions(&o.bench);
        CHECK(!signs(&o, own));
        CHECK(strstr(o.why, "there is no token as pkcs11:token=hsm") != NULL);
        CHECK(!signs(&o, own));
        CHECK(rmdir(from) == 0);
        CHECK(rename(to, from) == 0);
        CHECK(signs(&o, own));
    }
    credential_free(own);
    end_one(&o);
}

struct many {
    struct one *one;
    const struct credential *own;
    size_t good;
};

static void *sign_many(void *context)
{
    struct many *m = context;

    for (size_t i = 0; i < 50; i++) {
        uint8_t bytes[SIGNATURE_BYTES_MAX];
        struct writer w = writer_over(bytes, sizeof(bytes));
        char words[160];
        struct text why = text_over(words, sizeof(words));

        m->good += credential_sign(m->own, SIGNATURE_ECDSA_SHA256, SLICE_TEXT("words"), &w, &why);
    }
    return NULL;
}

TEST(threads_sign_with_one_key_at_once)
{
    pthread_t threads[4];
    struct many many[ARRAY_LENGTH(threads)];
    struct one o;

    make_one(&o);
    struct credential *own = open_one(&o, ONE, PIN);

    CHECK(own != NULL);
    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++) {
        many[i] = (struct many){&o, own, 0};
        CHECK(pthread_create(&threads[i], NULL, sign_many, &many[i]) == 0);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
        CHECK_EQUAL(many[i].good, 50);
    }
    credential_free(own);
    end_one(&o);
}
