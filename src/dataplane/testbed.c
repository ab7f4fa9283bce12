/* Two gateways back to back. */
#include "dataplane/testbed.h"

#include <assert.h>
#include <string.h>

#include "wire/ip_place.h"
#include "wire/udp.h"

#define KEY_BYTES_MAX 128

static const struct selector site_a[2] = {
    {{{FAMILY_IPV4, {10, 1, 0, 0}}, {FAMILY_IPV4, {10, 1, 255, 255}}}, 0, 0, UINT16_MAX},
    {{{FAMILY_IPV6, {0x20, 0x01, 0x0d, 0xb8, 0, 0x0a}},
      {FAMILY_IPV6,
       {0x20, 0x01, 0x0d, 0xb8, 0, 0x0a, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}}},
     0,
     0,
     UINT16_MAX},
};
static const struct selector site_b[2] = {
    {{{FAMILY_IPV4, {10, 2, 0, 0}}, {FAMILY_IPV4, {10, 2, 255, 255}}}, 0, 0, UINT16_MAX},
    {{{FAMILY_IPV6, {0x20, 0x01, 0x0d, 0xb8, 0, 0x0b}},
      {FAMILY_IPV6,
       {0x20, 0x01, 0x0d, 0xb8, 0, 0x0b, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}}},
     0,
     0,
     UINT16_MAX},
};

static const struct endpoint outer_ipv4[2] = {
    {{FAMILY_IPV4, {192, 0, 2, 1}}, 4500},
    {{FAMILY_IPV4, {198, 51, 100, 2}}, 4500},
};
static const struct endpoint outer_ipv6[2] = {
    {{FAMILY_IPV6, {0x20, 0x01, 0x0d, 0xb8, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}}, 4500},
    {{FAMILY_IPV6, {0x20, 0x01, 0x0d, 0xb8, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2}}, 4500},
};

static const struct suite suites[] = {
    {.encryption = ENCRYPTION_AES_GCM_16, .key_bits = 128},
    {.encryption = ENCRYPTION_AES_GCM_16, .key_bits = 256, .esn = true},
    {.encryption = ENCRYPTION_AES_CCM_16, .key_bits = 128},
    {.encryption = ENCRYPTION_CHACHA20_POLY1305, .esn = true},
    {.encryption = ENCRYPTION_CHACHA20_POLY1305},
    {.encryption = ENCRYPTION_AES_CBC,
     .key_bits = 128,
     .integrity = INTEGRITY_HMAC_SHA2_256_128,
     .esn = true},
    {.encryption = ENCRYPTION_AES_CBC, .key_bits = 256, .integrity = INTEGRITY_HMAC_SHA1_96},
    {.encryption = ENCRYPTION_AES_CBC, .key_bits = 256, .integrity = INTEGRITY_HMAC_SHA2_512_256},
    {.encryption = ENCRYPTION_AES_CTR, .key_bits = 128, .integrity = INTEGRITY_HMAC_SHA2_256_128},
    {.encryption = ENCRYPTION_3DES, .integrity = INTEGRITY_HMAC_SHA1_96},
    {.encryption = ENCRYPTION_NULL_AES_GMAC, .key_bits = 128},
    {.encryption = ENCRYPTION_NULL, .integrity = INTEGRITY_HMAC_SHA2_256_128, .esn = true},
};

const struct suite *testbed_suite(size_t index)
{
    return index < ARRAY_LENGTH(suites) ? &suites[index] : NULL;
}

static void gateway_open(struct testbed *t, struct gateway *g, bool is_a)
{
    struct dataplane_settings settings = {
        .sa_max = 1024, .policy_max = 1024, .worker_count = 1, .random = &t->random};
    struct policy policy = {
        .id = 1,
        .verdict = POLICY_PROTECT,
        .local = is_a ? site_a : site_b,
        .local_count = 2,
        .remote = is_a ? site_b : site_a,
        .remote_count = 2,
    };

    g->dp = dataplane_new(&settings);
    assert(g->dp != NULL);
    g->worker = dataplane_worker_new(g->dp, 0);
    assert(g->worker != NULL);
    bool ok = dataplane_set_policies(g->dp, &policy, 1);
    assert(ok);
}

void testbed_open(struct testbed *t, uint64_t seed)
{
    static bool started;

    if (!started) {
        started = protect_start(PROTECT_AUTOMATIC);
        assert(started);
    }
    memset(t, 0, sizeof(*t));
    seeded_random_init(&t->seeded, seed);
    t->random = seeded_random_source(&t->seeded);
    t->now_ms = 1000000;
    gateway_open(t, &t->a, true);
    gateway_open(t, &t->b, false);
}

static void gateway_close(struct gateway *g)
{
    testbed_give(g);
    assert(g->worker->free_count == WORKER_PACKETS &&
           g->worker->free_small_count == WORKER_SMALL_PACKETS);
    dataplane_quiet(g->worker);
    dataplane_worker_free(g->worker);
    dataplane_free(g->dp);
}

void testbed_close(struct testbed *t)
{
    gateway_close(&t->a);
    gateway_close(&t->b);
}

void testbed_child(const struct tunnel *tunnel, bool is_a, struct child_sa *child)
{
    const struct endpoint *outer = tunnel->outer_family == FAMILY_IPV6 ? outer_ipv6 : outer_ipv4;

    *child = (struct child_sa){
        .policy_id = 1,
        .suite = tunnel->suite,
        .local = outer[is_a ? 0 : 1],
        .peer = outer[is_a ? 1 : 0],
        .encapsulated = tunnel->encapsulated,
        .replay_window = tunnel->replay_window,
        .local_selectors = is_a ? site_a : site_b,
        .local_count = 2,
        .remote_selectors = is_a ? site_b : site_a,
        .remote_count = 2,
        .soft_bytes = tunnel->soft_bytes,
        .hard_bytes = tunnel->hard_bytes,
        .soft_packets = tunnel->soft_packets,
        .hard_packets = tunnel->hard_packets,
        .copy_dscp = tunnel->copy_dscp,
        .df = tunnel->copy_df ? DF_COPY : DF_SET,
    };
}

bool testbed_join(struct testbed *t, const struct tunnel *tunnel)
{
    uint8_t keys[2][KEY_BYTES_MAX];
    size_t length =
        suite_encryption_key_bytes(&tunnel->suite) + suite_integrity_key_bytes(&tunnel->suite);
    struct child_sa child_a;
    struct child_sa child_b;

    assert(length <= KEY_BYTES_MAX);
    random_fill(&t->random, keys[0], KEY_BYTES_MAX);
    random_fill(&t->random, keys[1], KEY_BYTES_MAX);
    testbed_child(tunnel, true, &child_a);
    testbed_child(tunnel, false, &child_b);
    t->a.spi_in = dataplane_reserve_spi(t->a.dp);
    t->b.spi_in = dataplane_reserve_spi(t->b.dp);
    child_a.spi_in = child_b.spi_out = t->a.spi_in;
    child_b.spi_in = child_a.spi_out = t->b.spi_in;
    child_a.key_in = child_b.key_out = (struct slice){keys[0], length};
    child_b.key_in = child_a.key_out = (struct slice){keys[1], length};
    if (!dataplane_install(t->a.dp, &child_a) || !dataplane_install(t->b.dp, &child_b)) {
        return false;
    }
    dataplane_use(t->a.dp, t->a.spi_in);
    dataplane_use(t->b.dp, t->b.spi_in);
    return true;
}

void testbed_fill(struct testbed *t, struct packet *packet, bool from_a, uint8_t family,
                  uint32_t total, bool dont_fragment)
{
    const struct selector *from = from_a ? site_a : site_b;
    const struct selector *to = from_a ? site_b : site_a;
    size_t which = family == FAMILY_IPV4 ? 0 : 1;
    struct address source = from[which].addresses.first;
    struct address destination = to[which].addresses.first;
    struct writer w = writer_over(packet_data(packet), packet->capacity - packet->offset);
    uint32_t head_bytes = family == FAMILY_IPV4 ? IPV4_HEAD_BYTES : IPV6_HEAD_BYTES;
    size_t last = address_bytes((enum family)family) - 1;

    assert(total >= head_bytes + UDP_HEAD_BYTES);
    source.bytes[last] = (uint8_t)(1 + random_below(&t->random, 250));
    destination.bytes[last] = (uint8_t)(1 + random_below(&t->random, 250));
    uint8_t tos = (uint8_t)random_below(&t->random, 256);
    uint16_t payload = (uint16_t)(total - head_bytes);
    if (family == FAMILY_IPV4) {
        ipv4_write(&w,
                   &(struct ipv4_fields){source, destination, tos, 64, IP_PROTOCOL_UDP,
                                         (uint16_t)random_u32(&t->random), dont_fragment, payload});
    } else {
        ipv6_write(&w, &(struct ipv6_fields){source, destination, tos, 64, IP_PROTOCOL_UDP,
                                             random_u32(&t->random) & 0xfffff, payload});
    }
    udp_write(&w, &(struct udp_head){(uint16_t)random_u32(&t->random),
                                     (uint16_t)random_u32(&t->random), payload, 0});
    uint8_t *rest = write_reserve(&w, payload - UDP_HEAD_BYTES);
    assert(rest != NULL);
    random_fill(&t->random, rest, payload - UDP_HEAD_BYTES);
    packet->length = total;
}

bool testbed_outbound(struct testbed *t, struct gateway *g, struct slice clear)
{
    struct packet *packet = dataplane_take_packet(g->worker);

    if (packet == NULL) {
        return false;
    }
    memcpy(packet_data(packet), clear.data, clear.length);
    packet->length = (uint32_t)clear.length;
    dataplane_outbound(g->worker, &packet, 1, t->now_ms, &g->out);
    return true;
}

void testbed_inbound(struct testbed *t, struct gateway *g, uint8_t outer_protocol, uint16_t port,
                     uint8_t tos, struct slice datagram)
{
    struct packet *packet = dataplane_take_packet(g->worker);

    assert(packet != NULL);
    if (datagram.length > 0) {
        memcpy(packet_data(packet), datagram.data, datagram.length);
    }
    packet->length = (uint32_t)datagram.length;
    packet->outer_protocol = outer_protocol;
    packet->tos = tos;
    packet->local = outer_ipv4[g == &t->a ? 0 : 1];
    packet->peer = outer_ipv4[g == &t->a ? 1 : 0];
    packet->local.port = port;
    dataplane_inbound(g->worker, &packet, 1, t->now_ms, &g->out);
}

/* As a raw socket hands it over: what stands behind the outer header, with the header before it. */
static void take_outer_head(const struct packet *sent, struct packet *received)
{
    struct ip_place place;

    if (!sent->has_outer_head) {
        return;
    }
    bool ok = ip_protection_place(packet_slice(received), &place);
    assert(ok && place.next_header == sent->outer_protocol);
    received->offset += place.offset;
    received->length -= place.offset;
    received->outer_head_bytes = place.offset;
}

/* As the system hands over what it joined: side by side in room that is not the packet's, where a
 * write before or behind one meets its neighbour. */
static void put_in_room(struct packet *packet, struct slice bytes)
{
    static uint8_t room[4 * 1024 * 1024];
    static size_t used;

    used = sizeof(room) - used < bytes.length ? 0 : used;
    packet->buffer = room + used;
    packet->offset = 0;
    packet->length = packet->capacity = (uint32_t)bytes.length;
    memcpy(packet->buffer, bytes.data, bytes.length);
    used += bytes.length;
}

void testbed_carry(struct testbed *t, struct gateway *from, struct gateway *to)
{
    struct packet *batch[BATCH_PACKETS];
    struct dataplane_output all = {0};
    size_t count = 0;

    for (size_t i = 0; i < from->out.to_wire_count; i++) {
        struct packet *sent = from->out.to_wire[i];
        struct packet *received = dataplane_take_packet(to->worker);
        assert(received != NULL);
        if (sent->has_outer_head) {
            memcpy(packet_data(received), packet_data(sent), sent->length);
            received->length = sent->length;
        } else {
            put_in_room(received, packet_slice(sent));
        }
        received->local = sent->peer;
        received->peer = sent->local;
        received->tos = sent->tos;
        received->outer_protocol = sent->outer_protocol;
        take_outer_head(sent, received);
        dataplane_give_packet(from->worker, sent);
        batch[count++] = received;
        if (count == BATCH_PACKETS || i + 1 == from->out.to_wire_count) {
            dataplane_inbound(to->worker, batch, count, t->now_ms, &to->out);
            for (size_t k = 0; k < to->out.to_tun_count; k++) {
                all.to_tun[all.to_tun_count++] = to->out.to_tun[k];
            }
            count = 0;
        }
    }
    from->out.to_wire_count = 0;
    to->out = all;
}

void testbed_give(struct gateway *g)
{
    for (size_t i = 0; i < g->out.to_wire_count; i++) {
        dataplane_give_packet(g->worker, g->out.to_wire[i]);
    }
    for (size_t i = 0; i < g->out.to_tun_count; i++) {
        dataplane_give_packet(g->worker, g->out.to_tun[i]);
    }
    for (size_t i = 0; i < g->out.to_control_count; i++) {
        dataplane_give_packet(g->worker, g->out.to_control[i]);
    }
    for (size_t i = 0; i < g->out.to_consumer_count; i++) {
        dataplane_give_packet(g->worker, g->out.to_consumer[i]);
    }
    g->out.to_wire_count = 0;
    g->out.to_tun_count = 0;
    g->out.to_control_count = 0;
    g->out.to_consumer_count = 0;
}

bool testbed_doors_add_up(const struct gateway *g)
{
    struct dataplane_doors doors;

    dataplane_get_doors(g->dp, &doors);
    uint64_t left = doors.to_wire + doors.to_tun + doors.to_control + doors.to_clear +
                    doors.to_consumer + doors.joined;
    for (size_t i = 0; i < DROP_REASON_COUNT; i++) {
        left += doors.dropped[i];
    }
    return left == doors.from_tun + doors.from_wire + doors.made;
}

uint64_t testbed_dropped(const struct gateway *g, enum drop_reason reason)
{
    struct dataplane_doors doors;

    dataplane_get_doors(g->dp, &doors);
    return doors.dropped[reason];
}

bool testbed_note(struct gateway *g, enum dataplane_note_kind kind, struct dataplane_note *out)
{
    struct dataplane_note note;

    while (dataplane_next_note(g->dp, &note)) {
        if (note.kind == kind) {
            if (out != NULL) {
                *out = note;
            }
            return true;
        }
    }
    return false;
}
