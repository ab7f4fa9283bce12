/*
 * Decides whom to ask whether a certificate was revoked, how long a proof waits for that, and what
 * stays on the disk.
 *
 * A wish has a certificate and its sources. Their names are looked up first, by the resolver's
 * threads; then a fetching thread asks one source after the other until one knows. Everything that
 * is asked for comes from a certificate whose path and signature are good, or from the
 * configuration; an address that a certificate names must not be one of this machine or its link.
 */
#include "sekishod/revocation.h"

#include "crypto/digest.h"
#include "host/clock.h"
#include "host/entropy.h"
#include "host/files.h"
#include "host/http.h"
#include "sekishod/daemon.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREADS 2
#define FETCHINGS_MAX 512
/* The peer repeats its message meanwhile and gives up after half a minute or more. */
#define PROOF_WAITS_MS 10000
#define SOURCE_MS 4000
#define FETCHED_LIST_BYTES_MAX (8 * 1024 * 1024)
#define FILES_MAX 64
#define NONCE_BYTES 16 /* RFC 9654: what every responder takes */
#define QUESTION_IS_OURS (1ULL << 63)
#define QUESTION_SOURCE_BITS 3

_Static_assert(REVOCATION_SOURCES_MAX <= 1 << QUESTION_SOURCE_BITS, "sources have numbers");

/* A proof that waits for some of its wishes. */
struct waiting {
    struct waiting *next;
    struct exchange *exchange; /* NULL: it has waited long enough */
    size_t open;
    uint64_t deadline_ms;
};

struct place {
    struct http_place http;
    struct address addresses[HTTP_ADDRESSES_MAX];
    size_t address_count;
    bool asked; /* the resolver has not answered yet */
    char why[HTTP_WHY_BYTES];
};

struct fetching {
    struct fetching *next;
    uint64_t number;
    struct revocation *revocation;
    struct waiting *waiting; /* NULL: nobody waits */
    struct revocation_wishes wish; /* of one */
    struct place places[REVOCATION_SOURCES_MAX];
    bool is_away; /* with a thread */
    /* About our own certificate: what came is for peers. */
    uint64_t own_number; /* 0: about a peer's */
    struct revocation_verdict own_verdict;
    uint8_t *own_response; /* a block */
    size_t own_length;
    char own_why[HTTP_WHY_BYTES];
};

struct revocation {
    struct daemon *daemon;
    struct revocation_store *store;
    struct jobs *jobs;
    atomic_bool stop;
    char folder[LOADER_PATH_BYTES];
    struct waiting *waitings;
    struct fetching *fetchings;
    size_t fetching_count;
    uint64_t next_number;
};

/* ---- in a fetching thread ---- */

static bool file_of(const struct revocation *revocation, const char *url,
                    char out[LOADER_PATH_BYTES])
{
    struct digest digest;
    uint8_t hash[32];
    char name[2 * sizeof(hash) + 1];
    struct text text = text_over(name, sizeof(name));

    digest_begin(&digest, DIGEST_SHA256);
    digest_add(&digest, (const uint8_t *)url, strlen(url));
    digest_end(&digest, hash);
    text_add_hex(&text, (struct slice){hash, sizeof(hash)});
    int length = snprintf(out, LOADER_PATH_BYTES, "%s/%s.crl", revocation->folder, name);

    return length > 0 && length < LOADER_PATH_BYTES;
}

/* What an earlier run fetched, as long as it holds. */
static bool take_file(struct fetching *f, const struct revocation_source *source, int64_t now_s)
{
    const struct revocation_wish *wish = &f->wish.list[0];
    char path[LOADER_PATH_BYTES];
    char why[256];
    size_t length = 0;
    char *bytes = file_of(f->revocation, source->url, path)
                      ? files_read(path, &length, why, sizeof(why))
                      : NULL;
    /* By its age nobody knows when it was fetched: it is asked for anew when somebody needs it. */
    bool settled =
        bytes != NULL &&
        revocation_store_put(f->revocation->store, source, wish->certificate, wish->issuer,
                             (struct slice){(uint8_t *)bytes, length}, (struct slice){NULL, 0},
                             now_s - REVOCATION_REFRESH_S, now_s);

    free(bytes);
    return settled;
}

static void keep_file(const struct fetching *f, const struct revocation_source *source,
                      struct slice bytes)
{
    const struct revocation *revocation = f->revocation;
    char path[LOADER_PATH_BYTES];
    char why[256];

    /* Without a place to keep it everything works, until the next start without the network. */
    if (!files_make_directory(revocation->folder, 0700, why, sizeof(why)) ||
        !file_of(revocation, source->url, path) ||
        !files_write(path, bytes, 0600, why, sizeof(why))) {
        return;
    }
    files_keep_newest(revocation->folder, ".crl", FILES_MAX);
}

/* It is kept as it came, when it says that the certificate is good. */
static bool take_own(struct fetching *f, struct slice bytes)
{
    const struct revocation_wish *wish = &f->wish.list[0];
    struct revocation_verdict *verdict = &f->own_verdict;

    revocation_by_ocsp(bytes, wish->certificate, wish->issuer, (struct slice){NULL, 0},
                       (int64_t)(clock_date_ms() / 1000), verdict);
    if (verdict->status == REVOCATION_GOOD) {
        f->own_response = malloc(bytes.length);
        f->own_length = f->own_response == NULL ? 0 : bytes.length;
    }
    if (f->own_response != NULL) {
        memcpy(f->own_response, bytes.data, bytes.length);
    }
    return verdict->status != REVOCATION_UNKNOWN;
}

static bool take_answer(struct fetching *f, const struct revocation_source *source,
                        struct slice bytes, struct slice nonce)
{
    const struct revocation_wish *wish = &f->wish.list[0];
    int64_t now_s = (int64_t)(clock_date_ms() / 1000);

    if (f->own_number != 0) {
        return take_own(f, bytes);
    }
    if (!revocation_store_put(f->revocation->store, source, wish->certificate, wish->issuer, bytes,
                              nonce, now_s, now_s)) {
        return false;
    }
    if (source->kind == REVOCATION_SOURCE_LIST) {
        keep_file(f, source, bytes);
    }
    return true;
}

static bool fetch(struct fetching *f, size_t index)
{
    const struct revocation_wish *wish = &f->wish.list[0];
    const struct revocation_source *source = &wish->sources[index];
    const struct place *place = &f->places[index];
    bool responder = source->kind == REVOCATION_SOURCE_RESPONDER;
    struct random_source random = entropy_source();
    uint8_t nonce[NONCE_BYTES];
    uint8_t body[REVOCATION_REQUEST_BYTES_MAX];
    struct writer w = writer_over(body, sizeof(body));
    struct http_answer answer = {0};

    random_fill(&random, nonce, sizeof(nonce));
    /* A nonce of ours would mean nothing to the peers that are shown the answer. */
    struct slice asked = {nonce, responder && f->own_number == 0 ? sizeof(nonce) : 0};

    if (responder && !revocation_ocsp_request(wish->certificate, wish->issuer, asked, &w)) {
        return false;
    }
    const struct http_request request = {
        .place = &place->http,
        .addresses = place->addresses,
        .address_count = place->address_count,
        .content_type = responder ? "application/ocsp-request" : NULL,
        .body = writer_written(&w),
        .bytes_max = responder ? REVOCATION_RESPONSE_BYTES_MAX : FETCHED_LIST_BYTES_MAX,
        .deadline_ms = clock_now_ms() + SOURCE_MS,
        .stop = &f->revocation->stop,
    };
    bool came = http_fetch(&request, &answer);
    bool settled =
        came && take_answer(f, source, (struct slice){answer.bytes, answer.length}, asked);

    if (!came && f->own_number != 0) {
        snprintf(f->own_why, sizeof(f->own_why), "%s",
                 place->why[0] != 0 ? place->why : answer.why);
    } else if (!came) {
        revocation_store_failed(f->revocation->store, source, wish->certificate,
                                place->why[0] != 0 ? place->why : answer.why,
                                (int64_t)(clock_date_ms() / 1000));
    }
    free(answer.bytes);
    return settled;
}

static void run(void *job)
{
    struct fetching *f = job;
    const struct revocation_wish *wish = &f->wish.list[0];

    for (size_t i = 0; i < wish->source_count && !atomic_load(&f->revocation->stop); i++) {
        const struct revocation_source *source = &wish->sources[i];
        int64_t now_s = (int64_t)(clock_date_ms() / 1000);
        struct revocation_memory memory;

        if (f->own_number != 0) {
            if (fetch(f, i)) {
                return;
            }
            continue;
        }
        /* Somebody else may have asked meanwhile. */
        revocation_store_look(f->revocation->store, source, wish->certificate, wish->issuer, now_s,
                              &memory);
        if (memory.ask && memory.verdict.status == REVOCATION_UNKNOWN &&
            source->kind == REVOCATION_SOURCE_LIST && take_file(f, source, now_s)) {
            return;
        }
        if (memory.ask ? fetch(f, i) : memory.verdict.status != REVOCATION_UNKNOWN) {
            return;
        }
    }
}

/* ---- in the control thread ---- */

struct revocation *revocation_new(struct daemon *daemon)
{
    struct revocation *revocation = calloc(1, sizeof(*revocation));

    if (revocation == NULL) {
        return NULL;
    }
    revocation->daemon = daemon;
    snprintf(revocation->folder, sizeof(revocation->folder), "%s/revocation",
             daemon->options.state_directory);
    revocation->store = revocation_store_new(&daemon->random);
    revocation->jobs = jobs_new(THREADS, run, &daemon->wake);
    if (revocation->store == NULL || revocation->jobs == NULL) {
        revocation_free(revocation);
        return NULL;
    }
    return revocation;
}

static void forget(struct fetching *f)
{
    struct fetching **link = &f->revocation->fetchings;

    while (*link != f) {
        link = &(*link)->next;
    }
    *link = f->next;
    f->revocation->fetching_count--;
    revocation_wishes_fini(&f->wish);
    free(f->own_response);
    free(f);
}

static void drop(void *job)
{
    (void)job; /* it is in the list */
}

void revocation_free(struct revocation *revocation)
{
    if (revocation == NULL) {
        return;
    }
    atomic_store(&revocation->stop, true);
    jobs_free(revocation->jobs, drop);
    while (revocation->fetchings != NULL) {
        forget(revocation->fetchings);
    }
    while (revocation->waitings != NULL) {
        struct waiting *waiting = revocation->waitings;

        revocation->waitings = waiting->next;
        if (waiting->exchange != NULL) {
            actions_drop_job(waiting->exchange);
        }
        free(waiting);
    }
    revocation_store_free(revocation->store);
    free(revocation);
}

struct revocation_store *revocation_memory_of(struct revocation *revocation)
{
    return revocation->store;
}

static void fetching_done(struct fetching *f)
{
    struct waiting *waiting = f->waiting;

    if (f->own_number != 0) {
        own_status_came(f->revocation->daemon, f->own_number,
                        (struct slice){f->own_response, f->own_length}, &f->own_verdict,
                        f->own_why);
    }
    if (waiting != NULL && --waiting->open == 0) {
        waiting->deadline_ms = 0; /* revocation_turn() lets it go on */
    }
    forget(f);
}

/* When all names are known. */
static void hand_over(struct fetching *f)
{
    for (size_t i = 0; i < f->wish.list[0].source_count; i++) {
        if (f->places[i].asked) {
            return;
        }
    }
    f->is_away = jobs_put(f->revocation->jobs, f, f->waiting != NULL ? JOB_URGENT : JOB_COMMON);
    if (!f->is_away) {
        fetching_done(f);
    }
}

static void take_addresses(struct place *place, const struct revocation_source *source,
                           const struct address *addresses, size_t count)
{
    for (size_t i = 0; i < count && place->address_count < HTTP_ADDRESSES_MAX; i++) {
        if (source->configured || http_address_is_public(&addresses[i])) {
            place->addresses[place->address_count++] = addresses[i];
        }
    }
    if (place->address_count == 0) {
        snprintf(place->why, sizeof(place->why),
                 "a certificate may not make us ask this machine or its link");
    }
}

static void look_up(struct fetching *f, size_t index)
{
    const struct revocation_source *source = &f->wish.list[0].sources[index];
    struct place *place = &f->places[index];

    if (!http_read_url(source->url, &place->http)) {
        snprintf(place->why, sizeof(place->why), "this is no address of a web server");
    } else if (place->http.address.family != FAMILY_NONE) {
        take_addresses(place, source, &place->http.address, 1);
    } else {
        place->asked = resolve_ask(f->revocation->daemon->resolve,
                                   QUESTION_IS_OURS | f->number << QUESTION_SOURCE_BITS | index,
                                   place->http.host);
        if (!place->asked) {
            snprintf(place->why, sizeof(place->why), "too many names are being asked for at once");
        }
    }
}

/* False: too much is under way. */
static bool begin(struct revocation *revocation, struct waiting *waiting, uint64_t own_number,
                  const struct revocation_wish *wish)
{
    struct fetching *f = revocation->fetching_count == FETCHINGS_MAX ? NULL : calloc(1, sizeof(*f));

    if (f == NULL) {
        return false;
    }
    f->revocation = revocation;
    f->number = ++revocation->next_number;
    f->waiting = waiting;
    f->own_number = own_number;
    f->wish.count = 1;
    f->wish.list[0] = *wish;
    (void)certificate_hold(wish->certificate);
    (void)certificate_hold(wish->issuer);
    f->next = revocation->fetchings;
    revocation->fetchings = f;
    revocation->fetching_count++;
    if (waiting != NULL) {
        waiting->open++;
    }
    for (size_t i = 0; i < wish->source_count; i++) {
        look_up(f, i);
    }
    hand_over(f);
    return true;
}

bool revocation_fetch_own(struct revocation *revocation, uint64_t number,
                          const struct revocation_wish *wish)
{
    return begin(revocation, NULL, number, wish);
}

bool revocation_resolved(struct revocation *revocation, const struct resolve_answer *answer)
{
    if ((answer->question & QUESTION_IS_OURS) == 0) {
        return false;
    }
    uint64_t number = (answer->question & ~QUESTION_IS_OURS) >> QUESTION_SOURCE_BITS;
    size_t index = answer->question & ((1U << QUESTION_SOURCE_BITS) - 1);

    for (struct fetching *f = revocation->fetchings; f != NULL; f = f->next) {
        if (f->number == number && f->places[index].asked) {
            struct place *place = &f->places[index];

            place->asked = false;
            if (answer->count == 0) {
                snprintf(place->why, sizeof(place->why), "%s", answer->why);
            } else {
                take_addresses(place, &f->wish.list[0].sources[index], answer->addresses,
                               answer->count);
            }
            hand_over(f);
            break;
        }
    }
    return true;
}

/* Somebody is let in of whom nobody could say whether he was thrown out. */
static void tell_unknown(struct revocation *revocation, const struct ikev2_proof *proof)
{
    if (proof->result == IKEV2_PROOF_GOOD && !proof->sign && proof->verdict.said[0] != 0) {
        log_line(revocation->daemon->log, LOG_LEVEL_WARNING, "revocation",
                 "nobody says whether the certificate of %s was revoked (%s): taken, because the "
                 "site does not want revocation strict",
                 proof->verdict.subject, proof->verdict.said);
    }
}

bool revocation_waits(struct revocation *revocation, struct exchange *exchange,
                      struct ikev2_proof *proof, uint64_t now_ms)
{
    struct revocation_wishes *wishes = proof->wishes;
    bool waits = proof->result == IKEV2_PROOF_WAITS;
    struct waiting *waiting = waits ? calloc(1, sizeof(*waiting)) : NULL;

    if (waiting != NULL) {
        waiting->exchange = exchange;
        waiting->deadline_ms = now_ms + PROOF_WAITS_MS;
        waiting->next = revocation->waitings;
        revocation->waitings = waiting;
    }
    for (size_t i = 0; wishes != NULL && i < wishes->count; i++) {
        const struct revocation_wish *wish = &wishes->list[i];

        (void)begin(revocation, waits && wish->needed ? waiting : NULL, 0, wish);
    }
    if (!waits) {
        tell_unknown(revocation, proof);
        return false;
    }
    proof->was_asked = true;
    if (waiting == NULL) {
        actions_queue_again(revocation->daemon, exchange);
    } else if (waiting->open == 0) {
        waiting->deadline_ms = 0;
    }
    return true;
}

void revocation_turn(struct revocation *revocation, uint64_t now_ms)
{
    struct waiting **link = &revocation->waitings;
    struct fetching *f;

    while ((f = jobs_take(revocation->jobs)) != NULL) {
        fetching_done(f);
    }
    while (*link != NULL) {
        struct waiting *waiting = *link;

        if (waiting->exchange != NULL && now_ms >= waiting->deadline_ms) {
            actions_queue_again(revocation->daemon, waiting->exchange);
            waiting->exchange = NULL;
        }
        if (waiting->exchange == NULL && waiting->open == 0) {
            *link = waiting->next;
            free(waiting);
        } else {
            link = &waiting->next;
        }
    }
}
