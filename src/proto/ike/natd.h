/*
 * Is there a NAT between us, and who is behind it (RFC 7296 2.23)?
 *
 * Each side sends the hash of the address and port it sends from (several, when it has several
 * addresses and does not know which) and of those it sends to. The receiver compares with what it
 * sees.
 */
#ifndef SEKISHO_PROTO_IKE_NATD_H
#define SEKISHO_PROTO_IKE_NATD_H

#include "base/address.h"

#define NATD_HASH_BYTES 20

/* SHA1(SPIi | SPIr | address | port). SPIr is 0 in the first request. */
void natd_hash(uint64_t spi_i, uint64_t spi_r, const struct endpoint *endpoint,
               uint8_t out[NATD_HASH_BYTES]);

/* What stands in the place of the source's hash when UDP is wanted without a NAT: it is that of the
 * same address with port 0, which fits nothing and which whoever knows of it recognises. */
void natd_asking_hash(uint64_t spi_i, uint64_t spi_r, const struct endpoint *endpoint,
                      uint8_t out[NATD_HASH_BYTES]);

/* Filled while the notifies of one message are read; zeros at first. Hashes of another length
 * count for nothing. */
struct natd {
    bool source_seen, source_matched, source_asks;
    bool destination_seen, destination_matched;
};

/* NAT_DETECTION_SOURCE_IP: `peer` is where the message came from. */
void natd_add_source(struct natd *natd, struct slice hash, uint64_t spi_i, uint64_t spi_r,
                     const struct endpoint *peer);
/* NAT_DETECTION_DESTINATION_IP: `local` is where it arrived. */
void natd_add_destination(struct natd *natd, struct slice hash, uint64_t spi_i, uint64_t spi_r,
                          const struct endpoint *local);

/* The peer can do it: both kinds were there. Without, there is no UDP encapsulation. */
MUST_USE bool natd_is_supported(const struct natd *natd);
/* None of the source hashes is that of the address we see: the peer is behind a NAT (or wants
 * us to think so). */
MUST_USE bool natd_peer_is_behind(const struct natd *natd);
/* He only wants us to think so. */
MUST_USE bool natd_peer_only_asks(const struct natd *natd);
/* We are. */
MUST_USE bool natd_local_is_behind(const struct natd *natd);

#endif
