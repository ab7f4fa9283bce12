/*
 * Decides whether a message of the network that a packet of ours was too big is believed (RFC 4301
 * 8.2.1, RFC 8201 6). Anybody can send such a message, so what it quotes must be what only those
 * see who stand on the path, in the way of RFC 5927 7: the SPI of an SA of ours to that peer and a
 * sequence number that was sent lately.
 */
#include "dataplane/plane.h"
#include "wire/ah.h"
#include "wire/esp.h"

/* Packets that may be on their way at once: half a second at half a million packets a second. An
 * SPI and a number that are guessed fit one time in 2^46. */
#define SENT_LATELY 0x40000u
#define CHANGE_INTERVAL_MS 1000

struct protection {
    uint8_t protocol;
    bool encapsulated;
    uint32_t spi;
    uint32_t sequence;
};

static bool read_esp(struct slice bytes, struct protection *out)
{
    struct esp_head head;

    if (!esp_read_head(bytes, &head)) {
        return false;
    }
    *out = (struct protection){
        .protocol = IP_PROTOCOL_ESP, .spi = head.spi, .sequence = head.sequence};
    return true;
}

/* The beginning of AH alone: the ICV may not be in the quotation. */
static bool read_ah(struct slice bytes, struct protection *out)
{
    struct reader r = reader_over(bytes);

    read_skip(&r, 4); /* next header, length, reserved */
    uint32_t spi = read_u32(&r);
    uint32_t sequence = read_u32(&r);
    *out = (struct protection){.protocol = IP_PROTOCOL_AH, .spi = spi, .sequence = sequence};
    return reader_ok(&r) && spi >= AH_SPI_FIRST;
}

static bool read_protection(const struct dataplane_quote *quote, struct protection *out)
{
    switch (quote->protocol) {
    case IP_PROTOCOL_ESP:
        return read_esp(quote->bytes, out);
    case IP_PROTOCOL_AH:
        return read_ah(quote->bytes, out);
    case IP_PROTOCOL_UDP: /* the non-ESP marker of IKE is no SPI */
        if (!read_esp(quote->bytes, out)) {
            return false;
        }
        out->encapsulated = true;
        return true;
    default: /* a number from the wire: we send nothing else */
        return false;
    }
}

/* The last number that was used stands in the SA; numbers begin at 1 (RFC 4303 3.3.3). */
static bool was_sent_lately(const struct sa *sa, uint32_t sequence)
{
    uint64_t last = atomic_load_explicit(&sa->sequence, memory_order_relaxed);
    uint32_t behind = (uint32_t)last - sequence;

    return behind < SENT_LATELY && behind < last;
}

static bool is_of(const struct sa *sa, const struct dataplane_quote *quote,
                  const struct protection *p)
{
    const struct sa_path *path = atomic_load(&sa->path);

    if (sa->spi_out != p->spi || sa->shape.protocol != p->protocol ||
        path->encapsulated != p->encapsulated ||
        !address_equal(&path->peer.address, &quote->peer.address) ||
        (!address_is_unset(&quote->local.address) &&
         !address_equal(&path->local.address, &quote->local.address))) {
        return false;
    }
    if (p->encapsulated &&
        (path->peer.port != quote->peer.port || path->local.port != quote->local.port)) {
        return false;
    }
    return was_sent_lately(sa, p->sequence);
}

static struct sa *find_sender(struct dataplane *dp, const struct dataplane_quote *quote)
{
    struct protection p;

    if (!read_protection(quote, &p)) {
        return NULL;
    }
    for (struct sa *sa = sad_first_of_peer(dp, &quote->peer.address); sa != NULL;
         sa = sa->peer_next) {
        if (is_of(sa, quote, &p)) {
            return sa;
        }
    }
    return NULL;
}

/* RFC 1191 5, 7.1: a router of before does not tell its MTU; it is one that links have, below what
 * did not pass. */
static uint32_t plateau_below(uint32_t bytes)
{
    static const uint16_t plateaus[] = {32000, 17914, 8166, 4352, 2002, 1492, 1006};

    for (size_t i = 0; i < ARRAY_LENGTH(plateaus); i++) {
        if (plateaus[i] < bytes) {
            return plateaus[i];
        }
    }
    return PATH_MTU_LEAST_IPV4;
}

/* RFC 8201 4: what is not smaller than what was sent was said about something else. */
static bool is_possible(const struct dataplane_quote *quote, uint32_t mtu)
{
    uint32_t least =
        quote->peer.address.family == FAMILY_IPV4 ? PATH_MTU_LEAST_IPV4 : PATH_MTU_LEAST_IPV6;

    return mtu >= least && (quote->total_bytes == 0 || mtu < quote->total_bytes);
}

static enum too_big judge(struct dataplane *dp, const struct dataplane_quote *quote, uint32_t mtu,
                          uint64_t now_ms)
{
    struct address local = quote->local.address;

    if (!quote->is_known) {
        const struct sa *sa = find_sender(dp, quote);

        if (sa == NULL) {
            return TOO_BIG_NOT_OURS;
        }
        const struct sa_path *path = atomic_load(&sa->path);
        local = path->local.address;
    }
    uint64_t learnt_ms = 0;
    uint16_t present = path_mtu_of(dp, &local, &quote->peer.address, &learnt_ms);

    if (mtu == 0 && quote->peer.address.family == FAMILY_IPV4) {
        mtu = plateau_below(quote->total_bytes != 0 ? quote->total_bytes : present);
    }
    if (!is_possible(quote, mtu)) {
        return TOO_BIG_NOT_POSSIBLE;
    }
    /* Of many packets that were on their way each may bring such a message. */
    if (mtu >= present) {
        return TOO_BIG_KNOWN;
    }
    if (learnt_ms != 0 && now_ms < learnt_ms + CHANGE_INTERVAL_MS) {
        return TOO_BIG_TOO_SOON;
    }
    dataplane_path_mtu(dp, &local, &quote->peer.address, (uint16_t)mtu, now_ms);
    return TOO_BIG_BELIEVED;
}

enum too_big dataplane_too_big(struct dataplane *dp, const struct dataplane_quote *quote,
                               uint32_t mtu, uint64_t now_ms)
{
    enum too_big result = judge(dp, quote, mtu, now_ms);

    dp->too_big[result]++;
    return result;
}

uint64_t dataplane_too_big_count(const struct dataplane *dp, enum too_big result)
{
    return dp->too_big[result];
}

const char *too_big_name(enum too_big result)
{
    switch (result) {
    case TOO_BIG_BELIEVED:
        return "believed";
    case TOO_BIG_KNOWN:
        return "known";
    case TOO_BIG_TOO_SOON:
        return "too-soon";
    case TOO_BIG_NOT_OURS:
        return "not-ours";
    case TOO_BIG_NOT_POSSIBLE:
        return "not-possible";
    case TOO_BIG_COUNT:
        break;
    }
    return "";
}
