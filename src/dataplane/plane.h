/*
 * The inside of the data plane: the tables that the control thread writes and workers read, and
 * what each worker has to itself. Only this room includes it.
 */
#ifndef SEKISHO_DATAPLANE_PLANE_H
#define SEKISHO_DATAPLANE_PLANE_H

#include "base/ring.h"
#include "base/table.h"
#include "dataplane/dataplane.h"
#include "dataplane/esp.h"
#include "dataplane/fragment_ports.h"
#include "dataplane/iv.h"
#include "dataplane/nest.h"
#include "dataplane/crew.h"
#include "dataplane/publish.h"
#include "dataplane/reassembly.h"
#include "dataplane/sa.h"
#include "dataplane/spd.h"
#include "dataplane/spi_opener.h"
#include "dataplane/super.h"

#define WORKERS_MAX PUBLISH_READERS_MAX
#define WORKER_PACKETS 768 /* a full output, a batch being received and a batch to be sent */
/* Small ones, for segments that are cut where they are to stand: close together, so that a batch
 * of them takes few pages and the cache holds it. */
#define WORKER_SMALL_PACKETS (DATAPLANE_SEGMENTS_MAX + BATCH_PACKETS)
#define SMALL_BYTES (PACKET_HEADROOM_BYTES + 1600 + PACKET_TAILROOM_BYTES)
#define WORKER_NOTES 256
#define WORKER_EXAMPLES 64
#define PATH_MTUS_MAX 1024
/* RFC 791 and RFC 8200 5: every path carries as much, so whoever says less lies. */
#define PATH_MTU_LEAST_IPV4 576
#define PATH_MTU_LEAST_IPV6 1280
#define PATH_MTU_AGE_MS (UINT64_C(10) * 60 * 1000) /* RFC 1191 6.3 */
#define PEER_BUCKETS 4096
#define ICMP_BURST 50 /* RFC 1812 4.3.2.8: errors are limited */
#define ICMP_INTERVAL_MS 10

/* The control thread's side of one place in the SAD. */
struct sad_place {
    /* Workers look at these two when they find no SA: sad_is_awaited(). */
    _Atomic uint32_t spi; /* the last one given out here; its generation goes up with each use */
    uint32_t next; /* in the queue of free places */
    _Atomic bool reserved; /* or installed */
};

struct path_mtu {
    struct address local, peer;
    uint16_t mtu;
    uint64_t learnt_ms;
};

/* Our addresses inside, one a family. */
struct own_addresses {
    struct retired retired;
    struct address ipv4, ipv6;
};

/* SPIs that were chosen elsewhere, in order; sa is NULL while one is only reserved. */
struct exact_entry {
    uint32_t spi;
    _Atomic(struct sa *) sa;
};
struct exact_list {
    struct retired retired;
    size_t count;
    struct exact_entry entries[];
};

struct dataplane {
    struct publish publish;
    _Atomic(struct sa *) *slots; /* by the low bits of the SPI */
    _Atomic(struct exact_list *) exact; /* NULL: none */
    _Atomic(struct spd *) spd;
    _Atomic bool policies_are_mixed; /* some say bypass or discard */
    _Atomic(struct sa_list *) paced; /* that send without being asked; may be NULL */
    /* Only taken for SAs of IP-TFS, and only where workers share a direction. */
    _Atomic bool pace_out_lock, pace_in_lock;
    _Atomic(struct own_addresses *) own;
    _Atomic(struct tap *) tap; /* NULL: off */
    struct crew crew;
    uint32_t sa_max;
    uint32_t index_mask;
    uint32_t policy_max;
    uint16_t ike_port;
    bool shared; /* several workers seal, or several open: counters need atomic additions */
    bool compresses; /* some SA has compressed */

    /* control thread only */
    struct random_source *random;
    struct sad_place *places;
    uint32_t fresh; /* places from here on were never used */
    uint32_t free_first; /* index + 1, 0: none */
    uint32_t free_last;
    uint32_t sa_count;
    struct table bindings;
    struct sa *by_peer[PEER_BUCKETS];
    uint64_t hash_seed;
    bool keep_keys;
    struct path_mtu path_mtus[PATH_MTUS_MAX];
    size_t path_mtu_count;
    uint64_t too_big[TOO_BIG_COUNT];
    uint64_t newest_ms; /* of what workers and calls told */
    uint16_t link_mtu;
    size_t memory_bytes;
    uint32_t worker_count;
    size_t notes_turn; /* the worker that is asked next */
    struct dataplane_worker *workers[WORKERS_MAX];
    struct dataplane_doors gone; /* of workers that are no more */
};

/* A clear packet that waits for an SA. */
#define HELD_MAX BATCH_PACKETS
#define HELD_OF_POLICY_MAX 16
#define HELD_MS 5000
#define HELD_LOOK_US 10000
struct held {
    struct packet *packet;
    uint32_t policy_id;
    uint64_t since_ms;
};

/* A protected packet that came before its SA (early.c). */
#define EARLY_MAX BATCH_PACKETS
#define EARLY_OF_SPI_MAX 32
#define EARLY_MS 1000
#define EARLY_LOOK_US 1000
struct early {
    struct packet *packet;
    uint32_t spi;
    uint64_t since_ms;
};

/* A payload of IP-TFS whose contents wait for the next turn. */
#define LATER_MAX 256
struct later {
    struct packet *packet;
    uint32_t spi;
    uint64_t sequence;
};

/* Written by its worker alone, read by the control thread at any time. */
struct doors {
    _Atomic uint64_t from_tun, from_wire, made, to_wire, to_tun, to_control;
    _Atomic uint64_t to_clear, to_consumer, joined;
    _Atomic uint64_t dropped[DROP_REASON_COUNT];
};

/* What was found for the last clear packet: neighbours mostly belong to one flow. It holds as long
 * as nothing was retired. */
struct route {
    bool known;
    uint64_t age; /* of publish.h */
    uint8_t resource; /* of the worker */
    struct match_key key;
    const struct spd_policy *policy;
    struct sa *sa;
};

/* The packet out of a tunnel that was last found to be what was agreed, within a batch: the next
 * one of the same SA, addresses, protocol and ports needs no second look. */
struct agreed {
    struct sa *sa; /* NULL: none */
    struct ip_head head;
    uint8_t ends[36]; /* addresses and ports, as they stand in the packet */
};

struct dataplane_worker {
    struct dataplane *dp;
    uint32_t index;
    uint8_t resource; /* which of the sealing workers, counted from 1; 0: it is none */
    struct protect_engine *engine;
    struct iv_source iv;
    struct doors doors;
    struct ring notes;
    struct ring examples; /* struct drop_example */
    uint64_t example_due_ms[DROP_REASON_COUNT]; /* of each reason, when the next may be kept */
    _Atomic uint64_t now_ms;
    uint64_t unknown_spi_ms; /* when one was last noted, plus 1 */
    uint64_t icmp_ms; /* of the last credit */
    uint32_t icmp_credit;

    uint8_t *buffers;
    uint8_t *small_buffers;
    struct packet *packets; /* the small ones behind the others */
    uint16_t *free_packets, *free_small;
    bool *is_taken;
    size_t free_count, free_small_count;

    /* the batch */
    bool inbound; /* it came from the wire */
    struct tap *tap; /* NULL: off */
    bool tap_news; /* copies were published in the last batch */
    struct dataplane_output *out;
    const struct spd *spd;
    struct route route;
    struct agreed agreed;
    size_t taken; /* clear packets of this batch */
    struct cut cut; /* of the super-packet that is being taken */
    bool is_cutting;
    size_t work_count;
    struct esp_work work[DATAPLANE_OUTPUT_MAX];
    struct protect_job jobs[DATAPLANE_OUTPUT_MAX];

    /* Packets of the batch that need a place in the output beside those in `work` and `nests`. */
    size_t owed;

    /* the long road (nest.h), with the jobs of a round */
    struct nest *nests; /* BATCH_PACKETS of them */
    size_t nest_count;
    size_t esp_count, ah_count;
    struct protect_job esp_jobs[BATCH_PACKETS];
    struct auth_job ah_jobs[BATCH_PACKETS];
    uint16_t ip_id;

    struct reassembly *reassembly; /* of clear packets that must be whole to be protected */
    struct fragment_ports *ports_out, *ports_in; /* of clear fragments in either direction */
    _Atomic(struct ipcomp *) ipcomp; /* made when the first SA that compresses is installed */
    bool seals, opens;
    bool joins; /* what comes out of tunnels */
    const struct dataplane_helpers *helpers; /* NULL: none */
    struct crew_pace pace;
    struct later later[LATER_MAX];
    size_t later_count;
    struct held held[HELD_MAX]; /* oldest first */
    size_t held_count;
    struct early early[EARLY_MAX]; /* oldest first */
    size_t early_count;
};

/* A number that only its worker adds to, or that several do. */
static inline void tally(_Atomic uint64_t *number, uint64_t more, bool shared)
{
    if (shared) {
        atomic_fetch_add_explicit(number, more, memory_order_relaxed);
    } else {
        uint64_t before = atomic_load_explicit(number, memory_order_relaxed);
        atomic_store_explicit(number, before + more, memory_order_relaxed);
    }
}

static inline uint64_t tally_read(const _Atomic uint64_t *number)
{
    return atomic_load_explicit(number, memory_order_relaxed);
}

/* ---- worker.c: the doors and the notes ---- */

/* Frees all that a worker has; it is registered nowhere any more. */
void worker_fini(struct dataplane_worker *worker);
/* Control thread: from now on the worker has what IPComp needs. False: no memory. */
MUST_USE bool worker_can_compress(struct dataplane_worker *worker);
/* What waits, for an SA or its turn, waits no more. */
void worker_give_held(struct dataplane_worker *worker);
/* A batch begins: the tables may be read from here on. */
void worker_begin(struct dataplane_worker *worker, uint64_t now_ms, struct dataplane_output *out);
/* One with room for SMALL_BYTES in all; NULL when all are in use. */
struct packet *worker_take_small(struct dataplane_worker *worker);
/* From now on its bytes stand in its own buffer, with room around them. */
void worker_own(struct dataplane_worker *worker, struct packet *packet);
void worker_drop(struct dataplane_worker *worker, struct packet *packet, enum drop_reason reason);
/* Drops work->packet, of which SA and number are known. */
void worker_drop_of(struct dataplane_worker *worker, const struct esp_work *work,
                    enum drop_reason reason);
void worker_to_tun(struct dataplane_worker *worker, struct packet *packet);
void worker_to_wire(struct dataplane_worker *worker, struct packet *packet);
void worker_to_control(struct dataplane_worker *worker, struct packet *packet);
void worker_to_consumer(struct dataplane_worker *worker, struct packet *packet);
/* It was a piece of another packet and is there no more. */
void worker_took(struct dataplane_worker *worker, struct packet *packet);
/* In clear around the tunnels: it stands among what goes to the wire. */
void worker_to_clear(struct dataplane_worker *worker, struct packet *packet);
/* False when the ring is full: the cause may be noted again. */
bool worker_note(struct dataplane_worker *worker, const struct dataplane_note *note);
/* A note about an SA's life, once. */
void worker_note_once(struct dataplane_worker *worker, struct sa *sa, enum sa_noted once,
                      enum dataplane_note_kind kind);

/* ---- drop_example.c ---- */

/* What can be said about a packet that is dropped. `work` NULL: its SA is not known. */
void example_describe(const struct dataplane_worker *worker, const struct packet *packet,
                      const struct esp_work *work, enum drop_reason reason,
                      struct drop_example *out);
/* Its turn has come. `packet` NULL: lost by the caller, who says no more. */
void example_keep(struct dataplane_worker *worker, const struct packet *packet,
                  const struct esp_work *work, enum drop_reason reason);

/* ---- tap.c: only to be called while worker->tap is not NULL ---- */

/* Datagrams as they came, before anything is done to them. */
void tap_received(struct dataplane_worker *worker, struct packet *const *packets, size_t count);
/* A clear packet, before it goes into the SA or after it came out. */
void tap_inner(struct dataplane_worker *worker, const struct sa *sa, const struct packet *packet);
/* An outer packet that leaves. */
void tap_sent(struct dataplane_worker *worker, const struct sa *sa, const struct packet *packet);
/* `work` NULL: its SA is not known. */
void tap_dropped(struct dataplane_worker *worker, const struct packet *packet,
                 const struct esp_work *work, enum drop_reason reason);
/* The batch is over. */
void tap_publish(struct dataplane_worker *worker);

/* ---- outbound.c ---- */

/* A packet of the SA leaves. */
void sends_now(struct dataplane_worker *worker, struct sa *sa, uint64_t now_ms);
/* The next sequence number, or why there is none. DROP_NONE when the packet may go. */
MUST_USE enum drop_reason spend_life(struct dataplane_worker *worker, struct sa *sa, uint32_t bytes,
                                     uint64_t *sequence);
/* Once a batch: whether this worker would rather have an SA of its own than this one. */
void outbound_note_own(struct dataplane_worker *worker, const struct sa *sa);
/* What waits for an SA goes, waits on, or is given up. */
void outbound_look_again(struct dataplane_worker *worker, uint64_t now_ms);
void choose_iv(struct dataplane_worker *worker, const struct sa *sa, uint64_t sequence,
               uint8_t iv[IV_BYTES_MAX]);

/* ---- inbound.c ---- */

/* RFC 4303 3.4.3: only what proved authentic is remembered. DROP_NONE when it was not seen before.
 */
MUST_USE enum drop_reason remember(struct dataplane_worker *worker, const struct esp_work *work,
                                   bool authentic, uint64_t now_ms);
/* RFC 4301 5.2 step 4: what came out of a tunnel must be what was agreed. */
MUST_USE enum drop_reason check_inner(struct dataplane_worker *worker, struct sa *sa,
                                      struct packet *packet, uint8_t next_header,
                                      struct ip_head *head);
/* The same of a packet whose header is read already. */
MUST_USE enum drop_reason check_selectors(struct dataplane_worker *worker, struct sa *sa,
                                          const struct packet *packet, const struct ip_head *head);
/* Of an IPv4 or IPv6 packet. */
void set_tos(uint8_t *data, uint8_t family, uint8_t tos);
void count_delivered(struct dataplane_worker *worker, struct sa *sa, uint32_t bytes);

/* What came before its SA is looked at again; what it becomes stands in the output. */
void inbound_look_again(struct dataplane_worker *worker, uint64_t now_ms);

/* ---- early.c ---- */

/* A packet without an SA waits for it (it has done so since since_ms) or is dropped; false: nobody
 * awaits an SA of this SPI. */
MUST_USE bool early_waits(struct dataplane_worker *worker, struct packet *packet, uint32_t spi,
                          uint64_t since_ms, uint64_t now_ms);
/* All that wait are taken out, in the order in which they came. */
size_t early_take(struct dataplane_worker *worker, struct early taken[EARLY_MAX]);

/* ---- exact.c ---- */

struct sa *exact_find(const struct dataplane *dp, uint32_t spi);
MUST_USE bool exact_is_reserved(const struct dataplane *dp, uint32_t spi);
/* Not reserved yet; false when there is no room. */
MUST_USE bool exact_reserve(struct dataplane *dp, uint32_t spi);
/* Reserved before. */
void exact_set(struct dataplane *dp, uint32_t spi, struct sa *sa);
void exact_remove(struct dataplane *dp, uint32_t spi);

/* ---- sad.c ---- */

/* For workers: the SA of an SPI on the wire, or NULL. */
static inline struct sa *sad_find(const struct dataplane *dp, uint32_t spi)
{
    uint32_t index = spi & dp->index_mask;

    if (index < dp->sa_max) {
        struct sa *sa = atomic_load(&dp->slots[index]);

        if (sa != NULL && sa->spi_in == spi) {
            return sa;
        }
    }
    return atomic_load_explicit(&dp->exact, memory_order_relaxed) == NULL ? NULL
                                                                          : exact_find(dp, spi);
}

/* For workers: we gave this SPI to a peer, and there is no SA yet or no more. */
MUST_USE bool sad_is_awaited(const struct dataplane *dp, uint32_t spi);
/* Reserves an SPI that was chosen elsewhere: for SAs that are taken over from another gateway. */
MUST_USE bool sad_reserve_exact(struct dataplane *dp, uint32_t spi);
MUST_USE bool sad_init(struct dataplane *dp);
void sad_fini(struct dataplane *dp);
/* The next sequence number that will be sent is `next_out`, and what lies `window` before `top_in`
 * counts as seen: for an SA that is taken over from another gateway, before it is used. */
void sad_set_sequence(struct dataplane *dp, uint32_t spi_in, uint64_t next_out, uint64_t top_in);
/* The first of all installed SAs with this address of the peer (and perhaps some others); the next
 * is its peer_next. */
struct sa *sad_first_of_peer(struct dataplane *dp, const struct address *peer);
/* Calls for every installed SA with this address of the peer (and perhaps some others). */
void sad_each_of_peer(struct dataplane *dp, const struct address *peer,
                      void (*visit)(struct dataplane *dp, struct sa *sa));
/* Calls for every installed SA. */
void sad_each(struct dataplane *dp, void (*visit)(struct dataplane *dp, struct sa *sa));

/* ---- bind.c ---- */

/* The binding of a policy id, made when it is not there; NULL when there is no memory. Adds a
 * holder. */
struct binding *binding_hold(struct dataplane *dp, uint32_t policy_id);
/* NULL when there is none. */
struct binding *binding_of(const struct dataplane *dp, uint32_t policy_id);
void binding_drop(struct dataplane *dp, struct binding *binding);
/* Puts the SA first; false when there is no memory. */
MUST_USE bool binding_add(struct dataplane *dp, struct binding *binding, struct sa *sa);
void binding_remove(struct dataplane *dp, struct binding *binding, struct sa *sa);

/* ---- pacing.c ---- */

/* The SA is in use from now on, or no more. */
void pacing_add(struct dataplane *dp, struct sa *sa);
void pacing_remove(struct dataplane *dp, struct sa *sa);

/* With IP-TFS packets go in pieces, so that the path limits them only where they may not (RFC 9347
 * 2.2.7); `payload_bytes` is what one outer packet carries. */
uint16_t pacing_inner_mtu(const struct sa *sa, uint16_t payload_bytes);
/* Takes a clear packet for an SA of IP-TFS: it waits for its turn. */
void pacing_push(struct dataplane_worker *worker, struct sa *sa, struct packet *packet);
/* An authentic payload of IP-TFS. What comes out of it is delivered; the packet has left. */
void pacing_receive(struct dataplane_worker *worker, const struct esp_work *work, uint64_t now_us);

/* ---- mtu.c ---- */

/* Sets the SA's MTUs from what is known about its path. */
void mtu_refresh(struct dataplane *dp, struct sa *sa);
void mtu_age(struct dataplane *dp);
/* What fits on this path outside, and when it was learnt; 0: it is the link's. */
uint16_t path_mtu_of(struct dataplane *dp, const struct address *local, const struct address *peer,
                     uint64_t *learnt_ms);

/* ---- fit.c ---- */

/* What a clear packet may measure on this SA. */
uint16_t fit_inner_mtu(const struct sa *sa);
/* Lowers the MSS of a TCP SYN to what the SA can carry. */
void fit_clamp_mss(const struct sa *sa, struct packet *packet, const struct ip_head *head);
/* Tells the sender of a packet from the TUN device that it is too big; limited. */
void fit_tell_too_big(struct dataplane_worker *worker, const struct packet *packet,
                      const struct ip_head *head, uint16_t mtu, uint64_t now_ms);
/* RFC 791 3.2: cuts an IPv4 packet into `pieces` of at most `mtu` octets, in order; the first is
 * the packet itself. Returns how many, or 0 (and the packet is as it was) when there are not enough
 * buffers or more than `capacity`. */
MUST_USE size_t fit_fragment(struct dataplane_worker *worker, struct packet *packet,
                             const struct ip_head *head, uint16_t mtu, struct packet **pieces,
                             size_t capacity);

#endif
