/*
 * The key schedule of IKEv1 (RFC 2409 5, 5.5, appendix B), its chained encryption, and what its
 * hashes cover.
 */
#include "proto/ikev1/keys.h"

#include <assert.h>
#include <string.h>

#include "crypto/digest.h"

#define COOKIE_PAIR_BYTES 16
#define NONCE_PAIR_BYTES_MAX (2 * IKEV1_NONCE_BYTES_MAX)
#define DES_KEY_BYTES 8

/* RFC 2409 4: without a negotiated prf, it is the HMAC of the negotiated hash. */
static bool digest_of(uint16_t prf_id, enum digest_id *out)
{
    static const struct {
        uint16_t prf;
        enum digest_id digest;
    } digests[] = {
        {PRF_HMAC_MD5, DIGEST_MD5},         {PRF_HMAC_SHA1, DIGEST_SHA1},
        {PRF_HMAC_SHA2_256, DIGEST_SHA256}, {PRF_HMAC_SHA2_384, DIGEST_SHA384},
        {PRF_HMAC_SHA2_512, DIGEST_SHA512},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(digests); i++) {
        if (digests[i].prf == prf_id) {
            *out = digests[i].digest;
            return true;
        }
    }
    return false;
}

bool ikev1_suite_is_usable(const struct suite *suite)
{
    enum digest_id digest;

    return digest_of(suite->prf, &digest) && cbc_block_bytes(suite->encryption) > 0 &&
           suite_encryption_key_bytes(suite) > 0 &&
           algorithm_allows_key_bits(algorithm_find(TRANSFORM_ENCRYPTION, suite->encryption),
                                     suite->key_bits);
}

bool ikev1_digest_of(const struct suite *suite, enum digest_id *out)
{
    return digest_of(suite->prf, out);
}

static size_t hash_bytes(const struct suite *suite)
{
    enum digest_id digest;

    return digest_of(suite->prf, &digest) ? digest_bytes(digest) : 0;
}

static void put_cookies(uint8_t out[COOKIE_PAIR_BYTES], uint64_t first, uint64_t second)
{
    put_u64(out, first);
    put_u64(out + 8, second);
}

/* --- stretching --- */

/* K = K1 | K2 | ... with K1 = prf(key, parts) and Kn = prf(key, Kn-1 | more), as far as `length`
 * goes. */
static bool stretch(uint16_t prf_id, struct slice key, struct slice first,
                    const struct slice more[4], uint8_t *out, size_t length, size_t block)
{
    uint8_t last[PRF_OUTPUT_BYTES_MAX];
    struct slice parts[] = {first, more[0], more[1], more[2], more[3]};
    bool ok = true;

    for (size_t done = 0; ok && done < length; done += block) {
        size_t take = length - done < block ? length - done : block;

        ok = prf(prf_id, key, parts, ARRAY_LENGTH(parts), last);
        if (ok) {
            memcpy(out + done, last, take);
            parts[0] = (struct slice){last, block};
        }
    }
    wipe(last, sizeof(last));
    return ok;
}

/* Appendix A: keys of DES that are of no use, whatever their parity bits say. */
static bool is_weak_des_key(const uint8_t key[DES_KEY_BYTES])
{
    static const uint8_t weak[][DES_KEY_BYTES] = {
        {0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01},
        {0x1f, 0x1f, 0x1f, 0x1f, 0xe0, 0xe0, 0xe0, 0xe0},
        {0xe0, 0xe0, 0xe0, 0xe0, 0x1f, 0x1f, 0x1f, 0x1f},
        {0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe},
        {0x01, 0xfe, 0x01, 0xfe, 0x01, 0xfe, 0x01, 0xfe},
        {0x1f, 0xe0, 0x1f, 0xe0, 0x0e, 0xf1, 0x0e, 0xf1},
        {0x01, 0xe0, 0x01, 0xe0, 0x01, 0xf1, 0x01, 0xf1},
        {0x1f, 0xfe, 0x1f, 0xfe, 0x0e, 0xfe, 0x0e, 0xfe},
        {0x01, 0x1f, 0x01, 0x1f, 0x01, 0x0e, 0x01, 0x0e},
        {0xe0, 0xfe, 0xe0, 0xfe, 0xf1, 0xfe, 0xf1, 0xfe},
        {0xfe, 0x01, 0xfe, 0x01, 0xfe, 0x01, 0xfe, 0x01},
        {0xe0, 0x1f, 0xe0, 0x1f, 0xf1, 0x0e, 0xf1, 0x0e},
        {0xe0, 0x01, 0xe0, 0x01, 0xf1, 0x01, 0xf1, 0x01},
        {0xfe, 0x1f, 0xfe, 0x1f, 0xfe, 0x0e, 0xfe, 0x0e},
        {0x1f, 0x01, 0x1f, 0x01, 0x0e, 0x01, 0x0e, 0x01},
        {0xfe, 0xe0, 0xfe, 0xe0, 0xfe, 0xf1, 0xfe, 0xf1},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(weak); i++) {
        unsigned difference = 0;

        for (size_t j = 0; j < DES_KEY_BYTES; j++) {
            difference |= (unsigned)(key[j] ^ weak[i][j]) & 0xfe;
        }
        if (difference == 0) {
            return true;
        }
    }
    return false;
}

/* Appendix B: the first eight octets that are neither weak nor semi-weak. */
static bool cut_des_key(struct slice material, struct secret *out)
{
    struct reader r = reader_over(material);

    while (reader_left(&r) >= DES_KEY_BYTES) {
        struct slice key = read_bytes(&r, DES_KEY_BYTES);

        if (!is_weak_des_key(key.data)) {
            return secret_set(out, key);
        }
    }
    return false;
}

bool ikev1_cipher_key(const struct suite *suite, struct slice material, struct secret *out)
{
    static const uint8_t zero[1] = {0};
    const struct slice nothing[4] = {{NULL, 0}};
    size_t length = suite_encryption_key_bytes(suite);

    if (suite->encryption == ENCRYPTION_DES) {
        return cut_des_key(material, out);
    }
    if (material.length >= length) {
        return secret_set(out, (struct slice){material.data, length});
    }
    return secret_reserve(out, length) && stretch(suite->prf, material, SLICE_OF(zero), nothing,
                                                  out->bytes, length, material.length);
}

/* --- SKEYID and what follows --- */

/* SKEYID_x = prf(SKEYID, [SKEYID_y |] g^xy | CKY-I | CKY-R | number) */
static bool derive_one(const struct ikev1_keys *keys, const struct secret *before,
                       const struct ikev1_agreed *agreed, uint8_t number, struct secret *out)
{
    uint8_t cookies[COOKIE_PAIR_BYTES];
    const struct slice parts[] = {
        before == NULL ? (struct slice){NULL, 0} : secret_slice(before),
        agreed->shared,
        SLICE_OF(cookies),
        {&number, 1},
    };

    put_cookies(cookies, agreed->cookie_i, agreed->cookie_r);
    return secret_reserve(out, hash_bytes(&keys->suite)) &&
           prf(keys->suite.prf, secret_slice(&keys->skeyid), parts, ARRAY_LENGTH(parts),
               out->bytes);
}

/* Everything behind SKEYID, which is prf(key, parts). */
static bool derive(const struct suite *suite, struct slice key, const struct slice *parts,
                   size_t count, const struct ikev1_agreed *agreed, struct ikev1_keys *out)
{
    ikev1_keys_fini(out);
    if (!ikev1_suite_is_usable(suite) || agreed->shared.length == 0) {
        return false;
    }
    out->suite = *suite;
    bool ok = secret_reserve(&out->skeyid, hash_bytes(suite)) &&
              prf(suite->prf, key, parts, count, out->skeyid.bytes) &&
              derive_one(out, NULL, agreed, 0, &out->skeyid_d) &&
              derive_one(out, &out->skeyid_d, agreed, 1, &out->skeyid_a) &&
              derive_one(out, &out->skeyid_a, agreed, 2, &out->skeyid_e) &&
              ikev1_cipher_key(suite, secret_slice(&out->skeyid_e), &out->cipher_key);

    if (!ok) {
        ikev1_keys_fini(out);
    }
    return ok;
}

bool ikev1_keys_of_shared_key(const struct suite *suite, const struct secret *shared_key,
                              const struct ikev1_agreed *agreed, struct ikev1_keys *out)
{
    const struct slice parts[] = {agreed->nonce_i, agreed->nonce_r};

    ikev1_keys_fini(out);
    return shared_key->length > 0 &&
           derive(suite, secret_slice(shared_key), parts, ARRAY_LENGTH(parts), agreed, out);
}

bool ikev1_keys_of_signatures(const struct suite *suite, const struct ikev1_agreed *agreed,
                              struct ikev1_keys *out)
{
    uint8_t nonces[NONCE_PAIR_BYTES_MAX];
    struct writer w = writer_over(nonces, sizeof(nonces));

    ikev1_keys_fini(out);
    write_slice(&w, agreed->nonce_i);
    write_slice(&w, agreed->nonce_r);
    return writer_ok(&w) && derive(suite, writer_written(&w), &agreed->shared, 1, agreed, out);
}

bool ikev1_keys_of_encryption(const struct suite *suite, const struct ikev1_agreed *agreed,
                              struct ikev1_keys *out)
{
    const struct slice nonces[] = {agreed->nonce_i, agreed->nonce_r};
    uint8_t cookies[COOKIE_PAIR_BYTES];
    const struct slice parts[] = {SLICE_OF(cookies)};
    struct ikev1_hash_value key;

    ikev1_keys_fini(out);
    put_cookies(cookies, agreed->cookie_i, agreed->cookie_r);
    bool ok = ikev1_hash(suite, nonces, ARRAY_LENGTH(nonces), &key) &&
              derive(suite, ikev1_hash_slice(&key), parts, ARRAY_LENGTH(parts), agreed, out);

    wipe(&key, sizeof(key));
    return ok;
}

void ikev1_keys_fini(struct ikev1_keys *keys)
{
    ikev1_keys_forget_auth(keys);
    secret_wipe(&keys->skeyid_d);
    secret_wipe(&keys->skeyid_a);
    secret_wipe(&keys->skeyid_e);
    secret_wipe(&keys->cipher_key);
    keys->suite = (struct suite){0};
}

void ikev1_keys_forget_auth(struct ikev1_keys *keys)
{
    secret_wipe(&keys->skeyid);
}

void ikev1_keys_move(struct ikev1_keys *to, struct ikev1_keys *from)
{
    assert(to != from);
    secret_move(&to->skeyid, &from->skeyid);
    secret_move(&to->skeyid_d, &from->skeyid_d);
    secret_move(&to->skeyid_a, &from->skeyid_a);
    secret_move(&to->skeyid_e, &from->skeyid_e);
    secret_move(&to->cipher_key, &from->cipher_key);
    to->suite = from->suite;
    ikev1_keys_fini(from);
}

/* --- encryption --- */

/* The first octets of a hash are the IV. */
static bool iv_of_hash(const struct suite *suite, const struct slice *parts, size_t count,
                       struct ikev1_iv *out)
{
    size_t block = cbc_block_bytes(suite->encryption);
    struct ikev1_hash_value hash;

    *out = (struct ikev1_iv){0};
    if (block == 0 || !ikev1_hash(suite, parts, count, &hash)) {
        return false;
    }
    assert(hash.length >= block);
    memcpy(out->octets, hash.octets, block);
    out->length = (uint8_t)block;
    return true;
}

bool ikev1_iv_of_phase1(const struct suite *suite, struct slice public_i, struct slice public_r,
                        struct ikev1_iv *out)
{
    const struct slice parts[] = {public_i, public_r};

    return iv_of_hash(suite, parts, ARRAY_LENGTH(parts), out);
}

bool ikev1_iv_of_phase2(const struct suite *suite, const struct ikev1_iv *phase1,
                        uint32_t message_id, struct ikev1_iv *out)
{
    uint8_t id[4];
    const struct slice parts[] = {{phase1->octets, phase1->length}, SLICE_OF(id)};
    struct ikev1_iv iv;

    put_u32(id, message_id);
    bool ok = phase1->length > 0 && iv_of_hash(suite, parts, ARRAY_LENGTH(parts), &iv);

    *out = ok ? iv : (struct ikev1_iv){0};
    return ok;
}

size_t ikev1_padded_bytes(const struct suite *suite, size_t length)
{
    size_t block = cbc_block_bytes(suite->encryption);

    assert(block > 0);
    return (length + block - 1) / block * block;
}

static bool message_fits(const struct ikev1_keys *keys, const struct ikev1_iv *iv, size_t length)
{
    size_t block = cbc_block_bytes(keys->suite.encryption);

    return block > 0 && keys->cipher_key.length > 0 && iv->length == block && length > 0 &&
           length % block == 0;
}

bool ikev1_encrypt(const struct ikev1_keys *keys, struct ikev1_iv *iv, uint8_t *data, size_t length)
{
    struct slice start = {iv->octets, iv->length};

    if (!message_fits(keys, iv, length) ||
        !cbc_encrypt(keys->suite.encryption, secret_slice(&keys->cipher_key), start, data,
                     length)) {
        return false;
    }
    memcpy(iv->octets, data + length - iv->length, iv->length);
    return true;
}

bool ikev1_decrypt(const struct ikev1_keys *keys, struct ikev1_iv *iv, uint8_t *data, size_t length)
{
    struct slice start = {iv->octets, iv->length};
    struct ikev1_iv next = *iv;

    if (!message_fits(keys, iv, length)) {
        return false;
    }
    memcpy(next.octets, data + length - iv->length, iv->length);
    if (!cbc_decrypt(keys->suite.encryption, secret_slice(&keys->cipher_key), start, data,
                     length)) {
        return false;
    }
    *iv = next;
    return true;
}

/* --- hashes --- */

struct slice ikev1_hash_slice(const struct ikev1_hash_value *hash)
{
    return (struct slice){hash->octets, hash->length};
}

bool ikev1_hash_equal(const struct ikev1_hash_value *expected, struct slice hash)
{
    return expected->length > 0 && hash.length == expected->length &&
           equal_in_constant_time(hash.data, expected->octets, expected->length);
}

bool ikev1_hash(const struct suite *suite, const struct slice *parts, size_t count,
                struct ikev1_hash_value *out)
{
    enum digest_id id;
    struct digest digest;

    out->length = 0;
    if (!digest_of(suite->prf, &id)) {
        return false;
    }
    digest_begin(&digest, id);
    for (size_t i = 0; i < count; i++) {
        digest_add(&digest, parts[i].data, parts[i].length);
    }
    digest_end(&digest, out->octets);
    out->length = digest_bytes(id);
    return true;
}

static bool keyed_hash(const struct ikev1_keys *keys, const struct secret *key,
                       const struct slice *parts, size_t count, struct ikev1_hash_value *out)
{
    out->length = 0;
    if (key->length == 0 || !prf(keys->suite.prf, secret_slice(key), parts, count, out->octets)) {
        return false;
    }
    out->length = hash_bytes(&keys->suite);
    return true;
}

bool ikev1_hash_i(const struct ikev1_keys *keys, const struct ikev1_phase1_words *words,
                  struct slice id, struct ikev1_hash_value *out)
{
    uint8_t cookies[COOKIE_PAIR_BYTES];
    const struct slice parts[] = {
        words->public_i, words->public_r, SLICE_OF(cookies), words->sa_i, id,
    };

    put_cookies(cookies, words->cookie_i, words->cookie_r);
    return keyed_hash(keys, &keys->skeyid, parts, ARRAY_LENGTH(parts), out);
}

bool ikev1_hash_r(const struct ikev1_keys *keys, const struct ikev1_phase1_words *words,
                  struct slice id, struct ikev1_hash_value *out)
{
    uint8_t cookies[COOKIE_PAIR_BYTES];
    const struct slice parts[] = {
        words->public_r, words->public_i, SLICE_OF(cookies), words->sa_i, id,
    };

    put_cookies(cookies, words->cookie_r, words->cookie_i);
    return keyed_hash(keys, &keys->skeyid, parts, ARRAY_LENGTH(parts), out);
}

bool ikev1_hash_1(const struct ikev1_keys *keys, uint32_t message_id, struct slice rest,
                  struct ikev1_hash_value *out)
{
    return ikev1_hash_2(keys, message_id, (struct slice){NULL, 0}, rest, out);
}

bool ikev1_hash_2(const struct ikev1_keys *keys, uint32_t message_id, struct slice nonce_i,
                  struct slice rest, struct ikev1_hash_value *out)
{
    uint8_t id[4];
    const struct slice parts[] = {SLICE_OF(id), nonce_i, rest};

    put_u32(id, message_id);
    return keyed_hash(keys, &keys->skeyid_a, parts, ARRAY_LENGTH(parts), out);
}

bool ikev1_hash_3(const struct ikev1_keys *keys, uint32_t message_id, struct slice nonce_i,
                  struct slice nonce_r, struct ikev1_hash_value *out)
{
    uint8_t zero_and_id[5] = {0};
    const struct slice parts[] = {SLICE_OF(zero_and_id), nonce_i, nonce_r};

    put_u32(zero_and_id + 1, message_id);
    return keyed_hash(keys, &keys->skeyid_a, parts, ARRAY_LENGTH(parts), out);
}

/* --- keys of phase 2 --- */

bool ikev1_keys_child(const struct ikev1_keys *keys, const struct suite *child, uint8_t protocol,
                      uint32_t spi, struct slice shared, struct slice nonce_i, struct slice nonce_r,
                      struct secret *out)
{
    uint8_t protocol_and_spi[5] = {protocol};
    const struct slice seed[4] = {shared, SLICE_OF(protocol_and_spi), nonce_i, nonce_r};
    size_t length = suite_encryption_key_bytes(child) + suite_integrity_key_bytes(child);

    put_u32(protocol_and_spi + 1, spi);
    secret_wipe(out);
    if (!(suite_is_usable(child) || suite_is_usable_for_ah(child)) || keys->skeyid_d.length == 0) {
        return false;
    }
    bool ok = secret_reserve(out, length) &&
              stretch(keys->suite.prf, secret_slice(&keys->skeyid_d), (struct slice){NULL, 0}, seed,
                      out->bytes, length, hash_bytes(&keys->suite));

    if (!ok) {
        secret_wipe(out);
    }
    return ok;
}

bool ikev1_keys_revised(const struct suite *suite, struct slice nonce, uint64_t cookie,
                        struct secret *out)
{
    uint8_t octets[8];
    uint8_t ne[PRF_OUTPUT_BYTES_MAX];
    const struct slice part = SLICE_OF(octets);

    put_u64(octets, cookie);
    secret_wipe(out);
    bool ok = ikev1_suite_is_usable(suite) && nonce.length > 0 &&
              prf(suite->prf, nonce, &part, 1, ne) &&
              ikev1_cipher_key(suite, (struct slice){ne, hash_bytes(suite)}, out);

    wipe(ne, sizeof(ne));
    return ok;
}
