/*
 * Every IKEv2 message that two other programs exchanged (tests/vectors/ike-kat): read, written
 * again byte for byte, and refused when anything is missing.
 */
#include <jansson.h>

#include "tests/support/test.h"
#include "wire/ikev2.h"

#define CHAIN_BYTES_MAX 8192

static const char *const conversations[] = {
    TEST_VECTORS "/ike-kat/kat-ikev2-psk-aes128-sha256-modp2048.json",
    TEST_VECTORS "/ike-kat/kat-ikev2-psk-aes256gcm-sha384-ecp384.json",
    TEST_VECTORS "/ike-kat/kat-ikev2-eap-mschapv2-cp.json",
};

struct message {
    struct ikev2_header head;
    uint8_t raw[CHAIN_BYTES_MAX];
    size_t raw_length;
    bool encrypted;
    uint8_t first;
    uint8_t inner[CHAIN_BYTES_MAX]; /* of all fragments, when they have been joined */
    size_t inner_length;
    bool whole;
};

static size_t hex_of(const json_t *object, const char *key, uint8_t *out, size_t capacity)
{
    const char *text = json_string_value(json_object_get(object, key));
    size_t length = 0;

    CHECK(text != NULL);
    CHECK(hex_parse(slice_of_text(text), out, capacity, &length));
    return length;
}

static unsigned number_of(const json_t *object, const char *key)
{
    return (unsigned)json_integer_value(json_object_get(object, key));
}

static void check_header(const json_t *json, struct message *m)
{
    struct reader r = reader_over((struct slice){m->raw, m->raw_length});

    CHECK(ikev2_read_header(&r, &m->head));
    CHECK_TEXT(ikev2_exchange_name(m->head.exchange),
               json_string_value(json_object_get(json, "exchange")));
    CHECK(m->head.flags == number_of(json, "flags"));
    CHECK(m->head.message_id == number_of(json, "msgid"));
    CHECK(m->head.version == 0x20 && m->head.length == m->raw_length);
}

/* Fragments of one message stand one after the other in the files and are joined here. */
static void take_inner(const json_t *json, struct message *m)
{
    const json_t *fragment = json_object_get(json, "fragment");
    unsigned number = fragment == NULL ? 1 : number_of(fragment, "number");
    unsigned total = fragment == NULL ? 1 : number_of(fragment, "total");

    if (number == 1) {
        m->inner_length = 0;
        m->first = (uint8_t)number_of(json, "first_payload");
    }
    m->inner_length +=
        hex_of(json, "decrypted", m->inner + m->inner_length, CHAIN_BYTES_MAX - m->inner_length);
    m->whole = number == total;
}

static unsigned each_message(void (*visit)(const struct message *m))
{
    static struct message m;
    unsigned count = 0;

    for (size_t i = 0; i < ARRAY_LENGTH(conversations); i++) {
        json_t *file = json_load_file(conversations[i], 0, NULL);
        json_t *json;
        size_t index;

        CHECK(file != NULL);
        json_array_foreach(json_object_get(file, "messages"), index, json)
        {
            if (strcmp(json_string_value(json_object_get(json, "type")), "ike") != 0) {
                continue;
            }
            m.raw_length = hex_of(json, "raw", m.raw, sizeof(m.raw));
            m.encrypted = json_object_get(json, "decrypted") != NULL;
            m.whole = false;
            check_header(json, &m);
            if (m.encrypted) {
                take_inner(json, &m);
            }
            visit(&m);
            count++;
        }
        json_decref(file);
    }
    return count;
}

static struct slice outer_chain(const struct message *m)
{
    return (struct slice){m->raw + IKEV2_HEAD_BYTES, m->raw_length - IKEV2_HEAD_BYTES};
}

/* --- reading and writing again --- */

static void rewrite_sa(struct slice body, struct writer *w)
{
    static struct ikev2_sa_payload sa;

    CHECK(ikev2_read_sa(body, &sa));
    ikev2_write_sa(w, &sa);
    for (size_t length = 0; length < body.length; length++) {
        CHECK(!ikev2_read_sa((struct slice){body.data, length}, &sa));
    }
}

static void rewrite_ts(struct slice body, struct writer *w)
{
    static struct ikev2_ts_payload ts;

    CHECK(ikev2_read_ts(body, &ts));
    ikev2_write_ts(w, ts.selectors, ts.count);
    for (size_t length = 0; length < body.length; length++) {
        CHECK(!ikev2_read_ts((struct slice){body.data, length}, &ts));
    }
}

/* A shorter payload may end between two attributes; its values must then be a beginning. */
static void rewrite_cp(struct slice body, struct writer *w)
{
    static struct ikev2_cp_payload cp;
    static struct ikev2_cp_payload cut;

    CHECK(ikev2_read_cp(body, &cp));
    ikev2_write_cp(w, &cp);
    for (size_t length = 0; length < body.length; length++) {
        if (ikev2_read_cp((struct slice){body.data, length}, &cut)) {
            CHECK(cut.count < cp.count);
        }
    }
}

static void rewrite_delete(struct slice body, struct writer *w)
{
    struct ikev2_delete_payload d;

    CHECK(ikev2_read_delete(body, &d));
    ikev2_write_delete(w, &d);
    for (size_t length = 0; length < body.length; length++) {
        CHECK(!ikev2_read_delete((struct slice){body.data, length}, &d));
    }
}

static void rewrite_eap(struct slice body, struct writer *w)
{
    struct slice packet;

    CHECK(ikev2_read_eap(body, &packet));
    write_slice(w, packet);
    for (size_t length = 0; length < body.length; length++) {
        CHECK(!ikev2_read_eap((struct slice){body.data, length}, &packet));
    }
}

static void rewrite_small(const struct ikev2_payload *p, struct writer *w)
{
    struct ikev2_ke_payload ke;
    struct ikev2_id_payload id;
    struct ikev2_cert_payload cert;
    struct ikev2_auth_payload auth;
    struct ikev2_notify_payload n;

    if (p->type == IKEV2_KE) {
        CHECK(ikev2_read_ke(p->body, &ke));
        ikev2_write_ke(w, &ke);
    } else if (p->type == IKEV2_IDI || p->type == IKEV2_IDR) {
        CHECK(ikev2_read_id(p->body, &id));
        CHECK(slice_equal(id.whole, p->body));
        ikev2_write_id(w, &id);
    } else if (p->type == IKEV2_CERT || p->type == IKEV2_CERTREQ) {
        CHECK(ikev2_read_cert(p->body, &cert));
        ikev2_write_cert(w, &cert);
    } else if (p->type == IKEV2_AUTH) {
        CHECK(ikev2_read_auth(p->body, &auth));
        ikev2_write_auth(w, &auth);
    } else if (p->type == IKEV2_NOTIFY) {
        CHECK(ikev2_read_notify(p->body, &n));
        CHECK(ikev2_notify_name(n.type) != NULL);
        ikev2_write_notify(w, &n);
    } else {
        write_slice(w, p->body);
    }
}

static void rewrite_payload(struct ikev2_chain *chain, const struct ikev2_payload *p)
{
    ikev2_begin_payload(chain, p->type, p->critical);
    if (p->type == IKEV2_SA) {
        rewrite_sa(p->body, chain->w);
    } else if (p->type == IKEV2_TSI || p->type == IKEV2_TSR) {
        rewrite_ts(p->body, chain->w);
    } else if (p->type == IKEV2_CP) {
        rewrite_cp(p->body, chain->w);
    } else if (p->type == IKEV2_DELETE) {
        rewrite_delete(p->body, chain->w);
    } else if (p->type == IKEV2_EAP) {
        rewrite_eap(p->body, chain->w);
    } else {
        rewrite_small(p, chain->w);
    }
    ikev2_end_payload(chain);
}

static void check_chain(uint8_t first, struct slice chain)
{
    static uint8_t room[CHAIN_BYTES_MAX];
    struct writer w = writer_over(room, sizeof(room));
    struct reader r = reader_over(chain);
    struct ikev2_payload p;
    uint8_t next = first;
    uint8_t written_first = 99;
    struct ikev2_chain written = ikev2_chain_over(&w, &written_first);

    while (ikev2_read_payload(&r, &next, &p)) {
        CHECK(ikev2_payload_name(p.type) != NULL);
        rewrite_payload(&written, &p);
    }
    CHECK(reader_done(&r) && next == IKEV2_NO_NEXT_PAYLOAD);
    CHECK(written_first == first);
    CHECK(slice_equal(writer_written(&w), chain));
}

static bool chain_is_good(uint8_t first, struct slice chain)
{
    struct reader r = reader_over(chain);
    struct ikev2_payload p;
    uint8_t next = first;

    while (ikev2_read_payload(&r, &next, &p)) {
    }
    return reader_done(&r) && next == IKEV2_NO_NEXT_PAYLOAD;
}

static void check_message(const struct message *m)
{
    if (!m->encrypted) {
        check_chain(m->head.next_payload, outer_chain(m));
    } else if (m->whole) {
        check_chain(m->first, (struct slice){m->inner, m->inner_length});
    }
}

TEST(every_recorded_message_is_read_and_written_again_byte_for_byte)
{
    CHECK(each_message(check_message) == 47);
}

static void check_encrypted(const struct message *m)
{
    struct reader r = reader_over(outer_chain(m));
    uint8_t next = m->head.next_payload;
    struct ikev2_payload p;

    if (!m->encrypted) {
        return;
    }
    CHECK(ikev2_read_payload(&r, &next, &p));
    CHECK(p.type == IKEV2_SK || p.type == IKEV2_SKF);
    CHECK(reader_done(&r));
    if (p.type == IKEV2_SK) {
        CHECK(next == m->first);
        return;
    }
    struct reader body = reader_over(p.body);
    struct ikev2_skf_head head;

    CHECK(ikev2_read_skf_head(&body, &head));
    CHECK(head.total == 2 && (head.number == 1 ? next == m->first : next == IKEV2_NO_NEXT_PAYLOAD));
}

TEST(encrypted_payloads_are_last_and_tell_the_first_inner_type)
{
    CHECK(each_message(check_encrypted) == 47);
}

static void check_prefixes(const struct message *m)
{
    for (size_t length = 0; length < m->raw_length; length++) {
        struct reader r = reader_over((struct slice){m->raw, length});
        struct ikev2_header h;

        CHECK(!ikev2_read_header(&r, &h));
        CHECK(!reader_ok(&r));
    }
    if (!m->encrypted) {
        for (size_t length = 0; length < m->raw_length - IKEV2_HEAD_BYTES; length++) {
            CHECK(!chain_is_good(m->head.next_payload,
                                 (struct slice){m->raw + IKEV2_HEAD_BYTES, length}));
        }
    } else if (m->whole) {
        for (size_t length = 0; length < m->inner_length; length++) {
            CHECK(!chain_is_good(m->first, (struct slice){m->inner, length}));
        }
    }
}

TEST(every_prefix_of_a_recorded_message_is_refused)
{
    CHECK(each_message(check_prefixes) == 47);
}

static char description[16384];

static void describe(const struct message *m)
{
    struct text t = text_over(description, sizeof(description));

    if (m->encrypted) {
        ikev2_describe(&m->head, m->first, (struct slice){m->inner, m->inner_length}, &t);
    } else {
        ikev2_describe(&m->head, m->head.next_payload, outer_chain(m), &t);
    }
    CHECK(!t.cut);
}

/* No line of a description may hold eight octets of a key, a nonce or a signature. */
static void check_discretion(const struct message *m)
{
    struct slice chain = m->encrypted ? (struct slice){m->inner, m->inner_length} : outer_chain(m);
    struct reader r = reader_over(chain);
    uint8_t next = m->encrypted ? m->first : m->head.next_payload;
    struct ikev2_payload p;

    if (m->encrypted && !m->whole) {
        return;
    }
    describe(m);
    CHECK(strstr(description, "malformed") == NULL);
    while (ikev2_read_payload(&r, &next, &p)) {
        if (p.type != IKEV2_KE && p.type != IKEV2_NONCE && p.type != IKEV2_AUTH &&
            p.type != IKEV2_EAP) {
            continue;
        }
        for (size_t i = 0; i + 8 <= p.body.length; i++) {
            char hex[17];
            struct text t = text_over(hex, sizeof(hex));

            text_add_hex(&t, (struct slice){p.body.data + i, 8});
            CHECK(strstr(description, hex) == NULL);
        }
    }
}

TEST(descriptions_do_not_show_keys_nonces_and_signatures)
{
    CHECK(each_message(check_discretion) == 47);
}

/* Checked by hand against the configurations and the SPIs of the ESP packets in the same files. */
static const struct {
    uint64_t spi_i;
    uint32_t message_id;
    uint8_t flags;
    const char *text;
} descriptions[] = {
    {0xbd5fedac93c138b0, 0, 0x08,
     "HDR, SAi1, KEi, Ni, N(NAT_DETECTION_SOURCE_IP), N(NAT_DETECTION_DESTINATION_IP), "
     "N(IKEV2_FRAGMENTATION_SUPPORTED), N(SIGNATURE_HASH_ALGORITHMS), N(REDIRECT_SUPPORTED)\n"
     "  HDR IKE_SA_INIT request 0 from the initiator, SPIs bd5fedac93c138b0 0000000000000000\n"
     "  SAi1 1 IKE: ENCR AES_CBC 128, INTEG HMAC_SHA2_256_128, PRF HMAC_SHA2_256, KE MODP_2048\n"
     "  KEi group 14 MODP_2048, 256 octets\n"
     "  Ni 32 octets\n"
     "  N NAT_DETECTION_SOURCE_IP, 20 octets\n"
     "  N NAT_DETECTION_DESTINATION_IP, 20 octets\n"
     "  N IKEV2_FRAGMENTATION_SUPPORTED\n"
     "  N SIGNATURE_HASH_ALGORITHMS, 8 octets\n"
     "  N REDIRECT_SUPPORTED"},
    {0xbd5fedac93c138b0, 3, 0x08,
     "HDR, SK {N(REKEY_SA), SA, Ni, KEi, TSi, TSr}\n"
     "  HDR CREATE_CHILD_SA request 3 from the initiator, SPIs bd5fedac93c138b0 21c9eb601c46045c\n"
     "  N REKEY_SA ESP 28ff6037\n"
     "  SA 1 ESP d1d59d5a: ENCR AES_CBC 128, INTEG HMAC_SHA2_256_128, KE MODP_2048, ESN NONE\n"
     "  Ni 32 octets\n"
     "  KEi group 14 MODP_2048, 256 octets\n"
     "  TSi 10.2.0.0/24\n"
     "  TSr 10.1.0.0/24"},
    {0x92584a7c6350bd0d, 4, 0x20,
     "HDR, SK {D}\n"
     "  HDR INFORMATIONAL response 4 from the responder, SPIs 92584a7c6350bd0d ce2bef8b7958c4af\n"
     "  D ESP 7ffd8ee3"},
    {0x9b0a77972b967c89, 1, 0x20,
     "HDR, SKF {IDr, CERT, AUTH, EAP}\n"
     "  HDR IKE_AUTH response 1 from the responder, SPIs 9b0a77972b967c89 daea6837a150dd15\n"
     "  IDr FQDN moon.test\n"
     "  CERT X509_SIGNATURE, 1176 octets\n"
     "  AUTH DIGITAL_SIGNATURE, 400 octets\n"
     "  EAP request 0, type 1, 5 octets"},
    {0x9b0a77972b967c89, 5, 0x20,
     "HDR, SK {AUTH, CP(CFG_REPLY), SAr2, TSi, TSr, N(MOBIKE_SUPPORTED), "
     "N(ADDITIONAL_IP6_ADDRESS)}\n"
     "  HDR IKE_AUTH response 5 from the responder, SPIs 9b0a77972b967c89 daea6837a150dd15\n"
     "  AUTH SHARED_KEY, 32 octets\n"
     "  CP CFG_REPLY: INTERNAL_IP4_ADDRESS 10.3.0.1, INTERNAL_IP6_ADDRESS fd10:3::1/64, "
     "INTERNAL_IP4_DNS 10.1.0.53\n"
     "  SAr2 1 ESP 4ff6d5d0: ENCR AES_GCM_16 256, ESN NONE\n"
     "  TSi 10.3.0.1/32, fd10:3::1/128\n"
     "  TSr 10.1.0.0/24, fd10:1::/64\n"
     "  N MOBIKE_SUPPORTED\n"
     "  N ADDITIONAL_IP6_ADDRESS, 16 octets"},
    {0x9b0a77972b967c89, 7, 0x20,
     "HDR, SK {}\n"
     "  HDR INFORMATIONAL response 7 from the responder, SPIs 9b0a77972b967c89 daea6837a150dd15"},
};

static size_t descriptions_seen;

static void check_description(const struct message *m)
{
    for (size_t i = 0; i < ARRAY_LENGTH(descriptions); i++) {
        if (descriptions[i].spi_i == m->head.spi_i &&
            descriptions[i].message_id == m->head.message_id &&
            descriptions[i].flags == m->head.flags && (m->whole || !m->encrypted)) {
            describe(m);
            CHECK_TEXT(description, descriptions[i].text);
            descriptions_seen++;
        }
    }
}

TEST(messages_are_described_in_the_notation_of_the_rfc)
{
    descriptions_seen = 0;
    each_message(check_description);
    CHECK(descriptions_seen == ARRAY_LENGTH(descriptions));
}

static void check_cut_description(const struct message *m)
{
    static char small[600];

    for (size_t capacity = 1; capacity < sizeof(small); capacity += 7) {
        struct text t = text_over(small, capacity);

        ikev2_describe(&m->head, m->head.next_payload, outer_chain(m), &t);
        CHECK(strlen(small) < capacity);
    }
}

TEST(a_description_fits_in_any_room)
{
    CHECK(each_message(check_cut_description) == 47);
}
