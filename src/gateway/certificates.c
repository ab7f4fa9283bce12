/*
 * What a site without a shared key proves itself by, and what it believes: kept, counted, as terms
 * of machines borrow it, and made into what strangers are told (CERTREQ).
 */
#include "gateway/inside.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct certificates {
    struct ikev2_certificates own; /* what others point to */
    size_t references;
};

static struct certificates *over(const struct ikev2_certificates *own)
{
    /* The only const of them is that nobody else writes. */
    return CONTAINER_OF((uintptr_t)own, struct certificates, own);
}

const struct ikev2_certificates *certificates_new(const struct config_site *config,
                                                  struct credential *own, struct trust *trust)
{
    struct certificates *c = calloc(1, sizeof(*c));

    if (c == NULL) {
        return NULL;
    }
    c->references = 1;
    c->own.own = credential_hold(own);
    c->own.trust = trust_hold(trust);
    /* Who takes signatures of DSS takes SHA-1 with them. */
    c->own.legacy = config->legacy != NULL && (strstr(config->legacy, "sha1") != NULL ||
                                               strstr(config->legacy, "dss") != NULL);
    switch (config->revocation) {
    case CONFIG_REVOCATION_NORMAL:
        c->own.revocation = REVOCATION_NORMAL;
        break;
    case CONFIG_REVOCATION_STRICT:
        c->own.revocation = REVOCATION_STRICT;
        break;
    case CONFIG_REVOCATION_OFF:
        c->own.revocation = REVOCATION_OFF;
        break;
    }
    if (config->subject != NULL) {
        actions_copy_words(c->own.pattern, sizeof(c->own.pattern), config->subject);
    }
    return &c->own;
}

const struct ikev2_certificates *certificates_hold(const struct ikev2_certificates *own)
{
    if (own != NULL) {
        over(own)->references++;
    }
    return own;
}

void certificates_release(const struct ikev2_certificates *own)
{
    if (own == NULL) {
        return;
    }
    struct certificates *c = over(own);

    assert(c->references > 0);
    if (--c->references == 0) {
        credential_free(c->own.own);
        ikev2_status_free(c->own.status);
        trust_free(c->own.trust);
        free(c);
    }
}

bool certificates_are_wanted(const struct config_site *config)
{
    return config->key.name == NULL && !config->unauthenticated;
}

/* The name that we say must be in our certificate, or no peer believes it; if it is not, we say
 * what is. Who only believes and proves himself otherwise may say anything. */
bool certificates_identity(const struct ikev2_certificates *c, struct ike_identity *id)
{
    if (c->own == NULL) {
        return true;
    }
    const struct certificate *own = credential_at(c->own, 0);
    struct slice value = {id->data, id->length};
    enum certificate_name_kind kind = CERTIFICATE_NAME_DNS;

    if (id->type == IKEV2_ID_IPV4_ADDR || id->type == IKEV2_ID_IPV6_ADDR) {
        kind = CERTIFICATE_NAME_ADDRESS;
    } else if (id->type == IKEV2_ID_RFC822_ADDR) {
        kind = CERTIFICATE_NAME_EMAIL;
    }
    return certificate_has_name(own, kind, value) ||
           ike_identity_set(id, IKEV2_ID_DER_ASN1_DN, certificate_subject(own));
}

void gateway_each_certificates(struct gateway *g,
                               bool (*visit)(void *context, const char *site,
                                             const struct credential *own,
                                             const struct trust *trust),
                               void *context, uint64_t now_ms)
{
    for (size_t i = 0; i < g->site_count; i++) {
        struct site *site = g->sites[i];

        if (site->certificates != NULL && site->certificates->own != NULL &&
            certificates_are_wanted(site->config) &&
            visit(context, site->name, site->certificates->own, site->certificates->trust) &&
            site->secret_stale) {
            questions_ask_secret(site, now_ms);
        }
    }
}

size_t gateway_read_certificates(struct gateway *g)
{
    size_t count = 0;

    for (size_t i = 0; i < g->site_count; i++) {
        struct site *site = g->sites[i];

        if (certificates_are_wanted(site->config)) {
            site->secret_stale = true;
            site->secret_read_ms = 0;
            count++;
        }
    }
    return count;
}

void gateway_own_status(struct gateway *g, const struct certificate *own, struct slice response,
                        uint64_t until_ms)
{
    struct ikev2_status *status =
        response.length == 0 ? NULL : ikev2_status_new(response, until_ms);

    for (size_t i = 0; i < g->site_count; i++) {
        const struct ikev2_certificates *c = g->sites[i]->certificates;

        if (c != NULL && c->own != NULL && certificate_equal(credential_at(c->own, 0), own)) {
            struct certificates *mine = over(c);

            ikev2_status_free(mine->own.status);
            mine->own.status = ikev2_status_hold(status);
        }
    }
    ikev2_status_free(status);
}
