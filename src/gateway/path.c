/*
 * How large a packet the path to a peer carries, when routers do not say so (RFC 8899). The
 * question is one of liveness in a packet that nobody may cut; when it gets no answer the same
 * message is sent again and may be cut, so that nothing is lost with it. Sizes are searched between
 * what must pass everywhere and what the link here carries; the data plane is told what was found.
 */
#include "gateway/inside.h"

#define FIRST_MS 1000
#define FIRST_JITTER_MS 4000
/* The data plane forgets after ten minutes what it learnt: it is told again before. */
#define AGAIN_MS 540000
#define AGAIN_JITTER_MS 60000
#define SUSPECT_AGAIN_MS 60000
#define LEAST_IPV4 576
#define LEAST_IPV6 1280
#define PRECISE_BYTES 8 /* the cipher's block makes a packet smaller than it was wanted */
#define FAILED_MAX 2 /* one may have been lost for another reason (RFC 8899 5.1.2: MAX_PROBES) */
#define LARGEST_HEADS 72 /* IPv6, UDP, the marker, and what the cipher's block leaves */
#define PROBES_MAX 24

static bool is_wanted(const struct ike *ike)
{
    /* A stream cuts by itself (RFC 9329 7.5), and IKEv1 has no question that could be filled. */
    return ike->established && !ike->superseded && !ike->is_old && ike->site != NULL &&
           !ike->peer.tcp && ike->site->config->mtu_probe && ike->children != NULL;
}

static bool has_timer(const struct ike *ike)
{
    return ike->path.timer.deadline.place != 0;
}

static void set_timer(struct ike *ike, uint64_t at_ms)
{
    ike->path.timer.deadline.tag = TIMER_PATH;
    gateway_set_timer(ike->gateway, &ike->path.timer, at_ms);
}

static uint16_t link_mtu(const struct ike *ike)
{
    uint16_t mtu = dataplane_link_mtu(ike->gateway->dataplane);

    return mtu < IKEV2_PROBE_BYTES_MAX ? mtu : IKEV2_PROBE_BYTES_MAX;
}

static uint16_t learnt_mtu(const struct ike *ike)
{
    return dataplane_learnt_mtu(ike->gateway->dataplane, &ike->local.address, &ike->peer.address);
}

static void learn(struct ike *ike, uint16_t mtu, uint64_t now_ms)
{
    dataplane_path_mtu(ike->gateway->dataplane, &ike->local.address, &ike->peer.address, mtu,
                       now_ms);
}

static void ask(struct ike *ike, enum path_step step, uint16_t bytes)
{
    struct path *p = &ike->path;

    p->failed = p->step == step && p->asked == bytes ? p->failed : 0;
    p->step = (uint8_t)step;
    p->asked = bytes;
    p->left--;
    ike_order(ike, IKE_ORDER_PROBE);
}

static void rest(struct ike *ike, uint64_t now_ms)
{
    ike->path.step = PATH_REST;
    set_timer(ike, now_ms + AGAIN_MS - random_below(ike->gateway->random, AGAIN_JITTER_MS));
}

static void end(struct ike *ike, uint16_t found, uint64_t now_ms)
{
    char peer[ADDRESS_TEXT_BYTES];

    if (found != ike->path.found && ike->site != NULL) {
        log_line(ike->gateway->log, LOG_LEVEL_INFO, ike->site->name,
                 "the path to %s carries packets of %u octets",
                 address_format(&ike->peer.address, peer), found != 0 ? found : link_mtu(ike));
    }
    /* What was learnt may have been smaller, and only forgetting makes room for more. */
    if (found == 0 || found != learnt_mtu(ike)) {
        learn(ike, 0, now_ms);
    }
    if (found != 0) {
        learn(ike, found, now_ms);
    }
    ike->path.found = found;
    rest(ike, now_ms);
}

/* ---- events ---- */

void path_begin(struct ike *ike, uint64_t now_ms)
{
    if (is_wanted(ike) && ike->path.step == PATH_REST && !has_timer(ike)) {
        set_timer(ike, now_ms + FIRST_MS + random_below(ike->gateway->random, FIRST_JITTER_MS));
    }
}

void path_time(struct ike *ike, uint64_t now_ms)
{
    struct path *p = &ike->path;

    if (!is_wanted(ike)) {
        p->step = PATH_REST;
        return;
    }
    if (p->step != PATH_REST) {
        /* An answer did not come, and the IKE SA is there: that question was not asked. */
        rest(ike, now_ms);
        return;
    }
    p->left = PROBES_MAX;
    ask(ike, PATH_LINK, link_mtu(ike));
    set_timer(ike, now_ms + AGAIN_MS);
}

void path_moved(struct ike *ike, uint64_t now_ms)
{
    struct timer timer = ike->path.timer;

    ike->path = (struct path){.timer = timer};
    if (is_wanted(ike)) {
        set_timer(ike, now_ms + FIRST_MS + random_below(ike->gateway->random, FIRST_JITTER_MS));
    }
}

void path_suspect(struct ike *ike, uint64_t now_ms)
{
    uint64_t at_ms = ike->path.timer.deadline.at_ms;

    if (is_wanted(ike) && ike->path.step == PATH_REST && has_timer(ike) &&
        at_ms > now_ms + SUSPECT_AGAIN_MS && at_ms + SUSPECT_AGAIN_MS < now_ms + AGAIN_MS) {
        set_timer(ike, now_ms);
    }
}

static void search(struct ike *ike, uint64_t now_ms)
{
    struct path *p = &ike->path;

    if (p->high - p->low <= PRECISE_BYTES || p->left == 0) {
        end(ike, p->low, now_ms);
        return;
    }
    ask(ike, PATH_SEARCH, (uint16_t)(p->low + (p->high - p->low) / 2));
}

static void begin_search(struct ike *ike, uint64_t now_ms)
{
    ike->path.low = ike->peer.address.family == FAMILY_IPV4 ? LEAST_IPV4 : LEAST_IPV6;
    search(ike, now_ms);
}

static void too_big(struct ike *ike, uint64_t now_ms)
{
    struct path *p = &ike->path;
    uint16_t before = learnt_mtu(ike) != 0 ? learnt_mtu(ike) : p->found;

    p->high = p->asked;
    if (p->step == PATH_LINK && before > LEAST_IPV4 && before < p->high) {
        ask(ike, PATH_AGAIN, before);
    } else if (p->step == PATH_SEARCH) {
        search(ike, now_ms);
    } else {
        begin_search(ike, now_ms);
    }
}

static void fits(struct ike *ike, uint64_t now_ms)
{
    struct path *p = &ike->path;

    switch ((enum path_step)p->step) {
    case PATH_REST:
        break;
    case PATH_LINK:
        end(ike, 0, now_ms);
        break;
    case PATH_AGAIN:
        end(ike, p->asked, now_ms);
        break;
    case PATH_SEARCH:
        p->low = p->asked;
        search(ike, now_ms);
        break;
    }
}

/* The size that was wanted is the one that counts: the data plane rounds in the same way. */
void path_probed(struct ike *ike, uint16_t bytes, bool passed, uint64_t now_ms)
{
    struct path *p = &ike->path;

    (void)bytes;
    if (p->step == PATH_REST || !ike->established) {
        return;
    }
    if (passed) {
        fits(ike, now_ms);
        return;
    }
    p->failed++;
    if (p->failed < FAILED_MAX && p->left > 0) {
        ask(ike, (enum path_step)p->step, p->asked);
        return;
    }
    too_big(ike, now_ms);
}

/* Where big packets vanish between two routers nobody cuts them, and a question that gets no answer
 * at all would be the end of the IKE SA: what is sent again goes in pieces. */
enum send_size path_send_size(const struct ike *ike, size_t message_bytes, bool dont_fragment)
{
    if (dont_fragment) {
        return SEND_WHOLE;
    }
    return ike->path.step != PATH_REST && message_bytes + LARGEST_HEADS >= ike->path.asked
               ? SEND_IN_PIECES
               : SEND_ANYHOW;
}

enum status_mtu path_source(const struct ike *ike)
{
    uint16_t learnt = learnt_mtu(ike);

    if (learnt == 0) {
        return STATUS_MTU_LINK;
    }
    return learnt == ike->path.found ? STATUS_MTU_PROBE : STATUS_MTU_ICMP;
}
