/* Decides which of the kernel's clocks is ours. */
#include "host/clock.h"

#include <assert.h>
#include <time.h>

static uint64_t read_ms(clockid_t clock)
{
    struct timespec now;
    int result = clock_gettime(clock, &now);

    assert(result == 0);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t clock_now_ms(void)
{
    /* BOOTTIME and not MONOTONIC: a laptop that slept for a night holds SAs whose time is over. */
    return read_ms(CLOCK_BOOTTIME);
}

uint64_t clock_now_us(void)
{
    struct timespec now;
    int result = clock_gettime(CLOCK_BOOTTIME, &now);

    assert(result == 0);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t clock_date_ms(void)
{
    return read_ms(CLOCK_REALTIME);
}

uint64_t clock_monotonic_us(void)
{
    struct timespec now;
    int result = clock_gettime(CLOCK_MONOTONIC, &now);

    assert(result == 0);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}
