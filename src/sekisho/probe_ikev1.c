/*
 * One question of IKEv1: the first message of Main Mode (RFC 2409 5), and the SA or the notify that
 * comes back. Each combination is a transform of its own; all of them together stay below what
 * needs IP fragments, which old boxes lose.
 */
#include "sekisho/probe.h"

#include <stdlib.h>
#include <string.h>

#include "wire/ikev1.h"

#define MESSAGE_BYTES 1472
#define LIFE_SECONDS 28800
#define NEXT_PAYLOAD_OFFSET 16
#define COOKIE_BYTES 8
#define HEADER_BYTES 28
#define TRANSFORMS_ASKED_MAX 36

static const struct {
    uint16_t prf, number;
} hashes[] = {
    {PRF_HMAC_SHA2_256, IKEV1_HASH_SHA2_256}, {PRF_HMAC_SHA1, IKEV1_HASH_SHA1},
    {PRF_HMAC_MD5, IKEV1_HASH_MD5},           {PRF_HMAC_SHA2_512, IKEV1_HASH_SHA2_512},
    {PRF_HMAC_SHA2_384, IKEV1_HASH_SHA2_384},
};

static const struct {
    uint16_t cipher, number;
} ciphers[] = {
    {ENCRYPTION_AES_CBC, IKEV1_AES_CBC},
    {ENCRYPTION_3DES, IKEV1_3DES_CBC},
    {ENCRYPTION_DES, IKEV1_DES_CBC},
};

static uint16_t hash_number(const struct transform *prf)
{
    for (size_t i = 0; i < ARRAY_LENGTH(hashes); i++) {
        if (hashes[i].prf == prf->id) {
            return hashes[i].number;
        }
    }
    return 0;
}

static uint16_t cipher_number(const struct transform *cipher)
{
    for (size_t i = 0; i < ARRAY_LENGTH(ciphers); i++) {
        if (ciphers[i].cipher == cipher->id) {
            return ciphers[i].number;
        }
    }
    return 0;
}

static bool is_asked(const char *one, const char *word)
{
    return one == NULL || strcmp(one, word) == 0;
}

/* With every group the least usual hash is left out: more transforms would not fit. */
static bool has_room(const char *hash, const char *group, uint16_t prf)
{
    return hash != NULL || group != NULL || prf != PRF_HMAC_SHA2_384;
}

static void make_offer(const struct probe *p, const char *cipher, const char *hash,
                       const char *group, struct ikev1_sa_payload *sa)
{
    struct transform c = {0};

    *sa = (struct ikev1_sa_payload){
        .doi = IKEV1_DOI_IPSEC, .situation = IKEV1_SIT_IDENTITY_ONLY, .proposal_count = 1};
    sa->proposals[0] = (struct ikev1_wire_proposal){.number = 1, .protocol = IKEV1_PROTO_ISAKMP};
    if (!transform_by_word(TRANSFORM_ENCRYPTION, slice_of_text(cipher), &c)) {
        return;
    }
    for (size_t i = 0; p->groups.words[i] != NULL; i++) {
        for (size_t k = 0; p->hashes.words[k] != NULL; k++) {
            struct transform g, h;

            if (!is_asked(group, p->groups.words[i]) || !is_asked(hash, p->hashes.words[k]) ||
                sa->transform_count == TRANSFORMS_ASKED_MAX ||
                !transform_by_word(TRANSFORM_KEY_EXCHANGE, slice_of_text(p->groups.words[i]), &g) ||
                !transform_by_word(TRANSFORM_PRF, slice_of_text(p->hashes.words[k]), &h) ||
                !has_room(hash, group, h.id)) {
                continue;
            }
            sa->transforms[sa->transform_count++] = (struct ikev1_wire_transform){
                .number = (uint8_t)(sa->transform_count + 1),
                .id = IKEV1_KEY_IKE,
                .encryption = cipher_number(&c),
                .key_bits = c.key_bits,
                .hash = hash_number(&h),
                .auth_method =
                    p->site->key.name != NULL ? IKEV1_AUTH_SHARED_KEY : IKEV1_AUTH_RSA_SIGNATURE,
                .group = g.id,
                .life_seconds = LIFE_SECONDS,
            };
        }
    }
    sa->proposals[0].count = sa->transform_count;
}

static bool write_question(struct probe *p, const struct ikev1_sa_payload *sa,
                           uint8_t out[MESSAGE_BYTES], size_t *length)
{
    struct writer w = writer_over(out, MESSAGE_BYTES);
    struct ikev1_header header = {.version = 0x10, .exchange = IKEV1_MAIN};
    uint8_t cookie[COOKIE_BYTES];

    random_fill(&p->random, cookie, sizeof(cookie));
    memcpy(&header.cookie_i, cookie, sizeof(cookie));
    ikev1_write_header(&w, &header);
    struct ikev1_chain chain = ikev1_chain_over(&w, &out[NEXT_PAYLOAD_OFFSET]);

    ikev1_begin_payload(&chain, IKEV1_SA);
    ikev1_write_sa(&w, sa);
    ikev1_end_payload(&chain);
    ikev1_finish_message(&w);
    *length = writer_written(&w).length;
    return writer_ok(&w);
}

static void add_chosen(struct probe *p, uint8_t type, uint16_t id, uint16_t key_bits)
{
    p->chosen[p->chosen_count++] = (struct transform){type, id, key_bits};
}

static void read_chosen(struct probe *p, struct slice body)
{
    struct ikev1_sa_payload sa;

    if (!ikev1_read_sa(body, &sa) || sa.proposal_count != 1 || sa.transform_count != 1) {
        return;
    }
    p->answer = ANSWER_ACCEPTED;
    p->chosen_count = 0;
    add_chosen(p, TRANSFORM_KEY_EXCHANGE, sa.transforms[0].group, 0);
    for (size_t i = 0; i < ARRAY_LENGTH(hashes); i++) {
        if (hashes[i].number == sa.transforms[0].hash) {
            add_chosen(p, TRANSFORM_PRF, hashes[i].prf, 0);
        }
    }
}

/* An answer to the question that begins with the same cookie; what else comes is not looked at. */
static bool read_answer(struct probe *p, struct slice message, struct slice question)
{
    struct reader r = reader_over(message);
    struct ikev1_header header;
    struct ikev1_payload payload;

    if (message.length < HEADER_BYTES || memcmp(message.data, question.data, COOKIE_BYTES) != 0 ||
        !ikev1_read_header(&r, &header)) {
        return false;
    }
    enum persona persona =
        persona_of_ikev1(header.next_payload, (struct slice){message.data + HEADER_BYTES,
                                                             message.length - HEADER_BYTES});

    p->persona = persona != PERSONA_UNKNOWN ? persona : p->persona;
    uint8_t next = header.next_payload;

    while (next != IKEV1_NO_NEXT_PAYLOAD && ikev1_read_payload(&r, &next, &payload)) {
        struct ikev1_notify_payload n;

        if (payload.type == IKEV1_SA && header.exchange == IKEV1_MAIN) {
            read_chosen(p, payload.body);
        } else if (payload.type == IKEV1_NOTIFY && ikev1_read_notify(payload.body, &n) &&
                   ikev1_notify_is_error(n.type)) {
            p->answer = n.type == IKEV1_NO_PROPOSAL_CHOSEN ? ANSWER_REFUSED : ANSWER_ERROR;
            p->notify = n.type;
        }
    }
    return true;
}

/* Many say nothing where they refuse: silence behind an answer to something else is a refusal. */
static void ask(struct probe *p, const char *cipher, const char *hash, const char *group)
{
    struct ikev1_sa_payload *sa = calloc(1, sizeof(*sa));
    uint8_t question[MESSAGE_BYTES];
    size_t length;

    p->answer = ANSWER_NONE;
    p->chosen_count = 0;
    if (sa == NULL) {
        return;
    }
    make_offer(p, cipher, hash, group, sa);
    for (unsigned tries = 0; tries < 2 && p->sent < PROBES_MAX && p->answer == ANSWER_NONE &&
                             write_question(p, sa, question, &length);
         tries++) {
        (void)probe_send(p, (struct slice){question, length}, read_answer);
    }
    free(sa);
}

static const char *error_name(uint16_t notify)
{
    const char *name = ikev1_notify_name(notify);

    return name == NULL ? "an error" : name;
}

const struct probe_version probe_ikev1 = {"IKEv1", ask, error_name,
                                          "Perhaps it takes Aggressive Mode only, or calls from "
                                          "port 500 only, refuses without a word, or "
                                          "does not let this machine in."};
