/* Quick Mode with several protocols at once: AH around ESP, IPComp inside (RFC 2408 4.2). */
#include "proto/ikev1/machine.h"
#include "tests/support/ikev1_pair.h"
#include "tests/support/test.h"
#include "wire/ipcomp.h"

static void start(struct ikev1_pair *p)
{
    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
}

static bool carries(struct ikev1_pair *p)
{
    return ikev1_pair_agrees(p) && ikev1_pair_packet(p, 0, "net") && ikev1_pair_packet(p, 1, "net");
}

static void set_compress(struct ikev1_pair *p, unsigned side)
{
    p->side[side].children_policy[0].compress = true;
}

TEST(ah_goes_around_esp_when_both_want_it)
{
    static const char *const esp[] = {"aes128-sha256", "3des-sha1-modp1536", "aes256gcm16-ecp384"};
    static const char *const ah[] = {"sha1", "sha512-md5", "aesxcbc-sha384"};
    static const uint16_t best[] = {INTEGRITY_HMAC_SHA1_96, INTEGRITY_HMAC_SHA2_512_256,
                                    INTEGRITY_HMAC_SHA2_384_192};

    for (size_t i = 0; i < ARRAY_LENGTH(esp); i++) {
        struct ikev1_pair *p = ikev1_pair_new(40 + i);

        for (unsigned side = 0; side < 2; side++) {
            ikev1_pair_set_esp(p, side, esp[i]);
            ikev1_pair_set_around(p, side, ah[i]);
        }
        start(p);
        CHECK(carries(p));
        const struct pair1_child *c = ikev1_pair_outbound(p, 0, "net");

        CHECK_EQUAL(c->info.protocol, PROTOCOL_ESP);
        CHECK_EQUAL(c->info.around.suite.integrity, best[i]);
        CHECK(c->info.around.spi_in != 0 && c->info.around.spi_in != c->info.spi_in);
        CHECK_EQUAL(c->around_bytes, suite_integrity_key_bytes(&c->info.around.suite));
        /* RFC 2409 5.5: each has keys of its own protocol and SPI. */
        CHECK(memcmp(c->around_in, c->key_in, c->around_bytes < 16 ? c->around_bytes : 16) != 0);
        ikev1_pair_close(p, 0);
        CHECK(ikev1_pair_run(p));
        CHECK(ikev1_pair_is_empty(p, 0) && ikev1_pair_is_empty(p, 1));
        ikev1_pair_free(p);
    }
}

TEST(one_side_alone_with_ah_is_refused_and_told)
{
    for (unsigned side = 0; side < 2; side++) {
        struct ikev1_pair *p = ikev1_pair_new(50 + side);

        ikev1_pair_set_around(p, side, "sha256");
        start(p);
        CHECK_EQUAL(p->side[1].child_failure.reason, IKEV1_FAIL_CHILD_NO_PROPOSAL);
        CHECK_TEXT(p->side[1].child_failure.theirs,
                   side == 0 ? "ah sha256 + aes128-sha256" : "aes128-sha256");
        CHECK((strncmp(p->side[1].child_failure.ours, "ah sha256", 9) == 0) == (side == 1));
        CHECK(strstr(p->side[1].child_failure.ours, "aes128-sha256") != NULL);
        CHECK_EQUAL(p->side[0].child_failure.notify, IKEV1_NO_PROPOSAL_CHOSEN);
        CHECK_EQUAL(p->side[0].esp_spis_given, p->side[0].esp_spis_unused);
        CHECK_EQUAL(p->side[1].esp_spis_given, p->side[1].esp_spis_unused);
        ikev1_pair_free(p);
    }
}

TEST(no_ah_around_anything_crosses_a_nat)
{
    struct ikev1_pair *p = ikev1_pair_new(52);

    p->nat = true;
    ikev1_pair_set_around(p, 0, "sha256");
    ikev1_pair_set_around(p, 1, "sha256");
    start(p);
    CHECK_EQUAL(p->side[0].child_failure.reason, IKEV1_FAIL_CHILD_AH_NAT);
    ikev1_pair_free(p);
}

TEST(without_a_second_spi_nothing_is_made_and_the_first_is_given_back)
{
    for (unsigned side = 0; side < 2; side++) {
        struct ikev1_pair *p = ikev1_pair_new(53);

        ikev1_pair_set_around(p, 0, "sha256");
        ikev1_pair_set_around(p, 1, "sha256");
        p->side[side].no_spi = true;
        start(p);
        ikev1_pair_advance(p, 200000);
        for (unsigned i = 0; i < 2; i++) {
            CHECK_EQUAL(ikev1_pair_live_children(p, i), 0);
            CHECK_EQUAL(p->side[i].esp_spis_given, p->side[i].esp_spis_unused);
        }
        ikev1_pair_free(p);
    }
}

TEST(both_together_are_renewed_and_deleted_as_one)
{
    struct ikev1_pair *p = ikev1_pair_new(54);

    ikev1_pair_set_around(p, 0, "sha256");
    ikev1_pair_set_around(p, 1, "sha256");
    start(p);
    p->transcript[0] = '\0';
    ikev1_pair_rekey_child(p, 1, ikev1_pair_outbound(p, 1, "net")->info.spi_in);
    CHECK(ikev1_pair_run(p));
    ikev1_pair_advance(p, IKEV1_DROP_MS + 20000);
    CHECK(strstr(p->transcript, "1 HDR*, HASH, D, D\n") != NULL);
    CHECK(carries(p));
    CHECK_EQUAL(ikev1_pair_live_children(p, 0), 1);
    CHECK_EQUAL(ikev1_pair_live_children(p, 1), 1);
    ikev1_pair_free(p);
}

TEST(what_both_can_compress_is_compressed_and_else_nothing_is)
{
    for (unsigned mask = 1; mask < 4; mask++) {
        struct ikev1_pair *p = ikev1_pair_new(60 + mask);

        for (unsigned side = 0; side < 2; side++) {
            if ((mask & 1u << side) != 0) {
                set_compress(p, side);
            }
        }
        start(p);
        CHECK(carries(p));
        uint16_t cpi = ikev1_pair_outbound(p, 0, "net")->info.cpi_in;

        CHECK((cpi >= IPCOMP_CPI_NEGOTIATED_FIRST && cpi <= IPCOMP_CPI_NEGOTIATED_LAST) ==
              (mask == 3));
        CHECK((cpi == 0) == (mask != 3));
        ikev1_pair_free(p);
    }
}

TEST(all_three_at_once)
{
    struct ikev1_pair *p = ikev1_pair_new(64);

    for (unsigned side = 0; side < 2; side++) {
        ikev1_pair_set_esp(p, side, "aes256-sha256-modp2048");
        ikev1_pair_set_around(p, side, "sha256");
        set_compress(p, side);
    }
    start(p);
    CHECK(carries(p));
    CHECK(ikev1_pair_outbound(p, 1, "net")->info.cpi_out != 0);
    CHECK(ikev1_pair_outbound(p, 1, "net")->info.around.spi_out != 0);
    ikev1_pair_free(p);
}

/* ---- what others offer ---- */

/* An offer by hand: parts stand under the numbers that they say. */
struct hand {
    struct ikev1_sa_payload sa;
    struct proposals esp, ah;
    struct ikev1_child_policy policy;
    uint8_t spi[4];
};

static void add(struct hand *h, uint8_t number, uint8_t protocol, struct slice spi,
                struct ikev1_wire_transform t)
{
    t.number = 1;
    t.encapsulation = t.encapsulation == 0 ? IKEV1_TUNNEL : t.encapsulation;
    h->sa.proposals[h->sa.proposal_count++] = (struct ikev1_wire_proposal){
        .number = number,
        .protocol = protocol,
        .spi = spi,
        .first = h->sa.transform_count,
        .count = 1,
    };
    h->sa.transforms[h->sa.transform_count++] = t;
}

static const struct ikev1_wire_transform esp_aes = {
    .id = IKEV1_ESP_AES_CBC, .key_bits = 128, .auth_algorithm = IKEV1_HMAC_SHA1};
static const struct ikev1_wire_transform ah_sha1 = {.id = IKEV1_AH_SHA1,
                                                    .auth_algorithm = IKEV1_HMAC_SHA1};
static const struct ikev1_wire_transform deflate = {.id = IKEV1_IPCOMP_DEFLATE};

static struct hand hand(bool around, bool compress)
{
    char why[128];
    struct hand h = {.spi = {0x01, 0x02, 0x03, 0x04}};

    h.esp.count = h.ah.count = 1;
    CHECK(
        proposal_parse(PROTOCOL_ESP, SLICE_TEXT("aes128-sha1"), &h.esp.list[0], why, sizeof(why)));
    CHECK(proposal_parse(PROTOCOL_AH, SLICE_TEXT("sha1"), &h.ah.list[0], why, sizeof(why)));
    h.policy.compress = compress;
    h.policy.lifetime_ms = NEVER_MS;
    h.policy.around = around ? &h.ah : NULL;
    return h;
}

static bool choose(struct hand *h, struct ikev1_phase2_choice *out)
{
    const struct ikev1_carriage tunnel = {0};

    h->policy.proposals = &h->esp;
    h->policy.around = h->policy.around != NULL ? &h->ah : NULL;
    h->sa.doi = IKEV1_DOI_IPSEC;
    h->sa.situation = IKEV1_SIT_IDENTITY_ONLY;
    return ikev1_phase2_choose(&h->sa, &h->policy, false, &tunnel, false, out);
}

TEST(a_number_is_taken_whole_or_not_at_all)
{
    struct ikev1_phase2_choice c;
    struct hand h = hand(false, false);

    /* AH and ESP under one number are both wanted: not by us. */
    add(&h, 1, IKEV1_PROTO_AH, SLICE_OF(h.spi), ah_sha1);
    add(&h, 1, IKEV1_PROTO_ESP, SLICE_OF(h.spi), esp_aes);
    CHECK(!choose(&h, &c));
    /* Under another one ESP is alone. */
    add(&h, 2, IKEV1_PROTO_ESP, SLICE_OF(h.spi), esp_aes);
    CHECK(choose(&h, &c));
    CHECK_EQUAL(c.proposal_number, 2);
    CHECK(!c.has_around && c.part_count == 1);
    /* And who wants both does not take the one that is alone. */
    h.policy.around = &h.ah;
    CHECK(choose(&h, &c));
    CHECK(c.proposal_number == 1 && c.has_around && c.part_count == 2);
    CHECK_EQUAL(c.around.spi, 0x01020304);
}

TEST(the_answer_has_the_parts_in_the_order_of_the_offer_with_our_spis)
{
    struct ikev1_phase2_choice c;
    struct ikev1_sa_payload answer;
    struct hand h = hand(true, true);
    const uint8_t cpi_in_4[4] = {0, 0, 0x12, 0x34};
    const struct ikev1_spis spis = {.main = {1}, .around = {2}, .compression = {3}};

    add(&h, 7, IKEV1_PROTO_IPCOMP, SLICE_OF(cpi_in_4), deflate);
    add(&h, 7, IKEV1_PROTO_ESP, SLICE_OF(h.spi), esp_aes);
    add(&h, 7, IKEV1_PROTO_AH, SLICE_OF(h.spi), ah_sha1);
    CHECK(choose(&h, &c));
    CHECK_EQUAL(c.compression.spi, 0x1234);
    ikev1_phase2_answer(&c, &spis, &answer);
    CHECK_EQUAL(answer.proposal_count, 3);
    CHECK_EQUAL(answer.proposals[0].protocol, IKEV1_PROTO_IPCOMP);
    CHECK_EQUAL(answer.proposals[0].spi.length, 2);
    CHECK_EQUAL(answer.proposals[1].protocol, IKEV1_PROTO_ESP);
    CHECK_EQUAL(answer.proposals[1].spi.data[0], 1);
    CHECK_EQUAL(answer.proposals[2].protocol, IKEV1_PROTO_AH);
    CHECK_EQUAL(answer.proposals[2].spi.data[0], 2);
    for (unsigned i = 0; i < 3; i++) {
        CHECK(answer.proposals[i].number == 7 && answer.proposals[i].count == 1);
    }
}

TEST(what_cannot_be_is_passed_over)
{
    static const struct {
        uint8_t protocol;
        uint8_t spi[4];
        uint8_t spi_bytes;
    } wrong[] = {
        {IKEV1_PROTO_IPCOMP, {0x00, 0x03}, 2}, /* LZS has this number for its own */
        {IKEV1_PROTO_IPCOMP, {0xf0, 0x00}, 2}, /* of private use */
        {IKEV1_PROTO_IPCOMP, {0x00, 0x01, 0x12, 0x34}, 4}, /* more than two octets */
        {IKEV1_PROTO_IPCOMP, {0x12, 0x34, 0x56}, 3},
        {IKEV1_PROTO_ESP, {0x01, 0x02, 0x03, 0x04}, 4}, /* ESP twice */
        {99, {0x01, 0x02, 0x03, 0x04}, 4},
    };
    struct ikev1_phase2_choice c;

    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        struct hand h = hand(false, true);

        add(&h, 1, IKEV1_PROTO_ESP, SLICE_OF(h.spi), esp_aes);
        add(&h, 1, wrong[i].protocol, (struct slice){wrong[i].spi, wrong[i].spi_bytes},
            wrong[i].protocol == IKEV1_PROTO_ESP ? esp_aes : deflate);
        CHECK(!choose(&h, &c));
    }
    /* IPComp alone protects nothing; AH in a tunnel beside ESP in transport mode is nothing known.
     */
    struct hand alone = hand(false, true);
    struct hand mixed = hand(true, false);
    struct ikev1_wire_transform transport = ah_sha1;
    const uint8_t cpi[2] = {0x12, 0x34};

    add(&alone, 1, IKEV1_PROTO_IPCOMP, SLICE_OF(cpi), deflate);
    CHECK(!choose(&alone, &c));
    transport.encapsulation = IKEV1_TRANSPORT;
    add(&mixed, 1, IKEV1_PROTO_AH, SLICE_OF(mixed.spi), transport);
    add(&mixed, 1, IKEV1_PROTO_ESP, SLICE_OF(mixed.spi), esp_aes);
    CHECK(!choose(&mixed, &c));
}

TEST(the_shortest_life_of_all_parts_counts)
{
    struct ikev1_phase2_choice c;
    struct hand h = hand(true, false);
    struct ikev1_wire_transform esp = esp_aes;
    struct ikev1_wire_transform ah = ah_sha1;

    esp.life_seconds = 3600;
    ah.life_seconds = 1800;
    ah.life_kilobytes = 4608000;
    add(&h, 1, IKEV1_PROTO_AH, SLICE_OF(h.spi), ah);
    add(&h, 1, IKEV1_PROTO_ESP, SLICE_OF(h.spi), esp);
    CHECK(choose(&h, &c));
    CHECK_EQUAL(c.life_seconds, 1800);
    CHECK_EQUAL(c.life_kilobytes, 4608000);
}

TEST(an_answer_must_be_what_was_asked_for)
{
    const struct ikev1_carriage tunnel = {0};
    struct ikev1_phase2_choice c;
    struct hand h = hand(true, true);
    const uint8_t cpi[2] = {0x12, 0x34};

    h.policy.proposals = &h.esp;
    h.policy.around = &h.ah;
    h.sa.doi = IKEV1_DOI_IPSEC;
    add(&h, 1, IKEV1_PROTO_AH, SLICE_OF(h.spi), ah_sha1);
    add(&h, 1, IKEV1_PROTO_ESP, SLICE_OF(h.spi), esp_aes);
    CHECK(ikev1_phase2_verify(&h.sa, &h.policy, 0, &tunnel, &c));
    CHECK(c.has_around && !c.compress);
    add(&h, 1, IKEV1_PROTO_IPCOMP, SLICE_OF(cpi), deflate);
    CHECK(ikev1_phase2_verify(&h.sa, &h.policy, 0, &tunnel, &c));
    CHECK(c.has_around && c.compress && c.compression.spi == 0x1234);
    h.policy.compress = false;
    CHECK(!ikev1_phase2_verify(&h.sa, &h.policy, 0, &tunnel, &c));
    h.policy.compress = true;
    h.policy.around = NULL;
    CHECK(!ikev1_phase2_verify(&h.sa, &h.policy, 0, &tunnel, &c));
    h.policy.around = &h.ah;
    h.sa.proposals[2].number = 2;
    CHECK(!ikev1_phase2_verify(&h.sa, &h.policy, 0, &tunnel, &c));
}

/* What strongSwan 5.9.8 answers: ESP, IPComp, and the same ESP once more, under the same number or,
 * where we offered to do without IPComp too, under that of this offer. */
TEST(an_answer_that_says_one_part_twice_is_understood)
{
    static const uint8_t body[] = {
        0, 0,    0,    1,    0,    0,    0,    1, 2,    0,    0,    0x28, 1,    3,    4,
        1, 0xcc, 0xa5, 0x65, 0x39, 0,    0,    0, 0x1c, 1,    0x0c, 0,    0,    0x80, 6,
        0, 0x80, 0x80, 5,    0,    5,    0x80, 4, 0,    2,    0x80, 1,    0,    1,    0x80,
        2, 0x0e, 0x10, 2,    0,    0,    0x1e, 1, 4,    2,    1,    0x6a, 0xc6, 0,    0,
        0, 0x14, 1,    2,    0,    0,    0x80, 4, 0,    2,    0x80, 1,    0,    1,    0x80,
        2, 0x0e, 0x10, 0,    0,    0,    0x28, 1, 3,    4,    1,    0xcc, 0xa5, 0x65, 0x39,
        0, 0,    0,    0x1c, 1,    0x0c, 0,    0, 0x80, 6,    0,    0x80, 0x80, 5,    0,
        5, 0x80, 4,    0,    2,    0x80, 1,    0, 1,    0x80, 2,    0x0e, 0x10};
    const struct ikev1_carriage transport = {.transport_mode = true};

    for (unsigned other = 0; other < 4; other++) {
        struct ikev1_pair *p = ikev1_pair_new(71);
        struct ikev1_child_policy *policy = &p->side[0].children_policy[0];
        struct ikev1_phase2_choice c;
        struct ikev1_sa_payload sa;
        uint8_t bytes[sizeof(body)];

        memcpy(bytes, body, sizeof(body));
        /* Another SPI, or another cipher, is not the same. */
        bytes[89] ^= other == 1 ? 1 : 0;
        bytes[95] ^= other == 2 ? 1 : 0;
        bytes[sizeof(bytes) - 40 + 4] = other == 3 ? 2 : 1;
        bool same = other == 0 || other == 3;

        policy->compress = true;
        CHECK(ikev1_read_sa(SLICE_OF(bytes), &sa));
        CHECK_EQUAL(ikev1_phase2_verify(&sa, policy, 0, &transport, &c), same);
        if (same) {
            CHECK(c.compress && c.part_count == 2);
            CHECK_EQUAL(c.compression.spi, 0x6ac6);
            CHECK_EQUAL(c.spi, 0xcca56539);
        }
        ikev1_pair_free(p);
    }
}
