/*
 * Decides how blocks are chained where nothing authenticates them, for IKEv1. Few octets a message
 * and few messages an SA: a context is made for each.
 */
#include "crypto/cbc.h"

#include <limits.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/secret.h"

#define DES_KEY_BYTES 8
#define TRIPLE_DES_KEY_BYTES (3 * DES_KEY_BYTES)

/* By the length of the key. NULL: no such cipher. */
static const char *cipher_name(uint16_t encryption, size_t key_bytes)
{
    static const struct {
        uint16_t encryption;
        uint8_t key_bytes;
        const char *name;
    } ciphers[] = {
        {ENCRYPTION_DES, DES_KEY_BYTES, "DES-EDE3-CBC"},
        {ENCRYPTION_3DES, TRIPLE_DES_KEY_BYTES, "DES-EDE3-CBC"},
        {ENCRYPTION_AES_CBC, 16, "AES-128-CBC"},
        {ENCRYPTION_AES_CBC, 24, "AES-192-CBC"},
        {ENCRYPTION_AES_CBC, 32, "AES-256-CBC"},
        {ENCRYPTION_CAMELLIA_CBC, 16, "CAMELLIA-128-CBC"},
        {ENCRYPTION_CAMELLIA_CBC, 24, "CAMELLIA-192-CBC"},
        {ENCRYPTION_CAMELLIA_CBC, 32, "CAMELLIA-256-CBC"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(ciphers); i++) {
        if (ciphers[i].encryption == encryption && ciphers[i].key_bytes == key_bytes) {
            return ciphers[i].name;
        }
    }
    return NULL;
}

size_t cbc_block_bytes(uint16_t encryption)
{
    switch (encryption) {
    case ENCRYPTION_DES:
    case ENCRYPTION_3DES:
        return 8;
    case ENCRYPTION_AES_CBC:
    case ENCRYPTION_CAMELLIA_CBC:
        return 16;
    default:
        return 0;
    }
}

static bool work(bool encrypt, const char *name, const uint8_t *key, const uint8_t *iv,
                 uint8_t *data, int length)
{
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, name, NULL);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int done = 0;
    bool ok = cipher != NULL && context != NULL &&
              EVP_CipherInit_ex2(context, cipher, key, iv, encrypt ? 1 : 0, NULL) == 1 &&
              EVP_CIPHER_CTX_set_padding(context, 0) == 1 &&
              EVP_CipherUpdate(context, data, &done, data, length) == 1 && done == length;

    EVP_CIPHER_CTX_free(context);
    EVP_CIPHER_free(cipher);
    return ok;
}

static bool cbc(bool encrypt, uint16_t encryption, struct slice key, struct slice iv, uint8_t *data,
                size_t length)
{
    uint8_t tripled[TRIPLE_DES_KEY_BYTES];
    const char *name = cipher_name(encryption, key.length);
    size_t block = cbc_block_bytes(encryption);

    if (name == NULL || iv.length != block || length % block != 0 || length > INT_MAX) {
        return false;
    }
    if (length == 0) {
        return true;
    }
    if (encryption != ENCRYPTION_DES) {
        return work(encrypt, name, key.data, iv.data, data, (int)length);
    }
    /* Single DES is 3DES with the same key three times (RFC 2451 2.3): that needs no legacy
     * provider. */
    for (size_t i = 0; i < 3; i++) {
        memcpy(tripled + i * DES_KEY_BYTES, key.data, DES_KEY_BYTES);
    }
    bool ok = work(encrypt, name, tripled, iv.data, data, (int)length);

    wipe(tripled, sizeof(tripled));
    return ok;
}

bool cbc_encrypt(uint16_t encryption, struct slice key, struct slice iv, uint8_t *data,
                 size_t length)
{
    return cbc(true, encryption, key, iv, data, length);
}

bool cbc_decrypt(uint16_t encryption, struct slice key, struct slice iv, uint8_t *data,
                 size_t length)
{
    return cbc(false, encryption, key, iv, data, length);
}
