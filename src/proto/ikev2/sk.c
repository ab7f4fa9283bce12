/*
 * The Encrypted and the Encrypted Fragment payload: where IV, padding and ICV stand, and what is
 * authenticated.
 */
#include "proto/ikev2/sk.h"

#include <assert.h>
#include <string.h>

#include "crypto/protect.h"

#define SKF_HEAD_BYTES 4
#define PAD_LENGTH_BYTES 1
#define BLOCK_BYTES_MAX 16
#define IV_BYTES_MAX 16

/* Sizes that the suite decides. */
struct shape {
    size_t iv_bytes;
    size_t icv_bytes;
    size_t block_bytes; /* of the ciphertext */
    bool counter_iv; /* the IV must never repeat, else it must be unpredictable */
};

static bool shape_of(const struct suite *suite, struct shape *out)
{
    const struct algorithm *cipher = algorithm_find(TRANSFORM_ENCRYPTION, suite->encryption);
    const struct algorithm *integrity = suite->integrity == INTEGRITY_NONE
                                            ? NULL
                                            : algorithm_find(TRANSFORM_INTEGRITY, suite->integrity);

    if (cipher == NULL || (!cipher->aead && integrity == NULL)) {
        return false;
    }
    *out = (struct shape){
        .iv_bytes = cipher->iv_bytes,
        .icv_bytes = cipher->aead ? cipher->icv_bytes : integrity->icv_bytes,
        .block_bytes = cipher->aead || cipher->block_bytes == 0 ? 1 : cipher->block_bytes,
        .counter_iv = cipher->aead || suite->encryption == ENCRYPTION_AES_CTR,
    };
    /* RFC 3686: counter mode is a stream; RFC 5282 3: so are the AEADs, and nothing needs to
     * be aligned. */
    if (suite->encryption == ENCRYPTION_AES_CTR) {
        out->block_bytes = 1;
    }
    return out->iv_bytes <= IV_BYTES_MAX && out->block_bytes <= BLOCK_BYTES_MAX;
}

static size_t heads_bytes(bool fragment)
{
    return IKEV2_HEAD_BYTES + IKEV2_PAYLOAD_HEAD_BYTES + (fragment ? SKF_HEAD_BYTES : 0);
}

size_t ikev2_sk_room(const struct suite *suite, size_t message_bytes, bool fragment)
{
    struct shape shape;

    if (!shape_of(suite, &shape)) {
        return 0;
    }
    size_t around = heads_bytes(fragment) + shape.iv_bytes + shape.icv_bytes;

    if (message_bytes <= around) {
        return 0;
    }
    size_t ciphertext = (message_bytes - around) / shape.block_bytes * shape.block_bytes;

    return ciphertext > PAD_LENGTH_BYTES ? ciphertext - PAD_LENGTH_BYTES : 0;
}

static size_t padding_bytes(const struct shape *shape, size_t chain_bytes)
{
    size_t over = (chain_bytes + PAD_LENGTH_BYTES) % shape->block_bytes;

    return over == 0 ? 0 : shape->block_bytes - over;
}

static size_t message_bytes(const struct shape *shape, size_t chain_bytes, bool fragment)
{
    return heads_bytes(fragment) + shape->iv_bytes + chain_bytes +
           padding_bytes(shape, chain_bytes) + PAD_LENGTH_BYTES + shape->icv_bytes;
}

size_t ikev2_sk_message_bytes(const struct suite *suite, size_t chain_bytes, bool fragment)
{
    struct shape shape;
    bool known = shape_of(suite, &shape);

    assert(known);
    return message_bytes(&shape, chain_bytes, fragment);
}

/* One for each thread: the engine's buffers are larger than thousands of IKE SAs' keys. */
static _Thread_local struct protect_engine *thread_engine;

static struct protect_engine *engine_get(void)
{
    if (thread_engine == NULL) {
        thread_engine = protect_engine_new();
    }
    return thread_engine;
}

void ikev2_sk_engine_free(void)
{
    protect_engine_free(thread_engine);
    thread_engine = NULL;
}

/* AEAD and counter mode: a counter cannot repeat under one key (RFC 5282 3.1). CBC:
 * unpredictable (RFC 7296 3.14). */
static void make_iv(struct ikev2_keys *keys, const struct shape *shape,
                    struct random_source *random, uint8_t *iv)
{
    if (!shape->counter_iv) {
        random_fill(random, iv, shape->iv_bytes);
        return;
    }
    assert(shape->iv_bytes == sizeof(uint64_t));
    assert(keys->iv_counter < UINT64_MAX);
    put_u64(iv, keys->iv_counter++);
}

/* In `message`, whose clear text begins at `clear_at` and whose ICV stands at its end. */
static bool run_job(const struct suite *suite, const struct secret *material,
                    const struct shape *shape, uint8_t *message, size_t length, size_t iv_at,
                    bool seal)
{
    struct protect_engine *engine = engine_get();
    struct protect_key *key =
        engine == NULL ? NULL : protect_key_new(suite, secret_slice(material));

    if (key == NULL) {
        return false;
    }
    size_t data_at = iv_at + shape->iv_bytes;
    size_t icv_at = length - shape->icv_bytes;
    struct protect_job job = {
        .key = key,
        .aad = message,
        .aad_length = (uint32_t)iv_at,
        .length = (uint32_t)(icv_at - data_at),
        .iv = message + iv_at,
        .data = message + data_at,
        .icv = message + icv_at,
    };

    if (seal) {
        protect_seal(engine, &job, 1);
    } else {
        protect_open(engine, &job, 1);
    }
    protect_key_free(key);
    return job.ok;
}

struct fragment_of {
    bool is;
    uint16_t number;
    uint16_t total;
};

static bool seal_message(struct ikev2_keys *keys, bool initiator, const struct ikev2_header *header,
                         uint8_t first, struct fragment_of fragment, struct slice chain,
                         struct random_source *random, struct writer *out)
{
    const struct secret *material = initiator ? &keys->protect_i : &keys->protect_r;
    struct ikev2_header head = *header;
    struct shape shape;

    assert(out->length == 0);
    if (material->length == 0 || !shape_of(&keys->suite, &shape)) {
        writer_fail(out);
        return false;
    }
    size_t length = message_bytes(&shape, chain.length, fragment.is);
    size_t padding = padding_bytes(&shape, chain.length);

    if (length > IKEV2_MESSAGE_BYTES_MAX) {
        writer_fail(out);
        return false;
    }
    head.next_payload = fragment.is ? IKEV2_SKF : IKEV2_SK;
    ikev2_write_header(out, &head);
    write_u8(out, first);
    write_u8(out, 0);
    write_u16(out, (uint16_t)(length - IKEV2_HEAD_BYTES));
    if (fragment.is) {
        write_u16(out, fragment.number);
        write_u16(out, fragment.total);
    }
    uint8_t *iv = write_reserve(out, shape.iv_bytes);

    write_slice(out, chain);
    write_zeros(out, padding);
    write_u8(out, (uint8_t)padding);
    write_zeros(out, shape.icv_bytes);
    ikev2_finish_message(out);
    if (!writer_ok(out)) {
        return false;
    }
    assert(out->length == length);
    make_iv(keys, &shape, random, iv);
    if (!run_job(&keys->suite, material, &shape, out->data, length, heads_bytes(fragment.is),
                 true)) {
        wipe(out->data, length);
        writer_fail(out);
        return false;
    }
    return true;
}

bool ikev2_sk_seal(struct ikev2_keys *keys, bool initiator, const struct ikev2_header *header,
                   uint8_t first, struct slice chain, struct random_source *random,
                   struct writer *out)
{
    return seal_message(keys, initiator, header, first, (struct fragment_of){0}, chain, random,
                        out);
}

bool ikev2_skf_seal(struct ikev2_keys *keys, bool initiator, const struct ikev2_header *header,
                    uint8_t first, uint16_t number, uint16_t total, struct slice content,
                    struct random_source *random, struct writer *out)
{
    assert(number >= 1);
    assert(number <= total);
    /* RFC 7383 2.5: the first fragment names the first payload, in the others the field is 0. */
    return seal_message(keys, initiator, header, number == 1 ? first : 0,
                        (struct fragment_of){true, number, total}, content, random, out);
}

/* The outside of a message: header and one payload, SK or SKF, that fills it. */
static bool read_outside(struct slice message, struct ikev2_sk_opened *out)
{
    struct reader r = reader_over(message);
    struct ikev2_header header;

    *out = (struct ikev2_sk_opened){0};
    if (!ikev2_read_header(&r, &header) ||
        (header.next_payload != IKEV2_SK && header.next_payload != IKEV2_SKF)) {
        return false;
    }
    uint8_t next = header.next_payload;
    struct ikev2_payload payload;

    if (!ikev2_read_payload(&r, &next, &payload) || !reader_done(&r)) {
        return false;
    }
    out->first = next;
    out->fragment = payload.type == IKEV2_SKF;
    if (!out->fragment) {
        return true;
    }
    struct reader body = reader_over(payload.body);
    struct ikev2_skf_head head;

    if (!ikev2_read_skf_head(&body, &head)) {
        return false;
    }
    out->number = head.number;
    out->total = head.total;
    return true;
}

bool ikev2_skf_peek(struct slice message, uint16_t *number, uint16_t *total)
{
    struct ikev2_sk_opened outside;

    *number = 0;
    *total = 0;
    if (!read_outside(message, &outside) || !outside.fragment) {
        return false;
    }
    *number = outside.number;
    *total = outside.total;
    return true;
}

/* Padding of any value is accepted (RFC 7296 3.14); its length must leave it inside. */
static bool cut_padding(struct slice clear, struct slice *chain)
{
    size_t padding = clear.data[clear.length - 1];

    if (padding + PAD_LENGTH_BYTES > clear.length) {
        return false;
    }
    *chain = (struct slice){clear.data, clear.length - padding - PAD_LENGTH_BYTES};
    return true;
}

bool ikev2_sk_open(const struct ikev2_keys *keys, bool from_initiator, struct slice message,
                   uint8_t *buffer, struct ikev2_sk_opened *out)
{
    const struct secret *material = from_initiator ? &keys->protect_i : &keys->protect_r;
    struct ikev2_sk_opened opened;
    struct shape shape;

    *out = (struct ikev2_sk_opened){0};
    if (material->length == 0 || !shape_of(&keys->suite, &shape) ||
        !read_outside(message, &opened)) {
        return false;
    }
    size_t iv_at = heads_bytes(opened.fragment);
    size_t around = iv_at + shape.iv_bytes + shape.icv_bytes;

    if (message.length < around + PAD_LENGTH_BYTES ||
        (message.length - around) % shape.block_bytes != 0) {
        return false;
    }
    memcpy(buffer, message.data, message.length);
    struct slice clear = {buffer + iv_at + shape.iv_bytes, message.length - around};

    if (!run_job(&keys->suite, material, &shape, buffer, message.length, iv_at, false) ||
        !cut_padding(clear, &opened.chain)) {
        wipe(buffer, message.length);
        return false;
    }
    *out = opened;
    return true;
}
