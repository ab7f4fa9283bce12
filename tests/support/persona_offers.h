/*
 * What products send first, written down from what is publicly known of them: vendor IDs and the
 * offer of IKE_SA_INIT. They are fixtures: the products themselves are not here.
 */
#ifndef SEKISHO_TESTS_SUPPORT_PERSONA_OFFERS_H
#define SEKISHO_TESTS_SUPPORT_PERSONA_OFFERS_H

#include "base/random.h"
#include "proto/ike/persona.h"

#define PERSONA_VENDORS_MAX 5

struct persona_offer {
    const char *name;
    enum persona persona; /* what it is recognised as */
    bool said; /* by a vendor ID */
    const char *vendors[PERSONA_VENDORS_MAX]; /* hexadecimal digits, or "=text" */
    /* Proposals with a blank between; algorithms with '-' between, in our words or TYPE:ID. A hash
     * is the PRF as well. */
    const char *offer;
    const char *like; /* the preset of a site for it */
    const char *suite; /* what is agreed with that preset; NULL: it is refused */
    const char *legacy, *legacy_suite; /* and with these weak algorithms allowed; NULL: not tried */
};

/* NULL behind the last. */
const struct persona_offer *persona_offer_at(size_t index);
/* The first group that it offers: it sends a value of it. */
uint16_t persona_offer_group(const struct persona_offer *offer);
/* A whole IKE_SA_INIT request, with a true public value of the group; the length. */
size_t persona_offer_write(const struct persona_offer *offer, uint16_t group, uint64_t spi,
                           struct random_source *random, uint8_t *out, size_t capacity);

#endif
