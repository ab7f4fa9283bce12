/* The audit of what the data plane drops (RFC 4301 4.4.2, RFC 4302 4, RFC 4303 4): the latest
 * examples are kept, and one of each kind is logged now and then. All packets are counted, so
 * what is neither kept nor logged is told by the numbers. */
#include "gateway/inside.h"

#include <stdlib.h>

#define EXAMPLES_MAX 64
/* One line of a reason and site in this time, one of a reason and any site in this: whoever makes
 * us drop does not fill the log. */
#define LOG_SITE_MS 60000
#define LOG_REASON_MS 5000
#define LOGGED_MAX 128
#define EXAMPLES_A_TURN_MAX 256

/* When a kind was logged last. A place is given to whoever comes, so that there is always one. */
struct logged {
    uint32_t policy_id;
    enum drop_reason reason;
    uint64_t at_ms;
};

struct drops {
    struct status_drop list[EXAMPLES_MAX];
    size_t newest; /* place of the one written last */
    size_t count;
    uint64_t number;
    struct status_drop latest[DROP_REASON_COUNT]; /* number 0: none */
    struct logged logged[LOGGED_MAX];
    uint64_t reason_ms[DROP_REASON_COUNT]; /* when a line may follow */
    struct status_drop stray; /* the latest without a policy that is not chatter */
    unsigned strays; /* in a row, none of them long after the one before */
};

struct drops *drops_new(void)
{
    return calloc(1, sizeof(struct drops));
}

void drops_free(struct drops *d)
{
    free(d);
}

static const char *site_of(const struct gateway *g, uint32_t policy_id)
{
    if (policy_id >= MANUAL_POLICY) {
        return manual_name_of_policy(g, policy_id);
    }
    policy_id &= ~PART_MASK;
    if (policy_id == 0 || policy_id > g->number_capacity || g->by_number[policy_id - 1] == NULL) {
        return "";
    }
    return g->by_number[policy_id - 1]->name;
}

bool gateway_policy_id(const struct gateway *g, const char *name, uint32_t *policy_id)
{
    const struct site *site = apply_find(g, name);
    const struct manual *m = site == NULL ? manual_find(g, name) : NULL;

    if (site != NULL) {
        *policy_id = site->number;
    } else if (m != NULL) {
        *policy_id = manual_policy_id(m);
    }
    return site != NULL || m != NULL;
}

/* ---- words ---- */

static const char *protocol_words(const struct drop_example *e)
{
    if (e->peer.tcp) {
        return " TCP";
    }
    return e->protocol == IP_PROTOCOL_AH ? " AH" : e->protocol == IP_PROTOCOL_UDP ? " UDP" : " ESP";
}

static void describe_outer(const struct drop_example *e, struct text *out)
{
    char from[ENDPOINT_TEXT_BYTES];
    char to[ENDPOINT_TEXT_BYTES];
    const struct endpoint *source = e->inbound ? &e->peer : &e->local;
    const struct endpoint *destination = e->inbound ? &e->local : &e->peer;

    if (e->spi != 0) {
        text_addf(out, "%s SPI %08x", protocol_words(e), e->spi);
    } else if (e->protocol != 0) {
        text_add(out, protocol_words(e));
    }
    if (e->has_sequence) {
        text_addf(out, " sequence %llu", (unsigned long long)e->sequence);
    }
    if (e->has_outer && !address_is_unset(&source->address)) {
        text_addf(out, " from %s to %s",
                  source->port == 0 ? address_format(&source->address, from)
                                    : endpoint_format(source, from),
                  destination->port == 0 ? address_format(&destination->address, to)
                                         : endpoint_format(destination, to));
    }
}

void status_describe_drop(const struct drop_example *example, char out[STATUS_DROP_BYTES])
{
    struct text text = text_over(out, STATUS_DROP_BYTES);

    text_add(&text, example->inbound ? "in" : "out");
    describe_outer(example, &text);
    if (example->has_inner) {
        text_add(&text, example->has_outer ? ", inside " : " ");
        ip_describe_head(&example->inner, &text);
    }
}

void status_describe_inside(const struct drop_example *example, char out[STATUS_DROP_BYTES])
{
    struct text text = text_over(out, STATUS_DROP_BYTES);

    if (example->has_inner) {
        ip_describe_head(&example->inner, &text);
    }
}

/* ---- the log ---- */

static struct logged *place_of(struct drops *d, const struct drop_example *e)
{
    uint32_t hash = (e->policy_id * 31 + (uint32_t)e->reason) * UINT32_C(0x9e3779b1);
    struct logged *place = &d->logged[hash % LOGGED_MAX];

    if (place->policy_id != e->policy_id || place->reason != e->reason) {
        *place = (struct logged){.policy_id = e->policy_id, .reason = e->reason};
    }
    return place;
}

/* What only a faulty or hostile peer causes is told louder than what a tunnel that is down does. */
static enum log_level level_of(enum drop_reason reason)
{
    switch (reason) {
    case DROP_MALFORMED_OUTER:
    case DROP_UNKNOWN_SPI:
    case DROP_REPLAYED:
    case DROP_FORGED:
    case DROP_BAD_PADDING:
    case DROP_BAD_NEXT_HEADER:
    case DROP_SELECTOR_MISMATCH:
    case DROP_WRONG_ENCAPSULATION:
    case DROP_SEQUENCE_EXHAUSTED:
    case DROP_LIFETIME_OVER:
    case DROP_ECN:
    case DROP_NO_BUFFER:
    case DROP_SEND_FAILED:
    case DROP_TUN_FAILED:
    case DROP_CONTROL_FULL:
    case DROP_CRYPTO_FAILED:
    case DROP_NOT_BUNDLED:
    case DROP_BYPASS_POLICY:
    case DROP_REASSEMBLY:
    case DROP_COMPRESSION:
    case DROP_AGGREGATION:
    case DROP_NO_STREAM:
    case DROP_STREAM_FULL:
    case DROP_QUEUE_FULL:
        return LOG_LEVEL_NOTICE;
    case DROP_NONE:
    case DROP_MALFORMED_INNER:
    case DROP_KEEPALIVE:
    case DROP_NO_POLICY:
    case DROP_POLICY_DISCARD:
    case DROP_NO_SA:
    case DROP_DUMMY:
    case DROP_TOO_BIG:
    case DROP_TTL:
    case DROP_REASON_COUNT:
        break;
    }
    return LOG_LEVEL_INFO;
}

/* What hosts say on every link, such as router and listener reports, is for no tunnel. */
static bool is_chatter(const struct drop_example *e)
{
    return !e->inbound && e->has_inner &&
           (address_is_multicast(&e->inner.destination) ||
            address_is_link_local(&e->inner.destination) ||
            address_is_link_local(&e->inner.source));
}

static void log_drop(struct gateway *g, const struct status_drop *drop, uint64_t now_ms)
{
    struct drops *d = g->drops;
    enum drop_reason reason = drop->example.reason;
    struct logged *place = place_of(d, &drop->example);
    struct dataplane_doors doors;
    char words[STATUS_DROP_BYTES];

    if (is_chatter(&drop->example) || now_ms < d->reason_ms[reason] ||
        (place->at_ms != 0 && now_ms < place->at_ms + LOG_SITE_MS)) {
        return;
    }
    d->reason_ms[reason] = now_ms + LOG_REASON_MS;
    place->at_ms = now_ms;
    dataplane_get_doors(g->dataplane, &doors);
    status_describe_drop(&drop->example, words);
    log_line(g->log, level_of(reason), drop->site[0] == '\0' ? "drops" : drop->site,
             "dropped %s: %s; %llu in all: %s", drop_name(reason), words,
             (unsigned long long)doors.dropped[reason], drop_sentence(reason));
}

/* ---- packets that belong to no site ---- */

/* One may be a mistake of a moment; more of them are something to put right. */
#define STRAYS_TOLD 3
#define STRAYS_MS 600000

static void note_stray(struct drops *d, const struct status_drop *drop)
{
    if (drop->example.reason != DROP_NO_POLICY || is_chatter(&drop->example)) {
        return;
    }
    d->strays = d->strays > 0 && drop->at_ms <= d->stray.at_ms + STRAYS_MS ? d->strays + 1 : 1;
    d->stray = *drop;
}

const struct status_drop *drops_stray(const struct gateway *g, uint64_t now_ms)
{
    const struct drops *d = g->drops;

    return d->strays >= STRAYS_TOLD && now_ms <= d->stray.at_ms + STRAYS_MS ? &d->stray : NULL;
}

/* ---- what is kept ---- */

static void add(struct gateway *g, const struct drop_example *example, uint64_t now_ms)
{
    struct drops *d = g->drops;

    d->newest = (d->newest + 1) % EXAMPLES_MAX;
    struct status_drop *drop = &d->list[d->newest];
    *drop = (struct status_drop){
        .at_ms = example->at_ms,
        .number = ++d->number,
        .example = *example,
    };
    actions_copy_words(drop->site, sizeof(drop->site), site_of(g, example->policy_id));
    d->count += d->count < EXAMPLES_MAX;
    d->latest[example->reason] = *drop;
    note_stray(d, drop);
    log_drop(g, drop, now_ms);
}

void drops_take(struct gateway *g, uint64_t now_ms)
{
    struct drop_example example;

    for (size_t i = 0; i < EXAMPLES_A_TURN_MAX && dataplane_next_example(g->dataplane, &example);
         i++) {
        add(g, &example, now_ms);
    }
}

bool gateway_drop_at(const struct gateway *g, size_t index, struct status_drop *out)
{
    const struct drops *d = g->drops;

    if (index >= d->count) {
        return false;
    }
    *out = d->list[(d->newest + EXAMPLES_MAX - index) % EXAMPLES_MAX];
    return true;
}

bool gateway_drop_of(const struct gateway *g, enum drop_reason reason, struct status_drop *out)
{
    *out = g->drops->latest[reason];
    return out->number != 0;
}
