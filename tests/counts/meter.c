/*
 * Decides what is counted: calls of malloc and the like, of what asks the system, and the octets
 * that go through memcpy() and memmove(). The linker puts these in their place (--wrap), for our
 * code; what happens inside of libraries is theirs. A copy that the compiler makes itself, of a
 * length that it knows, is not seen.
 */
#define _GNU_SOURCE
#include "tests/counts/meter.h"

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static bool is_on;
static uint64_t allocations, calls, copied;

void meter_on(void)
{
    is_on = true;
}

void meter_off(void)
{
    is_on = false;
}

void meter_print(void)
{
    printf(" allocations %llu calls %llu copied %llu", (unsigned long long)allocations,
           (unsigned long long)calls, (unsigned long long)copied);
    allocations = calls = copied = 0;
}

#define WRAP(counter, amount, type, name, parameters, arguments)                                   \
    type __real_##name parameters;                                                                 \
    type __wrap_##name parameters;                                                                 \
    type __wrap_##name parameters                                                                  \
    {                                                                                              \
        counter += is_on ? (amount) : 0;                                                           \
        return __real_##name arguments;                                                            \
    }

WRAP(allocations, 1, void *, malloc, (size_t bytes), (bytes))
WRAP(allocations, 1, void *, calloc, (size_t count, size_t bytes), (count, bytes))
WRAP(allocations, 1, void *, realloc, (void *old, size_t bytes), (old, bytes))
WRAP(allocations, 1, void *, aligned_alloc, (size_t alignment, size_t bytes), (alignment, bytes))
WRAP(allocations, 1, char *, strdup, (const char *text), (text))

WRAP(copied, bytes, void *, memcpy, (void *to, const void *from, size_t bytes), (to, from, bytes))
WRAP(copied, bytes, void *, memmove, (void *to, const void *from, size_t bytes), (to, from, bytes))
WRAP(copied, bytes, void *, __memcpy_chk, (void *to, const void *from, size_t bytes, size_t room),
     (to, from, bytes, room))
WRAP(copied, bytes, void *, __memmove_chk, (void *to, const void *from, size_t bytes, size_t room),
     (to, from, bytes, room))

WRAP(calls, 1, ssize_t, read, (int file, void *to, size_t bytes), (file, to, bytes))
WRAP(calls, 1, ssize_t, write, (int file, const void *from, size_t bytes), (file, from, bytes))
WRAP(calls, 1, ssize_t, readv, (int file, const struct iovec *parts, int count),
     (file, parts, count))
WRAP(calls, 1, ssize_t, writev, (int file, const struct iovec *parts, int count),
     (file, parts, count))
WRAP(calls, 1, ssize_t, sendmsg, (int file, const struct msghdr *message, int flags),
     (file, message, flags))
WRAP(calls, 1, int, sendmmsg, (int file, struct mmsghdr *messages, unsigned count, int flags),
     (file, messages, count, flags))
WRAP(calls, 1, ssize_t, recvmsg, (int file, struct msghdr *message, int flags),
     (file, message, flags))
WRAP(calls, 1, int, recvmmsg,
     (int file, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout),
     (file, messages, count, flags, timeout))
WRAP(calls, 1, int, clock_gettime, (clockid_t clock, struct timespec *out), (clock, out))
