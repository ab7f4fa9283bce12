/* The driver of a gateway and its callers in memory. */
#include "tests/support/crowd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SITE_TEXT_BYTES 400
#define FIRST_SOURCE 0xc6120001 /* RFC 2544: 198.18.0.0/15 */

struct crowd_datagram {
    struct crowd_datagram *next;
    uint64_t at_ms;
    struct endpoint from, to;
    size_t length;
    uint8_t bytes[];
};

static void need(bool condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "crowd: %s\n", what);
        abort();
    }
}

/* ---- the network ---- */

static void queue_put(struct crowd_queue *q, uint64_t at_ms, const struct endpoint *from,
                      const struct endpoint *to, struct slice bytes)
{
    struct crowd_datagram *d = malloc(sizeof(*d) + bytes.length);

    need(d != NULL, "no memory");
    *d = (struct crowd_datagram){.at_ms = at_ms, .from = *from, .to = *to, .length = bytes.length};
    memcpy(d->bytes, bytes.data, bytes.length);
    *q->last = d;
    q->last = &d->next;
    q->count++;
}

static struct crowd_datagram *queue_take(struct crowd_queue *q, uint64_t now_ms)
{
    struct crowd_datagram *d = q->first;

    if (d == NULL || d->at_ms > now_ms) {
        return NULL;
    }
    q->first = d->next;
    q->count--;
    if (q->first == NULL) {
        q->last = &q->first;
    }
    return d;
}

static void queue_clear(struct crowd_queue *q)
{
    struct crowd_datagram *d;

    while ((d = queue_take(q, NEVER_MS)) != NULL) {
        free(d);
    }
}

/* ---- what both sides do ---- */

static void exchange(struct crowd_node *n, struct gateway_action *action)
{
    struct crowd *c = n->crowd;
    struct key_pair pair = action->key_exchange->pair;
    struct secret shared = {0};
    uint64_t job = action->key_exchange->job;
    struct slice peer = {action->key_exchange->peer_public,
                         action->key_exchange->peer_public_length};
    bool counts = n == &c->hub && c->exchange_begins != NULL;

    if (counts) {
        c->exchange_begins();
    }
    bool ok = key_exchange_step(action->key_exchange->group, c->random,
                                action->key_exchange->has_pair, &pair, peer, &shared);

    if (counts) {
        c->exchange_ends();
    }
    n->exchanges++;
    free(action->key_exchange);
    gateway_key_exchange_done(n->gateway, job, ok, &pair, &shared, c->now_ms);
}

static void read_certificates(struct crowd_node *n, const struct gateway_action *action)
{
    const struct crowd_certificates *c = n->crowd->certificates;
    bool hub = n == &n->crowd->hub;
    /* sN */
    size_t caller = hub ? 0 : strtoul(action->certificates.site + 1, NULL, 10);

    gateway_certificates(n->gateway, action->certificates.question,
                         hub ? c->hub : c->callers[caller], c->trust, "", n->crowd->now_ms);
}

static void prove(struct crowd_node *n, struct ikev2_proof *proof)
{
    struct crowd *c = n->crowd;
    bool counts = n == &c->hub && c->exchange_begins != NULL;

    if (counts) {
        c->exchange_begins();
    }
    ikev2_proof_run(proof, c->certificates->now_s);
    if (counts) {
        c->exchange_ends();
    }
    gateway_proof_done(n->gateway, proof, c->now_ms);
    ikev2_proof_free(proof);
}

static void act(struct crowd_node *n, struct gateway_action *action)
{
    struct crowd *c = n->crowd;

    switch (action->kind) {
    case GATEWAY_SEND: {
        struct endpoint from = action->send.local;

        if (address_is_unset(&from.address)) {
            from.address = n->address;
        }
        n->sends++;
        if (n->other->gateway != NULL) {
            queue_put(&n->other->in, c->now_ms + 1, &from, &action->send.peer, action->send.bytes);
        }
        return;
    }
    case GATEWAY_KEY_EXCHANGE:
        exchange(n, action);
        return;
    case GATEWAY_READ_SECRET: {
        struct secret secret = {0};

        need(secret_set(&secret, slice_of_text("a key that both know")), "no memory");
        gateway_secret(n->gateway, action->secret.question, &secret, "", c->now_ms);
        secret_wipe(&secret);
        return;
    }
    case GATEWAY_READ_CERTIFICATES:
        read_certificates(n, action);
        return;
    case GATEWAY_PROOF:
        prove(n, action->proof.work);
        return;
    case GATEWAY_FIND_SOURCE: {
        struct address own = address_ipv4(FIRST_SOURCE + c->sources++);

        gateway_source(n->gateway, action->source.question, &own, "", c->now_ms);
        return;
    }
    case GATEWAY_TCP_OPEN: /* no site says transport */
    case GATEWAY_TCP_KEEP:
    case GATEWAY_TCP_RELEASE:
    case GATEWAY_RESOLVE:
    case GATEWAY_ROUTE_ADD:
    case GATEWAY_ROUTE_REMOVE:
    case GATEWAY_SITE_CHANGED:
    case GATEWAY_LOGIN: /* nobody comes */
    case GATEWAY_SESSION:
    case GATEWAY_ADDRESS_ADD:
    case GATEWAY_ADDRESS_REMOVE:
        return;
    }
}

static void end_turn(struct crowd_node *n)
{
    struct gateway_action action;

    gateway_notes(n->gateway, n->crowd->now_ms);
    while (gateway_next_action(n->gateway, &action)) {
        act(n, &action);
    }
    dataplane_collect(n->dataplane);
}

/* As the control thread does: IKE comes up without the non-ESP marker. */
static void turn(struct crowd_node *n)
{
    uint64_t now_ms = n->crowd->now_ms;
    struct crowd_datagram *d;

    if (n->gateway == NULL) {
        return;
    }
    while ((d = queue_take(&n->in, now_ms)) != NULL) {
        size_t marker = d->to.port == 4500 ? 4 : 0;

        n->received++;
        if (d->length > marker + 1) {
            gateway_datagram(n->gateway, &d->to, &d->from,
                             (struct slice){d->bytes + marker, d->length - marker}, now_ms);
            end_turn(n);
        }
        free(d);
    }
    if (gateway_deadline_ms(n->gateway) <= now_ms) {
        gateway_time(n->gateway, now_ms);
    }
    end_turn(n);
}

__attribute__((noinline)) void crowd_hub_turn(struct crowd *c)
{
    turn(&c->hub);
}

void crowd_callers_turn(struct crowd *c)
{
    turn(&c->callers);
}

static uint64_t next_ms(const struct crowd_node *n)
{
    if (n->gateway == NULL) {
        return NEVER_MS;
    }
    uint64_t at_ms = gateway_deadline_ms(n->gateway);

    return n->in.first != NULL && n->in.first->at_ms < at_ms ? n->in.first->at_ms : at_ms;
}

void crowd_run(struct crowd *c, uint64_t for_ms)
{
    uint64_t until_ms = c->now_ms + for_ms;

    for (;;) {
        uint64_t hub_ms = next_ms(&c->hub);
        uint64_t callers_ms = next_ms(&c->callers);
        uint64_t at_ms = hub_ms < callers_ms ? hub_ms : callers_ms;

        if (at_ms > until_ms) {
            c->now_ms = until_ms;
            return;
        }
        c->now_ms = at_ms > c->now_ms ? at_ms : c->now_ms;
        if (hub_ms <= c->now_ms) {
            crowd_hub_turn(c);
        }
        if (callers_ms <= c->now_ms) {
            crowd_callers_turn(c);
        }
    }
}

/* ---- configurations ---- */

/* One site for each caller: a host of ours on one side, one of his on the other. */
static char *write_config(bool hub, size_t sites, const char *hub_words, const char *key,
                          const char *words)
{
    size_t capacity = sites * SITE_TEXT_BYTES + 400;
    char *text = malloc(capacity);

    need(text != NULL, "no memory");
    size_t length = (size_t)snprintf(text, capacity, "gateway %s.example.jp\n%s\n",
                                     hub ? "hub" : "caller", hub ? hub_words : "");

    for (size_t i = 0; i < sites; i++) {
        char behind_hub[32], behind_caller[32];

        snprintf(behind_hub, sizeof(behind_hub), "172.%zu.%zu.%zu/32", 16 + i / 65536,
                 i / 256 % 256, i % 256);
        snprintf(behind_caller, sizeof(behind_caller), "10.%zu.%zu.%zu/32", 80 + i / 65536,
                 i / 256 % 256, i % 256);
        int written = hub ? snprintf(text + length, SITE_TEXT_BYTES,
                                     "site s%zu {\n peer any\n identity c%zu.example.jp\n lan %s\n"
                                     " network %s\n %s\n mtu-probe off\n %s\n}\n",
                                     i, i, behind_hub, behind_caller, key, words)
                          : snprintf(text + length, SITE_TEXT_BYTES,
                                     "site s%zu {\n peer 203.0.113.2\n identity hub.example.jp\n"
                                     " say c%zu.example.jp\n lan %s\n network %s\n %s\n"
                                     " mtu-probe off\n %s\n}\n",
                                     i, i, behind_caller, behind_hub, key, words);

        need(written > 0 && written < SITE_TEXT_BYTES, "a site is too long");
        length += (size_t)written;
    }
    return text;
}

static bool read_text(void *context, const char *path, struct slice *text, char *why,
                      size_t why_bytes)
{
    (void)path;
    (void)why;
    (void)why_bytes;
    *text = slice_of_text(context);
    return true;
}

static void configure(struct crowd_node *n, char *text)
{
    struct config_loader loader = {.read = read_text, .context = text};
    struct config_result *result = config_read("crowd.conf", &loader);

    need(result != NULL, "no memory");
    if (result->config == NULL) {
        fprintf(stderr, "%.2000s\n", config_diagnostics_text(result));
        need(false, "the configuration has errors");
    }
    struct config *config = config_take(result);

    config_result_free(result);
    gateway_configure(n->gateway, config, n->crowd->now_ms);
    end_turn(n);
}

static void hear(void *context, enum log_level level, const char *about, const char *line)
{
    struct crowd_node *n = context;

    n->lines++;
    if (getenv("SEKISHO_TEST_LOG") != NULL) {
        fprintf(stderr, "%10.3f %d %s: %s\n", (double)n->crowd->now_ms / 1000, (int)level, about,
                line);
    }
}

/* ---- life ---- */

static void node_start(struct crowd_node *n)
{
    struct dataplane_settings plane = {.random = n->crowd->random};

    n->dataplane = dataplane_new(&plane);
    need(n->dataplane != NULL, "no data plane");
    struct gateway_settings settings = {
        .dataplane = n->dataplane, .random = n->crowd->random, .log = &n->log};

    n->gateway = gateway_new(&settings, n->crowd->now_ms);
    need(n->gateway != NULL, "no gateway");
}

static void node_stop(struct crowd_node *n)
{
    gateway_free(n->gateway);
    dataplane_free(n->dataplane);
    n->gateway = NULL;
    n->dataplane = NULL;
    queue_clear(&n->in);
}

static void node_init(struct crowd *c, struct crowd_node *n, struct crowd_node *other,
                      uint32_t address)
{
    n->crowd = c;
    n->other = other;
    n->address = address_ipv4(address);
    n->in.last = &n->in.first;
    n->log = (struct log_sink){.write = hear, .context = n};
}

void crowd_open(struct crowd *c, size_t callers, const char *hub_words, const char *words,
                struct random_source *random)
{
    crowd_open_certified(c, callers, hub_words, words, NULL, random);
}

void crowd_open_certified(struct crowd *c, size_t callers, const char *hub_words, const char *words,
                          const struct crowd_certificates *certificates,
                          struct random_source *random)
{
    const char *key = certificates == NULL ? "key @k" : "";

    *c = (struct crowd){.now_ms = 1000000,
                        .callers_count = callers,
                        .random = random,
                        .certificates = certificates};
    need(protect_start(PROTECT_AUTOMATIC), "the crypto library does not work");
    node_init(c, &c->hub, &c->callers, 0xcb007102);
    node_init(c, &c->callers, &c->hub, 0xcb007101);
    c->hub_text = write_config(true, callers, hub_words, key, words);
    c->callers_text = write_config(false, callers, hub_words, key, words);
    node_start(&c->hub);
    configure(&c->hub, c->hub_text);
}

void crowd_call(struct crowd *c)
{
    node_start(&c->callers);
    configure(&c->callers, c->callers_text);
}

void crowd_vanish(struct crowd *c)
{
    node_stop(&c->callers);
}

void crowd_reload(struct crowd *c)
{
    configure(&c->hub, c->hub_text);
}

void crowd_close(struct crowd *c)
{
    if (c->callers.gateway != NULL) {
        node_stop(&c->callers);
    }
    node_stop(&c->hub);
    free(c->hub_text);
    free(c->callers_text);
}

size_t crowd_up(const struct crowd *c)
{
    struct status_gateway status;

    gateway_get_status(c->hub.gateway, c->now_ms, &status);
    return status.states[STATUS_UP];
}
