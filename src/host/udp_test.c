/* Several sockets on one port: who gets what, and that a port which another program has stays its.
 */
#include "host/udp.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/test.h"

#define PLACES 4
#define FACTOR UINT32_C(2654435761)
#define SHIFT 16
#define READERS 3
#define SPIS 60

static void open_places(struct datagram_socket places[PLACES], enum family family)
{
    struct endpoint local = {.address = {.family = family}};
    char why[160] = "";
    bool absent = false;

    local.address = family == FAMILY_IPV4 ? address_ipv4(0x7f000001) : local.address;
    if (family == FAMILY_IPV6) {
        local.address.bytes[15] = 1;
    }
    /* A port that is free now. */
    for (uint16_t port = 42500; port < 43500; port++) {
        local.port = port;
        if (udp_open(&places[0], &local, &absent, why, sizeof(why))) {
            break;
        }
    }
    assert_true(places[0].fd > 0);
    for (size_t i = 1; i < PLACES; i++) {
        assert_true(udp_open_beside(&places[i], &places[0], why, sizeof(why)));
        CHECK(places[i].port == places[0].port && places[i].family == family);
    }
    assert_true(udp_steer(&places[0], &(struct udp_steering){FACTOR, SHIFT, READERS}));
}

static void close_places(struct datagram_socket places[PLACES])
{
    for (size_t i = 0; i < PLACES; i++) {
        datagram_close(&places[i]);
    }
}

static void send_to(const struct datagram_socket *place, const uint8_t *bytes, size_t length)
{
    struct sockaddr_storage name;
    socklen_t name_length = sizeof(name);
    int fd = socket(place->family == FAMILY_IPV4 ? AF_INET : AF_INET6, SOCK_DGRAM, 0);

    assert_true(fd >= 0);
    assert_int_equal(getsockname(place->fd, (struct sockaddr *)&name, &name_length), 0);
    assert_int_equal(sendto(fd, bytes, length, 0, (struct sockaddr *)&name, name_length), length);
    (void)close(fd);
}

/* The one that got it, PLACES when none did; and nobody else did. */
static size_t taken_by(struct datagram_socket places[PLACES], size_t length)
{
    size_t found = PLACES;

    for (size_t i = 0; i < PLACES; i++) {
        uint8_t bytes[64];
        ssize_t got = recv(places[i].fd, bytes, sizeof(bytes), MSG_DONTWAIT);

        if (got == (ssize_t)length) {
            CHECK_EQUAL(found, PLACES);
            found = i;
        }
    }
    return found;
}

static void everything_goes_where_it_belongs(enum family family)
{
    struct datagram_socket places[PLACES];
    uint8_t bytes[16] = {0};

    open_places(places, family);
    for (uint32_t i = 0; i < SPIS; i++) {
        uint32_t spi = 256 + i * 0x01000193u;

        put_u32(bytes, spi);
        send_to(&places[0], bytes, sizeof(bytes));
        CHECK_EQUAL(taken_by(places, sizeof(bytes)), (spi * FACTOR >> SHIFT) % READERS);
    }
    /* RFC 3948 2.2 and 2.3: IKE begins with a zero marker, a keepalive is one octet. */
    memset(bytes, 0, 4);
    for (size_t i = 0; i < SPIS; i++) {
        bytes[4] = (uint8_t)i;
        send_to(&places[0], bytes, sizeof(bytes));
        CHECK_EQUAL(taken_by(places, sizeof(bytes)), 0);
        for (size_t length = 0; length < 4; length++) {
            send_to(&places[0], (const uint8_t *)"\xff\xff\xff", length);
            CHECK_EQUAL(taken_by(places, length), 0);
        }
    }
    close_places(places);
}

TEST(packets_of_one_spi_come_to_one_socket_and_ike_to_the_first)
{
    everything_goes_where_it_belongs(FAMILY_IPV4);
    everything_goes_where_it_belongs(FAMILY_IPV6);
}

TEST(all_send_from_the_same_place)
{
    struct datagram_socket places[PLACES];

    open_places(places, FAMILY_IPV4);
    int peer = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t name_length = sizeof(name);
    assert_int_equal(bind(peer, (struct sockaddr *)&name, sizeof(name)), 0);
    assert_int_equal(getsockname(peer, (struct sockaddr *)&name, &name_length), 0);
    struct endpoint to = {address_ipv4(INADDR_LOOPBACK), ntohs(name.sin_port)};
    for (size_t i = 0; i < PLACES; i++) {
        struct sockaddr_in from;
        socklen_t from_length = sizeof(from);
        char bytes[8];

        assert_true(datagram_send_one(&places[i], &(struct address){0}, &to, SLICE_TEXT("hello"),
                                      DATAGRAM_MAY_BE_CUT));
        assert_int_equal(recvfrom(peer, bytes, sizeof(bytes), MSG_DONTWAIT,
                                  (struct sockaddr *)&from, &from_length),
                         5);
        CHECK_EQUAL(ntohs(from.sin_port), places[0].port);
    }
    (void)close(peer);
    close_places(places);
}

TEST(the_first_finds_out_that_a_port_is_taken)
{
    struct datagram_socket places[PLACES], late;
    char why[160] = "";
    bool absent = false;

    open_places(places, FAMILY_IPV4);
    struct endpoint local = {address_ipv4(INADDR_LOOPBACK), places[0].port};
    CHECK(!udp_open(&late, &local, &absent, why, sizeof(why)));
    CHECK(strstr(why, "SEK-H001 UDP port") != NULL && strstr(why, "is taken by") != NULL);
    close_places(places);
}
