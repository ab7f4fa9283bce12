/*
 * What somebody has who is in: a site of his own, made from that of his block, with his address in
 * the place of its networks; so keys, traffic, silence and everything else about his tunnel are
 * those of any site. It begins when his login is right, and ends with the last of his IKE SAs.
 *
 * A user who comes once more than he may takes the place of his oldest session, with its address:
 * that is somebody whose line broke, or who went from one network to another.
 */
#include "gateway/people.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define MILLISECONDS 1000

static const struct network everything = {{FAMILY_IPV4, {0}}, 0};

struct session *session_of(const struct site *site)
{
    return site == NULL || !site->is_session
               ? NULL
               : CONTAINER_OF((struct config_site *)(uintptr_t)site->config, struct session,
                              config);
}

/* ---- by user ---- */

static struct slice user_key(const struct gateway *g, const char *user, uint8_t out[16])
{
    uint8_t other[16];

    for (size_t i = 0; i < sizeof(other); i++) {
        other[i] = (uint8_t)(g->identity_key[i] ^ 0x36);
    }
    put_u64(out, siphash24(g->identity_key, slice_of_text(user)));
    put_u64(out + 8, siphash24(other, slice_of_text(user)));
    return (struct slice){out, 16};
}

static struct session *first_of_user(const struct gateway *g, const char *user)
{
    uint8_t key[16];

    return g->people == NULL ? NULL : table_find(&g->people->by_user, user_key(g, user, key));
}

size_t sessions_of(const struct people *p, const struct block *block, const char *user)
{
    const struct session *s = p == NULL ? NULL : first_of_user(block->site->gateway, user);
    size_t count = 0;

    for (; s != NULL; s = s->next_of_user) {
        count += s->block == block;
    }
    return count;
}

static bool has_name(const struct session *first, const char *name)
{
    while (first != NULL && strcmp(first->name, name) != 0) {
        first = first->next_of_user;
    }
    return first != NULL;
}

/* alice; and for her second device alice#2. */
static void name_session(const struct gateway *g, struct session *s)
{
    const struct session *first = first_of_user(g, s->user);

    for (unsigned i = 1;; i++) {
        struct text name = text_over(s->name, sizeof(s->name));

        text_add(&name, s->user);
        if (i > 1) {
            text_addf(&name, "#%u", i);
        }
        if (!has_name(first, s->name)) {
            return;
        }
    }
}

struct session *session_named(const struct gateway *g, const char *name)
{
    char user[SESSION_NAME_BYTES];
    const char *mark = strrchr(name, '#');
    struct session *s = first_of_user(g, name);

    if (s == NULL && mark != NULL &&
        text_copy(user, sizeof(user),
                  (struct slice){(const uint8_t *)name, (size_t)(mark - name)})) {
        s = first_of_user(g, user);
    }
    while (s != NULL && strcmp(s->name, name) != 0) {
        s = s->next_of_user;
    }
    return s;
}

const struct site *session_site(const struct gateway *g, const char *name)
{
    const struct session *s = session_named(g, name);

    return s == NULL ? NULL : s->site;
}

static bool user_add(struct gateway *g, struct session *s)
{
    uint8_t bytes[16];
    struct slice key = user_key(g, s->user, bytes);

    s->next_of_user = table_remove(&g->people->by_user, key);
    if (table_add(&g->people->by_user, key, s)) {
        return true;
    }
    if (s->next_of_user != NULL) {
        /* It has just been taken out. */
        bool added = table_add(&g->people->by_user, key, s->next_of_user);

        assert(added);
        (void)added;
    }
    return false;
}

static void user_remove(struct gateway *g, struct session *s)
{
    uint8_t bytes[16];
    struct slice key = user_key(g, s->user, bytes);
    struct session *first = table_remove(&g->people->by_user, key);
    struct session **link = &first;

    while (*link != s) {
        link = &(*link)->next_of_user;
    }
    *link = s->next_of_user;
    if (first != NULL) {
        bool added = table_add(&g->people->by_user, key, first);

        assert(added);
        (void)added;
    }
}

/* ---- life ---- */

static void fill_config(struct session *s)
{
    const struct config_site *block = s->block->site->config;

    s->config = *block;
    s->config.access = NULL;
    s->config.name = s->name;
    s->config.networks = &s->network;
    s->config.network_count = s->address.family == FAMILY_NONE ? 0 : 1;
    if (block->access->traffic == CONFIG_TRAFFIC_EVERYTHING) {
        s->config.lans = &everything;
        s->config.lan_count = 1;
    }
}

static void line_up(struct people *p, struct session *s)
{
    s->previous = p->last;
    *(p->last != NULL ? &p->last->next : &p->first) = s;
    p->last = s;
    p->session_count++;
    s->block->session_count++;
}

static void step_out(struct people *p, struct session *s)
{
    *(s->previous != NULL ? &s->previous->next : &p->first) = s->next;
    *(s->next != NULL ? &s->next->previous : &p->last) = s->previous;
    p->session_count--;
    s->block->session_count--;
}

/* Its site has the key or the certificates of the block's. */
static bool make_site(struct session *s)
{
    struct site *block = s->block->site;

    s->site = apply_add_session(block->gateway, &s->config);
    if (s->site == NULL) {
        return false;
    }
    s->site->certificates =
        block->certificates == NULL ? NULL : certificates_hold(block->certificates);
    s->site->secret_known = secret_copy(&s->site->secret, &block->secret);
    return s->site->secret_known;
}

static struct session *begin(struct block *block, const char *user, uint64_t now_ms)
{
    struct gateway *g = block->site->gateway;
    struct session *s = calloc(1, sizeof(*s));

    if (s == NULL) {
        return NULL;
    }
    s->block = block;
    s->timer.deadline.tag = TIMER_SESSION;
    s->number = ++g->people->next_session;
    s->since_ms = now_ms;
    s->until_ms = NEVER_MS;
    s->idle_ms = NEVER_MS;
    actions_copy_words(s->user, sizeof(s->user), user);
    name_session(g, s);
    fill_config(s);
    if (!user_add(g, s)) {
        free(s);
        return NULL;
    }
    line_up(g->people, s);
    if (!make_site(s)) {
        session_free(s);
        return NULL;
    }
    return s;
}

void session_free(struct session *s)
{
    struct gateway *g = s->block->site->gateway;

    deadlines_remove(&g->deadlines, &s->timer.deadline);
    if (s->address.family != FAMILY_NONE) {
        leases_release(&s->block->leases, &s->address);
        g->policies_stale = true;
    }
    user_remove(g, s);
    step_out(g->people, s);
    if (s->site != NULL) {
        apply_remove_session(s->site);
    }
    wipe(s->class_bytes, sizeof(s->class_bytes));
    free(s);
}

static const char *const end_words[SESSION_END_COUNT] = {
    [SESSION_END_PEER] = "the client went away",
    [SESSION_END_ORDER] = "by order",
    [SESSION_END_IDLE] = "nothing was sent for as long as idle-timeout says",
    [SESSION_END_TIME] = "the time that the login gave is over",
    [SESSION_END_CONFIGURATION] = "the configuration changed",
    [SESSION_END_POOL] = "the configuration took the address out of the pool",
};

const char *session_end_words(enum session_end why)
{
    return end_words[why];
}

/* For who keeps accounts. */
static void tell(const struct session *s, bool began)
{
    struct gateway *g = s->site->gateway;
    struct gateway_session *told = calloc(1, sizeof(*told));
    struct gateway_action *action = told == NULL ? NULL : actions_add(g, GATEWAY_SESSION);
    uint64_t sum[4] = {0};

    if (action == NULL) {
        free(told);
        return;
    }
    status_sum_traffic(s->site, sum);
    told->number = s->number;
    told->began = began;
    told->end = s->why;
    told->outer = s->outer;
    told->address = s->address;
    told->since_ms = s->since_ms;
    told->in_bytes = sum[0];
    told->in_packets = sum[1];
    told->out_bytes = sum[2];
    told->out_packets = sum[3];
    actions_copy_words(told->service, sizeof(told->service), s->block->site->name);
    actions_copy_words(told->user, sizeof(told->user), s->user);
    actions_copy_words(told->group, sizeof(told->group), s->group);
    actions_copy_words(told->source, sizeof(told->source), s->source);
    told->class_length = s->class_length;
    memcpy(told->class_bytes, s->class_bytes, s->class_length);
    action->session = told;
}

static void say_left(const struct session *s, uint64_t now_ms)
{
    uint64_t sum[4] = {0};

    if (!s->told_began) {
        return;
    }
    status_sum_traffic(s->site, sum);
    log_line(s->site->gateway->log, LOG_LEVEL_NOTICE, s->name,
             "left %s after %llu s (in %llu, out %llu bytes): %s", s->block->site->name,
             (unsigned long long)((now_ms - s->since_ms) / MILLISECONDS),
             (unsigned long long)sum[0], (unsigned long long)sum[2], end_words[s->why]);
    tell(s, false);
}

void session_think(struct site *site, uint64_t now_ms)
{
    struct session *s = session_of(site);

    if (site->ikes == NULL) {
        say_left(s, now_ms);
        session_free(s);
    }
}

void sessions_free_of(struct block *block)
{
    struct gateway *g = block->site->gateway;
    struct session *next;

    for (struct session *s = g->people->first; s != NULL; s = next) {
        next = s->next;
        if (s->block == block) {
            say_left(s, g->now_ms);
            session_free(s);
        }
    }
}

void session_close(struct session *s, enum session_end why)
{
    if (s->why == SESSION_END_PEER) {
        s->why = why;
    }
    site_close_all(s->site, IKEV2_FAIL_ORDERED);
    site_think_later(s->site);
}

/* ---- who it is ---- */

struct session *session_may_be_of(const struct block *block, const struct ike *ike)
{
    struct session *s = first_of_user(block->site->gateway, ike->old->person->answer.user);

    while (s != NULL && (s->block != block || !endpoint_equal(&s->outer, &ike->peer))) {
        s = s->next_of_user;
    }
    return s;
}

static struct session *oldest_of(const struct block *block, const char *user)
{
    struct session *oldest = NULL;

    for (struct session *s = first_of_user(block->site->gateway, user); s != NULL;
         s = s->next_of_user) {
        if (s->block == block && (oldest == NULL || s->number < oldest->number)) {
            oldest = s;
        }
    }
    return oldest;
}

static void fill_answer(struct session *s, const struct login_answer *answer, uint64_t now_ms)
{
    const struct config_access *access = s->block->site->config->access;

    s->login_idle_ms =
        answer->idle_timeout_s == 0 ? NEVER_MS : (uint64_t)answer->idle_timeout_s * MILLISECONDS;
    actions_copy_words(s->group, sizeof(s->group),
                       answer->group_count > 0 ? answer->groups[0] : "");
    actions_copy_words(s->source, sizeof(s->source), answer->source);
    s->wanted = answer->address;
    s->netmask = answer->netmask;
    s->dns_count = answer->dns_count;
    memcpy(s->dns, answer->dns, sizeof(s->dns));
    s->idle_ms = s->login_idle_ms < access->idle_ms ? s->login_idle_ms : access->idle_ms;
    s->until_ms = answer->session_timeout_s == 0
                      ? NEVER_MS
                      : now_ms + (uint64_t)answer->session_timeout_s * MILLISECONDS;
    s->class_length = answer->class_length;
    memcpy(s->class_bytes, answer->class_bytes, answer->class_length);
    s->heard_ms = now_ms;
}

static void arm(struct session *s)
{
    uint64_t at_ms = s->until_ms;

    if (s->idle_ms != NEVER_MS && s->heard_ms + s->idle_ms < at_ms) {
        at_ms = s->heard_ms + s->idle_ms;
    }
    gateway_set_timer(s->site->gateway, &s->timer, at_ms);
}

/* Those of another place, or of an earlier life of the same client. */
static void close_older(struct session *s, const struct ike *ike)
{
    for (struct ike *other = s->site->ikes; other != NULL; other = other->next_of_site) {
        if (other != ike) {
            ike_order_close(other, IKEV2_FAIL_REPLACED);
        }
    }
}

struct session *session_admit(struct block *block, struct ike *ike)
{
    struct gateway *g = ike->gateway;
    const struct login_answer *answer = &ike->old->person->answer;
    const struct config_access *access = block->site->config->access;
    struct session *s = session_may_be_of(block, ike);
    char peer[ENDPOINT_TEXT_BYTES];

    if (s != NULL) {
        if (ike->old->initial_contact) {
            close_older(s, ike);
        }
    } else if (access->max_sessions > 0 &&
               sessions_of(g->people, block, answer->user) >= access->max_sessions) {
        s = oldest_of(block, answer->user);
        log_line(g->log, LOG_LEVEL_NOTICE, s->name, "goes on from %s with the same address",
                 endpoint_format(&ike->peer, peer));
        close_older(s, ike);
    } else {
        s = begin(block, answer->user, g->now_ms);
        if (s == NULL) {
            return NULL;
        }
    }
    s->outer = ike->peer;
    s->why = SESSION_END_PEER;
    fill_answer(s, answer, g->now_ms);
    arm(s);
    return s;
}

/* ---- its address ---- */

static bool take_selectors(struct session *s)
{
    struct site *site = s->site;
    struct selectors selectors;

    if (!policies_make_selectors(site->gateway->config, &s->config, &selectors) ||
        !site_has_parts(site, selectors.parts)) {
        return false;
    }
    policies_free_selectors(&site->selectors);
    site->selectors = selectors;
    site_renew_terms(site);
    return site->terms != NULL;
}

enum lease_result session_take_address(struct session *s)
{
    struct gateway *g = s->site->gateway;
    char address[ADDRESS_TEXT_BYTES];
    char peer[ENDPOINT_TEXT_BYTES];

    if (s->address.family != FAMILY_NONE) {
        return LEASE_GIVEN;
    }
    enum lease_result result = leases_take(&s->block->leases, s->user, &s->wanted, &s->address);

    if (result != LEASE_GIVEN) {
        return result;
    }
    s->network = (struct network){s->address, 32};
    fill_config(s);
    if (!take_selectors(s)) {
        leases_release(&s->block->leases, &s->address);
        s->address = (struct address){.family = FAMILY_NONE};
        fill_config(s);
        return LEASE_NO_MEMORY;
    }
    g->policies_stale = true;
    s->told_began = true;
    log_line(g->log, LOG_LEVEL_NOTICE, s->name, "logged in to %s from %s: %s (%s)",
             s->block->site->name, endpoint_format(&s->outer, peer),
             address_format(&s->address, address), s->source[0] != '\0' ? s->source : "local");
    tell(s, true);
    return LEASE_GIVEN;
}

/* ---- time ---- */

void session_time(struct timer *timer, uint64_t now_ms)
{
    struct session *s = CONTAINER_OF(timer, struct session, timer);

    for (const struct ike *ike = s->site->ikes; ike != NULL; ike = ike->next_of_site) {
        uint64_t in_ms = children_last_in_ms(ike);
        uint64_t out_ms = children_last_out_ms(ike);

        in_ms = in_ms > out_ms ? in_ms : out_ms;
        s->heard_ms = in_ms > s->heard_ms ? in_ms : s->heard_ms;
    }
    if (s->until_ms <= now_ms) {
        session_close(s, SESSION_END_TIME);
        return;
    }
    if (s->idle_ms != NEVER_MS && s->heard_ms + s->idle_ms <= now_ms) {
        session_close(s, SESSION_END_IDLE);
        return;
    }
    arm(s);
}

/* ---- a new configuration ---- */

/* What he may reach is another thing now. */
static bool reaches_other(const struct session *s)
{
    struct selectors now;

    if (s->address.family == FAMILY_NONE ||
        !policies_make_selectors(s->site->gateway->config, &s->config, &now)) {
        return false;
    }
    bool other = !policies_selectors_equal(&now, &s->site->selectors);

    policies_free_selectors(&now);
    return other;
}

/* No route leads to him any more, or to somebody else. */
static bool is_outside(const struct session *s)
{
    return s->address.family != FAMILY_NONE && !leases_contains(&s->block->leases, &s->address);
}

void sessions_configured(struct gateway *g)
{
    for (struct session *s = g->people == NULL ? NULL : g->people->first; s != NULL; s = s->next) {
        fill_config(s);
        if (is_outside(s)) {
            session_close(s, SESSION_END_POOL);
            g->policies_stale = true;
        } else if (reaches_other(s)) {
            session_close(s, SESSION_END_CONFIGURATION);
            g->policies_stale = true;
        }
    }
}

void sessions_renew(struct site *block, void (*tell_machines)(struct site *site))
{
    struct gateway *g = block->gateway;

    for (struct session *s = g->people == NULL ? NULL : g->people->first; s != NULL; s = s->next) {
        if (s->block->site == block) {
            fill_config(s);
            s->idle_ms = block->config->access->idle_ms;
            if (s->login_idle_ms < s->idle_ms) {
                s->idle_ms = s->login_idle_ms;
            }
            arm(s);
            tell_machines(s->site);
        }
    }
}

void sessions_close(struct site *block, enum session_end why)
{
    struct gateway *g = block->gateway;

    for (struct session *s = g->people == NULL ? NULL : g->people->first; s != NULL; s = s->next) {
        if (s->block->site == block) {
            session_close(s, why);
        }
    }
}

bool sessions_down(struct gateway *g, const char *name)
{
    struct session *one = session_named(g, name);
    struct session *s = first_of_user(g, name);
    bool any = one != NULL || s != NULL;

    if (s == NULL && one != NULL) {
        session_close(one, SESSION_END_ORDER);
    }
    for (; s != NULL; s = s->next_of_user) {
        session_close(s, SESSION_END_ORDER);
    }
    return any;
}

void sessions_free_all(struct gateway *g)
{
    while (g->people != NULL && g->people->first != NULL) {
        session_free(g->people->first);
    }
}

/* ---- policies ---- */

size_t sessions_policies(const struct gateway *g, struct policy *out)
{
    size_t count = 0;

    for (const struct session *s = g->people == NULL ? NULL : g->people->first; s != NULL;
         s = s->next) {
        count += policies_of_site(s->site, NULL, out + count);
    }
    return count;
}

size_t sessions_parts(const struct gateway *g)
{
    size_t parts = 0;

    for (const struct session *s = g->people == NULL ? NULL : g->people->first; s != NULL;
         s = s->next) {
        parts += s->site->selectors.parts;
    }
    return parts;
}
