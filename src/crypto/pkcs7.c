/*
 * Certificates wrapped in PKCS#7: decides where they stand. Lengths are those of DER; what is in
 * the certificates is for who reads them.
 */
#include "crypto/pkcs7.h"

#define TAG_INTEGER 0x02
#define TAG_OID 0x06
#define TAG_SEQUENCE 0x30
#define TAG_SET 0x31
#define TAG_CERTIFICATES 0xa0 /* [0] IMPLICIT, and the EXPLICIT one of ContentInfo */
#define TAG_LISTS 0xa1
#define LENGTH_OCTETS_MAX 3

/* The next element of whatever tag; `whole` is all of it. */
static struct reader read_element(struct reader *r, uint8_t *tag, struct slice *whole)
{
    const uint8_t *at = r->at;

    *tag = read_u8(r);
    size_t length = read_u8(r);

    if ((*tag & 0x1f) == 0x1f) {
        reader_fail(r); /* of more than one octet: none of ours */
    }
    if (length >= 0x80) {
        size_t octets = length & 0x7f;

        length = 0;
        if (octets == 0 || octets > LENGTH_OCTETS_MAX) {
            reader_fail(r); /* indefinite, or of more than there can be */
        }
        for (size_t i = 0; reader_ok(r) && i < octets; i++) {
            length = length << 8 | read_u8(r);
        }
        if (length < 0x80 || length >> 8 * (octets - 1) == 0) {
            reader_fail(r); /* DER has the shortest form alone */
        }
    }
    struct reader body = read_within(r, length);

    *whole = reader_ok(r) ? (struct slice){at, (size_t)(r->at - at)} : (struct slice){NULL, 0};
    return body;
}

/* The next element, which has this tag. */
static struct reader read_tagged(struct reader *r, uint8_t tag)
{
    struct slice whole;
    uint8_t found;
    struct reader body = read_element(r, &found, &whole);

    if (found != tag) {
        reader_fail(r);
        reader_fail(&body);
    }
    return body;
}

static bool read_certificates(struct reader *r, struct pkcs7_contents *out)
{
    while (reader_left(r) > 0) {
        struct slice whole;
        uint8_t tag;

        (void)read_element(r, &tag, &whole);
        if (tag != TAG_SEQUENCE) {
            continue; /* of attributes, or of PKCS#6 */
        }
        if (out->count == CERTIFICATES_MAX || whole.length > CERTIFICATE_BYTES_MAX) {
            return false;
        }
        out->certificates[out->count++] = whole;
    }
    return reader_done(r);
}

bool pkcs7_read(struct slice der, struct pkcs7_contents *out)
{
    static const uint8_t signed_data[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02};
    struct reader r = reader_over(der);
    struct reader content = read_tagged(&r, TAG_SEQUENCE);
    struct reader type = read_tagged(&content, TAG_OID);
    bool is_signed = slice_equal(read_rest(&type), SLICE_OF(signed_data));
    struct reader outer = read_tagged(&content, TAG_CERTIFICATES);
    struct reader data = read_tagged(&outer, TAG_SEQUENCE);

    out->count = 0;
    (void)read_tagged(&data, TAG_INTEGER); /* version */
    (void)read_tagged(&data, TAG_SET); /* digests */
    (void)read_tagged(&data, TAG_SEQUENCE); /* what is signed: nothing */
    if (!is_signed || !reader_done(&r) || !reader_done(&content) || !reader_done(&outer) ||
        !reader_ok(&data)) {
        return false;
    }
    while (reader_left(&data) > 0) {
        struct slice whole;
        uint8_t tag;
        struct reader body = read_element(&data, &tag, &whole);

        if (reader_ok(&data) && tag == TAG_CERTIFICATES && !read_certificates(&body, out)) {
            break;
        }
        if (tag == TAG_SET && reader_done(&data)) { /* signers, at the end */
            return true;
        }
        if (tag != TAG_CERTIFICATES && tag != TAG_LISTS) {
            break;
        }
    }
    out->count = 0;
    return false;
}
