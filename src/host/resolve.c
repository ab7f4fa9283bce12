/* Decides how names are asked for: getaddrinfo in threads of its own, so that a slow name server
 * stops nobody else. */
#include "host/resolve.h"

#include "base/ring.h"
#include "host/sockaddr.h"

#include <assert.h>
#include <netdb.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LANES 4
#define LANE_QUESTIONS 256

struct question {
    uint64_t id;
    char host[RESOLVE_HOST_BYTES];
};

/* One thread with its two rings. */
struct lane {
    struct resolve *resolve;
    struct ring questions, answers;
    sem_t waiting;
    pthread_t thread;
    bool started;
};

struct resolve {
    struct wake answered; /* a copy of the caller's descriptor */
    struct lane lanes[LANES];
    size_t next; /* the lane of the next question */
    atomic_bool ends;
    atomic_uint users; /* threads and the owner; the last one frees */
};

static void resolve_leave(struct resolve *resolve)
{
    if (atomic_fetch_sub(&resolve->users, 1) != 1) {
        return;
    }
    for (size_t i = 0; i < LANES; i++) {
        ring_fini(&resolve->lanes[i].questions);
        ring_fini(&resolve->lanes[i].answers);
        (void)sem_destroy(&resolve->lanes[i].waiting);
    }
    free(resolve);
}

static void take_addresses(const struct addrinfo *list, struct resolve_answer *answer)
{
    for (; list != NULL && answer->count < RESOLVE_ADDRESSES_MAX; list = list->ai_next) {
        struct sockaddr_storage name = {0};
        struct endpoint endpoint;

        if (list->ai_addrlen > sizeof(name)) {
            continue;
        }
        memcpy(&name, list->ai_addr, list->ai_addrlen);
        if (sockaddr_read(&name, &endpoint)) {
            answer->addresses[answer->count++] = endpoint.address;
        }
    }
}

static void answer_question(const struct question *question, struct resolve_answer *answer)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM};
    struct addrinfo *list = NULL;

    *answer = (struct resolve_answer){.question = question->id};
    int error = getaddrinfo(question->host, NULL, &hints, &list);
    if (error == 0) {
        take_addresses(list, answer);
        freeaddrinfo(list);
    }
    if (error == EAI_NONAME) {
        snprintf(answer->why, sizeof(answer->why), "nobody knows the name %.100s", question->host);
    } else if (error == EAI_AGAIN) {
        snprintf(answer->why, sizeof(answer->why),
                 "no name server answers about %.100s (see /etc/resolv.conf)", question->host);
    } else if (error != 0) {
        snprintf(answer->why, sizeof(answer->why), "cannot look up %.100s: %s", question->host,
                 gai_strerror(error));
    } else if (answer->count == 0) {
        snprintf(answer->why, sizeof(answer->why), "the name %.100s has no address",
                 question->host);
    }
}

static void *lane_run(void *context)
{
    struct lane *lane = context;
    struct resolve *resolve = lane->resolve;
    struct question question;
    struct resolve_answer answer;

    while (!atomic_load(&resolve->ends)) {
        while (sem_wait(&lane->waiting) != 0) {
        }
        if (atomic_load(&resolve->ends) || !ring_take(&lane->questions, &question)) {
            continue;
        }
        answer_question(&question, &answer);
        if (atomic_load(&resolve->ends)) {
            break; /* nobody listens, and the descriptor may be another's now */
        }
        /* There is room: no more questions are taken in than answers fit. */
        bool put = ring_put(&lane->answers, &answer);
        assert(put);
        wake_up(&resolve->answered);
    }
    resolve_leave(resolve);
    return NULL;
}

static bool lane_start(struct resolve *resolve, struct lane *lane)
{
    lane->resolve = resolve;
    if (!ring_init(&lane->questions, sizeof(struct question), LANE_QUESTIONS) ||
        !ring_init(&lane->answers, sizeof(struct resolve_answer), 2 * LANE_QUESTIONS)) {
        return false;
    }
    (void)atomic_fetch_add(&resolve->users, 1);
    if (pthread_create(&lane->thread, NULL, lane_run, lane) != 0) {
        (void)atomic_fetch_sub(&resolve->users, 1);
        return false;
    }
    (void)pthread_detach(lane->thread);
    lane->started = true;
    return true;
}

struct resolve *resolve_new(const struct wake *answered)
{
    /* Rings want whole cache lines, which calloc() does not promise. */
    struct resolve *resolve = aligned_alloc(_Alignof(struct resolve), sizeof(*resolve));
    bool ok = true;

    if (resolve == NULL) {
        return NULL;
    }
    memset(resolve, 0, sizeof(*resolve));
    resolve->answered = *answered;
    atomic_store(&resolve->users, 1);
    for (size_t i = 0; i < LANES; i++) {
        ok = sem_init(&resolve->lanes[i].waiting, 0, 0) == 0 && ok;
    }
    for (size_t i = 0; ok && i < LANES; i++) {
        ok = lane_start(resolve, &resolve->lanes[i]);
    }
    if (!ok) {
        resolve_free(resolve);
        return NULL;
    }
    return resolve;
}

void resolve_free(struct resolve *resolve)
{
    if (resolve == NULL) {
        return;
    }
    atomic_store(&resolve->ends, true);
    for (size_t i = 0; i < LANES; i++) {
        if (resolve->lanes[i].started) {
            (void)sem_post(&resolve->lanes[i].waiting);
        }
    }
    resolve_leave(resolve);
}

/* Questions of a lane that are not answered and taken yet. */
static size_t lane_load(struct lane *lane)
{
    return (atomic_load(&lane->questions.tail) - atomic_load(&lane->questions.head)) +
           (atomic_load(&lane->answers.tail) - atomic_load(&lane->answers.head));
}

bool resolve_ask(struct resolve *resolve, uint64_t question, const char *host)
{
    struct question asked = {.id = question};
    struct lane *lane = &resolve->lanes[resolve->next++ % LANES];

    if (strlen(host) >= sizeof(asked.host) || lane_load(lane) >= LANE_QUESTIONS ||
        memchr(host, '\0', 1) != NULL) {
        return false;
    }
    memcpy(asked.host, host, strlen(host));
    if (!ring_put(&lane->questions, &asked)) {
        return false;
    }
    (void)sem_post(&lane->waiting);
    return true;
}

bool resolve_next(struct resolve *resolve, struct resolve_answer *out)
{
    for (size_t i = 0; i < LANES; i++) {
        if (ring_take(&resolve->lanes[i].answers, out)) {
            return true;
        }
    }
    return false;
}
