/*
 * IKEv2 by hand: lengths that lie, what is unknown and tolerated, what is never accepted, and
 * names.
 */
#include "wire/ikev2.h"

#include "tests/support/test.h"

static struct ikev2_sa_payload sa;
static struct ikev2_ts_payload ts;
static struct ikev2_cp_payload cp;

/* --- messages --- */

static const struct ikev2_header plain = {
    .spi_i = 0x0102030405060708,
    .spi_r = 0x1112131415161718,
    .next_payload = IKEV2_NO_NEXT_PAYLOAD,
    .version = 0x20,
    .exchange = IKEV2_INFORMATIONAL,
    .flags = IKEV2_FLAG_INITIATOR,
    .message_id = 0x21222324,
};

TEST(a_header_is_written_in_the_order_of_the_rfc)
{
    static const uint8_t expected[] = {1,    2,    3,    4,    5,    6,    7, 8,    0x11, 0x12,
                                       0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0, 0x20, 37,   0x08,
                                       0x21, 0x22, 0x23, 0x24, 0,    0,    0, 28};
    uint8_t room[64];
    struct writer w = writer_over(room, sizeof(room));

    ikev2_write_header(&w, &plain);
    ikev2_finish_message(&w);
    CHECK(slice_equal(writer_written(&w), SLICE_OF(expected)));
}

TEST(the_length_field_must_be_exactly_what_is_there)
{
    uint8_t room[64] = {0};
    struct writer w = writer_over(room, sizeof(room));

    ikev2_write_header(&w, &plain);
    write_zeros(&w, 10);
    for (uint32_t length = 0; length < 64; length++) {
        struct reader r = reader_over((struct slice){room, 38});
        struct ikev2_header h;

        put_u32(room + 24, length);
        CHECK(ikev2_read_header(&r, &h) == (length == 38));
    }
    put_u32(room + 24, 0xffffffff);
    struct reader r = reader_over((struct slice){room, 38});
    struct ikev2_header h;

    CHECK(!ikev2_read_header(&r, &h));
}

TEST(a_message_that_is_too_long_is_not_finished)
{
    static uint8_t room[70000];
    struct writer w = writer_over(room, sizeof(room));

    ikev2_write_header(&w, &plain);
    write_zeros(&w, IKEV2_MESSAGE_BYTES_MAX - IKEV2_HEAD_BYTES);
    ikev2_finish_message(&w);
    CHECK(writer_ok(&w));
    write_u8(&w, 0);
    ikev2_finish_message(&w);
    CHECK(!writer_ok(&w));
}

TEST(a_chain_links_its_payloads)
{
    static const uint8_t expected[] = {IKEV2_NOTIFY, 0, 0, 6, 'a', 'b', 200, 0x80, 0, 4, 0, 0, 0, 5,
                                       'c'};
    uint8_t room[64];
    uint8_t first = 99;
    struct writer w = writer_over(room, sizeof(room));
    struct ikev2_chain chain = ikev2_chain_over(&w, &first);

    CHECK(first == IKEV2_NO_NEXT_PAYLOAD);
    ikev2_write_payload(&chain, IKEV2_NONCE, SLICE_TEXT("ab"));
    ikev2_begin_payload(&chain, IKEV2_NOTIFY, true);
    ikev2_end_payload(&chain);
    ikev2_write_payload(&chain, 200, SLICE_TEXT("c"));
    CHECK(first == IKEV2_NONCE);
    CHECK(slice_equal(writer_written(&w), SLICE_OF(expected)));

    struct reader r = reader_over(writer_written(&w));
    struct ikev2_payload p;

    CHECK(ikev2_read_payload(&r, &first, &p) && p.type == IKEV2_NONCE && !p.critical);
    CHECK(slice_equal_text(p.body, "ab"));
    CHECK(ikev2_read_payload(&r, &first, &p) && p.type == IKEV2_NOTIFY && p.critical &&
          p.body.length == 0);
    CHECK(ikev2_read_payload(&r, &first, &p) && p.type == 200 && slice_equal_text(p.body, "c"));
    CHECK(!ikev2_read_payload(&r, &first, &p) && first == IKEV2_NO_NEXT_PAYLOAD && reader_done(&r));
}

TEST(a_chain_without_room_fails_and_stays_in_bounds)
{
    for (size_t capacity = 0; capacity < 12; capacity++) {
        uint8_t room[12];
        uint8_t first;
        struct writer w = writer_over(room, capacity);
        struct ikev2_chain chain = ikev2_chain_over(&w, &first);

        ikev2_write_payload(&chain, IKEV2_NONCE, SLICE_TEXT("ab"));
        ikev2_write_payload(&chain, IKEV2_NONCE, SLICE_TEXT("cd"));
        CHECK(!writer_ok(&w));
    }
    static uint8_t room[70000];
    static const uint8_t zeros[65532];
    uint8_t first;
    struct writer w = writer_over(room, sizeof(room));
    struct ikev2_chain chain = ikev2_chain_over(&w, &first);

    ikev2_write_payload(&chain, IKEV2_NONCE, SLICE_OF(zeros));
    CHECK(!writer_ok(&w));
}

/* True when the chain is read to its end without an error. */
static bool chain_is_good(uint8_t first, struct slice bytes)
{
    struct reader r = reader_over(bytes);
    struct ikev2_payload p;

    while (ikev2_read_payload(&r, &first, &p)) {
    }
    return reader_done(&r) && first == IKEV2_NO_NEXT_PAYLOAD;
}

TEST(a_chain_ends_where_its_bytes_end)
{
    static const uint8_t one[] = {0, 0x7f, 0, 5, 9};
    static const uint8_t trailing[] = {0, 0, 0, 5, 9, 0};
    static const uint8_t too_short[] = {0, 0, 0, 3};
    static const uint8_t too_long[] = {0, 0, 0, 6, 9};
    static const uint8_t missing[] = {41, 0, 0, 5, 9};

    CHECK(chain_is_good(0, (struct slice){NULL, 0}));
    CHECK(chain_is_good(40, SLICE_OF(one))); /* reserved bits are not looked at */
    CHECK(!chain_is_good(0, SLICE_OF(one)));
    CHECK(!chain_is_good(40, (struct slice){NULL, 0}));
    CHECK(!chain_is_good(40, SLICE_OF(trailing)));
    CHECK(!chain_is_good(40, SLICE_OF(too_short)));
    CHECK(!chain_is_good(40, SLICE_OF(too_long)));
    CHECK(!chain_is_good(40, SLICE_OF(missing)));
}

TEST(nothing_stands_behind_an_encrypted_payload)
{
    static const uint8_t good[] = {35, 0, 0, 6, 1, 2};
    static const uint8_t more[] = {35, 0, 0, 6, 1, 2, 0, 0, 0, 4};
    struct reader r = reader_over(SLICE_OF(good));
    struct ikev2_payload p;
    uint8_t next = IKEV2_SK;

    CHECK(ikev2_read_payload(&r, &next, &p) && p.type == IKEV2_SK && next == IKEV2_IDI &&
          reader_done(&r));
    r = reader_over(SLICE_OF(more));
    next = IKEV2_SK;
    CHECK(!ikev2_read_payload(&r, &next, &p) && !reader_ok(&r));
    r = reader_over(SLICE_OF(more));
    next = IKEV2_SKF;
    CHECK(!ikev2_read_payload(&r, &next, &p) && !reader_ok(&r));
}

/* --- proposals --- */

/* Two proposals: ESP with SPI and AES-CBC with 256 bits or an unknown attribute; AH with an
 * unknown transform type. */
static const uint8_t proposals[] = {
    2,  0xff, 0,  40, 1, 3,  4, 3, 0xc0, 0xff, 0xee, 0x01, 3, 0xff, 0,  12, 1, 0xff, 0,
    12, 0x80, 14, 1,  0, 3,  0, 0, 8,    5,    0,    0,    0, 0,    0,  0,  8, 3,    0,
    0,  12,   0,  0,  0, 34, 2, 2, 0,    2,    3,    0,    0, 14,   1,  0,  0, 20,   0x00,
    99, 0,    2,  7,  7, 0,  0, 0, 12,   241,  0,    4,    1, 0x80, 99, 0,  1,
};

TEST(proposals_and_transforms_are_read_in_their_order)
{
    CHECK(ikev2_read_sa(SLICE_OF(proposals), &sa));
    CHECK(sa.proposal_count == 2 && sa.transform_count == 5);
    CHECK(sa.proposals[0].number == 1 && sa.proposals[0].protocol == 3);
    CHECK(sa.proposals[0].spi.length == 4 && get_u32(sa.proposals[0].spi.data) == 0xc0ffee01);
    CHECK(sa.proposals[0].first == 0 && sa.proposals[0].count == 3);
    CHECK(sa.transforms[0].type == 1 && sa.transforms[0].id == 12 &&
          sa.transforms[0].key_bits == 256);
    CHECK(!sa.transforms[0].unknown_attribute);
    CHECK(sa.transforms[1].type == 5 && sa.transforms[1].id == 0 && sa.transforms[1].key_bits == 0);
    CHECK(sa.transforms[2].type == 3 && sa.transforms[2].id == 12);
    CHECK(sa.proposals[1].number == 2 && sa.proposals[1].protocol == 2 &&
          sa.proposals[1].spi.length == 0);
    CHECK(sa.proposals[1].first == 3 && sa.proposals[1].count == 2);
}

TEST(unknown_transforms_and_attributes_are_recorded)
{
    CHECK(ikev2_read_sa(SLICE_OF(proposals), &sa));
    CHECK(sa.transforms[3].unknown_attribute && sa.transforms[3].id == 20 &&
          sa.transforms[3].key_bits == 0);
    CHECK(sa.transforms[4].type == 241 && sa.transforms[4].id == 0x401 &&
          sa.transforms[4].unknown_attribute);
}

TEST(every_truncation_of_proposals_is_refused)
{
    for (size_t length = 0; length < sizeof(proposals); length++) {
        CHECK(!ikev2_read_sa((struct slice){proposals, length}, &sa));
    }
}

/* The proposals with one byte replaced. */
static bool accepted_with(size_t offset, uint8_t value)
{
    uint8_t changed[sizeof(proposals)];

    memcpy(changed, proposals, sizeof(changed));
    changed[offset] = value;
    return ikev2_read_sa(SLICE_OF(changed), &sa);
}

TEST(lengths_counts_and_last_flags_of_proposals_must_agree)
{
    static const struct {
        size_t offset;
        const char *what;
    } exact[] = {
        {0, "more proposals"},    {2, "proposal length high"},
        {3, "proposal length"},   {4, "number"},
        {6, "SPI size"},          {7, "number of transforms"},
        {12, "more transforms"},  {14, "transform length high"},
        {15, "transform length"}, {24, "more transforms"},
        {27, "length"},           {32, "last transform"},
        {40, "last proposal"},    {43, "proposal length"},
        {44, "number"},           {47, "number of transforms"},
        {62, "last transform"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(exact); i++) {
        for (unsigned value = 0; value < 256; value++) {
            CHECK(accepted_with(exact[i].offset, (uint8_t)value) ==
                  (value == proposals[exact[i].offset]));
        }
    }
    /* Protocols, types and numbers are not judged here, reserved octets nowhere. */
    CHECK(accepted_with(5, 77) && accepted_with(16, 99) && accepted_with(19, 200));
    CHECK(accepted_with(1, 1) && accepted_with(13, 1) && accepted_with(17, 1));
}

TEST(a_single_proposal_may_answer_any_number)
{
    uint8_t single[16] = {0, 0, 0, 16, 0, 1, 0, 1, 0, 0, 0, 8, 4, 0, 0, 31};

    for (unsigned number = 0; number < 256; number++) {
        single[4] = (uint8_t)number;
        CHECK(ikev2_read_sa(SLICE_OF(single), &sa) == (number != 0));
    }
    CHECK(!ikev2_read_sa((struct slice){NULL, 0}, &sa));
}

TEST(a_key_length_that_is_zero_twice_or_long_is_not_understood)
{
    static const uint8_t zero[] = {0, 0,  0, 20, 1, 3,  0,    1,  0, 0,
                                   0, 12, 1, 0,  0, 12, 0x80, 14, 0, 0};
    static const uint8_t twice[] = {0, 0, 0, 24, 1,    3,  0, 1,   0,    0,  0, 16,
                                    1, 0, 0, 12, 0x80, 14, 0, 128, 0x80, 14, 0, 128};
    static const uint8_t longer[] = {0,  0, 0, 22, 1,  3, 0,  1, 0, 0, 0,
                                     14, 1, 0, 0,  12, 0, 14, 0, 2, 0, 128};

    CHECK(ikev2_read_sa(SLICE_OF(zero), &sa) && sa.transforms[0].unknown_attribute);
    CHECK(ikev2_read_sa(SLICE_OF(twice), &sa) && sa.transforms[0].unknown_attribute);
    CHECK(ikev2_read_sa(SLICE_OF(longer), &sa) && sa.transforms[0].unknown_attribute);
}

TEST(more_proposals_or_transforms_than_there_is_room_for_are_refused)
{
    static uint8_t room[20000];

    for (unsigned count = IKEV2_PROPOSALS_MAX - 1; count <= IKEV2_PROPOSALS_MAX + 1; count++) {
        struct writer w = writer_over(room, sizeof(room));

        for (unsigned i = 0; i < count; i++) {
            write_u32(&w, (i + 1 < count ? 0x02000000u : 0) | 8);
            write_u8(&w, (uint8_t)(i + 1));
            write_u24(&w, 0x010000);
        }
        CHECK(ikev2_read_sa(writer_written(&w), &sa) == (count <= IKEV2_PROPOSALS_MAX));
    }
    /* Three proposals of 171, 171 and 170 or 171 transforms. */
    for (unsigned last = 170; last <= 171; last++) {
        struct writer w = writer_over(room, sizeof(room));

        for (unsigned i = 0; i < 3; i++) {
            unsigned count = i < 2 ? 171 : last;

            write_u32(&w, (i < 2 ? 0x02000000u : 0) | (8 + 8 * count));
            write_u8(&w, (uint8_t)(i + 1));
            write_u24(&w, 0x010000 | count);
            for (unsigned j = 0; j < count; j++) {
                write_u32(&w, (j + 1 < count ? 0x03000000u : 0) | 8);
                write_u32(&w, 0x04000000 | j);
            }
        }
        CHECK(ikev2_read_sa(writer_written(&w), &sa) == (last == 170));
    }
}

TEST(proposals_are_written_as_they_were_read)
{
    /* The same without reserved octets and unknown attributes. */
    static const uint8_t canonical[] = {
        2,  0,    0,  40, 1, 3,  4, 3, 0xc0, 0xff, 0xee, 0x01, 3, 0, 0, 12, 1, 0,  0,
        12, 0x80, 14, 1,  0, 3,  0, 0, 8,    5,    0,    0,    0, 0, 0, 0,  8, 3,  0,
        0,  12,   0,  0,  0, 16, 2, 2, 0,    1,    0,    0,    0, 8, 1, 0,  0, 20,
    };
    uint8_t room[sizeof(canonical)];
    struct writer w = writer_over(room, sizeof(room));

    CHECK(ikev2_read_sa(SLICE_OF(canonical), &sa));
    ikev2_write_sa(&w, &sa);
    CHECK(slice_equal(writer_written(&w), SLICE_OF(canonical)));
    for (size_t capacity = 0; capacity < sizeof(room); capacity++) {
        w = writer_over(room, capacity);
        ikev2_write_sa(&w, &sa);
        CHECK(!writer_ok(&w));
    }
}

/* --- the other payloads --- */

TEST(a_key_exchange_needs_a_value)
{
    static const uint8_t body[] = {0, 31, 0xff, 0xff, 7, 8};
    struct ikev2_ke_payload ke;

    CHECK(ikev2_read_ke(SLICE_OF(body), &ke) && ke.group == 31 && ke.value.length == 2);
    for (size_t length = 0; length <= 4; length++) {
        CHECK(!ikev2_read_ke((struct slice){body, length}, &ke));
    }
}

TEST(identities_that_are_addresses_have_their_length)
{
    uint8_t body[24] = {0};
    struct ikev2_id_payload id;

    for (size_t length = 4; length <= sizeof(body); length++) {
        body[0] = IKEV2_ID_IPV4_ADDR;
        CHECK(ikev2_read_id((struct slice){body, length}, &id) == (length == 8));
        body[0] = IKEV2_ID_IPV6_ADDR;
        CHECK(ikev2_read_id((struct slice){body, length}, &id) == (length == 20));
        body[0] = IKEV2_ID_FQDN;
        CHECK(ikev2_read_id((struct slice){body, length}, &id));
        CHECK(id.data.length == length - 4 && id.whole.data == body && id.whole.length == length);
    }
    CHECK(!ikev2_read_id((struct slice){body, 3}, &id));
}

TEST(authentication_needs_data)
{
    static const uint8_t body[] = {2, 1, 1, 1, 9};
    struct ikev2_auth_payload auth;

    CHECK(ikev2_read_auth(SLICE_OF(body), &auth) && auth.method == 2 && auth.data.length == 1);
    for (size_t length = 0; length < sizeof(body); length++) {
        CHECK(!ikev2_read_auth((struct slice){body, length}, &auth));
    }
}

TEST(a_notification_has_the_spi_it_announces)
{
    static const uint8_t body[] = {3, 4, 0x40, 0x09, 1, 2, 3, 4, 'x', 'y'};
    struct ikev2_notify_payload n;
    uint8_t room[16];
    struct writer w = writer_over(room, sizeof(room));

    CHECK(ikev2_read_notify(SLICE_OF(body), &n));
    CHECK(n.protocol == 3 && n.type == IKEV2_REKEY_SA && n.spi.length == 4 &&
          slice_equal_text(n.data, "xy"));
    ikev2_write_notify(&w, &n);
    CHECK(slice_equal(writer_written(&w), SLICE_OF(body)));
    for (size_t length = 0; length < 8; length++) {
        CHECK(!ikev2_read_notify((struct slice){body, length}, &n));
    }
    CHECK(ikev2_notify_is_error(44) && ikev2_notify_is_error(16383) &&
          !ikev2_notify_is_error(16384));
}

TEST(a_compression_has_a_cpi_and_a_transform_and_perhaps_attributes)
{
    static const uint8_t data[] = {0x12, 0x34, 2, 9, 8};
    struct ikev2_ipcomp ipcomp;
    uint8_t room[8];

    for (size_t length = 0; length <= sizeof(data); length++) {
        struct writer w = writer_over(room, sizeof(room));
        bool read = ikev2_read_ipcomp((struct slice){data, length}, &ipcomp);

        CHECK_EQUAL(read, length >= 3);
        if (read) {
            CHECK(ipcomp.cpi == 0x1234 && ipcomp.transform == IKEV2_IPCOMP_DEFLATE);
            CHECK_EQUAL(ipcomp.attributes.length, length - 3);
            ikev2_write_ipcomp(&w, &ipcomp);
            CHECK(slice_equal(writer_written(&w), (struct slice){data, length}));
        }
    }
}

TEST(a_deletion_has_exactly_the_spis_it_announces)
{
    static const struct {
        uint8_t protocol, spi_bytes, count;
        size_t octets;
        bool good;
    } cases[] = {
        {1, 0, 0, 0, true},  {1, 8, 1, 8, false}, {1, 0, 1, 0, false}, {1, 4, 1, 4, false},
        {3, 4, 1, 4, true},  {2, 4, 2, 8, true},  {3, 4, 0, 0, true},  {3, 4, 2, 4, false},
        {3, 4, 1, 8, false}, {3, 4, 1, 3, false}, {3, 8, 1, 8, false}, {3, 0, 0, 0, false},
        {9, 2, 2, 4, true},  {9, 0, 1, 0, false},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        uint8_t body[32] = {cases[i].protocol, cases[i].spi_bytes, 0, cases[i].count};
        struct ikev2_delete_payload d;

        CHECK(ikev2_read_delete((struct slice){body, 4 + cases[i].octets}, &d) == cases[i].good);
    }
}

static const uint8_t selectors[] = {
    3,    9,    9,    9,    7,    6,    0,    16,   0,    25,   0,    25,  10,   1,
    0,    0,    10,   1,    255,  255,  10,   0,    0,    7,    'l',  'a', 'b',  8,
    0,    0,    40,   0,    0,    0xff, 0xff, 0x20, 1,    0xd,  0xb8, 0,   0,    0,
    0,    0,    0,    0,    0,    0,    0,    0,    0,    0x20, 1,    0xd, 0xb8, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
};

TEST(selectors_of_unknown_types_are_skipped_and_counted)
{
    char text[SELECTOR_TEXT_BYTES];

    CHECK(ikev2_read_ts(SLICE_OF(selectors), &ts));
    CHECK(ts.count == 2 && ts.skipped == 1);
    CHECK_TEXT(selector_format(&ts.selectors[0], text), "10.1.0.0/16[tcp/25]");
    CHECK_TEXT(selector_format(&ts.selectors[1], text), "2001:db8::/32");
    for (size_t length = 0; length < sizeof(selectors); length++) {
        CHECK(!ikev2_read_ts((struct slice){selectors, length}, &ts));
    }
}

static bool selectors_accepted_with(size_t offset, uint8_t value)
{
    uint8_t changed[sizeof(selectors)];

    memcpy(changed, selectors, sizeof(changed));
    changed[offset] = value;
    return ikev2_read_ts(SLICE_OF(changed), &ts);
}

TEST(selectors_that_contradict_themselves_are_refused)
{
    CHECK(!selectors_accepted_with(0, 0) && !selectors_accepted_with(0, 2) &&
          !selectors_accepted_with(0, 4));
    CHECK(!selectors_accepted_with(7, 15) && !selectors_accepted_with(7, 17) &&
          !selectors_accepted_with(7, 0));
    CHECK(!selectors_accepted_with(9, 26)); /* first port behind the last */
    CHECK(!selectors_accepted_with(13, 2)); /* first address behind the last */
    CHECK(!selectors_accepted_with(4, 8)); /* an IPv6 range of 16 octets */
    CHECK(!selectors_accepted_with(23, 3)); /* shorter than its own head */
    CHECK(selectors_accepted_with(1, 0)); /* reserved */
    CHECK(selectors_accepted_with(20, 99) && ts.skipped == 1);
}

TEST(opaque_ports_are_no_contradiction)
{
    static const uint8_t body[] = {1, 0, 0,  0, 7, 132, 0,  16, 0xff, 0xff,
                                   0, 0, 10, 0, 0, 1,   10, 0,  0,    1};
    uint8_t room[sizeof(body)];
    struct writer w = writer_over(room, sizeof(room));

    CHECK(ikev2_read_ts(SLICE_OF(body), &ts) && selector_is_opaque(&ts.selectors[0]));
    ikev2_write_ts(&w, ts.selectors, ts.count);
    CHECK(slice_equal(writer_written(&w), SLICE_OF(body)));
}

TEST(at_most_255_selectors_stand_in_a_payload)
{
    static uint8_t room[255 * 16 + 4];
    struct writer w = writer_over(room, sizeof(room));

    write_u32(&w, 0xff000000);
    for (unsigned i = 0; i < 255; i++) {
        write_u32(&w, 0x07000010);
        write_u32(&w, 0x0000ffff);
        write_u32(&w, i);
        write_u32(&w, i);
    }
    CHECK(ikev2_read_ts(writer_written(&w), &ts) && ts.count == 255);
}

TEST(configuration_attributes_fit_exactly_and_are_bounded)
{
    static const uint8_t body[] = {1, 0, 0, 0, 0x80, 1, 0, 0, 0x70, 0x08, 0, 2, 5, 6};
    static uint8_t many[4 + 65 * 4];

    CHECK(ikev2_read_cp(SLICE_OF(body), &cp));
    CHECK(cp.type == IKEV2_CFG_REQUEST && cp.count == 2);
    CHECK(cp.attributes[0].type == 1 &&
          cp.attributes[0].value.length == 0); /* the reserved bit is not looked at */
    CHECK(cp.attributes[1].type == 0x7008 && cp.attributes[1].value.length == 2);
    for (size_t length = 0; length < sizeof(body); length++) {
        CHECK(ikev2_read_cp((struct slice){body, length}, &cp) == (length == 4 || length == 8));
    }
    CHECK(ikev2_read_cp((struct slice){many, 4 + 64 * 4}, &cp) && cp.count == 64);
    CHECK(!ikev2_read_cp((struct slice){many, 4 + 65 * 4}, &cp));
}

TEST(an_eap_packet_fills_its_payload)
{
    uint8_t body[] = {1, 7, 0, 5, 1};
    struct slice packet;

    for (unsigned length = 0; length < 16; length++) {
        body[3] = (uint8_t)length;
        CHECK(ikev2_read_eap(SLICE_OF(body), &packet) == (length == 5));
    }
    body[3] = 3;
    CHECK(!ikev2_read_eap((struct slice){body, 3}, &packet));
    body[3] = 4;
    CHECK(ikev2_read_eap((struct slice){body, 4}, &packet) && packet.length == 4);
}

TEST(fragments_count_from_one_to_their_total)
{
    static const struct {
        uint16_t number, total;
        bool good;
    } cases[] = {{0, 0, false}, {0, 1, false}, {1, 1, true},
                 {2, 1, false}, {1, 0, false}, {65535, 65535, true}};

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        uint8_t body[4];
        struct ikev2_skf_head head;

        put_u16(body, cases[i].number);
        put_u16(body + 2, cases[i].total);
        struct reader r = reader_over(SLICE_OF(body));

        CHECK(ikev2_read_skf_head(&r, &head) == cases[i].good);
        CHECK(reader_ok(&r) == cases[i].good);
        r = reader_over((struct slice){body, 3});
        CHECK(!ikev2_read_skf_head(&r, &head));
    }
}

/* --- descriptions --- */

static const char *described(uint8_t exchange, uint8_t first, struct slice chain)
{
    static char room[2048];
    struct text t = text_over(room, sizeof(room));
    struct ikev2_header h = plain;

    h.exchange = exchange;
    h.next_payload = first;
    ikev2_describe(&h, first, chain, &t);
    return room;
}

#define HDR_LINE                                                                                   \
    "\n  HDR INFORMATIONAL request 555885348 from the initiator, SPIs 0102030405060708 "           \
    "1112131415161718"

TEST(what_a_peer_chose_is_escaped)
{
    static const uint8_t chain[] = {0, 0, 0, 15, 2, 0, 0, 0, 'a', '\n', 0x1b, '[', '\\', 0xff, '"'};

    CHECK_TEXT(described(IKEV2_INFORMATIONAL, IKEV2_IDI, SLICE_OF(chain)),
               "HDR, IDi" HDR_LINE "\n  IDi FQDN a\\x0a\\x1b[\\x5c\\xff\"");
}

TEST(unknown_numbers_stay_numbers)
{
    static const uint8_t chain[] = {IKEV2_NOTIFY, 0x80, 0, 6, 1, 2, 0, 0, 0, 9, 9, 0,
                                    0xa0,         0x28, 7};

    CHECK_TEXT(described(IKEV2_INFORMATIONAL, 201, SLICE_OF(chain)),
               "HDR, payload 201, N(41000)" HDR_LINE
               "\n  payload 201 critical 2 octets\n  N 41000, 1 octet");
    CHECK(ikev2_notify_name(41000) == NULL && ikev2_exchange_name(99) == NULL &&
          ikev2_payload_name(201) == NULL);
}

TEST(a_damaged_message_is_described_as_far_as_it_goes)
{
    static const uint8_t bad_body[] = {0, 0, 0, 6, 9, 9};
    static const uint8_t bad_chain[] = {41, 0, 0, 5, 9, 1};
    static const uint8_t encrypted[] = {35, 0, 0, 7, 1, 2, 3};

    CHECK_TEXT(described(IKEV2_INFORMATIONAL, IKEV2_SA, SLICE_OF(bad_body)),
               "HDR, SA" HDR_LINE "\n  SA malformed, 2 octets");
    CHECK_TEXT(described(IKEV2_INFORMATIONAL, IKEV2_NONCE, SLICE_OF(bad_chain)),
               "HDR, Ni, malformed" HDR_LINE "\n  Ni 1 octet");
    CHECK_TEXT(described(IKEV2_INFORMATIONAL, IKEV2_SK, SLICE_OF(encrypted)),
               "HDR, SK {...}" HDR_LINE "\n  SK 3 octets");
}

TEST(notifications_with_a_number_show_it)
{
    static const uint8_t chain[] = {41, 0, 0, 10, 0, 0, 0, 17, 0, 19, 0, 0, 0, 9, 0, 0, 0, 1, 99};

    CHECK_TEXT(
        described(IKEV2_INFORMATIONAL, IKEV2_NOTIFY, SLICE_OF(chain)),
        "HDR, N(INVALID_KE_PAYLOAD), N(UNSUPPORTED_CRITICAL_PAYLOAD)" HDR_LINE
        "\n  N INVALID_KE_PAYLOAD, group 19 ECP_256\n  N UNSUPPORTED_CRITICAL_PAYLOAD, payload 99");
}

TEST(notifies_about_children_are_described)
{
    static const uint8_t chain[] = {
        41, 0, 0, 11, 0, 0, 0x40, 0x03, 0x12, 0x34, 2, /* IPCOMP_SUPPORTED */
        41, 0, 0, 9,  0, 0, 0x40, 0x3a, 3, /* USE_AGGFRAG */
        41, 0, 0, 9,  0, 0, 0x40, 0x3a, 0x84, /* with what nobody knows */
        41, 0, 0, 10, 0, 0, 0x40, 0x03, 1,    2, /* too short */
        41, 0, 0, 8,  0, 0, 0x40, 0x0b, /* NON_FIRST_FRAGMENTS_ALSO */
        42, 0, 0, 12, 2, 4, 0x40, 0x09, 0xc0, 0xff, 0xee, 0x01, /* REKEY_SA of AH */
        0,  0, 0, 12, 2, 4, 0,    1,    0xc0, 0xff, 0xee, 0x02, /* Delete of AH */
    };

    CHECK_TEXT(described(IKEV2_INFORMATIONAL, IKEV2_NOTIFY, SLICE_OF(chain)),
               "HDR, N(IPCOMP_SUPPORTED), N(USE_AGGFRAG), N(USE_AGGFRAG), N(IPCOMP_SUPPORTED), "
               "N(NON_FIRST_FRAGMENTS_ALSO), N(REKEY_SA), D" HDR_LINE
               "\n  N IPCOMP_SUPPORTED, CPI 4660 DEFLATE"
               "\n  N USE_AGGFRAG, congestion control, don't fragment"
               "\n  N USE_AGGFRAG, unknown flags 84"
               "\n  N IPCOMP_SUPPORTED, 2 octets"
               "\n  N NON_FIRST_FRAGMENTS_ALSO"
               "\n  N REKEY_SA AH c0ffee01"
               "\n  D AH c0ffee02");
    CHECK_TEXT(ikev2_notify_name(IKEV2_PATH_PROBE), "PATH_PROBE");
}
