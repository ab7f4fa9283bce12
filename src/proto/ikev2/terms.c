/*
 * What is agreed about a child by notifies (RFC 7296 1.3.1, 2.22, 2.23.1, RFC 9347 5.1): decides
 * what is asked for, what a responder grants, and what is true of the child afterwards. Only the
 * mode can be a reason to have no child; all else is left out when one side does not want it.
 */
#include "proto/ikev2/machine.h"

#include <assert.h>

/* RFC 3173 3.3: below are well-known numbers and those kept back, above is private use. */
#define CPI_FIRST 256
#define CPI_LAST 61439

/* ---- transport mode: the addresses ---- */

static bool is_one(const struct range *range, const struct address *address)
{
    return address_equal(&range->first, address) && address_equal(&range->last, address);
}

static bool all_are_one(const struct selector *list, size_t count, const struct address *address)
{
    for (size_t i = 0; i < count; i++) {
        if (!is_one(&list[i].addresses, address)) {
            return false;
        }
    }
    return count > 0;
}

size_t ikev2_selectors_of_host(struct selector *list, size_t count, const struct address *host)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        if (range_contains(&list[i].addresses, host)) {
            list[kept] = list[i];
            list[kept].addresses = (struct range){*host, *host};
            kept++;
        }
    }
    return kept;
}

/* RFC 7296 2.23.1: the other side has written the address that it sees; we take the one that we
 * see. All selectors have that one address, else nothing is changed. */
static bool see_through_nat(struct selector *list, size_t count, const struct address *seen)
{
    struct address said = count > 0 ? list[0].addresses.first : *seen;

    if (said.family != seen->family || !all_are_one(list, count, &said)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        list[i].addresses = (struct range){*seen, *seen};
    }
    return true;
}

bool ikev2_terms_see(const struct ikev2_sa *sa, struct ikev2_ts_payload *local,
                     struct ikev2_ts_payload *peer, struct ikev2_terms *terms)
{
    if (local->count == 0 || peer->count == 0) {
        return false;
    }
    struct address said_local = local->selectors[0].addresses.first;
    struct address said_peer = peer->selectors[0].addresses.first;

    if (sa->nat_local && !see_through_nat(local->selectors, local->count, &sa->local.address)) {
        return false;
    }
    if (sa->nat_peer && !see_through_nat(peer->selectors, peer->count, &sa->peer.address)) {
        return false;
    }
    /* What was made with the addresses that are there needs no mending. */
    if (!address_equal(&said_local, &local->selectors[0].addresses.first) ||
        !address_equal(&said_peer, &peer->selectors[0].addresses.first)) {
        terms->original_local = said_local;
        terms->original_peer = said_peer;
    }
    return true;
}

/* ---- what we ask for ---- */

static bool has_ports(const struct selector *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i].port_first != 0 || list[i].port_last != UINT16_MAX) {
            return true;
        }
    }
    return false;
}

static bool wants_transport(const struct ikev2_sa *sa, const struct ikev2_work *work,
                            const struct ikev2_child *old)
{
    switch (work->policy->mode) {
    case IKEV2_MODE_TUNNEL:
        return false;
    case IKEV2_MODE_TRANSPORT:
        return true;
    case IKEV2_MODE_PREFER_TRANSPORT:
        if (old != NULL) {
            return old->terms.transport_mode;
        }
        return all_are_one(work->local, work->local_count, &sa->local.address) &&
               all_are_one(work->remote, work->remote_count, &sa->peer.address);
    }
    return false;
}

/* Exactly the two addresses between which IKE runs; one that was rekeyed follows a peer whose NAT
 * gave him another. */
static void to_hosts(const struct ikev2_sa *sa, struct ikev2_work *work,
                     const struct ikev2_child *old)
{
    if (old != NULL && old->terms.transport_mode &&
        see_through_nat(work->local, work->local_count, &sa->local.address) &&
        see_through_nat(work->remote, work->remote_count, &sa->peer.address)) {
        return;
    }
    work->local_count = ikev2_selectors_of_host(work->local, work->local_count, &sa->local.address);
    work->remote_count =
        ikev2_selectors_of_host(work->remote, work->remote_count, &sa->peer.address);
}

void ikev2_terms_want(const struct ikev2_sa *sa, struct ikev2_work *work,
                      const struct ikev2_child *old)
{
    const struct ikev2_child_policy *policy = work->policy;
    struct ikev2_terms *wanted = &work->wanted;
    bool esp = ikev2_child_policy_protocol(policy) == PROTOCOL_ESP;

    wanted->transport_mode = wants_transport(sa, work, old);
    if (wanted->transport_mode) {
        to_hosts(sa, work, old);
    }
    wanted->compress = policy->compress && (old == NULL || old->terms.compress);
    wanted->aggfrag = policy->aggfrag.wanted && esp && !wanted->transport_mode &&
                      (old == NULL || old->terms.aggfrag);
    wanted->resources = old != NULL ? old->terms.resources
                                    : policy->resources_max > 0 && policy->resources_announced;
    wanted->non_first_fragments =
        policy->non_first_fragments && !wanted->transport_mode &&
        (has_ports(work->local, work->local_count) || has_ports(work->remote, work->remote_count));
}

/* ---- what is written ---- */

static bool work_has_cpi(const struct ikev2_work *work, uint16_t cpi)
{
    return work != NULL && work->cpi_in == cpi;
}

static bool cpi_is_taken(const struct ikev2_sa *sa, uint16_t cpi)
{
    for (const struct ikev2_child *child = sa->children; child != NULL; child = child->next) {
        if (child->terms.compress && child->terms.cpi_in == cpi) {
            return true;
        }
    }
    for (const struct ikev2_ike *ike = sa->ikes; ike != NULL; ike = ike->next) {
        if (work_has_cpi(ike->asking, cpi) || work_has_cpi(ike->answering, cpi)) {
            return true;
        }
    }
    return sa->handshake != NULL && work_has_cpi(sa->handshake->child, cpi);
}

/* RFC 3173 4.1: in the negotiated range, and no two alike for one peer. SPIs are unlike each other
 * already, and the low parts of those that are in use at a time nearly so. */
static uint16_t choose_cpi(const struct ikev2_sa *sa, uint32_t spi)
{
    const uint32_t range = CPI_LAST - CPI_FIRST + 1;
    uint32_t offset = spi % range;

    /* Many fewer are in use than there are. */
    while (cpi_is_taken(sa, (uint16_t)(CPI_FIRST + offset))) {
        offset = (offset + 1) % range;
    }
    return (uint16_t)(CPI_FIRST + offset);
}

static void out_ipcomp(struct ikev2_outgoing *o, uint16_t cpi)
{
    struct ikev2_ipcomp ipcomp = {.cpi = cpi, .transform = IKEV2_IPCOMP_DEFLATE};
    uint8_t data[3];
    struct writer w = writer_over(data, sizeof(data));

    ikev2_write_ipcomp(&w, &ipcomp);
    ikev2_out_notify(o, IKEV2_IPCOMP_SUPPORTED, writer_written(&w));
}

void ikev2_terms_write(const struct ikev2_sa *sa, struct ikev2_outgoing *o, struct ikev2_work *work,
                       const struct ikev2_terms *terms)
{
    const struct slice nothing = {NULL, 0};

    if (terms->compress) {
        if (work->cpi_in == 0) {
            work->cpi_in = choose_cpi(sa, work->spi_in);
        }
        out_ipcomp(o, work->cpi_in);
    }
    if (terms->transport_mode) {
        ikev2_out_notify(o, IKEV2_USE_TRANSPORT_MODE, nothing);
    }
    if (terms->non_first_fragments) {
        ikev2_out_notify(o, IKEV2_NON_FIRST_FRAGMENTS_ALSO, nothing);
    }
    if (terms->resources) {
        uint8_t id[2];

        put_u16(id, work->resource_id);
        ikev2_out_notify(o, IKEV2_SA_RESOURCE_INFO,
                         work->resource_id == 0 ? nothing : SLICE_OF(id));
    }
    if (terms->aggfrag) {
        const struct ikev2_aggfrag_policy *policy = &work->policy->aggfrag;
        uint8_t flags =
            (uint8_t)((policy->congestion_control ? IKEV2_AGGFRAG_CONGESTION_CONTROL : 0) |
                      (policy->dont_fragment ? IKEV2_AGGFRAG_DONT_FRAGMENT : 0));

        ikev2_out_notify(o, IKEV2_USE_AGGFRAG, (struct slice){&flags, 1});
    }
}

/* ---- what the other side wrote ---- */

/* RFC 3173 3.3: 0 to 63 are well known, of which 2 is deflate. */
static bool cpi_is_good(const struct ikev2_ipcomp *ipcomp)
{
    return ipcomp->cpi == IKEV2_IPCOMP_DEFLATE || ipcomp->cpi >= CPI_FIRST;
}

/* How many IPCOMP_SUPPORTED there are, and the CPI of the first with deflate; 0 none. */
static size_t read_ipcomp(const struct ikev2_message *m, uint16_t *cpi)
{
    size_t count = 0;

    *cpi = 0;
    for (size_t i = 0; i < m->notify_count; i++) {
        struct ikev2_ipcomp ipcomp;

        if (m->notify[i].type != IKEV2_IPCOMP_SUPPORTED) {
            continue;
        }
        count++;
        if (*cpi == 0 && ikev2_read_ipcomp(m->notify[i].data, &ipcomp) &&
            ipcomp.transform == IKEV2_IPCOMP_DEFLATE && cpi_is_good(&ipcomp)) {
            *cpi = ipcomp.cpi;
        }
    }
    return count;
}

/* False when there is none, or one that demands what we do not know (RFC 9347 5.1). */
static bool read_aggfrag(const struct ikev2_message *m, struct ikev2_terms *terms)
{
    const uint8_t known = IKEV2_AGGFRAG_CONGESTION_CONTROL | IKEV2_AGGFRAG_DONT_FRAGMENT;
    const struct ikev2_notify_payload *n = ikev2_message_notify(m, IKEV2_USE_AGGFRAG);

    if (n == NULL || n->data.length != 1 || (n->data.data[0] & ~known) != 0) {
        return false;
    }
    terms->peer_congestion_control = (n->data.data[0] & IKEV2_AGGFRAG_CONGESTION_CONTROL) != 0;
    terms->peer_dont_fragment = (n->data.data[0] & IKEV2_AGGFRAG_DONT_FRAGMENT) != 0;
    return true;
}

void ikev2_terms_choose(const struct ikev2_message *m, struct ikev2_work *work)
{
    const struct ikev2_child_policy *policy = work->policy;
    struct ikev2_terms *agreed = &work->agreed;
    bool tunnel = !agreed->transport_mode;
    /* RFC 9347 5.1: never beside a wish for transport mode. */
    bool aggfrag = policy->aggfrag.wanted && tunnel && work->choice.protocol == PROTOCOL_ESP &&
                   ikev2_message_notify(m, IKEV2_USE_TRANSPORT_MODE) == NULL;
    uint16_t cpi;

    (void)read_ipcomp(m, &cpi);
    agreed->compress = policy->compress && cpi != 0;
    agreed->cpi_out = agreed->compress ? cpi : 0;
    agreed->aggfrag = aggfrag && read_aggfrag(m, agreed);
    agreed->peer_refuses_tfc = ikev2_message_notify(m, IKEV2_ESP_TFC_PADDING_NOT_SUPPORTED) != NULL;
    agreed->resources =
        policy->resources_max > 0 && ikev2_message_notify(m, IKEV2_SA_RESOURCE_INFO) != NULL;
    agreed->non_first_fragments = policy->non_first_fragments && tunnel &&
                                  ikev2_message_notify(m, IKEV2_NON_FIRST_FRAGMENTS_ALSO) != NULL;
}

bool ikev2_terms_verify(const struct ikev2_message *m, struct ikev2_work *work,
                        struct ikev2_failure *failure)
{
    const struct ikev2_terms *wanted = &work->wanted;
    struct ikev2_terms *agreed = &work->agreed;
    uint16_t cpi;
    size_t ipcomp_count = read_ipcomp(m, &cpi);

    agreed->transport_mode =
        wanted->transport_mode && ikev2_message_notify(m, IKEV2_USE_TRANSPORT_MODE) != NULL;
    if (!agreed->transport_mode && work->policy->mode == IKEV2_MODE_TRANSPORT) {
        ikev2_failure_set(failure, IKEV2_FAIL_CHILD_MODE, m->header.exchange, 0, "");
        return false;
    }
    /* RFC 7296 2.22: one, and of those that were proposed. */
    if (wanted->compress && ipcomp_count > 0 && (ipcomp_count > 1 || cpi == 0)) {
        ikev2_failure_set(failure, IKEV2_FAIL_SYNTAX, m->header.exchange, 0,
                          "the responder took a compression that was not offered");
        return false;
    }
    agreed->compress = wanted->compress && cpi != 0;
    agreed->cpi_out = agreed->compress ? cpi : 0;
    agreed->aggfrag = wanted->aggfrag && read_aggfrag(m, agreed);
    agreed->peer_refuses_tfc = ikev2_message_notify(m, IKEV2_ESP_TFC_PADDING_NOT_SUPPORTED) != NULL;
    agreed->resources =
        wanted->resources && ikev2_message_notify(m, IKEV2_SA_RESOURCE_INFO) != NULL;
    agreed->non_first_fragments = wanted->non_first_fragments &&
                                  ikev2_message_notify(m, IKEV2_NON_FIRST_FRAGMENTS_ALSO) != NULL;
    return true;
}
