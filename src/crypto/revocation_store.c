/*
 * What is remembered of revocation: decides what stays, for how long, and when a source is worth
 * asking again.
 *
 * A list is one entry for all certificates of its issuer, a response one for each certificate; of a
 * response only what it said is kept. When there is no room the entry goes that was asked for
 * longest ago.
 */
#include "crypto/revocation_store.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "base/table.h"
#include "base/text.h"
#include "crypto/digest.h"

#define KEY_BYTES 32

struct entry {
    struct entry *newer, *older; /* by when it was asked for */
    uint8_t key[KEY_BYTES];
    bool is_list;
    struct revocation_list *list; /* NULL: none came yet */
    size_t bytes;
    struct revocation_verdict verdict; /* of a response */
    int64_t heard_s; /* 0: never */
    int64_t from_s; /* what was heard is from then */
    int64_t failed_s; /* 0: the last try gave something */
    char why[REVOCATION_WHY_BYTES];
};

struct order {
    struct entry *newest, *oldest;
    size_t count, limit;
};

struct revocation_store {
    CRYPTO_RWLOCK *lock;
    struct table entries;
    struct order lists, responses;
    size_t list_bytes;
};

struct revocation_store *revocation_store_new(struct random_source *random)
{
    struct revocation_store *store = calloc(1, sizeof(*store));
    uint8_t key[16];

    if (store == NULL) {
        return NULL;
    }
    store->lock = CRYPTO_THREAD_lock_new();
    if (store->lock == NULL) {
        free(store);
        return NULL;
    }
    random_fill(random, key, sizeof(key));
    table_init(&store->entries, key, 0);
    store->lists.limit = REVOCATION_STORE_LISTS_MAX;
    store->responses.limit = REVOCATION_STORE_RESPONSES_MAX;
    return store;
}

/* ---- entries ---- */

static struct order *order_of(struct revocation_store *store, const struct entry *entry)
{
    return entry->is_list ? &store->lists : &store->responses;
}

static void order_remove(struct order *order, struct entry *entry)
{
    if (entry->newer != NULL) {
        entry->newer->older = entry->older;
    } else {
        order->newest = entry->older;
    }
    if (entry->older != NULL) {
        entry->older->newer = entry->newer;
    } else {
        order->oldest = entry->newer;
    }
    order->count--;
}

static void order_add(struct order *order, struct entry *entry)
{
    entry->newer = NULL;
    entry->older = order->newest;
    if (order->newest != NULL) {
        order->newest->newer = entry;
    } else {
        order->oldest = entry;
    }
    order->newest = entry;
    order->count++;
}

static void forget(struct revocation_store *store, struct entry *entry)
{
    order_remove(order_of(store, entry), entry);
    (void)table_remove(&store->entries, (struct slice){entry->key, KEY_BYTES});
    store->list_bytes -= entry->bytes;
    revocation_list_free(entry->list);
    free(entry);
}

void revocation_store_free(struct revocation_store *store)
{
    if (store == NULL) {
        return;
    }
    while (store->lists.oldest != NULL) {
        forget(store, store->lists.oldest);
    }
    while (store->responses.oldest != NULL) {
        forget(store, store->responses.oldest);
    }
    table_fini(&store->entries);
    CRYPTO_THREAD_lock_free(store->lock);
    free(store);
}

static void key_of(const struct revocation_source *source, const struct certificate *certificate,
                   uint8_t out[KEY_BYTES])
{
    uint8_t name[CERTIFICATE_FINGERPRINT_BYTES + 1 + REVOCATION_URL_BYTES] = {0};
    size_t length = strlen(source->url);
    struct digest digest;

    /* A list is the same for all that its place is named in. */
    if (source->kind == REVOCATION_SOURCE_RESPONDER) {
        certificate_fingerprint(certificate, name);
    }
    name[CERTIFICATE_FINGERPRINT_BYTES] = (uint8_t)source->kind;
    memcpy(name + CERTIFICATE_FINGERPRINT_BYTES + 1, source->url, length);
    digest_begin(&digest, DIGEST_SHA256);
    digest_add(&digest, name, CERTIFICATE_FINGERPRINT_BYTES + 1 + length);
    digest_end(&digest, out);
}

/* With the lock held, as all that follows. */
static struct entry *entry_find(struct revocation_store *store, const uint8_t key[KEY_BYTES])
{
    struct entry *entry = table_find(&store->entries, (struct slice){key, KEY_BYTES});

    if (entry != NULL) {
        order_remove(order_of(store, entry), entry);
        order_add(order_of(store, entry), entry);
    }
    return entry;
}

/* NULL: no memory. */
static struct entry *entry_make(struct revocation_store *store,
                                const struct revocation_source *source,
                                const struct certificate *certificate)
{
    uint8_t key[KEY_BYTES];

    key_of(source, certificate, key);
    struct entry *entry = entry_find(store, key);

    if (entry != NULL) {
        return entry;
    }
    entry = calloc(1, sizeof(*entry));
    if (entry == NULL) {
        return NULL;
    }
    memcpy(entry->key, key, KEY_BYTES);
    entry->is_list = source->kind == REVOCATION_SOURCE_LIST;
    struct order *order = order_of(store, entry);

    while (order->count >= order->limit) {
        forget(store, order->oldest);
    }
    if (!table_add(&store->entries, (struct slice){entry->key, KEY_BYTES}, entry)) {
        free(entry);
        return NULL;
    }
    order_add(order, entry);
    return entry;
}

/* ---- looking ---- */

static bool is_old(const struct entry *entry, const struct revocation_verdict *verdict,
                   int64_t now_s)
{
    return verdict->status == REVOCATION_UNKNOWN || verdict->problem == REVOCATION_OUT_OF_DATE ||
           now_s >= entry->heard_s + REVOCATION_REFRESH_S || now_s < entry->heard_s;
}

void revocation_store_look(struct revocation_store *store, const struct revocation_source *source,
                           const struct certificate *certificate, const struct certificate *issuer,
                           int64_t now_s, struct revocation_memory *out)
{
    struct revocation_list *list = NULL;
    struct entry seen = {0};
    uint8_t key[KEY_BYTES];

    key_of(source, certificate, key);
    *out = (struct revocation_memory){.ask = true, .verdict.reason = REVOCATION_NO_REASON};
    if (CRYPTO_THREAD_write_lock(store->lock) != 1) {
        return;
    }
    struct entry *entry = entry_find(store, key);

    if (entry != NULL) {
        seen = *entry;
        list = entry->list == NULL ? NULL : revocation_list_hold(entry->list);
    }
    CRYPTO_THREAD_unlock(store->lock);
    if (list != NULL) {
        revocation_by_list(list, certificate, issuer, now_s, &out->verdict);
        revocation_list_free(list);
    } else if (seen.heard_s != 0 && now_s < seen.verdict.next_s) {
        out->verdict = seen.verdict;
    }
    out->ask = is_old(&seen, &out->verdict, now_s) &&
               (seen.failed_s == 0 || now_s >= seen.failed_s + REVOCATION_RETRY_S ||
                now_s < seen.failed_s);
    memcpy(out->why, seen.why, sizeof(out->why));
}

/* ---- keeping ---- */

static void keep_why(struct entry *entry, const char *why, int64_t now_s)
{
    struct text text = text_over(entry->why, sizeof(entry->why));

    text_add(&text, why);
    entry->failed_s = now_s;
}

void revocation_store_failed(struct revocation_store *store, const struct revocation_source *source,
                             const struct certificate *certificate, const char *why, int64_t now_s)
{
    if (CRYPTO_THREAD_write_lock(store->lock) != 1) {
        return;
    }
    struct entry *entry = entry_make(store, source, certificate);

    if (entry != NULL) {
        keep_why(entry, why, now_s);
    }
    CRYPTO_THREAD_unlock(store->lock);
}

static void keep_list(struct revocation_store *store, struct entry *entry,
                      struct revocation_list *list, size_t bytes)
{
    revocation_list_free(entry->list);
    store->list_bytes -= entry->bytes;
    entry->list = revocation_list_hold(list);
    entry->bytes = bytes;
    store->list_bytes += bytes;
    while (store->list_bytes > REVOCATION_STORE_LIST_BYTES_MAX && store->lists.oldest != entry) {
        forget(store, store->lists.oldest);
    }
}

/* A response without an end holds for an hour; none holds for longer than a day. */
static void keep_verdict(struct entry *entry, const struct revocation_verdict *verdict,
                         int64_t heard_s)
{
    int64_t longest_s = heard_s + (verdict->next_s == 0 ? 3600 : 24 * 3600);

    entry->verdict = *verdict;
    if (verdict->next_s == 0 || verdict->next_s > longest_s) {
        entry->verdict.next_s = longest_s;
    }
}

bool revocation_store_put(struct revocation_store *store, const struct revocation_source *source,
                          const struct certificate *certificate, const struct certificate *issuer,
                          struct slice bytes, struct slice nonce, int64_t heard_s, int64_t now_s)
{
    bool is_list = source->kind == REVOCATION_SOURCE_LIST;
    struct revocation_list *list = is_list ? revocation_list_read(bytes) : NULL;
    struct revocation_verdict verdict = {.problem = REVOCATION_MALFORMED};

    if (list != NULL) {
        revocation_by_list(list, certificate, issuer, now_s, &verdict);
    } else if (!is_list) {
        revocation_by_ocsp(bytes, certificate, issuer, nonce, now_s, &verdict);
    }
    bool settles = verdict.status != REVOCATION_UNKNOWN;

    if (CRYPTO_THREAD_write_lock(store->lock) == 1) {
        struct entry *entry = entry_make(store, source, certificate);

        if (entry != NULL && settles && verdict.from_s < entry->from_s) {
            /* Who can answer in the source's place must not bring back what is past. */
            keep_why(entry, "it is older than what it gave before", now_s);
        } else if (entry != NULL && settles) {
            entry->from_s = verdict.from_s;
            entry->heard_s = heard_s;
            entry->failed_s = 0;
            entry->why[0] = 0;
            if (is_list) {
                keep_list(store, entry, list, bytes.length);
            } else {
                keep_verdict(entry, &verdict, heard_s);
            }
        } else if (entry != NULL) {
            keep_why(entry, revocation_problem_words(verdict.problem), now_s);
        }
        CRYPTO_THREAD_unlock(store->lock);
    }
    revocation_list_free(list);
    return settles;
}

void revocation_wishes_fini(struct revocation_wishes *wishes)
{
    for (size_t i = 0; i < wishes->count; i++) {
        certificate_free(wishes->list[i].certificate);
        certificate_free(wishes->list[i].issuer);
    }
    wishes->count = 0;
}
