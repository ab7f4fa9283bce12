/*
 * The gate: cookies that need no memory, and the few answers that a stranger may get.
 */
#include "proto/ikev2/gate.h"

#include <string.h>

#include "base/secret.h"
#include "crypto/prf.h"
#include "proto/ikev2/crash.h"

#define ROTATION_MS UINT64_C(120000)
#define COOKIE_MAC_BYTES 32
#define COOKIE_BYTES (1 + COOKIE_MAC_BYTES)
#define COOKIE_BYTES_MAX 64 /* RFC 7296 2.6 */
#define ERRORS_PER_SECOND 10.0
#define MAJOR_VERSION 2

void ikev2_gate_init(struct ikev2_gate *gate, struct random_source *random, uint64_t now_ms)
{
    *gate = (struct ikev2_gate){
        .rotated_ms = now_ms,
        .error_budget_ms = now_ms,
        .error_tokens = ERRORS_PER_SECOND,
    };
    random_fill(random, gate->secrets[0], sizeof(gate->secrets[0]));
    random_fill(random, gate->secrets[1], sizeof(gate->secrets[1]));
}

/* A secret is the newest for ROTATION_MS and good for as long again. */
static void rotate(struct ikev2_gate *gate, struct random_source *random, uint64_t now_ms)
{
    if (now_ms - gate->rotated_ms < ROTATION_MS) {
        return;
    }
    if (now_ms - gate->rotated_ms < 2 * ROTATION_MS) {
        memcpy(gate->secrets[1], gate->secrets[0], sizeof(gate->secrets[1]));
    } else {
        random_fill(random, gate->secrets[1], sizeof(gate->secrets[1]));
    }
    random_fill(random, gate->secrets[0], sizeof(gate->secrets[0]));
    gate->version++;
    gate->rotated_ms = now_ms;
}

static bool take_error_token(struct ikev2_gate *gate, uint64_t now_ms)
{
    double earned = (double)(now_ms - gate->error_budget_ms) * ERRORS_PER_SECOND / 1000.0;

    gate->error_budget_ms = now_ms;
    gate->error_tokens += earned;
    if (gate->error_tokens > ERRORS_PER_SECOND) {
        gate->error_tokens = ERRORS_PER_SECOND;
    }
    if (gate->error_tokens < 1.0) {
        return false;
    }
    gate->error_tokens -= 1.0;
    return true;
}

/* HMAC over all that a stranger cannot change without having received the cookie at this
 * address. */
static bool cookie_mac(const uint8_t secret[32], uint64_t spi_i, struct slice nonce,
                       const struct endpoint *peer, uint8_t out[COOKIE_MAC_BYTES])
{
    uint8_t fixed[8 + 1 + 16 + 2];

    put_u64(fixed, spi_i);
    fixed[8] = peer->address.family;
    memcpy(fixed + 9, peer->address.bytes, 16);
    /* RFC 9329 6.3: it may come back through another connection, which has another port. */
    put_u16(fixed + 25, peer->tcp ? 0 : peer->port);

    const struct slice parts[] = {SLICE_OF(fixed), nonce};

    return prf(PRF_HMAC_SHA2_256, (struct slice){secret, 32}, parts, ARRAY_LENGTH(parts), out);
}

static bool cookie_is_good(const struct ikev2_gate *gate, struct slice cookie, uint64_t spi_i,
                           struct slice nonce, const struct endpoint *peer)
{
    uint8_t expected[COOKIE_MAC_BYTES];

    if (cookie.length != COOKIE_BYTES) {
        return false;
    }
    uint8_t age = (uint8_t)(gate->version - cookie.data[0]);

    return age <= 1 && cookie_mac(gate->secrets[age], spi_i, nonce, peer, expected) &&
           equal_in_constant_time(cookie.data + 1, expected, sizeof(expected));
}

/* What the gate looks at in an IKE_SA_INIT request. */
struct init_request {
    struct slice nonce;
    struct slice cookie; /* empty when there is none */
    bool has_sa, has_ke, has_ticket;
};

/* RFC 7296 1.2: SA, KE and Ni, each once; RFC 5723 4.3.2: Ni and a ticket. The rest is for the
 * machine to judge. */
static bool read_init_request(struct reader *r, uint8_t next, bool resumes,
                              struct init_request *out)
{
    struct ikev2_payload payload;

    *out = (struct init_request){0};
    while (ikev2_read_payload(r, &next, &payload)) {
        struct ikev2_notify_payload notify;

        switch (payload.type) {
        case IKEV2_SA:
            if (out->has_sa) {
                return false;
            }
            out->has_sa = true;
            break;
        case IKEV2_KE:
            if (out->has_ke) {
                return false;
            }
            out->has_ke = true;
            break;
        case IKEV2_NONCE:
            if (out->nonce.length > 0) {
                return false;
            }
            out->nonce = payload.body;
            break;
        case IKEV2_NOTIFY:
            if (!ikev2_read_notify(payload.body, &notify)) {
                return false;
            }
            if (notify.type == IKEV2_COOKIE && notify.data.length <= COOKIE_BYTES_MAX) {
                out->cookie = notify.data;
            }
            out->has_ticket = out->has_ticket || notify.type == IKEV2_TICKET_OPAQUE;
            break;
        case IKEV2_SK:
        case IKEV2_SKF:
            return false;
        default:
            break;
        }
    }
    return reader_done(r) && (resumes ? out->has_ticket : out->has_sa && out->has_ke) &&
           out->nonce.length >= IKEV2_NONCE_BYTES_MIN && out->nonce.length <= IKEV2_NONCE_BYTES_MAX;
}

/* RFC 7296 1.5, 2.21.4: SPIs, exchange and message ID of the question; a response. */
static struct ikev2_header reply_header(const struct ikev2_header *question)
{
    struct ikev2_header h = *question;

    h.version = MAJOR_VERSION << 4;
    h.flags = IKEV2_FLAG_RESPONSE;
    if ((question->flags & IKEV2_FLAG_INITIATOR) == 0) {
        h.flags |= IKEV2_FLAG_INITIATOR;
    }
    return h;
}

static void write_notify(struct ikev2_chain *chain, struct writer *reply, uint8_t protocol,
                         uint16_t type, struct slice data)
{
    struct ikev2_notify_payload notify = {.protocol = protocol, .type = type, .data = data};

    ikev2_begin_payload(chain, IKEV2_NOTIFY, false);
    ikev2_write_notify(reply, &notify);
    ikev2_end_payload(chain);
}

/* `token`: empty, or what goes with an error about an IKE SA. */
static enum ikev2_gate_verdict write_reply(const struct ikev2_header *question,
                                           struct slice message, uint16_t notify_type,
                                           struct slice data, struct slice token,
                                           struct writer *reply)
{
    struct ikev2_header h = reply_header(question);

    h.next_payload = IKEV2_NOTIFY;
    ikev2_write_header(reply, &h);

    uint8_t first;
    struct ikev2_chain chain = ikev2_chain_over(reply, &first);

    write_notify(&chain, reply, 0, notify_type, data);
    if (token.length > 0) {
        write_notify(&chain, reply, PROTOCOL_IKE, IKEV2_QCD_TOKEN, token);
    }
    ikev2_finish_message(reply);
    if (!writer_ok(reply) || reply->length > message.length + token.length) {
        return IKEV2_GATE_DROP;
    }
    return IKEV2_GATE_REPLY;
}

/* RFC 6290 4.5: whoever asks in an IKE SA that was ours once learns that it is no more. We were the
 * initiator of it if he says that he was not. */
static enum ikev2_gate_verdict reply_unknown(const struct ikev2_gate *gate,
                                             const struct ikev2_header *question,
                                             struct slice message, struct writer *reply)
{
    bool initiator = (question->flags & IKEV2_FLAG_INITIATOR) == 0;
    uint8_t token[IKEV2_CRASH_TOKEN_BYTES];
    bool has_token =
        gate->crash_secret != NULL &&
        ikev2_crash_token(gate->crash_secret, initiator, question->spi_i, question->spi_r, token);

    return write_reply(question, message, IKEV2_INVALID_IKE_SPI, (struct slice){0},
                       has_token ? SLICE_OF(token) : (struct slice){0}, reply);
}

static enum ikev2_gate_verdict reply_cookie(const struct ikev2_gate *gate,
                                            const struct ikev2_header *question,
                                            struct slice message, struct slice nonce,
                                            const struct endpoint *peer, struct writer *reply)
{
    uint8_t cookie[COOKIE_BYTES];

    cookie[0] = gate->version;
    if (!cookie_mac(gate->secrets[0], question->spi_i, nonce, peer, cookie + 1)) {
        return IKEV2_GATE_DROP;
    }
    return write_reply(question, message, IKEV2_COOKIE, SLICE_OF(cookie), (struct slice){0}, reply);
}

static enum ikev2_gate_verdict admit_init(const struct ikev2_gate *gate,
                                          const struct ikev2_header *header, struct slice message,
                                          struct reader *r, const struct endpoint *peer,
                                          bool cookies_wanted, struct writer *reply)
{
    struct init_request request;

    if (message.length > IKEV2_GATE_INIT_BYTES_MAX) {
        return IKEV2_GATE_DROP;
    }
    if ((header->flags & IKEV2_FLAG_INITIATOR) == 0 || header->message_id != 0 ||
        header->spi_i == 0 || header->spi_r != 0 ||
        !read_init_request(r, header->next_payload, header->exchange == IKEV2_IKE_SESSION_RESUME,
                           &request)) {
        return IKEV2_GATE_DROP;
    }
    if (!cookies_wanted ||
        cookie_is_good(gate, request.cookie, header->spi_i, request.nonce, peer)) {
        return IKEV2_GATE_ADMIT;
    }
    /* RFC 7296 2.6: a wrong cookie is treated as none. */
    return reply_cookie(gate, header, message, request.nonce, peer, reply);
}

enum ikev2_gate_verdict ikev2_gate_admit(struct ikev2_gate *gate, struct slice message,
                                         const struct endpoint *local, const struct endpoint *peer,
                                         bool cookies_wanted, uint64_t now_ms,
                                         struct random_source *random, struct writer *reply)
{
    struct reader r = reader_over(message);
    struct ikev2_header header;

    (void)local;
    rotate(gate, random, now_ms);
    if (!ikev2_read_header(&r, &header) || (header.flags & IKEV2_FLAG_RESPONSE) != 0) {
        return IKEV2_GATE_DROP;
    }
    uint8_t major = header.version >> 4;

    /* RFC 7296 2.5: told to those who speak a later version. IKEv1 would not understand the
     * answer. */
    if (major > MAJOR_VERSION) {
        return take_error_token(gate, now_ms)
                   ? write_reply(&header, message, IKEV2_INVALID_MAJOR_VERSION, (struct slice){0},
                                 (struct slice){0}, reply)
                   : IKEV2_GATE_DROP;
    }
    if (major < MAJOR_VERSION) {
        return IKEV2_GATE_DROP;
    }
    if (header.exchange == IKEV2_IKE_SA_INIT || header.exchange == IKEV2_IKE_SESSION_RESUME) {
        return admit_init(gate, &header, message, &r, peer, cookies_wanted, reply);
    }
    if (header.spi_i == 0 || header.spi_r == 0 || !take_error_token(gate, now_ms)) {
        return IKEV2_GATE_DROP;
    }
    return reply_unknown(gate, &header, message, reply);
}
