/*
 * What was asked outside and not answered yet. Each question belongs to a site or to an IKE SA and
 * is forgotten with it; an answer to a forgotten one has no effect.
 */
#include "gateway/inside.h"

#include <stdlib.h>
#include <string.h>

#define SECRET_AGAIN_MS 5000

static struct slice key_of(const uint64_t *id)
{
    return (struct slice){(const uint8_t *)id, sizeof(*id)};
}

static struct question **list_of(const struct question *q)
{
    if (q->manual != NULL) {
        return manual_questions(q->manual);
    }
    return q->site != NULL ? &q->site->questions : &q->ike->questions;
}

static uint64_t ask(struct gateway *g, const struct question *question)
{
    struct question *q = calloc(1, sizeof(*q));

    if (q == NULL) {
        return 0;
    }
    *q = *question;
    q->id = ++g->next_question;
    if (!table_add(&g->questions, key_of(&q->id), q)) {
        free(q);
        return 0;
    }
    struct question **list = list_of(q);

    q->next = *list;
    *list = q;
    g->strangers_exchanges += q->of_stranger ? 1 : 0;
    return q->id;
}

uint64_t questions_ask(struct gateway *g, enum question_kind kind, struct site *site,
                       struct ike *ike, uint32_t machine_question)
{
    return ask(g, &(struct question){
                      .kind = kind,
                      .site = site,
                      .ike = ike,
                      .of_stranger = ike != NULL && !ike->initiator && !ike->established &&
                                     kind != QUESTION_LOGIN && kind != QUESTION_PASSWORD,
                      .machine_question = machine_question,
                  });
}

uint64_t questions_ask_manual(struct gateway *g, struct manual *manual, uint32_t key)
{
    return ask(
        g, &(struct question){.kind = QUESTION_SECRET, .manual = manual, .machine_question = key});
}

bool questions_take(struct gateway *g, uint64_t id, struct question *out)
{
    struct question *q = table_remove(&g->questions, key_of(&id));

    if (q == NULL) {
        return false;
    }
    struct question **link = list_of(q);

    while (*link != q) {
        link = &(*link)->next;
    }
    *link = q->next;
    *out = *q;
    g->strangers_exchanges -= q->of_stranger ? 1 : 0;
    free(q);
    return true;
}

void questions_forget(struct gateway *g, struct question **list)
{
    while (*list != NULL) {
        struct question *q = *list;

        *list = q->next;
        g->strangers_exchanges -= q->of_stranger ? 1 : 0;
        (void)table_remove(&g->questions, key_of(&q->id));
        free(q);
    }
}

void questions_ask_secret(struct site *site, uint64_t now_ms)
{
    struct gateway *g = site->gateway;

    if (site->secret_asked) {
        return;
    }
    if (site->config->unauthenticated) {
        site_proves_nothing(site, now_ms);
        return;
    }
    bool certificates = certificates_are_wanted(site->config);
    uint64_t id = questions_ask(g, QUESTION_SECRET, site, NULL, 0);
    struct gateway_action *action =
        id == 0 ? NULL
                : actions_add(g, certificates ? GATEWAY_READ_CERTIFICATES : GATEWAY_READ_SECRET);

    if (action == NULL) {
        return;
    }
    site->secret_asked = true;
    site->secret_read_ms = now_ms;
    if (certificates) {
        action->certificates.question = id;
        actions_copy_words(action->certificates.site, sizeof(action->certificates.site),
                           site->name);
        return;
    }
    action->secret.question = id;
    actions_copy_words(action->secret.name, sizeof(action->secret.name), site->config->key.name);
}

void questions_ask_secret_again(struct site *site, uint64_t now_ms)
{
    if (site->secret_read_ms == 0 || now_ms >= site->secret_read_ms + SECRET_AGAIN_MS) {
        questions_ask_secret(site, now_ms);
    }
}

void gateway_resolved(struct gateway *g, uint64_t question, const struct address *addresses,
                      size_t count, const char *why, uint64_t now_ms)
{
    struct question q;

    g->now_ms = now_ms;
    if (questions_take(g, question, &q)) {
        if (q.kind == QUESTION_RESOLVE && q.site->dial_question == q.id) {
            dial_resolved(q.site, addresses, count, why, now_ms);
        } else if (q.kind == QUESTION_RESOLVE_AGAIN) {
            names_answered(q.site, addresses, count, now_ms);
        }
    }
    gateway_settle(g, now_ms);
}

void gateway_source(struct gateway *g, uint64_t question, const struct address *local,
                    const char *why, uint64_t now_ms)
{
    struct question q;

    g->now_ms = now_ms;
    if (questions_take(g, question, &q)) {
        if (q.kind == QUESTION_SOURCE && q.site->dial_question == q.id) {
            dial_source(q.site, local, why, now_ms);
        } else if (q.kind == QUESTION_SOURCE_HOST) {
            hosts_source(q.site, local);
        } else if (q.kind == QUESTION_SOURCE_AGAIN) {
            notes_source_again(q.ike, local, now_ms);
        } else if (q.kind == QUESTION_SOURCE_BEST) {
            mobility_best_found(q.ike, local, now_ms);
        } else if (q.kind == QUESTION_SOURCE_WAY) {
            mobility_way_found(q.ike, q.machine_question, local, now_ms);
        }
    }
    gateway_settle(g, now_ms);
}

void gateway_secret(struct gateway *g, uint64_t question, const struct secret *secret,
                    const char *why, uint64_t now_ms)
{
    struct question q;

    g->now_ms = now_ms;
    if (questions_take(g, question, &q) &&
        (q.kind == QUESTION_SECRET || q.kind == QUESTION_PASSWORD)) {
        if (q.kind == QUESTION_PASSWORD) {
            caller_password(q.ike, q.machine_question, secret, why, now_ms);
        } else if (q.manual != NULL) {
            manual_secret(q.manual, q.machine_question, secret, why, now_ms);
        } else if (ppk_is_question(&q)) {
            site_ppk_answered(q.site, secret, why, now_ms);
        } else {
            site_secret_answered(q.site, secret, why, now_ms);
        }
    }
    gateway_settle(g, now_ms);
}

void gateway_key_exchange_done(struct gateway *g, uint64_t job, bool ok, struct key_pair *pair,
                               struct secret *shared, uint64_t now_ms)
{
    struct question q;

    g->now_ms = now_ms;
    if (questions_take(g, job, &q) && q.kind == QUESTION_KEY_EXCHANGE) {
        ike_key_exchange_done(q.ike, q.machine_question, ok, pair, shared, now_ms);
    }
    /* What nobody took is not to stay in the hands of the caller. */
    if (pair != NULL) {
        key_pair_wipe(pair);
    }
    if (shared != NULL) {
        secret_wipe(shared);
    }
    gateway_settle(g, now_ms);
}

void gateway_proof_done(struct gateway *g, struct ikev2_proof *proof, uint64_t now_ms)
{
    struct question q;

    g->now_ms = now_ms;
    if (questions_take(g, proof->job, &q) && q.kind == QUESTION_PROOF) {
        ike_proof_done(q.ike, q.machine_question, proof, now_ms);
    }
    gateway_settle(g, now_ms);
}

void gateway_certificates(struct gateway *g, uint64_t question, struct credential *own,
                          struct trust *trust, const char *why, uint64_t now_ms)
{
    struct question q;

    g->now_ms = now_ms;
    if (questions_take(g, question, &q) && q.kind == QUESTION_SECRET && q.site != NULL) {
        site_certificates_answered(q.site, own, trust, why, now_ms);
    }
    gateway_settle(g, now_ms);
}
