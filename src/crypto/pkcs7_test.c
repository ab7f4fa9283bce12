/* Certificates wrapped in PKCS#7, as libcrypto writes it and as nobody should. */
#include "crypto/pkcs7.h"

#include <openssl/pkcs7.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/certificate_internal.h"
#include "crypto/certificate_testbed.h"
#include "tests/support/test.h"

static struct certificate *made[CERTIFICATES_MAX + 1];
static struct private_key *key;

static void begin(void)
{
    key = private_key_make(KEY_P256, 0);
    for (size_t i = 0; i < ARRAY_LENGTH(made); i++) {
        struct testbed_order order = testbed_root;

        order.serial = 100 + (long)i;
        made[i] = testbed_issue(&order, key, NULL, NULL);
    }
}

static void end(void)
{
    for (size_t i = 0; i < ARRAY_LENGTH(made); i++) {
        certificate_free(made[i]);
    }
    private_key_free(key);
}

/* A degenerate SignedData, by libcrypto. */
static struct slice wrap(size_t count, bool with_list, uint8_t **der)
{
    PKCS7 *p7 = PKCS7_new();
    uint8_t list[4096];

    *der = NULL;
    CHECK(p7 != NULL && PKCS7_set_type(p7, NID_pkcs7_signed) == 1 &&
          PKCS7_content_new(p7, NID_pkcs7_data) == 1);
    for (size_t i = 0; i < count; i++) {
        CHECK(PKCS7_add_certificate(p7, made[i]->x509) == 1);
    }
    if (with_list) {
        struct slice crl = testbed_crl(list, sizeof(list), made[0], key, NULL, 0,
                                       TESTBED_NOW_S - 10, TESTBED_NOW_S + 1000, NULL);
        const unsigned char *at = crl.data;
        X509_CRL *parsed = d2i_X509_CRL(NULL, &at, (long)crl.length);

        CHECK(parsed != NULL && PKCS7_add_crl(p7, parsed) == 1);
        X509_CRL_free(parsed);
    }
    int length = i2d_PKCS7(p7, der);

    CHECK(length > 0);
    PKCS7_free(p7);
    return (struct slice){*der, (size_t)length};
}

TEST(what_is_wrapped_is_found)
{
    begin();
    for (size_t count = 0; count <= CERTIFICATES_MAX; count++) {
        struct pkcs7_contents contents;
        uint8_t *der;
        struct slice all = wrap(count, count % 2 == 1, &der);

        CHECK(pkcs7_read(all, &contents));
        CHECK_EQUAL(contents.count, count);
        for (size_t i = 0; i < count; i++) {
            bool found = false;

            for (size_t k = 0; k < count; k++) {
                found = found || slice_equal(contents.certificates[k], certificate_der(made[i]));
            }
            CHECK(found);
        }
        OPENSSL_free(der);
    }
    end();
}

TEST(more_than_any_chain_has_are_refused)
{
    struct pkcs7_contents contents;
    uint8_t *der;

    begin();
    struct slice all = wrap(CERTIFICATES_MAX + 1, false, &der);

    CHECK(!pkcs7_read(all, &contents));
    CHECK_EQUAL(contents.count, 0);
    OPENSSL_free(der);
    end();
}

TEST(every_truncation_and_every_longer_one_is_refused)
{
    struct pkcs7_contents contents;
    uint8_t *der;

    begin();
    struct slice all = wrap(2, true, &der);
    uint8_t *more = malloc(all.length + 1);

    CHECK(more != NULL);
    for (size_t length = 0; length < all.length; length++) {
        /* Its own memory: nothing behind the end is read. */
        uint8_t *cut = malloc(length + 1);

        CHECK(cut != NULL);
        memcpy(cut, all.data, length);
        CHECK(!pkcs7_read((struct slice){cut, length}, &contents));
        free(cut);
    }
    memcpy(more, all.data, all.length);
    more[all.length] = 0;
    CHECK(!pkcs7_read((struct slice){more, all.length + 1}, &contents));
    free(more);
    OPENSSL_free(der);
    end();
}

/* Whatever is changed, what comes out lies within what went in. */
TEST(every_changed_octet_leads_nowhere_else)
{
    uint8_t *der;

    begin();
    struct slice all = wrap(2, true, &der);

    for (size_t at = 0; at < all.length; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            struct pkcs7_contents contents;

            der[at] ^= (uint8_t)(1U << bit);
            if (pkcs7_read(all, &contents)) {
                for (size_t i = 0; i < contents.count; i++) {
                    const struct slice *c = &contents.certificates[i];

                    CHECK(c->data >= all.data && c->length <= all.length &&
                          c->data + c->length <= all.data + all.length);
                }
            }
            der[at] ^= (uint8_t)(1U << bit);
        }
    }
    OPENSSL_free(der);
    end();
}

TEST(what_is_no_signed_data_in_der_is_refused)
{
    static const char *const cases[] = {
        "",
        "\x30",
        "\x30\x80",
        "\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02",
        "\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02\xa0\x80\x30\x80",
        "\x30\x84\x01\x01\x01\x01"};
    struct pkcs7_contents contents;

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        CHECK(!pkcs7_read(slice_of_text(cases[i]), &contents));
    }
}
