/* Failures to get in or out, newest first, in a ring: also those of strangers whom no site expects.
 */
#include "gateway/inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ATTEMPTS_MAX 64
#define LOG_AGAIN_MS 1000

struct attempts {
    struct status_attempt list[ATTEMPTS_MAX];
    size_t newest; /* place of the one written last */
    size_t count;
};

struct attempts *attempts_new(void)
{
    return calloc(1, sizeof(struct attempts));
}

void attempts_free(struct attempts *a)
{
    free(a);
}

static bool is_same(const struct status_attempt *a, const struct status_attempt *b)
{
    return a->reason == b->reason && a->initiator == b->initiator &&
           address_equal(&a->peer.address, &b->peer.address) && strcmp(a->site, b->site) == 0 &&
           strcmp(a->identity, b->identity) == 0;
}

static void log_stranger(struct gateway *g, const struct status_attempt *attempt, uint64_t now_ms)
{
    if (g->stranger_logged_ms != 0 && now_ms < g->stranger_logged_ms + LOG_AGAIN_MS) {
        g->strangers_unlogged++;
        return;
    }
    char peer[ENDPOINT_TEXT_BYTES];
    char more[48] = "";

    if (g->strangers_unlogged > 0) {
        snprintf(more, sizeof(more), " (%u more were not logged)", g->strangers_unlogged);
    }
    log_line(g->log, LOG_LEVEL_NOTICE, attempt->site[0] != '\0' ? attempt->site : "stranger",
             "%s from %s: %s%s", reason_code(attempt->reason),
             endpoint_format(&attempt->peer, peer), attempt->sentence, more);
    g->stranger_logged_ms = now_ms;
    g->strangers_unlogged = 0;
}

void attempts_add(const struct ike *ike, const struct site *site, enum reason reason,
                  const struct ikev2_failure *failure, uint64_t now_ms)
{
    struct gateway *g = ike->gateway;
    struct attempts *a = g->attempts;
    struct status_attempt attempt = {
        .at_ms = now_ms,
        .peer = ike->peer,
        .initiator = ike->initiator,
        .reason = reason,
        .times = 1,
    };
    char peer[ENDPOINT_TEXT_BYTES];
    struct text identity = text_over(attempt.identity, sizeof(attempt.identity));
    struct text sentence = text_over(attempt.sentence, sizeof(attempt.sentence));
    char theirs_bytes[STATUS_WORDS_BYTES];
    struct text theirs = text_over(theirs_bytes, sizeof(theirs_bytes));

    if (ike->said != NULL) {
        ike_identity_describe(ike->said, &identity);
    }
    if (site != NULL) {
        actions_copy_words(attempt.site, sizeof(attempt.site), site->name);
    }
    text_add(&theirs, failure->theirs[0] != '\0' ? failure->theirs : attempt.identity);
    if (reason == REASON_NO_PROPOSAL) {
        persona_add(ike, &theirs);
    }
    struct reason_words words = {
        .site = attempt.site,
        .peer = address_format(&ike->peer.address, peer),
        .ours = failure->ours,
        .theirs = theirs_bytes,
        .detail = failure->detail,
    };

    reason_sentence(reason, &words, &sentence);
    negotiations_failed(ike, &attempt);
    /* Who began and did not go on may have been the slower one of two that began at once. */
    if (!ike->initiator && reason != REASON_HALF_OPEN) {
        log_stranger(g, &attempt, now_ms);
    }
    struct status_attempt *newest = &a->list[a->newest];

    if (a->count > 0 && is_same(newest, &attempt)) {
        newest->times++;
        newest->at_ms = now_ms;
        newest->peer = ike->peer;
        return;
    }
    a->newest = (a->newest + 1) % ATTEMPTS_MAX;
    a->list[a->newest] = attempt;
    a->count += a->count < ATTEMPTS_MAX;
}

bool gateway_attempt_at(const struct gateway *g, size_t index, struct status_attempt *out)
{
    const struct attempts *a = g->attempts;

    if (index >= a->count) {
        return false;
    }
    *out = a->list[(a->newest + ATTEMPTS_MAX - index) % ATTEMPTS_MAX];
    return true;
}
