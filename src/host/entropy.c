/*
 * Decides that randomness comes from getrandom(2) alone, and that there is no life without it.
 *
 * A handshake draws a dozen times a few octets, and each call costs as much as an HMAC: each thread
 * fetches several draws at once. What was handed out is wiped here.
 */
#include "host/entropy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/secret.h"

#define STOCK_BYTES 512
#define SHORT_BYTES_MAX 64 /* longer draws go past the stock */

static _Thread_local struct {
    size_t left; /* the first so many are fresh */
    uint8_t bytes[STOCK_BYTES];
} stock;

static void fetch(uint8_t *out, size_t length)
{
    while (length > 0) {
        ssize_t got = getrandom(out, length, 0);

        if (got < 0) {
            if (errno == EINTR) {
                continue;
            }
            (void)fputs("sekishod: the system gives no random numbers (getrandom)\n", stderr);
            abort();
        }
        out += got;
        length -= (size_t)got;
    }
}

static void fill(void *context, uint8_t *out, size_t length)
{
    (void)context;
    if (length > SHORT_BYTES_MAX) {
        fetch(out, length);
        return;
    }
    if (length > stock.left) {
        fetch(stock.bytes, STOCK_BYTES);
        stock.left = STOCK_BYTES;
    }
    if (length > 0) {
        stock.left -= length;
        memcpy(out, stock.bytes + stock.left, length);
        wipe(stock.bytes + stock.left, length);
    }
}

struct random_source entropy_source(void)
{
    return (struct random_source){.fill = fill};
}
