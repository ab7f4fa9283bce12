/* CERT payloads in all encodings: what is taken, passed over and refused; and that a proof stands
 * whatever way its certificate comes. */
#include <openssl/pkcs7.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/certificate_internal.h"
#include "crypto/certificate_testbed.h"
#include "proto/ikev1/machine.h"
#include "tests/support/ikev1_pair.h"
#include "tests/support/test.h"

static const struct testbed_order order = {.subject = "O=Right, CN=right",
                                           .names = "DNS:right.example",
                                           .usage = "digitalSignature",
                                           .serial = 12};

/* A message with these payloads alone, read. */
static void add_cert(struct ikev1_chain *chain, struct writer *w, uint8_t encoding,
                     struct slice data)
{
    struct ikev1_cert_payload cert = {.encoding = encoding, .data = data};

    ikev1_begin_payload(chain, IKEV1_CERT);
    ikev1_write_cert(w, &cert);
    ikev1_end_payload(chain);
}

struct built {
    uint8_t bytes[65536], first;
    struct writer w;
    struct ikev1_chain chain;
};

static struct built *build(void)
{
    struct built *b = calloc(1, sizeof(*b));

    CHECK(b != NULL);
    b->w = writer_over(b->bytes, sizeof(b->bytes));
    b->chain = ikev1_chain_over(&b->w, &b->first);
    return b;
}

static const char *read_built(struct built *b, struct ikev1_received_certificates *out)
{
    struct ikev1_message m = {.header = {.next_payload = b->first}};

    CHECK(writer_ok(&b->w));
    CHECK(ikev1_message_read(&m, writer_written(&b->w)));
    return ikev1_read_certificates(&m, out);
}

TEST(what_is_a_certificate_is_taken_and_all_else_passed_over)
{
    static const uint8_t other[] = {IKEV1_CERT_NONE,
                                    IKEV1_CERT_PGP,
                                    IKEV1_CERT_DNS,
                                    IKEV1_CERT_KERBEROS,
                                    IKEV1_CERT_CRL,
                                    IKEV1_CERT_ARL,
                                    IKEV1_CERT_SPKI,
                                    IKEV1_CERT_X509_ATTRIBUTE,
                                    11,
                                    200};
    struct built *b = build();
    struct ikev1_received_certificates got;

    for (size_t i = 0; i < ARRAY_LENGTH(other); i++) {
        add_cert(&b->chain, &b->w, other[i], SLICE_TEXT("something"));
    }
    CHECK(read_built(b, &got) == NULL);
    CHECK_EQUAL(got.count, 0);
    add_cert(&b->chain, &b->w, IKEV1_CERT_X509_SIGNATURE, SLICE_TEXT("one"));
    add_cert(&b->chain, &b->w, IKEV1_CERT_X509_KEY_EXCHANGE, SLICE_TEXT("two"));
    CHECK(read_built(b, &got) == NULL);
    CHECK_EQUAL(got.count, 2);
    CHECK(slice_equal(got.list[0], SLICE_TEXT("one")) &&
          slice_equal(got.list[1], SLICE_TEXT("two")));
    free(b);
}

TEST(what_is_nothing_that_a_peer_should_send_is_refused_with_a_sentence)
{
    static uint8_t large[CERTIFICATE_BYTES_MAX + 1];
    struct ikev1_received_certificates got;

    for (unsigned i = 0; i < 5; i++) {
        struct built *b = build();

        for (size_t k = 0; i == 0 && k <= CERTIFICATES_MAX; k++) {
            add_cert(&b->chain, &b->w, IKEV1_CERT_X509_SIGNATURE, SLICE_TEXT("one"));
        }
        if (i == 1) {
            add_cert(&b->chain, &b->w, IKEV1_CERT_X509_SIGNATURE, SLICE_OF(large));
        } else if (i == 2) {
            add_cert(&b->chain, &b->w, IKEV1_CERT_PKCS7, SLICE_TEXT("\x30\x03\x02\x01\x01"));
        } else if (i >= 3) {
            add_cert(&b->chain, &b->w, (uint8_t)(9 + i), SLICE_TEXT("http://10.0.0.1/admin"));
        }
        CHECK(read_built(b, &got) != NULL);
        free(b);
    }
}

/* ---- in an exchange ---- */

struct scene {
    struct ikev1_pair *pair;
    struct private_key *root_key, *middle_key, *key;
    struct certificate *root, *middle, *own;
    struct credential *credential;
    struct trust *trust;
    struct ikev1_certificates certificates;
};

static struct scene *scene_new(uint64_t seed)
{
    struct scene *s = calloc(1, sizeof(*s));

    CHECK(s != NULL);
    s->pair = ikev1_pair_new(seed);
    s->root_key = private_key_make(KEY_P256, 0);
    s->middle_key = private_key_make(KEY_P256, 0);
    s->key = private_key_make(KEY_P256, 0);
    s->root = testbed_issue(&testbed_root, s->root_key, NULL, NULL);
    s->middle = testbed_issue(&testbed_middle, s->middle_key, s->root, s->root_key);
    s->own = testbed_issue(&order, s->key, s->middle, s->middle_key);
    s->credential = testbed_credential(s->key, &s->own, 1);
    s->trust = testbed_trust(s->root);
    s->certificates = (struct ikev1_certificates){.own = s->credential, .trust = s->trust};
    for (unsigned i = 0; i < 2; i++) {
        struct pair1_side *side = &s->pair->side[i];

        side->policy.certificates = &s->certificates;
        side->policy.aggressive = true;
        side->responder.aggressive = true;
        side->responder.ecdsa_256 = true;
        side->now_s = TESTBED_NOW_S;
    }
    CHECK(ike_identity_parse(SLICE_TEXT("right.example"), &s->pair->side[1].policy.peer_id));
    CHECK(ike_identity_parse(SLICE_TEXT("right.example"), &s->pair->side[0].policy.local_id));
    return s;
}

static void scene_free(struct scene *s)
{
    ikev1_pair_free(s->pair);
    credential_free(s->credential);
    trust_free(s->trust);
    certificate_free(s->own);
    certificate_free(s->middle);
    certificate_free(s->root);
    private_key_free(s->key);
    private_key_free(s->middle_key);
    private_key_free(s->root_key);
    free(s);
}

static struct slice wrapped(const struct scene *s, uint8_t **der)
{
    PKCS7 *p7 = PKCS7_new();

    CHECK(p7 != NULL && PKCS7_set_type(p7, NID_pkcs7_signed) == 1 &&
          PKCS7_content_new(p7, NID_pkcs7_data) == 1 &&
          PKCS7_add_certificate(p7, s->own->x509) == 1 &&
          PKCS7_add_certificate(p7, s->middle->x509) == 1 &&
          PKCS7_add_certificate(p7, s->root->x509) == 1);
    *der = NULL;
    int length = i2d_PKCS7(p7, der);

    CHECK(length > 0);
    PKCS7_free(p7);
    return (struct slice){*der, (size_t)length};
}

enum way { AS_IT_IS, WRAPPED, IN_PARTS, BY_ADDRESS, WAYS };

/* No signature covers CERT payloads: message 2 of Aggressive Mode, which is in clear, has its
 * certificates in another way, and others of no use before them. */
static void exchange(struct scene *s, struct slice message, enum way way, struct slice p7,
                     struct writer *w)
{
    struct reader r = reader_over(message);
    struct ikev1_header header;
    struct ikev1_payload payload;
    uint8_t first = 0;

    CHECK(ikev1_read_header(&r, &header));
    uint8_t next = header.next_payload;

    ikev1_write_header(w, &header);
    struct ikev1_chain chain = ikev1_chain_over(w, &first);

    while (ikev1_read_payload(&r, &next, &payload)) {
        if (payload.type != IKEV1_CERT) {
            ikev1_write_payload(&chain, payload.type, payload.body);
            continue;
        }
        if (way == WRAPPED) {
            add_cert(&chain, w, IKEV1_CERT_PKCS7, p7);
        } else if (way == IN_PARTS) {
            add_cert(&chain, w, IKEV1_CERT_CRL, SLICE_TEXT("a list"));
            add_cert(&chain, w, IKEV1_CERT_DNS, SLICE_TEXT("a key"));
            add_cert(&chain, w, IKEV1_CERT_X509_SIGNATURE, certificate_der(s->middle));
            add_cert(&chain, w, IKEV1_CERT_X509_KEY_EXCHANGE, certificate_der(s->own));
        } else if (way == BY_ADDRESS) {
            add_cert(&chain, w, 12, SLICE_TEXT("twenty octets of it.http://10.0.0.1/"));
        } else {
            ikev1_write_payload(&chain, payload.type, payload.body);
        }
    }
    ikev1_finish_message(w);
}

TEST(a_proof_stands_whatever_way_its_certificate_comes)
{
    for (unsigned way = AS_IT_IS; way < WAYS; way++) {
        struct scene *s = scene_new(1 + way);
        struct ikev1_pair *p = s->pair;
        uint8_t bytes[8192];
        struct writer w = writer_over(bytes, sizeof(bytes));
        uint8_t *der;
        struct slice p7 = wrapped(s, &der);

        ikev1_pair_start(p, 0);
        ikev1_pair_deliver(p, 0);
        CHECK_EQUAL(p->queue_count, 1);
        struct pair1_datagram *d = &p->queue[0];

        exchange(s, (struct slice){d->bytes, d->length}, (enum way)way, p7, &w);
        CHECK(writer_ok(&w));
        bytes[16] = d->bytes[16];
        struct endpoint local = d->local;
        struct endpoint peer = d->peer;

        ikev1_pair_drop(p, 0);
        ikev1_pair_inject(p, 0, &local, &peer, writer_written(&w));
        /* Without what stands between it and the authority it proves nothing; with it, it does. */
        CHECK_EQUAL(p->side[0].established, way == WRAPPED || way == IN_PARTS);
        if (way == BY_ADDRESS) {
            CHECK_EQUAL(p->side[0].failure.reason, IKEV1_FAIL_SYNTAX);
            CHECK(strstr(p->side[0].failure.detail, "nothing is fetched") != NULL);
        } else if (way == AS_IT_IS) {
            CHECK_EQUAL(p->side[0].failure.reason, IKEV1_FAIL_CERTIFICATE);
        }
        OPENSSL_free(der);
        scene_free(s);
    }
}

/* ---- requests ---- */

/* RFC 4945 3.2: several authorities, none, and kinds that nobody has; they ask, and bind nobody. */
TEST(requests_of_every_kind_are_harmless)
{
    static const uint8_t encodings[] = {IKEV1_CERT_X509_SIGNATURE, IKEV1_CERT_PKCS7, IKEV1_CERT_CRL,
                                        12, 0};

    for (size_t i = 0; i < ARRAY_LENGTH(encodings); i++) {
        struct scene *s = scene_new(20 + i);
        struct ikev1_pair *p = s->pair;
        uint8_t bytes[8192];
        struct writer w = writer_over(bytes, sizeof(bytes));
        struct slice name = certificate_subject(s->root);

        /* The other side has all that it needs to believe. */
        trust_free(s->trust);
        s->trust = testbed_trust(s->middle);
        s->certificates.trust = s->trust;
        ikev1_pair_start(p, 0);
        struct pair1_datagram *d = &p->queue[0];
        struct reader r = reader_over((struct slice){d->bytes, d->length});
        struct ikev1_header header;
        struct ikev1_payload payload;
        uint8_t first = 0;

        CHECK(ikev1_read_header(&r, &header));
        uint8_t next = header.next_payload;

        ikev1_write_header(&w, &header);
        struct ikev1_chain chain = ikev1_chain_over(&w, &first);

        while (ikev1_read_payload(&r, &next, &payload)) {
            if (payload.type != IKEV1_CERTREQ) {
                ikev1_write_payload(&chain, payload.type, payload.body);
            }
        }
        for (unsigned k = 0; k < 3; k++) {
            struct ikev1_cert_payload request = {.encoding = encodings[i],
                                                 .data = k == 0   ? name
                                                         : k == 1 ? (struct slice){NULL, 0}
                                                                  : SLICE_TEXT("no name at all")};

            ikev1_begin_payload(&chain, IKEV1_CERTREQ);
            ikev1_write_cert(&w, &request);
            ikev1_end_payload(&chain);
        }
        ikev1_finish_message(&w);
        bytes[16] = d->bytes[16];
        struct endpoint local = d->local;
        struct endpoint peer = d->peer;

        ikev1_pair_drop(p, 0);
        ikev1_pair_inject(p, 1, &local, &peer, writer_written(&w));
        CHECK(ikev1_pair_run(p));
        CHECK_EQUAL(p->side[0].established + p->side[1].established, 2);
        scene_free(s);
    }
}
