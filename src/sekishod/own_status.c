/*
 * Decides of which certificates of ours a status is kept, when a new one is fetched (when half of
 * its time is over), and how long it is shown to peers.
 */
#include "sekishod/own_status.h"

#include "host/clock.h"
#include "sekishod/daemon.h"

#include <stdlib.h>
#include <string.h>

#define STATUSES_MAX 64
#define TURN_MS 1000 /* so often it is looked what is due */
#define AGAIN_MS 60000 /* after nothing came */
#define HOLDS_S 3600 /* when the responder does not say (RFC 6960 2.4: newer is always there) */
#define HOLDS_MOST_S (24 * 3600)

struct own_status {
    struct certificate *certificate, *issuer; /* held */
    uint64_t number; /* of the question that is under way; 0: none */
    uint64_t next_ms;
    uint64_t until_ms; /* `response` holds */
    uint8_t *response; /* a block; NULL: none */
    size_t length;
    bool is_used;
    bool told; /* the log knows that nothing comes */
};

struct own_statuses {
    size_t count;
    uint64_t last_number, turn_ms;
    struct own_status list[STATUSES_MAX];
};

static void forget(struct own_status *status)
{
    certificate_free(status->certificate);
    certificate_free(status->issuer);
    free(status->response);
}

/* Sites that read their certificate anew have nothing yet. */
static void give(struct daemon *daemon, const struct own_status *status)
{
    gateway_own_status(daemon->gateway, status->certificate,
                       (struct slice){status->response, status->length}, status->until_ms);
}

static void keep(struct own_status *status, struct slice response, uint64_t until_ms)
{
    uint8_t *copy = response.length == 0 ? NULL : malloc(response.length);

    if (copy != NULL) {
        memcpy(copy, response.data, response.length);
    }
    free(status->response);
    status->response = copy;
    status->length = copy == NULL ? 0 : response.length;
    status->until_ms = until_ms;
}

void own_status_free(struct own_statuses *statuses)
{
    for (size_t i = 0; statuses != NULL && i < statuses->count; i++) {
        forget(&statuses->list[i]);
    }
    free(statuses);
}

void own_status_begin(struct daemon *daemon)
{
    for (size_t i = 0; daemon->own_statuses != NULL && i < daemon->own_statuses->count; i++) {
        daemon->own_statuses->list[i].is_used = false;
    }
}

static const struct certificate *find_issuer(const struct credential *own,
                                             const struct trust *trust)
{
    const struct certificate *certificate = credential_at(own, 0);

    for (size_t i = 1; i < credential_count(own); i++) {
        if (certificate_is_issued_by(certificate, credential_at(own, i))) {
            return credential_at(own, i);
        }
    }
    for (size_t i = 0; i < trust_count(trust); i++) {
        if (certificate_is_issued_by(certificate, trust_at(trust, i))) {
            return trust_at(trust, i);
        }
    }
    return NULL;
}

/* Responders that it names; we believe our own certificate, so they may be anywhere. */
static size_t responders_of(const struct certificate *certificate,
                            struct revocation_source out[REVOCATION_SOURCES_MAX])
{
    size_t count = revocation_sources(certificate, out, REVOCATION_SOURCES_MAX);
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        if (out[i].kind == REVOCATION_SOURCE_RESPONDER) {
            out[kept] = out[i];
            out[kept++].configured = true;
        }
    }
    return kept;
}

static struct own_status *find(struct own_statuses *statuses, const struct certificate *certificate)
{
    for (size_t i = 0; statuses != NULL && i < statuses->count; i++) {
        if (certificate_equal(statuses->list[i].certificate, certificate)) {
            return &statuses->list[i];
        }
    }
    return NULL;
}

/* Sites read the same file each for itself, so a certificate counts by its octets. */
void own_status_see(struct daemon *daemon, const struct credential *own, const struct trust *trust)
{
    struct revocation_source sources[REVOCATION_SOURCES_MAX];
    const struct certificate *certificate = credential_at(own, 0);
    struct own_status *known = find(daemon->own_statuses, certificate);

    if (known != NULL) {
        known->is_used = true;
        return;
    }
    const struct certificate *issuer =
        responders_of(certificate, sources) == 0 ? NULL : find_issuer(own, trust);

    if (issuer == NULL) {
        return;
    }
    if (daemon->own_statuses == NULL) {
        daemon->own_statuses = calloc(1, sizeof(*daemon->own_statuses));
    }
    struct own_statuses *statuses = daemon->own_statuses;

    if (statuses == NULL || statuses->count == STATUSES_MAX) {
        return;
    }
    struct own_status *status = &statuses->list[statuses->count];

    /* The copies are read-only like the originals. */
    *status = (struct own_status){.certificate = certificate_read(certificate_der(certificate)),
                                  .issuer = certificate_read(certificate_der(issuer)),
                                  .is_used = true};
    if (status->certificate == NULL || status->issuer == NULL) {
        forget(status);
        return;
    }
    statuses->count++;
}

void own_status_end(struct daemon *daemon, uint64_t now_ms)
{
    struct own_statuses *statuses = daemon->own_statuses;
    size_t kept = 0;

    for (size_t i = 0; statuses != NULL && i < statuses->count; i++) {
        if (statuses->list[i].is_used) {
            if (statuses->list[i].response != NULL) {
                give(daemon, &statuses->list[i]);
            }
            statuses->list[kept++] = statuses->list[i];
        } else {
            forget(&statuses->list[i]);
        }
    }
    if (statuses != NULL) {
        statuses->count = kept;
        statuses->turn_ms = now_ms;
    }
}

/* Nobody waits: where it is too much now, it is asked the next time. */
static void ask(struct daemon *daemon, struct own_status *status, uint64_t now_ms)
{
    struct revocation_wish wish = {.certificate = status->certificate, .issuer = status->issuer};

    wish.source_count = responders_of(status->certificate, wish.sources);
    status->next_ms = now_ms + AGAIN_MS;
    status->number = ++daemon->own_statuses->last_number;
    if (!revocation_fetch_own(daemon->revocation, status->number, &wish)) {
        status->number = 0;
    }
}

void own_status_turn(struct daemon *daemon, uint64_t now_ms)
{
    struct own_statuses *statuses = daemon->own_statuses;

    if (statuses == NULL || now_ms < statuses->turn_ms) {
        return;
    }
    statuses->turn_ms = now_ms + TURN_MS;
    for (size_t i = 0; i < statuses->count; i++) {
        if (statuses->list[i].number == 0 && now_ms >= statuses->list[i].next_ms) {
            ask(daemon, &statuses->list[i], now_ms);
        }
    }
}

static uint64_t holds_ms(const struct revocation_verdict *verdict, int64_t now_s)
{
    int64_t until_s = verdict->next_s != 0 ? verdict->next_s : now_s + HOLDS_S;

    until_s = until_s < now_s + HOLDS_MOST_S ? until_s : now_s + HOLDS_MOST_S;
    return until_s > now_s ? (uint64_t)(until_s - now_s) * 1000 : 0;
}

/* Once, until something came. */
static void tell(struct daemon *daemon, struct own_status *status, const char *words)
{
    char subject[160];
    struct text text = text_over(subject, sizeof(subject));

    if (!status->told) {
        certificate_subject_words(status->certificate, &text);
        log_line(daemon->log, LOG_LEVEL_WARNING, "certificates",
                 "our certificate %s: its responder gives nothing for peers that ask (%s)", subject,
                 words);
        status->told = true;
    }
}

void own_status_came(struct daemon *daemon, uint64_t number, struct slice response,
                     const struct revocation_verdict *verdict, const char *why)
{
    struct own_statuses *statuses = daemon->own_statuses;
    struct own_status *status = NULL;
    uint64_t now_ms = clock_now_ms();
    int64_t now_s = (int64_t)(clock_date_ms() / 1000);

    for (size_t i = 0; statuses != NULL && i < statuses->count; i++) {
        status = statuses->list[i].number == number ? &statuses->list[i] : status;
    }
    if (status == NULL) {
        return;
    }
    status->number = 0;
    status->next_ms = now_ms + AGAIN_MS;
    if (verdict->status == REVOCATION_GOOD && response.length <= IKEV2_STATUS_BYTES_MAX) {
        uint64_t holds = holds_ms(verdict, now_s);

        keep(status, response, now_ms + holds);
        give(daemon, status);
        status->next_ms = now_ms + (holds / 2 > AGAIN_MS ? holds / 2 : AGAIN_MS);
        status->told = false;
        return;
    }
    if (verdict->status == REVOCATION_REVOKED) {
        keep(status, (struct slice){NULL, 0}, 0);
        give(daemon, status);
        tell(daemon, status, "it says that the certificate was revoked");
    } else {
        tell(daemon, status,
             verdict->status == REVOCATION_GOOD ? "its answer is too long"
             : why[0] != '\0'                   ? why
                                                : revocation_problem_words(verdict->problem));
    }
}
