/*
 * Which strangers get an IKE SA at all (RFC 7296 2.6): above a few half-open ones, in all or from
 * one address, they must return a cookie first; above many, they get nothing. An IPv6 /64 counts as
 * one address, and a /48 as a few. While too many key exchanges of strangers wait for their turn,
 * nobody else gets one: he is not answered, and sends again. What was refused within the last
 * second counts like a half-open one: it may have cost a key exchange.
 */
#include "gateway/inside.h"

#include <stdlib.h>
#include <string.h>

#define COOKIES_FROM_PER_ADDRESS 3
/* A cookie proves an address, but one address must not take all the room. */
#define HALF_OPEN_PER_ADDRESS_MAX 32
/* Who has an IPv6 /48 has 65,536 of what counts as an address. */
#define ADDRESSES_PER_SITE 4
#define HALF_OPEN_MS 30000
#define HALF_OPEN_PRESSED_MS 10000
#define HALF_OPEN_ATTACKED_MS 3000
#define FAILED_MS 1000
#define REPLY_BYTES 2048

/* Those who speak IKEv1 have few places of their own, and take none of the others'. In Main Mode
 * the cookie of message 2 proves an address (ikev1_door.c); in Aggressive Mode anybody can begin in
 * anybody's name, so who calls from where no site is at gets a quarter of the places there. */
#define OLD_PER_ADDRESS_MAX 8
#define OLD_PART 4 /* of all half-open ones */
#define STRANGERS_PART 16

struct address_count {
    size_t half_open, old;
};

#define ADDRESS_KEY_BYTES 9
#define SITE_MARK 0x80 /* in the first octet of the key of a /48 */

static struct slice key_of(const struct address *a, uint8_t key[ADDRESS_KEY_BYTES])
{
    size_t length = a->family == FAMILY_IPV4 ? 4 : 8;

    memset(key, 0, ADDRESS_KEY_BYTES);
    key[0] = a->family;
    memcpy(key + 1, a->bytes, length);
    return (struct slice){key, ADDRESS_KEY_BYTES};
}

/* Of an IPv6 address. */
static struct slice site_key_of(const struct address *a, uint8_t key[ADDRESS_KEY_BYTES])
{
    memset(key, 0, ADDRESS_KEY_BYTES);
    key[0] = a->family | SITE_MARK;
    memcpy(key + 1, a->bytes, 6);
    return (struct slice){key, ADDRESS_KEY_BYTES};
}

/* What is counted under this address, or under its /48; zeros where nothing is. */
static struct address_count count_of(const struct gateway *g, const struct address *a, bool site)
{
    uint8_t bytes[ADDRESS_KEY_BYTES];
    const struct address_count *count = NULL;

    if (!site || a->family == FAMILY_IPV6) {
        count =
            table_find(&g->half_open_by_address, site ? site_key_of(a, bytes) : key_of(a, bytes));
    }
    return count == NULL ? (struct address_count){0} : *count;
}

/* From one address or a /48 there are so many, or ADDRESSES_PER_SITE times as many. */
static bool has_so_many(const struct gateway *g, const struct address *a, size_t most)
{
    return count_of(g, a, false).half_open >= most ||
           count_of(g, a, true).half_open >= ADDRESSES_PER_SITE * most;
}

static bool has_so_many_old(const struct gateway *g, const struct address *a, size_t most)
{
    return count_of(g, a, false).old >= most ||
           count_of(g, a, true).old >= ADDRESSES_PER_SITE * most;
}

static bool count_more(struct gateway *g, struct slice key, bool old)
{
    struct address_count *count = table_find(&g->half_open_by_address, key);

    if (count == NULL) {
        count = calloc(1, sizeof(*count));
        if (count == NULL || !table_add(&g->half_open_by_address, key, count)) {
            free(count);
            return false;
        }
    }
    *(old ? &count->old : &count->half_open) += 1;
    return true;
}

static void count_less(struct gateway *g, struct slice key, bool old)
{
    struct address_count *count = table_find(&g->half_open_by_address, key);

    if (count == NULL) {
        return;
    }
    *(old ? &count->old : &count->half_open) -= 1;
    if (count->half_open + count->old == 0) {
        (void)table_remove(&g->half_open_by_address, key);
        free(count);
    }
}

void admission_failed(struct gateway *g, uint64_t now_ms)
{
    if (now_ms >= g->failed_since_ms + FAILED_MS) {
        g->failed_since_ms = now_ms;
        g->failed_count = 0;
    }
    g->failed_count++;
}

static size_t failed_lately(const struct gateway *g)
{
    return g->now_ms < g->failed_since_ms + FAILED_MS ? g->failed_count : 0;
}

bool admission_wants_cookies(const struct gateway *g, const struct address *peer)
{
    return g->half_open_count + failed_lately(g) >= g->config->cookie_threshold ||
           has_so_many(g, peer, COOKIES_FROM_PER_ADDRESS);
}

static bool is_full(const struct gateway *g, const struct address *peer)
{
    return g->half_open_count >= g->config->half_open_max ||
           has_so_many(g, peer, HALF_OPEN_PER_ADDRESS_MAX) || g->ike_count >= g->ike_sa_max;
}

static size_t old_most(const struct gateway *g, enum old_caller who)
{
    return g->config->half_open_max / (who == OLD_STRANGER ? STRANGERS_PART : OLD_PART);
}

static uint64_t half_open_ms(size_t count, size_t most)
{
    if (count >= most / 4 * 3) {
        return HALF_OPEN_ATTACKED_MS;
    }
    return count >= most / 2 ? HALF_OPEN_PRESSED_MS : HALF_OPEN_MS;
}

uint64_t admission_half_open_ms(const struct gateway *g)
{
    return half_open_ms(g->half_open_count, g->config->half_open_max);
}

uint64_t admission_old_half_open_ms(const struct gateway *g, enum old_caller who)
{
    return half_open_ms(g->old_half_open_count, old_most(g, who));
}

void admission_begin(struct ike *ike)
{
    struct gateway *g = ike->gateway;
    const struct address *peer = &ike->peer.address;
    uint8_t bytes[ADDRESS_KEY_BYTES];

    if (!count_more(g, key_of(peer, bytes), ike->is_old)) {
        return;
    }
    if (peer->family == FAMILY_IPV6 && !count_more(g, site_key_of(peer, bytes), ike->is_old)) {
        count_less(g, key_of(peer, bytes), ike->is_old);
        return;
    }
    *(ike->is_old ? &g->old_half_open_count : &g->half_open_count) += 1;
    ike->half_open = true;
}

void admission_end(struct ike *ike)
{
    struct gateway *g = ike->gateway;
    const struct address *peer = &ike->init_peer.address;
    uint8_t bytes[ADDRESS_KEY_BYTES];

    if (!ike->half_open) {
        return;
    }
    ike->half_open = false;
    *(ike->is_old ? &g->old_half_open_count : &g->half_open_count) -= 1;
    count_less(g, key_of(peer, bytes), ike->is_old);
    if (peer->family == FAMILY_IPV6) {
        count_less(g, site_key_of(peer, bytes), ike->is_old);
    }
}

static bool has_time(struct gateway *g)
{
    if (g->strangers_exchanges >= STRANGERS_EXCHANGES_MAX) {
        g->refused_busy++;
        return false;
    }
    return g->responder_terms != NULL;
}

bool admission_has_room(struct gateway *g, const struct endpoint *peer)
{
    if (g->stopping || is_full(g, &peer->address)) {
        g->refused_full++;
        return false;
    }
    return has_time(g);
}

bool admission_forgets_old(const struct gateway *g, const struct address *peer)
{
    return g->old_half_open_count >= g->config->cookie_threshold ||
           has_so_many_old(g, peer, COOKIES_FROM_PER_ADDRESS);
}

bool admission_has_room_for_old(struct gateway *g, const struct endpoint *peer, enum old_caller who)
{
    size_t most = who == OLD_PROVEN ? HALF_OPEN_PER_ADDRESS_MAX : OLD_PER_ADDRESS_MAX;

    if (g->stopping || g->old_half_open_count >= old_most(g, who) ||
        has_so_many_old(g, &peer->address, most) || g->ike_count >= g->ike_sa_max) {
        g->refused_full++;
        return false;
    }
    return has_time(g);
}

/* Who comes through port 500 goes on through 4500, and must find us there. */
static bool prefers_udp(const struct gateway *g, const struct endpoint *local,
                        const struct address *peer)
{
    return (local->port == IKE_NAT_PORT || g->config->nat_port == IKE_NAT_PORT) &&
           responder_terms_prefer_udp(g->responder_terms, peer);
}

/* A message for which there is no IKE SA. */
void admission_datagram(struct gateway *g, const struct endpoint *local,
                        const struct endpoint *peer, struct slice message, uint64_t now_ms)
{
    uint8_t bytes[REPLY_BYTES];
    struct writer reply = writer_over(bytes, sizeof(bytes));
    /* RFC 9329 6.3: a connection proves the address, and the host counts connections. */
    bool cookies = !peer->tcp && admission_wants_cookies(g, &peer->address);
    struct reader r = reader_over(message);
    struct ikev2_header header;

    if (!ikev2_read_header(&r, &header) || crash_knows(g, &header)) {
        return;
    }
    if (header.version >> 4 == 1) {
        ikev1_admit(g, local, peer, &header, message, now_ms);
        return;
    }
    switch (ikev2_gate_admit(&g->gate, message, local, peer, cookies, now_ms, g->random, &reply)) {
    case IKEV2_GATE_ADMIT:
        break;
    case IKEV2_GATE_REPLY:
        actions_send(g, local, peer, writer_written(&reply), SEND_ANYHOW);
        g->cookies_sent += cookies && header.exchange == IKEV2_IKE_SA_INIT;
        return;
    case IKEV2_GATE_DROP:
        return;
    }
    if (!admission_has_room(g, peer)) {
        return;
    }
    g->responder_terms->policy.half_open_ms = admission_half_open_ms(g);
    g->responder_terms->policy.prefer_encapsulation = prefers_udp(g, local, &peer->address);
    ike_answer(g, local, peer, &header, message, now_ms);
}
