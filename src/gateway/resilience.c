/*
 * Coming back, and proving again: what the gateway does when an IKE SA is to be followed by another
 * one without a gap.
 */
#include "gateway/inside.h"

/* Make before break: the old IKE SA carries the traffic until the new one does, and is closed then
 * (duplicates.c). Whom we cannot call has been told how long his proof is good. */
void resilience_reauthenticate(struct ike *ike, uint64_t now_ms)
{
    struct site *site = ike->site;

    if (site == NULL || !ike->established || !site_can_dial(site) || !site_is_enabled(site)) {
        return;
    }
    ike->superseded = true;
    site->wanted_by_traffic = true;
    site->backoff_ms = 0;
    site->next_try_ms = now_ms;
    site_think_later(site);
}
