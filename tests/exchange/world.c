/*
 * The hand that holds two machines: actions become flights, flights become events.
 */
#include "tests/exchange/world.h"

#include <stdio.h>
#include <stdlib.h>

#include "crypto/prf.h"
#include "crypto/protect.h"
#include "tests/support/test.h"

#define SETTLE_STEPS_MAX 3000
#define QUIET_MS UINT64_C(3600000)
#define UNDER_WAY_MS 400 /* a packet is not older when it arrives */

/* Those of the event that goes on: too large to be cleared for each. */
static struct ikev2_actions actions;

static struct side *other(struct world *w, const struct side *s)
{
    return &w->side[1 - s->name];
}

#define FAIL(w, ...) world_fail(w, __FILE__, __LINE__, __VA_ARGS__)

static void world_fail(struct world *w, const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 4, 5), noreturn));

static void world_fail(struct world *w, const char *file, int line, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fprintf(stderr, "%s:%d: seed %llu, at %llu ms: ", file, line, (unsigned long long)w->seed,
            (unsigned long long)w->now_ms);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\n%s", w->history);
    for (size_t i = 0; i < w->flight_count; i++) {
        fprintf(stderr, "  in flight from %c: %s\n", "AB"[w->flights[i].from],
                w -> flights[i].words);
    }
    for (size_t s = 0; s < 2; s++) {
        for (size_t i = 0; i < w->side[s].installed_count; i++) {
            const struct installed *c = &w->side[s].installed[i];

            fprintf(stderr, "  %c has child in %08x out %08x%s%s\n", "AB"[s], c -> spi_in,
                    c -> spi_out, c -> used ? " used" : "", c->stopped ? " stopped" : "");
        }
    }
    _fail(file, line);
    abort();
}

static void note(struct world *w, const char *what, const char *words)
{
    int length = snprintf(w->history + w->history_length, sizeof(w->history) - w->history_length,
                          "  %s%s\n", what, words);

    w->history_length += length > 0 ? (size_t)length : 0;
    if (w->history_length >= sizeof(w->history)) {
        w->history_length = sizeof(w->history) - 1;
    }
}

/* ---- the past of a side ---- */

#define HASH_START UINT64_C(14695981039346656037)

static uint64_t hash_add(uint64_t hash, const void *bytes, size_t length)
{
    const uint8_t *b = bytes;

    for (size_t i = 0; i < length; i++) {
        hash = (hash ^ b[i]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

static uint64_t hash_endpoint(uint64_t hash, const struct endpoint *e)
{
    hash = hash_add(hash, &e->address.family, sizeof(e->address.family));
    hash = hash_add(hash, e->address.bytes, sizeof(e->address.bytes));
    return hash_add(hash, &e->port, sizeof(e->port));
}

/* Every event of a machine goes through here. */
static void remember(const struct world *w, struct side *s, const char *what, struct slice bytes)
{
    s->past = hash_add(s->past, what, strlen(what));
    s->past = hash_add(s->past, &w->now_ms, sizeof(w->now_ms));
    s->past = hash_add(s->past, bytes.data, bytes.length);
}

static void remember_endpoints(struct side *s, const struct endpoint *local,
                               const struct endpoint *peer)
{
    s->past = hash_endpoint(hash_endpoint(s->past, local), peer);
}

uint64_t world_state(const struct world *w)
{
    uint64_t flying = 0;
    uint64_t state = HASH_START;

    for (size_t i = 0; i < w->flight_count; i++) {
        const struct flight *f = &w->flights[i];
        uint64_t one = hash_add(HASH_START, &f->from, sizeof(f->from));

        one = hash_add(one, f->words, strlen(f->words));
        one = hash_add(one, &f->id, sizeof(f->id));
        one = hash_add(one, f->bytes, f->question ? 0 : f->length);
        one = hash_endpoint(hash_endpoint(one, &f->source), &f->destination);
        /* Mixed, so that the sum of several is not that of others. */
        one = (one ^ (one >> 31)) * UINT64_C(0x9e3779b97f4a7c15);
        flying += one ^ (one >> 29);
    }
    state = hash_add(state, &w->side[A].past, sizeof(uint64_t));
    state = hash_add(state, &w->side[B].past, sizeof(uint64_t));
    state = hash_add(state, &w->now_ms, sizeof(w->now_ms));
    return hash_add(state, &flying, sizeof(flying));
}

/* ---- policies ---- */

static struct selector network_selector(const char *words)
{
    struct network n;

    CHECK(network_parse(slice_of_text(words), &n));
    return selector_of_network(&n);
}

static void side_init(struct world *w, enum world_side_name name)
{
    static const char *const addresses[] = {"192.0.2.1", "203.0.113.2"};
    static const char *const identities[] = {"a.example", "b.example"};
    static const char *const networks[] = {"10.1.0.0/16", "10.2.0.0/16"};
    struct side *s = &w->side[name];
    char why[200];

    *s = (struct side){
        .name = name,
        .knows_peer = true,
        .responds = name == B,
        .next_esp_spi = WORLD_FIRST_ESP_SPI + (uint32_t)name * WORLD_ESP_SPIS / 2,
    };
    seeded_random_init(&s->seeded, w->seed * 2 + (uint64_t)name);
    s->random = seeded_random_source(&s->seeded);
    ikev2_gate_init(&s->gate, &s->random, w->now_ms);
    CHECK(endpoint_parse(slice_of_text(addresses[name]), 500, &s->local));

    s->local_selector = network_selector(networks[name]);
    s->remote_selector = network_selector(networks[1 - name]);
    for (size_t i = 0; i < ARRAY_LENGTH(s->children); i++) {
        struct ikev2_child_policy *child = &s->children[i];

        snprintf(child->name, sizeof(child->name), "net%zu", i);
        child->policy_id = (uint32_t)i;
        child->local = &s->local_selector;
        child->local_count = 1;
        child->remote = &s->remote_selector;
        child->remote_count = 1;
        child->lifetime_ms = NEVER_MS;
        child->start = i == 0;
        child->proposals = &s->child_proposals[i];
        s->child_proposals[i].count = 1;
        CHECK(proposal_parse(PROTOCOL_ESP, SLICE_TEXT("aes128gcm16-x25519"),
                             &s->child_proposals[i].list[0], why, sizeof(why)));
    }
    struct ikev2_policy *p = &s->policy;

    p->ike = &s->ike_proposals;
    s->ike_proposals.count = 1;
    CHECK(proposal_parse(PROTOCOL_IKE, SLICE_TEXT("aes128gcm16-prfsha256-x25519-ecp256"),
                         &s->ike_proposals.list[0], why, sizeof(why)));
    CHECK(ike_identity_parse(slice_of_text(identities[name]), &p->local_id));
    CHECK(ike_identity_parse(slice_of_text(identities[1 - name]), &p->peer_id));
    CHECK(secret_set(&p->shared_key, SLICE_TEXT("a key that both know")));
    p->ike_lifetime_ms = NEVER_MS;
    p->liveness_ms = NEVER_MS;
    p->retransmit_first_ms = 500;
    p->retransmit_max_ms = 8000;
    p->retransmit_tries = 8;
    p->grace_ms = 5000;
    p->allow_encapsulation = true;
    p->fragmentation = true;
    p->fragment_bytes = 1280;
    p->children = s->children;
    p->child_count = 1;

    s->ike_lists[0] = p->ike;
    s->responder.ike = s->ike_lists;
    s->responder.ike_count = 1;
    s->responder.fragmentation = true;
    s->responder.fragment_bytes = 1280;
    s->responder.half_open_ms = 30000;
}

void world_init(struct world *w, uint64_t seed)
{
    static bool crypto_started;

    if (!crypto_started) {
        CHECK(protect_start(PROTECT_OPENSSL));
        crypto_started = true;
    }
    memset(w, 0, sizeof(*w));
    w->seed = seed;
    w->now_ms = 1000000;
    side_init(w, A);
    side_init(w, B);
}

static void flight_remove(struct world *w, size_t at)
{
    free(w->flights[at].bytes);
    ikev2_proof_free(w->flights[at].proof);
    memmove(&w->flights[at], &w->flights[at + 1],
            (w->flight_count - at - 1) * sizeof(w->flights[0]));
    w->flight_count--;
}

static void side_end(struct side *s)
{
    ikev2_sa_free(s->sa);
    s->sa = NULL;
}

void world_fini(struct world *w)
{
    while (w->flight_count > 0) {
        flight_remove(w, 0);
    }
    for (size_t i = 0; i < 2; i++) {
        side_end(&w->side[i]);
        secret_wipe(&w->side[i].policy.shared_key);
    }
}

/* ---- what machines do ---- */

static struct flight *flight_add(struct world *w, const struct side *from)
{
    if (w->flight_count == WORLD_FLIGHTS_MAX) {
        FAIL(w, "more than %d messages in flight", WORLD_FLIGHTS_MAX);
    }
    struct flight *f = &w->flights[w->flight_count++];

    *f = (struct flight){.from = from->name};
    return f;
}

static bool side_has(const struct side *s, const struct address *a)
{
    bool has = s->address_count == 0;

    for (size_t i = 0; i < s->address_count; i++) {
        has = has || address_equal(&s->addresses[i], a);
    }
    return has;
}

static void side_sends(struct world *w, struct side *s, const struct ikev2_action *action)
{
    struct flight *f = flight_add(w, s);

    f->length = action->send.bytes.length;
    f->bytes = malloc(f->length + 1);
    /* Where a test lets one allocation fail, it is not this one that is meant. */
    f->bytes = f->bytes != NULL ? f->bytes : malloc(f->length + 1);
    CHECK(f->bytes != NULL);
    memcpy(f->bytes, action->send.bytes.data, f->length);
    f->source = action->send.local;
    f->destination = action->send.peer;
    if (!side_has(s, &f->source.address)) {
        free(f->bytes);
        w->flight_count--;
        return;
    }
    memcpy(f->words, w->last_words[s->name], sizeof(f->words));
    s->sent++;
    s->longest_sent = f->length > s->longest_sent ? f->length : s->longest_sent;
}

static void side_asks(struct world *w, struct side *s, const struct ikev2_action *action)
{
    struct flight *f = flight_add(w, s);

    f->question = true;
    f->kind = action->kind;
    if (action->kind == IKEV2_ASK_SPI) {
        f->id = action->spi.id;
        snprintf(f->words, sizeof(f->words), "ASK SPI");
    } else if (action->kind == IKEV2_ASK_PPK) {
        f->id = action->ppk.id;
        snprintf(f->words, sizeof(f->words), "ASK PPK");
    } else if (action->kind == IKEV2_ASK_PROOF) {
        f->id = action->proof.id;
        f->proof = action->proof.question;
        snprintf(f->words, sizeof(f->words), "ASK PROOF");
    } else if (action->kind == IKEV2_ASK_PEER) {
        f->id = action->peer.id;
        snprintf(f->words, sizeof(f->words), "ASK PEER");
    } else {
        const struct ikev2_key_exchange_question *q = &action->key_exchange;

        f->id = q->id;
        f->group = q->group;
        f->has_pair = q->pair != NULL;
        if (f->has_pair) {
            f->own_length = q->pair->public_length;
            memcpy(f->own_public, q->pair->public_value, f->own_length);
        }
        CHECK(q->peer_public.length <= sizeof(f->peer_public));
        f->peer_length = (uint16_t)q->peer_public.length;
        if (f->peer_length > 0) {
            memcpy(f->peer_public, q->peer_public.data, f->peer_length);
        }
        snprintf(f->words, sizeof(f->words), "ASK KEY EXCHANGE");
    }
}

static struct installed *installed_find(struct side *s, uint32_t spi_in)
{
    for (size_t i = 0; i < s->installed_count; i++) {
        if (s->installed[i].spi_in == spi_in) {
            return &s->installed[i];
        }
    }
    return NULL;
}

static bool remove_esp_spi(struct side *s, uint32_t spi)
{
    for (size_t i = 0; i < s->esp_spi_count; i++) {
        if (s->esp_spis[i] == spi) {
            s->esp_spis[i] = s->esp_spis[--s->esp_spi_count];
            return true;
        }
    }
    return false;
}

static void child_installed(struct world *w, struct side *s, const struct ikev2_child_info *info)
{
    if (installed_find(s, info->spi_in) != NULL) {
        FAIL(w, "%c installs child %08x twice", "AB"[s->name], info -> spi_in);
    }
    if (s->installed_count == WORLD_CHILDREN_MAX) {
        FAIL(w, "%c has too many children", "AB"[s->name]);
    }
    CHECK(info->key_in.length > 0 && info->key_in.length <= WORLD_KEY_BYTES_MAX);
    CHECK_EQUAL(info->key_in.length, info->key_out.length);
    CHECK(info->spi_out != 0);
    CHECK(info->local_count > 0 && info->remote_count > 0);
    struct installed *c = &s->installed[s->installed_count++];

    *c = (struct installed){
        .spi_in = info->spi_in,
        .spi_out = info->spi_out,
        .replaces = info->replaces_spi_in,
        .resource = info->resource,
        .resource_id = info->resource_id,
        .peer_has_resources = info->peer_has_resources,
        .key_bytes = info->key_in.length,
        .encapsulated = info->encapsulated,
        .local = info->local,
        .peer = info->peer,
    };
    memcpy(c->key_in, info->key_in.data, c->key_bytes);
    memcpy(c->key_out, info->key_out.data, c->key_bytes);
    s->installs++;
    s->encapsulated += info->encapsulated;
    CHECK(c->spi_in - WORLD_FIRST_ESP_SPI < WORLD_ESP_SPIS);
    s->ever_installed[c->spi_in - WORLD_FIRST_ESP_SPI] = true;
}

static struct installed *child_known(struct world *w, struct side *s, uint32_t spi_in,
                                     const char *what)
{
    struct installed *c = installed_find(s, spi_in);

    if (c == NULL) {
        FAIL(w, "%c: %s of child %08x, which is not installed", "AB"[s->name], what, spi_in);
    }
    return c;
}

/* After a STOP too: what replaced it was taken back. */
static void child_used(struct installed *c, unsigned order)
{
    c->used = true;
    c->stopped = false;
    c->used_order = order;
}

static void child_removed(struct world *w, struct side *s, uint32_t spi_in)
{
    struct installed *c = child_known(w, s, spi_in, "removal");

    if (w->packets_wanted && c->heard_ms != 0 && c->heard_ms + UNDER_WAY_MS > w->now_ms) {
        FAIL(w, "%c removes child %08x with packets under way to it", "AB"[s->name], spi_in);
    }
    *c = s->installed[--s->installed_count];
    if (!remove_esp_spi(s, spi_in)) {
        FAIL(w, "%c: removed child %08x has an SPI that nobody gave", "AB"[s->name], spi_in);
    }
}

static void spi_added(struct world *w, struct side *s, uint64_t spi)
{
    for (size_t i = 0; i < s->ike_spi_count; i++) {
        if (s->ike_spis[i] == spi) {
            FAIL(w, "%c adds an IKE SPI twice", "AB"[s->name]);
        }
    }
    CHECK(spi != 0);
    CHECK(s->ike_spi_count < WORLD_SPIS_MAX);
    s->ike_spis[s->ike_spi_count++] = spi;
}

static void spi_removed(struct world *w, struct side *s, uint64_t spi)
{
    for (size_t i = 0; i < s->ike_spi_count; i++) {
        if (s->ike_spis[i] == spi) {
            s->ike_spis[i] = s->ike_spis[--s->ike_spi_count];
            return;
        }
    }
    FAIL(w, "%c removes an IKE SPI that it has not", "AB"[s->name]);
}

static uint32_t child_of_peer(const void *of, uint32_t peer_spi)
{
    const struct side *s = of;

    for (size_t i = 0; i < s->installed_count; i++) {
        if (s->installed[i].spi_out == peer_spi) {
            return s->installed[i].spi_in;
        }
    }
    return 0;
}

static void side_traces(struct world *w, struct side *s, const struct ikev2_action *action)
{
    char line[4096];
    struct text text = text_over(line, sizeof(line));
    const char *wrong = rules_trace(&s->rules, action, child_of_peer, s);

    if (wrong != NULL && !w->lawless) {
        FAIL(w, "%c answers, but %s", "AB"[s->name], wrong);
    }
    if (!action->trace.sent) {
        return;
    }
    if (action->trace.retransmitted) {
        snprintf(w->last_words[s->name], WORLD_WORDS_BYTES, "again");
        return;
    }
    struct ikev2_header header = action->trace.header;

    /* What is shown in clear was sent inside SK. */
    header.next_payload = header.exchange == IKEV2_IKE_SA_INIT ? action->trace.first : IKEV2_SK;
    ikev2_describe(&header, action->trace.first, action->trace.payloads, &text);
    line[strcspn(line, "\n")] = '\0';
    snprintf(w->last_words[s->name], WORLD_WORDS_BYTES, "%.*s", WORLD_WORDS_BYTES - 1, line);
}

static void children_moved(struct side *s, const struct ikev2_action *action)
{
    struct ikev2_child_info info;

    for (size_t i = 0; ikev2_sa_child_at(s->sa, i, &info); i++) {
        struct installed *c = installed_find(s, info.spi_in);

        if (c != NULL) {
            c->encapsulated = info.encapsulated;
            c->local = action->moved.local;
            c->peer = action->moved.peer;
        }
    }
}

/* False when the machine is over. */
static bool side_acts(struct world *w, struct side *s, const struct ikev2_action *action)
{
    switch (action->kind) {
    case IKEV2_SEND:
        side_sends(w, s, action);
        return true;
    case IKEV2_ASK_KEY_EXCHANGE:
    case IKEV2_ASK_SPI:
    case IKEV2_ASK_PEER:
    case IKEV2_ASK_PPK:
        side_asks(w, s, action);
        return true;
    case IKEV2_ASK_PROOF:
        CHECK(s->policy.certificates != NULL);
        side_asks(w, s, action);
        return true;
    case IKEV2_TELL_SPI_ADDED:
        spi_added(w, s, action->ike_spi);
        return true;
    case IKEV2_TELL_SPI_REMOVED:
        spi_removed(w, s, action->ike_spi);
        return true;
    case IKEV2_TELL_ESTABLISHED:
        s->established++;
        return true;
    case IKEV2_TELL_REKEYED:
        s->rekeyed++;
        return true;
    case IKEV2_TELL_REDIRECT:
    case IKEV2_TELL_TICKET:
    case IKEV2_TELL_REAUTHENTICATE:
        return true; /* the gateway's business */
    case IKEV2_TELL_INITIAL_CONTACT:
        s->initial_contact++;
        return true;
    case IKEV2_TELL_MOVED:
        s->moved++;
        if (action->moved.children) {
            children_moved(s, action);
        }
        return true;
    case IKEV2_CHILD_INSTALL:
        child_installed(w, s, &action->child);
        return true;
    case IKEV2_CHILD_USE:
        child_used(child_known(w, s, action->child.spi_in, "use"), ++s->uses);
        return true;
    case IKEV2_CHILD_STOP:
        child_known(w, s, action->child.spi_in, "stop")->stopped = true;
        return true;
    case IKEV2_CHILD_REMOVE:
        child_removed(w, s, action->child.spi_in);
        return true;
    case IKEV2_SPI_UNUSED:
        if (!remove_esp_spi(s, action->esp_spi)) {
            FAIL(w, "%c gives back an SPI that it has not", "AB"[s->name]);
        }
        return true;
    case IKEV2_TELL_CHILD_FAILED:
        s->child_failed++;
        s->failure = action->failed.failure;
        return true;
    case IKEV2_TELL_FAILED:
        s->failed++;
        s->failure = action->failed.failure;
        return false;
    case IKEV2_TELL_CLOSED:
        s->closed++;
        s->failure = action->failed.failure;
        return false;
    case IKEV2_PROBE_DONE:
        s->probes++;
        s->probe_passed = action->probe.passed;
        return true;
    case IKEV2_TRACE:
        side_traces(w, s, action);
        return true;
    }
    return true;
}

static void answer(struct world *w, size_t at);

/* Questions are answered at once, unless they wait for their turn. */
static void side_done(struct world *w, struct side *s)
{
    bool over = false;

    /* What goes out without being traced is an answer that is had again. */
    snprintf(w->last_words[s->name], WORLD_WORDS_BYTES, "again");

    for (size_t i = 0; i < actions.count; i++) {
        if (over && actions.list[i].kind != IKEV2_TRACE) {
            FAIL(w, "%c acts after it is over", "AB"[s->name]);
        }
        over = !side_acts(w, s, &actions.list[i]) || over;
    }
    if (!over) {
        ikev2_sa_rest(s->sa);
    } else {
        side_end(s);
        for (size_t i = w->flight_count; i > 0; i--) {
            if (w->flights[i - 1].question && w->flights[i - 1].from == s->name) {
                flight_remove(w, i - 1);
            }
        }
        if (s->installed_count > 0 || s->ike_spi_count > 0 || s->esp_spi_count > 0) {
            FAIL(w, "%c is over and has %zu children, %zu IKE SPIs, %zu ESP SPIs left",
                 "AB"[s->name], s -> installed_count, s -> ike_spi_count, s -> esp_spi_count);
        }
    }
}

/* Every event ends here: what is to be answered at once is, then the invariants must hold. */
static void settle_questions(struct world *w)
{
    for (size_t i = 0; !w->answers_wait && i < w->flight_count;) {
        if (w->flights[i].question) {
            answer(w, i);
            i = 0;
        } else {
            i++;
        }
    }
    world_check(w);
}

static void play_key_exchange(struct side *s, const struct flight *f, struct key_pair *pair,
                              struct secret *shared)
{
    const struct algorithm *group = algorithm_find(TRANSFORM_KEY_EXCHANGE, f->group);
    struct slice mine = {f->own_public, f->own_length};
    struct slice his = {f->peer_public, f->peer_length};

    CHECK(group != NULL);
    if (!f->has_pair) {
        pair->group = f->group;
        pair->public_length = group->public_bytes;
        random_fill(&s->random, pair->public_value, pair->public_length);
        CHECK(secret_set(&pair->private_key, SLICE_TEXT("played")) ||
              secret_set(&pair->private_key, SLICE_TEXT("played")));
        mine = (struct slice){pair->public_value, pair->public_length};
    }
    if (his.length == 0) {
        return;
    }
    CHECK_EQUAL(his.length, mine.length);
    bool first = memcmp(mine.data, his.data, mine.length) < 0;
    const struct slice parts[] = {first ? mine : his, first ? his : mine};
    uint8_t digest[32];

    sha256(parts, 2, digest);
    CHECK(secret_set(shared, SLICE_OF(digest)) || secret_set(shared, SLICE_OF(digest)));
}

static void answer(struct world *w, size_t at)
{
    struct flight f = w->flights[at];
    struct side *s = &w->side[f.from];
    struct key_pair pair = {0};
    struct secret shared = {0};

    w->flights[at].proof = NULL;
    flight_remove(w, at);
    if (s->sa == NULL) {
        ikev2_proof_free(f.proof);
        return;
    }
    remember(w, s, f.words, (struct slice){(const uint8_t *)&f.id, sizeof(f.id)});
    actions.count = 0;
    if (f.kind == IKEV2_ASK_PROOF) {
        ikev2_proof_run(f.proof, w->now_s);
        ikev2_sa_answer_proof(s->sa, f.id, f.proof, w->now_ms, &actions);
        ikev2_proof_free(f.proof);
        side_done(w, s);
        return;
    }
    if (++w->questions == w->refuse_question) {
        note(w, "that answer is no", "");
        if (f.kind == IKEV2_ASK_SPI) {
            ikev2_sa_answer_spi(s->sa, f.id, 0, w->now_ms, &actions);
        } else if (f.kind == IKEV2_ASK_PPK) {
            ikev2_sa_answer_ppk(s->sa, f.id, NULL, 0, w->now_ms, &actions);
        } else if (f.kind == IKEV2_ASK_PEER) {
            ikev2_sa_answer_peer(s->sa, f.id, NULL, w->now_ms, &actions);
        } else {
            ikev2_sa_answer_key_exchange(s->sa, f.id, false, NULL, NULL, w->now_ms, &actions);
        }
        side_done(w, s);
        return;
    }
    if (f.kind == IKEV2_ASK_SPI) {
        uint32_t spi = s->next_esp_spi++;

        CHECK(s->esp_spi_count < WORLD_SPIS_MAX);
        s->esp_spis[s->esp_spi_count++] = spi;
        ikev2_sa_answer_spi(s->sa, f.id, spi, w->now_ms, &actions);
    } else if (f.kind == IKEV2_ASK_PPK) {
        ikev2_sa_answer_ppk(s->sa, f.id, &s->policy.ppk, s->policy.ppk != NULL ? 1 : 0, w->now_ms,
                            &actions);
    } else if (f.kind == IKEV2_ASK_PEER) {
        if (w->beside) {
            ikev2_sa_set_beside(s->sa);
        }
        ikev2_sa_answer_peer(s->sa, f.id, s->knows_peer ? &s->policy : NULL, w->now_ms, &actions);
    } else {
        const struct algorithm *group = algorithm_find(TRANSFORM_KEY_EXCHANGE, f.group);
        bool ok = f.peer_length == 0 || (group != NULL && f.peer_length == group->public_bytes);

        if (ok) {
            play_key_exchange(s, &f, &pair, &shared);
        }
        ikev2_sa_answer_key_exchange(s->sa, f.id, ok, f.has_pair ? NULL : &pair, &shared, w->now_ms,
                                     &actions);
        key_pair_wipe(&pair);
        secret_wipe(&shared);
    }
    side_done(w, s);
}

/* ---- messages arrive ---- */

static bool side_has_spi(const struct side *s, uint64_t spi)
{
    for (size_t i = 0; i < s->ike_spi_count; i++) {
        if (s->ike_spis[i] == spi) {
            return true;
        }
    }
    return false;
}

static bool is_first_request(const struct ikev2_header *h)
{
    return h->exchange == IKEV2_IKE_SA_INIT && h->spi_r == 0 &&
           (h->flags & IKEV2_FLAG_RESPONSE) == 0;
}

/* The machine that a message belongs to, made when the gate lets a stranger in. NULL: nobody. */
static struct ikev2_sa *find_machine(struct world *w, struct side *s, struct slice message,
                                     const struct endpoint *local, const struct endpoint *peer)
{
    struct reader r = reader_over(message);
    struct ikev2_header h;

    if (!ikev2_read_header(&r, &h)) {
        return NULL;
    }
    if (is_first_request(&h)) {
        struct ikev2_sa_info info;

        if (s->sa != NULL) {
            ikev2_sa_get_info(s->sa, &info);
            return info.spi_i == h.spi_i && !info.initiator ? s->sa : NULL;
        }
        uint8_t reply[256];
        struct writer out = writer_over(reply, sizeof(reply));

        if (!s->responds) {
            return NULL;
        }
        switch (ikev2_gate_admit(&s->gate, message, local, peer, s->cookies_wanted, w->now_ms,
                                 &s->random, &out)) {
        case IKEV2_GATE_DROP:
            return NULL;
        case IKEV2_GATE_REPLY: {
            struct ikev2_action send = {.kind = IKEV2_SEND,
                                        .send = {*local, *peer, writer_written(&out)}};
            struct reader reply_reader = reader_over(writer_written(&out));
            struct ikev2_header reply_header;
            char line[1024];
            struct text text = text_over(line, sizeof(line));

            CHECK(out.length <= message.length);
            CHECK(ikev2_read_header(&reply_reader, &reply_header));
            ikev2_describe(&reply_header, reply_header.next_payload, read_rest(&reply_reader),
                           &text);
            line[strcspn(line, "\n")] = '\0';
            snprintf(w->last_words[s->name], WORLD_WORDS_BYTES, "%.*s", WORLD_WORDS_BYTES - 1,
                     line);
            side_sends(w, s, &send);
            return NULL;
        }
        case IKEV2_GATE_ADMIT:
            s->sa = ikev2_sa_new_responder(&s->responder, local, peer, &s->random);
            return s->sa;
        }
    }
    uint64_t own = (h.flags & IKEV2_FLAG_INITIATOR) != 0 ? h.spi_r : h.spi_i;

    if (s->sa == NULL || !side_has_spi(s, own)) {
        w->unknown_spi++;
        return NULL;
    }
    return s->sa;
}

static void arrive(struct world *w, struct side *s, struct slice message,
                   const struct endpoint *local, const struct endpoint *peer)
{
    struct ikev2_sa *sa = find_machine(w, s, message, local, peer);

    remember(w, s, "message", message);
    remember_endpoints(s, local, peer);
    actions.count = 0;
    if (sa != NULL) {
        ikev2_sa_receive(sa, message, local, peer, w->now_ms, &actions);
        side_done(w, s);
    }
    settle_questions(w);
}

void world_set_nat(struct world *w, const char *address, uint16_t port)
{
    w->nat = true;
    CHECK(endpoint_parse(slice_of_text(address), port, &w->nat_outside));
}

void world_remove_nat(struct world *w)
{
    w->nat = false;
}

void world_set_addresses(struct world *w, enum world_side_name side, const char *words)
{
    struct side *s = &w->side[side];
    char copy[256];
    char *rest = copy;

    snprintf(copy, sizeof(copy), "%s", words);
    s->address_count = 0;
    for (char *word = strtok_r(copy, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        CHECK(s->address_count < WORLD_ADDRESSES_MAX);
        CHECK(address_parse(slice_of_text(word), &s->addresses[s->address_count++]));
    }
    remember(w, s, "addresses", slice_of_text(words));
    s->announced.count = s->address_count;
    memcpy(s->announced.list, s->addresses, sizeof(s->addresses));
    s->policy.addresses = &s->announced;
    s->local.address = s->addresses[0];
}

/* What the NAT makes of the endpoints; false when it knows no way in. */
static bool translate(const struct world *w, struct flight *f)
{
    if (!w->nat) {
        return true;
    }
    if (f->from == A) {
        uint16_t inside = f->source.port;

        f->source = w->nat_outside;
        f->source.port = (uint16_t)(f->source.port + (inside == 4500 ? 1 : 0));
        return true;
    }
    uint16_t offset = (uint16_t)(f->destination.port - w->nat_outside.port);

    if (!address_equal(&f->destination.address, &w->nat_outside.address) || offset > 1) {
        return false;
    }
    f->destination = w->side[A].local;
    f->destination.port = offset == 1 ? 4500 : 500;
    return true;
}

void world_deliver(struct world *w, size_t at)
{
    CHECK(at < w->flight_count);
    struct flight f = w->flights[at];

    note(w,
         f.question ? (f.from == A ? "A is answered: " : "B is answered: ")
                    : (f.from == A ? "A -> B: " : "B -> A: "),
         f.words);
    if (f.question) {
        answer(w, at);
        settle_questions(w);
        return;
    }
    w->flights[at].bytes = NULL;
    flight_remove(w, at);
    if (translate(w, &f) && side_has(&w->side[1 - f.from], &f.destination.address)) {
        arrive(w, &w->side[1 - f.from], (struct slice){f.bytes, f.length}, &f.destination,
               &f.source);
    }
    free(f.bytes);
}

void world_lose(struct world *w, size_t at)
{
    note(w, w->flights[at].from == A ? "A -> lost: " : "B -> lost: ", w->flights[at].words);
    flight_remove(w, at);
}

void world_double(struct world *w, size_t at)
{
    struct flight *copy = flight_add(w, &w->side[w->flights[at].from]);

    *copy = w->flights[at];
    copy->bytes = malloc(copy->length + 1);
    CHECK(copy->bytes != NULL);
    memcpy(copy->bytes, w->flights[at].bytes, copy->length);
}

void world_deliver_all(struct world *w)
{
    for (unsigned i = 0; w->flight_count > 0; i++) {
        if (i > SETTLE_STEPS_MAX) {
            FAIL(w, "messages without end");
        }
        world_deliver(w, 0);
    }
}

static uint64_t side_deadline(const struct side *s)
{
    return s->sa == NULL ? NEVER_MS : ikev2_sa_deadline_ms(s->sa);
}

static void side_time(struct world *w, struct side *s)
{

    actions.count = 0;
    if (s->sa != NULL && side_deadline(s) <= w->now_ms) {
        remember(w, s, "time", (struct slice){0});
        ikev2_sa_time(s->sa, w->now_ms, &actions);
        side_done(w, s);
        if (s->sa != NULL && side_deadline(s) <= w->now_ms && actions.count == 0) {
            FAIL(w, "%c did nothing at its deadline and has not moved it", "AB"[s->name]);
        }
    }
    settle_questions(w);
}

uint64_t world_deadline_ms(const struct world *w)
{
    uint64_t a = side_deadline(&w->side[A]);
    uint64_t b = side_deadline(&w->side[B]);

    return a < b ? a : b;
}

void world_set_time(struct world *w, uint64_t now_ms)
{
    w->now_ms = now_ms > w->now_ms ? now_ms : w->now_ms;
    note(w, "time", "");
    side_time(w, &w->side[A]);
    side_time(w, &w->side[B]);
}

bool world_wake(struct world *w)
{
    uint64_t at = world_deadline_ms(w);

    if (at == NEVER_MS) {
        return false;
    }
    world_set_time(w, at);
    return true;
}

void world_settle(struct world *w)
{
    world_deliver_all(w);
    for (unsigned i = 0;
         world_deadline_ms(w) <= w->now_ms + QUIET_MS && world_deadline_ms(w) != NEVER_MS; i++) {
        if (i > SETTLE_STEPS_MAX) {
            FAIL(w, "it never becomes quiet");
        }
        (void)world_wake(w);
        world_deliver_all(w);
    }
}

void world_advance(struct world *w, uint64_t ms)
{
    uint64_t until = w->now_ms + ms;

    for (unsigned i = 0; world_deadline_ms(w) <= until; i++) {
        if (i > SETTLE_STEPS_MAX) {
            FAIL(w, "it never becomes quiet");
        }
        (void)world_wake(w);
        world_deliver_all(w);
    }
    w->now_ms = until;
}

/* ---- orders ---- */

#define ORDER(w, side_name, call)                                                                  \
    struct side *s = &(w)->side[side_name];                                                        \
    actions.count = 0;                                                                             \
    CHECK(s->sa != NULL);                                                                          \
    remember(w, s, #call, (struct slice){0});                                                      \
    call;                                                                                          \
    side_done(w, s);                                                                               \
    settle_questions(w)

void world_start(struct world *w)
{
    struct side *a = &w->side[A];

    /* Once more where a test lets an allocation fail. */
    for (unsigned i = 0; i < 2 && a->sa == NULL; i++) {
        a->sa = ikev2_sa_new_initiator(&a->policy, &a->local, &w->side[B].local, &a->random);
    }
    ORDER(w, A, ikev2_sa_start(s->sa, w->now_ms, &actions));
}

void world_connect(struct world *w)
{
    world_start(w);
    world_deliver_all(w);
    for (size_t i = 0; i < 2; i++) {
        if (w->side[i].established != 1 || w->side[i].installed_count != 1) {
            FAIL(w, "%c is not established: %s %s", "AB"[i], w -> side[i].failure.detail,
                 w->side[i].failure.theirs);
        }
    }
    world_heard(w, B);
    world_check_settled(w, 1);
    w->history_length = 0;
    w->history[0] = '\0';
}

const struct installed *world_child_in_use(const struct world *w, enum world_side_name side)
{
    const struct side *s = &w->side[side];
    const struct installed *newest = NULL;

    for (size_t i = 0; i < s->installed_count; i++) {
        const struct installed *c = &s->installed[i];

        if (c->used && !c->stopped && (newest == NULL || c->used_order > newest->used_order)) {
            newest = c;
        }
    }
    return newest;
}

void world_rekey_ike(struct world *w, enum world_side_name side)
{
    ORDER(w, side, ikev2_sa_rekey(s->sa, w->now_ms, &actions));
}

void world_move(struct world *w, enum world_side_name side, const char *local, const char *peer)
{
    struct ikev2_sa_info info;

    if (w->side[side].sa == NULL) {
        return;
    }
    ikev2_sa_get_info(w->side[side].sa, &info);
    CHECK(address_parse(slice_of_text(local), &info.local.address));
    if (peer != NULL) {
        CHECK(address_parse(slice_of_text(peer), &info.peer.address));
    }
    remember_endpoints(&w->side[side], &info.local, &info.peer);
    ORDER(w, side, ikev2_sa_move(s->sa, &info.local, &info.peer, false, w->now_ms, &actions));
}

void world_test_way(struct world *w, enum world_side_name side, const char *local, const char *peer)
{
    struct ikev2_sa_info info;

    ikev2_sa_get_info(w->side[side].sa, &info);
    CHECK(address_parse(slice_of_text(local), &info.local.address));
    CHECK(address_parse(slice_of_text(peer), &info.peer.address));
    ORDER(w, side, ikev2_sa_test_way(s->sa, &info.local, &info.peer, w->now_ms, &actions));
}

void world_check_places(struct world *w)
{
    for (size_t i = 0; i < 2; i++) {
        struct side *s = &w->side[i];
        struct side *o = other(w, s);

        for (size_t c = 0; c < s->installed_count; c++) {
            const struct installed *child = &s->installed[c];
            const struct installed *far = installed_find(o, child->spi_out);
            struct flight f = {.from = s->name, .source = child->local, .destination = child->peer};

            if (far == NULL) {
                continue;
            }
            if (!side_has(s, &f.source.address) || !translate(w, &f) ||
                !side_has(o, &f.destination.address)) {
                FAIL(w, "packets of %c's child %08x do not arrive", "AB"[i], child -> spi_in);
            }
            if (!endpoint_equal(&f.source, &far->peer) ||
                !endpoint_equal(&f.destination, &far->local)) {
                FAIL(w, "the ends of %c's child %08x are not the same", "AB"[i], child -> spi_in);
            }
            if (child->encapsulated != far->encapsulated) {
                FAIL(w, "only one side of child %08x is in UDP", child->spi_in);
            }
        }
    }
}

void world_rekey_child(struct world *w, enum world_side_name side)
{
    const struct installed *child = world_child_in_use(w, side);

    CHECK(child != NULL);
    uint32_t spi_in = child->spi_in;

    ORDER(w, side, ikev2_sa_rekey_child(s->sa, spi_in, w->now_ms, &actions));
}

void world_new_child(struct world *w, enum world_side_name side, size_t policy)
{
    const struct ikev2_child_policy *child = &w->side[side].children[policy];

    ORDER(w, side, ikev2_sa_start_child(s->sa, child, w->now_ms, &actions));
}

const struct installed *world_own(const struct world *w, enum world_side_name side,
                                  uint8_t resource)
{
    const struct side *s = &w->side[side];

    for (size_t i = s->installed_count; i > 0; i--) {
        if (s->installed[i - 1].resource == resource && !s->installed[i - 1].stopped) {
            return &s->installed[i - 1];
        }
    }
    return NULL;
}

void world_new_own(struct world *w, enum world_side_name side, uint8_t resource)
{
    const struct ikev2_packet packet = {.resource = resource};

    ORDER(w, side, ikev2_sa_start_child_for(s->sa, &s->children[0], &packet, w->now_ms, &actions));
}

void world_rekey_own(struct world *w, enum world_side_name side, uint8_t resource)
{
    const struct installed *child = world_own(w, side, resource);
    uint32_t spi_in = child == NULL ? 0 : child->spi_in;

    ORDER(w, side, ikev2_sa_rekey_child(s->sa, spi_in, w->now_ms, &actions));
}

void world_close_own(struct world *w, enum world_side_name side, uint8_t resource)
{
    const struct installed *child = world_own(w, side, resource);
    uint32_t spi_in = child == NULL ? 0 : child->spi_in;

    ORDER(w, side, ikev2_sa_close_child(s->sa, spi_in, w->now_ms, &actions));
}

void world_close_child(struct world *w, enum world_side_name side)
{
    const struct installed *child = world_child_in_use(w, side);

    CHECK(child != NULL);
    uint32_t spi_in = child->spi_in;

    ORDER(w, side, ikev2_sa_close_child(s->sa, spi_in, w->now_ms, &actions));
}

void world_close(struct world *w, enum world_side_name side)
{
    ORDER(w, side, ikev2_sa_close(s->sa, IKEV2_FAIL_ORDERED, w->now_ms, &actions));
}

void world_liveness(struct world *w, enum world_side_name side)
{
    ORDER(w, side, ikev2_sa_ask_liveness(s->sa, w->now_ms, &actions));
}

void world_inject(struct world *w, enum world_side_name to, struct slice bytes)
{
    arrive(w, &w->side[to], bytes, &w->side[to].local, &w->side[1 - to].local);
}

void world_heard(struct world *w, enum world_side_name side)
{
    struct side *receiver = &w->side[side];

    for (size_t i = 0; i < receiver->installed_count; i++) {
        const struct side *sender = other(w, receiver);
        uint32_t spi_in = receiver->installed[i].spi_in;
        bool sent = false;

        for (size_t j = 0; j < sender->installed_count; j++) {
            sent |= sender->installed[j].spi_out == spi_in && sender->installed[j].used &&
                    !sender->installed[j].stopped;
        }
        if (sent && receiver->sa != NULL) {
            ORDER(w, side, ikev2_sa_child_heard(s->sa, spi_in, w->now_ms, &actions));
        }
    }
}

/* ---- what must hold ---- */

static bool keys_match(const struct installed *sender, const struct installed *receiver)
{
    return sender->key_bytes == receiver->key_bytes &&
           memcmp(sender->key_out, receiver->key_in, sender->key_bytes) == 0;
}

static bool was_installed(const struct side *s, uint32_t spi_in)
{
    return spi_in - WORLD_FIRST_ESP_SPI < WORLD_ESP_SPIS &&
           s->ever_installed[spi_in - WORLD_FIRST_ESP_SPI];
}

/* What is sent now arrives a while later. */
static void mark_traffic(struct world *w, enum world_side_name side)
{
    const struct installed *child = world_child_in_use(w, side);
    struct installed *far =
        child == NULL ? NULL : installed_find(&w->side[1 - side], child->spi_out);

    if (w->traffic_wanted && child == NULL) {
        FAIL(w, "%c has nothing to send through", "AB"[side]);
    }
    if (far != NULL && !w->elsewhere[side]) {
        far->heard_ms = w->now_ms;
    }
}

void world_check(struct world *w)
{
    for (size_t i = 0; i < 2; i++) {
        struct side *s = &w->side[i];
        struct side *o = other(w, s);

        /* Whoever closed the IKE SA is deaf from then on, by order. */
        if (s->sa == NULL || o->sa == NULL) {
            continue;
        }
        for (size_t c = 0; c < s->installed_count; c++) {
            const struct installed *child = &s->installed[c];

            if (!child->used || child->stopped) {
                continue;
            }
            const struct installed *receiver = installed_find(o, child->spi_out);

            /* The first child under a policy is used as soon as the responder has it: there is
             * nothing else to send through, and the initiator is about to learn of it. */
            if (receiver == NULL && child->replaces == 0 && !w->beside &&
                !was_installed(o, child->spi_out)) {
                continue;
            }
            if (receiver == NULL) {
                FAIL(w, "%c sends through %08x, which %c does not have", "AB"[i], child -> spi_out,
                     "BA"[i]);
            }
            if (!keys_match(child, receiver)) {
                FAIL(w, "keys of %08x differ", child->spi_out);
            }
        }
        mark_traffic(w, s->name);
    }
}

void world_check_settled(struct world *w, size_t children)
{
    struct ikev2_sa_info info[2];

    world_check(w);
    if (w->flight_count > 0) {
        FAIL(w, "something is in flight");
    }
    for (size_t i = 0; i < 2; i++) {
        struct side *s = &w->side[i];
        size_t active = 0;

        if (s->sa == NULL) {
            FAIL(w, "%c is gone: reason %d %s", "AB"[i], (int)s -> failure.reason,
                 s->failure.detail);
        }
        ikev2_sa_get_info(s->sa, &info[i]);
        for (size_t c = 0; c < s->installed_count; c++) {
            active += s->installed[c].used && !s->installed[c].stopped;
        }
        if (s->installed_count != children || active != children) {
            FAIL(w, "%c has %zu children, %zu of them in use, not %zu", "AB"[i],
                 s -> installed_count, active, children);
        }
        if (s->esp_spi_count != children) {
            FAIL(w, "%c holds %zu ESP SPIs for %zu children", "AB"[i], s -> esp_spi_count,
                 children);
        }
        if (s->ike_spi_count != 1) {
            FAIL(w, "%c has %zu IKE SAs", "AB"[i], s -> ike_spi_count);
        }
        if (info[i].open_exchange != 0) {
            FAIL(w, "%c has a request open", "AB"[i]);
        }
        if (info[i].child_count != children) {
            FAIL(w, "%c counts %u children", "AB"[i], info[i].child_count);
        }
    }
    if (info[A].spi_i != info[B].spi_i || info[A].spi_r != info[B].spi_r) {
        FAIL(w, "they hold different IKE SAs");
    }
}

void world_check_gone(struct world *w)
{
    for (size_t i = 0; i < 2; i++) {
        const struct side *s = &w->side[i];

        if (s->sa != NULL) {
            FAIL(w, "%c is still there", "AB"[i]);
        }
        CHECK_EQUAL(s->installed_count, 0);
        CHECK_EQUAL(s->ike_spi_count, 0);
        CHECK_EQUAL(s->esp_spi_count, 0);
    }
}

/* ---- transcripts ---- */

static size_t find_expected(struct world *w, enum world_side_name from, const char *words)
{
    size_t found = WORLD_FLIGHTS_MAX;

    for (size_t i = 0; i < w->flight_count; i++) {
        if (w->flights[i].from == from && !w->flights[i].question) {
            if (found != WORLD_FLIGHTS_MAX) {
                FAIL(w, "%c sent more than one message", "AB"[from]);
            }
            found = i;
        }
    }
    if (found == WORLD_FLIGHTS_MAX) {
        FAIL(w, "%c did not send %s", "AB"[from], words);
    }
    if (strcmp(w->flights[found].words, words) != 0) {
        FAIL(w, "%c sent\n  %s\ninstead of\n  %s", "AB"[from], w -> flights[found].words, words);
    }
    return found;
}

void world_expect(struct world *w, enum world_side_name from, const char *words)
{
    world_deliver(w, find_expected(w, from, words));
}

void world_expect_lost(struct world *w, enum world_side_name from, const char *words)
{
    world_lose(w, find_expected(w, from, words));
}
