/*
 * People who come by XAUTH (draft-beaulieu-ike-xauth-02) and are given an address (mode-config,
 * draft-dukes-ike-mode-cfg-02): what their IKE SAs ask, and what is answered. Who knows passwords
 * is asked outside (GATEWAY_LOGIN); wrong ones are rationed here. Nothing of a person is kept
 * before his login is right, but the question itself.
 */
#include "gateway/people.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "config/lexer.h"
#include "gateway/login_reason.h"

#define DELETE 0x7f
#define PERSON_REFUSED "The name or the password is wrong."
#define PERSON_UNAVAILABLE "Logins cannot be checked just now. Try again later."
#define PERSON_FULL "You are logged in elsewhere."

struct people *people_of(struct gateway *g)
{
    if (g->people == NULL) {
        g->people = calloc(1, sizeof(*g->people));
        if (g->people == NULL) {
            return NULL;
        }
        table_init(&g->people->by_user, g->identity_key, 0);
        rations_init(&g->people->rations, g->identity_key);
    }
    return g->people;
}

void people_fini(struct gateway *g)
{
    struct people *p = g->people;

    if (p == NULL) {
        return;
    }
    assert(p->first == NULL && p->blocks == NULL && p->given == NULL);
    table_fini(&p->by_user);
    rations_fini(&p->rations);
    free(p);
    g->people = NULL;
}

struct block *people_block(const struct gateway *g, const struct site *site)
{
    struct block *block = g->people == NULL ? NULL : g->people->blocks;

    while (block != NULL && block->site != site) {
        block = block->next;
    }
    return block;
}

/* ---- blocks ---- */

void people_configured(struct site *site)
{
    struct gateway *g = site->gateway;
    struct people *p = people_of(g);
    struct block *block = people_block(g, site);

    if (block == NULL && p != NULL) {
        block = calloc(1, sizeof(*block));
        if (block != NULL) {
            block->site = site;
            leases_init(&block->leases, g->identity_key);
            block->leases.all = &p->pools;
            block->leases.next_pool = p->pools;
            p->pools = &block->leases;
            block->next = p->blocks;
            p->blocks = block;
        }
    }
    if (block == NULL || !leases_configure(&block->leases, site->config->access)) {
        log_line(g->log, LOG_LEVEL_ERROR, site->name, "no memory for its addresses");
    }
}

void people_forget_block(struct site *site)
{
    struct gateway *g = site->gateway;
    struct block **link = g->people == NULL ? NULL : &g->people->blocks;

    while (link != NULL && *link != NULL && (*link)->site != site) {
        link = &(*link)->next;
    }
    if (link == NULL || *link == NULL) {
        return;
    }
    struct block *block = *link;

    struct leases **pool = &g->people->pools;

    sessions_free_of(block);
    while (*pool != &block->leases) {
        pool = &(*pool)->next_pool;
    }
    *pool = block->leases.next_pool;
    *link = block->next;
    leases_fini(&block->leases);
    free(block);
}

size_t people_block_count(const struct gateway *g)
{
    size_t count = 0;

    for (const struct block *block = g->people == NULL ? NULL : g->people->blocks; block != NULL;
         block = block->next) {
        count++;
    }
    return count;
}

const struct config_access *people_access(const struct site *site)
{
    const struct session *s = session_of(site);

    return s != NULL ? s->block->site->config->access : site->config->access;
}

bool people_is_block(const struct site *site)
{
    return site->config->access != NULL;
}

/* ---- what the machine of a person is told ---- */

void people_fill_terms(const struct site *site, struct ikev1_policy *policy)
{
    const struct config_access *access = people_access(site);
    const struct config_caller *caller = site->config->caller;

    if (access != NULL) {
        policy->login = IKEV1_LOGIN_ASK;
        policy->login_kind = IKEV1_LOGIN_GENERIC;
        policy->login_once = site->config->key.name == NULL && !access->hybrid;
        policy->hybrid = access->hybrid;
        policy->settings =
            access->settings == CONFIG_SETTINGS_PUSHED ? IKEV1_SETTINGS_PUSH : IKEV1_SETTINGS_GIVE;
        policy->initial_contact = false;
    } else if (caller != NULL) {
        policy->login = caller->user != NULL ? IKEV1_LOGIN_ANSWER : IKEV1_LOGIN_NONE;
        policy->hybrid = caller->hybrid;
        policy->settings = !caller->asks_address ? IKEV1_SETTINGS_NONE
                           : caller->takes_push  ? IKEV1_SETTINGS_TAKE
                                                 : IKEV1_SETTINGS_ASK;
    }
}

/* How somebody proves himself of whom nothing is known yet. */
void people_fill_responder(const struct site *site, struct ikev1_responder_policy *old)
{
    const struct config_access *access = site->config->access;

    if (site->config->key.name != NULL) {
        old->login_shared_keys = true;
    } else if (access->hybrid) {
        old->login_hybrid = true;
    } else if (site->certificates != NULL && credential_kind(site->certificates->own) == KEY_RSA) {
        old->login_rsa = true;
    }
}

/* ---- what is asked ---- */

static struct person *person_of(struct ike *ike)
{
    if (ike->old->person == NULL) {
        ike->old->person = calloc(1, sizeof(*ike->old->person));
    }
    return ike->old->person;
}

void people_forget(struct person *person)
{
    if (person == NULL) {
        return;
    }
    login_question_fini(&person->question);
    secret_wipe(&person->password);
    wipe(&person->answer, sizeof(person->answer));
    free(person->told);
    free(person);
}

const char *people_user(const struct ike *ike)
{
    return ike->is_old && ike->old->person != NULL ? ike->old->person->question.user : "";
}

/* False: it is no text that could be a name. */
static bool take_user(struct slice said, char out[LOGIN_USER_BYTES])
{
    size_t step;

    if (said.length == 0 || said.length >= LOGIN_USER_BYTES) {
        return false;
    }
    for (size_t at = 0; at < said.length; at += step) {
        uint32_t character = 0;

        step = utf8_read((struct slice){said.data + at, said.length - at}, &character);
        if (step == 0 || character < ' ' || character == DELETE || utf8_is_deceptive(character)) {
            return false;
        }
    }
    return text_copy(out, LOGIN_USER_BYTES, said);
}

/* A later round has the answer to what was asked then, alone or beside the rest. */
static struct slice proof_of(const struct ikev1_login_question *q)
{
    const struct ikev1_credentials *said = &q->said;

    if (said->chap) {
        return said->chap_response;
    }
    return said->answer.length > 0     ? said->answer
           : said->next_pin.length > 0 ? said->next_pin
           : said->passcode.length > 0 ? said->passcode
                                       : said->password;
}

void people_asked_login(struct ike *ike, const struct ikev1_login_question *q)
{
    struct person *person = person_of(ike);

    if (person == NULL) {
        return; /* the machine gives up after a while */
    }
    struct login_question *question = &person->question;
    struct slice proof = proof_of(q);

    /* Behind a NAT it is not the port any more from which he began; the session is known by it. Who
     * only renews is where he was until he is through. */
    if (!ike->established) {
        ike->peer = q->peer;
    }
    person->wants_login = true;
    person->has_answer = false;
    person->login_id = q->id;
    person->policy = q->policy;
    secret_wipe(&question->password);
    question->kind = q->said.chap ? LOGIN_CHAP : LOGIN_PASSWORD;
    question->caller = q->peer;
    question->chap_id = q->said.chap_identifier;
    question->chap_challenge_length = 0;
    if (q->said.chap && q->challenge.length <= LOGIN_CHALLENGE_BYTES_MAX) {
        question->chap_challenge_length = (uint8_t)q->challenge.length;
        memcpy(question->chap_challenge, q->challenge.data, q->challenge.length);
    }
    if (q->said.user.length > 0 || q->round == 1) {
        question->user[0] = '\0';
        if (!take_user(q->said.user, question->user)) {
            question->user[0] = '\0';
        }
    }
    if (proof.length > LOGIN_PASSWORD_BYTES_MAX || !secret_set(&question->password, proof)) {
        question->user[0] = '\0';
    }
    ike_order(ike, IKE_ORDER_PERSON);
}

void people_asked_credentials(struct ike *ike, const struct ikev1_credentials_question *q)
{
    struct person *person = person_of(ike);

    if (person != NULL) {
        person->wants_credentials = true;
        person->credentials_id = q->id;
        person->wanted = q->wanted;
        if (q->round == 1) {
            person->said = 0;
        }
        ike_order(ike, IKE_ORDER_PERSON);
    }
}

void people_asked_settings(struct ike *ike, const struct ikev1_settings_question *q)
{
    struct person *person = person_of(ike);

    if (person != NULL) {
        person->wants_settings = true;
        person->settings_id = q->id;
        ike_order(ike, IKE_ORDER_PERSON);
    }
}

void people_told_settings(struct ike *ike, const struct ikev1_settings *settings)
{
    struct person *person = person_of(ike);

    if (person == NULL) {
        return;
    }
    free(person->told);
    person->told = malloc(sizeof(*person->told));
    if (person->told != NULL) {
        *person->told = *settings;
        person->was_told = true;
        ike_order(ike, IKE_ORDER_PERSON);
    }
}

/* ---- a login ---- */

static void answer_login(struct ike *ike, enum ikev1_login_verdict verdict, const char *message,
                         uint64_t now_ms)
{
    struct person *person = ike->old->person;
    const struct ikev1_login_answer answer = {
        .verdict = verdict,
        .message = slice_of_text(message),
        .wanted = verdict == IKEV1_LOGIN_MORE ? IKEV1_CREDENTIAL_ANSWER : 0,
    };

    person->wants_login = false;
    machine_answer_login(ike, person->login_id, &answer, now_ms);
}

static struct site *block_site(struct ike *ike)
{
    struct site *site = ikev1_block_of(ike, ike->old->person->policy);

    return site != NULL && site_is_enabled(site) && !ike->gateway->stopping ? site : NULL;
}

static void log_refused(const struct site *site, const struct person *person, const char *why)
{
    char text[256];
    struct text out = text_over(text, sizeof(text));

    text_add_escaped(&out, slice_of_text(person->question.user));
    log_line(site->gateway->log, LOG_LEVEL_NOTICE, site->name, "%s login of %s refused: %s",
             reason_code(REASON_LOGIN_REFUSED), text, why);
}

static bool ask_outside(struct ike *ike, struct site *site)
{
    struct gateway *g = ike->gateway;
    struct person *person = ike->old->person;
    struct login_question *copy = calloc(1, sizeof(*copy));

    actions_copy_words(person->question.service, sizeof(person->question.service), site->name);
    if (copy == NULL || !login_question_copy(copy, &person->question)) {
        free(copy);
        return false;
    }
    uint64_t job = questions_ask(g, QUESTION_LOGIN, NULL, ike, person->login_id);
    struct gateway_action *action = job == 0 ? NULL : actions_add(g, GATEWAY_LOGIN);

    if (action == NULL) {
        login_question_fini(copy);
        free(copy);
        return false;
    }
    action->login.job = job;
    action->login.question = copy;
    return true;
}

/* True: the machine was told something. */
static bool begin_login(struct ike *ike, uint64_t now_ms)
{
    struct gateway *g = ike->gateway;
    struct person *person = ike->old->person;
    struct site *site = block_site(ike);
    const struct address *from = &person->question.caller.address;

    if (site == NULL || people_of(g) == NULL) {
        answer_login(ike, IKEV1_LOGIN_REFUSED, PERSON_UNAVAILABLE, now_ms);
        return true;
    }
    if (person->question.user[0] == '\0') {
        rations_failed(&g->people->rations, from, "", now_ms);
        answer_login(ike, IKEV1_LOGIN_REFUSED, PERSON_REFUSED, now_ms);
        return true;
    }
    if (rations_wait_until(&g->people->rations, from, person->question.user, now_ms) > now_ms) {
        log_refused(site, person, "too many wrong tries");
        answer_login(ike, IKEV1_LOGIN_REFUSED, PERSON_REFUSED, now_ms);
        return true;
    }
    if (!ask_outside(ike, site)) {
        answer_login(ike, IKEV1_LOGIN_REFUSED, PERSON_UNAVAILABLE, now_ms);
        return true;
    }
    person->wants_login = false;
    return false;
}

void gateway_login_done(struct gateway *g, uint64_t job, const struct login_answer *answer,
                        uint64_t now_ms)
{
    struct question q;

    g->now_ms = now_ms;
    if (questions_take(g, job, &q) && q.kind == QUESTION_LOGIN && q.ike->old->person != NULL &&
        q.ike->old->person->login_id == q.machine_question) {
        q.ike->old->person->answer = *answer;
        q.ike->old->person->has_answer = true;
        ike_order(q.ike, IKE_ORDER_PERSON);
    }
    gateway_settle(g, now_ms);
}

/* With "max-sessions ... refuse" and as many as that. */
static bool has_too_many(const struct gateway *g, const struct block *block, const char *user)
{
    const struct config_access *access = block->site->config->access;

    return access->when_full == CONFIG_FULL_REFUSE && access->max_sessions > 0 &&
           sessions_of(g->people, block, user) >= access->max_sessions;
}

static void accept(struct ike *ike, struct block *block, uint64_t now_ms)
{
    struct gateway *g = ike->gateway;
    struct person *person = ike->old->person;
    struct login_answer *answer = &person->answer;

    char user[LOGIN_USER_BYTES];

    /* A server may write the name in its own way, but it must be one. */
    if (!take_user(slice_of_text(answer->user), user)) {
        actions_copy_words(answer->user, sizeof(answer->user), person->question.user);
    }
    rations_passed(&g->people->rations, &person->question.caller.address, person->question.user,
                   now_ms);
    if (has_too_many(g, block, answer->user) && !session_may_be_of(block, ike)) {
        block->refused++;
        site_trouble(block->site, REASON_SESSIONS_FULL, &ike->peer, answer->user, now_ms);
        answer_login(ike, IKEV1_LOGIN_REFUSED, PERSON_FULL, now_ms);
        return;
    }
    block->accepted++;
    person->accepted = true;
    answer_login(ike, IKEV1_LOGIN_ACCEPTED, answer->message, now_ms);
}

static void refuse(struct ike *ike, struct block *block, uint64_t now_ms)
{
    struct gateway *g = ike->gateway;
    struct person *person = ike->old->person;

    if (person->answer.verdict == LOGIN_UNAVAILABLE) {
        enum reason reason = login_reason_of(person->answer.reason);

        if (reason == REASON_NONE) {
            site_trouble(block->site, REASON_LOGIN_UNAVAILABLE, &ike->peer,
                         login_reason_text(person->answer.reason), now_ms);
        } else {
            site_trouble(block->site, reason, &ike->peer, person->answer.source, now_ms);
        }
        answer_login(ike, IKEV1_LOGIN_REFUSED, PERSON_UNAVAILABLE, now_ms);
        return;
    }
    block->refused++;
    rations_failed(&g->people->rations, &person->question.caller.address, person->question.user,
                   now_ms);
    log_refused(block->site, person, login_reason_text(person->answer.reason));
    answer_login(ike, IKEV1_LOGIN_REFUSED, PERSON_REFUSED, now_ms);
}

static void end_login(struct ike *ike, uint64_t now_ms)
{
    struct site *site = block_site(ike);
    struct block *block = site == NULL ? NULL : people_block(ike->gateway, site);
    struct person *person = ike->old->person;

    person->has_answer = false;
    if (block == NULL) {
        answer_login(ike, IKEV1_LOGIN_REFUSED, PERSON_UNAVAILABLE, now_ms);
        return;
    }
    switch (person->answer.verdict) {
    case LOGIN_ACCEPTED:
        accept(ike, block, now_ms);
        return;
    case LOGIN_CHALLENGED:
        person->question.state = person->answer.state;
        answer_login(ike, IKEV1_LOGIN_MORE,
                     person->answer.message[0] != '\0' ? person->answer.message : "Code:", now_ms);
        return;
    case LOGIN_REFUSED:
    case LOGIN_UNAVAILABLE:
        refuse(ike, block, now_ms);
        return;
    }
}

struct site *people_admit(struct ike *ike, struct site *site)
{
    struct block *block = people_block(ike->gateway, site);
    struct session *s = block == NULL || ike->old->person == NULL || !ike->old->person->accepted
                            ? NULL
                            : session_admit(block, ike);

    if (s == NULL) {
        return NULL;
    }
    ike_order(ike, IKE_ORDER_PERSON);
    return s->site;
}

/* ---- settings ---- */

static size_t lans_of(const struct session *s, const struct network **out)
{
    const struct gateway *g = s->site->gateway;

    if (s->config.lan_count > 0) {
        *out = s->config.lans;
        return s->config.lan_count;
    }
    *out = g->config->lans;
    return g->config->lan_count;
}

static void fill_networks(const struct session *s, struct ikev1_settings *to)
{
    const struct network *lans;
    size_t count = lans_of(s, &lans);

    if (people_access(s->site)->traffic == CONFIG_TRAFFIC_EVERYTHING) {
        return;
    }
    for (size_t i = 0; i < count && to->include_count < IKEV1_SETTINGS_NETWORKS_MAX; i++) {
        if (lans[i].address.family == FAMILY_IPV4) {
            to->include[to->include_count++] = lans[i];
        }
    }
}

static void fill_servers(const struct session *s, struct ikev1_settings *to)
{
    const struct config_access *access = people_access(s->site);
    const struct address *dns = s->dns_count > 0 ? s->dns : access->dns;

    to->dns_count = s->dns_count > 0 ? s->dns_count : access->dns_count;
    memcpy(to->dns, dns, to->dns_count * sizeof(*dns));
    to->wins_count = access->wins_count;
    memcpy(to->wins, access->wins, access->wins_count * sizeof(access->wins[0]));
}

/* The number of IKE of the first key exchange that the data must have; 0: none must be. */
static uint16_t pfs_group(const struct config_site *c)
{
    for (size_t i = 0; c->pfs == PFS_ON && i < c->esp->list[0].count; i++) {
        if (c->esp->list[0].transforms[i].type == TRANSFORM_KEY_EXCHANGE) {
            return c->esp->list[0].transforms[i].id;
        }
    }
    return 0;
}

static void fill_settings(const struct session *s, struct ikev1_settings *to)
{
    const struct config_access *access = people_access(s->site);

    *to = (struct ikev1_settings){
        .ipv4 = s->address,
        .ipv4_netmask = s->netmask.family != FAMILY_NONE ? s->netmask : address_ipv4(UINT32_MAX),
        .save_password = access->save_password,
        .pfs_group = pfs_group(s->block->site->config),
    };
    fill_servers(s, to);
    fill_networks(s, to);
    actions_copy_words(to->domain, sizeof(to->domain), access->domain);
    actions_copy_words(to->banner, sizeof(to->banner), access->banner);
    if (to->include_count > 0) {
        actions_copy_words(to->split_dns, sizeof(to->split_dns), access->domain);
    }
}

static enum reason reason_of_lease(enum lease_result result)
{
    switch (result) {
    case LEASE_NONE_LEFT:
        return REASON_POOL_EMPTY;
    case LEASE_HELD:
    case LEASE_OUTSIDE:
        return REASON_ADDRESS_HELD;
    case LEASE_GIVEN:
    case LEASE_NO_MEMORY:
        break;
    }
    return REASON_RESOURCES;
}

static void tell_no_address(const struct session *s, const struct ike *ike,
                            enum lease_result result, uint64_t now_ms)
{
    char text[256];
    char address[ADDRESS_TEXT_BYTES];
    struct text out = text_over(text, sizeof(text));

    text_add_escaped(&out, slice_of_text(s->user));
    if (s->wanted.family != FAMILY_NONE) {
        text_addf(&out, " (%s)", address_format(&s->wanted, address));
    }
    site_trouble(s->block->site, reason_of_lease(result), &ike->peer, text, now_ms);
}

static void give_settings(struct ike *ike, uint64_t now_ms)
{
    struct person *person = ike->old->person;
    struct session *s = ike->site == NULL ? NULL : session_of(ike->site);
    struct ikev1_settings *settings = s == NULL ? NULL : malloc(sizeof(*settings));

    person->wants_settings = false;
    if (settings != NULL) {
        enum lease_result result = session_take_address(s);

        if (result == LEASE_GIVEN) {
            fill_settings(s, settings);
        } else {
            tell_no_address(s, ike, result, now_ms);
            free(settings);
            settings = NULL;
        }
    }
    machine_answer_settings(ike, person->settings_id, settings, now_ms);
    free(settings);
    people_renew(ike);
}

/* The session has an address by now: so its machine may agree on traffic for that. */
void people_renew(struct ike *ike)
{
    struct site *site = ike->site;

    if (site == NULL || site->terms == NULL || ike->terms == site->terms) {
        return;
    }
    struct terms *before = ike->terms;

    ike->terms = terms_hold(site->terms);
    machine_set_policy(ike);
    terms_release(before);
}

/* ---- one after the other ---- */

bool people_obey(struct ike *ike, uint64_t now_ms)
{
    struct person *person = ike->is_old ? ike->old->person : NULL;
    bool spoke = false;

    if (ike->site != NULL && ike->site->is_session) {
        people_renew(ike);
    }
    while (person != NULL && !spoke) {
        if (person->has_answer) {
            end_login(ike, now_ms);
            spoke = true;
        } else if (person->wants_login) {
            spoke = begin_login(ike, now_ms);
        } else if (person->wants_settings) {
            give_settings(ike, now_ms);
            spoke = true;
        } else if (person->wants_credentials && !person->wants_password) {
            spoke = caller_answer(ike, now_ms);
        } else if (person->was_told) {
            person->was_told = false;
            caller_told(ike, person->told, now_ms);
        } else {
            break;
        }
    }
    return spoke;
}
