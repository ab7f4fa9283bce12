/* XCBC and CMAC: decides how the message is cut into blocks and what is added to the last of them.
 */
#include "crypto/cbc_mac.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/secret.h"

struct cbc_mac_context {
    EVP_CIPHER_CTX *aes;
    EVP_CIPHER *cipher;
};

struct cbc_mac_context *cbc_mac_context_new(void)
{
    struct cbc_mac_context *context = calloc(1, sizeof(*context));

    if (context == NULL) {
        return NULL;
    }
    context->aes = EVP_CIPHER_CTX_new();
    context->cipher = EVP_CIPHER_fetch(NULL, "AES-128-CBC", NULL);
    if (context->aes == NULL || context->cipher == NULL ||
        EVP_EncryptInit_ex2(context->aes, context->cipher, NULL, NULL, NULL) != 1 ||
        EVP_CIPHER_CTX_set_padding(context->aes, 0) != 1) {
        cbc_mac_context_free(context);
        return NULL;
    }
    return context;
}

void cbc_mac_context_free(struct cbc_mac_context *context)
{
    if (context == NULL) {
        return;
    }
    EVP_CIPHER_CTX_free(context->aes);
    EVP_CIPHER_free(context->cipher);
    free(context);
}

static const uint8_t zeros[CBC_MAC_BYTES];

static bool start(struct cbc_mac_context *context, const uint8_t *key)
{
    return EVP_EncryptInit_ex2(context->aes, NULL, key, zeros, NULL) == 1 &&
           EVP_CIPHER_CTX_set_padding(context->aes, 0) == 1;
}

void cbc_mac_context_forget(struct cbc_mac_context *context)
{
    (void)start(context, zeros);
}

/* One block under the running chain. */
static bool chain(struct cbc_mac_context *context, const uint8_t *in, uint8_t *out)
{
    int length = 0;

    return EVP_EncryptUpdate(context->aes, out, &length, in, CBC_MAC_BYTES) == 1 &&
           length == CBC_MAC_BYTES;
}

/* Doubling in GF(2^128), RFC 4493 2.3; without a branch on the secret. */
static void double_block(const uint8_t in[CBC_MAC_BYTES], uint8_t out[CBC_MAC_BYTES])
{
    uint8_t carry = in[0] >> 7;

    for (size_t i = 0; i < CBC_MAC_BYTES; i++) {
        uint8_t next = i + 1 < CBC_MAC_BYTES ? in[i + 1] >> 7 : 0;
        out[i] = (uint8_t)(in[i] << 1 | next);
    }
    out[CBC_MAC_BYTES - 1] ^= (uint8_t)(0x87 * carry);
}

/* The block cipher itself: a chain of one block that begins at zero. */
static bool encrypt_block(struct cbc_mac_context *context, const uint8_t *key, uint8_t filler,
                          uint8_t out[CBC_MAC_BYTES])
{
    uint8_t in[CBC_MAC_BYTES];

    memset(in, filler, sizeof(in));
    return start(context, key) && chain(context, in, out);
}

bool cbc_mac_key_init(struct cbc_mac_context *context, enum cbc_mac_kind kind,
                      const uint8_t secret[CBC_MAC_BYTES], struct cbc_mac_key *key)
{
    if (kind == CBC_MAC_XCBC) {
        /* RFC 3566 4: three keys out of one. */
        return encrypt_block(context, secret, 1, key->block_key) &&
               encrypt_block(context, secret, 2, key->full_mask) &&
               encrypt_block(context, secret, 3, key->short_mask);
    }
    uint8_t l[CBC_MAC_BYTES];
    bool done = encrypt_block(context, secret, 0, l);

    memcpy(key->block_key, secret, CBC_MAC_BYTES);
    double_block(l, key->full_mask);
    double_block(key->full_mask, key->short_mask);
    wipe(l, sizeof(l));
    return done;
}

bool cbc_mac(struct cbc_mac_context *context, const struct cbc_mac_key *key,
             const struct slice *parts, size_t count, uint8_t out[CBC_MAC_BYTES])
{
    /* A block waits here until it is known not to be the last. */
    uint8_t waiting[CBC_MAC_BYTES];
    size_t held = 0;

    if (!start(context, key->block_key)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const uint8_t *at = parts[i].data;
        size_t left = parts[i].length;
        while (left > 0) {
            if (held == CBC_MAC_BYTES) {
                if (!chain(context, waiting, out)) {
                    return false;
                }
                held = 0;
            }
            size_t length = CBC_MAC_BYTES - held < left ? CBC_MAC_BYTES - held : left;
            memcpy(waiting + held, at, length);
            held += length;
            at += length;
            left -= length;
        }
    }
    const uint8_t *mask = held == CBC_MAC_BYTES ? key->full_mask : key->short_mask;

    if (held < CBC_MAC_BYTES) {
        memset(waiting + held, 0, CBC_MAC_BYTES - held);
        waiting[held] = 0x80;
    }
    for (size_t i = 0; i < CBC_MAC_BYTES; i++) {
        waiting[i] ^= mask[i];
    }
    bool done = chain(context, waiting, out);

    wipe(waiting, sizeof(waiting));
    return done;
}
