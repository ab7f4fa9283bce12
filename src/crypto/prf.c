/*
 * The PRFs of IKE: HMAC (RFC 2104, 4868), AES-XCBC (RFC 4434) and AES-CMAC (RFC 4615), and prf+ on
 * top of them.
 */
#include "crypto/prf.h"

#include <string.h>

#include "crypto/cbc_mac.h"
#include "crypto/digest.h"

static bool prf_digest(uint16_t id, enum digest_id *digest)
{
    static const struct {
        uint16_t prf;
        enum digest_id digest;
    } hmacs[] = {
        {PRF_HMAC_MD5, DIGEST_MD5},         {PRF_HMAC_SHA1, DIGEST_SHA1},
        {PRF_HMAC_SHA2_256, DIGEST_SHA256}, {PRF_HMAC_SHA2_384, DIGEST_SHA384},
        {PRF_HMAC_SHA2_512, DIGEST_SHA512},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(hmacs); i++) {
        if (hmacs[i].prf == id) {
            *digest = hmacs[i].digest;
            return true;
        }
    }
    return false;
}

/* RFC 4434 2 and RFC 4615 3 make 16 octets of a key of any length: a long one goes through the MAC
 * under a key of zeros, a short one is filled up with zeros by XCBC and goes through the MAC by
 * CMAC. */
static bool fit_key(struct cbc_mac_context *context, enum cbc_mac_kind kind, struct slice key,
                    uint8_t fitted[CBC_MAC_BYTES])
{
    memset(fitted, 0, CBC_MAC_BYTES);
    if (key.length == CBC_MAC_BYTES || (kind == CBC_MAC_XCBC && key.length < CBC_MAC_BYTES)) {
        if (key.length > 0) {
            memcpy(fitted, key.data, key.length);
        }
        return true;
    }
    static const uint8_t zeros[CBC_MAC_BYTES];
    struct cbc_mac_key zero_key;

    return cbc_mac_key_init(context, kind, zeros, &zero_key) &&
           cbc_mac(context, &zero_key, &key, 1, fitted);
}

static bool prf_cbc_mac(enum cbc_mac_kind kind, struct slice key, const struct slice *parts,
                        size_t count, uint8_t *out)
{
    struct cbc_mac_context *context = cbc_mac_context_new();

    if (context == NULL) {
        return false;
    }
    uint8_t fitted[CBC_MAC_BYTES];
    struct cbc_mac_key expanded;
    uint8_t result[CBC_MAC_BYTES]; /* apart, because `out` may be one of the parts */
    bool done = fit_key(context, kind, key, fitted) &&
                cbc_mac_key_init(context, kind, fitted, &expanded) &&
                cbc_mac(context, &expanded, parts, count, result);

    if (done) {
        memcpy(out, result, CBC_MAC_BYTES);
    }
    wipe(result, sizeof(result));
    wipe(fitted, sizeof(fitted));
    wipe(&expanded, sizeof(expanded));
    cbc_mac_context_free(context);
    return done;
}

static void prf_hmac(enum digest_id digest, const struct hmac_key *key, const struct slice *parts,
                     size_t count, uint8_t *out)
{
    struct hmac h;

    hmac_begin(&h, digest, key);
    for (size_t i = 0; i < count; i++) {
        hmac_add(&h, parts[i].data, parts[i].length);
    }
    hmac_end(&h, out);
}

/* A key of a PRF, expanded once for any number of messages. */
struct prf_key {
    uint16_t id;
    bool is_hmac;
    enum digest_id digest;
    struct hmac_key hmac;
    struct slice key; /* borrowed; of the others */
};

static bool prf_key_init(struct prf_key *k, uint16_t id, struct slice key)
{
    k->id = id;
    k->key = key;
    k->is_hmac = prf_digest(id, &k->digest);
    if (k->is_hmac) {
        hmac_key_init(&k->hmac, k->digest, key);
        return true;
    }
    return id == PRF_AES128_XCBC || id == PRF_AES128_CMAC;
}

static bool prf_run(const struct prf_key *k, const struct slice *parts, size_t count, uint8_t *out)
{
    if (k->is_hmac) {
        prf_hmac(k->digest, &k->hmac, parts, count, out);
        return true;
    }
    return prf_cbc_mac(k->id == PRF_AES128_XCBC ? CBC_MAC_XCBC : CBC_MAC_CMAC, k->key, parts, count,
                       out);
}

bool prf(uint16_t id, struct slice key, const struct slice *parts, size_t count, uint8_t *out)
{
    struct prf_key expanded;
    bool done = prf_key_init(&expanded, id, key) && prf_run(&expanded, parts, count, out);

    wipe(&expanded, sizeof(expanded));
    return done;
}

/* RFC 7296 2.13: T1 = prf(K, S | 0x01), Tn = prf(K, Tn-1 | S | n), and prf+ is T1 | T2 | ... */
bool prf_plus(uint16_t id, struct slice key, const struct slice *parts, size_t count, uint8_t *out,
              size_t length)
{
    enum { PARTS_MAX = 14 };
    const struct algorithm *algorithm = algorithm_find(TRANSFORM_PRF, id);
    struct slice inputs[PARTS_MAX + 2];
    struct prf_key expanded;

    if (algorithm == NULL || count > PARTS_MAX || length > 255U * algorithm->output_bytes) {
        return false;
    }
    uint8_t block[PRF_OUTPUT_BYTES_MAX];
    uint8_t number = 0;
    size_t block_bytes = algorithm->output_bytes;
    size_t done = 0;
    bool good = prf_key_init(&expanded, id, key);

    for (size_t i = 0; i < count; i++) {
        inputs[1 + i] = parts[i];
    }
    inputs[0] = (struct slice){block, block_bytes};
    inputs[1 + count] = (struct slice){&number, 1};
    while (good && done < length) {
        number++;
        good = number == 1 ? prf_run(&expanded, inputs + 1, count + 1, block)
                           : prf_run(&expanded, inputs, count + 2, block);
        size_t part = length - done < block_bytes ? length - done : block_bytes;
        if (good) {
            memcpy(out + done, block, part);
        }
        done += part;
    }
    wipe(block, sizeof(block));
    wipe(&expanded, sizeof(expanded));
    return good;
}

static void hash(enum digest_id id, const struct slice *parts, size_t count, uint8_t *out)
{
    struct digest d;

    digest_begin(&d, id);
    for (size_t i = 0; i < count; i++) {
        digest_add(&d, parts[i].data, parts[i].length);
    }
    digest_end(&d, out);
}

void sha1(const struct slice *parts, size_t count, uint8_t out[20])
{
    hash(DIGEST_SHA1, parts, count, out);
}

void sha256(const struct slice *parts, size_t count, uint8_t out[32])
{
    hash(DIGEST_SHA256, parts, count, out);
}
