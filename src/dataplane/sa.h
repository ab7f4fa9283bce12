/*
 * A pair of ESP SAs as workers see it: what an SA decides once is decided here when it is
 * installed.
 *
 * Owned by the SAD (control thread). Workers change only the atomic members. Cache lines: what
 * every inbound packet needs stands in the first two, what every outbound packet needs in the next
 * two, the rest behind.
 */
#ifndef SEKISHO_DATAPLANE_SA_H
#define SEKISHO_DATAPLANE_SA_H

#include "base/secret.h"
#include "crypto/authenticate.h"
#include "crypto/protect.h"
#include "dataplane/aggfrag_in.h"
#include "dataplane/aggfrag_out.h"
#include "dataplane/dataplane.h"
#include "dataplane/ipcomp.h"
#include "dataplane/match.h"
#include "dataplane/publish.h"
#include "dataplane/replay.h"

/* The form of an SA's packets, the same in both directions. */
struct sa_shape {
    uint8_t protocol; /* IP_PROTOCOL_ESP or _AH */
    uint8_t iv_bytes; /* on the wire */
    uint8_t icv_bytes;
    uint8_t align; /* of ciphertext: the cipher's block, at least 4 (RFC 4303 2.4) */
    uint8_t block; /* what a receiver may insist on */
    bool aead;
    bool esn;
    bool counter_iv; /* IV is the sequence number; else it is random (CBC) */
    bool implicit_iv; /* RFC 8750: and it is not sent */
    bool transport;
    bool copy_dscp;
    uint8_t df; /* enum dataplane_df */
    bool ah_align_64; /* what we send in IPv4 (RFC 4302 2.6 says 32 bits) */
    /* An ESP tunnel and no more: the fast road of outbound.c and inbound.c. All else goes through
     * nest_outbound.c and nest_inbound.c. */
    bool plain;
};

/* What is outside of the SA's packets; replaced as a whole when a side moves. In transport mode and
 * in a bundle it is always in UDP or never. */
struct sa_path {
    struct retired retired;
    struct endpoint local;
    struct endpoint peer;
    bool encapsulated; /* in UDP */
};

enum sa_noted {
    SA_NOTED_SOFT = 1,
    SA_NOTED_HARD = 2,
    SA_NOTED_FIRST = 4,
};

struct binding;

/* The keys as they were given, for those who read captures; only where that was asked for. */
struct sa_kept {
    struct suite suite;
    struct secret in, out;
};

/* IP-TFS (RFC 9347). Where several workers seal or open, who touches `out` or `in` holds a lock of
 * the data plane (pacing.c). */
struct sa_aggfrag {
    struct aggfrag_out out;
    struct aggfrag_in in;
    struct aggfrag_link news; /* from `in` to `out` */
    uint64_t news_seen;
    bool is_started;
    _Atomic uint64_t in_due_us; /* when `in` must be looked at; for the worker that sleeps */
    _Atomic uint32_t opener; /* the worker that opened its last payload gives up its gaps */
    _Atomic bool handed_over; /* another SA of the policy goes on with the pace */
};

/* What only SAs have that are more than a plain ESP tunnel. */
struct sa_more {
    struct auth_key *auth_keys[2]; /* AH: in, out */
    _Atomic(struct sa *) inner; /* this one goes around it; NULL: innermost or alone */
    _Atomic(struct sa *) outer; /* goes around this one; NULL: none */
    bool goes_around; /* another SA, and carries nothing else */
    bool waits_for_outer;
    bool replay_off;
    bool fragment_after;
    bool to_consumer;
    bool compress;
    uint16_t cpi_in, cpi_out;
    uint16_t tfc_bytes;
    uint32_t dummy_interval_ms;
    _Atomic uint64_t dummy_ms; /* when one was last tried */
    struct address original_local, original_peer;
    _Atomic uint64_t duplicates; /* that passed */
    struct ipcomp_pace compression;
    _Atomic uint64_t compressed_from, compressed_to; /* octets */
    struct sa_aggfrag *aggfrag; /* NULL: no IP-TFS */
};

struct sa {
    /* inbound, read for every packet */
    _Alignas(64) struct protect_key *key_in;
    uint32_t spi_in;
    struct sa_shape shape;
    uint16_t local_count;
    const struct match *local; /* local_count of them, then remote_count of remote */
    uint64_t soft_bytes, hard_bytes;
    _Atomic(struct sa_path *) path;
    struct binding *binding;
    struct sa_more *more; /* NULL when it is plain */
    uint16_t remote_count;
    _Atomic uint8_t noted; /* enum sa_noted */

    /* inbound, written for every packet */
    _Alignas(64) struct replay replay;
    _Atomic uint64_t in_packets, in_bytes, last_in_ms;
    _Atomic uint64_t moved_to; /* the endpoint that was last noted, as a hash */

    /* outbound */
    _Alignas(64) struct protect_key *key_out;
    uint64_t sequence_max;
    uint64_t soft_packets, hard_packets;
    uint32_t spi_out;
    _Atomic uint16_t outer_mtu, inner_mtu;
    uint8_t resource; /* the sealing worker that it is for, counted from 1; 0: for all */
    _Alignas(64) _Atomic uint64_t sequence; /* the last one that was used */
    _Atomic uint64_t out_packets, out_bytes, last_out_ms;

    /* seldom */
    _Atomic uint64_t replayed, forged, selector_mismatch;
    struct retired retired;
    struct sa_kept *kept; /* NULL: its keys are in no form but the expanded one */
    struct sa *peer_next, **peer_link; /* all SAs whose peer's address has the same hash */
    uint32_t policy_id;
    bool used; /* in the binding's list */
    size_t bytes; /* with its keys */
    /* selectors and the replay window follow in the same allocation */
};

/* SAs that may carry the traffic of one policy, newest first. Immutable once published. */
struct sa_list {
    struct retired retired;
    uint32_t count;
    bool has_resources; /* some are for one sealing worker each */
    struct sa *sas[];
};

/* What ties SAs to a policy: found by the policy's id, outlives reloads while either side holds it.
 */
struct binding {
    struct retired retired;
    uint32_t policy_id;
    uint32_t holders; /* SAs and the present policy list */
    _Atomic(struct sa_list *) list; /* may be NULL */
    _Atomic uint16_t mss_clamp, inner_mtu;
    _Atomic bool holds, relays_icmp;
    _Atomic uint8_t populates; /* enum policy_populates */
    _Atomic uint8_t resources; /* so many sealing workers may ask for an SA of their own */
    _Atomic uint32_t acquired; /* since acquire_ms, where packets populate */
    _Atomic uint64_t acquire_ms; /* when NOTE_ACQUIRE was last put, plus 1 */
};

/* NULL when the suite, a key length or the selectors are wrong or there is no memory. Path and
 * binding are not set. */
MUST_USE struct sa *sa_new(const struct child_sa *child);
MUST_USE bool sa_keep_keys(struct sa *sa, const struct child_sa *child);
void sa_free(struct sa *sa); /* also its path; NULL is allowed */
void sa_release(struct retired *object);

/* The DF bit of the outer header for a packet with this one. */
static inline bool sa_dont_fragment(const struct sa *sa, bool inner_dont_fragment)
{
    return sa->shape.df == DF_SET || (sa->shape.df == DF_COPY && inner_dont_fragment);
}

/* The longest packet that this SA alone makes into one of at most outer_mtu octets, whose outer
 * header is of the family. In transport mode both have the same header without options. */
uint16_t sa_inner_mtu(const struct sa_shape *shape, uint8_t outer_family, bool encapsulated,
                      uint16_t outer_mtu);
/* AH's header with its ICV, as we send it (RFC 4302 2.2: IPv6 wants whole pieces of eight octets).
 */
uint32_t sa_ah_bytes(const struct sa_shape *shape, uint8_t outer_family);
/* Whether a received one may be so long: in IPv4 whole pieces of four octets or of eight, whatever
 * we send ourselves. */
bool sa_takes_ah_bytes(const struct sa_shape *shape, uint8_t outer_family, uint32_t bytes);
/* More SAs than this around each other are refused. */
#define SA_BUNDLE_MAX 4

/* The SA around this one, or NULL. */
static inline struct sa *sa_outer(const struct sa *sa)
{
    return sa->more == NULL ? NULL : atomic_load(&sa->more->outer);
}

/* The SA that this one goes around, or NULL. */
static inline struct sa *sa_inner(const struct sa *sa)
{
    return sa->more == NULL ? NULL : atomic_load(&sa->more->inner);
}

/* The newest SA of the binding whose selectors fit, or NULL: of those of this sealing worker, else
 * of those that are for all, else of any. */
struct sa *binding_find(const struct binding *binding, const struct match_key *key,
                        uint8_t resource);

static inline const struct match *sa_remote(const struct sa *sa)
{
    return sa->local + sa->local_count;
}

/* Their selectors are the same. */
MUST_USE bool sa_carries_the_same(const struct sa *a, const struct sa *b);

/* Both ends of the packet are what was agreed (RFC 4301 5.1, 5.2). */
MUST_USE bool sa_fits(const struct sa *sa, const struct match_key *key);

#endif
