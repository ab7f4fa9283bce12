/*
 * What this machine charges for each step of a packet's road, one at a time: the TUN device, the
 * socket, the cipher. Each prints how many packets there were, what they took of the processor in
 * nanoseconds, and how many in a second.
 *
 *     limits tun-read DEVICE SECONDS [supers]               until so long after the first packet
 *     limits tun-write DEVICE FROM TO SIZE SECONDS [COUNT]  UDP; COUNT in one super-packet
 *     limits send udp|joined|esp ADDRESS SIZE BATCH SECONDS
 *     limits receive udp|joined|esp SECONDS                 until so long after the first packet
 *     limits cipher gcm|openssl SIZE BATCH SECONDS          AES-128-GCM; BATCH 1: no batch
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <openssl/evp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#ifdef HAVE_IPSEC_MB
#include <intel-ipsec-mb.h>
#endif

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

#define PORT 5999
#define BATCH_MAX 64
#define HEAD_BYTES 28 /* IPv4 and UDP */
#define ROOM_BYTES 65536
#define MESSAGE_BYTES (1400 + 72)
#define SLEEP_MS 200
#define VIRTIO_BYTES sizeof(struct virtio_net_hdr)

enum how { UDP_PLAIN, UDP_JOINED, RAW_ESP };

static uint8_t rooms[BATCH_MAX][ROOM_BYTES];
/* For the cipher: close together, as a gateway that cuts super-packets has them. */
static uint8_t sealed[BATCH_MAX][MESSAGE_BYTES];

static _Noreturn void give_up(const char *why)
{
    perror(why);
    exit(1);
}

static double seconds_of(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double now(void)
{
    return seconds_of(CLOCK_MONOTONIC);
}

static double used(void)
{
    return seconds_of(CLOCK_PROCESS_CPUTIME_ID);
}

/* Begins with the first packet, because what was before it is waiting. */
struct watch {
    uint64_t packets;
    double began, began_used, last;
};

static bool watch_add(struct watch *w, uint64_t packets, double seconds)
{
    w->last = now();
    if (w->began == 0) {
        w->began = w->last;
        w->began_used = used();
    } else {
        w->packets += packets;
    }
    return w->last - w->began < seconds;
}

static int watch_tell(const struct watch *w)
{
    double took = used() - w->began_used;

    if (w->packets == 0) {
        fprintf(stderr, "no packet came\n");
        return 1;
    }
    printf("%llu %.2f %.0f\n", (unsigned long long)w->packets, took * 1e9 / (double)w->packets,
           (double)w->packets / (w->last - w->began));
    return 0;
}

static bool waits(int descriptor)
{
    struct pollfd p = {descriptor, POLLIN, 0};

    return poll(&p, 1, SLEEP_MS) > 0;
}

/* ---- the TUN device ---- */

static int tun_make(const char *name, bool supers)
{
    unsigned basic = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
    int device = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    struct ifreq request = {.ifr_flags =
                                (short)(IFF_TUN | IFF_NO_PI | (supers ? IFF_VNET_HDR : 0))};

    (void)snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
    if (device < 0 || ioctl(device, TUNSETIFF, &request) != 0) {
        give_up("/dev/net/tun");
    }
    if (supers && ioctl(device, TUNSETOFFLOAD, basic | TUN_F_USO4 | TUN_F_USO6) != 0) {
        give_up("TUNSETOFFLOAD"); /* without USO there is nothing to be measured */
    }
    printf("ready\n");
    fflush(stdout);
    return device;
}

static int tun_read(const char *name, double seconds, bool supers)
{
    int device = tun_make(name, supers);
    struct watch w = {0};

    for (;;) {
        ssize_t got = read(device, rooms[0], ROOM_BYTES);
        struct virtio_net_hdr virtio = {0};
        uint64_t packets = 1;

        if (got <= 0) {
            if (!waits(device) && w.began > 0) {
                return watch_tell(&w);
            }
            continue;
        }
        if (rooms[0][supers ? VIRTIO_BYTES : 0] >> 4 != 4) {
            continue; /* the system looks for routers */
        }
        if (supers) {
            memcpy(&virtio, rooms[0], VIRTIO_BYTES);
        }
        if (virtio.gso_size > 0) {
            size_t payload = (size_t)got - VIRTIO_BYTES - HEAD_BYTES;

            packets = (payload + virtio.gso_size - 1) / virtio.gso_size;
        }
        if (!watch_add(&w, packets, seconds)) {
            return watch_tell(&w);
        }
    }
}

static void put16(uint8_t *at, size_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static uint16_t sum_of(const uint8_t *at, size_t bytes, uint32_t sum)
{
    for (size_t i = 0; i < bytes; i += 2) {
        sum += (uint32_t)(at[i] << 8 | at[i + 1]);
    }
    sum = (sum >> 16) + (sum & 0xffff);
    return (uint16_t)((sum >> 16) + sum);
}

static int tun_write(const char *name, char **words, size_t count)
{
    bool supers = count > 0;
    int device = tun_make(name, supers);
    size_t size = strtoul(words[2], NULL, 10);
    double seconds = strtod(words[3], NULL);
    size_t begin = supers ? VIRTIO_BYTES : 0;
    uint8_t *ip = rooms[0] + begin;
    size_t bytes = HEAD_BYTES + size * (supers ? count : 1);
    struct watch w = {0};

    ip[0] = 0x45;
    put16(ip + 2, bytes);
    ip[8] = 64;
    ip[9] = IPPROTO_UDP;
    if (inet_pton(AF_INET, words[0], ip + 12) != 1 || inet_pton(AF_INET, words[1], ip + 16) != 1) {
        give_up(words[0]);
    }
    put16(ip + 10, (uint16_t)~sum_of(ip, 20, 0));
    put16(ip + 20, 1);
    put16(ip + 22, PORT);
    put16(ip + 24, bytes - 20);
    if (supers) {
        struct virtio_net_hdr virtio = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                                        .gso_type = VIRTIO_NET_HDR_GSO_UDP_L4,
                                        .hdr_len = HEAD_BYTES,
                                        .gso_size = (uint16_t)size,
                                        .csum_start = 20,
                                        .csum_offset = 6};

        memcpy(rooms[0], &virtio, VIRTIO_BYTES);
        put16(ip + 26, sum_of(ip + 12, 8, (uint32_t)(IPPROTO_UDP + bytes - 20)));
    }
    usleep(SLEEP_MS * 2000); /* the device is being brought up */
    do {
        for (size_t i = 0; i < BATCH_MAX; i++) {
            if (write(device, rooms[0], begin + bytes) < 0) {
                give_up("write");
            }
        }
    } while (watch_add(&w, BATCH_MAX * (supers ? count : 1), seconds));
    return watch_tell(&w);
}

/* ---- sockets ---- */

static enum how how_of(const char *word)
{
    return strcmp(word, "udp") == 0      ? UDP_PLAIN
           : strcmp(word, "joined") == 0 ? UDP_JOINED
                                         : RAW_ESP;
}

static int socket_make(enum how how)
{
    int bytes = 16 << 20;
    int s = how == RAW_ESP ? socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ESP)
                           : socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (s < 0) {
        give_up("socket");
    }
    setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
    setsockopt(s, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes));
    return s;
}

static int send_them(enum how how, char **words)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    size_t size = strtoul(words[1], NULL, 10);
    unsigned batch = (unsigned)strtoul(words[2], NULL, 10);
    double seconds = strtod(words[3], NULL);
    struct mmsghdr messages[BATCH_MAX] = {0};
    struct iovec part = {rooms[0], size};
    int s = socket_make(how);
    int segment = (int)size;
    struct watch w = {0};

    if (inet_pton(AF_INET, words[0], &to.sin_addr) != 1 || batch < 1 || batch > BATCH_MAX ||
        size > ROOM_BYTES / BATCH_MAX * 2 || connect(s, (struct sockaddr *)&to, sizeof(to)) != 0 ||
        (how == UDP_JOINED &&
         setsockopt(s, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof(segment)) != 0)) {
        give_up(words[0]);
    }
    rooms[0][0] = 1; /* ESP: an SPI that nobody has */
    for (unsigned i = 0; i < batch; i++) {
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &part, .msg_iovlen = 1};
    }
    uint64_t sent;
    do {
        sent = batch;
        if (how == UDP_JOINED) {
            (void)!send(s, rooms[0], size * batch, 0);
        } else if (batch == 1) {
            (void)!send(s, rooms[0], size, 0);
        } else {
            (void)!sendmmsg(s, messages, batch, 0);
        }
    } while (watch_add(&w, sent, seconds));
    return watch_tell(&w);
}

static uint32_t segment_of(struct msghdr *message, uint32_t whole)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
            int bytes;

            memcpy(&bytes, CMSG_DATA(c), sizeof(bytes));
            return (uint32_t)bytes;
        }
    }
    return whole;
}

static int receive_them(enum how how, double seconds)
{
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    static uint8_t control[BATCH_MAX][64];
    struct mmsghdr messages[BATCH_MAX];
    struct iovec parts[BATCH_MAX];
    int s = socket_make(how);
    int yes = 1;
    struct watch w = {0};

    if (bind(s, (struct sockaddr *)&here, sizeof(here)) != 0 ||
        (how == UDP_JOINED && setsockopt(s, IPPROTO_UDP, UDP_GRO, &yes, sizeof(yes)) != 0)) {
        give_up("bind");
    }
    printf("ready\n");
    fflush(stdout);
    for (;;) {
        for (size_t i = 0; i < BATCH_MAX; i++) {
            parts[i] = (struct iovec){rooms[i], ROOM_BYTES};
            messages[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i],
                                                  .msg_iovlen = 1,
                                                  .msg_control = control[i],
                                                  .msg_controllen = sizeof(control[i])};
        }
        int got = recvmmsg(s, messages, BATCH_MAX, MSG_DONTWAIT, NULL);
        uint64_t packets = 0;

        if (got <= 0) {
            if (!waits(s) && w.began > 0) {
                return watch_tell(&w);
            }
            continue;
        }
        for (int i = 0; i < got; i++) {
            uint32_t segment = segment_of(&messages[i].msg_hdr, messages[i].msg_len);

            packets += (messages[i].msg_len + segment - 1) / segment;
        }
        if (!watch_add(&w, packets, seconds)) {
            return watch_tell(&w);
        }
    }
}

/* ---- the cipher ---- */

static const uint8_t known_key[16] = "no key, a limit";
static uint8_t iv[12];

static int cipher_openssl(size_t size, double seconds)
{
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    struct watch w = {0};
    int done;

    EVP_EncryptInit_ex(context, EVP_aes_128_gcm(), NULL, known_key, NULL);
    do {
        for (size_t i = 0; i < BATCH_MAX; i++) {
            iv[0]++;
            EVP_EncryptInit_ex(context, NULL, NULL, NULL, iv);
            EVP_EncryptUpdate(context, NULL, &done, sealed[i], 8);
            EVP_EncryptUpdate(context, sealed[i] + 16, &done, sealed[i] + 16, (int)size);
            EVP_EncryptFinal_ex(context, sealed[i] + 16 + size, &done);
            EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, sealed[i] + 16 + size);
        }
    } while (watch_add(&w, BATCH_MAX, seconds));
    EVP_CIPHER_CTX_free(context);
    return watch_tell(&w);
}

#ifdef HAVE_IPSEC_MB
static void burst_gcm(IMB_MGR *manager, const struct gcm_key_data *key, size_t size, uint32_t batch)
{
    IMB_JOB *jobs[BATCH_MAX];

    if (IMB_GET_NEXT_BURST(manager, batch, jobs) < batch) {
        give_up("ipsec-mb");
    }
    for (uint32_t i = 0; i < batch; i++) {
        uint8_t *esp = sealed[i];

        *jobs[i] = (IMB_JOB){.enc_keys = key,
                             .dec_keys = key,
                             .key_len_in_bytes = IMB_KEY_128_BYTES,
                             .src = esp,
                             .dst = esp + 16,
                             .cipher_start_src_offset_in_bytes = 16,
                             .msg_len_to_cipher_in_bytes = size,
                             .hash_start_src_offset_in_bytes = 16,
                             .msg_len_to_hash_in_bytes = size,
                             .iv = iv,
                             .iv_len_in_bytes = sizeof(iv),
                             .auth_tag_output = esp + 16 + size,
                             .auth_tag_output_len_in_bytes = 16,
                             .u.GCM = {.aad = esp, .aad_len_in_bytes = 8},
                             .cipher_mode = IMB_CIPHER_GCM,
                             .cipher_direction = IMB_DIR_ENCRYPT,
                             .hash_alg = IMB_AUTH_AES_GMAC,
                             .chain_order = IMB_ORDER_CIPHER_HASH};
    }
    if (IMB_SUBMIT_BURST(manager, batch, jobs) != batch) {
        give_up("ipsec-mb");
    }
}

static int cipher_gcm(size_t size, size_t batch, double seconds)
{
    static struct gcm_key_data key;
    static struct gcm_context_data context;
    IMB_MGR *manager = alloc_mb_mgr(0);
    struct watch w = {0};

    init_mb_mgr_auto(manager, NULL);
    IMB_AES128_GCM_PRE(manager, known_key, &key);
    do {
        for (size_t i = 0; i < BATCH_MAX; i++) {
            uint8_t *esp = sealed[i];

            if (batch == 1) {
                IMB_AES128_GCM_ENC(manager, &key, &context, esp + 16, esp + 16, size, iv, esp, 8,
                                   esp + 16 + size, 16);
            } else {
                burst_gcm(manager, &key, size, (uint32_t)batch);
            }
        }
    } while (watch_add(&w, BATCH_MAX * batch, seconds));
    free_mb_mgr(manager);
    return watch_tell(&w);
}
#else
static int cipher_gcm(size_t size, size_t batch, double seconds)
{
    (void)batch;
    return cipher_openssl(size, seconds);
}
#endif

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";

    memset(rooms, 0, sizeof(rooms)); /* so that no page is missing later */
    memset(sealed, 0, sizeof(sealed));
    if ((argc == 4 || argc == 5) && strcmp(what, "tun-read") == 0) {
        return tun_read(argv[2], strtod(argv[3], NULL), argc == 5);
    }
    if ((argc == 7 || argc == 8) && strcmp(what, "tun-write") == 0) {
        return tun_write(argv[2], argv + 3, argc == 8 ? strtoul(argv[7], NULL, 10) : 0);
    }
    if (argc == 7 && strcmp(what, "send") == 0) {
        return send_them(how_of(argv[2]), argv + 3);
    }
    if (argc == 4 && strcmp(what, "receive") == 0) {
        return receive_them(how_of(argv[2]), strtod(argv[3], NULL));
    }
    if (argc == 6 && strcmp(what, "cipher") == 0) {
        size_t size = strtoul(argv[3], NULL, 10);
        size_t batch = strtoul(argv[4], NULL, 10);
        double seconds = strtod(argv[5], NULL);

        if (size <= 1400 && batch >= 1 && batch <= BATCH_MAX) {
            return strcmp(argv[2], "openssl") == 0 ? cipher_openssl(size, seconds)
                                                   : cipher_gcm(size, batch, seconds);
        }
    }
    fprintf(stderr, "usage: limits tun-read|tun-write|send|receive|cipher ..., see limits.c\n");
    return 2;
}
