/* Wrong passwords, counted by address and by user. */
#include "gateway/rations.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_WAIT_MS 1000
#define KEY_BYTES 9
#define IPV6_PREFIX_BYTES 8 /* a /64 is one host's (RFC 4291 2.5.4) */

enum kind { OF_ADDRESS, OF_USER };

struct ration {
    struct ration *older, *younger;
    uint8_t key[KEY_BYTES]; /* the kind, and a keyed hash */
    uint32_t failures;
    uint64_t last_ms, until_ms;
    bool was_right;
    uint64_t right_from; /* OF_USER: a keyed hash of the address of his last right try */
};

void rations_init(struct rations *r, const uint8_t key[16])
{
    *r = (struct rations){0};
    memcpy(r->key, key, sizeof(r->key));
    table_init(&r->table, key, RATIONS_MAX);
}

static void unlink_one(struct rations *r, struct ration *one)
{
    *(one->older != NULL ? &one->older->younger : &r->oldest) = one->younger;
    *(one->younger != NULL ? &one->younger->older : &r->latest) = one->older;
}

static void line_up(struct rations *r, struct ration *one)
{
    one->older = r->latest;
    one->younger = NULL;
    *(r->latest != NULL ? &r->latest->younger : &r->oldest) = one;
    r->latest = one;
}

static void drop(struct rations *r, struct ration *one)
{
    unlink_one(r, one);
    (void)table_remove(&r->table, SLICE_OF(one->key));
    free(one);
}

void rations_fini(struct rations *r)
{
    while (r->oldest != NULL) {
        drop(r, r->oldest);
    }
    table_fini(&r->table);
}

static uint64_t hash_of(const struct rations *r, const struct address *from)
{
    size_t length =
        from->family == FAMILY_IPV6 ? IPV6_PREFIX_BYTES : address_bytes((enum family)from->family);

    return siphash24(r->key, (struct slice){from->bytes, length});
}

static struct slice of_address(const struct rations *r, const struct address *from,
                               uint8_t key[KEY_BYTES])
{
    key[0] = OF_ADDRESS;
    put_u64(key + 1, hash_of(r, from));
    return (struct slice){key, KEY_BYTES};
}

static struct slice of_user(const struct rations *r, const char *user, uint8_t key[KEY_BYTES])
{
    key[0] = OF_USER;
    put_u64(key + 1, siphash24(r->key, (struct slice){(const uint8_t *)user, strlen(user)}));
    return (struct slice){key, KEY_BYTES};
}

static uint64_t until(const struct ration *one, uint64_t now_ms)
{
    return one == NULL || one->until_ms <= now_ms ? now_ms : one->until_ms;
}

/* Where he logged in before he does not wait because others guess. */
static bool is_his(const struct rations *r, const struct ration *of_him, const struct address *from)
{
    return of_him != NULL && of_him->was_right && of_him->right_from == hash_of(r, from);
}

uint64_t rations_wait_until(const struct rations *r, const struct address *from, const char *user,
                            uint64_t now_ms)
{
    uint8_t key[KEY_BYTES];
    uint64_t address_ms = until(table_find(&r->table, of_address(r, from, key)), now_ms);
    const struct ration *of_him = table_find(&r->table, of_user(r, user, key));
    uint64_t user_ms = is_his(r, of_him, from) ? now_ms : until(of_him, now_ms);

    return address_ms > user_ms ? address_ms : user_ms;
}

/* Doubled with each try behind the free ones. */
static uint64_t wait_of(uint32_t failures, uint32_t free_ones, uint64_t most_ms)
{
    uint64_t wait_ms = FIRST_WAIT_MS;

    if (failures <= free_ones) {
        return 0;
    }
    for (uint32_t i = free_ones + 1; i < failures && wait_ms < most_ms; i++) {
        wait_ms *= 2;
    }
    return wait_ms < most_ms ? wait_ms : most_ms;
}

/* The place where somebody was right is kept until there is no room. */
static bool may_go(const struct rations *r, const struct ration *one, uint64_t now_ms)
{
    return r->table.count >= RATIONS_MAX ||
           (!one->was_right && now_ms >= one->last_ms + RATIONS_FORGET_MS);
}

/* NULL: no memory. */
static struct ration *make(struct rations *r, struct slice key, uint64_t now_ms)
{
    while (r->oldest != NULL && may_go(r, r->oldest, now_ms)) {
        drop(r, r->oldest);
    }
    struct ration *one = calloc(1, sizeof(*one));

    if (one == NULL) {
        return NULL;
    }
    memcpy(one->key, key.data, key.length);
    if (!table_add(&r->table, SLICE_OF(one->key), one)) {
        free(one);
        return NULL;
    }
    line_up(r, one);
    return one;
}

/* The youngest now. */
static struct ration *find_or_make(struct rations *r, struct slice key, uint64_t now_ms)
{
    struct ration *one = table_find(&r->table, key);

    if (one == NULL) {
        return make(r, key, now_ms);
    }
    unlink_one(r, one);
    line_up(r, one);
    return one;
}

static void count(struct rations *r, struct slice key, uint64_t now_ms)
{
    struct ration *one = find_or_make(r, key, now_ms);
    bool of_user_too = key.data[0] == OF_USER;

    if (one == NULL) {
        return;
    }
    if (now_ms >= one->last_ms + RATIONS_FORGET_MS) {
        one->failures = 0;
    }
    one->last_ms = now_ms;
    one->failures++;
    one->until_ms =
        now_ms + (of_user_too
                      ? wait_of(one->failures, RATIONS_USER_FREE, RATIONS_USER_WAIT_MS)
                      : wait_of(one->failures, RATIONS_ADDRESS_FREE, RATIONS_ADDRESS_WAIT_MS));
}

void rations_failed(struct rations *r, const struct address *from, const char *user,
                    uint64_t now_ms)
{
    uint8_t key[KEY_BYTES];

    count(r, of_address(r, from, key), now_ms);
    count(r, of_user(r, user, key), now_ms);
}

/* The address does not begin anew: with a right password of his own somebody would try those of
 * others without end. */
void rations_passed(struct rations *r, const struct address *from, const char *user,
                    uint64_t now_ms)
{
    uint8_t key[KEY_BYTES];
    struct ration *one = find_or_make(r, of_user(r, user, key), now_ms);

    if (one != NULL) {
        one->failures = 0;
        one->until_ms = 0;
        one->last_ms = now_ms;
        one->was_right = true;
        one->right_from = hash_of(r, from);
    }
}
