/*
 * Datagrams between many pairs of addresses, with proof that each arrives octet for octet. One
 * process asks for hundreds of cells, one answers all of them: a guest starts programs slowly.
 *
 *     octets serve PORT [OPTION...]          answers until it is killed
 *     octets ask PORT LIST SECONDS [OPTION...]
 *     octets blast PORT LIST MS [OPTION...]   all at once; `NAME sent N heard M wrong K` after MS
 *     octets encap PORT                       takes ESP in UDP for the kernel, until it is killed
 *
 * A line of LIST is `NAME LOCAL PEER SIZE,SIZE,FIRST-LAST,...`. For each the output has a line
 * `ok NAME N sizes, M sent again` or `FAIL NAME size 17: no answer`. An OPTION goes with all
 * datagrams: `df` (IPv4: the DF bit, learns the path), `ipv4=HEX` (options of the header),
 * `hop=HEX`, `dst=HEX` (IPv6 extension headers as they stand on the wire), `dull` (what
 * can be compressed; both sides must say so).
 *
 * The content of a datagram is a function of its source, destination and length, so that each side
 * knows what must arrive, also when it is one octet long or comes in another's place.
 */
#define _GNU_SOURCE 1 /* struct in6_pktinfo */

#include <arpa/inet.h>
#include <errno.h>
#include <linux/udp.h>
#include <linux/xfrm.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LONGEST 65536
#define SIZES_MAX 512
#define CELLS_MAX 4096
#define AT_ONCE 24 /* cells */
#define TRIES 5
#define FIRST_WAIT_MS 150 /* and each time so much more */
#define FAILURES_MAX 2 /* of one cell; then it is given up */
#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND 78
#endif

struct place {
    uint8_t bytes[16];
    int family;
};

struct cell {
    char name[64];
    struct sockaddr_storage local, peer;
    uint16_t sizes[SIZES_MAX];
    size_t size_count, next;
    int fd;
    int tries;
    int failures;
    uint64_t again;
    uint64_t deadline_ms;
    char told[256];
};

static struct cell cells[CELLS_MAX];
static size_t cell_count;
static uint8_t wanted[LONGEST], got[LONGEST];
static char *const *options;
static int option_count;
static bool is_dull;

static void fail(const char *what)
{
    perror(what);
    exit(2);
}

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static struct place place_of(const struct sockaddr_storage *address)
{
    struct place place = {.family = address->ss_family};

    if (address->ss_family == AF_INET) {
        memcpy(place.bytes, &((const struct sockaddr_in *)address)->sin_addr, 4);
    } else {
        memcpy(place.bytes, &((const struct sockaddr_in6 *)address)->sin6_addr, 16);
    }
    return place;
}

static uint32_t mix(uint32_t hash, const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        hash = (hash ^ bytes[i]) * 16777619u;
    }
    return hash;
}

static void write_content(uint8_t *out, const struct place *from, const struct place *to,
                          size_t length)
{
    uint8_t tail[2] = {(uint8_t)(length >> 8), (uint8_t)length};
    uint32_t state = mix(2166136261u, from->bytes, sizeof(from->bytes));

    state = mix(state, to->bytes, sizeof(to->bytes));
    state = mix(state, tail, sizeof(tail)) | 1;
    for (size_t i = 0; i < length; i++) {
        if (!is_dull || i % 64 == 0) {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
        }
        out[i] = (uint8_t)(state >> 11);
    }
}

/* The first octet that differs, or -1. */
static long difference(const struct place *from, const struct place *to, size_t length)
{
    write_content(wanted, from, to, length);
    for (size_t i = 0; i < length; i++) {
        if (wanted[i] != got[i]) {
            return (long)i;
        }
    }
    return -1;
}

static size_t bytes_of_hex(const char *text, uint8_t *out, size_t capacity)
{
    size_t count = 0;

    for (; text[0] != 0 && text[1] != 0 && count < capacity; text += 2) {
        char pair[3] = {text[0], text[1], 0};

        out[count++] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return count;
}

static void set(int fd, int level, int name, int value, const char *what)
{
    if (setsockopt(fd, level, name, &value, sizeof(value)) != 0) {
        fail(what);
    }
}

static void set_hex(int fd, int level, int name, const char *hex, const char *what)
{
    uint8_t bytes[256];
    size_t count = bytes_of_hex(hex, bytes, sizeof(bytes));

    if (setsockopt(fd, level, name, bytes, (socklen_t)count) != 0) {
        fail(what);
    }
}

static void set_options(int fd, int family)
{
    int discover = IP_PMTUDISC_DONT;

    for (int i = 0; i < option_count; i++) {
        const char *option = options[i];

        if (strcmp(option, "df") == 0) {
            discover = IP_PMTUDISC_WANT;
        } else if (strncmp(option, "ipv4=", 5) == 0 && family == AF_INET) {
            set_hex(fd, IPPROTO_IP, IP_OPTIONS, option + 5, "IP_OPTIONS");
        } else if (strncmp(option, "hop=", 4) == 0 && family == AF_INET6) {
            set_hex(fd, IPPROTO_IPV6, IPV6_HOPOPTS, option + 4, "IPV6_HOPOPTS");
        } else if (strncmp(option, "dst=", 4) == 0 && family == AF_INET6) {
            set_hex(fd, IPPROTO_IPV6, IPV6_DSTOPTS, option + 4, "IPV6_DSTOPTS");
        }
    }
    if (family == AF_INET) {
        set(fd, IPPROTO_IP, IP_MTU_DISCOVER, discover, "IP_MTU_DISCOVER");
        set(fd, IPPROTO_IP, IP_FREEBIND, 1, "IP_FREEBIND");
    } else {
        set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1, "IPV6_V6ONLY");
        set(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1, "IPV6_FREEBIND");
    }
}

/* ---- the one that answers ---- */

static int serving(int family, uint16_t port)
{
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(family, SOCK_DGRAM, 0);

    if (fd < 0) {
        fail("socket");
    }
    set_options(fd, family);
    set(fd, SOL_SOCKET, SO_RCVBUF, 4 << 20, "SO_RCVBUF");
    if (family == AF_INET) {
        set(fd, IPPROTO_IP, IP_PKTINFO, 1, "IP_PKTINFO");
    } else {
        set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1, "IPV6_RECVPKTINFO");
    }
    if (bind(fd, family == AF_INET ? (void *)&four : (void *)&six,
             family == AF_INET ? sizeof(four) : sizeof(six)) != 0) {
        fail("bind");
    }
    return fd;
}

/* Takes the local address out of a received message and puts it into the control data as what the
 * answer is to be sent from: without the interface, which routes decide. */
static bool turn_around(struct msghdr *message, struct place *here)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;

            memcpy(&info, CMSG_DATA(c), sizeof(info));
            *here = (struct place){.family = AF_INET};
            memcpy(here->bytes, &info.ipi_addr, 4);
            info.ipi_spec_dst = info.ipi_addr;
            info.ipi_ifindex = 0;
            memcpy(CMSG_DATA(c), &info, sizeof(info));
            return true;
        }
        if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;

            memcpy(&info, CMSG_DATA(c), sizeof(info));
            *here = (struct place){.family = AF_INET6};
            memcpy(here->bytes, &info.ipi6_addr, 16);
            info.ipi6_ifindex = 0;
            memcpy(CMSG_DATA(c), &info, sizeof(info));
            return true;
        }
    }
    return false;
}

static void tell(const char *what, const struct place *from, const struct place *to, size_t length,
                 long at)
{
    char a[INET6_ADDRSTRLEN], b[INET6_ADDRSTRLEN];

    printf("%s %s %s %zu octets at %ld\n", what, inet_ntop(from->family, from->bytes, a, sizeof(a)),
           inet_ntop(to->family, to->bytes, b, sizeof(b)), length, at);
    fflush(stdout);
}

static void answer(int fd)
{
    struct sockaddr_storage peer;
    struct iovec piece = {got, sizeof(got)};
    union {
        struct cmsghdr head;
        uint8_t bytes[256];
    } control;
    struct msghdr message = {.msg_name = &peer,
                             .msg_namelen = sizeof(peer),
                             .msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    struct place here;
    ssize_t length = recvmsg(fd, &message, MSG_DONTWAIT);

    if (length < 0 || !turn_around(&message, &here)) {
        return;
    }
    struct place there = place_of(&peer);
    long at = difference(&there, &here, (size_t)length);
    if (at >= 0) {
        tell("bad", &there, &here, (size_t)length, at);
        return;
    }
    write_content(got, &here, &there, (size_t)length);
    piece.iov_len = (size_t)length;
    /* What a router says about an earlier one is told once; the second call sends. */
    if (sendmsg(fd, &message, 0) < 0 && sendmsg(fd, &message, 0) < 0) {
        tell(strerror(errno), &here, &there, (size_t)length, -1);
    }
}

static _Noreturn void serve(uint16_t port)
{
    struct pollfd ready[2] = {{.fd = serving(AF_INET, port), .events = POLLIN},
                              {.fd = serving(AF_INET6, port), .events = POLLIN}};

    printf("ready\n");
    fflush(stdout);
    for (;;) {
        if (poll(ready, 2, -1) < 0) {
            fail("poll");
        }
        for (int i = 0; i < 2; i++) {
            for (int k = 0; ready[i].revents != 0 && k < 16; k++) {
                answer(ready[i].fd);
            }
        }
    }
}

/* ---- the one that asks ---- */

static struct sockaddr_storage address_of(const char *text, uint16_t port)
{
    struct sockaddr_storage address = {0};
    struct sockaddr_in *four = (void *)&address;
    struct sockaddr_in6 *six = (void *)&address;

    if (strchr(text, ':') == NULL && inet_pton(AF_INET, text, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons(port);
    } else if (inet_pton(AF_INET6, text, &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(port);
    } else {
        fprintf(stderr, "%s is not an address\n", text);
        exit(2);
    }
    return address;
}

static socklen_t length_of(const struct sockaddr_storage *address)
{
    return address->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

static void read_sizes(struct cell *cell, char *text)
{
    char *rest = NULL;

    for (char *word = strtok_r(text, ",\n", &rest); word != NULL;
         word = strtok_r(NULL, ",\n", &rest)) {
        char *dash = strchr(word, '-');
        unsigned long first = strtoul(word, NULL, 10);
        unsigned long last = dash != NULL ? strtoul(dash + 1, NULL, 10) : first;

        for (; first <= last && cell->size_count < SIZES_MAX; first++) {
            cell->sizes[cell->size_count++] = (uint16_t)first;
        }
    }
}

static void read_list(const char *path, uint16_t port)
{
    static char line[8192];
    FILE *file = fopen(path, "r");

    if (file == NULL) {
        fail(path);
    }
    while (fgets(line, sizeof(line), file) != NULL && cell_count < CELLS_MAX) {
        struct cell *cell = &cells[cell_count];
        char local[64], peer[64];
        int at = 0;

        if (sscanf(line, "%63s %63s %63s %n", cell->name, local, peer, &at) != 3) {
            continue;
        }
        cell->local = address_of(local, 0);
        cell->peer = address_of(peer, port);
        cell->fd = -1;
        read_sizes(cell, line + at);
        cell_count++;
    }
    fclose(file);
}

static void send_one(struct cell *cell)
{
    static uint8_t bytes[LONGEST];
    struct place here = place_of(&cell->local), there = place_of(&cell->peer);
    size_t length = cell->sizes[cell->next];

    write_content(bytes, &here, &there, length);
    if (send(cell->fd, bytes, length, 0) < 0) {
        (void)send(cell->fd, bytes, length, 0);
    }
    cell->deadline_ms = now_ms() + (uint64_t)FIRST_WAIT_MS * ++cell->tries;
}

static void note(struct cell *cell, const char *what, long at)
{
    size_t used = strlen(cell->told);

    snprintf(cell->told + used, sizeof(cell->told) - used, "%ssize %u: %s", used > 0 ? ", " : "",
             cell->sizes[cell->next], what);
    if (at >= 0) {
        used = strlen(cell->told);
        snprintf(cell->told + used, sizeof(cell->told) - used, " at octet %ld", at);
    }
    cell->failures++;
}

/* On to the next size; false when the cell is done. */
static bool step(struct cell *cell)
{
    cell->next++;
    cell->tries = 0;
    if (cell->next >= cell->size_count || cell->failures >= FAILURES_MAX) {
        return false;
    }
    send_one(cell);
    return true;
}

static bool open_cell(struct cell *cell)
{
    cell->fd = socket(cell->local.ss_family, SOCK_DGRAM, 0);
    if (cell->fd < 0) {
        fail("socket");
    }
    set_options(cell->fd, cell->local.ss_family);
    if (bind(cell->fd, (void *)&cell->local, length_of(&cell->local)) != 0 ||
        connect(cell->fd, (void *)&cell->peer, length_of(&cell->peer)) != 0) {
        note(cell, strerror(errno), -1);
        return false;
    }
    return true;
}

static bool begin(struct cell *cell)
{
    if (!open_cell(cell)) {
        return false;
    }
    send_one(cell);
    return true;
}

/* False when the cell is done. */
static bool hear(struct cell *cell)
{
    struct place here = place_of(&cell->local), there = place_of(&cell->peer);
    ssize_t length = recv(cell->fd, got, sizeof(got), MSG_DONTWAIT);

    if (length < 0 || (size_t)length != cell->sizes[cell->next]) {
        return true; /* a router's word, or a late answer to a size that was asked for twice */
    }
    long at = difference(&there, &here, (size_t)length);
    if (at >= 0) {
        note(cell, "wrong", at);
    }
    return step(cell);
}

static bool look(struct cell *cell, uint64_t now)
{
    if (now < cell->deadline_ms) {
        return true;
    }
    if (cell->tries == TRIES) {
        note(cell, "no answer", -1);
        return step(cell);
    }
    cell->again++;
    send_one(cell);
    return true;
}

static void finish(struct cell *cell, int *failed)
{
    if (cell->fd >= 0) {
        (void)close(cell->fd);
    }
    if (cell->failures == 0) {
        printf("ok %s %zu sizes, %llu sent again\n", cell->name, cell->size_count,
               (unsigned long long)cell->again);
    } else {
        printf("FAIL %s %s\n", cell->name, cell->told);
        *failed = 1;
    }
    fflush(stdout);
}

static int ask(uint64_t seconds)
{
    struct cell *active[AT_ONCE];
    struct pollfd ready[AT_ONCE];
    size_t count = 0, begun = 0;
    uint64_t end = now_ms() + seconds * 1000;
    int failed = 0;

    while (count > 0 || begun < cell_count) {
        while (count < AT_ONCE && begun < cell_count) {
            struct cell *cell = &cells[begun++];

            if (now_ms() > end) {
                snprintf(cell->told, sizeof(cell->told), "no time was left for it");
                cell->failures++;
                finish(cell, &failed);
            } else if (begin(cell)) {
                active[count++] = cell;
            } else {
                finish(cell, &failed);
            }
        }
        for (size_t i = 0; i < count; i++) {
            ready[i] = (struct pollfd){.fd = active[i]->fd, .events = POLLIN};
        }
        if (poll(ready, count, 20) < 0) {
            fail("poll");
        }
        size_t kept = 0;
        uint64_t now = now_ms();
        for (size_t i = 0; i < count; i++) {
            bool goes_on = ready[i].revents != 0 ? hear(active[i]) : true;

            if (goes_on && look(active[i], now)) {
                active[kept++] = active[i];
            } else {
                finish(active[i], &failed);
            }
        }
        count = kept;
    }
    return failed;
}

/* ---- without waiting for answers ---- */

static void hear_out(struct cell *cell, uint64_t ms)
{
    struct place here = place_of(&cell->local), there = place_of(&cell->peer);
    size_t heard = 0, wrong = 0;
    uint64_t end = now_ms() + ms;

    for (uint64_t now = now_ms(); now < end; now = now_ms()) {
        struct pollfd ready = {.fd = cell->fd, .events = POLLIN};

        if (poll(&ready, 1, (int)(end - now)) <= 0) {
            continue;
        }
        ssize_t length = recv(cell->fd, got, sizeof(got), MSG_DONTWAIT);
        if (length >= 0) {
            heard++;
            wrong += difference(&there, &here, (size_t)length) >= 0 ? 1 : 0;
        }
    }
    printf("%s sent %zu heard %zu wrong %zu\n", cell->name, cell->size_count, heard, wrong);
}

static void blast(uint64_t ms)
{
    for (size_t i = 0; i < cell_count; i++) {
        struct cell *cell = &cells[i];

        if (!open_cell(cell)) {
            fail(cell->name);
        }
        for (cell->next = 0; cell->next < cell->size_count; cell->next++) {
            send_one(cell);
            (void)usleep(300);
        }
        hear_out(cell, ms);
        (void)close(cell->fd);
    }
}

/* What comes to this socket is not protected yet, even where a policy wants all between two hosts
 * to be. */
static void bypass(int fd, int family)
{
    for (int direction = XFRM_POLICY_IN; direction <= XFRM_POLICY_OUT; direction++) {
        struct xfrm_userpolicy_info policy = {
            .dir = (uint8_t)direction, .action = XFRM_POLICY_ALLOW, .sel.family = (uint16_t)family};
        int level = family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;

        if (setsockopt(fd, level, family == AF_INET ? IP_XFRM_POLICY : IPV6_XFRM_POLICY, &policy,
                       sizeof(policy)) != 0) {
            fail("XFRM_POLICY");
        }
    }
}

/* RFC 3948: the kernel takes ESP out of UDP where a socket says so. */
static _Noreturn void encapsulate(uint16_t port)
{
    for (int i = 0; i < 2; i++) {
        int family = i == 0 ? AF_INET : AF_INET6;
        int fd = serving(family, port);

        bypass(fd, family);
        set(fd, IPPROTO_UDP, UDP_ENCAP, UDP_ENCAP_ESPINUDP, "UDP_ENCAP");
    }
    printf("ready\n");
    fflush(stdout);
    for (;;) {
        (void)pause();
    }
}

int main(int argc, char **argv)
{
    for (int i = 3; i < argc; i++) {
        is_dull = is_dull || strcmp(argv[i], "dull") == 0;
    }
    if (argc >= 3 && strcmp(argv[1], "serve") == 0) {
        options = argv + 3;
        option_count = argc - 3;
        serve((uint16_t)atoi(argv[2]));
    }
    if (argc == 3 && strcmp(argv[1], "encap") == 0) {
        encapsulate((uint16_t)atoi(argv[2]));
    }
    if (argc >= 5) {
        options = argv + 5;
        option_count = argc - 5;
        read_list(argv[3], (uint16_t)atoi(argv[2]));
        if (strcmp(argv[1], "ask") == 0) {
            return ask(strtoull(argv[4], NULL, 10));
        }
        blast(strtoull(argv[4], NULL, 10));
        return 0;
    }
    fprintf(stderr, "usage: octets serve|ask|blast|encap PORT ...\n");
    return 2;
}
