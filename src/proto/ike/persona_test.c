/* Which product a first message looks like. */
#include "proto/ike/persona.h"

#include <string.h>

#include "tests/support/persona_offers.h"
#include "tests/support/test.h"
#include "wire/ikev1.h"
#include "wire/ikev2.h"

#define HEADER_BYTES 28

static struct seeded_random seeded;

static struct slice write_offer(const struct persona_offer *offer, uint8_t *bytes, size_t capacity)
{
    seeded_random_init(&seeded, 7);
    struct random_source random = seeded_random_source(&seeded);

    return (struct slice){
        bytes, persona_offer_write(offer, persona_offer_group(offer), 7, &random, bytes, capacity)};
}

static struct slice payloads_of(struct slice message)
{
    return (struct slice){message.data + HEADER_BYTES, message.length - HEADER_BYTES};
}

TEST(every_fixture_is_recognised_for_what_it_is)
{
    uint8_t bytes[8192];

    for (size_t i = 0; persona_offer_at(i) != NULL; i++) {
        const struct persona_offer *offer = persona_offer_at(i);
        struct slice message = write_offer(offer, bytes, sizeof(bytes));
        bool said = !offer->said;
        enum persona got = persona_of(bytes[16], payloads_of(message), true, &said);

        if (got != offer->persona || said != offer->said) {
            fail_msg("%s looks like '%s'", offer->name, persona_name(got));
        }
    }
}

TEST(the_shape_of_an_answer_says_nothing)
{
    uint8_t bytes[8192];

    for (size_t i = 0; persona_offer_at(i) != NULL; i++) {
        const struct persona_offer *offer = persona_offer_at(i);
        struct slice message = write_offer(offer, bytes, sizeof(bytes));
        bool said;

        CHECK_EQUAL(persona_of(bytes[16], payloads_of(message), false, &said),
                    offer->said ? offer->persona : PERSONA_UNKNOWN);
    }
}

TEST(every_truncation_is_survived_and_no_octet_makes_another_product_of_a_vendor_id)
{
    uint8_t bytes[8192];

    for (size_t i = 0; persona_offer_at(i) != NULL; i++) {
        struct slice message = write_offer(persona_offer_at(i), bytes, sizeof(bytes));
        bool said;

        for (size_t length = 0; length + HEADER_BYTES < message.length; length++) {
            enum persona got =
                persona_of(bytes[16], (struct slice){bytes + HEADER_BYTES, length}, true, &said);
            CHECK((unsigned)got < PERSONA_COUNT);
        }
    }
}

/* A first answer of Main Mode as products send it: vendor IDs behind an SA that says nothing. */
static enum persona seen_in_ikev1(const uint8_t *id, size_t length, size_t left_out)
{
    uint8_t bytes[64] = {IKEV1_VENDOR_ID, 0, 0, 8, 0, 0, 0, 1, IKEV1_NO_NEXT_PAYLOAD, 0, 0};

    bytes[11] = (uint8_t)(4 + length);
    memcpy(bytes + 12, id, length);
    return persona_of_ikev1(IKEV1_SA, (struct slice){bytes, 12 + length - left_out});
}

TEST(ikev1_products_are_known_by_their_vendor_ids)
{
    static const struct {
        enum persona persona;
        uint8_t id[20];
        size_t length;
    } cases[] = {
        {PERSONA_FORTIGATE,
         {0x82, 0x99, 0x03, 0x17, 0x57, 0xa3, 0x60, 0x82, 0xc6, 0xa6, 0x21, 0xde, 0, 5, 2, 0x82},
         16},
        {PERSONA_CISCO,
         {0x1f, 0x07, 0xf7, 0x0e, 0xaa, 0x65, 0x14, 0xd3, 0xb0, 0xfa, 0x96, 0x54, 0x2a, 0x50, 5, 0},
         16},
        {PERSONA_WINDOWS,
         {0x1e, 0x2b, 0x51, 0x69, 0x05, 0x99, 0x1c, 0x7d, 0x7c, 0x96,
          0xfc, 0xbf, 0xb5, 0x87, 0xe4, 0x61, 0,    0,    0,    9},
         20},
        {PERSONA_STRONGSWAN,
         {0x88, 0x2f, 0xe5, 0x6d, 0x6f, 0xd2, 0x0d, 0xbc, 0x22, 0x51, 0x61, 0x3b, 0x2e, 0xbe, 0x5b,
          0xeb},
         16},
        {PERSONA_UNKNOWN, {0x09, 0x00, 0x26, 0x89, 0xdf, 0xd6, 0xb7, 0x12}, 8}, /* XAUTH */
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        CHECK_EQUAL(seen_in_ikev1(cases[i].id, cases[i].length, 0), cases[i].persona);
        for (size_t cut = 1; cut < 12 + cases[i].length; cut++) {
            CHECK_EQUAL(seen_in_ikev1(cases[i].id, cases[i].length, cut), PERSONA_UNKNOWN);
        }
    }
}

TEST(every_product_has_a_name_and_windows_its_traits)
{
    CHECK_TEXT(persona_name(PERSONA_UNKNOWN), "");
    for (int p = PERSONA_UNKNOWN + 1; p < PERSONA_COUNT; p++) {
        CHECK(persona_name((enum persona)p)[0] != '\0');
    }
    CHECK((persona_traits(PERSONA_WINDOWS) & PERSONA_NO_CHILD_REKEY) != 0);
    CHECK((persona_traits(PERSONA_WINDOWS) & PERSONA_NO_CHILD_GROUP) != 0);
    CHECK((persona_traits(PERSONA_FORTIGATE) & PERSONA_ONE_PAIR) != 0);
    CHECK_EQUAL(persona_traits(PERSONA_UNKNOWN), 0);
    CHECK_TEXT(persona_preset(PERSONA_FORTIGATE), "fortigate");
    CHECK(persona_preset(PERSONA_UNKNOWN) == NULL);
}
