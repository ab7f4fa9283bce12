/*
 * Who lost what both sides had: tells a peer that we did, and decides what his word about it is
 * worth. A token (RFC 6290) is a proof and ends the IKE SA. All else that comes in clear is a hint
 * (RFC 7296 1.5, 2.21.4): the peer is asked whether he lives, and when he answers that very
 * question with INVALID_IKE_SPI, and not otherwise soon after, he is called anew beside the IKE SA
 * instead of after silence. Nothing is closed for it.
 */
#include "gateway/inside.h"

#include <string.h>

#define INVALID_SPI_BYTES 64
/* Who lives answers as well, though somebody on the way was faster; what was lost is sent again by
 * then. */
#define DENIED_MS 600

void crash_new_machine(struct ike *ike)
{
    if (ike->gateway->gate.crash_secret != NULL) {
        machine_make_tokens(ike, ike->gateway->crash_secret);
    }
}

/* RFC 6290 9.2: no token of an IKE SA that is there, also when its roles are turned round. */
bool crash_knows(const struct gateway *g, const struct ikev2_header *h)
{
    const struct slice i = {(const uint8_t *)&h->spi_i, sizeof(h->spi_i)};
    const struct slice r = {(const uint8_t *)&h->spi_r, sizeof(h->spi_r)};

    return table_find(&g->ike_by_spi, i) != NULL || table_find(&g->ike_by_spi, r) != NULL;
}

static bool is_anywhere(const struct site *site)
{
    const struct config_site *c = site->config;

    for (size_t i = 0; i < c->peer_count; i++) {
        if (c->peers[i].any) {
            return true;
        }
    }
    return false;
}

bool crash_may_be_lost(const struct site *site, const struct endpoint *peer)
{
    return site->established_count == 0 && site_is_enabled(site) &&
           (identities_is_at(site, peer) || is_anywhere(site));
}

/* RFC 7296 1.5: outside of any IKE SA, with an initiator's SPI that means nothing. How often was
 * decided before (hearsay_may_look()). */
void crash_tell_unknown_spi(struct gateway *g, const struct dataplane_note *note)
{
    struct endpoint local = note->local, peer = note->peer;
    uint8_t bytes[INVALID_SPI_BYTES], spi[4], first;
    struct writer w = writer_over(bytes, sizeof(bytes));
    const struct ikev2_notify_payload n = {.type = IKEV2_INVALID_SPI, .data = SLICE_OF(spi)};
    const struct ikev2_header header = {
        .spi_i = random_u64(g->random),
        .next_payload = IKEV2_NOTIFY,
        .version = 0x20,
        .exchange = IKEV2_INFORMATIONAL,
        .flags = IKEV2_FLAG_INITIATOR,
    };

    if (g->stopping || peer.tcp) {
        return;
    }
    local.port = peer.port == 0 ? IKE_PORT : IKE_NAT_PORT;
    peer.port = peer.port == 0 ? IKE_PORT : peer.port;
    put_u32(spi, note->spi_in);
    ikev2_write_header(&w, &header);
    struct ikev2_chain chain = ikev2_chain_over(&w, &first);

    ikev2_begin_payload(&chain, IKEV2_NOTIFY, false);
    ikev2_write_notify(&w, &n);
    ikev2_end_payload(&chain);
    ikev2_finish_message(&w);
    if (writer_ok(&w)) {
        actions_send(g, &local, &peer, writer_written(&w), SEND_ANYHOW);
    }
}

void crash_peer_is_there(struct site *site, uint64_t now_ms)
{
    struct ike *dialled = site->dialled;

    if (site->used == NULL && site->dial == DIAL_IDLE && site->next_try_ms > now_ms) {
        site->next_try_ms = now_ms;
        site_think_later(site);
    } else if (site->dial == DIAL_GOING && dialled != NULL && !dialled->heard) {
        ike_order(dialled, IKE_ORDER_HURRY);
    }
    for (struct ike *ike = site->ikes; ike != NULL; ike = ike->next_of_site) {
        if (ike->established) {
            ike_order(ike, IKE_ORDER_HURRY);
        }
    }
}

void crash_denied(struct ike *ike, struct slice message, const struct endpoint *peer,
                  uint64_t now_ms)
{
    struct site *site = ike->site;

    if (ike->denied || site == NULL || site->used == NULL || site->used->ike != ike ||
        !address_equal(&ike->peer.address, &peer->address) || !machine_is_denied(ike, message)) {
        return;
    }
    ike->denied = true;
    site->silence_look_ms = now_ms + DENIED_MS;
    site_think_later(site);
}
