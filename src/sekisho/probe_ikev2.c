/* One question of IKEv2: an IKE_SA_INIT (RFC 7296 1.2), and what comes back. */
#include "sekisho/probe.h"

#include <string.h>

#include "crypto/key_exchange.h"
#include "wire/ikev2.h"

#define MESSAGE_BYTES 8192
#define NEXT_PAYLOAD_OFFSET 16

static void add(struct ikev2_sa_payload *sa, uint8_t type, const char *word)
{
    struct transform t;

    if (transform_by_word(type, slice_of_text(word), &t)) {
        sa->transforms[sa->transform_count++] =
            (struct ikev2_wire_transform){.type = t.type, .id = t.id, .key_bits = t.key_bits};
        sa->proposals[sa->proposal_count - 1].count++;
    }
}

static bool is_aead(const char *cipher)
{
    struct transform t;
    const struct algorithm *a;

    return transform_by_word(TRANSFORM_ENCRYPTION, slice_of_text(cipher), &t) &&
           (a = algorithm_find(t.type, t.id)) != NULL && a->aead;
}

/* One proposal: NULL for all of a kind. */
static void make_offer(const struct probe *p, const char *cipher, const char *hash,
                       const char *group, struct ikev2_sa_payload *sa)
{
    memset(sa, 0, sizeof(*sa));
    sa->proposals[0] = (struct ikev2_wire_proposal){.number = 1, .protocol = PROTOCOL_IKE};
    sa->proposal_count = 1;
    add(sa, TRANSFORM_ENCRYPTION, cipher);
    for (size_t i = 0; p->hashes.words[i] != NULL; i++) {
        if (hash != NULL && strcmp(hash, p->hashes.words[i]) != 0) {
            continue;
        }
        if (!is_aead(cipher)) {
            add(sa, TRANSFORM_INTEGRITY, p->hashes.words[i]);
        }
        add(sa, TRANSFORM_PRF, p->hashes.words[i]);
    }
    for (size_t i = 0; p->groups.words[i] != NULL; i++) {
        if (group == NULL || strcmp(group, p->groups.words[i]) == 0) {
            add(sa, TRANSFORM_KEY_EXCHANGE, p->groups.words[i]);
        }
    }
}

/* False when the key exchange library cannot. */
static bool write_question(struct probe *p, const struct ikev2_sa_payload *sa, uint16_t group,
                           uint8_t out[MESSAGE_BYTES], size_t *length)
{
    struct writer w = writer_over(out, MESSAGE_BYTES);
    struct ikev2_header header = {
        .version = 0x20, .exchange = IKEV2_IKE_SA_INIT, .flags = IKEV2_FLAG_INITIATOR};
    struct key_pair pair = {0};
    uint8_t spi[8];
    uint8_t nonce[32];

    random_fill(&p->random, spi, sizeof(spi));
    random_fill(&p->random, nonce, sizeof(nonce));
    memcpy(&header.spi_i, spi, sizeof(spi));
    if (!key_pair_make(group, &p->random, &pair)) {
        return false;
    }
    ikev2_write_header(&w, &header);
    struct ikev2_chain chain = ikev2_chain_over(&w, &out[NEXT_PAYLOAD_OFFSET]);

    if (p->cookie_length > 0) {
        struct ikev2_notify_payload n = {.type = IKEV2_COOKIE,
                                         .data = {p->cookie, p->cookie_length}};

        ikev2_begin_payload(&chain, IKEV2_NOTIFY, false);
        ikev2_write_notify(&w, &n);
        ikev2_end_payload(&chain);
    }
    struct ikev2_ke_payload ke = {group, {pair.public_value, pair.public_length}};

    ikev2_begin_payload(&chain, IKEV2_SA, false);
    ikev2_write_sa(&w, sa);
    ikev2_end_payload(&chain);
    ikev2_begin_payload(&chain, IKEV2_KE, false);
    ikev2_write_ke(&w, &ke);
    ikev2_end_payload(&chain);
    ikev2_write_payload(&chain, IKEV2_NONCE, SLICE_OF(nonce));
    ikev2_finish_message(&w);
    key_pair_wipe(&pair);
    *length = writer_written(&w).length;
    return writer_ok(&w);
}

static void read_chosen(struct probe *p, struct slice body)
{
    struct ikev2_sa_payload sa;

    if (!ikev2_read_sa(body, &sa) || sa.proposal_count != 1) {
        return;
    }
    p->answer = ANSWER_ACCEPTED;
    p->chosen_count = 0; /* a message may have several such payloads */
    for (size_t i = 0; i < sa.transform_count && i < ARRAY_LENGTH(p->chosen); i++) {
        p->chosen[p->chosen_count++] = (struct transform){
            sa.transforms[i].type, sa.transforms[i].id, sa.transforms[i].key_bits};
    }
}

static void read_notify(struct probe *p, const struct ikev2_notify_payload *n)
{
    if (n->type == IKEV2_COOKIE && n->data.length > 0 && n->data.length <= PROBE_COOKIE_BYTES) {
        memcpy(p->cookie, n->data.data, n->data.length);
        p->cookie_length = n->data.length;
    } else if (n->type == IKEV2_INVALID_KE_PAYLOAD && n->data.length == 2) {
        p->answer = ANSWER_OTHER_GROUP;
        p->wanted_group = (uint16_t)(n->data.data[0] << 8 | n->data.data[1]);
    } else if (n->type == IKEV2_NO_PROPOSAL_CHOSEN) {
        p->answer = ANSWER_REFUSED;
    } else if (n->type < 16384) { /* RFC 7296 3.10.1: an error */
        p->answer = ANSWER_ERROR;
        p->notify = n->type;
    }
}

/* An answer to the question that begins so; what else comes is not looked at. */
static bool read_answer(struct probe *p, struct slice message, struct slice question)
{
    struct reader r = reader_over(message);
    struct ikev2_header header;
    struct ikev2_payload payload;
    bool said;

    if (message.length < 28 || memcmp(message.data, question.data, 8) != 0 ||
        !ikev2_read_header(&r, &header) || (header.flags & IKEV2_FLAG_RESPONSE) == 0) {
        return false;
    }
    enum persona persona = persona_of(
        header.next_payload, (struct slice){message.data + 28, message.length - 28}, false, &said);

    p->persona = persona != PERSONA_UNKNOWN ? persona : p->persona;
    uint8_t next = header.next_payload;

    while (next != IKEV2_NO_NEXT_PAYLOAD && ikev2_read_payload(&r, &next, &payload)) {
        struct ikev2_notify_payload n;

        if (payload.type == IKEV2_SA) {
            read_chosen(p, payload.body);
        } else if (payload.type == IKEV2_NOTIFY && ikev2_read_notify(payload.body, &n)) {
            read_notify(p, &n);
        }
    }
    return true;
}

static uint16_t group_of(const char *word)
{
    struct transform t;

    return word != NULL && transform_by_word(TRANSFORM_KEY_EXCHANGE, slice_of_text(word), &t)
               ? t.id
               : KEY_EXCHANGE_MODP_2048;
}

static void ask(struct probe *p, const char *cipher, const char *hash, const char *group)
{
    struct ikev2_sa_payload sa;
    uint8_t question[MESSAGE_BYTES];
    size_t length;

    p->cookie_length = 0;
    make_offer(p, cipher, hash, group, &sa);
    for (unsigned tries = 0; tries < 3 && p->sent < PROBES_MAX; tries++) {
        size_t had = p->cookie_length;

        p->answer = ANSWER_NONE;
        p->chosen_count = 0;
        if (!write_question(p, &sa, group_of(group), question, &length)) {
            return;
        }
        (void)probe_send(p, (struct slice){question, length}, read_answer);
        /* Asked for a cookie, or not heard: once more. */
        if (p->answer != ANSWER_NONE || (tries > 0 && p->cookie_length == had)) {
            return;
        }
    }
}

const struct probe_version probe_ikev2 = {
    "IKEv2", ask, ikev2_notify_name,
    "Perhaps it speaks IKEv1 only (then say 'ike v1' in the site), or does not let this machine "
    "in."};
