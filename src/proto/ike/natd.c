/*
 * NAT detection (RFC 7296 2.23): what is hashed, and what the comparison of hashes says.
 */
#include "proto/ike/natd.h"

#include <string.h>

#include "crypto/prf.h"

void natd_hash(uint64_t spi_i, uint64_t spi_r, const struct endpoint *endpoint,
               uint8_t out[NATD_HASH_BYTES])
{
    uint8_t spis[16];
    uint8_t port[2];

    put_u64(spis, spi_i);
    put_u64(spis + 8, spi_r);
    put_u16(port, endpoint->port);

    const struct slice parts[] = {
        SLICE_OF(spis),
        {endpoint->address.bytes, address_bytes((enum family)endpoint->address.family)},
        SLICE_OF(port),
    };

    sha1(parts, ARRAY_LENGTH(parts), out);
}

void natd_asking_hash(uint64_t spi_i, uint64_t spi_r, const struct endpoint *endpoint,
                      uint8_t out[NATD_HASH_BYTES])
{
    const struct endpoint nowhere = {.address = endpoint->address};

    natd_hash(spi_i, spi_r, &nowhere, out);
}

static bool hash_is_of(struct slice hash, uint64_t spi_i, uint64_t spi_r,
                       const struct endpoint *endpoint)
{
    uint8_t expected[NATD_HASH_BYTES];

    natd_hash(spi_i, spi_r, endpoint, expected);
    return memcmp(hash.data, expected, sizeof(expected)) == 0;
}

void natd_add_source(struct natd *natd, struct slice hash, uint64_t spi_i, uint64_t spi_r,
                     const struct endpoint *peer)
{
    if (hash.length != NATD_HASH_BYTES) {
        return;
    }
    natd->source_seen = true;
    if (!natd->source_matched) {
        natd->source_matched = hash_is_of(hash, spi_i, spi_r, peer);
    }
    if (!natd->source_matched && !natd->source_asks) {
        const struct endpoint nowhere = {.address = peer->address};

        natd->source_asks = hash_is_of(hash, spi_i, spi_r, &nowhere);
    }
}

void natd_add_destination(struct natd *natd, struct slice hash, uint64_t spi_i, uint64_t spi_r,
                          const struct endpoint *local)
{
    if (hash.length != NATD_HASH_BYTES) {
        return;
    }
    natd->destination_seen = true;
    if (!natd->destination_matched) {
        natd->destination_matched = hash_is_of(hash, spi_i, spi_r, local);
    }
}

bool natd_is_supported(const struct natd *natd)
{
    return natd->source_seen && natd->destination_seen;
}

bool natd_peer_is_behind(const struct natd *natd)
{
    return natd->source_seen && !natd->source_matched;
}

bool natd_peer_only_asks(const struct natd *natd)
{
    return natd_peer_is_behind(natd) && natd->source_asks;
}

bool natd_local_is_behind(const struct natd *natd)
{
    return natd->destination_seen && !natd->destination_matched;
}
