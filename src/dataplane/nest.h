/*
 * The long road of packets: transport mode, AH, and SAs around each other (RFC 4301 3.2, RFC 2401
 * 4.3). A plain ESP tunnel never comes here.
 *
 * A packet on this road is worked on in rounds, one SA a round, from the inside out when it is
 * sent, from the outside in when it was received; the packets of a batch go their rounds together,
 * so that cryptography is done in batches here as well.
 */
#ifndef SEKISHO_DATAPLANE_NEST_H
#define SEKISHO_DATAPLANE_NEST_H

#include "crypto/authenticate.h"
#include "dataplane/esp.h"
#include "wire/ah.h"
#include "wire/ah_cover.h"

/* Headers before ESP or AH that are longer than this are refused in transport mode. */
#define NEST_HEAD_BYTES_MAX 256

/* One packet on its way. */
struct nest {
    struct packet *packet;
    struct sa *sa; /* whose turn it is */
    struct sa *via; /* inbound: the SA around it, of which it came; NULL: from the wire */
    struct esp_work work;
    size_t job; /* of the round: among those of its protocol */
    bool waits; /* the round is not over for it */
    bool dont_fragment; /* outside */
    uint8_t contents; /* next header of what is not a packet: a dummy; 0: a packet */
    uint8_t tos; /* outside */
    uint16_t ah_offset; /* from the beginning of the IP packet */
    uint16_t ah_bytes; /* AH inbound: of its header, as it says */
    uint8_t icv[AH_ICV_BYTES_MAX]; /* AH inbound: as it came */
    struct ah_kept kept;
};

struct dataplane_worker;
struct ip_head;

/* ---- nest_outbound.c ---- */

/* What both directions need. The header, and in IPv6 its extension headers, of a packet of so many
 * octets: the octet that names what follows, the length, the checksum. */
void nest_fix_head(uint8_t *head, size_t head_bytes, size_t next_header_offset, uint8_t protocol,
                   size_t total_bytes);
void nest_ah_job(const struct nest *n, const uint8_t *data, const struct auth_key *key,
                 uint64_t sequence, struct auth_job *job);
/* The whole ICV field without its padding. */
void nest_write_icv(const struct sa_shape *shape, const struct auth_job *job, uint8_t *at);

/* RFC 791, RFC 6864: fragments of different packets must not have the same. Never 0, which the
 * system would replace after AH covered it. */
uint16_t nest_next_ip_id(struct dataplane_worker *worker);
/* Takes a clear packet that fits (or may be cut outside). Room for it is made when all is taken. */
void nest_send(struct dataplane_worker *worker, struct sa *sa, struct packet *packet,
               const struct ip_head *head, bool dont_fragment, uint64_t now_ms);
/* Takes contents of a tunnel that are no packet, such as a dummy. */
void nest_send_contents(struct dataplane_worker *worker, struct sa *sa, struct packet *packet,
                        uint8_t next_header, uint64_t now_ms);
/* Finishes what was taken. */
void nest_send_all(struct dataplane_worker *worker, uint64_t now_ms);

/* ---- nest_inbound.c ---- */

/* Takes an ESP or AH packet of an SA that is not plain. */
void nest_receive(struct dataplane_worker *worker, struct sa *sa, struct packet *packet,
                  uint64_t now_ms);
void nest_receive_all(struct dataplane_worker *worker, uint64_t now_ms);

#endif
