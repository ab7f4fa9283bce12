/*
 * The driver of IKEv1 machines on two sides: decides how their questions are answered, which
 * machine gets a message, and what is remembered of what they do.
 */
#include "tests/support/ikev1_pair.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "crypto/signature.h"
#include "proto/ikev1/keys.h"

#define DELIVERIES_MAX 10000
#define NAT_ADDRESS 0xc6336401u /* 198.51.100.1 */
#define NAT_PORT_OFFSET 10000
#define ENCAPSULATION_PORT 4500
#define NO_MACHINE PAIR1_MACHINES_MAX
#define ASKS_HELD_MAX (PAIR1_ASKS_MAX / 2) /* one event asks no more than the rest */

/* ---- set-up ---- */

/* A pair has megabytes, of which few are ever touched, and explorers make ten thousand of them: a
 * sanitizer's allocator fills and shadows all of it each time. NULL: no memory. */
static void *pages(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return memory == MAP_FAILED ? NULL : memory;
}

static struct selector network_selector(uint32_t address, uint8_t prefix_bits)
{
    struct network n = {.address = address_ipv4(address), .prefix_bits = prefix_bits};

    return selector_of_network(&n);
}

static void set_proposal(struct proposals *out, uint8_t protocol, const char *words)
{
    char why[256];

    out->count = 1;
    if (!proposal_parse(protocol, slice_of_text(words), &out->list[0], why, sizeof(why))) {
        abort();
    }
}

void ikev1_pair_set_ike(struct ikev1_pair *pair, unsigned side, const char *words)
{
    set_proposal(&pair->side[side].ike_proposals, PROTOCOL_IKE, words);
}

void ikev1_pair_set_esp(struct ikev1_pair *pair, unsigned side, const char *words)
{
    set_proposal(&pair->side[side].child_proposals, PROTOCOL_ESP, words);
}

void ikev1_pair_set_ah(struct ikev1_pair *pair, unsigned side, const char *words)
{
    set_proposal(&pair->side[side].child_proposals, PROTOCOL_AH, words);
}

void ikev1_pair_set_around(struct ikev1_pair *pair, unsigned side, const char *words)
{
    struct pair1_side *s = &pair->side[side];

    set_proposal(&s->around_proposals, PROTOCOL_AH, words);
    for (size_t i = 0; i < PAIR1_POLICIES_MAX; i++) {
        s->children_policy[i].around = &s->around_proposals;
    }
}

static void set_child(struct pair1_side *s, size_t index, const char *name, struct selector local,
                      struct selector remote)
{
    struct ikev1_child_policy *child = &s->children_policy[index];

    if (!text_copy(child->name, sizeof(child->name), slice_of_text(name))) {
        abort();
    }
    s->local[index][0] = local;
    s->remote[index][0] = remote;
    child->policy_id = (uint32_t)index + 1;
    child->local = s->local[index];
    child->local_count = 1;
    child->remote = s->remote[index];
    child->remote_count = 1;
    child->lifetime_ms = NEVER_MS;
    child->proposals = &s->child_proposals;
    child->start = true;
    s->policy.child_count = (uint32_t)index + 1;
}

void ikev1_pair_add_child(struct ikev1_pair *pair, unsigned n)
{
    char name[8] = "child0";
    uint32_t third = n << 8;

    name[5] = (char)('0' + n);
    for (unsigned i = 0; i < 2; i++) {
        struct pair1_side *s = &pair->side[i];

        set_child(s, s->policy.child_count, name,
                  network_selector((i == 0 ? 0x0a010000u : 0x0a020000u) | third, 24),
                  network_selector((i == 0 ? 0x0a020000u : 0x0a010000u) | third, 24));
    }
}

static void set_side(struct ikev1_pair *pair, unsigned index, uint64_t seed)
{
    struct pair1_side *s = &pair->side[index];
    struct ikev1_policy *p = &s->policy;

    seeded_random_init(&s->seeded, seed * 2 + index);
    s->random = seeded_random_source(&s->seeded);
    s->site = NO_MACHINE;
    s->next_spi = 0x10000000u * (index + 1) + 1;
    s->endpoint.address = address_ipv4(index == 0 ? 0xc0000201u : 0xcb007102u);
    s->endpoint.port = 500;
    ikev1_pair_set_ike(pair, index, "aes128-sha256-modp2048");
    ikev1_pair_set_esp(pair, index, "aes128-sha256");
    p->ike = &s->ike_proposals;
    if (!ike_identity_parse(slice_of_text(index == 0 ? "left.example" : "right.example"),
                            &p->local_id) ||
        !ike_identity_parse(slice_of_text(index == 0 ? "right.example" : "left.example"),
                            &p->peer_id) ||
        !secret_set(&p->shared_key, SLICE_TEXT("a shared key that both sides know"))) {
        abort();
    }
    p->ike_lifetime_ms = NEVER_MS;
    p->liveness_ms = NEVER_MS;
    p->retransmit_first_ms = 1000;
    p->retransmit_max_ms = 30000;
    p->retransmit_tries = 6;
    p->grace_ms = 10000;
    p->children = s->children_policy;
    p->initiate = true;
    set_child(s, 0, "net", network_selector(index == 0 ? 0x0a010000u : 0x0a020000u, 16),
              network_selector(index == 0 ? 0x0a020000u : 0x0a010000u, 16));
    s->ike_lists[0] = p->ike;
    s->responder.ike = s->ike_lists;
    s->responder.ike_count = 1;
    s->responder.shared_keys = true;
    s->responder.half_open_ms = 30000;
}

struct ikev1_pair *ikev1_pair_new(uint64_t seed)
{
    struct ikev1_pair *pair = pages(sizeof(*pair));

    if (pair == NULL) {
        abort();
    }
    pair->actions = pages(sizeof(*pair->actions));
    pair->other_actions = pages(sizeof(*pair->other_actions));
    if (pair->actions == NULL || pair->other_actions == NULL) {
        abort();
    }
    pair->actions->count = pair->other_actions->count = 0;
    pair->now_ms = 1000000;
    set_side(pair, 0, seed);
    set_side(pair, 1, seed);
    return pair;
}

static void free_machine(struct pair1_side *s, unsigned index)
{
    ikev1_sa_free(s->machines[index].sa);
    s->machines[index] = (struct pair1_machine){0};
    if (s->site == index) {
        s->site = NO_MACHINE;
    }
    size_t kept = 0;

    for (size_t i = 0; i < s->ask_count; i++) {
        if (s->asks[i].machine == index) {
            key_pair_wipe(&s->asks[i].pair);
        } else {
            s->asks[kept++] = s->asks[i];
        }
    }
    s->ask_count = kept;
}

void ikev1_pair_free(struct ikev1_pair *pair)
{
    for (unsigned i = 0; i < 2; i++) {
        for (unsigned k = 0; k < PAIR1_MACHINES_MAX; k++) {
            free_machine(&pair->side[i], k);
        }
        secret_wipe(&pair->side[i].policy.shared_key);
        for (size_t k = 0; k < pair->side[i].other_count; k++) {
            secret_wipe(&pair->side[i].others[k].shared_key);
        }
    }
    while (pair->queue_count > 0) {
        ikev1_pair_drop(pair, 0);
    }
    (void)munmap(pair->actions, sizeof(*pair->actions));
    (void)munmap(pair->other_actions, sizeof(*pair->other_actions));
    (void)munmap(pair, sizeof(*pair));
}

/* ---- the network ---- */

/* What the receiver sees of a datagram of this side; false: nobody gets it. */
static bool route_datagram(const struct ikev1_pair *pair, unsigned from,
                           const struct endpoint *local, const struct endpoint *peer,
                           struct pair1_datagram *d)
{
    d->to = 1 - from;
    d->local = *peer;
    d->peer = *local;
    if (!pair->nat) {
        return address_equal(&peer->address, &pair->side[1 - from].endpoint.address);
    }
    struct address outside = address_ipv4(NAT_ADDRESS);

    if (from == 0) {
        d->peer.address = outside;
        d->peer.port = (uint16_t)(local->port + NAT_PORT_OFFSET + pair->nat_port_shift);
        return address_equal(&peer->address, &pair->side[1].endpoint.address);
    }
    uint16_t port = (uint16_t)(peer->port - NAT_PORT_OFFSET - pair->nat_port_shift);

    d->local.address = pair->side[0].endpoint.address;
    d->local.port = port;
    return address_equal(&peer->address, &outside) && (port == 500 || port == 4500);
}

/* IKE from port 4500 begins with the non-ESP marker and IKE from port 500 does not (RFC 3948 2.2):
 * who gets the one at the other port can read nothing. */
static bool arrives(const struct ikev1_pair *pair, unsigned from, const struct endpoint *local,
                    const struct endpoint *peer, struct pair1_datagram *d)
{
    return route_datagram(pair, from, local, peer, d) &&
           (local->port == ENCAPSULATION_PORT) == (d->local.port == ENCAPSULATION_PORT);
}

static void queue_add(struct ikev1_pair *pair, unsigned from, const struct endpoint *local,
                      const struct endpoint *peer, struct slice bytes)
{
    struct pair1_datagram d = {.length = bytes.length};

    pair->side[from].sends++;
    if (!arrives(pair, from, local, peer, &d) || pair->queue_count == PAIR1_QUEUE_MAX) {
        return;
    }
    d.bytes = malloc(bytes.length + 1);
    if (d.bytes == NULL) {
        abort();
    }
    memcpy(d.bytes, bytes.data, bytes.length);
    if (pair->passes != NULL && !pair->passes(pair->context, pair, &d)) {
        free(d.bytes);
        return;
    }
    pair->queue[pair->queue_count++] = d;
}

static struct pair1_datagram queue_take(struct ikev1_pair *pair, size_t index)
{
    assert(index < pair->queue_count);
    struct pair1_datagram d = pair->queue[index];

    pair->queue_count--;
    memmove(&pair->queue[index], &pair->queue[index + 1],
            (pair->queue_count - index) * sizeof(pair->queue[0]));
    return d;
}

void ikev1_pair_drop(struct ikev1_pair *pair, size_t index)
{
    free(queue_take(pair, index).bytes);
}

/* ---- what a machine does ---- */

static struct pair1_child *child_of(struct pair1_side *s, uint32_t spi_in)
{
    for (size_t i = 0; i < s->child_count; i++) {
        if (s->children[i].info.spi_in == spi_in && !s->children[i].removed) {
            return &s->children[i];
        }
    }
    return NULL;
}

static void forget_removed(struct pair1_side *s)
{
    size_t kept = 0;

    for (size_t i = 0; i < s->child_count; i++) {
        if (!s->children[i].removed) {
            s->children[kept++] = s->children[i];
        }
    }
    s->children_forgotten += s->child_count - kept;
    s->child_count = kept;
}

static void child_install(struct pair1_side *s, const struct ikev1_child_info *info)
{
    if (s->child_count == PAIR1_CHILDREN_MAX) {
        forget_removed(s);
    }
    assert(s->child_count < PAIR1_CHILDREN_MAX && child_of(s, info->spi_in) == NULL);
    struct pair1_child *c = &s->children[s->child_count++];

    memset(c, 0, sizeof(*c));
    c->info = *info;
    memcpy(c->name, info->policy->name, sizeof(c->name));
    assert(info->key_in.length <= PAIR1_KEY_BYTES_MAX &&
           info->key_in.length == info->key_out.length && info->local_count > 0 &&
           info->local_count <= PAIR1_SELECTORS_MAX && info->remote_count == 1);
    c->key_bytes = info->key_in.length;
    memcpy(c->key_in, info->key_in.data, c->key_bytes);
    memcpy(c->key_out, info->key_out.data, c->key_bytes);
    c->around_bytes = info->around.key_in.length;
    assert(c->around_bytes <= PAIR1_KEY_BYTES_MAX &&
           c->around_bytes == info->around.key_out.length);
    if (c->around_bytes > 0) {
        memcpy(c->around_in, info->around.key_in.data, c->around_bytes);
        memcpy(c->around_out, info->around.key_out.data, c->around_bytes);
    }
    c->local = info->local_selectors[0];
    c->remote = info->remote_selectors[0];
    memcpy(c->locals, info->local_selectors, info->local_count * sizeof(c->locals[0]));
    c->info.around.key_in = c->info.around.key_out = (struct slice){NULL, 0};
    c->info.policy = NULL;
    c->info.local_selectors = NULL;
    c->info.remote_selectors = NULL;
}

static void take_child(struct pair1_side *s, const struct ikev1_action *a)
{
    struct pair1_child *c = child_of(s, a->child.spi_in);

    assert(c != NULL);
    if (a->kind == IKEV1_CHILD_USE) {
        c->used = true;
        c->stopped = false;
    } else if (a->kind == IKEV1_CHILD_STOP) {
        c->stopped = true;
    } else {
        c->removed = true;
    }
}

/* What the gateway's worker does, as far as it matters here: the signature, the path to an
 * authority, and the host name that is expected. */
static bool is_proven(const struct pair1_side *s, const struct ikev1_proof_question *q,
                      struct ikev1_proof_answer *answer)
{
    struct certificate *list[CERTIFICATES_MAX];
    const struct certificate *borrowed[CERTIFICATES_MAX];
    struct certificate_verdict verdict = {0};
    struct trust_rules rules = {.now_s = s->now_s, .legacy = s->responder.dss};
    size_t count = 0;

    for (size_t i = 0; i < q->certificate_count; i++) {
        list[count] = certificate_read(q->certificates[i]);
        borrowed[count] = list[count];
        if (list[count] != NULL && !certificate_is_authority(list[count])) {
            struct certificate *own = list[count]; /* in whatever order they come */

            list[count] = list[0];
            list[0] = own;
            borrowed[count] = list[count];
            borrowed[0] = own;
        }
        count += list[count] != NULL ? 1 : 0;
    }
    bool right = count > 0 && certificate_key(list[0]) != NULL &&
                 signature_verify(certificate_key(list[0]), q->scheme, q->octets, q->signature);
    bool believed = right && q->policy != NULL &&
                    trust_verify(q->policy->certificates->trust, &rules, borrowed, count, &verdict);
    const struct ike_identity *name = &q->said;

    if (believed && q->policy->peer_id.type != 0) {
        name = &q->policy->peer_id;
    }
    bool named = believed && certificate_has_name(list[0], CERTIFICATE_NAME_DNS,
                                                  (struct slice){name->data, name->length});

    answer->certificate_refused = right;
    answer->problem = !right      ? CERTIFICATE_GOOD
                      : !believed ? CERTIFICATE_UNKNOWN_AUTHORITY
                      : named     ? CERTIFICATE_GOOD
                                  : CERTIFICATE_WRONG_NAME;
    answer->proven = *name;
    for (size_t i = 0; i < count; i++) {
        certificate_free(list[i]);
    }
    return named;
}

/* To the key that is known, else to that of the certificate which was shown. */
static bool seal(const struct pair1_side *s, const struct ikev1_proof_question *q,
                 struct pair1_ask *ask)
{
    const struct trust *trust = q->policy->certificates->trust;
    const struct certificate *pinned = NULL;
    const struct public_key *key = trust_pinned(trust, &pinned);
    struct certificate *shown =
        key == NULL && q->certificate_count > 0 ? certificate_read(q->certificates[0]) : NULL;
    const struct certificate *list[1] = {pinned != NULL ? pinned : shown};
    struct certificate_verdict verdict = {0};
    const struct trust_rules rules = {.now_s = s->now_s, .encipherment = true};
    bool good = key != NULL && pinned == NULL;

    if (!good && list[0] != NULL) {
        good = trust_verify(trust, &rules, list, 1, &verdict);
        key = certificate_key(list[0]);
        envelope_hash_certificate(&ask->envelope, certificate_der(list[0]));
    }
    ask->proof.certificate_refused = !good;
    ask->proof.problem = good ? CERTIFICATE_GOOD : CERTIFICATE_UNKNOWN_AUTHORITY;
    good = good && envelope_seal_all(&ask->envelope, key);
    certificate_free(shown);
    return good;
}

static void run_envelope(struct pair1_side *s, const struct ikev1_proof_question *q,
                         struct pair1_ask *ask)
{
    struct envelope *e = &ask->envelope;

    e->count = q->part_count;
    e->digest = q->digest;
    for (size_t i = 0; i < e->count; i++) {
        e->parts[i].least = q->parts[i].least;
        e->parts[i].most = q->parts[i].most;
        e->parts[i].length = q->parts[i].octets.length;
        assert(e->parts[i].length <= sizeof(e->parts[i].octets));
        memcpy(e->parts[i].octets, q->parts[i].octets.data, e->parts[i].length);
    }
    s->opened += q->sign ? (unsigned)e->count : 0;
    ask->proof.good = q->sign ? credential_open(q->policy->certificates->own, e) : seal(s, q, ask);
}

static void run_proof(struct pair1_side *s, const struct ikev1_proof_question *q,
                      struct pair1_ask *ask)
{
    if (q->part_count > 0) {
        run_envelope(s, q, ask);
        return;
    }
    struct writer w = writer_over(ask->made, sizeof(ask->made));
    struct text why = text_over(ask->proof.detail, sizeof(ask->proof.detail));

    ask->proof.good =
        q->sign ? credential_sign(q->policy->certificates->own, q->scheme, q->octets, &w, &why)
                : is_proven(s, q, &ask->proof);
    ask->made_bytes = writer_written(&w).length;
}

static void copy_word(char out[PAIR1_WORD_BYTES], struct slice said)
{
    if (!text_copy(out, PAIR1_WORD_BYTES, said)) {
        abort();
    }
}

/* RFC 1994 4.1, of the password that this side knows. */
static bool is_response(const struct pair1_side *s, const struct ikev1_login_question *q)
{
    const struct suite md5 = {.prf = PRF_HMAC_MD5};
    const struct slice parts[] = {
        {&q->said.chap_identifier, 1}, slice_of_text(s->words.password), q->challenge};
    struct ikev1_hash_value hash;

    return ikev1_hash(&md5, parts, ARRAY_LENGTH(parts), &hash) &&
           slice_equal(ikev1_hash_slice(&hash), q->said.chap_response);
}

static void take_login(struct pair1_side *s, const struct ikev1_login_question *q,
                       struct pair1_verdict *verdict)
{
    const struct ikev1_credentials *said = &q->said;

    s->logins_asked++;
    s->round = q->round;
    s->heard_chap = said->chap;
    copy_word(s->heard.user, said->user);
    copy_word(s->heard.password, said->password);
    copy_word(s->heard.passcode, said->passcode);
    copy_word(s->heard.next_pin, said->next_pin);
    copy_word(s->heard.answer, said->answer);
    if (q->round <= s->verdict_count) {
        *verdict = s->verdicts[q->round - 1];
        return;
    }
    bool good =
        strcmp(s->heard.user, s->words.user) == 0 &&
        (said->chap ? is_response(s, q) : strcmp(s->heard.password, s->words.password) == 0) &&
        (said->passcode.length == 0 || strcmp(s->heard.passcode, s->words.passcode) == 0);

    verdict->verdict = good ? IKEV1_LOGIN_ACCEPTED : IKEV1_LOGIN_REFUSED;
}

static void take_credentials(struct pair1_side *s, const struct ikev1_credentials_question *q)
{
    s->credentials_asked++;
    s->wanted = q->wanted;
    s->kind = q->kind;
    s->round = q->round;
    copy_word(s->message, q->message);
}

static void take_ask(struct pair1_side *s, unsigned machine, const struct ikev1_action *a)
{
    assert(s->ask_count < PAIR1_ASKS_MAX);
    struct pair1_ask *ask = &s->asks[s->ask_count++];

    memset(ask, 0, sizeof(*ask));
    ask->kind = a->kind;
    ask->machine = machine;
    if (a->kind == IKEV1_ASK_SPI) {
        ask->id = a->spi.id;
        return;
    }
    if (a->kind == IKEV1_ASK_PEER) {
        ask->id = a->asked_peer.id;
        return;
    }
    if (a->kind == IKEV1_ASK_PROOF) {
        ask->id = a->proof.id;
        run_proof(s, &a->proof, ask);
        return;
    }
    if (a->kind == IKEV1_ASK_LOGIN) {
        ask->id = a->login.id;
        take_login(s, &a->login, &ask->verdict);
        return;
    }
    if (a->kind == IKEV1_ASK_CREDENTIALS) {
        ask->id = a->credentials.id;
        take_credentials(s, &a->credentials);
        return;
    }
    if (a->kind == IKEV1_ASK_SETTINGS) {
        ask->id = a->settings.id;
        s->settings_asked++;
        s->settings_question = a->settings;
        return;
    }
    ask->id = a->key_exchange.id;
    ask->group = a->key_exchange.group;
    ask->peer_public_length = a->key_exchange.peer_public.length;
    assert(ask->peer_public_length <= sizeof(ask->peer_public));
    if (ask->peer_public_length > 0) {
        memcpy(ask->peer_public, a->key_exchange.peer_public.data, ask->peer_public_length);
    }
    if (a->key_exchange.pair != NULL) {
        ask->has_pair = true;
        ask->pair = *a->key_exchange.pair;
        ask->pair.private_key = (struct secret){0};
        if (!secret_copy(&ask->pair.private_key, &a->key_exchange.pair->private_key)) {
            abort();
        }
    }
}

static void take_spi(struct pair1_side *s, unsigned machine, uint64_t spi, bool added)
{
    for (size_t i = 0; i < s->ike_spi_count; i++) {
        if (s->ike_spis[i] == spi) {
            assert(!added);
            s->ike_spi_count--;
            s->ike_spis[i] = s->ike_spis[s->ike_spi_count];
            s->ike_spi_owner[i] = s->ike_spi_owner[s->ike_spi_count];
            return;
        }
    }
    assert(added && s->ike_spi_count < PAIR1_SPIS_MAX);
    s->ike_spis[s->ike_spi_count] = spi;
    s->ike_spi_owner[s->ike_spi_count++] = machine;
}

static void refresh_initial_contact(struct pair1_side *s)
{
    struct ikev1_sa_info info = {.established = false};

    if (s->site != NO_MACHINE) {
        ikev1_sa_get_info(s->machines[s->site].sa, &info);
    }
    if (s->says_initial_contact) {
        s->policy.initial_contact = !info.established;
    }
}

static void take_established(struct pair1_side *s, unsigned machine, const struct ikev1_action *a)
{
    struct pair1_machine *m = &s->machines[machine];

    s->suite = a->established.suite;
    s->chosen = a->established.policy;
    s->nat_local = a->established.nat_local;
    s->nat_peer = a->established.nat_peer;
    s->aggressive = a->established.aggressive;
    s->peer_id = a->established.peer_id;
    s->login = a->established.login;
    if (a->kind == IKEV1_TELL_REKEYED) {
        s->rekeyed++;
        return;
    }
    s->established++;
    m->up = ++s->moments;
    m->initial_contact = a->established.initial_contact;
    s->initial_contact += m->initial_contact ? 1 : 0;
    if (s->site == NO_MACHINE) {
        s->site = machine;
    } else if (s->site != machine) {
        m->absorb = true;
    }
    refresh_initial_contact(s);
}

/* The line of who made a message: side, and what RFC 2409 would write. */
static void transcribe(struct ikev1_pair *pair, unsigned side, const struct ikev1_action *a)
{
    size_t used = strlen(pair->transcript);
    struct text all = text_over(pair->transcript + used, sizeof(pair->transcript) - used);
    char line[2048];
    struct text text = text_over(line, sizeof(line));

    ikev1_describe(&a->trace.header, a->trace.header.next_payload, a->trace.payloads, &text);
    line[strcspn(line, "\n")] = '\0';
    text_addf(&all, "%u %s\n", side, line);
}

static bool has_word(struct slice bytes, const char *word)
{
    size_t length = strlen(word);

    for (size_t i = 0; length > 0 && i + length <= bytes.length; i++) {
        if (memcmp(bytes.data + i, word, length) == 0) {
            return true;
        }
    }
    return false;
}

static void take_action(struct ikev1_pair *pair, unsigned side, unsigned machine,
                        const struct ikev1_action *a)
{
    struct pair1_side *s = &pair->side[side];

    switch (a->kind) {
    case IKEV1_SEND:
        queue_add(pair, side, &a->send.local, &a->send.peer, a->send.bytes);
        return;
    case IKEV1_ASK_KEY_EXCHANGE:
    case IKEV1_ASK_SPI:
    case IKEV1_ASK_PEER:
    case IKEV1_ASK_PROOF:
    case IKEV1_ASK_LOGIN:
    case IKEV1_ASK_CREDENTIALS:
    case IKEV1_ASK_SETTINGS:
        take_ask(s, machine, a);
        return;
    case IKEV1_TELL_SETTINGS:
        s->settings_told++;
        s->told = *a->settings_told;
        return;
    case IKEV1_TELL_SPI_ADDED:
    case IKEV1_TELL_SPI_REMOVED:
        take_spi(s, machine, a->ike_spi, a->kind == IKEV1_TELL_SPI_ADDED);
        return;
    case IKEV1_TELL_ESTABLISHED:
    case IKEV1_TELL_REKEYED:
        take_established(s, machine, a);
        return;
    case IKEV1_TELL_INITIAL_CONTACT:
        s->initial_contact++;
        return;
    case IKEV1_TELL_MOVED:
        s->moved++;
        s->moved_to = a->moved.peer;
        return;
    case IKEV1_CHILD_INSTALL:
        child_install(s, &a->child);
        return;
    case IKEV1_CHILD_USE:
    case IKEV1_CHILD_STOP:
    case IKEV1_CHILD_REMOVE:
        take_child(s, a);
        return;
    case IKEV1_SPI_UNUSED:
        s->esp_spis_unused++;
        return;
    case IKEV1_TELL_CHILD_FAILED:
        s->child_failed++;
        s->child_failure = a->failed.failure;
        return;
    case IKEV1_TELL_FAILED:
    case IKEV1_TELL_CLOSED:
        s->machines[machine].over = true;
        refresh_initial_contact(s);
        if (a->failed.failure.reason == IKEV1_FAIL_NONE) {
            s->absorbed++;
            return;
        }
        (a->kind == IKEV1_TELL_FAILED) ? s->failed++ : s->closed++;
        s->failure = a->failed.failure;
        return;
    case IKEV1_TRACE:
        s->leaked |= has_word(a->trace.payloads, s->words.password) ||
                     has_word(a->trace.payloads, s->words.passcode) ||
                     has_word(a->trace.payloads, s->words.next_pin);
        if (a->trace.sent) {
            transcribe(pair, side, a);
        }
        return;
    }
}

static void take_actions(struct ikev1_pair *pair, unsigned side, unsigned machine,
                         struct ikev1_actions *actions)
{
    for (size_t i = 0; i < actions->count; i++) {
        take_action(pair, side, machine, &actions->list[i]);
    }
    actions->count = 0;
}

static void answer_proof(struct ikev1_pair *pair, struct ikev1_sa *sa, struct pair1_ask *ask,
                         bool good)
{
    ask->proof.made = (struct slice){ask->made, good ? ask->made_bytes : 0};
    ask->proof.good = ask->proof.good && good;
    ask->proof.part_count = good ? ask->envelope.count : 0;
    for (size_t i = 0; i < ask->proof.part_count; i++) {
        ask->proof.parts[i] =
            (struct slice){ask->envelope.parts[i].octets, ask->envelope.parts[i].length};
    }
    ask->proof.hash = (struct slice){ask->envelope.hash, ask->envelope.hash_bytes};
    ikev1_sa_answer_proof(sa, ask->id, &ask->proof, pair->now_ms, pair->actions);
}

/* About logins and settings. */
static void answer_person(struct ikev1_pair *pair, const struct pair1_side *s, struct ikev1_sa *sa,
                          const struct pair1_ask *ask)
{
    struct ikev1_login_answer verdict = {
        .verdict = ask->verdict.verdict,
        .wanted = ask->verdict.wanted,
        .message = slice_of_text(ask->verdict.message != NULL ? ask->verdict.message : ""),
    };
    struct ikev1_credentials say = {
        .user = slice_of_text(s->words.user),
        .password = slice_of_text(s->words.password),
        .passcode = slice_of_text(s->words.passcode),
        .next_pin = slice_of_text(s->words.next_pin),
        .answer = slice_of_text(s->words.answer),
    };

    if (s->silent) {
        return;
    }
    if (ask->kind == IKEV1_ASK_LOGIN) {
        ikev1_sa_answer_login(sa, ask->id, &verdict, pair->now_ms, pair->actions);
    } else if (ask->kind == IKEV1_ASK_CREDENTIALS) {
        ikev1_sa_answer_credentials(sa, ask->id, s->no_words ? NULL : &say, pair->now_ms,
                                    pair->actions);
    } else {
        ikev1_sa_answer_settings(sa, ask->id, s->no_settings ? NULL : &s->settings, pair->now_ms,
                                 pair->actions);
    }
}

static void answer(struct ikev1_pair *pair, unsigned side, size_t index, bool good)
{
    struct pair1_side *s = &pair->side[side];
    struct pair1_ask ask = s->asks[index];
    struct ikev1_sa *sa = s->machines[ask.machine].sa;
    struct secret shared = {0};

    s->ask_count--;
    memmove(&s->asks[index], &s->asks[index + 1], (s->ask_count - index) * sizeof(s->asks[0]));
    if (ask.kind == IKEV1_ASK_SPI) {
        uint32_t spi = s->no_spi || !good ? 0 : s->next_spi++;

        s->esp_spis_given += spi != 0 ? 1 : 0;
        ikev1_sa_answer_spi(sa, ask.id, spi, pair->now_ms, pair->actions);
    } else if (ask.kind == IKEV1_ASK_PEER) {
        const struct ikev1_policy *list[4] = {&s->policy};
        size_t count = 1;

        refresh_initial_contact(s);
        for (size_t i = 0; i < s->other_count; i++) {
            list[count++] = &s->others[i];
        }
        ikev1_sa_answer_peer(sa, ask.id, list, s->answers_nobody || !good ? 0 : count, pair->now_ms,
                             pair->actions);
    } else if (ask.kind == IKEV1_ASK_PROOF) {
        answer_proof(pair, sa, &ask, good);
    } else if (ask.kind == IKEV1_ASK_LOGIN || ask.kind == IKEV1_ASK_CREDENTIALS ||
               ask.kind == IKEV1_ASK_SETTINGS) {
        answer_person(pair, s, sa, &ask);
    } else {
        bool ok = good && key_exchange_step(ask.group, &s->random, ask.has_pair, &ask.pair,
                                            (struct slice){ask.peer_public, ask.peer_public_length},
                                            &shared);

        ikev1_sa_answer_key_exchange(sa, ask.id, ok, ok && !ask.has_pair ? &ask.pair : NULL,
                                     ok && ask.peer_public_length > 0 ? &shared : NULL,
                                     pair->now_ms, pair->actions);
    }
    key_pair_wipe(&ask.pair);
    secret_wipe(&shared);
    take_actions(pair, side, ask.machine, pair->actions);
}

/* What a gateway does with a peer who began anew. */
static bool absorb_one(struct ikev1_pair *pair, unsigned side)
{
    struct pair1_side *s = &pair->side[side];

    for (unsigned i = 0; i < PAIR1_MACHINES_MAX; i++) {
        struct pair1_machine *m = &s->machines[i];

        if (m->sa == NULL || !m->absorb || m->over) {
            continue;
        }
        m->absorb = false;
        unsigned site = s->site;

        if (site == NO_MACHINE) {
            s->site = i;
        } else if (m->initial_contact && s->machines[site].up != 0 &&
                   s->machines[site].up < m->begun) {
            ikev1_sa_close(s->machines[site].sa, IKEV1_FAIL_REPLACED, pair->now_ms, pair->actions);
            take_actions(pair, side, site, pair->actions);
            s->site = i;
        } else {
            ikev1_sa_absorb(s->machines[site].sa, m->sa, pair->now_ms, pair->actions,
                            pair->other_actions);
            take_actions(pair, side, i, pair->other_actions);
            take_actions(pair, side, site, pair->actions);
        }
        return true;
    }
    return false;
}

static bool free_one(struct ikev1_pair *pair, unsigned side)
{
    for (unsigned i = 0; i < PAIR1_MACHINES_MAX; i++) {
        if (pair->side[side].machines[i].over) {
            free_machine(&pair->side[side], i);
            return true;
        }
    }
    return false;
}

/* After each event: what was done, the answers, and what follows. */
static void settle(struct ikev1_pair *pair, unsigned side, unsigned machine)
{
    struct pair1_side *s = &pair->side[side];
    bool more = true;

    take_actions(pair, side, machine, pair->actions);
    while (more) {
        more = free_one(pair, side);
        if (!more && s->ask_count > (s->holds_asks ? ASKS_HELD_MAX : 0)) {
            answer(pair, side, 0, true);
            more = true;
        }
        more = more || absorb_one(pair, side);
    }
}

/* ---- machines ---- */

static unsigned free_place(const struct pair1_side *s)
{
    unsigned i = 0;

    while (i < PAIR1_MACHINES_MAX && s->machines[i].sa != NULL) {
        i++;
    }
    return i;
}

struct ikev1_sa *ikev1_pair_sa(struct ikev1_pair *pair, unsigned side)
{
    const struct pair1_side *s = &pair->side[side];

    return s->site == NO_MACHINE ? NULL : s->machines[s->site].sa;
}

struct ikev1_sa *ikev1_pair_machine(struct ikev1_pair *pair, unsigned side)
{
    unsigned i = 0;

    while (i < PAIR1_MACHINES_MAX && pair->side[side].machines[i].sa == NULL) {
        i++;
    }
    return i == PAIR1_MACHINES_MAX ? NULL : pair->side[side].machines[i].sa;
}

size_t ikev1_pair_machines(const struct ikev1_pair *pair, unsigned side)
{
    size_t count = 0;

    for (unsigned i = 0; i < PAIR1_MACHINES_MAX; i++) {
        count += pair->side[side].machines[i].sa != NULL ? 1 : 0;
    }
    return count;
}

void ikev1_pair_start(struct ikev1_pair *pair, unsigned side)
{
    struct pair1_side *s = &pair->side[side];
    struct endpoint local = s->endpoint;
    struct endpoint peer = pair->side[1 - side].endpoint;
    unsigned place = free_place(s);

    assert(place < PAIR1_MACHINES_MAX && s->site == NO_MACHINE);
    s->machines[place].sa = ikev1_sa_new_initiator(&s->policy, &local, &peer, &s->random);
    if (s->machines[place].sa == NULL) {
        abort();
    }
    refresh_initial_contact(s);
    s->site = place;
    s->machines[place].begun = ++s->moments;
    ikev1_sa_start(s->machines[place].sa, pair->now_ms, pair->actions);
    settle(pair, side, place);
}

static unsigned find_machine(const struct pair1_side *s, const struct ikev1_header *h,
                             const struct endpoint *peer)
{
    for (size_t i = 0; i < s->ike_spi_count; i++) {
        if (s->ike_spis[i] == h->cookie_i || s->ike_spis[i] == h->cookie_r) {
            return s->ike_spi_owner[i];
        }
    }
    for (unsigned i = 0; i < PAIR1_MACHINES_MAX && h->cookie_r == 0; i++) {
        if (s->machines[i].sa != NULL && s->machines[i].cookie_i == h->cookie_i &&
            endpoint_equal(&s->machines[i].peer, peer)) {
            return i;
        }
    }
    return NO_MACHINE;
}

static unsigned new_responder(struct ikev1_pair *pair, unsigned side, const struct ikev1_header *h,
                              const struct endpoint *local, const struct endpoint *peer)
{
    struct pair1_side *s = &pair->side[side];
    unsigned place = free_place(s);

    if (place == NO_MACHINE) {
        return NO_MACHINE;
    }
    s->responders++;
    s->machines[place] = (struct pair1_machine){
        .begun = ++s->moments,
        .sa = ikev1_sa_new_responder(&s->responder, local, peer, &s->random),
        .peer = *peer,
        .cookie_i = h->cookie_i,
    };
    if (s->machines[place].sa == NULL) {
        abort();
    }
    return place;
}

void ikev1_pair_inject(struct ikev1_pair *pair, unsigned to, const struct endpoint *local,
                       const struct endpoint *peer, struct slice bytes)
{
    struct pair1_side *s = &pair->side[to];
    struct reader r = reader_over(bytes);
    struct ikev1_header h;

    if (s->deaf || !ikev1_read_header(&r, &h)) {
        return;
    }
    unsigned machine = find_machine(s, &h, peer);

    if (machine == NO_MACHINE && ikev1_sa_may_begin(bytes, s->responder.aggressive)) {
        machine = new_responder(pair, to, &h, local, peer);
    }
    if (machine == NO_MACHINE) {
        return;
    }
    ikev1_sa_receive(s->machines[machine].sa, bytes, local, peer, pair->now_ms, pair->actions);
    settle(pair, to, machine);
}

void ikev1_pair_deliver_copy(struct ikev1_pair *pair, size_t index)
{
    struct pair1_datagram d = pair->queue[index];

    ikev1_pair_inject(pair, d.to, &d.local, &d.peer, (struct slice){d.bytes, d.length});
}

void ikev1_pair_deliver(struct ikev1_pair *pair, size_t index)
{
    struct pair1_datagram d = queue_take(pair, index);

    ikev1_pair_inject(pair, d.to, &d.local, &d.peer, (struct slice){d.bytes, d.length});
    free(d.bytes);
}

bool ikev1_pair_run(struct ikev1_pair *pair)
{
    for (size_t i = 0; i < DELIVERIES_MAX; i++) {
        if (pair->queue_count == 0) {
            return true;
        }
        ikev1_pair_deliver(pair, 0);
    }
    return false;
}

void ikev1_pair_answer(struct ikev1_pair *pair, unsigned side, size_t index, bool good)
{
    assert(index < pair->side[side].ask_count);
    unsigned machine = pair->side[side].asks[index].machine;

    answer(pair, side, index, good);
    settle(pair, side, machine);
}

static void time_of_side(struct ikev1_pair *pair, unsigned side)
{
    for (unsigned i = 0; i < PAIR1_MACHINES_MAX; i++) {
        struct ikev1_sa *sa = pair->side[side].machines[i].sa;

        if (sa != NULL && ikev1_sa_deadline_ms(sa) <= pair->now_ms) {
            ikev1_sa_time(sa, pair->now_ms, pair->actions);
            settle(pair, side, i);
        }
    }
}

void ikev1_pair_jump(struct ikev1_pair *pair, uint64_t ms)
{
    pair->now_ms += ms;
    time_of_side(pair, 0);
    time_of_side(pair, 1);
}

uint64_t ikev1_pair_deadline_ms(const struct ikev1_pair *pair)
{
    uint64_t next_ms = NEVER_MS;

    for (unsigned side = 0; side < 2; side++) {
        for (unsigned i = 0; i < PAIR1_MACHINES_MAX; i++) {
            const struct ikev1_sa *sa = pair->side[side].machines[i].sa;
            uint64_t at_ms = sa != NULL ? ikev1_sa_deadline_ms(sa) : NEVER_MS;

            next_ms = at_ms < next_ms ? at_ms : next_ms;
        }
    }
    return next_ms;
}

void ikev1_pair_advance(struct ikev1_pair *pair, uint64_t ms)
{
    uint64_t end_ms = pair->now_ms + ms;

    (void)!ikev1_pair_run(pair);
    for (;;) {
        uint64_t next_ms = ikev1_pair_deadline_ms(pair);

        if (next_ms > end_ms) {
            break;
        }
        /* A deadline that has come and stays would never let time pass. */
        pair->now_ms = next_ms > pair->now_ms ? next_ms : pair->now_ms + 1;
        time_of_side(pair, 0);
        time_of_side(pair, 1);
        (void)!ikev1_pair_run(pair);
    }
    pair->now_ms = end_ms > pair->now_ms ? end_ms : pair->now_ms;
}

void ikev1_pair_settle(struct ikev1_pair *pair, unsigned side)
{
    settle(pair, side, pair->side[side].site);
}

/* ---- orders ---- */

void ikev1_pair_close(struct ikev1_pair *pair, unsigned side)
{
    unsigned site = pair->side[side].site;

    ikev1_sa_close(ikev1_pair_sa(pair, side), IKEV1_FAIL_ORDERED, pair->now_ms, pair->actions);
    settle(pair, side, site);
}

void ikev1_pair_rekey(struct ikev1_pair *pair, unsigned side)
{
    unsigned site = pair->side[side].site;

    ikev1_sa_rekey(ikev1_pair_sa(pair, side), pair->now_ms, pair->actions);
    settle(pair, side, site);
}

void ikev1_pair_rekey_child(struct ikev1_pair *pair, unsigned side, uint32_t spi_in)
{
    unsigned site = pair->side[side].site;

    ikev1_sa_rekey_child(ikev1_pair_sa(pair, side), spi_in, pair->now_ms, pair->actions);
    settle(pair, side, site);
}

void ikev1_pair_start_child(struct ikev1_pair *pair, unsigned side, unsigned policy)
{
    unsigned site = pair->side[side].site;

    ikev1_sa_start_child(ikev1_pair_sa(pair, side), &pair->side[side].children_policy[policy],
                         pair->now_ms, pair->actions);
    settle(pair, side, site);
}

void ikev1_pair_close_child(struct ikev1_pair *pair, unsigned side, uint32_t spi_in)
{
    unsigned site = pair->side[side].site;

    ikev1_sa_close_child(ikev1_pair_sa(pair, side), spi_in, pair->now_ms, pair->actions);
    settle(pair, side, site);
}

void ikev1_pair_ask_liveness(struct ikev1_pair *pair, unsigned side)
{
    unsigned site = pair->side[side].site;

    ikev1_sa_ask_liveness(ikev1_pair_sa(pair, side), pair->now_ms, pair->actions);
    settle(pair, side, site);
}

void ikev1_pair_reboot(struct ikev1_pair *pair, unsigned side)
{
    struct pair1_side *s = &pair->side[side];

    for (unsigned i = 0; i < PAIR1_MACHINES_MAX; i++) {
        free_machine(s, i);
    }
    for (size_t i = 0; i < s->child_count; i++) {
        s->children[i].removed = true;
    }
    s->ike_spi_count = 0;
    /* Who forgets everything gives nothing back. */
    s->esp_spis_unused = (unsigned)(s->esp_spis_given - s->children_forgotten - s->child_count);
}

/* ---- what was recorded ---- */

struct pair1_child *ikev1_pair_outbound(struct ikev1_pair *pair, unsigned side,
                                        const char *child_name)
{
    struct pair1_side *s = &pair->side[side];
    struct pair1_child *found = NULL;

    /* The one that was told to be used last. */
    for (size_t i = 0; i < s->child_count; i++) {
        struct pair1_child *c = &s->children[i];

        if (c->used && !c->stopped && !c->removed && strcmp(c->name, child_name) == 0) {
            found = c;
        }
    }
    return found;
}

/* The child of the other side that opens what this one seals. */
static struct pair1_child *counterpart(struct ikev1_pair *pair, unsigned side,
                                       const struct pair1_child *c)
{
    struct pair1_child *other = child_of(&pair->side[1 - side], c->info.spi_out);

    return other != NULL && other->info.spi_out == c->info.spi_in ? other : NULL;
}

static bool same_keys(const struct pair1_child *a, const struct pair1_child *b)
{
    return a->key_bytes == b->key_bytes && a->key_bytes > 0 &&
           memcmp(a->key_in, b->key_out, a->key_bytes) == 0 &&
           memcmp(a->key_out, b->key_in, a->key_bytes) == 0 &&
           memcmp(a->key_in, a->key_out, a->key_bytes) != 0;
}

bool ikev1_pair_packet(struct ikev1_pair *pair, unsigned from, const char *child_name)
{
    const struct pair1_child *out = ikev1_pair_outbound(pair, from, child_name);
    unsigned to = 1 - from;

    if (out == NULL) {
        return false;
    }
    const struct pair1_child *in = counterpart(pair, from, out);

    if (in == NULL || !same_keys(out, in)) {
        return false;
    }
    if (ikev1_pair_sa(pair, to) != NULL) {
        unsigned site = pair->side[to].site;

        ikev1_sa_child_heard(ikev1_pair_sa(pair, to), in->info.spi_in, pair->now_ms, pair->actions);
        settle(pair, to, site);
    }
    return true;
}

size_t ikev1_pair_live_children(const struct ikev1_pair *pair, unsigned side)
{
    size_t count = 0;

    for (size_t i = 0; i < pair->side[side].child_count; i++) {
        count += pair->side[side].children[i].removed ? 0 : 1;
    }
    return count;
}

/* In transport mode through a NAT each side has the addresses that it sees. */
static bool same_selector(const struct pair1_child *c, const struct selector *a,
                          const struct selector *b)
{
    struct selector seen = *a;

    if (c->info.transport_mode && c->info.encapsulated) {
        seen.addresses = b->addresses;
    }
    return selector_equal(&seen, b);
}

/* What stands around ESP and inside of it. */
static bool same_parts(const struct pair1_child *a, const struct pair1_child *b)
{
    return a->info.around.spi_in == b->info.around.spi_out &&
           a->info.around.spi_out == b->info.around.spi_in &&
           a->info.around.suite.integrity == b->info.around.suite.integrity &&
           a->info.cpi_in == b->info.cpi_out && a->info.cpi_out == b->info.cpi_in &&
           a->around_bytes == b->around_bytes &&
           memcmp(a->around_in, b->around_out, a->around_bytes) == 0 &&
           memcmp(a->around_out, b->around_in, a->around_bytes) == 0;
}

static bool side_agrees(struct ikev1_pair *pair, unsigned side)
{
    struct pair1_side *s = &pair->side[side];

    for (size_t i = 0; i < s->child_count; i++) {
        const struct pair1_child *c = &s->children[i];

        if (c->removed || c->stopped || !c->used) {
            continue;
        }
        const struct pair1_child *other = counterpart(pair, side, c);

        if (other == NULL || !same_keys(c, other) ||
            c->info.encapsulated != other->info.encapsulated ||
            c->info.protocol != other->info.protocol ||
            c->info.suite.encryption != other->info.suite.encryption ||
            c->info.suite.key_bits != other->info.suite.key_bits ||
            c->info.suite.integrity != other->info.suite.integrity ||
            c->info.transport_mode != other->info.transport_mode || !same_parts(c, other) ||
            !same_selector(c, &c->local, &other->remote) ||
            !same_selector(c, &c->remote, &other->local)) {
            return false;
        }
    }
    return true;
}

bool ikev1_pair_agrees(struct ikev1_pair *pair)
{
    return side_agrees(pair, 0) && side_agrees(pair, 1);
}

bool ikev1_pair_is_empty(const struct ikev1_pair *pair, unsigned side)
{
    const struct pair1_side *s = &pair->side[side];
    size_t installed = s->children_forgotten + s->child_count;

    for (size_t i = 0; i < s->child_count; i++) {
        installed += s->children[i].info.around.spi_in != 0 ? 1 : 0;
    }
    return ikev1_pair_machines(pair, side) == 0 && s->ike_spi_count == 0 &&
           ikev1_pair_live_children(pair, side) == 0 &&
           s->esp_spis_given == s->esp_spis_unused + installed;
}
