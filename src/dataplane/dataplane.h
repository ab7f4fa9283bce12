/*
 * The data plane: packets in, packets out.
 *
 * Two faces. The control face (one thread) installs SAs and policies and reads counters; what it
 * publishes is seen whole or not at all, and what it takes out is freed when every worker has
 * passed a quiet point. The worker face is called by each worker with a batch of packets; it
 * allocates nothing, locks nothing and logs nothing.
 *
 * Every packet that is handed in leaves by exactly one door: to the wire, in clear around the
 * tunnels, to the TUN device, to the control plane, to a consumer by its SA, into another packet,
 * or dropped under a reason (dataplane/drop.h). The counters of the doors add up to what came in
 * plus what was made here (ICMP errors, fragments, dummies, payloads and what came out of them).
 */
#ifndef SEKISHO_DATAPLANE_DATAPLANE_H
#define SEKISHO_DATAPLANE_DATAPLANE_H

#include "base/packet.h"
#include "base/random.h"
#include "crypto/catalog.h"
#include "crypto/protect.h"
#include "dataplane/aggfrag.h"
#include "dataplane/drop.h"
#include "dataplane/drop_example.h"
#include "dataplane/tap.h"

struct dataplane;
struct dataplane_worker;

struct dataplane_settings {
    uint32_t sa_max; /* SA pairs; 0: 131,072 */
    uint32_t policy_max; /* 0: 65,536 */
    uint32_t worker_count; /* 0: 1 */
    /* How many of them seal and how many open, as dataplane_worker_does() will say; 0: all. */
    uint32_t sealer_count, opener_count;
    uint16_t ike_port; /* ours, on which there is never ESP; 0: 500 */
    struct random_source
        *random; /* control thread only: SPI generations; workers get IV seeds from it */
};

/* ---- control face ---- */

MUST_USE struct dataplane *dataplane_new(const struct dataplane_settings *settings);
void dataplane_free(struct dataplane *dp);

/* RFC 4301 4.4.1. An ordered list; the first entry whose selectors match decides. What matches none
 * is bypassed between the TUN device and nowhere: it is dropped as NO_POLICY (a TUN device has no
 * clear-text side). */
enum policy_verdict {
    POLICY_PROTECT,
    POLICY_DISCARD,
    POLICY_BYPASS, /* in clear, around the tunnels */
};

/* RFC 4301 4.4.1.1, "populate from packet": SAs of the policy are for less than the policy. */
enum policy_populates {
    POPULATES_OFF,
    POPULATES_HOST, /* one for each pair of addresses */
    POPULATES_CONNECTION, /* one for each pair of addresses, protocol and ports */
};

/* These bits of an id are parts of one thing: who asks for the whole does not look at them. */
#define POLICY_PART_BITS UINT32_C(0x0ff00000)

struct policy {
    uint32_t id; /* stable over reloads; children are bound to it; > 0 */
    enum policy_verdict verdict;
    const struct selector *local; /* copied */
    size_t local_count;
    const struct selector *remote; /* copied */
    size_t remote_count;
    uint16_t mss_clamp; /* 0: from the path MTU; 1: off; else this value at most */
    uint16_t inner_mtu; /* 0: from the path MTU; else this value at most, but never below 576 */
    bool holds; /* the first packets wait, a few and not long, for an SA (RFC 4301 4.4.1.2) */
    bool relays_icmp; /* an ICMP error fits when the packet that it quotes does (RFC 4301 6.2) */
    uint8_t populates; /* enum policy_populates */
};
/* Replaces all policies at once; SAs bound to an id that stays are not disturbed. False: no memory
 * or too many, and the old ones stay. */
MUST_USE bool dataplane_set_policies(struct dataplane *dp, const struct policy *policies,
                                     size_t count);

/* An inbound SPI that nobody else has: index and generation, never below 256. 0 when all are taken.
 */
MUST_USE uint32_t dataplane_reserve_spi(struct dataplane *dp);
/* The same, so that spi_opener() says this one, counted from 0, where several workers open. */
MUST_USE uint32_t dataplane_reserve_spi_for(struct dataplane *dp, uint32_t opener);
/* An SPI that somebody else chose (manual keys, another gateway). False when it is below 256 or
 * in use, by whatever protocol. */
MUST_USE bool dataplane_reserve_exact(struct dataplane *dp, uint32_t spi);
void dataplane_release_spi(struct dataplane *dp, uint32_t spi); /* reserved and not installed */

/* The DF bit outside (RFC 4301 8.1). */
enum dataplane_df { DF_SET, DF_COPY, DF_CLEAR };
#define TFC_TO_MTU UINT16_MAX

struct child_sa {
    uint32_t spi_in; /* reserved before; unique over ESP and AH together */
    uint32_t spi_out;
    uint32_t policy_id;
    uint8_t protocol; /* IP_PROTOCOL_AH, else ESP */
    uint8_t resource; /* RFC 9611: for this sealing worker, counted from 1; 0: for all */
    struct suite suite; /* of AH: integrity and ESN alone */
    struct slice key_in;
    struct slice key_out;
    struct endpoint local; /* outer; the ports are used when encapsulated */
    struct endpoint peer;
    bool encapsulated;
    bool transport_mode;
    /* A bundle (RFC 2401 4.3) is made from the inside out: each SA that goes around another names
     * it, and the inner one was told to wait for it. Traffic is sent by dataplane_use() of the
     * innermost. */
    uint32_t inside_spi_in; /* 0: nothing; else this SA goes around that one */
    bool waits_for_outer; /* nothing passes before another is installed around this one */
    /* Transport mode through a NAT (RFC 3948 3.1.2): the addresses that the peer's checksums were
     * made with. Unset: those of the packet. */
    struct address original_local, original_peer;
    bool to_consumer; /* what comes out goes to a part of this program by SA, not to TUN */
    uint32_t replay_window; /* packets, at most 65,536; 0: 1,024 */
    bool replay_off; /* manual keys: what was seen before is counted and passes */
    bool ah_align_64; /* AH in IPv4 is sent in pieces of 64 bits, not of 32; both are taken */
    const struct selector *local_selectors; /* copied */
    size_t local_count;
    const struct selector *remote_selectors;
    size_t remote_count;
    uint64_t soft_bytes, hard_bytes; /* 0: none beyond the cipher's own limits */
    uint64_t soft_packets, hard_packets;
    bool copy_dscp; /* RFC 4301 5.1.2.1 */
    uint8_t df; /* enum dataplane_df */
    bool fragment_after; /* what does not fit is cut outside, not inside */
    bool compress; /* RFC 3173, deflate */
    uint16_t cpi_in, cpi_out; /* of what is compressed; cpi_in 0: nothing compressed is accepted */
    uint16_t tfc_bytes; /* packets are padded to this length inside (RFC 4303 2.7); 0: no padding */
    uint32_t dummy_interval_ms; /* a dummy packet (RFC 4303 2.6) when so long nothing was sent */
    struct aggfrag_settings aggfrag; /* IP-TFS (RFC 9347), both directions; ESP tunnels only */
};
/* Inbound works when this returns; outbound waits for dataplane_use() and ends with
 * dataplane_stop(), while inbound goes on until dataplane_remove(). False: not reserved or
 * installed already, an unusable suite, a key of the wrong length, no selectors, or no memory. The
 * SPI stays reserved then. */
MUST_USE bool dataplane_install(struct dataplane *dp, const struct child_sa *sa);
/* SAs that are installed from now on keep their keys as they were given, or do not: for captures
 * that are to be read elsewhere. Off by default. */
void dataplane_keep_keys(struct dataplane *dp, bool keep);
struct sa_raw_keys {
    struct suite suite;
    struct slice in, out; /* borrowed until the SA is removed */
};
/* False when there is no such SA or none were kept. */
MUST_USE bool dataplane_raw_keys(const struct dataplane *dp, uint32_t spi_in,
                                 struct sa_raw_keys *out);
void dataplane_use(struct dataplane *dp, uint32_t spi_in);
/* Sealing workers up to this number note when they have no SA of their own under the policy (RFC
 * 9611 3); 0: nobody does. Forgotten with the policy. */
void dataplane_ask_resources(struct dataplane *dp, uint32_t policy_id, uint8_t resources);
void dataplane_stop(struct dataplane *dp, uint32_t spi_in);
void dataplane_remove(struct dataplane *dp, uint32_t spi_in);
/* With all that go around it, from the outside in. */
void dataplane_remove_bundle(struct dataplane *dp, uint32_t spi_in);
/* The outer addresses of all SAs with this peer and local endpoint change (NAT rebinding, MOBIKE).
 */
void dataplane_move(struct dataplane *dp, uint32_t spi_in, const struct endpoint *local,
                    const struct endpoint *peer);

/* Of one SA alone, and whether it goes in UDP from now on; what is on its way comes in all the
 * same. False: there is no such SA, no memory, or it is not an ESP tunnel, which cannot change
 * between UDP and none. */
MUST_USE bool dataplane_move_one(struct dataplane *dp, uint32_t spi_in,
                                 const struct endpoint *local, const struct endpoint *peer,
                                 bool encapsulated);

/* A learnt outer path MTU, from somebody who knows; 0 forgets. */
void dataplane_path_mtu(struct dataplane *dp, const struct address *local,
                        const struct address *peer, uint16_t mtu, uint64_t now_ms);
/* 0: nothing was learnt about this path. */
uint16_t dataplane_learnt_mtu(struct dataplane *dp, const struct address *local,
                              const struct address *peer);
uint16_t dataplane_link_mtu(const struct dataplane *dp);
/* What a message of the network quotes of a packet of ours that was too big. */
struct dataplane_quote {
    struct endpoint local, peer; /* address of local unset: not known; ports of UDP */
    uint8_t protocol; /* 17, 50 or 51: what follows the outer IP header */
    /* It was recognised already, because it is IKE; then local is known. */
    bool is_known;
    uint32_t total_bytes; /* of the outer packet; 0: not known */
    struct slice bytes; /* behind the UDP header, or from ESP or AH on, as far as they are quoted */
};
enum too_big {
    TOO_BIG_BELIEVED,
    TOO_BIG_KNOWN, /* not smaller than what is known already */
    TOO_BIG_TOO_SOON, /* one change a second and path is enough */
    TOO_BIG_NOT_OURS, /* no packet of an SA of ours that was sent lately */
    TOO_BIG_NOT_POSSIBLE, /* smaller than any path, or not smaller than the packet */
    TOO_BIG_COUNT,
};
/* "Fragmentation needed" or "packet too big" with the MTU that it tells (0: none), from anybody.
 * What is believed makes the path MTU smaller, never larger. */
enum too_big dataplane_too_big(struct dataplane *dp, const struct dataplane_quote *quote,
                               uint32_t mtu, uint64_t now_ms);
uint64_t dataplane_too_big_count(const struct dataplane *dp, enum too_big result);
const char *too_big_name(enum too_big result);
/* The MTU of the outer interface for peers without a learnt one; 1500 by default. */
void dataplane_set_link_mtu(struct dataplane *dp, uint16_t mtu);
/* What hosts behind us may be told: an address of ours inside for ICMP errors (RFC 1812 4.3.2.4),
 * one for each family. Without one the error comes from the address that could not be reached.
 * Packets out of a tunnel never come from it. */
void dataplane_set_own_address(struct dataplane *dp, const struct address *inside);

/* An SA that sent nothing for so long tells when it sends again. */
#define DATAPLANE_IDLE_MS 20000

/* What workers have to say; each at most once per cause until it is answered by a change. */
enum dataplane_note_kind {
    NOTE_SOFT_LIFETIME, /* spi_in: rekey */
    NOTE_HARD_LIFETIME, /* spi_in: has stopped */
    NOTE_FIRST_INBOUND, /* spi_in: first authentic packet on a new SA */
    NOTE_PEER_MOVED, /* spi_in, peer: newest authentic packet came from another endpoint */
    NOTE_ACQUIRE, /* policy_id: traffic for a policy without an SA; at most one a second and policy;
                     when it populates from packets 16, with the packet's selectors */
    NOTE_ACQUIRE_OWN, /* policy_id, resource: this sealing worker has no SA of its own; at most one
                         a second and policy */
    NOTE_SENDS_AGAIN, /* spi_in: the first packet out for DATAPLANE_IDLE_MS, or ever */
    NOTE_UNKNOWN_SPI, /* peer, spi: at most one a second */
};
struct dataplane_note {
    enum dataplane_note_kind kind;
    uint32_t spi_in;
    uint32_t policy_id;
    uint8_t resource;
    struct endpoint local, peer;
    bool has_packet;
    struct selector packet_local, packet_remote;
};
MUST_USE bool dataplane_next_note(struct dataplane *dp, struct dataplane_note *out);
/* Frees what no worker can see any more. To be called once a turn of the control thread. */
void dataplane_collect(struct dataplane *dp);

struct sa_counters {
    uint64_t in_packets, in_bytes; /* inner */
    uint64_t out_packets, out_bytes;
    uint64_t replayed, forged, selector_mismatch;
    uint64_t duplicates; /* passed, because replay protection is off */
    uint64_t compressed_from, compressed_to; /* octets sent, before and after (RFC 3173) */
    uint64_t last_in_ms, last_out_ms; /* 0: never */
    uint64_t out_sequence;
    uint16_t outer_mtu, inner_mtu; /* outer 0: over TCP, whose packets are none of ours */
    uint16_t overhead_bytes;
};
MUST_USE bool dataplane_sa_counters(const struct dataplane *dp, uint32_t spi_in,
                                    struct sa_counters *out);

/* What outer_mtu and inner_mtu differ by, part for part, in octets. IPComp adds nothing: who does
 * not become smaller goes without (RFC 3173 2.2). */
struct sa_overhead {
    uint16_t outer_ip; /* 0 in transport mode: there is one header */
    uint16_t udp, esp, iv, trailer, icv;
    uint16_t ah; /* with its ICV */
    uint16_t padding; /* what the block of the cipher leaves of the MTU */
};
MUST_USE bool dataplane_sa_overhead(const struct dataplane *dp, uint32_t spi_in,
                                    struct sa_overhead *out);

struct dataplane_doors {
    uint64_t from_tun, from_wire; /* handed in */
    uint64_t made; /* fragments, ICMP errors and what consumers send */
    uint64_t to_wire, to_tun, to_control;
    uint64_t to_clear; /* around the tunnels, by policy */
    uint64_t to_consumer;
    uint64_t joined; /* fragments that became part of another packet, or wait for it */
    uint64_t dropped[DROP_REASON_COUNT];
};
void dataplane_get_doors(const struct dataplane *dp, struct dataplane_doors *out);
/* What one worker does and did. False when there is none with this index. */
struct dataplane_worker_status {
    bool seals, opens;
    struct dataplane_doors doors;
};
MUST_USE bool dataplane_worker_at(const struct dataplane *dp, size_t index,
                                  struct dataplane_worker_status *out);
/* Memory held for SAs, bytes (for status and tests). */
size_t dataplane_memory_bytes(const struct dataplane *dp);

/* ---- worker face ---- */

MUST_USE struct dataplane_worker *dataplane_worker_new(struct dataplane *dp, uint32_t index);
void dataplane_worker_free(struct dataplane_worker *worker);

/* Where the packets of a batch ended. Packets in to_wire, to_tun and to_control belong to the
 * caller, who gives them back with dataplane_give_packet(); dropped ones have been given back. The
 * arrays have room for what a batch of 64 can become. */
#define DATAPLANE_OUTPUT_MAX 256
struct dataplane_output {
    size_t to_wire_count, to_tun_count, to_control_count, to_consumer_count;
    struct packet *to_wire[DATAPLANE_OUTPUT_MAX];
    struct packet *to_tun[DATAPLANE_OUTPUT_MAX];
    struct packet *to_control[DATAPLANE_OUTPUT_MAX]; /* IKE messages, non-ESP marker removed */
    struct packet *to_consumer[DATAPLANE_OUTPUT_MAX]; /* payloads behind their IP header */
};

/* Packets come from the worker's own pool. NULL when all are in use. Offset is
 * PACKET_HEADROOM_BYTES, length 0. */
MUST_USE struct packet *dataplane_take_packet(struct dataplane_worker *worker);
void dataplane_give_packet(struct dataplane_worker *worker, struct packet *packet);

/* Clear packets read from the TUN device; count <= BATCH_PACKETS. */
void dataplane_outbound(struct dataplane_worker *worker, struct packet *const *packets,
                        size_t count, uint64_t now_ms, struct dataplane_output *out);
/* The same one after the other, as the device gives them: between begin and end, which puts all
 * that became of them into `out`. Nothing is to be added while it is full. */
void dataplane_outbound_begin(struct dataplane_worker *worker, uint64_t now_ms,
                              struct dataplane_output *out);
MUST_USE bool dataplane_outbound_is_full(const struct dataplane_worker *worker);
/* How many segments of super-packets fill a batch well: pieces of several then leave in one call,
 * as long as the system takes them. */
#define DATAPLANE_SEGMENTS_MAX 192
/* A packet of the pool, of one piece. */
void dataplane_outbound_packet(struct dataplane_worker *worker, struct packet *packet);
/* A super-packet, or one of which nothing is known but what its fields say (dataplane/super.h). It
 * stays the caller's. False: a part of it is left; the batch is to be ended, and the next one
 * begins with a call for the same packet, which has not changed. */
MUST_USE bool dataplane_outbound_super(struct dataplane_worker *worker, const struct packet *super);
/* For a part of this program: what stands behind the IP header, `protocol` (UDP gets its checksum),
 * goes through this very SA, which must feed a consumer, and counts as made here. Within the
 * limits of dataplane_outbound_packet(). What comes back stands in to_consumer with the same
 * number. Who renews such an SA tells the consumer which one came in its place; dataplane_use() is
 * not for it. */
void dataplane_outbound_by_sa(struct dataplane_worker *worker, struct packet *packet,
                              uint32_t spi_in, uint8_t protocol);
void dataplane_outbound_end(struct dataplane_worker *worker);
/* At most DATAPLANE_SEGMENTS_MAX packets from the pool; their bytes may stand elsewhere, without
 * room before and behind them: then until the output was taken.
 * Datagrams from the wire: outer_protocol 17 with what stood behind the UDP header of the port of
 * IKE or the other one (local.port says which), or outer_protocol 50 with what stood behind the IP
 * header. */
void dataplane_inbound(struct dataplane_worker *worker, struct packet *const *packets, size_t count,
                       uint64_t now_ms, struct dataplane_output *out);
/* What is to be done without a packet: looking again at what waits for an SA, dummy packets, a
 * steady pace. Microseconds of the clock of now_ms; NEVER_US: nothing. A tick that comes too early
 * is harmless. */
uint64_t dataplane_due_us(const struct dataplane_worker *worker, uint64_t now_us);
void dataplane_tick(struct dataplane_worker *worker, uint64_t now_us, struct dataplane_output *out);
/* Which worker seals and which opens, when there are several: the first of
 * those that seal sends what is sent without being asked. A new worker does both. */
void dataplane_worker_does(struct dataplane_worker *worker, bool seals, bool opens);
/* Whether what comes out of tunnels is going to be joined (dataplane/super.h): then sums are taken
 * in time. By the worker's thread; a new worker takes none. */
void dataplane_worker_joins(struct dataplane_worker *worker, bool joins);
/* How a worker that opens gets help with long batches of slow ciphers (dataplane/crew.h) from
 * others that open. All borrowed. */
struct dataplane_helpers {
    /* Wakes so many others, if there are; each then calls dataplane_help(). Never waits. */
    void (*call)(void *context, size_t hands);
    void *context;
    void (*yield)(void); /* lets whoever helps have the processor */
    uint64_t (*now_us)(void); /* a clock that does not go back */
};
/* Before the worker's first packet; NULL, as in a new worker: none. */
void dataplane_worker_helpers(struct dataplane_worker *worker,
                              const struct dataplane_helpers *helpers);
/* By the thread of any worker, between batches of its own: does what others called for. */
void dataplane_help(struct dataplane_worker *worker);
/* How many do so. Sealing workers and opening ones are counted in the order of their indices. */
uint32_t dataplane_sealers(const struct dataplane *dp);
uint32_t dataplane_openers(const struct dataplane *dp);
/* How many packets were not authentic so far, of this worker. */
uint64_t dataplane_forged(const struct dataplane_worker *worker);
/* What the caller lost: SEND_FAILED, NO_STREAM, STREAM_FULL, TUN_FAILED and CONTROL_FULL of packets
 * that had gone through those doors; MALFORMED_OUTER and MALFORMED_INNER of what could not be read
 * in whole and was never handed in. */
void dataplane_count_drop(struct dataplane_worker *worker, enum drop_reason reason, uint32_t count);
/* The worker has notes or examples for the control thread. */
MUST_USE bool dataplane_has_notes(const struct dataplane_worker *worker);
/* Once a turn: the worker holds nothing that was published before. */
void dataplane_quiet(struct dataplane_worker *worker);

#endif
