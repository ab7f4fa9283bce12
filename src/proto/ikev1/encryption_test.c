/* Proof by RSA encryption and its revised mode: every message, what is not believed, and that
 * nobody sees whether something could be opened. */
#include <stdlib.h>
#include <string.h>

#include "crypto/certificate_testbed.h"
#include "proto/ikev1/machine.h"
#include "tests/support/ikev1_pair.h"
#include "tests/support/test.h"

#define KEY_BITS 2048
#define SEALED_BYTES (KEY_BITS / 8)

static const struct testbed_order orders[2] = {
    {.subject = "O=Left, CN=left",
     .names = "DNS:left.example",
     .usage = "keyEncipherment",
     .serial = 11},
    {.subject = "O=Right, CN=right",
     .names = "DNS:right.example",
     .usage = "keyEncipherment",
     .serial = 12},
};

/* What a side knows of the other beforehand. */
enum knows { KNOWS_RAW_KEY, KNOWS_CERTIFICATE, KNOWS_AUTHORITY };

struct scene {
    struct ikev1_pair *pair;
    struct ikev1_certificates certificates[2];
    struct credential *own[2];
    struct trust *trust[2];
    struct certificate *certificate[2];
};

/* They take long to make, and all tests use the same. */
static struct private_key *keys[3], *root_key;
static struct certificate *root;

static void keys_make(void)
{
    for (size_t i = 0; i < ARRAY_LENGTH(keys) && keys[i] == NULL; i++) {
        keys[i] = private_key_make(KEY_RSA, KEY_BITS);
        CHECK(keys[i] != NULL);
    }
    if (root == NULL) {
        root_key = private_key_make(KEY_P256, 0);
        root = testbed_issue(&testbed_root, root_key, NULL, NULL);
    }
}

static struct trust *trust_of(enum knows knows, struct private_key *key,
                              struct certificate *certificate)
{
    struct certificate_bag bag = {0};
    struct trust *trust = trust_new();

    CHECK(trust != NULL);
    if (knows == KNOWS_RAW_KEY) {
        bag.keys[bag.key_count++] = private_key_public(key);
    } else {
        bag.certificates[bag.certificate_count++] =
            certificate_hold(knows == KNOWS_AUTHORITY ? root : certificate);
    }
    CHECK(trust_add(trust, &bag));
    certificate_bag_fini(&bag);
    return trust;
}

static struct scene *scene_new(bool revised, bool aggressive, enum knows left, enum knows right,
                               uint64_t seed)
{
    struct scene *s = calloc(1, sizeof(*s));
    const enum knows knows[2] = {left, right};

    CHECK(s != NULL);
    keys_make();
    s->pair = ikev1_pair_new(seed);
    for (size_t i = 0; i < 2; i++) {
        s->certificate[i] = testbed_issue(&orders[i], keys[i], root, root_key);
    }
    for (size_t i = 0; i < 2; i++) {
        struct pair1_side *side = &s->pair->side[i];

        s->own[i] = testbed_credential(keys[i], &s->certificate[i], 1);
        s->trust[i] = trust_of(knows[i], keys[1 - i], s->certificate[1 - i]);
        s->certificates[i] = (struct ikev1_certificates){
            .own = s->own[i],
            .trust = s->trust[i],
            .by = revised ? IKEV1_PROOF_REVISED : IKEV1_PROOF_ENCRYPTION,
        };
        side->policy.certificates = &s->certificates[i];
        side->policy.aggressive = aggressive;
        side->responder.aggressive = aggressive;
        side->responder.shared_keys = false;
        side->responder.rsa_encryption = !revised;
        side->responder.rsa_revised = revised;
        side->now_s = TESTBED_NOW_S;
    }
    return s;
}

static void scene_free(struct scene *s)
{
    ikev1_pair_free(s->pair);
    for (size_t i = 0; i < 2; i++) {
        credential_free(s->own[i]);
        trust_free(s->trust[i]);
        certificate_free(s->certificate[i]);
    }
    free(s);
}

static void keys_free(void)
{
    for (size_t i = 0; i < ARRAY_LENGTH(keys); i++) {
        private_key_free(keys[i]);
        keys[i] = NULL;
    }
    private_key_free(root_key);
    certificate_free(root);
    root_key = NULL;
    root = NULL;
}

static void check_up(struct scene *s)
{
    struct ikev1_pair *p = s->pair;

    CHECK_EQUAL(p->side[0].established + p->side[1].established, 2);
    CHECK(ikev1_pair_agrees(p) && ikev1_pair_packet(p, 0, "net"));
    for (unsigned i = 0; i < 2; i++) {
        CHECK(ike_identity_matches(&p->side[1 - i].policy.local_id, &p->side[i].peer_id, true));
        ikev1_pair_rekey(p, i);
        CHECK(ikev1_pair_run(p));
        CHECK(p->side[i].rekeyed > 0);
        CHECK(ikev1_pair_agrees(p) && ikev1_pair_packet(p, 1, "net"));
    }
}

#define QUICK                                                                                      \
    "0 HDR*, HASH, SA, Nonce, ID, ID\n"                                                            \
    "1 HDR*, HASH, SA, Nonce, ID, ID\n"                                                            \
    "0 HDR*, HASH\n"

/* Section 5.2 and 5.3; HASH(1) where the key is that of a certificate, Cert-I in the revised mode,
 * NAT-D (RFC 3947) at the end. */
TEST(the_messages_of_main_mode)
{
    static const struct {
        bool revised;
        enum knows left, right;
        const char *lines;
    } cases[] = {
        {false, KNOWS_RAW_KEY, KNOWS_RAW_KEY,
         "0 HDR, KE, ID, Nonce, NAT-D, NAT-D\n"
         "1 HDR, KE, ID, Nonce, NAT-D, NAT-D\n"},
        {false, KNOWS_CERTIFICATE, KNOWS_CERTIFICATE,
         "0 HDR, KE, HASH, ID, Nonce, NAT-D, NAT-D\n"
         "1 HDR, KE, ID, Nonce, NAT-D, NAT-D\n"},
        {true, KNOWS_RAW_KEY, KNOWS_CERTIFICATE,
         "0 HDR, Nonce, KE, ID, CERT, NAT-D, NAT-D\n"
         "1 HDR, Nonce, KE, ID, NAT-D, NAT-D\n"},
        {true, KNOWS_CERTIFICATE, KNOWS_AUTHORITY,
         "0 HDR, HASH, Nonce, KE, ID, CERT, NAT-D, NAT-D\n"
         "1 HDR, Nonce, KE, ID, NAT-D, NAT-D\n"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct scene *s = scene_new(cases[i].revised, false, cases[i].left, cases[i].right, 1 + i);
        char wanted[1024];
        struct text text = text_over(wanted, sizeof(wanted));

        text_addf(&text,
                  "0 HDR, SA, VID, VID, VID, VID, VID\n1 HDR, SA, VID, VID\n%s"
                  "0 HDR*, HASH\n1 HDR*, HASH\n" QUICK,
                  cases[i].lines);
        ikev1_pair_start(s->pair, 0);
        CHECK(ikev1_pair_run(s->pair));
        CHECK_TEXT(s->pair->transcript, wanted);
        CHECK_EQUAL(s->pair->side[0].opened, cases[i].revised ? 1 : 2);
        CHECK_EQUAL(s->pair->side[1].opened, cases[i].revised ? 1 : 2);
        check_up(s);
        scene_free(s);
    }
    keys_free();
}

TEST(the_messages_of_aggressive_mode)
{
    static const struct {
        bool revised;
        const char *lines;
    } cases[] = {
        {false, "0 HDR, SA, HASH, KE, ID, Nonce, VID, VID, VID, VID, VID\n"
                "1 HDR, SA, KE, ID, Nonce, HASH, VID, VID, NAT-D, NAT-D\n"},
        {true, "0 HDR, SA, VID, VID, VID, VID, VID, HASH, Nonce, KE, ID, CERT\n"
               "1 HDR, SA, VID, VID, NAT-D, NAT-D, Nonce, KE, ID, HASH\n"},
    };

    for (size_t i = 0; i < 2 * ARRAY_LENGTH(cases); i++) {
        struct scene *s =
            scene_new(cases[i / 2].revised, true, KNOWS_CERTIFICATE, KNOWS_CERTIFICATE, 20 + i);
        char wanted[1024];
        struct text text = text_over(wanted, sizeof(wanted));

        text_addf(&text, "%s0 HDR*, HASH, NAT-D, NAT-D\n" QUICK, cases[i / 2].lines);
        s->pair->nat = i % 2 == 1;
        ikev1_pair_start(s->pair, 0);
        CHECK(ikev1_pair_run(s->pair));
        CHECK_TEXT(s->pair->transcript, wanted);
        CHECK_EQUAL(s->pair->side[1].opened, cases[i / 2].revised ? 1 : 2);
        CHECK_EQUAL(s->pair->side[0].nat_local, i % 2 == 1);
        CHECK_EQUAL(s->pair->side[1].nat_peer, i % 2 == 1);
        check_up(s);
        scene_free(s);
    }
    keys_free();
}

/* Appendix B: every cipher covers what the revised mode covers, and keys are stretched for it. */
TEST(the_revised_mode_with_every_cipher)
{
    static const char *const suites[] = {"des-md5-modp1024", "3des-sha1-modp1024",
                                         "aes256-sha1-modp2048", "aes192-sha512-ecp384",
                                         "camellia256-sha256-ecp256"};

    for (size_t i = 0; i < ARRAY_LENGTH(suites); i++) {
        struct scene *s = scene_new(true, i % 2 == 1, KNOWS_RAW_KEY, KNOWS_AUTHORITY, 40 + i);

        ikev1_pair_set_ike(s->pair, 0, suites[i]);
        ikev1_pair_set_ike(s->pair, 1, suites[i]);
        s->pair->nat = i % 2 == 0;
        ikev1_pair_start(s->pair, 0);
        CHECK(ikev1_pair_run(s->pair));
        check_up(s);
        scene_free(s);
    }
    keys_free();
}

/* One private key of a responder with several: HASH(1) says which. */
TEST(hash_1_chooses_the_key)
{
    for (unsigned revised = 0; revised < 2; revised++) {
        struct scene *s = scene_new(revised, false, KNOWS_CERTIFICATE, KNOWS_CERTIFICATE, 50);
        struct pair1_side *right = &s->pair->side[1];
        struct certificate *other = testbed_issue(&orders[1], keys[2], root, root_key);
        struct credential *credential = testbed_credential(keys[2], &other, 1);
        struct ikev1_certificates first = s->certificates[1];

        first.own = credential;
        right->others[0] = right->policy;
        right->others[0].shared_key = (struct secret){0};
        right->policy.certificates = &first;
        right->other_count = 1;
        ikev1_pair_start(s->pair, 0);
        CHECK(ikev1_pair_run(s->pair));
        CHECK_EQUAL(s->pair->side[0].established + right->established, 2);
        CHECK(right->chosen == &right->others[0]);
        scene_free(s);
        credential_free(credential);
        certificate_free(other);
    }
    keys_free();
}

/* Somebody without the private key; one who seals for another key; another name. */
TEST(who_is_not_proven_is_not_let_in)
{
    for (unsigned i = 0; i < 24; i++) {
        unsigned side = i % 2; /* the one that lies */
        bool revised = i / 2 % 2 == 1;
        bool aggressive = i / 4 % 2 == 1;
        unsigned lie = i / 8;
        struct scene *s = scene_new(revised, aggressive, KNOWS_RAW_KEY, KNOWS_RAW_KEY, 60 + i);
        struct ikev1_pair *p = s->pair;
        struct certificate *other = testbed_issue(&orders[side], keys[2], root, root_key);
        struct credential *credential = testbed_credential(keys[2], &other, 1);
        struct trust *elsewhere = trust_of(KNOWS_RAW_KEY, keys[2], NULL);

        if (lie == 0) {
            s->certificates[side].own = credential;
        } else if (lie == 1) {
            s->certificates[side].trust = elsewhere;
        } else {
            CHECK(ike_identity_parse(SLICE_TEXT("nobody.example"), &p->side[side].policy.local_id));
        }
        ikev1_pair_start(p, 0);
        CHECK(ikev1_pair_run(p));
        ikev1_pair_advance(p, 300000);
        CHECK_EQUAL(p->side[1 - side].established, 0);
        CHECK_EQUAL(ikev1_pair_live_children(p, 1 - side), 0);
        CHECK(p->side[1 - side].failed > 0 && ikev1_pair_is_empty(p, 1 - side));
        scene_free(s);
        credential_free(credential);
        certificate_free(other);
        trust_free(elsewhere);
    }
    keys_free();
}

/* A certificate that leads nowhere, or not for encryption, is sealed to by nobody. */
TEST(certificates_of_the_revised_mode_are_checked)
{
    for (unsigned i = 0; i < 2; i++) {
        struct scene *s = scene_new(true, false, KNOWS_RAW_KEY, KNOWS_AUTHORITY, 90 + i);
        struct testbed_order order = orders[0];
        struct private_key *stranger = private_key_make(KEY_P256, 0);
        struct certificate *certificate;

        if (i == 0) {
            struct certificate *authority = testbed_issue(&testbed_root, stranger, NULL, NULL);

            certificate = testbed_issue(&order, keys[0], authority, stranger);
            certificate_free(authority);
        } else {
            order.usage = "digitalSignature";
            certificate = testbed_issue(&order, keys[0], root, root_key);
        }
        struct credential *credential = testbed_credential(keys[0], &certificate, 1);

        s->certificates[0].own = credential;
        ikev1_pair_start(s->pair, 0);
        CHECK(ikev1_pair_run(s->pair));
        CHECK_EQUAL(s->pair->side[1].established, 0);
        CHECK_EQUAL(s->pair->side[1].failure.reason, IKEV1_FAIL_CERTIFICATE);
        scene_free(s);
        credential_free(credential);
        certificate_free(certificate);
        private_key_free(stranger);
    }
    keys_free();
}

TEST(losses_are_made_good)
{
    for (unsigned i = 0; i < 18; i++) {
        struct scene *s = scene_new(i % 2 == 1, false, KNOWS_RAW_KEY, KNOWS_RAW_KEY, 100 + i);
        struct ikev1_pair *p = s->pair;
        unsigned sent = 0;

        ikev1_pair_start(p, 0);
        while (p->queue_count > 0) {
            if (sent++ == i / 2) {
                ikev1_pair_drop(p, 0);
            } else {
                ikev1_pair_deliver(p, 0);
            }
        }
        ikev1_pair_advance(p, 2500);
        CHECK_EQUAL(p->side[0].established + p->side[1].established, 2);
        CHECK(ikev1_pair_agrees(p) && ikev1_pair_packet(p, 1, "net"));
        scene_free(s);
    }
    keys_free();
}

/* ---- the oracle ---- */

/* What a message to the responder may be made of. */
enum spoilt {
    SPOILT_NOTHING, /* well padded, and what is in it is the peer's */
    SPOILT_PADDING, /* no padding under the key at all */
    SPOILT_GUESS, /* well padded, and the nonce is not the one that the peer knows */
    SPOILT_SHORT, /* well padded, with a nonce that is too short */
    SPOILT_LENGTH, /* not as long as the modulus */
    SPOILT_LONG,
    SPOILT_MODULUS, /* no number below it */
    SPOILT_CASES,
};

static struct slice spoil(enum spoilt how, const struct public_key *key, uint8_t out[512],
                          size_t length)
{
    struct writer w = writer_over(out, 512);

    switch (how) {
    case SPOILT_NOTHING:
    case SPOILT_CASES:
        break;
    case SPOILT_PADDING:
        memset(out, 0x21, length);
        return (struct slice){out, length};
    case SPOILT_GUESS:
        CHECK(envelope_seal(key, SLICE_TEXT("a nonce that nobody knows"), &w));
        break;
    case SPOILT_SHORT:
        CHECK(envelope_seal(key, SLICE_TEXT("seven!!"), &w));
        break;
    case SPOILT_LENGTH:
        memset(out, 0x21, length - 1);
        return (struct slice){out, length - 1};
    case SPOILT_LONG:
        memset(out, 0, length + 1);
        return (struct slice){out, length + 1};
    case SPOILT_MODULUS:
        memset(out, 0xff, length);
        return (struct slice){out, length};
    }
    return writer_written(&w);
}

/* The message again with other bodies of the nonce or the identity. */
static struct slice rebuild(struct slice message, uint8_t type, struct slice body, uint8_t *out,
                            size_t capacity)
{
    struct reader r = reader_over(message);
    struct writer w = writer_over(out, capacity);
    struct ikev1_header header;
    struct ikev1_payload payload;
    uint8_t first = 0;

    CHECK(ikev1_read_header(&r, &header));
    uint8_t next = header.next_payload;

    ikev1_write_header(&w, &header);
    struct ikev1_chain chain = ikev1_chain_over(&w, &first);

    while (ikev1_read_payload(&r, &next, &payload)) {
        ikev1_write_payload(&chain, payload.type, payload.type == type ? body : payload.body);
    }
    ikev1_finish_message(&w);
    out[16] = header.next_payload;
    return writer_written(&w);
}

struct seen {
    unsigned sends, opened, failed;
    size_t lengths[8];
    uint8_t types[8][IKEV1_PAYLOADS_MAX]; /* of the payloads of each message */
    enum ikev1_failure_reason reason;
};

static void look(struct ikev1_pair *p, struct seen *seen)
{
    for (size_t i = 0; i < p->queue_count && seen->sends < 8; i++) {
        const struct pair1_datagram *d = &p->queue[i];
        struct reader r = reader_over((struct slice){d->bytes, d->length});
        struct ikev1_header header;
        struct ikev1_payload payload;

        if (d->to == 0 && ikev1_read_header(&r, &header)) {
            uint8_t next = header.next_payload;

            seen->lengths[seen->sends] = d->length;
            for (size_t k = 0; k < IKEV1_PAYLOADS_MAX && ikev1_read_payload(&r, &next, &payload);
                 k++) {
                seen->types[seen->sends][k] = payload.type;
            }
            seen->sends++;
        }
    }
    while (p->queue_count > 0) {
        ikev1_pair_drop(p, 0);
    }
}

/* Of the one machine that is there. */
static const struct ikev1_handshake *handshake_of(const struct ikev1_pair *p, unsigned side)
{
    for (unsigned i = 0; i < PAIR1_MACHINES_MAX; i++) {
        const struct ikev1_sa *sa = p->side[side].machines[i].sa;

        if (sa != NULL && sa->ikes != NULL) {
            return sa->ikes->handshake;
        }
    }
    return NULL;
}

/* Whoever sends sealed messages sees the same answers whatever is in them: the same number, as
 * long, of the same payloads, after the same number of private operations, and the same end. */
TEST(nobody_learns_whether_something_could_be_opened)
{
    for (unsigned mode = 0; mode < 4; mode++) {
        bool revised = mode % 2 == 1;
        bool aggressive = mode / 2 == 1;
        struct seen first = {0};

        for (unsigned k = 0; k < 2 * SPOILT_CASES; k++) {
            enum spoilt how = k % SPOILT_CASES;
            uint8_t type = k < SPOILT_CASES ? IKEV1_NONCE : IKEV1_ID;
            struct scene *s =
                scene_new(revised, aggressive, KNOWS_RAW_KEY, KNOWS_RAW_KEY, 200 + mode);
            struct ikev1_pair *p = s->pair;
            struct public_key *key = private_key_public(keys[1]);
            uint8_t body[512];
            uint8_t bytes[4096];
            struct seen seen = {0};

            if (how == SPOILT_NOTHING || (revised && type == IKEV1_ID)) {
                public_key_free(key);
                scene_free(s);
                continue;
            }
            ikev1_pair_start(p, 0);
            if (!aggressive) {
                ikev1_pair_deliver(p, 0);
                ikev1_pair_deliver(p, 0);
            }
            CHECK_EQUAL(p->queue_count, 1);
            struct pair1_datagram *d = &p->queue[0];
            struct slice changed =
                rebuild((struct slice){d->bytes, d->length}, type,
                        spoil(how, key, body, SEALED_BYTES), bytes, sizeof(bytes));
            struct endpoint local = d->local;
            struct endpoint peer = d->peer;

            ikev1_pair_reboot(p, 0); /* nobody else says anything */
            ikev1_pair_drop(p, 0);
            ikev1_pair_inject(p, 1, &local, &peer, changed);
            look(p, &seen);
            const struct ikev1_handshake *h = handshake_of(p, 1);
            const uint8_t *offer = h == NULL ? NULL : h->sa_i.data;

            for (unsigned again = 0; again < 3; again++) {
                ikev1_pair_inject(p, 1, &local, &peer, changed);
                look(p, &seen);
                CHECK(handshake_of(p, 1) == h && (h == NULL || h->sa_i.data == offer));
            }
            ikev1_pair_advance(p, 60000);
            look(p, &seen);
            seen.opened = p->side[1].opened;
            seen.failed = p->side[1].failed;
            seen.reason = p->side[1].failure.reason;
            CHECK_EQUAL(seen.opened, revised ? 1 : 2);
            CHECK_EQUAL(p->side[1].established, 0);
            if (k == 1) {
                first = seen;
                CHECK_EQUAL(seen.sends, revised ? 0 : 1);
            }
            CHECK(memcmp(&seen, &first, sizeof(seen)) == 0);
            public_key_free(key);
            scene_free(s);
        }
    }
    keys_free();
}

/* The initiator as well, to whom somebody answers in the responder's place. */
TEST(an_initiator_tells_as_little)
{
    for (unsigned revised = 0; revised < 2; revised++) {
        unsigned sends = 0;

        for (unsigned how = SPOILT_PADDING; how < SPOILT_CASES; how++) {
            struct scene *s = scene_new(revised, false, KNOWS_RAW_KEY, KNOWS_RAW_KEY, 300);
            struct ikev1_pair *p = s->pair;
            struct public_key *key = private_key_public(keys[0]);
            uint8_t body[512];
            uint8_t bytes[4096];

            ikev1_pair_start(p, 0);
            for (unsigned i = 0; i < 3; i++) {
                ikev1_pair_deliver(p, 0);
            }
            CHECK_EQUAL(p->queue_count, 1);
            struct pair1_datagram *d = &p->queue[0];
            struct slice changed =
                rebuild((struct slice){d->bytes, d->length}, IKEV1_NONCE,
                        spoil(how, key, body, SEALED_BYTES), bytes, sizeof(bytes));
            struct endpoint local = d->local;
            struct endpoint peer = d->peer;

            ikev1_pair_inject(p, 0, &local, &peer, changed);
            ikev1_pair_drop(p, 0);
            CHECK(ikev1_pair_run(p));
            ikev1_pair_advance(p, 300000);
            CHECK_EQUAL(p->side[0].opened, revised ? 1 : 2);
            CHECK_EQUAL(p->side[0].established + p->side[1].established, 0);
            if (how == SPOILT_PADDING) {
                sends = p->side[0].sends;
            }
            CHECK_EQUAL(p->side[0].sends, sends);
            public_key_free(key);
            scene_free(s);
        }
    }
    keys_free();
}

/* A name that nobody has is answered as one that somebody has; only a proof ends it. */
TEST(a_name_that_nobody_has_is_answered_as_well)
{
    for (unsigned i = 0; i < 2; i++) {
        struct scene *s = scene_new(false, i == 1, KNOWS_RAW_KEY, KNOWS_RAW_KEY, 310);
        struct ikev1_pair *p = s->pair;

        CHECK(ike_identity_parse(SLICE_TEXT("nobody.example"), &p->side[0].policy.local_id));
        ikev1_pair_start(p, 0);
        CHECK(ikev1_pair_run(p));
        ikev1_pair_advance(p, 60000);
        CHECK(i == 1 || p->side[1].sends == 2);
        CHECK_EQUAL(p->side[1].established, 0);
        CHECK_EQUAL(p->side[1].failure.reason,
                    i == 1 ? IKEV1_FAIL_PEER_UNKNOWN : IKEV1_FAIL_PEER_IDENTITY);
        scene_free(s);
    }
    keys_free();
}

/* Every octet of the third and fourth message changed: nobody is let in, nothing is kept. */
TEST(a_changed_octet_is_enough)
{
    for (unsigned i = 0; i < 48; i++) {
        bool revised = i % 2 == 1;
        unsigned number = 2 + i / 2 % 2;
        struct scene *s = scene_new(revised, false, KNOWS_RAW_KEY, KNOWS_RAW_KEY, 400);
        struct ikev1_pair *p = s->pair;

        s->pair->side[0].children_policy[0].start = false;
        ikev1_pair_start(p, 0);
        for (unsigned k = 0; k < number; k++) {
            ikev1_pair_deliver(p, 0);
        }
        size_t at = IKEV1_HEAD_BYTES + 8 + i * 10; /* never in the head of a payload */

        CHECK(at < p->queue[0].length);
        p->queue[0].bytes[at] ^= 0x10;
        CHECK(ikev1_pair_run(p));
        CHECK_EQUAL(p->side[number == 2 ? 1 : 0].established, 0); /* who got it */
        scene_free(s);
    }
    keys_free();
}

TEST(a_method_that_no_site_has_is_not_begun)
{
    struct scene *s = scene_new(true, false, KNOWS_RAW_KEY, KNOWS_RAW_KEY, 500);

    s->pair->side[1].responder.rsa_revised = false;
    ikev1_pair_start(s->pair, 0);
    CHECK(ikev1_pair_run(s->pair));
    CHECK_EQUAL(s->pair->side[1].failure.reason, IKEV1_FAIL_AUTH_METHOD);
    CHECK_EQUAL(s->pair->side[1].opened, 0);
    scene_free(s);
    keys_free();
}
