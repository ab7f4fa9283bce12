/* Which product a first message looks like. */
#include "proto/ike/persona.h"

#include <string.h>

#include "tests/support/persona_offers.h"
#include "tests/support/test.h"
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
