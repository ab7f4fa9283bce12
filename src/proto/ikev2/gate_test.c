/* RFC 7296 2.6, 2.5, 2.21.4: cookies without memory, and how little a stranger gets. */
#include "proto/ikev2/gate.h"

#include "tests/support/test.h"

struct scene {
    struct seeded_random seeded;
    struct random_source random;
    struct ikev2_gate gate;
    struct endpoint local, peer;
    uint8_t reply[512];
    struct writer w;
};

static void begin(struct scene *s)
{
    memset(s, 0, sizeof(*s));
    seeded_random_init(&s->seeded, 7296);
    s->random = seeded_random_source(&s->seeded);
    ikev2_gate_init(&s->gate, &s->random, 1000);
    CHECK(endpoint_parse(SLICE_TEXT("192.0.2.1"), 500, &s->local));
    CHECK(endpoint_parse(SLICE_TEXT("203.0.113.7"), 500, &s->peer));
}

static enum ikev2_gate_verdict admit(struct scene *s, struct slice message, bool cookies_wanted,
                                     uint64_t now_ms)
{
    s->w = writer_over(s->reply, sizeof(s->reply));
    return ikev2_gate_admit(&s->gate, message, &s->local, &s->peer, cookies_wanted, now_ms,
                            &s->random, &s->w);
}

struct request {
    struct ikev2_header header;
    struct slice cookie;
    size_t nonce_bytes;
    uint8_t nonce_fill;
    size_t ke_bytes;
    bool no_sa, no_ke, two_nonces;
    uint8_t bytes[8192];
};

static struct request plain(void)
{
    return (struct request){
        .header = {.spi_i = UINT64_C(0xa1a2a3a4a5a6a7a8),
                   .version = 0x20,
                   .exchange = IKEV2_IKE_SA_INIT,
                   .flags = IKEV2_FLAG_INITIATOR},
        .nonce_bytes = 32,
        .nonce_fill = 0x5a,
        .ke_bytes = 36,
    };
}

static struct slice written(struct request *q)
{
    static const uint8_t zeros[8192];
    uint8_t nonce[300];
    struct writer w = writer_over(q->bytes, sizeof(q->bytes));
    uint8_t first = 0;

    memset(nonce, q->nonce_fill, sizeof(nonce));
    ikev2_write_header(&w, &q->header);
    struct ikev2_chain chain = ikev2_chain_over(&w, &first);

    if (q->cookie.length > 0) {
        struct ikev2_notify_payload notify = {.type = IKEV2_COOKIE, .data = q->cookie};

        ikev2_begin_payload(&chain, IKEV2_NOTIFY, false);
        ikev2_write_notify(&w, &notify);
        ikev2_end_payload(&chain);
    }
    if (!q->no_sa) {
        ikev2_write_payload(&chain, IKEV2_SA, (struct slice){zeros, 40});
    }
    if (!q->no_ke) {
        ikev2_write_payload(&chain, IKEV2_KE, (struct slice){zeros, q->ke_bytes});
    }
    ikev2_write_payload(&chain, IKEV2_NONCE, (struct slice){nonce, q->nonce_bytes});
    if (q->two_nonces) {
        ikev2_write_payload(&chain, IKEV2_NONCE, (struct slice){nonce, q->nonce_bytes});
    }
    q->bytes[16] = first;
    ikev2_finish_message(&w);
    CHECK(writer_ok(&w));
    return writer_written(&w);
}

/* The one notify of the reply; its header must answer `question`. */
static struct ikev2_notify_payload reply_notify(const struct scene *s,
                                                const struct ikev2_header *question)
{
    struct reader r = reader_over(writer_written(&s->w));
    struct ikev2_header h;
    struct ikev2_payload payload;
    struct ikev2_notify_payload notify;

    CHECK(ikev2_read_header(&r, &h));
    CHECK_EQUAL(h.spi_i, question->spi_i);
    CHECK_EQUAL(h.spi_r, question->spi_r);
    CHECK_EQUAL(h.exchange, question->exchange);
    CHECK_EQUAL(h.message_id, question->message_id);
    CHECK_EQUAL(h.version, 0x20);
    CHECK((h.flags & IKEV2_FLAG_RESPONSE) != 0);
    CHECK((h.flags & IKEV2_FLAG_INITIATOR) != (question->flags & IKEV2_FLAG_INITIATOR));
    uint8_t next = h.next_payload;

    CHECK(ikev2_read_payload(&r, &next, &payload));
    CHECK_EQUAL(payload.type, IKEV2_NOTIFY);
    CHECK(ikev2_read_notify(payload.body, &notify));
    CHECK(!ikev2_read_payload(&r, &next, &payload));
    CHECK(reader_done(&r));
    return notify;
}

TEST(without_need_everybody_is_admitted)
{
    struct scene s;
    struct request q = plain();

    begin(&s);
    CHECK_EQUAL(admit(&s, written(&q), false, 1000), IKEV2_GATE_ADMIT);
    q.cookie = SLICE_TEXT("some cookie that was never given");
    CHECK_EQUAL(admit(&s, written(&q), false, 1000), IKEV2_GATE_ADMIT);
}

static void fetch_cookie(struct scene *s, struct request *q, uint64_t now_ms, uint8_t cookie[64],
                         size_t *length)
{
    CHECK_EQUAL(admit(s, written(q), true, now_ms), IKEV2_GATE_REPLY);
    struct ikev2_notify_payload notify = reply_notify(s, &q->header);

    CHECK_EQUAL(notify.type, IKEV2_COOKIE);
    CHECK(notify.data.length >= 1);
    CHECK(notify.data.length <= 64);
    memcpy(cookie, notify.data.data, notify.data.length);
    *length = notify.data.length;
}

TEST(a_cookie_opens_the_gate_for_four_minutes_at_most)
{
    struct scene s;
    struct request q = plain();
    uint8_t cookie[64];
    size_t length;

    begin(&s);
    fetch_cookie(&s, &q, 1000, cookie, &length);
    q.cookie = (struct slice){cookie, length};
    CHECK_EQUAL(admit(&s, written(&q), true, 1000), IKEV2_GATE_ADMIT);
    CHECK_EQUAL(admit(&s, written(&q), true, 120999), IKEV2_GATE_ADMIT);
    /* The secret is no longer the newest, and still good. */
    CHECK_EQUAL(admit(&s, written(&q), true, 121000), IKEV2_GATE_ADMIT);
    CHECK_EQUAL(admit(&s, written(&q), true, 240999), IKEV2_GATE_ADMIT);
    CHECK_EQUAL(admit(&s, written(&q), true, 241000), IKEV2_GATE_REPLY);
}

TEST(after_a_long_silence_old_cookies_are_worth_nothing)
{
    struct scene s;
    struct request q = plain();
    uint8_t cookie[64];
    size_t length;

    begin(&s);
    fetch_cookie(&s, &q, 1000, cookie, &length);
    q.cookie = (struct slice){cookie, length};
    CHECK_EQUAL(admit(&s, written(&q), true, 1000000), IKEV2_GATE_REPLY);
}

TEST(a_cookie_is_good_for_one_spi_nonce_address_and_port)
{
    struct scene s;
    struct request q = plain();
    uint8_t cookie[64];
    size_t length;

    begin(&s);
    fetch_cookie(&s, &q, 1000, cookie, &length);
    q.cookie = (struct slice){cookie, length};
    CHECK_EQUAL(admit(&s, written(&q), true, 1000), IKEV2_GATE_ADMIT);

    q.header.spi_i++;
    CHECK_EQUAL(admit(&s, written(&q), true, 1000), IKEV2_GATE_REPLY);
    q.header.spi_i--;
    q.nonce_fill++;
    CHECK_EQUAL(admit(&s, written(&q), true, 1000), IKEV2_GATE_REPLY);
    q.nonce_fill--;
    s.peer.port++;
    CHECK_EQUAL(admit(&s, written(&q), true, 1000), IKEV2_GATE_REPLY);
    s.peer.port--;
    s.peer.address.bytes[3]++;
    CHECK_EQUAL(admit(&s, written(&q), true, 1000), IKEV2_GATE_REPLY);
    s.peer.address.bytes[3]--;
    /* RFC 7296 2.6.1: another group after INVALID_KE_PAYLOAD, the same cookie. */
    q.ke_bytes = 260;
    CHECK_EQUAL(admit(&s, written(&q), true, 1000), IKEV2_GATE_ADMIT);
    for (size_t bit = 0; bit < 8 * length; bit++) {
        cookie[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        CHECK_EQUAL(admit(&s, written(&q), true, 1000), IKEV2_GATE_REPLY);
        cookie[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    for (size_t cut = 1; cut < length; cut++) {
        q.cookie.length = cut;
        CHECK_EQUAL(admit(&s, written(&q), true, 1000), IKEV2_GATE_REPLY);
    }
}

TEST(no_answer_is_longer_than_its_question)
{
    struct scene s;

    begin(&s);
    for (size_t ke_bytes = 0; ke_bytes < 64; ke_bytes++) {
        struct request q = plain();

        q.ke_bytes = ke_bytes;
        q.nonce_bytes = 16;
        struct slice message = written(&q);
        enum ikev2_gate_verdict verdict = admit(&s, message, true, 1000);

        CHECK(verdict != IKEV2_GATE_ADMIT);
        CHECK(verdict == IKEV2_GATE_DROP || s.w.length <= message.length);
    }
    struct ikev2_header h = {.spi_i = 1, .spi_r = 2, .version = 0x20, .exchange = 37, .flags = 8};
    uint8_t bytes[64] = {0};

    for (size_t length = IKEV2_HEAD_BYTES; length < sizeof(bytes); length++) {
        struct writer w = writer_over(bytes, sizeof(bytes));

        ikev2_write_header(&w, &h);
        write_zeros(&w, length - IKEV2_HEAD_BYTES);
        ikev2_finish_message(&w);
        if (admit(&s, writer_written(&w), true, 1000 + length * 1000) == IKEV2_GATE_REPLY) {
            CHECK(s.w.length <= length);
        }
    }
}

TEST(requests_that_are_no_beginning_are_dropped)
{
    struct scene s;

    begin(&s);
    for (int cookies = 0; cookies < 2; cookies++) {
        struct request q = plain();

        q.no_sa = true;
        CHECK_EQUAL(admit(&s, written(&q), cookies == 1, 1000), IKEV2_GATE_DROP);
        q = plain();
        q.no_ke = true;
        CHECK_EQUAL(admit(&s, written(&q), cookies == 1, 1000), IKEV2_GATE_DROP);
        q = plain();
        q.nonce_bytes = 15;
        CHECK_EQUAL(admit(&s, written(&q), cookies == 1, 1000), IKEV2_GATE_DROP);
        q.nonce_bytes = 257;
        CHECK_EQUAL(admit(&s, written(&q), cookies == 1, 1000), IKEV2_GATE_DROP);
        q = plain();
        q.two_nonces = true;
        CHECK_EQUAL(admit(&s, written(&q), cookies == 1, 1000), IKEV2_GATE_DROP);
        q = plain();
        q.header.spi_i = 0;
        CHECK_EQUAL(admit(&s, written(&q), cookies == 1, 1000), IKEV2_GATE_DROP);
        q = plain();
        q.header.spi_r = 1;
        CHECK_EQUAL(admit(&s, written(&q), cookies == 1, 1000), IKEV2_GATE_DROP);
        q = plain();
        q.header.message_id = 1;
        CHECK_EQUAL(admit(&s, written(&q), cookies == 1, 1000), IKEV2_GATE_DROP);
        q = plain();
        q.header.flags = 0;
        CHECK_EQUAL(admit(&s, written(&q), cookies == 1, 1000), IKEV2_GATE_DROP);
        q.header.flags = IKEV2_FLAG_INITIATOR | IKEV2_FLAG_RESPONSE;
        CHECK_EQUAL(admit(&s, written(&q), cookies == 1, 1000), IKEV2_GATE_DROP);
        q = plain();
        q.header.version = 0x10;
        CHECK_EQUAL(admit(&s, written(&q), cookies == 1, 1000), IKEV2_GATE_DROP);
        /* Reserved flags are ignored, a later minor version is no obstacle (RFC 7296 2.5,
         * 3.1). */
        q = plain();
        q.header.flags = IKEV2_FLAG_INITIATOR | IKEV2_FLAG_VERSION | 0xc7;
        q.header.version = 0x25;
        CHECK_EQUAL(admit(&s, written(&q), false, 1000), IKEV2_GATE_ADMIT);
    }
}

TEST(a_first_message_may_be_long_but_not_endless)
{
    struct scene s;
    struct request q = plain();
    size_t around = written(&q).length - q.ke_bytes;

    begin(&s);
    q.ke_bytes = 3000 - around;
    CHECK_EQUAL(admit(&s, written(&q), false, 1000), IKEV2_GATE_ADMIT);
    q.ke_bytes = IKEV2_GATE_INIT_BYTES_MAX - around;
    CHECK_EQUAL(admit(&s, written(&q), false, 1000), IKEV2_GATE_ADMIT);
    q.ke_bytes++;
    CHECK_EQUAL(admit(&s, written(&q), false, 1000), IKEV2_GATE_DROP);
    CHECK_EQUAL(admit(&s, written(&q), true, 1000), IKEV2_GATE_DROP);
}

TEST(every_truncation_is_dropped)
{
    struct scene s;
    struct request q = plain();
    struct slice whole = written(&q);

    begin(&s);
    for (size_t length = 0; length < whole.length; length++) {
        uint8_t cut[1024];

        memcpy(cut, whole.data, length);
        CHECK_EQUAL(admit(&s, (struct slice){cut, length}, true, 1000), IKEV2_GATE_DROP);
        if (length >= IKEV2_HEAD_BYTES) {
            put_u32(cut + 24, (uint32_t)length);
            CHECK_EQUAL(admit(&s, (struct slice){cut, length}, true, 1000), IKEV2_GATE_DROP);
        }
    }
}

TEST(a_later_major_version_is_told_ours)
{
    struct scene s;
    struct request q = plain();

    begin(&s);
    q.header.version = 0x30;
    CHECK_EQUAL(admit(&s, written(&q), false, 1000), IKEV2_GATE_REPLY);
    CHECK_EQUAL(reply_notify(&s, &q.header).type, IKEV2_INVALID_MAJOR_VERSION);
    q.header.flags |= IKEV2_FLAG_RESPONSE;
    CHECK_EQUAL(admit(&s, written(&q), false, 1000), IKEV2_GATE_DROP);
}

TEST(unknown_spis_are_said_ten_times_a_second_at_most)
{
    struct scene s;
    struct request q = plain();
    unsigned replies = 0;

    begin(&s);
    q.header.spi_r = 5;
    q.header.exchange = IKEV2_INFORMATIONAL;
    q.header.message_id = 77;
    for (uint64_t now = 1000; now < 11000; now++) {
        enum ikev2_gate_verdict verdict = admit(&s, written(&q), false, now);

        CHECK(verdict != IKEV2_GATE_ADMIT);
        if (verdict == IKEV2_GATE_REPLY) {
            CHECK_EQUAL(reply_notify(&s, &q.header).type, IKEV2_INVALID_IKE_SPI);
            replies++;
        }
    }
    /* Ten in store, ten a second for ten seconds. */
    CHECK(replies >= 105);
    CHECK(replies <= 110);
    /* Never an answer to a response (RFC 7296 2.21.4), nor to SPIs of zero. */
    q.header.flags |= IKEV2_FLAG_RESPONSE;
    CHECK_EQUAL(admit(&s, written(&q), false, 60000), IKEV2_GATE_DROP);
    q.header.flags = IKEV2_FLAG_INITIATOR;
    q.header.spi_r = 0;
    CHECK_EQUAL(admit(&s, written(&q), false, 60000), IKEV2_GATE_DROP);
}

TEST(random_octets_are_never_admitted)
{
    struct scene s;

    begin(&s);
    for (int i = 0; i < 20000; i++) {
        uint8_t bytes[120];
        size_t length = random_below(&s.random, sizeof(bytes) + 1);

        random_fill(&s.random, bytes, length);
        if (length >= IKEV2_HEAD_BYTES) {
            bytes[17] = (uint8_t)(random_below(&s.random, 2) == 0 ? 0x20 : bytes[17]);
            bytes[18] = (uint8_t)(random_below(&s.random, 2) == 0 ? 34 : bytes[18]);
            put_u32(bytes + 24, (uint32_t)length);
        }
        CHECK(admit(&s, (struct slice){bytes, length}, i % 2 == 0, 1000 + (uint64_t)i) !=
              IKEV2_GATE_ADMIT);
    }
}
