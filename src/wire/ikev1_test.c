/*
 * IKEv1 by hand: lengths that lie, attributes in both forms, identities as traffic, what is unknown
 * and tolerated, what is never accepted, and names.
 */
#include "wire/ikev1.h"

#include "tests/support/test.h"

static struct ikev1_sa_payload sa;
static struct ikev1_cfg_payload cfg;

/* --- messages --- */

static const struct ikev1_header plain = {
    .cookie_i = 0x0102030405060708,
    .cookie_r = 0x1112131415161718,
    .next_payload = IKEV1_SA,
    .version = 0x10,
    .exchange = IKEV1_QUICK,
    .flags = IKEV1_FLAG_COMMIT,
    .message_id = 0x21222324,
};

TEST(a_header_is_written_in_the_order_of_the_rfc)
{
    static const uint8_t expected[] = {1,    2,    3,    4,    5,    6,    7, 8,    0x11, 0x12,
                                       0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 1, 0x10, 32,   0x02,
                                       0x21, 0x22, 0x23, 0x24, 0,    0,    0, 28};
    uint8_t room[64];
    struct writer w = writer_over(room, sizeof(room));

    ikev1_write_header(&w, &plain);
    ikev1_finish_message(&w);
    CHECK(slice_equal(writer_written(&w), SLICE_OF(expected)));
}

TEST(the_length_field_must_be_exactly_what_is_there)
{
    uint8_t room[64] = {0};
    struct writer w = writer_over(room, sizeof(room));
    struct ikev1_header h;

    ikev1_write_header(&w, &plain);
    write_zeros(&w, 10);
    for (uint32_t length = 0; length < 64; length++) {
        struct reader r = reader_over((struct slice){room, 38});

        put_u32(room + 24, length);
        CHECK(ikev1_read_header(&r, &h) == (length == 38));
    }
    put_u32(room + 24, 0xffffffff);
    struct reader r = reader_over((struct slice){room, 38});

    CHECK(!ikev1_read_header(&r, &h));
}

TEST(a_message_that_is_too_long_is_not_finished)
{
    static uint8_t room[70000];
    struct writer w = writer_over(room, sizeof(room));

    ikev1_write_header(&w, &plain);
    write_zeros(&w, IKEV1_MESSAGE_BYTES_MAX - IKEV1_HEAD_BYTES);
    ikev1_finish_message(&w);
    CHECK(writer_ok(&w));
    write_u8(&w, 0);
    ikev1_finish_message(&w);
    CHECK(!writer_ok(&w));
}

TEST(a_chain_links_its_payloads_and_ends_before_the_padding)
{
    static const uint8_t expected[] = {IKEV1_NOTIFY, 0, 0, 6, 'a', 'b', 200, 0, 0, 4, 0, 0, 0, 5,
                                       'c'};
    uint8_t room[64];
    uint8_t first = 99;
    struct writer w = writer_over(room, sizeof(room));
    struct ikev1_chain chain = ikev1_chain_over(&w, &first);
    struct slice found;

    CHECK(first == IKEV1_NO_NEXT_PAYLOAD);
    ikev1_write_payload(&chain, IKEV1_NONCE, SLICE_TEXT("ab"));
    ikev1_begin_payload(&chain, IKEV1_NOTIFY);
    ikev1_end_payload(&chain);
    ikev1_write_payload(&chain, 200, SLICE_TEXT("c"));
    CHECK(first == IKEV1_NONCE);
    CHECK(slice_equal(writer_written(&w), SLICE_OF(expected)));

    write_zeros(&w, 3);
    struct reader r = reader_over(writer_written(&w));
    struct ikev1_payload p;
    uint8_t next = first;

    CHECK(ikev1_read_payload(&r, &next, &p) && p.type == IKEV1_NONCE);
    CHECK(slice_equal_text(p.body, "ab") && p.whole.length == 6 && p.whole.data == room);
    CHECK(ikev1_read_payload(&r, &next, &p) && p.type == IKEV1_NOTIFY && p.body.length == 0);
    CHECK(ikev1_read_payload(&r, &next, &p) && p.type == 200 && slice_equal_text(p.body, "c"));
    CHECK(!ikev1_read_payload(&r, &next, &p) && next == IKEV1_NO_NEXT_PAYLOAD);
    CHECK(reader_ok(&r) && reader_left(&r) == 3);
    CHECK(ikev1_read_chain(first, writer_written(&w), &found));
    CHECK(slice_equal(found, SLICE_OF(expected)));
    CHECK(!ikev1_read_chain(IKEV1_NO_NEXT_PAYLOAD, writer_written(&w), &found));
}

TEST(a_chain_without_room_fails_and_stays_in_bounds)
{
    for (size_t capacity = 0; capacity < 12; capacity++) {
        uint8_t room[12];
        uint8_t first;
        struct writer w = writer_over(room, capacity);
        struct ikev1_chain chain = ikev1_chain_over(&w, &first);

        ikev1_write_payload(&chain, IKEV1_NONCE, SLICE_TEXT("ab"));
        ikev1_write_payload(&chain, IKEV1_NONCE, SLICE_TEXT("cd"));
        CHECK(!writer_ok(&w));
    }
    static uint8_t room[70000];
    static const uint8_t zeros[65532];
    uint8_t first;
    struct writer w = writer_over(room, sizeof(room));
    struct ikev1_chain chain = ikev1_chain_over(&w, &first);

    ikev1_write_payload(&chain, IKEV1_NONCE, SLICE_OF(zeros));
    CHECK(!writer_ok(&w));
}

TEST(a_length_below_its_own_header_or_beyond_the_end_ends_a_chain)
{
    static const uint8_t too_short[] = {0, 0, 0, 3, 0};
    static const uint8_t none[] = {0, 0, 0, 0};
    static const uint8_t too_long[] = {0, 0, 0, 6, 9};
    static const uint8_t missing[] = {41, 0, 0, 5, 9};
    struct slice found;

    CHECK(!ikev1_read_chain(IKEV1_HASH, SLICE_OF(too_short), &found));
    CHECK(!ikev1_read_chain(IKEV1_HASH, SLICE_OF(none), &found));
    CHECK(!ikev1_read_chain(IKEV1_HASH, SLICE_OF(too_long), &found));
    CHECK(!ikev1_read_chain(IKEV1_HASH, SLICE_OF(missing), &found));
}

TEST(a_chain_of_too_many_payloads_is_refused)
{
    uint8_t octets[4 * (IKEV1_PAYLOADS_MAX + 1)];
    struct slice found;

    for (size_t i = 0; i <= IKEV1_PAYLOADS_MAX; i++) {
        put_u32(octets + 4 * i, (uint32_t)IKEV1_VENDOR_ID << 24 | 4);
    }
    octets[4 * (IKEV1_PAYLOADS_MAX - 1)] = 0;
    CHECK(ikev1_read_chain(IKEV1_VENDOR_ID, SLICE_OF(octets), &found));
    CHECK_EQUAL(found.length, 4 * IKEV1_PAYLOADS_MAX);
    octets[4 * (IKEV1_PAYLOADS_MAX - 1)] = IKEV1_VENDOR_ID;
    octets[4 * IKEV1_PAYLOADS_MAX] = 0;
    CHECK(!ikev1_read_chain(IKEV1_VENDOR_ID, SLICE_OF(octets), &found));
}

TEST(padding_is_less_than_anybody_needs)
{
    static const uint8_t octets[256];

    CHECK(ikev1_padding_is_sane((struct slice){octets, 255}));
    CHECK(!ikev1_padding_is_sane((struct slice){octets, 256}));
}

/* --- attributes --- */

TEST(attributes_come_in_both_forms)
{
    static const uint8_t octets[] = {
        0x80, 0x0b, 0x00, 0x01, /* life type: seconds, short */
        0x00, 0x0c, 0x00, 0x04, 0x00, 0x01, 0x51, 0x80, /* 86400 in four octets */
        0x00, 0x06, 0x00, 0x09, 1,    2,    3,    4,    5, 6, 7, 8, 9, /* more than a number */
        0x00, 0x07, 0x00, 0x00, /* nothing */
    };
    struct reader r = reader_over(SLICE_OF(octets));
    struct ikev1_attribute a;

    CHECK(ikev1_read_attribute(&r, &a) && a.type == IKEV1_LIFE_TYPE && a.is_short && a.number == 1);
    CHECK(ikev1_read_attribute(&r, &a) && a.type == IKEV1_LIFE_DURATION && !a.is_short);
    CHECK_EQUAL(a.number, 86400);
    CHECK(ikev1_read_attribute(&r, &a) && a.value.length == 9 && a.number == UINT64_MAX);
    CHECK(ikev1_read_attribute(&r, &a) && a.value.length == 0 && a.number == 0);
    CHECK(reader_done(&r));
    for (size_t length = 1; length < 4; length++) {
        r = reader_over((struct slice){octets, length});
        CHECK(!ikev1_read_attribute(&r, &a));
    }
}

TEST(numbers_are_written_as_short_as_they_go)
{
    static const uint8_t expected[] = {
        0x80, 2, 0xff, 0xff, 0, 2, 0, 4, 0, 1, 0, 0, 0, 2, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0,
    };
    uint8_t room[64];
    struct writer w = writer_over(room, sizeof(room));

    ikev1_write_number(&w, IKEV1_SA_LIFE_DURATION, 0xffff);
    ikev1_write_number(&w, IKEV1_SA_LIFE_DURATION, 0x10000);
    ikev1_write_number(&w, IKEV1_SA_LIFE_DURATION, 0x100000000);
    CHECK(slice_equal(writer_written(&w), SLICE_OF(expected)));
}

/* --- SA --- */

/* RFC 2408 4.2.1 in octets: proposal 1 is AH with MD5 or SHA and ESP with 3DES, proposal 2 is AH
 * with SHA alone. */
static const uint8_t and_or[] = {
    0,    0, 0,    1,       0,    0,
    0,    1, /* DOI, situation */
    2,    0, 0,    28 + 4,  1,    2,
    4,    2, 0xa1, 0xa2,    0xa3, 0xa4, /* 1: AH, two transforms */
    3,    0, 0,    8,       1,    IKEV1_AH_MD5,
    0,    0, /* no attributes */
    0,    0, 0,    12,      2,    IKEV1_AH_SHA1,
    0,    0, 0x80, 5,       0,    2, /* HMAC-SHA */
    2,    0, 0,    12 + 16, 1,    3,
    4,    1, 0xb1, 0xb2,    0xb3, 0xb4, /* 1: ESP */
    0,    0, 0,    16,      1,    IKEV1_ESP_3DES,
    0,    0, 0x80, 4,       0,    1,
    0x80, 5, 0,    2, /* tunnel, HMAC-SHA */
    0,    0, 0,    12 + 12, 2,    2,
    4,    1, 0xc1, 0xc2,    0xc3, 0xc4, /* 2: AH */
    0,    0, 0,    12,      1,    IKEV1_AH_SHA1,
    0,    0, 0x80, 5,       0,    2,
};

TEST(proposals_that_go_together_have_one_number)
{
    uint8_t room[256];
    struct writer w = writer_over(room, sizeof(room));

    CHECK(ikev1_read_sa(SLICE_OF(and_or), &sa));
    CHECK_EQUAL(sa.doi, IKEV1_DOI_IPSEC);
    CHECK_EQUAL(sa.situation, IKEV1_SIT_IDENTITY_ONLY);
    CHECK_EQUAL(sa.proposal_count, 3);
    CHECK_EQUAL(sa.transform_count, 4);
    CHECK(sa.proposals[0].number == 1 && sa.proposals[0].protocol == IKEV1_PROTO_AH);
    CHECK(sa.proposals[1].number == 1 && sa.proposals[1].protocol == IKEV1_PROTO_ESP);
    CHECK(sa.proposals[2].number == 2 && sa.proposals[2].protocol == IKEV1_PROTO_AH);
    CHECK(sa.proposals[1].first == 2 && sa.proposals[1].count == 1);
    CHECK_EQUAL(get_u32(sa.proposals[1].spi.data), 0xb1b2b3b4);
    CHECK(sa.transforms[1].id == IKEV1_AH_SHA1);
    CHECK(sa.transforms[2].encapsulation == IKEV1_TUNNEL &&
          sa.transforms[2].auth_algorithm == IKEV1_HMAC_SHA1);
    ikev1_write_sa(&w, &sa);
    CHECK(slice_equal(writer_written(&w), SLICE_OF(and_or)));
}

TEST(every_truncation_of_proposals_is_refused)
{
    for (size_t length = 0; length < sizeof(and_or); length++) {
        CHECK(!ikev1_read_sa((struct slice){and_or, length}, &sa));
    }
}

TEST(lengths_counts_numbers_and_last_flags_of_proposals_must_agree)
{
    static const struct {
        uint8_t offset;
        uint8_t value;
    } lies[] = {
        {8, 0},  {8, 3},  {11, 7}, {11, 31}, {11, 33}, {14, 5},  {15, 0},  {15, 1}, {15, 3},
        {20, 0}, {20, 2}, {23, 7}, {23, 9},  {28, 3},  {31, 11}, {31, 13}, {68, 2}, {72, 0},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(lies); i++) {
        uint8_t octets[sizeof(and_or)];

        memcpy(octets, and_or, sizeof(and_or));
        octets[lies[i].offset] = lies[i].value;
        CHECK(!ikev1_read_sa(SLICE_OF(octets), &sa));
    }
}

TEST(another_domain_or_situation_has_no_proposals)
{
    uint8_t octets[sizeof(and_or)];

    memcpy(octets, and_or, sizeof(and_or));
    octets[3] = 2;
    CHECK(ikev1_read_sa(SLICE_OF(octets), &sa) && sa.proposal_count == 0 && sa.doi == 2);
    octets[3] = 1;
    octets[7] = IKEV1_SIT_IDENTITY_ONLY | IKEV1_SIT_SECRECY;
    CHECK(ikev1_read_sa(SLICE_OF(octets), &sa) && sa.proposal_count == 0 && sa.situation == 3);
    CHECK(!ikev1_read_sa((struct slice){octets, 7}, &sa));
}

static bool read_phase1(const uint8_t *octets, size_t length, struct ikev1_wire_transform *t)
{
    *t = (struct ikev1_wire_transform){0};
    return ikev1_read_transform_attributes(IKEV1_PROTO_ISAKMP, (struct slice){octets, length}, t);
}

TEST(attributes_of_phase_1_are_those_of_rfc_2409)
{
    static const uint8_t octets[] = {
        0x80, 1,  0, 7, 0x80, 14, 1, 0, 0x80, 2, 0,    4,    0x80, 4,  0, 14, 0x80, 3,  0, 1,
        0x80, 11, 0, 1, 0,    12, 0, 4, 0,    1, 0x51, 0x80, 0x80, 11, 0, 2,  0x80, 12, 4, 0,
    };
    struct ikev1_wire_transform t;

    CHECK(read_phase1(octets, sizeof(octets), &t));
    CHECK(!t.unknown_attribute);
    CHECK(t.encryption == IKEV1_AES_CBC && t.key_bits == 256 && t.hash == IKEV1_HASH_SHA2_256);
    CHECK(t.group == 14 && t.auth_method == IKEV1_AUTH_SHARED_KEY);
    CHECK_EQUAL(t.life_seconds, 86400);
    CHECK_EQUAL(t.life_kilobytes, 1024);
}

TEST(attributes_that_cannot_be_are_recorded)
{
    static const struct {
        uint8_t octets[16];
        uint8_t length;
    } strange[] = {
        {{0x80, 17, 0, 1}, 4}, /* no such number */
        {{0x80, 1, 0, 0}, 4}, /* zero */
        {{0x80, 1, 0, 7, 0x80, 1, 0, 7}, 8}, /* twice */
        {{0, 1, 0, 3, 1, 0, 0}, 7}, /* a cipher beyond 16 bits */
        {{0x80, 12, 0, 9}, 4}, /* a duration of nothing */
        {{0x80, 11, 0, 3, 0x80, 12, 0, 9}, 8}, /* of what nobody counts */
        {{0x80, 11, 0, 1, 0x80, 12, 0, 9, 0x80, 12, 0, 9}, 12},
    };
    struct ikev1_wire_transform t;

    for (size_t i = 0; i < ARRAY_LENGTH(strange); i++) {
        CHECK(read_phase1(strange[i].octets, strange[i].length, &t));
        CHECK(t.unknown_attribute);
    }
    CHECK(!read_phase1(strange[0].octets, 3, &t));
}

TEST(a_lifetime_is_as_long_as_it_says)
{
    static const uint8_t long_life[] = {0x80, 11, 0, 1, 0, 12, 0, 9, 1, 0, 0, 0, 0, 0, 0, 0, 0};
    struct ikev1_wire_transform t;

    CHECK(read_phase1(long_life, sizeof(long_life), &t) && t.life_seconds == UINT64_MAX);
}

TEST(attributes_of_phase_2_are_those_of_the_ipsec_domain)
{
    struct ikev1_wire_transform t = {
        .key_bits = 256,
        .auth_algorithm = IKEV1_HMAC_SHA2_256,
        .encapsulation = IKEV1_UDP_TUNNEL_DRAFT,
        .group = 19,
        .ecn_tunnel = 1,
        .esn = 1,
        .life_seconds = 3600,
        .life_kilobytes = 0x100000000,
    };
    struct ikev1_wire_transform found = {0};
    uint8_t room[128];
    struct writer w = writer_over(room, sizeof(room));

    ikev1_write_transform_attributes(&w, IKEV1_PROTO_ESP, &t);
    CHECK(ikev1_read_transform_attributes(IKEV1_PROTO_ESP, writer_written(&w), &found));
    CHECK(found.attributes.length == w.length && !found.unknown_attribute);
    found.attributes = (struct slice){NULL, 0};
    CHECK_BYTES(&found, &t, sizeof(t));
}

/* A proposal of `count` transforms without attributes. */
static size_t many_transforms(uint8_t *out, unsigned number, unsigned count, bool is_last)
{
    struct writer w = writer_over(out, 4096);

    write_u8(&w, is_last ? 0 : 2);
    write_u8(&w, 0);
    write_u16(&w, (uint16_t)(8 + 8 * count));
    write_u8(&w, (uint8_t)number);
    write_u8(&w, IKEV1_PROTO_ESP);
    write_u8(&w, 0);
    write_u8(&w, (uint8_t)count);
    for (unsigned i = 0; i < count; i++) {
        write_u8(&w, i + 1 == count ? 0 : 3);
        write_u8(&w, 0);
        write_u16(&w, 8);
        write_u32(&w, (i + 1) << 24 | IKEV1_ESP_3DES << 16);
    }
    return w.length;
}

TEST(more_proposals_or_transforms_than_there_is_room_for_are_refused)
{
    static uint8_t room[8192];
    size_t length;

    put_u32(room, IKEV1_DOI_IPSEC);
    put_u32(room + 4, IKEV1_SIT_IDENTITY_ONLY);
    for (unsigned proposals = IKEV1_PROPOSALS_MAX; proposals <= IKEV1_PROPOSALS_MAX + 1;
         proposals++) {
        length = 8;
        for (unsigned i = 0; i < proposals; i++) {
            length += many_transforms(room + length, i + 1, 1, i + 1 == proposals);
        }
        CHECK(ikev1_read_sa((struct slice){room, length}, &sa) ==
              (proposals == IKEV1_PROPOSALS_MAX));
    }
    for (unsigned more = 0; more <= 1; more++) {
        length = 8 + many_transforms(room + 8, 1, 128, false);
        length += many_transforms(room + length, 2, 128 + more, true);
        CHECK(ikev1_read_sa((struct slice){room, length}, &sa) == (more == 0));
    }
}

/* --- ID --- */

static bool selector_text(const uint8_t *octets, size_t length, char text[SELECTOR_TEXT_BYTES])
{
    struct ikev1_id_payload id;
    struct selector selector;

    if (!ikev1_read_id((struct slice){octets, length}, &id) || !ikev1_id_selector(&id, &selector)) {
        return false;
    }
    (void)selector_format(&selector, text);
    return true;
}

TEST(identities_are_traffic)
{
    static const struct {
        uint8_t octets[40];
        uint8_t length;
        const char *text;
    } known[] = {
        {{1, 0, 0, 0, 10, 1, 2, 3}, 8, "10.1.2.3/32"},
        {{1, 17, 6, 165, 10, 1, 2, 3}, 8, "10.1.2.3/32[udp/1701]"},
        {{4, 0, 0, 0, 10, 1, 0, 0, 255, 255, 0, 0}, 12, "10.1.0.0/16"},
        /* An address in the network. */
        {{4, 0, 0, 0, 10, 1, 2, 3, 255, 255, 0, 0}, 12, "10.1.0.0/16"},
        {{4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 12, "0.0.0.0/0"},
        {{7, 6, 0, 0, 10, 1, 0, 1, 10, 1, 0, 9}, 12, "10.1.0.1-10.1.0.9[tcp]"},
        {{5, 0, 0, 0, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1},
         20,
         "2001:db8::1/128"},
        {{6, 0, 0,   0,   0x20, 1,   0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
          0, 0, 255, 255, 255,  255, 0,   0,    0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
         36,
         "2001:db8::/32"},
    };
    char text[SELECTOR_TEXT_BYTES];

    for (size_t i = 0; i < ARRAY_LENGTH(known); i++) {
        CHECK(selector_text(known[i].octets, known[i].length, text));
        CHECK_TEXT(text, known[i].text);
    }
}

TEST(identities_that_are_no_traffic_are_refused)
{
    static const struct {
        uint8_t octets[16];
        uint8_t length;
    } known[] = {
        {{2, 0, 0, 0, 'a'}, 5}, /* a name */
        {{11, 0, 0, 0, 10, 1, 2, 3}, 8}, /* a key ID */
        {{4, 0, 0, 0, 10, 1, 0, 0, 255, 0, 255, 0}, 12}, /* a mask with holes */
        {{7, 0, 0, 0, 10, 1, 0, 9, 10, 1, 0, 1}, 12}, /* from its end to its beginning */
    };
    char text[SELECTOR_TEXT_BYTES];

    for (size_t i = 0; i < ARRAY_LENGTH(known); i++) {
        CHECK(!selector_text(known[i].octets, known[i].length, text));
    }
}

TEST(identities_that_are_addresses_have_their_length)
{
    static const struct {
        uint8_t type;
        uint8_t length;
    } right[] = {{1, 4}, {4, 8}, {5, 16}, {6, 32}, {7, 8}, {8, 32}};
    uint8_t octets[64] = {0};
    struct ikev1_id_payload id;

    for (size_t i = 0; i < ARRAY_LENGTH(right); i++) {
        octets[0] = right[i].type;
        for (size_t length = 0; length < 60; length++) {
            CHECK(ikev1_read_id((struct slice){octets, 4 + length}, &id) ==
                  (length == right[i].length));
        }
    }
    octets[0] = IKEV1_ID_KEY_ID;
    CHECK(ikev1_read_id((struct slice){octets, 4}, &id));
    CHECK(!ikev1_read_id((struct slice){octets, 3}, &id));
}

static bool write_traffic(const char *first, const char *last, uint16_t port_first,
                          uint16_t port_last, struct writer *w)
{
    struct selector s = {.protocol = 6, .port_first = port_first, .port_last = port_last};

    CHECK(address_parse(slice_of_text(first), &s.addresses.first));
    CHECK(address_parse(slice_of_text(last), &s.addresses.last));
    return ikev1_write_selector(w, &s);
}

TEST(traffic_is_written_as_the_shortest_identity)
{
    static const struct {
        const char *first, *last, *text;
        uint8_t type;
    } known[] = {
        {"10.1.2.3", "10.1.2.3", "10.1.2.3/32[tcp]", IKEV1_ID_IPV4_ADDR},
        {"10.1.0.0", "10.1.127.255", "10.1.0.0/17[tcp]", IKEV1_ID_IPV4_ADDR_SUBNET},
        {"10.1.0.0", "10.1.127.254", "10.1.0.0-10.1.127.254[tcp]", IKEV1_ID_IPV4_ADDR_RANGE},
        {"0.0.0.0", "255.255.255.255", "0.0.0.0/0[tcp]", IKEV1_ID_IPV4_ADDR_SUBNET},
        {"2001:db8::1", "2001:db8::1", "2001:db8::1/128[tcp]", IKEV1_ID_IPV6_ADDR},
        {"2001:db8::", "2001:db8::ff", "2001:db8::/120[tcp]", IKEV1_ID_IPV6_ADDR_SUBNET},
        {"2001:db8::", "2001:db8::fe", "2001:db8::-2001:db8::fe[tcp]", IKEV1_ID_IPV6_ADDR_RANGE},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(known); i++) {
        uint8_t room[64];
        char text[SELECTOR_TEXT_BYTES];
        struct writer w = writer_over(room, sizeof(room));

        CHECK(write_traffic(known[i].first, known[i].last, 0, UINT16_MAX, &w) && writer_ok(&w));
        CHECK_EQUAL(room[0], known[i].type);
        CHECK(selector_text(room, w.length, text));
        CHECK_TEXT(text, known[i].text);
    }
    uint8_t room[64];
    struct writer w = writer_over(room, sizeof(room));

    CHECK(!write_traffic("10.1.2.3", "10.1.2.3", 80, 81, &w));
    CHECK(!write_traffic("10.1.2.3", "10.1.2.3", 0, 0, &w));
    CHECK(write_traffic("10.1.2.3", "10.1.2.3", 80, 80, &w) && room[3] == 80);
}

/* --- other payloads --- */

TEST(a_notification_has_the_spi_it_announces)
{
    static const uint8_t octets[] = {0, 0, 0, 1, 3, 4, 0x60, 0x00, 1, 2, 3, 4, 0x80, 1, 0, 1};
    struct ikev1_notify_payload n;
    uint8_t room[32];
    struct writer w = writer_over(room, sizeof(room));

    CHECK(ikev1_read_notify(SLICE_OF(octets), &n));
    CHECK(n.doi == 1 && n.protocol == IKEV1_PROTO_ESP && n.type == IKEV1_RESPONDER_LIFETIME);
    CHECK(n.spi.length == 4 && n.data.length == 4);
    ikev1_write_notify(&w, &n);
    CHECK(slice_equal(writer_written(&w), SLICE_OF(octets)));
    for (size_t length = 0; length < 12; length++) {
        CHECK(!ikev1_read_notify((struct slice){octets, length}, &n));
    }
    CHECK(ikev1_notify_is_error(IKEV1_UNEQUAL_PAYLOAD_LENGTHS));
    CHECK(!ikev1_notify_is_error(IKEV1_CONNECTED));
    CHECK(!ikev1_notify_is_error(IKEV1_R_U_THERE));
}

TEST(a_deletion_has_exactly_the_spis_it_announces)
{
    static const struct {
        uint8_t octets[32];
        uint8_t length;
        bool good;
    } known[] = {
        {{0, 0, 0, 1, 3, 4, 0, 1, 1, 2, 3, 4}, 12, true},
        {{0, 0, 0, 1, 3, 4, 0, 1, 1, 2, 3, 4}, 11, false},
        {{0, 0, 0, 1, 3, 4, 0, 2, 1, 2, 3, 4}, 12, false},
        {{0, 0, 0, 1, 3, 4, 0xff, 0xff, 1, 2, 3, 4}, 12, false},
        {{0, 0, 0, 1, 3, 2, 0, 2, 1, 2, 3, 4}, 12, false},
        {{0, 0, 0, 1, 3, 0, 0, 0}, 8, false},
        {{0, 0, 0, 1, 4, 0, 0, 3}, 8, false},
        {{0, 0, 0, 1, 1, 16, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
         24,
         true},
        {{0, 0, 0, 1, 1, 8, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8}, 16, false},
    };
    struct ikev1_delete_payload d;

    for (size_t i = 0; i < ARRAY_LENGTH(known); i++) {
        uint8_t room[32];
        struct writer w = writer_over(room, sizeof(room));
        struct slice octets = {known[i].octets, known[i].length};

        CHECK(ikev1_read_delete(octets, &d) == known[i].good);
        if (known[i].good) {
            ikev1_write_delete(&w, &d);
            CHECK(slice_equal(writer_written(&w), octets));
        }
    }
}

TEST(an_original_address_has_a_family)
{
    static const uint8_t ipv4[] = {1, 0, 0, 0, 192, 0, 2, 1};
    static const uint8_t name[] = {2, 0, 0, 0, 192, 0, 2, 1};
    struct address a;
    uint8_t room[32];
    struct writer w = writer_over(room, sizeof(room));

    CHECK(ikev1_read_nat_oa(SLICE_OF(ipv4), &a) && a.family == FAMILY_IPV4);
    ikev1_write_nat_oa(&w, &a);
    CHECK(slice_equal(writer_written(&w), SLICE_OF(ipv4)));
    CHECK(!ikev1_read_nat_oa(SLICE_OF(name), &a));
    CHECK(!ikev1_read_nat_oa((struct slice){ipv4, 7}, &a));
    w = writer_over(room, sizeof(room));
    CHECK(address_parse(slice_of_text("2001:db8::1"), &a));
    ikev1_write_nat_oa(&w, &a);
    CHECK(ikev1_read_nat_oa(writer_written(&w), &a) && a.family == FAMILY_IPV6);
    CHECK_EQUAL(w.length, 20);
}

TEST(configuration_attributes_fit_exactly_and_are_bounded)
{
    static uint8_t octets[4 + 4 * (IKEV1_CFG_ATTRIBUTES_MAX + 1)] = {IKEV1_CFG_REPLY, 0, 0x12,
                                                                     0x34};
    uint8_t room[sizeof(octets)];
    struct writer w = writer_over(room, sizeof(room));

    for (size_t i = 0; i <= IKEV1_CFG_ATTRIBUTES_MAX; i++) {
        put_u32(octets + 4 + 4 * i, 0xc08f0001); /* XAUTH-STATUS: OK */
    }
    struct slice most = {octets, sizeof(octets) - 4};

    CHECK(ikev1_read_cfg(most, &cfg) && cfg.count == IKEV1_CFG_ATTRIBUTES_MAX);
    CHECK(cfg.type == IKEV1_CFG_REPLY && cfg.identifier == 0x1234);
    CHECK(cfg.attributes[0].type == IKEV1_XAUTH_STATUS && cfg.attributes[0].number == 1);
    ikev1_write_cfg(&w, &cfg);
    CHECK(slice_equal(writer_written(&w), most));
    CHECK(!ikev1_read_cfg(SLICE_OF(octets), &cfg));
    CHECK(!ikev1_read_cfg((struct slice){octets, 6}, &cfg));
    CHECK(!ikev1_read_cfg((struct slice){octets, 3}, &cfg));
    CHECK(ikev1_read_cfg((struct slice){octets, 4}, &cfg) && cfg.count == 0);
}

static struct ikev1_attribute attribute_of(uint16_t type, struct slice value)
{
    return (struct ikev1_attribute){.type = type, .value = value};
}

TEST(addresses_and_subnets_of_settings_have_exactly_their_length)
{
    static const uint8_t octets[32] = {0x20, 0x01, 0x0d, 0xb8, 0, 1};
    struct ikev1_attribute a;
    struct address address;

    for (size_t length = 0; length <= sizeof(octets); length++) {
        a = attribute_of(IKEV1_INTERNAL_IP4_ADDRESS, (struct slice){octets, length});
        CHECK_EQUAL(ikev1_cfg_address(&a, &address), length == 4 || length == 16 || length == 17);
    }
    a = attribute_of(IKEV1_INTERNAL_IP6_ADDRESS, (struct slice){octets, 17});
    CHECK(ikev1_cfg_address(&a, &address) && address.family == FAMILY_IPV6);
    a = attribute_of(IKEV1_INTERNAL_IP4_ADDRESS, (struct slice){octets, 4});
    CHECK(ikev1_cfg_address(&a, &address) && address.family == FAMILY_IPV4);
    CHECK_EQUAL(address.bytes[3], 0xb8);
    a.is_short = true;
    CHECK(!ikev1_cfg_address(&a, &address));
}

TEST(subnets_of_settings_are_read_and_written_again)
{
    static const uint8_t ipv4[] = {10, 1, 0, 0, 255, 255, 0, 0};
    static const uint8_t ipv6[17] = {0x20, 0x01, 0x0d, 0xb8, [16] = 32};
    static const uint8_t hole[] = {10, 1, 0, 0, 255, 0, 255, 0};
    static const uint8_t too_long[17] = {0x20, 0x01, [16] = 129};
    static const struct slice good[] = {{ipv4, 8}, {ipv6, 17}};
    static const struct slice bad[] = {{hole, 8}, {too_long, 17}, {ipv4, 7}, {ipv6, 16}, {ipv6, 0}};
    struct network network;
    uint8_t room[64];

    for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
        struct writer w = writer_over(room, sizeof(room));
        struct ikev1_attribute a = attribute_of(IKEV1_INTERNAL_IP4_SUBNET, good[i]);

        CHECK(ikev1_cfg_subnet(&a, &network));
        CHECK_EQUAL(network.prefix_bits, i == 0 ? 16 : 32);
        ikev1_write_cfg_subnet(&w, &network);
        CHECK(slice_equal(writer_written(&w), good[i]));
        a.is_short = true;
        CHECK(!ikev1_cfg_subnet(&a, &network));
    }
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        struct ikev1_attribute a = attribute_of(IKEV1_INTERNAL_IP4_SUBNET, bad[i]);

        CHECK(!ikev1_cfg_subnet(&a, &network));
    }
}

TEST(networks_of_a_split_tunnel_have_masks)
{
    static const uint8_t octets[] = {10, 1, 0, 0, 255, 255, 0,   0, 0, 0, 0, 0, 0, 0,
                                     10, 2, 3, 0, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0};
    uint8_t room[64];
    struct writer w = writer_over(room, sizeof(room));
    struct reader r = reader_over(SLICE_OF(octets));
    struct network network;

    for (int i = 0; i < 2; i++) {
        CHECK(ikev1_read_split_network(&r, &network));
        CHECK_EQUAL(network.prefix_bits, i == 0 ? 16 : 24);
        ikev1_write_split_network(&w, &network);
    }
    CHECK(!ikev1_read_split_network(&r, &network) && reader_done(&r));
    CHECK(slice_equal(writer_written(&w), SLICE_OF(octets)));
    r = reader_over((struct slice){octets, 13});
    CHECK(!ikev1_read_split_network(&r, &network) && !reader_ok(&r));
}

TEST(fragments_count_from_one)
{
    static const uint8_t octets[] = {0, 7, 2, 1, 'x'};
    static const uint8_t zero[] = {0, 7, 0, 1, 'x'};
    struct ikev1_fragment_payload f;
    uint8_t room[8];
    struct writer w = writer_over(room, sizeof(room));

    CHECK(ikev1_read_fragment(SLICE_OF(octets), &f));
    CHECK(f.identifier == 7 && f.number == 2 && f.last && f.data.length == 1);
    ikev1_write_fragment(&w, &f);
    CHECK(slice_equal(writer_written(&w), SLICE_OF(octets)));
    CHECK(!ikev1_read_fragment(SLICE_OF(zero), &f));
    for (size_t length = 0; length < sizeof(octets); length++) {
        CHECK(!ikev1_read_fragment((struct slice){octets, length}, &f));
    }
}

TEST(certificates_have_an_encoding)
{
    static const uint8_t octets[] = {IKEV1_CERT_X509_SIGNATURE, 0x30};
    struct ikev1_cert_payload cert;
    uint8_t room[8];
    struct writer w = writer_over(room, sizeof(room));

    CHECK(ikev1_read_cert(SLICE_OF(octets), &cert) && cert.data.length == 1);
    ikev1_write_cert(&w, &cert);
    CHECK(slice_equal(writer_written(&w), SLICE_OF(octets)));
    CHECK(ikev1_read_cert((struct slice){octets, 1}, &cert) && cert.data.length == 0);
    CHECK(!ikev1_read_cert((struct slice){octets, 0}, &cert));
}

TEST(vendor_ids_are_found_again)
{
    uint8_t octets[24] = {0};

    for (int i = IKEV1_VENDOR_NAT_T; i <= IKEV1_VENDOR_WINDOWS; i++) {
        struct slice sent = ikev1_vendor_octets((enum ikev1_vendor)i);

        CHECK(sent.length >= 8 && ikev1_vendor_name((enum ikev1_vendor)i) != NULL);
        CHECK(ikev1_vendor_of(sent) == (enum ikev1_vendor)i);
        CHECK(ikev1_vendor_of((struct slice){sent.data, 7}) == IKEV1_VENDOR_UNKNOWN);
    }
    CHECK(ikev1_vendor_octets(IKEV1_VENDOR_UNKNOWN).length == 0);
    CHECK(ikev1_vendor_name(IKEV1_VENDOR_UNKNOWN) == NULL);
    CHECK(ikev1_vendor_of((struct slice){NULL, 0}) == IKEV1_VENDOR_UNKNOWN);
    /* Versions differ, capabilities may be missing; nothing follows a whole one. */
    memcpy(octets, ikev1_vendor_octets(IKEV1_VENDOR_DPD).data, 16);
    octets[15] = 9;
    CHECK(ikev1_vendor_of((struct slice){octets, 16}) == IKEV1_VENDOR_DPD);
    CHECK(ikev1_vendor_of((struct slice){ikev1_vendor_octets(IKEV1_VENDOR_FRAGMENTATION).data,
                                         16}) == IKEV1_VENDOR_FRAGMENTATION);
    memcpy(octets, ikev1_vendor_octets(IKEV1_VENDOR_NAT_T).data, 16);
    CHECK(ikev1_vendor_of((struct slice){octets, 17}) == IKEV1_VENDOR_UNKNOWN);
}

/* --- names --- */

static void describe(uint8_t type, struct slice body, char *text, size_t capacity)
{
    static uint8_t room[512];
    uint8_t first;
    struct writer w = writer_over(room, sizeof(room));
    struct ikev1_chain chain = ikev1_chain_over(&w, &first);
    struct text out = text_over(text, capacity);

    ikev1_write_payload(&chain, type, body);
    ikev1_describe(&plain, first, writer_written(&w), &out);
}

TEST(what_a_peer_chose_is_escaped)
{
    static const uint8_t name[] = {IKEV1_ID_FQDN, 0, 0, 0, 'a', '\n', 0x1b};
    char text[512];

    describe(IKEV1_ID, SLICE_OF(name), text, sizeof(text));
    CHECK(strstr(text, "ID FQDN a\\x0a\\x1b") != NULL);
}

TEST(and_and_or_are_seen)
{
    char text[1024];

    describe(IKEV1_SA, SLICE_OF(and_or), text, sizeof(text));
    CHECK(strstr(text, "SA 1 AH a1a2a3a4: MD5 | SHA1/HMAC_SHA1; 1 ESP b1b2b3b4: 3DES/HMAC_SHA1, "
                       "tunnel; 2 AH c1c2c3c4: SHA1/HMAC_SHA1") != NULL);
}

TEST(unknown_numbers_stay_numbers)
{
    static const uint8_t notify[] = {0, 0, 0, 0, 9, 0, 0x9c, 0x40};
    char text[512];

    CHECK(ikev1_exchange_name(77) == NULL && ikev1_payload_name(77) == NULL);
    CHECK(ikev1_notify_name(40000) == NULL);
    describe(IKEV1_NOTIFY, SLICE_OF(notify), text, sizeof(text));
    CHECK(strncmp(text, "HDR, N(40000)\n", 14) == 0);
    CHECK(strstr(text, "N 40000 9, DOI 0") != NULL);
    describe(99, SLICE_OF(notify), text, sizeof(text));
    CHECK(strstr(text, "payload 99 8 octets") != NULL);
}

TEST(a_damaged_message_is_described_as_far_as_it_goes)
{
    static const uint8_t octets[] = {IKEV1_NONCE, 0, 0, 5, 1, 0, 0, 0, 99};
    char text[512];
    struct text out = text_over(text, sizeof(text));

    ikev1_describe(&plain, IKEV1_SA, SLICE_OF(octets), &out);
    CHECK(strncmp(text, "HDR, SA, malformed\n", 19) == 0);
    CHECK(strstr(text, "SA malformed, 1 octets") != NULL);
    CHECK(strstr(text, "quick mode, message ID 21222324, cookies 0102030405060708 "
                       "1112131415161718, commit bit") != NULL);
}

TEST(lifetimes_and_questions_show_their_numbers)
{
    static const uint8_t lifetime[] = {0,    0,  0, 1, 1,    0,  0x60, 0,
                                       0x80, 11, 0, 1, 0x80, 12, 0x0e, 0x10};
    static const uint8_t question[] = {0, 0, 0, 1, 1, 0, 0x8d, 0x28, 0, 0, 1, 0};
    char text[512];

    describe(IKEV1_NOTIFY, SLICE_OF(lifetime), text, sizeof(text));
    CHECK(strstr(text, "N RESPONDER-LIFETIME ISAKMP, 3600s") != NULL);
    describe(IKEV1_NOTIFY, SLICE_OF(question), text, sizeof(text));
    CHECK(strstr(text, "N R-U-THERE ISAKMP, 256") != NULL);
}
