/*
 * The key schedule of IKEv2 (RFC 7296 2.13 to 2.18) and AUTH with a shared key.
 */
#include "proto/ikev2/keys.h"

#include <assert.h>
#include <string.h>

/* RFC 7296 2.14: of these PRFs' fixed keys half comes from each nonce. */
#define FIXED_KEY_NONCE_BYTES 8

static bool prf_has_fixed_key(uint16_t prf_id)
{
    return prf_id == PRF_AES128_XCBC || prf_id == PRF_AES128_CMAC;
}

static struct slice slice_first(struct slice bytes, size_t length)
{
    return (struct slice){bytes.data, bytes.length < length ? bytes.length : length};
}

/* Octets of output and preferred key; 0 for an unknown PRF. */
static size_t prf_output_bytes(uint16_t prf_id)
{
    const struct algorithm *algorithm = algorithm_find(TRANSFORM_PRF, prf_id);

    return algorithm == NULL ? 0 : algorithm->output_bytes;
}

static size_t prf_key_bytes(uint16_t prf_id)
{
    const struct algorithm *algorithm = algorithm_find(TRANSFORM_PRF, prf_id);

    return algorithm == NULL ? 0 : algorithm->key_bytes;
}

/* The next `length` octets of key material. */
static bool take_key(struct reader *material, struct secret *out, size_t length)
{
    struct slice key = read_bytes(material, length);

    return reader_ok(material) && secret_set(out, key);
}

/* Cipher key and integrity key of one direction become one secret, as crypto/protect.h takes
 * them. */
static bool join_keys(struct slice encryption, struct slice integrity, struct secret *out)
{
    if (!secret_reserve(out, encryption.length + integrity.length)) {
        return false;
    }
    memcpy(out->bytes, encryption.data, encryption.length);
    if (integrity.length > 0) {
        memcpy(out->bytes + encryption.length, integrity.data, integrity.length);
    }
    return true;
}

/* {SK_d | SK_ai | SK_ar | SK_ei | SK_er | SK_pi | SK_pr} */
static bool cut_keys(const struct suite *suite, struct slice material, struct ikev2_keys *out)
{
    struct reader r = reader_over(material);
    size_t prf_bytes = prf_key_bytes(suite->prf);
    size_t integrity_bytes = suite_integrity_key_bytes(suite);
    size_t encryption_bytes = suite_encryption_key_bytes(suite);
    bool ok = take_key(&r, &out->sk_d, prf_bytes);
    struct slice ai = read_bytes(&r, integrity_bytes);
    struct slice ar = read_bytes(&r, integrity_bytes);
    struct slice ei = read_bytes(&r, encryption_bytes);
    struct slice er = read_bytes(&r, encryption_bytes);

    ok = ok && reader_ok(&r) && join_keys(ei, ai, &out->protect_i) &&
         join_keys(er, ar, &out->protect_r);
    ok = ok && take_key(&r, &out->sk_pi, prf_bytes) && take_key(&r, &out->sk_pr, prf_bytes);
    return ok && reader_done(&r);
}

/* prf+ (SKEYSEED, Ni | Nr | SPIi | SPIr), cut into keys. */
static bool expand(const struct suite *suite, struct slice skeyseed, struct slice nonce_i,
                   struct slice nonce_r, uint64_t spi_i, uint64_t spi_r, struct ikev2_keys *out)
{
    uint8_t spis[16];
    struct secret material = {0};
    size_t length = 3 * prf_key_bytes(suite->prf) + 2 * suite_integrity_key_bytes(suite) +
                    2 * suite_encryption_key_bytes(suite);

    put_u64(spis, spi_i);
    put_u64(spis + 8, spi_r);

    const struct slice seed[] = {nonce_i, nonce_r, SLICE_OF(spis)};
    bool ok = secret_reserve(&material, length) &&
              prf_plus(suite->prf, skeyseed, seed, ARRAY_LENGTH(seed), material.bytes, length) &&
              cut_keys(suite, secret_slice(&material), out);

    secret_wipe(&material);
    if (!ok) {
        ikev2_keys_fini(out);
        return false;
    }
    out->suite = *suite;
    return true;
}

static bool suite_has_keys(const struct suite *suite)
{
    return suite_is_usable_for_ike(suite) && prf_output_bytes(suite->prf) > 0;
}

bool ikev2_keys_derive(const struct suite *suite, struct slice shared, struct slice nonce_i,
                       struct slice nonce_r, uint64_t spi_i, uint64_t spi_r, struct ikev2_keys *out)
{
    uint8_t key[2 * 256];
    uint8_t skeyseed[PRF_OUTPUT_BYTES_MAX];
    bool fixed = prf_has_fixed_key(suite->prf);
    struct slice key_i = fixed ? slice_first(nonce_i, FIXED_KEY_NONCE_BYTES) : nonce_i;
    struct slice key_r = fixed ? slice_first(nonce_r, FIXED_KEY_NONCE_BYTES) : nonce_r;
    struct writer w = writer_over(key, sizeof(key));

    ikev2_keys_fini(out);
    write_slice(&w, key_i);
    write_slice(&w, key_r);
    if (!writer_ok(&w) || !suite_has_keys(suite) || shared.length == 0) {
        return false;
    }
    bool ok = prf(suite->prf, writer_written(&w), &shared, 1, skeyseed) &&
              expand(suite, (struct slice){skeyseed, prf_output_bytes(suite->prf)}, nonce_i,
                     nonce_r, spi_i, spi_r, out);

    wipe(skeyseed, sizeof(skeyseed));
    return ok;
}

bool ikev2_keys_rekey(const struct ikev2_keys *old, const struct suite *suite, struct slice shared,
                      struct slice nonce_i, struct slice nonce_r, struct slice more, uint64_t spi_i,
                      uint64_t spi_r, struct ikev2_keys *out)
{
    uint8_t skeyseed[PRF_OUTPUT_BYTES_MAX];
    const struct slice parts[] = {shared, nonce_i, nonce_r, more};

    assert(out != old);
    ikev2_keys_fini(out);
    if (!suite_has_keys(suite) || shared.length == 0 || old->sk_d.length == 0) {
        return false;
    }
    bool ok = prf(old->suite.prf, secret_slice(&old->sk_d), parts, ARRAY_LENGTH(parts), skeyseed) &&
              expand(suite, (struct slice){skeyseed, prf_output_bytes(old->suite.prf)}, nonce_i,
                     nonce_r, spi_i, spi_r, out);

    wipe(skeyseed, sizeof(skeyseed));
    return ok;
}

bool ikev2_keys_resume(const struct suite *suite, const struct secret *old_sk_d,
                       struct slice nonce_i, struct slice nonce_r, uint64_t spi_i, uint64_t spi_r,
                       struct ikev2_keys *out)
{
    uint8_t skeyseed[PRF_OUTPUT_BYTES_MAX];
    const struct slice parts[] = {SLICE_TEXT("Resumption"), nonce_i, nonce_r};

    ikev2_keys_fini(out);
    bool ok = suite_has_keys(suite) && old_sk_d->length > 0 &&
              prf(suite->prf, secret_slice(old_sk_d), parts, ARRAY_LENGTH(parts), skeyseed) &&
              expand(suite, (struct slice){skeyseed, prf_output_bytes(suite->prf)}, nonce_i,
                     nonce_r, spi_i, spi_r, out);

    wipe(skeyseed, sizeof(skeyseed));
    return ok;
}

static bool mix(uint16_t prf_id, const struct secret *ppk, const struct secret *plain,
                struct secret *out)
{
    const struct slice seed = secret_slice(plain);

    return plain->length > 0 && secret_reserve(out, plain->length) &&
           prf_plus(prf_id, secret_slice(ppk), &seed, 1, out->bytes, out->length);
}

bool ikev2_keys_mix_ppk(struct ikev2_keys *keys, const struct secret *ppk, struct ikev2_keys *plain)
{
    struct ikev2_keys mixed = {0};
    uint16_t prf_id = keys->suite.prf;

    assert(keys != plain);
    bool ok = ppk->length > 0 && mix(prf_id, ppk, &keys->sk_d, &mixed.sk_d) &&
              mix(prf_id, ppk, &keys->sk_pi, &mixed.sk_pi) &&
              mix(prf_id, ppk, &keys->sk_pr, &mixed.sk_pr);

    if (ok) {
        plain->suite = keys->suite;
        secret_move(&plain->sk_d, &keys->sk_d);
        secret_move(&plain->sk_pi, &keys->sk_pi);
        secret_move(&plain->sk_pr, &keys->sk_pr);
        secret_move(&keys->sk_d, &mixed.sk_d);
        secret_move(&keys->sk_pi, &mixed.sk_pi);
        secret_move(&keys->sk_pr, &mixed.sk_pr);
    }
    ikev2_keys_fini(&mixed);
    return ok;
}

bool ikev2_keys_apply_ppk(const struct ikev2_keys *old, const struct secret *ppk,
                          struct slice nonce_i, struct slice nonce_r, uint64_t spi_i,
                          uint64_t spi_r, struct ikev2_keys *out)
{
    uint8_t skeyseed[PRF_OUTPUT_BYTES_MAX];
    size_t length = prf_key_bytes(old->suite.prf);
    const struct slice seed = secret_slice(&old->sk_d);

    assert(out != old);
    ikev2_keys_fini(out);
    if (ppk->length == 0 || seed.length == 0) {
        return false;
    }
    bool ok =
        prf_plus(old->suite.prf, secret_slice(ppk), &seed, 1, skeyseed, length) &&
        expand(&old->suite, (struct slice){skeyseed, length}, nonce_i, nonce_r, spi_i, spi_r, out);

    wipe(skeyseed, sizeof(skeyseed));
    return ok;
}

void ikev2_keys_unmix_ppk(struct ikev2_keys *keys, struct ikev2_keys *plain)
{
    assert(plain->sk_d.length > 0);
    secret_move(&keys->sk_d, &plain->sk_d);
    secret_move(&keys->sk_pi, &plain->sk_pi);
    secret_move(&keys->sk_pr, &plain->sk_pr);
    ikev2_keys_fini(plain);
}

void ikev2_keys_fini(struct ikev2_keys *keys)
{
    secret_wipe(&keys->sk_d);
    ikev2_keys_forget_auth(keys);
    secret_wipe(&keys->protect_i);
    secret_wipe(&keys->protect_r);
    keys->suite = (struct suite){0};
    keys->iv_counter = 0;
}

void ikev2_keys_forget_auth(struct ikev2_keys *keys)
{
    secret_wipe(&keys->sk_pi);
    secret_wipe(&keys->sk_pr);
}

void ikev2_keys_move(struct ikev2_keys *to, struct ikev2_keys *from)
{
    assert(to != from);
    secret_move(&to->sk_d, &from->sk_d);
    secret_move(&to->sk_pi, &from->sk_pi);
    secret_move(&to->sk_pr, &from->sk_pr);
    secret_move(&to->protect_i, &from->protect_i);
    secret_move(&to->protect_r, &from->protect_r);
    to->suite = from->suite;
    to->iv_counter = from->iv_counter;
    ikev2_keys_fini(from);
}

bool ikev2_keys_child(const struct ikev2_keys *keys, const struct suite *child, struct slice shared,
                      struct slice nonce_i, struct slice nonce_r, struct slice more,
                      struct secret *from_initiator, struct secret *from_responder)
{
    size_t each = suite_encryption_key_bytes(child) + suite_integrity_key_bytes(child);
    const struct slice seed[] = {shared, nonce_i, nonce_r, more};
    struct secret material = {0};

    secret_wipe(from_initiator);
    secret_wipe(from_responder);
    if (!(suite_is_usable(child) || suite_is_usable_for_ah(child)) || keys->sk_d.length == 0) {
        return false;
    }
    bool ok = secret_reserve(&material, 2 * each) &&
              prf_plus(keys->suite.prf, secret_slice(&keys->sk_d), seed, ARRAY_LENGTH(seed),
                       material.bytes, 2 * each) &&
              secret_set(from_initiator, (struct slice){material.bytes, each}) &&
              secret_set(from_responder, (struct slice){material.bytes + each, each});

    secret_wipe(&material);
    if (!ok) {
        secret_wipe(from_initiator);
        secret_wipe(from_responder);
    }
    return ok;
}

bool ikev2_auth_octets(const struct ikev2_keys *keys, bool initiator, struct slice message,
                       struct slice nonce_of_other, struct slice id_whole,
                       struct ikev2_auth_octets *out)
{
    const struct secret *sk_p = initiator ? &keys->sk_pi : &keys->sk_pr;

    *out = (struct ikev2_auth_octets){.message = message, .nonce = nonce_of_other};
    if (sk_p->length == 0 ||
        !prf(keys->suite.prf, secret_slice(sk_p), &id_whole, 1, out->maced_id)) {
        return false;
    }
    out->maced_id_bytes = prf_output_bytes(keys->suite.prf);
    return true;
}

bool ikev2_int_auth(const struct ikev2_keys *keys, bool initiator, struct slice before,
                    const struct ikev2_header *header, uint8_t first, struct slice chain,
                    uint8_t out[PRF_OUTPUT_BYTES_MAX], size_t *length)
{
    const struct secret *sk_p = initiator ? &keys->sk_pi : &keys->sk_pr;
    struct ikev2_header adjusted = *header;
    uint8_t heads[IKEV2_HEAD_BYTES + IKEV2_PAYLOAD_HEAD_BYTES];
    struct writer w = writer_over(heads, sizeof(heads));

    /* As if it were neither encrypted nor in fragments. */
    adjusted.next_payload = IKEV2_SK;
    adjusted.length = (uint32_t)(sizeof(heads) + chain.length);
    ikev2_write_header(&w, &adjusted);
    write_u8(&w, first);
    write_u8(&w, 0);
    write_u16(&w, (uint16_t)(IKEV2_PAYLOAD_HEAD_BYTES + chain.length));

    const struct slice parts[] = {before, writer_written(&w), chain};

    *length = prf_output_bytes(keys->suite.prf);
    return writer_ok(&w) && sk_p->length > 0 &&
           chain.length <= UINT16_MAX - IKEV2_PAYLOAD_HEAD_BYTES &&
           prf(keys->suite.prf, secret_slice(sk_p), parts, ARRAY_LENGTH(parts), out);
}

bool ikev2_auth_shared_key(const struct ikev2_keys *keys, const struct secret *shared_key,
                           const struct ikev2_auth_octets *octets,
                           uint8_t out[PRF_OUTPUT_BYTES_MAX], size_t *length)
{
    const struct slice key_pad = SLICE_TEXT("Key Pad for IKEv2");
    uint8_t padded[PRF_OUTPUT_BYTES_MAX];
    size_t prf_bytes = prf_output_bytes(keys->suite.prf);
    const struct slice parts[] = {
        octets->message,
        octets->nonce,
        {octets->maced_id, octets->maced_id_bytes},
        octets->int_auth,
    };

    *length = 0;
    if (shared_key->length == 0 || octets->maced_id_bytes == 0) {
        return false;
    }
    bool ok =
        prf(keys->suite.prf, secret_slice(shared_key), &key_pad, 1, padded) &&
        prf(keys->suite.prf, (struct slice){padded, prf_bytes}, parts, ARRAY_LENGTH(parts), out);

    wipe(padded, sizeof(padded));
    if (ok) {
        *length = prf_bytes;
    }
    return ok;
}

bool ikev2_auth_resumed(const struct ikev2_keys *keys, bool initiator,
                        const struct ikev2_auth_octets *octets, uint8_t out[PRF_OUTPUT_BYTES_MAX],
                        size_t *length)
{
    const struct secret *sk_p = initiator ? &keys->sk_pi : &keys->sk_pr;
    const struct slice parts[] = {
        octets->message,
        octets->nonce,
        {octets->maced_id, octets->maced_id_bytes},
    };

    *length = prf_output_bytes(keys->suite.prf);
    return sk_p->length > 0 && octets->maced_id_bytes > 0 &&
           prf(keys->suite.prf, secret_slice(sk_p), parts, ARRAY_LENGTH(parts), out);
}

bool ikev2_auth_verify_shared_key(const struct ikev2_keys *keys, const struct secret *shared_key,
                                  const struct ikev2_auth_octets *octets, struct slice auth)
{
    uint8_t expected[PRF_OUTPUT_BYTES_MAX];
    size_t length;

    if (!ikev2_auth_shared_key(keys, shared_key, octets, expected, &length)) {
        return false;
    }
    bool same = auth.length == length && equal_in_constant_time(auth.data, expected, length);

    wipe(expected, sizeof(expected));
    return same;
}
