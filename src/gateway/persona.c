/*
 * What follows from whom a peer looks like (proto/ike/persona): what is told to people, and what
 * its IKE SA leaves out because such a peer stumbles over it. Nothing that keeps strangers out
 * depends on it: anybody can look like anything.
 */
#include "gateway/inside.h"
#include "proto/ike/persona.h"

/* Of several messages in clear: what is known stays. */
static void look_at_ikev1(struct ike *ike, const struct ikev2_action *trace)
{
    enum persona found = ike->persona != PERSONA_UNKNOWN
                             ? PERSONA_UNKNOWN
                             : persona_of_ikev1(trace->trace.first, trace->trace.payloads);

    if (found != PERSONA_UNKNOWN) {
        ike->persona = (uint8_t)found;
        ike->persona_said = true;
    }
}

void persona_look(struct ike *ike, const struct ikev2_action *trace)
{
    const struct ikev2_header *header = &trace->trace.header;

    if (trace->trace.sent || ike->established) {
        return;
    }
    if (ike->is_old) {
        look_at_ikev1(ike, trace);
        return;
    }
    if (header->exchange != IKEV2_IKE_SA_INIT) {
        return;
    }
    ike->persona =
        (uint8_t)persona_of(trace->trace.first, trace->trace.payloads,
                            (header->flags & IKEV2_FLAG_RESPONSE) == 0, &ike->persona_said);
}

void persona_apply(struct ike *ike)
{
    unsigned traits = persona_traits((enum persona)ike->persona);
    unsigned quirks = 0;

    quirks |= (traits & PERSONA_NO_CHILD_GROUP) != 0 ? IKEV2_QUIRK_NO_CHILD_GROUP : 0;
    quirks |=
        (traits & PERSONA_NO_CHILD_REKEY) != 0 && ike->nat_peer ? IKEV2_QUIRK_NO_CHILD_REKEY : 0;
    machine_set_quirks(ike, quirks);
}

bool persona_renews_alone(const struct ike *ike)
{
    return ike->nat_peer &&
           (persona_traits((enum persona)ike->persona) & PERSONA_NO_CHILD_REKEY) != 0;
}

const char *persona_of_ike(const struct ike *ike)
{
    return persona_name((enum persona)ike->persona);
}

void persona_add(const struct ike *ike, struct text *out)
{
    /* That it is one of ours explains nothing. */
    if (ike->persona != PERSONA_UNKNOWN && ike->persona != PERSONA_SEKISHO) {
        text_addf(out, " (this is how %s looks)", persona_of_ike(ike));
    }
}

/* Several networks, and one pair of them was agreed with a peer that does so: what to write. */
void persona_say_pairs(const struct site *site, struct text *out)
{
    const struct ike *ike = site->used == NULL ? NULL : site->used->ike;

    if (ike == NULL || site->config->children == CHILDREN_PER_PAIR ||
        site->selectors.local_count * site->selectors.remote_count < 2 ||
        (persona_traits((enum persona)ike->persona) & PERSONA_ONE_PAIR) == 0) {
        return;
    }
    text_addf(out, "; %s has an SA for each pair of networks: write 'children per-pair'",
              persona_of_ike(ike));
}
