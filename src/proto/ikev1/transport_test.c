/* Transport mode as L2TP wants it (RFC 3193): offers of its clients, identities and addresses
 * behind a NAT (RFC 3947 5.2 and the drafts before it). The offers are written down from what is
 * publicly known of the products. */
#include <stdlib.h>

#include "proto/ikev1/quick.h"
#include "tests/support/ikev1_pair.h"
#include "tests/support/test.h"

/* ---- NAT-OA and identities of one message ---- */

#define INSIDE UINT32_C(0xc0a80102)
#define OUTSIDE UINT32_C(0xc6336401)
#define SERVER UINT32_C(0xcb007102)

struct bench {
    struct ikev1_sa sa;
    struct ikev1_ike ike;
    struct ikev1_quick q;
    struct ikev1_turn t;
    struct ikev1_message m;
};

/* As responder, with a peer behind a NAT. */
static struct bench *bench_new(enum ikev1_natt_kind natt)
{
    struct bench *b = calloc(1, sizeof(*b));

    CHECK(b != NULL);
    b->sa.local.address = address_ipv4(SERVER);
    b->sa.peer.address = address_ipv4(OUTSIDE);
    b->ike.nat_peer = true;
    b->ike.natt = natt;
    b->q.ike = &b->ike;
    b->q.carriage = (struct ikev1_carriage){.transport_mode = true, .udp = true};
    b->t.sa = &b->sa;
    return b;
}

static void bench_free(struct bench *b)
{
    ikev1_block_drop(&b->sa, &b->q.id_i);
    ikev1_block_drop(&b->sa, &b->q.id_r);
    ikev1_turn_clear(&b->sa);
    free(b);
}

static void put(struct bench *b, uint8_t type, struct slice body)
{
    b->m.list[b->m.count++] = (struct ikev1_payload){.type = type, .body = body};
}

TEST(nat_oa_of_the_rfc_has_both_and_that_of_the_drafts_may_have_the_senders_own)
{
    const uint8_t inside[] = {1, 0, 0, 0, 0xc0, 0xa8, 0x01, 0x02};
    const uint8_t server[] = {1, 0, 0, 0, 0xcb, 0x00, 0x71, 0x02};
    const struct address own = address_ipv4(INSIDE);

    for (unsigned count = 1; count <= 2; count++) {
        for (unsigned draft = 0; draft < 2; draft++) {
            struct bench *b = bench_new(draft ? IKEV1_NATT_DRAFT : IKEV1_NATT_RFC);
            uint8_t type = draft ? IKEV1_NAT_OA_DRAFT : IKEV1_NAT_OA;

            put(b, type, SLICE_OF(inside));
            if (count == 2) {
                put(b, type, SLICE_OF(server));
            }
            ikev1_quick_read_originals(&b->t, &b->q, &b->m);
            CHECK(address_equal(&b->q.original_peer, &own));
            CHECK(address_is_unset(&b->q.original_local));
            bench_free(b);
        }
    }
    /* The same, said by a responder behind a NAT to us. */
    struct bench *b = bench_new(IKEV1_NATT_DRAFT);

    b->q.initiator = true;
    put(b, IKEV1_NAT_OA_DRAFT, SLICE_OF(inside));
    ikev1_quick_read_originals(&b->t, &b->q, &b->m);
    CHECK(address_equal(&b->q.original_peer, &own));
    bench_free(b);
}

/* Type, protocol, port. */
static const uint8_t id_server[] = {IKEV1_ID_IPV4_ADDR, 17, 0x06, 0xa5, 0xcb, 0x00, 0x71, 0x02};

TEST(a_name_behind_a_nat_means_whoever_says_it)
{
    const uint8_t name[] = {IKEV1_ID_FQDN, 17, 0x06, 0xa5, 'w', 'i', 'n'};
    struct bench *b = bench_new(IKEV1_NATT_RFC);
    const struct address outside = address_ipv4(OUTSIDE);

    put(b, IKEV1_ID, SLICE_OF(name));
    put(b, IKEV1_ID, SLICE_OF(id_server));
    CHECK(ikev1_traffic_read_ids(&b->t, &b->q, &b->m));
    CHECK(address_equal(&b->q.offered_remote.addresses.first, &outside));
    CHECK(address_equal(&b->q.offered_remote.addresses.last, &outside));
    CHECK(b->q.offered_remote.protocol == 17 && b->q.offered_remote.port_first == 1701 &&
          b->q.offered_remote.port_last == 1701);
    CHECK(slice_equal(b->q.id_i, SLICE_OF(name)));
    bench_free(b);
    /* Without a NAT it says nothing that could be a network. */
    b = bench_new(IKEV1_NATT_RFC);
    b->ike.nat_peer = false;
    put(b, IKEV1_ID, SLICE_OF(name));
    put(b, IKEV1_ID, SLICE_OF(id_server));
    CHECK(!ikev1_traffic_read_ids(&b->t, &b->q, &b->m));
    bench_free(b);
    /* And our side is no name of the peer's choice. */
    b = bench_new(IKEV1_NATT_RFC);
    put(b, IKEV1_ID, SLICE_OF(name));
    put(b, IKEV1_ID, SLICE_OF(name));
    CHECK(!ikev1_traffic_read_ids(&b->t, &b->q, &b->m));
    bench_free(b);
}

/* RFC 2409 5.5: without identities it is about the two ends. */
TEST(no_identities_mean_the_addresses_of_both)
{
    struct bench *b = bench_new(IKEV1_NATT_RFC);
    const struct address outside = address_ipv4(OUTSIDE);
    const struct address server = address_ipv4(SERVER);

    CHECK(ikev1_traffic_read_ids(&b->t, &b->q, &b->m));
    CHECK(address_equal(&b->q.offered_remote.addresses.first, &outside));
    CHECK(address_equal(&b->q.offered_remote.addresses.last, &outside));
    CHECK(address_equal(&b->q.offered_local.addresses.first, &server));
    CHECK(b->q.offered_local.protocol == 0 && b->q.offered_local.port_last == UINT16_MAX);
    /* One alone is nothing. */
    put(b, IKEV1_ID, SLICE_OF(id_server));
    CHECK(!ikev1_traffic_read_ids(&b->t, &b->q, &b->m));
    bench_free(b);
}

/* ---- what clients offer ---- */

struct part {
    uint8_t number, protocol;
    struct ikev1_wire_transform t;
};

#define ESP(algorithm, bits, mac)                                                                  \
    {                                                                                              \
        .id = (algorithm), .key_bits = (bits), .auth_algorithm = (mac)                             \
    }
#define AH(algorithm, mac)                                                                         \
    {                                                                                              \
        .id = (algorithm), .auth_algorithm = (mac)                                                 \
    }

static const struct part windows_7[] = {
    {1, IKEV1_PROTO_ESP, ESP(IKEV1_ESP_AES_CBC, 256, IKEV1_HMAC_SHA1)},
    {2, IKEV1_PROTO_ESP, ESP(IKEV1_ESP_AES_CBC, 128, IKEV1_HMAC_SHA1)},
    {3, IKEV1_PROTO_ESP, ESP(IKEV1_ESP_3DES, 0, IKEV1_HMAC_SHA1)},
    {4, IKEV1_PROTO_ESP, ESP(IKEV1_ESP_DES, 0, IKEV1_HMAC_SHA1)},
    {5, IKEV1_PROTO_ESP, ESP(IKEV1_ESP_NULL, 0, IKEV1_HMAC_SHA1)},
};
static const struct part windows_xp[] = {
    {1, IKEV1_PROTO_ESP, ESP(IKEV1_ESP_3DES, 0, IKEV1_HMAC_MD5)},
    {2, IKEV1_PROTO_ESP, ESP(IKEV1_ESP_3DES, 0, IKEV1_HMAC_SHA1)},
    {3, IKEV1_PROTO_AH, AH(IKEV1_AH_SHA1, IKEV1_HMAC_SHA1)},
    {3, IKEV1_PROTO_ESP, ESP(IKEV1_ESP_3DES, 0, 0)},
    {4, IKEV1_PROTO_AH, AH(IKEV1_AH_MD5, IKEV1_HMAC_MD5)},
    {4, IKEV1_PROTO_ESP, ESP(IKEV1_ESP_3DES, 0, 0)},
    {5, IKEV1_PROTO_AH, AH(IKEV1_AH_SHA1, IKEV1_HMAC_SHA1)},
    {5, IKEV1_PROTO_ESP, ESP(IKEV1_ESP_3DES, 0, IKEV1_HMAC_SHA1)},
    {6, IKEV1_PROTO_ESP, ESP(IKEV1_ESP_DES, 0, IKEV1_HMAC_MD5)},
};
static const struct part macos[] = {
    {1, IKEV1_PROTO_ESP, ESP(IKEV1_ESP_AES_CBC, 256, IKEV1_HMAC_SHA1)},
    {1, IKEV1_PROTO_ESP, ESP(IKEV1_ESP_AES_CBC, 128, IKEV1_HMAC_SHA1)},
};

static void fill(struct ikev1_sa_payload *sa, const struct part *parts, size_t count,
                 uint16_t encapsulation)
{
    static const uint8_t spi[] = {0x11, 0x22, 0x33, 0x44};

    sa->doi = IKEV1_DOI_IPSEC;
    sa->situation = IKEV1_SIT_IDENTITY_ONLY;
    for (size_t i = 0; i < count; i++) {
        struct ikev1_wire_transform t = parts[i].t;

        t.number = 1;
        t.encapsulation = encapsulation;
        t.life_seconds = 3600;
        t.life_kilobytes = 250000;
        sa->transforms[sa->transform_count] = t;
        /* Of one number and protocol it is another transform. */
        if (i > 0 && parts[i].number == parts[i - 1].number &&
            parts[i].protocol == parts[i - 1].protocol) {
            sa->transforms[sa->transform_count].number++;
            sa->proposals[sa->proposal_count - 1].count++;
        } else {
            sa->proposals[sa->proposal_count++] =
                (struct ikev1_wire_proposal){.number = parts[i].number,
                                             .protocol = parts[i].protocol,
                                             .spi = SLICE_OF(spi),
                                             .first = sa->transform_count,
                                             .count = 1};
        }
        sa->transform_count++;
    }
}

TEST(clients_of_l2tp_get_the_strongest_that_they_offer_and_the_policy_allows)
{
    static const struct {
        const struct part *parts;
        size_t count;
        const char *policy;
        uint8_t number;
        uint16_t encryption, key_bits;
    } all[] = {
        {windows_7, ARRAY_LENGTH(windows_7), "aes256-aes128-3des-sha1", 1, ENCRYPTION_AES_CBC, 256},
        {windows_7, ARRAY_LENGTH(windows_7), "aes128-3des-sha1", 2, ENCRYPTION_AES_CBC, 128},
        {windows_7, ARRAY_LENGTH(windows_7), "3des-sha1", 3, ENCRYPTION_3DES, 0},
        {windows_xp, ARRAY_LENGTH(windows_xp), "aes128-3des-sha1-md5", 2, ENCRYPTION_3DES, 0},
        {windows_xp, ARRAY_LENGTH(windows_xp), "des-md5", 6, ENCRYPTION_DES, 0},
        {macos, ARRAY_LENGTH(macos), "aes128-sha1", 1, ENCRYPTION_AES_CBC, 128},
    };
    static const struct {
        uint16_t number;
        struct ikev1_carriage carriage;
    } ways[] = {
        {IKEV1_TRANSPORT, {.transport_mode = true}},
        {IKEV1_UDP_TRANSPORT, {.transport_mode = true, .udp = true}},
        {IKEV1_UDP_TRANSPORT_DRAFT, {.transport_mode = true, .udp = true, .draft = true}},
    };
    char why[128];

    for (size_t i = 0; i < ARRAY_LENGTH(all); i++) {
        for (size_t w = 0; w < ARRAY_LENGTH(ways); w++) {
            struct proposals esp = {.count = 1};
            const struct ikev1_child_policy policy = {.proposals = &esp, .lifetime_ms = NEVER_MS};
            struct ikev1_sa_payload *sa = calloc(1, sizeof(*sa));
            struct ikev1_phase2_choice c;

            CHECK(sa != NULL);
            CHECK(proposal_parse(PROTOCOL_ESP, slice_of_text(all[i].policy), &esp.list[0], why,
                                 sizeof(why)));
            fill(sa, all[i].parts, all[i].count, ways[w].number);
            CHECK(ikev1_phase2_choose(sa, &policy, false, &ways[w].carriage, false, &c));
            CHECK_EQUAL(c.proposal_number, all[i].number);
            CHECK_EQUAL(c.suite.encryption, all[i].encryption);
            CHECK_EQUAL(c.suite.key_bits, all[i].key_bits);
            CHECK_EQUAL(c.life_kilobytes, 250000);
            /* Who wants a tunnel gets none of them. */
            struct ikev1_carriage tunnel = ways[w].carriage;

            tunnel.transport_mode = false;
            CHECK(!ikev1_phase2_choose(sa, &policy, false, &tunnel, false, &c));
            free(sa);
        }
    }
}

/* ---- whole exchanges ---- */

static struct selector any_udp(uint16_t port)
{
    struct network any = {.address = address_ipv4(0), .prefix_bits = 0};
    struct selector s = selector_of_network(&any);

    s.protocol = 17;
    s.port_first = port;
    s.port_last = port == 0 ? UINT16_MAX : port;
    return s;
}

TEST(the_ports_of_windows_and_of_macos_fit_one_policy_of_a_server)
{
    static const uint16_t client_ports[] = {1701, 0, 51234};

    for (unsigned nat = 0; nat < 2; nat++) {
        for (size_t i = 0; i < ARRAY_LENGTH(client_ports); i++) {
            struct ikev1_pair *p = ikev1_pair_new(90 + i);

            p->nat = nat == 1;
            for (unsigned side = 0; side < 2; side++) {
                p->side[side].children_policy[0].mode = IKEV1_MODE_TRANSPORT;
            }
            p->side[0].local[0][0] = any_udp(client_ports[i]);
            p->side[0].remote[0][0] = any_udp(1701);
            p->side[1].local[0][0] = any_udp(1701);
            p->side[1].remote[0][0] = any_udp(0);
            ikev1_pair_start(p, 0);
            CHECK(ikev1_pair_run(p));
            CHECK(ikev1_pair_agrees(p));
            const struct pair1_child *c = ikev1_pair_outbound(p, 1, "net");

            CHECK(c != NULL && c->info.transport_mode && c->info.encapsulated == p->nat);
            CHECK_EQUAL(c->local.port_first, 1701);
            CHECK_EQUAL(c->remote.port_first, client_ports[i]);
            /* Renewed from either side it is the same. */
            for (unsigned side = 0; side < 2; side++) {
                uint32_t before = ikev1_pair_outbound(p, side, "net")->info.spi_in;

                ikev1_pair_rekey_child(p, side, before);
                CHECK(ikev1_pair_run(p));
                ikev1_pair_advance(p, IKEV1_USE_MS + 1);
                CHECK(ikev1_pair_agrees(p));
                CHECK(ikev1_pair_outbound(p, side, "net")->info.spi_in != before);
                CHECK_EQUAL(p->side[0].child_failed + p->side[1].child_failed, 0);
            }
            ikev1_pair_free(p);
        }
    }
}
