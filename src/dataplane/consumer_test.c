/* Clients behind one NAT with one port inside, told apart by SA alone (RFC 3193, RFC 3948). */
#include "tests/support/test.h"

#include "dataplane/testbed.h"
#include "wire/udp.h"

#define SERVER UINT32_C(0xcb007101)
#define NAT UINT32_C(0xc6336401)
#define CLIENTS 2
#define L2TP_PORT 1701
#define KEY_BYTES 36 /* AES-128-CBC with HMAC-SHA1 */

static struct testbed server;
static struct testbed client[CLIENTS];
static uint32_t spi_at_server[CLIENTS], spi_at_client[CLIENTS];

static struct endpoint at(uint32_t address, uint16_t port)
{
    return (struct endpoint){address_ipv4(address), port};
}

static uint32_t inside(unsigned k)
{
    return UINT32_C(0xc0a80002) + k;
}

static struct selector host(uint32_t address)
{
    return (struct selector){.addresses = {address_ipv4(address), address_ipv4(address)},
                             .protocol = IP_PROTOCOL_UDP,
                             .port_first = L2TP_PORT,
                             .port_last = L2TP_PORT};
}

static struct child_sa child_of(unsigned k, bool of_server)
{
    static struct selector local, remote;
    static uint8_t keys[CLIENTS][2][KEY_BYTES];

    memset(keys[k][0], (int)(0x10 + k), KEY_BYTES);
    memset(keys[k][1], (int)(0x30 + k), KEY_BYTES);
    local = host(of_server ? SERVER : inside(k));
    remote = host(of_server ? NAT : SERVER);
    return (struct child_sa){
        .spi_in = of_server ? spi_at_server[k] : spi_at_client[k],
        .spi_out = of_server ? spi_at_client[k] : spi_at_server[k],
        .policy_id = 1,
        .suite = {.encryption = ENCRYPTION_AES_CBC,
                  .key_bits = 128,
                  .integrity = INTEGRITY_HMAC_SHA1_96},
        .key_in = SLICE_OF(keys[k][of_server]),
        .key_out = SLICE_OF(keys[k][!of_server]),
        .local = of_server ? at(SERVER, 4500) : at(inside(k), 4500),
        .peer = of_server ? at(NAT, (uint16_t)(61001 + k)) : at(SERVER, 4500),
        .encapsulated = true,
        .transport_mode = true,
        .to_consumer = true,
        /* NAT-OA: how the client calls itself, in its checksums. */
        .original_peer = of_server ? address_ipv4(inside(k)) : (struct address){0},
        .original_local = of_server ? (struct address){0} : address_ipv4(NAT),
        .local_selectors = &local,
        .local_count = 1,
        .remote_selectors = &remote,
        .remote_count = 1,
    };
}

static void open_all(void)
{
    testbed_open(&server, 90);
    for (unsigned k = 0; k < CLIENTS; k++) {
        testbed_open(&client[k], 91 + k);
        spi_at_server[k] = dataplane_reserve_spi(server.b.dp);
        spi_at_client[k] = dataplane_reserve_spi(client[k].a.dp);
        struct child_sa child = child_of(k, true);

        CHECK(dataplane_install(server.b.dp, &child));
        child = child_of(k, false);
        CHECK(dataplane_install(client[k].a.dp, &child));
    }
}

static void close_all(void)
{
    testbed_close(&server);
    for (unsigned k = 0; k < CLIENTS; k++) {
        testbed_close(&client[k]);
    }
}

static void say(struct testbed *t, struct gateway *g, uint32_t spi_in, uint16_t port,
                const char *words)
{
    struct packet *packet = dataplane_take_packet(g->worker);
    size_t length = strlen(words);

    CHECK(packet != NULL);
    struct writer w = writer_over(packet_data(packet), UDP_HEAD_BYTES + 64);

    udp_write(&w, &(struct udp_head){port, L2TP_PORT, (uint16_t)(UDP_HEAD_BYTES + length), 0});
    write_slice(&w, slice_of_text(words));
    packet->length = (uint32_t)w.length;
    dataplane_outbound_begin(g->worker, t->now_ms, &g->out);
    dataplane_outbound_by_sa(g->worker, packet, spi_in, IP_PROTOCOL_UDP);
    dataplane_outbound_end(g->worker);
}

/* What the one put on the wire, to the other, through the NAT. */
static void carry(struct gateway *from, struct testbed *t, struct gateway *to, uint32_t peer,
                  uint32_t local)
{
    CHECK_EQUAL(from->out.to_wire_count, 1);
    const struct packet *sent = from->out.to_wire[0];
    struct packet *packet = dataplane_take_packet(to->worker);

    CHECK(packet != NULL && sent->outer_protocol == IP_PROTOCOL_UDP && !sent->has_outer_head);
    memcpy(packet_data(packet), packet_data(sent), sent->length);
    packet->length = sent->length;
    packet->outer_protocol = IP_PROTOCOL_UDP;
    packet->local = at(local, 4500);
    packet->peer = at(peer, peer == NAT ? 61001 : 4500);
    dataplane_inbound(to->worker, &packet, 1, t->now_ms, &to->out);
    testbed_give(from);
}

/* Behind the IP header, which stands before it still. */
static void check_heard(struct gateway *g, uint32_t spi_in, const char *words)
{
    CHECK_EQUAL(g->out.to_consumer_count, 1);
    const struct packet *packet = g->out.to_consumer[0];
    struct slice whole = packet_slice(packet);
    struct udp_head udp;
    struct ip_head head;

    CHECK_EQUAL(packet->spi, spi_in);
    CHECK(udp_read(whole, &udp) && udp.destination == L2TP_PORT && udp.checksum != 0);
    CHECK(slice_equal((struct slice){whole.data + UDP_HEAD_BYTES, whole.length - UDP_HEAD_BYTES},
                      slice_of_text(words)));
    /* RFC 3948 3.1.2: the checksum is right with the addresses that we see. */
    CHECK(ip_read((struct slice){whole.data - packet->outer_head_bytes,
                                 whole.length + packet->outer_head_bytes},
                  &head));
    CHECK(udp_checksum_is_right(&head.source, &head.destination, whole));
    testbed_give(g);
}

TEST(each_client_is_heard_by_its_sa_and_answered_by_it)
{
    static const char *const words[CLIENTS] = {"from the first", "from the second one"};

    open_all();
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned k = 0; k < CLIENTS; k++) {
            say(&client[k], &client[k].a, spi_at_client[k], L2TP_PORT, words[k]);
            carry(&client[k].a, &server, &server.b, NAT, SERVER);
            check_heard(&server.b, spi_at_server[k], words[k]);
        }
        /* Answered in another order: nothing but the number says to whom. */
        for (unsigned i = 0; i < CLIENTS; i++) {
            unsigned k = CLIENTS - 1 - i;

            say(&server, &server.b, spi_at_server[k], L2TP_PORT, words[k]);
            CHECK_EQUAL(server.b.out.to_wire[0]->peer.port, 61001 + k);
            carry(&server.b, &client[k], &client[k].a, SERVER, inside(k));
            check_heard(&client[k].a, spi_at_client[k], words[k]);
        }
    }
    CHECK(testbed_doors_add_up(&server.b) && testbed_doors_add_up(&client[0].a));
    close_all();
}

TEST(what_is_for_no_sa_or_another_traffic_goes_nowhere)
{
    open_all();
    say(&server, &server.b, 0x12345678, L2TP_PORT, "nobody");
    CHECK_EQUAL(testbed_dropped(&server.b, DROP_NO_SA), 1);
    say(&server, &server.b, spi_at_server[0], 1702, "another port");
    CHECK_EQUAL(testbed_dropped(&server.b, DROP_SELECTOR_MISMATCH), 1);
    dataplane_remove(server.b.dp, spi_at_server[0]);
    say(&server, &server.b, spi_at_server[0], L2TP_PORT, "it is gone");
    CHECK_EQUAL(testbed_dropped(&server.b, DROP_NO_SA), 2);
    CHECK_EQUAL(server.b.out.to_wire_count, 0);
    CHECK(testbed_doors_add_up(&server.b));
    close_all();
}

TEST(an_sa_that_feeds_no_consumer_is_none_to_send_by)
{
    const struct tunnel tunnel = {.suite = {.encryption = ENCRYPTION_AES_GCM_16, .key_bits = 128},
                                  .outer_family = FAMILY_IPV4};

    testbed_open(&server, 95);
    CHECK(testbed_join(&server, &tunnel));
    say(&server, &server.b, server.b.spi_in, L2TP_PORT, "by a tunnel");
    CHECK_EQUAL(testbed_dropped(&server.b, DROP_NO_SA), 1);
    CHECK_EQUAL(server.b.out.to_wire_count, 0);
    testbed_close(&server);
}
