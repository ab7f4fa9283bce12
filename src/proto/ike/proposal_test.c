/* RFC 7296 2.7, 3.3: choosing, building, verifying; the strongest wins whatever the order. */
#include "proto/ike/proposal.h"

#include "base/random.h"
#include "tests/support/test.h"

#define SPI SLICE_TEXT("\x11\x22\x33\x44")
#define IKE_SPI SLICE_TEXT("\x11\x22\x33\x44\x55\x66\x77\x88")

/* "aes256gcm16-x25519, aes128-sha256-modp2048" */
static struct proposals policy_of(uint8_t protocol, const char *words)
{
    struct proposals all = {0};

    while (*words != '\0') {
        size_t length = strcspn(words, ",");
        char why[200] = "";

        if (!proposal_parse(protocol, (struct slice){(const uint8_t *)words, length},
                            &all.list[all.count++], why, sizeof(why))) {
            fail_msg("%s: %s", words, why);
        }
        words += length;
        words += strspn(words, ", ");
    }
    return all;
}

static struct ikev2_sa_payload offer_of(uint8_t protocol, const char *words, struct slice spi)
{
    struct proposals policy = policy_of(protocol, words);
    struct ikev2_sa_payload offer;

    CHECK(proposal_offer(&policy, protocol, spi, PROPOSAL_WITH_KE, &offer));
    return offer;
}

static enum proposal_verdict choose_ike(const char *offered, const char *allowed, uint16_t group,
                                        struct proposal_choice *choice)
{
    struct ikev2_sa_payload offer = offer_of(PROTOCOL_IKE, offered, (struct slice){0});
    struct proposals policy = policy_of(PROTOCOL_IKE, allowed);
    const struct proposals *list[] = {&policy};

    return proposal_choose(&offer, list, 1, PROTOCOL_IKE, 0, PROPOSAL_WITH_KE, group, choice);
}

static enum proposal_verdict choose_esp(const struct ikev2_sa_payload *offer, const char *allowed,
                                        enum proposal_use use, uint16_t group,
                                        struct proposal_choice *choice)
{
    struct proposals policy = policy_of(PROTOCOL_ESP, allowed);
    const struct proposals *list[] = {&policy};

    return proposal_choose(offer, list, 1, PROTOCOL_ESP, 4, use, group, choice);
}

TEST(the_strongest_common_suite_is_chosen_not_the_first)
{
    struct proposal_choice choice;

    CHECK_EQUAL(choose_ike("aes128-sha1-modp2048, aes256gcm16-prfsha384-x25519",
                           "aes128-sha1-modp2048, aes256gcm16-prfsha384-x25519",
                           KEY_EXCHANGE_X25519, &choice),
                PROPOSAL_CHOSEN);
    CHECK_EQUAL(choice.number, 2);
    CHECK_EQUAL(choice.suite.encryption, ENCRYPTION_AES_GCM_16);
    CHECK_EQUAL(choice.suite.key_bits, 256);
    CHECK_EQUAL(choice.suite.integrity, INTEGRITY_NONE);
    CHECK_EQUAL(choice.suite.prf, PRF_HMAC_SHA2_384);
    CHECK_EQUAL(choice.suite.key_exchange, KEY_EXCHANGE_X25519);

    /* Within a proposal, too. */
    CHECK_EQUAL(choose_ike("aes128-aes256-sha1-sha256-modp2048",
                           "aes128-aes256-sha1-sha256-modp2048", KEY_EXCHANGE_MODP_2048, &choice),
                PROPOSAL_CHOSEN);
    CHECK_EQUAL(choice.suite.encryption, ENCRYPTION_AES_CBC);
    CHECK_EQUAL(choice.suite.key_bits, 256);
    CHECK_EQUAL(choice.suite.integrity, INTEGRITY_HMAC_SHA2_256_128);
}

TEST(a_suite_is_as_weak_as_its_weakest_part)
{
    struct proposal_choice choice;

    CHECK_EQUAL(choose_ike("aes256gcm16-prfsha512-modp1024, aes128-sha256-x25519",
                           "aes256gcm16-prfsha512-modp1024, aes128-sha256-x25519",
                           KEY_EXCHANGE_X25519, &choice),
                PROPOSAL_CHOSEN);
    CHECK_EQUAL(choice.number, 2);
    CHECK_EQUAL(choice.suite.encryption, ENCRYPTION_AES_CBC);
}

TEST(nothing_in_common_is_refused)
{
    struct proposal_choice choice;

    CHECK_EQUAL(choose_ike("aes128-sha256-modp2048", "aes256-sha256-modp2048",
                           KEY_EXCHANGE_MODP_2048, &choice),
                PROPOSAL_NONE);
    CHECK_EQUAL(choose_ike("aes256-sha256-modp2048", "aes256-sha384-modp2048",
                           KEY_EXCHANGE_MODP_2048, &choice),
                PROPOSAL_NONE);
    CHECK_EQUAL(choose_ike("aes256-sha256-modp2048", "aes256-sha256-modp3072",
                           KEY_EXCHANGE_MODP_2048, &choice),
                PROPOSAL_NONE);
    CHECK_EQUAL(choose_ike("aes256gcm16-prfsha256-modp2048", "aes256gcm16-prfsha384-modp2048",
                           KEY_EXCHANGE_MODP_2048, &choice),
                PROPOSAL_NONE);
    /* Halves of two proposals do not make one. */
    CHECK_EQUAL(choose_ike("aes256-sha256-modp2048, aes128-sha384-modp2048",
                           "aes256-sha384-modp2048, aes128-sha256-modp2048", KEY_EXCHANGE_MODP_2048,
                           &choice),
                PROPOSAL_NONE);
}

TEST(the_group_of_the_ke_payload_is_taken_when_it_is_of_the_same_class)
{
    struct proposal_choice choice;
    const char *both = "aes256gcm16-prfsha384-x25519-ecp256-modp2048";

    CHECK_EQUAL(choose_ike(both, both, KEY_EXCHANGE_MODP_2048, &choice), PROPOSAL_CHOSEN);
    CHECK_EQUAL(choice.suite.key_exchange, KEY_EXCHANGE_MODP_2048);
    CHECK_EQUAL(choose_ike(both, both, KEY_EXCHANGE_ECP_256, &choice), PROPOSAL_CHOSEN);
    CHECK_EQUAL(choice.suite.key_exchange, KEY_EXCHANGE_ECP_256);
}

TEST(a_weaker_group_in_the_ke_payload_is_answered_with_the_strongest)
{
    struct proposal_choice choice;
    const char *both = "aes256gcm16-prfsha384-x25519-modp1024";

    CHECK_EQUAL(choose_ike(both, both, KEY_EXCHANGE_MODP_1024, &choice), PROPOSAL_WRONG_GROUP);
    CHECK_EQUAL(choice.suite.key_exchange, KEY_EXCHANGE_X25519);
    /* A group that the policy has not, that nobody offered, or that does not exist. */
    CHECK_EQUAL(choose_ike(both, "aes256gcm16-prfsha384-x25519", KEY_EXCHANGE_MODP_1024, &choice),
                PROPOSAL_WRONG_GROUP);
    CHECK_EQUAL(choose_ike(both, both, KEY_EXCHANGE_MODP_8192, &choice), PROPOSAL_WRONG_GROUP);
    CHECK_EQUAL(choice.suite.key_exchange, KEY_EXCHANGE_X25519);
    CHECK_EQUAL(choose_ike(both, both, 1025, &choice), PROPOSAL_WRONG_GROUP);
    CHECK_EQUAL(choose_ike(both, both, 0, &choice), PROPOSAL_WRONG_GROUP);
}

TEST(any_of_several_policies_will_do)
{
    struct ikev2_sa_payload offer =
        offer_of(PROTOCOL_IKE, "aes128-sha256-modp2048", (struct slice){0});
    struct proposals a = policy_of(PROTOCOL_IKE, "aes256gcm16-prfsha384-x25519");
    struct proposals b = policy_of(PROTOCOL_IKE, "aes128-sha256-modp2048");
    const struct proposals *lists[] = {&a, &b};
    struct proposal_choice choice;

    CHECK_EQUAL(proposal_choose(&offer, lists, 2, PROTOCOL_IKE, 0, PROPOSAL_WITH_KE,
                                KEY_EXCHANGE_MODP_2048, &choice),
                PROPOSAL_CHOSEN);
    CHECK_EQUAL(proposal_choose(&offer, lists, 1, PROTOCOL_IKE, 0, PROPOSAL_WITH_KE,
                                KEY_EXCHANGE_MODP_2048, &choice),
                PROPOSAL_NONE);
    CHECK_EQUAL(proposal_choose(&offer, lists, 0, PROTOCOL_IKE, 0, PROPOSAL_WITH_KE,
                                KEY_EXCHANGE_MODP_2048, &choice),
                PROPOSAL_NONE);
}

static void add_transform(struct ikev2_sa_payload *sa, size_t proposal,
                          struct ikev2_wire_transform t)
{
    /* Only behind the last proposal, so that the array stays in order. */
    CHECK_EQUAL(proposal + 1, sa->proposal_count);
    sa->transforms[sa->transform_count++] = t;
    sa->proposals[proposal].count++;
}

static void remove_type(struct ikev2_sa_payload *sa, uint8_t type)
{
    struct ikev2_wire_proposal *p = &sa->proposals[sa->proposal_count - 1];
    uint16_t kept = 0;

    for (uint16_t i = 0; i < p->count; i++) {
        if (sa->transforms[p->first + i].type != type) {
            sa->transforms[p->first + kept++] = sa->transforms[p->first + i];
        }
    }
    sa->transform_count = (uint16_t)(p->first + kept);
    p->count = kept;
}

TEST(an_unknown_transform_type_makes_that_proposal_unusable_and_no_other)
{
    struct proposals policy =
        policy_of(PROTOCOL_IKE, "aes256gcm16-prfsha384-x25519, aes128-sha256-modp2048");
    const struct proposals *lists[] = {&policy};
    struct ikev2_sa_payload offer = offer_of(
        PROTOCOL_IKE, "aes128-sha256-modp2048, aes256gcm16-prfsha384-x25519", (struct slice){0});
    struct proposal_choice choice;

    CHECK_EQUAL(proposal_choose(&offer, lists, 1, PROTOCOL_IKE, 0, PROPOSAL_WITH_KE,
                                KEY_EXCHANGE_X25519, &choice),
                PROPOSAL_CHOSEN);
    CHECK_EQUAL(choice.number, 2);
    /* RFC 9370's first additional key exchange, which we do not know. */
    add_transform(&offer, 1, (struct ikev2_wire_transform){.type = 6, .id = 36});
    CHECK_EQUAL(proposal_choose(&offer, lists, 1, PROTOCOL_IKE, 0, PROPOSAL_WITH_KE,
                                KEY_EXCHANGE_MODP_2048, &choice),
                PROPOSAL_CHOSEN);
    CHECK_EQUAL(choice.number, 1);
}

TEST(an_unknown_attribute_makes_that_transform_unusable_and_no_other)
{
    struct ikev2_sa_payload offer =
        offer_of(PROTOCOL_IKE, "aes256-aes128-sha256-modp2048", (struct slice){0});
    struct proposals policy = policy_of(PROTOCOL_IKE, "aes256-aes128-sha256-modp2048");
    const struct proposals *lists[] = {&policy};
    struct proposal_choice choice;

    offer.transforms[0].unknown_attribute = true;
    CHECK_EQUAL(offer.transforms[0].key_bits, 256);
    CHECK_EQUAL(proposal_choose(&offer, lists, 1, PROTOCOL_IKE, 0, PROPOSAL_WITH_KE,
                                KEY_EXCHANGE_MODP_2048, &choice),
                PROPOSAL_CHOSEN);
    CHECK_EQUAL(choice.suite.key_bits, 128);
    offer.transforms[1].key_bits = 0;
    CHECK_EQUAL(proposal_choose(&offer, lists, 1, PROTOCOL_IKE, 0, PROPOSAL_WITH_KE,
                                KEY_EXCHANGE_MODP_2048, &choice),
                PROPOSAL_NONE);
}

/* RFC 7296 3.3.5: a key length has no place there, and what is chosen is returned unmodified. */
TEST(a_key_length_makes_none_and_no_esn_unusable)
{
    static const struct ikev2_wire_transform nones[] = {
        {.type = TRANSFORM_ESN, .id = ESN_NO},
        {.type = TRANSFORM_INTEGRITY, .id = INTEGRITY_NONE},
        {.type = TRANSFORM_KEY_EXCHANGE, .id = KEY_EXCHANGE_NONE},
    };
    struct proposal_choice choice;

    for (size_t i = 0; i < ARRAY_LENGTH(nones); i++) {
        struct ikev2_sa_payload offer = offer_of(PROTOCOL_ESP, "aes256gcm16-noesn", SPI);

        remove_type(&offer, nones[i].type);
        add_transform(&offer, 0, nones[i]);
        CHECK_EQUAL(choose_esp(&offer, "aes256gcm16-noesn", PROPOSAL_WITH_KE, 0, &choice),
                    PROPOSAL_CHOSEN);
        offer.transforms[offer.transform_count - 1].key_bits = 128;
        CHECK_EQUAL(choose_esp(&offer, "aes256gcm16-noesn", PROPOSAL_WITH_KE, 0, &choice),
                    PROPOSAL_NONE);
    }
}

TEST(a_missing_type_makes_a_proposal_unusable)
{
    static const uint8_t types[] = {TRANSFORM_ENCRYPTION, TRANSFORM_PRF, TRANSFORM_INTEGRITY,
                                    TRANSFORM_KEY_EXCHANGE};
    struct proposals policy = policy_of(PROTOCOL_IKE, "aes256-sha256-modp2048");
    const struct proposals *lists[] = {&policy};
    struct proposal_choice choice;

    for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
        struct ikev2_sa_payload offer =
            offer_of(PROTOCOL_IKE, "aes256-sha256-modp2048", (struct slice){0});

        remove_type(&offer, types[i]);
        CHECK_EQUAL(proposal_choose(&offer, lists, 1, PROTOCOL_IKE, 0, PROPOSAL_WITH_KE,
                                    KEY_EXCHANGE_MODP_2048, &choice),
                    PROPOSAL_NONE);
    }
}

TEST(aead_goes_with_no_integrity_or_with_none)
{
    struct ikev2_sa_payload offer = offer_of(PROTOCOL_ESP, "aes256gcm16", SPI);
    struct proposal_choice choice;

    CHECK_EQUAL(choose_esp(&offer, "aes256gcm16", PROPOSAL_WITHOUT_KE, 0, &choice),
                PROPOSAL_CHOSEN);
    uint8_t without = choice.count;

    add_transform(&offer, 0,
                  (struct ikev2_wire_transform){.type = TRANSFORM_INTEGRITY,
                                                .id = INTEGRITY_HMAC_SHA2_256_128});
    CHECK_EQUAL(choose_esp(&offer, "aes256gcm16", PROPOSAL_WITHOUT_KE, 0, &choice), PROPOSAL_NONE);
    add_transform(&offer, 0,
                  (struct ikev2_wire_transform){.type = TRANSFORM_INTEGRITY, .id = INTEGRITY_NONE});
    CHECK_EQUAL(choose_esp(&offer, "aes256gcm16", PROPOSAL_WITHOUT_KE, 0, &choice),
                PROPOSAL_CHOSEN);
    CHECK_EQUAL(choice.suite.integrity, INTEGRITY_NONE);
    /* One of each type that was offered stands in the answer. */
    CHECK_EQUAL(choice.count, without + 1);
}

TEST(a_cipher_without_integrity_is_never_chosen)
{
    struct ikev2_sa_payload offer = offer_of(PROTOCOL_ESP, "aes256-sha256", SPI);
    struct proposal_choice choice;

    CHECK_EQUAL(choose_esp(&offer, "aes256-sha256", PROPOSAL_WITHOUT_KE, 0, &choice),
                PROPOSAL_CHOSEN);
    remove_type(&offer, TRANSFORM_INTEGRITY);
    CHECK_EQUAL(choose_esp(&offer, "aes256-sha256", PROPOSAL_WITHOUT_KE, 0, &choice),
                PROPOSAL_NONE);
    add_transform(&offer, 0,
                  (struct ikev2_wire_transform){.type = TRANSFORM_INTEGRITY, .id = INTEGRITY_NONE});
    CHECK_EQUAL(choose_esp(&offer, "aes256-sha256", PROPOSAL_WITHOUT_KE, 0, &choice),
                PROPOSAL_NONE);
}

TEST(esn_left_out_means_without)
{
    struct ikev2_sa_payload offer = offer_of(PROTOCOL_ESP, "aes256gcm16-esn-noesn", SPI);
    struct proposal_choice choice;

    CHECK_EQUAL(choose_esp(&offer, "aes256gcm16-esn-noesn", PROPOSAL_WITHOUT_KE, 0, &choice),
                PROPOSAL_CHOSEN);
    CHECK(choice.suite.esn);
    CHECK_EQUAL(choose_esp(&offer, "aes256gcm16-noesn", PROPOSAL_WITHOUT_KE, 0, &choice),
                PROPOSAL_CHOSEN);
    CHECK(!choice.suite.esn);
    CHECK_EQUAL(choose_esp(&offer, "aes256gcm16-esn", PROPOSAL_WITHOUT_KE, 0, &choice),
                PROPOSAL_CHOSEN);
    CHECK(choice.suite.esn);

    remove_type(&offer, TRANSFORM_ESN);
    CHECK_EQUAL(choose_esp(&offer, "aes256gcm16-esn-noesn", PROPOSAL_WITHOUT_KE, 0, &choice),
                PROPOSAL_CHOSEN);
    CHECK(!choice.suite.esn);
    for (size_t i = 0; i < choice.count; i++) {
        CHECK(choice.transforms[i].type != TRANSFORM_ESN);
    }
    CHECK_EQUAL(choose_esp(&offer, "aes256gcm16-esn", PROPOSAL_WITHOUT_KE, 0, &choice),
                PROPOSAL_NONE);
}

TEST(esn_left_out_of_a_policy_means_without_too)
{
    struct proposals policy = policy_of(PROTOCOL_ESP, "aes256gcm16-noesn");
    const struct proposals *lists[] = {&policy};
    struct ikev2_sa_payload offer = offer_of(PROTOCOL_ESP, "aes256gcm16-esn-noesn", SPI);
    struct ikev2_sa_payload built;
    struct proposal_choice choice;

    policy.list[0].count = 1;
    CHECK_EQUAL(policy.list[0].transforms[0].type, TRANSFORM_ENCRYPTION);
    CHECK_EQUAL(proposal_choose(&offer, lists, 1, PROTOCOL_ESP, 4, PROPOSAL_WITHOUT_KE, 0, &choice),
                PROPOSAL_CHOSEN);
    CHECK(!choice.suite.esn);
    CHECK(proposal_allows_suite(&policy, PROTOCOL_ESP, &choice.suite, PROPOSAL_WITHOUT_KE));
    choice.suite.esn = true;
    CHECK(!proposal_allows_suite(&policy, PROTOCOL_ESP, &choice.suite, PROPOSAL_WITHOUT_KE));
    CHECK(proposal_offer(&policy, PROTOCOL_ESP, SPI, PROPOSAL_WITHOUT_KE, &built));
    CHECK_EQUAL(built.transform_count, 2);
    CHECK_EQUAL(built.transforms[1].type, TRANSFORM_ESN);
    CHECK_EQUAL(built.transforms[1].id, ESN_NO);
}

TEST(groups_have_no_place_in_ike_auth)
{
    struct ikev2_sa_payload offer = offer_of(PROTOCOL_ESP, "aes256gcm16-x25519", SPI);
    struct proposals policy = policy_of(PROTOCOL_ESP, "aes256gcm16-x25519");
    struct ikev2_sa_payload first;
    struct proposal_choice choice;

    CHECK(proposal_offer(&policy, PROTOCOL_ESP, SPI, PROPOSAL_WITHOUT_KE, &first));
    for (size_t i = 0; i < first.transform_count; i++) {
        CHECK(first.transforms[i].type != TRANSFORM_KEY_EXCHANGE);
    }
    CHECK_EQUAL(choose_esp(&offer, "aes256gcm16-modp2048", PROPOSAL_WITHOUT_KE, 0, &choice),
                PROPOSAL_CHOSEN);
    CHECK_EQUAL(choice.suite.key_exchange, KEY_EXCHANGE_NONE);
}

TEST(forward_secrecy_is_as_both_policies_have_it)
{
    struct ikev2_sa_payload with = offer_of(PROTOCOL_ESP, "aes256gcm16-x25519", SPI);
    struct ikev2_sa_payload without = offer_of(PROTOCOL_ESP, "aes256gcm16", SPI);
    struct proposal_choice choice;

    CHECK_EQUAL(
        choose_esp(&with, "aes256gcm16-x25519", PROPOSAL_WITH_KE, KEY_EXCHANGE_X25519, &choice),
        PROPOSAL_CHOSEN);
    CHECK_EQUAL(choice.suite.key_exchange, KEY_EXCHANGE_X25519);
    CHECK_EQUAL(choose_esp(&with, "aes256gcm16", PROPOSAL_WITH_KE, KEY_EXCHANGE_X25519, &choice),
                PROPOSAL_NONE);
    CHECK_EQUAL(choose_esp(&without, "aes256gcm16-x25519", PROPOSAL_WITH_KE, 0, &choice),
                PROPOSAL_NONE);
    CHECK_EQUAL(choose_esp(&without, "aes256gcm16", PROPOSAL_WITH_KE, 0, &choice), PROPOSAL_CHOSEN);
    CHECK_EQUAL(choice.suite.key_exchange, KEY_EXCHANGE_NONE);

    /* NONE beside a group: whoever has no group takes it; whoever has one keeps it. */
    add_transform(
        &with, 0,
        (struct ikev2_wire_transform){.type = TRANSFORM_KEY_EXCHANGE, .id = KEY_EXCHANGE_NONE});
    CHECK_EQUAL(choose_esp(&with, "aes256gcm16", PROPOSAL_WITH_KE, KEY_EXCHANGE_X25519, &choice),
                PROPOSAL_CHOSEN);
    CHECK_EQUAL(choice.suite.key_exchange, KEY_EXCHANGE_NONE);
    CHECK_EQUAL(
        choose_esp(&with, "aes256gcm16-x25519", PROPOSAL_WITH_KE, KEY_EXCHANGE_X25519, &choice),
        PROPOSAL_CHOSEN);
    CHECK_EQUAL(choice.suite.key_exchange, KEY_EXCHANGE_X25519);
}

TEST(spis_of_the_wrong_size_or_zero_are_passed_over)
{
    struct ikev2_sa_payload offer = offer_of(PROTOCOL_ESP, "aes256gcm16", SPI);
    struct proposals policy = policy_of(PROTOCOL_ESP, "aes256gcm16");
    const struct proposals *lists[] = {&policy};
    struct proposal_choice choice;

    CHECK_EQUAL(proposal_choose(&offer, lists, 1, PROTOCOL_ESP, 4, PROPOSAL_WITHOUT_KE, 0, &choice),
                PROPOSAL_CHOSEN);
    CHECK_EQUAL(choice.spi, 0x11223344);
    CHECK_EQUAL(proposal_choose(&offer, lists, 1, PROTOCOL_ESP, 8, PROPOSAL_WITHOUT_KE, 0, &choice),
                PROPOSAL_NONE);
    offer.proposals[0].spi = SLICE_TEXT("\0\0\0\0");
    CHECK_EQUAL(proposal_choose(&offer, lists, 1, PROTOCOL_ESP, 4, PROPOSAL_WITHOUT_KE, 0, &choice),
                PROPOSAL_NONE);
    offer.proposals[0].spi = (struct slice){0};
    CHECK_EQUAL(proposal_choose(&offer, lists, 1, PROTOCOL_ESP, 4, PROPOSAL_WITHOUT_KE, 0, &choice),
                PROPOSAL_NONE);
    offer.proposals[0].spi = SPI;
    offer.proposals[0].protocol = PROTOCOL_AH;
    CHECK_EQUAL(proposal_choose(&offer, lists, 1, PROTOCOL_ESP, 4, PROPOSAL_WITHOUT_KE, 0, &choice),
                PROPOSAL_NONE);
}

TEST(an_ike_sa_is_never_without_encryption)
{
    struct ikev2_sa_payload offer =
        offer_of(PROTOCOL_IKE, "aes256-sha256-modp2048", (struct slice){0});
    struct proposals policy = policy_of(PROTOCOL_IKE, "aes256-sha256-modp2048");
    const struct proposals *lists[] = {&policy};
    struct proposal_choice choice;

    for (size_t i = 0; i < policy.list[0].count; i++) {
        if (policy.list[0].transforms[i].type == TRANSFORM_ENCRYPTION) {
            policy.list[0].transforms[i] =
                (struct transform){TRANSFORM_ENCRYPTION, ENCRYPTION_NULL, 0};
        }
    }
    offer.transforms[0] =
        (struct ikev2_wire_transform){.type = TRANSFORM_ENCRYPTION, .id = ENCRYPTION_NULL};
    CHECK_EQUAL(proposal_choose(&offer, lists, 1, PROTOCOL_IKE, 0, PROPOSAL_WITH_KE,
                                KEY_EXCHANGE_MODP_2048, &choice),
                PROPOSAL_NONE);
}

static void check_agreement(uint8_t protocol, const char *offered, const char *allowed,
                            enum proposal_use use, uint16_t group)
{
    struct proposals ours = policy_of(protocol, offered);
    struct proposals theirs = policy_of(protocol, allowed);
    const struct proposals *lists[] = {&theirs};
    struct slice spi = protocol == PROTOCOL_IKE ? IKE_SPI : SPI;
    struct ikev2_sa_payload offer;
    struct ikev2_sa_payload answer;
    struct proposal_choice chosen;
    struct proposal_choice verified;

    CHECK(proposal_offer(&ours, protocol, spi, use, &offer));
    CHECK_EQUAL(proposal_choose(&offer, lists, 1, protocol, spi.length, use, group, &chosen),
                PROPOSAL_CHOSEN);
    proposal_answer(&chosen, spi, &answer);
    CHECK(proposal_verify(&answer, &ours, protocol, spi.length, use, &verified));
    CHECK_EQUAL(memcmp(&chosen.suite, &verified.suite, sizeof(chosen.suite)), 0);
    CHECK_EQUAL(verified.spi, chosen.spi);
    CHECK(proposal_allows_suite(&ours, protocol, &chosen.suite, use));
    CHECK(proposal_allows_suite(&theirs, protocol, &chosen.suite, use));

    /* Every change of any field of the answer makes it one that nobody offered or another
     * suite. */
    for (size_t i = 0; i < answer.transform_count; i++) {
        struct ikev2_sa_payload wrong = answer;

        wrong.transforms[i].unknown_attribute = true;
        CHECK(!proposal_verify(&wrong, &ours, protocol, spi.length, use, &verified));
        wrong = answer;
        wrong.transforms[i].id = 999;
        CHECK(!proposal_verify(&wrong, &ours, protocol, spi.length, use, &verified));
        wrong = answer;
        wrong.transforms[i].key_bits ^= 64;
        CHECK(!proposal_verify(&wrong, &ours, protocol, spi.length, use, &verified));
        wrong = answer;
        wrong.transforms[i].type = 6;
        CHECK(!proposal_verify(&wrong, &ours, protocol, spi.length, use, &verified));
        wrong = answer;
        wrong.transforms[wrong.transform_count++] = wrong.transforms[i];
        wrong.proposals[0].count++;
        CHECK(!proposal_verify(&wrong, &ours, protocol, spi.length, use, &verified));
    }
    struct ikev2_sa_payload wrong = answer;

    wrong.proposals[0].number++;
    CHECK(!proposal_verify(&wrong, &ours, protocol, spi.length, use, &verified) ||
          ours.count > wrong.proposals[0].number - 1);
    wrong = answer;
    wrong.proposals[0].protocol = PROTOCOL_AH;
    CHECK(!proposal_verify(&wrong, &ours, protocol, spi.length, use, &verified));
    wrong = answer;
    wrong.proposals[0].spi = (struct slice){0};
    CHECK(!proposal_verify(&wrong, &ours, protocol, spi.length, use, &verified));
    wrong = answer;
    wrong.proposals[1] = wrong.proposals[0];
    wrong.proposal_count = 2;
    CHECK(!proposal_verify(&wrong, &ours, protocol, spi.length, use, &verified));
    wrong.proposal_count = 0;
    CHECK(!proposal_verify(&wrong, &ours, protocol, spi.length, use, &verified));
}

TEST(what_is_chosen_is_accepted_and_nothing_else)
{
    check_agreement(PROTOCOL_IKE, "aes256gcm16-prfsha384-x25519", "aes256gcm16-prfsha384-x25519",
                    PROPOSAL_WITH_KE, KEY_EXCHANGE_X25519);
    check_agreement(PROTOCOL_IKE, "aes128-aes256-sha256-sha384-modp2048-ecp256",
                    "aes256-sha256-modp2048", PROPOSAL_WITH_KE, KEY_EXCHANGE_MODP_2048);
    check_agreement(PROTOCOL_ESP, "aes256gcm16-x25519-esn-noesn", "aes256gcm16-x25519-noesn",
                    PROPOSAL_WITH_KE, KEY_EXCHANGE_X25519);
    check_agreement(PROTOCOL_ESP, "aes256gcm16-x25519, aes128-sha256", "aes128-sha256",
                    PROPOSAL_WITHOUT_KE, 0);
    check_agreement(PROTOCOL_ESP, "chacha20poly1305", "chacha20poly1305", PROPOSAL_WITHOUT_KE, 0);
    check_agreement(PROTOCOL_ESP, "3des-sha1", "3des-sha1", PROPOSAL_WITHOUT_KE, 0);
}

TEST(an_answer_without_a_needed_type_is_refused)
{
    struct proposals ours = policy_of(PROTOCOL_IKE, "aes256-sha256-modp2048");
    struct ikev2_sa_payload answer =
        offer_of(PROTOCOL_IKE, "aes256-sha256-modp2048", (struct slice){0});
    struct proposal_choice choice;

    CHECK(proposal_verify(&answer, &ours, PROTOCOL_IKE, 0, PROPOSAL_WITH_KE, &choice));
    for (uint8_t type = TRANSFORM_ENCRYPTION; type <= TRANSFORM_KEY_EXCHANGE; type++) {
        struct ikev2_sa_payload wrong = answer;

        remove_type(&wrong, type);
        CHECK(!proposal_verify(&wrong, &ours, PROTOCOL_IKE, 0, PROPOSAL_WITH_KE, &choice));
    }
}

TEST(a_responder_cannot_drop_forward_secrecy)
{
    struct proposals ours = policy_of(PROTOCOL_ESP, "aes256gcm16-x25519-noesn");
    struct ikev2_sa_payload answer = offer_of(PROTOCOL_ESP, "aes256gcm16-x25519-noesn", SPI);
    struct proposal_choice choice;

    CHECK(proposal_verify(&answer, &ours, PROTOCOL_ESP, 4, PROPOSAL_WITH_KE, &choice));
    remove_type(&answer, TRANSFORM_KEY_EXCHANGE);
    CHECK(!proposal_verify(&answer, &ours, PROTOCOL_ESP, 4, PROPOSAL_WITH_KE, &choice));
    add_transform(&answer, 0, (struct ikev2_wire_transform){.type = TRANSFORM_KEY_EXCHANGE});
    CHECK(!proposal_verify(&answer, &ours, PROTOCOL_ESP, 4, PROPOSAL_WITH_KE, &choice));
}

TEST(integrity_none_in_an_answer_for_aead_is_accepted)
{
    struct proposals ours = policy_of(PROTOCOL_ESP, "aes256gcm16-noesn");
    struct ikev2_sa_payload answer = offer_of(PROTOCOL_ESP, "aes256gcm16-noesn", SPI);
    struct proposal_choice choice;

    add_transform(&answer, 0, (struct ikev2_wire_transform){.type = TRANSFORM_INTEGRITY});
    CHECK(proposal_verify(&answer, &ours, PROTOCOL_ESP, 4, PROPOSAL_WITHOUT_KE, &choice));
    CHECK_EQUAL(choice.suite.integrity, INTEGRITY_NONE);
}

TEST(aead_and_other_ciphers_never_share_a_proposal)
{
    struct proposals ours = policy_of(PROTOCOL_IKE, "aes256gcm16-prfsha384-x25519");
    struct proposals cbc = policy_of(PROTOCOL_IKE, "aes256-sha256-x25519");
    struct ikev2_sa_payload offer;

    for (size_t i = 0; i < cbc.list[0].count; i++) {
        const struct transform *t = &cbc.list[0].transforms[i];

        if (t->type == TRANSFORM_ENCRYPTION || t->type == TRANSFORM_INTEGRITY) {
            ours.list[0].transforms[ours.list[0].count++] = *t;
        }
    }
    CHECK(proposal_offer(&ours, PROTOCOL_IKE, (struct slice){0}, PROPOSAL_WITH_KE, &offer));
    CHECK_EQUAL(offer.proposal_count, 2);
    for (size_t p = 0; p < 2; p++) {
        bool integrity = false;
        bool gcm = false;

        CHECK_EQUAL(offer.proposals[p].number, p + 1);
        for (size_t i = 0; i < offer.proposals[p].count; i++) {
            const struct ikev2_wire_transform *t = &offer.transforms[offer.proposals[p].first + i];

            integrity |= t->type == TRANSFORM_INTEGRITY;
            gcm |= t->type == TRANSFORM_ENCRYPTION && t->id == ENCRYPTION_AES_GCM_16;
        }
        CHECK_EQUAL(gcm, p == 0);
        CHECK_EQUAL(integrity, p == 1);
    }
}

TEST(an_offer_survives_the_wire)
{
    struct proposals ours;
    struct ikev2_sa_payload offer;
    struct ikev2_sa_payload again;
    uint8_t bytes[4096];
    struct writer w = writer_over(bytes, sizeof(bytes));

    proposals_default(PROTOCOL_ESP, &ours);
    CHECK(proposal_offer(&ours, PROTOCOL_ESP, SPI, PROPOSAL_WITH_KE, &offer));
    ikev2_write_sa(&w, &offer);
    CHECK(ikev2_read_sa(writer_written(&w), &again));
    CHECK_EQUAL(again.proposal_count, offer.proposal_count);
    CHECK_EQUAL(again.transform_count, offer.transform_count);
    for (size_t i = 0; i < offer.transform_count; i++) {
        CHECK_EQUAL(again.transforms[i].type, offer.transforms[i].type);
        CHECK_EQUAL(again.transforms[i].id, offer.transforms[i].id);
        CHECK_EQUAL(again.transforms[i].key_bits, offer.transforms[i].key_bits);
        CHECK(!again.transforms[i].unknown_attribute);
    }
}

TEST(the_defaults_agree_with_themselves)
{
    struct proposals ike;
    struct ikev2_sa_payload offer;
    struct proposal_choice choice;

    proposals_default(PROTOCOL_IKE, &ike);
    const struct proposals *lists[] = {&ike};
    uint16_t group = proposal_first_group(&ike);

    CHECK(proposal_has_group(&ike, group));
    CHECK(!proposal_has_group(&ike, KEY_EXCHANGE_MODP_768));
    CHECK(!proposal_has_group(&ike, KEY_EXCHANGE_NONE));
    CHECK(proposal_offer(&ike, PROTOCOL_IKE, (struct slice){0}, PROPOSAL_WITH_ADDITIONAL, &offer));
    CHECK_EQUAL(proposal_choose(&offer, lists, 1, PROTOCOL_IKE, 0, PROPOSAL_WITH_ADDITIONAL, group,
                                &choice),
                PROPOSAL_CHOSEN);
    CHECK_EQUAL(choice.suite.encryption, ENCRYPTION_AES_GCM_16);
    CHECK_EQUAL(choice.suite.key_bits, 256);
}

TEST(a_policy_allows_only_its_own_suites)
{
    struct proposals policy = policy_of(PROTOCOL_IKE, "aes256-sha256-modp2048");
    const struct suite good = {.encryption = ENCRYPTION_AES_CBC,
                               .key_bits = 256,
                               .integrity = INTEGRITY_HMAC_SHA2_256_128,
                               .prf = PRF_HMAC_SHA2_256,
                               .key_exchange = KEY_EXCHANGE_MODP_2048};
    struct suite s = good;

    CHECK(proposal_allows_suite(&policy, PROTOCOL_IKE, &s, PROPOSAL_WITH_KE));
    CHECK(!proposal_allows_suite(&policy, PROTOCOL_ESP, &s, PROPOSAL_WITH_KE));
    s.key_bits = 128;
    CHECK(!proposal_allows_suite(&policy, PROTOCOL_IKE, &s, PROPOSAL_WITH_KE));
    s = good;
    s.integrity = INTEGRITY_NONE;
    CHECK(!proposal_allows_suite(&policy, PROTOCOL_IKE, &s, PROPOSAL_WITH_KE));
    s = good;
    s.prf = PRF_HMAC_SHA1;
    CHECK(!proposal_allows_suite(&policy, PROTOCOL_IKE, &s, PROPOSAL_WITH_KE));
    s = good;
    s.key_exchange = KEY_EXCHANGE_MODP_1024;
    CHECK(!proposal_allows_suite(&policy, PROTOCOL_IKE, &s, PROPOSAL_WITH_KE));
    CHECK(proposal_allows_suite(&policy, PROTOCOL_IKE, &s, PROPOSAL_WITHOUT_KE));
}

TEST(proposals_in_words_are_those_of_the_configuration)
{
    struct proposals policy =
        policy_of(PROTOCOL_IKE, "aes256gcm16-prfsha384-x25519, aes128-sha256-modp2048");
    struct ikev2_sa_payload offer = offer_of(
        PROTOCOL_IKE, "aes256gcm16-prfsha384-x25519, aes128-sha256-modp2048", (struct slice){0});
    char words[200];
    struct text text = text_over(words, sizeof(words));

    proposal_describe_policy(&policy, PROTOCOL_IKE, &text);
    CHECK_TEXT(words, "aes256gcm16-prfsha384-x25519, aes128-sha256-modp2048");
    text = text_over(words, sizeof(words));
    proposal_describe_offer(&offer, PROTOCOL_IKE, &text);
    CHECK_TEXT(words, "aes256gcm16-prfsha384-x25519, aes128-sha256-modp2048");

    offer.transforms[offer.proposals[1].first].id = 99;
    text = text_over(words, sizeof(words));
    proposal_describe_offer(&offer, PROTOCOL_IKE, &text);
    CHECK_TEXT(words, "aes256gcm16-prfsha384-x25519, encryption-99/128-sha256-modp2048");
    text = text_over(words, sizeof(words));
    proposal_describe_offer(&offer, PROTOCOL_ESP, &text);
    CHECK_TEXT(words, "nothing");
}

TEST(words_about_a_hostile_offer_are_bounded)
{
    static struct ikev2_sa_payload offer;
    char words[384];
    struct text text = text_over(words, sizeof(words));

    offer.proposal_count = IKEV2_PROPOSALS_MAX;
    offer.transform_count = IKEV2_TRANSFORMS_MAX;
    for (size_t p = 0; p < offer.proposal_count; p++) {
        offer.proposals[p] = (struct ikev2_wire_proposal){
            .number = 1, .protocol = PROTOCOL_IKE, .first = 0, .count = IKEV2_TRANSFORMS_MAX};
    }
    for (size_t i = 0; i < offer.transform_count; i++) {
        offer.transforms[i] = (struct ikev2_wire_transform){
            .type = (uint8_t)i, .id = (uint16_t)(i * 257), .key_bits = (uint16_t)i};
    }
    proposal_describe_offer(&offer, PROTOCOL_IKE, &text);
    CHECK(strlen(words) < sizeof(words));
}

TEST(random_offers_are_chosen_from_only_as_both_allow)
{
    struct seeded_random seeded;
    struct proposals policy;
    struct proposals offered;
    unsigned agreed = 0;

    seeded_random_init(&seeded, 33);
    struct random_source random = seeded_random_source(&seeded);

    for (int round = 0; round < 3000; round++) {
        struct ikev2_sa_payload offer;
        struct proposal_choice choice;
        uint8_t protocol = random_below(&random, 2) == 0 ? PROTOCOL_IKE : PROTOCOL_ESP;

        for (int side = 0; side < 2; side++) {
            struct proposals *p = side == 0 ? &policy : &offered;

            *p = (struct proposals){.count = (uint8_t)(1 + random_below(&random, 3))};
            for (size_t q = 0; q < p->count; q++) {
                p->list[q].protocol = protocol;
                p->list[q].count = (uint8_t)(4 + random_below(&random, 20));
                for (size_t i = 0; i < p->list[q].count;) {
                    const struct algorithm *a = algorithm_at(random_below(&random, 70));

                    if (a != NULL) {
                        p->list[q].transforms[i++] = (struct transform){
                            a->type, a->id, a->key_bits_on_wire ? a->key_bits[0] : 0};
                    }
                }
            }
        }
        struct slice spi = protocol == PROTOCOL_IKE ? (struct slice){0} : SPI;
        const struct proposals *lists[] = {&policy};

        if (!proposal_offer(&offered, protocol, spi, PROPOSAL_WITH_KE, &offer)) {
            continue;
        }
        if (proposal_choose(&offer, lists, 1, protocol, spi.length, PROPOSAL_WITH_KE,
                            KEY_EXCHANGE_X25519, &choice) == PROPOSAL_NONE) {
            continue;
        }
        struct ikev2_sa_payload answer;
        struct proposal_choice verified;

        agreed++;
        CHECK(suite_is_usable(&choice.suite));
        CHECK(proposal_allows_suite(&policy, protocol, &choice.suite, PROPOSAL_WITH_KE));
        CHECK(proposal_allows_suite(&offered, protocol, &choice.suite, PROPOSAL_WITH_KE));
        proposal_answer(&choice, spi, &answer);
        CHECK(
            proposal_verify(&answer, &offered, protocol, spi.length, PROPOSAL_WITH_KE, &verified));
        CHECK_EQUAL(memcmp(&choice.suite, &verified.suite, sizeof(choice.suite)), 0);
    }
    CHECK(agreed > 50);
}

/* RFC 7296 3.3.3: INTEG and ESN, no ENCR. */
TEST(ah_has_integrity_and_esn_and_no_encryption)
{
    struct ikev2_sa_payload offer = offer_of(PROTOCOL_AH, "sha512-sha256-x25519", SPI);
    struct proposals policy = policy_of(PROTOCOL_AH, "sha256-sha512-x25519");
    const struct proposals *list[] = {&policy};
    struct proposal_choice choice;
    struct proposal_choice verified;
    struct ikev2_sa_payload answer;

    CHECK_EQUAL(offer.proposal_count, 1);
    CHECK_EQUAL(offer.proposals[0].protocol, PROTOCOL_AH);
    for (size_t i = 0; i < offer.transform_count; i++) {
        CHECK(offer.transforms[i].type != TRANSFORM_ENCRYPTION);
    }
    CHECK_EQUAL(proposal_choose(&offer, list, 1, PROTOCOL_AH, 4, PROPOSAL_WITH_KE,
                                KEY_EXCHANGE_X25519, &choice),
                PROPOSAL_CHOSEN);
    CHECK_EQUAL(choice.suite.encryption, ENCRYPTION_NONE);
    CHECK_EQUAL(choice.suite.integrity, INTEGRITY_HMAC_SHA2_256_128);
    CHECK(choice.suite.esn);
    CHECK_EQUAL(choice.spi, 0x11223344);
    proposal_answer(&choice, SPI, &answer);
    CHECK(proposal_verify(&answer, &policy, PROTOCOL_AH, 4, PROPOSAL_WITH_KE, &verified));
    CHECK_EQUAL(verified.suite.integrity, INTEGRITY_HMAC_SHA2_256_128);
    CHECK(proposal_allows_suite(&policy, PROTOCOL_AH, &verified.suite, PROPOSAL_WITH_KE));
    CHECK(!proposal_allows_suite(&policy, PROTOCOL_ESP, &verified.suite, PROPOSAL_WITH_KE));
    CHECK(!proposal_verify(&answer, &policy, PROTOCOL_ESP, 4, PROPOSAL_WITH_KE, &verified));
}

TEST(ah_with_encryption_or_without_integrity_is_passed_over)
{
    struct proposals policy = policy_of(PROTOCOL_AH, "sha256");
    const struct proposals *list[] = {&policy};
    struct proposal_choice choice;

    for (unsigned what = 0; what < 3; what++) {
        struct ikev2_sa_payload offer = offer_of(PROTOCOL_AH, "sha256", SPI);

        if (what == 0) {
            offer.transforms[offer.transform_count++] =
                (struct ikev2_wire_transform){.type = TRANSFORM_ENCRYPTION, .id = ENCRYPTION_NULL};
            offer.proposals[0].count++;
        } else {
            offer.transforms[0].id = what == 1 ? INTEGRITY_NONE : INTEGRITY_HMAC_SHA2_384_192;
        }
        CHECK_EQUAL(offer.transforms[0].type, TRANSFORM_INTEGRITY);
        CHECK_EQUAL(
            proposal_choose(&offer, list, 1, PROTOCOL_AH, 4, PROPOSAL_WITHOUT_KE, 0, &choice),
            PROPOSAL_NONE);
    }
}

TEST(ah_and_esp_do_not_answer_for_each_other)
{
    struct ikev2_sa_payload ah = offer_of(PROTOCOL_AH, "sha256", SPI);
    struct ikev2_sa_payload esp = offer_of(PROTOCOL_ESP, "aes128-sha256", SPI);
    struct proposals policy = policy_of(PROTOCOL_AH, "sha256");
    const struct proposals *list[] = {&policy};
    struct proposal_choice choice;

    CHECK_EQUAL(proposal_choose(&esp, list, 1, PROTOCOL_AH, 4, PROPOSAL_WITHOUT_KE, 0, &choice),
                PROPOSAL_NONE);
    CHECK_EQUAL(choose_esp(&ah, "aes128-sha256", PROPOSAL_WITHOUT_KE, 0, &choice), PROPOSAL_NONE);
}

/* ---- additional key exchanges (RFC 9370) ---- */

static enum proposal_verdict choose_additional(const char *offered, const char *allowed,
                                               struct proposal_choice *choice)
{
    struct proposals first = policy_of(PROTOCOL_IKE, offered);
    struct proposals second = policy_of(PROTOCOL_IKE, allowed);
    const struct proposals *list[] = {&second};
    struct ikev2_sa_payload offer, answer;
    struct proposal_choice seen;

    CHECK(
        proposal_offer(&first, PROTOCOL_IKE, (struct slice){0}, PROPOSAL_WITH_ADDITIONAL, &offer));
    enum proposal_verdict verdict = proposal_choose(
        &offer, list, 1, PROTOCOL_IKE, 0, PROPOSAL_WITH_ADDITIONAL, KEY_EXCHANGE_X25519, choice);

    if (verdict == PROPOSAL_CHOSEN) {
        proposal_answer(choice, (struct slice){0}, &answer);
        CHECK(proposal_verify(&answer, &first, PROTOCOL_IKE, 0, PROPOSAL_WITH_ADDITIONAL, &seen));
        CHECK_EQUAL(seen.additional_count, choice->additional_count);
        CHECK_BYTES(seen.additional, choice->additional, sizeof(seen.additional));
        CHECK(proposal_allows_choice(&first, PROTOCOL_IKE, choice));
        CHECK(proposal_allows_choice(&second, PROTOCOL_IKE, choice));
    }
    return verdict;
}

#define SUITE "aes256gcm16-sha384-x25519"

TEST(additional_key_exchanges_are_those_that_both_want)
{
    static const struct {
        const char *offered, *allowed;
        uint8_t count;
        uint16_t groups[3];
    } cases[] = {
        {SUITE "-ke1_mlkem768", SUITE "-ke1_mlkem768", 1, {KEY_EXCHANGE_ML_KEM_768}},
        {SUITE "-ke1_mlkem768-ke1_mlkem1024",
         SUITE "-ke1_mlkem1024-ke1_mlkem768",
         1,
         {KEY_EXCHANGE_ML_KEM_768}},
        {SUITE "-ke1_modp1024-ke1_mlkem1024-ke1_mlkem768",
         SUITE "-ke1_mlkem768-ke1_mlkem1024-ke1_modp1024",
         1,
         {KEY_EXCHANGE_ML_KEM_1024}},
        {SUITE "-ke1_mlkem768-ke1_none", SUITE, 0, {0}},
        {SUITE, SUITE "-ke1_mlkem768-ke1_none", 0, {0}},
        /* None twice: the second finds another. */
        {SUITE "-ke1_mlkem768-ke1_mlkem512-ke2_mlkem768-ke2_mlkem512",
         SUITE "-ke1_mlkem768-ke1_mlkem512-ke2_mlkem768-ke2_mlkem512",
         2,
         {KEY_EXCHANGE_ML_KEM_768, KEY_EXCHANGE_ML_KEM_512}},
        {SUITE "-ke2_mlkem768-ke5_ecp384-ke7_none",
         SUITE "-ke2_mlkem768-ke5_ecp384",
         2,
         {KEY_EXCHANGE_ML_KEM_768, KEY_EXCHANGE_ECP_384}},
        /* The better of two proposals is the one with more of them. */
        {SUITE ", " SUITE "-ke1_mlkem768",
         SUITE ", " SUITE "-ke1_mlkem768",
         1,
         {KEY_EXCHANGE_ML_KEM_768}},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct proposal_choice choice;

        CHECK_EQUAL(choose_additional(cases[i].offered, cases[i].allowed, &choice),
                    PROPOSAL_CHOSEN);
        CHECK_EQUAL(choice.additional_count, cases[i].count);
        CHECK_BYTES(choice.additional, cases[i].groups, cases[i].count * sizeof(uint16_t));
    }
}

TEST(additional_key_exchanges_that_one_side_demands_and_the_other_has_not_are_refused)
{
    static const char *const cases[][2] = {
        {SUITE "-ke1_mlkem768", SUITE},
        {SUITE, SUITE "-ke1_mlkem768"},
        {SUITE "-ke1_mlkem768", SUITE "-ke1_mlkem1024"},
        {SUITE "-ke1_mlkem768", SUITE "-ke2_mlkem768"},
        {SUITE "-ke1_mlkem768-ke2_mlkem768", SUITE "-ke1_mlkem768-ke2_mlkem768"},
        {SUITE "-ke1_x25519", SUITE "-ke1_x25519"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct proposal_choice choice;

        CHECK_EQUAL(choose_additional(cases[i][0], cases[i][1], &choice), PROPOSAL_NONE);
    }
}

TEST(an_answer_with_the_same_additional_key_exchange_twice_is_refused)
{
    struct proposals policy =
        policy_of(PROTOCOL_IKE, SUITE "-ke1_mlkem768-ke1_mlkem512-ke2_mlkem768-ke2_mlkem512");
    struct proposal_choice choice, seen;
    const struct proposals *list[] = {&policy};
    struct ikev2_sa_payload offer, answer;

    CHECK(
        proposal_offer(&policy, PROTOCOL_IKE, (struct slice){0}, PROPOSAL_WITH_ADDITIONAL, &offer));
    CHECK_EQUAL(proposal_choose(&offer, list, 1, PROTOCOL_IKE, 0, PROPOSAL_WITH_ADDITIONAL,
                                KEY_EXCHANGE_X25519, &choice),
                PROPOSAL_CHOSEN);
    proposal_answer(&choice, (struct slice){0}, &answer);
    for (size_t i = 0; i < answer.transform_count; i++) {
        if (answer.transforms[i].type == TRANSFORM_ADDITIONAL_FIRST + 1) {
            answer.transforms[i].id = KEY_EXCHANGE_ML_KEM_768;
        }
    }
    CHECK(!proposal_verify(&answer, &policy, PROTOCOL_IKE, 0, PROPOSAL_WITH_ADDITIONAL, &seen));
}

TEST(without_additional_key_exchanges_their_types_are_unknown)
{
    struct proposals policy = policy_of(PROTOCOL_IKE, SUITE "-ke1_mlkem768");
    const struct proposals *list[] = {&policy};
    struct proposal_choice choice;
    struct ikev2_sa_payload offer;

    CHECK(proposal_offer(&policy, PROTOCOL_IKE, (struct slice){0}, PROPOSAL_WITH_KE, &offer));
    for (size_t i = 0; i < offer.transform_count; i++) {
        CHECK(offer.transforms[i].type <= TRANSFORM_ESN);
    }
    CHECK(
        proposal_offer(&policy, PROTOCOL_IKE, (struct slice){0}, PROPOSAL_WITH_ADDITIONAL, &offer));
    CHECK_EQUAL(proposal_choose(&offer, list, 1, PROTOCOL_IKE, 0, PROPOSAL_WITH_KE,
                                KEY_EXCHANGE_X25519, &choice),
                PROPOSAL_NONE);
}

static struct proposal_choice defaults_choose(const struct proposals *offered,
                                              const struct proposals *allowed, uint16_t ke_group,
                                              enum proposal_verdict expected)
{
    struct ikev2_sa_payload offer;
    struct proposal_choice choice;

    CHECK(
        proposal_offer(offered, PROTOCOL_IKE, (struct slice){0}, PROPOSAL_WITH_ADDITIONAL, &offer));
    CHECK_EQUAL(proposal_choose(&offer, &allowed, 1, PROTOCOL_IKE, 0, PROPOSAL_WITH_ADDITIONAL,
                                ke_group, &choice),
                expected);
    return choice;
}

TEST(ml_kem_is_taken_where_both_have_it_and_only_there)
{
    struct proposals all, classic;
    struct proposals alone = policy_of(PROTOCOL_IKE, "aes256gcm16-sha384-mlkem768");
    struct proposal_choice choice;

    proposals_default(PROTOCOL_IKE, &all);
    classic = all;
    proposals_drop_post_quantum(&classic);
    CHECK_EQUAL(classic.count, all.count - 2);
    CHECK_EQUAL(proposal_first_group(&all), KEY_EXCHANGE_X25519);

    choice = defaults_choose(&all, &all, KEY_EXCHANGE_X25519, PROPOSAL_CHOSEN);
    CHECK_EQUAL(choice.suite.key_exchange, KEY_EXCHANGE_X25519);
    CHECK_EQUAL(choice.additional_count, 1);
    CHECK_EQUAL(choice.additional[0], KEY_EXCHANGE_ML_KEM_768);
    CHECK(proposal_choice_is_post_quantum(&choice));

    choice = defaults_choose(&all, &classic, KEY_EXCHANGE_X25519, PROPOSAL_CHOSEN);
    CHECK(!proposal_choice_is_post_quantum(&choice));
    CHECK_EQUAL(choice.number, 3);
    choice = defaults_choose(&classic, &all, KEY_EXCHANGE_X25519, PROPOSAL_CHOSEN);
    CHECK(!proposal_choice_is_post_quantum(&choice));

    /* Whoever wants it alone gets it so, after another round trip where he did not begin. */
    choice = defaults_choose(&alone, &all, KEY_EXCHANGE_ML_KEM_768, PROPOSAL_CHOSEN);
    CHECK_EQUAL(choice.suite.key_exchange, KEY_EXCHANGE_ML_KEM_768);
    choice = defaults_choose(&all, &alone, KEY_EXCHANGE_X25519, PROPOSAL_WRONG_GROUP);
    CHECK_EQUAL(choice.suite.key_exchange, KEY_EXCHANGE_ML_KEM_768);
    CHECK(proposal_has_group(&all, KEY_EXCHANGE_ML_KEM_768));
}
