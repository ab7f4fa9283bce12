/*
 * Decides how a packet comes from a raw socket's filter into our memory. The program is written
 * here instruction by instruction, and the kernel is asked without a library: it is forty lines,
 * and must not differ from what was tested.
 */
#define _GNU_SOURCE 1 /* what only Linux has */
#include "host/link_ring.h"

#include <assert.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PROTOCOL_ESP 50
#define IPV4_HEAD_BYTES 20
#define IPV6_HEAD_BYTES 40
/* Two and a half milliseconds of the fastest that was seen here, and as much as the cache of a
 * processor holds: what waits longer is late. */
#define RING_BYTES (4 * 1024 * 1024)
#define RECORD_HEAD_BYTES 8
#define RECORD_ALIGN 8
/* A record is the length of the packet in eight octets, and the packet. The kernel wants a length
 * that it knows beforehand, so there are a few: for single octets, for an Ethernet, for a large
 * one. What is longer goes into the queue of the socket. */
#define LENGTH_BYTES 8
static const uint16_t record_bytes[] = {256, 1600, 9216};
#define SIZES (sizeof(record_bytes) / sizeof(record_bytes[0]))

struct link_ring {
    int map;
    int programs[2]; /* of IPv4 and IPv6 */
    size_t page_bytes;
    _Atomic uint64_t *consumed; /* a page that we write */
    const _Atomic uint64_t *produced; /* a page that the kernel writes, and behind it the ring */
    const uint8_t *data;
    uint64_t at; /* as far as we have taken */
    size_t taken; /* since others had their turn */
};

/* ---- the program ---- */

enum { R0, R1, R2, R3, R4, R5, PACKET, LENGTH, RECORD }; /* 6 to 8 survive a call */
#define JUMPS_MAX 8

struct program {
    struct bpf_insn code[128];
    size_t count;
    /* Jumps to what is not written yet. */
    size_t to_queue[JUMPS_MAX], to_drop[JUMPS_MAX];
    size_t to_queue_count, to_drop_count;
};

static size_t emit(struct program *p, unsigned code, unsigned to, unsigned from, int offset,
                   int value)
{
    assert(p->count < ARRAY_LENGTH(p->code));
    p->code[p->count] = (struct bpf_insn){.code = (uint8_t)code,
                                          .dst_reg = (uint8_t)(to & 0xf),
                                          .src_reg = (uint8_t)(from & 0xf),
                                          .off = (int16_t)offset,
                                          .imm = value};
    return p->count++;
}

static void set(struct program *p, unsigned to, int value)
{
    (void)emit(p, BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value);
}

static void copy(struct program *p, unsigned to, unsigned from)
{
    (void)emit(p, BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0);
}

static void call(struct program *p, int helper)
{
    (void)emit(p, BPF_JMP | BPF_CALL, 0, 0, 0, helper);
}

static size_t jump_if(struct program *p, unsigned condition, unsigned what, int value)
{
    return emit(p, BPF_JMP | condition | BPF_K, what, 0, 0, value);
}

static void land(struct program *p, size_t jump)
{
    p->code[jump].off = (int16_t)(p->count - jump - 1);
}

static void queue_if(struct program *p, unsigned condition, unsigned what, int value)
{
    assert(p->to_queue_count < JUMPS_MAX);
    p->to_queue[p->to_queue_count++] = jump_if(p, condition, what, value);
}

static void drop_if(struct program *p, unsigned condition, unsigned what, int value)
{
    assert(p->to_drop_count < JUMPS_MAX);
    p->to_drop[p->to_drop_count++] = jump_if(p, condition, what, value);
}

/* Into R0, in host order, counted from the IP header wherever the kernel is by now. */
static void load_from_head(struct program *p, unsigned width, int offset)
{
    (void)emit(p, BPF_LD | width | BPF_ABS, 0, 0, 0, SKF_NET_OFF + offset);
}

static void end(struct program *p, int answer)
{
    set(p, R0, answer);
    (void)emit(p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

/* RFC 791 3.1 and RFC 8200 3; ESP behind extension headers is for the queue. */
static void find_length(struct program *p, enum family family)
{
    if (family == FAMILY_IPV4) {
        load_from_head(p, BPF_H, 2);
        copy(p, LENGTH, R0);
        return;
    }
    load_from_head(p, BPF_B, 6);
    queue_if(p, BPF_JNE, R0, PROTOCOL_ESP);
    load_from_head(p, BPF_H, 4);
    copy(p, LENGTH, R0);
    (void)emit(p, BPF_ALU64 | BPF_ADD, LENGTH, 0, 0, IPV6_HEAD_BYTES);
}

/* Octets `first` to LENGTH of the packet, which may lie in pieces. What the kernel shows us begins
 * with the IP header, or behind it, and ends with the packet. */
static void copy_from(struct program *p, int first)
{
    copy(p, R1, PACKET);
    (void)emit(p, BPF_LDX | BPF_MEM | BPF_W, R2, PACKET, offsetof(struct __sk_buff, len), 0);
    copy(p, R4, LENGTH);
    (void)emit(p, BPF_ALU64 | BPF_ADD, R4, 0, 0, -first);
    (void)emit(p, BPF_ALU64 | BPF_SUB | BPF_X, R2, R4, 0, 0);
    copy(p, R3, RECORD);
    (void)emit(p, BPF_ALU64 | BPF_ADD, R3, 0, 0, LENGTH_BYTES + first);
    call(p, BPF_FUNC_skb_load_bytes);
}

/* The header of IPv6 is behind us, and in one piece. */
static void copy_head(struct program *p)
{
    copy(p, R1, PACKET);
    set(p, R2, 0);
    copy(p, R3, RECORD);
    (void)emit(p, BPF_ALU64 | BPF_ADD, R3, 0, 0, LENGTH_BYTES);
    set(p, R4, IPV6_HEAD_BYTES);
    set(p, R5, BPF_HDR_START_NET);
    call(p, BPF_FUNC_skb_load_bytes_relative);
}

/* Gives the record to us or, when the packet could not be copied, to nobody. A full ring drops, as
 * a full queue does. */
static void take_as(struct program *p, enum family family, int map, uint16_t bytes)
{
    size_t failed_head = 0;

    (void)emit(p, BPF_DW | BPF_IMM, R1, BPF_PSEUDO_MAP_FD, 0, map);
    (void)emit(p, 0, 0, 0, 0, 0);
    set(p, R2, bytes);
    set(p, R3, 0);
    call(p, BPF_FUNC_ringbuf_reserve);
    drop_if(p, BPF_JEQ, R0, 0);
    copy(p, RECORD, R0);
    (void)emit(p, BPF_STX | BPF_MEM | BPF_DW, RECORD, LENGTH, 0, 0);
    if (family == FAMILY_IPV6) {
        copy_head(p);
        failed_head = jump_if(p, BPF_JNE, R0, 0);
    }
    copy_from(p, family == FAMILY_IPV6 ? IPV6_HEAD_BYTES : 0);
    size_t failed = jump_if(p, BPF_JNE, R0, 0);
    copy(p, R1, RECORD);
    set(p, R2, 0);
    call(p, BPF_FUNC_ringbuf_submit);
    end(p, 0);
    land(p, failed);
    if (family == FAMILY_IPV6) {
        land(p, failed_head);
    }
    copy(p, R1, RECORD);
    set(p, R2, 0);
    call(p, BPF_FUNC_ringbuf_discard);
    end(p, 0);
}

static void write_program(struct program *p, enum family family, int map)
{
    *p = (struct program){0};
    copy(p, PACKET, R1);
    find_length(p, family);
    queue_if(p, BPF_JLE, LENGTH, family == FAMILY_IPV4 ? IPV4_HEAD_BYTES : IPV6_HEAD_BYTES);
    for (size_t i = 0; i < SIZES; i++) {
        size_t larger = jump_if(p, BPF_JGT, LENGTH, record_bytes[i] - LENGTH_BYTES);

        take_as(p, family, map, record_bytes[i]);
        land(p, larger);
    }
    for (size_t i = 0; i < p->to_queue_count; i++) {
        land(p, p->to_queue[i]);
    }
    end(p, -1);
    for (size_t i = 0; i < p->to_drop_count; i++) {
        land(p, p->to_drop[i]);
    }
    end(p, 0);
}

/* ---- the kernel ---- */

static int ask(int command, union bpf_attr *what)
{
    return (int)syscall(SYS_bpf, command, what, sizeof(*what));
}

static uint64_t place_of(const void *at)
{
    return (uint64_t)(uintptr_t)at;
}

static int load_program(enum family family, int map)
{
    struct program program;
    union bpf_attr what = {.prog_type = BPF_PROG_TYPE_SOCKET_FILTER};

    write_program(&program, family, map);
    what.insns = place_of(program.code);
    what.insn_cnt = (uint32_t)program.count;
    what.license = place_of("Apache-2.0");
    return ask(BPF_PROG_LOAD, &what);
}

static bool map_ring(struct link_ring *ring)
{
    union bpf_attr what = {.map_type = BPF_MAP_TYPE_RINGBUF, .max_entries = RING_BYTES};

    ring->page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    ring->map = ask(BPF_MAP_CREATE, &what);
    if (ring->map < 0) {
        return false;
    }
    void *ours = mmap(NULL, ring->page_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ring->map, 0);
    /* The kernel would show the ring twice in a row, so that nothing in it is torn, and all of that
     * would count as memory of ours. */
    void *its = mmap(NULL, ring->page_bytes + RING_BYTES, PROT_READ, MAP_SHARED, ring->map,
                     (off_t)ring->page_bytes);
    ring->consumed = ours == MAP_FAILED ? NULL : ours;
    ring->produced = its == MAP_FAILED ? NULL : its;
    if (ring->consumed == NULL || ring->produced == NULL) {
        return false;
    }
    ring->data = (const uint8_t *)its + ring->page_bytes;
    return true;
}

int link_ring_fd(const struct link_ring *ring)
{
    return ring->map;
}

void link_ring_close(struct link_ring *ring)
{
    if (ring == NULL) {
        return;
    }
    if (ring->consumed != NULL) {
        (void)munmap((void *)(uintptr_t)ring->consumed, ring->page_bytes);
    }
    if (ring->produced != NULL) {
        (void)munmap((void *)(uintptr_t)ring->produced, ring->page_bytes + RING_BYTES);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(ring->programs); i++) {
        if (ring->programs[i] >= 0) {
            (void)close(ring->programs[i]);
        }
    }
    if (ring->map >= 0) {
        (void)close(ring->map);
    }
    free(ring);
}

/* ---- receiving ---- */

/* A packet in the ring, which may go on at its beginning. */
struct record {
    uint64_t at;
    uint32_t length; /* of the packet; 0: there is none */
};

static void read_at(const struct link_ring *ring, uint64_t at, void *out, size_t length)
{
    size_t offset = (size_t)(at & (RING_BYTES - 1));
    size_t first = RING_BYTES - offset < length ? RING_BYTES - offset : length;

    memcpy(out, ring->data + offset, first);
    memcpy((uint8_t *)out + first, ring->data, length - first);
}

static struct record next_record(struct link_ring *ring)
{
    while (ring->at < atomic_load_explicit(ring->produced, memory_order_acquire)) {
        const void *at = ring->data + (ring->at & (RING_BYTES - 1));
        uint32_t head = atomic_load_explicit((const _Atomic uint32_t *)at, memory_order_acquire);
        struct record record = {ring->at + RECORD_HEAD_BYTES + LENGTH_BYTES, 0};
        uint64_t length;

        if ((head & BPF_RINGBUF_BUSY_BIT) != 0) {
            break; /* another processor is still copying; it wakes us */
        }
        uint32_t bytes = head & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
        read_at(ring, ring->at + RECORD_HEAD_BYTES, &length, sizeof(length));
        ring->at += (bytes + RECORD_HEAD_BYTES + RECORD_ALIGN - 1) & ~(uint64_t)(RECORD_ALIGN - 1);
        if ((head & BPF_RINGBUF_DISCARD_BIT) == 0) {
            assert(length + LENGTH_BYTES <= bytes);
            record.length = (uint32_t)length;
            return record;
        }
    }
    return (struct record){0};
}

/* The kernel has judged the header long ago; here it is only read. */
static bool fill(const struct link_ring *ring, struct record record, struct packet *packet)
{
    uint8_t head[IPV6_HEAD_BYTES] = {0};

    read_at(ring, record.at, head, record.length < sizeof(head) ? record.length : sizeof(head));
    bool four = head[0] >> 4 == 4;
    uint32_t head_bytes = four ? (head[0] & 0x0fu) * 4 : IPV6_HEAD_BYTES;
    packet->offset = PACKET_HEADROOM_BYTES;
    if (head_bytes < IPV4_HEAD_BYTES || head_bytes > record.length ||
        record.length - head_bytes > packet->capacity - packet->offset - PACKET_TAILROOM_BYTES) {
        return false;
    }
    packet->length = record.length - head_bytes;
    packet->outer_head_bytes = (uint16_t)head_bytes;
    packet->outer_protocol = PROTOCOL_ESP;
    packet->segment_bytes = 0;
    if (four) {
        packet->tos = head[1];
        packet->peer = (struct endpoint){.address = address_ipv4_bytes(head + 12)};
        packet->local = (struct endpoint){.address = address_ipv4_bytes(head + 16)};
    } else {
        packet->tos = (uint8_t)(head[0] << 4 | head[1] >> 4);
        packet->peer = (struct endpoint){.address = address_ipv6_bytes(head + 8)};
        packet->local = (struct endpoint){.address = address_ipv6_bytes(head + 24)};
    }
    read_at(ring, record.at, packet_data(packet) - head_bytes, record.length);
    return true;
}

size_t link_ring_receive(struct link_ring *ring, struct packet *const *packets, size_t count,
                         size_t *too_long)
{
    size_t good = 0;

    while (good < count) {
        struct record record = next_record(ring);

        if (record.length == 0) {
            break;
        }
        if (fill(ring, record, packets[good])) {
            good++;
        } else {
            (*too_long)++;
        }
    }
    ring->taken += good;
    return good;
}

/* The kernel wakes for a packet only when everything before it was given back. So that is done
 * once for a batch: what comes while the batch is worked on would wake nobody who sleeps. */
static void give_back(struct link_ring *ring)
{
    atomic_store_explicit(ring->consumed, ring->at, memory_order_seq_cst);
}

bool link_ring_done(struct link_ring *ring)
{
    give_back(ring);
    bool more = ring->at < atomic_load_explicit(ring->produced, memory_order_seq_cst) &&
                ring->taken < BATCH_PACKETS;

    if (!more) {
        ring->taken = 0;
    }
    return more;
}

/* ---- a trial ---- */

/* One packet for each length of a record, which the kernel runs through the program as if it had
 * been received. SPI 1 is reserved (RFC 4303 2.1). */
#define TRIAL_BYTES 9000
static const uint16_t trial_lengths[] = {64, 1500, TRIAL_BYTES};

static void write_trial(enum family family, uint16_t length, uint8_t *frame)
{
    uint8_t *head = frame + 14;

    memset(frame, 0, 14);
    put_u16(frame + 12, family == FAMILY_IPV4 ? 0x0800 : 0x86dd);
    for (size_t i = 0; i < length; i++) {
        head[i] = (uint8_t)(i * 7 + i / 256);
    }
    if (family == FAMILY_IPV4) {
        head[0] = 0x45;
        put_u16(head + 2, length);
        head[9] = PROTOCOL_ESP;
    } else {
        put_u32(head, 0x60000000u);
        put_u16(head + 4, (uint16_t)(length - IPV6_HEAD_BYTES));
        head[6] = PROTOCOL_ESP;
    }
}

static bool works(struct link_ring *ring, enum family family, int program)
{
    static uint8_t frame[14 + TRIAL_BYTES], got[TRIAL_BYTES];

    for (size_t i = 0; i < ARRAY_LENGTH(trial_lengths); i++) {
        union bpf_attr what = {0};

        write_trial(family, trial_lengths[i], frame);
        what.test.prog_fd = (uint32_t)program;
        what.test.data_in = place_of(frame);
        what.test.data_size_in = 14u + trial_lengths[i];
        what.test.repeat = 1;
        /* A frame that is longer than a page is more than some kernels can try. */
        if (ask(BPF_PROG_TEST_RUN, &what) != 0) {
            return i == ARRAY_LENGTH(trial_lengths) - 1;
        }
        struct record record = next_record(ring);
        if (what.test.retval != 0 || record.length != trial_lengths[i]) {
            return false;
        }
        read_at(ring, record.at, got, record.length);
        give_back(ring);
        if (memcmp(got, frame + 14, record.length) != 0 || next_record(ring).length != 0) {
            return false;
        }
    }
    return true;
}

struct link_ring *link_ring_open(void)
{
    static const enum family families[] = {FAMILY_IPV4, FAMILY_IPV6};
    struct link_ring *ring = calloc(1, sizeof(*ring));

    if (ring == NULL) {
        return NULL;
    }
    *ring = (struct link_ring){.map = -1, .programs = {-1, -1}};
    bool ok = map_ring(ring);
    for (size_t i = 0; i < ARRAY_LENGTH(families) && ok; i++) {
        ring->programs[i] = load_program(families[i], ring->map);
        ok = ring->programs[i] >= 0 && works(ring, families[i], ring->programs[i]);
    }
    if (!ok) {
        link_ring_close(ring);
        return NULL;
    }
    return ring;
}

bool link_ring_attach(struct link_ring *ring, int socket, enum family family)
{
    int program = ring->programs[family == FAMILY_IPV4 ? 0 : 1];

    return setsockopt(socket, SOL_SOCKET, SO_ATTACH_BPF, &program, sizeof(program)) == 0;
}
