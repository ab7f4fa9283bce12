/*
 * How often somebody may try a password. Each address and each user has some wrong tries for
 * nothing; behind those each one costs a wait, longer every time, in which no other is looked at.
 * A user's waits end soon, and do not hold where he logged in last, so that nobody can keep him out
 * by guessing; an address waits longer.
 */
#ifndef SEKISHO_GATEWAY_RATIONS_H
#define SEKISHO_GATEWAY_RATIONS_H

#include "base/address.h"
#include "base/table.h"

#define RATIONS_MAX                                                                                \
    4096 /* addresses and users that are remembered; then the oldest are forgotten */
#define RATIONS_FORGET_MS (15 * UINT64_C(60000)) /* so long after the last wrong try */
#define RATIONS_ADDRESS_FREE 5
#define RATIONS_ADDRESS_WAIT_MS (5 * UINT64_C(60000))
#define RATIONS_USER_FREE 10
#define RATIONS_USER_WAIT_MS UINT64_C(60000)

struct ration;

struct rations {
    struct table table;
    struct ration *oldest, *latest;
    uint8_t key[16];
};

void rations_init(struct rations *r, const uint8_t key[16]);
void rations_fini(struct rations *r);
/* When a try may be looked at: `now_ms` or later. */
uint64_t rations_wait_until(const struct rations *r, const struct address *from, const char *user,
                            uint64_t now_ms);
void rations_failed(struct rations *r, const struct address *from, const char *user,
                    uint64_t now_ms);
/* He is who he says, and begins anew; his address does not. */
void rations_passed(struct rations *r, const struct address *from, const char *user,
                    uint64_t now_ms);

#endif
