/*
 * The last negotiations and what came of them, put into words when they end: 1,000 with sites, and
 * apart from them those of strangers, so that these cannot push the others out. Their room is taken
 * once; the messages themselves are kept by trace.c as long as it has room for them.
 */
#include "gateway/inside.h"

#include <stdlib.h>
#include <string.h>

#define WITH_SITES_MAX 1000
#define OF_STRANGERS_MAX 200

struct ring {
    struct status_negotiation *list;
    size_t capacity, count, newest;
};

struct negotiations {
    struct ring sites, strangers;
    uint64_t number;
    struct status_negotiation list[WITH_SITES_MAX + OF_STRANGERS_MAX];
};

struct negotiations *negotiations_new(void)
{
    /* Zeros that nobody touched take no memory yet. */
    struct negotiations *n = calloc(1, sizeof(*n));

    if (n != NULL) {
        n->sites = (struct ring){.list = n->list, .capacity = WITH_SITES_MAX};
        n->strangers =
            (struct ring){.list = n->list + WITH_SITES_MAX, .capacity = OF_STRANGERS_MAX};
    }
    return n;
}

void negotiations_free(struct negotiations *n)
{
    free(n);
}

const char *status_negotiation_name(enum status_negotiation_kind kind)
{
    switch (kind) {
    case STATUS_NEGOTIATION_CONNECT:
        return "connect";
    case STATUS_NEGOTIATION_CHILD:
        return "child";
    case STATUS_NEGOTIATION_REKEY_CHILD:
        return "rekey-child";
    case STATUS_NEGOTIATION_REKEY_IKE:
        return "rekey-ike";
    case STATUS_NEGOTIATION_CLOSE:
        return "close";
    }
    return "";
}

/* The place of a new one, with what all have. */
static struct status_negotiation *add(const struct ike *ike, const struct site *site,
                                      enum status_negotiation_kind kind, uint64_t now_ms)
{
    struct negotiations *n = ike->gateway->negotiations;
    struct ring *ring = site != NULL ? &n->sites : &n->strangers;

    ring->newest = ring->count == 0 ? 0 : (ring->newest + 1) % ring->capacity;
    ring->count += ring->count < ring->capacity;
    struct status_negotiation *out = &ring->list[ring->newest];

    *out = (struct status_negotiation){
        .number = ++n->number,
        .kind = kind,
        .at_ms = now_ms,
        .began_ms = kind == STATUS_NEGOTIATION_CONNECT ? ike->created_ms : now_ms,
        .peer = ike->peer,
        .initiator = ike->initiator,
        .spi_i = ike->spi_i,
        .looks_like = persona_of_ike(ike),
    };
    if (site != NULL) {
        actions_copy_words(out->site, sizeof(out->site), site->name);
    }
    return out;
}

void negotiations_established(const struct ike *ike, uint64_t now_ms)
{
    struct status_negotiation *n = add(ike, ike->site, STATUS_NEGOTIATION_CONNECT, now_ms);
    struct text words = text_over(n->words, sizeof(n->words));
    struct ikev2_sa_info info;
    char suite[STATUS_SUITE_BYTES];

    machine_get_info(ike, &info);
    status_ike_title(ike, suite);
    n->good = true;
    text_addf(&words, "%s; the peer proved to be ", suite);
    ike_identity_describe(&info.peer_id, &words);
}

void negotiations_failed(const struct ike *ike, const struct status_attempt *attempt)
{
    const struct site *site = ike->site;

    if (site == NULL && attempt->site[0] != '\0') {
        site = apply_find(ike->gateway, attempt->site);
    }
    struct status_negotiation *n = add(ike, site, STATUS_NEGOTIATION_CONNECT, attempt->at_ms);

    n->reason = attempt->reason;
    actions_copy_words(n->identity, sizeof(n->identity), attempt->identity);
    actions_copy_words(n->words, sizeof(n->words), attempt->sentence);
}

void negotiations_rekeyed(const struct ike *ike, uint64_t now_ms)
{
    struct status_negotiation *n = add(ike, ike->site, STATUS_NEGOTIATION_REKEY_IKE, now_ms);
    char suite[STATUS_SUITE_BYTES];

    n->good = true;
    status_ike_title(ike, suite);
    actions_copy_words(n->words, sizeof(n->words), suite);
}

static void add_selectors(const struct selector *list, size_t count, struct text *out)
{
    for (size_t i = 0; i < count; i++) {
        char words[SELECTOR_TEXT_BYTES];

        text_addf(out, "%s%s", i > 0 ? ", " : "", selector_format(&list[i], words));
    }
}

void negotiations_child(const struct ike *ike, const struct ikev2_child_info *info, uint64_t now_ms)
{
    struct status_negotiation *n =
        add(ike, ike->site,
            info->replaces_spi_in != 0 ? STATUS_NEGOTIATION_REKEY_CHILD : STATUS_NEGOTIATION_CHILD,
            now_ms);
    struct text words = text_over(n->words, sizeof(n->words));
    char suite[STATUS_SUITE_BYTES];

    suite_title(&info->suite, suite, sizeof(suite));
    n->good = true;
    n->initiator = info->initiator;
    text_addf(&words, "%s; ", suite);
    add_selectors(info->local_selectors, info->local_count, &words);
    text_add(&words, " === ");
    add_selectors(info->remote_selectors, info->remote_count, &words);
}

static void add_failure(struct status_negotiation *n, const struct ike *ike,
                        const struct ikev2_failure *failure)
{
    struct text words = text_over(n->words, sizeof(n->words));
    const struct reason_words filled = {
        .site = n->site,
        .ours = failure->ours,
        .theirs = failure->theirs,
        .detail = failure->detail,
    };

    n->reason = site_reason_of_failure(ike, failure);
    reason_sentence(n->reason, &filled, &words);
    if (failure->notify != 0 && machine_notify_name(failure->exchange, failure->notify) != NULL) {
        text_addf(&words, " (%s)", machine_notify_name(failure->exchange, failure->notify));
    }
}

void negotiations_child_failed(const struct ike *ike, const struct ikev2_failure *failure,
                               uint64_t now_ms)
{
    add_failure(add(ike, ike->site, STATUS_NEGOTIATION_CHILD, now_ms), ike, failure);
}

void negotiations_closed(const struct ike *ike, const struct ikev2_failure *failure,
                         uint64_t now_ms)
{
    struct status_negotiation *n = add(ike, ike->site, STATUS_NEGOTIATION_CLOSE, now_ms);

    add_failure(n, ike, failure);
    n->good = failure->reason == IKEV2_FAIL_ORDERED || failure->reason == IKEV2_FAIL_REPLACED;
}

static const struct status_negotiation *back(const struct ring *ring, size_t index)
{
    return index >= ring->count
               ? NULL
               : &ring->list[(ring->newest + ring->capacity - index) % ring->capacity];
}

bool gateway_negotiation_at(const struct gateway *g, const char *site, size_t index,
                            struct status_negotiation *out)
{
    const struct negotiations *n = g->negotiations;
    size_t at[2] = {0, 0};

    /* Of both rings the newer one, again and again. */
    for (size_t seen = 0;;) {
        const struct status_negotiation *a = back(&n->sites, at[0]);
        const struct status_negotiation *b = site != NULL ? NULL : back(&n->strangers, at[1]);
        bool first = a != NULL && (b == NULL || a->number > b->number);
        const struct status_negotiation *next = first ? a : b;

        if (next == NULL) {
            return false;
        }
        at[first ? 0 : 1]++;
        if ((site == NULL || strcmp(next->site, site) == 0) && seen++ == index) {
            *out = *next;
            return true;
        }
    }
}
