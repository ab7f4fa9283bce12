/* Decides how it is said which offloads are in use and why others are not. */
#include "host/offloads.h"

#include <assert.h>
#include <stdio.h>

void offloads_set(struct offloads *offloads, enum offload_part part, enum offload_state state)
{
    atomic_store_explicit(&offloads->states[part], state, memory_order_relaxed);
}

void offloads_retreat(struct offloads *offloads, enum offload_part part, enum offload_state state)
{
    int in_use = OFFLOAD_IN_USE;

    assert(state != OFFLOAD_IN_USE);
    (void)atomic_compare_exchange_strong(&offloads->states[part], &in_use, state);
}

const char *offload_name(enum offload_part part)
{
    static const char *const names[] = {"tun-tcp", "tun-udp", "udp-segmentation", "udp-gro"};

    assert((size_t)part < ARRAY_LENGTH(names));
    return names[part];
}

static const char *reason_at_device(enum offload_state state)
{
    switch (state) {
    case OFFLOAD_IN_USE:
        return "";
    case OFFLOAD_UNWANTED:
        return "not wanted";
    case OFFLOAD_ABSENT:
        return "this kernel's TUN device does not do it (UDP: since Linux 6.2)";
    case OFFLOAD_WRONG:
        return "the test at the start got other bytes than it sent";
    case OFFLOAD_REFUSED:
        return "the system refused to take packets in one piece that it took singly";
    case OFFLOAD_CORRUPT:
        return "packets in one piece came changed";
    }
    return "";
}

static const char *reason_outside(enum offload_state state)
{
    switch (state) {
    case OFFLOAD_IN_USE:
        return "";
    case OFFLOAD_UNWANTED:
        return "not wanted";
    case OFFLOAD_ABSENT:
        return "this kernel does not do it (sending since Linux 4.18, receiving since 5.0)";
    case OFFLOAD_WRONG:
        return "the test at the start got other bytes than it sent";
    case OFFLOAD_REFUSED:
        return "the system or a network card refuses datagrams in one piece that it sends singly";
    case OFFLOAD_CORRUPT:
        return "datagrams that came in one piece never proved authentic, single ones did";
    }
    return "";
}

const char *offload_reason(enum offload_part part, enum offload_state state)
{
    return part == OFFLOAD_TUN_TCP || part == OFFLOAD_TUN_UDP ? reason_at_device(state)
                                                              : reason_outside(state);
}

/* Two of one place, of which either or both may be in use. */
static const char *words(const struct offloads *offloads, enum offload_part one,
                         const char *const text[4])
{
    return text[(offloads_uses(offloads, one) ? 1 : 0) +
                (offloads_uses(offloads, (enum offload_part)(one + 1)) ? 2 : 0)];
}

const char *offloads_describe(const struct offloads *offloads, char out[OFFLOADS_TEXT_BYTES])
{
    static const char *const device[] = {"", "TUN TSO", "TUN USO", "TUN TSO+USO"};
    static const char *const outside[] = {"", "UDP segmentation", "UDP GRO",
                                          "UDP segmentation+GRO"};
    const char *first = words(offloads, OFFLOAD_TUN_TCP, device);
    const char *second = words(offloads, OFFLOAD_SEGMENT, outside);
    bool has_first = first[0] != '\0', has_second = second[0] != '\0';

    snprintf(out, OFFLOADS_TEXT_BYTES, "%s%s%s", first, has_first && has_second ? ", " : "",
             has_first || has_second ? second : "off");
    return out;
}
