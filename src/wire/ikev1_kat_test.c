/*
 * Every IKEv1 message that two other programs exchanged (tests/vectors/ike-kat): read, written
 * again byte for byte, and refused when anything is missing.
 */
#include <jansson.h>

#include "tests/support/test.h"
#include "wire/ikev1.h"

#define CHAIN_BYTES_MAX 8192

static const char *const conversations[] = {
    TEST_VECTORS "/ike-kat/kat-ikev1-main-psk-aes128-sha1-modp1024.json",
    TEST_VECTORS "/ike-kat/kat-ikev1-aggressive-xauth-modecfg.json",
};

struct message {
    struct ikev1_header head;
    uint8_t raw[CHAIN_BYTES_MAX];
    size_t raw_length;
    uint8_t first;
    struct slice payloads; /* in clear */
    uint8_t inner[CHAIN_BYTES_MAX];
    size_t inner_length;
};

static struct ikev1_sa_payload sa;
static struct ikev1_sa_payload again;
static struct ikev1_cfg_payload cfg;

static size_t hex_of(const json_t *object, const char *key, uint8_t *out, size_t capacity)
{
    const char *text = json_string_value(json_object_get(object, key));
    size_t length = 0;

    CHECK(text != NULL);
    CHECK(hex_parse(slice_of_text(text), out, capacity, &length));
    return length;
}

static void check_header(const json_t *json, struct message *m)
{
    struct reader r = reader_over((struct slice){m->raw, m->raw_length});
    uint8_t written[IKEV1_HEAD_BYTES];
    struct writer w = writer_over(written, sizeof(written));

    CHECK(ikev1_read_header(&r, &m->head));
    CHECK_EQUAL(m->head.flags, json_integer_value(json_object_get(json, "flags")));
    CHECK_EQUAL(m->head.message_id, json_integer_value(json_object_get(json, "msgid")));
    CHECK(m->head.version == 0x10 && m->head.length == m->raw_length);
    ikev1_write_header(&w, &m->head);
    CHECK(writer_ok(&w));
    CHECK_BYTES(written, m->raw, sizeof(written));
    for (size_t length = 0; length < m->raw_length; length++) {
        r = reader_over((struct slice){m->raw, length});
        CHECK(!ikev1_read_header(&r, &m->head));
    }
}

static void load(const json_t *json, struct message *m)
{
    m->raw_length = hex_of(json, "raw", m->raw, sizeof(m->raw));
    check_header(json, m);
    m->first = m->head.next_payload;
    m->payloads = (struct slice){m->raw + IKEV1_HEAD_BYTES, m->raw_length - IKEV1_HEAD_BYTES};
    if ((m->head.flags & IKEV1_FLAG_ENCRYPTED) != 0) {
        m->inner_length = hex_of(json, "decrypted", m->inner, sizeof(m->inner));
        m->payloads = (struct slice){m->inner, m->inner_length};
    }
}

/* Members instead of octets say the same. */
static void check_values(void)
{
    uint8_t room[CHAIN_BYTES_MAX];
    struct writer w = writer_over(room, sizeof(room));

    for (unsigned i = 0; i < sa.transform_count; i++) {
        CHECK(!sa.transforms[i].unknown_attribute);
        sa.transforms[i].attributes = (struct slice){NULL, 0};
    }
    ikev1_write_sa(&w, &sa);
    CHECK(ikev1_read_sa(writer_written(&w), &again));
    CHECK_EQUAL(again.transform_count, sa.transform_count);
    for (unsigned i = 0; i < sa.transform_count; i++) {
        again.transforms[i].attributes = (struct slice){NULL, 0};
        CHECK_BYTES(&again.transforms[i], &sa.transforms[i], sizeof(sa.transforms[i]));
    }
}

static bool rewrite_sa(struct writer *w, struct slice body)
{
    bool ok = ikev1_read_sa(body, &sa);

    if (ok) {
        CHECK(sa.proposal_count > 0 && sa.transform_count > 0);
        ikev1_write_sa(w, &sa);
        check_values();
    }
    return ok;
}

static bool rewrite_id(struct writer *w, struct slice body)
{
    struct ikev1_id_payload id;
    bool ok = ikev1_read_id(body, &id);

    if (ok) {
        ikev1_write_id(w, &id);
    }
    return ok;
}

static bool rewrite_notify(struct writer *w, struct slice body)
{
    struct ikev1_notify_payload n;
    bool ok = ikev1_read_notify(body, &n);

    if (ok) {
        ikev1_write_notify(w, &n);
    }
    return ok;
}

static bool rewrite_delete(struct writer *w, struct slice body)
{
    struct ikev1_delete_payload d;
    bool ok = ikev1_read_delete(body, &d);

    if (ok) {
        ikev1_write_delete(w, &d);
    }
    return ok;
}

static bool rewrite_cfg(struct writer *w, struct slice body)
{
    bool ok = ikev1_read_cfg(body, &cfg);

    if (ok) {
        ikev1_write_cfg(w, &cfg);
    }
    return ok;
}

struct rewriter {
    uint8_t type;
    bool bounded; /* its length is known from what is in it */
    bool (*rewrite)(struct writer *w, struct slice body);
};
static const struct rewriter rewriters[] = {
    {IKEV1_SA, true, rewrite_sa},           {IKEV1_ID, false, rewrite_id},
    {IKEV1_NOTIFY, false, rewrite_notify},  {IKEV1_DELETE, true, rewrite_delete},
    {IKEV1_ATTRIBUTES, false, rewrite_cfg},
};

static void check_body(const struct ikev1_payload *p)
{
    for (size_t i = 0; i < ARRAY_LENGTH(rewriters); i++) {
        uint8_t room[CHAIN_BYTES_MAX];
        struct writer w = writer_over(room, sizeof(room));

        if (rewriters[i].type != p->type) {
            continue;
        }
        for (size_t length = 0; rewriters[i].bounded && length < p->body.length; length++) {
            CHECK(!rewriters[i].rewrite(&w, (struct slice){p->body.data, length}));
        }
        CHECK(rewriters[i].rewrite(&w, p->body));
        CHECK(slice_equal(writer_written(&w), p->body));
    }
}

/* All payloads, the chain again octet for octet, and no shorter one. */
static unsigned check_chain(const struct message *m)
{
    uint8_t room[CHAIN_BYTES_MAX];
    uint8_t first;
    uint8_t next = m->first;
    unsigned count = 0;
    struct reader r = reader_over(m->payloads);
    struct writer w = writer_over(room, sizeof(room));
    struct ikev1_chain written = ikev1_chain_over(&w, &first);
    struct ikev1_payload p;
    struct slice chain;

    while (ikev1_read_payload(&r, &next, &p)) {
        check_body(&p);
        ikev1_write_payload(&written, p.type, p.body);
        count++;
    }
    CHECK(reader_ok(&r) && first == m->first);
    CHECK(ikev1_read_chain(m->first, m->payloads, &chain));
    CHECK(slice_equal(writer_written(&w), chain));
    CHECK_EQUAL(chain.length + reader_left(&r), m->payloads.length);
    for (size_t length = 0; length < chain.length; length++) {
        struct slice none;

        CHECK(!ikev1_read_chain(m->first, (struct slice){m->payloads.data, length}, &none));
    }
    return count;
}

TEST(recorded_messages_are_read_and_written_again)
{
    static struct message m;
    unsigned messages = 0;
    unsigned payloads = 0;

    for (size_t i = 0; i < ARRAY_LENGTH(conversations); i++) {
        json_error_t error;
        json_t *root = json_load_file(conversations[i], 0, &error);
        size_t at;
        json_t *json;

        CHECK(root != NULL);
        json_array_foreach(json_object_get(root, "messages"), at, json)
        {
            if (strcmp(json_string_value(json_object_get(json, "type")), "ike") == 0) {
                load(json, &m);
                payloads += check_chain(&m);
                messages++;
            }
        }
        json_decref(root);
    }
    CHECK_EQUAL(messages, 29);
    CHECK(payloads > 100);
}

/* --- as people see them --- */

static void describe_message(size_t conversation, size_t number, char *text, size_t capacity)
{
    static struct message m;
    json_error_t error;
    json_t *root = json_load_file(conversations[conversation], 0, &error);
    struct text out = text_over(text, capacity);

    CHECK(root != NULL);
    load(json_array_get(json_object_get(root, "messages"), number - 1), &m);
    ikev1_describe(&m.head, m.first, m.payloads, &out);
    json_decref(root);
}

TEST(recorded_messages_are_described)
{
    char text[4096];

    for (size_t number = 1; number <= 9; number++) {
        describe_message(0, number, text, sizeof(text));
        CHECK(strstr(text, "malformed") == NULL);
    }
    describe_message(0, 1, text, sizeof(text));
    CHECK(strncmp(text, "HDR, SA, VID, ", 14) == 0);
    CHECK(strstr(text, "SA 0 ISAKMP: AES_CBC 128/SHA1/MODP_1024, pre-shared key") != NULL ||
          strstr(text, "SA 1 ISAKMP: AES_CBC 128/SHA1/MODP_1024, pre-shared key") != NULL);
    CHECK(strstr(text, "NAT-T (RFC 3947)") != NULL);
    CHECK(strstr(text, "dead peer detection") != NULL);
    describe_message(0, 5, text, sizeof(text));
    CHECK(strncmp(text, "HDR*, ID, HASH, N(INITIAL-CONTACT)\n", 35) == 0);
    CHECK(strstr(text, "ID FQDN carol.test") != NULL);
    describe_message(0, 7, text, sizeof(text));
    CHECK(strncmp(text, "HDR*, HASH, SA, Nonce, KE, ID, ID\n", 34) == 0);
    CHECK(strstr(text, "AES_CBC 128/HMAC_SHA1/MODP_1024, ") != NULL);
    CHECK(strstr(text, "ID IPV4_ADDR_SUBNET 10.1.0.0/24") != NULL);
    describe_message(1, 5, text, sizeof(text));
    CHECK(strstr(text, "ATTR REPLY ") != NULL);
    CHECK(strstr(text, "XAUTH_USER_PASSWORD 12 octets") != NULL);
    CHECK(strstr(text, "kat-xauth-pw") == NULL);
    describe_message(1, 9, text, sizeof(text));
    CHECK(strstr(text, "INTERNAL_IP4_ADDRESS 10.3.0.") != NULL);
    CHECK(strstr(text, "INTERNAL_IP4_DNS 10.1.0.53") != NULL);
}
