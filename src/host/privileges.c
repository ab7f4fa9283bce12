/* Decides which rights the daemon keeps: those for routes and devices, sockets and ports after a
 * reload. */
#include "host/privileges.h"

#include <errno.h>
#include <cap-ng.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

void privileges_hide(void)
{
    const struct rlimit none = {0, 0};

    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

bool privileges_drop(char *why, size_t why_bytes)
{
    static const unsigned kept[] = {CAP_NET_ADMIN, CAP_NET_RAW, CAP_NET_BIND_SERVICE};

    if (capng_get_caps_process() != 0) {
        snprintf(why, why_bytes, "the system does not say which rights we have");
        return false;
    }
    bool had[ARRAY_LENGTH(kept)];
    for (size_t i = 0; i < ARRAY_LENGTH(kept); i++) {
        had[i] = capng_have_capability(CAPNG_PERMITTED, kept[i]) != 0;
    }
    bool may_bound = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP) != 0;
    capng_clear(CAPNG_SELECT_BOTH);
    for (size_t i = 0; i < ARRAY_LENGTH(kept); i++) {
        if (had[i]) {
            (void)capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, kept[i]);
        }
    }
    if (capng_apply(may_bound ? CAPNG_SELECT_BOTH : CAPNG_SELECT_CAPS) != 0) {
        snprintf(why, why_bytes, "the system does not let us give up our rights");
        return false;
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        snprintf(why, why_bytes, "the system does not let us renounce new rights: %s",
                 strerror(errno));
        return false;
    }
    return true;
}
