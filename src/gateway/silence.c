/*
 * A peer that is sent to and says nothing: he may have been killed and started again, or a NAT on
 * the way has forgotten us. Waiting for the ordinary liveness question would cost its whole
 * interval, so a one-way flow makes us ask at once (RFC 7296 2.4), and an unanswered question makes
 * us call the peer anew beside the old IKE SA. The old one is neither closed nor hurt by that: what
 * was established twice is decided in duplicates.c, and a peer who answers in time stays as he is.
 *
 * Who sends nothing cannot be left without an answer: a site that is idle is looked at when the
 * data plane says that it sends again, when a request is repeated, and seldom besides, because what
 * the data plane says may be lost. A hundred thousand idle sites cost nothing worth naming.
 */
#include "gateway/inside.h"

#define LOOK_MS 1500
#define IDLE_LOOK_MS 30000
/* Longer than what the data plane calls idle: its clock may be a little behind. */
#define IDLE_MS (DATAPLANE_IDLE_MS + 10000)
#define ONE_WAY_MS 2000
#define ASK_AGAIN_MS 10000
#define ASK_AGAIN_MAX_MS 160000
#define RETRANSMISSIONS 2 /* of the open request, after which the peer is taken for silent */

void silence_begin(struct site *site, uint64_t now_ms)
{
    site->silence_look_ms = now_ms + LOOK_MS;
    site->silence_ask_ms = 0;
    site->silence_wait_ms = ASK_AGAIN_MS;
    site->silent = false;
}

void silence_end(struct site *site)
{
    site->silence_look_ms = NEVER_MS;
    site->silent = false;
}

static bool is_one_way(const struct ike *ike, uint64_t now_ms)
{
    uint64_t in_ms = children_last_in_ms(ike);
    uint64_t out_ms = children_last_out_ms(ike);

    in_ms = in_ms > ike->established_ms ? in_ms : ike->established_ms;
    return out_ms + ONE_WAY_MS > now_ms && out_ms > in_ms + ONE_WAY_MS;
}

/* Flows that are one-way by nature are asked about more and more seldom. */
static void ask(struct site *site, struct ike *ike, uint64_t now_ms)
{
    if (now_ms < site->silence_ask_ms) {
        return;
    }
    ike_order(ike, IKE_ORDER_LIVENESS);
    site->silence_ask_ms = now_ms + site->silence_wait_ms;
    if (site->silence_wait_ms < ASK_AGAIN_MAX_MS) {
        site->silence_wait_ms *= 2;
    }
}

void silence_look_soon(struct ike *ike, uint64_t now_ms)
{
    struct site *site = ike->site;

    if (site != NULL && site->used != NULL && site->used->ike == ike &&
        site->silence_look_ms > now_ms + LOOK_MS) {
        site->silence_look_ms = now_ms + LOOK_MS;
        site_think_later(site);
    }
}

void silence_request_repeated(struct ike *ike, uint64_t now_ms)
{
    struct ikev2_sa_info info;

    machine_get_info(ike, &info);
    if (info.open_exchange != 0 && info.retransmissions > 0) {
        silence_look_soon(ike, now_ms);
    }
}

void silence_look(struct site *site, uint64_t now_ms)
{
    struct ikev2_sa_info info;

    if (site->used == NULL) {
        silence_end(site);
        return;
    }
    struct ike *ike = site->used->ike;

    bool is_idle = children_last_out_ms(ike) + IDLE_MS <= now_ms;

    if (is_one_way(ike, now_ms)) {
        ask(site, ike, now_ms);
        path_suspect(ike, now_ms);
    } else {
        site->silence_ask_ms = 0;
        site->silence_wait_ms = ASK_AGAIN_MS;
    }
    mobility_look(ike, now_ms);
    machine_get_info(ike, &info);
    bool repeats = info.open_exchange != 0 && info.retransmissions > 0;
    bool silent = repeats && info.retransmissions >= RETRANSMISSIONS;

    ike->denied = ike->denied && info.open_exchange != 0;
    if (ike->denied) {
        silent = true; /* or somebody on the way says so; either way the old one stays */
    } else if (silent && mobility_try(ike)) {
        silent = false; /* he may be reached by another way */
    } else if (!repeats) {
        site->ways_tried = 0;
    }
    if (silent && !site->silent) {
        if (ike->denied) {
            log_line(site->gateway->log, LOG_LEVEL_NOTICE, site->name,
                     "the peer says that it has lost this connection (INVALID_IKE_SPI): it is "
                     "called beside it");
        }
        site->backoff_ms = 0;
        site->next_try_ms = now_ms;
    } else if (!silent && site->silent && site->dialled != NULL && !site->dialled->heard) {
        dial_cancel(site);
    }
    site->silent = silent;
    site->silence_look_ms =
        now_ms + (is_idle && !repeats && !site->astray ? IDLE_LOOK_MS : LOOK_MS);
    site_think_later(site);
}
