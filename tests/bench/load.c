/*
 * Datagrams at a steady rate from one host, counted at another.
 *
 *     load send ADDRESS PORT SIZE RATE SECONDS      SIZE octets of UDP payload; RATE 0: as fast as
 * it goes load receive PORT SECONDS                     until nothing came for SECONDS, or it is
 * told to end
 *
 * Each prints one line: how many, and in how many seconds.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BURST 32
#define DATAGRAM_BYTES_MAX 1500

static volatile sig_atomic_t ending;

static void end(int signal_number)
{
    (void)signal_number;
    ending = 1;
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void wait_until(double moment)
{
    struct timespec t = {.tv_sec = (time_t)moment,
                         .tv_nsec = (long)((moment - (double)(time_t)moment) * 1e9)};

    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static int socket_make(int option, int bytes)
{
    int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (descriptor < 0) {
        perror("socket");
        exit(1);
    }
    setsockopt(descriptor, SOL_SOCKET, option, &bytes, sizeof(bytes));
    return descriptor;
}

static int send_load(const char *address, uint16_t port, size_t size, double rate, double seconds)
{
    static uint8_t octets[DATAGRAM_BYTES_MAX];
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct iovec part = {octets, size};
    struct mmsghdr messages[BURST] = {0};
    int descriptor = socket_make(SO_SNDBUFFORCE, 8 << 20);
    uint64_t sent = 0;

    if (size > sizeof(octets) || inet_pton(AF_INET, address, &to.sin_addr) != 1 ||
        connect(descriptor, (struct sockaddr *)&to, sizeof(to)) != 0) {
        perror(address);
        return 1;
    }
    for (size_t i = 0; i < BURST; i++) {
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &part, .msg_iovlen = 1};
    }
    double begin = now();
    double at = begin;

    while (at - begin < seconds && !ending) {
        /* What is due by now, in small bursts, so that the rate holds over a millisecond. */
        uint64_t due = rate > 0 ? (uint64_t)((at - begin) * rate) : sent + BURST;
        unsigned burst = due - sent > BURST ? BURST : (unsigned)(due - sent);
        if (burst == 0) {
            wait_until(at + 0.00005);
        } else {
            int done = sendmmsg(descriptor, messages, burst, 0);
            /* What the system refuses counts as sent, and so as lost. */
            sent += done > 0 ? (unsigned)done : burst;
        }
        at = now();
    }
    printf("%llu %.6f\n", (unsigned long long)sent, at - begin);
    return 0;
}

static int receive_load(uint16_t port, double patience)
{
    static uint8_t octets[BURST][DATAGRAM_BYTES_MAX];
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct iovec parts[BURST];
    struct mmsghdr messages[BURST] = {0};
    int descriptor = socket_make(SO_RCVBUFFORCE, 32 << 20);
    struct timeval timeout = {.tv_usec = 50000};
    uint64_t received = 0;
    double first = 0;
    double last = now();

    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    if (bind(descriptor, (struct sockaddr *)&from, sizeof(from)) != 0) {
        perror("bind");
        return 1;
    }
    for (size_t i = 0; i < BURST; i++) {
        parts[i] = (struct iovec){octets[i], sizeof(octets[i])};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
    }
    printf("ready\n");
    fflush(stdout);
    while (!ending && now() - last < patience) {
        int done = recvmmsg(descriptor, messages, BURST, MSG_WAITFORONE, NULL);
        if (done > 0) {
            last = now();
            first = received == 0 ? last : first;
            received += (unsigned)done;
        }
    }
    printf("%llu %.6f\n", (unsigned long long)received, received == 0 ? 0 : last - first);
    return 0;
}

/* What is no number ends the program. */
static double number(const char *text)
{
    char *end_of_number;
    double value = strtod(text, &end_of_number);

    if (*text == '\0' || *end_of_number != '\0' || value < 0) {
        fprintf(stderr, "%s is no number\n", text);
        exit(2);
    }
    return value;
}

int main(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = end};

    sigaction(SIGTERM, &action, NULL);
    if (argc == 7 && strcmp(argv[1], "send") == 0) {
        return send_load(argv[2], (uint16_t)number(argv[3]), (size_t)number(argv[4]),
                         number(argv[5]), number(argv[6]));
    }
    if (argc == 4 && strcmp(argv[1], "receive") == 0) {
        return receive_load((uint16_t)number(argv[2]), number(argv[3]));
    }
    fprintf(stderr,
            "usage: load send ADDRESS PORT SIZE RATE SECONDS | load receive PORT SECONDS\n");
    return 2;
}
