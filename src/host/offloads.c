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
    static const char *const names[] = {"tun-tcp", "tun-udp", "udp-segmentation", "udp-gro",
                                        "esp-ring"};

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

static const char *reason_of_ring(enum offload_state state)
{
    switch (state) {
    case OFFLOAD_IN_USE:
        return "";
    case OFFLOAD_UNWANTED:
        return "not wanted";
    case OFFLOAD_ABSENT:
        return "no socket for native ESP, or this system does not let us load a program for it "
               "(since "
               "Linux 5.8, with the capability CAP_BPF)";
    case OFFLOAD_WRONG:
    case OFFLOAD_REFUSED:
    case OFFLOAD_CORRUPT:
        return "what came out of it was not what was put in";
    }
    return "";
}

const char *offload_reason(enum offload_part part, enum offload_state state)
{
    if (part == OFFLOAD_ESP_RING) {
        return reason_of_ring(state);
    }
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
    const char *third = offloads_uses(offloads, OFFLOAD_ESP_RING) ? "ESP ring" : "";
    const char *const parts[] = {first, second, third};
    size_t length = 0;

    snprintf(out, OFFLOADS_TEXT_BYTES, "off");
    for (size_t i = 0; i < ARRAY_LENGTH(parts); i++) {
        if (parts[i][0] != '\0') {
            length += (size_t)snprintf(out + length, OFFLOADS_TEXT_BYTES - length, "%s%s",
                                       length > 0 ? ", " : "", parts[i]);
        }
    }
    return out;
}
