/*
 * MOBIKE (RFC 4555): an IKE SA and its children go to other addresses and stay what they are. Here
 * is decided what is told to the peer about addresses, what is believed of what he tells, and when
 * the SAs for data follow.
 *
 * Who began the first IKE SA decides between which addresses all goes (3.5). He moves and tells;
 * the other one only says where else he can be reached, and moves by himself when his own address
 * is gone. What is sent to an address at which the peer was not heard before waits until he showed
 * that he gets what is sent there (3.7): COOKIE2, in the update itself where we move to another
 * address of his, in a question of its own where he came to it.
 */
#include "proto/ikev2/machine.h"

#include <string.h>

#define COOKIE2_BYTES 16
#define COOKIE2_BYTES_MIN 8 /* 4.2.5 */
#define COOKIE2_BYTES_MAX 64

/* What one exchange about addresses asks. */
struct asked {
    uint64_t ike_spi; /* ours of the IKE SA in which it is open; 0 none */
    bool update, list, cookie;
    struct endpoint local, peer;
    uint8_t cookie2[COOKIE2_BYTES];
};

struct ikev2_mobility {
    bool update_wanted; /* "pending_update" of 3.5 */
    bool list_wanted; /* our addresses are to be told */
    bool check_wanted; /* whether he gets what is sent to where he is now */
    bool children_wait; /* they follow when that is known */
    bool has_before, has_seen;
    uint8_t nat_retries; /* of an update that found a NAT where none may be */
    uint8_t peer_count;
    uint64_t again_ms; /* not before */
    struct asked asked;
    struct endpoint before_local, before_peer; /* what to go back to when the update is refused */
    bool testing; /* whether the peer can be reached between these (3.10) */
    struct endpoint test_local, test_peer;
    uint64_t seen_ike_spi;
    uint8_t seen[NATD_HASH_BYTES]; /* the peer's hash of where we seem to be (3.8) */
    struct address peer[IKEV2_ADDRESSES_MAX]; /* his, beside the one from which he told them */
};

static struct ikev2_mobility *mobility_of(const struct ikev2_sa *sa)
{
    return sa->extra == NULL ? NULL : sa->extra->mobility;
}

/* NULL: no memory. */
static struct ikev2_mobility *mobility_make(struct ikev2_sa *sa)
{
    struct ikev2_extra *extra = ikev2_extra(sa);

    if (extra != NULL && extra->mobility == NULL) {
        extra->mobility = ikev2_block_new(sizeof(*extra->mobility));
    }
    return extra == NULL ? NULL : extra->mobility;
}

/* An SA at rest keeps nothing for it. */
static void mobility_rest(struct ikev2_sa *sa)
{
    struct ikev2_mobility *m = mobility_of(sa);

    if (m != NULL && !m->update_wanted && !m->list_wanted && !m->check_wanted &&
        !m->children_wait && !m->testing && !m->has_before && !m->has_seen && m->peer_count == 0 &&
        m->asked.ike_spi == 0) {
        ikev2_block_bury(sa, m);
        sa->extra->mobility = NULL;
    }
}

/* 3.9: NAT traversal is what both sides said in IKE_SA_INIT, and what the policy allows. */
static bool traverses_nat(const struct ikev2_sa *sa)
{
    return sa->nat_supported && sa->policy->allow_encapsulation;
}

/* ---- what is written ---- */

static void out_natd(struct ikev2_sa *sa, const struct ikev2_ike *ike, struct ikev2_outgoing *o,
                     const struct endpoint *local, const struct endpoint *peer)
{
    uint8_t hash[NATD_HASH_BYTES];

    if (sa->policy->force_encapsulation) {
        natd_asking_hash(ike->spi_i, ike->spi_r, local, hash);
    } else {
        natd_hash(ike->spi_i, ike->spi_r, local, hash);
    }
    ikev2_out_notify(o, IKEV2_NAT_DETECTION_SOURCE_IP, SLICE_OF(hash));
    natd_hash(ike->spi_i, ike->spi_r, peer, hash);
    ikev2_out_notify(o, IKEV2_NAT_DETECTION_DESTINATION_IP, SLICE_OF(hash));
}

#define NO_NATS_BYTES_MAX 36

/* 4.2.6: both addresses, then both ports. */
static struct slice no_nats(const struct endpoint *from, const struct endpoint *to,
                            uint8_t out[NO_NATS_BYTES_MAX])
{
    size_t bytes = address_bytes((enum family)from->address.family);

    memcpy(out, from->address.bytes, bytes);
    memcpy(out + bytes, to->address.bytes, bytes);
    put_u16(out + 2 * bytes, from->port);
    put_u16(out + 2 * bytes + 2, to->port);
    return (struct slice){out, 2 * bytes + 4};
}

static void out_no_nats(const struct ikev2_sa *sa, struct ikev2_outgoing *o)
{
    uint8_t data[NO_NATS_BYTES_MAX];

    if (!traverses_nat(sa)) {
        ikev2_out_notify(o, IKEV2_NO_NATS_ALLOWED, no_nats(&sa->local, &sa->peer, data));
    }
}

/* All addresses of ours but the one that the message comes from; false: there is none. */
static bool out_addresses(const struct ikev2_sa *sa, struct ikev2_outgoing *o)
{
    const struct ikev2_addresses *own = sa->policy->addresses;
    bool any = false;

    for (size_t i = 0; own != NULL && i < own->count; i++) {
        const struct address *a = &own->list[i];

        if (!address_equal(a, &sa->local.address)) {
            ikev2_out_notify(o,
                             a->family == FAMILY_IPV4 ? IKEV2_ADDITIONAL_IP4_ADDRESS
                                                      : IKEV2_ADDITIONAL_IP6_ADDRESS,
                             (struct slice){a->bytes, address_bytes((enum family)a->family)});
            any = true;
        }
    }
    return any;
}

void ikev2_mobile_out_auth(const struct ikev2_sa *sa, struct ikev2_outgoing *o)
{
    if (sa->initiator ? !sa->policy->mobile : !sa->mobile) {
        return;
    }
    ikev2_out_notify(o, IKEV2_MOBIKE_SUPPORTED, (struct slice){NULL, 0});
    (void)out_addresses(sa, o);
    if (sa->initiator) {
        out_no_nats(sa, o);
    }
}

void ikev2_mobile_out_liveness(struct ikev2_sa *sa, const struct ikev2_ike *ike,
                               struct ikev2_outgoing *o)
{
    /* 3.8: who is behind a NAT asks at the same time whether he still seems to be where he was. */
    if (sa->mobile && sa->initiator && sa->nat_local && traverses_nat(sa)) {
        out_natd(sa, ike, o, &sa->local, &sa->peer);
    }
}

/* ---- what is read ---- */

static bool has_list(const struct ikev2_message *m)
{
    return ikev2_message_notify(m, IKEV2_ADDITIONAL_IP4_ADDRESS) != NULL ||
           ikev2_message_notify(m, IKEV2_ADDITIONAL_IP6_ADDRESS) != NULL ||
           ikev2_message_notify(m, IKEV2_NO_ADDITIONAL_ADDRESSES) != NULL;
}

static bool may_be_a_host(const struct address *a)
{
    return !address_is_any(a) && !address_is_multicast(a) && !address_is_link_local(a);
}

static bool read_address(const struct ikev2_notify_payload *n, struct address *out)
{
    if (n->type == IKEV2_ADDITIONAL_IP4_ADDRESS && n->data.length == 4) {
        *out = address_ipv4_bytes(n->data.data);
    } else if (n->type == IKEV2_ADDITIONAL_IP6_ADDRESS && n->data.length == 16) {
        *out = address_ipv6_bytes(n->data.data);
    } else {
        return false;
    }
    return may_be_a_host(out);
}

/* 3.6: the new list replaces the old one. More than we keep are not kept. */
static void read_list(struct ikev2_sa *sa, const struct ikev2_message *m)
{
    struct ikev2_mobility *mobility = mobility_of(sa);

    if (mobility != NULL) {
        mobility->peer_count = 0;
    }
    for (size_t i = 0; i < m->notify_count; i++) {
        struct address address;

        if (!read_address(&m->notify[i], &address)) {
            continue;
        }
        mobility = mobility_make(sa);
        if (mobility == NULL || mobility->peer_count == IKEV2_ADDRESSES_MAX) {
            return;
        }
        mobility->peer[mobility->peer_count++] = address;
    }
}

void ikev2_mobile_read_auth(struct ikev2_sa *sa, const struct ikev2_message *m)
{
    sa->mobile = sa->policy->mobile && ikev2_message_notify(m, IKEV2_MOBIKE_SUPPORTED) != NULL;
    if (sa->mobile) {
        read_list(sa, m);
    }
}

bool ikev2_mobile_is_unexpected(const struct ikev2_message *m, const struct endpoint *local,
                                const struct endpoint *peer)
{
    const struct ikev2_notify_payload *n = ikev2_message_notify(m, IKEV2_NO_NATS_ALLOWED);
    uint8_t data[NO_NATS_BYTES_MAX];

    if (n == NULL) {
        return false;
    }
    struct slice seen = no_nats(peer, local, data);

    return n->data.length != seen.length || memcmp(n->data.data, seen.data, seen.length) != 0;
}

/* False: nothing about NAT is said. */
static bool read_natd(const struct ikev2_message *m, struct natd *natd)
{
    *natd = (struct natd){0};
    for (size_t i = 0; i < m->notify_count; i++) {
        const struct ikev2_notify_payload *n = &m->notify[i];

        if (n->type == IKEV2_NAT_DETECTION_SOURCE_IP) {
            natd_add_source(natd, n->data, m->header.spi_i, m->header.spi_r, &m->peer);
        } else if (n->type == IKEV2_NAT_DETECTION_DESTINATION_IP) {
            natd_add_destination(natd, n->data, m->header.spi_i, m->header.spi_r, &m->local);
        }
    }
    return natd_is_supported(natd);
}

/* 3.5: "enables or disables NAT Traversal". */
static void take_natd(struct ikev2_sa *sa, const struct ikev2_message *m)
{
    struct natd natd;

    if (traverses_nat(sa) && read_natd(m, &natd)) {
        sa->nat_peer = natd_peer_is_behind(&natd);
        sa->nat_local = natd_local_is_behind(&natd);
        sa->nat_asked = natd_peer_only_asks(&natd);
    }
}

/* Of what the peer sees of us; true when it is not what he saw before. */
static bool take_seen(struct ikev2_mobility *mobility, const struct ikev2_ike *ike,
                      const struct ikev2_message *m)
{
    const struct ikev2_notify_payload *n =
        ikev2_message_notify(m, IKEV2_NAT_DETECTION_DESTINATION_IP);

    if (n == NULL || n->data.length != NATD_HASH_BYTES) {
        return false;
    }
    bool same = mobility->has_seen && mobility->seen_ike_spi == ikev2_ike_own_spi(ike) &&
                memcmp(mobility->seen, n->data.data, NATD_HASH_BYTES) == 0;

    memcpy(mobility->seen, n->data.data, NATD_HASH_BYTES);
    mobility->seen_ike_spi = ikev2_ike_own_spi(ike);
    mobility->has_seen = true;
    return !same;
}

/* ---- moving ---- */

static void tell(struct ikev2_turn *t, bool children, bool refused)
{
    ikev2_tell_moved(t, children);
    if (refused && t->actions != NULL) {
        t->actions->list[t->actions->count - 1].moved.refused = true;
    }
}

/* The SAs for data go where the IKE SA is, into UDP or out of it. */
static void children_follow(struct ikev2_turn *t, bool refused)
{
    struct ikev2_sa *sa = t->sa;
    struct ikev2_mobility *m = mobility_of(sa);

    if (m != NULL) {
        m->children_wait = false;
    }
    for (struct ikev2_child *child = sa->children; child != NULL; child = child->next) {
        if (!child->terms.transport_mode) {
            child->encapsulated = ikev2_child_is_encapsulated(sa, child->protocol);
        }
    }
    tell(t, true, refused);
    for (struct ikev2_child *child = sa->children; child != NULL; child = child->next) {
        /* RFC 3715 2.1: AH cannot pass a NAT. */
        if (child->protocol == PROTOCOL_AH && (sa->nat_local || sa->nat_peer) &&
            child->phase == IKEV2_CHILD_UP) {
            ikev2_child_close(t, child);
        }
    }
}

/* 3.5: what was asked and is not answered goes on from the new addresses, at once. */
static void requests_follow(struct ikev2_turn *t, bool anew)
{
    struct ikev2_sa *sa = t->sa;

    for (struct ikev2_ike *ike = sa->ikes; ike != NULL; ike = ike->next) {
        if (ike->request != NULL) {
            ikev2_request_again(t, ike, anew);
        }
    }
}

static void move(struct ikev2_turn *t, struct ikev2_mobility *m, const struct endpoint *local,
                 const struct endpoint *peer, bool trying)
{
    struct ikev2_sa *sa = t->sa;
    bool new_host = !address_equal(&sa->peer.address, &peer->address);

    if (!m->has_before && sa->initiator) {
        m->has_before = true;
        m->before_local = sa->local;
        m->before_peer = sa->peer;
    }
    sa->local = *local;
    sa->peer = *peer;
    m->again_ms = 0;
    if (sa->initiator) {
        m->update_wanted = true;
        m->nat_retries = 0;
    } else {
        m->list_wanted = true;
        m->check_wanted = m->check_wanted || new_host;
    }
    m->children_wait = m->children_wait || new_host;
    if (m->children_wait) {
        tell(t, false, false);
    } else {
        children_follow(t, false);
    }
    requests_follow(t, !trying);
}

void ikev2_sa_move(struct ikev2_sa *sa, const struct endpoint *local, const struct endpoint *peer,
                   bool trying, uint64_t now_ms, struct ikev2_actions *actions)
{
    struct ikev2_turn t = ikev2_turn_begin(sa, now_ms, actions);

    if (sa->state != IKEV2_STATE_UP || !sa->mobile ||
        local->address.family != peer->address.family ||
        (endpoint_equal(&sa->local, local) && endpoint_equal(&sa->peer, peer))) {
        return;
    }
    struct ikev2_mobility *m = mobility_make(sa);

    if (m != NULL) {
        m->testing = false;
        move(&t, m, local, peer, trying);
        ikev2_turn_finish(&t);
    }
}

void ikev2_sa_test_way(struct ikev2_sa *sa, const struct endpoint *local,
                       const struct endpoint *peer, uint64_t now_ms, struct ikev2_actions *actions)
{
    struct ikev2_turn t = ikev2_turn_begin(sa, now_ms, actions);
    struct endpoint used_local = sa->local;
    struct endpoint used_peer = sa->peer;

    if (sa->state != IKEV2_STATE_UP || !sa->mobile || !sa->initiator ||
        local->address.family != peer->address.family ||
        (endpoint_equal(&sa->local, local) && endpoint_equal(&sa->peer, peer)) ||
        sa->current->phase != IKEV2_IKE_LIVE || sa->current->asking != NULL ||
        sa->current->request != NULL || sa->current->hold_ms > now_ms) {
        return;
    }
    struct ikev2_mobility *m = mobility_make(sa);

    if (m == NULL || ikev2_mobile_due_ms(sa) != NEVER_MS) {
        return;
    }
    m->testing = true;
    m->test_local = *local;
    m->test_peer = *peer;
    sa->local = *local;
    sa->peer = *peer;
    ikev2_informational_begin(&t, sa->current, IKEV2_WORK_LIVENESS, 0);
    sa->local = used_local;
    sa->peer = used_peer;
    ikev2_turn_finish(&t);
}

/* The answer goes to where the question came from; the question went the tested way only once. */
static void tested(struct ikev2_turn *t, struct ikev2_mobility *m,
                   const struct ikev2_message *answer)
{
    struct ikev2_sa *sa = t->sa;
    bool works = m->testing && endpoint_equal(&m->test_local, &answer->local) &&
                 endpoint_equal(&m->test_peer, &answer->peer) && !m->update_wanted;

    m->testing = false;
    if (works) {
        move(t, m, &m->test_local, &m->test_peer, false);
    }
    mobility_rest(sa);
}

void ikev2_sa_addresses_changed(struct ikev2_sa *sa, uint64_t now_ms, struct ikev2_actions *actions)
{
    struct ikev2_turn t = ikev2_turn_begin(sa, now_ms, actions);
    struct ikev2_mobility *m = sa->state == IKEV2_STATE_UP && sa->mobile ? mobility_make(sa) : NULL;

    if (m != NULL) {
        m->list_wanted = true;
        ikev2_turn_finish(&t);
    }
}

size_t ikev2_sa_peer_addresses(const struct ikev2_sa *sa, struct address out[IKEV2_ADDRESSES_MAX])
{
    const struct ikev2_mobility *m = mobility_of(sa);

    for (size_t i = 0; m != NULL && i < m->peer_count; i++) {
        out[i] = m->peer[i];
    }
    return m == NULL ? 0 : m->peer_count;
}

/* ---- asking ---- */

uint64_t ikev2_mobile_due_ms(const struct ikev2_sa *sa)
{
    const struct ikev2_mobility *m = mobility_of(sa);

    return m != NULL && (m->update_wanted || m->list_wanted || m->check_wanted) ? m->again_ms
                                                                                : NEVER_MS;
}

void ikev2_mobile_begin(struct ikev2_turn *t, struct ikev2_ike *ike)
{
    struct ikev2_sa *sa = t->sa;
    struct ikev2_mobility *m = mobility_of(sa);
    struct ikev2_work *work = ikev2_work_new(IKEV2_WORK_MOBILE, true);
    struct ikev2_outgoing o NOT_ZEROED;

    if (work == NULL) {
        ikev2_over_for(t, IKEV2_FAIL_RESOURCES, IKEV2_INFORMATIONAL, 0, "no memory");
        return;
    }
    ike->asking = work;
    m->asked = (struct asked){
        .ike_spi = ikev2_ike_own_spi(ike),
        .update = m->update_wanted,
        .list = m->list_wanted,
        .cookie = m->check_wanted || (m->update_wanted && m->children_wait),
        .local = sa->local,
        .peer = sa->peer,
    };
    m->update_wanted = m->list_wanted = m->check_wanted = false;
    ikev2_out_begin(&o);
    if (m->asked.update) {
        ikev2_out_notify(&o, IKEV2_UPDATE_SA_ADDRESSES, (struct slice){NULL, 0});
        if (traverses_nat(sa)) {
            out_natd(sa, ike, &o, &sa->local, &sa->peer);
        }
    }
    if (m->asked.list && !out_addresses(sa, &o)) {
        ikev2_out_notify(&o, IKEV2_NO_ADDITIONAL_ADDRESSES, (struct slice){NULL, 0});
    }
    if (m->asked.update || m->asked.list) {
        out_no_nats(sa, &o);
    }
    if (m->asked.cookie) {
        random_fill(sa->random, m->asked.cookie2, COOKIE2_BYTES);
        ikev2_out_notify(&o, IKEV2_COOKIE2, SLICE_OF(m->asked.cookie2));
    }
    ikev2_send_request(t, ike, IKEV2_INFORMATIONAL, &o);
}

void ikev2_mobile_unanswered(struct ikev2_sa *sa)
{
    struct ikev2_mobility *m = mobility_of(sa);

    /* The IKE SA in which it was asked is gone: it is asked again in the one that took its place.
     */
    if (m != NULL) {
        m->update_wanted = m->update_wanted || m->asked.update;
        m->list_wanted = m->list_wanted || m->asked.list;
        m->check_wanted = m->check_wanted || (m->asked.cookie && !m->asked.update);
        m->asked.ike_spi = 0;
    }
}

static bool is_cookie_back(const struct asked *asked, const struct ikev2_message *m)
{
    const struct ikev2_notify_payload *n = ikev2_message_notify(m, IKEV2_COOKIE2);

    return n != NULL && n->data.length == COOKIE2_BYTES &&
           memcmp(n->data.data, asked->cookie2, COOKIE2_BYTES) == 0;
}

static void give_up(struct ikev2_turn *t, enum ikev2_failure_reason reason, uint16_t notify,
                    const char *detail)
{
    struct ikev2_failure failure;

    ikev2_failure_set(&failure, reason, IKEV2_INFORMATIONAL, notify, detail);
    ikev2_over_with_delete(t, &failure);
}

/* 3.9: somebody on the way may have changed one packet: tried again before it is believed. */
static void update_met_nat(struct ikev2_turn *t, struct ikev2_mobility *m)
{
    if (m->nat_retries >= t->sa->policy->retransmit_tries) {
        give_up(t, IKEV2_FAIL_PEER_ERROR, IKEV2_UNEXPECTED_NAT_DETECTED,
                "a NAT is on the new way, and none may be");
        return;
    }
    m->again_ms = ikev2_retry_ms(t->sa, t->now_ms, m->nat_retries);
    m->nat_retries++;
    m->update_wanted = true;
}

/* 3.5: the peer stays where he was, and so do we. */
static void update_refused(struct ikev2_turn *t, struct ikev2_mobility *m)
{
    struct ikev2_sa *sa = t->sa;

    if (!m->has_before || (endpoint_equal(&m->before_local, &sa->local) &&
                           endpoint_equal(&m->before_peer, &sa->peer))) {
        give_up(t, IKEV2_FAIL_PEER_ERROR, IKEV2_UNACCEPTABLE_ADDRESSES,
                "the peer refuses our address");
        return;
    }
    sa->local = m->before_local;
    sa->peer = m->before_peer;
    m->has_before = false;
    children_follow(t, true);
}

static void updated(struct ikev2_turn *t, struct ikev2_ike *ike, const struct ikev2_message *m)
{
    struct ikev2_mobility *mobility = mobility_of(t->sa);

    if (ikev2_message_notify(m, IKEV2_UNEXPECTED_NAT_DETECTED) != NULL) {
        update_met_nat(t, mobility);
    } else if (ikev2_message_notify(m, IKEV2_UNACCEPTABLE_ADDRESSES) != NULL) {
        update_refused(t, mobility);
    } else {
        take_natd(t->sa, m);
        if (t->sa->nat_local) {
            (void)take_seen(mobility, ike, m);
        } else {
            mobility->has_seen = false;
        }
        mobility->has_before = false;
        children_follow(t, false);
    }
}

void ikev2_mobile_response(struct ikev2_turn *t, struct ikev2_ike *ike,
                           const struct ikev2_message *m)
{
    struct ikev2_sa *sa = t->sa;
    struct ikev2_mobility *mobility = mobility_of(sa);

    ike->asking->answered = true;
    ikev2_work_end(t, &ike->asking);
    if (mobility == NULL || mobility->asked.ike_spi != ikev2_ike_own_spi(ike)) {
        return;
    }
    struct asked asked = mobility->asked;
    bool moved =
        !endpoint_equal(&asked.local, &sa->local) || !endpoint_equal(&asked.peer, &sa->peer);

    mobility->asked.ike_spi = 0;
    if (asked.cookie && !is_cookie_back(&asked, m)) {
        /* 3.7 */
        give_up(t, IKEV2_FAIL_SYNTAX, 0, "COOKIE2 did not come back as it was sent");
        return;
    }
    if (asked.update) {
        /* An answer about addresses that are others by now means nothing (3.5). */
        if (!mobility->update_wanted) {
            updated(t, ike, m);
        }
    } else if (asked.cookie && moved) {
        /* 3.7: it may have been answered from the address before. */
        mobility->check_wanted = mobility->children_wait;
    } else if (asked.cookie && !mobility->check_wanted) {
        children_follow(t, false);
    }
    mobility_rest(sa);
}

void ikev2_mobile_alive(struct ikev2_turn *t, struct ikev2_ike *ike, const struct ikev2_message *m)
{
    struct ikev2_sa *sa = t->sa;

    if (mobility_of(sa) != NULL && mobility_of(sa)->testing) {
        tested(t, mobility_of(sa), m);
    }
    if (!sa->mobile || !sa->initiator || !sa->nat_local || !traverses_nat(sa) ||
        ikev2_message_notify(m, IKEV2_NAT_DETECTION_DESTINATION_IP) == NULL) {
        return;
    }
    struct ikev2_mobility *mobility = mobility_make(sa);

    if (mobility != NULL && take_seen(mobility, ike, m)) {
        mobility->update_wanted = true;
        mobility->again_ms = 0;
    }
}

/* ---- answering ---- */

/* The peer, who may decide, is there now. */
static void follow_update(struct ikev2_turn *t, const struct ikev2_message *m)
{
    struct ikev2_sa *sa = t->sa;
    bool new_host = !address_equal(&sa->peer.address, &m->peer.address);
    bool same = endpoint_equal(&sa->peer, &m->peer) && endpoint_equal(&sa->local, &m->local);
    struct ikev2_mobility *mobility = new_host ? mobility_make(sa) : mobility_of(sa);

    take_natd(sa, m);
    sa->local = m->local;
    sa->peer = m->peer;
    if (new_host && mobility != NULL) {
        mobility->children_wait = true;
        mobility->check_wanted = true;
        mobility->again_ms = 0;
    }
    if (mobility != NULL && mobility->children_wait) {
        tell(t, false, false);
    } else {
        children_follow(t, false);
    }
    if (!same) {
        requests_follow(t, true);
    }
}

/* Who decides hears that the address in use is none of the peer's any more. */
static void consider_list(struct ikev2_turn *t, const struct ikev2_message *m)
{
    struct ikev2_sa *sa = t->sa;
    struct ikev2_mobility *mobility = mobility_of(sa);
    bool is_there = address_equal(&sa->peer.address, &m->peer.address);

    for (size_t i = 0; mobility != NULL && i < mobility->peer_count; i++) {
        is_there = is_there || address_equal(&sa->peer.address, &mobility->peer[i]);
    }
    mobility = is_there ? NULL : mobility_make(sa);
    if (mobility == NULL) {
        return;
    }
    if (!mobility->has_before) {
        mobility->has_before = true;
        mobility->before_local = sa->local;
        mobility->before_peer = sa->peer;
    }
    sa->local = m->local;
    sa->peer = m->peer;
    mobility->update_wanted = true;
    mobility->children_wait = true;
    mobility->again_ms = 0;
    tell(t, false, false);
    requests_follow(t, true);
}

void ikev2_mobile_request(struct ikev2_turn *t, struct ikev2_ike *ike,
                          const struct ikev2_message *m, struct ikev2_outgoing *o)
{
    struct ikev2_sa *sa = t->sa;
    const struct ikev2_notify_payload *cookie = ikev2_message_notify(m, IKEV2_COOKIE2);
    bool update = ikev2_message_notify(m, IKEV2_UPDATE_SA_ADDRESSES) != NULL;
    bool list = has_list(m);
    struct natd natd;

    if (!sa->mobile) {
        return;
    }
    if (cookie != NULL && cookie->data.length >= COOKIE2_BYTES_MIN &&
        cookie->data.length <= COOKIE2_BYTES_MAX) {
        ikev2_out_notify(o, IKEV2_COOKIE2, cookie->data);
    }
    if ((update || list) && ikev2_mobile_is_unexpected(m, &m->local, &m->peer)) {
        ikev2_out_notify(o, IKEV2_UNEXPECTED_NAT_DETECTED, (struct slice){NULL, 0});
        return;
    }
    if (traverses_nat(sa) && read_natd(m, &natd)) {
        out_natd(sa, ike, o, &m->local, &m->peer);
    }
    if (list) {
        read_list(sa, m);
        if (sa->initiator) {
            consider_list(t, m);
        }
    }
    if (update && !sa->initiator && !may_be_a_host(&m->peer.address)) {
        ikev2_out_notify(o, IKEV2_UNACCEPTABLE_ADDRESSES, (struct slice){NULL, 0});
    } else if (update && !sa->initiator) {
        follow_update(t, m);
    }
}
