/*
 * Which algorithms both sides use (RFC 7296 2.7, 3.3): building an SA payload from a policy,
 * choosing from one that was offered, and verifying what the other side chose.
 *
 * The choice is the strongest suite that both sides allow, by strength and rank of
 * crypto/catalog.h: neither the order in which the peer lists his proposals nor the order of the
 * policy can make it weaker. A suite is as weak as its weakest part, so the class of that (enum
 * algorithm_strength) counts first; then whether a key exchange is post-quantum, how many
 * additional ones there are, encryption (rank, key size), integrity, PRF, key exchange and ESN
 * (with it before without). Only between equals the offer's order decides, then the policy's.
 *
 * The key exchange stands so late, and the group of the KE payload is taken when its strength
 * class (enum algorithm_strength) is that of the strongest common group: a round trip for a
 * slightly larger curve is not worth it. A group of a weaker class is answered by
 * INVALID_KE_PAYLOAD with the strongest common one (RFC 7296 1.2, 2.7). All of this is covered by
 * AUTH, so nobody on the path can push the choice down.
 *
 * A proposal of AH has integrity and ESN, and no encryption (RFC 7296 3.3.3).
 */
#ifndef SEKISHO_PROTO_IKE_PROPOSAL_H
#define SEKISHO_PROTO_IKE_PROPOSAL_H

#include "base/text.h"
#include "crypto/catalog.h"
#include "wire/ikev2.h"

/* Whether the exchange carries KE payloads. In IKE_AUTH it does not, and key exchange
 * transforms have no place in the child's proposal (RFC 7296 1.2): they are left out of what
 * we build, and ignored in what is offered. */
enum proposal_use {
    PROPOSAL_WITH_KE, /* IKE SAs, and children in CREATE_CHILD_SA, without RFC 9370 */
    PROPOSAL_WITHOUT_KE, /* the child in IKE_AUTH */
    PROPOSAL_WITH_ADDITIONAL, /* IKE_SA_INIT where both sides know IKE_INTERMEDIATE, and
                                 CREATE_CHILD_SA (RFC 9370) */
};

enum proposal_verdict {
    PROPOSAL_CHOSEN = 0,
    PROPOSAL_NONE, /* NO_PROPOSAL_CHOSEN */
    PROPOSAL_WRONG_GROUP, /* INVALID_KE_PAYLOAD: wants choice.suite.key_exchange */
};

#define PROPOSAL_CHOICE_TRANSFORMS_MAX (5 + ADDITIONAL_KEY_EXCHANGES_MAX)

struct proposal_choice {
    struct suite suite;
    uint8_t number; /* of the proposal that was chosen */
    uint8_t protocol; /* enum proposal_protocol */
    /* Groups of the additional key exchanges, in their order; none stands there twice. */
    uint8_t additional_count;
    uint16_t additional[ADDITIONAL_KEY_EXCHANGES_MAX];
    uint64_t spi; /* of whoever wrote the payload: 0 (IKE_SA_INIT), IKE SPI, or ESP SPI */
    /* What proposal_answer() writes: one of each type that the offered proposal has. */
    uint8_t count;
    struct transform transforms[PROPOSAL_CHOICE_TRANSFORMS_MAX];
};

/*
 * As responder. `policies` are alternatives, any proposal of any of them will do. `spi_bytes`: 0
 * in IKE_SA_INIT, 8 for the rekeying of an IKE SA, 4 for ESP and AH; proposals of another protocol,
 * with an SPI of another size or with SPI 0 are passed over. `ke_group`: of the KE payload, 0 when
 * there was none.
 *
 * Additional key exchanges: one of each type that either side names and does not make optional, and
 * the more of them the better; of each type the first that is offered among the strongest.
 *
 * A proposal is passed over as well when it has a transform type that we do not know or lacks one
 * that must be there; a transform when its ID, its key size or an attribute of it is unknown (RFC
 * 7296 3.3.6). AEAD goes with no INTEG transform or with INTEG NONE, all else with an INTEG other
 * than NONE (RFC 5282 8). ESN left out means without. Key exchange left out or NONE means none,
 * and is only chosen where a policy's proposal has no key exchange; a proposal that offers groups
 * without NONE is only chosen where the policy has one of them.
 */
MUST_USE enum proposal_verdict proposal_choose(const struct ikev2_sa_payload *offer,
                                               const struct proposals *const *policies,
                                               size_t policy_count, uint8_t protocol,
                                               size_t spi_bytes, enum proposal_use use,
                                               uint16_t ke_group, struct proposal_choice *out);

/* The SA payload of a responder: the proposal chosen, with our SPI in it (`spi` empty in
 * IKE_SA_INIT). What `out` holds borrows `spi`. */
void proposal_answer(const struct proposal_choice *choice, struct slice spi,
                     struct ikev2_sa_payload *out);

/* As initiator: the SA payload for a policy, proposals numbered from 1 in the policy's order,
 * transforms in the policy's order within their types. A proposal that has AEAD and other
 * ciphers becomes two, as RFC 7296 3.3 wants. What `out` holds borrows `spi`. False when
 * nothing is left to offer or it does not fit. */
MUST_USE bool proposal_offer(const struct proposals *policy, uint8_t protocol, struct slice spi,
                             enum proposal_use use, struct ikev2_sa_payload *out);

/* As initiator: true when the answer is exactly one suite out of what proposal_offer() makes
 * of the same arguments: one proposal with one of our numbers, at most one transform of each
 * type, every one of them offered in that very proposal, all that are needed there (RFC 7296
 * 2.7, 3.3.6). `choice->spi` is the responder's. `spi_bytes` as above. The caller compares
 * choice->suite.key_exchange with the group of the KE payload that it sent. */
MUST_USE bool proposal_verify(const struct ikev2_sa_payload *answer, const struct proposals *policy,
                              uint8_t protocol, size_t spi_bytes, enum proposal_use use,
                              struct proposal_choice *choice);

/* True when a proposal of the policy allows this very suite. With PROPOSAL_WITHOUT_KE the key
 * exchange is not looked at. */
MUST_USE bool proposal_allows_suite(const struct proposals *policy, uint8_t protocol,
                                    const struct suite *suite, enum proposal_use use);
/* The same with the additional key exchanges: for a responder that learns only in IKE_AUTH who the
 * peer is. */
MUST_USE bool proposal_allows_choice(const struct proposals *policy, uint8_t protocol,
                                     const struct proposal_choice *choice);

/* A key exchange of that kind was agreed, the first or an additional one. */
MUST_USE bool proposal_choice_is_post_quantum(const struct proposal_choice *choice);

/* The group an initiator sends first: the first key exchange of the first proposal that has
 * one; KEY_EXCHANGE_NONE. */
uint16_t proposal_first_group(const struct proposals *policy);
/* True when any proposal has the group: what INVALID_KE_PAYLOAD may ask for. */
MUST_USE bool proposal_has_group(const struct proposals *policy, uint16_t group);

/*
 * For reports of a mismatch, in words of the configuration: aes256gcm16-sha384-x25519,
 * aes128-sha256-modp2048. Numbers that the catalog does not know become words like encryption-99;
 * text comes to an end when `out` is full.
 */
void proposal_describe_offer(const struct ikev2_sa_payload *offer, uint8_t protocol,
                             struct text *out);
void proposal_describe_policy(const struct proposals *policy, uint8_t protocol, struct text *out);

#endif
