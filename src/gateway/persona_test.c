/* First messages of other products, replayed at a gateway: what is answered, and what is told. */
#include "proto/ike/persona.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/gateway_pair.h"
#include "tests/support/persona_offers.h"
#include "tests/support/test.h"
#include "wire/ikev2.h"

static struct gateway_pair pair;

/* What the gateway answered last. */
static struct {
    size_t length;
    uint8_t bytes[8192];
} answer;

static bool watch(void *context, const struct gateway_pair_datagram *datagram)
{
    (void)context;
    if (datagram->protocol != 17 || datagram->from.port != 500 ||
        !address_equal(&datagram->from.address, &pair.nodes[1].outer)) {
        return false;
    }
    size_t length = datagram->length - datagram->head_bytes;

    CHECK(length <= sizeof(answer.bytes));
    memcpy(answer.bytes, datagram->bytes + datagram->head_bytes, length);
    answer.length = length;
    return true;
}

static void open_for(const struct persona_offer *offer, const char *legacy)
{
    gateway_pair_open(&pair, 601);
    snprintf(pair.nodes[1].config, sizeof(pair.nodes[1].config),
             "gateway osaka.example.jp\nlan 10.2.0.0/16\nsite tokyo {\n peer 203.0.113.1\n"
             " network 10.1.0.0/16\n key @tokyo\n start wait\n like %s\n%s%s\n}\n",
             offer->like, legacy == NULL ? "" : " legacy ", legacy == NULL ? "" : legacy);
    gateway_pair_start(&pair, 1);
    pair.lose = watch;
}

struct told {
    uint16_t notify; /* 0: it is no refusal */
    uint16_t group; /* that is wanted */
    struct ikev2_sa_payload chosen;
};

static void read_answer(struct told *out)
{
    struct reader r = reader_over((struct slice){answer.bytes, answer.length});
    struct ikev2_header header;
    struct ikev2_payload payload;

    *out = (struct told){0};
    CHECK(ikev2_read_header(&r, &header));
    uint8_t next = header.next_payload;
    while (next != IKEV2_NO_NEXT_PAYLOAD && ikev2_read_payload(&r, &next, &payload)) {
        struct ikev2_notify_payload n;

        if (payload.type == IKEV2_SA) {
            CHECK(ikev2_read_sa(payload.body, &out->chosen));
        } else if (payload.type == IKEV2_NOTIFY && ikev2_read_notify(payload.body, &n) &&
                   n.type < 16384) {
            out->notify = n.type;
            out->group = n.data.length == 2 ? (uint16_t)(n.data.data[0] << 8 | n.data.data[1]) : 0;
        }
    }
}

static void send_offer(const struct persona_offer *offer, uint16_t group, struct told *told)
{
    static struct seeded_random seeded;
    uint8_t bytes[8192];
    struct endpoint from = {pair.nodes[0].outer, 500};
    struct endpoint to = {pair.nodes[1].outer, 500};

    seeded_random_init(&seeded, 9);
    struct random_source random = seeded_random_source(&seeded);
    size_t length =
        persona_offer_write(offer, group, 0x1122334455667788, &random, bytes, sizeof(bytes));

    answer.length = 0;
    gateway_pair_inject(&pair, &from, &to, (struct slice){bytes, length});
    gateway_pair_run(&pair, 100);
    if (answer.length == 0) {
        fail_msg("%s gets no answer", offer->name);
    }
    read_answer(told);
}

/* Each word of the suite was chosen, and nothing of another kind than those. */
static bool is_suite(const struct ikev2_sa_payload *chosen, const char *words)
{
    bool all = chosen->proposal_count == 1;

    for (const char *at = words; *at != '\0';) {
        size_t length = strcspn(at, "-");
        struct slice word = {(const uint8_t *)at, length};
        struct transform t;
        bool found = false;

        if (!transform_by_word(TRANSFORM_INTEGRITY, word, &t)) {
            CHECK(transform_by_word(0, word, &t));
        }
        for (size_t i = 0; i < chosen->transform_count; i++) {
            found = found ||
                    (chosen->transforms[i].type == t.type && chosen->transforms[i].id == t.id &&
                     chosen->transforms[i].key_bits == t.key_bits);
        }
        all = all && found;
        at += length + (at[length] != '\0');
    }
    return all;
}

static void check_answer(const struct persona_offer *offer, const char *legacy, const char *suite)
{
    struct told told;

    open_for(offer, legacy);
    send_offer(offer, persona_offer_group(offer), &told);
    if (told.notify == IKEV2_INVALID_KE_PAYLOAD) {
        send_offer(offer, told.group, &told);
    }
    if (suite == NULL ? told.notify != IKEV2_NO_PROPOSAL_CHOSEN
                      : told.notify != 0 || !is_suite(&told.chosen, suite)) {
        char words[512] = "";
        struct text text = text_over(words, sizeof(words));
        for (size_t i = 0; i < told.chosen.transform_count; i++) {
            char word[64];
            struct transform t = {told.chosen.transforms[i].type, told.chosen.transforms[i].id,
                                  told.chosen.transforms[i].key_bits};
            transform_word(&t, word, sizeof(word));
            text_addf(&text, "-%s", word);
        }
        fail_msg("%s with legacy '%s': answered N(%u) %s", offer->name,
                 legacy == NULL ? "" : legacy, told.notify, words);
    }
    if (suite == NULL) {
        struct status_attempt attempt;
        char looks[64];

        CHECK(gateway_attempt_at(pair.nodes[1].gateway, 0, &attempt));
        CHECK_EQUAL(attempt.reason, REASON_NO_PROPOSAL);
        snprintf(looks, sizeof(looks), "(this is how %s looks)", persona_name(offer->persona));
        CHECK((strstr(attempt.sentence, looks) != NULL) == (offer->persona != PERSONA_UNKNOWN));
        CHECK((strstr(gateway_pair_site(&pair, 1).sentence, looks) != NULL) ==
              (offer->persona != PERSONA_UNKNOWN));
    }
    gateway_pair_close(&pair);
}

TEST(first_messages_of_other_products_are_answered_as_their_presets_say)
{
    for (size_t i = 0; persona_offer_at(i) != NULL; i++) {
        const struct persona_offer *offer = persona_offer_at(i);

        check_answer(offer, NULL, offer->suite);
        if (offer->legacy != NULL) {
            check_answer(offer, offer->legacy, offer->legacy_suite);
        }
    }
}

TEST(two_of_ours_know_each_other_unless_vendor_ids_are_off)
{
    for (int off = 0; off < 2; off++) {
        gateway_pair_open(&pair, 602);
        gateway_pair_write_config(&pair, 0, off != 0 ? "vendor-ids off" : "");
        gateway_pair_write_config(&pair, 1, "start wait");
        gateway_pair_start(&pair, 0);
        gateway_pair_start(&pair, 1);
        CHECK(gateway_pair_up(&pair, 5000));
        for (unsigned i = 0; i < 2; i++) {
            CHECK_TEXT(gateway_pair_site(&pair, i).ike.looks_like, off != 0 ? "" : "Sekisho");
        }
        CHECK(gateway_pair_passes(&pair, 0));
        gateway_pair_close(&pair);
    }
}
