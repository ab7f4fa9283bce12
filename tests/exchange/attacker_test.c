/*
 * Somebody who does not know the shared key, and somebody who does and sends nonsense.
 *
 * The stranger has a valid key exchange with a responder (or with an initiator who took him for
 * the gateway), knows SK_* and sends well-formed messages of all kinds at random: replays,
 * reflections and torn ones among them. Nothing is ever established, no child installed, and what
 * is kept and sent stays within bounds. The rows of past defects that other programs had are
 * tests by name.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "crypto/certificate_testbed.h"
#include "crypto/prf.h"
#include "proto/ike/proposal.h"
#include "proto/ikev2/sk.h"
#include "tests/exchange/world.h"
#include "tests/support/test.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifdef SANITIZED
#define MESSAGES 20000u
#else
#define MESSAGES 100000u
#endif

#define SENT_MAX 200
#define SEQUENCES 4000ul

static struct world w;

/* The stranger plays one side himself: what he knows of his own handshake. */
struct stranger {
    enum world_side_name side; /* the side he plays */
    bool initiator;
    struct ikev2_keys keys;
    bool has_keys;
    uint64_t spi_i, spi_r;
    uint8_t nonce[32];
    uint8_t public_value[32];
    uint8_t init_message[2048];
    size_t init_length;
    uint8_t peer_nonce[256];
    size_t peer_nonce_length;
    struct random_source random;
    struct seeded_random seeded;
    /* What he has seen, to play it again. */
    struct {
        uint8_t bytes[2048];
        size_t length;
    } seen[32];
    size_t seen_count;
};

static const struct suite stranger_suite = {
    .encryption = ENCRYPTION_AES_GCM_16,
    .key_bits = 128,
    .prf = PRF_HMAC_SHA2_256,
    .key_exchange = KEY_EXCHANGE_X25519,
};

/* ---- messages of his ---- */

struct draft {
    struct writer w;
    struct ikev2_chain chain;
    uint8_t first;
    uint8_t bytes[8192];
};

static void draft_begin(struct draft *d)
{
    d->w = writer_over(d->bytes, sizeof(d->bytes));
    d->first = 0;
    d->chain = ikev2_chain_over(&d->w, &d->first);
}

static void draft_notify(struct draft *d, uint8_t protocol, struct slice spi, uint16_t type,
                         struct slice data)
{
    struct ikev2_notify_payload n = {.protocol = protocol, .type = type, .spi = spi, .data = data};

    ikev2_begin_payload(&d->chain, IKEV2_NOTIFY, false);
    ikev2_write_notify(&d->w, &n);
    ikev2_end_payload(&d->chain);
}

static void draft_sa(struct draft *d, const struct proposals *policy, uint8_t protocol,
                     struct slice spi, enum proposal_use use)
{
    struct ikev2_sa_payload sa;

    CHECK(proposal_offer(policy, protocol, spi, use, &sa));
    ikev2_begin_payload(&d->chain, IKEV2_SA, false);
    ikev2_write_sa(&d->w, &sa);
    ikev2_end_payload(&d->chain);
}

static void draft_ke(struct draft *d, uint16_t group, struct slice value)
{
    struct ikev2_ke_payload ke = {group, value};

    ikev2_begin_payload(&d->chain, IKEV2_KE, false);
    ikev2_write_ke(&d->w, &ke);
    ikev2_end_payload(&d->chain);
}

static void draft_id(struct draft *d, uint8_t type, const struct ike_identity *id)
{
    struct ikev2_id_payload payload = {.type = id->type, .data = {id->data, id->length}};

    ikev2_begin_payload(&d->chain, type, false);
    ikev2_write_id(&d->w, &payload);
    ikev2_end_payload(&d->chain);
}

static void draft_auth(struct draft *d, uint8_t method, struct slice data)
{
    struct ikev2_auth_payload auth = {method, data};

    ikev2_begin_payload(&d->chain, IKEV2_AUTH, false);
    ikev2_write_auth(&d->w, &auth);
    ikev2_end_payload(&d->chain);
}

static void draft_ts(struct draft *d, uint8_t type, const struct selector *selector, size_t count)
{
    ikev2_begin_payload(&d->chain, type, false);
    ikev2_write_ts(&d->w, selector, count);
    ikev2_end_payload(&d->chain);
}

static void draft_delete(struct draft *d, uint8_t protocol, uint8_t spi_bytes, uint16_t count,
                         struct slice spis)
{
    struct ikev2_delete_payload payload = {protocol, spi_bytes, count, spis};

    ikev2_begin_payload(&d->chain, IKEV2_DELETE, false);
    ikev2_write_delete(&d->w, &payload);
    ikev2_end_payload(&d->chain);
}

static struct slice own_public(const struct stranger *x)
{
    return SLICE_OF(x->public_value);
}

static void keep_seen(struct stranger *x, struct slice message)
{
    if (message.length > sizeof(x->seen[0].bytes)) {
        return;
    }
    size_t at = x->seen_count < ARRAY_LENGTH(x->seen)
                    ? x->seen_count++
                    : random_below(&x->random, ARRAY_LENGTH(x->seen));

    memcpy(x->seen[at].bytes, message.data, message.length);
    x->seen[at].length = message.length;
}

/* What the victim sent is the stranger's to read and keep; nothing of it arrives anywhere
 * else. */
static size_t take_all(struct stranger *x)
{
    size_t count = 0;

    while (w.flight_count > 0) {
        CHECK(!w.flights[0].question);
        CHECK_EQUAL(w.flights[0].from, 1 - x->side);
        keep_seen(x, (struct slice){w.flights[0].bytes, w.flights[0].length});
        world_lose(&w, 0);
        count++;
    }
    w.history_length = 0;
    return count;
}

static void send_to_victim(struct stranger *x, struct slice message)
{
    keep_seen(x, message);
    world_inject(&w, 1 - x->side, message);
}

/* ---- his handshake, up to where he would need the key ---- */

static void stranger_init(struct stranger *x, enum world_side_name side, uint64_t seed)
{
    memset(x, 0, sizeof(*x));
    x->side = side;
    x->initiator = side == A;
    seeded_random_init(&x->seeded, seed + 99);
    x->random = seeded_random_source(&x->seeded);
    random_fill(&x->random, x->nonce, sizeof(x->nonce));
    random_fill(&x->random, x->public_value, sizeof(x->public_value));
}

static void stranger_fini(struct stranger *x)
{
    ikev2_keys_fini(&x->keys);
    x->has_keys = false;
}

static struct slice write_clear(struct stranger *x, struct draft *d, uint8_t exchange,
                                bool response, uint32_t message_id)
{
    struct writer out = writer_over(x->init_message, sizeof(x->init_message));
    struct ikev2_header h = {
        .spi_i = x->spi_i,
        .spi_r = x->spi_r,
        .next_payload = d->first,
        .version = 0x20,
        .exchange = exchange,
        .flags = (uint8_t)((x->initiator ? IKEV2_FLAG_INITIATOR : 0) |
                           (response ? IKEV2_FLAG_RESPONSE : 0)),
        .message_id = message_id,
    };

    ikev2_write_header(&out, &h);
    write_slice(&out, writer_written(&d->w));
    ikev2_finish_message(&out);
    CHECK(writer_ok(&out));
    x->init_length = out.length;
    return writer_written(&out);
}

static void derive(struct stranger *x, struct slice peer_public, struct slice peer_nonce)
{
    struct slice mine = own_public(x);
    bool first = memcmp(mine.data, peer_public.data, mine.length) < 0;
    const struct slice parts[] = {first ? mine : peer_public, first ? peer_public : mine};
    uint8_t shared[32];
    struct slice nonce = SLICE_OF(x->nonce);

    /* The same play as in the world's key exchange. */
    sha256(parts, 2, shared);
    CHECK(ikev2_keys_derive(&stranger_suite, SLICE_OF(shared), x->initiator ? nonce : peer_nonce,
                            x->initiator ? peer_nonce : nonce, x->spi_i, x->spi_r, &x->keys));
    x->has_keys = true;
}

/* KE and nonce out of an IKE_SA_INIT message. */
static void read_init(struct stranger *x, struct slice message, struct slice *public_value,
                      struct slice *nonce)
{
    struct reader r = reader_over(message);
    struct ikev2_header h;
    struct ikev2_payload p;
    struct ikev2_ke_payload ke = {0};

    *nonce = (struct slice){0};
    CHECK(ikev2_read_header(&r, &h));
    uint8_t next = h.next_payload;

    while (ikev2_read_payload(&r, &next, &p)) {
        if (p.type == IKEV2_KE) {
            CHECK(ikev2_read_ke(p.body, &ke));
        } else if (p.type == IKEV2_NONCE) {
            *nonce = p.body;
        }
    }
    *public_value = ke.value;
    x->spi_i = h.spi_i;
    x->spi_r = h.spi_r != 0 ? h.spi_r : x->spi_r;
}

/* A stranger who calls: the responder has answered his IKE_SA_INIT. False when it did not. */
static bool call_responder(struct stranger *x)
{
    static struct draft d;
    struct slice public_value;
    struct slice nonce;

    stranger_fini(x);
    x->spi_i = random_u64(&x->random) | 1;
    x->spi_r = 0;
    draft_begin(&d);
    draft_sa(&d, &w.side[A].ike_proposals, PROTOCOL_IKE, (struct slice){0}, PROPOSAL_WITH_KE);
    draft_ke(&d, KEY_EXCHANGE_X25519, own_public(x));
    ikev2_write_payload(&d.chain, IKEV2_NONCE, SLICE_OF(x->nonce));
    send_to_victim(x, write_clear(x, &d, IKEV2_IKE_SA_INIT, false, 0));
    if (w.flight_count != 1 || strncmp(w.flights[0].words, "HDR, SAr1, KEr, Nr", 18) != 0) {
        (void)take_all(x);
        return false;
    }
    struct slice answer = {w.flights[0].bytes, w.flights[0].length};

    read_init(x, answer, &public_value, &nonce);
    derive(x, public_value, nonce);
    memcpy(x->peer_nonce, nonce.data, nonce.length);
    x->peer_nonce_length = nonce.length;
    (void)take_all(x);
    return true;
}

/* And announces what we do not know. */
static bool says_more;

/* A stranger who is called: he answers the initiator's IKE_SA_INIT, and its IKE_AUTH is in his
 * hands. */
static void answer_initiator(struct stranger *x)
{
    static struct draft d;
    struct slice public_value;
    struct slice nonce;
    struct ikev2_sa_payload offer;
    struct proposal_choice choice;
    struct ikev2_sa_payload answer;
    const struct proposals *lists[] = {&w.side[B].ike_proposals};

    stranger_fini(x);
    world_start(&w);
    CHECK_EQUAL(w.flight_count, 1);
    x->spi_r = random_u64(&x->random) | 1;
    read_init(x, (struct slice){w.flights[0].bytes, w.flights[0].length}, &public_value, &nonce);
    memcpy(x->peer_nonce, nonce.data, nonce.length);
    x->peer_nonce_length = nonce.length;
    CHECK(proposal_offer(&w.side[A].ike_proposals, PROTOCOL_IKE, (struct slice){0},
                         PROPOSAL_WITH_KE, &offer));
    CHECK_EQUAL(proposal_choose(&offer, lists, 1, PROTOCOL_IKE, 0, PROPOSAL_WITH_KE,
                                KEY_EXCHANGE_X25519, &choice),
                PROPOSAL_CHOSEN);
    proposal_answer(&choice, (struct slice){0}, &answer);
    derive(x, public_value, nonce);
    draft_begin(&d);
    ikev2_begin_payload(&d.chain, IKEV2_SA, false);
    ikev2_write_sa(&d.w, &answer);
    ikev2_end_payload(&d.chain);
    draft_ke(&d, KEY_EXCHANGE_X25519, own_public(x));
    ikev2_write_payload(&d.chain, IKEV2_NONCE, SLICE_OF(x->nonce));
    if (says_more) {
        draft_notify(&d, 0, (struct slice){0}, IKEV2_MULTIPLE_AUTH_SUPPORTED, (struct slice){0});
    }
    (void)take_all(x);
    send_to_victim(x, write_clear(x, &d, IKEV2_IKE_SA_INIT, true, 0));
    CHECK_EQUAL(w.flight_count, 1);
    CHECK_TEXT(w.flights[0].words,
               w.side[A].policy.certificates == NULL
                   ? "HDR, SK {IDi, IDr, AUTH, SAi2, TSi, TSr}"
                   : "HDR, SK {IDi, CERT, CERTREQ, N(SUPPORTED_AUTH_METHODS), IDr, AUTH, SAi2, "
                     "TSi, TSr}");
    (void)take_all(x);
}

static void send_sealed(struct stranger *x, uint8_t exchange, bool response, uint32_t message_id,
                        uint8_t first, struct slice chain)
{
    static uint8_t bytes[16384];
    struct writer out = writer_over(bytes, sizeof(bytes));
    struct ikev2_header h = {
        .spi_i = x->spi_i,
        .spi_r = x->spi_r,
        .version = 0x20,
        .exchange = exchange,
        .flags = (uint8_t)((x->initiator ? IKEV2_FLAG_INITIATOR : 0) |
                           (response ? IKEV2_FLAG_RESPONSE : 0)),
        .message_id = message_id,
    };

    CHECK(ikev2_sk_seal(&x->keys, x->initiator, &h, first, chain, &x->random, &out));
    send_to_victim(x, writer_written(&out));
}

/* ---- at random ---- */

static struct slice random_octets(struct stranger *x, size_t length_max)
{
    static uint8_t bytes[4][1024];
    static unsigned turn;
    uint8_t *out = bytes[turn++ % 4];
    size_t length = random_below(&x->random, (uint32_t)length_max + 1);

    random_fill(&x->random, out, length);
    return (struct slice){out, length};
}

static const uint16_t notifies[] = {
    IKEV2_UNSUPPORTED_CRITICAL_PAYLOAD,
    IKEV2_INVALID_IKE_SPI,
    IKEV2_INVALID_SYNTAX,
    IKEV2_INVALID_MESSAGE_ID,
    IKEV2_NO_PROPOSAL_CHOSEN,
    IKEV2_INVALID_KE_PAYLOAD,
    IKEV2_AUTHENTICATION_FAILED,
    IKEV2_SINGLE_PAIR_REQUIRED,
    IKEV2_TS_UNACCEPTABLE,
    IKEV2_TEMPORARY_FAILURE,
    IKEV2_CHILD_SA_NOT_FOUND,
    IKEV2_INITIAL_CONTACT,
    IKEV2_SET_WINDOW_SIZE,
    IKEV2_ADDITIONAL_TS_POSSIBLE,
    IKEV2_NAT_DETECTION_SOURCE_IP,
    IKEV2_NAT_DETECTION_DESTINATION_IP,
    IKEV2_COOKIE,
    IKEV2_USE_TRANSPORT_MODE,
    IKEV2_REKEY_SA,
    IKEV2_MOBIKE_SUPPORTED,
    IKEV2_EAP_ONLY_AUTHENTICATION,
    IKEV2_CHILDLESS_SUPPORTED,
    IKEV2_FRAGMENTATION_SUPPORTED,
    IKEV2_MULTIPLE_AUTH_SUPPORTED,
    IKEV2_ANOTHER_AUTH_FOLLOWS,
    IKEV2_CLONE_IKE_SA,
    IKEV2_USE_PPK,
    IKEV2_PPK_IDENTITY,
    IKEV2_NO_PPK_AUTH,
    IKEV2_USE_PPK_INT,
    IKEV2_PPK_IDENTITY_KEY,
    12345,
    54321,
};

static const uint8_t exchanges[] = {
    IKEV2_IKE_SA_INIT,
    IKEV2_IKE_AUTH,
    IKEV2_CREATE_CHILD_SA,
    IKEV2_INFORMATIONAL,
    IKEV2_IKE_SESSION_RESUME,
    IKEV2_IKE_INTERMEDIATE,
    IKEV2_IKE_FOLLOWUP_KE,
    0,
    240,
};

#define PICK(x, list) ((list)[random_below(&(x)->random, ARRAY_LENGTH(list))])

static void random_payload(struct stranger *x, struct draft *d)
{
    static const uint8_t methods[] = {IKEV2_AUTH_SHARED_KEY,
                                      IKEV2_AUTH_RSA_SIGNATURE,
                                      IKEV2_AUTH_NULL,
                                      IKEV2_AUTH_DIGITAL_SIGNATURE,
                                      0,
                                      200};
    static const uint8_t protocols[] = {0, 1, 2, 3, 9};
    static const uint8_t kinds[] = {
        IKEV2_CERT, IKEV2_CERTREQ, IKEV2_CP, IKEV2_EAP, IKEV2_VENDOR_ID, 1, 5, 13, 60, 200};
    uint8_t spi[8];
    struct slice spis = {spi, 0};

    random_fill(&x->random, spi, sizeof(spi));
    spis.length = (size_t)4 * random_below(&x->random, 3);
    switch (random_below(&x->random, 13)) {
    case 0:
        draft_sa(d, &w.side[A].child_proposals[0], PROTOCOL_ESP, (struct slice){spi, 4},
                 PROPOSAL_WITHOUT_KE);
        break;
    case 1:
        draft_sa(d, &w.side[A].ike_proposals, PROTOCOL_IKE, (struct slice){spi, 8},
                 PROPOSAL_WITH_KE);
        break;
    case 2:
        draft_ke(d, (uint16_t)random_below(&x->random, 40), random_octets(x, 64));
        break;
    case 3:
        draft_id(d, IKEV2_IDI, &w.side[A].policy.local_id);
        break;
    case 4:
        draft_id(d, IKEV2_IDR, &w.side[B].policy.local_id);
        break;
    case 5:
        draft_auth(d, PICK(x, methods), random_octets(x, 64));
        break;
    case 6:
        ikev2_write_payload(&d->chain, IKEV2_NONCE, random_octets(x, 64));
        break;
    case 7:
        draft_notify(d, PICK(x, protocols), spis, PICK(x, notifies), random_octets(x, 30));
        break;
    case 8:
        draft_delete(d, PICK(x, protocols), 4, (uint16_t)(spis.length / 4), spis);
        break;
    case 9:
        draft_delete(d, PROTOCOL_IKE, 0, 0, (struct slice){0});
        break;
    case 10:
        draft_ts(d, IKEV2_TSI, &w.side[A].local_selector, 1);
        break;
    case 11:
        draft_ts(d, IKEV2_TSR, &w.side[A].remote_selector, 1);
        break;
    default:
        ikev2_write_payload(&d->chain, PICK(x, kinds), random_octets(x, 100));
        break;
    }
}

/* What IKE_AUTH should have, with an AUTH that he cannot make. */
static void almost_right(struct stranger *x, struct draft *d)
{
    draft_id(d, x->initiator ? IKEV2_IDI : IKEV2_IDR, &w.side[x->side].policy.local_id);
    draft_auth(d, IKEV2_AUTH_SHARED_KEY, random_octets(x, 64));
    draft_sa(d, &w.side[A].child_proposals[0], PROTOCOL_ESP, SLICE_TEXT("\x01\x02\x03\x04"),
             PROPOSAL_WITHOUT_KE);
    draft_ts(d, IKEV2_TSI, &w.side[A].local_selector, 1);
    draft_ts(d, IKEV2_TSR, &w.side[A].remote_selector, 1);
}

static void play_again(struct stranger *x)
{
    static uint8_t bytes[2048];
    size_t at = random_below(&x->random, (uint32_t)x->seen_count);
    size_t length = x->seen[at].length;

    memcpy(bytes, x->seen[at].bytes, length);
    switch (random_below(&x->random, 4)) {
    case 0: /* as it was: a replay, or the victim's own words */
        break;
    case 1: /* reflected: the flags turned round */
        bytes[19] ^= IKEV2_FLAG_INITIATOR;
        break;
    case 2:
        bytes[random_below(&x->random, (uint32_t)length)] ^=
            (uint8_t)(1u << random_below(&x->random, 8));
        break;
    default: /* torn, with a length that fits */
        length = random_below(&x->random, (uint32_t)length + 1);
        if (length >= IKEV2_HEAD_BYTES) {
            put_u32(bytes + 24, (uint32_t)length);
        }
        break;
    }
    world_inject(&w, 1 - x->side, (struct slice){bytes, length});
}

static void random_message(struct stranger *x)
{
    static struct draft d;
    static uint8_t clear[2048];
    bool response = random_below(&x->random, 3) == 0;
    uint32_t message_id =
        random_below(&x->random, 8) == 0 ? random_u32(&x->random) : random_below(&x->random, 4);

    if (x->seen_count > 0 && random_below(&x->random, 4) == 0) {
        play_again(x);
        return;
    }
    draft_begin(&d);
    if (random_below(&x->random, 8) == 0) {
        almost_right(x, &d);
    } else {
        for (uint32_t n = random_below(&x->random, 7); n > 0; n--) {
            random_payload(x, &d);
        }
    }
    CHECK(writer_ok(&d.w));
    if (x->has_keys && random_below(&x->random, 5) != 0) {
        uint8_t exchange = random_below(&x->random, 2) == 0 ? IKEV2_IKE_AUTH : PICK(x, exchanges);

        send_sealed(x, exchange, response, message_id, d.first, writer_written(&d.w));
        return;
    }
    struct writer out = writer_over(clear, sizeof(clear));
    struct ikev2_header h = {
        .spi_i = x->spi_i,
        .spi_r = random_below(&x->random, 3) == 0 ? 0 : x->spi_r,
        .next_payload = d.first,
        .version = random_below(&x->random, 20) == 0 ? 0x30 : 0x20,
        .exchange = PICK(x, exchanges),
        .flags = (uint8_t)((x->initiator ? IKEV2_FLAG_INITIATOR : 0) |
                           (response ? IKEV2_FLAG_RESPONSE : 0)),
        .message_id = message_id,
    };

    ikev2_write_header(&out, &h);
    write_slice(&out, writer_written(&d.w));
    ikev2_finish_message(&out);
    if (writer_ok(&out)) {
        send_to_victim(x, writer_written(&out));
    }
}

static void check_nothing_gained(const struct side *victim)
{
    CHECK_EQUAL(victim->established, 0);
    CHECK_EQUAL(victim->installs, 0);
    CHECK_EQUAL(victim->installed_count, 0);
    CHECK_EQUAL(victim->initial_contact, 0);
    CHECK(victim->ike_spi_count <= 1);
    CHECK(victim->esp_spi_count <= 1);
    CHECK(victim->longest_sent <= 1500);
}

static size_t heap_in_use(void)
{
#ifdef SANITIZED
    return 0; /* its allocator does not say */
#else
    return mallinfo2().uordblks;
#endif
}

/* G16, the responder's side. */
TEST(a_hundred_thousand_messages_of_a_stranger_do_not_open_a_responder)
{
    static struct stranger x;
    size_t heap = 0;
    unsigned calls = 0;

    world_init(&w, 1);
    stranger_init(&x, A, 1);
    for (unsigned i = 0; i < MESSAGES; i++) {
        struct side *victim = &w.side[B];

        if (victim->sa == NULL) {
            calls += call_responder(&x);
        }
        random_message(&x);
        size_t sent = take_all(&x);

        CHECK(sent <= 2);
        check_nothing_gained(victim);
        /* Half-open ones end by themselves; meanwhile many guesses are had. */
        if (i % 50 == 49) {
            w.now_ms += 5000;
            (void)world_wake(&w);
            (void)take_all(&x);
        }
        if (i == MESSAGES / 4) {
            heap = heap_in_use();
        }
    }
    CHECK(calls > 100);
    CHECK(heap_in_use() <= heap + 65536);
    stranger_fini(&x);
    world_fini(&w);
}

/* G16, the initiator's side: the stranger took the gateway's place. */
TEST(a_hundred_thousand_messages_of_a_stranger_do_not_open_an_initiator)
{
    static struct stranger x;
    size_t heap = 0;
    unsigned calls = 0;

    world_init(&w, 2);
    w.side[A].policy.retransmit_tries = 3;
    stranger_init(&x, B, 2);
    for (unsigned i = 0; i < MESSAGES; i++) {
        struct side *victim = &w.side[A];

        if (victim->sa == NULL) {
            victim->failed = 0;
            answer_initiator(&x);
            calls++;
        }
        random_message(&x);
        size_t sent = take_all(&x);

        CHECK(sent <= 2);
        check_nothing_gained(victim);
        if (i % 20 == 19 && victim->sa != NULL) {
            (void)world_wake(&w);
            (void)take_all(&x);
        }
        if (i == MESSAGES / 4) {
            heap = heap_in_use();
        }
    }
    CHECK(calls > 100);
    CHECK(heap_in_use() <= heap + 65536);
    stranger_fini(&x);
    world_fini(&w);
}

/* ---- sequences ---- */

/* What a stranger can have of certificates: those of both sides, which are no secret, and ones of
 * his own that say the same names. */
struct papers {
    struct certificate *root, *genuine[2];
    struct private_key *genuine_key[2];
    struct certificate *forged_root, *forged[2];
    struct credential *forger[2]; /* signs as either side by the forged one */
    struct ikev2_certificates of[2];
    uint8_t authorities[64];
    size_t authorities_length;
};

static struct papers papers;

static void make_papers(void)
{
    static const struct testbed_order orders[2] = {
        {.subject = "CN=a", .names = "DNS:a.example", .usage = "digitalSignature", .serial = 11},
        {.subject = "CN=b", .names = "DNS:b.example", .usage = "digitalSignature", .serial = 12}};
    if (papers.root != NULL) {
        return;
    }
    struct private_key *root_key = private_key_make(KEY_P256, 0);
    struct private_key *forged_root_key = private_key_make(KEY_P256, 0);

    papers.root = testbed_issue(&testbed_root, root_key, NULL, NULL);
    papers.forged_root = testbed_issue(&testbed_root, forged_root_key, NULL, NULL);
    for (size_t i = 0; i < 2; i++) {
        struct private_key *forged_key = private_key_make(KEY_P256, 0);

        papers.genuine_key[i] = private_key_make(KEY_P256, 0);
        papers.genuine[i] = testbed_issue(&orders[i], papers.genuine_key[i], papers.root, root_key);
        papers.forged[i] =
            testbed_issue(&orders[i], forged_key, papers.forged_root, forged_root_key);
        papers.forger[i] = testbed_credential(forged_key, &papers.forged[i], 1);
        papers.of[i].own = testbed_credential(papers.genuine_key[i], &papers.genuine[i], 1);
        papers.of[i].trust = testbed_trust(papers.root);
        private_key_free(forged_key);
    }
    private_key_free(root_key);
    private_key_free(forged_root_key);
    papers.authorities_length = ikev2_certify_authorities(papers.of[0].trust, papers.authorities,
                                                          sizeof(papers.authorities));
}

/* Both sides of the world have certificates from here on. */
static void show_papers(void)
{
    make_papers();
    w.now_s = TESTBED_NOW_S;
    for (size_t i = 0; i < 2; i++) {
        w.side[i].policy.certificates = &papers.of[i];
        w.side[i].responder.certificates = true;
        w.side[i].responder.authorities =
            (struct slice){papers.authorities, papers.authorities_length};
    }
}

static void draft_certificate(struct draft *d, const struct certificate *certificate)
{
    ikev2_begin_payload(&d->chain, IKEV2_CERT, false);
    write_u8(&d->w, 4); /* X.509, signature (RFC 7296 3.6) */
    write_slice(&d->w, certificate_der(certificate));
    ikev2_end_payload(&d->chain);
}

/* The signature that the forged certificate's key makes of what must be signed. */
static size_t forge(const struct stranger *x, uint8_t out[128])
{
    const struct ike_identity *id = &w.side[x->side].policy.local_id;
    uint8_t whole[4 + IKE_IDENTITY_BYTES_MAX] = {id->type};
    struct writer signature = writer_over(out, 128);
    struct ikev2_auth_octets octets;
    uint8_t all[4096];
    struct writer to_sign = writer_over(all, sizeof(all));
    char why[200];
    struct text text = text_over(why, sizeof(why));

    memcpy(whole + 4, id->data, id->length);
    CHECK(ikev2_auth_octets(&x->keys, x->initiator, (struct slice){x->init_message, x->init_length},
                            (struct slice){x->peer_nonce, x->peer_nonce_length},
                            (struct slice){whole, 4 + (size_t)id->length}, &octets));
    write_slice(&to_sign, octets.message);
    write_slice(&to_sign, octets.nonce);
    write_slice(&to_sign, (struct slice){octets.maced_id, octets.maced_id_bytes});
    CHECK(writer_ok(&to_sign));
    CHECK(credential_sign(papers.forger[x->side], SIGNATURE_ECDSA_SHA256, writer_written(&to_sign),
                          &signature, &text));
    return signature.length;
}

/* IKE_AUTH as it must be, with the certificate of the peer or one that says the same, and a
 * signature that is not his. */
static void almost_signed(struct stranger *x, struct draft *d)
{
    static const uint8_t ecdsa_sha256[] = {13,   0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86,
                                           0x48, 0xce, 0x3d, 0x04, 0x03, 0x02};
    uint8_t auth[160];
    size_t length = 64;
    bool forged = random_below(&x->random, 2) == 0;

    random_fill(&x->random, auth, sizeof(auth));
    if (random_below(&x->random, 4) == 0) {
        length = forge(x, auth);
    }
    draft_id(d, x->initiator ? IKEV2_IDI : IKEV2_IDR, &w.side[x->side].policy.local_id);
    draft_certificate(d, forged ? papers.forged[x->side] : papers.genuine[x->side]);
    if (random_below(&x->random, 4) == 0) {
        draft_certificate(d, random_below(&x->random, 2) == 0 ? papers.forged_root : papers.root);
    }
    if (length == 64 && random_below(&x->random, 2) == 0) {
        draft_auth(d, IKEV2_AUTH_ECDSA_256, (struct slice){auth, length});
    } else {
        uint8_t named[sizeof(ecdsa_sha256) + sizeof(auth)];

        memcpy(named, ecdsa_sha256, sizeof(ecdsa_sha256));
        named[0] = sizeof(ecdsa_sha256) - 1;
        memcpy(named + sizeof(ecdsa_sha256), auth, length);
        draft_auth(d, IKEV2_AUTH_DIGITAL_SIGNATURE,
                   (struct slice){named, sizeof(ecdsa_sha256) + length});
    }
    draft_sa(d, &w.side[A].child_proposals[0], PROTOCOL_ESP, SLICE_TEXT("\x01\x02\x03\x04"),
             PROPOSAL_WITHOUT_KE);
    draft_ts(d, IKEV2_TSI, &w.side[A].local_selector, 1);
    draft_ts(d, IKEV2_TSR, &w.side[A].remote_selector, 1);
}

/* One handshake up to where credentials are needed, and then up to a dozen messages. */
static void play_sequence(struct stranger *x, bool by_certificates)
{
    static struct draft d;
    struct side *victim = &w.side[1 - x->side];

    x->seen_count = 0;
    if (x->initiator) {
        (void)call_responder(x);
    } else {
        answer_initiator(x);
    }
    for (uint32_t n = 1 + random_below(&x->random, 12); n > 0 && victim->sa != NULL; n--) {
        if (by_certificates && random_below(&x->random, 4) == 0) {
            draft_begin(&d);
            almost_signed(x, &d);
            CHECK(writer_ok(&d.w));
            send_sealed(x, IKEV2_IKE_AUTH, !x->initiator, 1, d.first, writer_written(&d.w));
        } else {
            random_message(x);
        }
        CHECK(take_all(x) <= 3);
        check_nothing_gained(victim);
    }
    while (victim->sa != NULL) {
        w.now_ms += 31000;
        (void)world_wake(&w);
        (void)take_all(x);
        check_nothing_gained(victim);
    }
    victim->failed = 0;
}

/* `make strangers` has a million, in all four ways. */
static unsigned long number_of(const char *name, unsigned long otherwise)
{
    const char *said = getenv(name);

    return said != NULL ? strtoul(said, NULL, 10) : otherwise;
}

static void play_sequences(enum world_side_name side, bool by_certificates)
{
    static struct stranger x;
    unsigned long count = number_of("SEKISHO_STRANGERS", SEQUENCES) / 4;
    uint64_t seed =
        1000 * number_of("SEKISHO_STRANGERS_SEED", 1) + side + (by_certificates ? 10 : 0);

    world_init(&w, seed);
    w.side[A].policy.retransmit_tries = 2;
    if (by_certificates) {
        show_papers();
    }
    stranger_init(&x, side, seed);
    for (unsigned long i = 0; i < count; i++) {
        play_sequence(&x, by_certificates);
    }
    printf("%lu sequences of a stranger who %s, %s: none established anything\n", count,
           side == A ? "calls" : "is called", by_certificates ? "certificates" : "a shared key");
    stranger_fini(&x);
    world_fini(&w);
}

TEST(sequences_of_a_stranger_who_calls_establish_nothing)
{
    play_sequences(A, false);
    play_sequences(A, true);
}

TEST(sequences_of_a_stranger_who_is_called_establish_nothing)
{
    play_sequences(B, false);
    play_sequences(B, true);
}

/* The same papers with the right key do: it is not for another reason that nothing is established.
 */
TEST(with_the_right_certificates_something_is_established)
{
    world_init(&w, 3);
    show_papers();
    world_start(&w);
    world_deliver_all(&w);
    CHECK_EQUAL(w.side[A].established, 1);
    CHECK_EQUAL(w.side[B].established, 1);
    world_fini(&w);
}

/* ---- somebody who has the key ---- */

/* AUTH as `x` makes it with this key. */
static size_t make_auth(const struct stranger *x, struct slice key, uint8_t auth[64])
{
    const struct ike_identity *id = &w.side[x->side].policy.local_id;
    uint8_t whole[4 + IKE_IDENTITY_BYTES_MAX] = {id->type};
    struct ikev2_auth_octets octets;
    struct secret shared_key = {0};
    size_t length;

    memcpy(whole + 4, id->data, id->length);
    CHECK(secret_set(&shared_key, key));
    CHECK(ikev2_auth_octets(&x->keys, x->initiator, (struct slice){x->init_message, x->init_length},
                            (struct slice){x->peer_nonce, x->peer_nonce_length},
                            (struct slice){whole, 4 + (size_t)id->length}, &octets));
    CHECK(ikev2_auth_shared_key(&x->keys, &shared_key, &octets, auth, &length));
    secret_wipe(&shared_key);
    return length;
}

enum auth_part { PART_ID, PART_AUTH, PART_SA, PART_TSI, PART_TSR, AUTH_PARTS };

/* IKE_AUTH without one of its parts (AUTH_PARTS: none is missing). */
static void write_auth(struct stranger *x, struct draft *d, enum auth_part without, uint8_t method,
                       struct slice auth)
{
    (void)x;
    draft_begin(d);
    if (without != PART_ID) {
        draft_id(d, IKEV2_IDI, &w.side[A].policy.local_id);
    }
    if (without != PART_AUTH) {
        draft_auth(d, method, auth);
    }
    if (without != PART_SA) {
        draft_sa(d, &w.side[A].child_proposals[0], PROTOCOL_ESP, SLICE_TEXT("\x01\x02\x03\x04"),
                 PROPOSAL_WITHOUT_KE);
    }
    if (without != PART_TSI) {
        draft_ts(d, IKEV2_TSI, &w.side[A].local_selector, 1);
    }
    if (without != PART_TSR) {
        draft_ts(d, IKEV2_TSR, &w.side[A].remote_selector, 1);
    }
}

/* What the victim answered to the last message: the words of the one message, "" when it said
 * nothing. */
static const char *heard(struct stranger *x)
{
    static char words[WORLD_WORDS_BYTES];

    words[0] = '\0';
    CHECK(w.flight_count <= 1);
    if (w.flight_count == 1) {
        memcpy(words, w.flights[0].words, sizeof(words));
    }
    (void)take_all(x);
    return words;
}

static const char *say(struct stranger *x, uint8_t exchange, uint32_t message_id,
                       const struct draft *d)
{
    send_sealed(x, exchange, false, message_id, d->first, writer_written(&d->w));
    return heard(x);
}

static void become_peer(struct stranger *x, uint64_t seed)
{
    static struct draft d;
    uint8_t auth[64];

    world_init(&w, seed);
    stranger_init(x, A, seed);
    CHECK(call_responder(x));
    size_t length = make_auth(x, SLICE_TEXT("a key that both know"), auth);

    write_auth(x, &d, AUTH_PARTS, IKEV2_AUTH_SHARED_KEY, (struct slice){auth, length});
    CHECK_TEXT(say(x, IKEV2_IKE_AUTH, 1, &d), "HDR, SK {IDr, AUTH, SAr2, TSi, TSr}");
    CHECK_EQUAL(w.side[B].established, 1);
    CHECK_EQUAL(w.side[B].installed_count, 1);
}

static void leave(struct stranger *x)
{
    stranger_fini(x);
    world_fini(&w);
}

/* CVE-2004-0155, CVE-2020-16088: AUTH is looked at, every bit of it. */
TEST(every_flipped_bit_of_auth_is_refused)
{
    static struct stranger x;
    static struct draft d;

    for (size_t bit = 0; bit < 256; bit++) {
        uint8_t auth[64];

        world_init(&w, bit);
        stranger_init(&x, A, bit);
        CHECK(call_responder(&x));
        size_t length = make_auth(&x, SLICE_TEXT("a key that both know"), auth);

        CHECK_EQUAL(length, 32);
        auth[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        write_auth(&x, &d, AUTH_PARTS, IKEV2_AUTH_SHARED_KEY, (struct slice){auth, length});
        CHECK_TEXT(say(&x, IKEV2_IKE_AUTH, 1, &d), "HDR, SK {N(AUTHENTICATION_FAILED)}");
        check_nothing_gained(&w.side[B]);
        leave(&x);
    }
}

/* What the peer himself said in an earlier handshake, taken from there. */
TEST(auth_of_another_handshake_is_refused)
{
    static struct stranger x;
    static struct draft d;
    uint8_t auth[64];
    size_t length = 0;

    for (unsigned again = 0; again < 2; again++) {
        world_init(&w, 70 + again);
        stranger_init(&x, A, 70 + again);
        CHECK(call_responder(&x));
        if (again == 0) {
            length = make_auth(&x, SLICE_TEXT("a key that both know"), auth);
        }
        write_auth(&x, &d, AUTH_PARTS, IKEV2_AUTH_SHARED_KEY, (struct slice){auth, length});
        CHECK_TEXT(say(&x, IKEV2_IKE_AUTH, 1, &d), again == 0
                                                       ? "HDR, SK {IDr, AUTH, SAr2, TSi, TSr}"
                                                       : "HDR, SK {N(AUTHENTICATION_FAILED)}");
        if (again == 1) {
            check_nothing_gained(&w.side[B]);
        }
        leave(&x);
    }
}

/* CVE-2013-2944, CVE-2012-2388: an empty, short, long or zero AUTH; another method; another
 * key. */
TEST(auth_that_is_no_auth_is_refused)
{
    static struct stranger x;
    static struct draft d;
    static const uint8_t zeros[300];
    static const size_t lengths[] = {0, 1, 31, 32, 33, 64, 256};
    static const uint8_t methods[] = {IKEV2_AUTH_RSA_SIGNATURE,
                                      IKEV2_AUTH_SHARED_KEY,
                                      IKEV2_AUTH_DSS_SIGNATURE,
                                      IKEV2_AUTH_NULL,
                                      IKEV2_AUTH_DIGITAL_SIGNATURE,
                                      0,
                                      255};

    for (size_t m = 0; m < ARRAY_LENGTH(methods); m++) {
        for (size_t i = 0; i <= ARRAY_LENGTH(lengths); i++) {
            uint8_t auth[64];

            world_init(&w, m * 100 + i);
            stranger_init(&x, A, m);
            CHECK(call_responder(&x));
            /* The right octets under another method, or zeros; the right method never has the
             * right octets. */
            size_t length = make_auth(&x,
                                      methods[m] == IKEV2_AUTH_SHARED_KEY
                                          ? SLICE_TEXT("a key that nobody knows")
                                          : SLICE_TEXT("a key that both know"),
                                      auth);
            struct slice value = i == ARRAY_LENGTH(lengths) ? (struct slice){auth, length}
                                                            : (struct slice){zeros, lengths[i]};

            write_auth(&x, &d, AUTH_PARTS, methods[m], value);
            (void)say(&x, IKEV2_IKE_AUTH, 1, &d);
            check_nothing_gained(&w.side[B]);
            leave(&x);
        }
    }
}

/* CVE-2013-6467, CVE-2009-1958: IKE_AUTH without a payload that must be there. */
TEST(ike_auth_without_an_expected_payload_is_refused)
{
    static struct stranger x;
    static struct draft d;

    for (enum auth_part without = PART_ID; without < AUTH_PARTS; without++) {
        uint8_t auth[64];

        world_init(&w, without);
        stranger_init(&x, A, without);
        CHECK(call_responder(&x));
        size_t length = make_auth(&x, SLICE_TEXT("a key that both know"), auth);

        write_auth(&x, &d, without, IKEV2_AUTH_SHARED_KEY, (struct slice){auth, length});
        (void)say(&x, IKEV2_IKE_AUTH, 1, &d);
        CHECK_EQUAL(w.side[B].installs, 0);
        if (without == PART_ID || without == PART_AUTH) {
            CHECK_EQUAL(w.side[B].established, 0);
        }
        leave(&x);
    }
}

/* CVE-2014-2338, CVE-2009-1957, CVE-2019-12312: anything but IKE_AUTH before it. */
TEST(nothing_but_ike_auth_is_answered_before_authentication)
{
    static const uint8_t early[] = {IKEV2_CREATE_CHILD_SA, IKEV2_INFORMATIONAL,
                                    IKEV2_IKE_INTERMEDIATE, IKEV2_IKE_FOLLOWUP_KE};
    static struct stranger x;
    static struct draft d;

    for (size_t i = 0; i < ARRAY_LENGTH(early); i++) {
        for (uint32_t id = 0; id < 3; id++) {
            world_init(&w, i);
            stranger_init(&x, A, i);
            CHECK(call_responder(&x));
            /* A rekeying of the IKE SA, well formed. */
            draft_begin(&d);
            draft_sa(&d, &w.side[A].ike_proposals, PROTOCOL_IKE,
                     SLICE_TEXT("\x01\x02\x03\x04\x05\x06\x07\x08"), PROPOSAL_WITH_KE);
            ikev2_write_payload(&d.chain, IKEV2_NONCE, SLICE_OF(x.nonce));
            draft_ke(&d, KEY_EXCHANGE_X25519, own_public(&x));
            CHECK_TEXT(say(&x, early[i], id, &d), "");
            draft_begin(&d);
            draft_delete(&d, PROTOCOL_IKE, 0, 0, (struct slice){0});
            CHECK_TEXT(say(&x, early[i], id, &d), "");
            check_nothing_gained(&w.side[B]);
            CHECK(w.side[B].sa != NULL);
            leave(&x);
        }
    }
}

/* The same towards an initiator that waits for the answer to its IKE_AUTH. */
TEST(an_initiator_takes_no_request_before_authentication)
{
    static struct stranger x;
    static struct draft d;

    world_init(&w, 3);
    stranger_init(&x, B, 3);
    answer_initiator(&x);
    draft_begin(&d);
    draft_sa(&d, &w.side[A].ike_proposals, PROTOCOL_IKE,
             SLICE_TEXT("\x01\x02\x03\x04\x05\x06\x07\x08"), PROPOSAL_WITH_KE);
    ikev2_write_payload(&d.chain, IKEV2_NONCE, SLICE_OF(x.nonce));
    draft_ke(&d, KEY_EXCHANGE_X25519, own_public(&x));
    CHECK_TEXT(say(&x, IKEV2_CREATE_CHILD_SA, 0, &d), "");
    draft_begin(&d);
    CHECK_TEXT(say(&x, IKEV2_INFORMATIONAL, 0, &d), "");
    check_nothing_gained(&w.side[A]);
    leave(&x);
}

static struct slice init_with(struct stranger *x, struct draft *d, const struct proposals *policy,
                              uint16_t group, struct slice public_value)
{
    draft_begin(d);
    draft_sa(d, policy, PROTOCOL_IKE, (struct slice){0}, PROPOSAL_WITH_KE);
    draft_ke(d, group, public_value);
    ikev2_write_payload(&d->chain, IKEV2_NONCE, SLICE_OF(x->nonce));
    return write_clear(x, d, IKEV2_IKE_SA_INIT, false, 0);
}

/* CVE-2008-4551, CVE-2014-9221, CVE-2023-41913: values of no octets, one more or less,
 * thousands; private groups. */
TEST(key_exchange_payloads_of_any_length_and_group)
{
    static const uint16_t groups[] = {
        KEY_EXCHANGE_X25519, KEY_EXCHANGE_ECP_256, 0, 1025, 65535, 37};
    static const size_t lengths[] = {0, 1, 31, 33, 64, 65, 1024, 1900};
    static uint8_t value[2048];
    static struct stranger x;
    static struct draft d;

    memset(value, 7, sizeof(value));
    for (size_t g = 0; g < ARRAY_LENGTH(groups); g++) {
        for (size_t i = 0; i < ARRAY_LENGTH(lengths); i++) {
            world_init(&w, g);
            stranger_init(&x, A, g);
            x.spi_i = 77;
            send_to_victim(&x, init_with(&x, &d, &w.side[A].ike_proposals, groups[g],
                                         (struct slice){value, lengths[i]}));
            const char *words = heard(&x);

            CHECK(strncmp(words, "HDR, SAr1", 9) != 0 ||
                  (groups[g] == KEY_EXCHANGE_ECP_256 && lengths[i] == 64));
            check_nothing_gained(&w.side[B]);
            leave(&x);
        }
    }
}

/* CVE-2016-5391: a proposal without a group; and without each of the others. */
TEST(ike_proposals_without_a_needed_transform_are_refused)
{
    static struct stranger x;
    static struct draft d;

    for (uint8_t without = TRANSFORM_ENCRYPTION; without <= TRANSFORM_KEY_EXCHANGE; without++) {
        struct ikev2_sa_payload sa;

        world_init(&w, without);
        stranger_init(&x, A, without);
        x.spi_i = 77;
        CHECK(proposal_offer(&w.side[A].ike_proposals, PROTOCOL_IKE, (struct slice){0},
                             PROPOSAL_WITH_KE, &sa));
        uint16_t kept = 0;

        for (uint16_t i = 0; i < sa.transform_count; i++) {
            if (sa.transforms[i].type != without) {
                sa.transforms[kept++] = sa.transforms[i];
            }
        }
        bool complete = kept == sa.transform_count;

        sa.transform_count = kept;
        sa.proposals[0].count = kept;
        draft_begin(&d);
        ikev2_begin_payload(&d.chain, IKEV2_SA, false);
        ikev2_write_sa(&d.w, &sa);
        ikev2_end_payload(&d.chain);
        draft_ke(&d, KEY_EXCHANGE_X25519, own_public(&x));
        ikev2_write_payload(&d.chain, IKEV2_NONCE, SLICE_OF(x.nonce));
        send_to_victim(&x, write_clear(&x, &d, IKEV2_IKE_SA_INIT, false, 0));
        CHECK_TEXT(heard(&x), complete ? "HDR, SAr1, KEr, Nr, N(CHILDLESS_IKEV2_SUPPORTED)"
                                       : "HDR, N(NO_PROPOSAL_CHOSEN)");
        leave(&x);
    }
}

/* CVE-2023-30570: refused for its algorithms, then the same SPIs again. */
TEST(a_refused_beginning_leaves_nothing_to_come_back_to)
{
    static struct stranger x;
    static struct draft d;
    struct proposals bad = {.count = 1};
    char why[200];

    world_init(&w, 5);
    stranger_init(&x, A, 5);
    CHECK(proposal_parse(PROTOCOL_IKE, SLICE_TEXT("aes256-sha384-x25519"), &bad.list[0], why,
                         sizeof(why)));
    x.spi_i = 77;
    send_to_victim(&x, init_with(&x, &d, &bad, KEY_EXCHANGE_X25519, own_public(&x)));
    CHECK_TEXT(heard(&x), "HDR, N(NO_PROPOSAL_CHOSEN)");
    CHECK(w.side[B].sa == NULL);
    x.spi_r = 1234;
    derive(&x, own_public(&x), SLICE_OF(x.nonce));
    draft_begin(&d);
    almost_right(&x, &d);
    CHECK_TEXT(say(&x, IKEV2_IKE_AUTH, 1, &d), "");
    check_nothing_gained(&w.side[B]);
    leave(&x);
}

/* B4: CVE-2004-0164, CVE-2007-1841: what is not protected deletes nobody. */
TEST(what_is_said_in_clear_changes_nothing)
{
    static struct stranger x;
    static struct draft d;
    static const uint16_t types[] = {IKEV2_INITIAL_CONTACT, IKEV2_AUTHENTICATION_FAILED,
                                     IKEV2_INVALID_IKE_SPI, IKEV2_INVALID_SPI,
                                     IKEV2_INVALID_SYNTAX};

    become_peer(&x, 6);
    for (unsigned response = 0; response < 2; response++) {
        for (uint32_t id = 0; id < 4; id++) {
            for (size_t i = 0; i <= ARRAY_LENGTH(types); i++) {
                draft_begin(&d);
                if (i < ARRAY_LENGTH(types)) {
                    draft_notify(&d, 0, (struct slice){0}, types[i], (struct slice){0});
                } else {
                    draft_delete(&d, PROTOCOL_IKE, 0, 0, (struct slice){0});
                }
                send_to_victim(&x, write_clear(&x, &d, IKEV2_INFORMATIONAL, response == 1, id));
                (void)heard(&x);
                CHECK(w.side[B].sa != NULL);
                CHECK_EQUAL(w.side[B].installed_count, 1);
                CHECK_EQUAL(w.side[B].initial_contact, 0);
            }
        }
    }
    leave(&x);
}

/* CVE-2023-38710: REKEY_SA for protocol 0, 1, 2 and for SPIs of any size and value. */
TEST(rekey_notifies_of_any_protocol_and_spi)
{
    static struct stranger x;
    static struct draft d;
    static const uint8_t spi[8] = {1, 2, 3, 4, 5, 6, 7, 8};

    for (uint8_t protocol = 0; protocol < 5; protocol++) {
        for (size_t length = 0; length <= 8; length++) {
            become_peer(&x, 7);
            draft_begin(&d);
            draft_notify(&d, protocol, (struct slice){spi, length}, IKEV2_REKEY_SA,
                         (struct slice){0});
            draft_sa(&d, &w.side[A].child_proposals[0], PROTOCOL_ESP,
                     SLICE_TEXT("\x0a\x02\x03\x04"), PROPOSAL_WITH_KE);
            ikev2_write_payload(&d.chain, IKEV2_NONCE, SLICE_OF(x.nonce));
            draft_ke(&d, KEY_EXCHANGE_X25519, own_public(&x));
            draft_ts(&d, IKEV2_TSI, &w.side[A].local_selector, 1);
            draft_ts(&d, IKEV2_TSR, &w.side[A].remote_selector, 1);
            (void)say(&x, IKEV2_CREATE_CHILD_SA, 2, &d);
            CHECK(w.side[B].installed_count <= 2);
            leave(&x);
        }
    }
}

/* CVE-2023-38712: several deletes of one child in one message, and of children that are not
 * there. */
TEST(deletes_said_twice_delete_once)
{
    static struct stranger x;
    static struct draft d;
    static const uint8_t spis[12] = {1, 2, 3, 4, 1, 2, 3, 4, 9, 9, 9, 9};

    become_peer(&x, 8);
    draft_begin(&d);
    draft_delete(&d, PROTOCOL_ESP, 4, 3, SLICE_OF(spis));
    draft_delete(&d, PROTOCOL_ESP, 4, 1, (struct slice){spis, 4});
    CHECK_TEXT(say(&x, IKEV2_INFORMATIONAL, 2, &d), "HDR, SK {D}");
    CHECK_EQUAL(w.side[B].installed_count, 0);
    CHECK(w.side[B].sa != NULL);
    /* Message 2 again: the same answer, nothing new happens. */
    CHECK_TEXT(say(&x, IKEV2_INFORMATIONAL, 2, &d), "again");
    draft_begin(&d);
    draft_delete(&d, PROTOCOL_IKE, 0, 0, (struct slice){0});
    draft_delete(&d, PROTOCOL_IKE, 0, 0, (struct slice){0});
    draft_delete(&d, PROTOCOL_ESP, 4, 1, (struct slice){spis, 4});
    CHECK_TEXT(say(&x, IKEV2_INFORMATIONAL, 3, &d), "HDR, SK {}");
    CHECK(w.side[B].sa == NULL);
    CHECK_EQUAL(w.side[B].closed, 1);
    leave(&x);
}

/* CVE-2023-23009: selectors that are malformed, after authentication. */
TEST(malformed_selectors_of_an_authenticated_peer_are_refused)
{
    static struct stranger x;
    static struct draft d;
    uint8_t body[24] = {1, 0, 0, 0, 7, 0, 0, 16, 0, 0, 255, 255, 10, 1, 0, 0, 10, 1, 255, 255};

    for (size_t at = 0; at < 20; at++) {
        for (unsigned value = 0; value < 256; value += 17) {
            uint8_t wrong[24];

            memcpy(wrong, body, sizeof(wrong));
            wrong[at] = (uint8_t)value;
            for (size_t length = 18; length <= 22; length++) {
                if (at > 8 && length != 20) {
                    continue;
                }
                become_peer(&x, 9);
                draft_begin(&d);
                draft_sa(&d, &w.side[A].child_proposals[0], PROTOCOL_ESP,
                         SLICE_TEXT("\x0a\x02\x03\x04"), PROPOSAL_WITH_KE);
                ikev2_write_payload(&d.chain, IKEV2_NONCE, SLICE_OF(x.nonce));
                draft_ke(&d, KEY_EXCHANGE_X25519, own_public(&x));
                ikev2_write_payload(&d.chain, IKEV2_TSI, (struct slice){wrong, length});
                draft_ts(&d, IKEV2_TSR, &w.side[A].remote_selector, 1);
                (void)say(&x, IKEV2_CREATE_CHILD_SA, 2, &d);
                CHECK(w.side[B].installed_count <= 2);
                leave(&x);
            }
        }
    }
}

/* As many children as a peer can have, then all of them deleted in one message; and with the IKE
 * SA. */
TEST(as_many_children_as_there_can_be_are_deleted_at_once)
{
    static struct stranger x;
    static struct draft d;

    for (unsigned with_ike_sa = 0; with_ike_sa < 2; with_ike_sa++) {
        uint8_t spis[4 * 300];
        uint32_t id = 2;
        unsigned made = 1;

        become_peer(&x, 20);
        put_u32(spis, 0x01020304);
        for (; made < 300; made++) {
            put_u32(spis + (size_t)4 * made, 0x02000000 + made);
            draft_begin(&d);
            draft_sa(&d, &w.side[A].child_proposals[0], PROTOCOL_ESP,
                     (struct slice){spis + (size_t)4 * made, 4}, PROPOSAL_WITH_KE);
            ikev2_write_payload(&d.chain, IKEV2_NONCE, SLICE_OF(x.nonce));
            draft_ke(&d, KEY_EXCHANGE_X25519, own_public(&x));
            draft_ts(&d, IKEV2_TSI, &w.side[A].local_selector, 1);
            draft_ts(&d, IKEV2_TSR, &w.side[A].remote_selector, 1);
            if (strcmp(say(&x, IKEV2_CREATE_CHILD_SA, id++, &d),
                       "HDR, SK {SA, Nr, KEr, TSi, TSr}") != 0) {
                break;
            }
        }
        CHECK_EQUAL(w.side[B].installed_count, made);
        CHECK(made >= 16);
        CHECK(made < 64);
        draft_begin(&d);
        if (with_ike_sa == 1) {
            draft_delete(&d, PROTOCOL_IKE, 0, 0, (struct slice){0});
        } else {
            draft_delete(&d, PROTOCOL_ESP, 4, (uint16_t)made,
                         (struct slice){spis, (size_t)4 * made});
        }
        send_sealed(&x, IKEV2_INFORMATIONAL, false, id, d.first, writer_written(&d.w));
        CHECK_EQUAL(w.side[B].installed_count, 0);
        (void)take_all(&x);
        leave(&x);
    }
}

/* RFC 7296 2.5: an unknown payload is ignored, an unknown critical one refused; CVE-2015-3991:
 * those of IKEv1 as well. */
TEST(unknown_payloads_are_ignored_unless_critical)
{
    static struct stranger x;
    static struct draft d;

    for (unsigned type = 1; type < 256; type++) {
        if (type >= IKEV2_SA && type <= IKEV2_EAP + 5) {
            continue;
        }
        for (unsigned critical = 0; critical < 2; critical++) {
            become_peer(&x, 10);
            draft_begin(&d);
            ikev2_begin_payload(&d.chain, (uint8_t)type, critical == 1);
            write_slice(&d.w, SLICE_TEXT("whatever"));
            ikev2_end_payload(&d.chain);
            CHECK_TEXT(say(&x, IKEV2_INFORMATIONAL, 2, &d),
                       critical == 1 ? "HDR, SK {N(UNSUPPORTED_CRITICAL_PAYLOAD)}" : "HDR, SK {}");
            leave(&x);
        }
    }
}

/* One suite out of what the victim offers. */
static void draft_chosen_sa(struct draft *d, const struct proposals *policy, uint8_t protocol,
                            struct slice spi, enum proposal_use use)
{
    const struct proposals *lists[] = {policy};
    struct ikev2_sa_payload sa;
    struct proposal_choice choice;

    CHECK(proposal_offer(policy, protocol, spi, use, &sa));
    CHECK_EQUAL(proposal_choose(&sa, lists, 1, protocol, spi.length, use,
                                use == PROPOSAL_WITH_KE ? KEY_EXCHANGE_X25519 : KEY_EXCHANGE_NONE,
                                &choice),
                PROPOSAL_CHOSEN);
    proposal_answer(&choice, spi, &sa);
    ikev2_begin_payload(&d->chain, IKEV2_SA, false);
    ikev2_write_sa(&d->w, &sa);
    ikev2_end_payload(&d->chain);
}

/* ---- what others may say, and we do not ---- */

/* RFC 9478 2.1: behind these selectors a label, or two. */
static void draft_labelled(struct draft *d, uint8_t type, const struct selector *selector,
                           size_t labels)
{
    static const uint8_t label[] = {10, 0, 0, 12, 's', 'y', 's', ':', 't', ':', 's', '0'};
    uint8_t body[256];
    struct writer out = writer_over(body, sizeof(body));

    if (selector != NULL) {
        ikev2_write_ts(&out, selector, 1);
    } else {
        write_u32(&out, 0);
    }
    for (size_t i = 0; i < labels; i++) {
        write_slice(&out, SLICE_OF(label));
    }
    CHECK(writer_ok(&out));
    body[0] = (uint8_t)(labels + (selector != NULL ? 1 : 0));
    ikev2_write_payload(&d->chain, type, writer_written(&out));
}

static void draft_child(struct stranger *x, struct draft *d, const char *spi)
{
    draft_begin(d);
    draft_sa(d, &w.side[A].child_proposals[0], PROTOCOL_ESP,
             (struct slice){(const uint8_t *)spi, 4}, PROPOSAL_WITH_KE);
    ikev2_write_payload(&d->chain, IKEV2_NONCE, SLICE_OF(x->nonce));
    draft_ke(d, KEY_EXCHANGE_X25519, own_public(x));
}

/* RFC 9478 3: who does not know labels leaves them out of his answer. */
TEST(labels_in_selectors_are_left_out)
{
    static struct stranger x;
    static struct draft d;

    for (size_t labels = 1; labels < 3; labels++) {
        uint8_t auth[64];

        world_init(&w, 30);
        stranger_init(&x, A, 30);
        CHECK(call_responder(&x));
        size_t length = make_auth(&x, SLICE_TEXT("a key that both know"), auth);

        write_auth(&x, &d, PART_TSI, IKEV2_AUTH_SHARED_KEY, (struct slice){auth, length});
        /* TSr stands there without a label, and TSi behind it with some. */
        draft_labelled(&d, IKEV2_TSI, &w.side[A].local_selector, labels);
        CHECK_TEXT(say(&x, IKEV2_IKE_AUTH, 1, &d), "HDR, SK {IDr, AUTH, SAr2, TSi, TSr}");
        CHECK_EQUAL(w.side[B].installed_count, 1);
        draft_child(&x, &d, "\x0a\x02\x03\x04");
        draft_labelled(&d, IKEV2_TSI, &w.side[A].local_selector, labels);
        draft_labelled(&d, IKEV2_TSR, &w.side[A].remote_selector, labels);
        CHECK_TEXT(say(&x, IKEV2_CREATE_CHILD_SA, 2, &d), "HDR, SK {SA, Nr, KEr, TSi, TSr}");
        CHECK_EQUAL(w.side[B].installed_count, 2);
        /* Nothing but labels is nothing that we know. */
        draft_child(&x, &d, "\x0b\x02\x03\x04");
        draft_labelled(&d, IKEV2_TSI, NULL, labels);
        draft_labelled(&d, IKEV2_TSR, NULL, labels);
        CHECK_TEXT(say(&x, IKEV2_CREATE_CHILD_SA, 3, &d), "HDR, SK {N(TS_UNACCEPTABLE)}");
        CHECK_EQUAL(w.side[B].installed_count, 2);
        CHECK(w.side[B].sa != NULL);
        leave(&x);
    }
}

static void draft_rekey_ike(struct stranger *x, struct draft *d, bool clone)
{
    draft_begin(d);
    if (clone) {
        draft_notify(d, 0, (struct slice){0}, IKEV2_CLONE_IKE_SA, (struct slice){0});
    }
    draft_sa(d, &w.side[A].ike_proposals, PROTOCOL_IKE,
             SLICE_TEXT("\x01\x02\x03\x04\x05\x06\x07\x08"), PROPOSAL_WITH_KE);
    ikev2_write_payload(&d->chain, IKEV2_NONCE, SLICE_OF(x->nonce));
    draft_ke(d, KEY_EXCHANGE_X25519, own_public(x));
}

/* RFC 7791 5.3. The children stay where they are, and a rekeying is one still. */
TEST(an_ike_sa_is_not_cloned)
{
    static struct stranger x;
    static struct draft d;

    become_peer(&x, 31);
    draft_rekey_ike(&x, &d, true);
    CHECK_TEXT(say(&x, IKEV2_CREATE_CHILD_SA, 2, &d), "HDR, SK {N(NO_ADDITIONAL_SAS)}");
    CHECK_EQUAL(w.side[B].rekeyed, 0);
    draft_begin(&d);
    CHECK_TEXT(say(&x, IKEV2_INFORMATIONAL, 3, &d), "HDR, SK {}");
    /* 5.2: in any other message it is ignored. */
    draft_child(&x, &d, "\x0a\x02\x03\x04");
    draft_ts(&d, IKEV2_TSI, &w.side[A].local_selector, 1);
    draft_ts(&d, IKEV2_TSR, &w.side[A].remote_selector, 1);
    draft_notify(&d, 0, (struct slice){0}, IKEV2_CLONE_IKE_SA, (struct slice){0});
    CHECK_TEXT(say(&x, IKEV2_CREATE_CHILD_SA, 4, &d), "HDR, SK {SA, Nr, KEr, TSi, TSr}");
    draft_rekey_ike(&x, &d, false);
    CHECK_TEXT(say(&x, IKEV2_CREATE_CHILD_SA, 5, &d), "HDR, SK {SA, Nr, KEr}");
    CHECK_EQUAL(w.side[B].rekeyed, 1);
    leave(&x);
}

/* RFC 7791 5.1, RFC 4739 3: what the other can, and that we cannot, is passed over on both sides. A
 * second proof is nothing that we asked for. */
TEST(a_second_proof_and_cloning_are_announced_in_vain)
{
    static struct stranger x;
    static struct draft d;
    static const uint16_t more[] = {IKEV2_MULTIPLE_AUTH_SUPPORTED, IKEV2_CLONE_IKE_SA_SUPPORTED,
                                    IKEV2_ANOTHER_AUTH_FOLLOWS};
    uint8_t auth[64];

    world_init(&w, 32);
    stranger_init(&x, A, 32);
    CHECK(call_responder(&x));
    size_t length = make_auth(&x, SLICE_TEXT("a key that both know"), auth);

    write_auth(&x, &d, AUTH_PARTS, IKEV2_AUTH_SHARED_KEY, (struct slice){auth, length});
    for (size_t i = 0; i < ARRAY_LENGTH(more); i++) {
        draft_notify(&d, 0, (struct slice){0}, more[i], (struct slice){0});
    }
    CHECK_TEXT(say(&x, IKEV2_IKE_AUTH, 1, &d), "HDR, SK {IDr, AUTH, SAr2, TSi, TSr}");
    CHECK_EQUAL(w.side[B].established, 1);
    /* Who proves himself again all the same has lost his way (RFC 7296 2.21.3). */
    write_auth(&x, &d, AUTH_PARTS, IKEV2_AUTH_SHARED_KEY, (struct slice){auth, length});
    CHECK_TEXT(say(&x, IKEV2_IKE_AUTH, 2, &d), "HDR, SK {N(INVALID_SYNTAX)}");
    CHECK_EQUAL(w.side[B].established, 1);
    CHECK(w.side[B].sa == NULL);
    CHECK_EQUAL(w.side[B].installed_count, 0);
    leave(&x);

    world_init(&w, 33);
    stranger_init(&x, B, 33);
    says_more = true;
    answer_initiator(&x);
    says_more = false;
    length = make_auth(&x, SLICE_TEXT("a key that both know"), auth);
    draft_begin(&d);
    draft_id(&d, IKEV2_IDR, &w.side[B].policy.local_id);
    draft_auth(&d, IKEV2_AUTH_SHARED_KEY, (struct slice){auth, length});
    draft_chosen_sa(&d, &w.side[B].child_proposals[0], PROTOCOL_ESP, SLICE_TEXT("\x01\x02\x03\x04"),
                    PROPOSAL_WITHOUT_KE);
    draft_ts(&d, IKEV2_TSI, &w.side[A].local_selector, 1);
    draft_ts(&d, IKEV2_TSR, &w.side[A].remote_selector, 1);
    draft_notify(&d, 0, (struct slice){0}, IKEV2_CLONE_IKE_SA_SUPPORTED, (struct slice){0});
    draft_notify(&d, 0, (struct slice){0}, IKEV2_MULTIPLE_AUTH_SUPPORTED, (struct slice){0});
    send_sealed(&x, IKEV2_IKE_AUTH, true, 1, d.first, writer_written(&d.w));
    CHECK_EQUAL(w.side[A].established, 1);
    CHECK_EQUAL(w.side[A].installed_count, 1);
    (void)take_all(&x);
    leave(&x);
}

/* CVE-2026-12413: many payloads outside, before SK. */
TEST(payloads_outside_of_sk_are_refused)
{
    static struct stranger x;
    static struct draft d;

    become_peer(&x, 11);
    for (unsigned count = 1; count < 200; count += 13) {
        draft_begin(&d);
        for (unsigned i = 0; i < count; i++) {
            ikev2_write_payload(&d.chain, 200, (struct slice){0});
        }
        ikev2_write_payload(&d.chain, IKEV2_SK, random_octets(&x, 100));
        send_to_victim(&x, write_clear(&x, &d, IKEV2_INFORMATIONAL, false, 2));
        CHECK_TEXT(heard(&x), "");
    }
    CHECK(w.side[B].sa != NULL);
    leave(&x);
}

/* RFC 7296 2.3: nothing but the next request and the last one again is answered. */
TEST(message_ids_outside_of_the_window_are_dropped)
{
    static struct stranger x;
    static struct draft d;
    static const uint32_t ids[] = {0, 3, 4, 1000, 0x7fffffff, 0xffffffff};

    become_peer(&x, 12);
    for (size_t i = 0; i < ARRAY_LENGTH(ids); i++) {
        draft_begin(&d);
        CHECK_TEXT(say(&x, IKEV2_INFORMATIONAL, ids[i], &d), "");
    }
    draft_begin(&d);
    CHECK_TEXT(say(&x, IKEV2_INFORMATIONAL, 2, &d), "HDR, SK {}");
    CHECK_TEXT(say(&x, IKEV2_INFORMATIONAL, 2, &d), "again");
    CHECK_TEXT(say(&x, IKEV2_INFORMATIONAL, 1, &d), "");
    leave(&x);
}

/* Fragments without end: nothing of them is kept beyond the bounds, nothing is answered. */
TEST(fragments_that_never_become_whole_do_not_grow)
{
    static struct stranger x;
    static uint8_t bytes[4096];

    become_peer(&x, 13);
    size_t heap = heap_in_use();

    for (unsigned i = 0; i < 3000; i++) {
        uint16_t total = (uint16_t)(2 + random_below(&x.random, 80));
        uint16_t number = (uint16_t)(1 + random_below(&x.random, (uint32_t)total - 1));
        struct writer out = writer_over(bytes, sizeof(bytes));
        struct ikev2_header h = {.spi_i = x.spi_i,
                                 .spi_r = x.spi_r,
                                 .version = 0x20,
                                 .exchange = IKEV2_INFORMATIONAL,
                                 .flags = IKEV2_FLAG_INITIATOR,
                                 .message_id = 2};

        CHECK(ikev2_skf_seal(&x.keys, true, &h, IKEV2_NOTIFY, number, total,
                             random_octets(&x, 1000), &x.random, &out));
        world_inject(&w, B, writer_written(&out));
        CHECK_TEXT(heard(&x), "");
        CHECK(heap_in_use() <= heap + 200000);
    }
    CHECK(w.side[B].sa != NULL);
    leave(&x);
}

/* A peer with the key that sends nonsense: nothing crashes, nothing grows, one answer to a
 * message. */
TEST(nonsense_of_an_authenticated_peer_stays_within_bounds)
{
    static struct stranger x;
    static struct draft d;
    uint32_t id = 2;
    uint64_t seed = 100;
    unsigned peers = 1;

    become_peer(&x, seed);
    for (unsigned i = 0; i < MESSAGES / 5; i++) {
        struct side *victim = &w.side[B];

        if (victim->sa == NULL || victim->installs > 400) {
            leave(&x);
            become_peer(&x, ++seed);
            id = 2;
            peers++;
        }
        w.lawless = true;
        draft_begin(&d);
        for (uint32_t n = random_below(&x.random, 8); n > 0; n--) {
            random_payload(&x, &d);
        }
        static const uint8_t usual[] = {IKEV2_CREATE_CHILD_SA, IKEV2_CREATE_CHILD_SA,
                                        IKEV2_INFORMATIONAL, IKEV2_IKE_AUTH, 99};

        bool response = random_below(&x.random, 6) == 0;
        uint8_t exchange = PICK(&x, usual);

        send_sealed(&x, exchange, response, id, d.first, writer_written(&d.w));
        size_t sent = 0;

        /* A request of his is answered with the next number; ours are left unanswered. */
        for (size_t f = 0; f < w.flight_count; f++) {
            sent++;
            id += !response && strcmp(w.flights[f].words, "again") != 0 &&
                  (w.flights[f].bytes[19] & IKEV2_FLAG_RESPONSE) != 0;
        }
        (void)take_all(&x);
        CHECK(sent <= 3);
        CHECK(victim->installed_count <= 48);
        CHECK(victim->ike_spi_count <= 8);
        CHECK(victim->longest_sent <= 1500);
        if (random_below(&x.random, 50) == 0) {
            (void)world_wake(&w);
            (void)take_all(&x);
        }
    }
    CHECK(peers > 3);
    leave(&x);
}

/* An answer that is nearly right: the parts of a true one, some of them missing, doubled or of
 * a wrong kind. */
static void nearly_an_answer(struct stranger *x, struct draft *d)
{
    bool ike = random_below(&x->random, 2) == 0;
    uint8_t spi[8];
    struct slice spi_slice = {spi, ike ? 8 : 4};

    random_fill(&x->random, spi, sizeof(spi));
    if (random_below(&x->random, 10) != 0) {
        draft_chosen_sa(d, ike ? &w.side[A].ike_proposals : &w.side[A].child_proposals[0],
                        ike ? PROTOCOL_IKE : PROTOCOL_ESP, spi_slice, PROPOSAL_WITH_KE);
    }
    if (random_below(&x->random, 10) != 0) {
        ikev2_write_payload(&d->chain, IKEV2_NONCE,
                            random_below(&x->random, 8) == 0 ? random_octets(x, 64)
                                                             : SLICE_OF(x->nonce));
    }
    if (random_below(&x->random, 10) != 0) {
        draft_ke(d, KEY_EXCHANGE_X25519, own_public(x));
    }
    if (!ike && random_below(&x->random, 10) != 0) {
        const struct selector *mine = &w.side[A].local_selector;
        const struct selector *his = &w.side[A].remote_selector;

        /* The victim asks, so TSi is his side. */
        draft_ts(d, IKEV2_TSI, random_below(&x->random, 10) == 0 ? mine : his, 1);
        draft_ts(d, IKEV2_TSR, random_below(&x->random, 10) == 0 ? his : mine, 1);
    }
    if (random_below(&x->random, 4) == 0) {
        random_payload(x, d);
    }
}

static void order_at_random(struct stranger *x)
{
    switch (random_below(&x->random, 5)) {
    case 0:
        world_rekey_ike(&w, B);
        break;
    case 1:
        world_new_child(&w, B, 0);
        break;
    case 2:
        world_liveness(&w, B);
        break;
    default:
        if (w.side[B].installed_count > 0 && w.side[B].installed[0].used &&
            !w.side[B].installed[0].stopped) {
            world_rekey_child(&w, B);
        }
        break;
    }
}

/* A peer with the key who answers what the victim asks with nonsense. */
TEST(nonsense_answers_of_an_authenticated_peer_stay_within_bounds)
{
    static struct stranger x;
    static struct draft d;
    uint64_t seed = 500;
    unsigned peers = 1;
    unsigned answered = 0;
    unsigned installs = 0;

    become_peer(&x, seed);
    for (unsigned i = 0; i < MESSAGES / 10; i++) {
        struct side *victim = &w.side[B];

        if (victim->sa == NULL || victim->installs > 300) {
            installs += victim->installs;
            leave(&x);
            become_peer(&x, ++seed);
            peers++;
        }
        order_at_random(&x);
        while (w.flight_count > 0) {
            struct reader r = reader_over((struct slice){w.flights[0].bytes, w.flights[0].length});
            struct ikev2_header h = {0};
            bool request;

            CHECK(ikev2_read_header(&r, &h));
            request = (h.flags & IKEV2_FLAG_RESPONSE) == 0 && h.spi_i == x.spi_i;
            world_lose(&w, 0);
            if (!request) {
                continue;
            }
            draft_begin(&d);
            if (random_below(&x.random, 3) == 0) {
                for (uint32_t n = random_below(&x.random, 5); n > 0; n--) {
                    random_payload(&x, &d);
                }
            } else {
                nearly_an_answer(&x, &d);
            }
            answered++;
            send_sealed(&x, h.exchange, true, h.message_id, d.first, writer_written(&d.w));
            if (w.side[B].sa == NULL) {
                break;
            }
        }
        (void)take_all(&x);
        CHECK(victim->installed_count <= 48);
        CHECK(victim->ike_spi_count <= 8);
        if (victim->sa != NULL && random_below(&x.random, 10) == 0) {
            (void)world_wake(&w);
            (void)take_all(&x);
        }
    }
    CHECK(peers > 3);
    CHECK(answered > MESSAGES / 200);
    CHECK(installs + w.side[B].installs > peers);
    leave(&x);
}

/* CVE-2016-3071, CVE-2024-3652: whatever the catalog has and a policy names is carried out, in
 * IKE and for a child. */
TEST(every_suite_that_can_be_offered_works)
{
    unsigned suites = 0;

    for (size_t e = 0; algorithm_at(e) != NULL; e++) {
        const struct algorithm *cipher = algorithm_at(e);

        if (cipher->type != TRANSFORM_ENCRYPTION) {
            continue;
        }
        for (size_t o = 0; algorithm_at(o) != NULL; o++) {
            const struct algorithm *mate = algorithm_at(o);

            /* AEAD with each PRF; the others with each integrity algorithm. */
            if (mate->type != (cipher->aead ? TRANSFORM_PRF : TRANSFORM_INTEGRITY)) {
                continue;
            }
            uint16_t bits = cipher->key_bits_on_wire ? cipher->key_bits[0] : 0;
            /* RFC 4543 5.3: AES-GMAC as an integrity algorithm is for AH alone. */
            if (mate->ah_only) {
                continue;
            }
            /* RFC 7296 3.14, RFC 8750 7: IKE messages are encrypted, with an IV that is sent. */
            bool ike_may = cipher->id != ENCRYPTION_NULL &&
                           cipher->id != ENCRYPTION_NULL_AES_GMAC && !cipher->implicit_iv;
            struct proposal ike = {.protocol = PROTOCOL_IKE, .count = 3};
            struct proposal esp = {.protocol = PROTOCOL_ESP, .count = 1};

            ike.transforms[0] = (struct transform){TRANSFORM_ENCRYPTION, cipher->id, bits};
            ike.transforms[1] = (struct transform){TRANSFORM_KEY_EXCHANGE, KEY_EXCHANGE_X25519, 0};
            ike.transforms[2] = (struct transform){
                TRANSFORM_PRF, cipher->aead ? mate->id : (uint16_t)PRF_HMAC_SHA2_256, 0};
            esp.transforms[0] = ike.transforms[0];
            if (!cipher->aead) {
                ike.transforms[ike.count++] = (struct transform){TRANSFORM_INTEGRITY, mate->id, 0};
                esp.transforms[esp.count++] = (struct transform){TRANSFORM_INTEGRITY, mate->id, 0};
            }
            world_init(&w, suites);
            for (size_t i = 0; i < 2; i++) {
                if (ike_may) {
                    w.side[i].ike_proposals.list[0] = ike;
                }
                w.side[i].child_proposals[0].list[0] = esp;
            }
            world_connect(&w);
            world_rekey_ike(&w, B);
            world_settle(&w);
            world_rekey_child(&w, A);
            world_settle(&w);
            world_check_settled(&w, 1);
            world_fini(&w);
            suites++;
        }
    }
    CHECK(suites > 80);
}

/* CVE-2011-4073: an SA that is over while somebody still works for it, at every moment. */
TEST(answers_that_come_too_late_are_harmless)
{
    for (unsigned stop = 0; stop < 40; stop++) {
        world_init(&w, stop);
        w.answers_wait = true;
        world_start(&w);
        for (unsigned i = 0; i < stop && w.flight_count > 0; i++) {
            world_deliver(&w, 0);
        }
        for (size_t i = 0; i < 2; i++) {
            struct ikev2_actions actions = {.count = 0};
            struct side *s = &w.side[i];
            struct key_pair pair = {0};
            struct secret shared = {0};

            if (s->sa == NULL) {
                continue;
            }
            /* Answers to questions that were never asked. */
            for (uint32_t id = 0; id < 20; id++) {
                ikev2_sa_answer_peer(s->sa, id + 1000, &s->policy, w.now_ms, &actions);
                ikev2_sa_answer_spi(s->sa, id + 1000, 5, w.now_ms, &actions);
                ikev2_sa_answer_key_exchange(s->sa, id + 1000, true, &pair, &shared, w.now_ms,
                                             &actions);
            }
            /* All that comes of it: SPIs that nobody wanted are given back. */
            CHECK_EQUAL(actions.count, 20);
            for (size_t a = 0; a < actions.count; a++) {
                CHECK_EQUAL(actions.list[a].kind, IKEV2_SPI_UNUSED);
            }
        }
        if (w.side[A].sa != NULL) {
            world_close(&w, A);
        }
        if (w.side[B].sa != NULL) {
            world_close(&w, B);
        }
        w.answers_wait = false;
        world_settle(&w);
        world_check_gone(&w);
        world_fini(&w);
    }
}

/* No memory, no SPI, a refused value: each question answered with no, once; nothing is left over.
 */
TEST(every_question_may_be_answered_with_no)
{
    for (unsigned deed = 0; deed < 5; deed++) {
        for (unsigned refuse = 1; refuse < 8; refuse++) {
            world_init(&w, deed * 10 + refuse);
            for (size_t i = 0; i < 2; i++) {
                w.side[i].policy.liveness_ms = 60000;
            }
            if (deed == 0) {
                w.refuse_question = refuse;
                world_start(&w);
            } else {
                world_connect(&w);
                w.refuse_question = w.questions + refuse;
            }
            if (deed == 1) {
                world_rekey_child(&w, A);
            } else if (deed == 2) {
                world_rekey_ike(&w, A);
            } else if (deed == 3) {
                world_rekey_child(&w, A);
                world_rekey_child(&w, B);
            } else if (deed == 4) {
                world_rekey_ike(&w, A);
                world_rekey_ike(&w, B);
            }
            world_deliver_all(&w);
            CHECK(refuse > 2 || w.questions >= w.refuse_question);
            world_advance(&w, 600000);
            if (w.side[A].sa == NULL || w.side[B].sa == NULL) {
                world_check_gone(&w);
            } else {
                CHECK(w.side[A].installed_count <= 1);
                world_check_settled(&w, w.side[A].installed_count);
            }
            world_fini(&w);
        }
    }
}

/* Every deadline may come at any moment, however early. */
TEST(being_woken_too_early_is_harmless)
{
    world_init(&w, 14);
    world_start(&w);
    for (unsigned i = 0; i < 40 && w.flight_count > 0; i++) {
        for (size_t side = 0; side < 2; side++) {
            struct ikev2_actions actions = {.count = 0};

            if (w.side[side].sa != NULL) {
                ikev2_sa_time(w.side[side].sa, w.now_ms, &actions);
                CHECK_EQUAL(actions.count, 0);
            }
        }
        world_deliver(&w, 0);
    }
    world_heard(&w, B);
    world_settle(&w);
    world_check_settled(&w, 1);
    world_fini(&w);
}
