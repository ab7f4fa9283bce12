/*
 * Which of any proposals is chosen by the default policies: only a suite that the policy allows,
 * made of transforms that stood in one proposal of the offer; the answer to it reads as exactly
 * that suite. First byte: for IKE or ESP.
 */
#include <string.h>

#include "fuzz.h"
#include "proto/ike/proposal.h"

static struct ikev2_sa_payload offer;
static struct ikev2_sa_payload answer;

static bool offered(const struct ikev2_wire_proposal *p, const struct ikev2_wire_transform *wanted)
{
    for (unsigned i = 0; i < p->count; i++) {
        const struct ikev2_wire_transform *t = &offer.transforms[p->first + i];

        if (t->type == wanted->type && t->id == wanted->id && t->key_bits == wanted->key_bits &&
            !t->unknown_attribute) {
            return true;
        }
    }
    return false;
}

static void check_choice(const struct proposals *policy, uint8_t protocol, size_t spi_bytes,
                         enum proposal_use use, const struct proposal_choice *choice)
{
    uint8_t spi[8] = {1, 2, 3, 4, 5, 6, 7, 8};

    MUST(proposal_allows_suite(policy, protocol, &choice->suite, use));
    MUST(use != PROPOSAL_WITH_ADDITIONAL || proposal_allows_choice(policy, protocol, choice));
    MUST(choice->number >= 1);
    proposal_answer(choice, (struct slice){spi, spi_bytes}, &answer);
    MUST(answer.proposal_count == 1 && answer.proposals[0].number == choice->number);
    for (unsigned i = 0; i < offer.proposal_count; i++) {
        if (offer.proposals[i].number != choice->number) {
            continue;
        }
        for (unsigned j = 0; j < answer.transform_count; j++) {
            MUST(offered(&offer.proposals[i], &answer.transforms[j]));
        }
    }
}

FUZZ(proposal_choice, 20000)
{
    static char room[8192];
    struct text words = text_over(room, sizeof(room));
    struct proposals policy;
    const struct proposals *policies[1] = {&policy};
    struct proposal_choice choice;

    if (size < 2 || !ikev2_read_sa((struct slice){data + 1, size - 1}, &offer)) {
        return 0;
    }
    uint8_t protocol = (data[0] & 1) != 0 ? PROTOCOL_ESP : PROTOCOL_IKE;
    enum proposal_use use = (data[0] & 2) == 0         ? PROPOSAL_WITH_KE
                            : protocol == PROTOCOL_ESP ? PROPOSAL_WITHOUT_KE
                                                       : PROPOSAL_WITH_ADDITIONAL;
    size_t spi_bytes = protocol == PROTOCOL_ESP ? 4 : (data[0] & 4) != 0 ? 8 : 0;
    uint16_t group = (data[0] & 8) != 0 ? KEY_EXCHANGE_X25519 : KEY_EXCHANGE_MODP_2048;

    proposals_default(protocol, &policy);
    if (use == PROPOSAL_WITH_ADDITIONAL) {
        char why[160];

        MUST(proposal_parse(protocol,
                            SLICE_TEXT("aes256gcm16-x25519-modp2048-ke1_mlkem768-ke1_none-"
                                       "ke2_mlkem1024-ke2_mlkem768-ke3_none"),
                            &policy.list[policy.count++], why, sizeof(why)));
    }
    if (proposal_choose(&offer, policies, 1, protocol, spi_bytes, use, group, &choice) ==
        PROPOSAL_CHOSEN) {
        check_choice(&policy, protocol, spi_bytes, use, &choice);
    }
    if (proposal_verify(&offer, &policy, protocol, spi_bytes, use, &choice)) {
        MUST(offer.proposal_count == 1 &&
             proposal_allows_suite(&policy, protocol, &choice.suite, use));
    }
    proposal_describe_offer(&offer, protocol, &words);
    MUST(strlen(room) == words.length);
    return 0;
}
