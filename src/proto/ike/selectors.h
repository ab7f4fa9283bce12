/*
 * Which traffic a child SA carries (RFC 7296 2.9, 3.13): narrowing what the initiator wants to
 * what the responder's policy allows, and verifying that an answer is no more than what was
 * proposed.
 *
 * Lists are sets: what any selector of the list covers. A list is canonical when it is sorted
 * (family, protocol, ports, addresses), no selector lies in another and no two with the same
 * protocol and ports touch or overlap. All lists that leave this file are canonical.
 */
#ifndef SEKISHO_PROTO_IKE_SELECTORS_H
#define SEKISHO_PROTO_IKE_SELECTORS_H

#include "base/address.h"

/* The most that a list handed out here holds; what does not fit is left out, which is
 * narrowing too. */
#define SELECTORS_MAX 64

/* From worse to better, so that the better of two policies is the greater. */
enum selectors_verdict {
    SELECTORS_NONE = 0, /* nothing in common: TS_UNACCEPTABLE */
    SELECTORS_PART, /* something, but not (all of) the initiator's first selector */
    SELECTORS_FIRST, /* not all, but the first selector whole: the packet that asked for the SA */
    SELECTORS_WHOLE, /* all that was offered */
};

/*
 * As responder, for one side (TSi or TSr): the part of `offered` that lies in `policy`. `out` has
 * room for SELECTORS_MAX and may not be one of the inputs. RFC 7296 2.9: when the policy does not
 * allow everything but allows the initiator's first selector, the answer contains it: so of
 * several child policies that are possible, take the one with the greatest (TSi verdict, TSr
 * verdict), compared by their minimum.
 */
MUST_USE enum selectors_verdict selectors_narrow(const struct selector *offered,
                                                 size_t offered_count,
                                                 const struct selector *policy, size_t policy_count,
                                                 struct selector *out, size_t *out_count);

/* As initiator: true when `answer` is not empty and every selector of it lies in what the
 * union of `proposed` covers. (Looks at the canonical union, so a selector that spans two
 * adjacent proposed ones is no mistake.) */
MUST_USE bool selectors_are_within(const struct selector *answer, size_t answer_count,
                                   const struct selector *proposed, size_t proposed_count);
/* The same set, written differently or not. */
MUST_USE bool selectors_equal(const struct selector *a, size_t a_count, const struct selector *b,
                              size_t b_count);

/* Makes the list canonical in place and returns its new length. */
size_t selectors_canonicalise(struct selector *list, size_t count);

/*
 * Peers that allow one pair of selectors per child only (RFC 7296 SINGLE_PAIR_REQUIRED, many
 * appliances): the pairs of one local and one remote selector, numbered from 0 to local_count *
 * remote_count - 1. Families never mix: pairs that do are left out of the numbering. False behind
 * the last.
 */
MUST_USE bool selectors_pair_at(const struct selector *local, size_t local_count,
                                const struct selector *remote, size_t remote_count, size_t index,
                                struct selector *local_out, struct selector *remote_out);

/* What RFC 7296 2.9 wants in front of the list when a packet asks for the SA: the list with
 * `packet` first. `packet` is addresses of one, protocol and ports as the packet has them;
 * nothing is put there when it lies in no selector. Returns the count; `out` has room for
 * count + 1. This list is for sending and not canonical. */
size_t selectors_with_packet(const struct selector *packet, const struct selector *list,
                             size_t count, struct selector *out);

/* 10.1.0.0/16, 10.2.0.0/16[tcp/25], ... and "and 3 more" at the end when there is no room. */
struct text;
void selectors_describe(const struct selector *list, size_t count, struct text *out);

#endif
