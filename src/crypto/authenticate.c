/*
 * The integrity of AH is that of an ESP suite that does not encrypt, over other octets: its key is
 * made, chosen an engine for, cross-checked at the start and wiped as the key of such a suite
 * (protect.c).
 */
#include "crypto/authenticate.h"

#include <assert.h>

#include "crypto/protect_internal.h"

/* RFC 4543: what AH calls an integrity algorithm, ESP calls a cipher. */
static bool suite_without_cipher(uint16_t integrity_id, struct suite *out)
{
    const struct algorithm *algorithm = algorithm_find(TRANSFORM_INTEGRITY, integrity_id);

    if (algorithm == NULL) {
        return false;
    }
    if (algorithm->ah_only) {
        *out = (struct suite){.encryption = ENCRYPTION_NULL_AES_GMAC,
                              .key_bits =
                                  (uint16_t)(8 * (algorithm->key_bytes - algorithm->salt_bytes))};
    } else {
        *out = (struct suite){.encryption = ENCRYPTION_NULL, .integrity = integrity_id};
    }
    return true;
}

/* An auth_key is a protect_key that has a type of its own, so that neither is taken for the other.
 */
struct auth_key *auth_key_new(uint16_t integrity_id, struct slice key)
{
    struct suite suite;

    return suite_without_cipher(integrity_id, &suite) ? (void *)protect_key_new(&suite, key) : NULL;
}

void auth_key_free(struct auth_key *key)
{
    protect_key_free((void *)key);
}

size_t auth_key_icv_bytes(const struct auth_key *key)
{
    return auth_protect_key(key)->icv_bytes;
}

size_t auth_key_bytes(const struct auth_key *key)
{
    return protect_key_bytes(auth_protect_key(key));
}

const char *auth_key_engine(const struct auth_key *key)
{
    return protect_key_engine(auth_protect_key(key));
}

/* Does what needs no company at once, and gathers the rest. */
static size_t run_singles(struct protect_engine *engine, struct auth_job *jobs, size_t count,
                          struct auth_job *gathered[PROTECT_BURST])
{
    size_t waiting = 0;

    for (size_t i = 0; i < count; i++) {
        struct auth_job *job = &jobs[i];
        const struct protect_key *key = auth_protect_key(job->key);
        if (!key->is_expanded || engine->multi == NULL || !multi_takes_auth(engine->multi, job)) {
            openssl_authenticate(engine->openssl, job);
        } else if (multi_is_direct(key->cipher)) {
            multi_authenticate_direct(engine->multi, job);
        } else {
            gathered[waiting++] = job;
        }
    }
    return waiting;
}

/* Algorithms with enough packets go into the lanes, the few of others through OpenSSL. It is the
 * same work in both directions: that of opening, which ends with an ICV as well. */
static void run_gathered(struct protect_engine *engine, struct auth_job *const *gathered,
                         size_t count)
{
    uint8_t waiting[MAC_KINDS] = {0};
    struct auth_job *lanes[PROTECT_BURST];
    size_t lane_count = 0;

    for (size_t i = 0; i < count; i++) {
        waiting[auth_protect_key(gathered[i]->key)->mac_kind]++;
    }
    for (size_t i = 0; i < count; i++) {
        const struct protect_key *key = auth_protect_key(gathered[i]->key);
        if (waiting[key->mac_kind] >= key->multi_from[0]) {
            lanes[lane_count++] = gathered[i];
        } else {
            openssl_authenticate(engine->openssl, gathered[i]);
        }
    }
    if (lane_count > 0) {
        multi_authenticate(engine->multi, lanes, lane_count);
    }
}

void auth_compute(struct protect_engine *engine, struct auth_job *jobs, size_t count)
{
    protect_engine_forget_ended(engine);
    while (count > 0) {
        struct auth_job *gathered[PROTECT_BURST];
        size_t burst = count < PROTECT_BURST ? count : PROTECT_BURST;
        size_t waiting = run_singles(engine, jobs, burst, gathered);

        if (waiting > 0) {
            run_gathered(engine, gathered, waiting);
        }
        jobs += burst;
        count -= burst;
    }
}
