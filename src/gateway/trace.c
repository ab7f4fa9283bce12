/*
 * The last messages of each site, as the machine showed them (decrypted, without keys). They are
 * kept as they were and put into words only when somebody looks. A site has at most
 * TRACES_OF_SITE_MAX of them, all together at most TRACE_BYTES_MAX; the oldest go first.
 */
#include "gateway/inside.h"

#include <stdlib.h>
#include <string.h>

#define TRACES_OF_SITE_MAX 32
#define TRACES_OF_STRANGERS_MAX 128
#define TRACE_BYTES_MAX (4U * 1024 * 1024)
#define PAYLOAD_BYTES_MAX 8192
#define WORDS_BYTES 16384

/* In the list of all, and in that of its owner: a site, an IKE SA whose site is not known yet, or
 * the strangers. */
struct trace_entry {
    struct trace_entry *next, *previous;
    struct trace_entry *next_of_owner, *previous_of_owner;
    void *owner; /* the site; else the IKE SA, while it has none; NULL: strangers */
    uint64_t at_ms, number;
    /* In this order nothing is wasted between them: there are a few for each site. */
    struct endpoint peer;
    bool sent;
    bool too_long : 1, of_site : 1;
    uint16_t length;
    struct ikev2_header header;
    uint8_t first;
    uint8_t payloads[];
};
#define ENTRY_BYTES offsetof(struct trace_entry, payloads)
_Static_assert(PAYLOAD_BYTES_MAX <= UINT16_MAX, "the length of any is kept");

static struct site *site_of(const struct trace_entry *e)
{
    return e->of_site ? e->owner : NULL;
}

static struct ike *ike_of(const struct trace_entry *e)
{
    return e->of_site ? NULL : e->owner;
}

static struct trace_entry **first_of(struct gateway *g, const struct trace_entry *e)
{
    if (site_of(e) != NULL) {
        return &site_of(e)->trace_first;
    }
    return ike_of(e) != NULL ? &ike_of(e)->trace_first : &g->stranger_first;
}

static struct trace_entry **last_of(struct gateway *g, const struct trace_entry *e)
{
    if (site_of(e) != NULL) {
        return &site_of(e)->trace_last;
    }
    return ike_of(e) != NULL ? &ike_of(e)->trace_last : &g->stranger_last;
}

static size_t *count_of(struct gateway *g, const struct trace_entry *e)
{
    return site_of(e) != NULL ? &site_of(e)->trace_count : &g->stranger_count;
}

/* In the order of time, also when what was kept for an IKE SA moves to its site. */
static void owner_add(struct gateway *g, struct trace_entry *e)
{
    struct trace_entry **last = last_of(g, e);
    struct trace_entry *before = *last;

    while (before != NULL && before->number > e->number) {
        before = before->previous_of_owner;
    }
    struct trace_entry **link = before == NULL ? first_of(g, e) : &before->next_of_owner;

    e->previous_of_owner = before;
    e->next_of_owner = *link;
    if (*link == NULL) {
        *last = e;
    } else {
        (*link)->previous_of_owner = e;
    }
    *link = e;
    if (site_of(e) != NULL || ike_of(e) == NULL) {
        ++*count_of(g, e);
    }
}

static void owner_remove(struct gateway *g, struct trace_entry *e)
{
    if (e->previous_of_owner == NULL) {
        *first_of(g, e) = e->next_of_owner;
    } else {
        e->previous_of_owner->next_of_owner = e->next_of_owner;
    }
    if (e->next_of_owner == NULL) {
        *last_of(g, e) = e->previous_of_owner;
    } else {
        e->next_of_owner->previous_of_owner = e->previous_of_owner;
    }
    if (site_of(e) != NULL || ike_of(e) == NULL) {
        --*count_of(g, e);
    }
}

static void forget(struct gateway *g, struct trace_entry *e)
{
    owner_remove(g, e);
    if (e->previous == NULL) {
        g->trace_oldest = e->next;
    } else {
        e->previous->next = e->next;
    }
    if (e->next == NULL) {
        g->trace_newest = e->previous;
    } else {
        e->next->previous = e->previous;
    }
    g->trace_bytes -= ENTRY_BYTES + e->length;
    free(e);
}

static void keep_bounds(struct gateway *g, struct trace_entry *newest)
{
    if (site_of(newest) != NULL && site_of(newest)->trace_count > TRACES_OF_SITE_MAX) {
        forget(g, site_of(newest)->trace_first);
    }
    if (site_of(newest) == NULL && ike_of(newest) == NULL &&
        g->stranger_count > TRACES_OF_STRANGERS_MAX) {
        forget(g, g->stranger_first);
    }
    while (g->trace_bytes > TRACE_BYTES_MAX && g->trace_oldest != newest) {
        forget(g, g->trace_oldest);
    }
}

/* RFC 3706 5.2: HASH, N(R-U-THERE), and its answer. */
static bool is_old_question(const struct ikev2_action *action)
{
    struct reader r = reader_over(action->trace.payloads);
    struct ikev1_payload payload;
    struct ikev1_notify_payload n;
    uint8_t next = action->trace.first;

    while (ikev1_read_payload(&r, &next, &payload)) {
        if (payload.type == IKEV1_NOTIFY && ikev1_read_notify(payload.body, &n) &&
            (n.type == IKEV1_R_U_THERE || n.type == IKEV1_R_U_THERE_ACK)) {
            return true;
        }
    }
    return false;
}

/* Whether the peer is there, with or without octets that only fill a packet. */
static bool is_question(const struct ikev2_action *action)
{
    struct reader r = reader_over(action->trace.payloads);
    struct ikev2_notify_payload notify;
    struct ikev2_payload payload;
    uint8_t next = action->trace.first;

    if (action->trace.header.exchange == IKEV1_INFORMATIONAL) {
        return is_old_question(action);
    }
    if (action->trace.header.exchange != IKEV2_INFORMATIONAL) {
        return false;
    }
    return action->trace.payloads.length == 0 ||
           (next == IKEV2_NOTIFY && ikev2_read_payload(&r, &next, &payload) &&
            ikev2_read_notify(payload.body, &notify) && notify.type == IKEV2_PATH_PROBE);
}

void trace_add(struct ike *ike, const struct ikev2_action *action, uint64_t now_ms)
{
    struct gateway *g = ike->gateway;
    size_t length = action->trace.payloads.length;
    bool too_long = length > PAYLOAD_BYTES_MAX;

    /* Questions for liveness would push out everything that is worth reading. */
    if (action->trace.retransmitted || is_question(action)) {
        return;
    }
    length = too_long ? 0 : length;
    struct trace_entry *e =
        malloc(ENTRY_BYTES + length > sizeof(*e) ? ENTRY_BYTES + length : sizeof(*e));

    if (e == NULL) {
        return;
    }
    *e = (struct trace_entry){
        .previous = g->trace_newest,
        .owner = ike->site != NULL ? (void *)ike->site : ike,
        .of_site = ike->site != NULL,
        .at_ms = now_ms,
        .number = ++g->trace_number,
        .peer = ike->peer,
        .sent = action->trace.sent,
        .too_long = too_long,
        .header = action->trace.header,
        .first = action->trace.first,
        .length = (uint16_t)length,
    };
    if (length > 0) {
        memcpy(e->payloads, action->trace.payloads.data, length);
    }
    if (g->trace_newest == NULL) {
        g->trace_oldest = e;
    } else {
        g->trace_newest->next = e;
    }
    g->trace_newest = e;
    g->trace_bytes += ENTRY_BYTES + length;
    owner_add(g, e);
    keep_bounds(g, e);
}

static void move_all(struct ike *ike, struct site *site)
{
    struct gateway *g = ike->gateway;

    while (ike->trace_first != NULL) {
        struct trace_entry *e = ike->trace_first;

        owner_remove(g, e);
        e->owner = site;
        e->of_site = site != NULL;
        owner_add(g, e);
        keep_bounds(g, e);
    }
}

void trace_join(struct ike *ike)
{
    move_all(ike, ike->site);
}

void trace_forget_ike(struct ike *ike)
{
    move_all(ike, NULL);
}

void trace_forget_site(struct site *site)
{
    while (site->trace_first != NULL) {
        forget(site->gateway, site->trace_first);
    }
}

void trace_fini(struct gateway *g)
{
    while (g->trace_oldest != NULL) {
        forget(g, g->trace_oldest);
    }
}

static void show(const struct trace_entry *e, struct text *words,
                 void (*visit)(void *context, const struct status_trace *trace), void *context)
{
    *words = text_over(words->data, WORDS_BYTES);
    if (e->too_long) {
        const char *exchange = machine_exchange_name(e->header.exchange);

        text_addf(words, "%s, too long to be kept", exchange == NULL ? "?" : exchange);
    } else if (e->header.version >> 4 == 1) {
        const struct ikev1_header old = {
            .cookie_i = e->header.spi_i,
            .cookie_r = e->header.spi_r,
            .next_payload = e->header.next_payload,
            .version = e->header.version,
            .exchange = e->header.exchange,
            .flags = e->header.flags,
            .message_id = e->header.message_id,
            .length = e->header.length,
        };

        ikev1_describe(&old, e->first, (struct slice){e->payloads, e->length}, words);
    } else {
        ikev2_describe(&e->header, e->first, (struct slice){e->payloads, e->length}, words);
    }
    struct status_trace trace = {
        .at_ms = e->at_ms,
        .spi_i = e->header.spi_i,
        .number = e->number,
        .sent = e->sent,
        .peer = e->peer,
        .words = words->data,
    };

    visit(context, &trace);
}

void gateway_trace(const struct gateway *g, const char *name,
                   void (*visit)(void *context, const struct status_trace *trace), void *context)
{
    const struct trace_entry *e = g->stranger_first;
    char *bytes = malloc(WORDS_BYTES);

    if (bytes == NULL) {
        return;
    }
    struct text words = text_over(bytes, WORDS_BYTES);

    if (name != NULL) {
        size_t index;
        const struct site *site =
            gateway_site_index(g, name, &index) ? status_site_of(g, index) : NULL;

        e = site != NULL ? site->trace_first : NULL;
    }
    for (; e != NULL; e = e->next_of_owner) {
        show(e, &words, visit, context);
    }
    free(bytes);
}
