/*
 * A gateway with SAs of every kind and a peer that has their keys: what it sends is authentic and
 * wrong inside. Nothing ends the program, every packet leaves by one door, no buffer is lost, what
 * comes out fits the selectors of the SA, and nothing of a bundle comes out that came without its
 * outer SA.
 *
 * The input is a list of orders, each with a length and so many octets: an SA and how many of the
 * SAs of its bundle are made around it, the next header inside, how the outer header looks, marks.
 * All SAs have encryption NULL or AH, so that sealing is nothing but an HMAC made here.
 */
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "dataplane/testbed.h"
#include "fuzz.h"
#include "wire/ah.h"
#include "wire/ah_cover.h"
#include "wire/ip.h"
#include "wire/ip_place.h"

#define ICV_BYTES 16
#define SPI_FIRST 0x1000
#define INNER_BYTES_MAX 1600
#define ORDERS_MAX 24

enum how {
    HOW_SEALED = 1,
    HOW_ALONE = 2, /* without what goes around it */
    HOW_FORGED = 4,
    HOW_AGAIN = 8, /* the number of the one before */
    HOW_CE = 16,
    HOW_LATER = 32, /* it waits for others in one batch */
    HOW_TICK = 64,
    HOW_NO_HEAD = 128, /* the outer header is not handed over */
};

struct kind {
    uint8_t protocol;
    uint8_t around; /* the kind that goes around this one, as a number; 0: none */
    uint8_t family;
    bool transport, encapsulated, replay_off, esn, compress, paced, consumer;
};

/* Bundles stand from the inside out. */
static const struct kind kinds[] = {
    {IP_PROTOCOL_ESP, 0, 4, .transport = true},
    {IP_PROTOCOL_ESP, 0, 4, .transport = true, .encapsulated = true},
    {IP_PROTOCOL_ESP, 0, 6, .transport = true, .consumer = true},
    {IP_PROTOCOL_AH, 0, 4, .transport = true, .esn = true},
    {IP_PROTOCOL_AH, 0, 6, .transport = true},
    {IP_PROTOCOL_AH, 0, 4, .compress = true},
    {IP_PROTOCOL_AH, 0, 6, .replay_off = true},
    {IP_PROTOCOL_ESP, 0, 4, .compress = true, .replay_off = true},
    {IP_PROTOCOL_ESP, 0, 4, .paced = true, .encapsulated = true},
    {IP_PROTOCOL_ESP, 10, 4, .transport = true},
    {IP_PROTOCOL_AH, 0, 4, .transport = true},
    {IP_PROTOCOL_ESP, 12, 6},
    {IP_PROTOCOL_AH, 13, 6, .transport = true},
    {IP_PROTOCOL_ESP, 0, 6},
    {IP_PROTOCOL_ESP, 0, 4},
};
#define KINDS ARRAY_LENGTH(kinds)

/* What the peer's side of an SA keeps. */
static struct testbed bed;
static uint32_t sequences[KINDS];
static const uint8_t key[32] = {9, 8, 7};
static const struct endpoint ends[2][2] = {
    {{{FAMILY_IPV4, {192, 0, 2, 1}}, 4500}, {{FAMILY_IPV4, {198, 51, 100, 2}}, 4500}},
    {{{FAMILY_IPV6, {0x20, 1, 0xd, 0xb8, [15] = 1}}, 4500},
     {{FAMILY_IPV6, {0x20, 1, 0xd, 0xb8, [15] = 2}}, 4500}},
};
/* Hosts, and the networks behind the gateways; of UDP alone with a few ports. */
static struct selector selectors[2][2][2];

static const struct endpoint *end_of(uint8_t family, bool ours)
{
    return &ends[family == 4 ? 0 : 1][ours ? 0 : 1];
}

static void make_selectors(void)
{
    for (size_t family = 0; family < 2; family++) {
        for (size_t ours = 0; ours < 2; ours++) {
            struct address host = ends[family][1 - ours].address;
            struct selector *s = selectors[family][ours];
            struct tunnel any = {.outer_family = FAMILY_IPV4};
            struct child_sa child;

            s[0] = (struct selector){{host, host}, 0, 0, UINT16_MAX};
            testbed_child(&any, true, &child);
            s[1] = (ours == 1 ? child.local_selectors : child.remote_selectors)[family];
            s[1].protocol = IP_PROTOCOL_UDP;
            s[1].port_first = ours == 1 ? 53 : 0;
            s[1].port_last = ours == 1 ? 53 : UINT16_MAX;
        }
    }
}

static void install(size_t index)
{
    const struct kind *k = &kinds[index];
    size_t family = k->family == 4 ? 0 : 1;
    struct child_sa child = {
        .spi_in = SPI_FIRST + (uint32_t)index,
        .spi_out = SPI_FIRST + (uint32_t)index,
        .policy_id = 1,
        .protocol = k->protocol,
        .suite = {.encryption = k->protocol == IP_PROTOCOL_ESP ? ENCRYPTION_NULL : 0,
                  .integrity = INTEGRITY_HMAC_SHA2_256_128,
                  .esn = k->esn},
        .key_in = SLICE_OF(key),
        .key_out = SLICE_OF(key),
        .local = *end_of(k->family, true),
        .peer = *end_of(k->family, false),
        .encapsulated = k->encapsulated,
        .transport_mode = k->transport,
        .waits_for_outer = k->around != 0,
        .to_consumer = k->consumer,
        .replay_off = k->replay_off,
        .local_selectors = &selectors[family][1][k->transport ? 0 : 1],
        .local_count = 1,
        .remote_selectors = &selectors[family][0][k->transport ? 0 : 1],
        .remote_count = 1,
        .cpi_in = k->compress ? 2 : 0,
        .tfc_bytes = k->transport || k->paced ? 0 : 64,
        .aggfrag = {.enabled = k->paced, .rate_bits = 1000000},
    };

    for (size_t i = 0; i < KINDS; i++) {
        if (kinds[i].around == index && index != 0) {
            child.inside_spi_in = SPI_FIRST + (uint32_t)i;
        }
    }
    MUST(dataplane_reserve_exact(bed.a.dp, child.spi_in));
    MUST(dataplane_install(bed.a.dp, &child));
    dataplane_use(bed.a.dp, child.spi_in);
}

static void set_up(void)
{
    testbed_open(&bed, 3);
    make_selectors();
    for (size_t i = 0; i < KINDS; i++) {
        install(i);
    }
}

/* --- the peer --- */

struct made {
    uint8_t room[300]; /* headers grow to the front */
    uint8_t bytes[INNER_BYTES_MAX + 600];
    uint8_t *data;
    size_t length;
};

static void put_front(struct made *m, size_t bytes)
{
    MUST((size_t)(m->data - m->room) >= bytes);
    m->data -= bytes;
    m->length += bytes;
}

static void sum(const struct kind *k, const uint8_t *data, size_t length, bool forged, uint8_t *icv)
{
    static uint8_t covered[sizeof(struct made)];
    uint8_t digest[EVP_MAX_MD_SIZE];

    memcpy(covered, data, length);
    if (k->esn) {
        memset(covered + length, 0, 4);
        length += 4;
    }
    MUST(HMAC(EVP_sha256(), key, sizeof(key), covered, length, digest, NULL) != NULL);
    memcpy(icv, digest, ICV_BYTES);
    icv[0] ^= forged ? 1 : 0;
}

/* An outer header from the peer; `options` octets of no operation or of padding. */
static size_t put_outer(struct made *m, const struct kind *k, uint8_t tos, uint8_t options)
{
    bool ipv4 = k->family == 4;
    size_t more = ipv4 ? (options % 4) * 4u : (options % 3) * 8u;
    size_t payload = m->length;

    put_front(m, more);
    if (ipv4) {
        memset(m->data, 1, more);
        put_front(m, IPV4_HEAD_BYTES);
        struct writer w = writer_over(m->data, IPV4_HEAD_BYTES);
        ipv4_write(&w, &(struct ipv4_fields){.source = end_of(4, false)->address,
                                             .destination = end_of(4, true)->address,
                                             .tos = tos,
                                             .ttl = 63,
                                             .protocol = k->protocol,
                                             .payload_bytes = (uint16_t)payload});
        m->data[0] = (uint8_t)(0x45 + more / 4);
        put_u16(m->data + 2, (uint16_t)m->length);
        put_u16(m->data + 10, 0);
        put_u16(m->data + 10,
                checksum_finish(checksum_add(0, (struct slice){m->data, IPV4_HEAD_BYTES + more})));
        return IPV4_HEAD_BYTES + more;
    }
    if (more > 0) {
        memset(m->data, 0, more);
        m->data[0] = k->protocol;
        m->data[1] = (uint8_t)(more / 8 - 1);
        m->data[2] = 1;
        m->data[3] = (uint8_t)(more - 4);
    }
    put_front(m, IPV6_HEAD_BYTES);
    struct writer w = writer_over(m->data, IPV6_HEAD_BYTES);
    ipv6_write(&w,
               &(struct ipv6_fields){.source = end_of(6, false)->address,
                                     .destination = end_of(6, true)->address,
                                     .traffic_class = tos,
                                     .hop_limit = 63,
                                     .next_header = more > 0 ? IP_PROTOCOL_HOP_BY_HOP : k->protocol,
                                     .payload_bytes = (uint16_t)(payload + more)});
    return IPV6_HEAD_BYTES + more;
}

static void put_esp(struct made *m, size_t index, uint8_t next_header, bool forged)
{
    size_t padding = esp_padding_for(m->length, 4);

    esp_write_trailer(m->data + m->length, padding, next_header);
    m->length += padding + ESP_TRAILER_BYTES;
    put_front(m, ESP_HEAD_BYTES);
    esp_write_head(m->data, &(struct esp_head){SPI_FIRST + (uint32_t)index, sequences[index]});
    sum(&kinds[index], m->data, m->length, forged, m->data + m->length);
    m->length += ICV_BYTES;
}

/* Returns the octets of header before AH. */
static size_t put_ah(struct made *m, size_t index, uint8_t next_header, uint8_t tos,
                     uint8_t options, bool forged)
{
    const struct kind *k = &kinds[index];
    size_t bytes = ah_head_bytes(k->family == 4 ? FAMILY_IPV4 : FAMILY_IPV6, ICV_BYTES);
    struct ah_kept kept;
    uint8_t icv[ICV_BYTES];

    put_front(m, bytes);
    ah_write_head(m->data, &(struct ah_head){.next_header = next_header,
                                             .head_bytes = (uint16_t)bytes,
                                             .spi = SPI_FIRST + (uint32_t)index,
                                             .sequence = sequences[index]});
    size_t head = put_outer(m, k, tos, options);
    MUST(ah_normalise(m->data, m->length, head, &kept));
    sum(k, m->data, m->length, forged, icv);
    ah_restore(m->data, &kept);
    memcpy(m->data + head + AH_FIXED_BYTES, icv, ICV_BYTES);
    return head;
}

/* One SA around what is there. Returns the octets of outer header. */
static size_t put_around(struct made *m, size_t index, uint8_t next_header, uint8_t how,
                         uint8_t options)
{
    uint8_t tos = (how & HOW_CE) != 0 ? 3 : 0;
    bool forged = (how & HOW_FORGED) != 0;

    sequences[index] += (how & HOW_AGAIN) != 0 && sequences[index] > 0 ? 0 : 1;
    if (kinds[index].protocol == IP_PROTOCOL_AH) {
        return put_ah(m, index, next_header, tos, options, forged);
    }
    put_esp(m, index, next_header, forged);
    return kinds[index].encapsulated ? 0 : put_outer(m, &kinds[index], tos, options);
}

/* The whole way out, or less. Returns the outermost SA. */
static size_t seal(struct made *m, size_t index, uint8_t next_header, uint8_t how, uint8_t options,
                   size_t *head)
{
    *head = put_around(m, index, next_header, how, options);
    while (kinds[index].around != 0 && (how & HOW_ALONE) == 0) {
        uint8_t inside = kinds[index].family == 4 ? IP_PROTOCOL_IPV4 : IP_PROTOCOL_IPV6;

        index = kinds[index].around;
        if (kinds[index].transport) {
            /* The header is made again around both. */
            m->data += *head;
            m->length -= *head;
            inside = m->data[0] == 0 ? IP_PROTOCOL_ESP : IP_PROTOCOL_AH;
        }
        *head = put_around(m, index, inside, how & (uint8_t)~HOW_FORGED, options);
    }
    return index;
}

/* --- the gateway --- */

static struct packet *batch[BATCH_PACKETS];
static size_t batch_count;

static void hand_in(const struct made *m, size_t head, size_t outermost, uint8_t how)
{
    const struct kind *k = &kinds[outermost];
    struct packet *packet = dataplane_take_packet(bed.a.worker);

    MUST(packet != NULL);
    memcpy(packet_data(packet), m->data, m->length);
    packet->length = (uint32_t)(m->length - head);
    packet->offset += (uint32_t)head;
    packet->outer_head_bytes = (how & HOW_NO_HEAD) != 0 ? 0 : (uint16_t)head;
    packet->outer_protocol = k->encapsulated ? IP_PROTOCOL_UDP : k->protocol;
    packet->tos = (how & HOW_CE) != 0 ? 3 : 0;
    packet->local = *end_of(k->family, true);
    packet->peer = *end_of(k->family, false);
    batch[batch_count++] = packet;
}

static bool is_between(const struct ip_head *head)
{
    for (size_t family = 0; family < 2; family++) {
        for (size_t which = 0; which < 2; which++) {
            const struct selector *from = &selectors[family][0][which];
            const struct selector *to = &selectors[family][1][which];

            if (head->family == from->addresses.first.family &&
                address_compare(&head->source, &from->addresses.first) >= 0 &&
                address_compare(&head->source, &from->addresses.last) <= 0 &&
                address_compare(&head->destination, &to->addresses.first) >= 0 &&
                address_compare(&head->destination, &to->addresses.last) <= 0) {
                return which == 0 || (head->protocol == IP_PROTOCOL_UDP &&
                                      (head->fragment_offset > 0 || head->port_destination == 53));
            }
        }
    }
    return false;
}

static void check_output(bool may_come_out)
{
    const struct dataplane_output *out = &bed.a.out;

    MUST(may_come_out || (out->to_tun_count == 0 && out->to_consumer_count == 0));
    for (size_t i = 0; i < out->to_tun_count; i++) {
        struct ip_head head;

        MUST(ip_read(packet_slice(out->to_tun[i]), &head));
        MUST(head.total_bytes == out->to_tun[i]->length);
        MUST(is_between(&head));
    }
    for (size_t i = 0; i < out->to_consumer_count; i++) {
        const struct packet *p = out->to_consumer[i];
        uint32_t index = p->spi - SPI_FIRST;

        MUST(index < KINDS && kinds[index].consumer);
        MUST(p->outer_head_bytes <= p->offset &&
             p->offset + p->length + PACKET_TAILROOM_BYTES <= p->capacity);
    }
    MUST(testbed_doors_add_up(&bed.a));
    testbed_give(&bed.a);
}

static void flush(bool may_come_out)
{
    bed.now_ms += 10;
    dataplane_inbound(bed.a.worker, batch, batch_count, bed.now_ms, &bed.a.out);
    batch_count = 0;
    check_output(may_come_out);
}

static void tick(void)
{
    bed.now_ms += 10;
    dataplane_tick(bed.a.worker, bed.now_ms * 1000, &bed.a.out);
    check_output(true);
}

/* One order. */
static void obey(size_t index, uint8_t how, uint8_t next_header, uint8_t options,
                 struct slice inner)
{
    static struct made m;
    bool alone = (how & HOW_ALONE) != 0 && kinds[index].around != 0;
    size_t head = 0;
    size_t outermost = index;

    m.data = m.bytes;
    m.length = inner.length;
    if (inner.length > 0) {
        memcpy(m.data, inner.data, inner.length);
    }
    if ((how & HOW_SEALED) != 0) {
        outermost = seal(&m, index, next_header, how, options, &head);
    }
    if (alone && batch_count > 0) {
        flush(true);
    }
    hand_in(&m, head, outermost, how);
    /* Alone nothing may come out of a bundle, nor anything that is forged. */
    if ((how & HOW_LATER) == 0 || alone || batch_count == BATCH_PACKETS) {
        bool one = batch_count == 1 && (how & HOW_SEALED) != 0;

        flush(!(one && (alone || (how & HOW_FORGED) != 0)));
    }
    if ((how & HOW_TICK) != 0) {
        tick();
    }
}

FUZZ(dataplane_nest, 20000)
{
    static bool ready;
    struct reader r = reader_over((struct slice){data, size});
    size_t orders = 0;

    if (!ready) {
        ready = true;
        set_up();
    }
    while (reader_left(&r) >= 6 && orders++ < ORDERS_MAX) {
        uint8_t index = read_u8(&r) % KINDS;
        uint8_t how = read_u8(&r);
        uint8_t next_header = read_u8(&r);
        uint8_t options = read_u8(&r);
        size_t length = read_u16(&r) % (INNER_BYTES_MAX + 1);

        length = length > reader_left(&r) ? reader_left(&r) : length;
        obey(index, how, next_header, options, read_bytes(&r, length));
    }
    if (batch_count > 0) {
        flush(true);
    }
    while (bed.a.worker->later_count > 0) {
        tick();
    }
    MUST(bed.a.worker->free_count == WORKER_PACKETS);
    dataplane_quiet(bed.a.worker);
    return 0;
}
