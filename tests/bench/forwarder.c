/*
 * The floor: the least that a gateway in a program can do. What comes from a TUN device is cut,
 * sealed with AES-128-GCM under a key that everybody knows, and sent over UDP; and back. No
 * policies, no SAs, no replay protection, no IPv6, no checks but the tag. It is no VPN: it says
 * what this machine charges for the road that a packet takes, and so how much of Sekisho's time is
 * Sekisho's.
 *
 *     forwarder DEVICE LOCAL PEER [clear|gcm|openssl] [THREADS] [single]
 *
 * `clear` copies instead of sealing; `gcm` is ipsec-mb's, or OpenSSL's where there is none. Two
 * threads: one a direction. `single`: without super-packets. It ends by a signal.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <openssl/evp.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
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

#define PORT 4500
#define ESP_HEAD_BYTES 16
#define ESP_ICV_BYTES 16
#define SUPER_BYTES 65536
#define SEND_BYTES_MAX 65000
#define SEGMENTS_MAX 64
#define JOINED_MAX 8 /* datagrams of up to 64 KiB in one recvmmsg() */
#define PACKET_BYTES 2048
#define VIRTIO_BYTES sizeof(struct virtio_net_hdr)

enum crypto { CRYPTO_CLEAR, CRYPTO_GCM, CRYPTO_OPENSSL };

static enum crypto crypto = CRYPTO_GCM;
static bool supers = true;
static int device;
static int wire;
static struct sockaddr_in peer;

static _Noreturn void give_up(const char *why)
{
    perror(why);
    exit(1);
}

static void *room(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

    if (memory == MAP_FAILED) {
        give_up("mmap");
    }
    return memory;
}

/* ---- bytes and sums ---- */

static inline uint16_t get16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static inline void put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static inline uint32_t get32(const uint8_t *at)
{
    return (uint32_t)get16(at) << 16 | get16(at + 2);
}

static inline void put32(uint8_t *at, uint32_t value)
{
    put16(at, value >> 16);
    put16(at + 2, value);
}

/* RFC 1071, in the machine's order. */
static uint64_t sum(const uint8_t *at, size_t bytes, uint64_t so_far)
{
    uint32_t word;

    for (; bytes >= 32; at += 32, bytes -= 32) {
        uint64_t part = 0;

        for (size_t i = 0; i < 32; i += 4) {
            memcpy(&word, at + i, 4);
            part += word;
        }
        so_far += part;
    }
    for (; bytes >= 4; at += 4, bytes -= 4) {
        memcpy(&word, at, 4);
        so_far += word;
    }
    word = 0;
    memcpy(&word, at, bytes);
    return so_far + word;
}

static uint16_t fold(uint64_t s)
{
    s = (s & 0xffffffff) + (s >> 32);
    s = (s & 0xffffffff) + (s >> 32);
    s = (s & 0xffff) + (s >> 16);
    s = (s & 0xffff) + (s >> 16);
    return (uint16_t)s;
}

static inline void store_sum(uint8_t *at, uint16_t value)
{
    memcpy(at, &value, 2);
}

static uint64_t pseudo(const uint8_t *ip, uint32_t transport_bytes)
{
    uint8_t rest[4] = {0, ip[9], (uint8_t)(transport_bytes >> 8), (uint8_t)transport_bytes};

    return sum(ip + 12, 8, sum(rest, 4, 0));
}

static void ip_length(uint8_t *ip, uint32_t head_bytes, uint32_t bytes)
{
    put16(ip + 2, bytes);
    put16(ip + 10, 0);
    store_sum(ip + 10, (uint16_t)~fold(sum(ip, head_bytes, 0)));
}

/* ---- sealing ---- */

struct sealing {
    uint64_t sequence;
    EVP_CIPHER_CTX *seal;
    EVP_CIPHER_CTX *open;
#ifdef HAVE_IPSEC_MB
    IMB_MGR *manager;
    struct gcm_key_data key;
    struct gcm_context_data context;
#endif
};

static const uint8_t known_key[16] = "no key, a floor";

static struct sealing *sealing_new(void)
{
    struct sealing *s = room(sizeof(*s));

    s->seal = EVP_CIPHER_CTX_new();
    s->open = EVP_CIPHER_CTX_new();
    EVP_EncryptInit_ex(s->seal, EVP_aes_128_gcm(), NULL, known_key, NULL);
    EVP_DecryptInit_ex(s->open, EVP_aes_128_gcm(), NULL, known_key, NULL);
#ifdef HAVE_IPSEC_MB
    s->manager = alloc_mb_mgr(0);
    init_mb_mgr_auto(s->manager, NULL);
    IMB_AES128_GCM_PRE(s->manager, known_key, &s->key);
#endif
    return s;
}

/* esp: head, then `bytes` of an inner packet; returns the octets with trailer and tag. */
static uint32_t seal(struct sealing *s, uint8_t *esp, uint32_t bytes)
{
    uint32_t padding = -(bytes + 2) & 3;
    uint8_t iv[12] = {1, 2, 3, 4};
    uint8_t *inner = esp + ESP_HEAD_BYTES;

    s->sequence++;
    put32(esp, 0x1001);
    put32(esp + 4, (uint32_t)s->sequence);
    memcpy(esp + 8, &s->sequence, 8);
    memcpy(iv + 4, esp + 8, 8);
    for (uint32_t i = 0; i < padding; i++) {
        inner[bytes + i] = (uint8_t)(i + 1);
    }
    bytes += padding + 2;
    inner[bytes - 2] = (uint8_t)padding;
    inner[bytes - 1] = 4;
#ifdef HAVE_IPSEC_MB
    if (crypto == CRYPTO_GCM) {
        IMB_AES128_GCM_ENC(s->manager, &s->key, &s->context, inner, inner, bytes, iv, esp, 8,
                           inner + bytes, ESP_ICV_BYTES);
        return ESP_HEAD_BYTES + bytes + ESP_ICV_BYTES;
    }
#endif
    if (crypto != CRYPTO_CLEAR) {
        int done;

        EVP_EncryptInit_ex(s->seal, NULL, NULL, NULL, iv);
        EVP_EncryptUpdate(s->seal, NULL, &done, esp, 8);
        EVP_EncryptUpdate(s->seal, inner, &done, inner, (int)bytes);
        EVP_EncryptFinal_ex(s->seal, inner + bytes, &done);
        EVP_CIPHER_CTX_ctrl(s->seal, EVP_CTRL_AEAD_GET_TAG, ESP_ICV_BYTES, inner + bytes);
    }
    return ESP_HEAD_BYTES + bytes + ESP_ICV_BYTES;
}

/* Octets of the inner packet; 0 when it is not ours. */
static uint32_t open_sealed(struct sealing *s, uint8_t *esp, uint32_t length)
{
    uint8_t iv[12] = {1, 2, 3, 4};
    uint8_t *inner = esp + ESP_HEAD_BYTES;
    uint32_t bytes = length - ESP_HEAD_BYTES - ESP_ICV_BYTES;

    if (length < ESP_HEAD_BYTES + ESP_ICV_BYTES + 2) {
        return 0;
    }
    memcpy(iv + 4, esp + 8, 8);
#ifdef HAVE_IPSEC_MB
    if (crypto == CRYPTO_GCM) {
        uint8_t tag[ESP_ICV_BYTES];

        IMB_AES128_GCM_DEC(s->manager, &s->key, &s->context, inner, inner, bytes, iv, esp, 8, tag,
                           ESP_ICV_BYTES);
        if (memcmp(tag, inner + bytes, ESP_ICV_BYTES) != 0) {
            return 0;
        }
    }
    bool openssl = crypto == CRYPTO_OPENSSL;
#else
    bool openssl = crypto != CRYPTO_CLEAR;
#endif
    if (openssl) {
        int done;

        EVP_DecryptInit_ex(s->open, NULL, NULL, NULL, iv);
        EVP_CIPHER_CTX_ctrl(s->open, EVP_CTRL_AEAD_SET_TAG, ESP_ICV_BYTES, inner + bytes);
        EVP_DecryptUpdate(s->open, NULL, &done, esp, 8);
        EVP_DecryptUpdate(s->open, inner, &done, inner, (int)bytes);
        if (EVP_DecryptFinal_ex(s->open, inner + bytes, &done) <= 0) {
            return 0;
        }
    }
    uint32_t trailer = inner[bytes - 2] + UINT32_C(2);

    return trailer > bytes ? 0 : bytes - trailer;
}

/* ---- out: device to wire ---- */

struct outbound {
    struct sealing *sealing;
    uint8_t *super; /* as the device gave it */
    uint8_t *sealed; /* one behind the other */
    uint32_t used;
    uint32_t segment_bytes; /* of the first; only the last may be shorter */
    uint32_t count;
    struct iovec parts[SEGMENTS_MAX];
    struct mmsghdr messages[SEGMENTS_MAX];
};

static void outbound_send(struct outbound *o)
{
    if (o->count > 1 && supers) {
        uint8_t control[CMSG_SPACE(sizeof(uint16_t))] = {0};
        struct iovec all = {o->sealed, o->used};
        struct msghdr message = {.msg_name = &peer,
                                 .msg_namelen = sizeof(peer),
                                 .msg_iov = &all,
                                 .msg_iovlen = 1,
                                 .msg_control = control,
                                 .msg_controllen = sizeof(control)};
        struct cmsghdr *c = CMSG_FIRSTHDR(&message);
        uint16_t segment = (uint16_t)o->segment_bytes;

        c->cmsg_level = IPPROTO_UDP;
        c->cmsg_type = UDP_SEGMENT;
        c->cmsg_len = CMSG_LEN(sizeof(segment));
        memcpy(CMSG_DATA(c), &segment, sizeof(segment));
        (void)sendmsg(wire, &message, 0);
    } else if (o->count > 0) {
        (void)sendmmsg(wire, o->messages, o->count, 0);
    }
    o->count = 0;
    o->used = 0;
}

/* Where an inner packet of so many octets goes. */
static uint8_t *outbound_room(struct outbound *o, uint32_t bytes)
{
    uint32_t sealed = ESP_HEAD_BYTES + bytes + 2 + (-(bytes + 2) & 3) + ESP_ICV_BYTES;

    if (o->count == SEGMENTS_MAX || o->used + sealed > SEND_BYTES_MAX ||
        (supers && o->count > 0 && sealed > o->segment_bytes)) {
        outbound_send(o);
    }
    return o->sealed + o->used + ESP_HEAD_BYTES;
}

static void outbound_seal(struct outbound *o, uint32_t bytes)
{
    uint8_t *esp = o->sealed + o->used;
    uint32_t length = seal(o->sealing, esp, bytes);

    if (o->count == 0) {
        o->segment_bytes = length;
    }
    o->parts[o->count] = (struct iovec){esp, length};
    o->messages[o->count].msg_hdr = (struct msghdr){.msg_name = &peer,
                                                    .msg_namelen = sizeof(peer),
                                                    .msg_iov = &o->parts[o->count],
                                                    .msg_iovlen = 1};
    o->count++;
    o->used += length;
    if (supers && length < o->segment_bytes) {
        outbound_send(o);
    }
}

static void outbound_cut(struct outbound *o, const struct virtio_net_hdr *virtio, uint32_t length)
{
    const uint8_t *packet = o->super + VIRTIO_BYTES;
    uint32_t ip_bytes = (packet[0] & 15) * UINT32_C(4);
    bool tcp = packet[9] == IPPROTO_TCP;
    uint32_t head =
        ip_bytes + (tcp ? (packet[ip_bytes + 12] >> 4) * UINT32_C(4) : sizeof(struct udphdr));
    uint32_t step = virtio->gso_size;
    uint32_t number = 0;

    for (uint32_t at = head; at < length; at += step, number++) {
        uint32_t bytes = length - at < step ? length - at : step;
        uint8_t *out = outbound_room(o, head + bytes);
        uint8_t *transport = out + ip_bytes;
        uint8_t *check = transport + (tcp ? 16 : 6);

        memcpy(out, packet, head);
        memcpy(out + head, packet + at, bytes);
        put16(out + 4, get16(packet + 4) + number);
        ip_length(out, ip_bytes, head + bytes);
        if (tcp) {
            put32(transport + 4, get32(packet + ip_bytes + 4) + at - head);
            if (at + bytes < length) {
                transport[13] &= (uint8_t)~0x09; /* FIN, PSH: of the last one */
            }
        } else {
            put16(transport + 4, sizeof(struct udphdr) + bytes);
        }
        put16(check, 0);
        store_sum(check, (uint16_t)~fold(sum(transport, head - ip_bytes + bytes,
                                             pseudo(out, head - ip_bytes + bytes))));
        outbound_seal(o, head + bytes);
    }
}

static bool outbound_turn(struct outbound *o)
{
    bool any = false;

    for (size_t i = 0; i < SEGMENTS_MAX; i++) {
        ssize_t got = read(device, o->super, SUPER_BYTES + VIRTIO_BYTES);

        if (got <= (ssize_t)VIRTIO_BYTES) {
            break;
        }
        struct virtio_net_hdr virtio = {0};
        uint32_t begin = supers ? VIRTIO_BYTES : 0;
        uint32_t length = (uint32_t)got - begin;
        uint8_t *packet = o->super + begin;

        any = true;
        if (supers) {
            memcpy(&virtio, o->super, sizeof(virtio));
        }
        if (packet[0] >> 4 != 4) {
            continue;
        }
        if (virtio.gso_type != VIRTIO_NET_HDR_GSO_NONE) {
            outbound_cut(o, &virtio, length);
            continue;
        }
        if ((virtio.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) != 0) {
            uint8_t *begin_of_sum = packet + virtio.csum_start;
            uint16_t value = (uint16_t)~fold(sum(begin_of_sum, length - virtio.csum_start, 0));

            store_sum(begin_of_sum + virtio.csum_offset, value);
        }
        memcpy(outbound_room(o, length), packet, length);
        outbound_seal(o, length);
    }
    outbound_send(o);
    return any;
}

/* ---- in: wire to device ---- */

struct inbound {
    struct sealing *sealing;
    size_t datagrams;
    struct mmsghdr messages[SEGMENTS_MAX];
    struct iovec rooms[SEGMENTS_MAX];
    uint8_t control[SEGMENTS_MAX][64];
    /* What is being joined: the first packet whole, of the others what follows the head. */
    struct virtio_net_hdr virtio;
    struct iovec parts[SEGMENTS_MAX + 1];
    int count;
    uint32_t head;
    uint32_t payload;
    uint32_t step;
    uint32_t last;
};

static void inbound_write(struct inbound *in)
{
    if (in->count == 0) {
        return;
    }
    if (!supers) {
        (void)!writev(device, in->parts + 1, 1);
        in->count = 0;
        return;
    }
    in->virtio = (struct virtio_net_hdr){0};
    in->parts[0] = (struct iovec){&in->virtio, VIRTIO_BYTES};
    if (in->count > 1) {
        uint8_t *ip = in->parts[1].iov_base;
        uint32_t ip_bytes = (ip[0] & 15) * UINT32_C(4);
        uint32_t transport = in->head - ip_bytes + in->payload;
        bool tcp = ip[9] == IPPROTO_TCP;

        ip_length(ip, ip_bytes, ip_bytes + transport);
        if (!tcp) {
            put16(ip + ip_bytes + 4, transport);
        }
        in->virtio.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
        in->virtio.gso_type = tcp ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_UDP_L4;
        in->virtio.hdr_len = (uint16_t)in->head;
        in->virtio.gso_size = (uint16_t)in->step;
        in->virtio.csum_start = (uint16_t)ip_bytes;
        in->virtio.csum_offset = tcp ? 16 : 6;
        store_sum(ip + ip_bytes + in->virtio.csum_offset, fold(pseudo(ip, transport)));
    }
    (void)!writev(device, in->parts, in->count + 1);
    in->count = 0;
}

/* Octets of the heads of a packet that may stand in a group; 0: it may not. */
static uint32_t head_of(const uint8_t *packet, uint32_t bytes)
{
    uint32_t ip_bytes = (packet[0] & 15) * UINT32_C(4);
    uint32_t head = 0;

    if (bytes < 40 || packet[0] >> 4 != 4 || (get16(packet + 6) & 0x3fff) != 0) {
        return 0;
    }
    if (packet[9] == IPPROTO_UDP) {
        head = ip_bytes + sizeof(struct udphdr);
    } else if (packet[9] == IPPROTO_TCP && (packet[ip_bytes + 13] & ~0x08) == 0x10) {
        head = ip_bytes + (packet[ip_bytes + 12] >> 4) * UINT32_C(4);
    }
    if (head == 0 || head >= bytes ||
        fold(sum(packet + ip_bytes, bytes - ip_bytes, pseudo(packet, bytes - ip_bytes))) !=
            0xffff) {
        return 0;
    }
    return head;
}

static bool follows(const struct inbound *in, const uint8_t *packet, uint32_t head, uint32_t bytes)
{
    const uint8_t *first = in->parts[1].iov_base;
    uint32_t ip_bytes = (packet[0] & 15) * UINT32_C(4);

    if (in->count == 0 || in->count == SEGMENTS_MAX || head != in->head || in->last != in->step ||
        bytes - head > in->step || in->head + in->payload + bytes > SEND_BYTES_MAX ||
        packet[1] != first[1] || packet[8] != first[8] || packet[9] != first[9] ||
        memcmp(packet + 12, first + 12, ip_bytes - 12 + 4) != 0) {
        return false;
    }
    if (packet[9] == IPPROTO_UDP) {
        return true;
    }
    const uint8_t *tcp = packet + ip_bytes;
    const uint8_t *before = first + ip_bytes;

    return get32(tcp + 4) == get32(before + 4) + in->payload &&
           memcmp(tcp + 8, before + 8, 4) == 0 && memcmp(tcp + 14, before + 14, 2) == 0 &&
           memcmp(tcp + 20, before + 20, head - ip_bytes - 20) == 0;
}

static void inbound_join(struct inbound *in, uint8_t *packet, uint32_t bytes)
{
    uint32_t head = supers ? head_of(packet, bytes) : 0;

    if (head > 0 && follows(in, packet, head, bytes)) {
        if (packet[9] == IPPROTO_TCP) {
            uint8_t *first = in->parts[1].iov_base;
            uint32_t flags = (packet[0] & 15) * UINT32_C(4) + 13;

            first[flags] |= packet[flags];
        }
        in->parts[++in->count] = (struct iovec){packet + head, bytes - head};
        in->payload += bytes - head;
        in->last = bytes - head;
        return;
    }
    inbound_write(in);
    in->parts[1] = (struct iovec){packet, bytes};
    in->count = 1;
    in->head = head;
    in->payload = bytes - head;
    in->step = head > 0 ? bytes - head : 0;
    in->last = bytes - head; /* of what cannot be joined no other follows */
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

static bool inbound_turn(struct inbound *in)
{
    for (size_t i = 0; i < in->datagrams; i++) {
        in->messages[i].msg_hdr.msg_control = supers ? in->control[i] : NULL;
        in->messages[i].msg_hdr.msg_controllen = supers ? sizeof(in->control[i]) : 0;
    }
    int count = recvmmsg(wire, in->messages, (unsigned)in->datagrams, MSG_DONTWAIT, NULL);

    for (int i = 0; i < count; i++) {
        uint8_t *octets = in->rooms[i].iov_base;
        uint32_t length = in->messages[i].msg_len;
        uint32_t segment = segment_of(&in->messages[i].msg_hdr, length);

        for (uint32_t at = 0; at < length; at += segment) {
            uint32_t bytes = length - at < segment ? length - at : segment;
            uint32_t inner = open_sealed(in->sealing, octets + at, bytes);

            if (inner > 0) {
                inbound_join(in, octets + at + ESP_HEAD_BYTES, inner);
            }
        }
    }
    inbound_write(in);
    return count > 0;
}

/* ---- the program ---- */

static void loop(bool out, bool in)
{
    struct outbound *o = room(sizeof(*o));
    struct inbound *i = room(sizeof(*i));
    struct pollfd wait[2] = {{out ? device : -1, POLLIN, 0}, {in ? wire : -1, POLLIN, 0}};

    o->sealing = i->sealing = sealing_new();
    o->super = room(SUPER_BYTES + VIRTIO_BYTES);
    o->sealed = room(SEND_BYTES_MAX + PACKET_BYTES);
    i->datagrams = supers ? JOINED_MAX : SEGMENTS_MAX;
    for (size_t k = 0; k < i->datagrams; k++) {
        size_t bytes = supers ? SUPER_BYTES : PACKET_BYTES;

        i->rooms[k] = (struct iovec){room(bytes), bytes};
        i->messages[k].msg_hdr.msg_iov = &i->rooms[k];
        i->messages[k].msg_hdr.msg_iovlen = 1;
    }
    for (;;) {
        bool sent = out && outbound_turn(o);
        bool got = in && inbound_turn(i);

        if (!sent && !got) {
            (void)poll(wait, 2, -1);
        }
    }
}

static void *loop_in(void *nothing)
{
    (void)nothing;
    loop(false, true);
    return NULL;
}

static void device_open(const char *name)
{
    unsigned basic = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
    struct ifreq request = {.ifr_flags =
                                (short)(IFF_TUN | IFF_NO_PI | (supers ? IFF_VNET_HDR : 0))};

    (void)snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
    device = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (device < 0 || ioctl(device, TUNSETIFF, &request) != 0) {
        give_up("/dev/net/tun");
    }
    if (supers && ioctl(device, TUNSETOFFLOAD, basic | TUN_F_USO4 | TUN_F_USO6) != 0 &&
        ioctl(device, TUNSETOFFLOAD, basic) != 0) {
        give_up("TUNSETOFFLOAD");
    }
}

static void wire_open(const char *local, const char *far)
{
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    int yes = 1;
    int bytes = 16 << 20;

    peer = here;
    wire = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (wire < 0 || inet_pton(AF_INET, local, &here.sin_addr) != 1 ||
        inet_pton(AF_INET, far, &peer.sin_addr) != 1 ||
        bind(wire, (struct sockaddr *)&here, sizeof(here)) != 0) {
        give_up(local);
    }
    setsockopt(wire, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
    setsockopt(wire, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes));
    if (supers && setsockopt(wire, IPPROTO_UDP, UDP_GRO, &yes, sizeof(yes)) != 0) {
        give_up("UDP_GRO");
    }
}

int main(int argc, char **argv)
{
    int threads = 1;

    if (argc < 4) {
        fprintf(stderr,
                "usage: forwarder DEVICE LOCAL PEER [clear|gcm|openssl] [THREADS] [single]\n");
        return 2;
    }
    for (int i = 4; i < argc; i++) {
        if (strcmp(argv[i], "clear") == 0) {
            crypto = CRYPTO_CLEAR;
        } else if (strcmp(argv[i], "gcm") == 0) {
            crypto = CRYPTO_GCM;
        } else if (strcmp(argv[i], "openssl") == 0) {
            crypto = CRYPTO_OPENSSL;
        } else if (strcmp(argv[i], "single") == 0) {
            supers = false;
        } else {
            threads = argv[i][0] == '2' ? 2 : 1;
        }
    }
    device_open(argv[1]);
    wire_open(argv[2], argv[3]);
    printf("ready\n");
    fflush(stdout);
    if (threads == 2) {
        pthread_t thread;

        if (pthread_create(&thread, NULL, loop_in, NULL) != 0) {
            give_up("thread");
        }
        loop(true, false);
    }
    loop(true, true);
    return 0;
}
