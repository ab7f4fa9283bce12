/*
 * The post-quantum preshared key of a site (RFC 8784): read behind its key or certificates, kept,
 * counted, as terms of machines borrow it. Without one that is configured a site has no terms: what
 * is to be protected by it never goes without because a file could not be read.
 */
#include "gateway/inside.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define QUESTION_OF_PPK 1 /* beside that of the key, 0 */

struct ppk {
    struct ikev2_ppk own; /* what others point to */
    size_t references;
    struct ppk *next; /* of those that sites have now: of equal names, or nearly */
};

static struct ppk *over(const struct ikev2_ppk *own)
{
    /* The only const of them is that nobody else writes. */
    return CONTAINER_OF((uintptr_t)own, struct ppk, own);
}

static const struct ikev2_ppk *ppk_new(const struct config_ppk *config, const struct secret *secret)
{
    struct ppk *ppk = calloc(1, sizeof(*ppk));

    if (ppk == NULL || !secret_copy(&ppk->own.key, secret)) {
        free(ppk);
        return NULL;
    }
    ppk->references = 1;
    ppk->own.required = config->required;
    ppk->own.auth_only = config->auth_only;
    ppk->own.id[0] = config->opaque ? IKEV2_PPK_ID_OPAQUE : IKEV2_PPK_ID_FIXED;
    memcpy(ppk->own.id + 1, config->id_bytes, config->id_length);
    ppk->own.id_length = (uint8_t)(1 + config->id_length);
    return &ppk->own;
}

_Static_assert(IKEV2_PPK_ID_BYTES_MAX == 1 + CONFIG_PPK_ID_BYTES_MAX, "all that is said fits");

const struct ikev2_ppk *ppk_hold(const struct ikev2_ppk *own)
{
    if (own != NULL) {
        over(own)->references++;
    }
    return own;
}

void ppk_release(const struct ikev2_ppk *own)
{
    if (own == NULL) {
        return;
    }
    struct ppk *ppk = over(own);

    assert(ppk->references > 0);
    if (--ppk->references == 0) {
        secret_wipe(&ppk->own.key);
        free(ppk);
    }
}

bool ppk_is_there(const struct site *site)
{
    return site->config->ppk == NULL || site->ppk != NULL;
}

/* ---- by their names ---- */

static uint64_t name_of(const struct gateway *g, struct slice id)
{
    return siphash24(g->identity_key, id);
}

static struct slice key_of(const uint64_t *name)
{
    return (struct slice){(const uint8_t *)name, sizeof(*name)};
}

static bool add(struct gateway *g, struct ppk *ppk)
{
    uint64_t name = name_of(g, (struct slice){ppk->own.id, ppk->own.id_length});
    struct ppk *first = table_find(&g->ppks, key_of(&name));

    if (first != NULL) {
        ppk->next = first->next;
        first->next = ppk;
        return true;
    }
    return table_add(&g->ppks, key_of(&name), ppk);
}

static void take_out(struct gateway *g, struct ppk *ppk)
{
    uint64_t name = name_of(g, (struct slice){ppk->own.id, ppk->own.id_length});
    struct ppk *first = table_find(&g->ppks, key_of(&name));

    if (first == ppk) {
        (void)table_remove(&g->ppks, key_of(&name));
        /* Without memory for the next one its name is not known until it is read again. */
        if (ppk->next != NULL && !table_add(&g->ppks, key_of(&name), ppk->next)) {
            log_line(g->log, LOG_LEVEL_ERROR, "ppk", "no memory for a name");
        }
    } else {
        while (first != NULL && first->next != ppk) {
            first = first->next;
        }
        if (first != NULL) {
            first->next = ppk->next;
        }
    }
    ppk->next = NULL;
}

size_t ppk_known(const struct gateway *g, const struct slice *names, size_t count,
                 const struct ikev2_ppk *out[PPK_KNOWN_MAX])
{
    size_t known = 0;

    for (size_t i = 0; i < count; i++) {
        uint64_t name = name_of(g, names[i]);

        for (const struct ppk *ppk = table_find(&g->ppks, key_of(&name));
             ppk != NULL && known < PPK_KNOWN_MAX; ppk = ppk->next) {
            out[known++] = &ppk->own;
        }
    }
    return known;
}

void ppk_forget(struct site *site)
{
    if (site->ppk != NULL) {
        take_out(site->gateway, over(site->ppk));
    }
    ppk_release(site->ppk);
    site->ppk = NULL;
}

static void learn(struct site *site, const struct secret *secret)
{
    ppk_forget(site);
    site->ppk = ppk_new(site->config->ppk, secret);
    if (site->ppk != NULL && !add(site->gateway, over(site->ppk))) {
        ppk_release(site->ppk);
        site->ppk = NULL;
    }
}

bool ppk_same(const struct config_ppk *a, const struct config_ppk *b)
{
    if (a == NULL || b == NULL) {
        return a == b;
    }
    return strcmp(a->secret.name, b->secret.name) == 0 && a->id_length == b->id_length &&
           memcmp(a->id_bytes, b->id_bytes, a->id_length) == 0 && a->opaque == b->opaque &&
           a->required == b->required && a->auth_only == b->auth_only;
}

void ppk_configured(struct site *site, const struct config_ppk *before,
                    const struct config_ppk *now)
{
    if (!ppk_same(before, now)) {
        ppk_forget(site);
    }
}

void ppk_read_again(struct site *site, uint64_t now_ms)
{
    if (site->config->ppk != NULL) {
        questions_ask_secret_again(site, now_ms);
    }
}

bool ppk_ask(struct site *site)
{
    struct gateway *g = site->gateway;

    if (site->config->ppk == NULL) {
        return false;
    }
    uint64_t id = questions_ask(g, QUESTION_SECRET, site, NULL, QUESTION_OF_PPK);
    struct gateway_action *action = id == 0 ? NULL : actions_add(g, GATEWAY_READ_SECRET);

    if (action == NULL) {
        return false;
    }
    site->secret_asked = true;
    action->secret.question = id;
    actions_copy_words(action->secret.name, sizeof(action->secret.name),
                       site->config->ppk->secret.name);
    return true;
}

bool ppk_is_question(const struct question *q)
{
    return q->site != NULL && q->machine_question == QUESTION_OF_PPK;
}

void ppk_answered(struct site *site, const struct secret *secret, const char *why, uint64_t now_ms)
{
    bool known = secret != NULL && secret->length > 0;

    site->secret_asked = false;
    if (site->config->ppk == NULL) {
        return; /* it was taken out of the configuration meanwhile */
    }
    if (known && (site->ppk == NULL || !secret_equal(secret, &site->ppk->key))) {
        learn(site, secret);
        site_renew_terms(site);
    } else if (!known) {
        ppk_forget(site);
        site_renew_terms(site);
        site_trouble(site, REASON_NO_SECRET, NULL, why, now_ms);
    } else if (site->terms == NULL) {
        site_renew_terms(site);
    }
}

/* RFC 8784 6: what was done without, though it was wanted, is told. */
void ppk_established(struct ike *ike, uint64_t now_ms)
{
    const struct site *site = ike->site;
    const struct config_ppk *ppk = site->config->ppk;
    struct ikev2_sa_info info;

    machine_get_info(ike, &info);
    if (ppk != NULL && info.ppk == IKEV2_PPK_NOWHERE && site_may_say(ike->site, now_ms)) {
        log_line(site->gateway->log, LOG_LEVEL_WARNING, site->name,
                 "the peer has not the PPK %s: what goes to him is not protected by it", ppk->id);
    }
}
