/* Why a packet was dropped: one list for the whole data plane, with a name for machines and a
 * sentence for people. */
#ifndef SEKISHO_DATAPLANE_DROP_H
#define SEKISHO_DATAPLANE_DROP_H

enum drop_reason {
    DROP_NONE = 0, /* not dropped */
    DROP_MALFORMED_INNER, /* clear packet: bad IP header or length */
    DROP_MALFORMED_OUTER, /* datagram too short for ESP or IKE */
    DROP_KEEPALIVE, /* one-octet NAT keepalive (RFC 3948 2.3): done its work */
    DROP_NO_POLICY, /* clear packet: no policy speaks about it */
    DROP_POLICY_DISCARD,
    DROP_NO_SA, /* protected traffic, tunnel down: never sent in clear */
    DROP_UNKNOWN_SPI,
    DROP_REPLAYED,
    DROP_FORGED, /* integrity check failed */
    DROP_BAD_PADDING,
    DROP_BAD_NEXT_HEADER,
    DROP_DUMMY, /* next header 59 (RFC 4303 2.6): meant to be dropped */
    DROP_SELECTOR_MISMATCH, /* authentic, but not what was agreed for this SA */
    DROP_WRONG_ENCAPSULATION,
    DROP_SEQUENCE_EXHAUSTED,
    DROP_LIFETIME_OVER,
    DROP_TOO_BIG, /* DF set: ICMP was sent */
    DROP_TTL,
    DROP_ECN, /* RFC 6040: CE outside, Not-ECT inside */
    DROP_NO_BUFFER,
    DROP_SEND_FAILED, /* counted by the caller: the system refused to send */
    DROP_TUN_FAILED,
    DROP_CONTROL_FULL,
    DROP_CRYPTO_FAILED,
    DROP_NOT_BUNDLED, /* authentic, but not inside or around what was agreed */
    DROP_BYPASS_POLICY, /* came protected, though a policy wants it in clear or not at all */
    DROP_REASSEMBLY, /* fragments that never became whole, or contradict each other */
    DROP_COMPRESSION, /* IPComp that cannot be undone */
    DROP_AGGREGATION, /* IP-TFS: payloads that say nonsense, or lost pieces */
    DROP_NO_STREAM, /* counted by the caller: the TCP connection to the peer is not there */
    DROP_STREAM_FULL, /* the same: it is there and takes no more now */
    DROP_QUEUE_FULL, /* waited for an SA or for its turn, too long or too many */
    DROP_REASON_COUNT,
};

const char *drop_name(enum drop_reason reason); /* replayed, no-sa, ... stable */
const char *drop_sentence(enum drop_reason reason); /* what it means and what to look at */

#endif
