/*
 * What suites.c (phase 1) and phase2.c share: numbers of IKEv1 for what the catalog has, and what a
 * policy's proposal holds.
 */
#ifndef SEKISHO_PROTO_IKEV1_SUITES_H
#define SEKISHO_PROTO_IKEV1_SUITES_H

#include "proto/ikev1/machine.h"

struct ikev1_number {
    uint16_t catalog;
    uint16_t wire;
};

/* 0: IKEv1 has no number for it. */
uint16_t ikev1_to_wire(const struct ikev1_number *table, size_t count, uint16_t catalog);
MUST_USE bool ikev1_from_wire(const struct ikev1_number *table, size_t count, uint16_t wire,
                              uint16_t *catalog);
#define TO_WIRE(table, number) ikev1_to_wire(table, ARRAY_LENGTH(table), number)
#define FROM_WIRE(table, number, out) ikev1_from_wire(table, ARRAY_LENGTH(table), number, out)

MUST_USE bool ikev1_group_is_sayable(uint16_t group);
MUST_USE bool ikev1_proposal_has(const struct proposal *p, uint8_t type, uint16_t id,
                                 uint16_t key_bits);
/* One other than NONE. */
MUST_USE bool ikev1_proposal_has_type(const struct proposal *p, uint8_t type);
/* The one with this index among those of the type; NULL behind the last. */
const struct transform *ikev1_transform_at(const struct proposal *p, uint8_t type, size_t index);
/* enum algorithm_strength */
uint32_t ikev1_strength_of(uint8_t type, uint16_t id);
MUST_USE bool ikev1_suite_is_better(const struct suite *a, const struct suite *b);
/* What a transform says about the length of the key; false: the cipher has none like that. */
MUST_USE bool ikev1_read_key_bits(uint16_t encryption, uint16_t said, uint16_t *out);
uint64_t ikev1_said_seconds(uint64_t lifetime_ms, uint64_t without);
/* A word of the configuration. */
void ikev1_add_word(struct text *out, uint8_t type, uint16_t id, uint16_t key_bits, bool dash);

#endif
