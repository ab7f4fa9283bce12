/* Two machines on a bad network: windows, retransmission, fragments, and messages that are wrong.
 */
#include "proto/ikev2/machine.h"
#include "proto/ikev2/sk.h"
#include "tests/support/ikev2_pair.h"
#include "tests/support/test.h"

static bool both_up(const struct ikev2_pair *p)
{
    return p->side[0].established == 1 && p->side[1].established == 1 && p->side[0].sa != NULL &&
           p->side[1].sa != NULL;
}

TEST(every_single_loss_is_made_good_by_sending_again)
{
    for (unsigned lost = 0; lost < 4; lost++) {
        struct ikev2_pair *p = ikev2_pair_new(1);
        unsigned sent = 0;

        ikev2_pair_start(p, 0);
        while (p->queue_count > 0) {
            if (sent++ == lost) {
                ikev2_pair_drop(p, 0);
            } else {
                ikev2_pair_deliver(p, 0);
            }
        }
        CHECK(!both_up(p));
        ikev2_pair_advance(p, 2000);
        CHECK(both_up(p));
        CHECK(ikev2_pair_packet(p, 0, "net") && ikev2_pair_packet(p, 1, "net"));
        CHECK_EQUAL(p->side[0].retraced, 1);
        ikev2_pair_free(p);
    }
}

TEST(a_doubled_request_gets_the_same_answer_and_does_nothing_twice)
{
    struct ikev2_pair *p = ikev2_pair_new(2);

    ikev2_pair_start(p, 0);
    while (p->queue_count > 0) {
        ikev2_pair_deliver_copy(p, 0);
        size_t count = p->queue_count;

        ikev2_pair_deliver_copy(p, 0);
        ikev2_pair_deliver_copy(p, 0);
        if (count > 1 && p->queue[0].to == 1) {
            CHECK_EQUAL(p->queue_count, count + 2);
            CHECK_EQUAL(p->queue[count].length, p->queue[1].length);
            CHECK_BYTES(p->queue[count].bytes, p->queue[1].bytes, p->queue[1].length);
        }
        ikev2_pair_drop(p, 0);
    }
    CHECK(both_up(p));
    CHECK_EQUAL(p->side[0].child_count, 1);
    CHECK_EQUAL(p->side[1].child_count, 1);
    ikev2_pair_free(p);
}

TEST(a_changed_copy_of_an_answered_request_gets_no_answer)
{
    struct ikev2_pair *p = ikev2_pair_new(3);

    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    ikev2_pair_ask_liveness(p, 0);
    ikev2_pair_deliver_copy(p, 0);
    CHECK_EQUAL(p->queue_count, 2);
    struct pair_datagram d = p->queue[0];

    for (size_t i = 0; i < d.length; i++) {
        d.bytes[i] ^= 0x10;
        ikev2_pair_inject(p, 1, &d.local, &d.peer, (struct slice){d.bytes, d.length});
        d.bytes[i] ^= 0x10;
    }
    CHECK_EQUAL(p->queue_count, 2);
    ikev2_pair_deliver_copy(p, 0);
    CHECK_EQUAL(p->queue_count, 3);
    CHECK(ikev2_pair_run(p));
    CHECK_EQUAL(p->side[0].closed + p->side[1].closed, 0);
    ikev2_pair_free(p);
}

TEST(old_messages_are_answered_only_when_they_are_the_last_one)
{
    struct ikev2_pair *p = ikev2_pair_new(4);

    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    uint8_t first[512];

    ikev2_pair_ask_liveness(p, 0);
    struct pair_datagram d = p->queue[0];
    size_t length = d.length;
    struct endpoint local = d.local;
    struct endpoint peer = d.peer;

    CHECK(length <= sizeof(first));
    memcpy(first, d.bytes, length);
    CHECK(ikev2_pair_run(p));
    ikev2_pair_ask_liveness(p, 0);
    CHECK(ikev2_pair_run(p));
    unsigned sends = p->side[1].sends;

    ikev2_pair_inject(p, 1, &local, &peer, (struct slice){first, length});
    CHECK_EQUAL(p->side[1].sends, sends);
    ikev2_pair_free(p);
}

/* A child with so many selectors that IKE_AUTH does not fit into one packet. */
static struct ikev2_pair *with_long_messages(uint64_t seed)
{
    struct ikev2_pair *p = ikev2_pair_new(seed);

    for (unsigned i = 0; i < 2; i++) {
        p->side[i].policy.fragment_bytes = 200;
        p->side[i].responder.fragment_bytes = 200;
    }
    return p;
}

TEST(long_messages_travel_in_fragments_that_fit)
{
    struct ikev2_pair *p = with_long_messages(5);
    static const uint16_t packet_bytes = 200;

    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_deliver_to(p, 1));
    CHECK(ikev2_pair_deliver_to(p, 0));
    CHECK(p->queue_count > 2);
    for (size_t i = 0; i < p->queue_count; i++) {
        CHECK(p->queue[i].length <= (size_t)packet_bytes - 20 - 8);
        CHECK_EQUAL(p->queue[i].bytes[16], IKEV2_SKF);
    }
    /* In any order, some twice. */
    while (ikev2_pair_find(p, 1) != SIZE_MAX) {
        size_t last = p->queue_count - 1;

        while (p->queue[last].to != 1) {
            last--;
        }
        ikev2_pair_deliver_copy(p, last);
        ikev2_pair_deliver(p, last);
    }
    CHECK(ikev2_pair_run(p));
    CHECK(both_up(p));
    CHECK(ikev2_pair_agrees(p));
    ikev2_pair_free(p);
}

TEST(fragments_of_strangers_take_no_room_from_those_who_are_in)
{
    struct ikev2_pair *in = with_long_messages(50);
    struct ikev2_pair *stranger = with_long_messages(51);

    ikev2_pair_start(in, 0);
    CHECK(ikev2_pair_run(in));
    CHECK(both_up(in));
    ikev2_pair_start(stranger, 0);
    CHECK(ikev2_pair_deliver_to(stranger, 1));
    /* As if many like him had begun messages that they never end. */
    struct fragments_budget *room = stranger->side[1].sa->current->request_fragments.budget;
    size_t before = room->bytes;

    room->bytes = room->limit_bytes;
    ikev2_pair_rekey_child(in, 0, ikev2_pair_outbound(in, 0, "net")->spi_in);
    CHECK(in->queue_count > 1);
    CHECK(ikev2_pair_run(in));
    CHECK_EQUAL(in->side[1].child_count, 2);
    CHECK(ikev2_pair_deliver_to(stranger, 0));
    CHECK(ikev2_pair_run(stranger));
    CHECK(!both_up(stranger));
    room->bytes = before;
    ikev2_pair_advance(stranger, 5000);
    CHECK(both_up(stranger));
    ikev2_pair_free(stranger);
    ikev2_pair_free(in);
}

TEST(a_lost_fragment_of_a_response_comes_again_with_all_others)
{
    for (unsigned lost = 0; lost < 3; lost++) {
        struct ikev2_pair *p = with_long_messages(6);

        ikev2_pair_start(p, 0);
        CHECK(ikev2_pair_deliver_to(p, 1));
        CHECK(ikev2_pair_deliver_to(p, 0));
        while (ikev2_pair_deliver_to(p, 1)) {
        }
        size_t fragments = p->queue_count;

        if (lost < fragments) {
            ikev2_pair_drop(p, lost);
        }
        unsigned sends = p->side[1].sends;

        CHECK(ikev2_pair_run(p));
        if (lost < fragments) {
            CHECK(!both_up(p));
            ikev2_pair_advance(p, 2000);
            CHECK_EQUAL(p->side[1].sends, sends + fragments);
        }
        CHECK(both_up(p));
        CHECK_EQUAL(p->side[1].child_count, 1);
        ikev2_pair_free(p);
    }
}

TEST(without_leave_to_fragment_nothing_is_cut)
{
    struct ikev2_pair *p = with_long_messages(7);

    p->side[1].responder.fragmentation = false;
    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    CHECK(both_up(p));
    CHECK_EQUAL(p->side[0].sends, 2);
    CHECK_EQUAL(p->side[1].sends, 2);
    ikev2_pair_free(p);
}

/* A request that side 0 never makes, sealed with its keys. */
static void inject_request(struct ikev2_pair *p, uint8_t exchange, struct ikev2_outgoing *o)
{
    struct ikev2_ike *ike = p->side[0].sa->current;
    struct ikev2_header h = {
        .spi_i = ike->spi_i,
        .spi_r = ike->spi_r,
        .version = 0x20,
        .exchange = exchange,
        .flags = ike->initiator ? IKEV2_FLAG_INITIATOR : 0,
        .message_id = ike->request_id,
    };
    uint8_t bytes[4096];
    struct writer w = writer_over(bytes, sizeof(bytes));

    CHECK(ikev2_sk_seal(&ike->keys, ike->initiator, &h, o->first, writer_written(&o->w),
                        &p->side[0].random, &w));
    ike->request_id++;
    p->side[0].deaf = true;
    ikev2_pair_inject(p, 1, &p->side[1].endpoint, &p->side[0].endpoint, writer_written(&w));
}

/* The notify in the answer that side 1 sent last, 0 none. */
static uint16_t answered_notify(struct ikev2_pair *p)
{
    static struct ikev2_message m;
    struct ikev2_sk_opened opened;
    static uint8_t buffer[4096];

    CHECK(p->queue_count > 0);
    struct pair_datagram d = p->queue[p->queue_count - 1];

    CHECK(d.to == 0 && d.length <= sizeof(buffer));
    CHECK(ikev2_sk_open(&p->side[0].sa->current->keys, !p->side[0].sa->current->initiator,
                        (struct slice){d.bytes, d.length}, buffer, &opened));
    m.first = opened.first;
    m.chain = opened.chain;
    CHECK(ikev2_message_read(&m));
    return m.notify_count > 0 ? m.notify[0].type : 0;
}

static struct ikev2_pair *up(uint64_t seed)
{
    struct ikev2_pair *p = ikev2_pair_new(seed);

    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    CHECK(both_up(p));
    return p;
}

TEST(an_unknown_critical_payload_is_answered_and_an_uncritical_one_ignored)
{
    struct ikev2_pair *p = up(8);
    struct ikev2_outgoing o;

    ikev2_out_begin(&o);
    ikev2_begin_payload(&o.chain, 200, true);
    ikev2_end_payload(&o.chain);
    inject_request(p, IKEV2_INFORMATIONAL, &o);
    CHECK_EQUAL(answered_notify(p), IKEV2_UNSUPPORTED_CRITICAL_PAYLOAD);
    CHECK_EQUAL(p->side[1].closed, 0);
    ikev2_out_begin(&o);
    ikev2_begin_payload(&o.chain, 200, false);
    ikev2_end_payload(&o.chain);
    inject_request(p, IKEV2_INFORMATIONAL, &o);
    CHECK_EQUAL(answered_notify(p), 0);
    CHECK_EQUAL(p->side[1].closed, 0);
    ikev2_pair_free(p);
}

TEST(notifies_that_mean_nothing_here_change_nothing)
{
    static const uint16_t types[] = {
        IKEV2_SET_WINDOW_SIZE,
        IKEV2_HTTP_CERT_LOOKUP_SUPPORTED,
        IKEV2_MOBIKE_SUPPORTED,
        IKEV2_SIGNATURE_HASH_ALGORITHMS,
        IKEV2_ADDITIONAL_TS_POSSIBLE,
        40960,
        8192,
    };
    struct ikev2_pair *p = up(9);

    for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
        struct ikev2_outgoing o;
        static const uint8_t data[4] = {0, 0, 0, 16};

        ikev2_out_begin(&o);
        ikev2_out_notify(&o, types[i], SLICE_OF(data));
        inject_request(p, IKEV2_INFORMATIONAL, &o);
        CHECK_EQUAL(answered_notify(p), 0);
    }
    CHECK_EQUAL(p->side[1].closed, 0);
    ikev2_pair_free(p);
}

TEST(a_malformed_authentic_request_ends_the_sa_with_invalid_syntax)
{
    struct ikev2_pair *p = up(10);
    struct ikev2_outgoing o;

    ikev2_out_begin(&o);
    ikev2_begin_payload(&o.chain, IKEV2_NOTIFY, false);
    write_u8(&o.w, 0); /* a notify of one octet */
    ikev2_end_payload(&o.chain);
    inject_request(p, IKEV2_INFORMATIONAL, &o);
    CHECK_EQUAL(answered_notify(p), IKEV2_INVALID_SYNTAX);
    CHECK_EQUAL(p->side[1].closed, 1);
    CHECK_EQUAL(p->side[1].failure.reason, IKEV2_FAIL_SYNTAX);
    ikev2_pair_free(p);
}

TEST(a_rekeying_of_a_child_that_does_not_exist_is_answered_with_its_spi)
{
    struct ikev2_pair *p = up(11);
    struct ikev2_outgoing o;
    struct ikev2_sa_payload offer;
    struct ikev2_nonce nonce;
    static const uint8_t spi[4] = {1, 2, 3, 4};
    const struct ikev2_child_policy *policy = &p->side[0].children_policy[0];

    CHECK(proposal_offer(policy->proposals, PROTOCOL_ESP, SLICE_OF(spi), PROPOSAL_WITHOUT_KE,
                         &offer));
    ikev2_nonce_make(&p->side[0].random, &nonce);
    ikev2_out_begin(&o);
    ikev2_out_notify_child(&o, IKEV2_REKEY_SA, PROTOCOL_ESP, 0x99999999);
    ikev2_out_sa(&o, &offer);
    ikev2_out_nonce(&o, &nonce);
    ikev2_out_ts(&o, IKEV2_TSI, policy->local, 1);
    ikev2_out_ts(&o, IKEV2_TSR, policy->remote, 1);
    inject_request(p, IKEV2_CREATE_CHILD_SA, &o);
    CHECK_EQUAL(answered_notify(p), IKEV2_CHILD_SA_NOT_FOUND);
    CHECK_EQUAL(p->side[1].child_count, 1);
    ikev2_pair_free(p);
}

TEST(a_delete_of_what_is_not_there_is_answered_without_a_delete)
{
    struct ikev2_pair *p = up(12);
    struct ikev2_outgoing o;
    uint32_t spis[3] = {1, 2, 3};

    ikev2_out_begin(&o);
    ikev2_out_delete_children(&o, PROTOCOL_ESP, spis, 3);
    inject_request(p, IKEV2_INFORMATIONAL, &o);
    CHECK_EQUAL(answered_notify(p), 0);
    CHECK_EQUAL(p->side[1].closed, 0);
    CHECK_EQUAL(ikev2_pair_live_children(p, 1), 1);
    ikev2_pair_free(p);
}

/* ---- a bad network, by chance ---- */

struct chance {
    struct seeded_random seeded;
    struct random_source random;
    unsigned loss_percent;
};

static bool maybe(void *context, struct ikev2_pair *p, const struct pair_datagram *d)
{
    struct chance *c = context;

    (void)p;
    (void)d;
    return random_below(&c->random, 100) >= c->loss_percent;
}

/* One datagram out of the queue: any, sometimes twice. */
static void deliver_any(struct ikev2_pair *p, struct chance *c)
{
    size_t index = random_below(&c->random, (uint32_t)p->queue_count);

    if (random_below(&c->random, 10) == 0) {
        ikev2_pair_deliver_copy(p, index);
    } else {
        ikev2_pair_deliver(p, index);
    }
}

static void order_something(struct ikev2_pair *p, struct chance *c)
{
    unsigned side = random_below(&c->random, 2);
    struct pair_child *child = ikev2_pair_outbound(p, side, "net");

    if (p->side[side].sa == NULL) {
        return;
    }
    switch (random_below(&c->random, 5)) {
    case 0:
        ikev2_pair_rekey(p, side);
        return;
    case 1:
    case 2:
        if (child != NULL) {
            ikev2_pair_rekey_child(p, side, child->spi_in);
        }
        return;
    case 3:
        ikev2_pair_ask_liveness(p, side);
        return;
    default:
        (void)ikev2_pair_packet(p, side, "net");
        return;
    }
}

/* The invariants of a pair that has had time to settle. */
static void check_peace(struct ikev2_pair *p)
{
    for (unsigned i = 0; i < 2; i++) {
        struct ikev2_sa_info info;

        CHECK(p->side[i].sa != NULL);
        ikev2_sa_get_info(p->side[i].sa, &info);
        CHECK_EQUAL(info.open_exchange, 0);
        CHECK_EQUAL(p->side[i].ike_spi_count, 1);
        CHECK_EQUAL(ikev2_pair_live_children(p, i), 1);
        CHECK(ikev2_pair_packet(p, i, "net"));
        CHECK_EQUAL(p->side[i].esp_spis_given - p->side[i].esp_spis_unused, p->side[i].child_count);
    }
    CHECK(ikev2_pair_agrees(p));
    CHECK(p->side[0].spi_i == p->side[1].spi_i && p->side[0].spi_r == p->side[1].spi_r);
}

TEST(whatever_is_lost_doubled_or_late_both_sides_agree_in_the_end)
{
    for (unsigned seed = 0; seed < 300; seed++) {
        struct ikev2_pair *p = ikev2_pair_new(10000 + seed);
        struct chance c = {.loss_percent = seed % 31};

        seeded_random_init(&c.seeded, seed);
        c.random = seeded_random_source(&c.seeded);
        for (unsigned i = 0; i < 2; i++) {
            p->side[i].policy.retransmit_tries = 20;
            p->side[i].policy.retransmit_max_ms = 4000;
            ikev2_pair_set_ike(p, i, "aes128gcm16-sha256-x25519");
            ikev2_pair_set_esp(p, i, seed % 2 == 0 ? "aes128gcm16" : "aes128gcm16-x25519");
        }
        p->passes = maybe;
        p->context = &c;
        ikev2_pair_start(p, 0);
        while (!both_up(p) || p->side[0].child_count == 0) {
            ikev2_pair_advance(p, 1000);
        }
        for (unsigned step = 0; step < 150; step++) {
            unsigned what = random_below(&c.random, 10);

            if (what < 2) {
                order_something(p, &c);
            } else if (what < 8 && p->queue_count > 0) {
                deliver_any(p, &c);
            } else if (p->queue_count == 0) {
                p->now_ms += random_below(&c.random, 1500);
                ikev2_pair_time(p);
            }
        }
        p->passes = NULL;
        ikev2_pair_advance(p, 20 * 60000);
        check_peace(p);
        ikev2_pair_free(p);
    }
}
