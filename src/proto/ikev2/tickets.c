/* Decides which tickets are ours and still good, and what stands in them. */
#include "proto/ikev2/tickets.h"

#include <string.h>

#include "proto/ikev2/sk.h"

#define VERSION 2
#define SALT_BYTES 32
#define HEAD_BYTES (1 + 8 + SALT_BYTES)
#define CONTENT_BYTES_MAX 800

/* ---- the key ---- */

static bool next_key(const uint8_t key[32], const char *what, struct slice more, uint8_t out[32])
{
    const struct slice parts[] = {slice_of_text(what), more};

    return prf(PRF_HMAC_SHA2_256, (struct slice){key, 32}, parts, ARRAY_LENGTH(parts), out);
}

static uint64_t epoch_at(uint64_t now_ms)
{
    /* Never below the number that may be needed. */
    return now_ms / IKEV2_TICKET_EPOCH_MS + IKEV2_TICKET_EPOCHS;
}

static bool go_on(uint8_t key[32], uint64_t from, uint64_t to)
{
    bool ok = true;

    for (; ok && from < to; from++) {
        uint8_t next[32];

        ok = next_key(key, "next", (struct slice){NULL, 0}, next);
        memcpy(key, next, sizeof(next));
        wipe(next, sizeof(next));
    }
    return ok;
}

/* What is older than any ticket that is still good is forgotten. */
static void forget_old(struct ikev2_tickets *tickets, uint64_t now_ms)
{
    uint64_t oldest = epoch_at(now_ms) - IKEV2_TICKET_EPOCHS;

    if (tickets->epoch < oldest) {
        tickets->ready = tickets->ready && go_on(tickets->key, tickets->epoch, oldest);
        tickets->epoch = oldest;
    }
}

void ikev2_tickets_init(struct ikev2_tickets *tickets, struct slice kept,
                        struct random_source *random, uint64_t now_ms)
{
    uint64_t oldest = epoch_at(now_ms) - IKEV2_TICKET_EPOCHS;

    *tickets = (struct ikev2_tickets){.ready = true, .epoch = oldest};
    /* One of a later time, or of years ago, is of another run of the machine. */
    if (kept.length == IKEV2_TICKETS_KEPT_BYTES && get_u64(kept.data) <= oldest &&
        oldest - get_u64(kept.data) <= UINT64_C(24) * 366) {
        tickets->epoch = get_u64(kept.data);
        memcpy(tickets->key, kept.data + 8, sizeof(tickets->key));
        forget_old(tickets, now_ms);
        return;
    }
    random_fill(random, tickets->key, sizeof(tickets->key));
}

void ikev2_tickets_keep(const struct ikev2_tickets *tickets, uint8_t out[IKEV2_TICKETS_KEPT_BYTES])
{
    put_u64(out, tickets->epoch);
    memcpy(out + 8, tickets->key, sizeof(tickets->key));
}

void ikev2_tickets_fini(struct ikev2_tickets *tickets)
{
    wipe(tickets, sizeof(*tickets));
}

/* The key of one ticket, as keys of an IKE SA whose initiator seals it. */
static bool ticket_keys(const struct ikev2_tickets *tickets, uint64_t epoch, struct slice salt,
                        struct ikev2_keys *out)
{
    uint8_t key[32], material[36];
    const struct slice seed[] = {SLICE_TEXT("ticket"), salt};

    *out = (struct ikev2_keys){
        .suite = {.encryption = ENCRYPTION_AES_GCM_16, .key_bits = 256, .prf = PRF_HMAC_SHA2_256},
    };
    memcpy(key, tickets->key, sizeof(key));
    bool ok = go_on(key, tickets->epoch, epoch) &&
              prf_plus(PRF_HMAC_SHA2_256, SLICE_OF(key), seed, ARRAY_LENGTH(seed), material,
                       sizeof(material)) &&
              secret_set(&out->protect_i, SLICE_OF(material));

    wipe(key, sizeof(key));
    wipe(material, sizeof(material));
    return ok;
}

/* ---- what stands in it ---- */

static void write_identity(struct writer *w, const struct ike_identity *id)
{
    write_u8(w, id->type);
    write_u16(w, id->length);
    write_slice(w, (struct slice){id->data, id->length});
}

static bool read_identity(struct reader *r, struct ike_identity *id)
{
    uint8_t type = read_u8(r);
    uint16_t length = read_u16(r);

    return ike_identity_set(id, type, read_bytes(r, length));
}

static void write_session(struct writer *w, const struct ikev2_session *s)
{
    write_u64(w, s->until_ms);
    write_u64(w, s->fingerprint);
    write_u16(w, s->suite.encryption);
    write_u16(w, s->suite.key_bits);
    write_u16(w, s->suite.integrity);
    write_u16(w, s->suite.prf);
    write_u16(w, s->suite.key_exchange);
    write_u16(w, s->post_quantum);
    write_u8(w, s->ppk);
    write_identity(w, &s->local_id);
    write_identity(w, &s->peer_id);
    write_u8(w, (uint8_t)s->sk_d.length);
    write_slice(w, secret_slice(&s->sk_d));
}

static bool read_session(struct reader *r, struct ikev2_session *s)
{
    s->until_ms = read_u64(r);
    s->fingerprint = read_u64(r);
    s->suite.encryption = read_u16(r);
    s->suite.key_bits = read_u16(r);
    s->suite.integrity = read_u16(r);
    s->suite.prf = read_u16(r);
    s->suite.key_exchange = read_u16(r);
    s->post_quantum = read_u16(r);
    s->ppk = read_u8(r);
    if (!read_identity(r, &s->local_id) || !read_identity(r, &s->peer_id)) {
        return false;
    }
    uint8_t length = read_u8(r);

    return secret_set(&s->sk_d, read_bytes(r, length)) && reader_done(r);
}

bool ikev2_tickets_seal(struct ikev2_tickets *tickets, const struct ikev2_session *session,
                        uint64_t now_ms, struct random_source *random, struct writer *out)
{
    const struct ikev2_header header = {.version = 0x20, .exchange = IKEV2_IKE_SESSION_RESUME};
    uint8_t content[CONTENT_BYTES_MAX], salt[SALT_BYTES], sealed[IKEV2_TICKET_BYTES_MAX];
    struct writer c = writer_over(content, sizeof(content));
    struct writer s = writer_over(sealed, sizeof(sealed));
    struct ikev2_keys keys = {0};

    if (!tickets->ready || session->sk_d.length > UINT8_MAX) {
        return false;
    }
    forget_old(tickets, now_ms);
    random_fill(random, salt, sizeof(salt));
    write_session(&c, session);
    bool ok = writer_ok(&c) && ticket_keys(tickets, epoch_at(now_ms), SLICE_OF(salt), &keys) &&
              ikev2_sk_seal(&keys, true, &header, 0, writer_written(&c), random, &s);

    write_u8(out, VERSION);
    write_u64(out, epoch_at(now_ms));
    write_slice(out, SLICE_OF(salt));
    write_slice(out, writer_written(&s));
    ikev2_keys_fini(&keys);
    wipe(content, sizeof(content));
    return ok && writer_ok(&s) && writer_ok(out);
}

static bool was_used(const struct ikev2_tickets *tickets, uint64_t number)
{
    for (size_t i = 0; i < tickets->used_count && i < IKEV2_TICKETS_USED; i++) {
        if (tickets->used[i] == number) {
            return true;
        }
    }
    return false;
}

void ikev2_tickets_use(struct ikev2_tickets *tickets, uint64_t number)
{
    tickets->used[tickets->used_count++ % IKEV2_TICKETS_USED] = number;
}

bool ikev2_tickets_open(struct ikev2_tickets *tickets, struct slice ticket, uint64_t now_ms,
                        struct ikev2_session *out)
{
    struct reader r = reader_over(ticket);
    uint8_t buffer[IKEV2_TICKET_BYTES_MAX];
    struct ikev2_sk_opened opened;
    struct ikev2_keys keys = {0};

    *out = (struct ikev2_session){0};
    if (!tickets->ready || ticket.length > IKEV2_TICKET_BYTES_MAX || ticket.length < HEAD_BYTES) {
        return false;
    }
    forget_old(tickets, now_ms);
    uint8_t version = read_u8(&r);
    uint64_t epoch = read_u64(&r);
    struct slice salt = read_bytes(&r, SALT_BYTES);
    struct slice sealed = read_rest(&r);

    if (version != VERSION || epoch < tickets->epoch || epoch > epoch_at(now_ms)) {
        return false;
    }
    bool ok = ticket_keys(tickets, epoch, salt, &keys) &&
              ikev2_sk_open(&keys, true, sealed, buffer, &opened) && !opened.fragment;

    if (ok) {
        struct reader content = reader_over(opened.chain);

        out->number = get_u64(salt.data);
        ok = read_session(&content, out) && out->until_ms > now_ms &&
             !was_used(tickets, out->number);
    }
    if (!ok) {
        ikev2_session_fini(out);
    }
    ikev2_keys_fini(&keys);
    wipe(buffer, sizeof(buffer));
    return ok;
}

/* ---- sessions ---- */

bool ikev2_session_copy(struct ikev2_session *to, const struct ikev2_session *from)
{
    *to = *from;
    to->sk_d = (struct secret){0};
    return secret_copy(&to->sk_d, &from->sk_d);
}

void ikev2_session_fini(struct ikev2_session *session)
{
    secret_wipe(&session->sk_d);
    *session = (struct ikev2_session){0};
}
