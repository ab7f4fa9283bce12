/* Decides how threads wait: level-triggered epoll, so that whoever leaves something unread is
 * called again. */
#include "host/loop.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

bool loop_init(struct loop *loop)
{
    *loop = (struct loop){.epoll_fd = epoll_create1(EPOLL_CLOEXEC)};
    return loop->epoll_fd >= 0;
}

void loop_fini(struct loop *loop)
{
    if (loop->epoll_fd > 0) {
        (void)close(loop->epoll_fd);
    }
    loop->epoll_fd = -1;
}

static uint32_t epoll_events(unsigned events)
{
    uint32_t wanted = 0;

    if ((events & LOOP_READ) != 0) {
        wanted |= EPOLLIN;
    }
    if ((events & LOOP_WRITE) != 0) {
        wanted |= EPOLLOUT;
    }
    return wanted; /* errors are always reported */
}

static unsigned loop_events(uint32_t epoll)
{
    unsigned events = 0;

    if ((epoll & EPOLLIN) != 0) {
        events |= LOOP_READ;
    }
    if ((epoll & EPOLLOUT) != 0) {
        events |= LOOP_WRITE;
    }
    if ((epoll & (EPOLLERR | EPOLLHUP)) != 0) {
        events |= LOOP_ERROR;
    }
    return events;
}

bool loop_add(struct loop *loop, struct loop_source *source, unsigned events)
{
    struct epoll_event event = {.events = epoll_events(events), .data.ptr = source};

    assert(source->ready != NULL);
    return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, source->fd, &event) == 0;
}

void loop_change(struct loop *loop, struct loop_source *source, unsigned events)
{
    struct epoll_event event = {.events = epoll_events(events), .data.ptr = source};
    int result = epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, source->fd, &event);

    assert(result == 0);
}

void loop_remove(struct loop *loop, struct loop_source *source)
{
    (void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
    for (size_t i = 0; i < loop->event_count; i++) {
        if (loop->events[i] == source) {
            loop->events[i] = NULL;
        }
    }
}

size_t loop_turn(struct loop *loop, uint64_t timeout_ms)
{
    return loop_turn_us(loop, timeout_ms > NEVER_MS / 1000 ? NEVER_MS : timeout_ms * 1000);
}

size_t loop_turn_us(struct loop *loop, uint64_t timeout_us)
{
    struct epoll_event ready[LOOP_EVENTS_MAX];
    struct timespec timeout = {.tv_sec = (time_t)(timeout_us / 1000000),
                               .tv_nsec = (long)(timeout_us % 1000000) * 1000};

    int count = epoll_pwait2(loop->epoll_fd, ready, LOOP_EVENTS_MAX,
                             timeout_us == NEVER_MS ? NULL : &timeout, NULL);
    if (count <= 0) {
        assert(count == 0 || errno == EINTR);
        return 0;
    }
    /* Kept apart from `ready`, so that a source which is removed by an earlier one is not called.
     */
    loop->event_count = (size_t)count;
    for (size_t i = 0; i < loop->event_count; i++) {
        loop->events[i] = ready[i].data.ptr;
    }
    for (size_t i = 0; i < loop->event_count; i++) {
        struct loop_source *source = loop->events[i];

        if (source != NULL) {
            source->ready(source->context, loop_events(ready[i].events));
        }
    }
    loop->event_count = 0;
    return (size_t)count;
}

bool wake_init(struct wake *wake, void (*ready)(void *context, unsigned events), void *context)
{
    wake->source = (struct loop_source){
        .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .ready = ready, .context = context};
    return wake->source.fd >= 0;
}

void wake_fini(struct wake *wake)
{
    if (wake->source.fd > 0) {
        (void)close(wake->source.fd);
    }
    wake->source.fd = -1;
}

void wake_up(const struct wake *wake)
{
    const uint64_t one = 1;

    /* Can only fail when the counter is full, and then the sleeper is awake already. */
    ssize_t written = write(wake->source.fd, &one, sizeof(one));
    (void)written;
}

void wake_clear(const struct wake *wake)
{
    uint64_t count;
    ssize_t got = read(wake->source.fd, &count, sizeof(count));

    (void)got;
}

bool signals_init(struct signals *signals, const int *numbers, size_t count,
                  void (*ready)(void *context, unsigned events), void *context)
{
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < count; i++) {
        sigaddset(&set, numbers[i]);
    }
    if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR) {
        return false;
    }
    signals->source = (struct loop_source){
        .fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), .ready = ready, .context = context};
    return signals->source.fd >= 0;
}

void signals_fini(struct signals *signals)
{
    if (signals->source.fd > 0) {
        (void)close(signals->source.fd);
    }
    signals->source.fd = -1;
}

int signals_next(const struct signals *signals)
{
    struct signalfd_siginfo info;
    ssize_t got = read(signals->source.fd, &info, sizeof(info));

    return got == (ssize_t)sizeof(info) ? (int)info.ssi_signo : 0;
}
